/* A curve of one's own: the response of photosynthesis to light, P tanh(a x / P) - R. */
#include <cbackprop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAXIMUM, EFFICIENCY, RESPIRATION, COUNT };
#define LAYERS 2

int main(void)
{
    const double start[COUNT] = {20, 0.05, 1};
    const cbp_curve curve = {
        .name = "light response",
        .parameters = {"maximum", "efficiency", "respiration"},
        .positive = {1, 1, 0},
        .activations = {CBP_TANH, CBP_IDENTITY},
        .domain_low = 0,
        .domain_high = INFINITY,
        .grid = CBP_GRID_START,
        .start = start,
        .terms = {{CBP_RULE_RATIO, EFFICIENCY, MAXIMUM, 1}, /* w1 */
                  {CBP_RULE_CONSTANT, 0, 0, 0},             /* b1 */
                  {CBP_RULE_SAME, MAXIMUM, 0, 1},           /* w2 */
                  {CBP_RULE_SAME, RESPIRATION, 0, -1}},     /* b2 */
    };
    const double light[] = {0, 25, 50, 100, 200, 300, 500, 800, 1200};
    const double rate[] = {-1.4, -0.3, 0.5, 2.6, 5.7, 8.1, 10.4, 11.0, 10.8};
    const cbp_examples examples = {.x = light, .y = rate, .n = sizeof light / sizeof *light};

    double natural[COUNT], params[2 * LAYERS], covariance[COUNT][COUNT];
    double triangle[(COUNT + 1) * (COUNT + 1)];
    unsigned char determined[COUNT];
    cbp_curve_result result = {.natural = natural,
                               .params = params,
                               .covariance = covariance[0],
                               .determined = determined,
                               .triangle = triangle};
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    double *work = malloc(cbp_curve_fit_work_len(examples.n) * sizeof *work);
    const int status = cbp_curve_fit(&curve, &examples, NULL, &options, work, &result);
    free(work);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    for (size_t k = 0; k < COUNT; k++) {
        const double scale = curve.positive[k] ? natural[k] : 1; /* the coordinate is log n */
        printf("%-11s %9.6f +- %.6f\n", curve.parameters[k], natural[k],
               scale * sqrt(covariance[k][k]));
    }
    return 0;
}
