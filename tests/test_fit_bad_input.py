"""Hazard: bad input to a fit: refused in words that name the argument; the start is as it was."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf
X: Floats = np.linspace(-2.0, 2.0, 60)
Y: Floats = 3.0 * np.tanh(1.25 * X - 0.5) + 0.75 + 0.125 * np.cos(11 * X)
METHODS = ["lm", "gradient_descent", "sgd", "momentum", "adam"]
P, S, T = cbp.ParameterError, cbp.ShapeError, cbp.InputTypeError


@pytest.fixture
def net() -> cbp.Chain:
    return cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"])


def refused(call: Callable[[], Any], error: type[Exception], *words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, cbp.CBackpropError)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


EXAMPLES: dict[str, tuple[Any, Any, dict[str, Any], Any, list[str]]] = {
    "nan x": ([0, 1, NAN], [1, 2, 3], {}, P, ["x[2]: nan", "nan_policy='omit'"]),
    "inf y": ([[0, 1, 2]], [[1, -INF, 3]], {}, P, ["y[1]: -inf", "nan_policy='omit'"]),
    "nan weight": (X, Y, {"sample_weight": [1.0, NAN] * 30}, P, ["sample_weight[1]: nan"]),
    "negative weight": (X, Y, {"sample_weight": [1.0, -1.0] * 30}, P, ["sample_weight[1]: -1.0"]),
    "no weight": (X, Y, {"sample_weight": 60 * [0]}, P, ["sample_weight: all weights are 0"]),
    "few weights": (X, Y, {"sample_weight": [1.0]}, S, ["sample_weight", "1 weights", "60"]),
    "weights of few": (X, Y, {"sample_weight": [1, 1, 1] + 57 * [0]}, S, ["4 free", "weight"]),
    "shape": (X, Y[1:], {}, S, ["y: shape (59,)", "(60,)"]),
    "few": ([1, 2, 3], [1, 2, 3], {}, S, ["x: 3 examples", "4 free"]),
    "nothing": ([], [], {}, S, ["at least one example"]),
    "nothing left": ([NAN], [1], {"nan_policy": "omit"}, S, ["at least one example"]),
    "text": (["1"], [1], {}, T, ["x: expected real"]),
    "complex": ([1], [1j], {}, T, ["y: expected real"]),
    "log": (X, Y, {"loss": "log"}, cbp.ActivationError, ["log loss", "sigmoid"]),
}
OPTIONS: dict[str, list[tuple[Any, Any, list[str]]]] = {
    "max_iterations": [
        *((v, P, [repr(v), "1 or more"]) for v in (0, -1, True, 2.0, "5", [5], NAN)),
        (10**400, P, []),
    ],
    "restarts": [(v, P, [repr(v), "0 or more"]) for v in (-1, True, 1.5, "1")] + [(10**30, P, [])],
    "tolerance": [
        *((v, P, [repr(v), "expected from 0, below inf"]) for v in (-1, NAN, INF)),
        *((v, T, [repr(v), "number"]) for v in ("a", 1j, [1])),
        (10**400, P, []),
    ],
    "learning_rate": [
        *((v, P, [repr(v), "expected above 0, below inf"]) for v in (0, -0.1, NAN, INF)),
        *((v, T, [repr(v), "number"]) for v in ("a", 1j, [1])),
    ],
    "batch_size": [(v, P, [repr(v)]) for v in (0, -1, True, 1.5, "1")] + [(10**30, P, [])],
    "momentum": [
        *((v, P, [repr(v), "expected from 0, below 1"]) for v in (-0.1, 1, NAN)),
        *((v, T, [repr(v), "number"]) for v in ("a", [0.5])),
    ],
    "loss_scale": [(0.0, P, ["0.0"]), (NAN, P, ["nan"]), ("a", T, ["'a'"])],
    "method": [("ldm", P, ["'ldm'", "'lm'?"]), (None, P, ["None"]), (["lm"], P, ["['lm']"])],
    "covariance": [("hesian", P, ["'hesian'", "'hessian'?"]), (1, P, ["1"])],
    "nan_policy": [("omitt", P, ["'omitt'", "'omit'?"]), (None, P, ["None"])],
    "loss": [("hubr", P, ["'hubr'", "'huber'?"]), (None, P, ["None"])],
    "callback": [(5, T, ["5"]), ("print", T, ["'print'"])],
    "bounds": [
        (5, T, ["mapping", "5"]),
        ([("w1", (0, 1))], T, ["mapping"]),
        ({"w1": (2, 1)}, P, ["bounds['w1']", "2.0", "1.0"]),
        ({"w1": (NAN, 1)}, P, ["bounds['w1']", "nan"]),
        ({"w3": (0, 1)}, P, ["'w3'", "w1, b1, w2, b2"]),
        ({"W1": (0, 1)}, P, ["'W1'", "did you mean 'w1'?"]),
        ({1: (0, 1)}, P, ["1"]),
        ({"b2": (0, 1)}, P, ["'b2' is frozen"]),
        ({"w1": 1}, P, ["bounds['w1']: 1", "(low, high)"]),
        ({"w1": (0, 1, 2)}, P, ["(0, 1, 2)", "(low, high)"]),
        ({"w1": ("a", None)}, T, ["bounds['w1']", "low", "'a'"]),
        ({"w1": (None, "a")}, T, ["bounds['w1']", "high is 'a'"]),
        ({"w1": (0, 10**400)}, P, ["bounds['w1']"]),
    ],
}
READER = {
    "learning_rate": {"method": "sgd"},
    "batch_size": {"method": "adam"},
    "momentum": {"method": "momentum"},
    "loss_scale": {"loss": "huber"},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_that_are_refused(net: cbp.Chain, name: str) -> None:
    x, y, options, error, words = EXAMPLES[name]
    before = net.copy()
    refused(lambda: cbp.fit(net, x, y, **options), error, *words)
    assert net == before


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        pytest.param(name, *case, id=f"{name}-{k}")
        for name, cases in OPTIONS.items()
        for k, case in enumerate(cases)
    ],
)
def test_options_that_are_refused(name: str, value: Any, error: Any, words: list[str]) -> None:
    start = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"], frozen=["b2"])
    before, options = start.copy(), READER.get(name, {}) | {name: value}
    refused(lambda: cbp.fit(start, X, Y, **options), error, *words)
    with pytest.raises(error, match=rf"^{name}\b"):
        cbp.fit(start, X, Y, **options)
    assert start == before


@pytest.mark.parametrize("method", METHODS)
def test_options_of_other_methods_are_refused(net: cbp.Chain, method: Any) -> None:
    readers = {
        "learning_rate": METHODS[1:],
        "batch_size": METHODS[2:],
        "momentum": ["momentum"],
        "restarts": ["lm"],
    }
    for name, those in readers.items():
        if method not in those:
            option: dict[str, Any] = {name: 3 if name in ("batch_size", "restarts") else 0.5}
            words = [f"{name}: ", repr(method), *map(repr, those)]
            refused(partial(cbp.fit, net, X, Y, method=method, **option), P, *words)


@pytest.mark.parametrize("method", METHODS)
def test_starts_that_are_refused(net: cbp.Chain, method: Any) -> None:
    def fit(start: cbp.Chain, x: Any = X, y: Any = Y, **options: Any) -> Callable[[], Any]:
        return lambda: cbp.fit(start, x, y, method=method, **options)

    everything = cbp.Chain([1.0], [0.0], frozen=["w1", "b1"])
    refused(fit(everything), P, "frozen", "nothing to fit")
    refused(lambda: everything.sharpness(X, Y), P, "frozen")
    refused(fit(net, bounds={"b1": (1, 2)}), P, "net: b1 = 0.0", "1.0", "2.0")
    net.params[2] = NAN
    before = net.params.tobytes()
    refused(fit(net), P, "net: w2 = nan", "finite")
    assert net.params.tobytes() == before
    refused(fit(cbp.Chain([1.0], [0.0]), loss="log"), P, "y[", "between 0 and 1")


@pytest.mark.parametrize("method", METHODS)
def test_a_start_whose_loss_overflows_is_refused(method: Any) -> None:
    start = cbp.Chain([1.0], [0.0], "exp")
    before, words = start.copy(), ["net", "loss", "start", "not finite"]
    refused(lambda: cbp.fit(start, [1e3, 1.0], [0.0, 1.0], method=method), P, *words)
    assert start == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_frozen_parameter_that_is_not_finite_is_named(
    net: cbp.Chain, method: Any, value: float
) -> None:
    start = cbp.Chain(net.weights, net.biases, net.activations, frozen=["b2"])
    start.params[3] = value
    with pytest.raises(P, match=f"start are not finite; b2 = {value!r}$"):
        cbp.fit(start, X, Y, method=method)


@pytest.mark.parametrize("policy", ["raise", "omit"])
@pytest.mark.parametrize(("name", "x", "y"), [("x", ["a"], [1.0]), ("y", [1.0], ["a"])])
def test_what_is_no_number_is_named(net: cbp.Chain, policy: Any, name: str, x: Any, y: Any) -> None:
    with pytest.raises(T, match=f"^{name}: expected real numbers"):
        cbp.fit(net, x, y, nan_policy=policy)


@pytest.mark.parametrize("wrong", ["a", -1, 1.5], ids=repr)
def test_what_is_no_rng_is_refused_by_numpy(net: cbp.Chain, wrong: Any) -> None:
    before = net.copy()
    for options in ({"method": "sgd"}, {"restarts": 1}):
        with pytest.raises((TypeError, ValueError), match="expect"):
            cbp.fit(net, X, Y, **options, rng=wrong)
    assert net == before


def test_what_is_no_chain_is_refused() -> None:
    # in a process of its own, which a null pointer would end
    for wrong in ("None", "5", "[1.0]"):
        program = f"import cbackprop as cbp\ncbp.fit({wrong}, [1.0, 2.0], [1.0, 2.0])"
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert run.returncode == 1, (wrong, run.returncode)
        assert "TypeError" in run.stderr
        assert "net" in run.stderr


def test_weights_of_another_shape_where_some_are_omitted(net: cbp.Chain) -> None:
    words = ["sample_weight: shape (1,)", "(60,) of x"]
    refused(lambda: cbp.fit(net, X, Y, sample_weight=[1.0], nan_policy="omit"), S, *words)


def test_few_examples_are_no_matter_of_weights_that_were_not_given(net: cbp.Chain) -> None:
    with pytest.raises(S) as caught:
        cbp.fit(net, [1, 2, 3], [1, 2, 3])
    assert str(caught.value) == "x: 3 examples are fewer than 4 free parameters"
