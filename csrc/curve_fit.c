/* One fit of a curve, by cbp_fit_over in the coordinates of its natural parameters. */
#include "curve_lanes.h"
#include "fit_step.h"

/* ---- before the examples --------------------------------------------------------------------- */

int cbp_curve_has_free_ends(const cbp_curve_search *s)
{
    return !s->frozen[s->curve->ends.low] && !s->frozen[s->curve->ends.high] &&
           !s->frozen[s->curve->ends.tilt];
}

/* Whether bounds of the ends of a curve with a mirror image say which is the lesser: not if they
 * contradict that, or the sign of the slope is given, which says it better. */
static int has_ordered_bounds(const cbp_curve_search *s)
{
    const size_t ends[] = {s->curve->ends.low, s->curve->ends.high}, tilt = s->curve->ends.tilt;
    int has_bound = 0;
    for (size_t i = 0; i < 2; i++) {
        const size_t k = ends[i];
        has_bound |= !s->frozen[k] && (cbp_is_finite(s->lower[k]) || cbp_is_finite(s->upper[k]));
    }
    const cbp_real least = s->frozen[ends[0]] ? s->fixed.t[ends[0]] : s->lower[ends[0]],
                   most = s->frozen[ends[1]] ? s->fixed.t[ends[1]] : s->upper[ends[1]];
    return s->curve->signs == CBP_MIRROR && has_bound && least <= most && !s->frozen[tilt] &&
           s->lower[tilt] < 0 && s->upper[tilt] > 0;
}

/* Fixed parameters and bounds of natural parameters, as coordinates. */
static int take_bounds(cbp_curve_search *s, const cbp_real *fixed)
{
    memset(s->frozen, 1, sizeof s->frozen);
    for (size_t k = 0; k < s->count; k++) {
        const cbp_real low = s->problem.lower ? s->problem.lower[k] : -(cbp_real)INFINITY,
                       high = s->problem.upper ? s->problem.upper[k] : (cbp_real)INFINITY;
        const int is_positive = s->curve->positive[k];
        s->frozen[k] = fixed && fixed[k] == fixed[k];
        if (s->frozen[k]) {
            if (!cbp_curve_is_natural(s->curve, k, fixed[k])) {
                return CBP_ERROR_START;
            }
            cbp_curve_set_natural(s->curve, k, fixed[k], &s->fixed);
        } else if (!(low <= high) || low == (cbp_real)INFINITY || high == -(cbp_real)INFINITY ||
                   (is_positive && high <= 0)) {
            return CBP_ERROR_BOUNDS;
        }
        s->lower[k] = !is_positive ? low
                      : low > 0    ? cbp_curve_value(CBP_LOG, low)
                                   : -(cbp_real)INFINITY;
        s->upper[k] = !is_positive ? high : cbp_curve_value(CBP_LOG, high > 0 ? high : 1);
        s->is_bound |= s->frozen[k] || cbp_is_finite(s->lower[k]) || cbp_is_finite(s->upper[k]);
    }
    s->keeps_order = has_ordered_bounds(s);
    return CBP_OK;
}

int cbp_curve_check_domain(const cbp_curve *curve, const cbp_examples *examples)
{
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real x = examples->x[i];
        const int is_infinite_dose = curve->x_is == CBP_X_LOG_DOSE && x == (cbp_real)INFINITY;
        if (!(x >= curve->domain_low && x <= curve->domain_high) || is_infinite_dose) {
            return CBP_ERROR_DOMAIN;
        }
    }
    return CBP_OK;
}

int cbp_curve_prepare(cbp_curve_search *s, const cbp_curve *curve, const cbp_real *fixed,
                      const cbp_fit_options *options)
{
    /* any activations: the pass is the curve's own */
    static const unsigned char codes[CBP_COORDINATE_LAYERS] = {CBP_SIGMOID, CBP_SIGMOID,
                                                               CBP_SIGMOID};
    static const cbp_real any[CBP_CURVE_PLACES];
    if (cbp_curve_check(curve) != CBP_OK) {
        return CBP_ERROR_CURVE;
    }
    if (curve->grid == CBP_GRID_START && !curve->start) {
        return CBP_ERROR_NULL;
    }
    memset(s, 0, sizeof *s);
    s->curve = curve;
    s->start = curve->start;
    s->count = cbp_curve_count_parameters(s->curve);
    s->layers = cbp_curve_count_layers(s->curve);
    for (size_t k = 0; k < CBP_CURVE_PLACES; k++) {
        s->constants[k] = s->curve->terms[k].rule <= CBP_RULE_CONSTANT;
    }
    const cbp_chain chain = {any, s->curve->activations, s->constants, s->layers};
    int status = cbp_fit_given(&chain, NULL, options, &s->problem);
    if (status == CBP_OK) {
        status = take_bounds(s, fixed);
    }
    cbp_curve_freeze_chain(s);
    if (status == CBP_OK) {
        cbp_fit_info info;
        cbp_fit kind = s->problem;
        kind.lower = kind.upper = NULL;
        kind.info = &info;
        status = cbp_fit_check_over(&kind);
    }
    if (status == CBP_OK && cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS) == 0) {
        status = CBP_ERROR_NO_FREE;
    }
    if (status == CBP_OK) {
        s->coordinates = (cbp_chain){s->starts[0].at, codes, s->frozen, CBP_COORDINATE_LAYERS};
        s->options = *options;
        s->options.lower = s->lower;
        s->options.upper = s->upper;
        s->problem.options = NULL; /* the fit of coordinates asks whether to stop */
    }
    return status;
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* The triangle by the coordinates that are not frozen, from that of the chain. */
static void transform_node(const cbp_curve_search *s, const cbp_real *slopes,
                           const unsigned char *frozen, cbp_real *node)
{
    const size_t inner = cbp_count_free(s->chain_frozen, s->layers), rows = inner + 1,
                 free = cbp_count_free(frozen, CBP_COORDINATE_LAYERS), width = free + 1;
    cbp_real stack[(CBP_CURVE_PLACES + 1) * (CBP_CURVE_PARAMETERS + 1)];
    for (size_t i = 0; i < rows; i++) {
        const cbp_real *row = s->node + i * rows;
        for (size_t k = 0, j = 0; k < s->count; k++) {
            if (frozen[k]) {
                continue;
            }
            cbp_real sum = 0;
            for (size_t place = 0, column = 0; place < 2 * s->layers; place++) {
                if (!s->chain_frozen[place]) {
                    sum += row[column] * slopes[place * s->count + k];
                    column++;
                }
            }
            stack[i * width + j++] = sum;
        }
        stack[i * width + free] = row[inner];
    }
    cbp_triangulate(stack, rows, free, width);
    cbp_real rest = 0;
    for (size_t i = free; i < rows; i++) {
        rest += stack[i * width + free] * stack[i * width + free];
    }
    memset(node, 0, width * width * sizeof *node);
    for (size_t i = 0; i < free; i++) {
        memcpy(node + i * width + i, stack + i * width + i, (width - i) * sizeof *node);
    }
    node[free * width + free] = cbp_root(rest);
    memcpy(node + cbp_fit_sums_at(free), s->node + cbp_fit_sums_at(inner), 8 * sizeof *node);
}

/* A pass over the examples at these coordinates, a cbp_fit_pass. */
static int curve_pass(void *user, const cbp_chain *coordinates, cbp_real *node)
{
    cbp_curve_search *s = user;
    cbp_real params[CBP_CURVE_PLACES], slopes[CBP_CURVE_PLACES * CBP_CURVE_PARAMETERS];
    cbp_curve_point p;
    for (size_t k = 0; k < s->count; k++) {
        if (s->frozen[k]) {
            cbp_curve_set_natural(s->curve, k, s->fixed.n[k], &p);
        } else {
            cbp_curve_set_coordinate(s->curve, k, coordinates->params[k], &p);
        }
    }
    cbp_curve_chain_at(s->curve, &p, params, slopes);
    const cbp_chain chain = {params, s->curve->activations, s->chain_frozen, s->layers};
    if (cbp_fit_pass_memory(&s->memory, &chain, s->node)) {
        return 1;
    }
    transform_node(s, slopes, coordinates->frozen, node);
    return 0;
}

cbp_real cbp_curve_mean_square(const cbp_curve_search *s)
{
    const cbp_examples *examples = &s->problem.examples;
    cbp_real squares = 0, total = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real weight = examples->weight ? examples->weight[i] : 1;
        squares += weight * examples->y[i] * examples->y[i];
        total += weight;
    }
    return squares / total;
}

cbp_real cbp_curve_noise(const cbp_curve_search *s, cbp_real loss)
{
    return (cbp_real)1e-9 * loss + 100 * CBP_EPSILON * CBP_EPSILON * cbp_curve_mean_square(s);
}

const cbp_real *cbp_curve_triangle_at(cbp_curve_search *s, const cbp_real *at)
{
    cbp_real *node = s->node + cbp_fit_node_len(CBP_CURVE_PLACES);
    s->coordinates.params = at;
    (void)curve_pass(s, &s->coordinates, node); /* nobody is asked whether to stop */
    return node;
}

/* ---- mirror images --------------------------------------------------------------------------- */

int cbp_curve_is_ordered(const cbp_curve_search *s, const cbp_real *at)
{
    const size_t low = s->curve->ends.low, high = s->curve->ends.high;
    const cbp_real first = s->frozen[low] ? s->fixed.t[low] : at[low],
                   second = s->frozen[high] ? s->fixed.t[high] : at[high];
    const int matters = s->has_order || (s->curve->signs == CBP_MIRROR && s->is_bound);
    return !matters || first <= second;
}

int cbp_curve_choose_mirror(const cbp_curve_search *s, cbp_real *at)
{
    const size_t low = s->curve->ends.low, high = s->curve->ends.high, tilt = s->curve->ends.tilt;
    if (s->curve->signs != CBP_MIRROR || !cbp_curve_has_free_ends(s) || !(at[low] > at[high])) {
        return 0;
    }
    cbp_real turned[CBP_CURVE_WIDTH];
    memcpy(turned, at, sizeof turned);
    turned[low] = at[high];
    turned[high] = at[low];
    turned[tilt] = -at[tilt];
    for (size_t k = 0; k < s->count; k++) {
        if (turned[k] < s->lower[k] || turned[k] > s->upper[k]) {
            return 0;
        }
    }
    memcpy(at, turned, sizeof turned);
    return 1;
}

/* Chooses the image in which a fit is reported, and exchanges what is known of its parameters. */
static void report_mirror(cbp_curve_search *s)
{
    if (cbp_curve_choose_mirror(s, s->starts[0].at)) {
        const size_t low = s->curve->ends.low, high = s->curve->ends.high;
        const unsigned char first = s->diverges[low];
        s->diverges[low] = s->diverges[high];
        s->diverges[high] = first;
        s->fixed_at = s->fixed_at == low ? high : s->fixed_at == high ? low : s->fixed_at;
    }
}

/* ---- fits ------------------------------------------------------------------------------------ */

int cbp_curve_move(cbp_curve_search *s, size_t iterations, cbp_real *at, cbp_fit_info *info)
{
    cbp_fit_options options = s->options;
    const size_t len = options.history ? options.history_len : 0,
                 written = s->iterations < len ? s->iterations : len;
    options.max_iterations =
        iterations < options.max_iterations ? iterations : options.max_iterations;
    options.history = len > written ? options.history + written : NULL;
    options.history_len = len - written;
    s->coordinates.params = at;
    const int status = cbp_fit_over(curve_pass, s, &s->coordinates, &options, s->work, at, info);
    if (status != CBP_OK) {
        return status;
    }
    for (size_t i = 0; i <= info->iterations && i < options.history_len; i++) {
        options.history[i] = s->least < options.history[i] ? s->least : options.history[i];
    }
    s->least = info->loss < s->least ? info->loss : s->least;
    s->iterations += info->iterations;
    s->evaluations += info->evaluations;
    s->is_stopped |= info->outcome == CBP_STOPPED;
    return CBP_OK;
}

/* Whether the square of an input that counts is not finite. */
static int has_huge_input(const cbp_examples *examples)
{
    int is_huge = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real x = examples->x[i];
        is_huge |= (!examples->weight || examples->weight[i] > 0) && !cbp_is_finite(x * x) &&
                   x != -(cbp_real)INFINITY; /* the logarithm of a dose of 0 */
    }
    return is_huge;
}

/* How many different inputs have a weight above 0, CBP_CURVE_PARAMETERS at most. */
static size_t count_inputs(const cbp_examples *examples)
{
    cbp_real seen[CBP_CURVE_PARAMETERS];
    size_t count = 0;
    for (size_t i = 0; i < examples->n && count < CBP_CURVE_PARAMETERS; i++) {
        int is_new = !examples->weight || examples->weight[i] > 0;
        for (size_t k = 0; k < count; k++) {
            is_new &= seen[k] != examples->x[i];
        }
        seen[count] = examples->x[i];
        count += (size_t)is_new;
    }
    return count;
}

/* Whether there are fewer different inputs than parameters: then nothing is certain. */
static int has_few_inputs(const cbp_curve_search *s)
{
    return s->inputs < cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS);
}

/* ---- the call -------------------------------------------------------------------------------- */

size_t cbp_curve_fit_work_len(size_t n)
{
    const size_t starts = cbp_curve_find_starts_work_len(n),
                 lanes = cbp_curve_fit_starts_work_len(n),
                 fit = cbp_fit_pass_len(CBP_CURVE_LAYERS, CBP_CURVE_PLACES) +
                       cbp_fit_memory_len(CBP_CURVE_PLACES, n) +
                       2 * cbp_fit_node_len(CBP_CURVE_PLACES) +
                       cbp_fit_search_len(CBP_COORDINATE_LAYERS, CBP_CURVE_PARAMETERS),
                 most = starts > lanes ? starts : lanes;
    return most > fit ? most : fit;
}

void cbp_curve_begin(cbp_curve_search *s, const cbp_examples *examples, cbp_real *work)
{
    s->problem.examples = *examples;
    s->starts_len = s->iterations = s->evaluations = 0;
    s->is_stopped = s->is_second = 0;
    s->least = (cbp_real)INFINITY;
    s->memory =
        (cbp_fit_memory){.fit = &s->problem,
                         .work = work,
                         .nodes = work + cbp_fit_pass_len(CBP_CURVE_LAYERS, CBP_CURVE_PLACES)};
    s->node = s->memory.nodes + cbp_fit_memory_len(CBP_CURVE_PLACES, examples->n);
    s->work = s->node + 2 * cbp_fit_node_len(CBP_CURVE_PLACES);
    memset(s->diverges, 0, sizeof s->diverges);
    s->fixed_at = s->count;
    s->inputs = count_inputs(examples);
}

/* Where outputs are far above their targets the quasi-likelihood of a power is nearly flat: it
 * starts at the minimum by the transform that makes such errors equal. */
static int start_by_transform(cbp_curve_search *s, cbp_real *work, cbp_fit_info *info)
{
    const cbp_loss loss = s->problem.loss;
    s->problem.loss = s->options.loss = (cbp_loss){CBP_BOX_COX, 1 - loss.scale};
    int status = cbp_curve_find_starts(s, work);
    if (status == CBP_OK) {
        if (s->starts_len > 1) {
            (void)cbp_curve_fit_starts(s, work);
        }
        status = cbp_curve_refine_starts(s, info);
    }
    s->problem.loss = s->options.loss = loss;
    s->memory.has_sums = 0;
    s->least = (cbp_real)INFINITY;
    s->starts_len = 1;
    s->is_stopped = 0; /* the progress function is asked again */
    return status;
}

/* The fit from s->starts. */
static int fit_from_starts(cbp_curve_search *s, cbp_real *work, cbp_fit_info *info,
                           cbp_curve_result *result)
{
    if (s->starts_len > 1) {
        (void)cbp_curve_fit_starts(s, work);
    }
    int status = cbp_curve_refine_starts(s, info);
    if (status == CBP_OK && info->outcome == CBP_EXHAUSTED && !has_few_inputs(s)) {
        cbp_curve_follow_loss(s, info);
        if (info->outcome == CBP_EXHAUSTED && s->fixed_at == s->count &&
            cbp_curve_finish(s, info->loss, work)) {
            info->outcome = CBP_CONVERGED;
            info->loss = s->starts[0].loss;
        }
    }
    if (status == CBP_OK) {
        report_mirror(s);
        status = cbp_curve_conclude(s, NULL, result);
    }
    if (status == CBP_OK && info->outcome == CBP_CONVERGED && !has_few_inputs(s) &&
        cbp_curve_finds_no_minimum(s, result, &info->loss)) {
        info->outcome = CBP_EXHAUSTED;
        status = cbp_curve_conclude(s, NULL, result);
    }
    return status;
}

/* Whether a fit has converged where all parameters are determined. */
static int has_settled(const cbp_curve_search *s, const cbp_fit_info *info,
                       const cbp_curve_result *result)
{
    int is_determined = info->outcome == CBP_CONVERGED;
    for (size_t k = 0; k < s->count; k++) {
        is_determined &= result->determined[k] != CBP_UNDETERMINED;
    }
    return is_determined;
}

/* Searches once more where the first search may have missed a lesser loss: a fit is not settled, or
 * a step has less, or little is explained by a curve whose starts differ by a power. */
static int search_again(cbp_curve_search *s, cbp_real *work, cbp_fit_info *info,
                        cbp_curve_result *result)
{
    cbp_curve_step step;
    const cbp_curve_start first = s->starts[0];
    const size_t first_fixed_at = s->fixed_at;
    const int was_settled = has_settled(s, info, result),
              explains_little = cbp_curve_explains_little(s, &s->problem.examples, info->loss),
              has_step = (!was_settled || explains_little) &&
                         cbp_curve_find_step(s, info->loss, work, &step);
    unsigned char first_diverges[CBP_CURVE_WIDTH];
    cbp_fit_info again;
    s->is_second = !was_settled || has_step || (explains_little && s->curve->power_at > 0);
    if (!s->is_second || s->is_stopped || has_few_inputs(s) ||
        s->options.max_iterations <= CBP_CURVE_LANE_ITERATIONS) {
        return CBP_OK;
    }
    cbp_curve_find_more_starts(s, has_step ? &step : NULL, was_settled, work);
    if (s->starts_len == 0) {
        s->starts[0] = first;
        return CBP_OK;
    }
    memcpy(first_diverges, s->diverges, sizeof first_diverges);
    memset(s->diverges, 0, sizeof s->diverges);
    s->fixed_at = s->count;
    const int status = fit_from_starts(s, work, &again, result);
    const cbp_real noise = cbp_curve_noise(s, info->loss),
                   most = !was_settled && has_settled(s, &again, result) ? info->loss + noise
                                                                         : info->loss - noise;
    if (status == CBP_OK && again.loss <= most) {
        *info = again;
        return CBP_OK;
    }
    memcpy(s->diverges, first_diverges, sizeof first_diverges);
    s->fixed_at = first_fixed_at;
    s->starts[0] = first;
    return cbp_curve_conclude(s, NULL, result);
}

int cbp_curve_fit_examples(cbp_curve_search *s, const cbp_examples *examples, cbp_real *work,
                           cbp_curve_result *result)
{
    cbp_fit_info info;
    cbp_fit kind = s->problem;
    kind.examples = *examples;
    kind.lower = kind.upper = NULL;
    kind.options = &s->options;
    kind.info = &info;
    kind.is_log_dose = s->curve->x_is == CBP_X_LOG_DOSE;
    int status = cbp_fit_check(&kind);
    if (status == CBP_OK) {
        status = cbp_curve_check_domain(s->curve, examples);
    }
    if (status == CBP_OK) {
        cbp_curve_begin(s, examples, work);
        status = s->problem.loss.kind == CBP_POWER ? start_by_transform(s, work, &info)
                                                   : cbp_curve_find_starts(s, work);
    }
    if (status != CBP_OK) {
        return status;
    }
    status = fit_from_starts(s, work, &info, result);
    if (status == CBP_OK) {
        status = search_again(s, work, &info, result);
    }
    if (status == CBP_ERROR_START_LOSS && has_huge_input(examples) &&
        cbp_is_finite(cbp_curve_mean_square(s))) {
        status = CBP_ERROR_DATA;
    }
    if (status == CBP_OK) {
        result->loss = info.loss;
        if (s->problem.loss.kind == CBP_SQUARED) {
            result->rss = info.loss * result->weight; /* the same sum: no other rounding of it */
        }
        result->outcome = s->is_stopped ? CBP_STOPPED : info.outcome;
        result->iterations = s->iterations;
        result->evaluations = s->evaluations;
    }
    return status;
}

int cbp_curve_has_arrays(const cbp_curve_result *result)
{
    return result && result->natural && result->params && result->covariance &&
           result->determined && result->triangle;
}

int cbp_curve_fit(const cbp_curve *curve, const cbp_examples *examples, const cbp_real *fixed,
                  const cbp_fit_options *options, cbp_real *work, cbp_curve_result *result)
{
    cbp_curve_search s;
    if (!examples || !work || !cbp_curve_has_arrays(result)) {
        return CBP_ERROR_NULL;
    }
    const int status = cbp_curve_prepare(&s, curve, fixed, options);
    return status == CBP_OK ? cbp_curve_fit_examples(&s, examples, work, result) : status;
}
