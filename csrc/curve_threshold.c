/* Curves with a threshold: where it passes an input the loss has a kink, and may have a minimum
 * that no derivative tells of.
 */
#include "curve.h"

/* How often a fit that has left a kink is taken to the next one; and its iterations. */
#define MOST_KINKS 8
#define KINK_ITERATIONS 200

/* The parameter that is the threshold, if that is fitted, or s->count. */
static size_t threshold_of(const cbp_curve_search *s)
{
    const cbp_curve_term *bias = &s->curve->terms[1];
    const int is_one = s->curve->activations[0] == CBP_RELU && bias->rule == CBP_RULE_PRODUCT &&
                       !s->frozen[bias->j];
    return is_one ? bias->j : s->count;
}

/* The next input above a place, or not above it; infinite if there is none. */
static cbp_real next_input(const cbp_examples *examples, cbp_real place, int is_above)
{
    cbp_real next = is_above ? (cbp_real)INFINITY : -(cbp_real)INFINITY;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real x = examples->x[i];
        const int is_nearer = is_above ? x > place && x < next : x <= place && x > next;
        next = is_nearer && (!examples->weight || examples->weight[i] > 0) ? x : next;
    }
    return next;
}

/* The fit with the threshold at this input. Its loss is infinite if there is none. */
static cbp_curve_start fit_at_kink(cbp_curve_search *s, const cbp_curve_start *from, size_t k,
                                   cbp_real x)
{
    cbp_curve_start found = *from;
    cbp_fit_info info;
    found.loss = (cbp_real)INFINITY;
    if (!cbp_is_finite(x) || x < s->lower[k] || x > s->upper[k]) {
        return found;
    }
    found.at[k] = x;
    s->frozen[k] = 1;
    cbp_curve_set_coordinate(s->curve, k, x, &s->fixed);
    if (cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS) > 0 &&
        cbp_curve_move(s, KINK_ITERATIONS, found.at, &info) == CBP_OK &&
        info.outcome == CBP_CONVERGED) {
        found.loss = info.loss;
    }
    s->frozen[k] = 0;
    return found;
}

void cbp_curve_settle_threshold(cbp_curve_search *s, cbp_curve_start *at, cbp_fit_info *info)
{
    const size_t k = threshold_of(s);
    for (int i = 0; i < MOST_KINKS && k < s->count && !s->is_stopped; i++) {
        const cbp_examples *examples = &s->problem.examples;
        const cbp_curve_start below = fit_at_kink(s, at, k, next_input(examples, at->at[k], 0)),
                              above = fit_at_kink(s, at, k, next_input(examples, at->at[k], 1)),
                              best = below.loss <= above.loss ? below : above;
        cbp_curve_start freed = best;
        cbp_fit_info found;
        if (!(best.loss < info->loss)) {
            return;
        }
        *at = best;
        info->loss = best.loss;
        info->outcome = CBP_CONVERGED;
        if (cbp_curve_move(s, KINK_ITERATIONS, freed.at, &found) != CBP_OK ||
            !(found.loss < best.loss - cbp_curve_noise(s, best.loss))) {
            return;
        }
        *at = freed;
        *info = found;
    }
}
