"""Every story of the contract is told on each subject; what was not looked at is printed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.subject import (
    CLUSTER,
    LEFT_OUT,
    SUBJECTS,
    Story,
    play,
    take_definitions_away,
    why_no_cluster,
)

Tell = Callable[[Story], None]


@pytest.fixture(scope="session")
def definitions() -> Iterator[None]:
    """Takes away at the end what stories had to define in a cluster."""
    yield
    take_definitions_away()


@pytest.fixture(params=SUBJECTS)
def tell(request: pytest.FixtureRequest, definitions: None, tmp_path: Path) -> Tell:
    """Tells a story on a subject; a cluster is touched only where somebody asked for that."""
    why = why_no_cluster() if request.param == CLUSTER else None
    if why is not None:
        pytest.skip(why)
    return lambda story: play(request.param, story, tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the contract could not look at."""
    why = why_no_cluster()
    lines = sorted(set(LEFT_OUT)) + ([f"cluster: everything, as {why}"] if why else [])
    ran = any("/contract/" in key for key in _ran(terminalreporter))
    if ran and lines:
        terminalreporter.section("the contract was not looked at")
        for line in lines:
            terminalreporter.line(line)


def _ran(terminalreporter: pytest.TerminalReporter) -> set[str]:
    stats = terminalreporter.stats.values()
    return {str(getattr(report, "nodeid", "")) for reports in stats for report in reports}
