"""The scale of a robust loss from the data: against SciPy's fits and integrals, and R's figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves
from cbackprop.curves.robust import SCALES

integrate = pytest.importorskip("scipy.integrate")
optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

# phones of R's package MASS (Venables and Ripley 2002): millions of calls in Belgium by year, of
# which those of 1964 to 1969 are minutes.
YEARS = np.arange(50.0, 74.0)
CALLS = np.array(
    [
        *(4.4, 4.7, 4.7, 5.9, 6.6, 7.3, 8.1, 8.8, 10.6, 12.0, 13.5, 14.9, 16.1, 21.2),
        *(119.0, 124.0, 142.0, 159.0, 182.0, 212.0, 43.0, 24.0, 27.0, 29.0),
    ]
)
SLOPES: dict[str, Callable[[Any], Any]] = {
    "huber": lambda r: np.clip(r, -1, 1),
    "soft_l1": lambda r: r / np.sqrt(1 + r**2),
    "cauchy": lambda r: r / (1 + r**2),
}
RNG = np.random.default_rng(3)
DOSES = np.repeat(2.0 ** np.arange(8), 3)
EFFECTS = 10 + 100 / (1 + (DOSES / 11.3) ** -1.5) + 5 * RNG.standard_normal(24)
EFFECTS[[4, 17]] += (60.0, -45.0)


def mad(residuals: Any) -> float:
    return float(np.median(np.abs(residuals)) / stats.norm.ppf(0.75))


@pytest.mark.parametrize("loss", SCALES)
def test_the_efficiency_at_normal_errors(loss: str) -> None:
    """The asymptotic variance of a location is (E psi^2) / (E psi')^2 = 1/0.95."""
    slope, c = SLOPES[loss], SCALES[loss]

    def mean(f: Callable[[float], float]) -> float:
        return float(integrate.quad(f, -12, 12, points=(-c, c), limit=400)[0])

    squares = mean(lambda r: (c * slope(r / c)) ** 2 * stats.norm.pdf(r))
    derivative = mean(lambda r: r * c * slope(r / c) * stats.norm.pdf(r))  # by parts
    assert derivative**2 / squares == pytest.approx(0.95, abs=2e-5)


@pytest.mark.parametrize("loss", SCALES)
def test_the_fit_and_its_scale_are_scipys(loss: Literal["huber", "soft_l1", "cauchy"]) -> None:
    """Alternate a fit at a scale, by SciPy, and the scale of its residuals, to a fixed point."""
    fit = curves.logistic4.fit(DOSES, EFFECTS, loss=loss, loss_scale="mad")
    start = list(curves.logistic4.fit(DOSES, EFFECTS).params.values())

    def residuals(p: Any) -> Any:
        return p[0] + (p[1] - p[0]) / (1 + (DOSES / p[2]) ** -p[3]) - EFFECTS

    scale = SCALES[loss] * mad(residuals(np.array(start)))
    for _ in range(200):
        # SciPy's cauchy, huber and soft_l1 are ours
        found = optimize.least_squares(
            residuals, start, loss=loss, f_scale=scale, xtol=1e-14, ftol=1e-14, gtol=1e-14
        )
        start, last = found.x, scale
        scale = SCALES[loss] * mad(found.fun)
        if abs(scale - last) < 1e-10:
            break
    assert fit.loss_scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(list(fit.params.values()), start, rtol=1e-6)
    assert fit.loss_scale == pytest.approx(SCALES[loss] * mad(fit(DOSES) - EFFECTS), rel=1e-7)


def reweighted_line(quartile: float, accuracy: float) -> tuple[Any, float]:
    """Iterate weighted least squares as `rlm` does, with its rule for the end."""
    x = np.c_[np.ones_like(YEARS), YEARS]
    found = np.linalg.lstsq(x, CALLS, rcond=None)[0]
    for _ in range(500):
        residual = CALLS - x @ found
        scale = float(np.median(np.abs(residual))) / quartile
        w = np.minimum(1, 1.345 * scale / np.abs(residual))
        found = np.linalg.solve((x.T * w) @ x, (x.T * w) @ CALLS)
        change = CALLS - x @ found - residual
        if change @ change <= accuracy**2 * (residual @ residual):
            break
    return found, scale


def test_phones_as_in_mass() -> None:
    """rlm(calls ~ year, phones, maxit = 50): Huber's loss with the median absolute deviation.

    R ends at a change of 1e-4 of the residuals; without that, the line is this one.
    """
    printed, scale = reweighted_line(0.6745, 1e-4)
    np.testing.assert_allclose(printed, (-102.6222, 2.0414), atol=5.1e-5)  # MASS, section 6.5
    assert scale == pytest.approx(9.032, abs=5.1e-4)
    line, scale = reweighted_line(float(stats.norm.ppf(0.75)), 1e-13)
    fit = curves.linear.fit(YEARS, CALLS, loss="huber", loss_scale="mad")
    np.testing.assert_allclose(list(fit.params.values()), line[::-1], rtol=1e-6)
    assert fit.loss_scale == pytest.approx(1.345 * scale, rel=1e-6)


def test_a_weight_of_two_is_a_point_twice() -> None:
    weights = np.ones(24)
    weights[5:9], weights[20] = 2.0, 0.0
    fit = curves.logistic4.fit(
        DOSES, EFFECTS, sample_weight=weights, loss="cauchy", loss_scale="mad"
    )
    times = weights.astype(int)
    again = curves.logistic4.fit(
        np.repeat(DOSES, times), np.repeat(EFFECTS, times), loss="cauchy", loss_scale="mad"
    )
    assert fit.loss_scale == pytest.approx(again.loss_scale, rel=1e-7)
    np.testing.assert_allclose(list(fit.params.values()), list(again.params.values()), rtol=1e-7)


def test_options_are_those_of_each_fit() -> None:
    fit = curves.logistic4.fit(
        DOSES,
        EFFECTS,
        fixed={"slope": 1.5},
        bounds={"bottom": (12, None)},
        loss="soft_l1",
        loss_scale="mad",
        covariance="hessian",
    )
    same = curves.logistic4.fit(
        DOSES,
        EFFECTS,
        fixed={"slope": 1.5},
        bounds={"bottom": (12, None)},
        loss="soft_l1",
        loss_scale=fit.loss_scale,
        covariance="hessian",
    )
    assert fit.params == same.params
    assert fit.stderr == same.stderr
    assert (fit.fixed, fit.bounds) == (("slope",), {"bottom": (12, None)})


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="'mad' with the loss 'squared'; expected"):
        curves.logistic4.fit(DOSES, EFFECTS, loss_scale="mad")
    with pytest.raises(ParameterError, match="'mda'; expected a positive number or 'mad'"):
        curves.logistic4.fit(DOSES, EFFECTS, loss="huber", loss_scale="mda")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no scale can be estimated"):
        curves.linear.fit([1, 2, 3, 4], [2, 4, 6, 8], loss="huber", loss_scale="mad")
    with pytest.raises(ParameterError, match="no scale can be estimated"):
        curves.linear.fit([1, 2, 3, 4], [0, 0, 0, 0], loss="huber", loss_scale="mad")
    with pytest.raises(ParameterError, match="point 1 is not finite"):
        curves.linear.fit([1, 2, 3], [1, np.nan, 3], loss="huber", loss_scale="mad")
    with pytest.raises(InputTypeError, match="expected a number, got 'mad'"):
        curves.linear.fit_many([1, 2, 3], [[1, 2, 3]], loss="huber", loss_scale="mad")  # type: ignore[arg-type]
