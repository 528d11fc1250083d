"""Two real processes, the Lease's default times: the other takes over in time, and nobody acts beside it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from responder.clock import SystemClock
from responder.sandbox.bench.takeover import take_over


@pytest.mark.slow
@pytest.mark.parametrize(("how", "within_seconds"), [(signal.SIGKILL, 25), (signal.SIGTERM, 2)])
async def test_the_other_process_takes_over(
    how: signal.Signals, within_seconds: float, tmp_path: Path
) -> None:
    found = await take_over(tmp_path, SystemClock(), how)
    assert found.actors == ("first", "second")
    assert found.undos == 1
    assert found.seconds < within_seconds
