/* Forward and backward of this library against the sigmoid alone of SLEEF's vector exp: what nobody can do without.
 * Compiled and run by limit.py, with -mavx2 -mfma or -mavx512f. Prints lines of: layers, ns per example and layer, and
 * times the sigmoid's time in the first-level cache and from memory; first the sigmoid's two times. */
#define _POSIX_C_SOURCE 199309L

#include "cbackprop.h"

#include <immintrin.h>
#include <sleef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __AVX512F__
#define WIDTH 8
typedef __m512d vector;
#define LOAD _mm512_loadu_pd
#define STORE _mm512_storeu_pd
#define SET _mm512_set1_pd
#define ADD _mm512_add_pd
#define SUBTRACT _mm512_sub_pd
#define DIVIDE _mm512_div_pd
#define EXP Sleef_expd8_u10avx512f
#else
#define WIDTH 4
typedef __m256d vector;
#define LOAD _mm256_loadu_pd
#define STORE _mm256_storeu_pd
#define SET _mm256_set1_pd
#define ADD _mm256_add_pd
#define SUBTRACT _mm256_sub_pd
#define DIVIDE _mm256_div_pd
#define EXP Sleef_expd4_u10avx2
#endif

enum { EXAMPLES = 1000000, CACHED = 1000, MOST_LAYERS = 16, MOST_ROUNDS = 101 };

static double x[EXAMPLES], y[EXAMPLES], out[EXAMPLES];
static double params[2 * MOST_LAYERS], gradient[2 * MOST_LAYERS];
static unsigned char activations[MOST_LAYERS];

static void sigmoid(const double *from, size_t n, double *to)
{
    const vector zero = SET(0), one = SET(1);
    for (size_t i = 0; i < n; i += WIDTH) {
        STORE(to + i, DIVIDE(one, ADD(one, EXP(SUBTRACT(zero, LOAD(from + i))))));
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double time_cached(void)
{
    const double start = now();
    for (size_t i = 0; i < EXAMPLES; i += CACHED) {
        sigmoid(x, CACHED, out);
        __asm__ volatile("" : : "r"(out) : "memory"); /* each time anew */
    }
    return now() - start;
}

static double time_memory(void)
{
    const double start = now();
    sigmoid(x, EXAMPLES, out);
    return now() - start;
}

static double time_passes(size_t layers, double *work)
{
    const cbp_chain chain = {params, activations, NULL, layers};
    const cbp_examples examples = {x, y, NULL, EXAMPLES};
    double loss;
    const double start = now();
    if (cbp_gradient(&chain, &examples, NULL, work, &loss, gradient) != CBP_OK) {
        exit(1);
    }
    return now() - start;
}

static int ascending(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 2];
}

int main(int argc, char **argv)
{
    const int asked = argc > 1 ? atoi(argv[1]) : 15;
    const int rounds = asked < 1 ? 1 : asked > MOST_ROUNDS ? MOST_ROUNDS : asked;
    const size_t depths[] = {1, 4, 16};
    double cached[MOST_ROUNDS], memory[MOST_ROUNDS], passes[MOST_ROUNDS], over_cached[MOST_ROUNDS],
        over_memory[MOST_ROUNDS];
    double *work = malloc(cbp_work_len(MOST_LAYERS, EXAMPLES) * sizeof *work);
    if (!work) {
        return 1;
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        x[i] = (double)((i * 2654435761u) % 6000) / 1000 - 3;
        y[i] = (double)((i * 40503u) % 1000) / 1000;
    }
    for (size_t l = 0; l < MOST_LAYERS; l++) {
        params[2 * l] = 1.5;
        params[2 * l + 1] = -0.5;
        activations[l] = CBP_SIGMOID;
    }
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
        const double per = (double)depths[d];
        for (int round = -2; round < rounds; round++) { /* two to warm up */
            const int to = round < 0 ? 0 : round;
            cached[to] = time_cached();
            passes[to] = time_passes(depths[d], work) / per;
            memory[to] = time_memory();
            over_cached[to] = passes[to] / cached[to];
            over_memory[to] = passes[to] / memory[to];
        }
        if (d == 0) {
            printf("%.4f %.4f\n", median(cached, rounds) / EXAMPLES, median(memory, rounds) / EXAMPLES);
        }
        printf("%zu %.4f %.3f %.3f\n", depths[d], median(passes, rounds) / EXAMPLES, median(over_cached, rounds),
               median(over_memory, rounds));
    }
    free(work);
    return 0;
}
