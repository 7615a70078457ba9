"""The model that the command's arguments describe, and its fit."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._core import Chain, no_such_name
from ..curves import CURVES, Curve, CurveFit
from ..errors import ParameterError
from ..fits.one import fit as fit_chain
from ..fits.result import FitResult
from .arguments import finite, loss_options

__all__ = [
    "Found",
    "assigned",
    "check_model",
    "curve_of",
    "fitted_by",
    "fixed_of",
    "names_fitted",
    "start_of",
]

Vector: TypeAlias = NDArray[np.float64]

# ---- the model -----------------------------------------------------------------------------------


def check_model(given: argparse.Namespace) -> None:
    """Check the model's arguments before any data are read."""
    if (given.curve is None) == (given.activations is None):
        raise ParameterError("expected --curve or --activations; see: cbackprop curves")
    loss_options(given)
    if given.curve is not None:
        for option in ("start", "free"):
            if getattr(given, option) is not None:
                raise ParameterError(f"--{option}: only for --activations, not for --curve")
        curve_of(given.curve).check_names("--fixed", fixed_of(given))
    else:
        for option in ("fixed", "plot", "interval"):
            if getattr(given, option) is not None:
                raise ParameterError(f"--{option}: only for --curve, not for --activations")
        if given.rule is not None:
            raise ParameterError("--weights: only for --curve, not for --activations")
        start_of(given)


def curve_of(name: str) -> Curve:
    """Find a curve by name."""
    if name not in CURVES:
        raise ParameterError(f"--curve: {name!r}; {no_such_name(name, tuple(CURVES))}")
    return CURVES[name]


def assigned(text: str) -> tuple[str, float]:
    """Read NAME=NUMBER."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), finite(value)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected NAME=NUMBER") from None


def fixed_of(given: argparse.Namespace) -> dict[str, float]:
    """Return the fixed parameters of the curve."""
    fixed = dict[str, float]()
    for name, value in given.fixed or ():
        if name in fixed:
            raise ParameterError(f"--fixed: {name!r} is given twice")
        fixed[name] = value
    return fixed


def start_of(given: argparse.Namespace) -> Chain:
    """Make the chain that a fit starts from."""
    activations = [name.strip() for name in given.activations.split(",")]
    params = [1.0, 0.0] * len(activations)
    if given.start is not None:
        params = given.start
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
                    f"--free: {name!r} is not a parameter; expected {', '.join(net.param_names)}"
                )
            if free.count(name) > 1:
                raise ParameterError(f"--free: {name!r} is given twice")
        frozen = tuple(name for name in net.param_names if name not in free)
    return Chain(params[::2], params[1::2], activations, frozen)


def names_fitted(given: argparse.Namespace) -> Sequence[str]:
    """Names of the parameters in the output of a fit."""
    if given.curve is not None:
        return curve_of(given.curve).parameters
    start = start_of(given)
    return [name for name in start.param_names if name not in start.frozen]


# ---- the fit -------------------------------------------------------------------------------------


def fitted_by(
    given: argparse.Namespace, x: Vector, y: Vector, weight: Vector | None
) -> CurveFit | FitResult:
    """Fit the model that the arguments describe."""
    options: dict[str, Any] = {"sample_weight": weight, **loss_options(given)}
    if given.covariance is not None:
        options["covariance"] = given.covariance
    if given.curve is not None:
        return curve_of(given.curve).fit(x, y, fixed=fixed_of(given), **options)
    return fit_chain(start_of(given), x, y, **options)


class Found(NamedTuple):
    """The results of a fit that are printed."""

    values: Sequence[float]
    errors: Sequence[float]
    rss: float
    residual_sd: float
    df: int | None
    converged: bool
    status: str
    message: str

    @classmethod
    def of(cls, fitted: CurveFit | FitResult) -> Found:
        """Take the results from a single fit."""
        if isinstance(fitted, CurveFit):
            values, errors = list(fitted.params.values()), list(fitted.stderr.values())
        else:
            free = fitted.chain.free
            values, errors = fitted.params[free].tolist(), fitted.stderr[free].tolist()
        return cls(
            values,
            errors,
            fitted.rss,
            fitted.residual_sd,
            fitted.df,
            fitted.converged,
            fitted.status,
            fitted.message,
        )

    def facts(self, names: Sequence[str]) -> dict[str, Any]:
        """Give what JSON says."""
        return {
            "params": dict(zip(names, map(plain, self.values), strict=True)),
            "stderr": dict(zip(names, map(plain, self.errors), strict=True)),
            "rss": plain(self.rss),
            "residual_sd": plain(self.residual_sd),
            "df": self.df,
            "converged": self.converged,
            "status": self.status,
            "message": self.message,
        }


def plain(number: float) -> float | None:
    """Return a number for JSON: None for infinity and NaN, which JSON does not have."""
    return number if math.isfinite(number) else None
