"""Tables of text: CSV, TSV and their relatives, with errors that say where.

Comma, semicolon or tab between fields, taken from the first line; quoted fields; lines that begin
with # and empty ones are skipped, and so are empty columns at the end. A first row with words in it
is a header, unless all its words stand in columns of words and its numbers in columns of numbers,
as in any other row: that is refused, and so is one whose words are like numbers, as <0.01.

The decimal mark of a table is one. It is a point, or with semicolons a comma, as its numbers show.
A mark between thousands is never guessed: "1.000" is 1 or 1000, and refused wherever the other
numbers leave a doubt, unless the marks are said.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CBackpropError, ParameterError

__all__ = ["DECIMALS", "THOUSANDS", "Table", "TableError", "read_table"]

Vector: TypeAlias = NDArray[np.float64]
DECIMALS: Final = (".", ",")
THOUSANDS: Final = (".", ",", " ", "'")

_MISSING: Final = frozenset(("", "na", "nan", "n/a", "null", "."))
_OTHER: Final = {".": ",", ",": "."}
# a blank or an apostrophe between thousands and a minus, as spreadsheets and typesetters write them
_PLAIN_MARKS: Final = str.maketrans("\u00a0\u202f\u2009\u2019\u2212", "   '-")
_QUOTED: Final = re.compile(r'(^|[\t;,])[ ]*"(?:[^"]|"")*"')
_POINTS_BETWEEN: Final = re.compile(r"\.\d{3}\.")
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}([.,' ])\d{3}(?:\1\d{3})*(?:([.,])\d*)?")
_PLAIN: Final = re.compile(
    r"[+-]?(?:(?:\d+(?:([.,])\d*)?|([.,])\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE
)


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
        delimiter: str,
        marks: tuple[str | None, str | None],
    ) -> None:
        self.source, self.names = source, tuple(names)
        self._places = {name: k for k, name in enumerate(names)}
        self._columns, self._lines, self._delimiter = columns, lines, delimiter
        self._said, self._thousands = marks

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
        if name in self._places:
            return self._columns[self._places[name]]
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
            If there is no such column, or a field is not a number, or could be two: its line is
            named.
        """
        texts = self.texts(name)
        decimal, joined = self._decimal, "\n".join(texts)
        is_plain = decimal == "." or (decimal == "," and "." not in joined)
        # NumPy takes "_" between digits, and `_number` not
        if is_plain and self._thousands is None and "_" not in joined:
            try:
                plain = joined.replace(",", ".").split("\n") if decimal == "," else texts
                return np.array(plain, dtype=np.float64)
            except ValueError:
                pass
        values = np.empty(len(texts))
        for i, text in enumerate(texts):
            number = _number(text, decimal, self._thousands)
            if number is None:
                raise TableError(
                    f"{self.source}, line {self._lines[i]}, column {name!r}: "
                    f"{text!r} is not a number{self._hint(text)}"
                )
            values[i] = number
        return values

    def first(self, name: str) -> tuple[int, str] | None:
        """Give a column's first field that is not missing, with its line before it."""
        fields = zip(self._lines, self.texts(name), strict=True)
        return next(((line, text) for line, text in fields if not _is_missing(text)), None)

    def is_numeric(self, name: str) -> bool:
        """Whether a column is one of numbers, as its first field shows that is not missing."""
        return _are_numbers(self.texts(name))

    def _hint(self, text: str) -> str:
        """Say which marks are expected, where others would make it a number."""
        if _mark_of(text) is None:
            return ""
        if self._decimal is None:
            return " that can be read in one way only; say --decimal and --thousands"
        marks = f" with the decimal mark {self._decimal!r}"
        if self._thousands is not None:
            marks += f" and {self._thousands!r} between groups of three digits"
        return f"{marks}; if the marks are others, say --decimal and --thousands"

    @cached_property
    def _decimal(self) -> str | None:
        """The decimal mark; None if the numbers leave a doubt, or contradict each other."""
        said = self._said or _OTHER.get(self._thousands or "")
        if said is not None:
            return said
        joined = ["\n".join(column) for column in self._columns]
        if self._delimiter == "," and not any(
            "," in column or _POINTS_BETWEEN.search(column) for column in joined
        ):
            return "."
        sure, unsure, beside_unmarked = set[str](), set[str](), False
        for column in self._columns:
            found = {_mark_of(text) for text in set(column) if not _is_missing(text)}
            marks = {mark for mark in found if mark is not None}
            if len(marks) == len(found):  # a column of numbers alone
                sure |= {mark for mark, is_sure in marks if mark and is_sure}
                doubtful = {mark for mark, is_sure in marks if not is_sure}
                unsure |= doubtful
                beside_unmarked |= bool(doubtful) and ("", True) in marks
        if self._delimiter == ";":
            usual = "," if "," in sure | unsure and "." not in sure else "."
            is_doubtful = "." in unsure or beside_unmarked
        else:
            usual = "."
            is_doubtful = unsure == {".", ","} or (beside_unmarked and self._delimiter == "\t")
        return None if sure - {usual} or (is_doubtful and not sure) else usual


def read_table(path: str, *, decimal: str | None = None, thousands: str | None = None) -> Table:
    """Read a table from a file, or from the standard input if the path is "-".

    Parameters
    ----------
    path : str
    decimal : {".", ","}, optional
        The decimal mark, where the numbers do not show it.
    thousands : {".", ",", " ", "'"}, optional
        What stands between groups of three digits; by default nothing. If it is a point, the
        decimal mark is a comma, and the other way round.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If it is empty, is no text, its rows differ in length, its first row may be a header or not,
        or a mark that is said stands between its fields: the line is named.
    ParameterError
        If a mark is none, or both are one.
    OSError
        If the file cannot be read.
    """
    _check_marks(decimal, thousands)
    source = "standard input" if path == "-" else path
    try:
        # the locale's encoding would be another one than a file's
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{source}: not a text file in UTF-8 ({error.reason})") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = [i for i, line in enumerate(lines) if line and line[0] != "#" and not line.isspace()]
    if not kept:
        raise TableError(f"{source}: no data in it")
    used = lines if len(kept) == len(lines) else [lines[i] for i in kept]
    numbers = [i + 1 for i in kept]
    is_quoted = any('"' in line for line in used)
    first = _QUOTED.sub(r"\1", used[0])
    delimiter = next((mark for mark in "\t;," if mark in first), None)
    is_comma_said = "," in (decimal, thousands)
    if delimiter == "," and is_comma_said and not is_quoted:
        raise TableError(
            f"{source}, line {numbers[0]}: ',' stands between fields, so that it cannot be a mark "
            "in numbers too; expected quotes around these, or ';' or tabs between fields"
        )
    # one column: no mark in its numbers stands between fields
    delimiter = delimiter or (";" if is_comma_said else ",")
    columns = _columns(used, numbers, delimiter, is_quoted, source)
    if not columns:
        raise TableError(f"{source}: no data in it")
    names = [f"{k}" for k in range(1, len(columns) + 1)]
    if any(_is_word(column[0]) for column in columns):
        names = [column[0].strip() for column in columns]
        columns, numbers = [column[1:] for column in columns], numbers[1:]
        _check_header(names, columns, f"{source}, line {kept[0] + 1}")
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise TableError(f"{source}: two columns are named {twice!r}")
        if not numbers:
            raise TableError(f"{source}: no data under its header")
    return Table(source, names, columns, numbers, delimiter, (decimal, thousands))


def _check_marks(decimal: str | None, thousands: str | None) -> None:
    if decimal is not None and decimal not in DECIMALS:
        raise ParameterError(f"decimal: {decimal!r}; expected '.' or ','")
    if thousands is not None and thousands not in THOUSANDS:
        raise ParameterError(f"thousands: {thousands!r}; expected '.', ',', ' ' or \"'\"")
    if decimal is not None and decimal == thousands:
        raise ParameterError(
            f"decimal and thousands: {decimal!r} both; expected two different marks"
        )


def _columns(
    lines: Sequence[str], numbers: Sequence[int], delimiter: str, is_quoted: bool, source: str
) -> list[list[str]]:
    """Split lines into columns, but for empty ones at the end."""
    width = lines[0].count(delimiter) + 1
    if not is_quoted and all(line.count(delimiter) == width - 1 for line in lines):
        # all at once, as a list for each row costs more
        fields = delimiter.join(lines).split(delimiter)
        columns = [fields[k::width] for k in range(width)]
        while columns and not any(map(str.strip, columns[-1])):
            columns.pop()
        return columns
    rows = [line.split(delimiter) for line in lines]
    if is_quoted:
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            line = numbers[reader.line_num - 1]
            raise TableError(f"{source}, line {line}: {error}") from None
        if len(rows) != len(lines):
            raise TableError(f"{source}: a quoted field goes over several lines")
    filled = [_filled(row) for row in rows]
    width = min(len(rows[0]), max(filled))
    for row, used, number in zip(rows, filled, numbers, strict=True):
        if not used <= width <= len(row):
            raise TableError(f"{source}, line {number}: {len(row)} fields, expected {width}")
    fields = list(chain.from_iterable(row[:width] for row in rows))
    return [fields[k::width] for k in range(width)]


def _filled(row: Sequence[str]) -> int:
    """Count fields up to the last one that is not empty."""
    count = len(row)
    while count and not row[count - 1].strip():
        count -= 1
    return count


def _check_header(names: Sequence[str], columns: Sequence[Sequence[str]], where: str) -> None:
    """Raise TableError if the first row is like any other."""
    doubtful = 0
    for k, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        if _are_numbers(column):
            if _is_name(name):
                return
            doubtful = doubtful or k
    if doubtful:
        raise TableError(
            f"{where}, column {doubtful}: {names[doubtful - 1]!r} may be the column's name or a "
            "number in it; begin with a header that names every column in words"
        )


def _are_numbers(fields: Sequence[str]) -> bool:
    """Whether the first field that is not missing is a number."""
    first = next((text for text in fields if not _is_missing(text)), "")
    return _mark_of(first) is not None


def _is_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def _is_word(text: str) -> bool:
    return not _is_missing(text) and _mark_of(text) is None


def _is_name(text: str) -> bool:
    """Whether a word is hardly a number with something beside it, as <0.01 is, or 5 %."""
    return _is_word(text) and (any(map(str.isalpha, text)) or not any(map(str.isdigit, text)))


def _mark_of(text: str) -> tuple[str, bool] | None:
    """Give a number's decimal mark ("": no mark), and whether it is sure; None if it is none.

    Not sure is the mark of 1.000 and 1,000, which could stand between thousands.
    """
    text = text.strip().translate(_PLAIN_MARKS)
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        mark = plain[1] or plain[2] or ""
        return mark, not (mark and text[-4:-3] == mark and _GROUPED.fullmatch(text))
    grouped = _GROUPED.fullmatch(text)
    if grouped is None:
        return None
    between, decimal = grouped.groups()
    if decimal is not None:
        return None if decimal == between else (decimal, True)
    if between not in _OTHER:
        return "", True
    return _OTHER[between], True  # several groups


def _number(text: str, decimal: str | None, thousands: str | None) -> float | None:
    """Read a number; NaN if it is missing, None if it is none."""
    text = text.strip().translate(_PLAIN_MARKS)
    if text.lower() in _MISSING:
        return math.nan
    if "_" in text:
        return None  # a number to Python, not to others
    if thousands is not None and thousands in text:
        grouped = _GROUPED.fullmatch(text)
        if grouped is None or grouped[1] != thousands or grouped[2] == thousands:
            return None
        text = text.replace(thousands, "")
    if decimal != "." and "." in text:
        return None
    try:
        return float(text.replace(",", ".") if decimal == "," else text)
    except ValueError:
        return None
