"""Exceptions: what they are, and that every status of the C core has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cbackprop import errors

HEADER = Path(__file__).parents[1] / "csrc" / "cbackprop.h"
EXPECTED = {
    "NULL": errors.CBackpropError,
    "LAYERS": errors.ShapeError,
    "ACTIVATION": errors.ActivationError,
    "EMPTY": errors.ShapeError,
    "LOSS": errors.ParameterError,
    "SCALE": errors.ParameterError,
    "NO_SIGMOID": errors.ActivationError,
    "TARGET": errors.ParameterError,
    "WEIGHT": errors.ParameterError,
    "NOT_INVERTIBLE": errors.ParameterError,
    "LEARNING_RATE": errors.ParameterError,
    "NOT_FINITE": errors.ParameterError,
    "KERNEL": errors.ParameterError,
    "OPTION": errors.ParameterError,
    "NO_FREE": errors.ParameterError,
    "FEW_EXAMPLES": errors.ShapeError,
    "BOUNDS": errors.ParameterError,
    "START": errors.ParameterError,
    "START_LOSS": errors.ParameterError,
    "DATA": errors.ParameterError,
    "NODE": errors.CBackpropError,
    "CURVE": errors.ParameterError,
    "DOMAIN": errors.ParameterError,
    "LIMIT": errors.ParameterError,
}


def statuses() -> dict[str, int]:
    found = re.findall(r"CBP_ERROR_(\w+) = (-\d+)", HEADER.read_text(encoding="utf-8"))
    return {name: int(number) for name, number in found}


def test_the_header_has_no_status_that_is_not_expected_here() -> None:
    assert statuses().keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_status_becomes_its_exception(name: str) -> None:
    error = errors.from_status(statuses()[name], "what went wrong")
    assert type(error) is EXPECTED[name]
    assert str(error).startswith("what went wrong")


def test_unknown_status_shows_its_number() -> None:
    error = errors.from_status(-999, "not a status of this library")
    assert type(error) is errors.CBackpropError
    assert "-999" in str(error)


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (errors.ShapeError, (ValueError,)),
        (errors.ParameterError, (ValueError,)),
        (errors.ActivationError, (ValueError,)),
        (errors.InputTypeError, (errors.ParameterError, TypeError)),
        (errors.ModelFileError, (ValueError,)),
    ],
)
def test_errors_are_built_in_ones_too(error: type[Exception], bases: tuple[type, ...]) -> None:
    for base in (errors.CBackpropError, *bases):
        assert issubclass(error, base)
