"""What can go wrong, as exceptions.

Every error of this package is a `CBackpropError`; each is also the built-in exception that a
caller would expect (`ValueError`, and `TypeError` for arrays of a wrong kind), so that code which
has never heard of this package handles them too.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = [
    "ActivationError",
    "CBackpropError",
    "InputTypeError",
    "ModelFileError",
    "ParameterError",
    "ShapeError",
    "from_status",
]


class CBackpropError(Exception):
    """Any error of this package."""


class ShapeError(CBackpropError, ValueError):
    """Lengths or shapes that do not fit together, or nothing where something is needed."""


class ParameterError(CBackpropError, ValueError):
    """An argument whose value is not among those that make sense."""


class ActivationError(CBackpropError, ValueError):
    """An activation that does not exist, or that this operation cannot work with."""


class InputTypeError(ParameterError, TypeError):
    """An array of complex numbers, objects or text where real numbers are needed."""


class ModelFileError(CBackpropError, ValueError):
    """A model file, or the mapping in it, that is not what this package writes."""


# enum cbp_status of csrc/cbackprop.h. What is missing here (a null pointer, a node out of order)
# can only be a mistake of this package, and becomes a plain CBackpropError.
_ERROR_OF_STATUS: Final = MappingProxyType(
    {
        -2: ShapeError,  # CBP_ERROR_LAYERS
        -3: ActivationError,  # CBP_ERROR_ACTIVATION
        -4: ShapeError,  # CBP_ERROR_EMPTY
        -5: ParameterError,  # CBP_ERROR_LOSS
        -6: ParameterError,  # CBP_ERROR_SCALE
        -7: ActivationError,  # CBP_ERROR_NO_SIGMOID
        -8: ParameterError,  # CBP_ERROR_TARGET
        -9: ParameterError,  # CBP_ERROR_WEIGHT
        -10: ParameterError,  # CBP_ERROR_NOT_INVERTIBLE
        -11: ParameterError,  # CBP_ERROR_LEARNING_RATE
        -12: ParameterError,  # CBP_ERROR_NOT_FINITE
        -13: ParameterError,  # CBP_ERROR_KERNEL
        -14: ParameterError,  # CBP_ERROR_OPTION
        -15: ParameterError,  # CBP_ERROR_NO_FREE
        -16: ShapeError,  # CBP_ERROR_FEW_EXAMPLES
        -17: ParameterError,  # CBP_ERROR_BOUNDS
        -18: ParameterError,  # CBP_ERROR_START
        -19: ParameterError,  # CBP_ERROR_START_LOSS
        -20: ParameterError,  # CBP_ERROR_DATA
    }
)


def from_status(status: int, text: str) -> CBackpropError:
    """Translate a status of the C core into the exception to raise.

    Parameters
    ----------
    status : int
        A negative member of ``enum cbp_status``.
    text : str
        The message: `cbp_status_string`'s sentence, or a better one where the caller knows more.

    Returns
    -------
    CBackpropError
        An exception of the fitting class, not raised. A status that is not known becomes a plain
        `CBackpropError` that shows the number.
    """
    error = _ERROR_OF_STATUS.get(status)
    if error is None:
        return CBackpropError(f"{text} (status {status})")
    return error(text)
