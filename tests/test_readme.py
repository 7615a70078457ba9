"""Hazard: a README that is out of date: its programs run, and print what it says they print."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_programs_run_in_their_order() -> None:
    names: dict[str, Any] = {}
    printed = io.StringIO()
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            exec(block, names)
    first = re.search(r"print\(round.*?# (.*)", README)
    assert first is not None
    assert f"{first.group(1)}\n" in printed.getvalue()
    assert "212.68374" in printed.getvalue()
    assert len(names["unknown"].value) == 2
    assert "24.8 and 31.8" in README
    assert [round(names[name].aicc, 1) for name in ("simpler", "fitted")] == [24.8, 31.8]


def test_each_command_is_one_line() -> None:
    commands = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && ")
