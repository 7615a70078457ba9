"""The command's fits by group: side by side, and by themselves those that need more care."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .cli_model import assigned, curve_of, fitted_by, names_fitted, start_of, values_of
from .errors import CBackpropError
from .many import CONVERGED, FitManyResult, fit_many

if TYPE_CHECKING:
    from .curve_fit import CurveFit
    from .curve_many import CurveFits
    from .fitting import FitResult

__all__ = ["fit_groups"]

Vector: TypeAlias = NDArray[np.float64]
_GROUPS: Final = 1 << 13  # at a time; rows are printed in between


def fit_groups(
    given: argparse.Namespace,
    groups: Sequence[str],
    x: Vector,
    y: Vector,
    weight: Vector | None,
) -> int:
    """Fit the groups side by side, and print a row for each."""
    rows: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    names = names_fitted(given)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [given.group, *names, *(f"{n}_stderr" for n in names), "rss", "residual_sd", "status"]
    )
    failed = False
    entries = [(group, np.array(places)) for group, places in rows.items()]
    for first in range(0, len(entries), _GROUPS):
        batch = entries[first : first + _GROUPS]
        found = _fit_side_by_side(given, [places for _, places in batch], x, y, weight)
        for (group, places), numbers in zip(batch, found, strict=True):
            if numbers is not None:
                writer.writerow([group, *map(repr, numbers), "converged"])
                continue
            own_weight = None if weight is None else weight[places]
            try:
                fitted = fitted_by(given, x[places], y[places], own_weight)
            except CBackpropError as error:
                failed = True
                writer.writerow([group, *[""] * (2 * len(names) + 2), f"failed: {error}"])
                continue
            failed = failed or not fitted.converged
            writer.writerow([group, *map(repr, _numbers_of(fitted)), fitted.status])
        if sys.stderr.isatty():
            done = first + len(batch)
            print(f"\r{done} of {len(entries)} groups", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return 1 if failed else 0


def _numbers_of(fitted: CurveFit | FitResult) -> list[float]:
    """Estimates, standard errors, rss and residual deviation."""
    values = list(values_of(fitted))
    estimates, errors = [value for _, value, _ in values], [error for _, _, error in values]
    return [*estimates, *errors, float(fitted.rss), float(fitted.residual_sd)]


def _fit_side_by_side(
    given: argparse.Namespace,
    groups: Sequence[NDArray[np.intp]],
    x: Vector,
    y: Vector,
    weight: Vector | None,
) -> list[list[float] | None]:
    """Give the numbers of groups that converge at once; None for those to be fitted alone."""
    if given.covariance != "gauss-newton":
        return [None] * len(groups)
    shape = (len(groups), max(places.size for places in groups))
    inputs, targets = np.ones(shape), np.full(shape, np.nan)  # NaN is a missing point
    weights = None if weight is None else np.zeros(shape)
    for row, places in enumerate(groups):
        inputs[row, : places.size] = x[places]
        targets[row, : places.size] = y[places]
        if weight is not None and weights is not None:
            weights[row, : places.size] = weight[places]
    lost = ~(np.isfinite(inputs) & np.isfinite(targets))
    if weights is not None:
        lost |= ~np.isfinite(weights)
        weights[lost] = 0.0
    inputs[lost], targets[lost] = 1.0, np.nan
    if not lost.any() and (inputs == inputs[0]).all():
        inputs = inputs[0]
    options: dict[str, Any] = {"sample_weight": weights, "loss_scale": given.loss_scale}
    if given.loss is not None:
        options["loss"] = given.loss
    fits: CurveFits | FitManyResult
    try:
        if given.curve is not None:
            fixed = dict(map(assigned, given.fixed))
            fits = curve_of(given.curve).fit_many(inputs, targets, fixed=fixed, **options)
            estimates, errors = list(fits.params.values()), list(fits.stderr.values())
        else:
            fits = fit_many(start_of(given), inputs, targets, **options)
            free = np.flatnonzero(fits.chains.free)
            estimates, errors = list(fits.params.T[free]), list(fits.stderr.T[free])
    except CBackpropError:  # of some group: which one, and why, is found one by one
        return [None] * len(groups)
    numbers = np.column_stack([*estimates, *errors, fits.rss, fits.residual_sd]).tolist()
    is_done = (fits.codes == CONVERGED).tolist()
    return [row if done else None for row, done in zip(numbers, is_done, strict=True)]
