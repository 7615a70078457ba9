"""The command ``cbackprop``."""

from .main import main

__all__ = ["main"]
