"""Peak memory beyond the inputs: loss and gradient of n examples, L = 2 and 16.

    python benchmarks/memory.py [--examples N]

Each measurement has a process of its own: the peak of a process never falls.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000_000)
    n = parser.parse_args().examples
    timing.print_machine(["numpy"])
    if sys.platform == "win32":
        print("skipped: the system does not give a process's peak memory this way")
        return
    unit = 1024 if sys.platform == "darwin" else 1  # ru_maxrss counts bytes there, kB elsewhere
    print(f"\nn = {n}: inputs of {16 * n / 1e6:.0f} MB")
    print(f"{'':<10}{'peak before':>14}{'peak after':>14}{'more':>12}")
    for layers in (2, 16):
        command = [sys.executable, "-c", MEASURE, str(layers), str(n)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        before, after = (int(word) // unit for word in answer.stdout.split())
        print(f"L = {layers:<6}{before:>11} kB{after:>11} kB{after - before:>9} kB")


if __name__ == "__main__":
    main()
