/* Quantiles of Student's t distribution. */
#include "curve.h"

#define STEPS 100  /* of Newton's method, at most */
#define TERMS 1000 /* of a continued fraction, at most */

/* A step of log t after which the next one, about its square, is below rounding. */
#define LAST_STEP ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-9))

/* In place of 0 in a continued fraction. */
#define TINY ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-30 : 1e-300))

/* ---- the normal distribution ----------------------------------------------------------------- */

#define DEGREE 7

/* A quotient of polynomials, whose coefficients begin with that of the highest power. */
static double rational(const double top[DEGREE + 1], const double bottom[DEGREE + 1], double r)
{
    double upper = 0, lower = 0;
    for (int k = 0; k <= DEGREE; k++) {
        upper = upper * r + top[k];
        lower = lower * r + bottom[k];
    }
    return upper / lower;
}

/* The z >= 0 with P(Z > z) = beyond <= 1/2: Wichura's algorithm AS 241 (Applied Statistics 37,
 * 1988). */
static cbp_real normal_quantile(cbp_real beyond)
{
    static const double middle[2][DEGREE + 1] = {
        {2.5090809287301226727e+3, 3.3430575583588128105e+4, 6.7265770927008700853e+4,
         4.5921953931549871457e+4, 1.3731693765509461125e+4, 1.9715909503065514427e+3,
         1.3314166789178437745e+2, 3.3871328727963666080e+0},
        {5.2264952788528545610e+3, 2.8729085735721942674e+4, 3.9307895800092710610e+4,
         2.1213794301586595867e+4, 5.3941960214247511077e+3, 6.8718700749205790830e+2,
         4.2313330701600911252e+1, 1.0}};
    static const double near[2][DEGREE + 1] = {
        {7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
         1.27045825245236838258e+0, 3.64784832476320460504e+0, 5.76949722146069140550e+0,
         4.63033784615654529590e+0, 1.42343711074968357734e+0},
        {1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
         1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e+0,
         2.05319162663775882187e+0, 1.0}};
    static const double far[2][DEGREE + 1] = {
        {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
         2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e+0,
         5.46378491116411436990e+0, 6.65790464350110377720e+0},
        {2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
         7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
         5.99832206555887937690e-1, 1.0}};
    const double q = 0.5 - (double)beyond;
    if (q <= 0.425) {
        return (cbp_real)(q * rational(middle[0], middle[1], 0.180625 - q * q));
    }
    const double r = (double)cbp_root(-cbp_curve_value(CBP_LOG, beyond));
    return (cbp_real)(r <= 5 ? rational(near[0], near[1], r - 1.6)
                             : rational(far[0], far[1], r - 5));
}

/* ---- many degrees of freedom ----------------------------------------------------------------- */

/* t as a series in the normal quantile z. In y = sqrt(n log(1 + t^2 / df)), n = df - 1/2, the
 * density is the normal one times (sinh(x) / x)^(-1/2), x = y^2 / (2n), and a constant: nearly 1.
 * Equal probabilities, normal(z) dz = density(y) dy, give the series of y in 1 / n^2. */
static cbp_real near_normal(cbp_real z, cbp_real df)
{
    const cbp_real n = df - (cbp_real)0.5, s = z * z, first = (s + 3) / 48,
                   second = (((4 * s + 63) * s + 360) * s + 945) / 23040,
                   y = z * (1 + (second / n / n - first) / n / n);
    return cbp_root(df * cbp_curve_value(CBP_EXPM1, y * y / n));
}

/* ---- few ------------------------------------------------------------------------------------- */

/* The beta function B(a, 1/2) = Gamma(a) sqrt(pi) / Gamma(a + 1/2), as a logarithm. The ratio of
 * the gammas is sqrt(w) exp(c2 / w^2 + c4 / w^4 + ...), w = a - 1/4, where a is large. */
static cbp_real log_beta_half(cbp_real a)
{
    static const double series[] = {-2702765.0 / 402653184, 50521.0 / 20971520, -1385.0 / 1048576,
                                    61.0 / 49152,           -5.0 / 2048,        1.0 / 64};
    const double root_pi = 1.7724538509055160273;
    cbp_real ratio = 1;
    for (; a < 12; a++) {
        ratio *=
            (a + (cbp_real)0.5) / a; /* Gamma(a + 3/2) / Gamma(a + 1) is this times that of a */
    }
    const cbp_real w = a - (cbp_real)0.25;
    double sum = 0;
    for (size_t k = 0; k < sizeof series / sizeof *series; k++) {
        sum = (sum + series[k]) / (double)w / (double)w;
    }
    return cbp_curve_value(CBP_LOG, ratio * (cbp_real)root_pi / cbp_root(w)) - (cbp_real)sum;
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. */
static cbp_real beta_fraction(cbp_real x, cbp_real a, cbp_real b)
{
    const cbp_real first = 1 - (a + b) * x / (a + 1);
    cbp_real c = 1, d = 1 / (first != 0 ? first : TINY), value = d;
    for (int k = 1; k < TERMS; k++) {
        const cbp_real m = (cbp_real)k, even = a + 2 * m;
        const cbp_real terms[] = {m * (b - m) * x / ((even - 1) * even),
                                  -(a + m) * (a + b + m) * x / (even * (even + 1))};
        for (int i = 0; i < 2; i++) {
            const cbp_real below = 1 + terms[i] * d, above = 1 + terms[i] / c;
            d = 1 / (below != 0 ? below : TINY);
            c = above != 0 ? above : TINY;
            value *= c * d;
        }
        if (cbp_magnitude(c * d - 1) < 4 * CBP_EPSILON) {
            break;
        }
    }
    return value;
}

/* log P(|T| > t), or log P(|T| < t), and its derivative by log t. P(|T| > t) is the incomplete beta
 * function I_u(df / 2, 1 / 2), u = df / (df + t^2) (DLMF 8.17). */
static cbp_real log_mass(cbp_real log_t, cbp_real df, int is_tail, cbp_real *slope)
{
    const cbp_real a = df / 2, b = (cbp_real)0.5;
    const cbp_real log_odds = 2 * log_t - cbp_curve_value(CBP_LOG, df); /* of v = 1 - u */
    const cbp_real log_sum = cbp_curve_value(CBP_SOFTPLUS, log_odds),
                   u = cbp_curve_value(CBP_EXP, -log_sum),
                   v = cbp_curve_value(CBP_EXP, log_odds - log_sum),
                   log_front = -a * log_sum + b * (log_odds - log_sum) - log_beta_half(a);
    const int finds_tail = u < (a + 1) / (a + b + 2); /* where its fraction converges well */
    const cbp_real fraction = finds_tail ? beta_fraction(u, a, b) / a : beta_fraction(v, b, a) / b;
    cbp_real value, hazard;
    if (finds_tail == is_tail) {
        value = log_front + cbp_curve_value(CBP_LOG, fraction);
        hazard = 1 / fraction;
    } else {
        const cbp_real front = cbp_curve_value(CBP_EXP, log_front), rest = 1 - front * fraction;
        value = cbp_curve_value(CBP_LOG, rest);
        hazard = front / rest;
    }
    *slope = is_tail ? -2 * hazard : 2 * hazard;
    return value;
}

/* Solves for log t on the logarithm of the smaller of P(|T| > t) and P(|T| < t). Both are concave
 * in log t: after the first step all come from one side. */
static cbp_real by_newton(cbp_real log_t, cbp_real beyond, cbp_real df)
{
    const int is_tail = beyond <= (cbp_real)0.25;
    const cbp_real target = cbp_curve_value(CBP_LOG, is_tail ? 2 * beyond : 1 - 2 * beyond);
    for (int k = 0; k < STEPS; k++) {
        cbp_real slope;
        const cbp_real value = log_mass(log_t, df, is_tail, &slope),
                       step = (target - value) / slope;
        log_t += step;
        if (cbp_magnitude(step) < LAST_STEP) {
            break;
        }
    }
    return cbp_curve_value(CBP_EXP, log_t);
}

/* ---- both ------------------------------------------------------------------------------------ */

cbp_real cbp_t_quantile(cbp_real probability, cbp_real df)
{
    if (!(probability > 0 && probability < 1 && df > 0)) {
        return (cbp_real)NAN;
    }
    const cbp_real half = (cbp_real)0.5, least = (cbp_real)1e20,
                   beyond = probability < half ? probability : 1 - probability,
                   z = normal_quantile(beyond);
    cbp_real t = z; /* if df is large: t / z - 1 is about z^2 / (4 df) */
    if (df <= least && beyond < half) {
        t = df > 100 && df > 10 * z * z ? near_normal(z, df)
                                        : by_newton(cbp_curve_value(CBP_LOG, z), beyond, df);
    }
    return probability < half ? -t : t;
}
