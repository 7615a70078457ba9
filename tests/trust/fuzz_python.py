"""Random text for what reads text: the model loader, the table reader and the command line.

    python tests/trust/fuzz_python.py [SECONDS] [SEED]

Each either works or raises an error of this package; the command ends with 0, 1 or 2, an error in
one line, and never a traceback. What a model file says comes back when it is saved.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import cbackprop as cbp
from cbackprop.cli.table import read_table

# the module, whose name the function of the package hides
cli: Any = importlib.import_module("cbackprop.cli.main")

MODEL = (
    b'{\n"format": "cbackprop-chain",\n"version": 1,\n"activations": ["log", "sigmoid"],\n'
    b'"params": [1.0, 0.0, 2.5, -1.0],\n"frozen": ["w1", "b1"]\n}\n'
)
TABLE = b'dose,response\n# a comment\n0.5,1.25\n1,2\n2,NA\n4,"3.5"\n8,4\n16,4.25\n32,4.5\n'
PIECES = [
    *(bytes([code]) for code in b'\x00\t\n\r "#,;.:-+eE0123456789[]{}\\_\x7f\xff'),
    *(b"1e999 -0.0 nan inf null true Infinity NaN 1e-400 99999999999999999999".split()),
    *(b"w1 w9 sigmoid relu format version params frozen activations".split()),
    "\ufeff\u00b5\u0663\U0001f600".encode(),
    b"\xed\xa0\x80",
    b"[" * 2000,
    b"9" * 5000,
]
WORDS = [
    "--curve",
    "logistic4",
    "linear",
    "--activations",
    "exp,identity",
    "relu",
    "--start",
    "1,0",
    "--free",
    "w1,b1",
    "--x",
    "--y",
    "dose",
    "response",
    "1",
    "2",
    "--weight",
    "--group",
    "--fixed",
    "bottom=0",
    "top=x",
    "--loss",
    "huber",
    "squared",
    "log",
    "--loss-scale",
    "-1",
    "nan",
    "inf",
    "1e400",
    "--covariance",
    "hessian",
    "--json",
    "--help",
    "--model",
    "--weights",
    "1,2",
    "--biases",
    "--input",
    "0.5",
    "--target",
    "--",
    "-",
    "=",
    "",
]

VERBS = ["fit", "predict", "trace", "invert", "plot", "export", "curves", "info"]


def changed(rng: random.Random, data: bytes) -> bytes:
    """Put in, take out or repeat some of it."""
    for _ in range(rng.choice([0, 1, 1, 2, 3, 8])):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice([0, 0, 1, 1, 5, 30]))
        piece = rng.choice([*PIECES, b"", data[at:to] * 2, data[to : to + 20]])
        data = data[:at] + piece + data[to:]
    return data


def check_model(rng: random.Random, path: Path) -> None:
    path.write_bytes(changed(rng, MODEL))
    try:
        chain = cbp.load(path)
    except cbp.CBackpropError as error:
        assert str(path) in str(error)  # noqa: PT017
        return
    assert np.all(np.isfinite(chain.params))
    chain.save(path)
    assert cbp.load(path) == chain


def check_table(rng: random.Random, path: Path) -> None:
    path.write_bytes(changed(rng, TABLE))
    try:
        table = read_table(str(path))
        for name in table.names:
            assert table.numbers(name).shape == (len(table),)
    except cbp.CBackpropError as error:
        assert str(path) in str(error)  # noqa: PT017


def check_command(rng: random.Random, path: Path) -> None:
    path.write_bytes(changed(rng, rng.choice([TABLE, TABLE, MODEL])))
    words = [rng.choice(WORDS) for _ in range(rng.randrange(6))]
    words.insert(rng.randrange(len(words) + 1), str(path))
    if rng.random() < 0.8:
        words.insert(0, rng.choice(VERBS))
    if rng.random() < 0.5:
        words += ["--curve", rng.choice(cbp.curves.__all__)]
    # what it would save goes where it does no harm
    words = [w for w in words if w not in ("--save", "--out")]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(words)
        except SystemExit as end:  # --help and --version
            code = end.code if isinstance(end.code, int) else 0
    assert code in (0, 1, 2), words
    assert "Traceback" not in err.getvalue(), words
    if code == 2:
        assert err.getvalue().count("\n") == 1, (words, err.getvalue())


def main() -> None:
    """Run until the time is up."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    print(f"seed {seed}", flush=True)
    warnings.simplefilter("error")
    cli._parser = functools.cache(cli._parser)  # making it takes longer than most commands
    end, counts = time.monotonic() + seconds, dict.fromkeys(("model", "table", "command"), 0)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder, "file")
        round_number = 0
        while time.monotonic() < end:
            round_number += 1
            rng = random.Random(f"{seed} {round_number}")
            name = rng.choice(["model", "table", "command"])
            check = {"model": check_model, "table": check_table, "command": check_command}[name]
            sys.stdin = io.StringIO("1,2\n2,3\n")
            try:
                check(rng, path)
            except BaseException:
                print(f"round {round_number}, {name}: {path.read_bytes()!r}")
                raise
            counts[name] += 1
    print(", ".join(f"{count} x {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
