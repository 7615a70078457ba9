"""Combination of the potencies of independent assays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number
from .arguments import between
from .distributions import distributions
from .ratios import Estimate, exp, log, quantile_of

__all__ = ["Combination", "combine"]

_Given: TypeAlias = Estimate | tuple[Number, Number, Number, Number]


@dataclass(frozen=True)
class Combination:
    """A mean of potencies.

    Attributes
    ----------
    method : str
        "weighted", "semi-weighted" or "unweighted".
    value : float
        The mean potency: exp of the mean of the logarithms.
    log_stderr : float
        Standard error of that mean of logarithms.
    low, high, level : float
        The ends of its confidence interval, and the confidence level.
    df : float
        Degrees of freedom of the interval.
    chi_squared : float
        Statistic of the test of homogeneity, on the scale of logarithms: the sum of the squared
        distances from the weighted mean, each divided by its variance. Its degrees of freedom are
        the number of potencies less 1.
    between_variance : float
        Variance of the logarithm of the potency between assays; 0 if the estimate is negative.
    weights : tuple of float
        Weights of the potencies; their sum is 1.
    """

    method: str
    value: float
    log_stderr: float
    low: float
    high: float
    level: float
    df: float
    chi_squared: float
    between_variance: float
    weights: tuple[float, ...]

    @property
    def p(self) -> float:
        """How probable so large a `chi_squared` is if all potencies are equal; needs SciPy."""
        return float(distributions().chdtrc(len(self.weights) - 1, self.chi_squared))

    def __str__(self) -> str:
        """Return two lines."""
        return (
            f"{self.method} mean of {len(self.weights)} potencies {self.value:.6g}, "
            f"{100 * self.level:g}% interval {self.low:.6g} to {self.high:.6g}\n"
            f"homogeneity: chi squared = {self.chi_squared:.6g} on {len(self.weights) - 1} df, "
            f"standard deviation between assays {math.sqrt(self.between_variance):.4g}"
        )


def combine(
    potencies: Iterable[_Given],
    *,
    method: Literal["weighted", "semi-weighted", "unweighted"] = "weighted",
    level: Number = 0.95,
) -> Combination:
    """Combine the potencies of independent assays.

    Parameters
    ----------
    potencies : iterable of Estimate, or of (value, low, high, df)
        At least two, with the ends of their intervals; those of tuples have the confidence
        `level`. An infinite df is for intervals by the normal distribution.
    method : {"weighted", "semi-weighted", "unweighted"}
        Whether the logarithms of potencies have weights of 1 / variance, which is right if the
        assays are homogeneous; or 1 / (variance + variance between assays); or all the same weight.
    level : float, default 0.95
        Confidence level of the interval.

    Returns
    -------
    Combination

    Raises
    ------
    InputTypeError
        If a potency is neither an Estimate nor four numbers.
    ParameterError
        If there are fewer than two; a potency is not above 0 or has an interval without a finite
        width around it; or `method` or `level` is wrong.

    Notes
    -----
    The variance of a logarithm is (width of its interval / (2 t))^2. The variance between assays is
    Cochran's: the sample variance of the logarithms less the mean of their variances. The interval
    has Student's t with the sum of all df for "weighted" means, else with one df fewer than there
    are assays.

    References
    ----------
    European Pharmacopoeia, chapter 5.3, section 6; USP <1034>, combination of independent assays.
    R. DerSimonian and R. Kacker, Contemp. Clin. Trials 28 (2007), 105-114: the variance between.

    Examples
    --------
    >>> from cbackprop import curves
    >>> assays = [(1.02, 0.95, 1.10, 20), (0.97, 0.90, 1.05, 20), (1.06, 0.97, 1.16, 18)]
    >>> print(curves.combine(assays))
    weighted mean of 3 potencies 1.01243, 95% interval 0.969102 to 1.0577
    homogeneity: chi squared = 2.55074 on 2 df, standard deviation between assays 0.02256
    """
    if method not in ("weighted", "semi-weighted", "unweighted"):
        raise ParameterError(
            f"method: {method!r}; expected 'weighted', 'semi-weighted' or 'unweighted'"
        )
    confidence = between("level", level, 1)
    given = [_log_of(i, one, confidence) for i, one in enumerate(potencies)]
    n = len(given)
    if n < 2:
        raise ParameterError(f"potencies: {n}; expected two at least")
    logs, variances, degrees = (list(column) for column in zip(*given, strict=True))
    common = _mean(logs, [1.0 / variance for variance in variances])
    chi_squared = math.fsum(
        (one - common) ** 2 / variance for one, variance in zip(logs, variances, strict=True)
    )
    middle = math.fsum(logs) / n
    scatter = math.fsum((one - middle) ** 2 for one in logs) / (n - 1)
    among = max(scatter - math.fsum(variances) / n, 0.0)
    extra = among if method == "semi-weighted" else 0.0
    weights = [1.0 if method == "unweighted" else 1.0 / (one + extra) for one in variances]
    total = math.fsum(weights)
    error = math.sqrt(scatter / n if method == "unweighted" else 1.0 / total)
    df = math.fsum(degrees) if method == "weighted" else n - 1.0
    mean, reach = _mean(logs, weights), quantile_of(confidence, df) * error
    return Combination(
        method,
        exp(mean),
        error,
        exp(mean - reach),
        exp(mean + reach),
        confidence,
        df,
        chi_squared,
        among,
        tuple(weight / total for weight in weights),
    )


def _mean(logs: list[float], weights: list[float]) -> float:
    return math.fsum(map(math.prod, zip(weights, logs, strict=True))) / math.fsum(weights)


def _log_of(i: int, given: _Given, level: float) -> tuple[float, float, float]:
    """Return the logarithm of a potency, its variance and degrees of freedom."""
    if isinstance(given, Estimate):
        value, low, high, df, level = given.value, given.low, given.high, given.df, given.level
    else:
        is_four = isinstance(given, tuple | list) and len(given) == 4
        if not is_four or not all(
            isinstance(part, int | float | np.integer | np.floating) for part in given
        ):
            raise InputTypeError(
                f"potencies[{i}]: {given!r}; expected an Estimate or (value, low, high, df)"
            )
        value, low, high, df = map(float, given)
    if not 0 < low <= value <= high < math.inf or low == high:
        raise ParameterError(
            f"potencies[{i}]: {value:g}, interval {low:g} to {high:g}; "
            "expected a potency above 0 in an interval of finite width"
        )
    if not df > 0:
        raise ParameterError(f"potencies[{i}]: {df:g} degrees of freedom; expected more than 0")
    error = (log(high) - log(low)) / (2.0 * quantile_of(level, df))
    return log(value), error * error, df
