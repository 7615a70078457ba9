"""Independent parts of a job on several cores, in any order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["run", "usable_cores"]

Part = TypeVar("Part")


def usable_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


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
