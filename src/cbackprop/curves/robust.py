"""The scale of a robust loss, found from the residuals of its own fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

if TYPE_CHECKING:
    from .._core import _Loss
    from .result import CurveFit

__all__ = ["PER_MAD", "SCALES", "fit_by_mad", "fit_with_scale"]

Vector: TypeAlias = NDArray[np.float64]

# In units of the standard deviation of normal errors: the scale at which the variance of a
# location is 1/0.95 of that of the mean. Those of "huber" and "cauchy" are of Holland and Welsch
# (1977); that of "soft_l1", by the same integral, is a test's.
SCALES: Final = {"huber": 1.345, "soft_l1": 1.287, "cauchy": 2.385}

PER_MAD: Final = 1.482602218505602  # the standard deviation of normal errors over their MAD
_MOST: Final = 100  # fits
_SAME: Final = 1e-8  # of the scale, from one fit to the next
_ROUNDING: Final = 1e-12  # of the largest y


def fit_by_mad(fit_at: Callable[[_Loss, float], CurveFit], loss: _Loss, given: str) -> CurveFit:
    """Fit with a robust loss whose scale is a multiple of the median of the absolute residuals.

    Raises
    ------
    ParameterError
        If the loss has no scale, if `given` is not "mad", or as for `fit_with_scale`.
    """
    if given != "mad":
        raise ParameterError(f"loss_scale: {given!r}; expected a positive number or 'mad'")
    if loss not in SCALES:
        raise ParameterError(f"loss_scale: 'mad' with the loss {loss!r}; expected {tuple(SCALES)}")
    return fit_with_scale(
        fit_at, loss, lambda fit: SCALES[loss] * PER_MAD * _median_of_residuals(fit)
    )


def fit_with_scale(
    fit_at: Callable[[_Loss, float], CurveFit], loss: _Loss, scale_of: Callable[[CurveFit], float]
) -> CurveFit:
    """Fit by least squares, then at the scale of the last fit until it is that of the fit itself.

    Raises
    ------
    ParameterError
        If the residuals that determine the scale are rounding errors.
    """
    fit = fit_at("squared", 1.0)
    for _ in range(_MOST):
        scale = scale_of(fit)
        if not scale > _ROUNDING * float(np.abs(fit.y).max()):
            raise ParameterError(
                f"y: no scale can be estimated, the middle of the residuals is {scale:.3g}; "
                "expected points that scatter about the curve"
            )
        if fit.loss == loss and abs(scale - fit.loss_scale) <= _SAME * scale:
            break
        fit = fit_at(loss, scale)
    return fit


def _median_of_residuals(fit: CurveFit) -> float:
    """Return that of the absolute ones; a point of weight 2 is one that is there twice."""
    sizes = np.abs(fit.y - np.asarray(fit(fit.x)))
    weights = np.ones_like(sizes) if fit.weights is None else fit.weights
    order = np.argsort(sizes, kind="stable")
    order = order[weights[order] > 0]
    below = np.cumsum(weights[order])
    half = 0.5 * float(below[-1])
    middle = int(np.searchsorted(below, half))
    after = middle + 1 if below[middle] == half else middle
    return 0.5 * (float(sizes[order[middle]]) + float(sizes[order[after]]))
