/* Forward pass, gradient and fit of chains read from standard input; ../README.md has the
 * format. */
#include <cbackprop.h>

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

int main(void)
{
    size_t layers, n;
    long fit, repeats;
    while (scanf("%zu %zu %ld %ld", &layers, &n, &fit, &repeats) == 4) {
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
