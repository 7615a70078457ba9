"""A user's own curve: its natural parameters, its chain, and where a fit starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import LOSSES, code_of_loss, no_such_name
from ..errors import ActivationError, InputTypeError, ParameterError, ShapeError
from ..fits.arguments import Number, as_float
from .curve import Curve
from .expressions import Term, check_use, formula_of, term_of, text_or_float

if TYPE_CHECKING:
    from .._core import _Loss

__all__ = ["define"]

Vector: TypeAlias = NDArray[np.float64]
_Start: TypeAlias = (
    Literal["rates", "powers", "middles", "steps", "lopsided", "peaks"]
    | Mapping[str, Number]
    | Callable[[Vector, Vector], Mapping[str, Number]]
)
_Ends: TypeAlias = tuple[int, int, int]  # of a mirror image: low, high, tilt
_Kind: TypeAlias = tuple[str, bool, int, int, int, int, _Ends]

_NO_ENDS: Final = (0, 0, 0)
_MOST_PARAMETERS: Final = 5  # CBP_CURVE_PARAMETERS
_MOST_LAYERS: Final = 4  # CBP_CURVE_LAYERS
_RESERVED: Final = ("log", "self", "x")  # of expressions, and of the call of a curve
_GRIDS: Final = tuple(word for word in _core.GRIDS if word != "start")


def define(
    name: str,
    *,
    parameters: Sequence[str],
    activations: Sequence[str],
    params: Mapping[str, str | Number],
    start: _Start,
    positive: Collection[str] = (),
    formula: str | None = None,
    loss: _Loss = "squared",
    domain: tuple[float | None, float | None] | None = None,
    log_axis: bool = False,
) -> Curve:
    """Define a curve that is not among those of `cbackprop.curves`.

    It has all that these have: fits alone and in many, standard errors, bands, inverses. It is
    known only where the returned object is, which can be pickled.

    Parameters
    ----------
    name : str
        A name for messages.
    parameters : sequence of str
        Names of the natural parameters, at most 5.
    activations : sequence of str
        Of the chain, at most 4 layers.
    params : mapping of str to str or float
        What each parameter w1, b1, w2, ... of the chain is: a number or one of the expressions
        ``a``, ``2 * a``, ``a - b``, ``log(a)``, ``a * log(b)``, ``a * b``, ``1 / a``, ``a / b`` of
        natural parameters, all but ``a - b`` also with a numeric factor and a minus sign in front;
        one of the factors of ``a * b`` is not in `positive`.
    start : {"steps", "lopsided", "peaks", "rates", "powers", "middles"}, mapping or function
        Where a fit starts. A mapping has a number for every natural parameter. A function returns
        such a mapping for arrays x and y, and is called for each fit; one that stands in a module
        can be pickled. A word means candidates for the first layer that is not constant, of which
        the best is taken: slopes and midpoints over the range of x ("steps"); these, and powers for
        the next weight ("lopsided"); widths and midpoints of peaks ("peaks"); rates for which
        ``exp(-rate x)`` is visible over the range of x ("rates"); exponents ("powers"); midpoints
        beyond the range of log x ("middles"). The slopes have both signs unless the first weight
        cannot change its sign. A last identity layer is solved for.
    positive : collection of str
        Natural parameters that must be above 0, as those of which ``log`` is taken.
    formula : str, optional
        The formula as text; by default it is made from the chain.
    loss : str
        The default loss of a fit.
    domain : (low, high), optional
        Least and greatest x, None for no limit; by default x >= 0 if the chain begins with log x or
        sqrt x, else any x.
    log_axis : bool
        Whether the curve is drawn with a logarithmic x axis.

    Returns
    -------
    Curve
        Equal to another one of the same definition.

    Raises
    ------
    ParameterError
        If a name, an expression, a start or a limit is not one of those above, or the data could
        never determine the parameters.
    InputTypeError
        If an argument is not of its type.
    ShapeError
        If there are no parameters or layers, or too many.
    ActivationError
        If an activation is unknown, or `loss` needs a final sigmoid.

    Examples
    --------
    >>> from cbackprop import curves
    >>> light_response = curves.define(
    ...     "light_response",
    ...     parameters=("maximum", "efficiency"),
    ...     activations=("tanh", "identity"),
    ...     params={"w1": "efficiency / maximum", "b1": 0, "w2": "maximum", "b2": 0},
    ...     start={"maximum": 1.0, "efficiency": 1.0},
    ...     positive=("maximum",),
    ... )
    >>> round(light_response(2.0, maximum=3.0, efficiency=0.5), 4)
    0.9645
    """
    _check_text("name", name)
    if formula is not None:
        _check_text("formula", formula)
    names = _parameters(parameters)
    above = _names("positive", positive)
    for key in above:
        if key not in names:
            raise ParameterError(
                f"positive: {key!r} is not a parameter of {name}; {no_such_name(key, names)}"
            )
    layers = _activations(activations)
    _check_loss(loss, layers)
    given = _places(params, len(layers))
    terms = [term_of(f"params[{key!r}]", text, names, above) for key, text in given.items()]
    check_use(terms, names)
    definition: dict[str, Any] = {
        "name": name,
        "parameters": names,
        "activations": layers,
        "params": given,
        "start": start,
        "positive": tuple(key for key in names if key in above),
        "formula": formula_of(given, layers) if formula is None else formula,
        "loss": loss,
        "domain": _domain(domain, layers, terms),
        "log_axis": bool(log_axis),
    }
    return _Defined(definition, terms)


class _Defined(Curve):
    """A curve by its definition: the arguments of `define`, checked."""

    def __init__(self, definition: dict[str, Any], terms: list[Term]) -> None:
        self._definition = definition
        start, positive = definition["start"], definition["positive"]
        if isinstance(start, str):
            above = {definition["parameters"].index(name) for name in positive}
            kind = _candidates(start, terms, definition["activations"], above)
        elif isinstance(start, Mapping) or callable(start):
            kind = ("start", False, 0, 0, 0, 0, _NO_ENDS)
        else:
            raise InputTypeError(f"start: {start!r}; expected a word, a mapping or a function")
        low, high = definition["domain"]
        try:
            facts = _core.define_curve(
                (definition["name"], definition["formula"]),
                definition["parameters"],
                positive,
                definition["activations"],
                terms,
                (-math.inf if low is None else low, math.inf if high is None else high),
                definition["loss"],
                definition["log_axis"],
                kind,
            )
        except ParameterError:
            raise ParameterError(
                f"start: {start!r} is for chains whose parameters determine those of the curve, "
                "one by one; expected a mapping or a function"
            ) from None
        self._take(definition["name"], facts)
        self._fixed_start: Vector | None = None
        if isinstance(start, Mapping):
            self._fixed_start = self._natural(start)
            definition["start"] = dict(
                zip(self.parameters, self._fixed_start.tolist(), strict=True)
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the curve by its definition."""
        return partial(define, **self._definition), ()

    def __repr__(self) -> str:
        """Show the definition."""
        name, *rest = self._definition.items()
        return f"curves.define({', '.join([repr(name[1]), *(f'{k}={v!r}' for k, v in rest)])})"

    def __eq__(self, other: object) -> bool:
        """Compare the definitions."""
        if not isinstance(other, _Defined):
            return NotImplemented
        return self._definition == other._definition

    def __hash__(self) -> int:
        """Hash what of the definition can be hashed."""
        return hash((self.name, self.parameters, tuple(self._definition["params"].items())))

    # ---- starts ----

    def start_of(self, x: Vector, y: Vector) -> Vector | None:
        """Return natural parameters (p,) from which a fit starts; None if the core finds them."""
        start = self._definition["start"]
        return self._natural(start(x, y)) if callable(start) else self._fixed_start

    def starts_of(self, x: Vector, y: Vector, least: int) -> Vector | None:
        """Return those of rows of y with so many points: (m, p), or (p,) if it is one for all."""
        if not callable(self._definition["start"]):
            return self._fixed_start
        starts = np.ones((len(y), len(self.parameters)))  # of rows of which the core says why not
        for i, row in enumerate(y):
            present = ~np.isnan(row)
            inputs, targets = (x if x.ndim == 1 else x[i])[present], row[present]
            if len(targets) >= least and np.isfinite(inputs).all() and np.isfinite(targets).all():
                starts[i] = self.start_of(inputs, targets)
        return starts

    def _natural(self, start: object) -> Vector:
        """Check natural parameters given as a start."""
        if not isinstance(start, Mapping):
            raise InputTypeError(f"start: expected a mapping of names to numbers, got {start!r}")
        self.check_names("start", start)
        missing = [name for name in self.parameters if name not in start]
        if missing:
            raise ParameterError(f"start: {missing[0]!r} is missing; expected all parameters")
        return np.array(
            [self._checked(f"start[{name!r}]", name, start[name]) for name in self.parameters]
        )


# ---- arguments -----------------------------------------------------------------------------------


def _check_text(argument: str, given: object) -> None:
    if not isinstance(given, str):
        raise InputTypeError(f"{argument}: expected a text, got {given!r}")
    if not given or not given.isprintable():
        raise ParameterError(f"{argument}: {given!r}; expected printable text")


def _names(argument: str, given: Collection[str]) -> tuple[str, ...]:
    """Check names that are given by an argument."""
    if isinstance(given, str) or not isinstance(given, Collection):
        raise InputTypeError(f"{argument}: expected a sequence of names, got {given!r}")
    for name in given:
        if not isinstance(name, str):
            raise InputTypeError(f"{argument}: expected names, got {name!r}")
    return tuple(given)


def _parameters(given: Sequence[str]) -> tuple[str, ...]:
    names = _names("parameters", given)
    if not 1 <= len(names) <= _MOST_PARAMETERS:
        raise ShapeError(f"parameters: {len(names)} names; expected 1 to {_MOST_PARAMETERS}")
    for k, name in enumerate(names):
        if not name.isidentifier() or iskeyword(name) or name in _RESERVED:
            raise ParameterError(
                f"parameters: {name!r}; expected a name of Python's, none of {', '.join(_RESERVED)}"
            )
        if name in names[:k]:
            raise ParameterError(f"parameters: {name!r} twice; expected different names")
    return names


def _activations(given: Sequence[str]) -> tuple[str, ...]:
    names = _names("activations", given)
    if not 1 <= len(names) <= _MOST_LAYERS:
        raise ShapeError(f"activations: {len(names)} layers; expected 1 to {_MOST_LAYERS}")
    for name in names:
        _core.activation_code(name, "activations")
    return names


def _check_loss(loss: _Loss, activations: tuple[str, ...]) -> None:
    code_of_loss(loss, 1.0)  # raises if there is none
    if LOSSES[loss].needs_sigmoid and activations[-1] != "sigmoid":
        raise ActivationError(
            f"loss: {loss!r} is that of a final sigmoid; the chain ends in {activations[-1]}"
        )


def _places(params: Mapping[str, str | Number], layers: int) -> dict[str, str | float]:
    """Put the expressions in the order of the chain's parameters."""
    if not isinstance(params, Mapping):
        raise InputTypeError(f"params: expected a mapping of names to texts, got {params!r}")
    places = [f"{kind}{layer}" for layer in range(1, layers + 1) for kind in "wb"]
    for key in params:
        if key not in places:
            raise ParameterError(
                f"params: {key!r} is not a parameter of {layers} layers; "
                f"{no_such_name(key, places)}"
            )
    for key in places:
        if key not in params:
            raise ParameterError(f"params: {key!r} is missing; expected {', '.join(places)}")
    return {key: text_or_float(f"params[{key!r}]", params[key]) for key in places}


def _domain(
    given: tuple[float | None, float | None] | None,
    activations: tuple[str, ...],
    terms: list[Term],
) -> tuple[float | None, float | None]:
    """Check the domain, or choose it; None is no limit."""
    if given is None:
        is_of_x = terms[0] == ("constant", 0, 0, 1.0) and terms[1] == ("constant", 0, 0, 0.0)
        return 0.0 if is_of_x and activations[0] in ("log", "sqrt") else None, None
    expected = "expected (low, high), low < high, None for no limit"
    try:
        first, second = given
    except (TypeError, ValueError):
        raise ParameterError(f"domain: {given!r}; {expected}") from None
    for end in (first, second):
        if not isinstance(end, int | float | np.integer | np.floating | None):
            raise InputTypeError(f"domain: {given!r}; {expected}")
    low = -math.inf if first is None else as_float("domain", first)
    high = math.inf if second is None else as_float("domain", second)
    if not low < high:
        raise ParameterError(f"domain: {given!r}; {expected}")
    return None if low == -math.inf else low, None if high == math.inf else high


# ---- candidates for starts -----------------------------------------------------------------------


def _candidates(
    word: str, terms: list[Term], activations: tuple[str, ...], positive: set[int]
) -> _Kind:
    """Describe the candidates of a word, as `_core.define_curve` expects them."""
    if word not in _GRIDS:
        raise ParameterError(
            f"start: {word!r}; {no_such_name(word, _GRIDS)}; or a mapping, or a function"
        )
    variable = [k for k, term in enumerate(terms) if term.rule != "constant"]
    slope_at = variable[0] - variable[0] % 2
    slope = terms[slope_at]
    end = len(terms) - 2 if activations[-1] == "identity" else len(terms)
    powers = [k for k in variable if k % 2 == 0 and slope_at < k < end]
    if word == "lopsided" and not powers:
        raise ParameterError("start: 'lopsided'; this chain has no second weight; expected 'steps'")
    keeps_sign = slope.rule == "constant" or (
        slope.rule in ("same", "reciprocal", "ratio")
        and slope.i in positive
        and (slope.rule != "ratio" or slope.j in positive)
    )
    ends = _NO_ENDS if keeps_sign else _mirror(terms, activations, positive)
    signs = 1 if keeps_sign else 2 if ends == _NO_ENDS else _core.MIRROR
    return (
        word,
        slope_at > 0 and activations[0] == "log",
        signs,
        slope_at,
        powers[0] if word == "lopsided" else 0,
        -1 if slope.value < 0 else 1,
        ends,
    )


def _mirror(terms: list[Term], activations: tuple[str, ...], positive: set[int]) -> _Ends:
    """Find the bottom, the top and the slope of a sigmoid, s(-z) = 1 - s(z).

    The curve is the same with bottom and top exchanged and the sign of the slope changed.
    """
    if activations[-2:] not in (("sigmoid", "identity"), ("normal_cdf", "identity")):
        return _NO_ENDS
    weight, bias, height, level = terms[-4:]
    low, high, tilt = height.j, height.i, weight.i
    is_odd = bias[::3] == ("constant", 0.0) or (bias.rule == "product" and bias.i == tilt)
    is_step = height.rule == "difference" and (level.rule, level.i, level.value) == ("same", low, 1)
    is_own = all(term.rule == "constant" for term in terms[:-4])
    are_apart = len({low, high, tilt}) == 3 and not {low, high, tilt} & positive
    is_known = weight.rule == "same" and is_odd and is_step and is_own and are_apart
    return (low, high, tilt) if is_known else _NO_ENDS
