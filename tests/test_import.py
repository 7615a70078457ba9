"""Hazard: names that are missing, and modules loaded before they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Barrier

import pytest

import cbackprop as cbp
from cbackprop import threads


def printed_by(code: str) -> str:
    """Run a program in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_the_core_alone() -> None:
    own = "print(*sorted(name for name in sys.modules if name.partition('.')[0] == 'cbackprop'))"
    loaded = f"import numpy, sys; before = set(sys.modules); import cbackprop as cbp; {own}"
    assert printed_by(loaded) == "cbackprop cbackprop._core cbackprop.errors"
    others = "print(*sorted(set(sys.modules) - before))"
    for slow in ("numpy.ma", "numpy.typing", "json", "difflib", "dataclasses", "html", "secrets"):
        assert slow not in printed_by(f"{loaded}; {others}").split(), slow


def test_every_name_is_there_when_asked_for() -> None:
    names = ", ".join(cbp.__all__)
    assert printed_by(f"from cbackprop import {names}; print(fit.__name__)") == "fit"
    same = f"[getattr(cbp, name) is getattr(cbp, name) for name in {cbp.__all__}]"
    assert printed_by(f"import cbackprop as cbp; print(all({same}))") == "True"
    assert printed_by("import cbackprop as cbp; print(cbp.curves.linear)") == "curves.linear"


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"'cbackprop' has no attribute 'fitt'"):
        cbp.fitt  # type: ignore[attr-defined]  # noqa: B018
    assert set(cbp.__all__) <= set(dir(cbp))


def test_cores_where_the_system_does_not_tell_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert threads.usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.usable_cores() == 1


@pytest.mark.parametrize("count", [0, 1, 7, 100, 12_345_678])
@pytest.mark.parametrize("many", [1, 2, 16])
def test_shares_of_a_job_are_all_of_it(count: int, many: int) -> None:
    parts = threads.shares(count, many, 5)
    assert [i for part in parts for i in (part.start, part.stop)][1:-1] == [
        i for part in parts[1:] for i in (part.start, part.start)
    ]
    assert (parts[0].start, parts[-1].stop) == (0, count)
    sizes = [part.stop - part.start for part in parts]
    assert all(size >= 5 for size in sizes[:-1])
    assert len(parts) <= (1 if many == 1 else 2 * many * 15)  # it grows as the logarithm of count
    assert sizes[0] <= max(5, -(-count // (2 * many))) or many == 1


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_of_a_job_run_at_the_same_time(parts: int) -> None:
    together = Barrier(parts)
    threads.run(together.wait, [10.0] * parts, parts)  # each waits, for 10 s at most, for all
