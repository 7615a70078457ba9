"""Levenberg-Marquardt where the examples are in several places, shard by shard.

A pass asks every shard for its rows [J residual], taken into a triangle, and for its sums; what
they add up to, in a fixed order, is all that the fit sees of the examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import Chain
from .errors import ParameterError, ShapeError
from .fitting import OUTCOMES, UNDETERMINED, FitResult, examples_of, names_of
from .threads import run, usable_cores

if TYPE_CHECKING:
    from ._core import _Loss

__all__ = ["fit_large", "fit_shards", "shard_of"]

Vector: TypeAlias = NDArray[np.float64]
Shard: TypeAlias = tuple[Vector, Vector]  # what _core.fit_shard returns
Pass: TypeAlias = Callable[[Chain, "_Loss"], Iterable[Shard]]

_LARGE: Final = 1 << 16  # examples in a shard
_EPSILON: Final = float(np.finfo(np.float64).eps)
_LEAST: Final = 64 * _EPSILON
_CONVERGED, _EXHAUSTED = 1, 2  # of enum cbp_outcome
# As in csrc/fit.h and fit_lm.c, where they are explained.
_CLEAR, _WEAK, _PATIENT = 1e-5, 1e-8, 200


def shard_of(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    *,
    loss: _Loss,
    loss_scale: float,
) -> Shard:
    """Find what some examples add to a pass; raises as `fit` does for what is wrong with them."""
    inputs, targets, weights, finite = examples_of(x, y, sample_weight)
    if not finite.all():
        i = np.flatnonzero(~finite.reshape(-1))[0]
        raise ParameterError(
            f"example {i}: x = {float(inputs.flat[i])!r}, y = {float(targets.flat[i])!r}; "
            "expected finite numbers"
        )
    return _core.fit_shard(net, inputs, targets, weights, loss, loss_scale)


@dataclass(eq=False, slots=True)
class _Point:
    """Where a fit is, and what a pass has found there."""

    chain: Chain
    triangle: Vector  # R with R'R = [J residual]'[J residual], in free parameters
    sums: Vector  # what the shards' add up to, and below what they lost
    weight: float
    loss: float  # summed
    examples: int
    target_size: float

    @classmethod
    def after(cls, run_pass: Pass, chain: Chain, loss: _Loss) -> _Point:
        """Make a pass; a shard's place in the sums is its place in the pass."""
        shards = list(run_pass(chain, loss))
        triangle = shards[0][0]
        for rows, _ in shards[1:]:
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
        total = _core.merge_sums([sums for _, sums in shards])
        weight, summed, examples, squares = (total[0] + total[1]).tolist()
        size = math.sqrt(squares)
        return cls(chain, triangle, total, weight, summed, int(examples), size)

    @property
    def rows(self) -> Vector:
        """R with R'R = J'J."""
        return self.triangle[:-1, :-1]

    @property
    def residuals(self) -> Vector:
        """Those of the rows."""
        return self.triangle[:-1, -1]

    @property
    def is_usable(self) -> bool:
        """Whether the loss and the whole Jacobian are finite, and their squares."""
        return math.isfinite(self.loss + self.squares) and bool(np.isfinite(self.lengths).all())

    @property
    @np.errstate(over="ignore", invalid="ignore")
    def squares(self) -> float:
        return float(self.triangle[:, -1] @ self.triangle[:, -1])

    @property
    @np.errstate(over="ignore", invalid="ignore")
    def lengths(self) -> Vector:
        """Euclidean norms of the columns of J."""
        return np.asarray(np.linalg.norm(self.rows, axis=0))

    @property
    def is_weak(self) -> NDArray[np.bool_]:
        """Whether each parameter has no effect to speak of."""
        sizes = np.maximum(np.abs(self.chain.params[self.chain.free]), 1.0)
        return ~(self.lengths * sizes > _WEAK * self.target_size)

    @property
    def is_doubtful(self) -> bool:
        """Whether a parameter is undetermined, or nearly."""
        own = np.abs(self.rows.diagonal())
        return bool((self.is_weak | ~(own > _CLEAR * self.lengths)).any())

    @property
    def rounding(self) -> float:
        """How far rounding moves all outputs, which are as large as the targets."""
        return 4 * _EPSILON * self.target_size

    @property
    def blur(self) -> float:
        """How much rounding changes the loss: by its own digits, and by the outputs'."""
        return 8 * _EPSILON * (8 * self.loss + math.sqrt(self.loss) * self.target_size)


class _Parabola:
    """The squares as the rows predict them, with each parameter measured by `scaling`."""

    def __init__(self, point: _Point, scaling: Vector) -> None:
        # What moves the outputs no more than rounding is left alone: columns that say nothing new
        # beside those before them, and then directions.
        own = np.abs(point.rows.diagonal())
        self.scaling, self.open = scaling, np.flatnonzero(own > _LEAST * point.lengths)
        columns = point.rows[:, self.open] / scaling[self.open]
        left, values, right = np.linalg.svd(columns, full_matrices=False)
        kept = values > _LEAST * values.max(initial=0.0)
        self.values, self.right = values[kept], right[kept]
        self.along = left[:, kept].T @ point.residuals
        self.way = float(np.linalg.norm(self.along))  # of the outputs, to the least there is

    def step_within(self, radius: float) -> tuple[Vector, float, float, bool]:
        """Find the best step of about that length at most, its length and fall, and if undamped."""
        damping = 0.0
        for _ in range(20):
            shares = self.values**2 + damping
            part = self.values * self.along / shares
            length = float(np.linalg.norm(part))
            if length <= 1.1 * radius:
                break
            # Newton's method on 1/length, which is concave and nearly straight (Hebden, Moré)
            damping += (length / radius - 1) * length**2 / float(part**2 @ (1 / shares))
        gone = self.values**2 / shares  # of the way along each singular vector
        predicted = float(self.along**2 @ (gone * (2 - gone)))
        step = np.zeros_like(self.scaling)
        step[self.open] = -(part @ self.right) / self.scaling[self.open]
        return step, length, predicted, damping == 0


@dataclass(eq=False, slots=True)
class _Search:
    """A fit under way."""

    run_pass: Pass
    loss: _Loss
    tolerance: float
    history: list[float] = field(default_factory=list)  # the least loss so far
    passes: int = 0

    def look(self, chain: Chain) -> _Point:
        self.passes += 1
        return _Point.after(self.run_pass, chain, self.loss)

    def remember(self, point: _Point) -> None:
        loss = point.loss / point.weight
        self.history.append(min(loss, self.history[-1]) if self.history else loss)

    def descend(self, here: _Point, limit: int, *, keeps_scaling: bool) -> tuple[_Point, int]:
        """Go down to a minimum, in so many iterations at most, and say how that ended."""
        scaling = here.lengths
        scaling[scaling == 0] = 1.0
        free = here.chain.free
        radius = 100 * float(np.linalg.norm(scaling * here.chain.params[free])) or 100.0
        parabola = _Parabola(here, scaling)
        for iteration in range(limit + 1):
            if parabola.way <= max(self.tolerance * math.sqrt(here.squares), here.rounding):
                return here, _CONVERGED
            if iteration == limit:
                break
            step, length, predicted, is_whole = parabola.step_within(radius)
            moved = here.chain.copy()
            moved.params[free] += step
            moves = np.abs(moved.params - here.chain.params)
            trial = self.look(moved)
            fall = here.loss - trial.loss
            # Steps whose fall is lost in rounding are taken if they bring the least nearer.
            is_unseen, is_better = predicted <= here.blur, False
            if trial.is_usable:
                lengths = trial.lengths
                kept = scaling if keeps_scaling else np.where(lengths > 0, 0.0, scaling)
                after = _Parabola(trial, np.maximum(kept, lengths))
                is_nearer = fall >= -here.blur and after.way < parabola.way
                is_better = is_nearer if is_unseen else fall > 0
            radius = min(radius, length) if iteration == 0 else radius
            seen = math.inf if is_unseen and is_better else fall
            radius = _adapt(radius, length, seen, predicted, is_whole)
            is_still = bool((moves <= 2 * _EPSILON * np.abs(here.chain.params)).all())
            is_still = is_still or predicted <= here.rounding**2
            if is_better:
                here, parabola, scaling = trial, after, after.scaling
            self.remember(here)
            if is_still or (is_whole and is_unseen and not is_better):
                return here, _CONVERGED
        return here, _EXHAUSTED

    def solve_last_layer(self, chain: Chain) -> Chain:
        """Put the last layer, if it is linear and free, where the squares are least."""
        held = [name for name in chain.param_names[:-2] if name not in chain.frozen]
        frozen = (*chain.frozen, *held)
        solved = chain.copy()
        if (
            chain.activations[-1] == "identity"
            and self.loss == "squared"
            and len(frozen) < 2 * chain.layers
        ):
            part = self.look(_core.rebuild(Chain, chain.params, chain.activations, frozen))
            solved.params[part.chain.free] += _Parabola(part, part.lengths).step_within(math.inf)[0]
        return solved


def fit_shards(
    start: Chain, run_pass: Pass, *, loss: _Loss, max_iterations: int, tolerance: float
) -> FitResult:
    """Fit a chain from `start` on, as cbp_fit_lm does. `cbackprop.dask.fit` says the rest."""
    count = int(np.count_nonzero(start.free))
    if count == 0:
        raise ParameterError("net: every parameter is frozen; expected a free one to fit")
    search = _Search(run_pass, loss, tolerance)
    here = search.look(start.copy())
    if here.examples < count:
        raise ShapeError(
            f"load: {here.examples} examples of positive weight are fewer than {count} free "
            "parameters"
        )
    if not here.is_usable:
        raise ParameterError("net: the loss or its derivatives at this start are not finite")
    search.remember(here)
    limit = max_iterations // 2 if max_iterations >= _PATIENT else max_iterations
    best, outcome = search.descend(here, limit, keeps_scaling=True)
    left = max_iterations + 1 - len(search.history)
    if left > 0 and (outcome != _CONVERGED or best.is_doubtful):
        here = search.look(search.solve_last_layer(start))
        if here.is_usable:
            here, ended = search.descend(here, left, keeps_scaling=False)
            is_as_good = ended == _CONVERGED and here.loss - best.loss <= best.blur
            if here.loss < best.loss or is_as_good:
                best, outcome = here, ended
    return _result(best, search, outcome)


def fit_large(
    start: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    *,
    loss: _Loss,
    loss_scale: float,
    max_iterations: int,
    tolerance: float,
) -> FitResult:
    """Fit a chain to many examples, shard by shard on all cores.

    Where shards begin, and in what order they join, depends on the number of examples alone.
    """
    inputs, targets, weights, _ = examples_of(x, y, sample_weight)
    inputs, targets = inputs.reshape(-1), targets.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    parts = [slice(first, first + _LARGE) for first in range(0, targets.size, _LARGE)]

    def run_pass(chain: Chain, criterion: _Loss) -> list[Shard]:
        found: dict[int, Shard] = {}

        def work(part: slice) -> None:
            own = None if weights is None else weights[part]
            found[part.start] = shard_of(
                chain, inputs[part], targets[part], own, loss=criterion, loss_scale=loss_scale
            )

        run(work, parts, usable_cores())
        return [found[part.start] for part in parts]

    return fit_shards(
        start, run_pass, loss=loss, max_iterations=max_iterations, tolerance=tolerance
    )


def _adapt(radius: float, length: float, fall: float, predicted: float, is_whole: bool) -> float:
    """Trust the parabola less or more after a step."""
    if not fall > 0.25 * predicted:
        return min(length / 4, radius / 2)
    return max(radius, 2 * length) if is_whole or fall >= 0.75 * predicted else radius


def _result(here: _Point, search: _Search, outcome: int) -> FitResult:
    """Add what can be said of the parameters."""
    loss = search.loss
    variance, covariance, kinds = _core.shards_covariance(
        here.chain, here.triangle, here.sums, _core.code_of_loss(loss, 1.0)
    )
    df = here.examples - int(np.count_nonzero(here.chain.free))
    status, message = OUTCOMES[outcome]
    identified = np.frombuffer(kinds, dtype=np.uint8) != UNDETERMINED
    if not identified.all():
        status = "not_identified" if outcome == _CONVERGED else status
        message += f"; not identified by the data: {names_of(here.chain, kinds, UNDETERMINED)}"
    squares = here.loss
    if loss != "squared":
        search.passes += 1
        squares = _Point.after(search.run_pass, here.chain, "squared").loss
    return FitResult(
        chain=here.chain,
        loss=here.loss / here.weight,
        rss=squares,
        residual_sd=math.nan if _core.LOSSES[loss].dispersion > 0 else math.sqrt(variance),
        df=df,
        stderr=np.sqrt(covariance.diagonal()),
        covariance=covariance,
        converged=outcome == _CONVERGED,
        status=status,
        message=message,
        identified=identified,
        n_iterations=len(search.history) - 1,
        n_evaluations=search.passes,
        gradient_norm=2 * float(np.linalg.norm(here.rows.T @ here.residuals)) / here.weight,
        history=np.array(search.history),
    )
