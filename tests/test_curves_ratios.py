"""Ratios and differences of groups, against drc's exact values and an independent delta method."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves

ALBA = Path(__file__).parent / "vectors/alba.csv"
# R package drc, data set spinach (curves 1, 2 and 4): doses and rates of oxygen evolution.
SPINACH_DOSES = {
    1: [0, 0.62, 1.85, 5.56, 16.67, 50, 150],
    2: [0, 0.62, 1.85, 5.56, 16.67, 50, 150],
    3: [0, 0.15, 0.59, 2.34, 9.38, 37.5, 150],
    4: [0, 0.01, 0.03, 0.1, 0.3, 1, 3],
    5: [0, 0.01, 0.03, 0.1, 0.3, 1, 3],
}
SPINACH_RATES = {
    1: "1.81295 1.86704 1.95606 1.39073 1.15721 1.06126 .99409 .83298 .8334 .72513 .69548 .65299 "
    ".49855 .36873 .42617 .26666 .26896 .25989 .16074 .16404 .1475",
    2: "1.02654 .91306 .89371 .59074 .669 .5965 .37561 .44823 .42093 .31874 .27342 .2725 .27182 "
    ".21752 .19981 .17332 .17949 .15623 .12855 .14524 .11533",
    3: "1.03872 1.0917 1.10324 .94274 .91256 1.02352 .78689 .69706 .65989 .5372 .51324 .54981 "
    ".37401 .34033 .32491 .30518 .24593 .289 .17414 .12275 .14788",
    4: "2.20963 2.27931 2.14703 2.18831 2.08863 2.06676 2.18827 2.10748 1.84474 1.78805 1.75547 "
    "1.61381 .70295 .6983 .74045 .20673 .20784 .22402 .05268 .06519 .09258",
    5: "1.94033 1.80193 1.71586 1.71586 1.98471 1.74905 1.87795 1.64081 1.53094 1.50709 1.41035 "
    "1.35367 .64427 .62185 .60337 .14073 .12928 .15016 8e-05 .00262 .00303",
}


def alba() -> tuple[list[float], list[float], list[str]]:
    lines = ALBA.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    x, y = ([float(row[key]) for row in rows] for key in ("dose", "matter"))
    return x, y, [row["herbicide"] for row in rows]


def alba_fits(*share: str) -> Any:
    return curves.logistic4.fit_groups(*alba(), share=share)


def spinach_fits() -> Any:
    x = [d for doses in SPINACH_DOSES.values() for d in doses for _ in range(3)]
    y = [float(rate) for rates in SPINACH_RATES.values() for rate in rates.split()]
    return curves.logistic4.fit_groups(x, y, np.repeat([1, 2, 3, 4, 5], 21).tolist())


def test_ratio_of_alba_with_fiellers_interval() -> None:
    """drc's model with common limits, in 50 digits, and J'J as the information matrix."""
    fits = alba_fits("bottom", "top")
    wald, fieller, log = (
        curves.ratio(fits, "ec50", "Bentazone", "Glyphosate", interval=kind)
        for kind in ("wald", "fieller", "log")
    )
    assert wald.value == pytest.approx(0.42786618026395, rel=1e-6)
    assert wald.stderr == pytest.approx(0.044052470969335, rel=1e-6)
    np.testing.assert_allclose(
        (fieller.low, fieller.high), (0.34948378933333, 0.53006897799177), rtol=1e-6
    )
    t62 = 1.998971517033376  # R's qt(0.975, 62)
    reach = t62 * 0.044052470969335
    np.testing.assert_allclose(
        (wald.low, wald.high), (0.42786618026395 - reach, 0.42786618026395 + reach), rtol=1e-6
    )
    factor = math.exp(reach / 0.42786618026395)
    np.testing.assert_allclose(
        (log.low, log.high), (0.42786618026395 / factor, 0.42786618026395 * factor), rtol=1e-6
    )
    assert wald.df == 62
    assert "ec50[Bentazone] / ec50[Glyphosate] = 0.427866" in str(wald)


@pytest.mark.parametrize(
    ("a", "b", "ratio50", "ratio10", "difference"),
    [  # drc's EDcomp and compParm, in 50 digits
        (1, 2, 1.8983536917592, 0.027643078488785, 0.84944171364092),
        (1, 3, 1.3072775899878, 0.019036061184771, 0.4219164225632),
        (1, 4, 9.0965797641617, 0.13246081038101, 1.5976690612033),
        (1, 5, 8.5153334588473, 0.12399693069997, 1.5841998000875),
        (3, 4, 6.958414826224, 0.27741143808287, 1.3730790539587 - 0.19732641531862),
        (4, 5, 0.93610276385369, 0.28448581756135, 0.19732641531862 - 0.21079567643437),
    ],
)
def test_ratios_of_doses_of_spinach(
    a: int, b: int, ratio50: float, ratio10: float, difference: float
) -> None:
    """Curves that share nothing but their variance; errors of ec50 by J'J, in 50 digits."""
    fits = spinach_fits()
    errors = {
        1: (1.7949954765219, 0.47593879106509),
        2: (0.94555376288097, 0.24917033540015),
        3: (1.3730790539587, 0.42594038261311),
        4: (0.19732641531862, 0.010257554085444),
        5: (0.21079567643437, 0.013890480502879),
    }
    half = curves.ratio(fits, 50, a, b, interval="wald")
    tenth = curves.ratio(fits, (10, 50), a, b, interval="wald")
    apart = curves.difference(fits, "ec50", a, b)
    assert half.df == tenth.df == apart.df == 85
    assert half.value == pytest.approx(ratio50, rel=1e-8)
    assert tenth.value == pytest.approx(ratio10, rel=1e-8)
    assert apart.value == pytest.approx(difference, rel=1e-8)
    relative = math.hypot(errors[a][1] / errors[a][0], errors[b][1] / errors[b][0])
    assert half.stderr == pytest.approx(ratio50 * relative, rel=1e-6)
    assert apart.stderr == pytest.approx(math.hypot(errors[a][1], errors[b][1]), rel=1e-6)
    doses = [fits[a].effective_dose(10), fits[b].effective_dose(50)]
    relative = math.hypot(*(one.stderr / one.value for one in doses))
    assert tenth.stderr == pytest.approx(ratio10 * relative, rel=1e-7)
    assert half.null == 1
    assert apart.null == 0
    assert half.t == pytest.approx((ratio50 - 1) / half.stderr, rel=1e-7)
    assert apart.t == pytest.approx(difference / apart.stderr, rel=1e-7)


def test_p_of_spinach() -> None:
    """Twice R's pt(-t, 85) for t = 1.266."""
    one = curves.ratio(spinach_fits(), 50, 1, 2, interval="wald")
    from scipy.stats import t

    assert one.p == pytest.approx(2 * t.sf(abs(one.t), 85), rel=1e-10)


def test_doses_of_curves_that_share_parameters() -> None:
    """The delta method over all parameters at once, with a Jacobian by complex steps."""
    x, y, herbicide = alba()
    fits = alba_fits("bottom", "top", "slope")
    names = list(fits.names)
    point = np.array(
        [
            fits.params[name] if isinstance(name, str) else fits[name[1]].params[name[0]]
            for name in names
        ]
    )
    dose = np.maximum(np.array(x), 1e-300)

    def curve_of(values: Any) -> Any:
        p = dict(zip(names, values, strict=True))
        ec50 = np.array([p["ec50", label] for label in herbicide])
        return p["bottom"] + (p["top"] - p["bottom"]) / (
            1 + np.exp(p["slope"] * (np.log(ec50) - np.log(dose)))
        )

    def ratio_of(values: Any) -> Any:
        p = dict(zip(names, values, strict=True))
        steepness = p["slope"] * np.sign(p["slope"].real)  # the curve falls
        odds = np.log(np.array([0.1 / 0.9, 0.8 / 0.2])) / steepness
        return np.exp(odds[0] - odds[1]) * p["ec50", "Bentazone"] / p["ec50", "Glyphosate"]

    jacobian, slopes = [], []
    for k in range(len(names)):
        moved = point.astype(complex)
        moved[k] += 1e-30j
        jacobian.append(curve_of(moved).imag / 1e-30)
        slopes.append(ratio_of(moved).imag / 1e-30)
    columns = np.array(jacobian).T
    residual = curve_of(point) - np.array(y)
    variance = residual @ residual / (len(y) - len(names))
    covariance = variance * np.linalg.inv(columns.T @ columns)
    one = curves.ratio(fits, (10, 80), "Bentazone", "Glyphosate", interval="wald")
    assert one.value == pytest.approx(float(ratio_of(point)), rel=1e-10)
    assert one.stderr == pytest.approx(math.sqrt(slopes @ covariance @ slopes), rel=1e-7)


def test_a_shared_parameter_has_ratio_1() -> None:
    one = curves.ratio(alba_fits("bottom", "top"), "top", "Bentazone", "Glyphosate")
    assert (one.value, one.low, one.high) == (1, 1, 1)
    assert one.stderr == 0
    assert math.isnan(one.t)


def test_fieller_without_ends() -> None:
    """The bottom of the first curve may be 0 by its error: no ratio to it can be excluded."""
    fits = spinach_fits()
    one = curves.ratio(fits, "bottom", 4, 1, interval="fieller")
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert math.isfinite(one.stderr)


def test_one_group_that_is_not_identified() -> None:
    """Its ratio has an infinite interval; that of two others is as without it."""
    x = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] * 3
    y = [0.1, 0.2, 0.5, 0.7, 0.95, 0.97, 0.2, 0.4, 0.6, 0.88, 0.93, 1.01]
    y += [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]  # a line: no top, no ec50
    group = ["a"] * 6 + ["b"] * 6 + ["line"] * 6
    fits = curves.hill.fit_groups(x, y, group)
    assert fits.status == "not_identified"
    for kind, low in (("log", 0.0), ("wald", -math.inf), ("fieller", -math.inf)):
        one = curves.ratio(fits, "ec50", "line", "a", interval=kind)  # type: ignore[arg-type]
        assert (one.stderr, one.low, one.high) == (math.inf, low, math.inf)
    apart = curves.difference(fits, "ec50", "line", "a")
    assert (apart.low, apart.high) == (-math.inf, math.inf)
    assert math.isfinite(curves.ratio(fits, "ec50", "a", "b").high)


def test_binomial_fits_have_normal_quantiles() -> None:
    x = [1.0, 2.0, 4.0, 8.0, 16.0] * 2
    y = np.array([2, 5, 11, 16, 19, 4, 10, 15, 18, 20]) / 20
    fits = curves.platt.fit_groups(
        np.log(x), y, ["a"] * 5 + ["b"] * 5, share=["slope"], sample_weight=[20] * 10
    )
    one = curves.difference(fits, "intercept", "b", "a")
    assert one.df == math.inf
    assert one.high - one.value == pytest.approx(1.959963984540054 * one.stderr)
    assert one.p == pytest.approx(math.erfc(abs(one.t) / math.sqrt(2)))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (("ec5", "Bentazone", "Glyphosate"), {}, ParameterError, "what: 'ec5' is not a parameter"),
        (("ec50", "Bentazon", "Glyphosate"), {}, ParameterError, "a: 'Bentazon' is not a group"),
        (("ec50", "Bentazone", 7), {}, ParameterError, "b: 7 is not a group"),
        ((100, "Bentazone", "Glyphosate"), {}, ParameterError, "what: 100"),
        (((1, 2, 3), "Bentazone", "Glyphosate"), {}, ParameterError, "expected a name"),
        ((None, "Bentazone", "Glyphosate"), {}, InputTypeError, "what: None"),
        (("ec50", "Bentazone", "Glyphosate"), {"level": 1.0}, ParameterError, "level: 1.0"),
        (("ec50", "Bentazone", "Glyphosate"), {"interval": "t"}, ParameterError, "interval: 't'"),
    ],
)
def test_bad_input(arguments: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        curves.ratio(alba_fits(), *arguments, **options)


def test_bad_fits_and_ratios_below_0() -> None:
    fit = curves.logistic4.fit(*alba()[:2])
    with pytest.raises(InputTypeError, match="fits: expected a GroupFits"):
        curves.ratio(fit, "ec50", 1, 2)  # type: ignore[arg-type]
    fits = curves.linear.fit_groups([1, 2, 3] * 2, [1, 2, 3.5, 3, 2, 0.5], [0, 0, 0, 1, 1, 1])
    with pytest.raises(ParameterError, match=r"'log', but slope\[0\] / slope\[1\] is -1"):
        curves.ratio(fits, "slope", 0, 1)
    assert curves.ratio(fits, "slope", 0, 1, interval="wald").value == pytest.approx(-1)
