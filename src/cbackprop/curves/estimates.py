"""What is estimated with a fitted curve: values with a band, and inputs with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Inverse", "Prediction"]

Vector: TypeAlias = NDArray[np.float64]
_Value = TypeVar("_Value")


class Prediction(NamedTuple):
    """Values of the curve, with the lower and upper ends of a band."""

    value: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True, slots=True)
class Inverse(Generic[_Value]):
    """Inputs that give certain outputs; unpacked it gives value and stderr.

    Attributes
    ----------
    value : float or ndarray
        The inputs.
    stderr : float or ndarray
        Their standard errors, by the delta method.
    low, high : float or ndarray
        The ends of their intervals.
    """

    value: _Value
    stderr: _Value
    low: _Value
    high: _Value

    def __iter__(self) -> Iterator[_Value]:
        """Give value and stderr."""
        return iter((self.value, self.stderr))
