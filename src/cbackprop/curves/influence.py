"""How much each point influences a fit: leverage, studentised residuals, Cook's distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InputTypeError, ParameterError
from .covariance import DETERMINED, slopes_at
from .matrices import inverse_triangle, product
from .result import CurveFit

__all__ = ["Influence", "influence"]

Vector: TypeAlias = NDArray[np.float64]

_SHOWN: Final = 10  # points of the table
_ALONE: Final = 1e-10  # 1 - leverage of a point that alone determines a parameter


@dataclass(frozen=True, eq=False)
class Influence:
    """The influence of each point on a fit; all arrays are in the order of the points.

    Attributes
    ----------
    leverage : ndarray
        How much the curve at the point follows its y, from 0 to 1; the sum is the number of
        parameters.
    standardized : ndarray
        Residuals divided by their standard deviation, "internally studentised".
    studentized : ndarray
        The same with the residual standard deviation of a fit without the point, "externally
        studentised": they have Student's t distribution with df - 1 degrees of freedom. NaN if
        that is 0.
    cooks_distance : ndarray
        By how much the curve moves if the point is left out, in units of its uncertainty.
    fit : CurveFit
    """

    leverage: Vector = field(repr=False)
    standardized: Vector = field(repr=False)
    studentized: Vector = field(repr=False)
    cooks_distance: Vector = field(repr=False)
    fit: CurveFit

    def __str__(self) -> str:
        """Return a table of the points with the largest Cook's distance, at most ten."""
        order = np.argsort(-self.cooks_distance, kind="stable")[:_SHOWN]
        lines = [
            f"{'point':>6}  {'x':>12}  {'y':>12}  {'leverage':>8}  {'studentized':>11}  {'Cook':>9}"
        ]
        lines += [
            f"{i:>6}  {self.fit.x[i]:>12.6g}  {self.fit.y[i]:>12.6g}  {self.leverage[i]:>8.4f}"
            f"  {self.studentized[i]:>11.4f}  {self.cooks_distance[i]:>9.4g}"
            for i in order.tolist()
        ]
        return "\n".join(lines)


def influence(fit: CurveFit) -> Influence:
    """Compute how much each point influences a fit.

    Parameters
    ----------
    fit : CurveFit
        A least-squares fit of one curve that has converged, whose parameters are identified.

    Returns
    -------
    Influence
        Residuals and distances are NaN for points of weight 0, and for a point that alone
        determines a parameter, whose leverage is 1.

    Raises
    ------
    InputTypeError
        If `fit` is no fit of a curve.
    ParameterError
        If the fit has another loss, is one of groups, has no minimum or parameters that are not
        identified, if no degree of freedom is left, or if all residuals are 0.

    Notes
    -----
    With the weighted derivatives J = QR of the curve by the p parameters that moved, at its minimum
    the leverage h of a point is the sum of squares of its row of Q. With its weighted residual e
    and the residual variance s^2, the residuals are e / (s sqrt(1 - h)), with s^2 replaced by
    (df s^2 - e^2 / (1 - h)) / (df - 1) for the second ones, and Cook's distance is
    e^2 h / (p s^2 (1 - h)^2). For curves that are not linear in their parameters these describe the
    tangent plane (St. Laurent and Cook 1992).

    References
    ----------
    Cook, R. D. and Weisberg, S. (1982), Residuals and Influence in Regression, Chapman and Hall.
    St. Laurent, R. T. and Cook, R. D. (1992), Leverage and superleverage in nonlinear regression,
    Journal of the American Statistical Association 87, 985-990.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> found = curves.influence(curves.hill.fit(x, y))
    >>> found.leverage.round(3)
    array([0.011, 0.064, 0.287, 0.527, 0.527, 0.536, 0.372, 0.676])
    """
    if not isinstance(fit, CurveFit):
        raise InputTypeError(f"fit: expected a CurveFit, got {fit!r}")
    if fit.loss != "squared":
        raise ParameterError(f"fit: its loss is {fit.loss!r}; expected 'squared'")
    if fit.status != "converged":
        raise ParameterError(f"fit: expected a minimum and identified parameters ({fit.message})")
    weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
    counted = weights > 0
    found = fit._found
    moved = np.array([kind == DETERMINED for kind in found.determined])
    p = int(moved.sum())
    if fit.df != int(counted.sum()) - p:
        raise ParameterError("fit: one of groups; expected a fit of one curve")
    if fit.df < 1:
        raise ParameterError("fit: no degree of freedom is left")
    if fit.rss == 0:
        raise ParameterError("fit: all residuals are 0")
    roots = np.sqrt(weights)
    with np.errstate(all="ignore"):
        slopes = slopes_at(fit.curve, found.natural)[:, moved]
        derivatives = product(fit.chain.jacobian(fit.x), slopes) * roots[:, None]
        q = product(derivatives, inverse_triangle(derivatives))
        leverage = np.minimum((q * q).sum(axis=1), 1.0)
        left = np.where(counted & (leverage < 1.0 - _ALONE), 1.0 - leverage, np.nan)
        squares = (roots * (fit.y - np.asarray(fit(fit.x)))) ** 2 / left
        signs = np.sign(fit.y - np.asarray(fit(fit.x)))
        variance = fit.rss / fit.df
        others = (fit.rss - squares) / (fit.df - 1) if fit.df > 1 else np.full_like(left, np.nan)
        return Influence(
            leverage,
            signs * np.sqrt(squares / variance),
            signs * np.sqrt(squares / np.maximum(others, 0.0)),
            squares * leverage / (left * p * variance),
            fit,
        )
