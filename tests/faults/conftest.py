"""The pool that plays cells side by side, and the table of what came of them, at the end of the run."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import structlog

from tests.faults.cells import Cell, Moment, Played

# A cell waits for sockets for a third of its time: so many keep two cores busy.
_AT_ONCE = 4
_POOL = multiprocessing.get_context("forkserver")
# Recorded as a property of the test, so that it comes from every worker.
_PLAYED = "fault, moment and outcome"
_NAME, _COLUMN = 32, 19


def _be_silent() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that play one cell at a time."""
    _POOL.set_forkserver_preload(["tests.faults.cells"])
    with ProcessPoolExecutor(_AT_ONCE, _POOL, _be_silent) as executor:
        yield executor
        executor.shutdown(cancel_futures=True)


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Iterator[dict[Cell, Played]]:
    """What is printed at the end."""
    played: dict[Cell, Played] = {}
    yield played
    for cell, each in played.items():
        record_property(_PLAYED, (cell.fault, str(cell.moment), _shown(each)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print fault x moment -> outcome: "=" is a rollback as without a fault, "!" what must never be."""
    reports = [report for each in terminalreporter.stats.values() for report in each]
    told = [value for report in reports for name, value in _properties(report) if name == _PLAYED]
    cells = {(fault, moment): shown for fault, moment, shown in told}
    if not cells:
        return
    terminalreporter.section(f"{len(cells)} cells: faults, when they began, and the outcomes")
    terminalreporter.write_line(" " * _NAME + "".join(f"{moment:<{_COLUMN}}" for moment in Moment))
    for fault in dict.fromkeys(fault for fault, _ in cells):
        row = [cells.get((fault, str(moment)), "") for moment in Moment]
        terminalreporter.write_line(f"{fault:<{_NAME}}" + "".join(f"{each:<{_COLUMN}}" for each in row))


def _properties(report: object) -> list[tuple[str, Any]]:
    return list(getattr(report, "user_properties", []))


def _shown(played: Played) -> str:
    said = "=" if played.outcome == "RolledBack" else played.outcome
    said = f"!{said}" if played.problems else said
    return said if len(said) < _COLUMN else f"{said[: _COLUMN - 2]}…"
