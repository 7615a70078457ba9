"""The classical one-dimensional models as chains: named parameters, no starting values needed."""

from .catalogue import (
    CURVES,
    arrhenius,
    asymptotic,
    exponential,
    gaussian_peak,
    gompertz,
    hill,
    linear,
    logistic3,
    logistic4,
    logistic4_linear,
    logistic5,
    michaelis_menten,
    platt,
    power,
    richards,
    saturation,
    weibull,
)
from .curve import Curve
from .result import CurveFit, Inverse, Prediction

__all__ = [
    "CURVES",
    "Curve",
    "CurveFit",
    "Inverse",
    "Prediction",
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
