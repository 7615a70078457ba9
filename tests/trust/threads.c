/* Many threads in the C core at once, for ThreadSanitizer (tests/trust/sanitizers.sh): the first
 * call that chooses the kernels, passes of one chain that all read, fits of many chains in shards;
 * each result has the bits of one thread. */
#define _POSIX_C_SOURCE 200809L /* barriers, under -std=c99 */
#include "cbackprop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, LAYERS = 2, EXAMPLES = 600, POINTS = 12, CHAINS = 40, ROUNDS = 3 };

static const unsigned char activations[LAYERS] = {CBP_TANH, CBP_IDENTITY};
static const cbp_real params[2 * LAYERS] = {1.5, -0.25, 2, 0.5};
static const cbp_chain chain = {params, activations, NULL, LAYERS};
static cbp_real x[EXAMPLES], y[EXAMPLES], targets[CHAINS * POINTS];
static const cbp_examples examples = {x, y, NULL, EXAMPLES};
static const cbp_example_sets sets = {.x = x, .y = targets, .n = POINTS, .m = CHAINS};
static pthread_barrier_t gate;

typedef struct result {
    cbp_real out[EXAMPLES], mean, gradient[2 * LAYERS];
    cbp_real found[CHAINS * 2 * LAYERS], loss[CHAINS], weight[CHAINS], variance[CHAINS], df[CHAINS];
    cbp_real standard_error[CHAINS * 2 * LAYERS];
    size_t iterations[CHAINS];
    int status[CHAINS];
    unsigned char determined[CHAINS * 2 * LAYERS];
} result;

static int work_all(result *r)
{
    cbp_real *work = malloc(sizeof *work * cbp_work_len(LAYERS, EXAMPLES));
    cbp_real *fit_work =
        malloc(sizeof *fit_work * cbp_fit_many_work_len(LAYERS, 2 * LAYERS, POINTS));
    cbp_fit_options options;
    const cbp_fits fits = {.params = r->found,
                           .status = r->status,
                           .iterations = r->iterations,
                           .loss = r->loss,
                           .weight = r->weight,
                           .variance = r->variance,
                           .df = r->df,
                           .standard_error = r->standard_error,
                           .determined = r->determined};
    int status = !work || !fit_work;
    for (size_t i = 0; i < CHAINS; i++) {
        memcpy(r->found + i * 2 * LAYERS, params, sizeof params);
    }
    status |= cbp_fit_defaults(&options);
    status |= cbp_forward(&chain, x, EXAMPLES, r->out);
    status |= cbp_gradient(&chain, &examples, NULL, work, &r->mean, r->gradient);
    status |= cbp_fit_many(&chain, &sets, &options, fit_work, &fits);
    free(work);
    free(fit_work);
    return status;
}

static void *run(void *given)
{
    result *r = given;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < ROUNDS; i++) {
        if (work_all(r) != CBP_OK) {
            fputs("threads.c: a call failed\n", stderr);
            exit(1);
        }
        (void)cbp_kernel_choose(NULL); /* "safe at any time" */
    }
    return NULL;
}

int main(void)
{
    static result results[THREADS + 1];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < EXAMPLES; i++) {
        x[i] = (cbp_real)i / 64 - 4;
        y[i] = x[i] / (1 + x[i] * x[i]);
    }
    for (size_t i = 0; i < CHAINS * POINTS; i++) {
        targets[i] = (cbp_real)(i * 7919 % 101) / 50 + (cbp_real)(i % POINTS) / 4;
    }
    pthread_barrier_init(&gate, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run, &results[i]) != 0) {
            return 2;
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_init(&gate, NULL, 1);
    run(&results[THREADS]);
    for (size_t i = 0; i < THREADS; i++) {
        if (memcmp(&results[i], &results[THREADS], sizeof results[i]) != 0) {
            fprintf(stderr, "threads.c: thread %zu has other bits than one thread alone\n", i);
            return 1;
        }
    }
    puts("threads: ok");
    return 0;
}
