"""The classical models of one variable as chains, with their natural parameters.

Every curve is a small declaration: its formula and natural parameters, and one or more *forms*,
chains that compute it. A form has the maps from natural parameters to those of the chain and back,
the natural parameters that are determined by one parameter of the chain (and so can be fixed or
bounded), and candidates for starts. The chain is fitted by `cbackprop.fit`; the standard errors of
natural parameters follow from the exact derivatives of the map from the chain's parameters.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .dose_response import hill, logistic4, logistic5
from .form import POSITIVE, Declaration, Form, Mirror
from .starts import SIGNS, WIDTHS, logs, rates, steps

__all__ = ["DECLARATIONS"]

_GAS_CONSTANT: Final = 8.31446261815324  # J/(mol K), exact in the SI of 2019

linear: Final = Declaration(
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

exponential: Final = Declaration(
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
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in rates(x)),
            row=len(SIGNS),
        ),
    ),
)

saturation: Final = Declaration(
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
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in rates(x)),
            row=len(SIGNS),
        ),
    ),
)

asymptotic: Final = Declaration(
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
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in rates(x)),
            {("asymptote", "start"): ("w2", "b2")},
            row=len(SIGNS),
        ),
        Form(
            ("expm1", "identity"),
            ("b1",),
            lambda asymptote, start, rate: (-rate, 0.0, start - asymptote, start),
            lambda w1, b1, w2, b2: (b2 - w2, b2, -w1),
            {"start": "b2", "rate": "w1"},
            lambda x: ((-k, 0.0, 1.0, 0.0) for k in rates(x)),
            row=len(SIGNS),
        ),
    ),
)

power: Final = Declaration(
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
                for sign in SIGNS
            ),
            row=len(SIGNS),
        ),
    ),
    log_axis=True,
    domain=POSITIVE,
)

michaelis_menten: Final = Declaration(
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
                for m in np.linspace(logs(x).min() - 3.0, logs(x).max() + 3.0, 13)
            ),
            row=1,
        ),
    ),
    domain=POSITIVE,
    positive=("km",),
)

logistic3: Final = Declaration(
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
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in steps(x)),
            row=len(WIDTHS),
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
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in steps(x)),
            row=len(WIDTHS),
        ),
    ),
)


logistic4_linear: Final = Declaration(
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
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in steps(x, (1.0,))),
            {("left", "right"): ("w2", "b2"), ("midpoint", "scale"): ("w1", "b1")},
            mirror=Mirror("w1", ("w1", "b1", "w2"), ("b2", "w2")),
            row=len(WIDTHS),
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
            lambda x: ((1.0, -m, -w, 0.0, 1.0, 0.0) for w, m in steps(x, (1.0,))),
            {("left", "right"): ("w3", "b3")},
            row=len(WIDTHS),
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
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in steps(x, (1.0,))),
            row=len(WIDTHS),
        ),
    ),
    positive=("scale",),
)


gompertz: Final = Declaration(
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
            lambda x: ((-w, w * m, -1.0, 0.0, 1.0, 0.0) for w, m in steps(x)),
            row=len(WIDTHS),
        ),
    ),
    positive=("displacement",),
)

weibull: Final = Declaration(
    "weibull",
    "asymptote - drop exp(-exp(log_rate) x^power)",
    ("asymptote", "drop", "log_rate", "power"),
    (
        Form(  # accurate also where the drop is huge and the data cover a small part of it
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
            lambda x: ((1.0, 0.0, w, -w * m, -1.0, 0.0, 1.0, 0.0) for w, m in steps(logs(x))),
            row=len(WIDTHS),
            basins=len(SIGNS),
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
            lambda x: ((1.0, 0.0, w, -w * m, -1.0, 0.0, 1.0, 0.0) for w, m in steps(logs(x))),
            row=len(WIDTHS),
            basins=len(SIGNS),
        ),
    ),
    domain=POSITIVE,
)

richards: Final = Declaration(
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
                (w, -w * m, a, 0.0, 1.0, 0.0) for a in (0.2, 0.6, 1.5, 5.0) for w, m in steps(x)
            ),
            limits={"w2": (0.0, None)},
            row=len(WIDTHS),
        ),
    ),
    positive=("shape",),
)

gaussian_peak: Final = Declaration(
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
            lambda x: ((w, -w * m, 1.0, 0.0) for w, m in steps(x, (1.0,))),
            mirror=Mirror("w1", ("w1", "b1")),
            row=len(WIDTHS),
        ),
        Form(
            ("identity", "gaussian", "identity"),
            ("w1", "b2", "b3"),
            lambda height, center, width: (1.0, -center, 1.0 / width, 0.0, height, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, -b1, 1.0 / w2),
            {"height": "w3", "center": "b1", "width": "w2"},
            lambda x: ((1.0, -m, w, 0.0, 1.0, 0.0) for w, m in steps(x, (1.0,))),
            limits={"w2": (0.0, None)},
            row=len(WIDTHS),
        ),
    ),
    positive=("width",),
)

arrhenius: Final = Declaration(
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
    domain=POSITIVE,
    positive=("prefactor",),
)

platt: Final = Declaration(
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
            lambda x: iter([(0.0, 0.0), *((w, -w * m) for w, m in steps(x))]),
        ),
    ),
    loss="log",
)

DECLARATIONS: Final = (
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
"""In the order of the documentation."""
