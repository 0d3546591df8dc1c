/* Scores of tree ensembles with scikit-learn's bits: the same comparisons, the same sums in the same order. ensembles.py fills and checks the
   arrays; nothing is checked here.

   All trees lie in one array of nodes. A right child is the node after its left sister. A leaf is its own left child and its threshold is infinity, so
   that a walk which has arrived stays: LANES walks go on side by side until none of them moves, which hides the time that memory takes. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ABI 2
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

/* What contributions need to know of the trees besides: see shapley.py. Of each node: */
typedef struct {
    const int32_t *parents; /* -1 of a root */
    const int32_t *above;   /* the node on the way from the root whose step looked at the same feature last, or -1 */
    const double *shares;   /* which part of the rows, of those that came to the parent of the first such step, all steps by this feature let through */
    const int32_t *ends;    /* of each tree: the node after its last one */
    int32_t largest;        /* nodes of the largest tree */
    int32_t points;
    const double *at;       /* the points of the quadrature, between 0 and 1 */
    const double *weights;
} paths;

#define NUMBER float
#define NODE node32
#define WALK walk32
#define SCORES scores32
#define CONTRIBUTIONS contributions32
#include "walk.h"
#include "shapley.h"

#undef NUMBER
#undef NODE
#undef WALK
#undef SCORES
#undef CONTRIBUTIONS
#define NUMBER double
#define NODE node64
#define WALK walk64
#define SCORES scores64
#define CONTRIBUTIONS contributions64
#include "walk.h"
#include "shapley.h"

int modelyard_walker_abi(void) { return ABI; }

/* `matrix` has e->features columns, one row after the other; `out` has room for a score per row. Returns 0, or -1 when there is no memory. */
int modelyard_walker_scores(const ensemble *e, const double *matrix, size_t rows, double *out)
{
    return e->float32 ? scores32(e, matrix, rows, out) : scores64(e, matrix, rows, out);
}

/* As above; `out` has room for e->features contributions per row, `scores` for a score, before the logistic function if there is one. */
int modelyard_walker_contributions(const ensemble *e, const paths *p, const double *matrix, size_t rows, double *out, double *scores)
{
    return e->float32 ? contributions32(e, p, matrix, rows, out, scores) : contributions64(e, p, matrix, rows, out, scores);
}
