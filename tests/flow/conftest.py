"""Tables at the end of the run, of what tests recorded as properties: so they come from every worker."""

from __future__ import annotations

import pytest

TABLE_SITUATIONS = "situations that are not rolled back, and why"
TABLE_RUNS = "random undos: proven, and requests that went elsewhere after the proof"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each table that has a row."""
    for table in (TABLE_SITUATIONS, TABLE_RUNS):
        reports = terminalreporter.stats.get("passed", [])
        rows = [value for report in reports for name, value in report.user_properties if name == table]
        if rows:
            terminalreporter.section(table)
        for left, right in rows:
            terminalreporter.write_line(f"{left:<80} -> {right}")
