/* The same curve fitted to many series, with a status for each: A (1 - exp(-k x)) =
 * w2 expm1(w1 x). */
#include <cbackprop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LAYERS 2
#define FREE 2
#define N 8    /* points of a series */
#define M 1000 /* series */

int main(void)
{
    const double x[N] = {0.25, 0.5, 1, 1.5, 2, 3, 4, 6};
    static double y[M][N], params[M][2 * LAYERS];
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            y[i][j] = (1 + (double)i / M) * -expm1(-(0.5 + (double)i / M) * x[j]);
        }
        params[i][0] = params[i][2] = -1;
    }
    y[7][3] = NAN; /* a missing point */
    for (size_t j = 2; j < N; j++) {
        y[8][j] = y[9][j] = NAN; /* still enough, no longer enough */
    }
    y[9][1] = NAN;
    const cbp_example_sets sets = {.x = x, .y = y[0], .n = N, .m = M}; /* x_step 0: one x for all */

    const unsigned char activations[LAYERS] = {CBP_EXPM1, CBP_IDENTITY};
    const unsigned char frozen[2 * LAYERS] = {0, 1, 0, 1};
    const cbp_chain chain = {.activations = activations, .frozen = frozen, .layers = LAYERS};
    cbp_fit_options options;
    cbp_fit_defaults(&options);

    static int status_of[M];
    static size_t iterations[M];
    static double loss[M], weight[M], variance[M], df[M], standard_error[M][2 * LAYERS];
    static unsigned char determined[M][2 * LAYERS];
    const cbp_fits fits = {
        .params = params[0], /* the starts, then what was found */
        .status = status_of,
        .iterations = iterations,
        .loss = loss,
        .weight = weight,
        .variance = variance,
        .df = df,
        .standard_error = standard_error[0],
        .determined = determined[0],
    };
    double *work = malloc(cbp_fit_many_work_len(LAYERS, FREE, N) * sizeof *work);
    const int status = cbp_fit_many(&chain, &sets, &options, work, &fits);
    free(work);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    size_t converged = 0;
    for (size_t i = 0; i < M; i++) {
        converged += status_of[i] == CBP_CONVERGED;
    }
    printf("%d fitted of %d; the last: %.6f, %.6f\n", (int)converged, M, -params[M - 1][2],
           -params[M - 1][0]);
    printf("series 9: %s\n", cbp_status_string(status_of[9]));
    return 0;
}
