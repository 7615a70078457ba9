"""The command's fits by group: side by side, and one by one where that does not converge."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CBackpropError
from ..fits.many import CONVERGED, FitManyResult, fit_many
from ..fits.result import OUTCOMES
from .arguments import loss_options
from .data import Data, counted, note
from .model import Found, curve_of, fitted_by, fixed_of, names_fitted, start_of

if TYPE_CHECKING:
    from ..curves.many import CurveFits

__all__ = ["fit_groups"]

Vector: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]
_GROUPS: Final = 1 << 13  # groups at a time; their rows are printed before the next ones
_PADDED: Final = 1 << 20  # at most this many points in a batch, including padding


class _Groups(NamedTuple):
    """A table's groups, in the order of their first rows."""

    names: Sequence[str]
    counts: Places  # number of rows of each group
    sizes: Places  # number of its complete rows, which are contiguous in x, y and weight
    firsts: Places
    x: Vector
    y: Vector
    weight: Vector | None

    @classmethod
    def of(cls, groups: Sequence[str], data: Data) -> _Groups:
        """Sort a table's rows by group."""
        places = {name: place for place, name in enumerate(dict.fromkeys(groups))}
        codes = np.fromiter(map(places.__getitem__, groups), np.intp, len(groups))
        complete = np.flatnonzero(data.complete)
        order = complete[np.argsort(codes[complete], kind="stable")]
        sizes = np.bincount(codes[complete], minlength=len(places))
        return cls(
            list(places),
            np.bincount(codes),
            sizes,
            np.cumsum(sizes) - sizes,
            data.x[order],
            data.y[order],
            None if data.weight is None else data.weight[order],
        )

    def rows(self, group: int) -> tuple[Vector, Vector, Vector | None]:
        """Return the examples of one group."""
        rows = slice(self.firsts[group], self.firsts[group] + self.sizes[group])
        return self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows]


def fit_groups(given: argparse.Namespace, data: Data, group_of: Sequence[str]) -> int:
    """Fit the groups side by side, and print a row for each."""
    groups, names = _Groups.of(group_of, data), names_fitted(given)
    write = _json_lines(groups, data, names) if given.json else _csv_rows(groups, data, names)
    all_converged = True
    count = len(groups.names)
    for first in range(0, count, _GROUPS):
        last = min(first + _GROUPS, count)
        found = _fit_side_by_side(given, groups, first, last)
        for group in range(first, last):
            entry = found.get(group) or _fit_alone(given, groups, group, len(names))
            all_converged &= entry.converged
            write(group, entry)
        if sys.stderr.isatty():
            note(f"\r{last} of {counted(count, 'group')}", end="\n" if last == count else "")
    return 0 if all_converged else 1


# ---- output --------------------------------------------------------------------------------------

_Writer: TypeAlias = Callable[[int, Found], object]


def _csv_rows(groups: _Groups, data: Data, names: Sequence[str]) -> _Writer:
    note(f"cbackprop: {data}, {counted(len(groups.names), 'group')}")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    errors = [f"{name}_stderr" for name in names]
    writer.writerow([data.columns["group"], *names, *errors, "rss", "residual_sd", "status"])

    def write(group: int, found: Found) -> None:
        numbers = [*found.values, *found.errors, found.rss, found.residual_sd]
        if found.status == "failed":
            row = [*[""] * len(numbers), f"failed: {found.message}"]
        else:
            row = [*map(repr, numbers), found.status]
        writer.writerow([groups.names[group], *row])

    return write


def _json_lines(groups: _Groups, data: Data, names: Sequence[str]) -> _Writer:
    def write(group: int, found: Found) -> None:
        rows = int(groups.sizes[group])
        facts = {
            "group": groups.names[group],
            "columns": data.columns,
            "rows": rows,
            "left_out": int(groups.counts[group]) - rows,
            **found.facts(names),
        }
        print(json.dumps(facts, allow_nan=False))

    return write


# ---- fits ----------------------------------------------------------------------------------------


def _fit_alone(given: argparse.Namespace, groups: _Groups, group: int, width: int) -> Found:
    """Fit one group by itself; if that fails, return the reason."""
    try:
        return Found.of(fitted_by(given, *groups.rows(group)))
    except CBackpropError as error:
        unknown = [math.nan] * width
        return Found(unknown, unknown, math.nan, math.nan, None, False, "failed", str(error))


def _fit_side_by_side(
    given: argparse.Namespace, groups: _Groups, first: int, last: int
) -> dict[int, Found]:
    """Fit some groups side by side, and return those that converged; the caller fits the others."""
    if given.covariance == "hessian":
        return {}
    found: dict[int, Found] = {}
    filled = first + np.flatnonzero(groups.sizes[first:last])
    for batch in _batches(filled, groups.sizes):
        # some group is invalid; the single fits find out which one, and why
        with suppress(CBackpropError):
            found.update(_fit_batch(given, groups, batch))
    return found


def _batches(chosen: Places, sizes: Places) -> Iterator[Places]:
    """Divide groups by size, so that padding at most doubles a batch, and batches are limited."""
    chosen = chosen[np.argsort(sizes[chosen], kind="stable")]
    first = rows = 0
    for place, size in enumerate(sizes[chosen].tolist()):
        padded = (place + 1 - first) * size
        if place > first and padded > min(2 * (rows + size), _PADDED):
            yield chosen[first:place]
            first, rows = place, 0
        rows += size
    if chosen.size:
        yield chosen[first:]


def _fit_batch(
    given: argparse.Namespace, groups: _Groups, batch: Places
) -> Iterator[tuple[int, Found]]:
    """Fit groups side by side, and yield those whose result needs no single fit."""
    sizes = groups.sizes[batch]
    is_there = np.arange(sizes[-1]) < sizes[:, None]  # the last group is the largest
    places = groups.firsts[batch, None] + np.arange(sizes[-1]) * is_there
    inputs = groups.x[places]  # padding repeats the group's first input
    targets = np.where(is_there, groups.y[places], math.nan)
    options = loss_options(given)
    if groups.weight is not None:
        options["sample_weight"] = groups.weight[places]
    if is_there.all() and (inputs == inputs[0]).all():
        inputs = inputs[0]
    fits: CurveFits | FitManyResult
    if given.curve is not None:
        fixed, curve = fixed_of(given), curve_of(given.curve)
        fits = curve.fit_many(inputs, targets, fixed=fixed, **options)
        values, errors = np.array(list(fits.params.values())), np.array(list(fits.stderr.values()))
        free = np.array([name not in fixed for name in curve.parameters])
    else:
        fits = fit_many(start_of(given), inputs, targets, **options)
        free = fits.chains.free
        values, errors = fits.params.T[free], fits.stderr.T[free]
        free = np.ones(len(values), dtype=np.bool_)
    # A standard error is 0 at a bound and infinite if not identified. Without a residual deviation
    # above 0 it says nothing about single parameters.
    is_usual = (np.isfinite(errors) & (errors > 0))[free].all(axis=0) | ~(fits.residual_sd > 0)
    status, message = OUTCOMES[CONVERGED]
    is_usual &= fits.codes == CONVERGED
    if given.curve is not None:  # of what is hardly determined a single fit says more
        is_usual &= (2 * errors <= np.abs(values))[free].all(axis=0) & (fits.df > 0)
    rows = zip(
        batch[is_usual].tolist(),
        values.T[is_usual].tolist(),
        errors.T[is_usual].tolist(),
        fits.rss[is_usual].tolist(),
        fits.residual_sd[is_usual].tolist(),
        fits.df[is_usual].astype(np.intp).tolist(),
        strict=True,
    )
    for group, value, error, rss, residual_sd, df in rows:
        yield group, Found(value, error, rss, residual_sd, df, True, status, message)
