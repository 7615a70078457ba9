"""Peak memory beyond what is given and kept: a gradient of n examples; m fits, chunk by chunk.

    python benchmarks/memory.py [--examples N] [--fits M]

The fits are 4PL curves of ten points, made and fitted 100 000 at a time; their parameters and
standard errors are kept.

Each measurement has a process of its own: the peak of a process never falls.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import timing

MEASURE = """
import resource, sys
import numpy as np
import cbackprop as cbp
layers, n = int(sys.argv[1]), int(sys.argv[2])
net = cbp.Chain([1.5] * layers, [-0.5] * layers)
x, y = np.empty(n), np.empty(n)
x[:] = 0.5
y[:] = 0.25
net.loss_and_gradient(x[:5000], y[:5000])  # whatever is loaded once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
net.loss_and_gradient(x, y)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

MEASURE_FITS = """
import resource, sys
import numpy as np
import cbackprop as cbp
import many
m, chunk = int(sys.argv[1]), 100_000
model = many.models()[0]
params, stderr = np.zeros((m, 6)), np.zeros((m, 6))
params[:] = stderr[:] = 1.0  # the system has given the memory
clean, noise = model.data(chunk), np.empty((chunk, 10))
y, rng, converged = np.empty((chunk, 10)), np.random.default_rng(1), 0
cbp.fit_many(model.net, model.x, clean[:5000], threads=1)  # whatever is loaded once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for first in range(0, m, chunk):
    rows = slice(first, min(first + chunk, m))
    rng.random(out=noise)
    np.multiply(noise, 0.02, out=noise)
    np.add(clean, noise, out=y)
    found = cbp.fit_many(model.net, model.x, y[: rows.stop - first], threads=1)
    params[rows], stderr[rows] = found.params, found.stderr
    converged += int(found.converged.sum())
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, converged)
"""


def run(code: str, *arguments: int) -> list[int]:
    """Run a measurement; it prints integers."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return [int(word) for word in answer.stdout.split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000_000)
    parser.add_argument("--fits", type=int, default=10_000_000)
    options = parser.parse_args()
    n, m = options.examples, options.fits
    timing.print_machine(["numpy"])
    if sys.platform == "win32":
        print("skipped: the system does not give a process's peak memory this way")
        return
    unit = 1024 if sys.platform == "darwin" else 1  # ru_maxrss counts bytes there, kB elsewhere
    print(f"\nn = {n}: inputs of {16 * n / 1e6:.0f} MB")
    print(f"{'':<10}{'peak before':>14}{'peak after':>14}{'more':>12}")
    for layers in (2, 16):
        before, after = (kb // unit for kb in run(MEASURE, layers, n))
        print(f"L = {layers:<6}{before:>11} kB{after:>11} kB{after - before:>9} kB")
    before, after, converged = run(MEASURE_FITS, m)
    before, after = before // unit, after // unit
    print(f"\n{m} fits, of which {converged} converged; {96 * m / 1e6:.0f} MB of results")
    print(f"{'':<10}{before:>11} kB{after:>11} kB{after - before:>9} kB")


if __name__ == "__main__":
    main()
