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

SEXP chain_forward(SEXP params, SEXP activations, SEXP x)
{
    SEXP out = PROTECT(allocVector(REALSXP, XLENGTH(x)));
    check(cbp_forward(REAL(params), RAW(activations), REAL(x), (size_t)XLENGTH(activations), (size_t)XLENGTH(x),
                      REAL(out)));
    UNPROTECT(1);
    return out;
}

SEXP chain_gradient(SEXP params, SEXP activations, SEXP x, SEXP y)
{
    const size_t layers = (size_t)XLENGTH(activations), n = (size_t)XLENGTH(x);
    SEXP out = PROTECT(allocVector(REALSXP, XLENGTH(params)));
    check(cbp_gradient(REAL(params), RAW(activations), REAL(x), REAL(y), NULL, layers, n, CBP_SQUARED, 1,
                       numbers(cbp_work_len(layers, n)), NULL, REAL(out)));
    UNPROTECT(1);
    return out;
}

SEXP chain_fit(SEXP params, SEXP activations, SEXP frozen, SEXP x, SEXP y)
{
    const size_t layers = (size_t)XLENGTH(activations);
    cbp_fit_options options;
    cbp_fit_info info;
    SEXP out = PROTECT(duplicate(params));
    cbp_fit_defaults(&options);
    check(cbp_fit_lm(RAW(activations), RAW(frozen), NULL, NULL, REAL(x), REAL(y), NULL, layers, (size_t)XLENGTH(x),
                     &options, numbers(cbp_fit_work_len(layers, 2 * layers, (size_t)XLENGTH(x))), REAL(out), &info));
    setAttrib(out, install("iterations"), ScalarReal((double)info.iterations));
    UNPROTECT(1);
    return out;
}
