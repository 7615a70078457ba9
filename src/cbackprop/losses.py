"""The losses in plain Python: the readable specification, beside that of the passes.

Each function of (a, y, scale) gives E and dE/da of one example, with the residual r = a - y.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["LOSSES", "Loss"]


def _squared(a: float, y: float, scale: float) -> tuple[float, float]:
    r = a - y
    return r * r, 2.0 * r


def _huber(a: float, y: float, scale: float) -> tuple[float, float]:
    r = a - y
    if abs(r) <= scale:
        return _squared(a, y, scale)
    return scale * (2.0 * abs(r) - scale), math.copysign(2.0 * scale, r)


def _soft_l1(a: float, y: float, scale: float) -> tuple[float, float]:
    r = a - y
    u = r / scale
    if abs(u) > 1e8:  # sqrt(1 + u^2) rounds to |u|, and u may be infinite
        return 2.0 * scale * (abs(r) - scale), math.copysign(2.0 * scale, r)
    root = math.hypot(1.0, u)
    # 2 s^2 (root - 1), without the cancellation for small r
    return 2.0 * r * (r / (1.0 + root)), 2.0 * (r / root)


def _cauchy(a: float, y: float, scale: float) -> tuple[float, float]:
    r = a - y
    u = r / scale
    if abs(u) <= 1.0:
        return scale * scale * math.log1p(u * u), 2.0 * r / (1.0 + u * u)
    # log(1 + u^2) where u^2 might overflow
    return scale * scale * 2.0 * math.log(math.hypot(1.0, u)), 2.0 * scale / (u + 1.0 / u)


def _nothing(y: float, weight: float) -> float:
    return 0.0


def _poisson_best(y: float, weight: float) -> float:
    return weight * ((y * math.log(y) if y else 0.0) - y - math.lgamma(y + 1.0))


def _binomial_best(y: float, trials: float) -> float:
    parts = [part * trials for part in (y, 1.0 - y)]
    logs = (part * math.log(part / trials) - math.lgamma(part + 1.0) for part in parts if part)
    return math.lgamma(trials + 1.0) + math.fsum(logs)


def _poisson_deviance(a: float, y: float) -> float:
    if abs(a - y) <= 0.5 * y:  # without the cancellation for small a - y
        t = (a - y) / y
        return 2.0 * y * (t - math.log1p(t))
    return 2.0 * ((y * (math.log(y) - math.log(a)) if y else 0.0) - (y - a))


def _poisson(a: float, y: float, scale: float) -> tuple[float, float]:
    return (_poisson_deviance(a, y), 2.0 * ((a - y) / a)) if a > 0 else (math.nan, math.nan)


def _binomial(a: float, y: float, scale: float) -> tuple[float, float]:
    if not 0 < a < 1:
        return (0.0, 0.0) if a == y else (math.nan, math.nan)
    deviance = _poisson_deviance(a, y) + _poisson_deviance(1.0 - a, 1.0 - y)
    return deviance, 2.0 * ((a - y) / (a * (1.0 - a)))


def _log_ratio(a: float, y: float) -> float:
    return math.log1p((a - y) / y) if a > 0.5 * y else math.log(a) - math.log(y)


def _growth(c: float, u: float) -> float:
    return math.expm1(c * u) / c if c else u


def _power(a: float, y: float, scale: float) -> tuple[float, float]:
    if not a > 0:
        return math.nan, math.nan
    p = 2.0 * scale
    slope = 2.0 * (a - y) * a**-p
    if y == 0:
        return 2.0 * a ** (2.0 - p) / (2.0 - p), slope
    u = _log_ratio(a, y)
    return 2.0 * y ** (2.0 - p) * (_growth(2.0 - p, u) - _growth(1.0 - p, u)), slope


def _box_cox(a: float, y: float, scale: float) -> tuple[float, float]:
    if not a > 0:
        return math.nan, math.nan
    step = y**scale * _growth(scale, _log_ratio(a, y)) if y else a**scale / scale
    return step * step, 2.0 * step * a ** (scale - 1.0)


class Loss(NamedTuple):
    """A loss: `error_and_slope` of (a, y, scale) gives E and dE/da; None if z is needed (log loss).

    `has_scale` is 1 for a positive scale, 2 for an exponent. `best` of a target y and its weight is
    the log-likelihood at E = 0, for losses that stand for a likelihood, and 0 for others.
    """

    error_and_slope: Callable[[float, float, float], tuple[float, float]] | None
    formula: str
    has_scale: int = 0
    targets: tuple[float, float] = (-math.inf, math.inf)
    best: Callable[[float, float], float] = _nothing


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "squared": Loss(_squared, "(a - y)²"),
        "log": Loss(None, "-y·log a - (1 - y)·log(1 - a)", targets=(0.0, 1.0)),
        # beyond |a - y| = s; squared up to there
        "huber": Loss(_huber, "2s·|a - y| - s²", has_scale=1),
        "soft_l1": Loss(_soft_l1, "2s²(√(1 + (a - y)²/s²) - 1)", has_scale=1),
        "cauchy": Loss(_cauchy, "s²·log(1 + (a - y)²/s²)", has_scale=1),
        "poisson": Loss(
            _poisson,
            "2(y·log(y/a) - (y - a))",
            targets=(0.0, sys.float_info.max),
            best=_poisson_best,
        ),
        "binomial": Loss(
            _binomial,
            "2(y·log(y/a) + (1 - y)·log((1 - y)/(1 - a)))",
            targets=(0.0, 1.0),
            best=_binomial_best,
        ),
        "power": Loss(
            _power, "2∫(t - y)·t⁻²ˢ dt from y to a", has_scale=2, targets=(0.0, sys.float_info.max)
        ),
        "box_cox": Loss(_box_cox, "((aˢ - yˢ)/s)²", has_scale=2, targets=(0.0, sys.float_info.max)),
    }
)
"""Name -> loss, in the order of the C core's codes."""
