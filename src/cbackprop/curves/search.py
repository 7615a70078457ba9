"""The search for a curve's parameters: starts, fits from them, and the report of the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import Chain
from ..errors import ParameterError
from ..fits.arguments import ends_of
from ..fits.one import fit
from ..fits.result import FitResult
from .dual import Dual
from .form import Form
from .matrices import inverse_triangle, product, semidefinite_root
from .result import CurveFit

if TYPE_CHECKING:
    from .._core import _Loss
    from .curve import Curve

__all__ = ["Search"]

Vector: TypeAlias = NDArray[np.float64]
_CANDIDATES: Final = 4
_SAMPLE: Final = 2000  # at most this many points are used to rank candidates
_MOST_STRIDES: Final = 50
_STRIDE: Final = 8.0  # factor of a parameter that tends to infinity, at each step
_HELD_ITERATIONS: Final = 200  # of a fit with that parameter fixed
_FLAT: Final = 1e-9  # relative change of the loss that counts as no decrease
_ROUNDING: Final = 1e-28  # the same, relative to the mean square of the targets
_EPSILON: Final = float(np.finfo(np.float64).eps)
_ADRIFT: Final = 1e-3  # relative change of a natural parameter in the last step if it diverges


@dataclass
class Search:
    """The state of one fit of a curve."""

    curve: Curve
    form: Form
    x: Vector
    y: Vector
    weights: Vector | None
    fixed: Mapping[str, float]
    asked: Mapping[str, tuple[float | None, float | None]]
    """Bounds of natural parameters."""
    loss: _Loss
    loss_scale: float
    covariance: Literal["gauss-newton", "hessian"]

    def __post_init__(self) -> None:
        form, names = self.form, self.curve.parameters
        self.start = 0
        self.adrift = np.zeros(len(names), dtype=bool)  # natural parameters that diverge
        # Fixed natural parameters determine parameters of the chain, whatever the others are.
        natural = [float(self.fixed.get(name, 1.0)) for name in names]
        held = form.chain(*natural)
        places = {name: k for k, name in enumerate(_param_names(len(form.activations)))}
        holding = sorted(form.holds(self.fixed) or ())
        self.held = {places[place]: held[places[place]] for place in holding}
        self.frozen = (*form.frozen, *holding)
        self.limits = {k: v for k, v in (form.limits or {}).items() if k not in holding}
        if form.mirror and form.mirror.when not in holding and (self.fixed or self.asked):
            self.limits[form.mirror.when] = (0.0, None)
        self.mapped = set[str]()  # those whose bounds are bounds of the chain
        for name, pair in self.asked.items():
            if name not in form.alone:
                continue
            low, high = self._limit(name, pair, places[form.alone[name]])
            if low is None or high is None or low <= high:  # not so for 1/x and bounds around 0
                self.limits[form.alone[name]] = (low, high)
                self.mapped.add(name)

    def _limit(
        self, name: str, pair: tuple[float | None, float | None], place: int
    ) -> tuple[float | None, float | None]:
        """Bounds of the chain's parameter, which may decrease as the natural one increases."""
        low, high = pair

        def at(value: float | None) -> float | None:
            if value is None:
                return None
            natural = [1.0] * len(self.curve.parameters)
            natural[self.curve.parameters.index(name)] = float(value)
            try:
                end = float(self.form.chain(*natural)[place])
            except ZeroDivisionError:  # 1/0 is infinite: no bound
                return None
            return end if math.isfinite(end) else None

        # without an upper bound a reciprocal is still above 0
        ends = (at(low), at(math.inf if high is None else high))
        probe = (at(1.0), at(2.0))
        rising = probe[0] is not None and probe[1] is not None and probe[0] < probe[1]
        return ends if rising else ends[::-1]

    def best(self) -> FitResult:
        """Fit from the best candidates, and keep the result with the least loss."""
        found: FitResult | None = None
        last: ParameterError | None = None
        for number, start in enumerate(self.starts()):
            try:
                result = self.fit_from(start)
            except ParameterError as error:  # the loss at the start is not finite
                last = error
                continue
            if found is None or result.loss < found.loss:
                found, self.start = result, number
        if found is None:
            raise last or ParameterError(f"{self.curve.name}: no start has a finite loss")
        mirror, names = self.form.mirror, found.chain.param_names
        if mirror is not None and found.params[names.index(mirror.when)] < 0:
            turned = mirror.matrix(names) @ found.params
            found = self.fit_from(self.chain_of(turned, self.frozen))
        return self.follow(found) if found.status == "max_iterations" else found

    def fit_from(self, start: Chain, max_iterations: int | None = None) -> FitResult:
        """Fit from one start."""
        limits = {name: pair for name, pair in self.limits.items() if name not in start.frozen}
        return fit(
            start,
            self.x,
            self.y,
            loss=self.loss,
            loss_scale=self.loss_scale,
            sample_weight=self.weights,
            bounds=limits or None,
            max_iterations=max_iterations,
            covariance=self.covariance,
        )

    def follow(self, found: FitResult) -> FitResult:
        """Continue a fit that converges slowly, often because a parameter tends to infinity.

        One parameter is fixed at larger and larger values, and the others are fitted, until the
        loss no longer decreases: then it has no minimum. If it increases, a minimum is near.
        """
        ways = [
            (int(place), factor)
            for place in np.flatnonzero(found.chain.free)
            for factor in (_STRIDE, 1.0 / _STRIDE)
        ]
        way: tuple[int, float] | None = None
        rounding = _ROUNDING * float(np.mean(self.y**2))
        for _ in range(_MOST_STRIDES):
            blur = _FLAT * found.loss + rounding
            step = None if way is None else self.held_fit(found, *way)
            if step is None or step.loss > found.loss + blur:
                tried = [(self.held_fit(found, *way), way) for way in ways]
                step, way = min(
                    tried, key=lambda pair: math.inf if pair[0] is None else pair[0].loss
                )
            if step is None or step.loss > found.loss + blur:
                break
            if step.loss >= found.loss - blur:
                return self.without_minimum(found, step)
            found = step
        return self.fit_from(self.chain_of(found.params, self.frozen))

    def without_minimum(self, before: FitResult, found: FitResult) -> FitResult:
        """Record the parameters that still diverge where the loss no longer decreases."""
        now, then = self.natural_values(found), self.natural_values(before)
        self.adrift = ~(np.abs(now - then) <= _ADRIFT * np.abs(now))
        found.status, found.converged = "not_identified", False
        found.message = "no minimum: the loss keeps decreasing as a parameter diverges"
        return found

    def held_fit(self, found: FitResult, place: int, factor: float) -> FitResult | None:
        """Fit with one parameter fixed at a multiple of its value; None if that is impossible."""
        name = found.chain.param_names[place]
        low, high = ends_of(name, self.limits.get(name, (None, None)))
        params = found.params.copy()
        params[place] = min(max(float(params[place]) * factor, low), high)
        if params[place] == found.params[place]:
            return None
        try:
            return self.fit_from(self.chain_of(params, (*self.frozen, name)), _HELD_ITERATIONS)
        except ParameterError:  # the loss there is not finite, or no parameter is free
            return None

    def chain_of(self, params: Vector, frozen: tuple[str, ...]) -> Chain:
        """Make a chain of the form with these parameters."""
        return Chain(params[::2], params[1::2], self.form.activations, frozen)

    def starts(self) -> list[Chain]:
        """Return the best candidates, best first.

        They are ranked by the squared loss for it and for robust losses, else by the loss itself.
        """
        own = _core.LOSSES[self.loss].dispersion > 0
        loss: _Loss = self.loss if own else "squared"
        # closer to the mean of the targets where outputs are outside the domain of the loss
        parts = (1.0, 0.5, 0.25, 0.125) if own else (1.0,)
        layers = len(self.form.activations)
        chain = self.chain_of(np.zeros(2 * layers), self.frozen)
        places = {name: k for k, name in enumerate(chain.param_names)}
        x, y, weights = self.sample()
        last_layer = _LastLayer(chain, x, y, weights)
        ranked: list[tuple[float, int, Vector]] = []
        for number, params in enumerate(self.candidates(x)):
            for part in parts:
                chain.params[:] = params
                last_layer.solve(part)
                for name, (low, high) in self.limits.items():
                    value = chain.params[places[name]]
                    value = value if low is None else max(value, low)
                    chain.params[places[name]] = value if high is None else min(value, high)
                value = chain.loss(x, y, loss=loss, sample_weight=weights)
                if math.isfinite(value):
                    ranked.append((value, number, chain.params.copy()))
                    break
        ranked.sort(key=lambda entry: entry[:2])
        return [self.chain_of(params, self.frozen) for _, _, params in ranked[:_CANDIDATES]]

    def candidates(self, x: Vector, *, near: bool = False) -> Vector:
        """Candidates for starts, shape (count, 2L), before the linear last layer is solved for."""
        found = np.array(list(self.form.starts(x)), dtype=np.float64)
        if near:
            found = found[: len(found) - self.form.distant]
        mirror = self.form.mirror
        if mirror is not None and (self.fixed or self.asked):
            # `when` is bounded by 0: candidates of the other set are mapped, as additional starts
            names = _param_names(len(self.form.activations))
            found = np.concatenate([found, found @ mirror.matrix(names).T])
        for place, value in self.held.items():
            found[:, place] = value
        return found

    def sample(self) -> tuple[Vector, Vector, Vector | None]:
        """Choose points to rank candidates on, at equal steps in the order of x."""
        if self.x.size <= _SAMPLE:
            return self.x, self.y, self.weights
        order = np.argsort(self.x, kind="stable")
        taken = order[np.linspace(0, self.x.size - 1, _SAMPLE).astype(np.intp)]
        return self.x[taken], self.y[taken], None if self.weights is None else self.weights[taken]

    def natural(self, found: FitResult) -> list[Dual]:
        """Natural parameters of a fit, with their derivatives by the chain's parameters."""
        given = (Dual(value, {k: 1.0}) for k, value in enumerate(found.params))
        return list(self.form.natural(*given))

    def natural_values(self, found: FitResult) -> Vector:
        """Natural parameters of a fit."""
        return np.array([entry.value for entry in self.natural(found)])

    def report(self, found: FitResult) -> CurveFit:
        """Return the result: natural parameters, their covariance, and the message."""
        names, entries = self.curve.parameters, self.natural(found)
        natural = np.array([entry.value for entry in entries])
        slopes = np.array(
            [[entry.slopes.get(k, 0.0) for k in range(found.params.size)] for entry in entries]
        )
        unknown = ~found.identified
        root, precision = self.covariance_root(found)
        natural_root = product(slopes, root)
        natural_root[~np.any(slopes[:, found.chain.free] != 0, axis=1)] = 0.0
        # where the terms nearly cancel, only rounding is left
        parts = (np.abs(slopes[:, ~unknown]) * found.stderr[~unknown]).sum(axis=1)
        is_lost = np.sqrt((natural_root**2).sum(axis=1)) < 100.0 * precision * parts
        is_lost |= self.adrift | np.any(slopes[:, unknown] != 0, axis=1)
        is_lost |= ~np.isfinite(natural)
        natural_root[is_lost] = math.nan
        matrix = product(natural_root, natural_root.T)
        matrix[is_lost, is_lost] = math.inf
        if not np.isfinite(natural).all() and found.converged:
            found.status, found.converged = "not_identified", False
            found.message = "no minimum: a parameter tends to infinity"
        message = found.message.partition(";")[0]
        lost = [name for name, has_gone in zip(names, is_lost, strict=True) if has_gone]
        if lost:
            message += f"; not identified by the data: {', '.join(lost)}"
        at_bound = found.message.partition("at a bound: ")[2].split(", ")
        held = [name for name, place in self.form.alone.items() if place in at_bound]
        if held:
            message += f"; at a bound: {', '.join(held)}"
        return CurveFit(
            self.curve,
            found,
            message,
            natural,
            matrix,
            (root, natural_root),
            (self.x, self.y, self.weights),
            self.start,
            len(names) - len(self.fixed),
            self.loss,
        )

    def covariance_root(self, found: FitResult) -> tuple[Vector, float]:
        """Find a matrix whose product with its own transpose is the covariance of the chain.

        Also return its precision, relative to standard errors. If it is computed from the
        triangular matrix of the normal equations, it keeps digits that the covariance itself has
        lost: those of differences between strongly correlated parameters.
        """
        moving = found.identified & (found.stderr != 0)
        root, scales = np.zeros((moving.size, np.count_nonzero(moving))), found.stderr[moving]
        if not np.all(np.isfinite(scales)):  # there are no degrees of freedom
            root[moving] = math.nan
            return root, _EPSILON
        if self.covariance == "hessian" or not found.identified.all():
            known = found.covariance[np.ix_(moving, moving)] / np.outer(scales, scales)
            root[moving] = scales[:, None] * semidefinite_root(known)
            return root, math.sqrt(_EPSILON)
        loss = _core.code_of_loss(self.loss, self.loss_scale)
        run_pass = _core.MemoryPass(self.x, self.y, self.weights)
        node = run_pass(found.chain, loss, self.loss_scale)
        width = int(np.count_nonzero(found.chain.free)) + 1
        triangle = node[: width * width].reshape(width, width)
        columns = triangle[:, :-1][:, moving[found.chain.free]]
        lengths = np.sqrt((columns**2).sum(axis=0))
        inverse = inverse_triangle(columns / lengths) / lengths[:, None]
        dispersion = _core.LOSSES[self.loss].dispersion
        root[moving] = inverse * (math.sqrt(dispersion) if dispersion > 0 else found.residual_sd)
        return root, _EPSILON


def _param_names(layers: int) -> list[str]:
    return [f"{kind}{number}" for number in range(1, layers + 1) for kind in "wb"]


class _LastLayer:
    """Linear least squares for the last weight and bias of a chain, as far as they are free."""

    def __init__(self, chain: Chain, x: Vector, y: Vector, weights: Vector | None) -> None:
        last = chain.layers
        self.chain, self.x, self.y = chain, x, y
        self.weights = np.ones_like(y) if weights is None else weights
        self.free_w, self.free_b = f"w{last}" not in chain.frozen, f"b{last}" not in chain.frozen
        self.is_linear = chain.activations[-1] == "identity" and (self.free_w or self.free_b)
        self.before: Chain | None = None
        if last > 1:
            self.before = Chain(np.zeros(last - 1), np.zeros(last - 1), chain.activations[:-1])

    def solve(self, part: float = 1.0) -> None:
        """Set the last weight and bias to the solution, if the data determine it.

        With `part` below 1 they are between values for which all outputs are the mean of the
        targets, at 0, and the solution, at 1.
        """
        if not self.is_linear:
            return
        chain, y, weights, feature = self.chain, self.y, self.weights, self.x
        if self.before is not None:
            self.before.params[:] = chain.params[:-2]
            feature = np.asarray(self.before.forward(self.x))
        add = np.add.reduce  # not a BLAS's product: its bits differ from one to another
        if self.free_w and self.free_b:
            total = add(weights)
            mean_f, mean_y = add(weights * feature) / total, add(weights * y) / total
            apart = feature - mean_f
            near = weights * apart
            slope = part * (add(near * (y - mean_y)) / add(near * apart))
            found = (slope, mean_y - slope * mean_f)
        elif self.free_w:
            bias = chain.params[-1]
            slope = add(weights * feature * (y - bias)) / add(weights * feature * feature)
            found = (slope, bias)
        else:
            slope = chain.params[-2]
            found = (slope, add(weights * (y - slope * feature)) / add(weights))
        if math.isfinite(found[0]) and math.isfinite(found[1]):
            chain.params[-2:] = found
