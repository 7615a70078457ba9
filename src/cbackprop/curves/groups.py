"""One curve fitted to several groups of points that share parameters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import LOSSES
from ..errors import ParameterError, ShapeError
from .covariance import Fitted
from .criteria import Criteria, normal_log_likelihood
from .matrices import inverse_triangle, product, semidefinite_root
from .result import CurveFit

if TYPE_CHECKING:
    from .curve import Curve
    from .weights import Weighting

__all__ = ["GroupFits", "groups_of"]

Vector: TypeAlias = NDArray[np.float64]


class GroupFits(Criteria):
    """Fits of one curve to several groups, with shared parameters.

    ``fits[label]`` is the `CurveFit` of a group, with everything that it can compute: its standard
    errors and bands include what the other groups say of the shared parameters, and its residual
    standard deviation and degrees of freedom are those of all groups together. Iterating gives the
    labels.

    Attributes
    ----------
    curve : Curve
    labels : tuple
        Of the groups, in the order in which they were first met.
    shared : tuple of str
        Names of the parameters that all groups have in common.
    fixed : tuple of str
        Names of the parameters that were given.
    params, stderr : dict of str to float or ndarray
        Natural parameters and their standard errors: a number for those that are shared or fixed,
        an array of shape (number of groups,) for the others.
    rss : float
        sum(weight (curve - y)^2) over all groups.
    residual_sd : float
        sqrt(rss / df); NaN for losses whose variance is known ("log", "poisson").
    df : int
        Degrees of freedom: the number of points less the number of fitted parameters.
    n_parameters : int
        Number of fitted parameters of all groups.
    log_likelihood : float
        As in `CurveFit`, of all groups.
    converged : bool
        Whether a minimum has been reached.
    status, message : str
        "converged", "not_identified" or "max_iterations"; and in words.
    n_iterations : int
    """

    def __init__(
        self,
        curve: Curve,
        found: list[Fitted],
        data: list[tuple[Vector, Vector, Vector | None]],
        labels: tuple[Hashable, ...],
        shared: tuple[str, ...],
        fixed: tuple[str, ...],
        way: Weighting,
    ) -> None:
        self.curve, self.labels, self.loss = curve, labels, way.loss
        self.shared, self.fixed = shared, fixed
        self._fits = {
            label: CurveFit(curve, one, points, way, fixed=fixed, exact=False)
            for label, one, points in zip(labels, found, data, strict=True)
        }
        fits = list(self._fits.values())
        first = fits[0]
        self._common = (*shared, *fixed)
        self.params = {
            name: self._each(name, [fit.params for fit in fits]) for name in first.params
        }
        self.stderr = {
            name: self._each(name, [fit.stderr for fit in fits]) for name in first.params
        }
        self.rss = math.fsum(fit.rss for fit in fits)
        self.df, self.residual_sd = first.df, first.residual_sd
        self.converged = all(fit.converged for fit in fits)
        self.n_iterations = first.n_iterations if shared else sum(fit.n_iterations for fit in fits)
        own = len(curve.parameters) - len(self._common)
        self.n_parameters = len(shared) + own * len(fits)
        not_identified = [fit for fit in fits if fit.status == "not_identified"]
        worst = next((fit for fit in fits if not fit.converged), first)
        self.status = "not_identified" if not_identified else worst.status
        self.message = worst.message
        if not_identified:
            places = [str(label) for label in labels if self._fits[label] in not_identified]
            self.message = f"not all parameters are identified in: {', '.join(places)}"
        self._counted = int(sum(one.n_examples for one in found))
        if LOSSES[way.loss].dispersion > 0:
            self.log_likelihood = math.fsum(fit.log_likelihood for fit in fits)
        else:
            log_weight = math.fsum(one.log_weight for one in found)
            self.log_likelihood = normal_log_likelihood(self.rss, self._counted, log_weight)

    def _each(self, name: str, values: list[dict[str, float]]) -> float | Vector:
        if name in self._common:
            return values[0][name]
        return np.array([value[name] for value in values])

    def __getitem__(self, label: Hashable) -> CurveFit:
        """Return the fit of one group."""
        if label not in self._fits:
            raise KeyError(f"{label!r} is not a group; there are {list(self.labels)!r}")
        return self._fits[label]

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the labels."""
        return iter(self.labels)

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.labels)

    @property
    def names(self) -> tuple[str | tuple[str, Hashable], ...]:
        """What the rows of `covariance` are: names of shared parameters, then (name, label)."""
        own = [name for name in self.curve.parameters if name not in self._common]
        return (*self.shared, *((name, label) for label in self.labels for name in own))

    @property
    def covariance(self) -> Vector:
        """Covariance matrix of all fitted natural parameters, in the order of `names`.

        Own parameters of two groups are correlated only by the shared ones: their covariance is
        C_1s C_ss^-1 C_s2.
        """
        parameters = self.curve.parameters
        shared = [parameters.index(name) for name in self.shared]
        own = [k for k, name in enumerate(parameters) if name not in self._common]
        matrices = [fit.covariance for fit in self._fits.values()]
        among = matrices[0][np.ix_(shared, shared)]
        scales = np.sqrt(among.diagonal())
        root = semidefinite_root(among / np.outer(scales, scales))
        inverse = inverse_triangle(root.T) / scales[:, None]
        across = [product(matrix[np.ix_(own, shared)], inverse) for matrix in matrices]
        size, width = len(shared), len(own)
        whole = np.empty((self.n_parameters, self.n_parameters))
        whole[:size, :size] = among
        for i, matrix in enumerate(matrices):
            rows = slice(size + i * width, size + (i + 1) * width)
            whole[rows, :size] = matrix[np.ix_(own, shared)]
            whole[:size, rows] = whole[rows, :size].T
            for j in range(i + 1):
                columns = slice(size + j * width, size + (j + 1) * width)
                whole[rows, columns] = product(across[i], across[j].T)
                whole[columns, rows] = whole[rows, columns].T
            whole[rows, rows] = matrix[np.ix_(own, own)]
        return whole

    def summary(self) -> str:
        """Return a table of the parameters with their standard errors, as text."""
        lines = [f"{self.curve.name}: {self.curve.formula}"]
        lines.append(f"{len(self)} groups share {', '.join(self.shared)}")
        rows = []
        for name in self.params:
            if name in self._common:
                one = self._fits[self.labels[0]]
                rows.append((name, one.params[name], one.stderr[name]))
            else:
                rows += [
                    (f"{name}[{label}]", fit.params[name], fit.stderr[name])
                    for label, fit in self._fits.items()
                ]
        width = max(len(name) for name, _, _ in rows)
        lines.append(f"{'':{width}}  {'estimate':>14}  {'std. error':>12}")
        lines += [f"{name:{width}}  {value:>14.8g}  {error:>12.5g}" for name, value, error in rows]
        if math.isfinite(self.residual_sd):
            lines.append(
                f"residual sd {self.residual_sd:.6g} on {self.df} degrees of freedom, "
                f"rss {self.rss:.6g}, AIC {self.aic:.6g}"
            )
        lines.append(self.message)
        return "\n".join(lines)

    __str__ = summary

    def __repr__(self) -> str:
        """Show the curve, the number of groups, what is shared and the message."""
        return (
            f"<GroupFits of {len(self)} {self.curve.name}, shared {', '.join(self.shared)}; "
            f"{self.message}>"
        )


class Groups(NamedTuple):
    """Groups of points: their labels and sizes, and the points in the order of their groups."""

    labels: tuple[Hashable, ...]
    sizes: list[int]
    order: NDArray[np.intp]

    def check_sizes(self, own: int, shared: int) -> None:
        """Raise ShapeError if a group, or all together, have fewer points than parameters."""
        for label, size in zip(self.labels, self.sizes, strict=True):
            if size < own:
                points = "1 point" if size == 1 else f"{size} points"
                raise ShapeError(
                    f"group {label!r}: {points}, fewer than {own} parameters of its own"
                )
        total, needed = len(self.order), shared + own * len(self.labels)
        if total < needed or total == 0:
            raise ShapeError(f"x: {total} points, fewer than {needed} parameters of all groups")

    def split(
        self, x: Vector, y: Vector, weights: Vector | None
    ) -> list[tuple[Vector, Vector, Vector | None]]:
        """Divide ordered data."""
        ends = np.cumsum(self.sizes)[:-1]
        parts = [
            [None] * len(self.sizes) if a is None else np.split(a, ends) for a in (x, y, weights)
        ]
        return list(zip(*parts, strict=True))


def groups_of(group: ArrayLike, kept: NDArray[np.bool_]) -> Groups:
    """Find the groups of the points that are kept, in the order in which they are first met."""
    labels = np.asarray(group, dtype=object).reshape(-1)  # texts and numbers as they are
    if labels.shape != kept.shape:
        raise ShapeError(f"group: {labels.size} labels, expected {kept.size}, one for each point")
    numbers: dict[Hashable, int] = {}
    place = [numbers.setdefault(label, len(numbers)) for label in labels[kept].tolist()]
    for label in numbers:
        if label is None or (isinstance(label, float) and math.isnan(label)):
            raise ParameterError(f"group: {label!r} among the labels; expected one for each point")
    sizes = np.bincount(np.array(place, dtype=np.intp), minlength=len(numbers)).tolist()
    return Groups(tuple(numbers), sizes, np.argsort(place, kind="stable"))
