"""Import time: this package, NumPy with it, against NumPy alone.

    python benchmarks/import_time.py [--rounds N]

Each import has a process of its own and is timed inside it, without Python's own start.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import timing

MEASURE = """
import sys, time
before = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - before)
"""


def seconds_of(package: str) -> float:
    """Import a package in a process of its own."""
    command = [sys.executable, "-c", MEASURE, package]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=51)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine(["numpy"])
    taken: dict[str, list[float]] = {"numpy": [], "cbackprop": [], "cbackprop.curves": []}
    for package in taken:
        seconds_of(package)  # from the disk, and compiled, once
    for _ in range(rounds):
        for package, times in taken.items():
            times.append(seconds_of(package))
    print(f"\n{'import':<20}{'ms':>8}{'of numpy':>12}")
    for package, times in taken.items():
        ratio = timing.median_ratio(times, taken["numpy"])
        print(f"{package:<20}{statistics.median(times) * 1e3:>8.1f}{ratio:>12.3f}")


if __name__ == "__main__":
    main()
