"""The command on data: what it prints is the fit's, and a mistake costs one line."""

from __future__ import annotations

import csv
import io
import json
import math
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


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- fit ---------------------------------------------------------------------------------------


def test_fit_prints_the_summary_of_the_curve(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed_by(capsys, "fit", RYEGRASS, *LOGISTIC4)
    assert out == f"{curves.logistic4.fit(*columns(RYEGRASS))}\n"
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


def test_json_has_null_for_what_is_infinite(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = table(tmp_path, "x,y\n1,2\n2,2\n3,2\n4,2\n5,2\n")
    facts = facts_of(capsys, path, *LOGISTIC4)
    assert facts["status"] == "not_identified"
    assert facts["stderr"]["ec50"] is None
    assert facts["stderr"]["slope"] is None
    assert facts["r2"] is None


def test_without_degrees_of_freedom_no_standard_error_is_known(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    facts = facts_of(capsys, table(tmp_path, "x,y\n1,1.5\n2,2.7\n"), *LINEAR)
    assert (facts["df"], facts["residual_sd"]) == (0, None)
    assert facts["stderr"] == {"slope": None, "intercept": None}


@pytest.mark.parametrize("name", [name for name in curves.CURVES if name != "platt"])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_constant_outputs_say_what_they_do_not_identify(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, value: float
) -> None:
    path = table(tmp_path, "x,y\n" + "".join(f"{x},{value}\n" for x in range(1, 9)))
    assert main(["fit", path, "--curve", name]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "converged" in out
    # constant with some parameters, or (the peak) ever more nearly so with growing width
    if name not in ("linear", "exponential", "power", "arrhenius", "gaussian_peak"):
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
    assert printed_by(capsys, "fit", table(tmp_path, content), *LINEAR) == expected


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
        assert out == f"{expected}\n"


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


# ---- groups ------------------------------------------------------------------------------------

GROUPS = (
    "run,conc,density\n"
    + "".join(f"A,{x},{2 * x + 1 + 0.1 * (x % 2)}\n" for x in range(1, 7))
    + "small,1,1\n"
    + "".join(f"B,{x},{5 - 0.5 * x + 0.1 * (x % 2)}\n" for x in range(1, 7))
)


def test_each_group_is_fitted_by_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = table(tmp_path, GROUPS)
    out = printed_by(capsys, "fit", path, *LINEAR, "--group", "run", code=1)
    header, first, small, second = rows_of(out)
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
    assert len(rows_of(printed_by(capsys, "fit", path, *LINEAR, "--group", "run"))) == 3
    chain = ["--activations", "identity", "--free", "w1"]
    header, first, _ = rows_of(printed_by(capsys, "fit", path, *chain, "--group", "1"))
    assert header[1:] == ["w1", "w1_stderr", "rss", "residual_sd", "status"]
    x = np.arange(1.0, 7.0)
    slope = float(x @ (2 * x + 1 + 0.1 * (x % 2)) / (x @ x))
    assert float(first[1]) == pytest.approx(slope, rel=1e-12)


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
    _, first, second = rows_of(printed_by(capsys, "fit", path, *LINEAR, *arguments))
    expected = curves.linear.fit(x, y, sample_weight=weight)
    assert (first[0], second[0]) == ("1", "2")
    assert first[1:] == second[1:]
    values = list(expected.params.values())
    assert [float(text) for text in first[1:3]] == pytest.approx(values, rel=1e-12)


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
        ("a,b\n1,2\n", ["--data", "DATA"], "--column could be any of 'a', 'b'"),
        ("a,b\n1,2\n", ["--data", "DATA", "--column", "c"], "no column 'c'; there are 'a', 'b'"),
        ("a\n1\ntwo\n", ["--data", "DATA", "--column", "a"], "line 3, column 'a': 'two'"),
        ("a\nx\n", ["--data", "DATA"], "no column of numbers"),
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
    assert error_of(capsys, "fit", path, *arguments) == "--plot is for curves"
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
        (LINE, ["--activations", "identity", "--fixed", "w1=1"], "--fixed is for curves"),
        (LINE, ["--activations", "identity", "--start", "1"], "--start: 1 numbers, expected 2"),
        (LINE, ["--activations", "identity", "--start", "1,b"], "--start: '1,b'"),
        (LINE, ["--activations", "identity", "--free", "w2"], "--free: 'w2' is not a parameter"),
        (LINE, [*LINEAR, "--group", "x", "--out", "m.json"], "not with --group"),
        (LINE, [*LINEAR, "--group", "x", "--plot", "m.png"], "not with --group"),
        ("", LINEAR, "data.csv: no data in it"),
        ("x,y\n", LINEAR, "data.csv: no data under its header"),
        ("x,y\n1,2\n", LINEAR, "1 point is fewer than 2 parameters"),
        ("x,y\n1,2\n", ["--activations", "identity"], "2"),
        ("x,y\n1,2\n3,NA\nNA,2\n", LINEAR, "1 point is fewer than 2 parameters"),
        ("# a\nx,y\n1,2\n\n2,four\n", LINEAR, "data.csv, line 5, column 'y': 'four'"),
        ("x,y\n1,2\n2,3,4\n", LINEAR, "data.csv, line 3: 3 fields, expected 2"),
        ("a,b,y\n1,2,3\n2,3,4\n3,4,5\n", [*LINEAR, "--y", "y"], "--x could be any of 'a', 'b'"),
        ("a,b,c\n1,2,3\n2,3,4\n3,4,5\n", LINEAR, "--x and --y could be any of 'a', 'b', 'c'"),
        ("who,what\na,b\n", LINEAR, "no column of numbers"),
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
    assert len(lines) == 17
    for line, (name, curve) in zip(lines, curves.CURVES.items(), strict=True):
        assert line.split(maxsplit=1) == [name, curve.formula]


def test_curves_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(printed_by(capsys, "curves", "--json"))
    assert len(listed) == 17
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
        (["--range", "1"], "--range: '1'; expected FROM,TO"),
        (["--range", "2,2"], "--range: from 2.0 to 2.0; expected two different ends"),
        (["--range", "nan,2"], "--range: from nan to 2.0; expected two different ends"),
        (["--range", "1,2", "--out", "picture.xyz"], "--out: Format 'xyz' is not supported"),
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
    assert error_of(capsys, "plot", model, "--out", "picture.png", *how).startswith(said)
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
    assert err == "\r2 of 2 groups\n"
    x = np.arange(1.0, 7.0)
    expected = curves.linear.fit(x, 2 * x + 1 + 0.1 * (x % 2), covariance="hessian")
    assert [float(text) for text in rows_of(out)[1][3:5]] == list(expected.stderr.values())


def test_a_group_that_spoils_the_company_is_the_only_one_that_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = ["run,x,y", *(f"a,{x},{x % 2}" for x in range(6)), *(f"b,{x},{x}" for x in range(6))]
    path = table(tmp_path, "\n".join(rows) + "\n")
    out = printed_by(capsys, "fit", path, "--curve", "platt", "--group", "run", code=1)
    _, first, second = rows_of(out)
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
    _, first, second = rows_of(printed_by(capsys, "fit", path, *LINEAR, "--group", "run"))
    assert [float(text) for text in first[1:3]] == pytest.approx([2.0, 1.0], rel=1e-12)
    assert [float(text) for text in second[1:3]] == pytest.approx([-1.0, 5.0], rel=1e-12)
