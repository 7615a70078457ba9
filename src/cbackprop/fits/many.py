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
from ..chain_array import ChainArray, chains_on, data_of
from ..errors import InputTypeError, ShapeError, from_status
from ..threads import run, shares, thread_count
from .arguments import Bounds, Count, Number, bound_arrays, count_of, number_of

if TYPE_CHECKING:
    from .._core import _Loss, _Number

__all__ = ["FitManyResult", "fit_many"]

Vector: TypeAlias = NDArray[np.float64]
_BLOCK: Final = 1 << 13  # a call of the core fits so many chains or more

# enum cbp_outcome, and below 0 those of enum cbp_status that can apply to one of many chains.
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
    """The result of fitting m chains.

    A chain that could not be fitted keeps the parameters of its start; its other results are NaN.

    Attributes
    ----------
    chains : ChainArray
        The fitted chains, whose parameters are `params`, shape (m, 2L).
    loss, rss, residual_sd : ndarray, shape (m,)
        As in `FitResult`.
    df : ndarray, shape (m,)
        Degrees of freedom.
    stderr : ndarray, shape (m, 2L)
        Standard errors: 0 for parameters that are frozen or at a bound, infinite for those that the
        data do not identify.
    triangles : ndarray, shape (m, k (k + 1) / 2)
        Lower triangles, row by row, of the covariance matrices of the k free parameters; shape
        (m, 0) without ``covariance=True``.
    identified : ndarray of bool, shape (m, 2L)
        False for parameters that the data do not determine.
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
        """Covariance matrices (m, 2L, 2L) as in `FitResult`; None without ``covariance=True``."""
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
        """How each fit ended, shape (m,).

        "converged", "not_identified" (converged, but some parameters are arbitrary),
        "max_iterations" or "stopped"; for chains that could not be fitted "too_few_points",
        "not_finite" (a point is infinite, or its x is NaN), "bad_weight", "bad_target" (outside
        what the loss accepts), "bad_start" (not finite, or outside the bounds) or
        "start_not_finite" (the loss at the start is not finite).
        """
        return status_names(self.codes)

    def __len__(self) -> int:
        """How many chains there are."""
        return len(self.loss)

    def __repr__(self) -> str:
        """Show the number of chains with each status."""
        return f"<FitManyResult of {len(self)} chains: {count_statuses(self.codes)}>"


def code_of(status: str) -> int:
    """Return the code of a status given by name."""
    return next(code for code, name in STATUSES.items() if name == status)


def status_names(codes: NDArray[np.int32]) -> NDArray[np.str_]:
    """Write statuses in words."""
    known, places = np.unique(codes, return_inverse=True)
    return np.array([STATUSES[code] for code in known.tolist()], dtype=np.str_)[places]


def count_statuses(codes: NDArray[np.int32]) -> str:
    """Count each status, as text such as "98 converged, 2 too_few_points"."""
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
    """Fit m chains of one kind by Levenberg-Marquardt, several at once in vector registers.

    Each chain's result agrees with that of `fit` on its data, to the tolerance, and does not depend
    on the other chains or on the number of threads.

    Parameters
    ----------
    net : Chain
        Activations and frozen parameters of all chains and, unless `start` is given, their start.
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
        Whether to return the covariance matrices besides the standard errors.
    threads : int, optional
        Number of threads; by default the number of cores that this process may use.

    Returns
    -------
    FitManyResult
        A chain that cannot be fitted has a status that says why; the others are fitted.

    Raises
    ------
    ShapeError
        If shapes do not match.
    ParameterError
        If an option is out of range, all parameters are frozen, or a lower bound is above the upper
        one.
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
    starts = net.params if start is None else real_array(start, "start")
    if starts.shape not in (found.params.shape, found.params.shape[1:]):
        raise ShapeError(
            f"start: shape {starts.shape}, expected {found.params.shape[1:]} for all chains "
            f"or {found.params.shape}"
        )

    def fit_block(block: slice) -> None:
        rows = found.rows(block)
        rows.params[:] = starts if starts.ndim == 1 else starts[block]
        job.fit(block, rows)
        job.add_squares(block, rows.params, rows.loss, rows.rss)

    run_blocks(fit_block, len(job.y), threads, job.stop, _BLOCK)
    return FitManyResult(
        chains_on(found.params, net),
        found.loss,
        found.rss,
        found.residual_sd,
        found.df,
        found.stderr,
        found.triangles,
        found.determined.view(np.bool_),
        found.codes,
        found.iterations,
    )


# ---- blocks of chains ----------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Job:
    """The checked arguments of many fits."""

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
        _core.code_of_loss(loss, loss_scale)  # raises if one is invalid
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
        """Return the examples of a block of chains."""
        x = self.x if self.x.ndim == 1 else self.x[block]
        weights = self.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[block]
        return x, self.y[block], weights

    def fit(self, block: slice, found: Found) -> None:
        """Fit a block of chains from the starts in `found`, which has arrays for that block."""
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

    def add_squares(self, fitted: slice, params: Vector, loss: Vector, rss: Vector) -> None:
        """Write the weighted sums of squared residuals that the core has not found."""
        if self.loss == "squared":
            return
        for part in blocks_of(len(loss), _BLOCK):
            x, y, weights = self.rows(slice(fitted.start + part.start, fitted.start + part.stop))
            residuals = chains_on(params[part], self.net).forward(x, threads=1) - y
            with np.errstate(over="ignore"):
                terms = residuals**2 if weights is None else weights * residuals**2
                rss[part] = np.nansum(terms, axis=1)
        rss[np.isnan(loss)] = math.nan


class Found(NamedTuple):
    """Arrays for the results of the core: those of struct cbp_fits, in its order, and more.

    `determined` becomes whether a parameter is identified.
    """

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
    rss: Vector
    residual_sd: Vector

    @classmethod
    def room_for(cls, job: Job, m: int, covariance: bool) -> Found:
        """Allocate the arrays for m chains."""
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
            np.empty(m),
            np.empty(m),
        )

    def rows(self, block: slice) -> Found:
        """Return views of the arrays for a block of chains."""
        return Found._make(array[block] for array in self)


def blocks_of(chains: int, size: int) -> list[slice]:
    """Divide chains into blocks of this size."""
    firsts = range(0, chains, size)
    return [slice(first, min(first + size, chains)) for first in firsts]


def run_blocks(
    work: Callable[[slice], None],
    chains: int,
    threads: Count | None,
    stop: bytearray,
    size: int,
) -> None:
    """Call `work` with blocks of this size or more, on this number of threads; Ctrl-C stops them.

    A block's result does not depend on the others, so the number of threads changes no result.
    """
    count = thread_count(threads)
    run(work, shares(chains, count, size), count, lambda: stop.__setitem__(0, 1))
