"""The fit of a curve: natural parameters, standard errors, bands, inverses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    TypeAlias,
    overload,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._core import LOSSES, real_array
from ..errors import ParameterError, ShapeError
from ..fits.arguments import Count, Number, as_float
from ..fits.result import AT_BOUND, OUTCOMES, UNDETERMINED
from ..losses import LOSSES as FORMULAS
from .advice import advice_on, hardly_determined
from .arguments import between
from .covariance import DIVERGES, Fitted
from .criteria import Criteria, known_log_likelihood, log_jacobian, normal_log_likelihood
from .distributions import distributions
from .estimates import Inverse, Prediction
from .limits import limit_of

if TYPE_CHECKING:
    from .._core import _CurveFit, _Number
    from .curve import Curve
    from .weights import Weighting

    _Interval: TypeAlias = Literal["log", "wald", "fieller"]
    _Band: TypeAlias = Literal["confidence", "prediction", "simultaneous"]

__all__ = ["CurveFit"]

Vector: TypeAlias = NDArray[np.float64]
_CONVERGED: Final = 1  # of enum cbp_outcome


class CurveFit(Criteria):
    """A fitted curve.

    Attributes
    ----------
    curve : Curve
    chain : Chain
        The chain that computes the fitted curve.
    params, stderr : dict of str to float
        Natural parameters and their standard errors: 0 for fixed parameters and those at a bound,
        infinite for those that the data do not identify.
    rss : float
        sum(weight (curve - y)^2), for any loss.
    residual_sd : float
        sqrt(rss / df); for robust losses with the weights of the last reweighting, for "power" that
        of residuals over curve^loss_scale, for "box_cox" of transformed ones. NaN if df is 0, and
        for losses whose variance is known ("log", "poisson", "binomial").
    df : int
        Degrees of freedom: the number of points less the number of fitted parameters.
    converged : bool
        Whether a minimum has been reached.
    status : str
        "converged", "not_identified" (some parameters are arbitrary, or the loss has no minimum) or
        "max_iterations".
    limit : dict of str to float
        Where the loss has no minimum because parameters diverge, the parameters of the curve that
        is approached, such as the slope of a line; the message has its formula. Empty if there is
        none, or it is none of the usual ones.
    n_iterations, n_evaluations : int
        Numbers of iterations and of passes over the points, of all starts that were tried; without
        those in which several starts are compared side by side.
    r2 : float
        1 - rss / sum(weight (y - mean)^2).
    fixed : tuple of str
        Names of the parameters that were given.
    absolute_sigma : bool
        Whether the weights are 1 / sd^2 with known standard deviations.
    bounds : dict of str to (low, high)
        Bounds that were given.
    loss, loss_scale : str, float
        The loss that was minimised.
    variance_power : float
        p, where the variance of an observation is residual_sd^2 abs(curve)^p; 0 unless `weights` or
        the loss gives it.
    mean_loss : float
        Its average.
    n_parameters : int
        Number of natural parameters that were fitted, including those at a bound.
    log_likelihood : float
        Log-likelihood of the labels for the log loss, of the counts for the Poisson and the
        binomial loss, else of normal errors with the estimated variance, as in R.
    """

    def __init__(
        self,
        curve: Curve,
        found: Fitted,
        data: tuple[Vector, Vector, Vector | None],
        way: Weighting,
        *,
        fixed: tuple[str, ...],
        exact: Vector | None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    ) -> None:
        self.x, self.y, self.weights = data
        names = curve.parameters
        self.curve, self._found = curve, found
        self.loss, self.loss_scale, self.variance_power = way.loss, way.scale, way.power
        self.bounds = dict(bounds or {})
        self.n_iterations, self.n_evaluations = found.n_iterations, found.n_evaluations
        self.chain = curve.chain_with(found.params)
        self.fixed, self.n_parameters = fixed, len(names) - len(fixed)
        self.absolute_sigma = math.isinf(found.df)
        own_df = found.n_examples - self.n_parameters + (found.fixed_at < len(names))
        self.mean_loss = found.loss
        self.df = int(own_df if self.absolute_sigma else found.df)
        natural = found.natural.tolist()
        self.params = dict(zip(names, natural, strict=True))
        self._exact = exact
        known = found.covariance if self._exact is None else self._exact
        unknown = [k for k, kind in enumerate(found.determined) if kind in (UNDETERMINED, DIVERGES)]
        variances = known.diagonal().tolist()
        for k, name in enumerate(names):
            scale = natural[k] if name in curve.positive else 1.0  # d natural / d coordinate
            variances[k] = math.inf if k in unknown else variances[k] * scale * scale
        self.stderr = dict(zip(names, map(math.sqrt, variances), strict=True))
        diverging = [names[k] for k, kind in enumerate(found.determined) if kind == DIVERGES]
        self._limit_formula, self.limit = limit_of(curve.name, diverging, self.params)
        self.status, _ = OUTCOMES[found.outcome]
        self.converged = found.outcome == _CONVERGED
        self._unknown = [names[k] for k in unknown]
        if unknown:
            self.status = "not_identified"
        self._summarise()

    @cached_property
    def message(self) -> str:
        """The status in words, with the parameters that are arbitrary or hardly determined.

        See `advice` for what helps.
        """
        _, text = OUTCOMES[self._found.outcome]
        if self._unknown and not self.converged:
            text = "no minimum: the loss keeps decreasing as a parameter diverges"
            if self.limit:
                values = ", ".join(f"{key} = {value:.6g}" for key, value in self.limit.items())
                text += f", towards {self._limit_formula} with {values}"
        at_bound = [
            name
            for name, kind in zip(self.params, self._found.determined, strict=True)
            if kind == AT_BOUND
        ]
        for why, named in (
            ("not identified by the data", self._unknown),
            ("at a bound", at_bound),
            ("hardly determined by the data", self._doubtful),
        ):
            if named:
                text += f"; {why}: {', '.join(named)}"
        if self.df == 0 and not self.absolute_sigma:
            text += "; no degrees of freedom left: no standard errors"
        return text

    @cached_property
    def _doubtful(self) -> list[str]:
        with np.errstate(all="ignore"):
            return hardly_determined(self)

    @cached_property
    def covariance(self) -> Vector:
        """Covariance matrix of the natural parameters, in the order of `params`."""
        natural = self._found.natural
        positive = [name in self.curve.positive for name in self.params]
        scales = np.where(positive, natural, 1.0)  # d natural / d coordinate
        known = self._found.covariance if self._exact is None else self._exact
        with np.errstate(all="ignore"):
            covariance: Vector = known * scales[:, None] * scales
        for k, error in enumerate(self.stderr.values()):
            covariance[k, k] = math.inf if math.isinf(error) else covariance[k, k]
        return covariance

    def _summarise(self) -> None:
        """Compute the measures of the fit from the sums that the core has made."""
        found, dispersion = self._found, LOSSES[self.loss].dispersion
        n = self._counted = int(found.n_examples)
        self.rss = found.rss
        spread = found.total_squares
        self.r2 = 1.0 - self.rss / spread if spread > 0 else math.nan
        if dispersion > 0:
            self.residual_sd = math.nan
            weight = np.ones_like(self.y) if self.weights is None else self.weights
            best = math.fsum(map(FORMULAS[self.loss].best, self.y.tolist(), weight.tolist()))
            self.log_likelihood = best - self.mean_loss * found.weight / (2.0 * dispersion)
        elif self.absolute_sigma:
            self.residual_sd = math.sqrt(self.rss / self.df) if self.df > 0 else math.nan
            self.log_likelihood = known_log_likelihood(self.rss, n, found.log_weight)
        else:
            self.residual_sd = math.sqrt(found.variance)
            squares, log_weight = self.rss, found.log_weight
            if self.loss in ("power", "box_cox"):
                squares, log_weight = found.variance * found.df, log_weight + log_jacobian(self)
            self.log_likelihood = normal_log_likelihood(squares, n, log_weight)

    @property
    def advice(self) -> dict[str, str]:
        """Why the data do not determine a parameter, or hardly, and what helps; by its name.

        A parameter is hardly determined if its standard error is above it (of a positive one), or
        above half of it and would change the curve by more than the range of y (of others).
        """
        with np.errstate(all="ignore"):
            return advice_on(self, [*self._unknown, *self._doubtful])

    @overload
    def __call__(self, x: _Number) -> float: ...
    @overload
    def __call__(self, x: ArrayLike) -> Vector: ...
    def __call__(self, x: ArrayLike) -> float | Vector:
        """Compute the fitted curve."""
        return self.chain.forward(x)

    def confidence_interval(
        self, level: Number = 0.95, *, interval: Literal["log", "wald"] = "log"
    ) -> dict[str, tuple[float, float]]:
        """Compute the confidence interval of each natural parameter, by Student's t.

        For losses whose variance is known ("log", "poisson") the normal distribution is used.

        Parameters
        ----------
        level : float, default 0.95
            Confidence level.
        interval : {"log", "wald"}
            Whether the interval of a parameter that is positive by nature is that of its logarithm,
            which is never negative and covers better, or its estimate and standard error on both
            sides, as that of the other parameters.

        Raises
        ------
        ParameterError
            If the level is not between 0 and 1, or `interval` unknown.
        """
        if interval not in ("log", "wald"):
            raise ParameterError(f"interval: {interval!r}; expected 'log' or 'wald'")
        ends = _core.curve_intervals(
            self._fit, _core.INTERVALS[interval], between("level", level, 1)
        )
        low, high = (end.tolist() for end in ends)
        return dict(zip(self.params, zip(low, high, strict=True), strict=True))

    @overload
    def predict(self, x: _Number, interval: None = None, level: Number = 0.95) -> float: ...
    @overload
    def predict(self, x: ArrayLike, interval: None = None, level: Number = 0.95) -> Vector: ...
    @overload
    def predict(
        self,
        x: ArrayLike,
        interval: _Band,
        level: Number = 0.95,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        x: ArrayLike,
        interval: _Band | None = None,
        level: Number = 0.95,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float | Vector | Prediction: ...
    def predict(
        self,
        x: ArrayLike,
        interval: _Band | None = None,
        level: Number = 0.95,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float | Vector | Prediction:
        """Compute the curve, and optionally a band around it.

        Parameters
        ----------
        x : array_like
            Inputs.
        interval : {None, "confidence", "prediction", "simultaneous"}
            No band; one that contains the curve at each x, or a new observation there, with this
            probability; or one that contains the whole curve (Scheffe 1953): sqrt(p F) standard
            errors wide, with the quantile F of the F distribution with p and df degrees of freedom,
            for p fitted parameters; that needs SciPy. A band for observations is NaN for losses
            whose variance is known ("log", "poisson", "binomial").
        level : float, default 0.95
            Confidence level of the band.
        sample_weight : float or array_like, optional
            Weight of a new observation, on the scale of the weights of the fit; by default 1.

        Returns
        -------
        float, ndarray or Prediction
            Values of the curve; with an interval also the ends of the band.

        Raises
        ------
        ParameterError
            If `interval` is unknown, `level` is not between 0 and 1, or given without interval, or
            weights are negative, not finite, or given without the interval "prediction".
        ShapeError
            If there are several weights, but not one for each x.
        """
        if sample_weight is not None and interval != "prediction":
            raise ParameterError("sample_weight: only with interval='prediction'")
        with np.errstate(all="ignore"):
            if interval is None:
                if level != 0.95:
                    raise ParameterError(f"level: {level!r} without interval; expected both")
                return self.chain.forward(x)
            if interval not in ("confidence", "prediction", "simultaneous"):
                raise ParameterError(
                    f"interval: {interval!r}; expected None, 'confidence', 'prediction' or "
                    "'simultaneous'"
                )
            confidence, inputs = between("level", level, 1), real_array(x, "x")
            weights = None
            if interval == "prediction":
                weights = _readings(1, sample_weight, inputs.shape, "x")
            value, low, high = _core.curve_band(self._fit, confidence, inputs, weights)
            if interval == "simultaneous":
                factor = self._simultaneous(confidence)
                low, high = value - factor * (value - low), value + factor * (high - value)
            return Prediction(value[()], low[()], high[()])

    def _simultaneous(self, level: float) -> float:
        """Return how much wider than others a band is that contains the whole curve."""
        count = sum(error > 0 for error in self.stderr.values())
        df = self._interval_df
        if math.isinf(df):
            square = distributions().chdtri(count, 1.0 - level)
        else:
            square = count * distributions().fdtri(count, df, level)
        return math.sqrt(square) / _core.t_quantile(0.5 + level / 2, df)

    def inverse(
        self,
        y: ArrayLike,
        *,
        replicates: Count | None = None,
        sample_weight: ArrayLike | None = None,
        level: Number = 0.95,
        interval: _Interval = "log",
    ) -> Inverse[Vector]:
        """Find the inputs of given outputs: back-calculation.

        Parameters
        ----------
        y : array_like
            Outputs.
        replicates : int, optional
            Number of new observations of which each y is the mean. Standard error and interval then
            include their scatter; otherwise y is taken as exact. They are NaN for losses whose
            variance is known ("log", "poisson").
        sample_weight : float or array_like, optional
            Weight of one such observation, on the scale of the weights of the fit; by default 1.
        level : float, default 0.95
            Confidence level of the interval.
        interval : {"log", "wald", "fieller"}
            Whether the interval is that of the logarithm of x, on curves whose domain begins at 0;
            or estimate and standard error on both sides, as on other curves; or all x around the
            estimate whose band, with the scatter of the new observations, contains y. The last one
            may have no end, and then extends to the end of the domain.

        Returns
        -------
        Inverse
            Inputs, NaN where the curve never gives y; standard errors and the ends of intervals.

        Raises
        ------
        ParameterError
            If the curve is not one-to-one, `replicates` is not a positive integer, weights are
            negative, not finite, or given without `replicates`, the level is not between 0 and 1,
            or `interval` unknown.
        ShapeError
            If there are several weights, but not one for each y.
        """
        with np.errstate(all="ignore"):
            outputs = real_array(y, "y")
            readings = _readings(replicates, sample_weight, outputs.shape, "y")
            found = self._inputs(outputs, readings, level, interval, is_dose=False)
            return Inverse(*(array[()] for array in found))

    def effective_dose(
        self, percent: Number, *, level: Number = 0.95, interval: _Interval = "log"
    ) -> Inverse[float]:
        """Find the input at which a percentage of the effect is reached.

        The effect is the change of the response from the low end of the curve's domain, such as
        dose 0, to its limit at large x. A curve without a finite limit at the low end starts at 0:
        the effective dose of 50 % of `exponential` is its half-life.

        Parameters
        ----------
        percent : float
            Percentage of the effect, between 0 and 100.
        level : float, default 0.95
            Confidence level of the interval.
        interval : {"log", "wald", "fieller"}
            As for `inverse`.

        Returns
        -------
        Inverse
            The input with its standard error and the ends of its interval, which include the
            uncertainty of both limits.

        Raises
        ------
        ParameterError
            If the curve is not one-to-one, or has no such limits; or the percentage or the level is
            out of its range, or `interval` unknown.
        """
        fraction = np.array(between("percent", percent, 100) / 100.0)
        return Inverse(*map(float, self._inputs(fraction, None, level, interval, is_dose=True)))

    def summary(self, *, interval: Literal["log", "wald"] = "log") -> str:
        """Return a table of the parameters, with measures of the fit, its message and advice.

        Parameters
        ----------
        interval : {"log", "wald"}
            As for `confidence_interval`.
        """
        width, advice = max(len(name) for name in self.params), self.advice
        lines = [f"{self.curve.name}: {self.curve.formula}"]
        lines.append(f"{'':{width}}  {'estimate':>14}  {'std. error':>12}  {'95% interval':>29}")
        for name, (low, high) in self.confidence_interval(interval=interval).items():
            lines.append(
                f"{name:{width}}  {self.params[name]:>14.8g}  {self.stderr[name]:>12.5g}"
                f"  {low:>14.7g} {high:>14.7g}{'  ?' if name in advice else ''}"
            )
        if math.isfinite(self.residual_sd):
            lines.append(
                f"residual sd {self.residual_sd:.6g} on {self.df} degrees of freedom, "
                f"r2 {self.r2:.6g}, AIC {self.aic:.6g}"
            )
        lines.append(self.message)
        lines += [f"? {name}: {text}" for name, text in advice.items()]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return the summary."""
        return self.summary()

    def __repr__(self) -> str:
        """Show the curve, its parameters and the message."""
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.params.items())
        return f"<CurveFit of {self.curve.name}: {values}; {self.message}>"

    def plot(self, ax: Any = None, *, residuals: bool = False) -> Any:
        """Draw data, curve and its 95 % confidence band; on a dose curve also the ED50.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default on a new figure.
        residuals : bool, default False
            Whether to draw a panel of residuals below, for which the given axes are divided.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ParameterError
            If residuals are requested and `ax` are inset axes, which cannot be divided.
        """
        from .plot import draw  # noqa: PLC0415 matplotlib is optional

        return draw(self, ax, residuals=residuals)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted chain to a model file."""
        self.chain.save(path)

    @property
    def _fit(self) -> _CurveFit:
        code = LOSSES[self.loss].code
        return self.curve.row, code, self.variance_power, self._found, self._exact

    def _inputs(
        self,
        given: Vector,
        readings: Vector | None,
        level: Number,
        interval: str,
        *,
        is_dose: bool,
    ) -> list[Vector]:
        if interval not in _core.INTERVALS:
            raise ParameterError(f"interval: {interval!r}; expected 'log', 'wald' or 'fieller'")
        return _core.curve_inputs(
            self._fit,
            _core.INTERVALS[interval],
            between("level", level, 1),
            given,
            readings,
            is_dose,
        )


def _readings(
    replicates: Count | None, sample_weight: ArrayLike | None, shape: tuple[int, ...], of: str
) -> Vector | None:
    """Return the summed weight of the observations of each y; None without `replicates`."""
    if replicates is None:
        if sample_weight is not None:
            raise ParameterError("sample_weight: only with replicates, whose weight it is")
        return None
    is_count = isinstance(replicates, int | np.integer) and not isinstance(replicates, bool)
    if not is_count or replicates < 1:
        raise ParameterError(f"replicates: {replicates!r}; expected a positive integer")
    weight = real_array(1.0 if sample_weight is None else sample_weight, "sample_weight")
    if weight.shape not in ((), shape):
        raise ShapeError(
            f"sample_weight: shape {weight.shape}, expected one weight or the shape {shape} of {of}"
        )
    bad = weight[~((weight >= 0) & (weight < math.inf))]
    if bad.size:
        raise ParameterError(
            f"sample_weight: {float(bad[0])!r}; expected finite weights of 0 or more"
        )
    return np.full(shape, as_float("replicates", replicates) * weight)
