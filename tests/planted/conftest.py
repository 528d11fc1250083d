"""The table of planted defects and the tests that saw them, at the end of the run."""

from __future__ import annotations

import pytest

SEEN = pytest.StashKey[list[tuple[str, str]]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print defect -> red test."""
    seen = config.stash.get(SEEN, [])
    if seen:
        terminalreporter.section("planted defects, and the tests that turned red")
    for defect, test in seen:
        terminalreporter.write_line(f"{defect:<66} -> {test}")
