"""Which of several fits the data support: tests of nested fits, and tables of criteria."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputTypeError, ParameterError
from .distributions import distributions
from .groups import GroupFits
from .result import CurveFit

if TYPE_CHECKING:
    from .curve import Curve

__all__ = [
    "Comparison",
    "Scatter",
    "Selection",
    "compare",
    "lack_of_fit",
    "no_effect",
    "scatter_of",
    "select",
]

Vector: TypeAlias = NDArray[np.float64]
_Fit: TypeAlias = CurveFit | GroupFits

# reduced -> full -> the parameters of the full curve that make it the reduced one; the others have
# the same names in both, or the order that the tests of this table check.
SPECIAL_CASES: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = MappingProxyType(
    {
        "michaelis_menten": {
            "hill": {"slope": 1.0},
            "logistic4": {"bottom": 0.0, "slope": 1.0},
        },
        "hill": {
            "logistic4": {"bottom": 0.0},
            "logistic5": {"bottom": 0.0, "asymmetry": 1.0},
        },
        "hill_log10": {
            "logistic4_log10": {"bottom": 0.0},
            "logistic5_log10": {"bottom": 0.0, "asymmetry": 1.0},
        },
        "logistic4": {"logistic5": {"asymmetry": 1.0}},
        "logistic4_log10": {"logistic5_log10": {"asymmetry": 1.0}},
        "logistic3": {"logistic4_linear": {"left": 0.0}},
        "exponential": {"asymptotic": {"asymptote": 0.0}},
        "saturation": {"asymptotic": {"start": 0.0}},
        "gaussian_peak": {"gaussian_peak_baseline": {"baseline": 0.0}},
    }
)


@dataclass(frozen=True)
class Comparison:
    """A test of a fit against one with more parameters, of which it is a special case.

    Attributes
    ----------
    reduced, full : str
        What is compared.
    rss, df : tuple of float, tuple of int
        Residual sums of squares and degrees of freedom of the reduced and the full fit.
    f : float
        F statistic, ((rss[0] - rss[1]) / (df[0] - df[1])) / (rss[1] / df[1]); NaN for losses whose
        variance is known ("log", "poisson").
    likelihood_ratio : float
        Twice by how much the log-likelihood of the full fit is the greater.
    """

    reduced: str
    full: str
    rss: tuple[float, float]
    df: tuple[int, int]
    f: float
    likelihood_ratio: float

    @property
    def p(self) -> float:
        """How probable so large an `f` is if the reduced fit is right; needs SciPy.

        Where the variance is known it is that of `likelihood_ratio`.
        """
        if math.isnan(self.f):
            return self.likelihood_ratio_p
        return float(distributions().fdtrc(self.df[0] - self.df[1], self.df[1], self.f))

    @property
    def likelihood_ratio_p(self) -> float:
        """The same of `likelihood_ratio`, which has a chi-squared distribution; needs SciPy."""
        return float(
            distributions().chdtrc(self.df[0] - self.df[1], max(self.likelihood_ratio, 0.0))
        )

    def __str__(self) -> str:
        """Return a table."""
        names = (self.reduced, self.full)
        width = max(map(len, names))
        lines = [f"{'':{width}}  {'df':>6}  {'rss':>14}"]
        lines += [
            f"{name:{width}}  {df:>6}  {rss:>14.8g}"
            for name, df, rss in zip(names, self.df, self.rss, strict=True)
        ]
        more = self.df[0] - self.df[1]
        tests = [] if math.isnan(self.f) else [f"F = {self.f:.6g} on {more} and {self.df[1]} df"]
        tests.append(f"likelihood ratio = {self.likelihood_ratio:.6g} on {more} df")
        return "\n".join([*lines, *tests])


def compare(full: _Fit, reduced: _Fit) -> Comparison:
    """Test whether the data support the fit with more parameters.

    Parameters
    ----------
    full, reduced : CurveFit or GroupFits
        Two fits to the same points. The reduced one is a special case of the full one: more of its
        parameters are fixed, or shared by the groups; or its curve is one, as "hill" is "logistic4"
        with a bottom of 0.

    Returns
    -------
    Comparison

    Raises
    ------
    ParameterError
        If the points or the losses differ, the reduced fit is not a special case of the full one,
        or a fit has not converged or no degree of freedom.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> test = curves.compare(curves.logistic4.fit(x, y), curves.hill.fit(x, y))
    >>> print(test)
                   df             rss
    hill            5     0.023362079
    logistic4       4     0.019239369
    F = 0.85714 on 1 and 4 df
    likelihood ratio = 1.55324 on 1 df
    >>> round(test.p, 3)
    0.407
    """
    for name, fit in (("full", full), ("reduced", reduced)):
        if not isinstance(fit, CurveFit | GroupFits):
            raise InputTypeError(f"{name}: expected a CurveFit or GroupFits, got {fit!r}")
        _check_fit(name, fit)
    if full.loss != reduced.loss:
        raise ParameterError(f"loss: {full.loss!r} and {reduced.loss!r}; expected the same")
    if full.absolute_sigma != reduced.absolute_sigma:
        raise ParameterError("absolute_sigma: of one of the fits; expected of both, or of none")
    if not all(
        np.array_equal(own, other)
        for own, other in zip(_points(full), _points(reduced), strict=True)
    ):
        raise ParameterError("the points of both fits differ; expected the same")
    _check_nested(full, reduced)
    return _comparison(
        (_label(reduced), _label(full)),
        (reduced.rss, full.rss),
        (reduced.df, full.df),
        (reduced.log_likelihood, full.log_likelihood),
        has_known_variance=full.has_known_variance,
    )


def lack_of_fit(fit: CurveFit | GroupFits) -> Comparison:
    """Test a fit against the means of replicates.

    Where points of a group have the same x, their scatter about their mean has nothing to do with
    the curve. The test asks whether the residuals of the curve are larger than that.

    Parameters
    ----------
    fit : CurveFit or GroupFits
        A least-squares fit.

    Returns
    -------
    Comparison
        Of the fit with the means.

    Raises
    ------
    ParameterError
        If the fit has another loss or has not converged, if no x has replicates, or if there are
        not more different x than parameters.
    """
    _check_squares(fit, CurveFit, GroupFits)
    scatter = scatter_of(fit)
    if scatter.df == 0:
        raise ParameterError("x: no replicates; expected an x with several points")
    if fit.df <= scatter.df:
        raise ParameterError(
            f"x: {scatter.inputs} different values for {fit.n_parameters} parameters; expected more"
        )
    ratio = (scatter.df + scatter.inputs) * (_log(fit.rss) - _log(scatter.rss))
    return _comparison(
        (_label(fit), "means"), (fit.rss, scatter.rss), (fit.df, scatter.df), (0.0, 0.5 * ratio)
    )


class Scatter(NamedTuple):
    """Sum of squares of replicates about their means, its df, and how many means there are."""

    rss: float
    df: int
    inputs: int


def scatter_of(fit: CurveFit | GroupFits) -> Scatter:
    """Compute the scatter of replicates, points of a group that have the same x."""
    parts = []
    for _, part in _parts(fit):
        weights = np.ones_like(part.y) if part.weights is None else part.weights
        kept = weights > 0
        x, y, weights = part.x[kept], part.y[kept], weights[kept]
        inputs, place = np.unique(x, return_inverse=True)
        totals = np.bincount(place, weights)
        means = np.bincount(place, weights * y) / totals
        rss = float((weights * (y - means[place]) ** 2).sum())
        parts.append((rss, len(y) - len(inputs), len(inputs)))
    squares, df, different = zip(*parts, strict=True)
    return Scatter(math.fsum(squares), sum(df), sum(different))


def no_effect(fit: CurveFit) -> Comparison:
    """Test a fit against a constant.

    Parameters
    ----------
    fit : CurveFit
        A least-squares fit.

    Returns
    -------
    Comparison
        Of the mean with the fit.

    Raises
    ------
    ParameterError
        If the fit has another loss or has not converged, or has one parameter.
    """
    _check_squares(fit, CurveFit)
    if fit.n_parameters < 2:
        raise ParameterError("fit: 1 fitted parameter; expected more than a constant has")
    weights = np.ones_like(fit.y) if fit.weights is None else fit.weights
    mean = float((weights * fit.y).sum() / weights.sum())
    rss = float((weights * (fit.y - mean) ** 2).sum())
    n = int((weights > 0).sum())
    return _comparison(
        ("constant", _label(fit)),
        (rss, fit.rss),
        (n - 1, fit.df),
        (0.0, 0.5 * n * (_log(rss) - _log(fit.rss))),
    )


@dataclass(frozen=True)
class Selection:
    """Fits of several curves to the same points, the best first.

    Attributes
    ----------
    criterion : str
        "aicc", "aic" or "bic".
    fits : dict of str to CurveFit
        By the name of the curve, in the order of the criterion; fits without a minimum are last.
    values, weights : dict of str to float
        The criterion of each fit, infinite where it has no minimum, and exp(-difference / 2) of its
        difference from the least one, divided by the sum over all (Akaike's weights).
    """

    criterion: str
    fits: dict[str, CurveFit]
    values: dict[str, float] = field(repr=False)
    weights: dict[str, float] = field(repr=False)

    @property
    def best(self) -> CurveFit:
        """The fit whose criterion is the least."""
        return next(iter(self.fits.values()))

    def __str__(self) -> str:
        """Return a table."""
        width = max(map(len, self.fits))
        lines = [
            f"{'':{width}}  {'parameters':>10}  {'rss':>12}  {self.criterion:>10}  {'weight':>7}"
        ]
        lines += [
            f"{name:{width}}  {fit.n_parameters:>10}  {fit.rss:>12.6g}  {self.values[name]:>10.3f}"
            f"  {self.weights[name]:>7.3f}" + ("" if fit.converged else "  no minimum")
            for name, fit in self.fits.items()
        ]
        return "\n".join(lines)


def select(
    x: ArrayLike,
    y: ArrayLike,
    curves: Iterable[Curve],
    *,
    sample_weight: ArrayLike | None = None,
    criterion: Literal["aicc", "aic", "bic"] = "aicc",
    nan_policy: Literal["raise", "omit"] = "raise",
) -> Selection:
    """Fit several curves to the same points, and compare them by an information criterion.

    The curves need not be special cases of each other.

    Parameters
    ----------
    x, y : array_like
        Data of the same shape.
    curves : iterable of Curve
        At least one, with the same `loss`.
    sample_weight, nan_policy
        As for `Curve.fit`.
    criterion : {"aicc", "aic", "bic"}
        By default AIC for few points.

    Returns
    -------
    Selection

    Raises
    ------
    ParameterError
        As for `Curve.fit`; and if a curve is there twice, there is none, or losses differ.

    Examples
    --------
    >>> from cbackprop import curves
    >>> x = [0.1, 0.3, 1, 3, 10, 30, 100, 300]
    >>> y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]
    >>> table = curves.select(x, y, [curves.hill, curves.logistic4, curves.michaelis_menten])
    >>> print(table)
                      parameters           rss        aicc   weight
    michaelis_menten           2     0.0698627      -3.222    0.571
    hill                       3     0.0233621      -2.652    0.429
    logistic4                  4     0.0192394      14.461    0.000
    """
    if criterion not in ("aicc", "aic", "bic"):
        raise ParameterError(f"criterion: {criterion!r}; expected 'aicc', 'aic' or 'bic'")
    chosen = list(curves)
    for i, curve in enumerate(chosen):
        if not hasattr(curve, "fit"):
            raise ParameterError(f"curves[{i}]: {curve!r}; expected a curve, as curves.logistic4")
    names = [curve.name for curve in chosen]
    if not chosen or len(set(names)) < len(names):
        raise ParameterError(f"curves: {names!r}; expected different curves, at least one")
    if len({curve.loss for curve in chosen}) > 1:
        raise ParameterError(
            f"curves: their losses are {[curve.loss for curve in chosen]!r}; expected the same"
        )
    fits = [curve.fit(x, y, sample_weight=sample_weight, nan_policy=nan_policy) for curve in chosen]
    values = [getattr(fit, criterion) if fit.converged else math.inf for fit in fits]
    order = sorted(range(len(fits)), key=lambda i: values[i])
    least = values[order[0]]
    parts = [
        math.exp(-0.5 * (value - least)) if math.isfinite(least) else math.nan for value in values
    ]
    total = math.fsum(parts)
    by_name = [fits[i].curve.name for i in order]
    return Selection(
        criterion,
        dict(zip(by_name, (fits[i] for i in order), strict=True)),
        dict(zip(by_name, (values[i] for i in order), strict=True)),
        dict(zip(by_name, (parts[i] / total for i in order), strict=True)),
    )


def _comparison(
    names: tuple[str, str],
    rss: tuple[float, float],
    df: tuple[int, int],
    log_likelihood: tuple[float, float],
    *,
    has_known_variance: bool = False,
) -> Comparison:
    """Compute the statistics; each pair is of the reduced and the full fit."""
    f = math.nan
    if not has_known_variance:
        more, scatter = (rss[0] - rss[1]) / (df[0] - df[1]), rss[1] / df[1]
        f = more / scatter if scatter > 0 else math.inf if more > 0 else math.nan
    ratio = 2.0 * (log_likelihood[1] - log_likelihood[0])
    return Comparison(*names, rss, df, f, ratio)


def _check_fit(name: str, fit: _Fit) -> None:
    if not fit.converged:
        raise ParameterError(f"{name}: the fit has not converged ({fit.message})")
    if fit.df < 1:
        raise ParameterError(f"{name}: no degree of freedom is left")
    if not fit._has_likelihood:
        raise ParameterError(
            f"{name}: a fit with the loss {fit.loss!r} has no likelihood; expected 'squared'"
        )


def _check_squares(fit: _Fit, *kinds: type) -> None:
    if not isinstance(fit, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise InputTypeError(f"fit: expected a {expected}, got {fit!r}")
    _check_fit("fit", fit)
    if fit.loss != "squared":
        raise ParameterError(f"fit: its loss is {fit.loss!r}; expected 'squared'")


def _parts(fit: _Fit) -> list[tuple[object, CurveFit]]:
    return [(None, fit)] if isinstance(fit, CurveFit) else [(name, fit[name]) for name in fit]


def _points(fit: _Fit) -> tuple[Vector, Vector, Vector]:
    """Return x, y and weights of all groups, in one order."""
    parts = [part for _, part in _parts(fit)]
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in "xy")
    weights = np.concatenate(
        [np.ones_like(part.y) if part.weights is None else part.weights for part in parts]
    )
    order = np.lexsort((weights, y, x))
    return x[order], y[order], weights[order]


def _check_nested(full: _Fit, reduced: _Fit) -> None:
    why = _why_other_curve(full, reduced) or _why_other_groups(full, reduced)
    if reduced.n_parameters >= full.n_parameters:
        why = f"it has {reduced.n_parameters} parameters, and full has {full.n_parameters}"
    if why:
        raise ParameterError(f"reduced is not a special case of full: {why}")


def _why_other_curve(full: _Fit, reduced: _Fit) -> str:
    """Say why one curve is not a special case of the other, or nothing."""
    implied: Mapping[str, float] = {}
    if full.curve.name != reduced.curve.name:
        cases = SPECIAL_CASES.get(reduced.curve.name, {})
        if full.curve.name not in cases:
            return f"{reduced.curve.name!r} is no special case of {full.curve.name!r}"
        implied = cases[full.curve.name]
    part, other = _parts(full)[0][1], _parts(reduced)[0][1]
    for name in full.fixed:
        value = implied.get(name, other.params[name] if name in reduced.fixed else math.nan)
        if value != part.params[name]:
            return f"full has fixed {name!r} = {part.params[name]!r}"
    return ""


def _why_other_groups(full: _Fit, reduced: _Fit) -> str:
    """Say which parameter the reduced fit has not in common for groups that have it so in full."""
    factors = isinstance(full, GroupFits) and full.factors
    if not isinstance(reduced, GroupFits):
        return "full has groups with factors" if factors else ""
    if not factors and not any(map(reduced.differs, reduced.curve.parameters)):
        return ""
    if not isinstance(full, GroupFits) or set(full.labels) != set(reduced.labels):
        return "its groups are not those of full"
    for label in full.labels:
        if not all(map(np.array_equal, _points(full[label]), _points(reduced[label]))):
            return f"group {label!r} has other points in full"
    names = [name for name in full.curve.parameters if name in reduced.curve.parameters]
    apart = [name for name in names if not _is_common(full, reduced, name)]
    return f"groups that have {apart[0]!r} in common in full have not" if apart else ""


def _is_common(full: GroupFits, reduced: GroupFits, name: str) -> bool:
    """Whether groups that have a parameter in common in full have it so in the reduced fit."""
    found: dict[Hashable, tuple[Hashable, float]] = {}
    for label in full.labels:
        value, factor = full.value_of(name, label)
        other, own = reduced.value_of(name, label)
        if found.setdefault(value, (other, own / factor)) != (other, own / factor):
            return False
    return True


def _label(fit: _Fit) -> str:
    text = fit.curve.name
    if isinstance(fit, GroupFits):
        text += f", {len(fit)} groups{fit.shares}"
    if fit.fixed:
        text += f", fixed {', '.join(fit.fixed)}"
    return text


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf
