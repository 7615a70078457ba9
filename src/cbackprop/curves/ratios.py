"""Ratios and differences of parameters and effective doses of two groups."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import Chain
from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number
from .arguments import between
from .distributions import distributions
from .groups import GroupFits
from .matrices import product
from .result import CurveFit

if TYPE_CHECKING:
    _Interval: TypeAlias = Literal["log", "wald", "fieller"]

__all__ = [
    "Estimate",
    "Quantity",
    "Quotient",
    "difference",
    "exp",
    "log",
    "quantile_of",
    "quantity_of",
    "quotient_of",
    "ratio",
]

Vector: TypeAlias = NDArray[np.float64]
# The same bits on all platforms, and infinity where it is right.
exp: Final = Chain([1.0], [0.0], ["exp"]).forward
log: Final = Chain([1.0], [0.0], ["log"]).forward
_What: TypeAlias = str | Number
_STEP: Final = 1e-5  # of a parameter, for derivatives of an effective dose


@dataclass(frozen=True)
class Estimate:
    """An estimate that compares two groups.

    Attributes
    ----------
    name : str
        What it is, such as ``"ec50[a] / ec50[b]"``.
    value, stderr : float
        The estimate and its standard error by the delta method, infinite if the data do not
        identify it.
    low, high, level : float
        The ends of its confidence interval, and the confidence level.
    df : float
        Degrees of freedom of the interval, infinite if the variance is known.
    null : float
        The value of two equal groups: 1 for a ratio, 0 for a difference.
    """

    name: str
    value: float
    stderr: float
    low: float
    high: float
    level: float
    df: float
    null: float

    @property
    def t(self) -> float:
        """(value - null) / stderr."""
        return (self.value - self.null) / self.stderr if self.stderr > 0 else math.nan

    @property
    def p(self) -> float:
        """How probable a t so far from 0 is if the groups are equal; needs SciPy."""
        special = distributions()
        beyond = -abs(self.t)
        return 2.0 * float(
            special.stdtr(self.df, beyond) if math.isfinite(self.df) else special.ndtr(beyond)
        )

    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.name} = {self.value:.6g}, standard error {self.stderr:.4g}, "
            f"{100 * self.level:g}% interval {self.low:.6g} to {self.high:.6g}"
        )


class Quotient(NamedTuple):
    """A numerator and a denominator, their variances, and the covariance of both."""

    top: float
    bottom: float
    top_variance: float
    covariance: float
    bottom_variance: float

    def fieller(self, t: float) -> tuple[float, float]:
        """Return the ends of Fieller's interval, infinite if the denominator may be 0."""
        square = t * t
        a = self.bottom * self.bottom - square * self.bottom_variance
        b = self.top * self.bottom - square * self.covariance
        c = self.top * self.top - square * self.top_variance
        if not (a > 0 and math.isfinite(b) and math.isfinite(c)):
            return -math.inf, math.inf
        root = math.sqrt(max(b * b - a * c, 0.0))
        return (b - root) / a, (b + root) / a

    def estimate(
        self,
        name: str,
        interval: str,
        level: float,
        df: float,
        *,
        is_logarithm: bool = False,
    ) -> Estimate:
        """Make the estimate of the quotient, or of what it is the logarithm of."""
        if interval not in ("log", "wald", "fieller"):
            raise ParameterError(f"interval: {interval!r}; expected 'log', 'wald' or 'fieller'")
        t = quantile_of(level, df)
        if self.bottom == 0:
            raise ParameterError(f"{name}: the denominator is 0")
        value = self.top / self.bottom
        variance = self.top_variance + value * (
            value * self.bottom_variance - 2.0 * self.covariance
        )
        error = math.inf
        if math.isfinite(variance):
            error = math.sqrt(max(variance, 0.0)) / abs(self.bottom)
        ends = self.fieller(t) if math.isfinite(error) else (-math.inf, math.inf)
        if is_logarithm:
            value, ends = exp(value), (exp(ends[0]), exp(ends[1]))
            error = error * value if 0 < value < math.inf else math.inf
        if interval == "log":
            if value <= 0 and math.isfinite(error):
                raise ParameterError(
                    f"interval: 'log', but {name} is {value:.6g}; expected 'wald' or 'fieller'"
                )
            factor = exp(t * error / value) if math.isfinite(error) else math.inf
            ends = (value / factor, value * factor) if factor < math.inf else (0.0, math.inf)
        elif interval == "wald":
            reach = t * error
            ends = (value - reach, value + reach) if reach < math.inf else (-math.inf, math.inf)
        return Estimate(name, value, error, *ends, level, df, 1.0)


def ratio(
    fits: GroupFits,
    what: _What | tuple[_What, _What],
    a: Hashable,
    b: Hashable,
    *,
    level: Number = 0.95,
    interval: _Interval = "log",
) -> Estimate:
    """Estimate the ratio of a parameter or an effective dose of two groups, a / b.

    Parameters
    ----------
    fits : GroupFits
        With or without shared parameters; the residual variance is that of all groups.
    what : str or float, or a pair
        The name of a parameter, or a percentage of the effect as for `CurveFit.effective_dose`; a
        pair if it is not the same in both groups: ``(10, 50)`` is the ED10 of a by the ED50 of b.
    a, b : hashable
        Labels of groups.
    level : float, default 0.95
        Confidence level of the interval.
    interval : {"log", "wald", "fieller"}
        Whether the interval is that of the logarithm, or estimate and standard error on both sides,
        or Fieller's: all ratios that a test of numerator - ratio * denominator = 0 does not reject.
        The last one is infinite if the denominator may be 0.

    Returns
    -------
    Estimate

    Raises
    ------
    InputTypeError
        If `fits` is not a GroupFits.
    ParameterError
        If a group, a parameter or `interval` is unknown; or a number is out of its range; or the
        interval of the logarithm of a ratio below 0 is requested.

    References
    ----------
    E. C. Fieller, "Some problems in interval estimation", J. R. Statist. Soc. B 16 (1954), 175-185.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30] * 2
    >>> y = [0.09, 0.25, 0.49, 0.76, 0.9, 0.98, 0.05, 0.12, 0.34, 0.58, 0.85, 0.93]
    >>> fits = curves.hill.fit_groups(x, y, ["a"] * 6 + ["b"] * 6, share=["top", "slope"])
    >>> print(curves.ratio(fits, "ec50", "a", "b"))
    ec50[a] / ec50[b] = 0.483615, standard error 0.02511, 95% interval 0.429043 to 0.545127
    """
    first, second = _pair(fits, what, a, b)
    name = f"{first.name} / {second.name}"
    return quotient_of(fits, first, second).estimate(
        name, interval, between("level", level, 1), fits._interval_df
    )


def difference(
    fits: GroupFits,
    what: _What | tuple[_What, _What],
    a: Hashable,
    b: Hashable,
    *,
    level: Number = 0.95,
) -> Estimate:
    """Estimate the difference of a parameter or an effective dose of two groups, a - b.

    Parameters
    ----------
    fits, what, a, b, level
        As for `ratio`.

    Returns
    -------
    Estimate
        Its interval is estimate and standard error on both sides.

    Raises
    ------
    InputTypeError, ParameterError
        As for `ratio`.
    """
    first, second = _pair(fits, what, a, b)
    confidence, df = between("level", level, 1), fits._interval_df
    with np.errstate(all="ignore"):
        variance = float(_spread(fits, (first.gradient - second.gradient)[None])[0, 0])
    error = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else math.inf
    value, reach = first.value - second.value, quantile_of(confidence, df) * error
    name = f"{first.name} - {second.name}"
    return Estimate(name, value, error, value - reach, value + reach, confidence, df, 0.0)


def quantile_of(level: float, df: float) -> float:
    """Return the t that -t and t enclose with this probability, infinite without df."""
    return _core.t_quantile(0.5 + 0.5 * level, df) if df > 0 else math.inf


def quotient_of(
    fits: GroupFits, top: Quantity, bottom: Quantity, *, factor: float = 1.0
) -> Quotient:
    """Make a quotient with its variances, which are multiplied by a factor."""
    with np.errstate(all="ignore"):
        matrix = factor * _spread(fits, np.array([top.gradient, bottom.gradient]))
    return Quotient(
        top.value, bottom.value, *(float(matrix[i, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
    )


class Quantity(NamedTuple):
    """A number of a group's fit and its derivatives by all parameters, as `names` has them."""

    name: str
    value: float
    gradient: Vector


def _pair(
    fits: GroupFits, what: _What | tuple[_What, _What], a: Hashable, b: Hashable
) -> tuple[Quantity, Quantity]:
    if not isinstance(fits, GroupFits):
        raise InputTypeError(f"fits: expected a GroupFits, got {fits!r}")
    both = what if isinstance(what, tuple) else (what, what)
    if len(both) != 2:
        raise ParameterError(f"what: {what!r}; expected a name, a percentage, or a pair")
    for argument, label in (("a", a), ("b", b)):
        if label not in fits.labels:
            raise ParameterError(
                f"{argument}: {label!r} is not a group; there are {list(fits.labels)!r}"
            )
    return quantity_of(fits, both[0], a), quantity_of(fits, both[1], b)


def quantity_of(fits: GroupFits, what: _What, label: Hashable) -> Quantity:
    """Return a parameter, or the effective dose of a percentage, of one group."""
    fit, parameters = fits[label], fits.curve.parameters
    if isinstance(what, str):
        fits.curve.check_names("what", {what: None})
        slopes = np.array([float(name == what) for name in parameters])
        name, value = f"{what}[{label}]", fit.params[what]
    else:
        percent = between("what", what, 100)
        name = f"ED{percent:g}[{label}]"
        value, slopes = _dose(fit, percent / 100.0)
    gradient = np.zeros(fits.n_parameters)
    for key, slope in zip(parameters, slopes.tolist(), strict=True):
        if key not in fits.fixed:
            gradient[fits.row(key, label)] = slope * fits.value_of(key, label)[1]
    return Quantity(name, value, gradient)


def _dose(fit: CurveFit, fraction: float) -> tuple[float, Vector]:
    """Return an effective dose and its derivatives by the natural parameters."""
    row, loss, power, found, _ = fit._fit

    def dose_of(natural: Vector) -> float:
        params, _ = _core.curve_chain(row, natural)
        moved = found._replace(natural=natural, params=params)
        interval, given = _core.INTERVALS["wald"], np.array(fraction)
        known = (row, loss, power, moved, None)
        return float(_core.curve_inputs(known, interval, 0.5, given, None, True)[0])

    with np.errstate(all="ignore"):
        slopes = np.zeros(len(found.natural))
        for k, name in enumerate(fit.params):
            value = float(found.natural[k])
            step = _STEP * (value if name in fit.curve.positive else max(1.0, abs(value)))
            ends = [found.natural.copy(), found.natural.copy()]
            ends[0][k], ends[1][k] = value - step, value + step
            slopes[k] = (dose_of(ends[1]) - dose_of(ends[0])) / (2.0 * step)
        return dose_of(found.natural), slopes


def _spread(fits: GroupFits, rows: Vector) -> Vector:
    """Return the covariance matrix of combinations of parameters, one in each row."""
    used = np.flatnonzero(rows.any(axis=0))  # an infinite variance of another one is no matter
    rows = rows[:, used]
    return product(product(rows, fits.covariance[np.ix_(used, used)]), rows.T)
