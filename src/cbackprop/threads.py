"""Independent parts of a job on several cores, in any order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np

from .errors import ParameterError

__all__ = ["run", "shares", "thread_count", "usable_cores"]

Part = TypeVar("Part")


def usable_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def thread_count(threads: int | np.integer | None) -> int:
    """Check an argument `threads`; None gives the number of usable cores."""
    if threads is None:
        return usable_cores()
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ParameterError(f"threads: {threads!r}; expected an integer of 1 or more")
    return int(threads)


def shares(count: int, threads: int, least: int) -> list[slice]:
    """Divide `count` items into consecutive parts of `least` or more, but for the last.

    The first are large, so that there are few; the last are small, so that all threads end at the
    same time. No items give one empty part.
    """
    parts: list[slice] = []
    start = 0
    while start < count or not parts:
        left = count - start
        size = left if threads == 1 else max(least, -(-left // (2 * threads)))
        parts.append(slice(start, min(start + size, count)))
        start += size or 1
    return parts


def run(
    work: Callable[[Part], object],
    parts: Sequence[Part],
    threads: int,
    stop: Callable[[], object] = lambda: None,
) -> None:
    """Call `work` with each part, on this number of threads.

    After an exception in one part, or Ctrl-C, `stop` is called, no further part is started, and the
    exception is raised once the running parts have ended.
    """
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        try:
            waiting = {pool.submit(work, part) for part in parts}
            while waiting:  # with a timeout, since Ctrl-C does not end a wait on every system
                done, waiting = wait(waiting, timeout=0.05, return_when="FIRST_EXCEPTION")
                for future in done:
                    future.result()
        except BaseException:
            stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
