/* What a fit of a curve has found: parameters, and what the examples say of each. */
#include "curve.h"

/* A standard error of so many times the parameter, or of so much in its logarithm, determines
 * nothing. A parameter that may be 0 is taken for at least so large, relative to the targets. */
#define LEAST_KNOWN ((cbp_real)1e9)
#define LEAST_KNOWN_LOG 100
#define LEAST_SIZE ((cbp_real)1e-6)

/* What the examples say of a parameter: `kind` as cbp_fit_node_covariance has it, with the standard
 * error of its coordinate. */
static unsigned char kind_of_parameter(const cbp_curve_search *s, const cbp_curve_point *p,
                                       size_t k, unsigned char kind, cbp_real error)
{
    if (s->diverges[k]) {
        return CBP_DIVERGES;
    }
    const cbp_real natural = p->n[k], least = LEAST_SIZE * cbp_root(cbp_curve_mean_square(s)),
                   size = cbp_magnitude(natural) + least;
    const int is_unknown = !cbp_is_finite(natural) ||
                           (s->curve->positive[k] ? error > LEAST_KNOWN_LOG || !(natural > 0)
                                                  : error > LEAST_KNOWN * size);
    return kind == CBP_DETERMINED && is_unknown ? CBP_UNDETERMINED : kind;
}

/* Fewer different inputs than parameters cannot determine all of them: if rounding hides which, it
 * is none. */
static void doubt_all(const cbp_curve_search *s, unsigned char *determined)
{
    size_t known = 0, unknown = 0;
    for (size_t k = 0; k < s->count; k++) {
        known += determined[k] == CBP_DETERMINED;
        unknown += determined[k] == CBP_UNDETERMINED || determined[k] == CBP_DIVERGES;
    }
    for (size_t k = 0; unknown == 0 && known > s->inputs && k < s->count; k++) {
        determined[k] = determined[k] == CBP_DETERMINED ? CBP_UNDETERMINED : determined[k];
    }
}

/* The covariance of all coordinates, from that of those that are free: matrix[free][free]. */
static void spread_covariance(const cbp_curve_search *s, const cbp_real *matrix, size_t free,
                              cbp_curve_result *result)
{
    const size_t count = s->count;
    for (size_t k = 0, row = 0; k < count; k++) {
        for (size_t j = 0, column = 0; j < count; j++) {
            const int is_free = !s->frozen[k] && !s->frozen[j];
            result->covariance[k * count + j] = is_free ? matrix[row * free + column] : 0;
            column += !s->frozen[j];
        }
        row += !s->frozen[k];
    }
}

/* Of parameters that are not known the variance is infinite, and covariances are NaN. */
static void clear_unknown(const cbp_curve_search *s, cbp_curve_result *result)
{
    const size_t count = s->count;
    for (size_t k = 0; k < count; k++) {
        const unsigned char kind = result->determined[k];
        const int is_unknown = kind == CBP_UNDETERMINED || kind == CBP_DIVERGES;
        for (size_t j = 0; is_unknown && j < count; j++) {
            if (!s->frozen[j]) {
                result->covariance[k * count + j] = result->covariance[j * count + k] =
                    j == k ? (cbp_real)INFINITY : (cbp_real)NAN;
            }
        }
    }
}

/* The parameters that were found, s->starts[0], with those that are fixed. */
static cbp_curve_point found_point(const cbp_curve_search *s)
{
    cbp_curve_point p;
    for (size_t k = 0; k < s->count; k++) {
        const cbp_real at = s->frozen[k] ? s->fixed.t[k] : s->starts[0].at[k];
        cbp_curve_set_coordinate(s->curve, k, at, &p);
        p.n[k] = s->frozen[k] ? s->fixed.n[k] : p.n[k];
    }
    return p;
}

/* Sums over the examples, and the residuals of the chain that was found. */
static void sum_examples(const cbp_curve_search *s, cbp_curve_result *result)
{
    const cbp_examples *examples = &s->problem.examples;
    const cbp_chain chain = {result->params, s->curve->activations, NULL, s->layers};
    cbp_real weight = 0, targets = 0, outputs[CBP_FIT_TILE];
    result->examples = result->log_weight = result->rss = result->total_squares = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real own = examples->weight ? examples->weight[i] : 1;
        weight += own;
        targets += own * examples->y[i];
        result->examples += own > 0;
        result->log_weight += own > 0 && own != 1 ? cbp_curve_value(CBP_LOG, own) : 0;
    }
    const cbp_real mean = targets / weight;
    for (size_t first = 0; first < examples->n; first += CBP_FIT_TILE) {
        const size_t left = examples->n - first, count = left < CBP_FIT_TILE ? left : CBP_FIT_TILE;
        cbp_kernels_now()->forward(&chain, examples->x + first, count, outputs);
        for (size_t i = 0; i < count; i++) {
            const cbp_real own = examples->weight ? examples->weight[first + i] : 1,
                           y = examples->y[first + i], residual = outputs[i] - y, apart = y - mean;
            result->rss += own > 0 ? own * (residual * residual) : 0;
            result->total_squares += own > 0 ? own * (apart * apart) : 0;
        }
    }
    result->weight = weight;
}

int cbp_curve_conclude(cbp_curve_search *s, const cbp_real *known, cbp_curve_result *result)
{
    const size_t count = s->count, fixed_at = s->fixed_at;
    cbp_real matrix[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS];
    unsigned char determined[CBP_CURVE_WIDTH];
    const cbp_covariance covariance = {&result->variance, matrix, determined};
    if (fixed_at < count) {
        s->frozen[fixed_at] = 1;
        cbp_curve_set_coordinate(s->curve, fixed_at, s->starts[0].at[fixed_at], &s->fixed);
    }
    const cbp_curve_point p = found_point(s);
    const size_t free = cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS);
    const cbp_real *node = known ? known : cbp_curve_triangle_at(s, s->starts[0].at),
                   *sums = node + cbp_fit_sums_at(free);
    const int status =
        cbp_fit_node_covariance(&s->coordinates, &s->options, node, NULL, s->work, &covariance);
    if (status == CBP_OK) {
        spread_covariance(s, matrix, free, result);
        cbp_curve_chain_at(s->curve, &p, result->params, NULL);
        memcpy(result->triangle, node, (free + 1) * (free + 1) * sizeof *node);
        memcpy(result->natural, p.n, count * sizeof *p.n);
        result->fixed_at = fixed_at;
        result->status = CBP_OK;
        result->df = sums[2] + sums[6];
        for (size_t k = 0; k < count; k++) {
            const cbp_real error = cbp_root(result->covariance[k * count + k]);
            result->df -= determined[k] == CBP_DETERMINED || determined[k] == CBP_UNDETERMINED;
            result->determined[k] = kind_of_parameter(s, &p, k, determined[k], error);
        }
    }
    if (fixed_at < count) {
        s->frozen[fixed_at] = 0;
    }
    if (status == CBP_OK) {
        if (!known) { /* or other examples may determine what these do not */
            doubt_all(s, result->determined);
        }
        clear_unknown(s, result);
        sum_examples(s, result);
    }
    return status;
}
