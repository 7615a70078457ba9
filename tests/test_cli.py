"""The command: what it prints, and that a mistake costs one line and never a traceback."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
        (["trace", *CHAIN, *EXAMPLE, "--model", "m.json"], "--model: not with --weights"),
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
        (["trace", *CHAIN, *EXAMPLE, "--json", "--json"], "--json: given twice, expected once"),
        (["trace", *CHAIN, *EXAMPLE, *EXAMPLE], "--input: given twice, expected one X"),
        (["trace", *CHAIN, *CHAIN, *EXAMPLE], "--weights: given twice, expected one W,W,..."),
        (["trace", *CHAIN, "--input", "1_000", "--target", "1"], "'1_000' is not a number"),
        (["trace", *CHAIN, "--input", "nan", "--target", "1"], "'nan' is not a number"),
        (["trace", *CHAIN, "--input", "1", "--target", "inf"], "'inf' is not a finite number"),
        (["trace", "--weights", "1_0", "--biases", "0", *EXAMPLE], "'1_0' is not a number"),
        (["trace", "--weights", "1", "--biases", "-inf", *EXAMPLE], "'-inf' is not a finite"),
        (["trace", *CHAIN, *EXAMPLE, "--loss-scale", "2"], "--loss-scale: only for --loss huber"),
        (["trace", *CHAIN, *EXAMPLE, "--loss", "log", "--loss-scale", "2"], "not for log"),
        (["trace", *CHAIN, *EXAMPLE, "--loss", "huber", "--loss-scale", "inf"], "'inf' is not a"),
        (["trace", *CHAIN, *EXAMPLE, "--activations", ""], "--activations: '', expected one"),
        (["trace", "--model", "", *EXAMPLE], "--model: '', expected one FILE"),
        (["predict", "", "1"], "MODEL: '', expected one MODEL"),
        (["fit", "", "--curve", "linear"], "DATA: '', expected one DATA"),
        (["export", "m.json", "--c", ""], "--c: '', expected one FILE"),
        (["export", "m.json", "--c", "m.h", "--name", ""], "--name: '', expected one NAME"),
        (["export", "m.json", "--c", "m.h", "--c", "n.h"], "--c: given twice, expected one FILE"),
        (["curves", "--json", "--json"], "--json: given twice"),
        (["info", "--json", "--json"], "--json: given twice"),
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


def test_a_header_does_not_replace_its_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "model.json"
    cbp.Chain([1.5, -0.8], [0.1, 0.3]).save(path)
    before = path.read_text()
    assert main(["export", str(path), "--c", f"{tmp_path}/./model.json", "--name", "net"]) == 2
    assert "MODEL and --c are the same file" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.thread_unsafe(reason="handlers of signals are everybody's")
def test_the_command_leaves_the_handlers_of_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["curves"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    with ThreadPoolExecutor() as pool:  # where no handler can be set
        assert pool.submit(main, ["curves"]).result() == 0


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


@pytest.mark.parametrize(
    ("verb", "default"), [("trace", "squared"), ("fit", "squared, or the curve's own")]
)
def test_help_names_the_default_loss(
    capsys: pytest.CaptureFixture[str], verb: str, default: str
) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert f"cauchy, poisson, binomial, power, box_cox (default: {default})" in " ".join(
        capsys.readouterr().out.split()
    )


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


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
SHELL = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
TABLE = "run,x,y\nA,1,2\nA,2,4\nA,3,7\nA,NA,1\nB,1,2\nB,2,4\nB,3,5\n"


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which $C is the command."""
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("$C", f"'{sys.executable}' -m cbackprop")],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@SHELL
@FULL
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [
        "info",
        "--help",
        "fit --help",
        "--version",
        "fit t.csv --curve linear --x x --y y",
        "fit t.csv --curve linear --group run",
        "fit t.csv --curve linear --group run --json",
    ],
)
def test_output_that_cannot_be_written_costs_one_line(
    tmp_path: Path, arguments: str, unbuffered: str
) -> None:
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    done = shell(f"$C {arguments} >/dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    *notes, last = done.stderr.splitlines()
    assert last == "cbackprop: error: No space left on device"
    assert all(line.startswith("cbackprop: ") for line in notes)


@SHELL
@pytest.mark.parametrize(
    "arguments", ["info", "--help", "--version", "fit t.csv --curve linear --group run"]
)
def test_closed_output_is_an_error(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    line = "cbackprop: error: standard output or standard error is closed\n"
    for closed, said in ((">&-", line), ("2>&-", ""), (">&- 2>&-", ""), ("<&- >&- 2>&-", "")):
        done = shell(f"$C {arguments} {closed}", tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said), closed


@SHELL
def test_closed_input_is_an_error(tmp_path: Path) -> None:
    done = shell("$C fit - --curve linear <&-", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cbackprop: error: standard input is closed\n"


@SHELL
@FULL
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_errors_that_cannot_be_written_end_with_2(tmp_path: Path, unbuffered: str) -> None:
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    for arguments in ("", "fit t.csv --curve linear --x x --y y"):  # wrong; with something to say
        done = shell(f"$C {arguments} 2>/dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stdout) == (2, "")


@SHELL
@pytest.mark.parametrize("arguments", ["--help", "fit t.csv --curve linear --group run"])
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, arguments: str) -> None:
    rows = "".join(f"g{k},{x},{x * x}\n" for k in range(3000) for x in range(4))
    (tmp_path / "t.csv").write_text("run,x,y\n" + rows, encoding="utf-8")
    reader = '{ read -r line; echo "$line"; }'  # of the shell itself
    done = shell(f"{{ $C {arguments}; echo $? >&2; }} | {reader}", tmp_path)
    assert done.stderr.splitlines()[-1] == "0"
    assert "Error" not in done.stderr
    assert done.stdout[:3] in ("usa", "run")


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from cbackprop.cli import main
sys.exit(main(["fit", "-", "--curve", "linear"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_costs_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"# more than a pipe holds\n" * 100_000)  # so that it is being read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"cbackprop: interrupted\n")


STARVED = """
import resource, sys
from cbackprop.cli import main
with open("/proc/self/statm") as status:
    size = int(status.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (48 << 20), -1))
sys.exit(main(["fit", sys.argv[1], "--curve", "linear"]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_table_too_large_for_memory_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,2\n" * 2_000_000, encoding="utf-8")
    command = [sys.executable, "-c", STARVED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cbackprop: error: not enough memory")
    assert done.stderr.count("\n") == 1
