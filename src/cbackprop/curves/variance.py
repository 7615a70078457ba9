"""How the scatter of observations depends on the response, and whether it is that of counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import t_quantile
from ..errors import CBackpropError, InputTypeError, ParameterError
from ..fits.arguments import Number
from ..losses import LOSSES
from .arguments import between
from .curve import Curve
from .distributions import distributions
from .groups import GroupFits
from .result import CurveFit

__all__ = ["Dispersion", "ScatterFit", "box_cox", "dispersion", "power_of_mean"]

Vector: TypeAlias = NDArray[np.float64]
_WIDEST: Final = 3.0  # exponents of a transform are looked for from -3 to 3
_ROUNDING: Final = 1e-26  # residuals of this part of the squares of y are none
_GOLDEN: Final = 0.5 * (math.sqrt(5.0) - 1.0)


@dataclass(frozen=True)
class ScatterFit:
    """A fit whose errors depend on the response by an exponent that was estimated.

    Attributes
    ----------
    model : str
        "power" or "box_cox", the loss of the fit.
    exponent : float
        Theta or lambda.
    low, high : float
        The ends of its interval.
    fit : CurveFit
        The fit with this exponent, which it takes for known; its AIC does not count it.
    """

    model: str
    exponent: float
    low: float
    high: float
    fit: CurveFit

    def __str__(self) -> str:
        """Return the exponent with its interval, and the summary of the fit."""
        name = "lambda" if self.model == "box_cox" else "theta"
        ends = f"{self.low:.4g} to {self.high:.4g}"
        return f"{self.model}, {name} = {self.exponent:.4g} ({ends})\n{self.fit}"


def power_of_mean(
    curve: Curve,
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: Number = 0.95,
    sample_weight: ArrayLike | None = None,
    fixed: Mapping[str, Number] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    nan_policy: Literal["raise", "omit"] = "raise",
) -> ScatterFit:
    """Fit a curve with errors whose standard deviation is in proportion to a power of it.

    The standard deviation is sigma curve^theta: theta is 0 for errors of one size, 0.5 for those of
    counts, 1 for those in proportion to the response.

    Parameters
    ----------
    curve : Curve
    x, y : array_like
        Data of the same shape.
    level : float, default 0.95
        Confidence level of the interval of theta, by the normal distribution.
    sample_weight, fixed, bounds, nan_policy
        As for `Curve.fit`. To fit with a theta that is known, use its
        ``loss="power", loss_scale=theta``.

    Returns
    -------
    ScatterFit

    Raises
    ------
    ParameterError
        As for `Curve.fit`; and if the residuals are 0, the curve is the same at all points, or
        theta does not settle.

    Notes
    -----
    The curve is that of the quasi-likelihood, theta that of the pseudo-likelihood of normal errors,
    where residuals are as large as their leverages h let them be (restricted likelihood): with
    residuals r and logarithms l of the curve, theta is where
    sum((r^2 / (sigma^2 curve^(2 theta)) - (1 - h)) (l - mean l)) = 0. Both are repeated until theta
    no longer changes. The standard error of theta is 1/sqrt(2 sum((1 - h) (l - mean l)^2)).

    References
    ----------
    Carroll, R. J. and Ruppert, D. (1988). Transformation and Weighting in Regression, chapter 3.
    Davidian, M. and Giltinan, D. M. (1995). Nonlinear Models for Repeated Measurement Data,
    section 2.4.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [1, 1, 3, 3, 10, 10, 30, 30, 100, 100]
    >>> y = [0.92, 1.06, 2.5, 2.9, 5.7, 4.6, 8.9, 7.2, 10.1, 8.4]
    >>> found = curves.power_of_mean(curves.michaelis_menten, x, y)
    >>> round(found.exponent, 2), round(found.fit.params["vmax"], 2)
    (1.11, 10.21)
    """
    options: dict[str, Any] = {"fixed": fixed, "bounds": bounds, "nan_policy": nan_policy}
    reach = t_quantile(0.5 + 0.5 * between("level", level, 1), math.inf)
    theta, error = 0.5, math.inf
    for _ in range(100):
        fit = curve.fit(
            x, y, sample_weight=sample_weight, loss="power", loss_scale=theta, **options
        )
        before = theta
        theta, error = _exponent_of(fit)
        if abs(theta - before) < 1e-9:
            return ScatterFit("power", theta, theta - reach * error, theta + reach * error, fit)
    raise ParameterError(f"y: the exponent does not settle, last {before:.6g} and {theta:.6g}")


def box_cox(
    curve: Curve,
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: Number = 0.95,
    sample_weight: ArrayLike | None = None,
    fixed: Mapping[str, Number] | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    nan_policy: Literal["raise", "omit"] = "raise",
) -> ScatterFit:
    """Fit a curve after the transform of both sides that makes the errors normal, of one size.

    Parameters
    ----------
    curve : Curve
    x, y : array_like
        Data of the same shape; y is above 0.
    level : float, default 0.95
        Confidence level of the interval of lambda, by the profile likelihood.
    sample_weight, fixed, bounds, nan_policy
        As for `Curve.fit`. To fit with a lambda that is known, use its
        ``loss="box_cox", loss_scale=lambda``.

    Returns
    -------
    ScatterFit
        An end of the interval that lies beyond -3 or 3 is infinite.

    Raises
    ------
    ParameterError
        As for `Curve.fit`.

    Notes
    -----
    (y^lambda - 1) / lambda has normal errors about (curve^lambda - 1) / lambda; for lambda = 0 both
    are logarithms. Lambda is where the likelihood of y is greatest. The curve is then the median of
    y. Of a lambda between -3 and 3.

    References
    ----------
    Carroll, R. J. and Ruppert, D. (1984). Power transformations when fitting theoretical models to
    data. Journal of the American Statistical Association 79, 321-328.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [1, 1, 3, 3, 10, 10, 30, 30, 100, 100]
    >>> y = [0.92, 1.06, 2.5, 2.9, 5.7, 4.6, 8.9, 7.2, 10.1, 8.4]
    >>> found = curves.box_cox(curves.michaelis_menten, x, y)
    >>> round(found.exponent, 2), round(found.fit.params["vmax"], 2)
    (-0.13, 10.14)
    """
    options: dict[str, Any] = {"fixed": fixed, "bounds": bounds, "nan_policy": nan_policy}
    quantile = t_quantile(0.5 + 0.5 * between("level", level, 1), math.inf)

    def fit_by(exponent: float) -> CurveFit:
        return curve.fit(
            x, y, sample_weight=sample_weight, loss="box_cox", loss_scale=exponent, **options
        )

    fit_by(0.0)  # raises if an argument is wrong

    def likelihood(exponent: float) -> float:
        try:
            return fit_by(exponent).log_likelihood
        except CBackpropError:  # no start whose transform is finite
            return -math.inf

    best = _greatest(likelihood)
    least = likelihood(best) - 0.5 * quantile * quantile
    low, high = (_end(likelihood, best, far, least) for far in (-_WIDEST, _WIDEST))
    return ScatterFit("box_cox", best, low, high, fit_by(best))


def _greatest(function: Callable[[float], float]) -> float:
    """Find where a function with one maximum has it, by golden sections."""
    low, high = -_WIDEST, _WIDEST
    points = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    values = [function(point) for point in points]
    while high - low > 1e-7:
        if values[0] >= values[1]:
            high = points[1]
            points = [high - _GOLDEN * (high - low), points[0]]
            values = [function(points[0]), values[0]]
        else:
            low = points[0]
            points = [points[1], low + _GOLDEN * (high - low)]
            values = [values[1], function(points[1])]
    return points[0] if values[0] >= values[1] else points[1]


def _end(function: Callable[[float], float], within: float, far: float, least: float) -> float:
    """Find where a function falls to `least` between two points, by halving."""
    if function(far) > least:
        return math.copysign(math.inf, far)
    outside = far
    while abs(outside - within) > 1e-7:
        middle = 0.5 * (within + outside)
        within, outside = (middle, outside) if function(middle) > least else (within, middle)
    return within


def _exponent_of(fit: CurveFit) -> tuple[float, float]:
    """Estimate theta and its standard error from the residuals of a fit by the power loss."""
    value = fit(fit.x)
    weight = np.ones_like(value) if fit.weights is None else fit.weights
    if fit.df < 1 or not fit.rss > _ROUNDING * float((weight * fit.y**2).sum()):
        raise ParameterError("y: its residuals are 0; expected scatter")
    kept = (value > 0) & (weight > 0)
    band = fit.predict(fit.x, "confidence")
    error = (band.high - band.value) / t_quantile(0.975, fit.df)
    logs = [math.log(v) for v in value[kept].tolist()]
    scatter = fit.residual_sd**2 * value[kept] ** fit.variance_power / weight[kept]
    left = (1.0 - error[kept] ** 2 / scatter).clip(0.0, 1.0).tolist()
    squares = (weight * (fit.y - value) ** 2)[kept].tolist()
    mean = math.fsum(h * v for h, v in zip(left, logs, strict=True)) / math.fsum(left)
    centred = [v - mean for v in logs]
    spread = math.fsum(h * v * v for h, v in zip(left, centred, strict=True))
    if not spread > 1e-20:
        raise ParameterError("y: the curve is the same at all points; theta is not identified")
    theta = 0.5 * fit.variance_power
    for _ in range(200):  # Newton's method on a convex function, the logarithm of a sum
        parts = [s * math.exp(-2.0 * theta * v) for s, v in zip(squares, centred, strict=True)]
        total = math.fsum(parts)
        first = math.fsum(p * v for p, v in zip(parts, centred, strict=True)) / total
        second = math.fsum(p * (v - first) ** 2 for p, v in zip(parts, centred, strict=True))
        step = 0.5 * first * total / second if second > 0 else math.copysign(0.5, first)
        step = min(max(step, -0.5), 0.5)
        theta += step
        if abs(step) < 1e-12:
            break
    return theta, 1.0 / math.sqrt(2.0 * spread)


@dataclass(frozen=True)
class Dispersion:
    """Whether counts or proportions scatter as their distribution says.

    Attributes
    ----------
    pearson, deviance : float
        sum(weight (y - curve)^2 / variance), and twice the log-likelihood that is missing; both
        have a chi-squared distribution if no expected number is small.
    df : int
        Degrees of freedom.
    """

    pearson: float
    deviance: float
    df: int

    @property
    def p(self) -> float:
        """How probable so large a `pearson` is if the curve is right; needs SciPy."""
        return float(distributions().chdtrc(self.df, self.pearson))

    @property
    def deviance_p(self) -> float:
        """The same of `deviance`."""
        return float(distributions().chdtrc(self.df, self.deviance))

    @property
    def ratio(self) -> float:
        """`pearson` over `df`; far above 1 the standard errors are too small, by its root."""
        return self.pearson / self.df if self.df > 0 else math.nan

    def __str__(self) -> str:
        """Return both statistics."""
        return (
            f"Pearson {self.pearson:.6g}, deviance {self.deviance:.6g} on {self.df} df; "
            f"dispersion {self.ratio:.4g}"
        )


def dispersion(fit: CurveFit | GroupFits) -> Dispersion:
    """Compare the scatter of counts or proportions with that of their distribution.

    Parameters
    ----------
    fit : CurveFit or GroupFits
        By the loss "poisson" or "binomial" ("log").

    Returns
    -------
    Dispersion

    Raises
    ------
    ParameterError
        If the loss is another.

    References
    ----------
    McCullagh, P. and Nelder, J. A. (1989). Generalized Linear Models, sections 4.4 and 6.2.

    Examples
    --------
    >>> from cbackprop import curves  # Finney (1971)
    >>> dose, total, dead = [10.2, 7.7, 5.1, 3.8, 2.6], [50, 49, 46, 48, 50], [44, 42, 24, 16, 6]
    >>> y = [k / n for k, n in zip(dead, total)]
    >>> ends = {"bottom": 0, "top": 1}
    >>> fit = curves.logistic4.fit(dose, y, sample_weight=total, loss="log", fixed=ends)
    >>> print(curves.dispersion(fit))
    Pearson 1.42179, deviance 1.42406 on 3 df; dispersion 0.4739
    """
    if not isinstance(fit, CurveFit | GroupFits):
        raise InputTypeError(f"fit: expected a CurveFit or GroupFits, got {fit!r}")
    if fit.loss not in ("poisson", "binomial", "log"):
        raise ParameterError(f"fit: its loss is {fit.loss!r}; expected 'poisson' or 'binomial'")
    error = LOSSES["poisson" if fit.loss == "poisson" else "binomial"].error_and_slope
    assert error is not None
    pearson, deviance = [], []
    for part in [fit] if isinstance(fit, CurveFit) else [fit[label] for label in fit]:
        weights = np.ones_like(part.y) if part.weights is None else part.weights
        columns = (part(part.x).tolist(), part.y.tolist(), weights.tolist())
        for value, y, weight in zip(*columns, strict=True):
            if weight > 0 and value != y:
                variance = value if fit.loss == "poisson" else value * (1.0 - value)
                pearson.append(weight * (y - value) ** 2 / variance if variance else math.inf)
                deviance.append(weight * error(value, y, 1.0)[0])
    return Dispersion(math.fsum(pearson), math.fsum(deviance), fit.df)
