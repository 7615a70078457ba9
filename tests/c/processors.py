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
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Werror")
# what shows that memory is laid out and numbers are made alike; the rest of the tests is arithmetic
# that the vectors compare bit for bit, and takes minutes under qemu
TESTS = ("test_status", "test_dispatch", "test_chain", "test_elementary", "test_kernels")


@dataclass
class Processor:
    """A target of zig's, its flags, the program that runs it, and whether it is fused."""

    target: str
    flags: tuple[str, ...] = ()
    emulator: str | None = None
    fused: bool = True


LIBM = "-D__FP_FAST_FMA"  # the C library's fma where the processor has none

PROCESSORS = {
    "x86-64 musl": Processor("x86_64-linux-musl"),
    "aarch64": Processor("aarch64-linux-musl", emulator="qemu-aarch64-static"),
    "s390x": Processor("s390x-linux-musl", emulator="qemu-s390x-static"),
    "riscv64": Processor("riscv64-linux-musl", emulator="qemu-riscv64-static"),
    "armv7": Processor("arm-linux-musleabihf", emulator="qemu-arm-static", fused=False),
    "armv7 VFPv4": Processor(
        "arm-linux-musleabihf", ("-mcpu=cortex_a7", LIBM), emulator="qemu-arm-static"
    ),
    "i686": Processor("x86-linux-musl", emulator="qemu-i386-static", fused=False),
    "i686 libm": Processor("x86-linux-musl", (LIBM,), emulator="qemu-i386-static"),
}
LINKED = ("x86_64-windows-gnu", "aarch64-windows-gnu", "x86_64-macos", "aarch64-macos")


def build(target: str, flags: tuple[str, ...], to: Path, tests: tuple[str, ...]) -> None:
    """Compile the core, then the test programs and the C example with it."""
    zig: tuple[str | Path, ...] = (*ZIG, "-target", target, *FLAGS, *flags, "-I", ROOT / "csrc")
    objects: list[Path] = []
    for source in sorted((ROOT / "csrc").glob("*.c")):
        objects.append(to / f"{source.stem}.o")
        languages.run(*zig, "-c", source, "-o", objects[-1])
    for test in tests:
        source = ROOT / "tests" / "c" / f"{test}.c"
        languages.run(*zig, source, *objects, "-lm", "-o", to / test)
    source = ROOT / "examples" / "languages" / "c" / "chain.c"
    languages.run(*zig, source, *objects, "-lm", "-o", to / "chain")


def check(processor: Processor, cases: list[languages.Case], to: Path) -> languages.Comparison:
    """Run the tests, then the cases of the languages."""
    build(processor.target, processor.flags, to, TESTS)
    emulator = [processor.emulator] if processor.emulator else []
    for test in TESTS:
        languages.run(*emulator, to / test)
    text = "".join(case.text(repr, 0) for case in cases)
    printed = languages.run(*emulator, to / "chain", text=text)
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
            seen = check(processor, cases, to)
            good = languages.agrees(seen, fused=processor.fused)
            print(
                f"{name:14}{'passed':>10}{seen.distances()}" + ("" if good else "  FAILED"),
                flush=True,
            )
            failed += not good
        for target in () if given.processors else LINKED:
            to = Path(scratch, target)
            to.mkdir()
            build(target, (), to, TESTS)
            print(f"{target:20} linked", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
