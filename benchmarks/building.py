"""How the benchmarks compile a C program with the core as it ships; CC and CXX name compilers."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cbackprop import _core

ROOT = Path(__file__).parents[1]
VECTORS = {"avx512": ["-mavx512f", "-mfma"], "avx2": ["-mavx2", "-mfma"]}


def compiler_of(variable: str, otherwise: str) -> list[str]:
    """Find the compiler that an environment variable names; empty if there is none."""
    compiler = shlex.split(os.environ.get(variable, otherwise))
    return compiler if shutil.which(compiler[0]) else []


def setup_flags() -> list[str]:
    """Read what setup.py compiles with."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    block = re.search(r"UNIX_FLAGS = \[(.*?)\]", text, re.DOTALL)
    if block is None:
        raise SystemExit("setup.py: UNIX_FLAGS not found")
    return re.findall(r'"(-[^"]+)"', block.group(1))


def has_header(compiler: Sequence[str], header: str, *flags: str, language: str = "c") -> bool:
    """Whether the compiler finds a header."""
    command = [*compiler, *flags, "-E", "-x", language, "-"]
    source = f"#include <{header}>\n".encode()
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def build(
    compiler: Sequence[str],
    directory: Path,
    source: str,
    own_flags: Sequence[str],
    libraries: Sequence[str],
    linker: Sequence[str] = (),
) -> str:
    """Compile the core by the flags of setup.py, and one program of this folder by its own.

    What is linked is the program, the core, and `libraries`, by the compiler or another `linker`.
    """
    objects = []
    for part in sorted((ROOT / "csrc").glob("*.c")):
        objects.append(str(directory / f"{part.stem}.o"))
        subprocess.run([*compiler, *setup_flags(), "-c", str(part), "-o", objects[-1]], check=True)
    objects.append(compile_one(compiler, directory, source, own_flags))
    program = str(directory / Path(source).stem)
    subprocess.run([*(linker or compiler), *objects, *libraries, "-o", program], check=True)
    return program


def compile_one(
    compiler: Sequence[str], directory: Path, source: str, own_flags: Sequence[str]
) -> str:
    """Compile one file of this folder, for this processor as the core's kernels are."""
    made = str(directory / f"{Path(source).name}.o")
    flags = ["-O3", *VECTORS.get(_core.kernel(), []), *own_flags, "-I", str(ROOT / "csrc")]
    path = str(ROOT / "benchmarks" / source)
    subprocess.run([*compiler, *flags, "-c", path, "-o", made], check=True)
    return made
