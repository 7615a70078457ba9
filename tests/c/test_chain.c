/* The public functions on chains: what they return, when they refuse, and that a refusal leaves
 * outputs alone. */
#include "check.h"

/* ---- Network 1: two layers of sigmoid, the notes' formulas written out ----------------------- */

static const cbp_real network_params[] = {R(1.5), R(0.1), R(-0.8), R(0.3)};
static const unsigned char network_activations[] = {CBP_SIGMOID, CBP_SIGMOID};
static const cbp_real inputs[] = {R(0.5), R(-2), 0};
static const cbp_real targets[] = {R(0.2), R(0.9), R(0.5)};
static const cbp_chain network = {network_params, network_activations, NULL, 2};
static const cbp_examples examples = {inputs, targets, NULL, 3};
static const cbp_loss squared = {CBP_SQUARED, 1};

static double sigmoid(double z)
{
    return 1 / (1 + exp(-z));
}

static double sigmoid_slope(double z)
{
    return sigmoid(z) * (1 - sigmoid(z));
}

typedef struct notes {
    double z1, a1, z2, a2, error, delta1, delta2, gradient[4];
} notes;

/* E = (a2 - y)^2; back from the error: Delta2 = 2 (a2 - y) sigma'(z2), Delta1 = Delta2 w2
 * sigma'(z1). */
static notes written_out(const cbp_real *params, double x, double y)
{
    const double w1 = (double)params[0], b1 = (double)params[1], w2 = (double)params[2],
                 b2 = (double)params[3];
    notes n;
    n.z1 = w1 * x + b1;
    n.a1 = sigmoid(n.z1);
    n.z2 = w2 * n.a1 + b2;
    n.a2 = sigmoid(n.z2);
    n.error = (n.a2 - y) * (n.a2 - y);
    n.gradient[0] = 2 * (n.a2 - y) * sigmoid_slope(n.z2) * w2 * sigmoid_slope(n.z1) * x;
    n.gradient[1] = 2 * (n.a2 - y) * sigmoid_slope(n.z2) * w2 * sigmoid_slope(n.z1);
    n.gradient[2] = 2 * (n.a2 - y) * sigmoid_slope(n.z2) * n.a1;
    n.gradient[3] = 2 * (n.a2 - y) * sigmoid_slope(n.z2);
    n.delta1 = n.gradient[1];
    n.delta2 = n.gradient[3];
    return n;
}

#define CLOSE(got, expected) CHECK(near((double)(got), expected, 0, 32))

static void test_network_one(void)
{
    double mean[5] = {0, 0, 0, 0, 0};
    cbp_real out[3], slopes[3], rows[12], jacobian[12], back[3];
    cbp_real *work = numbers(cbp_work_len(2, 3));
    CHECK(cbp_forward(&network, inputs, 3, out) == CBP_OK);
    CHECK(cbp_slope(&network, inputs, 3, slopes) == CBP_OK);
    CHECK(cbp_inverse(&network, out, 3, back) == CBP_OK);
    CHECK(cbp_gradients(&network, &examples, &squared, work, rows) == CBP_OK);
    CHECK(cbp_jacobian(&network, inputs, 3, work, jacobian) == CBP_OK);
    for (int i = 0; i < 3; i++) {
        const notes n = written_out(network_params, (double)inputs[i], (double)targets[i]);
        const cbp_examples one = {inputs + i, targets + i, NULL, 1};
        cbp_real z[2], a[2], slope[2], delta[2], gradient[4], value, loss, own[4];
        const cbp_record record = {z, a, slope, delta, gradient};
        CLOSE(out[i], n.a2);
        CLOSE(slopes[i], sigmoid_slope(n.z2) * (double)network_params[2] * sigmoid_slope(n.z1) *
                             (double)network_params[0]);
        CHECK(near((double)back[i], (double)inputs[i], 4, 64));
        for (int k = 0; k < 4; k++) {
            CLOSE(rows[4 * i + k], n.gradient[k]);
            CLOSE(jacobian[4 * i + k], n.gradient[k] / (2 * (n.a2 - (double)targets[i])));
            mean[k + 1] += n.gradient[k] / 3;
        }
        mean[0] += n.error / 3;

        CHECK(cbp_trace(&network, inputs[i], targets[i], &squared, &record, &value) == CBP_OK);
        CLOSE(z[0], n.z1);
        CLOSE(a[0], n.a1);
        CLOSE(z[1], n.z2);
        CLOSE(a[1], n.a2);
        CLOSE(slope[0], sigmoid_slope(n.z1));
        CLOSE(slope[1], sigmoid_slope(n.z2));
        CLOSE(delta[0], n.delta1);
        CLOSE(delta[1], n.delta2);
        CLOSE(value, n.error);
        CHECK(same_all(gradient, rows + 4 * i, 4));

        CHECK(cbp_loss_mean(&network, &one, &squared, &loss) == CBP_OK);
        CHECK(same(loss, value));
        CHECK(cbp_gradient(&network, &one, &squared, NULL, &loss, own) == CBP_OK);
        CHECK(same(loss, value) && same_all(own, gradient, 4));
    }

    cbp_real loss, gradient[4];
    CHECK(cbp_gradient(&network, &examples, &squared, work, &loss, gradient) == CBP_OK);
    CHECK(near((double)loss, mean[0], 0, 64));
    for (int k = 0; k < 4; k++) {
        CHECK(near((double)gradient[k], mean[k + 1], fabs((double)rows[k]), 64));
    }
    cbp_real only_loss, no_loss[4];
    CHECK(cbp_loss_mean(&network, &examples, &squared, &only_loss) == CBP_OK);
    CHECK(same(only_loss, loss));
    CHECK(cbp_gradient(&network, &examples, &squared, work, NULL, no_loss) == CBP_OK);
    CHECK(same_all(no_loss, gradient, 4));

    /* Weights: that of 0 takes an example out; equal ones change nothing but the last bits. */
    const cbp_real first_only[] = {2, 0, 0};
    const cbp_examples first = {inputs, targets, first_only, 3};
    cbp_real weighted[4];
    CHECK(cbp_gradient(&network, &first, &squared, work, &loss, weighted) == CBP_OK);
    for (int k = 0; k < 4; k++) {
        CLOSE(weighted[k], (double)rows[k]);
    }
    free(work);
}

/* params - rate * gradient, for one example and many, with weights, with frozen parameters and
 * without, in place and not. */
static void test_step(void)
{
    const unsigned char frozen[] = {0, 1, 0, 1};
    const cbp_real rate = R(0.25), weight[] = {R(0.5), 2, 1};
    cbp_real *work = numbers(cbp_work_len(2, 3));
    for (int variant = 0; variant < 8; variant++) {
        const int freeze = variant & 1;
        const cbp_examples some = {inputs, targets, variant & 2 ? weight : NULL,
                                   variant & 4 ? 1 : 3};
        cbp_real params[4], own[4], gradient[4], before, loss = 0;
        memcpy(own, network_params, sizeof own);
        const cbp_chain chain = {network_params, network_activations, freeze ? frozen : NULL, 2},
                        in_place = {own, network_activations, chain.frozen, 2};
        CHECK(cbp_gradient(&chain, &some, NULL, work, &before, gradient) == CBP_OK);
        CHECK(cbp_step(&chain, &some, rate, work, params, freeze ? NULL : &loss) == CBP_OK);
        CHECK(freeze || same(loss, before));
        for (int k = 0; k < 4; k++) {
            const cbp_real moved = network_params[k] - rate * gradient[k];
            CHECK(near((double)params[k], (double)(freeze && frozen[k] ? network_params[k] : moved),
                       0, 2));
        }
        CHECK(cbp_step(&in_place, &some, rate, work, own, NULL) == CBP_OK);
        CHECK(same_all(own, params, 4));
        memcpy(own, network_params, sizeof own);
        CHECK(cbp_step_along(&in_place, gradient, rate, own) == CBP_OK);
        CHECK(same_all(own, params, 4));
    }
    free(work);
}

/* Each loss at a residual on either side of its scale, by its formula. */
static void test_losses(void)
{
    const cbp_real params[] = {1, 0}, scale = R(0.5);
    const unsigned char identity[] = {CBP_IDENTITY}, logistic[] = {CBP_SIGMOID};
    const cbp_chain line = {params, identity, NULL, 1}, neuron = {params, logistic, NULL, 1};
    for (int i = -8; i <= 8; i++) {
        const cbp_real x = R(0.25 * i), y = 0, target = R(0.25);
        const double r = (double)x, s = (double)scale, a = sigmoid(r), t = 0.25;
        const double expected[] = {r * r, 0, fabs(r) <= s ? r * r : 2 * s * fabs(r) - s * s,
                                   2 * s * s * (sqrt(1 + r * r / s / s) - 1),
                                   s * s * log(1 + r * r / s / s)};
        for (int kind = 0; kind < CBP_LOSS_END; kind++) {
            cbp_real value;
            if (!takes_any_target(kind)) {
                const double both = -t * log(a) - (1 - t) * log(1 - a),
                             count = 2 * (t * log(t / a) - t + a),
                             part = 2 * (t * log(t / a) + (1 - t) * log((1 - t) / (1 - a))),
                             ratio = log(a / t);
                /* of a scale of 0: the power of a is 1, the transform is the logarithm */
                const double of_kind = kind == CBP_LOG_LOSS   ? both
                                       : kind == CBP_POISSON  ? count
                                       : kind == CBP_BINOMIAL ? part
                                       : kind == CBP_POWER    ? (a - t) * (a - t)
                                                              : ratio * ratio;
                CHECK(cbp_loss_mean(&neuron, &(cbp_examples){&x, &target, NULL, 1},
                                    &(cbp_loss){kind, 0}, &value) == CBP_OK);
                CHECK(near((double)value, of_kind, t, 32));
            } else {
                CHECK(cbp_loss_mean(&line, &(cbp_examples){&x, &y, NULL, 1},
                                    &(cbp_loss){kind, scale}, &value) == CBP_OK);
                CLOSE(value, expected[kind]);
            }
        }
    }

    /* Far from the target, where the square of r/s is much larger than 1. */
    for (int sign = -1; sign <= 1; sign += 2) {
        const cbp_real x = R(sign * 1e9), y = 0;
        const double r = 1e9, s = (double)scale;
        const double expected[] = {r * r, 0, 2 * s * r - s * s, 2 * s * r - 2 * s * s,
                                   2 * s * s * log(r / s)};
        for (int kind = 0; kind < CBP_LOSS_END; kind++) {
            cbp_real value;
            if (takes_any_target(kind)) {
                CHECK(cbp_loss_mean(&line, &(cbp_examples){&x, &y, NULL, 1},
                                    &(cbp_loss){kind, scale}, &value) == CBP_OK);
                CHECK(near((double)value, expected[kind], 0, 4));
            }
        }
    }
}

/* Dose 0: log gives -inf, the sigmoid 0 with slope 0, and 0 * inf in the backward pass is 0. */
static void test_dose_zero(void)
{
    const cbp_real params[] = {1, 0, 2, 1, 3, R(0.5)}, doses[] = {0, 1, R(NAN), 2},
                   y[] = {1, 1, 1, 1};
    const unsigned char activations[] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY};
    const cbp_chain chain = {params, activations, NULL, 3};
    cbp_real rows[24];
    cbp_real *work = numbers(cbp_work_len(3, 4));
    CHECK(cbp_gradients(&chain, &(cbp_examples){doses, y, NULL, 4}, NULL, work, rows) == CBP_OK);
    for (int k = 0; k < 4; k++) {
        CHECK(rows[k] == 0);
    }
    CHECK(rows[5] == -1);
    for (int k = 0; k < 6; k++) {
        CHECK(isfinite(rows[k]) && isfinite(rows[6 + k]) && isnan(rows[12 + k]) &&
              isfinite(rows[18 + k]));
    }
    free(work);
}

/* ---- sums ------------------------------------------------------------------------------------ */

enum { MANY = 3 * CBP_BLOCK + 77, DEPTH = 3, SUMS = 2 * DEPTH + 2 };

static const cbp_real deep_params[] = {R(0.7), R(-0.2), R(1.3), R(0.4), R(-0.9), R(0.1)};
static const unsigned char deep_activations[] = {CBP_TANH, CBP_SOFTPLUS, CBP_SIGMOID};
static const cbp_chain deep = {deep_params, deep_activations, NULL, DEPTH};
static cbp_real many_x[MANY], many_y[MANY], many_weight[MANY];

static void fill_many(void)
{
    check_state = 7;
    for (size_t i = 0; i < MANY; i++) {
        many_x[i] = R(random_between(-3, 3));
        many_y[i] = R(random_between(0, 1));
        many_weight[i] = R(random_between(0, 2));
    }
}

/* Those from `start` up to `end`, or to the last; `weight` is many_weight or null. */
static cbp_examples some_of_many(size_t start, size_t end, const cbp_real *weight)
{
    return (cbp_examples){many_x + start, many_y + start, weight ? weight + start : NULL,
                          (end < MANY ? end : MANY) - start};
}

static void test_cuts(const cbp_real *weight)
{
    const cbp_examples all = some_of_many(0, MANY, weight);
    cbp_real *work = numbers(cbp_work_len(DEPTH, MANY));
    cbp_real whole[SUMS] = {0}, whole_compensation[SUMS] = {0};
    CHECK(cbp_gradient_sums(&deep, &all, &squared, work, whole, whole_compensation) == CBP_OK);

    for (size_t blocks = 1; blocks <= 3; blocks++) {
        cbp_real sums[SUMS] = {0}, compensation[SUMS] = {0}, loss_sums[2] = {0},
                 loss_compensation[2] = {0};
        for (size_t start = 0; start < MANY; start += blocks * CBP_BLOCK) {
            const cbp_examples some = some_of_many(start, start + blocks * CBP_BLOCK, weight);
            CHECK(cbp_gradient_sums(&deep, &some, &squared, work, sums, compensation) == CBP_OK);
            CHECK(cbp_loss_sums(&deep, &some, &squared, loss_sums, loss_compensation) == CBP_OK);
        }
        CHECK(same_all(sums, whole, SUMS) && same_all(compensation, whole_compensation, SUMS));
        CHECK(same_all(loss_sums, whole, 2) && same_all(loss_compensation, whole_compensation, 2));
    }

    /* Single blocks, each from 0, merged in order. */
    cbp_real sums[SUMS] = {0}, compensation[SUMS] = {0};
    for (size_t start = 0; start < MANY; start += CBP_BLOCK) {
        const cbp_examples block = some_of_many(start, start + CBP_BLOCK, weight);
        cbp_real shard[SUMS] = {0}, shard_compensation[SUMS] = {0};
        CHECK(cbp_gradient_sums(&deep, &block, &squared, work, shard, shard_compensation) ==
              CBP_OK);
        CHECK(cbp_sums_merge(shard, shard_compensation, SUMS, sums, compensation) == CBP_OK);
    }
    CHECK(same_all(sums, whole, SUMS) && same_all(compensation, whole_compensation, SUMS));

    /* The mean of the sums is what the averages return; `mean` may be `sums`. */
    cbp_real mean[SUMS - 1], loss, gradient[2 * DEPTH], only_loss;
    CHECK(cbp_sums_mean(whole, whole_compensation, SUMS, mean) == CBP_OK);
    CHECK(cbp_gradient(&deep, &all, &squared, work, &loss, gradient) == CBP_OK);
    CHECK(cbp_loss_mean(&deep, &all, &squared, &only_loss) == CBP_OK);
    CHECK(same(mean[0], loss) && same(loss, only_loss) && same_all(mean + 1, gradient, 2 * DEPTH));
    CHECK(cbp_sums_mean(whole, whole_compensation, SUMS, whole) == CBP_OK);
    CHECK(same_all(whole, mean, SUMS - 1));
    free(work);
}

/* Against the sum of the rows in long double: compensation leaves only the rounding of the rows and
 * of one block. */
static void test_sums_value(void)
{
    cbp_real *work = numbers(cbp_work_len(DEPTH, MANY)), *rows = numbers((size_t)MANY * 2 * DEPTH);
    cbp_real sums[SUMS] = {0}, compensation[SUMS] = {0};
    const cbp_examples all = {many_x, many_y, many_weight, MANY};
    CHECK(cbp_gradient_sums(&deep, &all, &squared, work, sums, compensation) == CBP_OK);
    CHECK(cbp_gradients(&deep, &all, &squared, work, rows) == CBP_OK);
    long double weight = 0, size;
    for (size_t i = 0; i < MANY; i++) {
        weight += (long double)many_weight[i];
    }
    CHECK(near((double)sums[0], (double)weight, 0, 64));
    for (size_t k = 0; k < 2 * DEPTH; k++) {
        long double total = 0;
        size = 0;
        for (size_t i = 0; i < MANY; i++) {
            const long double term =
                (long double)many_weight[i] * (long double)rows[i * 2 * DEPTH + k];
            total += term;
            size += term < 0 ? -term : term;
        }
        CHECK(near((double)sums[k + 2], (double)total, (double)size, 16));
    }
    free(work);
    free(rows);
}

/* The sums of one example are its row. */
static void test_sums_of_one_example(void)
{
    for (size_t layers = 1; layers <= 40; layers += 13) {
        cbp_real *params = numbers(2 * layers), *sums = numbers(2 * layers + 2),
                 *compensation = numbers(2 * layers + 2), *row = numbers(2 * layers);
        unsigned char activations[40];
        const cbp_chain chain = {params, activations, NULL, layers};
        const cbp_examples one = {inputs, targets, NULL, 1};
        cbp_real *work = numbers(cbp_work_len(layers, 1)), *many = numbers(cbp_work_len(layers, 2));
        memset(activations, CBP_TANH, sizeof activations);
        for (size_t k = 0; k < 2 * layers; k++) {
            params[k] = R(0.5 + 0.25 * (double)(k % 3));
        }
        for (size_t k = 0; k < 2 * layers + 2; k++) {
            sums[k] = compensation[k] = 0;
        }
        CHECK(cbp_gradients(&chain, &one, &squared, work, row) == CBP_OK);
        CHECK(cbp_gradient_sums(&chain, &one, &squared, many, sums, compensation) == CBP_OK);
        CHECK(sums[0] == 1);
        for (size_t k = 0; k < 2 * layers; k++) {
            CHECK(sums[k + 2] == row[k] && compensation[k + 2] == 0);
        }
        free(params);
        free(sums);
        free(compensation);
        free(row);
        free(work);
        free(many);
    }
}

/* ---- aliases the header allows, sizes -------------------------------------------------------- */

static void test_aliases(void)
{
    cbp_real *work = numbers(cbp_work_len(2, 3));
    for (size_t n = 1; n <= 3; n += 2) {
        cbp_real params[4], gradient[4], out[3], own[3];
        const cbp_chain own_chain = {params, network_activations, NULL, 2};
        const cbp_examples some = {inputs, targets, NULL, n};
        memcpy(params, network_params, sizeof params);
        CHECK(cbp_gradient(&network, &some, &squared, work, NULL, gradient) == CBP_OK);
        CHECK(cbp_gradient(&own_chain, &some, &squared, work, NULL, params) == CBP_OK);
        CHECK(same_all(params, gradient, 4));

        memcpy(own, inputs, sizeof own);
        CHECK(cbp_forward(&network, inputs, n, out) == CBP_OK &&
              cbp_forward(&network, own, n, own) == CBP_OK);
        CHECK(same_all(own, out, n));
        memcpy(own, inputs, sizeof own);
        CHECK(cbp_slope(&network, inputs, n, out) == CBP_OK &&
              cbp_slope(&network, own, n, own) == CBP_OK);
        CHECK(same_all(own, out, n));
        memcpy(own, targets, sizeof own);
        CHECK(cbp_inverse(&network, targets, n, out) == CBP_OK &&
              cbp_inverse(&network, own, n, own) == CBP_OK);
        CHECK(same_all(own, out, n));
    }
    free(work);
}

/* Work memory depends on the depth alone, and one example of a shallow chain needs none. */
static void test_work_len(void)
{
    for (size_t layers = 1; layers <= 100000; layers = layers * 3 + 1) {
        CHECK(cbp_work_len(layers, 1) == (layers <= 32 ? 0 : 6 * layers));
        CHECK(cbp_work_len(layers, 2) == cbp_work_len(layers, 10000000));
        CHECK(cbp_work_len(layers, 2) > 0 && cbp_work_len(layers, 2) <= 300 * layers + 400);
        /* where memory can address that many, as cbp_hessian asks */
        CHECK(layers > SIZE_MAX / 4096 / layers ||
              cbp_hessian_work_len(layers) >= 4 * layers * layers);
    }
}

/* One example of a shallow chain: no memory gives what any memory gives. */
static void test_without_memory(void)
{
    const cbp_examples one = {inputs, targets, NULL, 1};
    cbp_real work[100], with[4], without[4], mean_with, mean_without;
    CHECK(cbp_jacobian(&network, inputs, 1, work, with) == CBP_OK);
    CHECK(cbp_jacobian(&network, inputs, 1, NULL, without) == CBP_OK && same_all(with, without, 4));
    CHECK(cbp_gradients(&network, &one, &squared, work, with) == CBP_OK);
    CHECK(cbp_gradients(&network, &one, &squared, NULL, without) == CBP_OK);
    CHECK(same_all(with, without, 4));
    CHECK(cbp_gradient(&network, &one, &squared, work, &mean_with, with) == CBP_OK);
    CHECK(cbp_gradient(&network, &one, &squared, NULL, &mean_without, without) == CBP_OK);
    CHECK(same_all(with, without, 4) && same(mean_with, mean_without));
    CHECK(cbp_step(&network, &one, R(0.5), work, with, &mean_with) == CBP_OK);
    CHECK(cbp_step(&network, &one, R(0.5), NULL, without, &mean_without) == CBP_OK);
    CHECK(same_all(with, without, 4) && same(mean_with, mean_without));
}

/* A chain as deep as anyone asked for, alone and in a batch. */
static void test_deep(void)
{
    const size_t layers = 100000;
    cbp_real *params = numbers(2 * layers), *gradient = numbers(2 * layers),
             *work = numbers(cbp_work_len(layers, 2));
    unsigned char *activations = malloc(layers);
    if (!activations) {
        exit(2);
    }
    const cbp_chain chain = {params, activations, NULL, layers};
    memset(activations, CBP_TANH, layers);
    for (size_t l = 0; l < layers; l++) {
        params[2 * l] = R(1.1);
        params[2 * l + 1] = R(0.01);
    }
    for (size_t n = 1; n <= 2; n++) {
        CHECK(cbp_gradient(&chain, &(cbp_examples){inputs, targets, NULL, n}, &squared, work, NULL,
                           gradient) == CBP_OK);
        CHECK(isfinite(gradient[0]) && isfinite(gradient[2 * layers - 1]) &&
              gradient[2 * layers - 1] != 0);
    }
    free(params);
    free(gradient);
    free(work);
    free(activations);
}

/* ---- ends of domains and ranges -------------------------------------------------------------- */

static void check_values(int activation, double z, int is_defined)
{
    cbp_real at[3] = {R(z), R(z), R(z)}, value[3], slope[3], second[3];
    CHECK(cbp_activation_values(activation, at, 3, value, slope, second) == CBP_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(isnan(value[i]) == !is_defined &&
              (is_defined || (isnan(slope[i]) && isnan(second[i]))));
    }
}

/* act^-1(y), alone and among others. */
static cbp_real inverse_at(int activation, double y)
{
    const unsigned char code[] = {(unsigned char)activation};
    const cbp_real as_is[] = {1, 0}, at[3] = {R(y), R(y), R(y)};
    const cbp_chain chain = {as_is, code, NULL, 1};
    cbp_real alone, among[3];
    CHECK(cbp_inverse(&chain, at, 1, &alone) == CBP_OK);
    CHECK(cbp_inverse(&chain, at, 3, among) == CBP_OK);
    CHECK(same(alone, among[0]) && same(alone, among[1]) && same(alone, among[2]));
    return alone;
}

/* Value, slope and second derivative at 0, of either sign. */
static void test_at_zero(void)
{
    /* 1/sqrt(2 pi) */
    const double inf = INFINITY, ln2 = 0.6931471805599453, peak = 0.3989422804014327;
    const double known[CBP_ACTIVATION_END][3] = {
        {0, 1, 0},        {0.5, 0.25, 0},   {0, 1, 0},      {0, 0, 0},          {0, 0.01, 0},
        {0, 1, 1},        {ln2, 0.5, 0.25}, {0, 0.5, 0.5},  {0, 0.5, 2 * peak}, {0, 1, 0},
        {0, 1, 0},        {1, 1, 1},        {0, 1, 1},      {-inf, inf, -inf},  {0, 1, -1},
        {inf, -inf, inf}, {0, 0, 2},        {0, inf, -inf}, {1, 0, -1},         {-ln2, 0.5, -0.25},
        {0.5, peak, 0},   {0, 1, 0}};
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            const cbp_real z = R(copysign(0, sign)),
                           factor = activation == CBP_RECIPROCAL ? R(sign) : 1;
            cbp_real jet[3];
            CHECK(cbp_activation_values(activation, &z, 1, jet, jet + 1, jet + 2) == CBP_OK);
            for (int k = 0; k < 3; k++) {
                CHECK(
                    near((double)(k == 1 ? jet[k] : factor * jet[k]), known[activation][k], 0, 4));
            }
        }
    }
}

/* NaN for NaN and outside of the domain; an inverse takes ends of the range to ends of the domain,
 * and is NaN beyond. */
static void test_ends(void)
{
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        cbp_activation_facts facts;
        CHECK(cbp_activation_describe(activation, &facts) == CBP_OK);
        const double domain[] = {(double)facts.domain_low, (double)facts.domain_high};
        const double range[] = {(double)facts.range_low, (double)facts.range_high};
        check_values(activation, NAN, 0);
        check_values(activation, 0.5, 1);
        if (isfinite(domain[0])) {
            check_values(activation, domain[0] - 0.5, 0);
            check_values(activation, -INFINITY, 0);
        }
        if (!facts.one_to_one) {
            continue;
        }
        CHECK(isnan(inverse_at(activation, NAN)));
        for (int end = 0; end < 2; end++) {
            if (activation != CBP_ARCTAN && activation != CBP_RECIPROCAL) { /* see below */
                CHECK(inverse_at(activation, range[end]) == R(domain[end]));
            }
            if (isfinite(range[end])) {
                CHECK(isnan(inverse_at(activation, range[end] + (end ? 0.5 : -0.5))));
            }
        }
        for (int i = 1; i < 8; i++) {
            const double z = domain[0] == -INFINITY ? (i - 4) / 2.0 + 0.125 : domain[0] + i / 4.0;
            const cbp_real at = R(z);
            cbp_real value;
            CHECK(cbp_activation_values(activation, &at, 1, &value, NULL, NULL) == CBP_OK);
            CHECK(near((double)inverse_at(activation, (double)value), z, 1, 64));
        }
    }
    /* for large z the sum with 1 is rounded to z */
    for (int exponent = 60; exponent < (sizeof(cbp_real) == 4 ? 128 : 1024); exponent++) {
        const cbp_real z = R(ldexp(1.25, exponent));
        cbp_real plain, with_one;
        CHECK(cbp_activation_values(CBP_LOG, &z, 1, &plain, NULL, NULL) == CBP_OK);
        CHECK(cbp_activation_values(CBP_LOG1P, &z, 1, &with_one, NULL, NULL) == CBP_OK);
        CHECK(near((double)with_one, log((double)z), 0, 4) &&
              near((double)plain, log((double)z), 0, 4));
    }
    CHECK((double)inverse_at(CBP_RECIPROCAL, 0) == INFINITY &&
          inverse_at(CBP_RECIPROCAL, INFINITY) == 0);
    CHECK(fabs((double)inverse_at(CBP_ARCTAN, 1.5707963267948966)) > 0.25 / EPSILON);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* One set of arguments that every function accepts. A case spoils one of them. */
typedef struct arguments {
    cbp_chain chain;
    cbp_examples examples;
    cbp_loss loss;
    cbp_real learning_rate;
    int no_chain, no_examples, no_loss, no_work, no_output, no_second_output;
} arguments;

enum { OUTPUTS = 6, OUTPUT_LEN = 64 };
static cbp_real outputs[OUTPUTS][OUTPUT_LEN], *call_work, *call_hessian_work;

typedef int (*call)(const arguments *with);

static cbp_real *output(const arguments *with, int k)
{
    return (k == 0 && with->no_output) || (k == 1 && with->no_second_output) ? NULL : outputs[k];
}

#define CHAIN(w) ((w)->no_chain ? NULL : &(w)->chain)
#define EXAMPLES(w) ((w)->no_examples ? NULL : &(w)->examples)
#define LOSS(w) ((w)->no_loss ? NULL : &(w)->loss)
#define WORK(w) ((w)->no_work ? NULL : call_work)
#define HESSIAN_WORK(w) ((w)->no_work ? NULL : call_hessian_work)

static int call_forward(const arguments *w)
{
    return cbp_forward(CHAIN(w), w->examples.x, w->examples.n, output(w, 0));
}

static int call_slope(const arguments *w)
{
    return cbp_slope(CHAIN(w), w->examples.x, w->examples.n, output(w, 0));
}

static int call_inverse(const arguments *w)
{
    return cbp_inverse(CHAIN(w), w->examples.x, w->examples.n, output(w, 0));
}

static int call_jacobian(const arguments *w)
{
    return cbp_jacobian(CHAIN(w), w->examples.x, w->examples.n, WORK(w), output(w, 0));
}

static int call_gradients(const arguments *w)
{
    return cbp_gradients(CHAIN(w), EXAMPLES(w), LOSS(w), WORK(w), output(w, 0));
}

static int call_gradient_sums(const arguments *w)
{
    return cbp_gradient_sums(CHAIN(w), EXAMPLES(w), LOSS(w), WORK(w), output(w, 0), output(w, 1));
}

static int call_loss_sums(const arguments *w)
{
    return cbp_loss_sums(CHAIN(w), EXAMPLES(w), LOSS(w), output(w, 0), output(w, 1));
}

static int call_loss_mean(const arguments *w)
{
    return cbp_loss_mean(CHAIN(w), EXAMPLES(w), LOSS(w), output(w, 0));
}

static int call_gradient(const arguments *w)
{
    return cbp_gradient(CHAIN(w), EXAMPLES(w), LOSS(w), WORK(w), outputs[2], output(w, 0));
}

static int call_hessian(const arguments *w)
{
    return cbp_hessian(CHAIN(w), EXAMPLES(w), LOSS(w), HESSIAN_WORK(w), output(w, 0));
}

static int call_hessian_sums(const arguments *w)
{
    return cbp_hessian_sums(CHAIN(w), EXAMPLES(w), LOSS(w), HESSIAN_WORK(w), output(w, 0),
                            output(w, 1));
}

static int call_sharpness(const arguments *w)
{
    static const cbp_real hessian[16] = {2, 0, 0, 0, 0, 1};
    return cbp_sharpness(CHAIN(w), hessian, HESSIAN_WORK(w), output(w, 0));
}

static int call_trace(const arguments *w)
{
    const cbp_real *x = w->examples.x, *y = w->examples.y;
    const cbp_record record = {outputs[2], outputs[3], outputs[4], outputs[5], output(w, 1)};
    return cbp_trace(CHAIN(w), x ? *x : 0, y ? *y : 0, LOSS(w), &record, output(w, 0));
}

/* Also in place, which ends in the same way and leaves the parameters alone if it fails. */
static int call_step(const arguments *w)
{
    const int status =
        cbp_step(CHAIN(w), EXAMPLES(w), w->learning_rate, WORK(w), output(w, 0), outputs[1]);
    if (!w->no_chain && w->chain.params && !w->no_output) {
        cbp_real params[4], mean;
        cbp_chain own = w->chain;
        own.params = memcpy(params, w->chain.params, sizeof params);
        CHECK(cbp_step(&own, EXAMPLES(w), w->learning_rate, WORK(w), params, &mean) == status);
        CHECK(same_all(params, status == CBP_OK ? outputs[0] : w->chain.params, 4));
    }
    return status;
}

static int call_step_along(const arguments *w)
{
    static const cbp_real gradient[] = {1, -2, 3, R(0.5)};
    return cbp_step_along(CHAIN(w), gradient, w->learning_rate, output(w, 0));
}

/* What a function reads, and so can refuse. */
enum {
    READS_X = 1,
    READS_Y = 2,
    READS_LOSS = 4,
    READS_WEIGHT = 8,
    AVERAGES = 16,
    READS_WORK = 32,
    WRITES_TWO = 64,
    WRITES = 128,
    SUMS_ONLY = 256,
    STEPS = 512,
    READS_FROZEN = 1024
};

static const struct {
    const char *name;
    call function;
    int traits;
} functions[] = {
    {"forward", call_forward, READS_X | WRITES},
    {"slope", call_slope, READS_X | WRITES},
    {"inverse", call_inverse, READS_X | WRITES},
    {"jacobian", call_jacobian, READS_X | READS_WORK | WRITES},
    {"gradients", call_gradients, READS_X | READS_Y | READS_LOSS | READS_WORK | WRITES},
    {"gradient_sums", call_gradient_sums,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | READS_WORK | WRITES_TWO | WRITES |
         SUMS_ONLY},
    {"loss_sums", call_loss_sums,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | WRITES_TWO | WRITES | SUMS_ONLY},
    {"loss_mean", call_loss_mean,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | WRITES},
    {"gradient", call_gradient,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | READS_WORK | WRITES},
    {"hessian", call_hessian,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | READS_WORK | WRITES},
    {"hessian_sums", call_hessian_sums,
     READS_X | READS_Y | READS_LOSS | READS_WEIGHT | AVERAGES | READS_WORK | WRITES_TWO | WRITES |
         SUMS_ONLY},
    {"sharpness", call_sharpness, READS_WORK | WRITES | READS_FROZEN},
    {"trace", call_trace, READS_LOSS | WRITES_TWO | WRITES},
    {"step_along", call_step_along, WRITES | STEPS | READS_FROZEN},
    {"step", call_step,
     READS_X | READS_Y | READS_WEIGHT | AVERAGES | READS_WORK | WRITES | STEPS | READS_FROZEN},
};
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* Every function with all of `traits` must answer with `status` and leave every output as it
 * was. */
static void refuse(const char *what, int traits, const arguments *with, int status)
{
    for (size_t f = 0; f < FUNCTIONS; f++) {
        if ((functions[f].traits & traits) != traits) {
            continue;
        }
        for (int k = 0; k < OUTPUTS; k++) {
            for (int i = 0; i < OUTPUT_LEN; i++) {
                outputs[k][i] = R(100 * k + i);
            }
        }
        const int got = functions[f].function(with);
        int untouched = 1;
        for (int k = 0; k < OUTPUTS; k++) {
            for (int i = 0; i < OUTPUT_LEN; i++) {
                untouched = untouched && outputs[k][i] == R(100 * k + i);
            }
        }
        if (!CHECK(got == status) || !CHECK(untouched)) {
            fprintf(stderr, "    cbp_%s, %s: status %d, expected %d\n", functions[f].name, what,
                    got, status);
        }
    }
}

static const arguments good = {.chain = {network_params, network_activations, NULL, 2},
                               .examples = {inputs, targets, NULL, 3},
                               .loss = {CBP_SQUARED, 1},
                               .learning_rate = R(0.1)};

/* The case's own name for itself, its change to the good arguments, who refuses it, and how. */
#define REFUSED(traits, status, change)         \
    do {                                        \
        arguments with = good;                  \
        change;                                 \
        refuse(#change, traits, &with, status); \
    } while (0)

static void test_refusals(void)
{
    const unsigned char unknown[] = {CBP_SIGMOID, CBP_ACTIVATION_END}, top[] = {255, CBP_SIGMOID};
    const unsigned char open_end[] = {CBP_SIGMOID, CBP_IDENTITY};
    const cbp_real above[] = {0, 1, R(1.5)}, below[] = {0, 1, R(-0.5)};
    const cbp_real endless[] = {0, 1, R(INFINITY)};
    const cbp_real bad_weights[][3] = {{1, 1, -1}, {R(NAN), 1, 1}, {1, R(INFINITY), 1}};
    const cbp_real no_weights[] = {0, 0, 0}, bad_scales[] = {0, -1, R(NAN), R(INFINITY)};
    const cbp_real bad_rates[] = {R(NAN), R(INFINITY), R(-INFINITY)};

    /* The good arguments are good, or every refusal below means nothing. */
    for (size_t f = 0; f < FUNCTIONS; f++) {
        CHECK(functions[f].function(&good) == CBP_OK);
    }

    for (size_t n = 1; n <= 3; n += 2) {
        REFUSED(0, CBP_ERROR_NULL, with.no_chain = 1; with.examples.n = n);
        REFUSED(READS_Y, CBP_ERROR_NULL, with.no_examples = 1; with.examples.n = n);
        REFUSED(0, CBP_ERROR_NULL, with.chain.params = NULL; with.examples.n = n);
        REFUSED(0, CBP_ERROR_NULL, with.chain.activations = NULL; with.examples.n = n);
        REFUSED(READS_X, CBP_ERROR_NULL, with.examples.x = NULL; with.examples.n = n);
        REFUSED(READS_Y, CBP_ERROR_NULL, with.examples.y = NULL; with.examples.n = n);
        REFUSED(WRITES, CBP_ERROR_NULL, with.no_output = 1; with.examples.n = n);
        REFUSED(WRITES_TWO, CBP_ERROR_NULL, with.no_second_output = 1; with.examples.n = n);
        REFUSED(0, CBP_ERROR_LAYERS, with.chain.layers = 0; with.examples.n = n);
        REFUSED(0, CBP_ERROR_LAYERS, with.chain.layers = SIZE_MAX; with.examples.n = n);
        REFUSED(0, CBP_ERROR_LAYERS, with.chain.layers = SIZE_MAX / 2 + 1; with.examples.n = n);
        REFUSED(0, CBP_ERROR_ACTIVATION, with.chain.activations = unknown; with.examples.n = n);
        REFUSED(0, CBP_ERROR_ACTIVATION, with.chain.activations = top; with.examples.n = n);
        REFUSED(READS_LOSS, CBP_ERROR_LOSS, with.loss.kind = -1; with.examples.n = n);
        REFUSED(READS_LOSS, CBP_ERROR_LOSS, with.loss.kind = CBP_LOSS_END; with.examples.n = n);
        REFUSED(READS_LOSS, CBP_ERROR_NO_SIGMOID, with.loss.kind = CBP_LOG_LOSS;
                with.chain.activations = open_end; with.examples.n = n);
        /* the last target of n is the bad one */
        const int reads_all = n > 1 ? READS_LOSS | READS_Y : READS_LOSS;
        REFUSED(reads_all, CBP_ERROR_TARGET, with.loss.kind = CBP_LOG_LOSS;
                with.examples.y = above + 3 - n; with.examples.n = n);
        REFUSED(reads_all, CBP_ERROR_TARGET, with.loss.kind = CBP_LOG_LOSS;
                with.examples.y = below + 3 - n; with.examples.n = n);
        REFUSED(READS_WEIGHT, CBP_ERROR_WEIGHT, with.examples.weight = bad_weights[0] + 3 - n;
                with.examples.n = n);
        REFUSED(READS_WEIGHT, CBP_ERROR_WEIGHT, with.examples.weight = bad_weights[1];
                with.examples.n = n);
        REFUSED(reads_all, CBP_ERROR_TARGET, with.loss.kind = CBP_POISSON;
                with.examples.y = below + 3 - n; with.examples.n = n);
        REFUSED(reads_all, CBP_ERROR_TARGET, with.loss.kind = CBP_POISSON;
                with.examples.y = endless + 3 - n; with.examples.n = n);
        for (int kind = CBP_HUBER; kind <= CBP_CAUCHY; kind++) {
            for (int i = 0; i < 4; i++) {
                REFUSED(READS_LOSS, CBP_ERROR_SCALE, with.loss.kind = kind;
                        with.loss.scale = bad_scales[i]; with.examples.n = n);
            }
        }
        for (int i = 0; i < 3; i++) {
            REFUSED(STEPS, CBP_ERROR_LEARNING_RATE, with.learning_rate = bad_rates[i];
                    with.examples.n = n);
        }
    }
    REFUSED(READS_WEIGHT, CBP_ERROR_WEIGHT, with.examples.weight = bad_weights[2]);
    REFUSED(READS_WORK, CBP_ERROR_NULL, with.no_work = 1);
    REFUSED(AVERAGES, CBP_ERROR_EMPTY, with.examples.n = 0);
    REFUSED(AVERAGES, CBP_ERROR_EMPTY, with.examples.n = 0;
            with.examples.x = with.examples.y = NULL);

    /* Weights that are all 0: no mean, but sums that are 0. */
    for (size_t n = 1; n <= 3; n += 2) {
        arguments with = good;
        with.examples.weight = no_weights;
        with.examples.n = n;
        for (size_t f = 0; f < FUNCTIONS; f++) {
            if (functions[f].traits & READS_WEIGHT) {
                memset(outputs, 0, sizeof outputs);
                const int sums = functions[f].traits & SUMS_ONLY;
                CHECK(functions[f].function(&with) == (sums ? CBP_OK : CBP_ERROR_WEIGHT));
                CHECK(outputs[0][0] == 0 && outputs[0][1] == 0 && outputs[0][2] == 0);
            }
        }
    }
}

static void test_refused_inverse(void)
{
    const cbp_real flat[] = {1, 0, 0, 1};
    const cbp_chain flat_chain = {flat, network_activations, NULL, 2};
    cbp_real out[3] = {5, 5, 5};
    CHECK(cbp_inverse(&flat_chain, targets, 3, out) == CBP_ERROR_NOT_INVERTIBLE);
    CHECK(cbp_inverse(&flat_chain, targets, 1, out) == CBP_ERROR_NOT_INVERTIBLE);
    CHECK(cbp_inverse(&flat_chain, NULL, 0, NULL) == CBP_ERROR_NOT_INVERTIBLE);
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        cbp_activation_facts facts;
        const unsigned char codes[] = {CBP_SIGMOID, (unsigned char)activation};
        CHECK(cbp_activation_describe(activation, &facts) == CBP_OK);
        if (!facts.one_to_one) {
            CHECK(cbp_inverse(&(cbp_chain){network_params, codes, NULL, 2}, targets, 3, out) ==
                  CBP_ERROR_NOT_INVERTIBLE);
        }
    }
    CHECK(out[0] == 5 && out[1] == 5 && out[2] == 5);
    /* Out of range is no failure: NaN in that lane. */
    const cbp_real y[] = {R(0.5), 2, R(-0.1)};
    CHECK(cbp_inverse(&network, y, 3, out) == CBP_OK);
    CHECK(isnan(out[1]) && isnan(out[2]));
}

/* A step that would lead out of the finite numbers is not made. */
static void test_refused_step(void)
{
    const unsigned char square[] = {CBP_SQUARE, CBP_SQUARE};
    const cbp_real huge[] = {R(1e30), R(-1e30), R(1e25)}, has_nan[] = {R(NAN), 1, 1};
    const cbp_real before[] = {R(1e30), 0, R(1e30), 0};
    cbp_real *work = numbers(cbp_work_len(2, 3));
    for (size_t n = 1; n <= 3; n += 2) {
        cbp_real params[] = {R(1e30), 0, R(1e30), 0}, mean = 5;
        const cbp_chain squares = {params, square, NULL, 2},
                        sigmoids = {params, network_activations, NULL, 2};
        CHECK(cbp_step(&squares, &(cbp_examples){huge, targets, NULL, n}, R(1e30), work, params,
                       &mean) == CBP_ERROR_NOT_FINITE);
        CHECK(same_all(params, before, 4) && mean == 5);
        CHECK(cbp_step(&sigmoids, &(cbp_examples){has_nan, targets, NULL, n}, 1, work, params,
                       &mean) == CBP_ERROR_NOT_FINITE);
        CHECK(same_all(params, before, 4) && mean == 5);
        CHECK(cbp_step_along(&squares, NULL, 1, params) == CBP_ERROR_NULL);
        CHECK(same_all(params, before, 4));
    }
    free(work);
}

/* Maps of no example are no error, and read and write nothing. */
static void test_no_example(void)
{
    CHECK(cbp_forward(&network, NULL, 0, NULL) == CBP_OK);
    CHECK(cbp_slope(&network, NULL, 0, NULL) == CBP_OK);
    CHECK(cbp_inverse(&network, NULL, 0, NULL) == CBP_OK);
    CHECK(cbp_jacobian(&network, NULL, 0, NULL, NULL) == CBP_OK);
    CHECK(cbp_gradients(&network, &(cbp_examples){0}, &squared, NULL, NULL) == CBP_OK);
    CHECK(cbp_sums_merge(targets, targets, 0, call_work, call_work) == CBP_OK);
}

static void test_refused_sums(void)
{
    cbp_real sums[] = {2, 3, 4}, compensation[] = {0, 0, 0}, mean[] = {5, 5};
    const cbp_real least[] = {CBP_LEAST_WEIGHT, 0, CBP_LEAST_WEIGHT};
    const cbp_real nothing[] = {0, 1, 1}, little[] = {CBP_LEAST_WEIGHT / 2, 1, 1};
    const cbp_real not_a_number[] = {R(NAN), 1, 1}, endless[] = {R(INFINITY), 1, 1};
    CHECK(cbp_sums_merge(NULL, compensation, 3, sums, compensation) == CBP_ERROR_NULL);
    CHECK(cbp_sums_merge(sums, NULL, 3, sums, compensation) == CBP_ERROR_NULL);
    CHECK(cbp_sums_merge(sums, compensation, 3, NULL, compensation) == CBP_ERROR_NULL);
    CHECK(cbp_sums_merge(sums, compensation, 3, sums, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_sums_mean(NULL, compensation, 3, mean) == CBP_ERROR_NULL);
    CHECK(cbp_sums_mean(sums, NULL, 3, mean) == CBP_ERROR_NULL);
    CHECK(cbp_sums_mean(sums, compensation, 3, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_sums_mean(nothing, compensation, 3, mean) == CBP_ERROR_WEIGHT);
    CHECK(cbp_sums_mean(little, compensation, 3, mean) == CBP_ERROR_WEIGHT);
    CHECK(cbp_sums_mean(not_a_number, compensation, 3, mean) == CBP_ERROR_WEIGHT);
    CHECK(cbp_sums_mean(endless, compensation, 3, mean) == CBP_ERROR_WEIGHT);
    CHECK(mean[0] == 5 && mean[1] == 5 && sums[0] == 2 && compensation[0] == 0);
    CHECK(cbp_sums_mean(sums, compensation, 3, mean) == CBP_OK);
    CHECK(mean[0] == R(1.5) && mean[1] == 2);
    CHECK(cbp_sums_mean(least, compensation, 3, mean) == CBP_OK);
    CHECK(mean[0] == 0 && mean[1] == 1);
}

/* Each pointer of a trace is required, and the record itself. */
static void test_refused_trace(void)
{
    cbp_real kept[6][4];
    for (int missing = 0; missing < 7; missing++) {
        cbp_real *to[6];
        for (int k = 0; k < 6; k++) {
            kept[k][0] = 5;
            to[k] = k == missing ? NULL : kept[k];
        }
        const cbp_record record = {to[0], to[1], to[2], to[3], to[4]};
        CHECK(cbp_trace(&network, 1, 0, &squared, missing == 6 ? NULL : &record, to[5]) ==
              CBP_ERROR_NULL);
        for (int k = 0; k < 6; k++) {
            CHECK(kept[k][0] == 5);
        }
    }
}

/* Frozen parameters matter to steps and fits alone, and weights to averages alone; no loss is the
 * squared one. */
static void test_not_read(void)
{
    const unsigned char frozen[] = {1, 1, 1, 1};
    const cbp_real wrong[] = {R(NAN), -1, R(INFINITY)};
    for (size_t f = 0; f < FUNCTIONS; f++) {
        cbp_real expected[OUTPUTS][OUTPUT_LEN];
        for (int variant = 0; variant < 4; variant++) {
            arguments with = good;
            if (variant == 1 && !(functions[f].traits & READS_FROZEN)) {
                with.chain.frozen = frozen;
            }
            if (variant == 2 && !(functions[f].traits & READS_WEIGHT)) {
                with.examples.weight = wrong;
            }
            with.no_loss = variant == 3;
            memset(outputs, 0, sizeof outputs);
            CHECK(functions[f].function(&with) == CBP_OK);
            if (variant == 0) {
                memcpy(expected, outputs, sizeof outputs);
            }
            CHECK(same_all(outputs[0], expected[0], OUTPUTS * OUTPUT_LEN));
        }
    }
}

int main(void)
{
    call_work = numbers(cbp_work_len(2, 3));
    call_hessian_work = numbers(cbp_hessian_work_len(2));
    fill_many();
    test_network_one();
    test_step();
    test_losses();
    test_dose_zero();
    test_cuts(NULL);
    test_cuts(many_weight);
    test_sums_value();
    test_sums_of_one_example();
    test_aliases();
    test_work_len();
    test_without_memory();
    test_deep();
    test_at_zero();
    test_ends();
    test_refusals();
    test_refused_inverse();
    test_refused_step();
    test_no_example();
    test_refused_sums();
    test_refused_trace();
    test_not_read();
    free(call_work);
    free(call_hessian_work);
    return check_done("test_chain");
}
