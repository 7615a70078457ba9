"""Curves that other curves approach as some of their parameters diverge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

__all__ = ["limit_of"]

Named: TypeAlias = dict[str, float]
_Given: TypeAlias = Mapping[str, float]


def _line(slope: float) -> Named:
    return {"slope": slope}


def _times_power(factor: float, base: float, exponent: float) -> float:
    """Return factor base^exponent, also where the power alone is out of range."""
    if factor == 0:
        return 0.0
    log = math.log(abs(factor)) + exponent * math.log(base)
    return math.copysign(math.exp(log) if log < 700 else math.inf, factor)


def _lower_end(p: _Given) -> Named:
    """1 / (1 + (ec50 / x)^slope) is (x / ec50)^slope where that is small."""
    bottom = p.get("bottom", 0.0)
    scale = _times_power(p["top"] - bottom, p["ec50"], -p["slope"])
    own = {"bottom": bottom} if "bottom" in p else {}
    return {**own, "scale": scale, "exponent": p["slope"]}


def _upper_end(p: _Given) -> Named:
    """And 1 - (x / ec50)^-slope at the other end."""
    scale = _times_power(p["bottom"] - p["top"], p["ec50"], p["slope"])
    return {"top": p["top"], "scale": scale, "exponent": -p["slope"]}


def _exponential(p: _Given) -> Named:
    scale = _times_power(p["asymptote"], math.e, -p["midpoint"] / p["scale"])
    return {"scale": scale, "rate": -1 / p["scale"]}


# of a curve and the parameters that diverge: the formula of the limit, and its parameters
_LIMITS: Final[dict[tuple[str, frozenset[str]], tuple[str, Callable[[_Given], Named]]]] = {
    (name, frozenset(diverging)): (formula, parameters)
    for name, diverging, formula, parameters in (
        ("michaelis_menten", ("vmax", "km"), "slope x", lambda p: _line(p["vmax"] / p["km"])),
        (
            "saturation",
            ("asymptote", "rate"),
            "slope x",
            lambda p: _line(p["asymptote"] * p["rate"]),
        ),
        (
            "asymptotic",
            ("asymptote", "rate"),
            "intercept + slope x",
            lambda p: {"intercept": p["start"], **_line((p["asymptote"] - p["start"]) * p["rate"])},
        ),
        ("logistic3", ("asymptote", "midpoint"), "scale exp(-rate x)", _exponential),
        ("hill", ("top", "ec50"), "scale x^exponent", _lower_end),
        ("logistic4", ("top", "ec50"), "bottom + scale x^exponent", _lower_end),
        ("logistic4", ("bottom", "ec50"), "top + scale x^exponent", _upper_end),
    )
}


def limit_of(name: str, diverging: list[str], natural: _Given) -> tuple[str, Named]:
    """Return the formula and the parameters of the limit; an empty text if it is not known."""
    formula, parameters = _LIMITS.get((name, frozenset(diverging)), ("", None))
    try:
        found = {} if parameters is None else parameters(natural)
    except (ArithmeticError, ValueError):  # one has underflowed to 0
        return "", {}
    return (formula, found) if all(map(math.isfinite, found.values())) else ("", {})
