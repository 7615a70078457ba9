/* All loops, and the table of them for one target: the one body that kernels_*.c include, each
 * under its target, after they have defined CBP_HAVE_FMA, CBP_HAS_WIDE_VECTORS, CBP_TARGET and
 * CBP_TARGET_NAME.
 */
#include "lanes.h"
#include "layer.h"
#include "example.h"
#include "sums.h"
#include "hessian.h"
#include "rows.h"
#include "normal.h"
#include "newton.h"
#include "starts.h"

#define CBP_JOIN_(a, b) a##b
#define CBP_JOIN(a, b) CBP_JOIN_(a, b)

const cbp_kernels CBP_JOIN(cbp_kernels_, CBP_TARGET) = {
    .name = CBP_TARGET_NAME,
    .activation = activation_values,
    .forward_one = forward_one,
    .slope_one = slope_one,
    .inverse_one = inverse_one,
    .loss_one = loss_one,
    .gradient_one = gradient_one,
    .forward = forward_all,
    .slope = slope_all,
    .inverse = inverse_all,
    .rows = example_rows,
    .loss_sums = loss_sums,
    .gradient_sums = gradient_sums,
    .hessian_sums = hessian_sums,
    .fit_rows = fit_rows,
    .merge_triangles = merge_triangles,
    .fit_lanes = fit_lanes,
    .finish_lanes = finish_lanes,
    .choose_starts = choose_starts,
};
