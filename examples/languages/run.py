"""The same chains in every language whose tools are there, compared with Python bit for bit.

    python examples/languages/run.py [--strict] [LANGUAGE ...]

Each program reads the cases from standard input and prints what it computed (README.md has the
format). The chains are those of tests/vectors/chains.json, the fits those of fits.json, the curve
that of examples/data/ryegrass.csv. With --strict a language that cannot be run is an error.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import cbackprop as cbp
from cbackprop import curves

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parents[1] / "tests" / "vectors"
DOSES = HERE.parent / "data" / "ryegrass.csv"
# one gradient is timed in short runs, which a busy machine leaves alone; the fastest counts
REPEATS, RUNS = 20_000, 40
FLAGS = ("-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC")

# ---- what is computed ----------------------------------------------------------------------------


@dataclass
class Case:
    """A chain, its examples, and what Python makes of them: lists of numbers by their names."""

    net: cbp.Chain
    x: list[float]
    y: list[float]
    fit: bool
    curve: bool = False
    expected: dict[str, list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.expected = {
            "forward": self.net(self.x).tolist(),
            "gradient": self.net.gradient(self.x, self.y).tolist(),
        }
        if self.fit:
            found = cbp.fit(self.net, self.x, self.y)
            self.expected["iterations"] = [found.n_iterations]
            self.expected["fit"] = found.params.tolist()
        if self.curve:
            fitted = curves.logistic4.fit(self.x, self.y)
            self.expected["natural"] = list(fitted.params.values())
            self.expected["errors"] = list(fitted.stderr.values())
            self.expected["rss"] = [fitted.rss]

    def units(self) -> dict[str, list[float]]:
        """Return what an ulp is for each result where products are rounded by themselves.

        Its own, and what an ulp of every layer's terms and of the residual makes of it.
        """
        forward, gradient = [], np.zeros(2 * self.net.layers)
        for x, y in zip(self.x, self.y, strict=True):
            seen, by_params = self.net.trace(x, y), np.abs(self.net.jacobian(x)[0])
            products = np.abs(self.net.weights * [x, *seen.a[:-1]])
            products[np.isinf(products)] = 0  # exact, as the logarithm of a dose of 0
            step = np.spacing(np.maximum(products, np.abs(self.net.biases)))
            bend = np.abs(self.net.hessian(x, y)[:, 1::2])
            end = np.spacing(max(abs(seen.a[-1]), abs(y)))
            forward.append(float(np.spacing(abs(seen.a[-1])) + by_params[1::2] @ step))
            gradient += np.spacing(np.abs(seen.gradient)) + bend @ step + 2 * by_params * end
        return {"forward": forward, "gradient": (gradient / len(self.x)).tolist()}

    def text(self, write: Callable[[float], str], repeats: int) -> str:
        codes = [cbp.ACTIVATIONS.index(name) for name in self.net.activations]
        lines: list[Iterable[object]] = [
            [self.net.layers, len(self.x), int(self.fit), int(self.curve), repeats],
            codes,
            [int(not free) for free in self.net.free],
            *(
                [write(number) for number in of]
                for of in (self.net.params.tolist(), self.x, self.y)
            ),
        ]
        return "".join(" ".join(map(str, line)) + "\n" for line in lines)


def cases() -> list[Case]:
    """Network 1 of the vectors first: it is the one whose gradient is timed."""
    chains = json.loads((VECTORS / "chains.json").read_text())["cases"]
    fits = json.loads((VECTORS / "fits.json").read_text())
    found = []
    for case in chains:
        if case["loss"] == "squared" and case["weight"] is None and "x" in case:
            params, x, y = ([float.fromhex(t) for t in case[key]] for key in ("params", "x", "y"))
            net = cbp.Chain(params[::2], params[1::2], case["activations"])
            found.append(Case(net, x, y, False))
    # an average that goes through several blocks, by the formula of the vectors' README
    x = [(7919 * i) % 8192 / 1024 - 4 for i in range(10_000)]
    y = [(104729 * i) % 4096 / 4096 for i in range(10_000)]
    found.append(Case(found[0].net, x, y, False))
    for case in fits["certified"] + fits["published"]:
        start = case["starts"][0]
        net = cbp.Chain(start[::2], start[1::2], case["activations"], case["frozen"])
        found.append(Case(net, list(map(float, case["x"])), list(map(float, case["y"])), True))
    dose, length = np.loadtxt(DOSES, delimiter=",", skiprows=2, unpack=True).tolist()
    rounded = curves.logistic4.chain(bottom=0.5, top=8, ec50=3, slope=-3)
    found.append(Case(rounded, dose, length, False, curve=True))
    return found


# ---- the languages -------------------------------------------------------------------------------


def run(
    *command: str | Path,
    text: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def there(tool: str) -> bool:
    """Tell whether a command, or a Python package of that name, is installed."""
    return bool(shutil.which(tool) or importlib.util.find_spec(tool))


@dataclass
class Built:
    """The command of a program, its environment, and how it reads numbers."""

    command: list[str | Path]
    env: dict[str, str] = field(default_factory=dict)
    write: Callable[[float], str] = repr


def core(to: Path) -> None:
    """Build the library, static and shared, of the package's single file."""
    run("cc", *FLAGS, "-c", cbp.get_source(), "-o", to / "cbackprop.o")
    run("ar", "rcs", to / "libcbackprop.a", to / "cbackprop.o")
    (to / "shared").mkdir()
    run("cc", "-shared", to / "cbackprop.o", "-lm", "-o", to / "shared" / "libcbackprop.so")


def linked(to: Path, source: str, *compiler: str) -> Built:
    """Compile a program that includes the header, and link it with the static library."""
    program = to / Path(source).parent
    run(
        *compiler,
        "-O2",
        f"-I{cbp.get_include()}",
        HERE / source,
        to / "libcbackprop.a",
        "-lm",
        "-o",
        program,
    )
    return Built([program])


def c(to: Path) -> Built:
    return linked(to, "c/chain.c", "cc")


def cpp(to: Path) -> Built:
    return linked(to, "cpp/chain.cpp", "c++", "-std=c++11")


def rust(to: Path) -> Built:
    source = HERE / "rust/chain.rs"
    run(
        "rustc",
        "--edition=2021",
        "-O",
        source,
        "-L",
        to,
        "-l",
        "static=cbackprop",
        "-o",
        to / "rust",
    )
    return Built([to / "rust"])


def go(to: Path) -> Built:
    include = f"-I{cbp.get_include()}"
    source = HERE / "go/chain.go"
    env = {
        "CGO_CFLAGS": include,
        "CGO_LDFLAGS": f"-L{to}",
        "CGO_ENABLED": "1",
        "GO111MODULE": "off",
        "GOCACHE": str(to / "go-cache"),
    }
    run("go", "build", "-o", to / "go", source, env=env)
    return Built([to / "go"])


def luajit(to: Path) -> Built:
    return Built(["luajit", HERE / "luajit/chain.lua"], {"LD_LIBRARY_PATH": str(to / "shared")})


def r(to: Path) -> Built:
    env = {"PKG_CFLAGS": f"-I{cbp.get_include()}", "PKG_LIBS": f"-L{to} -lcbackprop -lm"}
    shutil.copy(HERE / "r/chain.c", to / "chain_r.c")
    run("R", "CMD", "SHLIB", "chain_r.c", cwd=to, env=env)
    return Built(["Rscript", HERE / "r/chain.R", to / "chain_r.so"], write=float.hex)


def fortran(to: Path) -> Built:
    run(
        "gfortran",
        "-O2",
        f"-J{to}",
        HERE / "fortran/chain.f90",
        to / "libcbackprop.a",
        "-o",
        to / "fortran",
    )
    return Built([to / "fortran"])


def node(to: Path) -> Built:
    """No C library and no imports: clang and its linker make the module of the single file."""
    target = (
        "--target=wasm32",
        "-mbulk-memory",
        "-nostdlib",
        "-ffreestanding",
        "-fvisibility=hidden",
    )
    link = ("-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--export=__heap_base")
    module = to / "cbackprop.wasm"
    shims = f"-I{HERE.parent / 'freestanding'}"
    run("clang", *target, *FLAGS[:-1], shims, *link, cbp.get_source(), "-o", module)
    return Built(["node", HERE / "node/chain.mjs", module])


def java(to: Path) -> Built:
    home = Path(shutil.which("javac") or "javac").resolve().parents[1]
    include = (f"-I{home / 'include'}", f"-I{home / 'include/linux'}", f"-I{cbp.get_include()}")
    source = HERE / "java/chain_jni.c"
    library = to / "libchain_jni.so"
    run(
        "cc",
        "-O2",
        "-shared",
        "-fPIC",
        *include,
        source,
        to / "libcbackprop.a",
        "-lm",
        "-o",
        library,
    )
    run("javac", "-d", to, HERE / "java/Chain.java")
    return Built(["java", f"-Djava.library.path={to}", "-cp", to, "Chain"])


def octave(to: Path) -> Built:
    source = HERE / "octave/chain_mex.c"
    include = f"-I{cbp.get_include()}"
    run(
        "mkoctfile",
        "--mex",
        include,
        source,
        to / "libcbackprop.a",
        "-o",
        to / "chain_mex.mex",
        cwd=to,
    )
    return Built(["octave-cli", "--norc", "--path", to, HERE / "octave/chain.m"])


def node_fused(to: Path) -> Built:
    """With the C library's fma: the same bits, slower."""
    target = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-fvisibility=hidden")
    link = ("-Wl,--export-dynamic", "-Wl,--export=__heap_base")
    module = to / "fused.wasm"
    fused = "-D__FP_FAST_FMA"
    zig = (sys.executable, "-m", "ziglang", "cc")
    run(*zig, *target, *FLAGS[:-1], fused, *link, cbp.get_source(), "-o", module)
    return Built(["node", HERE / "node/chain.mjs", module])


# what each needs, and how it is built
LANGUAGES: dict[str, tuple[tuple[str, ...], Callable[[Path], Built]]] = {
    "C": (("cc",), c),
    "C++": (("c++",), cpp),
    "Rust": (("rustc",), rust),
    "Go": (("go",), go),
    "LuaJIT": (("luajit",), luajit),
    "R": (("R", "Rscript"), r),
    "Fortran": (("gfortran",), fortran),
    "Node": (("node", "clang", "wasm-ld"), node),
    "Node, fma": (("node", "ziglang"), node_fused),
    "Java": (("java", "javac"), java),
    "Octave": (("octave-cli", "mkoctfile"), octave),
}
# Without fused multiply-add the last digits are not the same: so many units apart may they be, and
# so far, relatively, what is fitted.
UNFUSED = ("Node",)
ULPS, FIT_APART = 4, 1e-9

# ---- the comparison ------------------------------------------------------------------------------


def number(word: str) -> float:
    return float.fromhex(word) if "x" in word else float(word.replace("Infinity", "inf"))


def apart(a: float, b: float) -> int:
    """Return how many doubles lie between two; 0 for the same bits."""
    if math.isnan(a) and math.isnan(b):
        return 0
    keys: list[int] = [struct.unpack("<q", struct.pack("<d", value))[0] for value in (a, b)]
    first, second = (key if key >= 0 else -(key & (2**63 - 1)) for key in keys)
    return abs(first - second)


def apart_in(unit: float, a: float, b: float) -> float:
    """Return the distance of two numbers in units; infinite if one of them is NaN."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    distance = abs(a - b) / unit
    return math.inf if math.isnan(distance) else distance


# the column of a result that has none of its own name
COLUMNS = {"natural": "curve", "errors": "curve", "rss": "curve"}


@dataclass
class Comparison:
    """The largest distance in each kind of result, and the time of a gradient."""

    ulps: dict[str, float]
    fit_apart: float = 0
    nanoseconds: float = math.inf

    def distances(self) -> str:
        words = ["equal" if ulps == 0 else f"{ulps:.2g} ulp" for ulps in self.ulps.values()]
        return "".join(f"{word:>12}" for word in words)


def compare(printed: str, expected: list[Case], *, fused: bool) -> Comparison:
    """Read what a program has printed; without fused operations an ulp is that of `Case.units`."""
    seen = Comparison(dict.fromkeys(("forward", "gradient", "fit", "curve"), 0.0))
    lines = [line.split() for line in printed.splitlines()]
    for case in expected:
        units = {} if fused else case.units()
        for what, numbers in case.expected.items():
            name, *words = lines.pop(0)
            if name != what or len(words) != len(numbers):
                raise RuntimeError(
                    f"expected {len(numbers)} of {what}, got {name} {' '.join(words)}"
                )
            got = list(map(number, words))
            pairs = list(zip(got, numbers, strict=True))
            if what == "iterations":
                seen.ulps["fit"] += 0 if got == numbers or not fused else math.inf
                continue
            if what in units:
                ulps = [
                    apart_in(unit, *pair) for pair, unit in zip(pairs, units[what], strict=True)
                ]
            else:
                ulps = [apart(a, b) for a, b in pairs]
                relative = [apart_in(abs(b or 1), a, b) for a, b in pairs]
                seen.fit_apart = max(seen.fit_apart, *relative)
            column = COLUMNS.get(what, what)
            seen.ulps[column] = max(seen.ulps[column], *ulps)
        if lines and lines[0][0] == "ns":
            seen.nanoseconds = min(seen.nanoseconds, float(lines.pop(0)[1]))
    if lines:
        raise RuntimeError(f"unexpected: {' '.join(lines[0])}")
    return seen


def agrees(seen: Comparison, *, fused: bool) -> bool:
    if fused:
        return not any(seen.ulps.values())
    return max(seen.ulps["forward"], seen.ulps["gradient"]) <= ULPS and seen.fit_apart <= FIT_APART


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=", ".join(LANGUAGES))
    parser.add_argument("--strict", action="store_true", help="a missing tool is an error")
    given = parser.parse_args()
    for name in given.languages:
        if name not in LANGUAGES:
            parser.error(f"{name!r}: expected one of {', '.join(LANGUAGES)}")
    expected, failed = cases(), 0
    expected = expected[:1] * RUNS + expected
    fits = sum(case.fit for case in expected)
    print(f"{len(expected) - RUNS} chains, {fits} fits, a curve: distance from Python")
    print(f"{'':12}{'forward':>12}{'gradient':>12}{'fit':>12}{'curve':>12}{'ns / gradient':>15}")
    with tempfile.TemporaryDirectory() as scratch:
        to = Path(scratch)
        core(to)
        for name in given.languages or LANGUAGES:
            tools, build = LANGUAGES[name]
            missing = [tool for tool in tools if not there(tool)]
            if missing:
                print(f"{name:12} not run: {', '.join(missing)} missing", flush=True)
                failed += given.strict
                continue
            built, fused = build(to), name not in UNFUSED
            text = "".join(
                case.text(built.write, REPEATS if k < RUNS else 0)
                for k, case in enumerate(expected)
            )
            seen = compare(run(*built.command, text=text, env=built.env), expected, fused=fused)
            good = agrees(seen, fused=fused)
            print(
                f"{name:12}{seen.distances()}{seen.nanoseconds:>15.1f}"
                + ("" if good else "  FAILED"),
                flush=True,
            )
            failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
