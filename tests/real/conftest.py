"""The real binaries: without them these tests say so and are skipped, or fail where they are required."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from responder.sandbox.binaries import missing_binaries

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the real binaries."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(autouse=True)
def real_binaries() -> None:
    """Skip without the binaries, or fail when RESPONDER_REQUIRE_REAL=1 (as CI sets)."""
    missing = missing_binaries()
    if not missing:
        return
    reason = f"the real {', '.join(missing)} missing: `make binaries` fetches them"
    if os.environ.get("RESPONDER_REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT
