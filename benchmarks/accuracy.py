"""Worst errors of the activations in units in the last place (needs mpmath).

    python benchmarks/accuracy.py [--points N] [--seed S] [NAME ...]

Prints, for each activation and each of value, slope and second derivative, the largest error over
the points of tests/vectors/activations.json and N fresh random ones, and where it is. At an
isolated zero the unit is that of the largest term. Ends with status 1 if a promise of cbackprop.h
is broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cbackprop import _core

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
sys.path.insert(0, str(VECTORS))
from exact import BOUNDS, DOMAIN, NAMES, SIN_REACH, error_in_ulp, jet, scales

Floats = npt.NDArray[np.float64]
Worst = tuple[float, float]  # the error in ulp, and z


def evaluate(name: str, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Value, slope and second derivative by the library: the only call into what is measured."""
    value, slope, second = _core.activation_values(name, z)
    return value, slope, second


def fresh_points(name: str, count: int, rng: random.Random) -> list[float]:
    """Where activations bend, where exp reaches its limits, and the whole exponent range."""
    z = []
    for i in range(count):
        sign = rng.choice((1, -1))
        z.append(
            (
                rng.uniform(-5, 5),
                rng.uniform(-40, 40),
                rng.uniform(-750, 720),
                sign * float(np.exp2(rng.uniform(-30, 11))),
                sign * float(np.exp2(rng.uniform(-1074, 1023.9))),
            )[i % 5]
        )
    low, high = DOMAIN.get(name, (-np.inf, np.inf))
    if name == "sin":
        low, high = -SIN_REACH, SIN_REACH
    return [x if low <= x <= high else rng.uniform(max(low, -40), 40) for x in z]


def golden_points(name: str) -> list[float]:
    """Read the stored points, with infinities, NaN and what lies outside the domain."""
    stored = json.loads((VECTORS / "activations.json").read_text())["activations"][name]["z"]
    return [float.fromhex(text) for text in stored]


def worst_errors(name: str, z: Sequence[float]) -> list[Worst]:
    """Find the largest error of value, slope and second derivative, and where it is."""
    got = evaluate(name, np.array(z))
    worst: list[Worst] = [(0.0, 0.0)] * 3
    for i, x in enumerate(z):
        for k, (exact, scale) in enumerate(zip(jet(name, x), scales(name, x), strict=True)):
            error = error_in_ulp(float(got[k][i]), exact, scale)
            if error > worst[k][0]:
                worst[k] = (error, x)
    return worst


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description="worst errors of the activations in ulp")
    parser.add_argument("names", nargs="*", metavar="NAME", help="activations (default: all)")
    parser.add_argument("--points", type=int, default=2000, help="fresh random points of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"not an activation: {', '.join(unknown)}")
    titles = ("value", "slope", "second")
    heads = (f"{t} (ulp <= {b:g}) at z" for t, b in zip(titles, BOUNDS, strict=True))
    print(f"{'activation':12}" + "".join(f"  {head:32}" for head in heads).rstrip())
    broken = 0
    for name in options.names or NAMES:
        rng = random.Random(f"{options.seed} {name}")  # the same points, whatever else is asked for
        worst = worst_errors(name, golden_points(name) + fresh_points(name, options.points, rng))
        line = f"{name:12}"
        for (error, z), bound in zip(worst, BOUNDS, strict=True):
            broken += error > bound
            cell = f"{error:.3f}{'!' if error > bound else ' '} {z!r}" if error else "0"
            line += f"  {cell:32}"
        print(line.rstrip(), flush=True)
    if broken:
        print(f"{broken} promises broken (!), seed {options.seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
