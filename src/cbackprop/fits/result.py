"""The result of a fit, and its text."""

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
    """The state of a running fit, which is passed to a callback."""

    n_iterations: int
    n_evaluations: int
    loss: float
    gradient_norm: float
    params: Vector


@dataclass(eq=False, repr=False, slots=True)
class FitResult:
    """The result of a fit.

    Attributes
    ----------
    chain : Chain
        The fitted chain, with the activations and frozen parameters of the start.
    loss : float
        The averaged loss.
    rss : float
        sum(weight * (output - target)^2), for any loss.
    residual_sd : float
        sqrt(rss / df) for the squared loss; for robust losses with the weights of the last
        reweighting. NaN if df is 0, and for losses whose variance is known ("log", "poisson").
    df : int
        Degrees of freedom: the number of examples less the number of fitted parameters.
    stderr : ndarray, shape (2L,)
        Standard errors: 0 for parameters that are frozen or at a bound, infinite for those that the
        data do not identify. NaN if there is no covariance.
    free_covariance : ndarray, shape (k, k)
        Covariance matrix of the k parameters that are not frozen; NaN after a descent that did not
        converge.
    converged : bool
        Whether a minimum has been reached. There may be others, and some parameters may not be
        identified.
    status : str
        "converged", "not_identified" (converged, but some parameters are arbitrary),
        "max_iterations", "stopped" or "diverged".
    message : str
        The status in words, with the names of parameters that are not identified or at a bound.
    identified : ndarray of bool, shape (2L,)
        False for parameters that the data do not determine.
    n_iterations, n_evaluations : int
        Numbers of iterations and of passes over the examples.
    gradient_norm : float
        Euclidean norm of the gradient of the averaged loss by the free parameters.
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
        """The covariance matrix of all parameters, shape (2L, 2L), a new array at each access.

        Rows and columns of free parameters are those of `free_covariance`; those of frozen ones are
        0, or NaN if their standard errors are NaN.
        """
        free = self.chain.free
        matrix = np.zeros((free.size, free.size))
        unknown = ~free & np.isnan(self.stderr)
        matrix[unknown] = matrix[:, unknown] = math.nan
        matrix[np.ix_(free, free)] = self.free_covariance
        return matrix

    def __repr__(self) -> str:
        """Show the status and the loss."""
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
