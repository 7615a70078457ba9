"""Ratios and differences of groups, against drc's exact values and an independent delta method."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves

VECTORS = Path(__file__).parent / "vectors"
# drc's EDcomp and compParm of all pairs, in 50 digits, by the observed Hessian: standard error, t,
# p and Fieller's limits of ED50 / ED50; standard errors of ED10 / ED50 and of ED50 - ED50.
SPINACH_ERRORS = [
    (
        1,
        2,
        0.711882678634,
        1.26194065219,
        0.210421936728,
        0.807142974398,
        4.43160655631,
        0.0152490059723,
        0.539443471347,
    ),
    (
        1,
        3,
        0.554186565042,
        0.554465967548,
        0.580715975345,
        0.531892111244,
        4.05329646167,
        0.0111550750171,
        0.658569858589,
    ),
    (
        1,
        4,
        2.46886298905,
        3.27947715206,
        0.00150849867478,
        4.25770360184,
        14.1292891566,
        0.0645319130406,
        0.478380888402,
    ),
    (
        1,
        5,
        2.33661905985,
        3.21632806475,
        0.00183728241363,
        3.97449431153,
        13.35080155,
        0.0606162271222,
        0.478472139316,
    ),
    (
        2,
        3,
        0.290820362396,
        -1.07063505223,
        0.287364260883,
        0.282606109841,
        2.13274388148,
        0.0378479317434,
        0.516937748641,
    ),
    (
        2,
        4,
        1.28843377976,
        2.94297280248,
        0.00418972314222,
        2.26701051276,
        7.41874659259,
        0.243483506101,
        0.249717143417,
    ),
    (
        2,
        5,
        1.21966891228,
        2.85785849455,
        0.00536223525441,
        2.11609662959,
        7.01038803804,
        0.228223995826,
        0.249891907492,
    ),
    (
        3,
        4,
        2.32231821234,
        2.56571851117,
        0.0120500645339,
        2.39003620183,
        11.6750658846,
        0.150007539874,
        0.452850584166,
    ),
    (
        3,
        5,
        2.18982670813,
        2.51791218474,
        0.0136803166165,
        2.23357149931,
        11.019387164,
        0.140814543252,
        0.452946978457,
    ),
    (
        4,
        5,
        0.0781430432752,
        -0.817695772626,
        0.415817163481,
        0.794755209912,
        1.10983929822,
        0.0373664393159,
        0.0171750120727,
    ),
]


def rows_of(name: str) -> list[dict[str, str]]:
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def alba() -> tuple[list[float], list[float], list[str]]:
    rows = rows_of("alba.csv")
    x, y = ([float(row[key]) for row in rows] for key in ("dose", "matter"))
    return x, y, [row["herbicide"] for row in rows]


def alba_fits(*share: str) -> Any:
    return curves.logistic4.fit_groups(*alba(), share=share)


def spinach_fits(**options: Any) -> Any:
    rows = rows_of("spinach.csv")
    x, y = ([float(row[key]) for row in rows] for key in ("dose", "slope"))
    return curves.logistic4.fit_groups(x, y, [int(row["curve"]) for row in rows], **options)


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


def test_errors_of_spinach_by_the_hessian() -> None:
    fits = spinach_fits(covariance="hessian")
    for a, b, error, t, p, low, high, error10, apart in SPINACH_ERRORS:
        half = curves.ratio(fits, "ec50", a, b, interval="fieller")
        assert half.stderr == pytest.approx(error, rel=1e-6)
        assert half.t == pytest.approx(t, rel=1e-6)
        assert half.p == pytest.approx(p, rel=1e-5)
        np.testing.assert_allclose((half.low, half.high), (low, high), rtol=1e-6)
        dose = curves.ratio(fits, 50, a, b)
        assert dose.stderr == pytest.approx(error, rel=1e-6)
        assert curves.ratio(fits, (10, 50), a, b).stderr == pytest.approx(error10, rel=1e-6)
        assert curves.difference(fits, "ec50", a, b).stderr == pytest.approx(apart, rel=1e-6)


def test_ratio_of_alba_by_the_hessian() -> None:
    """drc's EDcomp, in 50 digits."""
    fits = curves.logistic4.fit_groups(*alba(), share=["bottom", "top"], covariance="hessian")
    options: Any = {"what": "ec50", "a": "Bentazone", "b": "Glyphosate"}
    wald = curves.ratio(fits, interval="wald", **options)
    fieller = curves.ratio(fits, interval="fieller", **options)
    assert wald.stderr == pytest.approx(0.043954431117748, rel=1e-6)
    assert wald.t == pytest.approx(-13.016522002147, rel=1e-6)
    assert wald.p == pytest.approx(2.1697019056217e-19, rel=1e-4)
    ends = (wald.low, wald.high, fieller.low, fieller.high)
    published = 0.34000252441217, 0.51572983611574, 0.34965318423892, 0.52982257432648
    np.testing.assert_allclose(ends, published, rtol=1e-6)


def test_values_of_some_groups_and_known_factors() -> None:
    """What groups have in common by labels or factors is as if it were one parameter each."""
    x, y, herbicide = alba()
    plain = curves.logistic4.fit_groups(x, y, herbicide, share=["bottom", "top"])
    by_label = curves.logistic4.fit_groups(
        x, y, herbicide, share={"bottom": True, "top": ["all"] * len(x)}
    )
    for what in ("ec50", 20):
        one, other = (
            curves.ratio(fits, what, "Bentazone", "Glyphosate") for fits in (plain, by_label)
        )
        assert other.stderr == pytest.approx(one.stderr, rel=1e-7)
        assert other.value == pytest.approx(one.value, rel=1e-8)
    factors = {"Glyphosate": 2.0, "Bentazone": 1.0}
    scaled = curves.logistic4.fit_groups(
        x, y, herbicide, share={"bottom": True, "top": True, "ec50": factors}
    )
    one = curves.ratio(scaled, "ec50", "Glyphosate", "Bentazone")
    assert one.value == pytest.approx(2.0)
    assert one.stderr == pytest.approx(0.0, abs=1e-7)
    apart = curves.difference(scaled, "ec50", "Glyphosate", "Bentazone")
    assert apart.stderr == pytest.approx(scaled["Bentazone"].stderr["ec50"], rel=1e-6)


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
