"""The fit of a curve: natural parameters, standard errors, bands, inverses."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import LOSSES, Chain, real_array
from ..errors import InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Count, Number, as_float
from ..fits.result import AT_BOUND, OUTCOMES, UNDETERMINED
from ..reference import LOSSES as FORMULAS
from .advice import advice_on, hardly_determined
from .covariance import DIVERGES, Fitted, exact_covariance, root_of, slopes_at
from .matrices import product
from .student import t_quantile

if TYPE_CHECKING:
    from .._core import _Loss, _Number
    from .curve import Curve

__all__ = ["CurveFit", "Inverse", "Prediction"]

Vector: TypeAlias = NDArray[np.float64]
_STEP: Final = 1e-100  # of complex-step derivatives
_LARGEST_LOG: Final = 700.0  # beyond, exp is infinite
_CONVERGED: Final = 1  # of enum cbp_outcome


class Prediction(NamedTuple):
    """Values of the curve, with the lower and upper ends of a band."""

    value: Vector
    low: Vector
    high: Vector


class Inverse(NamedTuple):
    """Inputs that give certain outputs, with their standard errors."""

    value: Vector
    stderr: Vector


class CurveFit:
    """A fitted curve.

    Attributes
    ----------
    curve : Curve
    chain : Chain
        The chain that computes the fitted curve.
    params, stderr : dict of str to float
        Natural parameters and their standard errors: 0 for fixed parameters and those at a bound,
        infinite for those that the data do not identify.
    covariance : ndarray, shape (k, k)
        Covariance matrix of the natural parameters, in the order of `params`.
    rss : float
        sum(weight (curve - y)^2), for any loss.
    residual_sd : float
        sqrt(rss / df); for robust losses with the weights of the last reweighting. NaN if df is 0,
        and for losses whose variance is known ("log", "poisson").
    df : int
        Degrees of freedom: the number of points less the number of fitted parameters.
    converged : bool
        Whether a minimum has been reached.
    status, message : str
        "converged", "not_identified" (some parameters are arbitrary, or the loss has no minimum) or
        "max_iterations"; and in words, with the names of those parameters, and of those that are
        hardly determined (see `advice`).
    n_iterations, n_evaluations : int
        Numbers of iterations and of passes over the points, of all starts that were tried.
    r2 : float
        1 - rss / sum(weight (y - mean)^2).
    loss : str
        Name of the loss that was minimised.
    mean_loss : float
        Its average.
    n_parameters : int
        Number of natural parameters that were fitted, including those at a bound.
    log_likelihood : float
        Log-likelihood of the labels for the log loss, of the counts for the Poisson loss, else of
        normal errors with the estimated variance, as in R.
    """

    def __init__(
        self,
        curve: Curve,
        found: Fitted,
        data: tuple[Vector, Vector, Vector | None],
        loss: _Loss,
        loss_scale: float,
        *,
        fixed: tuple[str, ...],
        exact: bool,
    ) -> None:
        self.x, self.y, self.weights = data
        names = curve.parameters
        self.curve, self.loss, self._found = curve, loss, found
        self.n_iterations, self.n_evaluations = found.n_iterations, found.n_evaluations
        self.chain = Chain(found.params[::2], found.params[1::2], curve.activations, curve.frozen)
        self.mean_loss, self.df = found.loss, int(found.df)
        self.n_parameters = len(names) - len(fixed)
        natural = found.natural.tolist()
        self.params = dict(zip(names, natural, strict=True))
        self._exact = None
        if exact:
            self._exact = exact_covariance(curve, self.chain, found, data, loss, loss_scale)
        known = found.covariance if self._exact is None else self._exact
        # d natural / d coordinate
        self._scales = [
            value if name in curve.positive else 1.0
            for name, value in zip(names, natural, strict=True)
        ]
        scales = np.array(self._scales)
        self.covariance = known * scales[:, None] * scales
        unknown = [k for k, kind in enumerate(found.determined) if kind in (UNDETERMINED, DIVERGES)]
        for k in unknown:
            self.covariance[k, k] = math.inf
        variances = self.covariance.diagonal().tolist()
        self.stderr = dict(zip(names, map(math.sqrt, variances), strict=True))
        self.status, self.message = OUTCOMES[found.outcome]
        self.converged = found.outcome == _CONVERGED
        if unknown:
            self.status = "not_identified"
            if not self.converged:
                self.message = "no minimum: the loss keeps decreasing as a parameter diverges"
            lost = ", ".join(names[k] for k in unknown)
            self.message += f"; not identified by the data: {lost}"
        at_bound = [
            name for name, kind in zip(names, found.determined, strict=True) if kind == AT_BOUND
        ]
        if at_bound:
            self.message += f"; at a bound: {', '.join(at_bound)}"
        self._summarise()
        doubtful = hardly_determined(self)
        if doubtful:
            self.message += f"; hardly determined by the data: {', '.join(doubtful)}"
        if self.df == 0:
            self.message += "; no degrees of freedom left: no standard errors"
        self._doubtful = [*(names[k] for k in unknown), *doubtful]

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
            least = np.array([FORMULAS[self.loss].best(target) for target in self.y.tolist()])
            best = float((weight * least).sum())
            self.log_likelihood = best - self.mean_loss * found.weight / (2.0 * dispersion)
        else:
            self.residual_sd = math.sqrt(found.variance)
            ratio = self.rss / n
            log_ratio = math.log(ratio) if ratio > 0 else -math.inf
            self.log_likelihood = 0.5 * (
                found.log_weight - n * (math.log(2.0 * math.pi) + log_ratio + 1.0)
            )

    @property
    def advice(self) -> dict[str, str]:
        """Why the data do not determine a parameter, or hardly, and what helps; by its name.

        A parameter is hardly determined if its standard error is above it (of a positive one), or
        above half of it and would change the curve by more than the range of y (of others).
        """
        with np.errstate(all="ignore"):
            return advice_on(self, self._doubtful)

    @property
    def aic(self) -> float:
        """Akaike's information criterion; an estimated variance counts as a parameter."""
        return self._criterion(2.0)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, with the same number of parameters as `aic`."""
        return self._criterion(math.log(self._counted))

    @property
    def _has_known_variance(self) -> bool:
        return LOSSES[self.loss].dispersion > 0

    def _criterion(self, penalty: float) -> float:
        estimated = self.n_parameters + (not self._has_known_variance)
        return penalty * estimated - 2.0 * self.log_likelihood

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
        quantile, ends = self._quantile(level), {}
        for name, value in self.params.items():
            reach = quantile * self.stderr[name]
            ends[name] = (value - reach, value + reach)
            if interval == "log" and name in self.curve.positive:
                ends[name] = _log_ends(value, reach)
            elif math.isinf(reach):
                ends[name] = (-math.inf, math.inf)
        return ends

    @overload
    def predict(self, x: _Number, interval: None = None, level: Number = 0.95) -> float: ...
    @overload
    def predict(self, x: ArrayLike, interval: None = None, level: Number = 0.95) -> Vector: ...
    @overload
    def predict(
        self,
        x: ArrayLike,
        interval: Literal["confidence", "prediction"],
        level: Number = 0.95,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        x: ArrayLike,
        interval: Literal["confidence", "prediction"] | None = None,
        level: Number = 0.95,
    ) -> float | Vector | Prediction: ...
    def predict(
        self,
        x: ArrayLike,
        interval: Literal["confidence", "prediction"] | None = None,
        level: Number = 0.95,
    ) -> float | Vector | Prediction:
        """Compute the curve, and optionally a band around it.

        Parameters
        ----------
        x : array_like
            Inputs.
        interval : {None, "confidence", "prediction"}
            No band, a band for the curve, or a band for a new observation of weight 1; the latter
            is NaN for losses whose variance is known ("log", "poisson").
        level : float, default 0.95
            Confidence level of the band.

        Returns
        -------
        float, ndarray or Prediction
            Values of the curve; with an interval also the ends of the band.

        Raises
        ------
        ParameterError
            If `interval` is unknown, or `level` is not between 0 and 1, or given without interval.
        """
        with np.errstate(all="ignore"):
            if interval is None:
                if level != 0.95:
                    raise ParameterError(f"level: {level!r} without interval; expected both")
                return self.chain.forward(x)
            if interval not in ("confidence", "prediction"):
                raise ParameterError(
                    f"interval: {interval!r}; expected None, 'confidence' or 'prediction'"
                )
            inputs = real_array(x, "x")
            variance = self._variance(inputs.reshape(-1)).reshape(inputs.shape)
            if interval == "prediction":
                variance = variance + self.residual_sd**2
            value = np.asarray(self.chain.forward(inputs))
            reach = self._quantile(level) * np.sqrt(variance)
            return Prediction(value[()], (value - reach)[()], (value + reach)[()])

    def inverse(
        self,
        y: ArrayLike,
        *,
        replicates: Count | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Inverse:
        """Find the inputs of given outputs: back-calculation.

        Parameters
        ----------
        y : array_like
            Outputs.
        replicates : int, optional
            Number of new observations of which each y is the mean. The standard error then includes
            their scatter; otherwise y is taken as exact.
        sample_weight : float or array_like, optional
            Weight of one such observation, on the scale of the weights of the fit; by default 1.

        Returns
        -------
        Inverse
            Inputs, NaN where the curve never gives y, and standard errors by the delta method.

        Raises
        ------
        ParameterError
            If the curve is not one-to-one, `replicates` is not a positive integer, or weights are
            negative, not finite, or given without `replicates`.
        ShapeError
            If there are several weights, but not one for each y.
        """
        with np.errstate(all="ignore"):
            outputs = real_array(y, "y")
            readings = _readings(replicates, sample_weight, outputs.shape)
            value = np.asarray(self.chain.inverse(outputs))
            flat = value.reshape(-1)
            variance = self._variance(flat)
            if readings is not None:
                variance = variance + self.residual_sd**2 / readings.reshape(-1)
            stderr = np.sqrt(variance) / np.abs(np.asarray(self.chain.slope(flat)))
            return Inverse(value[()], stderr.reshape(value.shape)[()])

    def effective_dose(self, percent: Number) -> tuple[float, float]:
        """Find the dose that gives a percentage of the effect.

        The effect is the change of the response from dose 0 to its limit at large doses.

        Returns
        -------
        tuple of float
            The dose and its standard error, which includes the uncertainty of both responses.

        Raises
        ------
        ParameterError
            If the curve has no ec50, or the percentage is not between 0 and 100.
        """
        with np.errstate(all="ignore"):
            names = self.curve.parameters
            if "ec50" not in names:
                raise ParameterError(f"{self.curve.name} has no effective dose")
            fraction = _between("percent", percent, 100) / 100.0
            fraction = fraction if self.params["slope"] > 0 else 1.0 - fraction
            at: dict[str, complex] = dict(self.params)
            slopes = np.array(
                [
                    _dose_at({**at, name: at[name] + _STEP * 1j}, fraction).imag / _STEP
                    for name in names
                ]
            )
            variance = self._variance_of(slopes[None] * self._scales)
            return _dose_at(at, fraction).real, math.sqrt(variance[0])

    def summary(self) -> str:
        """Return a table of the parameters, with measures of the fit, its message and advice."""
        width, advice = max(len(name) for name in self.params), self.advice
        lines = [f"{self.curve.name}: {self.curve.formula}"]
        lines.append(f"{'':{width}}  {'estimate':>14}  {'std. error':>12}  {'95% interval':>29}")
        for name, (low, high) in self.confidence_interval().items():
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

    __str__ = summary

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

    def _variance(self, x: Vector) -> Vector:
        """Variance of the fitted curve at each x."""
        natural = np.array(list(self.params.values()))
        jacobian = np.asarray(self.chain.jacobian(x))
        return self._variance_of(product(jacobian, slopes_at(self.curve, natural)))

    def _variance_of(self, slopes: Vector) -> Vector:
        """Return variances of numbers with these derivatives by the coordinates, shape (n, p)."""
        if self._exact is None:
            root = root_of(self._found, self.loss)
            variance = np.sum(product(slopes, root) ** 2, axis=1)
        else:
            known = np.where(np.isfinite(self._exact), self._exact, 0.0)
            variance = np.sum(product(slopes, known) * slopes, axis=1)
        unknown = [kind == UNDETERMINED for kind in self._found.determined]
        variance[np.any(slopes[:, unknown] != 0, axis=1)] = math.inf
        return np.asarray(variance)

    def _quantile(self, level: Number) -> float:
        probability = 0.5 + _between("level", level, 1) / 2.0
        if self._has_known_variance:
            return t_quantile(probability, math.inf)
        return t_quantile(probability, self.df) if self.df > 0 else math.nan


def _log_ends(value: float, reach: float) -> tuple[float, float]:
    """Return the ends of an interval that is symmetric in the logarithm."""
    if math.isnan(reach):
        return math.nan, math.nan
    factor = reach / value if value > 0 else math.inf
    if not factor < _LARGEST_LOG:
        return 0.0, math.inf
    return value * math.exp(-factor), value * math.exp(factor)


def _between(argument: str, value: Number, high: int) -> float:
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise InputTypeError(f"{argument}: {value!r}; expected a number between 0 and {high}")
    if not 0 < value < high:
        raise ParameterError(f"{argument}: {value!r}; expected between 0 and {high}")
    return float(value)


def _readings(
    replicates: Count | None, sample_weight: ArrayLike | None, shape: tuple[int, ...]
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
            f"sample_weight: shape {weight.shape}, expected one weight or the shape {shape} of y"
        )
    bad = weight[~((weight >= 0) & (weight < math.inf))]
    if bad.size:
        raise ParameterError(
            f"sample_weight: {float(bad[0])!r}; expected finite weights of 0 or more"
        )
    return np.broadcast_to(as_float("replicates", replicates) * weight, shape)


def _dose_at(natural: Mapping[str, complex], fraction: float) -> complex:
    """(1 + (ec50 / x)^slope)^asymmetry = 1 / fraction, solved for x."""
    odds = (1.0 / fraction) ** (1.0 / natural.get("asymmetry", 1.0)) - 1.0
    return natural["ec50"] * cmath.exp(-cmath.log(odds) / natural["slope"])
