"""Hazard: defaults that differ from place to place: the same everywhere, as the docs have it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import curves, plot, reference

# dask's functions are tests/test_dask.py's
MODULES = (cbp, curves, plot, reference)
DEFAULTS: dict[str, Any] = {
    "absolute_sigma": False,
    "activations": "sigmoid",
    "alpha": 0.05,
    "ax": None,
    "batch_size": None,
    "blanks": None,
    "bounds": None,
    "callback": None,
    "covariance": "gauss-newton",
    "criterion": "aicc",
    "domain": None,
    "effective_dose": None,
    "error": "residual",
    "fixed": None,
    "formula": None,
    "frozen": (),
    "interval": "log",
    "inverse": None,
    "kind": "residual",
    "learning_rate": None,
    "level": 0.95,
    "levels": 30,
    "log_axis": False,
    "loss": "squared",
    "loss_scale": 1.0,
    "max_cv": 20.0,
    "max_iterations": None,
    "method": "lm",
    "momentum": None,
    "n": 2000,
    "name": "model",
    "nan_policy": "raise",
    "out": None,
    "path": None,
    "positive": (),
    "q": 0.01,
    "replicates": None,
    "residuals": False,
    "restarts": 0,
    "rng": None,
    "robust": False,
    "sample_weight": None,
    "scale": 1.0,
    "share": (),
    "span": None,
    "start": None,
    "threads": None,
    "tolerance": None,
    "weight": None,
}
ELSEWHERE: dict[tuple[str, str], Any] = {
    ("Curve.fit", "loss"): None,  # the curve's own
    ("Curve.fit_groups", "loss"): None,
    ("Curve.fit_many", "loss"): None,
    ("CurveFit.predict", "interval"): None,
    ("assay_range", "replicates"): 1,  # for `inverse` None is a mean that is known
    ("precision_profile", "replicates"): 1,
    ("Bootstrap.interval", "method"): "bca",
    ("combine", "method"): "weighted",
    ("equivalence", "interval"): "fieller",
    ("potency", "loss"): None,
    ("profile", "name"): None,
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


# what the docs say of options that depend on the method
BY_METHOD: dict[str, dict[str, Any]] = {
    "lm": {"max_iterations": 2000, "tolerance": 1e-10},
    "gradient_descent": {"learning_rate": 0.1},
    "sgd": {"learning_rate": 0.1, "batch_size": 32},
    "momentum": {"learning_rate": 0.1, "momentum": 0.9},
    "adam": {"learning_rate": 0.01},
}


@pytest.mark.parametrize("method", BY_METHOD)
def test_options_of_a_fit_by_its_method(method: Any) -> None:
    x = np.linspace(-1.0, 1.0, 100)
    y = np.tanh(2.0 * x) + 0.1 * np.cos(9.0 * x)
    net = cbp.Chain([1.0, 0.5], [0.1, 0.0], ["tanh", "identity"])
    options = {"max_iterations": 1000, "tolerance": 0.0} | BY_METHOD[method]
    plain = cbp.fit(net, x, y, method=method, rng=1)
    told = cbp.fit(net, x, y, method=method, rng=1, **options)
    assert plain.history.tobytes() == told.history.tobytes()
    assert plain.params.tobytes() == told.params.tobytes()
