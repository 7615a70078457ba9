/* What the tests of Levenberg-Marquardt share: the fit, covariances, what is checked of both, and
 * problems. */
#ifndef CBP_FIT_LM_CALL_H
#define CBP_FIT_LM_CALL_H

#include "fit_call.h"

/* ---- fits and covariances -------------------------------------------------------------------- */

static inline size_t free_of(const cbp_chain *chain)
{
    size_t count = 0;
    for (size_t k = 0; k < 2 * chain->layers; k++) {
        count += !chain->frozen || !chain->frozen[k];
    }
    return count;
}

static int fit_from(call *c, const cbp_real *start, cbp_real *params)
{
    cbp_real *work = spoilt(cbp_fit_work_len(c->chain.layers, free_of(&c->chain), c->examples.n));
    c->chain.params = start;
    const int status = cbp_fit_lm(&c->chain, &c->examples, &c->options, work, params, &c->info);
    c->chain.params = params;
    free(work);
    return status;
}

/* What is found of a covariance; the matrix is of all parameters. */
typedef struct covariance {
    cbp_real variance, matrix[MOST * MOST];
    unsigned char determined[MOST];
} covariance;

static inline covariance untouched_covariance(void)
{
    covariance s = {.variance = 5};
    for (size_t k = 0; k < MOST * MOST; k++) {
        s.matrix[k] = 5;
    }
    memset(s.determined, 55, MOST);
    return s;
}

static inline int is_untouched(const covariance *s)
{
    const covariance untouched = untouched_covariance();
    return s->variance == 5 && same_all(s->matrix, untouched.matrix, MOST * MOST) &&
           memcmp(s->determined, untouched.determined, MOST) == 0;
}

/* The two curvatures that covariances are taken from. */
enum curvature { GAUSS_NEWTON, OBSERVED, CURVATURES };

/* Memory of exactly the length that a matrix needs, of fives. */
static inline cbp_real *untouched_block(const cbp_chain *chain)
{
    const covariance untouched = untouched_covariance();
    return exactly(untouched.matrix, free_of(chain) * free_of(chain));
}

/* What was found of the free parameters, among zeros; of a call that failed, nothing. */
static inline void widen(const cbp_chain *chain, int status, cbp_real *block, covariance *s)
{
    const size_t all = 2 * chain->layers, open = free_of(chain);
    CHECK(status == CBP_OK || same_all(block, s->matrix, open * open));
    for (size_t k = 0, i = 0; status == CBP_OK && k < all; k++) {
        const int is_row = !chain->frozen || !chain->frozen[k];
        for (size_t m = 0, j = 0; m < all; m++) {
            const int is_both = is_row && (!chain->frozen || !chain->frozen[m]);
            s->matrix[k * all + m] = is_both ? block[i * open + j] : 0;
            j += (size_t)is_both;
        }
        i += (size_t)is_row;
    }
    free(block);
}

static inline int covariance_by(const call *c, const cbp_real *hessian, covariance *s)
{
    const size_t all = 2 * c->chain.layers, open = free_of(&c->chain);
    cbp_real *work = spoilt(cbp_fit_work_len(c->chain.layers, open, c->examples.n)),
             *exact = exactly(hessian, all * all);
    unsigned char *determined = malloc(all); /* no more than what is to be written */
    if (!CHECK(determined != NULL)) {
        exit(1);
    }
    *s = untouched_covariance();
    const cbp_covariance out = {&s->variance, untouched_block(&c->chain), determined};
    memcpy(determined, s->determined, all);
    const int status = cbp_fit_covariance(&c->chain, &c->examples, &c->options, exact, work, &out);
    widen(&c->chain, status, out.matrix, s);
    memcpy(s->determined, determined, all);
    free(determined);
    free(exact);
    free(work);
    return status;
}

/* Room for the nodes of n examples. */
static inline cbp_fit_nodes room_for(size_t free_count, size_t n)
{
    const size_t capacity = cbp_fit_nodes_capacity((n + CBP_LEAF - 1) / CBP_LEAF);
    cbp_fit_nodes nodes = {spoilt(capacity * cbp_fit_node_len(free_count)),
                           malloc(capacity * sizeof(cbp_fit_place)), free_count, capacity, 0};
    if (!nodes.places) {
        exit(2);
    }
    return nodes;
}

static inline void free_nodes(cbp_fit_nodes *nodes)
{
    free(nodes->values);
    free(nodes->places);
}

/* The examples from `start` to `end`, which are leaves. */
static inline int add_nodes(const call *c, size_t start, size_t end, cbp_fit_nodes *nodes)
{
    cbp_real *work = spoilt(cbp_fit_work_len(c->chain.layers, nodes->free, 0));
    const cbp_real *weight = c->examples.weight;
    const cbp_examples part = {c->examples.x + start, c->examples.y + start,
                               weight ? weight + start : NULL, end - start};
    const int status =
        cbp_fit_nodes_add(&c->chain, &part, &c->options.loss, start / CBP_LEAF, work, nodes);
    free(work);
    return status;
}

/* The covariance from the node of all examples. */
static inline int covariance_by_node(const call *c, const cbp_real *hessian, covariance *s)
{
    const size_t open = free_of(&c->chain);
    cbp_fit_nodes nodes = room_for(open, c->examples.n);
    cbp_real *work = spoilt(cbp_fit_work_len(c->chain.layers, open, 0)),
             *node = spoilt(cbp_fit_node_len(open));
    CHECK(add_nodes(c, 0, c->examples.n, &nodes) == CBP_OK &&
          cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK);
    *s = untouched_covariance();
    const cbp_covariance out = {&s->variance, untouched_block(&c->chain), s->determined};
    const int status = cbp_fit_node_covariance(&c->chain, &c->options, node, hessian, work, &out);
    widen(&c->chain, status, out.matrix, s);
    free_nodes(&nodes);
    free(node);
    free(work);
    return status;
}

static inline int covariance_of(const call *c, int curvature, covariance *s)
{
    cbp_real hessian[MOST * MOST], *work = numbers(cbp_hessian_work_len(c->chain.layers));
    CHECK(cbp_hessian(&c->chain, &c->examples, &c->options.loss, work, hessian) == CBP_OK);
    free(work);
    const cbp_real *exact = curvature == OBSERVED ? hessian : NULL;
    covariance by_node;
    CHECK(covariance_by_node(c, exact, &by_node) == CBP_OK);
    const int status = covariance_by(c, exact, s);
    CHECK(same(by_node.variance, s->variance) && same_all(by_node.matrix, s->matrix, MOST * MOST));
    CHECK(memcmp(by_node.determined, s->determined, MOST) == 0);
    return status;
}

/* The averaged gradient, and the averaged magnitudes of the examples' gradients. */
static inline void gradient_of(const call *c, cbp_real *loss, cbp_real *gradient, double *sizes)
{
    const size_t all = 2 * c->chain.layers, n = c->examples.n;
    cbp_real *work = numbers(cbp_work_len(c->chain.layers, n)), *rows = numbers(all * n);
    CHECK(cbp_gradient(&c->chain, &c->examples, &c->options.loss, work, loss, gradient) == CBP_OK);
    CHECK(cbp_gradients(&c->chain, &c->examples, &c->options.loss, work, rows) == CBP_OK);
    for (size_t k = 0; k < all; k++) {
        double sum = 0, total = 0;
        for (size_t i = 0; i < n; i++) {
            const double weight = c->examples.weight ? (double)c->examples.weight[i] : 1;
            sum += weight * fabs((double)rows[i * all + k]);
            total += weight;
        }
        sizes[k] = sum / total;
    }
    free(work);
    free(rows);
}

/* What a fit says of the parameters it returns is what the library finds there: the loss, and the
 * gradient by the parameters that are free and not at a bound. `norm` and `size`: Euclidean norms
 * of this gradient, and of the averaged magnitudes. */
static inline void measure(const call *c, double *norm, double *all_sizes)
{
    const size_t all = 2 * c->chain.layers;
    const unsigned char *frozen = c->chain.frozen;
    const cbp_real *params = c->chain.params, *lower = c->options.lower, *upper = c->options.upper;
    cbp_real *gradient = numbers(all), loss;
    double *sizes = malloc(all * sizeof *sizes);
    double squares = 0, squared_sizes = 0;
    if (!sizes) {
        exit(2);
    }
    gradient_of(c, &loss, gradient, sizes);
    for (size_t k = 0; k < all; k++) {
        const int at_low = lower && params[k] <= lower[k] && gradient[k] >= 0;
        const int at_high = upper && params[k] >= upper[k] && gradient[k] <= 0;
        if (!(frozen && frozen[k]) && !at_low && !at_high) {
            squares += (double)gradient[k] * (double)gradient[k];
            squared_sizes += sizes[k] * sizes[k];
        }
    }
    *norm = sqrt(squares);
    *all_sizes = sqrt(squared_sizes);
    CHECK(near((double)c->info.loss, (double)loss, 0, 16));
    CHECK(fabs((double)c->info.gradient_norm - *norm) <= 64 * EPSILON * *all_sizes);
    CHECK(c->info.params == params);
    free(gradient);
    free(sizes);
}

static inline void check_info(const call *c)
{
    double norm, size;
    measure(c, &norm, &size);
}

/* Converged, with a gradient as small as the tolerance says. */
static inline void check_minimum(const call *c)
{
    double norm, size;
    CHECK(c->info.outcome == CBP_CONVERGED);
    measure(c, &norm, &size);
    CHECK(norm <= (8 * (double)c->options.tolerance + 512 * EPSILON) * size);
}

/* Converged, with a gradient as small as the loss shows: its rounding, some EPSILON, exceeds what a
 * gradient below the square root of that changes. */
static inline void check_valley(const call *c)
{
    double norm, size;
    CHECK(c->info.outcome == CBP_CONVERGED);
    measure(c, &norm, &size);
    CHECK(norm <= (8 * (double)c->options.tolerance + 32 * sqrt(EPSILON)) * size);
}

/* ---- problems -------------------------------------------------------------------------------- */

static const unsigned char saturation[] = {CBP_EXPM1, CBP_IDENTITY};

/* Outliers among the points, where they leave the slope alone. */
static inline void add_outliers(void)
{
    for (size_t i = 0; i < POINTS; i++) {
        point_y[i] += fabs((double)point_x[i]) < 0.1 ? i % 2 ? 2 : -3 : 0;
    }
}

/* Sums over the points, each multiplied by its weight. */
typedef struct sums {
    double one, x, y, xx, xy;
} sums;

static inline sums sums_of(const double *weight)
{
    sums s = {0};
    for (size_t i = 0; i < POINTS; i++) {
        const double x = (double)point_x[i], y = (double)point_y[i];
        s.one += weight[i];
        s.x += weight[i] * x;
        s.y += weight[i] * y;
        s.xx += weight[i] * x * x;
        s.xy += weight[i] * x * y;
    }
    return s;
}

/* The weights in double, or all 1. */
static inline void weights_of(const cbp_real *weight, double *weights)
{
    for (size_t i = 0; i < POINTS; i++) {
        weights[i] = weight ? (double)weight[i] : 1;
    }
}

/* factor * (sum weight [x, 1]' [x, 1])^-1 */
static inline void invert(const double *weight, double factor, double *inverse)
{
    const sums s = sums_of(weight);
    const double determinant = s.one * s.xx - s.x * s.x;
    inverse[0] = factor * s.one / determinant;
    inverse[1] = inverse[2] = -factor * s.x / determinant;
    inverse[3] = factor * s.xx / determinant;
}

static inline int near_all(const cbp_real *a, const double *b, size_t n, double units)
{
    double scale = 0;
    for (size_t k = 0; k < n; k++) {
        scale = fmax(scale, fabs(b[k]));
    }
    for (size_t k = 0; k < n; k++) {
        if (!near((double)a[k], b[k], scale, units)) {
            return 0;
        }
    }
    return 1;
}

/* y = b1 (1 - exp(-b2 x)) as w1 = -b2, w2 = -b1, from the statistical reference datasets of NIST:
 * certified values, their standard deviations, and the sum of squares. */
typedef struct certified {
    size_t n;
    cbp_real x[14], y[14];
    double b1, b2, sd1, sd2, squares, start[2][2]; /* of b1, b2 */
} certified;

static const certified misra1a = {
    14,
    {R(77.6), R(114.9), R(141.1), R(190.8), R(239.9), R(289), R(332.8), R(378.4), R(434.8),
     R(477.3), R(536.8), R(593.1), R(689.1), R(760)},
    {R(10.07), R(14.73), R(17.94), R(23.93), R(29.61), R(35.18), R(40.02), R(44.82), R(50.76),
     R(55.05), R(61.01), R(66.4), R(75.47), R(81.78)},
    238.94212918,
    0.00055015643181,
    2.7070075241,
    7.2668688436e-06,
    0.12455138894,
    {{500, 1e-4}, {250, 5e-4}}};

static const certified boxbod = {6,
                                 {1, 2, 3, 5, 7, 10},
                                 {109, 149, 149, 191, 213, 224},
                                 213.80940889,
                                 0.54723748542,
                                 12.354515176,
                                 0.10455993237,
                                 1168.0088766,
                                 {{1, 1}, {100, 0.75}}};

static inline call fit_of_certified(const certified *problem, size_t start, cbp_real *params)
{
    call c = fit_of(saturation, 2, problem->x, problem->y, problem->n);
    c.chain.params = params;
    c.chain.frozen = weights_only;
    params[0] = R(-problem->start[start][1]);
    params[2] = R(-problem->start[start][0]);
    params[1] = params[3] = 0;
    return c;
}

#endif
