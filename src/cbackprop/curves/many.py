"""Many fits of one curve: side by side, and those that need other starts one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..chain_array import ChainArray
from ..errors import CBackpropError
from ..fits.arguments import ends_of
from ..fits.many import (
    CONVERGED,
    NOT_IDENTIFIED,
    Found,
    Job,
    code_of,
    count_statuses,
    run_blocks,
    status_names,
)
from .dual import Dual, Values
from .search import Search

if TYPE_CHECKING:
    from .curve import Curve

__all__ = ["CurveFits"]

Vector: TypeAlias = NDArray[np.float64]
_LOST: Final = 1e-10  # a variance below this fraction of its terms is only their rounding
_PATIENCE: Final = 100  # iterations; a fit that needs more converges slowly, and is done again
_BLOCK: Final = 1 << 12  # curves at a time, whose covariances fit into the processor's cache
_START_NOT_FINITE: Final = code_of("start_not_finite")


@dataclass(eq=False, repr=False, slots=True)
class CurveFits:
    """Fits of one curve to m data sets. For those that could not be fitted the results are NaN.

    Attributes
    ----------
    curve : Curve
    chains : ChainArray
        The chains that compute the fitted curves.
    params, stderr : dict of str to ndarray, shape (m,)
        Natural parameters and their standard errors, as in `CurveFit`; a standard error is NaN
        where cancellation would leave only rounding errors.
    rss, residual_sd, df : ndarray, shape (m,)
        As in `CurveFit`.
    codes : ndarray of int, shape (m,)
        Statuses as numbers: keys of `fits.many.STATUSES`.
    converged : ndarray of bool, shape (m,)
        Whether a minimum has been reached.
    n_iterations : ndarray of int, shape (m,)
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

    @property
    def status(self) -> NDArray[np.str_]:
        """How each fit ended, shape (m,), as in `FitManyResult`."""
        return status_names(self.codes)

    def __len__(self) -> int:
        """How many fits there are."""
        return len(self.rss)

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


@dataclass(eq=False, slots=True)
class ManySearch:
    """The state of many fits of a curve."""

    search: Search  # of one fit: names, fixed values and bounds of the chain's parameters
    job: Job
    options: Mapping[str, Any]  # of a single fit
    fits: CurveFits

    @classmethod
    def of(
        cls,
        search: Search,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        options: Mapping[str, Any],
    ) -> ManySearch:
        """Check the arguments of `Curve.fit_many`, and allocate the results."""
        net = search.chain_of(np.ones(2 * len(search.form.activations)), search.frozen)
        for name, value in search.held.items():
            net.params[name] = value
        job = Job.of(
            net, x, y, sample_weight, search.loss, search.loss_scale, search.limits, None, None
        )
        search.curve.check_domain(job.x[~np.isnan(job.x)])
        m, names = len(job.y), search.curve.parameters
        fits = CurveFits(
            search.curve,
            ChainArray(np.empty((m, 2 * job.net.layers)), job.net.activations, job.net.frozen),
            {name: np.empty(m) for name in names},
            {name: np.empty(m) for name in names},
            np.empty(m),
            np.empty(m),
            np.empty(m),
            np.empty(m, dtype=np.int32),
            np.empty(m, dtype=np.bool_),
            np.empty(m, dtype=np.uintp),
        )
        return cls(search, job, options, fits)

    def run(self, threads: int | None) -> CurveFits:
        """Fit all."""
        points = self.job.x[np.isfinite(self.job.x)]
        candidates = self.search.candidates(points if points.size else np.ones(1), near=True)

        def fit_block(block: slice) -> None:
            self.fit_block(block, candidates)

        run_blocks(fit_block, len(self.fits), threads, self.job.stop, _BLOCK)
        return self.fits

    def fit_block(self, block: slice, candidates: Vector) -> None:
        """Fit a block, all side by side, and then one by one those that need other starts."""
        with np.errstate(all="ignore"):
            job, fits, names = self.job, self.fits, self.search.curve.parameters
            found = self.best_of_basins(block, candidates)
            found.params[found.codes < 0] = math.nan
            given = self.chain_params(found)
            values, errors, is_lost = self.natural(given, found.triangles)
            for k, column in enumerate(given):
                fits.chains.params[block, k] = column.value
            fits.rss[block] = found.squares(job, block)
            fits.residual_sd[block] = found.deviations(job)
            fits.df[block] = found.df
            fits.codes[block] = found.codes
            fits.converged[block] = (found.codes == CONVERGED) | (found.codes == NOT_IDENTIFIED)
            fits.n_iterations[block] = found.iterations
            for name, value, error in zip(names, values, errors, strict=True):
                fits.params[name][block] = value
                fits.stderr[name][block] = error
            is_lost &= found.codes == CONVERGED
            is_lost |= (found.codes == NOT_IDENTIFIED) | (found.codes > 0) & (
                found.iterations > _PATIENCE
            )
            for i in np.flatnonzero(self.is_doubtful(block) | is_lost).tolist():
                self.fit_alone(block.start + i)

    def best_of_basins(self, block: slice, candidates: Vector) -> Found:
        """Fit a block from the best candidate of each basin, and keep each curve's least loss."""
        job, form = self.job, self.search.form
        best: Found | None = None
        for basin in np.split(candidates, form.basins):
            found = Found.room_for(job, block.stop - block.start, covariance=True)
            _core.choose_starts(
                job.net, *job.rows(block), job.lower, job.upper, basin, form.row, found.params
            )
            job.fit(block, found)
            if best is None:
                best = found
                continue
            is_better = (found.codes > 0) & ~(best.loss <= found.loss)
            pairs: Any = zip(best, found, strict=True)
            for kept, other in pairs:
                kept[is_better] = other[is_better]
        assert best is not None
        return best

    def chain_params(self, found: Found) -> list[Dual]:
        """Return the chain's parameters as variables, in the set that natural parameters mean."""
        net, columns = self.job.net, found.params.T
        given = [
            Dual(columns[k].copy(), {k: 1.0} if is_free else {})
            for k, is_free in enumerate(net.free)
        ]
        mirror, names = self.search.form.mirror, net.param_names
        if mirror is not None:
            turned = columns[names.index(mirror.when)] < 0
            signs = np.where(turned, -1.0, 1.0)
            if mirror.shift is not None:
                bias, weight = (names.index(name) for name in mirror.shift)
                given[bias] = given[bias] + given[weight] * np.where(turned, 1.0, 0.0)
            for name in mirror.negate:
                given[names.index(name)] = given[names.index(name)] * signs
        return given

    def natural(
        self, given: list[Dual], triangles: Vector
    ) -> tuple[list[Values], list[Values], NDArray[np.bool_]]:
        """Natural parameters, their standard errors by the delta method, and where those are lost.

        They are lost where the variances and covariances of the chain's parameters nearly cancel.
        """
        values: list[Values] = []
        errors: list[Values] = []
        is_lost = np.zeros(len(triangles), dtype=np.bool_)
        row_of = {k: row for row, k in enumerate(np.flatnonzero(self.job.net.free).tolist())}
        for entry in self.search.form.natural(*given):
            variance: Values = 0.0
            parts: Values = 0.0
            slopes = sorted(entry.slopes.items())
            for count, (k, slope) in enumerate(slopes):
                row = row_of[k] * (row_of[k] + 1) // 2
                share = slope * triangles[:, row + row_of[k]]
                if len(slopes) > 1:
                    parts = parts + slope * share
                for j, other in slopes[:count]:
                    share = share + (2.0 * other) * triangles[:, row + row_of[j]]
                variance = variance + slope * share
            values.append(entry.value)
            is_lost |= ~np.isfinite(entry.value)
            error = np.sqrt(variance)
            if len(slopes) > 1:
                rounding = variance < _LOST * parts
                error = np.where(rounding, math.nan, error)
                is_lost |= rounding
            errors.append(error)
        return values, errors, is_lost

    def is_doubtful(self, block: slice) -> NDArray[np.bool_]:
        """Find the curves that need a single fit: from other starts, or at a bound of this kind."""
        doubtful: NDArray[np.bool_] = self.fits.codes[block] == _START_NOT_FINITE
        for name, pair in self.search.asked.items():
            if name not in self.search.mapped:
                (low, high), value = ends_of(name, pair), self.fits.params[name][block]
                doubtful |= (value < low) | (value > high)
        return doubtful

    def fit_alone(self, i: int) -> None:
        """Fit one curve by itself, also from other starts."""
        x, y, weights = self.job.rows(slice(i, i + 1))
        fits, weight = self.fits, None if weights is None else weights.reshape(-1)
        try:
            fitted = self.search.curve.fit(
                x.reshape(-1),
                y[0],
                sample_weight=weight,
                nan_policy="omit",
                **self.options,
            )
        except CBackpropError:  # keep the result of the many fits
            return
        form, chain = self.search.form, fitted.chain
        if chain.activations == form.activations and set(self.job.net.frozen).issubset(
            chain.frozen
        ):
            fits.chains.params[i] = chain.params
        else:  # another form was needed
            fits.chains.params[i] = form.chain(*fitted.params.values())
        for name, value in fitted.params.items():
            fits.params[name][i], fits.stderr[name][i] = value, fitted.stderr[name]
        fits.rss[i], fits.residual_sd[i], fits.df[i] = fitted.rss, fitted.residual_sd, fitted.df
        fits.codes[i] = code_of(fitted.status)
        fits.converged[i] = fitted.converged
        fits.n_iterations[i] = fitted.result.n_iterations
