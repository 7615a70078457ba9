"""Curves: natural parameters on a chain, and how one is fitted without starting values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import Chain, no_such_name
from .curve_fit import CurveFit
from .errors import ParameterError, ShapeError
from .fitting import FitResult, examples_of, fit

if TYPE_CHECKING:
    from ._core import _Loss, _Number

__all__ = ["Curve", "Form"]

Vector: TypeAlias = NDArray[np.float64]
_STEP: Final = 1e-100  # of complex-step derivatives
_CANDIDATES: Final = 4
_SAMPLE: Final = 2000  # points that candidates are ranked on

# ---- what a curve is made of ---------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """One chain that computes the curve."""

    activations: tuple[str, ...]
    frozen: tuple[str, ...]
    chain: Callable[..., Sequence[float]]
    """Natural parameters -> [w1, b1, ..., wL, bL]."""
    natural: Callable[..., Sequence[complex]]
    """[w1, b1, ..., wL, bL] -> natural parameters; analytic."""
    alone: Mapping[str, str]
    """Natural parameters that one parameter of the chain alone determines, and which."""
    starts: Callable[[Vector], Iterator[Sequence[float]]]
    """Inputs -> candidates for all of the chain's parameters. Those of a last identity layer, where
    they are free, do not matter: they are solved for."""
    together: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    """Natural parameters that, when all are fixed, fix these parameters of the chain."""
    settle: Callable[[Vector], Vector] | None = None
    """Fitted parameters -> those of the same curve that the names mean, if there are two."""
    upright: str = ""
    """The chain's parameter that is not negative where there is nothing to settle; held to that if
    anything is fixed or bounded, since this is meant of the settled curve."""
    limits: Mapping[str, tuple[float | None, float | None]] | None = None
    """Bounds that the chain's parameters have in any case."""

    def holds(self, fixed: Iterable[str]) -> set[str] | None:
        """Give the chain's parameters that are fixed with these, None if that cannot be said."""
        left, places = set(fixed), set[str]()
        for names, group in (self.together or {}).items():
            if left.issuperset(names):
                places.update(group)
                left.difference_update(names)
        if not left.issubset(self.alone):
            return None
        return places.union(self.alone[name] for name in left)


@dataclass(frozen=True)
class Curve:
    """A classical model: its formula, its natural parameters, and the chains that compute it.

    Attributes
    ----------
    name, formula : str
    parameters : tuple of str
        Names of the natural parameters.
    forms : tuple of Form
        The first is used unless what is fixed or bounded needs another.
    loss : {"squared", "log"}
    log_axis : bool
        Whether the curve lives on a logarithmic x axis.
    domain : tuple of float
        Least and greatest x.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    forms: tuple[Form, ...]
    loss: Literal["squared", "log"] = "squared"
    log_axis: bool = False
    domain: tuple[float, float] = (-math.inf, math.inf)

    def __repr__(self) -> str:
        """Name the curve as it is imported."""
        return f"curves.{self.name}"

    def chain(self, **natural: float) -> Chain:
        """Make the chain of given natural parameters.

        Raises
        ------
        ParameterError
            If a name is missing or unknown.
        """
        self.check_names("parameters", natural)
        missing = [name for name in self.parameters if name not in natural]
        if missing:
            raise ParameterError(f"{missing[0]}: missing; {self.name} has {self._signature()}")
        form = self.forms[0]
        params = form.chain(*(float(natural[name]) for name in self.parameters))
        return Chain(params[::2], params[1::2], form.activations, form.frozen)

    @overload
    def __call__(self, x: _Number, **natural: float) -> float: ...
    @overload
    def __call__(self, x: ArrayLike, **natural: float) -> Vector: ...
    def __call__(self, x: ArrayLike, **natural: float) -> float | Vector:
        """Compute the curve with given natural parameters."""
        return self.chain(**natural).forward(x)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        fixed: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: float = 1.0,
        covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
        nan_policy: Literal["raise", "omit"] = "raise",
    ) -> CurveFit:
        """Fit the curve to data; it finds its own starting values.

        Parameters
        ----------
        x, y : array_like
            Data of one shape, at least as many points as parameters to fit.
        sample_weight, loss_scale, covariance, nan_policy
            As for `cbackprop.fit`.
        fixed : mapping of str to float, optional
            Natural parameters that are known, such as ``{"bottom": 0}``.
        bounds : mapping of str to (low, high), optional
            Bounds of natural parameters; None is no bound.
        loss : str, optional
            As for `cbackprop.fit`; by default the curve's own.

        Returns
        -------
        CurveFit

        Raises
        ------
        ParameterError
            If a name is unknown, an x lies outside the curve's domain, or what is fixed and bounded
            cannot be combined.
        ShapeError
            If shapes differ or there are too few points.
        """
        fixed, bounds = dict(fixed or {}), dict(bounds or {})
        self.check_names("fixed", fixed)
        self.check_names("bounds", bounds)
        for name, pair in bounds.items():
            _ends(name, pair)
            if name in fixed:
                raise ParameterError(f"bounds: {name!r} is fixed already")
        inputs, targets, weights = _data(x, y, sample_weight, nan_policy)
        self._check_domain(inputs)
        form = self._form_for(fixed, bounds)
        inside = {name: pair for name, pair in bounds.items() if name in form.alone}
        free = len(self.parameters) - len(fixed)
        if len(inputs) < max(free, 1):
            points = "1 point is" if len(inputs) == 1 else f"{len(inputs)} points are"
            raise ShapeError(f"x: {points} fewer than {free} parameters to fit")
        search = _Search(self, form, inputs, targets, weights, fixed, inside)
        found = search.best(loss=loss or self.loss, loss_scale=loss_scale, covariance=covariance)
        fitted = search.report(found)
        for name in bounds:
            # a bound that the chain's parameters cannot have: if it is passed, it holds
            if name not in search.mapped and not _is_within(
                fitted.params[name], name, bounds[name]
            ):
                end = _nearest_end(fitted.params[name], bounds[name])
                fitted = self.fit(
                    inputs,
                    targets,
                    sample_weight=weights,
                    fixed={**fixed, name: end},
                    bounds={other: pair for other, pair in bounds.items() if other != name},
                    loss=loss,
                    loss_scale=loss_scale,
                    covariance=covariance,
                )
                fitted.message += f"; at a bound: {name}"
                return fitted
        return fitted

    # ---- arguments ----

    def _signature(self) -> str:
        return ", ".join(self.parameters)

    def check_names(self, argument: str, given: Mapping[str, object]) -> None:
        """Raise ParameterError if a name is not one of the curve's parameters."""
        for name in given:
            if name not in self.parameters:
                near = no_such_name(name, self.parameters)
                raise ParameterError(
                    f"{argument}: {name!r} is not a parameter of {self.name}; {near}"
                )

    def _check_domain(self, x: Vector) -> None:
        low, high = self.domain
        wrong = np.flatnonzero(~((x >= low) & (x <= high)))
        if wrong.size:
            raise ParameterError(
                f"x[{wrong[0]}]: {float(x[wrong[0]])!r}; "
                f"{self.name} is defined from {low:g} to {high:g}"
            )

    def _form_for(self, fixed: Iterable[str], bounds: Iterable[str]) -> Form:
        """Choose the form that holds what is fixed, and most of what is bounded."""
        able = [form for form in self.forms if form.holds(fixed) is not None]
        if not able:
            raise ParameterError(f"fixed: {self.name} cannot hold {', '.join(fixed)} together")
        return max(able, key=lambda form: sum(name in form.alone for name in bounds))


def _is_within(value: float, name: str, pair: tuple[float | None, float | None]) -> bool:
    low, high = _ends(name, pair)
    return not (value < low or value > high)


def _nearest_end(value: float, pair: tuple[float | None, float | None]) -> float:
    low, high = _ends("", pair)
    return low if value < low else high


def _ends(name: str, pair: tuple[float | None, float | None]) -> tuple[float, float]:
    """Give both ends of a bound, infinite where there is none."""
    try:
        low, high = pair
    except (TypeError, ValueError):
        raise ParameterError(
            f"bounds[{name!r}]: {pair!r}; expected (low, high), None for no bound"
        ) from None
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    if not ends[0] <= ends[1]:
        raise ParameterError(f"bounds[{name!r}]: low {low!r} is above high {high!r}")
    return ends


def _data(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, nan_policy: str
) -> tuple[Vector, Vector, Vector | None]:
    """Make flat arrays, without the points that are to be left out."""
    inputs, targets, weights, finite = examples_of(x, y, sample_weight)
    inputs, targets, finite = inputs.reshape(-1), targets.reshape(-1), finite.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    if nan_policy not in ("raise", "omit"):
        raise ParameterError(f"nan_policy: {nan_policy!r}; expected 'raise' or 'omit'")
    if finite.all():
        return inputs, targets, weights
    if nan_policy == "raise":
        i = int(np.flatnonzero(~finite)[0])
        raise ParameterError(
            f"point {i} is not finite: x = {float(inputs[i])!r}, y = {float(targets[i])!r} "
            "(nan_policy='omit' leaves such points out)"
        )
    return inputs[finite], targets[finite], None if weights is None else weights[finite]


# ---- the search ----------------------------------------------------------------------------------


@dataclass
class _Search:
    """One fit of a curve under way."""

    curve: Curve
    form: Form
    x: Vector
    y: Vector
    weights: Vector | None
    fixed: Mapping[str, float]
    bounds: Mapping[str, tuple[float | None, float | None]]

    def __post_init__(self) -> None:
        form, names = self.form, self.curve.parameters
        self.start = 0
        # What is fixed stands in parameters of the chain that depend on nothing else: put it there.
        natural = [float(self.fixed.get(name, 1.0)) for name in names]
        held = form.chain(*natural)
        places = {name: k for k, name in enumerate(_param_names(len(form.activations)))}
        holding = sorted(form.holds(self.fixed) or ())
        self.held = {places[place]: held[places[place]] for place in holding}
        self.frozen = (*form.frozen, *holding)
        self.limits = {k: v for k, v in (form.limits or {}).items() if k not in holding}
        if form.upright and form.upright not in holding and (self.fixed or self.bounds):
            self.limits[form.upright] = (0.0, None)
        self.mapped = set[str]()
        for name, pair in self.bounds.items():
            low, high = self._limit(name, pair, places[form.alone[name]])
            if low is None or high is None or low <= high:  # else a reciprocal's, around 0
                self.limits[form.alone[name]] = (low, high)
                self.mapped.add(name)

    def _limit(
        self, name: str, pair: tuple[float | None, float | None], place: int
    ) -> tuple[float | None, float | None]:
        """Bounds of the chain's parameter; it may fall as the natural one grows."""
        low, high = pair

        def at(value: float | None) -> float | None:
            if value is None:
                return None
            natural = [1.0] * len(self.curve.parameters)
            natural[self.curve.parameters.index(name)] = float(value)
            try:
                with np.errstate(all="ignore"):
                    end = float(self.form.chain(*natural)[place])
            except ZeroDivisionError:  # of a reciprocal: infinite, no bound
                return None
            return end if math.isfinite(end) else None

        # without an upper end a reciprocal still cannot pass 0
        ends = (at(low), at(math.inf if high is None else high))
        probe = (at(1.0), at(2.0))
        rising = probe[0] is not None and probe[1] is not None and probe[0] < probe[1]
        return ends if rising else ends[::-1]

    def best(
        self,
        *,
        loss: _Loss,
        loss_scale: float,
        covariance: Literal["gauss-newton", "hessian"],
    ) -> FitResult:
        """Fit from the best candidates, and keep the best of what they reach."""
        found: FitResult | None = None
        last: ParameterError | None = None
        for number, start in enumerate(self.starts()):
            try:
                result = self.fit_from(start, loss, loss_scale, covariance)
            except ParameterError as error:  # a start without a finite loss
                last = error
                continue
            if found is None or result.loss < found.loss:
                found, self.start = result, number
        if found is None:
            raise last or ParameterError(f"{self.curve.name}: no start has a finite loss")
        if self.form.settle is not None:
            settled = self.form.settle(found.params)
            if not np.array_equal(settled, found.params):
                start = found.chain.copy()
                start.params[:] = settled
                found = self.fit_from(start, loss, loss_scale, covariance)
        return found

    def fit_from(
        self,
        start: Chain,
        loss: _Loss,
        loss_scale: float,
        covariance: Literal["gauss-newton", "hessian"],
    ) -> FitResult:
        """Fit from one start."""
        return fit(
            start,
            self.x,
            self.y,
            loss=loss,
            loss_scale=loss_scale,
            sample_weight=self.weights,
            bounds=self.limits or None,
            covariance=covariance,
        )

    def starts(self) -> list[Chain]:
        """Make the best candidates by loss, best first."""
        layers = len(self.form.activations)
        chain = Chain(np.zeros(layers), np.zeros(layers), self.form.activations, self.frozen)
        places = {name: k for k, name in enumerate(chain.param_names)}
        x, y, weights = self.sample()
        last_layer = _LastLayer(chain, x, y, weights)
        ranked: list[tuple[float, int, Vector]] = []
        with np.errstate(all="ignore"):
            for number, params in enumerate(self.form.starts(x)):
                chain.params[:] = params
                for place, value in self.held.items():
                    chain.params[place] = value
                last_layer.solve()
                for name, (low, high) in self.limits.items():
                    value = chain.params[places[name]]
                    value = value if low is None else max(value, low)
                    chain.params[places[name]] = value if high is None else min(value, high)
                value = chain.loss(x, y, loss=self.curve.loss, sample_weight=weights)
                if math.isfinite(value):
                    ranked.append((value, number, chain.params.copy()))
        ranked.sort(key=lambda entry: entry[:2])
        best = []
        for _, _, found in ranked[:_CANDIDATES]:
            start = chain.copy()
            start.params[:] = found
            best.append(start)
        return best

    def sample(self) -> tuple[Vector, Vector, Vector | None]:
        """Take points enough to rank candidates, evenly through the order of x."""
        if self.x.size <= _SAMPLE:
            return self.x, self.y, self.weights
        order = np.argsort(self.x, kind="stable")
        taken = order[np.linspace(0, self.x.size - 1, _SAMPLE).astype(np.intp)]
        return self.x[taken], self.y[taken], None if self.weights is None else self.weights[taken]

    def natural(self, params: Sequence[complex]) -> list[complex]:
        """Natural parameters of the chain's; NaN where they do not exist."""
        try:
            with np.errstate(all="ignore"):
                return [complex(value) for value in self.form.natural(*params)]
        except ZeroDivisionError:
            return [complex(math.nan)] * len(self.curve.parameters)

    def report(self, found: FitResult) -> CurveFit:
        """Natural parameters and their covariance."""
        params = [float(value) for value in found.params]
        names = self.curve.parameters
        natural = np.array([value.real for value in self.natural(params)])
        slopes = np.empty((len(names), len(params)))
        for k in range(len(params)):
            stepped: list[complex] = list(params)
            stepped[k] += _STEP * 1j
            slopes[:, k] = [value.imag / _STEP for value in self.natural(stepped)]
        unknown = ~found.identified
        known = found.covariance.copy()
        known[unknown, :] = known[:, unknown] = 0.0
        moving = found.chain.free & ~unknown
        with np.errstate(invalid="ignore"):
            matrix = slopes[:, moving] @ known[np.ix_(moving, moving)] @ slopes[:, moving].T
        still = ~np.any(slopes[:, moving] != 0, axis=1)
        matrix[still, :] = matrix[:, still] = 0.0
        for k in range(len(names)):
            if np.any(slopes[k, unknown] != 0) or math.isnan(natural[k]):
                matrix[k, :] = matrix[:, k] = math.nan
                matrix[k, k] = math.inf
        message = found.message.partition(";")[0]
        lost = [name for k, name in enumerate(names) if math.isinf(matrix[k, k])]
        if lost:
            message += f"; not identified by the data: {', '.join(lost)}"
        at_bound = found.message.partition("at a bound: ")[2].split(", ")
        held = [name for name, place in self.form.alone.items() if place in at_bound]
        if held:
            message += f"; at a bound: {', '.join(held)}"
        data = (self.x, self.y, self.weights)
        return CurveFit(self.curve, found, message, natural, matrix, data, self.start)


def _param_names(layers: int) -> list[str]:
    return [f"{kind}{number}" for number in range(1, layers + 1) for kind in "wb"]


class _LastLayer:
    """Least squares for the free ones of a chain's last weight and bias, where that is linear."""

    def __init__(self, chain: Chain, x: Vector, y: Vector, weights: Vector | None) -> None:
        last = chain.layers
        self.chain, self.x, self.y = chain, x, y
        self.weights = np.ones_like(y) if weights is None else weights
        self.free_w, self.free_b = f"w{last}" not in chain.frozen, f"b{last}" not in chain.frozen
        self.is_linear = chain.activations[-1] == "identity" and (self.free_w or self.free_b)
        self.before: Chain | None = None
        if last > 1:
            self.before = Chain(np.zeros(last - 1), np.zeros(last - 1), chain.activations[:-1])

    def solve(self) -> None:
        """Put them in their place, where the data determine them."""
        if not self.is_linear:
            return
        chain, y, weights, feature = self.chain, self.y, self.weights, self.x
        if self.before is not None:
            self.before.params[:] = chain.params[:-2]
            feature = np.asarray(self.before.forward(self.x))
        if self.free_w and self.free_b:
            total = weights.sum()
            mean_f, mean_y = weights @ feature / total, weights @ y / total
            apart = feature - mean_f
            slope = weights @ (apart * (y - mean_y)) / (weights @ (apart * apart))
            found = (slope, mean_y - slope * mean_f)
        elif self.free_w:
            bias = chain.params[-1]
            slope = weights @ (feature * (y - bias)) / (weights @ (feature * feature))
            found = (slope, bias)
        else:
            slope = chain.params[-2]
            found = (slope, weights @ (y - slope * feature) / weights.sum())
        if math.isfinite(found[0]) and math.isfinite(found[1]):
            chain.params[-2:] = found
