"""One curve fitted to several groups of points that share parameters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import LOSSES, status_text
from ..errors import ParameterError
from ..fits.arguments import Number
from ..fits.result import OUTCOMES, UNDETERMINED
from .covariance import Fitted, Places, exact_group_covariances
from .criteria import Criteria, normal_log_likelihood
from .matrices import inverse_definite, product
from .result import CurveFit
from .sharing import Groups, Sharing

if TYPE_CHECKING:
    from .._core import _Loss
    from .curve import Curve

__all__ = ["FoundGroups", "GroupFits"]

Vector: TypeAlias = NDArray[np.float64]
_CONVERGED = 1  # of enum cbp_outcome


class FoundGroups(NamedTuple):
    """What the core has found, as `_core.fit_curve_groups` returns it."""

    among: Vector
    natural: Vector
    params: Vector
    covariance: Vector
    determined: bytes
    triangle: Vector
    numbers: list[tuple[float, ...]]

    def one(self, g: int) -> Fitted:
        """Return what was found for one group."""
        p = self.natural.shape[1]
        kinds = self.determined[g * p : (g + 1) * p]
        arrays = (self.natural[g], self.params[g], self.covariance[g], kinds, self.triangle[g])
        return Fitted(*arrays, *self.numbers[g][:-1])  # type: ignore[arg-type]


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
        Names of the parameters that groups have in common.
    shared_by : dict of str to dict
        Of the parameters that are shared by the groups with one label: the label of each group.
    factors : dict of str to ndarray
        Of the parameters that are shared up to factors: the factor of each group.
    fixed : tuple of str
        Names of the parameters that were given.
    params, stderr : dict of str to float or ndarray
        Natural parameters and their standard errors: a number for those that are fixed or the same
        in all groups, an array of shape (number of groups,) for the others.
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
        "converged", "not_identified", "max_iterations", or "failed" where groups that share nothing
        could not all be fitted; and in words.
    failures : dict
        Why a group could not be fitted, by its label. Its parameters are NaN.
    n_iterations : int
    """

    def __init__(
        self,
        curve: Curve,
        found: FoundGroups,
        data: list[tuple[Vector, Vector, Vector | None]],
        groups: Groups,
        sharing: Sharing,
        fixed: tuple[str, ...],
        loss: _Loss,
        loss_scale: float,
        *,
        exact: bool,
    ) -> None:
        self.curve, self.labels, self.loss, self.fixed = curve, groups.labels, loss, fixed
        self.shared, self._sharing, self._data = tuple(sharing.labels), sharing, data
        self._scale, self._groups = loss_scale, {label: g for g, label in enumerate(self.labels)}
        self._fits: dict[Hashable, CurveFit] = {}
        names, count = curve.parameters, len(self.labels)
        self._place = {name: k for k, name in enumerate(names)}
        self.shared_by = {
            name: {label: among[int(at)] for label, at in zip(self.labels, column, strict=True)}
            for name, among in sharing.labels.items()
            if among is not None and sharing.value is not None
            for column in (sharing.value[:, self._place[name]].tolist(),)
        }
        self.factors = (
            {}
            if sharing.factor is None
            else {
                name: column
                for name, column in zip(names, sharing.factor.T, strict=True)
                if (column != 1).any()
            }
        )
        several = {*self.shared_by, *self.factors}
        self._common = {*self.shared, *fixed} - several
        self._exact: Vector | None = None
        if exact:
            among, matrices = exact_group_covariances(
                curve,
                [found.one(g) for g in range(count)],
                data,
                loss,
                loss_scale,
                [self._values_of(g, found.natural[g]) for g in range(count)],
                found.among,
            )
            found = found._replace(among=among)
            self._exact = np.array(matrices)
        self._found = found
        known = found.covariance if self._exact is None else self._exact
        scales = np.where([name in curve.positive for name in names], found.natural, 1.0)
        kinds = np.frombuffer(found.determined, dtype=np.uint8).reshape(count, -1)
        unknown = kinds >= UNDETERMINED
        stderr = np.sqrt(known.diagonal(axis1=1, axis2=2)) * scales
        stderr[unknown] = math.inf
        numbers = [Fitted._fields.index(name) - 5 for name in ("outcome", "n_iterations", "rss")]
        outcomes, iterations, rss = ([one[at] for one in found.numbers] for at in numbers)
        self.failures = {
            label: status_text(int(one[-1]))
            for label, one in zip(self.labels, found.numbers, strict=True)
            if one[-1]
        }
        stderr[[self._groups[label] for label in self.failures]] = math.nan
        self.params, self.stderr = self._by_name(found.natural), self._by_name(stderr)
        self.rss = math.fsum(value for value in rss if not math.isnan(value))
        first = found.one(0)
        self.df = int(first.df)
        self.residual_sd = math.nan
        if LOSSES[loss].dispersion == 0:
            self.residual_sd = math.sqrt(first.variance)
        self.converged = all(outcome == _CONVERGED for outcome in outcomes) and not self.failures
        self.n_iterations = int(iterations[0] if self.shared else sum(iterations))
        self._own = [name for name in names if name not in self.shared and name not in fixed]
        self.n_parameters = len(sharing.values) + len(self._own) * (count - len(self.failures))
        worst = next((outcome for outcome in outcomes if outcome != _CONVERGED), outcomes[0])
        self.status, self.message = OUTCOMES[int(worst)]
        places = [label for label, row in zip(self.labels, unknown, strict=True) if row.any()]
        if self.failures:
            self.status = "failed"
            reasons = (f"{label} ({reason})" for label, reason in self.failures.items())
            self.message = f"not fitted: {', '.join(reasons)}"
        elif places:
            self.status = "not_identified"
            self.message = f"not all parameters are identified in: {', '.join(map(str, places))}"
        self._counted = int(sum(one[7] for one in found.numbers))

    def _by_name(self, table: Vector) -> dict[str, float | Vector]:
        return {
            name: float(column[0]) if name in self._common else column.copy()
            for name, column in zip(self.curve.parameters, table.T, strict=True)
        }

    def _values_of(self, g: int, natural: Vector) -> tuple[list[int], list[int], Vector]:
        """Return the shared parameters of a group, and by them the places of their values.

        The third is the derivatives of the coordinates by those of the values.
        """
        sharing = self._sharing
        shared, places, first = [self._place[name] for name in self.shared], [], 0
        for k, among in zip(shared, sharing.labels.values(), strict=True):
            places.append(first + (0 if sharing.value is None else int(sharing.value[g, k])))
            first += 1 if among is None else len(among)
        slopes = np.ones(len(shared)) if sharing.factor is None else sharing.factor[g, shared]
        positive = [name in self.curve.positive for name in self.shared]
        return shared, places, np.where(positive, 1.0, slopes)

    @cached_property
    def log_likelihood(self) -> float:
        """As in `CurveFit`, of all groups."""
        if LOSSES[self.loss].dispersion > 0:
            return math.fsum(self[label].log_likelihood for label in self.labels)
        log_weight = math.fsum(one[9] for one in self._found.numbers)
        return normal_log_likelihood(self.rss, self._counted, log_weight)

    def __getitem__(self, label: Hashable) -> CurveFit:
        """Return the fit of one group."""
        if label not in self._groups:
            raise KeyError(f"{label!r} is not a group; there are {list(self.labels)!r}")
        if label in self.failures:
            raise ParameterError(f"group {label!r} was not fitted: {self.failures[label]}")
        if label not in self._fits:
            g = self._groups[label]
            self._fits[label] = CurveFit(
                self.curve,
                self._found.one(g),
                self._data[g],
                self.loss,
                self._scale,
                fixed=self.fixed,
                exact=None if self._exact is None else self._exact[g],
            )
        return self._fits[label]

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the labels."""
        return iter(self.labels)

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.labels)

    @property
    def names(self) -> tuple[str | tuple[str, Hashable], ...]:
        """What the rows of `covariance` are.

        First shared parameters: the name, or (name, label) for each of several values. Then those
        that groups have for themselves: (name, label of the group).
        """
        values = [
            name if name not in self.shared_by else (name, label)
            for name, label in self._sharing.values
        ]
        own = [(name, label) for label in self.labels for name in self._own]
        return (*values, *own)

    def row(self, name: str, label: Hashable) -> int:
        """Return the row of `covariance` that a group's parameter has."""
        g = self._groups[label]
        if name in self.shared:
            return self._values_of(g, self._found.natural[g])[1][self.shared.index(name)]
        return len(self._sharing.values) + g * len(self._own) + self._own.index(name)

    @property
    def covariance(self) -> Vector:
        """Covariance matrix of all fitted natural parameters, in the order of `names`.

        A parameter that is shared up to factors stands for a group whose factor is 1. Own
        parameters of two groups are correlated only by the values that they share: a group's own
        ones depend on them as C_os C_ss^-1 says.
        """
        natural, values = self._found.natural, len(self._sharing.values)
        own = [self._place[name] for name in self._own]
        positive = np.array([name in self.curve.positive for name in self.curve.parameters])
        known = self._found.covariance if self._exact is None else self._exact
        scales = np.ones(values)
        across = np.zeros((len(self), len(own), values))
        for g, matrix in enumerate(known):
            shared, places, slopes = self._values_of(g, natural[g])
            factor = 1.0 if self._sharing.factor is None else self._sharing.factor[g, shared]
            scales[places] = np.where(positive[shared], natural[g, shared] / factor, 1.0)
            moves = [i for i, k in enumerate(shared) if matrix[k, k] > 0]
            kept = [shared[i] for i in moves]
            inverse = inverse_definite(matrix[np.ix_(kept, kept)])
            if inverse is None:
                inverse = np.full((len(kept), len(kept)), math.nan)
            slope = product(matrix[np.ix_(own, kept)], inverse) * slopes[moves]
            across[g][:, [places[i] for i in moves]] = slope
        own_scales = np.where(positive[own], natural[:, own], 1.0)
        blocks = across * own_scales[:, :, None]
        all_own = blocks.reshape(-1, values)
        among = self._found.among
        whole = np.empty((self.n_parameters, self.n_parameters))
        whole[:values, :values] = among * np.outer(scales, scales)
        between = product(all_own, among)
        whole[values:, :values] = between * scales
        whole[:values, values:] = whole[values:, :values].T
        whole[values:, values:] = product(between, all_own.T)
        for g, matrix in enumerate(known):
            rows = slice(values + g * len(own), values + (g + 1) * len(own))
            whole[rows, rows] = matrix[np.ix_(own, own)] * np.outer(own_scales[g], own_scales[g])
        return whole

    def confidence_interval(
        self, level: Number = 0.95, *, interval: Literal["log", "wald"] = "log"
    ) -> dict[str, tuple[float | Vector, float | Vector]]:
        """Compute the confidence interval of each natural parameter, as `CurveFit` does.

        Parameters
        ----------
        level, interval
            As there.

        Returns
        -------
        dict of str to (low, high)
            Numbers or arrays, as in `params`.
        """
        each = [
            [(math.nan, math.nan)] * len(self.params)
            if label in self.failures
            else list(self[label].confidence_interval(level, interval=interval).values())
            for label in self.labels
        ]
        low, high = (self._by_name(np.array(each)[:, :, end]) for end in (0, 1))
        return {name: (low[name], high[name]) for name in self.params}

    def summary(self) -> str:
        """Return a table of the parameters with their standard errors, as text."""
        lines = [f"{self.curve.name}: {self.curve.formula}"]
        lines.append(f"{len(self)} groups" + self.shares)
        rows = []
        for name, values in self.params.items():
            errors = self.stderr[name]
            if isinstance(values, float):
                rows.append((name, values, errors))
            else:
                rows += [
                    (f"{name}[{label}]", *pair)
                    for label, *pair in zip(self.labels, values, np.atleast_1d(errors), strict=True)
                ]
        width = max(len(name) for name, *_ in rows)
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

    @property
    def shares(self) -> str:
        """What the groups share, in words."""
        words = []
        for name, among in self._sharing.labels.items():
            how = f" ({len(among)} values)" if among is not None else ""
            words.append(name + (" up to factors" if name in self.factors else how))
        return f" share {', '.join(words)}" if words else ""
