"""The command: what it prints, and that a mistake costs one line and never a traceback."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_trace import NETWORK_1

import cbackprop as cbp
from cbackprop import reference
from cbackprop.cli import main

CHAIN = ["--weights", "1.5,-0.8", "--biases", "0.1,0.3"]
EXAMPLE = ["--input", "0.5", "--target", "1"]


def trace_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["trace", *arguments, "--json"]) == 0
    printed: dict[str, object] = json.loads(capsys.readouterr().out)
    return printed


def test_trace_prints_the_derivation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", *CHAIN, *EXAMPLE]) == 0
    assert capsys.readouterr().out == f"{NETWORK_1}\n"


def test_trace_as_json_has_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    seen = trace_of(capsys, *CHAIN, *EXAMPLE)
    assert seen == cbp.Chain([1.5, -0.8], [0.1, 0.3]).trace(0.5, 1.0).to_dict()
    twin = reference.trace([1.5, 0.1, -0.8, 0.3], ["sigmoid", "sigmoid"], 0.5, 1.0)
    for key in ("z", "a", "slope", "delta", "gradient", "loss"):
        assert seen[key] == pytest.approx(getattr(twin, key), rel=4 * 2.0**-52), key
    assert (seen["x"], seen["y"], seen["params"]) == (0.5, 1.0, [1.5, 0.1, -0.8, 0.3])
    assert (seen["activations"], seen["loss_name"]) == (["sigmoid", "sigmoid"], "squared")


def test_json_is_valid_without_finite_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    chain = ["--weights", "1,2", "--biases", "0,5", "--activations", "log,sigmoid"]
    assert trace_of(capsys, *chain, "--input", "0", "--target", "0")["a"] == ["-inf", 0.0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--weights", "-1.5,2", "--biases", "-.5,-1e-3", "--input", "-2", "--target", "-1e3"],
        ["--weights=-1.5,2", "--biases=-.5,-1e-3", "--input=-2", "--target=-1e3"],
        ["--biases", " -.5, -1e-3", "--weights", "-1.5,+2", "--target", "-1000", "--input", "-2.0"],
    ],
)
def test_negative_numbers(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    seen = trace_of(capsys, *arguments)
    assert seen["params"] == [-1.5, -0.5, 2.0, -0.001]
    assert (seen["x"], seen["y"]) == (-2.0, -1000.0)


def test_activations_one_for_each_or_one_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    for given, expected in (
        ("tanh", ["tanh", "tanh"]),
        ("tanh,exp", ["tanh", "exp"]),
        ("tanh, exp", ["tanh", "exp"]),
    ):
        seen = trace_of(capsys, *CHAIN, *EXAMPLE, "--activations", given)
        assert seen["activations"] == expected


def test_loss_and_scale(capsys: pytest.CaptureFixture[str]) -> None:
    seen = trace_of(capsys, *CHAIN, *EXAMPLE, "--loss", "huber", "--loss-scale", "0.25")
    hidden = 1 / (1 + math.exp(-(1.5 * 0.5 + 0.1)))
    residual = 1 - 1 / (1 + math.exp(-(-0.8 * hidden + 0.3)))
    assert seen["loss"] == pytest.approx(2 * 0.25 * residual - 0.25**2, rel=1e-14)
    assert (seen["loss_name"], seen["loss_scale"]) == ("huber", 0.25)


def test_model_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    cbp.Chain([1.5, -0.8], [0.1, 0.3]).save(path)
    assert trace_of(capsys, "--model", str(path), *EXAMPLE) == trace_of(capsys, *CHAIN, *EXAMPLE)


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["cbackprop"] == cbp.__version__
    assert facts["kernel"] in {"generic", "avx2", "avx512"}
    assert facts["python"] == platform.python_version()
    assert facts["numpy"] == np.__version__
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert all(fact in printed for fact in facts.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "VERB"),
        (["trase"], "trase"),
        (["trace"], "--input, --target"),
        (["trace", *EXAMPLE], "expected --weights and --biases, or --model"),
        (["trace", "--weights", "1", *EXAMPLE], "expected --weights and --biases"),
        (["trace", *CHAIN, "--input", "0.5"], "--target"),
        (["trace", *CHAIN, *EXAMPLE, "--model", "m.json"], "--model already says"),
        (["trace", *CHAIN, *EXAMPLE, "--colour"], "--colour"),
        (["trace", *CHAIN, *EXAMPLE, "a\nb\x1b[31m"], r"a\nb\x1b[31m"),
        (["trace", *CHAIN, *EXAMPLE, "--loss", "squre"], "squre"),
        (["trace", *CHAIN, *EXAMPLE, "--loss", "huber", "--loss-scale", "-1"], "scale"),
        (["trace", *CHAIN, *EXAMPLE, "--activations", "sigmod"], "sigmod"),
        (["trace", *CHAIN, *EXAMPLE, "--activations", "tanh,tanh,tanh"], "3"),
        (["trace", "--weights", "1,x", "--biases", "1,2", *EXAMPLE], "'x' is not a number"),
        (["trace", "--weights", "1,,2", "--biases", "1,2", *EXAMPLE], "'' is not a number"),
        (["trace", "--weights", "1,2,3", "--biases", "1,2", *EXAMPLE], "3"),
        (["trace", "--weights", "", "--biases", "", *EXAMPLE], "'' is not a number"),
        (["trace", "--weights"], "expected one argument"),
        (["trace", "--model", "no/such.json", *EXAMPLE], "no/such.json: No such file"),
    ],
)
def test_a_mistake_costs_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cbackprop: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_model_file_that_is_none_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "model.json"
    path.write_text("{")
    assert main(["trace", "--model", str(path), *EXAMPLE]) == 2
    assert f"cbackprop: error: {path}: not JSON" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--version"], f"cbackprop {cbp.__version__}\n"),
        (["--help"], "trace"),
        (["trace", "--help"], "example: cbackprop trace --weights"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert expected in capsys.readouterr().out


def test_as_a_module_into_a_pipe_that_closes() -> None:
    command = [sys.executable, "-m", "cbackprop", "trace", *CHAIN, *EXAMPLE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before anything is printed
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_as_a_module_on_a_terminal_without_greek() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cbackprop", "trace", *CHAIN, *EXAMPLE],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"0.0232964" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_costs_one_line(unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cbackprop", "info"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr
