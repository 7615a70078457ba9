"""Curves: natural parameters on a chain, and how one is fitted without starting values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Chain, code_of_loss, no_such_name
from ..errors import InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Number, as_float, ends_of, examples_of
from .form import Declaration
from .many import CurveFits, ManySearch
from .result import CurveFit
from .search import Search

if TYPE_CHECKING:
    from .._core import _Loss, _Number

__all__ = ["Curve"]

Vector: TypeAlias = NDArray[np.float64]
_NO_DATA: Final = (np.empty(0), np.empty(0), None)


class Curve(Declaration):
    """A classical model: its formula, its natural parameters, and the chains that compute it.

    Attributes
    ----------
    name, formula : str
    parameters : tuple of str
        Names of the natural parameters.
    forms : tuple of Form
        The first is used unless what is fixed or bounded needs another.
    loss : str
        What a fit minimises unless it is told otherwise.
    log_axis : bool
        Whether the curve lives on a logarithmic x axis.
    domain : tuple of float
        Least and greatest x.
    positive : tuple of str
        Natural parameters that are above 0.
    """

    def __repr__(self) -> str:
        """Name the curve as it is imported."""
        return f"curves.{self.name}"

    def chain(self, **natural: Number) -> Chain:
        """Make the chain of given natural parameters.

        Raises
        ------
        ParameterError
            If a name is missing or unknown, or a number not finite or not positive where it has to
            be.
        InputTypeError
            If a parameter is not a number.
        """
        self.check_names("parameters", natural)
        missing = [name for name in self.parameters if name not in natural]
        if missing:
            raise ParameterError(f"{missing[0]}: missing; {self.name} has {self._signature()}")
        form = self.forms[0]
        values = [self._checked(name, name, natural[name]) for name in self.parameters]
        try:
            with np.errstate(all="ignore"):
                params = form.chain(*values)
            return Chain(params[::2], params[1::2], form.activations, form.frozen)
        except (ArithmeticError, ParameterError):
            given = ", ".join(f"{name}={natural[name]!r}" for name in self.parameters)
            raise ParameterError(f"{self.name} has no curve of {given}") from None

    @overload
    def __call__(self, x: _Number, **natural: Number) -> float: ...
    @overload
    def __call__(self, x: ArrayLike, **natural: Number) -> Vector: ...
    def __call__(self, x: ArrayLike, **natural: Number) -> float | Vector:
        """Compute the curve with given natural parameters."""
        return self.chain(**natural).forward(x)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number = 1.0,
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
        with np.errstate(all="ignore"):
            inputs, targets, weights = _data(x, y, sample_weight, nan_policy)
            self.check_domain(inputs)
            search = self._search(
                (inputs, targets, weights), fixed, bounds, loss, loss_scale, covariance
            )
            free = len(self.parameters) - len(search.fixed)
            if len(inputs) < max(free, 1):
                points = "1 point is" if len(inputs) == 1 else f"{len(inputs)} points are"
                raise ShapeError(f"x: {points} fewer than {free} parameters to fit")
            fitted = search.report(search.best())
            for name, pair in search.asked.items():
                # a bound that the chain's parameters cannot have: if it is passed, it holds
                value, (low, high) = fitted.params[name], ends_of(name, pair)
                if name not in search.mapped and (value < low or value > high):
                    fitted = self.fit(
                        inputs,
                        targets,
                        sample_weight=weights,
                        fixed={**search.fixed, name: low if value < low else high},
                        bounds={
                            other: ends for other, ends in search.asked.items() if other != name
                        },
                        loss=loss,
                        loss_scale=loss_scale,
                        covariance=covariance,
                    )
                    fitted.message += f"; at a bound: {name}"
                    fitted.n_parameters += 1  # it is no more known beforehand than the others
                    return fitted
            return fitted

    def fit_many(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number = 1.0,
        threads: int | None = None,
    ) -> CurveFits:
        """Fit the curve to m data sets at once, as `fit` would one by one.

        All are fitted side by side, each from the best of the starts that `fit` knows. Other starts
        are not tried where that one does not converge, or leaves a parameter unidentified, as with
        data that do not have the curve's shape: the status says so, and `fit` can be asked.

        Parameters
        ----------
        x : array_like, shape (n,) or (m, n)
            Inputs, the same for all or a row for each.
        y : array_like, shape (m, n)
            Targets; NaN is a missing point.
        sample_weight : array_like, shape (n,) or (m, n), optional
            A weight of 0 or more for every point.
        fixed, bounds, loss, loss_scale
            As for `fit`.
        threads : int, optional
            How many to use; by default as many as there are cores that this process may use.

        Returns
        -------
        CurveFits
            A data set that cannot be fitted says so in its status; the others are fitted.

        Raises
        ------
        ParameterError
            If a name is unknown, an x lies outside the curve's domain, or what is fixed and bounded
            cannot be combined.
        ShapeError
            If shapes do not fit together.
        InputTypeError
            If x, y or weights are not real numbers.
        """
        with np.errstate(all="ignore"):
            options = {"fixed": fixed, "bounds": bounds, "loss": loss, "loss_scale": loss_scale}
            search = self._search(_NO_DATA, fixed, bounds, loss, loss_scale, "gauss-newton")
            return ManySearch.of(search, x, y, sample_weight, options).run(threads)

    def _search(
        self,
        data: tuple[Vector, Vector, Vector | None],
        fixed: Mapping[str, Number] | None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None,
        loss: _Loss | None,
        loss_scale: _Number,
        covariance: Literal["gauss-newton", "hessian"],
    ) -> Search:
        """Choose the form that holds what is fixed, and most of what is bounded."""
        for argument, named in (("fixed", fixed), ("bounds", bounds)):
            if not isinstance(named, Mapping | None):
                raise InputTypeError(f"{argument}: expected a mapping of names, got {named!r}")
        fixed, bounds = fixed or {}, bounds or {}
        self.check_names("fixed", fixed)
        self.check_names("bounds", bounds)
        known = {
            name: self._checked(f"fixed[{name!r}]", name, value) for name, value in fixed.items()
        }
        for name, pair in bounds.items():
            _, high = ends_of(name, pair)
            if name in self.positive and high <= 0:
                raise ParameterError(f"bounds[{name!r}]: high {high!r}; {name} is positive")
            if name in known:
                raise ParameterError(f"bounds: {name!r} is fixed already")
        able = [form for form in self.forms if form.holds(known) is not None]
        if not able:
            raise ParameterError(f"fixed: {self.name} cannot hold {', '.join(known)} together")
        form = max(able, key=lambda form: sum(name in form.alone for name in bounds))
        loss = self.loss if loss is None else loss
        code_of_loss(loss, loss_scale)  # which checks them
        return Search(self, form, *data, known, dict(bounds), loss, float(loss_scale), covariance)

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

    def _checked(self, argument: str, name: str, value: object) -> float:
        """Make a float of a natural parameter that an argument gives."""
        if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
            raise InputTypeError(f"{argument}: expected a number, got {value!r}")
        number = as_float(argument, value)
        least = "positive " if name in self.positive else ""
        if not math.isfinite(number) or (least and number <= 0):
            raise ParameterError(f"{argument}: {number!r}; expected a {least}finite number")
        return number

    def check_domain(self, x: Vector) -> None:
        """Raise ParameterError if an x lies outside the curve's domain."""
        low, high = self.domain
        wrong = np.flatnonzero(~((x >= low) & (x <= high)))
        if wrong.size:
            raise ParameterError(
                f"x[{wrong[0]}]: {float(x[wrong[0]])!r}; "
                f"{self.name} is defined from {low:g} to {high:g}"
            )


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
        weight = "" if weights is None else f", weight = {float(weights[i])!r}"
        raise ParameterError(
            f"point {i} is not finite: x = {float(inputs[i])!r}, y = {float(targets[i])!r}{weight} "
            "(nan_policy='omit' leaves such points out)"
        )
    return inputs[finite], targets[finite], None if weights is None else weights[finite]
