"""Scalar chain networks: fit, invert and differentiate them, and follow their backward pass.

A chain has L layers of one unit each, z = w a + b and a = act(z); see `Chain`. The classical curves
of one variable are chains; see `cbackprop.curves`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._core import ACTIVATIONS, Chain, __version__
from .errors import (
    ActivationError,
    CBackpropError,
    InputTypeError,
    ModelFileError,
    ParameterError,
    ShapeError,
)

if TYPE_CHECKING:
    from . import curves
    from .c_core import get_include, get_source, low_level_callable
    from .c_export import export_c
    from .chain_array import ChainArray
    from .curves import Curve, CurveFit
    from .fits.many import FitManyResult, fit_many
    from .fits.one import Objective, fit
    from .fits.result import FitProgress, FitResult
    from .model_file import load
    from .trace import Trace
else:
    # Imported at the first use, since they take longer to import than the rest of the package.
    _MODULE_OF = {
        "ChainArray": "chain_array",
        "Curve": "curves",
        "CurveFit": "curves",
        "FitManyResult": "fits.many",
        "FitProgress": "fits.result",
        "FitResult": "fits.result",
        "Objective": "fits.one",
        "Trace": "trace",
        "curves": "curves",
        "export_c": "c_export",
        "fit": "fits.one",
        "fit_many": "fits.many",
        "get_include": "c_core",
        "get_source": "c_core",
        "load": "model_file",
        "low_level_callable": "c_core",
    }

    def __getattr__(name):
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f".{_MODULE_OF[name]}", __name__)
        found = module if name == _MODULE_OF[name] else getattr(module, name)
        globals()[name] = found
        return found

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "ACTIVATIONS",
    "ActivationError",
    "CBackpropError",
    "Chain",
    "ChainArray",
    "Curve",
    "CurveFit",
    "FitManyResult",
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
    "fit_many",
    "get_include",
    "get_source",
    "load",
    "low_level_callable",
]
