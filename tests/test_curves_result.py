"""What a fitted curve says: doses of an effect, likelihoods, sums of squares; and the chain of a
curve, which has the named parameters and no others."""

from __future__ import annotations

import math

import numpy as np
import pytest

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
