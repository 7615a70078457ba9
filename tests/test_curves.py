"""Curves: what they recover without starting values, what they print, and what they refuse."""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any, cast

import mpmath as mp
import numpy as np
import numpy.typing as npt
import pytest
from curve_cases import (
    FORMULAS,
    ORDERED,
    draw,
    exact,
    exact_covariance,
    exact_jacobian,
    is_this_curve,
    noisy,
)
from scipy import stats
from scipy.optimize import curve_fit

import cbackprop as cbp
from cbackprop import curves

Floats = npt.NDArray[np.float64]
PUBLISHED = {
    case["name"]: case
    for case in json.loads((Path(__file__).parent / "vectors" / "fits.json").read_text())[
        "published"
    ]
}


# ---- formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", curves.CURVES)
def test_a_curve_is_its_formula(name: str) -> None:
    curve = curves.CURVES[name]
    for seed in range(25):
        x, natural = draw(name, np.random.default_rng([seed, len(name)]))
        assert tuple(natural) == curve.parameters
        expected = exact(name, x, natural)
        size = np.abs(expected).max()
        np.testing.assert_allclose(curve(x, **natural), expected, rtol=1e-12, atol=1e-13 * size)


# ---- without starting values ---------------------------------------------------------------------


@pytest.mark.parametrize("name", curves.CURVES)
def test_a_curve_recovers_its_own_parameters(name: str) -> None:
    curve = curves.CURVES[name]
    for seed in range(25):
        x, expected = draw(name, np.random.default_rng([seed, len(name)]))
        fitted = curve.fit(x, exact(name, x, expected))
        assert fitted.converged, (seed, fitted.message)
        for parameter, value in expected.items():
            # ten digits, the exact data's rounding magnified by their own condition included
            assert fitted.params[parameter] == pytest.approx(value, rel=1e-10), (seed, parameter)


@pytest.mark.parametrize("name", curves.CURVES)
def test_with_noise_no_other_start_finds_less(name: str) -> None:
    curve, fits, rivals = curves.CURVES[name], 0, 0
    for seed in range(8):
        rng = np.random.default_rng([seed, 77, len(name)])
        x, y, true = noisy(name, rng)
        fitted = curve.fit(x, y)
        if fitted.status != "converged":  # at infinity, which no other start reaches
            continue
        fits += 1
        for other in range(20):
            start = curve.chain(**(draw(name, rng)[1] if other else true))
            try:
                rival = cbp.fit(start, x, y, loss=curve.loss)
            except cbp.ParameterError:
                continue
            if not is_this_curve(name, start, rival.chain):
                continue
            rivals += 1
            assert fitted.mean_loss <= rival.loss * (1 + 1e-8) + 1e-300, (seed, other)
    assert fits >= 6
    assert rivals >= (7 if name in ORDERED else 15) * fits  # of those about half cross over


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
        ("logistic5", 50, "ec50, asymmetry", [-3.0, 96.0, -0.8, 0.8]),
        ("logistic5", 52, "ec50, asymmetry", [-0.5, 21.3, -0.8, 1.2]),
    ],
)
def test_without_a_minimum_the_infimum_is_reached(
    name: str, seed: int, lost: str, start: list[float]
) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng([seed, 99])
    x, true = draw(name, rng)
    clean = exact(name, x, true)
    y = clean + rng.normal(size=x.size) * 0.03 * np.ptp(clean)
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
    reach = special.stdtrit(fitted.df, 0.975) * spread
    np.testing.assert_allclose(band.high - band.value, reach, atol=1e-4 * reach.max())


def test_the_way_to_infinity_keeps_to_bounds() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng([52, 99])
    x, true = draw("logistic5", rng)
    clean = exact("logistic5", x, true)
    y = clean + rng.normal(size=x.size) * 0.03 * np.ptp(clean)
    fitted = curves.logistic5.fit(x, y, bounds={"asymmetry": (None, 1e6)})
    assert fitted.params["asymmetry"] == pytest.approx(1e6, rel=1e-12)
    assert fitted.message == "converged; at a bound: asymmetry"
    # there it is the limit but for about 1e-6
    limit = optimize.least_squares(
        lambda p: LIMITS["logistic5"](x, p) - y, [-0.5, 21.3, -0.8, 1.2], method="lm", xtol=1e-15
    )
    assert 2 * limit.cost < fitted.rss < 2 * limit.cost * (1 + 1e-5)
    assert fitted.rss == pytest.approx(
        float(np.sum((exact("logistic5", x, fitted.params) - y) ** 2)), rel=1e-8
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
    dose, error = fitted.effective_dose(50)
    assert dose == pytest.approx(fitted.params["ec50"], rel=1e-14)
    assert error == pytest.approx(fitted.stderr["ec50"], rel=1e-12)


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
    true = {"bottom": 0.5, "top": 4.0, "ec50": 0.7, "slope": 1.3}
    free = [name for name in true if name not in at]
    optimize = pytest.importorskip("scipy.optimize")

    def residuals(p: Floats) -> Floats:
        natural = true | at | dict(zip(free, p.tolist(), strict=True))
        return exact("logistic4", DOSE, natural) - y

    start = [true[name] for name in free]
    found = optimize.least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    expected = true | at | dict(zip(free, found.x.tolist(), strict=True))
    assert fitted.params == pytest.approx(expected, rel=1e-6)
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


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
def test_bands_cover_what_they_promise(interval: Any) -> None:
    rng, hits, tries = np.random.default_rng(11), 0, 0
    x = np.exp(np.linspace(-3, 3, 20))
    true = np.asarray(curves.logistic4(x, bottom=0.0, top=1.0, ec50=1.0, slope=1.0))
    for _ in range(400):
        fitted = curves.logistic4.fit(x, true + rng.normal(size=20) * 0.03)
        band = fitted.predict(x[::4], interval)
        assert isinstance(band, curves.Prediction)
        new = true[::4] + (rng.normal(size=5) * 0.03 if interval == "prediction" else 0.0)
        hits += int(np.count_nonzero((band.low <= new) & (new <= band.high)))
        tries += 5
    assert 0.93 <= hits / tries <= 0.97


def test_errors_of_parameters_that_nearly_replace_each_other() -> None:
    # a drop of millions at a power near 0: the chain's covariance has no digits left for the rest
    x = np.linspace(0.2, 10, 20)
    true = {"asymptote": 158.0, "drop": 6.2e6, "log_rate": 2.69, "power": -0.068}
    clean = exact("weibull", x, true)
    y = clean + np.random.default_rng(4).normal(size=20) * 0.05
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
    assert half == pytest.approx(first * 2.1199052992, rel=1e-6)  # t of 16 degrees of freedom
    # in company it may not get there, and has no error then
    error = curves.weibull.fit_many(x, np.array([y, clean])).stderr["asymptote"][0]
    assert math.isnan(error) or error == pytest.approx(expected[0], rel=1e-6)


def test_inverse_and_its_error() -> None:
    rng = np.random.default_rng(5)
    true = {"bottom": 0.1, "top": 2.0, "ec50": 1.0, "slope": 1.2}
    x = np.exp(np.linspace(-3, 3, 24))
    y = exact("logistic4", x, true) + rng.normal(size=24) * 0.01
    fitted = curves.logistic4.fit(x, y)
    back = fitted.inverse([0.5, 1.0, 3.0])
    assert exact("logistic4", back.value[:2], fitted.params) == pytest.approx([0.5, 1.0], rel=1e-11)
    assert math.isnan(back.value[2])
    assert math.isnan(back.stderr[2])
    # of the curve alone: the standard error of the prediction over the slope
    covariance = exact_covariance("logistic4", x, y, fitted.params)
    np.testing.assert_allclose(fitted.covariance, covariance, rtol=1e-5)
    rows = exact_jacobian("logistic4", back.value[:2], fitted.params)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    # of the 4PL: slope (y - bottom) (top - y) / (top - bottom) / x
    bottom, top, _, steepness = fitted.params.values()
    at = np.array([0.5, 1.0])
    slope = steepness * (at - bottom) * (top - at) / (top - bottom) / back.value[:2]
    np.testing.assert_allclose(back.stderr[:2], spread / slope, rtol=1e-5)
    single = fitted.inverse(0.5, replicates=1)
    sd = math.sqrt(np.sum((exact("logistic4", x, fitted.params) - y) ** 2) / 20)
    expected = math.hypot(float(spread[0]), sd) / float(slope[0])
    assert float(single.stderr) == pytest.approx(expected, rel=1e-6)


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
    # 2.2281388520 is the 97.5 % quantile of t with 10 degrees of freedom
    for level, reach in ((0.95, 2.2281388520), (0.5, 0.6998120613)):
        for name, (low, high) in fitted.confidence_interval(level, interval="wald").items():
            assert high - fitted.params[name] == pytest.approx(
                reach * fitted.stderr[name], rel=1e-9
            )
            assert fitted.params[name] - low == pytest.approx(reach * fitted.stderr[name], rel=1e-9)
        # km is positive by nature: the interval of its logarithm, whose error is relative
        low, high = fitted.confidence_interval(level)["km"]
        km, error = fitted.params["km"], fitted.stderr["km"]
        assert high == pytest.approx(km * math.exp(reach * error / km), rel=1e-9)
        assert low == pytest.approx(km * math.exp(-reach * error / km), rel=1e-9)
        assert (
            fitted.confidence_interval(level)["vmax"]
            == fitted.confidence_interval(level, interval="wald")["vmax"]
        )
    with pytest.raises(cbp.ParameterError, match="interval: 'profile'"):
        fitted.confidence_interval(interval=cast("Any", "profile"))


FALLEN = curves.logistic4.fit(DOSE, 1 + 3 / (1 + DOSE**2) + 0.01 * np.cos(7 * DOSE))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_numbers_of_any_kind_are_what_they_say(kind: type[np.floating] | type[np.integer]) -> None:
    assert FALLEN.effective_dose(kind(30)) == FALLEN.effective_dose(30.0)
    assert FALLEN.inverse(2.0, replicates=np.int64(3)) == FALLEN.inverse(2.0, replicates=3)
    assert FALLEN.curve(2.0, bottom=kind(1), top=kind(4), ec50=kind(1), slope=kind(-2)) == 1.6
    fixed = curves.logistic4.fit(DOSE, 1 + 3 / (1 + DOSE**2), fixed={"slope": kind(-2)})
    assert fixed.params["slope"] == -2.0


def test_a_level_of_single_precision_is_that_number() -> None:
    level = np.float32(0.9)
    assert FALLEN.confidence_interval(level) == FALLEN.confidence_interval(float(level))


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: curves.logistic4.fit(DOSE, DOSE, fixed={"botom": 0}), "ParameterError", "bottom"),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, bounds={"top": 1}),  # type: ignore[dict-item]
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
        (lambda: curves.linear.fit(DOSE, DOSE).predict(1.0, "both"), "ParameterError", "interval"),  # type: ignore[call-overload]
        (
            lambda: curves.linear.fit(DOSE, DOSE).effective_dose(50),
            "ParameterError",
            "no effective",
        ),
        (
            lambda: curves.logistic4.fit(DOSE, DOSE, fixed={"top": 1}, bounds={"top": (0, 1)}),
            "ParameterError",
            "bounds: 'top' is also in fixed; expected one of both",
        ),
        (
            lambda: curves.linear.fit(DOSE, DOSE, nan_policy="drop"),  # type: ignore[arg-type]
            "ParameterError",
            "nan_policy: 'drop'",
        ),
        (lambda: curves.linear.fit(DOSE, DOSE).inverse(1.0, replicates=0), "ParameterError", "0"),
        *(
            (lambda k=k: FALLEN.inverse(1.0, replicates=k), "ParameterError", f"replicates: {k!r}")
            for k in (1.5, math.nan, math.inf, np.float64(2.0), True, "2", [1, 2])
        ),
        (lambda: FALLEN.inverse(1.0, replicates=10**400), "ParameterError", "beyond the largest"),
        *(
            (
                lambda w=w: FALLEN.inverse([1.0, 2.0], replicates=2, sample_weight=w),
                "ParameterError",
                f"sample_weight: {bad}; expected finite weights of 0 or more",
            )
            for w, bad in ((-1, -1.0), ([1, math.nan], math.nan), ([math.inf, 1], math.inf))
        ),
        (
            lambda: FALLEN.inverse([1.0, 2.0], replicates=2, sample_weight=[1, 2, 3]),
            "ShapeError",
            "sample_weight: shape (3,), expected one weight or the shape (2,) of y",
        ),
        (
            lambda: FALLEN.inverse(1.0, sample_weight=3.0),
            "ParameterError",
            "sample_weight: only with replicates",
        ),
        (lambda: FALLEN.effective_dose(100), "ParameterError", "percent: 100"),
        *(
            (lambda p=p: FALLEN.effective_dose(p), "InputTypeError", f"percent: {p!r}; expected a")
            for p in ("50", None, [50], True, 50j)
        ),
        *(
            (call, "InputTypeError", "level: '0.9'; expected a number")
            for call in (
                lambda: FALLEN.predict(1.0, "prediction", "0.9"),  # type: ignore[call-overload]
                lambda: FALLEN.confidence_interval("0.9"),  # type: ignore[arg-type]
            )
        ),
        (
            lambda: FALLEN.predict(1.0, level=0.9),
            "ParameterError",
            "level: 0.9 without interval; expected both",
        ),
        *(
            (lambda fit=fit, y=y: fit(DOSE, y, loss=""), "ParameterError", "loss: ''")
            for fit, y in ((curves.linear.fit, DOSE), (curves.linear.fit_many, [DOSE]))
        ),
        *(
            (
                lambda fit=fit, y=y, name=name, given=given: fit(DOSE, y, **{name: given}),
                "InputTypeError",
                f"{name}: expected a mapping",
            )
            for fit, y in ((curves.linear.fit, DOSE), (curves.linear.fit_many, [DOSE]))
            for name in ("fixed", "bounds")
            for given in (["slope"], "slope", 0, [], {"slope"})
        ),
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


@pytest.mark.parametrize("name", curves.CURVES)
def test_curves_and_their_fits_go_to_other_processes(name: str) -> None:
    curve = curves.CURVES[name]
    assert pickle.loads(pickle.dumps(curve)) is curve
    x, y, _ = noisy(name, np.random.default_rng(77))
    single, many = curve.fit(x, y), curve.fit_many(x, [y, y])
    for fitted in (single, many):
        other = pickle.loads(pickle.dumps(fitted))
        assert other.curve is curve
        np.testing.assert_equal(other.params, fitted.params)
        np.testing.assert_array_equal(other(x), fitted(x))
    band = pickle.loads(pickle.dumps(single)).predict(x, "confidence")
    np.testing.assert_array_equal(band, single.predict(x, "confidence"))


def test_a_large_table_is_ranked_on_some_of_its_points() -> None:
    curve_fit = pytest.importorskip("scipy.optimize").curve_fit
    rng = np.random.default_rng(50)
    x = rng.uniform(0, 10, 5000)
    y = 4 - 3 * np.exp(-0.7 * x) + rng.normal(0, 0.05, 5000)
    order = np.argsort(x)
    fitted, sorted_one = curves.asymptotic.fit(x, y), curves.asymptotic.fit(x[order], y[order])
    assert fitted.converged
    expected, _ = curve_fit(FORMULAS["asymptotic"], x, y, [4.0, 1.0, 0.7], xtol=1e-12, ftol=1e-12)
    assert list(fitted.params.values()) == pytest.approx(expected.tolist(), rel=1e-6)
    assert fitted.params == pytest.approx(sorted_one.params, rel=1e-8)


def test_targets_too_large_for_their_squares_are_refused() -> None:
    with pytest.raises(cbp.ParameterError, match="finite"):
        curves.exponential.fit([0.0, 1.0, 2.0, 3.0], [1e200, 2e200, 4e200, 9e200])


# ---- bounds, fixed values and weights that cannot be ---------------------------------------------

INF, NAN = math.inf, math.nan
FALLING = 1 + 3 / (1 + DOSE**2) + 0.01 * np.cos(7 * DOSE)
TARGETS = FALLING[None]


@pytest.mark.parametrize("pair", [(INF, INF), (-INF, -INF), (INF, None), (None, -INF), (NAN, 1.0)])
def test_bounds_without_a_finite_number_are_refused(pair: Any) -> None:
    start = cbp.Chain([1.0], [0.0], "identity")
    for call in (
        lambda: curves.logistic4.fit(DOSE, FALLING, bounds={"top": pair}),
        lambda: curves.logistic4.fit_many(DOSE, TARGETS, bounds={"top": pair}),
        lambda: cbp.fit(start, DOSE, FALLING, bounds={"w1": pair}),
        lambda: cbp.fit_many(start, DOSE, TARGETS, bounds={"w1": pair}),
    ):
        with pytest.raises(cbp.ParameterError, match=r"bounds\['(top|w1)'\]"):
            call()


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("michaelis_menten", "km"),
        ("hill", "ec50"),
        ("logistic4", "ec50"),
        ("logistic5", "ec50"),
        ("logistic5", "asymmetry"),
        ("logistic4_linear", "scale"),
        ("gompertz", "displacement"),
        ("richards", "shape"),
        ("gaussian_peak", "width"),
        ("arrhenius", "prefactor"),
    ],
)
def test_what_is_positive_cannot_be_held_below_zero(name: str, parameter: str) -> None:
    curve, x = curves.CURVES[name], DOSE[1:]
    rng = np.random.default_rng(3)
    natural = draw(name, rng)[1]
    for value in (-1.0, 0.0):
        with pytest.raises(cbp.ParameterError, match=rf"fixed\['{parameter}'\]: .*positive"):
            curve.fit(x, x, fixed={parameter: value})
        with pytest.raises(cbp.ParameterError, match=rf"bounds\['{parameter}'\]: .*positive"):
            curve.fit(x, x, bounds={parameter: (-2.0, value)})
        with pytest.raises(cbp.ParameterError, match=rf"bounds\['{parameter}'\]: .*positive"):
            curve.fit_many(x, x[None], bounds={parameter: (-2.0, value)})
        with pytest.raises(cbp.ParameterError, match=rf"^{parameter}: .*positive"):
            curve(x, **{**natural, parameter: value})


@pytest.mark.parametrize("value", [NAN, INF, -INF, "1", None, True, 1j])
def test_a_fixed_value_is_a_finite_number(value: Any) -> None:
    for call in (
        lambda: curves.logistic4.fit(DOSE, FALLING, fixed={"top": value}),
        lambda: curves.logistic4.fit_many(DOSE, TARGETS, fixed={"top": value}),
    ):
        with pytest.raises((cbp.ParameterError, cbp.InputTypeError), match=r"fixed\['top'\]"):
            call()
    with pytest.raises((cbp.ParameterError, cbp.InputTypeError), match=r"^top: "):
        curves.logistic4(DOSE, bottom=0.0, top=value, ec50=1.0, slope=1.0)


def test_a_curve_that_does_not_exist_is_named() -> None:
    with pytest.raises(cbp.ParameterError, match=r"logistic3 has no curve of .*scale=0"):
        curves.logistic3(1.0, asymptote=1, midpoint=1, scale=0)


def test_a_weight_that_is_not_finite_is_named() -> None:
    weights = np.ones(DOSE.size)
    weights[3] = NAN
    with pytest.raises(cbp.ParameterError, match=r"point 3 is not finite: .*weight = nan"):
        curves.logistic4.fit(DOSE, FALLING, sample_weight=weights)


def test_weights_that_add_up_to_infinity_are_bad_weights() -> None:
    weights = np.full(DOSE.size, 1e308)
    with pytest.raises(cbp.ParameterError, match=r"sample_weight: all weights add up to infinity"):
        curves.logistic4.fit(DOSE, FALLING, sample_weight=weights)
    fits = curves.logistic4.fit_many(DOSE, TARGETS, sample_weight=weights)
    assert fits.status.tolist() == ["bad_weight"]


# ---- information criteria ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "fixed", "fitted"),
    [
        ({}, {}, 4),
        ({"slope": (None, -2.5)}, {}, 4),  # a bound of the chain
        ({"top": (None, 3.9)}, {}, 4),  # one that takes a second fit
        ({"bottom": (1.01, None), "top": (None, 3.9)}, {}, 4),
        ({"bottom": (-INF, INF)}, {}, 4),
        ({}, {"top": 4.0}, 3),
        ({"slope": (None, -2.5)}, {"bottom": 1.0}, 3),
    ],
)
def test_a_parameter_at_a_bound_counts_in_aic(bounds: Any, fixed: Any, fitted: int) -> None:
    found = curves.logistic4.fit(DOSE, FALLING, bounds=bounds, fixed=fixed)
    n = DOSE.size
    terms = n * (math.log(2 * math.pi * found.rss / n) + 1)  # -2 log likelihood of normal errors
    assert found.aic == pytest.approx(terms + 2 * (fitted + 1), rel=1e-12)
    assert found.bic == pytest.approx(terms + math.log(n) * (fitted + 1), rel=1e-12)


# ---- no warning leaves a fit (they are errors in these tests) ------------------------------------


@pytest.mark.parametrize("name", curves.CURVES)
@pytest.mark.parametrize(
    "x",
    [
        np.linspace(1e300, 2e300, 12),
        np.geomspace(1e-300, 1e300, 12),
        np.full(12, 1e300),
        np.linspace(1e-300, 2e-300, 12),
    ],
    ids=["huge", "wide", "one", "tiny"],
)
def test_extreme_inputs_warn_of_nothing(name: str, x: Floats) -> None:
    y = np.linspace(0.0, 1.0, 12)
    with contextlib.suppress(cbp.CBackpropError):
        fitted = curves.CURVES[name].fit(x, y)
        fitted.predict(x, "confidence")
        fitted.summary()
    curves.CURVES[name].fit_many(x, y[None])


def test_noisy_doses_warn_of_nothing() -> None:
    x = np.geomspace(0.1, 100.0, 7)
    clean = exact("logistic4", x, {"bottom": 0.0, "top": 100.0, "ec50": 3.0, "slope": 1.0})
    for seed in (32, 72, 160, 307, 313, 325, 361, 362):
        y = clean + np.random.default_rng(seed).normal(0, 10, 7)
        fitted = curves.logistic4.fit(x, y)
        fitted.predict(x, "prediction")
        fitted.inverse(50.0)
        fitted.effective_dose(50.0)
        fitted.summary()
        curves.logistic4.fit_many(x, y[None])


def test_a_fit_with_a_number_that_is_not_finite_has_not_converged() -> None:
    x = [0, 0.0022, 0.0046, 0.01, 0.0215, 0.0464, 0.1, 0.2154, 0.4642, 1]
    y = [1, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    fitted = curves.hill.fit(x, y)
    assert fitted.status == "not_identified"
    assert fitted.message.endswith("not identified by the data: ec50, slope")
    assert math.isinf(fitted.stderr["ec50"])
    assert fitted.confidence_interval()["ec50"] == (0.0, math.inf)
    assert fitted.confidence_interval(interval="wald")["ec50"] == (-math.inf, math.inf)
    fits = curves.hill.fit_many(x, [y])
    assert fits.status[0] == "not_identified"


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


def test_statistics_are_those_of_the_loss_that_was_asked_for() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(93)
    x = np.linspace(-4.0, 4.0, 12)
    y = np.clip(exact("platt", x, {"slope": 1.2, "intercept": 0.3}) + rng.normal(0, 0.05, 12), 0, 1)
    fitted = curves.platt.fit(x, y, loss="squared")
    rss = float(np.sum((y - exact("platt", x, fitted.params)) ** 2))
    # of least squares: normal errors with a variance that is estimated, and Student's t
    log_likelihood = -6.0 * (math.log(2.0 * math.pi * rss / 12.0) + 1.0)
    assert fitted.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    assert fitted.aic == pytest.approx(6.0 - 2.0 * log_likelihood, rel=1e-12)
    assert fitted.bic == pytest.approx(3.0 * math.log(12.0) - 2.0 * log_likelihood, rel=1e-12)
    reach = float(stats.t.ppf(0.975, 10)) * fitted.stderr["slope"]
    assert fitted.confidence_interval()["slope"] == pytest.approx(
        (fitted.params["slope"] - reach, fitted.params["slope"] + reach), rel=1e-9
    )


# ---- another loss than the curve's own -----------------------------------------------------------


def test_a_curve_of_labels_fitted_to_squares_is_judged_by_normal_errors() -> None:
    x = np.linspace(-3, 3, 30)
    y = 1 / (1 + np.exp(-(1.3 * x - 0.4))) + 0.1 * np.sin(7.0 * x)  # some outside of [0, 1]
    fitted = curves.platt.fit(x, y, loss="squared")
    expected, _ = curve_fit(lambda t, a, b: 1 / (1 + np.exp(-(a * t + b))), x, y)
    a = 1 / (1 + np.exp(-(expected[0] * x + expected[1])))
    residuals, jacobian = y - a, (a * (1 - a))[:, None] * np.column_stack([x, np.ones(30)])
    covariance = np.linalg.inv(jacobian.T @ jacobian) * (residuals @ residuals) / 28
    sd = math.sqrt(float(np.mean(residuals**2)))
    likelihood = float(np.sum(stats.norm.logpdf(residuals, scale=sd)))
    assert list(fitted.params.values()) == pytest.approx(expected, rel=1e-6)
    assert fitted.log_likelihood == pytest.approx(likelihood, rel=1e-12)
    assert fitted.aic == pytest.approx(2 * 3 - 2 * likelihood, rel=1e-12)
    assert fitted.bic == pytest.approx(3 * math.log(30) - 2 * likelihood, rel=1e-12)
    reach = float(stats.t.ppf(0.975, 28))
    low, high = fitted.confidence_interval()["slope"]
    assert high - low == pytest.approx(2 * reach * math.sqrt(covariance[0, 0]), rel=1e-6)


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


# ---- the limits of a fit -------------------------------------------------------------------------


def test_max_iterations_and_tolerance() -> None:
    """One iteration is not enough; a coarse tolerance needs fewer, and is met."""
    y = exact("logistic4", DOSE, {"bottom": 0.5, "top": 4.0, "ec50": 0.7, "slope": 1.3})
    y = y + 0.05 * np.cos(7 * np.arange(y.size))
    full = curves.logistic4.fit(DOSE, y)
    one = curves.logistic4.fit(DOSE, y, max_iterations=1)
    assert (one.status, one.converged) == ("max_iterations", False)
    assert one.n_iterations <= 10
    coarse = curves.logistic4.fit(DOSE, y, tolerance=0.05)
    assert coarse.converged
    assert coarse.n_iterations < full.n_iterations
    assert full.rss < coarse.rss < full.rss * (1 + 0.05**2)
    many = curves.logistic4.fit_many(DOSE, [y, y], max_iterations=1)
    assert many.status.tolist() == ["max_iterations"] * 2
    assert many.rss.tolist() == pytest.approx([one.rss] * 2, rel=1e-9)
    coarse_many = curves.logistic4.fit_many(DOSE, [y], tolerance=0.05)
    assert coarse_many.status.tolist() == ["converged"]
    assert full.rss * (1 - 1e-12) < coarse_many.rss[0] < full.rss * (1 + 0.05**2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_iterations": 0}, cbp.ParameterError, "max_iterations: 0; expected an integer of 1"),
        ({"max_iterations": 2.0}, cbp.ParameterError, "max_iterations: 2.0"),
        ({"tolerance": -1e-9}, cbp.ParameterError, "tolerance: -1e-09; expected from 0"),
        ({"tolerance": "a"}, cbp.InputTypeError, "tolerance: expected a number, got 'a'"),
    ],
    ids=str,
)
def test_limits_of_a_fit_are_checked(options: Any, error: type[Exception], words: str) -> None:
    for call in (
        lambda: curves.logistic4.fit(DOSE, DOSE, **options),
        lambda: curves.logistic4.fit_many(DOSE, [DOSE], **options),
    ):
        with pytest.raises(error, match=re.escape(words)):
            call()


def test_inputs_whose_squares_are_infinite() -> None:
    x = np.array([-1.7e308, -1e308, 0.0, 1e308, 1.2e308])
    with pytest.raises(cbp.ParameterError, match=re.escape("x[0]: -1.7e+308 is too large")):
        curves.exponential.fit(x, [1.0, 2, 3, 4, 5])
    assert curves.exponential.fit_many(x, [[1.0, 2, 3, 4, 5]]).status.tolist() == ["not_finite"]
    # where the logarithm is taken it can be fitted
    power = curves.power.fit(np.abs(x[[0, 1, 3, 4]]), np.abs(x[[0, 1, 3, 4]]) ** 0.25)
    assert power.params["exponent"] == pytest.approx(0.25, rel=1e-9)
    with pytest.raises(cbp.ParameterError, match="the sum of the squared targets"):
        curves.exponential.fit(x, x)


def test_a_curve_is_a_function_for_other_fits() -> None:
    assert list(inspect.signature(curves.hill).parameters) == ["x", *curves.hill.parameters]
    assert curves.hill.__name__ == "hill"
    x = np.linspace(0.5, 8, 9)
    y = 6 * x / (2 + x) + 0.05 * np.sin(5 * x)
    found, _ = curve_fit(curves.michaelis_menten, x, y)
    fitted = curves.michaelis_menten.fit(x, y)
    assert found.tolist() == pytest.approx(list(fitted.params.values()), rel=1e-6)
    assert curves.michaelis_menten(2.0, 6, km=2) == 3
    assert np.isnan(curves.michaelis_menten([1.0, 2.0], 6, -2)).tolist() == [True, True]
    with pytest.raises(cbp.InputTypeError, match="vmax: expected a number"):
        curves.michaelis_menten(2.0, "6", 2)  # type: ignore[call-overload]
    for arguments, named in (((6, 2, 1), {}), ((6,), {"vmax": 6}), ((6, 2), {"k": 1})):
        with pytest.raises(TypeError):
            curves.michaelis_menten(2.0, *arguments, **named)
