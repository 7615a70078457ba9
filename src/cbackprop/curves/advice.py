"""Why data do not determine a parameter of a curve, or hardly, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from .covariance import slopes_at
from .matrices import product

if TYPE_CHECKING:
    from .result import CurveFit

__all__ = ["advice_on", "hardly_determined"]

Vector: TypeAlias = NDArray[np.float64]
_POINTS: Final = 401  # of a grid around the inputs
_SEEN: Final = 0.7  # of the greatest derivative: so much is enough
_FLAT: Final = 0.25  # an r2 below which a curve tells little more than the mean
_TIED: Final = 0.9  # a correlation from which two parameters make up for each other


def hardly_determined(fit: CurveFit) -> list[str]:
    """Return the names of parameters whose standard error is finite, but says nothing.

    That of a positive parameter is above the parameter; that of another one is above half of it,
    and would change the curve, where it depends most on it, by more than the range of y.
    """
    doubtful = []
    for k, (name, value) in enumerate(fit.params.items()):
        error, is_positive = fit.stderr[name], name in fit.curve.positive
        if np.isfinite(error) and error > (value if is_positive else abs(value) / 2):
            doubtful.append((k, name, is_positive))
    if not all(is_positive for *_, is_positive in doubtful):
        x, y = _counted(fit)
        peaks = np.abs(_derivatives(fit, _grid(fit, x))).max(axis=0)
        reach = np.array(list(fit.stderr.values())) * peaks
        doubtful = [d for d in doubtful if d[2] or reach[d[0]] > np.ptp(y)]
    return [name for _, name, _ in doubtful]


def advice_on(fit: CurveFit, names: list[str]) -> dict[str, str]:
    """Return, for each of these parameters, why the data do not determine it and what helps."""
    if not names:
        return {}
    x, _ = _counted(fit)
    distinct = len(np.unique(x))
    if distinct < fit.n_parameters:
        why = f"{distinct} distinct x for {fit.n_parameters} parameters"
        return {name: f"{why}; fix {name}, or measure at more x" for name in names}
    if not fit.r2 >= _FLAT:
        why = "the response hardly changes over the range of x"
        return {name: f"{why}; fix {name}, or measure over a wider range" for name in names}
    grid = _grid(fit, x)
    at_points, around = (np.abs(_derivatives(fit, at)) for at in (x, grid))
    return {
        name: _where_to_measure(fit, name, x, grid[np.argmax(around[:, k])])
        if at_points[:, k].max() < _SEEN * around[:, k].max()
        else _what_is_tied(fit, name)
        for k, name in enumerate(fit.params)
        if name in names
    }


def _where_to_measure(fit: CurveFit, name: str, x: Vector, best: float) -> str:
    """Say on which side of the inputs, or between which, the curve depends most on a parameter."""
    low, high = float(x.min()), float(x.max())
    if low <= best <= high:
        return (
            f"no points near x = {best:.3g}, where the curve depends on it; "
            f"measure there, or fix {name}"
        )
    side, word = (0, "lower") if best < low else (1, "higher")
    end = float(fit.chain.forward(fit.curve.domain[side]))
    is_plateau = np.isfinite(end) and abs(end - fit.params[name]) <= 1e-6 * abs(end)
    why = (
        f"the plateau at {word} x is not seen" if is_plateau else f"the curve shows it at {word} x"
    )
    return f"{why}; measure at {word} x, or fix {name}"


def _what_is_tied(fit: CurveFit, name: str) -> str:
    """Say which other parameter makes up for changes of this one."""
    k = list(fit.params).index(name)
    scales = np.sqrt(fit.covariance.diagonal())
    related = np.abs(fit.covariance[k] / (scales[k] * scales))
    related[k] = 0.0
    related[~np.isfinite(related)] = 0.0
    if related.max() < _TIED:
        return f"the points are few or scatter much; measure more, or fix {name}"
    other = list(fit.params)[int(np.argmax(related))]
    return f"changes of it are made up for by {other}; fix {name} or {other}"


def _counted(fit: CurveFit) -> tuple[Vector, Vector]:
    """Return the points that count: of weight above 0, with finite x."""
    counts = np.isfinite(fit.x)
    if fit.weights is not None:
        counts &= fit.weights > 0
    return fit.x[counts], fit.y[counts]


def _grid(fit: CurveFit, x: Vector) -> Vector:
    """Return inputs in and around the range of those given, within the domain.

    Parameters are among them: an ec50 or a midpoint may lie on a step that others miss.
    """
    if fit.curve.domain[0] >= 0:
        some = x[x > 0] if (x > 0).any() else np.ones(1)
        grid = np.geomspace(max(some.min() / 100, 1e-300), min(some.max() * 100, 1e300), _POINTS)
    else:
        reach = np.ptp(x)
        grid = np.linspace(x.min() - reach, x.max() + reach, _POINTS)
    natural = np.array(list(fit.params.values()))
    return np.append(grid, natural[(natural > grid[0]) & (natural < grid[-1])])


def _derivatives(fit: CurveFit, x: Vector) -> Vector:
    """Return the derivatives (n, p) of the curve by its parameters; 0 where they are not finite."""
    natural = np.array(list(fit.params.values()))
    try:
        slopes_of_chain = slopes_at(fit.curve, natural)
    except ParameterError:  # one has diverged to infinity, or to 0
        return np.zeros((x.size, natural.size))
    slopes = product(np.asarray(fit.chain.jacobian(x)), slopes_of_chain)
    positive = [name in fit.curve.positive for name in fit.curve.parameters]
    slopes = slopes / np.where(positive, natural, 1.0)  # by the parameter, not its logarithm
    return np.where(np.isfinite(slopes), slopes, 0.0)
