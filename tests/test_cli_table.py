"""Tables: what is read from text, and errors that say where the text is wrong."""

from __future__ import annotations

import io
import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop.cli.table import Table, TableError, read_table


def table_of(
    tmp_path: Path,
    content: str | bytes,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Table:
    path = tmp_path / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(str(path), decimal=decimal, thousands=thousands)


def refused(tmp_path: Path, content: str | bytes) -> str:
    """Give the error that reading the table ends with; it names the file."""
    with pytest.raises(TableError) as caught:
        table_of(tmp_path, content)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "data.csv"))
    assert "\n" not in message
    return message.removeprefix(str(tmp_path / "data.csv"))


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


# ---- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "dose,length\n0.5,7\n1e1,-2.25\n",
        "dose;length\n0,5;7\n1e1;-2,25\n",
        "dose;length\n0.5;7\n1e1;-2.25\n",
        "dose\tlength\n0.5\t7\n1e1\t-2.25\n",
        "dose,length\n0.5,7\n1e1,-2.25",
        "dose,length\r\n0.5,7\r\n1e1,-2.25\r\n",
        "\ufeffdose,length\n0.5,7\n1e1,-2.25\n",
        "# what it is\n\ndose,length\n   \n0.5,7\n# between, the rows\n1e1,-2.25\n\n\n",
        " dose , length \n 0.5 , 7 \n 1e1 , -2.25 \n",
        '"dose","length"\n"0.5","7"\n1e1,"-2.25"\n',
    ],
    ids=[
        "comma",
        "semicolon with decimal commas",
        "semicolon with decimal points",
        "tab",
        "no newline at the end",
        "CRLF",
        "BOM",
        "comments and blank lines",
        "blanks around fields",
        "quoted",
    ],
)
def test_the_same_table_in_many_dialects(tmp_path: Path, content: str) -> None:
    table = table_of(tmp_path, content)
    assert table.names == ("dose", "length")
    assert len(table) == 2
    assert table.numbers("dose").tolist() == [0.5, 10.0]
    assert table.numbers("length").tolist() == [7.0, -2.25]
    assert table.numbers("dose").dtype == np.float64


@pytest.mark.parametrize(
    "content", ["1,2\n3,4\n5,6\n", "1;2\n3;4\n5;6\n", "# no names\n1\t2\n3\t4\n5\t6"]
)
def test_without_a_header_columns_have_numbers_for_names(tmp_path: Path, content: str) -> None:
    table = table_of(tmp_path, content)
    assert table.names == ("1", "2")
    assert table.numbers("1").tolist() == [1.0, 3.0, 5.0]
    assert table.numbers("2").tolist() == [2.0, 4.0, 6.0]


def test_a_first_row_with_missing_fields_is_no_header(tmp_path: Path) -> None:
    table = table_of(tmp_path, "1,NA\n3,4\n")
    assert table.names == ("1", "2")
    assert np.isnan(table.numbers("2")[0])


def test_one_column_is_a_table(tmp_path: Path) -> None:
    assert table_of(tmp_path, "x\n1\n2\n").numbers("x").tolist() == [1.0, 2.0]
    assert table_of(tmp_path, "1\n2\n").numbers("1").tolist() == [1.0, 2.0]


def test_a_column_by_its_number_unless_a_name_says_otherwise(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a,b,1\n10,20,30\n")
    assert table.numbers("2").tolist() == [20.0]
    assert table.numbers("3").tolist() == [30.0]
    assert table.numbers("1").tolist() == [30.0]


def test_a_header_may_have_numbers_among_its_names(tmp_path: Path) -> None:
    # a word over numbers, or no numbers under a number: the row is not like the others
    table = table_of(tmp_path, "time,well,2019,2020\n0,A,1,2\n1,B,3,4\n")
    assert table.names == ("time", "well", "2019", "2020")
    assert table.numbers("2019").tolist() == [1.0, 3.0]
    assert table_of(tmp_path, "well,7\nA,x\n").names == ("well", "7")
    assert table_of(tmp_path, ",x\n0,1\n").names == ("", "x")
    table = table_of(tmp_path, "dose;0,1;1;10\n0,5;1;2;3\n")
    assert table.names == ("dose", "0,1", "1", "10")
    assert table.numbers("10").tolist() == [3.0]
    table = table_of(tmp_path, "dose,1,2,3\n,1,2,3\n0.5,1,2,3\n")
    assert table.numbers("3").tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("content", "place", "field"),
    [
        ("A,0.1,7.9\nA,0.5,7\nB,0.1,8\n", "line 1, column 2", "0.1"),
        ("# plates\n\nA;0,1;7,9\nB;0,5;7\n", "line 3, column 2", "0,1"),
        ("country,2019,2020\nDE,1,2\n", "line 1, column 2", "2019"),
        ("1.5,A\nNA,B\n2.5,C\n", "line 1, column 1", "1.5"),
        ("A,,1\nB,2,3\n", "line 1, column 2", ""),
    ],
    ids=["no header", "comments before", "years for names", "first below missing", "missing"],
)
def test_a_first_row_like_the_others_is_refused(
    tmp_path: Path, content: str, place: str, field: str
) -> None:
    message = refused(tmp_path, content)
    assert message.startswith(f", {place}: {field!r} may be the column's name or a number in it")


@pytest.mark.parametrize("field", ["", " ", "NA", "na", "NaN", "n/a", "N/A", "null", "NULL", "."])
def test_missing_fields_are_not_a_number(tmp_path: Path, field: str) -> None:
    for mark in ",;\t":
        rows = [["x", "y"], ["1", "2"], ["3", field], [field, "5"], ["7", "8"]]
        table = table_of(tmp_path, "\n".join(mark.join(row) for row in rows))
        assert np.array_equal(table.numbers("y"), [2.0, math.nan, 5.0, 8.0], equal_nan=True)
        assert np.array_equal(table.numbers("x"), [1.0, 3.0, math.nan, 7.0], equal_nan=True)


def test_quoted_fields_may_hold_the_delimiter_and_quotes(tmp_path: Path) -> None:
    table = table_of(tmp_path, 'name,y\n"a, b",1\n"say ""no""",2\n# "\n"#3",4\n')
    assert list(table.texts("name")) == ["a, b", 'say "no"', "#3"]
    assert table.numbers("y").tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("header", "row", "names"),
    [
        ('"dose; uM","resp"', "1,2", ("dose; uM", "resp")),
        ('"dose, uM";resp', "1;2", ("dose, uM", "resp")),
        ('dose,"a\tb; c"', "1,2", ("dose", "a\tb; c")),
        (' "dose; ""uM"""\tresp', "1\t2", ('dose; "uM"', "resp")),
        ('dose 5",resp 6"', "1,2", ('dose 5"', 'resp 6"')),
    ],
)
def test_the_delimiter_is_looked_for_outside_quotes(
    tmp_path: Path, header: str, row: str, names: tuple[str, ...]
) -> None:
    table = table_of(tmp_path, f"{header}\n{row}\n{row}\n")
    assert table.names == names
    assert table.numbers("1").tolist() == [1.0, 1.0]
    assert table.numbers("2").tolist() == [2.0, 2.0]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize(
    "rows",
    [
        ["dose,resp,,", "1,2,,", "3,,,"],
        ["dose,resp", "1,2,,", "3,,,"],
        ["dose,resp,,", "1,2", "3,"],
        ["dose,resp", "1,2,", "3,,,,,"],
        ["dose,resp, , ", "1,2,, ", "3,, ,"],
        ['dose,"resp",""', "1,2,", "3,,"],
    ],
    ids=["all rows", "data", "header", "uneven", "blanks", "quotes"],
)
def test_trailing_empty_columns_are_none(tmp_path: Path, mark: str, rows: list[str]) -> None:
    table = table_of(tmp_path, "\n".join(rows).replace(",", mark) + "\n")
    assert table.names == ("dose", "resp")
    assert table.numbers("dose").tolist() == [1.0, 3.0]
    assert np.array_equal(table.numbers("resp"), [2.0, math.nan], equal_nan=True)


def test_a_column_is_empty_only_if_all_of_it_is(tmp_path: Path) -> None:
    table = table_of(tmp_path, "1,2,\n3,4,5\n")
    assert table.names == ("1", "2", "3")
    assert table_of(tmp_path, "a,b\n1,\n2,\n").names == ("a", "b")
    assert table_of(tmp_path, "a,,c,\n1,,3,\n").names == ("a", "", "c")


def test_a_wide_table_is_read_in_linear_time(tmp_path: Path) -> None:
    """Names compared with each other, or looked for one by one, would take many times this."""
    width = 20_000
    header = ",".join(f"sample {k}" for k in range(width))
    rows = [",".join(f"{row}.{k}" for k in range(width)) for row in (1, 2, 3)]
    content = "\n".join([header, *rows]) + "\n"
    start = time.perf_counter()
    table = table_of(tmp_path, content)
    numbers = [table.numbers(name)[2] for name in table.names if table.is_numeric(name)]
    seconds = time.perf_counter() - start
    assert numbers[:3] == [3.0, 3.1, 3.2]
    assert len(numbers) == width
    assert seconds < 2.0


def test_texts_are_as_written(tmp_path: Path) -> None:
    table = table_of(tmp_path, "plate,y\n01,1\nµ Ω,2\n,3\n")
    assert list(table.texts("plate")) == ["01", "µ Ω", ""]
    assert list(table.texts("1")) == ["01", "µ Ω", ""]


def test_numbers_are_the_nearest_doubles(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 123456789.123456789]
    table = table_of(tmp_path, "x\n" + "\n".join(map(repr, values)))
    assert table.numbers("x").tobytes() == np.array(values).tobytes()
    comma = table_of(tmp_path, "x;y\n" + "\n".join(f"{v!r};1".replace(".", ",") for v in values))
    assert comma.numbers("x").tobytes() == np.array(values).tobytes()


def test_is_numeric_goes_by_the_first_field_that_is_there(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a,b,c,d,e\n1,x,,NA,\n2,3,-1e3,y,NA\n")
    assert [table.is_numeric(name) for name in table.names] == [True, False, True, False, False]
    assert table.is_numeric("3")
    assert table_of(tmp_path, "a;b\n1,5;1,5,5\n").is_numeric("a")
    assert not table_of(tmp_path, "a;b\n1,5;1,5,5\n").is_numeric("b")
    with pytest.raises(TableError, match="no column 'z'"):
        table.is_numeric("z")


# ---- marks of decimals and thousands -------------------------------------------------------------

SPREADSHEET = "dose;signal\n1;0,05\n10;0,21\n100;0,98\n250;1,55\n500;2,01\n1.000;2,40\n2.000;2,61\n"
INSTRUMENT = "Dosis;Signal\n0,1;1204,5\n1;5020\n10;22340\n100;48101\n1.000;54220\n10.000;55007\n"


@pytest.mark.parametrize(
    ("content", "column", "line", "field"),
    [
        (SPREADSHEET, "dose", 7, "1.000"),
        (INSTRUMENT, "Dosis", 6, "1.000"),
        ("x;y\n0,5;1\n1,5;2\n2.5;3\n", "x", 2, "0,5"),
        ("x;y\n1.250;0,5\n2.500;1,5\n3.750;2,5\n", "x", 2, "1.250"),
        ("x;y\n0.5;1\n0.7;1,250\n", "y", 3, "1,250"),
        ("x;y\n1;2\n1.000,5;3\n", "x", 3, "1.000,5"),
        ("x;y\n1;2\n1,000.5;3\n", "x", 3, "1,000.5"),
        ("x\ty\n1\t2\n1,000.5\t3\n", "x", 3, "1,000.5"),
        ("x\ty\n1\t2\n3\t4,5\n", "y", 3, "4,5"),
        ("x\ty\n1\t0,5\n1.000\t4,5\n", "x", 3, "1.000"),
        ('x,y\n1,2\n"1,000.5",3\n', "x", 3, "1,000.5"),
        ('x,y\n1,2\n"1,000",3\n', "x", 3, "1,000"),
        ('x,y\n1,"0,5"\n1.000,"1,5"\n', "x", 3, "1.000"),
        ("x;y\n1;0,5\n1.000E+03;1,5\n", "x", 3, "1.000E+03"),
        ("x;y\n1;0,5\n1.000.000;1,5\n", "x", 3, "1.000.000"),
        ("x\ty\n1\t5\n10\t22\n1.000\t54\n", "x", 4, "1.000"),
        ("x\ty\n1.000.000\t1\n1\t1.000\n", "y", 3, "1.000"),
        ("x;y\n1;5\n10;22\n1.000;54\n", "x", 4, "1.000"),
        ("x;y\n1;5\n10;22\n1,000;54\n", "x", 4, "1,000"),
        ("x,y\n1,2\n1 000,3\n", "x", 3, "1 000"),
        ("x;y\n1;2\n1\u00a0000,5;3\n", "x", 3, "1\u00a0000,5"),
        ("x,y\n1,2\n1'000,3\n", "x", 3, "1'000"),
    ],
)
def test_a_number_that_could_be_another_is_refused(
    tmp_path: Path, content: str, column: str, line: int, field: str
) -> None:
    table = table_of(tmp_path, content)
    assert table.is_numeric(column)
    with pytest.raises(TableError) as caught:
        table.numbers(column)
    message = str(caught.value)
    place = f"{tmp_path / 'data.csv'}, line {line}, column {column!r}: {field!r} is not a number"
    assert message.startswith(place)
    assert "--decimal" in message
    assert "--thousands" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "column", "values"),
    [
        (SPREADSHEET, "signal", [0.05, 0.21, 0.98, 1.55, 2.01, 2.4, 2.61]),
        ("x;y\n12,345;1\n13,456;2\n", "x", [12.345, 13.456]),
        ("x;y\n1,5;1\n10;2\n1,000;3\n", "x", [1.5, 10.0, 1.0]),
        ("x;y\n1.000;0.5\n2.000;1.5\n", "x", [1.0, 2.0]),
        ("x,y\n1.000,5\n2.000,15\n10,3\n", "x", [1.0, 2.0, 10.0]),
        ("x\ty\n1.000\t5\n2.000\t15\n", "x", [1.0, 2.0]),
        ('x,y,cost\n0.5,1,"1,200"\n', "x", [0.5]),
        ("x;y;day\n0,5;1;01.02.2024\n1,5;2;02.02.2024\n", "x", [0.5, 1.5]),
        ("x;y;version\n0,5;1;1.2\n1,5;2;1.2.1\n", "x", [0.5, 1.5]),
        ("x;y\n1,5e3;1\n-2,5E-1;2\n,5;3\n5,;4\n", "x", [1500.0, -0.25, 0.5, 5.0]),
        ("x;y\n1;.\n2;0,5\n", "y", [math.nan, 0.5]),
        ("x;y\ninf;1\n-inf;0,5\n", "x", [math.inf, -math.inf]),
    ],
)
def test_a_number_that_can_be_no_other_is_read(
    tmp_path: Path, content: str, column: str, values: list[float]
) -> None:
    assert np.array_equal(table_of(tmp_path, content).numbers(column), values, equal_nan=True)


@pytest.mark.parametrize(
    ("content", "decimal", "thousands", "values"),
    [
        (SPREADSHEET, ",", ".", [1.0, 10.0, 100.0, 250.0, 500.0, 1000.0, 2000.0]),
        (SPREADSHEET, None, ".", [1.0, 10.0, 100.0, 250.0, 500.0, 1000.0, 2000.0]),
        (INSTRUMENT, ",", ".", [0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]),
        ("x;y\n1.000,5;1\n-12.345.678;2\n1234,5;3\n", ",", ".", [1000.5, -12345678.0, 1234.5]),
        ("x\ty\n1,000.5\t1\n+2,000\t2\n", ".", ",", [1000.5, 2000.0]),
        ('x,y\n"1,000.5",1\n"2,000",2\n3,4\n', None, ",", [1000.5, 2000.0, 3.0]),
        ("x;y\n1.000;1\n2.000;2\n", ".", None, [1.0, 2.0]),
        ("x;y\n1,000;1\n1;2\n", ",", None, [1.0, 1.0]),
        ("x\ty\n0,5\t1\n1,000\t2\n", ",", None, [0.5, 1.0]),
        ('x,y\n"0,5",1\n"1,000",2\n', ",", None, [0.5, 1.0]),
        ("x\n0,5\n1,5\n", ",", None, [0.5, 1.5]),
        ("x,y\n1 000,1\n2 000.5,2\n", None, " ", [1000.0, 2000.5]),
        ("x;y\n1\u00a0000,5;1\n2\u202f000;2\n", None, " ", [1000.5, 2000.0]),
        ("x,y\n1'000,1\n12\u2019345.5,2\n", None, "'", [1000.0, 12345.5]),
        ("x;y\n1,5e3;1\n1.000;2\n", ",", ".", [1500.0, 1000.0]),
        ("x;y\n1.000;\nNA;2\n", ",", ".", [1000.0, math.nan]),
    ],
)
def test_marks_that_are_said_are_read(
    tmp_path: Path,
    content: str,
    decimal: str | None,
    thousands: str | None,
    values: list[float],
) -> None:
    table = table_of(tmp_path, content, decimal, thousands)
    assert np.array_equal(table.numbers(table.names[0]), values, equal_nan=True)


@pytest.mark.parametrize("decimal", [None, ","])
@pytest.mark.parametrize(
    "field",
    [
        *("1.00", "1.0000", "12.34.567", "0.125", "01.000", ".500", "1..000", "1.000.", "1.000e3"),
        *("1.000.00,5", "1.000,000.5", "1,5.000", "1.5", "1234.567", "1_000", "1. 000", "1 000"),
    ],
)
def test_groups_of_thousands_have_three_digits(
    tmp_path: Path, field: str, decimal: str | None
) -> None:
    table = table_of(tmp_path, f"x;y\n1.000;0,5\n{field};1\n", decimal, ".")
    with pytest.raises(TableError) as caught:
        table.numbers("x")
    assert f"line 3, column 'x': {field!r} is not a number" in str(caught.value)


def test_a_decimal_mark_that_is_said_is_the_only_one(tmp_path: Path) -> None:
    for decimal, field in ((".", "0,5"), (",", "0.5"), (",", "1.000")):
        table = table_of(tmp_path, f"x;y\n{field};1\n", decimal)
        with pytest.raises(TableError, match="line 2, column 'x'"):
            table.numbers("x")


@pytest.mark.parametrize(
    ("decimal", "thousands", "said"),
    [
        ("x", None, "decimal: 'x'; expected '.' or ','"),
        ("", None, "decimal: ''"),
        (None, "_", "thousands: '_'; expected '.', ',', ' ' or"),
        (None, "", "thousands: ''"),
        (".", ".", "decimal and thousands: '.' both; expected two different marks"),
    ],
)
def test_marks_that_are_none_are_refused(
    tmp_path: Path, decimal: str | None, thousands: str | None, said: str
) -> None:
    with pytest.raises(cbp.ParameterError) as caught:
        table_of(tmp_path, "x;y\n1;2\n", decimal, thousands)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(("decimal", "thousands"), [(",", None), (None, ","), (".", ",")])
@pytest.mark.parametrize("content", ["1,5\n2,5\n", "x,y\n1,5\n2,5\n"])
def test_a_mark_cannot_stand_between_fields_too(
    tmp_path: Path, content: str, decimal: str | None, thousands: str | None
) -> None:
    """The numbers could be 1.5 and 2.5, or 1, 5, 2 and 5."""
    path = tmp_path / "data.csv"
    path.write_text(content)
    with pytest.raises(TableError, match="',' separates fields"):
        read_table(str(path), decimal=decimal, thousands=thousands)


# ---- standard input ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_a_table_on_the_standard_input(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    standard_input(monkeypatch, start + b"x,y\r\n1,2\r\n")
    table = read_table("-")
    assert table.names == ("x", "y")
    assert table.source == "standard input"
    assert table.numbers("x").tolist() == [1.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: no data in it"),
        (b"x,y\n1\n", "standard input, line 2: 1 fields, expected 2"),
        (b"x,y\n1,\xff\n", "standard input: not a text file in UTF-8"),
    ],
)
def test_errors_name_the_standard_input(
    monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    standard_input(monkeypatch, content)
    with pytest.raises(TableError) as caught:
        read_table("-")
    assert str(caught.value).startswith(message)


# ---- what is refused ---------------------------------------------------------------------------


def test_an_error_is_one_of_the_package_and_a_value_error() -> None:
    assert issubclass(TableError, cbp.CBackpropError)
    assert issubclass(TableError, ValueError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n3,four\n", ", line 3, column 'y': 'four' is not a number"),
        ("# a\n\n# b\nx,y\n1,2\n\n# c\n3,four\n", ", line 8, column 'y': 'four' is not a number"),
        ("\r\n# a\r\nx,y\r\n1,2\r\n3,four\r\n", ", line 5, column 'y': 'four' is not a number"),
        ("x;y\n1,5;2\n3;4,5,6\n", ", line 3, column 'y': '4,5,6' is not a number"),
        ("0,1\n1,2\n3,four\n", ", line 3, column '2': 'four' is not a number"),
        ("x,y\n1,2\n,\n3,4 mM\n", ", line 4, column 'y': '4 mM' is not a number"),
    ],
)
def test_text_among_numbers_is_named_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    table = table_of(tmp_path, content)
    with pytest.raises(TableError) as caught:
        table.numbers(table.names[1])
    assert str(caught.value) == f"{tmp_path / 'data.csv'}{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": no data in it"),
        ("\ufeff", ": no data in it"),
        ("# only\n\n# remarks\n  \n", ": no data in it"),
        ("x,y\n", ": no data under its header"),
        ("# only\nx,y\n\n# names\n", ": no data under its header"),
        (",,\n,,\n", ": no data in it"),
        ("x,y\n1,2,,3\n", ", line 2: 4 fields, expected 2"),
        ("x,y,\n1,2,\n1\n", ", line 3: 1 fields, expected 2"),
        ("x,y,x\n1,2,3\n", ": two columns are named 'x'"),
        ("x,y\n1,2\n1,2,3\n", ", line 3: 3 fields, expected 2"),
        ("# a\nx,y\n\n1,2\n# b\n1\n", ", line 6: 1 fields, expected 2"),
        ("1,2\n1,2\n\n1,2,3\n", ", line 4: 3 fields, expected 2"),
    ],
)
def test_no_table(tmp_path: Path, content: str, message: str) -> None:
    assert refused(tmp_path, content) == message


@pytest.mark.parametrize("content", [b"x,y\n1,\xff\n", b"\xff\xfex\x00,\x00", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_utf_8_is_no_table(tmp_path: Path, content: bytes) -> None:
    assert refused(tmp_path, content).startswith(": not a text file in UTF-8")


@pytest.mark.parametrize("content", ['x,y\n"1\n2",3\n', 'x,y\n1,"2\n', 'x,y\n"1"2,3\n'])
def test_quotes_that_do_not_match_are_refused(tmp_path: Path, content: str) -> None:
    assert refused(tmp_path, content)


@pytest.mark.parametrize("name", ["z", "X", "0", "3", "-1", "1.0", "", "²"])
def test_a_column_that_is_not_there_lists_those_that_are(tmp_path: Path, name: str) -> None:
    table = table_of(tmp_path, "x,the y\n1,2\n")
    for read in (table.numbers, table.texts, table.is_numeric):
        with pytest.raises(TableError) as caught:
            read(name)
        assert str(caught.value) == (
            f"{tmp_path / 'data.csv'}: no column {name!r}; there are 'x', 'the y'"
        )


def test_a_file_that_cannot_be_read_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_table(str(tmp_path / "none.csv"))
    with pytest.raises(IsADirectoryError):
        read_table(str(tmp_path))


def test_a_number_of_python_alone_is_none(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"line 3, column 'x': '1_000' is not a number"):
        table_of(tmp_path, "x,y\n1,2\n1_000,3\n").numbers("x")


def test_groups_of_digits_elsewhere_say_that_points_stand_between_thousands(
    tmp_path: Path,
) -> None:
    # 55.431.406 is 55431406, so that 1.774 beside it is hardly 1.774
    content = "count,dose,well\n55.431.406,1.774,A\n47.771.819,1.375,B\n"
    for name in ("count", "dose"):
        with pytest.raises(TableError, match=r"line 2.* in one way only; say --decimal"):
            table_of(tmp_path, content).numbers(name)
    said = table_of(tmp_path, content, thousands=".")
    assert said.numbers("count").tolist() == [55431406.0, 47771819.0]
    assert said.numbers("dose").tolist() == [1774.0, 1375.0]
    # what is no number, as a date or a version, says nothing
    dated = table_of(tmp_path, "date,dose\n10.100.200,1.774\nv1.100.200,1.375\n")
    assert dated.numbers("dose").tolist() == [1.774, 1.375]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_minus_of_typesetters_is_a_minus(tmp_path: Path, mark: str) -> None:
    rows = [["\u22125", "1"], ["3", "\u22120.25"], ["\u22121e\u22122", "4"]]
    table = table_of(tmp_path, "\n".join(mark.join(row) for row in rows))
    assert table.names == ("1", "2")
    assert table.numbers("1").tolist() == [-5.0, 3.0, -0.01]
    assert table.numbers("2").tolist() == [1.0, -0.25, 4.0]
    grouped = table_of(tmp_path, "x;y\n\u22121.234,5;2\n", ",", ".")
    assert grouped.numbers("x").tolist() == [-1234.5]


@pytest.mark.parametrize("field", ["<0.01", "> 100", "~5", "5 %", "(5)", "2026-11-28", "5*"])
def test_a_first_row_of_something_like_numbers_is_no_header(tmp_path: Path, field: str) -> None:
    message = refused(tmp_path, f"{field},0.5\n1,2\n3,4\n")
    assert message.startswith(f", line 1, column 1: {field!r} may be the column's name or a number")
    assert table_of(tmp_path, f"dose,{field}\n1,2\n").names == ("dose", field)
    assert table_of(tmp_path, f"%,{field}\n1,2\n").names == ("%", field)


def test_quotes_that_do_not_match_are_refused_with_their_line(tmp_path: Path) -> None:
    assert refused(tmp_path, '# a\nx,y\n"1",2\n\n"3" ,4\n').startswith(", line 5: ")
    assert refused(tmp_path, 'x,y\n1,"2\n').startswith(", line 2: ")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_standard_input_is_in_utf_8_as_files_are(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    content = "\ufeffdose µM,y\n1,2\n".encode()
    stream = io.TextIOWrapper(io.BytesIO(content), encoding, errors="surrogateescape")
    monkeypatch.setattr(sys, "stdin", stream)
    assert read_table("-").names == ("dose µM", "y")
    stream = io.TextIOWrapper(io.BytesIO(b"caf\xe9,y\n1,2\n"), encoding, errors="surrogateescape")
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(TableError, match="standard input: not a text file in UTF-8"):
        read_table("-")
