"""Events are sent once, bounded in time, and the routing key shows up nowhere."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from responder.clients.pagerduty import PagerDuty, PagerDutyRefused, PagerDutyUnavailable
from responder.sandbox.api.faults import DropAfter, Effect, FaultRule, Hang, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.term import Term, TermOver
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import Desk, open_desk

PAYLOAD = {"summary": "It burns", "source": "payments", "severity": "critical"}


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


def test_triggers_and_resolves_one_alert() -> None:
    async def story(desk: Desk) -> None:
        await desk.pagerduty.send("trigger", "u1", PAYLOAD)
        await desk.pagerduty.send("trigger", "u1", {**PAYLOAD, "summary": "It still burns"})
        (alert,) = desk.pagerduty_inbox.alerts.values()
        assert (alert.dedup_key, alert.state, alert.pages) == ("u1", AlertState.TRIGGERED, 1)
        assert alert.summary == "It still burns"
        await desk.pagerduty.send("resolve", "u1")
        assert alert.state is AlertState.RESOLVED

    play(story)


def test_a_throttled_event_is_tried_twice_at_most() -> None:
    async def story(desk: Desk) -> None:
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Refuse(429)))
        started = time.perf_counter()
        with pytest.raises(PagerDutyUnavailable, match="too many") as failed:
            await desk.pagerduty.send("trigger", "u1", PAYLOAD)
        assert failed.value.retry_after_seconds == 30
        assert len(desk.pagerduty_inbox.faults.taken) == 2
        assert time.perf_counter() - started < 2

    play(story)


@pytest.mark.parametrize(("effect", "arrives"), [(Refuse(500), 0), (Refuse(503), 0), (DropAfter(), 1)])
def test_a_failed_event_is_not_repeated_in_here(effect: Effect, arrives: int) -> None:
    async def story(desk: Desk) -> None:
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", effect))
        with pytest.raises(PagerDutyUnavailable):
            await desk.pagerduty.send("trigger", "u1", PAYLOAD)
        assert len(desk.pagerduty_inbox.faults.taken) == 1
        assert len(desk.pagerduty_inbox.alerts) == arrives

    play(story)


def test_a_dead_host_fails_at_once() -> None:
    async def main() -> None:
        started = time.perf_counter()
        with pytest.raises(PagerDutyUnavailable, match="could not be reached"):
            await PagerDuty(SecretStr("k" * 32), "http://127.0.0.1:1").send("trigger", "u1", PAYLOAD)
        assert time.perf_counter() - started < 5

    run_story(main())


@pytest.mark.parametrize("key", ["k" * 32, "short"])
def test_a_wrong_key_is_refused_and_stays_secret(key: str) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(PagerDutyRefused, match="check that the routing key") as refused:
            await PagerDuty(SecretStr(key), desk.url).send("trigger", "u1", PAYLOAD)
        assert key not in str(refused.value)
        assert not desk.pagerduty_inbox.alerts

    play(story)


def test_an_event_that_pagerduty_does_not_take_says_why() -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(PagerDutyRefused, match="summary' is longer than 1024"):
            await desk.pagerduty.send("trigger", "u1", {**PAYLOAD, "summary": "x" * 1025})

    play(story)


def test_a_change_is_shown_and_pages_nobody() -> None:
    async def story(desk: Desk) -> None:
        change = {"summary": "Rolled back", "source": "responder", "timestamp": "2026-01-01T12:00:00+00:00"}
        await desk.pagerduty.send_change(change)
        assert desk.pagerduty_inbox.changes == [change]
        assert desk.pagerduty_inbox.alerts == {}
        with pytest.raises(PagerDutyRefused, match="not a known property"):
            await desk.pagerduty.send_change({**change, "severity": "info"})

    play(story)


def test_the_wish_to_wait_is_passed_on() -> None:
    async def story(desk: Desk) -> None:
        fault = FaultRule("POST", "enqueue", Refuse(429, retry_after_seconds=7))
        desk.pagerduty_inbox.faults.add(fault)
        with pytest.raises(PagerDutyUnavailable) as failed:
            await desk.pagerduty.send("trigger", "u1", PAYLOAD)
        assert failed.value.retry_after_seconds == 7

    play(story)


def test_beyond_a_term_nothing_is_sent() -> None:
    async def story(desk: Desk) -> None:
        term = Term(math.inf)
        bound = desk.pagerduty.during(term)
        await bound.send("trigger", "u1", PAYLOAD)
        term.end()
        with pytest.raises(TermOver):
            await bound.send("resolve", "u1")
        with pytest.raises(TermOver):
            await bound.send_change({"summary": "Rolled back"})
        assert [event.action for event in desk.pagerduty_inbox.alerts["u1"].events] == ["trigger"]
        await desk.pagerduty.send("resolve", "u1")

    play(story)


def test_an_event_is_waited_for_no_longer_than_the_term_lasts() -> None:
    """A thread goes on after whoever waits for it was cancelled."""

    async def story(desk: Desk) -> None:
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Hang()))
        bound = desk.pagerduty.during(Term(asyncio.get_running_loop().time() + 0.2))
        started = time.perf_counter()
        with pytest.raises(PagerDutyUnavailable):
            await bound.send("trigger", "u1", PAYLOAD)
        assert time.perf_counter() - started < 3

    play(story)
