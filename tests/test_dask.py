"""Fits beyond one machine: the same bits whatever dies on the way."""

from __future__ import annotations

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
    undisturbed = dask.fit(NET, shard, range(SHARDS), client=client)
    work = partial(dask.fit, NET, keys=range(SHARDS))
    assert same(undisturbed, disturbed(work, shard, (4, 3)))
    # what the dead had begun was begun again
    assert loads(tmp_path / "log").count("4") >= undisturbed.n_evaluations + 1


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
        work([1, "1"], tmp_path)


def test_a_wrong_option_leaves_no_trace(client: Any, tmp_path: Path) -> None:
    with pytest.raises(cbp.ParameterError, match=r"^loss: 'hubber'"):
        dask.fit_many(NET, chunk, [0], tmp_path / "a", client=client, loss="hubber")
    assert not (tmp_path / "a").exists()


def test_what_is_not_given() -> None:
    with pytest.raises(cbp.ParameterError, match=r"^keys: there are none"):
        dask.gradient(NET, shard, [])
    with pytest.raises(cbp.ParameterError, match=r"^client: none given, and no current one"):
        dask.gradient(NET, shard, [0])


def test_dask_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'cbackprop\[dask\]'"):
        dask.gradient(NET, shard, [0])
