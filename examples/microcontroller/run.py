"""Run C on emulated microcontrollers: an exported thermistor, and an assay that fits its curve.

    python examples/microcontroller/run.py

Needs gcc-arm-none-eabi and qemu-system-arm (Debian). What the device computes must be what this
computer computes in single precision, bit for bit.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import cbackprop as cbp
from cbackprop import curves

HERE = Path(__file__).resolve().parent
MOST_FLASH, MOST_RAM = 6 * 1024, 256
# a device that fits a curve has at least
FIT_FLASH, FIT_RAM = 256 * 1024, 40 * 1024

# contraction off as everywhere, so that operations are fused where the core says so
FLAGS = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-DCBP_SINGLE",
)


@dataclass
class Board:
    """An emulated board: its processor's flags, qemu's name of it, and what this computer needs."""

    flags: tuple[str, ...]
    machine: str
    hertz: int
    fused: tuple[str, ...] = ()


BOARDS = {
    # the floating-point unit has fused multiply-add of single precision, which the flag says
    "Cortex-M4F": Board(
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-D__FP_FAST_FMA"),
        "mps2-an386",
        25_000_000,
        ("-D__FP_FAST_FMA",),
    ),
    "Cortex-M0": Board(("-mcpu=cortex-m0", "-mfloat-abi=soft"), "microbit", 16_000_000),
}

# what the program reports goes to standard output; an instruction is a nanosecond
QEMU = (
    "-icount", "shift=0",
    "-display", "none", "-serial", "none", "-monitor", "none",
    "-chardev", "stdio,id=out", "-semihosting-config", "enable=on,target=native,chardev=out",
)  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def thermistor() -> cbp.Chain:
    """Fit 1/T = b2 + w2 log R to a 10 kOhm NTC between -25 and 100 degrees.

    The table is of the Steinhart-Hart equation with the usual coefficients of such a sensor. The
    offset from kelvin stays free, for the device to learn.
    """
    celsius = np.linspace(-25, 100, 26)
    a, b, c = 1.129148e-3, 2.34125e-4, 8.76741e-8
    log_ohms = np.array(
        [
            next(r.real for r in np.roots([c, 0, b, a - 1 / (t + 273.15)]) if abs(r.imag) < 1e-9)
            for t in celsius
        ]
    )
    layers = ["log", "reciprocal", "identity"]
    start = cbp.Chain([1, 2.5e-4, 1], [0, 1e-3, -273.15], layers, ["w1", "b1", "w3", "b3"])
    fitted = cbp.fit(start, np.exp(log_ohms), celsius)
    print(f"thermistor fitted: {fitted.residual_sd:.2f} degrees residual standard deviation")
    weights, biases = fitted.chain.weights, fitted.chain.biases
    return cbp.Chain(weights, biases, layers, frozen=["w1", "b1", "w2", "b2", "w3"])


def link(board: Board, sources: list[str | Path], to: Path, *flags: str | Path) -> Path:
    """Compile for a board, with nothing but the compiler's own library."""
    shims = f"-I{HERE.parent / 'freestanding'}"
    alone = ("-ffreestanding", "-nostdlib")
    alone += ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
    include = (shims, "-I.", f"-I{cbp.get_include()}")
    run(
        *("arm-none-eabi-gcc", *FLAGS, *board.flags, "-Os", "-mthumb", *alone, "-fstack-usage"),
        *(*flags, *include, *(HERE / source for source in sources), "-lgcc", "-o", "board.elf"),
        cwd=to,
    )
    return to / "board.elf"


def sizes(elf: Path) -> tuple[int, int]:
    """Return the bytes in flash and in memory."""
    text, data, bss = map(
        int, run("arm-none-eabi-size", elf, cwd=elf.parent).splitlines()[1].split()[:3]
    )
    return text + data, data + bss


def stack(to: Path, functions: tuple[str, ...]) -> int:
    """Return the deepest stack of some functions, without the compiler's library's."""
    usage = "".join(path.read_text() for path in to.glob("*.su"))
    return max(int(re.findall(rf":{name}\t(\d+)", usage)[0]) for name in functions)


def emulate(board: Board, elf: Path) -> tuple[list[str], int, int]:
    """Return what a program reports, its deepest stack in bytes, and its instructions."""
    command = ("qemu-system-arm", "-M", board.machine, *QEMU, "-kernel", elf)
    *lines, depth, ticks = run(*command, cwd=elf.parent).splitlines()
    taken = int(ticks.split()[1], 16) * 1_000_000_000 // board.hertz
    return lines, int(depth.split()[1], 16), taken


def here(board: Board, sources: list[str | Path], to: Path) -> list[str]:
    """Return what the same program reports on this computer."""
    flags = (*FLAGS, *board.fused, "-I.", f"-I{cbp.get_include()}")
    files = (HERE / source for source in (*sources, "host.c"))
    run("cc", "-O2", *flags, *files, "-lm", "-o", "host", cwd=to)
    return run("./host", cwd=to).splitlines()


def value(line: str) -> float:
    """Return the number of a reported line."""
    return float(struct.unpack(">f", bytes.fromhex(line.rpartition(" ")[2]))[0])


def verdict(printed: list[str], expected: list[str]) -> str:
    are = "the" if printed == expected else "NOT the"
    return f"{len(printed)} numbers, {are} bits of this computer"


def runs_thermistor(name: str, board: Board, to: Path) -> bool:
    """Whether the thermistor's program computes and learns what it should, and how large it is."""
    elf = link(board, ["main.c", "board.c"], to, "-T", HERE / "board.ld")
    symbols = run("arm-none-eabi-nm", elf, cwd=to)
    printed, _, _ = emulate(board, elf)
    expected = here(board, ["main.c"], to)
    learned = value(printed[-1])
    print(f"{name}: {verdict(printed, expected)}; learned {learned:.4f}")
    flash, ram = sizes(
        link(board, ["size.c"], to, "-Wl,-e,forward", "-Wl,-u,inverse", "-Wl,-Ttext=0")
    )
    depth = stack(to, ("forward", "inverse"))
    print(
        f"{name}: forward and inverse of log -> sigmoid -> exp: {flash} bytes of flash,"
        f" {ram} of memory, {depth} of stack"
    )
    allocates = re.search(r"\b(malloc|free|_sbrk|printf)\b", symbols)
    is_small = flash <= MOST_FLASH and ram + depth <= MOST_RAM
    return printed == expected and abs(learned - 0.5) < 1e-4 and not allocates and is_small


def runs_assay(name: str, board: Board, to: Path) -> bool:
    """Whether the curve that a device fits is the one that Python fits in double precision."""
    sources: list[str | Path] = ["assay.c", Path(cbp.get_source())]
    room = f"-Wl,--defsym,flash_size={FIT_FLASH},--defsym,ram_size={FIT_RAM}"
    elf = link(board, [*sources, "board.c"], to, room, "-T", HERE / "board.ld")
    printed, depth, taken = emulate(board, elf)
    expected = here(board, sources, to)
    conc, density = np.loadtxt(
        HERE.parent / "data" / "dnase.csv", delimiter=",", skiprows=2, unpack=True
    )
    fitted = curves.logistic4.fit(conc, density)
    found = np.array([value(line) for line in printed])
    in_double = [
        x for pair in zip(fitted.params.values(), fitted.stderr.values(), strict=True) for x in pair
    ]
    in_double.append(fitted.chain.inverse(0.85))
    is_near = np.allclose(found, in_double, rtol=1e-4, atol=1e-6)
    flash, ram = sizes(elf)
    print(
        f"{name}: logistic4 fitted to {len(density)} points: {verdict(printed, expected)};"
        f" {flash} bytes of flash, {ram} of memory, {depth} of stack,"
        f" {taken / 1e6:.2f} million instructions"
    )
    return printed == expected and is_near and ram + depth <= FIT_RAM


def main() -> int:
    net = thermistor()
    with tempfile.TemporaryDirectory() as scratch:
        to = Path(scratch)
        net.save(to / "thermistor.json")
        run(
            sys.executable,
            "-m",
            "cbackprop",
            "export",
            "thermistor.json",
            "--c",
            "thermistor.h",
            cwd=to,
        )
        sized = cbp.Chain([1, 2.0, 1.5], [0, 0.5, -0.25], ["log", "sigmoid", "exp"])
        (to / "sized.h").write_text(cbp.export_c(sized, "sized"))
        good = [runs_thermistor(name, board, to) for name, board in BOARDS.items()]
        good.append(runs_assay("Cortex-M4F", BOARDS["Cortex-M4F"], to))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
