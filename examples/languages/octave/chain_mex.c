/* [gradient, out] = chain_mex(params, activations, x, y),
 * [fitted, iterations] = chain_mex(params, activations, x, y, frozen), which fits, and
 * [natural, covariance, rss] = chain_mex(x, y), which fits the curve "logistic4".
 * For Octave and MATLAB. */
#include <cbackprop.h>

#include "mex.h"

static void check(int status)
{
    if (status != CBP_OK) {
        mexErrMsgIdAndTxt("cbackprop:status", "%s", cbp_status_string(status));
    }
}

static double *numbers(size_t n)
{
    return mxMalloc((n + 1) * sizeof(double)); /* freed when the call returns */
}

/* No start is needed. */
static void fit_curve(mxArray *out[3], const mxArray *x, const mxArray *y)
{
    const cbp_examples examples = {mxGetPr(x), mxGetPr(y), NULL, mxGetNumberOfElements(x)};
    double params[6], triangle[5 * 5];
    unsigned char determined[4];
    out[0] = mxCreateDoubleMatrix(1, 4, mxREAL);
    out[1] = mxCreateDoubleMatrix(4, 4, mxREAL);
    cbp_curve_result result = {.natural = mxGetPr(out[0]),
                               .params = params,
                               .covariance = mxGetPr(out[1]),
                               .determined = determined,
                               .triangle = triangle};
    double *work = numbers(cbp_curve_fit_work_len(examples.n));
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    check(cbp_curve_fit(cbp_curve_named("logistic4"), &examples, NULL, &options, work, &result));
    out[2] = mxCreateDoubleScalar(result.rss);
}

void mexFunction(int outputs, mxArray *out[], int inputs, const mxArray *in[])
{
    if (inputs == 2 && outputs == 3 && mxIsDouble(in[0]) && mxIsDouble(in[1]) &&
        mxGetNumberOfElements(in[0]) == mxGetNumberOfElements(in[1])) {
        fit_curve(out, in[0], in[1]);
        return;
    }
    if (inputs < 4 || !mxIsDouble(in[0]) || !mxIsUint8(in[1]) ||
        (inputs > 4 && !mxIsUint8(in[4]))) {
        mexErrMsgIdAndTxt("cbackprop:arguments",
                          "expected params, uint8 activations, x, y and perhaps uint8 frozen, "
                          "or x and y, of one length, for three results");
    }
    const size_t layers = mxGetNumberOfElements(in[1]), n = mxGetNumberOfElements(in[2]);
    const cbp_chain chain = {mxGetPr(in[0]), mxGetData(in[1]), inputs > 4 ? mxGetData(in[4]) : NULL,
                             layers};
    const cbp_examples examples = {mxGetPr(in[2]), mxGetPr(in[3]), NULL, n};
    out[0] = mxCreateDoubleMatrix(1, 2 * layers, mxREAL);
    if (chain.frozen) {
        cbp_fit_options options;
        cbp_fit_info info;
        double *work = numbers(cbp_fit_work_len(layers, 2 * layers, n));
        cbp_fit_defaults(&options);
        check(cbp_fit_lm(&chain, &examples, &options, work, mxGetPr(out[0]), &info));
        if (outputs > 1) {
            out[1] = mxCreateDoubleScalar((double)info.iterations);
        }
        return;
    }
    double *work = numbers(cbp_work_len(layers, n));
    check(cbp_gradient(&chain, &examples, NULL, work, NULL, mxGetPr(out[0])));
    if (outputs > 1) {
        out[1] = mxCreateDoubleMatrix(1, n, mxREAL);
        check(cbp_forward(&chain, examples.x, n, mxGetPr(out[1])));
    }
}
