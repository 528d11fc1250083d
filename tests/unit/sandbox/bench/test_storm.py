"""A small storm on real processes: nothing lost, nothing twice, and every answer carried out once."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.clock import SystemClock
from responder.sandbox.bench.storm import measure_storm

GROUPS = 20


@pytest.mark.slow
async def test_a_storm_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    figures = await measure_storm(tmp_path, SystemClock(), GROUPS, over_seconds=5)
    exact = {figure.name: figure.value for figure in figures if figure.goal == 0}
    assert len(exact) == 4
    assert set(exact.values()) == {0}
