"""What people did before counts: their own undo is not undone, their old clicks and observers do nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.api.faults import Delay, FaultRule
from responder.workloads.views import FREEZE
from tests.flow.harness import LEAVE, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
WARM_UP = timedelta(minutes=3, seconds=30)


def test_what_a_person_went_back_from_never_comes_back_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            # As `kubectl rollout undo` does, instead of an answer.
            here.world.release("v1")
            await here.phase("Closed", 6 * MINUTE)
            assert here.status()["outcome"] == "Recovered"
            await here.rest(4 * MINUTE)
            # Of errors v2 had none, so nothing but the way back speaks against it.
            here.degrade("v1", error_rate=0.05)
            await here.phase("AwaitingDecision", 4 * MINUTE, sequence=2)
            await here.rest(timedelta(seconds=30))
            assert "NotAgain/WentBack" in here.doubts(2)
            assert here.versions == ["v1", "v2", "v1"]
            assert here.undos() == []
            # Nor is it kept from the person whose decision it is.
            assert here.offers(2) == [ROLL_BACK, LEAVE]

    run_story(story())


def test_after_a_persons_own_undo_there_is_nothing_to_click(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            here.world.release("v1")
            await here.rest(timedelta(seconds=25))
            assert here.status()["phase"] == "AwaitingDecision"
            assert "TargetExists/TargetWasBlamed" in here.doubts()
            assert here.status()["blamed"] == [here.rs_uid("v2")]
            assert here.offers() == []
            # The buttons that were on screen before do nothing either.
            shown = max(n for n in range(len(here.message().versions)) if here.offers(version=n))
            await here.click(ROLL_BACK, version=shown)
            await here.rest(timedelta(seconds=30))
            assert here.versions == ["v1", "v2", "v1"]
            assert here.undos() == []

    run_story(story())


def test_an_old_click_does_nothing_when_its_obstacle_goes(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            here.annotate_workload(FREEZE, "hands off")
            assert (await here.click(ROLL_BACK)).taken
            await here.rest(9 * MINUTE)
            assert here.undos() == []
            here.annotate_workload(FREEZE, None)
            await here.reason("AnswerTooOld", MINUTE)
            await here.rest(timedelta(seconds=30))
            assert here.undos() == []
            assert here.offers() == [ROLL_BACK, LEAVE]
            # It is another question now, which can be answered anew.
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", 5 * MINUTE)
            assert here.versions == ["v1", "v2", "v1"]

    run_story(story())


async def click_while_the_next_is_released(here: Stage, action: str) -> None:
    """Answer what is asked about v2 when v3 serves already and nobody could judge that yet."""
    assert here.status()["bad"]["uid"] == here.rs_uid("v2")
    here.world.cluster.faults.add(FaultRule("GET", "/deployments/payment-service$", Delay(15)))
    here.world.release("v3", latency_p95="9s")
    await here.rest(timedelta(seconds=14))
    assert here.status()["bad"]["uid"] == here.rs_uid("v2")
    assert (await here.click(action)).taken
    here.world.cluster.faults.clear()
    await here.rest(MINUTE)
    assert "since then payment-service-" in here.status()["timeline"][-2]["message"]
    assert here.status()["phase"] == "AwaitingDecision"
    assert here.status()["bad"]["uid"] == here.rs_uid("v3")
    assert here.undos() == []


def test_a_click_on_what_is_not_current_any_more_rolls_back_nothing_else(tmp_path: Path) -> None:
    """The same speaks against both, so that nothing but the revisions tells the questions apart."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.degrade("v1", latency_p95="9s")
            await here.phase("AwaitingDecision", 5 * MINUTE)
            await here.rest(3 * MINUTE)
            here.world.release("v2", latency_p95="9s")
            await here.rest(MINUTE)
            shown = here.doubts()
            await click_while_the_next_is_released(here, ROLL_BACK)
            assert here.doubts() == shown

    run_story(story())


def test_whoever_leaves_a_revision_leaves_no_later_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            await click_while_the_next_is_released(here, LEAVE)

    run_story(story())


def test_mode_observe_offers_and_does_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, {"mode": "observe"}, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.3)
            await here.reason("ObserveMode", 4 * MINUTE)
            await here.rest(timedelta(seconds=30))
            assert here.offers() == []
            assert here.writes() == []

    run_story(story())
