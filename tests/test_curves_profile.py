"""Profile intervals, against published ones, exact ones in 50 digits, and grids of fits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves

DOSE = [0, 0, 0.94, 0.94, 1.88, 3.75, 7.5, 15, 30]
LENGTH = [8.0, 7.6, 8.4, 7.7, 6.4, 2.9, 1.1, 0.6, 0.3]
CONC = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1]
TREATED = [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]
UNTREATED = [67, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160]
# R's DNase, run 1
DNASE_CONC = np.repeat([0.04882812, 0.1953125, 0.390625, 0.78125, 1.5625, 3.125, 6.25, 12.5], 2)
DENSITY = [0.017, 0.018, 0.121, 0.124, 0.206, 0.215, 0.377, 0.374, 0.614, 0.609, 1.019, 1.001]
DENSITY += [1.334, 1.364, 1.73, 1.71]
# MASS's wtloss
DAYS = [0, 4, 7, 7, 11, 18, 24, 30, 32, 43, 46, 60, 64, 70, 71, 71, 73, 74, 84, 88, 95, 102, 106]
DAYS += [109, 115, 122, 133, 137, 140, 143, 147, 148, 149, 150, 153, 156, 161, 164, 165, 165, 170]
DAYS += [176, 179, 198, 214, 218, 221, 225, 233, 238, 241, 246]
WEIGHT = [184.35, 182.51, 180.45, 179.91, 177.91, 175.81, 173.11, 170.06, 169.31, 165.1, 163.11]
WEIGHT += [158.3, 155.8, 154.31, 153.86, 154.2, 152.2, 152.8, 150.3, 147.8, 146.1, 145.6, 142.5]
WEIGHT += [142.3, 139.4, 137.9, 133.7, 133.7, 133.3, 131.2, 133, 132.2, 130.8, 131.3, 129, 127.9]
WEIGHT += [126.9, 127.7, 129.5, 128.4, 125.4, 124.9, 124.9, 118.2, 118.2, 115.3, 115.7, 116]
WEIGHT += [115.5, 112.6, 114, 112.6]


def check(found: curves.Profile, low: float, high: float) -> None:
    np.testing.assert_allclose((found.low, found.high), (low, high), rtol=1e-8)
    assert found.is_open == (False, False)
    assert found.n_fits <= 40


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("asymptote", 2.193503954582, 2.5387852969917),
        ("midpoint", 1.3214275356115, 1.678746028433),
        ("scale", 0.9743050049904, 1.114933108345),
    ],
)
def test_three_parameters_of_dnase(name: str, low: float, high: float) -> None:
    """confint of R's nls in 50 digits; the data of R's ?SSlogis."""
    check(curves.profile(curves.logistic3.fit(np.log(DNASE_CONC), DENSITY), name), low, high)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("left", -0.048826168318021, 0.027961524505529),
        ("right", 2.1730052835578, 2.6824125668014),
        ("midpoint", 1.313283920749, 1.7834730519595),
        ("scale", 0.94751834592506, 1.2063058975315),
    ],
)
def test_four_parameters_of_dnase(name: str, low: float, high: float) -> None:
    check(curves.profile(curves.logistic4_linear.fit(np.log(DNASE_CONC), DENSITY), name), low, high)


def test_one_michaelis_constant() -> None:
    """R's Puromycin, K in common and of treated cells alone; vmax of these, too."""
    state = ["treated"] * 12 + ["untreated"] * 11
    fits = curves.michaelis_menten.fit_groups(
        CONC + CONC[:11], TREATED + UNTREATED, state, share=["km"]
    )
    check(curves.profile(fits, "km"), 0.045988336610416, 0.072340988607015)
    treated = curves.michaelis_menten.fit(CONC, TREATED)
    check(curves.profile(treated, "km"), 0.046920342035171, 0.086156913427139)
    check(curves.profile(treated, "vmax"), 197.30193290028, 229.28905505505)


@pytest.mark.parametrize(
    ("weight", "low", "high"),
    [
        (110, 256.22967341434, 267.50051632096),
        (100, 334.72617300978, 368.01213360349),
        (90, 457.24079550525, 594.84720013957),
    ],
)
def test_the_day_of_a_weight(weight: float, low: float, high: float) -> None:
    """Venables and Ripley, section 8.5: the day as a parameter of the curve, in 50 digits."""
    fit = curves.asymptotic.fit(DAYS, WEIGHT)
    check(curves.profile(fit, inverse=weight), low, high)


@pytest.mark.parametrize(
    ("sigma", "a_low", "a_high", "b"),
    [
        (1, -0.0001938273074918, 0.00019458588459423, 0.012289478504931),
        (2, -0.00038988649267361, 0.00039296804008493, 0.024769399637015),
        (3, -0.000591248745701, 0.00059836431000313, 0.037638414665242),
    ],
)
def test_levels_as_lmfit_has_them(sigma: int, a_low: float, a_high: float, b: float) -> None:
    """lmfit's conf_interval of 1 / (a x) + b, a line in 1 / x, whose slope is 1 / a."""
    x = np.linspace(0.3, 10, 100)
    y = 1 / (0.1 * x) + 2 + 0.1 * np.random.RandomState(0).randn(100)
    fit = curves.linear.fit(1 / x, y)
    level = math.erf(sigma / math.sqrt(2))
    slope = curves.profile(fit, "slope", level=level)
    value = 0.099438957400946
    check(slope, 1 / (value + a_high), 1 / (value + a_low))
    line = curves.profile(fit, "intercept", level=level)
    check(line, 1.9847694201095 - b, 1.9847694201095 + b)


def test_a_quantal_assay() -> None:
    """Finney's data in drc's finney71: the likelihood-ratio intervals of slope and LD50."""
    dose = np.log([10.2, 7.7, 5.1, 3.8, 2.6])
    died, total = np.array([44, 42, 24, 16, 6]), np.array([50, 49, 46, 48, 50])
    fit = curves.platt.fit(
        np.tile(dose, 2), np.repeat([1.0, 0.0], 5), sample_weight=np.append(died, total - died)
    )
    check(curves.profile(fit, "slope"), 2.3815073482166, 3.9076493756488)
    check(curves.profile(fit, inverse=0.5), math.log(4.350188009178), math.log(5.3436965573809))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("percent", [50.0, 90.0])
def test_effective_doses_by_fits_of_a_grid(percent: float, level: float) -> None:
    """The ends by root finding in fits with ec50 and slope fixed, the best of all slopes."""
    optimize = pytest.importorskip("scipy.optimize")
    stats = pytest.importorskip("scipy.stats")
    fit = curves.logistic4.fit(DOSE, LENGTH)
    quantile = stats.t.ppf(0.5 + level / 2, fit.df) ** 2
    odds = percent / (100 - percent)

    def excess(log_dose: float) -> float:
        def rss(slope: float) -> float:
            ec50 = math.exp(log_dose) * odds ** (1 / slope)
            return curves.logistic4.fit(DOSE, LENGTH, fixed={"slope": slope, "ec50": ec50}).rss

        grid = -np.geomspace(0.3, 30, 120)
        best = int(np.argmin([rss(slope) for slope in grid]))
        ends = grid[min(best + 1, 119)], grid[max(best - 1, 0)]
        least = optimize.minimize_scalar(
            rss, bounds=ends, method="bounded", options={"xatol": 1e-9}
        ).fun
        return float((least / fit.rss - 1) * fit.df - quantile)

    found = curves.profile(fit, effective_dose=percent, level=level)
    middle = math.log(found.value)
    low = optimize.brentq(excess, middle - 1.5, middle, xtol=1e-10)
    high = optimize.brentq(excess, middle, middle + 2, xtol=1e-10)
    np.testing.assert_allclose((found.low, found.high), np.exp((low, high)), rtol=1e-6)


def test_half_of_the_effect_is_the_ec50() -> None:
    fit = curves.logistic4.fit(DOSE, LENGTH)
    dose, ec50 = curves.profile(fit, effective_dose=50), curves.profile(fit, "ec50")
    check(dose, ec50.low, ec50.high)


@pytest.mark.parametrize("name", ["logistic4", "exponential", "logistic5", "weibull_type1", "hill"])
def test_ends_are_where_a_fit_with_that_value_is_worse(name: str) -> None:
    curve, stats = curves.CURVES[name], pytest.importorskip("scipy.stats")
    natural = {"bottom": 1.0, "top": 10.0, "ec50": 1.3, "slope": 1.5, "asymmetry": 1.5}
    natural |= {"scale": 10.0, "rate": 0.5, "lower": 1.0, "upper": 10.0, "e": 1.5}
    natural = {key: natural[key] for key in curve.parameters}
    x = np.repeat(2.0 ** np.arange(-4, 5), 2)
    found = 0
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0, 0.3, len(x))
        y = np.asarray(curve(x, **natural)) + noise
        fit = curve.fit(x, y)
        for parameter in fit.params:
            ends = curves.profile(fit, parameter)
            assert ends.n_fits <= 40
            for end, is_open in zip((ends.low, ends.high), ends.is_open, strict=True):
                if not is_open and not math.isnan(end):
                    worse = curve.fit(x, y, fixed={parameter: end}).rss / fit.rss - 1
                    assert worse * fit.df == pytest.approx(
                        stats.t.ppf(0.975, fit.df) ** 2, rel=1e-4
                    )
                    found += 1
    assert found >= 20


def test_open_ends() -> None:
    """A dose curve without its upper plateau: any large ec50 and top would do."""
    x = [0.1, 0.2, 0.5, 1, 2, 4]
    y = [1.2, 1.1, 1.7, 1.9, 3.2, 5.6]
    fit = curves.logistic4.fit(x, y)
    for name in ("top", "ec50"):
        found = curves.profile(fit, name)
        assert found.is_open == (False, True), name
        assert found.high == math.inf
        assert "the high end is open" in str(found)
        worse = curves.logistic4.fit(x, y, fixed={name: found.low}).rss / fit.rss - 1
        assert worse * fit.df == pytest.approx(4.302652729911275**2, rel=1e-6)
    dose = curves.profile(fit, effective_dose=50)
    assert dose.is_open == (False, True)
    assert dose.low == pytest.approx(curves.profile(fit, "ec50").low, rel=1e-7)


def test_what_has_no_minimum() -> None:
    """A line through 0 is michaelis_menten with both parameters infinite."""
    x = np.array([1.0, 2, 3, 4, 5, 6])
    fit = curves.michaelis_menten.fit(x, 2 * x + [0.1, -0.1, 0.05, 0.1, -0.1, 0.2])
    assert fit.status == "not_identified"
    found = curves.profile(fit, "km")
    assert found.is_open == (False, True)
    worse = curves.michaelis_menten.fit(fit.x, fit.y, fixed={"km": found.low}).rss / fit.rss - 1
    assert worse * fit.df == pytest.approx(2.5705818366147395**2, rel=1e-6)


def test_two_doses_say_nothing_of_the_middle() -> None:
    fit = curves.hill.fit([1, 2, 1, 2], [3, 4, 3.1, 4.2])
    assert curves.profile(fit, "ec50").is_open == (True, True)
    found = curves.profile(fit, "slope")
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_an_end_at_a_bound() -> None:
    bounds = {"bottom": (0.0, None)}
    fit = curves.logistic4.fit(DOSE, LENGTH, bounds=bounds)
    found = curves.profile(fit, "bottom")
    assert found.low == 0
    assert found.is_open == (True, False)
    assert found.high == pytest.approx(
        curves.profile(curves.logistic4.fit(DOSE, LENGTH), "bottom").high, rel=1e-8
    )


def test_the_plateaus_are_not_exchanged() -> None:
    """From top = 39.8 with a large standard error, steps reach values of the other plateau."""
    x = [0.1, 0.2, 0.5, 1, 2, 4]
    y = curves.logistic4(x, bottom=1, top=100, ec50=50, slope=1.2)
    y = y + np.array([0.05, -0.1, 0.1, -0.05, 0.1, -0.1])
    fit = curves.logistic4.fit(x, y)
    found = curves.profile(fit, "top")
    assert found.low > max(y) / 2
    worse = curves.logistic4.fit(x, y, fixed={"top": found.low}).rss / fit.rss - 1
    assert worse * fit.df == pytest.approx(4.302652729911275**2, rel=1e-5)


def test_no_residuals_and_no_degrees_of_freedom() -> None:
    x = [1.0, 2.0, 3.0, 4.0]
    exact = curves.profile(curves.linear.fit(x, x), "slope")
    assert exact.low == pytest.approx(1) == exact.high
    few = curves.profile(curves.linear.fit(x[:2], x[:2]), "slope")
    assert math.isnan(few.low)
    assert math.isnan(few.high)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "expected one of name"),
        ({"name": "ec50", "inverse": 3}, "got 2"),
        ({"name": "e50"}, "not a parameter"),
        ({"name": "ec50", "level": 1}, "level"),
        ({"name": 3}, "expected the name"),
        ({"effective_dose": 100}, "percent"),
        ({"inverse": "x"}, "inverse"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], match: str) -> None:
    fit = curves.logistic4.fit(DOSE, LENGTH)
    with pytest.raises((ParameterError, InputTypeError), match=match):
        curves.profile(fit, **arguments)


def test_fits_without_a_profile() -> None:
    with pytest.raises(ParameterError, match="huber"):
        curves.profile(curves.logistic4.fit(DOSE, LENGTH, loss="huber"), "ec50")
    with pytest.raises(ParameterError, match="'top' is fixed"):
        curves.profile(curves.logistic4.fit(DOSE, LENGTH, fixed={"top": 8}), "top")
    with pytest.raises(InputTypeError, match="GroupFits"):
        curves.profile(None, "top")  # type: ignore[arg-type]
    bounded = curves.logistic4.fit(DOSE, LENGTH, bounds={"bottom": (0, None)})
    with pytest.raises(ParameterError, match="bounds"):
        curves.profile(bounded, inverse=4)
    with pytest.raises(ParameterError, match="not converged"):
        curves.profile(curves.logistic4.fit(DOSE, LENGTH, max_iterations=1), "ec50")


def test_one_parameter() -> None:
    """A line through 0: the profile interval of its slope is that of Student's t."""
    x, y = np.array([1.0, 2, 3, 4]), np.array([2.1, 3.8, 6.3, 7.9])
    fit = curves.linear.fit(x, y, fixed={"intercept": 0})
    found, (low, high) = curves.profile(fit, "slope"), fit.confidence_interval()["slope"]
    check(found, low, high)


def test_an_ec50_beyond_the_numbers() -> None:
    """Points of a logarithm: ec50 and top run off, in some fits beyond the largest number."""
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = np.repeat(2.0 ** np.arange(8), 2)
        y = 10 * np.log(x) + rng.normal(0, 10, 16)
        fit = curves.logistic4.fit(x, y)
        if not 1e-100 < fit.params["ec50"] < 1e100:
            ends = curves.profile(fit, "ec50")
            assert ends.is_open[0] or ends.is_open[1]
            found += 1
    assert found
