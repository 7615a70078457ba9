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
        Degrees of freedom, above 0; infinite for the normal distribution.

    Returns
    -------
    float
        Within 1e-11, relatively; for more than 10^4 degrees of freedom within 1e-8.
    """
    if probability < 0.5:
        return -t_quantile(1.0 - probability, df)
    from statistics import NormalDist  # noqa: PLC0415 costs more to import than all of this package

    t = NormalDist().inv_cdf(probability)
    if math.isinf(df) or t == 0.0:
        return t
    # P(|T| > t) = I_u(df/2, 1/2), u = df/(df + t^2). Its logarithm is concave in log t: Newton's
    # method on that comes from above once it is there, and doubling gets it there.
    tail = 2.0 * (1.0 - probability)
    for _ in range(200):
        value, slope = _two_tails(t, df)
        step = math.log(value / tail) * value / (slope * t)
        t *= math.exp(max(-1.0, min(1.0, step)))
        if abs(step) < 1e-15:
            break
    return t


def _two_tails(t: float, df: float) -> tuple[float, float]:
    """P(|T| > t), and twice the density at t."""
    a, b = 0.5 * df, 0.5
    u = df / (df + t * t)
    v = t * t / (df + t * t)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(u) + b * math.log(v) - log_beta)
    if u < (a + 1.0) / (a + b + 2.0):
        value = front * _fraction(u, a, b) / a
    else:
        value = 1.0 - front * _fraction(v, b, a) / b
    density = math.exp(-log_beta + (a + 0.5) * math.log(u)) / math.sqrt(df)
    return value, 2.0 * density


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
        if abs(c * d - 1.0) < 1e-16:
            break
    return value
