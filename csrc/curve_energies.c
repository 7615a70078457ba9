/* Where fits of an Arrhenius curve start: its last layer is no line that could be solved for. */
#include "curve.h"

/* Slopes of each sign that are tried. */
#define ENERGIES 10

/* The line through log y over 1 / x, of positive y, which are weighted by y^2: so errors of y count
 * as they do in the fit. */
static void set_line_of_logs(const cbp_curve *curve, const cbp_examples *examples, cbp_real *params)
{
    cbp_real total = 0, mean_u = 0, mean_v = 0, square = 0, along = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < examples->n; i++) {
            const cbp_real y = examples->y[i], x = examples->x[i];
            if (y > 0 && x > 0) {
                const cbp_real u = 1 / x, v = cbp_curve_value(CBP_LOG, y),
                               weight = (examples->weight ? examples->weight[i] : 1) * y * y;
                if (pass == 0) {
                    total += weight;
                    mean_u += weight * u;
                    mean_v += weight * v;
                } else {
                    square += weight * (u - mean_u) * (u - mean_u);
                    along += weight * (u - mean_u) * (v - mean_v);
                }
            }
        }
        if (pass == 0 && total > 0) {
            mean_u /= total;
            mean_v /= total;
        }
    }
    const cbp_real slope = square > 0 ? along / square : 0;
    cbp_curve_set_candidate(curve, 1, 0, 0, params);
    params[curve->slope_at] = slope;
    params[curve->slope_at + 1] = total > 0 ? mean_v - slope * mean_u : 0;
}

/* The curve of this slope over 1 / x and the bias that suits it best; 0 if that is none. */
static int set_energy(const cbp_curve *curve, const cbp_examples *examples, cbp_real slope,
                      cbp_real *params)
{
    cbp_real most = -(cbp_real)INFINITY, along = 0, square = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real exponent = slope / examples->x[i];
        most = exponent > most ? exponent : most;
    }
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real value = cbp_curve_value(CBP_EXP, slope / examples->x[i] - most),
                       weight = examples->weight ? examples->weight[i] : 1;
        along += weight * value * examples->y[i];
        square += weight * value * value;
    }
    const cbp_real bias = cbp_curve_value(CBP_LOG, along / square) - most,
                   prefactor = cbp_curve_value(CBP_EXP, bias);
    if (!(along > 0 && prefactor > 0 && cbp_is_finite(prefactor))) {
        return 0;
    }
    cbp_curve_set_candidate(curve, 1, 0, 0, params);
    params[curve->slope_at] = slope;
    params[curve->slope_at + 1] = bias;
    return 1;
}

size_t cbp_curve_fill_energies(const cbp_curve_search *s, const cbp_examples *examples,
                               cbp_real low, cbp_real range, cbp_real *params)
{
    const size_t width = 2 * s->layers;
    const cbp_chain line = {params, s->curve->activations, NULL, s->layers};
    const cbp_loss squared = {CBP_SQUARED, 1};
    cbp_real loss;
    size_t count = 1;
    set_line_of_logs(s->curve, examples, params);
    if (cbp_loss_mean(&line, examples, &squared, &loss) == CBP_OK &&
        !cbp_curve_explains_little(s, examples, loss)) {
        return 1;
    }
    const cbp_real unit = low * (low + range) / range; /* over the range of 1 / x */
    for (int i = 0; i < 2 * ENERGIES; i++) {
        const cbp_real slope = (i % 2 ? -unit : unit) * (cbp_real)((size_t)1 << i / 2) / 2;
        count += (size_t)set_energy(s->curve, examples, slope, params + count * width);
    }
    return count;
}
