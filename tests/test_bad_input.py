"""Hazard: bad input that passes, crashes or changes a chain: each is refused, and named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf


@pytest.fixture
def net() -> cbp.Chain:
    return cbp.Chain([1.5, -0.75], [0.125, 0.25], ["tanh", "sigmoid"])


def refused(
    call: Callable[[], Any], error: type[Exception], *words: str, net: cbp.Chain | None = None
) -> None:
    """The call fails with that error, every word in its message, and the chain as it was."""
    before = None if net is None else net.params.tobytes()
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, cbp.CBackpropError)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))
    assert net is None or net.params.tobytes() == before


# ---- making a chain ------------------------------------------------------------------------------

CHAINS = {
    "empty": (([], []), cbp.ShapeError, ["weights", "at least one layer"]),
    "number": ((1.0, 0.0), cbp.ShapeError, ["weights", "()"]),
    "2-d weights": (([[1.0]], [0.0]), cbp.ShapeError, ["weights", "(1, 1)"]),
    "2-d biases": (([1.0], [[0.0]]), cbp.ShapeError, ["biases", "(1, 1)"]),
    "few biases": (([1.0, 2.0], [0.0]), cbp.ShapeError, ["biases", "1", "2 weights"]),
    "many biases": (([1.0], [0.0, 1.0]), cbp.ShapeError, ["biases", "2", "1 weights"]),
    "few activations": (
        ([1.0, 2.0], [0.0, 0.0], ["tanh"]),
        cbp.ShapeError,
        ["activations", "1 names", "2 layers"],
    ),
    "no activations": (([1.0], [0.0], []), cbp.ShapeError, ["activations", "0 names", "1 layers"]),
    "misspelt": (
        ([1.0], [0.0], "sigmod"),
        cbp.ActivationError,
        ["activations: 'sigmod'", "did you mean 'sigmoid'?"],
    ),
    "misspelt one": (
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], ["tanh", "tanh", "Relu"]),
        cbp.ActivationError,
        ["activations[2]: 'Relu'", "did you mean 'relu'?"],
    ),
    "unknown": (([1.0], [0.0], "zzz"), cbp.ActivationError, ["activations: 'zzz'", "gaussian"]),
    "code": (([1.0], [0.0], [2]), cbp.ActivationError, ["activations[0]: 2"]),
    "nested": (([1.0], [0.0], [["tanh"]]), cbp.ActivationError, ["activations[0]: ['tanh']"]),
    "frozen layer": (
        ([1.0, 2.0], [0.0, 0.0], "tanh", ["b1", "w3"]),
        cbp.ParameterError,
        ["frozen: 'w3'", "w1 to w2", "b1 to b2"],
    ),
    **{
        f"frozen {name!r}": (
            ([1.0], [0.0], "tanh", [name]),
            cbp.ParameterError,
            [f"frozen: {name!r}", "w1 to w1"],
        )
        for name in ("w0", "w01", "W1", "w", "", "w-1", "w1 ", "w١", "c1", 1, None)
    },
    "nan": (([1.0, NAN], [0.0, 0.0]), cbp.ParameterError, ["weights[1]: nan", "finite"]),
    "infinite": (([1.0, 2.0], [-INF, 0.0]), cbp.ParameterError, ["biases[0]: -inf", "finite"]),
    "complex": (([1j], [0.0]), cbp.InputTypeError, ["weights", "real", "complex128"]),
    "text": (([1.0], ["0"]), cbp.InputTypeError, ["biases", "real", "<U1"]),
    "none": ((None, [0.0]), cbp.InputTypeError, ["weights", "real", "object"]),
    "ragged": (([[1.0], [1.0, 2.0]], [0.0]), cbp.ShapeError, ["weights", "regular"]),
}


@pytest.mark.parametrize(("arguments", "error", "words"), CHAINS.values(), ids=CHAINS)
def test_chain(arguments: Any, error: type[Exception], words: list[str]) -> None:
    refused(lambda: cbp.Chain(*arguments), error, *words)
    assert issubclass(error, ValueError)


@pytest.mark.parametrize("wrong", [None, 5], ids=str)
@pytest.mark.parametrize("argument", ["activations", "frozen"])
def test_names_that_are_no_sequence(argument: str, wrong: Any) -> None:
    refused(lambda: cbp.Chain([1.0], [0.0], **{argument: wrong}), TypeError, argument, repr(wrong))


def test_frozen_name_with_many_digits() -> None:
    refused(lambda: cbp.Chain([1.0], [0.0], frozen=["w" + "9" * 5000]), cbp.ParameterError)


@pytest.mark.parametrize("layers", [0, -1, True, 2.0, "2", None, np.float64(2), [2]], ids=repr)
def test_random_layers(layers: Any) -> None:
    words = [f"layers: {layers!r}", "positive integer"]
    refused(lambda: cbp.Chain.random(layers), cbp.ParameterError, *words)


def test_random_activations() -> None:
    refused(lambda: cbp.Chain.random(2, ["tanh"]), cbp.ShapeError, "activations", "1 names")
    refused(lambda: cbp.Chain.random(2, "tan"), cbp.ActivationError, "did you mean 'tanh'?")


# ---- examples ------------------------------------------------------------------------------------

NOT_REAL = {
    "complex": (np.array([1j, 2]), cbp.InputTypeError, ["real", "complex128"]),
    "objects": (np.array([1.0, None]), cbp.InputTypeError, ["real", "object"]),
    "text": (["1", "2"], cbp.InputTypeError, ["real", "<U1"]),
    "bytes": (b"12", cbp.InputTypeError, ["real", "|S2"]),
    "dates": (np.array(["2020-01-01"], dtype="M8[D]"), cbp.InputTypeError, ["real", "datetime64"]),
    "records": (np.zeros(2, dtype="f8,f8"), cbp.InputTypeError, ["real"]),
    "complex number": (1j, cbp.InputTypeError, ["real", "complex128"]),
    "none": (None, cbp.InputTypeError, ["real", "object"]),
    "huge ints": ([10**400, 1], cbp.InputTypeError, ["real", "object"]),
    "ragged": ([[1.0, 2.0], [3.0]], cbp.ShapeError, ["regular"]),
    "masked": (np.ma.array([1.0, 2.0], mask=[False, True]), cbp.InputTypeError, ["masked"]),
}
X = np.array([0.25, 0.5])


@pytest.mark.parametrize(("wrong", "error", "words"), NOT_REAL.values(), ids=NOT_REAL)
def test_examples_that_are_not_real(net: cbp.Chain, wrong: Any, error: Any, words: Any) -> None:
    for function in (net, net.forward, net.slope, net.jacobian):
        refused(partial(function, wrong), error, "x: ", *words, net=net)
    refused(lambda: net.inverse(wrong), error, "y: ", *words, net=net)
    for method in (net.loss, net.gradient, net.loss_and_gradient, net.gradients, net.hessian):
        refused(partial(method, wrong, X), error, "x: ", *words, net=net)
        refused(partial(method, X, wrong), error, "y: ", *words, net=net)
    for method in (net.loss, net.gradient, net.loss_and_gradient, net.hessian):
        if wrong is not None:
            refused(
                partial(method, X, X, sample_weight=wrong),
                error,
                "sample_weight: ",
                *words,
                net=net,
            )
    refused(lambda: net.step(wrong, X, 0.1), error, "x: ", *words, net=net)
    refused(lambda: net.step(X, wrong, 0.1), error, "y: ", *words, net=net)


def test_a_huge_int(net: cbp.Chain) -> None:
    refused(lambda: net(10**400), cbp.InputTypeError, "x: ", net=net)
    refused(lambda: net.gradient(1, 10**400), cbp.InputTypeError, "y: ", net=net)
    refused(lambda: net.step(1, 1, 10**400), cbp.InputTypeError, "learning_rate: ", net=net)


@pytest.mark.parametrize(
    ("x", "y"), [([1.0, 2.0], [1.0]), ([[1.0, 2.0]], [1.0, 2.0]), ([1.0], 1.0), (1.0, [1.0])]
)
def test_targets_of_another_shape(net: cbp.Chain, x: Any, y: Any) -> None:
    words = ["y: ", str(np.shape(x)), str(np.shape(y))]
    for method in (net.loss, net.gradient, net.loss_and_gradient, net.gradients, net.hessian):
        refused(partial(method, x, y), cbp.ShapeError, *words, net=net)
    refused(lambda: net.step(x, y, 0.1), cbp.ShapeError, *words, net=net)
    refused(lambda: net.residuals(x, y), cbp.ShapeError, *words, net=net)


@pytest.mark.parametrize("wrong", [[0.5], np.array(0.5), None, "1", 1j], ids=repr)
def test_trace_takes_numbers(net: cbp.Chain, wrong: Any) -> None:
    words = ["expected one number", repr(wrong)]
    refused(lambda: net.trace(wrong, 1.0), cbp.InputTypeError, "x: ", *words, net=net)
    refused(lambda: net.trace(1.0, wrong), cbp.InputTypeError, "y: ", *words, net=net)


# Any layout and any kind of real number is taken for what it says.
LAYOUTS: dict[str, Callable[[Floats], Any]] = {
    "strided": lambda x: np.repeat(x, 2)[::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble),
    "int": lambda x: x.astype(int),
    "uint8": lambda x: x.astype(np.uint8),
    "list of int": lambda x: x.astype(int).tolist(),
    "mixed list": lambda x: [int(x[0]), *x[1:]],
    "read-only": lambda x: np.frombuffer(x.tobytes()),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), offset=1),
    "memoryview": lambda x: x.copy().data,
    "column": lambda x: np.column_stack([x, x])[:, 1],
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_that_are_taken(net: cbp.Chain, make: Callable[[Floats], Any]) -> None:
    # small integers are what every one of these types can hold
    x, y = np.arange(20.0) % 7, np.arange(20.0) % 3
    odd_x, odd_y = make(x), make(y)
    assert np.array_equal(net(odd_x), net(x))
    assert np.array_equal(net.slope(odd_x), net.slope(x))
    assert np.array_equal(net.jacobian(odd_x), net.jacobian(x))
    assert np.array_equal(net.gradients(odd_x, odd_y), net.gradients(x, y))
    expected = net.loss_and_gradient(x, y, sample_weight=y)
    got = net.loss_and_gradient(odd_x, odd_y, sample_weight=odd_y)
    assert (got[0], got[1].tolist()) == (expected[0], expected[1].tolist())
    assert cbp.Chain(odd_x, odd_y) == cbp.Chain(x, y)


def test_more_layouts(net: cbp.Chain) -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(net(np.asfortranarray(x)), net(x))
    assert np.array_equal(net(x.T), net(x).T)
    same = np.broadcast_to(0.5, (40,))
    assert net(same).tolist() == [net(0.5)] * 40
    assert net.gradient(same, same).tolist() == net.gradient(same.copy(), same.copy()).tolist()
    # an axis of one element may have any stride
    assert net(np.zeros(10)[::5][:1]).tolist() == [net(0.0)]
    assert net(np.array([True, False])).tolist() == [net(1.0), net(0.0)]


@pytest.mark.thread_unsafe(reason="changes the fixture's chain")
def test_what_is_given_is_not_modified(net: cbp.Chain) -> None:
    x, y, weight = np.random.default_rng(1000).uniform(0.1, 0.9, (3, 300))
    before = [array.tobytes() for array in (x, y, weight)]
    net(x), net.slope(x), net.inverse(x), net.jacobian(x), net.gradients(x, y)
    net.loss(x, y, sample_weight=weight), net.hessian(x, y, sample_weight=weight)
    net.gradient(x, y, sample_weight=weight)
    assert [array.tobytes() for array in (x, y, weight)] == before
    assert net.params.tolist() == [1.5, 0.125, -0.75, 0.25]
    net.step(x, y, 0.1)
    assert [array.tobytes() for array in (x, y, weight)] == before


# ---- weights of examples -------------------------------------------------------------------------

WEIGHTS = {
    "few": ([1.0], cbp.ShapeError, ["1 weights", "2 examples"]),
    "many": ([1.0, 1.0, 1.0], cbp.ShapeError, ["3 weights", "2 examples"]),
    "negative": ([1.0, -0.5], cbp.ParameterError, ["sample_weight[1]: -0.5", "0 or more"]),
    "nan": ([NAN, 1.0], cbp.ParameterError, ["sample_weight[0]: nan", "finite"]),
    "infinite": ([1.0, INF], cbp.ParameterError, ["sample_weight[1]: inf", "finite"]),
    "zeros": ([0.0, -0.0], cbp.ParameterError, ["all weights are 0"]),
    "next to nothing": ([1e-201, 1e-202], cbp.ParameterError, ["less than 1e-200"]),
}
AVERAGES = ["loss", "gradient", "loss_and_gradient", "hessian"]


@pytest.mark.parametrize("method", AVERAGES)
@pytest.mark.parametrize(("weight", "error", "words"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights(net: cbp.Chain, method: str, weight: Any, error: Any, words: Any) -> None:
    def call() -> Any:
        return getattr(net, method)(X, X, sample_weight=weight)

    refused(call, error, "sample_weight", *words, net=net)


@pytest.mark.parametrize("method", AVERAGES)
def test_weight_of_one_number(net: cbp.Chain, method: str) -> None:
    average = getattr(net, method)
    for weight in (-1.0, [NAN], 0):
        refused(
            partial(average, 0.5, 0.5, sample_weight=weight),
            cbp.ParameterError,
            "sample_weight",
            net=net,
        )
    weighted, plain = average(0.5, 0.25, sample_weight=3.0), average(0.5, 0.25)
    if method != "loss_and_gradient":
        weighted, plain = (weighted,), (plain,)
    for got, expected in zip(weighted, plain, strict=True):
        # 3 E / 3: two roundings
        np.testing.assert_allclose(got, expected, rtol=2**-52, atol=0)


def test_a_weight_far_behind_is_found(net: cbp.Chain) -> None:
    weight = np.ones(100_000)
    weight[77_777] = -2.0
    refused(
        lambda: net.gradient(weight, weight, sample_weight=weight),
        cbp.ParameterError,
        "sample_weight[77777]: -2.0",
        net=net,
    )


@pytest.mark.parametrize("method", AVERAGES)
def test_weights_whose_sum_overflows(net: cbp.Chain, method: str) -> None:
    refused(
        lambda: getattr(net, method)(X, X, sample_weight=[1e308, 1e308]),
        cbp.ParameterError,
        "sample_weight",
        "infinity",
        net=net,
    )


# ---- losses --------------------------------------------------------------------------------------

ALL_WITH_LOSS = [*AVERAGES, "gradients", "trace"]


@pytest.mark.parametrize("kind", [0.5, X], ids=["number", "array"])
@pytest.mark.parametrize("method", ALL_WITH_LOSS)
def test_losses(net: cbp.Chain, method: str, kind: Any) -> None:
    x = 0.5 if method == "trace" else kind

    def call(**options: Any) -> Callable[[], Any]:
        return lambda: getattr(net, method)(x, x, **options)

    words = ["loss: 'hubr'", "did you mean 'huber'?"]
    refused(call(loss="hubr"), cbp.ParameterError, *words, net=net)
    refused(call(loss=1), cbp.ParameterError, "loss: 1", "squared", "cauchy", net=net)
    refused(call(loss=None), cbp.ParameterError, "loss: None", net=net)
    refused(call(loss=["log"]), cbp.ParameterError, "loss: ['log']", net=net)
    for scale in (0.0, -1.0, INF, NAN):
        words = [f"loss_scale: {scale}", "positive"]
        refused(call(loss="cauchy", loss_scale=scale), cbp.ParameterError, *words, net=net)
    net = cbp.Chain([1.0], [0.0], "tanh")
    refused(call(loss="log"), cbp.ActivationError, "log loss", "sigmoid", net=net)


@pytest.mark.parametrize("wrong", [-5e-324, 1.0 + 2.0**-52, INF, -INF], ids=str)
@pytest.mark.parametrize("method", ALL_WITH_LOSS)
def test_targets_of_the_log_loss(net: cbp.Chain, method: str, wrong: float) -> None:
    function = getattr(net, method)
    words = [repr(wrong), "between 0 and 1"]
    if method != "trace":
        y = np.full(300, 0.5)
        y[257] = wrong
        refused(
            lambda: function(np.zeros(300), y, loss="log"),
            cbp.ParameterError,
            "y[257]",
            *words,
            net=net,
        )


@pytest.mark.parametrize("method", ALL_WITH_LOSS)
def test_one_target_of_the_log_loss(net: cbp.Chain, method: str) -> None:
    function = getattr(net, method)
    words = ["y", "2.0", "between 0 and 1"]
    refused(lambda: function(0.5, 2.0, loss="log"), cbp.ParameterError, *words, net=net)


# ---- out -----------------------------------------------------------------------------------------

OUTS = {
    "short": lambda: np.ones(3),
    "long": lambda: np.ones(5),
    "2-d": lambda: np.ones((1, 4)),
    "0-d": lambda: np.ones(()),
    "float32": lambda: np.ones(4, dtype=np.float32),
    "int64": lambda: np.ones(4, dtype=np.int64),
    "complex": lambda: np.ones(4, dtype=complex),
    "objects": lambda: np.ones(4, dtype=object),
    "swapped": lambda: np.ones(4, dtype=np.dtype(float).newbyteorder()),
    "strided": lambda: np.ones(8)[::2],
    "reversed": lambda: np.ones(4)[::-1],
    "broadcast": lambda: np.broadcast_to(np.ones(1), (4,)),
    "read-only": lambda: np.frombuffer(np.ones(4).tobytes()),
    "unaligned": lambda: np.frombuffer(bytearray(33), offset=1),
    "list": lambda: [1.0] * 4,
    "bytes": lambda: bytearray(32),
}


@pytest.mark.parametrize("kind", [0.5, X], ids=["number", "array"])
@pytest.mark.parametrize("make", OUTS.values(), ids=OUTS)
def test_out(net: cbp.Chain, make: Callable[[], Any], kind: Any) -> None:
    out = make()
    before = bytes(out) if isinstance(out, bytearray) else np.array(out).tobytes()
    words = ["out: expected", "float64", "(4,)"]
    refused(lambda: net.gradient(kind, kind, out=out), cbp.CBackpropError, *words, net=net)
    after = bytes(out) if isinstance(out, bytearray) else np.array(out).tobytes()
    assert after == before


def test_out_is_left_alone_on_failure(net: cbp.Chain) -> None:
    out = np.full(4, 7.0)
    for x, y, options in (
        (X, [0.5], {}),
        (X, X, {"sample_weight": [1.0, -1.0]}),
        (X, X, {"loss": "lag"}),
        (X, X + 1, {"loss": "log"}),
        (0.5, 2.0, {"loss": "log"}),
        ([], [], {}),
    ):
        for target in (out, net.params):
            refused(
                partial(net.gradient, x, y, **options, out=target),
                cbp.CBackpropError,
                net=net,
            )
    assert out.tolist() == [7.0] * 4


# ---- steps, inverses -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0.5, [0.5], X], ids=str)
@pytest.mark.parametrize("rate", [NAN, INF, -INF], ids=str)
def test_learning_rate(net: cbp.Chain, kind: Any, rate: float) -> None:
    refused(
        lambda: net.step(kind, kind, rate), cbp.ParameterError, "learning rate", "finite", net=net
    )


@pytest.mark.parametrize("wrong", ["0.1", None, 1j], ids=repr)
def test_options_that_are_no_numbers(net: cbp.Chain, wrong: Any) -> None:
    refused(lambda: net.step(0.5, 0.5, wrong), TypeError, "learning_rate", net=net)
    refused(lambda: net.loss(0.5, 0.5, loss_scale=wrong), TypeError, "loss_scale", net=net)


@pytest.mark.parametrize(
    ("x", "y", "rate"),
    [
        pytest.param(NAN, 0.5, 0.1, id="nan"),
        pytest.param(1e200, 1.0, 1e200, id="step"),
        pytest.param(1e308, 1.0, 0.1, id="gradient"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 20], ids=str)
def test_step_to_what_is_not_finite(x: float, y: float, rate: float, size: int | None) -> None:
    net = cbp.Chain([1.0, 1.0], [0.0, 0.0], "identity", frozen="b1")
    examples: tuple[Any, Any] = (x, y) if size is None else (np.full(size, x), np.full(size, y))
    refused(lambda: net.step(*examples, rate), cbp.ParameterError, "finite", net=net)


@pytest.mark.parametrize("name", ["relu", "silu", "gelu", "square", "gaussian", "sin"])
def test_inverse_of_what_has_none(name: str) -> None:
    net = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", name])
    given: list[npt.ArrayLike] = [0.5, X, []]
    for y in given:
        words = ["layer 2", f"{name} is not one-to-one"]
        refused(partial(net.inverse, y), cbp.ParameterError, *words, net=net)


def test_inverse_through_a_weight_of_0(net: cbp.Chain) -> None:
    net.weights[1] = 0.0
    refused(lambda: net.inverse(0.5), cbp.ParameterError, "layer 2", "w2 is 0", net=net)


# ---- names of arguments --------------------------------------------------------------------------


def test_options_are_given_by_name(net: cbp.Chain) -> None:
    for method in ALL_WITH_LOSS:
        with pytest.raises(TypeError, match=re.compile("positional")):
            getattr(net, method)(0.5, 0.5, "squared")
        with pytest.raises(TypeError, match="los"):
            getattr(net, method)(0.5, 0.5, los="squared")
    with pytest.raises(TypeError, match="positional"):
        cbp.Chain.random(2, "tanh", 0)  # type: ignore[call-arg]
