"""Fits of groups that share parameters: against SciPy from many starts, and their time.

    python benchmarks/groups.py [--sets N] [--seed S]

Each set has a few groups of a curve and random parameters of their own, shared by all, or by some.
Printed are the sets where SciPy found less, and the largest differences in the others: of the
residuals' sum of squares, and of estimates and standard errors in units of standard errors; then
the time of 12 points in 100 to 10000 groups with three shared parameters.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from cbackprop import curves

Vector = NDArray[np.float64]
TRUE = {
    "logistic4": (0.2, 2.0, 0.0, 1.3),
    "hill": (2.0, 0.0, 1.3),
    "michaelis_menten": (2.0, 0.0),
    "exponential": (2.0, 1.0),
    "asymptotic": (2.0, 0.5, 1.0),
    "gompertz": (2.0, 1.0, 1.0),
}  # positive parameters by their logarithms
STARTS = 7


class RandomSet:
    """Groups of one curve: places[p][groups] of their parameters, data[groups][n]."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        name = list(TRUE)[seed % len(TRUE)]
        self.curve = getattr(curves, name)
        self.groups, p = int(rng.integers(2, 6)), len(TRUE[name])
        n = int(rng.integers(p + 1, p + 6))
        self.label = np.repeat(np.arange(self.groups), n)
        self.share: dict[str, Any] = {}
        self.places: list[NDArray[np.intp]] = []
        self.count = 0
        for parameter in self.curve.parameters:
            labels = np.arange(self.groups)
            how = rng.choice(["own", "all", "some"], p=[0.4, 0.35, 0.25])
            if how == "all":
                labels = np.zeros_like(labels)
                self.share[parameter] = True
            elif how == "some":
                labels = rng.integers(0, max(2, self.groups // 2 + 1), self.groups)
                self.share[parameter] = labels[self.label]
            self.places.append(self.count + np.unique(labels, return_inverse=True)[1])
            self.count = int(self.places[-1].max()) + 1
        self.true = rng.uniform(-0.4, 0.4, self.count)
        for place, value in zip(self.places, TRUE[name], strict=True):
            self.true[np.unique(place)] += value
        self.x = rng.uniform(0, 4, len(self.label))
        if self.curve.domain[0] == 0:
            self.x = np.exp(1.5 * self.x - 3)
        self.y = np.zeros_like(self.x)
        self.y = self.residuals(self.true) + rng.normal(0, 0.04, len(self.x))

    def residuals(self, params: Vector) -> Vector:
        """Compute residuals of all groups."""
        found = np.empty_like(self.x)
        for g in range(self.groups):
            own, at = self.label == g, self.natural(params, g)
            found[own] = self.curve(self.x[own], **at)
        return found - self.y

    def natural(self, params: Vector, g: int) -> dict[str, float]:
        """Return a group's parameters."""
        at = {}
        for name, place in zip(self.curve.parameters, self.places, strict=True):
            value = float(params[place[g]])
            at[name] = float(np.exp(value)) if name in self.curve.positive else value
        return at

    def gather(self, fits: curves.GroupFits) -> tuple[Vector, Vector]:
        """Return the coordinates of all parameters and their standard errors."""
        params, errors = np.empty(self.count), np.empty(self.count)
        for g in range(self.groups):
            for name, place in zip(self.curve.parameters, self.places, strict=True):
                value, error = fits[g].params[name], fits[g].stderr[name]
                is_log = name in self.curve.positive
                params[place[g]] = np.log(value) if is_log else value
                errors[place[g]] = error / value if is_log else error
        return params, errors

    def best(self, found: Vector) -> tuple[float, Vector]:
        """Return the least sum of squares that SciPy finds, and where."""
        least, where = np.inf, found
        starts = [found] + [self.true + self.rng.normal(0, 0.3, self.count) for _ in range(STARTS)]
        for start in starts:
            try:
                fit = least_squares(
                    self.residuals, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
                )
            except (ValueError, ArithmeticError):  # parameters that are no curve
                continue
            if 2 * fit.cost < least:
                least, where = 2 * fit.cost, fit.x
        return least, where

    def errors(self, at: Vector, variance: float) -> Vector | None:
        """Return standard errors by differences; None where they cannot tell."""
        jacobian = np.empty((len(self.x), self.count))
        for k in range(self.count):
            step = 1e-5 * max(1.0, abs(at[k])) * (np.arange(self.count) == k)
            ends = self.residuals(at + step), self.residuals(at - step)
            jacobian[:, k] = (ends[0] - ends[1]) / (2 * step[k])
        if np.linalg.cond(jacobian / np.linalg.norm(jacobian, axis=0)) > 1e5:
            return None
        return np.asarray(np.sqrt(np.linalg.inv(jacobian.T @ jacobian).diagonal() * variance))


def compare(sets: int, seed: int) -> None:
    """Print where SciPy found less, and the largest differences elsewhere."""
    worst = {"rss": 0.0, "estimates": 0.0, "errors": 0.0}
    worse = 0
    for number in range(seed, seed + sets):
        one = RandomSet(number)
        df = len(one.x) - one.count
        if df < 1:
            continue
        fits = one.curve.fit_groups(one.x, one.y, one.label, share=one.share)
        at, errors = one.gather(fits)
        with np.errstate(all="ignore"):
            least, where = one.best(at)
            wanted = one.errors(at, fits.rss / df) if fits.status == "converged" else None
        if fits.rss > least * (1 + 1e-9):
            worse += 1
            print(f"set {number}: {one.curve.name}, rss {fits.rss:.10g}, SciPy's {least:.10g}")
        elif wanted is not None:
            worst["rss"] = max(worst["rss"], abs(fits.rss / least - 1))
            worst["estimates"] = max(worst["estimates"], np.max(np.abs(at - where) / wanted))
            worst["errors"] = max(worst["errors"], np.max(np.abs(errors / wanted - 1)))
    print(f"{worse} of {sets} sets with less by SciPy; elsewhere differences of at most")
    print(", ".join(f"{name} {value:.1e}" for name, value in worst.items()))


def measure(groups: int) -> None:
    """Print the time of a fit."""
    rng = np.random.default_rng(1)
    dose = np.geomspace(0.01, 100, 12)
    ec50 = np.exp(rng.uniform(-1, 1, groups))
    y = curves.logistic4(dose / ec50[:, None], bottom=0.2, top=2.0, ec50=1.0, slope=1.3)
    y = (y + rng.normal(0, 0.03, y.shape)).ravel()
    x, label = np.tile(dose, groups), np.repeat(np.arange(groups), len(dose))
    times = []
    for _ in range(5):
        begin = time.process_time()
        curves.logistic4.fit_groups(x, y, label, share=["bottom", "top", "slope"])
        times.append(time.process_time() - begin)
    print(f"{groups:>6} groups: {1e3 * min(times):.1f} ms")


def main() -> None:
    """Compare, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    compare(options.sets, options.seed)
    for groups in (100, 1000, 10000):
        measure(groups)


if __name__ == "__main__":
    main()
