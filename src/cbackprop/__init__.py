"""Scalar chain networks: exact forward and backward passes, for teaching, research and models.

A chain has L layers of one unit each, z = w a + b and a = act(z); see `Chain`.
"""

from . import curves
from ._core import ACTIVATIONS, Chain, __version__
from .c_core import get_include, get_source, low_level_callable
from .c_export import export_c
from .curve import Curve
from .curve_fit import CurveFit
from .errors import (
    ActivationError,
    CBackpropError,
    InputTypeError,
    ModelFileError,
    ParameterError,
    ShapeError,
)
from .fitting import FitProgress, FitResult, Objective, fit
from .model_file import load
from .trace import Trace

__all__ = [
    "ACTIVATIONS",
    "ActivationError",
    "CBackpropError",
    "Chain",
    "Curve",
    "CurveFit",
    "FitProgress",
    "FitResult",
    "InputTypeError",
    "ModelFileError",
    "Objective",
    "ParameterError",
    "ShapeError",
    "Trace",
    "__version__",
    "curves",
    "export_c",
    "fit",
    "get_include",
    "get_source",
    "load",
    "low_level_callable",
]
