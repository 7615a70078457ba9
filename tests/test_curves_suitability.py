"""Equivalence of curves and limits of an assay, against independent intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves

DOSE = np.tile(np.repeat(10.0 ** np.linspace(-2, 2, 8), 3), 2)
GROUP = np.repeat(["R", "T"], 24)


def sigmoids(**options: Any) -> curves.Assay:
    y = np.r_[
        curves.logistic4(DOSE[:24], bottom=0.1, top=2.0, ec50=1.0, slope=1.2),
        curves.logistic4(DOSE[24:], bottom=0.12, top=2.1, ec50=0.7, slope=1.1),
    ] + np.random.default_rng(3).normal(0.0, 0.04, 48)
    return curves.potency(DOSE, y, GROUP, reference="R", curve=curves.logistic4, **options)


def test_equivalence_of_slopes_of_lines() -> None:
    """Independent slopes: Fieller's interval of their ratio at 90 %, by its formula."""
    dose = np.tile([1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0], 2)
    y = np.array([1.9, 2.1, 3.0, 3.2, 4.1, 3.9, 5.2, 4.9, 2.6, 2.4, 3.7, 3.5, 4.6, 4.9, 5.6, 5.3])
    assay = curves.potency(dose, y, ["S"] * 8 + ["T"] * 8, reference="S", curve="parallel_line")
    x = np.log(dose[:8])
    centred = x - x.mean()
    square = centred @ centred
    slopes = [centred @ part / square for part in (y[:8], y[8:])]
    fitted = [part.mean() + b * centred for part, b in zip((y[:8], y[8:]), slopes, strict=True)]
    variance = ((y - np.concatenate(fitted)) ** 2).sum() / 12 / square
    t12 = 1.78228755564932  # R's qt(0.95, 12)
    b, a = slopes
    g = t12 * t12 * variance / (b * b)
    root = t12 / b * math.sqrt(variance * (1 + (a / b) ** 2 - g))
    ends = np.array([a / b - root, a / b + root]) / (1 - g)
    (one,) = curves.equivalence(assay, {"slope": (0.8, 1.25)}).criteria
    assert one.name == "slope[T] / slope[S]"
    assert one.value == pytest.approx(a / b, rel=1e-10)
    np.testing.assert_allclose((one.low, one.high), ends, rtol=1e-9)
    assert one.limits == (0.8, 1.25)
    for low, high, expected in (
        (ends[0] - 1e-6, ends[1] + 1e-6, True),
        (ends[0] + 1e-6, ends[1] + 1e-6, False),
        (ends[0] - 1e-6, ends[1] - 1e-6, False),
    ):
        verdict = curves.equivalence(assay, {"slope": (low, high)})
        assert verdict.passed is expected
    wider = curves.equivalence(assay, {"slope": (0.8, 1.25)}, alpha=0.01).criteria[0]
    assert wider.low < one.low
    assert wider.high > one.high


def test_equivalence_of_logistic_curves() -> None:
    """Ratios of parameters of curves that share nothing, and of the range by their covariance."""
    assay = sigmoids()
    verdict = curves.equivalence(
        assay, {"slope": (0.5, 2.0), "range": (0.8, 1.25), "top": (None, 1.2)}, interval="wald"
    )
    slope, distance, top = verdict.criteria
    names = list(assay.apart.names)
    t40 = 1.683851013335653  # R's qt(0.95, 40)
    for one, key in ((slope, "slope"), (top, "top")):
        parts = [assay.apart[label] for label in ("T", "R")]
        value = parts[0].params[key] / parts[1].params[key]
        error = value * math.hypot(*(part.stderr[key] / part.params[key] for part in parts))
        np.testing.assert_allclose(
            (one.value, one.low, one.high), (value, value - t40 * error, value + t40 * error)
        )
    assert top.limits == (-math.inf, 1.2)
    ranges, errors = {}, {}
    for label in ("T", "R"):
        i, j = names.index(("bottom", label)), names.index(("top", label))
        c = assay.apart.covariance
        ranges[label] = assay.apart[label].params["top"] - assay.apart[label].params["bottom"]
        errors[label] = math.sqrt(c[i, i] + c[j, j] - 2 * c[i, j])
    value = ranges["T"] / ranges["R"]
    error = value * math.hypot(*(errors[label] / ranges[label] for label in "TR"))
    np.testing.assert_allclose(
        (distance.value, distance.low, distance.high),
        (value, value - t40 * error, value + t40 * error),
    )
    assert verdict.passed
    assert str(verdict).count("pass") == 3


def test_each_limit_is_judged() -> None:
    assay = sigmoids(interval="fieller")
    one = assay["T"]
    limits: Any = {
        "r2": (0.99, None),
        "rss": (None, 0.01),
        "slope": (0.9, 1.5),
        "range": (1.5, 2.5),
        "asymptote_ratio": (10, None),
        "residual_sd": (0, 0.06),
        "lack_of_fit": (0.01, None),
        "parallelism": (0.999, None),
        "potency": (1.0, 2.0),
        "precision": (0.8, 1.25),
        "width": (None, 1.01),
    }
    verdict = curves.suitability(assay, limits)
    found = {row.name: row for row in verdict.criteria}
    fits = assay.apart
    for label in ("R", "T"):
        fit = fits[label]
        residual = fit.y - fit(fit.x)
        rss = float(residual @ residual)
        spread = float(((fit.y - fit.y.mean()) ** 2).sum())
        assert found[f"r2[{label}]"].value == pytest.approx(1 - rss / spread, rel=1e-10)
        assert found[f"rss[{label}]"].value == pytest.approx(rss, rel=1e-10)
        assert found[f"slope[{label}]"].value == fit.params["slope"]
        bottom, top = fit.params["bottom"], fit.params["top"]
        assert found[f"range[{label}]"].value == pytest.approx(top - bottom)
        assert found[f"asymptote_ratio[{label}]"].value == pytest.approx(top / bottom)
        assert found[f"r2[{label}]"].passed
        assert not found[f"rss[{label}]"].passed
    assert found["residual_sd"].value == assay.fits.residual_sd
    assert found["lack_of_fit"].value == curves.lack_of_fit(fits).p
    assert found["parallelism"].value == curves.compare(fits, assay.fits).p
    assert not found["parallelism"].passed
    assert found["potency[T]"].value == one.value
    assert found["precision[T]"].low == one.low / one.value
    assert found["precision[T]"].high == one.high / one.value
    assert found["precision[T]"].passed
    assert found["width[T]"].value == one.high / one.low
    assert not found["width[T]"].passed
    assert not verdict.passed
    text = str(verdict)
    assert text.count("FAIL") == sum(not row.passed for row in verdict.criteria)
    assert curves.suitability(assay, {"r2": (0.9, None)}).passed


def test_a_potency_that_is_not_identified_fails() -> None:
    y = curves.logistic4(DOSE, bottom=0.1, top=2.0, ec50=1.0, slope=1.2)
    y[24:] = 0.05 + np.tile([-0.01, 0.0, 0.01], 8)
    assay = curves.potency(DOSE, y, GROUP, reference="R", curve=curves.logistic4)
    verdict = curves.suitability(assay, {"precision": (0.5, 2.0), "width": (None, 1e9)})
    assert [one.passed for one in verdict.criteria] == [False, False]


@pytest.mark.parametrize(
    ("limits", "error", "text"),
    [
        ({"slope": (1.25, 0.8)}, ParameterError, "expected low < high"),
        ({"slope": (1.0, 1.0)}, ParameterError, "expected low < high"),
        ({"slope": (math.nan, 2.0)}, ParameterError, "expected low < high"),
        ({"slope": (None, None)}, ParameterError, "a limit on one side"),
        ({"slope": (0.8, "2")}, InputTypeError, "'2'; expected a number or None"),
        ({"slope": 0.8}, InputTypeError, r"expected \(low, high\)"),
        ({"slopes": (0.8, 1.25)}, ParameterError, "'slopes' is unknown"),
        ([("slope", (0.8, 1.25))], InputTypeError, "expected a mapping"),
        ({}, ParameterError, "there are none"),
    ],
)
def test_bad_limits(limits: Any, error: type[Exception], text: str) -> None:
    for function in (curves.equivalence, curves.suitability):
        with pytest.raises(error, match=text):
            function(sigmoids(), limits)


def test_bad_margins_and_assays() -> None:
    assay = sigmoids()
    with pytest.raises(ParameterError, match=r"1\.1 to 1\.3; expected 1 between them"):
        curves.equivalence(assay, {"slope": (1.1, 1.3)})
    with pytest.raises(ParameterError, match=r"alpha: 0\.5"):
        curves.equivalence(assay, {"slope": (0.8, 1.25)}, alpha=0.5)
    with pytest.raises(InputTypeError, match="assay: expected an Assay"):
        curves.suitability(assay.fits, {"slope": (0.8, 1.25)})  # type: ignore[arg-type]
    lines = curves.potency(
        [1, 2, 4, 8] * 2,
        [1, 2, 3.1, 4, 1.5, 2.4, 3.5, 4.6],
        ["S"] * 4 + ["T"] * 4,
        reference="S",
        curve="parallel_line",
    )
    for function in (curves.equivalence, curves.suitability):
        with pytest.raises(ParameterError, match="linear has no two plateaus"):
            function(lines, {"range": (0.8, 1.25)})
    with pytest.raises(ParameterError, match="no replicates"):
        curves.suitability(lines, {"lack_of_fit": (0.05, None)})
