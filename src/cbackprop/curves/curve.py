"""Curves: chains with natural parameters, fitted without starting values."""

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
        Chains that compute the curve; the first is used unless fixed or bounded parameters need
        another one.
    loss : str
        The default loss of a fit.
    log_axis : bool
        Whether the curve is drawn with a logarithmic x axis.
    domain : tuple of float
        Least and greatest x.
    positive : tuple of str
        Natural parameters that are above 0.
    """

    def __repr__(self) -> str:
        """Show the curve as an expression, such as ``curves.logistic4``."""
        return f"curves.{self.name}"

    def chain(self, **natural: Number) -> Chain:
        """Make the chain that computes the curve with these natural parameters.

        Raises
        ------
        ParameterError
            If a name is missing or unknown, or a number is not finite, or not positive where it
            must be.
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
        """Fit the curve to data, without starting values.

        The loss may have no minimum, but decrease towards an infimum as parameters tend to infinity
        (or to 0, as the shape of `richards` may). These parameters are then increased (or
        decreased) until the loss no longer decreases by more than 1e-9 of its value. Such a fit is
        not converged, its status is "not_identified", and the standard errors of these parameters
        are infinite.

        Parameters
        ----------
        x, y : array_like
            Data of the same shape, at least as many points as parameters to fit.
        sample_weight, loss_scale, covariance, nan_policy
            As for `cbackprop.fit`.
        fixed : mapping of str to float, optional
            Natural parameters that are known, such as ``{"bottom": 0}``.
        bounds : mapping of str to (low, high), optional
            Bounds of natural parameters; None is no bound.
        loss : str, optional
            As for `cbackprop.fit`; by default the `loss` of the curve.

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
                # a bound that the chain cannot have: if it is exceeded, fix the parameter there
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
                    fitted.n_parameters += 1  # it was fitted, not known in advance
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
        """Fit the curve to m data sets in one call.

        All are fitted side by side, each from the best of the starts that `fit` uses. If the fit
        from that start does not converge, or does not identify a parameter, as with data that do
        not have the shape of the curve, the status says so; `fit` also tries other starts.

        Parameters
        ----------
        x : array_like, shape (n,) or (m, n)
            Inputs, the same for all data sets or a row for each.
        y : array_like, shape (m, n)
            Targets; NaN is a missing point.
        sample_weight : array_like, shape (n,) or (m, n), optional
            A weight of 0 or more for every point.
        fixed, bounds, loss, loss_scale
            As for `fit`.
        threads : int, optional
            Number of threads; by default the number of cores that this process may use.

        Returns
        -------
        CurveFits
            A data set that cannot be fitted has a status that says why; the others are fitted.

        Raises
        ------
        ParameterError
            If a name is unknown, an x lies outside the curve's domain, or what is fixed and bounded
            cannot be combined.
        ShapeError
            If shapes do not match.
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
        """Choose a form that can fix all fixed parameters and bound most of the bounded ones."""
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
                raise ParameterError(f"bounds: {name!r} is also in fixed; expected one of both")
        able = [form for form in self.forms if form.holds(known) is not None]
        if not able:
            raise ParameterError(f"fixed: {self.name} cannot fix {', '.join(known)} together")
        form = max(able, key=lambda form: sum(name in form.alone for name in bounds))
        loss = self.loss if loss is None else loss
        code_of_loss(loss, loss_scale)  # raises if one is invalid
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
        """Check a natural parameter given by an argument, and convert it to a float."""
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
    """Make flat arrays, without the points to be left out."""
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
