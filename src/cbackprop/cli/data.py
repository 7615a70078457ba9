"""The columns of a table that the command uses, and messages about them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..curves import CURVES
from ..errors import CBackpropError, ParameterError
from .table import Table, read_table

__all__ = ["Data", "columns_of", "data_of", "note", "numeric_columns", "printable", "read"]

Vector: TypeAlias = NDArray[np.float64]


class Data(NamedTuple):
    """The columns of a table that a verb uses.

    Attributes
    ----------
    columns : mapping of str to str
        The columns' names, by the options that choose them: "x", "y", "weight", "group".
    x, y : ndarray
    weight : ndarray or None
    groups : sequence of str or None
    complete : ndarray of bool
        Which rows have finite numbers in all of these columns; x may also be the logarithm of a
        dose of 0.
    """

    columns: Mapping[str, str]
    x: Vector
    y: Vector
    weight: Vector | None
    groups: Sequence[str] | None
    complete: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """Number of complete rows."""
        return int(np.count_nonzero(self.complete))

    @property
    def left_out(self) -> int:
        """How many are not."""
        return len(self.x) - self.rows

    def __str__(self) -> str:
        """Show the names of the columns and the number of rows."""
        columns = ", ".join(f"{option} = {name}" for option, name in self.columns.items())
        return printable(f"{columns}; {counted(self.rows, 'row')}")


def read(path: str, given: argparse.Namespace) -> Table:
    """Read a table from a file, or from the standard input if the path is "-"."""
    if path == "-" and sys.stdin is None:
        raise ParameterError("standard input is closed")
    return read_table(path, decimal=given.decimal, thousands=given.thousands)


def data_of(table: Table, given: argparse.Namespace) -> Data:
    """Return the columns that the arguments name, or the only possible ones."""
    columns = columns_of(table, given)
    x, y = table.numbers(columns["x"]), table.numbers(columns["y"])
    complete = np.isfinite(x)
    curve = CURVES.get(getattr(given, "curve", None) or "")
    if curve is not None and curve.log_dose:
        complete |= np.isneginf(x)
    complete &= np.isfinite(y)
    weight = table.numbers(columns["weight"]) if "weight" in columns else None
    if weight is not None:
        complete &= np.isfinite(weight)
    groups = None
    if "group" in columns:
        groups = [text.strip() for text in table.texts(columns["group"])]
    return Data(columns, x, y, weight, groups, complete)


def columns_of(table: Table, given: argparse.Namespace) -> dict[str, str]:
    """Find the names of the columns; x and y may be left out if only one choice is possible."""
    chosen: dict[str, str | None] = {"x": given.x, "y": given.y}
    for option in ("weight", "group"):
        if getattr(given, option, None) is not None:
            chosen[option] = getattr(given, option)
    used: dict[str, str] = {}
    for option, said in chosen.items():
        if said is None:
            continue
        table.texts(said)
        name = said if said in table.names else table.names[int(said) - 1]
        if name in used:
            raise ParameterError(
                f"--{used[name]} and --{option} are the same column, {name!r}; expected different "
                "ones"
            )
        used[name] = option
        chosen[option] = name
    wanted = [f"--{option}" for option, name in chosen.items() if name is None]
    left = [name for name in table.names if name not in used]
    rest = iter(numeric_columns(table, wanted, left) if wanted else ())
    return {option: next(rest) if name is None else name for option, name in chosen.items()}


def numeric_columns(table: Table, options: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """Choose the columns of numbers, if there are as many of them as options without a column."""
    found = [name for name in names if table.is_numeric(name)]
    listed, wanted = ", ".join(map(repr, found)), " and ".join(options)
    if len(found) > len(options):
        raise ParameterError(f"{table.source}: {wanted} could be any of {listed}; say which")
    if len(found) < len(options):
        message = f"expected {counted(len(options), 'column')} of numbers, found {listed or 'none'}"
        for name in names:
            first = table.first(name)
            if name not in found and first is not None:
                message += f"; {name!r} begins with {first[1]!r} in line {first[0]}"
                break
        raise ParameterError(f"{table.source}: {wanted}: {message}")
    return found


def counted(count: int, noun: str) -> str:
    """Write a number with its noun, such as "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Escape line ends and other control characters, which an argument or a file may contain."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def note(text: str, end: str = "\n") -> None:
    """Print a message to standard error, without mixing it with the results."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError as error:
        raise CBackpropError(f"standard error: {error.strerror}") from None
