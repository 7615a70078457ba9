"""Fits of many examples: the same bits in memory, on several threads, and from any shards."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import least_squares

import cbackprop as cbp
from cbackprop import threads
from cbackprop._core import LEAF, gradient_sums, mean_of_sums, merge_sums
from cbackprop.fits import one
from cbackprop.fits.arguments import bound_arrays
from cbackprop.fits.shards import ShardedPass

Floats = npt.NDArray[np.float64]
HILL = cbp.Chain(
    [1.0, 1.0, 3.0], [0.0, 0.0, 0.0], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)
LOGIT = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["log", "sigmoid"], frozen=["w1", "b1"])
REDUNDANT = cbp.Chain([1.0, 1.0, 3.0], [0.0, 0.0, 0.0], HILL.activations, frozen=["b1"])
# Parameters that nearly replace each other: the last bits of a triangle decide where it stops.
DEEP = cbp.Chain.random(8, ["tanh"] * 7 + ["identity"], rng=5)

RNG = np.random.default_rng(2800)
MOST = 1_000_000
X: Floats = RNG.uniform(0.02, 20.0, MOST)
CURVE: Floats = 0.5 + 5.0 / (1.0 + np.exp(1.0 - 1.5 * np.log(X)))
NOISE: Floats = RNG.standard_normal(MOST)
Y: Floats = CURVE + 0.1 * NOISE
COIN: Floats = (RNG.random(MOST) < LOGIT(X)).astype(np.float64)
WEIGHT: Floats = RNG.uniform(0.0, 2.0, MOST) * (np.arange(MOST) % 7 > 0)
FEW = 3 * LEAF + 77
DEFAULTS: dict[str, Any] = {
    "max_iterations": 2000,
    "tolerance": 1e-10,
    "restarts": 0,
    "rng": None,
    "callback": None,
}
SQUARED: dict[str, Any] = DEFAULTS | {"loss": "squared", "loss_scale": 1.0, "limits": (None, None)}


def sharded(
    ends: Any, net: cbp.Chain, x: Floats, y: Floats, weight: Floats | None, **options: Any
) -> cbp.FitResult:
    """Fit from shards that end there, as `cbackprop.dask.fit` does."""
    parts = [slice(*pair) for pair in pairwise([0, *ends, x.size])]

    def ask(task: Any, which: list[int], *more: list[int]) -> list[Any]:
        shards = [(x[p], y[p], None if weight is None else weight[p]) for p in parts]
        return [task(*shards[i], *own) for i, *own in zip(which, *more, strict=True)]

    loss, scale = options.pop("loss", "squared"), options.pop("loss_scale", 1.0)
    bounds = options.pop("bounds", None)
    return one.fit_over(
        net,
        ShardedPass(ask, len(parts), net, loss=loss, loss_scale=scale),
        loss=loss,
        loss_scale=scale,
        limits=(None, None) if bounds is None else bound_arrays(net, bounds),
        **DEFAULTS | options,
    )


def split(n: int, shards: int) -> list[int]:
    """Where np.array_split divides."""
    sizes = [part.size for part in np.array_split(np.empty(n), shards)]
    return list(accumulate(sizes[:-1]))


def assert_same(a: cbp.FitResult, b: cbp.FitResult) -> None:
    """All bits of what was found, and of what was said of it."""
    for name in ("params", "stderr", "covariance", "history", "identified"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    names = ["loss", "rss", "residual_sd", "df", "converged", "status", "message", "n_iterations"]
    for name in (*names, "n_evaluations", "gradient_norm"):
        one, other = getattr(a, name), getattr(b, name)
        assert repr(one) == repr(other), name  # NaN too


# ---- the same bits -------------------------------------------------------------------------------


CASES: list[Any] = [
    pytest.param(HILL, Y, {}, id="squared"),
    pytest.param(HILL, Y, {"loss": "huber", "loss_scale": 0.1}, id="huber"),
    pytest.param(HILL, Y, {"loss": "soft_l1", "loss_scale": 0.1}, id="soft_l1"),
    pytest.param(HILL, Y, {"loss": "cauchy", "loss_scale": 0.1}, id="cauchy"),
    pytest.param(HILL, Y, {"bounds": {"w2": (0.0, 1.25), "b3": (0.0, None)}}, id="bounds"),
    pytest.param(HILL, Y, {"restarts": 2, "rng": 3, "max_iterations": 20}, id="restarts"),
    pytest.param(LOGIT, COIN, {"loss": "log"}, id="log"),
    pytest.param(REDUNDANT, Y, {"max_iterations": 300}, id="redundant"),
]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize(("net", "y", "options"), CASES)
@pytest.mark.parametrize("ends", [[1], [5, 10, 4000, 4097, 9000], [LEAF, 2 * LEAF], [2 * LEAF + 5]])
def test_shards_of_any_sizes(
    net: cbp.Chain, y: Floats, options: Any, weight: Any, ends: list[int]
) -> None:
    some = slice(FEW)
    weights = None if weight is None else weight[some]
    found = sharded(ends, net, X[some], y[some], weights, **options)
    assert_same(found, cbp.fit(net, X[some], y[some], sample_weight=weights, **options))
    assert found.converged


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("ends", [[1], [5, 5, 4000, 4097, 9000]])
@pytest.mark.parametrize(("net", "y", "options"), CASES[:5] + CASES[6:7])
def test_exact_covariances_are_the_same_but_for_rounding(
    net: cbp.Chain, y: Floats, options: Any, weight: Any, ends: list[int]
) -> None:
    some = slice(FEW)
    weights = None if weight is None else weight[some]
    found = sharded(ends, net, X[some], y[some], weights, **options, exact=True)
    whole = cbp.fit(net, X[some], y[some], sample_weight=weights, **options, covariance="hessian")
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-11)
    np.testing.assert_allclose(found.stderr, whole.stderr, rtol=1e-11)
    approximate = sharded(ends, net, X[some], y[some], weights, **options)
    assert approximate.params.tobytes() == found.params.tobytes() == whole.params.tobytes()


def test_a_shard_without_weights_among_others() -> None:
    x, y, weight = X[:FEW], Y[:FEW], np.ones(FEW)
    weight[5000:] = WEIGHT[5000:FEW]

    def ask(task: Any, which: list[int], *more: list[int]) -> list[Any]:
        shards = [(x[:5000], y[:5000], None), (x[5000:], y[5000:], weight[5000:])]
        return [task(*shards[i], *own) for i, *own in zip(which, *more, strict=True)]

    run_pass = ShardedPass(ask, 2, HILL, loss="squared", loss_scale=1.0)
    expected = cbp.fit(HILL, x, y, sample_weight=weight)
    assert_same(one.fit_over(HILL, run_pass, **SQUARED), expected)


@pytest.mark.parametrize("n", [99_999, 100_000])
def test_many_examples(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = X[:n], Y[:n]
    options: dict[str, Any] = {"max_iterations": 12}
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    whole = cbp.fit(DEEP, x, y, **options)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert_same(whole, cbp.fit(DEEP, x, y, **options))
    assert_same(whole, cbp.fit(DEEP, x, y, **options, callback=lambda _: False))
    for shards in (2, 7):
        assert_same(whole, sharded(split(n, shards), DEEP, x, y, None, **options))
    exact = cbp.fit(DEEP, x, y, **options, covariance="hessian")
    assert exact.params.tobytes() == whole.params.tobytes()
    assert exact.history.tobytes() == whole.history.tobytes()


def test_a_million_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"max_iterations": 3, "bounds": {"w2": (0.0, 1.25)}}
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    whole = cbp.fit(HILL, X, Y, **options)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert_same(whole, cbp.fit(HILL, X, Y, **options, callback=lambda _: False))
    assert_same(whole, sharded(split(MOST, 7), HILL, X, Y, None, **options))


PROGRAM = """
import sys
import numpy as np
import cbackprop as cbp

rng = np.random.default_rng(1)
x = rng.uniform(-2.0, 2.0, 100_000)
y = 3.0 * np.tanh(1.25 * x - 0.5) + 0.75 + 0.1 * rng.standard_normal(x.size)
start = cbp.Chain.random(4, ["tanh", "softplus", "tanh", "identity"], rng=5)
for examples in (100_000, 50):
    found = cbp.fit(start, x[:examples], y[:examples], max_iterations=25)
    print(found.params.tobytes().hex(), found.covariance.tobytes().hex(), found.rss.hex())

dose = np.geomspace(0.01, 100.0, 24)
true = {"bottom": 0.5, "top": 4.0, "ec50": 1.5, "slope": 1.3}
response = cbp.curves.logistic4(dose, **true) + 0.1 * rng.standard_normal(dose.size)
for name, options in (
    ("logistic4", {}),
    ("logistic4", {"sample_weight": 1.0 / response**2, "covariance": "hessian"}),
    ("logistic4", {"bounds": {"slope": (None, 1.0)}}),
    ("logistic5", {}),
    ("gaussian_peak", {}),
):
    found = getattr(cbp.curves, name).fit(dose, response, **options)
    band = found.predict(dose, "prediction")
    print(found.covariance.tobytes().hex(), band.low.tobytes().hex(), repr(found.aic), found.r2)
    print(found.inverse(2.0) if name != "gaussian_peak" else "", found.summary())
"""


def test_no_blas_has_a_part_in_it() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"OPENBLAS_CORETYPE": kind},
            capture_output=True,
            check=True,
        ).stdout
        for kind in ("Haswell", "Nehalem")
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 1000


# ---- the right numbers ---------------------------------------------------------------------------


def test_a_line_is_that_of_the_closed_form() -> None:
    line = cbp.Chain([0.0], [0.0], "identity")
    found = sharded([70_000, 90_001], line, X[:100_000], Y[:100_000], None)
    x, y = X[:100_000], Y[:100_000]
    mean_x, mean_y = math.fsum(x) / x.size, math.fsum(y) / x.size
    along = math.fsum((x - mean_x) ** 2)
    slope = math.fsum((x - mean_x) * (y - mean_y)) / along
    rss = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2)
    np.testing.assert_allclose(found.params, [slope, mean_y - slope * mean_x], rtol=1e-12)
    assert found.rss == pytest.approx(rss, rel=1e-12)
    assert found.df == 99_998
    assert found.stderr[0] == pytest.approx(math.sqrt(rss / 99_998 / along), rel=1e-12)


def test_a_curve_is_that_of_scipy() -> None:
    x, y = X[:20_000], Y[:20_000]
    found = sharded([7000], HILL, x, y, None, bounds={"w2": (0.0, 1.25)})

    def residuals(free: Floats) -> Floats:
        w2, b2, w3, b3 = free
        return np.asarray(b3 + w3 / (1.0 + np.exp(-b2 - w2 * np.log(x))) - y)

    limits = ([0.0, *[-np.inf] * 3], [1.25, *[np.inf] * 3])
    expected = least_squares(residuals, [1.0, 0.0, 3.0, 0.0], bounds=limits, xtol=1e-14, ftol=1e-14)
    assert found.params[2] == 1.25
    np.testing.assert_allclose(found.params[2:], expected.x, rtol=1e-6)
    assert found.rss == pytest.approx(2 * expected.cost, rel=1e-12)
    assert found.message == "converged; at a bound: w2"
    assert found.df == 20_000 - 3


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "cauchy", "huber"])
def test_it_is_what_scipy_finds(loss: str) -> None:
    n = 5000
    x, y = X[:n], Y[:n]
    own = "squared" if loss == "linear" else loss
    found = sharded([100, 4200], HILL, x, y, None, loss=own, loss_scale=0.1)
    expected = least_squares(
        lambda p: p[3] + p[2] / (1 + np.exp(-(p[0] * np.log(x) + p[1]))) - y,
        HILL.params[2:],
        loss=loss,
        f_scale=0.1,
        **dict.fromkeys(["xtol", "ftol", "gtol"], 1e-14),
    )
    assert found.loss == pytest.approx(2 * expected.cost / n, rel=1e-12)
    assert np.all(np.abs(found.params[2:] - expected.x) <= 1e-4 * found.stderr[2:])
    assert found.rss == pytest.approx(float(np.sum(expected.fun**2)), rel=1e-6)
    if loss == "linear":
        covariance = np.linalg.inv(expected.jac.T @ expected.jac) * found.rss / (n - 4)
        np.testing.assert_allclose(found.covariance[2:, 2:], covariance, rtol=1e-5)


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_a_second_attempt(far: bool) -> None:
    weights, biases = ([-3.0, 1.0], [6.0, 0.0]) if far else ([1.0, 1.0], [0.0, 0.0])
    start = cbp.Chain(weights, biases, ["tanh", "identity"])
    x = np.linspace(-2.0, 2.0, 100)
    y = 3.0 * np.tanh(1.25 * x - 0.5) + 0.75 + 0.1 * NOISE[:100]
    found = sharded([30, 60], start, x, y, None)
    assert_same(found, cbp.fit(start, x, y))
    assert found.status == "converged"
    # the truth behind the data, up to the sign of tanh
    truth = np.array([1.25, -0.5, 3.0, 0.75])
    signs = np.sign(found.params[0]) ** [1, 1, 1, 0]
    assert np.all(np.abs(found.params * signs - truth) <= 4 * found.stderr)


def test_too_few_iterations() -> None:
    x, y = X[:5000], Y[:5000]
    found = sharded([4200], HILL, x, y, None, max_iterations=3)
    assert (found.status, found.n_iterations, len(found.history)) == ("max_iterations", 3, 4)
    start = 3.0 / (1.0 + 1.0 / x) - y  # its residuals
    assert found.history[0] == pytest.approx(np.mean(start**2), rel=1e-13)
    w2, b2, w3, b3 = found.params[2:]
    end = b3 + w3 / (1 + np.exp(-(w2 * np.log(x) + b2))) - y
    assert found.history[-1] == pytest.approx(np.mean(end**2), rel=1e-13)
    assert found.history[-1] < 0.1 * found.history[0]
    loose, strict = (
        sharded([4200], HILL, x, y, None, tolerance=tolerance).n_iterations
        for tolerance in (0.1, 1e-10)
    )
    assert loose < strict


def test_an_exact_fit() -> None:
    start = HILL.copy()
    found = sharded([9000], start, X[:FEW], CURVE[:FEW], None)
    assert start == HILL  # not changed
    assert found.converged
    np.testing.assert_allclose(found.params, [1.0, 0.0, 1.5, -1.0, 5.0, 0.5], rtol=1e-12)


def test_a_callback_stops_it() -> None:
    seen: list[float] = []

    def stop(progress: cbp.FitProgress) -> bool:
        seen.append(progress.loss)
        return len(seen) == 3

    found = sharded([9000], HILL, X[:FEW], Y[:FEW], None, callback=stop)
    assert (found.status, found.n_iterations, found.loss) == ("stopped", 3, seen[-1])


def test_what_a_pass_raises_comes_through() -> None:
    raised, calls = LookupError("mine"), []

    def ask(task: Any, which: list[int], *more: list[int]) -> list[Any]:
        calls.append(task)
        if len(calls) == 5:
            raise raised
        return [task(X[:FEW], Y[:FEW], None, *[own[i] for own in more]) for i in which]

    run_pass = ShardedPass(ask, 1, HILL, loss="squared", loss_scale=1.0)
    with pytest.raises(LookupError) as caught:
        one.fit_over(HILL, run_pass, **SQUARED)
    assert caught.value is raised
    assert len(calls) == 5


# ---- what cannot be fitted -----------------------------------------------------------------------


def test_what_cannot_be_fitted() -> None:
    x, y = X[:FEW], CURVE[:FEW]
    frozen = cbp.Chain([1.0], [0.0], "identity", frozen=["w1", "b1"])
    with pytest.raises(cbp.ParameterError, match=r"every parameter is frozen"):
        sharded([], frozen, x, y, None)
    few = np.array([0, 1, 0, 0, 1, 1, 0, 0], dtype=np.float64)
    with pytest.raises(cbp.ShapeError, match=r"8 examples are fewer than 4 .* weight above 0"):
        sharded([3], HILL, x[:8], y[:8], few)
    with pytest.raises(cbp.ParameterError, match=r"example weights must be finite .* their sum"):
        sharded([3], HILL, x[:8], y[:8], np.zeros(8))
    with pytest.raises(cbp.ShapeError, match=r"^load: no example of positive weight in any"):
        sharded([0], HILL, x[:0], y[:0], None)
    spoilt = y.copy()
    spoilt[9002] = math.inf
    with pytest.raises(cbp.ParameterError, match=r"^example 2: x = .*, y = inf; expected finite"):
        sharded([9000], HILL, x, spoilt, None)
    for w in (30.0, 800.0):  # of which the square overflows, and exp(w x) itself
        with pytest.raises(cbp.ParameterError, match=r"^net: the loss .* not finite"):
            sharded([9000], cbp.Chain([w], [0.0], "exp"), x, y, None)
    with pytest.raises(cbp.ParameterError, match=r"^sample_weight\[1\]: -1\.0"):
        sharded([], HILL, x[:2], y[:2], np.array([1.0, -1.0]))
    with pytest.raises(
        cbp.ParameterError, match=r"^net: w2 = 1\.0; expected a finite start within"
    ):
        sharded([], HILL, x, y, None, bounds={"w2": (2.0, 3.0)})


def test_a_shard_that_changes_its_size() -> None:
    calls: list[int] = []

    def ask(task: Any, which: list[int], *more: list[int]) -> list[Any]:
        calls.append(1)
        end = FEW - (len(calls) > 3)
        return [task(X[:end], Y[:end], None, *[own[i] for own in more]) for i in which]

    run_pass = ShardedPass(ask, 1, HILL, loss="squared", loss_scale=1.0)
    run_pass(HILL, 0, 1.0)
    with pytest.raises(cbp.ShapeError, match=rf"^load: {FEW - 1} examples, expected the {FEW} of"):
        run_pass(HILL, 0, 1.0)


@pytest.mark.parametrize("n", [70_000, 200_000])
def test_a_bad_example_of_many_is_named(n: int) -> None:
    x, y = X[:n].copy(), Y[:n].copy()
    y[n - 3] = math.nan
    with pytest.raises(cbp.ParameterError, match=rf"^y\[{n - 3}\]: nan; .* \(nan_policy='omit'"):
        cbp.fit(HILL, x, y)
    weight = np.ones(n)
    weight[n - 5] = -2.0
    with pytest.raises(cbp.ParameterError, match=rf"^sample_weight\[{n - 5}\]: -2\.0"):
        cbp.fit(HILL, x, Y[:n], sample_weight=weight)
    x[:] = 0.0
    with pytest.raises(cbp.ParameterError, match=r"^net: the loss .* not finite"):
        cbp.fit(HILL, x, Y[:n] * 1e200)


# ---- what the core adds up -----------------------------------------------------------------------


def test_sums_of_whole_blocks_are_those_of_all() -> None:
    block, n = 2048, 5000
    x, y, weight = X[:n], CURVE[:n], WEIGHT[:n]
    parts = [
        gradient_sums(
            HILL, x[k : k + block], y[k : k + block], weight[k : k + block], "cauchy", 2.0
        )
        for k in range(0, n, block)
    ]
    mean = mean_of_sums(merge_sums(parts))
    loss, gradient = HILL.loss_and_gradient(
        x, y, loss="cauchy", loss_scale=2.0, sample_weight=weight
    )
    assert mean[0] == loss
    assert mean[1:].tobytes() == gradient.tobytes()

    def average(params: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        u = b3 + w3 / (1 + np.exp(-(w2 * np.log(w1 * x + b1) + b2))) - y
        return 2.0**2 * np.sum(weight * np.log(1 + (u / 2.0) ** 2)) / np.sum(weight)

    assert loss == pytest.approx(average(HILL.params), rel=1e-13)
    steps = 1e-100j * np.eye(6)
    by_steps = [average(HILL.params + step).imag / 1e-100 for step in steps]
    assert gradient == pytest.approx(by_steps, rel=1e-11)


def test_a_mean_needs_a_weight() -> None:
    nothing = gradient_sums(HILL, X[:9], CURVE[:9], np.zeros(9), "squared", 1.0)
    with pytest.raises(cbp.ParameterError):
        mean_of_sums(nothing)


@pytest.mark.parametrize("limit", [20, 200, 301])
def test_no_iteration_is_lost_between_two_attempts(limit: int) -> None:
    # a rising line, to which a sigmoid comes ever nearer as it grows
    x = np.arange(1.0, 9.0)
    found = sharded([4], HILL, x, x + 1.0, None, max_iterations=limit, tolerance=0.0)
    assert (found.status, found.n_iterations) == ("max_iterations", limit)


@pytest.mark.parametrize("unit", [2.0**-300, 2.0**200], ids=["tiny", "large"])
def test_the_unit_of_targets_does_not_matter(unit: float) -> None:
    x, y, ends = X[:9000], CURVE[:9000] + 0.1 * NOISE[:9000], split(9000, 3)
    start = HILL.copy()
    start.params[4:] *= unit
    found, other = sharded(ends, start, x, y * unit, None), sharded(ends, HILL, x, y, None)
    assert found.status == "converged"
    scale = np.array([1, 1, 1, 1, unit, unit])
    np.testing.assert_allclose(found.params, other.params * scale, rtol=1e-9)
    np.testing.assert_allclose(found.stderr, other.stderr * scale, rtol=1e-9)


@pytest.mark.parametrize("is_weighted", [False, True], ids=["", "weighted"])
def test_a_line_through_very_many_points(is_weighted: bool) -> None:
    """A fit of so many that it goes over shards, against least squares by NumPy."""
    n = 250_001
    x = np.linspace(-1.0, 3.0, n)
    y = 2.0 * x - 0.5 + np.cos(1e5 * x)
    weight = np.where(np.arange(n) % 5 > 0, 1.0 + x**2, 0.0) if is_weighted else None
    found = cbp.fit(cbp.Chain([1.0], [0.0], "identity"), x, y, sample_weight=weight)
    root = np.ones(n) if weight is None else np.sqrt(weight)
    columns = np.column_stack([x, np.ones(n)]) * root[:, None]
    expected, (rss,), _, _ = np.linalg.lstsq(columns, y * root, rcond=None)
    assert found.status == "converged"
    np.testing.assert_allclose(found.params, expected, rtol=1e-9)
    np.testing.assert_allclose(found.rss, rss, rtol=1e-10)
    assert found.df == np.count_nonzero(root) - 2
    covariance = rss / found.df * np.linalg.inv(columns.T @ columns)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8)


def test_very_many_points_with_other_options() -> None:
    x = np.linspace(-1.0, 3.0, 100_001)
    y, start = 2.0 * x - 0.5, cbp.Chain([1.0], [0.0], "identity")
    seen: list[cbp.FitProgress] = []
    found = cbp.fit(start, x, y, callback=seen.append)
    assert len(seen) == found.n_iterations > 0
    bounded = cbp.fit(start, x, y, bounds={"w1": (None, 1.5)})
    # the best shift of a line of slope 1.5 is the mean of y - 1.5 x, and x is 1 on average
    np.testing.assert_allclose(bounded.params, [1.5, 0.0], rtol=1e-9, atol=1e-9)
    assert bounded.message == "converged; at a bound: w1"
