"""Relative potency: by how much the doses of two preparations with the same effect differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import real_array
from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number
from .arguments import between
from .comparison import scatter_of
from .curve import Curve, named
from .groups import GroupFits
from .profile import enclosed
from .ratios import (
    Estimate,
    Quantity,
    Quotient,
    exp,
    log,
    quantile_of,
    quantity_of,
    quotient_of,
)
from .result import CurveFit

if TYPE_CHECKING:
    from .._core import _Loss

__all__ = ["Assay", "potency"]

Vector: TypeAlias = NDArray[np.float64]
_LN10: Final = 2.302585092994046
_DOSES: Final = {"ec50": 1.0, "km": 1.0, "e": 1.0, "logec50": _LN10}
_MOST: Final = 60  # fits for an end of an interval
_FARTHEST: Final = 50.0  # of an end from the estimate, as a logarithm


@dataclass(frozen=True)
class Assay:
    """Potencies of test preparations relative to a reference.

    ``assay[label]`` is the `Estimate` of a test preparation; iterating gives their labels.

    Attributes
    ----------
    model : str
        Name of the curve, "parallel_line" or "slope_ratio".
    reference : hashable
        Label of the reference.
    fits : GroupFits
        Curves that differ by the potency alone.
    apart : GroupFits
        Curves that have nothing in common; ``curves.compare(assay.apart, assay.fits)`` tests
        whether that describes the data better.
    interval : str
        Kind of the intervals.
    potencies : dict
        The `Estimate` of each test preparation by its label.
    """

    model: str
    reference: Hashable
    fits: GroupFits = field(repr=False)
    apart: GroupFits = field(repr=False)
    interval: str
    potencies: Mapping[Hashable, Estimate]

    def __getitem__(self, label: Hashable) -> Estimate:
        """Return the potency of one preparation."""
        if label not in self.potencies:
            raise KeyError(f"{label!r} is no test preparation; there are {list(self)!r}")
        return self.potencies[label]

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the labels of the test preparations."""
        return iter(self.potencies)

    def __len__(self) -> int:
        """How many test preparations there are."""
        return len(self.potencies)

    def __str__(self) -> str:
        """Return a table."""
        names = [str(label) for label in self]
        width = max(map(len, names))
        level = next(iter(self.potencies.values())).level
        ends = f"{100 * level:g}% interval ({self.interval})"
        lines = [f"{self.model}, potency relative to {self.reference}"]
        lines.append(f"{'':{width}}  {'potency':>10}  {'std. error':>10}  {ends:>25}")
        lines += [
            f"{name:{width}}  {one.value:>10.6g}  {one.stderr:>10.4g}  {one.low:>12.6g}"
            f" {one.high:>12.6g}" + ("" if math.isfinite(one.stderr) else "  not identified")
            for name, one in zip(names, self.potencies.values(), strict=True)
        ]
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw data and common curves, and dashed the curves that were fitted apart.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from .plot import draw_assay  # noqa: PLC0415 matplotlib is optional

        return draw_assay(self, ax)


class _Model(NamedTuple):
    """A curve, the parameter in which preparations differ, and what a factor of the dose is."""

    name: str
    curve: Curve
    own: str
    move: Callable[[Vector, float], Vector]  # x and the logarithm of a factor of the dose


def potency(
    x: ArrayLike,
    y: ArrayLike,
    group: ArrayLike,
    *,
    reference: Hashable,
    curve: Curve | Literal["parallel_line", "slope_ratio"],
    level: Number = 0.95,
    interval: Literal["log", "wald", "fieller", "profile"] = "log",
    error: Literal["residual", "replicates"] = "residual",
    sample_weight: ArrayLike | None = None,
    fixed: Mapping[str, Number] | None = None,
    loss: _Loss | None = None,
    covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
    nan_policy: Literal["raise", "omit"] = "raise",
) -> Assay:
    """Estimate the potency of preparations relative to a reference.

    A dose x of a preparation of potency R has the effect of a dose R x of the reference. All curves
    are then one curve, along different scales of the dose.

    Parameters
    ----------
    x, y : array_like
        Doses and responses, of the same shape.
    group : array_like
        The label of the preparation of each point.
    reference : hashable
        The label of the reference.
    curve : Curve or {"parallel_line", "slope_ratio"}
        A dose curve, such as `logistic4`, of which all parameters but the ``ec50`` (or ``e``,
        ``km``, ``logec50``) are common; or lines of the logarithm of the dose with a common slope;
        or lines of the dose with a common intercept. Transform y before, if need be.
    level : float, default 0.95
        Confidence level of the intervals.
    interval : {"log", "wald", "fieller", "profile"}
        The first three as for `ratio`; of parallel lines Fieller's is that of the logarithm of the
        potency. With "profile" it is all potencies with which the curves, fitted again, have a
        residual sum of squares of at most rss + t^2 s^2.
    error : {"residual", "replicates"}
        Whether the variance s^2 is that of the residuals, or that of replicates about their means,
        as in the analysis of variance of a pharmacopoeia.
    sample_weight, fixed, loss, covariance, nan_policy
        As for `Curve.fit`. Parallel lines with the loss "log", of fractions y, are those of the
        logit of y.

    Returns
    -------
    Assay

    Raises
    ------
    InputTypeError, ParameterError, ShapeError
        As for `Curve.fit_groups`; and if there is one group, the reference is unknown, the curve
        has no parameter that a factor of the dose changes, no degree of freedom is left, or there
        are no replicates, or all are equal, for their variance.

    Notes
    -----
    The potency is ec50[reference] / ec50[test], exp((intercept[test] - intercept[reference]) /
    slope), or slope[test] / slope[reference].

    References
    ----------
    D. J. Finney, *Statistical Method in Biological Assay*, 3rd ed., Griffin, London 1978.
    European Pharmacopoeia, chapter 5.3, sections 3.2 to 3.4.

    Examples
    --------
    >>> from cbackprop import curves
    >>> dose = [1, 1, 2, 2, 4, 4] * 2
    >>> y = [2.1, 1.9, 3.0, 3.2, 4.1, 3.9, 2.5, 2.7, 3.7, 3.5, 4.6, 4.8]
    >>> group = ["S"] * 6 + ["T"] * 6
    >>> print(curves.potency(dose, y, group, reference="S", curve="parallel_line"))
    parallel_line, potency relative to S
          potency  std. error         95% interval (log)
    T     1.50042     0.07808        1.3338      1.68785
    """
    model = _model_of(curve, loss)
    if interval not in ("log", "wald", "fieller", "profile"):
        raise ParameterError(
            f"interval: {interval!r}; expected 'log', 'wald', 'fieller' or 'profile'"
        )
    if error not in ("residual", "replicates"):
        raise ParameterError(f"error: {error!r}; expected 'residual' or 'replicates'")
    confidence = between("level", level, 1)
    if model.own in (fixed or {}):
        raise ParameterError(f"fixed: {model.own!r} is what preparations differ in")
    doses = real_array(x, "x")
    if model.name == "parallel_line":
        _check_positive(doses)
        with np.errstate(all="ignore"):
            doses = log(doses)
    options: dict[str, Any] = {
        "fixed": fixed,
        "loss": loss,
        "covariance": covariance,
        "nan_policy": nan_policy,
    }
    share = [name for name in model.curve.parameters if name not in (model.own, *(fixed or {}))]
    fits, apart = (
        model.curve.fit_groups(doses, y, group, share=names, sample_weight=sample_weight, **options)
        for names in (share, ())
    )
    if reference not in fits.labels:
        raise ParameterError(
            f"reference: {reference!r} is not a group; there are {list(fits.labels)!r}"
        )
    if len(fits) < 2:
        raise ParameterError(f"group: {reference!r} is the only one; expected a reference and more")
    factor, df = _variance_factor(fits, error)
    if df <= 0:
        raise ParameterError(
            f"x: no degree of freedom is left by {fits.n_parameters} parameters; expected more"
        )
    potencies = {}
    for label in fits.labels:
        if label != reference:
            quotient, is_log = _quotient(model, fits, label, reference, factor)
            kind = "wald" if interval == "profile" else interval
            one = quotient.estimate(f"potency[{label}]", kind, confidence, df, is_logarithm=is_log)
            if interval == "profile":
                one = _profiled(model, fits, (label, reference), one, factor)
            potencies[label] = one
    return Assay(model.name, reference, fits, apart, interval, potencies)


def _model_of(curve: Curve | str, loss: str | None) -> _Model:
    if isinstance(curve, str) and curve == "parallel_line":
        line = named("platt" if loss == "log" else "linear")
        return _Model(curve, line, "intercept", np.add)
    if isinstance(curve, str) and curve == "slope_ratio":
        return _Model(curve, named("linear"), "slope", _times)
    if not isinstance(curve, Curve):
        raise InputTypeError(
            f"curve: expected a Curve, 'parallel_line' or 'slope_ratio', got {curve!r}"
        )
    own = [name for name in curve.parameters if name in _DOSES]
    if len(own) != 1 or (curve.domain[0] != 0 and not curve.log_dose):
        raise ParameterError(f"curve: {curve.name} has no parameter that is a dose, such as ec50")
    if curve.log_dose:
        return _Model(curve.name, curve, own[0], lambda x, shift: x + shift / _LN10)
    return _Model(curve.name, curve, own[0], _times)


def _times(x: Vector, shift: float) -> Vector:
    return x * exp(shift)


def _check_positive(doses: Vector) -> None:
    bad = np.flatnonzero(doses.reshape(-1) <= 0)
    if bad.size:
        raise ParameterError(
            f"x[{bad[0]}]: {float(doses.reshape(-1)[bad[0]])!r}; expected a dose above 0, "
            "which has a logarithm"
        )


def _variance_factor(fits: GroupFits, error: str) -> tuple[float, float]:
    """Return by how much the variance is greater than that of the fits, and its df."""
    if error == "residual":
        return 1.0, fits._interval_df
    if fits.loss != "squared":
        raise ParameterError(f"error: 'replicates', but loss is {fits.loss!r}; expected 'squared'")
    scatter = scatter_of(fits)
    if scatter.df == 0:
        raise ParameterError("error: 'replicates', but no dose of a group has several points")
    if scatter.rss == 0:
        raise ParameterError("error: 'replicates', but all replicates are equal")
    if fits.df <= 0:
        return math.nan, 0.0
    return scatter.rss / scatter.df / (fits.rss / fits.df), float(scatter.df)


def _quotient(
    model: _Model, fits: GroupFits, test: Hashable, reference: Hashable, factor: float
) -> tuple[Quotient, bool]:
    """Return the quotient that is the potency, or its logarithm."""
    tested, referred = (quantity_of(fits, model.own, label) for label in (test, reference))
    if model.name == "slope_ratio":
        return quotient_of(fits, tested, referred, factor=factor), False
    if model.name == "parallel_line":
        slope = quantity_of(fits, "slope", reference)
        return quotient_of(fits, _minus(tested, referred), slope, factor=factor), True
    if not model.curve.log_dose:
        return quotient_of(fits, referred, tested, factor=factor), False
    unit = Quantity("1 / log(10)", 1.0 / _LN10, np.zeros_like(tested.gradient))
    return quotient_of(fits, _minus(referred, tested), unit, factor=factor), True


def _minus(a: Quantity, b: Quantity) -> Quantity:
    return Quantity(f"{a.name} - {b.name}", a.value - b.value, a.gradient - b.gradient)


def _profiled(
    model: _Model,
    fits: GroupFits,
    labels: tuple[Hashable, Hashable],
    found: Estimate,
    factor: float,
) -> Estimate:
    """Replace the ends of an interval by those of the profile likelihood."""
    if not fits._has_likelihood:
        raise ParameterError(
            f"interval: 'profile', but the loss {fits.loss!r} has no likelihood; expected 'squared'"
        )
    if found.value < 0:
        raise ParameterError(
            f"interval: 'profile', but {found.name} is {found.value:.6g}; "
            "expected 'wald' or 'fieller'"
        )
    t = quantile_of(found.level, found.df)
    middle = log(min(max(found.value, 1e-20), 1e20))  # of one not identified it may be 0
    variance = math.nan if fits.has_known_variance else factor * fits.rss / fits.df

    def distance(shift: float) -> float:
        """Return how far the potency exp(shift) is from the estimate, in standard errors."""
        moved = _fit_moved(model, fits, labels, shift)
        if fits.has_known_variance:
            more = 2.0 * (fits.log_likelihood - moved.log_likelihood)
        else:
            more = (moved.rss - fits.rss) / variance
        return math.sqrt(max(more, 0.0))

    if variance == 0:
        return replace(found, low=max(found.low, 0.0))  # a point, or without ends
    relative = found.stderr / found.value if math.isfinite(found.stderr) else 1.0
    step = min(t * relative, 1.0) or 1.0
    low, high = (_end(distance, t, middle, side * step) for side in (-1.0, 1.0))
    return replace(found, low=exp(low), high=exp(high))


def _fit_moved(
    model: _Model, fits: GroupFits, labels: tuple[Hashable, Hashable], shift: float
) -> CurveFit | GroupFits:
    """Fit a test preparation of this potency as points of the reference at other doses."""
    test, reference = labels
    parts = [(label, fits[label]) for label in fits]
    doses = [model.move(part.x, shift) if label == test else part.x for label, part in parts]
    places = [fits.labels.index(reference if label == test else label) for label, _ in parts]
    x, y = np.concatenate(doses), np.concatenate([part.y for _, part in parts])
    options: dict[str, Any] = {
        "sample_weight": np.concatenate(
            [np.ones_like(part.y) if part.weights is None else part.weights for _, part in parts]
        ),
        "fixed": {name: fits.params[name] for name in fits.fixed},
        "loss": fits.loss,
    }
    if len(set(places)) == 1:
        return model.curve.fit(x, y, **options)
    group = np.repeat(places, [len(part.y) for _, part in parts])
    return model.curve.fit_groups(x, y, group, share=fits.shared, **options)


def _end(distance: Callable[[float], float], t: float, middle: float, step: float) -> float:
    """Find where a distance, which is nearly proportional to that from the middle, is t."""
    within, beyond, n_fits = (middle, 0.0), middle + step, 1
    value = distance(beyond)
    while value < t:
        reach = beyond - middle
        if abs(reach) > _FARTHEST:
            return math.copysign(math.inf, step)
        growth = 1.05 * t / value if value > 0 else 4.0
        within, beyond = (beyond, value), middle + reach * min(max(growth, 1.1), 4.0)
        value, n_fits = distance(beyond), n_fits + 1
    return enclosed(distance, t, within, (beyond, value), _MOST - n_fits)
