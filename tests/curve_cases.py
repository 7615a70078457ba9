"""Curves by their formulas, and random inputs and parameters on which they show themselves.

Both directions, 6 to 30 points.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
NOISE = 0.03  # of the range of the data
LEAST = 1e-100  # in place of a dose of 0, which has no logarithm


def draw(name: str, rng: np.random.Generator) -> tuple[Floats, dict[str, float]]:
    """Inputs, and natural parameters of a curve that shows itself on them."""
    n, sign = int(rng.integers(6, 31)), float(rng.choice([-1, 1]))
    u = rng.uniform
    line, dose = np.linspace(0, 10, n), np.exp(np.linspace(-4, 4, n))
    kelvin, low_line, late = (
        np.linspace(280, 360, n),
        np.linspace(0.5, 10, n),
        np.linspace(0.2, 10, n),
    )
    ec50 = math.exp(u(-1.5, 1.5))
    cases: dict[str, tuple[Floats, dict[str, float]]] = {
        "linear": (line, {"slope": sign * u(0.1, 5), "intercept": u(-5, 5)}),
        "exponential": (line, {"scale": u(0.5, 50), "rate": sign * u(0.05, 1)}),
        "saturation": (line, {"asymptote": sign * u(0.5, 50), "rate": u(0.1, 1.5)}),
        "asymptotic": (
            line,
            {"asymptote": u(-5, 5), "start": sign * u(10, 50), "rate": u(0.1, 1.5)},
        ),
        "power": (low_line, {"scale": u(0.5, 10), "exponent": sign * u(0.2, 3)}),
        "michaelis_menten": (dose, {"vmax": u(1, 300), "km": ec50}),
        "hill": (dose, {"top": u(1, 100), "ec50": ec50, "slope": sign * u(0.6, 3)}),
        "logistic3": (
            line,
            {"asymptote": u(1, 100), "midpoint": u(2, 8), "scale": sign * u(0.4, 2)},
        ),
        "logistic4_linear": (
            line,
            {
                "left": u(-5, 5),
                "right": sign * u(10, 50),
                "midpoint": u(3, 7),
                "scale": u(0.4, 1.5),
            },
        ),
        "logistic4": (
            dose,
            {"bottom": u(-1, 1), "top": u(2, 100), "ec50": ec50, "slope": sign * u(0.6, 3)},
        ),
        "logistic5": (
            dose,
            {
                "bottom": u(-1, 1),
                "top": u(2, 100),
                "ec50": ec50,
                "slope": sign * u(0.8, 2.5),
                "asymmetry": u(0.5, 2),
            },
        ),
        "gompertz": (
            line,
            {"asymptote": u(1, 100), "displacement": u(1.5, 8), "rate": u(0.3, 1.2)},
        ),
        "weibull": (
            late,
            {
                "asymptote": u(5, 100),
                "drop": sign * u(5, 100),
                "log_rate": u(-4, -1),
                "power": u(1, 2.5),
            },
        ),
        "richards": (
            line,
            {"asymptote": u(5, 100), "offset": u(2, 5), "rate": u(0.5, 1.2), "shape": u(0.5, 2)},
        ),
        "gaussian_peak": (
            line,
            {"height": sign * u(1, 50), "center": u(2, 8), "width": u(0.7, 3)},
        ),
        "arrhenius": (kelvin, {"prefactor": 10 ** u(5, 14), "activation_energy": u(2e4, 9e4)}),
        "platt": (np.linspace(-4, 4, n), {"slope": sign * u(0.3, 3), "intercept": u(-2, 2)}),
    }
    return cases[name] if name in cases else draw_later(name, rng, n, sign)


def draw_later(
    name: str, rng: np.random.Generator, n: int, sign: float
) -> tuple[Floats, dict[str, float]]:
    """Draw the curves that came later, with which the numbers of the others have not changed."""
    u = rng.uniform
    line, dose, log_dose = (
        np.linspace(0, 10, n),
        np.exp(np.linspace(-4, 4, n)),
        np.linspace(-2, 2, n),
    )
    step = {"slope": sign * u(0.6, 2.5), "lower": u(-1, 1), "upper": u(2, 100)}
    log_step = {
        "bottom": u(-1, 1),
        "top": u(2, 100),
        "logec50": u(-0.7, 0.7),
        "slope": sign * u(0.6, 2.5),
    }
    e = math.exp(u(-1.5, 1.5))
    cases: dict[str, tuple[Floats, dict[str, float]]] = {
        "gaussian_peak_baseline": (
            line,
            {
                "height": sign * u(1, 50),
                "center": u(2, 8),
                "width": u(0.9, 2),
                "baseline": u(-10, 10),
            },
        ),
        "exponential_growth": (line, {"scale": u(0.5, 50), "rate": sign * u(0.05, 1)}),
        "langmuir": (dose, {"qmax": u(1, 300), "k": e}),
        "freundlich": (np.linspace(0.5, 10, n), {"k": u(0.5, 10), "n": u(0.5, 5)}),
        "hill_log10": (log_dose, {k: log_step[k] for k in ("top", "logec50", "slope")}),
        "logistic4_log10": (log_dose, log_step),
        "logistic5_log10": (log_dose, log_step | {"asymmetry": u(0.5, 2)}),
        "weibull_type1": (dose, step | {"e": e}),
        "weibull_type2": (dose, step | {"e": e}),
        "log_normal": (dose, step | {"e": e}),
        "gompertz4": (line, step | {"e": u(3, 7)}),
        "no_effect_dose": (
            np.linspace(0, 10, n + 6),
            {"slope": u(0.3, 1), "lower": u(-5, 5), "upper": sign * u(10, 50), "e": u(2, 5)},
        ),
        "asymptotic_regression": (
            line,
            {"lower": u(-5, 5), "upper": sign * u(10, 50), "e": u(0.7, 8)},
        ),
    }
    return cases[name]


def noisy(name: str, rng: np.random.Generator) -> tuple[Floats, Floats, dict[str, float]]:
    """Inputs, outputs with noise, and the parameters behind them; a probability stays one."""
    x, true = draw(name, rng)
    clean = exact(name, x, true)
    noise = rng.normal(size=x.size) * NOISE
    y = np.clip(clean + noise, 0, 1) if name == "platt" else clean + noise * np.ptp(clean)
    return x, y, true


FORMULAS: dict[str, Callable[..., Any]] = {
    "linear": lambda x, slope, intercept: intercept + slope * x,
    "exponential": lambda x, scale, rate: scale * np.exp(-rate * x),
    "saturation": lambda x, asymptote, rate: asymptote * (1 - np.exp(-rate * x)),
    "asymptotic": lambda x, end, start, rate: end + (start - end) * np.exp(-rate * x),
    "power": lambda x, scale, exponent: scale * x**exponent,
    "michaelis_menten": lambda x, vmax, km: vmax * x / (km + x),
    "hill": lambda x, top, ec50, slope: top * x**slope / (x**slope + ec50**slope),
    "logistic3": lambda x, end, middle, scale: end / (1 + np.exp((middle - x) / scale)),
    "logistic4_linear": lambda x, left, right, middle, scale: (
        left + (right - left) / (1 + np.exp((middle - x) / scale))
    ),
    "logistic4": lambda x, bottom, top, ec50, slope: (
        bottom + (top - bottom) / (1 + np.exp(-slope * (np.log(x) - np.log(ec50))))
    ),
    "logistic5": lambda x, bottom, top, ec50, slope, asymmetry: (
        bottom + (top - bottom) * (1 + (ec50 / x) ** slope) ** -asymmetry
    ),
    "gompertz": lambda x, end, displacement, rate: end * np.exp(-displacement * np.exp(-rate * x)),
    "weibull": lambda x, end, drop, log_rate, power: (
        end - drop * np.exp(-np.exp(log_rate) * x**power)
    ),
    "richards": lambda x, end, offset, rate, shape: (
        end * (1 + np.exp(offset - rate * x)) ** (-1 / shape)
    ),
    "gaussian_peak": lambda x, height, center, width: (
        height * np.exp(-((x - center) ** 2) / (2 * width**2))
    ),
    # R of CODATA 2018, exact
    "arrhenius": lambda x, prefactor, energy: prefactor * np.exp(-energy / (8.31446261815324 * x)),
    "platt": lambda x, slope, intercept: 1 / (1 + np.exp(-slope * x - intercept)),
    "gaussian_peak_baseline": lambda x, height, center, width, baseline: (
        baseline + height * np.exp(-((x - center) ** 2) / (2 * width**2))
    ),
    "exponential_growth": lambda x, scale, rate: scale * np.exp(rate * x),
    "langmuir": lambda x, qmax, k: qmax * k * x / (1 + k * x),
    "freundlich": lambda x, k, n: k * x ** (1 / n),
    "hill_log10": lambda x, top, logec50, slope: top / (1 + 10.0 ** (slope * (logec50 - x))),
    "logistic4_log10": lambda x, bottom, top, logec50, slope: (
        bottom + (top - bottom) / (1 + 10.0 ** (slope * (logec50 - x)))
    ),
    "logistic5_log10": lambda x, bottom, top, logec50, slope, asymmetry: (
        bottom + (top - bottom) * (1 + 10.0 ** (slope * (logec50 - x))) ** -asymmetry
    ),
    "weibull_type1": lambda x, slope, lower, upper, e: (
        lower + (upper - lower) * np.exp(-((x / e) ** slope))
    ),
    "weibull_type2": lambda x, slope, lower, upper, e: (
        lower + (upper - lower) * (1 - np.exp(-((x / e) ** slope)))
    ),
    "log_normal": lambda x, slope, lower, upper, e: (
        lower + (upper - lower) * erfc(-slope * (np.log(x) - np.log(e)) / math.sqrt(2)) / 2
    ),
    "gompertz4": lambda x, slope, lower, upper, e: (
        lower + (upper - lower) * np.exp(-np.exp(slope * (x - e)))
    ),
    "no_effect_dose": lambda x, slope, lower, upper, e: (
        lower + (upper - lower) * np.exp(-slope * np.maximum(x - e, 0))
    ),
    "asymptotic_regression": lambda x, lower, upper, e: (
        lower + (upper - lower) * (1 - np.exp(-x / e))
    ),
}


# Curves that with their limits exchanged are another one: all that are drawn have lower < upper.
ORDERED = ("weibull_type1", "weibull_type2", "gompertz4")


# The weight of the chain that has the sign of a parameter that must be positive, of curves where
# another sign is another curve.
POSITIVE = {
    "logistic5": 2,
    "logistic5_log10": 1,
    "richards": 1,
    "freundlich": 1,
    "no_effect_dose": 0,
    "asymptotic_regression": 0,
}


def is_this_curve(name: str, start: cbp.Chain, found: cbp.Chain) -> bool:
    """Whether what a fit of a drawn chain found is still one of the curve.

    It has lower < upper where that matters, parameters that must be positive are, and its
    parameters are numbers: a prefactor does not overflow, limits that differ do not round to one.
    """
    if name == "arrhenius":
        return bool(abs(found.biases[-1]) < 700)
    if name == "asymptotic":
        return bool(found.biases[-1] + found.weights[-1] != found.biases[-1])
    if name in ORDERED:
        return bool(start.weights[-1] * found.weights[-1] >= 0)
    return name not in POSITIVE or bool(
        start.weights[POSITIVE[name]] * found.weights[POSITIVE[name]] > 0
    )


def exact(name: str, x: Floats, natural: Mapping[str, float]) -> Floats:
    """Compute a curve by its formula, written out; in the order of its parameters."""
    return np.asarray(FORMULAS[name](np.where(x == 0, LEAST, x), *natural.values()))


def exact_jacobian(name: str, x: Floats, natural: Mapping[str, float]) -> Floats:
    """Compute its derivatives by the natural parameters, by complex steps on the formula."""
    columns = []
    for k in range(len(natural)):
        moved = [v + (1e-100j if j == k else 0) for j, v in enumerate(natural.values())]
        columns.append(FORMULAS[name](np.where(x == 0, LEAST, x), *moved).imag / 1e-100)
    return np.array(columns).T


def exact_covariance(
    name: str, x: Floats, y: Floats, natural: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """s^2 (J'J)^-1 of a fit without weights."""
    jacobian = exact_jacobian(name, x, natural)
    variance = np.sum((exact(name, x, natural) - y) ** 2) / (x.size - len(natural))
    root = np.linalg.inv(np.linalg.qr(jacobian, mode="r"))
    return np.asarray(variance * root @ root.T)


def columns(path: Path, *names: str) -> list[list[Any]]:
    """Read columns of a table of numbers and names of herbicides."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return [[row[key] if key == "herbicide" else float(row[key]) for row in rows] for key in names]
