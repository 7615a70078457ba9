/* The averaged gradient of examples that come in parts: from threads, machines, or a file read piece by piece. */
#include <cbackprop.h>
#include <stdio.h>
#include <string.h>

#define LAYERS 2
#define LEN (2 * LAYERS + 2) /* sum of weights, loss, gradient */
#define PARTS 3
#define COUNT (PARTS * CBP_BLOCK) /* parts of whole blocks give the bits of one pass */

static double x[COUNT], y[COUNT], work[2048];

int main(void)
{
    const double params[] = {1.5, 0.1, -0.8, 0.3};
    const unsigned char activations[] = {CBP_TANH, CBP_SIGMOID};
    double sums[LEN] = {0}, lost[LEN] = {0}, mean[LEN - 1], whole[LEN - 1];
    int status = cbp_work_len(LAYERS, CBP_BLOCK) <= sizeof work / sizeof *work ? CBP_OK : CBP_ERROR_NULL;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = (double)i / COUNT;
        y[i] = 1 - x[i] * x[i];
    }

    for (size_t part = 0; status == CBP_OK && part < PARTS; part++) {
        double shard[LEN] = {0}, shard_lost[LEN] = {0};
        status = cbp_gradient_sums(params, activations, x + part * CBP_BLOCK, y + part * CBP_BLOCK, NULL, LAYERS,
                                   CBP_BLOCK, CBP_SQUARED, 1, work, shard, shard_lost);
        cbp_sums_merge(shard, shard_lost, LEN, sums, lost); /* always in the same order */
    }
    if (status == CBP_OK) {
        status = cbp_sums_mean(sums, lost, LEN, mean);
    }
    if (status == CBP_OK) {
        status = cbp_gradient(params, activations, x, y, NULL, LAYERS, COUNT, CBP_SQUARED, 1, work, whole, whole + 1);
    }
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    printf("loss %.6f, by parts and as a whole: %s\n", mean[0],
           memcmp(mean, whole, sizeof mean) == 0 ? "the same bits" : "not the same bits");
    return 0;
}
