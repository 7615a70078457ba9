"""Forward and backward passes of chains in multiple precision, with a running error bound.

Every quantity is a pair (value, bound): a double-precision computation by the usual formula may be
off by bound * 2^-53, to first order. The rules, one rounding being at most |v| 2^-53:

    p * q         |p| bound(q) + |q| bound(p) + |p q|
    w a + b       |w| bound(a) + |w a| + |w a + b|          (fused or not)
    act(z)        |act'(z)| bound(z) + 2.5 ulp(act(z))      (the promises of cbackprop.h)
    act'(z)       |act''(z)| bound(z) + 4 ulp(act'(z))

so that an argument that cancelled, or a slope that is ill conditioned there, shows in the bound of
every later quantity, and a wrong formula cannot hide behind a generous tolerance.
On the way back 0 * infinity is 0, and a layer at z = +-inf is at its limit exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mpmath as mp
from exact import BOUNDS, ZERO, jet, logistic, logistic_slope, scales, softplus, ulp

UNIT = mp.ldexp(1, -53)
LOSSES = ("squared", "log", "huber", "soft_l1", "cauchy")  # poisson has cases of its own
LOSS_ROUNDINGS = 8  # of the longest formula of a loss or of its slope
SUM_ROUNDINGS = 32  # of a mean: a few partial sums, then compensation; longer sums err at random


class Rounded(NamedTuple):
    """A quantity and the error, in units of 2^-53, that double precision may make in it."""

    value: mp.mpf
    bound: mp.mpf = ZERO


class Model(NamedTuple):
    """A chain and the loss it is judged by."""

    params: Sequence[mp.mpf]
    activations: Sequence[str]
    loss: str
    scale: mp.mpf


class Layer(NamedTuple):
    z: Rounded
    a: Rounded
    slope: Rounded


class Loss(NamedTuple):
    """E; its derivative with respect to a_L, or to z_L for the log loss; the second derivative."""

    value: Rounded
    push: Rounded
    second: mp.mpf


def times(p: mp.mpf, q: mp.mpf) -> mp.mpf:
    return ZERO if p == 0 or q == 0 else p * q


def product(p: Rounded, q: Rounded) -> Rounded:
    value = times(p.value, q.value)
    bound = times(abs(p.value), q.bound) + times(abs(q.value), p.bound) + abs(value)
    return Rounded(value, bound)


def promised(ulps: float, x: mp.mpf, scale: mp.mpf) -> mp.mpf:
    """That many ulp of x, or of the largest term it is made of, in units of 2^-53."""
    return ulps * ulp(max(abs(x), scale)) / UNIT if mp.isfinite(x) else ZERO


def forward(params: Sequence[mp.mpf], activations: Sequence[str], x: mp.mpf) -> list[Layer]:
    """Layer 0 is the input; its z and slope are not used."""
    layers = [Layer(Rounded(x), Rounded(x), Rounded(mp.mpf(1)))]
    for name, w, b in zip(activations, params[::2], params[1::2], strict=True):
        a = layers[-1].a
        wa = times(w, a.value)
        z = Rounded(wa + b, times(abs(w), a.bound) + abs(wa) + abs(wa + b))
        value, slope, second = jet(name, z.value)
        if mp.isinf(z.value):
            layers.append(Layer(z, Rounded(value), Rounded(slope)))
            continue
        scale = scales(name, z.value)
        of_value = times(abs(slope), z.bound) + promised(BOUNDS[0], value, scale.value)
        of_slope = times(abs(second), z.bound) + promised(BOUNDS[1], slope, scale.slope)
        layers.append(Layer(z, Rounded(value, of_value), Rounded(slope, of_slope)))
    return layers


def log_loss(z: Rounded, y: mp.mpf) -> Loss:
    """log(1 + exp(z)) - y z, taken on the side where the terms are positive."""
    other = y if z.value < 0 else 1 - y  # the part of the target on the side that z denies
    rare = logistic(-abs(z.value))
    value = other * abs(z.value) + softplus(-abs(z.value)).value
    push = (rare - y) if z.value < 0 else (other - rare)
    curve = logistic_slope(z.value)
    return Loss(
        Rounded(value, abs(push) * z.bound + LOSS_ROUNDINGS * value),
        Rounded(push, curve * z.bound + 6 * rare + other + abs(push)),
        curve,
    )


def poisson(a: Rounded, y: mp.mpf) -> Loss:
    """The deviance; of the logarithm of a ratio near 1 rounding takes digits of |a - y|."""
    value = 2 * ((y * mp.log(y / a.value) if y else ZERO) - y + a.value)
    push, second = 2 * (a.value - y) / a.value, 2 * y / a.value**2
    of_value = LOSS_ROUNDINGS * (value + 2 * abs(a.value - y))
    return Loss(
        Rounded(value, abs(push) * a.bound + of_value),
        Rounded(push, second * a.bound + LOSS_ROUNDINGS * abs(push)),
        second,
    )


def loss_at(loss: str, scale: mp.mpf, last: Layer, y: mp.mpf) -> Loss:
    if loss == "log":
        return log_loss(last.z, y)
    if loss == "poisson":
        return poisson(last.a, y)
    r = last.a.value - y
    size, two = abs(r), mp.mpf(2)
    root = mp.sqrt(1 + (r / scale) ** 2)
    value, push, second = {
        "squared": (r * r, 2 * r, two),
        "huber": (
            r * r if size <= scale else scale * (2 * size - scale),
            2 * max(min(r, scale), -scale),
            two if size <= scale else ZERO,
        ),
        "soft_l1": (2 * r * r / (1 + root), 2 * r / root, 2 / root**3),
        "cauchy": (
            scale**2 * mp.log1p((r / scale) ** 2),
            2 * r / root**2,
            2 * (1 - (r / scale) ** 2) / root**4,
        ),
    }[loss]
    of_r = last.a.bound + size
    steps = 1 if loss == "squared" else LOSS_ROUNDINGS
    return Loss(
        Rounded(value, abs(push) * of_r + steps * value),
        Rounded(push, abs(second) * of_r + steps * abs(push)),
        second,
    )


def backward(
    params: Sequence[mp.mpf], layers: Sequence[Layer], push: Rounded, *, on_z: bool
) -> tuple[list[Rounded], Rounded]:
    """Gradient [w1, b1, ...] of what `push` is the derivative of, and its slope along a_0."""
    gradient: list[Rounded] = []
    delta = push
    for number in range(len(layers) - 1, 0, -1):
        if not (on_z and number == len(layers) - 1):
            delta = product(delta, layers[number].slope)
        gradient[:0] = [product(delta, layers[number - 1].a), delta]
        delta = product(delta, Rounded(params[2 * number - 2]))
    return gradient, delta


def gradient_of(model: Model, x: mp.mpf, y: mp.mpf) -> tuple[Rounded, list[Rounded]]:
    """The loss of one example and its gradient."""
    layers = forward(model.params, model.activations, x)
    end = loss_at(model.loss, model.scale, layers[-1], y)
    return end.value, backward(model.params, layers, end.push, on_z=model.loss == "log")[0]


def output_slope(params: Sequence[mp.mpf], layers: Sequence[Layer]) -> Rounded:
    """d a_L / d a_0."""
    return backward(params, layers, Rounded(mp.mpf(1)), on_z=False)[1]


def mean(terms: Sequence[Rounded], weights: Sequence[mp.mpf]) -> Rounded:
    """sum(weight * term) / sum(weight)."""
    total = mp.fsum(weights)
    steps = 0 if len(terms) == 1 else min(len(terms) + 3, SUM_ROUNDINGS)
    parts = [
        (times(w, t.value), times(w, t.bound + steps * abs(t.value)))
        for w, t in zip(weights, terms, strict=True)
    ]
    return Rounded(mp.fsum(p for p, _ in parts) / total, mp.fsum(b for _, b in parts) / total)


def hessian_terms(model: Model, x: mp.mpf, y: mp.mpf) -> list[list[mp.mpf]]:
    """Sum of the absolute terms of each second derivative of one example's loss.

    With J_l = dz_l/dparams the terms are dE/da_l act''(z_l) J_l J_l, E'' act'(z_L)^2 J_L J_L, and
    for the pair (w_l, k) also dE/dz_l da_(l-1)/dk.
    """
    params, activations, loss, scale = model
    layers = forward(params, activations, x)
    end = loss_at(loss, scale, layers[-1], y)
    count, depth = len(params), len(params) // 2
    jacobians: list[list[mp.mpf]] = []  # |dz_l/dk|
    upstream = [ZERO] * count  # |da_(l-1)/dk|
    slopes_in: list[list[mp.mpf]] = []
    for number in range(depth):
        slopes_in.append(upstream)
        row = [abs(params[2 * number]) * u for u in upstream]
        row[2 * number], row[2 * number + 1] = abs(layers[number].a.value), mp.mpf(1)
        jacobians.append(row)
        upstream = [abs(layers[number + 1].slope.value) * v for v in row]
    terms = [[ZERO] * count for _ in range(count)]
    pull = abs(end.push.value)  # |dE/da_l|, or |dE/dz_l| where the loss is on z
    for number in range(depth - 1, -1, -1):
        layer = layers[number + 1]
        on_z = loss == "log" and number == depth - 1
        delta = pull if on_z else pull * abs(layer.slope.value)
        bend = ZERO if on_z else pull * abs(jet(activations[number], layer.z.value).second)
        if number == depth - 1:
            bend += abs(end.second) * (1 if on_z else layer.slope.value**2)
        for i in range(count):
            for j in range(count):
                terms[i][j] += bend * jacobians[number][i] * jacobians[number][j]
        for k in range(count):
            terms[2 * number][k] += delta * slopes_in[number][k]
            terms[k][2 * number] += delta * slopes_in[number][k]
        pull = delta * abs(params[2 * number])
    return terms
