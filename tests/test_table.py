"""Tables: what is read from text, and errors that say where the text is wrong."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop.table import Table, TableError, read_table


def table_of(tmp_path: Path, content: str | bytes) -> Table:
    path = tmp_path / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(str(path))


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
        ("x\ty\n1\t2\n3\t4,5\n", ", line 3, column 'y': '4,5' is not a number"),
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
