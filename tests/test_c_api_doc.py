"""Hazard: a C page that is out of date: its programs compile and print what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import cbackprop as cbp

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "c-api.md").read_text(encoding="utf-8")
SHOWN = re.findall(
    r"\[`(examples/c/\w+\.c)`\]\(\.\./\1\):\n\n```c\n(.*?)```\n\nprints\n\n```text\n(.*?)```",
    TEXT,
    re.DOTALL,
)
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")


NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("core") / "cbackprop.o"
    subprocess.run(["cc", "-c", cbp.get_source(), "-o", str(target)], check=True)  # bare
    return target


def test_every_program_is_shown() -> None:
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples" / "c").glob("*.c"))
    assert sorted(name for name, _, _ in SHOWN) == files
    assert TEXT.count("```c\n") == len(files)


@NEEDS_CC
@pytest.mark.parametrize(("name", "program", "printed"), SHOWN, ids=[name for name, _, _ in SHOWN])
def test_a_program_is_its_file_and_prints_what_is_said(
    name: str, program: str, printed: str, core: Path, tmp_path: Path
) -> None:
    source, target = ROOT / name, tmp_path / "program"
    assert program == source.read_text(encoding="utf-8")
    command = ["cc", *FLAGS, f"-I{cbp.get_include()}", source, core, "-lm", "-o", target]
    subprocess.run(list(map(str, command)), check=True)
    done = subprocess.run([str(target)], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == printed


@pytest.mark.parametrize(
    "declaration",
    [r"^CBP_API [^;(]*?(cbp_\w+)\(", r"^typedef struct (cbp_\w+)"],
    ids=["function", "struct"],
)
def test_everything_is_named(declaration: str) -> None:
    header = Path(cbp.get_include(), "cbackprop.h").read_text(encoding="utf-8")
    declared = set(re.findall(declaration, header, re.MULTILINE))
    assert declared
    assert declared - set(re.findall(r"`(cbp_\w+)", TEXT)) == set()
