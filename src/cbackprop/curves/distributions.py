"""Distributions of test statistics, which are SciPy's."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["distributions"]


def distributions() -> Any:
    """Import `scipy.special`.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    """
    try:
        return importlib.import_module("scipy.special")
    except ImportError as error:
        raise ImportError("p-values need SciPy: pip install 'cbackprop[stats]'") from error
