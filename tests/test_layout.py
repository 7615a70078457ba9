"""Hazard: circles of imports, and layers that reach upwards: modules import what stands before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cbackprop

PACKAGE = Path(cbackprop.__file__).parent
ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cbackprop"  # what is compiled is not installed

# Each module, and after its modules each package: it may import what stands to its left.
LEFT_TO_RIGHT = """
    errors losses reference _core threads trace chain_array model_file c_core cuda c_export plot
    fits fits.arguments fits.result fits.one fits.many fits.shards
    dask
    curves.arguments curves.matrices curves.covariance curves.limits curves.advice curves.estimates
    curves.criteria curves.distributions curves.weights curves.result curves.robust
    curves.sharing curves.groups curves.many curves.curve curves.comparison
    curves.profile curves.bootstrap curves.known_errors curves.outliers curves.assay curves.plates
    curves.expressions curves.definition curves.ratios curves.potency curves.suitability
    curves.combination curves.variance
    curves.plot curves.influence curves.residual_plots curves
    sklearn
    cli.arguments cli.table cli.data cli.model cli.groups cli.fit cli.main cli
    cbackprop __main__
"""
ORDER = LEFT_TO_RIGHT.split()

# In functions: what most programs do not need.
LATE = {("curves.result", "curves.plot"), ("curves.potency", "curves.plot")}
# For types alone: what a method returns or keeps, but does not make.
UPWARDS_FOR_TYPES = {
    ("_core", "trace"),
    ("_core", "fits.one"),
    ("_core", "fits.many"),
    ("_core", "curves.covariance"),
    ("_core", "curves.many"),
    ("curves.covariance", "curves.curve"),
    ("curves.advice", "curves.result"),
    ("curves.result", "curves.curve"),
    ("curves.criteria", "curves.result"),
    ("curves.weights", "curves.curve"),
    ("curves.sharing", "curves.curve"),
    ("curves.groups", "curves.curve"),
    ("curves.many", "curves.curve"),
}
# In _core.pyx: what the methods of a chain call, which the package does not load before.
LATE_IN_CORE = {"threads", "trace", "model_file", "fits.one"}


def module_of(path: Path, root: Path = PACKAGE) -> str:
    """Name a file's module from the package on; the package itself is "cbackprop"."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "cbackprop"


PYTHON = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FILES = PYTHON | {"_core": PACKAGE / "_core.pyi"}


def named_in(node: ast.Import | ast.ImportFrom, package: list[str]) -> Iterator[str]:
    """Yield each own module that a statement in a module of this package imports."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        yield from (".".join(name[1:]) or name[0] for name in names if name[0] == "cbackprop")
        return
    given = node.module.split(".") if node.module else []
    if not node.level and given[0] != "cbackprop":
        return
    base = package[: len(package) - node.level + 1] + given if node.level else given[1:]
    for alias in node.names:
        inner = ".".join([*base, alias.name])
        yield inner if inner in FILES else ".".join(base) or "cbackprop"


def imports_of(module: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield each own module that the text of a module imports: "first", "late" or "types"."""
    own = [] if module == "cbackprop" else module.split(".")
    package = own if FILES[module].name == "__init__.py" else own[:-1]

    def walk(node: ast.AST, kind: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "late"
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((kind, name) for name in named_in(node, package))
        for field, parts in ast.iter_fields(node):
            for part in parts if isinstance(parts, list) else [parts]:
                if isinstance(part, ast.AST):
                    yield from walk(part, "types" if is_for_types and field == "body" else kind)

    # a stub is never run
    yield from walk(ast.parse(text), "types" if module == "_core" else "first")


IMPORTS = {
    (kind, module, imported)
    for module, path in FILES.items()
    for kind, imported in imports_of(module, path.read_text(encoding="utf-8"))
}


def goes_upwards(module: str, imported: str) -> bool:
    return ORDER.index(imported) >= ORDER.index(module)


def test_every_module_has_one_place() -> None:
    assert sorted(ORDER) == sorted(FILES)


def test_a_module_imports_only_what_stands_to_its_left() -> None:
    first = {(module, imported) for kind, module, imported in IMPORTS if kind == "first"}
    assert len(first) > 60  # the imports are found
    assert not [pair for pair in sorted(first) if goes_upwards(*pair)]


def test_late_imports_are_few() -> None:
    assert {(module, imported) for kind, module, imported in IMPORTS if kind == "late"} == LATE


def test_types_that_stand_to_the_right_are_few() -> None:
    types = {(module, imported) for kind, module, imported in IMPORTS if kind == "types"}
    # the package gives its users' tools the types of all that it loads when asked
    upwards = {pair for pair in types if pair[0] != "cbackprop" and goes_upwards(*pair)}
    assert upwards == UPWARDS_FOR_TYPES


@pytest.mark.skipif(not SOURCE.exists(), reason="needs the sources")
def test_what_the_core_imports() -> None:
    files = [*SOURCE.glob("*.pyx"), *SOURCE.glob("*.pxi")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    found = re.findall(r"^( *)from \.([\w.]+) import", text, re.M)
    at_once = {name for indent, name in found if not indent}
    assert at_once == {"errors"}
    assert not any(goes_upwards("_core", name) for name in at_once)
    assert {name for indent, name in found if indent} == LATE_IN_CORE


def test_imports_are_told_apart() -> None:
    text = """
import math, cbackprop.errors
from typing import TYPE_CHECKING
from .. import _core
from ..fits.one import fit
if TYPE_CHECKING:
    from .main import main
else:
    from . import groups
def draw():
    from ..plot import trace
"""
    assert sorted(imports_of("cli.data", text)) == [
        ("first", "_core"),
        ("first", "cli.groups"),
        ("first", "errors"),
        ("first", "fits.one"),
        ("late", "plot"),
        ("types", "cli.main"),
    ]


def test_files_are_short_and_say_what_they_are() -> None:
    for module, path in PYTHON.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 550, module
        assert not {"utils", "helpers", "common"} & set(module.split(".")), module


def test_tests_are_named_after_a_source_or_say_which_hazard_they_are_for() -> None:
    sources = {module.replace(".", "_") for module in PYTHON}
    sources |= {path.stem for path in (ROOT / "csrc").glob("*.[ch]")}
    for path in Path(__file__).parent.glob("test_*.py"):
        says = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert path.stem.removeprefix("test_") in sources or says.startswith("Hazard: "), path


@pytest.mark.skipif(not SOURCE.exists(), reason="needs the sources")
def test_the_page_on_development_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+(?:/[\w.]+)*/?)`", page))
    paths = {name for name in named if "/" in name or name.endswith(".py")}
    assert len(paths) > 40  # they are found
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]
    modules = [path.relative_to(PACKAGE).as_posix() for path in PYTHON.values()]
    inner = [name for name in modules if "/" in name and not name.endswith("__init__.py")]
    assert not {f"src/cbackprop/{name}" for name in inner} - paths  # each has its line


@pytest.mark.skipif(not SOURCE.exists(), reason="needs the sources")
def test_mutants_that_live_are_judged_in_files_that_are_there() -> None:
    page = (ROOT / "tests" / "trust" / "survivors.md").read_text(encoding="utf-8")
    files = re.findall(r"^## (.*)$", page, re.M)
    assert files
    assert not [file for file in files if not (ROOT / file).exists()]
