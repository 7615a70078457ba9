"""The command on data: what it prints is the fit's, and a mistake costs one line."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import curves
from cbackprop.cli import main

DATA = Path(__file__).parents[1] / "examples" / "data"
RYEGRASS = str(DATA / "ryegrass.csv")
LINE = "x,y\n1,2.1\n2,3.9\n3,6.2\n4,7.8\n5,10.1\n"
LOGISTIC4 = ["--curve", "logistic4"]
LINEAR = ["--curve", "linear"]
PNG = b"\x89PNG\r\n\x1a\n"


def columns(path: str) -> list[np.ndarray]:
    return list(np.loadtxt(path, delimiter=",", skiprows=2).T)


def table(folder: Path, content: str) -> str:
    path = folder / "data.csv"
    path.write_text(content, encoding="utf-8")
    return str(path)


def printed_by(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run the command, which has nothing to complain of."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def facts_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    out = printed_by(capsys, "fit", *arguments, "--json", code=code)
    facts: dict[str, Any] = json.loads(out, parse_constant=refuse)
    return facts


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which ends with 2 and one line."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cbackprop: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("cbackprop: error: ").removesuffix("\n")


def grouped_by(
    capsys: pytest.CaptureFixture[str], said: str, *arguments: str, code: int = 0
) -> list[list[str]]:
    """Run a fit of groups, which says on standard error what it takes of the table."""
    assert main(["fit", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == f"cbackprop: {said}\n"
    return rows_of(out)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- fit ---------------------------------------------------------------------------------------


def test_fit_prints_the_summary_of_the_curve(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4)
    fitted = curves.logistic4.fit(*columns(RYEGRASS))
    assert out == f"x = dose, y = length; 24 rows\n{fitted}\n"
    for number in ("0.481409", "7.7929", "3.05795", "-2.98222", "0.519626 on 20", "converged"):
        assert number in out


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("ryegrass", "logistic4"),
        ("dnase", "logistic4"),
        ("puromycin", "michaelis_menten"),
        ("rat43", "richards"),
    ],
)
def test_json_has_every_digit(capsys: pytest.CaptureFixture[str], name: str, curve: str) -> None:
    path = str(DATA / f"{name}.csv")
    expected = curves.CURVES[curve].fit(*columns(path))
    facts = facts_of(capsys, path, "--curve", curve)
    assert facts["curve"] == curve
    assert facts["params"] == expected.params
    assert facts["stderr"] == expected.stderr
    for key in ("rss", "residual_sd", "df", "r2", "aic", "bic", "converged", "status", "message"):
        assert facts[key] == getattr(expected, key), key
    assert cbp.Chain.from_dict(facts["chain"]) == expected.chain


@pytest.mark.parametrize("interval", [None, "log", "wald"])
def test_intervals_of_positive_parameters_are_on_the_log_scale_by_default(
    capsys: pytest.CaptureFixture[str], interval: str | None
) -> None:
    arguments = [RYEGRASS, *LOGISTIC4, *(["--interval", interval] if interval else [])]
    facts = facts_of(capsys, *arguments)
    ec50, error = facts["params"]["ec50"], facts["stderr"]["ec50"]
    reach = 2.085963447265837 * error  # of Student's t with 20 degrees of freedom
    wald = [ec50 - reach, ec50 + reach]
    log = [ec50 * math.exp(-reach / ec50), ec50 * math.exp(reach / ec50)]
    ends = wald if interval == "wald" else log
    assert facts["interval"]["ec50"] == pytest.approx(ends, rel=1e-12)
    top, error = facts["params"]["top"], facts["stderr"]["top"]
    reach = 2.085963447265837 * error
    assert facts["interval"]["top"] == pytest.approx([top - reach, top + reach], rel=1e-12)
    line = next(
        line
        for line in printed_by(capsys, "fit", *arguments).splitlines()
        if line.startswith("ec50")
    )
    assert line.split()[3:] == [f"{end:.7g}" for end in ends]


@pytest.mark.parametrize("grouped", [False, True], ids=["one", "groups"])
def test_logarithms_of_doses_of_0_are_controls(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, grouped: bool
) -> None:
    x, y = [-math.inf, -math.inf, -1, 0, 0.5, 1, 2], [1.0, 1.2, 1.1, 2, 2.6, 3, 3.1]
    rows = "".join(f"a,{a},{b}\n" for a, b in zip(x, y, strict=True))
    path = table(tmp_path, f"plate,logdose,signal\n{rows}")
    options = ["--curve", "logistic4_log10", "--x", "logdose", "--y", "signal"]
    if grouped:
        options += ["--group", "plate"]
    facts = facts_of(capsys, path, *options)
    expected = curves.logistic4_log10.fit(x, y)
    assert facts["params"] == pytest.approx(expected.params, rel=1e-9)
    assert facts["rows"] == 7


def test_json_has_null_for_what_is_infinite(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, "x,y\n1,2\n2,2\n3,2\n4,2\n5,2\n")
    facts = facts_of(capsys, path, *LOGISTIC4)
    assert facts["status"] == "not_identified"
    assert facts["stderr"]["ec50"] is None
    assert facts["stderr"]["slope"] is None
    assert facts["interval"]["ec50"] == [0.0, None]
    assert facts["interval"]["slope"] == [None, None]
    assert facts["r2"] is None


def test_without_degrees_of_freedom_no_standard_error_is_known(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    facts = facts_of(capsys, table(tmp_path, "x,y\n1,1.5\n2,2.7\n"), *LINEAR)
    assert (facts["df"], facts["residual_sd"]) == (0, None)
    assert facts["stderr"] == {"slope": None, "intercept": None}


# curves that become constant only at a limit
RUN_OFF = {
    0.0: ("arrhenius",),
    2.0: (
        "saturation",
        "michaelis_menten",
        "hill",
        "richards",
        "gaussian_peak",
        "langmuir",
        "freundlich",
    ),
}


@pytest.mark.parametrize("name", [name for name in curves.CURVES if name != "platt"])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_constant_outputs_say_what_they_do_not_identify(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, value: float
) -> None:
    path = table(tmp_path, "x,y\n" + "".join(f"{x},{value}\n" for x in range(1, 9)))
    runs_off = name in RUN_OFF[value]  # a parameter, to 0 or to infinity
    assert main(["fit", path, "--curve", name]) == int(runs_off)
    out, err = capsys.readouterr()
    assert err == ""
    assert ("no minimum" if runs_off else "converged") in out
    # constant with some parameters, or (the peak) ever more nearly so with growing width
    if name not in (
        "linear",
        "exponential",
        "exponential_growth",
        "power",
        "arrhenius",
        "gaussian_peak",
    ):
        assert "; not identified by the data: " in out


def test_a_table_on_the_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(RYEGRASS).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    out = printed_by(capsys, "fit", "-", *LOGISTIC4)
    assert out == printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4)


@pytest.mark.parametrize(
    "content",
    [
        LINE.partition("\n")[2],
        LINE.replace(",", ";").replace(".", ","),
        LINE.replace(",", "\t").replace("\n", "\r\n"),
        "# why\n\n" + LINE,
    ],
    ids=["no header", "decimal commas", "tabs", "comment"],
)
def test_the_same_numbers_in_any_dialect(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    expected = printed_by(capsys, "fit", table(tmp_path, LINE), *LINEAR)
    names = "x = x, y = y" if "x" in content else "x = 1, y = 2"
    out = printed_by(capsys, "fit", table(tmp_path, content), *LINEAR)
    assert out == f"{names}; 5 rows\n{expected.partition(chr(10))[2]}"


MARKED = "dose;signal\n1;0,05\n10;0,21\n100;0,98\n250;1,55\n500;2,01\n1.000;2,40\n2.000;2,61\n"
PLAIN = MARKED.replace(".", "").replace(",", ".")


def test_a_number_that_could_be_another_is_refused_until_its_marks_are_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    expected = facts_of(capsys, table(tmp_path, PLAIN), *LOGISTIC4)
    path = table(tmp_path, MARKED)
    message = error_of(capsys, "fit", path, *LOGISTIC4)
    assert "line 7, column 'dose': '1.000' is not a number" in message
    assert "--decimal" in message
    assert "--thousands" in message
    for said in (["--thousands", "."], ["--decimal", ",", "--thousands", "."]):
        facts = facts_of(capsys, path, *LOGISTIC4, *said)
        assert facts == expected
    assert facts["params"]["ec50"] == pytest.approx(231.9, abs=0.05)
    message = error_of(capsys, "fit", path, *LOGISTIC4, "--decimal", ",")
    assert "'1.000' is not a number with the decimal mark ','" in message
    assert "--decimal" in error_of(capsys, "fit", path, *LOGISTIC4, "--decimal", "x")
    assert "--thousands" in error_of(capsys, "fit", path, *LOGISTIC4, "--thousands", "")
    assert "different" in error_of(
        capsys, "fit", path, *LOGISTIC4, "--thousands", ",", "--decimal", ","
    )


def test_every_verb_that_reads_a_table_is_told_its_marks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, model = table(tmp_path, "x;who\n1.000;a\n2.500,5;b\n"), model_of(tmp_path)
    for verb, values in (("predict", [2000.25, 5001.25]), ("invert", [499.875, 1250.125])):
        assert "--thousands" in error_of(capsys, verb, model, "--data", path)
        _, *rows = rows_of(
            printed_by(capsys, verb, model, "--data", path, "--decimal", ",", "--thousands", ".")
        )
        assert [float(row[1]) for row in rows] == values
    pytest.importorskip("matplotlib")
    path = table(tmp_path, MARKED)
    picture = str(tmp_path / "picture.png")
    assert "--thousands" in error_of(capsys, "plot", model, path, "--out", picture)
    printed_by(capsys, "plot", model, path, "--out", picture, "--thousands", ".")


def test_columns_are_found_or_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    x, y = np.arange(1.0, 6.0), np.array([2.1, 3.9, 6.2, 7.8, 10.1])
    rows = zip("abcde", y, x, x**2, strict=True)
    path = table(tmp_path, "who,y,x,z\n" + "".join(f"{w},{b},{a},{c}\n" for w, b, a, c in rows))
    expected = curves.linear.fit(x, y)
    for chosen in (["--x", "x", "--y", "y"], ["--y", "2", "--x", "3"]):
        assert facts_of(capsys, path, *LINEAR, *chosen)["params"] == expected.params
    path = table(tmp_path, "who,y,x\n" + "".join(f"a,{b},{a}\n" for a, b in zip(x, y, strict=True)))
    for chosen in (["--x", "x"], ["--y", "y"], ["--x", "3"], ["--y", "2"]):
        assert facts_of(capsys, path, *LINEAR, *chosen)["params"] == expected.params


def test_doses_of_0_count(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    x, y = columns(RYEGRASS)
    assert np.count_nonzero(x == 0) == 6
    with_0 = facts_of(capsys, RYEGRASS, *LOGISTIC4)
    assert with_0["df"] == len(x) - 4
    rows = zip(x[x > 0], y[x > 0], strict=True)
    path = table(
        tmp_path, "dose,length\n" + "".join(f"{float(a)!r},{float(b)!r}\n" for a, b in rows)
    )
    assert facts_of(capsys, path, *LOGISTIC4)["df"] == len(x) - 10
    assert facts_of(capsys, path, *LOGISTIC4)["params"] != with_0["params"]


def test_what_is_fixed_is_as_given(capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(capsys, RYEGRASS, *LOGISTIC4, "--fixed", "bottom=0", "--fixed", "slope = -3")
    expected = curves.logistic4.fit(*columns(RYEGRASS), fixed={"bottom": 0.0, "slope": -3.0})
    assert facts["params"] == expected.params
    assert (facts["params"]["bottom"], facts["stderr"]["bottom"]) == (0.0, 0.0)
    assert facts["df"] == 22


def test_weights_loss_and_covariance_are_those_of_the_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    x, y = columns(str(DATA / "dnase.csv"))
    weight = 1.0 / np.maximum(y, 0.05)
    rows = zip(x, y, weight, strict=True)
    path = table(
        tmp_path,
        "conc,od,w\n" + "".join(f"{float(a)!r},{float(b)!r},{float(c)!r}\n" for a, b, c in rows),
    )
    given: list[tuple[list[str], dict[str, Any]]] = [
        (["--weight", "w"], {"sample_weight": weight}),
        (["--weight", "3"], {"sample_weight": weight}),
        (["--y", "od", "--x", "conc", "--loss", "huber"], {"loss": "huber"}),
        (["--y", "od", "--x", "conc", "--loss", "poisson"], {"loss": "poisson"}),
        (
            ["--y", "od", "--x", "conc", "--loss", "huber", "--loss-scale", "0.02"],
            {"loss": "huber", "loss_scale": 0.02},
        ),
        (["--y", "od", "--x", "conc", "--covariance", "hessian"], {"covariance": "hessian"}),
    ]
    plain = curves.logistic4.fit(x, y)
    for arguments, options in given:
        expected = curves.logistic4.fit(x, y, **options)
        facts = facts_of(capsys, path, *LOGISTIC4, *arguments)
        assert facts["params"] == expected.params
        assert facts["stderr"] == expected.stderr
    assert facts["stderr"] != plain.stderr


def test_a_chain_from_its_start_with_some_parameters_free(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(DATA / "rat43.csv")
    x, y = columns(path)
    arguments = ["--activations", "sigmoid,identity", "--start", "-0.5,1,600,50"]
    for free, frozen in (
        ([], ()),
        (["--free", "w1, b1,w2"], ("b2",)),
    ):
        start = cbp.Chain([-0.5, 600.0], [1.0, 50.0], ["sigmoid", "identity"], frozen)
        expected = cbp.fit(start, x, y)
        facts = facts_of(capsys, path, *arguments, *free)
        names = [name for name in expected.chain.param_names if name not in frozen]
        assert list(facts["params"]) == names
        assert cbp.Chain.from_dict(facts["chain"]) == expected.chain
        assert facts["rss"] == expected.rss
        assert "curve" not in facts
        out = printed_by(capsys, "fit", path, *arguments, *free)
        assert out.partition("\n")[2] == f"{expected}\n"


def test_a_chain_starts_from_weights_1_and_biases_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    facts = facts_of(capsys, table(tmp_path, LINE), "--activations", "identity")
    expected = curves.linear.fit([1, 2, 3, 4, 5], [2.1, 3.9, 6.2, 7.8, 10.1])
    assert facts["params"]["w1"] == pytest.approx(expected.params["slope"], rel=1e-12)
    assert facts["params"]["b1"] == pytest.approx(expected.params["intercept"], rel=1e-10)


def test_a_fit_that_does_not_converge_ends_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, "x,y\n1,2\n2,3\n3,4\n4,5\n")  # top and ec50 grow for ever
    assert "no minimum" in printed_by(capsys, "fit", path, *LOGISTIC4, code=1)
    facts = facts_of(capsys, path, *LOGISTIC4, code=1)
    assert facts["converged"] is False


@pytest.mark.parametrize("chosen", [LINEAR, ["--activations", "identity"]], ids=["curve", "chain"])
@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        ("x,y,w\n1,2,1\n2,,1\n,5,1\n3,6.5,1\n4,8,2\n", 2),
        ("x,y,w\n1,2,1\n2,4,\n3,6.5,1\n4,8,2\n5,NA,NA\n", 2),
    ],
    ids=["inputs and outputs", "weights"],
)
def test_incomplete_rows_are_counted_on_standard_error(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: str,
    left_out: int,
    chosen: list[str],
) -> None:
    path = table(tmp_path, content)
    assert main(["fit", path, *chosen, "--weight", "w", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["df"] == 1
    assert err == f"cbackprop: {left_out} incomplete rows are left out\n"


@pytest.mark.parametrize("json_too", [False, True])
def test_columns_and_rows_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, json_too: bool
) -> None:
    path = table(tmp_path, "dose,w,effect\n1,1,2\n2,1,4\n3,2,6.5\n4,NA,8\n5,1,\n6,1,12\n")
    arguments = [path, *LINEAR, "--weight", "2", "--y", "3", *(["--json"] if json_too else [])]
    assert main(["fit", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == "cbackprop: 2 incomplete rows are left out\n"
    if json_too:
        facts = json.loads(out)
        assert facts["columns"] == {"x": "dose", "y": "effect", "weight": "w"}
        assert (facts["rows"], facts["left_out"]) == (4, 2)
    else:
        assert out.startswith("x = dose, y = effect, weight = w; 4 rows\nlinear: ")


def test_a_name_cannot_write_to_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, "do\x1b[31mse,effect\n1,2\n2,4\n3,6.5\n")
    out = printed_by(capsys, "fit", path, *LINEAR)
    assert out.startswith("x = do\\x1b[31mse, y = effect; 3 rows\n")


def test_the_guide_shows_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    guide = (root / "docs" / "guides" / "files.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n\$ cbackprop (.*)\n((?:.*\n)*?)…\n```", guide)
    assert len(blocks) == 1
    for words, shown in blocks:
        assert printed_by(capsys, *words.split()).startswith(shown)


# ---- groups ------------------------------------------------------------------------------------

GROUPS = (
    "run,conc,density\n"
    + "".join(f"A,{x},{2 * x + 1 + 0.1 * (x % 2)}\n" for x in range(1, 7))
    + "small,1,1\n"
    + "".join(f"B,{x},{5 - 0.5 * x + 0.1 * (x % 2)}\n" for x in range(1, 7))
)


def test_each_group_is_fitted_by_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = table(tmp_path, GROUPS)
    said = "x = conc, y = density, group = run; 13 rows, 3 groups"
    rows = grouped_by(capsys, said, path, *LINEAR, "--group", "run", code=1)
    header, first, small, second = rows
    assert header == [
        "run",
        "slope",
        "intercept",
        "slope_stderr",
        "intercept_stderr",
        "rss",
        "residual_sd",
        "status",
    ]
    x = np.arange(1.0, 7.0)
    for row, name, y in (
        (first, "A", np.array([2 * x + 1 + 0.1 * (x % 2) for x in range(1, 7)])),
        (second, "B", np.array([5 - 0.5 * x + 0.1 * (x % 2) for x in range(1, 7)])),
    ):
        expected = curves.linear.fit(x, y)
        assert row[0] == name
        values = [*expected.params.values(), *expected.stderr.values()]
        values += [expected.rss, expected.residual_sd]
        # side by side sums are added in another order
        assert [float(text) for text in row[1:7]] == pytest.approx(values, rel=1e-12)
        assert row[7] == "converged"
    assert small[:7] == ["small", *[""] * 6]
    assert small[7] == "failed: x: 1 point is fewer than 2 parameters to fit"


def test_groups_that_are_all_fitted_end_with_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, GROUPS.replace("small,1,1\n", ""))
    said = "x = conc, y = density, group = run; 12 rows, 2 groups"
    assert len(grouped_by(capsys, said, path, *LINEAR, "--group", "run")) == 3
    chain = ["--activations", "identity", "--free", "w1"]
    header, first, _ = grouped_by(capsys, said, path, *chain, "--group", "1")
    assert header[1:] == ["w1", "w1_stderr", "rss", "residual_sd", "status"]
    x = np.arange(1.0, 7.0)
    slope = float(x @ (2 * x + 1 + 0.1 * (x % 2)) / (x @ x))
    assert float(first[1]) == pytest.approx(slope, rel=1e-12)


def test_blanks_around_a_field_do_not_make_another_group(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    content = "x, y, run\n1, 2, A\n2, 4, A \n3, 7,A\n4, 9,  A\n"
    said = "x = x, y = y, group = run; 4 rows, 1 group"
    rows = grouped_by(capsys, said, table(tmp_path, content), *LINEAR, "--group", "run")
    assert rows[1][0] == "A"
    slope, intercept = np.polyfit([1, 2, 3, 4], [2, 4, 7, 9], 1)
    assert [float(text) for text in rows[1][1:3]] == pytest.approx([slope, intercept], rel=1e-12)


def test_groups_with_weights_and_numbers_for_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    x = np.arange(1.0, 7.0)
    y, weight = np.sqrt(x), 1.0 / x
    rows = [
        f"{run},{float(a)!r},{float(b)!r},{float(c)!r}\n"
        for a, b, c in zip(x, y, weight, strict=True)
        for run in "12"
    ]
    path = table(tmp_path, "run,x,y,w\n" + "".join(rows))
    arguments = ["--group", "run", "--weight", "w"]
    said = "x = x, y = y, weight = w, group = run; 12 rows, 2 groups"
    _, first, second = grouped_by(capsys, said, path, *LINEAR, *arguments)
    expected = curves.linear.fit(x, y, sample_weight=weight)
    assert (first[0], second[0]) == ("1", "2")
    assert first[1:] == second[1:]
    values = list(expected.params.values())
    assert [float(text) for text in first[1:3]] == pytest.approx(values, rel=1e-12)


def test_groups_as_json_are_a_line_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As each alone, with null for what is not known: of two points, of a constant, of one."""
    points = {
        "A": [(x, 2 * x + 1 + 0.1 * (x % 2)) for x in range(1, 7)],
        "two": [(1, 2.0), (2, 5.0)],
        "same x": [(1, 2.0), (1, 3.0), (1, 4.5)],
        "one": [(1, 2.0)],
        "none": [],
    }
    rows = [f"{run},{x},{y}" for run, pairs in points.items() for x, y in pairs]
    path = table(tmp_path, "\n".join(["run,x,y", *rows, "A,7,NA", "none,1,NA"]) + "\n")
    assert main(["fit", path, *LINEAR, "--group", "run", "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == "cbackprop: 2 incomplete rows are left out\n"
    assert "NaN" not in out
    assert "Infinity" not in out
    listed = [json.loads(line) for line in out.splitlines()]
    assert [facts["group"] for facts in listed] == list(points)
    for facts, pairs in zip(listed, points.values(), strict=True):
        assert facts["columns"] == {"x": "x", "y": "y", "group": "run"}
        assert (facts["rows"], facts["left_out"]) == (
            len(pairs),
            int(facts["group"] in ("A", "none")),
        )
        if len(pairs) < 2:
            assert facts["params"] == facts["stderr"] == {"slope": None, "intercept": None}
            assert facts["rss"] is facts["residual_sd"] is facts["df"] is None
            assert (facts["converged"], facts["status"]) == (False, "failed")
            points_are = "1 point is" if pairs else "0 points are"
            assert facts["message"] == f"x: {points_are} fewer than 2 parameters to fit"
            continue
        expected = curves.linear.fit(*zip(*pairs, strict=True))
        for key in ("converged", "status", "message", "df"):
            assert facts[key] == getattr(expected, key), key
        numbers = [
            *expected.params.values(),
            *expected.stderr.values(),
            expected.rss,
            expected.residual_sd,
        ]
        found = [*facts["params"].values(), *facts["stderr"].values()]
        found += [facts["rss"], facts["residual_sd"]]
        for value, number in zip(found, numbers, strict=True):
            if math.isfinite(number):
                assert value == pytest.approx(number, rel=1e-9, abs=1e-20)
            else:
                assert value is None


def test_groups_say_as_each_alone_what_is_at_a_bound_or_lost(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A message has more words than a status; groups side by side have them too."""
    x = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    outputs = {
        "usual": 1 + 4 / (1 + (2 / x) ** 1.5) + 0.05 * np.cos(7 * x),
        "constant": np.full(6, 2.0),
        "falling": 5 - 0.3 * np.sqrt(x),
        "step": np.where(x > 1, 4.0, 1.0),
    }
    rows = [
        f"{run},{float(a)!r},{float(b)!r}"
        for run, y in outputs.items()
        for a, b in zip(x, y, strict=True)
    ]
    path = table(tmp_path, "\n".join(["run,x,y", *rows]) + "\n")
    for fixed in ([], ["--fixed", "bottom=1"]):
        arguments = ["fit", path, *LOGISTIC4, "--group", "run", "--json", *fixed]
        main(arguments)
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for facts, y in zip(listed, outputs.values(), strict=True):
            given = {"bottom": 1.0} if fixed else None
            expected = curves.logistic4.fit(x, y, fixed=given)
            assert facts["message"] == expected.message
            assert facts["status"] == expected.status
            assert facts["df"] == expected.df


UNEQUAL = """
import sys
from cbackprop.cli import main
code = main(["fit", sys.argv[1], "--curve", "linear", "--group", "run"])
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(peak, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_groups_of_very_unequal_sizes_take_the_memory_of_their_table(tmp_path: Path) -> None:
    """5000 groups of 4 rows around one of 100 000, in the order of their first rows."""
    rng = np.random.default_rng(0)
    counts = np.full(5001, 4)
    counts[2500] = 100_000
    x, noise = rng.random(counts.sum()).round(4), rng.normal(size=counts.sum()).round(3)
    y = (2 * x + 1 + noise).round(3)
    groups = np.repeat(np.arange(5001), counts)
    lines = [
        f"g{group},{a},{b}\n"
        for group, a, b in zip(groups.tolist(), x.tolist(), y.tolist(), strict=True)
    ]
    path = table(tmp_path, "run,x,y\n" + "".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", UNEQUAL, path], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said, peak = done.stderr.splitlines()
    assert said == "cbackprop: x = x, y = y, group = run; 120000 rows, 5001 groups"
    assert int(peak) < 300_000  # kB
    _, *rows = rows_of(done.stdout)
    assert [row[0] for row in rows] == [f"g{group}" for group in range(5001)]
    for group in (0, 1, 2499, 2500, 2501, 5000):
        expected = curves.linear.fit(x[groups == group], y[groups == group])
        values = [*expected.params.values(), *expected.stderr.values()]
        values += [expected.rss, expected.residual_sd]
        assert [float(text) for text in rows[group][1:7]] == pytest.approx(values, rel=1e-9)
        assert rows[group][7] == expected.status


def test_groups_are_sorted_out_by_name_and_not_by_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Groups of 2 to 40 rows, whose rows are mixed; each row of the output is its group's."""
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.repeat(np.arange(39), np.arange(2, 41)))
    x = rng.permutation(groups.size) / 8
    y, weight = np.sin(x) + groups, rng.random(groups.size)
    y[rng.random(groups.size) < 0.02] = np.nan
    rows = zip(groups.tolist(), x.tolist(), y.tolist(), weight.tolist(), strict=True)
    text = "".join(f"g{g},{a!r},{b!r},{c!r}\n" for g, a, b, c in rows)
    path = table(tmp_path, "run,x,y,w\n" + text)
    for weights in ([], ["--weight", "w"]):
        main(["fit", path, *LINEAR, "--x", "x", "--y", "y", "--group", "run", *weights])
        _, *found = rows_of(capsys.readouterr().out)
        assert [row[0] for row in found] == [f"g{g}" for g in dict.fromkeys(groups.tolist())]
        for row in found:
            mine = groups == int(row[0][1:])
            mine &= np.isfinite(y)
            if np.count_nonzero(mine) < 2:
                assert row[-1] == "failed: x: 1 point is fewer than 2 parameters to fit"
                continue
            given = weight[mine] if weights else None
            expected = curves.linear.fit(x[mine], y[mine], sample_weight=given)
            values = [*expected.params.values(), *expected.stderr.values()]
            assert [float(text) for text in row[1:5]] == pytest.approx(
                values, rel=1e-9, nan_ok=True
            )


def test_incomplete_rows_of_groups_are_counted_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, GROUPS.replace("small,1,1\n", "A,7,NA\nB,,3\n"))
    assert main(["fit", path, *LINEAR, "--group", "run"]) == 0
    assert "2 incomplete rows are left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fixed", "slope=steep"], "--fixed: 'slope=steep'"),
        (["--fixed", "slop=1"], "'slop'"),
        (["--loss", "squred"], "'squred'"),
        (["--loss", "huber", "--loss-scale", "-1"], "scale"),
    ],
)
def test_a_wrong_argument_is_one_error_and_not_one_for_each_group(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    path = table(tmp_path, GROUPS)
    assert message in error_of(capsys, "fit", path, *LINEAR, "--group", "run", *arguments)


# ---- files -------------------------------------------------------------------------------------


def test_a_model_predicts_and_inverts_as_its_chain(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = str(tmp_path / "model.json")
    out = printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4, "--out", model)
    assert out == printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4)
    assert names_in(tmp_path) == ["model.json"]
    fitted = curves.logistic4.fit(*columns(RYEGRASS))
    assert cbp.load(model) == fitted.chain
    header, *rows = rows_of(printed_by(capsys, "predict", model, "0", "0.5", "3", "1e3"))
    assert header == ["x", "prediction"]
    inputs = np.array([0.0, 0.5, 3.0, 1e3])
    assert [float(row[0]) for row in rows] == inputs.tolist()
    assert [float(row[1]) for row in rows] == np.asarray(fitted.chain.forward(inputs)).tolist()
    header, *rows = rows_of(printed_by(capsys, "invert", model, "1", "4", "7.5", "9"))
    assert header[1] == "inverse"
    outputs = np.array([1.0, 4.0, 7.5, 9.0])
    assert [float(row[0]) for row in rows] == outputs.tolist()
    found = [float(row[1]) for row in rows]
    assert np.array_equal(found, np.asarray(fitted.chain.inverse(outputs)), equal_nan=True)
    assert math.isnan(found[3])


@pytest.mark.parametrize("verb", ["predict", "invert"])
def test_a_table_of_inputs_or_outputs(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    model = str(tmp_path / "model.json")
    net = cbp.Chain([1.5, -0.8], [0.1, 0.3])
    net.save(model)
    values = np.array([0.35, 0.4, math.nan, 0.45])
    expected = np.asarray(net.forward(values) if verb == "predict" else net.inverse(values))
    content = "well,value,other\na1,0.35,1\na2,0.4,2\na3,NA,3\na4,0.45,4\n"
    path = table(tmp_path, content)
    for column in ("value", "2"):
        out = printed_by(capsys, verb, model, "--data", path, "--column", column)
        header, *rows = rows_of(out)
        assert header == [column, "prediction" if verb == "predict" else "inverse"]
        found = np.array([[float(text) for text in row] for row in rows])
        assert np.array_equal(found, np.column_stack([values, expected]), equal_nan=True)
    only = "\n".join(line.rpartition(",")[0] for line in content.splitlines())
    stream = io.TextIOWrapper(io.BytesIO(only.encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    header, *rows = rows_of(printed_by(capsys, verb, model, "--data", "-"))
    assert header[0] == "value"
    assert [row[1] for row in rows] == [repr(value) for value in expected.tolist()]


@pytest.mark.parametrize("values", [["-1"], ["-1", "-2.5"], ["-1e-3"], ["-.5", "2"], ["--", "-1"]])
def test_negative_numbers_are_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, values: list[str]
) -> None:
    model = str(tmp_path / "model.json")
    cbp.Chain([2.0], [0.5], "identity").save(model)
    _, *rows = rows_of(printed_by(capsys, "predict", model, *values))
    inputs = [float(value) for value in values if value != "--"]
    assert [[float(text) for text in row] for row in rows] == [[x, 2 * x + 0.5] for x in inputs]


@pytest.mark.parametrize("verb", ["predict", "invert"])
@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("x\n1\n", [], "expected numbers, or --data"),
        ("x\n1\n", ["1", "--data", "DATA"], "expected numbers, or --data"),
        ("x\n1\n", ["one"], "'one'"),
        ("x\n1\n", ["1_000"], "'1_000' is not a number"),
        ("x\n1\n", ["1", "nan"], "'nan' is not a number"),
        ("x\n1\n", [""], "'' is not a number"),
        ("x\n1\n", ["1", "--column", "x"], "--column: only for --data, not for numbers"),
        ("x\n1\n", ["--column", "x"], "expected numbers, or --data"),
        ("x\n1\n", ["--data", "DATA", "--column", ""], "--column: '', expected one COLUMN"),
        ("x\n1\n", ["--data", ""], "--data: '', expected one DATA"),
        ("x\n1\n", ["--data", "DATA", "--data", "DATA"], "--data: given twice"),
        ("x\n1\n", ["--data", "DATA", "--column", "x", "--column", "x"], "given twice"),
        ("a,b\n1,2\n", ["--data", "DATA"], "--column could be any of 'a', 'b'"),
        ("a,b\n1,2\n", ["--data", "DATA", "--column", "c"], "no column 'c'; there are 'a', 'b'"),
        ("a\n1\ntwo\n", ["--data", "DATA", "--column", "a"], "line 3, column 'a': 'two'"),
        (
            "a\nx\n",
            ["--data", "DATA"],
            "--column: expected 1 column of numbers, found none; 'a' begins with 'x' in line 2",
        ),
        ("", ["--data", "DATA"], "no data in it"),
    ],
)
def test_predict_and_invert_say_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    verb: str,
    content: str,
    arguments: list[str],
    message: str,
) -> None:
    model = str(tmp_path / "model.json")
    cbp.Chain([2.0], [0.5], "identity").save(model)
    path = table(tmp_path, content)
    given = [path if argument == "DATA" else argument for argument in arguments]
    assert message in error_of(capsys, verb, model, *given)


def test_files_may_have_names_like_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-1.csv", "-infusion", "-.5x", "-nano.csv", "-5"):
        Path(name).write_text(LINE)
        assert "5 rows" in printed_by(capsys, "fit", name, *LINEAR)
        assert "5 rows" in printed_by(capsys, "fit", *LINEAR, "--out", f"{name}.json", "--", name)
        for arguments in (["--", f"{name}.json", "-1"], [f"{name}.json", "-1"]):
            assert rows_of(printed_by(capsys, "predict", *arguments))[1][0] == "-1.0"


def test_a_model_that_is_none_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    assert error_of(capsys, "predict", missing, "1") == f"{missing}: No such file or directory"
    path = table(tmp_path, LINE)
    assert error_of(capsys, "invert", path, "1").startswith(f"{path}: not JSON")


def test_no_inverse_of_a_chain_that_is_not_one_to_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = str(tmp_path / "model.json")
    cbp.Chain([1.0], [0.0], "gaussian").save(model)
    assert error_of(capsys, "invert", model, "0.5")


def plotted(folder: Path, name: str) -> list[str]:
    return ["fit", RYEGRASS, *LOGISTIC4, "--plot", str(folder / name)]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("fit.png", PNG),
        ("fit.PNG", PNG),
        ("fit", PNG),
        ("fit.pdf", b"%PDF-"),
        ("fit.svg", b"<?xml"),
    ],
)
def test_a_picture_is_what_its_name_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, start: bytes
) -> None:
    pytest.importorskip("matplotlib")
    printed_by(capsys, *plotted(tmp_path, name))
    assert names_in(tmp_path) == [name]
    assert (tmp_path / name).read_bytes().startswith(start)


NAMES = [r"$\frac$", "$x$", "a_b^c", "price ($)", r"\alpha_{", "$$", "50% & #"]


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_columns_are_drawn_as_they_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    pytest.importorskip("matplotlib")
    model, picture = model_of(tmp_path), str(tmp_path / "picture.svg")
    path = table(tmp_path, LINE.replace("x,y", f'"{name}","{name} of y"'))
    for arguments in (
        ["fit", path, *LINEAR, "--plot", picture],
        ["plot", model, path, "--out", picture],
    ):
        main(arguments)
        assert capsys.readouterr().err == ""
        content = Path(picture).read_text(encoding="utf-8")
        drawn = [html.unescape(text) for text in re.findall("<!-- (.*?) -->", content)]
        assert name in drawn
        assert f"{name} of y" in drawn
        assert "Oblique" not in content  # the letters of formulas


@pytest.mark.parametrize("name", ["fit.xyz", "fit.csv", "fit.pgf"])
def test_a_picture_that_cannot_be_drawn_leaves_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PATH", "")  # without TeX, which .pgf needs
    assert "--plot" in error_of(capsys, *plotted(tmp_path, name))
    assert names_in(tmp_path) == []
    (tmp_path / name).write_text("older")
    error_of(capsys, *plotted(tmp_path, name))
    assert (tmp_path / name).read_text() == "older"


def test_no_picture_of_a_chain(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, picture = table(tmp_path, LINE), str(tmp_path / "fit.png")
    arguments = ["--activations", "identity", "--plot", picture]
    message = "--plot: only for --curve, not for --activations"
    assert error_of(capsys, "fit", path, *arguments) == message
    assert names_in(tmp_path) == ["data.csv"]


def test_without_matplotlib_a_picture_costs_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from cbackprop.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *plotted(tmp_path, "fit.png")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "cbackprop: error: cbackprop.plot needs matplotlib: pip install 'cbackprop[plot]'\n"
    )
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_file_that_cannot_be_written_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    if option == "--plot":
        pytest.importorskip("matplotlib")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "no" / "such.png", tmp_path / "folder.png"):
        message = error_of(capsys, "fit", RYEGRASS, *LOGISTIC4, option, str(path))
        assert message.startswith(f"{path}: ")
        assert names_in(tmp_path) == ["folder.png"]
        assert names_in(tmp_path / "folder.png") == []


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_an_older_file_stays_where_the_new_one_fails(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    if option == "--plot":
        pytest.importorskip("matplotlib")
    path = tmp_path / "old.png"
    path.write_text("older")
    data = table(tmp_path, "x,y\n1,2\n")
    error_of(capsys, "fit", data, *LOGISTIC4, option, str(path))  # one point
    assert path.read_text() == "older"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr(Path, "replace", full)
    message = error_of(capsys, "fit", RYEGRASS, *LOGISTIC4, option, str(path))
    assert message == f"{path}: No space left on device"
    assert path.read_text() == "older"
    assert names_in(tmp_path) == ["data.csv", "old.png"]


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_replaced_file_keeps_its_permissions_and_a_link_stays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    if option == "--plot":
        pytest.importorskip("matplotlib")
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    target.write_text("older")
    target.chmod(0o600)
    link.symlink_to(target)
    printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4, option, str(link))
    assert link.is_symlink()
    assert target.read_bytes() != b"older"
    assert target.stat().st_mode & 0o777 == 0o600


# ---- an output is never an input -----------------------------------------------------------------


def aliases(folder: Path, name: str) -> list[str]:
    """Give other names of a file: as it is, by a detour, by links of both kinds."""
    (folder / "sub").mkdir()
    (folder / "way").symlink_to(folder, target_is_directory=True)
    (folder / "soft").symlink_to(folder / name)
    os.link(folder / name, folder / "hard")
    names = (name, f"./sub/../{name}", f"way/{name}", "soft", "hard")
    return [f"{folder}/{alias}" for alias in names]


@pytest.mark.skipif(sys.platform == "win32", reason="links as in POSIX")
@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_fit_does_not_write_over_its_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    path = table(tmp_path, LINE)
    for alias in aliases(tmp_path, "data.csv"):
        message = error_of(capsys, "fit", path, *LINEAR, option, alias)
        assert message.startswith(f"DATA and {option} are the same file: {alias}")
        assert Path(path).read_text() == LINE


@pytest.mark.skipif(sys.platform == "win32", reason="links as in POSIX")
def test_a_picture_does_not_replace_the_model_or_the_points(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, model = table(tmp_path, LINE), model_of(tmp_path)
    before = Path(model).read_text()
    for alias in aliases(tmp_path, "model.json"):
        message = error_of(capsys, "plot", model, path, "--out", alias)
        assert message.startswith(f"MODEL and --out are the same file: {alias}")
    message = error_of(capsys, "plot", model, path, "--out", path)
    assert message.startswith(f"DATA and --out are the same file: {path}")
    assert (Path(path).read_text(), Path(model).read_text()) == (LINE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="links as in POSIX")
def test_two_outputs_are_two_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = table(tmp_path, LINE)
    (tmp_path / "way").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    before = names_in(tmp_path)
    new = str(tmp_path / "new")
    for alias in (new, f"{tmp_path}/./new", f"{tmp_path}/way/new", f"{tmp_path}/dangling"):
        message = error_of(capsys, "fit", path, *LINEAR, "--out", new, "--plot", alias)
        assert message.startswith(f"--out and --plot are the same file: {alias}")
        assert names_in(tmp_path) == before
    (tmp_path / "new").write_text("older")
    os.link(new, tmp_path / "hard")
    hard = str(tmp_path / "hard")
    error_of(capsys, "fit", path, *LINEAR, "--out", new, "--plot", hard)
    assert (tmp_path / "new").read_text() == "older"


@pytest.mark.parametrize("arguments", [["--curve", "none"], ["--x", "none", *LINEAR]])
def test_the_files_are_compared_before_anything_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    path = table(tmp_path, "no table")
    assert "are the same file" in error_of(capsys, "fit", path, *arguments, "--out", path)


@pytest.mark.parametrize("output", ["--out", "--plot"])
def test_standard_input_may_be_a_file_too(tmp_path: Path, output: str) -> None:
    path = table(tmp_path, LINE)
    command = [sys.executable, "-m", "cbackprop", "fit", "-", *LINEAR, output, path]
    with open(path, "rb") as file:
        done = subprocess.run(command, check=False, stdin=file, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cbackprop: error: DATA and {output} are the same file: {path}")
    assert Path(path).read_text() == LINE


def test_standard_output_may_be_a_file_too(tmp_path: Path) -> None:
    path, model = table(tmp_path, "x\n1\n2\n3\n"), model_of(tmp_path)
    printed = tmp_path / "printed"
    fit = ["fit", path, *LINEAR, "--x", "1", "--y", "1"]
    for name, arguments, target in (
        ("DATA", fit, path),
        ("--data", ["predict", model, "--data", path], path),
        ("--data", ["invert", model, "--data", path], path),
        ("--out", [*fit, "--out", str(printed)], printed),
    ):
        before = Path(path).read_bytes()
        command = [sys.executable, "-m", "cbackprop", *arguments]
        with open(target, "ab") as file:
            done = subprocess.run(
                command, check=False, stdout=file, stderr=subprocess.PIPE, text=True
            )
        assert done.returncode == 2
        assert f" {name} and standard output are the same file" in done.stderr
        assert Path(path).read_bytes() == before
    assert printed.read_bytes() == b""


# ---- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (LINE, [], "expected --curve or --activations"),
        (LINE, [*LINEAR, "--activations", "identity"], "expected --curve or --activations"),
        (LINE, ["--curve", "logstic4"], "did you mean 'logistic4'"),
        (LINE, ["--curve", "michaelis-menten"], "did you mean 'michaelis_menten'"),
        (LINE, ["--activations", "sigmod"], "sigmod"),
        (LINE, [*LINEAR, "--x", "z"], "no column 'z'; there are 'x', 'y'"),
        (LINE, [*LINEAR, "--y", "Y"], "no column 'Y'; there are 'x', 'y'"),
        (LINE, [*LINEAR, "--weight", "w"], "no column 'w'; there are 'x', 'y'"),
        (LINE, [*LINEAR, "--group", "run"], "no column 'run'; there are 'x', 'y'"),
        (LINE, [*LINEAR, "--fixed", "slope"], "--fixed: 'slope'; expected NAME=NUMBER"),
        (LINE, [*LINEAR, "--fixed", "slope=2,5"], "--fixed: 'slope=2,5'; expected NAME=NUMBER"),
        (LINE, [*LINEAR, "--fixed", "slop=2"], "'slop' is not a parameter of linear"),
        (LINE, [*LINEAR, "--fixed", "=2"], "'' is not a parameter of linear"),
        (LINE, [*LINEAR, "--loss", "squre"], "squre"),
        (LINE, [*LINEAR, "--loss-scale", "x"], "--loss-scale"),
        (LINE, [*LINEAR, "--covariance", "exact"], "--covariance"),
        (LINE, [*LINEAR, "--interval", "fieller"], "argument --interval: invalid choice"),
        (LINE, ["--activations", "identity", "--interval", "log"], "--interval: only for --curve"),
        (LINE, [*LINEAR, "--group", "x", "--interval", "log"], "not with --group"),
        (LINE, [*LINEAR, "--decimal", "_"], "argument --decimal: invalid choice: '_'"),
        (LINE, [*LINEAR, "--thousands", "_"], "argument --thousands: invalid choice: '_'"),
        (LINE, ["--activations", "identity", "--fixed", "w1=1"], "--fixed: only for --curve"),
        (LINE, ["--activations", "identity", "--start", "1"], "--start: 1 numbers, expected 2"),
        (LINE, ["--activations", "identity", "--start", "1,b"], "--start: 'b' is not a number"),
        (LINE, ["--activations", "identity", "--free", "w2"], "--free: 'w2' is not a parameter"),
        (LINE, [*LINEAR, "--group", "x", "--out", "m.json"], "not with --group"),
        (LINE, [*LINEAR, "--group", "x", "--plot", "m.png"], "not with --group"),
        (LINE, [*LINEAR, "--start", "1,0"], "--start: only for --activations, not for --curve"),
        (LINE, [*LINEAR, "--free", "w1"], "--free: only for --activations, not for --curve"),
        (LINE, [*LINEAR, "--fixed", "slope=1", "--fixed", "slope=2"], "'slope' is given twice"),
        (LINE, [*LINEAR, "--fixed", "slope=nan"], "--fixed: 'slope=nan'; expected NAME=NUMBER"),
        (LINE, [*LINEAR, "--fixed", "slope=inf"], "--fixed: 'slope=inf'; expected NAME=NUMBER"),
        (LINE, [*LINEAR, "--fixed", "slope=1_0"], "--fixed: 'slope=1_0'; expected NAME=NUMBER"),
        (LINE, ["--activations", "identity", "--free", "w1,w1"], "--free: 'w1' is given twice"),
        (LINE, ["--activations", "identity", "--start", "1_0,0"], "'1_0' is not a number"),
        (LINE, ["--activations", "identity", "--start", "inf,0"], "'inf' is not a finite number"),
        (LINE, ["--activations", "identity", "--start", "nan,0"], "'nan' is not a number"),
        *(
            (LINE, [*LINEAR, *loss, "--loss-scale", scale], f"--loss-scale: {scale!r} is not a ")
            for loss in ([], ["--loss", "squared"], ["--loss", "huber"])
            for scale in ("-5", "0", "inf", "-inf", "nan", "1_0")
        ),
        (LINE, [*LINEAR, "--loss-scale", "1"], "--loss-scale: only for --loss huber, soft_l1"),
        *(
            (LINE, [*LINEAR, "--loss", loss, "--loss-scale", "2"], f"box_cox, not for {loss}")
            for loss in ("squared", "log")
        ),
        *(
            (LINE, [*LINEAR, option, ""], f"argument {option}: '', expected one ")
            for option in ("--x", "--y", "--weight", "--group", "--loss", "--out", "--plot")
        ),
        *(
            (LINE, [option, ""], f"argument {option}: '', expected one ")
            for option in ("--free", "--curve", "--activations")
        ),
        *(
            (LINE, [*LINEAR, option, value, option, value], f"argument {option}: given twice")
            for option, value in (
                ("--curve", "linear"),
                ("--activations", "identity"),
                ("--start", "1,0"),
                ("--free", "w1"),
                ("--x", "x"),
                ("--y", "y"),
                ("--weight", "w"),
                ("--group", "run"),
                ("--loss", "huber"),
                ("--loss-scale", "1"),
                ("--covariance", "gauss-newton"),
                ("--interval", "log"),
                ("--out", "m.json"),
                ("--plot", "m.png"),
            )
        ),
        (LINE, [*LINEAR, "--group", "a", "--group", "b"], "given twice, expected one COLUMN"),
        (LINE, [*LINEAR, "--json", "--json"], "argument --json: given twice, expected once"),
        *(
            (LINE, [*LINEAR, one, "1", other, name], f"{one} and {other} are the same column, 'x'")
            for one, other in (
                ("--x", "--y"),
                ("--x", "--weight"),
                ("--y", "--weight"),
                ("--x", "--group"),
                ("--weight", "--group"),
            )
            for name in ("1", "x")
        ),
        ("", LINEAR, "data.csv: no data in it"),
        ("x,y\n", LINEAR, "data.csv: no data under its header"),
        ("x,y\n1,2\n", LINEAR, "1 point is fewer than 2 parameters"),
        ("x,y\n1,2\n", ["--activations", "identity"], "2"),
        ("x,y\n1,2\n3,NA\nNA,2\n", LINEAR, "1 point is fewer than 2 parameters"),
        ("# a\nx,y\n1,2\n\n2,four\n", LINEAR, "data.csv, line 5, column 'y': 'four'"),
        ("x,y\n1,2\n2,3,4\n", LINEAR, "data.csv, line 3: 3 fields, expected 2"),
        ("a,b,y\n1,2,3\n2,3,4\n3,4,5\n", [*LINEAR, "--y", "y"], "--x could be any of 'a', 'b'"),
        ("a,b,c\n1,2,3\n2,3,4\n3,4,5\n", LINEAR, "--x and --y could be any of 'a', 'b', 'c'"),
        (
            "dose,resp\nmg,AU\n1,2\n2,3\n",
            LINEAR,
            "--x and --y: expected 2 columns of numbers, found none; 'dose' begins with 'mg' in "
            "line 2",
        ),
        (
            "x,note,y\n1,,\n2,,<3\n4,,5\n",
            LINEAR,
            "--x and --y: expected 2 columns of numbers, found 'x'; 'y' begins with '<3' in line 3",
        ),
        ("x,y\n1,\n2,NA\n", LINEAR, "--x and --y: expected 2 columns of numbers, found 'x'"),
        ("x,y\n1,<2\n2,3\n", [*LINEAR, "--x", "x"], "--y: expected 1 column of numbers, found"),
        (LINE, [*LINEAR, "--out", "-"], "--out: '-'; expected a file; one of that name is ./-"),
        (LINE, [*LINEAR, "--plot", "-"], "--plot: '-'; expected a file; one of that name is ./-"),
        ("x,y\n1,2\n-2,3\n3,1\n4,1\n", LOGISTIC4, "logistic4 is defined from 0 to inf"),
        ("x,y,w\n1,2,1\n2,3,-1\n3,1,1\n", [*LINEAR, "--weight", "w"], "sample_weight"),
    ],
)
def test_a_mistake_costs_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: str,
    arguments: list[str],
    message: str,
) -> None:
    path = table(tmp_path, content)
    assert message in error_of(capsys, "fit", path, *arguments)
    assert names_in(tmp_path) == ["data.csv"]


def test_a_table_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "none.csv")
    assert error_of(capsys, "fit", missing, *LINEAR) == f"{missing}: No such file or directory"
    assert error_of(capsys, "fit", str(tmp_path), *LINEAR) == f"{tmp_path}: Is a directory"


def test_a_mistake_in_a_process_of_its_own_has_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cbackprop", "fit", table(tmp_path, "x,y\n1,a\n"), *LINEAR]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cbackprop: error: ")
    assert done.stderr.count("\n") == 1


# ---- curves ------------------------------------------------------------------------------------


def test_curves_are_listed_with_their_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed_by(capsys, "curves").splitlines()
    assert len(lines) == 30
    for line, (name, curve) in zip(lines, curves.CURVES.items(), strict=True):
        assert line.split(maxsplit=1) == [name, curve.formula]


def test_curves_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed_by(capsys, "curves", "--json"))
    assert len(listed) == 30
    for name, curve in curves.CURVES.items():
        assert listed[name]["formula"] == curve.formula
        assert listed[name]["parameters"] == list(curve.parameters)


# ---- plot ----------------------------------------------------------------------------------------


def model_of(folder: Path) -> str:
    path = folder / "model.json"
    cbp.Chain([2.0], [0.25], "identity").save(path)
    return str(path)


@pytest.mark.parametrize("how", [["data.csv"], ["--range", "-1,3"], ["data.csv", "--range=0,9"]])
def test_a_chain_is_drawn_over_points_or_a_range(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    how: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    table(tmp_path, LINE)
    assert printed_by(capsys, "plot", model_of(tmp_path), *how, "--out", "picture.svg") == ""
    picture = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert picture.startswith("<?xml")
    assert names_in(tmp_path) == ["data.csv", "model.json", "picture.svg"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ([], "expected DATA or --range"),
        (["--range", "1"], "argument --range: '1'; expected FROM,TO"),
        (["--range", "2,2"], "argument --range: '2,2'; expected FROM,TO"),
        (["--range", "nan,2"], "argument --range: 'nan' is not a number"),
        (["--range", "-1e308,1e308"], "x from -1e+308 to 1e+308: too far apart to be drawn"),
        (["far.csv"], "x from -1.5e+308 to 1e+308: too far apart to be drawn"),
        (["--range", "1,inf"], "argument --range: 'inf' is not a finite number"),
        (["--range", "1_0,20"], "argument --range: '1_0' is not a number"),
        (["--range", "1,2", "--range", "1,2"], "argument --range: given twice"),
        (["--range", "1,2", "--x", "dose"], "--x: only for a column of DATA"),
        (["--range", "1,2", "--y", "2"], "--y: only for a column of DATA"),
        (["one.csv"], "one.csv: expected two different x, or --range"),
        (["none.csv"], "none.csv: expected two different x, or --range"),
    ],
)
def test_a_range_that_is_none_draws_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    how: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    model = model_of(tmp_path)
    Path("one.csv").write_text("x,y\n2,1\n2,3\n", encoding="utf-8")
    Path("none.csv").write_text("x,y\n2,NA\nNA,3\n", encoding="utf-8")
    Path("far.csv").write_text("x,y\n-1.5e308,1\n1e308,3\n", encoding="utf-8")
    assert error_of(capsys, "plot", model, *how, "--out", "picture.png").startswith(said)
    assert names_in(tmp_path) == ["far.csv", "model.json", "none.csv", "one.csv"]


def test_a_picture_of_an_unknown_kind_is_not_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    how = ["--range", "1,2", "--out", str(tmp_path / "picture.xyz")]
    message = error_of(capsys, "plot", model_of(tmp_path), *how)
    assert message.startswith("--out: Format 'xyz' is not supported")
    assert names_in(tmp_path) == ["model.json"]


# ---- groups that cannot be fitted side by side ---------------------------------------------------


def test_groups_one_by_one_as_each_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors from the Hessian are known of single fits alone; a terminal is told how far it is."""
    path = table(tmp_path, GROUPS.replace("small,1,1\n", ""))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    options = ["--group", "run", "--covariance", "hessian"]
    assert main(["fit", path, *LINEAR, *options]) == 0
    out, err = capsys.readouterr()
    said = "x = conc, y = density, group = run; 12 rows, 2 groups"
    assert err == f"cbackprop: {said}\n\r2 of 2 groups\n"
    x = np.arange(1.0, 7.0)
    expected = curves.linear.fit(x, 2 * x + 1 + 0.1 * (x % 2), covariance="hessian")
    assert [float(text) for text in rows_of(out)[1][3:5]] == list(expected.stderr.values())


def test_the_count_of_groups_stays_on_one_line_of_a_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, GROUPS)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("cbackprop.cli.groups._GROUPS", 1)
    assert main(["fit", path, *LINEAR, "--group", "run"]) == 1
    progress = capsys.readouterr().err.split("\n", 1)[1]
    assert progress == "\r1 of 3 groups\r2 of 3 groups\r3 of 3 groups\n"


def test_a_group_that_spoils_the_company_is_the_only_one_that_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = ["run,x,y", *(f"a,{x},{x % 2}" for x in range(6)), *(f"b,{x},{x}" for x in range(6))]
    path = table(tmp_path, "\n".join(rows) + "\n")
    said = "x = x, y = y, group = run; 12 rows, 2 groups"
    arguments = [path, "--curve", "platt", "--group", "run"]
    _, first, second = grouped_by(capsys, said, *arguments, code=1)
    assert first[-1] == "converged"
    assert second[-1].startswith("failed: y")


def test_one_incomplete_row_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = table(tmp_path, "x,y\n1,2\n2,NA\n3,6.5\n4,8\n")
    assert main(["fit", path, *LINEAR]) == 0
    assert capsys.readouterr().err == "cbackprop: 1 incomplete row is left out\n"


def test_a_chain_of_three_layers_is_the_curve_it_stands_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--activations", "log,sigmoid,identity", "--start", "1,0,-2,2,7,0.5"]
    facts = facts_of(capsys, RYEGRASS, *arguments, "--free", "w2,b2,w3,b3")
    params = facts["params"]
    found = [params["w2"], params["b3"], params["b3"] + params["w3"]]
    found.append(math.exp(-params["b2"] / params["w2"]))
    # slope, bottom, top and ec50 as drc prints them, which stops a little earlier
    assert found == pytest.approx([-2.98222, 0.48141, 7.79296, 3.05795], rel=1e-5)
    assert (facts["df"], round(facts["residual_sd"], 6)) == (20, 0.519626)


def test_groups_of_other_inputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [f"a,{x},{2 * x + 1}" for x in range(5)] + [f"b,{x},{5 - x}" for x in range(3, 8)]
    path = table(tmp_path, "\n".join(["run,x,y", *rows]) + "\n")
    said = "x = x, y = y, group = run; 10 rows, 2 groups"
    _, first, second = grouped_by(capsys, said, path, *LINEAR, "--group", "run")
    assert [float(text) for text in first[1:3]] == pytest.approx([2.0, 1.0], rel=1e-12)
    assert [float(text) for text in second[1:3]] == pytest.approx([-1.0, 5.0], rel=1e-12)


def test_the_scale_of_a_robust_loss_is_1_unless_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # of the points 0, 0, 0 and 9 Huber's mean at scale s is s / 3
    path = table(tmp_path, "x,y\n1,0\n1,0\n1,0\n1,9\n")
    arguments = [path, "--activations", "identity", "--free", "b1", "--loss", "huber"]
    arguments += ["--start", "0,1", "--x", "x", "--y", "y"]
    assert facts_of(capsys, *arguments)["params"]["b1"] == pytest.approx(1 / 3, rel=1e-9)
    told = facts_of(capsys, *arguments, "--loss-scale", "2")
    assert told["params"]["b1"] == pytest.approx(2 / 3, rel=1e-9)
