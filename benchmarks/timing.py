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
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

OURS = "cbackprop"


class Pair(NamedTuple):
    """One job done by this library and by a rival, in turn."""

    section: str
    job: str
    rival: str
    ours: float  # seconds, the median
    theirs: float
    ratio: float  # the median of theirs divided by ours of the same round


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


def machine() -> str:
    """Say in a line what the figures depend on."""
    import cbackprop
    from cbackprop import _core

    return (
        f"{processor()}, {platform.system()} {platform.machine()}, kernels {_core.kernel()}; "
        f"Python {platform.python_version()} compiled by "
        f"{sysconfig.get_config_var('CC') or 'unknown'}; {OURS} {cbackprop.__version__}"
    )


def print_machine(packages: Sequence[str] = ()) -> None:
    """Print what the figures below depend on, and which rivals there are."""
    print(machine())
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


def pairs(
    section: str, job: str, taken: Mapping[str, Sequence[float]], unit: float = 1.0
) -> list[Pair]:
    """Set what `interleave` has measured of OURS against each of the others.

    Parameters
    ----------
    section, job : str
    taken : mapping of str to sequence of float
        Seconds, round by round.
    unit : float
        Times are divided by it: how many fits, or examples, one repetition is.
    """
    ours = taken[OURS]
    return [
        Pair(
            section,
            job,
            rival,
            statistics.median(ours) / unit,
            statistics.median(theirs) / unit,
            median_ratio(theirs, ours),
        )
        for rival, theirs in taken.items()
        if rival != OURS
    ]


def print_pairs(measured: Sequence[Pair]) -> None:
    """Print a table, section by section."""
    for section, group in groupby(measured, lambda pair: pair.section):
        print(f"\n{section:<60}{OURS:>12}  {'rival':<34}{'':>12}{'ratio':>10}")
        for pair in group:
            print(
                f"  {pair.job:<58}{duration(pair.ours):>12}"
                f"  {pair.rival:<34}{duration(pair.theirs):>12}{pair.ratio:>10.3g}"
            )


def duration(seconds: float) -> str:
    """Write a time with three digits."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def loop(function: Callable[[], object]) -> Callable[[int], None]:
    """Repeat a call that is long enough for the loop around it not to count."""

    def run(count: int) -> None:
        for _ in range(count):
            function()

    return run
