"""Pictures of a chain: one example's passes, its error signals by layer, the loss as a surface.

Every function draws on the given Axes, or on a new figure, and returns the Axes. matplotlib is
imported at the first call::

    import cbackprop as cbp
    from cbackprop import plot

    net = cbp.Chain([1.5, -0.8], [0.1, 0.3])
    plot.trace(net, 0.5, 1.0).figure.savefig("trace.svg")
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import LOSSES, Chain, no_such_name, real_array
from .errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from ._core import _Loss, _Number
    from .trace import Trace

__all__ = ["gradient_flow", "loss_surface", "trace"]

Vector: TypeAlias = NDArray[np.float64]
Axes: TypeAlias = Any  # matplotlib.axes.Axes; types are checked without matplotlib too
Span: TypeAlias = tuple[tuple[float, float], tuple[float, float]]

# Of Okabe and Ito's palette, which colour-blind readers can tell apart.
_FORWARD: Final = "#0072B2"
_BACKWARD: Final = "#D55E00"
_NOTE: Final = "#555555"

# For texts of the user: drawn literally, without mathtext or TeX.
VERBATIM: Final = {"parse_math": False, "usetex": False}

# `trace` is drawn in inches, with text of this size; on Axes of another size all is scaled.
_POINTS: Final = 9.0
_LETTER: Final = 0.6 * _POINTS / 72
_RADIUS: Final = 0.42
_MARGIN: Final = 0.85
_TOP: Final = 0.8
_BACK: Final = -1.42  # height of the backward pass; the forward pass is at 0
_BOX: Final = 0.25
_BOTTOM: Final = -2.05
_COLUMN: Final = 1.7  # from one node to the next, at least

# Longer chains are drawn with their middle left out.
_SHOWN_WHOLE: Final = 6
_SHOWN_FIRST: Final = 3
_SHOWN_LAST: Final = 2

_MOST_LINES: Final = 10
_TICKED_WHOLE: Final = 12  # layers; in longer chains not every layer has a tick
_GRID: Final = 80
_WIDEST: Final = 1e6  # largest over least level of a loss surface


def trace(
    net: Chain,
    x: _Number,
    y: _Number,
    *,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the chain with the numbers of one example's forward and backward pass.

    The forward pass is above: the input, each layer's weight and bias, pre-activation z and
    activation a, and the loss E. The backward pass is below: each layer's error signal Δ = ∂E/∂z
    and its derivatives ∂w = ∂E/∂w and ∂b = ∂E/∂b. Of a chain of more than six layers the first
    three and the last two are drawn.

    Parameters
    ----------
    net : Chain
    x, y : float
        Input and target.
    loss : str, default "squared"
        As for `Chain.loss`.
    loss_scale : float, default 1.0
        Residual at which a robust loss begins to grow more slowly; other losses ignore it.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure otherwise. The drawing is scaled to the current size of the
        Axes: text of 9 points needs 1.7 inches for each layer. The axis lines are hidden.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ParameterError
        If the loss is unknown, its scale not positive, or a target outside its range.
    ActivationError
        If the loss is "log" and the last activation not a sigmoid.
    InputTypeError
        If x or y is not one real number.
    ImportError
        If matplotlib is missing.
    """
    import_matplotlib()
    seen = net.trace(x, y, loss=loss, loss_scale=loss_scale)
    shown = _shown(net.layers)
    texts = {k: _Texts(seen, k) for k in shown if k is not None}
    box = _LETTER * max(len(text.delta) for text in texts.values()) + 0.15
    widest = max(len(line) for text in texts.values() for line in text.params.splitlines())
    column = max(_COLUMN, 2 * _RADIUS + _LETTER * widest + 0.05, box + 0.55)
    right = column * (len(shown) + 1)
    drawing = _Drawing(right, box, ax)

    drawing.node(0.0, "input", f"a0 = x = {_number(seen.x)}", _NOTE)
    drawing.write(0.0, _BACK, "∂w = Δ · a before\n∂b = Δ", va="center", color=_NOTE, small=True)
    for place, k in enumerate(shown, start=1):
        at = column * place
        drawing.arrow(at - column + _RADIUS, at - _RADIUS, 0.0, _FORWARD)
        after = at + column - (box / 2 if place < len(shown) else 0.0)
        drawing.arrow(after, at + box / 2, _BACK, _BACKWARD)
        if k is None:
            drawing.dots(at)
            continue
        drawing.write(at - column / 2, 0.08, texts[k].params, va="bottom")
        drawing.layer(at, k + 1, seen.activations[k], texts[k])
        drawing.write(at + column / 2, _BACK + 0.17, texts[k].factor, va="bottom", small=True)
    drawing.arrow(right - column + _RADIUS, right - _RADIUS, 0.0, _FORWARD)
    drawing.loss(right, seen)
    return drawing.ax


def gradient_flow(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the size of each layer's error signal Δ on a logarithmic axis, a line for each input.

    A line that falls towards layer 1 is the vanishing gradient, one that rises the exploding one.
    Where Δ is exactly 0 the line has a gap, marked by a triangle at the bottom.

    Parameters
    ----------
    net : Chain
    x, y : array_like
        Inputs and targets of the same shape. Of more than ten examples ten are drawn, at equal
        steps in the order of their inputs.
    loss : str, default "squared"
        As for `Chain.loss`.
    loss_scale : float, default 1.0
        Residual at which a robust loss begins to grow more slowly; other losses ignore it.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure otherwise. The legend is to the right of the Axes.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ShapeError
        If x and y differ in shape, or there is no example.
    ParameterError
        If the loss is unknown, its scale not positive, or a target outside its range.
    ActivationError
        If the loss is "log" and the last activation not a sigmoid.
    InputTypeError
        If x or y are not real numbers.
    ImportError
        If matplotlib is missing.
    """
    ticker, colormaps = import_matplotlib("ticker"), import_matplotlib().colormaps
    inputs, targets = real_array(x, "x"), real_array(y, "y")
    if inputs.shape != targets.shape:
        raise ShapeError(f"y: shape {targets.shape}, expected the shape {inputs.shape} of x")
    if inputs.size == 0:
        raise ShapeError("x: no example; expected at least one")
    order = np.argsort(inputs, axis=None, kind="stable")
    if order.size > _MOST_LINES:
        order = order[np.linspace(0, order.size - 1, _MOST_LINES).round().astype(int)]
    inputs, targets = inputs.ravel()[order], targets.ravel()[order]
    rows = net.gradients(inputs, targets, loss=loss, loss_scale=loss_scale)
    sizes = np.abs(rows[:, 1::2])  # ∂E/∂b = Δ
    with np.errstate(divide="ignore"):
        logs = np.log10(sizes)
    logs[~np.isfinite(logs)] = np.nan

    if ax is None:
        ax = _new_axes((7.2, 4.2))
    layers = np.arange(1, net.layers + 1)
    colors = colormaps["viridis"](np.linspace(0.0, 0.88, len(inputs)))
    for number, line, color, marker in zip(inputs, logs, colors, "os^Dvp*Xhd", strict=False):
        ax.plot(layers, line, color=color, marker=marker, ms=5, label=f"x = {_number(number)}")
    if np.any(sizes == 0.0):
        zeros = layers[np.any(sizes == 0.0, axis=0)]
        # The height is a fraction of the Axes, since 0 has no place on a logarithmic scale.
        at_bottom = {"transform": ax.get_xaxis_transform(), "clip_on": False, "zorder": 4}
        style = {"color": _BACKWARD, "marker": "v", "ms": 8, "linestyle": "none"}
        ax.plot(zeros, np.full(zeros.shape, 0.025), label="Δ = 0", **style, **at_bottom)
    ax.set_xlim(0.5, net.layers + 0.5)
    if net.layers <= _TICKED_WHOLE:
        ax.set_xticks(layers)
    else:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.set_xlabel("layer")
    ax.set_ylabel("log10 |Δ|")
    ax.grid(True, color="0.9")
    ax.set_axisbelow(True)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
    return ax


def loss_surface(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    *,
    span: Span | None = None,
    loss: _Loss = "squared",
    loss_scale: _Number = 1.0,
    path: ArrayLike | None = None,
    levels: int | np.integer = 30,
    ax: Axes | None = None,
) -> Axes:
    """Draw the averaged loss as a function of two parameters; the others are those of `net`.

    Levels are evenly spaced, or spaced by equal factors if the loss varies more than a hundredfold.
    Areas where it is not finite are white.

    Parameters
    ----------
    net : Chain
        Not changed.
    x, y : array_like
        Inputs and targets of the same shape.
    names : two of str
        The parameters along the horizontal and the vertical axis, such as ``("w1", "w2")``.
    span : ((low, high), (low, high)), optional
        Ranges of the two parameters; by default around the net's values and the path.
    loss : str, default "squared"
        As for `Chain.loss`.
    loss_scale : float, default 1.0
        Residual at which a robust loss begins to grow more slowly; other losses ignore it.
    path : array_like, shape (steps, 2L), optional
        The parameters after each step of a descent, drawn as a line with its start and end marked.
        If the descent changes the other parameters too, the loss along it differs from the surface.
    levels : int, default 30
        Number of levels, at least 2.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure otherwise. The colour bar takes a part of its area.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ShapeError
        If x and y differ in shape or are empty, or `names`, `span` or `path` has another shape.
    ParameterError
        If a name is not a parameter or given twice, `span` is not finite or not from low to high,
        `levels` is less than 2, the loss is unknown, or it is finite nowhere.
    ActivationError
        If the loss is "log" and the last activation not a sigmoid.
    InputTypeError
        If x, y or the path are not real numbers.
    ImportError
        If matplotlib is missing.
    """
    matplotlib_colors, ticker = import_matplotlib("colors"), import_matplotlib("ticker")
    first, second = _two_parameters(net, names)
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or levels < 2:
        raise ParameterError(f"levels: {levels!r}; expected an integer of 2 or more")
    steps = None if path is None else _steps(net, path)[:, [first, second]]
    ends = _around(net.params[[first, second]], steps) if span is None else _ends(span)

    inputs, targets = real_array(x, "x"), real_array(y, "y")
    moved = net.copy()
    across, up = (np.linspace(low, high, _GRID) for low, high in ends)
    losses = np.empty((_GRID, _GRID))
    for row, vertical in enumerate(up):
        moved.params[second] = vertical
        for place, horizontal in enumerate(across):
            moved.params[first] = horizontal
            losses[row, place] = moved.loss(inputs, targets, loss=loss, loss_scale=loss_scale)
    finite = losses[np.isfinite(losses)]
    if finite.size == 0:
        raise ParameterError("loss: finite nowhere in this span")
    edges, by_factors = _levels(float(finite.min()), float(finite.max()), int(levels))
    norm = (matplotlib_colors.LogNorm if by_factors else matplotlib_colors.Normalize)(
        edges[0], edges[-1]
    )
    ticks = ticker.LogLocator() if by_factors else ticker.MaxNLocator(8)

    if ax is None:
        ax = _new_axes((6.4, 4.8))
    masked = np.ma.masked_invalid(losses).clip(edges[0], edges[-1])
    filled = ax.contourf(across, up, masked, levels=edges, norm=norm, cmap="viridis")
    ax.contour(across, up, masked, levels=edges[1:-1], colors="white", linewidths=0.4, alpha=0.5)
    ax.figure.colorbar(filled, ax=ax, label=f"averaged loss ({loss})", ticks=ticks, format="%.4g")
    if steps is None:
        _mark(ax, net.params[[first, second]], "the chain", above=True, marker="X", ms=10)
    else:
        ax.plot(*steps.T, color="black", linewidth=3.4)
        ax.plot(*steps.T, color=_BACKWARD, linewidth=1.8, marker=".", ms=4)
        _mark(ax, steps[0], "start", above=False, marker="o", ms=9)
        _mark(ax, steps[-1], "end", above=True, marker="*", ms=15)
    ax.set_xlim(*ends[0])
    ax.set_ylim(*ends[1])
    ax.set_xlabel(str(names[0]))
    ax.set_ylabel(str(names[1]))
    return ax


# ---- matplotlib --------------------------------------------------------------------------------


def import_matplotlib(submodule: str = "") -> Any:
    try:
        return import_module(f"matplotlib.{submodule}" if submodule else "matplotlib")
    except ImportError as error:
        raise ImportError(
            "cbackprop.plot needs matplotlib: pip install 'cbackprop[plot]'"
        ) from error


def _new_axes(inches: tuple[float, float]) -> Axes:
    return import_matplotlib("pyplot").subplots(figsize=inches, layout="constrained")[1]


def _mark(ax: Axes, at: Vector, name: str, above: bool, **marker: Any) -> None:
    """Mark a point and write its name beside it, unless the point is outside the Axes."""
    style = {"color": "white", "markeredgecolor": "black", "linestyle": "none", "zorder": 4}
    ax.plot(*at[:, np.newaxis], **style, **marker)
    ax.annotate(
        name,
        at,
        xytext=(0, 10 if above else -10),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        annotation_clip=True,
    )


# ---- a trace: its shapes and its texts ---------------------------------------------------------


class _Drawing:
    """The shapes of a trace, in inches, on Axes that are scaled to contain them all."""

    def __init__(self, right: float, box: float, ax: Axes | None) -> None:
        self._patches = import_matplotlib("patches")
        self._box = box
        width, height = right + 2 * _MARGIN, _TOP - _BOTTOM
        if ax is None:
            ax = _new_axes((width, height))
            self._scale = 1.0
        else:
            extent = ax.get_window_extent()
            self._scale = min(extent.width / width, extent.height / height) / ax.figure.dpi
        ax.set_axis_off()
        ax.set_aspect("equal")
        ax.set_xlim(-_MARGIN, right + _MARGIN)
        ax.set_ylim(_BOTTOM, _TOP)
        self.ax = ax

    def write(self, at: float, y: float, text: str, small: bool = False, **style: Any) -> None:
        size = (_POINTS - 1 if small else _POINTS) * self._scale
        self.ax.text(at, y, text, **{"ha": "center", "va": "top", "size": size, **style})

    def arrow(self, start: float, end: float, y: float, color: str) -> None:
        look = {"arrowstyle": "-|>", "mutation_scale": 12 * self._scale, "shrinkA": 0, "shrinkB": 0}
        line = {"color": color, "linewidth": 1.6 * self._scale}
        self.ax.add_patch(self._patches.FancyArrowPatch((start, y), (end, y), **look, **line))

    def node(self, at: float, name: str, below: str, color: str) -> None:
        line = {"facecolor": "white", "edgecolor": color, "linewidth": 1.8 * self._scale}
        self.ax.add_patch(self._patches.Circle((at, 0.0), _RADIUS, **line))
        self.write(at, 0.0, name, va="center", small=True)
        self.write(at, -_RADIUS - 0.07, below)

    def layer(self, at: float, number: int, activation: str, text: _Texts) -> None:
        self.write(at, _RADIUS + 0.07, f"layer {number}", va="bottom", weight="bold")
        self.node(at, activation, text.forward, _FORWARD)
        corner = (at - self._box / 2, _BACK - _BOX / 2)
        line = {"facecolor": "white", "edgecolor": _BACKWARD, "linewidth": 1.2 * self._scale}
        self.ax.add_patch(self._patches.Rectangle(corner, self._box, _BOX, **line))
        self.write(at, _BACK, text.delta, va="center")
        self.write(at, _BACK - _BOX / 2 - 0.06, text.gradient)

    def dots(self, at: float) -> None:
        for y in (0.0, _BACK):
            self.write(at, y, "· · ·", va="center", weight="bold")

    def loss(self, at: float, seen: Trace) -> None:
        self.write(at, _RADIUS + 0.07, f"target y = {_number(seen.y)}", va="bottom")
        self.node(at, seen.loss_name, f"E = {_number(seen.loss)}", _BACKWARD)
        line = {"color": _BACKWARD, "linewidth": 1.6 * self._scale}
        self.ax.plot([at, at], [-_RADIUS - 0.3, _BACK], solid_capstyle="projecting", **line)


class _Texts:
    """The texts at layer k + 1."""

    def __init__(self, seen: Trace, k: int) -> None:
        layer = k + 1
        w, b = map(_number, seen.params[2 * k : 2 * k + 2])
        dw, db = map(_number, seen.gradient[2 * k : 2 * k + 2])
        self.params = f"w{layer} = {w}\nb{layer} = {b}"
        self.forward = f"z{layer} = {_number(seen.z[k])}\na{layer} = {_number(seen.a[k])}"
        self.delta = f"Δ{layer} = {_number(seen.delta[k])}"
        self.gradient = f"∂w{layer} = {dw}\n∂b{layer} = {db}"
        self.factor = _factor(seen, layer)


def _factor(seen: Trace, layer: int) -> str:
    """Write the factor by which the backward pass multiplies to get the layer's Δ."""
    if layer < len(seen.activations):
        return f"× w{layer + 1} act'(z{layer})"
    if LOSSES[seen.loss_name].needs_sigmoid:
        return f"a{layer} − y"
    change = f"2(a{layer} − y)" if seen.loss_name == "squared" else f"∂E/∂a{layer}"
    return f"{change} act'(z{layer})"


def _number(number: float) -> str:
    return f"{number + 0.0:.4g}"  # + 0.0: -0.0 becomes 0.0


def _shown(layers: int) -> list[int | None]:
    """List the indices of the layers that are drawn; None stands for those left out."""
    if layers <= _SHOWN_WHOLE:
        return list(range(layers))
    return [*range(_SHOWN_FIRST), None, *range(layers - _SHOWN_LAST, layers)]


# ---- the arguments and levels of a loss surface ------------------------------------------------


def _two_parameters(net: Chain, names: Sequence[str]) -> tuple[int, int]:
    """Find the positions of the two names in params."""
    if np.shape(names) != (2,):
        raise ShapeError(f"names: {names!r}; expected two parameters, such as ('w1', 'w2')")
    known = net.param_names
    for name in names:
        if name not in known:
            raise ParameterError(f"names: {name!r} is not a parameter; {no_such_name(name, known)}")
    if names[0] == names[1]:
        raise ParameterError(f"names: {names[0]!r} twice; expected two different parameters")
    return known.index(names[0]), known.index(names[1])


def _steps(net: Chain, path: ArrayLike) -> Vector:
    steps = real_array(path, "path")
    if steps.ndim != 2 or steps.shape[0] == 0 or steps.shape[1] != 2 * net.layers:
        raise ShapeError(f"path: shape {steps.shape}, expected (steps, {2 * net.layers})")
    return steps


def _ends(span: Span) -> Vector:
    ends = real_array(span, "span")
    if ends.shape != (2, 2):
        raise ShapeError(f"span: shape {ends.shape}, expected ((low, high), (low, high))")
    if not (np.all(np.isfinite(ends)) and np.all(ends[:, 0] < ends[:, 1])):
        raise ParameterError(f"span: {span!r}; expected finite numbers with low < high")
    return ends


def _around(at: Vector, steps: Vector | None) -> Vector:
    """Choose ranges of both parameters that contain the net's values and the path."""
    room = np.maximum(2.0, np.abs(at))
    if steps is None:
        return np.stack([at - room, at + room], axis=1)
    inside = np.vstack([at, steps[np.all(np.isfinite(steps), axis=1)]])
    low, high = inside.min(axis=0), inside.max(axis=0)
    room = np.where(high > low, np.maximum(0.35 * (high - low), 0.05 * room), room)
    return np.stack([low - room, high + room], axis=1)


def _levels(least: float, most: float, count: int) -> tuple[Vector, bool]:
    """Increasing levels from the least loss to the greatest, and whether by equal factors."""
    if not most - least > 1e-12 * abs(most):
        room = 0.5 * abs(least) or 0.5
        return np.array([least - room, least + room]), False
    if least >= 0.0 and most > max(100.0 * least, 1e-300):
        return np.geomspace(max(least, most / _WIDEST), most, count), True
    return np.linspace(least, most, count), False
