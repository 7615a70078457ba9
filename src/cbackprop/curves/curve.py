"""Curves: chains with natural parameters, fitted without starting values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._core import Chain, no_such_name
from ..errors import InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Count, Number, as_float, ends_of
from .arguments import check_covariance, options_of, points_of
from .covariance import Fitted, exact_covariance, sandwich_covariance, with_known_variance
from .groups import FoundGroups, GroupFits
from .many import CurveFits, fit_sets
from .result import CurveFit
from .robust import fit_by_mad
from .sharing import Share, groups_of, sharing_of
from .weights import weighting

if TYPE_CHECKING:
    from .._core import _Loss, _Number
    from .weights import _Rule

__all__ = ["Curve", "named"]

Vector: TypeAlias = NDArray[np.float64]
_NAMED: Final[dict[str, Curve]] = {}
_BAD_DATA: Final = -20  # CBP_ERROR_DATA


class Curve:
    """A classical model: its formula, its natural parameters, and the chain that computes it.

    The curves of `cbackprop.curves` are those of the C core, which fits them.

    Attributes
    ----------
    name, formula : str
    parameters : tuple of str
        Names of the natural parameters.
    activations, frozen : tuple of str
        Of the chain that computes the curve; frozen are its constant parameters.
    loss : str
        The default loss of a fit.
    log_axis : bool
        Whether the curve is drawn with a logarithmic x axis.
    domain : tuple of float
        Least and greatest x.
    log_dose : bool
        Whether x is the logarithm of a dose: then an x of minus infinity, a dose of 0, is allowed.
    positive : tuple of str
        Natural parameters that are above 0.
    ends : tuple of str
        Of sigmoids with two plateaus, the names of the lower and the upper one, and of the slope,
        whose sign tells which one is at low x.
    """

    def __init__(self, name: str) -> None:
        self._take(name, _core.CURVES[name])

    def _take(self, name: str, facts: _core.CurveFacts) -> None:
        self.name, self.formula, self.parameters = name, facts.formula, facts.parameters
        self.activations, self.frozen, self.loss = facts.activations, facts.frozen, facts.loss
        self.log_axis, self.domain, self.positive = facts.is_log_x, facts.domain, facts.positive
        self.row, self.log_dose, self.ends = facts.row, facts.is_log_dose, facts.ends
        ones = np.ones(len(self.activations))
        self._template = Chain(ones, ones, self.activations, self.frozen)
        # what a function of x and the natural parameters has
        names = ("x", *self.parameters)
        self.__name__ = name
        self.__signature__ = Signature(
            [Parameter(each, Parameter.POSITIONAL_OR_KEYWORD) for each in names]
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the curve by its name."""
        return named, (self.name,)

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
        values = [self._checked(name, name, natural[name]) for name in self.parameters]
        try:
            return self.chain_of(np.array(values))
        except ParameterError:
            given = ", ".join(f"{name}={natural[name]!r}" for name in self.parameters)
            raise ParameterError(f"{self.name} has no curve of {given}") from None

    def chain_of(self, natural: Vector) -> Chain:
        """Make the chain of an array of natural parameters."""
        params, _ = _core.curve_chain(self.row, natural)
        return Chain(params[::2], params[1::2], self.activations, self.frozen)

    def chain_with(self, params: Vector) -> Chain:
        """Make the chain with these parameters of its own, which are not checked."""
        chain = self._template.copy()
        chain.params[:] = params
        return chain

    @overload
    def __call__(self, x: _Number, *values: Number, **natural: Number) -> float: ...
    @overload
    def __call__(self, x: ArrayLike, *values: Number, **natural: Number) -> Vector: ...
    def __call__(self, x: ArrayLike, *values: Number, **natural: Number) -> float | Vector:
        """Compute the curve with given natural parameters, by name or in their order.

        In their order a curve is a function for `scipy.optimize.curve_fit` and `lmfit.Model`: where
        there is no curve of these parameters, such as a negative `ec50`, it is NaN, from which a
        search steps back. By name this is an error.

        Raises
        ------
        ParameterError
            As for `chain`, if all parameters are named.
        TypeError
            If there are values in order, and a parameter is missing, unknown or given twice.
        InputTypeError
            If a parameter is not a number.
        """
        if not values:
            return self.chain(**natural).forward(x)
        given = self.__signature__.bind(x, *values, **natural).arguments
        try:
            chain = self.chain(**{name: given[name] for name in self.parameters})
        except InputTypeError:
            raise
        except ParameterError:
            chain = self._template.copy()
            chain.params[:] = math.nan
        return chain.forward(x)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        weights: _Rule | None = None,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number | Literal["mad"] = 1.0,
        max_iterations: Count | None = None,
        tolerance: Number | None = None,
        covariance: Literal["gauss-newton", "hessian", "sandwich"] = "gauss-newton",
        absolute_sigma: bool = False,
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
        sample_weight, tolerance, nan_policy
            As for `cbackprop.fit`.
        covariance : {"gauss-newton", "hessian", "sandwich"}
            As for `cbackprop.fit`; "sandwich" is the estimate HC3 (MacKinnon and White 1985), valid
            for any variances; only for the losses "squared", "poisson", and "log" of `platt`.
        absolute_sigma : bool, default False
            Whether weights are 1 / sd^2 with known standard deviations of the errors, so that their
            variance is not estimated, and intervals are by the normal distribution.
        max_iterations : int, default 2000
            Iterations from each start that is tried; the steps towards a limit take at most four
            times as many.
        fixed : mapping of str to float, optional
            Natural parameters that are known, such as ``{"bottom": 0}``.
        bounds : mapping of str to (low, high), optional
            Bounds of natural parameters; None is no bound. A bound of `bottom` or `top` is one of
            the lesser or the greater plateau, unless only ``bottom > top`` can meet the bounds.
        weights : {"1/y", "1/y2", "1/fitted", "1/fitted2"}, optional
            Errors that grow with the response: their variance is in proportion to y or its square,
            or to the curve or its square. Weights of "1/fitted" are those of the curve that is
            found: the fit is that of iterated reweighting. They are multiplied by `sample_weight`.
        loss : str, optional
            As for `cbackprop.fit`; by default the `loss` of the curve. "log" and "binomial" are the
            same: y is a proportion, and `sample_weight` has the numbers of trials.
        loss_scale : float or "mad", default 1.0
            Scale of a robust loss. "mad" finds it from the data: 1.345 ("huber"), 2.385 ("cauchy";
            both of Holland and Welsch 1977) or 1.287 ("soft_l1") times 1.4826 times the median of
            the absolute residuals. These make the fit 95 % as efficient as least squares if errors
            are normal. The curve is fitted by least squares, then at the scale of the last fit
            until the scale changes by less than 1e-8, or 100 times. It is the fit's `loss_scale`.

        Returns
        -------
        CurveFit

        Raises
        ------
        ParameterError
            If a name is unknown, an x lies outside the curve's domain, what is fixed and bounded
            cannot be combined, or "mad" finds residuals that are rounding errors.
        ShapeError
            If shapes differ or there are too few points.
        """
        with np.errstate(all="ignore"):
            known, lower, upper = self._limits(fixed, bounds)
            if isinstance(loss_scale, str):
                again = partial(
                    self.fit,
                    x,
                    y,
                    sample_weight=sample_weight,
                    weights=weights,
                    fixed=fixed,
                    bounds=bounds,
                    max_iterations=max_iterations,
                    tolerance=tolerance,
                    covariance=covariance,
                    absolute_sigma=absolute_sigma,
                    nan_policy=nan_policy,
                )
                return fit_by_mad(
                    lambda kind, scale: again(loss=kind, loss_scale=scale),
                    self.loss if loss is None else loss,
                    loss_scale,
                )
            way = weighting(self, y, sample_weight, weights, loss, loss_scale)
            data, _ = points_of(x, y, way.sample_weight, nan_policy, has_log_doses=self.log_dose)
            check_covariance(covariance, ("gauss-newton", "hessian", "sandwich"))
            if covariance == "sandwich" and way.loss not in ("squared", "log", "poisson"):
                raise ParameterError(
                    f"covariance: 'sandwich' with the loss {way.loss!r}; expected 'squared', 'log' "
                    "or 'poisson'"
                )
            if absolute_sigma and (way.loss != "squared" or data[2] is None):
                raise ParameterError("absolute_sigma: only for least squares with sample_weight")
            options = options_of(max_iterations, tolerance)
            free = len(self.parameters) - len(fixed or {})
            if len(data[0]) < max(free, 1):
                points = "1 point is" if len(data[0]) == 1 else f"{len(data[0])} points are"
                raise ShapeError(f"x: {points} fewer than {free} parameters to fit")
            status, found = _core.fit_curve(
                self.row,
                self.start_of(*data[:2]),
                *data,
                known,
                lower,
                upper,
                way.code,
                way.scale,
                *options,
            )
            if found is None:
                self.check_domain(data[0])
                if status == _BAD_DATA:  # all are finite
                    i = int(np.argmax(np.abs(data[0])))
                    raise ParameterError(
                        f"x[{i}]: {float(data[0][i])!r} is too large: its square is not finite"
                    )
                _core.check_status(status, data[1], data[2], way.code)
            one, exact = Fitted(*found), None
            one = with_known_variance(one) if absolute_sigma else one
            if covariance == "hessian":
                exact = exact_covariance(self, one, data, way.loss, way.scale)
            elif covariance == "sandwich":
                exact = sandwich_covariance(self, one, data, way.loss)
            return CurveFit(
                self, one, data, way, fixed=tuple(fixed or ()), exact=exact, bounds=bounds
            )

    def fit_many(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        weights: _Rule | None = None,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number = 1.0,
        max_iterations: Count | None = None,
        tolerance: Number | None = None,
        threads: int | None = None,
    ) -> CurveFits:
        """Fit the curve to m data sets in one call.

        Each data set has the result that `fit` finds for it alone, whatever the others are. Those
        with the same x are fitted side by side, which is many times faster; the few that do not
        converge there are fitted one by one.

        Parameters
        ----------
        x : array_like, shape (n,) or (m, n)
            Inputs, the same for all data sets or a row for each.
        y : array_like, shape (m, n)
            Targets; NaN is a missing point.
        sample_weight : array_like, shape (n,) or (m, n), optional
            A weight of 0 or more for every point.
        weights, fixed, bounds, loss, loss_scale, max_iterations, tolerance
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
        known, lower, upper = self._limits(fixed, bounds)
        way = weighting(self, y, sample_weight, weights, loss, loss_scale)
        return fit_sets(
            self,
            x,
            y,
            sample_weight,
            (known, lower, upper),
            way,
            (max_iterations, tolerance),
            threads,
            partial(
                self.fit,
                weights=weights,
                fixed=None if fixed is None else dict(fixed),
                bounds=None if bounds is None else dict(bounds),
                loss=loss,
                loss_scale=loss_scale,
                max_iterations=max_iterations,
                tolerance=tolerance,
            ),
        )

    def fit_groups(
        self,
        x: ArrayLike,
        y: ArrayLike,
        group: ArrayLike,
        *,
        share: Share = (),
        sample_weight: ArrayLike | None = None,
        weights: _Rule | None = None,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number = 1.0,
        max_iterations: Count | None = None,
        tolerance: Number | None = None,
        covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
        nan_policy: Literal["raise", "omit"] = "raise",
    ) -> GroupFits:
        """Fit the curve to several groups of points that have parameters in common.

        All points are fitted together: a shared parameter has one value, or one for the groups with
        one label, the others one for each group. The time is proportional to the number of groups.

        Parameters
        ----------
        x, y : array_like
            Data of the same shape.
        group : array_like
            A label for each point, such as a text or an integer.
        share : iterable of str, or mapping, optional
            Names of the shared natural parameters, or a mapping of names that says how they are
            shared: True, by all groups; a label for each point, by groups with the same label; a
            mapping of groups to factors, ``{"ec50": {"a": 1, "b": 10}}``: the parameter of a group
            is one common value times its factor. If nothing is shared, parameters are as in
            separate fits, but the residual variance is estimated from all groups together.
        sample_weight, weights, fixed, loss, loss_scale, max_iterations, tolerance, nan_policy
            As for `fit`; what is fixed is so in all groups.
        bounds : mapping of str to (low, high), optional
            As for `fit`, for all groups; of the value where groups have factors.
        covariance : {"gauss-newton", "hessian"}
            As for `fit`, of all parameters. R's `nls` has the first, its package drc the second.

        Returns
        -------
        GroupFits

        Raises
        ------
        ParameterError
            As for `fit`, and if a parameter is both shared and fixed, points of one group have
            different labels, or factors are not those of all groups.
        ShapeError
            If shapes differ, or there are too few points, in all or in a group for the parameters
            of its own.
        InputTypeError
            If `share` is something else, or a factor is no number.
        """
        with np.errstate(all="ignore"):
            way = weighting(self, y, sample_weight, weights, loss, loss_scale)
            data, kept = points_of(x, y, way.sample_weight, nan_policy, has_log_doses=self.log_dose)
            groups = groups_of(group, kept)
            known, lower, upper = self._limits(fixed, bounds)
            sharing = sharing_of(self, share, fixed or {}, groups)
            check_covariance(covariance)
            own = len(self.parameters) - len(fixed or {}) - len(sharing.labels)
            inputs, targets = data[0][groups.order], data[1][groups.order]
            factors = None if data[2] is None else data[2][groups.order]
            groups.check_sizes(own, len(sharing.values), factors)
            parts = groups.split(inputs, targets, factors)
            starts = [self.start_of(*part[:2]) for part in parts]
            status, found = _core.fit_curve_groups(
                self.row,
                None if starts[0] is None else np.array(starts),
                inputs,
                targets,
                factors,
                groups.sizes,
                bytes(name in sharing.labels for name in self.parameters),
                len(sharing.values),
                sharing.numbers,
                sharing.factors,
                known,
                lower,
                upper,
                way.code,
                way.scale,
                *options_of(max_iterations, tolerance),
            )
            if found is None:
                self.check_domain(data[0])
                _core.check_status(status, *data[1:], way.code)
            return GroupFits(
                self,
                FoundGroups(*found),
                parts,
                groups,
                sharing,
                tuple(fixed or ()),
                way,
                bounds=bounds,
                exact=covariance == "hessian",
            )

    def _limits(
        self,
        fixed: Mapping[str, Number] | None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None,
    ) -> tuple[Vector | None, Vector | None, Vector | None]:
        """Return fixed values, or NaN, and lower and upper bounds, each (p,) or None."""
        for argument, named in (("fixed", fixed), ("bounds", bounds)):
            if not isinstance(named, Mapping | None):
                raise InputTypeError(f"{argument}: expected a mapping of names, got {named!r}")
        fixed, bounds = fixed or {}, bounds or {}
        self.check_names("fixed", fixed)
        self.check_names("bounds", bounds)
        if not fixed and not bounds:
            return None, None, None
        known = np.full(len(self.parameters), math.nan)
        lower = np.full(len(self.parameters), -math.inf)
        upper = np.full(len(self.parameters), math.inf)
        for name, value in fixed.items():
            known[self.parameters.index(name)] = self._checked(f"fixed[{name!r}]", name, value)
        for name, pair in bounds.items():
            low, high = ends_of(name, pair)
            if name in self.positive and high <= 0:
                raise ParameterError(f"bounds[{name!r}]: high {high!r}; {name} is positive")
            if name in fixed:
                raise ParameterError(f"bounds: {name!r} is also in fixed; expected one of both")
            place = self.parameters.index(name)
            lower[place], upper[place] = low, high
        return (
            known if fixed else None,
            lower if bounds else None,
            upper if bounds else None,
        )

    # ---- starts ----

    def start_of(self, x: Vector, y: Vector) -> Vector | None:
        """Return natural parameters (p,) from which a fit starts; None if the core finds them."""
        return None

    def starts_of(self, x: Vector, y: Vector, least: int) -> Vector | None:
        """Return those of rows of y with so many points: (m, p), or (p,) if it is one for all."""
        return None

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


def named(name: str) -> Curve:
    """Return the curve of that name, the same object each time."""
    if name not in _NAMED:
        _NAMED[name] = Curve(name)
    return _NAMED[name]
