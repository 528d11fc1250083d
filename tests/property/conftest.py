"""How many examples the properties were tried on, and how long it took, at the end of the run."""

from __future__ import annotations

import pytest

from tests.property.counting import COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print property -> examples."""
    if not COUNTS:
        return
    terminalreporter.section("properties, and the examples that they held for")
    for name, count in COUNTS.items():
        terminalreporter.write_line(f"{name:<72} {count.examples:>5} examples {count.seconds:>7.1f} s")
