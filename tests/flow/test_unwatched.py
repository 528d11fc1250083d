"""A release that nobody watched: whoever leads next looks before it judges."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from responder.sandbox.api.faults import FaultRule, Refuse
from tests.flow.harness import QUICK, SHORT, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


def test_released_and_alerted_of_while_nobody_led(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            faults = here.world.cluster.faults
            await here.rest(4 * MINUTE)
            faults.add(FaultRule("*", "/leases", Refuse(500)))
            await here.until(lambda: not here.app.leading, MINUTE, "nobody leads")
            here.world.release("v2", error_rate=0.05)
            await here.until(here.incident, 4 * MINUTE, "taken in all the same")
            await here.rest(MINUTE)
            assert "phase" not in here.status() or here.reasons() == []
            faults.clear()
            await here.phase("Settling", 4 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            assert here.reasons()[0] == "RollBack", here.reasons()
            assert len(here.undos()) == 1

    run_story(story())


def test_one_that_never_became_ready_while_nobody_led_is_no_certain_target(tmp_path: Path) -> None:
    """Made is not served: v2 came and went unseen, and v1 is what served before v3."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            await here.stop()
            here.world.release("v2", never_ready="true")
            await here.rest(MINUTE / 2)
            here.world.release("v3", never_ready="false")
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            await here.rest(MINUTE / 2)
            await here.start()
            await here.rest(MINUTE / 2)
            here.degrade("v3", error_rate=0.1)
            await here.until(lambda: here.undos() or here.status().get("verdicts"), 6 * MINUTE, "judged")
            await here.rest(MINUTE / 2)
            assert "TargetExists/HistoryUncertain" in here.doubts()
            assert here.undos() == []

    run_story(story())


def test_trouble_between_the_making_and_the_serving_of_what_began_while_nobody_led(tmp_path: Path) -> None:
    """v2 takes long to become ready; v1 fails meanwhile, and who leads next sees both served by v2."""

    async def story() -> None:
        slow = {"alerts": {"high-error-rate": {"for": "3m"}}}
        plan: dict[str, Any] = {
            "spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "100%"}}}
        }
        async with stage(tmp_path, SHORT, slow, **QUICK, **plan) as here:
            await here.rest(4 * MINUTE)
            here.world.release("v2", ready_after="150s", error_rate=0.3)
            await here.rest(2 * MINUTE / 3)
            here.degrade("v1", error_rate=0.3)
            await here.rest(MINUTE / 3)
            await here.stop()
            await here.rest(2 * MINUTE)
            await here.start()
            await here.until(lambda: here.undos() or here.status().get("verdicts"), 6 * MINUTE, "judged")
            await here.rest(MINUTE / 2)
            assert "CausedByRollout/BeginningUnknown" in here.doubts()
            assert here.undos() == []

    run_story(story())
