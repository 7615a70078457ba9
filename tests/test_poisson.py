"""Hazard: a wrong Poisson loss: SciPy's distribution, generalized linear models, printed digits."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import cbackprop as cbp
from cbackprop import curves, reference
from cbackprop.errors import ParameterError

Floats = npt.NDArray[np.float64]

# Deaths from AIDS in Australia, by quarter from 1983 on: Dobson, An Introduction to Generalized
# Linear Models, 1990.
DEATHS = np.array([0, 1, 2, 3, 1, 4, 9, 18, 23, 31, 20, 25, 37, 45], dtype=float)
QUARTERS = np.arange(1.0, 15.0)
COUNTS = np.array([3, 5, 2, 6, 9, 7, 11, 9, 14, 12], dtype=float)
WEIGHTS = np.array([1, 2, 0.5, 1, 0, 1, 1.5, 1, 1, 2], dtype=float)


def glm(
    x: Floats, y: Floats, weights: Floats, link: str
) -> tuple[list[float], Floats, Floats, float]:
    """Fit by Fisher's scoring in 40 digits: parameters, both covariances, deviance."""
    with mp.workdps(40):
        rows = [(mp.mpf(v), mp.mpf(1)) for v in x.tolist()]
        theta = mp.matrix([0, mp.log(y.mean()) if link == "log" else mp.mpf(y.mean())])
        observed, fisher, deviance = mp.matrix(2), mp.matrix(2), mp.mpf(0)
        for _ in range(400):
            fisher, observed, score = mp.matrix(2), mp.matrix(2), mp.matrix([0, 0])
            deviance = mp.mpf(0)
            for row, target, weight in zip(rows, y.tolist(), weights.tolist(), strict=True):
                z = theta[0] * row[0] + theta[1]
                a = mp.exp(z) if link == "log" else z
                slope = a if link == "log" else 1
                bend = a if link == "log" else target / a**2
                for i in range(2):
                    score[i] += weight * (target / a - 1) * slope * row[i]
                    for j in range(2):
                        fisher[i, j] += weight * slope**2 / a * row[i] * row[j]
                        observed[i, j] += weight * bend * row[i] * row[j]
                log = target * mp.log(target / a) if target else mp.mpf(0)
                deviance += 2 * weight * (log - target + a)
            theta += mp.lu_solve(fisher, score)
        spreads = [np.array((m**-1).tolist(), dtype=float) for m in (fisher, observed)]
        return [float(v) for v in theta], spreads[0], spreads[1], float(deviance)


# ---- the loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [0.0, 1.0, 2.5, 7.0, 1e6])
@pytest.mark.parametrize("a", [1e-9, 0.3, 1.0, 2.5 * (1 + 1e-9), 7.0 + 1e-6, 40.0, 1e6 + 1.0])
def test_loss_and_derivatives_are_those_of_the_deviance(a: float, y: float) -> None:
    with mp.workdps(60):
        at, target = mp.mpf(a), mp.mpf(y)
        log = target * mp.log(target / at) if y else mp.mpf(0)
        exact = [2 * (log - target + at), 2 * (1 - target / at), 2 * target / at**2]
        loss, slope, bend = (float(v) for v in exact)
    net = cbp.Chain([1.0], [0.0], "identity")
    got = net.loss_and_gradient(a, y, loss="poisson")
    hessian = net.hessian(a, y, loss="poisson")
    rounding = 4e-16 * abs(a - y)  # of what a logarithm near 0 has lost
    assert got[0] == pytest.approx(loss, rel=2e-15, abs=rounding)
    assert got[1][1] == pytest.approx(slope, rel=1e-15)
    assert hessian[1, 1] == pytest.approx(bend, rel=1e-15)
    own = reference.trace([1.0, 0.0], ["identity"], a, y, loss="poisson")
    assert own.loss == pytest.approx(loss, rel=1e-14, abs=rounding)
    assert own.delta[0] == pytest.approx(slope, rel=1e-15)


def test_loss_is_twice_what_the_likelihood_lacks() -> None:
    net = cbp.Chain([0.25], [0.3], "exp")
    a = np.asarray(net.forward(QUARTERS))
    lacking = stats.poisson.logpmf(DEATHS, DEATHS) - stats.poisson.logpmf(DEATHS, a)
    loss = net.loss(QUARTERS, DEATHS, loss="poisson")
    assert loss * DEATHS.size == pytest.approx(2 * float(lacking.sum()), rel=1e-12)


@pytest.mark.parametrize("a", [0.0, -0.0, -1.0, -math.inf, math.nan])
@pytest.mark.parametrize("y", [0.0, 3.0])
def test_outside_of_its_domain_it_is_no_number(a: float, y: float) -> None:
    net = cbp.Chain([1.0], [0.0], "identity")
    assert math.isnan(net.loss(a, y, loss="poisson"))
    assert np.isnan(net.gradient([1.0, a], [1.0, y], loss="poisson")).all()
    own = reference.trace([1.0, 0.0], ["identity"], a, y, loss="poisson")
    assert np.isnan([own.loss, *own.delta]).all()


def test_extremes_are_finite_where_the_deviance_is() -> None:
    net = cbp.Chain([1.0], [0.0], "identity")
    for a, y in ((1e300, 1e-300), (1e300, 0.0), (1e-300, 5.0), (1e300, 1e-20), (1e-5, 1e300)):
        with mp.workdps(60):
            at, target = mp.mpf(a), mp.mpf(y)
            exact = 2 * ((target * mp.log(target / at) if y else 0) - target + at)
        assert net.loss(a, y, loss="poisson") == pytest.approx(float(exact), rel=1e-14)
    assert net.loss(1e-5, 1e308, loss="poisson") == math.inf  # and so is its slope


@pytest.mark.parametrize("bad", [-1.0, -5e-324, math.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda net, y: net.loss(QUARTERS, y, loss="poisson"),
        lambda net, y: net.gradient(QUARTERS, y, loss="poisson"),
        lambda net, y: net.gradients(QUARTERS, y, loss="poisson"),
        lambda net, y: net.hessian(QUARTERS, y, loss="poisson"),
        lambda net, y: cbp.fit(net, QUARTERS, y, loss="poisson"),
        lambda net, y: cbp.fit(net, QUARTERS, y, loss="poisson", method="adam"),
        lambda net, y: net.objective(QUARTERS, y, loss="poisson")(net.params),
    ],
)
def test_a_target_that_is_no_count_is_named(call: Any, bad: float) -> None:
    net, y = cbp.Chain([0.25], [0.3], "exp"), DEATHS.copy()
    y[4] = bad
    words = rf"y\[4\]: {bad!r}; the poisson loss needs finite targets of 0 or more"
    with pytest.raises(ParameterError, match=words):
        call(net, y)
    assert net == cbp.Chain([0.25], [0.3], "exp")


def test_a_target_that_is_no_count_is_named_alone() -> None:
    net = cbp.Chain([0.25], [0.3], "exp")
    with pytest.raises(ParameterError, match=r"^y: -1\.0; the poisson loss needs"):
        net.loss(1.0, -1.0, loss="poisson")
    with pytest.raises(ParameterError, match=r"^y: -1\.0; the poisson loss needs"):
        net.trace(1.0, -1.0, loss="poisson")
    many = cbp.fit_many(net, QUARTERS, np.array([DEATHS, DEATHS - 1]), loss="poisson")
    assert many.status.tolist() == ["converged", "bad_target"]


# ---- fits ----------------------------------------------------------------------------------------


def test_deaths_as_dobson_prints_them() -> None:
    found = cbp.fit(cbp.Chain([0.1], [1.0], "exp"), QUARTERS, DEATHS, loss="poisson")
    (slope, intercept), (slope_error, error) = found.params, found.stderr
    assert (f"{intercept:.4f}", f"{error:.4f}") == ("0.3396", "0.2512")
    assert (f"{slope:.4f}", f"{slope_error:.5f}") == ("0.2565", "0.02204")
    assert (f"{found.loss * DEATHS.size:.2f}", found.df) == ("29.65", 12)
    assert found.converged
    assert math.isnan(found.residual_sd)


@pytest.mark.parametrize("link", ["log", "identity"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_fit_is_the_generalized_linear_model(link: str, weights: Floats | None) -> None:
    x = np.arange(10.0)
    activation = "exp" if link == "log" else "identity"
    params, fisher, observed, deviance = glm(
        x, COUNTS, np.ones(10) if weights is None else weights, link
    )
    start = cbp.Chain([0.0], [1.0 if link == "log" else 5.0], activation)
    total = 10.0 if weights is None else float(weights.sum())
    kinds: tuple[tuple[Any, Floats], ...] = (("gauss-newton", fisher), ("hessian", observed))
    for kind, covariance in kinds:
        found = cbp.fit(start, x, COUNTS, loss="poisson", sample_weight=weights, covariance=kind)
        assert found.converged
        np.testing.assert_allclose(found.params, params, rtol=1e-9)
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8)
        assert found.loss * total == pytest.approx(deviance, rel=1e-13)
    many = cbp.fit_many(
        start, x, np.array([COUNTS, 3 * COUNTS]), loss="poisson", sample_weight=weights
    )
    np.testing.assert_allclose(many.params[0], params, rtol=1e-8)
    np.testing.assert_allclose(many.stderr[0], np.sqrt(fisher.diagonal()), rtol=1e-6)
    tripled = cbp.fit(start, x, 3 * COUNTS, loss="poisson", sample_weight=weights)
    np.testing.assert_allclose(many.params[1], tripled.params, rtol=1e-8)
    assert many.converged.all()
    assert np.isnan(many.residual_sd).all()


@pytest.mark.parametrize("method", ["momentum", "adam"])
def test_descents_arrive_there_too(method: Any) -> None:
    x = np.arange(10.0) / 10
    params, _, _, _ = glm(x, COUNTS, np.ones(10), "log")
    found = cbp.fit(
        cbp.Chain([0.0], [1.0], "exp"),
        x,
        COUNTS,
        loss="poisson",
        method=method,
        learning_rate=0.02,
        max_iterations=6000,
    )
    np.testing.assert_allclose(found.params, params, rtol=1e-4)


def test_a_start_without_a_deviance_is_refused() -> None:
    start = cbp.Chain([1.0], [-1.0], "identity")
    with pytest.raises(ParameterError, match="not finite"):
        cbp.fit(start, np.arange(10.0), COUNTS, loss="poisson")
    assert start == cbp.Chain([1.0], [-1.0], "identity")


# ---- curves --------------------------------------------------------------------------------------


def test_a_curve_of_counts_has_their_likelihood_and_normal_intervals() -> None:
    fitted = curves.linear.fit(np.arange(10.0), COUNTS, loss="poisson")
    params, fisher, _, _ = glm(np.arange(10.0), COUNTS, np.ones(10), "identity")
    likelihood = float(stats.poisson.logpmf(COUNTS, fitted(np.arange(10.0))).sum())
    assert sorted(fitted.params.values()) == pytest.approx(sorted(params), rel=1e-8)
    assert fitted.log_likelihood == pytest.approx(likelihood, rel=1e-12)
    assert fitted.aic == pytest.approx(4 - 2 * likelihood, rel=1e-12)
    assert fitted.bic == pytest.approx(2 * math.log(10) - 2 * likelihood, rel=1e-12)
    name = next(n for n, v in fitted.params.items() if v == pytest.approx(params[0], rel=1e-8))
    low, high = fitted.confidence_interval()[name]
    reach = float(stats.norm.ppf(0.975)) * math.sqrt(fisher[0, 0])
    assert (low, high) == pytest.approx((params[0] - reach, params[0] + reach), rel=1e-8)
    band = fitted.predict(4.0, interval="confidence")
    spread = math.sqrt(np.array([4.0, 1.0]) @ fisher @ np.array([4.0, 1.0]))
    width = 2 * float(stats.norm.ppf(0.975)) * spread
    assert float(band.high - band.low) == pytest.approx(width, rel=1e-8)


def test_a_line_of_least_squares_below_zero_is_no_hindrance() -> None:
    x = np.arange(8.0)
    y = np.array([40, 9, 3, 1, 1, 2, 1, 1], dtype=float)
    assert float(np.polyval(np.polyfit(x, y, 1), 7.0)) < 0
    fitted = curves.linear.fit(x, y, loss="poisson")
    assert np.all(fitted(x) > 0)
