/* Fits of a curve whose loss has no minimum, but decreases without end as a parameter grows, or
 * approaches 0. */
#include "curve.h"

/* The limit is approached in at most LIMIT_STEPS steps: in each, one parameter is multiplied or
 * divided by LIMIT_FACTOR and fixed there, and the others are fitted again. */
#define LIMIT_FACTOR 8
#define LIMIT_STEPS 50
#define LIMIT_ITERATIONS 200

/* All steps together take at most so many times the iterations that one start has. */
#define LIMIT_STARTS 4

/* In how many steps a loss that does not change is taken to stay so. */
#define FLAT_STEPS 20

/* A parameter diverges if the last step has changed it by more than this part of itself. */
#define DIVERGES ((cbp_real)1e-3)

/* A change of the outputs, relative to the targets, that is more than rounding. */
#define SEEN ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-8))

/* A parameter whose standard error is so many times itself may be on the way to a limit, although
 * it counts as determined. */
#define HARDLY_KNOWN ((cbp_real)1e4)

/* A direction of steps: which parameter, and whether it is multiplied or divided. */
typedef struct limit_direction {
    size_t k;
    int outwards;
} limit_direction;

/* Whether a step can be made: nobody has stopped the fit, and iterations are left. */
static int may_step(const cbp_curve_search *s)
{
    return !s->is_stopped && s->iterations < s->last_iteration;
}

/* By how much the losses of fits on the way to a limit may differ if they are equal: outputs are
 * differences to the last bias, which may be large. */
static cbp_real noise_at(const cbp_curve_search *s, const cbp_curve_start *found)
{
    cbp_real params[CBP_CURVE_PLACES];
    cbp_curve_point p;
    for (size_t k = 0; k < s->count; k++) {
        cbp_curve_set_coordinate(s->curve, k, s->frozen[k] ? s->fixed.t[k] : found->at[k], &p);
    }
    cbp_curve_chain_at(s->curve, &p, params, NULL);
    const int is_sum = s->curve->activations[s->layers - 1] == CBP_IDENTITY;
    const cbp_real bias = is_sum ? params[2 * s->layers - 1] : 0,
                   rounding = CBP_EPSILON * cbp_magnitude(bias);
    return cbp_curve_noise(s, found->loss) + (2 * cbp_root(found->loss) + rounding) * rounding;
}

/* Whether the residuals are orthogonal to the derivatives by all coordinates that are not at a
 * bound, as far as rounding tells. */
static int is_stationary(cbp_curve_search *s, const cbp_real *at)
{
    const size_t free = cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS), width = free + 1;
    const cbp_real *triangle = cbp_curve_triangle_at(s, at);
    int is_level = 1;
    cbp_real residuals = 0;
    for (size_t i = 0; i <= free; i++) {
        residuals += triangle[i * width + free] * triangle[i * width + free];
    }
    for (size_t k = 0, column = 0; k < s->count; k++) {
        if (s->frozen[k]) {
            continue;
        }
        cbp_real slope = 0, square = 0;
        for (size_t i = 0; i <= column; i++) {
            slope += triangle[i * width + column] * triangle[i * width + free];
            square += triangle[i * width + column] * triangle[i * width + column];
        }
        is_level &= at[k] <= s->lower[k] || at[k] >= s->upper[k] ||
                    slope * slope < CBP_EPSILON * square * residuals; /* which may underflow */
        column++;
    }
    return is_level;
}

static void allow_steps(cbp_curve_search *s)
{
    const size_t most = s->options.max_iterations, room = SIZE_MAX - s->iterations;
    s->last_iteration = s->iterations + (most < room / LIMIT_STARTS ? most * LIMIT_STARTS : room);
}

/* One step from a fit. Its loss is infinite if the step cannot be made. */
static cbp_curve_start limit_step(cbp_curve_search *s, const cbp_curve_start *from,
                                  limit_direction to)
{
    cbp_curve_start next = *from;
    cbp_fit_info info;
    const int is_positive = s->curve->positive[to.k];
    const cbp_real step = is_positive ? cbp_curve_value(CBP_LOG, LIMIT_FACTOR) : LIMIT_FACTOR,
                   at = from->at[to.k];
    const cbp_real moved = is_positive   ? at + (to.outwards ? step : -step)
                           : to.outwards ? at * step
                                         : at / step;
    next.at[to.k] = moved < s->lower[to.k]   ? s->lower[to.k]
                    : moved > s->upper[to.k] ? s->upper[to.k]
                                             : moved;
    next.loss = (cbp_real)INFINITY;
    s->frozen[to.k] = 1;
    cbp_curve_set_coordinate(s->curve, to.k, next.at[to.k], &s->fixed);
    if (next.at[to.k] != at && may_step(s) &&
        cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS) > 0) {
        const size_t left = s->last_iteration - s->iterations,
                     most = left < LIMIT_ITERATIONS ? left : LIMIT_ITERATIONS;
        if (cbp_curve_move(s, most, next.at, &info) == CBP_OK) {
            next.loss = info.loss;
        }
    }
    s->frozen[to.k] = 0;
    return next;
}

/* The step, of all that can be made, that leaves the least loss; *to: its direction. */
static cbp_curve_start best_limit_step(cbp_curve_search *s, const cbp_curve_start *from,
                                       limit_direction *to)
{
    cbp_curve_start best = {{0}, (cbp_real)INFINITY, 0, 0};
    for (size_t k = 0; k < s->count; k++) {
        for (int outwards = 0; outwards < 2 && !s->frozen[k] && may_step(s); outwards++) {
            const cbp_curve_start next = limit_step(s, from, (limit_direction){k, outwards});
            if (next.loss < best.loss) {
                best = next;
                *to = (limit_direction){k, outwards};
            }
        }
    }
    return best;
}

/* Marks the parameters that still change from one step to the next, by so much that outputs would
 * change by more than rounding if nothing else did; and the one that is stepped. */
static void mark_moving(cbp_curve_search *s, const cbp_curve_start *from, const cbp_curve_start *to,
                        size_t stepped)
{
    const size_t width = cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS) + 1;
    const cbp_real *triangle = cbp_curve_triangle_at(s, to->at),
                   least = SEEN * cbp_root(cbp_curve_mean_square(s)) +
                           cbp_root(cbp_curve_noise(s, to->loss));
    for (size_t k = 0, column = 0; k < s->count; k++) {
        if (s->frozen[k]) {
            continue;
        }
        const cbp_real moved = cbp_magnitude(to->at[k] - from->at[k]),
                       size = s->curve->positive[k] ? 1 : cbp_magnitude(to->at[k]);
        cbp_real square = 0;
        for (size_t i = 0; i <= column; i++) {
            square += triangle[i * width + column] * triangle[i * width + column];
        }
        s->diverges[k] |= moved > DIVERGES * size && !(moved * cbp_root(square) < least);
        column++;
    }
    s->diverges[stepped] = 1;
}

/* Steps are made until the loss does not decrease any more. If it stays the same there is no
 * minimum, and what still moves is marked; if it increases, a minimum is near, and is fitted from
 * there. */
void cbp_curve_follow_loss(cbp_curve_search *s, cbp_fit_info *info)
{
    cbp_curve_start found = s->starts[0];
    limit_direction to = {0, 0};
    int has_direction = 0;
    found.loss = info->loss;
    allow_steps(s);
    for (int i = 0; i < LIMIT_STEPS; i++) {
        const cbp_real noise = noise_at(s, &found);
        cbp_curve_start next = {{0}, (cbp_real)INFINITY, 0, 0};
        if (has_direction) {
            next = limit_step(s, &found, to);
        }
        if (!(next.loss <= found.loss + noise)) {
            next = best_limit_step(s, &found, &to);
            has_direction = 1;
        }
        if (s->is_stopped || !(next.loss <= found.loss + noise)) {
            break;
        }
        const int is_flat = next.loss >= found.loss - noise;
        if (is_flat) {
            mark_moving(s, &found, &next, to.k);
        }
        found = next;
        if (is_flat) {
            s->fixed_at = to.k;
            break;
        }
    }
    s->starts[0] = found;
    s->coordinates.params = s->starts[0].at;
    info->loss = found.loss;
    int diverges = 0;
    for (size_t k = 0; k < s->count; k++) {
        diverges |= s->diverges[k];
    }
    if (!diverges && !s->is_stopped) {
        cbp_fit_info last;
        if (cbp_curve_move(s, s->options.max_iterations, s->starts[0].at, &last) == CBP_OK) {
            info->outcome = last.outcome == CBP_EXHAUSTED && is_stationary(s, s->starts[0].at)
                                ? CBP_CONVERGED
                                : last.outcome;
            info->loss = last.loss;
        }
    }
}

/* Whether the loss stays below `most` however far a coordinate goes; *next: after one step. */
static int stays_flat(cbp_curve_search *s, const cbp_curve_start *from, limit_direction to,
                      cbp_real most, cbp_curve_start *next)
{
    cbp_curve_start last = *from;
    for (int i = 0; i < FLAT_STEPS; i++) {
        const cbp_curve_start further = limit_step(s, &last, to);
        if (!may_step(s)) {
            return 0;
        }
        if (!(further.loss <= most)) {
            return further.loss == (cbp_real)INFINITY; /* it can go no further */
        }
        if (i == 0) {
            *next = further;
        }
        last = further;
    }
    return 1;
}

/* Whether the standard error of a parameter that counts as determined is far above it. */
static int is_hardly_known(const cbp_curve_search *s, const cbp_curve_result *result, size_t k)
{
    const cbp_real error = cbp_root(result->covariance[k * s->count + k]);
    return result->determined[k] == CBP_DETERMINED && !s->curve->positive[k] &&
           error > HARDLY_KNOWN * cbp_magnitude(result->natural[k]);
}

/* Marks parameter k, and what moves with it, if it can go on in one direction without a change of
 * the loss, but not in the other: outwards, if it counts as determined, and then it does. Whether
 * it can. */
static int runs_off(cbp_curve_search *s, const cbp_curve_start *here, size_t k, int is_determined)
{
    cbp_curve_start out = *here, in = *here;
    const cbp_real most = here->loss + 1000 * noise_at(s, here);
    const int goes_out = stays_flat(s, here, (limit_direction){k, 1}, most, &out),
              goes_in = stays_flat(s, here, (limit_direction){k, 0}, most, &in);
    if (goes_out == goes_in || (is_determined && !goes_out) || !may_step(s)) {
        return 0;
    }
    mark_moving(s, here, goes_out ? &out : &in, k);
    s->fixed_at = k;
    s->starts[0] = is_determined && out.loss <= here->loss ? out : *here;
    return 1;
}

int cbp_curve_finds_no_minimum(cbp_curve_search *s, const cbp_curve_result *result, cbp_real *loss)
{
    int found = 0;
    s->starts[0].loss = *loss;
    const cbp_curve_start here = s->starts[0];
    allow_steps(s);
    for (size_t k = 0; !found && k < s->count; k++) {
        const cbp_real natural = result->natural[k];
        if (s->curve->positive[k] && !(natural > 0 && cbp_is_finite(natural))) {
            s->diverges[k] = 1;
            s->fixed_at = k;
            found = 1;
        } else if (result->determined[k] == CBP_UNDETERMINED) {
            found = runs_off(s, &here, k, 0);
        }
    }
    /* a loss of 0 is a minimum */
    for (size_t k = 0; *loss > 0 && !found && k < s->count; k++) {
        found = is_hardly_known(s, result, k) && runs_off(s, &here, k, 1);
    }
    *loss = s->starts[0].loss;
    s->coordinates.params = s->starts[0].at;
    return found;
}
