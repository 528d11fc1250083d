"""Only the difference is sent, in order, pages first; what fails comes again, never twice in a channel."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest
import structlog

from responder.actions.attempts import FIRST_RETRY, LAST_RETRY, retry_delay
from responder.actions.notify import Notifier, Told
from responder.clients.slack import SlackRefused, SlackUnavailable
from responder.errors import ResponderError
from responder.incidents.model import Incident, Page, Times
from responder.incidents.notifications import Notifications
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import Channel
from responder.sandbox.api.faults import DropAfter, FaultRule, Hang, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.term import Term
from tests.unit.actions.build import AT, asking, incident, rollback, rule_file
from tests.unit.actions.offices import Office, Records, open_office, play, told_as


def test_one_message_and_one_alert_follow_the_incident_to_its_end() -> None:
    async def story(office: Office) -> None:
        page = Page(reason="EveryGuardPassed", message="Every guard passed.", at=AT)
        undo, back = rollback(), Times(recovered_at=AT)
        for state in (
            incident(page=page),
            incident(page=page, phase=Phase.ROLLING_BACK, rollback=undo),
            incident(page=page, phase=Phase.VERIFYING, rollback=undo),
            incident(page=page, phase=Phase.SETTLING, outcome=Outcome.ROLLED_BACK, rollback=undo, times=back),
            incident(page=page, phase=Phase.CLOSED, outcome=Outcome.ROLLED_BACK, rollback=undo, times=back),
        ):
            assert (await office.notify(state)).retry_at is None
        (message,) = office.desk.slack_inbox.messages
        assert message.channel == "C0PAYMENTS"
        assert "Rolled back payments/payment-service: traffic" in message.current.text
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert (alert.state, alert.pages) == (AlertState.RESOLVED, 1)
        assert office.records.written[-1].pagerduty is not None
        assert office.records.written[-1].pagerduty.action == "resolve"

    play(story)


def test_what_was_told_is_not_told_again() -> None:
    async def story(office: Office) -> None:
        state = asking()
        for _ in range(5):
            await office.notify(state)
        (message,) = office.desk.slack_inbox.messages
        assert len(message.versions) == 1
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert len(alert.events) == 1
        assert office.counted == [(Channel.PAGERDUTY, "sent"), (Channel.SLACK, "sent")]

    play(story)


def test_the_page_comes_first_and_each_success_is_recorded_at_once() -> None:
    async def story(office: Office) -> None:
        await office.notify(asking())
        first, second = office.records.written
        assert (first.pagerduty is not None, first.slack is not None) == (True, False)
        assert (second.pagerduty is not None, second.slack is not None) == (True, True)

    play(story)


def test_a_restart_tells_nothing_twice() -> None:
    async def story(office: Office) -> None:
        await office.notify(asking())
        state = told_as(asking(), office.records.written[-1])
        assert (await office.restarted().notify(state)).retry_at is None
        assert len(office.desk.slack_inbox.messages[0].versions) == 1
        assert len(office.desk.pagerduty_inbox.alerts[state.metadata.uid].events) == 1

    play(story)


def test_a_message_that_was_posted_but_not_recorded_is_found_again() -> None:
    async def story(office: Office) -> None:
        await office.notify(asking())
        # The records of the one that died never arrived.
        await open_office(office.desk, Records()).notify(asking(message="Something else by now."))
        (message,) = office.desk.slack_inbox.messages
        assert len(message.versions) == 2
        assert office.desk.pagerduty_inbox.alerts[asking().metadata.uid].pages == 1

    play(story)


@pytest.mark.parametrize("effect", [DropAfter(), Hang(after_effect=True)])
def test_a_lost_answer_leads_to_no_second_message(effect: DropAfter | Hang) -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.faults.add(FaultRule("*", "chat.postMessage", effect, count=1))
        await office.insist(asking())
        assert len(office.desk.slack_inbox.messages) == 1
        assert office.records.written[-1].slack is not None
        assert office.records.written[-1].slack.ts == office.desk.slack_inbox.messages[0].ts

    play(story)


def test_an_outage_of_slack_holds_up_nothing_and_is_made_up_for() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.faults.add(FaultRule("*", "/api/", Refuse(503), count=6))
        told = await office.notify(asking())
        assert told.retry_at == office.desk.clock.now() + FIRST_RETRY
        assert told.notifications.pagerduty is not None
        started = office.desk.clock.now()
        await office.insist(asking())
        # Six failures, each wait twice the one before: 1 + 2 + 4 + 8 + 16 + 32 s.
        assert timedelta(seconds=60) < office.desk.clock.now() - started < timedelta(seconds=70)
        assert len(office.desk.slack_inbox.messages) == 1

    play(story)


def test_calls_in_between_do_not_hammer_a_channel_that_is_down() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.faults.add(FaultRule("*", "/api/", Refuse(503)))
        for number in range(20):
            await office.notify(asking(reason=f"Look{number}", message=f"Look {number}."))
        assert len(office.desk.slack_inbox.faults.taken) == 1

    play(story)


def test_the_other_sides_wish_to_wait_is_honoured() -> None:
    async def story(office: Office) -> None:
        fault = FaultRule("*", "chat.postMessage", Refuse(429, retry_after_seconds=30), count=1)
        office.desk.slack_inbox.faults.add(fault)
        told = await office.notify(asking())
        assert told.retry_at is not None
        assert told.retry_at - office.desk.clock.now() == timedelta(seconds=30)
        await office.insist(asking())

    play(story)


def test_a_page_that_fails_is_said_on_slack_and_comes_again() -> None:
    async def story(office: Office) -> None:
        office.desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Refuse(503), count=1))
        await office.notify(asking())
        (message,) = office.desk.slack_inbox.messages
        assert "Nobody was paged" in str(message.current.blocks)
        await office.insist(asking())
        assert "Nobody was paged" not in str(message.current.blocks)
        assert office.desk.pagerduty_inbox.alerts[asking().metadata.uid].pages == 1
        assert (Channel.PAGERDUTY, "failed") in office.counted

    play(story)


def test_a_page_whose_answer_was_lost_is_resolved_once_it_is_over() -> None:
    """PagerDuty took it, nothing says so, and meanwhile the metric came back."""

    async def story(office: Office) -> None:
        office.desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", DropAfter(), count=1))
        page = Page(reason="EveryGuardPassed", message="Every guard passed.", at=AT)
        told = await office.notify(incident(page=page))
        assert told.notifications.pagerduty is None
        await office.insist(incident(page=page, outcome=Outcome.ROLLED_BACK, times=Times(recovered_at=AT)))
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert (alert.state, alert.pages) == (AlertState.RESOLVED, 1)

    play(story)


def test_what_is_refused_waits_long_unless_there_is_something_else_to_say() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.errors["chat.postMessage"] = "not_in_channel"
        told = await office.notify(asking())
        assert told.retry_at == office.desk.clock.now() + LAST_RETRY
        del office.desk.slack_inbox.errors["chat.postMessage"]
        await office.notify(asking())
        assert office.desk.slack_inbox.messages == []
        await office.desk.clock.sleep(2)
        await office.notify(asking(reason="Other", message="Something else."))
        assert len(office.desk.slack_inbox.messages) == 1

    play(story)


def test_without_the_right_to_search_it_posts_all_the_same() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.errors["conversations.history"] = "missing_scope"
        assert (await office.notify(asking())).retry_at is None
        assert len(office.desk.slack_inbox.messages) == 1

    play(story)


def test_a_deleted_message_is_posted_anew() -> None:
    async def story(office: Office) -> None:
        await office.notify(asking())
        office.desk.slack_inbox.messages.clear()
        assert (await office.notify(asking(reason="Other", message="Something else."))).retry_at is None
        (message,) = office.desk.slack_inbox.messages
        assert office.records.written[-1].slack is not None
        assert office.records.written[-1].slack.ts == message.ts

    play(story)


def test_a_record_that_failed_is_written_later_without_telling_again() -> None:
    async def story(office: Office) -> None:
        office.records.failures = 3
        await office.insist(asking())
        assert len(office.desk.slack_inbox.messages) == 1
        assert len(office.desk.pagerduty_inbox.alerts[asking().metadata.uid].events) == 1
        last = office.records.written[-1]
        assert (last.slack is not None, last.pagerduty is not None) == (True, True)

    play(story)


def test_calls_at_once_for_one_incident_are_told_in_their_order() -> None:
    async def story(office: Office) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(office.notify(asking(reason=f"Look{number}", message=f"Look {number}.")))
        (message,) = office.desk.slack_inbox.messages
        said = [version.text.rsplit(": ", 1)[-1] for version in message.versions]
        assert said == [f"Look {number}." for number in range(5)]

    play(story)


@pytest.mark.parametrize(
    ("state", "slack"),
    [
        (incident(notify=()), False),
        (incident(notify=("pagerduty",)), False),
        (incident(notify=("slack",)), True),
        (asking(notify=()), True),
    ],
)
def test_slack_is_told_where_the_rules_or_a_question_want_it(state: Incident, slack: bool) -> None:
    async def story(office: Office) -> None:
        await office.notify(state)
        assert bool(office.desk.slack_inbox.messages) == slack

    play(story)


def test_without_a_rule_file_the_default_channel_is_told() -> None:
    async def story(office: Office) -> None:
        await office.notifier.notify(asking(), None)
        assert office.desk.slack_inbox.messages[0].channel == "C0ALERTS00"

    play(story)


def test_absent_channels_are_stated_once_and_are_no_error() -> None:
    async def story(office: Office) -> None:
        with structlog.testing.capture_logs() as logs:
            silent = Notifier(
                slack=None,
                pagerduty=None,
                store=office.records,
                clock=office.desk.clock,
                default_channel=None,
                count=lambda channel, result: pytest.fail(f"{channel} {result}"),
                term=Term(math.inf),
            )
            for _ in range(3):
                assert await silent.notify(asking(), None) == Told(Notifications(), None)
        assert [entry["event"] for entry in logs] == ["slack_absent", "pagerduty_absent"]

    play(story)


def test_without_pagerduty_slack_says_that_nobody_was_paged() -> None:
    async def story(office: Office) -> None:
        alone = Notifier(
            slack=office.desk.slack,
            pagerduty=None,
            store=office.records,
            clock=office.desk.clock,
            default_channel=None,
            count=lambda channel, result: None,
            term=Term(math.inf),
        )
        page = Page(reason="Forbidden", message="Rollback failed.", at=AT)
        state = incident(outcome=Outcome.ROLLBACK_FAILED, notify=("slack",), page=page)
        await alone.notify(state, rule_file())
        assert "Nobody was paged:* PagerDuty is not set up." in str(office.desk.slack_inbox.messages)

    play(story)


@pytest.mark.parametrize(
    ("error", "failures", "seconds"),
    [
        (SlackUnavailable("x"), 1, 1),
        (SlackUnavailable("x"), 4, 8),
        (SlackUnavailable("x"), 9, 256),
        (SlackUnavailable("x"), 10, 300),
        (SlackUnavailable("x"), 10_000, 300),
        (SlackUnavailable("x", 30.0), 1, 30),
        (SlackUnavailable("x", 600.0), 1, 600),
        (SlackUnavailable("x", 86_400.0), 1, 3600),
        (SlackRefused("x", "not_in_channel"), 1, 300),
    ],
)
def test_retry_delay(error: ResponderError, failures: int, seconds: int) -> None:
    assert retry_delay(error, failures) == timedelta(seconds=seconds)
