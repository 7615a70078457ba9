"""How far rounding may carry a chain's numbers, to first order, from the promises of the header."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
UNIT = 2.0**-53
EPSILON = 2 * UNIT
# Errors of an activation's value that cbackprop.h promises, and of its slope.
VALUE_ULP, SLOPE_ULP = 2.5, 4.0


def forward_bound(net: cbp.Chain, x: float) -> float:
    """Largest error of net(x).

    A layer rounds w a and the sum with b, half a unit each (a fused one rounds once, and less),
    multiplies what it was given by |w| and then by its slope, and adds the error of its value.
    """
    seen = net.trace(x, 0.0)
    error, a = 0.0, x
    for w, z, value, slope in zip(net.weights, seen.z, seen.a, seen.slope, strict=True):
        error = abs(w) * error + UNIT * (abs(w * a) + abs(z))
        error = abs(slope) * error + VALUE_ULP * float(np.spacing(abs(value)))
        a = value
    return float(error)


def inverse_bound(net: cbp.Chain, x: float) -> float:
    """Largest error of net.inverse(net(x)).

    On the way back a layer divides what it was given by its slope, adds the error of its inverse,
    taken as 8 units of |z| + |slope of the inverse * value| (its terms, where they cancel), rounds
    the difference with b and the quotient by w, and divides by |w|.
    """
    seen = net.trace(x, 0.0)
    error = forward_bound(net, x)
    inputs = [x, *seen.a[:-1].tolist()]
    layers = list(zip(net.params[::2], inputs, seen.z, seen.a, seen.slope, strict=True))
    for w, before, z, value, slope in reversed(layers):
        error = error / abs(slope) + 8 * EPSILON * (abs(z) + abs(value / slope))
        error = (error + UNIT * abs(w * before)) / abs(w) + UNIT * abs(before)
    return float(error)


def sum_bound(rows: Floats) -> Floats:
    """Largest error of the sums over axis 0 of these terms, as the core adds them.

    A block of 2048 examples is added in 3 + 16 + 4 roundings at most for any one term (eight
    numbers in pairs, sixteen tiles, sixteen lanes in pairs), each product in one more; blocks are
    added with compensation; twice, because the second order and the final quotient count too.
    """
    sums: Floats = np.abs(rows).sum(axis=0)
    return 2 * 24 * UNIT * sums
