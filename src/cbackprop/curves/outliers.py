"""Points that do not belong to a curve, at a false discovery rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import LOSSES, t_quantile
from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number, number_of
from .distributions import distributions
from .result import CurveFit
from .robust import fit_with_scale

if TYPE_CHECKING:
    from .._core import _Loss

__all__ = ["Outliers", "outliers"]

Vector: TypeAlias = NDArray[np.float64]

_PART: Final = 68.27  # percent of normal errors that are within one standard deviation
_NOT_TESTED: Final = 0.7  # part of the points, those with the least residuals


@dataclass(frozen=True, eq=False)
class Outliers:
    """Which points are outliers of a curve.

    Attributes
    ----------
    flags : ndarray of bool
        True for outliers, in the order of the points of the fit.
    t : ndarray
        Residual of each point from `fit`, divided by the standard deviation that the other
        residuals let expect; NaN for points of weight 0.
    df : int
        Degrees of freedom of t: the number of points of weight above 0 less that of parameters.
    q : float
        The false discovery rate that was asked for.
    fit : CurveFit
        The robust fit.
    """

    flags: NDArray[np.bool_]
    t: Vector = field(repr=False)
    df: int
    q: float
    fit: CurveFit

    @property
    def p(self) -> Vector:
        """How probable so large a `t` of either sign is, by Student's t; needs SciPy."""
        return np.asarray(2.0 * distributions().stdtr(self.df, -np.abs(self.t)))

    def __str__(self) -> str:
        """Return a table of the outliers."""
        found = np.flatnonzero(self.flags)
        lines = [
            f"{len(found)} of {len(self.flags)} points at a false discovery rate of {self.q:g}"
        ]
        if found.size:
            lines.append(f"{'point':>6}  {'x':>12}  {'y':>12}  {'curve':>12}  {'t':>9}")
        lines += [
            f"{i:>6}  {self.fit.x[i]:>12.6g}  {self.fit.y[i]:>12.6g}"
            f"  {float(self.fit(self.fit.x[i])):>12.6g}  {self.t[i]:>9.3f}"
            for i in found.tolist()
        ]
        return "\n".join(lines)


def outliers(fit: CurveFit, q: Number = 0.01) -> Outliers:
    """Find points that are too far from the curve to belong to it.

    The curve is fitted again with the loss "cauchy", on which outliers have little effect. The
    largest residuals are tested against the scatter of the smaller ones, with a correction for the
    number of tests. To fit the curve without the outliers:
    ``curve.fit(x[~found.flags], y[~found.flags])``.

    Parameters
    ----------
    fit : CurveFit
        A fit of the points, by least squares or a robust loss, such as ``fits[i]`` of many. Its
        fixed parameters, bounds, `sample_weight` and weights of "1/y" or "1/y2" hold for the robust
        fit too. The fit of one of several groups is repeated with the points of this group alone.
    q : float, default 0.01
        False discovery rate: the fraction of the flagged points that are not outliers, on average.

    Returns
    -------
    Outliers

    Raises
    ------
    InputTypeError
        If `fit` is no fit of a curve, or `q` no number.
    ParameterError
        If the variance of the loss is known ("log", "poisson") or grows with the curve ("power",
        "box_cox": use ``weights="1/y"`` or ``"1/y2"``), no degree of freedom is left, `q` is not
        from 0 to below 1, or the residuals are rounding errors.

    Notes
    -----
    This is a method of Motulsky and Brown (2006), written from their description. With n points, k
    parameters and the 68.27th percentile P of the absolute residuals (interpolated linearly), the
    scale of the loss is P n / (n - k), at which the fit is repeated until it no longer changes. The
    two-sided P values of t = residual / scale, Student's with n - k degrees of freedom, are
    those of a step-up test (Benjamini and Hochberg 1995) of the 30 % largest residuals among n.
    Where points have weights, t is made of residuals times the square root of the weight.

    References
    ----------
    Motulsky, H. J. and Brown, R. E. (2006), Detecting outliers when fitting data with nonlinear
    regression, BMC Bioinformatics 7, 123.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 3.66, 9.02, 9.66, 9.92]
    >>> found = curves.outliers(curves.hill.fit(x, y))
    >>> print(found)
    1 of 9 points at a false discovery rate of 0.01
     point             x             y         curve          t
         5            30          3.66       7.46643    -72.438
    >>> x, y = [[v for v, out in zip(z, found.flags) if not out] for z in (x, y)]
    >>> round(curves.hill.fit(x, y).params["ec50"], 2)
    10.47
    """
    if not isinstance(fit, CurveFit):
        raise InputTypeError(f"fit: expected a CurveFit, got {fit!r}")
    q = number_of("q", q, 0.0, 1.0)
    if LOSSES[fit.loss].dispersion > 0:
        raise ParameterError(
            f"fit: the variance of the loss {fit.loss!r} is known; expected another"
        )
    if fit.loss in ("power", "box_cox"):
        raise ParameterError(
            f"fit: the errors of the loss {fit.loss!r} grow with the curve; expected a fit with "
            "weights='1/y' or '1/y2'"
        )
    weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
    kept = weights > 0
    n = int(kept.sum())
    df = n - fit.n_parameters
    if df < 1:
        raise ParameterError(f"fit: {n} points for {fit.n_parameters} parameters; expected more")

    def scale_of(residuals: Vector) -> float:
        return float(np.percentile(np.abs(residuals[kept]), _PART)) * n / df

    def residuals_of(robust: CurveFit) -> Vector:
        return np.asarray(robust.y - robust(robust.x))

    again = partial(
        fit.curve.fit,
        fit.x,
        fit.y,
        sample_weight=fit.weights,
        fixed={name: fit.params[name] for name in fit.fixed},
        bounds=fit.bounds,
    )

    def fit_at(loss: _Loss, scale: float) -> CurveFit:
        return again(loss=loss, loss_scale=scale)

    robust = fit_with_scale(fit_at, "cauchy", lambda found: scale_of(residuals_of(found)))
    with np.errstate(invalid="ignore"):  # a curve may be infinite where the weight is 0
        weighted = residuals_of(robust) * np.sqrt(weights)
    t = np.where(kept, weighted / scale_of(weighted), np.nan)
    return Outliers(kept & (np.abs(t) >= _least(np.sort(np.abs(t[kept])), df, q)), t, df, q, robust)


def _least(ordered: Vector, df: int, q: float) -> float:
    """Return the least absolute t of an outlier, by Benjamini and Hochberg; infinite if none."""
    n = len(ordered)
    for rank in range(max(int(_NOT_TESTED * n), 1), n + 1):
        if ordered[rank - 1] >= t_quantile(1.0 - 0.5 * q * (n - rank + 1) / n, df):
            return float(ordered[rank - 1])
    return float("inf")
