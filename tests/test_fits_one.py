"""Fits: what a result holds, weights, losses, what is not identified, bounds, restarts."""

from __future__ import annotations

import copy
import math
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf
RNG = np.random.default_rng(2000)
X: Floats = RNG.uniform(-2.0, 2.0, 60)
Y: Floats = 3.0 * np.tanh(1.25 * X - 0.5) + 0.75 + 0.1 * RNG.standard_normal(60)
ROBUST: dict[str, Callable[[Floats], Floats]] = {  # half the loss' slope over the residual
    "squared": np.ones_like,
    "huber": lambda r: 1 / np.maximum(1, np.abs(r)),
    "soft_l1": lambda r: 1 / np.sqrt(1 + r**2),
    "cauchy": lambda r: 1 / (1 + r**2),
}


@pytest.fixture
def net() -> cbp.Chain:
    return cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"])


@pytest.fixture
def line() -> cbp.Chain:
    return cbp.Chain([1.0], [0.25], "identity")


def same(a: cbp.FitResult, b: cbp.FitResult) -> bool:
    """All bits of what was found, and of what was said of it."""
    numbers = [(r.params, r.stderr, r.covariance, r.history, r.identified) for r in (a, b)]
    words = [(r.loss, r.rss, r.df, r.message, r.n_evaluations, r.gradient_norm) for r in (a, b)]
    equal = (p.tobytes() == q.tobytes() for p, q in zip(*numbers, strict=True))
    return all(equal) and words[0] == words[1]


# ---- results -------------------------------------------------------------------------------------


def test_a_line_has_the_textbook_s_numbers(line: cbp.Chain) -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0, 8.0])
    result = cbp.fit(line, x, y)
    # slope = Sxy/Sxx = 11.5/5, rss = Syy - Sxy^2/Sxx = 26.75 - 26.45
    np.testing.assert_allclose(result.params, [2.3, 0.8], rtol=1e-14)
    np.testing.assert_allclose([result.rss, result.loss * 4], 0.3, rtol=1e-13)
    np.testing.assert_allclose(result.covariance, 0.15 * np.array([[0.2, -0.3], [-0.3, 0.7]]))
    np.testing.assert_allclose(result.stderr**2, result.covariance.diagonal(), rtol=1e-15)
    np.testing.assert_allclose(result.residual_sd, math.sqrt(0.15), rtol=1e-13)
    assert (result.df, result.status, result.message) == (2, "converged", "converged")
    assert result.converged
    assert result.identified.tolist() == [True, True]
    assert result.gradient_norm < 1e-14
    assert result.history.size == result.n_iterations + 1 <= result.n_evaluations
    assert result.history[-1] == result.loss
    ends = [line.loss(x, y), result.chain.loss(x, y)]
    np.testing.assert_allclose(result.history[[0, -1]], ends, rtol=1e-14)
    assert str(result).splitlines() == [
        "    estimate  std. error",
        "w1       2.3     0.17321",
        "b1       0.8     0.32404",
        "loss 0.075, residual sd 0.387298 on 2 degrees of freedom",
        f"converged; {result.n_iterations} iterations",
    ]
    assert repr(result) == f"<FitResult: converged; loss={result.loss!r}>"


def test_the_start_is_not_changed_and_the_chain_is_its_own() -> None:
    start = cbp.Chain([1.0, 1.0], [0.5, 0.0], ["tanh", "identity"], frozen=["b1"])
    before = start.copy()
    result = cbp.fit(start, X, Y)
    assert start == before
    assert (result.chain.frozen, result.chain.activations) == (start.frozen, start.activations)
    assert result.params[1] == 0.5
    assert result.stderr[1] == 0 == np.abs(result.covariance[1]).max()
    assert result.df == 57
    assert "frozen" in str(result).splitlines()[2]
    result.chain.params[:] = 0
    assert start == before


def test_other_ends_are_printed(net: cbp.Chain) -> None:
    short = cbp.fit(net, X, Y, max_iterations=1)
    assert (short.status, short.converged, short.n_iterations) == ("max_iterations", False, 1)
    assert str(short).endswith("not converged: max_iterations were not enough; 1 iteration")
    far = cbp.fit(net, X, Y, method="gradient_descent", learning_rate=1e9)
    assert str(far).splitlines()[1].split() == ["w1", "1", "nan"]
    assert "residual" not in str(far)


def test_the_gradient_norm_is_that_of_the_free_parameters(net: cbp.Chain) -> None:
    frozen = cbp.Chain(net.weights, net.biases, net.activations, frozen=["w1"])
    for start in (net, frozen):
        result = cbp.fit(start, X, Y, max_iterations=2)
        slope = result.chain.gradient(X, Y)[start.free]
        np.testing.assert_allclose(result.gradient_norm, np.linalg.norm(slope), rtol=1e-12)


def test_examples_of_any_shape(net: cbp.Chain) -> None:
    flat, shaped = cbp.fit(net, X, Y), cbp.fit(net, X.reshape(4, 15), Y.reshape(4, 15))
    assert same(flat, shaped)
    assert same(flat, cbp.fit(net, X.tolist(), np.repeat(Y, 2)[::2]))


# ---- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_integer_weights_are_repetitions(net: cbp.Chain, loss: Any) -> None:
    weight = np.random.default_rng(2001).integers(0, 4, 60)
    options: dict[str, Any] = {"loss": loss, "loss_scale": 0.125}
    weighted = cbp.fit(net, X, Y, sample_weight=weight, **options)
    repeated = cbp.fit(net, np.repeat(X, weight), np.repeat(Y, weight), **options)
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.loss, repeated.loss, rtol=1e-13)
    np.testing.assert_allclose(weighted.rss, repeated.rss, rtol=1e-9)
    # an example counts as one, whatever its weight, and not at all at 0
    assert (weighted.df, repeated.df) == (int(np.count_nonzero(weight)) - 4, int(weight.sum()) - 4)
    left, right = (r.covariance * r.df for r in (weighted, repeated))
    np.testing.assert_allclose(left, right, rtol=1e-8)


def test_examples_of_weight_0_are_as_if_not_there(net: cbp.Chain) -> None:
    weight = np.where(np.arange(60) % 3 == 0, 0.0, 1.0)
    weighted, fewer = (
        cbp.fit(net, X, Y, sample_weight=weight),
        cbp.fit(net, X[weight > 0], Y[weight > 0]),
    )
    assert weighted.df == fewer.df
    np.testing.assert_allclose(weighted.params, fewer.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.covariance, fewer.covariance, rtol=1e-8)
    np.testing.assert_allclose(weighted.residual_sd, fewer.residual_sd, rtol=1e-12)


def test_the_unit_of_weights_does_not_matter_to_standard_errors(net: cbp.Chain) -> None:
    weight = np.random.default_rng(2002).uniform(0.5, 2, 60)
    one, four = (cbp.fit(net, X, Y, sample_weight=k * weight) for k in (1, 4))
    np.testing.assert_allclose(one.params, four.params, rtol=1e-12)
    np.testing.assert_allclose(one.stderr, four.stderr, rtol=1e-11)
    np.testing.assert_allclose(4 * one.rss, four.rss, rtol=1e-13)


# ---- losses, covariances -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ROBUST)
def test_losses_are_stationary_and_have_the_documented_covariance(
    net: cbp.Chain, loss: Any
) -> None:
    scale, y = 0.125, Y + np.where(np.arange(60) % 12 == 0, 2.0, 0.0)
    options: dict[str, Any] = {"loss": loss, "loss_scale": scale}
    result = cbp.fit(net, X, y, **options)
    assert result.status == "converged"
    assert np.linalg.norm(result.chain.gradient(X, y, **options)) < 1e-10
    np.testing.assert_allclose(result.loss, result.chain.loss(X, y, **options), rtol=1e-15)
    residuals = result.chain.residuals(X, y)
    np.testing.assert_allclose(result.rss, residuals @ residuals, rtol=1e-13)
    weight, slopes = ROBUST[loss](residuals / scale), result.chain.jacobian(X)
    variance = np.sum(weight * residuals**2) / 56
    np.testing.assert_allclose(result.residual_sd, math.sqrt(variance), rtol=1e-12)
    expected = variance * np.linalg.inv((slopes.T * weight) @ slopes)
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-11)
    hessian = 30 * result.chain.hessian(X, y, **options)
    assert np.linalg.eigvalsh(hessian).min() > 0
    observed = cbp.fit(net, X, y, covariance="hessian", **options)
    np.testing.assert_allclose(observed.covariance, variance * np.linalg.inv(hessian), rtol=1e-11)


def test_the_log_loss_is_maximum_likelihood() -> None:
    start, y = cbp.Chain([0.5], [0.0], "sigmoid"), np.where(np.sin(7 * X) + X > 0.25, 1.0, 0.0)
    result = cbp.fit(start, X, y, loss="log")
    assert result.status == "converged"
    assert np.linalg.norm(result.chain.gradient(X, y, loss="log")) < 1e-13
    expected = np.linalg.inv(60 * result.chain.hessian(X, y, loss="log"))
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-12)
    assert math.isnan(result.residual_sd)
    np.testing.assert_allclose(result.rss, np.sum(result.chain.residuals(X, y) ** 2), rtol=1e-13)


def test_both_covariances_of_a_line_are_equal(line: cbp.Chain) -> None:
    weight = np.random.default_rng(2003).uniform(0.5, 2, 60)
    columns = np.column_stack([X, np.ones(60)])
    normal = (columns.T * weight) @ columns
    residuals = columns @ np.linalg.solve(normal, columns.T @ (weight * Y)) - Y
    expected = weight @ residuals**2 / 58 * np.linalg.inv(normal)
    for kind in ("gauss-newton", "hessian"):
        found = cbp.fit(line, X, Y, sample_weight=weight, covariance=kind)
        np.testing.assert_allclose(found.covariance, expected, rtol=1e-12)


def test_perfect_data_are_fitted_to_rounding(net: cbp.Chain) -> None:
    true = cbp.Chain([1.25, 3.0], [-0.5, 0.75], ["tanh", "identity"])
    result = cbp.fit(net, X, true(X))
    assert result.status == "converged"
    np.testing.assert_allclose(result.params, true.params, rtol=1e-13)
    assert result.rss < 60 * (4 * 2.0**-52) ** 2


def test_as_many_examples_as_parameters_leave_nothing_for_errors(line: cbp.Chain) -> None:
    result = cbp.fit(line, [0.0, 1.0], [1.0, 3.0])
    assert (result.status, result.df) == ("converged", 0)
    np.testing.assert_allclose(result.params, [2.0, 1.0], rtol=1e-15)
    assert math.isnan(result.residual_sd)
    assert np.isnan(result.stderr).all()
    assert "residual" not in str(result)


def test_omitting_what_is_not_finite_is_the_fit_without_it(net: cbp.Chain) -> None:
    x, y, weight = X.copy(), Y.copy(), np.linspace(1, 2, 60)
    x[3], y[10], weight[20], x[30], y[30] = NAN, INF, NAN, -INF, NAN
    keep = np.isfinite(x) & np.isfinite(y)
    assert same(cbp.fit(net, x, y, nan_policy="omit"), cbp.fit(net, x[keep], y[keep]))
    keep &= np.isfinite(weight)
    left = cbp.fit(net, x, y, sample_weight=weight, nan_policy="omit")
    assert same(left, cbp.fit(net, x[keep], y[keep], sample_weight=weight[keep]))
    assert same(cbp.fit(net, X, Y, nan_policy="omit"), cbp.fit(net, X, Y))
    shaped = cbp.fit(net, x.reshape(6, 10), y.reshape(6, 10), nan_policy="omit")
    assert same(shaped, cbp.fit(net, x, y, nan_policy="omit"))


def test_a_gradient_too_small_to_square_is_a_gradient() -> None:
    x = np.linspace(0.5, 2, 10)
    expected = cbp.fit(cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"]), x, np.sin(3 * x))
    for weight in (1e-150, 1e-155, 1e-160, 1e-165):
        start = cbp.Chain([1.0, weight], [0.0, 0.0], ["tanh", "identity"])
        result = cbp.fit(start, x, np.sin(3 * x))
        np.testing.assert_allclose(result.loss, expected.loss, rtol=1e-9)


# ---- what the data do not say --------------------------------------------------------------------


def least_squares() -> tuple[Floats, float]:
    """The line through the examples, and its sum of squares, by NumPy."""
    params, (rss,), _, _ = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), Y, rcond=None)
    return np.asarray(params, dtype=np.float64), float(rss)


@pytest.mark.parametrize(
    ("frozen", "unknown"),
    [((), "w1, b1, w2, b2"), ("b1", "w1, w2, b2"), ("b2", "w1, b1, w2"), ("w2", "b1, b2")],
)
def test_two_linear_layers_are_not_identified(frozen: Any, unknown: str) -> None:
    start = cbp.Chain([1.0, 1.0], [0.5, 0.25], "identity", frozen)
    result = cbp.fit(start, X, Y)
    assert (result.status, result.converged) == ("not_identified", True)
    assert result.message == f"converged; not identified by the data: {unknown}"
    names = start.param_names
    assert [n for n, known in zip(names, result.identified, strict=True) if not known] == (
        unknown.split(", ")
    )
    assert np.isinf(result.stderr[~result.identified]).all()
    np.testing.assert_allclose(result.rss, least_squares()[1], rtol=1e-12)


def test_one_free_direction_leaves_the_rest_known() -> None:
    # (w1 x + 0) w2 + b2 of which w1 w2 alone is known, and b2
    start = cbp.Chain([1.0, 1.0], [0.0, 0.25], "identity", frozen=["b1"])
    result = cbp.fit(start, X, Y)
    (slope, shift), _ = least_squares()
    assert result.identified.tolist() == [False, True, False, True]
    np.testing.assert_allclose(result.params[0] * result.params[2], slope, rtol=1e-9)
    np.testing.assert_allclose(result.params[3], shift, rtol=1e-9)
    assert math.isfinite(result.stderr[3])


@pytest.mark.parametrize("shift", [0.0, 1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("method", ["lm", "gradient_descent"])
def test_an_estimate_of_about_0_is_an_estimate(line: cbp.Chain, method: Any, shift: float) -> None:
    x = np.arange(-2.0, 3.0)
    y = 3 * x + np.array([1, -2, 2, -2, 1]) / 8 + shift
    options: dict[str, Any] = {} if method == "lm" else {"tolerance": 1e-13}
    result = cbp.fit(line, x, y, method=method, **options)
    assert result.status == "converged"
    assert result.identified.all()
    # s^2/n and s^2/Sxx with rss = 14/64
    np.testing.assert_allclose(result.stderr**2, np.array([0.1, 0.2]) * 14 / 64 / 3, rtol=1e-9)


# ---- bounds --------------------------------------------------------------------------------------


def test_an_active_bound_gives_the_fit_with_that_parameter_frozen(net: cbp.Chain) -> None:
    fixed = cbp.Chain([1.0, 2.5], [0.0, 0.0], net.activations, frozen=["w2"])
    for bounds in ({"w2": (None, 2.5)}, {"w2": (-5, np.float64(2.5)), "w1": (0, INF)}):
        for start in (net, fixed.copy()):
            free = cbp.Chain(start.weights, start.biases, start.activations)
            seen: list[cbp.FitProgress] = []
            result = cbp.fit(free, X, Y, bounds=bounds, tolerance=0, callback=seen.append)
            expected = cbp.fit(fixed, X, Y, tolerance=0)
            assert max(p.params[2] for p in seen) <= 2.5 == result.params[2]
            assert result.message == "converged; at a bound: w2"
            assert (result.status, result.df) == ("converged", 57)
            assert result.gradient_norm < 1e-13
            np.testing.assert_allclose(result.params, expected.params, rtol=1e-12)
            np.testing.assert_allclose(result.covariance, expected.covariance, rtol=1e-10)
            assert result.stderr[2] == 0


@pytest.mark.parametrize("seed", range(200))
def test_a_line_in_a_box_is_the_best_line_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.round(rng.uniform(-1, 3, (2, 5)), 1)
    start, (low, high) = (
        np.round(rng.uniform(-2, 2, 2), 1),
        np.round(rng.uniform(0.1, 1, (2, 2)), 1),
    )
    low, high = start - low, start + high
    bounds: Any = {"w1": (low[0], high[0]), "b1": (low[1], high[1])}
    result = cbp.fit(cbp.Chain([start[0]], [start[1]], "identity"), x, y, bounds=bounds)
    # a parabola is least at its vertex or on an edge, where it is a parabola of one variable
    lines = [np.linalg.lstsq(np.column_stack([x, np.ones(5)]), y, rcond=None)[0]]
    lines += [np.array([w, np.mean(y - w * x)]) for w in (low[0], high[0])]
    lines += [np.array([x @ (y - b) / (x @ x), b]) for b in (low[1], high[1])]
    inside = [lines[0]] if np.all((low <= lines[0]) & (lines[0] <= high)) else []
    candidates = inside + [np.clip(each, low, high) for each in lines[1:]]
    best = min(float(np.mean((w * x + b - y) ** 2)) for w, b in candidates)
    assert result.converged
    np.testing.assert_allclose(result.loss, best, rtol=1e-9, atol=1e-28, err_msg=f"seed {seed}")


def test_several_bounds_and_one_without_room(net: cbp.Chain) -> None:
    bounds = {"w1": (1, 1.03), "b1": (0, 0), "w2": (None, None)}
    result = cbp.fit(net, X, Y, bounds=bounds)
    assert result.message == "converged; at a bound: w1, b1"
    assert result.params[:2].tolist() == [1.03, 0.0]
    columns = np.column_stack([np.tanh(1.03 * X), np.ones(60)])
    np.testing.assert_allclose(
        result.params[2:], np.linalg.lstsq(columns, Y, rcond=None)[0], rtol=1e-12
    )
    assert result.df == 58


def test_a_start_on_a_bound_leaves_it_where_the_minimum_is_inside(net: cbp.Chain) -> None:
    free = cbp.fit(net, X, Y)
    bounds: Any = {"w1": (1, None), "b1": (None, 0), "w2": (1, 50), "b2": (0, 50)}
    result = cbp.fit(net, X, Y, bounds=bounds)
    assert result.message == "converged"
    np.testing.assert_allclose(result.params, free.params, rtol=1e-8)
    np.testing.assert_allclose(result.stderr, free.stderr, rtol=1e-7)


# ---- restarts ------------------------------------------------------------------------------------


def test_numbers_of_numpy_are_numbers(net: cbp.Chain) -> None:
    one, half = np.int64(1), np.float32(0.5)
    found = cbp.fit(
        net,
        X,
        Y,
        method="momentum",
        loss="huber",
        loss_scale=half,
        sample_weight=X > -1,
        bounds={"w1": (None, np.int64(5)), "b1": (-half, None)},
        max_iterations=np.int32(3),
        tolerance=np.float32(0),
        learning_rate=np.float32(0.125),
        batch_size=np.uint8(16),
        momentum=half,
        rng=one,
    )
    expected = cbp.fit(
        net,
        X,
        Y,
        method="momentum",
        loss="huber",
        loss_scale=0.5,
        sample_weight=np.where(X > -1, 1.0, 0.0),
        bounds={"w1": (None, 5.0), "b1": (-0.5, None)},
        max_iterations=3,
        learning_rate=0.125,
        batch_size=16,
        momentum=0.5,
        rng=1,
    )
    assert found.params.tolist() == expected.params.tolist()
    assert found.n_iterations == 3


def test_restarts_find_the_better_of_two_minima() -> None:
    x = np.linspace(0, 4, 40)
    start, y = cbp.Chain([2.0], [0.0], "sin"), np.sin(5 * x + 0.25)
    first = cbp.fit(start, x, y)
    assert first.rss > 10
    results = [
        cbp.fit(start, x, y, restarts=20, rng=rng) for rng in (3, 3, np.random.default_rng(3))
    ]
    assert same(results[0], results[1])
    assert same(results[0], results[2])
    assert results[0].rss < 1e-28
    inside = cbp.fit(start, x, y, restarts=50, rng=3, bounds={"w1": (1, 4.5), "b1": (-1, 1)})
    assert 1 <= inside.params[0] <= 4.5
    assert inside.loss <= first.loss
    assert start.params.tolist() == [2.0, 0.0]


# ---- for other optimisers ------------------------------------------------------------------------


def test_a_generator_is_left_as_it_was_where_nothing_is_drawn(net: cbp.Chain) -> None:
    rng, untouched = np.random.default_rng(11), np.random.default_rng(11)
    cbp.fit(net, X, Y, rng=rng)
    cbp.fit(net, X, Y, method="gradient_descent", max_iterations=3, rng=rng)
    assert rng.bit_generator.state == untouched.bit_generator.state


def test_sharpness_is_the_largest_eigenvalue_over_free_parameters(net: cbp.Chain) -> None:
    for frozen in ((), ("w2",), ("w1", "b2"), ("w1", "b1", "w2")):
        part = cbp.Chain(net.weights, [0.5, -0.5], net.activations, frozen)
        for options in ({}, {"loss": "cauchy", "loss_scale": 0.5}, {"sample_weight": X**2}):
            hessian = part.hessian(X, Y, **options)[np.ix_(part.free, part.free)]
            expected = np.linalg.eigvalsh(hessian).max()
            np.testing.assert_allclose(part.sharpness(X, Y, **options), expected, rtol=1e-13)


def test_sharpness_asks_no_linear_algebra_of_numpy(
    net: cbp.Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the bits of its results depend on the library that it was built with
    for name in ("eigh", "eigvals", "eigvalsh", "norm", "svd"):
        monkeypatch.delattr(np.linalg, name)
    assert net.sharpness(X, Y) > 0


def test_sharpness_of_many_parameters() -> None:
    rng = np.random.default_rng(2)
    for layers in (1, 2, 7, 20):
        weights, biases = rng.normal(size=(2, layers))
        chain = cbp.Chain(weights, biases, ["tanh"] * (layers - 1) + ["identity"])
        x, y = rng.normal(size=(2, 30))
        eigenvalues = np.linalg.eigvalsh(chain.hessian(x, y))
        sharpness = chain.sharpness(x, y)
        assert abs(sharpness - eigenvalues[-1]) <= 1e-14 * abs(eigenvalues).max()


def test_an_objective_is_the_loss_of_the_free_parameters(net: cbp.Chain) -> None:
    part = cbp.Chain(net.weights, [0.5, -0.5], net.activations, frozen=["b1"])
    objective = part.objective(X, Y, loss="huber", loss_scale=0.5)
    assert objective.start.tolist() == [1.0, 1.0, -0.5]
    value, slope = objective([1.5, 2.0, 0.25])
    moved = objective.chain([1.5, 2.0, 0.25])
    assert moved == cbp.Chain([1.5, 2.0], [0.5, 0.25], net.activations, frozen=["b1"])
    expected = moved.loss_and_gradient(X, Y, loss="huber", loss_scale=0.5)
    assert value == expected[0]
    assert slope.tolist() == expected[1][part.free].tolist()
    assert part.params.tolist() == [1.0, 0.5, 1.0, -0.5]
    with pytest.raises(cbp.ShapeError, match=r"free_params: shape \(2,\), expected \(3,\)"):
        objective([1.0, 2.0])


@pytest.mark.parametrize(("name", "x", "y"), [("x", ["a"], [1.0]), ("y", [1.0], ["a"])])
def test_an_objective_names_what_is_no_number(net: cbp.Chain, name: str, x: Any, y: Any) -> None:
    with pytest.raises(cbp.InputTypeError, match=f"^{name}: expected real numbers"):
        net.objective(x, y)


def test_scipy_minimizes_the_objective_to_the_same_place(net: cbp.Chain) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    objective, best = net.objective(X, Y), cbp.fit(net, X, Y)
    found = optimize.minimize(objective, objective.start, jac=True, options={"gtol": 1e-10})
    np.testing.assert_allclose(found.x, best.params, rtol=1e-8)
    np.testing.assert_allclose(found.fun, best.loss, rtol=1e-13)


def test_scipy_least_squares_finds_the_same_place(net: cbp.Chain) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    objective, best = net.objective(X, Y), cbp.fit(net, X, Y)
    found = optimize.least_squares(
        lambda free: objective.chain(free).residuals(X, Y),
        objective.start,
        lambda free: objective.chain(free).jacobian(X),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    np.testing.assert_allclose(found.x, best.params, rtol=1e-8)
    np.testing.assert_allclose(2 * found.cost, best.rss, rtol=1e-13)


def test_memory_is_that_of_the_free_parameters() -> None:
    # 10 000 layers, of which the last is a line: its fit is the straight line through the points
    layers = 10_000
    names = cbp.Chain(np.ones(layers), np.zeros(layers), "identity").param_names
    net = cbp.Chain(np.ones(layers), np.zeros(layers), "identity", names[:-2])
    x, y = [0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 6.0]
    run: Callable[[], Any]
    for run, most in (
        (lambda: cbp.fit(net, x, y), 60e6),
        (lambda: cbp.fit(net, x, y, method="gradient_descent", max_iterations=1), 60e6),
        (lambda: cbp.fit_many(net, x, [y], covariance=True), 160e6),  # of sixteen chains, by layers
    ):
        tracemalloc.start()
        found = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most, peak
        if isinstance(found, cbp.FitManyResult):
            found_block = found.triangles[0, [0, 1, 1, 2]].reshape(2, 2)
        elif found.converged:
            assert found.free_covariance.shape == (2, 2)
            found_block = found.free_covariance
        else:
            assert np.isnan(found.free_covariance).all()
            continue
        # s^2 (X'X)^-1 with X'X = [14 6; 6 4] and s^2 = 0.3 / 2
        np.testing.assert_allclose(found_block, 0.15 * np.array([[0.2, -0.3], [-0.3, 0.7]]))
        assert found.stderr.shape[-1] == 2 * layers


def test_the_whole_covariance_is_made_of_the_free_block() -> None:
    net = cbp.Chain([1.0, 1.0], [0.0, 0.5], "identity", frozen=("b1", "w2"))
    x, y = [0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 6.0]
    found = cbp.fit(net, x, y)
    expected = np.zeros((4, 4))
    expected[np.ix_([0, 3], [0, 3])] = found.free_covariance
    assert found.covariance.tolist() == expected.tolist()
    assert found.stderr.tolist() == np.sqrt(expected.diagonal()).tolist()
    assert copy.deepcopy(found).covariance.tolist() == expected.tolist()
    assert pickle.loads(pickle.dumps(found)).covariance.tolist() == expected.tolist()
    stopped = cbp.fit(net, x, y, method="gradient_descent", max_iterations=1)
    assert np.isnan(stopped.covariance).all()
    assert np.isnan(pickle.loads(pickle.dumps(stopped)).covariance).all()
