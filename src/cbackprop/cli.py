"""The command ``cbackprop``: one verb for each thing that it does.

A verb is a function that takes the parser's list of verbs, describes its arguments there, and sets
``run``: a function of the parsed arguments that prints what was asked for. To add one, write both
and name the first in `VERBS`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import numpy as np

from . import __version__, _core, cli_fit
from ._core import ACTIVATIONS, LOSSES
from .c_core import get_include
from .c_export import export_c
from .errors import CBackpropError, ParameterError
from .model_file import load, write_whole

if TYPE_CHECKING:
    # the class is generic in type stubs alone
    _Verbs: TypeAlias = "argparse._SubParsersAction[Any]"

__all__ = ["main"]

# ---- verbs -------------------------------------------------------------------------------------


def trace(verbs: _Verbs) -> None:
    """Describe ``trace``: one example's derivation with numbers."""
    parser = verbs.add_parser(
        "trace",
        help="print one example's forward and backward pass, number by number",
        description="Print the gradient's derivation with numbers: z, a and act'(z) of each "
        "layer, the loss, each error signal on the way back, and the gradient.",
        epilog="example: cbackprop trace --weights 1.5,-0.8 --biases 0.1,0.3 --input 0.5 "
        "--target 1",
        allow_abbrev=False,
    )
    parser.add_argument("--weights", type=_numbers, metavar="W,W,...", help="one for each layer")
    parser.add_argument("--biases", type=_numbers, metavar="B,B,...", help="one for each layer")
    parser.add_argument(
        "--activations",
        metavar="NAME,NAME,...",
        help="one for each layer, or one for all (default: sigmoid); known: "
        + ", ".join(ACTIVATIONS),
    )
    parser.add_argument(
        "--model", metavar="FILE", help="a chain in a model file, in place of the three above"
    )
    parser.add_argument("--input", type=_number, required=True, metavar="X", help="a(0)")
    parser.add_argument("--target", type=_number, required=True, metavar="Y", help="expected a(L)")
    parser.add_argument(
        "--loss",
        default="squared",
        metavar="NAME",
        help=f"{', '.join(LOSSES)} (default: squared)",
    )
    parser.add_argument(
        "--loss-scale",
        type=_number,
        default=1.0,
        metavar="S",
        help=f"scale of {', '.join(name for name, facts in LOSSES.items() if facts.has_scale)} "
        "(default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, every digit")
    parser.set_defaults(run=_run_trace)


def _run_trace(given: argparse.Namespace) -> None:
    seen = _chain(given).trace(
        given.input, given.target, loss=given.loss, loss_scale=given.loss_scale
    )
    print(json.dumps(seen.to_dict(), allow_nan=False) if given.json else seen)


def info(verbs: _Verbs) -> None:
    """Describe ``info``: what is needed in a report of a problem."""
    parser = verbs.add_parser(
        "info",
        help="print versions and the kernels in use",
        description="Print what a report of a problem should contain.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
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
    """Describe ``export``: a model as C."""
    parser = verbs.add_parser(
        "export",
        help="write a model file's chain as a C header",
        description="Write a chain as a C header with its forward pass, inverse, gradient and "
        "training step, which needs no memory and no library: compile it with the flags that "
        "cbackprop --cflags prints.",
        epilog="example: cbackprop export model.json --c model.h",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("--c", metavar="FILE", required=True, help="the header to write")
    parser.add_argument(
        "--name", metavar="NAME", help="what its names begin with (default: the file's name)"
    )
    parser.set_defaults(run=_run_export)


def _run_export(given: argparse.Namespace) -> None:
    name = Path(given.c).stem if given.name is None else given.name
    write_whole(given.c, export_c(load(given.model), name).encode("ascii"))


VERBS: Final[tuple[Callable[[_Verbs], None], ...]] = (
    *cli_fit.VERBS,
    trace,
    export,
    info,
)

# ---- arguments ---------------------------------------------------------------------------------


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _numbers(text: str) -> list[float]:
    return [_number(part) for part in text.split(",")]


def _chain(given: argparse.Namespace) -> _core.Chain:
    """Take the chain from the model file, or from its parts."""
    parts = (given.weights, given.biases, given.activations)
    if given.model is not None:
        if any(part is not None for part in parts):
            raise ParameterError("--model already says --weights, --biases and --activations")
        return load(given.model)
    if given.weights is None or given.biases is None:
        raise ParameterError("expected --weights and --biases, or --model")
    names = "sigmoid" if given.activations is None else given.activations
    listed = [name.strip() for name in names.split(",")]
    return _core.Chain(given.weights, given.biases, listed[0] if len(listed) == 1 else listed)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, printed in one place."""

    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"{message} (see {self.prog} --help)")


class _Flags(argparse.Action):
    """Prints the C compiler's flags as they are, where "version" would break a long path."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"-I{get_include()}")
        parser.exit()


def _parser() -> _Parser:
    parser = _Parser(
        prog="cbackprop",
        description="Exact forward and backward passes of scalar chain networks.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cbackprop {__version__}")
    parser.add_argument(
        "--cflags",
        action=_Flags,
        nargs=0,
        help="print the C compiler's flags for cbackprop.h, and exit",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        verb(verbs)
    return parser


_NEGATIVE: Final = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--weights -1.5,2`` as ``--weights=-1.5,2``, and keep other negative numbers apart.

    Argparse takes "-1.5,2" for an option; no option of ours begins like a negative number.
    """
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        if not _NEGATIVE.match(argument):
            joined.append(argument)
        elif before.startswith("--") and before != "--" and "=" not in before:
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(f" {argument}")  # with a blank before it, no option to argparse
    return joined


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name; those of the process by default.

    Returns
    -------
    int
        0; 1 if a fit did not converge; 2 after an error that has been printed in one line.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Greek still gets its numbers
    try:
        given = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
        code: int = given.run(given) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        _drop_output()
        return 0
    except CBackpropError as error:
        return _failed(str(error))
    except ImportError as error:  # an optional package
        return _failed(str(error))
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        reason = error.strerror or str(error)
        return _failed(f"{error.filename}: {reason}" if error.filename else reason)
    return code


def _drop_output() -> None:
    """Let what cannot be written go: Python tries once more at exit, which must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: str) -> int:
    """Print one line; what it repeats of the arguments or a file may hold line ends or worse."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    print(f"cbackprop: error: {line}", file=sys.stderr)
    return 2
