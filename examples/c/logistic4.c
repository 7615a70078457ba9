/* A dose-response curve of four parameters with standard errors and 95% intervals: the root length
 * of ryegrass in cm by mM of ferulic acid (R package drc; Inderjit, Streibig and Olofsdotter, 2002).
 */
#include <cbackprop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define P 4 /* bottom, top, ec50, slope */

int main(void)
{
    const double dose[] = {0,    0,    0,    0,   0,   0,   0.94, 0.94, 0.94, 1.88, 1.88, 1.88,
                           3.75, 3.75, 3.75, 7.5, 7.5, 7.5, 15,   15,   15,   30,   30,   30};
    const double root[] = {7.58,   8,           8.328571429, 7.25,        7.375,
                           7.9625, 8.355555556, 6.914285714, 7.75,        6.871428571,
                           6.45,   5.922222222, 1.925,       2.885714286, 4.233333333,
                           1.1875, 0.857142857, 1.057142857, 0.6875,      0.525,
                           0.825,  0.25,        0.22,        0.44};
    const cbp_examples examples = {.x = dose, .y = root, .n = sizeof dose / sizeof *dose};

    const cbp_curve *curve = cbp_curve_named("logistic4"); /* null if there is none of this name */
    cbp_curve_facts facts;
    int status = cbp_curve_describe(curve, &facts);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    options.loss.kind = facts.loss;

    double natural[P], params[2 * CBP_CURVE_LAYERS], covariance[P][P], triangle[P + 1][P + 1];
    unsigned char determined[P];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance[0],
                               .determined = determined,
                               .triangle = triangle[0]};
    double *work = malloc(cbp_curve_fit_work_len(examples.n) * sizeof *work);
    status = cbp_curve_fit(curve, &examples, NULL, &options, work, &result);
    free(work);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    if (result.outcome != CBP_CONVERGED) {
        fprintf(stderr, "not converged\n");
        return 1;
    }
    const cbp_curve_inference inference = {
        .curve = curve, .result = &result, .loss = facts.loss, .level = 0.95};
    double low[P], high[P];
    status = cbp_curve_intervals(&inference, low, high);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    for (size_t k = 0; k < facts.count; k++) {
        const double sd = sqrt(covariance[k][k]), /* of the logarithm if it is positive */
            error = facts.positive[k] ? natural[k] * sd : sd;
        printf("%-6s %8.5f +- %.5f, from %8.5f to %8.5f%s\n", facts.parameters[k], natural[k],
               error, low[k], high[k], determined[k] == CBP_DETERMINED ? "" : ", not determined");
    }
    printf("R^2 %.5f, residual standard deviation %.5f\n", 1 - result.rss / result.total_squares,
           sqrt(result.variance));

    /* the fitted chain, for everything that chains can do */
    const cbp_chain chain = {
        .params = params, .activations = facts.activations, .layers = facts.layers};
    const double doses[] = {1, 2, 4}, length = 4;
    double lengths[3], at;
    status = cbp_forward(&chain, doses, 3, lengths);
    if (status == CBP_OK) {
        status = cbp_inverse(&chain, &length, 1, &at);
    }
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    printf("at 1, 2, 4: %.5f %.5f %.5f; %g at %.5f\n", lengths[0], lengths[1], lengths[2], length,
           at);
    return 0;
}
