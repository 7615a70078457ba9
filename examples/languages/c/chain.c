/* Chains read from standard input, and a fit of a named curve; ../README.md has the format. */
#include <cbackprop.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double *numbers(size_t n)
{
    double *memory = malloc(n * sizeof *memory + 1);
    if (!memory) {
        exit(2);
    }
    return memory;
}

static double *read_numbers(size_t n)
{
    double *out = numbers(n);
    for (size_t i = 0; i < n; i++) {
        if (scanf("%lf", &out[i]) != 1) {
            exit(2);
        }
    }
    return out;
}

static unsigned char *read_bytes(size_t n)
{
    unsigned char *out = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        if (!out || scanf("%hhu", &out[i]) != 1) {
            exit(2);
        }
    }
    return out;
}

static void print(const char *what, const double *of, size_t n)
{
    printf("%s", what);
    for (size_t i = 0; i < n; i++) {
        printf(" %.17g", of[i]);
    }
    printf("\n");
}

static void check(int status)
{
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        exit(1);
    }
}

/* Fits bottom, top, ec50 and slope of "logistic4"; no start is needed. */
static void fit_curve(const cbp_examples *examples)
{
    double natural[4], errors[4], params[6], covariance[4][4], triangle[5][5];
    unsigned char determined[4];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance[0],
                               .determined = determined,
                               .triangle = triangle[0]};
    cbp_fit_options options;
    double *work = numbers(cbp_curve_fit_work_len(examples->n));
    check(cbp_fit_defaults(&options));
    check(cbp_curve_fit(cbp_curve_named("logistic4"), examples, NULL, &options, work, &result));
    for (size_t k = 0; k < 4; k++) {
        /* the covariance has log(ec50) */
        const double scale = k == 2 ? natural[k] : 1;
        errors[k] = sqrt(covariance[k][k] * scale * scale);
    }
    print("natural", natural, 4);
    print("errors", errors, 4);
    print("rss", &result.rss, 1);
    free(work);
}

int main(void)
{
    size_t layers, n;
    long fit, curve, repeats;
    while (scanf("%zu %zu %ld %ld %ld", &layers, &n, &fit, &curve, &repeats) == 5) {
        unsigned char *activations = read_bytes(layers), *frozen = read_bytes(2 * layers);
        double *params = read_numbers(2 * layers), *x = read_numbers(n), *y = read_numbers(n);
        double *out = numbers(n), *gradient = numbers(2 * layers);
        double *work = numbers(cbp_work_len(layers, n));
        const cbp_chain chain = {params, activations, frozen, layers};
        const cbp_examples examples = {.x = x, .y = y, .n = n};

        check(cbp_forward(&chain, x, n, out));
        print("forward", out, n);
        check(cbp_gradient(&chain, &examples, NULL, work, NULL, gradient));
        print("gradient", gradient, 2 * layers);

        if (fit) {
            cbp_fit_options options;
            cbp_fit_info info;
            double *fit_work = numbers(cbp_fit_work_len(layers, 2 * layers, n));
            check(cbp_fit_defaults(&options));
            check(cbp_fit_lm(&chain, &examples, &options, fit_work, params, &info));
            printf("iterations %zu\n", info.iterations);
            print("fit", params, 2 * layers);
            free(fit_work);
        }
        if (curve) {
            fit_curve(&examples);
        }
        if (repeats) {
            const cbp_examples first = {.x = x, .y = y, .n = 1};
            const clock_t start = clock();
            for (long i = 0; i < repeats; i++) {
                cbp_gradient(&chain, &first, NULL, work, NULL, gradient);
            }
            printf("ns %g\n", (double)(clock() - start) * 1e9 / CLOCKS_PER_SEC / (double)repeats);
        }
        free(activations), free(frozen), free(params), free(x), free(y);
        free(out), free(gradient), free(work);
    }
    return 0;
}
