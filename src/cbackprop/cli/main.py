"""The command ``cbackprop``: its verbs, and its exit codes.

A verb is a function that takes the parser's list of verbs, adds a parser with its arguments, and
sets ``run``: a function of the parsed arguments that prints the result. To add a verb, write both
functions and add the first to `VERBS`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from .. import _core
from .._core import ACTIVATIONS, __version__
from ..c_core import get_include
from ..c_export import export_c
from ..errors import CBackpropError, ParameterError
from ..model_file import check_outputs, load, write_whole
from . import fit
from .arguments import (
    Parser,
    add_loss,
    file_name,
    finite,
    finites,
    joined,
    loss_options,
    number,
)
from .data import printable

if TYPE_CHECKING:
    # the class is generic only in type stubs
    _Verbs: TypeAlias = "argparse._SubParsersAction[Any]"

__all__ = ["main"]

# ---- verbs -------------------------------------------------------------------------------------


def trace(verbs: _Verbs) -> None:
    """Add the verb ``trace``, which derives the gradient of one example with numbers."""
    parser = verbs.add_parser(
        "trace",
        help="print one example's forward and backward pass, number by number",
        description="Print the gradient's derivation with numbers: z, a and act'(z) of each "
        "layer, the loss, the error signal of each layer in the backward pass, and the gradient.",
        epilog="example: cbackprop trace --weights 1.5,-0.8 --biases 0.1,0.3 --input 0.5 "
        "--target 1",
    )
    parser.add_argument("--weights", type=finites, metavar="W,W,...", help="one for each layer")
    parser.add_argument("--biases", type=finites, metavar="B,B,...", help="one for each layer")
    parser.add_argument(
        "--activations",
        metavar="NAME,NAME,...",
        help="one for each layer, or one for all (default: sigmoid); known: "
        + ", ".join(ACTIVATIONS),
    )
    parser.add_argument(
        "--model", metavar="FILE", help="a model file, in place of the three options above"
    )
    parser.add_argument("--input", type=number, required=True, metavar="X", help="a(0)")
    parser.add_argument("--target", type=finite, required=True, metavar="Y", help="expected a(L)")
    add_loss(parser, "squared")
    parser.add_argument("--json", nargs=0, const=True, help="print JSON, every digit")
    parser.set_defaults(run=_run_trace)


def _run_trace(given: argparse.Namespace) -> None:
    seen = _chain(given).trace(given.input, given.target, **loss_options(given))
    print(json.dumps(seen.to_dict(), allow_nan=False) if given.json else seen)


def info(verbs: _Verbs) -> None:
    """Add the verb ``info``, which prints what a bug report needs."""
    parser = verbs.add_parser(
        "info",
        help="print versions and the kernels in use",
        description="Print the versions and the system, for bug reports.",
    )
    parser.add_argument("--json", nargs=0, const=True, help="print JSON")
    parser.set_defaults(run=_run_info)


def _run_info(given: argparse.Namespace) -> None:
    facts = {
        "cbackprop": __version__,
        "kernel": _core.kernel(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if given.json:
        print(json.dumps(facts))
    else:
        for name, fact in facts.items():
            print(f"{name:<10} {fact}")


def export(verbs: _Verbs) -> None:
    """Add the verb ``export``, which writes a model as C."""
    parser = verbs.add_parser(
        "export",
        help="write a model file's chain as a C header",
        description="Write a chain as a C header with its forward pass, inverse, gradient and "
        "training step. It needs no memory, no library and no other file.",
        epilog="example: cbackprop export model.json --c model.h",
    )
    parser.add_argument("model", type=file_name, metavar="MODEL", help="a model file")
    parser.add_argument("--c", metavar="FILE", required=True, help="the header to write")
    parser.add_argument(
        "--name", metavar="NAME", help="prefix of the names in C (default: the file's name)"
    )
    parser.set_defaults(run=_run_export)


def _run_export(given: argparse.Namespace) -> None:
    check_outputs({"MODEL": given.model}, {"--c": given.c})
    name = Path(given.c).stem if given.name is None else given.name
    write_whole(given.c, export_c(load(given.model), name).encode("ascii"))


VERBS: Final[tuple[Callable[[_Verbs], None], ...]] = (
    *fit.VERBS,
    trace,
    export,
    info,
)

# ---- arguments ---------------------------------------------------------------------------------


def _chain(given: argparse.Namespace) -> _core.Chain:
    """Make the chain from a model file, or from weights and biases."""
    parts = (given.weights, given.biases, given.activations)
    if given.model is not None:
        if any(part is not None for part in parts):
            raise ParameterError("--model: not with --weights, --biases or --activations")
        return load(given.model)
    if given.weights is None or given.biases is None:
        raise ParameterError("expected --weights and --biases, or --model")
    names = "sigmoid" if given.activations is None else given.activations
    listed = [name.strip() for name in names.split(",")]
    return _core.Chain(given.weights, given.biases, listed[0] if len(listed) == 1 else listed)


class _Say(argparse.Action):
    """Print a line and exit; argparse's own action "version" would wrap a long path."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self.const)
        parser.exit()


def _parser() -> Parser:
    parser = Parser(
        prog="cbackprop",
        description="Exact forward and backward passes of scalar chain networks.",
    )
    parser.add_argument(
        "--version",
        action=_Say,
        nargs=0,
        const=f"cbackprop {__version__}",
        help="print the version, and exit",
    )
    parser.add_argument(
        "--cflags",
        action=_Say,
        nargs=0,
        const=f"-I{get_include()}",
        help="print the C compiler's flags for cbackprop.h, and exit",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        verb(verbs)
    return parser


# ---- errors and exit codes ---------------------------------------------------------------------


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that temporary files are removed."""
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@_sigterm_unwinds()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name; those of the process by default.

    Returns
    -------
    int
        0, or 1 if a fit did not converge, 2 after an error, 130 after Ctrl-C; the last two with a
        message of one line. SIGTERM ends the process with 143.
    """
    if sys.stdout is None or sys.stderr is None:  # the next file opened would get its descriptor
        return _ended(2, "error: standard output or standard error is closed")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # for terminals without Greek letters
    message = ""
    try:
        given = _parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
        code: int = given.run(given) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        code = 0
    except KeyboardInterrupt:
        code, message = 130, "interrupted"
    except (CBackpropError, ImportError) as error:  # ImportError: an optional package
        code, message = 2, f"error: {error}"
    except MemoryError as error:
        code, message = 2, f"error: not enough memory{f': {error}' if str(error) else ''}"
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code, message = 2, f"error: {where}{error.strerror or error}"
    return _ended(code, message)


def _ended(code: int, message: str) -> int:
    """Print the message and flush standard output, ignoring what cannot be printed."""
    line = f"cbackprop: {printable(message)}\n" if message else ""
    for stream, text in ((sys.stdout, ""), (sys.stderr, line)):
        try:
            if stream is not None:
                stream.write(text)
                stream.flush()
        except OSError:  # Python flushes once more at exit, which must not fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code
