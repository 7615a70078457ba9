"""All ratios in one table, and as CSV and a plot: single calls, arrays, single fits, many fits.

    python benchmarks/table.py [--csv FILE] [--plot FILE] [--rounds N]

Runs python_loop.py, arrays.py, fits.py and many.py, whose heads say what is compared and how. The
plot needs matplotlib.
"""

from __future__ import annotations

import arrays  # first: it holds other packages to one thread

# isort: split
import argparse
import csv
import datetime
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import fits
import many
import python_loop
import timing

COLOURS = {"faster": "#0072B2", "slower": "#D55E00"}  # as this library is


def measure(rounds: int, m: int) -> list[timing.Pair]:
    """Run every benchmark of times."""
    pairs = many.two_threads(rounds)
    timing.pin()
    pairs += python_loop.measure(rounds)
    for layers in arrays.LAYERS:
        for n in arrays.EXAMPLES:
            pairs += arrays.measure(layers, n, rounds)
    pairs += fits.of_a_named_curve(rounds) + fits.from_python(rounds) + fits.in_c(rounds)
    for model in many.models():
        pairs += many.measure(model, m, rounds)
    sections = ["single calls", "arrays", "single fits", "many fits"]
    return sorted(pairs, key=lambda pair: sections.index(pair.section))


def write_csv(
    path: Path, pairs: Sequence[timing.Pair], qualities: Sequence[many.Quality], machine: str
) -> None:
    """Write one row for each pair: seconds, ratio, what was found, and where it was measured."""
    found = {quality.job: quality for quality in qualities}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*timing.Pair._fields, "converged", "excess", "date", "machine"])
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        for pair in pairs:
            figures = [f"{value:.4g}" for value in (pair.ours, pair.theirs, pair.ratio)]
            quality = found.get(pair.job)
            words = ["", ""] if quality is None else [quality.converged, f"{quality.excess:.2g}"]
            writer.writerow([*pair[:3], *figures, *words, today, machine])


def draw(path: Path, pairs: Sequence[timing.Pair], machine: str) -> None:
    """Draw the ratios, section by section, as bars on one logarithmic axis."""
    from matplotlib.figure import Figure

    sections = [(name, list(group)) for name, group in groupby(pairs, lambda pair: pair.section)]
    heights = [len(group) + 1 for _, group in sections]
    figure = Figure(figsize=(10, 0.19 * sum(heights) + 1.2), layout="constrained")
    axes = figure.subplots(len(sections), 1, sharex=True, height_ratios=heights, squeeze=False)
    for ax, (name, group) in zip(axes[:, 0], sections, strict=True):
        places = range(len(group))
        ratios = [pair.ratio for pair in group]
        colours = [COLOURS["faster" if ratio >= 1 else "slower"] for ratio in ratios]
        ax.barh(places, [ratio - 1 for ratio in ratios], left=1, color=colours)
        jobs = ["", *(pair.job for pair in group)]
        labels = [
            f"{pair.job if pair.job != before else ''}   {pair.rival}"
            for before, pair in zip(jobs, group, strict=False)
        ]
        ax.set_yticks(places, labels, fontsize=7)
        for place, ratio in zip(places, ratios, strict=True):
            ax.text(max(ratio, 1.0) * 1.05, place, f"{ratio:.3g}", va="center", fontsize=7)
        ax.set_ylim(len(group) - 0.4, -0.6)
        ax.set_xscale("log")
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set_title(name, loc="left", fontsize=9, fontweight="bold")
        ax.spines[["top", "right"]].set_visible(False)
    low, high = min(pair.ratio for pair in pairs), max(pair.ratio for pair in pairs)
    axes[-1, 0].set_xlim(min(low, 1.0) / 1.2, high * 2)
    axes[-1, 0].set_xlabel(f"how many times as long the rival takes\n{machine}", fontsize=7)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="such as table.svg or table.png")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--curves", type=int, default=20_000, help="of many fits")
    parser.add_argument("--checked", type=int, default=1000, help="of those, fitted by SciPy too")
    options = parser.parse_args()
    timing.print_machine(["numpy", "numba", "jax", "torch", "scipy", "lmfit"])
    pairs = measure(options.rounds, options.curves)
    timing.print_pairs(pairs)
    qualities = [
        row
        for model in many.models()
        for row in many.quality(model, options.curves, options.checked)
    ]
    many.print_qualities(qualities, options.curves)
    if options.csv is not None:
        write_csv(options.csv, pairs, qualities, timing.machine())
    if options.plot is not None:
        draw(options.plot, pairs, timing.machine())


if __name__ == "__main__":
    main()
