"""Groups of points, and which of them have a parameter in common."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputTypeError, ParameterError, ShapeError

if TYPE_CHECKING:
    from .curve import Curve

__all__ = ["Groups", "Sharing", "groups_of", "sharing_of"]

Vector: TypeAlias = NDArray[np.float64]
Share: TypeAlias = Iterable[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Groups:
    """Groups of points: their labels and sizes, and the points in the order of their groups."""

    labels: tuple[Hashable, ...]
    sizes: list[int]
    order: NDArray[np.intp]  # of the points that are kept
    kept: NDArray[np.bool_]

    def check_sizes(self, own: int, values: int, weights: Vector | None) -> None:
        """Raise ShapeError if a group, or all together, have fewer points than parameters."""
        sizes, counting = self.sizes, ""
        if weights is not None and sizes:
            starts = np.cumsum(sizes) - np.array(sizes)
            counts = np.add.reduceat((weights != 0).astype(np.intp), starts)
            sizes, counting = counts.tolist(), " that count"
        for label, size in zip(self.labels, sizes, strict=True):
            if size < max(own, 1):
                points = ("1 point" if size == 1 else f"{size} points") + counting
                needed = f"{own} parameters of its own" if own > 0 else "1"
                raise ShapeError(f"group {label!r}: {points}, fewer than {needed}")
        total, needed_by_all = sum(sizes), values + own * len(self.labels)
        if total < needed_by_all or total == 0:
            raise ShapeError(
                f"x: {total} points{counting}, fewer than {needed_by_all} parameters of all groups"
            )

    def split(
        self, x: Vector, y: Vector, weights: Vector | None
    ) -> list[tuple[Vector, Vector, Vector | None]]:
        """Divide ordered data."""
        ends = np.cumsum(self.sizes).tolist()
        slices = [slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True)]
        return [(x[own], y[own], None if weights is None else weights[own]) for own in slices]


@dataclass(frozen=True)
class Sharing:
    """Shared parameters, in the curve's order, with their values.

    `labels` has the labels of values by name, None for a parameter with one value; `numbers` of
    values and `factors` are those of the core, (groups, parameters).
    """

    labels: dict[str, tuple[Hashable, ...] | None]
    numbers: NDArray[np.uintp]
    factors: Vector

    @property
    def values(self) -> list[tuple[str, Hashable]]:
        """All values, as (name, label) with None for the label of the only one."""
        return [(name, label) for name, among in self.labels.items() for label in among or (None,)]


def groups_of(group: ArrayLike, kept: NDArray[np.bool_]) -> Groups:
    """Find the groups of the points that are kept, in the order in which they are first met."""
    labels = _labels("group", group, kept)[kept].tolist()
    numbers, place = _numbered("group", labels)
    sizes = np.bincount(place, minlength=len(numbers)).tolist()
    return Groups(tuple(numbers), sizes, np.argsort(place, kind="stable"), kept)


def sharing_of(curve: Curve, share: Share, fixed: Iterable[str], groups: Groups) -> Sharing:
    """Check and read the argument `share` of `fit_groups`."""
    if isinstance(share, str) or not isinstance(share, Iterable):
        raise InputTypeError(f"share: expected names of parameters, or a mapping, got {share!r}")
    given = share if isinstance(share, Mapping) else dict.fromkeys(share, True)
    curve.check_names("share", given)
    for name in fixed:
        if name in given:
            raise ParameterError(f"share: {name!r} is also in fixed; expected one of both")
    labels: dict[str, tuple[Hashable, ...] | None] = {}
    shape = (len(groups.labels), len(curve.parameters))
    value, factor = np.zeros(shape, dtype=np.uintp), np.ones(shape)
    for k, name in enumerate(curve.parameters):
        if name not in given:
            continue
        labels[name] = None
        how, argument = given[name], f"share[{name!r}]"
        if isinstance(how, Mapping):
            factor[:, k] = _factors(argument, how, groups, is_positive=name in curve.positive)
        elif isinstance(how, str | bool | int | float | None):
            if how is not True:
                raise InputTypeError(
                    f"{argument}: {how!r}; expected True, a label for each point, or a mapping of "
                    "groups to factors"
                )
        else:
            labels[name], value[:, k] = _values(argument, how, groups)
    return Sharing(labels, value, factor)


def _labels(argument: str, given: ArrayLike, kept: NDArray[np.bool_]) -> NDArray[np.object_]:
    if np.ma.isMaskedArray(given):
        raise InputTypeError(f"{argument}: a masked array; fill or compress it first")
    labels = np.asarray(given, dtype=object).reshape(-1)  # texts and numbers as they are
    if labels.shape != kept.shape:
        raise ShapeError(f"{argument}: {labels.size} labels, expected {kept.size}, one for a point")
    return labels


def _numbered(
    argument: str, labels: list[Hashable]
) -> tuple[dict[Hashable, int], NDArray[np.intp]]:
    numbers: dict[Hashable, int] = {}
    place = [numbers.setdefault(label, len(numbers)) for label in labels]
    for label in numbers:
        if label is None or (isinstance(label, float) and math.isnan(label)):
            raise ParameterError(
                f"{argument}: {label!r} among the labels; expected one for a point"
            )
    return numbers, np.array(place, dtype=np.intp)


def _values(
    argument: str, given: ArrayLike, groups: Groups
) -> tuple[tuple[Hashable, ...], NDArray[np.intp]]:
    """Find which value each group has, by labels of the points."""
    labels = _labels(argument, given, groups.kept)[groups.kept][groups.order].tolist()
    numbers, place = _numbered(argument, labels)
    ends = np.cumsum(groups.sizes)
    first = place[ends - groups.sizes]
    wrong = np.flatnonzero(place != np.repeat(first, groups.sizes))
    if wrong.size:
        group = int(np.searchsorted(ends, wrong[0], side="right"))
        was, other = labels[ends[group] - groups.sizes[group]], labels[wrong[0]]
        raise ParameterError(
            f"{argument}: {was!r} and {other!r} in group {groups.labels[group]!r}; "
            "expected one label for all points of a group"
        )
    return tuple(numbers), first


def _factors(
    argument: str, given: Mapping[Any, Any], groups: Groups, *, is_positive: bool
) -> list[float]:
    for label in given:
        if label not in groups.labels:
            raise ParameterError(f"{argument}: {label!r} is not a group")
    factors = []
    for label in groups.labels:
        if label not in given:
            raise ParameterError(f"{argument}: no factor of group {label!r}")
        factor = given[label]
        if not isinstance(factor, int | float | np.integer | np.floating) or factor is True:
            raise InputTypeError(f"{argument}[{label!r}]: expected a number, got {factor!r}")
        if not math.isfinite(factor) or factor == 0 or (is_positive and factor < 0):
            wanted = "a positive" if is_positive else "a"
            raise ParameterError(
                f"{argument}[{label!r}]: {factor!r}; expected {wanted} finite number, not 0"
            )
        factors.append(float(factor))
    return factors
