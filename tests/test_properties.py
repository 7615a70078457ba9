"""Hazard: what nobody thought of: what holds of every chain, of examples that hypothesis draws.

Each test has a few, the same ones each time; PROPERTY_EXAMPLES=200 draws so many, and
PROPERTY_SEED=random other ones each time.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import os
import pickle
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import numpy.typing as npt
import pytest
from error_bounds import EPSILON, SLOPE_ULP, UNIT, VALUE_ULP, forward_bound, inverse_bound
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_reference import EXACT, exact_loss

import cbackprop as cbp
from cbackprop import _core, reference
from cbackprop.cli import main as command
from cbackprop.cli.table import TableError, read_table

Floats = npt.NDArray[np.float64]
COUNT = int(os.environ.get("PROPERTY_EXAMPLES", "25"))
settings.register_profile(
    "cbackprop",
    max_examples=COUNT,
    derandomize=os.environ.get("PROPERTY_SEED") != "random",
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("cbackprop")
pytestmark = pytest.mark.thread_unsafe(reason="hypothesis draws for one thread")

LOSSES = list(reference.LOSSES)
# of slopes and second derivatives of at most 2, everywhere
GENTLE = [
    "identity",
    "sigmoid",
    "tanh",
    "softplus",
    "silu",
    "gelu",
    "softsign",
    "arctan",
    "gaussian",
    "log_sigmoid",
    "normal_cdf",
    "sin",
]
ONE_TO_ONE = ["identity", "sigmoid", "tanh", "leaky_relu", "softplus", "softsign", "arctan", "exp"]
ONE_TO_ONE += ["expm1", "log", "log1p", "reciprocal", "sqrt", "log_sigmoid", "normal_cdf"]
ANY = st.floats(allow_subnormal=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TAME = st.floats(-2, 2).map(lambda number: round(number, 6))


@st.composite
def chains(
    draw: st.DrawFn,
    names: list[str] | None = None,
    numbers: st.SearchStrategy[float] = TAME,
    most: int = 4,
) -> cbp.Chain:
    activations = draw(
        st.lists(st.sampled_from(names or cbp.ACTIVATIONS), min_size=1, max_size=most)
    )
    layers = len(activations)
    weights, biases = (draw(st.lists(numbers, min_size=layers, max_size=layers)) for _ in range(2))
    free = draw(st.lists(st.booleans(), min_size=2 * layers, max_size=2 * layers))
    net = cbp.Chain(weights, biases, activations)
    frozen = [name for name, is_free in zip(net.param_names, free, strict=True) if not is_free]
    return cbp.Chain(weights, biases, activations, frozen)


def examples(numbers: st.SearchStrategy[float], least: int = 1) -> st.SearchStrategy[Floats]:
    return st.lists(numbers, min_size=least, max_size=30).map(np.array)


def bits(numbers: Any) -> bytes:
    """All NaN are one."""
    array = np.asarray(numbers, dtype=np.float64)
    return np.where(np.isnan(array), math.nan, array).tobytes()


# ---- one example, layer by layer, against exact arithmetic ---------------------------------------


def slope_exactly(name: str, z: mp.mpf) -> mp.mpf:
    if name in ("relu", "leaky_relu", "elu") and z == 0:
        return mp.mpf({"relu": 0, "leaky_relu": mp.mpf(0.01), "elu": 1}[name])
    return mp.diff(EXACT[name], z)


def is_within(found: float, exact: mp.mpf, units: float) -> bool:
    """Whether the error is at most so many units in the last place of the exact number."""
    unit = mp.ldexp(1, max(mp.frexp(exact)[1] - 53, -1074)) if exact else mp.ldexp(1, -1074)
    return bool(abs(mp.mpf(found) - exact) <= units * unit)


def target_for(loss: str, y: float) -> float:
    """Return a target that the loss takes."""
    if loss == "binomial":
        return min(abs(y), 1.0)
    return abs(y) or 1.0 if loss in ("poisson", "power", "box_cox") else y


@given(chains(), TAME, TAME, st.sampled_from(LOSSES[:1] + LOSSES[2:]))
def test_each_layer_to_its_promise(net: cbp.Chain, x: float, y: float, loss: Any) -> None:
    """From what a layer was given to what it gives: no error is carried on, so none is excused."""
    y = target_for(loss, y)
    seen = net.trace(x, y, loss=loss)
    before = x
    with mp.workdps(50):
        for w, b, name, z, a, slope in zip(
            net.weights, net.biases, net.activations, seen.z, seen.a, seen.slope, strict=True
        ):
            if not math.isfinite(before):
                break
            exact = Fraction(w) * Fraction(before) + Fraction(b)
            assert abs(Fraction(float(z)) - exact) <= Fraction(UNIT) * (
                abs(Fraction(w) * Fraction(before)) + abs(exact)
            )
            if not (math.isfinite(a) and math.isfinite(slope)) or abs(z) > 1e3:
                break  # beyond a domain, or at a pole: tests/test_edges.py
            at = mp.mpf(float(z))
            assert is_within(float(a), EXACT[name](at), VALUE_ULP), name
            if name not in ("silu", "gelu", "sin"):  # their slopes have zeros; test_activation.py
                steep = mp.mpf(1) if name == "identity" else slope_exactly(name, at)
                assert is_within(float(slope), steep, SLOPE_ULP), name
            before = float(a)
    assert bits(net(x)) == bits(seen.a[-1])
    if not np.all(np.isfinite([*seen.a, *seen.slope, *seen.delta])):
        return
    # backwards, with two roundings for each error signal and one for each derivative
    tiny = Fraction(2) ** -1074
    for k in reversed(range(net.layers)):
        delta = Fraction(float(seen.delta[k]))
        if k + 1 < net.layers:
            pushed = Fraction(float(seen.delta[k + 1])) * Fraction(float(net.weights[k + 1]))
            signal = pushed * Fraction(float(seen.slope[k]))
            slack = tiny * (1 + abs(Fraction(float(seen.slope[k]))))
            assert abs(delta - signal) <= 2 * Fraction(EPSILON) * abs(signal) + slack
        given_to = Fraction(float(seen.a[k - 1])) if k else Fraction(x)
        by_w = Fraction(float(seen.gradient[2 * k]))
        assert abs(by_w - delta * given_to) <= Fraction(UNIT) * abs(delta * given_to) + tiny
        assert Fraction(float(seen.gradient[2 * k + 1])) == delta


@given(chains(GENTLE), TAME)
def test_forward_within_its_bound(net: cbp.Chain, x: float) -> None:
    with mp.workdps(50):
        a = mp.mpf(x)
        for w, b, name in zip(net.weights, net.biases, net.activations, strict=True):
            a = EXACT[name](mp.mpf(float(w)) * a + mp.mpf(float(b)))
        # the bound is of the first order; a second derivative of 2 times its square is lost in it
        assert abs(mp.mpf(net(x)) - a) <= forward_bound(net, x) * (1 + 1e-9) + 1e-300


BOUNDED = [loss for loss in LOSSES if loss not in ("power", "box_cox")]  # see test_curves_variance


@given(chains(most=1), ANY, TAME, st.sampled_from(BOUNDED), st.floats(0.1, 3))
def test_the_readable_twin(net: cbp.Chain, x: float, y: float, loss: Any, scale: float) -> None:
    """One layer, any input: the same but for the last places; infinite or NaN in the same cases."""
    if loss == "log":
        net, y = cbp.Chain(net.weights, net.biases, "sigmoid"), abs(y) / 2
    if loss == "poisson":
        net, y = cbp.Chain(net.weights, net.biases, "softplus"), abs(y)
    if loss == "binomial":
        net, y = cbp.Chain(net.weights, net.biases, "sigmoid"), target_for(loss, y)
    if net.activations == ("sin",):
        assume(abs(net.weights[0] * x + net.biases[0]) <= 2**20 or not math.isfinite(x))
    ours = net.trace(x, y, loss=loss, loss_scale=scale)
    theirs = reference.trace(net.params.tolist(), net.activations, x, y, loss=loss, scale=scale)
    # w x + b is rounded once here and twice there; each slope passes that on
    z, slope, a = theirs.z[0], theirs.slope[0], theirs.a[0]
    moved = EPSILON * (abs(float(net.weights[0]) * x) + abs(z))
    if not math.isfinite(a) or not math.isfinite(slope) or max(abs(a), moved) > 1e100:
        assert math.isnan(ours.a[0]) == math.isnan(a)
        return
    # a step of z by its rounding, where the slope may be another one
    steep = max(abs(slope), *(abs(net_slope(net, z + by)) for by in (-2 * moved, 2 * moved)))
    error = steep * moved + 8 * EPSILON * abs(a) + 1e-300
    assert abs(ours.a[0] - a) <= error
    if loss == "poisson" and a < 1e-300:  # which may round to 0, where there is no deviance
        return
    if loss == "binomial" and not 1e-9 < a < 1 - 1e-9:  # or to 0 or 1
        return
    pull = abs(theirs.delta[0] / slope) if slope and loss != "log" else 0.0
    if loss == "log":
        pull, error = abs(theirs.delta[0]), moved
    assert abs(ours.loss - theirs.loss) <= 2 * pull * error + error**2 + 8 * EPSILON * theirs.loss


def net_slope(net: cbp.Chain, z: float) -> float:
    """Of the activation alone; infinite beyond its domain, where anything may be."""
    slope = reference.ACTIVATIONS[net.activations[0]][1](z)
    return math.inf if math.isnan(slope) else slope


def chain_error(names: tuple[str, ...], x: float, y: float, loss: str) -> Callable[..., mp.mpf]:
    def error(*params: mp.mpf) -> mp.mpf:
        a = mp.mpf(x)
        for layer, name in enumerate(names):
            a = EXACT[name](params[2 * layer] * a + params[2 * layer + 1])
        return exact_loss(loss, a, mp.mpf(y), mp.mpf(1))

    return error


@settings(max_examples=COUNT // 3 + 1)
@given(chains(GENTLE, most=2), TAME, TAME, st.sampled_from(["squared", "soft_l1", "cauchy"]))
def test_gradient_and_hessian_within_bounds(net: cbp.Chain, x: float, y: float, loss: Any) -> None:
    """Against differences in 60 digits, which know nothing of the chain rule."""
    error, count = chain_error(net.activations, x, y, loss), 2 * net.layers
    # Each entry is a sum of products of weights, inputs, slopes, second slopes (all at most 2) and
    # the residual; one factor a layer is rounded once or twice, to SLOPE_ULP.
    largest = max(1.0, *np.abs(net.weights)) * max(1.0, abs(x), *np.abs(net.trace(x, y).a))
    size = 2.0 ** (2 * net.layers) * largest ** (2 * net.layers) * (2 + abs(net(x) - y))
    bound = 16 * net.layers * EPSILON * size
    with mp.workdps(60):
        at = tuple(mp.mpf(float(p)) for p in net.params)
        gradient, hessian = net.gradient(x, y, loss=loss), net.hessian(x, y, loss=loss)
        for i in range(count):
            once = tuple(int(k == i) for k in range(count))
            assert abs(mp.diff(error, at, once) - gradient[i]) <= bound
            for j in range(i + 1):
                twice = tuple(int(k == i) + int(k == j) for k in range(count))
                assert abs(mp.diff(error, at, twice) - hessian[i, j]) <= bound
                assert hessian[i, j] == hessian[j, i]


@given(chains(ONE_TO_ONE), TAME)
def test_there_and_back(net: cbp.Chain, x: float) -> None:
    assume(np.all(net.weights != 0))
    seen = net.trace(x, 0.0)
    assume(np.all(np.isfinite(seen.a)) and np.all(np.isfinite(seen.slope)))
    assume(np.all(seen.slope != 0))
    with np.errstate(all="ignore"):
        bound = inverse_bound(net, x)
    assume(bound < 1e-7 * (1e-3 + abs(x)))  # well conditioned, so that the first order is all
    # and far enough from where the slopes bend
    assume(np.all(np.abs(seen.slope) > 1e-3) and np.all(np.abs(seen.slope) < 1e3))
    assert abs(net.inverse(net(x)) - x) <= 1.01 * bound


# ---- many examples ------------------------------------------------------------------------------


@given(chains(numbers=FINITE), examples(ANY))
def test_alone_and_among_others(net: cbp.Chain, x: Floats) -> None:
    """The same bits, whatever the numbers: infinite, NaN, subnormal."""
    y = x[::-1].copy()
    assert bits(net(x)) == bits([net(float(number)) for number in x])
    assert bits(net.slope(x)) == bits([net.slope(float(number)) for number in x])
    assert bits(net.jacobian(x)) == bits([net.jacobian(x[i : i + 1])[0] for i in range(len(x))])
    rows = net.gradients(x, y)
    assert bits(rows) == bits(
        [net.trace(float(a), float(b)).gradient for a, b in zip(x, y, strict=True)]
    )
    if np.all(net.weights != 0) and set(net.activations) <= set(ONE_TO_ONE):
        assert bits(net.inverse(x)) == bits([net.inverse(float(number)) for number in x])
    array = cbp.ChainArray(np.tile(net.params, (3, 1)), net.activations)
    assert bits(array(x)) == bits(np.tile(net(x), (3, 1)))


@given(chains(GENTLE), examples(TAME, 2), st.data())
def test_sums_over_chunks(net: cbp.Chain, x: Floats, data: st.DataObject) -> None:
    """Cut anywhere and merged in order: the mean to the rounding of a few sums."""
    y = np.cos(x)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=3)))
    edges = [0, *cuts, len(x)]
    shards = [
        _core.gradient_sums(net, x[a:b], y[a:b], None, "squared", 1.0)
        for a, b in itertools.pairwise(edges)
        if a < b
    ]
    merged = _core.mean_of_sums(_core.merge_sums(shards))
    loss, gradient = net.loss_and_gradient(x, y)
    rows = np.abs(net.gradients(x, y)).mean(axis=0)
    assert abs(merged[0] - loss) <= 8 * EPSILON * loss
    assert np.all(np.abs(merged[1:] - gradient) <= 8 * EPSILON * rows + 1e-300)


@given(chains(GENTLE), TAME, TAME)
def test_another_differentiator(net: cbp.Chain, x: float, y: float) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    functions: dict[str, Any] = {
        "identity": lambda z: z,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "softplus": jax.nn.softplus,
        "silu": jax.nn.silu,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
        "softsign": jax.nn.soft_sign,
        "arctan": jnp.arctan,
        "gaussian": lambda z: jnp.exp(-z * z / 2),
        "log_sigmoid": jax.nn.log_sigmoid,
        "normal_cdf": jax.scipy.stats.norm.cdf,
        "sin": jnp.sin,
    }

    def loss(params: Any) -> Any:
        a = x
        for k, name in enumerate(net.activations):
            a = functions[name](params[2 * k] * a + params[2 * k + 1])
        return (a - y) ** 2

    value, gradient = jax.value_and_grad(loss)(jnp.array(net.params))
    ours = net.loss_and_gradient(x, y)
    size = float(np.prod(np.maximum(1, 2 * np.abs(net.weights)))) * 2 * (1 + abs(net(x) - y))
    assert abs(ours[0] - float(value)) <= 1e-13 * size**2
    np.testing.assert_allclose(ours[1], np.asarray(gradient), rtol=0, atol=1e-13 * size**2)


# ---- fits ---------------------------------------------------------------------------------------


@given(chains(GENTLE, most=3), examples(TAME, 6), st.data())
def test_fits_keep_to_their_bounds(net: cbp.Chain, x: Floats, data: st.DataObject) -> None:
    assume(np.any(net.free))
    y = np.array(data.draw(st.lists(TAME, min_size=len(x), max_size=len(x))))
    bounds = {
        name: (
            float(value) - data.draw(st.floats(0, 1)) if data.draw(st.booleans()) else None,
            float(value) + data.draw(st.floats(0, 1)) if data.draw(st.booleans()) else None,
        )
        for name, value in zip(net.param_names, net.params, strict=True)
        if name not in net.frozen
    }
    method: Any = data.draw(st.sampled_from(["lm", "gradient_descent", "sgd", "momentum", "adam"]))
    loss: Any = data.draw(st.sampled_from(["squared", "huber", "soft_l1", "cauchy"]))
    before, start = net.loss(x, y, loss=loss), net.params.copy()
    found = cbp.fit(net, x, y, method=method, loss=loss, bounds=bounds, max_iterations=20, rng=1)
    assert net.params.tobytes() == start.tobytes()
    for name, value, first in zip(net.param_names, found.params, start, strict=True):
        if name in net.frozen:
            assert bits(value) == bits(first)
        else:
            low, high = bounds[name]
            assert low is None or value >= low
            assert high is None or value <= high
    assert found.loss == pytest.approx(found.chain.loss(x, y, loss=loss), rel=1e-9, abs=1e-300)
    if method == "lm":
        assert found.loss <= before * (1 + 1e-12)


@settings(max_examples=COUNT // 2 + 1)
@given(chains(GENTLE, most=3), st.integers(0, 2**32 - 1), st.data())
def test_many_fits_in_any_order(net: cbp.Chain, seed: int, data: st.DataObject) -> None:
    assume(np.any(net.free))
    rng, m = np.random.default_rng(seed), data.draw(st.integers(1, 20))
    x, y = rng.uniform(-2, 2, 12), rng.normal(0, 1, (m, 12))
    y[rng.random(y.shape) < 0.05] = math.nan
    order = data.draw(st.permutations(range(m)))
    straight = cbp.fit_many(net, x, y, max_iterations=40, threads=1)
    mixed = cbp.fit_many(net, x, y[order], max_iterations=40, threads=1)
    for name in ("params", "loss", "stderr", "codes", "n_iterations"):
        one, other = getattr(straight, name)[order], getattr(mixed, name)
        assert bits(one) == bits(other), name
    held = ~net.free
    assert np.all(straight.params[:, held] == net.params[held])


# ---- what is written is read --------------------------------------------------------------------


@given(chains(numbers=FINITE))
def test_models_come_back(net: cbp.Chain) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        net.save(path)
        read = cbp.load(path)
        first = path.read_bytes()
        read.save(path)
        assert path.read_bytes() == first
    for other in (read, pickle.loads(pickle.dumps(net)), net.copy(), eval(repr(net), vars(cbp))):
        assert other.params.tobytes() == net.params.tobytes()
        assert (other.activations, other.frozen) == (net.activations, net.frozen)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.data())
def test_tables_come_back(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    mark = data.draw(st.sampled_from(",;\t"))
    names = data.draw(st.lists(NAMES, min_size=width, max_size=width, unique=True))
    # words alone: a name like "1e5" could be a row of data, and "#" begins a comment
    names = [f"n{name}" for name in names]
    rows = [[data.draw(FINITE) for _ in range(width)] for _ in range(height)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark)
    writer.writerow(names)
    writer.writerows([repr(number) for number in row] for row in rows)
    # the first mark in the first line counts: tab, semicolon, comma
    assume(width > 1 and not any(other in "".join(names) for other in "\t;,"[: "\t;,".index(mark)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(text.getvalue().encode())
        table = read_table(str(path))
    assert (table.names, len(table)) == (tuple(names), height)
    for k, name in enumerate(names):
        assert bits(table.numbers(name)) == bits([row[k] for row in rows])


@given(st.binary(max_size=80) | st.text('0123456789.,;\t\n"#eE+-naif ', max_size=60))
def test_any_table_is_read_or_refused(content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        try:
            table = read_table(str(path))
            for name in table.names:
                assert len(table.numbers(name)) == len(table)
        except TableError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


WORDS = ["fit", "predict", "trace", "invert", "curves", "info", "export", "--curve", "logistic4"]
WORDS += ["hill", "--x", "dose", "--y", "response", "2", "--weights", "1,2", "--biases", "0,nan"]
WORDS += ["--input", "--target", "0.5", "--json", "--group", "--fixed", "top=5", "--loss", "cauchy"]
WORDS += ["--start", "--free", "--model", "--activations", "exp,identity", "-", "--", "", "1e400"]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=8), st.booleans())
def test_the_command_ends_in_a_line(words: list[str], has_file: bool) -> None:
    """Exit code 0, 1 or 2; what went wrong in one line."""
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "table.csv")
        path.write_text("dose,response\n1,2\n2,3.5\n4,4\n8,4.25\n16,4.5\n", encoding="utf-8")
        patch.chdir(folder)
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1,2\n2,3\n")))
        given_words = [*words[:1], "table.csv", *words[1:]] if has_file else words
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = command(given_words)
            except SystemExit as end:  # --help
                code = end.code if isinstance(end.code, int) else 0
    assert code in (0, 1, 2)
    assert "Traceback" not in err.getvalue()
    assert code != 2 or err.getvalue().count("\n") == 1
