"""Parsing of the command's arguments: each one is used, or refused with a message of one line."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from .._core import LOSSES, code_of_loss
from ..errors import ParameterError

__all__ = [
    "Parser",
    "add_loss",
    "file_name",
    "finite",
    "finites",
    "joined",
    "loss_options",
    "number",
]

_SCALED: Final = tuple(name for name, facts in LOSSES.items() if facts.has_scale)
_NEGATIVE: Final = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """A parser that refuses repeated and empty options, and raises its errors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.register("action", None, _Once)

    def error(self, message: str) -> NoReturn:
        """Raise the error; `main` prints it."""
        raise ParameterError(f"{message} (see {self.prog} --help)")

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike argparse, raise if that fails."""
        print(self.format_help(), end="", file=file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Flush standard output and exit; an error of a later flush would be ignored."""
        sys.stdout.flush()
        super().exit(status, message)


class _Once(argparse.Action):
    """Store a value, or the constant of an option without value; refuse a second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        name = "" if self.nargs == 0 else f"one {self.metavar}"
        if option_string and getattr(namespace, self.dest) is not self.default:
            raise argparse.ArgumentError(self, f"given twice, expected {name or 'once'}")
        if values == "":
            raise argparse.ArgumentError(self, f"'', expected {name}")
        setattr(namespace, self.dest, values if name else self.const)


# ---- numbers -------------------------------------------------------------------------------------


def number(text: str) -> float:
    """Read a number, which may be infinite."""
    try:
        value = math.nan if "_" in text else float(text)  # 1_000 is a number only in Python
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def finite(text: str) -> float:
    """Read a finite number."""
    value = number(text)
    if math.isinf(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def finites(text: str) -> list[float]:
    """Read finite numbers separated by commas."""
    return [finite(part) for part in text.split(",")]


def joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--weights -1.5,2`` as ``--weights=-1.5,2``, and mark other negative numbers.

    Argparse parses "-1.5,2" as an option, but none of the command's options begins with a digit.
    """
    words: list[str] = []
    for place, argument in enumerate(arguments):
        before = words[-1] if words else ""
        if argument == "--":
            return [*words, *arguments[place:]]
        if not _NEGATIVE.match(argument):
            words.append(argument)
        elif before.startswith("--") and "=" not in before:
            words[-1] = f"{before}={argument}"
        else:
            words.append(f" {argument}")  # argparse does not parse it as an option after a space
    return words


def file_name(text: str) -> str:
    """Remove the space that `joined` puts before an argument like a negative number."""
    return text[1:] if text[:1] == " " and _NEGATIVE.match(text[1:]) else text


# ---- the loss ------------------------------------------------------------------------------------


def add_loss(parser: Parser, default: str) -> None:
    """Add the options of a loss to a parser."""
    parser.add_argument("--loss", metavar="NAME", help=f"{', '.join(LOSSES)} (default: {default})")
    parser.add_argument(
        "--loss-scale",
        type=finite,
        metavar="S",
        help=f"scale, only for {', '.join(_SCALED)} (default: 1)",
    )


def loss_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the given options of the loss as keyword arguments of a fit."""
    options: dict[str, Any] = {}
    if given.loss is not None:
        code_of_loss(given.loss, 1.0)
        options["loss"] = given.loss
    if getattr(given, "rule", None) is not None:
        options["weights"] = given.rule
    if given.loss_scale is not None:
        is_exponent = given.loss in _SCALED and LOSSES[given.loss].has_scale == 2
        if given.loss_scale <= 0 and not is_exponent:
            raise ParameterError(f"--loss-scale: '{given.loss_scale:g}' is not a positive number")
        if given.loss not in _SCALED:
            raise ParameterError(
                f"--loss-scale: only for --loss {', '.join(_SCALED)}, "
                f"not for {given.loss or 'the default'}"
            )
        options["loss_scale"] = given.loss_scale
    return options
