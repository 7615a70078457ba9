/* A reader of assays calibrates itself: it fits the four-parameter logistic curve to its standards and finds the
 * concentration of a sample. board.c or host.c reports. */
#include "report.h"

#include <cbackprop.h>
#include <math.h>

#define STANDARDS 16
#define WORK 5388 /* cbp_curve_fit_work_len(STANDARDS) */

/* Optical density by concentration in ng/ml: R's datasets::DNase, run 1. */
static const cbp_real concentration[STANDARDS] = {
    0.04882812f, 0.04882812f, 0.1953125f, 0.1953125f, 0.390625f, 0.390625f, 0.78125f, 0.78125f,
    1.5625f,     1.5625f,     3.125f,     3.125f,     6.25f,     6.25f,     12.5f,    12.5f};
static const cbp_real density[STANDARDS] = {0.017f, 0.018f, 0.121f, 0.124f, 0.206f, 0.215f,
                                            0.377f, 0.374f, 0.614f, 0.609f, 1.019f, 1.001f,
                                            1.334f, 1.364f, 1.73f,  1.71f};

int main(void)
{
    static cbp_real work[WORK];
    const cbp_curve *curve = cbp_curve_named("logistic4");
    const cbp_examples standards = {.x = concentration, .y = density, .n = STANDARDS};
    cbp_real natural[4], params[6], covariance[4][4], triangle[5][5];
    unsigned char determined[4];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance[0],
                               .determined = determined,
                               .triangle = triangle[0]};
    cbp_curve_facts facts;
    cbp_fit_options options;
    cbp_curve_describe(curve, &facts);
    cbp_fit_defaults(&options);
    if (cbp_curve_fit_work_len(STANDARDS) > WORK ||
        cbp_curve_fit(curve, &standards, NULL, &options, work, &result) != CBP_OK ||
        result.outcome != CBP_CONVERGED) {
        return 1;
    }
    for (size_t k = 0; k < facts.count; k++) {
        /* the covariance has the logarithms of positive parameters */
        const cbp_real scale = facts.positive[k] ? natural[k] : 1;
        report_real(facts.parameters[k], natural[k]);
        report_real("error", scale * sqrtf(covariance[k][k]));
    }

    const cbp_chain chain = {
        .params = params, .activations = facts.activations, .layers = facts.layers};
    const cbp_real sample = 0.85f;
    cbp_real found;
    if (cbp_inverse(&chain, &sample, 1, &found) != CBP_OK) {
        return 1;
    }
    report_real("concentration", found);
    return 0;
}
