"""The classical models of one variable; `fit` needs no starting values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .. import _core
from .curve import Curve, named
from .definition import define
from .many import CurveFits
from .result import CurveFit, Inverse, Prediction

__all__ = [
    "CURVES",
    "Curve",
    "CurveFit",
    "CurveFits",
    "Inverse",
    "Prediction",
    "arrhenius",
    "asymptotic",
    "define",
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

CURVES: Final[Mapping[str, Curve]] = MappingProxyType({name: named(name) for name in _core.CURVES})
"""Name -> curve, in the order of the documentation."""

linear: Final = CURVES["linear"]
exponential: Final = CURVES["exponential"]
saturation: Final = CURVES["saturation"]
asymptotic: Final = CURVES["asymptotic"]
power: Final = CURVES["power"]
michaelis_menten: Final = CURVES["michaelis_menten"]
hill: Final = CURVES["hill"]
logistic3: Final = CURVES["logistic3"]
logistic4_linear: Final = CURVES["logistic4_linear"]
logistic4: Final = CURVES["logistic4"]
logistic5: Final = CURVES["logistic5"]
gompertz: Final = CURVES["gompertz"]
weibull: Final = CURVES["weibull"]
richards: Final = CURVES["richards"]
gaussian_peak: Final = CURVES["gaussian_peak"]
arrhenius: Final = CURVES["arrhenius"]
platt: Final = CURVES["platt"]
