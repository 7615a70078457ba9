"""Text tables such as CSV and TSV, with errors that name the line and the column.

Fields are separated by commas, semicolons or tabs, as in the first line, and may be quoted. Lines
that begin with #, empty lines, and empty columns at the end are skipped. A first row with words is
a header. It is refused if it could be data: if all its words are in columns of words and its
numbers in columns of numbers, as in any other row, or if a word is like a number, such as <0.01.

A table has one decimal mark: a point, or with semicolons possibly a comma, as its numbers show. A
thousands separator is never guessed: "1.000" is 1 or 1000, and is refused unless the other numbers
or the options decide which.
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
# spaces and apostrophes between thousands, and minus signs, of spreadsheets and typography
_PLAIN_MARKS: Final = str.maketrans("\u00a0\u202f\u2009\u2019\u2212", "   '-")
_QUOTED: Final = re.compile(r'(^|[\t;,])[ ]*"(?:[^"]|"")*"')
_POINTS_BETWEEN: Final = re.compile(r"\.\d{3}\.")
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}([.,' ])\d{3}(?:\1\d{3})*(?:([.,])\d*)?")
_PLAIN: Final = re.compile(
    r"[+-]?(?:(?:\d+(?:([.,])\d*)?|([.,])\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE
)


class TableError(CBackpropError, ValueError):
    """A table that cannot be read, or a column that does not exist."""


class Table:
    """The fields of a table, column by column.

    Attributes
    ----------
    source : str
        The name of the table in error messages.
    names : tuple of str
        Names of the columns; "1", "2", ... without a header.
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
        """Return a column's fields.

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
        """Return a column's numbers; NaN where a number is missing.

        Raises
        ------
        TableError
            If there is no such column, or a field is not a number or ambiguous; the message names
            its line.
        """
        texts = self.texts(name)
        decimal, joined = self._decimal, "\n".join(texts)
        is_plain = decimal == "." or (decimal == "," and "." not in joined)
        # NumPy accepts "_" between digits, but `_number` does not
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
        """Return the line number and the text of a column's first field that is not missing."""
        fields = zip(self._lines, self.texts(name), strict=True)
        return next(((line, text) for line, text in fields if not _is_missing(text)), None)

    def is_numeric(self, name: str) -> bool:
        """Whether a column has numbers, judged by its first field that is not missing."""
        return _are_numbers(self.texts(name))

    def _hint(self, text: str) -> str:
        """Return a hint on the marks, if other marks would make the text a number."""
        if _mark_of(text) is None:
            return ""
        if self._decimal is None:
            return " that can be read in one way only; say --decimal and --thousands"
        marks = f" with the decimal mark {self._decimal!r}"
        if self._thousands is not None:
            marks += f" and {self._thousands!r} between groups of three digits"
        return f"{marks}; for other marks use --decimal and --thousands"

    @cached_property
    def _decimal(self) -> str | None:
        """The decimal mark; None if the numbers are ambiguous, or contradict each other."""
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
            if len(marks) == len(found):  # all fields of the column are numbers
                sure |= {mark for mark, is_sure in marks if mark and is_sure}
                ambiguous = {mark for mark, is_sure in marks if not is_sure}
                unsure |= ambiguous
                beside_unmarked |= bool(ambiguous) and ("", True) in marks
        if self._delimiter == ";":
            usual = "," if "," in sure | unsure and "." not in sure else "."
            is_ambiguous = "." in unsure or beside_unmarked
        else:
            usual = "."
            is_ambiguous = unsure == {".", ","} or (beside_unmarked and self._delimiter == "\t")
        return None if sure - {usual} or (is_ambiguous and not sure) else usual


def read_table(path: str, *, decimal: str | None = None, thousands: str | None = None) -> Table:
    """Read a table from a file, or from the standard input if the path is "-".

    Parameters
    ----------
    path : str
    decimal : {".", ","}, optional
        The decimal mark, where the numbers do not show it.
    thousands : {".", ",", " ", "'"}, optional
        The separator between groups of three digits; by default none. If it is a point, the
        decimal mark is a comma, and vice versa.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the table is empty or not text, its rows differ in length, its first row could be a
        header or data, or a given mark is also the separator of fields; the message names the line.
    ParameterError
        If a mark is not one of those allowed, or both are the same.
    OSError
        If the file cannot be read.
    """
    _check_marks(decimal, thousands)
    source = "standard input" if path == "-" else path
    try:
        # not the encoding of the locale: standard input is read like a file
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
            f"{source}, line {numbers[0]}: ',' separates fields and cannot also be a mark in "
            "numbers; expected quotes around the numbers, or ';' or tabs between fields"
        )
    # one column: a mark in its numbers separates no fields
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
    """Split lines into columns, without empty columns at the end."""
    width = lines[0].count(delimiter) + 1
    if not is_quoted and all(line.count(delimiter) == width - 1 for line in lines):
        # all lines at once: a list for each row is slower
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
            raise TableError(f"{source}: a quoted field extends over several lines")
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
    """Raise TableError if the first row could be data."""
    ambiguous = 0
    for k, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        if _are_numbers(column):
            if _is_name(name):
                return
            ambiguous = ambiguous or k
    if ambiguous:
        raise TableError(
            f"{where}, column {ambiguous}: {names[ambiguous - 1]!r} may be the column's name or a "
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
    """Whether a word is a name, and not a number with an addition, such as <0.01 or 5 %."""
    return _is_word(text) and (any(map(str.isalpha, text)) or not any(map(str.isdigit, text)))


def _mark_of(text: str) -> tuple[str, bool] | None:
    """Return a number's decimal mark ("": none), and whether it is certain; None if no number.

    It is not certain for 1.000 and 1,000, where the mark could separate thousands.
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
    """Read a number; NaN if it is missing, None if the text is not a number."""
    text = text.strip().translate(_PLAIN_MARKS)
    if text.lower() in _MISSING:
        return math.nan
    if "_" in text:
        return None  # a number only in Python
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
