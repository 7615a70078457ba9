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
                   least = SEEN * cbp_root(cbp_curve_mean_square(s));
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
        const cbp_real noise = cbp_curve_noise(s, found.loss);
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
            info->outcome = last.outcome;
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

int cbp_curve_finds_no_minimum(cbp_curve_search *s, cbp_real loss, const cbp_curve_result *result)
{
    int found = 0;
    cbp_curve_start here = s->starts[0];
    here.loss = loss;
    allow_steps(s);
    for (size_t k = 0; !found && k < s->count; k++) {
        const cbp_real natural = result->natural[k];
        if (s->curve->positive[k] && !(natural > 0 && cbp_is_finite(natural))) {
            s->diverges[k] = 1;
            s->fixed_at = k;
            found = 1;
        } else if (result->determined[k] == CBP_UNDETERMINED) {
            cbp_curve_start out = here, in = here;
            const cbp_real most = loss + 1000 * cbp_curve_noise(s, loss);
            const int goes_out = stays_flat(s, &here, (limit_direction){k, 1}, most, &out),
                      goes_in = stays_flat(s, &here, (limit_direction){k, 0}, most, &in);
            if (goes_out != goes_in && may_step(s)) {
                mark_moving(s, &here, goes_out ? &out : &in, k);
                s->fixed_at = k;
                found = 1;
            }
        }
    }
    s->coordinates.params = s->starts[0].at;
    return found;
}
