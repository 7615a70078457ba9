"""The C tests and the golden vectors on other processors, cross-built by zig and run by qemu.

    python tests/c/processors.py [PROCESSOR ...]

Needs the packages ziglang (PyPI) and qemu-user-static (Debian). Chains, gradients, the average over
10 000 examples and whole fits must have this machine's bits, iterations included, wherever there is
fused multiply-add. For Windows and macOS everything is linked, and nothing run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "languages"))

import run as languages  # noqa: E402

ZIG = (sys.executable, "-m", "ziglang", "cc")
FLAGS = (
    *("-std=c99", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-Werror", "-Wno-pass-failed"),  # where there are no vectors, a loop cannot become one
)
# what shows that memory is laid out and numbers are made alike; the rest of the tests is arithmetic
# that the vectors compare bit for bit, and takes minutes under qemu
TESTS = (
    "test_status",
    "test_dispatch",
    "test_chain",
    "test_elementary",
    "test_kernels",
    "test_golden",
)


@dataclass
class Processor:
    """A target of zig's, its flags, what runs its programs, and whether it is fused."""

    target: str
    flags: tuple[str, ...] = ()
    emulator: tuple[str, ...] = ()
    fused: bool = True
    linked_only: bool = False


LIBM = "-D__FP_FAST_FMA"  # the C library's fma where the processor has none

PROCESSORS = {
    "x86-64 musl": Processor("x86_64-linux-musl"),
    "aarch64": Processor("aarch64-linux-musl", emulator=("qemu-aarch64-static",)),
    "s390x": Processor("s390x-linux-musl", emulator=("qemu-s390x-static",)),
    "riscv64": Processor("riscv64-linux-musl", emulator=("qemu-riscv64-static",)),
    "armv7": Processor("arm-linux-musleabihf", emulator=("qemu-arm-static",), fused=False),
    "armv7 VFPv4": Processor(
        "arm-linux-musleabihf", ("-mcpu=cortex_a7", LIBM), emulator=("qemu-arm-static",)
    ),
    "i686": Processor("x86-linux-musl", emulator=("qemu-i386-static",), fused=False),
    "i686 libm": Processor("x86-linux-musl", (LIBM,), emulator=("qemu-i386-static",)),
    "Windows x86-64": Processor("x86_64-windows-gnu", linked_only=True),
    "Windows arm64": Processor("aarch64-windows-gnu", linked_only=True),
    "macOS x86-64": Processor("x86_64-macos", linked_only=True),
    "macOS arm64": Processor("aarch64-macos", linked_only=True),
}


def build(processor: Processor, to: Path) -> None:
    """Compile the core, then the test programs and the C example with it."""
    zig: tuple[str | Path, ...] = (*ZIG, "-target", processor.target, *FLAGS, *processor.flags)
    zig += ("-I", ROOT / "csrc")
    objects: list[Path] = []
    for source in sorted((ROOT / "csrc").glob("*.c")):
        objects.append(to / f"{source.stem}.o")
        languages.run(*zig, "-c", source, "-o", objects[-1])
    programs = [ROOT / "tests" / "c" / f"{test}.c" for test in TESTS]
    for source in (*programs, ROOT / "examples" / "languages" / "c" / "chain.c"):
        languages.run(*zig, source, *objects, "-lm", "-o", to / source.stem)


def compare(processor: Processor, cases: list[languages.Case], to: Path) -> languages.Comparison:
    """Run the tests, then the cases of the languages."""
    for test in TESTS:
        languages.run(*processor.emulator, to / test)
    text = "".join(case.text(repr, 0) for case in cases)
    printed = languages.run(*processor.emulator, to / "chain", text=text)
    return languages.compare(printed, cases, fused=processor.fused)


def main() -> int:
    """Run those given, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("processors", nargs="*", metavar="PROCESSOR", help=", ".join(PROCESSORS))
    given = parser.parse_args()
    for name in given.processors:
        if name not in PROCESSORS:
            parser.error(f"{name!r}: expected one of {', '.join(PROCESSORS)}")
    cases, failed = languages.cases(), 0
    print(f"{'':14}{'C tests':>10}{'forward':>12}{'gradient':>12}{'fit':>12}")
    with tempfile.TemporaryDirectory() as scratch:
        for k, name in enumerate(given.processors or PROCESSORS):
            processor, to = PROCESSORS[name], Path(scratch, str(k))
            to.mkdir()
            build(processor, to)
            if processor.linked_only:
                print(f"{name:14}{'linked':>10}", flush=True)
                continue
            seen = compare(processor, cases, to)
            good = languages.agrees(seen, fused=processor.fused)
            verdict = "" if good else "  FAILED"
            print(f"{name:14}{'passed':>10}{seen.distances()}{verdict}", flush=True)
            failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
