"""Relative potency, against published assays and textbook formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

# CombiStats (EDQM, Council of Europe), example 3, Factor IX: four dilutions of a standard of 10.7
# IU and of a sample of about 500 IU, two readings of each; data and results are those in the R
# package pla 0.2, FactorIX.txt.
FACTOR_IX = [61.8, 63.2, 72.4, 76.1, 84.8, 90.0, 96.4, 99.6]
FACTOR_IX += [62.4, 65.4, 74.0, 76.1, 86.3, 89.9, 96.0, 99.4]
# CombiStats, example 7, hepatitis B vaccine (the same package, HepatitisBvaccine.txt): dilutions
# of 1/16000 to 1/1000 of a standard and two samples, of 20 micrograms/ml each.
HEPATITIS_B = {
    "S": ".043 .045 .051 .093 .099 .082 .159 .154 .166 .283 .295 .362 .514 .531 .545",
    "T": ".097 .097 .094 .167 .157 .178 .327 .355 .345 .501 .665 .576 1.140 1.386 1.051",
    "U": ".086 .071 .073 .127 .146 .133 .277 .268 .269 .586 .489 .546 .957 .866 1.045",
}
# CombiStats, example 8, hepatitis A immunoglobulin (HumanHepatitis.txt): doses of 0.01 to 0.08,
# a sample of about 600 IU. The square root of the reading is linear.
HEPATITIS_A = ".633 .629 .649 .401 .409 .411 .206 .204 .211 .077 .079 .080 "
HEPATITIS_A += ".502 .508 .518 .297 .29 .302 .136 .128 .136 .040 .042 .035"
# Pantothenic acid in plants, C. I. Bliss, The Statistics of Bioassay (1952), by D. R. Jensen,
# Biometrical Journal 31 (1989) 841-853: the data set SRAssay of the R package mratios.
BLISS = {
    "standard": [1.3, 1.7, 2.4, 2.7, 3.6, 3.6, 4.7, 5.0, 6.1, 6.3],
    "U1": [2.8, 2.9, 4.1, 3.7, 5.5, 5.5, 6.4, 6.7],
    "U2": [2.2, 2.1, 3.2, 3.2, 3.8, 3.9, 4.7, 4.9],
    "U3": [2.3, 2.3, 3.2, 3.0, 4.2, 4.2, 4.6, 5.1],
}
BLISS_DOSES = [0, 0, *np.tile(np.repeat([1, 2, 3, 4], 2), 4).tolist()]


def factor_ix(**options: Any) -> curves.Assay:
    dilutions = np.repeat([10, 20, 40, 80], 2)
    dose = np.r_[10.7 / dilutions, 500 / (50 * dilutions)]
    group = ["S"] * 8 + ["T"] * 8
    return curves.potency(
        dose, np.log(FACTOR_IX), group, reference="S", curve="parallel_line", **options
    )


def hepatitis_b(**options: Any) -> curves.Assay:
    dose = np.tile(np.repeat([1 / 16000, 1 / 8000, 1 / 4000, 1 / 2000, 1 / 1000], 3), 3)
    y = np.log([float(part) for text in HEPATITIS_B.values() for part in text.split()])
    group = np.repeat(list(HEPATITIS_B), 15)
    return curves.potency(dose, y, group, reference="S", curve="parallel_line", **options)


def bliss(**options: Any) -> curves.Assay:
    y = [value for values in BLISS.values() for value in values]
    group = [label for label, values in BLISS.items() for _ in values]
    return curves.potency(
        BLISS_DOSES, y, group, reference="standard", curve="slope_ratio", **options
    )


def sigmoids(potency: float = 1.5, **changes: Any) -> tuple[Any, Any, Any]:
    """Return doses, responses with a known scatter, and labels of two logistic curves."""
    dose = np.tile(np.repeat(10.0 ** np.linspace(-2, 2, 8), 3), 2)
    group = np.repeat(["R", "T"], 24)
    common = {"bottom": 0.1, "top": 2.0, "ec50": 1.0, "slope": 1.2}
    y = np.r_[
        curves.logistic4(dose[:24], **common),
        curves.logistic4(dose[24:] * potency, **(common | changes)),
    ]
    scatter = np.random.default_rng(7).normal(0.0, 0.05, 48)
    return dose, y + scatter, group


def fieller(top: Any, bottom: Any, columns: Any, y: Any, variance: float, t: float) -> Any:
    """Fieller's interval of a quotient of two linear combinations, by the textbook formula."""
    inverse = np.linalg.inv(columns.T @ columns)
    estimate = inverse @ columns.T @ y
    n, d = top @ estimate, bottom @ estimate
    v11, v12, v22 = (
        variance * a @ inverse @ b for a, b in ((top, top), (top, bottom), (bottom,) * 2)
    )
    g = t * t * v22 / (d * d)
    r = n / d
    half = t / d * math.sqrt(v11 - 2 * r * v12 + r * r * v22 - g * (v11 - v12 * v12 / v22))
    return r, np.sort(r - g * v12 / v22 + np.array([-half, half])) / (1 - g)


@pytest.mark.parametrize("interval", ["fieller", "profile"])
def test_factor_ix_as_published(interval: str) -> None:
    """The pharmacopoeia's limits are Fieller's, and those of the profile: lines are linear."""
    assay = factor_ix(interval=interval, error="replicates")
    one = assay["T"]
    published = 436.530, 511.616, 599.058
    np.testing.assert_allclose(
        np.array([one.low, one.value, one.high]) * 500, published, rtol=0.0, atol=5.1e-4
    )
    assert one.df == 8
    assert list(assay) == ["T"]
    assert len(assay) == 1
    test = curves.compare(assay.apart, assay.fits)  # "Non-parallelism"
    assert test.rss[0] - test.rss[1] == pytest.approx(5.70673e-5 * math.log(10) ** 2, rel=0.01)
    lack = curves.lack_of_fit(assay.apart)  # "Non-linearity"
    assert lack.f == pytest.approx(1.116, abs=6e-4)
    assert lack.p == pytest.approx(0.413, abs=6e-4)


def test_hepatitis_b_as_published() -> None:
    """Two samples and one reference; the slope and the error are those of all."""
    assay = hepatitis_b(interval="fieller", error="replicates")
    for label, published in (
        ("T", (40.4020, 43.5762, 47.0668)),
        ("U", (32.7374, 35.2553, 38.0062)),
    ):
        one = assay[label]
        np.testing.assert_allclose(
            np.array([one.low, one.value, one.high]) * 20, published, rtol=0.0, atol=5.1e-5
        )
        assert one.df == 30
    profile = hepatitis_b(interval="profile", error="replicates")
    for label in ("T", "U"):
        assert profile[label].low == pytest.approx(assay[label].low, rel=1e-8)
        assert profile[label].high == pytest.approx(assay[label].high, rel=1e-8)
    lack = curves.lack_of_fit(assay.apart)
    assert lack.rss[0] - lack.rss[1] == pytest.approx(0.0630420, abs=5.1e-8)
    assert lack.f == pytest.approx(0.904, abs=6e-4)
    test = curves.compare(assay.apart, assay.fits)
    assert test.rss[0] - test.rss[1] == pytest.approx(0.0156343, abs=5.1e-8)


def test_hepatitis_a_as_published() -> None:
    y = np.sqrt([float(part) for part in HEPATITIS_A.split()])
    dose = np.tile(np.repeat([0.01, 0.02, 0.04, 0.08], 3), 2)
    assay = curves.potency(
        dose,
        y,
        ["S"] * 12 + ["T"] * 12,
        reference="S",
        curve="parallel_line",
        interval="fieller",
        error="replicates",
    )
    one = assay["T"]
    published = 835.028, 852.459, 870.357
    np.testing.assert_allclose(
        600 * np.array([one.low, one.value, one.high]), published, rtol=0.0, atol=5.1e-4
    )


@pytest.mark.parametrize(("label", "k"), [("U1", 2), ("U2", 3), ("U3", 4)])
def test_slope_ratio_by_the_textbook(label: str, k: int) -> None:
    """Lines through one intercept; the interval by Fieller's formula."""
    y = np.array([value for values in BLISS.values() for value in values])
    columns = np.zeros((34, 5))
    columns[:, 0] = 1
    for i, size in enumerate((10, 8, 8, 8)):
        first = (0, 10, 18, 26)[i]
        columns[first : first + size, 1 + i] = BLISS_DOSES[first : first + size]
    unit = np.eye(5)
    residual = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    variance = residual @ residual / 29
    t29 = 2.045229642132703  # R's qt(0.975, 29)
    ratio, ends = fieller(unit[k], unit[1], columns, y, variance, t29)
    for interval in ("fieller", "profile"):
        one = bliss(interval=interval)[label]
        assert one.value == pytest.approx(ratio, rel=1e-10)
        np.testing.assert_allclose((one.low, one.high), ends, rtol=1e-8)


def test_parallel_lines_by_the_textbook() -> None:
    """The variance of the residuals, with weights, against Fieller's formula."""
    y, weights = np.log(FACTOR_IX), np.linspace(0.5, 2.0, 16)
    dilutions = np.repeat([10, 20, 40, 80], 2)
    log_dose = np.log(np.r_[10.7 / dilutions, 500 / (50 * dilutions)])
    is_test = np.repeat([0.0, 1.0], 8)
    root = np.sqrt(weights)
    columns = root[:, None] * np.c_[1 - is_test, is_test, log_dose]
    residual = root * y - columns @ np.linalg.lstsq(columns, root * y, rcond=None)[0]
    t13 = 2.160368656462792  # R's qt(0.975, 13)
    top, bottom = np.array([-1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    log_ratio, ends = fieller(top, bottom, columns, root * y, residual @ residual / 13, t13)
    one = factor_ix(interval="fieller", sample_weight=weights)["T"]
    assert one.df == 13
    np.testing.assert_allclose(
        (one.value, one.low, one.high), np.exp([log_ratio, *ends]), rtol=1e-9
    )


def test_parallel_logistic_curves() -> None:
    """Estimate and errors by SciPy's least squares with the logarithm of the potency."""
    from scipy.optimize import brentq, least_squares
    from scipy.stats import t as student

    dose, y, group = sigmoids()
    is_test = group == "T"

    def residual_of(p: Any, log: float | None = None) -> Any:
        shift = is_test * (p[4] if log is None else log)
        return p[0] + (p[1] - p[0]) / (1 + np.exp(-p[3] * (np.log(dose) + shift - p[2]))) - y

    options: dict[str, Any] = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "jac": "cs"}
    best = least_squares(residual_of, [0, 2, 0, 1, 0], **options)
    variance = 2 * best.cost / 43
    error = math.sqrt(variance * np.linalg.inv(best.jac.T @ best.jac)[4, 4])
    t43 = student.ppf(0.975, 43)
    assays = {
        kind: curves.potency(
            dose,
            y,
            group,
            reference="R",
            curve=curves.logistic4,
            interval=kind,
        )["T"]
        for kind in ("log", "wald", "profile")
    }
    value = math.exp(best.x[4])
    for one in assays.values():
        assert one.value == pytest.approx(value, rel=1e-7)
        assert one.stderr == pytest.approx(value * error, rel=1e-6)
        assert one.df == 43
    log, wald, profile = assays.values()
    np.testing.assert_allclose(
        (log.low, log.high), value * np.exp([-t43 * error, t43 * error]), rtol=1e-6
    )
    np.testing.assert_allclose(
        (wald.low, wald.high), value * np.array([1 - t43 * error, 1 + t43 * error]), rtol=1e-6
    )

    def excess(r: float) -> float:
        moved = least_squares(residual_of, best.x[:4], args=(math.log(r),), **options)
        return float(2 * moved.cost - 2 * best.cost * (1 + t43 * t43 / 43))

    assert profile.low == pytest.approx(brentq(excess, 0.5 * value, value, xtol=1e-12), rel=1e-7)
    assert profile.high == pytest.approx(brentq(excess, value, 2 * value, xtol=1e-12), rel=1e-7)


def test_errors_by_the_hessian() -> None:
    """The delta method with second differences of the residual sum of squares."""
    dose, y, group = sigmoids()
    is_test = group == "T"

    def rss_of(p: Any) -> float:
        ec50 = np.where(is_test, p[3], p[2])
        values = p[0] + (p[1] - p[0]) / (1 + (ec50 / dose) ** p[4])
        return float(((values - y) ** 2).sum())

    assay = curves.potency(
        dose, y, group, reference="R", curve=curves.logistic4, covariance="hessian"
    )
    names = ("bottom", "top", "ec50", "slope")
    bottom, top, ec50, slope = (assay.fits.params[name] for name in names)
    point = np.array([bottom, top, *np.asarray(ec50), slope])
    steps = 1e-4 * np.eye(5) * point
    half = np.array(
        [
            [
                (
                    rss_of(point + a + b)
                    - rss_of(point + a - b)
                    - rss_of(point - a + b)
                    + rss_of(point - a - b)
                )
                / (8 * a.sum() * b.sum())
                for b in steps
            ]
            for a in steps
        ]
    )
    known = np.linalg.inv(half) * rss_of(point) / 43
    slopes = np.array([0, 0, 1 / point[3], -point[2] / point[3] ** 2, 0])
    expected = math.sqrt(slopes @ known @ slopes)
    assert assay["T"].stderr == pytest.approx(expected, rel=1e-5)
    plain = curves.potency(dose, y, group, reference="R", curve=curves.logistic4)
    assert abs(plain["T"].stderr / expected - 1) > 4e-4


def test_one_curve_with_log10_doses_and_another_name() -> None:
    dose, y, group = sigmoids()
    options: dict[str, Any] = {"reference": "R"}
    plain = curves.potency(dose, y, group, curve=curves.logistic4, **options)["T"]
    for kind in ("log", "profile"):
        options["interval"] = kind
        plain = curves.potency(dose, y, group, curve=curves.logistic4, **options)["T"]
        logs = curves.potency(np.log10(dose), y, group, curve=curves.logistic4_log10, **options)
        for name in ("value", "stderr", "low", "high"):
            assert getattr(logs["T"], name) == pytest.approx(getattr(plain, name), rel=1e-6)
    five = curves.potency(dose, y, group, curve=curves.logistic5, **options)["T"]
    assert five.value == pytest.approx(1.5, rel=0.1)
    assert five.df == 42
    other = curves.potency(dose, y, group, curve=curves.log_normal, **options)["T"]
    assert other.value == pytest.approx(1.5, rel=0.1)
    bottom = curves.potency(
        dose, y, group, curve=curves.logistic4, fixed={"bottom": 0.1}, **options
    )
    assert bottom["T"].df == 44


def test_profile_of_binomial_responses() -> None:
    """The deviance of logit lines with the potency fixed, against SciPy's minimum."""
    from scipy.optimize import brentq, minimize

    dose = np.array([1.0, 2.0, 4.0, 8.0, 16.0] * 2)
    died = np.array([2, 5, 11, 16, 19, 4, 10, 15, 18, 20])
    group = ["R"] * 5 + ["T"] * 5

    def deviance(log: float) -> float:
        shifted = np.log(dose) + log * np.repeat([0.0, 1.0], 5)

        def loss(p: Any) -> float:
            z = p[0] + p[1] * shifted
            return float(2 * (np.log1p(np.exp(z)) * 20 - died * z).sum())

        return float(minimize(loss, [-2.0, 1.5], method="BFGS", options={"gtol": 1e-9}).fun)

    one = curves.potency(
        dose,
        died / 20,
        group,
        reference="R",
        curve="parallel_line",
        loss="log",
        sample_weight=[20] * 10,
        interval="profile",
    )["T"]
    assert one.df == math.inf
    middle = math.log(one.value)
    most = deviance(middle) + 1.959963984540054**2
    ends = [
        brentq(lambda log: deviance(log) - most, *sorted((middle, middle + side)), xtol=1e-10)
        for side in (-1.5, 1.5)
    ]
    np.testing.assert_allclose(np.log([one.low, one.high]), ends, atol=1e-5)


def test_four_logit_lines_as_in_drc() -> None:
    """The manual's selenium, LL.2 with a common b (Jeske et al. 2009), without controls.

    Ratios of e in 50 digits; the manual prints 253.442530, 331.625839, 114.793108 and 84.970604,
    and the likelihood ratio 48.654 of the model with four b.
    """
    dose = [100, 200, 300, 400, 500] * 2 + [5, 25, 50, 100, 200, 400, 800] + [5, 25, 50, 100]
    total = [146, 116, 159, 150, 140, 153, 142, 139, 154, 155]
    total += [106, 63, 145, 127, 140, 172, 188, 152, 150, 153, 125]
    dead = [40, 31, 85, 102, 112, 30, 59, 82, 62, 85]
    dead += [0, 11, 22, 31, 105, 166, 188, 7, 11, 45, 74]
    assay = curves.potency(
        dose,
        np.array(dead) / total,
        [1] * 5 + [2] * 5 + [3] * 7 + [4] * 4,
        reference=1,
        curve="parallel_line",
        loss="log",
        sample_weight=total,
    )
    for label, ec50 in ((2, 331.62633904128), (3, 114.79258113871), (4, 84.970899846752)):
        assert assay[label].value == pytest.approx(253.44224478606 / ec50, rel=1e-7)
    test = curves.compare(assay.apart, assay.fits)
    assert test.likelihood_ratio == pytest.approx(48.654377362084, rel=1e-8)
    assert test.p == pytest.approx(1.5452655551628e-10, rel=1e-6)


def test_a_profile_with_one_end() -> None:
    """Any small potency of what has no effect is as good; the interval by the logarithm is not."""
    dose, y, group = sigmoids()
    y[24:] = 0.1 + np.tile([-0.01, 0.0, 0.01], 8)
    options: Any = {"reference": "R", "curve": curves.logistic4}
    one = curves.potency(dose, y, group, interval="profile", **options)["T"]
    assert one.low == 0
    assert 1e-4 < one.high < 1e-3
    assert curves.potency(dose, y, group, **options)["T"].low > 0


def test_a_potency_that_is_not_identified() -> None:
    dose, y, group = sigmoids()
    y[24:] = 0.05 + np.tile([-0.01, 0.0, 0.01], 8)  # below all doses of the reference
    options: Any = {"reference": "R", "curve": curves.logistic4}
    for kind in ("log", "fieller", "profile"):
        assay = curves.potency(dose, y, group, interval=kind, **options)
        one = assay["T"]
        assert one.stderr == math.inf
        assert one.low <= 0
        assert one.high > 1e-4
        assert str(assay).endswith("not identified")


def test_flat_lines_have_no_end() -> None:
    """The common slope may be 0: Fieller's interval and the profile's are all potencies."""
    dose = np.tile([1.0, 2.0, 4.0, 8.0], 4)
    y = np.r_[np.tile([1.0, 1.2, 0.9, 1.1], 2), np.tile([1.1, 0.9, 1.3, 1.0], 2)]
    group = ["S"] * 8 + ["T"] * 8
    for kind in ("fieller", "profile"):
        one = curves.potency(
            dose,
            y,
            group,
            reference="S",
            curve="parallel_line",
            interval=kind,
        )["T"]
        assert (one.low, one.high) == (0, math.inf)


def test_lines_in_opposite_directions() -> None:
    """A slope ratio below 0 is an estimate, but no potency of a profile."""
    dose = np.tile([1.0, 2.0, 3.0, 4.0], 2)
    y = 5 + np.r_[dose[:4], -dose[:4]] + np.tile([0.1, -0.1], 4)
    options: Any = {"reference": 0, "curve": "slope_ratio"}
    group = [0] * 4 + [1] * 4
    one = curves.potency(dose, y, group, interval="wald", **options)[1]
    assert one.value < 0
    for kind in ("log", "profile"):
        with pytest.raises(ParameterError, match=rf"'{kind}', but potency\[1\] is -"):
            curves.potency(dose, y, group, interval=kind, **options)
    y = np.r_[np.log(dose[:4]), -np.log(dose[:4])]
    options["curve"] = "parallel_line"
    assay = curves.potency(dose, y, group, interval="profile", **options)
    assert (assay[1].low, assay[1].high) == (0, math.inf)


def test_exact_and_constant_responses() -> None:
    """No scatter: the interval is a point; no effect: there is no potency."""
    dose = np.tile(np.repeat([1.0, 2.0, 4.0, 8.0], 2), 2)
    group = ["S"] * 8 + ["T"] * 8
    options: Any = {"reference": "S", "curve": "parallel_line"}
    y = np.log(dose) + np.repeat([0.0, 0.5], 8)
    for kind in ("log", "wald", "fieller", "profile"):
        one = curves.potency(dose, y, group, interval=kind, **options)["T"]
        assert one.value == pytest.approx(math.exp(0.5))
        assert one.low == pytest.approx(one.value)
        assert one.high == pytest.approx(one.value)
        with pytest.raises(ParameterError, match="the denominator is 0"):
            curves.potency(dose, np.ones(16), group, interval=kind, **options)
        options["curve"] = curves.logistic4
        one = curves.potency(dose, np.ones(16), group, interval=kind, **options)["T"]
        assert one.stderr == math.inf
        assert one.low <= 0
        assert one.high == math.inf
        options["curve"] = "parallel_line"


def test_labels_and_tables() -> None:
    assay = hepatitis_b()
    with pytest.raises(KeyError, match="'S' is no test preparation"):
        assay["S"]
    text = str(assay)
    assert text.startswith("parallel_line, potency relative to S\n")
    assert "95% interval (log)" in text
    assert text.count("\n") == 3


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"reference": "X"}, ParameterError, "reference: 'X' is not a group"),
        ({"group": ["R"] * 48}, ParameterError, "group: 'R' is the only one"),
        ({"curve": "lines"}, InputTypeError, "curve: expected a Curve"),
        ({"curve": None}, InputTypeError, "curve: expected a Curve"),
        ({"curve": curves.gompertz}, ParameterError, "gompertz has no parameter that is a dose"),
        ({"curve": curves.no_effect_dose}, ParameterError, "no parameter that is a dose"),
        ({"fixed": {"ec50": 1.0}}, ParameterError, "'ec50' is what preparations differ in"),
        ({"interval": "delta"}, ParameterError, "interval: 'delta'"),
        ({"error": "pure"}, ParameterError, "error: 'pure'"),
        ({"level": 0}, ParameterError, "level: 0"),
        ({"loss": "huber", "interval": "profile"}, ParameterError, "'huber' has no likelihood"),
        ({"loss": "huber", "error": "replicates"}, ParameterError, "expected 'squared'"),
        ({"group": ["R"] * 45 + ["T"] * 3}, ShapeError, "group 'T': 3 points, fewer than 4"),
        ({"y": np.full(48, np.nan)}, ParameterError, "point 0 is not finite"),
    ],
)
def test_bad_input(changes: Any, error: type[Exception], text: str) -> None:
    x, y, group = sigmoids()
    arguments: Any = {"x": x, "y": y, "group": group, "reference": "R", "curve": curves.logistic4}
    with pytest.raises(error, match=text):
        curves.potency(**(arguments | changes))


def test_bad_doses_and_replicates() -> None:
    group = ["S"] * 4 + ["T"] * 4
    options: Any = {"reference": "S", "curve": "parallel_line"}
    with pytest.raises(ParameterError, match=r"x\[2\]: 0.0; expected a dose above 0"):
        curves.potency([1, 2, 0, 4] * 2, range(8), group, **options)
    y = [1, 1, 2, 2, 1.5, 1.5, 2.4, 2.4]
    with pytest.raises(ParameterError, match="all replicates are equal"):
        curves.potency([1, 1, 2, 2] * 2, y, group, error="replicates", **options)
    with pytest.raises(ParameterError, match="no dose of a group has several points"):
        curves.potency([1, 2, 4, 8] * 2, y, group, error="replicates", **options)
    with pytest.raises(ParameterError, match="no degree of freedom is left"):
        curves.potency(
            [1, 2],
            [0.4, 0.8],
            ["S", "T"],
            reference="S",
            curve=curves.hill,
            fixed={"top": 1.0, "slope": 1.0},
        )
