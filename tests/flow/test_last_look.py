"""A proof takes no longer than its rule file allows, however short that is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.flow.harness import QUICK, SHORT, stage
from tests.shared import run_story

SOON = timedelta(minutes=4)
SHORTER: dict[str, Any] = {"rollback": {"within": "1m", "recover_within": "40s"}}


@pytest.mark.parametrize("serves", [False, True])
def test_no_longer_than_the_rule_file_allows(tmp_path: Path, serves: bool) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, SHORTER, **QUICK) as here:
            await here.rest(SOON)
            here.world.release("v2", error_rate=0.1)
            await here.phase("Verifying", SOON)
            if serves:
                await here.until(
                    lambda: here.status()["times"].get("trafficProvenAt"), SOON, "traffic proven"
                )
                here.degrade("v1", error_rate=0.1)
                begun, allowed, outcome = "trafficProvenAt", timedelta(seconds=40), "NotRecovered"
            else:
                here.pause(True)
                begun, allowed, outcome = "patchedAt", timedelta(minutes=1), "TrafficNotProven"
            status = await here.phase("Settling", SOON)
            assert status["outcome"] == outcome
            taken = here.world.clock.now() - here.at(begun)
            assert allowed <= taken < allowed + timedelta(seconds=5)

    run_story(story())
