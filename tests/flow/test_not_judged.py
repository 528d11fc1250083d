"""What can't be judged is told to people: its alert was taken in, and nobody else knows of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.sandbox.api.faults import FaultRule, Refuse
from tests.flow.harness import QUICK, SHORT, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


def test_without_the_right_to_read_the_workload_somebody_is_paged_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alone=False, **QUICK) as here:
            # As without a RoleBinding for that namespace.
            forbidden = FaultRule("GET", "/namespaces/payments/(deployments|replicasets)", Refuse(403))
            here.world.cluster.faults.add(forbidden)
            await here.start()
            await here.rest(4 * MINUTE)
            here.world.release("v2", error_rate=0.3)
            await here.until(here.incidents, 3 * MINUTE, "an incident")
            await here.rest(MINUTE)
            assert here.page() is None
            status = await here.reason("NotJudged", 2 * MINUTE)
            assert status["phase"] == "Open"
            assert "403 Forbidden" in status["message"]
            await here.rest(10 * MINUTE)
            page = here.page()
            assert page is not None
            assert page.pages == 1
            assert here.reasons() == ["NotJudged"]
            assert "403 Forbidden" in str(here.message().versions[-1])
            # Given the right, it is judged, and the page stays the only one.
            here.world.cluster.faults.clear()
            await here.until(lambda: here.status()["reason"] != "NotJudged", MINUTE, "judged")
            assert page.pages == 1

    run_story(story())
