/* Fits of one curve to several groups of examples that have parameters in common.
 *
 * The shared parameters alone are fitted, by cbp_fit_over. Its pass fits each group's own ones at
 * the shared ones that it is given, from where they were, and leaves of the group what its own
 * parameters cannot explain: of the triangle of all of its parameters, own ones first, the rows
 * below the own ones (G. H. Golub, V. Pereyra, The differentiation of pseudo-inverses and nonlinear
 * least squares problems whose variables separate, 1973; L. Kaufman's form of it, 1975). So the
 * work is proportional to the number of groups. */
#include "curve.h"
#include "fit_step.h"
#include "many.h"

/* So many groups, at equal steps, are fitted alone to find where the shared parameters start. */
#define GROUPS_SAMPLED 15

/* Iterations of a group's own parameters in one pass; the next pass goes on from there. */
#define OWN_ITERATIONS 50

/* A step of own parameters that changes the outputs by less than this part of the residuals is the
 * last in a pass: what is left is small of second order. */
#define OWN_TOLERANCE ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-8))

#define TRIANGLE_LEN ((CBP_CURVE_PARAMETERS + 1) * (CBP_CURVE_PARAMETERS + 1))
#define NODE_LEN (TRIANGLE_LEN + 8)

/* A call under way. */
typedef struct group_fit {
    cbp_curve_search s; /* of one group after the other */
    const cbp_curve_groups *groups;
    unsigned char shared[CBP_CURVE_WIDTH];     /* those that are not fixed */
    unsigned char not_shared[CBP_CURVE_WIDTH]; /* all others: frozen where those are fitted */
    size_t shared_count, own_count;
    cbp_real *best,
        *trial;        /* [count][CBP_CURVE_WIDTH], coordinates: of the least loss; of a pass */
    cbp_real least;    /* loss, summed */
    cbp_real *columns; /* to merge triangles in */
    cbp_real *work;    /* of a group */
} group_fit;

/* ---- one group ------------------------------------------------------------------------------- */

/* The shared parameters in a group's coordinates, frozen there or not. */
static void set_shared(group_fit *f, const cbp_real *shared, int are_frozen, cbp_real *at)
{
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->shared[k]) {
            at[k] = shared[k];
            f->s.frozen[k] = (unsigned char)are_frozen;
            cbp_curve_set_coordinate(f->s.curve, k, at[k], &f->s.fixed);
        }
    }
    cbp_curve_freeze_chain(&f->s);
}

/* The columns of a group's triangle in this order, as an upper triangle: with the residuals,
 * [rows][count + 1]; rows is how many parameters there are, and one more. */
static void order_triangle(const cbp_real *triangle, size_t rows, const size_t *order, size_t count,
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

/* Numbers the columns of a triangle of all that is not fixed: own ones, then shared ones. Left out
 * are own ones that depend on those before them. How many are own; *count: of all. */
static size_t order_columns(const group_fit *f, const cbp_real *triangle, size_t rows,
                            size_t *order, size_t *count)
{
    size_t own = 0, column = 0, shared = 0, places[CBP_CURVE_PARAMETERS];
    cbp_real ordered[TRIANGLE_LEN];
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->s.frozen[k]) {
            continue;
        }
        if (f->shared[k]) {
            places[shared++] = column;
        } else {
            cbp_real square = 0;
            order[own] = column;
            order_triangle(triangle, rows, order, own + 1, ordered);
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

/* What a group's own parameters cannot explain, as a node of the shared ones. */
static void eliminate_own(const group_fit *f, const cbp_real *all, cbp_real *node)
{
    const size_t rows = cbp_count_free(f->s.frozen, CBP_COORDINATE_LAYERS) + 1,
                 width = f->shared_count + 1;
    size_t order[CBP_CURVE_PARAMETERS], count;
    cbp_real ordered[TRIANGLE_LEN];
    const size_t own = order_columns(f, all, rows, order, &count);
    order_triangle(all, rows, order, count, ordered);
    for (size_t i = 0; i < width; i++) {
        for (size_t j = 0; j < width; j++) {
            node[i * width + j] = j < i ? 0 : ordered[(own + i) * (count + 1) + own + j];
        }
    }
    memcpy(node + cbp_fit_sums_at(f->shared_count), all + cbp_fit_sums_at(rows - 1),
           8 * sizeof *node);
}

/* Adds what a group leaves at these coordinates to the node of all groups. */
static void add_rest(group_fit *f, const cbp_real *at, cbp_real *node)
{
    cbp_real own_node[NODE_LEN];
    const size_t sums = cbp_fit_sums_at(f->shared_count);
    eliminate_own(f, cbp_curve_triangle_at(&f->s, at), own_node);
    cbp_kernels_now()->merge_triangles(f->shared_count + 1, own_node, f->columns, node);
    (void)cbp_sums_merge(own_node + sums, own_node + sums + 4, 4, node + sums, node + sums + 4);
}

/* Fits a group's own parameters at these shared ones, from `from`, and adds what it leaves to the
 * node. 1 if the fit is to stop. */
static int add_group(group_fit *f, size_t group, const cbp_real *shared, const cbp_real *from,
                     cbp_real *node)
{
    cbp_curve_search *s = &f->s;
    cbp_real *at = f->trial + group * CBP_CURVE_WIDTH;
    cbp_fit_info info;
    cbp_curve_begin(s, &f->groups->examples[group], f->work);
    memcpy(at, from, CBP_CURVE_WIDTH * sizeof *at);
    set_shared(f, shared, 1, at);
    int status = CBP_OK;
    if (f->own_count > 0) {
        status = cbp_curve_move(s, OWN_ITERATIONS, at, &info);
    }
    set_shared(f, shared, 0, at);
    if (status == CBP_OK && f->own_count > 0 && info.outcome == CBP_STOPPED) {
        return 1;
    }
    add_rest(f, at, node);
    return 0;
}

/* A pass over all groups, a cbp_fit_pass. Own parameters go on from where the loss was least. */
static int pass_over_groups(void *user, const cbp_chain *coordinates, cbp_real *node)
{
    group_fit *f = user;
    const size_t sums = cbp_fit_sums_at(f->shared_count);
    memset(node, 0, cbp_fit_node_len(f->shared_count) * sizeof *node);
    for (size_t g = 0; g < f->groups->count; g++) {
        if (add_group(f, g, coordinates->params, f->best + g * CBP_CURVE_WIDTH, node)) {
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

/* ---- starts ---------------------------------------------------------------------------------- */

/* Room for a result that is not wanted but for its loss. */
typedef struct group_scratch {
    cbp_real natural[CBP_CURVE_PARAMETERS], params[CBP_CURVE_PLACES],
        covariance[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS], triangle[TRIANGLE_LEN];
    unsigned char determined[CBP_CURVE_PARAMETERS];
} group_scratch;

/* Fits a group with what is frozen, from its own start if the curve has one. */
static int fit_group(group_fit *f, size_t group, cbp_curve_result *result)
{
    if (f->s.curve->grid == CBP_GRID_START) {
        f->s.start = f->s.curve->start + group * f->s.curve->start_step;
    }
    return cbp_curve_fit_examples(&f->s, &f->groups->examples[group], f->work, result);
}

/* The same for its coordinates, to at[CBP_CURVE_WIDTH]. */
static int fit_alone(group_fit *f, size_t group, cbp_real *at, cbp_curve_result *result)
{
    group_scratch scratch;
    *result = (cbp_curve_result){.natural = scratch.natural,
                                 .params = scratch.params,
                                 .covariance = scratch.covariance,
                                 .determined = scratch.determined,
                                 .triangle = scratch.triangle};
    const int status = fit_group(f, group, result);
    if (status == CBP_OK) {
        memcpy(at, f->s.starts[0].at, CBP_CURVE_WIDTH * sizeof *at);
    }
    return status;
}

/* The group that is the i-th of the sample. */
static size_t sampled(const group_fit *f, size_t i)
{
    const size_t count = f->groups->count;
    return count <= GROUPS_SAMPLED ? i : i * (count / GROUPS_SAMPLED);
}

/* A group's own parameters at these shared ones, from no start: coordinates to f->best. The loss,
 * summed; infinite if there is none. */
static cbp_real start_group(group_fit *f, size_t group, const cbp_real *shared)
{
    cbp_real *at = f->best + group * CBP_CURVE_WIDTH;
    cbp_curve_result result;
    const int is_bound = f->s.is_bound;
    memset(at, 0, CBP_CURVE_WIDTH * sizeof *at);
    f->s.is_bound = 1;
    set_shared(f, shared, 1, at);
    const int status = fit_alone(f, group, at, &result);
    set_shared(f, shared, 0, at);
    f->s.is_bound = is_bound;
    return status == CBP_OK ? result.loss * result.weight : (cbp_real)INFINITY;
}

/* The sum of the losses of the sampled groups at these shared parameters. */
static cbp_real loss_of_sample(group_fit *f, size_t count, const cbp_real *shared)
{
    cbp_real sum = 0, node[NODE_LEN] = {0};
    for (size_t i = 0; i < count; i++) {
        const size_t group = sampled(f, i);
        if (f->own_count > 0) {
            sum += start_group(f, group, shared);
        } else {
            (void)add_group(f, group, shared, shared, node);
        }
    }
    const size_t sums = cbp_fit_sums_at(f->shared_count);
    return f->own_count > 0 ? sum : node[sums + 1] + node[sums + 5];
}

/* The middle one of `count` numbers, which are put in order. */
static cbp_real median_of(cbp_real *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const cbp_real number = numbers[i];
        size_t j = i;
        for (; j > 0 && numbers[j - 1] > number; j--) {
            numbers[j] = numbers[j - 1];
        }
        numbers[j] = number;
    }
    return numbers[count / 2];
}

/* Where the shared parameters start: at those of a sampled group's own fit, or at the medians of
 * all, whichever leaves the least loss. */
static int start_shared(group_fit *f, cbp_real *shared)
{
    cbp_real found[GROUPS_SAMPLED + 1][CBP_CURVE_WIDTH], least = (cbp_real)INFINITY;
    const size_t sample = f->groups->count < GROUPS_SAMPLED ? f->groups->count : GROUPS_SAMPLED;
    size_t count = 0;
    int status = CBP_ERROR_START_LOSS;
    for (size_t i = 0; i < sample; i++) {
        cbp_curve_result result;
        const int own = fit_alone(f, sampled(f, i), found[count], &result);
        count += own == CBP_OK;
        status = count > 0 ? CBP_OK : own;
        if (own == CBP_OK && result.outcome == CBP_STOPPED) {
            return CBP_STOPPED;
        }
    }
    for (size_t k = 0; count > 0 && k < CBP_CURVE_WIDTH; k++) {
        cbp_real numbers[GROUPS_SAMPLED];
        for (size_t i = 0; i < count; i++) {
            numbers[i] = found[i][k];
        }
        found[count][k] = median_of(numbers, count);
    }
    for (size_t i = 0; status == CBP_OK && i <= count; i++) {
        const cbp_real loss = loss_of_sample(f, sample, found[i]);
        if (i == 0 || loss < least) {
            least = loss;
            memcpy(shared, found[i], CBP_CURVE_WIDTH * sizeof *shared);
        }
    }
    return status;
}

/* ---- results --------------------------------------------------------------------------------- */

/* What all examples say of one group's parameters: the node of those that are not fixed, its own
 * rows of its triangle, and for the shared ones the rows of all groups. */
static void join_node(group_fit *f, size_t group, const cbp_real *shared_node, cbp_real *node)
{
    const cbp_real *at = f->best + group * CBP_CURVE_WIDTH;
    cbp_curve_begin(&f->s, &f->groups->examples[group], f->work);
    const cbp_real *all = cbp_curve_triangle_at(&f->s, at);
    const size_t free = cbp_count_free(f->s.frozen, CBP_COORDINATE_LAYERS), width = free + 1,
                 shared_width = f->shared_count + 1;
    size_t order[CBP_CURVE_PARAMETERS], count, column = 0, columns[CBP_CURVE_PARAMETERS], len = 0;
    cbp_real ordered[TRIANGLE_LEN], rows[2 * TRIANGLE_LEN] = {0};
    const size_t own = order_columns(f, all, width, order, &count);
    for (size_t k = 0; k < f->s.count; k++) { /* what depends on others goes between */
        int is_there = 0;
        for (size_t i = 0; i < count; i++) {
            is_there |= order[i] == column;
        }
        if (!f->s.frozen[k]) {
            columns[len] = column;
            len += !is_there;
            column++;
        }
    }
    for (size_t i = f->shared_count; i-- > 0;) {
        order[own + len + i] = order[own + i];
    }
    memcpy(order + own, columns, len * sizeof *order);
    order_triangle(all, width, order, free, ordered);
    for (size_t j = 0; j < free; j++) {
        for (size_t i = 0; i < own; i++) {
            rows[i * width + order[j]] = ordered[i * width + j];
        }
        for (size_t i = 0; j >= own + len && i < shared_width; i++) {
            rows[(own + i) * width + order[j]] = shared_node[i * shared_width + j - own - len];
        }
    }
    for (size_t i = 0; i < own; i++) {
        rows[i * width + free] = ordered[i * width + free];
    }
    for (size_t i = 0; i < shared_width; i++) {
        rows[(own + i) * width + free] = shared_node[i * shared_width + f->shared_count];
    }
    cbp_triangulate(rows, own + shared_width, free, width);
    memset(node, 0, NODE_LEN * sizeof *node);
    for (size_t i = 0; i < width && i < own + shared_width; i++) {
        memcpy(node + i * width + i, rows + i * width + i, (width - i) * sizeof *node);
    }
    memcpy(node + cbp_fit_sums_at(free), shared_node + cbp_fit_sums_at(f->shared_count),
           8 * sizeof *node);
}

/* The variance and its degrees of freedom are those of all groups together, whose node this is. */
static void share_variance(const group_fit *f, const cbp_real *node, cbp_curve_result *results)
{
    const size_t p = f->s.count, width = f->shared_count + 1;
    const cbp_real *sums = node + cbp_fit_sums_at(f->shared_count);
    cbp_real df = sums[2] + sums[6], squares = 0;
    for (size_t i = 0; i < width; i++) {
        squares += node[i * width + width - 1] * node[i * width + width - 1];
    }
    for (size_t g = 0; g < f->groups->count; g++) {
        for (size_t k = 0; k < p; k++) {
            const int kind = results[g].determined[k];
            df -= (g == 0 || !f->shared[k]) && (kind == CBP_DETERMINED || kind == CBP_UNDETERMINED);
        }
    }
    const int is_known = cbp_loss_table[f->s.problem.loss.kind].dispersion > 0;
    for (size_t g = 0; g < f->groups->count; g++) {
        const cbp_real variance = is_known ? 1
                                  : df > 0 ? squares / df
                                           : (cbp_real)NAN,
                       own = results[g].variance, factor = own == variance ? 1 : variance / own;
        results[g].variance = variance;
        for (size_t k = 0; k < p * p; k++) {
            const cbp_real value = results[g].covariance[k];
            results[g].covariance[k] = value == 0 ? 0 : value * factor;
        }
        results[g].df = df;
    }
}

/* What is known of a group's parameters, from the node that all groups leave. */
static int conclude_group(group_fit *f, size_t group, const cbp_real *shared_node,
                          cbp_curve_result *result)
{
    cbp_real node[NODE_LEN];
    join_node(f, group, shared_node, node);
    memcpy(f->s.starts[0].at, f->best + group * CBP_CURVE_WIDTH, CBP_CURVE_WIDTH * sizeof *f->best);
    return cbp_curve_conclude(&f->s, node, result);
}

static int conclude_groups(group_fit *f, const cbp_real *shared_node, const cbp_fit_info *info,
                           cbp_curve_result *results)
{
    for (size_t g = 0; g < f->groups->count; g++) {
        const int status = conclude_group(f, g, shared_node, &results[g]);
        if (status != CBP_OK) {
            return status;
        }
        results[g].loss = info->loss;
        results[g].outcome = info->outcome;
        results[g].iterations = info->iterations;
        results[g].evaluations = info->evaluations;
    }
    share_variance(f, shared_node, results);
    return CBP_OK;
}

/* Fits the groups one by one, where they have only the variance in common. */
static int fit_apart(group_fit *f, cbp_curve_result *results)
{
    cbp_real node[NODE_LEN] = {0};
    for (size_t g = 0; g < f->groups->count; g++) {
        const int status = fit_group(f, g, &results[g]);
        if (status != CBP_OK || results[g].outcome == CBP_STOPPED) {
            return status != CBP_OK ? status : CBP_STOPPED;
        }
        memcpy(f->best + g * CBP_CURVE_WIDTH, f->s.starts[0].at, sizeof f->s.starts[0].at);
        add_rest(f, f->s.starts[0].at, node);
    }
    for (size_t g = 0; g < f->groups->count; g++) {
        const int is_limit = results[g].outcome != CBP_CONVERGED;
        const int status = is_limit ? CBP_OK : conclude_group(f, g, node, &results[g]);
        if (status != CBP_OK) {
            return status;
        }
    }
    share_variance(f, node, results);
    return CBP_OK;
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

size_t cbp_curve_fit_groups_work_len(const cbp_curve_groups *groups)
{
    if (!groups || !groups->examples) {
        return 0;
    }
    return 2 * groups->count * CBP_CURVE_WIDTH + (CBP_CURVE_PARAMETERS + 1) * CBP_FIT_TILE +
           cbp_fit_work_len(CBP_COORDINATE_LAYERS, CBP_CURVE_PARAMETERS, 0) +
           cbp_curve_fit_work_len(largest_group(groups));
}

/* Fits what is shared, from where it was found to start. */
static int fit_shared(group_fit *f, const cbp_fit_options *options, cbp_real *shared,
                      cbp_real *work, cbp_fit_info *info)
{
    cbp_fit_options own = *options;
    own.lower = f->s.lower;
    own.upper = f->s.upper;
    const cbp_chain chain = {shared, f->s.coordinates.activations, f->not_shared,
                             CBP_COORDINATE_LAYERS};
    f->least = (cbp_real)INFINITY;
    for (size_t g = 0; f->own_count > 0 && g < f->groups->count; g++) {
        (void)start_group(f, g, shared);
    }
    f->s.options.tolerance = own.tolerance > OWN_TOLERANCE ? own.tolerance : OWN_TOLERANCE;
    return cbp_fit_over(pass_over_groups, f, &chain, &own, work, shared, info);
}

static int check_groups(const group_fit *f)
{
    size_t examples = 0;
    for (size_t g = 0; g < f->groups->count; g++) {
        cbp_fit group = f->s.problem;
        cbp_fit_info info;
        group.examples = f->groups->examples[g];
        group.options = &f->s.options;
        group.lower = group.upper = NULL;
        group.info = &info;
        group.is_log_dose = f->s.curve->x_is == CBP_X_LOG_DOSE;
        int status = cbp_fit_check(&group);
        if (status == CBP_OK) {
            status = cbp_curve_check_domain(f->s.curve, &group.examples);
        }
        if (status == CBP_OK && cbp_fit_totals_of(&group).examples < (cbp_real)f->own_count) {
            status = CBP_ERROR_FEW_EXAMPLES;
        }
        if (status != CBP_OK) {
            return status;
        }
        examples += (size_t)cbp_fit_totals_of(&group).examples;
    }
    return examples < f->shared_count + f->groups->count * f->own_count ? CBP_ERROR_FEW_EXAMPLES
                                                                        : CBP_OK;
}

int cbp_curve_fit_groups(const cbp_curve *curve, const cbp_curve_groups *groups,
                         const cbp_real *fixed, const cbp_fit_options *options, cbp_real *work,
                         cbp_curve_result *results)
{
    group_fit f = {.groups = groups};
    cbp_fit_info info;
    cbp_real shared[CBP_CURVE_WIDTH] = {0}, node[NODE_LEN] = {0};
    if (!groups || !groups->examples || !groups->shared || !work || !results) {
        return CBP_ERROR_NULL;
    }
    int status = cbp_curve_prepare(&f.s, curve, fixed, options);
    if (status != CBP_OK) {
        return status;
    }
    for (size_t k = 0; k < CBP_CURVE_WIDTH; k++) {
        f.shared[k] = k < f.s.count && groups->shared[k] && !f.s.frozen[k];
        f.not_shared[k] = !f.shared[k];
        f.shared_count += f.shared[k];
    }
    f.own_count = cbp_count_free(f.s.frozen, CBP_COORDINATE_LAYERS) - f.shared_count;
    f.best = cbp_taken(&work, groups->count * CBP_CURVE_WIDTH);
    f.trial = cbp_taken(&work, groups->count * CBP_CURVE_WIDTH);
    f.columns = cbp_taken(&work, (CBP_CURVE_PARAMETERS + 1) * CBP_FIT_TILE);
    cbp_real *outer =
        cbp_taken(&work, cbp_fit_work_len(CBP_COORDINATE_LAYERS, CBP_CURVE_PARAMETERS, 0));
    f.work = work;
    status = groups->count > 0 ? check_groups(&f) : CBP_ERROR_EMPTY;
    if (status != CBP_OK || f.shared_count == 0) {
        return status != CBP_OK ? status : fit_apart(&f, results);
    }
    if (status == CBP_OK) {
        f.s.options.history = NULL;
        status = start_shared(&f, shared);
    }
    if (status == CBP_OK) {
        status = fit_shared(&f, options, shared, outer, &info);
    }
    if (status != CBP_OK) {
        return status;
    }
    const cbp_chain chain = {shared, f.s.coordinates.activations, f.not_shared,
                             CBP_COORDINATE_LAYERS};
    f.least = (cbp_real)INFINITY;
    f.s.options.tolerance = options->tolerance;
    if (info.outcome == CBP_STOPPED || pass_over_groups(&f, &chain, node)) {
        return CBP_STOPPED;
    }
    return conclude_groups(&f, node, &info, results);
}
