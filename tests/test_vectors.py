"""Hazard: wrong numbers: tests/vectors/chains.json, and published gradients to all digits."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
FOLDER = Path(__file__).parent / "vectors"
CHAINS = json.loads((FOLDER / "chains.json").read_text())
PUBLISHED = json.loads((FOLDER / "published.json").read_text())
CASES = [pytest.param(case, id=case["name"].replace(" ", "-")) for case in CHAINS["cases"]]
UNIT = 2.0**-53


def has(entry: str, param: Any) -> bool:
    """Whether the case of a parameter set has an entry of that name."""
    return entry in param.values[0]


SHORT = [case for case in CASES if not has("count", case)]
ROWS = [case for case in CASES if has("gradients", case)]
CURVED = [case for case in CASES if has("hessian", case)]


def numbers(texts: list[str]) -> Floats:
    return np.array([float.fromhex(text) for text in texts])


def examples(case: dict[str, Any]) -> tuple[Floats, Floats]:
    if "count" in case:
        i = np.arange(case["count"])
        return (7919 * i) % 8192 / 1024 - 4, (104729 * i) % 4096 / 4096
    return numbers(case["x"]), numbers(case["y"])


def chain(case: dict[str, Any]) -> cbp.Chain:
    params = numbers(case["params"])
    return cbp.Chain(params[::2], params[1::2], case["activations"])


def options(case: dict[str, Any]) -> dict[str, Any]:
    weight = None if case["weight"] is None else numbers(case["weight"])
    return {"loss": case["loss"], "loss_scale": case["scale"], "sample_weight": weight}


def check(got: npt.ArrayLike, expected: dict[str, Any]) -> None:
    """Every number within its own bound, which holds no slack."""
    exact, bound = numbers(expected["exact"]), np.array(expected["bound"])
    assert np.all(np.isfinite(bound))
    with np.errstate(invalid="ignore"):
        used = np.abs(np.ravel(got) - exact) / np.maximum(bound * UNIT, 5e-324)
    used = np.where(np.ravel(got) == exact, 0.0, used)
    worst = int(np.argmax(used))
    assert used[worst] <= 1, (worst, np.ravel(got)[worst], exact[worst], used[worst])


def test_the_files_are_of_this_version() -> None:
    for file in (CHAINS, PUBLISHED):
        assert (file["format"], file["version"]) == ("cbackprop-vectors", 1)


def test_a_wrong_last_digit_is_noticed() -> None:
    """The bounds of a short chain are a few ulp: 1e-14 relative must not pass."""
    case = CHAINS["cases"][0]
    with pytest.raises(AssertionError):
        check(numbers(case["mean_gradient"]["exact"]) * (1 + 1e-14), case["mean_gradient"])


@pytest.mark.parametrize("case", SHORT)
def test_forward(case: dict[str, Any]) -> None:
    check(chain(case).forward(examples(case)[0]), case["forward"])


@pytest.mark.parametrize("case", SHORT)
def test_slope(case: dict[str, Any]) -> None:
    check(chain(case).slope(examples(case)[0]), case["slope"])


@pytest.mark.parametrize("case", CASES)
def test_loss(case: dict[str, Any]) -> None:
    check(chain(case).loss(*examples(case), **options(case)), case["mean_loss"])


@pytest.mark.parametrize("case", CASES)
def test_gradient(case: dict[str, Any]) -> None:
    check(chain(case).gradient(*examples(case), **options(case)), case["mean_gradient"])


@pytest.mark.parametrize("case", ROWS)
def test_gradient_of_each_example(case: dict[str, Any]) -> None:
    net, (x, y) = chain(case), examples(case)
    loss = {"loss": case["loss"], "loss_scale": case["scale"]}
    check(net.gradients(x, y, **loss), case["gradients"])
    alone = [net.gradient(x[i : i + 1], y[i : i + 1], **loss) for i in range(x.size)]
    check(np.array(alone), case["gradients"])


@pytest.mark.parametrize("case", CURVED)
def test_hessian(case: dict[str, Any]) -> None:
    check(chain(case).hessian(*examples(case), **options(case)), case["hessian"])


@pytest.mark.parametrize("model", PUBLISHED["models"], ids=("SSmicmen", "SSfpl"))
def test_published_gradient(model: dict[str, Any]) -> None:
    """Half a unit of the last printed digit, and the rounding of that decimal itself."""
    net = cbp.Chain(model["params"][::2], model["params"][1::2], model["activations"])
    x = np.array(model["x"])
    printed = 0.5 * 10.0 ** -np.array(model["gradient_decimals"]) * (1 + 1e-8)
    gradient = net.jacobian(x) @ np.array(model["chain_rule"])
    assert np.all(np.abs(gradient - np.array(model["gradient"])) <= printed)
    response = 0.5 * 10.0 ** -model["response_decimals"] * (1 + 1e-8)
    assert np.all(np.abs(net.forward(x) - np.array(model["response"])) <= response)


@pytest.mark.skipif(importlib.util.find_spec("mpmath") is None, reason="needs mpmath")
def test_constants_of_the_core_are_derived() -> None:
    script = str(FOLDER / "derive_constants.py")
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
