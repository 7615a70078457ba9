"""The forward and backward pass of one example, with every number shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from textwrap import fill
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .losses import LOSSES
from .reference import times

__all__ = ["Trace"]

Vector: TypeAlias = NDArray[np.float64]

# Longer chains are printed without their middle: this many layers at either end.
_SHOWN_WHOLE: Final = 20
_SHOWN_AT_ENDS: Final = 8
_GAP: Final = "..."


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Trace:
    """All numbers of one example's forward and backward pass, as returned by `Chain.trace`.

    ``print`` shows them in the order of a derivation by hand; a notebook shows a table. Both leave
    out the middle of a chain of more than 20 layers; the fields and `to_dict` have all layers.

    Attributes
    ----------
    x, y : float
        The input a(0) and the target.
    loss_name : str
        Name of the loss.
    activations : tuple of L str
        The activation of each layer.
    params : ndarray, shape (2L,)
        ``[w1, b1, ..., wL, bL]``.
    z, a, slope : ndarray, shape (L,)
        Pre-activation, activation and the activation's slope act'(z) of each layer.
    delta : ndarray, shape (L,)
        The error signals ∂E/∂z.
    gradient : ndarray, shape (2L,)
        ``[∂E/∂w1, ∂E/∂b1, ..., ∂E/∂wL, ∂E/∂bL]``.
    loss : float
        The loss E.
    loss_scale : float
        The scale s of robust losses; other losses ignore it.
    """

    x: float
    y: float
    loss_name: str
    activations: tuple[str, ...]
    params: Vector
    z: Vector
    a: Vector
    slope: Vector
    delta: Vector
    gradient: Vector
    loss: float
    loss_scale: float = 1.0

    def to_dict(self) -> dict[str, object]:
        """Return the fields as lists, numbers and strings, ready for `json.dumps`.

        JSON has no infinity and no NaN: such numbers become the strings "inf", "-inf" and "nan",
        which ``float`` converts back.

        Returns
        -------
        dict
            Names of the fields to their values.
        """
        return {
            "x": _plain(self.x),
            "y": _plain(self.y),
            "loss_name": self.loss_name,
            "loss_scale": _plain(self.loss_scale),
            "activations": list(self.activations),
            "params": [_plain(number) for number in self.params],
            "z": [_plain(number) for number in self.z],
            "a": [_plain(number) for number in self.a],
            "slope": [_plain(number) for number in self.slope],
            "delta": [_plain(number) for number in self.delta],
            "gradient": [_plain(number) for number in self.gradient],
            "loss": _plain(self.loss),
        }

    def __repr__(self) -> str:
        """Show the example and its loss."""
        return (
            f"<Trace of {_layers(len(self.activations))}: x={self.x!r}, y={self.y!r}, "
            f"{self.loss_name} loss={self.loss!r}>"
        )

    def __str__(self) -> str:
        """Print forward pass, loss, backward pass and gradient, at most 100 characters wide."""
        shown = _shown(len(self.activations))
        count = len(self.activations)
        return "\n".join(
            [
                f"A chain of {_layers(count)}, input x = {_number(self.x)}, "
                f"target y = {_number(self.y)}",
                "",
                "Forward: z = w·a + b with the a of the line above, then a = act(z)",
                *_aligned(
                    ("layer", "act", "w", "b", "z", "a", "act'(z)"),
                    ("0", "(input)", "", "", "", _number(self.x), ""),
                    *_rows(shown, self._forward_row),
                ),
                "",
                f"Loss: {self._loss_line()}",
                "",
                "Backward: Δ = ∂E/∂a·act'(z), ∂E/∂w = Δ·a of the layer before, ∂E/∂b = Δ;",
                "          the layer before has ∂E/∂a = Δ·w",
                *_aligned(
                    ("layer", "∂E/∂a", "act'(z)", "Δ", "a before", "∂E/∂w", "∂E/∂b"),
                    *_rows(reversed(shown), self._backward_row),
                    text_columns=0,
                ),
                "",
                "Gradient: [" + ", ".join(_names(count)) + "]",
                self._gradient_lines(shown),
            ]
        )

    def _repr_html_(self) -> str:
        """Show a table with a row for each layer."""
        heads = ("layer", "act", "w", "b", "z", "a", "act'(z)", "Δ", "∂E/∂w", "∂E/∂b")
        shown = _shown(len(self.activations))
        body = [
            ("0", "(input)", "", "", "", _number(self.x), "", "", "", ""),
            *_rows(shown, self._html_cells),
        ]
        caption = f"x = {_number(self.x)}, y = {_number(self.y)}. {self._loss_line()}"
        return "".join(
            [
                "<table>",
                f"<caption>{escape(caption)}</caption>",
                f"<thead>{_html_row('th', heads)}</thead>",
                "<tbody>",
                *(_html_row("td", cells) for cells in body),
                "</tbody></table>",
            ]
        )

    def _forward_row(self, k: int) -> tuple[str, ...]:
        w, b = self.params[2 * k], self.params[2 * k + 1]
        numbers = (w, b, self.z[k], self.a[k], self.slope[k])
        return (str(k + 1), self.activations[k], *map(_number, numbers))

    def _backward_row(self, k: int) -> tuple[str, ...]:
        arriving = self._arriving(k)
        before = self.a[k - 1] if k > 0 else self.x
        return (
            str(k + 1),
            "" if arriving is None else _number(arriving),
            "" if arriving is None else _number(self.slope[k]),
            *map(_number, (self.delta[k], before, *self._derivatives(k))),
        )

    def _html_cells(self, k: int) -> tuple[str, ...]:
        return (*self._forward_row(k), *map(_number, (self.delta[k], *self._derivatives(k))))

    def _derivatives(self, k: int) -> Vector:
        return self.gradient[2 * k : 2 * k + 2]

    def _arriving(self, k: int) -> float | None:
        """∂E/∂a of layer k + 1; None for the last layer with the log loss, which gives Δ itself."""
        if k + 1 < len(self.activations):
            return times(float(self.delta[k + 1]), float(self.params[2 * k + 2]))
        error_and_slope = LOSSES[self.loss_name].error_and_slope
        if error_and_slope is None:
            return None
        return error_and_slope(float(self.a[k]), self.y, self.loss_scale)[1]

    def _loss_line(self) -> str:
        quadratic = self.loss_name == "huber" and abs(self.a[-1] - self.y) <= self.loss_scale
        loss = LOSSES[self.loss_name]
        formula = LOSSES["squared"].formula if quadratic else loss.formula
        line = f"E = {formula} = {_number(self.loss)}"
        arriving = self._arriving(len(self.activations) - 1)
        if arriving is None:
            return f"{line}, Δ = ∂E/∂z = a - y = {_number(self.delta[-1])}"
        if self.loss_name == "squared":
            return f"{line}, ∂E/∂a = 2(a - y) = {_number(arriving)}"
        if loss.has_scale:
            line += f" with s = {_number(self.loss_scale)}"
        return f"{line}, ∂E/∂a = {_number(arriving)}"

    def _gradient_lines(self, shown: Sequence[int | None]) -> str:
        pairs = ([_GAP] if k is None else map(_number, self._derivatives(k)) for k in shown)
        listed = f"[{', '.join(chain.from_iterable(pairs))}]"
        indent = " " * len("Gradient: ")
        return fill(listed, 100, initial_indent=indent, subsequent_indent=f"{indent} ")


def _plain(number: float) -> float | str:
    """Return a Python float, or text for NaN and infinity, which JSON does not have."""
    number = float(number)
    return number if math.isfinite(number) else str(number)


def _number(number: float) -> str:
    return f"{number + 0.0:.6g}"  # + 0.0: -0.0 becomes 0.0


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _names(layers: int) -> list[str]:
    if layers > 3:
        return ["∂w1", "∂b1", _GAP, f"∂w{layers}", f"∂b{layers}"]
    return [f"∂{kind}{layer}" for layer in range(1, layers + 1) for kind in "wb"]


def _shown(layers: int) -> list[int | None]:
    """List the indices of the layers that are printed; None stands for those left out."""
    if layers <= _SHOWN_WHOLE:
        return list(range(layers))
    return [*range(_SHOWN_AT_ENDS), None, *range(layers - _SHOWN_AT_ENDS, layers)]


def _rows(
    shown: Iterable[int | None], row_of: Callable[[int], tuple[str, ...]]
) -> list[tuple[str, ...]]:
    return [(_GAP,) if k is None else row_of(k) for k in shown]


def _aligned(*rows: tuple[str, ...], text_columns: int = 1) -> list[str]:
    """Lines of columns, two spaces apart: first and numbers aligned right, text aligned left."""
    widths = [0] * max(map(len, rows))
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if 0 < column <= text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _html_row(tag: str, cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
