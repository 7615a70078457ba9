"""The covariance of a fitted curve's parameters, in the coordinates in which the core fits.

A coordinate is the logarithm of a natural parameter that is positive by nature, else the parameter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import LOSSES
from .matrices import inverse_definite, inverse_triangle, product

if TYPE_CHECKING:
    from .._core import _Loss
    from .curve import Curve

__all__ = [
    "DETERMINED",
    "DIVERGES",
    "Fitted",
    "Places",
    "dispersion_of",
    "exact_covariance",
    "exact_group_covariances",
    "sandwich_covariance",
    "slopes_at",
    "with_known_variance",
]

Vector: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]
DETERMINED, FROZEN, DIVERGES = 0, 1, 4  # of enum cbp_determined
_ALONE: Final = 1e-10  # 1 - leverage of a point that alone determines a parameter
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


def half_hessian(
    curve: Curve,
    found: Fitted,
    data: tuple[Vector, Vector, Vector | None],
    loss: _Loss,
    loss_scale: float,
) -> Vector:
    """Compute half the exact Hessian of the summed loss, by the coordinates."""
    x, y, weights = data
    natural, chain = found.natural, curve.chain_with(found.params)
    options: dict[str, Any] = {"loss": loss, "loss_scale": loss_scale, "sample_weight": weights}
    gradient = chain.gradient(x, y, **options)
    slopes = slopes_at(curve, natural)
    hessian = product(slopes.T, product(chain.hessian(x, y, **options), slopes))
    for k, kind in enumerate(found.determined):  # the chain's derivatives change with coordinate k
        if kind != DETERMINED:
            continue
        is_log = curve.parameters[k] in curve.positive
        step = _DIFFERENCE * (1.0 if is_log else max(1.0, abs(natural[k])))
        ends = []
        for sign in (1.0, -1.0):
            moved = natural.copy()
            moved[k] = moved[k] * math.exp(sign * step) if is_log else moved[k] + sign * step
            ends.append(product(gradient[None], slopes_at(curve, moved))[0])
        hessian[k] += (ends[0] - ends[1]) / (2.0 * step)
    weight = len(y) if weights is None else float(weights.sum())
    return np.asarray(0.5 * weight * hessian)


def exact_covariance(
    curve: Curve,
    found: Fitted,
    data: tuple[Vector, Vector, Vector | None],
    loss: _Loss,
    loss_scale: float,
) -> Vector:
    """Compute the covariance of the coordinates from the exact Hessian of the loss."""
    moving = _moving(found)
    half = half_hessian(curve, found, data, loss, loss_scale)
    known = found.covariance.copy()
    inverse = inverse_definite(half[np.ix_(moving, moving)])
    if inverse is None:
        known[moving] = known[:, moving] = math.nan
        known[moving, moving] = math.inf
    else:
        known[np.ix_(moving, moving)] = dispersion_of(found, loss) * inverse
    return known


def sandwich_covariance(
    curve: Curve, found: Fitted, data: tuple[Vector, Vector, Vector | None], loss: _Loss
) -> Vector:
    """Compute the covariance of the coordinates by HC3, which supposes no variances.

    With the derivatives J of the curve, weights W divided by the variance that the loss supposes,
    and leverages h, it is (J'WJ)^-1 J'W diag(residual / (1 - h))^2 WJ (J'WJ)^-1.
    """
    x, y, weights = data
    moving, chain = _moving(found), curve.chain_with(found.params)
    value = np.asarray(chain.forward(x))
    supposed = {"log": value * (1.0 - value), "poisson": value}.get(loss, np.ones_like(y))
    roots = np.sqrt((1.0 if weights is None else weights) / supposed)
    roots[~np.isfinite(roots)] = 0.0
    slopes = slopes_at(curve, found.natural)[:, moving]
    scaled = product(np.asarray(chain.jacobian(x)), slopes) * roots[:, None]
    inverse = inverse_triangle(scaled)
    q = product(scaled, inverse)
    left = 1.0 - (q * q).sum(axis=1)
    known = found.covariance.copy()
    if (left < _ALONE).any():  # nothing is known of the scatter at a point that is always met
        known[moving] = known[:, moving] = math.nan
        known[moving, moving] = math.inf
        return known
    scores = product(q * (roots * (y - value) / left)[:, None], inverse.T)
    known[np.ix_(moving, moving)] = product(scores.T, scores)
    return known


def with_known_variance(found: Fitted) -> Fitted:
    """Return what was found, if the variance of an observation of weight 1 is 1."""
    kinds = found.determined
    free = [k for k, kind in enumerate(kinds) if kind != FROZEN and k != found.fixed_at]
    size = len(free)
    triangle = found.triangle.reshape(-1)[: (size + 1) ** 2].reshape(size + 1, size + 1)
    moving = [j for j, k in enumerate(free) if kinds[k] in (DETERMINED, DIVERGES)]
    inverse = inverse_triangle(triangle[:size, moving])
    places = [free[j] for j in moving]
    covariance = found.covariance.copy()
    covariance[np.ix_(places, places)] = product(inverse, inverse.T)
    return found._replace(covariance=covariance, variance=1.0, df=math.inf)


def exact_group_covariances(
    curve: Curve,
    found: list[Fitted],
    data: list[tuple[Vector, Vector, Vector | None]],
    loss: _Loss,
    loss_scale: float,
    values: list[tuple[Places, Places, Vector]],
    among: Vector,
) -> tuple[Vector, list[Vector]]:
    """Compute the covariances of shared values and of each group, as `exact_covariance`.

    The Hessian of all parameters is eliminated group by group: H_ss - H_so H_oo^-1 H_os is what a
    group says of the shared values; `values` has its shared parameters, the places of their values
    among all, and the derivatives of the former by these.
    """
    total = np.zeros_like(among)
    parts = []
    for one, points, (shared, places, slope) in zip(found, data, values, strict=True):
        moving = _moving(one)
        kept = moving[shared]
        own, common, at = np.setdiff1d(np.flatnonzero(moving), shared), shared[kept], places[kept]
        half = half_hessian(curve, one, points, loss, loss_scale)
        inverse = _inverse_or_nan(half[np.ix_(own, own)])
        across = product(inverse, half[np.ix_(own, common)])
        rest = half[np.ix_(common, common)] - product(half[np.ix_(common, own)], across)
        slopes = np.outer(slope[kept], slope[kept])
        total[np.ix_(at, at)] += slopes * rest
        parts.append((own, common, at, slopes, inverse, across))
    known = np.isfinite(among.diagonal()) & (among.diagonal() > 0)
    factor = dispersion_of(found[0], loss)
    exact, matrices = among.copy(), []
    exact[np.ix_(known, known)] = factor * _inverse_or_nan(total[np.ix_(known, known)])
    for one, (own, common, at, slopes, inverse, across) in zip(found, parts, strict=True):
        matrix = one.covariance.copy()
        block = slopes * exact[np.ix_(at, at)]
        matrix[np.ix_(common, common)] = block
        matrix[np.ix_(own, common)] = -product(across, block)
        matrix[np.ix_(common, own)] = matrix[np.ix_(own, common)].T
        matrix[np.ix_(own, own)] = factor * inverse + product(product(across, block), across.T)
        matrices.append(matrix)
    return exact, matrices


def _inverse_or_nan(matrix: Vector) -> Vector:
    inverse = inverse_definite(matrix)
    return np.full_like(matrix, math.nan) if inverse is None else inverse


def _moving(found: Fitted) -> NDArray[np.bool_]:
    return np.array([kind == DETERMINED for kind in found.determined])


def dispersion_of(found: Fitted, loss: str) -> float:
    """Return the variance of an observation of weight 1: that of the loss, or the estimate."""
    dispersion = LOSSES[loss].dispersion
    return dispersion if dispersion > 0 else found.variance
