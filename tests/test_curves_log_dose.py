"""Hazard: doses of 0 in curves of the logarithm of a dose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import curves

DOSE = np.repeat([0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0], 2)
LOG_DOSE = np.log10(DOSE, out=np.full(DOSE.size, -math.inf), where=DOSE > 0)
Y = 0.4 + 3.2 / (1 + (DOSE / 4.0) ** 1.4) ** 0.8 + 0.05 * np.cos(9 * np.arange(DOSE.size))
PAIRS = [("hill", "hill_log10"), ("logistic4", "logistic4_log10"), ("logistic5", "logistic5_log10")]


@pytest.mark.parametrize(("name", "log_name"), PAIRS)
@pytest.mark.parametrize("covariance", ["gauss-newton", "hessian"])
def test_the_fit_is_that_of_the_doses(name: str, log_name: str, covariance: Any) -> None:
    expected = curves.CURVES[name].fit(DOSE, Y, covariance=covariance)
    fitted = curves.CURVES[log_name].fit(LOG_DOSE, Y, covariance=covariance)
    assert fitted.converged
    assert fitted.rss == pytest.approx(expected.rss, rel=1e-10)
    ec50 = 10 ** fitted.params["logec50"]
    assert ec50 == pytest.approx(expected.params["ec50"], rel=1e-7)
    assert fitted.stderr["logec50"] * math.log(10) * ec50 == pytest.approx(
        expected.stderr["ec50"], rel=1e-5
    )
    for parameter in set(fitted.params) - {"logec50"}:
        assert fitted.params[parameter] == pytest.approx(expected.params[parameter], rel=1e-7)
        assert fitted.stderr[parameter] == pytest.approx(expected.stderr[parameter], rel=1e-5)
    band, known = fitted.predict(LOG_DOSE, "confidence"), expected.predict(DOSE, "confidence")
    np.testing.assert_allclose(band, known, rtol=1e-6)
    assert fitted(-math.inf) == pytest.approx(float(expected(0.0)), rel=1e-9)


@pytest.mark.parametrize(("name", "log_name"), PAIRS)
@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
def test_many_fits_are_those_of_the_doses(name: str, log_name: str, own: bool) -> None:
    y = np.array([Y, Y[::-1] + 1.0, 2.0 * Y])
    y[1] = 5.0 - Y
    y[2, 3] = math.nan
    x = np.tile(LOG_DOSE, (3, 1)) if own else LOG_DOSE
    expected, found = curves.CURVES[name].fit_many(DOSE, y), curves.CURVES[log_name].fit_many(x, y)
    assert found.status.tolist() == expected.status.tolist()
    np.testing.assert_allclose(found.rss, expected.rss, rtol=1e-9)
    np.testing.assert_allclose(10 ** found.params["logec50"], expected.params["ec50"], rtol=1e-6)


@pytest.mark.parametrize("name", [log_name for _, log_name in PAIRS])
def test_an_infinite_dose_is_refused(name: str) -> None:
    curve, x = curves.CURVES[name], LOG_DOSE.copy()
    x[5] = math.inf
    with pytest.raises(cbp.ParameterError, match="point 5 is not finite: x = inf"):
        curve.fit(x, Y)
    assert curve.fit_many(x, [Y]).status.tolist() == ["not_finite"]
    without = curve.fit(x, Y, nan_policy="omit")
    assert without.x.tolist() == np.delete(x, 5).tolist()
    x[5] = math.nan
    with pytest.raises(cbp.ParameterError, match="point 5 is not finite: x = nan"):
        curve.fit(x, Y)
    y = Y.copy()
    y[0] = math.inf
    with pytest.raises(cbp.ParameterError, match="point 0 is not finite: x = -inf, y = inf"):
        curve.fit(LOG_DOSE, y)


def test_other_curves_have_no_input_of_minus_infinity() -> None:
    assert {name for name, curve in curves.CURVES.items() if curve.log_dose} == {
        log_name for _, log_name in PAIRS
    }
    with pytest.raises(cbp.ParameterError, match="point 0 is not finite: x = -inf"):
        curves.logistic4_linear.fit(LOG_DOSE, Y)
    assert curves.logistic4_linear.fit_many(LOG_DOSE, [Y]).status.tolist() == ["not_finite"]


def test_controls_alone_do_not_determine_a_slope() -> None:
    fitted = curves.hill_log10.fit(np.full(6, -math.inf), np.linspace(1, 2, 6))
    assert fitted.status == "not_identified"
