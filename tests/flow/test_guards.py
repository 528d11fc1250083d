"""What keeps a rollback from being automatic: each guard that fails asks, each that can't tell holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.api.faults import Delay, FaultRule
from responder.sandbox.world import HOME
from responder.workloads.views import FREEZE
from tests.flow.harness import LEAVE, NAMESPACES, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
WARM_UP = timedelta(minutes=3, seconds=30)


async def refused(here: Stage, *doubts: str, offers: list[str], sequence: int = 1) -> None:
    """A person is asked or at least paged, for these reasons, and nothing is written to the Deployment."""
    before = here.writes()
    await here.phase("AwaitingDecision", 5 * MINUTE, sequence)
    await here.rest(timedelta(seconds=20))
    assert set(doubts) <= here.doubts(sequence), here.doubts(sequence)
    assert here.offers(sequence) == offers
    page = here.page(sequence)
    assert page is not None
    assert (page.pages, page.state) == (1, "triggered")
    assert here.writes() == before


def test_what_prometheus_cannot_tell_holds_and_then_becomes_automatic(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.3)
            await here.rest(timedelta(seconds=30))
            here.answering(False)
            await here.reason("PrometheusUnavailable", 3 * MINUTE)
            await here.rest(timedelta(seconds=40))
            assert here.status()["phase"] == "Open"
            assert here.offers() == [ROLL_BACK, LEAVE]
            here.world.traffic.requests_per_second = 0.7
            await here.rest(3 * MINUTE)
            here.answering(True)
            await here.reason("TooFewSamples", MINUTE)
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, "triggered")
            assert here.writes() == []

            here.world.traffic.requests_per_second = 100.0
            await here.phase("Settling", 6 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            assert len(here.undos()) == 1
            await here.rest(timedelta(seconds=5))
            assert (page.pages, page.state) == (1, "resolved")

    run_story(story())


def test_it_was_bad_before_the_rollout(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.degrade("v1", error_rate=0.05)
            await here.rest(timedelta(seconds=20))
            here.world.release("v2", error_rate=0.05)
            await refused(here, "CausedByRollout/OnsetBeforeRollout", offers=[ROLL_BACK, LEAVE])

    run_story(story())


def test_a_failed_request_of_few_before_the_rollout_is_chance(tmp_path: Path) -> None:
    async def story() -> None:
        later = {"alerts": {"high-error-rate": {"for": "90s"}}}
        async with stage(tmp_path, SHORT, later, **QUICK) as here:
            here.world.traffic.requests_per_second = 3.0
            await here.rest(WARM_UP)
            here.degrade("v1", error_rate=0.3)
            await here.rest(timedelta(seconds=3))
            here.degrade("v1")
            await here.rest(timedelta(seconds=50))
            here.world.release("v2", error_rate=0.3)
            await here.phase("Settling", 8 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)

    run_story(story())


def test_a_revision_that_served_well_for_long_is_not_to_blame(tmp_path: Path) -> None:
    async def story() -> None:
        shorter = {"rollback": {"window": "4m", "caused_within": "2m"}}
        async with stage(tmp_path, SHORT, shorter, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2")
            await here.rest(5 * MINUTE)
            here.degrade("v2", error_rate=0.05)
            doubts = ("InsideRollbackWindow/OutsideRollbackWindow", "CausedByRollout/OnsetTooLate")
            await refused(here, *doubts, offers=[ROLL_BACK, LEAVE])

    run_story(story())


def test_the_first_revision_has_none_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.degrade("v1", error_rate=0.05)
            await refused(here, "TargetExists/NoPreviousRevision", offers=[])

    run_story(story())


def test_frozen_in_three_places(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.annotate_workload(FREEZE, "audit")
            here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, "peak hours")
            here.annotate(NAMESPACES, "", HOME, FREEZE, "moving")
            here.world.release("v2", error_rate=0.05)
            await refused(here, "NotFrozen/Frozen", offers=[ROLL_BACK, LEAVE])
            for reason in ("audit", "peak hours", "moving"):
                assert reason in here.status()["message"]
            # One is enough.
            here.annotate_workload(FREEZE, None)
            here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, None)
            await here.rest(timedelta(seconds=20))
            assert here.doubts() == {"NotFrozen/Frozen"}
            # Asked is asked: lifting the last one does not take the question back.
            here.annotate(NAMESPACES, "", HOME, FREEZE, None)
            await here.rest(timedelta(seconds=40))
            assert here.doubts() == set()
            assert here.status()["phase"] == "AwaitingDecision"
            assert here.writes() == []
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", 3 * MINUTE)
            assert here.status()["outcome"] == "RolledBack"

    run_story(story())


def test_frozen_between_decision_and_patch(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            # The first status that is written is the intent to undo.
            here.world.cluster.faults.add(FaultRule("PATCH", "/incidents/.*/status", Delay(3.0), count=1))
            here.world.release("v2", error_rate=0.05)
            await here.until(lambda: here.world.cluster.faults.taken, 4 * MINUTE, "an intent under way")
            here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, "stop")
            await here.phase("AwaitingDecision", MINUTE)
            assert here.doubts() == {"NotFrozen/Frozen"}
            assert here.status()["rollback"]["state"] == "Voided"
            assert "UndoRefused" in here.reasons()
            await here.rest(MINUTE)
            assert here.world.version == "v2"
            assert here.undos() == []

    run_story(story())


@pytest.mark.parametrize("namespace", ["kube-system", HOME])
def test_protected(tmp_path: Path, namespace: str) -> None:
    async def story() -> None:
        there: dict[str, Any] = {"workload": {"namespace": namespace}}
        async with stage(tmp_path, SHORT, there, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await refused(here, "NotProtected/Protected", offers=[])

    run_story(story())


def test_paused_asks_and_goes_on_asking_once_resumed(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            here.pause(True)
            await refused(here, "NotPaused/Paused", offers=[])
            here.pause(False)
            await here.rest(timedelta(seconds=40))
            assert here.doubts() == set()
            assert here.offers() == [ROLL_BACK, LEAVE]
            assert here.writes() == []
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", 3 * MINUTE)
            assert here.status()["outcome"] == "RolledBack"

    run_story(story())
