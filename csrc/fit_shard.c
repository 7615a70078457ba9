/* What a fit needs to know of some of its examples, for fits whose examples are in several places. */
#include "fit.h"

int cbp_fit_shard(const cbp_real *params, const unsigned char *activations, const unsigned char *frozen,
                  const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                  cbp_real scale, cbp_real *work, cbp_real *triangle, cbp_real *sums, cbp_real *lost)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_fit fit = {activations, frozen, NULL, NULL, x, y, weight, layers, n, {loss, scale}, NULL, NULL};
    const int status = cbp_check_average(&chain, fit.criterion, x, y, weight, n, sums);
    if (status != CBP_OK) {
        return status;
    }
    if (!work || !triangle || !lost) {
        return CBP_ERROR_NULL;
    }
    const cbp_fit_totals totals = cbp_fit_totals_of(&fit);
    cbp_add(&sums[0], &lost[0], totals.weight);
    cbp_add(&sums[2], &lost[2], totals.examples);
    cbp_add(&sums[3], &lost[3], cbp_fit_squares(&fit, params));
    cbp_kernels_now()->fit_rows(&chain, fit.criterion, frozen, x, y, weight, n, cbp_count_free(frozen, layers), work,
                                triangle, &sums[1], &lost[1]);
    return CBP_OK;
}
