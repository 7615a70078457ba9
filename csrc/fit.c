/* What the fits share: options, checks, progress, random numbers. */
#include "fit.h"

int cbp_fit_defaults(cbp_fit_options *options)
{
    if (!options) {
        return CBP_ERROR_NULL;
    }
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->loss = (cbp_loss){CBP_SQUARED, 1};
    options->max_iterations = 2000;
    options->tolerance = sizeof(cbp_real) == sizeof(float) ? (cbp_real)1e-5 : (cbp_real)1e-10;
    options->learning_rate = (cbp_real)0.1;
    options->momentum = (cbp_real)0.9;
    return CBP_OK;
}

cbp_fit_totals cbp_fit_totals_of(const cbp_fit *fit)
{
    cbp_fit_totals totals = {0, 0};
    if (!fit->examples.weight) {
        return (cbp_fit_totals){(cbp_real)fit->examples.n, (cbp_real)fit->examples.n};
    }
    for (size_t i = 0; i < fit->examples.n; i++) {
        totals.weight += fit->examples.weight[i];
        totals.examples += fit->examples.weight[i] > 0 ? 1 : 0;
    }
    return totals;
}

cbp_real cbp_fit_squares(const cbp_fit *fit, const cbp_chain *chain)
{
    const int is_robust = cbp_loss_table[fit->loss.kind].is_robust;
    cbp_real outputs[CBP_FIT_TILE], sizes[CBP_FIT_TILE], squares = 0;
    for (size_t start = 0; start < fit->examples.n; start += CBP_FIT_TILE) {
        const size_t left = fit->examples.n - start,
                     count = left < CBP_FIT_TILE ? left : CBP_FIT_TILE;
        if (is_robust) {
            cbp_kernels_now()->forward(chain, fit->examples.x + start, count, outputs);
        }
        cbp_loss_sizes(fit->loss, is_robust ? outputs : fit->examples.y + start,
                       fit->examples.y + start, count, sizes);
        for (size_t i = 0; i < count; i++) {
            const cbp_real weight = fit->examples.weight ? fit->examples.weight[start + i] : 1;
            squares += weight > 0 ? weight * sizes[i] : 0; /* 0 times infinity is 0 */
        }
    }
    return squares;
}

/* ---- checks ---------------------------------------------------------------------------------- */

int cbp_fit_given(const cbp_chain *chain, const cbp_examples *examples,
                  const cbp_fit_options *options, cbp_fit *fit)
{
    if (!chain || !options) {
        return CBP_ERROR_NULL;
    }
    if (options->size != sizeof *options) {
        return CBP_ERROR_OPTION;
    }
    *fit = (cbp_fit){.chain = *chain,
                     .examples = examples ? *examples : (cbp_examples){NULL, NULL, NULL, 0},
                     .lower = options->lower,
                     .upper = options->upper,
                     .loss = options->loss,
                     .options = options};
    return CBP_OK;
}

static int check_options(const cbp_fit_options *options)
{
    const int usable = options->max_iterations > 0 && options->tolerance >= 0 &&
                       cbp_is_finite(options->tolerance) && options->method >= 0 &&
                       options->method < CBP_METHOD_END && options->momentum >= 0 &&
                       options->momentum < 1;
    if (!usable) {
        return CBP_ERROR_OPTION;
    }
    return options->learning_rate > 0 && cbp_is_finite(options->learning_rate)
               ? CBP_OK
               : CBP_ERROR_LEARNING_RATE;
}

int cbp_fit_check_start(const cbp_fit *fit)
{
    const cbp_real *params = fit->chain.params;
    for (size_t k = 0; k < 2 * fit->chain.layers; k++) {
        if (!cbp_is_free(fit->chain.frozen, k)) {
            continue;
        }
        const cbp_real low = cbp_low(fit, k), high = cbp_high(fit, k);
        if (!(low <= high)) {
            return CBP_ERROR_BOUNDS;
        }
        if (!cbp_is_finite(params[k]) || params[k] < low || params[k] > high) {
            return CBP_ERROR_START;
        }
    }
    return CBP_OK;
}

/* Whether all examples are finite, but for inputs of -infinity, logarithms of 0. */
static int is_of_log_doses(const cbp_examples *examples)
{
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real x = examples->x[i];
        if (!cbp_is_finite(examples->y[i]) || !(x < (cbp_real)INFINITY)) {
            return 0;
        }
    }
    return 1;
}

/* By lanes, which become vector code; a number that is not finite makes NaN of its lane. */
int cbp_fit_check_data(const cbp_fit *fit)
{
    cbp_real lanes[CBP_LANES] = {0}, sum = 0;
    size_t start = 0;
    for (; start + CBP_LANES <= fit->examples.n; start += CBP_LANES) {
        for (size_t k = 0; k < CBP_LANES; k++) {
            const cbp_real x = fit->examples.x[start + k], y = fit->examples.y[start + k];
            lanes[k] += (x - x) + (y - y);
        }
    }
    for (size_t k = 0; k < CBP_LANES; k++) {
        sum += lanes[k];
    }
    for (; start < fit->examples.n; start++) {
        sum += (fit->examples.x[start] - fit->examples.x[start]) +
               (fit->examples.y[start] - fit->examples.y[start]);
    }
    return sum == 0 || (fit->is_log_dose && is_of_log_doses(&fit->examples)) ? CBP_OK
                                                                             : CBP_ERROR_DATA;
}

int cbp_fit_check_over(const cbp_fit *fit)
{
    if (!fit->info) {
        return CBP_ERROR_NULL;
    }
    int status = check_options(fit->options);
    if (status == CBP_OK) {
        status = cbp_check_chain(&fit->chain);
    }
    if (status == CBP_OK) {
        status = cbp_check_loss(&fit->chain, fit->loss, NULL, 0);
    }
    if (status != CBP_OK) {
        return status;
    }
    return cbp_count_free(fit->chain.frozen, fit->chain.layers) > 0 ? CBP_OK : CBP_ERROR_NO_FREE;
}

int cbp_fit_check(const cbp_fit *fit)
{
    int status = cbp_fit_check_over(fit);
    if (status == CBP_OK) {
        status = cbp_check_average(&fit->chain, fit->loss, &fit->examples, fit->chain.params);
    }
    if (status == CBP_OK) {
        status = cbp_fit_check_data(fit);
    }
    if (status == CBP_OK && !cbp_is_total(cbp_fit_totals_of(fit).weight)) {
        status = CBP_ERROR_WEIGHT;
    }
    /* after the examples: a start that was chosen from bad ones is bad too */
    return status == CBP_OK ? cbp_fit_check_start(fit) : status;
}

/* ---- progress -------------------------------------------------------------------------------- */

int cbp_fit_progress(const cbp_fit *fit)
{
    return fit->options && fit->options->progress &&
           fit->options->progress(fit->options->user, fit->info);
}

void cbp_fit_remember(const cbp_fit *fit, size_t iteration, cbp_real loss)
{
    if (fit->options->history && iteration < fit->options->history_len) {
        fit->options->history[iteration] = loss;
    }
}

/* ---- random numbers -------------------------------------------------------------------------- */

uint64_t cbp_random_bits(uint64_t *state)
{
    uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15); /* 2^64 over the golden ratio, odd */
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

cbp_real cbp_random_uniform(uint64_t *state)
{
    const int kept = sizeof(cbp_real) == sizeof(float) ? 24 : 53;
    return (cbp_real)(cbp_random_bits(state) >> (64 - kept)) / (cbp_real)(UINT64_C(1) << kept);
}

/* Bits at or above the largest multiple of `count` are drawn again. */
size_t cbp_random_below(uint64_t *state, size_t count)
{
    const uint64_t uneven = (UINT64_MAX % count + 1) % count;
    uint64_t bits;
    do {
        bits = cbp_random_bits(state);
    } while (bits > UINT64_MAX - uneven);
    return (size_t)(bits % count);
}
