"""Hazard: a number that the data hardly determine, reported as if they did."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from curve_cases import draw, exact, exact_covariance

from cbackprop import curves

Floats = npt.NDArray[np.float64]
DOSES = np.geomspace(0.01, 100.0, 12)


def noisy(name: str, x: Floats, seed: int, spread: float, **natural: float) -> Floats:
    """Outputs with noise."""
    return exact(name, x, natural) + spread * np.random.default_rng(seed).normal(size=x.size)


def test_a_flat_compound() -> None:
    fitted = curves.logistic4.fit(DOSES, 50 + np.random.default_rng(1).normal(size=12))
    assert set(fitted.advice) == {"ec50", "slope"}
    for name, text in fitted.advice.items():
        assert text.startswith("the response hardly changes over the range of x")
        assert f"fix {name}" in text
    # and after the advice is followed: with both fixed a line in the response remains
    fixed = curves.logistic4.fit(fitted.x, fitted.y, fixed={"ec50": 1.0, "slope": 1.0})
    assert fixed.advice == {}
    assert fixed.message == "converged"


@pytest.mark.parametrize("asymptote", [15.0, 20.0])
def test_a_plateau_that_is_not_seen(asymptote: float) -> None:
    natural = {"asymptote": asymptote, "start": 1.0, "rate": 1.0 / asymptote}
    x = np.linspace(0.0, 5.0, 8)
    fitted = curves.asymptotic.fit(x, noisy("asymptotic", x, 2, 0.08, **natural))
    assert fitted.converged
    # the standard error is right, and beyond all that was measured
    known = exact_covariance("asymptotic", x, fitted.y, fitted.params)
    assert fitted.stderr["asymptote"] == pytest.approx(math.sqrt(known[0, 0]), rel=1e-4)
    assert fitted.stderr["asymptote"] > np.ptp(fitted.y)
    assert "; hardly determined by the data: asymptote" in fitted.message
    assert "plateau" in fitted.advice["asymptote"]
    assert "measure at higher x, or fix asymptote" in fitted.advice["asymptote"]
    further = np.linspace(0.0, 5.0 * asymptote, 24)
    better = curves.asymptotic.fit(further, noisy("asymptotic", further, 3, 0.08, **natural))
    assert (better.message, better.advice) == ("converged", {})


def test_the_side_on_which_a_plateau_is_missing() -> None:
    low = np.geomspace(0.001, 0.3, 9)
    y = noisy("logistic4", low, 4, 0.3, bottom=0.0, top=100.0, ec50=1.0, slope=1.5)
    for x, side in ((low, "higher"), (1.0 / low, "lower")):
        fitted = curves.logistic4.fit(x, y)
        text = f"the plateau at {side} x is not seen; measure at {side} x, or fix top"
        assert fitted.advice == {"top": text}
        assert f"? top: {text}" in str(fitted)


def test_a_step_between_two_points() -> None:
    y = np.where(DOSES > 1, 100.0, 0.0) + np.tile([1.0, -1.0], 6)
    y[5:7] = -2, 102  # a flatter curve would be worse
    fitted = curves.logistic4.fit(DOSES, y)
    assert set(fitted.advice) == {"ec50", "slope"}
    for text in fitted.advice.values():
        assert text.startswith("no points near x = ")
        place = float(text.removeprefix("no points near x = ").partition(",")[0])
        assert DOSES[5] < place < DOSES[6]


def test_fewer_inputs_than_parameters() -> None:
    x, y = [1.0, 2, 3, 1, 2, 3], [1.0, 4, 2, 1, 3, 2]
    fitted = curves.logistic4.fit(x, y)
    assert fitted.status == "not_identified"
    assert fitted.advice
    for name, text in fitted.advice.items():
        assert text == f"3 distinct x for 4 parameters; fix {name}, or measure at more x"
    assert curves.logistic4.fit(x, y, fixed={"slope": 2.0, "bottom": 0.0}).advice == {}
    weighted = curves.logistic4.fit([*x, 4.0], [*y, 9.0], sample_weight=[1.0] * 6 + [0.0])
    assert weighted.advice == fitted.advice


def test_no_degrees_of_freedom() -> None:
    x, y = [1.0, 2, 3, 4], [1.0, 3, 5, 5.5]
    fitted = curves.logistic4.fit(x, y)
    assert fitted.df == 0
    assert fitted.message == "converged; no degrees of freedom left: no standard errors"
    many = curves.logistic4.fit_many(x, [y])
    assert many.message.tolist() == ["converged; no degrees of freedom left"]


@pytest.mark.parametrize("factor", [1e-12, 1e9])
def test_units_do_not_matter(factor: float) -> None:
    x = np.geomspace(3.0, 1000.0, 9)
    y = noisy("logistic4", x, 4, 0.3, bottom=0.0, top=100.0, ec50=1.0, slope=1.5)
    fitted = curves.logistic4.fit(x, y)
    for other in (curves.logistic4.fit(x * factor, y), curves.logistic4.fit(x, y * factor)):
        assert other.message == fitted.message
        assert other.advice == fitted.advice


@pytest.mark.parametrize("name", curves.CURVES)
def test_what_is_well_measured_needs_no_advice(name: str) -> None:
    x, true = draw(name, np.random.default_rng(8))
    x = np.interp(np.linspace(0, x.size - 1, 40), np.arange(x.size), x)
    clean = exact(name, x, true)
    noise = 0.003 * np.ptp(clean) * np.random.default_rng(9).normal(size=40)
    y = np.clip(clean + noise, 0, 1) if name == "platt" else clean + noise
    fitted = curves.CURVES[name].fit(x, y, sample_weight=np.full(40, 100.0))
    assert (fitted.message, fitted.advice) == ("converged", {})
    assert "?" not in str(fitted)


def test_many() -> None:
    rng = np.random.default_rng(1)
    y = np.array([50 + rng.normal(size=12) for _ in range(4)])
    y[0] = noisy("logistic4", DOSES, 6, 1.0, bottom=0.0, top=100.0, ec50=6.0, slope=1.2)
    y[2, 3:] = np.nan
    fits: Any = curves.logistic4.fit_many(DOSES, y)
    alone = [curves.logistic4.fit(DOSES, y[i]) for i in (0, 1, 3)]
    assert fits.message[[0, 1, 3]].tolist() == [
        "converged",
        *(
            f"not identified: {each.message.rpartition('not identified by the data: ')[2]}"
            for each in alone[1:]
        ),
    ]
    assert fits.message[2] == "too few points"
    linear = curves.linear.fit_many(DOSES, y[:2])
    assert linear.message.tolist() == ["converged", "converged"]
