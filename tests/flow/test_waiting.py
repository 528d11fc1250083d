"""Before anything is automatic, other workloads' alerts get a moment to arrive."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.flow.harness import QUICK, SHORT, stage
from tests.shared import run_story

WAIT = timedelta(seconds=10)


def test_it_waits_once_after_the_first_alert_and_pages_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, settings={"storm_wait": WAIT}, **QUICK) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05)
            await here.reason("WaitingForOthers", timedelta(minutes=4))
            await here.rest(timedelta(seconds=5))
            assert here.status()["phase"] == "Open"
            assert here.offers() == []
            assert here.page() is None
            await here.phase("Settling", timedelta(minutes=6))
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            # To the moment, not to the next regular look.
            waited = here.at("decidedAt") - here.at("receivedAt")
            assert WAIT <= waited < WAIT + timedelta(seconds=2)
            page = here.page()
            assert page is not None
            assert page.pages == 1

    run_story(story())
