/* The elementary functions of the kernels: exp, log, expm1, log1p, arctan, sin and cos, the normal
 * tail.
 *
 * All are branch-free, so that a loop over them becomes vector code, and all arithmetic is IEEE
 * with fused operations exactly where CBP_FMA stands, so that every target which has them gives the
 * same bits. The polynomials are minimax ones: tests/vectors/derive_constants.py derives the tables
 * below and checks them against this file.
 *
 * Included under each target; CBP_HAVE_FMA says whether that target has fused multiply-add.
 */
#ifndef CBP_ELEMENTARY_H
#define CBP_ELEMENTARY_H

#include "compiler.h"

/* ---- the number format ----------------------------------------------------------------------- */

#ifdef CBP_SINGLE
typedef uint32_t cbp_bits;
typedef int32_t cbp_signed_bits;
#define CBP_PICK(for_double, for_single) for_single
#define CBP_MATH(name) name##f
#else
typedef uint64_t cbp_bits;
typedef int64_t cbp_signed_bits;
#define CBP_PICK(for_double, for_single) for_double
#define CBP_MATH(name) name
#endif

#define CBP_MANTISSA CBP_PICK(52, 23)           /* stored bits of the fraction */
#define CBP_BIAS CBP_PICK(1023, 127)            /* of the exponent */
#define CBP_SMALLEST CBP_PICK(DBL_MIN, FLT_MIN) /* normal number */
#define CBP_INFINITY ((cbp_real)INFINITY)
#define CBP_NAN ((cbp_real)NAN)

/* Adding 1.5 * 2^mantissa rounds to the nearest integer and leaves it in the low bits of the
 * sum. */
#define CBP_ROUNDER CBP_PICK(0x1.8p52, 0x1.8p23f)

CBP_INLINE cbp_bits cbp_to_bits(cbp_real x)
{
    cbp_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

CBP_INLINE cbp_real cbp_from_bits(cbp_bits bits)
{
    cbp_real x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a * b + c, rounded once where the target can. */
CBP_INLINE cbp_real CBP_FMA(cbp_real a, cbp_real b, cbp_real c)
{
#if CBP_HAVE_FMA
    return CBP_MATH(fma)(a, b, c);
#else
    return a * b + c;
#endif
}

/* a * b - product, the rounding error of product = a * b; without fused multiply-add by Veltkamp's
 * splitting, for factors far from overflow. */
CBP_INLINE cbp_real cbp_product_error(cbp_real a, cbp_real b, cbp_real product)
{
#if CBP_HAVE_FMA
    return CBP_MATH(fma)(a, b, -product);
#else
    const cbp_real splitter = CBP_PICK(134217729.0, 4097.0f); /* 2^27 + 1, 2^12 + 1 */
    const cbp_real as = a * splitter, bs = b * splitter;
    const cbp_real ah = as - (as - a), bh = bs - (bs - b);
    const cbp_real al = a - ah, bl = b - bh;
    return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}

/* A number kept as the sum of two, for the places where one rounding more would show. */
typedef struct cbp_pair {
    cbp_real high, low;
} cbp_pair;

/* large + small exactly, if |large| >= |small|. */
CBP_INLINE cbp_pair cbp_pair_sum(cbp_real large, cbp_real small)
{
    const cbp_real high = large + small;
    return (cbp_pair){high, small - (high - large)};
}

/* top / bottom, to nearly twice the working precision. */
CBP_INLINE cbp_pair cbp_pair_ratio(cbp_pair top, cbp_pair bottom)
{
    const cbp_real high = top.high / bottom.high;
    const cbp_real product = high * bottom.high;
    const cbp_real exact = (top.high - product) - cbp_product_error(high, bottom.high, product);
    return (cbp_pair){high, (exact + (top.low - high * bottom.low)) / bottom.high};
}

/* factor * pair, rounded once. */
CBP_INLINE cbp_real cbp_pair_times(cbp_pair pair, cbp_real factor)
{
    return CBP_FMA(factor, pair.high, factor * pair.low);
}

CBP_INLINE cbp_real cbp_abs(cbp_real x)
{
    return CBP_MATH(fabs)(x);
}

#define CBP_SIGN_BIT ((cbp_bits)1 << (sizeof(cbp_bits) * 8 - 1))

/* Whether x is below 0, or -0: one operation less than x < 0 where that chooses between vectors. */
CBP_INLINE int cbp_is_minus(cbp_real x)
{
    return (cbp_signed_bits)cbp_to_bits(x) < 0;
}

CBP_INLINE cbp_real cbp_sqrt(cbp_real x)
{
    return CBP_MATH(sqrt)(x);
}

CBP_INLINE cbp_real cbp_with_sign(cbp_real magnitude, cbp_real sign)
{
    return CBP_MATH(copysign)(magnitude, sign);
}

/* x clamped to [low, high]; NaN stays NaN. */
CBP_INLINE cbp_real cbp_clamp(cbp_real x, cbp_real low, cbp_real high)
{
    x = low > x ? low : x;
    return high < x ? high : x;
}

/* factor * x, but 0 where that is 0 * infinity. */
CBP_INLINE cbp_real cbp_times(cbp_real factor, cbp_real x)
{
    const cbp_real product = factor * x;
    const cbp_real unless_x = x == x ? 0 : product;
    const cbp_real unless_either = factor == factor ? unless_x : product;
    return product == product ? product : unless_either;
}

/* Horner's rule on a table, lowest power first, from entry i on. */
#define CBP_POLY1(c, i, x) (c)[i]
#define CBP_POLY2(c, i, x) CBP_FMA(CBP_POLY1(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY3(c, i, x) CBP_FMA(CBP_POLY2(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY4(c, i, x) CBP_FMA(CBP_POLY3(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY5(c, i, x) CBP_FMA(CBP_POLY4(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY6(c, i, x) CBP_FMA(CBP_POLY5(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY7(c, i, x) CBP_FMA(CBP_POLY6(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY8(c, i, x) CBP_FMA(CBP_POLY7(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY9(c, i, x) CBP_FMA(CBP_POLY8(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY10(c, i, x) CBP_FMA(CBP_POLY9(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY11(c, i, x) CBP_FMA(CBP_POLY10(c, (i) + 1, x), x, (c)[i])
#define CBP_POLY12(c, i, x) CBP_FMA(CBP_POLY11(c, (i) + 1, x), x, (c)[i])

/* ---- the polynomials ------------------------------------------------------------------------- */

/* exp(r) = 1 + r + r^2 tail(r), |r| <= log(2)/2;   log((1+s)/(1-s)) = 2s + s z tail(z), z = s^2, s
 * = f/(2+f), 1 + f in [sqrt(1/2), sqrt(2)];   atan(t) = t + t z tail(z), z = t^2, t <= tan(pi/8);
 * sin(t) = t + t z tail(z) and cos(t) = 1 - z/2 + z^2 tail(z), z = t^2, t <= pi/4;   scaled(v) = (1
 * + 2t) exp(t^2/2) Phi(-t), v = (t - 5)/(t + 5), t <= 40;   Phi(t) = 1/2 + t centre(z), z = t^2, t
 * <= 3/4. */
/* as derive_constants.py prints them */
/* clang-format off */
#ifdef CBP_SINGLE
static const cbp_real cbp_exp_tail[5] = { /* error 2^-27.7 */ 5.0e-1f, 1.66665182e-1f,
    4.16662022e-2f, 8.36888514e-3f, 1.39507337e-3f};
static const cbp_real cbp_log_tail[3] = { /* error 2^-29.1 */ 6.66667759e-1f, 3.99775386e-1f,
    2.98718572e-1f};
static const cbp_real cbp_arctan_tail[5] = { /* error 2^-28.8 */ -3.33333164e-1f, 1.99984893e-1f,
    -1.42438382e-1f, 1.05959155e-1f, -6.08322211e-2f};
static const cbp_real cbp_sin_tail[3] = { /* error 2^-27.5 */ -1.66666552e-1f, 8.332178e-3f,
    -1.95172659e-4f};
static const cbp_real cbp_cos_tail[3] = { /* error 2^-30.9 */ 4.16666456e-2f, -1.38873677e-3f,
    2.44384155e-5f};
static const cbp_real cbp_mills_scaled[12] = { /* error 2^-24.4 */ 8.4611237e-1f, -3.964708e-2f,
    -5.40079772e-2f, 1.00890778e-1f, -1.00658558e-1f, 7.24687055e-2f, -3.93295921e-2f,
    1.54930921e-2f, -3.56468186e-3f, -2.38309236e-4f, 3.94963543e-4f, -2.06839359e-5f};
static const cbp_real cbp_normal_centre[5] = { /* error 2^-26.8 */ 3.98942262e-1f, -6.64901957e-2f,
    9.97174159e-3f, -1.1798531e-3f, 1.01813661e-4f};
#else
static const cbp_real cbp_exp_tail[10] = { /* error 2^-56.5 */ 5.0000000000000122e-1,
    1.6666666666666699e-1, 4.1666666666515494e-2, 8.3333333333067295e-3, 1.3888888946994719e-3,
    1.9841269918541513e-4, 2.4801489964976457e-5, 2.7557215149987921e-6, 2.7631271911053254e-7,
    2.5118262122796406e-8};
static const cbp_real cbp_log_tail[7] = { /* error 2^-57.9 */ 6.666666666666734e-1,
    3.9999999999414326e-1, 2.8571428742475952e-1, 2.2222198563254131e-1, 1.8183564882245182e-1,
    1.5314035381953117e-1, 1.4796110331388546e-1};
static const cbp_real cbp_arctan_tail[11] = { /* error 2^-58.5 */ -3.3333333333333198e-1,
    1.9999999999954043e-1, -1.4285714280244324e-1, 1.1111110785915557e-1, -9.0908978297392057e-2,
    7.6920615128414763e-2, -6.6631189216350931e-2, 5.8479979508545707e-2, -5.0397947620557243e-2,
    3.8077000090578024e-2, -1.7920800671526793e-2};
static const cbp_real cbp_sin_tail[6] = { /* error 2^-57.2 */ -1.6666666666666632e-1,
    8.3333333333224183e-3, -1.9841269829812437e-4, 2.7557313693596742e-6, -2.5050758388287817e-8,
    1.5896812018313427e-10};
static const cbp_real cbp_cos_tail[6] = { /* error 2^-59.9 */ 4.1666666666666602e-2,
    -1.3888888888874131e-3, 2.4801587289487178e-5, -2.7557314353835703e-7, 2.0875723485151711e-9,
    -1.1359659145428304e-11};
static const cbp_real cbp_mills_scaled[24] = { /* error 2^-53.5 */ 8.4611235472506929e-1,
    -3.9647008404005868e-2, -5.4008075034076543e-2, 1.0088858203456201e-1, -1.0065743821676841e-1,
    7.2487826975796199e-2, -3.9332201355627087e-2, 1.5422845681707965e-2, -3.5716954308120307e-3,
    -1.1869356686426368e-4, 4.2509582634759149e-4, -1.0817684644625108e-4, -2.6436943715311221e-5,
    1.9390807777027754e-5, 5.3554034819922028e-7, -2.8601379267568829e-6, 1.7616990920861168e-7,
    4.3357854914339423e-7, -3.8373621099873395e-8, -6.8280142277493564e-8, 3.1333213643472696e-9,
    9.073548729947557e-9, 3.693602567718232e-10, -5.0682026612570953e-10};
static const cbp_real cbp_normal_centre[10] = { /* error 2^-55.7 */ 3.989422804014327e-1,
    -6.6490380066905413e-2, 9.9735570100343875e-3, -1.1873282154552041e-3, 1.1543468737100002e-4,
    -9.4446548276151392e-6, 6.659641028844182e-7, -4.1214497275641148e-8, 2.2561280940703706e-9,
    -9.8929162863332873e-11};
#endif
/* clang-format on */

/* ---- exp ------------------------------------------------------------------------------------- */

/* log(2) in two parts, the first short enough that its products with exponents are exact. */
#define CBP_LN2_HIGH CBP_PICK(0x1.62e42fefp-1, 0x1.62ep-1f)
#define CBP_LN2_LOW CBP_PICK(0x1.473de6af278edp-34, 0x1.0bfbe8p-15f)
#define CBP_LOG2_E CBP_PICK(0x1.71547652b82fep+0, 0x1.715476p+0f)

/* Above the first, exp is infinite; below the second it is 0 after rounding, even multiplied by
 * 1000 (single: 100). */
#define CBP_EXP_HIGH CBP_PICK(710.0, 89.0f)
#define CBP_EXP_LOW CBP_PICK(-760.0, -110.0f)

/* exp(x) = (1 + grown) * scale * rest, the last two powers of 2. A result below the normal range is
 * rounded once, in the last product, if everything else is multiplied in before `rest`. */
typedef struct cbp_power {
    cbp_real grown, scale, rest;
} cbp_power;

/* exp(r) - 1 for |r| <= log(2)/2, by Estrin's scheme: one number alone waits for the chain of
 * operations. */
CBP_INLINE cbp_real cbp_expm1_core(cbp_real r)
{
    const cbp_real *c = cbp_exp_tail;
    const cbp_real r2 = r * r, r4 = r2 * r2;
    const cbp_real low = CBP_FMA(r2, CBP_FMA(CBP_POLY2(c, 2, r), r2, CBP_POLY2(c, 0, r)), r);
#ifdef CBP_SINGLE
    const cbp_real high = c[4];
#else
    const cbp_real high =
        CBP_FMA(CBP_POLY2(c, 8, r), r4, CBP_FMA(CBP_POLY2(c, 6, r), r2, CBP_POLY2(c, 4, r)));
#endif
    return CBP_FMA(r2 * r4, high, low);
}

/* exp(-size - low) for size >= 0: one shift makes the scale, for exponents as low as the format's
 * smallest subnormal. `low` is what size lacks; 0, which costs nothing, if it is exact. */
CBP_INLINE cbp_power cbp_exp_falling(cbp_real size, cbp_real low)
{
    /* makes k a biased exponent */
    const cbp_real lifted = CBP_ROUNDER + CBP_BIAS + CBP_PICK(128, 64);
    const cbp_real clamped = -CBP_EXP_LOW < size ? -CBP_EXP_LOW : size;
    const cbp_real rounded = CBP_FMA(-clamped, CBP_LOG2_E, lifted);
    const cbp_real k = rounded - lifted;
    const cbp_real r = CBP_FMA(-k, CBP_LN2_LOW, CBP_FMA(-k, CBP_LN2_HIGH, -clamped) - low);
    cbp_power power;
    power.grown = cbp_expm1_core(r);
    power.scale = cbp_from_bits(cbp_to_bits(rounded) << CBP_MANTISSA);
    power.rest = CBP_PICK(0x1p-128, 0x1p-64f);
    return power;
}

/* For any x: the exponent in two halves, since 2^k alone may overflow or vanish. */
CBP_INLINE cbp_power cbp_exp_any(cbp_real x)
{
    const cbp_real clamped = cbp_clamp(x, CBP_EXP_LOW, CBP_EXP_HIGH);
    const cbp_real rounded = CBP_FMA(clamped, CBP_LOG2_E, CBP_ROUNDER);
    const cbp_real k = rounded - CBP_ROUNDER;
    const cbp_real r = CBP_FMA(-k, CBP_LN2_LOW, CBP_FMA(-k, CBP_LN2_HIGH, clamped));
    /* k + 2 bias, a small positive number; halved, the two halves are biased exponents */
    const cbp_bits both =
        cbp_to_bits(rounded) - cbp_to_bits(CBP_ROUNDER) + (cbp_bits)(2 * CBP_BIAS);
    const cbp_bits half = both >> 1;
    cbp_power power;
    power.grown = cbp_expm1_core(r);
    power.scale = cbp_from_bits(half << CBP_MANTISSA);
    power.rest = cbp_from_bits((both - half) << CBP_MANTISSA);
    return power;
}

/* 1 + grown, kept whole. */
CBP_INLINE cbp_pair cbp_power_pair(cbp_power power)
{
    return cbp_pair_sum(1, power.grown);
}

/* exp(x), exp(x) + 1 and exp(x) - 1 from the power of an x <= 0. The powers of 2 meet first, while
 * the polynomial is still under way. */
CBP_INLINE cbp_real cbp_power_value(cbp_power power)
{
    const cbp_real scale = power.scale * power.rest;
    return CBP_FMA(scale, power.grown, scale);
}

CBP_INLINE cbp_real cbp_power_plus_one(cbp_power power)
{
    const cbp_real scale = power.scale * power.rest;
    return CBP_FMA(scale, power.grown, scale + 1);
}

CBP_INLINE cbp_real cbp_power_minus_one(cbp_power power)
{
    const cbp_real scale = power.scale * power.rest;
    return CBP_FMA(scale, power.grown, scale - 1);
}

CBP_INLINE cbp_real cbp_exp(cbp_real x)
{
    const cbp_power power = cbp_exp_any(x);
    return (1 + power.grown) * power.scale * power.rest;
}

CBP_INLINE cbp_real cbp_expm1(cbp_real x)
{
    /* Below -40 (single: -20) the answer is -1; clamped there, 1/rest is a normal power of 2. */
    const cbp_real low = CBP_PICK(-40.0, -20.0f);
    const cbp_power power = cbp_exp_any(low > x ? low : x);
    return CBP_FMA(power.scale, power.grown, power.scale - 1 / power.rest) * power.rest;
}

/* ---- log ------------------------------------------------------------------------------------- */

/* x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for positive normal x. */
typedef struct cbp_split {
    cbp_real k, f;
    cbp_real shrink; /* 2^-k, or 0 for k > 100 */
} cbp_split;

CBP_INLINE cbp_split cbp_split_of(cbp_real x)
{
    /* the bits of sqrt(1/2) */
    const cbp_bits root_half = CBP_PICK(0x3fe6a09e667f3bcdu, 0x3f3504f3u);
    const cbp_bits one = (cbp_bits)CBP_BIAS << CBP_MANTISSA;
    const cbp_bits exponents = ~(cbp_bits)0 << CBP_MANTISSA;
    const cbp_bits above = cbp_to_bits(x) - root_half;
    const cbp_bits step = above & exponents;
    /* the exponent, made positive, becomes the low bits of a number whose unit is 1 */
    const cbp_real unit = CBP_PICK(0x1p52, 0x1p23f);
    const cbp_bits offset = (cbp_bits)(CBP_BIAS + 1);
    cbp_split split;
    split.k =
        cbp_from_bits((above + (offset << CBP_MANTISSA)) >> CBP_MANTISSA | cbp_to_bits(unit)) -
        (unit + (cbp_real)(CBP_BIAS + 1));
    split.f = cbp_from_bits(cbp_to_bits(x) - step) - 1;
    split.shrink = split.k > 100 ? 0 : cbp_from_bits(one - step);
    return split;
}

/* log(1 + f) + k log(2) for 1 + f in [sqrt(1/2), sqrt(2)]. */
CBP_INLINE cbp_real cbp_log_core(cbp_real k, cbp_real f)
{
    const cbp_real s = f / (2 + f);
    const cbp_real z = s * s;
    const cbp_real tail = z * CBP_PICK(CBP_POLY7, CBP_POLY3)(cbp_log_tail, 0, z);
    const cbp_real half = CBP_PICK(0.5, 0.5f) * f * f;
    const cbp_real low = CBP_FMA(s, half + tail, k * CBP_LN2_LOW);
    return CBP_FMA(k, CBP_LN2_HIGH, f - (half - low));
}

CBP_INLINE cbp_real cbp_log(cbp_real x)
{
    const cbp_real lift = CBP_PICK(0x1p54, 0x1p25f);
    const int subnormal = x < CBP_SMALLEST;
    const cbp_split split = cbp_split_of(subnormal ? x * lift : x);
    cbp_real value = cbp_log_core(subnormal ? split.k - CBP_PICK(54, 25) : split.k, split.f);
    value = x == 0 ? -CBP_INFINITY : value;
    value = x < CBP_INFINITY ? value : x;
    return x < 0 ? CBP_NAN : value;
}

CBP_INLINE cbp_real cbp_log1p(cbp_real x)
{
    /* 1 + x = u + rest exactly */
    const cbp_real u = 1 + x;
    const cbp_real part = u - 1;
    const cbp_real rest = (1 - (u - part)) + (x - part);
    const cbp_split split = cbp_split_of(u);
    cbp_real value = cbp_log_core(split.k, CBP_FMA(rest, split.shrink, split.f));
    value = x == -1 ? -CBP_INFINITY : value;
    value = x < CBP_INFINITY ? value : x;
    return x < -1 ? CBP_NAN : value;
}

/* ---- circular functions ---------------------------------------------------------------------- */

CBP_INLINE cbp_real cbp_arctan(cbp_real x)
{
    /* tan(pi/8), tan(3 pi/8): fold |x| to t = x, (x - 1)/(x + 1) or -1/x */
    const cbp_real near = CBP_PICK(0x1.a827999fcef32p-2, 0x1.a8279ap-2f);
    const cbp_real far = CBP_PICK(0x1.3504f333f9de6p+1, 0x1.3504f4p+1f);
    const cbp_real size = cbp_abs(x);
    const int middle = size > near, last = size > far;
    const cbp_real top = last ? -1 : middle ? size - 1 : size;
    const cbp_real bottom = last ? size : middle ? size + 1 : 1;
    const cbp_real high = last     ? CBP_PICK(0x1.921fb54442d18p+0, 0x1.921fb6p+0f)
                          : middle ? CBP_PICK(0x1.921fb54442d18p-1, 0x1.921fb6p-1f)
                                   : 0;
    const cbp_real low = last     ? CBP_PICK(0x1.1a62633145c07p-54, -0x1.777a5cp-25f)
                         : middle ? CBP_PICK(0x1.1a62633145c07p-55, -0x1.777a5cp-26f)
                                  : 0;
    const cbp_real t = top / bottom;
    const cbp_real z = t * t;
    const cbp_real tail = z * CBP_PICK(CBP_POLY11, CBP_POLY5)(cbp_arctan_tail, 0, z);
    return cbp_with_sign(high + (CBP_FMA(t, tail, low) + t), x);
}

typedef struct cbp_turn {
    cbp_real sin, cos;
} cbp_turn;

/* sin and cos of x. pi/2 comes in three parts, of which the first two have exact products with the
 * quarter k as long as |x| <= 2^20 (single: 2^13); beyond, the remainder loses accuracy and is
 * clamped to the quarter. */
CBP_INLINE cbp_turn cbp_sin_cos(cbp_real x)
{
    const cbp_real edge = CBP_PICK(0x1.921fb54442d19p-1, 0x1.921fb8p-1f); /* just above pi/4 */
    const cbp_real rounded =
        CBP_FMA(x, CBP_PICK(0x1.45f306dc9c883p-1, 0x1.45f306p-1f), CBP_ROUNDER);
    const cbp_real k = rounded - CBP_ROUNDER;
    const cbp_real first = CBP_FMA(-k, CBP_PICK(0x1.921fb544p+0, 0x1.92p+0f), x);
    const cbp_real step = k * CBP_PICK(0x1.0b4611a6p-34, 0x1.fbp-12f);
    const cbp_real second = first - step;
    const cbp_real rounding = (first - second) - step;
    const cbp_real r =
        second + CBP_FMA(-k, CBP_PICK(0x1.3198a2e037073p-69, 0x1.5110b4p-22f), rounding);
    const cbp_real t = cbp_clamp(r, -edge, edge);
    const cbp_real z = t * t;
    const cbp_real sine = CBP_FMA(t * z, CBP_PICK(CBP_POLY6, CBP_POLY3)(cbp_sin_tail, 0, z), t);
    const cbp_real half = CBP_PICK(0.5, 0.5f) * z;
    const cbp_real one = 1 - half;
    const cbp_real cosine =
        one + CBP_FMA(z * z, CBP_PICK(CBP_POLY6, CBP_POLY3)(cbp_cos_tail, 0, z), (1 - one) - half);
    /* k mod 4: bit 0 swaps the two, bit 1 turns sin's sign, their sum turns cos's */
    const cbp_bits quarter = cbp_to_bits(rounded);
    const cbp_bits top = CBP_MANTISSA + CBP_PICK(11, 8);
    const int swapped = (quarter & 1) != 0;
    const cbp_bits sin_sign = (quarter >> 1 & 1) << top;
    const cbp_bits cos_sign = ((quarter + 1) >> 1 & 1) << top;
    cbp_turn turn;
    turn.sin = cbp_from_bits(cbp_to_bits(swapped ? cosine : sine) ^ sin_sign);
    turn.cos = cbp_from_bits(cbp_to_bits(swapped ? sine : cosine) ^ cos_sign);
    return turn;
}

/* ---- the normal distribution ----------------------------------------------------------------- */

/* exp(-z^2/2) as a power, for |z| <= 40: the square's rounding error is carried along. */
CBP_INLINE cbp_power cbp_bell(cbp_real z)
{
    const cbp_real half = CBP_PICK(0.5, 0.5f);
    const cbp_real square = z * z;
    return cbp_exp_falling(half * square, half * cbp_product_error(z, z, square));
}

/* Phi(-t) exp(t^2/2) for 0 <= t <= 40, less exactly below 3/4. The fraction is taken in pairs: its
 * parts vary fast. */
CBP_INLINE cbp_pair cbp_mills(cbp_real t)
{
    const cbp_pair top = {t - 5, 0}, bottom = {t + 5, t < 5 ? t - ((t + 5) - 5) : 0};
    const cbp_pair v = cbp_pair_ratio(top, bottom);
    const cbp_real x = v.high + v.low;
    const cbp_real *c = cbp_mills_scaled;
#ifdef CBP_SINGLE
    const cbp_real rest = CBP_POLY11(c, 1, x);
#else
    const cbp_real x2 = x * x, x4 = x2 * x2;
    const cbp_real rest = CBP_FMA(CBP_POLY11(c, 13, x), x4 * x4 * x4, CBP_POLY12(c, 1, x));
#endif
    const cbp_real twice = 2 * t;
    const cbp_pair below = cbp_pair_sum(twice > 1 ? twice : 1, twice > 1 ? 1 : twice);
    return cbp_pair_ratio(cbp_pair_sum(c[0], x * rest), below);
}

/* Below this, Phi(-t) = 1/2 - t centre(t^2) has no cancellation to speak of, and the fraction above
 * loses digits. */
#define CBP_CENTRE CBP_PICK(0.75, 0.75f)

/* (Phi(t) - 1/2) / t */
CBP_INLINE cbp_real cbp_central(cbp_real t)
{
    const cbp_real z = t * t;
    return CBP_PICK(CBP_POLY10, CBP_POLY5)(cbp_normal_centre, 0, z);
}

CBP_INLINE cbp_real cbp_central_tail(cbp_real t)
{
    return CBP_FMA(-t, cbp_central(t), CBP_PICK(0.5, 0.5f));
}

#endif
