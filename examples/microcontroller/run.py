"""Fit a thermistor, export it as C, and run it on emulated Cortex-M4F and Cortex-M0.

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

HERE = Path(__file__).resolve().parent
MOST_FLASH, MOST_RAM = 6 * 1024, 256

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
    fused: tuple[str, ...] = ()


BOARDS = {
    # the floating-point unit has fused multiply-add of single precision, which the flag says
    "Cortex-M4F": Board(
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-D__FP_FAST_FMA"),
        "mps2-an386",
        ("-D__FP_FAST_FMA",),
    ),
    "Cortex-M0": Board(("-mcpu=cortex-m0", "-mfloat-abi=soft"), "microbit"),
}

# what the program reports goes to standard output
QEMU = (
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


def link(board: Board, sources: list[str], to: Path, *flags: str) -> Path:
    """Compile for a board, with nothing but the compiler's own library."""
    shims = f"-I{HERE.parent / 'freestanding'}"
    alone = ("-ffreestanding", "-nostdlib")
    alone += ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
    include = (shims, "-I.")
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


def main() -> int:
    net, failed = thermistor(), 0
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
        for name, board in BOARDS.items():
            link(board, ["main.c", "board.c"], to, "-T", str(HERE / "board.ld"))
            symbols = run("arm-none-eabi-nm", "board.elf", cwd=to)
            printed = run(
                "qemu-system-arm", "-M", board.machine, *QEMU, "-kernel", "board.elf", cwd=to
            )
            host = (*FLAGS, *board.fused, "-I.", HERE / "main.c", HERE / "host.c")
            run("cc", "-O2", *host, "-lm", "-o", "host", cwd=to)
            expected = run("./host", cwd=to)
            learned = struct.unpack(">f", bytes.fromhex(printed.split()[-1]))[0]
            good = printed == expected and abs(learned - 0.5) < 1e-4
            allocates = re.search(r"\b(malloc|free|_sbrk|printf)\b", symbols)
            count, verdict = len(printed.splitlines()), "the" if printed == expected else "NOT the"
            print(
                f"{name}: {count} numbers, {verdict} bits of this computer; learned {learned:.4f}"
            )

            flash, ram = sizes(
                link(board, ["size.c"], to, "-Wl,-e,forward", "-Wl,-u,inverse", "-Wl,-Ttext=0")
            )
            depth = stack(to, ("forward", "inverse"))
            print(
                f"{name}: forward and inverse of log -> sigmoid -> exp: {flash} bytes of flash,"
                f" {ram} of memory, {depth} of stack"
            )
            failed += not good or bool(allocates) or flash > MOST_FLASH or ram + depth > MOST_RAM
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
