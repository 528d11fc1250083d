"""Two replicas: whoever is killed, stopped or cut off, there is one undo, and one actor at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.api.faults import Delay, DropBefore, FaultRule, Hang, Late, Refuse
from tests.flow.harness import QUICK, ROLL_BACK, SHORT
from tests.flow.replicas import FIRST, SECOND, Pair, pair
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
# The patch itself, not its dry run.
UNDO = "/deployments/[^?]+$"


def assert_rolled_back_once(there: Pair) -> None:
    here = there.here
    assert here.status()["outcome"] == "RolledBack", here.summary()
    assert len(here.undos()) == 1
    assert len(here.incidents()) == 1, here.summary()
    assert len(here.record()["spec"]["rollbacks"]) == 1
    assert len(here.world.slack.messages) == 1
    page = here.page()
    assert page is not None
    assert (page.pages, page.state) == (1, "resolved")


def test_alerts_that_either_takes_in_are_worked_on_by_the_leader(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, SHORT, **QUICK) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            here.world.release("v2", error_rate=0.05)
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)
            assert there.actors() == [FIRST]
            writers = {
                write.user_agent.rpartition(" ")[2]
                for write in here.world.cluster.log.writes("/incidents")
                if not write.path.endswith("/status")
            }
            assert writers == {FIRST, SECOND}

    run_story(story())


@pytest.mark.parametrize(
    ("end", "phase"),
    [
        ("killed", "RollingBack"),
        ("stopped", "Verifying"),
        ("silent", "Settling"),
        *(
            pytest.param(end, phase, marks=pytest.mark.slow)
            for end, phase in (
                ("killed", "Verifying"),
                ("killed", "Settling"),
                ("stopped", "RollingBack"),
                ("stopped", "Settling"),
                ("silent", "RollingBack"),
                ("silent", "Verifying"),
            )
        ),
    ],
)
def test_the_other_takes_over_in_any_phase(phase: str, end: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, SHORT, **QUICK) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            if phase == "RollingBack":
                here.world.cluster.faults.add(FaultRule("PATCH", UNDO, Delay(8.0), count=1))
            here.world.release("v2", error_rate=0.05)
            await here.phase(phase, 6 * MINUTE)
            if end == "killed":
                await there.first.kill()
            elif end == "stopped":
                await there.first.stop()
            else:
                there.first.cut_off(Hang())
            await there.until_leads(there.second, timedelta(seconds=2 if end == "stopped" else 18))
            if end == "silent":
                assert there.leaders == [SECOND]
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)
            assert there.actors() == [FIRST, SECOND]

    run_story(story())


def test_an_undo_of_the_old_leader_that_arrives_late_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, SHORT, **QUICK) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            # The patch lies somewhere for a minute, and its sender is gone.
            here.world.cluster.faults.add(FaultRule("PATCH", UNDO, Late(45.0), count=1))
            here.world.release("v2", error_rate=0.05)
            await here.phase("RollingBack", 6 * MINUTE)
            await there.first.kill()
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)
            assert [name for name, write in there.acts() if "/deployments/" in write.path] == [SECOND]

    run_story(story())


def test_a_decision_made_while_nobody_leads_is_carried_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(
            tmp_path, SHORT, {"alerts": {"high-error-rate": {"action": "ask"}}}, **QUICK
        ) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            here.world.release("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 6 * MINUTE)
            await here.until(lambda: here.world.slack.messages, MINUTE, "a message")
            await there.first.kill()
            await here.click(ROLL_BACK)
            assert there.leaders == []
            await here.phase("Verifying", timedelta(seconds=40))
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)

    run_story(story())


def test_no_api_server_for_a_minute(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, SHORT, **QUICK) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            here.world.release("v2", error_rate=0.05)
            await here.phase("Verifying", 6 * MINUTE)
            here.world.cluster.faults.add(FaultRule("*", ".", Refuse(503)))
            await here.rest(MINUTE)
            assert there.leaders == []
            here.world.cluster.faults.clear()
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)

    run_story(story())


def test_a_leader_cut_off_from_its_lease_alone_stops_acting(tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, SHORT, **QUICK) as there:
            here = there.here
            await here.rest(4 * MINUTE)
            there.first.cut_off(DropBefore(), "/leases")
            await there.until_leads(there.second, timedelta(seconds=18))
            assert there.leaders == [SECOND]
            here.world.release("v2", error_rate=0.05)
            await here.phase("Closed", 14 * MINUTE)
            assert_rolled_back_once(there)
            # It still takes alerts in.
            assert there.first.app.readiness().ready

    run_story(story())
