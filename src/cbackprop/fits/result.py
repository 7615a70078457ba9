"""What a fit has found, and how it is said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import Chain

__all__ = ["AT_BOUND", "OUTCOMES", "UNDETERMINED", "FitProgress", "FitResult"]

Vector: TypeAlias = NDArray[np.float64]
# enum cbp_outcome: how a fit ended, as `FitResult.status` and in words.
OUTCOMES: Final = MappingProxyType(
    {
        1: ("converged", "converged"),
        2: ("max_iterations", "not converged: max_iterations were not enough"),
        3: ("stopped", "stopped by the callback"),
        4: ("diverged", "diverged: the loss ceased to be finite; a smaller learning rate may help"),
    }
)
AT_BOUND, UNDETERMINED = 2, 3  # of enum cbp_determined


class FitProgress(NamedTuple):
    """Where a fit has got to; what a callback is given."""

    n_iterations: int
    n_evaluations: int
    loss: float
    gradient_norm: float
    params: Vector


@dataclass(eq=False, repr=False, slots=True)
class FitResult:
    """What a fit has found.

    Attributes
    ----------
    chain : Chain
        The fitted chain, with the activations and frozen parameters of the start.
    loss : float
        The averaged loss.
    rss : float
        sum(weight * (output - target)^2), whatever the loss.
    residual_sd : float
        sqrt(rss / df) for the squared loss, with the weights of the last reweighting for the robust
        ones; df is the number of examples less that of fitted parameters. NaN if df is 0, and for
        losses whose variance is known, as the log loss.
    df : int
        Degrees of freedom left over.
    stderr : ndarray, shape (2L,)
        Standard errors: 0 for frozen parameters and those held at a bound, infinite for those that
        the data do not identify. NaN without `covariance`.
    free_covariance : ndarray, shape (k, k)
        Covariance matrix of the k parameters that are not frozen; NaN after a descent that did not
        converge.
    converged : bool
        Whether a minimum has been reached; it may not be the only one, and need not identify every
        parameter.
    status : str
        "converged", "not_identified" (converged, but some parameters are arbitrary),
        "max_iterations", "stopped" or "diverged".
    message : str
        The status in words, with the parameters concerned.
    identified : ndarray of bool, shape (2L,)
        False for parameters that the data do not fix.
    n_iterations, n_evaluations : int
        Iterations, and passes over the examples.
    gradient_norm : float
        Euclidean norm of the averaged loss' gradient by the free parameters.
    history : ndarray
        The loss at the start and after each iteration.
    """

    chain: Chain
    loss: float
    rss: float
    residual_sd: float
    df: int
    stderr: Vector
    free_covariance: Vector
    converged: bool
    status: str
    message: str
    identified: NDArray[np.bool_]
    n_iterations: int
    n_evaluations: int
    gradient_norm: float
    history: Vector

    @property
    def params(self) -> Vector:
        """The fitted parameters, [w1, b1, ..., wL, bL]: those of `chain`."""
        return self.chain.params

    @property
    def covariance(self) -> Vector:
        """The covariance matrix of all parameters, shape (2L, 2L), made anew each time.

        As `free_covariance`, and 0 for frozen parameters, or NaN as their standard errors.
        """
        free = self.chain.free
        matrix = np.zeros((free.size, free.size))
        unknown = ~free & np.isnan(self.stderr)
        matrix[unknown] = matrix[:, unknown] = math.nan
        matrix[np.ix_(free, free)] = self.free_covariance
        return matrix

    def __repr__(self) -> str:
        """Name the status and the loss."""
        return f"<FitResult: {self.message}; loss={self.loss!r}>"

    def __str__(self) -> str:
        """Print a short table."""
        rows = [("", "estimate", "std. error")]
        for name, value, error, free in zip(
            self.chain.param_names, self.params, self.stderr, self.chain.free, strict=True
        ):
            rows.append((name, f"{value:.8g}", f"{error:.5g}" if free else "frozen"))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        iterations = f"{self.n_iterations} iteration{'' if self.n_iterations == 1 else 's'}"
        spread = f", residual sd {self.residual_sd:.6g} on {self.df} degrees of freedom"
        return "\n".join(
            [
                *lines,
                f"loss {self.loss:.8g}{spread if math.isfinite(self.residual_sd) else ''}",
                f"{self.message}; {iterations}",
            ]
        )
