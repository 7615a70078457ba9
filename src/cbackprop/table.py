"""Tables of text: CSV, TSV and their relatives, with errors that say where.

Comma, semicolon or tab between fields, taken from the first line; quoted fields; a header or none;
lines that begin with # and empty ones are skipped; with semicolons numbers may have decimal commas.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import CBackpropError

__all__ = ["Table", "TableError", "read_table"]

Vector: TypeAlias = NDArray[np.float64]
_MISSING: Final = frozenset(("", "na", "nan", "n/a", "null", "."))


class TableError(CBackpropError, ValueError):
    """A table that cannot be read, or a column that is not there."""


class Table:
    """The fields of a table, column by column.

    Attributes
    ----------
    source : str
        What errors call it.
    names : tuple of str
        Of the columns; "1", "2", ... without a header.
    """

    def __init__(
        self,
        source: str,
        names: Sequence[str],
        columns: Sequence[Sequence[str]],
        lines: Sequence[int],
        comma: bool,
    ) -> None:
        self.source, self.names = source, tuple(names)
        self._columns, self._lines, self._comma = columns, lines, comma

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._lines)

    def texts(self, name: str) -> Sequence[str]:
        """Give a column's fields.

        Raises
        ------
        TableError
            If there is no such column.
        """
        if name in self.names:
            return self._columns[self.names.index(name)]
        if name.isdecimal() and 1 <= int(name) <= len(self.names):
            return self._columns[int(name) - 1]
        raise TableError(
            f"{self.source}: no column {name!r}; there are {', '.join(map(repr, self.names))}"
        )

    def numbers(self, name: str) -> Vector:
        """Give a column's numbers; NaN for what is missing.

        Raises
        ------
        TableError
            If there is no such column, or a field is not a number: its line is named.
        """
        texts = self.texts(name)
        if not self._comma:
            try:
                return np.array(texts, dtype=np.float64)
            except ValueError:
                pass
        values = np.empty(len(texts))
        for i, text in enumerate(texts):
            number = _number(text, self._comma)
            if number is None:
                raise TableError(
                    f"{self.source}, line {self._lines[i]}, column {name!r}: "
                    f"{text!r} is not a number"
                )
            values[i] = number
        return values

    def is_numeric(self, name: str) -> bool:
        """Whether a column is one of numbers, as its first field shows that is not missing."""
        for text in self.texts(name):
            number = _number(text, self._comma)
            if number is None or not math.isnan(number):
                return number is not None
        return False


def read_table(path: str) -> Table:
    """Read a table from a file, or from the standard input if the path is "-".

    Parameters
    ----------
    path : str

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If it is empty, is no text, or its rows differ in length: the line is named.
    OSError
        If the file cannot be read.
    """
    source = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{source}: not a text file in UTF-8 ({error.reason})") from None
    lines = text.splitlines()
    kept = [i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    if not kept:
        raise TableError(f"{source}: no data in it")
    delimiter = next((mark for mark in "\t;," if mark in lines[kept[0]]), ",")
    try:
        rows = list(csv.reader((lines[i] for i in kept), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise TableError(f"{source}: {error}") from None
    numbers = [i + 1 for i in kept]
    if len(rows) != len(kept):
        raise TableError(f"{source}: a quoted field goes over several lines")
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != len(rows[0]):
            raise TableError(f"{source}, line {number}: {len(row)} fields, expected {len(rows[0])}")
    comma = delimiter == ";"
    names = [f"{k}" for k in range(1, len(rows[0]) + 1)]
    if any(_number(field, comma) is None for field in rows[0]):
        names = [field.strip() for field in rows[0]]
        rows, numbers = rows[1:], numbers[1:]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise TableError(f"{source}: two columns are named {twice!r}")
        if not rows:
            raise TableError(f"{source}: no data under its header")
    columns = [list(column) for column in zip(*rows, strict=True)]
    return Table(source, names, columns, numbers, comma)


def _number(text: str, comma: bool) -> float | None:
    """Read a number; NaN if it is missing, None if it is none."""
    text = text.strip()
    if text.lower() in _MISSING:
        return math.nan
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError:
        return None
