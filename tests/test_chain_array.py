"""Many chains in one call: the bits of the single chains, shapes, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import _core

Floats = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf
SIZES = (0, 1, 15, 16, 17, 129, 2049)  # around the width of a vector, of a tile and of a block
KINDS = {
    "one layer": ["sigmoid"],
    "4PL": ["log", "sigmoid", "identity"],
    "gompertz": ["exp", "exp"],
    "deep": ["tanh"] * 40,  # longer than what needs no work memory
}
INVERTIBLE = ["one layer", "4PL", "gompertz"]


def bits(values: Any) -> bytes:
    """The bytes of an array; NaNs are made equal, whose sign and payload mean nothing."""
    numbers = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = np.nan
    return numbers.tobytes()


def chains_of(kind: str, m: int = 5) -> cbp.ChainArray:
    params = np.random.default_rng(len(kind)).uniform(0.25, 1.5, (m, 2 * len(KINDS[kind])))
    return cbp.ChainArray(params, KINDS[kind], frozen=["b1"])


def refused(call: Callable[[], Any], error: type[Exception], *words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, cbp.CBackpropError)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


# ---- by the formula ------------------------------------------------------------------------------


def four_pl(params: Floats, x: Any) -> Any:
    """The outputs of "4PL", written out; params (2L,) or (m, 2L), x (n,) or (m, n)."""
    w1, b1, w2, b2, w3, b3 = np.asarray(params).T[..., None]
    return b3 + w3 / (1 + np.exp(-(w2 * np.log(w1 * x + b1) + b2)))


@pytest.mark.parametrize("own", [False, True])
def test_values_are_those_of_the_formula(own: bool) -> None:
    chains, rng = chains_of("4PL"), np.random.default_rng(3300)
    x = rng.uniform(0.1, 4.0, (5, 19) if own else 19)
    expected = four_pl(chains.params, x)
    np.testing.assert_allclose(chains(x), expected, rtol=1e-14)
    by_x = four_pl(chains.params, x + 1e-100j).imag / 1e-100
    np.testing.assert_allclose(chains.slope(x), by_x, rtol=1e-13)
    np.testing.assert_allclose(chains.inverse(expected), np.broadcast_to(x, (5, 19)), rtol=1e-11)
    y, weight = rng.uniform(size=(5, 19)), rng.uniform(size=19)

    def losses(params: Any) -> Any:
        u = four_pl(params, x) - y
        return 0.25**2 * np.log(1 + (u / 0.25) ** 2) @ weight / weight.sum()

    options: dict[str, Any] = {"loss": "cauchy", "loss_scale": 0.25, "sample_weight": weight}
    np.testing.assert_allclose(chains.loss(x, y, **options), losses(chains.params), rtol=1e-13)
    gradient = chains.gradient(x, y, **options)
    for k in range(6):
        moved = chains.params + 1e-100j * (np.arange(6) == k)
        by_param = losses(moved).imag / 1e-100
        np.testing.assert_allclose(gradient[:, k], by_param, rtol=1e-11, atol=1e-15)


# ---- the same as the single chains ---------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_of_the_single_chains(kind: str, n: int) -> None:
    chains = chains_of(kind)
    own = np.random.default_rng(3100 + n).uniform(0.1, 4.0, (5, n))
    for x in (own, own[0]):
        rows = np.broadcast_to(x, (5, n))
        names = ["forward", "slope", "__call__"] + ["inverse"] * (kind in INVERTIBLE)
        for name in names:
            found = getattr(chains, name)(x)
            assert (found.shape, found.dtype) == ((5, n), np.float64)
            alone = [getattr(chains[i], name)(rows[i]) for i in range(5)]
            assert bits(found) == bits(alone), (name, x.shape)


@pytest.mark.parametrize("loss", ["squared", "log", "huber", "soft_l1", "cauchy"])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_are_those_of_the_single_chains(kind: str, loss: Any) -> None:
    chains = chains_of(kind)
    if loss == "log":
        chains = cbp.ChainArray(chains.params, [*KINDS[kind][:-1], "sigmoid"])
    rng = np.random.default_rng(3200)
    for n in SIZES[2:]:  # of one example a single chain leaves the weight out, which cancels
        x, y, weight = rng.uniform(0.1, 4.0, (5, n)), rng.uniform(size=(5, n)), rng.uniform(size=n)
        for own_x, own_y, own_weight in ((x, y, None), (x[0], y, weight), (x, y[0], weight)):
            options = {"loss": loss, "loss_scale": 0.25, "sample_weight": own_weight}
            rows = np.broadcast_to(own_x, (5, n)), np.broadcast_to(own_y, (5, n))
            single = [
                chains[i].loss_and_gradient(rows[0][i], rows[1][i], **options) for i in range(5)
            ]
            losses = chains.loss(own_x, own_y, **options)
            gradients = chains.gradient(own_x, own_y, **options)
            assert (losses.shape, gradients.shape) == ((5,), chains.params.shape)
            assert bits(losses) == bits([value for value, _ in single])
            assert bits(gradients) == bits([gradient for _, gradient in single])


def test_one_number_goes_to_every_chain() -> None:
    chains = chains_of("4PL")
    for function in ("forward", "slope", "inverse"):
        found = getattr(chains, function)(0.75)
        assert found.shape == (5,)
        if function == "forward":
            by_hand = four_pl(chains.params, 0.75)[:, 0]
            np.testing.assert_allclose(found, by_hand, rtol=1e-14)
        assert bits(found) == bits([getattr(chain, function)(0.75) for chain in chains])
    assert bits(chains(np.float32(0.75))) == bits(chains(np.array(0.75))) == bits(chains(0.75))


def test_any_real_array_will_do() -> None:
    chains = chains_of("4PL")
    wide = np.arange(1.0, 61.0).reshape(6, 10)
    found = chains(np.ascontiguousarray(wide[1:, ::2]))
    np.testing.assert_allclose(found, four_pl(chains.params, wide[1:, ::2]), rtol=1e-14)
    expected = bits(found)
    assert bits(chains(wide[1:, ::2])) == expected
    assert bits(chains(wide[1:, ::2].astype(np.int32))) == expected
    assert bits(chains(wide[1:, ::2].tolist())) == expected
    assert bits(chains(np.asfortranarray(wide[1:, ::2], dtype=np.float32))) == expected
    y = np.ones((5, 5), dtype=np.int8)
    assert bits(chains.loss(wide[1:, ::2], y)) == bits(chains.loss(wide[1:, ::2].copy(), 1.0 * y))
    assert np.array_equal(wide, np.arange(1.0, 61.0).reshape(6, 10))


def test_no_chain_and_no_example() -> None:
    none, x = cbp.ChainArray(np.empty((0, 6)), KINDS["4PL"]), np.ones(3)
    assert len(none) == 0
    assert list(none) == []
    for function in (none.forward, none.slope, none.inverse):
        assert (function(1.0).shape, function(x).shape) == ((0,), (0, 3))
        assert function(np.empty((0, 3))).shape == (0, 3)
    assert none.loss(x, x).shape == (0,)
    assert none.gradient(x, np.empty((0, 3))).shape == (0, 6)
    refused(lambda: chains_of("4PL").loss([], np.empty((5, 0))), cbp.ShapeError, "one example")


# ---- NaN -----------------------------------------------------------------------------------------


def test_chains_without_numbers_stay_by_themselves() -> None:
    whole = chains_of("4PL")
    params = whole.params.copy()
    params[1], params[3, 2] = NAN, NAN
    chains, x, y = cbp.ChainArray(params, KINDS["4PL"]), np.linspace(0.1, 3, 20), np.ones(20)
    good = [0, 2, 4]
    for found, expected in (
        (chains(x), whole(x)),
        (chains.slope(x), whole.slope(x)),
        (chains.inverse(x), whole.inverse(x)),
        (chains.loss(x, y)[:, None], whole.loss(x, y)[:, None]),
    ):
        assert np.isnan(found[[1, 3]]).all()
        assert bits(found[good]) == bits(expected[good])
    gradient = chains.gradient(x, y)
    assert np.isnan(gradient[1]).all()
    assert bits(gradient[good]) == bits(whole.gradient(x, y)[good])


def test_a_missing_input_is_nan_there_alone() -> None:
    chains = chains_of("4PL")
    x = np.linspace(0.1, 3, 20)
    whole = chains(x)
    x[7] = NAN
    found = chains(x)
    assert np.isnan(found[:, 7]).all()
    assert bits(np.delete(found, 7, axis=1)) == bits(np.delete(whole, 7, axis=1))


def test_a_weight_of_0_cannot_be_inverted_there_alone() -> None:
    whole = chains_of("4PL")
    params = whole.params.copy()
    params[2, 4] = 0.0
    chains = cbp.ChainArray(params, KINDS["4PL"])
    y = np.linspace(0.3, 2, 9)
    found = chains.inverse(y)
    assert np.isnan(found[2]).all()
    assert bits(found[[0, 1, 3, 4]]) == bits(whole.inverse(y)[[0, 1, 3, 4]])
    refused(lambda: chains[2].inverse(y), cbp.ParameterError, "layer 3")


# ---- the array itself ----------------------------------------------------------------------------


def test_what_an_array_says_of_itself() -> None:
    chains = chains_of("4PL")
    assert (len(chains), chains.layers) == (5, 3)
    assert chains.activations == ("log", "sigmoid", "identity")
    assert chains.frozen == ("b1",)
    assert chains.param_names == ("w1", "b1", "w2", "b2", "w3", "b3")
    assert repr(chains) == "<ChainArray of 5 chains: log -> sigmoid -> identity>"


def test_params_are_copied_and_can_be_written() -> None:
    given = np.ones((2, 2))
    chains = cbp.ChainArray(given, "identity")
    chains.params[1] = [3.0, 4.0]
    assert given.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert chains([0.0, 1.0]).tolist() == [[1.0, 2.0], [4.0, 7.0]]
    with pytest.raises(AttributeError):
        chains.params = np.ones((2, 1))  # type: ignore[misc]


def test_indexing() -> None:
    chains = chains_of("4PL")
    for index in (0, 4, -1, np.int64(2)):
        one = chains[index]
        assert type(one) is cbp.Chain
        assert bits(one.params) == bits(chains.params[index])
        assert (one.activations, one.frozen) == (chains.activations, chains.frozen)
    mask = np.array([True, False, True, True, False])
    for many in (
        slice(1, 4),
        slice(None, None, -2),
        [3, 0, 0],
        np.array([1, 2]),
        mask,
        slice(0, 0),
    ):
        some = chains[many]
        assert type(some) is cbp.ChainArray
        assert bits(some.params) == bits(chains.params[many])
        assert (some.activations, some.frozen) == (chains.activations, chains.frozen)
    assert [bits(chain.params) for chain in chains] == [bits(row) for row in chains.params]
    chains[0].params[:] = 9.0
    chains[:2].params[:] = 9.0
    assert not (chains.params == 9.0).any()  # what was taken was a copy
    for index in (5, -6):
        with pytest.raises(IndexError):
            chains[index]


def test_pickling_and_copying() -> None:
    chains = chains_of("4PL")
    chains.params[1] = NAN
    for other in (pickle.loads(pickle.dumps(chains)), copy.deepcopy(chains)):
        assert bits(other.params) == bits(chains.params)
        assert (other.activations, other.frozen) == (chains.activations, chains.frozen)
        assert bits(other([0.5, 1.0])) == bits(chains([0.5, 1.0]))
        other.params[0] = 7.0
        assert not (chains.params[0] == 7.0).any()


# ---- what is refused -----------------------------------------------------------------------------

P, S, A, T = cbp.ParameterError, cbp.ShapeError, cbp.ActivationError, cbp.InputTypeError


def test_what_is_no_array_of_chains() -> None:
    def make(*given: Any, **options: Any) -> Callable[[], Any]:
        return lambda: cbp.ChainArray(*given, **options)

    for wrong in (1.0, [1.0, 2.0], np.ones((2, 3)), np.ones((2, 0)), np.ones((2, 2, 2))):
        refused(make(wrong, "tanh"), S, f"params: shape {np.shape(wrong)}", "(m, 2L)")
    refused(make([[1.0, 2.0], [3.0]]), S, "params")
    refused(make([["1", "2"]]), T, "params: expected real")
    refused(make([[1j, 2.0]]), T, "params: expected real")
    refused(make(np.ones((3, 4)), ["tanh"]), S, "activations")
    refused(make(np.ones((3, 4)), ["tanh", "sigmod"]), A, "activations[1]", "'sigmoid'?")
    refused(make(np.ones((3, 4)), "tanh", frozen=["w3"]), P, "'w3'")


def test_inputs_that_are_refused() -> None:
    chains = chains_of("4PL")
    for function, name in ((chains.forward, "x"), (chains.slope, "x"), (chains.inverse, "y")):
        for shape in ((4, 3), (1, 3), (5, 3, 1)):
            refused(partial(function, np.ones(shape)), S, f"{name}: shape {shape}", "(5, n)")
        refused(partial(function, ["1"]), T, f"{name}: expected real")
        refused(partial(function, [1j]), T, f"{name}: expected real")
        refused(partial(function, [[1.0], [2.0, 3.0]]), S, name)
    refused(lambda: cbp.ChainArray([[1, 0]], "relu").inverse(1.0), P, "layer 1", "relu")


def test_examples_that_are_refused() -> None:
    chains, x, y = chains_of("4PL"), np.ones(3), np.ones((5, 3))
    before = bits(chains.params)
    cases: list[tuple[Any, Any, dict[str, Any], Any, list[str]]] = [
        (x, y[:4], {}, S, ["y: shape (4, 3)", "(5, n)"]),
        (x, y[None], {}, S, ["y: shape (1, 5, 3)"]),
        (x, 1.0, {}, S, ["y: shape ()"]),
        (x[:2], y, {}, S, ["x: shape (2,)", "(3,)", "(5, 3)"]),
        (1.0, y, {}, S, ["x: shape ()"]),
        (y[:4], y, {}, S, ["x: shape (4, 3)"]),
        (x, y, {"sample_weight": [1.0, 2.0]}, S, ["sample_weight: shape (2,)", "(3,)"]),
        (x, y, {"sample_weight": y}, S, ["sample_weight: shape (5, 3)"]),
        (x, y, {"sample_weight": [1.0, -1.0, 1.0]}, P, ["sample_weight[1]: -1.0"]),
        (x, y, {"sample_weight": [0.0, 0.0, 0.0]}, P, ["sample_weight", "0"]),
        (x, y, {"sample_weight": ["1", "2", "3"]}, T, ["sample_weight: expected real"]),
        (x, [["1", "2", "3"]] * 5, {}, T, ["y: expected real"]),
        (x, y, {"loss": "hubr"}, P, ["'hubr'", "'huber'?"]),
        (x, y, {"loss": "huber", "loss_scale": 0.0}, P, ["loss_scale"]),
        (x, y, {"loss": "log"}, A, ["log loss", "sigmoid"]),
    ]
    for own_x, own_y, options, error, words in cases:
        for function in (chains.loss, chains.gradient):
            refused(partial(function, own_x, own_y, **options), error, *words)
    neurons = cbp.ChainArray(np.ones((2, 2)))
    targets = [[0.0, 1.0, 0.5], [0.0, 1.5, 0.5]]
    for function in (neurons.loss, neurons.gradient):
        refused(partial(function, x, targets, loss="log"), P, "y[", "1.5", "between 0 and 1")
    assert bits(chains.params) == before


# ---- what is done to the arrays that are handed out ----------------------------------------------


def tamper(array: Floats) -> None:
    """Change everything about an array that NumPy lets one change in place."""
    changes: list[Callable[[], object]] = [
        lambda: setattr(array, "shape", (array.size, 1)),
        lambda: setattr(array, "strides", (0,) * array.ndim),
        lambda: setattr(array, "dtype", np.int64),
        lambda: array.resize(1),
        lambda: array.resize(1, refcheck=False),
        lambda: array.setflags(write=False),
    ]
    for change in changes:
        with contextlib.suppress(ValueError):
            change()


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
def test_another_shape_of_params_is_the_view_s_alone() -> None:
    chains = cbp.ChainArray(np.ones((40_000, 2)), "identity")
    chains.params.shape = (80_000, 1)
    assert chains.params.shape == (40_000, 2)
    # E = (0.5 - 1)^2: dE/dw = 2 (1.5 - 1) 0.5, dE/db = 2 (1.5 - 1)
    assert np.all(chains.gradient([0.5] * 3, np.ones((40_000, 3))) == [0.5, 1.0])
    refused(
        lambda: chains.gradient([0.5] * 3, np.ones((80_000, 3))), cbp.ShapeError, "y: ", "40000"
    )
    chains.params[:, 0] = 2.0
    assert np.all(chains(1.0) == 3.0)


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
def test_arrays_changed_in_place_change_no_result() -> None:
    line, y = cbp.Chain([1.0], [0.5], "identity"), [[0.5, 1.5, 2.5]]
    fits = cbp.fit_many(line, [0.0, 1.0, 2.0], y)
    curves = cbp.curves.linear.fit_many([0.0, 1.0, 2.0], y)
    fit = cbp.fit(line, [0.0, 1.0, 2.0], y[0])
    for array in (
        line.params, line.weights, line.biases, fit.params, fit.chain.weights, fits.params,
        fits.chains.params, curves.chains.params,
    ):  # fmt: skip
        tamper(array)
    assert line.params.tolist() == [1.0, 0.5]
    assert (line.weights.tolist(), line.biases.tolist()) == ([1.0], [0.5])
    line.params[:] = 2.0, 1.0
    assert line([0.0, 1.0]).tolist() == [1.0, 3.0]
    assert line.step([0.0], [1.0], 0.5) == 0.0
    assert fit.chain(3.0) == pytest.approx(3.5)
    for chains in (fits.chains, curves.chains):
        assert chains.forward([3.0]) == pytest.approx(np.array([[3.5]]))
        assert chains.loss([3.0], [[4.5]]) == pytest.approx([1.0])
        chains.params[:] = 1.0
        assert chains.slope([3.0]).tolist() == [[1.0]]


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize("params", [np.ones((80, 1)), np.ones(80), np.ones((40, 2), "f4"), [1.0]])
def test_the_core_checks_what_it_is_given(params: Any) -> None:
    kind, y = cbp.Chain([1.0], [1.0], "identity"), np.ones((len(params), 3))
    given = np.asarray(params)
    for call in (
        lambda: _core.forward_many(given, kind, [0.5]),
        lambda: _core.inverse_many(given, kind, [0.5]),
        lambda: _core.gradient_many(given, kind, y[0], y, None, 0, 1.0, None),
        lambda: _core.gradient_many(np.ones((len(y), 2)), kind, y[0], y, None, 0, 1.0, given),
        lambda: _core.choose_starts(kind, y[0], y, None, None, None, given, 0, y),
    ):
        refused(call, cbp.ShapeError, "expected")


def test_chains_that_travelled_as_raw_memory() -> None:
    chains, buffers = chains_of("4PL"), list[pickle.PickleBuffer]()
    data = pickle.dumps(chains, 5, buffer_callback=buffers.append)
    moved = [memoryview(b"x" + buffer.raw())[1:] for buffer in buffers]
    assert moved
    there = pickle.loads(data, buffers=moved)
    x = np.linspace(0.1, 2, 7)
    assert bits(there(x)) == bits(chains(x))
    assert bits(there.gradient(x, x)) == bits(chains.gradient(x, x))
    there.params[:] = 1.0
    # log x, sigma(log x + 1) = 1 / (1 + 1 / (e x)), and 1 more
    there.params[:, 1] = 0.0
    np.testing.assert_allclose(there(x)[2], 2 - 1 / (1 + math.e * x), rtol=1e-14)


def test_sums_that_travelled_as_raw_memory() -> None:
    sums = np.arange(8.0).reshape(2, 4)
    raw = np.frombuffer(b"x" + sums.tobytes(), np.uint8)[1:].view(np.float64).reshape(2, 4)
    total = _core.merge_sums([raw, raw])
    assert (total[0] + total[1]).tolist() == (2 * (sums[0] + sums[1])).tolist()


def test_more_chains_than_one_call_into_c_takes() -> None:
    """Two layers and more than 2^21 targets: losses and gradients of all chains, by hand."""
    m, n = 1500, 1500
    slope, shift = np.arange(m) / 256, np.arange(m)[::-1] / 512
    params = np.column_stack([slope, shift, np.ones(m), np.zeros(m)])
    chains = cbp.ChainArray(params, ["identity", "identity"])
    x, y = np.array([-1.0, 0.0, 2.0] * (n // 3)), np.zeros((m, n))
    # E = mean (w x + b)^2 over x = -1, 0, 2
    expected = (5 * slope**2 + 2 * slope * shift + 3 * shift**2) / 3
    by_slope, by_shift = (10 * slope + 2 * shift) / 3, (2 * slope + 6 * shift) / 3
    np.testing.assert_allclose(chains.loss(x, y), expected, rtol=1e-14)
    gradient = chains.gradient(x, y)
    by_hand = np.column_stack([by_slope, by_shift, 2 * expected, by_shift])
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-13)
    outputs = np.outer(slope, x[:3]) + shift[:, None]
    np.testing.assert_array_equal(chains(x)[:, :3], outputs)
    own = np.tile(x, (m, 1))
    np.testing.assert_array_equal(chains(own)[:, :3], outputs)
    np.testing.assert_allclose(chains.gradient(own, y), gradient, rtol=1e-14)
