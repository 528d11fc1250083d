"""At most a message a second and channel; a storm is one digest first, and pages wait for none of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from responder.actions.storms import MOST_A_MINUTE
from responder.incidents.model import Incident
from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.inboxes.slack_messages import Message
from tests.unit.actions.build import AT, asking
from tests.unit.actions.offices import Office, play

MANY = 3 * MOST_A_MINUTE


def numbered(number: int) -> Incident:
    """An incident of its own."""
    state = asking()
    named = {"uid": f"uid-{number}", "name": f"deployment-service-{number}-1"}
    return state.model_copy(update={"metadata": state.metadata.model_copy(update=named)})


async def insist_all(office: Office, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(office.insist(numbered(number)))


def digests(office: Office) -> list[Message]:
    return [each for each in office.desk.slack_inbox.messages if "storm" in str(each.metadata)]


def own(office: Office) -> list[Message]:
    return [each for each in office.desk.slack_inbox.messages if "uid-" in str(each.metadata)]


def test_a_few_at_once_go_out_one_after_another() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.limits_rate = True
        await insist_all(office, MOST_A_MINUTE)
        assert (len(own(office)), len(digests(office))) == (MOST_A_MINUTE, 0)
        assert office.desk.clock.now() - AT < timedelta(seconds=1.2 * MOST_A_MINUTE)
        assert {result for _, result in office.counted} == {"sent"}

    play(story)


def test_a_storm_is_paged_at_once_and_digested_first() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.limits_rate = True
        async with asyncio.TaskGroup() as group:
            group.create_task(insist_all(office, MANY))
            await office.desk.clock.sleep(20)
            alerts = office.desk.pagerduty_inbox.alerts.values()
            assert len(alerts) == MANY
            assert all(alert.events[0].at == AT for alert in alerts)
            (digest,) = digests(office)
            assert len(own(office)) <= MOST_A_MINUTE
            assert digest.current.text == f"{MANY} incidents at once: {MANY} await an answer, {MANY} paged"
            assert "payments/deployment-service-29-1" in str(digest.current.blocks)
        assert len(own(office)) == MANY
        assert len(digests(office)) == 1
        # A minute of digest, then a message every 1.1 s.
        assert office.desk.clock.now() - AT < timedelta(seconds=60 + 1.2 * MANY)
        assert {result for _, result in office.counted} == {"sent"}

    play(story)


def test_after_a_restart_the_digest_is_found_again() -> None:
    async def story(office: Office) -> None:
        for each in (office, office, office.restarted(), office.restarted()):
            for number in range(MANY):
                await each.notify(numbered(number))
            await each.desk.clock.sleep(2)
        (digest,) = digests(office)
        assert digest.current.text.startswith(f"{MANY} incidents")

    play(story)


def test_a_wish_to_wait_is_every_incidents() -> None:
    async def story(office: Office) -> None:
        fault = FaultRule("*", "chat.postMessage", Refuse(429, retry_after_seconds=30), count=1)
        office.desk.slack_inbox.faults.add(fault)
        for number in range(3):
            told = await office.notify(numbered(number))
            assert told.retry_at is not None
        calls = len(office.desk.slack_inbox.calls)
        await office.desk.clock.sleep(29)
        for number in range(3):
            await office.notify(numbered(number))
        assert len(office.desk.slack_inbox.calls) == calls
        await insist_all(office, 3)
        assert len(own(office)) == 3
        assert len(office.desk.slack_inbox.faults.taken) == 1

    play(story)
