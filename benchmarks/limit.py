"""Against the limit: both passes of this library against the sigmoid alone by SLEEF.

    [CC=gcc] python benchmarks/limit.py [--rounds N]

Compiles limit.c with the C core, by the flags of setup.py. Needs SLEEF (Debian: libsleef-dev) and
an x86-64 processor with AVX2; says so and stops where they are missing.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import timing

from cbackprop import _core

ROOT = Path(__file__).parents[1]
VECTORS = {"avx512": ["-mavx512f"], "avx2": ["-mavx2", "-mfma"]}


def setup_flags() -> list[str]:
    """Read what setup.py compiles with."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    block = re.search(r"UNIX_FLAGS = \[(.*?)\]", text, re.DOTALL)
    if block is None:
        raise SystemExit("setup.py: UNIX_FLAGS not found")
    return re.findall(r'"(-[^"]+)"', block.group(1))


def has_sleef(compiler: list[str]) -> bool:
    """Whether the compiler finds SLEEF's header."""
    command = [*compiler, "-E", "-x", "c", "-"]
    answer = subprocess.run(
        command, input=b"#include <sleef.h>\n", capture_output=True, check=False
    )
    return answer.returncode == 0


def build(compiler: list[str], directory: str) -> str:
    """Compile the core as it ships, and limit.c for this processor's vectors."""
    flags, objects = setup_flags(), []
    for source in sorted((ROOT / "csrc").glob("*.c")):
        objects.append(os.path.join(directory, source.stem + ".o"))
        subprocess.run([*compiler, *flags, "-c", str(source), "-o", objects[-1]], check=True)
    program = os.path.join(directory, "limit")
    own = [
        "-O3",
        *VECTORS[_core.kernel()],
        "-I",
        str(ROOT / "csrc"),
        str(ROOT / "benchmarks/limit.c"),
    ]
    subprocess.run([*compiler, *own, *objects, "-lsleef", "-lm", "-o", program], check=True)
    return program


def main() -> None:
    """Compile, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine()
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if _core.kernel() not in VECTORS:
        print("skipped: this processor has no AVX2")
        return
    if shutil.which(compiler[0]) is None:
        print(f"skipped: no C compiler {compiler[0]}")
        return
    if not has_sleef(compiler):
        print("skipped: sleef.h not found (Debian: apt-get install libsleef-dev)")
        return
    with tempfile.TemporaryDirectory() as directory:
        program = build(compiler, directory)
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
