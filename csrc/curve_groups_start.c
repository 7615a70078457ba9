/* Where the fit of groups that have parameters in common starts: at fits of single groups, which
 * are made in lanes, several groups at once. */
#include "curve_groups.h"

/* So many groups, at equal steps, are fitted alone to find where shared parameters start, if all
 * groups have one value; and so many tell where one value starts. */
#define GROUPS_SAMPLED 15

/* Groups are fitted in blocks of so many, if they have no more examples than this. */
#define BLOCK_GROUPS 32
#define BLOCK_EXAMPLES 256

#define ANY_PLACE ((size_t)-1)

/* What cbp_curve_fit_many finds for a block. */
typedef struct block_fits {
    size_t iterations[BLOCK_GROUPS];
    int status[BLOCK_GROUPS];
    cbp_real natural[BLOCK_GROUPS * CBP_CURVE_PARAMETERS],
        errors[BLOCK_GROUPS * CBP_CURVE_PARAMETERS], params[BLOCK_GROUPS * CBP_CURVE_PLACES],
        loss[BLOCK_GROUPS], weight[BLOCK_GROUPS], variance[BLOCK_GROUPS], df[BLOCK_GROUPS];
    unsigned char determined[BLOCK_GROUPS * CBP_CURVE_PARAMETERS];
} block_fits;

/* Groups that are fitted alone with the same fixed parameters, natural ones or NaN. */
typedef struct group_block {
    size_t numbers[BLOCK_GROUPS], count;
    cbp_real fixed[CBP_CURVE_PARAMETERS];
} group_block;

size_t cbp_group_block_len(size_t largest)
{
    const size_t copied = largest < BLOCK_EXAMPLES ? largest : BLOCK_EXAMPLES,
                 many = cbp_curve_fit_many_work_len(copied, BLOCK_GROUPS),
                 one = cbp_curve_fit_many_work_len(largest, 1),
                 pool = cbp_curve_fit_many_work_len(BLOCK_GROUPS * copied, 1),
                 more = one > pool ? one : pool;
    return CBP_ALIGNED + sizeof(block_fits) / sizeof(cbp_real) + 1 + 3 * BLOCK_GROUPS * copied +
           (many > more ? many : more);
}

static int have_same_inputs(const cbp_examples *one, const cbp_examples *other)
{
    int is_same = one->n == other->n;
    for (size_t j = 0; is_same && j < one->n; j++) {
        is_same = one->x[j] == other->x[j];
    }
    return is_same;
}

/* The examples of a block side by side: shorter ones are filled up with missing points. Inputs that
 * are the same stand there once. */
static cbp_example_sets gather_block(const cbp_group_fit *f, const group_block *b, cbp_real *x)
{
    const cbp_examples *all = f->groups->examples, *first = &all[b->numbers[0]];
    if (b->count == 1) {
        return (cbp_example_sets){first->x, first->y, first->weight, first->n, 1, 0, 0};
    }
    size_t n = 0;
    int is_same = 1, has_weights = 0;
    for (size_t i = 0; i < b->count; i++) {
        const cbp_examples *one = &all[b->numbers[i]];
        n = one->n > n ? one->n : n;
        is_same &= have_same_inputs(one, first);
        has_weights |= one->weight != NULL;
    }
    cbp_real *y = x + b->count * n, *weight = y + b->count * n;
    for (size_t i = 0; i < b->count; i++) {
        const cbp_examples *one = &all[b->numbers[i]];
        for (size_t j = 0; j < n; j++) {
            const int is_there = j < one->n;
            x[i * n + j] = one->x[is_there ? j : 0];
            y[i * n + j] = is_there ? one->y[j] : (cbp_real)NAN;
            weight[i * n + j] = is_there && one->weight ? one->weight[j] : 1;
        }
    }
    return (cbp_example_sets){
        x, y, has_weights ? weight : NULL, n, b->count, is_same ? 0 : n, has_weights ? n : 0};
}

/* cbp_curve_fit_many of the sets of a block, with `work` behind their examples. */
static void fit_sets(const cbp_group_fit *f, const group_block *b, const cbp_example_sets *sets,
                     cbp_real *work, block_fits *found)
{
    const cbp_curve_fits fits = {found->natural,    found->errors,     found->params, found->status,
                                 found->determined, found->iterations, found->loss,   found->weight,
                                 found->variance,   found->df};
    cbp_curve curve = *f->s.curve;
    cbp_fit_options options = *f->given;
    options.history = NULL;
    if (curve.grid == CBP_GRID_START) { /* then the groups are fitted one by one */
        curve.start += b->numbers[0] * curve.start_step;
    }
    const int failed = cbp_curve_fit_many(&curve, sets, b->fixed, &options, work, &fits);
    for (size_t i = 0; failed && i < sets->m; i++) {
        found->status[i] = failed;
    }
}

/* Whether the i-th fit of a block has converged, with all parameters determined. */
static int is_a_minimum(const cbp_group_fit *f, const block_fits *found, size_t i)
{
    int is_determined = found->status[i] == CBP_CONVERGED;
    for (size_t k = 0; k < f->s.count; k++) {
        const unsigned char kind = found->determined[i * f->s.count + k];
        is_determined &= kind != CBP_UNDETERMINED && kind != CBP_DIVERGES;
    }
    return is_determined;
}

/* The coordinates of the i-th fit of a block; 0 if it is none. */
static int take_coordinates(const cbp_group_fit *f, const block_fits *found, size_t i, cbp_real *at)
{
    int is_known = found->status[i] >= 0;
    for (size_t k = 0; is_known && k < f->s.count; k++) {
        const cbp_real natural = found->natural[i * f->s.count + k];
        cbp_curve_point point;
        is_known = cbp_curve_is_natural(f->s.curve, k, natural);
        if (is_known) {
            cbp_curve_set_natural(f->s.curve, k, natural, &point);
            at[k] = point.t[k];
        }
    }
    return is_known;
}

/* Fits the groups of a block: coordinates go to to[count][CBP_GROUP_POINT], at the groups' places,
 * the first of them NaN where there are none, or if they must be none that are settled. Adds to
 * *loss, which becomes infinite then. */
static int fit_block_alone(const cbp_group_fit *f, const group_block *b, int must_settle,
                           cbp_real *to, cbp_real *loss)
{
    block_fits *found = (void *)cbp_aligned(f->block);
    cbp_real *x = (cbp_real *)(void *)(found + 1);
    const cbp_example_sets sets = gather_block(f, b, x);
    fit_sets(f, b, &sets, x + (b->count > 1 ? 3 * b->count * sets.n : 0), found);
    for (size_t i = 0; i < b->count; i++) {
        cbp_real *at = to + b->numbers[i] * CBP_GROUP_POINT;
        if (found->status[i] == CBP_STOPPED) {
            return CBP_STOPPED;
        }
        memset(at, 0, CBP_GROUP_POINT * sizeof *at);
        const int is_known =
            take_coordinates(f, found, i, at) && (!must_settle || is_a_minimum(f, found, i));
        at[0] = is_known ? at[0] : (cbp_real)NAN;
        *loss += is_known ? found->loss[i] * found->weight[i] : (cbp_real)INFINITY;
    }
    return CBP_OK;
}

/* The natural parameters that are fixed in a group, or NaN: at these values, or without shared ones
 * if they are null. */
static void fix_parameters(const cbp_group_fit *f, size_t group, const cbp_real *values,
                           cbp_real *fixed)
{
    for (size_t k = 0; k < f->s.count; k++) {
        cbp_curve_point point;
        fixed[k] = f->fixed ? f->fixed[k] : (cbp_real)NAN;
        if (values && f->shared[k]) {
            const cbp_real value = values[cbp_group_place(f, group, k)];
            cbp_curve_set_coordinate(f->s.curve, k, cbp_group_coordinate(f, group, k, value),
                                     &point);
            fixed[k] = point.n[k];
        }
    }
}

/* Whether a group goes into a block of those before it. */
static int joins_block(const cbp_group_fit *f, const group_block *b, size_t group,
                       const cbp_real *fixed)
{
    const cbp_examples *all = f->groups->examples;
    int is_alike = b->count < BLOCK_GROUPS && f->s.curve->grid != CBP_GRID_START &&
                   all[group].n <= BLOCK_EXAMPLES && all[b->numbers[0]].n <= BLOCK_EXAMPLES;
    for (size_t k = 0; k < f->s.count; k++) {
        is_alike &= fixed[k] == b->fixed[k] || (fixed[k] != fixed[k] && b->fixed[k] != b->fixed[k]);
    }
    return is_alike;
}

/* The group that is the i-th of so many at equal steps. */
static size_t sampled(const cbp_group_fit *f, size_t i, size_t sample)
{
    return i * (f->groups->count / sample);
}

/* Fits so many groups, at equal steps, alone: with the shared parameters at these values, or with
 * all parameters if they are null. The sum of their losses is left in *loss. */
static int fit_groups_alone(const cbp_group_fit *f, size_t sample, const cbp_real *values,
                            int must_settle, cbp_real *to, cbp_real *loss)
{
    group_block b = {.count = 0};
    int status = CBP_OK;
    *loss = 0;
    for (size_t i = 0; i < sample && status == CBP_OK; i++) {
        const size_t group = sampled(f, i, sample);
        cbp_real fixed[CBP_CURVE_PARAMETERS];
        fix_parameters(f, group, values, fixed);
        if (b.count > 0 && !joins_block(f, &b, group, fixed)) {
            status = fit_block_alone(f, &b, must_settle, to, loss);
            b.count = 0;
        }
        memcpy(b.fixed, fixed, sizeof fixed);
        b.numbers[b.count++] = group;
    }
    return status == CBP_OK ? fit_block_alone(f, &b, must_settle, to, loss) : status;
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

/* The value that a group's own fit would give a shared parameter, within its bounds. */
static cbp_real value_in_group(const cbp_group_fit *f, size_t group, size_t k)
{
    const cbp_real at = f->trial[group * CBP_GROUP_POINT + k];
    const cbp_real offset = cbp_group_coordinate(f, group, k, 0),
                   value = (at - offset) / cbp_group_slope(f, group, k);
    return value < f->s.lower[k] ? f->s.lower[k] : value > f->s.upper[k] ? f->s.upper[k] : value;
}

/* The coordinate, or of a shared parameter the value, in the middle of fitted groups that have this
 * value, or of all: NaN if there are none. */
static cbp_real middle_of_groups(const cbp_group_fit *f, size_t sample, size_t k, size_t place)
{
    cbp_real numbers[GROUPS_SAMPLED];
    size_t count = 0;
    for (size_t i = 0; i < sample && count < GROUPS_SAMPLED; i++) {
        const size_t group = sampled(f, i, sample);
        const cbp_real *at = f->trial + group * CBP_GROUP_POINT;
        if (at[0] == at[0] && (place == ANY_PLACE || place == cbp_group_place(f, group, k))) {
            numbers[count++] = f->shared[k] ? value_in_group(f, group, k) : at[k];
        }
    }
    return count > 0 ? median_of(numbers, count) : (cbp_real)NAN;
}

/* The values in the middle of groups fitted alone: of those that have each, or else of all. */
static void take_middles(cbp_group_fit *f, size_t sample)
{
    for (size_t k = 0; k < f->s.count; k++) {
        f->middle[k] = middle_of_groups(f, sample, k, ANY_PLACE);
        for (size_t i = 0; i < f->counts[k]; i++) {
            const cbp_real middle = middle_of_groups(f, sample, k, f->first[k] + i);
            f->start[f->first[k] + i] = middle == middle ? middle : f->middle[k];
        }
    }
}

/* Values of the fit of some groups that are taken as one; they become the middles where no group
 * can be fitted alone. */
static int take_pool(cbp_group_fit *f, cbp_real *values)
{
    block_fits *found = (void *)cbp_aligned(f->block);
    cbp_real *x = (cbp_real *)(void *)(found + 1), at[CBP_CURVE_WIDTH] = {0};
    const size_t sample = f->groups->count < BLOCK_GROUPS ? f->groups->count : BLOCK_GROUPS;
    group_block b = {.count = 0};
    fix_parameters(f, 0, NULL, b.fixed);
    for (size_t i = 0; i < sample; i++) {
        const size_t group = sampled(f, i, sample);
        if (f->groups->examples[group].n <= BLOCK_EXAMPLES) {
            b.numbers[b.count++] = group;
        }
    }
    if (b.count < 2) {
        return CBP_ERROR_START_LOSS;
    }
    cbp_example_sets sets = gather_block(f, &b, x);
    cbp_real *work = x + 3 * b.count * sets.n;
    sets.n *= b.count;
    sets.m = 1;
    fit_sets(f, &b, &sets, work, found);
    if (!take_coordinates(f, found, 0, at)) {
        return found->status[0] < 0 ? found->status[0] : CBP_ERROR_START_LOSS;
    }
    if (f->middle[0] != f->middle[0]) {
        memcpy(f->middle, at, sizeof at);
    }
    for (size_t k = 0; k < f->s.count; k++) {
        for (size_t i = 0; i < f->counts[k]; i++) {
            values[f->first[k] + i] = at[k];
        }
    }
    return CBP_OK;
}

/* The loss of sampled groups at these values. */
static int loss_of_sample(cbp_group_fit *f, size_t sample, const cbp_real *values, cbp_real *loss)
{
    const size_t sums = cbp_fit_sums_at(f->values_len);
    if (f->own_count > 0) {
        return fit_groups_alone(f, sample, values, 0, f->best, loss);
    }
    memset(f->node, 0, cbp_fit_node_len(f->values_len) * sizeof *f->node);
    for (size_t i = 0; i < sample; i++) {
        (void)cbp_group_add(f, sampled(f, i, sample), values, f->node); /* moves nothing */
    }
    *loss = f->node[sums + 1] + f->node[sums + 5];
    return CBP_OK;
}

/* Keeps values among the best, which stand in the order of their losses. */
static void keep_values(cbp_group_fit *f, const cbp_real *values, cbp_real loss, cbp_real *losses)
{
    const size_t len = f->values_len;
    size_t place = f->tries_len < CBP_GROUP_TRIES ? f->tries_len++ : CBP_GROUP_TRIES;
    for (; place > 0 && losses[place - 1] > loss; place--) {
        if (place < CBP_GROUP_TRIES) {
            losses[place] = losses[place - 1];
            memcpy(f->ordered + place * len, f->ordered + (place - 1) * len, len * sizeof loss);
        }
    }
    if (place < CBP_GROUP_TRIES) {
        losses[place] = loss;
        memcpy(f->ordered + place * len, values, len * sizeof loss);
    }
}

/* The best values among those in the middle of all groups, of a sampled group's own fit, and of a
 * fit of few groups as one. */
static int try_groups(cbp_group_fit *f, size_t sample)
{
    cbp_real *values = f->matrix, losses[CBP_GROUP_TRIES], loss;
    const size_t size = f->values_len * sizeof *values;
    int status = loss_of_sample(f, sample, f->start, &loss);
    f->tries_len = 0;
    keep_values(f, f->start, loss, losses);
    for (size_t i = 0; i < sample && status == CBP_OK; i++) {
        const size_t group = sampled(f, i, sample);
        if (f->trial[group * CBP_GROUP_POINT] != f->trial[group * CBP_GROUP_POINT]) {
            continue;
        }
        memcpy(values, f->start, size);
        for (size_t k = 0; k < f->s.count; k++) {
            if (f->shared[k]) {
                values[cbp_group_place(f, group, k)] = value_in_group(f, group, k);
            }
        }
        status = loss_of_sample(f, sample, values, &loss);
        keep_values(f, values, loss, losses);
    }
    if (status == CBP_OK && sample == f->groups->count && take_pool(f, values) == CBP_OK) {
        status = loss_of_sample(f, sample, values, &loss);
        keep_values(f, values, loss, losses);
    }
    memcpy(f->start, f->ordered, size);
    return status;
}

int cbp_group_start_values(cbp_group_fit *f)
{
    const size_t few = f->groups->count < GROUPS_SAMPLED ? f->groups->count : GROUPS_SAMPLED,
                 sample = f->values_len > f->shared_count ? f->groups->count : few;
    cbp_real loss;
    f->middle[0] = (cbp_real)NAN;
    for (int must_settle = 1; must_settle >= 0 && f->middle[0] != f->middle[0]; must_settle--) {
        const int status = fit_groups_alone(f, sample, NULL, must_settle, f->trial, &loss);
        if (status != CBP_OK) {
            return status;
        }
        take_middles(f, sample);
    }
    if (f->middle[0] == f->middle[0]) {
        return try_groups(f, few);
    }
    f->tries_len = 1;
    return take_pool(f, f->start);
}

int cbp_group_start_own(cbp_group_fit *f)
{
    cbp_real loss;
    int status = CBP_OK;
    if (f->own_count > 0) {
        status = fit_groups_alone(f, f->groups->count, f->start, 0, f->best, &loss);
    }
    for (size_t g = 0; g < f->groups->count; g++) {
        cbp_real *at = f->best + g * CBP_GROUP_POINT;
        if (at[0] != at[0] || f->own_count == 0) {
            memcpy(at, f->middle, CBP_CURVE_WIDTH * sizeof *at);
            memset(at + CBP_CURVE_WIDTH, 0, CBP_GROUP_SLOPES * sizeof *at);
        }
    }
    return status;
}
