"""The covariance of a fitted curve's parameters, in the coordinates in which the core fits.

A coordinate is the logarithm of a natural parameter that is positive by nature, else the parameter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import LOSSES, Chain
from .matrices import inverse_triangle, product, semidefinite_root

if TYPE_CHECKING:
    from .._core import _Loss
    from .curve import Curve

__all__ = ["DETERMINED", "DIVERGES", "Fitted", "exact_covariance", "slopes_at"]

Vector: TypeAlias = NDArray[np.float64]
DETERMINED, DIVERGES = 0, 4  # of enum cbp_determined
_DIFFERENCE: Final = 1e-5  # a step of coordinates


class Fitted(NamedTuple):
    """What the core has found, as `_core.fit_curve` returns it."""

    natural: Vector
    params: Vector
    covariance: Vector
    determined: bytes
    triangle: Vector
    variance: float
    loss: float
    df: float
    outcome: int
    n_iterations: int
    n_evaluations: int
    fixed_at: int
    n_examples: float
    weight: float
    log_weight: float
    rss: float
    total_squares: float


def slopes_at(curve: Curve, natural: Vector) -> Vector:
    """Return the derivatives (2L, p) of the chain's parameters by the coordinates."""
    _, slopes = _core.curve_chain(curve.row, natural)
    positive = [name in curve.positive for name in curve.parameters]
    return np.asarray(slopes * np.where(positive, natural, 1.0))


def exact_covariance(
    curve: Curve,
    chain: Chain,
    found: Fitted,
    data: tuple[Vector, Vector, Vector | None],
    loss: _Loss,
    loss_scale: float,
) -> Vector:
    """Compute the covariance of the coordinates from the exact Hessian of the loss."""
    x, y, weights = data
    natural = found.natural
    moving = np.array([kind == DETERMINED for kind in found.determined])
    options: dict[str, Any] = {"loss": loss, "loss_scale": loss_scale, "sample_weight": weights}
    gradient = chain.gradient(x, y, **options)
    slopes = slopes_at(curve, natural)
    hessian = product(slopes.T, product(chain.hessian(x, y, **options), slopes))
    for k in np.flatnonzero(moving).tolist():  # the chain's derivatives change with coordinate k
        is_log = curve.parameters[k] in curve.positive
        step = _DIFFERENCE * (1.0 if is_log else max(1.0, abs(natural[k])))
        ends = []
        for sign in (1.0, -1.0):
            moved = natural.copy()
            moved[k] = moved[k] * math.exp(sign * step) if is_log else moved[k] + sign * step
            ends.append(product(gradient[None], slopes_at(curve, moved))[0])
        hessian[k] += (ends[0] - ends[1]) / (2.0 * step)
    weight = len(y) if weights is None else float(weights.sum())
    half = 0.5 * weight * hessian[np.ix_(moving, moving)]
    scales = np.sqrt(half.diagonal())
    root = semidefinite_root(half / np.outer(scales, scales))
    known = found.covariance.copy()
    if not (np.isfinite(root).all() and (root.diagonal() > 0).all()):
        known[moving] = known[:, moving] = math.nan
        known[moving, moving] = math.inf
        return known
    inverse = inverse_triangle(root.T) / scales[:, None]
    dispersion = LOSSES[loss].dispersion
    factor = dispersion if dispersion > 0 else found.variance
    known[np.ix_(moving, moving)] = factor * product(inverse, inverse.T)
    return known
