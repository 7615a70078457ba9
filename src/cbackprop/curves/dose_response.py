"""Dose-response curves: Hill, and the logistic ones with four and five parameters."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .form import POSITIVE, Declaration, Form, Mirror
from .starts import DISTANT, WIDTHS, logs, lopsided, steps

__all__ = ["hill", "logistic4", "logistic5"]

hill: Final = Declaration(
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
            lambda x: ((1.0, 0.0, w, -w * m, 1.0, 0.0) for w, m in steps(logs(x))),
            row=len(WIDTHS),
        ),
        Form(
            ("log", "sigmoid", "identity"),
            ("b1", "b2", "b3"),
            lambda top, ec50, slope: (1.0 / ec50, 0.0, slope, 0.0, top, 0.0),
            lambda w1, b1, w2, b2, w3, b3: (w3, 1.0 / w1, w2),
            {"top": "w3", "ec50": "w1", "slope": "w2"},
            lambda x: ((math.exp(-m), 0.0, w, 0.0, 1.0, 0.0) for w, m in steps(logs(x))),
            row=len(WIDTHS),
        ),
    ),
    log_axis=True,
    domain=POSITIVE,
    positive=("ec50",),
)


def _dose_forms() -> tuple[Form, ...]:
    """Forms with bottom, or top, as the last bias; with ec50 in the first weight to fix it."""
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
            lambda x: ((1.0, 0.0, w, -w * m, 1.0, 0.0) for w, m in steps(logs(x), (1.0,))),
            {("bottom", "top"): ("w3", "b3"), ("ec50", "slope"): ("w2", "b2")},
            mirror=Mirror("w3", ("w2", "b2", "w3"), ("b3", "w3")),
            row=len(WIDTHS),
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
            lambda x: ((math.exp(-m), 0.0, w, 0.0, 1.0, 0.0) for w, m in steps(logs(x))),
            {("bottom", "top"): ("w3", "b3")},
            limits={"w3": (0.0, None)},
            row=len(WIDTHS),
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
            lambda x: ((math.exp(-m), 0.0, w, 0.0, -1.0, 0.0) for w, m in steps(logs(x))),
            limits={"w3": (None, 0.0)},
            row=len(WIDTHS),
        ),
    )


logistic4: Final = Declaration(
    "logistic4",
    "bottom + (top - bottom) / (1 + (ec50 / x)^slope)",
    ("bottom", "top", "ec50", "slope"),
    _dose_forms(),
    log_axis=True,
    domain=POSITIVE,
    positive=("ec50",),
)

logistic5: Final = Declaration(
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
            lambda x: ((1.0, 0.0, w, -w * m, a, 0.0, 1.0, 0.0) for w, m, a in lopsided(logs(x))),
            {("bottom", "top"): ("w4", "b4"), ("ec50", "slope"): ("w2", "b2")},
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(WIDTHS),
            distant=DISTANT,
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
                (math.exp(-m), 0.0, w, 0.0, a, 0.0, 1.0, 0.0) for w, m, a in lopsided(logs(x))
            ),
            {("bottom", "top"): ("w4", "b4")},
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(WIDTHS),
            distant=DISTANT,
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
                (math.exp(-m), 0.0, w, 0.0, a, 0.0, 1.0, 0.0) for w, m, a in lopsided(logs(x))
            ),
            limits={"w3": (0.0, None), "w4": (0.0, None)},
            row=len(WIDTHS),
            distant=DISTANT,
        ),
    ),
    log_axis=True,
    domain=POSITIVE,
    positive=("ec50", "asymmetry"),
)
