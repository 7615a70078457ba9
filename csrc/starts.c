/* Where many fits start: for each chain the best of some candidates that all have in common. */
#include "many.h"

/* Candidates that are looked at together may be more than there are. */
static size_t rounded_up(size_t count)
{
    return (count + CBP_CANDIDATES - 1) / CBP_CANDIDATES * CBP_CANDIDATES;
}

size_t cbp_choose_starts_work_len(size_t layers, size_t n, size_t count)
{
    return CBP_ALIGNED + (4 * n + 2 * layers + rounded_up(count)) * CBP_LANES + n +
           (2 * n + 2) * rounded_up(count);
}

/* A call under way. */
typedef struct choice {
    cbp_fit kind; /* bounds, and what is frozen */
    cbp_example_sets sets;
    const cbp_candidates *given;
    cbp_chain leading; /* the frozen layers that all candidates begin with */
    cbp_lanes lanes;
    cbp_lane_candidates own; /* the candidates without them */
    cbp_real level;          /* the last bias where it is not solved for */
    cbp_real *inputs;        /* of one chain, [n] */
} choice;

/* ---- candidates ------------------------------------------------------------------------------ */

/* What the candidates have in common. */
static void describe(choice *c)
{
    const cbp_chain *chain = &c->kind.chain;
    const size_t skipped = c->leading.layers, w = 2 * chain->layers - 2, b = w + 1;
    const cbp_real *first = c->given->params;
    cbp_lane_candidates *own = &c->own;
    own->params = first + 2 * skipped;
    own->count = c->given->count;
    own->width = 2 * chain->layers;
    own->row = c->given->row;
    own->is_linear = chain->activations[chain->layers - 1] == CBP_IDENTITY;
    own->solves_w = own->is_linear && cbp_is_free(chain->frozen, w);
    own->solves_b = own->is_linear && cbp_is_free(chain->frozen, b);
    own->low_w = own->solves_w ? cbp_low(&c->kind, w) : own->is_linear ? first[w] : 1;
    own->high_w = own->solves_w ? cbp_high(&c->kind, w) : own->low_w;
    own->depth = c->lanes.layers - (size_t)own->is_linear;
    c->level = own->is_linear && !own->solves_b ? first[b] : 0;
}

static void take_inputs(const choice *c, const cbp_real *x)
{
    if (c->leading.layers > 0) {
        cbp_kernels_now()->forward(&c->leading, x, c->sets.n, c->inputs);
    } else {
        memcpy(c->inputs, x, c->sets.n * sizeof *x);
    }
}

/* The features of candidates where all chains share the inputs, and their sums of squares, added up
 * as in a lane. */
static void find_shared_features(choice *c, cbp_real **work)
{
    const size_t n = c->sets.n, count = rounded_up(c->own.count);
    cbp_real *features = cbp_taken(work, n * c->own.count), *centred = cbp_taken(work, n * count),
             *sizes = cbp_taken(work, count), *inverses = cbp_taken(work, count);
    c->own.features = features;
    c->own.centred = centred;
    c->own.sizes = sizes;
    c->own.inverses = inverses;
    take_inputs(c, c->sets.x);
    memset(centred, 0, (n + 2) * count * sizeof *centred);
    for (size_t number = 0; number < c->own.count; number++, features += n, centred += n) {
        const cbp_chain chain = {c->own.params + number * c->own.width, c->lanes.activations, NULL,
                                 c->own.depth};
        cbp_real mean = 0;
        memcpy(features, c->inputs, n * sizeof *features);
        if (chain.layers > 0) {
            cbp_kernels_now()->forward(&chain, c->inputs, n, features);
        }
        for (size_t i = 0; c->own.solves_b && i < n; i++) {
            mean += features[i];
        }
        mean /= (cbp_real)n;
        for (size_t i = 0; i < n; i++) {
            centred[i] = features[i] - mean;
            sizes[number] += centred[i] * centred[i];
        }
        sizes[number] = cbp_size_of_feature(sizes[number], mean, (cbp_real)n);
        inverses[number] = c->own.solves_w && sizes[number] > 0 ? 1 / sizes[number] : 0;
    }
}

/* ---- lanes ----------------------------------------------------------------------------------- */

/* Lanes from `count` on repeat the first. */
static void repeat_first(cbp_real *lanes, size_t n, size_t count)
{
    for (size_t i = 0; count < CBP_LANES && i < n; i++, lanes += CBP_LANES) {
        const cbp_real first = lanes[0];
        for (size_t k = count; k < CBP_LANES; k++) {
            lanes[k] = first;
        }
    }
}

/* The targets of chains `first` ... first + count - 1; whether one is missing. */
static int load_set_targets(choice *c, size_t first, size_t count)
{
    int has_missing = 0;
    for (size_t k = 0; k < count; k++) {
        const cbp_real *y = c->sets.y + (first + k) * c->sets.n;
        for (size_t i = 0; i < c->sets.n; i++) {
            has_missing |= y[i] != y[i];
            c->lanes.y[i * CBP_LANES + k] = y[i] - c->level;
        }
    }
    repeat_first(c->lanes.y, c->sets.n, count);
    return has_missing;
}

/* Their inputs and weights, where these are not the same for all lanes; missing targets become 0,
 * of weight 0. */
static void load_set_examples(choice *c, size_t first, size_t count)
{
    const cbp_lanes *g = &c->lanes;
    for (size_t k = 0; k < count; k++) {
        const size_t number = first + k;
        const cbp_real *y = c->sets.y + number * c->sets.n,
                       *weight =
                           c->sets.weight ? c->sets.weight + number * c->sets.weight_step : NULL;
        if (c->sets.x_step > 0) {
            take_inputs(c, c->sets.x + number * c->sets.x_step);
        }
        const cbp_real stand_in = cbp_stand_in(c->inputs, y, c->sets.n);
        for (size_t i = 0, at = k; i < c->sets.n; i++, at += CBP_LANES) {
            const int is_missing = y[i] != y[i];
            g->x[at] = is_missing ? stand_in : c->inputs[i];
            g->y[at] = is_missing ? 0 : g->y[at];
            g->weight[at] = is_missing ? 0 : weight ? weight[i] : 1;
        }
    }
    repeat_first(g->x, c->sets.n, count);
    repeat_first(g->y, c->sets.n, count);
    repeat_first(g->weight, c->sets.n, count);
}

/* What was chosen for chain `number`, in lane k; the first candidate if nothing was. */
static void store_start(const choice *c, int is_chosen, size_t k, cbp_real *params)
{
    const cbp_chain *chain = &c->kind.chain;
    const size_t skipped = 2 * c->leading.layers;
    for (size_t j = 0; j < 2 * chain->layers; j++) {
        const cbp_real param = is_chosen && j >= skipped
                                   ? c->lanes.trial[(j - skipped) * CBP_LANES + k]
                                   : c->given->params[j];
        params[j] = cbp_is_free(chain->frozen, j) ? cbp_bounded(&c->kind, j, param) : param;
    }
}

static void choose_all(choice *c, cbp_real *params, cbp_real *gains)
{
    const int may_share = c->sets.x_step == 0 && !c->sets.weight;
    for (size_t first = 0; first < c->sets.m; first += CBP_LANES) {
        const size_t left = c->sets.m - first, count = left < CBP_LANES ? left : CBP_LANES;
        const int is_shared = !load_set_targets(c, first, count) && may_share;
        cbp_row chosen, gain;
        if (!(is_shared && c->own.is_shared)) {
            load_set_examples(c, first, count);
        }
        c->own.is_shared = is_shared;
        cbp_kernels_now()->choose_starts(&c->lanes, &c->own, chosen, gain);
        for (size_t k = 0; k < count; k++) {
            if (gains) {
                gains[first + k] = gain[k];
            }
            store_start(c, chosen[k] >= 0, k, params + (first + k) * 2 * c->kind.chain.layers);
        }
    }
}

/* ---- the call -------------------------------------------------------------------------------- */

int cbp_choose_starts_by_gain(const cbp_chain *chain, const cbp_example_sets *sets,
                              const cbp_fit_options *options, const cbp_candidates *candidates,
                              cbp_real *work, cbp_real *params, cbp_real *gains)
{
    choice c = {.given = candidates};
    int status = sets && candidates && work && params ? cbp_fit_given(chain, NULL, options, &c.kind)
                                                      : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        c.kind.chain.params = candidates->params;
        status = cbp_check_chain(&c.kind.chain);
    }
    if (status != CBP_OK) {
        return status;
    }
    if (sets->n > 0 && sets->m > 0 && (!sets->x || !sets->y)) {
        return CBP_ERROR_NULL;
    }
    if (candidates->count == 0 ||
        (candidates->row > 0 && candidates->count % candidates->row > 0)) {
        return CBP_ERROR_OPTION;
    }
    const size_t n = sets->n;
    c.sets = *sets;
    if (n == 0) { /* not read, but reckoned with */
        c.sets.x = c.sets.y = candidates->params;
    }
    c.leading = c.kind.chain;
    c.leading.layers = cbp_count_leading(chain->frozen, chain->layers);
    c.lanes = (cbp_lanes){.activations = chain->activations + c.leading.layers,
                          .layers = chain->layers - c.leading.layers,
                          .n = n};
    work = cbp_aligned(work);
    c.lanes.x = cbp_taken(&work, n * CBP_LANES);
    c.lanes.y = cbp_taken(&work, n * CBP_LANES);
    c.lanes.weight = cbp_taken(&work, n * CBP_LANES);
    c.own.own_features = cbp_taken(&work, n * CBP_LANES);
    c.own.gains = cbp_taken(&work, rounded_up(candidates->count) * CBP_LANES);
    c.lanes.trial = cbp_taken(&work, 2 * chain->layers * CBP_LANES);
    c.inputs = cbp_taken(&work, n);
    describe(&c);
    c.own.is_one = sets->m == 1;
    if (c.own.is_one) {
        take_inputs(&c, sets->x);
    } else if (sets->x_step == 0) {
        find_shared_features(&c, &work);
    }
    choose_all(&c, params, gains);
    return CBP_OK;
}

int cbp_choose_starts(const cbp_chain *chain, const cbp_example_sets *sets,
                      const cbp_fit_options *options, const cbp_candidates *candidates,
                      cbp_real *work, cbp_real *params)
{
    return cbp_choose_starts_by_gain(chain, sets, options, candidates, work, params, NULL);
}
