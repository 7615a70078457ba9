"""Random inputs and parameters on which a curve shows itself: both directions, 6 to 30 points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from cbackprop import curves

Floats = npt.NDArray[np.float64]
NOISE = 0.03  # of the range of the data

# The formulas in NumPy, of x and natural parameters by name.
FORMULAS: Final[dict[str, Callable[..., Floats]]] = {
    "linear": lambda x, slope, intercept: intercept + slope * x,
    "exponential": lambda x, scale, rate: scale * np.exp(-rate * x),
    "saturation": lambda x, asymptote, rate: -asymptote * np.expm1(-rate * x),
    "asymptotic": lambda x, asymptote, start, rate: (
        asymptote + (start - asymptote) * np.exp(-rate * x)
    ),
    "power": lambda x, scale, exponent: scale * x**exponent,
    "michaelis_menten": lambda x, vmax, km: vmax * x / (km + x),
    "hill": lambda x, top, ec50, slope: top / (1 + (ec50 / x) ** slope),
    "logistic3": lambda x, asymptote, midpoint, scale: (
        asymptote / (1 + np.exp(-(x - midpoint) / scale))
    ),
    "logistic4_linear": lambda x, left, right, midpoint, scale: (
        left + (right - left) / (1 + np.exp(-(x - midpoint) / scale))
    ),
    "logistic4": lambda x, bottom, top, ec50, slope: (
        bottom + (top - bottom) / (1 + (ec50 / x) ** slope)
    ),
    "logistic5": lambda x, bottom, top, ec50, slope, asymmetry: (
        bottom + (top - bottom) * np.exp(-asymmetry * np.log1p((ec50 / x) ** slope))
    ),
    "gompertz": lambda x, asymptote, displacement, rate: (
        asymptote * np.exp(-displacement * np.exp(-rate * x))
    ),
    "weibull": lambda x, asymptote, drop, log_rate, power: (
        asymptote - drop - drop * np.expm1(-np.exp(log_rate) * x**power)
    ),
    "richards": lambda x, asymptote, offset, rate, shape: (
        asymptote * np.exp(-np.log1p(np.exp(offset - rate * x)) / shape)
    ),
    "gaussian_peak": lambda x, height, center, width: (
        height * np.exp(-(((x - center) / width) ** 2) / 2)
    ),
    "arrhenius": lambda x, prefactor, activation_energy: (
        prefactor * np.exp(-activation_energy / (8.31446261815324 * x))
    ),
    "platt": lambda x, slope, intercept: 1 / (1 + np.exp(-(slope * x + intercept))),
}


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
    return cases[name]


def noisy(name: str, rng: np.random.Generator) -> tuple[Floats, Floats, dict[str, float]]:
    """Inputs, outputs with noise, and the parameters behind them; a probability stays one."""
    x, true = draw(name, rng)
    exact = np.asarray(curves.CURVES[name](x, **true))
    noise = rng.normal(size=x.size) * NOISE
    y = np.clip(exact + noise, 0, 1) if name == "platt" else exact + noise * np.ptp(exact)
    return x, y, true
