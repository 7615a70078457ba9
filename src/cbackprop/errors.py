"""Exceptions.

Every error of this package is a `CBackpropError`; each is also the built-in exception that a
caller would expect (`ValueError`, and `TypeError` for arrays of a wrong kind), so that code that
does not know this package handles them too.
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
    """Lengths or shapes that do not match, or no elements where at least one is needed."""


class ParameterError(CBackpropError, ValueError):
    """An argument with an invalid value."""


class ActivationError(CBackpropError, ValueError):
    """An activation that does not exist, or that does not suit the operation."""


class InputTypeError(ParameterError, TypeError):
    """An array of complex numbers, objects or text where real numbers are needed."""


class ModelFileError(CBackpropError, ValueError):
    """A model file, or the mapping in it, that does not have the format of this package."""


# enum cbp_status of csrc/cbackprop.h. The codes not listed here (a null pointer, a node out of
# order) can only be bugs of this package, and become a plain CBackpropError.
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
        -22: ParameterError,  # CBP_ERROR_CURVE
        -23: ParameterError,  # CBP_ERROR_DOMAIN
        -24: ParameterError,  # CBP_ERROR_LIMIT
    }
)


def from_status(status: int, text: str) -> CBackpropError:
    """Translate a status of the C core into the exception to raise.

    Parameters
    ----------
    status : int
        A negative member of ``enum cbp_status``.
    text : str
        The message: that of `cbp_status_string`, or a better one where the caller knows more.

    Returns
    -------
    CBackpropError
        An exception of the matching class, not raised. An unknown status becomes a plain
        `CBackpropError` with the number in its message.
    """
    error = _ERROR_OF_STATUS.get(status)
    if error is None:
        return CBackpropError(f"{text} (status {status})")
    return error(text)
