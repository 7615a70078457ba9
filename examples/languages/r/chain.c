/* What R calls by .Call; chain.R has the R functions. */
#include <cbackprop.h>

#include <R.h>
#include <Rinternals.h>

static void check(int status)
{
    if (status != CBP_OK) {
        error("%s", cbp_status_string(status));
    }
}

static double *numbers(size_t n)
{
    return (double *)R_alloc(n + 1, sizeof(double));
}

/* From list(activations, frozen, params). */
static cbp_chain chain_of(SEXP list)
{
    SEXP activations = VECTOR_ELT(list, 0);
    return (cbp_chain){.params = REAL(VECTOR_ELT(list, 2)),
                       .activations = RAW(activations),
                       .frozen = RAW(VECTOR_ELT(list, 1)),
                       .layers = (size_t)XLENGTH(activations)};
}

static cbp_examples examples_of(SEXP x, SEXP y)
{
    return (cbp_examples){.x = REAL(x), .y = REAL(y), .n = (size_t)XLENGTH(x)};
}

SEXP chain_forward(SEXP list, SEXP x)
{
    const cbp_chain chain = chain_of(list);
    SEXP out = PROTECT(allocVector(REALSXP, XLENGTH(x)));
    check(cbp_forward(&chain, REAL(x), (size_t)XLENGTH(x), REAL(out)));
    UNPROTECT(1);
    return out;
}

SEXP chain_gradient(SEXP list, SEXP x, SEXP y)
{
    const cbp_chain chain = chain_of(list);
    const cbp_examples examples = examples_of(x, y);
    double *work = numbers(cbp_work_len(chain.layers, examples.n));
    SEXP out = PROTECT(allocVector(REALSXP, 2 * XLENGTH(VECTOR_ELT(list, 0))));
    check(cbp_gradient(&chain, &examples, NULL, work, NULL, REAL(out)));
    UNPROTECT(1);
    return out;
}

SEXP chain_fit(SEXP list, SEXP x, SEXP y)
{
    const cbp_chain chain = chain_of(list);
    const cbp_examples examples = examples_of(x, y);
    double *work = numbers(cbp_fit_work_len(chain.layers, 2 * chain.layers, examples.n));
    cbp_fit_options options;
    cbp_fit_info info;
    SEXP out = PROTECT(allocVector(REALSXP, 2 * XLENGTH(VECTOR_ELT(list, 0))));
    cbp_fit_defaults(&options);
    check(cbp_fit_lm(&chain, &examples, &options, work, REAL(out), &info));
    setAttrib(out, install("iterations"), ScalarReal((double)info.iterations));
    UNPROTECT(1);
    return out;
}

/* list(natural, covariance, rss) of "logistic4"; no start is needed. */
SEXP curve_fit(SEXP x, SEXP y)
{
    const cbp_examples examples = examples_of(x, y);
    const char *names[] = {"natural", "covariance", "rss", ""};
    SEXP out = PROTECT(mkNamed(VECSXP, names));
    SEXP natural = SET_VECTOR_ELT(out, 0, allocVector(REALSXP, 4));
    SEXP covariance = SET_VECTOR_ELT(out, 1, allocMatrix(REALSXP, 4, 4));
    double params[6], triangle[5 * 5];
    unsigned char determined[4];
    cbp_curve_result result = {.natural = REAL(natural),
                               .params = params,
                               .covariance = REAL(covariance),
                               .determined = determined,
                               .triangle = triangle};
    double *work = numbers(cbp_curve_fit_work_len(examples.n));
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    check(cbp_curve_fit(cbp_curve_named("logistic4"), &examples, NULL, &options, work, &result));
    SET_VECTOR_ELT(out, 2, ScalarReal(result.rss));
    UNPROTECT(1);
    return out;
}
