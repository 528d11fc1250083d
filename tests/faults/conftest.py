"""The pool that plays cells side by side, and the table of what came of them, at the end of the run."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
import structlog

from tests.faults.cells import Cell, Moment, Played

# A cell waits for sockets for a third of its time: so many keep two cores busy.
_AT_ONCE = 4
_POOL = multiprocessing.get_context("forkserver")
_TABLE = pytest.StashKey[dict[Cell, Played]]()
_NAME, _COLUMN = 32, 19


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[_TABLE] = {}


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
def table(request: pytest.FixtureRequest) -> dict[Cell, Played]:
    """What is printed at the end."""
    return request.config.stash[_TABLE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print fault x moment -> outcome: "=" is a rollback as without a fault, "!" what must never be."""
    table = config.stash[_TABLE]
    if not table:
        return
    terminalreporter.section(f"{len(table)} cells: faults, when they began, and the outcomes")
    terminalreporter.write_line(" " * _NAME + "".join(f"{moment:<{_COLUMN}}" for moment in Moment))
    for fault in dict.fromkeys(cell.fault for cell in table):
        row = [_shown(table.get(Cell(fault, moment))) for moment in Moment]
        terminalreporter.write_line(f"{fault:<{_NAME}}" + "".join(f"{each:<{_COLUMN}}" for each in row))


def _shown(played: Played | None) -> str:
    if played is None:
        return ""
    said = "=" if played.outcome == "RolledBack" else played.outcome
    said = f"!{said}" if played.problems else said
    return said if len(said) < _COLUMN else f"{said[: _COLUMN - 2]}…"
