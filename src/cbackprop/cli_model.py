"""The model that the command's arguments describe, and its fit."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._core import Chain, no_such_name
from .curve import Curve
from .curve_fit import CurveFit
from .curves import CURVES
from .errors import ParameterError
from .fitting import FitResult
from .fitting import fit as fit_chain

__all__ = ["assigned", "curve_of", "fitted_by", "names_fitted", "start_of", "values_of"]

Vector: TypeAlias = NDArray[np.float64]


def fitted_by(
    given: argparse.Namespace, x: Vector, y: Vector, weight: Vector | None
) -> CurveFit | FitResult:
    """Fit what the arguments describe."""
    options: dict[str, Any] = {
        "sample_weight": weight,
        "loss_scale": given.loss_scale,
        "covariance": given.covariance,
        "nan_policy": "omit",
    }
    if given.loss is not None:
        options["loss"] = given.loss
    if given.curve is not None:
        return curve_of(given.curve).fit(x, y, fixed=dict(map(assigned, given.fixed)), **options)
    return fit_chain(start_of(given), x, y, **options)


def curve_of(name: str) -> Curve:
    """Find a curve by name."""
    if name not in CURVES:
        raise ParameterError(f"--curve: {name!r}; {no_such_name(name, tuple(CURVES))}")
    return CURVES[name]


def assigned(text: str) -> tuple[str, float]:
    """Read NAME=NUMBER."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ParameterError(f"--fixed: {text!r}; expected NAME=NUMBER") from None


def start_of(given: argparse.Namespace) -> Chain:
    """Make the chain that a fit starts from."""
    activations = [name.strip() for name in given.activations.split(",")]
    params = [1.0, 0.0] * len(activations)
    if given.start is not None:
        try:
            params = [float(text) for text in given.start.split(",")]
        except ValueError:
            raise ParameterError(f"--start: {given.start!r}; expected numbers") from None
        if len(params) != 2 * len(activations):
            raise ParameterError(
                f"--start: {len(params)} numbers, expected {2 * len(activations)}: "
                "a weight and a bias for each layer"
            )
    frozen: tuple[str, ...] = ()
    net = Chain(params[::2], params[1::2], activations)
    if given.free is not None:
        free = [name.strip() for name in given.free.split(",")]
        for name in free:
            if name not in net.param_names:
                raise ParameterError(
                    f"--free: {name!r} is not a parameter; there are {', '.join(net.param_names)}"
                )
        frozen = tuple(name for name in net.param_names if name not in free)
    return Chain(params[::2], params[1::2], activations, frozen)


def values_of(fitted: CurveFit | FitResult) -> Iterator[tuple[str, float, float]]:
    """Name, estimate and standard error of each fitted parameter."""
    if isinstance(fitted, CurveFit):
        for name, value in fitted.params.items():
            yield name, value, fitted.stderr[name]
    else:
        for name, value, error in zip(
            fitted.chain.param_names, fitted.params, fitted.stderr, strict=True
        ):
            if name not in fitted.chain.frozen:
                yield name, float(value), float(error)


def names_fitted(given: argparse.Namespace) -> Sequence[str]:
    """Names of the parameters that a fit will have."""
    if given.curve is not None:
        return curve_of(given.curve).parameters
    start = start_of(given)
    return [name for name in start.param_names if name not in start.frozen]
