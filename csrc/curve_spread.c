/* The uncertainty of a fitted curve: from the triangle of the fit, or a covariance that is
 * given. */
#include "curve_spread.h"
#include "fit_step.h"

/* ---- roots of the covariance ----------------------------------------------------------------- */

/* The columns of the triangle that belong to coordinates with a variance, as stack[free][m + 1],
 * the last one 0; *free rows. Their numbers go to `places`. */
static size_t pick_moving(const cbp_curve_result *result, size_t count, size_t *places,
                          cbp_real *stack, size_t *free)
{
    size_t m = 0;
    unsigned char is_free[CBP_CURVE_PARAMETERS];
    *free = 0;
    for (size_t k = 0; k < count; k++) {
        const unsigned char kind = result->determined[k];
        is_free[k] = kind != CBP_FROZEN && k != result->fixed_at;
        *free += is_free[k];
        m += is_free[k] && (kind == CBP_DETERMINED || kind == CBP_DIVERGES);
    }
    for (size_t k = 0, from = 0, to = 0; k < count; k++) {
        const unsigned char kind = result->determined[k];
        if (is_free[k] && (kind == CBP_DETERMINED || kind == CBP_DIVERGES)) {
            places[to] = k;
            for (size_t i = 0; i < *free; i++) {
                stack[i * (m + 1) + to] = result->triangle[i * (*free + 1) + from];
            }
            to++;
        }
        from += is_free[k];
    }
    for (size_t i = 0; i < *free; i++) {
        stack[i * (m + 1) + m] = 0;
    }
    return m;
}

/* The inverse of the triangle R of the picked columns: R^-1 R^-1' is the inverse of R'R. It keeps
 * digits that the covariance has lost: those of differences between strongly correlated
 * parameters. */
static void root_of_triangle(const cbp_curve_result *result, cbp_real factor, cbp_curve_spread *s)
{
    size_t places[CBP_CURVE_PARAMETERS], free;
    cbp_real stack[CBP_CURVE_PARAMETERS * (CBP_CURVE_PARAMETERS + 1)];
    const size_t m = pick_moving(result, s->count, places, stack, &free), width = m + 1;
    cbp_triangulate(stack, free, m, width);
    for (size_t j = 0; j < m; j++) {
        cbp_real column[CBP_CURVE_PARAMETERS];
        for (size_t i = j + 1; i-- > 0;) {
            cbp_real sum = i == j ? 1 : 0;
            for (size_t k = i + 1; k <= j; k++) {
                sum -= stack[i * width + k] * column[k];
            }
            column[i] = sum / stack[i * width + i];
            s->root[places[i] * s->count + j] = factor * column[i];
        }
        s->moves[places[j]] = 1;
    }
}

/* Cholesky's factor; what is not finite counts as 0. */
static void root_of_covariance(const cbp_real *covariance, cbp_curve_spread *s)
{
    const size_t count = s->count;
    for (size_t j = 0; j < count; j++) {
        for (size_t i = j; i < count; i++) {
            const cbp_real given = covariance[i * count + j],
                           pivot = i == j ? 0 : s->root[j * count + j];
            cbp_real left = cbp_is_finite(given) ? given : 0;
            for (size_t k = 0; k < j; k++) {
                left -= s->root[i * count + k] * s->root[j * count + k];
            }
            s->root[i * count + j] = i == j      ? (left > 0 ? cbp_root(left) : 0)
                                     : pivot > 0 ? left / pivot
                                                 : 0;
        }
        s->moves[j] = covariance[j * count + j] > 0 && cbp_is_finite(covariance[j * count + j]);
    }
}

/* ---- what a caller gives --------------------------------------------------------------------- */

static int check_inference(const cbp_curve_inference *fit)
{
    if (!fit || !cbp_curve_has_arrays(fit->result)) {
        return CBP_ERROR_NULL;
    }
    if (cbp_curve_check(fit->curve) != CBP_OK) {
        return CBP_ERROR_CURVE;
    }
    if (fit->loss < 0 || fit->loss >= CBP_LOSS_END) {
        return CBP_ERROR_LOSS;
    }
    const int is_kind = fit->interval >= 0 && fit->interval < CBP_INTERVAL_END;
    const int is_known = is_kind && cbp_is_finite(fit->variance_power);
    return is_known && fit->level > 0 && fit->level < 1 ? CBP_OK : CBP_ERROR_OPTION;
}

int cbp_curve_open_spread(const cbp_curve_inference *fit, cbp_curve_spread *s)
{
    const int status = check_inference(fit);
    if (status != CBP_OK) {
        return status;
    }
    const cbp_curve *curve = fit->curve;
    const cbp_curve_result *result = fit->result;
    const cbp_real dispersion = cbp_loss_table[fit->loss].dispersion,
                   variance = dispersion > 0 ? dispersion : result->variance;
    cbp_real params[CBP_CURVE_PLACES];
    cbp_curve_point p;
    memset(s, 0, sizeof *s);
    s->curve = curve;
    s->count = cbp_curve_count_parameters(curve);
    s->chain = (cbp_chain){result->params, curve->activations, NULL, cbp_curve_count_layers(curve)};
    for (size_t k = 0; k < s->count; k++) {
        const int is_given = fit->covariance && result->determined[k] == CBP_DETERMINED;
        cbp_curve_set_natural(curve, k, result->natural[k], &p);
        s->unknown[k] = result->determined[k] == CBP_UNDETERMINED ||
                        (is_given && !cbp_is_finite(fit->covariance[k * s->count + k]));
    }
    cbp_curve_chain_at(curve, &p, params, s->slopes);
    if (fit->covariance) {
        root_of_covariance(fit->covariance, s);
    } else {
        root_of_triangle(result, cbp_root(variance), s);
    }
    s->is_blind = variance != variance;
    s->observation = dispersion > 0 ? (cbp_real)NAN : variance;
    s->power = fit->variance_power;
    s->quantile = cbp_t_quantile((cbp_real)0.5 + fit->level / 2,
                                 dispersion > 0 ? (cbp_real)INFINITY : result->df);
    s->interval = fit->interval;
    return CBP_OK;
}

/* ---- numbers with an uncertainty ------------------------------------------------------------- */

cbp_real cbp_curve_observation_at(const cbp_curve_spread *s, cbp_real value)
{
    const cbp_real log = s->power != 0 ? cbp_curve_value(CBP_LOG, cbp_magnitude(value)) : 0;
    return s->power != 0 ? s->observation * cbp_curve_value(CBP_EXP, s->power * log)
                         : s->observation;
}

cbp_real cbp_curve_slopes_at(const cbp_curve_spread *s, cbp_real x, cbp_real *by_x,
                             cbp_real *slopes)
{
    cbp_real z[CBP_CURVE_LAYERS], a[CBP_CURVE_LAYERS], slope[CBP_CURVE_LAYERS],
        delta[CBP_CURVE_LAYERS], gradient[CBP_CURVE_PLACES];
    const cbp_record record = {z, a, slope, delta, gradient};
    const cbp_loss output = {CBP_OUTPUT, 1};
    const cbp_real value = cbp_kernels_now()->gradient_one(&s->chain, output, x, 0, &record);
    *by_x = delta[0] * s->chain.params[0];
    for (size_t k = 0; k < s->count; k++) {
        slopes[k] = 0;
        for (size_t place = 0; place < 2 * s->chain.layers; place++) {
            const cbp_real inner = s->slopes[place * s->count + k];
            slopes[k] += inner != 0 ? gradient[place] * inner : 0; /* not infinity times 0 */
        }
    }
    return value;
}

cbp_real cbp_curve_variance_of(const cbp_curve_spread *s, const cbp_real *slopes)
{
    cbp_real variance = 0;
    for (size_t k = 0; k < s->count; k++) {
        if (s->unknown[k] && slopes[k] != 0) {
            return (cbp_real)INFINITY;
        }
    }
    for (size_t j = 0; j < s->count; j++) {
        cbp_real sum = 0;
        for (size_t k = 0; k < s->count; k++) {
            sum += s->moves[k] ? slopes[k] * s->root[k * s->count + j] : 0;
        }
        variance += sum * sum;
    }
    return s->is_blind ? (cbp_real)NAN : variance == variance ? variance : (cbp_real)INFINITY;
}

cbp_real cbp_curve_difference_at(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real x,
                                 cbp_real *difference, cbp_real *by_x)
{
    cbp_real slopes[CBP_CURVE_PARAMETERS];
    const cbp_real value = cbp_curve_slopes_at(s, x, by_x, slopes);
    *difference = value - aim->target;
    for (size_t k = 0; k < s->count; k++) {
        slopes[k] -= aim->slopes[k];
    }
    return cbp_curve_variance_of(s, slopes) +
           (aim->is_exact ? 0 : cbp_curve_observation_at(s, value) / aim->weight);
}

/* ---- intervals ------------------------------------------------------------------------------- */

void cbp_curve_plain_ends(cbp_real value, cbp_real reach, cbp_real *low, cbp_real *high)
{
    const int is_endless = reach == (cbp_real)INFINITY && value == value;
    *low = is_endless ? -(cbp_real)INFINITY : value - reach;
    *high = is_endless ? (cbp_real)INFINITY : value + reach;
}

void cbp_curve_log_ends(cbp_real value, cbp_real reach, cbp_real *low, cbp_real *high)
{
    const cbp_real factor = cbp_curve_value(CBP_EXP, reach);
    const int is_endless = !(value > 0 && cbp_is_finite(value)) || factor == (cbp_real)INFINITY;
    if (value != value || reach != reach) {
        *low = *high = (cbp_real)NAN;
    } else {
        *low = is_endless ? 0 : value / factor;
        *high = is_endless ? (cbp_real)INFINITY : value * factor;
    }
}
