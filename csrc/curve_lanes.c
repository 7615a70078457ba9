/* Fits of a curve in lanes, where cbp_fit_many fits its chain: what they say of the curve, and the
 * starts of one fit side by side.
 */
#include "curve_lanes.h"

/* Bounds of the chain by which only fits of CBP_ORDERED with low <= high are found: its last weight
 * is high - low, or low - high. */
static void order_chain(cbp_curve_search *s)
{
    const size_t last = 2 * s->layers - 2;
    s->has_order = s->curve->signs == CBP_ORDERED && cbp_curve_has_free_ends(s);
    for (size_t k = 0; k < CBP_CURVE_PLACES; k++) {
        s->chain_lower[k] = -(cbp_real)INFINITY;
        s->chain_upper[k] = (cbp_real)INFINITY;
    }
    const int is_rise = s->curve->terms[last].i == s->curve->ends.high;
    *(is_rise ? &s->chain_lower[last] : &s->chain_upper[last]) = 0;
}

void cbp_curve_freeze_chain(cbp_curve_search *s)
{
    size_t left = 0;
    for (size_t k = 0; k < 2 * s->layers; k++) {
        const cbp_curve_term *term = &s->curve->terms[k];
        const int has_two = term->rule == CBP_RULE_DIFFERENCE || term->rule == CBP_RULE_PRODUCT ||
                            term->rule == CBP_RULE_RATIO;
        s->chain_frozen[k] =
            s->constants[k] || (s->frozen[term->i] && (!has_two || s->frozen[term->j]));
        left += !s->chain_frozen[k];
    }
    order_chain(s);
    /* where slopes jump, steps in other coordinates may lead to another minimum */
    int is_smooth = 1;
    for (size_t l = 0; l < s->layers; l++) {
        is_smooth &= !cbp_activation_table[s->curve->activations[l]].has_kink;
    }
    s->fits_in_lanes = is_smooth && left == cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS) &&
                       s->curve->power_at == 0; /* of powers few fits converge there */
}

cbp_fit_options cbp_curve_lane_options(const cbp_curve_search *s)
{
    cbp_fit_options options = s->options;
    options.lower = s->has_order ? s->chain_lower : NULL;
    options.upper = s->has_order ? s->chain_upper : NULL;
    options.restarts = 0;
    options.history_len = 0;
    if (options.max_iterations > CBP_CURVE_LANE_ITERATIONS) {
        options.max_iterations = CBP_CURVE_LANE_ITERATIONS;
    }
    return options;
}

int cbp_curve_is_settled(const cbp_fits *found, size_t i, size_t width)
{
    int is_determined =
        found->status[i] == CBP_CONVERGED && found->iterations[i] <= CBP_CURVE_LANE_ITERATIONS;
    for (size_t k = 0; k < width; k++) {
        const unsigned char kind = found->determined[i * width + k];
        is_determined &= kind == CBP_DETERMINED || kind == CBP_FROZEN;
    }
    return is_determined;
}

int cbp_curve_settle_point(const cbp_curve_search *s, const cbp_real *params, cbp_curve_point *own,
                           cbp_curve_point *p, cbp_real *slopes)
{
    cbp_real at[CBP_CURVE_WIDTH] = {0};
    if (!cbp_curve_point_of(s->curve, params, own, slopes)) {
        return 0;
    }
    *p = *own;
    for (size_t k = 0; k < s->count; k++) {
        if (s->frozen[k]) {
            cbp_curve_set_natural(s->curve, k, s->fixed.n[k], p);
        }
        at[k] = p->t[k];
    }
    cbp_curve_choose_mirror(s, at);
    if (!cbp_curve_is_ordered(s, at)) {
        return 0;
    }
    for (size_t k = 0; k < s->count; k++) {
        if (at[k] != p->t[k]) {
            cbp_curve_set_coordinate(s->curve, k, at[k], p);
        }
        if (!s->frozen[k] && (at[k] < s->lower[k] || at[k] > s->upper[k])) {
            return 0;
        }
    }
    return 1;
}

/* ---- the starts of one fit ------------------------------------------------------------------- */

/* What is found from each start. */
typedef struct start_fits {
    cbp_real params[CBP_CURVE_STARTS * CBP_CURVE_PLACES], loss[CBP_CURVE_STARTS],
        rest[3][CBP_CURVE_STARTS], errors[CBP_CURVE_STARTS * CBP_CURVE_PLACES];
    size_t iterations[CBP_CURVE_STARTS];
    int status[CBP_CURVE_STARTS];
    unsigned char determined[CBP_CURVE_STARTS * CBP_CURVE_PLACES];
} start_fits;

size_t cbp_curve_fit_starts_work_len(size_t n)
{
    return n > CBP_CURVE_LANE_EXAMPLES
               ? 0
               : CBP_CURVE_STARTS * n +
                     cbp_fit_many_work_len(CBP_CURVE_LAYERS, CBP_CURVE_PARAMETERS, n);
}

/* The fits from all starts; 0 if there are none. */
static int fit_all_starts(cbp_curve_search *s, cbp_real *work, start_fits *fits,
                          const cbp_fits *found)
{
    const cbp_examples *examples = &s->problem.examples;
    const size_t n = examples->n, m = s->starts_len, width = 2 * s->layers;
    cbp_fit_options options = cbp_curve_lane_options(s);
    const cbp_chain chain = {fits->params, s->curve->activations, s->chain_frozen, s->layers};
    cbp_real *y = work, loss = (cbp_real)INFINITY;
    const cbp_example_sets sets = {examples->x, y, examples->weight, n, m, 0, 0};
    const cbp_least least = {&loss, 0};
    options.progress = NULL; /* it hears of the iterations of cbp_fit_over */
    for (size_t i = 0; i < m; i++) {
        cbp_curve_point p;
        for (size_t k = 0; k < s->count; k++) {
            if (s->frozen[k]) {
                cbp_curve_set_natural(s->curve, k, s->fixed.n[k], &p);
            } else {
                cbp_curve_set_coordinate(s->curve, k, s->starts[i].at[k], &p);
            }
        }
        cbp_curve_chain_at(s->curve, &p, fits->params + i * width, NULL);
        memcpy(y + i * n, examples->y, n * sizeof *y);
    }
    return cbp_fit_many_in_lanes(&chain, &sets, &options, &least, y + CBP_CURVE_STARTS * n,
                                 found) == CBP_OK;
}

int cbp_curve_fit_starts(cbp_curve_search *s, cbp_real *work)
{
    start_fits fits;
    const cbp_fits found = {.params = fits.params,
                            .status = fits.status,
                            .iterations = fits.iterations,
                            .loss = fits.loss,
                            .weight = fits.rest[0],
                            .variance = fits.rest[1],
                            .df = fits.rest[2],
                            .standard_error = fits.errors,
                            .determined = fits.determined};
    const size_t width = 2 * s->layers;
    cbp_curve_start best = {{0}, (cbp_real)INFINITY, 0, 0};
    if (s->starts_len == 0 || !s->fits_in_lanes ||
        s->problem.examples.n > CBP_CURVE_LANE_EXAMPLES ||
        !fit_all_starts(s, work, &fits, &found)) {
        return 0;
    }
    for (size_t i = 0; i < s->starts_len; i++) {
        cbp_curve_point own, p;
        if (cbp_curve_is_settled(&found, i, width) && fits.loss[i] < best.loss &&
            cbp_curve_settle_point(s, fits.params + i * width, &own, &p, NULL)) {
            memcpy(best.at, p.t, s->count * sizeof *p.t);
            best.loss = fits.loss[i];
            best.sign = s->starts[i].sign;
        }
    }
    if (!(best.loss < (cbp_real)INFINITY)) {
        return 0;
    }
    size_t kept = 0;
    cbp_curve_start starts[CBP_CURVE_STARTS];
    memcpy(starts, s->starts, sizeof starts);
    s->starts[kept++] = best;
    for (size_t i = 0; i < s->starts_len; i++) {
        if (!cbp_curve_is_settled(&found, i, width) &&
            !(fits.loss[i] >= CBP_CURVE_NEAR * best.loss) && kept < CBP_CURVE_STARTS) {
            s->starts[kept++] = starts[i];
        }
    }
    s->starts_len = kept;
    return 1;
}

int cbp_curve_finish(cbp_curve_search *s, cbp_real loss, cbp_real *work)
{
    const cbp_curve_start from = s->starts[0];
    s->starts_len = 1;
    if (s->options.max_iterations > CBP_CURVE_LANE_ITERATIONS && !s->is_stopped &&
        cbp_curve_fit_starts(s, work) && s->starts[0].loss <= loss + cbp_curve_noise(s, loss)) {
        return 1;
    }
    s->starts[0] = from;
    return 0;
}
