"""Hazard: the ends of what is taken: zero, NaN, infinity, subnormals; no example; many layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp

NOT_INVERTIBLE = ("relu", "silu", "gelu", "square", "gaussian", "sin")


# ---- dose 0 --------------------------------------------------------------------------------------


@pytest.fixture
def dose_response() -> cbp.Chain:
    return cbp.Chain([1, 2.0, 5.0], [0, 0.5, 0.25], ["log", "sigmoid", "identity"], ("w1", "b1"))


def test_dose_0_has_a_finite_gradient(dose_response: cbp.Chain) -> None:
    # a = -inf, then sigma = sigma' = 0: the output is b3 and nothing before moves it
    residual = 0.25 - 1.0
    expected = [0.0, 0.0, 0.0, 0.0, 0.0, 2 * residual]
    assert dose_response(0.0) == 0.25
    assert dose_response.gradient(0.0, 1.0).tolist() == expected
    assert dose_response.gradients([0.0, -0.0], [1.0, 1.0]).tolist() == [expected, expected]
    assert dose_response.gradient([0.0, -0.0], [1.0, 1.0]).tolist() == expected
    assert dose_response.jacobian(0.0).tolist() == [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    assert dose_response.slope(0.0) == 0.0
    hessian = np.zeros((6, 6))
    hessian[5, 5] = 2.0
    assert dose_response.hessian(0.0, 1.0).tolist() == hessian.tolist()


def test_controls_in_a_dose_table(dose_response: cbp.Chain) -> None:
    dose, response = np.array([0.0, 0.0, 0.5, 1.0, 2.0, 8.0]), np.linspace(0, 5, 6)
    assert np.all(np.isfinite(dose_response.gradient(dose, response)))
    assert np.all(np.isfinite(dose_response.hessian(dose, response)))
    before = dose_response.params.copy()
    assert math.isfinite(dose_response.step(dose, response, 0.01))
    assert np.array_equal(dose_response.params == before, ~dose_response.free)


def test_infinite_dose(dose_response: cbp.Chain) -> None:
    assert dose_response(math.inf) == 5.25
    assert dose_response.gradient(math.inf, 5.0).tolist() == [0.0, 0.0, 0.0, 0.0, 0.5, 0.5]


# ---- NaN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 16, 129, 300])
@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_nan_stays_in_its_lane(name: str, size: int) -> None:
    net = cbp.Chain([0.5, 0.75, 1.5], [0.25, 1.5, 0.25], ["tanh", name, "sigmoid"])
    x, y = np.random.default_rng(900).uniform(0, 1, (2, size))
    functions: list[Callable[..., Any]] = [net.forward, net.slope, net.jacobian]
    if name not in NOT_INVERTIBLE:
        functions.append(net.inverse)
    for lane in {0, size // 2, size - 1}:
        others = np.arange(size) != lane
        broken = x.copy()
        broken[lane] = np.nan
        for function in functions:
            seen = function(broken)
            assert np.all(np.isnan(seen[lane])), (function.__name__, lane)
            assert np.array_equal(seen[others], function(x)[others], equal_nan=True)
        whole = net.gradients(x, y)
        for examples in ((broken, y), (x, np.where(others, y, np.nan))):
            rows = net.gradients(*examples)
            assert np.all(np.isnan(rows[lane]))
            assert np.array_equal(rows[others], whole[others])


@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_nan_alone(name: str) -> None:
    net = cbp.Chain([0.5], [1.5], name)
    assert math.isnan(net(math.nan))
    assert math.isnan(net.slope(math.nan))
    assert math.isnan(net.loss(math.nan, 0.5))
    assert np.all(np.isnan(net.gradient(math.nan, 0.5)))
    assert np.all(np.isnan(net.gradient(0.5, math.nan)))
    assert np.all(np.isnan(net.hessian(math.nan, 0.5)))


def test_nan_in_an_average_is_seen() -> None:
    net = cbp.Chain([0.5], [1.5])
    assert math.isnan(net.loss([0.5, math.nan], [0.5, 0.5]))
    assert np.all(np.isnan(net.gradient([0.5, math.nan], [0.5, 0.5])))


# ---- overflow and underflow ----------------------------------------------------------------------


@pytest.mark.parametrize("x", [1.0, [1.0] * 20], ids=["number", "array"])
def test_overflow_is_infinite(x: Any) -> None:
    huge = cbp.Chain([1e200, 1e200], [0.0, 0.0], "identity")
    assert np.all(huge(x) == math.inf)
    assert np.all(huge(np.negative(x)) == -math.inf)
    assert np.all(huge.slope(x) == math.inf)
    assert np.all(cbp.Chain([710.0], [0.0], "exp")(x) == math.inf)
    assert np.all(cbp.Chain([1e200], [0.0], "square")(x) == math.inf)
    assert huge.loss(x, x) == math.inf


@pytest.mark.parametrize(
    "name",
    ["identity", "tanh", "elu", "softsign", "arctan", "expm1", "log1p", "sin"],
)
@pytest.mark.parametrize("z", [5e-324, -5e-324, 1e-310, -1e-310])
def test_subnormals_pass(name: str, z: float) -> None:
    # all of these are z + O(z^2) at 0
    net = cbp.Chain([1.0], [0.0], name)
    assert net(z) == z
    assert net([z] * 20).tolist() == [z] * 20
    assert net.slope(z) == 1.0


def test_subnormals_are_not_flushed_on_the_way_back() -> None:
    net = cbp.Chain([1e-300, 1e-10], [0.0, 0.0], "identity")
    assert net.slope(1.0) == 1e-300 * 1e-10 > 0.0
    assert net.slope([1.0] * 20).tolist() == [1e-300 * 1e-10] * 20
    assert net.jacobian([1e-300] * 20)[:, 0].tolist() == [1e-300 * 1e-10] * 20


# ---- no example ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)], ids=str)
def test_no_example_maps_to_nothing(shape: tuple[int, ...]) -> None:
    net, none = cbp.Chain([1.0, 2.0], [0.0, 0.0]), np.empty(shape)
    for function in (net, net.forward, net.slope, net.inverse):
        assert function(none).shape == shape
    assert net.gradients(none, none).shape == (0, 4)
    assert net.jacobian(none).shape == (0, 4)


@pytest.mark.parametrize("weight", [None, []], ids=["equal", "weighted"])
@pytest.mark.parametrize("method", ["loss", "gradient", "loss_and_gradient", "hessian"])
def test_no_example_has_no_average(method: str, weight: Any) -> None:
    net = cbp.Chain([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(cbp.ShapeError, match="at least one example"):
        getattr(net, method)([], [], sample_weight=weight)


@pytest.mark.parametrize("method", ["loss", "gradient", "gradients", "hessian"])
def test_a_loss_that_the_chain_cannot_have_is_refused_without_an_example(method: str) -> None:
    net = cbp.Chain([1.0], [0.0], "tanh")
    with pytest.raises(cbp.ActivationError, match="sigmoid"):
        getattr(net, method)([], [], loss="log")


def test_no_example_makes_no_step() -> None:
    net = cbp.Chain([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(cbp.ShapeError, match="at least one example"):
        net.step([], [], 0.1)
    assert net.params.tolist() == [1.0, 0.0, 2.0, 0.0]


# ---- one layer and very many ---------------------------------------------------------------------


# 32 layers are the most for which one example needs no work memory
@pytest.mark.parametrize("layers", [1, 2, 31, 32, 33, 100_000])
@pytest.mark.parametrize("kind", [lambda number: number, lambda number: np.full(3, number)])
def test_any_number_of_layers(layers: int, kind: Callable[[float], Any]) -> None:
    # each layer adds 2^-20: every number below is exact
    shift = layers * 2.0**-20
    net = cbp.Chain(np.ones(layers), np.full(layers, 2.0**-20), "identity")
    x, y = kind(0.5), kind(0.25)
    assert np.all(net(x) == 0.5 + shift)
    assert np.all(net.slope(x) == 1.0)
    assert np.all(net.inverse(net(x)) == x)

    residual = 0.25 + shift
    inputs = 0.5 + np.arange(layers) * 2.0**-20
    expected = np.empty(2 * layers)
    expected[0::2], expected[1::2] = 2 * residual * inputs, 2 * residual
    value, gradient = net.loss_and_gradient(x, y)
    assert value == net.loss(x, y) == residual**2
    assert np.array_equal(gradient, expected)
    assert np.array_equal(net.gradients(x, y)[-1], expected)
    assert np.array_equal(net.jacobian(x)[-1], expected / (2 * residual))
    before = net.params.copy()
    assert net.step(x, y, 0.125) == value
    assert np.array_equal(net.params, before - 0.125 * expected)


def test_a_very_long_chain_is_copied_and_compared() -> None:
    net = cbp.Chain.random(100_000, rng=901)
    assert net.copy() == net
    assert net.param_names[-1] == "b100000"
    assert len(net.trace(0.5, 0.5).z) == 100_000


def test_more_examples_of_a_long_chain_than_one_call_into_c_takes() -> None:
    # a stretch is at least one block of 2048 examples; all numbers are exact
    layers, n = 2100, 2100
    net = cbp.Chain(np.ones(layers), np.zeros(layers), "identity")
    x = np.arange(n) / 4096
    assert np.array_equal(net(x), x)
    assert np.array_equal(net.slope(x), np.ones(n))
    assert np.array_equal(net.inverse(x), x)
    rows = net.jacobian(x)
    assert np.array_equal(rows[:, 0::2], np.broadcast_to(x[:, None], (n, layers)))
    assert np.all(rows[:, 1::2] == 1.0)
    rows = net.gradients(x, x - 0.5)  # of which each residual is 1/2, and twice that 1
    assert np.array_equal(rows[:, 0::2], np.broadcast_to(x[:, None], (n, layers)))
    assert np.all(rows[:, 1::2] == 1.0)
    assert net.loss(x, x - 0.5) == 0.25
    value, gradient = net.loss_and_gradient(x, x - 0.5)
    assert value == 0.25
    assert np.array_equal(gradient, np.tile([x.mean(), 1.0], layers))


def test_a_hessian_of_more_examples_than_one_call_into_c_takes() -> None:
    # E = (exp(w x + b) - y)^2 at x = w = b = 0: second derivatives by w, b are 0 but for the last,
    # 2 (2 - y); weights are 1 and 3 in turns
    n = 300_000
    y, weight = np.arange(n) / 2.0**18, np.tile([1.0, 3.0], n // 2)
    net = cbp.Chain([0.0], [0.0], "exp")
    for sample_weight, mean in ((None, y.mean()), (weight, weight @ y / weight.sum())):
        hessian = net.hessian(np.zeros(n), y, sample_weight=sample_weight)
        assert hessian[0].tolist() == [0.0, 0.0]
        assert hessian[1, 1] == pytest.approx(4 - 2 * mean, rel=1e-13)
