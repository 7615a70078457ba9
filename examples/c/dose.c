/* A dose-response curve: the doses of half and of nine tenths of the effect, with their 95 %
 * intervals, and the dose of a response that was read three times. */
#include <cbackprop.h>
#include <stdio.h>
#include <stdlib.h>

#define P 4 /* parameters: bottom, top, ec50, slope */

int main(void)
{
    const double dose[] = {0, 0, 0.94, 0.94, 1.88, 3.75, 7.5, 15, 30};
    const double length[] = {8.0, 7.6, 8.4, 7.7, 6.4, 2.9, 1.1, 0.6, 0.3};
    const cbp_examples examples = {.x = dose, .y = length, .n = sizeof dose / sizeof *dose};
    const cbp_curve *curve = cbp_curve_named("logistic4");

    double natural[P], params[2 * CBP_CURVE_LAYERS], covariance[P * P], triangle[(P + 1) * (P + 1)];
    unsigned char determined[P];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance,
                               .determined = determined,
                               .triangle = triangle};
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    double *work = malloc(cbp_curve_fit_work_len(examples.n) * sizeof *work);
    int status = cbp_curve_fit(curve, &examples, NULL, &options, work, &result);
    free(work);

    cbp_curve_inference fit = {.curve = curve, .result = &result, .level = 0.95};
    const double fractions[] = {0.5, 0.9}, response = 5, readings = 3;
    double value[3], low[3], high[3];
    const cbp_curve_inputs doses = {.value = value, .low = low, .high = high};
    const cbp_curve_inputs last = {.value = value + 2, .low = low + 2, .high = high + 2};
    if (status == CBP_OK) {
        status = cbp_curve_effective_dose(&fit, fractions, 2, &doses);
    }
    if (status == CBP_OK) {
        fit.interval = CBP_INTERVAL_FIELLER;
        status = cbp_curve_invert(&fit, &response, &readings, 1, &last);
    }
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    const char *const names[] = {"ED50", "ED90", "response 5"};
    for (int i = 0; i < 3; i++) {
        printf("%s: %.3f, %.3f to %.3f\n", names[i], value[i], low[i], high[i]);
    }
    return 0;
}
