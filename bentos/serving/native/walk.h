/* Included once for numbers of each width. */

/* LANES walks, each from the node `at` with the numbers of its row, to their leaves. A number above the threshold goes right, a missing one where
   training has sent it. */
static inline void WALK(const NODE *nodes, const NUMBER *const numbers[LANES], int32_t at[LANES])
{
    int32_t moved;
    do {
        moved = 0;
        for (int lane = 0; lane < LANES; lane++) {
            const NODE *node = nodes + at[lane];
            const NUMBER number = numbers[lane][node->feature];
            const int below = number <= node->threshold, present = number == number;
            const int32_t next = node->left + ((1 - below) & (present | node->missing_right));
            moved |= next ^ at[lane];
            at[lane] = next;
        }
    } while (moved);
}

static int SCORES(const ensemble *e, const double *matrix, size_t rows, double *out)
{
    const NODE *nodes = e->nodes;
    const size_t features = (size_t)e->features;
    NUMBER *numbers = malloc((rows < BLOCK ? rows : BLOCK) * features * sizeof(NUMBER));
    if (numbers == NULL)
        return -1;
    for (size_t start = 0; start < rows; start += BLOCK) {
        const size_t here = rows - start < BLOCK ? rows - start : BLOCK, in_lanes = here - here % LANES;
        double *sums = out + start;
        const NUMBER *lanes[LANES];
        int32_t at[LANES];
        for (size_t i = 0; i < here * features; i++)
            numbers[i] = (NUMBER)matrix[start * features + i];
        for (size_t row = 0; row < here; row++)
            sums[row] = e->base;

        /* Many rows: LANES of them in one tree. */
        for (int32_t tree = 0; tree < e->trees && in_lanes; tree++)
            for (size_t row = 0; row < in_lanes; row += LANES) {
                for (int lane = 0; lane < LANES; lane++) {
                    lanes[lane] = numbers + (row + (size_t)lane) * features;
                    at[lane] = e->roots[tree];
                }
                WALK(nodes, lanes, at);
                for (int lane = 0; lane < LANES; lane++)
                    sums[row + (size_t)lane] += e->values[at[lane]];
            }

        /* The rest: one row in LANES trees. Lanes beyond the last tree walk in vain. */
        for (size_t row = in_lanes; row < here; row++)
            for (int32_t tree = 0; tree < e->trees; tree += LANES) {
                const int count = e->trees - tree < LANES ? e->trees - tree : LANES;
                for (int lane = 0; lane < LANES; lane++) {
                    lanes[lane] = numbers + row * features;
                    at[lane] = e->roots[lane < count ? tree + lane : tree];
                }
                WALK(nodes, lanes, at);
                for (int lane = 0; lane < count; lane++)
                    sums[row] += e->values[at[lane]];
            }

        for (size_t row = 0; row < here; row++) {
            const double score = sums[row] / e->divisor;
            sums[row] = e->logistic ? 1 / (1 + exp(-score)) : score;
        }
    }
    free(numbers);
    return 0;
}
