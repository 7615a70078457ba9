"""Weights by rule, for errors that grow with the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import LOSSES, code_of_loss, no_such_name, real_array
from ..errors import InputTypeError, ParameterError

if TYPE_CHECKING:
    from .._core import _Loss, _Number
    from .curve import Curve

    _Rule: TypeAlias = Literal["1/y", "1/y2", "1/fitted", "1/fitted2"]

__all__ = ["RULES", "Weighting", "weighting"]

Vector: TypeAlias = NDArray[np.float64]

RULES: Final[dict[str, float]] = {"1/y": 1.0, "1/y2": 2.0, "1/fitted": 1.0, "1/fitted2": 2.0}
"""The power of the response to which the variance of an observation is proportional."""


class Weighting(NamedTuple):
    """What is minimised: weights, a loss with its code and scale; and what it says of the errors.

    An observation of weight 1 has a variance in proportion to this power of the curve.
    """

    sample_weight: ArrayLike | None
    loss: _Loss
    code: int
    scale: float
    power: float


def weighting(
    curve: Curve,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    weights: str | None,
    loss: str | None,
    loss_scale: _Number,
) -> Weighting:
    """Translate the arguments of a fit; weights that move with the curve are a loss."""
    given = curve.loss if loss is None else loss
    if given == "log" and curve.activations[-1] != "sigmoid":
        given = "binomial"  # the same likelihood, from the output
    code, scale = code_of_loss(given, loss_scale), float(loss_scale)
    power = {"power": 2.0 * scale, "box_cox": 2.0 - 2.0 * scale}.get(given, 0.0)
    if weights is not None:
        if np.ndim(weights) > 0:
            raise InputTypeError(
                "weights: expected the name of a rule, not an array "
                "(sample_weight takes a weight for each point)"
            )
        if not isinstance(weights, str) or weights not in RULES:
            raise ParameterError(
                f"weights: {weights!r} is no rule; {no_such_name(weights, tuple(RULES))}"
            )
        if given != "squared":
            raise ParameterError(
                f"weights: {weights!r} with the loss {given!r}; expected 'squared'"
            )
        power = RULES[weights]
        if weights.startswith("1/f"):
            given, scale = "power", power / 2.0
            code = LOSSES[given].code
        else:
            sample_weight = _over(real_array(y, "y"), power, sample_weight)
    return Weighting(sample_weight, cast("_Loss", given), code, scale, power)


def _over(y: Vector, power: float, sample_weight: ArrayLike | None) -> Vector:
    """Return sample_weight / y^power; a missing point, NaN, has a weight that is not read."""
    refused = np.argwhere(y <= 0)
    if refused.size:
        place = ", ".join(map(str, refused[0]))
        raise ParameterError(
            f"y[{place}]: {float(y[tuple(refused[0])])!r}; weights of 1/y need a y above 0 "
            "(those of 1/fitted also take a y of 0)"
        )
    known = np.where(np.isfinite(y), y, 1.0)
    weight = 1.0 / known if power == 1.0 else 1.0 / known / known
    if sample_weight is None:
        return weight
    given = real_array(sample_weight, "sample_weight")
    try:
        return np.asarray(weight * given)
    except ValueError:
        return given  # its shape is refused where the others are
