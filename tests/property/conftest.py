"""How many examples the properties were tried on, and how long it took, at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.property.counting import COUNTS

# Recorded as a property of the test, so that it comes from every worker.
_TRIED = "examples that a property held for"


@pytest.fixture(autouse=True)
def tell_examples(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Record what the test counted."""
    COUNTS.clear()
    yield
    for name, count in COUNTS.items():
        record_property(_TRIED, (name, count.examples, count.seconds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print property -> examples."""
    reports = terminalreporter.stats.get("", []) + terminalreporter.stats.get("passed", [])
    tried = [value for report in reports for name, value in report.user_properties if name == _TRIED]
    if tried:
        terminalreporter.section("properties, and the examples that they held for")
    for name, examples, seconds in dict.fromkeys(map(tuple, tried)):
        terminalreporter.write_line(f"{name:<72} {examples:>5} examples {seconds:>7.1f} s")
