"""One 4PL fit of ten points: from Python against SciPy, and in C against GSL.

    [CC=gcc] python benchmarks/fits.py [--rounds N]

    bottom + (top - bottom) / (1 + (ec50 / x)^slope)  =  w3 sigma(w2 log(x) + b2) + b3

All start at the same parameters, converge to about ten digits and give the covariance. SciPy's
curve_fit is given the analytic Jacobian, and both peers the logarithms of the doses. Needs SciPy;
for the second part GSL (Debian: libgsl-dev) and a C compiler. What is missing is named and skipped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import building
import numpy as np
import numpy.typing as npt
import timing

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
START = (1.2, -0.5, 2.2, -0.1)  # w2, b2, w3, b3


def from_python(rounds: int) -> None:
    """Time cbackprop.fit and scipy.optimize.curve_fit, in turn."""
    try:
        from scipy.optimize import curve_fit
    except ImportError:
        print("SciPy: not installed, skipped")
        return
    dose = 0.01 * 3.0 ** np.arange(10)
    log_dose = np.log(dose)
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, 10)
    response = 0.1 + 1.9 / (1.0 + np.exp(-1.2 * (log_dose - 0.5))) + noise
    w, b, scale, shift = START
    net = cbp.Chain(
        [1.0, w, scale], [0.0, b, shift], ["log", "sigmoid", "identity"], frozen=("w1", "b1")
    )

    def curve(log_x: Floats, w: float, b: float, scale: float, shift: float) -> Floats:
        return scale / (1.0 + np.exp(-(w * log_x + b))) + shift

    def jacobian(log_x: Floats, w: float, b: float, scale: float, shift: float) -> Floats:
        s = 1.0 / (1.0 + np.exp(-(w * log_x + b)))
        slope = scale * s * (1.0 - s)
        return np.column_stack([slope * log_x, slope, s, np.ones_like(s)])

    def ours() -> Floats:
        return cbp.fit(net, dose, response).params[2:]

    def theirs() -> Floats:
        return np.asarray(curve_fit(curve, log_dose, response, START, jac=jacobian)[0])

    if not np.allclose(ours(), theirs(), rtol=1e-6):
        raise SystemExit(f"SciPy finds {theirs()}, expected {ours()}")
    rivals: dict[str, Callable[[int], object]] = {
        "ours": timing.loop(ours),
        "theirs": timing.loop(theirs),
    }
    taken = timing.interleave(rivals, rounds=rounds)
    report("cbp.fit", taken["ours"], "scipy curve_fit, analytic Jacobian", taken["theirs"])


def in_c(rounds: int) -> None:
    """Time cbp_fit_lm with cbp_fit_covariance, and GSL's multifit_nlinear."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        print(f"skipped: no C compiler {compiler[0]}")
        return
    if not building.has_header(compiler, "gsl/gsl_multifit_nlinear.h"):
        print("GSL: not found (Debian: apt-get install libgsl-dev), skipped")
        return
    with tempfile.TemporaryDirectory() as directory:
        program = building.build(
            compiler, Path(directory), "fits.c", [], ["-lgsl", "-lgslcblas", "-lm"]
        )
        answer = subprocess.run([program, str(rounds)], check=True, capture_output=True, text=True)
    rows = [[float(cell) for cell in line.split()] for line in answer.stdout.splitlines()]
    seconds = [[row[k] * 1e-9 for row in rows] for k in (0, 1)]
    report("cbp_fit_lm, covariance", seconds[0], "gsl_multifit_nlinear", seconds[1])
    print(f"largest relative difference of the sums of squares: {rows[0][2]:.1e}")


def report(ours: str, our_times: list[float], theirs: str, their_times: list[float]) -> None:
    """Print one pair."""
    ratio = timing.median_ratio(their_times, our_times)
    for name, times in ((ours, our_times), (theirs, their_times)):
        print(f"{name:<40}{statistics.median(times) * 1e6:>9.1f} µs")
    print(f"{'ratio':<40}{ratio:>9.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine(["numpy", "scipy"])
    from_python(rounds)
    in_c(rounds)


if __name__ == "__main__":
    main()
