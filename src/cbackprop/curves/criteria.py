"""Information criteria of fits, from their likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .._core import LOSSES

if TYPE_CHECKING:
    from .result import CurveFit

__all__ = ["Criteria", "known_log_likelihood", "log_jacobian", "normal_log_likelihood"]


def normal_log_likelihood(rss: float, n: int, log_weight: float) -> float:
    """Return that of n normal errors with the estimated variance; weights by their logarithms."""
    ratio = rss / n
    log_ratio = math.log(ratio) if ratio > 0 else -math.inf
    return 0.5 * (log_weight - n * (math.log(2.0 * math.pi) + log_ratio + 1.0))


def known_log_likelihood(rss: float, n: int, log_weight: float) -> float:
    """Return that of n normal errors whose variances are the reciprocals of the weights."""
    return 0.5 * (log_weight - n * math.log(2.0 * math.pi) - rss)


def log_jacobian(fit: CurveFit) -> float:
    """Return twice the sum of log(dh/dy), where h(y) has the same variance at all x."""
    of = fit.y if fit.loss == "box_cox" else fit(fit.x)
    counted = of[of > 0] if fit.weights is None else of[(of > 0) & (fit.weights > 0)]
    return -fit.variance_power * math.fsum(map(math.log, counted.tolist()))


class Criteria:
    """What fits of one curve and of groups have in common."""

    df: int
    loss: str
    n_parameters: int
    log_likelihood: float
    absolute_sigma = False
    _counted: int  # points of weight above 0

    @property
    def aic(self) -> float:
        """Akaike's information criterion; an estimated variance counts as a parameter."""
        return self._criterion(2.0)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, with the same number of parameters as `aic`."""
        return self._criterion(math.log(self._counted))

    @property
    def aicc(self) -> float:
        """`aic` corrected for few points (Hurvich and Tsai 1989), infinite where there are too few.

        With K estimated parameters, the variance among them, it is aic + 2 K (K + 1) / (n - K - 1).
        """
        estimated = self._estimated
        left = self._counted - estimated - 1
        return self.aic + 2.0 * estimated * (estimated + 1) / left if left > 0 else math.inf

    @property
    def _estimated(self) -> int:
        return self.n_parameters + (not self.has_known_variance)

    @property
    def has_known_variance(self) -> bool:
        """Whether the variance of the errors is known: by the loss, or from the weights."""
        return self.absolute_sigma or LOSSES[self.loss].dispersion > 0

    @property
    def _has_likelihood(self) -> bool:
        return self.loss == "squared" or self.has_known_variance

    @property
    def _interval_df(self) -> float:
        """Degrees of freedom of Student's t in intervals: infinite for a known variance."""
        return math.inf if self.has_known_variance else float(self.df)

    def _criterion(self, penalty: float) -> float:
        return penalty * self._estimated - 2.0 * self.log_likelihood
