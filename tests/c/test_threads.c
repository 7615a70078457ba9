/* Threads that share a chain's parameters and examples, all calling at once from the very first
 * call on, while one keeps choosing kernels: all get what one alone gets, and ThreadSanitizer
 * reports nothing (threads.sh). */
#include <pthread.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 20, LAYERS = 3, EXAMPLES = 300 };

static const cbp_real params[2 * LAYERS] = {0.75, 0.25, -1.25, 0.5, 2, -0.5};
static const unsigned char activations[LAYERS] = {CBP_TANH, CBP_SIGMOID, CBP_IDENTITY};
static const cbp_chain chain = {params, activations, NULL, LAYERS};
static cbp_real x[EXAMPLES], y[EXAMPLES];
static const cbp_examples examples = {x, y, NULL, EXAMPLES};
static pthread_barrier_t together;

typedef struct answers {
    cbp_real out[EXAMPLES], mean, gradient[2 * LAYERS], fitted[2 * LAYERS];
    int status;
} answers;

static void ask(answers *got)
{
    cbp_real work[8192];
    got->status = cbp_work_len(LAYERS, EXAMPLES) <= 8192 &&
                          cbp_fit_work_len(LAYERS, 2 * LAYERS, EXAMPLES) <= 8192
                      ? 0
                      : 1;
    got->status |= cbp_forward(&chain, x, EXAMPLES, got->out);
    got->status |= cbp_gradient(&chain, &examples, NULL, work, &got->mean, got->gradient);
    cbp_fit_options options;
    cbp_fit_info info;
    cbp_fit_defaults(&options);
    options.max_iterations = 5;
    got->status |= cbp_fit_lm(&chain, &examples, &options, work, got->fitted, &info);
}

static void *reader(void *into)
{
    pthread_barrier_wait(&together);
    for (int round = 0; round < ROUNDS; round++) {
        ask(into);
    }
    return NULL;
}

/* The kernels above "generic" give the same bits as each other; "generic" may not, without fused
 * multiply-add. */
static void *chooser(void *unused)
{
    pthread_barrier_wait(&together);
    for (int round = 0; round < 100 * ROUNDS; round++) {
        cbp_kernel_choose(round % 2 ? "avx2" : NULL);
    }
    return unused;
}

int main(void)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        x[i] = (cbp_real)i / EXAMPLES * 4 - 2;
        y[i] = x[i] * x[i];
    }
    static answers got[THREADS], alone;
    pthread_t readers[THREADS], other;
    CHECK(pthread_barrier_init(&together, NULL, THREADS + 1) == 0);
    for (int k = 0; k < THREADS; k++) {
        CHECK(pthread_create(&readers[k], NULL, reader, &got[k]) == 0);
    }
    CHECK(pthread_create(&other, NULL, chooser, NULL) == 0);
    for (int k = 0; k < THREADS; k++) {
        CHECK(pthread_join(readers[k], NULL) == 0);
    }
    CHECK(pthread_join(other, NULL) == 0);

    ask(&alone);
    CHECK(alone.status == CBP_OK);
    for (int k = 0; k < THREADS; k++) {
        CHECK(memcmp(&got[k], &alone, sizeof alone) == 0);
    }
    return check_done("test_threads");
}
