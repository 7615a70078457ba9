"""The 22 activations in multiple precision, and errors measured in units in the last place.

`jet(name, z)` gives value, slope and second derivative as exact as 60 digits can. The conventions
at jumps, poles and the ends of the domain are those of csrc/cbackprop.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath as mp

mp.mp.dps = 60

# The order is that of enum cbp_activation.
NAMES = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu",
    "softsign", "arctan", "exp", "expm1", "log", "log1p", "reciprocal", "square", "sqrt",
    "gaussian", "log_sigmoid", "normal_cdf", "sin",
)  # fmt: skip
DOMAIN = {"log": (0.0, math.inf), "log1p": (-1.0, math.inf), "sqrt": (0.0, math.inf)}
SIN_REACH = 2.0**20  # sin promises accuracy up to here
BOUNDS = (2.5, 4.0, 8.0)  # the promised largest error of value, slope and second, in ulp

SMALLEST = -1074  # exponents of the double format
LARGEST = 1023
ZERO, ONE, TWO = mp.mpf(0), mp.mpf(1), mp.mpf(2)
INF, NAN = mp.inf, mp.nan


class Jet(NamedTuple):
    """Value, slope and second derivative."""

    value: mp.mpf
    slope: mp.mpf
    second: mp.mpf


NOWHERE = Jet(NAN, NAN, NAN)


class Scales(NamedTuple):
    """Largest term of each formula where cancellation makes an isolated zero; 0 means: none."""

    value: mp.mpf = ZERO
    slope: mp.mpf = ZERO
    second: mp.mpf = ZERO


def held(z: mp.mpf, reach: int) -> mp.mpf:
    """z, held where exp has long left the double format but is still cheap to compute."""
    return max(min(z, mp.mpf(reach)), mp.mpf(-reach))


def growth(z: mp.mpf) -> mp.mpf:
    return mp.exp(held(z, 3000))


def logistic(z: mp.mpf) -> mp.mpf:
    return 1 / (1 + growth(-z))


def logistic_slope(z: mp.mpf) -> mp.mpf:
    e = growth(-abs(z))
    return e / (1 + e) ** 2


def logistic_second(z: mp.mpf) -> mp.mpf:
    return -logistic_slope(z) * mp.tanh(held(z, 3000) / 2)


def bell(z: mp.mpf) -> mp.mpf:
    return mp.exp(-(held(z, 100) ** 2) / 2)


def density(z: mp.mpf) -> mp.mpf:
    return bell(z) / mp.sqrt(2 * mp.pi)


def cumulative(z: mp.mpf) -> mp.mpf:
    return mp.erfc(-held(z, 100) / mp.sqrt(2)) / 2


def identity(z: mp.mpf) -> Jet:
    return Jet(z, ONE, ZERO)


def sigmoid(z: mp.mpf) -> Jet:
    return Jet(logistic(z), logistic_slope(z), logistic_second(z))


def tanh(z: mp.mpf) -> Jet:
    value, slope = mp.tanh(held(z, 3000)), 4 * logistic_slope(2 * z)
    return Jet(value, slope, -2 * value * slope)


def relu(z: mp.mpf) -> Jet:
    return Jet(z, ONE, ZERO) if z > 0 else Jet(ZERO, ZERO, ZERO)


def leaky_relu(z: mp.mpf) -> Jet:
    return Jet(z, ONE, ZERO) if z > 0 else Jet(z / 100, ONE / 100, ZERO)


def elu(z: mp.mpf) -> Jet:
    return Jet(z, ONE, ZERO) if z > 0 else Jet(mp.expm1(held(z, 3000)), growth(z), growth(z))


def softplus(z: mp.mpf) -> Jet:
    # log1p of a tiny number is taken whole: mpmath keeps its digits
    return Jet(max(z, ZERO) + mp.log1p(growth(-abs(z))), logistic(z), logistic_slope(z))


def silu(z: mp.mpf) -> Jet:
    near = held(z, 3000)
    slope = logistic(near) + near * logistic_slope(near)
    return Jet(z * logistic(z), slope, 2 * logistic_slope(near) + near * logistic_second(near))


def gelu(z: mp.mpf) -> Jet:
    near = held(z, 100)
    return Jet(
        z * cumulative(z), cumulative(near) + near * density(near), (2 - near**2) * density(near)
    )


def softsign(z: mp.mpf) -> Jet:
    size = 1 + abs(z)
    return Jet(z / size, size**-2, -2 * mp.sign(z) * size**-3)


def arctan(z: mp.mpf) -> Jet:
    size = 1 + z * z
    return Jet(mp.atan(z), 1 / size, -2 * z / size**2)


def exp(z: mp.mpf) -> Jet:
    return Jet(growth(z), growth(z), growth(z))


def expm1(z: mp.mpf) -> Jet:
    return Jet(mp.expm1(held(z, 3000)), growth(z), growth(z))


def log(z: mp.mpf) -> Jet:
    return Jet(mp.log(z), 1 / z, -(z**-2)) if z else Jet(-INF, INF, -INF)


def log1p(z: mp.mpf) -> Jet:
    size = mp.fadd(z, 1, exact=True)
    return Jet(mp.log1p(z), 1 / size, -(size**-2)) if size else Jet(-INF, INF, -INF)


def reciprocal(z: mp.mpf) -> Jet:
    return Jet(1 / z, -(z**-2), 2 * z**-3)


def square(z: mp.mpf) -> Jet:
    return Jet(z * z, 2 * z, TWO)


def sqrt(z: mp.mpf) -> Jet:
    root = mp.sqrt(z)
    return Jet(root, 1 / (2 * root), -1 / (4 * z * root)) if z else Jet(ZERO, INF, -INF)


def gaussian(z: mp.mpf) -> Jet:
    near = held(z, 100)
    return Jet(bell(z), -near * bell(near), (near**2 - 1) * bell(near))


def log_sigmoid(z: mp.mpf) -> Jet:
    mirrored = softplus(-z)
    return Jet(-mirrored.value, mirrored.slope, -mirrored.second)


def normal_cdf(z: mp.mpf) -> Jet:
    near = held(z, 100)
    return Jet(cumulative(z), density(z), -near * density(near))


def sin(z: mp.mpf) -> Jet:
    return Jet(mp.sin(z), mp.cos(z), -mp.sin(z))


FUNCTIONS: dict[str, Callable[[mp.mpf], Jet]] = {
    function.__name__: function
    for function in (
        identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, gelu, softsign, arctan, exp,
        expm1, log, log1p, reciprocal, square, sqrt, gaussian, log_sigmoid, normal_cdf, sin,
    )
}  # fmt: skip

FLAT_1, FLAT_0 = (ONE, ZERO, ZERO), (ZERO, ZERO, ZERO)
RISING = (INF, ONE, ZERO)
AT_INFINITY = {  # (limits at -inf, limits at +inf)
    "identity": ((-INF, ONE, ZERO), RISING),
    "sigmoid": (FLAT_0, FLAT_1),
    "tanh": ((-ONE, ZERO, ZERO), FLAT_1),
    "relu": (FLAT_0, RISING),
    "leaky_relu": ((-INF, ONE / 100, ZERO), RISING),
    "elu": ((-ONE, ZERO, ZERO), RISING),
    "softplus": (FLAT_0, RISING),
    "silu": (FLAT_0, RISING),
    "gelu": (FLAT_0, RISING),
    "softsign": ((-ONE, ZERO, ZERO), FLAT_1),
    "arctan": ((-mp.pi / 2, ZERO, ZERO), (mp.pi / 2, ZERO, ZERO)),
    "exp": (FLAT_0, (INF, INF, INF)),
    "expm1": ((-ONE, ZERO, ZERO), (INF, INF, INF)),
    "log": (NOWHERE, (INF, ZERO, ZERO)),
    "log1p": (NOWHERE, (INF, ZERO, ZERO)),
    "reciprocal": (FLAT_0, FLAT_0),
    "square": ((INF, -INF, TWO), (INF, INF, TWO)),
    "sqrt": (NOWHERE, (INF, ZERO, ZERO)),
    "gaussian": (FLAT_0, FLAT_0),
    "log_sigmoid": ((-INF, ONE, ZERO), FLAT_0),
    "normal_cdf": (FLAT_0, FLAT_1),
    "sin": (NOWHERE, NOWHERE),
}


def jet(name: str, z: float | mp.mpf) -> Jet:
    """Value, slope and second derivative; NaN outside the domain."""
    x = mp.mpf(z)
    low, high = DOMAIN.get(name, (-math.inf, math.inf))
    if mp.isnan(x) or not low <= x <= high:
        return NOWHERE
    if mp.isinf(x):
        return Jet(*AT_INFINITY[name][x > 0])
    if name == "reciprocal" and x == 0:  # the only pole whose side shows in the sign of zero
        side = INF if math.copysign(1, z) > 0 else -INF
        return Jet(side, -INF, side)
    return FUNCTIONS[name](x)


def scales(name: str, z: float | mp.mpf) -> Scales:
    """The largest term of each formula that has an isolated zero through cancellation.

    silu' = sigma + z sigma', silu'' = 2 sigma' + z sigma''; gelu' = Phi + z phi,
    gelu'' = 2 phi - z^2 phi; gaussian'' = z^2 g - g; sin and its derivatives: what reducing z by
    multiples of pi/2 in a little more than twice the precision leaves.
    """
    x = mp.mpf(z)
    if not mp.isfinite(x):
        return Scales()
    if name == "silu":
        x = held(x, 3000)
        slope = max(logistic(x), abs(x) * logistic_slope(x))
        return Scales(ZERO, slope, max(2 * logistic_slope(x), abs(x * logistic_second(x))))
    if name == "gelu":
        x = held(x, 100)
        slope = max(cumulative(x), abs(x) * density(x))
        return Scales(ZERO, slope, max(TWO, x * x) * density(x))
    if name == "gaussian":
        x = held(x, 100)
        return Scales(ZERO, ZERO, max(ONE, x * x) * bell(x))
    if name == "sin":
        return Scales(*[abs(x) * mp.ldexp(1, -70)] * 3)
    return Scales()


def exponent(x: mp.mpf) -> int:
    """floor(log2 |x|) of a finite x other than 0."""
    return int(mp.frexp(x)[1]) - 1


def ulp(x: mp.mpf) -> mp.mpf:
    """The spacing of doubles at |x|."""
    if x == 0:
        return mp.ldexp(1, SMALLEST)
    return mp.ldexp(1, max(min(exponent(x), LARGEST) - 52, SMALLEST))


def to_double(x: mp.mpf) -> float:
    """The nearest double, ties to even, with gradual underflow (float() would round twice)."""
    if not mp.isfinite(x) or x == 0:
        return float(x)
    unit = ulp(x)
    count = mp.nint(x / unit)
    if abs(count) * unit >= mp.ldexp(1, LARGEST + 1):
        return math.inf if x > 0 else -math.inf
    return math.ldexp(int(count), exponent(unit))


def hexadecimal(x: float) -> str:
    """The C hexadecimal form without trailing zeros: read by strtod and float.fromhex."""
    if not math.isfinite(x):
        return str(x)
    head, tail = x.hex().split("p")
    return (head.rstrip("0").rstrip(".") if "." in head else head) + "p" + tail


def error_in_ulp(got: float, exact: mp.mpf, scale: mp.mpf = ZERO) -> float:
    """|got - exact| in ulp of max(|exact|, scale); infinite where one is NaN or infinite alone."""
    expected = to_double(exact)
    if math.isnan(expected) or math.isnan(got):
        return 0.0 if math.isnan(expected) and math.isnan(got) else math.inf
    if expected == got:
        if math.isinf(got):
            return 0.0
    elif math.isinf(expected):
        return math.inf
    # overflow in place of a number just below it is as wrong as 2^1024 is
    near = math.copysign(1, got) * mp.ldexp(1, 1024) if math.isinf(got) else mp.mpf(got)
    return float(abs(near - exact) / ulp(max(abs(exact), scale)))
