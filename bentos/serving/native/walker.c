/* Scores of tree ensembles with scikit-learn's bits: the same comparisons, the same sums in the same order. ensembles.py fills and checks the
   arrays; nothing is checked here.

   All trees lie in one array of nodes. A right child is the node after its left sister. A leaf is its own left child and its threshold is infinity, so
   that a walk which has arrived stays: LANES walks go on side by side until none of them moves, which hides the time that memory takes. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ABI 1
#define LANES 8
#define BLOCK 64 /* rows that go through a tree while it is in the cache */

typedef struct {
    const void *nodes;
    const double *values; /* one per node; those of leaves are read */
    const int32_t *roots;
    int32_t trees;
    int32_t features;
    int32_t float32;  /* numbers are rounded before they are compared, as forests and GradientBoosting do: nodes are node32, else node64 */
    int32_t logistic; /* of the quotient */
    double base;      /* the sum begins with it */
    double divisor;
} ensemble;

typedef struct {
    float threshold;
    int32_t left;
    int16_t feature;
    int16_t missing_right;
} node32;

typedef struct {
    double threshold;
    int32_t left;
    int16_t feature;
    int16_t missing_right;
} node64;

#define NUMBER float
#define NODE node32
#define WALK walk32
#define SCORES scores32
#include "walk.h"

#undef NUMBER
#undef NODE
#undef WALK
#undef SCORES
#define NUMBER double
#define NODE node64
#define WALK walk64
#define SCORES scores64
#include "walk.h"

int modelyard_walker_abi(void) { return ABI; }

/* `matrix` has e->features columns, one row after the other; `out` has room for a score per row. Returns 0, or -1 when there is no memory. */
int modelyard_walker_scores(const ensemble *e, const double *matrix, size_t rows, double *out)
{
    return e->float32 ? scores32(e, matrix, rows, out) : scores64(e, matrix, rows, out);
}
