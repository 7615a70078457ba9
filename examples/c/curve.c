/* Michaelis-Menten kinetics, vmax / (1 + km / dose) = w3 sigma(log(dose) + b2): fit, standard
 * errors, inverse. */
#include <cbackprop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LAYERS 3
#define FREE 2

static int stop_when_asked(void *user, const cbp_fit_info *info)
{
    (void)info; /* what has been reached so far */
    return *(const int *)user;
}

int main(void)
{
    const double dose[] = {0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1};
    const double rate[] = {76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200};
    const cbp_examples examples = {.x = dose, .y = rate, .n = sizeof dose / sizeof *dose};

    double params[2 * LAYERS] = {1, 0, 1, 3, 200, 0}; /* the start, then what was found */
    const unsigned char activations[LAYERS] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY};
    const unsigned char frozen[2 * LAYERS] = {1, 1, 1, 0, 0, 1}; /* all but b2 and w3 */
    const cbp_chain chain = {params, activations, frozen, LAYERS};

    int stop = 0; /* another thread, or a signal handler, may set it */
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    options.progress = stop_when_asked;
    options.user = &stop;

    double variance, matrix[FREE][FREE];
    unsigned char determined[2 * LAYERS];
    const cbp_covariance covariance = {&variance, matrix[0], determined};
    cbp_fit_info info;
    double *work = malloc(cbp_fit_work_len(LAYERS, FREE, examples.n) * sizeof *work);

    int status = cbp_fit_lm(&chain, &examples, &options, work, params, &info);
    if (status == CBP_OK) {
        status = cbp_fit_covariance(&chain, &examples, &options, NULL, work, &covariance);
    }
    free(work);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    if (info.outcome != CBP_CONVERGED) {
        fprintf(stderr, "not converged\n");
        return 1;
    }
    printf("vmax %.5f +- %.4f, km %.6f\n", params[4], sqrt(matrix[1][1]), exp(-params[3]));

    const double half = params[4] / 2;
    double at;
    if (cbp_inverse(&chain, &half, 1, &at) == CBP_OK) {
        printf("half of vmax at %.6f\n", at);
    }
    return 0;
}
