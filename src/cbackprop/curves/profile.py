"""Intervals by the profile of the likelihood: all values that the data do not rule out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number, number_of
from .arguments import between
from .covariance import DETERMINED, DIVERGES, dispersion_of, slopes_at
from .estimates import Inverse
from .groups import GroupFits
from .matrices import product, solve
from .result import CurveFit

__all__ = ["Profile", "enclosed", "profile"]

Vector: TypeAlias = NDArray[np.float64]
_Fit: TypeAlias = CurveFit | GroupFits
_FITS: Final = 20  # of each end
_FIRST: Final = 2.0  # step of a logarithm, at most
_GROWTH: Final = 8.0  # of a step, as long as the end is not enclosed
_CLOSE, _NEAR = 1e-9, 1e-5  # of the quantile: an end; and one after all these fits
_OPEN: Final = math.log(1e4), 20.0  # an end so far out is open; the second in usual intervals
_FAR: Final = 1e12, 1e8  # factor of a positive number, multiple of another: beyond it is no end
_LARGEST: Final = 690.0  # of logarithms
_STEPS: Final = 30  # of a minimum with a constraint
_HALVINGS: Final = 12  # of a step
_HEAVY: Final = 1e4  # weight of an observation that is a constraint, by that of the estimate
_SMALL: Final = 1e-8  # the last step of a minimum, in standard errors
_DIFFERENCE: Final = 1e-4  # for second derivatives, in standard errors


@dataclass(frozen=True)
class Profile:
    """An interval by the profile of the likelihood.

    Attributes
    ----------
    name : str
        Of the number.
    value : float
        Its estimate.
    low, high : float
        Ends of the interval. An open end is the least or the greatest value that the number can
        have: 0 or infinite, an end of the domain, or a bound. NaN if an end was not found.
    level : float
        Confidence level.
    is_open : tuple of bool
        Whether the low and the high end are open: whether the data rule out no value there.
    n_fits : int
        Number of fits with a given value.
    """

    name: str
    value: float
    low: float
    high: float
    level: float
    is_open: tuple[bool, bool]
    n_fits: int

    def __str__(self) -> str:
        """Return one line."""
        text = f"{self.name} {self.value:.7g}, {100 * self.level:g}% interval "
        text += f"{self.low:.7g} to {self.high:.7g}"
        for end, is_open in zip(("low", "high"), self.is_open, strict=True):
            if is_open:
                text += f"; the {end} end is open"
            elif math.isnan(getattr(self, end)):
                text += f"; no {end} end was found"
        return text


def profile(
    fit: _Fit,
    name: str | None = None,
    *,
    effective_dose: Number | None = None,
    inverse: Number | None = None,
    level: Number = 0.95,
) -> Profile:
    """Compute an interval by the profile of the likelihood.

    It contains the values with which the best fit is not significantly worse than the fit: its sum
    of squares is at most rss (1 + t^2 / df), with the quantile t of Student's distribution, which
    is an F test. If the variance is known, as for the losses "log" and "poisson", twice the
    log-likelihood differs by at most z^2, which is a likelihood-ratio test. Such an interval
    assumes neither that the curve is linear in its parameters nor that the interval is symmetric,
    and it is the same for a number and its logarithm.

    Parameters
    ----------
    fit : CurveFit or GroupFits
        Least squares, or the loss "log", "binomial" or "poisson"; not weights of "1/fitted".
    name : str, optional
        A natural parameter that was fitted; of GroupFits one that all groups share.
    effective_dose : float, optional
        Instead: the percentage of the effect, as for `CurveFit.effective_dose`.
    inverse : float, optional
        Instead: an output, whose input is sought, as for `CurveFit.inverse`.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Profile

    Raises
    ------
    ParameterError
        If not exactly one number is asked for; if it is not a parameter that was fitted; if the
        loss is another one or the fit has not converged; if the level or the percentage is out
        of its range; for an effective dose or an input, if the fit has bounds or the curve cannot
        be inverted.

    Notes
    -----
    Each end takes at most 20 fits. For a parameter these are fits with a fixed value; for an input
    of a least-squares fit, with one more point of a large weight there. For an effective dose they
    are minima of the loss under the constraint that the curve has the output there, by Newton's
    method with a multiplier of Lagrange [2]_; if parameters diverge under it, an end may not be
    found. An end beyond 1e4 times the estimate (or 1e-4 times; of a parameter of any sign, beyond
    20 half-widths of the usual interval) is reported open if none is found further out.

    References
    ----------
    .. [1] Bates, D. M., Watts, D. G. (1988). Nonlinear regression analysis and its applications.
       Wiley. Section 6.1.
    .. [2] Chen, J.-S., Jennrich, R. I. (1996). The signed root deviance profile and confidence
       intervals in maximum likelihood analysis. J. Am. Stat. Assoc. 91, 993-998.

    Examples
    --------
    >>> from cbackprop import curves
    >>> dose = [0, 0, 0.94, 0.94, 1.88, 3.75, 7.5, 15, 30]
    >>> length = [8.0, 7.6, 8.4, 7.7, 6.4, 2.9, 1.1, 0.6, 0.3]
    >>> fit = curves.logistic4.fit(dose, length)
    >>> print(curves.profile(fit, "ec50"))
    ec50 2.952273, 95% interval 2.465005 to 3.541884
    >>> print(curves.profile(fit, effective_dose=90))
    ED90 6.011885, 95% interval 4.379847 to 9.289328
    """
    if not isinstance(fit, CurveFit | GroupFits):
        raise InputTypeError(f"fit: expected a CurveFit or GroupFits, got {fit!r}")
    level = between("level", level, 1)
    given = [value is not None for value in (name, effective_dose, inverse)]
    if sum(given) != 1:
        raise ParameterError(
            f"expected one of name, effective_dose and inverse, got {sum(given)} of them"
        )
    if not fit._has_likelihood:
        raise ParameterError(f"fit: its loss {fit.loss!r} has no likelihood; expected 'squared'")
    if fit.status == "max_iterations":
        raise ParameterError(f"fit: it has not converged ({fit.message})")
    with np.errstate(all="ignore"):
        if name is not None:
            return _search(_Parameter(fit, name), level)
        if not isinstance(fit, CurveFit):
            raise ParameterError("fit: GroupFits; expected the fit of one curve, or a name")
        return _search(_Input(fit, effective_dose, inverse), level)


# ---- ends ----------------------------------------------------------------------------------------


class _Number:
    """A number whose profile is sought, and the coordinate in which it is."""

    name: str
    value: float
    is_positive: bool
    error: float  # of the coordinate
    ends: tuple[float, float]  # that the number can have
    scale: float  # of the mean loss: deviance by it
    df: float

    def deviance(self, value: float) -> float:
        """Return by how much the best fit with this value is worse; NaN if there is none."""
        raise NotImplementedError

    def coordinate(self, value: float) -> float:
        """Return the logarithm of a positive number, or the number."""
        if not self.is_positive:
            return value
        return math.log(value) if value > 0 else -math.inf

    def error_of(self, error: float) -> float:
        """Return the standard error of the coordinate; infinite if the number is 0 or infinite."""
        if not self.is_positive:
            return error
        return error / self.value if 0 < self.value < math.inf else math.inf

    def number(self, coordinate: float) -> float:
        """Return the number of a coordinate."""
        return math.exp(coordinate) if self.is_positive else coordinate


def _search(number: _Number, level: float) -> Profile:
    quantile = _core.t_quantile(0.5 + level / 2, number.df)
    value, counts = number.value, [0]

    def root(coordinate: float) -> float:
        counts[0] += 1
        try:
            difference = number.deviance(number.number(coordinate))
        except ParameterError:  # too far out for any curve
            return math.nan
        return math.sqrt(difference) if difference > 0 else 0.0 if difference <= 0 else math.nan

    if math.isnan(number.scale) or math.isnan(quantile) or math.isnan(value):
        found = [(math.nan, False)] * 2
    elif math.isinf(number.scale):  # no residuals
        found = [(value, False)] * 2
    else:
        found = [_end(number, root, quantile, side) for side in (-1, 1)]
    (low, is_low_open), (high, is_high_open) = found
    return Profile(number.name, value, low, high, level, (is_low_open, is_high_open), counts[0])


def _way(number: _Number, quantile: float, side: int) -> tuple[float, float, float]:
    """Return the coordinate where a search starts, its first step, and where it stops."""
    start = number.coordinate(number.value)
    if number.is_positive:
        start = min(max(start, -_LARGEST), _LARGEST)
    limit, step = number.coordinate(number.ends[0 if side < 0 else 1]), quantile * number.error
    if not 0 < step < math.inf:  # at a bound, or not determined
        step = 1.0 if number.is_positive else max(abs(number.value), 1e-3)
    if number.is_positive:
        step = min(step, _FIRST)
    if number.is_positive and math.isfinite(number.error):
        reach = math.log(_FAR[0])
    else:
        reach = _FAR[1] * max(step, abs(start))
    far = start + side * reach
    if number.is_positive:
        far = min(max(far, -_LARGEST), _LARGEST)
    limit = max(limit, far) if side < 0 else min(limit, far)
    return start, step, limit


def _end(
    number: _Number, root: Callable[[float], float], quantile: float, side: int
) -> tuple[float, bool]:
    """Find the end on one side, and whether it is open.

    Steps become longer until the root of the deviance, which is nearly linear, is above the
    quantile.
    """
    end = number.ends[0 if side < 0 else 1]
    start, step, limit = _way(number, quantile, side)
    inside, at_inside, first = start, 0.0, step
    for k in range(_FITS):
        at = inside + side * step
        if side * (at - limit) >= 0:
            at = limit
        r = root(at)
        if math.isnan(r):  # no minimum was found so far out
            step *= 0.5
            continue
        if r >= quantile:
            found = enclosed(root, quantile, (inside, at_inside), (at, r), _FITS - k - 1)
            if not math.isnan(found):
                return number.number(found), False
            break
        if at == limit:
            return end, True
        ahead = (quantile - r) * (at - inside) * side / (r - at_inside) if r > at_inside else 0.0
        least = step if k else 0.1 * step
        step = min(max(1.05 * ahead, least), _GROWTH * step) if ahead > 0 else _GROWTH * step
        if number.is_positive and math.isfinite(number.error):
            step = min(step, _FIRST)
        inside, at_inside = at, r
    reached = side * (inside - start)
    enough = _OPEN[0] if number.is_positive else _OPEN[1] * first
    is_open = reached > enough or (math.isinf(number.error) and reached > 0)
    return (end, True) if is_open else (math.nan, False)


def enclosed(
    root: Callable[[float], float],
    quantile: float,
    inside: tuple[float, float],
    outside: tuple[float, float],
    count: int,
) -> float:
    """Find where the root of the deviance is the quantile, by Anderson's and Bjorck's method."""
    (a, f), (b, g) = ((at, r - quantile) for at, r in (inside, outside))
    for _ in range(count):
        is_far = max(f, g) > 2.0 * quantile  # where the root is not nearly linear
        at = 0.5 * (a + b) if is_far else b - g * (b - a) / (g - f)
        value = root(at) - quantile
        if abs(value) <= _CLOSE * quantile:
            return at
        if value * g > 0 and not is_far:  # the same side as the last
            part = 1.0 - value / g
            f *= part if part > 0 else 0.5
        elif value * g < 0:
            a, f = b, g
        b, g = at, value
    return at if abs(g) <= _NEAR * quantile else math.nan


# ---- parameters ----------------------------------------------------------------------------------


class _Parameter(_Number):
    """A natural parameter; its deviance is that of a fit in which it is fixed."""

    order: tuple[str, int] | None = None  # the other plateau, and whether it is the lower one

    def __init__(self, fit: _Fit, name: str) -> None:
        curve = fit.curve
        if not isinstance(name, str):
            raise InputTypeError(f"name: expected the name of a parameter, got {name!r}")
        curve.check_names("name", {name: None})
        if name in fit.fixed:
            raise ParameterError(f"name: {name!r} is fixed; expected a parameter that was fitted")
        if isinstance(fit, GroupFits) and name not in fit.shared:
            raise ParameterError(f"name: {name!r} is not shared; expected one of {fit.shared!r}")
        if isinstance(fit, GroupFits) and (fit.shared_by or fit.factors):
            raise ParameterError("fit: groups have factors, or values in part; expected one value")
        self.fit, self.name = fit, name
        one = fit if isinstance(fit, CurveFit) else fit[fit.labels[0]]
        self.one, self.value, self.df = one, one.params[name], one._interval_df
        self.is_positive = name in curve.positive
        self.error = self.error_of(one.stderr[name])
        self.bounds = {key: pair for key, pair in one.bounds.items() if key != name}
        low, high = one.bounds.get(name, (None, None))
        least, most = 0.0 if self.is_positive else -math.inf, math.inf
        if name in curve.ends and not {*fit.fixed, *one.bounds} & {*curve.ends}:
            lower, upper, tilt = curve.ends  # which stay what they are
            if name == tilt:
                least, most = (0.0, most) if self.value > 0 else (least, 0.0)
            elif one.params[lower] <= one.params[upper]:
                self.order = {lower: (upper, 0), upper: (lower, 1)}[name]
        self.ends = (least if low is None else max(low, least), most if high is None else high)
        parts = [fit] if isinstance(fit, CurveFit) else [fit[label] for label in fit]
        self.weights = [part._found.weight for part in parts]
        self.scale = _scale(one) * math.fsum(self.weights)
        losses = [part.mean_loss * part._found.weight for part in parts]
        self.loss = math.fsum(losses) / math.fsum(self.weights)

    def deviance(self, value: float) -> float:
        fit, one, bounds = self.fit, self.one, self.bounds
        known = {**{name: one.params[name] for name in fit.fixed}, self.name: value}
        if self.order:
            other, side = self.order
            bounds = {**bounds, other: (None, value) if side else (value, None)}
        limits: dict[str, Any] = {"fixed": known, "bounds": bounds, "loss": fit.loss}
        if isinstance(fit, CurveFit):
            options: dict[str, Any] = {"loss": fit.loss, "sample_weight": fit.weights}
            if len(known) < len(fit.params):
                loss = fit.curve.fit(fit.x, fit.y, **{**limits, **options}).mean_loss
            else:  # none is left to be fitted
                loss = fit.curve.chain(**known).loss(fit.x, fit.y, **options)
            return self.scale * (loss - self.loss)
        parts = [fit[label] for label in fit]
        x, y = (np.concatenate([getattr(part, axis) for part in parts]) for axis in "xy")
        weights = None
        if one.weights is not None:
            weights = np.concatenate([part.weights for part in parts])
        group = np.repeat(np.arange(len(parts)), [len(part.x) for part in parts])
        share = [name for name in fit.shared if name != self.name]
        fits = fit.curve.fit_groups(x, y, group, share=share, sample_weight=weights, **limits)
        losses = [weight * fits[k].mean_loss for k, weight in enumerate(self.weights)]
        return self.scale * (math.fsum(losses) / math.fsum(self.weights) - self.loss)


def _scale(fit: CurveFit) -> float:
    """Return what the sum of losses is multiplied with, for twice a logarithm of a likelihood."""
    dispersion = dispersion_of(fit._found, fit.loss)
    return 1.0 / dispersion if dispersion > 0 else math.inf if dispersion == 0 else math.nan


# ---- inputs --------------------------------------------------------------------------------------


class _Input(_Number):
    """The input of an output, or of a part of the effect.

    Its deviance is that of the least loss under a constraint: on values at x, and at both ends.
    """

    def __init__(self, fit: CurveFit, percent: Number | None, output: Number | None) -> None:
        if any(pair != (None, None) for pair in fit.bounds.values()):
            raise ParameterError("fit: it has bounds; expected none, but for parameters")
        found: Inverse[Any]
        self.others: list[float] = []
        self.factors: list[float] = []
        self.output = 0.0
        if output is not None:
            self.output = number_of("inverse", output, -math.inf, math.inf)
            self.name, found = f"x at {self.output:g}", fit.inverse(self.output, interval="wald")
        elif percent is not None:
            self.name, found = f"ED{percent:g}", fit.effective_dose(percent, interval="wald")
            part = float(percent) / 100.0
            first, last = fit.curve.domain
            if not math.isfinite(fit.chain.forward(first)):
                first = 0.0
            self.others, self.factors = [first, last], [part - 1.0, -part]
        self.fit, self.value, self.df = fit, float(found.value), fit._interval_df
        self.ends = fit.curve.domain
        self.is_positive = self.ends[0] == 0
        self.error = self.error_of(float(found.stderr))
        self.scale = _scale(fit) * fit._found.weight
        natural = fit._found.natural
        moving = (DETERMINED, DIVERGES)
        self.moving = [k for k, kind in enumerate(fit._found.determined) if kind in moving]
        self.is_log = np.array([name in fit.curve.positive for name in fit.params])
        self.options: dict[str, Any] = {"loss": fit.loss, "sample_weight": fit.weights}
        if output is not None and fit.loss == "squared":
            band = fit.predict(self.value, "confidence")
            reach = float(band.high - band.value) / _core.t_quantile(0.975, self.df)
            self.weight = _HEAVY * _scale(fit) ** -1 / reach**2
        self.start = np.where(self.is_log, np.log(natural), natural)
        self.units = np.ones(len(natural))
        origin = np.zeros(len(self.moving))  # the fit
        self.nowhere = _State(origin, math.nan, origin, math.nan, origin)
        for k, curvature in zip(
            self.moving, self._hessian(origin, None, 0.0).diagonal().tolist(), strict=True
        ):
            widest = 1.0 if self.is_log[k] else max(1.0, abs(natural[k]))
            self.units[k] = min(math.sqrt(2.0 / curvature), widest) if curvature > 0 else widest
        self.minima = {self.coordinate(self.value): self._state(origin, self.value)}

    def deviance(self, value: float) -> float:
        if self.fit.loss == "squared" and not self.others:
            return self._by_observation(value)
        b = self.coordinate(value)
        a = min(self.minima, key=lambda known: abs(known - b))
        for parts in (1, 4, 16):  # on the way in steps, if it must be
            least = self.minima[a]
            for k in range(1, parts + 1):
                least = self._minimum(least.at, self.number(a + (b - a) * k / parts))
                if math.isnan(least.deviance):
                    break
            else:
                self.minima[b] = least
                return least.deviance
        return math.nan

    def _by_observation(self, value: float) -> float:
        """Fit the curve with the output as one more observation, whose weight is large.

        The residual d left of it is corrected for: that rss changes by -2 weight d with the output.
        """
        fit, ones = self.fit, np.ones_like(self.fit.y)
        given = ones if fit.weights is None else fit.weights
        found = fit.curve.fit(
            np.append(fit.x, value),
            np.append(fit.y, self.output),
            sample_weight=np.append(given, self.weight),
            fixed={name: fit.params[name] for name in fit.fixed},
        )
        penalty = self.weight * (float(found(value)) - self.output) ** 2
        return _scale(fit) * (found.rss + penalty - fit.rss)

    def _minimum(self, at: Vector, value: float) -> _State:
        """Find the least deviance under the constraint, from a point, by Newton's steps.

        They are halved until they lessen the deviance with a penalty, or the gradient.
        """
        state, size = self._state(at, value), len(at)
        multiplier = -_dot(state.slopes, state.gradient) / _dot(state.slopes, state.slopes)
        system = np.zeros((size + 1, size + 1))
        for _ in range(_STEPS):
            system[:size, :size] = self._hessian(state.at, value, multiplier)
            system[size, :size] = system[:size, size] = state.slopes
            step = solve(system, np.append(-state.gradient, -state.gap))
            change, there = step[:size], float(step[size])
            is_last = np.abs(change).max() < _SMALL
            for _ in range(_HALVINGS):
                new, penalty = self._state(state.at + change, value), 2.0 * abs(there)
                lessened = state.deviance - new.deviance + penalty * (abs(state.gap) - abs(new.gap))
                if lessened > 0:
                    break
                if new.slope_with(there) < state.slope_with(multiplier):
                    break
                change = 0.5 * change
            else:
                return state if is_last else self.nowhere
            state, multiplier = new, there
            if is_last:
                return state
        return self.nowhere

    def _state(self, at: Vector, value: float | None) -> _State:
        """Compute the deviance, and the constraint unless the value is None."""
        fit, coordinates = self.fit, self.start.copy()
        coordinates[self.moving] += at * self.units[self.moving]
        natural = np.where(self.is_log, np.exp(coordinates), coordinates)
        try:
            chain = fit.curve.chain_of(natural)
        except ParameterError:  # too far out
            return self.nowhere
        inner = slopes_at(fit.curve, natural)[:, self.moving] * self.units[self.moving]
        loss, by_chain = chain.loss_and_gradient(fit.x, fit.y, **self.options)
        gap, slopes = 0.0, np.zeros(len(at))
        if value is not None:
            x, factors = np.array([value, *self.others]), np.array([[1.0, *self.factors]])
            gap = math.fsum((factors[0] * chain.forward(x)).tolist()) - self.output
            slopes = product(product(factors, chain.jacobian(x)), inner)[0]
        gradient = self.scale * product(by_chain[None], inner)[0]
        return _State(at, self.scale * (loss - fit.mean_loss), gradient, gap, slopes)

    def _hessian(self, at: Vector, value: float | None, multiplier: float) -> Vector:
        """Compute that of Lagrange's function from differences of its gradient."""
        hessian = np.zeros((len(at), len(at)))
        for k in range(len(at)):
            ends = []
            for sign in (1.0, -1.0):
                moved = at.copy()
                moved[k] += sign * _DIFFERENCE
                state = self._state(moved, value)
                ends.append(state.gradient + multiplier * state.slopes)
            hessian[k] = (ends[0] - ends[1]) / (2.0 * _DIFFERENCE)
        return 0.5 * (hessian + hessian.T)


class _State(NamedTuple):
    """The deviance, and the constraint's gap, at a point, with their gradients."""

    at: Vector
    deviance: float
    gradient: Vector
    gap: float
    slopes: Vector

    def slope_with(self, multiplier: float) -> float:
        """Return the size of the gradient of Lagrange's function."""
        slope = self.gradient + multiplier * self.slopes
        return math.hypot(math.sqrt(_dot(slope, slope)), multiplier * self.gap)


def _dot(a: Vector, b: Vector) -> float:
    return math.fsum((a * b).tolist())
