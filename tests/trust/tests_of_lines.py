"""A pytest plugin for mutate_python.py: which tests run which lines, and how to run those alone.

TESTS_LEARNED: under coverage.py each test becomes a context, also in processes that it starts, and
the seconds that each took are written to this file. TESTS_CHOSEN: of the tests in this file, and in
its order, one after the other is run, and its name written to TESTS_RUNNING; one that takes more
than the seconds beside it ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

LEARNED, CHOSEN = os.environ.get("TESTS_LEARNED"), os.environ.get("TESTS_CHOSEN")
seconds: defaultdict[str, float] = defaultdict(float)
if CHOSEN:
    seconds.update(json.loads(Path(CHOSEN).read_text(encoding="utf-8")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHOSEN:
        order = {name: place for place, name in enumerate(seconds)}
        items[:] = sorted(
            (item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid]
        )


def pytest_runtest_logstart(nodeid: str) -> None:
    if CHOSEN:
        Path(os.environ["TESTS_RUNNING"]).write_text(nodeid, encoding="utf-8")
        faulthandler.dump_traceback_later(seconds[nodeid], exit=True)
    if LEARNED:
        measured = coverage.Coverage.current()
        assert measured is not None
        measured.switch_context(nodeid)
        measured.set_option("run:context", nodeid)
        os.environ["COVERAGE_PROCESS_CONFIG"] = measured.config.serialize()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if LEARNED:
        seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    if CHOSEN:
        faulthandler.cancel_dump_traceback_later()
    if LEARNED:
        Path(LEARNED).write_text(json.dumps(seconds), encoding="utf-8")
