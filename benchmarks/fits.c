/* 4PL fits of ten points, in C: this library's Levenberg-Marquardt, one by one and many at a time, against GSL's, cminpack's
 * and Ceres' TinySolver, those that HAVE_... says are there; all from the same start on the same curves, covariances
 * included, to about ten digits; and its fit of a named curve, which finds its own start. Prints the names; then, in each round, nanoseconds a fit of each; then each one's largest
 * excess over the least sum of squares that any finds, relative to it. Compiled and run by fits.py.
 *
 *   bottom + (top - bottom) / (1 + (ec50 / x)^slope)  =  w3 sigma(w2 log(x) + b2) + b3
 */
#define _POSIX_C_SOURCE 199309L
#include "cbackprop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POINTS 10
#define CURVES 2000

static double dose[POINTS], log_dose[POINTS], response[CURVES][POINTS];
static const double start_params[6] = {1, 0, 1.2, -0.5, 2.2, -0.1}; /* where all start: w1, b1, w2, b2, w3, b3 */
static const double start[4] = {1.2, -0.5, 2.2, -0.1};

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

static const unsigned char activations[3] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY}, frozen[6] = {1, 1, 0, 0, 0, 0};
static const cbp_chain chain = {start_params, activations, frozen, 3};

static void one_by_one(double *squares)
{
    static double work[8192], covariance[36];
    for (int c = 0; c < CURVES; c++) {
        double params[6], variance;
        unsigned char determined[6];
        const cbp_chain fitted = {params, activations, frozen, 3};
        const cbp_examples examples = {dose, response[c], NULL, POINTS};
        const cbp_covariance out = {&variance, covariance, determined};
        cbp_fit_options options;
        cbp_fit_info info;
        cbp_fit_defaults(&options);
        cbp_fit_lm(&chain, &examples, &options, work, params, &info);
        cbp_fit_covariance(&fitted, &examples, &options, NULL, work, &out);
        squares[c] = info.loss * POINTS;
    }
}

static void curves(double *squares)
{
    static double work[65536];
    const cbp_curve *curve = cbp_curve_named("logistic4");
    if (cbp_curve_fit_work_len(POINTS) > sizeof work / sizeof *work) {
        abort();
    }
    for (int c = 0; c < CURVES; c++) {
        double natural[4], params[6], covariance[16], triangle[25];
        unsigned char determined[4];
        const cbp_examples examples = {dose, response[c], NULL, POINTS};
        cbp_curve_result result = {.natural = natural, .params = params, .covariance = covariance,
                                   .determined = determined, .triangle = triangle};
        cbp_fit_options options;
        cbp_fit_defaults(&options);
        cbp_curve_fit(curve, &examples, NULL, &options, work, &result);
        squares[c] = result.loss * POINTS;
    }
}

static void many(double *squares)
{
    static double params[CURVES][6], loss[CURVES], weight[CURVES], variance[CURVES], df[CURVES];
    static double standard_error[CURVES][6], covariance[CURVES][10];
    static int status[CURVES];
    static size_t iterations[CURVES];
    static unsigned char determined[CURVES][6];
    static double *work;
    const cbp_example_sets sets = {.x = dose, .y = response[0], .n = POINTS, .m = CURVES};
    const cbp_fits fits = {params[0], status, iterations, loss, weight, variance, df, standard_error[0], covariance[0],
                           determined[0]};
    cbp_fit_options options;
    if (work == NULL) {
        work = malloc(cbp_fit_many_work_len(3, 4, POINTS) * sizeof *work);
    }
    for (int c = 0; c < CURVES; c++) {
        memcpy(params[c], start_params, sizeof start_params);
    }
    cbp_fit_defaults(&options);
    cbp_fit_many(&chain, &sets, &options, work, &fits);
    for (int c = 0; c < CURVES; c++) {
        squares[c] = loss[c] * POINTS;
    }
}

static void many_avx2(double *squares) /* where there are better kernels and these */
{
    cbp_kernel_choose("avx2");
    many(squares);
    cbp_kernel_choose(NULL);
}

/* ---- GSL ---- */

#ifdef HAVE_GSL
#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>

static int gsl_residuals(const gsl_vector *p, void *data, gsl_vector *f)
{
    const double *y = data, w = p->data[0], b = p->data[1], scale = p->data[2], shift = p->data[3];
    for (size_t i = 0; i < POINTS; i++) {
        f->data[i] = scale / (1 + exp(-(w * log_dose[i] + b))) + shift - y[i];
    }
    return GSL_SUCCESS;
}

static int gsl_jacobian(const gsl_vector *p, void *data, gsl_matrix *j)
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

static void gsl(double *squares)
{
    static gsl_multifit_nlinear_workspace *workspace;
    static gsl_matrix *covariance;
    const gsl_vector_const_view begin = gsl_vector_const_view_array(start, 4);
    if (workspace == NULL) {
        const gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
        workspace = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, POINTS, 4);
        covariance = gsl_matrix_alloc(4, 4);
    }
    for (int c = 0; c < CURVES; c++) {
        gsl_multifit_nlinear_fdf problem = {
            .f = gsl_residuals, .df = gsl_jacobian, .n = POINTS, .p = 4, .params = response[c]};
        int info;
        gsl_multifit_nlinear_init(&begin.vector, &problem, workspace);
        gsl_multifit_nlinear_driver(100, 1e-10, 1e-10, 0, NULL, NULL, &info, workspace);
        gsl_multifit_nlinear_covar(gsl_multifit_nlinear_jac(workspace), 0, covariance);
        gsl_blas_ddot(workspace->f, workspace->f, &squares[c]);
    }
}
#endif

/* ---- cminpack ---- */

#ifdef HAVE_CMINPACK
#include <cminpack-1/cminpack.h>

static int cminpack_function(void *data, int m, int n, const double *p, double *f, double *jacobian, int step, int flag)
{
    const double *y = data;
    (void)n;
    for (int i = 0; i < m; i++) {
        const double s = 1 / (1 + exp(-(p[0] * log_dose[i] + p[1]))), slope = p[2] * s * (1 - s);
        if (flag == 1) {
            f[i] = p[2] * s + p[3] - y[i];
        } else {
            jacobian[i] = slope * log_dose[i];
            jacobian[i + step] = slope;
            jacobian[i + 2 * step] = s;
            jacobian[i + 3 * step] = 1;
        }
    }
    return 0;
}

static void cminpack(double *squares)
{
    for (int c = 0; c < CURVES; c++) {
        double p[4], f[POINTS], jacobian[4 * POINTS], diag[4], qtf[4], work[3][4], more[POINTS];
        int evaluations, jacobians, order[4];
        memcpy(p, start, sizeof start);
        lmder(cminpack_function, response[c], POINTS, 4, p, f, jacobian, POINTS, 1e-10, 1e-10, 0, 1000, diag, 1, 100, 0,
              &evaluations, &jacobians, order, qtf, work[0], work[1], work[2], more);
        const double norm = enorm(POINTS, f);
        squares[c] = norm * norm;
        covar1(POINTS, 4, squares[c], jacobian, POINTS, order, 1e-15, work[0]);
    }
}
#endif

/* ---- Ceres' TinySolver ---- */

#ifdef HAVE_TINY_SOLVER
double tiny_solver(const double *log_dose, const double *y, const double *start, double *covariance);

static void tiny(double *squares)
{
    double covariance[16];
    for (int c = 0; c < CURVES; c++) {
        squares[c] = tiny_solver(log_dose, response[c], start, covariance);
    }
}
#endif

/* ---- in turn ---- */

static const struct contestant {
    const char *name;
    void (*fit)(double *squares);
    int repeats; /* in a round */
} contestants[] = {
    {"one by one", one_by_one, 1},
    {"curves", curves, 1},
    {"many", many, 10},
    {"many, AVX2", many_avx2, 10},
#ifdef HAVE_GSL
    {"GSL multifit_nlinear", gsl, 1},
#endif
#ifdef HAVE_CMINPACK
    {"cminpack lmder", cminpack, 1},
#endif
#ifdef HAVE_TINY_SOLVER
    {"Ceres TinySolver", tiny, 2},
#endif
};

enum { COUNT = sizeof contestants / sizeof contestants[0] };

int main(int argc, char **argv)
{
    static double squares[COUNT][CURVES];
    const int rounds = argc > 1 ? atoi(argv[1]) : 15;
    double worst[COUNT] = {0};
    make_curves();
    for (int k = 0; k < COUNT; k++) {
        printf("%s%s", contestants[k].name, k + 1 < COUNT ? "\t" : "\n");
        contestants[k].fit(squares[k]);
    }
    for (int c = 0; c < CURVES; c++) {
        double least = squares[0][c];
        for (int k = 1; k < COUNT; k++) {
            least = fmin(least, squares[k][c]);
        }
        for (int k = 0; k < COUNT; k++) {
            worst[k] = fmax(worst[k], squares[k][c] / least - 1);
        }
    }
    for (int r = 0; r < rounds; r++) {
        for (int k = 0; k < COUNT; k++) {
            const double begin = now();
            for (int i = 0; i < contestants[k].repeats; i++) {
                contestants[k].fit(squares[k]);
            }
            printf("%.1f\t", (now() - begin) / contestants[k].repeats / CURVES * 1e9);
        }
        printf("\n");
    }
    for (int k = 0; k < COUNT; k++) {
        printf("%.1e\t", worst[k]);
    }
    printf("\n");
    return 0;
}
