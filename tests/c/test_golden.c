/* The bits of passes, of fits and of their iterations, as they have been: the core promises the
 * same ones everywhere with fused multiply-add. Other tests say what is right; this one says what
 * has changed. A change that is meant to makes golden.h anew:
 *
 *   cc -O2 -Icsrc tests/c/test_golden.c csrc/[a-z]*.c -lm -o golden
 *   ./golden print >golden.h && mv golden.h tests/c
 */
#include "fit_lm_call.h"

/* One call: what became of it, and all its bits in one number. */
typedef struct golden {
    const char *name;
    uint64_t bits;
    size_t iterations;
    double loss;
} golden;

#ifndef CBP_SINGLE

static const golden expected[] = {
#include "golden.h"
};

/* The losses that these rows were made with; one added since has a row of its own at the end. */
enum { FIRST_LOSSES = 5 };

enum { MOST_EXAMPLES = 300, MOST_CHAINS = 21, LAYERS = 3, ALL = 2 * LAYERS, LONG_HISTORY = 40 };

static cbp_real x[MOST_EXAMPLES], y[MOST_CHAINS * MOST_EXAMPLES], weight[MOST_EXAMPLES];
static size_t row;
static int prints;

/* ---- what is kept ---------------------------------------------------------------------------- */

/* FNV-1a. NaN counts as one number, whichever it is. */
static void add_bits(uint64_t *hash, uint64_t bits)
{
    for (int k = 0; k < 8; k++) {
        *hash = (*hash ^ (bits >> 8 * k & 255)) * UINT64_C(0x100000001b3);
    }
}

static void add_numbers(uint64_t *hash, const cbp_real *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        if (from[i] == from[i]) {
            memcpy(&bits, from + i, sizeof bits);
        }
        add_bits(hash, bits);
    }
}

static void add_bytes(uint64_t *hash, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_bits(hash, from[i]);
    }
}

#define NO_BITS UINT64_C(0xcbf29ce484222325)

static void keep(const char *name, uint64_t bits, size_t iterations, double loss)
{
    if (prints) {
        printf("{\"%s\", 0x%016llx, %zu, %a},\n", name, (unsigned long long)bits, iterations, loss);
        return;
    }
    const golden *known = row < sizeof expected / sizeof *expected ? &expected[row] : NULL;
    row++;
    if (!CHECK(known && strcmp(known->name, name) == 0)) {
        return;
    }
    const int is_same =
        bits == known->bits && iterations == known->iterations && loss == known->loss;
    if (!CHECK(is_same)) {
        fprintf(stderr, "    %s, kernels %s: %zu iterations, was %zu; loss %a, was %a\n", name,
                cbp_kernel(), iterations, known->iterations, loss, known->loss);
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

static void keep_activations(void)
{
    enum { POINTS_OF_ONE = 400 };
    cbp_real z[POINTS_OF_ONE], out[3][POINTS_OF_ONE], inverse[POINTS_OF_ONE];
    const cbp_real as_is[] = {1, 0};
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        cbp_activation_facts facts;
        const unsigned char code[] = {(unsigned char)activation};
        uint64_t bits = NO_BITS;
        check_state = 61;
        for (size_t i = 0; i < POINTS_OF_ONE; i++) {
            const double reach = i % 4 == 0 ? 1 : i % 4 == 1 ? 8 : i % 4 == 2 ? 60 : 800;
            const int exponent = i % 8 ? 0 : (int)random_between(-1070, 1020);
            z[i] = ldexp(random_between(-reach, reach), exponent);
        }
        CHECK(cbp_activation_values(activation, z, POINTS_OF_ONE, out[0], out[1], out[2]) ==
              CBP_OK);
        for (size_t k = 0; k < 3; k++) {
            add_numbers(&bits, out[k], POINTS_OF_ONE);
        }
        CHECK(cbp_activation_describe(activation, &facts) == CBP_OK);
        if (facts.one_to_one) {
            CHECK(cbp_inverse(&(cbp_chain){as_is, code, NULL, 1}, z, POINTS_OF_ONE, inverse) ==
                  CBP_OK);
            add_numbers(&bits, inverse, POINTS_OF_ONE);
        }
        keep(facts.name, bits, 0, 0);
    }
}

/* All passes of a chain with each activation in the middle, by each loss. */
static void keep_passes(void)
{
    enum { N = 150 };
    static cbp_real rows[N * ALL], out[N];
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        const cbp_real params[] = {0.75, 0.25, 1.25, 0.5, 0.875, -0.375};
        cbp_real *work = spoilt(cbp_work_len(LAYERS, N)),
                 *hessian_work = spoilt(cbp_hessian_work_len(LAYERS));
        double last = 0;
        uint64_t bits = NO_BITS;
        check_state = 62;
        for (size_t i = 0; i < N; i++) {
            x[i] = random_between(-1, 4);
            y[i] = random_between(0, 1);
            weight[i] = random_between(0, 2);
        }
        for (int kind = 0; kind < FIRST_LOSSES; kind++) {
            const cbp_loss loss = {kind, 0.25};
            const unsigned char last_one = kind == CBP_LOG_LOSS ? CBP_SIGMOID : CBP_TANH;
            const unsigned char codes[] = {CBP_SOFTPLUS, (unsigned char)activation, last_one};
            const cbp_chain chain = {params, codes, NULL, LAYERS};
            for (size_t n = 1; n <= N; n += N - 1) {
                const cbp_examples examples = {x, y, n > 1 && kind % 2 ? weight : NULL, n};
                cbp_real mean, mean_alone, gradient[ALL], hessian[ALL * ALL];
                CHECK(cbp_gradient(&chain, &examples, &loss, work, &mean, gradient) == CBP_OK);
                CHECK(cbp_hessian(&chain, &examples, &loss, hessian_work, hessian) == CBP_OK);
                CHECK(cbp_gradients(&chain, &examples, &loss, work, rows) == CBP_OK);
                CHECK(cbp_loss_mean(&chain, &examples, &loss, &mean_alone) == CBP_OK);
                add_numbers(&bits, &mean, 1);
                add_numbers(&bits, &mean_alone, 1);
                add_numbers(&bits, gradient, ALL);
                add_numbers(&bits, hessian, ALL * ALL);
                add_numbers(&bits, rows, n * ALL);
                CHECK(cbp_forward(&chain, x, n, out) == CBP_OK);
                add_numbers(&bits, out, n);
                CHECK(cbp_slope(&chain, x, n, out) == CBP_OK);
                add_numbers(&bits, out, n);
                CHECK(cbp_jacobian(&chain, x, n, work, rows) == CBP_OK);
                add_numbers(&bits, rows, n * ALL);
                last = mean;
            }
        }
        free(work);
        free(hessian_work);
        keep("passes", bits, 0, last);
    }
}

/* ---- fits ------------------------------------------------------------------------------------ */

/* A kind of curve: its truth, and between which inputs. */
typedef struct kind {
    const char *name;
    size_t layers;
    unsigned char activations[LAYERS], frozen[ALL];
    cbp_real truth[ALL];
    double low, high;
} kind;

static const kind kinds[] = {
    {"line", 1, {CBP_IDENTITY}, {0}, {2, -1}, -1, 1},
    {"neuron", 1, {CBP_SIGMOID}, {0}, {1.5, 0.25}, -2, 2},
    {"wave", 1, {CBP_SIN}, {0}, {2.5, 0.25}, -3, 3},
    {"sigmoid curve", 2, {CBP_TANH, CBP_IDENTITY}, {0}, {1.25, 0.25, 3, -0.5}, -2, 2},
    {"saturation", 2, {CBP_EXPM1, CBP_IDENTITY}, {0, 1, 0, 1}, {-1.25, 0, -3, 0}, 0, 4},
    {"peak", 2, {CBP_GAUSSIAN, CBP_IDENTITY}, {0}, {1.25, 0.5, 2, 0.25}, -2, 2},
    {"growth", 2, {CBP_EXP, CBP_EXP}, {0}, {-0.75, 0.25, -1.5, 1}, 0, 5},
    {"frozen end", 2, {CBP_SOFTPLUS, CBP_SIGMOID}, {0, 0, 1, 1}, {1.5, -0.25, 2, -1}, -2, 2},
    {"kink", 2, {CBP_RELU, CBP_IDENTITY}, {0, 0, 0, 1}, {1, 0.25, 1.5, 0}, -2, 2},
    {"two lines", 2, {CBP_IDENTITY, CBP_IDENTITY}, {0}, {2, -1, 1.5, 0.5}, -1, 1},
    {"logistic",
     3,
     {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY},
     {1, 1},
     {1, 0, 2, 0.5, 3, 0.25},
     0.0625,
     8},
    {"dose",
     3,
     {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY},
     {0, 1, 0, 1},
     {0.75, 0, 1.5, 0, 3, 0.25},
     0,
     8},
    {"deep", 3, {CBP_TANH, CBP_SOFTSIGN, CBP_IDENTITY}, {0}, {1, 0.25, 2, -0.5, 3, 0.5}, -2, 2},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Draws the examples of m chains, whose last weights vary, and a start of all. */
static void draw_problem(const kind *of, size_t n, size_t m, int is_label, double noisy,
                         cbp_real *start)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = random_between(of->low, of->high);
        weight[i] = 0.25 * (double)random_below(9);
    }
    x[n / 2] = of->low; /* the dose may be 0 */
    for (size_t chain = 0; chain < m; chain++) {
        cbp_real params[ALL];
        const cbp_chain truth = {params, of->activations, NULL, of->layers};
        memcpy(params, of->truth, sizeof params);
        params[2 * of->layers - 2] *= random_between(0.75, 1.25);
        CHECK(cbp_forward(&truth, x, n, y + chain * n) == CBP_OK);
        for (size_t i = 0; i < n; i++) {
            const cbp_real curve = y[chain * n + i], noise = random_between(-1, 1);
            y[chain * n + i] = is_label ? curve > 0.5 + 0.5 * noise
                                        : curve + noisy * noise * (random_below(8) ? 1 : 8);
        }
    }
    for (size_t k = 0; k < 2 * of->layers; k++) {
        const double factor = random_between(0.5, 1.75), shift = random_between(-0.25, 0.25);
        start[k] = of->frozen[k] ? of->truth[k] : of->truth[k] * factor + shift;
    }
}

/* Around the truth, so that some are active; of each kind of sides. */
static void draw_bounds(const kind *of, const cbp_real *start, cbp_real *lower, cbp_real *upper)
{
    for (size_t k = 0; k < 2 * of->layers; k++) {
        const double end = of->truth[k] + random_between(-0.5, 0.5);
        lower[k] = end < start[k] && random_below(3) ? end : start[k] - random_between(0, 2);
        upper[k] = end > start[k] && random_below(3) ? end : start[k] + random_between(0, 2);
        lower[k] = random_below(4) ? lower[k] : -INFINITY;
    }
}

static int takes(const kind *of, int loss)
{
    return loss != CBP_LOG_LOSS || of->activations[of->layers - 1] == CBP_SIGMOID;
}

/* The loss reported is that of the parameters, and no worse than the start's; at a reported minimum
 * the gradient is about 0. */
static void check_sense(const call *c, const cbp_real *start)
{
    cbp_chain before = c->chain;
    cbp_real loss;
    before.params = start;
    CHECK(cbp_loss_mean(&before, &c->examples, &c->options.loss, &loss) == CBP_OK);
    CHECK(c->info.loss <= loss * (1 + 64 * EPSILON));
    check_info(c);
}

static void keep_fit(const kind *of, int variant)
{
    const size_t lengths[] = {7, 16, 17, 40, 129, MOST_EXAMPLES}, limits[] = {4, 25, 250, 2000};
    int loss = variant % FIRST_LOSSES;
    loss = takes(of, loss) ? loss : CBP_SQUARED;
    cbp_real start[ALL], params[ALL], lower[ALL], upper[ALL], history[LONG_HISTORY] = {0};
    uint64_t bits = NO_BITS;
    check_state = 100 + (uint64_t)(of - kinds) * 64 + (uint64_t)variant;
    const size_t n = lengths[random_below(6)];
    draw_problem(of, n, 1, loss == CBP_LOG_LOSS, 0.125, start);
    draw_bounds(of, start, lower, upper);
    call c = fit_of(of->activations, of->layers, x, y, n);
    c.chain.frozen = of->frozen;
    c.examples.weight = n > 20 && random_below(2) ? weight : NULL;
    c.options.loss = (cbp_loss){loss, 0.25};
    c.options.lower = variant % 4 == 1 || variant % 4 == 3 ? lower : NULL;
    c.options.upper = variant % 4 == 2 || variant % 4 == 3 ? upper : NULL;
    c.options.max_iterations = limits[random_below(4)];
    c.options.restarts = random_below(3) ? 0 : 2;
    c.options.seed = (unsigned long long)variant;
    c.options.tolerance *= random_below(4) ? 1 : 0;
    c.options.history = history;
    c.options.history_len = LONG_HISTORY;
    memcpy(params, start, sizeof params);
    CHECK(fit(&c, params) == CBP_OK);
    check_sense(&c, start);
    add_numbers(&bits, params, 2 * of->layers);
    add_numbers(&bits, &c.info.gradient_norm, 1);
    add_numbers(&bits, history, LONG_HISTORY);
    add_bits(&bits, c.info.evaluations);
    add_bits(&bits, (uint64_t)c.info.outcome);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        covariance found;
        CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
        add_numbers(&bits, &found.variance, 1);
        add_numbers(&bits, found.matrix, 4 * of->layers * of->layers);
        add_bytes(&bits, found.determined, 2 * of->layers);
    }
    keep(of->name, bits, c.info.iterations, c.info.loss);
}

static void keep_descent(const kind *of, int variant)
{
    enum { N = 40, BATCH = 7 };
    cbp_real start[ALL], params[ALL], lower[ALL], upper[ALL], history[LONG_HISTORY] = {0};
    size_t order[N];
    cbp_fit_info info;
    cbp_fit_options options;
    uint64_t bits = NO_BITS;
    check_state = 2000 + (uint64_t)(of - kinds) * 64 + (uint64_t)variant;
    draw_problem(of, N, 1, 0, 0.125, start);
    draw_bounds(of, start, lower, upper);
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.lower = variant > 2 ? lower : NULL;
    options.upper = variant > 2 ? upper : NULL;
    options.method = variant % CBP_METHOD_END;
    options.batch_size = variant % 2 ? BATCH : 0;
    options.learning_rate = 0.0625;
    options.max_iterations = 30;
    options.tolerance = 1e-2;
    options.seed = (unsigned long long)variant;
    options.history = history;
    options.history_len = LONG_HISTORY;
    cbp_real *work = spoilt(cbp_fit_descent_work_len(of->layers, options.batch_size));
    const cbp_chain chain = {start, of->activations, of->frozen, of->layers};
    const cbp_examples examples = {x, y, variant % 3 ? weight : NULL, N};
    CHECK(cbp_fit_descent(&chain, &examples, &options, work, order, params, &info) == CBP_OK);
    free(work);
    add_numbers(&bits, params, 2 * of->layers);
    add_numbers(&bits, &info.gradient_norm, 1);
    add_numbers(&bits, history, LONG_HISTORY);
    add_bits(&bits, info.evaluations);
    add_bits(&bits, (uint64_t)info.outcome);
    keep("descent", bits, info.iterations, info.loss);
}

/* Of sizes whose squares nearly overflow or underflow, where steps overflow: fits of all in one
 * number. */
static void keep_extremes(void)
{
    enum { N = 6, FITS = 100, LEAST = -478, MOST_OF_Y = 508 };
    const unsigned char inner[] = {CBP_IDENTITY, CBP_TANH, CBP_SQUARE, CBP_EXPM1};
    size_t iterations = 0;
    uint64_t bits = NO_BITS;
    check_state = 5000;
    for (int k = 0; k < FITS; k++) {
        const unsigned char activations[] = {inner[k % 4], CBP_IDENTITY};
        const double apart = k % 3 ? 64 * EPSILON : 1;
        cbp_real start[4], params[4], upper[4];
        for (size_t i = 0; i < N; i++) {
            x[i] = 1 + apart * (double)i;
            const int exponent = k % 2 ? MOST_OF_Y : (int)random_between(0, MOST_OF_Y);
            y[i] = ldexp(random_between(-1, 1), exponent);
        }
        for (size_t j = 0; j < 4; j++) {
            const int exponent = k % 5 ? LEAST : (int)random_between(LEAST, 100);
            start[j] = j == 2 ? ldexp(random_between(1, 2), exponent) : (double)random_below(2);
            upper[j] = random_below(2) ? INFINITY : 2 * start[j] + 1;
        }
        call c = fit_of(activations, 2, x, y, N);
        c.options.upper = k % 2 ? upper : NULL;
        c.options.max_iterations = 30;
        memcpy(params, start, sizeof params);
        const int status = fit(&c, params);
        CHECK(status == CBP_OK || status == CBP_ERROR_START_LOSS);
        add_bits(&bits, (uint64_t)(status + 100));
        add_numbers(&bits, params, 4);
        iterations += status == CBP_OK ? c.info.iterations : 0;
        add_bits(&bits, status == CBP_OK ? c.info.evaluations : 0);
    }
    keep("extremes", bits, iterations, 0);
}

/* Many fits, from the starts that are chosen for them; of two chains some points are missing, and
 * from the sixth variant on there is much noise. */
static void keep_many(const kind *of, int variant)
{
    enum { M = MOST_CHAINS, CANDIDATES = 6, ROW = 3 };
    const size_t lengths[] = {7, 12, 16, 33}, layers = of->layers, all = 2 * layers;
    int loss = variant % FIRST_LOSSES, status[M];
    loss = takes(of, loss) ? loss : CBP_SQUARED;
    cbp_real start[ALL], candidates[CANDIDATES * ALL], lower[ALL], upper[ALL], params[M * ALL],
        mean[M], total[M];
    cbp_real variance[M], df[M], standard_error[M * ALL], matrix[M * ALL * (ALL + 1) / 2];
    unsigned char determined[M * ALL];
    size_t iterations[M], all_iterations = 0, free_count = 0;
    double all_losses = 0;
    uint64_t bits = NO_BITS;
    check_state = 3000 + (uint64_t)(of - kinds) * 64 + (uint64_t)variant;
    const size_t n = lengths[random_below(4)];
    draw_problem(of, n, M, loss == CBP_LOG_LOSS, variant < 6 ? 0.125 : 2, start);
    draw_bounds(of, start, lower, upper);
    for (size_t k = 0; k < all; k++) {
        free_count += !of->frozen[k];
    }
    for (size_t k = 0; k < CANDIDATES * all; k++) {
        const double drawn = start[k % all] * random_between(0.5, 1.5);
        candidates[k] = k < all || of->frozen[k % all] ? start[k % all] : drawn;
    }
    if (variant % 3 == 0) {
        y[3 * n + 2] = y[17 * n] = NAN;
    }
    cbp_fit_options options;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.loss = (cbp_loss){loss, 0.25};
    options.lower = variant % 4 == 3 ? lower : NULL;
    options.upper = variant % 4 > 1 ? upper : NULL;
    options.max_iterations = variant % 5 == 4 ? 6 : variant < 6 ? 2000 : 60;
    const cbp_chain chain = {NULL, of->activations, of->frozen, layers};
    const cbp_example_sets sets = {
        .x = x, .y = y, .weight = variant % 2 ? weight : NULL, .n = n, .m = M};
    cbp_real *work = spoilt(cbp_choose_starts_work_len(layers, n, CANDIDATES));
    CHECK(cbp_choose_starts(&chain, &sets, &options, &(cbp_candidates){candidates, CANDIDATES, ROW},
                            work, params) == CBP_OK);
    free(work);
    add_numbers(&bits, params, M * all);
    const cbp_fits fits = {params,   status, iterations,     mean,   total,
                           variance, df,     standard_error, matrix, determined};
    work = spoilt(cbp_fit_many_work_len(layers, free_count, n));
    CHECK(cbp_fit_many(&chain, &sets, &options, work, &fits) == CBP_OK);
    free(work);
    for (size_t i = 0; i < M; i++) {
        add_bits(&bits, (uint64_t)(status[i] + 100));
        add_bits(&bits, iterations[i]);
        all_iterations += iterations[i];
        all_losses += mean[i];
    }
    add_numbers(&bits, params, M * all);
    add_numbers(&bits, total, M);
    add_numbers(&bits, variance, M);
    add_numbers(&bits, df, M);
    add_numbers(&bits, standard_error, M * all);
    add_numbers(&bits, matrix, M * free_count * (free_count + 1) / 2);
    add_bytes(&bits, determined, M * all);
    keep("many", bits, all_iterations, all_losses == all_losses ? all_losses : -1);
}

/* Of a loss: a pass, and a fit, of outputs and targets in (0, 1). */
static void keep_loss(int code)
{
    enum { N = 150 };
    const unsigned char codes[] = {CBP_TANH, CBP_SIGMOID};
    const cbp_real start[] = {R(0.75), R(0.25), R(1.25), R(-0.5)};
    static cbp_real rows[N * 4];
    cbp_real params[4], mean, gradient[4], hessian[16];
    cbp_real *work = spoilt(cbp_work_len(2, N)), *hessian_work = spoilt(cbp_hessian_work_len(2));
    cbp_loss_facts facts;
    uint64_t bits = NO_BITS;
    check_state = 7000 + (uint64_t)code;
    for (size_t i = 0; i < N; i++) {
        x[i] = random_between(-2, 2);
        y[i] = 0.5 + 0.4 * x[i] / (1 + fabs(x[i])) + random_between(-0.1, 0.1);
        weight[i] = random_between(0, 2);
    }
    CHECK(cbp_loss_describe(code, &facts) == CBP_OK);
    const cbp_chain chain = {start, codes, NULL, 2};
    const cbp_examples examples = {x, y, weight, N};
    const cbp_loss loss = {code, 0.25};
    CHECK(cbp_gradient(&chain, &examples, &loss, work, &mean, gradient) == CBP_OK);
    CHECK(cbp_hessian(&chain, &examples, &loss, hessian_work, hessian) == CBP_OK);
    CHECK(cbp_gradients(&chain, &examples, &loss, work, rows) == CBP_OK);
    add_numbers(&bits, &mean, 1);
    add_numbers(&bits, gradient, 4);
    add_numbers(&bits, hessian, 16);
    add_numbers(&bits, rows, N * 4);
    call c = fit_of(codes, 2, x, y, N);
    c.examples.weight = weight;
    c.options.loss = loss;
    memcpy(params, start, sizeof params);
    CHECK(fit(&c, params) == CBP_OK);
    check_sense(&c, start);
    add_numbers(&bits, params, 4);
    keep(facts.name, bits, c.info.iterations, c.info.loss);
    free(work);
    free(hessian_work);
}

static void keep_all(void)
{
    row = 0;
    keep_activations();
    keep_passes();
    keep_extremes();
    for (size_t k = 0; k < KINDS; k++) {
        for (int variant = 0; variant < 10; variant++) {
            keep_fit(&kinds[k], variant);
        }
        for (int variant = 0; variant < 6; variant++) {
            keep_descent(&kinds[k], variant);
        }
        const int is_monotonic =
            kinds[k].activations[0] != CBP_SIN && kinds[k].activations[0] != CBP_GAUSSIAN;
        for (int variant = 0; variant < (is_monotonic ? 8 : 40); variant++) {
            keep_many(&kinds[k], variant);
        }
    }
    for (int loss = FIRST_LOSSES; loss < CBP_LOSS_END; loss++) {
        keep_loss(loss);
    }
    CHECK(prints || row == sizeof expected / sizeof *expected);
}

/* (1 + h) (1 - h) - 1 is -h^2 in one rounding, and 0 in two. */
static int is_fused(void)
{
    const unsigned char one[] = {CBP_IDENTITY};
    const cbp_real params[] = {1 + 0x1p-30, -1}, at = 1 - 0x1p-30;
    cbp_real out;
    return cbp_forward(&(cbp_chain){params, one, NULL, 1}, &at, 1, &out) == CBP_OK &&
           out == -0x1p-60;
}

int main(int argc, char **argv)
{
    const char *const levels[] = {"generic", "avx2", "avx512"};
    prints = argc > 1 && strcmp(argv[1], "print") == 0;
    if (prints) {
        CHECK(is_fused());
        keep_all();
        return check_failed > 0;
    }
    for (size_t k = 0; k < 3; k++) {
        if (cbp_kernel_choose(levels[k]) == CBP_OK && is_fused()) {
            keep_all();
        }
    }
    return check_done("test_golden");
}

#else

int main(void)
{
    return check_done("test_golden"); /* golden bits are of the double precision */
}

#endif
