"""Against the limit: both passes of this library against the sigmoid alone by SLEEF.

    [CC=gcc] python benchmarks/limit.py [--rounds N]

Compiles limit.c with the C core, by the flags of setup.py. Needs SLEEF (Debian: libsleef-dev) and
an x86-64 processor with AVX2; says so and stops where they are missing.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import building
import timing

from cbackprop import _core


def main() -> None:
    """Compile, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine()
    compiler = building.compiler_of("CC", "cc")
    if _core.kernel() not in building.VECTORS:
        print("skipped: this processor has no AVX2")
        return
    if not compiler:
        print("skipped: no C compiler")
        return
    if not building.has_header(compiler, "sleef.h"):
        print("skipped: sleef.h not found (Debian: apt-get install libsleef-dev)")
        return
    with tempfile.TemporaryDirectory() as directory:
        program = building.build(compiler, Path(directory), "limit.c", [], ["-lsleef", "-lm"])
        answer = subprocess.run([program, str(rounds)], check=True, capture_output=True, text=True)
    name = subprocess.run([*compiler, "--version"], check=True, capture_output=True, text=True)
    print(f"compiled by {name.stdout.splitlines()[0]}")
    first, *lines = (line.split() for line in answer.stdout.splitlines())
    print(f"\nSLEEF's sigmoid: {first[0]} ns per value in cache, {first[1]} from memory")
    print("\nn = 1000000, loss and gradient")
    print("        ns per example and layer    sigmoids in cache    from memory")
    for layers, ns, in_cache, in_memory in lines:
        print(
            f"L = {layers:<30}{float(ns):>24.3f}{float(in_cache):>21.2f}{float(in_memory):>15.2f}"
        )


if __name__ == "__main__":
    main()
