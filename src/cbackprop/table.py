"""Tables of text: CSV, TSV and their relatives, with errors that say where.

Comma, semicolon or tab between fields, taken from the first line; quoted fields; lines that begin
with # and empty ones are skipped; with semicolons numbers may have decimal commas. A first row with
words in it is a header, unless all its words stand in columns of words and its numbers in columns
of numbers, as in any other row: that is refused.
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
        if not self._comma and "_" not in "".join(texts):  # which NumPy takes, and `_number` not
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
        return _are_numbers(self.texts(name), self._comma)


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
        If it is empty, is no text, its rows differ in length, or its first row may be a header or
        not: the line is named.
    OSError
        If the file cannot be read.
    """
    source = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
        text = text.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TableError(f"{source}: not a text file in UTF-8 ({error.reason})") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = [i for i, line in enumerate(lines) if line and line[0] != "#" and not line.isspace()]
    if not kept:
        raise TableError(f"{source}: no data in it")
    used = lines if len(kept) == len(lines) else [lines[i] for i in kept]
    numbers = [i + 1 for i in kept]
    delimiter = next((mark for mark in "\t;," if mark in used[0]), ",")
    columns = _columns(used, numbers, delimiter, source)
    comma = delimiter == ";"
    names = [f"{k}" for k in range(1, len(columns) + 1)]
    if any(_number(column[0], comma) is None for column in columns):
        names = [column[0].strip() for column in columns]
        columns, numbers = [column[1:] for column in columns], numbers[1:]
        _check_header(names, columns, comma, f"{source}, line {kept[0] + 1}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise TableError(f"{source}: two columns are named {twice!r}")
        if not numbers:
            raise TableError(f"{source}: no data under its header")
    return Table(source, names, columns, numbers, comma)


def _columns(
    lines: Sequence[str], numbers: Sequence[int], delimiter: str, source: str
) -> list[list[str]]:
    """Split lines into columns; without quotes all at once, as a list for each row costs more."""
    if any('"' in line for line in lines):
        try:
            rows = list(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error as error:
            raise TableError(f"{source}: {error}") from None
        if len(rows) != len(lines):
            raise TableError(f"{source}: a quoted field goes over several lines")
        widths = [len(row) for row in rows]
        fields = [field for row in rows for field in row]
    else:
        widths = [line.count(delimiter) + 1 for line in lines]
        fields = delimiter.join(lines).split(delimiter)
    ragged = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if ragged is not None:
        raise TableError(
            f"{source}, line {numbers[ragged]}: {widths[ragged]} fields, expected {widths[0]}"
        )
    return [fields[k :: widths[0]] for k in range(widths[0])]


def _check_header(
    names: Sequence[str], columns: Sequence[Sequence[str]], comma: bool, where: str
) -> None:
    """Raise TableError if the first row is like any other."""
    doubtful = 0
    for k, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        if _are_numbers(column, comma):
            if _number(name, comma) is None:
                return
            doubtful = doubtful or k
    if doubtful:
        raise TableError(
            f"{where}, column {doubtful}: {names[doubtful - 1]!r} may be the column's name or a "
            "number in it; begin with a header that names every column in words"
        )


def _are_numbers(fields: Sequence[str], comma: bool) -> bool:
    """Whether the first field that is not missing is a number."""
    for text in fields:
        number = _number(text, comma)
        if number is None or not math.isnan(number):
            return number is not None
    return False


def _number(text: str, comma: bool) -> float | None:
    """Read a number; NaN if it is missing, None if it is none."""
    text = text.strip()
    if text.lower() in _MISSING:
        return math.nan
    if "_" in text:
        return None  # a number to Python, not to others
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError:
        return None
