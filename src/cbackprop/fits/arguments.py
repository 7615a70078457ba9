"""Checks of arguments that are common to all fits: numbers, bounds, examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Chain, no_such_name, real_array
from ..errors import InputTypeError, ParameterError, ShapeError

__all__ = [
    "Bounds",
    "Count",
    "Number",
    "as_float",
    "bound_arrays",
    "check_callback",
    "count_of",
    "ends_of",
    "examples_of",
    "number_of",
]

Vector: TypeAlias = NDArray[np.float64]
Count: TypeAlias = int | np.integer
Number: TypeAlias = float | np.integer | np.floating
Ends: TypeAlias = tuple[Number | None, Number | None]
Bounds: TypeAlias = Mapping[str, Ends]
_MOST: Final = 2**31  # of iterations, restarts and examples in a batch


def check_callback(callback: Callable[..., object] | None) -> None:
    """Raise InputTypeError if a callback cannot be called."""
    if callback is not None and not callable(callback):
        raise InputTypeError(f"callback: expected a function, got {callback!r}")


def count_of(argument: str, value: Count | None, default: int, least: int = 1) -> int:
    """Check an integer; None gives the default."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(f"{argument}: {value!r}; expected an integer of {least} or more")
    if value > _MOST:
        raise ParameterError(f"{argument}: expected an integer of {_MOST} at most")
    return int(value)


def number_of(argument: str, value: Number, low: float, high: float) -> float:
    """Convert a number to a float in [low, high); a learning rate must be above `low`."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise InputTypeError(f"{argument}: expected a number, got {value!r}")
    value = as_float(argument, value)
    if not low <= value < high or (argument == "learning_rate" and value == 0):
        first = "above" if argument == "learning_rate" else "from"
        raise ParameterError(f"{argument}: {value!r}; expected {first} {low:g}, below {high:g}")
    return float(value)


def as_float(argument: str, number: Number) -> float:
    """Convert a real number to a float."""
    try:
        return float(number)
    except OverflowError:
        raise ParameterError(f"{argument}: an integer beyond the largest float") from None


def bound_arrays(net: Chain, bounds: Bounds) -> tuple[Vector, Vector]:
    """Lower and upper bounds of all parameters; infinite where there is no bound."""
    lower, upper = np.full(2 * net.layers, -math.inf), np.full(2 * net.layers, math.inf)
    places = {name: k for k, name in enumerate(net.param_names)}
    if not isinstance(bounds, Mapping):
        raise InputTypeError(f"bounds: expected a mapping of names to (low, high), got {bounds!r}")
    for name, pair in bounds.items():
        if name not in places:
            raise ParameterError(
                f"bounds: {name!r} is not a parameter; "
                f"{no_such_name(name, tuple(places)) if len(places) < 100 else 'see param_names'}"
            )
        if name in net.frozen:
            raise ParameterError(f"bounds: {name!r} is frozen and cannot have bounds")
        lower[places[name]], upper[places[name]] = ends_of(name, pair)
    return lower, upper


def ends_of(name: str, pair: Ends) -> tuple[float, float]:
    """Return both ends of a bound, infinite where there is none."""
    try:
        low, high = pair
    except (TypeError, ValueError):
        raise ParameterError(
            f"bounds[{name!r}]: {pair!r}; expected (low, high), None for no bound"
        ) from None
    for end, value in (("low", low), ("high", high)):
        if not isinstance(value, int | float | np.integer | np.floating | None):
            raise InputTypeError(f"bounds[{name!r}]: {end} is {value!r}; expected a number")
    where = f"bounds[{name!r}]"
    low = -math.inf if low is None else as_float(where, low)
    high = math.inf if high is None else as_float(where, high)
    if not low <= high:
        raise ParameterError(f"{where}: low {low!r} is above high {high!r}")
    if low == math.inf or high == -math.inf:
        raise ParameterError(f"{where}: no finite number is between {low!r} and {high!r}")
    return low, high


def examples_of(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Vector, Vector, Vector | None, NDArray[np.bool_]]:
    """Make arrays of one shape, and a mask of those whose numbers are all finite."""
    inputs, targets = real_array(x, "x"), real_array(y, "y")
    if inputs.shape != targets.shape:
        raise ShapeError(f"y: shape {targets.shape}, expected the shape {inputs.shape} of x")
    finite = np.isfinite(inputs) & np.isfinite(targets)
    if sample_weight is None:
        return inputs, targets, None, finite
    weights = real_array(sample_weight, "sample_weight")
    if weights.shape != inputs.shape:
        raise ShapeError(
            f"sample_weight: shape {weights.shape}, expected the shape {inputs.shape} of x"
        )
    return inputs, targets, weights, finite & np.isfinite(weights)
