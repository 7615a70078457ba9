"""One curve fitted to several groups of points that share parameters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import LOSSES, status_text
from ..errors import ParameterError
from ..fits.arguments import Number
from ..fits.result import OUTCOMES, UNDETERMINED
from .covariance import Fitted, Places, exact_group_covariances
from .criteria import Criteria, log_jacobian, normal_log_likelihood
from .matrices import inverse_definite, product
from .result import CurveFit
from .sharing import Groups, Sharing

if TYPE_CHECKING:
    from .._core import _Loss
    from .curve import Curve
    from .weights import Weighting

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

    ``fits[label]`` is the `CurveFit` of a group, with everything that it can compute. Its standard
    errors and bands use the information of all groups on the shared parameters; its residual
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
    bounds : dict of str to (low, high)
        As they were given.
    params, stderr : dict of str to float or ndarray
        Natural parameters and their standard errors: a number for those that are fixed or the same
        in all groups, an array of shape (number of groups,) for the others.
    rss : float
        sum(weight (curve - y)^2) over all groups.
    residual_sd : float
        sqrt(rss / df); NaN for losses whose variance is known ("log", "binomial", "poisson").
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
        way: Weighting,
        *,
        bounds: Mapping[str, tuple[float | None, float | None]] | None,
        exact: bool,
    ) -> None:
        self.loss: _Loss = way.loss
        self._way = way
        self.bounds = dict(bounds or {})
        self.curve, self.labels, self.fixed = curve, groups.labels, fixed
        self.shared, self._sharing, self._data = tuple(sharing.labels), sharing, data
        self._groups = {label: g for g, label in enumerate(self.labels)}
        self._fits: dict[Hashable, CurveFit] = {}
        names = curve.parameters
        self._place = {name: k for k, name in enumerate(names)}
        self._own = [name for name in names if name not in self.shared and name not in fixed]
        self.shared_by = {
            name: {
                label: among[at]
                for label, at in zip(self.labels, sharing.numbers[:, k].tolist(), strict=True)
            }
            for name, k in self._place.items()
            if (among := sharing.labels.get(name))
        }
        self.factors = {
            name: column
            for name, column in zip(names, np.transpose(sharing.factors), strict=True)
            if (column != 1).any()
        }
        self._common = {*self.shared, *fixed} - {*self.shared_by, *self.factors}
        self._found, self._exact = found, None
        if exact:
            of_values, self._exact = self._exact_covariances()
            self._found = found._replace(among=of_values)
        self._take_parameters()
        self._take_numbers()

    def _exact_covariances(self) -> tuple[Vector, Vector]:
        """Return those of the values and of the groups."""
        numbers = range(len(self))
        among, matrices = exact_group_covariances(
            self.curve,
            [self._found.one(g) for g in numbers],
            self._data,
            self._way.loss,
            self._way.scale,
            [self._values_of(g) for g in numbers],
            self._found.among,
        )
        return among, np.array(matrices)

    def _take_parameters(self) -> None:
        found, count = self._found, len(self)
        positive = [name in self.curve.positive for name in self.curve.parameters]
        variances = self._covariances.diagonal(axis1=1, axis2=2)
        stderr = np.sqrt(variances) * np.where(positive, found.natural, 1.0)
        kinds = np.frombuffer(found.determined, dtype=np.uint8).reshape(count, -1)
        stderr[kinds >= UNDETERMINED] = math.inf
        self.failures = {
            label: status_text(int(one[-1]))
            for label, one in zip(self.labels, found.numbers, strict=True)
            if one[-1]
        }
        stderr[[self._groups[label] for label in self.failures]] = math.nan
        self.params, self.stderr = self._by_name(found.natural), self._by_name(stderr)
        unknown = np.isposinf(stderr).any(axis=1)
        self._unknown = [self.labels[g] for g in np.flatnonzero(unknown).tolist()]

    def _take_numbers(self) -> None:
        numbers, fitted = self._found.numbers, len(self) - len(self.failures)
        outcomes, iterations, counted, log_weights, rss = (
            [one[Fitted._fields.index(name) - 5] for one in numbers]
            for name in ("outcome", "n_iterations", "n_examples", "log_weight", "rss")
        )
        self.rss = math.fsum(value for value in rss if not math.isnan(value))
        self.df, dispersion = int(self._found.one(0).df), LOSSES[self.loss].dispersion
        self.residual_sd = math.nan if dispersion > 0 else math.sqrt(self._found.one(0).variance)
        self.converged = all(outcome == _CONVERGED for outcome in outcomes) and not self.failures
        self.n_iterations = int(iterations[0] if self.shared else sum(iterations))
        self.n_parameters = len(self._sharing.values) + len(self._own) * fitted
        worst = next((outcome for outcome in outcomes if outcome != _CONVERGED), outcomes[0])
        self.status, self.message = OUTCOMES[int(worst)]
        if self.failures:
            self.status = "failed"
            reasons = (f"{label} ({reason})" for label, reason in self.failures.items())
            self.message = f"not fitted: {', '.join(reasons)}"
        elif self._unknown:
            self.status = "not_identified"
            places = ", ".join(map(str, self._unknown))
            self.message = f"not all parameters are identified in: {places}"
        self._counted = int(sum(counted))
        if dispersion > 0:
            fits = [self[label] for label in self.labels if label not in self.failures]
            self.log_likelihood = math.fsum(fit.log_likelihood for fit in fits)
        elif self.loss in ("power", "box_cox"):
            fits = [self[label] for label in self.labels if label not in self.failures]
            log_weight = math.fsum(log_weights) + math.fsum(map(log_jacobian, fits))
            squares = self.residual_sd**2 * self.df
            self.log_likelihood = normal_log_likelihood(squares, self._counted, log_weight)
        else:
            log_weight = math.fsum(log_weights)
            self.log_likelihood = normal_log_likelihood(self.rss, self._counted, log_weight)

    @property
    def _covariances(self) -> Vector:
        """Those of the groups, by the coordinates."""
        return self._found.covariance if self._exact is None else self._exact

    def _by_name(self, table: Vector) -> dict[str, float | Vector]:
        return {
            name: float(column[0]) if name in self._common else column.copy()
            for name, column in zip(self.curve.parameters, table.T, strict=True)
        }

    def _values_of(self, g: int) -> tuple[Places, Places, Vector]:
        """Return the shared parameters of a group, and by them the places of their values.

        The third is the derivatives of the coordinates by those of the values.
        """
        sharing, places, first = self._sharing, [], 0
        shared = np.array([self._place[name] for name in self.shared], dtype=np.intp)
        for k, among in zip(shared.tolist(), sharing.labels.values(), strict=True):
            places.append(first + int(sharing.numbers[g, k]))
            first += 1 if among is None else len(among)
        positive = [name in self.curve.positive for name in self.shared]
        slopes = np.where(positive, 1.0, sharing.factors[g, shared])
        return shared, np.array(places, dtype=np.intp), slopes

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
                self._way,
                fixed=self.fixed,
                exact=None if self._exact is None else self._exact[g],
                bounds=self.bounds,
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
            return int(self._values_of(g)[1][self.shared.index(name)])
        return len(self._sharing.values) + g * len(self._own) + self._own.index(name)

    def value_of(self, name: str, label: Hashable) -> tuple[Hashable, float]:
        """Return which value a group has of a parameter, and the factor that it has.

        Groups with the same value, of any kind, have it in common.
        """
        factor = 1.0
        if name in self.factors:
            factor = float(self.factors[name][self._groups[label]])
        if name in self.shared_by:
            return self.shared_by[name][label], factor
        return (None if name in self.shared or name in self.fixed else label), factor

    def differs(self, name: str) -> bool:
        """Whether a parameter is not the same in all groups."""
        return name in self.params and not isinstance(self.params[name], float)

    @property
    def covariance(self) -> Vector:
        """Covariance matrix of all fitted natural parameters, in the order of `names`.

        A parameter that is shared up to factors stands for a group whose factor is 1. Own
        parameters of two groups are correlated only by the values that they share: a group's own
        ones depend on them as C_os C_ss^-1 says.
        """
        natural, values = self._found.natural, len(self._sharing.values)
        own = np.array([self._place[name] for name in self._own], dtype=np.intp)
        positive = np.array([name in self.curve.positive for name in self.curve.parameters])
        known = self._covariances
        scales = np.ones(values)
        across = np.zeros((len(self), len(own), values))
        for g, matrix in enumerate(known):
            shared, places, slopes = self._values_of(g)
            one = natural[g, shared] / self._sharing.factors[g, shared]
            scales[places] = np.where(positive[shared], one, 1.0)
            moves = matrix.diagonal()[shared] > 0
            kept = shared[moves]
            inverse = inverse_definite(matrix[np.ix_(kept, kept)])
            if inverse is None:
                inverse = np.full((len(kept), len(kept)), math.nan)
            across[g][:, places[moves]] = (
                product(matrix[np.ix_(own, kept)], inverse) * slopes[moves]
            )
        own_scales = np.where(positive[own], natural[:, own], 1.0)
        blocks = across * own_scales[:, :, None]
        all_own = blocks.reshape(len(self) * len(own), values)
        among = self._found.among
        whole = np.empty((values + len(all_own), values + len(all_own)))
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
                continue
            labels = [self.shared_by.get(name, {}).get(label, label) for label in self.labels]
            each = dict(zip(labels, zip(values, np.atleast_1d(errors), strict=True), strict=True))
            rows += [(f"{name}[{label}]", *pair) for label, pair in each.items()]
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
