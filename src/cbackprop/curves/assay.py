"""What a calibration curve can measure: its range and detection limits, recovery, dilutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import real_array
from ..errors import InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Count, Number, count_of, number_of
from .curve import named
from .result import CurveFit

__all__ = [
    "AssayRange",
    "DilutionLinearity",
    "Recovery",
    "assay_range",
    "dilution_linearity",
    "precision_profile",
    "recovery",
]

Vector: TypeAlias = NDArray[np.float64]
Weight: TypeAlias = Callable[[Vector], Vector]

_GRID: Final = 400  # inputs among which a limit is sought, before it is halved to a point
_HALVINGS: Final = 60


@dataclass(frozen=True)
class AssayRange:
    """What a calibration curve can measure, as doses.

    Attributes
    ----------
    lloq, uloq : float
        Lower and upper limits of quantification: between them the coefficient of variation is at
        most `max_cv`. NaN if it is nowhere so.
    max_cv : float
        In percent.
    critical : float
        The dose of a reading that a sample without the substance exceeds with a probability of
        1 - level.
    detectable : float
        The least dose whose reading exceeds that of `critical` with the probability `level`.
    blanks : float
        The dose of the mean of the blanks and three times their standard deviation.
    """

    lloq: float
    uloq: float
    max_cv: float
    critical: float
    detectable: float
    blanks: float

    def __str__(self) -> str:
        """Return a table."""
        rows = [
            (f"lower limit of quantification (CV {self.max_cv:g} %)", self.lloq),
            (f"upper limit of quantification (CV {self.max_cv:g} %)", self.uloq),
            ("critical dose", self.critical),
            ("detectable dose", self.detectable),
        ]
        if not math.isnan(self.blanks):
            rows.append(("blanks: mean and 3 standard deviations", self.blanks))
        return "\n".join(f"{name:45} {value:>12.6g}" for name, value in rows)


def precision_profile(
    fit: CurveFit, dose: ArrayLike, *, replicates: Count = 1, weight: Weight | None = None
) -> Vector:
    """Compute how precisely doses can be measured: the coefficient of variation in percent.

    Parameters
    ----------
    fit : CurveFit
        A calibration curve.
    dose : array_like
        Doses above 0; for curves of the logarithm of a dose, the doses themselves.
    replicates : int, default 1
        How many readings of a sample are averaged.
    weight : callable, optional
        The weight of a reading as a function of the value of the curve, on the scale of the
        `sample_weight` of the fit, such as ``lambda y: 1 / y**2``; by default 1. A fit with
        `weights` or a loss of a power has its own scatter at each value, which needs no `weight`.

    Returns
    -------
    ndarray
        100 standard error / dose, of the dose found by `CurveFit.inverse`, with the uncertainty of
        the curve and the scatter of the readings.

    Raises
    ------
    ParameterError
        If the curve is not one-to-one, the variance of its loss is known, or a dose is not
        positive and finite.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> curves.precision_profile(curves.hill.fit(x, y), [1, 3, 10, 100]).round(1)
    array([10.1,  4.7,  3.2, 10.6])
    """
    _check_fit(fit)
    doses = _positive("dose", dose)
    return np.asarray(_profile(fit, replicates, weight)(doses))


def assay_range(
    fit: CurveFit,
    *,
    max_cv: Number = 20.0,
    replicates: Count = 1,
    weight: Weight | None = None,
    level: Number = 0.95,
    blanks: ArrayLike | None = None,
) -> AssayRange:
    """Find the range of a calibration curve, and the least doses that it detects.

    Parameters
    ----------
    fit : CurveFit
        A calibration curve.
    max_cv : float, default 20
        The largest coefficient of variation of a dose, in percent.
    replicates, weight
        As for `precision_profile`.
    level : float, default 0.95
        One-sided level of the detection limits.
    blanks : array_like, optional
        At least two readings of samples without the substance.

    Returns
    -------
    AssayRange
        A limit that does not exist is NaN.

    Raises
    ------
    ParameterError
        As for `precision_profile`; if a number is out of its range; or if there are fewer than two
        blanks, or one is not finite.

    Notes
    -----
    The range is that about the dose of the best precision, within the standards. `critical` and
    `detectable` are the minimum detectable and the reliably detectable concentration of
    O'Connell, Belanger and Haaland (1993), who apply Currie's (1968) decision and detection limits
    to curves: with the prediction limits of the mean of `replicates` readings, the first is where
    the curve reaches the upper limit at dose 0, the second where the lower limit does. (On falling
    curves upper and lower change places.)

    References
    ----------
    Currie, L. A. (1968), Limits for qualitative detection and quantitative determination,
    Analytical Chemistry 40, 586-593.
    O'Connell, M. A., Belanger, B. A. and Haaland, P. D. (1993), Calibration and assay development
    using the four-parameter logistic model, Chemometrics and Intelligent Laboratory Systems 20,
    97-114.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0, 0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.02, 0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> print(curves.assay_range(curves.logistic4.fit(x, y), replicates=2))
    lower limit of quantification (CV 20 %)           0.357198
    upper limit of quantification (CV 20 %)            228.528
    critical dose                                     0.177724
    detectable dose                                   0.324441
    """
    _check_fit(fit)
    max_cv = number_of("max_cv", max_cv, 0.0, math.inf)
    level = number_of("level", level, 0.5, 1.0)
    profile = _profile(fit, replicates, weight)
    grid = _grid(fit)
    lloq = uloq = math.nan
    cv = profile(grid)
    if np.nanmin(cv, initial=math.inf) <= max_cv:
        best = int(np.nanargmin(cv))
        lloq, uloq = (
            _edge(grid[best::step], lambda dose: bool(profile(np.array([dose]))[0] <= max_cv))
            for step in (-1, 1)
        )
    critical, detectable = _detection(fit, float(grid[-1]), replicates, weight, level)
    return AssayRange(lloq, uloq, max_cv, critical, detectable, _dose_of_blanks(fit, blanks))


def _detection(
    fit: CurveFit, largest: float, replicates: Count, weight: Weight | None, level: float
) -> tuple[float, float]:
    """Return the critical and the detectable dose; NaN where there is none."""
    zero = -math.inf if fit.curve.log_dose else 0.0
    if not fit.curve.domain[0] <= zero <= fit.curve.domain[1]:
        return math.nan, math.nan
    sign = _direction(fit)

    def limit(x: Vector, side: float) -> Vector:
        """Return the prediction limit on one side, in the direction of the curve."""
        weights = replicates * _weights_at(weight, np.asarray(fit(x)))
        band = fit.predict(x, "prediction", 2.0 * level - 1.0, sample_weight=weights)
        with np.errstate(all="ignore"):
            return np.asarray(sign * band.value + side * 0.5 * (band.high - band.low))

    threshold = limit(np.array([zero]), 1.0)[0]
    if not math.isfinite(threshold):
        return math.nan, math.nan
    critical = float(_measured(fit, np.array([sign * threshold]))[0])

    def is_below(dose: float) -> bool:
        return bool(limit(_inputs(fit, np.array([dose])), -1.0)[0] < threshold)

    if not 0.0 < critical < largest:
        return critical, math.nan
    detectable = _edge(np.geomspace(critical, largest, _GRID), is_below)
    return critical, detectable if detectable < largest else math.nan


def _dose_of_blanks(fit: CurveFit, blanks: ArrayLike | None) -> float:
    if blanks is None:
        return math.nan
    readings = real_array(blanks, "blanks").reshape(-1)
    if len(readings) < 2 or not np.isfinite(readings).all():
        raise ParameterError(
            f"blanks: {readings.tolist()!r}; expected at least two finite readings"
        )
    edge = readings.mean() + _direction(fit) * 3.0 * readings.std(ddof=1)
    return float(_measured(fit, np.array([edge]))[0])


@dataclass(frozen=True, eq=False)
class Recovery:
    """Standards as their own calibration curve measures them; all arrays have one entry a reading.

    Attributes
    ----------
    nominal, calculated : ndarray
        Doses of the standards, and those of their readings; NaN where the curve gives a
        reading at no finite dose.
    percent : ndarray
        100 calculated / nominal.
    """

    nominal: Vector = field(repr=False)
    calculated: Vector = field(repr=False)
    percent: Vector

    def __str__(self) -> str:
        """Return a table with a line for each standard."""
        lines = [f"{'nominal':>12}  {'readings':>8}  {'mean':>12}  {'recovery %':>10}  {'CV %':>7}"]
        for dose in np.unique(self.nominal).tolist():
            found = self.calculated[self.nominal == dose]
            inside = found[~np.isnan(found)]
            mean = float(inside.mean()) if inside.size else math.nan
            spread = float(inside.std(ddof=1)) if inside.size > 1 else math.nan
            cv = 100.0 * spread / abs(mean) if mean else math.nan
            outside = len(found) - len(inside)
            lines.append(
                f"{dose:>12.6g}  {len(found):>8}  {mean:>12.6g}  {100.0 * mean / dose:>10.2f}"
                f"  {cv:>7.2f}" + (f"  {outside} beyond the curve" if outside else "")
            )
        return "\n".join(lines)


def recovery(fit: CurveFit) -> Recovery:
    """Measure the standards of a calibration curve by the curve itself.

    Parameters
    ----------
    fit : CurveFit
        A calibration curve. Standards of dose 0 are left out.

    Returns
    -------
    Recovery

    Raises
    ------
    ParameterError
        If the curve is not one-to-one, or no standard has a dose above 0.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [1, 1, 3, 3, 10, 10, 30, 30, 100, 100]
    >>> y = [0.81, 0.79, 2.14, 2.2, 4.91, 5.02, 7.66, 7.43, 9.02, 9.11]
    >>> print(curves.recovery(curves.hill.fit(x, y)))
         nominal  readings          mean  recovery %     CV %
               1         2       1.00624      100.62     1.81
               3         2        2.9979       99.93     2.36
              10         2       9.99003       99.90     2.97
              30         2       30.1644      100.55     8.70
             100         2       100.045      100.04     8.45
    """
    _check_fit(fit)
    doses = _doses(fit, fit.x)
    shown = doses > 0
    if not shown.any():
        raise ParameterError("fit: no standard has a dose above 0")
    calculated = _measured(fit, fit.y[shown])
    return Recovery(doses[shown], calculated, 100.0 * calculated / doses[shown])


@dataclass(frozen=True, eq=False)
class DilutionLinearity:
    """Dilutions of one sample; all arrays have one entry a reading.

    Attributes
    ----------
    dilution : ndarray
        By what each reading's sample was diluted.
    dose : ndarray
        The dose of the undiluted sample by each reading; NaN where the curve never gives it.
    percent : ndarray
        100 dose / the mean dose of the least dilution that the curve can measure.
    cv : float
        The coefficient of variation of all `dose`, in percent.
    slope, low, high : float
        Slope of the logarithm of the doses that were read over that of 1 / dilution, and the ends
        of its interval. It is 1 if dilution changes nothing else. NaN for too few readings.
    """

    dilution: Vector = field(repr=False)
    dose: Vector = field(repr=False)
    percent: Vector = field(repr=False)
    cv: float
    slope: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return a table."""
        lines = [f"{'dilution':>10}  {'dose':>12}  {'percent':>8}"]
        lines += [
            f"{dilution:>10.6g}  {dose:>12.6g}  {percent:>8.2f}"
            for dilution, dose, percent in zip(self.dilution, self.dose, self.percent, strict=True)
        ]
        lines.append(
            f"CV {self.cv:.2f} %, slope {self.slope:.4f} ({self.low:.4f} to {self.high:.4f})"
        )
        return "\n".join(lines)


def dilution_linearity(
    fit: CurveFit, y: ArrayLike, dilution: ArrayLike, *, level: Number = 0.95
) -> DilutionLinearity:
    """Compare what dilutions of one sample say of its dose.

    Parameters
    ----------
    fit : CurveFit
        A calibration curve.
    y : array_like
        Readings of the diluted samples.
    dilution : array_like
        By what each was diluted, 1 for the sample itself; of the shape of y. The same dilution may
        be there several times.
    level : float, default 0.95
        Confidence level of the slope's interval.

    Returns
    -------
    DilutionLinearity

    Raises
    ------
    ShapeError
        If shapes differ.
    ParameterError
        If the curve is not one-to-one, y is not finite, or dilutions are not positive and finite,
        or fewer than two.

    Notes
    -----
    A coefficient of variation of at most 20 % is the usual criterion (Plikaytis et al. 1994).

    References
    ----------
    Plikaytis, B. D. et al. (1994), Determination of parallelism and nonparallelism in bioassay
    dilution curves, Journal of Clinical Microbiology 32, 2441-2447.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> fit = curves.hill.fit(x, y)
    >>> print(curves.dilution_linearity(fit, [8.9, 7.1, 3.7, 1.3, 0.37], [1, 4, 16, 64, 256]))
      dilution          dose   percent
             1       77.9832    100.00
             4       95.1275    121.98
            16       98.4477    126.24
            64       109.584    140.52
           256       123.687    158.61
    CV 16.86 %, slope 0.9232 (0.8939 to 0.9526)
    """
    _check_fit(fit)
    readings, factors = real_array(y, "y").reshape(-1), _positive("dilution", dilution).reshape(-1)
    if np.shape(y) != np.shape(dilution):
        raise ShapeError(
            f"dilution: shape {np.shape(dilution)}, expected the shape {np.shape(y)} of y"
        )
    if not np.isfinite(readings).all():
        i = int(np.flatnonzero(~np.isfinite(readings))[0])
        raise ParameterError(f"y[{i}]: {float(readings[i])!r}; expected a finite number")
    if len(np.unique(factors)) < 2:
        raise ParameterError(f"dilution: {factors.tolist()!r}; expected different ones")
    read = _measured(fit, readings)
    read = np.where(read > 0, read, np.nan)
    dose = read * factors
    found = np.flatnonzero(~np.isnan(dose))
    percent = cv = slope = math.nan
    low, high = -math.inf, math.inf
    if found.size:
        first = found[factors[found] == factors[found].min()]
        percent = 100.0 / float(dose[first].mean())
    if found.size > 1:
        cv = 100.0 * float(dose[found].std(ddof=1)) / float(dose[found].mean())
    if len(np.unique(factors[found])) > 1 and found.size > 2:
        line = named("linear").fit(-np.log(factors[found]), np.log(read[found]))
        slope = line.params["slope"]
        low, high = line.confidence_interval(level)["slope"]
    return DilutionLinearity(factors, dose, percent * dose, cv, slope, low, high)


# ---- doses and inputs ----


def _check_fit(fit: CurveFit) -> None:
    if not isinstance(fit, CurveFit):
        raise InputTypeError(f"fit: expected a CurveFit, got {fit!r}")


def _positive(argument: str, values: ArrayLike) -> Vector:
    array = real_array(values, argument)
    bad = array[~((array > 0) & (array < math.inf))]
    if bad.size:
        raise ParameterError(f"{argument}: {float(bad[0])!r}; expected positive finite numbers")
    return np.asarray(array)


def _doses(fit: CurveFit, x: Vector) -> Vector:
    with np.errstate(all="ignore"):
        return np.asarray(10.0**x if fit.curve.log_dose else x)


def _measured(fit: CurveFit, y: Vector) -> Vector:
    """Return the doses of readings; NaN where the curve gives them at no finite dose."""
    doses = _doses(fit, np.asarray(fit.inverse(y).value))
    return np.where(np.isfinite(doses), doses, np.nan)


def _inputs(fit: CurveFit, doses: Vector) -> Vector:
    return np.log10(doses) if fit.curve.log_dose else doses


def _direction(fit: CurveFit) -> float:
    """Return 1 if the curve rises over its standards, else -1."""
    first, last = np.asarray(fit(np.array([fit.x.min(), fit.x.max()])))
    return 1.0 if last >= first else -1.0


def _weights_at(weight: Weight | None, value: Vector) -> Vector:
    if weight is None:
        return np.ones_like(value)
    if not callable(weight):
        raise InputTypeError(f"weight: expected a function of the curve's values, got {weight!r}")
    with np.errstate(all="ignore"):
        weights = real_array(weight(value), "weight")
    if weights.shape != value.shape:
        raise ShapeError(
            f"weight: it returns the shape {weights.shape}, expected the shape {value.shape}"
        )
    return np.asarray(weights)


def _profile(fit: CurveFit, replicates: Count, weight: Weight | None) -> Callable[[Vector], Vector]:
    """Return the function that computes the coefficient of variation of doses, in percent."""
    if math.isnan(fit.residual_sd):
        raise ParameterError("fit: it has no residual standard deviation; expected one")
    count_of("replicates", replicates, 1)

    def cv(doses: Vector) -> Vector:
        x = _inputs(fit, doses)
        value = np.asarray(fit(x))
        error = fit.inverse(
            value, replicates=replicates, sample_weight=_weights_at(weight, value)
        ).stderr
        per_dose = math.log(10.0) if fit.curve.log_dose else 1.0 / doses
        with np.errstate(all="ignore"):
            return np.asarray(100.0 * error * per_dose)

    return cv


def _grid(fit: CurveFit) -> Vector:
    """Return doses from the least standard above 0 to the largest one."""
    doses = _doses(fit, fit.x)
    doses = doses[doses > 0]
    if not doses.size or doses.min() == doses.max():
        raise ParameterError("fit: expected standards of at least two doses above 0")
    low, high = float(doses.min()), float(doses.max())
    grid = np.geomspace(low, high, _GRID)
    grid[0], grid[-1] = low, high
    return grid


def _edge(grid: Vector, is_inside: Callable[[float], bool]) -> float:
    """Return the last dose, from the first of the grid on, before it is no longer inside."""
    inside = float(grid[0])
    for dose in grid[1:].tolist():
        if is_inside(dose):
            inside = dose
            continue
        outside = dose
        for _ in range(_HALVINGS):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
        break
    return inside
