/* What fits of groups that have parameters in common have found: parameters, and what all examples
 * say of each. */
#include "curve_groups.h"
#include "fit_step.h"

/* What all examples say of the shared parameters of a group, in its coordinates: the rows of the
 * triangle of the values that are left when its own values stand last, [shared_count + 1] of
 * them. */
static void take_shared_rows(const cbp_group_fit *f, size_t group, cbp_real *rows)
{
    const size_t values = f->values_len, width = values + 1, shared = f->shared_count,
                 others = values - shared;
    size_t places[CBP_CURVE_PARAMETERS], len = 0;
    cbp_real slopes[CBP_CURVE_PARAMETERS];
    for (size_t k = 0; k < f->s.count; k++) {
        if (f->shared[k]) {
            slopes[len] = cbp_group_slope(f, group, k);
            places[len++] = cbp_group_place(f, group, k);
        }
    }
    memset(f->ordered, 0, width * width * sizeof *f->ordered);
    for (size_t i = 0; i < width; i++) {
        size_t to = 0;
        for (size_t j = 0; j < values; j++) {
            size_t own = 0;
            while (own < shared && places[own] != j) {
                own++;
            }
            const cbp_real number = j < i ? 0 : f->node[i * width + j];
            f->row[own < shared ? others + own : to++] = number;
        }
        f->row[values] = f->node[i * width + values];
        cbp_group_add_row(width, f->row, f->ordered);
    }
    for (size_t i = 0; i <= shared; i++) {
        for (size_t j = 0; j <= shared; j++) {
            const cbp_real number = j < i ? 0 : f->ordered[(others + i) * width + others + j];
            rows[i * (shared + 1) + j] = j < shared ? number / slopes[j] : number;
        }
    }
}

/* Whether two groups have the same values of all shared parameters, with the same factors. */
static int have_same_values(const cbp_group_fit *f, size_t a, size_t b)
{
    int are_same = 1;
    for (size_t k = 0; k < f->s.count; k++) {
        are_same &= !f->shared[k] || (cbp_group_place(f, a, k) == cbp_group_place(f, b, k) &&
                                      cbp_group_slope(f, a, k) == cbp_group_slope(f, b, k));
    }
    return are_same;
}

/* The order of a group's columns: own ones that are independent, those that depend on others, and
 * shared ones. How many are of the first kind; *dependent: of the second. */
static size_t order_all(const cbp_group_fit *f, const cbp_real *all, size_t free, size_t *order,
                        size_t *dependent)
{
    size_t count, columns[CBP_CURVE_PARAMETERS], len = 0;
    const size_t own = cbp_group_columns(f, all, free + 1, order, &count);
    for (size_t column = 0; column < free; column++) {
        int is_there = 0;
        for (size_t i = 0; i < count; i++) {
            is_there |= order[i] == column;
        }
        columns[len] = column;
        len += !is_there;
    }
    for (size_t i = f->shared_count; i-- > 0;) {
        order[own + len + i] = order[own + i];
    }
    memcpy(order + own, columns, len * sizeof *order);
    *dependent = len;
    return own;
}

/* What all examples say of one group's parameters: the node of those that are not fixed, its own
 * rows of its triangle, and for the shared ones the rows of all groups. */
static void join_node(cbp_group_fit *f, size_t group, const cbp_real *shared_rows, cbp_real *node)
{
    cbp_curve_begin(&f->s, &f->groups->examples[group], f->work);
    const cbp_real *all = cbp_curve_triangle_at(&f->s, f->best + group * CBP_GROUP_POINT);
    const size_t free = cbp_count_free(f->s.frozen, CBP_COORDINATE_LAYERS), width = free + 1,
                 shared_width = f->shared_count + 1;
    size_t order[CBP_CURVE_PARAMETERS], dependent;
    cbp_real ordered[CBP_GROUP_TRIANGLE], rows[2 * CBP_GROUP_TRIANGLE] = {0};
    const size_t own = order_all(f, all, free, order, &dependent), before = own + dependent;
    cbp_group_order(all, width, order, free, ordered);
    for (size_t j = 0; j < free; j++) {
        for (size_t i = 0; i < own; i++) {
            rows[i * width + order[j]] = ordered[i * width + j];
        }
        for (size_t i = 0; j >= before && i < shared_width; i++) {
            rows[(own + i) * width + order[j]] = shared_rows[i * shared_width + j - before];
        }
    }
    for (size_t i = 0; i < own; i++) {
        rows[i * width + free] = ordered[i * width + free];
    }
    for (size_t i = 0; i < shared_width; i++) {
        rows[(own + i) * width + free] = shared_rows[i * shared_width + f->shared_count];
    }
    cbp_triangulate(rows, own + shared_width, free, width);
    memset(node, 0, CBP_GROUP_NODE * sizeof *node);
    for (size_t i = 0; i < width && i < own + shared_width; i++) {
        memcpy(node + i * width + i, rows + i * width + i, (width - i) * sizeof *node);
    }
    memcpy(node + cbp_fit_sums_at(free), f->node + cbp_fit_sums_at(f->values_len),
           8 * sizeof *node);
}

/* What is known of a group's parameters. */
static int conclude_group(cbp_group_fit *f, size_t group, const cbp_real *shared_rows,
                          cbp_curve_result *result)
{
    cbp_real node[CBP_GROUP_NODE];
    join_node(f, group, shared_rows, node);
    memcpy(f->s.starts[0].at, f->best + group * CBP_GROUP_POINT, CBP_CURVE_WIDTH * sizeof *f->best);
    return cbp_curve_conclude(&f->s, node, result);
}

/* Of all parameters, of which values count once, how many were fitted. */
static cbp_real count_fitted(const cbp_group_fit *f, const cbp_curve_result *results)
{
    cbp_real count = 0;
    memset(f->row, 0, (f->values_len + 1) * sizeof *f->row);
    for (size_t g = 0; g < f->groups->count; g++) {
        for (size_t k = 0; results[g].status == CBP_OK && k < f->s.count; k++) {
            const int kind = results[g].determined[k];
            cbp_real *seen = &f->row[f->shared[k] ? cbp_group_place(f, g, k) : f->values_len];
            if (kind == CBP_DETERMINED || kind == CBP_UNDETERMINED) {
                count += !f->shared[k] || *seen == 0;
                *seen = 1;
            }
        }
    }
    return count;
}

/* The variance and its degrees of freedom are those of all groups together, whose node is that of
 * the values. Returns the variance. */
static cbp_real share_variance(const cbp_group_fit *f, cbp_curve_result *results)
{
    const size_t p = f->s.count, width = f->values_len + 1;
    const cbp_real *sums = f->node + cbp_fit_sums_at(f->values_len);
    const cbp_real df = sums[2] + sums[6] - count_fitted(f, results);
    const int is_known = cbp_loss_table[f->s.problem.loss.kind].dispersion > 0;
    cbp_real squares = 0;
    for (size_t i = 0; i < width; i++) {
        squares += f->node[i * width + width - 1] * f->node[i * width + width - 1];
    }
    const cbp_real variance = is_known ? 1 : df > 0 ? squares / df : (cbp_real)NAN;
    for (size_t g = 0; g < f->groups->count; g++) {
        const cbp_real own = results[g].variance, factor = own == variance ? 1 : variance / own;
        results[g].variance = variance;
        for (size_t k = 0; k < p * p; k++) {
            const cbp_real value = results[g].covariance[k];
            results[g].covariance[k] = value == 0 ? 0 : value * factor;
        }
        results[g].df = df;
    }
    return variance;
}

/* The covariance of the values, parameter after parameter, for the caller. */
static int conclude_values(cbp_group_fit *f, cbp_real variance)
{
    const size_t values = f->values_len;
    cbp_real own, *to = f->groups->covariance;
    cbp_fit_options options = *f->given;
    const cbp_covariance covariance = {&own, f->matrix, (unsigned char *)f->row};
    options.lower = f->low;
    options.upper = f->high;
    const int status =
        cbp_fit_node_covariance(&f->values, &options, f->node, NULL, f->outer, &covariance);
    const cbp_real factor = own == variance ? 1 : variance / own;
    for (size_t k = 0; status == CBP_OK && k < f->s.count; k++) {
        for (size_t i = 0; i < f->counts[k]; i++) {
            for (size_t m = 0; m < f->s.count; m++) {
                for (size_t j = 0; j < f->counts[m]; j++) {
                    const cbp_real value = f->matrix[(f->first[k] + i) * values + f->first[m] + j];
                    *to++ = value == 0 ? 0 : value * factor;
                }
            }
        }
    }
    return status;
}

int cbp_group_conclude(cbp_group_fit *f, const cbp_fit_info *info, cbp_curve_result *results)
{
    cbp_real rows[CBP_GROUP_TRIANGLE];
    for (size_t g = 0; g < f->groups->count; g++) {
        if (g == 0 || !have_same_values(f, g, g - 1)) {
            take_shared_rows(f, g, rows);
        }
        const int status = conclude_group(f, g, rows, &results[g]);
        if (status != CBP_OK) {
            return status;
        }
        results[g].loss = info->loss;
        results[g].outcome = info->outcome;
        results[g].iterations = info->iterations;
        results[g].evaluations = info->evaluations;
    }
    const cbp_real variance = share_variance(f, results);
    return f->groups->covariance ? conclude_values(f, variance) : CBP_OK;
}

/* ---- where nothing is shared ----------------------------------------------------------------- */

/* A group that could not be fitted, for this reason. */
static void give_up_group(const cbp_group_fit *f, int status, cbp_curve_result *result)
{
    const size_t p = f->s.count;
    const cbp_real nan = (cbp_real)NAN;
    result->status = status;
    result->outcome = CBP_EXHAUSTED;
    result->loss = result->rss = result->total_squares = result->variance = nan;
    result->examples = result->weight = result->log_weight = 0;
    result->iterations = result->evaluations = 0;
    result->fixed_at = p;
    memset(result->determined, CBP_UNDETERMINED, p);
    memset(result->triangle, 0, (p + 1) * (p + 1) * sizeof nan);
    for (size_t k = 0; k < p * p; k++) {
        result->covariance[k] = nan;
    }
    for (size_t k = 0; k < p; k++) {
        result->natural[k] = nan;
    }
    for (size_t k = 0; k < 2 * f->s.layers; k++) {
        result->params[k] = nan;
    }
}

int cbp_group_fit_apart(cbp_group_fit *f, cbp_curve_result *results)
{
    memset(f->node, 0, cbp_fit_node_len(0) * sizeof *f->node);
    for (size_t g = 0; g < f->groups->count; g++) {
        cbp_real *at = f->best + g * CBP_GROUP_POINT;
        if (f->s.curve->grid == CBP_GRID_START) {
            f->s.start = f->s.curve->start + g * f->s.curve->start_step;
        }
        const int status =
            cbp_curve_fit_examples(&f->s, &f->groups->examples[g], f->work, &results[g]);
        if (status != CBP_OK) {
            give_up_group(f, status, &results[g]);
            continue;
        }
        if (results[g].outcome == CBP_STOPPED) {
            return CBP_STOPPED;
        }
        memcpy(at, f->s.starts[0].at, sizeof f->s.starts[0].at);
        cbp_group_add_rest(f, g, at, f->node);
    }
    cbp_real rows[CBP_GROUP_TRIANGLE];
    take_shared_rows(f, 0, rows);
    for (size_t g = 0; g < f->groups->count; g++) {
        if (results[g].status == CBP_OK && results[g].outcome == CBP_CONVERGED) {
            const int status = conclude_group(f, g, rows, &results[g]);
            if (status != CBP_OK) {
                return status;
            }
        }
    }
    (void)share_variance(f, results);
    return CBP_OK;
}
