"""How many outliers `curves.outliers` finds, and how many it flags that are none.

    python benchmarks/outliers.py [--draws 1000] [--seed 5] [--q 0.01]

The true curve is a 4PL that rises from 10 to 110 with slope 1.5 about 11.3; doses are 1, 2, 4, ...
128, read 1, 2, 3 or 6 times, with normal errors of standard deviation 5. Each reading is with a
probability of 0, 1, 5 or 10 % a gross error: it is off by 8 or by 15 more standard deviations, up
or down. Columns, in percent:

- any: plates without a gross error of which a point is flagged, where 100 or more are there;
- FDR: the mean, over all plates, of the part of the flagged points that are no gross errors;
- power: the gross errors that are flagged.

Motulsky and Brown (2006) report for their implementation: any of 1 to 3, FDR below 1, at q = 1 %.
"""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np

from cbackprop import curves

DOSES: Final = 2.0 ** np.arange(8)
TRUE: Final = {"bottom": 10.0, "top": 110.0, "ec50": 128.0**0.5, "slope": 1.5}
DEVIATION: Final = 5.0


def rates_of(
    readings: int, part: float, distance: float, q: float, draws: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the rates of a design, in percent; NaN where there is nothing to count."""
    x = np.repeat(DOSES, readings)
    expected = np.asarray(curves.logistic4(x, **TRUE))
    clean = flagged_clean = gross = found = 0
    false = 0.0
    for _ in range(draws):
        y = expected + DEVIATION * rng.normal(size=x.size)
        is_gross = rng.random(x.size) < part
        y += is_gross * rng.choice([-distance, distance], x.size) * DEVIATION
        flags = curves.outliers(curves.logistic4.fit(x, y), q).flags
        clean += not is_gross.any()
        flagged_clean += bool(flags.any()) and not is_gross.any()
        gross += int(is_gross.sum())
        found += int((flags & is_gross).sum())
        false += (flags & ~is_gross).sum() / max(flags.sum(), 1)
    return (
        100 * flagged_clean / clean if clean >= 100 else np.nan,
        100 * false / draws,
        100 * found / gross if gross else np.nan,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000, help="plates of each design")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--q", type=float, default=0.01)
    given = parser.parse_args()
    print("readings  gross   off by    any    FDR  power")
    for readings in (1, 2, 3, 6):
        for part, distance in ((0.0, 0), (0.01, 8), (0.01, 15), (0.05, 8), (0.05, 15), (0.1, 15)):
            rng = np.random.default_rng([given.seed, readings, distance, round(100 * part)])
            rates = rates_of(readings, part, distance, given.q, given.draws, rng)
            print(
                f"{readings:>4} x 8  {100 * part:>3.0f} %  {distance:>4} sd"
                + "".join("      -" if np.isnan(rate) else f"  {rate:>5.1f}" for rate in rates),
                flush=True,
            )


if __name__ == "__main__":
    main()
