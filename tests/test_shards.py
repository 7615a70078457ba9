"""A fit whose examples are in several places, against `fit` on all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop._core import fit_shard, gradient_sums, mean_of_sums, merge_sums
from cbackprop.shards import fit_shards, shard_of

Floats = npt.NDArray[np.float64]
HILL = cbp.Chain(
    [1.0, 1.0, 3.0], [0.0, 0.0, 0.0], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)
LOGIT = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["log", "sigmoid"], frozen=["w1", "b1"])
REDUNDANT = cbp.Chain([1.0, 1.0, 3.0], [0.0, 0.0, 0.0], HILL.activations, frozen=["b1"])
WAVE = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"])
FAR = cbp.Chain([-3.0, 1.0], [6.0, 0.0], ["tanh", "identity"])  # nearly saturated

RNG = np.random.default_rng(2800)
N = 5000
X: Floats = RNG.uniform(0.02, 20.0, N)
CURVE: Floats = 0.5 + 5.0 / (1.0 + np.exp(1.0 - 1.5 * np.log(X)))
NOISE: Floats = RNG.standard_normal(N)
COIN: Floats = (RNG.random(N) < LOGIT(X)).astype(np.float64)
WEIGHT: Floats = RNG.uniform(0.0, 2.0, N) * (np.arange(N) % 7 > 0)


def fit_in(
    shards: int, net: cbp.Chain, x: Floats, y: Floats, weight: Floats | None, **options: Any
) -> cbp.FitResult:
    """Fit to that many shards of one data set, of different lengths."""
    ends = np.arange(shards + 1) ** 2 * x.size // shards**2
    options = {"loss": "squared", "max_iterations": 2000, "tolerance": 1e-10} | options
    scale = options.pop("loss_scale", 1.0)

    def run_pass(chain: cbp.Chain, loss: Any) -> Iterable[tuple[Floats, Floats]]:
        for start, end in pairwise(ends):
            here = slice(start, end)
            weights = None if weight is None else weight[here]
            yield shard_of(chain, x[here], y[here], weights, loss=loss, loss_scale=scale)

    return fit_shards(net, run_pass, **options)


CASES: list[Any] = [
    pytest.param(HILL, CURVE + 0.1 * NOISE, {}, id="squared"),
    pytest.param(HILL, CURVE + 0.1 * NOISE, {"loss": "huber", "loss_scale": 0.1}, id="huber"),
    pytest.param(HILL, CURVE + 0.1 * NOISE, {"loss": "soft_l1", "loss_scale": 0.1}, id="soft_l1"),
    pytest.param(HILL, CURVE + 0.1 * NOISE, {"loss": "cauchy", "loss_scale": 0.1}, id="cauchy"),
    pytest.param(HILL, CURVE + 5.0 * NOISE, {"tolerance": 1e-13}, id="large residuals"),
    pytest.param(LOGIT, COIN, {"loss": "log"}, id="log"),
]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize(("net", "y", "options"), CASES)
def test_it_is_the_fit_of_all(net: cbp.Chain, y: Floats, options: Any, weight: Any) -> None:
    found = fit_in(6, net, X, y, weight, **options)
    expected = cbp.fit(net, X, y, sample_weight=weight, **options)
    assert found.converged
    # The last step of either is at most 1e-10 of the residuals, as seen in the outputs, which is
    # 1e-10 sqrt(df) standard errors. Steps shrink to 0.8 or less from one to the next here, so that
    # all that remain are 5 times the last.
    bound = 2 * 5e-10 * math.sqrt(found.df) * expected.stderr
    assert np.all(np.abs(found.params - expected.params) <= bound)
    np.testing.assert_allclose(found.stderr, expected.stderr, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-10)
    for name in ("loss", "rss", "residual_sd"):
        got, wanted = getattr(found, name), getattr(expected, name)
        assert got == pytest.approx(wanted, rel=1e-10, nan_ok=True), name
    for name in ("df", "status", "message"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.identified.all()
    assert found.n_iterations == len(found.history) - 1
    assert found.history[-1] == pytest.approx(found.loss, rel=1e-14)


def test_what_is_not_identified() -> None:
    y = CURVE + 0.1 * NOISE
    found, expected = fit_in(6, REDUNDANT, X, y, None), cbp.fit(REDUNDANT, X, y)
    assert found.message == expected.message
    assert found.status == "not_identified"
    assert found.identified.tolist() == expected.identified.tolist()
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    kinds = [(np.isnan(r.covariance), np.isinf(r.covariance)) for r in (found, expected)]
    np.testing.assert_array_equal(*kinds)
    seen = np.isfinite(expected.stderr)
    np.testing.assert_allclose(found.stderr[seen], expected.stderr[seen], rtol=1e-6)


@pytest.mark.parametrize("start", [WAVE, FAR], ids=["near", "far"])
def test_a_second_attempt(start: cbp.Chain) -> None:
    x = np.linspace(-2.0, 2.0, 100)
    y = 3.0 * np.tanh(1.25 * x - 0.5) + 0.75 + 0.1 * NOISE[:100]
    found, expected = fit_in(3, start, x, y, None), cbp.fit(start, x, y)
    assert found.status == expected.status == "converged"
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9)


def test_an_exact_fit() -> None:
    start = HILL.copy()
    found = fit_in(4, start, X, CURVE, None)
    assert start == HILL  # not changed
    assert found.converged
    np.testing.assert_allclose(found.params, [1.0, 0.0, 1.5, -1.0, 5.0, 0.5], rtol=1e-12)


def test_a_step_into_infinity() -> None:
    # Undamped, the first step adds some 10^8 to the bias: such have to be shortened, not believed.
    x = np.linspace(0.0, 5.0, 50)
    found = fit_in(3, cbp.Chain([0.0], [-5.0], "exp"), x, 1e6 * np.exp(0.7 * x), None)
    assert found.converged
    np.testing.assert_allclose(found.params, [0.7, 6.0 * math.log(10.0)], rtol=1e-12)


def test_the_cut_does_not_matter() -> None:
    y = CURVE + 0.1 * NOISE
    whole = fit_in(1, HILL, X, y, WEIGHT)
    for shards in (2, 17):
        parts = fit_in(shards, HILL, X, y, WEIGHT)
        assert np.all(np.abs(parts.params - whole.params) <= 2e-10 * 71 * whole.stderr)
        np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-10)


def test_too_few_iterations() -> None:
    found = fit_in(2, HILL, X, CURVE + 0.1 * NOISE, None, max_iterations=3)
    assert (found.status, found.n_iterations, len(found.history)) == ("max_iterations", 3, 4)
    assert np.all(np.diff(found.history) <= 0)
    assert fit_in(2, HILL, X, CURVE, None, tolerance=1e-2).n_iterations < 12


def test_what_cannot_be_fitted() -> None:
    frozen = cbp.Chain([1.0], [0.0], "identity", frozen=["w1", "b1"])
    with pytest.raises(cbp.ParameterError, match=r"^net: every parameter is frozen"):
        fit_in(1, frozen, X, CURVE, None)
    with pytest.raises(cbp.ShapeError, match=r"3 examples .* fewer than 4 free parameters"):
        fit_in(2, HILL, X[:8], CURVE[:8], np.array([0, 1, 0, 0, 1, 1, 0, 0], dtype=np.float64))
    with pytest.raises(cbp.ParameterError, match=r"^example 2: x = 1\.0, y = inf; expected finite"):
        shard_of(HILL, np.ones(4), [1, 1, math.inf, 1], None, loss="squared", loss_scale=1.0)
    for w in (30.0, 800.0):  # of which the square overflows, and exp(w x) itself
        with pytest.raises(cbp.ParameterError, match=r"^net: the loss .* not finite"):
            fit_in(3, cbp.Chain([w], [0.0], "exp"), X, CURVE, None)
    with pytest.raises(cbp.ParameterError, match=r"^sample_weight\[1\]: -1\.0"):
        shard_of(HILL, [1.0, 2.0], [1.0, 2.0], [1.0, -1.0], loss="squared", loss_scale=1.0)


# ---- what the core adds up -----------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_a_triangle_is_of_the_rows(weight: Floats | None) -> None:
    triangle, sums = fit_shard(HILL, X, CURVE, weight, "squared", 1.0)
    root = np.sqrt(np.ones(N) if weight is None else weight)[:, None]
    rows = root * np.column_stack([HILL.jacobian(X)[:, HILL.free], HILL.residuals(X, CURVE)])
    # Householder's reflections by tiles leave an error of a few eps of each column
    sizes = np.linalg.norm(rows, axis=0)
    assert np.all(np.abs(triangle.T @ triangle - rows.T @ rows) <= 1e-13 * np.outer(sizes, sizes))
    assert np.array_equal(triangle, np.triu(triangle))
    total = sums.sum(axis=0)
    expected = [(root**2).sum(), (rows[:, -1] ** 2).sum(), np.count_nonzero(root)]
    np.testing.assert_allclose(total, [*expected, (root[:, 0] ** 2 * CURVE**2).sum()], rtol=1e-13)


def test_sums_of_whole_blocks_are_those_of_all() -> None:
    block = 2048
    parts = [
        gradient_sums(
            HILL, X[k : k + block], CURVE[k : k + block], WEIGHT[k : k + block], "cauchy", 2.0
        )
        for k in range(0, N, block)
    ]
    mean = mean_of_sums(merge_sums(parts))
    loss, gradient = HILL.loss_and_gradient(
        X, CURVE, loss="cauchy", loss_scale=2.0, sample_weight=WEIGHT
    )
    assert mean[0] == loss
    assert mean[1:].tobytes() == gradient.tobytes()


def test_a_mean_needs_a_weight() -> None:
    nothing = gradient_sums(HILL, X, CURVE, np.zeros(N), "squared", 1.0)
    with pytest.raises(cbp.ParameterError):
        mean_of_sums(nothing)


@pytest.mark.parametrize("limit", [20, 200, 301])
def test_no_iteration_is_lost_between_two_attempts(limit: int) -> None:
    # a rising line, to which a sigmoid comes ever nearer as it grows
    x = np.arange(1.0, 9.0)
    found = fit_in(2, HILL, x, x + 1.0, None, max_iterations=limit, tolerance=0.0)
    assert (found.status, found.n_iterations) == ("max_iterations", limit)


@pytest.mark.parametrize("unit", [2.0**-300, 2.0**200], ids=["tiny", "large"])
def test_the_unit_of_targets_does_not_matter(unit: float) -> None:
    y = CURVE + 0.1 * NOISE
    start = HILL.copy()
    start.params[4:] *= unit
    found, other = fit_in(3, start, X, y * unit, None), fit_in(3, HILL, X, y, None)
    assert found.status == "converged"
    scale = np.array([1, 1, 1, 1, unit, unit])
    np.testing.assert_allclose(found.params, other.params * scale, rtol=1e-9)
    np.testing.assert_allclose(found.stderr, other.stderr * scale, rtol=1e-9)


@pytest.mark.parametrize("is_weighted", [False, True], ids=["", "weighted"])
def test_a_line_through_very_many_points(is_weighted: bool) -> None:
    """A fit of so many that it goes over shards, against least squares by NumPy."""
    n = 250_001
    x = np.linspace(-1.0, 3.0, n)
    y = 2.0 * x - 0.5 + np.cos(1e5 * x)
    weight = np.where(np.arange(n) % 5 > 0, 1.0 + x**2, 0.0) if is_weighted else None
    found = cbp.fit(cbp.Chain([1.0], [0.0], "identity"), x, y, sample_weight=weight)
    root = np.ones(n) if weight is None else np.sqrt(weight)
    columns = np.column_stack([x, np.ones(n)]) * root[:, None]
    expected, (rss,), _, _ = np.linalg.lstsq(columns, y * root, rcond=None)
    assert found.status == "converged"
    np.testing.assert_allclose(found.params, expected, rtol=1e-9)
    np.testing.assert_allclose(found.rss, rss, rtol=1e-10)
    assert found.df == np.count_nonzero(root) - 2
    covariance = rss / found.df * np.linalg.inv(columns.T @ columns)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8)


def test_very_many_points_with_other_options() -> None:
    x = np.linspace(-1.0, 3.0, 100_001)
    y, start = 2.0 * x - 0.5, cbp.Chain([1.0], [0.0], "identity")
    seen: list[cbp.FitProgress] = []
    found = cbp.fit(start, x, y, callback=seen.append)
    assert len(seen) == found.n_iterations > 0
    bounded = cbp.fit(start, x, y, bounds={"w1": (None, 1.5)})
    # the best shift of a line of slope 1.5 is the mean of y - 1.5 x, and x is 1 on average
    np.testing.assert_allclose(bounded.params, [1.5, 0.0], rtol=1e-9, atol=1e-9)
    assert bounded.message == "converged; at a bound: w1"
