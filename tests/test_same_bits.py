"""Hazard: other bits alone, among others, on other kernels or in other threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from error_bounds import forward_bound

import cbackprop as cbp
from cbackprop import _core, reference

Floats = npt.NDArray[np.float64]
LOSSES = list(reference.LOSSES)
# around the width of a vector, of a tile and of a block of sums
SIZES = (1, 2, 3, 15, 16, 17, 127, 128, 129, 2047, 2048, 2049, 5000)
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e300, -1e300, 708.5, -745.0)
NOT_INVERTIBLE = ("relu", "silu", "gelu", "square", "gaussian", "sin")


def bits(values: Any) -> bytes:
    """The bytes of an array; NaNs are made equal, whose sign and payload mean nothing."""
    numbers = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = np.nan
    return numbers.tobytes()


def inputs(seed: int, size: int = SIZES[-1]) -> Floats:
    """Numbers of all sizes, and every 25th something special."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size) * np.exp(rng.uniform(-3, 3, size))
    x[::25] = np.resize(SPECIAL, len(x[::25]))
    return x


def chain_of(name: str) -> cbp.Chain:
    return cbp.Chain([0.75, -1.25, 0.5], [0.5, 0.25, 0.125], [name, "identity", name])


# ---- alone and among others ----------------------------------------------------------------------


def check_sizes(alone: Floats, batch: Callable[[int], Floats], case: str) -> None:
    for size in SIZES:
        assert bits(batch(size)) == bits(alone[:size]), (case, size)


@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_maps_alone_and_in_a_batch(name: str) -> None:
    seed = 500 + cbp.ACTIVATIONS.index(name)
    net, x = chain_of(name), inputs(seed)
    functions: list[Callable[[Any], Any]] = [net.forward, net.slope]
    if name not in NOT_INVERTIBLE:
        functions.append(net.inverse)
    for function in functions:

        def first(size: int, function: Callable[[Any], Any] = function) -> Any:
            return function(x[:size])

        alone = np.array([function(number) for number in x.tolist()])
        check_sizes(alone, first, f"{function.__name__}, seed {seed}")


@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_rows_alone_and_in_a_batch(name: str) -> None:
    seed = 600 + cbp.ACTIVATIONS.index(name)
    net, x = chain_of(name), inputs(seed)
    y = inputs(seed + 50)[::-1].copy()
    alone = np.array([net.jacobian(number)[0] for number in x.tolist()])
    check_sizes(alone, lambda size: net.jacobian(x[:size]), f"jacobian, seed {seed}")
    alone = np.array([net.gradient(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
    check_sizes(alone, lambda size: net.gradients(x[:size], y[:size]), f"gradients, seed {seed}")


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_alone_and_in_a_batch(loss: Any) -> None:
    net = cbp.Chain([0.75, -1.25], [0.5, 0.25], ["softplus", "sigmoid"])
    x, y = inputs(700), np.random.default_rng(701).uniform(size=SIZES[-1])
    options = {"loss": loss, "loss_scale": 0.25}
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    alone = np.array([net.gradient(a, b, **options) for a, b in pairs])
    check_sizes(alone, lambda size: net.gradients(x[:size], y[:size], **options), loss)
    for a, b in pairs[:200]:
        number, array = net.loss(a, b, **options), net.loss([a], [b], **options)
        assert bits(number) == bits(array) == bits(net.trace(a, b, **options).loss), (a, b)


def test_an_example_does_not_see_where_it_stands() -> None:
    net, x = cbp.Chain.random(5, "tanh", rng=702), np.random.default_rng(703).normal(size=300)
    order = np.random.default_rng(704).permutation(300)
    assert bits(net(x[order])) == bits(net(x)[order])
    assert bits(net.jacobian(x[order])) == bits(net.jacobian(x)[order])


# ---- kernels -------------------------------------------------------------------------------------

FUSED = ("avx2", "avx512")


@pytest.fixture
def _kernels_restored() -> Iterator[None]:
    yield
    _core.choose_kernel(None)


def has(kernel: str) -> bool:
    try:
        _core.choose_kernel(kernel)
    except cbp.CBackpropError:
        return False
    finally:
        _core.choose_kernel(None)
    return True


def everything(name: str, loss: Any) -> dict[str, bytes]:
    """All that a chain computes, on numbers of all sizes."""
    positive = ("log", "poisson", "binomial", "power", "box_cox")
    last = "sigmoid" if loss in positive else name  # where these losses are defined
    net = cbp.Chain([0.75, -1.25, 0.5], [0.5, 0.25, 0.125], [name, "tanh", last])
    x, y = inputs(800), np.random.default_rng(801).uniform(size=SIZES[-1])
    weight = np.random.default_rng(802).integers(0, 8, SIZES[-1]) / 3
    options = {"loss": loss, "loss_scale": 0.25}
    finite = np.isfinite(np.column_stack([net(x), net.gradients(x, y, **options)])).all(axis=1)
    results = {
        "activation": _core.activation_values(name, x),
        "forward": net(x),
        "slope": net.slope(x),
        "jacobian": net.jacobian(x),
        "gradients": net.gradients(x, y, **options),
        "hessian": net.hessian(x[finite][:50], y[finite][:50], **options),
        "one": net.gradient(0.3, 0.7, **options),
        "one forward": net(0.3),
    }
    if name not in NOT_INVERTIBLE:
        results["inverse"] = net.inverse(x)
    for kind, sample_weight in (("equal", None), ("weighted", weight[finite])):
        value, gradient = net.loss_and_gradient(
            x[finite], y[finite], sample_weight=sample_weight, **options
        )
        results[f"loss, {kind}"], results[f"gradient, {kind}"] = value, gradient
    net.step(x[finite], y[finite], 0.1)
    results["step"] = net.params
    return {key: bits(result) for key, result in results.items()}


@pytest.mark.thread_unsafe(reason="kernels are chosen for the process")
@pytest.mark.usefixtures("_kernels_restored")
@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_kernels_with_fused_multiply_add(name: str) -> None:
    present = [kernel for kernel in FUSED if has(kernel)]
    if len(present) < 2:
        pytest.skip(f"of the kernels {', '.join(FUSED)} this machine has {present}")
    results = []
    for kernel in present:
        _core.choose_kernel(kernel)
        assert _core.kernel() == kernel
        results.append([everything(name, loss) for loss in LOSSES])
    assert results[0] == results[1]


@pytest.mark.thread_unsafe(reason="kernels are chosen for the process")
@pytest.mark.usefixtures("_kernels_restored")
@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_generic_kernels_agree_within_rounding(name: str) -> None:
    # z stays within every domain and away from the zeros of the slopes
    net = cbp.Chain([0.5, 0.5, -1.5], [0.125, 1.5, 0.25], ["tanh", name, "arctan"])
    x = np.random.default_rng(803).uniform(-3, 3, 500)
    best = net(x)
    bounds = np.array([forward_bound(net, number) for number in x.tolist()])
    _core.choose_kernel("generic")
    generic = net(x)
    # each may err by the bound, in opposite directions
    assert np.all(np.abs(generic - best) <= 2 * bounds)


@pytest.mark.thread_unsafe(reason="kernels are chosen for the process")
@pytest.mark.usefixtures("_kernels_restored")
def test_chosen_kernels_are_used_until_the_best_are_chosen_again() -> None:
    best = _core.kernel()
    _core.choose_kernel("generic")
    assert _core.kernel() == "generic"
    with pytest.raises(cbp.ParameterError, match="kernel"):
        _core.choose_kernel("abacus")
    assert _core.kernel() == "generic"
    _core.choose_kernel(None)
    assert _core.kernel() == best


# ---- threads -------------------------------------------------------------------------------------


def test_threads_may_read_one_chain() -> None:
    net = cbp.Chain.random(40, "tanh", rng=804)  # longer than what needs no work memory
    x, y = np.random.default_rng(805).normal(size=(2, 5000))
    threads = 8
    together = Barrier(threads)

    def read(_: int) -> list[bytes]:
        together.wait()
        results = [net(x), net.slope(x), net.jacobian(x[:500]), net.gradients(x[:500], y[:500])]
        results += [net.gradient(x, y), net.gradient(0.5, 1.0), net.hessian(x[:5], y[:5])]
        return [bits(result) for result in results]

    with ThreadPoolExecutor(threads) as pool:
        first, *others = pool.map(read, range(threads))
    assert all(other == first for other in others)


def sums_of_shards(net: cbp.Chain, x: Any, y: Any, weight: Any) -> Any:
    """Average by the documented order: shards of 32 blocks, added one after the other."""
    cuts = [slice(start, start + 32 * 2048) for start in range(0, len(x), 32 * 2048)]
    parts = [_core.gradient_sums(net, x[c], y[c], weight[c], "huber", 0.5) for c in cuts]
    return _core.mean_of_sums(_core.merge_sums(parts))


@pytest.mark.parametrize("n", [1, 2, 65_536, 65_537, 131_072, 300_000])
def test_the_number_of_threads_changes_no_bit(n: int) -> None:
    net = cbp.Chain([0.7, -1.2, 2.0], [0.1, 0.3, -1.0], ["tanh", "sigmoid", "identity"])
    x, y = np.random.default_rng(806).normal(size=(2, n))
    weight = np.random.default_rng(807).random(n)
    options: dict[str, Any] = {"loss": "huber", "loss_scale": 0.5, "sample_weight": weight}

    def everything_on(threads: int | None) -> list[bytes]:
        rows: dict[str, Any] = {"loss": "huber", "threads": threads}
        value, gradient = net.loss_and_gradient(x, y, threads=threads, **options)
        mean = sums_of_shards(net, x, y, weight)
        assert bits(gradient) == bits(mean[1:])
        assert value == mean[0] == net.loss(x, y, threads=threads, **options)
        results = [net(x, threads=threads), net.slope(x, threads=threads), gradient]
        results += [net.inverse(y, threads=threads), net.gradient(x, y, threads=threads, **options)]
        results += [net.jacobian(x, threads=threads), net.gradients(x, y, **rows)]
        return [bits(result) for result in results]

    expected = everything_on(1)
    for threads in (None, 2, 3, 7):
        assert everything_on(threads) == expected, threads


@pytest.mark.parametrize("own_x", [False, True])
def test_threads_and_many_chains(own_x: bool) -> None:
    rng = np.random.default_rng(808)
    chains = cbp.ChainArray(rng.uniform(0.5, 1.5, size=(5000, 6)), ["tanh", "sigmoid", "identity"])
    y = rng.normal(size=(5000, 40))
    x = rng.normal(size=y.shape if own_x else 40)

    def everything_on(threads: int | None) -> list[bytes]:
        results = [chains(x, threads=threads), chains.slope(x, threads=threads)]
        results += [chains.inverse(y, threads=threads), chains.loss(x, y, threads=threads)]
        results.append(chains.gradient(x, y, sample_weight=np.ones(40), threads=threads))
        return [bits(result) for result in results]

    expected = everything_on(1)
    for i in (0, 2500, 4999):  # those of the chains by themselves
        row = x[i] if own_x else x
        assert bits(chains[i](row)) == bits(chains(x, threads=2)[i])
        assert bits(chains[i].gradient(row, y[i])) == bits(chains.gradient(x, y, threads=2)[i])
    for threads in (None, 2, 3, 7):
        assert everything_on(threads) == expected, threads


@pytest.mark.parametrize("threads", [0, -1, True, 2.0, "5"])
def test_numbers_of_threads_that_are_refused(threads: Any) -> None:
    net, chains = cbp.Chain([1.0], [0.0], "tanh"), cbp.ChainArray([[1.0, 0.0]], "tanh")
    of_x: list[Any] = [net, net.forward, net.slope, net.inverse, net.jacobian]
    of_x += [chains, chains.slope, chains.inverse]
    of_both: list[Any] = [net.loss, net.gradient, net.loss_and_gradient, net.gradients]
    for x in (0.5, [0.5]):
        for call in of_x:
            with pytest.raises(cbp.ParameterError, match=rf"threads: {threads!r}; expected"):
                call(x, threads=threads)
        for call in of_both:
            with pytest.raises(cbp.ParameterError, match=rf"threads: {threads!r}; expected"):
                call(x, x, threads=threads)
    with pytest.raises(cbp.ParameterError, match="threads"):
        chains.loss([0.5], [0.5], threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_invalid_example_is_named_by_any_thread(threads: int) -> None:
    net = cbp.Chain([1.0], [0.0], "sigmoid")
    x = np.zeros(1_000_000)
    x[[400_000, 999_999]] = 2.0
    with pytest.raises(cbp.ParameterError, match=r"2\.0"):
        net.gradient(x, x, loss="log", threads=threads)
    with pytest.raises(cbp.ParameterError, match=r"2\.0"):
        net.gradients(x, x, loss="log", threads=threads)
