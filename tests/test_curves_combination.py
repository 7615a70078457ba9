"""Combined potencies, against published means of independent estimates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, curves

Z = 1.959963984540054
# 13 trials of a vaccine (Colditz et al. 1994): ill and not, vaccinated and not. The R package
# metafor has the data (dat.bcg) and Stata's results (tests/testthat, metan with dat.bcg).
BCG = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
]
# DerSimonian and Kacker (2007), the CLASP trials: events and sizes of two arms.
CLASP = [
    (5, 156, 8, 74),
    (5, 303, 17, 303),
    (12, 565, 9, 477),
    (69, 1570, 94, 1565),
    (9, 103, 11, 105),
    (313, 4659, 352, 4650),
]
# Viechtbauer (2005), example 1: estimates and variances.
EXAMPLE = [-0.581, 0.530, 0.771, 1.031, 0.553, 0.295, 0.078, 0.573, -0.176, -0.232]
VARIANCES = [0.023, 0.052, 0.060, 0.115, 0.095, 0.203, 0.200, 0.211, 0.051, 0.040]


def given(logs: Any, variances: Any, df: float = math.inf, t: float = Z) -> list[Any]:
    """Make potencies with intervals of their logarithms."""
    return [
        (math.exp(log), math.exp(log - t * root), math.exp(log + t * root), df)
        for log, root in zip(logs, np.sqrt(variances), strict=True)
    ]


def bcg() -> list[Any]:
    table = np.array(BCG, dtype=float)
    a, b, c, d = table.T
    logs = np.log(a / (a + b)) - np.log(c / (c + d))
    return given(logs, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))


def test_weighted_mean_as_published() -> None:
    mean = curves.combine(bcg())
    assert math.log(mean.value) == pytest.approx(-0.4303, abs=5e-5)
    np.testing.assert_allclose(np.log([mean.low, mean.high]), (-0.5097, -0.3509), atol=5e-5)
    assert mean.chi_squared == pytest.approx(152.2330, abs=5e-5)
    assert mean.p < 1e-20
    assert mean.df == math.inf


def test_semi_weighted_mean_as_published() -> None:
    """Table 3 of DerSimonian and Kacker, "CA": Cochran's variance between."""
    a, n1, c, n2 = np.array(CLASP, dtype=float).T
    logs = np.log(a / (n1 - a)) - np.log(c / (n2 - c))
    variances = 1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c)
    mean = curves.combine(given(logs, variances), method="semi-weighted")
    assert math.sqrt(mean.between_variance) == pytest.approx(0.4410, abs=5e-5)
    assert math.log(mean.value) == pytest.approx(-0.4035, abs=5e-5)
    assert mean.log_stderr == pytest.approx(0.2327, abs=5e-5)
    assert mean.df == 5
    t5 = 2.570581835636314  # R's qt(0.975, 5)
    assert math.log(mean.high / mean.value) == pytest.approx(t5 * mean.log_stderr, rel=1e-9)


def test_variance_between_as_published() -> None:
    mean = curves.combine(given(EXAMPLE, VARIANCES), method="semi-weighted")
    assert mean.between_variance == pytest.approx(0.1484, abs=5e-5)


@pytest.mark.parametrize("method", ["weighted", "semi-weighted", "unweighted"])
def test_formulas_of_the_pharmacopoeia(method: Any) -> None:
    """Chapter 5.3, section 6, in NumPy, with intervals by Student's t of 18 df."""
    logs, variances = np.array(EXAMPLE), np.array(VARIANCES)
    t18 = 2.100922040240960  # R's qt(0.975, 18)
    mean = curves.combine(given(logs, variances, 18.0, t18), method=method)
    between = logs.var(ddof=1) - variances.mean()
    weights = {
        "weighted": 1 / variances,
        "semi-weighted": 1 / (variances + between),
        "unweighted": np.ones(10),
    }[method]
    middle = (weights * logs).sum() / weights.sum()
    error = 1 / math.sqrt(weights.sum())
    t = 2.262157162740992  # R's qt(0.975, 9)
    if method == "unweighted":
        error = logs.std(ddof=1) / math.sqrt(10)
    if method == "weighted":
        t = 1.973230823071543  # R's qt(0.975, 180)
    assert math.log(mean.value) == pytest.approx(middle, rel=1e-10)
    assert mean.log_stderr == pytest.approx(error, rel=1e-10)
    np.testing.assert_allclose(
        np.log([mean.low, mean.high]), (middle - t * error, middle + t * error), rtol=1e-9
    )
    np.testing.assert_allclose(mean.weights, weights / weights.sum(), rtol=1e-10)
    common = (logs / variances).sum() / (1 / variances).sum()
    assert mean.chi_squared == pytest.approx(((logs - common) ** 2 / variances).sum(), rel=1e-10)


def test_homogeneous_potencies_have_no_variance_between() -> None:
    mean = curves.combine(given([0.1, 0.11, 0.09], [0.01, 0.02, 0.03]), method="semi-weighted")
    assert mean.between_variance == 0
    assert mean.value == curves.combine(given([0.1, 0.11, 0.09], [0.01, 0.02, 0.03])).value
    assert "semi-weighted mean of 3 potencies" in str(mean)
    assert "on 2 df" in str(mean)


def test_potencies_of_assays() -> None:
    """Estimates have levels and degrees of freedom of their own."""
    dose = np.tile([1.0, 1.0, 2.0, 2.0, 4.0, 4.0], 2)
    y = np.array([2.1, 1.9, 3.0, 3.2, 4.1, 3.9, 2.5, 2.7, 3.7, 3.5, 4.6, 4.8])
    group = ["S"] * 6 + ["T"] * 6
    shifts = (0.0, 0.1, -0.05)
    estimates = [
        curves.potency(
            dose,
            y + np.repeat([0.0, shift], 6),
            group,
            reference="S",
            curve="parallel_line",
            level=level,
        )["T"]
        for shift, level in zip(shifts, (0.95, 0.9, 0.99), strict=True)
    ]
    mean = curves.combine(estimates)
    errors = np.array([one.stderr / one.value for one in estimates])
    logs = np.log([one.value for one in estimates])
    weights = errors**-2
    assert mean.df == 27
    assert math.log(mean.value) == pytest.approx((weights * logs).sum() / weights.sum(), rel=1e-9)
    assert mean.log_stderr == pytest.approx(weights.sum() ** -0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("potencies", "options", "error", "text"),
    [
        ([(1.0, 0.9, 1.1, 20)], {}, ParameterError, "potencies: 1; expected two"),
        ([], {}, ParameterError, "potencies: 0"),
        ([(1.0, 0.9, 1.1)] * 2, {}, InputTypeError, r"potencies\[0\]"),
        ([1.0, 1.1], {}, InputTypeError, r"potencies\[0\]: 1.0; expected an Estimate"),
        ([(1.0, 0.9, 1.1, "20")] * 2, {}, InputTypeError, "expected an Estimate"),
        ([(1.0, 0.9, 1.1, 20), (1.0, 1.1, 0.9, 20)], {}, ParameterError, r"potencies\[1\]: 1"),
        ([(1.0, 1.0, 1.0, 20)] * 2, {}, ParameterError, "finite width"),
        ([(1.0, 0.0, 1.1, 20)] * 2, {}, ParameterError, "finite width"),
        ([(1.0, 0.9, math.inf, 20)] * 2, {}, ParameterError, "finite width"),
        ([(1.0, 0.9, math.nan, 20)] * 2, {}, ParameterError, "finite width"),
        ([(1.0, 0.9, 1.1, 0)] * 2, {}, ParameterError, "0 degrees of freedom"),
        ([(1.0, 0.9, 1.1, 9)] * 2, {"method": "mean"}, ParameterError, "method: 'mean'"),
        ([(1.0, 0.9, 1.1, 9)] * 2, {"level": 2}, ParameterError, "level: 2"),
    ],
)
def test_bad_input(potencies: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        curves.combine(potencies, **options)
