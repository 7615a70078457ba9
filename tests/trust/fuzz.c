/* Fuzzing of the C core by libFuzzer (tests/trust/fuzz.sh): not only that nothing crashes, but that
 * what cbackprop.h promises holds for any chain and any numbers. All memory is of the exact size,
 * so that a sanitizer sees a step past it. */
#include "cbackprop.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

static void broken(int line, const char *condition)
{
    fprintf(stderr, "fuzz.c:%d: broken promise: %s\n", line, condition);
    abort();
}

/* ---- what the bytes say ---------------------------------------------------------------------- */

static const uint8_t *bytes;
static size_t left;

static unsigned take(void)
{
    if (left == 0) {
        return 0;
    }
    left--;
    return *bytes++;
}

static double take_number(void)
{
    static const double special[] = {0,       -0.0,     1,         -1,       0.5,
                                     2,       INFINITY, -INFINITY, NAN,      4e-324,
                                     -1e-310, DBL_MIN,  DBL_MAX,   -DBL_MAX, DBL_EPSILON,
                                     709.8,   -745.2,   36.8,      1e-8,     1048576};
    const unsigned kind = take();
    if (kind < 40) {
        return special[kind % (sizeof special / sizeof *special)];
    }
    if (kind < 60) {
        uint64_t bits = 0;
        for (int i = 0; i < 8; i++) {
            bits = bits << 8 | take();
        }
        double number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    return ((int)(kind << 8 | take()) - 39000) / 8192.0; /* -2.9 ... 3.2 */
}

static double take_tame(void)
{
    return ((int)(take() << 8 | take()) - 32768) / 8192.0;
}

/* ---- memory, given back at the end of each run ----------------------------------------------- */

static void *given[128];
static size_t gifts;

static void *memory(size_t size)
{
    void *new = malloc(size + (size == 0));
    if (!new || gifts == sizeof given / sizeof *given) {
        exit(3);
    }
    memset(new, 0x5a, size);
    return given[gifts++] = new;
}

static double *numbers(size_t n)
{
    return memory(n * sizeof(double));
}

static double *copy_of(const double *from, size_t n)
{
    return n ? memcpy(numbers(n), from, n * sizeof *from) : numbers(0);
}

/* Whether nothing has been written. */
static int is_untouched(const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)data)[i] != 0x5a) {
            return 0;
        }
    }
    return 1;
}

static int same(double a, double b)
{
    return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}

static int all_same(const double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!same(a[i], b[i])) {
            return 0;
        }
    }
    return 1;
}

static int is_finite(double number)
{
    return number - number == 0;
}

/* ---- a problem ------------------------------------------------------------------------------- */

static const char *const levels[] = {"generic", "avx2", "avx512"};
static const double the_scales[] = {1, 0.125, 1e-300, 1e300, 0, -1, INFINITY, NAN};
static size_t layers, n;
static double *params, *x, *y, *weight;
static cbp_chain chain;       /* of those params */
static cbp_examples examples; /* of those x, y and weight */
static cbp_loss loss;
static int is_tame;

static void take_problem(size_t most_layers, size_t most_examples)
{
    const unsigned how = take();
    is_tame = how & 1;
    (void)cbp_kernel_choose(levels[how / 2 % 4 % 3]);
    layers = 1 + take() % most_layers;
    if (how >= 250) {
        layers = 33 + take() % 4; /* beyond the stack */
    }
    n = take() % (most_examples + 1);
    loss.kind = (int)(take() % 5);
    loss.scale = take() % 8 ? the_scales[0] : the_scales[take() % 8];
    unsigned char *activations = memory(layers);
    params = numbers(2 * layers);
    for (size_t l = 0; l < layers; l++) {
        activations[l] = (unsigned char)(take() % CBP_ACTIVATION_END);
        params[2 * l] = is_tame ? take_tame() : take_number();
        params[2 * l + 1] = is_tame ? take_tame() : take_number();
    }
    if (how == 248) {
        activations[layers - 1] = (unsigned char)take();
        loss.kind = (int)take() - 128;
    }
    if (loss.kind == CBP_LOG_LOSS && how % 16 != 15) {
        activations[layers - 1] = CBP_SIGMOID;
    }
    x = numbers(n);
    y = numbers(n);
    const int has_weight = take() % 3 == 0;
    weight = has_weight ? numbers(n) : NULL;
    chain = (cbp_chain){params, activations, NULL, layers};
    examples = (cbp_examples){x, y, weight, n};
    for (size_t i = 0; i < n; i++) {
        x[i] = is_tame ? take_tame() : take_number();
        y[i] = is_tame ? take_tame() : take_number();
        if (loss.kind == CBP_LOG_LOSS && how % 32 != 31) {
            y[i] = (take() & 15) / 15.0;
        }
        if (weight) {
            weight[i] = is_tame ? take() / 64.0 : fabs(take_number());
        }
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

typedef int mapping(const cbp_chain *, const double *, size_t, double *);

/* Alone, among others, layer by layer, and in place: the same bits. */
static void check_mapping(mapping *map, int is_composed)
{
    double *out = numbers(n), one, *place = copy_of(x, n);
    const int status = map(&chain, x, n, out);
    if (status != CBP_OK) {
        REQUIRE(is_untouched(out, n * sizeof *out));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        REQUIRE(map(&chain, x + i, 1, &one) == CBP_OK);
        REQUIRE(same(one, out[i]));
    }
    REQUIRE(map(&chain, place, n, place) == CBP_OK);
    REQUIRE(all_same(place, out, n));
    if (is_composed) {
        double *step = copy_of(x, n);
        for (size_t l = 0; l < layers; l++) {
            const size_t at = map == cbp_inverse ? layers - 1 - l : l;
            const cbp_chain layer = {params + 2 * at, chain.activations + at, NULL, 1};
            REQUIRE(map(&layer, step, n, step) == CBP_OK);
        }
        REQUIRE(all_same(step, out, n));
    }
}

/* One layer and its inverse, where that is well conditioned: to the errors of both. */
static void check_round_trip(void)
{
    const unsigned char identity = CBP_IDENTITY;
    const cbp_chain line = {params, &identity, NULL, 1};
    /* z as these kernels round it */
    double *out = numbers(n), *back = numbers(n), *zs = numbers(n);
    REQUIRE(cbp_forward(&chain, x, n, out) == CBP_OK);
    REQUIRE(cbp_forward(&line, x, n, zs) == CBP_OK);
    if (cbp_inverse(&chain, out, n, back) != CBP_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double w = params[0], b = params[1], z = zs[i];
        double value, slope, second;
        REQUIRE(cbp_activation_values(chain.activations[0], &z, 1, &value, &slope, &second) ==
                CBP_OK);
        REQUIRE(same(value, out[i]));
        const double error = DBL_EPSILON * (4 * fabs(value / slope) + 4 * fabs(z) + fabs(b));
        const int is_fair = fabs(z) < 1e100 && fabs(x[i]) < 1e100 && fabs(slope) > 1e-100 &&
                            fabs(value) > 1e-100 && fabs(second * error) < 0.01 * fabs(slope) &&
                            fabs(w) > 1e-100 && fabs(w) < 1e100 && fabs(b) < 1e100;
        if (is_fair) {
            REQUIRE(fabs(back[i] - x[i]) <= 2 * error / fabs(w) + 4 * DBL_EPSILON * fabs(x[i]));
        }
    }
}

static void check_passes(void)
{
    take_problem(5, 40);
    check_mapping(cbp_forward, 1);
    check_mapping(cbp_slope, 0);
    check_mapping(cbp_inverse, 1);
    if (layers == 1 && chain.activations[0] < CBP_ACTIVATION_END) {
        check_round_trip();
    }
}

static void check_rows(void)
{
    take_problem(5, 40);
    const size_t width = 2 * layers, area = n * width;
    double *work = numbers(cbp_work_len(layers, n)), *alone = numbers(cbp_work_len(layers, 1));
    double *rows = numbers(area), *row = numbers(width);
    int status = cbp_jacobian(&chain, x, n, work, rows);
    REQUIRE(status == CBP_OK || is_untouched(rows, area * sizeof *rows));
    for (size_t i = 0; status == CBP_OK && i < n; i++) {
        REQUIRE(cbp_jacobian(&chain, x + i, 1, alone, row) == CBP_OK);
        REQUIRE(all_same(row, rows + i * width, width));
    }
    rows = numbers(area);
    status = cbp_gradients(&chain, &examples, &loss, work, rows);
    REQUIRE(status == CBP_OK || is_untouched(rows, area * sizeof *rows));
    double *z = numbers(layers), *a = numbers(layers), *slope = numbers(layers),
           *delta = numbers(layers), value;
    const cbp_record record = {z, a, slope, delta, row};
    for (size_t i = 0; status == CBP_OK && i < n; i++) {
        REQUIRE(cbp_trace(&chain, x[i], y[i], &loss, &record, &value) == CBP_OK);
        REQUIRE(all_same(row, rows + i * width, width));
        REQUIRE(cbp_loss_mean(&chain, &(cbp_examples){x + i, y + i, NULL, 1}, &loss, row) ==
                CBP_OK);
        REQUIRE(same(row[0], value));
    }
}

/* ---- averages -------------------------------------------------------------------------------- */

/* The largest eigenvalue is at least the largest number of the diagonal, and at most the largest
 * sum of magnitudes in a row, but for rounding. */
static void check_sharpness(const double *hessian, size_t width)
{
    double sharpness, low = -INFINITY, high = 0;
    int has_all = 1;
    REQUIRE(cbp_sharpness(&chain, hessian, numbers(width * width), &sharpness) == CBP_OK);
    for (size_t i = 0; i < width; i++) {
        double sum = 0;
        for (size_t j = 0; j < width; j++) {
            sum += fabs(hessian[i * width + j]);
            has_all = has_all && is_finite(hessian[i * width + j]);
        }
        low = fmax(low, hessian[i * width + i]);
        high = fmax(high, sum);
    }
    const double rounding = 64 * (double)width * DBL_EPSILON * high + 1e-300;
    REQUIRE(has_all ? sharpness >= low - rounding && sharpness <= high + rounding
                    : sharpness != sharpness);
}

static void check_averages(void)
{
    take_problem(4, 40);
    const size_t width = 2 * layers;
    double *work = numbers(cbp_work_len(layers, n)), *gradient = numbers(width), mean, only;
    memset(&mean, 0x5a, sizeof mean);
    memset(&only, 0x5a, sizeof only);
    const int status = cbp_gradient(&chain, &examples, &loss, work, &mean, gradient);
    REQUIRE(cbp_loss_mean(&chain, &examples, &loss, &only) == status);
    double *hessian = numbers(width * width);
    REQUIRE(cbp_hessian(&chain, &examples, &loss, numbers(cbp_hessian_work_len(layers)), hessian) ==
            status);
    if (status != CBP_OK) {
        REQUIRE(is_untouched(gradient, width * sizeof *gradient) &&
                is_untouched(&mean, sizeof mean));
        REQUIRE(is_untouched(&only, sizeof only) &&
                is_untouched(hessian, width * width * sizeof *hessian));
        return;
    }
    REQUIRE(same(mean, only));
    REQUIRE(!(mean < 0));
    for (size_t i = 0; i < width; i++) {
        for (size_t j = 0; j < i; j++) {
            REQUIRE(same(hessian[i * width + j], hessian[j * width + i]));
        }
    }
    check_sharpness(hessian, width);
    /* a mean of finite numbers lies between them, but for rounding; what is spoiled by one example
     * stays spoiled */
    double *rows = numbers(n * width);
    REQUIRE(cbp_gradients(&chain, &examples, &loss, work, rows) == CBP_OK);
    int has_digits = 1; /* in the backward pass, where a subnormal error signal has none */
    for (size_t l = 0; l < layers; l++) {
        has_digits = has_digits && (params[2 * l] == 0 ||
                                    (fabs(params[2 * l]) > 1e-60 && fabs(params[2 * l]) < 1e60));
    }
    for (size_t i = 0; i < n; i++) {
        has_digits = has_digits && fabs(x[i]) < 1e60;
        for (size_t k = 1; k < width; k += 2) {
            has_digits =
                has_digits && (rows[i * width + k] == 0 || fabs(rows[i * width + k]) > 1e-250);
        }
    }
    for (size_t k = 0; k < width; k++) {
        double low = INFINITY, high = -INFINITY, size = 0;
        int is_plain = has_digits;
        for (size_t i = 0; i < n; i++) {
            const double term = rows[i * width + k];
            if (weight && weight[i] == 0) {
                is_plain = is_plain && is_finite(term);
                continue;
            }
            is_plain = is_plain && fabs(term) < 1e200 && (term == 0 || fabs(term) > 1e-100);
            is_plain = is_plain && (!weight || (weight[i] > 1e-30 && weight[i] < 1e30));
            low = fmin(low, term);
            high = fmax(high, term);
            size = fmax(size, fabs(term));
        }
        if (is_plain && is_finite(mean)) { /* 0 times an infinite loss is NaN */
            /* a layer rounds two products in each pass */
            const double rounding = (4 + 2 * (double)layers) * DBL_EPSILON * size + 1e-200;
            REQUIRE(gradient[k] >= low - rounding && gradient[k] <= high + rounding);
        }
    }
    /* shards, merged */
    const size_t cut = take() % (n + 1), len = width + 2;
    double *sums = calloc(4 * len, sizeof *sums), *shard_work = numbers(cbp_work_len(layers, 2));
    given[gifts++] = sums;
    const cbp_examples first = {x, y, weight, cut},
                       second = {x + cut, y + cut, weight ? weight + cut : NULL, n - cut};
    REQUIRE(cbp_gradient_sums(&chain, &first, &loss, shard_work, sums, sums + len) <= CBP_OK);
    REQUIRE(cbp_gradient_sums(&chain, &second, &loss, shard_work, sums + 2 * len, sums + 3 * len) <=
            CBP_OK);
    REQUIRE(cbp_sums_merge(sums + 2 * len, sums + 3 * len, len, sums, sums + len) == CBP_OK);
    double *merged = numbers(len - 1);
    if (cut > 0 && cut < n && cbp_sums_mean(sums, sums + len, len, merged) == CBP_OK && is_tame &&
        is_finite(mean)) {
        REQUIRE(fabs(merged[0] - mean) <= 8 * DBL_EPSILON * mean);
    }
}

/* Many examples, cut where blocks end: the same bits. */
static void check_blocks(void)
{
    take_problem(2, 16);
    if (n == 0) {
        return;
    }
    const size_t many = CBP_BLOCK + 1 + take() * 9, len = 2 * layers + 2;
    double *xs = numbers(many), *ys = numbers(many), *work = numbers(cbp_work_len(layers, many));
    for (size_t i = 0; i < many; i++) {
        xs[i] = x[i % n];
        ys[i] = y[i % n];
    }
    double *whole = calloc(4 * len, sizeof *whole), *parts = whole + 2 * len;
    given[gifts++] = whole;
    const cbp_examples all = {xs, ys, NULL, many}, block = {xs, ys, NULL, CBP_BLOCK},
                       rest = {xs + CBP_BLOCK, ys + CBP_BLOCK, NULL, many - CBP_BLOCK};
    if (cbp_gradient_sums(&chain, &all, &loss, work, whole, whole + len) != CBP_OK) {
        return;
    }
    REQUIRE(cbp_gradient_sums(&chain, &block, &loss, work, parts, parts + len) == CBP_OK);
    REQUIRE(cbp_gradient_sums(&chain, &rest, &loss, work, parts, parts + len) == CBP_OK);
    REQUIRE(all_same(whole, parts, 2 * len));
    double *out = numbers(many), *other = numbers(many);
    REQUIRE(cbp_forward(&chain, xs, many, out) == CBP_OK);
    if (cbp_kernel_choose("avx2") == CBP_OK) {
        REQUIRE(cbp_forward(&chain, xs, many, out) == CBP_OK);
        const int is_wider = cbp_kernel_choose("avx512") == CBP_OK;
        REQUIRE(cbp_forward(&chain, xs, many, other) == CBP_OK);
        REQUIRE(all_same(out, other, many));
        if (is_wider) {
            double *sums = calloc(2 * len, sizeof *sums), *narrow = calloc(2 * len, sizeof *narrow);
            given[gifts++] = sums;
            given[gifts++] = narrow;
            (void)cbp_gradient_sums(&chain, &all, &loss, work, sums, sums + len);
            (void)cbp_kernel_choose("avx2");
            (void)cbp_gradient_sums(&chain, &all, &loss, work, narrow, narrow + len);
            REQUIRE(all_same(sums, narrow, 2 * len));
        }
    }
}

/* ---- fits ------------------------------------------------------------------------------------ */

static cbp_fit_options options; /* of the problem's loss, and with its bounds */
static int stop_after;

static int count_down(void *user, const cbp_fit_info *info)
{
    REQUIRE(user == &stop_after);
    REQUIRE(info->params != NULL);
    return stop_after > 0 && --stop_after == 0;
}

static void take_fit(size_t most_examples)
{
    take_problem(4, most_examples);
    const unsigned how = take();
    unsigned char *frozen = how & 1 ? memory(2 * layers) : NULL;
    double *lower = how & 2 ? numbers(2 * layers) : NULL;
    double *upper = how & 4 ? numbers(2 * layers) : NULL;
    for (size_t k = 0; k < 2 * layers; k++) {
        if (frozen) {
            frozen[k] = take() % 3 == 0;
        }
        if (lower) {
            lower[k] = take() % 2 ? -INFINITY : params[k] - (take() % 4) * 0.5;
        }
        if (upper) {
            upper[k] = take() % 2 ? INFINITY : params[k] + (take() % 4) * 0.5;
        }
    }
    REQUIRE(cbp_fit_defaults(&options) == CBP_OK);
    chain.frozen = frozen;
    options.loss = loss;
    options.lower = lower;
    options.upper = upper;
    options.max_iterations = 1 + take() % 12;
    options.tolerance = how & 8 ? 1e-3 : 1e-10;
    options.restarts = how & 16 ? take() % 3 : 0;
    options.seed = take();
    options.method = (int)(take() % 3);
    options.learning_rate = take() % 8 ? 0.05 : fabs(take_number());
    options.batch_size = how & 32 ? take() % 8 : 0;
    stop_after = how & 64 ? (int)take() % 8 : 0;
    if (how & 64) {
        options.progress = count_down;
        options.user = &stop_after;
    }
}

static int is_frozen(size_t k)
{
    return chain.frozen && chain.frozen[k];
}

static size_t count_free(void)
{
    size_t count = 0;
    for (size_t k = 0; k < 2 * layers; k++) {
        count += !is_frozen(k);
    }
    return count;
}

/* What is frozen has not moved, and what is free is finite and within its bounds. */
static void check_place(const double *found)
{
    for (size_t k = 0; k < 2 * layers; k++) {
        if (is_frozen(k)) {
            REQUIRE(same(found[k], params[k]));
            continue;
        }
        REQUIRE(is_finite(found[k]));
        REQUIRE(!options.lower || found[k] >= options.lower[k]);
        REQUIRE(!options.upper || found[k] <= options.upper[k]);
    }
}

/* Whether a fit looks at an example: it is neither missing nor of weight 0. */
static int is_counted(size_t i, const double *targets)
{
    return targets[i] == targets[i] && (!weight || weight[i] > 0);
}

/* The problem's chain at other parameters. */
static cbp_chain chain_at(const double *where)
{
    return (cbp_chain){where, chain.activations, chain.frozen, layers};
}

/* The loss of those. */
static double loss_of(const double *where, const double *targets)
{
    const cbp_chain there = chain_at(where);
    double *some_x = malloc((3 * n + 1) * sizeof *some_x), *some_y = some_x + n,
           *some_weight = some_y + n, mean = NAN;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_counted(i, targets)) {
            some_x[count] = x[i];
            some_y[count] = targets[i];
            some_weight[count++] = weight ? weight[i] : 1;
        }
    }
    REQUIRE(cbp_loss_mean(&there, &(cbp_examples){some_x, some_y, some_weight, count}, &loss,
                          &mean) == CBP_OK);
    free(some_x);
    return mean;
}

static double loss_at(const double *where)
{
    return loss_of(where, y);
}

/* By how much a loss of that value may have grown since the rounding of the outputs hides it, of
 * the size of their targets; of the log loss of all but perfect yes and no, which differ less than
 * outputs do, their own size. An example of a huge weight may have next to no loss by itself, and
 * hide that of all others. Products of weights and losses below the smallest number are 0. */
static double unseen(double value, const double *targets)
{
    double squares = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_counted(i, targets)) {
            const double counts = weight ? weight[i] : 1;
            squares += counts * (loss.kind == CBP_LOG_LOSS ? 1 : targets[i] * targets[i]);
            total += counts;
        }
    }
    return 16 * DBL_EPSILON * sqrt(value) * sqrt(fmin(squares, DBL_MAX) / total) +
           1e-300 / fmin(total, 1);
}

/* Whether an output is so far off that the gradient of a robust loss is below the smallest
 * number. */
static int is_far(const double *where, const double *targets)
{
    const cbp_chain there = chain_at(where);
    double *out = malloc((n + 1) * sizeof *out);
    int is = 0;
    REQUIRE(cbp_forward(&there, x, n, out) == CBP_OK);
    for (size_t i = 0; i < n; i++) {
        is |= is_counted(i, targets) && fabs(out[i] - targets[i]) > 1e150;
    }
    free(out);
    return is;
}

static void check_fit(void)
{
    take_fit(16);
    const size_t width = 2 * layers, free = count_free();
    double *found = numbers(width), *work = numbers(cbp_fit_work_len(layers, free, n)), history[4];
    cbp_fit_info info;
    options.history = history;
    options.history_len = 4;
    const int status = cbp_fit_lm(&chain, &examples, &options, work, found, &info);
    if (status != CBP_OK) {
        REQUIRE(status > CBP_STATUS_END && status < 0);
        REQUIRE(is_untouched(found, width * sizeof *found));
        return;
    }
    if (!options.progress) { /* in place, and work memory is not read before it is written */
        double *again = copy_of(params, width);
        const cbp_chain in_place = chain_at(again);
        cbp_fit_info other;
        memset(work, 0x3f, cbp_fit_work_len(layers, free, n) * sizeof *work);
        REQUIRE(cbp_fit_lm(&in_place, &examples, &options, work, again, &other) == status);
        REQUIRE(all_same(again, found, width) && same(other.loss, info.loss) &&
                other.iterations == info.iterations);
        REQUIRE(same(other.gradient_norm, info.gradient_norm) && other.outcome == info.outcome);
    }
    REQUIRE(info.outcome > CBP_RUNNING && info.outcome < CBP_OUTCOME_END &&
            info.outcome != CBP_DIVERGED);
    REQUIRE(info.params == found);
    check_place(found);
    REQUIRE(loss_at(found) <= loss_at(params) * (1 + 1e-12) + unseen(loss_at(params), y));
    if (info.outcome != CBP_STOPPED || info.loss == info.loss) {
        REQUIRE(fabs(info.loss - loss_at(found)) <= 1e-9 * info.loss + 1e-300);
    }
    double variance, *covariance = numbers(free * free);
    unsigned char *determined = memory(width);
    const cbp_chain there = chain_at(found);
    const cbp_covariance out = {&variance, covariance, determined};
    if (cbp_fit_covariance(&there, &examples, &options, NULL, work, &out) == CBP_OK) {
        for (size_t i = 0; i < width; i++) {
            REQUIRE(determined[i] < CBP_DETERMINED_END);
            REQUIRE((determined[i] == CBP_FROZEN) == is_frozen(i));
        }
        for (size_t i = 0; i < free; i++) {
            REQUIRE(!(covariance[i * free + i] < 0));
            for (size_t j = 0; j < i; j++) {
                REQUIRE(same(covariance[i * free + j], covariance[j * free + i]));
            }
        }
    }
}

static void check_descent(void)
{
    take_fit(16);
    const size_t width = 2 * layers;
    double *found = numbers(width),
           *work = numbers(cbp_fit_descent_work_len(layers, options.batch_size));
    size_t *order = memory(n * sizeof *order);
    cbp_fit_info info;
    const int status = cbp_fit_descent(&chain, &examples, &options, work,
                                       options.batch_size ? order : NULL, found, &info);
    if (status != CBP_OK) {
        REQUIRE(status > CBP_STATUS_END && status < 0);
        REQUIRE(is_untouched(found, width * sizeof *found));
        return;
    }
    REQUIRE(info.outcome > CBP_RUNNING && info.outcome < CBP_OUTCOME_END);
    check_place(found);
    if (info.outcome == CBP_DIVERGED) {
        REQUIRE(loss_at(found) <= loss_at(params) * (1 + 1e-12));
    }
    double *stepped = copy_of(params, width), mean;
    const cbp_chain in_place = chain_at(stepped);
    const int step = cbp_step(&in_place, &examples, options.learning_rate,
                              numbers(cbp_work_len(layers, n)), stepped, &mean);
    for (size_t k = 0; k < width; k++) {
        if (step != CBP_OK || is_frozen(k)) {
            REQUIRE(same(stepped[k], params[k]));
        }
    }
}

static cbp_fits fits_for(size_t m)
{
    const size_t width = 2 * layers, free = count_free();
    cbp_fits fits;
    fits.params = numbers(m * width);
    fits.status = memory(m * sizeof(int));
    fits.iterations = memory(m * sizeof(size_t));
    fits.loss = numbers(m);
    fits.weight = numbers(m);
    fits.variance = numbers(m);
    fits.df = numbers(m);
    fits.standard_error = numbers(m * width);
    fits.covariance = numbers(m * free * (free + 1) / 2);
    fits.determined = memory(m * width);
    return fits;
}

/* What rounding may do to a residual: of the target, and of what each layer adds up, as the output
 * sees it. Residuals that are all rounding have a loss of its square. */
static double rounding_of(const double *where, const double *targets)
{
    const size_t width = 2 * layers;
    const cbp_chain there = chain_at(where);
    double *jacobian = numbers(n * width), largest = 1e-150;
    REQUIRE(cbp_jacobian(&there, x, n, numbers(cbp_work_len(layers, n)), jacobian) == CBP_OK);
    for (size_t i = 0; i < n; i++) {
        double sizes = 0;
        for (size_t k = 0; k < width; k++) {
            sizes += fabs(jacobian[i * width + k] * where[k]);
        }
        largest = fabs(targets[i]) > largest ? fabs(targets[i]) : largest;
        largest = sizes > largest ? sizes : largest;
    }
    return 16 * DBL_EPSILON * largest;
}

/* A chain's fit is the same whatever the other chains are; its example is missing where y is
 * NaN. */
static void check_many(void)
{
    take_fit(12);
    options.progress = NULL;
    const size_t width = 2 * layers, moving = count_free(), m = (1 + take()) % 12,
                 triangle = moving * (moving + 1) / 2;
    double *ys = numbers(m * n);
    cbp_fits all = fits_for(m), one = fits_for(1);
    for (size_t i = 0; i < m; i++) {
        memcpy(all.params + i * width, params, width * sizeof *params);
        for (size_t j = 0; j < n; j++) {
            ys[i * n + j] =
                loss.kind == CBP_LOG_LOSS ? y[(j + i) % n] : y[j] * (1 + (double)i / 16);
        }
        if (n > 0 && take() % 4 == 0) {
            ys[i * n + take() % n] = take_number();
        }
        if (take() % 4 == 0) {
            all.params[i * width + take() % width] = take_number();
        }
    }
    double *starts = copy_of(all.params, m * width),
           *work = numbers(cbp_fit_many_work_len(layers, moving, n));
    const cbp_chain kind = chain_at(NULL);
    const cbp_example_sets sets = {m ? x : NULL, ys, weight, n, m, 0, 0};
    int status = cbp_fit_many(&kind, &sets, &options, work, &all);
    if (status != CBP_OK) {
        REQUIRE(all_same(all.params, starts, m * width) &&
                is_untouched(all.loss, m * sizeof *all.loss));
        return;
    }
    for (size_t i = 0; i < m; i++) {
        const double *start = starts + i * width, *found = all.params + i * width;
        memcpy(one.params, start, width * sizeof *start);
        status = cbp_fit_many(&kind, &(cbp_example_sets){x, ys + i * n, weight, n, 1, 0, 0},
                              &options, work, &one);
        REQUIRE(status == CBP_OK);
        REQUIRE(one.status[0] == all.status[i] && one.iterations[0] == all.iterations[i]);
        REQUIRE(all_same(one.params, found, width) && same(one.loss[0], all.loss[i]));
        REQUIRE(same(one.weight[0], all.weight[i]) && same(one.variance[0], all.variance[i]));
        REQUIRE(same(one.df[0], all.df[i]) &&
                all_same(one.standard_error, all.standard_error + i * width, width));
        REQUIRE(all_same(one.covariance, all.covariance + i * triangle, triangle));
        REQUIRE(memcmp(one.determined, all.determined + i * width, width) == 0);
        if (all.status[i] < 0) {
            REQUIRE(all_same(found, start, width) && all.loss[i] != all.loss[i]);
            continue;
        }
        REQUIRE(all.status[i] > CBP_RUNNING && all.status[i] < CBP_OUTCOME_END);
        for (size_t k = 0; k < width; k++) {
            if (is_frozen(k)) {
                REQUIRE(same(found[k], start[k]) && all.determined[i * width + k] == CBP_FROZEN);
            } else {
                REQUIRE(is_finite(found[k]) && (!options.lower || found[k] >= options.lower[k]) &&
                        (!options.upper || found[k] <= options.upper[k]));
            }
            REQUIRE(!(all.standard_error[i * width + k] < 0));
        }
        /* the loss, without the missing points, has not grown */
        const double before = loss_of(start, ys + i * n), after = loss_of(found, ys + i * n);
        REQUIRE(after <= before * (1 + 1e-9) + unseen(fmax(before, after), ys + i * n));
        const double rounding = rounding_of(found, ys + i * n);
        if (loss.kind != CBP_SQUARED && is_far(found, ys + i * n)) {
            continue;
        }
        REQUIRE(fabs(after - all.loss[i]) <=
                1e-7 * after + rounding * (sqrt(after) + rounding) + unseen(after, ys + i * n));
    }
}

/* ---- starts, shards, arrays of chains -------------------------------------------------------- */

static void check_starts(void)
{
    take_fit(12);
    const size_t width = 2 * layers, row = take() % 4, m = (1 + take()) % 18;
    const size_t count = (row > 0 ? row : 1) * (1 + take() % 4);
    double *candidates = numbers(count * width), *ys = numbers(m * n), *chosen = numbers(m * width),
           *one = numbers(width);
    for (size_t k = 0; k < count * width; k++) {
        candidates[k] = is_tame ? take_tame() : take_number();
    }
    for (size_t i = 0; i < m * n; i++) {
        ys[i] = y[i % n] * (1 + (double)(i / n) / 8);
    }
    double *work = numbers(cbp_choose_starts_work_len(layers, n, count));
    const cbp_chain kind = chain_at(NULL);
    const cbp_example_sets sets = {x, ys, weight, n, m, 0, 0};
    const cbp_candidates grid = {candidates, count, row};
    if (cbp_choose_starts(&kind, &sets, &options, &grid, work, chosen) != CBP_OK) {
        REQUIRE(is_untouched(chosen, m * width * sizeof *chosen));
        return;
    }
    for (size_t i = 0; i < m; i++) {
        REQUIRE(cbp_choose_starts(&kind, &(cbp_example_sets){x, ys + i * n, weight, n, 1, 0, 0},
                                  &options, &grid, work, one) == CBP_OK);
        REQUIRE(all_same(one, chosen + i * width, width));
    }
}

static void check_arrays(void)
{
    take_problem(4, 20);
    const size_t width = 2 * layers, m = (1 + take()) % 12;
    double *many = numbers(m * width), *out = numbers(m * n), *one = numbers(n),
           *means = numbers(m), mean;
    double *gradients = numbers(m * width), *gradient = numbers(width),
           *work = numbers(cbp_work_len(layers, n)), *ys = numbers(m * n);
    for (size_t k = 0; k < m * width; k++) {
        many[k] = params[k % width] * (1 + (double)(k / width));
    }
    for (size_t k = 0; k < m * n; k++) {
        ys[k] = y[k % n];
    }
    const cbp_chain chains = chain_at(many);
    if (cbp_forward_many(&chains, m, x, n, 0, out) != CBP_OK) {
        REQUIRE(is_untouched(out, m * n * sizeof *out));
        return;
    }
    for (size_t i = 0; i < m; i++) {
        const cbp_chain this = chain_at(many + i * width);
        REQUIRE(cbp_forward(&this, x, n, one) == CBP_OK);
        REQUIRE(all_same(one, out + i * n, n));
    }
    REQUIRE(cbp_slope_many(&chains, m, x, n, 0, out) == CBP_OK);
    for (size_t i = 0; i < m; i++) {
        const cbp_chain this = chain_at(many + i * width);
        REQUIRE(cbp_slope(&this, x, n, one) == CBP_OK);
        REQUIRE(all_same(one, out + i * n, n));
    }
    if (cbp_inverse_many(&chains, m, x, n, 0, out) == CBP_OK) {
        for (size_t i = 0; i < m; i++) {
            const cbp_chain this = chain_at(many + i * width);
            if (cbp_inverse(&this, x, n, one) == CBP_OK) {
                REQUIRE(all_same(one, out + i * n, n));
            }
        }
    }
    if (cbp_gradient_many(&chains, &(cbp_example_sets){x, ys, weight, n, m, 0, 0}, &loss, work,
                          means, gradients) == CBP_OK) {
        for (size_t i = 0; i < m; i++) {
            const cbp_chain this = chain_at(many + i * width);
            REQUIRE(cbp_gradient(&this, &examples, &loss, work, &mean, gradient) == CBP_OK);
            REQUIRE(same(mean, means[i]) && all_same(gradient, gradients + i * width, width));
        }
    }
}

/* The node of the examples, pushed as if it were of each of three leaves, has three times their
 * R'R. */
static void check_shards(void)
{
    take_fit(24);
    const size_t free = count_free(), side = free + 1, area = side * side,
                 len = cbp_fit_node_len(free);
    double *work = numbers(cbp_fit_work_len(layers, free, 0)), *node = numbers(len),
           *merged = numbers(len);
    double *values = numbers(cbp_fit_nodes_capacity(3) * len);
    cbp_fit_place places[4];
    cbp_fit_nodes nodes = {values, places, free, cbp_fit_nodes_capacity(3), 0};
    REQUIRE(nodes.capacity == 4);
    if (cbp_fit_nodes_add(&chain, &examples, &loss, 0, work, &nodes) != CBP_OK) {
        REQUIRE(nodes.count == 0);
        return;
    }
    REQUIRE(nodes.count == 1);
    memcpy(node, values, len * sizeof *node);
    for (size_t leaf = 1; leaf < 3; leaf++) {
        REQUIRE(cbp_fit_nodes_push(&nodes, (cbp_fit_place){leaf, 1}, node, work) == CBP_OK);
    }
    REQUIRE(nodes.count == 2 && cbp_fit_nodes_merge(&nodes, work, merged) == CBP_OK);
    double size = 0;
    int is_finite = 1;
    for (size_t k = 0; k < area; k++) {
        is_finite = is_finite && node[k] - node[k] == 0;
        size = fmax(size, fabs(node[k]));
    }
    if (!is_finite) { /* and it stays so */
        for (size_t k = 0; k < area; k++) {
            is_finite = is_finite || merged[k] - merged[k] != 0;
        }
        REQUIRE(is_finite);
        return;
    }
    if (size > 1e100) {
        return;
    }
    for (size_t i = 0; i < side; i++) {
        for (size_t j = i; j < side; j++) {
            double one = 0, two = 0;
            for (size_t k = 0; k <= i; k++) {
                one += 3 * node[k * side + i] * node[k * side + j];
                two += merged[k * side + i] * merged[k * side + j];
            }
            REQUIRE(fabs(one - two) <= 1e-12 * size * size);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(void) = {check_passes,  check_rows,  check_averages, check_fit,
                                           check_descent, check_many,  check_starts,   check_arrays,
                                           check_shards,  check_blocks};
    /* blocks take long, so that they come seldom, also among the descendants of an input that had
     * them */
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + data[i];
    }
    bytes = data;
    left = size;
    const unsigned which = take();
    checks[which == 255 && sum % 64 == 0 ? 9 : which % 9]();
    while (gifts > 0) {
        free(given[--gifts]);
    }
    return 0;
}
