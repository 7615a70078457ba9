"""The range of an assay: against formulas by NumPy, and root finding by SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cbackprop import CurveFit, InputTypeError, ParameterError, ShapeError, curves

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

RNG = np.random.default_rng(12)
DOSES = np.repeat([0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0], 3)


def four(x: Any, bottom: Any, top: Any, ec50: Any, slope: Any) -> Any:
    return bottom + (top - bottom) / (1 + (x / ec50) ** -slope)


with np.errstate(divide="ignore"):
    RISING = four(DOSES, 0.05, 10.0, 12.0, 1.1) + 0.08 * RNG.standard_normal(27)
    FALLING = four(DOSES, 10.0, 0.05, 12.0, 1.1) + 0.08 * RNG.standard_normal(27)


class Exact:
    """A 4PL fit by formulas: derivatives by the complex step, (J'WJ)^-1 by NumPy."""

    def __init__(self, fit: CurveFit) -> None:
        self.params = np.array(list(fit.params.values()))
        self.weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
        j = self.gradient(fit.x)
        residuals = fit.y - self.value(fit.x)
        self.s2 = float(self.weights @ residuals**2) / (len(fit.y) - 4)
        self.covariance = self.s2 * np.linalg.inv((j.T * self.weights) @ j)
        self.t = stats.t.ppf(0.95, len(fit.y) - 4)

    def value(self, x: Any) -> Any:
        with np.errstate(divide="ignore"):
            return four(np.asarray(x, dtype=float), *self.params)

    def gradient(self, x: Any) -> Any:
        columns = []
        x = np.maximum(np.asarray(x, dtype=float), 1e-30)
        for k in range(4):
            p = self.params.astype(complex)
            p[k] += 1e-30j
            power = np.exp(p[3] * (np.log(p[2]) - np.log(x)))
            columns.append((p[0] + (p[1] - p[0]) / (1 + power)).imag / 1e-30)
        return np.stack(columns, axis=-1)

    def spread(self, x: float) -> float:
        g = self.gradient([x])[0]
        return float(g @ self.covariance @ g)

    def cv(self, x: float, readings: float, weight: float = 1.0) -> float:
        """Return 100 / x times the standard error by the delta method."""
        slope = (four(x * (1 + 1e-30j), *self.params)).imag / (x * 1e-30)
        error = math.sqrt(self.spread(x) + self.s2 / (readings * weight)) / abs(slope)
        return float(100 / x * error)

    def limit(self, x: float, readings: float, side: float) -> float:
        half = self.t * math.sqrt(self.spread(x) + self.s2 / readings)
        return float(self.value(x) + side * half)


@pytest.mark.parametrize("y", [RISING, FALLING])
@pytest.mark.parametrize("readings", [1, 3])
def test_precision_and_limits(y: Any, readings: int) -> None:
    fit = curves.logistic4.fit(DOSES, y)
    exact = Exact(fit)
    doses = [0.2, 1.0, 8.0, 90.0, 250.0]
    profile = curves.precision_profile(fit, doses, replicates=readings)
    np.testing.assert_allclose(profile, [exact.cv(x, readings) for x in doses], rtol=1e-6)
    found = curves.assay_range(fit, max_cv=10, replicates=readings)
    for dose, low, high in ((found.lloq, 0.1, 5.0), (found.uloq, 20.0, 300.0)):
        root = optimize.brentq(lambda x: exact.cv(x, readings) - 10, low, high, xtol=1e-13)
        assert dose == pytest.approx(root, rel=1e-6)
    side = 1.0 if y is RISING else -1.0
    threshold = exact.limit(0.0, readings, side)
    for dose, at in (
        (found.critical, lambda x: float(exact.value(x)) - threshold),
        (found.detectable, lambda x: exact.limit(x, readings, -side) - threshold),
    ):
        assert dose == pytest.approx(optimize.brentq(at, 1e-3, 5.0, xtol=1e-13), rel=1e-6)
    assert found.critical < found.detectable


def test_weights() -> None:
    """Readings have the weight that the curve's value gives them."""

    def weight(y: Any) -> Any:
        return 1 / np.maximum(y, 0.05) ** 2

    with np.errstate(divide="ignore"):
        expected = four(DOSES, 0.05, 10.0, 12.0, 1.1)
    y = expected * (1 + 0.06 * RNG.standard_normal(27))
    fit = curves.logistic4.fit(DOSES, y, sample_weight=weight(expected))
    exact = Exact(fit)
    doses = [0.2, 1.0, 8.0, 90.0]
    cvs = [exact.cv(x, 2, float(weight(exact.value(x)))) for x in doses]
    profile = curves.precision_profile(fit, doses, replicates=2, weight=weight)
    np.testing.assert_allclose(profile, cvs, rtol=1e-6)
    found = curves.assay_range(fit, max_cv=25, replicates=2, weight=weight)
    assert curves.precision_profile(fit, found.uloq, replicates=2, weight=weight) == pytest.approx(
        25, rel=1e-8
    )
    zero, critical = (
        exact.value(x) + side * exact.t * np.sqrt(exact.spread(x) + exact.s2 / (2 * weight(v)))
        for x, v, side in (
            (0.0, exact.value(0.0), 1),
            (found.detectable, exact.value(found.detectable), -1),
        )
    )
    assert critical == pytest.approx(zero, rel=1e-7)


def test_a_fit_whose_errors_grow_says_the_scatter_of_readings_itself() -> None:
    with np.errstate(divide="ignore"):
        expected = four(DOSES, 0.05, 10.0, 12.0, 1.1)
    y = expected * (1 + 0.06 * np.random.default_rng(5).standard_normal(27))
    fit = curves.logistic4.fit(DOSES, y, weights="1/y2")
    exact = Exact(fit)
    doses = [0.2, 1.0, 8.0, 90.0]
    cvs = [exact.cv(x, 2, float(exact.value(x)) ** -2.0) for x in doses]
    np.testing.assert_allclose(curves.precision_profile(fit, doses, replicates=2), cvs, rtol=1e-6)
    found = curves.assay_range(fit, max_cv=25, replicates=2)
    zero, detectable = (
        exact.value(x)
        + side * exact.t * np.sqrt(exact.spread(x) + exact.s2 * exact.value(x) ** 2 / 2)
        for x, side in ((0.0, 1), (found.detectable, -1))
    )
    assert exact.value(found.critical) == pytest.approx(zero, rel=1e-6)
    assert detectable == pytest.approx(zero, rel=1e-6)


def test_a_line_as_hubaux_and_vos_have_it() -> None:
    """Prediction limits of a line by the textbook (Analytical Chemistry 42, 1970)."""
    x = np.array([0.0, 1, 2, 3, 4, 5, 6])
    y = np.array([0.11, 1.0, 2.13, 2.95, 4.1, 5.06, 5.93])
    fit = curves.linear.fit(x, y)
    found = curves.assay_range(fit)
    slope, intercept = np.polyfit(x, y, 1)
    s = math.sqrt(((y - slope * x - intercept) ** 2).sum() / 5)
    t = stats.t.ppf(0.95, 5)

    def half(at: float) -> float:
        return float(t * s * math.sqrt(1 + 1 / 7 + (at - 3) ** 2 / 28))

    assert found.critical == pytest.approx(half(0) / slope, rel=1e-9)
    root = optimize.brentq(lambda at: slope * at - half(at) - half(0), 0, 3, xtol=1e-14)
    assert found.detectable == pytest.approx(root, rel=1e-9)
    # the largest dose is precise enough, and so is the least one above a CV of 100 %
    assert (found.uloq, curves.assay_range(fit, max_cv=100).lloq) == (6.0, 1.0)


def test_doses_of_a_curve_of_their_logarithms() -> None:
    with np.errstate(divide="ignore"):
        logs = np.log10(DOSES)
    by_log = curves.logistic4_log10.fit(logs, RISING)
    by_dose = curves.logistic4.fit(DOSES, RISING)
    blanks = [0.05, 0.11, 0.02]
    one, other = (curves.assay_range(fit, blanks=blanks) for fit in (by_log, by_dose))
    np.testing.assert_allclose(
        [one.lloq, one.uloq, one.critical, one.detectable, one.blanks],
        [other.lloq, other.uloq, other.critical, other.detectable, other.blanks],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        curves.recovery(by_log).percent, curves.recovery(by_dose).percent, rtol=1e-6
    )
    edge = np.mean(blanks) + 3 * np.std(blanks, ddof=1)
    assert other.blanks == pytest.approx(float(by_dose.inverse(edge).value), rel=1e-12)


def test_blanks_of_a_falling_curve_and_the_table() -> None:
    fit = curves.logistic4.fit(DOSES, FALLING)
    blanks = [9.9, 9.8, 10.0]
    found = curves.assay_range(fit, blanks=blanks)
    assert found.blanks == pytest.approx(float(fit.inverse(9.9 - 0.3).value), rel=1e-9)
    assert [line.split()[0] for line in str(found).splitlines()] == [
        "lower",
        "upper",
        "critical",
        "detectable",
        "blanks:",
    ]
    assert "blanks" not in str(curves.assay_range(fit))


def test_limits_that_do_not_exist() -> None:
    fit = curves.logistic4.fit(DOSES, RISING)
    found = curves.assay_range(fit, max_cv=0.1)
    assert math.isnan(found.lloq)
    assert math.isnan(found.uloq)
    assert math.isnan(curves.assay_range(fit, blanks=[-9, -8.9]).blanks)
    noisy = curves.linear.fit([0, 1, 2, 3], [1.0, 9.0, -3.0, 8.0])
    found = curves.assay_range(noisy)
    assert math.isnan(found.detectable)
    line = curves.define(
        "line_above_half",
        parameters=("a", "b"),
        activations=("identity",),
        params={"w1": "a", "b1": "b"},
        start={"a": 1.0, "b": 0.0},
        domain=(0.5, None),
    )
    found = curves.assay_range(line.fit([1, 2, 3, 4], [1.0, 2.1, 2.9, 4.1]))
    assert math.isnan(found.critical)  # it is not defined at 0
    assert found.uloq == 4.0


def test_recovery() -> None:
    fit = curves.logistic4.fit(DOSES, RISING)
    found = curves.recovery(fit)
    shown = DOSES > 0
    b, t, e, h = fit.params.values()
    with np.errstate(all="ignore"):
        expected = e * ((t - b) / (RISING[shown] - b) - 1) ** (-1 / h)
    np.testing.assert_array_equal(found.nominal, DOSES[shown])
    np.testing.assert_allclose(found.calculated, expected, rtol=1e-8)
    np.testing.assert_allclose(found.percent, 100 * expected / DOSES[shown], rtol=1e-8)
    rows = [line.split() for line in str(found).splitlines()]
    assert len(rows) == 9
    last = expected[-3:][~np.isnan(expected[-3:])]
    assert float(rows[-1][3]) == pytest.approx(100 * last.mean() / 300, abs=0.006)
    third = expected[6:9]
    assert rows[3][:2] == ["1", "3"]
    assert float(rows[3][4]) == pytest.approx(100 * third.std(ddof=1) / third.mean(), abs=0.006)


def test_a_standard_beyond_the_curve_is_said() -> None:
    fit = curves.hill.fit([1, 1, 3, 3, 10, 10, 90, 90], [1.0, 1.2, 2.4, 2.6, 5, 5.2, 7.0, 9.4])
    assert "1 beyond the curve" in str(curves.recovery(fit))
    assert np.isnan(curves.recovery(fit).percent[-1])


def test_dilutions() -> None:
    fit = curves.logistic4.fit(DOSES, RISING)
    dilution = np.array([1.0, 4, 16, 64, 64])
    y = [11.5, 8.1, 4.4, 1.4, 1.5]
    found = curves.dilution_linearity(fit, y, dilution, level=0.9)
    read = np.asarray(fit.inverse(np.array(y[1:])).value)
    assert np.isnan(found.dose[0])  # beyond the top
    np.testing.assert_allclose(found.dose[1:], read * dilution[1:], rtol=1e-12)
    np.testing.assert_allclose(found.percent[1:], 100 * found.dose[1:] / found.dose[1])
    doses = found.dose[1:]
    assert found.cv == pytest.approx(100 * doses.std(ddof=1) / doses.mean())
    line = stats.linregress(-np.log(dilution[1:]), np.log(read))
    assert found.slope == pytest.approx(line.slope, rel=1e-9)
    half = stats.t.ppf(0.95, 2) * line.stderr
    np.testing.assert_allclose(
        (found.low, found.high), (line.slope - half, line.slope + half), rtol=1e-8
    )
    assert str(found).splitlines()[-1].startswith("CV ")
    short = curves.dilution_linearity(fit, [8.1, 4.4], [4, 16])
    assert math.isnan(short.slope)
    assert (short.low, short.high) == (-math.inf, math.inf)
    assert short.percent.tolist()[0] == 100.0
    exact = np.asarray(fit(40.0 / dilution))
    assert curves.dilution_linearity(fit, exact, dilution).slope == pytest.approx(1.0)


BAD: list[tuple[Callable[[CurveFit], object], type[Exception], str]] = [
    (lambda f: curves.precision_profile(f, [1.0, 0.0]), ParameterError, "dose: 0.0; expected pos"),
    (lambda f: curves.precision_profile(f, [math.nan]), ParameterError, "dose: nan"),
    (lambda f: curves.precision_profile(f, [1.0], replicates=0), ParameterError, "replicates: 0"),
    (lambda f: curves.precision_profile(f, 1.0, weight=3), InputTypeError, "weight: expected a f"),  # type: ignore[arg-type]
    (
        lambda f: curves.precision_profile(f, [1.0, 2.0], weight=lambda y: y[:1]),
        ShapeError,
        r"weight: it returns the shape \(1,\)",
    ),
    (lambda f: curves.assay_range(f, max_cv=-1), ParameterError, "max_cv: -1"),
    (lambda f: curves.assay_range(f, level=0.3), ParameterError, "level: 0.3"),
    (
        lambda f: curves.assay_range(f, blanks=[0.1]),
        ParameterError,
        r"blanks: \[0.1\]; expected at",
    ),
    (lambda f: curves.assay_range(f, blanks=[0.1, math.inf]), ParameterError, "finite readings"),
    (lambda f: curves.dilution_linearity(f, [1, 2], [1, 2, 3]), ShapeError, "dilution: shape"),
    (lambda f: curves.dilution_linearity(f, [1, 2], [1, -2]), ParameterError, "dilution: -2.0"),
    (lambda f: curves.dilution_linearity(f, [1, 2], [4, 4]), ParameterError, "expected different"),
    (lambda f: curves.dilution_linearity(f, [1, math.nan], [1, 2]), ParameterError, r"y\[1\]: nan"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(
    call: Callable[[CurveFit], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(curves.logistic4.fit(DOSES, RISING))


def test_fits_that_measure_nothing() -> None:
    for function in (curves.recovery, curves.assay_range):
        with pytest.raises(InputTypeError, match="fit: expected a CurveFit, got 1"):
            function(1)  # type: ignore[arg-type]
    peak = curves.gaussian_peak.fit([1, 2, 3, 4, 5], [0.1, 0.6, 1.0, 0.5, 0.15])
    with pytest.raises(ParameterError, match="one-to-one"):
        curves.assay_range(peak)
    counts = curves.exponential.fit([1, 2, 3, 4], [9, 5, 2, 1], loss="poisson")
    with pytest.raises(ParameterError, match="no residual standard deviation"):
        curves.precision_profile(counts, [1])
    with pytest.raises(ParameterError, match="no residual standard deviation"):
        curves.assay_range(curves.linear.fit([0, 1], [0, 1]))
    blank = curves.linear.fit([0, 0, 0], [1, 2, 1.4], fixed={"slope": 1.0})
    with pytest.raises(ParameterError, match="no standard has a dose above 0"):
        curves.recovery(blank)
    with pytest.raises(ParameterError, match="at least two doses"):
        curves.assay_range(blank)


@pytest.mark.filterwarnings("error")
def test_readings_at_a_plateau_and_a_mean_of_0() -> None:
    flat = curves.hill.fit([0.3, 100, 0.1, 100, 2], [2000, 2000, 2000, 0, 1000])
    found = curves.recovery(flat)
    assert not np.isinf(found.calculated).any()
    assert "beyond the curve" in str(found)
    assert not np.isinf(curves.dilution_linearity(flat, [1000, 2000, 0], [1, 2, 4]).dose).any()
    zeros = curves.michaelis_menten.fit([5, 10, 5, 10, 20, 40], [0, 0, 0, 3, 2, 3])
    assert str(curves.recovery(zeros)).splitlines()[1].split()[2:] == ["0", "0.00", "nan"]
