"""Pictures: what is drawn is what the chain says."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from cbackprop import plot, reference  # noqa: E402

INPUTS = np.linspace(-2.0, 2.0, 5)
TARGETS = np.full(5, 0.75)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    settings = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == settings


def network_1() -> cbp.Chain:
    return cbp.Chain([1.5, -0.8], [0.1, 0.3])


def lines_of(ax: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in ax.lines}


def texts_of(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


CALLS = {
    "trace": lambda net, **options: plot.trace(net, 0.5, 1.0, **options),
    "gradient_flow": lambda net, **options: plot.gradient_flow(net, INPUTS, TARGETS, **options),
    "loss_surface": lambda net, **options: plot.loss_surface(
        net, INPUTS, TARGETS, ("w1", "w2"), **options
    ),
}
each_picture = pytest.mark.parametrize("draw", CALLS.values(), ids=CALLS)

# ---- all of them -------------------------------------------------------------------------------


@pytest.mark.thread_unsafe(reason="pyplot's figures are everybody's")
@each_picture
def test_a_new_figure_or_the_axes_given(draw: Any) -> None:
    new = draw(network_1())
    assert plt.get_fignums() == [new.figure.number]
    _, given = plt.subplots(layout="constrained")
    before = plt.get_fignums()
    assert draw(network_1(), ax=given) is given
    assert plt.get_fignums() == before


@each_picture
def test_axes_of_a_subfigure(draw: Any) -> None:
    figure = plt.figure(layout="constrained")
    given = figure.subfigures(1, 2, squeeze=False)[0, 0].subplots()
    assert draw(network_1(), ax=given) is given
    figure.canvas.draw()


@each_picture
def test_the_chain_is_not_changed(draw: Any) -> None:
    net = network_1()
    draw(net)
    assert net == network_1()


@each_picture
def test_errors_are_the_chains_and_leave_no_figure(draw: Any) -> None:
    with pytest.raises(cbp.ParameterError, match="'squard' is not a loss"):
        draw(network_1(), loss="squard")
    with pytest.raises(cbp.ParameterError, match="loss_scale"):
        draw(network_1(), loss="huber", loss_scale=-1.0)
    with pytest.raises(cbp.ActivationError):
        draw(cbp.Chain([1.0, 1.0], [0.0, 0.0], "tanh"), loss="log")
    assert plt.get_fignums() == []


def test_matplotlib_is_imported_by_the_first_call_only() -> None:
    code = "import sys, cbackprop, cbackprop.plot; print('matplotlib' in sys.modules)"
    assert run(code).strip() == "False"


@pytest.mark.parametrize(
    "call", ["trace(net, 1, 1)", "gradient_flow(net, 1, 1)", "loss_surface(net, 1, 1, 'wb')"]
)
def test_a_missing_matplotlib_is_named_with_its_command(call: str) -> None:
    said = run(
        "import sys; sys.modules['matplotlib'] = None\n"
        "import cbackprop; from cbackprop import plot\n"
        "net = cbackprop.Chain([1.0], [0.0])\n"
        f"try: plot.{call}\n"
        "except ImportError as error: print(error)"
    )
    assert said.strip() == "cbackprop.plot needs matplotlib: pip install 'cbackprop[plot]'"


# ---- trace -------------------------------------------------------------------------------------


def test_trace_writes_the_numbers() -> None:
    assert texts_of(plot.trace(network_1(), 0.5, 1.0)) == [
        "input",
        "a0 = x = 0.5",
        "∂w = Δ · a before\n∂b = Δ",
        "w1 = 1.5\nb1 = 0.1",
        "layer 1",
        "sigmoid",
        "z1 = 0.85\na1 = 0.7006",
        "Δ1 = 0.04659",
        "∂w1 = 0.0233\n∂b1 = 0.04659",
        "× w2 act'(z1)",
        "w2 = -0.8\nb2 = 0.3",
        "layer 2",
        "sigmoid",
        "z2 = -0.2605\na2 = 0.4353",
        "Δ2 = -0.2776",
        "∂w2 = -0.1945\n∂b2 = -0.2776",
        "2(a2 − y) act'(z2)",
        "target y = 1",
        "squared",
        "E = 0.3189",
    ]


@pytest.mark.parametrize(
    ("loss", "factor"), [("log", "a2 − y"), ("huber", "∂E/∂a2 act'(z2)")], ids=["log", "huber"]
)
def test_trace_says_how_the_last_error_signal_comes(loss: Any, factor: str) -> None:
    texts = texts_of(plot.trace(network_1(), 0.5, 1.0, loss=loss))
    assert factor in texts
    assert loss in texts


@pytest.mark.parametrize("layers", [1, 6, 7, 12])
def test_trace_leaves_out_the_middle_of_a_long_chain(layers: int) -> None:
    texts = texts_of(plot.trace(cbp.Chain.random(layers, "tanh", rng=1), 0.5, 1.0))
    drawn = [text for text in texts if text.startswith("layer ")]
    kept = range(1, layers + 1) if layers <= 6 else [1, 2, 3, layers - 1, layers]
    assert drawn == [f"layer {layer}" for layer in kept]
    assert texts.count("· · ·") == (2 if layers > 6 else 0)


HARD = {
    "network 1": network_1(),
    "one layer": cbp.Chain([2.0], [0.0]),
    "deep": cbp.Chain.random(12, "sigmoid", rng=1),
    "long numbers": cbp.Chain(
        [-1.23456e-107, -123456.7, -3.33333e-5], [-1.23456e-5, 1e-5, 2.0], "log_sigmoid"
    ),
}


@pytest.mark.parametrize("net", HARD.values(), ids=HARD)
@pytest.mark.parametrize("inches", [None, (9.0, 4.0)], ids=["new", "given"])
def test_texts_of_a_trace_overlap_no_other_and_are_not_cut_off(
    net: cbp.Chain, inches: tuple[float, float] | None
) -> None:
    ax = None if inches is None else plt.subplots(figsize=inches)[1]
    ax = plot.trace(net, 0.5, 1.0, ax=ax)
    ax.figure.canvas.draw()
    boxes = {text: text.get_window_extent() for text in ax.texts}
    whole = ax.figure.bbox
    for text, box in boxes.items():
        name = text.get_text()
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1, name
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1, name
        for other, its_box in boxes.items():
            assert text is other or not box.overlaps(its_box), (name, other.get_text())


def test_trace_takes_one_example() -> None:
    with pytest.raises(cbp.InputTypeError, match="x: expected one number"):
        plot.trace(network_1(), [0.5, 1.0], 1.0)  # type: ignore[arg-type]
    assert "z1 = nan\na1 = nan" in texts_of(plot.trace(network_1(), np.nan, 1.0))


# ---- gradient_flow -----------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [(), ("w1", "b2")], ids=["free", "frozen"])
def test_gradient_flow_draws_the_error_signals(frozen: tuple[str, ...]) -> None:
    net = cbp.Chain([1.5, -0.8, 2.0], [0.1, 0.3, -0.2], ["tanh", "gelu", "sigmoid"], frozen)
    lines = lines_of(plot.gradient_flow(net, INPUTS, TARGETS, loss="log"))
    assert list(lines) == ["x = -2", "x = -1", "x = 0", "x = 1", "x = 2"]
    for x, line in zip(INPUTS, lines.values(), strict=True):
        walk = reference.trace(list(net.params), net.activations, x, 0.75, loss="log")
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert line.get_ydata() == pytest.approx(np.log10(np.abs(walk.delta)), rel=1e-12)


def test_gradient_flow_marks_exact_zeros() -> None:
    net = cbp.Chain([1.0, 1.0, 2.0], [0.0, 0.0, 0.0], ["identity", "relu", "identity"])
    ax = plot.gradient_flow(net, [-1.0, 1.0], [1.0, 1.0])
    lines = lines_of(ax)
    assert np.isnan(lines["x = -1"].get_ydata()).tolist() == [True, True, False]
    assert np.isfinite(lines["x = 1"].get_ydata()).all()
    assert lines["Δ = 0"].get_xdata().tolist() == [1, 2]
    assert ax.transAxes.inverted().transform(lines["Δ = 0"].get_window_extent())[0, 1] < 0.1


def test_gradient_flow_without_any_number() -> None:
    net = cbp.Chain([1.0, 1.0], [0.0, 0.0], "relu")
    assert "Δ = 0" in lines_of(plot.gradient_flow(net, -1.0, 1.0))
    ax = plot.gradient_flow(net, np.nan, 1.0)
    ax.figure.canvas.draw()
    assert np.isnan(lines_of(ax)["x = nan"].get_ydata()).all()


def test_gradient_flow_draws_ten_of_many_inputs_in_their_order() -> None:
    x = np.random.default_rng(3).permutation(np.arange(91.0)).reshape(7, 13)
    lines = lines_of(plot.gradient_flow(network_1(), x, np.ones_like(x)))
    assert list(lines) == [f"x = {10 * k}" for k in range(10)]


def test_gradient_flow_has_a_tick_for_each_layer() -> None:
    ax = plot.gradient_flow(network_1(), 0.5, 1.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "log10 |Δ|")
    assert ax.get_xticks().tolist() == [1, 2]
    many = plot.gradient_flow(cbp.Chain.random(50, "tanh", rng=0), 0.5, 1.0)
    assert len(many.get_xticks()) < 15


def test_gradient_flow_refuses_other_shapes() -> None:
    with pytest.raises(cbp.ShapeError, match=r"y: shape \(3,\), expected the shape \(2,\) of x"):
        plot.gradient_flow(network_1(), [1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(cbp.ShapeError, match="x: no example"):
        plot.gradient_flow(network_1(), [], [])
    with pytest.raises(cbp.InputTypeError, match="y: expected real numbers"):
        plot.gradient_flow(network_1(), [1.0], ["a"])


# ---- loss_surface ------------------------------------------------------------------------------


def surface(net: cbp.Chain, *names: str, **options: Any) -> Any:
    return plot.loss_surface(net, INPUTS, TARGETS, names, **options)


def test_loss_surface_draws_the_averaged_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ax = plt.subplots()
    seen: list[Any] = []
    contourf = ax.contourf

    def listen(*values: Any, **style: Any) -> Any:
        seen.extend(values)
        return contourf(*values, **style)

    monkeypatch.setattr(ax, "contourf", listen)
    surface(network_1(), "b2", "w1", span=((-1, 1), (0, 3)), loss="huber", loss_scale=0.1, ax=ax)
    across, up, losses = seen
    assert (across[0], across[-1], up[0], up[-1]) == (-1, 1, 0, 3)
    for row, column in [(0, 0), (79, 3), (40, 61)]:
        hidden = 1 / (1 + np.exp(-(up[row] * INPUTS + 0.1)))
        far = np.abs(1 / (1 + np.exp(0.8 * hidden - across[column])) - TARGETS)
        terms = np.where(far <= 0.1, far**2, 0.2 * far - 0.01)  # s = 0.1
        assert losses[row, column] == pytest.approx(terms.mean(), rel=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("b2", "w1")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (0, 3))
    assert ax.figure.axes[1].get_ylabel() == "averaged loss (huber)"


def test_loss_surface_is_around_the_chain() -> None:
    ax = surface(cbp.Chain([1.5, -8.0], [0.1, 0.3], frozen="w2"), "w1", "w2")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 3.5), (-16, 0))
    assert texts_of(ax) == ["the chain"]
    assert ax.lines[0].get_xydata().tolist() == [[1.5, -8.0]]


def test_loss_surface_draws_a_path_with_its_ends_inside() -> None:
    net = network_1()
    path = [net.params.copy()]
    for _ in range(20):
        net.step(INPUTS, TARGETS, 1.0)
        path.append(net.params.copy())
    ax = surface(network_1(), "b1", "w2", path=path)
    expected = np.array(path)[:, [1, 2]]
    drawn = [line.get_xydata() for line in ax.lines]
    assert [len(points) for points in drawn] == [21, 21, 1, 1]
    assert drawn[0].tolist() == drawn[1].tolist() == expected.tolist()
    assert [drawn[2][0].tolist(), drawn[3][0].tolist()] == expected[[0, -1]].tolist()
    assert texts_of(ax) == ["start", "end"]
    for limits, values in zip((ax.get_xlim(), ax.get_ylim()), expected.T, strict=True):
        assert limits[0] < values.min() < values.max() < limits[1]


def test_loss_surface_of_a_path_that_diverged_or_stood_still() -> None:
    net = network_1()
    path = np.array([net.params, [np.inf, 0.0, np.nan, 0.0]])
    ax = surface(net, "w1", "w2", path=path)
    ax.figure.canvas.draw()
    assert np.isfinite([ax.get_xlim(), ax.get_ylim()]).all()
    ax = surface(net, "w1", "w2", path=path[:1])
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 3.5), (-2.8, 1.2))


def test_loss_surface_where_the_loss_is_flat_or_not_finite() -> None:
    dead = cbp.Chain([1.0, 1.0], [0.0, -9.0], "relu")
    ax = surface(dead, "w1", "w2", span=((0, 1), (0, 1)))
    ax.figure.canvas.draw()
    levels = ax.collections[0].levels
    assert levels[0] <= 0.75**2 <= levels[-1]  # the loss everywhere
    half = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["identity", "log"])
    ax = plot.loss_surface(half, [1.0], [1.0], ("w1", "w2"))
    ax.figure.canvas.draw()
    assert np.isfinite(ax.collections[0].levels).all()
    with pytest.raises(cbp.ParameterError, match="finite nowhere"):
        plot.loss_surface(half, [1.0], [1.0], ("w1", "w2"), span=((-2, -1), (1, 2)))


@pytest.mark.parametrize("levels", [2, 30, np.int64(7)])
def test_loss_surface_has_as_many_levels_as_asked(levels: int) -> None:
    filled, lines = surface(network_1(), "w1", "w2", levels=levels).collections
    assert len(filled.levels) == levels
    assert lines.levels.tolist() == filled.levels[1:-1].tolist()  # one between two colours


@pytest.mark.parametrize(
    ("most", "expected"),
    [(5.0, np.linspace(1.0, 100.0, 30)), (6.0, np.geomspace(1.0, 144.0, 30))],
    ids=["a hundredfold", "more"],
)
def test_loss_surface_spaces_levels_by_factors_beyond_a_hundredfold(
    most: float, expected: np.ndarray
) -> None:
    net = cbp.Chain([1.0, 1.0], [0.0, 0.0], "identity")  # the loss is (w1 w2)^2
    span = ((1.0, 2.0), (1.0, most))
    ax = plot.loss_surface(net, [1.0], [0.0], ("w1", "w2"), span=span)
    assert ax.collections[0].levels == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"names": ("w1", "w3")}, cbp.ParameterError, "names: 'w3' is not a parameter"),
        ({"names": ("W1", "w2")}, cbp.ParameterError, "did you mean 'w1'"),
        ({"names": ("w1", "w1")}, cbp.ParameterError, "names: 'w1' twice"),
        ({"names": ("w1",)}, cbp.ShapeError, "expected two parameters"),
        ({"names": "w1"}, cbp.ShapeError, "expected two parameters"),
        ({"names": None}, cbp.ShapeError, "expected two parameters"),
        ({"span": (0, 1)}, cbp.ShapeError, r"span: shape \(2,\)"),
        ({"span": ((0, 1), (1, 1))}, cbp.ParameterError, "low < high"),
        ({"span": ((0, np.inf), (0, 1))}, cbp.ParameterError, "finite"),
        ({"path": [1.0, 2.0, 3.0, 4.0]}, cbp.ShapeError, r"path: shape \(4,\), .*\(steps, 4\)"),
        ({"path": np.ones((3, 2))}, cbp.ShapeError, r"path: shape \(3, 2\)"),
        ({"path": np.ones((0, 4))}, cbp.ShapeError, r"path: shape \(0, 4\)"),
        ({"path": "down"}, cbp.InputTypeError, "path: expected real numbers"),
        ({"levels": 1}, cbp.ParameterError, "levels: 1"),
        ({"levels": 3.5}, cbp.ParameterError, "levels: 3.5"),
        ({"levels": True}, cbp.ParameterError, "levels: True"),
        ({"x": ["a"], "y": [1.0]}, cbp.InputTypeError, "^x: expected real numbers"),
        ({"x": [1.0], "y": ["a"]}, cbp.InputTypeError, "^y: expected real numbers"),
        ({"x": [1.0]}, cbp.ShapeError, "y: shape"),
        ({"x": [], "y": []}, cbp.ShapeError, "at least one example"),
    ],
)
def test_loss_surface_says_what_is_wrong(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    given = {"x": INPUTS, "y": TARGETS, "names": ("w1", "w2"), **options}
    with pytest.raises(error, match=words):
        plot.loss_surface(network_1(), **given)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("layers", [13, 14, 17, 23])
def test_ticks_of_a_long_chain_are_at_layers(layers: int) -> None:
    ax = plot.gradient_flow(cbp.Chain([1.0] * layers, [0.0] * layers, "tanh"), 0.5, 1.0)
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


@pytest.mark.parametrize("layers", [1, 2, 6, 7])
def test_arrows_of_a_trace_lead_from_one_shape_to_the_next(layers: int) -> None:
    ax = plot.trace(cbp.Chain([1.0] * layers, [0.0] * layers, "tanh"), 0.5, 1.0)
    patches = ax.patches
    nodes = [p.center[0] for p in patches if type(p).__name__ == "Circle"]
    (radius,) = {p.radius for p in patches if type(p).__name__ == "Circle"}
    boxes = [(p.get_x(), p.get_x() + p.get_width()) for p in patches if hasattr(p, "get_x")]
    if layers == 7:  # where the dots are is a shape as well
        nodes.insert(4, (nodes[3] + nodes[4]) / 2)
        half = (boxes[0][1] - boxes[0][0]) / 2
        boxes.insert(3, (nodes[4] - half, nodes[4] + half))
    arrows = [p._posA_posB for p in patches if hasattr(p, "_posA_posB")]
    forward = [(a[0], b[0]) for a, b in arrows if a[1] == b[1] == 0.0]
    back = [(a[0], b[0]) for a, b in arrows if a[1] == b[1] < 0.0]
    assert len(forward) + len(back) == len(arrows)
    expected = [(a + radius, b - radius) for a, b in itertools.pairwise(nodes)]
    np.testing.assert_allclose(forward, expected, atol=1e-9)
    # from beneath the loss, down and to the last box, and from box to box
    ((down, (top, bottom)),) = [line.get_data() for line in ax.lines]
    assert list(down) == pytest.approx([nodes[-1], nodes[-1]])
    assert bottom == arrows[1][0][1] < top < -radius
    starts = [start for start, _ in boxes[1:]] + [nodes[-1]]
    np.testing.assert_allclose(
        back, [(start, end) for start, (_, end) in zip(starts, boxes, strict=True)], atol=1e-9
    )


def test_texts_of_a_trace_stand_at_what_they_belong_to() -> None:
    ax = plot.trace(network_1(), 0.5, 1.0)
    start, first, second, end = (p.center[0] for p in ax.patches if type(p).__name__ == "Circle")
    places = {text.get_text(): text.get_position() for text in ax.texts}
    expected = {
        "a0 = x = 0.5": start,
        "w1 = 1.5\nb1 = 0.1": (start + first) / 2,
        "layer 1": first,
        "z1 = 0.85\na1 = 0.7006": first,
        "Δ1 = 0.04659": first,
        "∂w1 = 0.0233\n∂b1 = 0.04659": first,
        "× w2 act'(z1)": (first + second) / 2,
        "w2 = -0.8\nb2 = 0.3": (first + second) / 2,
        "layer 2": second,
        "2(a2 − y) act'(z2)": (second + end) / 2,
        "target y = 1": end,
        "E = 0.3189": end,
    }
    assert {text: places[text][0] for text in expected} == pytest.approx(expected)
    back = places["Δ1 = 0.04659"][1]
    assert places["∂w1 = 0.0233\n∂b1 = 0.04659"][1] < back < places["× w2 act'(z1)"][1]
    assert places["× w2 act'(z1)"][1] < places["z1 = 0.85\na1 = 0.7006"][1] < 0
    assert 0 < places["w1 = 1.5\nb1 = 0.1"][1] < places["layer 1"][1]
    (radius,) = {p.radius for p in ax.patches if type(p).__name__ == "Circle"}
    assert places["layer 1"][1] > radius  # above its circle
    sizes = {text.get_text(): text.get_fontsize() for text in ax.texts}
    assert sizes["w1 = 1.5\nb1 = 0.1"] == sizes["layer 1"] == sizes["E = 0.3189"] == 9.0


def test_loss_surface_leaves_room_around_a_path() -> None:
    net = cbp.Chain([10.0, 20.0], [0.0, 0.0], "identity")
    path = [[10.0, 0.0, 20.0, 0.0], [12.0, 0.0, 24.0, 0.0]]
    ax = surface(net, "w1", "w2", path=path)
    # 35 % of its length at both ends
    assert ax.get_xlim() == pytest.approx((9.3, 12.7))
    assert ax.get_ylim() == pytest.approx((18.6, 25.4))


@pytest.mark.parametrize("net", HARD.values(), ids=HARD)
def test_error_signals_of_a_trace_are_in_their_boxes(net: cbp.Chain) -> None:
    ax = plot.trace(net, 0.5, 1.0)
    ax.figure.canvas.draw()
    boxes = [p.get_window_extent() for p in ax.patches if hasattr(p, "get_x")]
    texts = [t.get_window_extent() for t in ax.texts if t.get_text().startswith("Δ")]
    assert len(boxes) == len(texts)
    for box, text in zip(boxes, texts, strict=True):
        assert box.x0 < text.x0 < text.x1 < box.x1
        assert box.y0 < text.y0 < text.y1 < box.y1
