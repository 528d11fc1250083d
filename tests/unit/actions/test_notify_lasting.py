"""What fails outlives the process: since when, how often, when next; and in the end the incident says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
import yaml

from responder.actions.notify import LAST_WORDS, REWRITE_EVERY, SLACK_GONE_AFTER
from responder.actions.pace import Pace
from responder.actions.storms import Storms
from responder.incidents.decision import Choice, choices_of, parse_decision
from responder.incidents.model import Incident, Page, Times
from responder.incidents.notifications import Notifications
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import Channel
from responder.sandbox.api.faults import Delay, FaultRule, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.term import Term
from tests.unit.actions.build import ASK, AT, STILL_TRUE, asking, incident, rollback
from tests.unit.actions.offices import Office, open_office, play, told_as

PAGE = Page(reason="EveryGuardPassed", message="Every guard passed.", at=AT)


def slack_is_down(office: Office, count: int | None = None) -> None:
    office.desk.slack_inbox.faults.add(FaultRule("*", "/api/", Refuse(503), count=count))


def closed(**status: Any) -> Incident:
    """An incident that is over, told on Slack alone."""
    defaults: dict[str, Any] = {"phase": Phase.CLOSED, "outcome": Outcome.RECOVERED, "notify": ("slack",)}
    return incident(**{**defaults, "times": Times(closed_at=AT, recovered_at=AT), **status})


def as_it_stands(office: Office, state: Incident) -> Incident:
    return told_as(state, office.records.stands.get(state.metadata.uid, Notifications()))


def test_a_failure_is_written_down_at_the_first_second_fourth_and_eighth_time() -> None:
    async def story(office: Office) -> None:
        slack_is_down(office, 9)
        await office.insist(incident(notify=("slack",)))
        counts = [told.slack_failing.attempts for told in office.records.written if told.slack_failing]
        assert counts == [1, 2, 4, 8]
        assert office.records.written[-1].slack_failing is None

    play(story)


def test_a_restart_forgets_neither_the_back_off_nor_the_age() -> None:
    async def story(office: Office) -> None:
        slack_is_down(office)
        state = incident(notify=("slack",))
        while len(office.desk.slack_inbox.faults.taken) < 8:
            told = await office.notify(state)
            assert told.retry_at is not None
            await office.desk.clock.sleep((told.retry_at - office.desk.clock.now()).total_seconds())
        after = office.restarted()
        failing = after.records.stands[state.metadata.uid].slack_failing
        assert failing is not None
        # The eighth attempt was a moment ago; the next one is due two minutes after it.
        assert (failing.attempts, failing.began_at) == (8, AT)
        told = await after.notify(as_it_stands(after, state))
        again = after.records.stands[state.metadata.uid].slack_failing
        assert again is not None
        assert again.began_at == AT
        assert told.retry_at is not None
        assert told.retry_at - office.desk.clock.now() >= timedelta(minutes=2)

    play(story)


def test_a_restart_before_the_next_attempt_is_due_attempts_nothing() -> None:
    async def story(office: Office) -> None:
        office.desk.slack_inbox.errors["chat.postMessage"] = "not_in_channel"
        state = incident(notify=("slack",))
        first = await office.notify(state)
        calls = len(office.desk.slack_inbox.calls)
        told = await office.restarted().notify(as_it_stands(office, state))
        assert told.retry_at == first.retry_at
        assert len(office.desk.slack_inbox.calls) == calls

    play(story)


def test_once_everything_is_said_a_closed_incident_says_so() -> None:
    async def story(office: Office) -> None:
        told = await office.notify(closed())
        assert told.retry_at is None
        assert office.records.conditions["Told"].status == "True"
        # Another call, with what the caller knew before, says nothing again.
        await office.notify(closed(message="Else."))
        assert len(office.desk.slack_inbox.messages[0].versions) == 1

    play(story)


def test_an_hour_after_closing_it_is_given_up_for_all_to_see() -> None:
    async def story(office: Office) -> None:
        slack_is_down(office)
        with structlog.testing.capture_logs() as logs:
            while True:
                # A restart at every turn: the hour counts from closing all the same.
                office = office.restarted()
                told = await office.notify(as_it_stands(office, closed()))
                if told.retry_at is None:
                    break
                assert "Told" not in office.records.conditions
                await office.desk.clock.sleep((told.retry_at - office.desk.clock.now()).total_seconds())
        assert office.desk.clock.now() == AT + LAST_WORDS
        condition = office.records.conditions["Told"]
        assert (condition.status, condition.reason) == ("False", "GaveUp")
        assert "service_unavailable" in condition.message
        assert (Channel.SLACK, "given_up") in office.counted
        (error,) = [entry for entry in logs if entry["log_level"] == "error"]
        assert (error["event"], error["channel"]) == ("people_not_told", "slack")

    play(story)


def test_who_waits_for_an_answer_and_finds_slack_gone_pages_how_to_give_it() -> None:
    async def story(office: Office) -> None:
        slack_is_down(office)
        state = asking(page=None, notify=("slack",))
        while True:
            told = await office.notify(state)
            if office.desk.pagerduty_inbox.alerts:
                break
            assert told.retry_at is not None
            await office.desk.clock.sleep((told.retry_at - office.desk.clock.now()).total_seconds())
        assert office.desk.clock.now() == AT + SLACK_GONE_AFTER
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert "Slack can't be reached: answer with kubectl" in alert.summary
        details = alert.events[0].payload["custom_details"]
        for choice in choices_of(ASK):
            check_command(details[f"kubectl: {choice.value}"], state, choice)
        office.desk.slack_inbox.faults.clear()
        await office.insist(state)
        assert alert.pages == 1
        over = asking(page=None, ask=None, phase=Phase.CLOSED, times=Times(recovered_at=AT, closed_at=AT))
        await office.insist(over)
        assert alert.state is AlertState.RESOLVED

    play(story)


def check_command(command: str, state: Incident, choice: Choice) -> None:
    """What the shell would make of it is a Decision that answers the question."""
    text, _, how = command.partition(" | ")
    assert how == "kubectl create -f -"
    body = text.removeprefix("echo ").strip('"').replace("$(date -u +%FT%TZ)", "2026-01-01T12:06:00Z")
    obj = yaml.safe_load(body)
    obj["metadata"] |= {"uid": "d", "resourceVersion": "1", "creationTimestamp": AT.isoformat()}
    decision = parse_decision(obj)
    assert state.status.ask is not None
    assert decision.metadata.name == f"{state.name}-{state.status.ask.digest}"
    assert (decision.spec.incident_uid, decision.spec.choice) == (state.metadata.uid, choice)


def test_numbers_alone_are_rewritten_now_and_then_and_news_at_once() -> None:
    def measured(value: str, reason: str = "EveryGuardPassed") -> Incident:
        verdict = replace(STILL_TRUE, evidence={**STILL_TRUE.evidence, "error_rate": value})
        return incident(verdicts=(verdict,), reason=reason)

    async def story(office: Office) -> None:
        await office.notify(measured("0.041"))
        (message,) = office.desk.slack_inbox.messages
        for number in range(11):
            told = await office.notify(measured(f"0.05{number}"))
            await office.desk.clock.sleep(15)
        assert len(message.versions) == 1
        assert told.retry_at == AT + REWRITE_EVERY
        await office.desk.clock.sleep(15)
        await office.notify(measured("0.06"))
        assert len(message.versions) == 2
        assert "6%" in str(message.current.blocks)
        await office.notify(measured("0.07", reason="CooldownActive"))
        assert len(message.versions) == 3

    play(story)


@pytest.mark.parametrize("restart", [False, True])
def test_a_rollback_is_shown_among_the_changes_once(restart: bool) -> None:
    async def story(office: Office) -> None:
        state = incident(phase=Phase.VERIFYING, rollback=rollback(applied_at=AT), notify=())
        for _ in range(3):
            await office.notify(as_it_stands(office, state) if restart else state)
            office = office.restarted() if restart else office
        (change,) = office.desk.pagerduty_inbox.changes
        assert change["summary"] == (
            "Rolled back deployment payments/payment-service from payment-service-7bad to"
            " payment-service-6good"
        )
        assert office.desk.pagerduty_inbox.alerts == {}

    play(story)


def test_a_resumed_notifier_resolves_and_never_triggers_what_is_over() -> None:
    """The one before triggered, died, and another resolved: whoever comes third starts from the record."""

    async def story(office: Office) -> None:
        await office.insist(incident(page=PAGE))
        second = office.restarted()
        back = incident(page=PAGE, phase=Phase.SETTLING, times=Times(recovered_at=AT))
        await second.insist(as_it_stands(second, back))
        third = second.restarted()
        await third.insist(as_it_stands(third, back))
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert [event.action for event in alert.events] == ["trigger", "resolve"]

    play(story)


def test_beyond_the_term_nothing_is_said() -> None:
    async def story(office: Office) -> None:
        term = Term(asyncio.get_running_loop().time() + 10)
        leader = open_office(office.desk, office.records, term)
        await leader.insist(asking(reason="First"))
        await office.desk.clock.sleep(10)
        told = await leader.notify(asking(reason="Second"))
        assert told.retry_at is not None
        (message,) = office.desk.slack_inbox.messages
        assert len(message.versions) == 1
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert len(alert.events) == 1

    play(story)


@pytest.mark.parametrize("step", ["conversations.history", "conversations.list"])
def test_what_was_looked_up_until_the_term_was_over_is_not_posted(step: str) -> None:
    """Whoever leads next may have said something newer by then."""

    async def story(office: Office) -> None:
        term = Term(asyncio.get_running_loop().time() + 3)
        leader = open_office(office.desk, office.records, term, channel="payments")
        office.desk.slack_inbox.faults.add(FaultRule("*", step, Delay(4.0), count=1))
        told = await leader.notify(asking())
        assert told.retry_at is not None
        assert office.desk.slack_inbox.messages == []
        assert leader.counted == [(Channel.PAGERDUTY, "sent")]

    play(story)


def test_no_digest_is_posted_beyond_the_term() -> None:
    async def story(office: Office) -> None:
        term = Term(asyncio.get_running_loop().time() + 3)
        storms = Storms(office.desk.slack.during(term), office.desk.clock, Pace(timedelta()))
        storms.calm_at("C0ALERTS00", asking())
        office.desk.slack_inbox.faults.add(FaultRule("*", "conversations.history", Delay(4.0), count=1))
        assert await storms.show("C0ALERTS00") is not None
        assert office.desk.slack_inbox.messages == []

    play(story)


def newer(state: Incident, version: str) -> Incident:
    metadata = state.metadata.model_copy(update={"resource_version": version})
    return state.model_copy(update={"metadata": metadata})


def test_older_news_than_what_is_known_is_not_told() -> None:
    async def story(office: Office) -> None:
        back = incident(page=PAGE, phase=Phase.SETTLING, times=Times(recovered_at=AT))
        await office.insist(newer(back, "90"))
        await office.notify(newer(incident(page=PAGE), "80"))
        assert office.desk.pagerduty_inbox.alerts == {}
        (message,) = office.desk.slack_inbox.messages
        assert len(message.versions) == 1

    play(story)


def test_what_another_one_told_meanwhile_is_taken_over_from_a_newer_state() -> None:
    async def story(office: Office) -> None:
        quiet = incident(notify=())
        await office.notify(newer(quiet, "80"))
        other = office.restarted()
        await other.insist(newer(asking(), "80"))
        calls = len(office.desk.slack_inbox.calls)
        await office.insist(newer(as_it_stands(other, asking()), "95"))
        assert len(office.desk.slack_inbox.calls) == calls
        (alert,) = office.desk.pagerduty_inbox.alerts.values()
        assert len(alert.events) == 1

    play(story)


def test_where_two_spoke_it_is_said_once_more_and_nothing_is_set_back() -> None:
    async def story(office: Office) -> None:
        await office.insist(asking(reason="First"))
        stale = office.restarted()
        known = as_it_stands(office, asking(reason="Second"))
        await office.insist(asking(reason="Third"))
        # It knew the record of the first message only, and writes after the other one did.
        await stale.insist(known)
        (message,) = office.desk.slack_inbox.messages
        told = office.records.stands[known.metadata.uid].slack
        assert told is not None
        assert told.ts == message.ts
        assert told.digest

    play(story)
