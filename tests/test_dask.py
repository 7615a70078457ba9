"""Fits beyond one machine: the same bits whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import dask

distributed = pytest.importorskip("distributed")

Floats = npt.NDArray[np.float64]
PATIENCE = 30.0  # seconds, for what takes less than one
SHARDS, CHUNKS = 9, 6
NET = cbp.Chain(
    [1.0, 1.0, 3.0], [0.0, 0.0, 0.0], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)


# ---- what is loaded; the workers import this file's functions by value --------------------------


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
    """Load and say so; at the victim's nth load, once, wait for the end in the middle of the task."""
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


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


@pytest.fixture
def disturbed(client: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Run something while a worker is killed in the middle of a task."""
    log = tmp_path / "log"

    def run(work: Callable[[Callable[[int], Any]], Any], load: Any, victim: tuple[int, int]) -> Any:
        killer = threading.Thread(target=kill_when_asked, args=[log])
        killer.start()
        answer = work(partial(logged, load, log, victim))
        killer.join()
        key, nth = victim
        assert loads(log).count(str(key)) > nth  # what the dead had begun was begun again
        return answer

    yield run
    client.wait_for_workers(2, timeout=PATIENCE)


def same(a: cbp.FitResult, b: cbp.FitResult) -> bool:
    """All bits of what was found, and of what was said of it."""
    numbers = [(r.params, r.stderr, r.covariance, r.history, r.identified) for r in (a, b)]
    words = [(r.loss, r.rss, r.df, r.message, r.n_evaluations, r.gradient_norm) for r in (a, b)]
    equal = (p.tobytes() == q.tobytes() for p, q in zip(*numbers, strict=True))
    return all(equal) and words[0] == words[1]


def test_a_gradient_survives_a_worker(client: Any, disturbed: Any) -> None:
    loss, gradient = dask.gradient(NET, shard, range(SHARDS), client=client)
    work = partial(dask.gradient, NET, keys=range(SHARDS), client=client)
    again, again_gradient = disturbed(lambda load: work(load=load), shard, (4, 1))
    assert loss == again
    assert gradient.tobytes() == again_gradient.tobytes()


def test_a_fit_survives_a_worker(client: Any, disturbed: Any) -> None:
    undisturbed = dask.fit(NET, shard, range(SHARDS), client=client)
    work = partial(dask.fit, NET, keys=range(SHARDS), client=client)
    assert same(undisturbed, disturbed(lambda load: work(load=load), shard, (4, 3)))


def contents(paths: list[Path]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        with np.load(path) as arrays:
            found.append({name: (arrays[name].dtype, arrays[name].tobytes()) for name in arrays})
    return found


def test_many_fits_survive_a_worker(client: Any, disturbed: Any, tmp_path: Path) -> None:
    paths = dask.fit_many(NET, chunk, range(CHUNKS), tmp_path / "a", client=client)
    work = partial(dask.fit_many, NET, keys=range(CHUNKS), client=client)
    again = disturbed(lambda load: work(load=load, directory=tmp_path / "b"), chunk, (3, 1))
    assert [path.name for path in paths] == [f"{key}.npz" for key in range(CHUNKS)]
    assert contents(paths) == contents(again)


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_dask
if __name__ == "__main__":
    test_dask.drive(Path(sys.argv[2]))
"""


def drive(folder: Path) -> None:
    """Be the driver of the next test."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        distributed.Client(two),
    ):
        load = partial(logged, chunk, folder / "log", (4, 1))
        dask.fit_many(NET, load, range(CHUNKS), folder / "fits")


def test_a_driver_killed_goes_on(client: Any, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, script, Path(__file__).parent, tmp_path]
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    marker = tmp_path / "log.pid"
    wait_for(marker.with_name("log").with_suffix(".pid").exists)
    fits = tmp_path / "fits"
    wait_for(lambda: len(list(fits.glob("*.npz"))) >= CHUNKS - 2)
    driver.kill()
    driver.wait()
