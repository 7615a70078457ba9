/* Steps: what a curve from one level to another becomes as its slope grows without end. The least
 * loss of all steps tells whether a search has missed them.
 */
#include "curve.h"

/* A step is better only if its loss is less by more than this part. */
#define CLEARLY ((cbp_real)1e-6)

/* Nor is a step looked for if a minimum leaves less than this part of the sum of squares. */
#define LITTLE ((cbp_real)0.1)

/* Candidates around a step: so many slopes, and so many middles. */
#define STEP_SLOPES 3
#define STEP_MIDDLES 5

/* Kinks: the slope, over the range; so many middles, and rates. */
#define KINK_SLOPE 64
#define KINK_MIDDLES 13
#define KINK_RATES 5

/* Examples of one input: the input, their weight, and the weighted sum of their targets. */
typedef struct step_groups {
    cbp_real *x, *weight, *sum;
    size_t len;
    cbp_real squares, total_weight, total; /* of all: weighted sums */
    int has_two_levels;                    /* the other level is 0 */
} step_groups;

int cbp_curve_has_steps(const cbp_curve_search *s)
{
    const cbp_curve *curve = s->curve;
    const int is_step = curve->grid == CBP_GRID_STEPS || curve->grid == CBP_GRID_LOPSIDED ||
                        (curve->grid == CBP_GRID_PEAKS && curve->activations[0] != CBP_GAUSSIAN);
    return is_step && s->problem.loss.kind == CBP_SQUARED && !s->is_bound &&
           curve->activations[s->layers - 1] == CBP_IDENTITY;
}

int cbp_curve_explains_little(const cbp_curve_search *s, const cbp_examples *examples,
                              cbp_real loss)
{
    const int has_level = s->curve->terms[2 * s->layers - 1].rule != CBP_RULE_CONSTANT;
    const cbp_real origin = has_level && examples->y[0] == examples->y[0] ? examples->y[0] : 0;
    cbp_real total = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real weight = examples->weight ? examples->weight[i] : 1;
        const int is_missing = examples->y[i] != examples->y[i];
        const cbp_real y = is_missing ? 0 : examples->y[i] - origin, own = is_missing ? 0 : weight;
        total += own;
        sum += own * y;
        squares += own * y * y;
    }
    return loss * total > LITTLE * (has_level ? squares - sum * sum / total : squares);
}

/* The examples that count, in ascending order of their inputs, in 3 n numbers of work memory. */
static step_groups group_examples(const cbp_curve_search *s, cbp_real *work)
{
    const cbp_examples *examples = &s->problem.examples;
    const cbp_curve_term *last = &s->curve->terms[2 * s->layers - 1];
    step_groups g = {.x = work,
                     .weight = work + examples->n,
                     .sum = work + 2 * examples->n,
                     .has_two_levels = last->rule != CBP_RULE_CONSTANT};
    const cbp_real origin = g.has_two_levels ? examples->y[0] : 0; /* sums of small differences */
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real x = examples->x[i], y = examples->y[i] - origin,
                       weight = examples->weight ? examples->weight[i] : 1;
        size_t place = g.len;
        while (place > 0 && g.x[place - 1] > x) {
            place--;
        }
        if (!(weight > 0)) {
            continue;
        }
        if (place == 0 || g.x[place - 1] < x) {
            for (size_t k = g.len++; k > place; k--) {
                g.x[k] = g.x[k - 1];
                g.weight[k] = g.weight[k - 1];
                g.sum[k] = g.sum[k - 1];
            }
            g.x[place] = x;
            g.weight[place] = g.sum[place] = 0;
            place++;
        }
        g.weight[place - 1] += weight;
        g.sum[place - 1] += weight * y;
        g.squares += weight * y * y;
        g.total_weight += weight;
        g.total += weight * y;
    }
    return g;
}

/* The place of an input where the curve has its slope; of a dose of 0, one range below the next. */
static cbp_real place_of(const cbp_curve_search *s, const step_groups *g, size_t k)
{
    const cbp_real x = g->x[k];
    const int is_log = s->curve->of_log_x;
    if (g->len > 2 && k == 0 && (is_log ? x <= 0 : !cbp_is_finite(x))) {
        const cbp_real next = place_of(s, g, 1);
        return 2 * next - place_of(s, g, g->len - 1);
    }
    return is_log ? cbp_curve_value(CBP_LOG, x) : x;
}

/* By how much levels of these sums make the sum of squares less. If `inner` is not null, it is the
 * input between them, which the step passes at its own level unless that is outside. */
static cbp_real gain_of_levels(const step_groups *g, const cbp_real left[2],
                               const cbp_real right[2], const cbp_real inner[2])
{
    const cbp_real of_left = left[1] * left[1] / left[0], of_right = right[1] * right[1] / right[0];
    const int is_left = g->has_two_levels || of_left > of_right,
              is_right = g->has_two_levels || !is_left;
    const cbp_real low = is_left ? left[1] / left[0] : 0, high = is_right ? right[1] / right[0] : 0;
    cbp_real gain = (is_left ? of_left : 0) + (is_right ? of_right : 0);
    if (inner) {
        const cbp_real level = inner[1] / inner[0];
        gain = (level - low) * (level - high) < 0 ? gain + inner[1] * inner[1] / inner[0] : 0;
    }
    return gain;
}

int cbp_curve_find_step(const cbp_curve_search *s, cbp_real loss, cbp_real *work,
                        cbp_curve_step *step)
{
    cbp_real left[2] = {0, 0}, most = 0;
    if (!cbp_curve_has_steps(s) || s->problem.examples.n > CBP_CURVE_SAMPLE) {
        return 0;
    }
    const step_groups g = group_examples(s, work);
    for (size_t k = 0; k + 1 < g.len; k++) {
        const cbp_real inner[2] = {g.weight[k], g.sum[k]},
                       right[2] = {g.total_weight - left[0] - inner[0],
                                   g.total - left[1] - inner[1]};
        const cbp_real through = k > 0 ? gain_of_levels(&g, left, right, inner) : 0;
        const cbp_real here = place_of(s, &g, k), next = place_of(s, &g, k + 1),
                       before = k > 0 ? place_of(s, &g, k - 1) : here;
        left[0] += inner[0];
        left[1] += inner[1];
        const cbp_real between = gain_of_levels(&g, left, right, NULL);
        if (through > most && through > between) {
            most = through;
            *step =
                (cbp_curve_step){here, here - before < next - here ? here - before : next - here};
        } else if (between > most) {
            most = between;
            *step = (cbp_curve_step){(here + next) / 2, (next - here) / 2};
        }
    }
    const cbp_real rounding = 100 * CBP_EPSILON * g.squares;
    return g.squares - most + rounding < loss * g.total_weight * (1 - CLEARLY);
}

size_t cbp_curve_fill_step(const cbp_curve *curve, const cbp_curve_step *step, cbp_real sign,
                           cbp_real *params)
{
    const size_t width = 2 * cbp_curve_count_layers(curve);
    for (size_t i = 0; i < STEP_SLOPES * STEP_MIDDLES; i++) {
        const cbp_real w = 3 * (cbp_real)((size_t)1 << i % STEP_SLOPES) / step->gap,
                       off = (cbp_real)(i / STEP_SLOPES) - (STEP_MIDDLES - 1) / 2;
        cbp_curve_set_candidate(curve, sign * w, step->middle + off / w, 1, params + i * width);
    }
    return STEP_SLOPES * STEP_MIDDLES;
}

size_t cbp_curve_fill_kinks(const cbp_curve *curve, cbp_real low, cbp_real range, cbp_real sign,
                            cbp_real *params)
{
    const size_t width = 2 * cbp_curve_count_layers(curve);
    const cbp_real w = KINK_SLOPE / range;
    size_t count = 0;
    for (; count < KINK_MIDDLES * KINK_RATES; count++) {
        const cbp_real place = (cbp_real)(count / KINK_RATES) / (KINK_MIDDLES - 1),
                       rate = (cbp_real)((size_t)1 << count % KINK_RATES * 2) / 4;
        cbp_curve_set_candidate(curve, sign * w, low + place * range, rate / KINK_SLOPE,
                                params + count * width);
    }
    return count;
}
