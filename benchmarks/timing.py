"""How the benchmarks measure: the rivals in turn, in many short rounds, on one core.

A machine that slows down for a moment then slows all rivals, so that ratios are taken inside each
round and their median is reported.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def pin() -> None:
    """Keep this process on one of its cores, where the system can."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def processor() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_machine(packages: Sequence[str] = ()) -> None:
    """Print what the figures below depend on."""
    import cbackprop
    from cbackprop import _core

    print(f"{processor()}, {platform.system()} {platform.machine()}")
    compiler = sysconfig.get_config_var("CC") or "unknown"
    print(f"Python {platform.python_version()}, its compiler: {compiler}")
    print(f"cbackprop {cbackprop.__version__}, kernels: {_core.kernel()}")
    for package in packages:
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package}: not installed, skipped")


def repeats(run: Callable[[int], object], seconds: float) -> int:
    """How often to repeat what `run` repeats so that one call takes about `seconds`."""
    count = 1
    while True:
        start = time.perf_counter()
        run(count)
        taken = time.perf_counter() - start
        if taken > seconds / 10 or count > 1 << 40:
            return max(1, round(count * seconds / max(taken, 1e-9)))
        count *= 4


def interleave(
    rivals: Mapping[str, Callable[[int], object]], *, rounds: int = 15, seconds: float = 0.02
) -> dict[str, list[float]]:
    """Seconds for one repetition of every rival, round by round: A B C, A B C, ...

    Parameters
    ----------
    rivals : mapping of str to callable
        Each is called with how many repetitions it is to make.
    rounds : int
    seconds : float
        About how long one rival's share of a round takes.

    Returns
    -------
    dict of str to list of float
        For each rival, one figure for each round.
    """
    counts = {name: repeats(run, seconds) for name, run in rivals.items()}
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, run in rivals.items():
            start = time.perf_counter()
            run(counts[name])
            taken[name].append((time.perf_counter() - start) / counts[name])
    return taken


def median_ratio(rival: Sequence[float], ours: Sequence[float]) -> float:
    """Take the median over the rounds of the rival's time divided by ours."""
    return statistics.median(a / b for a, b in zip(rival, ours, strict=True))


def loop(function: Callable[[], object]) -> Callable[[int], None]:
    """Repeat a call that is long enough for the loop around it not to count."""

    def run(count: int) -> None:
        for _ in range(count):
            function()

    return run
