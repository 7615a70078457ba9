"""The classical one-dimensional models as chains: named parameters, no starting values needed.

Every curve is a small declaration: its formula and natural parameters, and one or more *forms*,
chains that compute it. A form says how natural parameters become the chain's and back, which of
them stand in the chain by themselves (and so can be fixed or bounded there), and where a search
may start. The fit is that of `fitting.fit`; standard errors go over by the exact derivatives of
the way back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .curve import Curve, Form, Mirror

__all__ = [
    "CURVES",
    "arrhenius",
    "asymptotic",
    "exponential",
    "gaussian_peak",
    "gompertz",
    "hill",
    "linear",
    "logistic3",
    "logistic4",
    "logistic4_linear",
    "logistic5",
    "michaelis_menten",
    "platt",
    "power",
    "richards",
    "saturation",
    "weibull",
]

Vector: TypeAlias = NDArray[np.float64]
_GAS_CONSTANT: Final = 8.31446261815324  # J/(mol K), exact in the SI of 2019

# ---- where searches start ------------------------------------------------------------------------

_RATES: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0)
_WIDTHS: Final = (0.02, 0.06, 0.15, 0.35, 0.8)
_SIGNS: Final = (1.0, -1.0)
_PLACES: Final = np.linspace(-0.25, 1.25, 13)
_DISTANT: Final = len(_SIGNS) * len(_PLACES) * len(_WIDTHS)


def _extent(x: Vector) -> tuple[float, float]:
    """Least value and extent; 1 in the place of an extent of 0."""
    low, high = float(x.min()), float(x.max())
    return low, high - low or 1.0


def _logs(x: Vector) -> Vector:
    """Logarithms of the positive ones."""
    positive = x[x > 0]
    return np.log(positive) if positive.size else np.zeros(1)


def _rates(x: Vector) -> Iterator[float]:
    """Rates of growth and decay that would show within the data."""
    _, extent = _extent(x)
    return (sign * rate / extent for rate in _RATES for sign in _SIGNS)


def _steps(x: Vector, signs: Sequence[float] = _SIGNS) -> Iterator[tuple[float, float]]:
    """Slope and middle of sigmoids that would show within the data, in rows of all widths."""
    low, extent = _extent(x)
    for sign, place, width in product(signs, _PLACES, _WIDTHS):
        yield sign / (width * extent), low + place * extent


def _lopsided(x: Vector) -> Iterator[tuple[float, float, float]]:
    """Slope, middle and power of such sigmoids to a power; last the _DISTANT.

    Those are on the way to an infinite power, and are 1/2 where the sigmoids would be.
    """
    for power in (0.3, 1.0, 3.0):
        for slope, middle in _steps(x):
            yield slope, middle, power
    shift = math.log(2.0 ** (1.0 / 100.0) - 1.0)
    for slope, middle in _steps(x):
        yield slope, middle + shift / slope, 100.0


# ---- the curves ----------------------------------------------------------------------------------

_POSITIVE: Final = (0.0, math.inf)

linear: Final = Curve(
    "linear",
    "intercept + slope x",
    ("slope", "intercept"),
    (
        Form(
            ("identity",),
            (),
            lambda slope, intercept: (slope, intercept),
            lambda w1, b1: (w1, b1),
            {"slope": "w1", "intercept": "b1"},
            lambda x: iter([(1.0, 0.0)]),
        ),
    ),
)

exponential: Final = Curve(
    "exponential",
    "scale exp(-rate x)",
    ("scale", "rate"),
    (
        Form(
            ("exp", "identity"),
            ("b1", "b2"),
            lambda scale, rate: (-rate, 0.0, scale, 0.0),
            lambda w1, b1, w2, b2: (w2, -w1),
            {"scale": "w2", "rate": "w1"},
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in _rates(x)),
            row=len(_SIGNS),
        ),
    ),
)

saturation: Final = Curve(
    "saturation",
    "asymptote (1 - exp(-rate x))",
    ("asymptote", "rate"),
    (
        Form(
            ("expm1", "identity"),
            ("b1", "b2"),
            lambda asymptote, rate: (-rate, 0.0, -asymptote, 0.0),
            lambda w1, b1, w2, b2: (-w2, -w1),
            {"asymptote": "w2", "rate": "w1"},
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in _rates(x)),
            row=len(_SIGNS),
        ),
    ),
)

asymptotic: Final = Curve(
    "asymptotic",
    "asymptote + (start - asymptote) exp(-rate x)",
    ("asymptote", "start", "rate"),
    (
        Form(
            ("exp", "identity"),
            ("b1",),
            lambda asymptote, start, rate: (-rate, 0.0, start - asymptote, asymptote),
            lambda w1, b1, w2, b2: (b2, b2 + w2, -w1),
            {"asymptote": "b2", "rate": "w1"},
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in _rates(x)),
            {("asymptote", "start"): ("w2", "b2")},
            row=len(_SIGNS),
        ),
        Form(
            ("expm1", "identity"),
            ("b1",),
            lambda asymptote, start, rate: (-rate, 0.0, start - asymptote, start),
            lambda w1, b1, w2, b2: (b2 - w2, b2, -w1),
            {"start": "b2", "rate": "w1"},
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in _rates(x)),
            row=len(_SIGNS),
        ),
    ),
)

power: Final = Curve(
    "power",
    "scale x^exponent",
    ("scale", "exponent"),
    (
        Form(
            ("log", "exp", "identity"),
            ("w1", "b1", "b2", "b3"),
            lambda scale, exponent: (1.0, 0.0, exponent, 0.0, scale, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, w2),
            {"scale": "w3", "exponent": "w2"},
            lambda x: (
                (1.0, 0.0, sign * p, 0.0, 1.0, 0.0)
                for p in (0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
                for sign in _SIGNS
            ),
            row=len(_SIGNS),
        ),
    ),
    log_axis=True,
    domain=_POSITIVE,
)

michaelis_menten: Final = Curve(
    "michaelis_menten",
    "vmax x / (km + x)",
    ("vmax", "km"),
    (
        Form(
            ("log", "sigmoid", "identity"),
            ("w1", "b1", "w2", "b3"),
            lambda vmax, km: (1.0, 0.0, 1.0, -np.log(km), vmax, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, np.exp(-b2)),
            {"vmax": "w3", "km": "b2"},
            lambda x: (
                (1.0, 0.0, 1.0, -m, 1.0, 0.0)
                for m in np.linspace(_logs(x).min() - 3.0, _logs(x).max() + 3.0, 13)
            ),
            row=1,
        ),
    ),
    domain=_POSITIVE,
    positive=("km",),
)

hill: Final = Curve(
    "hill",
    "top / (1 + (ec50 / x)^slope)",
    ("top", "ec50", "slope"),
    (
        Form(
            ("log", "sigmoid", "identity"),
            ("w1", "b1", "b3"),
            lambda top, ec50, slope: (1.0, 0.0, slope, -slope * np.log(ec50), top, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, np.exp(-b2 / w2), w2),
            {"top": "w3", "slope": "w2"},
            lambda x: ((1.0, 0.0, w, -w * m, 1.0, 0.0) for w, m in _steps(_logs(x))),
            row=len(_WIDTHS),
        ),
        Form(
            ("log", "sigmoid", "identity"),
            ("b1", "b2", "b3"),
            lambda top, ec50, slope: (1.0 / ec50, 0.0, slope, 0.0, top, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, 1.0 / w1, w2),
            {"top": "w3", "ec50": "w1", "slope": "w2"},
            lambda x: ((math.exp(-m), 0.0, w, 0.0, 1.0, 0.0) for w, m in _steps(_logs(x))),
            row=len(_WIDTHS),
        ),
    ),
    log_axis=True,
    domain=_POSITIVE,
    positive=("ec50",),
)

logistic3: Final = Curve(
    "logistic3",
    "asymptote / (1 + exp(-(x - midpoint) / scale))",
    ("asymptote", "midpoint", "scale"),
    (
        Form(
            ("sigmoid", "identity"),
            ("b2",),
            lambda asymptote, midpoint, scale: (1.0 / scale, -midpoint / scale, asymptote, 0.0),
            lambda w1, b1, w2, b2: (w2, -b1 / w1, 1.0 / w1),
            {"asymptote": "w2", "scale": "w1"},
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in _steps(x)),
            row=len(_WIDTHS),
        ),
        Form(
            ("identity", "sigmoid", "identity"),
            ("w1", "b2", "b3"),
            lambda asymptote, midpoint, scale: (
                1.0,
                -midpoint,
                1.0 / scale,
                0.0,
                asymptote,
                0.0,
            ),
            lambda w1, b1, w2, b2, w3, b3: (w3, -b1, 1.0 / w2),
            {"asymptote": "w3", "midpoint": "b1", "scale": "w2"},
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in _steps(x)),
            row=len(_WIDTHS),
        ),
    ),
)


logistic4_linear: Final = Curve(
    "logistic4_linear",
    "left + (right - left) / (1 + exp(-(x - midpoint) / scale))",
    ("left", "right", "midpoint", "scale"),
    (
        Form(
            ("sigmoid", "identity"),
            (),
            lambda left, right, midpoint, scale: (
                1.0 / scale,
                -midpoint / scale,
                right - left,
                left,
            ),
            lambda w1, b1, w2, b2: (b2, b2 + w2, -b1 / w1, 1.0 / w1),
            {"left": "b2", "scale": "w1"},
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in _steps(x, (1.0,))),
            {("left", "right"): ("w2", "b2"), ("midpoint", "scale"): ("w1", "b1")},
            mirror=Mirror("w1", ("w1", "b1", "w2"), ("b2", "w2")),
            row=len(_WIDTHS),
        ),
        Form(
            ("identity", "sigmoid", "identity"),
            ("w1", "b2"),
            lambda left, right, midpoint, scale: (
                1.0,
                -midpoint,
                -1.0 / scale,
                0.0,
                left - right,
                right,
            ),
            lambda w1, b1, w2, b2, w3, b3: (b3 + w3, b3, -b1, -1.0 / w2),
            {"right": "b3", "midpoint": "b1", "scale": "w2"},
            lambda x: ((1.0, -m, -w, 0.0, 1.0, 0.0) for w, m in _steps(x, (1.0,))),
            {("left", "right"): ("w3", "b3")},
            row=len(_WIDTHS),
        ),
        Form(
            ("identity", "sigmoid", "identity"),
            ("w1", "b2"),
            lambda left, right, midpoint, scale: (
                1.0,
                -midpoint,
                1.0 / scale,
                0.0,
                right - left,
                left,
            ),
            lambda w1, b1, w2, b2, w3, b3: (b3, b3 + w3, -b1, 1.0 / w2),
            {"left": "b3", "midpoint": "b1", "scale": "w2"},
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in _steps(x, (1.0,))),
            row=len(_WIDTHS),
        ),
    ),
    positive=("scale",),
)


def _dose_forms() -> tuple[Form, ...]:
    """Bottom, or top, in the last bias; ec50 in the first weight where it must stand alone."""
    both = ("log", "sigmoid", "identity")
    return (
        Form(
            both,
            ("w1", "b1"),
            lambda bottom, top, ec50, slope: (
                1.0,
                0.0,
                slope,
                -slope * np.log(ec50),
                top - bottom,
                bottom,
            ),
            lambda w1, b1, w2, b2, w3, b3: (b3, b3 + w3, np.exp(-b2 / w2), w2),
            {"bottom": "b3", "slope": "w2"},
            lambda x: ((1.0, 0.0, w, -w * m, 1.0, 0.0) for w, m in _steps(_logs(x), (1.0,))),
            {("bottom", "top"): ("w3", "b3"), ("ec50", "slope"): ("w2", "b2")},
            mirror=Mirror("w3", ("w2", "b2", "w3"), ("b3", "w3")),
            row=len(_WIDTHS),
        ),
        Form(
            both,
            ("b1", "b2"),
            lambda bottom, top, ec50, slope: (
                1.0 / ec50,
                0.0,
                slope,
                0.0,
                top - bottom,
                bottom,
            ),
            lambda w1, b1, w2, b2, w3, b3: (b3, b3 + w3, 1.0 / w1, w2),
            {"bottom": "b3", "ec50": "w1", "slope": "w2"},
            lambda x: ((math.exp(-m), 0.0, w, 0.0, 1.0, 0.0) for w, m in _steps(_logs(x))),
            {("bottom", "top"): ("w3", "b3")},
            limits={"w3": (0.0, None)},
            row=len(_WIDTHS),
        ),
        Form(
            both,
            ("b1", "b2"),
            lambda bottom, top, ec50, slope: (
                1.0 / ec50,
                0.0,
                -slope,
                0.0,
                bottom - top,
                top,
            ),
            lambda w1, b1, w2, b2, w3, b3: (b3 + w3, b3, 1.0 / w1, -w2),
            {"top": "b3", "ec50": "w1", "slope": "w2"},
            lambda x: ((math.exp(-m), 0.0, w, 0.0, -1.0, 0.0) for w, m in _steps(_logs(x))),
            limits={"w3": (None, 0.0)},
            row=len(_WIDTHS),
        ),
    )


logistic4: Final = Curve(
    "logistic4",
    "bottom + (top - bottom) / (1 + (ec50 / x)^slope)",
    ("bottom", "top", "ec50", "slope"),
    _dose_forms(),
    log_axis=True,
    domain=_POSITIVE,
    positive=("ec50",),
)

logistic5: Final = Curve(
    "logistic5",
    "bottom + (top - bottom) / (1 + (ec50 / x)^slope)^asymmetry",
    ("bottom", "top", "ec50", "slope", "asymmetry"),
    (
        Form(
            ("log", "log_sigmoid", "exp", "identity"),
            ("w1", "b1", "b3"),
            lambda bottom, top, ec50, slope, asymmetry: (
                1.0,
                0.0,
                slope,
                -slope * np.log(ec50),
                asymmetry,
                0.0,
                top - bottom,
                bottom,
            ),
            lambda w1, b1, w2, b2, w3, b3, w4, b4: (b4, b4 + w4, np.exp(-b2 / w2), w2, w3),
            {"bottom": "b4", "slope": "w2", "asymmetry": "w3"},
            lambda x: ((1.0, 0.0, w, -w * m, a, 0.0, 1.0, 0.0) for w, m, a in _lopsided(_logs(x))),
            {("bottom", "top"): ("w4", "b4"), ("ec50", "slope"): ("w2", "b2")},
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(_WIDTHS),
            distant=_DISTANT,
        ),
        Form(
            ("log", "log_sigmoid", "exp", "identity"),
            ("b1", "b2", "b3"),
            lambda bottom, top, ec50, slope, asymmetry: (
                1.0 / ec50,
                0.0,
                slope,
                0.0,
                asymmetry,
                0.0,
                top - bottom,
                bottom,
            ),
            lambda w1, b1, w2, b2, w3, b3, w4, b4: (b4, b4 + w4, 1.0 / w1, w2, w3),
            {"bottom": "b4", "ec50": "w1", "slope": "w2", "asymmetry": "w3"},
            lambda x: (
                (math.exp(-m), 0.0, w, 0.0, a, 0.0, 1.0, 0.0) for w, m, a in _lopsided(_logs(x))
            ),
            {("bottom", "top"): ("w4", "b4")},
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(_WIDTHS),
            distant=_DISTANT,
        ),
        Form(
            ("log", "log_sigmoid", "expm1", "identity"),
            ("b1", "b2", "b3"),
            lambda bottom, top, ec50, slope, asymmetry: (
                1.0 / ec50,
                0.0,
                slope,
                0.0,
                asymmetry,
                0.0,
                top - bottom,
                top,
            ),
            lambda w1, b1, w2, b2, w3, b3, w4, b4: (b4 - w4, b4, 1.0 / w1, w2, w3),
            {"top": "b4", "ec50": "w1", "slope": "w2", "asymmetry": "w3"},
            lambda x: (
                (math.exp(-m), 0.0, w, 0.0, a, 0.0, 1.0, 0.0) for w, m, a in _lopsided(_logs(x))
            ),
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(_WIDTHS),
            distant=_DISTANT,
        ),
    ),
    log_axis=True,
    domain=_POSITIVE,
    positive=("ec50", "asymmetry"),
)

gompertz: Final = Curve(
    "gompertz",
    "asymptote exp(-displacement exp(-rate x))",
    ("asymptote", "displacement", "rate"),
    (
        Form(
            ("exp", "exp", "identity"),
            ("w2", "b2", "b3"),
            lambda asymptote, displacement, rate: (
                -rate,
                np.log(displacement),
                -1.0,
                0.0,
                asymptote,
                0.0,
            ),
            lambda w1, b1, w2, b2, w3, b3: (w3, np.exp(b1), -w1),
            {"asymptote": "w3", "displacement": "b1", "rate": "w1"},
            lambda x: ((-w, w * m, -1.0, 0.0, 1.0, 0.0) for w, m in _steps(x)),
            row=len(_WIDTHS),
        ),
    ),
    positive=("displacement",),
)

weibull: Final = Curve(
    "weibull",
    "asymptote - drop exp(-exp(log_rate) x^power)",
    ("asymptote", "drop", "log_rate", "power"),
    (
        Form(  # exact too where the drop is huge and what falls a small part of it
            ("log", "exp", "expm1", "identity"),
            ("w1", "b1", "w3", "b3"),
            lambda asymptote, drop, log_rate, power: (
                1.0,
                0.0,
                power,
                log_rate,
                -1.0,
                0.0,
                -drop,
                asymptote - drop,
            ),
            lambda w1, b1, w2, b2, w3, b3, w4, b4: (b4 - w4, -w4, b2, w2),
            {"drop": "w4", "log_rate": "b2", "power": "w2"},
            lambda x: ((1.0, 0.0, w, -w * m, -1.0, 0.0, 1.0, 0.0) for w, m in _steps(_logs(x))),
            row=len(_WIDTHS),
            basins=len(_SIGNS),
        ),
        Form(
            ("log", "exp", "exp", "identity"),
            ("w1", "b1", "w3", "b3"),
            lambda asymptote, drop, log_rate, power: (
                1.0,
                0.0,
                power,
                log_rate,
                -1.0,
                0.0,
                -drop,
                asymptote,
            ),
            lambda w1, b1, w2, b2, w3, b3, w4, b4: (b4, -w4, b2, w2),
            {"asymptote": "b4", "drop": "w4", "log_rate": "b2", "power": "w2"},
            lambda x: ((1.0, 0.0, w, -w * m, -1.0, 0.0, 1.0, 0.0) for w, m in _steps(_logs(x))),
            row=len(_WIDTHS),
            basins=len(_SIGNS),
        ),
    ),
    domain=_POSITIVE,
)

richards: Final = Curve(
    "richards",
    "asymptote / (1 + exp(offset - rate x))^(1 / shape)",
    ("asymptote", "offset", "rate", "shape"),
    (
        Form(
            ("log_sigmoid", "exp", "identity"),
            ("b2", "b3"),
            lambda asymptote, offset, rate, shape: (
                rate,
                -offset,
                1.0 / shape,
                0.0,
                asymptote,
                0.0,
            ),
            lambda w1, b1, w2, b2, w3, b3: (w3, -b1, w1, 1.0 / w2),
            {"asymptote": "w3", "offset": "b1", "rate": "w1", "shape": "w2"},
            lambda x: (
                (w, -w * m, a, 0.0, 1.0, 0.0) for a in (0.2, 0.6, 1.5, 5.0) for w, m in _steps(x)
            ),
            limits={"w2": (0.0, None)},
            row=len(_WIDTHS),
        ),
    ),
    positive=("shape",),
)

gaussian_peak: Final = Curve(
    "gaussian_peak",
    "height exp(-((x - center) / width)^2 / 2)",
    ("height", "center", "width"),
    (
        Form(
            ("gaussian", "identity"),
            ("b2",),
            lambda height, center, width: (1.0 / width, -center / width, height, 0.0),
            lambda w1, b1, w2, b2: (w2, -b1 / w1, 1.0 / w1),
            {"height": "w2", "width": "w1"},
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in _steps(x, (1.0,))),
            mirror=Mirror("w1", ("w1", "b1")),
            row=len(_WIDTHS),
        ),
        Form(
            ("identity", "gaussian", "identity"),
            ("w1", "b2", "b3"),
            lambda height, center, width: (1.0, -center, 1.0 / width, 0.0, height, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, -b1, 1.0 / w2),
            {"height": "w3", "center": "b1", "width": "w2"},
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in _steps(x, (1.0,))),
            limits={"w2": (0.0, None)},
            row=len(_WIDTHS),
        ),
    ),
    positive=("width",),
)

arrhenius: Final = Curve(
    "arrhenius",
    "prefactor exp(-activation_energy / (R x)), x in kelvin, energy in J/mol",
    ("prefactor", "activation_energy"),
    (
        Form(
            ("reciprocal", "exp"),
            ("w1", "b1"),
            lambda prefactor, activation_energy: (
                1.0,
                0.0,
                -activation_energy / _GAS_CONSTANT,
                np.log(prefactor),
            ),
            lambda w1, b1, w2, b2: (np.exp(b2), -w2 * _GAS_CONSTANT),
            {"prefactor": "b2", "activation_energy": "w2"},
            lambda x: (
                (1.0, 0.0, -energy, energy / float(x.mean()) + level)
                for energy in (-2e4, -5e3, -5e2, 5e2, 2e3, 5e3, 1e4, 2e4)
                for level in range(-40, 41, 5)
            ),
        ),
    ),
    domain=_POSITIVE,
    positive=("prefactor",),
)

platt: Final = Curve(
    "platt",
    "1 / (1 + exp(-(slope x + intercept)))",
    ("slope", "intercept"),
    (
        Form(
            ("sigmoid",),
            (),
            lambda slope, intercept: (slope, intercept),
            lambda w1, b1: (w1, b1),
            {"slope": "w1", "intercept": "b1"},
            lambda x: iter([(0.0, 0.0), *((w, -w * m) for w, m in _steps(x))]),
        ),
    ),
    loss="log",
)

CURVES: Final[Mapping[str, Curve]] = MappingProxyType(
    {
        curve.name: curve
        for curve in (
            linear,
            exponential,
            saturation,
            asymptotic,
            power,
            michaelis_menten,
            hill,
            logistic3,
            logistic4_linear,
            logistic4,
            logistic5,
            gompertz,
            weibull,
            richards,
            gaussian_peak,
            arrhenius,
            platt,
        )
    }
)
"""Name -> curve, in the order of the documentation."""
