"""Fits beyond one machine: the same bits whatever dies on the way."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import dask

distributed = pytest.importorskip("distributed")
config = pytest.importorskip("dask.config")

Floats = npt.NDArray[np.float64]
PATIENCE = 60.0  # seconds, for what takes about one
SHARDS, CHUNKS = 9, 6
SCALARS = ["loss", "rss", "residual_sd", "df", "status", "converged", "n_iterations"]
NET = cbp.Chain(
    [1.0, 1.0, 3.0], [0.0, 0.0, 0.0], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)


# ---- what is loaded, by workers ------------------------------------------------------------------


def shard(key: int) -> tuple[Floats, Floats, Floats]:
    """Some weighted examples of a saturation curve; shards are of different lengths."""
    rng = np.random.default_rng([2700, key])
    x = rng.uniform(0.02, 20.0, 1500 + 700 * (key % 3))
    y = 0.5 + 5.0 / (1.0 + np.exp(1.0 - 1.5 * np.log(x))) + 0.1 * rng.standard_normal(x.size)
    return x, y, rng.uniform(0.0, 2.0, x.size)


def large_shard(key: int) -> tuple[Floats, Floats, Floats]:
    """The same with some whole leaves in it."""
    x, y, weight = (np.concatenate(parts) for parts in zip(*map(shard, [key] * 5), strict=True))
    return x + 1e-3 * np.arange(x.size), y, weight


def chunk(key: int) -> tuple[Floats, Floats]:
    """Some curves, each with its own parameters; one of them cannot be fitted."""
    rng = np.random.default_rng([2701, key])
    x = np.geomspace(0.02, 20.0, 40)
    top, middle = rng.uniform(3.0, 6.0, (50, 1)), rng.uniform(0.5, 1.5, (50, 1))
    y = 0.5 + top / (1.0 + np.exp(middle - 1.5 * np.log(x))) + 0.1 * rng.standard_normal((50, 40))
    y[key, 2:] = np.nan
    return x, y


def loads(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def logged(load: Callable[[int], Any], log: Path, victim: tuple[int, int] | None, key: int) -> Any:
    """Load and say so; at the victim's nth load, once, wait to be killed."""
    with log.open("a") as file:
        file.write(f"{key} ")
    marker = log.with_suffix(".pid")
    if victim is not None and (key, loads(log).count(str(key))) == victim and not marker.exists():
        marker.with_suffix(".new").write_text(str(os.getpid()))
        marker.with_suffix(".new").rename(marker)
        time.sleep(PATIENCE)
    return load(key)


def kill_when_asked(log: Path) -> None:
    """Kill, as nothing can resist it, the worker that waits for it."""
    marker = log.with_suffix(".pid")
    wait_for(marker.exists)
    os.kill(int(marker.read_text()), signal.SIGKILL)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.02)


# ---- two workers ---------------------------------------------------------------------------------


@contextmanager
def two_workers() -> Iterator[Any]:
    with (
        # a busy machine may need longer to start two processes than Dask has patience
        config.set({"distributed.comm.timeouts.connect": "120s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as connected,
    ):
        yield connected


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with two_workers() as connected:
        yield connected


@pytest.fixture
def disturbed(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Call something with a loader, while one of two workers is killed in the middle of loading."""
    log = tmp_path / "log"

    def run(work: Callable[..., Any], load: Any, victim: tuple[int, int], **more: Any) -> Any:
        killer = threading.Thread(target=kill_when_asked, args=[log])
        killer.start()
        answer = work(load=partial(logged, load, log, victim), client=mortals, **more)
        killer.join()
        return answer

    with two_workers() as mortals:
        yield run


def same(a: cbp.FitResult, b: cbp.FitResult) -> bool:
    """All bits of what was found, and of what was said of it."""
    numbers = [(r.params, r.stderr, r.covariance, r.history, r.identified) for r in (a, b)]
    words = [(r.loss, r.rss, r.df, r.message, r.n_evaluations, r.gradient_norm) for r in (a, b)]
    equal = (p.tobytes() == q.tobytes() for p, q in zip(*numbers, strict=True))
    return all(equal) and words[0] == words[1]


def test_a_gradient_survives_a_worker(client: Any, disturbed: Any) -> None:
    loss, gradient = dask.gradient(NET, shard, range(SHARDS), client=client)
    work = partial(dask.gradient, NET, keys=range(SHARDS))
    again, again_gradient = disturbed(work, shard, (4, 1))
    assert loss == again
    assert gradient.tobytes() == again_gradient.tobytes()


def test_a_fit_survives_a_worker(client: Any, disturbed: Any, tmp_path: Path) -> None:
    undisturbed = dask.fit(NET, large_shard, range(SHARDS), client=client)
    work = partial(dask.fit, NET, keys=range(SHARDS))
    assert same(undisturbed, disturbed(work, large_shard, (4, 5)))
    # what the dead had begun was begun again
    assert loads(tmp_path / "log").count("4") >= undisturbed.n_evaluations + 2 + 1


def contents(paths: list[Path]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        with np.load(path) as arrays:
            found.append({name: (arrays[name].dtype, arrays[name].tobytes()) for name in arrays})
    return found


def test_many_fits_survive_a_worker(client: Any, disturbed: Any, tmp_path: Path) -> None:
    paths = dask.fit_many(NET, chunk, range(CHUNKS), tmp_path / "a", client=client)
    work = partial(dask.fit_many, NET, keys=range(CHUNKS))
    again = disturbed(work, chunk, (3, 1), directory=tmp_path / "b")
    assert [path.name for path in paths] == [f"{key}.npz" for key in range(CHUNKS)]
    assert contents(paths) == contents(again)


DRIVER = """
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from test_dask import CHUNKS, NET, chunk, dask, distributed, logged

folder = Path(sys.argv[2])
cluster = distributed.LocalCluster(2, threads_per_worker=1, processes=False, dashboard_address=":0")
with cluster, distributed.Client(cluster):
    load = partial(logged, chunk, folder / "log", (3, 1))
    dask.fit_many(NET, load, range(CHUNKS), folder / "fits")
"""


def test_a_driver_killed_goes_on(client: Any, tmp_path: Path) -> None:
    fits, log = tmp_path / "fits", tmp_path / "log"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, Path(__file__).parent, tmp_path])
    try:
        wait_for(log.with_suffix(".pid").exists)
        wait_for(lambda: len(list(fits.glob("*.npz"))) >= 2)
    finally:
        driver.kill()
        driver.wait()
    done = {path.name: path.stat().st_mtime_ns for path in fits.glob("*.npz")}
    assert "3.npz" not in done
    log.unlink()
    load = partial(logged, chunk, log, None)
    paths = dask.fit_many(NET, load, range(CHUNKS), fits, client=client)
    assert {f"{key}.npz" for key in loads(log)} == {path.name for path in paths} - done.keys()
    assert {name: (fits / name).stat().st_mtime_ns for name in done} == done
    assert dask.fit_many(NET, load, range(CHUNKS), fits, client=client) == paths
    assert len(loads(log)) == CHUNKS - len(done)
    undisturbed = dask.fit_many(NET, chunk, range(CHUNKS), tmp_path / "again", client=client)
    assert contents(paths) == contents(undisturbed)


# ---- what is found -------------------------------------------------------------------------------


def test_a_gradient_is_that_of_all_examples(client: Any) -> None:
    # Of pieces of whole blocks: there the sums are the same, bit for bit.
    x, y, weight = (np.concatenate(parts) for parts in zip(*map(shard, range(3)), strict=True))
    ends = range(0, x.size, 2048)
    pieces = [tuple(part[end : end + 2048] for part in (x, y, weight)) for end in ends]
    with client.as_current():
        loss, gradient = dask.gradient(NET, pieces.__getitem__, range(len(pieces)))
    expected, expected_gradient = NET.loss_and_gradient(x, y, sample_weight=weight)
    assert loss == expected
    assert gradient.tobytes() == expected_gradient.tobytes()
    written_out, written_out_gradient = by_hand(x, y, weight)
    assert loss == pytest.approx(written_out, rel=1e-13)
    assert gradient == pytest.approx(written_out_gradient, rel=1e-11)


def test_a_fit_is_that_of_scipy(client: Any) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x, y, weight = (np.concatenate(parts) for parts in zip(*map(shard, range(3)), strict=True))
    found = dask.fit(NET, shard, range(3), client=client)
    expected, covariance = optimize.curve_fit(
        lambda x, w2, b2, w3, b3: b3 + w3 / (1 + np.exp(-(w2 * np.log(x) + b2))),
        *(x, y, NET.params[2:]),
        sigma=1 / np.sqrt(weight),
        xtol=1e-13,
        ftol=1e-13,
    )
    assert found.params[2:] == pytest.approx(expected, rel=1e-6)
    assert found.stderr[2:] == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-5)


def by_hand(x: Floats, y: Floats, weight: Floats, at: Floats = NET.params) -> tuple[float, Floats]:
    """The loss of NET and its gradient, by complex steps on the formula."""

    def loss(params: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        outputs = b3 + w3 / (1 + np.exp(-(w2 * np.log(w1 * x + b1) + b2)))
        return np.sum(weight * (outputs - y) ** 2) / np.sum(weight)

    steps = 1e-100j * np.eye(6)
    return loss(at), np.array([loss(at + step).imag / 1e-100 for step in steps])


def test_an_exact_covariance_is_that_of_the_formula(client: Any) -> None:
    options: dict[str, Any] = {"covariance": "hessian"}
    keys = [1, 0, 3, 2]  # some of them empty
    found = dask.fit(NET, with_holes, keys, client=client, **options)
    x, y, weight = (np.concatenate(parts) for parts in zip(shard(0), shard(3), strict=True))
    steps = 1e-5 * np.eye(6)[2:]
    ahead, behind = (
        np.array([by_hand(x, y, weight, found.params + sign * step)[1][2:] for step in steps])
        for sign in (1.0, -1.0)
    )
    hessian = np.sum(weight) * (ahead - behind) / 2e-5
    expected = 2.0 * found.rss / (x.size - 4) * np.linalg.inv(hessian)
    np.testing.assert_allclose(found.free_covariance, expected, rtol=1e-6)
    approximate = dask.fit(NET, with_holes, keys, client=client)
    assert approximate.params.tobytes() == found.params.tobytes()
    assert abs(approximate.stderr[2:] / found.stderr[2:] - 1).max() > 1e-4


def test_a_wrong_covariance_is_refused_before_anything_is_loaded(
    client: Any, tmp_path: Path
) -> None:
    load = partial(logged, shard, tmp_path / "log", None)
    with pytest.raises(cbp.ParameterError, match=r"^covariance: 'hesian'; .*'hessian'\?"):
        dask.fit(NET, load, [0], client=client, covariance="hesian")  # type: ignore[arg-type]
    assert not loads(tmp_path / "log")


def with_holes(key: int) -> Any:
    """Shards of which some have no examples."""
    x, y, weight = shard(key)
    return [(x, y, weight), ([], []), (x[:0], y[:0], weight[:0])][key % 3]


def test_an_empty_shard_adds_nothing(client: Any) -> None:
    x, y, weight = (np.concatenate(parts) for parts in zip(shard(0), shard(3), strict=True))
    keys = [1, 0, 2, 3, 4]
    loss, gradient = dask.gradient(NET, with_holes, keys, client=client)
    expected, expected_gradient = by_hand(x, y, weight)
    assert loss == pytest.approx(expected, rel=1e-13)
    assert gradient == pytest.approx(expected_gradient, rel=1e-11)
    found, whole = (
        dask.fit(NET, with_holes, keys, client=client),
        cbp.fit(NET, x, y, sample_weight=weight),
    )
    assert found.df == whole.df == x.size - 4
    assert found.params == pytest.approx(whole.params, rel=1e-7)
    assert found.stderr == pytest.approx(whole.stderr, rel=1e-6)


@pytest.mark.parametrize("work", [dask.gradient, dask.fit])
def test_shards_without_an_example_are_refused(client: Any, work: Any) -> None:
    with pytest.raises(cbp.ShapeError, match=r"^load: .*examples? of positive weight"):
        work(NET, with_holes, [1, 2, 4], client=client)


def test_a_wrong_empty_shard_is_named(client: Any) -> None:
    def load(key: int) -> tuple[npt.ArrayLike, ...]:
        if key == 0:
            return shard(0)
        return [], [1.0]

    with pytest.raises(cbp.ShapeError, match=r"^y: ") as caught:
        dask.gradient(NET, load, [0, 1], client=client)
    assert caught.value.__notes__ == ["in the shard 1"]


def hollow(key: str) -> Any:
    return {
        "no chain": ([0.0, 1.0], np.empty((0, 2))),
        "rows": (np.empty((0, 2)), np.empty((0, 2))),
        "no example": ([], np.empty((3, 0))),
        "neither": ([], np.empty((0, 0))),
    }[key]


def test_a_hollow_chunk_has_a_result(client: Any, tmp_path: Path) -> None:
    keys = ["no chain", "rows", "no example", "neither"]
    for _ in range(2):  # the second time the files are there
        paths = dask.fit_many(NET, hollow, keys, tmp_path, client=client, covariance=True)
        for path, chains in zip(paths, [0, 0, 3, 0], strict=True):
            with np.load(path) as found:
                assert {name: found[name].shape for name in found} == {
                    **dict.fromkeys(SCALARS, (chains,)),
                    **dict.fromkeys(["params", "stderr", "identified"], (chains, 6)),
                    "covariance": (chains, 6, 6),
                }
                assert found["status"].tolist() == ["too_few_points"] * chains


@pytest.mark.parametrize("load", [shard, large_shard])
def test_a_fit_is_that_of_all_examples(client: Any, load: Any) -> None:
    x, y, weight = (np.concatenate(parts) for parts in zip(*map(load, range(4)), strict=True))
    options: dict[str, Any] = {
        "loss": "huber",
        "loss_scale": 0.1,
        "bounds": {"w2": (0.0, 1.25)},
        "restarts": 1,
        "rng": 7,
        "max_iterations": 8,
    }
    seen: list[list[float]] = [[], []]
    found = dask.fit(
        NET, load, range(4), client=client, **options, callback=lambda p: seen[0].append(p.loss)
    )
    expected = cbp.fit(
        NET, x, y, sample_weight=weight, **options, callback=lambda p: seen[1].append(p.loss)
    )
    assert same(found, expected)
    assert seen[0] == seen[1] == found.history[1:].tolist()


def test_a_callback_stops_a_fit(client: Any) -> None:
    found = dask.fit(NET, shard, range(3), client=client, callback=lambda p: p.n_iterations == 2)
    assert (found.status, found.n_iterations) == ("stopped", 2)
    raised = LookupError("mine")

    def fail(_: cbp.FitProgress) -> None:
        raise raised

    with pytest.raises(LookupError) as caught:
        dask.fit(NET, shard, range(3), client=client, callback=fail)
    assert caught.value is raised


def test_counts_in_pieces_are_counts(client: Any) -> None:
    net = cbp.Chain([0.05], [0.5], "exp")
    x = np.random.default_rng(7).uniform(0, 40, 3 * 2048)
    y = np.random.default_rng(8).poisson(net(x)).astype(float)
    pieces = [(x[end : end + 2048], y[end : end + 2048]) for end in range(0, x.size, 2048)]
    with client.as_current():
        found = dask.gradient(net, pieces.__getitem__, range(3), loss="poisson")
        fitted = dask.fit(net, pieces.__getitem__, range(3), loss="poisson")
    assert found[0] == net.loss(x, y, loss="poisson")
    assert found[1].tobytes() == net.gradient(x, y, loss="poisson").tobytes()
    expected = cbp.fit(net, x, y, loss="poisson")
    np.testing.assert_allclose(fitted.params, expected.params, rtol=1e-9)
    np.testing.assert_allclose(fitted.covariance, expected.covariance, rtol=1e-9)
    assert np.isnan(fitted.residual_sd)


def test_chunks_are_fitted_as_by_themselves(client: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"bounds": {"b3": (0.0, None)}, "loss": "soft_l1", "covariance": True}
    # keys that cannot be file names
    keys = ["a/b", "../c", "*", "d.npz"]
    paths = dask.fit_many(NET, lambda _: chunk(5), keys, tmp_path, client=client, **options)
    assert {path.parent for path in paths} == {tmp_path}
    expected = cbp.fit_many(NET, *chunk(5), **options)
    optimize, (x, y) = pytest.importorskip("scipy.optimize"), chunk(5)
    for i in range(3):
        scipys = optimize.least_squares(
            lambda p, i=i: p[3] + p[2] / (1 + np.exp(-(p[0] * np.log(x) + p[1]))) - y[i],
            [1.0, 0.0, 3.0, 0.1],
            bounds=([-np.inf, -np.inf, -np.inf, 0.0], np.inf),
            loss="soft_l1",
            **dict.fromkeys(["xtol", "ftol", "gtol"], 1e-14),
        )
        assert expected.loss[i] == pytest.approx(2 * scipys.cost / x.size, rel=1e-8)
        assert expected.params[i, 2:] == pytest.approx(scipys.x, rel=1e-3)
    for path in paths:
        with np.load(path) as found:
            assert found["status"].tolist() == expected.status.tolist()
            for name in found:
                assert found[name].tobytes() == getattr(expected, name).tobytes(), name


def test_the_guide(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    guide = Path(__file__).parents[1] / "docs" / "cluster.md"
    first, second = re.findall(
        r"^```python\n(.*?)^```$", guide.read_text(), re.DOTALL | re.MULTILINE
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(distributed, "Client", lambda **_: client.as_current())
    program: dict[str, Any] = {"__name__": "__main__"}
    exec(first.replace("100_000", "10_000").replace("range(20)", "range(4)"), program)
    assert "converged; 8 iterations" in capsys.readouterr().out
    exec(second, program)
    with client.as_current():
        assert program["main"]().shape == (8000, 4)


# ---- what goes wrong -----------------------------------------------------------------------------


def spoilt(key: int) -> Any:
    return [shard(key), shard(key)[:1], 5, (1.0, [2.0, 3.0])][key]


def missing(key: int) -> Any:
    if key == 1:
        raise FileNotFoundError(f"shard {key}.csv")
    return chunk(key)


@pytest.mark.parametrize(("key", "error"), [(1, cbp.InputTypeError), (3, cbp.ShapeError)])
@pytest.mark.parametrize("work", [dask.gradient, dask.fit])
def test_a_bad_shard_is_named(client: Any, work: Any, key: int, error: Any) -> None:
    with pytest.raises(error) as caught:
        work(NET, spoilt, [0, key], client=client)
    assert caught.value.__notes__ == [f"in the shard {key}"]


def test_a_bad_chunk_costs_no_other(client: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^shard 1\.csv"):
        dask.fit_many(NET, missing, range(4), tmp_path, client=client)
    assert {path.name for path in tmp_path.glob("*.npz")} == {"0.npz", "2.npz", "3.npz"}


def test_a_directory_is_of_one_job(client: Any, tmp_path: Path) -> None:
    work = partial(dask.fit_many, NET, chunk, client=client)
    work([0], tmp_path, bounds={"b2": (np.float64(-5), None)})
    work([1], tmp_path, bounds={"b2": (-5, None)})
    with pytest.raises(cbp.ParameterError, match=r"^directory: .*job\.json is of other chains"):
        work([1], tmp_path, bounds={"b2": (-4, None)})
    with pytest.raises(cbp.ParameterError, match=r"^keys: two are the same as text"):
        work([1, "1"], tmp_path)  # type: ignore[list-item]


SAME = [
    ({"bounds": {"b2": (-math.inf, 5)}}, {"bounds": {"b2": [None, 5.0]}}),
    ({"bounds": {"b3": (0, None), "w2": (None, None)}}, {"bounds": {"b3": (0.0, math.inf)}}),
    ({"bounds": {"w3": (1, 9), "b3": (0, 1)}}, {"bounds": {"b3": (0, 1), "w3": (1, 9)}}),
    ({"bounds": {}}, {}),
    ({"max_iterations": 2000, "tolerance": 1e-10}, {}),
    ({"loss_scale": math.nan}, {"loss_scale": np.float64("nan")}),  # the squares have no scale
    ({"loss_scale": 2, "loss": "huber"}, {"loss_scale": np.float32(2), "loss": np.str_("huber")}),
    ({"covariance": 1}, {"covariance": np.True_}),
    ({"covariance": 0}, {}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_the_same_options_are_the_same_job(
    client: Any, tmp_path: Path, first: Any, second: Any
) -> None:
    (path,) = dask.fit_many(NET, chunk, [0], tmp_path, client=client, **first)
    written = path.stat().st_mtime_ns
    for options in (first, second):
        dask.fit_many(NET, chunk, [0], tmp_path, client=client, **options)
    assert path.stat().st_mtime_ns == written


OTHER: dict[str, dict[str, Any]] = {
    "bounds": {"bounds": {"b2": (None, 5)}},
    "loss": {"loss": "huber"},
    "max_iterations": {"max_iterations": 3},
    "tolerance": {"tolerance": 1e-9},
    "covariance": {"covariance": True},
    "loss_scale": {"loss_scale": 3},
}


def test_another_job_is_refused_by_name(client: Any, tmp_path: Path) -> None:
    work = partial(dask.fit_many, load=chunk, keys=[0], directory=tmp_path, client=client)
    work(NET, bounds={"b2": (-5, None)})
    before = (tmp_path / "job.json").read_bytes()
    own: dict[str, Any] = {"bounds": {"b2": (-5, None)}}
    for name, options in OTHER.items():
        with pytest.raises(cbp.ParameterError, match=rf"job\.json is of other .* \({name}\)"):
            work(NET, **own | options)
    moved = cbp.Chain([1.0, 1.0, 2.5], [0.0] * 3, NET.activations, frozen=NET.frozen)
    with pytest.raises(cbp.ParameterError, match=r"job\.json is of other .* \(chain, tolerance\)"):
        work(moved, **own, tolerance=1e-9)
    assert (tmp_path / "job.json").read_bytes() == before


BROKEN = {
    "empty": b"",
    "cut": b'{"chain": {"format": "cbackprop chain", "ver',
    "zeros": bytes(500),
    "not UTF-8": b'{"chain": "\xff"}',
    "deep": b"[" * 100_000,
    "a list": b"[1, 2]",
    "null": b"null",
    "a number": b"5",
    "an empty object": b"{}",
    "a key too many": b"",
    "a long integer": b"1" * 10_000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_job_is_refused(client: Any, tmp_path: Path, kind: str) -> None:
    work = partial(dask.fit_many, NET, chunk, [0], tmp_path, client=client)
    (path,) = work()
    job = tmp_path / "job.json"
    content = BROKEN[kind]
    if kind == "a key too many":
        content = job.read_bytes().replace(b"{", b'{"more": 1, ', 1)
    job.write_bytes(content)
    result = path.read_bytes()
    with pytest.raises(cbp.ParameterError) as caught:
        work()
    assert str(caught.value).startswith(f"directory: {job} ")
    assert "a new directory" in str(caught.value)
    assert (job.read_bytes(), path.read_bytes()) == (content, result)


def test_a_job_edited_by_hand_is_the_same(client: Any, tmp_path: Path) -> None:
    work = partial(dask.fit_many, NET, chunk, [0], tmp_path, client=client, tolerance=1.0)
    (path,) = work()
    written, job = path.stat().st_mtime_ns, tmp_path / "job.json"
    text = job.read_text()
    # indented, by an editor that marks UTF-8, and with 1 for 1.0
    edited = json.dumps(json.loads(text), indent=4).replace("1.0", "1")
    assert edited != json.dumps(json.loads(text), indent=4)
    job.write_text(edited, encoding="utf-8-sig")
    work()
    assert path.stat().st_mtime_ns == written


def test_a_job_that_is_a_directory_is_refused(client: Any, tmp_path: Path) -> None:
    (tmp_path / "job.json").mkdir()
    with pytest.raises(cbp.ParameterError, match=r"^directory: .*job\.json cannot be read"):
        dask.fit_many(NET, chunk, [0], tmp_path, client=client)


def test_results_of_unknown_options_are_refused(client: Any, tmp_path: Path) -> None:
    (path,) = dask.fit_many(NET, chunk, [0], tmp_path, client=client)
    (tmp_path / "job.json").unlink()
    before = path.read_bytes()
    with pytest.raises(cbp.ParameterError, match=r"^directory: .*0\.npz exists, but no job\.json"):
        dask.fit_many(NET, chunk, [1, 0], tmp_path, client=client)
    assert path.read_bytes() == before
    assert not (tmp_path / "job.json").exists()


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(path) as found:
        arrays = dict(found)
    change(arrays)
    np.savez(path, **arrays)


def cut_to(share: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


UNFINISHED: dict[str, Callable[[Path], object]] = {
    "of no byte": lambda path: path.write_bytes(b""),
    "of its beginning": cut_to(0.5),
    "without its end": cut_to(0.999),
    "of zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "with a bit flipped": flipped,
    "of text": lambda path: path.write_text("params 1 2 3"),
    "of one array": lambda path: path.write_bytes(npy(np.zeros(50))),
    "of objects": lambda path: rewritten(path, lambda a: a.update(df=np.array([None] * 50))),
    "without rss": lambda path: rewritten(path, lambda a: a.pop("rss")),
    "with fewer rows of rss": lambda path: rewritten(path, lambda a: a.update(rss=a["rss"][1:])),
    "of another chain": lambda path: rewritten(path, lambda a: a.update(params=a["params"][:, 2:])),
    "with text for numbers": lambda path: rewritten(path, lambda a: a.update(df=a["status"])),
    "with a scalar": lambda path: rewritten(path, lambda a: a.update(df=np.float64(3))),
}


def npy(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize("kind", UNFINISHED)
def test_an_unfinished_file_is_done_again(client: Any, tmp_path: Path, kind: str) -> None:
    paths = dask.fit_many(NET, chunk, [0, 1], tmp_path, client=client)
    before = contents(paths)
    UNFINISHED[kind](paths[0])
    written = paths[1].stat().st_mtime_ns
    assert dask.fit_many(NET, chunk, [0, 1], tmp_path, client=client) == paths
    assert contents(paths) == before
    assert paths[1].stat().st_mtime_ns == written


def test_a_result_that_is_no_file_is_refused(client: Any, tmp_path: Path) -> None:
    dask.fit_many(NET, chunk, [0], tmp_path, client=client)
    (tmp_path / "1.npz").mkdir()
    with pytest.raises(cbp.ParameterError, match=r"^directory: .*1\.npz cannot be read"):
        dask.fit_many(NET, chunk, [1], tmp_path, client=client)
    with pytest.raises(cbp.ParameterError, match=r"^directory: .*xx\.npz cannot be read"):
        dask.fit_many(NET, chunk, ["x" * 300], tmp_path, client=client)  # type: ignore[arg-type]


def test_a_directory_that_cannot_be(client: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    work = partial(dask.fit_many, NET, chunk, [0], client=client)
    for name in ("file", "file/below", "x" * 300, "with \0"):
        with pytest.raises(cbp.ParameterError, match=r"(?s)^directory: .* cannot be made"):
            work(tmp_path / name)
    for wrong in (None, 5, b"bytes"):
        with pytest.raises(cbp.InputTypeError, match=r"^directory: expected a path, got"):
            work(wrong)  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_wrong_argument_leaves_no_trace(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = partial(dask.fit_many, NET, chunk, [0], tmp_path / "a")
    with pytest.raises(cbp.ParameterError, match=r"^loss: 'hubber'"):
        work(client=client, loss="hubber")  # type: ignore[arg-type]
    nowhere = NET.copy()
    nowhere.params[2] = math.nan
    with pytest.raises(cbp.ParameterError, match=r"^net: .*w2 = nan"):
        dask.fit_many(nowhere, chunk, [0], tmp_path / "a", client=client)
    with pytest.raises(cbp.ParameterError, match=r"^client: none given"):
        work()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'cbackprop\[dask\]'"):
        work()
    assert not (tmp_path / "a").exists()


def test_a_directory_is_made_with_those_above_it(client: Any, tmp_path: Path) -> None:
    (path,) = dask.fit_many(NET, chunk, [0], tmp_path / "a" / "b", client=client)
    assert path == tmp_path / "a" / "b" / "0.npz"
    assert path.exists()


def test_what_is_not_given() -> None:
    with pytest.raises(cbp.ParameterError, match=r"^keys: there are none"):
        dask.gradient(NET, shard, [])
    with pytest.raises(cbp.ParameterError, match=r"^client: none given, and there is no"):
        dask.gradient(NET, shard, [0])


def test_dask_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'cbackprop\[dask\]'"):
        dask.gradient(NET, shard, [0])
