"""Pictures of fitted curves: data, curve and band, and the residuals below; and of assays.

They are drawn by `CurveFit.plot` and `Assay.plot`, which import matplotlib.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..plot import VERBATIM, import_matplotlib

if TYPE_CHECKING:
    from .curve import Curve
    from .potency import Assay
    from .result import CurveFit

__all__ = ["CURVE", "DATA", "MARK", "draw", "draw_assay"]

Vector: TypeAlias = NDArray[np.float64]

# Of Okabe and Ito's palette, which colour-blind readers can tell apart.
DATA: Final = "#000000"
CURVE: Final = "#0072B2"
MARK: Final = "#D55E00"
_GROUPS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_POINTS: Final = 400


def draw(fitted: CurveFit, ax: Any, *, residuals: bool) -> Any:
    """Draw the fit; see `CurveFit.plot`."""
    if ax is None:
        inches = (6.4, 5.6 if residuals else 4.4)
        ax = import_matplotlib("pyplot").subplots(figsize=inches, layout="constrained")[1]
    below = _divide(ax) if residuals else None
    place = _Axis(fitted.x, fitted.curve)
    _draw_curve(fitted, ax, place)
    ax.plot(place(fitted.x), fitted.y, "o", color=DATA, markersize=4.5, zorder=3, label="data")
    if "ec50" in fitted.params:
        _mark_middle(fitted, ax)
    ax.set_ylabel("y")
    for text in ax.legend(frameon=False).get_texts():
        text.set(**VERBATIM)
    place.dress(ax, named=below is None)
    if below is None:
        ax.set_xlabel("x")
        return ax
    below.axhline(0.0, color=CURVE, linewidth=1.2)
    residual = fitted.y - np.asarray(fitted(fitted.x))
    below.plot(place(fitted.x), residual, "o", color=DATA, markersize=4.5)
    below.set_ylabel("residual")
    below.set_xlabel("x")
    place.dress(below, named=True)
    return ax


def draw_assay(assay: Assay, ax: Any) -> Any:
    """Draw the preparations; see `Assay.plot`."""
    if ax is None:
        ax = import_matplotlib("pyplot").subplots(figsize=(6.4, 4.4), layout="constrained")[1]
    doses = np.concatenate([assay.fits[label].x for label in assay.fits])
    place = _Axis(doses, assay.fits.curve)
    x = place.inputs()
    x = x[x >= assay.fits.curve.domain[0]]
    for i, label in enumerate(assay.fits):
        common, apart = assay.fits[label], assay.apart[label]
        color = _GROUPS[i % len(_GROUPS)]
        ax.plot(place(common.x), common.y, "o", color=color, markersize=4.5)
        text = str(label)
        if label in assay.potencies:
            text += f", potency {assay[label].value:.4g}"
        ax.plot(x, common(x), color=color, linewidth=1.8, label=text)
        ax.plot(x, apart(x), color=color, linewidth=1.0, linestyle="--")
    place.dress(ax, named=True)
    ax.set_xlabel("log dose" if assay.model == "parallel_line" else "dose")
    ax.set_ylabel("response")
    for text in ax.legend(frameon=False).get_texts():
        text.set(**VERBATIM)
    return ax


def _divide(ax: Any) -> Any:
    """Divide the area of the Axes to get a panel of residuals below; the x axis is shared."""
    given = ax.get_subplotspec()
    if given is not None:
        upper, lower = given.subgridspec(2, 1, height_ratios=(3, 1), hspace=0.08)
        ax.set_subplotspec(upper)
        below = ax.figure.add_subplot(lower, sharex=ax)
    elif ax.get_axes_locator() is None:
        x, y, width, height = ax.get_position(original=True).bounds
        ax.set_position((x, y + 0.27 * height, width, 0.73 * height))
        below = ax.figure.add_axes((x, y, width, 0.24 * height), sharex=ax)
    else:
        raise ParameterError("ax: inset axes cannot be divided; expected ordinary axes")
    ax.tick_params(axis="x", which="both", labelbottom=False)
    return below


class _Axis:
    """Position of x in the picture; a dose of 0 that has no logarithm has a place at the left."""

    def __init__(self, x: Vector, curve: Curve) -> None:
        shown = x[x > (0.0 if curve.log_axis else -math.inf)]
        self.is_log = curve.log_axis and shown.size > 0
        self.control = 0.0 if self.is_log else -math.inf
        shown = shown if shown.size else np.zeros(1)
        self.low, self.high = float(shown.min()), float(shown.max())
        self.zero = self.low / 4.0 if self.is_log else self.low - 0.6
        self.has_zero = bool((x == self.control).any())

    def __call__(self, x: Vector) -> Vector:
        return np.where(x == self.control, self.zero, x)

    def inputs(self) -> Vector:
        """Return inputs over the whole width of the picture."""
        if self.is_log:
            low, high = self.low / 1.3, self.high * 1.3
            return np.geomspace(low, high, _POINTS)
        margin = 0.04 * (self.high - self.low or 1.0)
        return np.linspace(self.low - margin, self.high + margin, _POINTS)

    def dress(self, ax: Any, *, named: bool) -> None:
        """Set the scale of the axis, and label the place of 0."""
        if self.is_log:
            ax.set_xscale("log")
        if self.has_zero:
            between, left = self.zero + 0.3, self.zero - 0.2
            if self.is_log:
                between, left = self.zero * 2.0, self.zero / 1.5
            ax.axvline(between, color="#999999", linewidth=0.8, linestyle=":")
            ax.set_xlim(left, None)
        if self.has_zero and named:
            ax.annotate(
                "0" if self.is_log else "-inf",
                (self.zero, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(0.0, -4.0),
                textcoords="offset points",
                ha="center",
                va="top",
                annotation_clip=False,
            )


def _draw_curve(fitted: CurveFit, ax: Any, place: _Axis) -> None:
    low, high = fitted.curve.domain
    x = place.inputs()
    x = x[(x >= low) & (x <= high)]
    band = fitted.predict(x, "confidence")
    assert isinstance(band, tuple)
    if np.isfinite(band.low).any():
        ax.fill_between(
            x, band.low, band.high, color=CURVE, alpha=0.2, linewidth=0, label="95% confidence"
        )
    ax.plot(x, band.value, color=CURVE, linewidth=1.8, label=fitted.curve.name)


def _mark_middle(fitted: CurveFit, ax: Any) -> None:
    try:
        dose, _ = fitted.effective_dose(50.0)
    except ParameterError:  # a curve of a user's own, which may have no limits
        return
    value = float(np.asarray(fitted(dose)))
    ax.plot([dose], [value], "D", color=MARK, markersize=7, zorder=4, label=f"ED50 = {dose:.4g}")
    ax.axvline(dose, color=MARK, linewidth=0.9, linestyle="--")
