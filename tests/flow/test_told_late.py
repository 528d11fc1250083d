"""Slack and PagerDuty are gone for ten minutes, during a whole rollback: nothing waits, nothing gets lost.

Afterwards there is one message with the last state, and PagerDuty knows what there still is to know.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from responder.sandbox.api.faults import DropAfter, DropBefore, Effect, FaultRule, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState
from tests.flow.harness import QUICK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.flow.test_restarts import decide_with_kubectl
from tests.shared import run_story

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
OUTAGE = 10 * MINUTE
# The longest pause between two attempts, and the time for one.
LAST_ATTEMPT = 6 * MINUTE
STEPS = ("onsetAt", "alertedAt", "receivedAt", "decidedAt", "patchedAt", "trafficProvenAt", "recoveredAt")


def take_away(here: Stage, effect: Effect) -> datetime:
    """Let both inboxes be gone from now on; returns until when."""
    ends_at = here.world.clock.now() + OUTAGE
    for inbox in (here.world.slack, here.world.pagerduty):
        inbox.faults.add(FaultRule("*", "/api/|/v2/", effect, ends_at=ends_at))
    return ends_at


async def roll_back(here: Stage, effect: Effect | None, *, restart: bool) -> list[timedelta]:
    """A bad release, rolled back and closed while nobody can be told; how long after it each step came."""
    await here.rest(4 * MINUTE)
    here.world.release("v2", error_rate=0.05)
    released_at = here.world.clock.now()
    over_at = released_at if effect is None else take_away(here, effect)
    await here.phase("Settling", 7 * MINUTE)
    if restart:
        await here.stop()
        await here.start()
    await here.phase("Closed", 6 * MINUTE)
    await here.rest(over_at - here.world.clock.now() + LAST_ATTEMPT)
    return [here.at(step) - released_at for step in STEPS]


def told(here: Stage) -> str:
    (condition,) = [each for each in here.status()["conditions"] if each["type"] == "Told"]
    return f"{condition['status']} {condition['reason']}"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[timedelta]:
    """How long each step takes while Slack and PagerDuty answer."""

    async def story() -> list[timedelta]:
        async with stage(tmp_path_factory.mktemp("undisturbed"), SHORT, **QUICK) as here:
            steps = await roll_back(here, None, restart=False)
            assert told(here) == "True Told"
            return steps

    return run_story(story())


@pytest.mark.parametrize(
    ("effect", "restart"),
    [(Refuse(503), False), pytest.param(DropBefore(), True, marks=pytest.mark.slow)],
)
def test_gone_during_a_whole_rollback(
    tmp_path: Path, undisturbed: list[timedelta], effect: Effect, restart: bool
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            steps = await roll_back(here, effect, restart=restart)
            late = [took - usual for took, usual in zip(steps, undisturbed, strict=True)]
            assert max(late) < timedelta(seconds=1), dict(zip(STEPS, late, strict=True))
            assert len(here.undos()) == 1
            assert len(here.world.slack.messages) == 1
            assert "traffic and recovery are proven" in here.message().current.text
            # Nobody is woken for what is over by now.
            assert here.page() is None
            assert len(here.world.pagerduty.changes) == 1
            assert told(here) == "True Told"
            failing = here.status()["notifications"].keys() & {"slackFailing", "pagerdutyFailing"}
            assert not failing

    run_story(story())


@pytest.mark.parametrize("restart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_gone_after_somebody_was_paged(tmp_path: Path, restart: bool) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            page = here.page()
            assert page is not None
            over_at = take_away(here, Refuse(503))
            decide_with_kubectl(here, "rollback")
            await here.phase("Settling", 5 * MINUTE)
            assert here.status()["notifications"]["slackFailing"]["attempts"] >= 1
            if restart:
                await here.stop()
                await here.start()
            await here.phase("Closed", 6 * MINUTE)
            await here.rest(over_at - here.world.clock.now() + LAST_ATTEMPT)
            assert len(here.world.slack.messages) == 1
            assert "traffic and recovery are proven" in here.message().current.text
            assert here.offers() == []
            assert (page.pages, page.state) == (1, AlertState.RESOLVED)
            assert [event.action for event in page.events].count("resolve") == 1
            assert told(here) == "True Told"

    run_story(story())


def test_lost_answers_of_both_while_it_restarts(tmp_path: Path) -> None:
    """Both took what they were sent, and the one that sent it never heard so and died."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            here.world.slack.faults.add(FaultRule("*", "chat.postMessage", DropAfter(), count=1))
            here.world.pagerduty.faults.add(FaultRule("*", "/v2/enqueue", DropAfter(), count=1))
            here.world.release("v2", error_rate=0.05)
            await here.phase("Verifying", 6 * MINUTE)
            await here.rest(timedelta(seconds=1))
            await here.stop()
            await here.start()
            await here.phase("Closed", 12 * MINUTE)
            await here.rest(MINUTE)
            assert len(here.world.slack.messages) == 1
            assert "traffic and recovery are proven" in here.message().current.text
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, AlertState.RESOLVED)

    run_story(story())


@pytest.mark.slow
def test_an_hour_later_the_incident_says_that_nobody_was_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            here.world.slack.errors["chat.postMessage"] = "not_in_channel"
            here.world.release("v2", error_rate=0.05)
            await here.phase("Closed", 13 * MINUTE)
            await here.rest(here.at("closedAt") + 60 * MINUTE - here.world.clock.now() - MINUTE)
            assert "Told" not in [each["type"] for each in here.status()["conditions"]]
            await here.rest(2 * MINUTE)
            assert told(here) == "False GaveUp"
            incident = here.incident()
            assert incident is not None
            assert "responder.dev/open" not in incident["metadata"]["labels"]

    run_story(story())
