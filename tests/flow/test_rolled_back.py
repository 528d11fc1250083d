"""The loop itself: a bad release is noticed, rolled back, proven, told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.flow.harness import SHORT, stage
from tests.shared import run_story


def test_error_rate_is_rolled_back_and_proven(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, scrape_interval_seconds=5.0) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05, change_cause="release v2")
            await here.phase("Settling", timedelta(minutes=25))
            status = here.status()
            assert status["outcome"] == "RolledBack", status
            assert here.world.version == "v1"
            assert len(here.undos()) == 1

    run_story(story())
