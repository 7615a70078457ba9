"""Paths of the C core in this package, for programs that compile it, and a function for SciPy."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import _core

if TYPE_CHECKING:
    from ._core import Chain

__all__ = ["get_include", "get_source", "low_level_callable"]

# written by setup.py
_FOLDER: Final = Path(__file__).parent / "include"


def get_include() -> str:
    """Return the folder of ``cbackprop.h``, for the compiler's option ``-I``.

    Returns
    -------
    str
    """
    return str(_FOLDER)


def get_source() -> str:
    """Return the path of ``cbackprop.c``, the whole C core in one file.

    It needs no compiler flags and only the C library. It includes itself, so that a copy needs the
    same name. A Cython module that has ``cimport cbackprop`` lists it among its sources.

    Returns
    -------
    str
    """
    return str(_FOLDER / "cbackprop.c")


def low_level_callable(chain: Chain) -> Any:
    """Return a chain's forward pass as a C function that SciPy calls without Python.

    `scipy.integrate.quad` and similar functions accept it as a function of one number. It uses the
    chain's parameters at the time of the call, and keeps a reference to the chain.

    Parameters
    ----------
    chain : Chain

    Returns
    -------
    scipy.LowLevelCallable
        With the signature ``double (double, void *)``.

    Raises
    ------
    ImportError
        If SciPy is not installed.

    Examples
    --------
    >>> from scipy.integrate import quad
    >>> import cbackprop as cbp
    >>> chain = cbp.Chain([1.0], [0.0], "sigmoid")
    >>> round(quad(cbp.low_level_callable(chain), -1, 1)[0], 9)
    1.0
    """
    try:
        scipy = import_module("scipy")
    except ImportError:
        raise ImportError("this needs SciPy: pip install scipy") from None
    return scipy.LowLevelCallable.from_cython(_core, "forward_at", _core.low_level(chain))
