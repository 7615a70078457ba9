/* One 4PL fit of ten points, in C: this library's Levenberg-Marquardt against GSL's, from the same start on the same
 * curves, covariances included. Prints one line: nanoseconds a fit of each, and their largest relative difference in the
 * sum of squares. Compiled and run by fits.py.
 *
 *   bottom + (top - bottom) / (1 + (ec50 / x)^slope)  =  w3 sigma(w2 log(x) + b2) + b3
 */
#define _POSIX_C_SOURCE 199309L
#include "cbackprop.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POINTS 10
#define CURVES 200

static double dose[POINTS], log_dose[POINTS], response[CURVES][POINTS];
static const double start[4] = {1.2, -0.5, 2.2, -0.1}; /* w2, b2, w3, b3 */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double random_between(double low, double high)
{
    return low + (high - low) * rand() / RAND_MAX;
}

static void make_curves(void)
{
    srand(1);
    for (int i = 0; i < POINTS; i++) {
        dose[i] = 0.01 * pow(3, i);
        log_dose[i] = log(dose[i]);
    }
    for (int c = 0; c < CURVES; c++) {
        const double slope = random_between(0.8, 1.8), middle = random_between(-1, 2);
        const double top = random_between(1.5, 2.5), bottom = random_between(-0.1, 0.2);
        for (int i = 0; i < POINTS; i++) {
            const double noise = random_between(-0.05, 0.05);
            response[c][i] = bottom + (top - bottom) / (1 + exp(-slope * (log_dose[i] - middle))) + noise;
        }
    }
}

/* ---- this library ---- */

static double ours(const double *y)
{
    static const unsigned char activations[3] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY}, frozen[6] = {1, 1, 0, 0, 0, 0};
    static double work[8192], covariance[36];
    double params[6] = {1, 0, start[0], start[1], start[2], start[3]}, variance;
    unsigned char determined[6];
    cbp_fit_options options;
    cbp_fit_info info;
    cbp_fit_defaults(&options);
    cbp_fit_lm(activations, frozen, NULL, NULL, dose, y, NULL, 3, POINTS, &options, work, params, &info);
    cbp_fit_covariance(params, activations, frozen, NULL, NULL, dose, y, NULL, 3, POINTS, CBP_SQUARED, 1,
                       NULL, work, &variance, covariance, determined);
    return info.loss * POINTS;
}

/* ---- GSL ---- */

static int residuals(const gsl_vector *p, void *data, gsl_vector *f)
{
    const double *y = data, w = p->data[0], b = p->data[1], scale = p->data[2], shift = p->data[3];
    for (size_t i = 0; i < POINTS; i++) {
        f->data[i] = scale / (1 + exp(-(w * log_dose[i] + b))) + shift - y[i];
    }
    return GSL_SUCCESS;
}

static int jacobian(const gsl_vector *p, void *data, gsl_matrix *j)
{
    (void)data;
    const double w = p->data[0], b = p->data[1], scale = p->data[2];
    for (size_t i = 0; i < POINTS; i++) {
        const double s = 1 / (1 + exp(-(w * log_dose[i] + b))), slope = scale * s * (1 - s);
        double *row = j->data + i * j->tda;
        row[0] = slope * log_dose[i];
        row[1] = slope;
        row[2] = s;
        row[3] = 1;
    }
    return GSL_SUCCESS;
}

static gsl_multifit_nlinear_workspace *workspace;
static gsl_matrix *gsl_covariance;

static double gsl(const double *y)
{
    gsl_multifit_nlinear_fdf problem = {.f = residuals, .df = jacobian, .n = POINTS, .p = 4, .params = (void *)y};
    gsl_vector_const_view begin = gsl_vector_const_view_array(start, 4);
    double squares;
    int info;
    gsl_multifit_nlinear_init(&begin.vector, &problem, workspace);
    gsl_multifit_nlinear_driver(100, 1e-10, 1e-10, 0, NULL, NULL, &info, workspace);
    gsl_multifit_nlinear_covar(gsl_multifit_nlinear_jac(workspace), 0, gsl_covariance);
    gsl_blas_ddot(workspace->f, workspace->f, &squares);
    return squares;
}

static double time_of(double (*fit)(const double *), int rounds)
{
    const double begin = now();
    for (int r = 0; r < rounds; r++) {
        for (int c = 0; c < CURVES; c++) {
            fit(response[c]);
        }
    }
    return (now() - begin) / rounds / CURVES * 1e9;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 15;
    const gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
    double worst = 0;
    workspace = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, POINTS, 4);
    gsl_covariance = gsl_matrix_alloc(4, 4);
    make_curves();
    for (int c = 0; c < CURVES; c++) {
        const double a = ours(response[c]), b = gsl(response[c]);
        worst = fmax(worst, fabs(a - b) / b);
    }
    for (int r = 0; r < rounds; r++) {
        printf("%.1f %.1f %.3g\n", time_of(ours, 20), time_of(gsl, 4), worst);
    }
    return 0;
}
