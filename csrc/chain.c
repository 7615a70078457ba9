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

int cbp_loss_describe(int kind, cbp_loss_facts *facts)
{
    if (!facts) {
        return CBP_ERROR_NULL;
    }
    if (kind < 0 || kind >= CBP_LOSS_END) {
        return CBP_ERROR_LOSS;
    }
    *facts = cbp_loss_table[kind];
    return CBP_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

int cbp_check_chain(const cbp_chain *chain)
{
    if (!chain || !chain->params || !chain->activations) {
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

int cbp_check_loss(const cbp_chain *chain, cbp_loss loss, const cbp_real *y, size_t n)
{
    if (loss.kind < 0 || loss.kind >= CBP_LOSS_END) {
        return CBP_ERROR_LOSS;
    }
    const cbp_loss_facts *facts = &cbp_loss_table[loss.kind];
    if (facts->has_scale &&
        !((loss.scale > 0 || facts->has_scale == 2) && loss.scale - loss.scale == 0)) {
        return CBP_ERROR_SCALE;
    }
    if (facts->needs_sigmoid && chain->activations[chain->layers - 1] != CBP_SIGMOID) {
        return CBP_ERROR_NO_SIGMOID;
    }
    const int needs_positive = (loss.kind == CBP_POWER && loss.scale >= 1) ||
                               (loss.kind == CBP_BOX_COX && loss.scale <= 0);
    if (facts->target_low > (cbp_real)-INFINITY || facts->target_high < (cbp_real)INFINITY) {
        for (size_t i = 0; i < n; i++) {
            if (y[i] < facts->target_low || y[i] > facts->target_high ||
                (needs_positive && y[i] == 0)) {
                return CBP_ERROR_TARGET;
            }
        }
    }
    return CBP_OK;
}

/* A chain, its loss, and examples, perhaps none; `out` stands for all outputs. */
static int check_examples(const cbp_chain *chain, cbp_loss loss, const cbp_examples *examples,
                          const cbp_real *out)
{
    if (!examples) {
        return CBP_ERROR_NULL;
    }
    int status = check_map(chain, examples->x, examples->n, out);
    if (status == CBP_OK && examples->n > 0 && !examples->y) {
        status = CBP_ERROR_NULL;
    }
    return status == CBP_OK ? cbp_check_loss(chain, loss, examples->y, examples->n) : status;
}

static int check_weights(const cbp_examples *examples)
{
    const cbp_real *weight = examples->weight;
    for (size_t i = 0; weight && i < examples->n; i++) {
        if (!(weight[i] >= 0 && weight[i] - weight[i] == 0)) {
            return CBP_ERROR_WEIGHT;
        }
    }
    return CBP_OK;
}

int cbp_check_average(const cbp_chain *chain, cbp_loss loss, const cbp_examples *examples,
                      const cbp_real *out)
{
    int status = check_examples(chain, loss, examples, out);
    if (status == CBP_OK && examples->n == 0) {
        status = CBP_ERROR_EMPTY;
    }
    return status == CBP_OK ? check_weights(examples) : status;
}

/* ---- one value for each example -------------------------------------------------------------- */

int cbp_forward(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
{
    const int status = check_map(chain, x, n, out);
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        *out = cbp_kernels_now()->forward_one(chain, *x);
    } else {
        cbp_kernels_now()->forward(chain, x, n, out);
    }
    return CBP_OK;
}

int cbp_slope(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
{
    const int status = check_map(chain, x, n, out);
    if (status != CBP_OK) {
        return status;
    }
    if (n == 1) {
        *out = cbp_kernels_now()->slope_one(chain, *x);
    } else {
        cbp_kernels_now()->slope(chain, x, n, out);
    }
    return CBP_OK;
}

int cbp_inverse(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out)
{
    const int status = check_map(chain, y, n, out);
    if (status != CBP_OK) {
        return status;
    }
    for (size_t l = 0; l < chain->layers; l++) {
        if (!cbp_activation_table[chain->activations[l]].one_to_one || chain->params[2 * l] == 0) {
            return CBP_ERROR_NOT_INVERTIBLE;
        }
    }
    if (n == 1) {
        *out = cbp_kernels_now()->inverse_one(chain, *y);
    } else {
        cbp_kernels_now()->inverse(chain, y, n, out);
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

static int rows_of(const cbp_chain *chain, cbp_loss loss, const cbp_examples *examples,
                   cbp_real *work, cbp_real *rows)
{
    cbp_real stack[4 * CBP_STACK_LAYERS];
    work = memory_of(work, stack, chain->layers, examples->n);
    if (!work) {
        return CBP_ERROR_NULL;
    }
    if (examples->n == 1) {
        const cbp_record record = record_in(work, chain->layers, rows);
        cbp_kernels_now()->gradient_one(chain, loss, *examples->x, *examples->y, &record);
    } else {
        cbp_kernels_now()->rows(chain, loss, examples, work, rows);
    }
    return CBP_OK;
}

int cbp_jacobian(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *work,
                 cbp_real *rows)
{
    const int status = check_map(chain, x, n, rows);
    const cbp_examples examples = {x, x, NULL, n};
    return status == CBP_OK ? rows_of(chain, (cbp_loss){CBP_OUTPUT, 1}, &examples, work, rows)
                            : status;
}

int cbp_gradients(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                  cbp_real *work, cbp_real *rows)
{
    const cbp_loss given = cbp_loss_given(loss);
    const int status = check_examples(chain, given, examples, rows);
    return status == CBP_OK ? rows_of(chain, given, examples, work, rows) : status;
}

/* ---- averages over the examples -------------------------------------------------------------- */

int cbp_gradient_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                      cbp_real *work, cbp_real *sums, cbp_real *compensation)
{
    const cbp_loss given = cbp_loss_given(loss);
    const int status = cbp_check_average(chain, given, examples, sums);
    if (status != CBP_OK) {
        return status;
    }
    if (!compensation || !work) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->gradient_sums(chain, given, examples, work, sums, compensation);
    return CBP_OK;
}

int cbp_loss_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                  cbp_real *sums, cbp_real *compensation)
{
    const cbp_loss given = cbp_loss_given(loss);
    const int status = cbp_check_average(chain, given, examples, sums);
    if (status != CBP_OK) {
        return status;
    }
    if (!compensation) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->loss_sums(chain, given, examples, sums, compensation);
    return CBP_OK;
}

int cbp_sums_merge(const cbp_real *shard_sums, const cbp_real *shard_compensation, size_t len,
                   cbp_real *sums, cbp_real *compensation)
{
    if (!shard_sums || !shard_compensation || !sums || !compensation) {
        return CBP_ERROR_NULL;
    }
    for (size_t k = 0; k < len; k++) {
        cbp_add(&sums[k], &compensation[k], shard_sums[k]);
        compensation[k] += shard_compensation[k];
    }
    return CBP_OK;
}

int cbp_sums_mean(const cbp_real *sums, const cbp_real *compensation, size_t len, cbp_real *mean)
{
    if (!sums || !compensation || !mean) {
        return CBP_ERROR_NULL;
    }
    const cbp_real weight = sums[0] + compensation[0];
    if (!cbp_is_total(weight)) {
        return CBP_ERROR_WEIGHT;
    }
    for (size_t k = 1; k < len; k++) {
        mean[k - 1] = (sums[k] + compensation[k]) / weight;
    }
    return CBP_OK;
}

/* A weighted mean of one example is that example. */
static int check_single(const cbp_real *weight)
{
    return !weight || cbp_is_total(*weight) ? CBP_OK : CBP_ERROR_WEIGHT;
}

int cbp_loss_mean(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                  cbp_real *mean)
{
    const cbp_loss given = cbp_loss_given(loss);
    const int status = cbp_check_average(chain, given, examples, mean);
    if (status != CBP_OK) {
        return status;
    }
    if (examples->n == 1) {
        const int positive = check_single(examples->weight);
        if (positive == CBP_OK) {
            *mean = cbp_kernels_now()->loss_one(chain, given, *examples->x, *examples->y);
        }
        return positive;
    }
    cbp_real sums[2] = {0, 0}, compensation[2] = {0, 0};
    cbp_kernels_now()->loss_sums(chain, given, examples, sums, compensation);
    return cbp_sums_mean(sums, compensation, 2, mean);
}

/* The means of checked examples: *mean, and the gradient, which stands in `work`. `work` is what
 * memory_of says; one example's gradient goes to `own`. */
static int means_of(const cbp_chain *chain, cbp_loss loss, const cbp_examples *examples,
                    cbp_real *work, cbp_real *own, cbp_real *mean, cbp_real **gradient)
{
    const size_t len = 2 * chain->layers + 2;
    if (examples->n == 1) {
        const int status = check_single(examples->weight);
        if (status == CBP_OK) {
            const cbp_record record = record_in(work, chain->layers, own);
            *mean =
                cbp_kernels_now()->gradient_one(chain, loss, *examples->x, *examples->y, &record);
            *gradient = own;
        }
        return status;
    }
    cbp_real *sums = work, *compensation = sums + len;
    memset(sums, 0, 2 * len * sizeof *sums);
    cbp_kernels_now()->gradient_sums(chain, loss, examples, compensation + len, sums, compensation);
    *gradient = work + 1;
    const int status = cbp_sums_mean(sums, compensation, len, sums);
    *mean = *work;
    return status;
}

int cbp_gradient(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                 cbp_real *work, cbp_real *mean, cbp_real *gradient)
{
    const cbp_loss given = cbp_loss_given(loss);
    cbp_real stack[4 * CBP_STACK_LAYERS], value, *found;
    int status = cbp_check_average(chain, given, examples, gradient);
    if (status != CBP_OK) {
        return status;
    }
    work = memory_of(work, stack, chain->layers, examples->n);
    status =
        work ? means_of(chain, given, examples, work, gradient, &value, &found) : CBP_ERROR_NULL;
    if (status != CBP_OK) {
        return status;
    }
    if (found != gradient) {
        memcpy(gradient, found, 2 * chain->layers * sizeof *gradient);
    }
    if (mean) {
        *mean = value;
    }
    return CBP_OK;
}

CBP_INLINE cbp_real stepped(const cbp_chain *chain, size_t k, cbp_real slope,
                            cbp_real learning_rate)
{
    const int is_frozen = chain->frozen && chain->frozen[k];
    return is_frozen ? chain->params[k] : chain->params[k] - learning_rate * slope;
}

/* cbp_step_along for a checked chain. */
static int step_along(const cbp_chain *chain, const cbp_real *gradient, cbp_real learning_rate,
                      cbp_real *params)
{
    if (learning_rate - learning_rate != 0) {
        return CBP_ERROR_LEARNING_RATE;
    }
    for (size_t k = 0; k < 2 * chain->layers; k++) {
        const cbp_real next = stepped(chain, k, gradient[k], learning_rate);
        if (next - next != 0) {
            return CBP_ERROR_NOT_FINITE;
        }
    }
    for (size_t k = 0; k < 2 * chain->layers; k++) {
        params[k] = stepped(chain, k, gradient[k], learning_rate);
    }
    return CBP_OK;
}

int cbp_step_along(const cbp_chain *chain, const cbp_real *gradient, cbp_real learning_rate,
                   cbp_real *params)
{
    const int status = cbp_check_chain(chain);
    if (status != CBP_OK || !gradient || !params) {
        return status != CBP_OK ? status : CBP_ERROR_NULL;
    }
    return step_along(chain, gradient, learning_rate, params);
}

int cbp_step(const cbp_chain *chain, const cbp_examples *examples, cbp_real learning_rate,
             cbp_real *work, cbp_real *params, cbp_real *mean)
{
    const cbp_loss squared = {CBP_SQUARED, 1};
    cbp_real stack[6 * CBP_STACK_LAYERS], value, *gradient;
    int status = cbp_check_average(chain, squared, examples, params);
    if (status != CBP_OK) {
        return status;
    }
    work = memory_of(work, stack, chain->layers, examples->n);
    status =
        work ? means_of(chain, squared, examples, work, work + 4 * chain->layers, &value, &gradient)
             : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        status = step_along(chain, gradient, learning_rate, params);
    }
    if (status == CBP_OK && mean) {
        *mean = value;
    }
    return status;
}

/* ---- one example, everything shown ----------------------------------------------------------- */

int cbp_trace(const cbp_chain *chain, cbp_real x, cbp_real y, const cbp_loss *loss,
              const cbp_record *record, cbp_real *value)
{
    const cbp_loss given = cbp_loss_given(loss);
    const int status = check_examples(chain, given, &(cbp_examples){&x, &y, NULL, 1}, value);
    if (status != CBP_OK) {
        return status;
    }
    if (!record || !record->z || !record->a || !record->slope || !record->delta ||
        !record->gradient) {
        return CBP_ERROR_NULL;
    }
    *value = cbp_kernels_now()->gradient_one(chain, given, x, y, record);
    return CBP_OK;
}
