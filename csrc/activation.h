/* The activations: value, slope, second derivative, inverse. One short block each, and a row in the
 * list at the end.
 *
 * Slopes and second derivatives are computed from z, never from the value: the digits that they are
 * made of are not in 1 - a any more. A jet that is read only in part is computed only in part:
 * every function here is inlined.
 */
#ifndef CBP_ACTIVATION_H
#define CBP_ACTIVATION_H

#include "elementary.h"

typedef struct cbp_jet {
    cbp_real value, slope, second;
} cbp_jet;

#define CBP_HALF_PI CBP_PICK(0x1.921fb54442d18p+0, 0x1.921fb6p+0f)
#define CBP_HALF CBP_PICK(0.5, 0.5f)

/* Past this size a factor of z cannot save exp(-|z|) from being 0, and must not be infinite beside
 * it. */
#define CBP_EXP_REACH CBP_PICK(800.0, 120.0f)
/* The same for exp(-z^2/2). */
#define CBP_BELL_REACH CBP_PICK(40.0, 15.0f)

/* ---- piecewise linear and power functions ---------------------------------------------------- */

CBP_INLINE cbp_jet cbp_identity_jet(cbp_real z)
{
    const cbp_real nan_or_0 = z == z ? 0 : z;
    return (cbp_jet){z, 1 + nan_or_0, nan_or_0};
}

CBP_INLINE cbp_real cbp_identity_inverse(cbp_real y)
{
    return y;
}

/* The slope at 0 is 0. */
CBP_INLINE cbp_jet cbp_relu_jet(cbp_real z)
{
    const cbp_real nan_or_0 = z == z ? 0 : z;
    return (cbp_jet){z <= 0 ? 0 : z, z > 0 ? 1 : nan_or_0, nan_or_0};
}

/* The slope at 0 is that of z < 0. */
CBP_INLINE cbp_jet cbp_leaky_relu_jet(cbp_real z)
{
    const cbp_real leak = CBP_PICK(0.01, 0.01f);
    const cbp_real nan_or_0 = z == z ? 0 : z;
    return (cbp_jet){z > 0 ? z : leak * z, (z > 0 ? 1 : leak) + nan_or_0, nan_or_0};
}

CBP_INLINE cbp_real cbp_leaky_relu_inverse(cbp_real y)
{
    return y > 0 ? y : y / CBP_PICK(0.01, 0.01f);
}

CBP_INLINE cbp_jet cbp_square_jet(cbp_real z)
{
    return (cbp_jet){z * z, 2 * z, z == z ? 2 : z};
}

CBP_INLINE cbp_jet cbp_sqrt_jet(cbp_real z)
{
    const cbp_real value = cbp_sqrt(z);
    return (cbp_jet){value, CBP_HALF / cbp_abs(value),
                     -(CBP_HALF * CBP_HALF / cbp_abs(z)) / cbp_abs(value)};
}

CBP_INLINE cbp_real cbp_sqrt_inverse(cbp_real y)
{
    return y >= 0 ? y * y : CBP_NAN;
}

CBP_INLINE cbp_jet cbp_reciprocal_jet(cbp_real z)
{
    const cbp_real r = 1 / z;
    return (cbp_jet){r, -(r * r), 2 * r * (r * r)};
}

CBP_INLINE cbp_real cbp_reciprocal_inverse(cbp_real y)
{
    return 1 / y;
}

CBP_INLINE cbp_jet cbp_softsign_jet(cbp_real z)
{
    const cbp_real size = cbp_abs(z);
    const cbp_real r = 1 / (1 + size);
    const cbp_real value = size < CBP_INFINITY ? z / (1 + size) : cbp_with_sign(1, z);
    return (cbp_jet){z == z ? value : z, r * r, z == 0 ? 0 : cbp_with_sign(2 * r * (r * r), -z)};
}

CBP_INLINE cbp_real cbp_softsign_inverse(cbp_real y)
{
    return cbp_abs(y) <= 1 ? y / (1 - cbp_abs(y)) : CBP_NAN;
}

/* ---- exponential and logarithm --------------------------------------------------------------- */

CBP_INLINE cbp_jet cbp_exp_jet(cbp_real z)
{
    const cbp_real value = cbp_exp(z);
    return (cbp_jet){value, value, value};
}

CBP_INLINE cbp_real cbp_exp_inverse(cbp_real y)
{
    return cbp_log(y);
}

CBP_INLINE cbp_jet cbp_expm1_jet(cbp_real z)
{
    const cbp_real slope = cbp_exp(z);
    return (cbp_jet){cbp_expm1(z), slope, slope};
}

CBP_INLINE cbp_real cbp_expm1_inverse(cbp_real y)
{
    return cbp_log1p(y);
}

CBP_INLINE cbp_jet cbp_log_jet(cbp_real z)
{
    const cbp_real r = z >= 0 ? 1 / cbp_abs(z) : CBP_NAN; /* cbp_abs: -0 counts as 0 */
    return (cbp_jet){cbp_log(z), r, -(r * r)};
}

CBP_INLINE cbp_real cbp_log_inverse(cbp_real y)
{
    return cbp_exp(y);
}

CBP_INLINE cbp_jet cbp_log1p_jet(cbp_real z)
{
    const cbp_real r = z >= -1 ? 1 / (1 + z) : CBP_NAN;
    return (cbp_jet){cbp_log1p(z), r, -(r * r)};
}

CBP_INLINE cbp_real cbp_log1p_inverse(cbp_real y)
{
    return cbp_expm1(y);
}

CBP_INLINE cbp_jet cbp_elu_jet(cbp_real z)
{
    const cbp_power power = cbp_exp_falling(z > 0 ? 0 : -z, 0);
    const cbp_real growth = cbp_power_value(power);
    return (cbp_jet){z > 0 ? z : cbp_power_minus_one(power), z > 0 ? 1 : growth,
                     z > 0 ? 0 : growth};
}

CBP_INLINE cbp_real cbp_elu_inverse(cbp_real y)
{
    return y > 0 ? y : cbp_log1p(y);
}

/* ---- the logistic family: all from e = exp(-|z|) --------------------------------------------- */

/* By r = sigma(|z|) and s = sigma(-|z|) <= 1/2, which has full relative accuracy, and so has the
 * slope s - s^2. */
CBP_INLINE cbp_jet cbp_sigmoid_jet(cbp_real z)
{
    const cbp_power power = cbp_exp_falling(cbp_abs(z), 0);
    const cbp_real r = 1 / cbp_power_plus_one(power);
    const cbp_real s = cbp_power_value(power) * r;
    const cbp_real slope = CBP_FMA(-s, s, s);
    const cbp_real tanh_half = cbp_power_minus_one(power) * r; /* -tanh(|z|/2) = (e - 1)/(e + 1) */
    return (cbp_jet){cbp_is_minus(z) ? s : r, slope, cbp_with_sign(1, z) * (slope * tanh_half)};
}

/* log(y / (1 - y)) */
CBP_INLINE cbp_real cbp_sigmoid_inverse(cbp_real y)
{
    const cbp_real d = 2 * y - 1; /* exact near the middle, where log(y) - log(1 - y) cancels */
    const cbp_real middle = cbp_log1p(2 * cbp_abs(d) / (1 - cbp_abs(d)));
    const cbp_real outer = cbp_log(y) - cbp_log1p(-y);
    return cbp_abs(d) < CBP_HALF ? cbp_with_sign(middle, d) : outer;
}

/* (1 - e)/(1 + e) with e = exp(-2|z|), by way of 1 - e without cancellation; the slope is 4 (s -
 * s^2), s = e/(1 + e). */
CBP_INLINE cbp_jet cbp_tanh_jet(cbp_real z)
{
    const cbp_power power = cbp_exp_falling(2 * cbp_abs(z), 0);
    const cbp_real scale = power.scale * power.rest;
    const cbp_real e = (1 + power.grown) * scale;
    const cbp_real below = CBP_FMA(scale, power.grown, scale - 1);
    const cbp_real rounding = CBP_FMA(scale, power.grown, (scale - 1) - below);
    const cbp_pair size = cbp_pair_ratio((cbp_pair){below, rounding}, cbp_pair_sum(2, below));
    const cbp_real value = cbp_with_sign(size.high + size.low, z);
    const cbp_real s = e / (2 + below);
    const cbp_real slope = 4 * CBP_FMA(-s, s, s);
    return (cbp_jet){z == z ? value : z, slope, -2 * value * slope};
}

CBP_INLINE cbp_real cbp_tanh_inverse(cbp_real y)
{
    const cbp_real size = cbp_abs(y);
    return cbp_with_sign(CBP_HALF * cbp_log1p(2 * size / (1 - size)), y);
}

CBP_INLINE cbp_jet cbp_softplus_jet(cbp_real z)
{
    const cbp_jet sigmoid = cbp_sigmoid_jet(z);
    const cbp_real e = cbp_power_value(cbp_exp_falling(cbp_abs(z), 0));
    return (cbp_jet){(z < 0 ? 0 : z) + cbp_log1p(e), sigmoid.value, sigmoid.slope};
}

/* log(exp(y) - 1) = y + log(1 - exp(-y)) */
CBP_INLINE cbp_real cbp_softplus_inverse(cbp_real y)
{
    const cbp_real small = cbp_log(cbp_expm1(y));
    return y < CBP_INFINITY ? (y < 1 ? small : y + cbp_log1p(-cbp_exp(-y))) : y;
}

CBP_INLINE cbp_jet cbp_log_sigmoid_jet(cbp_real z)
{
    const cbp_jet mirrored = cbp_softplus_jet(-z);
    /* not -second, which gcc makes one operation of with the fused one that it comes from, and a 0
     * of another sign */
    return (cbp_jet){-mirrored.value, mirrored.slope, cbp_with_sign(mirrored.second, -1)};
}

CBP_INLINE cbp_real cbp_log_sigmoid_inverse(cbp_real y)
{
    return -cbp_softplus_inverse(-y);
}

/* z sigma(z); slope sigma + z sigma', second (2 - z tanh(z/2)) sigma'. Below 0, where exp may be
 * subnormal, the power's last factor comes last. */
CBP_INLINE cbp_jet cbp_silu_jet(cbp_real z)
{
    const cbp_real near = cbp_clamp(z, -CBP_EXP_REACH, CBP_EXP_REACH);
    const cbp_power power = cbp_exp_falling(cbp_abs(near), 0);
    const cbp_real e = cbp_power_value(power);
    const cbp_pair one_e = cbp_pair_sum(1, e);
    /* sigma(-|z|) before its powers of 2 */
    const cbp_pair small = cbp_pair_ratio(cbp_power_pair(power), one_e);
    const cbp_real tail = small.high * power.scale;
    const cbp_real s = tail * power.rest;
    const cbp_real r = 1 - s;
    const cbp_real second_factor = 2 + cbp_abs(near) * (cbp_power_minus_one(power) / one_e.high);
    return (cbp_jet){z < 0 ? cbp_pair_times(small, near) * power.scale * power.rest
                           : z / one_e.high,
                     z < 0 ? tail * CBP_FMA(near, r, 1) * power.rest : CBP_FMA(near * s, r, r),
                     tail * r * second_factor * power.rest};
}

/* ---- the normal family: all from exp(-z^2/2) ------------------------------------------------- */

#define CBP_NORMAL_PEAK CBP_PICK(0x1.9884533d43651p-2, 0x1.988454p-2f) /* 1/sqrt(2 pi) */

CBP_INLINE cbp_jet cbp_gaussian_jet(cbp_real z)
{
    const cbp_real near = cbp_clamp(z, -CBP_BELL_REACH, CBP_BELL_REACH);
    const cbp_power power = cbp_bell(near);
    const cbp_real bell = (1 + power.grown) * power.scale;
    return (cbp_jet){bell * power.rest, -near * bell * power.rest,
                     (near - 1) * (near + 1) * bell * power.rest};
}

/* Phi(-t) without the last factor of exp(-t^2/2), for 0 <= t <= 40. */
CBP_INLINE cbp_real cbp_normal_tail(cbp_real t, cbp_power power)
{
    const cbp_pair bell = cbp_power_pair(power), mills = cbp_mills(t);
    const cbp_real outer =
        CBP_FMA(bell.high, mills.high, CBP_FMA(bell.high, mills.low, bell.low * mills.high));
    return t < CBP_CENTRE ? cbp_central_tail(t) / power.rest : outer * power.scale;
}

CBP_INLINE cbp_jet cbp_normal_cdf_jet(cbp_real z)
{
    const cbp_real near = cbp_clamp(z, -CBP_BELL_REACH, CBP_BELL_REACH);
    const cbp_power power = cbp_bell(near);
    const cbp_real tail = cbp_normal_tail(cbp_abs(near), power) * power.rest;
    const cbp_real density = (1 + power.grown) * power.scale * CBP_NORMAL_PEAK;
    return (cbp_jet){z < 0 ? tail : 1 - tail, density * power.rest, -near * density * power.rest};
}

/* t with Phi(t) - 1/2 = d, for 0 <= d <= 1/4. Newton's method: Phi is concave, so that from a start
 * before the root each step stays before it; the first misses by 0.05 at most, and each squares
 * what it misses by. */
CBP_INLINE cbp_real cbp_normal_central_inverse(cbp_real d)
{
    cbp_real t = d / CBP_NORMAL_PEAK;
    for (int i = 0; i < 6; i++) {
        const cbp_real missing = CBP_FMA(-t, cbp_central(t), d);
        t = CBP_FMA(missing / CBP_NORMAL_PEAK, cbp_exp(CBP_HALF * t * t), t);
    }
    return t;
}

/* t >= 0 with Phi(-t) = q <= 1/2. Newton's method on log Phi(-t) = log q: log Phi is concave, so
 * that from a start beyond the root each step stays beyond it; the slope need not be exact. */
CBP_INLINE cbp_real cbp_normal_tail_inverse(cbp_real q)
{
    const cbp_real goal = cbp_log(q);
    cbp_real t = cbp_sqrt(-2 * goal); /* Phi(-t) <= exp(-t^2/2)/2 */
    for (int i = 0; i < 12; i++) {
        const cbp_real mills = cbp_mills(t).high;
        const cbp_real outer = cbp_log(mills) - CBP_HALF * t * t;
        const cbp_real excess = (t < CBP_CENTRE ? cbp_log(cbp_central_tail(t)) : outer) - goal;
        t = CBP_FMA(excess, mills / CBP_NORMAL_PEAK, t);
    }
    return q > 0 ? t : q == 0 ? CBP_INFINITY : CBP_NAN;
}

/* z with Phi(z) = y; near the middle by y - 1/2, which is exact. */
CBP_INLINE cbp_real cbp_normal_cdf_inverse(cbp_real y)
{
    const cbp_real d = cbp_abs(y - CBP_HALF);
    const cbp_real middle = cbp_normal_central_inverse(d);
    const cbp_real outer = cbp_normal_tail_inverse(y < CBP_HALF ? y : 1 - y);
    return cbp_with_sign(d < CBP_HALF * CBP_HALF ? middle : outer, y - CBP_HALF);
}

CBP_INLINE cbp_jet cbp_gelu_jet(cbp_real z)
{
    const cbp_real near = cbp_clamp(z, -CBP_BELL_REACH, CBP_BELL_REACH);
    const cbp_power power = cbp_bell(near);
    const cbp_real tail = cbp_normal_tail(cbp_abs(near), power);
    const cbp_real density = (1 + power.grown) * power.scale * CBP_NORMAL_PEAK;
    const cbp_real above = 1 - tail * power.rest; /* Phi(|z|) */
    const cbp_real slope_above = CBP_FMA(near, density * power.rest, above);
    const cbp_real slope_below = CBP_FMA(near, density, tail) * power.rest;
    return (cbp_jet){z < 0 ? near * tail * power.rest : z * above,
                     z < 0 ? slope_below : slope_above,
                     CBP_FMA(-near, near, 2) * density * power.rest};
}

/* ---- circular functions ---------------------------------------------------------------------- */

/* The slope 1/(1 + z^2) by t = min(|z|, 1/|z|), whose square cannot overflow. */
CBP_INLINE cbp_jet cbp_arctan_jet(cbp_real z)
{
    const cbp_real size = cbp_abs(z);
    const int far = size > 1;
    const cbp_real t = far ? 1 / size : size;
    const cbp_real r = 1 / CBP_FMA(t, t, 1);
    const cbp_real tr = t * r;
    const cbp_real second = far ? 2 * t * tr * tr : 2 * tr * r;
    return (cbp_jet){cbp_arctan(z), far ? t * tr : r, cbp_with_sign(second, -z)};
}

CBP_INLINE cbp_real cbp_arctan_inverse(cbp_real y)
{
    const cbp_turn turn = cbp_sin_cos(y);
    return cbp_abs(y) <= CBP_HALF_PI ? turn.sin / turn.cos : CBP_NAN;
}

CBP_INLINE cbp_jet cbp_sin_jet(cbp_real z)
{
    const cbp_turn turn = cbp_sin_cos(z);
    return (cbp_jet){turn.sin, turn.cos, -turn.sin};
}

/* ---- not one-to-one: the public functions refuse to invert these ----------------------------- */

#define CBP_NO_INVERSE(name)                             \
    CBP_INLINE cbp_real cbp_##name##_inverse(cbp_real y) \
    {                                                    \
        (void)y;                                         \
        return CBP_NAN;                                  \
    }
CBP_NO_INVERSE(relu)
CBP_NO_INVERSE(silu)
CBP_NO_INVERSE(gelu)
CBP_NO_INVERSE(square)
CBP_NO_INVERSE(gaussian)
CBP_NO_INVERSE(sin)
#undef CBP_NO_INVERSE

/* ---- the list -------------------------------------------------------------------------------- */

/* Every activation: code, name, domain, range, whether it is one-to-one, whether its slope jumps
 * somewhere. */
#define CBP_ACTIVATIONS(X)                                                                    \
    X(CBP_IDENTITY, identity, -INFINITY, INFINITY, -INFINITY, INFINITY, 1, 0)                 \
    X(CBP_SIGMOID, sigmoid, -INFINITY, INFINITY, 0, 1, 1, 0)                                  \
    X(CBP_TANH, tanh, -INFINITY, INFINITY, -1, 1, 1, 0)                                       \
    X(CBP_RELU, relu, -INFINITY, INFINITY, 0, INFINITY, 0, 1)                                 \
    X(CBP_LEAKY_RELU, leaky_relu, -INFINITY, INFINITY, -INFINITY, INFINITY, 1, 1)             \
    X(CBP_ELU, elu, -INFINITY, INFINITY, -1, INFINITY, 1, 0)                                  \
    X(CBP_SOFTPLUS, softplus, -INFINITY, INFINITY, 0, INFINITY, 1, 0)                         \
    X(CBP_SILU, silu, -INFINITY, INFINITY, -0.27846454276107380, INFINITY, 0, 0)              \
    X(CBP_GELU, gelu, -INFINITY, INFINITY, -0.16997120747990370, INFINITY, 0, 0)              \
    X(CBP_SOFTSIGN, softsign, -INFINITY, INFINITY, -1, 1, 1, 0)                               \
    X(CBP_ARCTAN, arctan, -INFINITY, INFINITY, -1.5707963267948966, 1.5707963267948966, 1, 0) \
    X(CBP_EXP, exp, -INFINITY, INFINITY, 0, INFINITY, 1, 0)                                   \
    X(CBP_EXPM1, expm1, -INFINITY, INFINITY, -1, INFINITY, 1, 0)                              \
    X(CBP_LOG, log, 0, INFINITY, -INFINITY, INFINITY, 1, 0)                                   \
    X(CBP_LOG1P, log1p, -1, INFINITY, -INFINITY, INFINITY, 1, 0)                              \
    X(CBP_RECIPROCAL, reciprocal, -INFINITY, INFINITY, -INFINITY, INFINITY, 1, 0)             \
    X(CBP_SQUARE, square, -INFINITY, INFINITY, 0, INFINITY, 0, 0)                             \
    X(CBP_SQRT, sqrt, 0, INFINITY, 0, INFINITY, 1, 0)                                         \
    X(CBP_GAUSSIAN, gaussian, -INFINITY, INFINITY, 0, 1, 0, 0)                                \
    X(CBP_LOG_SIGMOID, log_sigmoid, -INFINITY, INFINITY, -INFINITY, 0, 1, 0)                  \
    X(CBP_NORMAL_CDF, normal_cdf, -INFINITY, INFINITY, 0, 1, 1, 0)                            \
    X(CBP_SIN, sin, -INFINITY, INFINITY, -1, 1, 0, 0)

#endif
