"""Hazard: parameters that have diverged, in place of the curve that the data do determine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cbackprop import curves

Floats = npt.NDArray[np.float64]
X = np.arange(1.0, 9.0)
SMALL = np.array([3.0, -1, -4, 1, 2, -3, 1, 1]) / 100


def line_through_0(y: Floats) -> dict[str, float]:
    return {"slope": float(X @ y / (X @ X))}


def line(y: Floats) -> dict[str, float]:
    slope, intercept = np.polyfit(X, y, 1)
    return {"intercept": float(intercept), "slope": float(slope)}


def best_power(y: Floats, *, has_offset: bool) -> list[float]:
    """[offset,] scale, exponent: least squares, by golden section over the exponent."""

    def solved(exponent: float) -> tuple[float, Floats]:
        columns = np.array([np.ones(8), X**exponent] if has_offset else [X**exponent]).T
        found, *_ = np.linalg.lstsq(columns, y, rcond=None)
        return float(np.sum((columns @ found - y) ** 2)), found

    low, high = 1.2, 4.0
    for _ in range(80):
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, right) if solved(left)[0] < solved(right)[0] else (left, high)
    return [*solved(low)[1].tolist(), low]


def test_a_line_through_0() -> None:
    y = 2 * X + 0.05 * X**2 + SMALL  # the curve can only bend the other way
    fitted = curves.michaelis_menten.fit(X, y)
    expected = line_through_0(y)
    assert fitted.limit == pytest.approx(expected, rel=1e-6)
    assert f"towards slope x with slope = {expected['slope']:.6g}" in fitted.message


def test_a_line_through_0_that_may_bend_both_ways() -> None:
    lower = np.array([X, X**2]).T
    cubic = X**3 - lower @ np.linalg.lstsq(lower, X**3, rcond=None)[0]
    y = 2 * X + 0.01 * cubic  # no parabola is better than the line
    fitted = curves.saturation.fit(X, y)
    assert fitted.limit == pytest.approx(line_through_0(y), rel=1e-5)


def test_a_line() -> None:
    cubic = np.array([-7.0, 5, 7, 3, -3, -7, -5, 7])  # orthogonal to parabolas
    y = 3 + 2 * X + 0.05 * cubic
    fitted = curves.asymptotic.fit(X, y)
    assert fitted.limit == pytest.approx(line(y), rel=1e-4)
    assert "towards intercept + slope x with intercept = " in fitted.message


def test_a_power() -> None:
    y = 0.5 * X**2.5 + SMALL
    y[7] += 3.0
    scale, exponent = best_power(y, has_offset=False)
    fitted = curves.hill.fit(X, y)
    assert fitted.limit == pytest.approx({"scale": scale, "exponent": exponent}, rel=1e-4)
    assert "towards scale x^exponent with scale = " in fitted.message


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_power_and_a_plateau(sign: float) -> None:
    y = sign * (7 + 0.5 * X**2.5 + SMALL)
    y[7] += 3.0 * sign
    offset, scale, exponent = best_power(y, has_offset=True)
    plateau = "bottom" if sign > 0 else "top"
    fitted = curves.logistic4.fit(X, y)
    assert fitted.limit == pytest.approx(
        {plateau: offset, "scale": scale, "exponent": exponent}, rel=1e-4
    )
    assert f"towards {plateau} + scale x^exponent with {plateau} = " in fitted.message


def test_an_exponential() -> None:
    y = 3 * np.exp(0.4 * X) + SMALL
    y[7] += 4.0
    found = curves.exponential.fit(X, y)
    assert found.converged
    fitted = curves.logistic3.fit(X, y)
    assert fitted.limit == pytest.approx(found.params, rel=1e-4)


def test_none() -> None:
    fitted = curves.logistic4.fit(X, [1.0, 1.1, 1.5, 2.2, 2.8, 3.2, 3.4, 3.45])
    assert fitted.converged
    assert fitted.limit == {}
    step = curves.logistic4.fit(X, [0.0, 0.1, -0.1, 0, 1, 1.1, 0.9, 1])
    assert (step.status, step.limit) == ("not_identified", {})
