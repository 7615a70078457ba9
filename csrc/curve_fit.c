/* One fit of a curve, by cbp_fit_over in the coordinates of its natural parameters. */
#include "curve.h"
#include "fit_step.h"

/* ---- before the examples --------------------------------------------------------------------- */

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
        } else if (!(low <= high) || (is_positive && high <= 0)) {
            return CBP_ERROR_BOUNDS;
        }
        s->lower[k] = !is_positive ? low
                      : low > 0    ? cbp_curve_value(CBP_LOG, low)
                                   : -(cbp_real)INFINITY;
        s->upper[k] = !is_positive ? high : cbp_curve_value(CBP_LOG, high > 0 ? high : 1);
        s->is_bound |= s->frozen[k] || cbp_is_finite(s->lower[k]) || cbp_is_finite(s->upper[k]);
    }
    return CBP_OK;
}

int cbp_curve_check_domain(const cbp_curve *curve, const cbp_examples *examples)
{
    for (size_t i = 0; i < examples->n; i++) {
        if (!(examples->x[i] >= curve->domain_low && examples->x[i] <= curve->domain_high)) {
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
    const size_t inner = cbp_count_free(s->constants, s->layers), rows = inner + 1,
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
                if (!s->constants[place]) {
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
    const cbp_chain chain = {params, s->curve->activations, s->constants, s->layers};
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
    const cbp_real first = s->frozen[0] ? s->fixed.t[0] : at[0],
                   second = s->frozen[1] ? s->fixed.t[1] : at[1];
    return s->curve->signs != CBP_MIRROR || !s->is_bound || first <= second;
}

int cbp_curve_choose_mirror(const cbp_curve_search *s, cbp_real *at)
{
    const int is_free = !s->frozen[0] && !s->frozen[1] && !s->frozen[3];
    if (s->curve->signs != CBP_MIRROR || !is_free || !(at[0] > at[1])) {
        return 0;
    }
    const cbp_real turned[] = {at[1], at[0], at[2], -at[3]};
    for (size_t k = 0; k < 4; k++) {
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
        const unsigned char first = s->diverges[0];
        s->diverges[0] = s->diverges[1];
        s->diverges[1] = first;
        s->fixed_at = s->fixed_at < 2 ? 1 - s->fixed_at : s->fixed_at;
    }
}

/* ---- starts and fits ------------------------------------------------------------------------- */

/* A start is unlikely to lead to the least loss if its own is so many times the least one that was
 * found, and so many times that of the best start. */
#define UNLIKELY 100
#define WORSE_START 4

/* Iterations after which a fit from a further start is given up unless it is near the least loss;
 * and one from an unlikely start, which is tried only if it is the first of its sign. */
#define FURTHER_ITERATIONS 200
#define UNLIKELY_ITERATIONS 30

/* How many starts of a sign are refined: they differ by a power alone. */
#define REFINED_OF_SIGN 2

/* How many times the least loss is near it. */
#define NEAR_LOSS 3

int cbp_curve_move(cbp_curve_search *s, const cbp_fit_options *options, cbp_real *at,
                   cbp_fit_info *info)
{
    s->coordinates.params = at;
    return cbp_fit_over(curve_pass, s, &s->coordinates, options, s->work, at, info);
}

/* The fit from one start, in its place; given up after so many iterations unless it is near the
 * least loss. */
static int refine_start(cbp_curve_search *s, cbp_curve_start *from, size_t iterations,
                        cbp_real least, cbp_fit_info *found)
{
    cbp_fit_options options = s->options;
    const size_t most = options.max_iterations;
    options.max_iterations = most < iterations ? most : iterations;
    int status = cbp_curve_move(s, &options, from->at, found);
    if (status == CBP_OK && found->outcome == CBP_EXHAUSTED && most > options.max_iterations &&
        found->loss < NEAR_LOSS * least) {
        options.max_iterations = most - options.max_iterations;
        status = cbp_curve_move(s, &options, from->at, found);
    }
    return status;
}

/* Refines the starts that may lead to the least loss; the best is left in s->starts[0]. */
static int refine_starts(cbp_curve_search *s, cbp_fit_info *info)
{
    const cbp_real first_loss = s->starts_len > 0 ? s->starts[0].loss : 0;
    cbp_curve_start best = {{0}, (cbp_real)INFINITY, 0};
    int status = CBP_ERROR_START_LOSS, has_converged = 0, seen[2] = {0, 0};
    size_t iterations = 0, evaluations = 0;
    for (size_t i = 0; i < s->starts_len; i++) {
        cbp_curve_start *from = &s->starts[i];
        cbp_fit_info found;
        const int is_unlikely = has_converged && cbp_curve_is_ordered(s, best.at) &&
                                from->loss > UNLIKELY * best.loss &&
                                from->loss > WORSE_START * first_loss;
        if (seen[from->sign] >= (is_unlikely ? 1 : REFINED_OF_SIGN)) {
            continue;
        }
        seen[from->sign]++;
        const size_t most = !has_converged ? s->options.max_iterations
                            : is_unlikely  ? UNLIKELY_ITERATIONS
                                           : FURTHER_ITERATIONS;
        const int own = refine_start(s, from, most, best.loss, &found);
        if (own != CBP_OK) {
            status = best.loss < (cbp_real)INFINITY ? status : own;
            continue;
        }
        iterations += found.iterations;
        evaluations += found.evaluations;
        const int is_ordered = cbp_curve_is_ordered(s, from->at),
                  is_better = is_ordered == cbp_curve_is_ordered(s, best.at)
                                  ? found.loss < best.loss
                                  : is_ordered;
        if (is_better || status != CBP_OK) {
            status = CBP_OK;
            best = *from;
            best.loss = found.loss;
            *info = found;
        }
        has_converged |= found.outcome == CBP_CONVERGED;
        if (found.outcome == CBP_STOPPED) {
            break;
        }
    }
    s->starts[0] = best;
    s->coordinates.params = s->starts[0].at;
    if (status == CBP_OK) {
        info->iterations = iterations;
        info->evaluations = evaluations;
    }
    return status;
}

/* ---- what is known of the parameters --------------------------------------------------------- */

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

/* Parameters, their covariance and the chain where the fit has ended. What was fixed on the way to
 * a limit is fixed here, too: the rest is the fit of the limit. */
static int conclude_curve(cbp_curve_search *s, cbp_curve_result *result)
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
    const cbp_real *node = cbp_curve_triangle_at(s, s->starts[0].at),
                   *sums = node + cbp_fit_sums_at(free);
    const int status =
        cbp_fit_node_covariance(&s->coordinates, &s->options, node, NULL, s->work, &covariance);
    if (status == CBP_OK) {
        spread_covariance(s, matrix, free, result);
        cbp_curve_chain_at(s->curve, &p, result->params, NULL);
        memcpy(result->triangle, node, (free + 1) * (free + 1) * sizeof *node);
        memcpy(result->natural, p.n, count * sizeof *p.n);
        result->fixed_at = fixed_at;
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
        clear_unknown(s, result);
        sum_examples(s, result);
    }
    return status;
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

int cbp_curve_fit_examples(cbp_curve_search *s, const cbp_examples *examples, cbp_real *work,
                           cbp_curve_result *result)
{
    cbp_fit_info info;
    cbp_fit kind = s->problem;
    kind.examples = *examples;
    kind.lower = kind.upper = NULL;
    kind.options = &s->options;
    kind.info = &info;
    int status = cbp_fit_check(&kind);
    if (status == CBP_OK) {
        status = cbp_curve_check_domain(s->curve, examples);
    }
    if (status != CBP_OK) {
        return status;
    }
    s->problem.examples = *examples;
    s->starts_len = 0;
    status = cbp_curve_find_starts(s, work);
    if (status != CBP_OK) {
        return status;
    }
    cbp_curve_fit_starts(s, work);
    s->memory =
        (cbp_fit_memory){.fit = &s->problem,
                         .work = work,
                         .nodes = work + cbp_fit_pass_len(CBP_CURVE_LAYERS, CBP_CURVE_PLACES)};
    s->node = s->memory.nodes + cbp_fit_memory_len(CBP_CURVE_PLACES, examples->n);
    s->work = s->node + 2 * cbp_fit_node_len(CBP_CURVE_PLACES);
    memset(s->diverges, 0, sizeof s->diverges);
    s->fixed_at = s->count;
    status = refine_starts(s, &info);
    if (status == CBP_OK && info.outcome == CBP_EXHAUSTED) {
        cbp_curve_follow_loss(s, &info);
    }
    if (status == CBP_OK) {
        report_mirror(s);
        status = conclude_curve(s, result);
    }
    if (status == CBP_OK && info.outcome == CBP_CONVERGED &&
        cbp_curve_finds_no_minimum(s, info.loss, result)) {
        info.outcome = CBP_EXHAUSTED;
        status = conclude_curve(s, result);
    }
    if (status == CBP_OK) {
        result->loss = info.loss;
        if (s->problem.loss.kind == CBP_SQUARED) {
            result->rss = info.loss * result->weight; /* the same sum: no other rounding of it */
        }
        result->outcome = info.outcome;
        result->iterations = info.iterations;
        result->evaluations = info.evaluations;
    }
    return status;
}

static int has_arrays(const cbp_curve_result *result)
{
    return result && result->natural && result->params && result->covariance &&
           result->determined && result->triangle;
}

int cbp_curve_fit(const cbp_curve *curve, const cbp_examples *examples, const cbp_real *fixed,
                  const cbp_fit_options *options, cbp_real *work, cbp_curve_result *result)
{
    cbp_curve_search s;
    if (!examples || !work || !has_arrays(result)) {
        return CBP_ERROR_NULL;
    }
    const int status = cbp_curve_prepare(&s, curve, fixed, options);
    return status == CBP_OK ? cbp_curve_fit_examples(&s, examples, work, result) : status;
}
