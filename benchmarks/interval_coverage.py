"""How often the 95 % intervals of a 4PL contain the true dose.

    python benchmarks/interval_coverage.py [--draws 6000] [--seed 5] [--profile]

The true curve rises from 10 to 110 with slope 1.5; doses are 1, 2, 4, ... 128. Designs differ in

- readings at each dose;
- standard deviation of the readings: in percent of the range of the curve ("constant"), or of the
  reading that is expected ("proportional", fitted with weights 1 / expected^2);
- ec50: 11.3, in the middle of the doses, or 64, the last but one, where the last dose has 74 % of
  the effect.

Rows: the ec50; ED50 and ED90; the dose of a response at 40 % of the range, which is known exactly
("response") or the mean of three new readings ("readings"). Columns, in percent of all draws, for
the intervals "log", "wald" and "fieller":

- in: those that contain the true dose. "log" is marked * outside 93 to 96 %;
- under: those that end below it;
- < 0: those with a negative lower end; of the others none has one, or the exit code is 1;
- open: those without an upper end.

With --profile the table is of profile intervals and of BCa intervals of residual draws; "none" are
profile intervals of which an end was not found. ED90, which takes longer, is of a fifth of the
draws.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from cbackprop import curves

METHODS: Final[tuple[Literal["log", "wald", "fieller"], ...]] = ("log", "wald", "fieller")
ROWS: Final = ("ec50", "ED50", "ED90", "response", "readings")
PROFILED: Final = ("ec50", "ED90", "response")
DOSES: Final = 2.0 ** np.arange(8)
BOTTOM, TOP, SLOPE = 10.0, 110.0, 1.5
NEW_READINGS: Final = 3


class Design(NamedTuple):
    """An experiment."""

    readings: int
    percent: float
    is_proportional: bool
    ec50: float

    def __str__(self) -> str:
        """Describe it in a line."""
        kind = "proportional" if self.is_proportional else "constant"
        return f"{self.readings} x 8 readings, {kind} sd {self.percent:g} %, ec50 {self.ec50:.3g}"


INSIDE, NEAR_THE_LAST = 128.0**0.5, 64.0
DESIGNS = (
    Design(1, 5, False, INSIDE),
    Design(1, 10, False, INSIDE),
    Design(2, 10, False, INSIDE),
    Design(3, 5, False, INSIDE),
    Design(2, 10, True, INSIDE),
    Design(3, 5, True, NEAR_THE_LAST),
    Design(2, 5, False, NEAR_THE_LAST),
    Design(3, 10, False, NEAR_THE_LAST),
)


class Tally:
    """Counts of the intervals of one dose by one method."""

    def __init__(self) -> None:
        self.contains = self.under = self.negative = self.endless = 0

    def add(self, low: float, high: float, truth: float) -> None:
        """Count an interval."""
        self.contains += low <= truth <= high
        self.under += high < truth
        self.negative += low < 0
        self.endless += high == math.inf


RESPONSE: Final = BOTTOM + 0.4 * (TOP - BOTTOM)


class Experiment:
    """Data of a design, and what is true."""

    def __init__(self, design: Design) -> None:
        true = {"bottom": BOTTOM, "top": TOP, "ec50": design.ec50, "slope": SLOPE}
        self.x = np.repeat(DOSES, design.readings)
        self.expected, span = np.asarray(curves.logistic4(self.x, **true)), TOP - BOTTOM
        self.truths = {
            "ec50": design.ec50,
            "ED50": design.ec50,
            "ED90": design.ec50 * 9 ** (1 / SLOPE),
            "response": design.ec50 * (0.4 / 0.6) ** (1 / SLOPE),
        }
        part = design.percent / 100
        self.weight: Any = None
        self.new_weight: Any = None
        self.deviation, self.new_deviation = np.full(self.x.size, part * span), part * span
        if design.is_proportional:
            self.weight, self.new_weight = 1 / self.expected**2, 1 / RESPONSE**2
            self.deviation, self.new_deviation = part * self.expected, part * RESPONSE

    def draw(self, rng: np.random.Generator) -> curves.CurveFit:
        """Draw readings, and fit them."""
        y = self.expected + self.deviation * rng.normal(size=self.x.size)
        return curves.logistic4.fit(self.x, y, sample_weight=self.weight)


def tallies_of(design: Design, draws: int, rng: np.random.Generator) -> dict[str, list[Tally]]:
    """Return, by dose, what the intervals of the methods contain."""
    experiment = Experiment(design)
    truths, new_weight = experiment.truths, experiment.new_weight
    tallies = {name: [Tally() for _ in METHODS] for name in ROWS}
    for _ in range(draws):
        fitted = experiment.draw(rng)
        mean = RESPONSE + experiment.new_deviation * float(rng.normal(size=NEW_READINGS).mean())
        for k, method in enumerate(METHODS):
            found: dict[str, tuple[curves.Inverse[Any], float]] = {
                "response": (fitted.inverse(RESPONSE, interval=method), truths["response"]),
                "readings": (
                    fitted.inverse(
                        mean, replicates=NEW_READINGS, sample_weight=new_weight, interval=method
                    ),
                    truths["response"],
                ),
                "ED50": (fitted.effective_dose(50, interval=method), truths["ED50"]),
                "ED90": (fitted.effective_dose(90, interval=method), truths["ED90"]),
            }
            for name, (interval, truth) in found.items():
                tallies[name][k].add(float(interval.low), float(interval.high), truth)
            if method != "fieller":
                low, high = fitted.confidence_interval(interval=method)["ec50"]
                tallies["ec50"][k].add(low, high, design.ec50)
    return tallies


def _ed90(fits: curves.CurveFits) -> Any:
    with np.errstate(all="ignore"):
        return fits.params["ec50"] * 9 ** (1 / fits.params["slope"])


def print_profiles(design: Design, draws: int, rng: np.random.Generator) -> None:
    """Print the rows of a design for profile and bootstrap intervals."""
    experiment = Experiment(design)
    profiles, drawn = ({name: Tally() for name in PROFILED} for _ in range(2))
    missing = dict.fromkeys(PROFILED, 0)
    counts = {"ec50": draws, "ED90": max(draws // 5, 1), "response": draws}
    for k in range(draws):
        fitted = experiment.draw(rng)
        resampled = curves.bootstrap(fitted, 1000, rng=rng, threads=1)
        asked: dict[str, tuple[dict[str, Any], Any]] = {
            "ec50": ({"name": "ec50"}, "ec50"),
            "ED90": ({"effective_dose": 90}, _ed90),
            "response": ({"inverse": RESPONSE}, lambda fits: fits.inverse(RESPONSE)),
        }
        for name, (number, quantity) in asked.items():
            if k >= counts[name]:
                continue
            found = curves.profile(fitted, **number)
            missing[name] += math.isnan(found.low) or math.isnan(found.high)
            profiles[name].add(found.low, found.high, experiment.truths[name])
            drawn[name].add(*resampled.interval(quantity), experiment.truths[name])
    for name in PROFILED:
        one, other, scale = profiles[name], drawn[name], 100 / counts[name]
        numbers = [one.contains, one.under, one.endless, missing[name]]
        numbers += [other.contains, other.under]
        line = "   ".join(f"{scale * number:5.1f}" for number in numbers)
        print(f"  {name:8} {line}", flush=True)


def main() -> int:
    """Print a table for each design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=6000, help="data sets of each design")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="profile and bootstrap intervals")
    given = parser.parse_args()
    if given.profile:
        print("           profile                          bca")
        print("             in   under    open    none      in   under")
        for k, design in enumerate(DESIGNS):
            print(design)
            print_profiles(design, given.draws, np.random.default_rng([given.seed, k]))
        return 0
    code = 0
    print("           log            wald                    fieller")
    print("             in   under      in   under     < 0      in   under    open")
    for k, design in enumerate(DESIGNS):
        print(design)
        tallies = tallies_of(design, given.draws, np.random.default_rng([given.seed, k]))
        for name, (log, wald, fieller) in tallies.items():
            scale = 100 / given.draws
            mark = " " if 93 <= scale * log.contains <= 96 else "*"
            line = f"  {name:8} {scale * log.contains:5.1f}{mark}  {scale * log.under:5.1f}"
            for number in (wald.contains, wald.under, wald.negative):
                line += f"   {scale * number:5.1f}"
            if name != "ec50":  # its intervals are log or wald
                for number in (fieller.contains, fieller.under, fieller.endless):
                    line += f"   {scale * number:5.1f}"
            print(line, flush=True)
            code = code if log.negative == fieller.negative == 0 else 1
    return code


if __name__ == "__main__":
    sys.exit(main())
