"""Tables at the end of the run, of what tests recorded as properties: so they come from every worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

TABLE_SITUATIONS = "situations that are not rolled back, and why"
TABLE_RUNS = "random undos: proven, and requests that went elsewhere after the proof"

Row = Callable[[str, str, str], None]


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """Adds a row to a table: its left and its right side."""

    def add(table: str, left: str, right: str) -> None:
        request.node.user_properties.append((table, (left, right)))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each table that has a row."""
    for table in (TABLE_SITUATIONS, TABLE_RUNS):
        reports = terminalreporter.stats.get("passed", [])
        rows = [value for report in reports for name, value in report.user_properties if name == table]
        if rows:
            terminalreporter.section(table)
        for left, right in rows:
            terminalreporter.write_line(f"{left:<80} -> {right}")
