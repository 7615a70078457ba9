"""Mutation: small mistakes put into the C core, each of which some C test must notice.

    python tests/trust/mutate.py [COUNT] [SEED]

A mutant differs from the core by one operator, constant, condition or statement, drawn by the seed
from all files. It is built at -O1 for the generic kernels and runs the C tests until one fails.
Mutants that do not compile, or whose object file is that of the core, do not count. Left out:
dispatch.c and the files of the other kernels, of which this build has nothing.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = {"dispatch.c", "kernels_avx2.c", "kernels_avx512.c", "cbackprop.h", "internal.h"}
# the quickest that notice most come first
TESTS = [
    "test_status",
    "test_chain",
    "test_elementary",
    "test_kernels",
    "test_fit",
    "test_covariance",
    "test_fit_shard",
    "test_fit_lm",
    "test_fit_lm_losses",
    "test_fit_descent",
    "test_many",
    "test_fit_lm_course",
    "test_fit_descent_course",
]
FLAGS = [
    "-std=c99",
    "-O1",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-w",
]
SECONDS = 120  # after which a test counts as failed: an endless loop is noticed too
SWAPS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "&&": "||",
    "||": "&&",
    "+=": "-=",
    "-=": "+=",
    "*=": "/=",
    "/=": "*=",
}
OPERATOR = re.compile(r"(?<= )(<=|>=|==|!=|&&|\|\||[-+*/]=|[-+*/<>])(?= )")
INTEGER = re.compile(r"(?<![\w.])\d+(?![\w.])")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d*(?:e[-+]?\d+)?(?![\w.])")
CONDITION = re.compile(r"\bif \((.*)\) \{$")
STATEMENT = re.compile(r"^\s+(?!return|case|break|continue|const|static|goto|do\b|else)\S+ .*;$")


@dataclass(frozen=True)
class Mutant:
    """One line of one file, otherwise."""

    file: str
    line: int
    before: str
    after: str


def mutants() -> list[Mutant]:
    """All of them."""
    found: list[Mutant] = []
    for path in sorted((ROOT / "csrc").iterdir()):
        if path.name in LEFT_OUT or path.suffix not in {".c", ".h"}:
            continue
        in_comment = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            code = line if not in_comment else ""
            if "/*" in code:
                code = code[: code.index("/*")]
            in_comment = ("/*" in line or in_comment) and "*/" not in line
            if not code.strip() or code.lstrip().startswith("#"):
                continue
            rest = line[len(code) :]
            found += [Mutant(path.name, number, line, new + rest) for new in changed(code)]
    return found


def changed(code: str) -> list[str]:
    """Find all mutants of a line of code."""
    new = []
    for match in OPERATOR.finditer(code):
        new.append(code[: match.start()] + SWAPS[match.group()] + code[match.end() :])
    for match in INTEGER.finditer(code):
        new.append(code[: match.start()] + str(int(match.group()) + 1) + code[match.end() :])
    for match in DECIMAL.finditer(code):
        value = float(match.group()) * (1 + 1e-6)
        new.append(code[: match.start()] + repr(value) + code[match.end() :])
    if match := CONDITION.search(code):
        new.append(f"{code[: match.start(1)]}!({match.group(1)}){code[match.end(1) :]}")
    if STATEMENT.match(code) and "{" not in code:
        new.append(code[: len(code) - len(code.lstrip())] + ";")
    return new


class Workshop:
    """A copy of the core with its objects, and the tests linked to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source = folder, folder / "csrc"
        shutil.copytree(ROOT / "csrc", self.source)
        internal = self.source / "internal.h"
        text = internal.read_text(encoding="utf-8")
        without = text.replace("#define CBP_X86_KERNELS 1", "#define CBP_X86_KERNELS 0")
        assert without != text
        internal.write_text(without, encoding="utf-8")
        self.units = sorted(path.stem for path in self.source.glob("*.c"))
        for unit in self.units:
            self.compile(unit, folder / f"{unit}.o", check=True)
        assert self.link()
        for test in TESTS:
            program = [str(ROOT / "tests/c" / f"{test}.c"), "-o", str(folder / test)]
            library = ["-L", str(folder), "-lcore", f"-Wl,-rpath,{folder}", "-lm"]
            subprocess.run(["cc", *FLAGS, "-I", str(self.source), *program, *library], check=True)
        assert self.killer() is None, "the core itself fails a test"

    def compile(self, unit: str, to: Path, *, check: bool = False) -> bool:
        command = ["cc", *FLAGS, "-c", str(self.source / f"{unit}.c"), "-o", str(to)]
        run = subprocess.run(command, check=check, capture_output=True)
        return run.returncode == 0

    def link(self) -> bool:
        objects = [str(self.folder / f"{unit}.o") for unit in self.units]
        command = ["cc", "-shared", *objects, "-lm", "-o", str(self.folder / "libcore.so")]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def killer(self) -> str | None:
        """Name the first test that fails."""
        for test in TESTS:
            try:
                run = subprocess.run(
                    [str(self.folder / test)], timeout=SECONDS, capture_output=True, check=False
                )
            except subprocess.TimeoutExpired:
                return test
            if run.returncode != 0:
                return test
        return None

    def judge(self, mutant: Mutant) -> str | None:
        """Name the test that notices; "" if none does, None if there is nothing to notice."""
        path = self.source / mutant.file
        original = path.read_text(encoding="utf-8")
        lines = original.split("\n")
        lines[mutant.line] = mutant.after
        path.write_text("\n".join(lines), encoding="utf-8")
        touched = [path.stem] if path.suffix == ".c" else self.including(path.name)
        kept = {unit: (self.folder / f"{unit}.o").read_bytes() for unit in touched}
        try:
            for unit in touched:
                if not self.compile(unit, self.folder / f"{unit}.o"):
                    return None
            if all((self.folder / f"{u}.o").read_bytes() == kept[u] for u in touched):
                return None
            return (self.killer() or "") if self.link() else None
        finally:
            path.write_text(original, encoding="utf-8")
            for unit, content in kept.items():
                (self.folder / f"{unit}.o").write_bytes(content)

    def including(self, header: str) -> list[str]:
        units = []
        for unit in self.units:
            command = ["cc", "-MM", str(self.source / f"{unit}.c")]
            needs = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if f"/{header}" in needs:
                units.append(unit)
        return units


def main() -> int:
    """Draw and judge."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    everything = mutants()
    print(f"seed {seed}, {len(everything)} possible mutants", flush=True)
    random.Random(seed).shuffle(everything)
    limit = float(os.environ.get("MUTATE_SECONDS", "inf"))
    judged, survivors, start = 0, [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        for mutant in everything:
            if judged == count or time.monotonic() - start > limit:
                break
            killer = workshop.judge(mutant)
            if killer is None:
                continue
            judged += 1
            if not killer:
                survivors.append(mutant)
                print(f"csrc/{mutant.file}:{mutant.line + 1}\n  - {mutant.before.strip()}")
                print(f"  + {mutant.after.strip()}", flush=True)
    killed = judged - len(survivors)
    print(f"{killed} of {judged} mutants killed ({100 * killed / max(judged, 1):.1f} %)")
    # a few mutants say little: most of those that live are no mistakes
    return 0 if killed >= (0.9 if judged >= 100 else 0.5) * judged else 1


if __name__ == "__main__":
    sys.exit(main())
