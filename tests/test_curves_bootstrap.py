"""Bootstrap and jackknife, against published ones, formulas and SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

DOSE = [0, 0, 0.94, 0.94, 1.88, 3.75, 7.5, 15, 30]
LENGTH = [8.0, 7.6, 8.4, 7.7, 6.4, 2.9, 1.1, 0.6, 0.3]
# nlstools::O2K, of Baty et al., J. Stat. Software 66(5), 2015
VO2 = [377.111111111111, 333.333333333333, 352.142857142857, 328.75, 369.875, 394.4]
VO2 += [352.666666666667, 337.333333333333, 366.428571428571, 364.0, 293.888888888889, 387.0]
VO2 += [364.888888888889, 342.222222222222, 400.3, 375.111111111111, 320.555555555556]
VO2 += [385.166666666667, 527.071428571429, 688.636363636364, 890.818181818182, 1145.15384615385]
VO2 += [1254.90909090909, 1327.5, 1463.9, 1487.83333333333, 1586.66666666667, 1619.1]
VO2 += [1494.41666666667, 1640.45454545455, 1643.375, 1583.63636363636, 1610.8, 1568.5]
VO2 += [1464.58333333333, 1652.8]


def oxygen() -> curves.CurveFit:
    time = np.arange(36) / 3
    return curves.no_effect_dose.fit(time, VO2, fixed={"e": 5.883})


def mu(fits: curves.CurveFits) -> Any:
    return 1 / fits.params["slope"]


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("upper", (356.52783369428, 0.23092879918437, 7.0007708803419, 342.28465824428)),
        ("lower", (1628.7095039398, 2.1733641518874, 33.735535567335, 1560.0740407604)),
        (mu, (1.184389265226, 0.0017362232798318, 0.094454684552709, 0.9922197645878)),
    ],
)
def test_jackknife_of_oxygen_uptake(quantity: Any, expected: tuple[float, ...]) -> None:
    """36 fits in 50 digits; the vignette of nlstools prints 356.53, 0.2273, ... 342.288."""
    found = curves.jackknife(oxygen(), quantity)
    np.testing.assert_allclose(found[:4], expected, rtol=1e-6)
    assert found.high == pytest.approx(2 * found.value - found.low)


@pytest.mark.parametrize(
    ("quantity", "mean", "sd", "low", "high"),
    [
        ("upper", 356.73070254039, 10.923517511082, 334.26429718067, 377.00265161552),
        ("lower", 1631.6039385934, 20.645727126193, 1590.0658363129, 1671.3296679462),
        (mu, 1.188528713692, 0.074114454922516, 1.0548935241259, 1.3456141185394),
    ],
)
def test_bootstrap_of_oxygen_uptake(
    quantity: Any, mean: float, sd: float, low: float, high: float
) -> None:
    """200 000 fits whose residuals are not inflated: here they are, by sqrt(36 / 33)."""
    draws = curves.bootstrap(oxygen(), 20000, rng=3)
    values, inflation = draws.values(quantity)[1:], math.sqrt(36 / 33)
    assert values.mean() == pytest.approx(mean, abs=0.05 * sd)
    assert values.std() == pytest.approx(inflation * sd, rel=0.03)
    ends = draws.interval(quantity, method="percentile")
    for found, expected in zip(ends, (low, high), strict=True):
        assert found == pytest.approx(mean + inflation * (expected - mean), abs=0.1 * sd)


def test_a_line_has_the_standard_errors_of_its_formula() -> None:
    """Residual and parametric draws: sigma^2 (X'WX)^-1."""
    x, weights = np.arange(8.0), np.array([1.0, 4, 2, 1, 1, 3, 1, 0])
    y = 2 * x + np.array([0.3, -0.1, 0.2, 0.4, -0.6, 0.1, -0.2, 9])
    fit = curves.linear.fit(x, y, sample_weight=weights)
    design = np.column_stack((x, np.ones(8)))
    residuals = y - design @ [fit.params["slope"], fit.params["intercept"]]
    variance = float(weights @ residuals**2) / 5
    expected = np.sqrt(variance * np.linalg.inv(design.T @ (weights[:, None] * design)).diagonal())
    for kind in ("residual", "parametric"):
        draws = curves.bootstrap(fit, 20000, kind=kind, rng=1)
        errors = [draws.params[name].std() for name in ("slope", "intercept")]
        # centred residuals of a weighted fit have slightly less variance
        np.testing.assert_allclose(errors, expected, rtol=0.06 if kind == "residual" else 0.02)
        assert draws.n_failed == draws.n_not_identified == 0


def test_cases_of_a_line_are_as_those_of_numpy() -> None:
    """The same draws, fitted by the normal equations."""
    rng = np.random.default_rng(4)
    x = np.arange(12.0)
    y = 1 + 0.5 * x + rng.normal(0, 0.2 + 0.1 * x)
    fit = curves.linear.fit(x, y)
    draws = curves.bootstrap(fit, 50, kind="cases", rng=9)
    times = np.random.default_rng(9).multinomial(12, np.full(12, 1 / 12), 50)
    expected = [np.polyfit(np.repeat(x, row), np.repeat(y, row), 1) for row in times]
    found = np.column_stack((draws.params["slope"], draws.params["intercept"]))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_bca_is_that_of_its_formula() -> None:
    """Efron 1987, with SciPy's normal distribution and a loop over the points left out."""
    special = pytest.importorskip("scipy.special")
    fit = curves.logistic4.fit(DOSE, LENGTH)
    draws = curves.bootstrap(fit, 1000, rng=5)
    values, estimate = draws.params["ec50"], fit.params["ec50"]
    without = np.array(
        [
            curves.logistic4.fit(np.delete(DOSE, i), np.delete(LENGTH, i)).params["ec50"]
            for i in range(9)
        ]
    )
    away = without.mean() - without
    a = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = special.ndtri((values < estimate).mean())
    scores = z + special.ndtri([0.05, 0.95])
    ends = special.ndtr(z + scores / (1 - a * scores))
    np.testing.assert_allclose(draws.interval("ec50", 0.9), np.quantile(values, ends), rtol=1e-6)


def test_a_number_of_the_fits() -> None:
    draws = curves.bootstrap(curves.logistic4.fit(DOSE, LENGTH), 500, rng=2)
    low, high = draws.interval(lambda fits: fits.inverse(4.0), method="percentile")
    expected = [one.inverse(4.0).value for one in (draws.draws[i] for i in range(1, 501))]
    assert (low, high) == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])), rel=1e-8)


def test_labels_and_counts() -> None:
    """Deaths in finney71 of drc, drawn anew: the standard errors of the fit, about."""
    dose = np.log([10.2, 7.7, 5.1, 3.8, 2.6])
    died, total = np.array([44, 42, 24, 16, 6]), np.array([50, 49, 46, 48, 50])
    fit = curves.platt.fit(dose, died / total, sample_weight=total)
    draws = curves.bootstrap(fit, kind="parametric", rng=1)
    for name, error in fit.stderr.items():
        assert draws.params[name].std() == pytest.approx(error, rel=0.1)
    with pytest.raises(ParameterError, match="'residual' with the loss 'log'"):
        curves.bootstrap(fit)
    x = np.arange(20.0)
    counts = np.random.default_rng(1).poisson(100 * np.exp(-0.1 * x))
    decay = curves.exponential.fit(x, counts, loss="poisson")
    drawn = curves.bootstrap(decay, kind="parametric", rng=1)
    assert drawn.params["rate"].std() == pytest.approx(decay.stderr["rate"], rel=0.1)


def test_the_same_seed_gives_the_same_draws() -> None:
    fit = curves.logistic4.fit(DOSE, LENGTH)
    for kind in ("residual", "parametric", "cases"):
        one, other, third = (
            curves.bootstrap(fit, 100, kind=kind, rng=seed).params["ec50"]
            for seed in (7, np.random.default_rng(7), 8)
        )
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, third)


def test_what_cannot_be_fitted_is_counted() -> None:
    """Cases of five points at three x: some draws have one x alone."""
    fit = curves.linear.fit([1, 1, 2, 2, 3], [1.0, 1.1, 2.0, 2.2, 3.0])
    draws = curves.bootstrap(fit, 3000, kind="cases", rng=1)
    alone = 2 * (2 / 5) ** 5 + (1 / 5) ** 5
    assert draws.n_failed + draws.n_not_identified == pytest.approx(3000 * alone, rel=0.3)
    assert f"{draws.n_failed} not fitted, {draws.n_not_identified} not identified" in str(draws)
    assert len(draws.params["slope"]) == 3000 - draws.n_failed


def test_bad_arguments() -> None:
    fit = curves.logistic4.fit(DOSE, LENGTH)
    with pytest.raises(InputTypeError, match="CurveFit"):
        curves.bootstrap("fit")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="kind"):
        curves.bootstrap(fit, kind="wild")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="n: 0"):
        curves.bootstrap(fit, 0)
    with pytest.raises(ParameterError, match="degree"):
        curves.bootstrap(curves.linear.fit([1, 2], [3, 4]))
    with pytest.raises(ParameterError, match="not converged"):
        curves.jackknife(curves.logistic4.fit(DOSE, LENGTH, max_iterations=1), "top")
    draws = curves.bootstrap(fit, 10, rng=1)
    with pytest.raises(ParameterError, match="not a parameter"):
        draws.interval("e50")
    with pytest.raises(ParameterError, match="method"):
        draws.interval("ec50", method="t")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="level"):
        draws.interval("ec50", 95)
    with pytest.raises(ShapeError, match="one number for each fit"):
        draws.interval(lambda fits: 1.0)
    with pytest.raises(InputTypeError, match="a name or a function"):
        draws.interval(3)  # type: ignore[arg-type]
