"""Dual numbers: arrays with their derivatives, for forward differentiation of short formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

__all__ = ["Dual", "Values"]

Values: TypeAlias = float | NDArray[np.float64]

# ufunc -> its partial derivatives, as functions of its value and its arguments.
_PARTIALS: Final[Mapping[np.ufunc, Callable[..., tuple[Values, ...]]]] = MappingProxyType(
    {
        np.add: lambda value, a, b: (1.0, 1.0),
        np.subtract: lambda value, a, b: (1.0, -1.0),
        np.multiply: lambda value, a, b: (b, a),
        np.true_divide: lambda value, a, b: (1.0 / b, -value / b),
        np.negative: lambda value, a: (-1.0,),
        np.exp: lambda value, a: (value,),
        np.log: lambda value, a: (1.0 / a,),
    }
)


class Dual(NDArrayOperatorsMixin):
    """Values with their derivatives by some variables.

    Parameters
    ----------
    value : ndarray
    slopes : mapping of int to float or ndarray
        Index of the variable -> derivative; for other variables it is 0.
    """

    def __init__(self, value: Values, slopes: Mapping[int, Values]) -> None:
        self.value, self.slopes = value, slopes

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute a function of dual numbers, with its derivatives by the chain rule."""
        if method != "__call__" or kwargs or ufunc not in _PARTIALS:
            return NotImplemented
        arguments = [given.value if isinstance(given, Dual) else given for given in inputs]
        value = ufunc(*arguments)
        slopes: dict[int, Values] = {}
        for given, partial in zip(inputs, _PARTIALS[ufunc](value, *arguments), strict=True):
            for variable, slope in given.slopes.items() if isinstance(given, Dual) else ():
                term = partial * slope
                slopes[variable] = slopes[variable] + term if variable in slopes else term
        return Dual(value, slopes)
