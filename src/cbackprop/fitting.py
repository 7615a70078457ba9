"""Fitting a chain to examples: the parameters, and what the data say of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import LOSSES, Chain, no_such_name, real_array
from .errors import CBackpropError, InputTypeError, ParameterError, ShapeError, from_status

if TYPE_CHECKING:
    from ._core import _Loss

__all__ = ["FitProgress", "FitResult", "Objective", "fit"]

Vector: TypeAlias = NDArray[np.float64]
Bounds: TypeAlias = Mapping[str, tuple[float | None, float | None]]

_LM: Final = -1
# Name -> code: enum cbp_method of csrc/cbackprop.h, and below 0 what is no descent.
_METHODS: Final = MappingProxyType(
    {"lm": _LM, "gradient_descent": 0, "sgd": 0, "momentum": 1, "adam": 2}
)
_CURVATURES: Final = MappingProxyType({"gauss-newton": 0, "hessian": 1})
_NAN_POLICIES: Final = MappingProxyType({"raise": 0, "omit": 1})
_MOST: Final = 2**31  # of iterations, restarts and examples in a batch
# enum cbp_outcome: how a fit ended, as `FitResult.status` and in words.
OUTCOMES: Final = MappingProxyType(
    {
        1: ("converged", "converged"),
        2: ("max_iterations", "not converged: max_iterations were not enough"),
        3: ("stopped", "stopped by the callback"),
        4: ("diverged", "diverged: the loss ceased to be finite; a smaller learning rate may help"),
    }
)
_AT_BOUND, UNDETERMINED = 2, 3  # of enum cbp_determined
_ERROR_START, _ERROR_START_LOSS, _ERROR_DATA = -18, -19, -20  # of cbp_status
_ERROR_FEW_EXAMPLES: Final = -16
_HISTORY_MOST: Final = 1_000_000
_LARGE: Final = 100_000  # examples from which a fit goes over shards, on all cores


class FitProgress(NamedTuple):
    """Where a fit has got to; what a callback is given."""

    n_iterations: int
    n_evaluations: int
    loss: float
    gradient_norm: float
    params: Vector


@dataclass(eq=False, repr=False, slots=True)
class FitResult:
    """What a fit has found.

    Attributes
    ----------
    chain : Chain
        The fitted chain, with the activations and frozen parameters of the start.
    loss : float
        The averaged loss.
    rss : float
        sum(weight * (output - target)^2), whatever the loss.
    residual_sd : float
        sqrt(rss / df) for the squared loss, with the weights of the last reweighting for the robust
        ones; df is the number of examples less that of fitted parameters. NaN if df is 0, and for
        losses whose variance is known, as the log loss.
    df : int
        Degrees of freedom left over.
    stderr : ndarray, shape (2L,)
        Standard errors: 0 for frozen parameters and those held at a bound, infinite for those that
        the data do not identify. NaN without `covariance`.
    covariance : ndarray, shape (2L, 2L)
        NaN after a descent that did not converge.
    converged : bool
        Whether a minimum has been reached; it may not be the only one, and need not identify every
        parameter.
    status : str
        "converged", "not_identified" (converged, but some parameters are arbitrary),
        "max_iterations", "stopped" or "diverged".
    message : str
        The status in words, with the parameters concerned.
    identified : ndarray of bool, shape (2L,)
        False for parameters that the data do not fix.
    n_iterations, n_evaluations : int
        Iterations, and passes over the examples.
    gradient_norm : float
        Euclidean norm of the averaged loss' gradient by the free parameters.
    history : ndarray
        The loss at the start and after each iteration.
    """

    chain: Chain
    loss: float
    rss: float
    residual_sd: float
    df: int
    stderr: Vector
    covariance: Vector
    converged: bool
    status: str
    message: str
    identified: NDArray[np.bool_]
    n_iterations: int
    n_evaluations: int
    gradient_norm: float
    history: Vector

    @property
    def params(self) -> Vector:
        """The fitted parameters, [w1, b1, ..., wL, bL]: those of `chain`."""
        return self.chain.params

    def __repr__(self) -> str:
        """Name the status and the loss."""
        return f"<FitResult: {self.message}; loss={self.loss!r}>"

    def __str__(self) -> str:
        """Print a short table."""
        rows = [("", "estimate", "std. error")]
        for name, value, error, free in zip(
            self.chain.param_names, self.params, self.stderr, self.chain.free, strict=True
        ):
            rows.append((name, f"{value:.8g}", f"{error:.5g}" if free else "frozen"))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        iterations = f"{self.n_iterations} iteration{'' if self.n_iterations == 1 else 's'}"
        spread = f", residual sd {self.residual_sd:.6g} on {self.df} degrees of freedom"
        return "\n".join(
            [
                *lines,
                f"loss {self.loss:.8g}{spread if math.isfinite(self.residual_sd) else ''}",
                f"{self.message}; {iterations}",
            ]
        )


class Objective:
    """The averaged loss as a function of the free parameters.

    Made by `Chain.objective`; the chain itself is not changed.
    """

    def __init__(
        self,
        net: Chain,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss,
        loss_scale: float,
        sample_weight: ArrayLike | None,
    ) -> None:
        self._net = net.copy()
        self._free = np.flatnonzero(net.free)
        self._evaluate = partial(
            self._net.loss_and_gradient,
            real_array(x, "x"),
            real_array(y, "y"),
            loss=loss,
            loss_scale=loss_scale,
            sample_weight=sample_weight,
        )
        self.start = net.params[self._free].copy()
        self(self.start)

    def __call__(self, free_params: ArrayLike) -> tuple[float, Vector]:
        """Compute the loss and its gradient.

        Parameters
        ----------
        free_params : array_like
            The parameters that are not frozen, in the order of params.

        Returns
        -------
        tuple of float and ndarray
            The loss, and its derivatives by them.
        """
        self._put(self._net, free_params)
        loss, gradient = self._evaluate()
        return loss, gradient[self._free]

    def chain(self, free_params: ArrayLike) -> Chain:
        """Make a chain of these free parameters and the frozen ones."""
        net = self._net.copy()
        self._put(net, free_params)
        return net

    def _put(self, net: Chain, free_params: ArrayLike) -> None:
        values = real_array(free_params, "free_params")
        if values.shape != self._free.shape:
            raise ShapeError(
                f"free_params: shape {values.shape}, expected {self._free.shape}: "
                "one number for each parameter that is not frozen"
            )
        net.params[self._free] = values


def fit(
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    *,
    method: Literal["lm", "gradient_descent", "sgd", "momentum", "adam"] = "lm",
    loss: _Loss = "squared",
    loss_scale: float = 1.0,
    sample_weight: ArrayLike | None = None,
    bounds: Bounds | None = None,
    max_iterations: int | None = None,
    tolerance: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    momentum: float | None = None,
    rng: int | np.random.Generator | None = None,
    restarts: int = 0,
    covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
    nan_policy: Literal["raise", "omit"] = "raise",
    callback: Callable[[FitProgress], object] | None = None,
) -> FitResult:
    """Find the parameters that make the averaged loss least, from those of `net` on.

    Parameters
    ----------
    net : Chain
        The start, which is not changed. Its frozen parameters stay.
    x, y : array_like
        Inputs and targets of one shape, at least as many as free parameters.
    method : {"lm", "gradient_descent", "sgd", "momentum", "adam"}, default "lm"
        Levenberg-Marquardt, or a descent: on all examples at once, or ("sgd", and the last two with
        a `batch_size`) on batches in shuffled order.
    loss : str, default "squared"
        As for `Chain.loss`.
    loss_scale : float, default 1.0
        Residual at which a robust loss begins to grow more slowly; others do not read it.
    sample_weight : array_like, optional
        A weight of 0 or more for every example.
    bounds : mapping of str to (low, high), optional
        Bounds of parameters by name, such as ``{"w2": (0, None)}``; None is no bound.
    max_iterations : int, default 2000 for "lm", 1000 for descents
        Steps of "lm", passes over all examples of the others.
    tolerance : float, optional
        "lm": converged when the step that remains would change the outputs by less than this share
        of the residuals (default 1e-10). Descents: when the gradient's norm is at most this
        (default 0: all iterations are made).
    learning_rate : float, default 0.1; 0.01 for "adam"
        Of descents.
    batch_size : int, default 32 for "sgd"; else all examples
        Examples for each step of "sgd", "momentum" and "adam".
    momentum : float, default 0.9
        Of "momentum", in [0, 1).
    rng : None, int or numpy.random.Generator
        Passed to `numpy.random.default_rng`: the order of batches, and restarts.
    restarts : int, default 0
        "lm": how many other starts to try, drawn around the given one or between its bounds.
    covariance : {"gauss-newton", "hessian"}, default "gauss-newton"
        From J'J, as R's nls and SciPy have it, or from the exact Hessian of the loss, as R's drc.
    nan_policy : {"raise", "omit"}, default "raise"
        What to do with an example of which a number is NaN or infinite.
    callback : callable, optional
        Called after each iteration with a `FitProgress`; a true answer stops the fit, which returns
        the best found so far.

    Returns
    -------
    FitResult

    Raises
    ------
    ShapeError
        If shapes differ, or there are fewer examples than free parameters.
    ParameterError
        If an option is out of its range or not for this method, everything is frozen, bounds are
        crossed or do not hold the start, an example is not finite, a weight is negative, a target
        is outside what the loss takes, or the loss at the start is not finite.
    ActivationError
        If the loss is "log" and the last activation not a sigmoid.
    InputTypeError
        If x, y or weights are not real numbers.

    Examples
    --------
    >>> import cbackprop as cbp
    >>> start = cbp.Chain([1.0], [0.0], "identity")
    >>> fitted = cbp.fit(start, [0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0])
    >>> fitted.params.round(6).tolist()
    [2.0, 1.0]
    """
    code = _code("method", method, _METHODS)
    _code("covariance", covariance, _CURVATURES)
    _code("nan_policy", nan_policy, _NAN_POLICIES)
    for option, given in (
        ("learning_rate", learning_rate),
        ("batch_size", batch_size),
        ("momentum", momentum),
        ("restarts", restarts or None),
    ):
        if given is not None and method not in _USERS[option]:
            known = ", ".join(repr(user) for user in _USERS[option])
            raise ParameterError(f"{option}: not for method {method!r}, only for {known}")
    if callback is not None and not callable(callback):
        raise InputTypeError(f"callback: expected a function, got {callback!r}")
    if nan_policy == "omit":
        inputs, targets, weights, finite = examples_of(x, y, sample_weight)
        x, y = inputs[finite], targets[finite]
        sample_weight = None if weights is None else weights[finite]
    iterations = count_of("max_iterations", max_iterations, 2000 if code == _LM else 1000)
    restarts = count_of("restarts", restarts, 0, least=0)
    batch = count_of("batch_size", batch_size, 32 if method == "sgd" else 0, least=1)
    if tolerance is None:
        tolerance = 1e-10 if code == _LM else 0.0
    if learning_rate is None:
        learning_rate = 0.01 if method == "adam" else 0.1
    lower, upper = (None, None) if bounds is None else bound_arrays(net, bounds)
    loss_code = _core.code_of_loss(loss, loss_scale)
    is_plain = bounds is None and callback is None and not restarts and covariance != "hessian"
    if code == _LM and is_plain and np.size(y) >= _LARGE:
        from .shards import fit_large  # noqa: PLC0415 it imports this module

        with suppress(CBackpropError):  # what is wrong with the examples is said below
            return fit_large(
                net,
                x,
                y,
                sample_weight,
                loss=loss,
                loss_scale=loss_scale,
                max_iterations=iterations,
                tolerance=number_of("tolerance", tolerance, 0.0, math.inf),
            )
    seed = 0
    if batch or restarts:
        seed = int(np.random.default_rng(rng).integers(2**63))
    history = np.empty(min(iterations * (1 + restarts), _HISTORY_MOST) + 1)
    status, found = _core.fit_chain(
        net,
        x,
        y,
        sample_weight,
        lower,
        upper,
        code,
        loss_code,
        loss_scale,
        iterations,
        number_of("tolerance", tolerance, 0.0, math.inf),
        number_of("learning_rate", learning_rate, 0.0, math.inf),
        number_of("momentum", 0.9 if momentum is None else momentum, 0.0, 1.0),
        batch,
        restarts,
        seed,
        None if callback is None else lambda *state: callback(FitProgress(*state)),
        history,
    )
    if found is None:
        raise _refusal(status, net, x, y, sample_weight, lower, upper, loss_code)
    chain, outcome, n_iterations, n_evaluations, value, gradient_norm = found
    return _result(
        chain,
        (x, y, sample_weight),
        (lower, upper),
        loss=loss,
        loss_scale=loss_scale,
        exact=covariance == "hessian",
        outcome=outcome,
        has_minimum=code == _LM or outcome == 1,
        value=value,
        history=history[: n_iterations + 1].copy(),
        n_iterations=n_iterations,
        n_evaluations=n_evaluations,
        gradient_norm=gradient_norm,
    )


def _result(
    chain: Chain,
    examples: tuple[ArrayLike, ArrayLike, ArrayLike | None],
    bounds: tuple[Vector | None, Vector | None],
    *,
    loss: _Loss,
    loss_scale: float,
    exact: bool,
    outcome: int,
    has_minimum: bool,
    value: float,
    history: Vector,
    n_iterations: int,
    n_evaluations: int,
    gradient_norm: float,
) -> FitResult:
    """Add to what the search found what can be said of it."""
    x, y, sample_weight = examples
    facts = LOSSES[loss]
    width, fitted = 2 * chain.layers, 2 * chain.layers - len(chain.frozen)
    n = np.size(y)
    weight, counted = float(n), n
    if sample_weight is not None:
        weights = np.asarray(sample_weight, dtype=np.float64)
        weight, counted = float(weights.sum()), int(np.count_nonzero(weights))
    status, message = OUTCOMES[outcome]
    if has_minimum:
        hessian = None
        if exact:
            hessian = chain.hessian(
                x, y, loss=loss, loss_scale=loss_scale, sample_weight=sample_weight
            )
        variance, matrix, kinds = _core.fit_covariance(
            chain, x, y, sample_weight, *bounds, facts.code, loss_scale, hessian
        )
        stderr = np.sqrt(matrix.diagonal())
        at_bound, unknown = kinds.count(_AT_BOUND), kinds.count(UNDETERMINED)
        fitted -= at_bound
        if unknown:
            status = "not_identified" if status == "converged" else status
            message += f"; not identified by the data: {names_of(chain, kinds, UNDETERMINED)}"
        if at_bound:
            message += f"; at a bound: {names_of(chain, kinds, _AT_BOUND)}"
    else:
        variance, kinds = math.nan, bytes(width)
        matrix, stderr = np.full((width, width), math.nan), np.full(width, math.nan)
    squared = value if loss == "squared" else chain.loss(x, y, sample_weight=sample_weight)
    return FitResult(
        chain=chain,
        loss=value,
        rss=squared * weight,
        residual_sd=math.nan if facts.dispersion > 0 else math.sqrt(variance),
        df=counted - fitted,
        stderr=stderr,
        covariance=matrix,
        converged=outcome == 1,
        status=status,
        message=message,
        identified=np.frombuffer(kinds, dtype=np.uint8) != UNDETERMINED,
        n_iterations=n_iterations,
        n_evaluations=n_evaluations,
        gradient_norm=gradient_norm,
        history=history,
    )


def names_of(chain: Chain, kinds: bytes, kind: int) -> str:
    """List the names of the parameters of that kind."""
    return ", ".join(name for name, k in zip(chain.param_names, kinds, strict=True) if k == kind)


# ---- arguments ---------------------------------------------------------------------------------


def _code(argument: str, name: object, codes: Mapping[str, int]) -> int:
    code = codes.get(name) if isinstance(name, str) else None
    if code is None:
        raise ParameterError(f"{argument}: {name!r}; {no_such_name(name, tuple(codes))}")
    return code


_USERS: Final = MappingProxyType(
    {
        "learning_rate": ("gradient_descent", "sgd", "momentum", "adam"),
        "batch_size": ("sgd", "momentum", "adam"),
        "momentum": ("momentum",),
        "restarts": ("lm",),
    }
)


def count_of(argument: str, value: int | None, default: int, least: int = 1) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(f"{argument}: {value!r}; expected an integer of {least} or more")
    if value > _MOST:
        raise ParameterError(f"{argument}: expected an integer of {_MOST} at most")
    return int(value)


def number_of(argument: str, value: float, low: float, high: float) -> float:
    if not isinstance(value, int | float | np.integer | np.floating):
        raise InputTypeError(f"{argument}: expected a number, got {value!r}")
    value = as_float(argument, value)
    if not low <= value < high or (argument == "learning_rate" and value == 0):
        first = "above" if argument == "learning_rate" else "from"
        raise ParameterError(f"{argument}: {value!r}; expected {first} {low:g}, below {high:g}")
    return float(value)


def as_float(argument: str, number: float | np.integer | np.floating) -> float:
    """Make a float of a real number."""
    try:
        return float(number)
    except OverflowError:
        raise ParameterError(f"{argument}: an integer beyond the largest float") from None


def bound_arrays(net: Chain, bounds: Bounds) -> tuple[Vector, Vector]:
    """Lower and upper bounds of all parameters; infinite where there is none."""
    lower, upper = np.full(2 * net.layers, -math.inf), np.full(2 * net.layers, math.inf)
    places = {name: k for k, name in enumerate(net.param_names)}
    if not isinstance(bounds, Mapping):
        raise InputTypeError(f"bounds: expected a mapping of names to (low, high), got {bounds!r}")
    for name, pair in bounds.items():
        if name not in places:
            raise ParameterError(
                f"bounds: {name!r} is not a parameter; "
                f"{no_such_name(name, tuple(places)) if len(places) < 100 else 'see param_names'}"
            )
        if name in net.frozen:
            raise ParameterError(f"bounds: {name!r} is frozen and cannot have bounds")
        lower[places[name]], upper[places[name]] = ends_of(name, pair)
    return lower, upper


def ends_of(name: str, pair: tuple[float | None, float | None]) -> tuple[float, float]:
    """Give both ends of a bound, infinite where there is none."""
    try:
        low, high = pair
    except (TypeError, ValueError):
        raise ParameterError(
            f"bounds[{name!r}]: {pair!r}; expected (low, high), None for no bound"
        ) from None
    for end, value in (("low", low), ("high", high)):
        if not isinstance(value, int | float | np.integer | np.floating | None):
            raise InputTypeError(f"bounds[{name!r}]: {end} is {value!r}; expected a number")
    where = f"bounds[{name!r}]"
    low = -math.inf if low is None else as_float(where, low)
    high = math.inf if high is None else as_float(where, high)
    if not low <= high:
        raise ParameterError(f"{where}: low {low!r} is above high {high!r}")
    if low == math.inf or high == -math.inf:
        raise ParameterError(f"{where}: no finite number is between {low!r} and {high!r}")
    return low, high


def examples_of(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Vector, Vector, Vector | None, NDArray[np.bool_]]:
    """Make arrays of one shape, and say which examples have finite numbers alone."""
    inputs, targets = real_array(x, "x"), real_array(y, "y")
    if inputs.shape != targets.shape:
        raise ShapeError(f"y: shape {targets.shape}, expected the shape {inputs.shape} of x")
    finite = np.isfinite(inputs) & np.isfinite(targets)
    if sample_weight is None:
        return inputs, targets, None, finite
    weights = real_array(sample_weight, "sample_weight")
    if weights.shape != inputs.shape:
        raise ShapeError(
            f"sample_weight: shape {weights.shape}, expected the shape {inputs.shape} of x"
        )
    return inputs, targets, weights, finite & np.isfinite(weights)


def _refusal(
    status: int,
    net: Chain,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    lower: Vector | None,
    upper: Vector | None,
    loss: int,
) -> Exception:
    """Say which number the core has refused."""
    text = _core.status_text(status)
    if status == _ERROR_DATA:
        for name, values in (("x", x), ("y", y)):
            flat = real_array(values, name).reshape(-1)
            wrong = np.flatnonzero(~np.isfinite(flat))
            if wrong.size:
                text = (
                    f"{name}[{wrong[0]}]: {float(flat[wrong[0]])!r}; expected finite numbers "
                    "(nan_policy='omit' leaves such examples out)"
                )
                break
    elif status == _ERROR_FEW_EXAMPLES:
        free = 2 * net.layers - len(net.frozen)
        text = f"x: {np.size(y)} examples are fewer than {free} free parameters"
        if sample_weight is not None:
            text += ", or fewer of them have a weight above 0"
    elif status == _ERROR_START:
        for k, name in enumerate(net.param_names):
            low = -math.inf if lower is None else float(lower[k])
            high = math.inf if upper is None else float(upper[k])
            value = float(net.params[k])
            if name not in net.frozen and not (low <= value <= high and math.isfinite(value)):
                where = "" if lower is None else f" within the bounds {low!r} and {high!r}"
                text = f"net: {name} = {value!r}; expected a finite start{where}"
                break
    elif status == _ERROR_START_LOSS:
        wrong = np.flatnonzero(~np.isfinite(net.params))
        text = "net: the loss or its derivatives at this start are not finite"
        if wrong.size:
            text += f"; {net.param_names[wrong[0]]} = {float(net.params[wrong[0]])!r}"
    else:
        _core.check_status(status, y, sample_weight, loss)
    return from_status(status, text)
