"""The readable twin: against the notes' formulas written out, and against multiple precision."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
import pytest

from cbackprop import _core, reference
from cbackprop.errors import ActivationError, ParameterError, ShapeError

INF, NAN = math.inf, math.nan
SEED = 20240229

# What each activation is, said once more and differently: closed forms in 60 digits.
EXACT: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "tanh": mp.tanh,
    "relu": lambda z: z if z > 0 else mp.mpf(0),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "elu": lambda z: z if z > 0 else mp.exp(z) - 1,
    "softplus": lambda z: mp.log(1 + mp.exp(z)),
    "silu": lambda z: z / (1 + mp.exp(-z)),
    "gelu": lambda z: z * mp.ncdf(z),
    "softsign": lambda z: z / (1 + abs(z)),
    "arctan": mp.atan,
    "exp": mp.exp,
    "expm1": lambda z: mp.exp(z) - 1,
    "log": mp.log,
    "log1p": lambda z: mp.log(1 + z),
    "reciprocal": lambda z: 1 / z,
    "square": lambda z: z * z,
    "sqrt": mp.sqrt,
    "gaussian": lambda z: mp.exp(-z * z / 2),
    "log_sigmoid": lambda z: -mp.log(1 + mp.exp(-z)),
    "normal_cdf": mp.ncdf,
    "sin": mp.sin,
}
LAST = {
    "log": "sigmoid",
    "poisson": "softplus",
    "binomial": "sigmoid",
    "power": "softplus",
    "box_cox": "softplus",
}
ABOVE_ZERO = {"log", "log1p", "sqrt"}  # domains that random points would leave


def exact_loss(loss: str, a: mp.mpf, y: mp.mpf, s: mp.mpf) -> mp.mpf:  # noqa: PLR0911
    u = (a - y) / s
    if loss == "squared":
        return (a - y) ** 2
    if loss == "log":
        return -y * mp.log(a) - (1 - y) * mp.log(1 - a)
    if loss == "huber":
        return (a - y) ** 2 if abs(u) <= 1 else 2 * s * abs(a - y) - s**2
    if loss == "soft_l1":
        return 2 * s**2 * (mp.sqrt(1 + u**2) - 1)
    if loss == "poisson":
        return 2 * (y * mp.log(y / a) - y + a)
    if loss == "binomial":
        return 2 * (y * mp.log(y / a) + (1 - y) * mp.log((1 - y) / (1 - a)))
    if loss == "power":

        def antiderivative(t: mp.mpf) -> mp.mpf:
            return t ** (2 - 2 * s) / (2 - 2 * s) - y * t ** (1 - 2 * s) / (1 - 2 * s)

        return 2 * (antiderivative(a) - antiderivative(y))
    if loss == "box_cox":
        return ((a**s - y**s) / s) ** 2
    return s**2 * mp.log(1 + u**2)


def exact_gradient(
    params: list[float], names: list[str], x: float, y: float, *, loss: str, scale: float
) -> tuple[float, list[float]]:
    """The loss and its derivatives by differences in 60 digits: nothing of the chain rule."""

    def error(*numbers: mp.mpf) -> mp.mpf:
        a = mp.mpf(x)
        for layer, name in enumerate(names):
            a = EXACT[name](numbers[2 * layer] * a + numbers[2 * layer + 1])
        return exact_loss(loss, a, mp.mpf(y), mp.mpf(scale))

    with mp.workdps(60):
        at = tuple(map(mp.mpf, params))
        orders = [tuple(int(k == i) for k in range(len(at))) for i in range(len(at))]
        return float(error(*at)), [float(mp.diff(error, at, order)) for order in orders]


def test_network_1_by_the_notes() -> None:
    w1, b1, w2, b2, x, y = 1.5, 0.1, -0.8, 0.3, 0.5, 1.0

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def sigma_slope(z: float) -> float:
        return sigma(z) * (1 - sigma(z))

    z1 = w1 * x + b1
    a1 = sigma(z1)
    z2 = w2 * a1 + b2
    a2 = sigma(z2)
    by_hand = [
        2 * (a2 - y) * sigma_slope(z2) * w2 * sigma_slope(z1) * x,
        2 * (a2 - y) * sigma_slope(z2) * w2 * sigma_slope(z1),
        2 * (a2 - y) * sigma_slope(z2) * a1,
        2 * (a2 - y) * sigma_slope(z2),
    ]
    loss, gradient = reference.gradient([w1, b1, w2, b2], ["sigmoid", "sigmoid"], x, y)
    assert loss == pytest.approx((a2 - y) ** 2, rel=1e-15)
    assert gradient == pytest.approx(by_hand, rel=1e-14)
    assert reference.forward([w1, b1, w2, b2], ["sigmoid", "sigmoid"], x) == pytest.approx(
        a2, rel=1e-15
    )


def test_every_number_of_network_1() -> None:
    walk = reference.trace([1.5, 0.1, -0.8, 0.3], ["sigmoid", "sigmoid"], 0.5, 1.0)
    hidden = 1 / (1 + math.exp(-0.85))
    out = 1 / (1 + math.exp(0.8 * hidden - 0.3))
    assert walk.a == pytest.approx([hidden, out], rel=1e-15)
    assert walk.slope == pytest.approx([hidden * (1 - hidden), out * (1 - out)], rel=1e-14)
    assert walk.loss == pytest.approx((out - 1.0) ** 2, rel=1e-14)
    assert walk.z == [1.5 * 0.5 + 0.1, -0.8 * walk.a[0] + 0.3]
    assert walk.delta[1] == 2 * (walk.a[1] - 1.0) * walk.slope[1]
    assert walk.delta[0] == walk.delta[1] * -0.8 * walk.slope[0]
    assert walk.gradient == [
        walk.delta[0] * 0.5,
        walk.delta[0],
        walk.delta[1] * walk.a[0],
        walk.delta[1],
    ]


def test_names_and_order_are_those_of_the_c_core() -> None:
    assert list(reference.ACTIVATIONS) == list(EXACT) == list(_core.ACTIVATIONS)
    assert list(reference.LOSSES) == list(_core.LOSSES)


@pytest.mark.parametrize("name", reference.LOSSES)
def test_what_is_known_of_a_loss_is_what_the_core_knows(name: str) -> None:
    ours, core = reference.LOSSES[name], _core.LOSSES[name]
    assert ours.has_scale == core.has_scale
    assert ours.targets == (core.target_low, core.target_high)
    assert (ours.error_and_slope is None) == core.needs_sigmoid


def test_names_of_losses_in_types_are_those_of_the_c_core() -> None:
    stub = Path(reference.__file__).with_name("_core.pyi").read_text(encoding="utf-8")
    found = re.search(r"^_Loss: TypeAlias = Literal\[(.*?)\]$", stub, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert re.findall(r'"(\w+)"', found[1]) == list(_core.LOSSES)


@pytest.mark.parametrize("name", EXACT)
def test_activation_and_slope(name: str) -> None:
    value, slope = reference.ACTIVATIONS[name]
    rng = random.Random(SEED)
    points = [1e-8, -1e-8, 0.5, -0.5, 20.0, -20.0] + [rng.gauss(0, 3) for _ in range(40)]
    for point in points:
        z = abs(point) if name in ABOVE_ZERO else point
        with mp.workdps(60):
            exact = float(EXACT[name](mp.mpf(z)))
            # a step that stays on one side of the kinks at 0
            exact_slope = float(mp.diff(EXACT[name], mp.mpf(z), h=mp.mpf(10) ** -25))
        assert value(z) == pytest.approx(exact, rel=1e-13, abs=1e-300), f"{z=} seed {SEED}"
        assert slope(z) == pytest.approx(exact_slope, rel=1e-12, abs=1e-24), f"{z=} seed {SEED}"


def test_slope_of_sigmoid_keeps_its_digits() -> None:
    _, slope = reference.ACTIVATIONS["sigmoid"]
    for z in (20.0, 40.0, 700.0):
        assert slope(z) == pytest.approx(math.exp(-z), rel=1e-8)
        assert slope(z) == slope(-z)


@pytest.mark.parametrize(
    ("name", "z", "value", "slope"),
    [
        ("sigmoid", INF, 1.0, 0.0),
        ("sigmoid", -INF, 0.0, 0.0),
        ("tanh", -INF, -1.0, 0.0),
        ("relu", 0.0, 0.0, 0.0),
        ("leaky_relu", 0.0, 0.0, 0.01),
        ("elu", 0.0, 0.0, 1.0),
        ("softplus", INF, INF, 1.0),
        ("silu", -INF, 0.0, 0.0),
        ("gelu", -INF, 0.0, 0.0),
        ("gelu", INF, INF, 1.0),
        ("softsign", -INF, -1.0, 0.0),
        ("exp", 1000.0, INF, INF),
        ("expm1", 1000.0, INF, INF),
        ("log", 0.0, -INF, INF),
        ("log", -0.0, -INF, INF),
        ("log", -1.0, NAN, NAN),
        ("log1p", -1.0, -INF, INF),
        ("log1p", -2.0, NAN, NAN),
        ("reciprocal", -0.0, -INF, -INF),
        ("reciprocal", INF, 0.0, 0.0),
        ("square", -INF, INF, -INF),
        ("sqrt", -0.0, 0.0, INF),
        ("sqrt", -1.0, NAN, NAN),
        ("gaussian", INF, 0.0, 0.0),
        ("log_sigmoid", -INF, -INF, 1.0),
        ("normal_cdf", INF, 1.0, 0.0),
        ("sin", INF, NAN, NAN),
    ],
)
def test_edges(name: str, z: float, value: float, slope: float) -> None:
    assert [f(z) for f in reference.ACTIVATIONS[name]] == pytest.approx([value, slope], nan_ok=True)


@pytest.mark.parametrize("name", EXACT)
def test_nan_stays(name: str) -> None:
    value, slope = reference.ACTIVATIONS[name]
    assert math.isnan(value(NAN))
    assert math.isnan(slope(NAN))


@pytest.mark.thread_unsafe(reason="mpmath's precision is the process's")
@pytest.mark.parametrize("loss", reference.LOSSES)
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_gradient_against_differences(loss: str, layers: int) -> None:
    rng = random.Random(f"{SEED} {loss} {layers}")
    for _ in range(5):
        names = [rng.choice(["sigmoid", "tanh", "softplus", "gelu"]) for _ in range(layers)]
        names[-1] = LAST.get(loss, "identity")
        params = [rng.gauss(0, 1) for _ in range(2 * layers)]
        x, y, scale = rng.gauss(0, 1), rng.random(), 0.75
        loss_exact, gradient_exact = exact_gradient(params, names, x, y, loss=loss, scale=scale)
        got, gradient = reference.gradient(params, names, x, y, loss=loss, scale=scale)
        assert got == pytest.approx(loss_exact, rel=1e-12), f"seed {SEED}: {names} {params}"
        assert gradient == pytest.approx(gradient_exact, rel=1e-11, abs=1e-14), f"{names} {params}"


@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("z", [-800.0, -30.0, 0.0, 30.0, 800.0])
def test_log_loss_is_finite_where_sigma_has_rounded(z: float, y: float) -> None:
    loss, (by_w, by_b) = reference.gradient([1.0, 0.0], ["sigmoid"], z, y, loss="log")
    with mp.workdps(800):
        a = EXACT["sigmoid"](mp.mpf(z))
        assert loss == pytest.approx(float(exact_loss("log", a, mp.mpf(y), mp.mpf(1))), rel=1e-14)
        assert by_b == pytest.approx(float(a - y), rel=1e-14)
    assert by_w == by_b * z


@pytest.mark.parametrize("y", [1e200, -1e200, INF])
def test_cauchy_loss_of_a_wild_target(y: float) -> None:
    loss, (_, by_b) = reference.gradient([1.0, 0.0], ["identity"], 0.0, y, loss="cauchy")
    assert loss == pytest.approx(2 * math.log(abs(y)), rel=1e-15)
    assert by_b == pytest.approx(-2 / y, rel=1e-15)


@pytest.mark.parametrize("y", [1e7, 1e9, 1e300, -1e300, -INF])
def test_soft_l1_loss_of_a_wild_target(y: float) -> None:
    loss, (_, by_b) = reference.gradient(
        [1.0, 0.0], ["identity"], 0.0, y, loss="soft_l1", scale=0.5
    )
    with mp.workdps(60):
        exact = float(exact_loss("soft_l1", mp.mpf(0), mp.mpf(y), mp.mpf(0.5)))
    assert loss == pytest.approx(exact, rel=1e-14)
    assert by_b == pytest.approx(-math.copysign(1.0, y), rel=1e-14)


def test_dose_zero_has_a_finite_gradient() -> None:
    walk = reference.trace([1.0, 0.0, 2.0, 5.0], ["log", "sigmoid"], 0.0, 0.25)
    assert walk.a == [-INF, 0.0]
    assert walk.slope == [INF, 0.0]
    assert walk.gradient == [0.0, 0.0, 0.0, 0.0]


def test_times() -> None:
    assert reference.times(0.0, INF) == reference.times(-INF, 0.0) == 0.0
    assert reference.times(2.0, INF) == INF
    assert math.isnan(reference.times(NAN, 0.0))
    assert math.isnan(reference.times(0.0, NAN))


def test_examples_are_averaged() -> None:
    params, names = [1.5, 0.1, -0.8, 0.3], ["tanh", "sigmoid"]
    first = reference.trace(params, names, 0.5, 1.0)
    second = reference.trace(params, names, -2.0, 0.0)
    loss, gradient = reference.gradient(params, names, [0.5, -2.0], [1.0, 0.0])
    assert loss == (first.loss + second.loss) / 2
    assert gradient == [(p + q) / 2 for p, q in zip(first.gradient, second.gradient, strict=True)]


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="length 3; expected 2"):
        reference.forward([1.0, 2.0, 3.0], ["tanh"], 0.0)
    with pytest.raises(ShapeError, match="at least one layer"):
        reference.forward([], [], 0.0)
    with pytest.raises(ActivationError, match=r"activations\[1\]: 'sigmod'"):
        reference.forward([1.0] * 4, ["tanh", "sigmod"], 0.0)
    with pytest.raises(ParameterError, match="'squre' is not a loss"):
        reference.gradient([1.0, 0.0], ["tanh"], 0.0, 0.0, loss="squre")
    with pytest.raises(ParameterError, match=r"scale: -1\.0"):
        reference.gradient([1.0, 0.0], ["tanh"], 0.0, 0.0, loss="huber", scale=-1.0)
    with pytest.raises(ActivationError, match="sigmoid"):
        reference.gradient([1.0, 0.0], ["tanh"], 0.0, 0.0, loss="log")
    with pytest.raises(ParameterError, match="between 0 and 1"):
        reference.gradient([1.0, 0.0], ["sigmoid"], 0.0, 2.0, loss="log")
    with pytest.raises(ShapeError, match="x has 2 examples and y has 1"):
        reference.gradient([1.0, 0.0], ["tanh"], [0.0, 1.0], [0.0])
    with pytest.raises(ShapeError, match="at least one example"):
        reference.gradient([1.0, 0.0], ["tanh"], [], [])
