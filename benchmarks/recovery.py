"""What curves find without starting values, and what their bands cover.

    python benchmarks/recovery.py [--exact 200] [--noisy 1000] [--seed 31] [CURVE ...]

Columns, for each of the curves:

- digits: the worst agreement, in decimal digits, of a parameter with the one that made exact data;
- best: the share of data with 3 % noise whose sum of squares (platt: whose log loss) is that of the
  best of 50 random starts, the true parameters among them, to 1e-8; and how many of the others say
  that they are not converged or not identified, or do not ("silent");
- confidence, prediction: the share of true values within the 95 % confidence band, and of new
  observations within the 95 % prediction band, of fits to 20 points that converged.

Exit code 1 if a curve has fewer than 10 digits, less than 99.5 % or a silent one, or a band outside
93 to 97 %.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

import cbackprop as cbp
from cbackprop import curves

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from curve_cases import NOISE, draw, is_this_curve, noisy

STARTS = 50


def digits(name: str, sets: int, seed: int) -> float:
    """Return the worst agreement with the parameters that made the data."""
    curve, worst = curves.CURVES[name], 16.0
    for k in range(sets):
        x, true = draw(name, np.random.default_rng([seed, k]))
        fitted = curve.fit(x, np.asarray(curve(x, **true)))
        for parameter, value in true.items():
            error = abs(fitted.params[parameter] / value - 1)
            worst = min(worst, -math.log10(max(error, 1e-16)))
    return worst


def against_starts(name: str, sets: int, seed: int) -> tuple[int, int, int]:
    """Count fits that reach the best of many starts; others that say so; others that do not."""
    curve, reached, told, silent = curves.CURVES[name], 0, 0, 0
    for k in range(sets):
        rng = np.random.default_rng([seed, k])
        x, y, true = noisy(name, rng)
        fitted = curve.fit(x, y)
        best = math.inf
        for start in (true, *(draw(name, rng)[1] for _ in range(STARTS - 1))):
            chain = curve.chain(**start)
            try:
                rival = cbp.fit(chain, x, y, loss=curve.loss)
            except cbp.CBackpropError:  # no loss at this start
                continue
            if is_this_curve(name, chain, rival.chain):
                best = min(best, rival.loss)
        if fitted.mean_loss <= best * (1 + 1e-8) + 1e-300:
            reached += 1
        elif fitted.status != "converged":
            told += 1
        else:
            silent += 1
    return reached, told, silent


def coverage(name: str, sets: int, seed: int) -> tuple[float, float]:
    """Return which share of the truth, and of new observations, lies within the 95 % bands."""
    curve, within, tries = curves.CURVES[name], np.zeros(2), 0
    for k in range(sets):
        rng = np.random.default_rng([seed, k])
        drawn, true = draw(name, rng)
        between = np.linspace(0, 1, 20) * (drawn.size - 1)
        x = np.interp(between, np.arange(drawn.size), drawn)
        exact = np.asarray(curve(x, **true))
        spread = NOISE * np.ptp(exact)
        fitted = curve.fit(x, exact + rng.normal(size=20) * spread)
        if fitted.status != "converged":
            continue
        new = exact + rng.normal(size=20) * spread
        mean, single = fitted.predict(x, "confidence"), fitted.predict(x, "prediction")
        within[0] += np.count_nonzero((mean.low <= exact) & (exact <= mean.high))
        within[1] += np.count_nonzero((single.low <= new) & (new <= single.high))
        tries += 20
    return within[0] / tries, within[1] / tries


def main() -> int:
    """Print a line for each curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exact", type=int, default=200, help="data sets without noise a curve")
    parser.add_argument("--noisy", type=int, default=1000, help="data sets with noise a curve")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("curves", nargs="*", default=list(curves.CURVES), metavar="CURVE")
    given = parser.parse_args()
    code = 0
    print(f"{'curve':<17} {'digits':>6} {'best %':>7} {'told':>5} {'silent':>6} ", end="")
    print(f"{'confidence %':>13} {'prediction %':>13}")
    for name in given.curves:
        worst = digits(name, given.exact, given.seed)
        reached, told, silent = against_starts(name, given.noisy, given.seed)
        line = f"{name:<17} {worst:6.1f} {100 * reached / given.noisy:7.2f} {told:5} {silent:6} "
        good = worst >= 10 and reached >= 0.995 * given.noisy and silent == 0
        if curves.CURVES[name].loss == "squared":
            shares = coverage(name, given.noisy, given.seed)
            line += " ".join(f"{100 * share:13.1f}" for share in shares)
            good = good and all(0.93 <= share <= 0.97 for share in shares)
        print(line, "" if good else " FALLS SHORT", flush=True)
        code = code if good else 1
    return code


if __name__ == "__main__":
    sys.exit(main())
