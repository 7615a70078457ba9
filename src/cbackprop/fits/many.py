"""Fitting many chains at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._core import LOSSES, Chain, real_array
from ..chain_array import ChainArray, data_of
from ..errors import InputTypeError, ShapeError, from_status
from ..threads import run, usable_cores
from .arguments import Bounds, Count, Number, bound_arrays, count_of, number_of
from .result import UNDETERMINED

if TYPE_CHECKING:
    from .._core import _Loss, _Number

__all__ = ["FitManyResult", "fit_many"]

Vector: TypeAlias = NDArray[np.float64]
_BLOCK: Final = 1 << 13  # chains that one call into the core fits

# enum cbp_outcome, and below 0 the enum cbp_status that a chain by itself may have.
STATUSES: Final = MappingProxyType(
    {
        1: "converged",
        2: "max_iterations",
        3: "stopped",
        5: "not_identified",
        -8: "bad_target",
        -9: "bad_weight",
        -16: "too_few_points",
        -18: "bad_start",
        -19: "start_not_finite",
        -20: "not_finite",
    }
)
CONVERGED, NOT_IDENTIFIED = 1, 5


@dataclass(eq=False, repr=False, slots=True)
class FitManyResult:
    """What a fit of m chains has found. A chain that could not be fitted has NaN for its numbers.

    Attributes
    ----------
    chains : ChainArray
        The fitted chains; `params`, shape (m, 2L), are theirs. A chain not fitted keeps its start.
    loss, rss, residual_sd : ndarray, shape (m,)
        As in `FitResult`.
    df : ndarray, shape (m,)
        Degrees of freedom left over.
    stderr : ndarray, shape (m, 2L)
        Standard errors: 0 for what is frozen or held at a bound, infinite for what the data do not
        identify.
    triangles : ndarray, shape (m, k (k + 1) / 2)
        Lower triangles, row by row, of the covariance matrices of the k free parameters; of shape
        (m, 0) if they were not asked for.
    identified : ndarray of bool, shape (m, 2L)
        False for parameters that the data do not fix.
    codes : ndarray of int, shape (m,)
        Statuses as numbers: keys of `STATUSES`.
    n_iterations : ndarray of int, shape (m,)
    """

    chains: ChainArray
    loss: Vector
    rss: Vector
    residual_sd: Vector
    df: Vector
    stderr: Vector
    triangles: Vector
    identified: NDArray[np.bool_]
    codes: NDArray[np.int32]
    n_iterations: NDArray[np.uintp]

    @property
    def params(self) -> Vector:
        """The fitted parameters, shape (m, 2L)."""
        return self.chains.params

    @property
    def covariance(self) -> Vector | None:
        """The covariance matrices, shape (m, 2L, 2L), as in `FitResult`; None without."""
        if self.triangles.shape[1] == 0:
            return None
        free = np.flatnonzero(self.chains.free)
        rows, columns = np.tril_indices(len(free))
        width = self.params.shape[1]
        matrices = np.zeros((len(self), width, width))
        matrices[:, free[rows], free[columns]] = self.triangles
        matrices[:, free[columns], free[rows]] = self.triangles
        matrices[np.isnan(self.loss)] = math.nan
        return matrices

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether a minimum has been reached, shape (m,)."""
        return np.isin(self.codes, (CONVERGED, NOT_IDENTIFIED))

    @property
    def status(self) -> NDArray[np.str_]:
        """What became of each chain, shape (m,).

        "converged", "not_identified" (converged, but some parameters are arbitrary),
        "max_iterations", "stopped"; and of chains that could not be fitted "too_few_points",
        "not_finite" (a point is infinite, or its x is NaN), "bad_weight", "bad_target" (of the log
        loss), "bad_start" (not finite, or outside the bounds), "start_not_finite" (its loss is
        not).
        """
        return status_names(self.codes)

    def __len__(self) -> int:
        """How many chains there are."""
        return len(self.loss)

    def __repr__(self) -> str:
        """Say how many chains, and what became of them."""
        return f"<FitManyResult of {len(self)} chains: {count_statuses(self.codes)}>"


def code_of(status: str) -> int:
    """Find the number of a status in words."""
    return next(code for code, name in STATUSES.items() if name == status)


def status_names(codes: NDArray[np.int32]) -> NDArray[np.str_]:
    """Write statuses in words."""
    known, places = np.unique(codes, return_inverse=True)
    return np.array([STATUSES[code] for code in known.tolist()], dtype=np.str_)[places]


def count_statuses(codes: NDArray[np.int32]) -> str:
    """Write how often each status occurs, such as "98 converged, 2 too_few_points"."""
    known, counts = np.unique(codes, return_counts=True)
    by_count = sorted(zip(counts.tolist(), known.tolist(), strict=True), reverse=True)
    return ", ".join(f"{count} {STATUSES[code]}" for count, code in by_count) or "none"


def fit_many(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    *,
    start: ArrayLike | None = None,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    sample_weight: ArrayLike | None = None,
    bounds: Bounds | None = None,
    max_iterations: Count | None = None,
    tolerance: Number | None = None,
    covariance: bool = False,
    threads: Count | None = None,
) -> FitManyResult:
    """Fit m chains of one kind, by Levenberg-Marquardt, side by side in the processor's vectors.

    Each chain's result is that of `fit` by itself, to the tolerance, and does not depend on the
    others or on the number of threads.

    Parameters
    ----------
    net : Chain
        What all have in common: activations, frozen parameters and, without `start`, the start.
    x : array_like, shape (n,) or (m, n)
        Inputs, the same for all chains or a row for each.
    y : array_like, shape (m, n)
        Targets; NaN is a missing point.
    start : array_like, shape (2L,) or (m, 2L), optional
        Parameters to start from.
    loss, loss_scale, bounds, max_iterations, tolerance
        As for `fit`.
    sample_weight : array_like, shape (n,) or (m, n), optional
        A weight of 0 or more for every example.
    covariance : bool, default False
        Whether to keep the covariance matrices, not only standard errors.
    threads : int, optional
        How many to use; by default as many as there are cores that this process may use.

    Returns
    -------
    FitManyResult
        A chain that cannot be fitted says so in its status; the others are fitted.

    Raises
    ------
    ShapeError
        If shapes do not fit together.
    ParameterError
        If an option is out of its range, everything is frozen, or bounds are crossed.
    ActivationError
        If the loss is "log" and the last activation not a sigmoid.
    InputTypeError
        If x, y, weights or starts are not real numbers.

    Examples
    --------
    >>> import cbackprop as cbp
    >>> line = cbp.Chain([1.0], [0.0], "identity")
    >>> fits = cbp.fit_many(line, [0.0, 1.0, 2.0], [[1.0, 3.0, 5.0], [1.0, 4.0, 7.0]])
    >>> fits.params.round(6).tolist()
    [[2.0, 1.0], [3.0, 1.0]]
    """
    job = Job.of(net, x, y, sample_weight, loss, loss_scale, bounds, max_iterations, tolerance)
    found = Found.room_for(job, len(job.y), covariance)
    if start is None:
        found.params[:] = net.params
    else:
        starts = real_array(start, "start")
        if starts.shape not in (found.params.shape, found.params.shape[1:]):
            raise ShapeError(
                f"start: shape {starts.shape}, expected {found.params.shape[1:]} for all chains "
                f"or {found.params.shape}"
            )
        found.params[:] = starts

    def fit_block(block: slice) -> None:
        job.fit(block, found.rows(block))

    run_blocks(fit_block, len(job.y), threads, job.stop, _BLOCK)
    return FitManyResult(
        ChainArray(found.params, net.activations, net.frozen),
        found.loss,
        found.squares(job),
        found.deviations(job),
        found.df,
        found.stderr,
        found.triangles,
        found.identified,
        found.codes,
        found.iterations,
    )


# ---- a job, block by block -----------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Job:
    """Many fits to be done: checked arguments."""

    net: Chain
    x: Vector
    y: Vector
    weights: Vector | None
    loss: _Loss
    loss_scale: float
    lower: Vector | None
    upper: Vector | None
    max_iterations: int
    tolerance: float
    stop: bytearray = field(default_factory=lambda: bytearray(1))

    @classmethod
    def of(
        cls,
        net: Chain,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        loss: _Loss,
        loss_scale: _Number,
        bounds: Bounds | None,
        max_iterations: Count | None,
        tolerance: Number | None,
    ) -> Job:
        """Check the arguments of `fit_many`."""
        if not isinstance(net, Chain):
            raise InputTypeError(f"net: expected a Chain, got {net!r}")
        inputs, targets = data_of(x, y)
        weights = None if sample_weight is None else real_array(sample_weight, "sample_weight")
        if weights is not None and weights.shape not in (targets.shape, targets.shape[1:]):
            raise ShapeError(
                f"sample_weight: shape {weights.shape}, expected {targets.shape[1:]} for all "
                f"chains or {targets.shape} as y"
            )
        lower, upper = (None, None) if bounds is None else bound_arrays(net, bounds)
        _core.code_of_loss(loss, loss_scale)  # for its checks
        return cls(
            net,
            inputs,
            targets,
            weights,
            loss,
            float(loss_scale),
            lower,
            upper,
            count_of("max_iterations", max_iterations, 2000),
            number_of("tolerance", 1e-10 if tolerance is None else tolerance, 0.0, math.inf),
        )

    def rows(self, block: slice) -> tuple[Vector, Vector, Vector | None]:
        """Take the examples of some chains."""
        x = self.x if self.x.ndim == 1 else self.x[block]
        weights = self.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[block]
        return x, self.y[block], weights

    def fit(self, block: slice, found: Found) -> None:
        """Fit some chains from the starts in `found`, which has room for them alone."""
        status = _core.fit_block(
            self.net,
            *self.rows(block),
            self.lower,
            self.upper,
            LOSSES[self.loss].code,
            self.loss_scale,
            self.max_iterations,
            self.tolerance,
            self.stop,
            found,
        )
        if status:
            raise from_status(status, _core.status_text(status))
        if (found.determined == UNDETERMINED).any():
            lost = (found.codes == CONVERGED) & ~found.identified.all(axis=1)
            found.codes[lost] = NOT_IDENTIFIED


class Found(NamedTuple):
    """Room for what the core finds: the arrays of struct cbp_fits, in its order."""

    params: Vector
    codes: NDArray[np.int32]
    iterations: NDArray[np.uintp]
    loss: Vector
    weight: Vector
    variance: Vector
    df: Vector
    stderr: Vector
    triangles: Vector
    determined: NDArray[np.uint8]

    @classmethod
    def room_for(cls, job: Job, m: int, covariance: bool) -> Found:
        """Make arrays for m chains."""
        width, free = 2 * job.net.layers, int(np.count_nonzero(job.net.free))
        return cls(
            np.empty((m, width)),
            np.empty(m, dtype=np.int32),
            np.empty(m, dtype=np.uintp),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty((m, width)),
            np.empty((m, free * (free + 1) // 2 if covariance else 0)),
            np.empty((m, width), dtype=np.uint8),
        )

    def rows(self, block: slice) -> Found:
        """Look at some chains' share."""
        return Found._make(array[block] for array in self)

    @property
    def identified(self) -> NDArray[np.bool_]:
        """False for parameters that the data do not fix, shape (m, 2L)."""
        return np.not_equal(self.determined, UNDETERMINED)

    def deviations(self, job: Job) -> Vector:
        """Residual standard deviations, shape (m,)."""
        if LOSSES[job.loss].dispersion > 0:
            return np.full_like(self.variance, math.nan)
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.variance)

    def squares(self, job: Job, block: slice = slice(None)) -> Vector:
        """Weighted sums of squared residuals, shape (m,), of these chains of the job."""
        if job.loss == "squared":
            return self.loss * self.weight
        squares = np.empty(len(self.loss))
        chains = ChainArray(self.params, job.net.activations, job.net.frozen)
        first = block.start or 0
        for part in blocks_of(len(squares), _BLOCK):
            x, y, weights = job.rows(slice(first + part.start, first + part.stop))
            residuals = chains[part].forward(x) - y
            with np.errstate(over="ignore"):
                terms = residuals**2 if weights is None else weights * residuals**2
                squares[part] = np.nansum(terms, axis=1)
        squares[np.isnan(self.loss)] = math.nan
        return squares


def blocks_of(chains: int, size: int) -> list[slice]:
    """Divide so many chains; none are one empty block, for which the core checks the rest."""
    firsts = range(0, max(chains, 1), size)
    return [slice(first, min(first + size, chains)) for first in firsts]


def run_blocks(
    work: Callable[[slice], None],
    chains: int,
    threads: Count | None,
    stop: bytearray,
    size: int,
) -> None:
    """Do the work on all blocks of chains, on so many threads; Ctrl-C stops them.

    What is done to a block does not depend on the others, so that the threads make no difference.
    """
    count = count_of("threads", threads, usable_cores())
    run(work, blocks_of(chains, size), count, lambda: stop.__setitem__(0, 1))
