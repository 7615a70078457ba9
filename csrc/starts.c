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

/* The features of candidates where all chains share the inputs, and their sums of squares, added up
 * as in a lane. */
static void describe(const cbp_candidates *c, const unsigned char *activations, const cbp_real *x,
                     size_t n, cbp_real *features, cbp_real *centred, cbp_real *sizes,
                     cbp_real *inverses)
{
    memset(centred, 0, (n + 2) * rounded_up(c->count) * sizeof *centred);
    for (size_t number = 0; number < c->count; number++, features += n, centred += n) {
        const cbp_chain chain = {c->params + number * c->width, activations, c->depth};
        cbp_real mean = 0;
        memcpy(features, x, n * sizeof *features);
        if (c->depth > 0) {
            cbp_kernels_now()->forward(&chain, x, n, features);
        }
        for (size_t i = 0; c->solves_b && i < n; i++) {
            mean += features[i];
        }
        mean /= (cbp_real)n;
        for (size_t i = 0; i < n; i++) {
            centred[i] = features[i] - mean;
            sizes[number] += centred[i] * centred[i];
        }
        inverses[number] = c->solves_w ? 1 / sizes[number] : 0;
    }
}

static void take_inputs(const cbp_chain *leading, const cbp_real *x, size_t n, cbp_real *inputs)
{
    if (leading->layers > 0) {
        cbp_kernels_now()->forward(leading, x, n, inputs);
    } else {
        memcpy(inputs, x, n * sizeof *inputs);
    }
}

int cbp_choose_starts(const unsigned char *activations, const unsigned char *frozen,
                      const cbp_real *lower, const cbp_real *upper, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t layers, size_t n,
                      size_t chains, size_t x_step, size_t weight_step, const cbp_real *candidates,
                      size_t count, size_t row, cbp_real *work, cbp_real *params)
{
    const cbp_chain chain = {candidates, activations, layers};
    int status = cbp_check_chain(&chain);
    if (status == CBP_OK && (!work || !params || (n > 0 && chains > 0 && (!x || !y)))) {
        status = CBP_ERROR_NULL;
    }
    if (status == CBP_OK && (count == 0 || (row > 0 && count % row > 0))) {
        status = CBP_ERROR_OPTION;
    }
    if (status != CBP_OK) {
        return status;
    }
    if (n == 0) { /* not read, but reckoned with */
        x = y = candidates;
    }
    const size_t skipped = cbp_count_leading(frozen, layers);
    const cbp_chain leading = {candidates, activations, skipped};
    const cbp_fit kind = {.frozen = frozen, .lower = lower, .upper = upper, .layers = layers};
    const size_t last = 2 * layers - 2;
    work = cbp_aligned(work);
    cbp_lanes g = {.activations = activations + skipped, .layers = layers - skipped, .n = n};
    g.x = cbp_taken(&work, n * CBP_LANES);
    g.y = cbp_taken(&work, n * CBP_LANES);
    g.weight = cbp_taken(&work, n * CBP_LANES);
    cbp_candidates own = {
        .params = candidates + 2 * skipped, .count = count, .width = 2 * layers, .row = row};
    own.is_linear = activations[layers - 1] == CBP_IDENTITY;
    own.solves_w = own.is_linear && cbp_is_free(frozen, last);
    own.solves_b = own.is_linear && cbp_is_free(frozen, last + 1);
    own.low_w = own.solves_w ? cbp_low(&kind, last) : own.is_linear ? candidates[last] : 1;
    own.high_w = own.solves_w ? cbp_high(&kind, last) : own.low_w;
    own.depth = g.layers - (size_t)own.is_linear;
    own.own_features = cbp_taken(&work, n * CBP_LANES);
    own.gains = cbp_taken(&work, rounded_up(count) * CBP_LANES);
    g.trial = cbp_taken(&work, 2 * layers * CBP_LANES);
    cbp_real *inputs = cbp_taken(&work, n);
    if (x_step == 0) {
        take_inputs(&leading, x, n, inputs);
        cbp_real *features = cbp_taken(&work, n * count),
                 *centred = cbp_taken(&work, n * rounded_up(count));
        cbp_real *sizes = cbp_taken(&work, rounded_up(count)),
                 *inverses = cbp_taken(&work, rounded_up(count));
        describe(&own, g.activations, inputs, n, features, centred, sizes, inverses);
        own.features = features;
        own.centred = centred;
        own.sizes = sizes;
        own.inverses = inverses;
    }
    const cbp_real level = own.is_linear && !own.solves_b ? candidates[last + 1] : 0;
    const int may_share = x_step == 0 && !weight;
    own.is_shared = 0;
    for (size_t first = 0; first < chains; first += CBP_LANES) {
        const size_t lanes = chains - first < CBP_LANES ? chains - first : CBP_LANES;
        int has_missing = 0;
        cbp_row chosen;
        for (size_t k = 0; k < CBP_LANES; k++) {
            /* lanes without a chain repeat the first */
            const cbp_real *own_y = y + (first + (k < lanes ? k : 0)) * n;
            for (size_t i = 0; i < n; i++) {
                has_missing |= own_y[i] != own_y[i];
                g.y[i * CBP_LANES + k] = own_y[i] - level;
            }
        }
        const int is_shared = may_share && !has_missing;
        for (size_t k = 0; !(is_shared && own.is_shared) && k < CBP_LANES; k++) {
            const size_t number = first + (k < lanes ? k : 0);
            const cbp_real *own_y = y + number * n,
                           *own_weight = weight ? weight + number * weight_step : NULL;
            if (x_step > 0) {
                take_inputs(&leading, x + number * x_step, n, inputs);
            }
            const cbp_real stand_in = cbp_stand_in(inputs, own_y, n);
            for (size_t i = 0, at = k; i < n; i++, at += CBP_LANES) {
                const int is_missing = own_y[i] != own_y[i];
                g.x[at] = is_missing ? stand_in : inputs[i];
                g.y[at] = is_missing ? 0 : g.y[at];
                g.weight[at] = is_missing ? 0 : own_weight ? own_weight[i] : 1;
            }
        }
        own.is_shared = is_shared;
        cbp_kernels_now()->choose_starts(&g, &own, chosen);
        for (size_t k = 0; k < lanes; k++) {
            cbp_real *to = params + (first + k) * 2 * layers;
            for (size_t j = 0; j < 2 * layers; j++) {
                const int is_chosen = chosen[k] >= 0 && j >= 2 * skipped;
                const cbp_real param =
                    is_chosen ? g.trial[(j - 2 * skipped) * CBP_LANES + k] : candidates[j];
                to[j] = cbp_is_free(frozen, j) ? cbp_bounded(&kind, j, param) : param;
            }
        }
    }
    return CBP_OK;
}
