"""Distributions of statistics, which are SciPy's."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["distributions"]


def distributions() -> Any:
    """Import scipy.special, or raise ImportError with the command that installs it."""
    try:
        return importlib.import_module("scipy.special")
    except ImportError as error:
        raise ImportError(
            "p-values of t, F and chi-squared statistics need SciPy: pip install 'cbackprop[stats]'"
        ) from error
