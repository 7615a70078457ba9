/* Many fits of one kind: groups of chains, one to a lane, finished lanes refilled from the queue;
 * what the lanes cannot finish goes to cbp_fit_lm of one chain.
 */
#include "many.h"

/* Iterations in a lane before cbp_fit_lm takes over: most chains need 5 to 10. */
#define PATIENCE 40

/* Of the first step, relative to the normal equations' diagonal. */
#define FIRST_DAMPING ((cbp_real)1e-2)

/* From so many examples on one chain keeps the processor busy, and copies for all lanes would be
 * large. */
#define MOST_IN_LANES 4096

/* Where there is another fit to compare with: a fit whose loss is so many times the least is given
 * up after so many iterations. */
#define FAR_LOSS 30
#define FAR_ITERATIONS 10

/* What a lane carries. */
typedef struct load {
    size_t chain, count; /* examples of positive weight */
    cbp_real total;      /* of the weights */
} load;

/* A call under way. */
typedef struct many {
    cbp_fit kind; /* of one chain, without its examples */
    cbp_example_sets sets;
    size_t next; /* the first chain that has not been taken up */
    const cbp_fits *fits;
    size_t free, skipped; /* parameters; leading layers that are frozen */
    /* behind the frozen layers all chains have the same inputs, which stand in `inputs` */
    int shares_x;
    int stops;              /* the progress function has said so */
    const cbp_least *least; /* not null: nothing is left to cbp_fit_lm */
    load loads[CBP_LANES];  /* what the lanes carry */
    load done[CBP_LANES];   /* what those did that wait to be finished together */
    size_t waiting;
    int has_ones[CBP_LANES]; /* the lane's weights are all 1, and its inputs those of all */
    cbp_real *inputs, *one_x, *one_y, *one_weight; /* of one chain, [n] */
    cbp_real *covariance, *work_of_one;            /* [free][free], and what cbp_fit_lm needs */
} many;

/* ---- memory ---------------------------------------------------------------------------------- */

CBP_CONSTANT size_t triangle_len(size_t size)
{
    return size * (size + 1) / 2;
}

CBP_CONSTANT size_t packed_len(size_t free)
{
    return triangle_len(free + 1) * CBP_LANES;
}

CBP_CONSTANT size_t lanes_len(size_t layers, size_t free, size_t n)
{
    return (4 * n + 6 * layers + 3 * free) * CBP_LANES + 8 * packed_len(free) +
           (3 * layers + free + 7) * CBP_FIT_TILE;
}

/* Of `free` numbers of type size_t. */
CBP_CONSTANT size_t places_len(size_t free)
{
    return (free * sizeof(size_t) / sizeof(cbp_real) + CBP_ALIGNED) / CBP_ALIGNED * CBP_ALIGNED;
}

/* Of all but cbp_fit_lm. */
CBP_CONSTANT size_t many_len(size_t layers, size_t free, size_t n)
{
    return CBP_ALIGNED + (n < MOST_IN_LANES ? lanes_len(layers, free, n) : 0) + 4 * n +
           free * free + 2 * free + places_len(free);
}

#ifndef CBP_CUDA
size_t cbp_fit_many_work_len(size_t layers, size_t free, size_t n)
{
    return many_len(layers, free, n) + cbp_fit_work_len(layers, free, n);
}
#endif

static void place_lanes(cbp_lanes *g, size_t layers, cbp_real **work)
{
    const size_t examples = g->n * CBP_LANES, params = 2 * layers * CBP_LANES,
                 packed = packed_len(g->free);
    g->x = cbp_taken(work, examples);
    g->y = cbp_taken(work, examples);
    g->weight = cbp_taken(work, examples);
    g->root = cbp_taken(work, examples);
    g->params = cbp_taken(work, params);
    g->trial = cbp_taken(work, params);
    g->normal = cbp_taken(work, packed);
    g->trial_normal = cbp_taken(work, packed);
    g->factor = cbp_taken(work, packed);
    g->scaled = cbp_taken(work, packed);
    g->second_order = cbp_taken(work, packed);
    g->trial_second_order = cbp_taken(work, packed);
    g->step = cbp_taken(work, g->free * CBP_LANES);
    g->at_bound = cbp_taken(work, g->free * CBP_LANES);
    g->work = cbp_taken(work, (3 * layers + g->free + 7) * CBP_FIT_TILE);
}

/* Lanes that wait to be finished have no examples. */
static void place_done(cbp_lanes *done, const cbp_lanes *g, cbp_real **work)
{
    const size_t packed = packed_len(g->free);
    done->params = cbp_taken(work, 2 * g->layers * CBP_LANES);
    done->normal = cbp_taken(work, packed);
    done->at_bound = cbp_taken(work, g->free * CBP_LANES);
    done->trial_normal = cbp_taken(work, packed);
    done->factor = g->factor;
    done->scaled = g->scaled;
    done->second_order = g->second_order;
}

/* ---- one chain by itself --------------------------------------------------------------------- */

static cbp_real *params_of(const many *s, size_t chain)
{
    return s->fits->params + chain * 2 * s->kind.chain.layers;
}

/* The frozen layers that a chain begins with. */
static cbp_chain leading_layers(const many *s, size_t chain)
{
    cbp_chain leading = cbp_chain_at(s->kind.chain, params_of(s, chain));
    leading.layers = s->skipped;
    return leading;
}

static void set_errors(const many *s, size_t chain, cbp_real error)
{
    for (size_t k = 0; k < 2 * s->kind.chain.layers; k++) {
        s->fits->standard_error[chain * 2 * s->kind.chain.layers + k] = error;
    }
    for (size_t k = 0; s->fits->covariance && k < triangle_len(s->free); k++) {
        s->fits->covariance[chain * triangle_len(s->free) + k] = error;
    }
}

/* Nothing found, for this reason; the parameters stay what they were. */
static void give_up(const many *s, size_t chain, int status)
{
    s->fits->status[chain] = status;
    s->fits->iterations[chain] = 0;
    s->fits->loss[chain] = s->fits->variance[chain] = s->fits->df[chain] = (cbp_real)NAN;
    s->fits->weight[chain] = 0;
    memset(s->fits->determined + chain * 2 * s->kind.chain.layers, CBP_UNDETERMINED,
           2 * s->kind.chain.layers);
    set_errors(s, chain, (cbp_real)NAN);
}

#ifdef CBP_CUDA
/* The host fits it, and finds the start where it was. */
static void fit_one(many *s, size_t chain)
{
    give_up(s, chain, CBP_RUNNING);
}
#else
/* What is not missing of a chain's examples; *positive: how many of them have a weight above 0. */
static cbp_examples present_examples(const many *s, size_t chain, cbp_fit_totals *totals)
{
    const cbp_real *x = s->sets.x + chain * s->sets.x_step, *y = s->sets.y + chain * s->sets.n;
    const cbp_real *weight = s->sets.weight ? s->sets.weight + chain * s->sets.weight_step : NULL;
    size_t n = 0;
    *totals = (cbp_fit_totals){0, 0};
    for (size_t i = 0; i < s->sets.n; i++) {
        if (y[i] == y[i]) {
            s->one_x[n] = x[i];
            s->one_y[n] = y[i];
            s->one_weight[n] = weight ? weight[i] : 1;
            totals->weight += s->one_weight[n];
            totals->examples += s->one_weight[n++] > 0 ? 1 : 0;
        }
    }
    return (cbp_examples){s->one_x, s->one_y, weight ? s->one_weight : NULL, n};
}

/* What cbp_fit_covariance has found for a chain, whose examples are so many. */
static void store_covariance(const many *s, size_t chain, cbp_real examples)
{
    const size_t all = 2 * s->kind.chain.layers;
    const unsigned char *determined = s->fits->determined + chain * all;
    cbp_real *covariance =
        s->fits->covariance ? s->fits->covariance + chain * triangle_len(s->free) : NULL;
    for (size_t k = 0, row = 0; k < all; k++) {
        const int is_free = cbp_is_free(s->kind.chain.frozen, k);
        examples -= determined[k] == CBP_DETERMINED || determined[k] == CBP_UNDETERMINED;
        s->fits->standard_error[chain * all + k] =
            is_free ? cbp_root(s->covariance[row * s->free + row]) : 0;
        row += (size_t)is_free;
    }
    s->fits->df[chain] = examples;
    for (size_t row = 0; covariance && row < s->free; row++) {
        memcpy(covariance, s->covariance + row * s->free, (row + 1) * sizeof *covariance);
        covariance += row + 1;
    }
}

/* By cbp_fit_lm. */
static void fit_one(many *s, size_t chain)
{
    cbp_fit_options options = *s->kind.options;
    cbp_fit_info info;
    cbp_fit_totals totals;
    if (s->stops || s->least) {
        give_up(s, chain, s->stops ? CBP_STOPPED : CBP_EXHAUSTED);
        return;
    }
    options.history_len = 0;
    const cbp_examples examples = present_examples(s, chain, &totals);
    const cbp_chain one = cbp_chain_at(s->kind.chain, params_of(s, chain));
    const cbp_covariance covariance = {&s->fits->variance[chain], s->covariance,
                                       s->fits->determined + chain * 2 * one.layers};
    int status = cbp_fit_lm(&one, &examples, &options, s->work_of_one, params_of(s, chain), &info);
    if (status == CBP_OK) {
        status = cbp_fit_covariance(&one, &examples, &options, NULL, s->work_of_one, &covariance);
    }
    if (status != CBP_OK) {
        give_up(s, chain, status == CBP_ERROR_EMPTY ? CBP_ERROR_FEW_EXAMPLES : status);
        return;
    }
    s->stops = info.outcome == CBP_STOPPED;
    s->fits->status[chain] = (int)info.outcome;
    s->fits->iterations[chain] = info.iterations;
    s->fits->loss[chain] = info.loss;
    s->fits->weight[chain] = totals.weight;
    store_covariance(s, chain, totals.examples);
}
#endif

/* ---- lanes ----------------------------------------------------------------------------------- */

/* What a lane's examples add up to; `unclear` is not 0 if cbp_fit_lm is to judge them. */
typedef struct totals {
    cbp_real squares, weight, unclear;
    size_t count;
} totals;

/* Whether a loss takes every target; what measures rounding is then the target. */
static int takes_any_target(const many *s)
{
    const cbp_loss_facts *facts = &cbp_loss_table[s->kind.loss.kind];
    return facts->target_low == (cbp_real)-INFINITY && facts->target_high == (cbp_real)INFINITY;
}

/* The targets alone, where nothing else is the chain's own, none is missing and the loss takes them
 * all. */
static totals load_targets(const many *s, cbp_lanes *g, size_t lane, const cbp_real *y)
{
    totals t = {0, (cbp_real)s->sets.n, 0, s->sets.n};
    for (size_t i = 0; i < s->sets.n; i++) {
        g->y[i * CBP_LANES + lane] = y[i];
        t.squares += y[i] * y[i];
    }
    t.unclear = t.squares - t.squares;
    return t;
}

static totals load_examples(const many *s, cbp_lanes *g, size_t lane, size_t chain)
{
    const cbp_real *x = s->sets.x + chain * s->sets.x_step, *y = s->sets.y + chain * s->sets.n,
                   *inputs = s->skipped > 0 ? s->inputs : x;
    const cbp_real *weight = s->sets.weight ? s->sets.weight + chain * s->sets.weight_step : NULL;
    const cbp_loss criterion = s->kind.loss;
    const cbp_loss_facts *facts = &cbp_loss_table[criterion.kind];
    totals t = {0, 0, 0, 0};
    if (s->skipped > 0 && !s->shares_x) {
        const cbp_chain leading = leading_layers(s, chain);
        cbp_kernels_now()->forward(&leading, x, s->sets.n, s->inputs);
    }
    const cbp_real stand_in = cbp_stand_in(inputs, y, s->sets.n);
    for (size_t i = 0, at = lane; i < s->sets.n; i++, at += CBP_LANES) {
        const int is_missing = y[i] != y[i];
        const cbp_real factor = is_missing ? 0
                                : weight   ? weight[i]
                                           : 1,
                       target = is_missing ? 0 : y[i];
        cbp_real size;
        t.unclear += is_missing ? 0 : (x[i] - x[i]) + (target - target) + (factor - factor);
        t.unclear +=
            factor < 0 || target < facts->target_low || target > facts->target_high ? 1 : 0;
        t.weight += factor;
        cbp_loss_sizes(criterion, &target, &target, 1, &size);
        t.squares += factor > 0 ? factor * size : 0;
        t.count += factor > 0;
        g->y[at] = target;
        g->weight[at] = factor;
        g->root[at] = weight ? cbp_root(factor) : factor;
        g->x[at] = is_missing ? stand_in : inputs[i];
    }
    t.unclear += (t.squares - t.squares) + (cbp_is_total(t.weight) && t.count >= s->free ? 0 : 1);
    return t;
}

/* The start goes to the lane; not 0 if cbp_fit_lm is to judge it. */
static cbp_real load_start(const many *s, cbp_lanes *g, size_t lane, const cbp_real *params)
{
    cbp_real unclear = 0;
    for (size_t k = 0; k < 2 * g->layers; k++) {
        g->trial[k * CBP_LANES + lane] = params[k];
    }
    for (size_t j = 0; j < s->free; j++) {
        const cbp_real param = params[g->places[j]];
        unclear += param - param;
        if (g->low) {
            unclear += param < g->low[j] || param > g->high[j] ? 1 : 0;
        }
    }
    return unclear;
}

/* A chain goes to the lane; 0 if there is anything about it that cbp_fit_lm is to judge. */
static int load_lane(many *s, cbp_lanes *g, size_t lane, size_t chain)
{
    totals t = {0, 0, 1, 0};
    if (s->has_ones[lane]) {
        t = load_targets(s, g, lane, s->sets.y + chain * s->sets.n);
    }
    if (t.unclear != 0) {
        t = load_examples(s, g, lane, chain);
        s->has_ones[lane] =
            s->shares_x && !s->sets.weight && takes_any_target(s) && t.count == s->sets.n;
    }
    t.unclear += load_start(s, g, lane, params_of(s, chain) + 2 * s->skipped);
    if (t.unclear != 0 || t.count < s->free) {
        return 0;
    }
    s->loads[lane] = (load){chain, t.count, t.weight};
    g->squares[lane] = t.squares;
    g->loss[lane] = (cbp_real)INFINITY;
    g->damping[lane] = FIRST_DAMPING;
    g->growth[lane] = 4;
    g->predicted[lane] = g->length[lane] = g->was_plain[lane] = g->iterations[lane] = 0;
    g->state[lane] = CBP_LANE_RUNNING;
    return 1;
}

/* What lane k of `g` carries is not finished there: by cbp_fit_lm, or it is given up where it
 * is. */
static void leave_lane(many *s, const cbp_lanes *g, size_t lane, const load *carried)
{
    const size_t chain = carried->chain, first = 2 * s->skipped;
    fit_one(s, chain);
    if (s->least && !s->stops) {
        s->fits->loss[chain] = g->loss[lane] / carried->total;
        s->fits->iterations[chain] = (size_t)g->iterations[lane];
        for (size_t k = 0; k < 2 * g->layers; k++) {
            params_of(s, chain)[first + k] = g->params[k * CBP_LANES + lane];
        }
    }
}

static cbp_real *least_of(const many *s, size_t chain)
{
    return s->least->loss + chain * s->least->step;
}

/* Whether another fit has left so much less that this one is not worth its time. */
static int is_far(const many *s, const cbp_lanes *g, size_t lane)
{
    return s->least && g->iterations[lane] >= FAR_ITERATIONS &&
           g->loss[lane] > FAR_LOSS * s->loads[lane].total * *least_of(s, s->loads[lane].chain);
}

/* The next chain that a lane can take. */
static void refill(many *s, cbp_lanes *g, size_t lane)
{
    g->state[lane] = CBP_LANE_IDLE;
    while (s->next < s->sets.m && g->state[lane] == CBP_LANE_IDLE) {
        const size_t chain = s->next++;
        if (s->stops || !load_lane(s, g, lane, chain)) {
            fit_one(s, chain);
        }
    }
}

/* What a finished lane has found. */
static void store(const many *s, const cbp_lanes *g, size_t lane)
{
    const size_t chain = s->done[lane].chain, all = 2 * s->kind.chain.layers, free = s->free,
                 first = 2 * s->skipped;
    const cbp_real dispersion = cbp_loss_table[s->kind.loss.kind].dispersion;
    cbp_real *params = params_of(s, chain), *errors = s->fits->standard_error + chain * all;
    unsigned char *determined = s->fits->determined + chain * all;
    size_t moving = free;
    memset(determined, CBP_FROZEN, all);
    for (size_t j = 0; j < free; j++) {
        const size_t k = first + g->places[j];
        const int is_at_bound = g->low && g->at_bound[j * CBP_LANES + lane] > 0;
        params[k] = g->params[g->places[j] * CBP_LANES + lane];
        determined[k] = is_at_bound ? CBP_AT_BOUND : CBP_DETERMINED;
        moving -= (size_t)is_at_bound;
    }
    const cbp_real df = (cbp_real)s->done[lane].count - (cbp_real)moving;
    const cbp_real squares = s->kind.loss.kind == CBP_SQUARED
                                 ? g->loss[lane]
                                 : g->normal[packed_len(free) - CBP_LANES + lane];
    const cbp_real variance = dispersion > 0 ? 1 : df > 0 ? squares / df : (cbp_real)NAN;
    const cbp_real factor = dispersion > 0 ? dispersion : variance;
    s->fits->status[chain] = CBP_CONVERGED;
    s->fits->iterations[chain] = (size_t)g->iterations[lane];
    s->fits->loss[chain] = g->loss[lane] / s->done[lane].total;
    s->fits->weight[chain] = s->done[lane].total;
    s->fits->variance[chain] = variance;
    s->fits->df[chain] = df;
    cbp_real *covariance =
        s->fits->covariance ? s->fits->covariance + chain * triangle_len(free) : NULL;
    memset(errors, 0, all * sizeof *errors);
    for (size_t j = 0; j < free; j++) {
        const cbp_real *inverse = g->trial_normal + triangle_len(j) * CBP_LANES + lane;
        const int is_fixed = determined[first + g->places[j]] != CBP_DETERMINED;
        errors[first + g->places[j]] = is_fixed ? 0 : cbp_root(factor * inverse[j * CBP_LANES]);
        for (size_t i = 0; covariance && i <= j; i++) {
            const int are_fixed = is_fixed || determined[first + g->places[i]] != CBP_DETERMINED;
            *covariance++ = are_fixed ? 0 : factor * inverse[i * CBP_LANES];
        }
    }
}

/* Standard errors of all lanes that are done, at once. */
static void finish_done(many *s, cbp_lanes *done)
{
    cbp_kernels_now()->finish_lanes(done);
    for (size_t k = 0; k < s->waiting; k++) {
        /* the weighted sum may be finite where the average is not, which cbp_fit_lm refuses */
        if (done->state[k] == CBP_LANE_DONE && cbp_is_finite(done->loss[k] / s->done[k].total)) {
            store(s, done, k);
        } else {
            leave_lane(s, done, k, &s->done[k]);
        }
    }
    s->waiting = 0;
}

/* A lane is done: the point that it takes to be the minimum, and what tells the errors there, wait
 * for others. It is left to cbp_fit_lm where a weight has changed its sign on the way, or come
 * to 0, which is a kink too where the input is huge. */
static void set_lane_aside(many *s, const cbp_lanes *g, size_t lane, cbp_lanes *done)
{
    const size_t to = s->waiting++;
    const cbp_real *point = g->is_smooth ? g->trial : g->params;
    int turns = 0;
    s->done[to] = s->loads[lane];
    for (size_t i = 0; i < packed_len(s->free); i += CBP_LANES) {
        done->normal[i + to] = g->normal[i + lane];
    }
    for (size_t i = 0; i < 2 * g->layers * CBP_LANES; i += CBP_LANES) {
        const cbp_real last = g->params[i + lane], next = point[i + lane];
        done->params[i + to] = next;
        turns |= i % (2 * CBP_LANES) == 0 && ((next < 0) != (last < 0) || (next > 0) != (last > 0));
    }
    for (size_t i = 0; i < s->free * CBP_LANES; i += CBP_LANES) {
        done->at_bound[i + to] = g->at_bound[i + lane];
    }
    done->loss[to] = g->loss[lane];
    done->squares[to] = g->squares[lane];
    done->predicted[to] = g->predicted[lane];
    done->iterations[to] = g->iterations[lane];
    done->state[to] = turns ? CBP_LANE_NEEDS_FALLBACK : CBP_LANE_DONE;
    if (s->least && g->loss[lane] < *least_of(s, s->done[to].chain) * s->done[to].total) {
        *least_of(s, s->done[to].chain) = g->loss[lane] / s->done[to].total;
    }
    if (s->waiting == CBP_LANES) {
        finish_done(s, done);
    }
}

/* Whether the slope of a layer jumps somewhere. */
static int has_kink(const unsigned char *activations, size_t layers)
{
    for (size_t i = 0; i < layers; i++) {
        if (cbp_activation_table[activations[i]].has_kink) {
            return 1;
        }
    }
    return 0;
}

/* Whether all chains have the same inputs behind the leading frozen layers. */
static int share_inputs(const many *s)
{
    cbp_real unclear = 0;
    for (size_t i = 0; i < s->sets.n; i++) {
        unclear += s->sets.x[i] - s->sets.x[i];
    }
    for (size_t chain = 1; s->skipped > 0 && chain < s->sets.m; chain++) {
        for (size_t k = 0; k < 2 * s->skipped; k++) {
            unclear += params_of(s, chain)[k] == params_of(s, 0)[k] ? 0 : 1;
        }
    }
    return s->sets.x_step == 0 && unclear == 0;
}

/* Which progress the caller hears of: how many chains have been taken up. */
static void tell(many *s)
{
    const cbp_fit_info info = {CBP_RUNNING,   s->next,       s->next,
                               (cbp_real)NAN, (cbp_real)NAN, s->fits->params};
    const cbp_fit_options *options = s->kind.options;
    s->stops = s->stops || (options->progress && options->progress(options->user, &info));
}

static void fit_in_lanes(many *s, cbp_lanes *g, cbp_lanes *done)
{
    size_t running = 0;
    /* lanes that stay idle carry zeros, so that they hold up nobody */
    memset(g->x, 0, (size_t)(g->trial - g->x) * sizeof *g->x);
    memset(g->second_order, 0, (size_t)(g->work - g->second_order) * sizeof *g->second_order);
    memset(g->trial, 0, 2 * g->layers * CBP_LANES * sizeof *g->trial);
    memset(done->params, 0,
           (size_t)(done->at_bound + s->free * CBP_LANES - done->params) * sizeof *done->params);
    for (size_t k = 0; k < CBP_LANES; k++) {
        g->squares[k] = g->loss[k] = g->damping[k] = g->growth[k] = g->predicted[k] = g->length[k] =
            0;
        g->was_plain[k] = g->iterations[k] = 0;
        refill(s, g, k);
        running += g->state[k] != CBP_LANE_IDLE;
    }
    while (running > 0) {
        cbp_kernels_now()->fit_lanes(g);
        tell(s);
        for (size_t k = 0; k < CBP_LANES; k++) {
            if (g->state[k] == CBP_LANE_DONE) {
                set_lane_aside(s, g, k, done);
            } else if (g->state[k] == CBP_LANE_NEEDS_FALLBACK ||
                       (g->state[k] == CBP_LANE_RUNNING && is_far(s, g, k))) {
                leave_lane(s, g, k, &s->loads[k]);
            } else if (s->stops && g->state[k] == CBP_LANE_RUNNING) {
                give_up(s, s->loads[k].chain, CBP_STOPPED);
            } else {
                continue;
            }
            refill(s, g, k);
            running -= g->state[k] == CBP_LANE_IDLE;
        }
    }
    finish_done(s, done);
}

/* ---- the call -------------------------------------------------------------------------------- */

#ifdef CBP_CUDA
static int check_kind(const many *s)
{
    (void)s; /* the host has checked it */
    return CBP_OK;
}
#else
static int check_kind(const many *s)
{
    const cbp_fits *fits = s->fits;
    if (!fits->status || !fits->iterations || !fits->loss || !fits->weight || !fits->variance ||
        !fits->df || !fits->standard_error || !fits->determined ||
        (s->sets.n > 0 && s->sets.m > 0 && (!s->sets.x || !s->sets.y))) {
        return CBP_ERROR_NULL;
    }
    /* an example and a start that nobody objects to: what is left is the kind of fit */
    const cbp_real example = 0;
    cbp_fit kind = s->kind;
    cbp_fit_info info;
    kind.examples = (cbp_examples){&example, &example, NULL, 1};
    kind.info = &info;
    for (size_t k = 0; k < 2 * kind.chain.layers; k++) {
        s->work_of_one[k] = cbp_bounded(&kind, k, 0);
    }
    kind.chain.params = s->work_of_one;
    return cbp_fit_check(&kind);
}
#endif

/* The places and bounds of the free parameters, from `skipped` layers on. */
static void place_free(const many *s, cbp_lanes *g, size_t *places, cbp_real *low, cbp_real *high)
{
    for (size_t k = 2 * s->skipped, j = 0; k < 2 * s->kind.chain.layers; k++) {
        if (cbp_is_free(s->kind.chain.frozen, k)) {
            places[j] = k - 2 * s->skipped;
            low[j] = cbp_low(&s->kind, k);
            high[j++] = cbp_high(&s->kind, k);
        }
    }
    g->places = places;
    g->low = s->kind.lower || s->kind.upper ? low : NULL;
    g->high = high;
}

/* What the lanes know of the chains. */
static cbp_lanes lanes_of(const many *s)
{
    const cbp_fit *kind = &s->kind;
    const size_t most = kind->options->max_iterations;
    return (cbp_lanes){.activations = kind->chain.activations + s->skipped,
                       .frozen = kind->chain.frozen ? kind->chain.frozen + 2 * s->skipped : NULL,
                       .layers = kind->chain.layers - s->skipped,
                       .free = s->free,
                       .n = s->sets.n,
                       .criterion = kind->loss,
                       .tolerance = kind->options->tolerance,
                       .patience = (cbp_real)(most < PATIENCE ? most : PATIENCE),
                       .is_smooth = !has_kink(kind->chain.activations, kind->chain.layers)};
}

/* The call's work memory, but for what the lanes take. */
static void place_own(many *s, cbp_real **work)
{
    const size_t n = s->sets.n;
    s->inputs = cbp_taken(work, n);
    s->one_x = cbp_taken(work, n);
    s->one_y = cbp_taken(work, n);
    s->one_weight = cbp_taken(work, n);
    s->covariance = cbp_taken(work, s->free * s->free);
}

/* Fits all sets, for the kind of chain, what it has in common with others, and its results. */
static int fit_all_sets(many *s, cbp_real *work)
{
    const cbp_chain *chain = &s->kind.chain;
    const size_t n = s->sets.n, m = s->sets.m;
    if (n == 0) { /* not read, but reckoned with */
        s->sets.x = s->sets.y = work;
    }
    s->free = cbp_count_free(chain->frozen, chain->layers);
    s->skipped = cbp_count_leading(chain->frozen, chain->layers);
    work = cbp_aligned(work);
    size_t *places = (size_t *)(void *)cbp_taken(&work, places_len(s->free));
    cbp_lanes g = lanes_of(s), done = g;
    const int in_lanes = n < MOST_IN_LANES && s->kind.options->restarts == 0;
    if (in_lanes) {
        place_lanes(&g, g.layers, &work);
        place_done(&done, &g, &work);
    }
    place_own(s, &work);
    cbp_real *low = cbp_taken(&work, s->free), *high = cbp_taken(&work, s->free);
    s->work_of_one = work;
    const int status = check_kind(s);
    if (status != CBP_OK) {
        return status;
    }
    place_free(s, &g, places, low, high);
    place_free(s, &done, places, low, high);
    if (in_lanes && m > 0) {
        s->shares_x = share_inputs(s);
        if (s->shares_x && s->skipped > 0) {
            const cbp_chain leading = leading_layers(s, 0);
            cbp_kernels_now()->forward(&leading, s->sets.x, n, s->inputs);
        }
        fit_in_lanes(s, &g, &done);
    }
    for (; s->next < m; s->next++) {
        fit_one(s, s->next);
        tell(s);
    }
    return CBP_OK;
}

#ifdef CBP_CUDA
#include "cuda.h"
#else
int cbp_fit_many_in_lanes(const cbp_chain *chain, const cbp_example_sets *sets,
                          const cbp_fit_options *options, const cbp_least *least, cbp_real *work,
                          const cbp_fits *fits)
{
    many s = {.fits = fits, .least = least};
    int status =
        work && sets && fits ? cbp_fit_given(chain, NULL, options, &s.kind) : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        s.kind.chain.params = fits->params;
        status = cbp_check_chain(&s.kind.chain);
    }
    if (status != CBP_OK) {
        return status;
    }
    s.sets = *sets;
    return fit_all_sets(&s, work);
}

int cbp_fit_many(const cbp_chain *chain, const cbp_example_sets *sets,
                 const cbp_fit_options *options, cbp_real *work, const cbp_fits *fits)
{
    return cbp_fit_many_in_lanes(chain, sets, options, NULL, work, fits);
}
#endif
