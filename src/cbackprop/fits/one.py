"""Fitting one chain to examples: the parameters and their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._core import LOSSES, Chain, no_such_name, real_array
from ..errors import ParameterError, ShapeError, from_status
from .arguments import (
    Bounds,
    Count,
    Number,
    bound_arrays,
    check_callback,
    count_of,
    examples_of,
    number_of,
)
from .result import AT_BOUND, OUTCOMES, UNDETERMINED, FitProgress, FitResult

if TYPE_CHECKING:
    from .._core import _Loss, _Number, _Seed

__all__ = ["Objective", "fit", "fit_over", "is_exact"]

Vector: TypeAlias = NDArray[np.float64]

LM: Final = -1
# Name -> code: enum cbp_method of csrc/cbackprop.h; below 0 for Levenberg-Marquardt, not a descent.
_METHODS: Final = MappingProxyType(
    {"lm": LM, "gradient_descent": 0, "sgd": 0, "momentum": 1, "adam": 2}
)
_CURVATURES: Final = MappingProxyType({"gauss-newton": False, "hessian": True})
_NAN_POLICIES: Final = MappingProxyType({"raise": 0, "omit": 1})
_ERROR_START, _ERROR_START_LOSS, _ERROR_DATA = -18, -19, -20  # of cbp_status
_ERROR_FEW_EXAMPLES: Final = -16
_HISTORY_MOST: Final = 1_000_000


class RunPass(Protocol):
    """A pass over all examples, wherever they are, as Levenberg-Marquardt needs it."""

    @property
    def n(self) -> int:
        """How many examples there are."""

    @property
    def examples(self) -> tuple[ArrayLike, ArrayLike, ArrayLike | None] | None:
        """Inputs, targets and weights; None if they are not in memory."""

    def __call__(self, chain: Chain, loss: int, scale: float, /) -> Vector:
        """Compute the node of all examples (csrc/cbackprop.h) for a loss' code and its scale."""

    def hessian(self, chain: Chain, loss: int, scale: float, /) -> Vector:
        """Compute the exact second derivatives of the averaged loss, likewise."""


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
        loss_scale: _Number,
        sample_weight: ArrayLike | None,
    ) -> None:
        self._net = Chain.copy(net)
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
            The loss, and its derivatives by the free parameters.
        """
        self._put(self._net, free_params)
        loss, gradient = self._evaluate()
        return loss, gradient[self._free]

    def chain(self, free_params: ArrayLike) -> Chain:
        """Make a chain from these free parameters and the frozen ones."""
        net = Chain.copy(self._net)
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
    loss_scale: _Number = 1.0,
    sample_weight: ArrayLike | None = None,
    bounds: Bounds | None = None,
    max_iterations: Count | None = None,
    tolerance: Number | None = None,
    learning_rate: Number | None = None,
    batch_size: Count | None = None,
    momentum: Number | None = None,
    rng: _Seed = None,
    restarts: Count = 0,
    covariance: Literal["gauss-newton", "hessian"] = "gauss-newton",
    nan_policy: Literal["raise", "omit"] = "raise",
    callback: Callable[[FitProgress], object] | None = None,
) -> FitResult:
    """Find the parameters that minimise the averaged loss, starting from those of `net`.

    Parameters
    ----------
    net : Chain
        The start, which is not changed. Its frozen parameters are not fitted.
    x, y : array_like
        Inputs and targets of the same shape, at least as many as free parameters.
    method : {"lm", "gradient_descent", "sgd", "momentum", "adam"}, default "lm"
        Levenberg-Marquardt, or a descent. "sgd", and "momentum" and "adam" with a `batch_size`, use
        batches in shuffled order; the others use all examples for each step.
    loss : str, default "squared"
        As for `Chain.loss`.
    loss_scale : float, default 1.0
        Residual at which a robust loss begins to grow more slowly; other losses ignore it.
    sample_weight : array_like, optional
        A weight of 0 or more for every example.
    bounds : mapping of str to (low, high), optional
        Bounds of parameters by name, such as ``{"w2": (0, None)}``; None is no bound.
    max_iterations : int, default 2000 for "lm", 1000 for descents
        Steps of "lm"; passes over all examples of the descents.
    tolerance : float, optional
        "lm" has converged when a further step would change the outputs by less than this fraction
        of the residuals (default 1e-10), a descent when the norm of the gradient is at most this
        (default 0: all iterations are made).
    learning_rate : float, default 0.1; 0.01 for "adam"
        Learning rate of the descents.
    batch_size : int, default 32 for "sgd"; else all examples
        Number of examples for each step of "sgd", "momentum" and "adam".
    momentum : float, default 0.9
        Coefficient of "momentum", in [0, 1).
    rng : None, int or numpy.random.Generator
        Passed to `numpy.random.default_rng`; it determines the order of batches, and restarts.
    restarts : int, default 0
        "lm": number of additional starts, drawn around the given one or between the bounds.
    covariance : {"gauss-newton", "hessian"}, default "gauss-newton"
        Computed from J'J, as in R's nls and SciPy, or from the exact Hessian of the loss, as in R's
        drc.
    nan_policy : {"raise", "omit"}, default "raise"
        Whether an example with a NaN or infinite number is an error or is left out.
    callback : callable, optional
        Called after each iteration with a `FitProgress`. If it returns a true value, the fit stops
        and returns the best parameters found so far.

    Returns
    -------
    FitResult

    Raises
    ------
    ShapeError
        If shapes differ, or there are fewer examples than free parameters.
    ParameterError
        If an option is out of range or not for this method, all parameters are frozen, a lower
        bound is above the upper one, the start is outside the bounds, an example is not finite, a
        weight is negative, a target is outside what the loss accepts, or the loss at the start is
        not finite.
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
    exact = is_exact(covariance)
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
    check_callback(callback)
    if nan_policy == "omit":
        inputs, targets, weights, finite = examples_of(x, y, sample_weight)
        x, y = inputs[finite], targets[finite]
        sample_weight = None if weights is None else weights[finite]
    _core.code_of_loss(loss, loss_scale)  # raises if one is invalid
    batch = count_of("batch_size", batch_size, 32 if method == "sgd" else 0, least=1)
    if tolerance is None:
        tolerance = 1e-10 if code == LM else 0.0
    if learning_rate is None:
        learning_rate = 0.01 if method == "adam" else 0.1
    return fit_over(
        net,
        _core.MemoryPass(x, y, sample_weight),
        loss=loss,
        loss_scale=float(loss_scale),
        limits=(None, None) if bounds is None else bound_arrays(net, bounds),
        max_iterations=count_of("max_iterations", max_iterations, 2000 if code == LM else 1000),
        tolerance=number_of("tolerance", tolerance, 0.0, math.inf),
        restarts=count_of("restarts", restarts, 0, least=0),
        rng=rng,
        callback=callback,
        method=code,
        learning_rate=number_of("learning_rate", learning_rate, 0.0, math.inf),
        momentum=number_of("momentum", 0.9 if momentum is None else momentum, 0.0, 1.0),
        batch=batch,
        exact=exact,
    )


def fit_over(
    net: Chain,
    run_pass: RunPass,
    *,
    loss: _Loss,
    loss_scale: float,
    limits: tuple[Vector | None, Vector | None],
    max_iterations: int,
    tolerance: float,
    restarts: int,
    rng: _Seed,
    callback: Callable[[FitProgress], object] | None,
    method: int = LM,
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    batch: int = 0,
    exact: bool = False,
) -> FitResult:
    """Fit a chain to the examples of a pass; the arguments have been checked.

    Descents need the examples in memory.
    """
    facts, seed = LOSSES[loss], 0
    if batch or restarts:
        seed = int(np.random.default_rng(rng).integers(2**63))
    history = np.empty(min(max_iterations * (1 + restarts), _HISTORY_MOST) + 1)
    code, found = _core.fit_chain(
        net,
        run_pass,
        *limits,
        method,
        facts.code,
        loss_scale,
        max_iterations,
        tolerance,
        learning_rate,
        momentum,
        batch,
        restarts,
        seed,
        None if callback is None else lambda *state: callback(FitProgress(*state)),
        history,
    )
    if found is None:
        raise _refusal(code, net, run_pass, *limits, facts.code)
    chain, outcome, n_iterations, n_evaluations, value, gradient_norm = found
    node = run_pass(chain, facts.code, loss_scale)
    squares, examples = _core.node_sums(node)
    if loss != "squared":
        squares, _ = _core.node_sums(run_pass(chain, LOSSES["squared"].code, 1.0))
    width, fitted = 2 * chain.layers, 2 * chain.layers - len(chain.frozen)
    status, message = OUTCOMES[outcome]
    if method == LM or outcome == 1:
        hessian = run_pass.hessian(chain, facts.code, loss_scale) if exact else None
        variance, matrix, stderr, kinds = _core.fit_covariance(
            chain, node, *limits, facts.code, hessian
        )
        at_bound, unknown = kinds.count(AT_BOUND), kinds.count(UNDETERMINED)
        fitted -= at_bound
        if unknown:
            status = "not_identified" if status == "converged" else status
            message += f"; not identified by the data: {_names_of(chain, kinds, UNDETERMINED)}"
        if at_bound:
            message += f"; at a bound: {_names_of(chain, kinds, AT_BOUND)}"
    else:
        variance, kinds = math.nan, bytes(width)
        # a view of one number: a descent may have thousands of free parameters
        matrix = np.broadcast_to(np.float64(math.nan), (fitted, fitted))
        stderr = np.full(width, math.nan)
    return FitResult(
        chain=chain,
        loss=value,
        rss=squares,
        residual_sd=math.nan if facts.dispersion > 0 else math.sqrt(variance),
        df=int(examples) - fitted,
        stderr=stderr,
        free_covariance=matrix,
        converged=outcome == 1,
        status=status,
        message=message,
        identified=np.frombuffer(kinds, dtype=np.uint8) != UNDETERMINED,
        n_iterations=n_iterations,
        n_evaluations=n_evaluations,
        gradient_norm=gradient_norm,
        history=history[: n_iterations + 1].copy(),
    )


def _names_of(chain: Chain, kinds: bytes, kind: int) -> str:
    """List the names of the parameters of one kind, with commas."""
    return ", ".join(name for name, k in zip(chain.param_names, kinds, strict=True) if k == kind)


# ---- arguments ---------------------------------------------------------------------------------


def is_exact(covariance: object) -> bool:
    """Whether the covariance is computed from the exact Hessian, after a check of the name."""
    return bool(_code("covariance", covariance, _CURVATURES))


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


def _refusal(
    status: int,
    net: Chain,
    run_pass: RunPass,
    lower: Vector | None,
    upper: Vector | None,
    loss: int,
) -> Exception:
    """Make the exception for a status, with the number that the core has refused."""
    text = _core.status_text(status)
    x, y, sample_weight = run_pass.examples or (None, None, None)
    if status == _ERROR_DATA:
        for name, values in (("x", x), ("y", y)):
            flat = real_array([] if values is None else values, name).reshape(-1)
            wrong = np.flatnonzero(~np.isfinite(flat))
            if wrong.size:
                text = (
                    f"{name}[{wrong[0]}]: {float(flat[wrong[0]])!r}; expected finite numbers "
                    "(nan_policy='omit' leaves such examples out)"
                )
                break
    elif status == _ERROR_FEW_EXAMPLES:
        free = 2 * net.layers - len(net.frozen)
        text = f"x: {run_pass.n} examples are fewer than {free} free parameters"
        if run_pass.examples is None or sample_weight is not None:
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
    elif y is not None:
        _core.check_status(status, y, sample_weight, loss)
    return from_status(status, text)
