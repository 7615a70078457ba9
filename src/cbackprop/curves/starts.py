"""Candidates for the starts of a curve's parameters, from the range of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DISTANT", "SIGNS", "WIDTHS", "logs", "lopsided", "rates", "steps"]

Vector: TypeAlias = NDArray[np.float64]

_RATES: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0)
WIDTHS: Final = (0.02, 0.06, 0.15, 0.35, 0.8)
SIGNS: Final = (1.0, -1.0)
_PLACES: Final = np.linspace(-0.25, 1.25, 13)
DISTANT: Final = len(SIGNS) * len(_PLACES) * len(WIDTHS)


def _extent(x: Vector) -> tuple[float, float]:
    """Least value and length of the range; 1 if the length is 0."""
    low, high = float(x.min()), float(x.max())
    return low, high - low or 1.0


def logs(x: Vector) -> Vector:
    """Logarithms of the positive values."""
    positive = x[x > 0]
    return np.log(positive) if positive.size else np.zeros(1)


def rates(x: Vector) -> Iterator[float]:
    """Rates of growth and decay that are visible within the range of the data."""
    _, extent = _extent(x)
    return (sign * rate / extent for rate in _RATES for sign in SIGNS)


def steps(x: Vector, signs: Sequence[float] = SIGNS) -> Iterator[tuple[float, float]]:
    """Slopes and middles of sigmoids within the range of the data; each row has all widths."""
    low, extent = _extent(x)
    for sign, place, width in product(signs, _PLACES, WIDTHS):
        yield sign / (width * extent), low + place * extent


def lopsided(x: Vector) -> Iterator[tuple[float, float, float]]:
    """Slope, middle and power of such sigmoids raised to a power; the last are the DISTANT ones.

    These have a very large power, and the value 1/2 at the middle of the corresponding sigmoid.
    """
    for power in (0.3, 1.0, 3.0):
        for slope, middle in steps(x):
            yield slope, middle, power
    shift = math.log(2.0 ** (1.0 / 100.0) - 1.0)
    for slope, middle in steps(x):
        yield slope, middle + shift / slope, 100.0
