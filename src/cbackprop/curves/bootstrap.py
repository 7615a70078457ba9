"""Intervals from fits to data that are drawn anew: bootstrap and jackknife."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import LOSSES
from ..errors import InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Count, Number, count_of
from ..fits.many import CONVERGED, NOT_IDENTIFIED
from .arguments import between
from .many import CurveFits
from .result import CurveFit

__all__ = ["Bootstrap", "Jackknife", "bootstrap", "jackknife"]

Vector: TypeAlias = NDArray[np.float64]
Quantity: TypeAlias = str | Callable[[CurveFits], Any]
_Seed: TypeAlias = int | np.random.Generator | None


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Fits of one curve to data that were drawn anew.

    Attributes
    ----------
    fit : CurveFit
        The fit to the data.
    kind : str
        How data were drawn.
    draws : CurveFits
        First the fit to the data, then those to the data drawn.
    n_failed : int
        How many draws could not be fitted; they are left out.
    n_not_identified : int
        How many have parameters that are arbitrary, or far out because the loss has no minimum;
        they are not left out.
    """

    fit: CurveFit
    kind: str
    draws: CurveFits = field(repr=False)
    n_failed: int
    n_not_identified: int

    @property
    def params(self) -> dict[str, Vector]:
        """Natural parameters of the draws that were fitted."""
        return {name: self.values(name)[1:] for name in self.fit.params}

    def values(self, quantity: Quantity) -> Vector:
        """Compute a number from all fits, the first of them to the data; see `interval`."""
        used = np.isin(self.draws.codes, (CONVERGED, NOT_IDENTIFIED))
        used[0] = True
        return _values(quantity, self.draws)[used]

    def interval(
        self,
        quantity: Quantity,
        level: Number = 0.95,
        *,
        method: Literal["bca", "percentile"] = "bca",
    ) -> tuple[float, float]:
        """Compute the interval of a number.

        Parameters
        ----------
        quantity : str or callable
            The name of a natural parameter; or a function that takes `CurveFits` and returns a
            number for each, such as ``lambda fits: fits.inverse(5.0)``.
        level : float, default 0.95
            Confidence level.
        method : {"bca", "percentile"}
            Whether percentiles of the draws are corrected for bias and for a standard error that
            changes with the number [1]_. This takes the fits without each of the points in turn.

        Returns
        -------
        tuple of float
            Both ends; NaN if draws are NaN, as those of an input that does not exist.

        Raises
        ------
        ParameterError
            If a name, the level or the method is unknown or out of its range.
        InputTypeError, ShapeError
            If `quantity` is neither, or does not return a number for each fit.

        References
        ----------
        .. [1] Efron, B. (1987). Better bootstrap confidence intervals. J. Am. Stat. Assoc. 82,
           171-185.
        """
        if method not in ("bca", "percentile"):
            raise ParameterError(f"method: {method!r}; expected 'bca' or 'percentile'")
        tail = 0.5 - between("level", level, 1) / 2
        values = self.values(quantity)
        estimate, drawn = float(values[0]), values[1:]
        if not len(drawn) or np.isnan(values).any():
            return math.nan, math.nan
        ends = np.array([tail, 1.0 - tail])
        if method == "bca" and drawn.min() < drawn.max():
            half_ties = 0.5 * float((drawn == estimate).mean())
            below = float((drawn < estimate).mean()) + half_ties
            bias = _core.t_quantile(
                min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)), math.inf
            )
            scores = bias + np.array([_core.t_quantile(end, math.inf) for end in ends])
            moved = bias + scores / (1.0 - self._acceleration(quantity) * scores)
            ends, _, _ = _core.activation_values("normal_cdf", moved)
        low, high = np.quantile(drawn, ends).tolist()
        return low, high

    def _acceleration(self, quantity: Quantity) -> float:
        """Return a sixth of the skewness of the estimates without one point each."""
        without = _values(quantity, _without_each(self.fit))[1:]
        away = without.mean() - without
        square = float((away * away).sum())
        return float((away**3).sum()) / (6.0 * square**1.5) if square > 0 else 0.0

    def __str__(self) -> str:
        """Return a table of the parameters, with percentiles."""
        width = max(map(len, self.fit.params))
        lines = [f"{'':{width}}  {'estimate':>12}  {'bias':>10}  {'std. error':>10}  95% interval"]
        for name, drawn in self.params.items():
            if name in self.fit.fixed:
                continue
            low, high = self.interval(name, method="percentile")
            estimate = self.fit.params[name]
            lines.append(
                f"{name:{width}}  {estimate:>12.6g}  {drawn.mean() - estimate:>10.3g}"
                f"  {drawn.std(ddof=1):>10.4g}  {low:.6g} to {high:.6g}"
            )
        lines.append(
            f"{len(self.draws) - 1} draws ({self.kind}): {self.n_failed} not fitted, "
            f"{self.n_not_identified} not identified"
        )
        return "\n".join(lines)


def bootstrap(
    fit: CurveFit,
    n: Count = 2000,
    *,
    kind: Literal["residual", "parametric", "cases"] = "residual",
    rng: _Seed = None,
    threads: int | None = None,
) -> Bootstrap:
    """Fit a curve to data that are drawn anew, many times.

    Parameters
    ----------
    fit : CurveFit
        A fit that has converged.
    n : int, default 2000
        Number of draws.
    kind : {"residual", "parametric", "cases"}
        How data are drawn: "residual", the fitted curve plus residuals drawn with replacement (not
        for "log", "binomial" and "poisson"); "parametric", the fitted curve plus normal errors with
        the residual standard deviation, or labels, proportions or counts for these three losses;
        "cases", whole points (x, y) with replacement. Fits with weights of "1/fitted" or
        "1/fitted2", or with the loss "power" or "box_cox", take "cases" only.
    rng : None, int or numpy.random.Generator
        Passed to `numpy.random.default_rng`.
    threads : int, optional
        Number of threads; by default the number of cores that this process may use.

    Returns
    -------
    Bootstrap

    Raises
    ------
    InputTypeError
        If `fit` is not a CurveFit.
    ParameterError
        If the fit has not converged, no degree of freedom is left, or `kind` is unknown or not one
        for the loss or the weights of the fit.

    Notes
    -----
    Residuals, multiplied by the square root of their weight, less their mean, are inflated by
    sqrt(n / df), so that their variance is that of the errors [1]_. Case resampling supposes
    neither equal variances nor that the curve is the right one, but with few points some draws do
    not determine the curve.

    References
    ----------
    .. [1] Davison, A. C., Hinkley, D. V. (1997). Bootstrap methods and their application. Cambridge
       University Press. Sections 6.2, 6.3 and 7.2.

    Examples
    --------
    >>> from cbackprop import curves
    >>> dose = [0, 0, 0.94, 0.94, 1.88, 3.75, 7.5, 15, 30]
    >>> length = [8.0, 7.6, 8.4, 7.7, 6.4, 2.9, 1.1, 0.6, 0.3]
    >>> fit = curves.logistic4.fit(dose, length)
    >>> draws = curves.bootstrap(fit, rng=1)
    >>> low, high = draws.interval("ec50")
    >>> low < fit.params["ec50"] < high
    True
    >>> low, high = draws.interval(lambda fits: fits.inverse(4.0))
    """
    _check(fit)
    count, random = count_of("n", n, 2000), np.random.default_rng(rng)
    if count < 1:
        raise ParameterError(f"n: {n!r}; expected 1 or more")
    weights: Any = fit.weights
    if kind == "residual":
        y = _with_residuals(fit, count, random)
    elif kind == "parametric":
        y = _with_errors(fit, count, random)
    elif kind == "cases":
        y = np.broadcast_to(fit.y, (count, len(fit.y)))
        times = random.multinomial(len(fit.y), np.full(len(fit.y), 1 / len(fit.y)), count)
        own = np.ones_like(fit.y) if weights is None else weights
        weights = np.vstack((own, times * own))
    else:
        raise ParameterError(f"kind: {kind!r}; expected 'residual', 'parametric' or 'cases'")
    draws = _fits(fit, np.vstack((fit.y, y)), weights, threads)
    codes = draws.codes[1:]
    arbitrary = int((codes == NOT_IDENTIFIED).sum())
    failed = len(codes) - arbitrary - int((codes == CONVERGED).sum())
    return Bootstrap(fit, kind, draws, failed, arbitrary)


class Jackknife(NamedTuple):
    """A number by the jackknife.

    Attributes
    ----------
    value : float
        The estimate less its bias.
    bias : float
        (n - 1) (mean of the estimates without one point each - estimate).
    stderr : float
        Standard error.
    low, high : float
        Ends of the interval by Student's t with the degrees of freedom of the fit.
    """

    value: float
    bias: float
    stderr: float
    low: float
    high: float


def jackknife(fit: CurveFit, quantity: Quantity, level: Number = 0.95) -> Jackknife:
    """Estimate bias and standard error of a number from fits without one point each.

    Parameters
    ----------
    fit : CurveFit
        A fit that has converged.
    quantity : str or callable
        As for `Bootstrap.interval`.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Jackknife

    Raises
    ------
    InputTypeError, ParameterError, ShapeError
        As for `bootstrap` and `Bootstrap.interval`.

    References
    ----------
    Efron, B., Tibshirani, R. (1993). An introduction to the bootstrap. Chapman and Hall, chapter
    11.

    Examples
    --------
    >>> from cbackprop import curves
    >>> fit = curves.linear.fit([1, 2, 3, 4, 5], [1.1, 1.9, 3.2, 3.9, 5.1])
    >>> round(curves.jackknife(fit, "slope").stderr, 4)
    0.0456
    """
    _check(fit)
    confidence = between("level", level, 1)
    values = _values(quantity, _without_each(fit))
    estimate, without = float(values[0]), values[1:]
    n, mean = len(without), math.fsum(without.tolist()) / len(without)
    bias = (n - 1) * (mean - estimate)
    stderr = math.sqrt((n - 1) / n * math.fsum(((without - mean) ** 2).tolist()))
    reach = _core.t_quantile(0.5 + confidence / 2, fit.df) * stderr
    value = estimate - bias
    return Jackknife(value, bias, stderr, value - reach, value + reach)


# ---- data drawn anew -----------------------------------------------------------------------------


def _check(fit: CurveFit) -> None:
    if not isinstance(fit, CurveFit):
        raise InputTypeError(f"fit: expected a CurveFit, got {fit!r}")
    if fit.status == "max_iterations":
        raise ParameterError(f"fit: it has not converged ({fit.message})")
    if fit.df < 1:
        raise ParameterError("fit: no degree of freedom is left")


def _with_residuals(fit: CurveFit, count: int, random: np.random.Generator) -> Vector:
    if LOSSES[fit.loss].dispersion > 0:
        raise ParameterError(f"kind: 'residual' with the loss {fit.loss!r}; expected 'parametric'")
    _check_scatter(fit, "residual")
    expected = np.asarray(fit(fit.x))
    roots = np.ones_like(fit.y) if fit.weights is None else np.sqrt(fit.weights)
    counted = roots > 0
    residuals = ((fit.y - expected) * roots)[counted]
    residuals = (residuals - residuals.mean()) * math.sqrt(len(residuals) / fit.df)
    drawn = np.zeros((count, len(fit.y)))
    drawn[:, counted] = random.choice(residuals, (count, len(residuals))) / roots[counted]
    return np.asarray(expected + drawn)


def _check_scatter(fit: CurveFit, kind: str) -> None:
    if fit.loss in ("power", "box_cox"):  # new y might be below 0
        raise ParameterError(f"kind: {kind!r} with the loss {fit.loss!r}; expected 'cases'")


def _with_errors(fit: CurveFit, count: int, random: np.random.Generator) -> Vector:
    _check_scatter(fit, "parametric")
    expected, shape = np.asarray(fit(fit.x)), (count, len(fit.y))
    weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
    if LOSSES[fit.loss].dispersion == 0:
        with np.errstate(divide="ignore"):
            unit = 1.0 if fit.absolute_sigma else fit.residual_sd
            deviations = np.where(weights > 0, unit / np.sqrt(weights), 0.0)
        return np.asarray(expected + deviations * random.standard_normal(shape))
    if fit.loss in ("log", "binomial") and (weights == np.floor(weights)).all():
        drawn = random.binomial(weights.astype(np.int64), expected, shape)
        return np.asarray(drawn / np.maximum(weights, 1.0))
    if fit.loss == "poisson" and fit.weights is None:
        return random.poisson(expected, shape).astype(np.float64)
    raise ParameterError(
        f"kind: 'parametric' with the loss {fit.loss!r} and weights; expected "
        + ("whole numbers of labels" if fit.loss in ("log", "binomial") else "no weights")
    )


def _fits(fit: CurveFit, y: Vector, weights: Vector | None, threads: int | None) -> CurveFits:
    options: dict[str, Any] = {"loss": fit.loss, "loss_scale": fit.loss_scale}
    return fit.curve.fit_many(
        fit.x,
        y,
        sample_weight=weights,
        fixed={name: fit.params[name] for name in fit.fixed},
        bounds=fit.bounds,
        threads=threads,
        **options,
    )


def _without_each(fit: CurveFit) -> CurveFits:
    """Fit the data, and then the data without each of the points that count."""
    weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
    counted = np.flatnonzero(weights > 0)
    rows = np.tile(weights, (len(counted) + 1, 1))
    rows[np.arange(1, len(rows)), counted] = 0.0
    return _fits(fit, np.broadcast_to(fit.y, rows.shape), rows, None)


def _values(quantity: Quantity, fits: CurveFits) -> Vector:
    if isinstance(quantity, str):
        fits.curve.check_names("quantity", {quantity: None})
        return fits.params[quantity]
    if not callable(quantity):
        raise InputTypeError(f"quantity: expected a name or a function, got {quantity!r}")
    values = np.asarray(quantity(fits), dtype=np.float64)
    if values.shape != (len(fits),):
        raise ShapeError(
            f"quantity: it returned the shape {values.shape}, expected {(len(fits),)}, one number "
            "for each fit"
        )
    return values
