"""What the runs of random undos came to, at the end of the run."""

from __future__ import annotations

import pytest

from tests.flow.random_undo import RUNS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if not RUNS:
        return
    terminalreporter.section("random undos: proven, and requests that went elsewhere after the proof")
    for name, runs in RUNS.items():
        terminalreporter.write_line(f"{name:<56} {runs}")
