"""Many fits at once: what each chain finds alone, in any company, or its own status."""

from __future__ import annotations

import _thread
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import curve_fit

import cbackprop as cbp
from cbackprop import _core
from cbackprop.fits import many

Floats = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf
DOSES: Floats = np.exp(np.linspace(-3, 3, 12))
WIDE: Floats = np.exp(np.linspace(-4, 4, 24))


# ---- problems ------------------------------------------------------------------------------------

LOGISTIC4 = cbp.Chain(
    [1.0, 1.0, 5.0], [0.0, 0.0, 0.0], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)


def four_pl(x: Floats, w2: Any, b2: Any, w3: Any, b3: Any) -> Floats:
    """What LOGISTIC4 computes, written out."""
    return np.asarray(b3 + w3 / (1 + np.exp(-(w2 * np.log(x) + b2))))


def logistic4(seed: int, m: int, x: Floats = DOSES, asymmetry: Any = 1.0) -> Floats:
    """Noisy dose-response curves, shape (m, n)."""
    rng = np.random.default_rng(seed)
    bottom, height = rng.uniform(-1, 1, (m, 1)), rng.uniform(1, 10, (m, 1))
    ec50, slope = np.exp(rng.uniform(-1, 1, (m, 1))), rng.uniform(0.6, 2.5, (m, 1))
    clean = bottom + height / (1 + (ec50 / x) ** slope) ** asymmetry
    return np.asarray(clean + 0.03 * height * rng.standard_normal((m, x.size)))


def logistic5_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    activations = ["log", "log_sigmoid", "exp", "identity"]
    net = cbp.Chain(np.ones(4), np.zeros(4), activations, frozen=["w1", "b1", "b3"])
    asymmetry = np.exp(np.random.default_rng(1).uniform(-0.5, 0.5, (200, 1)))
    return net, WIDE, logistic4(2, 200, WIDE, asymmetry), {}


def gompertz_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    net = cbp.Chain([-0.7, -1, 1], [1, 0, 0], ["exp", "exp", "identity"], frozen=["w2", "b2", "b3"])
    rng, x = np.random.default_rng(3), np.linspace(0, 10, 20)
    top, shift, rate = (
        rng.uniform(low, high, (300, 1)) for low, high in ((1, 3), (2, 5), (0.4, 1))
    )
    noise = 0.02 * top * rng.standard_normal((300, 20))
    return net, x, top * np.exp(-shift * np.exp(-rate * x)) + noise, {}


def michaelis_menten_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    frozen = ["w1", "b1", "w2", "b3"]
    net = cbp.Chain(np.ones(3), np.zeros(3), ["log", "sigmoid", "identity"], frozen=frozen)
    rng = np.random.default_rng(4)
    vmax, km = rng.uniform(1, 100, (300, 1)), np.exp(rng.uniform(-1, 1, (300, 1)))
    noise = 0.03 * vmax * rng.standard_normal((300, 12))
    return net, DOSES, vmax * DOSES / (km + DOSES) + noise, {}


def platt_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 60))
    y = rng.uniform(size=x.shape) < 1 / (1 + np.exp(0.3 - 1.5 * x))
    return cbp.Chain([1.0], [0.0]), x, y.astype(np.float64), {"loss": "log"}


def robust_fits(loss: str) -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    y = logistic4(6, 200, WIDE)
    y[:, 5] += 3
    return LOGISTIC4, WIDE, y, {"loss": loss, "loss_scale": 0.3}


def weighted_fits(own: bool) -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    weight = np.random.default_rng(7).uniform(0, 2, (300, 24))
    weight[:, ::5] = 0
    options = {"sample_weight": weight if own else weight[0]}
    return LOGISTIC4, WIDE, logistic4(8, 300, WIDE), options


def missing_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    y = logistic4(9, 300, WIDE)
    y[np.random.default_rng(10).uniform(size=y.shape) < 0.2] = NAN
    return LOGISTIC4, WIDE, y, {}


def own_inputs_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    shifts = np.exp(np.random.default_rng(11).uniform(-0.3, 0.3, (300, 1)))
    return LOGISTIC4, WIDE * shifts, logistic4(12, 300, WIDE), {}


def bounded_fits(active: bool) -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    bounds = {"w2": (1, 1.5), "b3": (-0.2, None)} if active else {"w2": (0.01, 99), "w3": (0, None)}
    return LOGISTIC4, WIDE, logistic4(13, 300, WIDE), {"bounds": bounds}


def deep_fits() -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    frozen = [f"{name}{layer}" for layer in range(2, 8) for name in "wb"]
    net = cbp.Chain([0.8] * 8, [0.05] * 8, "tanh", frozen=frozen)
    rng = np.random.default_rng(14)
    x = np.linspace(-2, 2, 40)
    clean = [cbp.Chain([w, *[0.8] * 6, 1.5], [0.05] * 8, "tanh")(x) for w in rng.uniform(1, 2, 60)]
    return net, x, clean + 0.01 * rng.standard_normal((60, 40)), {}


FITS: dict[str, Callable[[], tuple[cbp.Chain, Floats, Floats, dict[str, Any]]]] = {
    "4PL": lambda: (LOGISTIC4, DOSES, logistic4(15, 10_000), {}),
    "5PL": logistic5_fits,
    "gompertz": gompertz_fits,
    "michaelis_menten": michaelis_menten_fits,
    "deep": deep_fits,
    "platt": platt_fits,
    "huber": partial(robust_fits, "huber"),
    "soft_l1": partial(robust_fits, "soft_l1"),
    "cauchy": partial(robust_fits, "cauchy"),
    "weights": partial(weighted_fits, False),
    "own weights": partial(weighted_fits, True),
    "missing": missing_fits,
    "own x": own_inputs_fits,
    "bounds": partial(bounded_fits, False),
    "active bounds": partial(bounded_fits, True),
}


def row_of(values: Any, i: int) -> Any:
    return values if values is None or np.ndim(values) == 1 else values[i]


def one_by_one(net: cbp.Chain, x: Floats, y: Floats, **options: Any) -> list[cbp.FitResult]:
    """Each chain by `fit`, without its missing points."""
    weights, results = options.pop("sample_weight", None), []
    for i, targets in enumerate(y):
        there = ~np.isnan(targets)
        weight = row_of(weights, i)
        weight = None if weight is None else weight[there]
        inputs = row_of(x, i)[there]
        results.append(cbp.fit(net, inputs, targets[there], sample_weight=weight, **options))
    return results


def stacked(results: list[cbp.FitResult], name: str) -> Any:
    return np.array([getattr(result, name) for result in results])


# ---- as one by one -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_many_fits_find_what_single_fits_find(name: str) -> None:
    net, x, y, options = FITS[name]()
    found = cbp.fit_many(net, x, y, covariance=True, **options)
    single = one_by_one(net, x, y, **options)
    loss = stacked(single, "loss")
    np.testing.assert_allclose(found.loss, loss, rtol=1e-10)
    np.testing.assert_array_equal(found.identified, stacked(single, "identified"))
    np.testing.assert_array_equal(found.df, stacked(single, "df"))
    both = (found.status == "converged") & (stacked(single, "status") == "converged")
    assert both.mean() > 0.95  # some 5PL curves have their best at infinity
    assert (found.status == stacked(single, "status")).mean() > 0.99
    assert found.covariance is not None

    stderr, params = stacked(single, "stderr"), stacked(single, "params")
    free = stderr > 0
    np.testing.assert_array_equal(found.stderr > 0, free)
    np.testing.assert_array_equal(found.params[~free], params[~free])
    # Distances in standard errors. Both stop by a forecast from the last steps, which for a few
    # in a thousand is too good; where the loss is flattest it hides (2e-16)^(1/2) of the residuals.
    moved = np.abs(found.params - params)[both] / np.where(free, stderr, 1.0)[both]
    assert np.quantile(moved, 0.99) < 1e-8
    assert moved.max() < 1e-5
    # The sum of squares is at its least for the squared loss, whose error is of second order there.
    squared = "loss" not in options
    within = 1e-10 if squared else 1e-7
    np.testing.assert_allclose(found.rss[both], stacked(single, "rss")[both], rtol=within)
    if options.get("loss") == "log":
        assert np.isnan(found.residual_sd).all()
    else:
        sd = stacked(single, "residual_sd")
        np.testing.assert_allclose(found.residual_sd[both], sd[both], rtol=within)
    # Errors are those of the point before the last step, from which the curve has hardly turned.
    np.testing.assert_allclose(found.stderr[both], stderr[both], rtol=2e-6)
    covariance = stacked(single, "covariance")
    size = stderr[:, :, None] * stderr[:, None, :]
    assert np.all(np.abs(found.covariance - covariance)[both] <= 4e-6 * size[both])
    variances = np.diagonal(found.covariance, axis1=1, axis2=2)
    np.testing.assert_allclose(np.sqrt(variances), found.stderr, rtol=1e-15)


@pytest.mark.parametrize("seed", [16, 17])
def test_what_is_not_identified_is_said_to_be_so(seed: int) -> None:
    net = cbp.Chain([1.0, 0.75], [0.5, -0.5], "identity")  # two lines are one
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, 20)
    y = 2 * x - 1 + rng.normal(size=(50, 20))
    found = cbp.fit_many(net, x, y, covariance=True)
    single = one_by_one(net, x, y)
    assert set(found.status) == {"not_identified"} == set(stacked(single, "status"))
    assert found.converged.all()
    assert not found.identified.any()
    assert np.isinf(found.stderr).all()
    np.testing.assert_allclose(found.rss, stacked(single, "rss"), rtol=1e-10)
    # two lines go nowhere that one does not
    lines = np.polynomial.polynomial.polyfit(x, y.T, 1)
    least = np.sum((np.polynomial.polynomial.polyval(x, lines) - y) ** 2, axis=1)
    np.testing.assert_allclose(found.rss, least, rtol=1e-10)
    np.testing.assert_array_equal(found.df, 16)

    # what frozen parameters leave is identified again
    line = cbp.Chain([1.0, 0.75], [0.5, -0.5], "identity", frozen=["w2", "b2"])
    assert set(cbp.fit_many(line, x, y).status) == {"converged"}


def test_curves_that_tell_some_parameters_only() -> None:
    net = LOGISTIC4.copy()
    y = logistic4(18, 40)
    y[::4] = np.random.default_rng(19).normal(size=(10, 12)) * 1e-3 + 2  # no curve
    y[1::4] = 0.5 + 0 * DOSES
    found, single = cbp.fit_many(net, DOSES, y), one_by_one(net, DOSES, y)
    np.testing.assert_array_equal(found.identified, stacked(single, "identified"))
    np.testing.assert_array_equal(found.status, stacked(single, "status"))
    # a horizontal line has a height; curves have all
    assert set(found.status[1::4]) == {"not_identified"}
    np.testing.assert_array_equal(found.identified[1::4, 2:], [[False, False, True, True]] * 10)
    clear = np.arange(40) % 4 > 1
    assert set(found.status[clear]) == {"converged"}
    assert found.identified[clear].all()


# ---- never worse than others ---------------------------------------------------------------------


def test_never_worse_than_scipy_from_the_same_start() -> None:
    seed, worse = 20, []
    y = logistic4(seed, 300)

    found = cbp.fit_many(LOGISTIC4, DOSES, y)
    start = LOGISTIC4.params[2:]
    for i, targets in enumerate(y):
        with np.errstate(over="ignore"):
            other, _ = curve_fit(four_pl, DOSES, targets, start, method="lm", maxfev=20_000)
        rss = float(np.sum((four_pl(DOSES, *other) - targets) ** 2))
        own = float(np.sum((four_pl(DOSES, *found.params[i, 2:]) - targets) ** 2))
        assert found.rss[i] == pytest.approx(own, rel=1e-9)
        if not own <= rss * (1 + 1e-6):
            worse.append((i, found.status[i], own, rss))
    assert not worse, f"seed {seed}: {worse}"


# ---- the same bits -------------------------------------------------------------------------------


def bits(values: Any) -> bytes:
    """The bytes of an array; NaNs are made equal, whose sign and payload mean nothing."""
    numbers = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = np.nan
    return numbers.tobytes()


def bits_of(result: cbp.FitManyResult) -> list[bytes]:
    """All bits of each chain's result."""
    arrays = [result.params]
    for field in fields(result):
        value = getattr(result, field.name)
        if field.name != "chains" and value is not None:
            arrays.append(value.reshape(len(result), -1))
    return [b"".join(bits(array[i]) for array in arrays) for i in range(len(result))]


COMPANY = ["5PL", "platt", "huber", "own weights", "missing", "own x", "active bounds"]


def part(name: str, rows: Any) -> tuple[cbp.Chain, Floats, Floats, dict[str, Any]]:
    """Some chains of a problem."""
    net, x, y, options = FITS[name]()
    options = {**options, "covariance": True}
    weight = options.get("sample_weight")
    if weight is not None and weight.ndim == 2:
        options["sample_weight"] = weight[rows]
    return net, x if x.ndim == 1 else x[rows], y[rows], options


def fit_part(name: str, rows: Any, **more: Any) -> list[bytes]:
    net, x, y, options = part(name, rows)
    return bits_of(cbp.fit_many(net, x, y, **options, **more))


@pytest.mark.parametrize("name", COMPANY)
def test_a_chain_does_not_see_its_company(name: str) -> None:
    whole = fit_part(name, slice(0, 100))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(100)
        assert fit_part(name, order) == [whole[i] for i in order], seed
    for size in (1, 2, 15, 16, 17, 31, 33):
        assert fit_part(name, slice(0, size)) == whole[:size]
    for i in range(100):
        assert fit_part(name, slice(i, i + 1)) == [whole[i]]


@pytest.mark.parametrize("name", COMPANY)
def test_blocks_and_threads_make_no_difference(name: str, monkeypatch: Any) -> None:
    whole, sizes = fit_part(name, slice(None), threads=1), []
    fit_block = _core.fit_block

    def noted(net: cbp.Chain, x: Floats, y: Floats, *more: Any) -> int:
        sizes.append(len(y))
        return fit_block(net, x, y, *more)

    monkeypatch.setattr(_core, "fit_block", noted)
    for block in (1, 7, 64):
        monkeypatch.setattr(many, "_BLOCK", block)
        for threads in (1, 2, 5):
            sizes.clear()
            assert fit_part(name, slice(None), threads=threads) == whole, (block, threads)
            assert sum(sizes) == len(whole)
            if threads == 1:
                assert len(sizes) == 1
            else:  # the first are large, all but the last of the least size or more
                assert max(sizes) == max(block, -(-len(whole) // (2 * threads)))
                assert sum(size < block for size in sizes) <= 1


@pytest.fixture
def _kernels_restored() -> Iterator[None]:
    yield
    _core.choose_kernel(None)


@pytest.mark.usefixtures("_kernels_restored")
@pytest.mark.parametrize("name", FITS)
def test_kernels_make_no_difference(name: str) -> None:
    found = {}
    for kernel in ("avx2", "avx512"):
        try:
            _core.choose_kernel(kernel)
        except cbp.CBackpropError:
            continue
        found[kernel] = fit_part(name, slice(0, 200))
    if len(found) < 2:
        pytest.skip(f"of the kernels avx2, avx512 this machine has {list(found)}")
    assert found["avx2"] == found["avx512"]


@pytest.mark.usefixtures("_kernels_restored")
@pytest.mark.parametrize("name", ["michaelis_menten", "platt", "cauchy", "active bounds"])
def test_kernels_without_fused_multiply_add_find_the_same(name: str) -> None:
    net, x, y, options = part(name, slice(0, 100))
    best = cbp.fit_many(net, x, y, **options)
    _core.choose_kernel("generic")
    generic = cbp.fit_many(net, x, y, **options)
    np.testing.assert_array_equal(generic.status, best.status)
    np.testing.assert_array_equal(generic.identified, best.identified)
    np.testing.assert_allclose(generic.loss, best.loss, rtol=1e-10)
    assert np.all(np.abs(generic.params - best.params) <= 1e-5 * best.stderr)


# ---- chains that cannot be fitted ----------------------------------------------------------------


def missing_with_its_input(x: Floats, y: Floats) -> None:
    x[4] = y[4] = NAN


POISONS: dict[str, tuple[str, Callable[[Floats, Floats, Floats], object]]] = {
    "all missing": ("too_few_points", lambda x, y, w: y.fill(NAN)),
    "one point": ("too_few_points", lambda x, y, w: y[1:].fill(NAN)),
    "inf": ("not_finite", lambda x, y, w: y.__setitem__(3, INF)),
    "-inf": ("not_finite", lambda x, y, w: y.__setitem__(0, -INF)),
    "nan x": ("not_finite", lambda x, y, w: x.__setitem__(5, NAN)),
    "inf x": ("not_finite", lambda x, y, w: x.__setitem__(5, INF)),
    "x outside the domain": ("start_not_finite", lambda x, y, w: x.__setitem__(2, -1)),
    "negative weight": ("bad_weight", lambda x, y, w: w.__setitem__(7, -1)),
    "nan weight": ("bad_weight", lambda x, y, w: w.__setitem__(7, NAN)),
    "inf weight": ("bad_weight", lambda x, y, w: w.__setitem__(7, INF)),
    "no weight": ("bad_weight", lambda x, y, w: w.fill(0)),
    "few weights": ("too_few_points", lambda x, y, w: w[3:].fill(0)),
    "constant": ("not_identified", lambda x, y, w: y.fill(2.5)),
    "zeros": ("not_identified", lambda x, y, w: y.fill(0)),
    "x all equal": ("not_identified", lambda x, y, w: x.fill(1.5)),
    "huge": ("start_not_finite", lambda x, y, w: y.__imul__(1e300)),
    "nothing missing": ("converged", lambda x, y, w: None),
    "nan x of a missing point": ("converged", lambda x, y, w: missing_with_its_input(x, y)),
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_chain_harms_no_neighbour(name: str) -> None:
    status, poison = POISONS[name]
    m, places = 50, (0, 7, 16, 49)
    x = np.tile(DOSES, (m, 1))
    y, weight = logistic4(21, m), np.ones((m, 12))
    clean = bits_of(cbp.fit_many(LOGISTIC4, x, y, sample_weight=weight, covariance=True))
    for i in places:
        poison(x[i], y[i], weight[i])
    before = bits([x, y, weight])
    found = cbp.fit_many(LOGISTIC4, x, y, sample_weight=weight, covariance=True)
    assert bits([x, y, weight]) == before
    assert {str(found.status[i]) for i in places} == {status}
    now = bits_of(found)
    assert [now[i] for i in range(m) if i not in places] == [
        clean[i] for i in range(m) if i not in places
    ]
    for i in places:
        numbers = (found.loss, found.rss, found.residual_sd, found.df)
        if status in ("converged", "not_identified"):
            assert np.isfinite(found.loss[i])
            assert found.converged[i]
            continue
        assert found.covariance is not None
        assert all(np.isnan(values[i]) for values in numbers), name
        assert np.isnan(found.stderr[i]).all()
        assert np.isnan(found.covariance[i]).all()
        assert not found.identified[i].any()
        assert not found.converged[i]
        assert found.n_iterations[i] == 0
        np.testing.assert_array_equal(found.params[i], LOGISTIC4.params)


def test_targets_and_starts_that_cannot_be_fitted() -> None:
    net, x, y, options = part("platt", slice(0, 40))
    start = np.tile(net.params, (40, 1))
    options["bounds"] = {"w1": (-50, 50)}
    clean = bits_of(cbp.fit_many(net, x, y, start=start, **options))
    y[3, 5], y[4, 5] = 1.5, -0.5
    start[5, 0], start[6, 0], start[7, 1] = 51.0, NAN, INF
    found = cbp.fit_many(net, x, y, start=start, **options)
    expected = ["bad_target", "bad_target", "bad_start", "bad_start", "bad_start"]
    assert found.status[3:8].tolist() == expected
    assert bits(found.params[3:8]) == bits(start[3:8])
    now = bits_of(found)
    assert (now[:3], now[8:]) == (clean[:3], clean[8:])
    assert repr(found) == "<FitManyResult of 40 chains: 35 converged, 3 bad_start, 2 bad_target>"


def test_curves_in_tiny_and_in_large_units() -> None:
    y = logistic4(22, 60)
    found = cbp.fit_many(LOGISTIC4, DOSES, y)
    for scale in (2.0**-300, 2.0**300):
        start = LOGISTIC4.params * [1, 1, 1, 1, scale, scale]
        other = cbp.fit_many(LOGISTIC4, DOSES, y * scale, start=start)
        np.testing.assert_array_equal(other.status, found.status)
        np.testing.assert_allclose(other.params[:, 2:4], found.params[:, 2:4], rtol=1e-7)
        np.testing.assert_allclose(other.rss / scale / scale, found.rss, rtol=1e-10)


# ---- edges ---------------------------------------------------------------------------------------


def test_no_chain_at_all() -> None:
    for threads in (None, 1, 5):
        found = cbp.fit_many(LOGISTIC4, DOSES, np.empty((0, 12)), covariance=True, threads=threads)
        assert (len(found), found.params.shape, found.stderr.shape) == (0, (0, 6), (0, 6))
        assert found.covariance is not None
        assert found.covariance.shape == (0, 6, 6)
        assert (found.status.shape, found.converged.shape) == ((0,), (0,))
        assert repr(found) == "<FitManyResult of 0 chains: none>"


def test_covariance_matrices_only_where_they_are_asked_for() -> None:
    y = logistic4(29, 2)
    assert cbp.fit_many(LOGISTIC4, DOSES, y).covariance is None
    assert cbp.fit_many(LOGISTIC4, DOSES, y, covariance=True).covariance is not None


def test_few_examples() -> None:
    nothing = cbp.fit_many(LOGISTIC4, [], np.empty((3, 0)))
    assert set(nothing.status) == {"too_few_points"}
    one = cbp.fit_many(LOGISTIC4, [1.0], [[2.0], [3.0]])
    assert set(one.status) == {"too_few_points"}
    scale = cbp.Chain([1.0], [0.0], "identity", frozen=["b1"])
    found = cbp.fit_many(scale, [2.0], [[3.0], [NAN], [-1.0]])
    assert found.status.tolist() == ["converged", "too_few_points", "converged"]
    np.testing.assert_allclose(found.params[[0, 2], 0], [1.5, -0.5], rtol=1e-14)
    np.testing.assert_array_equal(found.df, [0, NAN, 0])
    assert np.isnan(found.residual_sd).all()  # nothing is left over to tell it by


def test_many_examples() -> None:
    x = np.linspace(0.01, 20, 5000)  # more than lanes take
    y = logistic4(23, 3, x)
    found, single = cbp.fit_many(LOGISTIC4, x, y), one_by_one(LOGISTIC4, x, y)
    for name in ("params", "loss", "stderr", "residual_sd", "n_iterations"):
        np.testing.assert_array_equal(getattr(found, name), stacked(single, name))
    for i in range(3):
        params, covariance = curve_fit(four_pl, x, y[i], LOGISTIC4.params[2:])
        assert np.all(np.abs(found.params[i, 2:] - params) <= 1e-4 * found.stderr[i, 2:])
        np.testing.assert_allclose(found.stderr[i, 2:], np.sqrt(np.diag(covariance)), rtol=1e-4)
        rss = np.sum((four_pl(x, *params) - y[i]) ** 2)
        assert found.loss[i] == pytest.approx(rss / 5000, rel=1e-10)
        assert found.residual_sd[i] == pytest.approx(math.sqrt(rss / 4996), rel=1e-10)


def test_everything_at_a_bound() -> None:
    bounds = {
        name: (value, value)
        for name, value in zip(LOGISTIC4.param_names[2:], LOGISTIC4.params[2:], strict=True)
    }
    y = logistic4(24, 20)
    found = cbp.fit_many(LOGISTIC4, DOSES, y, bounds=bounds)
    assert set(found.status) == {"converged"}
    np.testing.assert_array_equal(found.params, np.tile(LOGISTIC4.params, (20, 1)))
    np.testing.assert_array_equal(found.stderr, 0)
    np.testing.assert_array_equal(found.df, 12)
    outputs = four_pl(DOSES, *LOGISTIC4.params[2:])
    np.testing.assert_allclose(found.rss, np.sum((outputs - y) ** 2, axis=1), rtol=1e-13)


def test_few_iterations() -> None:
    y = logistic4(25, 40)
    for limit in (1, 2, 3):
        found = cbp.fit_many(LOGISTIC4, DOSES, y, max_iterations=limit)
        single = one_by_one(LOGISTIC4, DOSES, y, max_iterations=limit)
        assert set(found.status) == {"max_iterations"}
        assert not found.converged.any()
        assert set(found.n_iterations) == {limit}
        np.testing.assert_array_equal(found.params, stacked(single, "params"))
        np.testing.assert_array_equal(found.loss, stacked(single, "loss"))
        outputs = four_pl(DOSES, *found.params.T[2:, :, None])
        np.testing.assert_allclose(found.loss, np.mean((outputs - y) ** 2, axis=1), rtol=1e-12)
        at_start = np.mean((four_pl(DOSES, *LOGISTIC4.params[2:]) - y) ** 2, axis=1)
        assert np.all(found.loss < at_start)


def test_own_starts() -> None:
    y = logistic4(26, 40)
    expected = cbp.fit_many(LOGISTIC4, DOSES, y)
    near = expected.params * 1.01
    near[:, :2] = LOGISTIC4.params[:2]
    before = near.copy()
    found = cbp.fit_many(LOGISTIC4, DOSES, y, start=near)
    np.testing.assert_array_equal(near, before)
    np.testing.assert_allclose(found.rss, expected.rss, rtol=1e-10)
    assert found.n_iterations.sum() < expected.n_iterations.sum()
    for start in (LOGISTIC4.params, np.tile(LOGISTIC4.params, (40, 1)), LOGISTIC4.params.tolist()):
        assert bits_of(cbp.fit_many(LOGISTIC4, DOSES, y, start=start)) == bits_of(expected)
    # frozen parameters are each chain's own
    near[:, 0] = 2.0
    doubled = cbp.fit_many(LOGISTIC4, DOSES, y, start=near)
    np.testing.assert_array_equal(doubled.params[:, 0], 2.0)  # ln 2x = ln 2 + ln x
    shifted = expected.params[:, 3] - math.log(2) * expected.params[:, 2]
    np.testing.assert_allclose(doubled.params[:, 3], shifted, atol=1e-6)
    np.testing.assert_allclose(doubled.rss, expected.rss, rtol=1e-10)
    near[::2, 0] = 1.0
    mixed = bits_of(cbp.fit_many(LOGISTIC4, DOSES, y, start=near))
    assert mixed[1::2] == bits_of(doubled)[1::2]
    assert mixed[::2] == bits_of(found)[::2]


def test_any_real_array_will_do() -> None:
    x, y = np.arange(1.0, 13.0), np.round(8 * logistic4(27, 30))
    weight = np.arange(12) % 3 + 1
    expected = bits_of(cbp.fit_many(LOGISTIC4, x, y, sample_weight=1.0 * weight))
    wide = np.repeat(y, 2, axis=1)
    kept = wide.copy()
    cases: list[tuple[Any, Any, Any]] = [
        (x.astype(np.int32), y.astype(np.int16), weight),
        (x.astype(np.float32), y.astype(np.float32), weight.astype(np.uint8)),
        (x.tolist(), y.tolist(), weight.tolist()),
        (x[::-1][::-1], wide[:, ::2], np.repeat(weight, 3)[::3]),
        (np.tile(x, (30, 1)), np.asfortranarray(y), np.tile(weight, (30, 1))),
    ]
    for inputs, targets, weights in cases:
        found = cbp.fit_many(LOGISTIC4, inputs, targets, sample_weight=weights)
        assert bits_of(found) == expected
    np.testing.assert_array_equal(wide, kept)
    for array in (x, y, weight):
        array.setflags(write=False)
    assert bits_of(cbp.fit_many(LOGISTIC4, x, y, sample_weight=weight)) == expected


# ---- what is refused -----------------------------------------------------------------------------

P, S, A, T = cbp.ParameterError, cbp.ShapeError, cbp.ActivationError, cbp.InputTypeError
Y = logistic4(28, 5)
REFUSED: dict[str, list[tuple[Any, Any, list[str]]]] = {
    "x": [
        (DOSES[1:], S, ["x: shape (11,)", "(12,)", "(5, 12)"]),
        (np.ones((4, 12)), S, ["x: shape (4, 12)", "(5, 12)"]),
        (1.0, S, ["x: shape ()"]),
        (["1"] * 12, T, ["x: expected real"]),
        ([1j] * 12, T, ["x: expected real"]),
    ],
    "y": [
        (Y[0], S, ["y: shape (12,)", "(m, n)"]),
        (Y[None], S, ["y: shape (1, 5, 12)"]),
        (1.0, S, ["y: shape ()"]),
        ([["a"] * 12], T, ["y: expected real"]),
        ([[1.0], [1.0, 2.0]], S, ["y"]),
    ],
    "start": [
        ([1.0, 2.0], S, ["start: shape (2,)", "(6,)", "(5, 6)"]),
        (np.ones((4, 6)), S, ["start: shape (4, 6)"]),
        (["1"] * 6, T, ["start: expected real"]),
    ],
    "sample_weight": [
        (np.ones(11), S, ["sample_weight: shape (11,)", "(12,)", "(5, 12)"]),
        (np.ones((4, 12)), S, ["sample_weight: shape (4, 12)"]),
        (["1"] * 12, T, ["sample_weight: expected real"]),
    ],
    "loss": [("hubr", P, ["'hubr'", "'huber'?"]), (None, P, ["None"])],
    "bounds": [
        (5, T, ["bounds", "mapping"]),
        ({"w2": (2, 1)}, P, ["bounds['w2']", "2.0", "1.0"]),
        ({"w2": (NAN, 1)}, P, ["bounds['w2']", "nan"]),
        ({"w9": (0, 1)}, P, ["'w9'"]),
        ({"w1": (0, 1)}, P, ["'w1' is frozen"]),
        ({"w2": 1}, P, ["bounds['w2']: 1"]),
    ],
    "max_iterations": [(v, P, ["max_iterations", repr(v)]) for v in (0, -1, True, 2.0, "5")],
    "tolerance": [
        *((v, P, ["tolerance", repr(v)]) for v in (-1.0, NAN, INF)),
        ("a", T, ["tolerance", "'a'"]),
    ],
    "threads": [(v, P, ["threads", repr(v)]) for v in (0, -1, True, 2.0, "5")],
    "net": [(v, T, ["net", "Chain"]) for v in (None, 5, [1.0], "4PL")],
}


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        pytest.param(name, *case, id=f"{name}-{k}")
        for name, cases in REFUSED.items()
        for k, case in enumerate(cases)
    ],
)
def test_arguments_that_are_refused(name: str, value: Any, error: Any, words: list[str]) -> None:
    before = bits(LOGISTIC4.params)
    arguments: dict[str, Any] = {"net": LOGISTIC4, "x": DOSES, "y": Y, name: value}
    with pytest.raises(error) as caught:
        cbp.fit_many(**arguments)
    assert isinstance(caught.value, cbp.CBackpropError)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))
    assert bits(LOGISTIC4.params) == before


@pytest.mark.parametrize("m", [0, 5])
def test_what_no_chain_could_do_is_refused(m: int) -> None:
    everything = cbp.Chain([1.0], [0.0], "identity", frozen=["w1", "b1"])
    with pytest.raises(P, match="frozen"):
        cbp.fit_many(everything, DOSES, Y[:m])
    with pytest.raises(A, match=r"log loss.*sigmoid"):
        cbp.fit_many(LOGISTIC4, DOSES, Y[:m], loss="log")
    with pytest.raises(P, match="loss_scale"):
        cbp.fit_many(LOGISTIC4, DOSES, Y[:m], loss="huber", loss_scale=0.0)


# ---- Ctrl-C --------------------------------------------------------------------------------------


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, whatever this process was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("kind", ["lanes", "careful", "long"])
def test_ctrl_c_ends_many_fits(kind: str, threads: int) -> None:
    net, x = LOGISTIC4, WIDE
    y = np.tile(logistic4(29, 1000, WIDE), (100, 1))
    if kind == "careful":  # what lanes hand over, since no parameter is identified
        net = cbp.Chain.random(8, "tanh", rng=0)
    elif kind == "long":  # too many examples for lanes
        net, x = cbp.Chain.random(8, "tanh", rng=0), np.linspace(-1, 1, 400_000)
        y = np.tile(np.cos(x), (4, 1))
    before, sent = net.params.copy(), []

    def interrupt() -> None:
        sent.append(time.process_time())
        _thread.interrupt_main()

    def fit_on() -> None:
        for _ in range(100):  # a fast machine may be done before the signal comes
            cbp.fit_many(net, x, y, threads=threads, tolerance=0.0)

    timer = threading.Timer(0.15, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_on()
    finally:
        timer.cancel()
    assert time.process_time() - sent[0] < 0.2  # of all threads, whatever else this machine does
    np.testing.assert_array_equal(net.params, before)
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(1)  # it may have been interrupted in the moment of ending
            assert not thread.is_alive()


def test_two_threads_may_fit_at_once() -> None:
    expected, found = fit_part("own x", slice(None)), {}
    gate = threading.Barrier(2)

    def work(k: int) -> None:
        gate.wait()
        found[k] = fit_part("own x", slice(None), threads=2)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == expected


def test_starts_keep_to_the_bounds_of_the_last_weight() -> None:
    """A candidate that goes the wrong way is as good, but for a weight not below 0."""
    for rising in (True, False):
        y = logistic4(12, 40, WIDE) if rising else logistic4(12, 40, 1 / WIDE)
        fits = cbp.curves.logistic5.fit_many(WIDE, y, fixed={"asymmetry": 1.0})
        alone = cbp.curves.logistic4.fit_many(WIDE, y)
        assert (fits.codes == many.CONVERGED).all()
        np.testing.assert_allclose(fits.rss, alone.rss, rtol=1e-9)


@pytest.mark.parametrize("far", [1e12, 1e30, 1e200])
def test_a_far_outlier_is_left_to_the_careful_fit(far: float) -> None:
    """What rounding is measured by must not be the outlier, which the loss hardly sees."""
    y = logistic4(9, 20)
    y[:, 3] = NAN
    missing = cbp.fit_many(LOGISTIC4, DOSES, y, loss="cauchy")
    y[:, 3] = far
    fits = cbp.fit_many(LOGISTIC4, DOSES, y, loss="cauchy")
    clear = missing.codes == many.CONVERGED
    assert clear.sum() > 15
    np.testing.assert_allclose(fits.params[clear], missing.params[clear], rtol=1e-5, atol=1e-7)
    for k in np.flatnonzero(clear):
        alone = cbp.fit(LOGISTIC4, DOSES, y[k], loss="cauchy")
        assert fits.params[k].tobytes() == alone.params.tobytes()


def test_the_loss_told_is_the_loss_there_whatever_the_tolerance() -> None:
    y = logistic4(10, 200)
    for loss in ("squared", "cauchy"):
        fits = cbp.fit_many(LOGISTIC4, DOSES, y, loss=loss, tolerance=1e-3)
        assert (fits.codes == many.CONVERGED).all()
        squares = (four_pl(DOSES, *fits.params.T[2:, :, None]) - y) ** 2
        there = np.mean(np.log1p(squares) if loss == "cauchy" else squares, axis=1)
        np.testing.assert_allclose(fits.loss, there, rtol=1e-8)


def test_statuses_are_those_of_the_header() -> None:
    header = (Path(__file__).parents[1] / "csrc" / "cbackprop.h").read_text(encoding="utf-8")
    outcomes = header.partition("enum cbp_outcome {")[2].partition("}")[0]
    places = {name: place for place, name in enumerate(re.findall(r"\bCBP_\w+(?=,| =)", outcomes))}
    codes = re.findall(r"(CBP_ERROR_\w+) = (-\d+)", header)
    of_header = places | {name: int(code) for name, code in codes}
    names = {
        "CBP_CONVERGED": "converged",
        "CBP_EXHAUSTED": "max_iterations",
        "CBP_STOPPED": "stopped",
        "CBP_ERROR_TARGET": "bad_target",
        "CBP_ERROR_WEIGHT": "bad_weight",
        "CBP_ERROR_FEW_EXAMPLES": "too_few_points",
        "CBP_ERROR_START": "bad_start",
        "CBP_ERROR_START_LOSS": "start_not_finite",
        "CBP_ERROR_DATA": "not_finite",
    }
    expected = {of_header[code]: name for code, name in names.items()}
    assert places["CBP_RUNNING"] == 0
    # what is converged, but not identified, has a number of its own, after all outcomes
    assert dict(many.STATUSES) == expected | {places["CBP_DIVERGED"] + 1: "not_identified"}


def test_squares_of_another_loss_are_weighted_too() -> None:
    y, weight = logistic4(21, 6), np.linspace(0.5, 3.0, DOSES.size)
    fits = cbp.fit_many(LOGISTIC4, DOSES, y, loss="cauchy", loss_scale=0.1, sample_weight=weight)
    residuals = four_pl(DOSES, *fits.params.T[2:, :, None]) - y
    np.testing.assert_allclose(fits.rss, np.sum(weight * residuals**2, axis=1), rtol=1e-10)
