"""Every member of a chain: what it is, what it returns, and where it keeps its numbers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import reference

Floats = npt.NDArray[np.float64]
X = np.array([-1.5, -0.25, 0.0, 0.5, 2.0, 3.25])
Y = np.array([0.0, 0.5, 0.25, 1.0, 0.75, 0.125])


@pytest.fixture
def net() -> cbp.Chain:
    return cbp.Chain(
        [1.5, -0.75, 2.0], [0.125, 0.25, -0.5], ["tanh", "softplus", "sigmoid"], frozen=("b1", "w3")
    )


# ---- what it is made of ------------------------------------------------------------------------


def test_parts(net: cbp.Chain) -> None:
    assert net.layers == 3
    assert net.activations == ("tanh", "softplus", "sigmoid")
    assert net.param_names == ("w1", "b1", "w2", "b2", "w3", "b3")
    assert net.frozen == ("b1", "w3")
    assert net.free.tolist() == [True, False, True, True, False, True]
    assert net.free.dtype == np.bool_
    assert net.params.tolist() == [1.5, 0.125, -0.75, 0.25, 2.0, -0.5]


@pytest.mark.thread_unsafe(reason="changes the fixture's chain")
def test_views_are_the_chains_own_memory(net: cbp.Chain) -> None:
    assert net.params.dtype == net.weights.dtype == net.biases.dtype == np.float64
    assert (net.params.shape, net.weights.shape, net.biases.shape) == ((6,), (3,), (3,))
    before = net(0.5)
    net.weights[1] = 4.0
    net.biases[2] = 8.0
    assert net.params.tolist() == [1.5, 0.125, 4.0, 0.25, 2.0, 8.0]
    net.params[0] = -3.0
    assert net.weights[0] == -3.0
    assert net(0.5) != before
    assert net(0.5) == cbp.Chain(net.weights, net.biases, net.activations)(0.5)


def test_views_outlive_the_chain() -> None:
    params = cbp.Chain([1.5, 2.5], [3.5, 4.5]).params
    assert params.tolist() == [1.5, 3.5, 2.5, 4.5]


@pytest.mark.parametrize("name", ["params", "weights", "biases", "layers", "activations", "free"])
def test_parts_are_not_replaced(net: cbp.Chain, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        setattr(net, name, copy.copy(getattr(net, name)))


def test_the_numbers_given_are_copied() -> None:
    weights, biases = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    net = cbp.Chain(weights, biases)
    net.params[:] = 0.0
    assert weights.tolist() == [1.0, 2.0]
    assert biases.tolist() == [3.0, 4.0]


@pytest.mark.thread_unsafe(reason="an iterator can be used once")
@pytest.mark.parametrize(
    ("activations", "expected"),
    [
        ("exp", ("exp", "exp")),
        (("exp", "log"), ("exp", "log")),
        (iter(["exp", "log"]), ("exp", "log")),
        (np.array(["exp", "log"]), ("exp", "log")),
    ],
    ids=["one", "tuple", "iterator", "array"],
)
def test_activations_one_for_all_or_one_for_each(activations: Any, expected: Any) -> None:
    net = cbp.Chain([1.0, 2.0], [0.0, 0.0], activations)
    assert net.activations == expected
    assert all(type(name) is str for name in net.activations)


def test_sigmoid_is_the_default() -> None:
    assert cbp.Chain([1.0, 2.0], [0.0, 0.0]).activations == ("sigmoid", "sigmoid")


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [("w2", ("w2",)), (["b2", "w1", "b2"], ("w1", "b2")), ((), ()), ({"w1"}, ("w1",))],
    ids=["one", "any-order", "none", "set"],
)
def test_frozen_names_come_in_the_order_of_params(frozen: Any, expected: Any) -> None:
    assert cbp.Chain([1.0, 2.0], [0.0, 0.0], frozen=frozen).frozen == expected


# ---- random chains -----------------------------------------------------------------------------


def test_random_is_reproducible() -> None:
    net = cbp.Chain.random(4, "tanh", rng=5)
    assert (net.layers, net.activations) == (4, ("tanh",) * 4)
    assert net == cbp.Chain.random(4, "tanh", rng=5)
    assert net == cbp.Chain.random(np.int32(4), "tanh", rng=np.random.default_rng(5))
    assert net != cbp.Chain.random(4, "tanh", rng=6)
    assert cbp.Chain.random(4) != cbp.Chain.random(4)


def test_random_draws_from_the_generator_given() -> None:
    rng = np.random.default_rng(5)
    assert cbp.Chain.random(2, rng=rng) != cbp.Chain.random(2, rng=rng)


def test_random_is_standard_normal() -> None:
    params = cbp.Chain.random(50_000, rng=7).params
    # standard errors of mean and variance of 10^5 draws: 0.0032 and 0.0045; five of each
    assert abs(params.mean()) < 0.016
    assert abs(params.var() - 1) < 0.023


# ---- maps: a float for a number, else an array of its shape --------------------------------------

MAPS = [
    pytest.param(lambda net, x: net(x), id="call"),
    pytest.param(lambda net, x: net.forward(x), id="forward"),
    pytest.param(lambda net, x: net.slope(x), id="slope"),
    pytest.param(lambda net, x: net.inverse(x), id="inverse"),
]
Map = Callable[[cbp.Chain, Any], Any]


@pytest.mark.parametrize("function", MAPS)
@pytest.mark.parametrize(
    "number",
    [1.0, 1, True, np.float64(1), np.float32(1), np.float16(1), np.int8(1), np.uint64(1), np.True_],
    ids=lambda number: type(number).__name__,
)
def test_a_number_gives_a_float(function: Map, number: Any) -> None:
    net = cbp.Chain([0.5], [0.25], "tanh")
    answer = function(net, number)
    assert type(answer) is float
    assert answer == function(net, np.array([1.0]))[0]


@pytest.mark.parametrize("function", MAPS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (6,), (2, 3), (3, 0), (1, 2, 3)], ids=str)
def test_an_array_gives_an_array_of_its_shape(net: cbp.Chain, function: Map, shape: Any) -> None:
    x = np.resize(X, shape)
    answer = function(net, x)
    assert type(answer) is np.ndarray
    assert (answer.shape, answer.dtype) == (shape, np.float64)
    alone = np.array([function(net, float(number)) for number in x.flat])
    assert np.array_equal(answer.ravel(), alone, equal_nan=True)


@pytest.mark.parametrize("function", MAPS)
def test_lists_are_arrays(net: cbp.Chain, function: Map) -> None:
    expected = function(net, np.array([[0.25, 0.5], [0.125, 1.0]]))
    assert np.array_equal(function(net, [[0.25, 0.5], [0.125, 1]]), expected, equal_nan=True)


def test_forward_is_the_twins(net: cbp.Chain) -> None:
    expected = [reference.forward(list(net.params), net.activations, float(x)) for x in X]
    assert net(X) == pytest.approx(expected, rel=1e-14)


def test_call_takes_its_argument_by_name(net: cbp.Chain) -> None:
    assert net(x=0.5) == net.forward(x=0.5) == net(0.5)


@pytest.mark.parametrize("arguments", [(), (0.5, 0.5)], ids=len)
def test_call_takes_one_argument(net: cbp.Chain, arguments: Any) -> None:
    with pytest.raises(TypeError, match="argument"):
        net(*arguments)
    with pytest.raises(TypeError, match="argument"):
        net(*arguments, other=1)  # type: ignore[call-overload]


# ---- losses and gradients ------------------------------------------------------------------------

LOSSES = list(reference.LOSSES)


@pytest.mark.parametrize("loss", LOSSES)
def test_example_by_example_is_the_twins(net: cbp.Chain, loss: Any) -> None:
    params = list(net.params)
    options = {"loss": loss, "loss_scale": 0.25}
    rows = net.gradients(X, Y, **options)
    assert rows.shape == (6, 6)
    for x, y, row in zip(X.tolist(), Y.tolist(), rows, strict=True):
        walk = reference.trace(params, net.activations, x, y, loss=loss, scale=0.25)
        assert row == pytest.approx(walk.gradient, rel=1e-13, abs=1e-300)
        assert net.loss(x, y, **options) == pytest.approx(walk.loss, rel=1e-13)
        assert net.gradient(x, y, **options).tolist() == row.tolist()


@pytest.mark.parametrize("weight", [None, Y + 0.5], ids=["equal", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradient_are_the_two(net: cbp.Chain, loss: Any, weight: Floats | None) -> None:
    options = {"loss": loss, "loss_scale": 0.25, "sample_weight": weight}
    value, gradient = net.loss_and_gradient(X, Y, **options)
    assert type(value) is float
    assert (gradient.shape, gradient.dtype) == ((6,), np.float64)
    assert value == net.loss(X, Y, **options)
    assert gradient.tolist() == net.gradient(X, Y, **options).tolist()


def test_shapes_only_have_to_agree(net: cbp.Chain) -> None:
    for method in (net.loss, net.gradient, net.gradients, net.hessian):
        flat = method(X, Y)
        assert np.array_equal(method(X.reshape(2, 3), Y.reshape(2, 3)), flat)
        assert np.array_equal(method(X.tolist(), Y.tolist()), flat)


@pytest.mark.parametrize("kind", [float, int, np.float32, np.array, lambda number: [number]])
def test_one_example_in_any_form(net: cbp.Chain, kind: Any) -> None:
    x, y = kind(2), kind(1)
    assert type(net.loss(x, y)) is float
    assert net.loss(x, y) == net.loss(2.0, 1.0)
    assert net.gradient(x, y).tolist() == net.gradient(2.0, 1.0).tolist()
    assert net.loss_and_gradient(x, y)[1].tolist() == net.gradient(2.0, 1.0).tolist()
    assert net.gradients(x, y).tolist() == [net.gradient(2.0, 1.0).tolist()]
    assert net.jacobian(x).shape == (1, 6)


@pytest.mark.parametrize(("x", "y"), [(0.5, 1.0), (X, Y)], ids=["number", "array"])
def test_gradient_goes_where_it_is_told(net: cbp.Chain, x: Any, y: Any) -> None:
    expected = net.gradient(x, y)
    out = np.full(6, np.nan)
    assert net.gradient(x, y, out=out) is out
    assert out.tolist() == expected.tolist()
    inner = np.full(8, 7.0)
    net.gradient(x, y, out=inner[1:7])
    assert inner.tolist() == [7.0, *expected.tolist(), 7.0]


@pytest.mark.parametrize(("x", "y"), [(0.5, 1.0), (X, Y)], ids=["number", "array"])
def test_gradient_may_take_the_place_of_params(net: cbp.Chain, x: Any, y: Any) -> None:
    expected = net.gradient(x, y)
    net.gradient(x, y, out=net.params)
    assert net.params.tolist() == expected.tolist()


def test_gradient_may_take_the_place_of_the_examples(net: cbp.Chain) -> None:
    expected, x, y = net.gradient(X, Y), X.copy(), Y.copy()
    net.gradient(x, y, out=x)
    assert x.tolist() == expected.tolist()
    net.gradient(X, y, out=y)
    assert y.tolist() == expected.tolist()


def test_jacobian_is_the_gradient_of_the_output(net: cbp.Chain) -> None:
    # the squared loss of a target that is half below the output: 2 (a - y) = 1
    rows = net.jacobian(X)
    assert rows.shape == (6, 6)
    assert rows.dtype == np.float64
    for x, row in zip(X, rows, strict=True):
        a = net(float(x))
        y = a - 0.5
        assert row == pytest.approx(net.gradient(float(x), y) / (2 * (a - y)), rel=1e-15 * 4)


def test_hessian_of_a_line_by_hand() -> None:
    # E = (w x + b - y)^2: second derivatives 2 x^2, 2 x, 2
    hessian = cbp.Chain([3.0], [1.0], "identity").hessian([1.0, 2.0, 4.0], [0.0, 5.0, 9.0])
    assert hessian == pytest.approx(np.array([[14.0, 14 / 3], [14 / 3, 2.0]]), rel=1e-15)
    assert hessian[0, 1] == hessian[1, 0]


def test_trace_is_of_the_same_bits(net: cbp.Chain) -> None:
    seen = net.trace(0.5, 1.0, loss="cauchy", loss_scale=0.5)
    assert isinstance(seen, cbp.Trace)
    assert seen.a[-1] == net(0.5)
    assert seen.params.tolist() == net.params.tolist()
    value, gradient = net.loss_and_gradient(0.5, 1.0, loss="cauchy", loss_scale=0.5)
    assert (seen.loss, seen.gradient.tolist()) == (value, gradient.tolist())


# ---- one step ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "y"), [(0.5, 1.0), (2, 1), ([0.5], [1.0]), (X, Y)], ids=str)
@pytest.mark.parametrize("learning_rate", [0.1, 1, -0.3, 0.0], ids=str)
def test_step_is_one_subtraction(net: cbp.Chain, x: Any, y: Any, learning_rate: float) -> None:
    loss, gradient = net.loss_and_gradient(x, y)
    expected = np.where(net.free, net.params - learning_rate * gradient, net.params)
    params = net.params
    assert net.step(x, y, learning_rate) == loss
    assert np.shares_memory(net.params, params)
    assert params.tolist() == expected.tolist()


def test_frozen_parameters_never_move(net: cbp.Chain) -> None:
    before = net.params.copy()
    for _ in range(100):
        net.step(0.5, 1.0, 0.5)
        net.step(X, Y, 0.5)
    assert np.array_equal(net.params[~net.free], before[~net.free])
    assert np.all(net.params[net.free] != before[net.free])


def test_steps_reach_the_minimum_of_a_line() -> None:
    # the error shrinks by the largest |1 - 0.1 h| over the Hessian's eigenvalues h = 1 and 2
    # at every step: 0.9^400 < 1e-18
    net = cbp.Chain([0.0], [0.0], "identity")
    x = np.array([-1.0, 0.0, 1.0]) * np.sqrt(0.75)
    for _ in range(400):
        net.step(x, 3 * x - 2, 0.1)
    assert net.params == pytest.approx([3.0, -2.0], rel=1e-14)


# ---- copies and files ----------------------------------------------------------------------------


def pickled(net: Any, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(net, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda net: net.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "repr": lambda net: eval(repr(net), {"Chain": cbp.Chain}),
    "dict": lambda net: cbp.Chain.from_dict(net.to_dict()),
    **{
        f"pickle-{protocol}": partial(pickled, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("kind", ["mixed", "uniform", "one-layer", "extreme"])
def test_copies_are_equal_and_separate(
    net: cbp.Chain, make: Callable[[cbp.Chain], cbp.Chain], kind: str
) -> None:
    original = {
        "mixed": net,
        "uniform": cbp.Chain([0.1, 1 / 3], [2e-308, -7.0], "sin"),
        "one-layer": cbp.Chain([1], [0], ["log"], "w1"),
        "extreme": cbp.Chain([5e-324, -1.7976931348623157e308], [-0.0, 0.1 + 0.2], "exp"),
    }[kind]
    twin = make(original)
    assert type(twin) is cbp.Chain
    assert twin == original
    assert twin.params.tobytes() == original.params.tobytes()
    assert (twin.activations, twin.frozen) == (original.activations, original.frozen)
    before = original.params.tolist()
    twin.params[:] = 9.0
    assert original.params.tolist() == before


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda net: net.copy()])
def test_copies_of_what_went_wrong(net: cbp.Chain, make: Callable[[cbp.Chain], cbp.Chain]) -> None:
    net.params[1:3] = np.nan, np.inf
    assert make(net).params.tobytes() == net.params.tobytes()


def test_save_and_load(net: cbp.Chain, tmp_path: Path) -> None:
    net.save(tmp_path / "net.json")
    assert cbp.load(tmp_path / "net.json") == net


def test_equal_means_every_part(net: cbp.Chain) -> None:
    def other(**changes: Any) -> cbp.Chain:
        parts = {
            "weights": net.weights,
            "biases": net.biases,
            "activations": net.activations,
            "frozen": net.frozen,
        }
        return cbp.Chain(**{**parts, **changes})

    assert net == other()
    assert net != other(weights=net.weights * 2)
    assert net != other(biases=net.biases + 1)
    assert net != other(activations=["tanh", "softplus", "tanh"])
    assert net != other(frozen=("b1",))
    assert net != cbp.Chain([1.5], [0.125], "tanh")
    assert net != "a chain"
    assert net.__eq__("a chain") is NotImplemented


def test_what_can_change_has_no_hash(net: cbp.Chain) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(net)


def test_repr_is_what_one_would_type() -> None:
    assert repr(cbp.Chain([1.5, -0.8], [0.1, 0.3])) == "Chain([1.5, -0.8], [0.1, 0.3], 'sigmoid')"
    net = cbp.Chain([1, 2], [0, 0.5], ["log", "sigmoid"], frozen="w1")
    assert repr(net) == "Chain([1.0, 2.0], [0.0, 0.5], ['log', 'sigmoid'], frozen=('w1',))"


def test_parts_change_in_place() -> None:
    net = cbp.Chain([1.0, 2.0], [3.0, 4.0])
    own = net.params
    net.params += 1.0  # type: ignore[misc]
    net.biases *= 2.0  # type: ignore[misc]
    assert np.shares_memory(net.params, own)
    assert own.tolist() == [2.0, 8.0, 3.0, 10.0]
