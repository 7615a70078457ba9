"""4PL fits of ten points: one from Python against SciPy and lmfit; one, and many, in C.

    [CC=gcc] [CXX=g++] python benchmarks/fits.py [--rounds N]

    bottom + (top - bottom) / (1 + (ec50 / x)^slope)  =  w3 sigma(w2 log(x) + b2) + b3

All start at the same parameters, converge to about ten digits and give the covariance. The peers
are given the analytic Jacobian and the logarithms of the doses. A named curve finds its start; its
peer in Python, SciPy, is given one and the formula. In C the peers are GSL, cminpack and Ceres'
TinySolver (Debian: libgsl-dev, libcminpack-dev, libceres-dev). What is missing is named and
skipped.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import building
import numpy as np
import numpy.typing as npt
import timing

import cbackprop as cbp
from cbackprop import _core, curves

Floats = npt.NDArray[np.float64]
START = (1.2, -0.5, 2.2, -0.1)  # w2, b2, w3, b3


# ---- the curve as NumPy computes it --------------------------------------------------------------


def curve(log_x: Floats, w: float, b: float, scale: float, shift: float) -> Floats:
    """Compute the 4PL."""
    return scale / (1.0 + np.exp(-(w * log_x + b))) + shift


def jacobian(log_x: Floats, w: float, b: float, scale: float, shift: float) -> Floats:
    """Differentiate the 4PL by its parameters."""
    s = 1.0 / (1.0 + np.exp(-(w * log_x + b)))
    slope = scale * s * (1.0 - s)
    return np.column_stack([slope * log_x, slope, s, np.ones_like(s)])


def lmfit_rival(log_x: Floats, start: tuple[float, ...]) -> Callable[[Floats], Any] | None:
    """Make lmfit's fit of some y, by its wrapper of MINPACK."""
    try:
        import lmfit
    except ImportError:
        return None
    parameters = lmfit.create_params(**dict(zip(("w", "b", "scale", "shift"), start, strict=True)))

    def residuals(p: Any, y: Floats) -> Floats:
        return curve(log_x, *p.valuesdict().values()) - y

    def slopes(p: Any, y: Floats) -> Floats:
        return jacobian(log_x, *p.valuesdict().values())

    def fit(y: Floats) -> Any:
        found = lmfit.minimize(residuals, parameters, args=(y,), Dfun=slopes, col_deriv=False)
        return np.array(list(found.params.valuesdict().values()))

    return fit


# ---- from Python, and in C -----------------------------------------------------------------------


def data() -> tuple[Floats, Floats]:
    """Make ten doses and noisy responses."""
    dose = 0.01 * np.power(3.0, np.arange(10.0), dtype=np.float64)
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, 10)
    return dose, np.asarray(curve(np.log(dose), 1.2, -0.6, 1.9, 0.1) + noise, dtype=np.float64)


def of_a_named_curve(rounds: int) -> list[timing.Pair]:
    """Time curves.logistic4.fit against SciPy, which is given a start and the formula."""
    dose, response = data()
    try:
        from scipy.optimize import curve_fit
    except ImportError:
        return []

    def formula(x: Floats, bottom: float, top: float, ec50: float, slope: float) -> Floats:
        return bottom + (top - bottom) / (1.0 + (ec50 / x) ** slope)

    def ours() -> Floats:
        return np.array(list(curves.logistic4.fit(dose, response).params.values()))

    def theirs() -> Floats:
        return np.asarray(curve_fit(formula, dose, response, (0.0, 2.0, 1.0, 1.0))[0])

    if not np.allclose(ours(), theirs(), rtol=1e-4):
        raise SystemExit(f"SciPy finds {theirs()}, expected {ours()}")
    calls = {timing.OURS: ours, "SciPy curve_fit": theirs}
    taken = timing.interleave(
        {name: timing.loop(call) for name, call in calls.items()}, rounds=rounds
    )
    return timing.pairs("single fits", "curves.logistic4.fit, from no start", taken)


def from_python(rounds: int) -> list[timing.Pair]:
    """Time cbackprop.fit against the peers."""
    dose, response = data()
    log_dose = np.log(dose)
    w, b, scale, shift = START
    net = cbp.Chain(
        [1.0, w, scale], [0.0, b, shift], ["log", "sigmoid", "identity"], frozen=("w1", "b1")
    )

    def ours() -> Floats:
        return cbp.fit(net, dose, response).params[2:]

    rivals: dict[str, Callable[[], Floats]] = {}
    try:
        from scipy.optimize import curve_fit
    except ImportError:
        pass
    else:
        rivals["SciPy curve_fit"] = lambda: curve_fit(
            curve, log_dose, response, START, jac=jacobian
        )[0]
    by_lmfit = lmfit_rival(log_dose, START)
    if by_lmfit is not None:
        rivals["lmfit minimize"] = lambda: by_lmfit(response)
    for name, rival in rivals.items():
        if not np.allclose(ours(), rival(), rtol=1e-6):
            raise SystemExit(f"{name} finds {rival()}, expected {ours()}")
    loops = {name: timing.loop(call) for name, call in {timing.OURS: ours, **rivals}.items()}
    taken = timing.interleave(loops, rounds=rounds)
    return timing.pairs("single fits", "cbp.fit, 4PL, with stderr", taken)


def in_c(rounds: int) -> list[timing.Pair]:
    """Time cbp_fit_lm with cbp_fit_covariance, cbp_curve_fit and cbp_fit_many against the peers."""
    compiler, linker = building.compiler_of("CC", "cc"), building.compiler_of("CXX", "c++")
    if not compiler:
        print("fits in C: no C compiler, skipped")
        return []
    eigen = "-I/usr/include/eigen3"  # where Debian has it
    with tempfile.TemporaryDirectory() as name:
        directory, flags, libraries = Path(name), [], []
        if building.has_header(compiler, "gsl/gsl_multifit_nlinear.h"):
            flags, libraries = ["-DHAVE_GSL"], ["-lgsl", "-lgslcblas"]
        else:
            print("GSL: not found (Debian: apt-get install libgsl-dev), skipped")
        if building.has_header(compiler, "cminpack-1/cminpack.h"):
            flags.append("-DHAVE_CMINPACK")
            libraries.append("-lcminpack")
        else:
            print("cminpack: not found (Debian: apt-get install libcminpack-dev), skipped")
        if linker and building.has_header(linker, "ceres/tiny_solver.h", eigen, language="c++"):
            flags.append("-DHAVE_TINY_SOLVER")
            libraries.append(building.compile_one(linker, directory, "tiny_solver.cpp", [eigen]))
        else:
            print("Ceres: not found (Debian: apt-get install g++ libceres-dev), skipped")
        program = building.build(compiler, directory, "fits.c", flags, [*libraries, "-lm"], linker)
        answer = subprocess.run([program, str(rounds)], check=True, capture_output=True, text=True)
    names, *rows, worst = (line.strip().split("\t") for line in answer.stdout.splitlines())
    for contestant, excess in zip(names, worst, strict=True):
        if float(excess) > 1e-9:
            raise SystemExit(f"{contestant}: a sum of squares is {excess} above the least")
    taken = {
        contestant: [float(row[k]) * 1e-9 for row in rows] for k, contestant in enumerate(names)
    }
    ours = {
        "one by one": ("single fits", "cbp_fit_lm and covariance in C, 4PL"),
        "curves": ("single fits", "cbp_curve_fit in C, logistic4, from no start"),
        "many": ("many fits", "cbp_fit_many in C, 4PL"),
        "many, AVX2": ("many fits", "cbp_fit_many in C, 4PL, AVX2"),
    }
    peers = {contestant: times for contestant, times in taken.items() if contestant not in ours}
    return [
        pair
        for contestant, (section, job) in ours.items()
        if contestant != "many, AVX2" or _core.kernel() == "avx512"
        for pair in timing.pairs(section, job, {timing.OURS: taken[contestant], **peers})
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine(["numpy", "scipy", "lmfit"])
    timing.print_pairs(of_a_named_curve(rounds) + from_python(rounds) + in_c(rounds))


if __name__ == "__main__":
    main()
