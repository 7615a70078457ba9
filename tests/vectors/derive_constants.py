"""Derive every polynomial of csrc/elementary.h by the Remez exchange (needs mpmath).

    python tests/vectors/derive_constants.py            print the tables, ready to paste
    python tests/vectors/derive_constants.py --check    compare them with csrc/elementary.h

Each table is the minimax polynomial of `function` on `interval` for the error
|weight * (polynomial - function)|, its coefficients then rounded to the working precision.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
HEADER = Path(__file__).parents[2] / "csrc" / "elementary.h"
Function = Callable[[mp.mpf], mp.mpf]


@dataclass(frozen=True)
class Table:
    """One polynomial: what it approximates, where, and with which error weight."""

    name: str
    function: Function
    weight: Function
    interval: tuple[mp.mpf, mp.mpf]
    double_terms: int
    single_terms: int


def exp_tail(r: mp.mpf) -> mp.mpf:
    """(exp(r) - 1 - r) / r^2, so that exp(r) = 1 + r + r^2 * tail."""
    if abs(r) < mp.mpf("1e-12"):
        return mp.mpf(1) / 2 + r / 6 + r * r / 24
    return (mp.expm1(r) - r) / (r * r)


def log_tail(z: mp.mpf) -> mp.mpf:
    """(log((1+s)/(1-s)) - 2s) / (s z) with z = s^2."""
    if z < mp.mpf("1e-20"):
        return mp.mpf(2) / 3 + 2 * z / 5
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / (s * z)


def arctan_tail(z: mp.mpf) -> mp.mpf:
    """(atan(t) - t) / (t z) with z = t^2."""
    if z < mp.mpf("1e-20"):
        return -mp.mpf(1) / 3 + z / 5
    t = mp.sqrt(z)
    return (mp.atan(t) - t) / (t * z)


def sin_tail(z: mp.mpf) -> mp.mpf:
    """(sin(t) - t) / (t z) with z = t^2."""
    if z < mp.mpf("1e-20"):
        return -mp.mpf(1) / 6 + z / 120
    t = mp.sqrt(z)
    return (mp.sin(t) - t) / (t * z)


def cos_tail(z: mp.mpf) -> mp.mpf:
    """(cos(t) - 1 + z/2) / z^2 with z = t^2."""
    if z < mp.mpf("1e-10"):
        return mp.mpf(1) / 24 - z / 720
    t = mp.sqrt(z)
    return (mp.cos(t) - 1 + z / 2) / (z * z)


MILLS_CENTRE = mp.mpf(5)  # v = (t - 5)/(t + 5) maps [0, inf) to [-1, 1)


def mills_scaled(v: mp.mpf) -> mp.mpf:
    """(1 + 2t) * exp(t^2/2) * Phi(-t) with t = 5 (1 + v)/(1 - v)."""
    t = MILLS_CENTRE * (1 + v) / (1 - v)
    return (1 + 2 * t) * mp.exp(t * t / 2) * mp.erfc(t / mp.sqrt(2)) / 2


def normal_centre(z: mp.mpf) -> mp.mpf:
    """(Phi(t) - 1/2) / t with z = t^2."""
    if z < mp.mpf("1e-20"):
        return (1 - z / 6) / mp.sqrt(2 * mp.pi)
    t = mp.sqrt(z)
    return mp.erf(t / mp.sqrt(2)) / (2 * t)


LN2_HALF = mp.log(2) / 2
LOG_EDGE = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.0001")
ARCTAN_EDGE = mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.0001")
QUARTER_EDGE = (mp.pi / 4) ** 2 * mp.mpf("1.0001")
MILLS_EDGE = (mp.mpf(40) - MILLS_CENTRE) / (mp.mpf(40) + MILLS_CENTRE)
CENTRE_EDGE = mp.mpf("0.75") ** 2

TABLES = (
    Table("exp_tail", exp_tail, lambda r: r * r, (-LN2_HALF, LN2_HALF * mp.mpf("1.0001")), 10, 5),
    Table("log_tail", log_tail, lambda z: z, (mp.mpf(0), LOG_EDGE), 7, 3),
    Table("arctan_tail", arctan_tail, lambda z: z, (mp.mpf(0), ARCTAN_EDGE), 11, 5),
    Table("sin_tail", sin_tail, lambda z: z, (mp.mpf(0), QUARTER_EDGE), 6, 3),
    Table("cos_tail", cos_tail, lambda z: z * z, (mp.mpf(0), QUARTER_EDGE), 6, 3),
    Table(
        "mills_scaled",
        mills_scaled,
        lambda v: 1 / mills_scaled(v),
        (mp.mpf(-1), MILLS_EDGE),
        24,
        12,
    ),
    Table("normal_centre", normal_centre, mp.sqrt, (mp.mpf(0), CENTRE_EDGE), 10, 5),
)


def evaluate(coefficients: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], x)


def remez(table: Table, terms: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients, lowest power first, and the largest weighted error."""
    low, high = table.interval
    span = high - low

    def basis_point(i: int, count: int) -> mp.mpf:
        return (low + high) / 2 - span / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count))

    nodes = [basis_point(i, terms + 1) for i in range(terms + 1)]
    grid = [low + span * (1 - mp.cos(mp.pi * i / 600)) / 2 for i in range(601)]
    grid = [x for x in grid if table.weight(x) != 0]
    values = {x: table.function(x) for x in grid}
    coefficients: list[mp.mpf] = []
    for _ in range(25):
        rows = [
            [table.weight(x) * x**k for k in range(terms)] + [mp.mpf(-1) ** i]
            for i, x in enumerate(nodes)
        ]
        target = [table.weight(x) * table.function(x) for x in nodes]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix(target))
        coefficients = [solution[k] for k in range(terms)]
        level = abs(solution[terms])
        error = {x: table.weight(x) * (evaluate(coefficients, x) - values[x]) for x in grid}
        extrema: list[mp.mpf] = []  # the largest error of each run of one sign
        for x in grid:
            if extrema and mp.sign(error[x]) == mp.sign(error[extrema[-1]]):
                if abs(error[x]) > abs(error[extrema[-1]]):
                    extrema[-1] = x
            else:
                extrema.append(x)
        while len(extrema) > terms + 1:
            extrema.remove(min((extrema[0], extrema[-1]), key=lambda x: abs(error[x])))
        worst = max(abs(error[x]) for x in grid)
        if len(extrema) < terms + 1 or worst <= level * mp.mpf("1.001"):
            break
        nodes = extrema
    return coefficients, worst


def rounded(value: mp.mpf, bits: int) -> mp.mpf:
    with mp.workprec(bits):
        return +value


def derive(bits: int) -> dict[str, tuple[list[mp.mpf], float]]:
    """Rounded coefficients and log2 of the largest weighted error after rounding."""
    result = {}
    for table in TABLES:
        terms = table.double_terms if bits == 53 else table.single_terms
        coefficients = [rounded(c, bits) for c in remez(table, terms)[0]]
        low, high = table.interval
        points = [low + (high - low) * mp.mpf(i) / 400 for i in range(401)]
        worst = max(
            abs(table.weight(x) * (evaluate(coefficients, x) - table.function(x))) for x in points
        )
        result[table.name] = (coefficients, float(mp.log(worst, 2)))
    return result


def printed(value: mp.mpf, bits: int) -> str:
    """The shortest usual text that reads back as the same number of that precision."""
    digits, suffix = (17, "") if bits == 53 else (9, "f")
    return str(mp.nstr(value, digits, min_fixed=0, max_fixed=0)) + suffix


def main() -> int:
    header = re.sub(r"\s+", " ", HEADER.read_text()) if "--check" in sys.argv[1:] else None
    wrong = 0
    for bits in (53, 24):
        for name, (coefficients, error) in derive(bits).items():
            values = ", ".join(printed(c, bits) for c in coefficients)
            count = len(coefficients)
            comment = f"/* error 2^{error:.1f} */"
            text = f"static const cbp_real cbp_{name}[{count}] = {{ {comment} {values}}};"
            if header is None:
                print("\n".join(textwrap.wrap(text, 100, subsequent_indent="    ")))
            elif text not in header:
                print(f"{HEADER.name} lacks the table {text}")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
