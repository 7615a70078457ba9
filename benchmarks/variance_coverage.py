"""What is found where errors grow with the response: exponents, and how often intervals are right.

    python benchmarks/variance_coverage.py [--draws 4000] [--seed 1]

There are 48 readings: four at each of twelve doses from 0.1 to 100, of a 4PL from 1 to 20 with ec50
3 and slope 1.2. The standard deviation is in proportion to curve^theta. Each set is fitted by least
squares with equal weights, and by `curves.power_of_mean`. Columns: the mean error of the estimated
theta, its standard deviation, and in percent of all sets how often its interval contains it; then
how often the 95 % intervals of the ec50, and of a dose that is read back from one new reading near
the low and near the high end, contain the truth: by equal weights / by the estimated theta.
"""

from __future__ import annotations

import argparse

import numpy as np

from cbackprop import curves

TRUE = {"bottom": 1.0, "top": 20.0, "ec50": 3.0, "slope": 1.2}
DOSES = np.repeat(np.geomspace(0.1, 100.0, 12), 4)
NEW = np.array([0.5, 12.0])
DESIGNS = ((0.0, 0.3), (0.5, 0.1), (0.75, 0.1), (1.0, 0.1), (1.0, 0.2))


def row_of(theta: float, size: float, draws: int, rng: np.random.Generator) -> str:
    """Fit that many sets, and describe what was found."""
    mean, mean_new = curves.logistic4(DOSES, **TRUE), curves.logistic4(NEW, **TRUE)
    found: list[float] = []
    inside = np.zeros((2, 4))
    while len(found) < draws:
        y = mean + size * mean**theta * rng.standard_normal(DOSES.size)
        new = mean_new + size * mean_new**theta * rng.standard_normal(NEW.size)
        if (y <= 0).any():
            continue
        scatter = curves.power_of_mean(curves.logistic4, DOSES, y)
        found.append(scatter.exponent)
        for row, fit in zip(inside, (curves.logistic4.fit(DOSES, y), scatter.fit), strict=True):
            low, high = fit.confidence_interval()["ec50"]
            back = fit.inverse(new, replicates=1, interval="fieller")
            row[0] += low <= TRUE["ec50"] <= high
            row[1:3] += (back.low <= NEW) & (back.high >= NEW)
            row[3] += scatter.low <= theta <= scatter.high
    equal, power = 100.0 * inside / draws
    pairs = "  ".join(f"{a:6.1f} / {b:4.1f}" for a, b in zip(equal[:3], power[:3], strict=True))
    error = np.mean(found) - theta
    return f"{theta:5.2f} {size:5.2f}  {error:7.3f} {np.std(found):6.3f} {power[3]:6.1f}  {pairs}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print("theta    sd    error     sd     in            ec50      low dose     high dose")
    rng = np.random.default_rng(given.seed)
    for theta, size in DESIGNS:
        print(row_of(theta, size, given.draws, rng), flush=True)


if __name__ == "__main__":
    main()
