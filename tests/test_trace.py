"""Traces: the numbers, and how they are printed."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import reference

if TYPE_CHECKING:
    from cbackprop._core import _Loss

NETWORK_1 = """\
A chain of 2 layers, input x = 0.5, target y = 1

Forward: z = w·a + b with the a of the line above, then a = act(z)
layer  act         w    b          z         a   act'(z)
    0  (input)                             0.5
    1  sigmoid   1.5  0.1       0.85  0.700567  0.209773
    2  sigmoid  -0.8  0.3  -0.260454  0.435252  0.245808

Loss: E = (a - y)² = 0.31894, ∂E/∂a = 2(a - y) = -1.1295

Backward: Δ = ∂E/∂a·act'(z), ∂E/∂w = Δ·a of the layer before, ∂E/∂b = Δ;
          the layer before has ∂E/∂a = Δ·w
layer     ∂E/∂a   act'(z)          Δ  a before      ∂E/∂w      ∂E/∂b
    2   -1.1295  0.245808  -0.277639  0.700567  -0.194505  -0.277639
    1  0.222111  0.209773  0.0465929       0.5  0.0232964  0.0465929

Gradient: [∂w1, ∂b1, ∂w2, ∂b2]
          [0.0232964, 0.0465929, -0.194505, -0.277639]"""


def network_1() -> cbp.Chain:
    return cbp.Chain([1.5, -0.8], [0.1, 0.3])


@pytest.mark.parametrize("loss", reference.LOSSES)
def test_numbers_are_the_twins(loss: _Loss) -> None:
    net = cbp.Chain([1.5, -0.8, 2.0], [0.1, 0.3, -0.2], ["tanh", "gelu", "sigmoid"])
    seen = net.trace(0.5, 0.25, loss=loss, loss_scale=0.125)
    walk = reference.trace(list(net.params), net.activations, 0.5, 0.25, loss=loss, scale=0.125)
    for name in ("z", "a", "slope", "delta", "gradient", "loss"):
        assert getattr(seen, name) == pytest.approx(getattr(walk, name), rel=1e-14), name
    assert (seen.x, seen.y, seen.loss_name, seen.loss_scale) == (0.5, 0.25, loss, 0.125)
    assert seen.activations == net.activations
    assert seen.gradient.dtype == np.float64


def test_trace_agrees_with_the_chain_to_the_last_bit() -> None:
    net = network_1()
    seen = net.trace(0.5, 1.0)
    loss, gradient = net.loss_and_gradient(0.5, 1.0)
    assert seen.loss == loss
    assert seen.gradient.tolist() == gradient.tolist()
    assert seen.a[-1] == net(0.5)
    hidden = 1 / (1 + math.exp(-0.85))
    out = 1 / (1 + math.exp(0.8 * hidden - 0.3))
    assert seen.a.tolist() == pytest.approx([hidden, out], rel=1e-15)
    assert loss == pytest.approx((out - 1.0) ** 2, rel=1e-14)


def test_trace_stays_when_the_chain_moves_on() -> None:
    net = network_1()
    seen = net.trace(0.5, 1.0)
    before = str(seen)
    net.step(0.5, 1.0, 0.5)
    assert not np.array_equal(net.params, network_1().params)
    assert str(seen) == before
    with pytest.raises(FrozenInstanceError):
        seen.loss = 0.0  # type: ignore[misc]


def test_network_1_is_printed_as_derived() -> None:
    assert str(network_1().trace(0.5, 1.0)) == NETWORK_1


def test_repr_is_one_short_line() -> None:
    shown = repr(network_1().trace(0.5, 1.0))
    assert shown.startswith("<Trace of 2 layers: x=0.5, y=1.0, squared loss=0.31894")
    assert repr(cbp.Chain([1.0], [0.0]).trace(0.5, 1.0)).startswith("<Trace of 1 layer: ")


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("log", "Δ = ∂E/∂z = a - y = -0.564748"),
        ("huber", "with s = 0.25, ∂E/∂a = -0.5"),
        ("soft_l1", "with s = 0.25, ∂E/∂a = -0.457205"),
        ("cauchy", "with s = 0.25, ∂E/∂a = -0.185071"),
    ],
)
def test_each_loss_is_named_by_its_formula(loss: _Loss, expected: str) -> None:
    text = str(network_1().trace(0.5, 1.0, loss=loss, loss_scale=0.25))
    assert expected in text
    assert "Loss: E = " in text


def test_huber_shows_the_part_that_counts() -> None:
    net = network_1()
    assert "E = (a - y)² = " in str(net.trace(0.5, 0.5, loss="huber", loss_scale=0.25))
    assert "E = 2s·|a - y| - s² = " in str(net.trace(0.5, 1.0, loss="huber", loss_scale=0.25))


@pytest.mark.parametrize("loss", reference.LOSSES)
def test_loss_fits_into_its_line(loss: _Loss) -> None:
    net = cbp.Chain([-1.23456e-200], [-1.23456e-200], "sigmoid")
    positive = dict.fromkeys(("poisson", "power", "box_cox"), 1.23456e150)
    target = (positive | {"log": 1.0, "binomial": 1.0}).get(loss, -1.23456e150)
    text = str(net.trace(-1.23456e-200, target, loss=loss, loss_scale=1.23456e-101))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("layers", [1, 3, 4, 20, 21, 1000])
def test_lines_are_at_most_100_wide(layers: int) -> None:
    rng = np.random.default_rng(layers)
    tiny = rng.normal(size=layers) * 10.0 ** -rng.integers(100, 300, layers)
    seen = cbp.Chain(tiny, -tiny, "leaky_relu").trace(-1.23456e-300, -1.23456e300)
    lines = str(seen).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 80
    assert ("  ..." in lines) == (layers > 20)


def test_long_chain_keeps_all_its_numbers() -> None:
    seen = cbp.Chain([0.5] * 1000, [0.25] * 1000, "tanh").trace(0.5, 1.0)
    assert len(seen.to_dict()["gradient"]) == 2000  # type: ignore[arg-type]
    assert "\n 1000  tanh " in str(seen)


def test_dict_survives_json() -> None:
    seen = network_1().trace(0.5, 1.0)
    back = json.loads(json.dumps(seen.to_dict(), allow_nan=False))
    assert back["gradient"] == seen.gradient.tolist()
    assert back["loss"] == seen.loss
    assert back["activations"] == ["sigmoid", "sigmoid"]


def test_dict_writes_what_json_has_no_number_for_as_text() -> None:
    seen = cbp.Chain([1.0, 2.0], [0.0, 5.0], ["log", "sigmoid"]).trace(0.0, float("nan"))
    back = json.loads(json.dumps(seen.to_dict(), allow_nan=False))
    assert back["a"] == ["-inf", 0.0]
    assert back["slope"] == ["inf", 0.0]
    assert back["y"] == back["loss"] == "nan"
    assert float(back["slope"][0]) == seen.slope[0]


class Cells(HTMLParser):
    """Counts tags and collects what stands in cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows = 0
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.rows += tag == "tr"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_one_closed_table() -> None:
    seen = network_1().trace(0.5, 1.0)
    cells = Cells()
    cells.feed(seen._repr_html_())
    assert cells.open == []
    assert cells.rows == 4
    assert "0.0232964" in cells.text
    assert "act'(z)" in cells.text


def test_html_escapes() -> None:
    seen = cbp.Chain([1.0], [0.0]).trace(0.5, 1.0)
    odd = type(seen)(**{**{f: getattr(seen, f) for f in seen.__slots__}, "activations": ("<b>",)})
    assert "<b>" not in odd._repr_html_()
    assert "<td>&lt;b&gt;</td>" in odd._repr_html_()


def test_pickle() -> None:
    seen = network_1().trace(0.5, 1.0)
    back = pickle.loads(pickle.dumps(seen))
    assert type(back) is cbp.Trace
    assert back.to_dict() == seen.to_dict()
    assert str(back) == NETWORK_1


def test_html_has_a_column_for_each_number_of_a_layer() -> None:
    cells = Cells()
    cells.feed(network_1().trace(0.5, 1.0)._repr_html_())
    heads = ["layer", "act", "w", "b", "z", "a", "act'(z)", "Δ", "∂E/∂w", "∂E/∂b"]
    second = ["2", "sigmoid", "-0.8", "0.3", "-0.260454", "0.435252", "0.245808"]
    second += ["-0.277639", "-0.194505", "-0.277639"]  # as NETWORK_1 has them
    assert [text for text in cells.text if text in heads] == heads
    assert cells.text[-10:] == second
