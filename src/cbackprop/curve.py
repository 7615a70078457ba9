"""Curves: natural parameters on a chain, and how one is fitted without starting values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import Chain, no_such_name
from .curve_fit import CurveFit
from .curve_search import Search
from .errors import ParameterError, ShapeError
from .fitting import ends_of, examples_of

if TYPE_CHECKING:
    from ._core import _Loss, _Number

__all__ = ["Curve", "Form"]

Vector: TypeAlias = NDArray[np.float64]

# ---- what a curve is made of ---------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """One chain that computes the curve."""

    activations: tuple[str, ...]
    frozen: tuple[str, ...]
    chain: Callable[..., Sequence[float]]
    """Natural parameters -> [w1, b1, ..., wL, bL]."""
    natural: Callable[..., Sequence[complex]]
    """[w1, b1, ..., wL, bL] -> natural parameters; analytic."""
    alone: Mapping[str, str]
    """Natural parameters that one parameter of the chain alone determines, and which."""
    starts: Callable[[Vector], Iterator[Sequence[float]]]
    """Inputs -> candidates for all of the chain's parameters. Those of a last identity layer, where
    they are free, do not matter: they are solved for."""
    together: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    """Natural parameters that, when all are fixed, fix these parameters of the chain."""
    settle: Callable[[Vector], Vector] | None = None
    """Fitted parameters -> those of the same curve that the names mean, if there are two."""
    upright: str = ""
    """The chain's parameter that is not negative where there is nothing to settle; held to that if
    anything is fixed or bounded, since this is meant of the settled curve."""
    limits: Mapping[str, tuple[float | None, float | None]] | None = None
    """Bounds that the chain's parameters have in any case."""

    def holds(self, fixed: Iterable[str]) -> set[str] | None:
        """Give the chain's parameters that are fixed with these, None if that cannot be said."""
        left, places = set(fixed), set[str]()
        for names, group in (self.together or {}).items():
            if left.issuperset(names):
                places.update(group)
                left.difference_update(names)
        if not left.issubset(self.alone):
            return None
        return places.union(self.alone[name] for name in left)


@dataclass(frozen=True)
class Curve:
    """A classical model: its formula, its natural parameters, and the chains that compute it.

    Attributes
    ----------
    name, formula : str
    parameters : tuple of str
        Names of the natural parameters.
    forms : tuple of Form
        The first is used unless what is fixed or bounded needs another.
    loss : {"squared", "log"}
    log_axis : bool
        Whether the curve lives on a logarithmic x axis.
    domain : tuple of float
        Least and greatest x.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    forms: tuple[Form, ...]
    loss: Literal["squared", "log"] = "squared"
    log_axis: bool = False
    domain: tuple[float, float] = (-math.inf, math.inf)

    def __repr__(self) -> str:
        """Name the curve as it is imported."""
        return f"curves.{self.name}"

    def chain(self, **natural: float) -> Chain:
        """Make the chain of given natural parameters.

        Raises
        ------
        ParameterError
            If a name is missing or unknown.
        """
        self.check_names("parameters", natural)
        missing = [name for name in self.parameters if name not in natural]
        if missing:
            raise ParameterError(f"{missing[0]}: missing; {self.name} has {self._signature()}")
        form = self.forms[0]
        params = form.chain(*(float(natural[name]) for name in self.parameters))
        return Chain(params[::2], params[1::2], form.activations, form.frozen)

    @overload
    def __call__(self, x: _Number, **natural: float) -> float: ...
    @overload
    def __call__(self, x: ArrayLike, **natural: float) -> Vector: ...
    def __call__(self, x: ArrayLike, **natural: float) -> float | Vector:
        """Compute the curve with given natural parameters."""
        return self.chain(**natural).forward(x)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        fixed: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: float = 1.0,
        covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
        nan_policy: Literal["raise", "omit"] = "raise",
    ) -> CurveFit:
        """Fit the curve to data; it finds its own starting values.

        Where the loss has no minimum, but falls for ever as parameters run off to infinity (or to
        0, as the shape of `richards` may), they are taken so far out that it no longer falls by
        1e-9 of itself. The fit is then not converged, its status is "not_identified", and the
        standard errors of these parameters are infinite.

        Parameters
        ----------
        x, y : array_like
            Data of one shape, at least as many points as parameters to fit.
        sample_weight, loss_scale, covariance, nan_policy
            As for `cbackprop.fit`.
        fixed : mapping of str to float, optional
            Natural parameters that are known, such as ``{"bottom": 0}``.
        bounds : mapping of str to (low, high), optional
            Bounds of natural parameters; None is no bound.
        loss : str, optional
            As for `cbackprop.fit`; by default the curve's own.

        Returns
        -------
        CurveFit

        Raises
        ------
        ParameterError
            If a name is unknown, an x lies outside the curve's domain, or what is fixed and bounded
            cannot be combined.
        ShapeError
            If shapes differ or there are too few points.
        """
        fixed, bounds = dict(fixed or {}), dict(bounds or {})
        self.check_names("fixed", fixed)
        self.check_names("bounds", bounds)
        ends = {name: ends_of(name, pair) for name, pair in bounds.items()}
        for name in bounds:
            if name in fixed:
                raise ParameterError(f"bounds: {name!r} is fixed already")
        inputs, targets, weights = _data(x, y, sample_weight, nan_policy)
        self._check_domain(inputs)
        form = self._form_for(fixed, bounds)
        inside = {name: pair for name, pair in bounds.items() if name in form.alone}
        free = len(self.parameters) - len(fixed)
        if len(inputs) < max(free, 1):
            points = "1 point is" if len(inputs) == 1 else f"{len(inputs)} points are"
            raise ShapeError(f"x: {points} fewer than {free} parameters to fit")
        search = Search(
            self,
            form,
            inputs,
            targets,
            weights,
            fixed,
            inside,
            loss or self.loss,
            loss_scale,
            covariance,
        )
        fitted = search.report(search.best())
        for name, (low, high) in ends.items():
            # a bound that the chain's parameters cannot have: if it is passed, it holds
            value = fitted.params[name]
            if name not in search.mapped and (value < low or value > high):
                fitted = self.fit(
                    inputs,
                    targets,
                    sample_weight=weights,
                    fixed={**fixed, name: low if value < low else high},
                    bounds={other: pair for other, pair in bounds.items() if other != name},
                    loss=loss,
                    loss_scale=loss_scale,
                    covariance=covariance,
                )
                fitted.message += f"; at a bound: {name}"
                return fitted
        return fitted

    # ---- arguments ----

    def _signature(self) -> str:
        return ", ".join(self.parameters)

    def check_names(self, argument: str, given: Mapping[str, object]) -> None:
        """Raise ParameterError if a name is not one of the curve's parameters."""
        for name in given:
            if name not in self.parameters:
                near = no_such_name(name, self.parameters)
                raise ParameterError(
                    f"{argument}: {name!r} is not a parameter of {self.name}; {near}"
                )

    def _check_domain(self, x: Vector) -> None:
        low, high = self.domain
        wrong = np.flatnonzero(~((x >= low) & (x <= high)))
        if wrong.size:
            raise ParameterError(
                f"x[{wrong[0]}]: {float(x[wrong[0]])!r}; "
                f"{self.name} is defined from {low:g} to {high:g}"
            )

    def _form_for(self, fixed: Iterable[str], bounds: Iterable[str]) -> Form:
        """Choose the form that holds what is fixed, and most of what is bounded."""
        able = [form for form in self.forms if form.holds(fixed) is not None]
        if not able:
            raise ParameterError(f"fixed: {self.name} cannot hold {', '.join(fixed)} together")
        return max(able, key=lambda form: sum(name in form.alone for name in bounds))


def _data(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, nan_policy: str
) -> tuple[Vector, Vector, Vector | None]:
    """Make flat arrays, without the points that are to be left out."""
    inputs, targets, weights, finite = examples_of(x, y, sample_weight)
    inputs, targets, finite = inputs.reshape(-1), targets.reshape(-1), finite.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    if nan_policy not in ("raise", "omit"):
        raise ParameterError(f"nan_policy: {nan_policy!r}; expected 'raise' or 'omit'")
    if finite.all():
        return inputs, targets, weights
    if nan_policy == "raise":
        i = int(np.flatnonzero(~finite)[0])
        raise ParameterError(
            f"point {i} is not finite: x = {float(inputs[i])!r}, y = {float(targets[i])!r} "
            "(nan_policy='omit' leaves such points out)"
        )
    return inputs[finite], targets[finite], None if weights is None else weights[finite]
