/* Where fits of a curve start: at the best of candidates that cover the range of the inputs. */
#include "curve.h"

/* How often a start whose loss is not finite is replaced by a flatter one. */
#define FLATTER_STARTS 8

/* A last bias of so many times the targets is what rounding makes of inputs that are all alike. */
#define CANCELS ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e4 : 1e10))

/* Sigmoids: candidates stand in rows of so many widths, at so many middles. */
#define GRID_WIDTHS 5
#define GRID_MIDDLES 13

/* The first of these widths are narrow. */
#define NARROW_WIDTHS 2

/* Sigmoids with a power: lists of candidates of each sign. */
#define LOPSIDED_LISTS 4

/* Lists of candidates of each sign, each with its part of the range. */
#define PART_LISTS 4

/* Thresholds: lists of candidates, at most, and middles in each. */
#define THRESHOLD_LISTS 64
#define THRESHOLD_MIDDLES 5

/* ---- candidates for starts ------------------------------------------------------------------- */

/* Inputs of examples that count: the least, the range, and how far the next one is from the least;
 * of log x where the curve's candidates are made of that. */
typedef struct curve_extent {
    cbp_real low, range, gap;
} curve_extent;

static curve_extent extent_of(const cbp_curve *curve, const cbp_examples *examples)
{
    cbp_real low = (cbp_real)INFINITY, high = -(cbp_real)INFINITY, next = (cbp_real)INFINITY;
    for (size_t i = 0; i < examples->n; i++) {
        const int counts = (!examples->weight || examples->weight[i] > 0) &&
                           examples->x[i] > (curve->of_log_x ? 0 : -(cbp_real)INFINITY);
        const cbp_real x = examples->x[i];
        if (counts) {
            next = x < low ? low : x > low && x < next ? x : next;
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
    }
    if (!(low <= high)) {
        return (curve_extent){0, 1, 1};
    }
    if (curve->of_log_x) {
        low = cbp_curve_value(CBP_LOG, low);
        high = cbp_curve_value(CBP_LOG, high);
    }
    const cbp_real range = high > low ? high - low : 1;
    return (curve_extent){low, range,
                          next < (cbp_real)INFINITY && !curve->of_log_x ? next - low : range};
}

void cbp_curve_set_candidate(const cbp_curve *curve, cbp_real w, cbp_real m, cbp_real a,
                             cbp_real *params)
{
    for (size_t k = 0; k < CBP_CURVE_PLACES && curve->terms[k].rule != CBP_RULE_END; k++) {
        params[k] = curve->terms[k].rule == CBP_RULE_CONSTANT ? curve->terms[k].value
                                                              : (cbp_real)(k % 2 == 0);
    }
    cbp_real *slope = params + curve->slope_at;
    if (curve->terms[curve->slope_at].rule != CBP_RULE_CONSTANT) {
        *slope = curve->slope * w;
    }
    if (curve->terms[curve->slope_at + 1].rule != CBP_RULE_CONSTANT) {
        slope[1] = -*slope * m;
    }
    if (curve->power_at > 0) {
        params[curve->power_at] = a;
    }
}

/* Slopes w of one sign and middles, for list `number` of that sign: params[count][2L]. */
static size_t fill_candidates(const cbp_curve *curve, const curve_extent *e, cbp_real sign,
                              size_t number, cbp_real *params)
{
    static const cbp_real powers[LOPSIDED_LISTS] = {(cbp_real)0.3, 1, 3, 100};
    static const cbp_real widths[GRID_WIDTHS] = {(cbp_real)0.02, (cbp_real)0.06, (cbp_real)0.15,
                                                 (cbp_real)0.35, (cbp_real)0.8};
    static const cbp_real exponents[] = {(cbp_real)0.2, (cbp_real)0.5, 1, (cbp_real)1.5, 2, 3, 5};
    const size_t width = 2 * cbp_curve_count_layers(curve);
    size_t count = 0;
    switch (curve->grid) {
    case CBP_GRID_RATES:
        for (cbp_real rate = (cbp_real)0.1 / e->range; count < CBP_CURVE_CANDIDATES; rate *= 2) {
            cbp_curve_set_candidate(curve, sign * rate, 0, 0, params + count++ * width);
            if (rate * e->gap > 4) {
                break;
            }
        }
        return count;
    case CBP_GRID_POWERS:
        for (; count < sizeof exponents / sizeof *exponents; count++) {
            cbp_curve_set_candidate(curve, sign * exponents[count], 0, 0, params + count * width);
        }
        return count;
    case CBP_GRID_MIDDLES:
        for (; count < GRID_MIDDLES; count++) {
            const cbp_real part = (cbp_real)count / (GRID_MIDDLES - 1);
            cbp_curve_set_candidate(curve, 1, e->low - 3 + part * (e->range + 6), 0,
                                    params + count * width);
        }
        return count;
    case CBP_GRID_PEAKS:
        for (; count < GRID_MIDDLES * GRID_WIDTHS; count++) {
            const size_t middle = number * GRID_MIDDLES + count / GRID_WIDTHS;
            const cbp_real place = ((cbp_real)middle + (cbp_real)0.5) / (PART_LISTS * GRID_MIDDLES),
                           w = sign / (widths[count % GRID_WIDTHS] * e->range);
            cbp_curve_set_candidate(curve, w,
                                    e->low + ((cbp_real)1.5 * place - (cbp_real)0.25) * e->range, 0,
                                    params + count * width);
        }
        return count;
    case CBP_GRID_STEPS:
    case CBP_GRID_LOPSIDED:
        for (; count < GRID_MIDDLES * GRID_WIDTHS; count++) {
            const cbp_real power = powers[number],
                           place = (cbp_real)(count / GRID_WIDTHS) / 8 - (cbp_real)0.25,
                           w = sign / (widths[count % GRID_WIDTHS] * e->range);
            /* a large power moves the point of half height far from m: m is shifted back by
             * log(2^(1/100) - 1) / w */
            const cbp_real shift =
                power > 50 ? cbp_curve_value(CBP_LOG, (cbp_real)0.00695555) / w : 0;
            cbp_curve_set_candidate(curve, w, e->low + place * e->range + shift, power,
                                    params + count * width);
        }
        return count;
    default:
        cbp_curve_set_candidate(curve, 1, 0, 0, params);
        return 1;
    }
}

/* The inputs of a sample that count, in ascending order, each once; how many. */
static size_t sort_inputs(const cbp_examples *sample, cbp_real *sorted)
{
    size_t len = 0;
    for (size_t i = 0; i < sample->n; i++) {
        const cbp_real x = sample->x[i];
        size_t place = len;
        while (place > 0 && sorted[place - 1] > x) {
            place--;
        }
        const int is_new = place == 0 || sorted[place - 1] < x;
        if (is_new && (!sample->weight || sample->weight[i] > 0)) {
            for (size_t k = len++; k > place; k--) {
                sorted[k] = sorted[k - 1];
            }
            sorted[place] = x;
        }
    }
    return len;
}

/* Thresholds m in part `number` of `parts` of the intervals between inputs x[len]. Slopes w: from
 * one that shows at the greatest input to one that has ended at the next. */
static size_t fill_thresholds(const cbp_curve *curve, const cbp_real *x, size_t len, size_t number,
                              size_t parts, cbp_real *params)
{
    const size_t width = 2 * cbp_curve_count_layers(curve), most = THRESHOLD_MIDDLES * GRID_WIDTHS;
    for (size_t count = 0; count < most; count++) {
        const cbp_real middle = (cbp_real)(count / GRID_WIDTHS) + (cbp_real)0.5,
                       place = ((cbp_real)number + middle / THRESHOLD_MIDDLES) *
                               (cbp_real)(len - 1) / (cbp_real)parts;
        const size_t i = (size_t)place;
        const cbp_real m = x[i] + (place - (cbp_real)i) * (x[i + 1] - x[i]),
                       least = (cbp_real)0.5 / (x[len - 1] - m), ratio = 4 / (x[i + 1] - m) / least,
                       part = (cbp_real)(count % GRID_WIDTHS) / (GRID_WIDTHS - 1),
                       w = least * cbp_curve_value(CBP_EXP, part * cbp_curve_value(CBP_LOG, ratio));
        cbp_curve_set_candidate(curve, w, m, 0, params + count * width);
    }
    return most;
}

/* Sets what is fixed, and moves the rest into the bounds. */
static void settle_start(const cbp_curve_search *s, cbp_curve_point *p)
{
    for (size_t k = 0; k < s->count; k++) {
        const cbp_real at = p->t[k] < s->lower[k]   ? s->lower[k]
                            : p->t[k] > s->upper[k] ? s->upper[k]
                                                    : p->t[k];
        if (s->frozen[k]) {
            cbp_curve_set_natural(s->curve, k, s->fixed.n[k], p);
        } else if (at != p->t[k]) {
            cbp_curve_set_coordinate(s->curve, k, at, p);
        }
    }
}

/* A candidate's natural parameters, with those that are fixed in their places, within the bounds; 0
 * if it has none. */
static int settle_candidate(const cbp_curve_search *s, const cbp_real *params, cbp_curve_point *p)
{
    if (!cbp_curve_point_of(s->curve, params, p, NULL)) {
        return 0;
    }
    settle_start(s, p);
    return 1;
}

/* Puts what is fixed into the candidates. */
static void fix_candidates(const cbp_curve_search *s, size_t count, cbp_real *params)
{
    int has_fixed = 0;
    for (size_t k = 0; k < s->count; k++) {
        has_fixed |= s->frozen[k];
    }
    for (size_t i = 0; has_fixed && i < count; i++) {
        cbp_curve_point p;
        if (settle_candidate(s, params + i * 2 * s->layers, &p)) {
            cbp_curve_chain_at(s->curve, &p, params + i * 2 * s->layers, NULL);
        }
    }
}

/* How many lists there are of each sign of the slope, and of all. */
static size_t count_of_sign(const cbp_curve *curve)
{
    return curve->grid == CBP_GRID_LOPSIDED ? LOPSIDED_LISTS
           : curve->grid == CBP_GRID_PEAKS  ? PART_LISTS
                                            : 1;
}

static size_t count_lists(const cbp_curve_search *s)
{
    const int signs = s->curve->signs == CBP_MIRROR    ? 1 + s->is_bound
                      : s->curve->signs == CBP_ORDERED ? 2
                                                       : s->curve->signs;
    return (size_t)signs * count_of_sign(s->curve);
}

/* Whether candidates stand in rows, of different widths. */
static int has_rows(const cbp_curve *curve)
{
    return curve->grid == CBP_GRID_STEPS || curve->grid == CBP_GRID_LOPSIDED ||
           curve->grid == CBP_GRID_PEAKS;
}

/* List `number`, in params[count][2L]. */
static cbp_candidates list_candidates(const cbp_curve_search *s, const cbp_examples *examples,
                                      const curve_extent *e, size_t number, cbp_real *params)
{
    const cbp_curve *curve = s->curve;
    const size_t of_sign = count_of_sign(curve);
    size_t count = 1;
    if (curve->grid == CBP_GRID_ENERGIES) {
        count = cbp_curve_fill_energies(s, examples, e->low, e->range, params);
    } else {
        count = fill_candidates(curve, e, number < of_sign ? 1 : -1, number % of_sign, params);
    }
    fix_candidates(s, count, params);
    return (cbp_candidates){params, count, has_rows(curve) ? GRID_WIDTHS : 1};
}

size_t cbp_curve_list_candidates(const cbp_curve_search *s, const cbp_examples *examples,
                                 cbp_real *params, cbp_candidates *lists)
{
    const curve_extent e = extent_of(s->curve, examples);
    const size_t len = count_lists(s);
    for (size_t i = 0; i < len; i++) {
        lists[i] = list_candidates(s, examples, &e, i, params);
        params += lists[i].count * 2 * s->layers;
    }
    return len;
}

/* ---- starts ---------------------------------------------------------------------------------- */

/* The examples that choose among candidates: all, or CBP_CURVE_SAMPLE at equal steps of those that
 * count. */
static cbp_examples sample_of(const cbp_examples *examples, cbp_real *work)
{
    const size_t n = examples->n;
    if (n <= CBP_CURVE_SAMPLE) {
        return *examples;
    }
    cbp_real *x = work, *y = x + CBP_CURVE_SAMPLE, *weight = y + CBP_CURVE_SAMPLE;
    size_t counting = 0, taken = 0;
    for (size_t i = 0; i < n; i++) {
        counting += !examples->weight || examples->weight[i] > 0;
    }
    const size_t most = counting < CBP_CURVE_SAMPLE ? counting : CBP_CURVE_SAMPLE;
    for (size_t i = 0, seen = 0; i < n && taken < most; i++) {
        const cbp_real own = examples->weight ? examples->weight[i] : 1;
        /* the example of that number among those that count, for each of `most` equal parts */
        const size_t next = counting / most * taken + counting % most * taken / most;
        if (own > 0 && seen++ == next) {
            x[taken] = examples->x[i];
            y[taken] = examples->y[i];
            weight[taken++] = own;
        }
    }
    return (cbp_examples){x, y, examples->weight ? weight : NULL, taken};
}

/* Inserts a start, in the order of their loss. */
static void keep_start(cbp_curve_search *s, const cbp_curve_point *p, cbp_real loss, int sign)
{
    size_t place = s->starts_len < CBP_CURVE_STARTS ? s->starts_len++ : CBP_CURVE_STARTS - 1;
    for (; place > 0 && s->starts[place - 1].loss > loss; place--) {
        s->starts[place] = s->starts[place - 1];
    }
    memset(s->starts[place].at, 0, sizeof s->starts[place].at);
    memcpy(s->starts[place].at, p->t, s->count * sizeof *p->t);
    s->starts[place].loss = loss;
    s->starts[place].sign = sign;
}

static cbp_real mean_target(const cbp_examples *examples)
{
    cbp_real sum = 0, total = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real weight = examples->weight ? examples->weight[i] : 1;
        sum += weight * examples->y[i];
        total += weight;
    }
    return sum / total;
}

/* Weights by which least squares are near those of transformed targets; a target near 0 counts as
 * one of this part of the largest. */
#define NEAR_ZERO ((cbp_real)1e-6)

static const cbp_real *weights_of(const cbp_loss *loss, const cbp_examples *sample,
                                  cbp_real *weights)
{
    const cbp_real power = loss->kind == CBP_BOX_COX ? 2 - 2 * loss->scale : 0;
    cbp_real most = 0;
    for (size_t i = 0; i < sample->n; i++) {
        most = sample->y[i] > most ? sample->y[i] : most;
    }
    if (power == 0 || most == 0) {
        return sample->weight;
    }
    for (size_t i = 0; i < sample->n; i++) {
        const cbp_real part = sample->y[i] / most,
                       log = cbp_curve_value(CBP_LOG, part > NEAR_ZERO ? part : NEAR_ZERO);
        weights[i] =
            (sample->weight ? sample->weight[i] : 1) * cbp_curve_value(CBP_EXP, -power * log);
    }
    return weights;
}

/* Adds the best of these candidates, or a flatter one if its loss is not finite. */
static void add_start(cbp_curve_search *s, const cbp_examples *sample,
                      const cbp_candidates *candidates, int sign, cbp_real *work)
{
    const size_t last = 2 * s->layers - 2;
    cbp_real weights[CBP_CURVE_SAMPLE];
    const cbp_example_sets set = {
        sample->x, sample->y, weights_of(&s->problem.loss, sample, weights), sample->n, 1, 0, 0};
    cbp_fit_options options;
    unsigned char frozen[CBP_CURVE_PLACES];
    cbp_real chosen[CBP_CURVE_PLACES], loss;
    cbp_curve_point p;
    (void)cbp_fit_defaults(&options);
    if (s->has_order) {
        options.lower = s->chain_lower;
        options.upper = s->chain_upper;
    }
    memcpy(frozen, s->constants, sizeof frozen);
    if (s->curve->activations[s->layers - 1] != CBP_IDENTITY) {
        frozen[last] = frozen[last + 1] = 0;
    }
    const cbp_chain chain = {chosen, s->curve->activations, frozen, s->layers};
    if (cbp_choose_starts(&chain, &set, &options, candidates, work, chosen) != CBP_OK) {
        return;
    }
    if (s->curve->terms[last + 1].rule != CBP_RULE_CONSTANT &&
        cbp_magnitude(chosen[last + 1]) > CANCELS * cbp_root(cbp_curve_mean_square(s))) {
        chosen[last] = 0;
        chosen[last + 1] = mean_target(sample);
    }
    if (!settle_candidate(s, chosen, &p)) {
        return;
    }
    cbp_curve_chain_at(s->curve, &p, chosen, NULL);
    for (int i = 0; i < FLATTER_STARTS; i++) {
        if (cbp_loss_mean(&chain, sample, &s->problem.loss, &loss) == CBP_OK &&
            cbp_is_finite(loss)) {
            keep_start(s, &p, loss, sign);
            return;
        }
        /* the loss does not take its outputs, as a mean count below 0: nearer to the mean */
        chosen[last] /= 2;
        chosen[last + 1] = (chosen[last + 1] + mean_target(sample)) / 2;
        if (!settle_candidate(s, chosen, &p)) {
            return;
        }
    }
}

/* The loss may have a minimum in any interval between inputs: each has a list of its own, if they
 * are not too many. */
static void add_threshold_starts(cbp_curve_search *s, const cbp_examples *sample, cbp_real *params,
                                 cbp_real *work)
{
    cbp_real x[CBP_CURVE_SAMPLE];
    const size_t len = sort_inputs(sample, x),
                 parts = len - 1 < THRESHOLD_LISTS ? len - 1 : THRESHOLD_LISTS;
    for (size_t i = 0; len > 1 && i < parts; i++) {
        const size_t count = fill_thresholds(s->curve, x, len, i, parts, params);
        fix_candidates(s, count, params);
        const cbp_candidates list = {params, count, 0};
        add_start(s, sample, &list, 0, work);
    }
}

static size_t sample_len(size_t n)
{
    return n > CBP_CURVE_SAMPLE ? 3 * CBP_CURVE_SAMPLE : 0;
}

size_t cbp_curve_find_starts_work_len(size_t n)
{
    return CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES + sample_len(n) +
           cbp_choose_starts_work_len(CBP_CURVE_LAYERS, n < CBP_CURVE_SAMPLE ? n : CBP_CURVE_SAMPLE,
                                      CBP_CURVE_CANDIDATES);
}

/* The curve's own start. */
static int take_start(cbp_curve_search *s)
{
    cbp_curve_point p;
    for (size_t k = 0; k < s->count; k++) {
        const cbp_real natural = s->frozen[k] ? s->fixed.n[k] : s->start[k];
        if (!cbp_curve_is_natural(s->curve, k, natural)) {
            return CBP_ERROR_START;
        }
        cbp_curve_set_natural(s->curve, k, natural, &p);
    }
    settle_start(s, &p);
    keep_start(s, &p, 0, 0);
    return CBP_OK;
}

int cbp_curve_find_starts(cbp_curve_search *s, cbp_real *work)
{
    if (s->curve->grid == CBP_GRID_START) {
        return take_start(s);
    }
    const cbp_examples *examples = &s->problem.examples;
    const curve_extent e = extent_of(s->curve, examples);
    const size_t len = count_lists(s);
    cbp_real *params = work, *rest = params + CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES;
    const cbp_examples sample = sample_of(examples, rest);
    rest += sample_len(examples->n);
    if (s->curve->grid == CBP_GRID_THRESHOLDS) {
        add_threshold_starts(s, &sample, params, rest);
    }
    if (s->starts_len > 0) { /* not if there is but one input */
        return CBP_OK;
    }
    for (size_t i = 0; i < len; i++) {
        const cbp_candidates list = list_candidates(s, examples, &e, i, params);
        add_start(s, &sample, &list, 2 * i >= len, rest);
    }
    return CBP_OK;
}

/* Leaves the wide candidates of a list that has rows. */
static cbp_candidates without_narrow(const cbp_curve_search *s, cbp_real *params, size_t count)
{
    const size_t width = 2 * s->layers;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % GRID_WIDTHS >= NARROW_WIDTHS) {
            memcpy(params + kept++ * width, params + i * width, width * sizeof *params);
        }
    }
    return (cbp_candidates){params, kept, GRID_WIDTHS - NARROW_WIDTHS};
}

void cbp_curve_find_more_starts(cbp_curve_search *s, const cbp_curve_step *step, int was_settled,
                                cbp_real *work)
{
    const cbp_examples *examples = &s->problem.examples;
    cbp_real *params = work, *rest = params + CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES;
    const cbp_examples sample = sample_of(examples, rest);
    const curve_extent e = extent_of(s->curve, examples);
    const size_t len = !was_settled && has_rows(s->curve) ? count_lists(s) : 0;
    rest += sample_len(examples->n);
    s->starts_len = 0;
    for (int sign = 0; sign < 2; sign++) {
        cbp_candidates list = {params, 0, 0};
        if (step) {
            list.count = cbp_curve_fill_step(s->curve, step, sign ? -1 : 1, params);
            add_start(s, &sample, &list, sign, rest);
        }
        if (s->curve->power_at > 0) {
            list.count = cbp_curve_fill_kinks(s->curve, e.low, e.range, sign ? -1 : 1, params);
            fix_candidates(s, list.count, params);
            add_start(s, &sample, &list, sign, rest);
        }
    }
    for (size_t i = 0; i < len; i++) {
        const cbp_candidates all = list_candidates(s, examples, &e, i, params),
                             list = without_narrow(s, params, all.count);
        add_start(s, &sample, &list, 2 * i >= len, rest);
    }
}
