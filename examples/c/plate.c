/* A screen: four-parameter logistic curves of many compounds at the same doses, fitted together. */
#include <cbackprop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define P 4       /* bottom, top, ec50, slope */
#define DOSES 10  /* wells of a compound */
#define SETS 1000 /* compounds */

/* What stands in for the measured plates. */
static void make_plates(const double *dose, double y[SETS][DOSES])
{
    for (size_t i = 0; i < SETS; i++) {
        const double ec50 = 0.05 * pow(100, (double)i / SETS);
        for (size_t j = 0; j < DOSES; j++) {
            const double noise = sin(12.9898 * (double)i + 78.233 * (double)j);
            y[i][j] = 2 + 98 / (1 + pow(ec50 / dose[j], 1.2)) + noise;
        }
    }
    y[1][3] = NAN; /* a well that was lost: the rest is fitted */
    for (size_t j = 0; j < DOSES; j++) {
        y[2][j] = 2; /* no effect at any dose */
        if (j > 2) {
            y[3][j] = NAN; /* too few wells */
        }
    }
}

int main(void)
{
    static double dose[DOSES], y[SETS][DOSES];
    for (size_t j = 0; j < DOSES; j++) {
        dose[j] = 30 * pow(3, -(double)j); /* 30 and dilutions by 3 */
    }
    make_plates(dose, y);
    const cbp_example_sets sets = {.x = dose, .y = y[0], .n = DOSES, .m = SETS}; /* x for all */

    static double natural[SETS][P], error[SETS][P], params[SETS][2 * CBP_CURVE_LAYERS], loss[SETS],
        weight[SETS], variance[SETS], df[SETS];
    static int status_of[SETS];
    static unsigned char determined[SETS][P];
    static size_t iterations[SETS];
    const cbp_curve_fits fits = {.natural = natural[0],
                                 .standard_error = error[0],
                                 .params = params[0],
                                 .status = status_of,
                                 .determined = determined[0],
                                 .iterations = iterations,
                                 .loss = loss,
                                 .weight = weight,
                                 .variance = variance,
                                 .df = df};
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    double *work = malloc(cbp_curve_fit_many_work_len(DOSES, SETS) * sizeof *work);
    const int status =
        cbp_curve_fit_many(cbp_curve_named("logistic4"), &sets, NULL, &options, work, &fits);
    free(work);
    if (status != CBP_OK) { /* what is wrong for all; each set has a status of its own */
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }

    size_t known = 0;
    for (size_t i = 0; i < SETS; i++) {
        known += status_of[i] == CBP_CONVERGED && determined[i][2] == CBP_DETERMINED;
    }
    printf("ec50 of %d compounds of %d\n", (int)known, SETS);
    for (size_t i = 0; i < 5; i++) {
        if (status_of[i] < 0) {
            printf("%d: %s\n", (int)i, cbp_status_string(status_of[i]));
        } else if (determined[i][2] != CBP_DETERMINED) {
            printf("%d: the wells do not determine ec50\n", (int)i);
        } else {
            printf("%d: %.4f +- %.4f, of %g wells\n", (int)i, natural[i][2], error[i][2],
                   df[i] + P);
        }
    }
    return 0;
}
