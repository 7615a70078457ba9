"""Controls of plates: against their definitions, by Python's statistics module."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

NEGATIVE = [[95.0, 105.0, 102.0, 98.0, 300.0], [10.0, 12.0, 9.0, 11.0, 8.0]]
POSITIVE = [[1010.0, 990.0, 1004.0], [55.0, 57.0, 50.0]]
Y = np.array([[100.0, 550.0, math.nan, 1200.0], [10.0, 32.0, 55.0, 0.0]])


@pytest.mark.parametrize("robust", [False, True])
def test_percent_of_the_controls_of_each_plate(robust: bool) -> None:
    middle = statistics.median if robust else statistics.mean
    found = curves.percent_of_controls(Y, NEGATIVE, POSITIVE, robust=robust)
    for row, y, negative, positive in zip(found, Y, NEGATIVE, POSITIVE, strict=True):
        low, high = middle(negative), middle(positive)
        np.testing.assert_allclose(row, 100 * (y - low) / (high - low), rtol=1e-13)
    alone = curves.percent_of_controls(Y[1], NEGATIVE[1], POSITIVE[1], robust=robust)
    assert alone.tolist() == found[1].tolist()
    inhibition = curves.percent_of_controls(Y[1], POSITIVE[1], NEGATIVE[1], robust=robust)
    np.testing.assert_allclose(alone + inhibition, 100, rtol=1e-13)
    same = curves.percent_of_controls(Y, NEGATIVE[1], POSITIVE[1], robust=robust)
    assert same[1].tolist() == alone.tolist()


def test_z_factor() -> None:
    for negative, positive in zip(NEGATIVE, POSITIVE, strict=True):
        sd = statistics.stdev(negative) + statistics.stdev(positive)
        gap = abs(statistics.mean(negative) - statistics.mean(positive))
        assert curves.z_factor(negative, positive) == pytest.approx(1 - 3 * sd / gap)
        spread, middles = 0.0, []
        for values in (negative, positive):
            middles.append(statistics.median(values))
            spread += statistics.median(abs(value - middles[-1]) for value in values)
        expected = 1 - 3 * spread / statistics.NormalDist().inv_cdf(0.75) / abs(
            middles[0] - middles[1]
        )
        assert curves.z_factor(negative, positive, robust=True) == pytest.approx(expected)
    both = curves.z_factor(NEGATIVE, POSITIVE)
    assert isinstance(both, np.ndarray)
    assert both.tolist() == [
        curves.z_factor(*pair) for pair in zip(NEGATIVE, POSITIVE, strict=True)
    ]


def test_controls_that_do_not_scatter_are_perfect() -> None:
    assert curves.z_factor([2, 2, 2], [5, 5]) == 1.0


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match=r"negative: shape \(0,\); expected at least 1"):
        curves.percent_of_controls([1.0], [], [2.0])
    with pytest.raises(ParameterError, match=r"positive: shape \(1,\); expected at least 2"):
        curves.z_factor([1, 2], [3])
    with pytest.raises(ParameterError, match=r"negative: shape \(\); expected at least 2"):
        curves.z_factor(1.0, [3, 4])
    with pytest.raises(ParameterError, match="positive: nan; expected finite"):
        curves.z_factor([1, 2], [3, math.nan])
    with pytest.raises(ParameterError, match="is that of negative; expected another"):
        curves.percent_of_controls([1.0], [3, 5], [4])
    with pytest.raises(ParameterError, match=r"of plate \(1,\) is that of negative"):
        curves.z_factor([[1, 2], [3, 5]], [[3, 4], [4, 4]])
    with pytest.raises(ShapeError, match=r"negative: shape \(2, 5\); expected \(controls,\) or"):
        curves.percent_of_controls(Y[0], NEGATIVE, POSITIVE)
    with pytest.raises(ShapeError, match=r"positive: shape \(3,\); expected plates as in"):
        curves.z_factor(NEGATIVE, POSITIVE[0])
    with pytest.raises(InputTypeError, match="y: expected real numbers"):
        curves.percent_of_controls(["a"], [1], [2])
