"""Hazard: descents that go astray: published runs, independent loops, order of examples, ends."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]

# A line with noise, of which the least squares are known; and one without.
RNG = np.random.default_rng(3000)
X: Floats = np.linspace(-1.0, 1.5, 60)
NOISY: Floats = 2.0 * X - 0.75 + 0.1 * RNG.standard_normal(X.size)
LINE: Floats = 2.0 * X - 0.75
LEAST_SQUARES = np.linalg.lstsq(np.column_stack([X, np.ones_like(X)]), NOISY, rcond=None)[0]
DESCENTS: dict[str, dict[str, Any]] = {
    "gradient_descent": {},
    "sgd": {"rng": 1, "batch_size": 16},
    "momentum": {},
    "adam": {"learning_rate": 0.02},
    "momentum-batches": {"method": "momentum", "rng": 1, "batch_size": 16, "learning_rate": 0.02},
    "adam-batches": {"method": "adam", "rng": 1, "batch_size": 16},
}


@pytest.fixture
def line() -> cbp.Chain:
    return cbp.Chain([0.5], [0.25], "identity")


@pytest.fixture
def deep() -> cbp.Chain:
    return cbp.Chain([0.5, -0.75, 1.5], [0.25, 0.5, -0.125], ["tanh", "sigmoid", "identity"], "w2")


def options_of(name: str) -> dict[str, Any]:
    return {"method": name, **DESCENTS[name]}


# ---- published -----------------------------------------------------------------------------------


def test_nielsens_neuron() -> None:
    # M. Nielsen, Neural networks and deep learning, chapter 3: w = 0.6, b = 0.9, input 1, target 0,
    # 300 steps with a rate of 0.15 on (a - y)^2 / 2, half of this package's loss
    net = cbp.Chain([0.6], [0.9], "sigmoid")
    assert f"{net(1.0):.6f}" == "0.817574"
    result = cbp.fit(
        net, 1.0, 0.0, method="gradient_descent", learning_rate=0.075, max_iterations=300
    )
    assert f"{result.chain(1.0):.6f}" == "0.093956"
    assert result.status == "max_iterations"
    assert not result.converged
    assert result.n_iterations == 300


def test_small_steps_follow_the_gradient_flow_of_two_linear_layers() -> None:
    # A. Saxe, J. McClelland, S. Ganguli, Exact solutions to the nonlinear dynamics of learning in
    # deep linear neural networks (2014): dw1/dt = w2 (s - w1 w2) and so on from w1 = w2. Half the
    # gradient of E = (w1 w2 - s)^2, so that steps of h are those of a learning rate of h/2.
    time, target, start = 3.0, 1.0, 0.01
    grown = math.exp(2 * target * time)
    flow = target * grown / (grown - 1 + target / start)
    assert f"{flow:.6f}" == "0.802957"
    net = cbp.Chain([0.1, 0.1], [0.0, 0.0], "identity", frozen=["b1", "b2"])
    outputs = []
    for steps in (1000, 2000, 4000):
        result = cbp.fit(
            net,
            1.0,
            target,
            method="gradient_descent",
            learning_rate=time / steps / 2,
            max_iterations=steps,
        )
        outputs.append(result.chain(1.0))
    errors = [output - flow for output in outputs]
    # errors c h + d h^2: halved with h, and without the first term quartered
    for coarse, fine in itertools.pairwise(errors):
        assert abs(coarse / fine - 2) < 0.005
    left = [2 * fine - coarse for coarse, fine in itertools.pairwise(errors)]
    assert abs(left[0] / left[1] - 4) < 0.05
    assert max(map(abs, left)) < 1e-5


def test_descent_settles_at_the_edge_of_stability() -> None:
    # 2 / learning rate = 400 is the sharpness at which steps neither grow nor shrink
    net = cbp.Chain([12, 0.1, 12, 0.1], [0] * 4, "identity", frozen=["b1", "b2", "b3", "b4"])
    assert net.sharpness(1.0, 1.0) > 900
    result = cbp.fit(
        net, 1.0, 1.0, method="gradient_descent", learning_rate=0.005, max_iterations=500_000
    )
    sharpness = result.chain.sharpness(1.0, 1.0)
    assert abs(sharpness - 399.990) < 0.005
    assert sharpness < 400
    assert result.loss < 1e-20


# ---- against loops -------------------------------------------------------------------------------


def test_gradient_descent_makes_the_steps_of_chain_step(deep: cbp.Chain) -> None:
    net, losses = deep.copy(), []
    for _ in range(50):
        losses.append(net.step(X, NOISY, 0.05))
    result = cbp.fit(
        deep, X, NOISY, method="gradient_descent", learning_rate=0.05, max_iterations=50
    )
    assert result.chain == net
    assert result.history[:-1].tolist() == losses


@pytest.mark.parametrize("loss", ["squared", "huber", "soft_l1", "cauchy"])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_is_the_loop_in_the_docs(deep: cbp.Chain, loss: Any, momentum: float) -> None:
    net, velocity = deep.copy(), np.zeros(6)
    for _ in range(40):
        slope = net.gradient(X, NOISY, loss=loss, loss_scale=0.5)
        velocity = momentum * velocity - 0.05 * np.where(net.free, slope, 0)
        net.params[:] += velocity
    result = cbp.fit(
        deep,
        X,
        NOISY,
        method="momentum",
        loss=loss,
        loss_scale=0.5,
        momentum=momentum,
        learning_rate=0.05,
        max_iterations=40,
    )
    np.testing.assert_allclose(result.params, net.params, rtol=1e-13, atol=0)


def test_adam_is_the_algorithm_of_its_paper(deep: cbp.Chain) -> None:
    # D. Kingma, J. Ba, Adam (2015), algorithm 1
    net, mean, square = deep.copy(), np.zeros(6), np.zeros(6)
    for t in range(1, 41):
        slope = np.where(net.free, net.gradient(X, NOISY), 0)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        net.params[:] -= 0.03 * step
    result = cbp.fit(deep, X, NOISY, method="adam", learning_rate=0.03, max_iterations=40)
    np.testing.assert_allclose(result.params, net.params, rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(50))
def test_a_pass_takes_every_example_once(seed: int) -> None:
    # The bias goes to bias/8 + 7 target/8 at each, without rounding, so that the targets 0 ... 7
    # become the octal digits of bias/7, the first one drawn the last digit.
    net = cbp.Chain([0.0], [0.0], "identity", frozen="w1")
    target = np.arange(8.0)
    result = cbp.fit(
        net,
        np.zeros(8),
        target,
        method="sgd",
        batch_size=1,
        learning_rate=7 / 16,
        max_iterations=1,
        rng=seed,
    )
    digits = f"{int(result.params[1] * 8**8 / 7):08o}"
    assert result.params[1] * 8**8 % 7 == 0
    assert sorted(digits) == list("01234567"), (seed, digits)


def test_any_example_may_be_the_last_of_a_pass() -> None:
    net = cbp.Chain([0.0], [0.0], "identity", frozen="w1")
    options: dict[str, Any] = {"method": "sgd", "batch_size": 1, "learning_rate": 0.5}
    last: list[float] = []
    cbp.fit(
        net,
        np.zeros(8),
        np.arange(8.0),
        **options,
        max_iterations=200,
        rng=3001,
        callback=lambda progress: last.append(progress.params[1]),
    )
    assert sorted(set(last)) == list(range(8))


def test_a_batch_of_all_examples_is_the_whole_gradient(deep: cbp.Chain) -> None:
    for method in ("momentum", "adam"):
        whole = cbp.fit(deep, X, NOISY, method=method, max_iterations=20)
        for size in (X.size, X.size + 1):
            batch = cbp.fit(deep, X, NOISY, method=method, max_iterations=20, batch_size=size)
            assert batch.chain == whole.chain


# ---- where they get ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gradient_descent", "momentum", "adam"])
def test_the_least_squares_line_is_reached(line: cbp.Chain, name: str) -> None:
    result = cbp.fit(line, X, NOISY, **options_of(name), tolerance=1e-12, max_iterations=20_000)
    assert result.status == "converged"
    assert result.gradient_norm <= 1e-12
    # the Hessian's least eigenvalue is above 0.5
    np.testing.assert_allclose(result.params, LEAST_SQUARES, rtol=0, atol=2e-12)
    columns = np.column_stack([X, np.ones_like(X)])
    residuals = columns @ LEAST_SQUARES - NOISY
    covariance = residuals @ residuals / (X.size - 2) * np.linalg.inv(columns.T @ columns)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-10)
    np.testing.assert_allclose(result.stderr, np.sqrt(covariance.diagonal()), rtol=1e-10)
    assert result.df == X.size - 2


@pytest.mark.parametrize("name", ["sgd", "momentum-batches"])
def test_batches_reach_a_line_that_all_examples_are_on(line: cbp.Chain, name: str) -> None:
    result = cbp.fit(line, X, LINE, **options_of(name), tolerance=1e-12, max_iterations=20_000)
    assert result.status == "converged"
    np.testing.assert_allclose(result.params, [2.0, -0.75], rtol=0, atol=2e-12)


@pytest.mark.parametrize("name", DESCENTS)
def test_descents_on_a_log_loss(name: str) -> None:
    net = cbp.Chain([0.1], [0.0], "sigmoid")
    y = np.where(np.sin(7 * X) + X > 0, 1.0, 0.0)
    result = cbp.fit(net, X, y, loss="log", **options_of(name), max_iterations=500)
    assert result.history[-1] < 0.8 * result.history[0]
    assert result.loss == result.chain.loss(X, y, loss="log")


# ---- the order of examples -----------------------------------------------------------------------

BATCHED = [name for name, options in DESCENTS.items() if "batch_size" in options]


@pytest.mark.parametrize("name", BATCHED)
def test_the_same_rng_gives_the_same_bits_and_another_does_not(deep: cbp.Chain, name: str) -> None:
    options = options_of(name) | {"max_iterations": 5}

    def run(rng: Any) -> bytes:
        return cbp.fit(deep, X, NOISY, **options | {"rng": rng}).params.tobytes()

    assert run(7) == run(7) == run(np.random.default_rng(7))
    assert len({run(seed) for seed in range(20)}) == 20
    shared = np.random.default_rng(7)
    assert run(shared) == run(7)
    assert run(shared) != run(7)


def test_without_an_rng_the_order_is_another_each_time(deep: cbp.Chain) -> None:
    runs = [cbp.fit(deep, X, NOISY, method="sgd", max_iterations=3) for _ in range(3)]
    assert len({run.params.tobytes() for run in runs}) == 3


# ---- what holds on the way -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DESCENTS)
def test_frozen_parameters_never_move_and_bounds_are_never_passed(
    deep: cbp.Chain, name: str
) -> None:
    low, high = deep.params - 0.03, deep.params + 0.05
    bounds = {
        name: (low[k], high[k])
        for k, name in enumerate(deep.param_names)
        if name not in deep.frozen
    }
    seen: list[Floats] = []
    before = deep.params.copy()
    result = cbp.fit(
        deep,
        X,
        NOISY,
        **options_of(name),
        bounds=bounds,
        max_iterations=60,
        callback=lambda progress: seen.append(progress.params),
    )
    path = np.array([before, *seen, result.params])
    assert path.shape == (62, 6)
    assert np.all(path[:, 2] == before[2])
    assert np.all(path >= low)
    assert np.all(path <= high)
    # bounds that mattered
    assert np.any((path == low) | (path == high))
    assert np.array_equal(deep.params, before)


@pytest.mark.parametrize("name", DESCENTS)
def test_the_history_is_the_loss_at_the_start_and_after_each_iteration(
    deep: cbp.Chain, name: str
) -> None:
    seen: list[cbp.FitProgress] = []
    result = cbp.fit(deep, X, NOISY, **options_of(name), max_iterations=25, callback=seen.append)
    assert result.n_iterations == 25
    assert result.history.shape == (26,)
    assert result.history[0] == deep.loss(X, NOISY)
    assert [progress.n_iterations for progress in seen] == list(range(1, 26))
    assert [progress.loss for progress in seen] == result.history[1:].tolist()
    assert result.loss == result.history[-1] == result.chain.loss(X, NOISY)
    net = deep.copy()
    for progress in seen:
        net.params[:] = progress.params
        assert net.loss(X, NOISY) == progress.loss
        slope = net.gradient(X, NOISY)[net.free]
        np.testing.assert_allclose(progress.gradient_norm, np.linalg.norm(slope), rtol=1e-15)
    assert np.array_equal(seen[-1].params, result.params)


# ---- ends ----------------------------------------------------------------------------------------


def test_a_callback_stops_a_descent_with_the_best_so_far(line: cbp.Chain) -> None:
    # this rate makes momentum swing through the minimum and up again
    seen: list[cbp.FitProgress] = []

    def stop(progress: cbp.FitProgress) -> bool:
        seen.append(progress)
        return len(seen) > 5 and progress.loss > 2 * min(other.loss for other in seen)

    result = cbp.fit(line, X, NOISY, method="momentum", learning_rate=0.3, callback=stop)
    best = min(seen, key=lambda progress: progress.loss)
    assert result.status == "stopped"
    assert not result.converged
    assert "callback" in result.message
    assert result.n_iterations == len(seen) == result.history.size - 1
    assert best.n_iterations < len(seen)
    assert result.params.tolist() == best.params.tolist()
    assert (result.loss, result.gradient_norm) == (best.loss, best.gradient_norm)
    assert np.isnan(result.stderr).all()
    assert np.isnan(result.covariance).all()


def test_a_callback_that_stops_at_once_has_one_iteration(line: cbp.Chain) -> None:
    result = cbp.fit(line, X, NOISY, method="gradient_descent", callback=lambda _: 1)
    assert (result.status, result.n_iterations) == ("stopped", 1)
    assert result.chain != line


@pytest.mark.parametrize("name", ["gradient_descent", "sgd", "momentum"])
def test_too_large_a_learning_rate_diverges(line: cbp.Chain, name: str) -> None:
    options = options_of(name) | {"learning_rate": 100.0}
    result = cbp.fit(line, X, NOISY, **options)
    assert result.status == "diverged"
    assert not result.converged
    assert "smaller learning rate" in result.message
    assert result.n_iterations < 1000
    assert np.isfinite(result.params).all()
    # here each step is worse, so that the start is the best
    assert result.chain == line
    assert result.loss == result.history[0]
    assert np.isnan(result.stderr).all()


def test_a_descent_that_starts_at_the_minimum_stays_there(line: cbp.Chain) -> None:
    line.params[:] = [2.0, -0.75]
    x = np.arange(8.0)
    result = cbp.fit(line, x, line(x), method="gradient_descent", tolerance=1e-12)
    assert (result.status, result.n_iterations) == ("converged", 0)
    assert result.chain == line
    assert result.history.tolist() == [0.0]
