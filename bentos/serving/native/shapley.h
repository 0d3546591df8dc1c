/* Included once for numbers of each width. The Shapley values of a tree's leaves, by the integral that shapley.py explains: per row and tree one pass
   from the root to the leaves, which multiplies, and one back, which adds. A child lies behind its parent. */

static int CONTRIBUTIONS(const ensemble *e, const paths *p, const double *matrix, size_t rows, double *out, double *scores)
{
    const NODE *all = e->nodes;
    const int points = p->points;
    const size_t room = (size_t)p->largest;
    double *products = malloc(room * (size_t)points * sizeof(double)), *gains = malloc(room * (size_t)points * sizeof(double));
    unsigned char *fits = malloc(2 * room);
    if (products == NULL || gains == NULL || fits == NULL) {
        free(products), free(gains), free(fits);
        return -1;
    }
    unsigned char *reached = fits + room;
    for (size_t row = 0; row < rows; row++) {
        const double *numbers = matrix + row * (size_t)e->features;
        double *found = out + row * (size_t)e->features, score = e->base;
        for (int32_t i = 0; i < e->features; i++)
            found[i] = 0;
        for (int32_t tree = 0; tree < e->trees; tree++) {
            const int32_t root = e->roots[tree], count = p->ends[tree] - root;
            const NODE *nodes = all + root;
            for (int32_t n = 0; n < count; n++) {
                const int32_t parent = p->parents[root + n] - root, above = p->above[root + n] - root;
                double *product = products + (size_t)n * (size_t)points, *gain = gains + (size_t)n * (size_t)points;
                if (n == 0) {
                    reached[0] = 1;
                    for (int k = 0; k < points; k++)
                        product[k] = p->weights[k], gain[k] = 0;
                } else {
                    const NODE *step = nodes + parent;
                    const NUMBER number = (NUMBER)numbers[step->feature];
                    const int right = number == number ? number > step->threshold : step->missing_right;
                    const int goes = n - (step->left - root) == right;
                    const double share = p->shares[root + n];
                    const double *before = products + (size_t)parent * (size_t)points;
                    reached[n] = reached[parent] & goes;
                    fits[n] = above < 0 ? goes : fits[above] & goes;
                    const double slope = fits[n] - share;
                    if (above < 0)
                        for (int k = 0; k < points; k++) {
                            const double term = share + p->at[k] * slope;
                            product[k] = before[k] * term;
                            gain[k] = slope / term;
                        }
                    else {
                        /* This step's term takes the place of the earlier one by the same feature. */
                        const double share_above = p->shares[root + above], slope_above = fits[above] - share_above;
                        for (int k = 0; k < points; k++) {
                            const double term = share + p->at[k] * slope;
                            product[k] = before[k] * (term / (share_above + p->at[k] * slope_above));
                            gain[k] = slope / term;
                        }
                    }
                }
                if (nodes[n].left == root + n) {
                    const double value = e->values[root + n];
                    if (reached[n])
                        score += value;
                    for (int k = 0; k < points; k++)
                        product[k] *= value;
                }
            }
            /* From here on `products` are sums over the leaves below. */
            for (int32_t n = count - 1; n > 0; n--) {
                const int32_t parent = p->parents[root + n] - root, above = p->above[root + n] - root;
                const double *sum = products + (size_t)n * (size_t)points, *gain = gains + (size_t)n * (size_t)points;
                double *whole = products + (size_t)parent * (size_t)points, contribution = 0;
                if (above < 0)
                    for (int k = 0; k < points; k++)
                        contribution += sum[k] * gain[k];
                else {
                    const double *earlier = gains + (size_t)above * (size_t)points;
                    for (int k = 0; k < points; k++)
                        contribution += sum[k] * (gain[k] - earlier[k]);
                }
                found[nodes[parent].feature] += contribution;
                /* The right sister comes first, from behind. */
                if (n - (nodes[parent].left - root) == 1)
                    for (int k = 0; k < points; k++)
                        whole[k] = sum[k];
                else
                    for (int k = 0; k < points; k++)
                        whole[k] += sum[k];
            }
        }
        for (int32_t i = 0; i < e->features; i++)
            found[i] /= e->divisor;
        scores[row] = score / e->divisor;
    }
    free(products), free(gains), free(fits);
    return 0;
}
