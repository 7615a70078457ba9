"""What a fitted curve says: doses of an effect, likelihoods, sums of squares; and the chain of a
curve, which has the named parameters and no others."""

from __future__ import annotations

import math
import pickle
from typing import Any, Literal, cast

import numpy as np
import pytest
from curve_cases import exact, exact_jacobian, noisy
from scipy import stats
from scipy.optimize import brentq

import cbackprop as cbp
from cbackprop import curves

DOSES = np.array([0.0, 0.1, 0.3, 1.0, 2.0, 4.0, 10.0, 30.0, 200.0])


@pytest.mark.parametrize("percent", [5, 20, 50, 90])
@pytest.mark.parametrize("slope", [1.5, -1.5], ids=["rising", "falling"])
def test_a_dose_gives_its_percentage_of_the_change_from_dose_0(slope: float, percent: int) -> None:
    bottom, top, ec50 = 2.0, 10.0, 3.0
    with np.errstate(divide="ignore"):
        effects = bottom + (top - bottom) / (1.0 + (ec50 / DOSES) ** slope)
    fitted = curves.logistic4.fit(DOSES, effects)
    # both curves are at ec50 (f / (1 - f))^(1 / |slope|), f the fraction of the change
    odds = percent / (100.0 - percent)
    dose, error = fitted.effective_dose(percent)
    assert dose == pytest.approx(ec50 * odds ** (1.0 / abs(slope)), rel=1e-7)
    assert 0.0 <= error < 1e-6


@pytest.mark.parametrize("y", [[0, 0, 0, 0], [1, 3, 5, 7]], ids=["zeros", "line"])
def test_an_exact_fit_has_an_infinite_likelihood(y: list[float]) -> None:
    fitted = curves.linear.fit([0, 1, 2, 3], y)
    assert fitted.rss == 0.0
    assert fitted.log_likelihood == math.inf  # of errors of variance 0
    assert fitted.aic == fitted.bic == -math.inf


@pytest.mark.parametrize("loss", ["huber", "cauchy"])
def test_squares_beyond_the_largest_number_are_infinite_without_a_warning(loss: str) -> None:
    x = np.arange(8.0)
    y = 1.0 + 2.0 * x
    y[3] = 1e200
    with np.errstate(all="raise"):
        fitted = curves.linear.fit(x, y, loss=loss)  # type: ignore[arg-type]
    assert fitted.rss == math.inf
    assert math.isfinite(fitted.mean_loss)


def test_a_chain_has_no_other_parameters_than_its_curve() -> None:
    words = "parameters: 'slop' is not a parameter of linear; did you mean 'slope'"
    with pytest.raises(cbp.ParameterError, match=words):
        curves.linear.chain(slope=1.0, intercept=2.0, slop=3.0)
    with pytest.raises(cbp.ParameterError, match=words):
        curves.linear(0.5, slope=1.0, intercept=2.0, slop=3.0)


# ---- intervals of inputs -------------------------------------------------------------------------

INTERVALS: tuple[Literal["log", "wald", "fieller"], ...] = ("log", "wald", "fieller")
TWICE = np.repeat(DOSES, 2)
TRUE = {"bottom": 2.0, "top": 10.0, "ec50": 3.0, "slope": 1.5}
RISEN = curves.logistic4.fit(
    TWICE, exact("logistic4", TWICE, TRUE) + 0.4 * np.sin(7.0 * np.arange(TWICE.size))
)


def reach_at(x: float, fitted: cbp.CurveFit, observation: float) -> float:
    """Half the width of the band at a dose, by the derivatives of the 4PL and the covariance."""
    row = exact_jacobian("logistic4", np.array([x]), fitted.params)[0]
    variance = float(row @ fitted.covariance @ row) + observation
    return float(stats.t.ppf(0.975, fitted.df)) * math.sqrt(variance)


@pytest.mark.parametrize("replicates", [None, 3])
def test_the_intervals_of_an_inverse(replicates: int | None) -> None:
    y = 5.5
    observation = 0.0 if replicates is None else RISEN.residual_sd**2 / replicates
    found = RISEN.inverse(y, replicates=replicates)
    x, t = float(found.value), float(stats.t.ppf(0.975, RISEN.df))
    relative = t * float(found.stderr) / x
    assert found.low == pytest.approx(x * math.exp(-relative), rel=1e-12)
    assert found.high == pytest.approx(x * math.exp(relative), rel=1e-12)
    wald = RISEN.inverse(y, replicates=replicates, interval="wald")
    assert wald.low == pytest.approx(x * (1 - relative), rel=1e-12)
    assert wald.high == pytest.approx(x * (1 + relative), rel=1e-12)
    assert list(wald) == list(found)

    def excess(at: float) -> float:
        distance = abs(float(exact("logistic4", np.array([at]), RISEN.params)[0]) - y)
        return distance - reach_at(at, RISEN, observation)

    fieller = RISEN.inverse(y, replicates=replicates, interval="fieller")
    assert fieller.low == pytest.approx(brentq(excess, x / 3, x), rel=1e-6)
    assert fieller.high == pytest.approx(brentq(excess, x, 3 * x), rel=1e-6)


def test_an_interval_without_end_where_the_band_never_leaves_the_response() -> None:
    bottom, top = RISEN.params["bottom"], RISEN.params["top"]
    band = RISEN.predict([0.0, 1e12], "confidence")
    assert band.high[1] > top
    assert band.low[1] < top
    near = [top - 0.02, top + 0.02, top + 100.0, bottom - 0.02, bottom - 100.0, math.nan]
    found = RISEN.inverse(near, interval="fieller")
    assert np.isnan(found.value).tolist() == [False, True, True, True, True, True]
    assert found.high[:2].tolist() == [math.inf, math.inf]
    assert 3.0 < found.low[0] < found.value[0]
    # the estimate does not exist, but all doses whose band contains the response
    low = float(found.low[1])
    value = float(exact("logistic4", np.array([low]), RISEN.params)[0])
    assert value + reach_at(low, RISEN, 0.0) == pytest.approx(near[1], rel=1e-9)
    assert found.low[3] == 0.0
    assert 0.0 < found.high[3] < 3.0
    for ends in (found.low, found.high):
        assert np.isnan(ends).tolist() == [False, False, True, False, True, True]


@pytest.mark.parametrize("noise", [0.3, 3.0, 30.0])
def test_the_interval_of_an_inverse_line_is_fiellers(noise: float) -> None:
    x = np.arange(12.0)
    y = 1.0 + 0.5 * x + noise * np.cos(5.0 * x)
    fitted = curves.linear.fit(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    s2 = float(np.sum((y - slope * x - intercept) ** 2)) / 10
    t2, spread, mean = float(stats.t.ppf(0.95, 10)) ** 2, float(np.sum((x - 5.5) ** 2)), y.mean()
    for given in (2.0, mean, 9.0):
        found = fitted.inverse(given, replicates=2, level=0.9, interval="fieller")
        # (given - mean - slope u)^2 = t^2 s^2 (1/12 + 1/2 + u^2 / spread), u = x - 5.5
        a = slope**2 - t2 * s2 / spread
        b = -2.0 * slope * (given - mean)
        c = (given - mean) ** 2 - t2 * s2 * (1 / 12 + 1 / 2)
        if a <= 0:  # the slope does not differ from 0: no dose is ruled out far from the others
            assert [found.low, found.high] == [-math.inf, math.inf]
        else:
            root = math.sqrt(b * b - 4 * a * c)
            assert found.low == pytest.approx(5.5 + (-b - root) / (2 * a), rel=1e-10)
            assert found.high == pytest.approx(5.5 + (-b + root) / (2 * a), rel=1e-10)


def test_an_exact_fit_has_intervals_of_no_width() -> None:
    fitted = curves.linear.fit([0, 1, 2, 3], [1, 3, 5, 7])
    for interval in INTERVALS:
        found = fitted.inverse(4.0, interval=interval)
        assert [*found, found.low, found.high] == [1.5, 0.0, 1.5, 1.5]


def test_an_inverse_of_weighted_and_robust_fits_has_their_errors() -> None:
    x = np.geomspace(0.1, 30.0, 16)
    y = exact("hill", x, {"top": 5.0, "ec50": 2.0, "slope": 1.2}) * (1 + 0.05 * np.cos(9 * x))
    for kind in ("gauss-newton", "hessian"):
        fitted = curves.hill.fit(
            x, y, sample_weight=1 / y**2, loss="soft_l1", loss_scale=0.2, covariance=kind
        )
        found = fitted.inverse(2.0)
        at = np.array([float(found.value)])
        row = exact_jacobian("hill", at, fitted.params)[0]
        top, _, slope = fitted.params.values()
        by_dose = 2.0 * slope * (1 - 2.0 / top) / at[0]
        expected = math.sqrt(float(row @ fitted.covariance @ row)) / by_dose
        assert found.stderr == pytest.approx(expected, rel=1e-6)


def test_new_readings_of_a_loss_with_a_known_variance_have_no_interval() -> None:
    rng = np.random.default_rng(8)
    x = np.linspace(-3, 3, 60)
    y = (rng.random(60) < exact("platt", x, {"slope": 1.4, "intercept": 0.3})).astype(float)
    fitted = curves.platt.fit(x, y)
    found = fitted.effective_dose(50)  # where slope x + intercept is 0
    slope, intercept = fitted.params.values()
    assert found.value == pytest.approx(-intercept / slope, rel=1e-12)
    reach = 1.959963984540054 * found.stderr
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))
    for interval in INTERVALS[1:]:
        read = fitted.inverse(0.5, replicates=2, interval=interval)
        assert np.isnan([read.stderr, read.low, read.high]).all()
        known = fitted.inverse(0.5, interval=interval)
        assert known.low < known.value < known.high


# ---- effective doses -----------------------------------------------------------------------------

# where the fraction f of the change from the low end of the domain, or 0, is reached
DOSES_OF: dict[str, Any] = {
    "exponential": lambda f, scale, rate: -math.log1p(-f) / rate,
    "saturation": lambda f, asymptote, rate: -math.log1p(-f) / rate,
    "asymptotic": lambda f, end, start, rate: -math.log1p(-f) / rate,
    "michaelis_menten": lambda f, vmax, km: km * f / (1 - f),
    "hill": lambda f, top, ec50, slope: ec50 * (f / (1 - f)) ** (1 / abs(slope)),
    "logistic3": lambda f, top, midpoint, scale: midpoint + abs(scale) * math.log(f / (1 - f)),
    "logistic4_linear": lambda f, a, b, midpoint, scale: midpoint + scale * math.log(f / (1 - f)),
    "logistic4": lambda f, a, b, ec50, slope: ec50 * (f / (1 - f)) ** (1 / abs(slope)),
    "logistic5": lambda f, a, b, ec50, slope, power: (
        ec50 * ((f if slope > 0 else 1 - f) ** (-1 / power) - 1) ** (-1 / slope)
    ),
    "gompertz": lambda f, top, displacement, rate: math.log(displacement / -math.log(f)) / rate,
    "weibull": lambda f, end, drop, log_rate, power: (
        (-math.log1p(-f) / math.exp(log_rate)) ** (1 / power)
    ),
    "richards": lambda f, top, offset, rate, shape: (offset - math.log(f**-shape - 1)) / rate,
    "arrhenius": lambda f, prefactor, energy: energy / (8.31446261815324 * -math.log(f)),
    "platt": lambda f, slope, intercept: (math.log(f / (1 - f)) - intercept) / slope,
    "langmuir": lambda f, qmax, k: f / (1 - f) / k,
    "hill_log10": lambda f, top, logec50, slope: logec50 + math.log10(f / (1 - f)) / abs(slope),
    "logistic4_log10": lambda f, a, b, logec50, slope: (
        logec50 + math.log10(f / (1 - f)) / abs(slope)
    ),
    "logistic5_log10": lambda f, a, b, logec50, slope, power: (
        logec50 - math.log10((f if slope > 0 else 1 - f) ** (-1 / power) - 1) / slope
    ),
    "weibull_type1": lambda f, slope, a, b, e: (
        e * (-math.log(1 - f if slope > 0 else f)) ** (1 / slope)
    ),
    "weibull_type2": lambda f, slope, a, b, e: (
        e * (-math.log(1 - f if slope > 0 else f)) ** (1 / slope)
    ),
    "log_normal": lambda f, slope, a, b, e: e * math.exp(stats.norm.ppf(f) / abs(slope)),
    "gompertz4": lambda f, slope, a, b, e: (
        e + math.log(-math.log(1 - f if slope > 0 else f)) / slope
    ),
    "asymptotic_regression": lambda f, a, b, e: -e * math.log1p(-f),
}


@pytest.mark.parametrize("percent", [10, 50, 90])
@pytest.mark.parametrize("name", DOSES_OF)
def test_effective_doses_of_every_monotone_curve(name: str, percent: int) -> None:
    rng = np.random.default_rng([6, len(name)])
    x, y, true = noisy(name, rng)
    falls = {"exponential": "rate", "platt": "slope"}
    if name in falls and true[falls[name]] < 0:  # made to have the limits of the formulas
        y = y[::-1].copy()
    fitted = curves.CURVES[name].fit(x, y, loss="squared")
    assert fitted.converged, name
    values, fraction = np.array(list(fitted.params.values())), percent / 100
    found = fitted.effective_dose(percent, interval="wald")
    dose = DOSES_OF[name](fraction, *values)
    assert found.value == pytest.approx(dose, rel=1e-9)
    slopes = np.zeros(values.size)
    for k, value in enumerate(values):
        step = np.zeros(values.size)
        step[k] = 1e-5 * abs(value)
        ends = [DOSES_OF[name](fraction, *(values + sign * step)) for sign in (1, -1)]
        slopes[k] = (ends[0] - ends[1]) / (2 * step[k])
    error = math.sqrt(float(slopes @ fitted.covariance @ slopes))
    assert found.stderr == pytest.approx(error, rel=1e-5)
    reach = float(stats.t.ppf(0.975, fitted.df)) * error
    assert (found.low, found.high) == pytest.approx((dose - reach, dose + reach), rel=1e-5)
    log = fitted.effective_dose(percent)
    if fitted.curve.domain[0] == 0:
        expected = dose * math.exp(-reach / dose), dose * math.exp(reach / dose)
        assert (log.low, log.high) == pytest.approx(expected, rel=1e-5)
    else:
        assert log == found


@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "power",
        "exponential_growth",
        "freundlich",
        "gaussian_peak",
        "gaussian_peak_baseline",
        "no_effect_dose",
    ],
)
def test_curves_without_an_effective_dose_say_why(name: str) -> None:
    x, y, _ = noisy(name, np.random.default_rng(4))
    fitted = curves.CURVES[name].fit(x, y)
    is_one_to_one = name in ("linear", "power", "exponential_growth", "freundlich")
    words = "no effective dose.*no finite limit" if is_one_to_one else "not one-to-one"
    with pytest.raises(cbp.ParameterError, match=words):
        fitted.effective_dose(50)
    if not is_one_to_one:
        with pytest.raises(cbp.ParameterError, match=words):
            fitted.inverse(1.0)


@pytest.mark.parametrize("percent", [5, 50, 80, 99])
def test_fiellers_interval_of_an_effective_dose(percent: int) -> None:
    """By Fieller's theorem for a line in u = log x: a + b u = logit(percent)."""
    found = RISEN.effective_dose(percent, interval="fieller")
    _, _, ec50, slope = RISEN.params.values()
    by_natural = np.array([[0, 0, -slope / ec50, -math.log(ec50)], [0, 0, 0, 1]])  # of a, b
    v = by_natural @ RISEN.covariance @ by_natural.T * float(stats.t.ppf(0.975, RISEN.df)) ** 2
    rest = -slope * math.log(ec50) - math.log(percent / (100 - percent))
    # (rest + b u)^2 = t^2 (v11 + 2 u v12 + u^2 v22)
    ends = np.roots([slope**2 - v[1, 1], 2 * (rest * slope - v[0, 1]), rest**2 - v[0, 0]])
    assert slope**2 > v[1, 1]
    assert found.low == pytest.approx(math.exp(min(ends)), rel=1e-8)
    assert found.high == pytest.approx(math.exp(max(ends)), rel=1e-8)


@pytest.mark.parametrize("name", DOSES_OF)
def test_fiellers_interval_is_about_walds_where_errors_are_small(name: str) -> None:
    x, y, true = noisy(name, np.random.default_rng([6, len(name)]))
    exactly = np.asarray(curves.CURVES[name](x, **true))
    fitted = curves.CURVES[name].fit(x, exactly + 1e-4 * (y - exactly), loss="squared")
    for percent in (10, 50, 90):
        log = fitted.effective_dose(percent)
        found = fitted.effective_dose(percent, interval="fieller")
        assert found.value == log.value
        assert found.stderr == log.stderr
        reach = log.high - log.value
        assert found.low == pytest.approx(log.low, abs=0.02 * reach)
        assert found.high == pytest.approx(log.high, abs=0.02 * reach)


def test_what_the_data_do_not_determine_has_intervals_without_end() -> None:
    x = [0, 0.0022, 0.0046, 0.01, 0.0215, 0.0464, 0.1, 0.2154, 0.4642, 1]
    fitted = curves.hill.fit(x, [1, 0, 1, 1, 1, 1, 0, 0, 1, 1])
    assert fitted.status == "not_identified"
    for interval, low in zip(INTERVALS, (0.0, -math.inf, 0.0), strict=True):
        found = fitted.effective_dose(50, interval=interval)
        assert (found.stderr, found.low, found.high) == (math.inf, low, math.inf)


def test_a_dose_too_near_the_start_to_be_told_from_it_is_not_determined() -> None:
    fitted = curves.logistic4.fit(TWICE, -RISEN.y)
    for interval, low in zip(INTERVALS, (0.0, -math.inf, 0.0), strict=True):
        found = fitted.effective_dose(1e-30, interval=interval)
        assert [found.value, found.stderr] == [0.0, math.inf]
        assert [found.low, found.high] == [low, math.inf]


def test_what_was_found_unpacks_to_value_and_error_and_goes_to_other_processes() -> None:
    dose, error = found = RISEN.effective_dose(50)
    assert (dose, error) == (found.value, found.stderr)
    assert pickle.loads(pickle.dumps(found)) == found
    assert found.low < dose < found.high
    values, errors = back = RISEN.inverse([[4.0, 5.0], [6.0, 7.0]])
    assert values is back.value
    assert errors is back.stderr
    assert back.low.shape == back.high.shape == (2, 2)
    for level, wider in ((0.5, 0.9), (np.float32(0.9), 0.99)):
        inner, outer = (RISEN.effective_dose(50, level=at) for at in (level, wider))
        assert outer.low < inner.low < inner.high < outer.high


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: RISEN.inverse(5.0, interval=cast("Any", "profile")), "interval: 'profile'"),
        (lambda: RISEN.effective_dose(5, interval=cast("Any", None)), "interval: None; expected"),
        (lambda: RISEN.inverse(5.0, level=1.0), "level: 1.0; expected between 0 and 1"),
        (lambda: RISEN.effective_dose(5, level=cast("Any", "x")), "level: 'x'; expected a number"),
    ],
)
def test_bad_intervals(call: Any, words: str) -> None:
    with pytest.raises(cbp.ParameterError, match=words):
        call()
