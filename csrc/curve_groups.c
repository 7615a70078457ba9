/* Fits of one curve to several groups of examples that have parameters in common.
 *
 * The values of shared parameters alone are fitted, by cbp_fit_over. Its pass fits each group's own
 * parameters at the values that it is given, from where these are expected, and leaves of the group
 * what its own parameters cannot explain: of the triangle of all of its parameters, own ones first,
 * the rows below the own ones (G. H. Golub, V. Pereyra, The differentiation of pseudo-inverses and
 * nonlinear least squares problems whose variables separate, 1973; L. Kaufman's form of it, 1975).
 * So the work is proportional to the number of groups. */
#include "curve_groups.h"
#include "fit_step.h"

/* Iterations of a group's own parameters in one pass; the next pass goes on from there. */
#define OWN_ITERATIONS 50

/* A step of own parameters that changes the outputs by less than this part of the residuals is the
 * last in a pass: what is left is small of second order. */
#define OWN_TOLERANCE ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-8))

/* Of so many groups starts are compared by fits of all. */
#define FEW_GROUPS 15

/* ---- values and coordinates ------------------------------------------------------------------ */

static size_t value_of_group(const cbp_curve_groups *groups, size_t p, size_t group, size_t k)
{
    return groups->value ? groups->value[group * p + k] : 0;
}

size_t cbp_group_place(const cbp_group_fit *f, size_t group, size_t k)
{
    return f->first[k] + value_of_group(f->groups, f->s.count, group, k);
}

static cbp_real factor_of(const cbp_group_fit *f, size_t group, size_t k)
{
    return f->groups->factor ? f->groups->factor[group * f->s.count + k] : 1;
}

cbp_real cbp_group_coordinate(const cbp_group_fit *f, size_t group, size_t k, cbp_real value)
{
    const cbp_real factor = factor_of(f, group, k);
    return factor == 1               ? value
           : f->s.curve->positive[k] ? value + cbp_curve_value(CBP_LOG, factor)
                                     : value * factor;
}

cbp_real cbp_group_slope(const cbp_group_fit *f, size_t group, size_t k)
{
    return f->s.curve->positive[k] ? 1 : factor_of(f, group, k);
}

/* ---- triangles ------------------------------------------------------------------------------- */

void cbp_group_order(const cbp_real *triangle, size_t rows, const size_t *order, size_t count,
                     cbp_real *to)
{
    const size_t width = count + 1;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < count; j++) {
            to[i * width + j] = triangle[i * rows + order[j]];
        }
        to[i * width + count] = triangle[i * rows + rows - 1];
    }
    cbp_triangulate(to, rows, count, width);
    cbp_real rest = 0;
    for (size_t i = count; i < rows; i++) {
        rest += to[i * width + count] * to[i * width + count];
    }
    to[count * width + count] = cbp_root(rest);
}

size_t cbp_group_columns(const cbp_group_fit *f, const cbp_real *triangle, size_t rows,
                         size_t *order, size_t *count)
{
    size_t own = 0, column = 0, shared = 0, places[CBP_CURVE_PARAMETERS];
    cbp_real ordered[CBP_GROUP_TRIANGLE];
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->s.frozen[k]) {
            continue;
        }
        if (f->shared[k]) {
            places[shared++] = column;
        } else {
            cbp_real square = 0;
            order[own] = column;
            cbp_group_order(triangle, rows, order, own + 1, ordered);
            for (size_t i = 0; i <= own; i++) {
                square += ordered[i * (own + 2) + own] * ordered[i * (own + 2) + own];
            }
            own += cbp_magnitude(ordered[own * (own + 3)]) > CBP_INDEPENDENT * cbp_root(square);
        }
        column++;
    }
    memcpy(order + own, places, shared * sizeof *order);
    *count = own + shared;
    return own;
}

/* By Givens' rotations, of which those of zeros are left out: most groups have few of many values.
 */
void cbp_group_add_row(size_t width, cbp_real *row, cbp_real *triangle)
{
    for (size_t j = 0; j < width; j++) {
        cbp_real *above = triangle + j * width;
        if (row[j] == 0) {
            continue;
        }
        if (above[j] == 0) {
            memcpy(above + j, row + j, (width - j) * sizeof *row);
            return;
        }
        const cbp_real length = cbp_root(above[j] * above[j] + row[j] * row[j]),
                       cosine = above[j] / length, sine = row[j] / length;
        above[j] = length;
        for (size_t k = j + 1; k < width; k++) {
            const cbp_real turned = cosine * above[k] + sine * row[k];
            row[k] = cosine * row[k] - sine * above[k];
            above[k] = turned;
        }
    }
}

/* ---- one group in a pass --------------------------------------------------------------------- */

/* The shared parameters in a group's coordinates, frozen there or not. */
static void set_shared(cbp_group_fit *f, size_t group, const cbp_real *values, int are_frozen,
                       cbp_real *at)
{
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->shared[k]) {
            at[k] = cbp_group_coordinate(f, group, k, values[cbp_group_place(f, group, k)]);
            f->s.frozen[k] = (unsigned char)are_frozen;
            cbp_curve_set_coordinate(f->s.curve, k, at[k], &f->s.fixed);
        }
    }
    cbp_curve_freeze_chain(&f->s);
}

/* Moves own parameters to where they are expected at these values, from where they were. */
static void expect_own(const cbp_group_fit *f, size_t group, const cbp_real *values,
                       const cbp_real *from, cbp_real *at)
{
    const cbp_real *slopes = from + CBP_CURVE_WIDTH;
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->shared[k] || f->s.frozen[k]) {
            continue;
        }
        for (size_t j = 0; j < f->s.count; j++) {
            if (f->shared[j]) {
                const cbp_real value = values[cbp_group_place(f, group, j)];
                at[k] += *slopes++ * (cbp_group_coordinate(f, group, j, value) - from[j]);
            }
        }
        at[k] = at[k] < f->s.lower[k]   ? f->s.lower[k]
                : at[k] > f->s.upper[k] ? f->s.upper[k]
                                        : at[k];
    }
}

/* How own parameters move with shared ones, in a triangle whose columns stand in this order, of
 * which `own` are own ones; those that depend on others do not. */
static void find_slopes(const cbp_group_fit *f, const cbp_real *ordered, const size_t *order,
                        size_t own, cbp_real *slopes)
{
    const size_t width = own + f->shared_count + 1;
    memset(slopes, 0, CBP_GROUP_SLOPES * sizeof *slopes);
    for (size_t j = 0; j < f->shared_count; j++) {
        cbp_real found[CBP_CURVE_PARAMETERS];
        for (size_t i = own; i-- > 0;) {
            cbp_real sum = -ordered[i * width + own + j];
            for (size_t k = i + 1; k < own; k++) {
                sum -= ordered[i * width + k] * found[k];
            }
            found[i] = sum / ordered[i * (width + 1)];
        }
        for (size_t k = 0, column = 0, row = 0, i = 0; k < f->s.count; k++) {
            if (f->s.frozen[k]) {
                continue;
            }
            if (!f->shared[k]) {
                if (i < own && order[i] == column) {
                    slopes[row * f->shared_count + j] = found[i++];
                }
                row++;
            }
            column++;
        }
    }
}

void cbp_group_add_rest(cbp_group_fit *f, size_t group, cbp_real *at, cbp_real *node)
{
    const cbp_real *all = cbp_curve_triangle_at(&f->s, at);
    const size_t rows = cbp_count_free(f->s.frozen, CBP_COORDINATE_LAYERS) + 1,
                 values = f->values_len;
    size_t order[CBP_CURVE_PARAMETERS], places[CBP_CURVE_PARAMETERS], count;
    cbp_real ordered[CBP_GROUP_TRIANGLE], slopes[CBP_CURVE_PARAMETERS];
    const size_t own = cbp_group_columns(f, all, rows, order, &count), left = count - own;
    cbp_group_order(all, rows, order, count, ordered);
    find_slopes(f, ordered, order, own, at + CBP_CURVE_WIDTH);
    for (size_t k = 0, j = 0; k < f->s.count; k++) {
        if (f->shared[k]) {
            places[j] = cbp_group_place(f, group, k);
            slopes[j++] = cbp_group_slope(f, group, k);
        }
    }
    for (size_t i = 0; i <= left; i++) {
        memset(f->row, 0, (values + 1) * sizeof *f->row);
        for (size_t j = i; j < left; j++) {
            f->row[places[j]] = slopes[j] * ordered[(own + i) * (count + 1) + own + j];
        }
        f->row[values] = ordered[(own + i) * (count + 1) + count];
        cbp_group_add_row(values + 1, f->row, node);
    }
    const cbp_real *sums = all + cbp_fit_sums_at(rows - 1);
    const cbp_real least = CBP_WEAK * cbp_root(sums[3] + sums[7]);
    int is_weak = own < f->own_count;
    for (size_t i = 0; i < own; i++) {
        is_weak |= !(cbp_magnitude(ordered[i * (count + 2)]) > least);
    }
    f->weak_count += (size_t)is_weak;
    cbp_real *to = node + cbp_fit_sums_at(values);
    (void)cbp_sums_merge(sums, sums + 4, 4, to, to + 4);
}

int cbp_group_add(cbp_group_fit *f, size_t group, const cbp_real *values, cbp_real *node)
{
    cbp_curve_search *s = &f->s;
    const cbp_real *from = f->best + group * CBP_GROUP_POINT;
    cbp_real *at = f->trial + group * CBP_GROUP_POINT;
    cbp_fit_info info;
    int status = CBP_OK;
    cbp_curve_begin(s, &f->groups->examples[group], f->work);
    memcpy(at, from, CBP_GROUP_POINT * sizeof *at);
    if (f->own_count > 0) {
        expect_own(f, group, values, from, at);
        set_shared(f, group, values, 1, at);
        status = cbp_curve_move(s, OWN_ITERATIONS, at, &info);
        if (status != CBP_OK) { /* expected where the loss is not finite */
            memcpy(at, from, CBP_CURVE_WIDTH * sizeof *at);
            set_shared(f, group, values, 1, at);
            status = cbp_curve_move(s, OWN_ITERATIONS, at, &info);
        }
    }
    set_shared(f, group, values, 0, at);
    if (f->own_count > 0 && status == CBP_OK && info.outcome == CBP_STOPPED) {
        return 1;
    }
    cbp_group_add_rest(f, group, at, node);
    return 0;
}

int cbp_group_pass(void *user, const cbp_chain *values, cbp_real *node)
{
    cbp_group_fit *f = user;
    const size_t sums = cbp_fit_sums_at(f->values_len);
    memset(node, 0, cbp_fit_node_len(f->values_len) * sizeof *node);
    f->weak_count = 0;
    for (size_t g = 0; g < f->groups->count; g++) {
        if (cbp_group_add(f, g, values->params, node)) {
            return 1;
        }
    }
    const cbp_real loss = node[sums + 1] + node[sums + 5];
    if (loss < f->least) {
        cbp_real *kept = f->best;
        f->best = f->trial;
        f->trial = kept;
        f->least = loss;
    }
    return 0;
}

/* ---- the call -------------------------------------------------------------------------------- */

static size_t largest_group(const cbp_curve_groups *groups)
{
    size_t n = 0;
    for (size_t g = 0; g < groups->count; g++) {
        n = groups->examples[g].n > n ? groups->examples[g].n : n;
    }
    return n;
}

/* How many values a shared parameter has. */
static size_t count_values(const cbp_curve_groups *groups, size_t p, size_t k)
{
    size_t most = 0;
    for (size_t g = 0; g < groups->count; g++) {
        const size_t value = value_of_group(groups, p, g, k);
        most = value > most ? value : most;
    }
    return most + 1;
}

/* Numbers of work memory for the values: their bounds, start, best, row, nodes, and fit; then two
 * bytes for each. */
static size_t values_work_len(size_t values)
{
    const size_t layers = (values + 1) / 2;
    return 10 * layers + 2 + 2 * cbp_fit_node_len(values) + values * values +
           cbp_fit_search_len(layers, values);
}

size_t cbp_curve_fit_groups_work_len(const cbp_curve *curve, const cbp_curve_groups *groups)
{
    if (cbp_curve_check(curve) != CBP_OK || !groups || !groups->examples || !groups->shared) {
        return 0;
    }
    const size_t p = cbp_curve_count_parameters(curve), largest = largest_group(groups);
    size_t values = 0;
    for (size_t k = 0; k < p; k++) {
        values += groups->shared[k] ? count_values(groups, p, k) : 0;
    }
    return 2 * groups->count * CBP_GROUP_POINT + values_work_len(values) +
           cbp_group_block_len(largest) + cbp_curve_fit_work_len(largest);
}

/* The order of the values: parameters with many of them first, whose rows are mostly zeros. */
static void place_values(cbp_group_fit *f)
{
    size_t *counts = f->counts;
    for (size_t k = 0; k < f->s.count; k++) {
        counts[k] = f->shared[k] ? count_values(f->groups, f->s.count, k) : 0;
    }
    for (size_t k = 0; k < f->s.count; k++) {
        for (size_t j = 0; j < f->s.count; j++) {
            f->first[k] +=
                counts[j] > counts[k] || (counts[j] == counts[k] && j < k) ? counts[j] : 0;
        }
        f->values_len += counts[k];
    }
}

/* Divides the work memory, and makes a chain of the values. */
static void place_work(cbp_group_fit *f, cbp_real *work)
{
    const size_t values = f->values_len, layers = (values + 1) / 2;
    f->best = cbp_taken(&work, f->groups->count * CBP_GROUP_POINT);
    f->trial = cbp_taken(&work, f->groups->count * CBP_GROUP_POINT);
    f->start = cbp_taken(&work, 2 * layers);
    f->low = cbp_taken(&work, 2 * layers);
    f->high = cbp_taken(&work, 2 * layers);
    f->row = cbp_taken(&work, 2 * layers + 1);
    f->ordered = cbp_taken(&work, cbp_fit_node_len(values));
    f->node = cbp_taken(&work, cbp_fit_node_len(values));
    f->matrix = cbp_taken(&work, values * values);
    f->outer = cbp_taken(&work, cbp_fit_search_len(layers, values));
    unsigned char *codes = (unsigned char *)cbp_taken(&work, layers), *frozen = codes + layers;
    f->block = cbp_taken(&work, cbp_group_block_len(largest_group(f->groups)));
    f->work = work;
    memset(codes, CBP_SIGMOID, layers);
    memset(frozen, 0, values);
    memset(frozen + values, 1, 2 * layers - values);
    memset(f->start, 0, 2 * layers * sizeof *f->start);
    f->values = (cbp_chain){f->start, codes, frozen, layers};
    for (size_t k = 0; k < f->s.count; k++) {
        for (size_t i = 0; i < f->counts[k]; i++) {
            f->low[f->first[k] + i] = f->s.lower[k];
            f->high[f->first[k] + i] = f->s.upper[k];
        }
    }
}

static int check_group(const cbp_group_fit *f, size_t group, size_t *counted)
{
    cbp_fit problem = f->s.problem;
    cbp_fit_info info;
    problem.examples = f->groups->examples[group];
    problem.options = &f->s.options;
    problem.lower = problem.upper = NULL;
    problem.info = &info;
    problem.is_log_dose = f->s.curve->x_is == CBP_X_LOG_DOSE;
    int status = cbp_fit_check(&problem);
    if (status == CBP_OK) {
        status = cbp_curve_check_domain(f->s.curve, &problem.examples);
    }
    for (size_t k = 0; k < f->s.count; k++) {
        const cbp_real factor = f->shared[k] ? factor_of(f, group, k) : 1;
        if (factor == 0 || !cbp_is_finite(factor) || (f->s.curve->positive[k] && factor < 0)) {
            return CBP_ERROR_OPTION;
        }
    }
    *counted = (size_t)cbp_fit_totals_of(&problem).examples;
    return status == CBP_OK && *counted < f->own_count ? CBP_ERROR_FEW_EXAMPLES : status;
}

static int check_groups(const cbp_group_fit *f)
{
    size_t examples = 0;
    for (size_t g = 0; g < f->groups->count; g++) {
        size_t counted;
        const int status = check_group(f, g, &counted);
        if (status != CBP_OK) {
            return status;
        }
        examples += counted;
    }
    return examples < f->values_len + f->groups->count * f->own_count ? CBP_ERROR_FEW_EXAMPLES
                                                                      : CBP_OK;
}

/* Groups whose own parameters the loss hardly depends on may have gone astray: they are fitted once
 * more, from the middle of all. Whether one has a lesser loss then. */
static int retry_groups(cbp_group_fit *f)
{
    int is_better = 0;
    for (size_t g = 0; g < f->groups->count; g++) {
        cbp_real *best = f->best + g * CBP_GROUP_POINT, at[CBP_CURVE_WIDTH];
        cbp_fit_info now, other;
        cbp_curve_begin(&f->s, &f->groups->examples[g], f->work);
        memcpy(at, f->middle, sizeof at);
        set_shared(f, g, f->start, 1, best);
        set_shared(f, g, f->start, 1, at);
        const int is_known = cbp_curve_move(&f->s, 1, best, &now) == CBP_OK,
                  is_found = cbp_curve_move(&f->s, OWN_ITERATIONS, at, &other) == CBP_OK;
        if (is_found && !(is_known && other.loss >= now.loss - cbp_curve_noise(&f->s, now.loss))) {
            memcpy(best, at, sizeof at);
            is_better = 1;
        }
        set_shared(f, g, f->start, 0, best);
    }
    return is_better;
}

/* Fits the values from where they are. */
static int fit_from_start(cbp_group_fit *f, cbp_real tolerance, cbp_fit_info *info)
{
    cbp_fit_options options = *f->given;
    options.history = tolerance == options.tolerance ? options.history : NULL;
    options.tolerance = tolerance;
    options.lower = f->low;
    options.upper = f->high;
    f->least = (cbp_real)INFINITY;
    f->s.options.tolerance = tolerance > OWN_TOLERANCE ? tolerance : OWN_TOLERANCE;
    const int status =
        cbp_fit_over(cbp_group_pass, f, &f->values, &options, f->outer, f->start, info);
    return status == CBP_OK && info->outcome == CBP_STOPPED ? CBP_STOPPED : status;
}

/* The same to the tolerance that is given, and the node of all at what it finds. */
static int finish_fit(cbp_group_fit *f, cbp_fit_info *info)
{
    const int status = fit_from_start(f, f->given->tolerance, info);
    f->least = (cbp_real)INFINITY;
    f->s.options.tolerance = f->given->tolerance;
    return status == CBP_OK && cbp_group_pass(f, &f->values, f->node) ? CBP_STOPPED : status;
}

/* Compares the starts of few groups by coarse fits, and leaves the values of the best. */
static int compare_starts(cbp_group_fit *f)
{
    const size_t len = f->values_len, size = len * sizeof *f->start;
    size_t best = 0;
    cbp_real least = (cbp_real)INFINITY;
    for (size_t i = 0; i < f->tries_len; i++) {
        cbp_fit_info info;
        memcpy(f->start, f->ordered + i * len, size);
        int status = cbp_group_start_own(f);
        if (status == CBP_OK) {
            status = fit_from_start(f, CBP_GROUP_COARSE, &info);
        }
        if (status == CBP_STOPPED) {
            return status;
        }
        if (status == CBP_OK && info.loss < least) {
            memcpy(f->ordered + i * len, f->start, size);
            least = info.loss;
            best = i;
        }
    }
    memcpy(f->start, f->ordered + best * len, size);
    return CBP_OK;
}

static int fit_values(cbp_group_fit *f, cbp_fit_info *info)
{
    int status = cbp_group_start_values(f);
    if (status == CBP_OK && f->tries_len > 1 && f->groups->count <= FEW_GROUPS) {
        status = compare_starts(f);
    }
    if (status == CBP_OK) {
        status = cbp_group_start_own(f);
    }
    if (status == CBP_OK) {
        status = finish_fit(f, info);
    }
    return status == CBP_OK && f->weak_count > 0 && retry_groups(f) ? finish_fit(f, info) : status;
}

int cbp_curve_fit_groups(const cbp_curve *curve, const cbp_curve_groups *groups,
                         const cbp_real *fixed, const cbp_fit_options *options, cbp_real *work,
                         cbp_curve_result *results)
{
    cbp_group_fit f = {.groups = groups, .given = options, .fixed = fixed};
    cbp_fit_info info;
    if (!groups || !groups->examples || !groups->shared || !work || !results) {
        return CBP_ERROR_NULL;
    }
    int status = cbp_curve_prepare(&f.s, curve, fixed, options);
    if (status == CBP_OK && groups->count == 0) {
        status = CBP_ERROR_EMPTY;
    }
    if (status != CBP_OK) {
        return status;
    }
    f.s.options.history = NULL;
    for (size_t k = 0; k < f.s.count; k++) {
        f.shared[k] = groups->shared[k] && !f.s.frozen[k];
        f.shared_count += f.shared[k];
    }
    f.own_count = cbp_count_free(f.s.frozen, CBP_COORDINATE_LAYERS) - f.shared_count;
    place_values(&f);
    place_work(&f, work);
    status = check_groups(&f);
    if (status != CBP_OK || f.shared_count == 0) {
        return status != CBP_OK ? status : cbp_group_fit_apart(&f, results);
    }
    status = fit_values(&f, &info);
    return status == CBP_OK ? cbp_group_conclude(&f, &info, results) : status;
}
