"""After the proof: what begins anew is no echo, and what was undone is not undone again by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.outage import Outage
from tests.flow.harness import QUICK, SHORT, Stage, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


async def rolled_back(here: Stage) -> None:
    """Release a bad version and wait until it was rolled back with proof."""
    await here.rest(timedelta(minutes=3, seconds=30))
    here.world.release("v2", error_rate=0.05)
    await here.phase("Settling", 6 * MINUTE)
    assert here.status()["outcome"] == "RolledBack"


def test_the_same_bad_version_delivered_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await rolled_back(here)
            # The same template, so the same ReplicaSet: a pipeline that insists.
            here.world.release("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 4 * MINUTE, sequence=2)
            assert here.status(1)["phase"] == "Closed"
            assert here.at("closedAt") < here.at("settleUntil"), "no echo: the time for those was not over"
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v2")
            assert here.status(2)["target"]["uid"] == here.rs_uid("v1")
            assert "NotAgain/CooldownActive" in here.doubts(2)
            await here.rest(MINUTE)
            assert here.world.version == "v2"
            assert len(here.undos()) == 1

    run_story(story())


def test_an_undo_is_not_undone(tmp_path: Path) -> None:
    async def story() -> None:
        shorter = {"rollback": {"cooldown": "1m"}}
        async with stage(tmp_path, SHORT, shorter, **QUICK) as here:
            await rolled_back(here)
            await here.phase("Closed", 6 * MINUTE)
            here.degrade("v1", error_rate=0.05)
            await here.phase("AwaitingDecision", 4 * MINUTE, sequence=2)
            await here.rest(timedelta(seconds=20))
            assert "NotAgain/UndoOfUndo" in here.doubts(2)
            # The only other revision is known to be bad: there is nothing to offer.
            assert "TargetExists/NoPreviousRevision" in here.doubts(2)
            assert here.offers(sequence=2) == []
            page = here.page(2)
            assert page is not None
            assert page.state == "triggered"
            await here.rest(MINUTE)
            assert here.world.version == "v1"
            assert len(here.undos()) == 1

    run_story(story())


def test_pods_that_come_back_are_no_rollout(tmp_path: Path) -> None:
    async def story() -> None:
        shorter = {"rollback": {"window": "5m", "caused_within": "5m"}}
        async with stage(tmp_path, SHORT, shorter, **QUICK) as here:
            await here.rest(MINUTE)
            here.world.release("v2")
            await here.rest(5 * MINUTE)
            here.scale(0)
            await here.rest(timedelta(seconds=20))
            here.scale(4)
            await here.rest(timedelta(seconds=40))
            # v2 began to serve a moment ago, again; it was released too long ago to be to blame.
            here.degrade("v2", error_rate=0.05)
            await here.until(lambda: here.status().get("verdicts"), 2 * MINUTE, "a judgement")
            assert len(here.record()["spec"]["servings"]) == 3
            assert "InsideRollbackWindow/OutsideRollbackWindow" in here.doubts()
            await here.rest(timedelta(seconds=30))
            assert here.writes() == []

    run_story(story())


def test_a_hiccup_at_the_rollout_does_not_date_what_begins_later(tmp_path: Path) -> None:
    async def story() -> None:
        shorter = {"rollback": {"caused_within": "4m", "clean_gap": "1m"}}
        async with stage(tmp_path, SHORT, shorter, **QUICK) as here:
            await here.rest(3 * MINUTE)
            here.world.release("v2")
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            # Long enough for the short range, too short for the alert.
            here.degrade("v2", error_rate=0.025)
            await here.rest(timedelta(seconds=20))
            here.degrade("v2", error_rate=0.0)
            await here.rest(6 * MINUTE)
            assert here.incidents() == [], here.summary()
            here.degrade("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 4 * MINUTE)
            assert here.doubts() == {"CausedByRollout/OnsetTooLate"}
            await here.rest(timedelta(seconds=30))
            assert here.writes() == []

    run_story(story())


def test_silenced_before_the_undo(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            # It can't be decided yet, and meanwhile somebody silences the alert.
            here.answering(False)
            here.world.release("v2", error_rate=0.05)
            await here.reason("PrometheusUnavailable", 3 * MINUTE)
            here.silence()
            await here.rest(3 * MINUTE)
            here.answering(True)
            await here.reason("NoAlertFires", MINUTE)
            await here.rest(2 * MINUTE)
            assert here.world.version == "v2"
            assert here.writes() == []

    run_story(story())


@pytest.mark.parametrize("answers", [True, False])
def test_silenced_a_moment_before_the_undo(tmp_path: Path, *, answers: bool) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alertmanagers=2, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.answering(False)
            here.world.release("v2", error_rate=0.3)
            await here.reason("PrometheusUnavailable", 3 * MINUTE)
            here.silence()
            if not answers:
                # What one of them does not say, the other's word does not stand for.
                here.world.alertmanagers[1].outage = Outage.UNAVAILABLE
            here.answering(True)
            if answers:
                await here.reason("NoAlertFires", timedelta(seconds=20))
                await here.rest(timedelta(seconds=20))
                assert here.writes() == []
                here.unsilence()
            await here.phase("Settling", 4 * MINUTE)
            assert len(here.undos()) == 1

    run_story(story())
