"""How often the 95 % intervals of a 4PL contain the true dose.

    python benchmarks/interval_coverage.py [--draws 6000] [--seed 5]

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


def tallies_of(design: Design, draws: int, rng: np.random.Generator) -> dict[str, list[Tally]]:
    """Return, by dose, what the intervals of the methods contain."""
    true = {"bottom": BOTTOM, "top": TOP, "ec50": design.ec50, "slope": SLOPE}
    x = np.repeat(DOSES, design.readings)
    expected, span = np.asarray(curves.logistic4(x, **true)), TOP - BOTTOM
    response = BOTTOM + 0.4 * span
    dose = design.ec50 * (0.4 / 0.6) ** (1 / SLOPE)
    ed90 = design.ec50 * 9 ** (1 / SLOPE)
    part, weight, new_weight = design.percent / 100, None, None
    deviation, new_deviation = np.full(x.size, part * span), part * span
    if design.is_proportional:
        weight, new_weight = 1 / expected**2, 1 / response**2
        deviation, new_deviation = part * expected, part * response
    tallies = {name: [Tally() for _ in METHODS] for name in ROWS}
    for _ in range(draws):
        y = expected + deviation * rng.normal(size=x.size)
        fitted = curves.logistic4.fit(x, y, sample_weight=weight)
        mean = response + new_deviation * float(rng.normal(size=NEW_READINGS).mean())
        for k, method in enumerate(METHODS):
            found: dict[str, tuple[curves.Inverse[Any], float]] = {
                "response": (fitted.inverse(response, interval=method), dose),
                "readings": (
                    fitted.inverse(
                        mean, replicates=NEW_READINGS, sample_weight=new_weight, interval=method
                    ),
                    dose,
                ),
                "ED50": (fitted.effective_dose(50, interval=method), design.ec50),
                "ED90": (fitted.effective_dose(90, interval=method), ed90),
            }
            for name, (interval, truth) in found.items():
                tallies[name][k].add(float(interval.low), float(interval.high), truth)
            if method != "fieller":
                low, high = fitted.confidence_interval(interval=method)["ec50"]
                tallies["ec50"][k].add(low, high, design.ec50)
    return tallies


def main() -> int:
    """Print a table for each design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=6000, help="data sets of each design")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
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
