"""Write the golden vectors activations.json, chains.json and published.json (needs mpmath).

    python tests/vectors/generate.py [GROUND_TRUTH.json]    the argument renews published.json too

The same files come out of every run; README.md beside this file describes them.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpmath as mp
from chain_cases import chain_cases
from exact import BOUNDS, DOMAIN, NAMES, SIN_REACH, hexadecimal, jet, scales, to_double, ulp

HERE = Path(__file__).parent
HEADING = {
    "format": "cbackprop-vectors",
    "version": 1,
    "source": f"mpmath {mp.__version__}, {mp.mp.dps} digits",
}
KINDS = ("value", "slope", "second")
REST_STEPS = 10_000  # rests are whole numbers of 1/10000 ulp

EDGES = (
    0.0, 5e-324, 1e-323, 1e-310, 2.0**-1022 - 5e-324, 2.0**-1022, 1e-300, 1e-200, 1e-155, 1e-100,
    1e-50, 1e-20, 2.0**-54, 2.0**-53, 2.0**-52, 1e-10, 1e-5, 1e-3, 0.1, 0.25, 0.5, math.log(2),
    1 - 2.0**-53, 1.0, 1 + 2.0**-52, 1.5, 2.0, 3.0, 5.0, 10.0, 18.0, 19.1, 20.0, 30.0, 36.0,
    36.04365338911715, 36.7, 37.0, 37.5, 38.0, 38.4, 38.5, 38.6, 39.0, 40.0, 100.0, 354.9, 372.5,
    700.0, 708.0, 708.3964185322641, 709.0, 709.7, 709.782712893384, 709.7827128933841, 710.0,
    740.0, 744.4, 745.0, 745.13, 745.1332191019411, 745.1332191019412, 746.0, 750.0, 800.0, 1e3,
    2.0**20, 1e10, 2.0**52, 2.0**53, 1e16, 1e100, 1.3407807929942596e154, 1.3407807929942597e154,
    1e155, 1e300, 8.9e307, sys.float_info.max,
)  # fmt: skip
ZEROS = {  # where slopes or second derivatives pass through 0, and the value of log
    "silu": (1.2784645427610738, 2.3993572805154),
    "gelu": (0.7517915246935645, math.sqrt(2)),
    "gaussian": (1.0,),
    "log": (1.0,),
    "log1p": (1.0,),  # by its distance from -1
}
HARD = {  # where all the roundings of a formula once fell on the same side
    "sigmoid": (-2.7213792466639877, -4.279429085219945, 4.823910565375672),
    "tanh": (-3.9256051439937756, 0.949904982768385, 0.8782405402958249),
    "gelu": (
        -24.57937857107989, -11.222735973765648, -3.8746819315511076, -1.8246684678857683,
        -3.2525489062328297, -31.76564136061919, -35.10074094344768, -0.6775111009607429,
        4.7072161895778856e-07, -5.99456033043783e-08,
    ),
    "normal_cdf": (
        -3.847784391046073, -3.5409699529006944, -2.452411465134144, -31.76564136061919,
        -3.8746819315511076, -1.1656640269693703, -1.5533465030406255, -8.885094448488677e-07,
    ),
    "softsign": (-6.624213255416834e-08,),
    "arctan": (11.462964260973411, -3.8571542213226317),
}  # fmt: skip
QUARTERS = (1, 2, 3, 4, 5, 6, 7, 11, 22, 355, 710, 1000, 10**4, 10**5, 333667, 667543)


def wandering(rng: random.Random, low: float, high: float) -> float:
    """A number of either sign whose magnitude is log-uniform in [2^low, 2^high]."""
    return float(rng.choice((1, -1)) * 2.0 ** rng.uniform(low, high))


def points(name: str, rng: random.Random) -> list[float]:
    z = [math.copysign(edge, sign) for edge in EDGES for sign in (1, -1)]
    z += HARD.get(name, ())
    for centre in ZEROS.get(name, ()):
        for k in (4, 8, 16, 24, 32, 40, 48, 50, 52):
            z += [s * centre * (1 + t * 2.0**-k) for s in (1, -1) for t in (1, -1)]
    if name == "log1p":
        z += [2.0**-k - 1 for k in (1, 2, 4, 8, 16, 32, 48, 52, 53)]
    if name == "sin":
        z += [s * k * math.pi / 2 for k in QUARTERS for s in (1, -1)]
    z += [wandering(rng, -1074, 1024) for _ in range(40)]
    z += [wandering(rng, -30, 10) for _ in range(70)]
    z += [rng.uniform(-40, 40) for _ in range(70)]
    z += [rng.uniform(-4, 4) for _ in range(40)]
    if name == "sin":
        z = [x for x in z if abs(x) <= SIN_REACH]
        z += [rng.uniform(-SIN_REACH, SIN_REACH) for _ in range(60)]
    if name in DOMAIN:
        low = DOMAIN[name][0]
        outside = [math.nextafter(low, -math.inf), low - 0.5, -sys.float_info.max]
        z = [x for x in z if x >= low] + outside
    return [*z, math.inf, -math.inf, math.nan]


def split(exact: mp.mpf) -> tuple[str, int]:
    """The nearest double, and the rest in steps of 1/10000 ulp of the exact number."""
    nearest = to_double(exact)
    if not math.isfinite(nearest):
        return hexadecimal(nearest), 0
    return hexadecimal(nearest), int(mp.nint((exact - nearest) / ulp(exact) * REST_STEPS))


def at_most(x: mp.mpf) -> float:
    """The nearest double not above x >= 0, so that its ulp is not above that of x."""
    nearest = to_double(x)
    return math.nextafter(nearest, 0) if nearest > x else nearest


def activation_columns(name: str, z: Sequence[float]) -> dict[str, Any]:
    columns: dict[str, Any] = {"z": [hexadecimal(x) for x in z]}
    jets = [jet(name, x) for x in z]
    largest = [scales(name, x) for x in z]
    for k, kind in enumerate(KINDS):
        pairs = [split(j[k]) for j in jets]
        columns[kind] = [nearest for nearest, _ in pairs]
        columns[f"{kind}_rest"] = [rest for _, rest in pairs]
        if any(scale[k] for scale in largest):
            columns[f"{kind}_scale"] = [hexadecimal(at_most(scale[k])) for scale in largest]
    return columns


def write(name: str, content: dict[str, Any], rows: str) -> None:
    """JSON with one row of `content[rows]` a line, so that changes can be read."""
    items = content.pop(rows)
    compact: dict[str, Any] = {"separators": (",", ":")}
    head = json.dumps({**HEADING, **content}, **compact)[:-1]
    if isinstance(items, dict):
        lines = [f"{json.dumps(k)}:{json.dumps(v, **compact)}" for k, v in items.items()]
        opening, closing = "{", "}"
    else:
        lines = [json.dumps(v, **compact) for v in items]
        opening, closing = "[", "]"
    body = ",\n".join(lines)
    (HERE / name).write_text(f'{head},"{rows}":{opening}\n{body}\n{closing}}}\n')


PUBLISHED = (
    {
        "model": "Vm x / (K + x) = Vm / (1 + K/x) at Vm = 200, K = 0.05",
        "source": "R, stats::SSmicmen example, Puromycin data, treated",
        "activations": ["reciprocal", "reciprocal", "identity"],
        "params": [1.0, 0.0, 0.05, 1.0, 200.0, 0.0],
        "chain_rule": [[0, 0], [0, 0], [0, 1], [0, 0], [1, 0], [0, 0]],
        "gradient_decimals": [7, 4],
        "response_decimals": 5,
    },
    {
        "model": "A + (B - A) / (1 + exp((xmid - x)/scal)) at A = 13, B = 368, xmid = 14, scal = 6",
        "source": "R, stats::SSfpl example, ChickWeight data, chick 1",
        "activations": ["sigmoid", "identity"],
        "params": [1 / 6, -14 / 6, 355.0, 13.0],
        "chain_rule": [[0, 0, 0, -1 / 36], [0, 0, -1 / 6, 14 / 36], [-1, 1, 0, 0], [1, 0, 0, 0]],
        "gradient_decimals": [7, 8, 6, 6],
        "response_decimals": 5,
    },
)


def published(ground_truth: Path) -> list[dict[str, Any]]:
    entries = json.loads(ground_truth.read_text())["published_gradients"]
    return [
        {**ours, "names": entry["params"], **{k: entry[k] for k in ("x", "response", "gradient")}}
        for ours, entry in zip(PUBLISHED, entries, strict=True)
    ]


def main() -> None:
    rng = random.Random(19)
    write(
        "activations.json",
        {
            "bounds": dict(zip(KINDS, BOUNDS, strict=True)),
            "activations": {name: activation_columns(name, points(name, rng)) for name in NAMES},
        },
        "activations",
    )
    write("chains.json", {"cases": chain_cases()}, "cases")
    if len(sys.argv) > 1:
        write("published.json", {"models": published(Path(sys.argv[1]))}, "models")


if __name__ == "__main__":
    main()
