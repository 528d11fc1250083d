"""The API server at its worst: answers lost, late, refused; watches dropped. One undo, nothing forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.api.faults import Delay, DropAfter, DropBefore, Effect, FaultRule, Hang, Late, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.workloads.views import FREEZE
from tests.flow.harness import NAMESPACES, SHORT, Stage, stage
from tests.shared import run_story

pytestmark = pytest.mark.slow

Story = Callable[[Stage], Awaitable[None]]

SOON = timedelta(minutes=3)
# The readiness probe of the world fails for good after three times ten seconds, and one for the last.
HOLD = timedelta(seconds=31)
# Not its dry runs, which have a query.
DEPLOYMENT = r"/deployments/payment-service$"
INCIDENTS = r"/incidents(\?|$)"


# A rule that pages nobody by itself.
SLACK_ONLY = {"alerts": {"high-error-rate": {"notify": ["slack"]}}}


def play(tmp_path: Path, story: Story, *changes: dict[str, Any]) -> None:
    """Run the story on a small world whose first version has served healthily for a while."""

    async def main() -> None:
        async with stage(tmp_path, SHORT, *changes, replicas=2, scrape_interval_seconds=10.0) as here:
            await here.rest(timedelta(minutes=3))
            await story(here)

    run_story(main())


def strike(here: Stage, method: str, path: str, effect: Effect, count: int | None = 1) -> None:
    here.world.cluster.faults.add(FaultRule(method, path, effect, count))


async def rolled_back(here: Stage, within: timedelta = timedelta(minutes=10)) -> None:
    """The one incident ends well, and the store saw the template change back exactly once."""
    status = await here.phase("Settling", within)
    assert status["outcome"] == "RolledBack", here.summary()
    assert here.versions == ["v1", "v2", "v1"]
    assert len(here.incidents()) == 1
    proven_at = here.at("trafficProvenAt")
    assert set(here.world.oracle.requests_by_revision(since=proven_at)) == {here.rs_uid("v1")}


@pytest.mark.parametrize(
    ("effect", "count"),
    [
        (DropBefore(), 1),
        (DropAfter(), 1),
        (Refuse(500, after_effect=True), 1),
        (Refuse(504, after_effect=True), 1),
        (Refuse(409), 2),
        (Refuse(429, retry_after_seconds=30), 1),
        (Hang(), 1),
        (Hang(after_effect=True), 1),
    ],
)
def test_the_undo_takes_effect_once_whatever_becomes_of_its_answer(
    tmp_path: Path, effect: Effect, count: int
) -> None:
    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, effect, count)
        here.world.release("v2", error_rate=0.1)
        await rolled_back(here)
        assert len(here.world.cluster.faults.taken) == count
        # By what took effect, told or not.
        assert len(here.undos()) == 1

    play(tmp_path, story)


def test_an_undo_that_can_not_be_written_down_pages(tmp_path: Path) -> None:
    """It took effect, and waits to be remembered before it is proven: people have to know."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Delay(3.0), None)
        here.world.release("v2", error_rate=0.1)
        await here.phase("RollingBack", SOON)
        strike(here, "PATCH", "/workloadrecords/", Refuse(403), None)
        await here.reason("UndoOverdue", timedelta(minutes=8))
        await here.rest(timedelta(seconds=5))
        page = here.page()
        assert page is not None
        assert "overdue" in page.summary
        assert here.versions == ["v1", "v2", "v1"]
        here.world.cluster.faults.clear()
        await rolled_back(here)
        assert len(here.undos()) == page.pages == 1

    play(tmp_path, story)


def test_an_undo_that_never_gets_through_pages_and_is_not_given_up(tmp_path: Path) -> None:
    """Neither the undo nor its voiding gets an answer, so it may still happen: people are told meanwhile."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Refuse(500), None)
        here.world.release("v2", error_rate=0.1)
        await here.phase("RollingBack", SOON)
        assert here.page() is None
        page = await here.until(here.page, timedelta(minutes=8), "a page")
        assert "overdue" in page.summary
        await here.rest(timedelta(minutes=5))
        assert here.status()["phase"] == "RollingBack"
        assert here.reasons().count("UndoOverdue") == 1
        here.world.cluster.faults.clear()
        status = await here.phase("Closed", SOON)
        assert (status["outcome"], status["reason"]) == ("RollbackFailed", "UndoTooLate")
        await here.until(lambda: "failed" in page.summary, SOON, "said so")
        assert (page.pages, page.state) == (1, AlertState.TRIGGERED)
        assert here.versions == ["v1", "v2"]

    play(tmp_path, story, SLACK_ONLY)


def test_an_undo_is_not_given_up_while_nothing_keeps_it_from_arriving(tmp_path: Path) -> None:
    """The first try got lost, a freeze came, the fence may not be moved: the patch may still be under way."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Late(240))
        strike(here, "PATCH", DEPLOYMENT, Refuse(403), None)
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.world.cluster.faults.taken, SOON, "the undo is on its way")
        here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, "hands off")
        await here.rest(timedelta(seconds=90))
        assert here.status()["phase"] == "RollingBack", here.summary()
        assert here.versions == ["v1", "v2"]
        here.world.cluster.faults.clear()
        await here.reason("Frozen", SOON)
        assert here.status()["rollback"]["state"] == "Voided"
        await here.rest(timedelta(minutes=6))
        assert here.versions == ["v1", "v2"]

    play(tmp_path, story)


def test_an_undo_that_may_not_be_repeated_is_not_called_off_while_it_may_arrive(tmp_path: Path) -> None:
    """The first try got lost, then the right to patch went, for the fence as well: no failure yet."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Late(240))
        strike(here, "PATCH", DEPLOYMENT, Refuse(403), None)
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.world.cluster.faults.taken, SOON, "the undo is on its way")
        await here.rest(timedelta(seconds=90))
        assert here.status()["phase"] == "RollingBack", here.summary()
        assert here.versions == ["v1", "v2"]
        status = await here.phase("Verifying", timedelta(minutes=5))
        assert status["rollback"]["state"] == "Applied"
        assert here.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


def test_an_undo_that_arrives_after_a_second_one_has_no_effect(tmp_path: Path) -> None:
    """Not even where what it tests is there again but for the fence: somebody released v2 once more."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Late(300))
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.world.cluster.faults.taken, SOON, "the undo is on its way")
        arrives_at = here.world.clock.now() + timedelta(seconds=300)
        await rolled_back(here, timedelta(minutes=4))
        await here.rest(arrives_at - here.world.clock.now() - timedelta(seconds=10))
        here.world.release("v2", error_rate=0.1)
        await here.rest(timedelta(seconds=20))
        assert here.versions == ["v1", "v2", "v1", "v2"]

    play(tmp_path, story)


def test_an_undo_that_arrives_after_it_was_given_up_has_no_effect(tmp_path: Path) -> None:
    """Somewhere on its way the undo lay for half an hour: by then its fence has moved."""

    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Late(1800))
        strike(here, "PATCH", DEPLOYMENT, Refuse(500), None)
        here.world.release("v2", error_rate=0.1)
        await here.phase("RollingBack", SOON)
        await here.rest(timedelta(minutes=10))
        here.world.cluster.faults.clear()
        status = await here.phase("Closed", SOON)
        assert (status["outcome"], status["reason"]) == ("RollbackFailed", "UndoTooLate")
        await here.rest(timedelta(minutes=25))
        assert here.versions == ["v1", "v2"]

    play(tmp_path, story, SLACK_ONLY)


def test_a_late_undo_that_got_through_unseen_is_found_and_proven(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        strike(here, "PATCH", DEPLOYMENT, Hang(after_effect=True))
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.versions == ["v1", "v2", "v1"], SOON, "undone")
        strike(here, "GET", DEPLOYMENT, Refuse(503), None)
        await here.rest(timedelta(minutes=6))
        assert here.reasons()[-1] == "UndoOverdue"
        assert here.status()["phase"] == "RollingBack"
        here.world.cluster.faults.clear()
        await rolled_back(here)

    play(tmp_path, story)


def test_an_api_server_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.phase("Verifying", SOON)
        strike(here, "*", "/", DropBefore(), None)
        await here.rest(timedelta(seconds=50))
        here.world.cluster.faults.clear()
        cleared_at = here.world.clock.now()
        await rolled_back(here)
        # What happened meanwhile nobody saw: the window has to be a whole one after it.
        assert here.at("trafficProvenAt") - cleared_at >= HOLD

    play(tmp_path, story)


def test_dropped_watches_set_the_proof_back_and_do_not_end_it(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.phase("Verifying", SOON)
        await here.rest(timedelta(seconds=15))
        strike(here, "GET", "watch=1", DropBefore(), 40)
        await rolled_back(here)
        assert len(here.world.cluster.faults.taken) == 40
        # The server ends a watch after 30 s; those that began with the proof could not go on then.
        assert here.at("trafficProvenAt") - here.at("patchedAt") >= timedelta(seconds=30) + HOLD

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("method", "path", "effect", "count"),
    [
        ("POST", INCIDENTS, Refuse(503), 3),
        ("POST", INCIDENTS, DropAfter(), 1),
        ("GET", "/workloadrecords/", Refuse(503), 30),
        ("PATCH", "/incidents/", DropAfter(), 6),
        ("PATCH", "/workloadrecords/", DropAfter(), 3),
    ],
)
def test_what_goes_wrong_while_alerts_are_taken_in_loses_nothing(
    tmp_path: Path, method: str, path: str, effect: Effect, count: int
) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.rest(timedelta(seconds=20))
        strike(here, method, path, effect, count)
        await rolled_back(here)
        assert here.world.cluster.faults.taken

    play(tmp_path, story)
