"""What curves find without starting values, and what their bands cover.

    python benchmarks/recovery.py [--exact 200] [--sets 1000] [--seed 31] [--show] [CURVE ...]

A table for exact data and for bands, and one for data sets of eleven kinds. Columns of the first:

- digits: the worst agreement, in decimal digits, of a parameter with the one that made exact data;
- confidence, prediction: the share of true values within the 95 % confidence band, and of new
  observations within the 95 % prediction band, of fits to 20 points that converged.

Columns of the second, for each kind that `KINDS` names, as numbers of data sets. A rival is the
best of fits from 50 random starts, the true parameters among them, by `cbackprop.fit_many` of the
chain:

- worse: the fit has converged, and its loss is more than 0.1 % above the rival's;
- missed: the fit has not converged, and the rival, which has, is as good, or (if the fit says that
  there is no minimum) better;
- differ: alone and among others the status differs, or the sum of squares by more than 1e-9.

--show prints the numbers of these sets. Exit code 1 if a curve has fewer than 10 digits, a band
outside 93 to 97 %, or more than 0.1 % of the sets of a kind are worse, missed or differ.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import cbackprop as cbp
from cbackprop import curves

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from curve_cases import NOISE, draw, exact, is_this_curve

Floats = npt.NDArray[np.float64]
STARTS = 50
POINTS = 12
KINDS = {
    "plain": "3 % noise",
    "few": "one point more than parameters",
    "low": "the lower half of x: the upper plateau is missing",
    "high": "the upper half of x: the lower plateau is missing",
    "even": "x at even steps where the curve has steps of log x, and the other way round",
    "small": "x and y times 1e-12",
    "large": "x and y times 1e9",
    "outlier": "one point off by ten times the range",
    "weighted": "weights 1 / y^2 over four decades",
    "long": "x to ten times the range: up to 100 time constants",
    "levels": "y of two levels, or constant",
}


class Data(NamedTuple):
    """A data set, and the parameters behind it."""

    x: Floats
    y: Floats
    weight: Floats
    true: dict[str, float]


def resampled(x: Floats, n: int) -> Floats:
    """Return n inputs that are spaced as those given."""
    return np.interp(np.linspace(0, 1, n) * (x.size - 1), np.arange(x.size), x)


def inputs_of(name: str, kind: str, drawn: Floats, parameters: int) -> Floats:
    """Return the inputs of data sets of this kind, from those that `draw` gives."""
    low, high = drawn[: (drawn.size + 1) // 2], drawn[drawn.size // 2 :]
    x = resampled({"low": low, "high": high}.get(kind, drawn), POINTS)
    if kind == "few":
        return resampled(drawn, parameters + 1)
    if kind == "even" and curves.CURVES[name].log_axis:
        return np.linspace(x[0], x[-1], POINTS)
    if kind == "even":
        return np.geomspace(max(x[0], 1e-3 * x[-1]), x[-1], POINTS)
    return x * 10 if kind == "long" and name != "arrhenius" else x


def factors_of(name: str, kind: str) -> tuple[float, float]:
    """Return by which factors x and y of this kind are scaled, where the curve can be."""
    factor, curve = {"small": 1e-12, "large": 1e9}.get(kind, 1.0), curves.CURVES[name]
    of_x = 1.0 if name == "arrhenius" or curve.log_dose else factor
    return of_x, 1.0 if name in ("arrhenius", "platt") else factor


def data_set(name: str, kind: str, seed: int, number: int) -> Data:
    """Draw a data set of this kind; all of a kind have the same inputs."""
    rng = np.random.default_rng([seed, number])
    _, true = draw(name, rng)
    x = inputs_of(name, kind, draw(name, np.random.default_rng(seed))[0], len(true))
    y = exact(name, x, true)
    noise = NOISE * rng.normal(size=x.size)
    y = np.clip(y + noise, 0, 1) if name == "platt" else y + noise * np.ptp(y)
    weight = np.ones(x.size)
    if kind == "outlier" and name != "platt":
        y[rng.integers(x.size)] += rng.choice([-10.0, 10.0]) * np.ptp(y)
    elif kind == "weighted":
        size = np.abs(y)
        weight = 1.0 / np.maximum(size, 1e-2 * size.max()) ** 2
    elif kind == "levels":
        y = np.where(rng.random(x.size) < rng.choice([0.0, 0.5]), 1.0, 3.0)
        y = y / 4 if name == "platt" else y
    of_x, of_y = factors_of(name, kind)
    return Data(x * of_x, y * of_y, weight, true)


def rival_of(name: str, kind: str, data: Data, rng: np.random.Generator) -> tuple[float, float]:
    """Return the least loss from many starts, and the least of those that converged."""
    curve = curves.CURVES[name]
    starts = [data.true, *(draw(name, rng)[1] for _ in range(STARTS - 1))]
    params = np.array([curve.chain(**start).params for start in starts])
    # a start is of the data as they were before they were scaled
    of_x, of_y = factors_of(name, kind)
    fits = cbp.fit_many(
        curve.chain(**data.true),
        data.x / of_x,
        np.tile(data.y / of_y, (STARTS, 1)),
        start=params,
        loss=curve.loss,
        sample_weight=data.weight,
    )
    found = zip(starts, fits.chains, strict=True)
    is_own = [is_this_curve(name, curve.chain(**start), chain) for start, chain in found]
    loss = np.where(np.isfinite(fits.loss) & is_own, fits.loss, math.inf)
    settled = (fits.status == "converged") & fits.identified.all(axis=1)
    return of_y**2 * float(loss.min()), of_y**2 * float(np.where(settled, loss, math.inf).min())


def against_rivals(name: str, kind: str, count: int, seed: int) -> dict[str, list[int]]:
    """Return which sets are worse, missed or differ."""
    curve = curves.CURVES[name]
    wrong: dict[str, list[int]] = {"worse": [], "missed": [], "differ": []}
    sets = [data_set(name, kind, seed, k) for k in range(count)]
    many = curve.fit_many(
        sets[0].x,
        [data.y for data in sets],
        sample_weight=[data.weight for data in sets] if kind == "weighted" else None,
    )
    for k, data in enumerate(sets):
        weight = data.weight if kind == "weighted" else None
        fitted = curve.fit(data.x, data.y, sample_weight=weight)
        least, settled = rival_of(name, kind, data, np.random.default_rng([seed, k, 1]))
        rounding = 1e-24 * float(np.mean(data.weight * data.y**2))
        if fitted.converged and fitted.mean_loss > least * 1.001 + rounding:
            wrong["worse"].append(k)
        says_none = fitted.status == "not_identified"  # then an equal loss does not contradict it
        least_missed = fitted.mean_loss * (1 - 1e-6 if says_none else 1 + 1e-9)
        if not fitted.converged and settled <= least_missed - (
            rounding if says_none else -rounding
        ):
            wrong["missed"].append(k)
        apart = abs(many.rss[k] - fitted.rss)
        if many.status[k] != fitted.status or not apart <= 1e-9 * fitted.rss + rounding * len(
            data.y
        ):
            wrong["differ"].append(k)
    return wrong


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


def coverage(name: str, sets: int, seed: int) -> tuple[float, float]:
    """Return which share of the truth, and of new observations, lies within the 95 % bands."""
    curve, within, tries = curves.CURVES[name], np.zeros(2), 0
    for k in range(sets):
        rng = np.random.default_rng([seed, k])
        drawn, true = draw(name, rng)
        x = resampled(drawn, 20)
        clean = np.asarray(curve(x, **true))
        spread = NOISE * np.ptp(clean)
        fitted = curve.fit(x, clean + rng.normal(size=20) * spread)
        if fitted.status != "converged":
            continue
        new = clean + rng.normal(size=20) * spread
        mean, single = fitted.predict(x, "confidence"), fitted.predict(x, "prediction")
        within[0] += np.count_nonzero((mean.low <= clean) & (clean <= mean.high))
        within[1] += np.count_nonzero((single.low <= new) & (new <= single.high))
        tries += 20
    return within[0] / tries, within[1] / tries


def print_exact(name: str, given: argparse.Namespace) -> bool:
    """Print a line of the first table; whether it is good."""
    worst = digits(name, given.exact, given.seed)
    line, good = f"{name:<17} {worst:6.1f}", worst >= 10
    if curves.CURVES[name].loss == "squared":
        shares = coverage(name, given.sets, given.seed)
        line += "".join(f" {100 * share:13.1f}" for share in shares)
        good = good and all(0.93 <= share <= 0.97 for share in shares)
    print(line, "" if good else " FALLS SHORT", flush=True)
    return good


def print_kind(name: str, kind: str, given: argparse.Namespace) -> bool:
    """Print a line of the second table; whether it is good."""
    wrong = against_rivals(name, kind, given.sets, given.seed)
    good = all(len(numbers) <= 0.001 * given.sets for numbers in wrong.values())
    counts = " ".join(f"{len(numbers):6}" for numbers in wrong.values())
    print(f"{name:<17} {kind:<9} {counts}", "" if good else " FALLS SHORT", flush=True)
    for word, numbers in wrong.items():
        if given.show and numbers:
            print(f"    {word}: {numbers}")
    return good


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exact", type=int, default=200, help="data sets without noise a curve")
    parser.add_argument(
        "--sets", type=int, default=1000, help="data sets of a kind, for each curve"
    )
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--show", action="store_true", help="print the numbers of what falls short")
    parser.add_argument("curves", nargs="*", default=list(curves.CURVES), metavar="CURVE")
    given = parser.parse_args()
    print(f"{'curve':<17} {'digits':>6} {'confidence %':>13} {'prediction %':>13}")
    good = [print_exact(name, given) for name in given.curves if given.exact > 0]
    print(f"\n{'curve':<17} {'kind':<9} {'worse':>6} {'missed':>6} {'differ':>6}")
    good += [print_kind(name, kind, given) for name in given.curves for kind in given.kinds]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
