"""What a parameter of a chain is in terms of natural parameters: expressions of a few forms."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np

from .._core import no_such_name
from ..errors import InputTypeError, ParameterError
from ..fits.arguments import as_float

__all__ = ["Term", "check_use", "formula_of", "term_of", "text_or_float"]

_TOKEN: Final = re.compile(r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|([^\W\d]\w*)|([-*/()]))")
_FORMS: Final = {
    "1": "constant",
    "a": "same",
    "1*a": "same",
    "a-a": "difference",
    "log(a)": "coordinate",
    "1*log(a)": "coordinate",
    "a*log(a)": "product",
    "1*a*log(a)": "product",
    "a*a": "product",
    "1*a*a": "product",
    "1/a": "reciprocal",
    "a/a": "ratio",
    "1*a/a": "ratio",
}
_OF_TWO: Final = ("difference", "product", "ratio")
_EXPECTED: Final = (
    "expected 2, a, 2 * a, a - b, log(a), 2 * log(a), a * log(b), 2 * a * log(b), a * b, "
    "2 * a * b, 2 / a, a / b or 2 * a / b, of parameters a and b and a number, perhaps with a - in "
    "front (but of a - b)"
)


class Term(NamedTuple):
    """A parameter of the chain: struct cbp_curve_term."""

    rule: str
    i: int
    j: int
    value: float


def term_of(
    argument: str, text: str | float, names: tuple[str, ...], above: Collection[str]
) -> Term:
    """Read an expression."""
    given = text if isinstance(text, str) else repr(text)
    tokens = [match.groups("") for match in _TOKEN.finditer(given)]
    shape = "".join(
        "1" if number else name if name == "log" else "a" if name else mark
        for number, name, mark in tokens
    )
    is_negative, shape = shape.startswith("-"), shape.removeprefix("-")
    rule = _FORMS.get(shape)
    if rule is None or _TOKEN.sub("", given).strip() or (is_negative and rule == "difference"):
        raise ParameterError(f"{argument}: {text!r}; {_EXPECTED}")
    used = [name for _, name, _ in tokens if name not in ("", "log")]
    for name in used:
        if name not in names:
            raise ParameterError(
                f"{argument}: {text!r}; {name!r} is not a parameter; {no_such_name(name, names)}"
            )
    if "log" in shape and used[-1] not in above:
        raise ParameterError(f"{argument}: {text!r}; {used[-1]!r} is not in positive")
    if len(set(used)) < len(used):
        raise ParameterError(f"{argument}: {text!r}; expected two different parameters")
    if shape.endswith("a*a"):  # of which the core takes the logarithm of a positive second one
        used.sort(key=above.__contains__, reverse=True)
        if used[1] in above:
            raise ParameterError(f"{argument}: {text!r}; expected one of both not in positive")
    value = float(next((number for number, _, _ in tokens if number), 1.0))
    if not math.isfinite(value) or (value == 0 and rule != "constant"):
        raise ParameterError(f"{argument}: {text!r}; expected a finite number, a factor not 0")
    i, j = (*map(names.index, used), 0, 0)[:2]
    return Term(rule, i, j, -value if is_negative else value)


def check_use(terms: list[Term], names: tuple[str, ...]) -> None:
    """Raise ParameterError if the data could never determine the parameters."""
    variable = [term for term in terms if term.rule != "constant"]
    used = {term.i for term in variable} | {term.j for term in variable if term.rule in _OF_TWO}
    for k, name in enumerate(names):
        if k not in used:
            raise ParameterError(f"parameters: {name!r} is in none of params")
    if len(variable) < len(names):
        raise ParameterError(
            f"parameters: {len(names)} of them follow from no {len(variable)} of the chain; "
            "expected as many of params that are not constant"
        )


def formula_of(given: Mapping[str, str | float], activations: tuple[str, ...]) -> str:
    """Write the chain as a formula."""
    inner = "x"
    for layer, activation in enumerate(activations, 1):
        w, b = (
            text.strip() if isinstance(text, str) else repr(text).removesuffix(".0")
            for text in (given[f"w{layer}"], given[f"b{layer}"])
        )
        if w != "1":
            inner = f"{_operand(w)} * {inner}"
        if b != "0":
            inner = f"{inner} - {b[1:].lstrip()}" if b.startswith("-") else f"{inner} + {b}"
        if activation != "identity":
            inner = f"{activation}({inner})"
        elif layer < len(activations):
            inner = _operand(inner)
    return inner


def _operand(text: str) -> str:
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def text_or_float(argument: str, given: object) -> str | float:
    """Check a parameter of the chain, without reading a text."""
    if isinstance(given, str):
        return given
    if not isinstance(given, int | float | np.integer | np.floating) or isinstance(given, bool):
        raise InputTypeError(f"{argument}: expected a text or a number, got {given!r}")
    number = as_float(argument, given)
    if not math.isfinite(number):
        raise ParameterError(f"{argument}: {number!r}; expected a finite number")
    return number
