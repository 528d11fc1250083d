"""The table of planted defects and the tests that saw them, at the end of the run."""

from __future__ import annotations

import pytest

# Recorded as a property of the test that planted it, so that it comes from every worker.
SEEN = "planted defect, and a test that turned red"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print defect -> red test."""
    reports = terminalreporter.stats.get("passed", [])
    seen = [value for report in reports for name, value in report.user_properties if name == SEEN]
    if seen:
        terminalreporter.section("planted defects, and the tests that turned red")
    for defect, test in seen:
        terminalreporter.write_line(f"{defect:<66} -> {test}")
