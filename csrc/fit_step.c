/* One step of Levenberg-Marquardt: the least-squares step of a triangle, within a region of trust
 * and bounds. */
#include "fit_step.h"

void cbp_fit_step_gradient(const cbp_fit_step *s, cbp_real *gradient)
{
    for (size_t j = 0; j < s->free; j++) {
        gradient[j] = 0;
        for (size_t i = 0; i <= j; i++) {
            gradient[j] += s->triangle[i * s->width + j] * s->triangle[i * s->width + s->free];
        }
    }
}

cbp_real cbp_fit_step_column_norm(const cbp_fit_step *s, size_t j)
{
    cbp_real sum = 0;
    for (size_t i = 0; i <= j; i++) {
        sum += s->triangle[i * s->width + j] * s->triangle[i * s->width + j];
    }
    return cbp_root(sum);
}

void cbp_triangulate(cbp_real *stack, size_t rows, size_t columns, size_t width)
{
    for (size_t k = 0; k < columns; k++) {
        cbp_real size = 0;
        for (size_t i = k; i < rows; i++) {
            size += stack[i * width + k] * stack[i * width + k];
        }
        const cbp_real norm = cbp_root(size), top = stack[k * width + k];
        if (norm == 0) {
            continue;
        }
        const cbp_real reflected = top > 0 ? -norm : norm, first = top - reflected;
        stack[k * width + k] = first;
        for (size_t j = k + 1; j <= columns; j++) {
            cbp_real along = 0;
            for (size_t i = k; i < rows; i++) {
                along += stack[i * width + k] * stack[i * width + j];
            }
            along /= reflected * first;
            for (size_t i = k; i < rows; i++) {
                stack[i * width + j] += along * stack[i * width + k];
            }
        }
        stack[k * width + k] = reflected;
        for (size_t i = k + 1; i < rows; i++) {
            stack[i * width + k] = 0;
        }
    }
}

/* The step that minimises |R step + residual|^2 + damping |scaling step|^2 over the parameters that
 * are not at a bound; those that are go the step that stands there. 0 if that is not unique. The
 * triangle of the free ones stays in `stack`. */
static int solve(const cbp_fit_step *s, cbp_real damping)
{
    const size_t free = s->free, width = s->width;
    const cbp_real root = cbp_root(damping);
    size_t open = 0, rows = free;
    for (size_t j = 0; j < free; j++) {
        open += s->at_bound[j] == 0;
    }
    memset(s->stack, 0, 2 * free * width * sizeof *s->stack);
    for (size_t i = 0; i < free; i++) {
        const cbp_real *row = s->triangle + i * width;
        cbp_real *to = s->stack + i * width;
        size_t column = 0;
        to[open] = -row[free];
        for (size_t j = i; j < free; j++) {
            if (s->at_bound[j] != 0) {
                to[open] -= row[j] * s->step[j];
            }
        }
        for (size_t j = 0; j < free; j++) {
            if (s->at_bound[j] == 0) {
                to[column++] = j < i ? 0 : row[j];
            }
        }
    }
    if (damping > 0) {
        for (size_t j = 0; j < free; j++) {
            if (s->at_bound[j] == 0) {
                s->stack[rows * width + (rows - free)] = root * s->scaling[j];
                rows++;
            }
        }
    }
    if (damping > 0 || open < free) {
        cbp_triangulate(s->stack, rows, open, width);
    }
    for (size_t j = free, column = open; j-- > 0;) {
        if (s->at_bound[j] != 0) {
            continue;
        }
        column--;
        const cbp_real *row = s->stack + column * width;
        cbp_real value = row[open];
        size_t other = open;
        for (size_t i = free; i-- > j + 1;) {
            if (s->at_bound[i] == 0) {
                value -= row[--other] * s->step[i];
            }
        }
        s->step[j] = value / row[column];
        if (!cbp_is_finite(s->step[j])) {
            return 0;
        }
    }
    return 1;
}

cbp_real cbp_fit_step_length(const cbp_fit_step *s)
{
    cbp_real sum = 0;
    for (size_t j = 0; j < s->free; j++) {
        if (s->at_bound[j] == 0) {
            sum += s->scaling[j] * s->step[j] * (s->scaling[j] * s->step[j]);
        }
    }
    return cbp_root(sum);
}

/* -d length / d damping, over the length: |R'^-1 scaling^2 step / length|^2 with the triangle that
 * `solve` left. */
static cbp_real shrinkage(const cbp_fit_step *s, cbp_real length)
{
    cbp_real sum = 0;
    for (size_t j = 0, column = 0; j < s->free; j++) {
        if (s->at_bound[j] != 0) {
            continue;
        }
        cbp_real value = s->scaling[j] * (s->scaling[j] * s->step[j] / length);
        for (size_t i = 0; i < column; i++) {
            value -= s->stack[i * s->width + column] * s->direction[i];
        }
        s->direction[column] = value / s->stack[column * s->width + column];
        sum += s->direction[column] * s->direction[column];
        column++;
    }
    return sum;
}

/* Drops what moves the outputs no more than rounding in a direction that the columns before it do
 * not have, as the triangle of the undamped problem shows; whether there was any. */
static int drop_dependent(const cbp_fit_step *s)
{
    int found = 0;
    for (size_t j = 0, column = 0; j < s->free; j++) {
        if (s->at_bound[j] != 0) {
            continue;
        }
        cbp_real sum = 0;
        for (size_t i = 0; i <= column; i++) {
            sum += s->stack[i * s->width + column] * s->stack[i * s->width + column];
        }
        if (!(cbp_magnitude(s->stack[column * s->width + column]) >
              64 * CBP_EPSILON * cbp_root(sum))) {
            s->at_bound[j] = 1;
            s->step[j] = 0;
            found = 1;
        }
        column++;
    }
    return found;
}

int cbp_fit_step_within(const cbp_fit_step *s, cbp_real radius, cbp_real *damping)
{
    cbp_real low = 0, high = 0, excess = 0;
    int unique = solve(s, 0);
    if (drop_dependent(s)) {
        unique = solve(s, 0);
    }
    if (unique) {
        const cbp_real length = cbp_fit_step_length(s);
        if (length <= radius + radius / 10) {
            *damping = 0;
            return 1;
        }
        low = (length - radius) / (radius * shrinkage(s, length));
    }
    cbp_fit_step_gradient(s, s->direction);
    for (size_t j = 0; j < s->free; j++) {
        if (s->at_bound[j] == 0) {
            high += s->direction[j] / s->scaling[j] * (s->direction[j] / s->scaling[j]);
        }
    }
    high = cbp_root(high) / radius;
    if (!cbp_is_finite(low)) {
        low = 0;
    }
    for (int i = 0; i < 10; i++) {
        if (!(*damping > low && *damping < high)) {
            const cbp_real middle = cbp_root(low * high);
            *damping = middle > high / 1000 ? middle : high / 1000;
        }
        if (!solve(s, *damping)) {
            low = *damping;
            *damping *= 10;
            continue;
        }
        const cbp_real length = cbp_fit_step_length(s), before = excess;
        excess = length - radius;
        if ((excess <= radius / 10 && excess >= -radius / 10) ||
            (low == 0 && excess <= before && before < 0)) {
            return 0;
        }
        if (excess > 0) {
            low = *damping > low ? *damping : low;
        } else {
            high = *damping < high ? *damping : high;
        }
        const cbp_real next = *damping + excess / (radius * shrinkage(s, length));
        *damping = next > low ? next : low;
    }
    return 0;
}

int cbp_fit_step_mark_at_bounds(const cbp_fit_step *s)
{
    size_t open = 0;
    cbp_fit_step_gradient(s, s->direction);
    for (size_t j = 0; j < s->free; j++) {
        const cbp_real slope = s->direction[j];
        s->at_bound[j] =
            (s->point[j] <= s->low[j] && slope >= 0) || (s->point[j] >= s->high[j] && slope <= 0);
        s->step[j] = 0;
        open += s->at_bound[j] == 0 && slope != 0;
    }
    return open > 0;
}

/* What would pass a bound stops there, and the others make up for it. */
int cbp_fit_step_stop_at_bounds(const cbp_fit_step *s, cbp_real damping)
{
    for (;;) {
        cbp_real part = 1;
        size_t first = s->free;
        for (size_t j = 0; j < s->free; j++) {
            const cbp_real to = s->point[j] + s->step[j];
            if (s->at_bound[j] == 0 && (to < s->low[j] || to > s->high[j])) {
                const cbp_real room = (to < s->low[j] ? s->low[j] : s->high[j]) - s->point[j];
                first = room / s->step[j] < part ? j : first;
                part = room / s->step[j] < part ? room / s->step[j] : part;
            }
        }
        if (first == s->free) {
            return 0;
        }
        if (part > 0) {
            for (size_t j = 0; j < s->free; j++) {
                s->step[j] *= part;
            }
            s->step[first] =
                (s->step[first] > 0 ? s->high[first] : s->low[first]) - s->point[first];
            return 1;
        }
        s->step[first] = 0;
        s->at_bound[first] = 1;
        if (!solve(s, damping)) {
            memset(s->step, 0, s->free * sizeof *s->step);
            return 1;
        }
    }
}

/* By how much the parabola falls on the step: -(2 c'v + v'v), v = R step. */
cbp_real cbp_fit_step_predicted_fall(const cbp_fit_step *s)
{
    cbp_real sum = 0;
    for (size_t i = 0; i < s->free; i++) {
        const cbp_real *row = s->triangle + i * s->width;
        cbp_real v = 0;
        for (size_t j = i; j < s->free; j++) {
            v += row[j] * s->step[j];
        }
        sum -= v * (2 * row[s->free] + v);
    }
    return sum;
}

/* The sum of squares that the parabola starts from. */
cbp_real cbp_fit_step_squares(const cbp_fit_step *s)
{
    const cbp_real left = s->triangle[s->free * s->width + s->free],
                   change = cbp_fit_step_change(s);
    return left * left + change * change;
}

cbp_real cbp_fit_step_change(const cbp_fit_step *s)
{
    cbp_real sum = 0;
    for (size_t i = 0; i < s->free; i++) {
        sum += s->triangle[i * s->width + s->free] * s->triangle[i * s->width + s->free];
    }
    return cbp_root(sum);
}
