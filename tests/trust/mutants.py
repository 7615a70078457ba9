"""What mutate.py and mutate_python.py share: mutants, the drawing of them, the report."""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
JUDGED = ROOT / "tests/trust/survivors.md"
START = time.monotonic()
SWAPS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "//": "*",
    "%": "*",
    "&": "|",
    "|": "&",
    "&&": "||",
    "||": "&&",
    "and": "or",
    "or": "and",
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
    "+=": "-=",
    "-=": "+=",
    "*=": "/=",
    "/=": "*=",
}
INTEGER = re.compile(r"(?<![\w.])\d+(?![\w.])")


@dataclass(frozen=True)
class Mutant:
    """Whole lines of one file, otherwise."""

    file: str  # seen from the root of the tree
    line: int
    before: str
    after: str
    reach: range = range(0)  # which lines, from 1 on, a test must run to notice; none: any line

    def applied(self, text: str) -> str:
        lines = text.split("\n")
        lines[self.line : self.line + self.before.count("\n") + 1] = self.after.split("\n")
        return "\n".join(lines)

    def shown(self) -> tuple[str, str]:
        return " ".join(self.before.split()), " ".join(self.after.split())


# Says which test notices; "" if none does, None if there is nothing to notice.
Judge = Callable[[Mutant], str | None]


def replaced(
    code: str, pattern: re.Pattern[str], new: Callable[[str], str], seen: str = ""
) -> list[str]:
    """The code with each match by itself replaced; `seen` is what to look at in its place."""
    return [
        code[: match.start()] + new(match[0]) + code[match.end() :]
        for match in pattern.finditer(seen or code)
    ]


def next_integer(text: str) -> str:
    return str(int(text) + 1)


def arguments() -> tuple[int, int]:
    """Read how many mutants to draw, and the seed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    return count, seed


def judged() -> set[tuple[str, str, str]]:
    """Read which survivors are known: file, before, after."""
    known, file = set(), ""
    for line in JUDGED.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            file = line.removeprefix("## ")
        elif match := re.match(r"- `(.*)` → `(.*?)`: ", line):
            known.add((file, match[1], match[2]))
    return known


def draw(everything: list[Mutant], judges: list[Judge], count: int, seed: int) -> Counter[str]:
    """Judge so many mutants, drawn by the seed, a thread for each judge; report those that live.

    Ends early after MUTATE_SECONDS. Counts what noticed them; "known" and "new" are those that
    live, with and without a line in survivors.md.
    """
    print(f"seed {seed}, {len(everything)} possible mutants", flush=True)
    limit, known = float(os.environ.get("MUTATE_SECONDS", "inf")), judged()
    random.Random(seed).shuffle(everything)
    rest = iter(everything)
    idle: SimpleQueue[Judge] = SimpleQueue()
    for judge in judges:
        idle.put(judge)

    def verdict(mutant: Mutant) -> str | None:
        judge = idle.get()
        try:
            return judge(mutant)
        finally:
            idle.put(judge)

    seen: Counter[str] = Counter()
    under_way: deque[tuple[Mutant, Future[str | None]]] = deque()
    with ThreadPoolExecutor(len(judges)) as pool:
        while seen.total() < count and time.monotonic() - START < limit:
            for mutant in islice(rest, 4 * len(judges) - len(under_way)):
                under_way.append((mutant, pool.submit(verdict, mutant)))
            if not under_way:
                break
            mutant, future = under_way.popleft()
            killer = future.result()
            if killer is None:
                continue
            before, after = mutant.shown()
            if not killer:
                killer = "known" if (mutant.file, before, after) in known else "new"
                print(f"{mutant.file}:{mutant.line + 1}{' (judged)' * (killer == 'known')}")
                print(f"  - {before}\n  + {after}", flush=True)
            seen[killer] += 1
        pool.shutdown(cancel_futures=True)
    return seen


def told(seen: Counter[str]) -> int:
    """Tell the outcome; 1 if too many live."""
    total, alive = max(seen.total(), 1), seen["known"] + seen["new"]
    killed = total - alive
    print(f"{killed} of {total} mutants killed ({100 * killed / total:.1f} %); ", end="")
    print(f"{seen['known']} that live are judged, {seen['new']} are not")
    # a few mutants say little, since most of those that live are no mistakes; one or two, nothing
    most = 0.05 * total if total >= 100 else 2 + total / 4
    return int(seen["new"] > most)
