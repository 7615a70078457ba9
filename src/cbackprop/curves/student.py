"""Quantiles of Student's t distribution, for confidence intervals."""

from __future__ import annotations

import math

__all__ = ["t_quantile"]


def t_quantile(probability: float, df: float) -> float:
    """Find t with P(T <= t) = probability.

    Parameters
    ----------
    probability : float
        Above 0 and below 1.
    df : float
        Degrees of freedom, 0.01 or more; infinite for the normal distribution.

    Returns
    -------
    float
        With a relative error below 1e-12; infinite if t is above the largest number.
    """
    from statistics import NormalDist  # noqa: PLC0415 costs more to import than all of this package

    beyond = min(probability, 1.0 - probability)  # P(T > |t|)
    z = -NormalDist().inv_cdf(beyond)
    if df > 1e20 or beyond == 0.5:  # t/z - 1 is about z^2/(4 df)
        t = z
    elif df > max(100.0, 10.0 * z * z):
        t = _near_normal(z, df)
    else:
        t = _by_newton(math.log(z), beyond, df)
    return math.copysign(t, probability - 0.5)


def _near_normal(z: float, df: float) -> float:
    """Compute t as a series in the normal quantile z.

    In y = sqrt(n log(1 + t^2/df)), n = df - 1/2, the density is the normal one times
    (sinh(x)/x)^(-1/2), x = y^2/(2n), and a constant: nearly 1. Equal probabilities,
    normal(z) dz = density(y) dy, give the series of y in 1/n^2.
    """
    n, s = df - 0.5, z * z
    first = (s + 3.0) / 48.0
    second = (((4.0 * s + 63.0) * s + 360.0) * s + 945.0) / 23040.0
    y = z * (1.0 + (second / (n * n) - first) / (n * n))
    return math.sqrt(df * math.expm1(y * y / n))


def _by_newton(start: float, beyond: float, df: float) -> float:
    """Solve for log t, from below, on the logarithm of the smaller of P(|T| > t) and P(|T| < t).

    Both are concave in log t: after the first step all come from one side.
    """
    is_tail = beyond <= 0.25
    target = math.log(2.0 * beyond if is_tail else 1.0 - 2.0 * beyond)
    log_t = start
    for _ in range(100):
        value, slope = _log_mass(log_t, df, is_tail)
        step = (target - value) / slope
        log_t += step
        if abs(step) < 1e-9:  # the next is about its square
            break
    return math.exp(log_t) if log_t < 709.0 else math.inf


def _log_mass(log_t: float, df: float, is_tail: bool) -> tuple[float, float]:
    """Compute log P(|T| > t), or log P(|T| < t), and its derivative by log t.

    P(|T| > t) = I_u(df/2, 1/2), u = df/(df + t^2) (DLMF 8.17).
    """
    a, b = 0.5 * df, 0.5
    log_odds = 2.0 * log_t - math.log(df)  # of v = 1 - u
    log_sum = math.log1p(math.exp(log_odds)) if log_odds < 40.0 else log_odds
    u, v = math.exp(-log_sum), math.exp(log_odds - log_sum)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    log_front = -a * log_sum + b * (log_odds - log_sum) - log_beta
    finds_tail = u < (a + 1.0) / (a + b + 2.0)  # where its continued fraction converges well
    fraction = _fraction(u, a, b) / a if finds_tail else _fraction(v, b, a) / b
    if finds_tail == is_tail:
        value, hazard = log_front + math.log(fraction), 1.0 / fraction
    else:
        front = math.exp(log_front)
        rest = 1.0 - front * fraction
        value, hazard = math.log(rest), front / rest
    return value, -2.0 * hazard if is_tail else 2.0 * hazard


def _fraction(x: float, a: float, b: float) -> float:
    """Compute the incomplete beta function's continued fraction (DLMF 8.17.22), by Lentz."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or tiny)
    value = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + term * d or tiny)
            c = 1.0 + term / c or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value
