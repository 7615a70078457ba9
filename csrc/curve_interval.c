/* Intervals of a fitted curve: its parameters, bands, inverses, effective doses. */
#include "curve_spread.h"

/* ---- parameters ------------------------------------------------------------------------------ */

int cbp_curve_intervals(const cbp_curve_inference *fit, cbp_real *low, cbp_real *high)
{
    cbp_curve_spread s;
    const int status = low && high ? cbp_curve_open_spread(fit, &s) : CBP_ERROR_NULL;
    if (status != CBP_OK || s.interval == CBP_INTERVAL_FIELLER) {
        return status != CBP_OK ? status : CBP_ERROR_OPTION;
    }
    const cbp_real *covariance = fit->covariance ? fit->covariance : fit->result->covariance;
    for (size_t k = 0; k < s.count; k++) {
        const unsigned char kind = fit->result->determined[k];
        const int is_known = kind != CBP_UNDETERMINED && kind != CBP_DIVERGES;
        const cbp_real value = fit->result->natural[k],
                       reach = is_known ? s.quantile * cbp_root(covariance[k * s.count + k])
                                        : (cbp_real)INFINITY;
        if (!s.curve->positive[k]) {
            cbp_curve_plain_ends(value, reach, &low[k], &high[k]);
        } else if (s.interval == CBP_INTERVAL_LOG) {
            cbp_curve_log_ends(value, reach, &low[k], &high[k]);
        } else {
            cbp_curve_plain_ends(value, is_known ? value * reach : reach, &low[k], &high[k]);
        }
    }
    return CBP_OK;
}

/* ---- bands ----------------------------------------------------------------------------------- */

static int is_weight(cbp_real weight)
{
    return weight >= 0 && cbp_is_finite(weight);
}

static void put(cbp_real *array, size_t i, cbp_real number)
{
    if (array) {
        array[i] = number;
    }
}

int cbp_curve_predict(const cbp_curve_inference *fit, const cbp_real *x, size_t n, cbp_real weight,
                      const cbp_curve_band *band)
{
    cbp_curve_spread s;
    int status = band && (x || n == 0) ? cbp_curve_open_spread(fit, &s) : CBP_ERROR_NULL;
    if (status == CBP_OK && !is_weight(weight)) {
        status = CBP_ERROR_WEIGHT;
    }
    for (size_t i = 0; status == CBP_OK && i < n; i++) {
        cbp_real slopes[CBP_CURVE_PARAMETERS], by_x, low, high;
        const cbp_real value = cbp_curve_slopes_at(&s, x[i], &by_x, slopes),
                       variance = cbp_curve_variance_of(&s, slopes),
                       single = variance + cbp_curve_observation_at(&s, value) / weight;
        put(band->value, i, value);
        put(band->standard_error, i, value == value ? cbp_root(variance) : value);
        cbp_curve_plain_ends(value, s.quantile * cbp_root(variance), &low, &high);
        put(band->low, i, low);
        put(band->high, i, high);
        cbp_curve_plain_ends(value, s.quantile * cbp_root(single), &low, &high);
        put(band->prediction_low, i, low);
        put(band->prediction_high, i, high);
    }
    return status;
}

/* ---- inputs of given outputs ----------------------------------------------------------------- */

static int check_one_to_one(const cbp_chain *chain)
{
    for (size_t l = 0; l < chain->layers; l++) {
        if (!cbp_activation_table[chain->activations[l]].one_to_one || chain->params[2 * l] == 0) {
            return CBP_ERROR_NOT_INVERTIBLE;
        }
    }
    return CBP_OK;
}

/* Number i of the inputs: where the chain gives what is aimed at. */
static void find_input(const cbp_curve_spread *s, const cbp_curve_aim *aim, size_t i,
                       const cbp_curve_inputs *inputs)
{
    const cbp_real found = cbp_kernels_now()->inverse_one(&s->chain, aim->target);
    const int is_in_domain = found >= s->curve->domain_low && found <= s->curve->domain_high;
    const cbp_real value = is_in_domain ? found : (cbp_real)NAN;
    cbp_real difference, by_x, low, high;
    const cbp_real variance = cbp_curve_difference_at(s, aim, value, &difference, &by_x),
                   error = value != value || variance != variance ? (cbp_real)NAN
                           : by_x != 0 && cbp_is_finite(value) && cbp_is_finite(variance)
                               ? cbp_root(variance) / cbp_magnitude(by_x)
                               : (cbp_real)INFINITY,
                   reach = s->quantile * error;
    if (s->interval == CBP_INTERVAL_FIELLER) {
        cbp_curve_fieller_ends(s, aim, &low, &high);
    } else if (s->interval == CBP_INTERVAL_LOG && s->curve->domain_low == 0) {
        cbp_curve_log_ends(value, value > 0 && cbp_is_finite(value) ? reach / value : reach, &low,
                           &high);
    } else {
        cbp_curve_plain_ends(value, reach, &low, &high);
    }
    put(inputs->value, i, value);
    put(inputs->standard_error, i, error);
    put(inputs->low, i, low);
    put(inputs->high, i, high);
}

int cbp_curve_invert(const cbp_curve_inference *fit, const cbp_real *y, const cbp_real *weight,
                     size_t n, const cbp_curve_inputs *inputs)
{
    cbp_curve_spread s;
    int status = inputs && (y || n == 0) ? cbp_curve_open_spread(fit, &s) : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        status = check_one_to_one(&s.chain);
    }
    for (size_t i = 0; status == CBP_OK && weight && i < n; i++) {
        status = is_weight(weight[i]) ? CBP_OK : CBP_ERROR_WEIGHT;
    }
    for (size_t i = 0; status == CBP_OK && i < n; i++) {
        const cbp_curve_aim aim = {y[i], {0}, weight ? weight[i] : 0, !weight};
        find_input(&s, &aim, i, inputs);
    }
    return status;
}

/* ---- effective doses ------------------------------------------------------------------------- */

/* Leaves a last linear layer out, of which a fraction of the effect does not depend. */
static void leave_out_linear(cbp_curve_spread *s)
{
    const size_t last = s->chain.layers - 1;
    s->chain.layers -= last > 0 && s->chain.activations[last] == CBP_IDENTITY;
}

/* The effect: where it starts, and the chain's outputs and their slopes there and at its end. */
typedef struct curve_effect {
    cbp_real first, last, at_first[CBP_CURVE_PARAMETERS], at_last[CBP_CURVE_PARAMETERS];
} curve_effect;

static int find_effect(const cbp_curve_spread *s, curve_effect *effect)
{
    cbp_real by_x;
    effect->first = cbp_curve_slopes_at(s, s->curve->domain_low, &by_x, effect->at_first);
    if (!cbp_is_finite(effect->first)) {
        effect->first = cbp_curve_slopes_at(s, 0, &by_x, effect->at_first);
    }
    effect->last = cbp_curve_slopes_at(s, s->curve->domain_high, &by_x, effect->at_last);
    return cbp_is_finite(effect->first) && cbp_is_finite(effect->last) ? CBP_OK : CBP_ERROR_LIMIT;
}

/* The first layer with parameters: what it gives before its activation is linear in x, or in the
 * logarithm or the reciprocal of x, so that Fieller's intervals are the usual ones. */
static size_t first_with_parameters(const cbp_curve_spread *s)
{
    size_t i = 0;
    const size_t numbers = 2 * s->count; /* of a layer */
    while (i < (s->chain.layers - 1) * numbers && s->slopes[i] == 0) {
        i++;
    }
    return i / numbers;
}

/* Goes back from the chain's output to what a layer gives before its activation. */
static void aim_at_layer(const cbp_curve_spread *s, size_t layer, cbp_curve_aim *aim)
{
    static const cbp_real unit[] = {1, 0};
    for (size_t l = s->chain.layers; l-- > layer;) {
        const cbp_chain one = {unit, &s->chain.activations[l], NULL, 1};
        const int is_inner = l == layer;
        const cbp_real *params = is_inner ? unit : &s->chain.params[2 * l],
                       *slopes = &s->slopes[2 * l * s->count];
        const cbp_real z = cbp_kernels_now()->inverse_one(&one, aim->target);
        cbp_real at, value, slope, delta, gradient[2];
        const cbp_record record = {&at, &value, &slope, &delta, gradient};
        cbp_kernels_now()->gradient_one(&one, (cbp_loss){CBP_OUTPUT, 1}, z, 0, &record);
        aim->target = (z - params[1]) / params[0];
        for (size_t k = 0; k < s->count; k++) {
            const cbp_real by_layer = is_inner ? 0 : slopes[s->count + k] + aim->target * slopes[k];
            aim->slopes[k] = (aim->slopes[k] / slope - by_layer) / params[0];
        }
    }
}

int cbp_curve_effective_dose(const cbp_curve_inference *fit, const cbp_real *fractions, size_t n,
                             const cbp_curve_inputs *inputs)
{
    cbp_curve_spread s;
    curve_effect effect;
    int status = inputs && (fractions || n == 0) ? cbp_curve_open_spread(fit, &s) : CBP_ERROR_NULL;
    for (size_t i = 0; status == CBP_OK && i < n; i++) {
        status = fractions[i] > 0 && fractions[i] < 1 ? CBP_OK : CBP_ERROR_OPTION;
    }
    if (status == CBP_OK) {
        leave_out_linear(&s);
        status = check_one_to_one(&s.chain);
    }
    if (status == CBP_OK) {
        status = find_effect(&s, &effect);
    }
    for (size_t k = 0; status == CBP_OK && k < s.count; k++) {
        /* what diverges is far out, where a fraction of the effect may be, too */
        s.unknown[k] |= fit->result->determined[k] == CBP_DIVERGES;
    }
    if (status != CBP_OK) {
        return status;
    }
    const size_t layer = first_with_parameters(&s);
    unsigned char activations[CBP_CURVE_LAYERS];
    cbp_curve_spread inner = s;
    memcpy(activations, s.chain.activations, s.chain.layers);
    activations[layer] = CBP_IDENTITY;
    inner.chain.activations = activations;
    inner.chain.layers = layer + 1;
    for (size_t i = 0; i < n; i++) {
        const cbp_real part = fractions[i];
        cbp_curve_aim aim = {effect.first + part * (effect.last - effect.first), {0}, 0, 1};
        for (size_t k = 0; k < s.count; k++) {
            aim.slopes[k] = effect.at_first[k] + part * (effect.at_last[k] - effect.at_first[k]);
        }
        aim_at_layer(&s, layer, &aim);
        find_input(&inner, &aim, i, inputs);
    }
    return CBP_OK;
}
