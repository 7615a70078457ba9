"""Hazard: defaults that differ from place to place: the same everywhere, as the docs have it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import cbackprop as cbp
from cbackprop import curves, plot, reference

# dask's functions are tests/test_dask.py's
MODULES = (cbp, curves, plot, reference)
DEFAULTS: dict[str, Any] = {
    "activations": "sigmoid",
    "ax": None,
    "batch_size": None,
    "bounds": None,
    "callback": None,
    "covariance": "gauss-newton",
    "domain": (-math.inf, math.inf),
    "fixed": None,
    "frozen": (),
    "interval": None,
    "learning_rate": None,
    "level": 0.95,
    "levels": 30,
    "log_axis": False,
    "loss": "squared",
    "loss_scale": 1.0,
    "max_iterations": None,
    "method": "lm",
    "momentum": None,
    "name": "model",
    "nan_policy": "raise",
    "out": None,
    "path": None,
    "positive": (),
    "replicates": None,
    "residuals": False,
    "restarts": 0,
    "rng": None,
    "sample_weight": None,
    "scale": 1.0,
    "span": None,
    "start": None,
    "threads": None,
    "tolerance": None,
}
ELSEWHERE: dict[tuple[str, str], Any] = {
    ("Curve.fit", "loss"): None,  # the curve's own
    ("Curve.fit_many", "loss"): None,
    ("fit_many", "covariance"): False,  # whether to keep the matrices
}


def functions() -> Iterator[tuple[str, inspect.Signature]]:
    """All that is public and has a signature, classes with their methods."""
    for module in MODULES:
        for name in module.__all__:
            found = {name: getattr(module, name)}
            if inspect.isclass(found[name]):
                members = {f"{name}.{key}": getattr(found[name], key) for key in vars(found[name])}
                found |= {key: member for key, member in members.items() if "._" not in key}
            for key, function in found.items():
                if callable(function):
                    try:
                        yield key, inspect.signature(function)
                    except ValueError:  # classes written in C
                        continue


def test_what_is_left_out_is_the_same_everywhere() -> None:
    seen = set()
    for name, signature in functions():
        for argument in signature.parameters.values():
            if argument.default is not argument.empty:
                expected = ELSEWHERE.get((name, argument.name), DEFAULTS.get(argument.name, "?"))
                assert argument.default == expected, (name, argument.name)
                assert type(argument.default) is type(expected), (name, argument.name)
                seen.add(argument.name)
    assert seen == DEFAULTS.keys()
