/* Many chains at once: values and gradients are those of the single calls. */
#include "many_call.h"

typedef int (*single)(const cbp_real *params, const unsigned char *activations, const cbp_real *in,
                      size_t layers, size_t n, cbp_real *out);
typedef int (*many)(const cbp_real *params, const unsigned char *activations, const cbp_real *in,
                    size_t layers, size_t n, size_t m, int shares, cbp_real *out);

static void test_maps(void)
{
    const single one[] = {cbp_forward, cbp_slope, cbp_inverse};
    const many all[] = {cbp_forward_many, cbp_slope_many, cbp_inverse_many};
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    enum { M = 7, N = 21 };
    cbp_real params[M * 6], out[M * N], expected[N];
    const call c = problem_of(LOGISTICS, N, M);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    params[2 * 6 + 3] = R(NAN);
    for (size_t f = 0; f < 3; f++) {
        for (int shares = 0; shares < 2; shares++) {
            CHECK(all[f](params, logistic, c.x, 3, N, M, shares, out) == CBP_OK);
            for (size_t i = 0; i < M; i++) {
                CHECK(one[f](params + i * 6, logistic, shares ? c.x : c.x + i * N, 3, N,
                             expected) == CBP_OK);
                CHECK(same_all(out + i * N, expected, N));
            }
            CHECK(all[f](params, logistic, c.x, 3, 0, M, shares, out) == CBP_OK);
            CHECK(all[f](NULL, logistic, NULL, 3, N, 0, shares, NULL) == CBP_OK);
        }
        out[0] = 5;
        CHECK(all[f](NULL, logistic, c.x, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, NULL, c.x, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, NULL, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, c.x, 3, N, M, 0, NULL) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, c.x, 0, N, M, 0, out) == CBP_ERROR_LAYERS);
        CHECK(all[f](params, unknown, c.x, 3, N, M, 0, out) == CBP_ERROR_ACTIVATION && out[0] == 5);
    }

    /* What is wrong with all chains is found before the first is written, with a weight of 0 and
     * without any chain. */
    const unsigned char kinked[] = {CBP_LOG, CBP_RELU, CBP_IDENTITY};
    params[4] = 0;
    for (size_t m = 0; m <= M; m += M) {
        for (size_t f = 0; f < 3; f++) {
            CHECK(all[f](params, NULL, c.x, 3, N, m, 0, out) == CBP_ERROR_NULL);
            CHECK(all[f](params, unknown, c.x, 3, N, m, 0, out) == CBP_ERROR_ACTIVATION);
            CHECK(all[f](params, logistic, c.x, 0, N, m, 0, out) == CBP_ERROR_LAYERS);
            CHECK(all[f](params, logistic, c.x, SIZE_MAX, N, m, 0, out) == CBP_ERROR_LAYERS);
            CHECK(all[f](params, logistic, c.x, SIZE_MAX / 2 + 1, N, m, 1, out) ==
                  CBP_ERROR_LAYERS);
            CHECK(all[f](NULL, logistic, c.x, 3, N, m, 0, out) ==
                  (m > 0 ? CBP_ERROR_NULL : CBP_OK));
            CHECK(all[f](params, logistic, NULL, 3, 0, m, 0, NULL) == CBP_OK);
        }
        CHECK(cbp_inverse_many(params, kinked, c.x, 3, N, m, 0, out) == CBP_ERROR_NOT_INVERTIBLE &&
              out[0] == 5);
    }
    params[4] = 1;

    /* A weight of 0 is its chain's misfortune. */
    params[3 * 6] = 0;
    CHECK(cbp_inverse_many(params, logistic, c.y, 3, N, M, 0, out) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(cbp_inverse(params + i * 6, logistic, c.y + i * N, 3, N, expected) ==
              (i == 3 ? CBP_ERROR_NOT_INVERTIBLE : CBP_OK));
        for (size_t k = 0; k < N; k++) {
            CHECK(i == 3 ? isnan(out[i * N + k]) : same(out[i * N + k], expected[k]));
        }
    }
}

static void test_gradients(void)
{
    enum { M = 7, N = 21 };
    cbp_real params[M * 6], mean[M], gradient[M * 6], one_mean, one[6], alone_mean[M];
    const call c = problem_of(LOGISTICS, N, M);
    cbp_real *work = filled(cbp_work_len(3, N), NAN);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    for (int variant = 0; variant < 4; variant++) {
        const int shares = variant & 1;
        const cbp_real *weight = variant & 2 ? all_weights : NULL;
        CHECK(cbp_gradient_many(params, logistic, c.x, c.y, weight, 3, N, M, shares, CBP_CAUCHY,
                                R(0.5), work, mean, gradient) == CBP_OK);
        CHECK(cbp_gradient_many(params, logistic, c.x, c.y, weight, 3, N, M, shares, CBP_CAUCHY,
                                R(0.5), work, alone_mean, NULL) == CBP_OK);
        CHECK(same_all(mean, alone_mean, M));
        for (size_t i = 0; i < M; i++) {
            CHECK(cbp_gradient(params + i * 6, logistic, shares ? c.x : c.x + i * N, c.y + i * N,
                               weight, 3, N, CBP_CAUCHY, R(0.5), work, &one_mean, one) == CBP_OK);
            CHECK(same(one_mean, mean[i]) && same_all(one, gradient + i * 6, 6));
        }
    }
    mean[0] = gradient[0] = 5;
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            NULL, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(NULL, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work, mean,
                            gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, NULL, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, c.x, NULL, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, 0, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_EMPTY);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_LOG_LOSS, 1, work,
                            mean, gradient) == CBP_ERROR_NO_SIGMOID);
    CHECK(mean[0] == 5 && gradient[0] == 5);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, 0, 0, CBP_SQUARED, 1, work,
                            mean, NULL) == CBP_OK);
    CHECK(cbp_gradient_many(NULL, logistic, NULL, NULL, NULL, 3, N, 0, 0, CBP_SQUARED, 1, NULL,
                            NULL, NULL) == CBP_OK);

    /* What is wrong with a later chain, or with all, is found before the first is written, and
     * without any chain. */
#define ASK(activations, weight, layers, m, loss, scale, work)                                 \
    cbp_gradient_many(params, activations, c.x, y, weight, layers, N, m, 0, loss, scale, work, \
                      mean, gradient)
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_SIGMOID},
                        certain[] = {CBP_LOG, CBP_TANH, CBP_SIGMOID};
    cbp_real y[M * N] = {0}, weight[N] = {1};
    for (size_t m = 0; m <= M; m += M) {
        y[M * N - 1] = 0;
        weight[1] = 0;
        CHECK(ASK(NULL, NULL, 3, m, CBP_SQUARED, 1, work) == CBP_ERROR_NULL);
        CHECK(ASK(unknown, NULL, 3, m, CBP_SQUARED, 1, work) == CBP_ERROR_ACTIVATION);
        CHECK(ASK(logistic, NULL, 0, m, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, NULL, SIZE_MAX, m, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, NULL, 3, m, CBP_LOSS_END, 1, work) == CBP_ERROR_LOSS);
        CHECK(ASK(logistic, NULL, 3, m, CBP_HUBER, 0, work) == CBP_ERROR_SCALE);
        CHECK(ASK(logistic, NULL, 3, m, CBP_LOG_LOSS, 1, work) == CBP_ERROR_NO_SIGMOID);
        weight[1] = -1;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = weight[1] = 0;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = 1;
        CHECK(ASK(certain, NULL, 3, m, CBP_SQUARED, 1, NULL) == (m > 0 ? CBP_ERROR_NULL : CBP_OK));
        y[M * N - 1] = 2;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
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
    return check_done("test_chains");
}
