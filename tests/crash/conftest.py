"""The pool that plays runs side by side, and the table of what was played."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.crash.nursery import POOL, PRELOADED, open_nursery

# A run waits for most of its time: so many keep two cores busy.
_AT_ONCE = 8


@dataclass(slots=True)
class Line:
    """What was played of one story in one mode. `missed` are points that did not come up again."""

    story: str
    mode: str
    steps: int = 0
    points: int = 0
    runs: int = 0
    missed: int = 0
    failed: int = 0
    seconds: float = 0.0


_TABLE = pytest.StashKey[list[Line]]()
_HEAD = ("story", "mode", "steps", "points", "runs", "missed", "failed", "seconds")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Kill at more points, which takes three times as long."""
    parser.addoption("--every-point", action="store_true", help="kill at all moments of all steps")


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[_TABLE] = []


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that play one run at a time."""
    POOL.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(_AT_ONCE, POOL, open_nursery) as executor:
        yield executor
        executor.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def every_point(request: pytest.FixtureRequest) -> bool:
    """Whether to kill at all moments of all steps."""
    return bool(request.config.getoption("--every-point", default=False))


@pytest.fixture
def table(request: pytest.FixtureRequest) -> list[Line]:
    """Lines that are printed at the end."""
    return request.config.stash[_TABLE]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was played."""
    lines = config.stash[_TABLE]
    if not lines:
        return
    rows = [(*(str(getattr(line, name)) for name in _HEAD[:-1]), f"{line.seconds:.0f}") for line in lines]
    totals = tuple(str(sum(int(row[n]) for row in rows)) for n in range(2, len(_HEAD)))
    terminalreporter.section("killed at every step")
    for row in (_HEAD, *rows, ("all", "", *totals)):
        terminalreporter.write_line(f"{row[0]:<24}{row[1]:<11}" + "".join(f"{cell:>9}" for cell in row[2:]))
