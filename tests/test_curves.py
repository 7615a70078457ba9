"""Curves: what they recover without starting values, what they print, and what they refuse."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import numpy.typing as npt
import pytest
from curve_cases import draw, noisy

import cbackprop as cbp
from cbackprop import curves
from cbackprop.student import t_quantile

Floats = npt.NDArray[np.float64]
PUBLISHED = {
    case["name"]: case
    for case in json.loads((Path(__file__).parent / "vectors" / "fits.json").read_text())[
        "published"
    ]
}


# ---- without starting values ---------------------------------------------------------------------


@pytest.mark.parametrize("name", curves.CURVES)
def test_a_curve_recovers_its_own_parameters(name: str) -> None:
    curve = curves.CURVES[name]
    for seed in range(25):
        x, expected = draw(name, np.random.default_rng([seed, len(name)]))
        fitted = curve.fit(x, np.asarray(curve(x, **expected)))
        assert fitted.converged, (seed, fitted.message)
        for parameter, value in expected.items():
            # ten digits, the exact data's rounding magnified by their own condition included
            assert fitted.params[parameter] == pytest.approx(value, rel=1e-10), (seed, parameter)


@pytest.mark.parametrize("name", curves.CURVES)
def test_with_noise_no_other_start_finds_less(name: str) -> None:
    curve = curves.CURVES[name]
    for seed in range(8):
        rng = np.random.default_rng([seed, 77, len(name)])
        x, y, true = noisy(name, rng)
        fitted = curve.fit(x, y)
        if fitted.status != "converged":
            assert fitted.message != "converged"
            continue
        form = curve.forms[0]
        for other in range(20):
            start = curve.chain(**(draw(name, rng)[1] if other else true))
            try:
                rival = cbp.fit(start, x, y, loss=curve.loss, bounds=form.limits)
            except cbp.ParameterError:
                continue
            assert fitted.result.loss <= rival.loss * (1 + 1e-8) + 1e-300, (seed, other)


# What a curve becomes as parameters run off, by its own parameters p.
LIMITS: dict[str, Any] = {
    "power": lambda x, p: np.where(x == x.min(), p[0], 0.0),  # exponent -> -inf
    "weibull": lambda x, p: p[0] + p[1] * x ** p[2],  # drop -> inf
    "richards": lambda x, p: p[0] * np.exp(-np.exp(p[1] - p[2] * x)),  # shape -> 0
    "logistic5": lambda x, p: p[0] + p[1] * np.exp(-np.exp(p[2] - p[3] * np.log(x))),  # asymmetry
}


@pytest.mark.parametrize(
    ("name", "seed", "lost", "start"),
    [
        ("power", 360, "scale, exponent", [50.0]),
        ("power", 577, "scale, exponent", [50.0]),
        ("weibull", 25, "asymptote, drop, log_rate", [-18.0, 11.0, 0.9]),
        ("weibull", 177, "asymptote, drop, log_rate", [131.0, -6.0, 0.9]),
        ("richards", 78, "offset, shape", [87.0, 3.0, 0.7]),
        ("richards", 179, "offset, shape", [56.0, 2.0, 0.3]),
        ("logistic5", 28, "ec50, asymmetry", [0.7, 1.3, 2.0, -0.9]),
        ("logistic5", 45, "ec50, asymmetry", [0.2, 27.0, -1.0, 1.1]),
    ],
)
def test_without_a_minimum_the_infimum_is_reached(
    name: str, seed: int, lost: str, start: list[float]
) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng([seed, 99])
    x, true = draw(name, rng)
    exact = np.asarray(curves.CURVES[name](x, **true))
    y = exact + rng.normal(size=x.size) * 0.03 * np.ptp(exact)
    limit = optimize.least_squares(
        lambda p: LIMITS[name](x, p) - y, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    fitted = curves.CURVES[name].fit(x, y)
    assert fitted.rss == pytest.approx(2 * limit.cost, rel=1e-8)
    assert (fitted.status, fitted.converged) == ("not_identified", False)
    assert fitted.message.startswith("no minimum: ")
    assert fitted.message.partition("; ")[2] == f"not identified by the data: {lost}"
    assert ", ".join(p for p, error in fitted.stderr.items() if math.isinf(error)) == lost
    # what is left is the limit's fit, with its band
    assert fitted.df == x.size - len(start)
    band = fitted.predict(x, "confidence")
    assert isinstance(band, tuple)
    np.testing.assert_allclose(band.value, LIMITS[name](x, limit.x), atol=1e-6 * np.ptp(y))
    covariance = np.linalg.inv(limit.jac.T @ limit.jac) * fitted.residual_sd**2
    spread = np.sqrt(np.einsum("ij,jk,ik->i", limit.jac, covariance, limit.jac))
    reach = t_quantile(0.975, fitted.df) * spread
    np.testing.assert_allclose(band.high - band.value, reach, atol=1e-4 * reach.max())


def test_the_way_to_infinity_keeps_to_bounds() -> None:
    rng = np.random.default_rng([28, 99])
    x, true = draw("logistic5", rng)
    exact = np.asarray(curves.logistic5(x, **true))
    y = exact + rng.normal(size=x.size) * 0.03 * np.ptp(exact)
    fitted = curves.logistic5.fit(x, y, bounds={"asymmetry": (None, 1e6)})
    assert fitted.params["asymmetry"] == pytest.approx(1e6, rel=1e-12)
    assert fitted.message == "converged; at a bound: asymmetry"
    assert fitted.rss == pytest.approx(
        curves.logistic5.fit(x, y, fixed={"asymmetry": 1e6}).rss, rel=1e-8
    )


# ---- as R and drc print them ---------------------------------------------------------------------


def printed(value: float, text: str) -> str:
    mantissa, letter, _ = text.partition("e")
    return format(value, f".{len(mantissa.partition('.')[2])}{letter or 'f'}")


def test_puromycin_as_r_prints_it() -> None:
    case = PUBLISHED["SSmicmen"]
    fitted = curves.michaelis_menten.fit(case["x"], case["y"])
    assert printed(fitted.params["vmax"], "2.127e+02") == "2.127e+02"
    assert printed(fitted.stderr["vmax"], "6.947e+00") == "6.947e+00"
    assert printed(fitted.params["km"], "6.412e-02") == "6.412e-02"
    assert printed(fitted.stderr["km"], "8.281e-03") == "8.281e-03"
    assert fitted.df == 10


def test_dnase_as_r_prints_it() -> None:
    case = PUBLISHED["SSlogis"]
    fitted = curves.logistic3.fit(np.log(case["x"]), case["y"])
    for name, estimate, stderr in (
        ("asymptote", "2.34518", "0.07815"),
        ("midpoint", "1.48309", "0.08135"),
        ("scale", "1.04145", "0.03227"),
    ):
        assert printed(fitted.params[name], estimate) == estimate
        assert printed(fitted.stderr[name], stderr) == stderr


def test_ryegrass_as_drc_prints_it() -> None:
    case = PUBLISHED["LL.4"]
    fitted = curves.logistic4.fit(case["x"], case["y"], covariance="hessian")
    # drc's b is our -slope; its estimates stopped at about six digits
    for name, estimate, stderr in (
        ("bottom", 0.4814132, "0.21219"),
        ("top", 7.7929583, "0.18857"),
        ("ec50", 3.0579550, "0.18573"),
        ("slope", -2.9822191, "0.46507"),
    ):
        assert fitted.params[name] == pytest.approx(estimate, rel=1e-5)
        assert printed(fitted.stderr[name], stderr) == stderr
    assert printed(fitted.log_likelihood, "-16.15514") == "-16.15514"
    assert fitted.effective_dose(50) == (
        pytest.approx(fitted.params["ec50"], rel=1e-14),
        pytest.approx(fitted.stderr["ec50"], rel=1e-12),
    )


# ---- names, fixed parameters, bounds -------------------------------------------------------------

DOSE = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])


@pytest.mark.parametrize("slope", [-3.0, 3.0])
@pytest.mark.parametrize(
    "known",
    [{"fixed": {"bottom": 0.5}}, {"bounds": {"bottom": (0.5, None)}}],
    ids=["fixed", "bound"],
)
def test_a_known_bottom_is_found_whichever_way_the_curve_goes(slope: float, known: Any) -> None:
    natural = {"bottom": 0.5, "top": 8.0, "ec50": 3.0, "slope": slope}
    dose = np.array([0.0, 0.9, 1.9, 3.8, 7.5, 15.0, 30.0])
    found = curves.logistic4.fit(dose, curves.logistic4(dose, **natural), **known)
    assert found.params == pytest.approx(natural, rel=1e-6)


@pytest.mark.parametrize("slope", [1.3, -1.3])
def test_bottom_is_below_top_whichever_way_the_curve_goes(slope: float) -> None:
    y = curves.logistic4(DOSE, bottom=0.5, top=4.0, ec50=0.7, slope=slope)
    fitted = curves.logistic4.fit(DOSE, y)
    assert fitted.params == pytest.approx(
        {"bottom": 0.5, "top": 4.0, "ec50": 0.7, "slope": slope}, rel=1e-10
    )


@pytest.mark.parametrize(
    "fixed",
    [
        {"bottom": 0.5},
        {"top": 4.0},
        {"ec50": 0.7},
        {"slope": 1.3},
        {"bottom": 0.5, "ec50": 0.7},
        {"top": 4.0, "slope": 1.3},
        {"bottom": 0.5, "top": 4.0},
        {"ec50": 0.7, "slope": 1.3},
        {"bottom": 0.5, "top": 4.0, "ec50": 0.7},
        {"bottom": 0.5, "ec50": 0.7, "slope": 1.3},
    ],
    ids=str,
)
def test_what_is_fixed_stays(fixed: dict[str, float]) -> None:
    rng = np.random.default_rng(3)
    true = {"bottom": 0.5, "top": 4.0, "ec50": 0.7, "slope": 1.3}
    y = np.asarray(curves.logistic4(DOSE, **true)) + rng.normal(size=DOSE.size) * 0.02
    fitted = curves.logistic4.fit(DOSE, y, fixed=fixed)
    free = curves.logistic4.fit(DOSE, y)
    assert fitted.rss >= free.rss
    assert fitted.df == free.df + len(fixed)
    for name, value in true.items():
        if name in fixed:
            assert fitted.params[name] == pytest.approx(value, rel=1e-15)
            assert fitted.stderr[name] == 0.0
        else:
            assert abs(fitted.params[name] - value) < 6 * fitted.stderr[name]


def test_bounds_of_natural_parameters() -> None:
    y = curves.logistic4(DOSE, bottom=0.5, top=4.0, ec50=0.7, slope=1.3)
    fitted = curves.logistic4.fit(DOSE, y, bounds={"ec50": (1.0, None)})
    assert fitted.params["ec50"] == pytest.approx(1.0, rel=1e-15)
    assert "at a bound" in fitted.message
    inside = curves.logistic4.fit(DOSE, y, bounds={"ec50": (0.1, 10.0), "slope": (0.0, 5.0)})
    assert inside.params["ec50"] == pytest.approx(0.7, rel=1e-9)


@pytest.mark.parametrize(
    ("bounds", "at"),
    [
        ({"bottom": (0.6, None), "top": (None, 3.8)}, {"bottom": 0.6, "top": 3.8}),
        ({"bottom": (0.0, None), "top": (None, 3.8)}, {"top": 3.8}),
        ({"bottom": (0.0, 1.0), "top": (1.0, 9.0)}, {}),
        (
            {"bottom": (0.6, None), "top": (None, 3.8), "ec50": (0.1, 2.0)},
            {"bottom": 0.6, "top": 3.8},
        ),
    ],
    ids=str,
)
def test_bounds_of_bottom_and_top_together(bounds: Any, at: dict[str, float]) -> None:
    y = curves.logistic4(DOSE, bottom=0.5, top=4.0, ec50=0.7, slope=1.3)
    fitted = curves.logistic4.fit(DOSE, y, bounds=bounds)
    # what a bound holds is what fixing it there gives
    fixed = curves.logistic4.fit(DOSE, y, fixed=at)
    assert fitted.params == pytest.approx(fixed.params, rel=1e-8)
    for name, value in at.items():
        assert fitted.params[name] == pytest.approx(value, rel=1e-15)
        assert name in fitted.message.partition("at a bound")[2]


@pytest.mark.parametrize("name", [name for name in curves.CURVES if name != "platt"])
@pytest.mark.parametrize("bounds", [(0, None), (None, 1e30), (-1e30, 1e30), (None, None)], ids=str)
def test_wide_bounds_of_every_parameter_change_nothing(name: str, bounds: Any) -> None:
    curve = curves.CURVES[name]
    x, true = draw(name, np.random.default_rng([3, len(name)]))
    y = np.asarray(curve(x, **true))
    for parameter, value in true.items():
        if bounds[0] == 0 and value < 0:
            continue
        fitted = curve.fit(x, y, bounds={parameter: bounds})
        assert fitted.params == pytest.approx(true, rel=1e-7), (parameter, fitted.message)


# ---- bands and inverses --------------------------------------------------------------------------


def test_quantiles_of_t() -> None:
    # exact: tan(pi (p - 1/2)) for one degree of freedom, the closed form for two
    for p in (0.6, 0.9, 0.975, 0.9995):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-11)
        two = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
        assert t_quantile(p, 2) == pytest.approx(two, rel=1e-11)
        assert t_quantile(1 - p, 2) == pytest.approx(-two, rel=1e-11)
    assert t_quantile(0.975, math.inf) == pytest.approx(1.959963984540054, rel=1e-14)
    # Abramowitz and Stegun, table 26.10
    assert round(t_quantile(0.975, 10), 3) == 2.228
    assert round(t_quantile(0.995, 30), 3) == 2.750


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
def test_bands_cover_what_they_promise(interval: Any) -> None:
    rng, hits, tries = np.random.default_rng(11), 0, 0
    x = np.exp(np.linspace(-3, 3, 20))
    true = np.asarray(curves.logistic4(x, bottom=0.0, top=1.0, ec50=1.0, slope=1.0))
    for _ in range(400):
        fitted = curves.logistic4.fit(x, true + rng.normal(size=20) * 0.03)
        band = fitted.predict(x[::4], interval)
        assert isinstance(band, tuple)
        new = true[::4] + (rng.normal(size=5) * 0.03 if interval == "prediction" else 0.0)
        hits += int(np.count_nonzero((band.low <= new) & (new <= band.high)))
        tries += 5
    assert 0.93 <= hits / tries <= 0.97


def test_errors_of_parameters_that_nearly_replace_each_other() -> None:
    # a drop of millions at a power near 0: the chain's covariance has no digits left for the rest
    x = np.linspace(0.2, 10, 20)
    true = {"asymptote": 158.0, "drop": 6.2e6, "log_rate": 2.69, "power": -0.068}
    exact = np.asarray(curves.weibull(x, **true))
    y = exact + np.random.default_rng(4).normal(size=20) * 0.05
    fitted = curves.weibull.fit(x, y)
    assert fitted.params["drop"] > 1e5
    with mp.workdps(60):
        _, drop, log_rate, power = map(mp.mpf, fitted.params.values())
        slopes = mp.matrix(20, 4)
        for i in range(20):
            grown = mp.exp(log_rate) * mp.mpf(x[i]) ** power
            left = mp.exp(-grown)
            by_rate = drop * left * grown
            slopes[i, :] = mp.matrix([[1, -left, by_rate, by_rate * mp.log(mp.mpf(x[i]))]])
        covariance = mp.inverse(slopes.T * slopes) * mp.mpf(fitted.residual_sd) ** 2
        expected = [float(mp.sqrt(covariance[k, k])) for k in range(4)]
        first = float(mp.sqrt((slopes[0, :] * covariance * slopes[0, :].T)[0, 0]))
    assert list(fitted.stderr.values()) == pytest.approx(expected, rel=1e-6)
    band = fitted.predict(x[0], "confidence")
    half = float(band.high - band.value)
    assert half == pytest.approx(first * t_quantile(0.975, fitted.df), rel=1e-6)
    # in company it may not get there, and has no error then
    error = curves.weibull.fit_many(x, np.array([y, exact])).stderr["asymptote"][0]
    assert math.isnan(error) or error == pytest.approx(expected[0], rel=1e-6)


def test_inverse_and_its_error() -> None:
    rng = np.random.default_rng(5)
    true = {"bottom": 0.1, "top": 2.0, "ec50": 1.0, "slope": 1.2}
    x = np.exp(np.linspace(-3, 3, 24))
    y = np.asarray(curves.logistic4(x, **true)) + rng.normal(size=24) * 0.01
    fitted = curves.logistic4.fit(x, y)
    back = fitted.inverse([0.5, 1.0, 3.0])
    assert np.asarray(fitted(back.value[:2])) == pytest.approx([0.5, 1.0], rel=1e-12)
    assert math.isnan(back.value[2])
    assert math.isnan(back.stderr[2])
    # of the curve alone: the standard error of the prediction over the slope
    band = fitted.predict(back.value[:2], "confidence", 0.5)
    assert isinstance(band, tuple)
    spread = (band.high - band.value) / t_quantile(0.75, fitted.df)
    slope = np.asarray(fitted.chain.slope(back.value[:2]))
    np.testing.assert_allclose(back.stderr[:2], spread / slope, rtol=1e-10)
    single = fitted.inverse(0.5, replicates=1)
    expected = math.hypot(float(back.stderr[0]), fitted.residual_sd / float(slope[0]))
    assert float(single.stderr) == pytest.approx(expected, rel=1e-10)


def test_summary_shows_every_parameter() -> None:
    case = PUBLISHED["SSmicmen"]
    fitted = curves.michaelis_menten.fit(case["x"], case["y"])
    text = fitted.summary()
    for word in (
        "michaelis_menten",
        "vmax",
        "212.68374",
        "6.9472",
        "km",
        "10 degrees",
        "converged",
    ):
        assert word in text
    assert "vmax=212.684" in repr(fitted)
    low, high = fitted.confidence_interval()["vmax"]
    assert (low + high) / 2 == pytest.approx(fitted.params["vmax"], rel=1e-14)


# ---- what is refused -----------------------------------------------------------------------------

FALLEN = curves.logistic4.fit(DOSE, 1 + 3 / (1 + DOSE**2) + 0.01 * np.cos(7 * DOSE))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: curves.logistic4.fit(DOSE, DOSE, fixed={"botom": 0}), "ParameterError", "bottom"),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, bounds={"top": 1}),
            "ParameterError",
            "low, high",
        ),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, bounds={"ec50": (2, 1)}),
            "ParameterError",
            "is above",
        ),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, bounds={"top": ("a", 1)}),  # type: ignore[dict-item]
            "InputTypeError",
            "bounds['top']: low is 'a'",
        ),
        (lambda: curves.logistic4.fit(DOSE[:3], DOSE[:3]), "ShapeError", "3 points"),
        (lambda: curves.logistic4.fit(DOSE, DOSE[:3]), "ShapeError", "shape"),
        (lambda: curves.logistic4.fit(-DOSE, DOSE), "ParameterError", "x[1]: -0.01"),
        (lambda: curves.linear.fit([0, math.nan], [0, 1]), "ParameterError", "point 1"),
        (lambda: curves.linear.chain(slope=1), "ParameterError", "intercept: missing"),
        (lambda: curves.linear.chain(slop=1), "ParameterError", "slope"),
        (lambda: curves.linear.fit(DOSE, DOSE).predict(1.0, "both"), "ParameterError", "interval"),  # type: ignore[arg-type]
        (
            lambda: curves.linear.fit(DOSE, DOSE).effective_dose(50),
            "ParameterError",
            "no effective",
        ),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, fixed={"top": 1}, bounds={"top": (0, 1)}),
            "ParameterError",
            "bounds: 'top' is fixed already",
        ),
        (
            lambda: curves.linear.fit(DOSE, DOSE, nan_policy="drop"),  # type: ignore[arg-type]
            "ParameterError",
            "nan_policy: 'drop'",
        ),
        (lambda: curves.linear.fit(DOSE, DOSE).inverse(1.0, replicates=0), "ParameterError", "0"),
        (lambda: FALLEN.effective_dose(100), "ParameterError", "percent: 100"),
        (lambda: FALLEN.predict(1.0, "confidence", level=1.0), "ParameterError", "level: 1.0"),
    ],
)
def test_bad_input(call: Any, error: str, words: str) -> None:
    with pytest.raises(getattr(cbp, error)) as caught:
        call()
    assert words in str(caught.value)


def test_points_that_are_not_finite_can_be_left_out() -> None:
    x = np.array([0.0, 1.0, math.nan, 3.0])
    fitted = curves.linear.fit(x, 2 * x + 1, nan_policy="omit")
    assert fitted.params == pytest.approx({"slope": 2.0, "intercept": 1.0}, rel=1e-14)


def test_curves_print_as_they_are_imported() -> None:
    assert repr(curves.logistic4) == "curves.logistic4"


def test_a_large_table_is_ranked_on_some_of_its_points() -> None:
    rng = np.random.default_rng(50)
    x = rng.uniform(0, 10, 5000)
    y = 4 - 3 * np.exp(-0.7 * x) + rng.normal(0, 0.05, 5000)
    order = np.argsort(x)
    fitted, sorted_one = curves.asymptotic.fit(x, y), curves.asymptotic.fit(x[order], y[order])
    assert fitted.converged
    assert list(fitted.params.values()) == pytest.approx([4, 1, 0.7], rel=0.01)
    assert fitted.params == pytest.approx(sorted_one.params, rel=1e-8)


def test_targets_too_large_for_their_squares_are_refused() -> None:
    with pytest.raises(cbp.ParameterError, match="finite"):
        curves.exponential.fit([0.0, 1.0, 2.0, 3.0], [1e200, 2e200, 4e200, 9e200])


def test_a_bound_that_the_chain_cannot_have_holds_with_every_option() -> None:
    """What a bound holds is what fixing it there gives, by the same loss and weights."""
    noise = np.random.default_rng(60).standard_normal(len(DOSE))
    y = curves.logistic4(DOSE, bottom=0.5, top=4.0, ec50=0.7, slope=1.3) + 0.1 * noise
    options: dict[str, Any] = {
        "loss": "huber",
        "loss_scale": 0.02,
        "sample_weight": np.linspace(0.5, 2.0, len(DOSE)),
        "covariance": "hessian",
    }
    bounds = {"bottom": (0.6, None), "top": (None, 3.8)}
    fitted = curves.logistic4.fit(DOSE, y, bounds=bounds, **options)
    fixed = curves.logistic4.fit(DOSE, y, fixed={"bottom": 0.6, "top": 3.8}, **options)
    assert fitted.params == pytest.approx(fixed.params, rel=1e-8)
    assert fitted.stderr == pytest.approx(fixed.stderr, rel=1e-6)
    squared = curves.logistic4.fit(DOSE, y, fixed={"bottom": 0.6, "top": 3.8})
    assert fitted.params["ec50"] != pytest.approx(squared.params["ec50"], rel=1e-4)


@pytest.mark.parametrize("df", [1, 2, 3, 5, 8, 20, 60, 500, 10_000])
def test_quantiles_of_t_are_scipys(df: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    for p in (0.5, 0.500001, 0.6, 0.75, 0.9, 0.975, 0.995, 0.9999, 1 - 1e-9, 0.2, 0.001):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-300), p


@pytest.mark.parametrize("is_weighted", [False, True], ids=["", "weighted"])
def test_statistics_of_a_line(is_weighted: bool) -> None:
    """As R's lm, logLik, AIC and BIC have them."""
    x = np.arange(1.0, 9.0)
    y = 2.0 * x + np.array([0.5, -0.25, 1.0, -0.75, 0.25, 0.0, -0.5, 0.125])
    weight = 1.0 / x if is_weighted else np.ones(8)
    fitted = curves.linear.fit(x, y, sample_weight=weight if is_weighted else None)
    columns = np.column_stack([x, np.ones(8)])
    slope, shift = np.linalg.solve((columns.T * weight) @ columns, columns.T @ (weight * y))
    rss = weight @ (slope * x + shift - y) ** 2
    mean = weight @ y / weight.sum()
    likelihood = 0.5 * (np.log(weight).sum() - 8 * (math.log(2 * math.pi * rss / 8) + 1))
    expected = {
        "rss": rss,
        "residual_sd": math.sqrt(rss / 6),
        "r2": 1 - rss / (weight @ (y - mean) ** 2),
        "log_likelihood": likelihood,
        "aic": 2 * 3 - 2 * likelihood,  # the deviation is the third parameter
        "bic": 3 * math.log(8) - 2 * likelihood,
    }
    found = {name: getattr(fitted, name) for name in expected}
    assert found == pytest.approx(expected, rel=1e-11)
    assert fitted.df == 6
