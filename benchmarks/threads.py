"""Compare several threads with one: many fits, many chains, and one chain on large arrays.

With --gain g the exit status is 1 if two threads gain less than g somewhere.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import timing

import cbackprop as cbp
from cbackprop import curves
from cbackprop.threads import usable_cores

Call = Callable[[int], Any]  # with a number of threads


def jobs(m: int) -> dict[str, tuple[int, Call]]:
    """Make the rows of the table: how many fits, chains or examples, and the call."""
    rng = np.random.default_rng(0)
    dose = 0.01 * 3.0 ** np.arange(10.0)
    truth = rng.uniform([0.0, 1.5, 0.3, 0.8], [0.2, 2.5, 5.0, 1.8], size=(m, 4)).T[:, :, None]
    bottom, top, ec50, slope = truth
    y = bottom + (top - bottom) / (1.0 + (dose / ec50) ** -slope) + rng.normal(0, 0.02, (m, 10))
    start = cbp.Chain(
        [1.0, 1.2, 2.0], [0.0, -0.5, 0.1], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
    )
    chains = cbp.fit_many(start, dose, y).chains
    net = cbp.Chain.random(4, "tanh", rng=1)
    n = 10 * m
    x, target = rng.normal(size=(2, n))
    return {
        "cbp.fit_many, 4PL, 10 points": (
            m,
            lambda threads: cbp.fit_many(start, dose, y, threads=threads),
        ),
        "curves.logistic4.fit_many, 10 points": (
            m,
            lambda threads: curves.logistic4.fit_many(dose, y, threads=threads),
        ),
        "ChainArray, 10 inputs each": (m, lambda threads: chains(dose, threads=threads)),
        "ChainArray.gradient, 10 examples each": (
            m,
            lambda threads: chains.gradient(dose, y, threads=threads),
        ),
        "ChainArray.inverse, 10 outputs each": (
            m,
            lambda threads: chains.inverse(y, threads=threads),
        ),
        "net(x), 4 tanh": (n, lambda threads: net(x, threads=threads)),
        "net.gradient, 4 tanh": (n, lambda threads: net.gradient(x, target, threads=threads)),
        "net.loss_and_gradient, 4 tanh": (
            n,
            lambda threads: net.loss_and_gradient(x, target, threads=threads),
        ),
    }


def measure(job: str, count: int, call: Call, threads: list[int], rounds: int) -> list[float]:
    """Print a row; return the gains over one thread."""
    loops = {str(k): timing.loop(lambda k=k: call(k)) for k in threads}  # type: ignore[misc]
    taken = timing.interleave(loops, rounds=rounds, seconds=0.2)
    one = taken["1"]
    gains = [timing.median_ratio(one, taken[str(k)]) for k in threads]
    each = timing.duration(statistics.median(one) / count)
    print(f"  {job:<40}{each:>12}" + "".join(f"{gain:>9.2f}" for gain in gains[1:]), flush=True)
    return gains[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--chains", type=int, default=200_000)
    parser.add_argument("--gain", type=float, default=0.0)
    options = parser.parse_args()
    timing.print_machine(["numpy"])
    cores = usable_cores()
    threads = [1, *(k for k in (2, 4, 8, 16, 32, 64) if k <= cores)]
    print(f"{cores} cores; gains over one thread\n")
    print(f"  {'':<40}{'one thread':>12}" + "".join(f"{k:>9}" for k in threads[1:]))
    gains = [
        gain
        for job, (count, call) in jobs(options.chains).items()
        for gain in measure(job, count, call, threads, options.rounds)[:1]
    ]
    sys.exit(min(gains, default=0.0) < options.gain)


if __name__ == "__main__":
    main()
