"""Hazard: wrong derivatives, averages and inverses: checked against independent arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from error_bounds import UNIT, forward_bound, inverse_bound, sum_bound

import cbackprop as cbp
from cbackprop import reference

Floats = npt.NDArray[np.float64]
LOSSES = list(reference.LOSSES)
SMOOTH = [
    name for name in cbp.ACTIVATIONS if name not in ("relu", "leaky_relu", "elu", "reciprocal")
]
ONE_SIDED = ("log", "log1p", "sqrt")


def a_chain(name: str, rng: np.random.Generator, layers: int = 3) -> cbp.Chain:
    """A chain with activation `name` inside, its z near 1.5 and so within every domain."""
    middle = layers // 2
    activations = [rng.choice(["tanh", "softsign", "sigmoid", "sin"]) for _ in range(layers)]
    activations[middle] = name
    activations[-1] = "sigmoid"  # for the log loss
    net = cbp.Chain(
        rng.uniform(0.5, 1.5, layers), rng.uniform(-0.5, 0.5, layers), activations, frozen=()
    )
    net.weights[middle] *= 0.5
    net.biases[middle] = 1.5  # what arrives lies in [-1, 1] and is multiplied by 0.75 at most
    return net


# ---- derivatives against differences -----------------------------------------------------------


def check_derivative(
    function: Callable[[float], Floats], derivative: Floats, noise: Floats | float, case: str
) -> None:
    """Fourth-order central differences with two steps.

    Halving the step divides the error by 16, so that the two differ by 15 times the error of the
    finer one: their difference bounds it with a factor of 15 to spare. `noise` is the error of
    one value of `function`; the formula passes on 18/12 of that over the step.
    """
    step = 2.0**-9

    def difference(h: float) -> Floats:
        near = function(h) - function(-h)
        far = function(2 * h) - function(-2 * h)
        return (8 * near - far) / (12 * h)

    fine, coarse = difference(step), difference(2 * step)
    bound = np.abs(fine - coarse) + 1.5 * noise / step
    assert np.all(np.abs(fine - derivative) <= bound), (case, fine - derivative, bound)


def moved(net: cbp.Chain, k: int, by: float) -> cbp.Chain:
    other = net.copy()
    other.params[k] += by
    return other


def gradient_noise(net: cbp.Chain, rows: Floats) -> Floats:
    """What rounding does to a gradient of a short, well-conditioned chain: DESIGN's 16 L eps."""
    largest: Floats = np.abs(rows).max(axis=0)
    return 16 * net.layers * 2 * UNIT * (largest + 1)


@pytest.mark.parametrize("name", SMOOTH)
def test_slope_and_jacobian_against_differences(name: str) -> None:
    seed = 100 + SMOOTH.index(name)
    rng = np.random.default_rng(seed)
    net, x = a_chain(name, rng), rng.uniform(-1, 1, 5)
    noise = max(forward_bound(net, float(number)) for number in x)
    check_derivative(lambda h: net(x + h), net.slope(x), noise, f"slope, seed {seed}")
    rows = net.jacobian(x)
    for k, param in enumerate(net.param_names):

        def output(h: float, k: int = k) -> Floats:
            return moved(net, k, h)(x)

        check_derivative(output, rows[:, k], noise, f"{param}, seed {seed}")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_and_hessian_against_differences(name: str, loss: Any) -> None:
    seed = 200 + SMOOTH.index(name)
    rng = np.random.default_rng(seed)
    net = a_chain(name, rng)
    if loss == "binomial":  # whose outputs are from 0 to 1, and not so near 1 that digits are lost
        net = cbp.Chain(net.weights / 2, net.biases / 2, [*net.activations[:-1], "sigmoid"])
    # the scale keeps every residual inside Huber's parabola, where that is smooth
    options = {"loss": loss, "loss_scale": 1.5, "sample_weight": rng.uniform(0, 2, 5)}
    x, y = rng.uniform(-1, 1, 5), rng.uniform(0, 1, 5)
    gradient, hessian = net.gradient(x, y, **options), net.hessian(x, y, **options)
    assert np.array_equal(hessian, hessian.T)
    noise = gradient_noise(net, net.gradients(x, y, loss=loss, loss_scale=1.5))
    for k, param in enumerate(net.param_names):

        def mean_loss_at(h: float, k: int = k) -> Floats:
            return np.array(moved(net, k, h).loss(x, y, **options))

        def gradient_at(h: float, k: int = k) -> Floats:
            return moved(net, k, h).gradient(x, y, **options)

        most = float(noise.max())
        check_derivative(mean_loss_at, gradient[k], most, f"gradient, {param}, seed {seed}")
        check_derivative(gradient_at, hessian[:, k], noise, f"hessian, {param}, seed {seed}")


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "reciprocal"])
def test_slopes_of_pieces_by_hand(name: str) -> None:
    net = cbp.Chain([2.0], [0.0], name)
    growth = math.exp(-1.0)
    at_minus_half, at_half = {
        "relu": (0.0, 2.0),
        "leaky_relu": (0.02, 2.0),
        "elu": (2 * growth, 2.0),
        "reciprocal": (-2.0, -2.0),
    }[name]
    assert net.slope([-0.5, 0.5]).tolist() == pytest.approx([at_minus_half, at_half], rel=1e-15)


# ---- averages ------------------------------------------------------------------------------------

SIZES = [2, 127, 128, 129, 2048, 5000]


def a_problem(seed: int, size: int) -> tuple[cbp.Chain, Floats, Floats]:
    rng = np.random.default_rng(seed)
    net = cbp.Chain(rng.normal(size=3), rng.normal(size=3), ["tanh", "softplus", "sigmoid"])
    return net, rng.normal(size=size), rng.uniform(size=size)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", SIZES)
def test_average_is_the_mean_of_the_examples(size: int, loss: Any) -> None:
    net, x, y = a_problem(size, size)
    value, gradient = net.loss_and_gradient(x, y, loss=loss, loss_scale=0.25)
    rows = net.gradients(x, y, loss=loss, loss_scale=0.25)
    losses = np.array(
        [[net.loss(a, b, loss=loss, loss_scale=0.25)] for a, b in zip(x, y, strict=True)]
    )
    terms = np.hstack([losses, rows])
    exact = np.array([math.fsum(column) for column in terms.T])
    error = np.abs(np.array([value, *gradient]) * size - exact)
    assert np.all(error <= sum_bound(terms)), (error, sum_bound(terms))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", SIZES)
def test_loss_alone_is_the_loss_with_the_gradient(size: int, loss: Any) -> None:
    net, x, y = a_problem(size, size)
    for weight in (None, y + 0.5):
        options = {"loss": loss, "loss_scale": 0.25, "sample_weight": weight}
        value = net.loss(x, y, **options)
        assert value == net.loss_and_gradient(x, y, **options)[0]
        assert value == pytest.approx(mean_loss(net, x, y, weight, loss), rel=1e-13)


def mean_loss(net: cbp.Chain, x: Floats, y: Floats, weight: Floats | None, loss: str) -> float:
    """The averaged loss of `a_problem`, written out; of scale 1/4."""
    w1, b1, w2, b2, w3, b3 = net.params
    z = w3 * np.log1p(np.exp(w2 * np.tanh(w1 * x + b1) + b2)) + b3
    u = 1 / (1 + np.exp(-z)) - y
    terms = {
        "squared": u**2,
        "log": np.log1p(np.exp(z)) - y * z,
        "huber": np.where(np.abs(u) <= 0.25, u**2, 0.5 * np.abs(u) - 0.0625),
        "soft_l1": 0.125 * (np.sqrt(1 + 16 * u**2) - 1),
        "cauchy": 0.0625 * np.log1p(16 * u**2),
        "poisson": 2 * (y * np.log(y / (u + y)) + u),
        "binomial": 2 * (y * np.log(y / (u + y)) + (1 - y) * np.log((1 - y) / (1 - y - u))),
        "power": 2 * ((u + y) ** 1.5 / 1.5 - 2 * y * (u + y) ** 0.5 + 4 / 3 * y**1.5),
        "box_cox": 16 * ((u + y) ** 0.25 - y**0.25) ** 2,
    }[loss]
    return float(np.average(terms, weights=weight))


def averages(net: cbp.Chain, x: Floats, y: Floats, weight: npt.ArrayLike | None) -> Floats:
    value, gradient = net.loss_and_gradient(x, y, sample_weight=weight)
    hessian = net.hessian(x, y, sample_weight=weight)
    return np.array([value, *gradient, *hessian.ravel()])


def averages_bound(net: cbp.Chain, x: Floats, y: Floats) -> Floats:
    """Of two averages of these examples, each with its own order of additions."""
    each = np.array(
        [averages(net, a, b, None) for a, b in zip(x[:, None], y[:, None], strict=True)]
    )
    return 2 * sum_bound(each) / len(x)


@pytest.mark.parametrize("size", [2, 129, 500])
def test_integer_weights_are_repetitions(size: int) -> None:
    net, x, y = a_problem(size, size)
    times = np.random.default_rng(size).integers(0, 4, size)
    times[0] = 3
    repeated = np.repeat(x, times), np.repeat(y, times)
    difference = averages(net, x, y, times) - averages(net, *repeated, None)
    assert np.all(np.abs(difference) <= averages_bound(net, *repeated)), difference


@pytest.mark.parametrize("size", [2, 129, 500])
def test_weight_0_leaves_out(size: int) -> None:
    net, x, y = a_problem(size, size)
    kept = np.random.default_rng(size).random(size) < 0.5
    kept[0] = True
    difference = averages(net, x, y, kept) - averages(net, x[kept], y[kept], None)
    assert np.all(np.abs(difference) <= averages_bound(net, x[kept], y[kept])), difference


def test_weights_that_are_equal_powers_of_two_change_no_bit() -> None:
    net, x, y = a_problem(5, 3000)
    expected = averages(net, x, y, None)
    for weight in (1.0, 0.25, 2.0**40):
        assert averages(net, x, y, np.full(3000, weight)).tolist() == expected.tolist()


def test_blocks_are_added_with_compensation() -> None:
    # one block of ones, then blocks of numbers that a plain sum would lose entirely
    x = np.repeat([1.0, *([2.0**-54] * 100)], 2048)
    net = cbp.Chain([1.0], [0.0], "identity")
    got = net.gradient(x, x - 0.5)[1]  # every residual is 0.5: exact
    assert got == 1.0
    got = net.gradient(np.zeros_like(x), -x / 2)[1]
    assert got == (1.0 + 100 * 2.0**-54) / 101


# ---- inverses ------------------------------------------------------------------------------------

INVERTIBLE = [
    name
    for name in cbp.ACTIVATIONS
    if name not in ("relu", "silu", "gelu", "square", "gaussian", "sin")
]
OUTSIDE: dict[str, list[float]] = {
    "sigmoid": [-0.125, -5e-324, 1.0 + 2.0**-52, math.inf, -math.inf],
    "tanh": [-1.0 - 2.0**-52, 1.0 + 2.0**-52, math.inf, -math.inf],
    "elu": [-1.0 - 2.0**-52, -math.inf],
    "softplus": [-5e-324, -1.0, -math.inf],
    "softsign": [-1.0 - 2.0**-52, 1.0 + 2.0**-52, math.inf, -math.inf],
    "arctan": [-1.6, 1.6, math.inf],
    "exp": [-5e-324, -1.0, -math.inf],
    "expm1": [-1.0 - 2.0**-52, -math.inf],
    "sqrt": [-5e-324, -1.0, -math.inf],
    "log_sigmoid": [5e-324, 1.0, math.inf],
    "normal_cdf": [-5e-324, 1.0 + 2.0**-52, math.inf, -math.inf],
}
ENDS: dict[str, dict[float, float]] = {
    "sigmoid": {0.0: -math.inf, 0.5: 0.0, 1.0: math.inf},
    "tanh": {-1.0: -math.inf, 0.0: 0.0, 1.0: math.inf},
    "elu": {-1.0: -math.inf, 0.0: 0.0, math.inf: math.inf},
    "softplus": {0.0: -math.inf, math.inf: math.inf},
    "softsign": {-1.0: -math.inf, 0.0: 0.0, 1.0: math.inf},
    "exp": {0.0: -math.inf, 1.0: 0.0, math.inf: math.inf},
    "expm1": {-1.0: -math.inf, 0.0: 0.0, math.inf: math.inf},
    "log": {-math.inf: 0.0, 0.0: 1.0, math.inf: math.inf},
    "log1p": {-math.inf: -1.0, 0.0: 0.0, math.inf: math.inf},
    "sqrt": {0.0: 0.0, 4.0: 16.0, math.inf: math.inf},
    "log_sigmoid": {-math.inf: -math.inf, 0.0: math.inf},
    "normal_cdf": {0.0: -math.inf, 1.0: math.inf},
}


def check_round_trip(net: cbp.Chain, x: Floats, case: str) -> None:
    checked = 0
    for number, back in zip(x.tolist(), net.inverse(net(x)).tolist(), strict=True):
        bound = inverse_bound(net, number)
        # a saturated output has forgotten its input, and a bound of first order says nothing
        if bound < 2.0**-6:
            assert abs(back - number) <= bound, (case, number, back - number, bound)
            checked += 1
    assert checked > 0.8 * len(x), (case, checked)


@pytest.mark.parametrize("name", INVERTIBLE)
def test_inverse_of_one_layer(name: str) -> None:
    seed = 300 + INVERTIBLE.index(name)
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(-20, 3, 300))
    sign = 1 if name in ONE_SIDED else rng.choice([-1, 1], 300)
    check_round_trip(cbp.Chain([1.0], [0.0], name), sign * size, f"seed {seed}")


@pytest.mark.parametrize("name", INVERTIBLE)
def test_inverse_within_a_chain(name: str) -> None:
    seed = 400 + INVERTIBLE.index(name)
    rng = np.random.default_rng(seed)
    net = cbp.Chain([0.75, 0.5, -2.0], [0.25, 1.5, 0.5], ["tanh", name, "sigmoid"])
    check_round_trip(net, rng.uniform(-2, 2, 100), f"seed {seed}")


@pytest.mark.parametrize("name", INVERTIBLE)
def test_no_input_gives_what_is_outside_the_range(name: str) -> None:
    net = cbp.Chain([2.0], [0.5], name)
    outside = [*OUTSIDE.get(name, []), math.nan]
    assert np.all(np.isnan(net.inverse(outside)))
    assert all(math.isnan(net.inverse(y)) for y in outside)


@pytest.mark.parametrize("name", ENDS)
def test_inverse_at_the_ends_of_the_range(name: str) -> None:
    net = cbp.Chain([1.0], [0.0], name)
    assert net.inverse(list(ENDS[name])).tolist() == list(ENDS[name].values())


# Where y runs through 1/2, log(y) - log(1 - y) and the like would lose what is left of y - 1/2.
@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("sigmoid", 0.25),
        ("normal_cdf", 1 / math.sqrt(2 * math.pi)),
    ],
)
def test_inverse_in_the_middle_keeps_its_digits(name: str, slope: float) -> None:
    net = cbp.Chain([1.0], [0.0], name)
    assert net.inverse(0.5) == 0.0
    for exponent in range(30, 53):
        offset = 2.0**-exponent
        for sign in (-1, 1):
            # odd functions: the next term is smaller by the square of the offset
            expected = sign * offset / slope
            assert net.inverse(0.5 + sign * offset) == pytest.approx(expected, rel=8 * 2.0**-52)


def test_nothing_inside_a_chain_gives_what_is_out_of_reach() -> None:
    # exp gives what is above 0, the shift what is above 1
    net = cbp.Chain([1.0, 1.0], [0.0, 1.0], ["exp", "identity"])
    assert math.isnan(net.inverse(0.5))
    assert net.inverse(2.0) == 0.0
