"""Checks of arguments that the fits of one curve and of groups have in common."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Count, Number, count_of, examples_of, number_of

__all__ = ["between", "check_covariance", "options_of", "points_of"]

Vector: TypeAlias = NDArray[np.float64]


def between(argument: str, value: Number, high: int) -> float:
    """Return a number between 0 and `high`; raise if it is none."""
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise InputTypeError(f"{argument}: {value!r}; expected a number between 0 and {high}")
    if not 0 < value < high:
        raise ParameterError(f"{argument}: {value!r}; expected between 0 and {high}")
    return float(value)


def check_covariance(covariance: str, kinds: tuple[str, ...] = ("gauss-newton", "hessian")) -> None:
    """Raise ParameterError if there is no such covariance."""
    if covariance not in kinds:
        expected = f"{', '.join(map(repr, kinds[:-1]))} or {kinds[-1]!r}"
        raise ParameterError(f"covariance: {covariance!r}; expected {expected}")


def options_of(max_iterations: Count | None, tolerance: Number | None) -> tuple[int, float]:
    """Return the number of iterations and the tolerance, by default 2000 and 1e-10."""
    return (
        count_of("max_iterations", max_iterations, 2000),
        number_of("tolerance", 1e-10 if tolerance is None else tolerance, 0.0, math.inf),
    )


def points_of(
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    nan_policy: str,
    *,
    has_log_doses: bool,
) -> tuple[tuple[Vector, Vector, Vector | None], NDArray[np.bool_]]:
    """Make flat arrays, without the points to be left out, and say which are kept."""
    inputs, targets, weights, finite = examples_of(x, y, sample_weight)
    if has_log_doses:
        is_zero_dose = np.isneginf(inputs)
        *_, finite = examples_of(np.where(is_zero_dose, 0.0, inputs), targets, weights)
    inputs, targets, finite = inputs.reshape(-1), targets.reshape(-1), finite.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    if nan_policy not in ("raise", "omit"):
        raise ParameterError(f"nan_policy: {nan_policy!r}; expected 'raise' or 'omit'")
    if finite.all():
        return (inputs, targets, weights), finite
    if nan_policy == "raise":
        i = int(np.flatnonzero(~finite)[0])
        weight = "" if weights is None else f", weight = {float(weights[i])!r}"
        raise ParameterError(
            f"point {i} is not finite: x = {float(inputs[i])!r}, y = {float(targets[i])!r}{weight} "
            "(nan_policy='omit' leaves such points out)"
        )
    kept = None if weights is None else weights[finite]
    return (inputs[finite], targets[finite], kept), finite
