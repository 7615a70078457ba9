/* The averaged gradient of examples that come in parts: from threads, machines, or a file read
 * piece by piece. */
#include <cbackprop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 2
#define LEN (2 * LAYERS + 2) /* sum of weights, loss, gradient */
#define PARTS 3
#define COUNT (PARTS * CBP_BLOCK) /* parts of whole blocks give the bits of one pass */

int main(void)
{
    const double params[] = {1.5, 0.1, -0.8, 0.3};
    const unsigned char activations[] = {CBP_TANH, CBP_SIGMOID};
    const cbp_chain chain = {.params = params, .activations = activations, .layers = LAYERS};
    static double x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = (double)i / COUNT;
        y[i] = 1 - x[i] * x[i];
    }
    /* no memory is a status of the call that needs it */
    double *work = malloc(cbp_work_len(LAYERS, COUNT) * sizeof *work);
    double sums[LEN] = {0}, compensation[LEN] = {0}, mean[LEN - 1], whole[LEN - 1];

    int status = CBP_OK;
    for (size_t first = 0; status == CBP_OK && first < COUNT; first += CBP_BLOCK) {
        const cbp_examples part = {.x = x + first, .y = y + first, .n = CBP_BLOCK};
        double part_sums[LEN] = {0}, part_compensation[LEN] = {0};
        status = cbp_gradient_sums(&chain, &part, NULL, work, part_sums, part_compensation);
        /* always in the same order */
        cbp_sums_merge(part_sums, part_compensation, LEN, sums, compensation);
    }
    if (status == CBP_OK) {
        status = cbp_sums_mean(sums, compensation, LEN, mean);
    }
    if (status == CBP_OK) {
        const cbp_examples all = {.x = x, .y = y, .n = COUNT};
        status = cbp_gradient(&chain, &all, NULL, work, whole, whole + 1);
    }
    free(work);
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    printf("loss %.6f, by parts and as a whole: %s\n", mean[0],
           memcmp(mean, whole, sizeof mean) == 0 ? "the same bits" : "not the same bits");
    return 0;
}
