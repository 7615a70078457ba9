"""Pictures of the residuals of a fit; matplotlib is imported at the first call."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import t_quantile
from ..plot import import_matplotlib
from .influence import influence
from .plot import CURVE, DATA, MARK
from .result import CurveFit

__all__ = ["plot_influence", "plot_qq", "plot_residuals"]

Vector: TypeAlias = NDArray[np.float64]

_NAMED: Final = 3  # points whose number is written beside them


def plot_residuals(fit: CurveFit, ax: Any = None) -> Any:
    """Draw the standardized residuals over the fitted values.

    A pattern is a curve of the wrong shape; a scatter that widens asks for weights. The dotted
    lines are at -2 and 2, between which are about 95 % of normal residuals.

    Parameters
    ----------
    fit : CurveFit
        As for `influence`.
    ax : matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ParameterError
        As for `influence`.
    """
    found = influence(fit)
    ax = _axes(ax)
    value = np.asarray(fit(fit.x))
    ax.axhline(0.0, color=CURVE, linewidth=1.2)
    for end in (-2.0, 2.0):
        ax.axhline(end, color=CURVE, linewidth=0.9, linestyle=":")
    _draw_points(ax, value, found.standardized, np.abs(found.standardized))
    ax.set_xlabel("value of the curve")
    ax.set_ylabel("standardized residual")
    return ax


def plot_qq(fit: CurveFit, ax: Any = None) -> Any:
    """Draw the standardized residuals over the quantiles of the normal distribution.

    Normal errors are near the line. Ends that are further from 0 than the line are outliers, or
    errors with long tails.

    Parameters
    ----------
    fit, ax
        As for `plot_residuals`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError, ParameterError
        As for `plot_residuals`.

    Notes
    -----
    The quantile of the residual of rank i is that of the probability (i - a) / (n + 1 - 2 a), with
    a = 3/8 for up to 10 points, else 1/2: R's `ppoints`.
    """
    residuals = influence(fit).standardized
    kept = np.flatnonzero(~np.isnan(residuals))
    order = kept[np.argsort(residuals[kept], kind="stable")]
    n = len(order)
    a = 3.0 / 8.0 if n <= 10 else 0.5
    quantiles = np.full(len(residuals), np.nan)
    for rank, i in enumerate(order.tolist(), start=1):
        quantiles[i] = t_quantile((rank - a) / (n + 1.0 - 2.0 * a), math.inf)
    ax = _axes(ax)
    ax.axline((0.0, 0.0), slope=1.0, color=CURVE, linewidth=1.2)
    _draw_points(ax, quantiles, residuals, np.abs(residuals - quantiles))
    ax.set_xlabel("quantile of the normal distribution")
    ax.set_ylabel("standardized residual")
    return ax


def plot_influence(fit: CurveFit, ax: Any = None) -> Any:
    """Draw the standardized residuals over the leverage, with lines of equal Cook's distance.

    Points beyond the dashed lines, where the distance is above 0.5 or 1, move the curve most.

    Parameters
    ----------
    fit, ax
        As for `plot_residuals`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError, ParameterError
        As for `plot_residuals`.
    """
    found = influence(fit)
    ax = _axes(ax)
    ax.axhline(0.0, color=CURVE, linewidth=1.2)
    _draw_points(ax, found.leverage, found.standardized, found.cooks_distance)
    high = min(1.0, 1.1 * float(found.leverage.max()))
    low, top = ax.get_ylim()
    x = np.linspace(high / 200.0, high, 200)
    p = round(float(found.leverage.sum()))
    for distance in (0.5, 1.0):
        with np.errstate(divide="ignore"):
            y = np.sqrt(distance * p * (1.0 - x) / x)
        for sign in (1.0, -1.0):
            ax.plot(x, sign * y, color=MARK, linewidth=0.9, linestyle="--")
        ax.annotate(
            f"{distance:g}",
            (high, y[-1]),
            xytext=(3.0, 0.0),
            textcoords="offset points",
            color=MARK,
            va="center",
            annotation_clip=True,
        )
    ax.set_xlim(0.0, high)
    ax.set_ylim(min(low, -2.5), max(top, 2.5))
    ax.set_xlabel("leverage")
    ax.set_ylabel("standardized residual")
    return ax


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    return import_matplotlib("pyplot").subplots(figsize=(5.0, 4.0), layout="constrained")[1]


def _draw_points(ax: Any, x: Vector, y: Vector, size: Vector) -> None:
    """Draw points, and write the numbers of those of the largest size beside them."""
    ax.margins(0.08)
    ax.plot(x, y, "o", color=DATA, markersize=4.5)
    for i in np.argsort(-size, kind="stable")[:_NAMED].tolist():
        if not np.isnan(size[i]):
            ax.annotate(
                str(i),
                (x[i], y[i]),
                xytext=(5.0, 3.0),
                textcoords="offset points",
                fontsize="small",
                color=MARK,
            )
