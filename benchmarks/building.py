"""How the benchmarks compile a C program with the core as it ships."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def setup_flags() -> list[str]:
    """Read what setup.py compiles with."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    block = re.search(r"UNIX_FLAGS = \[(.*?)\]", text, re.DOTALL)
    if block is None:
        raise SystemExit("setup.py: UNIX_FLAGS not found")
    return re.findall(r'"(-[^"]+)"', block.group(1))


def has_header(compiler: Sequence[str], header: str) -> bool:
    """Whether the compiler finds a header."""
    command = [*compiler, "-E", "-x", "c", "-"]
    source = f"#include <{header}>\n".encode()
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def build(
    compiler: Sequence[str],
    directory: Path,
    source: str,
    own_flags: Sequence[str],
    libraries: Sequence[str],
) -> str:
    """Compile the core by the flags of setup.py, and one program of this folder by its own."""
    objects = []
    for part in sorted((ROOT / "csrc").glob("*.c")):
        objects.append(str(directory / f"{part.stem}.o"))
        subprocess.run([*compiler, *setup_flags(), "-c", str(part), "-o", objects[-1]], check=True)
    program = str(directory / Path(source).stem)
    own = ["-O3", *own_flags, "-I", str(ROOT / "csrc"), str(ROOT / "benchmarks" / source)]
    subprocess.run([*compiler, *own, *objects, *libraries, "-o", program], check=True)
    return program
