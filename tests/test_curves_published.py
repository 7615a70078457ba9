"""Hazard: curves that are not those of drc and R that have their names, or fits that differ.

What drc prints of its fits stopped at about six digits; beside it stand values of the same fits in
50-digit arithmetic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from curve_cases import exact
from scipy.stats import norm

import cbackprop as cbp
from cbackprop import curves

Floats = npt.NDArray[np.float64]
FITS = json.loads((Path(__file__).parent / "vectors" / "fits.json").read_text())
RYEGRASS = next(case for case in FITS["published"] if case["name"] == "LL.4")
CERTIFIED = {case["name"]: case for case in FITS["certified"]}


def printed(value: float, text: str) -> str:
    mantissa, letter, _ = text.partition("e")
    return format(value, f".{len(mantissa.partition('.')[2])}{letter or 'f'}")


def fit(name: str, x: Any, y: Any, **options: Any) -> curves.CurveFit:
    """Fit alone, and check that many fits agree."""
    alone = curves.CURVES[name].fit(x, y, **options)
    options.pop("covariance", None)
    many = curves.CURVES[name].fit_many(x, [y, y], **options)
    assert many.status.tolist() == [alone.status] * 2
    np.testing.assert_allclose(many.rss, alone.rss, rtol=1e-9, atol=1e-25 * np.sum(np.square(y)))
    return alone


# ---- NIST ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "name", "convert"),
    [
        ("Misra1a", "saturation", lambda b: {"asymptote": b["b1"], "rate": b["b2"]}),
        ("BoxBOD", "saturation", lambda b: {"asymptote": b["b1"], "rate": b["b2"]}),
        ("Misra1d", "langmuir", lambda b: {"qmax": b["b1"], "k": b["b2"]}),
        ("DanWood", "power", lambda b: {"scale": b["b1"], "exponent": b["b2"]}),
        (
            "Eckerle4",
            "gaussian_peak",
            lambda b: {"height": b["b1"] / b["b2"], "center": b["b3"], "width": b["b2"]},
        ),
        (
            "Rat42",
            "logistic3",
            lambda b: {"asymptote": b["b1"], "midpoint": b["b2"] / b["b3"], "scale": 1 / b["b3"]},
        ),
        (
            "Rat43",
            "richards",
            lambda b: {"asymptote": b["b1"], "offset": b["b2"], "rate": b["b3"], "shape": b["b4"]},
        ),
    ],
)
def test_certified_problems_without_starting_values(
    problem: str, name: str, convert: Callable[[dict[str, float]], dict[str, float]]
) -> None:
    case = CERTIFIED[problem]
    fitted = fit(name, case["x"], case["y"])
    assert fitted.converged
    assert fitted.rss == pytest.approx(case["certified_rss"], rel=1e-10)
    assert fitted.params == pytest.approx(convert(case["certified"]), rel=1e-9)


Formula = Callable[[Floats, tuple[float, ...]], Floats]


@pytest.mark.parametrize(
    ("problem", "starts", "formula"),
    [
        (
            "Kirby2",
            [(2, -0.1, 0.003, -0.001, 0.00001), (1.5, -0.15, 0.0025, -0.0015, 0.00002)],
            lambda x, b: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
        ),
        (
            "MGH09",
            [(0.25, 0.39, 0.415, 0.39)],
            lambda x, b: b[0] * (x**2 + b[1] * x) / (x**2 + b[2] * x + b[3]),
        ),
    ],
)
def test_ratios_of_quadratics_are_chains(
    problem: str, starts: list[tuple[float, ...]], formula: Formula
) -> None:
    """The chains of Kirby2 and MGH09 compute NIST's formulas at their starts."""
    case = CERTIFIED[problem]
    x = np.array(case["x"], dtype=float)
    for params, b in zip(case["starts"], starts, strict=True):
        chain = cbp.Chain(params[::2], params[1::2], case["activations"], case["frozen"])
        np.testing.assert_allclose(chain(x), formula(x, b), rtol=1e-8)
    b = tuple(case["certified"].values())
    rss = float(np.sum((formula(x, b) - case["y"]) ** 2))
    assert rss == pytest.approx(case["certified_rss"], rel=1e-9)


# ---- drc -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fixed", "log_likelihood", "variance", "rss"),
    [
        ("weibull_type1", {}, "-17.46720", "0.3012075", 6.0241508530868),
        ("weibull_type1", {"lower": 0}, "-22.22047", "0.4262881", 8.9520499469571),
        ("weibull_type2", {}, "-15.91352", "0.2646283", 5.2925653834083),
        ("log_normal", {}, "-16.29214", "0.2731110", 5.4622206728408),
        ("asymptotic_regression", {}, "-28.22358", "0.7030126", 14.763265044774),  # EXD.3
        ("logistic4", {"bottom": 0}, "-18.60413", "0.3153724", 6.6228198188006),  # LL.3
        ("logistic5", {}, "-15.87828", "0.2777393", 5.2770472706638),
    ],
)
def test_ryegrass_by_the_models_of_mselect(
    name: str, fixed: dict[str, float], log_likelihood: str, variance: str, rss: float
) -> None:
    fitted = fit(name, RYEGRASS["x"], RYEGRASS["y"], fixed=fixed)
    assert fitted.converged
    assert fitted.rss == pytest.approx(rss, rel=1e-11)
    assert printed(fitted.log_likelihood, log_likelihood) == log_likelihood
    assert printed(fitted.residual_sd**2, variance) == variance


def test_ryegrass_by_weibull_type_1_as_drc_prints_it() -> None:
    x, y = RYEGRASS["x"], RYEGRASS["y"]
    fitted = fit("weibull_type1", x, y, covariance="hessian")
    gauss_newton = curves.weibull_type1.fit(x, y).stderr
    for name, estimate, stderr, other, text in (
        ("slope", 2.3933460954261, 0.47829599603682, 0.43962330177287, "0.4783"),
        ("lower", 0.66045156166433, 0.18857558079407, 0.18639228775611, "0.1886"),
        ("upper", 7.8058758876022, 0.20851844955063, 0.20759021764966, "0.2085"),
        ("e", 3.6001283187964, 0.20311580664569, 0.19417517059468, "0.2031"),
    ):
        assert fitted.params[name] == pytest.approx(estimate, rel=1e-8)
        assert fitted.stderr[name] == pytest.approx(stderr, rel=1e-6)
        assert gauss_newton[name] == pytest.approx(other, rel=1e-6)
        assert printed(fitted.stderr[name], text) == text
    assert printed(fitted.residual_sd, "0.5488238") == "0.5488238"


def test_nasturtium_by_ll3() -> None:
    dose = np.tile([0, 0.025, 0.075, 0.25, 0.75, 2, 4], 6)
    weight = """920 919 870 880 693 429 200 889 878 825 834 690 395 244 866 882 953 795 722 435 209
        930 854 834 837 738 412 225 992 851 810 834 563 273 128 1017 850 875 810 591 257 221"""
    y = np.array(weight.split(), dtype=float)
    fitted = fit("logistic4", dose, y, fixed={"bottom": 0}, covariance="hessian")
    assert fitted.params == pytest.approx(
        {"bottom": 0, "top": 897.86289578196, "ec50": 1.5761994054259, "slope": -1.3502541844654},
        rel=1e-8,
    )
    assert printed(fitted.rss, "120387") == "120387"


def test_rainbow_trout_by_exd2() -> None:
    conc = np.repeat([0, 1, 2.2, 4.6, 10, 22, 46], [10, 10, 9, 10, 9, 9, 4])
    text = """2.8 3 2.7 3.9 3.1 1.8 2.9 2.5 2.2 3.1 2.7 3.3 2.9 2.2 2 3.1 3.2 2.5 2.5 2.6 2.9 2.6
        2.7 3.3 2.7 4 3 2.5 2.2 2.9 3 3.5 2.7 2.3 2.7 2 4 2.2 2.4 3.4 2.8 2.1 2.3 3.1 1.8 2.4 3
        2.3 2.7 2 3.5 1.8 3.1 3.2 2.2 2.5 1.8 1.6 2.8 1.2 0.9"""
    weight = np.array(text.split(), dtype=float)
    # lower is the limit at large doses of a rising curve: here it is that at 0
    fitted = fit("asymptotic_regression", conc, weight, fixed={"upper": 0}, covariance="hessian")
    assert fitted.params["lower"] == pytest.approx(2.8467947088411, rel=1e-8)
    assert fitted.params["e"] == pytest.approx(111.73828643083, rel=1e-7)
    assert fitted.stderr["lower"] == pytest.approx(0.092526442846904, rel=1e-5)
    assert fitted.stderr["e"] == pytest.approx(33.196686406083, rel=1e-5)
    assert printed(fitted.residual_sd, "0.5598508") == "0.5598508"


@pytest.mark.parametrize("slope", [1.3, -1.3])
@pytest.mark.parametrize("other", ["weibull_type1", "weibull_type2"])
def test_the_two_weibull_types_have_different_shapes(slope: float, other: str) -> None:
    """Either has lower < upper, and exchanging these makes one of the other."""
    x = np.geomspace(0.05, 40, 12)
    true = {"slope": slope, "lower": 0.3, "upper": 2.2, "e": 1.6}
    turned = true | {"lower": 2.2, "upper": 0.3}
    one = "weibull_type2" if other == "weibull_type1" else "weibull_type1"
    y = exact(one, x, true)
    np.testing.assert_allclose(curves.CURVES[other](x, **turned), y, rtol=1e-14)
    assert fit(one, x, y).params == pytest.approx(true, rel=1e-9)
    found = fit(other, x, y)
    assert found.params["lower"] < found.params["upper"]
    assert found.rss > 1e-3


def test_a_lower_limit_that_is_fixed_above_the_upper_one() -> None:
    x = np.geomspace(0.05, 40, 12)
    true = {"slope": 1.3, "lower": 2.2, "upper": 0.3, "e": 1.6}
    fitted = fit("weibull_type1", x, exact("weibull_type1", x, true), fixed={"lower": 2.2})
    assert fitted.params == pytest.approx(true, rel=1e-7)


# ---- thresholds, peaks ---------------------------------------------------------------------------


def test_oxygen_uptake_as_nlstools_prints_it() -> None:
    text = """377.111111111111 333.333333333333 352.142857142857 328.75 369.875 394.4
        352.666666666667 337.333333333333 366.428571428571 364 293.888888888889 387 364.888888888889
        342.222222222222 400.3 375.111111111111 320.555555555556 385.166666666667 527.071428571429
        688.636363636364 890.818181818182 1145.15384615385 1254.90909090909 1327.5 1463.9
        1487.83333333333 1586.66666666667 1619.1 1494.41666666667 1640.45454545455 1643.375
        1583.63636363636 1610.8 1568.5 1464.58333333333 1652.8"""
    y = np.array(text.split(), dtype=float)
    x = np.arange(36) / 3
    fitted = fit("no_effect_dose", x, y, fixed={"e": 5.883})
    for name, estimate, stderr in (
        ("upper", 356.75876249346, 11.413751202879),
        ("lower", 1630.8828680916, 21.493132724502),
    ):
        assert fitted.params[name] == pytest.approx(estimate, rel=1e-9)
        assert fitted.stderr[name] == pytest.approx(stderr, rel=1e-6)
    mu = 1 / fitted.params["slope"]
    assert mu == pytest.approx(1.1861254885059, rel=1e-9)
    assert fitted.stderr["slope"] * mu**2 == pytest.approx(0.076614378154677, rel=1e-6)
    assert printed(fitted.residual_sd, "49.59") == "49.59"
    # with a threshold to be found there is no worse fit
    free = fit("no_effect_dose", x, y)
    assert 5 < free.params["e"] < 6.5
    assert free.rss < fitted.rss


def test_a_peak_on_a_baseline() -> None:
    x = np.arange(-3.0, 3.1, 0.5)
    fitted = fit("gaussian_peak_baseline", x, 5 + 2 * np.exp(-((x / 0.7) ** 2) / 2))
    true = {"height": 2, "center": 0, "width": 0.7, "baseline": 5}
    assert fitted.params == pytest.approx(true, rel=1e-9, abs=1e-9)


# ---- one curve by two names ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other", "convert"),
    [
        ("langmuir", "michaelis_menten", lambda p: {"vmax": p["qmax"], "km": 1 / p["k"]}),
        ("freundlich", "power", lambda p: {"scale": p["k"], "exponent": 1 / p["n"]}),
        (
            "asymptotic_regression",
            "asymptotic",
            lambda p: {"asymptote": p["upper"], "start": p["lower"], "rate": 1 / p["e"]},
        ),
        ("exponential_growth", "exponential", lambda p: p | {"rate": -p["rate"]}),
    ],
)
def test_the_same_fit_in_other_parameters(
    name: str, other: str, convert: Callable[[dict[str, float]], dict[str, float]]
) -> None:
    x = np.linspace(0.5, 9.0, 12)
    y = 3 * x / (2 + x) + 0.05 * np.cos(5 * x)
    fitted, known = fit(name, x, y), fit(other, x, y)
    assert fitted.rss == pytest.approx(known.rss, rel=1e-10)
    assert convert(fitted.params) == pytest.approx(known.params, rel=1e-6)


# ---- drc's and R's formulas by these curves, as the guide says -----------------------------------

X = np.array([0.3, 0.8, 1.7, 3.0, 6.5])
B, C, D, E, F = 1.3, 0.4, 3.1, 1.7, 0.6  # drc's b, c, d, e, f
EQUIVALENTS: dict[str, tuple[Any, str, dict[str, float]]] = {
    "LL.4": (
        C + (D - C) / (1 + np.exp(B * (np.log(X) - math.log(E)))),
        "logistic4",
        {"bottom": C, "top": D, "ec50": E, "slope": -B},
    ),
    "LL.5": (
        C + (D - C) / (1 + np.exp(B * (np.log(X) - math.log(E)))) ** F,
        "logistic5",
        {"bottom": C, "top": D, "ec50": E, "slope": -B, "asymmetry": F},
    ),
    "W1.4": (
        C + (D - C) * np.exp(-np.exp(B * (np.log(X) - math.log(E)))),
        "weibull_type1",
        {"slope": B, "lower": C, "upper": D, "e": E},
    ),
    "W2.4": (
        C + (D - C) * (1 - np.exp(-np.exp(B * (np.log(X) - math.log(E))))),
        "weibull_type2",
        {"slope": B, "lower": C, "upper": D, "e": E},
    ),
    "LN.4": (
        C + (D - C) * norm.cdf(B * (np.log(X) - math.log(E))),
        "log_normal",
        {"slope": B, "lower": C, "upper": D, "e": E},
    ),
    "G.4": (
        C + (D - C) * np.exp(-np.exp(B * (X - E))),
        "gompertz4",
        {"slope": B, "lower": C, "upper": D, "e": E},
    ),
    "L.4": (
        C + (D - C) / (1 + np.exp(B * (X - E))),
        "logistic4_linear",
        {"left": D, "right": C, "midpoint": E, "scale": 1 / B},
    ),
    "NEC.4": (
        C + (D - C) * np.exp(-B * (X - E) * (X > E)),
        "no_effect_dose",
        {"slope": B, "lower": C, "upper": D, "e": E},
    ),
    "AR.3": (
        C + (D - C) * (1 - np.exp(-X / E)),
        "asymptotic_regression",
        {"lower": C, "upper": D, "e": E},
    ),
    "EXD.3": (
        C + (D - C) * np.exp(-X / E),
        "asymptotic_regression",
        {"lower": D, "upper": C, "e": E},
    ),
    "MM.3": (
        C + (D - C) / (1 + E / X),
        "logistic4",
        {"bottom": C, "top": D, "ec50": E, "slope": 1},
    ),
    "SSasymp": (
        D + (C - D) * np.exp(-math.exp(-0.7) * X),
        "asymptotic",
        {"asymptote": D, "start": C, "rate": math.exp(-0.7)},
    ),
    "SSasympOff": (
        D * (1 - np.exp(-math.exp(-0.7) * (X - 0.2))),
        "asymptotic",
        {
            "asymptote": D,
            "start": D * (1 - math.exp(math.exp(-0.7) * 0.2)),
            "rate": math.exp(-0.7),
        },
    ),
    "SSasympOrig": (
        D * (1 - np.exp(-math.exp(-0.7) * X)),
        "saturation",
        {"asymptote": D, "rate": math.exp(-0.7)},
    ),
    "SSfpl": (
        C + (D - C) / (1 + np.exp((E - X) / 0.8)),
        "logistic4_linear",
        {"left": C, "right": D, "midpoint": E, "scale": 0.8},
    ),
    "SSgompertz": (
        D * np.exp(-2.3 * 0.7**X),
        "gompertz",
        {"asymptote": D, "displacement": 2.3, "rate": -math.log(0.7)},
    ),
    "SSlogis": (
        D / (1 + np.exp((E - X) / 0.8)),
        "logistic3",
        {"asymptote": D, "midpoint": E, "scale": 0.8},
    ),
    "SSmicmen": (D * X / (E + X), "michaelis_menten", {"vmax": D, "km": E}),
    "SSweibull": (
        D - 2.3 * np.exp(-math.exp(-0.7) * X**B),
        "weibull",
        {"asymptote": D, "drop": 2.3, "log_rate": -0.7, "power": B},
    ),
}


@pytest.mark.parametrize("name", EQUIVALENTS)
def test_the_curve_of_another_package(name: str) -> None:
    expected, curve, natural = EQUIVALENTS[name]
    np.testing.assert_allclose(curves.CURVES[curve](X, **natural), expected, rtol=1e-13)
    guide = (Path(__file__).parent.parent / "docs" / "guides" / "curves.md").read_text("utf-8")
    row = next(line for line in guide.splitlines() if line.startswith(f"| `{name}`"))
    assert f"`{curve}`" in row


def test_weight_loss_as_mass_prints_it() -> None:
    days = """0 4 7 7 11 18 24 30 32 43 46 60 64 70 71 71 73 74 84 88 95 102 106 109 115 122 133 137
        140 143 147 148 149 150 153 156 161 164 165 165 170 176 179 198 214 218 221 225 233 238 241
        246"""
    weights = """184.35 182.51 180.45 179.91 177.91 175.81 173.11 170.06 169.31 165.1 163.11 158.3
        155.8 154.31 153.86 154.2 152.2 152.8 150.3 147.8 146.1 145.6 142.5 142.3 139.4 137.9 133.7
        133.7 133.3 131.2 133 132.2 130.8 131.3 129 127.9 126.9 127.7 129.5 128.4 125.4 124.9 124.9
        118.2 118.2 115.3 115.7 116 115.5 112.6 114 112.6"""
    x, y = (np.array(text.split(), dtype=float) for text in (days, weights))
    fitted = fit("asymptotic", x, y)
    start, end = fitted.params["start"], fitted.params["asymptote"]
    for value, text in (
        (end, "81.37"),
        (start - end, "102.68"),
        (math.log(2) / fitted.params["rate"], "141.91"),
        (fitted.rss, "39.24"),
    ):
        assert printed(value, text) == text
