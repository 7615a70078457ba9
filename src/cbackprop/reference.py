"""The passes of a chain in plain Python: the readable specification.

It uses neither NumPy nor C, and is not fast. The compiled core is tested against this file, and
this file against multiple precision.

A chain has layers l = 1 ... L of one unit each, and a(0) is the input::

    z(l) = w(l) a(l-1) + b(l)          a(l) = act(z(l))

The output a(L) is compared with the target y. With the squared loss, ``E = (a(L) - y)^2``. The
backward pass computes the gradient ``[dE/dw(1), dE/db(1), ..., dE/dw(L), dE/db(L)]``. It keeps one
number, Delta: the derivative of E by the value that the pass has reached.

Last layer::

    derivative by a(L)                 Delta := 2 (a(L) - y)
    by z(L)                            Delta := Delta act'(z(L))           this is Delta(L)
    by w(L) and b(L)                   dE/dw(L) = Delta dz(L)/dw(L) = Delta a(L-1)
                                       dE/db(L) = Delta dz(L)/db(L) = Delta

Every layer l before it::

    derivative by a(l)                 Delta := Delta dz(l+1)/da(l) = Delta w(l+1)
    by z(l)                            Delta := Delta act'(z(l))           this is Delta(l)
    by w(l) and b(l)                   dE/dw(l) = Delta a(l-1)
                                       dE/db(l) = Delta

The gradient of many examples is the average of their gradients.

Three rules keep the results right in extreme cases:

* Slopes are computed from z, never from a: where sigma is near 1 the difference ``1 - a`` has few
  digits left, while ``e / (1 + e)^2`` with ``e = exp(-|z|)`` keeps all of them.
* In the backward pass 0 times infinity is 0. In log -> sigmoid a dose of 0 gives a = -inf and then
  sigma' = 0: the parameters before it cannot change the output, and their derivatives are 0.
* An activation is NaN outside its domain, and NaN stays NaN.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from .errors import ActivationError, ParameterError, ShapeError
from .losses import LOSSES

__all__ = ["ACTIVATIONS", "LOSSES", "Walk", "forward", "gradient", "times", "trace"]

Function: TypeAlias = Callable[[float], float]

# ---- arithmetic of IEEE 754 where Python would raise an exception ------------------------------


def times(factor: float, x: float) -> float:
    """Multiply in the backward pass, where 0 times infinity is 0.

    Parameters
    ----------
    factor, x : float

    Returns
    -------
    float
        ``factor * x``, or 0 if one is 0 and the other infinite. NaN stays NaN.
    """
    product = factor * x
    return 0.0 if math.isnan(product) and not (math.isnan(factor) or math.isnan(x)) else product


def _over(z: float) -> float:
    return 1.0 / z if z else math.copysign(math.inf, z)


def _exp(z: float) -> float:
    try:
        return math.exp(z)
    except OverflowError:
        return math.inf


def _expm1(z: float) -> float:
    try:
        return math.expm1(z)
    except OverflowError:
        return math.inf


# ---- activations: each value, then its slope ---------------------------------------------------


def _identity(z: float) -> float:
    return z


def _identity_slope(z: float) -> float:
    return 1.0


def _sigmoid(z: float) -> float:
    e = math.exp(-abs(z))
    return 1.0 / (1.0 + e) if z >= 0 else e / (1.0 + e)


def _sigmoid_slope(z: float) -> float:
    e = math.exp(-abs(z))
    return e / (1.0 + e) ** 2


def _tanh_slope(z: float) -> float:
    return 4.0 * _sigmoid_slope(2.0 * z)


def _relu(z: float) -> float:
    return z if z > 0 else 0.0


def _relu_slope(z: float) -> float:
    return 1.0 if z > 0 else 0.0


def _leaky_relu(z: float) -> float:
    return z if z > 0 else 0.01 * z


def _leaky_relu_slope(z: float) -> float:
    return 1.0 if z > 0 else 0.01


def _elu(z: float) -> float:
    return z if z > 0 else math.expm1(z)


def _elu_slope(z: float) -> float:
    return 1.0 if z > 0 else math.exp(z)


def _softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def _silu(z: float) -> float:
    return times(z, _sigmoid(z))


def _silu_slope(z: float) -> float:
    return _sigmoid(z) + times(z, _sigmoid_slope(z))


def _gelu(z: float) -> float:
    return times(z, _normal_cdf(z))


def _gelu_slope(z: float) -> float:
    return _normal_cdf(z) + times(z, _normal_density(z))


def _softsign(z: float) -> float:
    return z / (1.0 + abs(z)) if math.isfinite(z) else math.copysign(1.0, z)


def _softsign_slope(z: float) -> float:
    r = 1.0 / (1.0 + abs(z))
    return r * r


def _arctan_slope(z: float) -> float:
    return 1.0 / (1.0 + z * z)


def _log(z: float) -> float:
    return math.log(z) if z else -math.inf


def _log_slope(z: float) -> float:
    return _over(abs(z))  # abs: -0 counts as 0


def _log1p(z: float) -> float:
    return math.log1p(z) if z > -1 else -math.inf


def _log1p_slope(z: float) -> float:
    return _over(1.0 + z)


def _reciprocal_slope(z: float) -> float:
    r = _over(z)
    return -(r * r)


def _square(z: float) -> float:
    return z * z


def _square_slope(z: float) -> float:
    return 2.0 * z


def _sqrt_slope(z: float) -> float:
    return 0.5 * _over(abs(math.sqrt(z)))


def _gaussian(z: float) -> float:
    return math.exp(-0.5 * z * z)


def _gaussian_slope(z: float) -> float:
    return times(-z, _gaussian(z))


def _log_sigmoid(z: float) -> float:
    return -_softplus(-z)


def _log_sigmoid_slope(z: float) -> float:
    return _sigmoid(-z)


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _normal_density(z: float) -> float:
    return _gaussian(z) / math.sqrt(2.0 * math.pi)


def _on(low: float, high: float, value: Function, slope: Function) -> tuple[Function, Function]:
    """Give NaN outside the domain [low, high]; NaN itself is outside every domain."""

    def within(function: Function) -> Function:
        return lambda z: function(z) if low <= z <= high else math.nan

    return within(value), within(slope)


def _everywhere(value: Function, slope: Function) -> tuple[Function, Function]:
    return _on(-math.inf, math.inf, value, slope)


ACTIVATIONS: Mapping[str, tuple[Function, Function]] = MappingProxyType(
    {
        "identity": _everywhere(_identity, _identity_slope),
        "sigmoid": _everywhere(_sigmoid, _sigmoid_slope),
        "tanh": _everywhere(math.tanh, _tanh_slope),
        "relu": _everywhere(_relu, _relu_slope),
        "leaky_relu": _everywhere(_leaky_relu, _leaky_relu_slope),
        "elu": _everywhere(_elu, _elu_slope),
        "softplus": _everywhere(_softplus, _sigmoid),
        "silu": _everywhere(_silu, _silu_slope),
        "gelu": _everywhere(_gelu, _gelu_slope),
        "softsign": _everywhere(_softsign, _softsign_slope),
        "arctan": _everywhere(math.atan, _arctan_slope),
        "exp": _everywhere(_exp, _exp),
        "expm1": _everywhere(_expm1, _exp),
        "log": _on(0.0, math.inf, _log, _log_slope),
        "log1p": _on(-1.0, math.inf, _log1p, _log1p_slope),
        "reciprocal": _everywhere(_over, _reciprocal_slope),
        "square": _everywhere(_square, _square_slope),
        "sqrt": _on(0.0, math.inf, math.sqrt, _sqrt_slope),
        "gaussian": _everywhere(_gaussian, _gaussian_slope),
        "log_sigmoid": _everywhere(_log_sigmoid, _log_sigmoid_slope),
        "normal_cdf": _everywhere(_normal_cdf, _normal_density),
        "sin": _on(-sys.float_info.max, sys.float_info.max, math.sin, math.cos),
    }
)
"""Name -> (value, slope), both functions of z, in the order of the C core's codes."""

# ---- the passes --------------------------------------------------------------------------------


def _log_loss(z: float, y: float) -> tuple[float, float]:
    """E = -y log a - (1 - y) log(1 - a) and dE/dz = a - y, for a = sigma(z).

    Computed from z, because a may be rounded to 0 or 1, whose logarithm or that of 1 - a would be
    infinite. Of the two terms, the one with y for z < 0, or 1 - y otherwise, is linear in z.
    """
    e = math.exp(-abs(z))
    if z < 0:
        return times(y, -z) + math.log1p(e), _sigmoid(z) - y
    return times(1.0 - y, z) + math.log1p(e), (1.0 - y) - _sigmoid(-z)


class Walk(NamedTuple):
    """One example's forward and backward pass; entry l - 1 of a list belongs to layer l."""

    z: list[float]
    a: list[float]
    slope: list[float]
    delta: list[float]
    gradient: list[float]
    loss: float


def forward(params: Sequence[float], activations: Sequence[str], x: float) -> float:
    """Compute the output a(L) for one input.

    Parameters
    ----------
    params : sequence of 2L floats
        ``[w1, b1, ..., wL, bL]``.
    activations : sequence of L str
        Keys of `ACTIVATIONS`.
    x : float
        The input a(0).

    Returns
    -------
    float

    Raises
    ------
    ShapeError, ActivationError
    """
    _check_chain(params, activations)
    a = x
    for w, b, name in zip(params[::2], params[1::2], activations, strict=True):
        value, _ = ACTIVATIONS[name]
        a = value(w * a + b)
    return a


def trace(
    params: Sequence[float],
    activations: Sequence[str],
    x: float,
    y: float,
    *,
    loss: str = "squared",
    scale: float = 1.0,
) -> Walk:
    """Make the forward and the backward pass for one example, and return every number.

    Parameters
    ----------
    params, activations, x
        As for `forward`.
    y : float
        The target.
    loss : str
        A key of `LOSSES`.
    scale : float
        Residual at which a robust loss begins to grow more slowly; other losses ignore it.

    Returns
    -------
    Walk

    Raises
    ------
    ShapeError, ActivationError, ParameterError
    """
    _check_chain(params, activations)
    _check_loss(activations, loss, scale, y)
    w, b = params[::2], params[1::2]
    layers = len(activations)

    # Layer l of the notes is entry k = l - 1 of each list.
    z, a, slope = [0.0] * layers, [0.0] * layers, [0.0] * layers
    before = x  # a(l-1)
    for k in range(layers):
        act, act_slope = ACTIVATIONS[activations[k]]
        z[k] = w[k] * before + b[k]
        a[k] = act(z[k])
        slope[k] = act_slope(z[k])
        before = a[k]

    error_and_slope = LOSSES[loss].error_and_slope
    if error_and_slope is None:
        error, delta = _log_loss(z[-1], y)
    else:
        error, delta = error_and_slope(a[-1], y, scale)
        delta = times(delta, slope[-1])

    deltas, derivatives = [0.0] * layers, [0.0] * (2 * layers)
    for k in reversed(range(layers)):
        if k < layers - 1:
            delta = times(delta, w[k + 1])
            delta = times(delta, slope[k])
        deltas[k] = delta
        derivatives[2 * k] = times(delta, a[k - 1] if k > 0 else x)
        derivatives[2 * k + 1] = delta
    return Walk(z, a, slope, deltas, derivatives, error)


def gradient(
    params: Sequence[float],
    activations: Sequence[str],
    x: float | Sequence[float],
    y: float | Sequence[float],
    *,
    loss: str = "squared",
    scale: float = 1.0,
) -> tuple[float, list[float]]:
    """Average the loss and the gradient over the examples.

    Parameters
    ----------
    params, activations, loss, scale
        As for `trace`.
    x, y : float or sequence of n floats
        Inputs and targets; a number is one example.

    Returns
    -------
    loss : float
    gradient : list of 2L floats
        ``[dE/dw1, dE/db1, ..., dE/dwL, dE/dbL]``.

    Raises
    ------
    ShapeError, ActivationError, ParameterError
    """
    xs = [x] if isinstance(x, int | float) else x
    ys = [y] if isinstance(y, int | float) else y
    if len(xs) != len(ys):
        raise ShapeError(f"x has {len(xs)} examples and y has {len(ys)}; expected as many")
    if len(xs) == 0:
        raise ShapeError("an average needs at least one example")
    walks = [
        trace(params, activations, xi, yi, loss=loss, scale=scale)
        for xi, yi in zip(xs, ys, strict=True)
    ]
    n = len(walks)
    columns = zip(*(walk.gradient for walk in walks), strict=True)
    return sum(walk.loss for walk in walks) / n, [sum(column) / n for column in columns]


def _check_chain(params: Sequence[float], activations: Sequence[str]) -> None:
    if len(activations) == 0:
        raise ShapeError("activations is empty; a chain needs at least one layer")
    if len(params) != 2 * len(activations):
        raise ShapeError(
            f"params has length {len(params)}; expected {2 * len(activations)}, "
            f"a weight and a bias for each of {len(activations)} activations"
        )
    for k, name in enumerate(activations):
        if name not in ACTIVATIONS:
            raise ActivationError(
                f"activations[{k}]: {name!r} is not an activation; expected one of "
                + ", ".join(ACTIVATIONS)
            )


def _check_loss(activations: Sequence[str], loss: str, scale: float, y: float) -> None:
    if loss not in LOSSES:
        raise ParameterError(f"loss: {loss!r} is not a loss; expected one of " + ", ".join(LOSSES))
    error_and_slope, _, has_scale, (low, high), _ = LOSSES[loss]
    if has_scale == 1 and not 0 < scale < math.inf:
        raise ParameterError(f"scale: {scale!r} is not positive and finite")
    if has_scale and not math.isfinite(scale):
        raise ParameterError(f"scale: {scale!r} is not finite")
    if error_and_slope is None and activations[-1] != "sigmoid":
        raise ActivationError(f"the {loss} loss needs a chain whose last activation is sigmoid")
    if y < low or y > high:
        raise ParameterError(
            f"y: {y!r} is not between {low:g} and {high:g}, as the {loss} loss needs"
        )
