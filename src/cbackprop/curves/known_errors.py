"""Errors that are known: the test of a fit with known deviations, and means of replicates."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import real_array
from ..errors import InputTypeError, ParameterError, ShapeError
from .distributions import distributions
from .result import CurveFit

__all__ = ["GoodnessOfFit", "expand_means", "goodness_of_fit"]

Vector: TypeAlias = NDArray[np.float64]


class GoodnessOfFit(NamedTuple):
    """A test of a fit against the known standard deviations of the errors.

    Attributes
    ----------
    chi_squared : float
        sum(((y - curve) / sd)^2).
    df : int
        Degrees of freedom.
    p : float
        How probable so large a sum is if the curve and the standard deviations are right.
    """

    chi_squared: float
    df: int
    p: float


def goodness_of_fit(fit: CurveFit) -> GoodnessOfFit:
    """Test whether residuals are as large as the known standard deviations say; needs SciPy.

    Parameters
    ----------
    fit : CurveFit
        A fit with ``absolute_sigma=True``.

    Returns
    -------
    GoodnessOfFit

    Raises
    ------
    InputTypeError
        If `fit` is not a CurveFit.
    ParameterError
        If its standard deviations are not known, or no degree of freedom is left.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x, y, sd = [1, 2, 3, 4], [1.2, 1.8, 3.3, 3.9], [0.2, 0.2, 0.2, 0.4]
    >>> weights = [1 / s**2 for s in sd]
    >>> fit = curves.linear.fit(x, y, sample_weight=weights, absolute_sigma=True)
    >>> found = curves.goodness_of_fit(fit)
    >>> round(found.chi_squared, 3), found.df, round(found.p, 3)
    (3.73, 2, 0.155)
    """
    if not isinstance(fit, CurveFit):
        raise InputTypeError(f"fit: expected a CurveFit, got {fit!r}")
    if not fit.absolute_sigma:
        raise ParameterError("fit: expected one with absolute_sigma=True")
    if fit.df < 1:
        raise ParameterError("fit: no degree of freedom is left")
    return GoodnessOfFit(fit.rss, fit.df, float(distributions().chdtrc(fit.df, fit.rss)))


def expand_means(
    x: ArrayLike, mean: ArrayLike, sd: ArrayLike, count: ArrayLike
) -> tuple[Vector, Vector]:
    """Make replicates that have given means and standard deviations.

    A least-squares fit to them is the fit to the replicates that the means are of: with the same
    parameters, standard errors, degrees of freedom and lack of fit, since these depend on the
    replicates only by their means and standard deviations.

    Parameters
    ----------
    x, mean, sd : array_like
        Inputs, means and standard deviations (with n - 1) of replicates. The sd of one replicate
        alone does not count.
    count : array_like of int
        Numbers of replicates; one for all, or one for each x.

    Returns
    -------
    x, y : ndarray
        One after the other for each x.

    Raises
    ------
    ShapeError
        If shapes differ.
    ParameterError
        If a count is not a positive integer, or a standard deviation negative or not finite.

    Notes
    -----
    Of n replicates all but one are mean + sd / sqrt(n), and one is mean - (n - 1) sd / sqrt(n).

    Examples
    --------
    >>> from cbackprop import curves
    >>> x, y = curves.expand_means([1, 2], [5.0, 7.0], [0.3, 0.4], 3)
    >>> x.tolist(), y.round(3).tolist()
    ([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [5.173, 5.173, 4.654, 7.231, 7.231, 6.538])
    """
    inputs, means = real_array(x, "x").reshape(-1), real_array(mean, "mean").reshape(-1)
    deviations = real_array(sd, "sd").reshape(-1)
    given = real_array(count, "count")
    if not len(inputs) == len(means) == len(deviations) or given.size not in (1, len(inputs)):
        raise ShapeError(
            f"x, mean, sd and count: {len(inputs)}, {len(means)}, {len(deviations)} and "
            f"{given.size} numbers; expected as many of each"
        )
    if not ((given >= 1) & (given == np.floor(given)) & np.isfinite(given)).all():
        raise ParameterError(f"count: {count!r}; expected positive integers")
    counts = np.broadcast_to(given.reshape(-1).astype(np.intp), inputs.shape)
    deviations = np.where(counts > 1, deviations, 0.0)
    if not ((deviations >= 0) & np.isfinite(deviations)).all():
        raise ParameterError(f"sd: {sd!r}; expected finite numbers of 0 or more")
    steps = deviations / np.sqrt(counts)
    y = np.repeat(means + steps, counts)
    y[np.cumsum(counts) - 1] = means - (counts - 1) * steps
    return np.repeat(inputs, counts), y
