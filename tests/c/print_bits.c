/* Prints, for each kernel level of this machine, the bits of a few gradients, of the largest
 * eigenvalues of Hessians, of many fits, and of the intervals of a curve. All compilers and all
 * flags, none included, must print the same: run.sh compares. */
#include "check.h"

static void print_bits(const char *what, const cbp_real *numbers_of, size_t n)
{
    printf("%s", what);
    for (size_t i = 0; i < n; i++) {
        printf(" %a", (double)numbers_of[i]);
    }
    printf("\n");
}

#define MOST_LAYERS 16
#define MOST_EXAMPLES 5000

static cbp_real x[MOST_EXAMPLES], y[MOST_EXAMPLES], weight[MOST_EXAMPLES];

static void print_gradient(const char *what, size_t layers, const unsigned char *activations,
                           size_t n, int loss)
{
    cbp_real params[2 * MOST_LAYERS], gradient[2 * MOST_LAYERS], mean;
    check_state = 20;
    for (size_t k = 0; k < 2 * layers; k++) {
        params[k] = R(random_between(0.2, 2));
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = R(random_between(0, 4));
        y[i] = R(random_between(0, 1));
        weight[i] = R(random_between(0, 2));
    }
    const cbp_chain chain = {params, activations, NULL, layers};
    const cbp_examples examples = {x, y, n > 1 ? weight : NULL, n};
    cbp_real *work = numbers(cbp_work_len(layers, n));
    if (cbp_gradient(&chain, &examples, &(cbp_loss){loss, R(0.5)}, work, &mean, gradient) !=
        CBP_OK) {
        exit(1);
    }
    free(work);
    print_bits(what, &mean, 1);
    print_bits(what, gradient, 2 * layers);

    cbp_real *hessian = numbers(4 * layers * layers), sharpness;
    work = numbers(cbp_hessian_work_len(layers));
    if (cbp_hessian(&chain, &examples, &(cbp_loss){loss, R(0.5)}, work, hessian) != CBP_OK ||
        cbp_sharpness(&chain, hessian, hessian, &sharpness) != CBP_OK) {
        exit(1);
    }
    free(work);
    free(hessian);
    print_bits(what, &sharpness, 1);
}

/* Noisy logistic curves on the logarithm of x, side by side. */
static void print_fits(size_t n, int loss, int weighted)
{
    enum { CHAINS = 21, ALL = 6, TRIANGLE = 10 };
    const unsigned char logistic[] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY},
                        frozen[] = {1, 1, 0, 0, 0, 0};
    const cbp_real start[] = {1, 0, 1, 0, 3, R(0.5)};
    cbp_real params[CHAINS * ALL], mean[CHAINS], total[CHAINS], variance[CHAINS], df[CHAINS];
    cbp_real standard_error[CHAINS * ALL], covariance[CHAINS * TRIANGLE];
    unsigned char determined[CHAINS * ALL];
    int status[CHAINS];
    size_t iterations[CHAINS];
    const cbp_chain chain = {.activations = logistic, .frozen = frozen, .layers = 3};
    const cbp_example_sets sets = {
        .x = x, .y = y, .weight = weighted ? weight : NULL, .n = n, .m = CHAINS};
    const cbp_fits fits = {.params = params,
                           .status = status,
                           .iterations = iterations,
                           .loss = mean,
                           .weight = total,
                           .variance = variance,
                           .df = df,
                           .standard_error = standard_error,
                           .covariance = covariance,
                           .determined = determined};
    cbp_fit_options options;
    cbp_real *work = numbers(cbp_fit_many_work_len(3, 4, n));
    check_state = 21;
    for (size_t k = 0; k < n; k++) {
        x[k] = R(0.0625 * (double)(k * k + 1));
        weight[k] = R(random_between(0.5, 2));
    }
    for (size_t i = 0; i < CHAINS; i++) {
        const double height = random_between(2, 4), middle = random_between(0.5, 2);
        memcpy(params + i * ALL, start, sizeof start);
        for (size_t k = 0; k < n; k++) {
            const double t = (double)x[k];
            y[i * n + k] =
                k % 11 == i ? R(NAN) : R(height * t / (t + middle) + random_between(-0.1, 0.1));
        }
    }
    if (cbp_fit_defaults(&options) != CBP_OK) {
        exit(1);
    }
    options.loss = (cbp_loss){loss, R(0.0625)};
    if (cbp_fit_many(&chain, &sets, &options, work, &fits) != CBP_OK) {
        exit(1);
    }
    free(work);
    print_bits("fits", params, CHAINS * ALL);
    print_bits("fits", mean, CHAINS);
    print_bits("fits", standard_error, CHAINS * ALL);
    print_bits("fits", covariance, CHAINS * TRIANGLE);
    for (size_t i = 0; i < CHAINS; i++) {
        printf("fit %d %zu\n", status[i], iterations[i]);
    }
}

/* Quantiles, and the intervals of a curve. */
static void print_intervals(void)
{
    enum { P = 4, POINTS = 9 };
    const cbp_real dose[POINTS] = {0, R(0.25), R(0.5), 1, 2, 4, 8, 16, 32},
                   response[POINTS] = {R(0.1), R(0.3), R(0.4), R(1.1), R(2.2),
                                       R(2.9), R(3.6), R(3.8), R(4.1)},
                   fraction[] = {R(0.1), R(0.5), R(0.9)}, degrees[] = {R(0.5), 1, 5, 40, 101, 1000};
    cbp_real natural[P], params[2 * CBP_CURVE_LAYERS], covariance[P * P],
        triangle[(P + 1) * (P + 1)], found[6][POINTS];
    unsigned char determined[P];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance,
                               .determined = determined,
                               .triangle = triangle};
    const cbp_curve *curve = cbp_curve_named("logistic4");
    cbp_curve_inference fit = {.curve = curve, .result = &result, .level = R(0.95)};
    const cbp_curve_band band = {found[0], found[1], found[2], found[3], found[4], found[5]};
    const cbp_curve_inputs inputs = {found[0], found[1], found[2], found[3]};
    const cbp_examples examples = {dose, response, NULL, POINTS};
    cbp_fit_options options;
    cbp_real *work = numbers(cbp_curve_fit_work_len(POINTS));
    for (size_t i = 0; i < sizeof degrees / sizeof *degrees; i++) {
        found[0][i] = cbp_t_quantile(R(0.975), degrees[i]);
    }
    print_bits("quantiles", found[0], sizeof degrees / sizeof *degrees);
    if (cbp_fit_defaults(&options) != CBP_OK ||
        cbp_curve_fit(curve, &examples, NULL, &options, work, &result) != CBP_OK ||
        cbp_curve_predict(&fit, dose, POINTS, 1, &band) != CBP_OK) {
        exit(1);
    }
    free(work);
    for (size_t i = 0; i < 6; i++) {
        print_bits("band", found[i], POINTS);
    }
    for (fit.interval = 0; fit.interval < CBP_INTERVAL_END; fit.interval++) {
        if (cbp_curve_effective_dose(&fit, fraction, 3, &inputs) != CBP_OK) {
            exit(1);
        }
        for (size_t i = 0; i < 4; i++) {
            print_bits("dose", found[i], 3);
        }
    }
}

int main(void)
{
    const char *const levels[] = {"generic", "avx2", "avx512"};
    const unsigned char network_1[] = {CBP_SIGMOID, CBP_SIGMOID};
    const unsigned char logistic[] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY};
    const unsigned char gompertz[] = {CBP_EXP, CBP_EXP};
    unsigned char deep[MOST_LAYERS];
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        if (cbp_kernel_choose(levels[level]) != CBP_OK) {
            break;
        }
        printf("%s\n", levels[level]);
        print_gradient("one example", 2, network_1, 1, CBP_SQUARED);
        print_gradient("network 1", 2, network_1, MOST_EXAMPLES, CBP_SQUARED);
        print_gradient("log loss", 2, network_1, 777, CBP_LOG_LOSS);
        print_gradient("logistic", 3, logistic, 2049, CBP_SOFT_L1);
        print_gradient("gompertz", 2, gompertz, 130, CBP_CAUCHY);
        print_fits(16, CBP_SQUARED, 0);
        print_fits(21, CBP_HUBER, 1);
        print_intervals();
        for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
            char what[32];
            for (size_t l = 0; l < MOST_LAYERS; l++) {
                deep[l] = l == 5 ? (unsigned char)activation : CBP_TANH;
            }
            snprintf(what, sizeof what, "activation %d", activation);
            print_gradient(what, MOST_LAYERS, deep, 300, CBP_HUBER);
        }
    }
    return 0;
}
