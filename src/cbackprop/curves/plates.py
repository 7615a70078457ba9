"""Plates with controls: percent of the controls, and how well these are separated."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import real_array
from ..errors import ParameterError, ShapeError
from .robust import PER_MAD

__all__ = ["percent_of_controls", "z_factor"]

Vector: TypeAlias = NDArray[np.float64]


def percent_of_controls(
    y: ArrayLike, negative: ArrayLike, positive: ArrayLike, *, robust: bool = False
) -> Vector:
    """Express readings of a plate in percent of its controls.

    Parameters
    ----------
    y : array_like, shape (..., n)
        Readings; NaN stays NaN. The last axis is a plate.
    negative, positive : array_like, shape (k,) or (..., k)
        Readings of the controls that are 0 % and 100 %, the same for all plates or those of each.
        For percent of inhibition these are the wells without inhibition and those with all of it.
    robust : bool, default False
        Whether medians of the controls are used in place of means.

    Returns
    -------
    ndarray
        100 (y - negative) / (positive - negative), of the shape of y.

    Raises
    ------
    ShapeError
        If shapes do not match.
    ParameterError
        If there is no control, one is not finite, or both are the same on a plate.

    Examples
    --------
    >>> from cbackprop import curves
    >>> curves.percent_of_controls([130, 480, 820], [95, 105, 100], [1010, 990, 1000]).round(2)
    array([ 3.33, 42.22, 80.  ])
    """
    readings = real_array(y, "y")
    plates = readings.shape[:-1]
    low, high = (
        _middle(_controls(name, values, plates, 1), robust=robust)
        for name, values in (("negative", negative), ("positive", positive))
    )
    _check_apart(low, high)
    return np.asarray(100.0 * (readings - low) / (high - low))


def z_factor(negative: ArrayLike, positive: ArrayLike, *, robust: bool = False) -> float | Vector:
    """Compute how well the controls of a plate are separated: the Z' factor.

    Above 0.5 an assay is usually called excellent; 0 or less means that the controls overlap.

    Parameters
    ----------
    negative, positive : array_like, shape (k,) or (..., k)
        Readings of the controls, at least two of each; the last axis is a plate.
    robust : bool, default False
        Whether medians and 1.4826 times the median absolute deviations are used in place of means
        and standard deviations, so that single outliers do not matter.

    Returns
    -------
    float or ndarray
        1 - 3 (sd of positive + sd of negative) / abs(difference of their means), for each plate.

    Raises
    ------
    ShapeError
        If shapes do not match.
    ParameterError
        If there are fewer than two controls, one is not finite, or both are the same on a plate.

    References
    ----------
    Zhang, J.-H., Chung, T. D. Y. and Oldenburg, K. R. (1999), A simple statistical parameter for
    use in evaluation and validation of high throughput screening assays, Journal of Biomolecular
    Screening 4, 67-73.

    Examples
    --------
    >>> from cbackprop import curves
    >>> round(curves.z_factor([95, 105, 100], [1010, 990, 1000]), 3)
    0.95
    """
    plates = np.shape(negative)[:-1]
    low = _controls("negative", negative, plates, 2)
    high = _controls("positive", positive, plates, 2)
    if plates != high.shape[:-1]:
        raise ShapeError(f"positive: shape {high.shape}; expected plates as in {low.shape}")
    middles = _middle(low, robust=robust), _middle(high, robust=robust)
    _check_apart(*middles)
    spread = sum(
        PER_MAD * np.median(np.abs(values - middle), axis=-1)
        if robust
        else values.std(axis=-1, ddof=1)
        for values, middle in zip((low, high), middles, strict=True)
    )
    factor = 1.0 - 3.0 * spread / np.abs(middles[1] - middles[0])[..., 0]
    return np.asarray(factor) if plates else float(factor)


def _controls(argument: str, values: ArrayLike, plates: tuple[int, ...], least: int) -> Vector:
    """Check controls of all plates or of each, of which there must be so many at least."""
    array = real_array(values, argument)
    if array.ndim == 0 or array.shape[-1] < least:
        raise ParameterError(f"{argument}: shape {array.shape}; expected at least {least} controls")
    if array.ndim > 1 and array.shape[:-1] != plates:
        raise ShapeError(
            f"{argument}: shape {array.shape}; expected (controls,) or plates {plates} first"
        )
    if not np.isfinite(array).all():
        bad = float(array[~np.isfinite(array)][0])
        raise ParameterError(f"{argument}: {bad!r}; expected finite readings")
    return np.asarray(array)


def _middle(values: Vector, *, robust: bool) -> Vector:
    return np.asarray((np.median if robust else np.mean)(values, axis=-1, keepdims=True))


def _check_apart(low: Vector, high: Vector) -> None:
    same = np.argwhere(low == high)
    if same.size:
        where = f" of plate {tuple(same[0][:-1].tolist())}" if same.shape[1] > 1 else ""
        raise ParameterError(
            f"positive: the middle of the controls{where} is that of negative; expected another"
        )
