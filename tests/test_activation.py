"""Activations against tests/vectors/activations.json, to the promised units in the last place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cbackprop import _core

Floats = npt.NDArray[np.float64]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "activations.json").read_text())
NAMES = tuple(VECTORS["activations"])
KINDS = ("value", "slope", "second")
PROMISED = {"value": 2.5, "slope": 4.0, "second": 8.0}
TINY = np.finfo(np.float64).smallest_normal


def column(name: str, key: str) -> Floats:
    return np.array([float.fromhex(text) for text in VECTORS["activations"][name][key]])


def ulp_of_exact(nearest: Floats, rest: Floats) -> Floats:
    """Spacing at the exact number: half of that at a power of two it was rounded up to."""
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(nearest))
    was_below = (np.frexp(np.abs(nearest))[0] == 0.5) & (rest * np.sign(nearest) < 0)
    return np.where(was_below & (np.abs(nearest) > TINY), unit / 2, unit)


def errors_in_ulp(name: str, kind: str, got: Floats) -> Floats:
    """Errors at all golden points; infinite where NaN or infinity is not where it should be."""
    nearest = column(name, kind)
    rest = np.array(VECTORS["activations"][name][f"{kind}_rest"]) / 10_000
    unit = ulp_of_exact(nearest, rest)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs((got - nearest) / unit - rest)
    if f"{kind}_scale" in VECTORS["activations"][name]:
        error *= unit / np.maximum(np.spacing(column(name, f"{kind}_scale")), unit)
    special = ~(np.isfinite(nearest) & np.isfinite(got))
    same = (nearest == got) | (np.isnan(nearest) & np.isnan(got))
    return np.where(special, np.where(same, 0.0, np.inf), error)


def test_the_file_promises_what_the_header_promises() -> None:
    assert (VECTORS["format"], VECTORS["version"]) == ("cbackprop-vectors", 1)
    assert VECTORS["bounds"] == PROMISED
    assert len(NAMES) == 22


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_within_the_promised_ulp(name: str, kind: str) -> None:
    z = column(name, "z")
    got = _core.activation_values(name, z)[KINDS.index(kind)]
    errors = errors_in_ulp(name, kind, got)
    worst = int(np.argmax(errors))
    assert errors[worst] <= PROMISED[kind], (
        f"{name} {kind}({z[worst]!r}): got {got[worst]!r}, "
        f"expected {column(name, kind)[worst]!r}: {errors[worst]:.3f} ulp"
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_step_too_far_is_noticed(name: str) -> None:
    """The measure itself: ten ulp more must be seen at every ordinary point."""
    for kind in KINDS:
        nearest = column(name, kind)
        rest = np.array(VECTORS["activations"][name][f"{kind}_rest"]) / 10_000
        key = f"{kind}_scale"
        scale = column(name, key) if key in VECTORS["activations"][name] else np.zeros(1)
        ordinary = np.isfinite(nearest) & (np.abs(nearest) < 1e300) & (scale <= np.abs(nearest))
        with np.errstate(over="ignore", invalid="ignore"):
            wrong = nearest + 10 * ulp_of_exact(nearest, rest)
        assert np.all(errors_in_ulp(name, kind, wrong)[ordinary] > PROMISED[kind])


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_in_its_lane(name: str) -> None:
    z = column(name, "z")
    for offset in range(3):
        spoiled = z.copy()
        spoiled[offset::3] = np.nan
        kept = np.arange(z.size) % 3 != offset
        pairs = zip(
            _core.activation_values(name, z), _core.activation_values(name, spoiled), strict=True
        )
        for clean, got in pairs:
            assert np.all(np.isnan(got[~kept]))
            assert got[kept].tobytes() == clean[kept].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_alone_and_among_others_are_the_same_bits(name: str) -> None:
    z = column(name, "z")
    together = _core.activation_values(name, z)
    for i in range(0, z.size, 7):
        for k, alone in enumerate(_core.activation_values(name, z[i : i + 1])):
            assert alone.tobytes() == together[k][i : i + 1].tobytes(), (name, z[i])
