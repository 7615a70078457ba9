"""Quantiles of Student's t distribution, from 0.01 degrees of freedom to none too many."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import pytest

from cbackprop._core import t_quantile

DIGITS = 50
CENTRAL = (0.5 + 2**-52, 0.5 + 1e-12, 0.501, 0.6, 0.74, 0.75, 0.76)
UPPER = (0.9, 0.975, 0.9995, 1 - 1e-6, 1 - 1e-12)
LOWER = (0.4, 0.1, 1e-4, 1e-10, 1e-16, 1e-50, 1e-100, 1e-300)
DF = (0.01, 0.1, 0.5, 1, 1.5, 2, 3, 7, 10, 30, 99, 100.5, 150, 300, 1e3, 1e4, 13_000, 14_000)
MANY_DF = (1e6, 1e10, 1e12, 1e15, 1e17, 1e21, 1e300)


def beyond(t: Any, df: float) -> tuple[Any, Any]:
    """P(T > t) for t > 0, and the density there."""
    nu = mp.mpf(df)
    with mp.workdps(DIGITS + 2 * max(0, int(math.log10(df)))):
        front = mp.exp(mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2)) / mp.sqrt(nu * mp.pi)

    def density(s: Any) -> Any:
        return front * mp.exp(-(nu + 1) / 2 * mp.log1p(s * s / nu))

    if df <= max(DF):
        tail = mp.betainc(nu / 2, mp.mpf(1) / 2, 0, nu / (nu + t * t), regularized=True) / 2
    elif t < 3:
        tail = mp.mpf(1) / 2 - mp.quad(density, mp.linspace(0, t, 4))
    else:  # what is past the last is below e^-200 of the rest
        tail = mp.quad(density, [t, *(t + k / t for k in (1, 2, 4, 8, 16, 32, 64, 128, 200))])
    return tail, density(t)


@pytest.mark.thread_unsafe(reason="mpmath's precision is the process's")
@pytest.mark.parametrize("df", [*DF, *MANY_DF])
def test_the_probability_beyond_a_quantile(df: float) -> None:
    with mp.workdps(DIGITS):
        for p in (*CENTRAL, *UPPER, *LOWER):
            t = mp.mpf(t_quantile(p, df))
            assert (t > 0) == (p > 0.5)
            expected = min(mp.mpf(p), 1 - mp.mpf(p))
            if mp.isinf(t):  # beyond the largest number there is more still
                assert beyond(mp.mpf(2) ** 1024, df)[0] > expected, p
                continue
            found, density = beyond(abs(t), df)
            assert abs(found - expected) < 1e-12 * abs(t) * density, p


def test_quantiles_known_exactly() -> None:
    # tan(pi (p - 1/2)) for one degree of freedom, the closed form for two
    for p in (0.6, 0.9, 0.975, 0.9995):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-12)
        two = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
        assert t_quantile(p, 2) == pytest.approx(two, rel=1e-12)
        assert t_quantile(1 - p, 2) == pytest.approx(-two, rel=1e-12)
    for df in (0.01, 1, 1000, math.inf):
        assert math.copysign(1.0, t_quantile(0.5, df)) == 1.0
        assert t_quantile(0.5, df) == 0.0


def test_published_quantiles() -> None:
    # Abramowitz and Stegun, table 26.10
    assert round(t_quantile(0.975, 10), 3) == 2.228
    assert round(t_quantile(0.995, 30), 3) == 2.750
    assert round(t_quantile(0.975, 120), 3) == 1.980
    # that of the normal distribution
    assert t_quantile(0.975, math.inf) == pytest.approx(1.959963984540054, rel=1e-15)


def test_quantiles_are_those_of_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    for df in (0.5, 3.0, 40.0, 99.0, 101.0, 5000.0):
        for p in (0.01, 0.3, 0.6, 0.975, 0.999):
            # SciPy 1.11 has eight digits; mpmath above has them all
            assert t_quantile(p, df) == pytest.approx(float(special.stdtrit(df, p)), rel=1e-7)
