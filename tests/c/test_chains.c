/* Many chains at once: values and gradients are those of the single calls. */
#include "many_call.h"

typedef int (*single)(const cbp_chain *chain, const cbp_real *in, size_t n, cbp_real *out);
typedef int (*many)(const cbp_chain *chains, size_t m, const cbp_real *in, size_t n, size_t step,
                    cbp_real *out);

enum { M = 7, N = 21 };

/* Those of m logistics, and one of them. */
static cbp_chain chains_of(const cbp_real *params)
{
    return (cbp_chain){params, logistic, NULL, 3};
}

static void test_maps(void)
{
    const single one[] = {cbp_forward, cbp_slope, cbp_inverse};
    const many all[] = {cbp_forward_many, cbp_slope_many, cbp_inverse_many};
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    const size_t steps[] = {0, 1, N};
    cbp_real params[M * 6], out[M * N], expected[N];
    const call c = problem_of(LOGISTICS, N, M);
    const cbp_real *x = c.sets.x, *y = c.sets.y;
    const cbp_chain chains = chains_of(params), no_params = chains_of(NULL);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    params[2 * 6 + 3] = R(NAN);
    for (size_t f = 0; f < 3; f++) {
        for (size_t s = 0; s < 3; s++) {
            CHECK(all[f](&chains, M, x, N, steps[s], out) == CBP_OK);
            for (size_t i = 0; i < M; i++) {
                const cbp_chain chain = chains_of(params + i * 6);
                CHECK(one[f](&chain, x + i * steps[s], N, expected) == CBP_OK);
                CHECK(same_all(out + i * N, expected, N));
            }
            CHECK(all[f](&chains, M, x, 0, steps[s], out) == CBP_OK);
            CHECK(all[f](&no_params, 0, NULL, N, steps[s], NULL) == CBP_OK);
        }
    }

    /* What is wrong with all chains is found before the first is written, with a weight of 0 and
     * without any chain. */
    const unsigned char kinked[] = {CBP_LOG, CBP_RELU, CBP_IDENTITY};
    const struct {
        cbp_chain chains;
        int status;
    } wrong[] = {{{params, NULL, NULL, 3}, CBP_ERROR_NULL},
                 {{params, unknown, NULL, 3}, CBP_ERROR_ACTIVATION},
                 {{params, logistic, NULL, 0}, CBP_ERROR_LAYERS},
                 {{params, logistic, NULL, SIZE_MAX}, CBP_ERROR_LAYERS},
                 {{params, logistic, NULL, SIZE_MAX / 2 + 1}, CBP_ERROR_LAYERS}};
    params[4] = 0;
    out[0] = 5;
    for (size_t m = 0; m <= M; m += M) {
        for (size_t step = 0; step <= N; step += N) {
            for (size_t f = 0; f < 3; f++) {
                CHECK(all[f](NULL, m, x, N, step, out) == CBP_ERROR_NULL);
                for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
                    CHECK(all[f](&wrong[k].chains, m, x, N, step, out) == wrong[k].status);
                }
                const int needed = m > 0 ? CBP_ERROR_NULL : CBP_OK;
                CHECK(all[f](&no_params, m, x, N, step, out) == needed);
                CHECK(all[f](&chains, m, NULL, 0, step, NULL) == CBP_OK);
            }
            CHECK(cbp_inverse_many(&(cbp_chain){params, kinked, NULL, 3}, m, x, N, step, out) ==
                  CBP_ERROR_NOT_INVERTIBLE);
            CHECK(out[0] == 5);
        }
    }
    params[4] = 1;
    for (size_t f = 0; f < 3; f++) {
        CHECK(all[f](&chains, M, NULL, N, N, out) == CBP_ERROR_NULL && out[0] == 5);
        CHECK(all[f](&chains, M, x, N, N, NULL) == CBP_ERROR_NULL);
    }

    /* A weight of 0 is NaN for that chain alone. */
    params[3 * 6] = 0;
    CHECK(cbp_inverse_many(&chains, M, y, N, N, out) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        const cbp_chain chain = chains_of(params + i * 6);
        CHECK(cbp_inverse(&chain, y + i * N, N, expected) ==
              (i == 3 ? CBP_ERROR_NOT_INVERTIBLE : CBP_OK));
        for (size_t k = 0; k < N; k++) {
            CHECK(i == 3 ? isnan(out[i * N + k]) : same(out[i * N + k], expected[k]));
        }
    }
}

static void test_gradients(void)
{
    const cbp_loss cauchy = {CBP_CAUCHY, R(0.5)};
    cbp_real params[M * 6], mean[M], gradient[M * 6], one_mean, one[6], alone_mean[M];
    const call c = problem_of(LOGISTICS, N, M);
    const cbp_chain chains = chains_of(params);
    cbp_real *work = filled(cbp_work_len(3, N), NAN);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    for (int variant = 0; variant < 8; variant++) {
        cbp_example_sets sets = c.sets;
        sets.x_step = variant & 1 ? 0 : N;
        sets.weight = variant & 2 ? all_weights : NULL;
        sets.weight_step = variant & 4 ? N : 0;
        CHECK(cbp_gradient_many(&chains, &sets, &cauchy, work, mean, gradient) == CBP_OK);
        CHECK(cbp_gradient_many(&chains, &sets, &cauchy, work, alone_mean, NULL) == CBP_OK);
        CHECK(same_all(mean, alone_mean, M));
        for (size_t i = 0; i < M; i++) {
            const cbp_chain chain = chains_of(params + i * 6);
            const cbp_examples set = {sets.x + i * sets.x_step, sets.y + i * N,
                                      sets.weight ? sets.weight + i * sets.weight_step : NULL, N};
            CHECK(cbp_gradient(&chain, &set, &cauchy, work, &one_mean, one) == CBP_OK);
            CHECK(same(one_mean, mean[i]) && same_all(one, gradient + i * 6, 6));
        }
    }
    free(work);
}

static void test_refused_gradients(void)
{
    cbp_real params[M * 6], mean[M], gradient[M * 6];
    cbp_real *work = filled(cbp_work_len(3, N), NAN);
    cbp_example_sets good = problem_of(LOGISTICS, N, M).sets;
    const cbp_chain chains = chains_of(params), no_params = chains_of(NULL);
    good.x_step = N;
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    mean[0] = gradient[0] = 5;
    cbp_example_sets no_x = good, no_y = good, no_n = good, no_m = good;
    no_x.x = NULL;
    no_y.y = NULL;
    no_n.n = 0;
    no_m.m = 0;
    const cbp_example_sets nothing = {.n = N};
    CHECK(cbp_gradient_many(&chains, &good, NULL, work, NULL, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(NULL, &good, NULL, work, mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(&chains, NULL, NULL, work, mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(&no_params, &good, NULL, work, mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(&chains, &no_x, NULL, work, mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(&chains, &no_y, NULL, work, mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(&chains, &no_n, NULL, work, mean, gradient) == CBP_ERROR_EMPTY);
    CHECK(mean[0] == 5 && gradient[0] == 5);
    CHECK(cbp_gradient_many(&chains, &no_m, NULL, work, mean, NULL) == CBP_OK);
    CHECK(cbp_gradient_many(&no_params, &nothing, NULL, NULL, NULL, NULL) == CBP_OK);

    /* What is wrong with a later chain, or with all, is found before the first is written, and
     * without any chain. */
#define ASK(activations, layers, weights, kind, scale, work)                                      \
    cbp_gradient_many(                                                                            \
        &(cbp_chain){params, activations, NULL, layers},                                          \
        &(cbp_example_sets){.x = good.x, .y = y, .weight = weights, .n = N, .m = m, .x_step = N}, \
        &(cbp_loss){kind, scale}, work, mean, gradient)
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_SIGMOID},
                        certain[] = {CBP_LOG, CBP_TANH, CBP_SIGMOID};
    cbp_real y[M * N] = {0}, weight[N] = {1};
    for (size_t m = 0; m <= M; m += M) {
        y[M * N - 1] = 0;
        weight[1] = 0;
        CHECK(ASK(NULL, 3, NULL, CBP_SQUARED, 1, work) == CBP_ERROR_NULL);
        CHECK(ASK(unknown, 3, NULL, CBP_SQUARED, 1, work) == CBP_ERROR_ACTIVATION);
        CHECK(ASK(logistic, 0, NULL, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, SIZE_MAX, NULL, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, 3, NULL, CBP_LOSS_END, 1, work) == CBP_ERROR_LOSS);
        CHECK(ASK(logistic, 3, NULL, CBP_HUBER, 0, work) == CBP_ERROR_SCALE);
        CHECK(ASK(logistic, 3, NULL, CBP_LOG_LOSS, 1, work) == CBP_ERROR_NO_SIGMOID);
        weight[1] = -1;
        CHECK(ASK(certain, 3, weight, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = weight[1] = 0;
        CHECK(ASK(certain, 3, weight, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = 1;
        CHECK(ASK(certain, 3, NULL, CBP_SQUARED, 1, NULL) == (m > 0 ? CBP_ERROR_NULL : CBP_OK));
        y[M * N - 1] = 2;
        CHECK(ASK(certain, 3, weight, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_TARGET : CBP_OK));
        CHECK(mean[0] == 5 && gradient[0] == 5);
    }
#undef ASK
    free(work);
}

int main(void)
{
    test_maps();
    test_gradients();
    test_refused_gradients();
    return check_done("test_chains");
}
