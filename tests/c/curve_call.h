/* What the tests of named curves share: the curves by their formulas, and calls with room for what
 * they find. */
#ifndef CBP_CURVE_CALL_H
#define CBP_CURVE_CALL_H

#include "check.h"

/* Parameters of exact data; of the same data fitted in two ways, and their standard errors. */
#ifdef CBP_SINGLE
#define EXACT 2e-3
#define ALIKE 2e-2
#define ALIKE_ERRORS 1e-1
#else
#define EXACT 1e-7
#define ALIKE 1e-9
#define ALIKE_ERRORS 1e-5
#endif

static inline int is_near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * fmax(1, fmax(fabs(a), fabs(b)));
}

enum { P = CBP_CURVE_PARAMETERS, PLACES = 2 * CBP_CURVE_LAYERS, N = 24, GUARD = 64 };

/* ---- the curves ------------------------------------------------------------------------------ */

static inline double linear(const double *n, double x)
{
    return n[1] + n[0] * x;
}

static inline double exponential(const double *n, double x)
{
    return n[0] * exp(-n[1] * x);
}

static inline double saturation(const double *n, double x)
{
    return n[0] * (1 - exp(-n[1] * x));
}

static inline double asymptotic(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) * exp(-n[2] * x);
}

static inline double power(const double *n, double x)
{
    return n[0] * pow(x, n[1]);
}

static inline double michaelis_menten(const double *n, double x)
{
    return n[0] * x / (n[1] + x);
}

static inline double hill(const double *n, double x)
{
    return n[0] / (1 + pow(n[1] / x, n[2]));
}

static inline double logistic3(const double *n, double x)
{
    return n[0] / (1 + exp(-(x - n[1]) / n[2]));
}

static inline double logistic4_linear(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) / (1 + exp(-(x - n[2]) / n[3]));
}

static inline double logistic4(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) / (1 + pow(n[2] / x, n[3]));
}

static inline double logistic5(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) / pow(1 + pow(n[2] / x, n[3]), n[4]);
}

static inline double gompertz(const double *n, double x)
{
    return n[0] * exp(-n[1] * exp(-n[2] * x));
}

static inline double weibull(const double *n, double x)
{
    return n[0] - n[1] * exp(-exp(n[2]) * pow(x, n[3]));
}

static inline double richards(const double *n, double x)
{
    return n[0] / pow(1 + exp(n[1] - n[2] * x), 1 / n[3]);
}

static inline double gaussian_peak(const double *n, double x)
{
    const double z = (x - n[1]) / n[2];
    return n[0] * exp(-z * z / 2);
}

static inline double arrhenius(const double *n, double x)
{
    return n[0] * exp(-n[1] / (8.31446261815324 * x));
}

static inline double platt(const double *n, double x)
{
    return 1 / (1 + exp(-(n[0] * x + n[1])));
}

static inline double gaussian_peak_baseline(const double *n, double x)
{
    return n[3] + gaussian_peak(n, x);
}

static inline double exponential_growth(const double *n, double x)
{
    return n[0] * exp(n[1] * x);
}

static inline double langmuir(const double *n, double x)
{
    return n[0] * n[1] * x / (1 + n[1] * x);
}

static inline double freundlich(const double *n, double x)
{
    return n[0] * pow(x, 1 / n[1]);
}

static inline double hill_log10(const double *n, double x)
{
    return n[0] / (1 + pow(10, n[2] * (n[1] - x)));
}

static inline double logistic4_log10(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) / (1 + pow(10, n[3] * (n[2] - x)));
}

static inline double logistic5_log10(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) / pow(1 + pow(10, n[3] * (n[2] - x)), n[4]);
}

static inline double weibull_type1(const double *n, double x)
{
    return n[1] + (n[2] - n[1]) * exp(-pow(x / n[3], n[0]));
}

static inline double weibull_type2(const double *n, double x)
{
    return n[1] + (n[2] - n[1]) * (1 - exp(-pow(x / n[3], n[0])));
}

static inline double log_normal(const double *n, double x)
{
    return n[1] + (n[2] - n[1]) * erfc(-n[0] * log(x / n[3]) / sqrt(2)) / 2;
}

static inline double gompertz4(const double *n, double x)
{
    return n[1] + (n[2] - n[1]) * exp(-exp(n[0] * (x - n[3])));
}

static inline double no_effect_dose(const double *n, double x)
{
    return n[1] + (n[2] - n[1]) * exp(-n[0] * fmax(x - n[3], 0));
}

static inline double asymptotic_regression(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) * (1 - exp(-x / n[2]));
}

/* A curve as it should be: which parameters are positive, and typical ones, over typical inputs. */
typedef struct model {
    const char *name, *parameters, *positive;
    double (*value)(const double *natural, double x);
    int is_of_positive, is_log_x, loss; /* of_positive: its domain is x >= 0 */
    double low, high, natural[P];
} model;

static const model models[] = {
    {"linear", "slope intercept", "00", linear, 0, 0, CBP_SQUARED, -2, 3, {0.7, -1.2}},
    {"exponential", "scale rate", "00", exponential, 0, 0, CBP_SQUARED, 0, 5, {3, 0.8}},
    {"saturation", "asymptote rate", "00", saturation, 0, 0, CBP_SQUARED, 0, 5, {2.5, 0.9}},
    {"asymptotic",
     "asymptote start rate",
     "000",
     asymptotic,
     0,
     0,
     CBP_SQUARED,
     0,
     6,
     {3, 0.5, 0.7}},
    {"power", "scale exponent", "00", power, 1, 1, CBP_SQUARED, 0.2, 5, {1.5, 0.6}},
    {"michaelis_menten", "vmax km", "01", michaelis_menten, 1, 0, CBP_SQUARED, 0.1, 8, {2, 1.3}},
    {"hill", "top ec50 slope", "010", hill, 1, 1, CBP_SQUARED, 0.1, 20, {2, 1.5, 1.8}},
    {"logistic3",
     "asymptote midpoint scale",
     "000",
     logistic3,
     0,
     0,
     CBP_SQUARED,
     -4,
     6,
     {2, 1.2, 0.9}},
    {"logistic4_linear",
     "left right midpoint scale",
     "0001",
     logistic4_linear,
     0,
     0,
     CBP_SQUARED,
     -5,
     6,
     {2.5, 0.4, 0.7, 0.8}},
    {"logistic4",
     "bottom top ec50 slope",
     "0010",
     logistic4,
     1,
     1,
     CBP_SQUARED,
     0.05,
     40,
     {0.3, 2.2, 1.6, -1.3}},
    {"logistic5",
     "bottom top ec50 slope asymmetry",
     "00101",
     logistic5,
     1,
     1,
     CBP_SQUARED,
     0.01,
     100,
     {0.3, 2.2, 1.6, 1.7, 0.6}},
    {"gompertz",
     "asymptote displacement rate",
     "010",
     gompertz,
     0,
     0,
     CBP_SQUARED,
     -2,
     6,
     {2, 2.5, 0.9}},
    {"weibull",
     "asymptote drop log_rate power",
     "0000",
     weibull,
     1,
     0,
     CBP_SQUARED,
     0.1,
     6,
     {3, 2.2, -1.4, 1.6}},
    {"richards",
     "asymptote offset rate shape",
     "0001",
     richards,
     0,
     0,
     CBP_SQUARED,
     -6,
     8,
     {2, 0.8, 1.1, 1.7}},
    {"gaussian_peak",
     "height center width",
     "001",
     gaussian_peak,
     0,
     0,
     CBP_SQUARED,
     -3,
     5,
     {2.2, 0.6, 1.1}},
    {"arrhenius",
     "prefactor activation_energy",
     "10",
     arrhenius,
     1,
     0,
     CBP_SQUARED,
     280,
     400,
     {5e5, 3.5e4}},
    {"platt", "slope intercept", "00", platt, 0, 0, CBP_LOG_LOSS, -3, 4, {1.4, -0.6}},
    {"gaussian_peak_baseline",
     "height center width baseline",
     "0010",
     gaussian_peak_baseline,
     0,
     0,
     CBP_SQUARED,
     -3,
     5,
     {2.2, 0.6, 1.1, 1.7}},
    {"exponential_growth",
     "scale rate",
     "00",
     exponential_growth,
     0,
     0,
     CBP_SQUARED,
     0,
     5,
     {3, 0.6}},
    {"langmuir", "qmax k", "01", langmuir, 1, 0, CBP_SQUARED, 0.1, 8, {2, 1.3}},
    {"freundlich", "k n", "01", freundlich, 1, 0, CBP_SQUARED, 0.2, 5, {1.5, 1.8}},
    {"hill_log10",
     "top logec50 slope",
     "000",
     hill_log10,
     0,
     0,
     CBP_SQUARED,
     -2,
     2.5,
     {2, 0.3, 1.2}},
    {"logistic4_log10",
     "bottom top logec50 slope",
     "0000",
     logistic4_log10,
     0,
     0,
     CBP_SQUARED,
     -2,
     2.5,
     {0.3, 2.2, 0.4, -1.1}},
    {"logistic5_log10",
     "bottom top logec50 slope asymmetry",
     "00001",
     logistic5_log10,
     0,
     0,
     CBP_SQUARED,
     -2,
     2.5,
     {0.3, 2.2, 0.4, 1.3, 0.6}},
    {"weibull_type1",
     "slope lower upper e",
     "0001",
     weibull_type1,
     1,
     1,
     CBP_SQUARED,
     0.05,
     40,
     {1.3, 0.3, 2.2, 1.6}},
    {"weibull_type2",
     "slope lower upper e",
     "0001",
     weibull_type2,
     1,
     1,
     CBP_SQUARED,
     0.05,
     40,
     {-1.3, 0.3, 2.2, 1.6}},
    {"log_normal",
     "slope lower upper e",
     "0001",
     log_normal,
     1,
     1,
     CBP_SQUARED,
     0.05,
     40,
     {-0.9, 0.3, 2.2, 1.6}},
    {"gompertz4",
     "slope lower upper e",
     "0000",
     gompertz4,
     0,
     0,
     CBP_SQUARED,
     -4,
     6,
     {0.9, 0.3, 2.2, 0.7}},
    {"no_effect_dose",
     "slope lower upper e",
     "1000",
     no_effect_dose,
     0,
     0,
     CBP_SQUARED,
     0,
     10,
     {0.6, 0.3, 2.2, 2.7}},
    {"asymptotic_regression",
     "lower upper e",
     "001",
     asymptotic_regression,
     0,
     0,
     CBP_SQUARED,
     0,
     6,
     {0.5, 3, 1.4}},
};

enum { MODELS = sizeof models / sizeof *models };

static inline size_t parameters_of(const model *m)
{
    return strlen(m->positive);
}

static inline const model *find_model(const char *name)
{
    for (size_t i = 0; i < MODELS; i++) {
        if (strcmp(models[i].name, name) == 0) {
            return &models[i];
        }
    }
    exit(2);
}

/* Inputs of a model: even steps, of log x where that is how it is drawn. */
static inline void fill_inputs(const model *m, size_t n, cbp_real *x)
{
    for (size_t i = 0; i < n; i++) {
        const double part = (double)i / (double)(n - 1);
        x[i] = R(m->is_log_x ? m->low * pow(m->high / m->low, part)
                             : m->low + (m->high - m->low) * part);
    }
}

static inline void fill_targets(const model *m, const double *natural, size_t n, const cbp_real *x,
                                cbp_real *y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = R(m->value(natural, (double)x[i]));
    }
}

/* The same with errors of so much of the largest target; yes and no of probabilities. */
static inline void fill_noisy(const model *m, const double *natural, double noise, size_t n,
                              const cbp_real *x, cbp_real *y)
{
    double size = 0;
    fill_targets(m, natural, n, x, y);
    for (size_t i = 0; i < n; i++) {
        size = fmax(size, fabs((double)y[i]));
    }
    for (size_t i = 0; i < n; i++) {
        y[i] = m->loss == CBP_LOG_LOSS ? (cbp_real)(random_between(0, 1) < (double)y[i])
                                       : y[i] + R(noise * size * random_between(-1, 1));
    }
}

static inline cbp_fit_options options_for(const model *m)
{
    cbp_fit_options options;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.loss.kind = m->loss;
    return options;
}

/* What a coordinate's standard error is multiplied by to become the parameter's. */
static inline double scale_of(const model *m, size_t k, const cbp_real *natural)
{
    return m->positive[k] == '1' ? (double)natural[k] : 1;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* What a fit finds. */
typedef struct fitted {
    cbp_curve_result result;
    cbp_real natural[P], params[PLACES], covariance[P * P], triangle[(P + 1) * (P + 1)];
    unsigned char determined[P];
} fitted;

/* Work memory of NaN with a guard behind it; whether the guard is whole, and the end of both. */
static inline cbp_real *guarded(size_t len)
{
    cbp_real *work = numbers(len + GUARD);
    for (size_t k = 0; k < len + GUARD; k++) {
        work[k] = k < len ? R(NAN) : R(1234.5) + R(k - len);
    }
    return work;
}

static inline int is_whole(cbp_real *work, size_t len)
{
    int whole = 1;
    for (size_t k = 0; k < GUARD; k++) {
        whole &= work[len + k] == R(1234.5) + R(k);
    }
    free(work);
    return whole;
}

static inline int fit_row(const cbp_curve *curve, const cbp_examples *examples,
                          const cbp_real *fixed, const cbp_fit_options *options, fitted *found)
{
    memset(found, 0, sizeof *found);
    found->result = (cbp_curve_result){.natural = found->natural,
                                       .params = found->params,
                                       .covariance = found->covariance,
                                       .determined = found->determined,
                                       .triangle = found->triangle};
    const size_t len = cbp_curve_fit_work_len(examples->n);
    cbp_real *work = guarded(len);
    cbp_examples own = *examples;
    cbp_real *x = exactly(own.x, own.n), *y = exactly(own.y, own.n),
             *weight = exactly(own.weight, own.n);
    own = (cbp_examples){x, y, weight, own.n};
    const int status = cbp_curve_fit(curve, &own, fixed, options, work, &found->result);
    CHECK(is_whole(work, len));
    free(x);
    free(y);
    free(weight);
    return status;
}

static inline int fit_curve(const model *m, const cbp_examples *examples, const cbp_real *fixed,
                            const cbp_fit_options *options, fitted *found)
{
    return fit_row(cbp_curve_named(m->name), examples, fixed, options, found);
}

/* What m fits find. */
typedef struct found_many {
    size_t count, layers;
    cbp_curve_fits fits;
} found_many;

static inline void *bytes(size_t len)
{
    void *memory = calloc(len + (len == 0), 1);
    if (!memory) {
        exit(2);
    }
    return memory;
}

static inline found_many room_for(const cbp_curve *curve, size_t m)
{
    cbp_curve_facts facts = {0};
    CHECK(cbp_curve_describe(curve, &facts) == CBP_OK);
    const size_t p = facts.count;
    return (found_many){p,
                        facts.layers,
                        {numbers(m * p), numbers(m * p), numbers(m * 2 * facts.layers),
                         bytes(m * sizeof(int)), bytes(m * p), bytes(m * sizeof(size_t)),
                         numbers(m), numbers(m), numbers(m), numbers(m)}};
}

static inline void release(found_many *found)
{
    free(found->fits.natural);
    free(found->fits.standard_error);
    free(found->fits.params);
    free(found->fits.status);
    free(found->fits.determined);
    free(found->fits.iterations);
    free(found->fits.loss);
    free(found->fits.weight);
    free(found->fits.variance);
    free(found->fits.df);
}

static inline found_many fit_rows(const cbp_curve *curve, const cbp_example_sets *sets,
                                  const cbp_real *fixed, const cbp_fit_options *options)
{
    const size_t len = cbp_curve_fit_many_work_len(sets->n, sets->m);
    found_many found = room_for(curve, sets->m);
    cbp_real *work = guarded(len);
    CHECK(cbp_curve_fit_many(curve, sets, fixed, options, work, &found.fits) == CBP_OK);
    CHECK(is_whole(work, len));
    return found;
}

static inline found_many fit_many(const model *of, const cbp_example_sets *sets,
                                  const cbp_real *fixed, const cbp_fit_options *options)
{
    return fit_rows(cbp_curve_named(of->name), sets, fixed, options);
}

#endif
