"""Many fits of one curve, by the core."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..chain_array import ChainArray, chains_on
from ..errors import from_status
from ..fits.arguments import Count, Number
from ..fits.many import (
    Job,
    blocks_of,
    count_statuses,
    run_blocks,
    status_names,
)

if TYPE_CHECKING:
    from .curve import Curve
    from .result import CurveFit
    from .weights import Weighting

__all__ = ["CurveFits", "fit_sets"]

Vector: TypeAlias = NDArray[np.float64]
_BLOCK: Final = 1 << 12  # a call of the core fits so many curves or more


@dataclass(eq=False, repr=False, slots=True)
class CurveFits:
    """Fits of one curve to m data sets. For those that could not be fitted the results are NaN.

    ``fits[i]`` is the `CurveFit` of data set i, which `fit` finds for it alone: with intervals,
    bands, the covariance and a plot. It is made when it is asked for, from the arrays that
    `fit_many` was given, which are not copied: do not change them before. A loop over the fits
    makes each of them. For a data set that cannot be fitted, this is the error that `fit` raises.

    Attributes
    ----------
    curve : Curve
    chains : ChainArray
        The chains that compute the fitted curves.
    params, stderr : dict of str to ndarray, shape (m,)
        Natural parameters and their standard errors, as in `CurveFit`.
    rss, residual_sd, df : ndarray, shape (m,)
        As in `CurveFit`.
    codes : ndarray of int, shape (m,)
        Statuses as numbers: keys of `fits.many.STATUSES`.
    converged : ndarray of bool, shape (m,)
        Whether a minimum has been reached.
    n_iterations : ndarray of int, shape (m,)

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [1.0, 2.0, 4.0, 8.0]
    >>> fits = curves.michaelis_menten.fit_many(x, [[2.0, 3.1, 4.0, 4.7], [1.0, 1.4, 2.1, 2.4]])
    >>> fits.params["vmax"].round(3).tolist()
    [5.789, 3.102]
    >>> low, high = fits[1].confidence_interval()["km"]
    >>> round(low, 2), round(high, 2)
    (1.02, 4.68)
    """

    curve: Curve
    chains: ChainArray
    params: dict[str, Vector]
    stderr: dict[str, Vector]
    rss: Vector
    residual_sd: Vector
    df: Vector
    codes: NDArray[np.int32]
    converged: NDArray[np.bool_]
    n_iterations: NDArray[np.uintp]
    _x: Vector
    _y: Vector
    _weights: Vector | None
    _fit: Callable[..., CurveFit]

    @property
    def status(self) -> NDArray[np.str_]:
        """How each fit ended, shape (m,), as in `FitManyResult`."""
        return status_names(self.codes)

    @property
    def message(self) -> NDArray[np.str_]:
        """How each fit ended, shape (m,), with what its data do not determine.

        Hardly determined is a positive parameter whose standard error is above it; `fit` says more.
        """
        messages = np.char.replace(self.status, "_", " ").astype(object)
        unknown = {name: np.isposinf(error) for name, error in self.stderr.items()}
        hardly = {
            name: (self.stderr[name] > self.params[name]) & ~unknown[name]
            for name in self.curve.positive
        }
        for words, where in ((": ", unknown), ("; hardly determined: ", hardly)):
            for i in np.flatnonzero(np.any(list(where.values()), axis=0)) if where else ():
                messages[i] += words + ", ".join(name for name in where if where[name][i])
        messages[self.df == 0] += "; no degrees of freedom left"
        return messages.astype(np.str_)

    def __len__(self) -> int:
        """How many fits there are."""
        return len(self.rss)

    def __getitem__(self, i: SupportsIndex) -> CurveFit:
        """Return the fit of data set i.

        Raises
        ------
        IndexError
            If there is no such data set.
        ShapeError, ParameterError
            If it cannot be fitted.
        """
        y = self._y[operator.index(i)]
        there = ~np.isnan(y)

        def row(array: Vector) -> Vector:
            own: Vector = (array if array.ndim == 1 else array[i])[there]
            return own

        weights = None if self._weights is None else row(self._weights)
        return self._fit(row(self._x), y[there], sample_weight=weights)

    def __repr__(self) -> str:
        """Show the curve and the number of fits with each status."""
        return f"<CurveFits of {len(self)} {self.curve.name}: {count_statuses(self.codes)}>"

    def __call__(self, x: ArrayLike) -> Vector:
        """Compute the fitted curves, shape (m, n), at x of shape (n,) or (m, n)."""
        return self.chains.forward(x)

    predict = __call__

    def inverse(self, y: ArrayLike) -> Vector:
        """Find the inputs that give outputs y of shape (n,) or (m, n); NaN where there is none."""
        return self.chains.inverse(y)


class Found(NamedTuple):
    """Arrays for the results of the core: those of struct cbp_curve_fits, and more."""

    natural: Vector
    stderr: Vector
    params: Vector
    codes: NDArray[np.int32]
    determined: NDArray[np.uint8]
    iterations: NDArray[np.uintp]
    loss: Vector
    weight: Vector
    variance: Vector
    df: Vector
    rss: Vector
    residual_sd: Vector
    converged: NDArray[np.bool_]

    @classmethod
    def room_for(cls, curve: Curve, m: int) -> Found:
        """Allocate the arrays for m sets."""
        p, width = len(curve.parameters), 2 * len(curve.activations)
        return cls(
            np.empty((m, p)),
            np.empty((m, p)),
            np.empty((m, width)),
            np.empty(m, dtype=np.int32),
            np.empty((m, p), dtype=np.uint8),
            np.empty(m, dtype=np.uintp),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m, dtype=np.bool_),
        )

    def rows(self, block: slice) -> Found:
        """Return views of the arrays for a block of sets."""
        return Found._make(array[block] for array in self)


def fit_sets(
    curve: Curve,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    limits: tuple[Vector | None, Vector | None, Vector | None],
    way: Weighting,
    options: tuple[Count | None, Number | None],
    threads: Count | None,
    fit: Callable[..., CurveFit],
) -> CurveFits:
    """Fit m data sets; the arguments are those of `Curve.fit_many`; limits are checked.

    With `fit` one of them can be fitted alone.
    """
    net = _core.Chain(
        np.ones(len(curve.activations)),
        np.ones(len(curve.activations)),
        curve.activations,
        curve.frozen,
    )
    job = Job.of(net, x, y, way.sample_weight, way.loss, way.scale, None, *options)
    fixed = 0 if limits[0] is None else int((~np.isnan(limits[0])).sum())
    starts = curve.starts_of(job.x, job.y, max(1, len(curve.parameters) - fixed))
    found = Found.room_for(curve, len(job.y))
    if job.x.ndim == 1:
        curve.check_domain(job.x[~np.isnan(job.x)])

    def fit_block(block: slice) -> None:
        x, y, weights = job.rows(block)
        for part in blocks_of(len(x) if x.ndim == 2 else 0, _BLOCK):
            curve.check_domain(x[part][~np.isnan(x[part])])
        rows = found.rows(block)
        status = _core.fit_curve_block(
            curve.row,
            starts[block] if starts is not None and starts.ndim == 2 else starts,
            x,
            y,
            weights,
            *limits,
            way.code,
            way.scale,
            job.max_iterations,
            job.tolerance,
            job.stop,
            rows,
        )
        if status:
            raise from_status(status, _core.status_text(status))
        job.add_squares(block, rows.params, rows.loss, rows.rss)

    run_blocks(fit_block, len(job.y), threads, job.stop, _BLOCK)
    return CurveFits(
        curve,
        chains_on(found.params, net),
        dict(zip(curve.parameters, found.natural.T, strict=True)),
        dict(zip(curve.parameters, found.stderr.T, strict=True)),
        found.rss,
        found.residual_sd,
        found.df,
        found.codes,
        found.converged,
        found.iterations,
        job.x,
        job.y,
        None if sample_weight is None else _core.real_array(sample_weight, "sample_weight"),
        fit,
    )
