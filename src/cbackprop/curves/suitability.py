"""Whether an assay is valid: equivalence of its curves, and limits of what they must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from ..errors import InputTypeError, ParameterError
from ..fits.arguments import Number
from .arguments import between
from .comparison import compare, lack_of_fit
from .groups import GroupFits
from .potency import Assay
from .ratios import Estimate, Quantity, quantity_of, quotient_of

if TYPE_CHECKING:
    _Limits: TypeAlias = Mapping[str, tuple[Number | None, Number | None]]

__all__ = ["Criterion", "Suitability", "equivalence", "suitability"]

_Row: TypeAlias = tuple[str, float, float, float]


@dataclass(frozen=True)
class Criterion:
    """A number or an interval that must lie within limits.

    Attributes
    ----------
    name : str
        What it is, such as ``"slope[T] / slope[S]"``.
    value, low, high : float
        The number, and the ends of its interval, which are that number where it has none.
    limits : tuple of float
        The least and the greatest number allowed.
    """

    name: str
    value: float
    low: float
    high: float
    limits: tuple[float, float]

    @property
    def passed(self) -> bool:
        """Whether all of the interval lies within the limits."""
        return self.limits[0] <= self.low and self.high <= self.limits[1]


@dataclass(frozen=True)
class Suitability:
    """Criteria, and whether an assay meets them.

    Attributes
    ----------
    criteria : tuple of Criterion
    """

    criteria: tuple[Criterion, ...]

    @property
    def passed(self) -> bool:
        """Whether all criteria are met."""
        return all(one.passed for one in self.criteria)

    def __str__(self) -> str:
        """Return a table."""
        width = max(len(one.name) for one in self.criteria)
        lines = [f"{'':{width}}  {'value':>10}  {'interval':>21}  {'limits':>21}"]
        for one in self.criteria:
            ends = "" if one.low == one.high else f"{one.low:>10.5g} {one.high:>10.5g}"
            limits = f"{one.limits[0]:>10.5g} {one.limits[1]:>10.5g}"
            verdict = "pass" if one.passed else "FAIL"
            lines.append(f"{one.name:{width}}  {one.value:>10.5g}  {ends:>21}  {limits}  {verdict}")
        return "\n".join(lines)


def equivalence(
    assay: Assay,
    limits: _Limits,
    *,
    alpha: Number = 0.05,
    interval: Literal["log", "wald", "fieller"] = "fieller",
) -> Suitability:
    """Test whether each curve is parallel to that of the reference, within given margins.

    The curves are fitted apart. A test preparation passes if the interval of the ratio of its
    parameter to that of the reference lies within the margins: two one-sided tests.

    Parameters
    ----------
    assay : Assay
    limits : mapping of str to (low, high)
        Margins of the ratios of parameters, with 1 between them, such as ``{"slope": (0.8,
        1.25)}``; None is no margin on that side. "range" is upper less lower plateau.
    alpha : float, default 0.05
        Significance level of each one-sided test; the confidence level is 1 - 2 alpha.
    interval : {"log", "wald", "fieller"}
        As for `ratio`.

    Returns
    -------
    Suitability

    Raises
    ------
    InputTypeError
        If `assay` is not an Assay, or margins are not numbers.
    ParameterError
        If a name is unknown, margins do not enclose 1, or `alpha` is not between 0 and 0.5.

    References
    ----------
    USP <1032>, *Design and Development of Biological Assays*: tests of similarity.
    D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987), 657-680: two one-sided tests.
    """
    margins = _checked(assay, limits)
    level = 1.0 - 2.0 * between("alpha", alpha, 1)
    if level <= 0:
        raise ParameterError(f"alpha: {alpha!r}; expected between 0 and 0.5")
    fits, criteria = assay.apart, []
    for name, (low, high) in margins.items():
        if not low < 1.0 < high:
            raise ParameterError(f"limits[{name!r}]: {low:g} to {high:g}; expected 1 between them")
        if name != "range" and name not in fits.params:
            raise ParameterError(
                f"limits: {name!r} is unknown; expected one of {[*fits.params, 'range']!r}"
            )
        for label in assay:
            top, bottom = (_parameter(fits, name, one) for one in (label, assay.reference))
            one = quotient_of(fits, top, bottom).estimate(
                f"{top.name} / {bottom.name}", interval, level, fits._interval_df
            )
            criteria.append(Criterion(one.name, one.value, one.low, one.high, (low, high)))
    return Suitability(tuple(criteria))


def suitability(assay: Assay, limits: _Limits) -> Suitability:
    """Check an assay against limits; only those that are given are judged.

    Parameters
    ----------
    assay : Assay
    limits : mapping of str to (low, high)
        None is no limit on that side. For each group, fitted separately: any parameter of the
        curve, "r2", "rss", "range" (the distance between the plateaus) and "asymptote_ratio" (the
        greater plateau divided by the lesser one). For the assay: "residual_sd" of the common
        curve, and the p-values "lack_of_fit" (of the separate curves, against replicates) and
        "parallelism" (of the common curve). For each test preparation: "potency", "precision" (the
        ends of its interval divided by the potency) and "width" (upper end divided by lower end).

    Returns
    -------
    Suitability

    Raises
    ------
    InputTypeError
        If `assay` is not an Assay, or limits are not numbers.
    ParameterError
        If a name is unknown or limits are crossed; or as for `lack_of_fit` and `compare`.

    Examples
    --------
    >>> from cbackprop import curves
    >>> dose = [1, 1, 2, 2, 4, 4] * 2
    >>> y = [2.1, 1.9, 3.0, 3.2, 4.1, 3.9, 2.5, 2.7, 3.7, 3.5, 4.6, 4.8]
    >>> group = ["S"] * 6 + ["T"] * 6
    >>> assay = curves.potency(dose, y, group, reference="S", curve="parallel_line")
    >>> print(curves.suitability(assay, {"r2": (0.95, None), "potency": (0.8, 1.25)}))
                     value               interval                 limits
    r2[S]            0.982                               0.95        inf  pass
    r2[T]          0.98584                               0.95        inf  pass
    potency[T]      1.5004                                0.8       1.25  FAIL
    """
    margins = _checked(assay, limits)
    criteria = []
    for name, pair in margins.items():
        known = [*assay.apart.params, *_MEASURES]
        if name not in known:
            raise ParameterError(f"limits: {name!r} is unknown; expected one of {known!r}")
        criteria += [Criterion(*row, pair) for row in _rows(assay, name)]
    return Suitability(tuple(criteria))


def _rows(assay: Assay, name: str) -> list[_Row]:
    """Compute a measure, of each group or preparation or of all: its name, value and interval."""
    if name in _OF_ALL:
        return [(name, *(_OF_ALL[name](assay),) * 3)]
    if name in _OF_POTENCIES:
        return [(f"{name}[{label}]", *_OF_POTENCIES[name](assay[label])) for label in assay]
    values = {label: _of_group(assay.apart, name, label) for label in assay.apart}
    return [(f"{name}[{label}]", value, value, value) for label, value in values.items()]


def _of_group(fits: GroupFits, name: str, label: Hashable) -> float:
    if name in fits.params:
        return float(fits[label].params[name])
    if name == "range":
        return abs(_parameter(fits, name, label).value)
    if name == "asymptote_ratio":
        low, high = sorted(one.value for one in _plateaus(fits, label))
        return high / low if low != 0 else math.inf
    return float(getattr(fits[label], name))


def _plateaus(fits: GroupFits, label: Hashable) -> tuple[Quantity, Quantity]:
    for low, high in (("bottom", "top"), ("lower", "upper")):
        if {low, high} <= set(fits.params):
            return quantity_of(fits, low, label), quantity_of(fits, high, label)
    raise ParameterError(f"limits: {fits.curve.name} has no two plateaus")


def _parameter(fits: GroupFits, name: str, label: Hashable) -> Quantity:
    if name != "range":
        return quantity_of(fits, name, label)
    low, high = _plateaus(fits, label)
    return Quantity(f"range[{label}]", high.value - low.value, high.gradient - low.gradient)


def _precision(one: Estimate) -> tuple[float, float, float]:
    value = one.value if one.value > 0 else math.nan
    return 1.0, one.low / value, one.high / value


def _residual_sd(assay: Assay) -> float:
    return assay.fits.residual_sd


_OF_GROUPS: Final = ("r2", "rss", "range", "asymptote_ratio")
_OF_ALL: Final[Mapping[str, Callable[[Assay], float]]] = MappingProxyType(
    {
        "residual_sd": _residual_sd,
        "lack_of_fit": lambda assay: lack_of_fit(assay.apart).p,
        "parallelism": lambda assay: compare(assay.apart, assay.fits).p,
    }
)
_OF_POTENCIES: Final[Mapping[str, Callable[[Estimate], tuple[float, float, float]]]] = (
    MappingProxyType(
        {
            "potency": lambda one: (one.value,) * 3,
            "precision": _precision,
            "width": lambda one: (one.high / one.low if one.low > 0 else math.inf,) * 3,
        }
    )
)
_MEASURES: Final = (*_OF_GROUPS, *_OF_ALL, *_OF_POTENCIES)


def _checked(assay: Assay, limits: _Limits) -> dict[str, tuple[float, float]]:
    """Check the limits, and replace None by infinity."""
    if not isinstance(assay, Assay):
        raise InputTypeError(f"assay: expected an Assay, got {assay!r}")
    if not isinstance(limits, Mapping):
        raise InputTypeError(f"limits: expected a mapping of names to (low, high), got {limits!r}")
    if not limits:
        raise ParameterError("limits: there are none; expected one at least")
    checked = {}
    for name, pair in limits.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputTypeError(f"limits[{name!r}]: {pair!r}; expected (low, high)")
        for end in pair:
            if isinstance(end, bool) or not isinstance(
                end, int | float | np.integer | np.floating | None
            ):
                raise InputTypeError(f"limits[{name!r}]: {end!r}; expected a number or None")
        low = -math.inf if pair[0] is None else float(pair[0])
        high = math.inf if pair[1] is None else float(pair[1])
        if not low < high or low == math.inf or high == -math.inf:
            raise ParameterError(f"limits[{name!r}]: {pair!r}; expected low < high")
        if math.isinf(low) and math.isinf(high):
            raise ParameterError(f"limits[{name!r}]: {pair!r}; expected a limit on one side")
        checked[name] = low, high
    return checked
