"""Hazard: fits that are wrong alike: NIST's certified values, and what R and drc print."""

from __future__ import annotations

import cmath
import json
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats: TypeAlias = npt.NDArray[np.float64]
# A natural parameter of the chain's: its name, a number, or an operation with its operands.
Tree: TypeAlias = str | float | list[Any]

FITS: Final = json.loads((Path(__file__).parent / "vectors" / "fits.json").read_text())
OPERATIONS: Final[Mapping[str, Callable[..., complex]]] = MappingProxyType(
    {
        "negative": operator.neg,
        "exp": cmath.exp,
        "sum": operator.add,
        "product": operator.mul,
        "quotient": operator.truediv,
    }
)
CERTIFIED: Final = [
    pytest.param(case, start, id=f"{case['name']}-start{k}")
    for case in FITS["certified"]
    for k, start in enumerate(case["starts"], 1)
]
PUBLISHED: Final = [pytest.param(case, id=case["name"]) for case in FITS["published"]]


def chain(case: dict[str, Any], start: list[float]) -> cbp.Chain:
    return cbp.Chain(start[::2], start[1::2], case["activations"], case["frozen"])


def natural(tree: Tree, params: Mapping[str, complex]) -> complex:
    if isinstance(tree, str):
        return params[tree]
    if isinstance(tree, int | float):
        return tree
    return OPERATIONS[tree[0]](*(natural(operand, params) for operand in tree[1:]))


def natural_with_stderr(tree: Tree, result: cbp.FitResult) -> tuple[float, float]:
    """A natural parameter and its standard error, by the derivatives at a complex step."""
    names, step = result.chain.param_names, 1e-100
    slope = np.empty(len(names))
    for k, name in enumerate(names):
        params = dict(zip(names, result.params.astype(complex).tolist(), strict=True))
        params[name] += step * 1j
        slope[k] = complex(natural(tree, params)).imag / step
    params = dict(zip(names, result.params.tolist(), strict=True))
    variance = float(slope @ result.covariance @ slope)
    return complex(natural(tree, params)).real, math.sqrt(variance)


def digits(got: float, expected: float) -> float:
    """How many decimal digits are correct."""
    return math.inf if got == expected else -math.log10(abs(got - expected) / abs(expected))


def as_printed(value: float, text: str) -> str:
    """The number with as many decimals as the text has, and an exponent if that has one."""
    mantissa, letter, _ = text.partition("e")
    return format(value, f".{len(mantissa.partition('.')[2])}{letter or 'f'}")


# ---- certified by NIST ---------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "start"), CERTIFIED)
def test_certified_values_are_found_from_both_starts(
    case: dict[str, Any], start: list[float]
) -> None:
    result = cbp.fit(chain(case, start), case["x"], case["y"])
    assert result.converged
    assert result.status == "converged"
    assert result.identified.all()
    assert digits(result.rss, case["certified_rss"]) >= 10
    for name, tree in case["natural"].items():
        value, stderr = natural_with_stderr(tree, result)
        assert digits(value, case["certified"][name]) >= 9, name
        assert digits(stderr, case["certified_sd"][name]) >= 8, name
    df = len(case["x"]) - len(case["natural"])
    assert result.df == df
    assert digits(result.residual_sd, math.sqrt(case["certified_rss"] / df)) >= 10


@pytest.mark.parametrize("case", FITS["certified"], ids=lambda case: case["name"])
def test_frozen_parameters_stay(case: dict[str, Any]) -> None:
    start = chain(case, case["starts"][-1])
    result = cbp.fit(start, case["x"], case["y"])
    assert result.chain.frozen == start.frozen
    assert result.params[~start.free].tolist() == start.params[~start.free].tolist()
    assert result.stderr[~start.free].tolist() == [0.0] * len(start.frozen)


# ---- printed by R and drc ------------------------------------------------------------------------


def compare_with_print(result: cbp.FitResult, case: dict[str, Any], printed: Any) -> None:
    texts: dict[object, str] = {"residual_sd": printed["residual_sd"]}
    got: dict[object, float] = {"residual_sd": result.residual_sd}
    for name, tree in case["natural"].items():
        got[name], got["stderr", name] = natural_with_stderr(tree, result)
        texts["stderr", name] = printed["stderr"][name]
    texts |= printed["estimate"]
    if "log_likelihood" in printed:
        n = len(case["x"])
        texts["log-likelihood"] = printed["log_likelihood"]
        got["log-likelihood"] = -n / 2 * (math.log(2 * math.pi * result.rss / n) + 1)
    assert {key: as_printed(got[key], text) for key, text in texts.items()} == texts


@pytest.mark.parametrize("case", PUBLISHED)
@pytest.mark.parametrize("covariance", ["gauss-newton", "hessian"])
def test_the_minima_of_published_fits_are_found(
    case: dict[str, Any], covariance: Literal["gauss-newton", "hessian"]
) -> None:
    for start in case["starts"]:
        result = cbp.fit(chain(case, start), case["x"], case["y"], covariance=covariance)
        assert result.status == "converged"
        assert result.df == case["df"]
        assert digits(result.residual_sd, case["residual_sd"]) >= 10
        for name, tree in case["natural"].items():
            value, stderr = natural_with_stderr(tree, result)
            assert digits(value, case["estimate"][name]) >= 9, name
            assert digits(stderr, case["stderr"][covariance][name]) >= 8, name


@pytest.mark.parametrize("case", PUBLISHED)
def test_all_digits_that_were_printed_agree(case: dict[str, Any]) -> None:
    for printed in case["printed"]:
        covariance = printed["covariance"]
        if "stopped_at" not in printed:
            start = chain(case, case["starts"][0])
            result = cbp.fit(start, case["x"], case["y"], covariance=covariance)
        else:
            # short of the minimum, which the printed digits show; a descent that need not descend
            result = cbp.fit(
                chain(case, printed["stopped_at"]),
                case["x"],
                case["y"],
                method="gradient_descent",
                tolerance=1.0,
                covariance=covariance,
            )
            assert result.n_iterations == 0
            assert result.params.tolist() == printed["stopped_at"]
        compare_with_print(result, case, printed)


# ---- Platt scaling -------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, -1.0), (-3.0, 2.0)], ids=str)
def test_platt_scaling_of_three_points(start: tuple[float, float]) -> None:
    # p = 1/(1 + exp(A F + B)) with Platt's targets: (N+ + 1)/(N+ + 2) and 1/(N- + 2)
    scores, labels = np.array([5.0, -4.0, 1.0]), np.array([1, -1, -1])
    positive, negative = np.count_nonzero(labels == 1), np.count_nonzero(labels == -1)
    targets = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    net = cbp.Chain([start[0]], [start[1]], "sigmoid")
    result = cbp.fit(net, scores, targets, loss="log")
    assert result.status == "converged"
    assert digits(-result.params[0], -0.2026144896184756) >= 10
    assert digits(-result.params[1], 0.652366638998449) >= 10
    assert math.isnan(result.residual_sd)
    # the covariance of a maximum likelihood: the inverse of the summed loss' Hessian
    expected = np.linalg.inv(3 * result.chain.hessian(scores, targets, loss="log"))
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-13, atol=0)


# ---- a step that any steep enough curve describes ------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.125, -0.125], ids=["plateau", "above", "below"])
def test_a_step_between_two_points_leaves_the_slope_undetermined(noise: float) -> None:
    x = np.arange(1.0, 28.0)
    y = np.where(x > 15, 2.0 + noise * np.cos(3.0 * (x - 16)), 0.0)
    net = cbp.Chain([1.0, 1.0], [-15.5, 0.0], ["sigmoid", "identity"], frozen=["b2"])
    result = cbp.fit(net, x, y)
    assert result.status == "not_identified"
    assert result.converged
    assert result.identified.tolist() == [False, False, True, True]
    assert np.isinf(result.stderr[:2]).all()
    assert np.isfinite(result.stderr[2])
    assert "not identified" in result.message
    assert "w1, b1" in result.message
    assert "w2" not in result.message
    # the plateau's mean; where the first point is below it, the curve passes through that point
    plateau = y[x > 16] if noise < 0 else y[x > 15]
    np.testing.assert_allclose(result.params[2], plateau.mean(), rtol=1e-12)
