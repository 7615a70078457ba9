"""The chains of chains.json: random ones that stay in every domain, and hand-picked ones."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import mpmath as mp
from exact import NAMES, ZERO, hexadecimal, jet, to_double, ulp
from exact_chain import (
    LOSSES,
    UNIT,
    Model,
    Rounded,
    forward,
    gradient_of,
    hessian_terms,
    mean,
    output_slope,
)

SAFE = {  # where a random chain keeps z: inside the domain, away from poles, growth moderate
    "log": (0.2, 6.0), "log1p": (-0.7, 5.0), "sqrt": (0.1, 8.0), "reciprocal": (0.3, 5.0),
    "exp": (-3.0, 2.0), "expm1": (-3.0, 2.0), "square": (-2.0, 2.0),
    "relu": (0.01, 6.0), "leaky_relu": (-6.0, -0.01), "elu": (-6.0, -0.01),
}  # fmt: skip


def inside(name: str, rng: random.Random, a: Sequence[mp.mpf]) -> tuple[float, float]:
    """Weight and bias which keep w a + b in the safe interval for all a."""
    low, high = SAFE.get(name, (-5.0, 5.0))
    spread = max(a) - min(a)
    w = rng.choice((1, -1)) * rng.uniform(0.4, 1.8)
    if spread * abs(w) > 0.9 * (high - low):
        w = math.copysign(0.9 * (high - low) / float(spread), w)
    room = high - low - abs(w) * float(spread)
    lowest = min(mp.mpf(w) * v for v in a)
    return w, low + room * rng.uniform(0.05, 0.95) - float(lowest)


def random_chain(rng: random.Random, activations: Sequence[str], x: Sequence[float]) -> list[float]:
    params: list[float] = []
    a = [mp.mpf(v) for v in x]
    for name in activations:
        w, b = inside(name, rng, a)
        params += [w, b]
        a = [jet(name, mp.mpf(w) * v + b).value for v in a]
    return params


def pack(quantities: Iterable[Rounded]) -> dict[str, list[Any]]:
    """Nearest doubles; the bounds, which allow for that rounding too, rounded up."""
    values, bounds = [], []
    for value, bound in quantities:
        values.append(hexadecimal(to_double(value)))
        allowed = bound + (ulp(value) / 2 / UNIT if mp.isfinite(value) else ZERO)
        bounds.append(float(mp.nstr(allowed * mp.mpf("1.001"), 4)))
    return {"exact": values, "bound": bounds}


def model_of(case: dict[str, Any]) -> Model:
    params = [mp.mpf(p) for p in case["params"]]
    return Model(params, case["activations"], case["loss"], mp.mpf(case["scale"]))


def hessian(case: dict[str, Any], x: Sequence[float], y: Sequence[float]) -> list[Rounded]:
    """Central differences of the exact gradient at 60 digits: 40 remain; bound 16 L 2^-52 terms."""
    model = model_of(case)
    weights = [mp.mpf(w) for w in case["weight"] or [1] * len(x)]
    step, count = mp.mpf("1e-20"), len(model.params)
    entries = [Rounded(ZERO)] * (count * count)
    for xi, yi, weight in zip(x, y, weights, strict=True):
        share = weight / mp.fsum(weights)
        terms = hessian_terms(model, mp.mpf(xi), mp.mpf(yi))
        for i in range(count):
            sides = []
            for sign in (1, -1):
                moved = [p + sign * step * (k == i) for k, p in enumerate(model.params)]
                beside = model._replace(params=moved)
                sides.append(gradient_of(beside, mp.mpf(xi), mp.mpf(yi))[1])
            for j, (above, below) in enumerate(zip(*sides, strict=True)):
                value, bound = entries[i * count + j]
                value += share * (above.value - below.value) / (2 * step)
                bound += share * 16 * (count // 2) * 2 * terms[i][j]
                entries[i * count + j] = Rounded(value, bound)
    return entries


def solve(case: dict[str, Any], *, with_hessian: bool = False) -> dict[str, Any]:
    """The case in its stored form, with everything that is exact about it."""
    if "count" in case:
        x, y = formula_examples(case["count"])
    else:
        x, y = case["x"], case["y"]
    model = model_of(case)
    weights = [mp.mpf(w) for w in case["weight"] or [1] * len(x)]
    passes = [gradient_of(model, mp.mpf(xi), mp.mpf(yi)) for xi, yi in zip(x, y, strict=True)]
    gradient = [mean(column, weights) for column in zip(*(g for _, g in passes), strict=True)]
    results = {
        "mean_loss": pack([mean([loss for loss, _ in passes], weights)]),
        "mean_gradient": pack(gradient),
    }
    if "count" not in case:
        layers = [forward(model.params, model.activations, mp.mpf(xi)) for xi in x]
        results["forward"] = pack(layer[-1].a for layer in layers)
        results["slope"] = pack(output_slope(model.params, layer) for layer in layers)
        if 1 < len(x) <= 10:
            results["gradients"] = pack(entry for _, row in passes for entry in row)
    if with_hessian:
        results["hessian"] = pack(hessian(case, x, y))
    stored = dict(case)
    for key in ("params", "x", "y", "weight"):
        if stored.get(key) is not None:
            stored[key] = [hexadecimal(v) for v in stored[key]]
    return {**stored, **results}


def formula_examples(count: int) -> tuple[list[float], list[float]]:
    """x_i = ((7919 i) mod 8192)/1024 - 4 and y_i = ((104729 i) mod 4096)/4096: exact in binary."""
    x = [(7919 * i) % 8192 / 1024 - 4 for i in range(count)]
    return x, [(104729 * i) % 4096 / 4096 for i in range(count)]


def random_case(
    rng: random.Random, name: str, *, depth: int, count: int, loss: str, last: str | None = None
) -> dict[str, Any]:
    names = [rng.choice(NAMES) for _ in range(depth)]
    if loss == "log":
        names[-1] = "sigmoid"
    elif last is not None:
        names[-1] = last
    x = [rng.uniform(-2, 2) for _ in range(count)]
    return {
        "name": name,
        "activations": names,
        "params": random_chain(rng, names, x),
        "loss": loss,
        "scale": rng.uniform(0.3, 2.0) if loss in ("huber", "soft_l1", "cauchy") else 1.0,
        "x": x,
        "y": [rng.choice((0.0, 1.0, rng.random())) for _ in x],
        "weight": None,
    }


def chain_cases() -> list[dict[str, Any]]:
    rng = random.Random(20)
    plain = {"loss": "squared", "scale": 1.0, "weight": None}
    network_1 = {"activations": ["sigmoid"] * 2, "params": [1.5, 0.1, -0.8, 0.3], **plain}
    cases = [solve({"name": "network 1", **network_1, "x": [0.5], "y": [1.0]}, with_hessian=True)]
    doses = [0.0, 0.0, 0.01, 0.5, 5.0, 5.5, 100.0, 1e4]
    answers = [0.02, 0.1, 0.05, 0.2, 1.1, 1.2, 1.9, 2.1]
    curve = {"activations": ["log", "sigmoid", "identity"], "x": doses, "y": answers, **plain}
    for name, w2 in (("rising", 1.25), ("falling", -1.25)):
        params = [1.0, 0.0, w2, -w2 * 1.625, 2.0, 0.0625]
        cases.append(solve({"name": f"{name} dose-response", **curve, "params": params}))
    dead = {"activations": ["tanh", "relu", "sigmoid"], "params": [0.8, 0.1, 1.0, -1.5, 2.0, 0.3]}
    cases.append(solve({"name": "dead relu", **dead, "x": [0.4], "y": [1.0], **plain}))
    for activation in NAMES:
        case = random_case(
            rng, f"one layer, {activation}", depth=1, count=3, loss="squared", last=activation
        )
        cases.append(solve(case, with_hessian=activation in ("gelu", "silu")))
    depths = (2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 33, 40, 50)
    for i, depth in enumerate(depths):
        loss = LOSSES[i % len(LOSSES)]
        cases.append(solve(random_case(rng, f"deep {i}", depth=depth, count=1, loss=loss)))
    for i, loss in enumerate(LOSSES * 2):
        case = random_case(rng, f"curved {i}", depth=1 + i % 4, count=3, loss=loss)
        case["weight"] = [rng.uniform(0.1, 2) for _ in case["x"]]
        cases.append(solve(case, with_hessian=True))
    batches = ((10, "squared"), (10, "log"), (100, "cauchy"), (100, "log"))
    for i, (count, loss) in enumerate(batches):
        case = random_case(rng, f"batch {i}", depth=2 + i, count=count, loss=loss)
        if i % 2:
            case["weight"] = [rng.choice((0.0, rng.uniform(0.1, 3))) for _ in case["x"]]
        cases.append(solve(case))
    long = {"count": 5000, **plain}
    cases.append(solve({"name": "long squared", **network_1, **long}))
    names, params = ["tanh", "silu", "sigmoid"], [0.75, 0.25, 1.5, -0.5, -1.25, 0.375]
    batch = {"activations": names, "params": params, **long, "loss": "log"}
    cases.append(solve({"name": "long log", **batch}))
    for i, last in enumerate(("exp", "softplus", "sigmoid", "exp")):
        case = random_case(
            rng, f"counts {i}", depth=1 + i, count=3 + 4 * i, loss="poisson", last=last
        )
        case["y"] = [float(rng.choice((0, 1, 2, 7, 0.5))) for _ in case["x"]]
        case["weight"] = [rng.uniform(0.1, 2) for _ in case["x"]] if i % 2 else None
        cases.append(solve(case, with_hessian=i < 3))
    return cases
