"""Many fits from Python, one thread: this library's in one call, SciPy's and lmfit's in a loop.

    python benchmarks/many.py [--rounds N] [--curves M] [--checked K]

The peers have the analytic Jacobian, the logarithms of the doses, and the same starts as fit_many;
curves.<name>.fit_many finds its starts itself, and gives the standard errors of natural parameters.
Ten points a curve. Then what was found: the share that
converged, and the largest excess over the sums of squares that SciPy finds. Peers that are not
installed are named and skipped. Against C: fits.py.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import fits
import numpy as np
import numpy.typing as npt
import timing

import cbackprop as cbp
from cbackprop import _core, curves
from cbackprop.threads import usable_cores

Floats = npt.NDArray[np.float64]
MIDDLE = 1.2, 0.05  # weight and bias of the six layers of the tanh chain that are not fitted
IN_A_LOOP = 50  # curves that a peer fits in one repetition


class Model(NamedTuple):
    """Curves of one kind."""

    name: str
    net: cbp.Chain  # whose parameters are the start
    x: Floats
    ranges: Sequence[tuple[float, float]]  # from which free parameters are drawn
    function: Callable[..., Floats]  # of `inputs` and the free parameters, and its Jacobian
    jacobian: Callable[..., Floats]
    inputs: Floats  # x, or its logarithms
    curve: curves.Curve | None = None
    bounds: dict[str, tuple[float | None, float | None]] | None = None
    natural_bounds: dict[str, tuple[float | None, float | None]] | None = None
    noise: float = 0.05

    def data(self, m: int) -> Floats:
        """Draw m curves, the same each time, with their noise, shape (m, n)."""
        rng = np.random.default_rng(0)
        params = np.tile(self.net.params, (m, 1))
        free = np.flatnonzero(self.net.free)
        for k, (low, high) in zip(free, self.ranges, strict=True):
            params[:, k] = rng.uniform(low, high, m)
        chains = cbp.ChainArray(params, self.net.activations, self.net.frozen)
        return chains(self.x) + rng.uniform(-self.noise, self.noise, (m, len(self.x)))

    def by_scipy(self) -> Callable[[Floats], Floats] | None:
        """Make SciPy's fit of some y; it gives the free parameters."""
        try:
            from scipy.optimize import curve_fit
        except ImportError:
            return None
        start = self.net.params[self.net.free]
        names = np.array(self.net.param_names)[self.net.free].tolist()
        ends = [(self.bounds or {}).get(name, (None, None)) for name in names]
        low = [-math.inf if end[0] is None else end[0] for end in ends]
        high = [math.inf if end[1] is None else end[1] for end in ends]

        def fit(y: Floats) -> Floats:
            found, _ = curve_fit(
                self.function, self.inputs, y, start, jac=self.jacobian, bounds=(low, high)
            )
            return np.asarray(found)

        return fit


# ---- the functions that SciPy is given -----------------------------------------------------------


def logistic5(log_x: Floats, w: float, b: float, power: float, scale: float, shift: float) -> Any:
    """Compute the 5PL."""
    return scale * (1.0 + np.exp(-(w * log_x + b))) ** -power + shift


def logistic5_jacobian(
    log_x: Floats, w: float, b: float, power: float, scale: float, shift: float
) -> Floats:
    """Differentiate the 5PL."""
    e = np.exp(-(w * log_x + b))
    log_s = -np.log1p(e)
    value = np.exp(power * log_s)
    slope = scale * power * value * e / (1.0 + e)
    return np.column_stack([slope * log_x, slope, scale * value * log_s, value, np.ones_like(e)])


def gompertz(x: Floats, w: float, b: float, scale: float) -> Any:
    """Compute Gompertz' curve."""
    return scale * np.exp(-np.exp(w * x + b))


def gompertz_jacobian(x: Floats, w: float, b: float, scale: float) -> Floats:
    """Differentiate Gompertz' curve."""
    e = np.exp(w * x + b)
    value = np.exp(-e)
    slope = -scale * value * e
    return np.column_stack([slope * x, slope, value])


def michaelis_menten(log_x: Floats, b: float, scale: float) -> Any:
    """Compute Michaelis and Menten's curve."""
    return scale / (1.0 + np.exp(-(log_x + b)))


def michaelis_menten_jacobian(log_x: Floats, b: float, scale: float) -> Floats:
    """Differentiate Michaelis and Menten's curve."""
    s = 1.0 / (1.0 + np.exp(-(log_x + b)))
    return np.column_stack([scale * s * (1.0 - s), s])


def tanh_chain(x: Floats, w1: float, b1: float, w8: float, b8: float) -> Floats:
    """Compute a chain of eight tanh, of which the first and the last are free."""
    a = np.tanh(w1 * x + b1)
    for _ in range(6):
        a = np.tanh(MIDDLE[0] * a + MIDDLE[1])
    return np.asarray(np.tanh(w8 * a + b8))


def tanh_chain_jacobian(x: Floats, w1: float, b1: float, w8: float, b8: float) -> Floats:
    """Differentiate that chain."""
    a = np.tanh(w1 * x + b1)
    slope = 1.0 - a * a
    for _ in range(6):
        a = np.tanh(MIDDLE[0] * a + MIDDLE[1])
        slope = slope * (MIDDLE[0] * (1.0 - a * a))
    last = 1.0 - np.tanh(w8 * a + b8) ** 2
    slope = slope * last * w8
    return np.column_stack([slope * x, slope, last * a, last])


# ---- the models ----------------------------------------------------------------------------------


def models() -> list[Model]:
    """Make the models of the table."""
    dose = 0.01 * np.power(3.0, np.arange(10.0), dtype=np.float64)
    w, b, scale, shift = fits.START
    both = ("log", "sigmoid", "identity")
    logistic4 = Model(
        "4PL",
        cbp.Chain([1.0, w, scale], [0.0, b, shift], both, frozen=("w1", "b1")),
        dose,
        ((0.8, 1.8), (-1.5, 0.5), (1.5, 2.5), (-0.1, 0.2)),
        fits.curve,
        fits.jacobian,
        np.log(dose),
        curves.logistic4,
    )
    in_bounds = logistic4.net.copy()
    in_bounds.biases[2] = 0.1
    ages = np.arange(1.0, 11.0)
    line, (w, b) = np.linspace(-2.0, 2.0, 10), MIDDLE
    return [
        logistic4,
        logistic4._replace(
            name="4PL, bounded",
            bounds={"w2": (0.3, 3.0), "b3": (0.0, None)},
            net=in_bounds,
            natural_bounds={"slope": (0.3, 3.0), "bottom": (0.0, None)},
        ),
        Model(
            "5PL",
            cbp.Chain(
                [1.0, 1.2, 1.0, 2.0],
                [0.0, -0.5, 0.0, 0.0],
                ("log", "log_sigmoid", "exp", "identity"),
                frozen=("w1", "b1", "b3"),
            ),
            dose,
            ((0.8, 1.8), (-1.0, 1.0), (0.6, 1.8), (1.5, 2.5), (-0.1, 0.2)),
            logistic5,
            logistic5_jacobian,
            np.log(dose),
            curves.logistic5,
            noise=0.01,
        ),
        Model(
            "Gompertz",
            cbp.Chain(
                [-0.5, -1.0, 2.0], [1.0, 0.0, 0.0], ("exp", "exp", "identity"), ("w2", "b2", "b3")
            ),
            ages,
            ((-0.8, -0.3), (0.7, 1.8), (1.5, 2.5)),
            gompertz,
            gompertz_jacobian,
            ages,
            curves.gompertz,
        ),
        Model(
            "Michaelis-Menten",
            cbp.Chain([1.0, 1.0, 2.0], [0.0, 0.5, 0.0], both, frozen=("w1", "b1", "w2", "b3")),
            dose,
            ((-2.0, 2.0), (1.5, 2.5)),
            michaelis_menten,
            michaelis_menten_jacobian,
            np.log(dose),
            curves.michaelis_menten,
        ),
        Model(
            "8 tanh",
            cbp.Chain(
                [w] * 8, [b] * 8, "tanh", frozen=[f"{p}{k}" for p in "wb" for k in range(2, 8)]
            ),
            line,
            ((1.0, 1.5), (-0.1, 0.1)) * 2,
            tanh_chain,
            tanh_chain_jacobian,
            line,
        ),
    ]


# ---- measuring -----------------------------------------------------------------------------------


def with_kernel(name: str, call: Callable[[], object]) -> Callable[[], None]:
    """Make a call with other kernels than the best."""

    def run() -> None:
        _core.choose_kernel(name)
        call()
        _core.choose_kernel()

    return run


def calls_of(model: Model, y: Floats) -> dict[str, Callable[[], Any]]:
    """Make this library's calls that fit all of y."""

    def by_chain() -> Any:
        return cbp.fit_many(model.net, model.x, y, bounds=model.bounds, threads=1)

    calls: dict[str, Callable[[], Any]] = {"cbp.fit_many": by_chain}
    curve = model.curve
    if curve is not None:
        calls[f"curves.{curve.name}.fit_many"] = lambda: curve.fit_many(
            model.x, y, bounds=model.natural_bounds, threads=1
        )
    return calls


def measure(model: Model, m: int, rounds: int) -> list[timing.Pair]:
    """Time m fits of a model by each call against peers, which fit the first of them."""
    y = model.data(m)
    peers: dict[str, Callable[[Floats], object] | None] = {"SciPy curve_fit": model.by_scipy()}
    if model.name == "4PL":
        peers["lmfit minimize"] = fits.lmfit_rival(model.inputs, fits.START)

    def loop(fit: Callable[[Floats], object]) -> Callable[[], None]:
        def run() -> None:
            for row in y[:IN_A_LOOP]:
                fit(row)

        return run

    rivals = {name: timing.loop(loop(fit)) for name, fit in peers.items() if fit is not None}
    measured = []
    for name, call in calls_of(model, y).items():
        ours = {f"{name}, {model.name}": call}
        if _core.kernel() == "avx512" and model.name.startswith("4PL"):
            ours[f"{name}, {model.name}, AVX2"] = with_kernel("avx2", call)
        loops = {job: timing.loop(run) for job, run in ours.items()}
        taken = timing.interleave({**loops, **rivals}, rounds=rounds)
        theirs = {rival: [t / IN_A_LOOP for t in taken[rival]] for rival in rivals}
        for job in ours:
            each = [t / m for t in taken[job]]
            measured += timing.pairs("many fits", job, {timing.OURS: each, **theirs})
    return measured


def two_threads(rounds: int) -> list[timing.Pair]:
    """Time two threads against one, on all cores that this process is allowed."""
    if usable_cores() < 2:
        print("two threads: only one core may be used, skipped")
        return []
    model, m = models()[0], 1 << 17  # as many blocks of chains for the one as for the other
    y = model.data(m)

    def on(threads: int) -> Callable[[int], None]:
        return timing.loop(lambda: cbp.fit_many(model.net, model.x, y, threads=threads))

    rivals = {timing.OURS: on(2), "cbackprop, one thread": on(1)}
    taken = timing.interleave(rivals, rounds=rounds, seconds=0.1)
    return timing.pairs("many fits", "cbp.fit_many, 4PL, two threads", taken, m)


class Quality(NamedTuple):
    """What one call of this library finds."""

    job: str
    converged: float  # share of all
    checked: int  # how many SciPy has fitted as well
    excess: float  # largest, of our sum of squares over SciPy's, relative to it
    deficit: float  # largest, of SciPy's over ours
    failed: int  # of those checked, by SciPy


def quality(model: Model, m: int, checked: int) -> list[Quality]:
    """Compare m fits with SciPy's of the first of them."""
    fit = model.by_scipy()
    if fit is None:
        return []
    y = model.data(m)
    squares = np.full(checked, math.nan)
    for i, row in enumerate(y[:checked]):
        try:
            squares[i] = np.sum((model.function(model.inputs, *fit(row)) - row) ** 2)
        except RuntimeError:  # it has not converged
            continue
    done = np.isfinite(squares)
    found = {name: call() for name, call in calls_of(model, y).items()}
    return [
        Quality(
            f"{name}, {model.name}",
            float(np.mean(result.converged)),
            checked,
            float(np.max(result.rss[:checked][done] / squares[done] - 1.0)),
            float(np.max(squares[done] / result.rss[:checked][done] - 1.0)),
            int(np.count_nonzero(~done)),
        )
        for name, result in found.items()
    ]


def print_qualities(found: Sequence[Quality], m: int) -> None:
    """Print what was found."""
    print(f"\n{f'of {m} fits':<60}{'converged':>10}{'excess':>10}{'of SciPy':>10}{'failed':>8}")
    for row in found:
        print(
            f"  {row.job:<58}{row.converged:>10.4%}{row.excess:>10.1e}{row.deficit:>10.1e}"
            f"{row.failed:>8}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--curves", type=int, default=20_000)
    parser.add_argument("--checked", type=int, default=1000, help="fitted by SciPy too")
    options = parser.parse_args()
    timing.print_machine(["numpy", "scipy", "lmfit"])
    scaling = two_threads(options.rounds)
    timing.pin()
    measured = [
        pair for model in models() for pair in measure(model, options.curves, options.rounds)
    ]
    timing.print_pairs(measured + scaling)
    print_qualities(
        [row for model in models() for row in quality(model, options.curves, options.checked)],
        options.curves,
    )


if __name__ == "__main__":
    main()
