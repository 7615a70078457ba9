"""Coverage: every line and every branch of the C core is reached by the C tests, or listed here.

    python tests/trust/core_coverage.py

Needs gcc and gcov. The core is built in both precisions, and its tests run at each kernel level
that the processor has. The kernels' files are counted for each of these levels, the others once;
what a macro makes counts where the macro is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cbackprop import CBackpropError, _core

ROOT = Path(__file__).parents[2]
CORE = ROOT / "csrc"
OF_CURVES = Path(__file__).with_name("core_exceptions.tsv")
TESTS = sorted((ROOT / "tests/c").glob("test_*.c"))
# Inline functions are functions here, or each of their uses would be counted by itself.
FLAGS = [
    *("-std=c99", "-O0", "--coverage", "-ffp-contract=off", "-w"),
    *("-Dalways_inline=noinline", "-fkeep-inline-functions"),
]
BUILDS = {"double": ([], ["generic", "avx2", "avx512"]), "single": (["-DCBP_SINGLE"], ["generic"])}
OF_A_LEVEL = {
    *("elementary.h", "activation.h", "loss.h"),
    *(path.name for path in (CORE / "kernels").iterdir()),
}
CHOOSE_FOR_THEMSELVES = {"test_dispatch", "test_kernels"}
# The best kernels are those of the level, for the others.
CHOOSE = """
#include "cbackprop.h"
#include <stdlib.h>
int __real_cbp_kernel_choose(const char *name);
int __wrap_cbp_kernel_choose(const char *name)
{
    return __real_cbp_kernel_choose(name ? name : getenv("LEVEL"));
}
__attribute__((constructor)) static void choose(void)
{
    if (getenv("LEVEL") && __wrap_cbp_kernel_choose(NULL) != CBP_OK) {
        abort();
    }
}
"""

NOT_ONE_TO_ONE = ("relu", "silu", "gelu", "square", "gaussian", "sin")
CHECKED = "codes are checked at the entry"
REFUSED = "what is not one-to-one is refused at the entry"
OF_CODES = {"switch (activation) {": 1, "default:": 0, "break;": 0, "return CBP_NAN;": 0}
OF_LOSSES = {"switch (criterion.kind) {": 1, "default:": 0, "break;": 0}
OF_NUMBERS = {"switch (number) {": 1, "default:": 0, "break;": 0}
# Why, in which file and functions: the lines that are not reached (0), or how many of their
# branches are not. ALL: the whole function, where it is not entered. core_exceptions.tsv has more
# of them, of curves: no data of the tests bring them about, or it was refused before.
ALL = "*"
EXCEPTIONS: list[tuple[str, str, str, dict[str, int]]] = [
    (CHECKED, "layer.h", "value_of activate layer_value jets_of_lanes", OF_CODES),
    (CHECKED, "layer.h", "value_and_slope_of", OF_CODES | {"*slope = CBP_NAN;": 0}),
    (
        CHECKED,
        "layer.h",
        "jet_of",
        OF_CODES | {"return (cbp_jet){CBP_NAN, CBP_NAN, CBP_NAN};": 0},
    ),
    (CHECKED, "layer.h", "tile_loss", OF_LOSSES),
    (
        CHECKED,
        "layer.h",
        "loss_of",
        OF_LOSSES | {"return (cbp_jet){CBP_NAN, CBP_NAN, CBP_NAN};": 0},
    ),
    (CHECKED, "kernels_generic.c", "cbp_loss_sizes", OF_LOSSES),
    (
        CHECKED,
        "normal.h",
        "has_excess",
        {"switch (loss) {": 1, "default:": 0, "return 0;": 0},
    ),
    (CHECKED, "rows.h", "tile_quadratic", OF_LOSSES | {"switch (tile->criterion.kind) {": 1}),
    (
        f"{CHECKED}; {REFUSED}",
        "layer.h",
        "inverse_of layer_inverse",
        OF_CODES | {"switch (activation) {": 7, "CBP_ACTIVATIONS(CASE)": 12},
    ),
    (REFUSED, "activation.h", " ".join(f"cbp_{n}_inverse" for n in NOT_ONE_TO_ONE), {ALL: 0}),
    (
        "sizes of targets are computed by the generic kernels alone",
        "loss.h",
        "cbp_robust_part "
        + " ".join(
            f"cbp_{n}_loss_size"
            for n in (
                *("squared", "log", "huber", "soft_l1", "cauchy", "poisson"),
                *("binomial", "power", "box_cox"),
            )
        ),
        {ALL: 0},
    ),
    (
        "no loss bounds its targets from above alone",
        "chain.c",
        "cbp_check_loss",
        {
            "if (facts->target_low > (cbp_real)-INFINITY "
            "|| facts->target_high < (cbp_real)INFINITY) {": 1
        },
    ),
    (
        "no loss bounds its targets from above alone",
        "many.c",
        "takes_any_target",
        {
            "return facts->target_low == (cbp_real)-INFINITY "
            "&& facts->target_high == (cbp_real)INFINITY;": 1
        },
    ),
    (
        "what the call for one chain refuses was checked for all",
        "chains.c",
        "map_all",
        {"for (size_t i = 0; status == CBP_OK && i < m; i++) {": 1},
    ),
    (
        CHECKED,
        "chains.c",
        "cbp_inverse_many",
        {"if (cbp_activation_describe(chains->activations[l], &facts) != CBP_OK ||": 1},
    ),
    (
        "a fit has options",
        "fit.c",
        "cbp_fit_progress",
        {"return fit->options && fit->options->progress &&": 1},
    ),
    (
        "not every pointer is null in a test of its own",
        "fit_pass.c",
        "cbp_fit_nodes_push cbp_fit_nodes_merge cbp_fit_nodes_add",
        {
            "if (!nodes || !nodes->values || !nodes->places || !node || !work) {": 2,
            "if (!nodes || !nodes->values || !nodes->places || !work || !node) {": 2,
            "if (!chain || !examples || !work || !nodes || !nodes->values || !nodes->places) {": 2,
        },
    ),
    (
        "more leaves, or fewer places, than a test can have; the node stands elsewhere",
        "fit_pass.c",
        "fits cbp_fit_nodes_push cbp_fit_nodes_merge",
        {
            "return nodes->count < nodes->capacity &&": 1,
            "const int is_countable = place.first <= SIZE_MAX / 4 "
            "&& place.count <= SIZE_MAX / 4;": 1,
            "if (node != nodes->values) {": 1,
        },
    ),
    (
        "a layer has two parameters",
        "normal.h",
        "add_second_order",
        {"switch (2 * number + (size_t)is_curved) {": 1, "default:": 0, "break;": 0},
    ),
    ("never called for more than 6 columns", "normal.h", "add_products", OF_NUMBERS),
    (
        "the same; and there are no wide vectors below AVX-512",
        "normal.h",
        "add_all_products",
        OF_NUMBERS | {ALL: 0},
    ),
    (
        "the last free parameter moves as its slope says, so that not all are marked as leaving",
        "newton.h",
        "find_step",
        {"for (size_t again = 0; again < g->free && mark_leaving(g); again++) {": 1},
    ),
    (
        "processors from before 2013, and systems that do not save vectors",
        "dispatch.c",
        "best",
        {
            "const unsigned leaf_7 = cpuid(0).a < 7 ? 0 : cpuid(7).b;": 1,
            "const unsigned states = has(leaf_1, osxsave) ? saved_states() : 0;": 1,
        },
    ),
]


@dataclass
class Line:
    """One line of one function: how often it was reached, and each branch from it."""

    count: int = 0
    branches: list[int] = field(default_factory=list)

    def add(self, count: int, branches: list[int]) -> None:
        """Take what another object file, or the same at another level, says of it."""
        self.count += count
        self.branches = self.branches or [0] * len(branches)
        assert len(self.branches) == len(branches)
        self.branches = [a + b for a, b in zip(self.branches, branches, strict=True)]


Lines = dict[tuple[str, str, int, str], Line]  # by what it is counted for, file, number, function


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def processor_has(level: str) -> bool:
    """Tell whether the kernels of a level run here."""
    try:
        _core.choose_kernel(level)
    except CBackpropError:
        return False
    return True


def measure(build: str, folder: Path, lines: Lines) -> None:
    """Build the core in one way, run the tests, and collect what gcov counts."""
    precision, levels = BUILDS[build]
    present = [level for level in levels if processor_has(level)]
    lacking = set(levels).difference(present)
    for level in lacking:
        print(f"{build} {level:8} is not counted: this processor lacks it", flush=True)
    flags = [*FLAGS, *precision, "-I", str(CORE)]
    sources = sorted(CORE.glob("*.c"))
    for source in sources:
        run("gcc", *flags, "-c", source, "-o", f"{source.stem}.o", cwd=folder)
    (folder / "choose.c").write_text(CHOOSE, encoding="utf-8")
    plain = [flag for flag in flags if flag != "--coverage"]
    run("gcc", *plain, "-c", "choose.c", cwd=folder)
    objects = [f"{source.stem}.o" for source in sources]
    for test in TESTS:
        if test.stem in {"test_header", "test_threads"}:
            continue
        run("gcc", *plain, "-c", test, "-o", f"{test.stem}.test", cwd=folder)
        linked = [f"{test.stem}.test", "choose.o", *objects, "--coverage", "-lm"]
        run("gcc", *linked, "-Wl,--wrap=cbp_kernel_choose", "-o", test.stem, cwd=folder)
        for level in [""] if test.stem in CHOOSE_FOR_THEMSELVES else present:
            limit = {"LEVEL": level} if level else {}
            run(folder / test.stem, "1", cwd=folder, **limit)  # the seed, of those that take one
            print(f"{build} {level:8} {test.stem}", flush=True)
    for source in sources:
        if source.stem.removeprefix("kernels_") in lacking:
            continue
        text = run("gcov", "--json-format", "--stdout", "-b", f"{source.stem}.gcda", cwd=folder)
        for line_of_json in text.splitlines():
            for of_file in json.loads(line_of_json)["files"]:
                file = Path(of_file["file"])
                if not (folder / file).is_relative_to(CORE):
                    continue  # the compiler's own
                name = file.name
                level = source.stem.removeprefix("kernels_") if build == "double" else build
                counted = level if name in OF_A_LEVEL else "core"
                for found in of_file["lines"]:
                    key = (counted, name, found["line_number"], found.get("function_name", ""))
                    branches = [branch["count"] for branch in found["branches"]]
                    lines[key].add(found["count"], branches)


def report(lines: Lines) -> bool:
    """Print what is not reached and the totals; tell whether all of it is excepted."""
    text = {
        path.name: path.read_text(encoding="utf-8").splitlines() for path in CORE.rglob("*.[ch]")
    }
    excepted = {
        (file, function, code): most
        for _, file, functions, codes in EXCEPTIONS
        for function in functions.split()
        for code, most in codes.items()
    }
    rows = [row.split("\t") for row in OF_CURVES.read_text(encoding="utf-8").splitlines()[1:]]
    excepted |= {(file, function, code): int(most) for file, function, most, code in rows}
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 5)
    entered = {(key[0], key[1], key[3]) for key, line in lines.items() if line.count}
    used, failed = set(), False
    for (counted, file, number, function), line in sorted(lines.items()):
        code = text[file][number - 1].strip()
        reached = sum(branch > 0 for branch in line.branches)
        missed = len(line.branches) - reached if line.count else 0
        total = totals[file, counted]
        for k, more in enumerate((line.count > 0, 1, reached, len(line.branches))):
            total[k] += more
        if line.count and not missed:
            continue
        key = code if (counted, file, function) in entered else ALL
        most = excepted.get((file, function, key), -1)
        if missed <= most:
            used.add((file, function))
            total[4] += 1
            continue
        failed = True
        print(f"{file}:{number} [{counted}] {function}: {line.count} {line.branches}\n    {code}")
    print(f"{'file':16}{'counted for':>12}{'lines':>14}{'branches':>14}{'excepted':>10}")
    for (file, counted), (some, of, branches, of_branches, known) in sorted(totals.items()):
        cells = f"{some} of {of}", f"{branches} of {of_branches}"
        print(f"{file:16}{counted:>12}{cells[0]:>14}{cells[1]:>14}{known:>10}")
    for file, function in sorted({key[:2] for key in excepted} - used):
        failed = True
        print(f"{file}: all of {function} is reached, which is listed as an exception")
    return not failed


def main() -> int:
    """Measure and report."""
    lines: Lines = defaultdict(Line)
    for build in BUILDS:
        with tempfile.TemporaryDirectory() as folder:
            measure(build, Path(folder), lines)
    return 0 if report(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
