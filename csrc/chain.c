/* The public functions on a chain: each checks its arguments, calls the kernels, and finishes the
 * averages. */
#include "chain.h"
#include "dispatch.h"

/* ---- activations ----------------------------------------------------------------------------- */

int cbp_activation_describe(int activation, cbp_activation_facts *facts)
{
    if (!facts) {
        return CBP_ERROR_NULL;
    }
    if (activation < 0 || activation >= CBP_ACTIVATION_END) {
        return CBP_ERROR_ACTIVATION;
    }
    *facts = cbp_activation_table[activation];
    return CBP_OK;
}

int cbp_activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value,
                          cbp_real *slope, cbp_real *second)
{
    if (activation < 0 || activation >= CBP_ACTIVATION_END) {
        return CBP_ERROR_ACTIVATION;
    }
    if (n > 0 && !z) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->activation(activation, z, n, value, slope, second);
    return CBP_OK;
}

/* ---- losses ---------------------------------------------------------------------------------- */

int cbp_loss_describe(int loss, cbp_loss_facts *facts)
{
    if (!facts) {
        return CBP_ERROR_NULL;
    }
    if (loss < 0 || loss >= CBP_LOSS_END) {
        return CBP_ERROR_LOSS;
    }
    *facts = cbp_loss_table[loss];
    return CBP_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

int cbp_check_chain(const cbp_chain *chain)
{
    if (!chain->params || !chain->activations) {
        return CBP_ERROR_NULL;
    }
    if (chain->layers == 0 || chain->layers > CBP_MOST_LAYERS) {
        return CBP_ERROR_LAYERS;
    }
    for (size_t l = 0; l < chain->layers; l++) {
        if (chain->activations[l] >= CBP_ACTIVATION_END) {
            return CBP_ERROR_ACTIVATION;
        }
    }
    return CBP_OK;
}

/* A chain and arrays of n numbers to map one to the other. */
static int check_map(const cbp_chain *chain, const cbp_real *in, size_t n, const cbp_real *out)
{
    const int status = cbp_check_chain(chain);
    if (status == CBP_OK && n > 0 && (!in || !out)) {
        return CBP_ERROR_NULL;
    }
    return status;
}

int cbp_check_criterion(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *y,
                        size_t n)
{
    if (criterion.loss < 0 || criterion.loss >= CBP_LOSS_END) {
        return CBP_ERROR_LOSS;
    }
    const cbp_loss_facts *facts = &cbp_loss_table[criterion.loss];
    if (facts->has_scale && !(criterion.scale > 0 && criterion.scale - criterion.scale == 0)) {
        return CBP_ERROR_SCALE;
    }
    if (facts->needs_sigmoid && chain->activations[chain->layers - 1] != CBP_SIGMOID) {
        return CBP_ERROR_NO_SIGMOID;
    }
    if (facts->target_low > (cbp_real)-INFINITY || facts->target_high < (cbp_real)INFINITY) {
        for (size_t i = 0; i < n; i++) {
            if (y[i] < facts->target_low || y[i] > facts->target_high) {
                return CBP_ERROR_TARGET;
            }
        }
    }
    return CBP_OK;
}

/* A chain, its loss, and n examples; `out` stands for all outputs. */
static int check_examples(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                          const cbp_real *y, size_t n, const cbp_real *out)
{
    int status = check_map(chain, x, n, out);
    if (status == CBP_OK && n > 0 && !y) {
        status = CBP_ERROR_NULL;
    }
    return status == CBP_OK ? cbp_check_criterion(chain, criterion, y, n) : status;
}

static int check_weights(const cbp_real *weight, size_t n)
{
    for (size_t i = 0; weight && i < n; i++) {
        if (!(weight[i] >= 0 && weight[i] - weight[i] == 0)) {
            return CBP_ERROR_WEIGHT;
        }
    }
    return CBP_OK;
}

int cbp_check_average(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t n, const cbp_real *out)
{
    int status = check_examples(chain, criterion, x, y, n, out);
    if (status == CBP_OK && n == 0) {
        status = CBP_ERROR_EMPTY;
    }
    return status == CBP_OK ? check_weights(weight, n) : status;
}

/* ---- one value for each example -------------------------------------------------------------- */

int cbp_forward(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                size_t layers, size_t n, cbp_real *out)
{
    const cbp_chain chain = {params, activations, layers};
    const int status = check_map(&chain, x, n, out);
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        *out = cbp_kernels_now()->forward_one(&chain, *x);
    } else {
        cbp_kernels_now()->forward(&chain, x, n, out);
    }
    return CBP_OK;
}

int cbp_slope(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
              size_t layers, size_t n, cbp_real *out)
{
    const cbp_chain chain = {params, activations, layers};
    const int status = check_map(&chain, x, n, out);
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        *out = cbp_kernels_now()->slope_one(&chain, *x);
    } else {
        cbp_kernels_now()->slope(&chain, x, n, out);
    }
    return CBP_OK;
}

int cbp_inverse(const cbp_real *params, const unsigned char *activations, const cbp_real *y,
                size_t layers, size_t n, cbp_real *out)
{
    const cbp_chain chain = {params, activations, layers};
    const int status = check_map(&chain, y, n, out);
    if (status != CBP_OK) {
        return status;
    }
    for (size_t l = 0; l < layers; l++) {
        if (!cbp_activation_table[activations[l]].one_to_one || params[2 * l] == 0) {
            return CBP_ERROR_NOT_INVERTIBLE;
        }
    }
    if (n == 1) {
        *out = cbp_kernels_now()->inverse_one(&chain, *y);
    } else {
        cbp_kernels_now()->inverse(&chain, y, n, out);
    }
    return CBP_OK;
}

/* ---- work memory ----------------------------------------------------------------------------- */

/* One example: its record. More: the tile's activations and slopes, the lanes, and two vectors of
 * sums. */
static size_t record_len(size_t layers)
{
    return 6 * layers;
}

static size_t tile_len(size_t layers)
{
    return (2 * layers + 1) * CBP_TILE + (2 * layers + 2) * (CBP_LANES + 2);
}

size_t cbp_work_len(size_t layers, size_t n)
{
    if (n > 1) {
        return tile_len(layers);
    }
    return layers > CBP_STACK_LAYERS ? record_len(layers) : 0;
}

/* The memory to work in: the stack's where that is enough, however much the caller gave. */
static cbp_real *memory_of(cbp_real *work, cbp_real *stack, size_t layers, size_t n)
{
    return cbp_work_len(layers, n) > 0 ? work : stack;
}

static cbp_record record_in(cbp_real *memory, size_t layers, cbp_real *gradient)
{
    return (cbp_record){memory, memory + layers, memory + 2 * layers, memory + 3 * layers,
                        gradient};
}

/* ---- one row for each example ---------------------------------------------------------------- */

static int rows_of(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                   const cbp_real *y, size_t n, cbp_real *work, cbp_real *rows)
{
    cbp_real stack[4 * CBP_STACK_LAYERS];
    work = memory_of(work, stack, chain->layers, n);
    if (!work) {
        return CBP_ERROR_NULL;
    }
    if (n == 1) {
        const cbp_record record = record_in(work, chain->layers, rows);
        cbp_kernels_now()->gradient_one(chain, criterion, *x, *y, &record);
    } else {
        cbp_kernels_now()->rows(chain, criterion, x, y, n, work, rows);
    }
    return CBP_OK;
}

int cbp_jacobian(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                 size_t layers, size_t n, cbp_real *work, cbp_real *rows)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion output = {CBP_OUTPUT, 1};
    const int status = check_map(&chain, x, n, rows);
    return status == CBP_OK ? rows_of(&chain, output, x, x, n, work, rows) : status;
}

int cbp_gradients(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                  const cbp_real *y, size_t layers, size_t n, int loss, cbp_real scale,
                  cbp_real *work, cbp_real *rows)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    const int status = check_examples(&chain, criterion, x, y, n, rows);
    return status == CBP_OK ? rows_of(&chain, criterion, x, y, n, work, rows) : status;
}

/* ---- averages over the examples -------------------------------------------------------------- */

int cbp_gradient_sums(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                      cbp_real scale, cbp_real *work, cbp_real *sums, cbp_real *lost)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    const int status = cbp_check_average(&chain, criterion, x, y, weight, n, sums);
    if (status != CBP_OK) {
        return status;
    }
    if (!lost || !work) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->gradient_sums(&chain, criterion, x, y, weight, n, work, sums, lost);
    return CBP_OK;
}

int cbp_loss_sums(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                  const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                  cbp_real scale, cbp_real *sums, cbp_real *lost)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    const int status = cbp_check_average(&chain, criterion, x, y, weight, n, sums);
    if (status != CBP_OK) {
        return status;
    }
    if (!lost) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->loss_sums(&chain, criterion, x, y, weight, n, sums, lost);
    return CBP_OK;
}

int cbp_sums_merge(const cbp_real *shard_sums, const cbp_real *shard_lost, size_t len,
                   cbp_real *sums, cbp_real *lost)
{
    if (!shard_sums || !shard_lost || !sums || !lost) {
        return CBP_ERROR_NULL;
    }
    for (size_t k = 0; k < len; k++) {
        cbp_add(&sums[k], &lost[k], shard_sums[k]);
        lost[k] += shard_lost[k];
    }
    return CBP_OK;
}

int cbp_sums_mean(const cbp_real *sums, const cbp_real *lost, size_t len, cbp_real *mean)
{
    if (!sums || !lost || !mean) {
        return CBP_ERROR_NULL;
    }
    const cbp_real weight = sums[0] + lost[0];
    if (!cbp_is_total(weight)) {
        return CBP_ERROR_WEIGHT;
    }
    for (size_t k = 1; k < len; k++) {
        mean[k - 1] = (sums[k] + lost[k]) / weight;
    }
    return CBP_OK;
}

/* A weighted mean of one example is that example. */
static int check_single(const cbp_real *weight)
{
    return !weight || cbp_is_total(*weight) ? CBP_OK : CBP_ERROR_WEIGHT;
}

int cbp_loss_mean(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                  const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                  cbp_real scale, cbp_real *mean)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    const int status = cbp_check_average(&chain, criterion, x, y, weight, n, mean);
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        const int positive = check_single(weight);
        if (positive == CBP_OK) {
            *mean = cbp_kernels_now()->loss_one(&chain, criterion, *x, *y);
        }
        return positive;
    }
    cbp_real sums[2] = {0, 0}, lost[2] = {0, 0};
    cbp_kernels_now()->loss_sums(&chain, criterion, x, y, weight, n, sums, lost);
    return cbp_sums_mean(sums, lost, 2, mean);
}

/* Averages of checked examples, [loss, gradient ...], left at the start of `work`. */
static int tile_means(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t n, cbp_real *work)
{
    const size_t len = 2 * chain->layers + 2;
    cbp_real *sums = work, *lost = sums + len;
    memset(sums, 0, 2 * len * sizeof *sums);
    cbp_kernels_now()->gradient_sums(chain, criterion, x, y, weight, n, lost + len, sums, lost);
    return cbp_sums_mean(sums, lost, len, sums);
}

int cbp_gradient(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                 const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                 cbp_real scale, cbp_real *work, cbp_real *mean, cbp_real *gradient)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    cbp_real stack[4 * CBP_STACK_LAYERS], value;
    int status = cbp_check_average(&chain, criterion, x, y, weight, n, gradient);
    work = memory_of(work, stack, layers, n);
    if (status == CBP_OK && !work) {
        status = CBP_ERROR_NULL;
    }
    if (status == CBP_OK) {
        status =
            n == 1 ? check_single(weight) : tile_means(&chain, criterion, x, y, weight, n, work);
    }
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        const cbp_record record = record_in(work, layers, gradient);
        value = cbp_kernels_now()->gradient_one(&chain, criterion, *x, *y, &record);
    } else {
        memcpy(gradient, work + 1, 2 * layers * sizeof *gradient);
        value = *work;
    }
    if (mean) {
        *mean = value;
    }
    return CBP_OK;
}

CBP_INLINE cbp_real stepped(cbp_real param, cbp_real slope, cbp_real learning_rate, int frozen)
{
    return frozen ? param : param - learning_rate * slope;
}

int cbp_step(const unsigned char *activations, const unsigned char *frozen, const cbp_real *x,
             const cbp_real *y, size_t layers, size_t n, cbp_real learning_rate, cbp_real *work,
             cbp_real *params, cbp_real *mean)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion squared = {CBP_SQUARED, 1};
    cbp_real stack[6 * CBP_STACK_LAYERS], value, *gradient;
    int status = cbp_check_average(&chain, squared, x, y, NULL, n, params);
    work = memory_of(work, stack, layers, n);
    if (status == CBP_OK && !work) {
        status = CBP_ERROR_NULL;
    }
    if (status == CBP_OK && learning_rate - learning_rate != 0) {
        status = CBP_ERROR_LEARNING_RATE;
    }
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        const cbp_record record = record_in(work, layers, work + 4 * layers);
        value = cbp_kernels_now()->gradient_one(&chain, squared, *x, *y, &record);
        gradient = record.gradient;
    } else {
        tile_means(&chain, squared, x, y, NULL, n, work);
        value = work[0];
        gradient = work + 1;
    }
    for (size_t k = 0; k < 2 * layers; k++) {
        const cbp_real next = stepped(params[k], gradient[k], learning_rate, frozen && frozen[k]);
        if (next - next != 0) {
            return CBP_ERROR_NOT_FINITE;
        }
    }
    for (size_t k = 0; k < 2 * layers; k++) {
        params[k] = stepped(params[k], gradient[k], learning_rate, frozen && frozen[k]);
    }
    if (mean) {
        *mean = value;
    }
    return CBP_OK;
}

static size_t hessian_sums_len(size_t layers)
{
    return 1 + 4 * layers * layers;
}

/* Whether memory can address that many. */
static int check_hessian(size_t layers)
{
    return layers > 0 && layers > CBP_MOST_LAYERS / layers ? CBP_ERROR_LAYERS : CBP_OK;
}

int cbp_hessian_sums(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                     const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                     cbp_real scale, cbp_real *work, cbp_real *sums, cbp_real *lost)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    int status = cbp_check_average(&chain, criterion, x, y, weight, n, sums);
    if (status == CBP_OK) {
        status = check_hessian(layers);
    }
    if (status != CBP_OK) {
        return status;
    }
    if (!lost || !work) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->hessian_sums(&chain, criterion, x, y, weight, n, work, sums, lost);
    return CBP_OK;
}

/* The sums, what they lost, and one example's five arrays. */
size_t cbp_hessian_work_len(size_t layers)
{
    return 2 * hessian_sums_len(layers) + 5 * layers + 1;
}

int cbp_hessian(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                cbp_real scale, cbp_real *work, cbp_real *hessian)
{
    if (!work || !hessian) {
        return CBP_ERROR_NULL;
    }
    int status = check_hessian(layers);
    if (status != CBP_OK) {
        return status;
    }
    const size_t len = hessian_sums_len(layers);
    cbp_real *sums = work, *lost = sums + len;
    memset(sums, 0, 2 * len * sizeof *sums);
    status = cbp_hessian_sums(params, activations, x, y, weight, layers, n, loss, scale, lost + len,
                              sums, lost);
    return status == CBP_OK ? cbp_sums_mean(sums, lost, len, hessian) : status;
}

/* ---- one example, everything shown ----------------------------------------------------------- */

int cbp_trace(const cbp_real *params, const unsigned char *activations, cbp_real x, cbp_real y,
              size_t layers, int loss, cbp_real scale, cbp_real *z, cbp_real *a, cbp_real *slope,
              cbp_real *delta, cbp_real *gradient, cbp_real *value)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_criterion criterion = {loss, scale};
    const int status = check_examples(&chain, criterion, &x, &y, 1, value);
    if (status != CBP_OK) {
        return status;
    }
    if (!z || !a || !slope || !delta || !gradient) {
        return CBP_ERROR_NULL;
    }
    const cbp_record record = {z, a, slope, delta, gradient};
    *value = cbp_kernels_now()->gradient_one(&chain, criterion, x, y, &record);
    return CBP_OK;
}
