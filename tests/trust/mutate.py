"""Mutation: small mistakes put into the C core, each of which some C test must notice.

    python tests/trust/mutate.py [COUNT] [SEED]

A mutant differs from the core by one operator, constant, condition or statement, drawn by the seed
from all files. It is built at -O1 for the generic kernels, with fused multiply-add where there is
one, and runs the C tests until one fails; the golden bits, which tell a change and not a mistake,
come last. What lives is tried once more under sanitizers, as tests/c/run.sh does. Mutants that do
not compile, or whose object file is that of the core, do not count. survivors.md judges those that
are known to live. Left out: dispatch.c and the files of the other kernels, of which this build has
nothing, and headers of declarations.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from mutants import (
    INTEGER,
    ROOT,
    SWAPS,
    Mutant,
    arguments,
    draw,
    next_integer,
    replaced,
    told,
)

LEFT_OUT = {
    "cbackprop.h",
    "compiler.h",
    "dispatch.c",
    "dispatch.h",
    "kernels.h",
    "kernels_avx2.c",
    "kernels_avx512.c",
}
GOLDEN = "test_golden"
# the quickest that notice most come first
TESTS = [
    "test_status",
    "test_chain",
    "test_hessian",
    "test_elementary",
    "test_kernels",
    "test_fit",
    "test_covariance",
    "test_fit_pass",
    "test_fit_lm_losses",
    "test_fit_descent",
    "test_chains",
    "test_starts",
    "test_curve",
    "test_curve_ends",
    "test_curve_limits",
    "test_many_ends",
    "test_many",
    "test_fit_lm_ends",
    "test_fit_descent_ends",
    "test_fit_lm",
    GOLDEN,
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
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
CPU = Path("/proc/cpuinfo")
if CPU.exists() and " fma " in CPU.read_text(encoding="utf-8"):
    FLAGS.append("-mfma")
PATIENCE = 20  # times as long as it takes, and a test counts as failed: an endless loop is noticed
OPERATOR = re.compile(r"(?<= )(<=|>=|==|!=|&&|\|\||[-+*/]=|[-+*/<>])(?= )")
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d*(?:e[-+]?\d+)?(?![\w.])")
CONDITION = re.compile(r"\bif \((.*)\) \{$")
STATEMENT = re.compile(r"^\s+(?!return|case|break|continue|const|static|goto|do\b|else)\S+ .*;$")


def mutants() -> list[Mutant]:
    """All of them."""
    found: list[Mutant] = []
    for path in sorted((ROOT / "csrc").rglob("*.[ch]")):
        if path.name in LEFT_OUT:
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
            found += [
                Mutant(path.relative_to(ROOT).as_posix(), number, line, new + rest)
                for new in changed(code)
            ]
    return found


def changed(code: str) -> list[str]:
    """Find all mutants of a line of code."""
    new = replaced(code, OPERATOR, SWAPS.__getitem__)
    new += replaced(code, INTEGER, next_integer)
    new += replaced(code, DECIMAL, lambda number: repr(float(number) * (1 + 1e-6)))
    if condition := CONDITION.search(code):
        start, end = condition.span(1)
        new.append(f"{code[:start]}!({code[start:end]}){code[end:]}")
    if STATEMENT.match(code) and "{" not in code:
        new.append(code[: len(code) - len(code.lstrip())] + ";")
    return new


class Workshop:
    """A copy of the core with its objects, and the tests linked to it."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder, self.source, self.flags = folder, folder / "csrc", [*FLAGS, *more]
        shutil.copytree(ROOT / "csrc", self.source)
        kernels = self.source / "kernels.h"
        text = kernels.read_text(encoding="utf-8")
        without = text.replace("#define CBP_X86_KERNELS 1", "#define CBP_X86_KERNELS 0")
        assert without != text
        kernels.write_text(without, encoding="utf-8")
        self.units = sorted(path.stem for path in self.source.glob("*.c"))
        self.needs = {unit: self.headers_of(unit) for unit in self.units}
        self.seconds = dict.fromkeys(TESTS, 60.0)
        for unit in self.units:
            self.compile(unit, folder / f"{unit}.o", check=True)
        assert self.link()
        for test in TESTS:
            program = [str(ROOT / "tests/c" / f"{test}.c"), "-o", str(folder / test)]
            library = ["-L", str(folder), "-lcore", f"-Wl,-rpath,{folder}", "-lm"]
            command = ["cc", *self.flags, "-I", str(self.source), *program, *library]
            subprocess.run(command, check=True)
            start = time.monotonic()
            run = subprocess.run([str(folder / test), "1"], check=False, capture_output=True)
            assert run.returncode == 0, f"the core itself fails {test}"
            self.seconds[test] = 1 + PATIENCE * (time.monotonic() - start)

    def compile(self, unit: str, to: Path, *, check: bool = False) -> bool:
        command = ["cc", *self.flags, "-c", str(self.source / f"{unit}.c"), "-o", str(to)]
        run = subprocess.run(command, check=check, capture_output=True)
        return run.returncode == 0

    def link(self) -> bool:
        objects = [str(self.folder / f"{unit}.o") for unit in self.units]
        command = [
            "cc",
            *self.flags,
            "-shared",
            *objects,
            "-lm",
            "-o",
            str(self.folder / "libcore.so"),
        ]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def killer(self) -> str | None:
        """Name the first test that fails."""
        for test in TESTS:
            try:
                run = subprocess.run(
                    [str(self.folder / test), "1"],
                    timeout=self.seconds[test],
                    capture_output=True,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return test
            if run.returncode != 0:
                return test
        return None

    def judge(self, mutant: Mutant) -> str | None:
        """Name the test that notices; "" if none does, None if there is nothing to notice."""
        path = self.folder / mutant.file
        original = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(original), encoding="utf-8")
        touched = [unit for unit in self.units if path.name in self.needs[unit]]
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

    def headers_of(self, unit: str) -> set[str]:
        """Name the files that a unit is made of."""
        command = ["cc", "-MM", str(self.source / f"{unit}.c")]
        rule = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return {Path(word).name for word in rule.split()}


def main() -> int:
    """Draw and judge."""
    count, seed = arguments()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as sanitized:
        workshop = Workshop(Path(folder))
        with_sanitizers = cache(lambda: Workshop(Path(sanitized), *SANITIZE))

        def judge(mutant: Mutant) -> str | None:
            killer = workshop.judge(mutant)
            return with_sanitizers().judge(mutant) if killer == "" else killer

        seen = draw(mutants(), [judge], count, seed)
    print(f"{seen[GOLDEN]} noticed by the golden bits alone")
    return told(seen)


if __name__ == "__main__":
    sys.exit(main())
