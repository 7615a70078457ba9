/* Where many fits start: for each chain the best of some candidates that all have in common. */
#include "many.h"

size_t cbp_choose_starts_work_len(size_t layers, size_t n, size_t count)
{
    return CBP_ALIGNED + (5 * n + 2 * layers) * CBP_LANES + (n + 2) * count + n;
}

/* The features of candidates where all chains share the inputs, and their sums, added as a lane would. */
static void describe(const cbp_candidates *c, const unsigned char *activations, const cbp_real *x, size_t layers,
                     size_t n, cbp_real *features, cbp_real *moments)
{
    for (size_t number = 0; number < c->count; number++, features += n, moments += 2) {
        const cbp_chain chain = {c->params + number * 2 * layers, activations, c->depth};
        memcpy(features, x, n * sizeof *features);
        if (c->depth > 0) {
            cbp_kernels_now()->forward(&chain, x, n, features);
        }
        moments[0] = moments[1] = 0;
        for (size_t i = 0; i < n; i++) {
            moments[0] += features[i];
            moments[1] += features[i] * features[i];
        }
        moments[1] -= c->solves_b ? moments[0] * moments[0] / (cbp_real)n : 0;
    }
}

int cbp_choose_starts(const unsigned char *activations, const unsigned char *frozen, const cbp_real *lower,
                      const cbp_real *upper, const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t layers,
                      size_t n, size_t chains, size_t x_step, size_t weight_step, const cbp_real *candidates,
                      size_t count, cbp_real *work, cbp_real *params)
{
    const cbp_chain chain = {candidates, activations, layers};
    int status = cbp_check_chain(&chain);
    if (status == CBP_OK && (!work || !params || (n > 0 && chains > 0 && (!x || !y)))) {
        status = CBP_ERROR_NULL;
    }
    if (status == CBP_OK && count == 0) {
        status = CBP_ERROR_OPTION;
    }
    if (status != CBP_OK) {
        return status;
    }
    if (n == 0) { /* not read, but reckoned with */
        x = y = candidates;
    }
    const cbp_fit kind = {.frozen = frozen, .lower = lower, .upper = upper, .layers = layers};
    work = cbp_aligned(work);
    cbp_lanes g = {.activations = activations, .layers = layers, .n = n};
    g.x = cbp_taken(&work, n * CBP_LANES);
    g.y = cbp_taken(&work, n * CBP_LANES);
    g.weight = cbp_taken(&work, n * CBP_LANES);
    cbp_candidates own = {.params = candidates, .count = count};
    own.is_linear = activations[layers - 1] == CBP_IDENTITY;
    own.solves_w = own.is_linear && cbp_is_free(frozen, 2 * layers - 2);
    own.low_w = lower ? lower[2 * layers - 2] : -(cbp_real)INFINITY;
    own.high_w = upper ? upper[2 * layers - 2] : (cbp_real)INFINITY;
    own.solves_b = own.is_linear && cbp_is_free(frozen, 2 * layers - 1);
    own.depth = layers - (size_t)own.is_linear;
    own.features = own.own_features = cbp_taken(&work, n * CBP_LANES);
    g.trial = cbp_taken(&work, 2 * layers * CBP_LANES);
    cbp_candidates shared = own;
    shared.is_shared = 1;
    shared.features = cbp_taken(&work, n * count);
    cbp_real *moments = cbp_taken(&work, 2 * count);
    shared.moments = moments;
    const int can_share = x_step == 0 && !weight;
    if (can_share) {
        describe(&shared, activations, x, layers, n, shared.features, moments);
    }
    for (size_t first = 0; first < chains; first += CBP_LANES) {
        const size_t lanes = chains - first < CBP_LANES ? chains - first : CBP_LANES;
        int are_alike = can_share;
        cbp_row chosen;
        memset(g.x, 0, 3 * n * CBP_LANES * sizeof *g.x);
        for (size_t k = 0; k < lanes; k++) {
            const cbp_real *own_x = x + (first + k) * x_step, *own_y = y + (first + k) * n;
            const cbp_real *own_weight = weight ? weight + (first + k) * weight_step : NULL;
            const cbp_real stand_in = cbp_stand_in(own_x, own_y, n);
            for (size_t i = 0, at = k; i < n; i++, at += CBP_LANES) {
                const int is_missing = own_y[i] != own_y[i];
                are_alike = are_alike && !is_missing;
                g.x[at] = is_missing ? stand_in : own_x[i];
                g.y[at] = is_missing ? 0 : own_y[i];
                g.weight[at] = is_missing ? 0 : own_weight ? own_weight[i] : 1;
            }
        }
        cbp_kernels_now()->choose_starts(&g, are_alike ? &shared : &own, chosen);
        for (size_t k = 0; k < lanes; k++) {
            cbp_real *to = params + (first + k) * 2 * layers;
            for (size_t j = 0; j < 2 * layers; j++) {
                const cbp_real param = chosen[k] >= 0 ? g.trial[j * CBP_LANES + k] : candidates[j];
                to[j] = cbp_is_free(frozen, j) ? cbp_bounded(&kind, j, param) : param;
            }
        }
    }
    return CBP_OK;
}
