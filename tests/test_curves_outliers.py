"""Outliers: against SciPy's robust fits and its control of false discoveries; simulated rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves
from cbackprop.curves.outliers import _least

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

RNG = np.random.default_rng(3)
DOSES = np.repeat(2.0 ** np.arange(8), 3)
EFFECTS = 10 + 100 / (1 + (DOSES / 11.3) ** -1.5) + 5 * RNG.standard_normal(24)
EFFECTS[[4, 17, 22]] += (60.0, -45.0, 25.0)


def curve(p: Any) -> Any:
    return p[0] + (p[1] - p[0]) / (1 + (DOSES / np.exp(p[2])) ** -p[3])


def rout(weights: Any, start: Any) -> tuple[Any, Any]:
    """Return t and P of all points by the paper's description, with SciPy."""
    df = len(DOSES) - 4

    def scale_of(residuals: Any) -> float:
        return float(np.percentile(np.abs(residuals), 68.27) * len(DOSES) / df)

    scale = scale_of(curve(start) - EFFECTS)
    for _ in range(300):
        found = optimize.least_squares(
            lambda p: curve(p) - EFFECTS,
            start,
            loss=lambda z: weights * np.stack([np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2]),
            f_scale=scale,
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        )
        start, last = found.x, scale
        scale = scale_of(curve(start) - EFFECTS)
        if abs(scale - last) < 1e-10:
            break
    residuals = (EFFECTS - curve(start)) * np.sqrt(weights)
    t = residuals / scale_of(residuals)
    return t, 2 * stats.t.sf(np.abs(t), df)


@pytest.mark.parametrize("weights", [None, np.linspace(0.4, 2.1, 24)])
def test_the_papers_description(weights: Any) -> None:
    fit = curves.logistic4.fit(DOSES, EFFECTS, sample_weight=weights)
    start = [*fit.params.values()]
    start[2] = np.log(start[2])
    t, p = rout(np.ones(24) if weights is None else weights, start)
    for q in (0.01, 0.3):
        found = curves.outliers(fit, q)
        np.testing.assert_allclose(found.t, t, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.p, p, rtol=1e-4)
        largest = np.argsort(-np.abs(t))[: 24 - 15]
        expected = np.zeros(24, dtype=bool)
        expected[largest] = stats.false_discovery_control(p)[largest] <= q
        assert found.flags.tolist() == expected.tolist()
    assert curves.outliers(fit).flags.nonzero()[0].tolist() == [4, 17, 22]


def test_steps_up_from_the_part_that_is_tested() -> None:
    """P of the rank k from above is compared with q k / n; any that passes takes all above it."""
    for _ in range(300):
        n, df = int(RNG.integers(5, 40)), int(RNG.integers(1, 30))
        t = np.sort(np.abs(RNG.standard_t(3, n)) * RNG.choice([1.0, 4.0], n))
        p = 2 * stats.t.sf(t, df)
        passes = np.flatnonzero(p <= 0.1 * np.arange(n, 0, -1) / n)
        passes = passes[passes + 1 >= int(0.7 * n)]
        assert _least(t, df, 0.1) == (t[passes[0]] if passes.size else np.inf)


def test_what_is_fixed_and_bounded_stays_so() -> None:
    fit = curves.logistic4.fit(DOSES, EFFECTS, fixed={"slope": 1.0}, bounds={"top": (None, 100)})
    robust = curves.outliers(fit).fit
    assert robust.params["slope"] == 1.0
    assert robust.params["top"] <= 100.0
    assert (robust.fixed, robust.bounds) == (fit.fixed, fit.bounds)
    assert robust.loss_scale == pytest.approx(
        np.percentile(np.abs(EFFECTS - robust(DOSES)), 68.27) * 24 / 21, rel=1e-7
    )


def test_many_fits_and_groups() -> None:
    y = np.stack([EFFECTS, EFFECTS[::-1]])
    fits = curves.logistic4.fit_many(DOSES, y, bounds={"top": (None, 100)})
    alone = curves.logistic4.fit(DOSES, EFFECTS, bounds={"top": (None, 100)})
    assert fits[0].bounds == alone.bounds
    assert curves.outliers(fits[0]).t.tolist() == curves.outliers(alone).t.tolist()
    groups = curves.logistic4.fit_groups(
        [*DOSES, *DOSES], [*EFFECTS, *(EFFECTS + 1)], ["a"] * 24 + ["b"] * 24, share=["slope"]
    )
    expected = curves.outliers(curves.logistic4.fit(DOSES, EFFECTS))
    assert curves.outliers(groups["a"]).t.tolist() == expected.t.tolist()


def test_points_of_weight_0_are_none() -> None:
    weights = np.ones(24)
    weights[[4, 9]] = 0.0
    found = curves.outliers(curves.logistic4.fit(DOSES, EFFECTS, sample_weight=weights))
    kept = weights > 0
    without = curves.outliers(curves.logistic4.fit(DOSES[kept], EFFECTS[kept]))
    assert np.isnan(found.t[~kept]).all()
    assert not found.flags[~kept].any()
    assert found.flags[kept].tolist() == without.flags.tolist()
    np.testing.assert_allclose(found.t[kept], without.t, rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("error")
def test_an_infinite_value_of_the_curve_at_a_point_of_weight_0() -> None:
    x = np.array([0.0, 0.3, 1, 2, 5, 10, 30, 100])
    y = np.array([1.0, 3.2, 2.1, 1.6, 1.2, 0.95, 5.0, 0.5])
    weights = np.array([0.0, 1, 1, 1, 1, 1, 1, 1])
    fit = curves.power.fit(x, y, sample_weight=weights)
    found = curves.outliers(fit)
    assert np.isinf(found.fit(0.0))
    assert np.isnan(found.t[0])
    assert found.flags.nonzero()[0].tolist() == [6]


def test_no_outliers_and_the_table() -> None:
    clean = np.delete(np.arange(24), [4, 17, 22])
    found = curves.outliers(curves.logistic4.fit(DOSES[clean], EFFECTS[clean]))
    assert not found.flags.any()
    assert str(found) == "0 of 21 points at a false discovery rate of 0.01"
    table = str(curves.outliers(curves.logistic4.fit(DOSES, EFFECTS))).splitlines()
    assert [line.split()[0] for line in table] == ["3", "point", "4", "17", "22"]


def test_rates_of_simulated_plates() -> None:
    """The paper: 1 to 3 % of plates with normal errors have one; gross errors are found."""
    rng = np.random.default_rng(11)
    plates, gross = 200, 0
    expected = 10 + 100 / (1 + (DOSES / 11.3) ** -1.5)
    any_flagged = 0
    for _ in range(plates):
        y = expected + 5 * rng.standard_normal(24)
        any_flagged += bool(curves.outliers(curves.logistic4.fit(DOSES, y)).flags.any())
        wrong = int(rng.integers(24))
        y[wrong] += 75.0
        gross += bool(curves.outliers(curves.logistic4.fit(DOSES, y)).flags[wrong])
    assert any_flagged <= 0.05 * plates
    assert gross >= 0.95 * plates


def test_bad_input() -> None:
    fit = curves.logistic4.fit(DOSES, EFFECTS)
    with pytest.raises(InputTypeError, match="fit: expected a CurveFit, got 3"):
        curves.outliers(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="q: 1"):
        curves.outliers(fit, 1)
    with pytest.raises(InputTypeError, match="q: expected a number"):
        curves.outliers(fit, "1")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no scale can be estimated"):
        curves.outliers(curves.linear.fit([1, 2, 3, 4], [3, 5, 7, 9]))
    with pytest.raises(ParameterError, match="4 points for 4 parameters"):
        curves.outliers(curves.logistic4.fit([1, 2, 3, 4], [1, 2, 4, 5]))
    counts = curves.exponential.fit([1, 2, 3, 4], [9, 5, 2, 1], loss="poisson")
    with pytest.raises(ParameterError, match="the variance of the loss 'poisson' is known"):
        curves.outliers(counts)
    growing = curves.logistic4.fit(DOSES, np.abs(EFFECTS), weights="1/fitted2")
    with pytest.raises(ParameterError, match="the errors of the loss 'power' grow"):
        curves.outliers(growing)
