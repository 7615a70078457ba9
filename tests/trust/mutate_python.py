"""Mutation: small mistakes put into the Python package, each of which some Python test must notice.

    python tests/trust/mutate_python.py [COUNT] [SEED]

A mutant of a Python file differs by one operator, constant, condition, statement, returned value,
keyword argument or end of a slice; one of the Cython wrapper by one operator, integer, condition or
statement. It stands in a copy of the package, where the tests that run its lines are run, the
quickest first, until one fails; for the wrapper, which is built at -O0, these are all tests. Which
tests run which lines is read from the folder that PYTHON_COVERAGE names, or else learned first, by
python_coverage.sh. Left out: messages, docstrings, types, the looks of pictures, and tests that ask
for something to be done in time. Mutants that are no Python, or the same program, do not count. In
the end the tests that have noticed something must pass without mutants. survivors.md judges those
that are known to live.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from coverage import CoverageData
from mutants import INTEGER, ROOT, SWAPS, Mutant, arguments, draw, next_integer, replaced, told

from cbackprop import _core

HERE, PACKAGE = Path(__file__).parent, Path("src/cbackprop")
WRAPPER = (".pyx", ".pxi")
WORKERS = 2
PATIENCE = 10  # times as long as it takes, and a test counts as failed: an endless loop is noticed
LIMIT = 600.0  # seconds for all tests of a mutant

# ---- Python -----------------------------------------------------------------------------------

SYMBOLS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.And: "and",
    ast.Or: "or",
}
WORD = re.compile(r"[\w.+/:-]+")  # a string that is a key or a value, and no message
QUOTED = re.compile(rb"[bru]?(['\"])[^'\"]*\1")
# keyword arguments that are messages or the look of a picture, and one that asks what holds anyway
UNTOLD = {
    *("help", "description", "epilog", "metavar", "usage", "title"),
    *("color", "colors", "cmap", "alpha", "zorder", "linewidth", "linewidths", "linestyle"),
    *("marker", "markersize", "ms", "solid_capstyle", "ha", "va", "weight", "small"),
    *("figsize", "height_ratios", "layout", "frameon", "loc", "bbox", "bbox_to_anchor"),
    *("borderaxespad", "xytext", "xycoords", "textcoords", "annotation_clip", "strict"),
}


class Edit(NamedTuple):
    """Bytes of a file to be replaced, and the lines that a test must run to notice."""

    start: int
    end: int
    new: bytes
    reach: range


class Edits(ast.NodeVisitor):
    """All edits of a file of Python."""

    def __init__(self, source: bytes) -> None:
        self.source, self.found = source, list[Edit]()
        self.starts = [0]
        for line in source.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.depth, self.reach = 0, range(0)
        self.visit(ast.parse(source))

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def edit(self, start: int, end: int, new: str | bytes) -> None:
        new = new if isinstance(new, bytes) else new.encode()
        self.found.append(Edit(start, end, new, self.reach if self.depth else range(0)))

    def swap(self, left: ast.expr, operator: ast.AST, right: ast.expr) -> None:
        if type(operator) in SYMBOLS:
            old = SYMBOLS[type(operator)]
            after, before = self.span(left)[1], self.span(right)[0]
            pattern = rb"\s+".join(map(re.escape, old.encode().split()))
            if place := re.search(pattern, self.source[after:before]):
                self.edit(after + place.start(), after + place.end(), SWAPS[old])

    def visit(self, node: ast.AST) -> None:
        """Visit a node; a statement says which lines its expressions are reached by."""
        if isinstance(node, ast.stmt):
            outer, body = self.reach, getattr(node, "body", None)
            assert node.end_lineno is not None
            end = body[0].lineno if body else node.end_lineno + 1
            self.reach = range(node.lineno, max(end, node.lineno + 1))
            super().visit(node)
            self.reach = outer
        else:
            super().visit(node)

    def each(self, nodes: list[ast.stmt] | list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)

    # statements

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if any(
            isinstance(name, ast.Name) and name.id == "overload" for name in node.decorator_list
        ):
            return
        self.depth += 1
        assert node.end_lineno is not None
        self.reach = range(node.body[0].lineno, node.end_lineno + 1)
        self.each([default for default in node.args.defaults + node.args.kw_defaults if default])
        self.each(node.body)
        self.depth -= 1

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.each(node.body)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            self.each(node.orelse)
            return
        self.condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.edit(*self.span(node.test), "False")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.edit(*self.span(node), "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        targets = node.targets
        if any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            self.edit(*self.span(node), "pass")
        is_all = isinstance(targets[0], ast.Name) and targets[0].id == "__all__"
        is_type = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "TypeVar"
        if not is_all and not is_type:
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and ast.unparse(node.annotation) != "TypeAlias":
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.edit(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.edit(*self.span(node), "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.edit(*self.span(node.value), "None")
            self.visit(node.value)

    def leave_out(self, node: ast.Break | ast.Continue) -> None:
        self.edit(*self.span(node), "pass")

    visit_Break = visit_Continue = leave_out  # noqa: N815

    def nothing(self, node: ast.AST) -> None:
        """What is not mutated, with all that is in it."""

    visit_Import = visit_ImportFrom = visit_JoinedStr = nothing  # noqa: N815

    # expressions

    def condition(self, test: ast.expr) -> None:
        self.edit(*self.span(test), "True")
        self.edit(*self.span(test), "False")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip(
            [node.left, *node.comparators], node.ops, node.comparators, strict=False
        ):
            self.swap(left, operator, right)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.swap(node.left, node.op, node.right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.swap(left, node.op, right)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.edit(self.span(node)[0], self.span(node.operand)[0], "")
        self.generic_visit(node)

    def visit_Slice(self, node: ast.Slice) -> None:
        for end in (node.lower, node.upper):
            if end is not None:
                self.edit(*self.span(end), "")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.visit(node.func)
        self.each(node.args)
        for keyword in node.keywords:
            if keyword.arg in UNTOLD:
                continue
            if keyword.arg is not None:
                start, end = self.span(keyword)
                if comma := re.match(rb" *, *", self.source[end:]):
                    end += comma.end()
                elif comma := re.search(rb", *$", self.source[:start]):
                    start = comma.start()
                self.edit(start, end, "")
            self.visit(keyword.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self.span(node)
        value = node.value
        if isinstance(value, bool):
            self.edit(start, end, str(not value))
        elif isinstance(value, int | float):
            self.edit(start, end, repr(value + 1))
        elif isinstance(value, str) and WORD.fullmatch(value):
            text = self.source[start:end]
            if QUOTED.fullmatch(text):
                self.edit(start, end, text[:-1] + b"x" + text[-1:])


def python_mutants(file: Path) -> list[Mutant]:
    source = (ROOT / file).read_bytes()
    found = []
    for start, end, new, reach in Edits(source).found:
        first = source.rfind(b"\n", 0, start) + 1
        last = source.find(b"\n", end)
        before, after = source[first:last], source[first:start] + new + source[end:last]
        line = source.count(b"\n", 0, first)
        found.append(Mutant(file.as_posix(), line, before.decode(), after.decode(), reach))
    return found


# ---- Cython -----------------------------------------------------------------------------------

STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
OPERATOR = re.compile(r"(?<= )(<=|>=|==|!=|[-+*/]=|//|[-+*/%&|<>]|and|or|not in|is not|is|in)(?= )")
CONDITION = re.compile(r"^ *(?:if|elif|while) (.*):$")
STATEMENT = re.compile(
    r"^ +(?=\S)(?!(?:cdef|cpdef|def|return|if|elif|while|for|with|class|assert) )"
    r"(?:[^=(]+ [-+*/]?= .*|[\w.]+\(.*\)|raise\b.*|continue|break)$"
)
NO_CODE = re.compile(r"\s*(?:cimport|from|import|include|ctypedef|@|class |cdef class |$)")


def cython_mutants(file: Path) -> list[Mutant]:
    """All mutants of a file of Cython, line by line."""
    found: list[Mutant] = []
    depth, in_text = 0, False
    for number, line in enumerate((ROOT / file).read_text(encoding="utf-8").splitlines()):
        was_text, in_text = in_text, in_text ^ bool(line.count('"""') % 2)
        if was_text or '"""' in line:
            continue
        code = STRING.sub(lambda text: f'"{"_" * (len(text[0]) - 2)}"', line)
        code = re.sub(r"except\??.?-?\d+:", lambda text: "_" * len(text[0]), code)
        code = code.partition("#")[0].rstrip()
        is_whole = depth == 0
        depth += len(re.findall(r"[(\[{]", code)) - len(re.findall(r"[)\]}]", code))
        is_whole = is_whole and depth == 0
        if NO_CODE.match(code):
            continue
        new = replaced(line, INTEGER, next_integer, code)
        if " for " not in f" {code}":
            new += replaced(line, OPERATOR, SWAPS.__getitem__, code)
        if condition := CONDITION.match(code):
            start, end = condition.span(1)
            new.append(f"{line[:start]}not ({line[start:end]}){line[end:]}")
        if is_whole and STATEMENT.match(code):
            new.append(code[: len(code) - len(code.lstrip())] + "pass")
        found += [Mutant(file.as_posix(), number, line, text) for text in new]
    return found


# ---- the tests that notice --------------------------------------------------------------------


class Tests:
    """Which tests run which lines, the quickest first, and how long each may take."""

    def __init__(self, folder: Path) -> None:
        seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text("utf-8"))
        slowest: dict[str, float] = {}  # of each file, since any test may be the one that sets up
        for name, each in seconds.items():
            file = name.partition("::")[0]
            slowest[file] = max(each, slowest.get(file, 0.0))
        self.limits = {
            name: 10 + PATIENCE * slowest[name.partition("::")[0]]
            for name in sorted(seconds, key=seconds.__getitem__)
        }
        data = CoverageData(str(folder / "data"))
        data.read()
        self.lines = {
            Path(file).relative_to(ROOT).as_posix(): data.contexts_by_lineno(file)
            for file in data.measured_files()
            if file.endswith(".py")
        }

    def of(self, mutant: Mutant) -> dict[str, float]:
        """Name the tests of a mutant, each with its limit."""
        lines = self.lines.get(mutant.file, {})
        names = {name for line in mutant.reach for name in lines.get(line, ())} - {""}
        names = names or {name for each in lines.values() for name in each} - {""}
        return {name: limit for name, limit in self.limits.items() if name in names or not names}


def capsules() -> str:
    """Write what setup.py generates for the wrapper to include, from the wrapper as it is."""
    types = {name: repr(capsule).split('"')[1] for name, capsule in _core.__pyx_capi__.items()}
    lines = [
        f'    "{name}": PyCapsule_New(<void *> {name}, "{kind}", NULL),'
        for name, kind in types.items()
        if name.startswith("cbp_")
    ]
    return "\n".join(["__pyx_capi__ = {", *lines, "}", ""])


class Workshop:
    """A copy of the package, to be spoilt."""

    def __init__(self, folder: Path, tests: Tests) -> None:
        self.folder, self.tests = folder, tests
        no_cache = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=no_cache)
        (self.extension,) = (folder / PACKAGE).glob("_core.*.so")
        (folder / "_capsules.pxi").write_text(capsules(), encoding="utf-8")
        self.environment = os.environ | {
            "PYTHONPATH": f"{folder / 'src'}:{HERE}",
            "PYTHONPYCACHEPREFIX": str(folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONMALLOC": "debug",  # sees what is written beyond memory
            "TESTS_CHOSEN": str(folder / "chosen.json"),
            "TESTS_RUNNING": str(folder / "running"),
        }

    @cached_property
    def wrapper(self) -> bytes:
        """The object file of the wrapper as it is; the core's are compiled beside it."""
        for source in (ROOT / "csrc").glob("*.c"):
            command = ["cc", "-O1", "-w", "-fPIC", "-c", str(source)]
            subprocess.run([*command, "-o", str(self.folder / f"{source.stem}.o")], check=True)
        assert self.compiled()
        return (self.folder / "_core.o").read_bytes()

    def compiled(self) -> bool:
        """Whether the wrapper compiles; then there is an object file of it."""
        source, wrapper = self.folder / PACKAGE / "_core.pyx", self.folder / "_core"
        cython = [sys.executable, "-m", "cython", "-3", "-I", str(self.folder)]
        cython += [str(source), "-o", f"{wrapper}.c"]
        cc = ["cc", "-O0", "-w", "-fPIC", "-DCBP_API=", "-I", str(ROOT / "csrc")]
        cc += ["-I", sysconfig.get_path("include"), "-c", f"{wrapper}.c", "-o", f"{wrapper}.o"]
        runs = (subprocess.run(each, check=False, capture_output=True) for each in (cython, cc))
        return all(run.returncode == 0 for run in runs)

    def link(self) -> None:
        objects = map(str, self.folder.glob("*.o"))
        subprocess.run(["cc", "-shared", *objects, "-lm", "-o", str(self.extension)], check=True)

    def failing(self, chosen: dict[str, float]) -> str:
        """Name the first test that fails; "" if none does."""
        (self.folder / "chosen.json").write_text(json.dumps(chosen), encoding="utf-8")
        running = self.folder / "running"
        running.write_text("import", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-xq", "-p", "no:cacheprovider"]
        command += ["-p", "tests_of_lines", "-m", "not native"]
        command += sorted({name.partition("::")[0] for name in chosen})
        with suppress(subprocess.TimeoutExpired):
            run = subprocess.run(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
            if run.returncode in (0, 5):  # all have passed, or there was none
                return ""
        return running.read_text(encoding="utf-8")

    def judge(self, mutant: Mutant) -> str | None:
        """Name the test that notices; "" if none does, None if there is nothing to notice."""
        path = self.folder / mutant.file
        is_python = path.suffix == ".py"
        kept, original = self.extension.read_bytes(), path.read_text(encoding="utf-8")
        changed = mutant.applied(original)
        if is_python and is_same(changed, original):
            return None
        as_it_is = b"" if is_python else self.wrapper
        path.write_text(changed, encoding="utf-8")
        try:
            if not is_python:
                if not self.compiled() or (self.folder / "_core.o").read_bytes() == as_it_is:
                    return None
                self.link()
            return self.failing(self.tests.of(mutant))
        finally:
            path.write_text(original, encoding="utf-8")
            self.extension.write_bytes(kept)
            for stale in (self.folder / "cache").rglob(f"{path.stem}.*.pyc"):
                stale.unlink()


def is_same(changed: str, original: str) -> bool:
    """Whether it is no Python, or the same program."""
    try:
        return ast.dump(ast.parse(changed)) == ast.dump(ast.parse(original))
    except SyntaxError:
        return True


def main() -> int:
    """Learn, draw and judge."""
    count, seed = arguments()
    everything: list[Mutant] = []
    for path in sorted((ROOT / PACKAGE).rglob("*.p*")):
        file = path.relative_to(ROOT)
        if path.suffix == ".py":
            everything += python_mutants(file)
        elif path.suffix in WRAPPER:
            everything += cython_mutants(file)
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(WORKERS + 1)]
        learned = Path(os.environ.get("PYTHON_COVERAGE", folders[-1]))
        if not (learned / "data").exists():
            command = ["sh", str(HERE / "python_coverage.sh"), str(learned)]
            subprocess.run(command, check=True, env=os.environ | {"PYTHON": sys.executable})
        tests = Tests(learned)
        shops = [Workshop(folder, tests) for folder in folders[:WORKERS]]
        seen = draw(everything, [shop.judge for shop in shops], count, seed)
        failed = shops[0].failing({name: tests.limits[name] for name in seen if "::" in name})
        assert not failed, f"the package itself fails {failed}"
    return told(seen)


if __name__ == "__main__":
    sys.exit(main())
