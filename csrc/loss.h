/* The losses: of each its value and two derivatives, its form in a least-squares step, and what
 * rounding of an output is measured by. One short block each, and a row in the list at the end.
 */
#ifndef CBP_LOSS_H
#define CBP_LOSS_H

#include "activation.h"

/* Where one example has come to: its output a = act(z), and its target; and the scale of losses
 * that have one. */
typedef struct cbp_ending {
    cbp_real a, z, y, scale;
} cbp_ending;

/* The quadratic model of one example's loss: near the output a (a loss of z: near z) E is about
 *   curvature (da + residual)^2 + constant,   curvature = E''/2 and residual = E'/E'',
 * where a loss whose E'' may be negative has a positive S in the place of E'', and
 * E'' = (1 + excess) S. */
typedef struct cbp_quadratic {
    cbp_real value, residual, curvature, excess;
} cbp_quadratic;

/* Of each loss NAME below:
 *   cbp_NAME_loss_jet        E and its derivatives with respect to a, or to z if the list says so
 *   cbp_NAME_loss_quadratic  its quadratic model
 *   cbp_NAME_loss_size       the square of what an output near a amounts to, in the units of that
 *                            model's residuals */

/* ---- squared --------------------------------------------------------------------------------- */

CBP_INLINE cbp_jet cbp_squared_loss_jet(cbp_ending end)
{
    const cbp_real residual = end.a - end.y;
    return (cbp_jet){residual * residual, 2 * residual, 2};
}

CBP_INLINE cbp_quadratic cbp_squared_loss_quadratic(cbp_ending end)
{
    const cbp_real residual = end.a - end.y;
    return (cbp_quadratic){residual * residual, residual, 1, 0};
}

CBP_INLINE cbp_real cbp_squared_loss_size(cbp_ending end)
{
    return end.y * end.y;
}

/* ---- log ------------------------------------------------------------------------------------- */

/* From z and the target: E = log(1 + exp(z)) - y z, dE/dz = sigma(z) - y, each written for z > 0 in
 * 1 - y so that a certain answer costs nothing and has a slope that is exact. */
CBP_INLINE cbp_jet cbp_log_loss_jet(cbp_ending end)
{
    const cbp_real z = end.z, y = end.y;
    const cbp_power power = cbp_exp_falling(cbp_abs(z), 0);
    const cbp_real e = cbp_power_value(power);
    const cbp_real r = 1 / cbp_power_plus_one(power);
    const cbp_real er = e * r;
    const cbp_real other = z < 0 ? y : 1 - y; /* the part of the target on the side that z denies */
    return (cbp_jet){cbp_times(other, cbp_abs(z)) + cbp_log1p(e), z < 0 ? er - y : other - er,
                     er * r};
}

/* Where sigma' is all but 0, a floor under it keeps the quotient finite; the slope E' stays
 * exact. */
CBP_INLINE cbp_quadratic cbp_log_loss_quadratic(cbp_ending end)
{
    const cbp_jet loss = cbp_log_loss_jet(end);
    const cbp_real floor = CBP_PICK(0x1p-120, 0x1p-60f);
    const cbp_real second = loss.second < floor ? floor : loss.second;
    return (cbp_quadratic){loss.value, loss.slope / second, CBP_HALF * second, 0};
}

CBP_INLINE cbp_real cbp_log_loss_size(cbp_ending end)
{
    (void)end;
    return 1;
}

/* ---- robust ---------------------------------------------------------------------------------- */

/* Iterative reweighting: E'/r takes the place of E''. */
CBP_INLINE cbp_quadratic cbp_robust_quadratic(cbp_jet loss, cbp_real residual)
{
    const cbp_real curvature = residual == 0 ? 1 : CBP_HALF * (loss.slope / residual);
    return (cbp_quadratic){loss.value, residual, curvature, CBP_HALF * loss.second / curvature - 1};
}

/* A target further off than the scale s, by r, counts for s/r of itself: a far outlier must not
 * make rounding seem large. */
CBP_INLINE cbp_real cbp_robust_part(cbp_ending end)
{
    const cbp_real far = cbp_abs(end.a - end.y);
    return far > end.scale ? end.scale / far * end.y : end.y;
}

CBP_INLINE cbp_jet cbp_huber_loss_jet(cbp_ending end)
{
    const cbp_real residual = end.a - end.y, scale = end.scale;
    const int inside = cbp_abs(residual) <= scale;
    const cbp_real outside = scale * (2 * cbp_abs(residual) - scale);
    const cbp_real clamped = cbp_clamp(residual, -scale, scale);
    return (cbp_jet){inside ? residual * residual : outside, 2 * clamped,
                     (cbp_real)(inside ? 2 : 0)};
}

CBP_INLINE cbp_quadratic cbp_huber_loss_quadratic(cbp_ending end)
{
    return cbp_robust_quadratic(cbp_huber_loss_jet(end), end.a - end.y);
}

CBP_INLINE cbp_real cbp_huber_loss_size(cbp_ending end)
{
    return cbp_robust_part(end) * end.y;
}

/* With u = r/s: 2 r^2 / (1 + sqrt(1 + u^2)). Past u = 2^27 (single: 2^13) the root is |u| after
 * rounding, its square could overflow, and the loss is a straight line. */
CBP_INLINE cbp_jet cbp_soft_l1_loss_jet(cbp_ending end)
{
    const cbp_real residual = end.a - end.y, scale = end.scale;
    const cbp_real size = cbp_abs(residual / scale);
    const int far = size > CBP_PICK(0x1p27, 0x1p13f);
    const cbp_real root = cbp_sqrt(CBP_FMA(size, size, 1));
    const cbp_real near_value = 2 * residual * (residual / (1 + root));
    const cbp_real far_value = 2 * scale * (cbp_abs(residual) - scale);
    return (cbp_jet){far ? far_value : near_value,
                     far ? cbp_with_sign(2 * scale, residual) : 2 * residual / root,
                     2 / root / root / root};
}

CBP_INLINE cbp_quadratic cbp_soft_l1_loss_quadratic(cbp_ending end)
{
    return cbp_robust_quadratic(cbp_soft_l1_loss_jet(end), end.a - end.y);
}

CBP_INLINE cbp_real cbp_soft_l1_loss_size(cbp_ending end)
{
    return cbp_robust_part(end) * end.y;
}

/* With u = r/s: s^2 log(1 + u^2), by t = min(|u|, 1/|u|), whose square cannot overflow. */
CBP_INLINE cbp_jet cbp_cauchy_loss_jet(cbp_ending end)
{
    const cbp_real residual = end.a - end.y, scale = end.scale;
    const cbp_real size = cbp_abs(residual / scale);
    const int far = size > 1;
    const cbp_real t = far ? 1 / size : size;
    const cbp_real r = 1 / CBP_FMA(t, t, 1);
    const cbp_real near_log = cbp_log1p(t * t);
    const cbp_real growth = far ? CBP_FMA(2, cbp_log(size), near_log) : near_log;
    const cbp_real curvature = 2 * (1 - t) * (1 + t) * r * r;
    return (cbp_jet){scale * scale * growth, cbp_with_sign(2 * scale * t * r, residual),
                     far ? -curvature * t * t : curvature};
}

CBP_INLINE cbp_quadratic cbp_cauchy_loss_quadratic(cbp_ending end)
{
    return cbp_robust_quadratic(cbp_cauchy_loss_jet(end), end.a - end.y);
}

/* Its weights fall with the square of the distance. */
CBP_INLINE cbp_real cbp_cauchy_loss_size(cbp_ending end)
{
    const cbp_real part = cbp_robust_part(end);
    return part * part;
}

/* ---- Poisson --------------------------------------------------------------------------------- */

/* y log(y/a) - (y - a), where y log y is 0 at y = 0. By t = |a - y| over the lesser of the two, so
 * that log1p(t) is the logarithm of their ratio and keeps its digits where they are near. Where t
 * is infinite the logarithm counts for nothing beside a, or makes the deviance as infinite as its
 * slope. */
CBP_INLINE cbp_real cbp_half_deviance(cbp_real a, cbp_real y, cbp_real residual)
{
    const cbp_real size = cbp_abs(residual), t = size / (residual < 0 ? a : y);
    const cbp_real ratio = cbp_log1p(t), seen = t < CBP_INFINITY ? ratio : 0;
    return residual == 0 ? 0 : residual < 0 ? CBP_FMA(y, ratio, -size) : CBP_FMA(-y, seen, size);
}

/* The deviance, twice that; NaN unless a > 0. */
CBP_INLINE cbp_jet cbp_poisson_loss_jet(cbp_ending end)
{
    const cbp_real a = end.a > 0 ? end.a : CBP_NAN, y = end.y, residual = a - y;
    return (cbp_jet){2 * cbp_half_deviance(a, y, residual), 2 * (residual / a), 2 * (y / a / a)};
}

/* Fisher's scoring: E'' by what it is expected to be, 2/a. */
CBP_INLINE cbp_quadratic cbp_poisson_loss_quadratic(cbp_ending end)
{
    const cbp_jet loss = cbp_poisson_loss_jet(end);
    const cbp_real residual = end.a - end.y;
    return (cbp_quadratic){loss.value, residual, 1 / end.a, -CBP_HALF * loss.slope};
}

/* Of an output near its target: its square over the variance. */
CBP_INLINE cbp_real cbp_poisson_loss_size(cbp_ending end)
{
    return end.y;
}

/* ---- binomial -------------------------------------------------------------------------------- */

/* The deviance of a proportion, 2 (y log(y/a) + (1 - y) log((1 - y)/(1 - a))): that of two Poisson
 * losses. NaN unless a is from 0 to 1. */
CBP_INLINE cbp_real cbp_binomial_variance(cbp_real a)
{
    const cbp_real floor = CBP_PICK(0x1p-120, 0x1p-60f), variance = a * (1 - a);
    return a >= 0 && a <= 1 ? (variance < floor ? floor : variance) : CBP_NAN;
}

static CBP_NOINLINE cbp_jet cbp_binomial_loss_jet(cbp_ending end)
{
    const cbp_real a = end.a, y = end.y, residual = a - y, variance = cbp_binomial_variance(a);
    const cbp_real half =
        cbp_half_deviance(a, y, residual) + cbp_half_deviance(1 - a, 1 - y, -residual);
    const cbp_real part = (y * (1 - a) * (1 - a) + (1 - y) * a * a) / variance;
    return (cbp_jet){variance > 0 ? 2 * half : CBP_NAN, 2 * (residual / variance),
                     2 * (part / variance)};
}

/* Fisher's scoring. */
CBP_INLINE cbp_quadratic cbp_binomial_loss_quadratic(cbp_ending end)
{
    const cbp_jet loss = cbp_binomial_loss_jet(end);
    const cbp_real variance = cbp_binomial_variance(end.a);
    return (cbp_quadratic){loss.value, end.a - end.y, 1 / variance,
                           CBP_HALF * loss.second * variance - 1};
}

CBP_INLINE cbp_real cbp_binomial_loss_size(cbp_ending end)
{
    (void)end;
    return 1;
}

/* ---- powers of the output -------------------------------------------------------------------- */

/* Their quadratic models are long: one function for all loops is smaller than a vector in each. */

/* A positive output and its target in logarithms: a = base exp(log_ratio), where the base is y, or
 * a if y is 0. */
typedef struct cbp_logs {
    cbp_real a, log_base, log_ratio;
} cbp_logs;

/* A floor under an output of 0 keeps quotients finite; those below 0 are NaN. */
CBP_INLINE cbp_logs cbp_logs_of(cbp_ending end)
{
    const cbp_real floor = CBP_PICK(0x1p-120, 0x1p-60f), y = end.y;
    const cbp_real a = end.a >= 0 ? (end.a < floor ? floor : end.a) : CBP_NAN;
    const cbp_real ratio = cbp_log1p(cbp_abs(a - y) / (a < y ? a : y));
    return (cbp_logs){a, cbp_log(y > 0 ? y : a), y > 0 ? (a < y ? -ratio : ratio) : 0};
}

/* The integral of exp(c t) from 0 to u, where growth is exp(c u) - 1. */
CBP_INLINE cbp_real cbp_growth_over(cbp_real growth, cbp_real c, cbp_real u)
{
    return c == 0 ? u : growth / c;
}

CBP_INLINE cbp_jet cbp_jet_of(cbp_quadratic model)
{
    return (cbp_jet){model.value, 2 * model.curvature * model.residual,
                     2 * model.curvature * (1 + model.excess)};
}

/* The quasi-likelihood of a variance in proportion to a^p, p = 2 scale: twice the integral
 * of (t - y) t^-p from y to a (Wedderburn 1974), by t = y exp(s). At y = 0 from 0 on, for p < 2.
 * By Fisher's scoring. */
static CBP_NOINLINE cbp_quadratic cbp_power_loss_quadratic(cbp_ending end)
{
    const cbp_logs logs = cbp_logs_of(end);
    const cbp_real p = 2 * end.scale, c = 2 - p, u = logs.log_ratio, a = logs.a;
    const cbp_real base = cbp_exp(c * logs.log_base), growth = cbp_expm1(c * u),
                   other = cbp_expm1((1 - p) * u), residual = end.a - end.y;
    const cbp_real integral =
        end.y > 0 ? cbp_growth_over(growth, c, u) - cbp_growth_over(other, 1 - p, u) : 1 / c;
    const cbp_real weight = cbp_exp(-p * (logs.log_base + u)); /* a^-p */
    return (cbp_quadratic){2 * base * integral, residual, weight, -p * (residual / a)};
}

CBP_INLINE cbp_jet cbp_power_loss_jet(cbp_ending end)
{
    return cbp_jet_of(cbp_power_loss_quadratic(end));
}

CBP_INLINE cbp_real cbp_power_loss_size(cbp_ending end)
{
    return cbp_exp((2 - 2 * end.scale) * cbp_log(end.y));
}

/* Box and Cox's transform of both sides: (h(a) - h(y))^2, h(v) = (v^scale - 1) / scale, or log(v)
 * for a scale of 0 (Carroll and Ruppert 1984). */
static CBP_NOINLINE cbp_quadratic cbp_box_cox_loss_quadratic(cbp_ending end)
{
    const cbp_logs logs = cbp_logs_of(end);
    const cbp_real scale = end.scale, u = logs.log_ratio, a = logs.a;
    const cbp_real base = cbp_exp(scale * logs.log_base), growth = cbp_expm1(scale * u);
    const cbp_real difference = base * (end.y > 0 ? cbp_growth_over(growth, scale, u) : 1 / scale);
    const cbp_real slope = cbp_exp((scale - 1) * (logs.log_base + u)); /* h'(a) */
    const cbp_real residual = difference / slope;
    return (cbp_quadratic){difference * difference, residual, slope * slope,
                           (scale - 1) * (residual / a)};
}

CBP_INLINE cbp_jet cbp_box_cox_loss_jet(cbp_ending end)
{
    return cbp_jet_of(cbp_box_cox_loss_quadratic(end));
}

CBP_INLINE cbp_real cbp_box_cox_loss_size(cbp_ending end)
{
    return cbp_exp(2 * end.scale * cbp_log(end.y));
}

/* ---- the list -------------------------------------------------------------------------------- */

/* Every loss: code, name; the least and the greatest target; `dispersion`, 0 where the variance is
 * estimated (the facts of cbackprop.h say more); whether it has a scale (2: one of any sign);
 * whether it is robust; whether it is a loss of z, behind a sigmoid; whether its quadratic model
 * has an excess. */
#define CBP_LOSSES(X)                                                     \
    X(CBP_SQUARED, squared, -INFINITY, INFINITY, 0, 0, 0, 0, 0)           \
    X(CBP_LOG_LOSS, log, 0, 1, 0.5, 0, 0, 1, 0)                           \
    X(CBP_HUBER, huber, -INFINITY, INFINITY, 0, 1, 1, 0, 1)               \
    X(CBP_SOFT_L1, soft_l1, -INFINITY, INFINITY, 0, 1, 1, 0, 1)           \
    X(CBP_CAUCHY, cauchy, -INFINITY, INFINITY, 0, 1, 1, 0, 1)             \
    X(CBP_POISSON, poisson, 0, CBP_PICK(DBL_MAX, FLT_MAX), 1, 0, 0, 0, 1) \
    X(CBP_BINOMIAL, binomial, 0, 1, 1, 0, 0, 0, 1)                        \
    X(CBP_POWER, power, 0, CBP_PICK(DBL_MAX, FLT_MAX), 0, 2, 0, 0, 1)     \
    X(CBP_BOX_COX, box_cox, 0, CBP_PICK(DBL_MAX, FLT_MAX), 0, 2, 0, 0, 1)

#endif
