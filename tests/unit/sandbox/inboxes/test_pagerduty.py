"""The PagerDuty inbox refuses what PagerDuty refuses and knows how often somebody was woken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.inboxes.pagerduty import AlertState, check_event
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import Desk, open_desk

KEY = "5a4dbc0ffee05a4dbc0ffee05a4dbc0f"
PAYLOAD = {"summary": "It burns", "source": "payments", "severity": "critical"}


def event(action: str = "trigger", **changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"routing_key": KEY, "event_action": action, "dedup_key": "k", "payload": PAYLOAD}
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


async def post(desk: Desk, body: Any) -> tuple[int, dict[str, Any]]:
    as_text = {"data": body} if isinstance(body, str) else {"json": body}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{desk.url}/v2/enqueue", **as_text) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ([], "not an object"),
        (event(routing_key="short"), "should be 32 characters"),
        (event(routing_key="x" * 32), "'routing_key' is invalid"),
        (event(routing_key=None), "should be 32 characters"),
        (event("shout"), "event_action"),
        (event("resolve", dedup_key=None), "'dedup_key' is missing"),
        (event(dedup_key="k" * 256), "1 to 255 characters"),
        (event(dedup_key=""), "1 to 255 characters"),
        (event(payload=None), "'payload' is missing"),
        (event(payload={**PAYLOAD, "summary": " "}), "payload.summary' is missing"),
        (event(payload={**PAYLOAD, "summary": "x" * 1025}), "longer than 1024"),
        (event(payload={"summary": "x", "severity": "info"}), "payload.source' is missing"),
        (event(payload={**PAYLOAD, "severity": "loud"}), "payload.severity' is not one of"),
        (event(payload={**PAYLOAD, "custom_details": "x"}), "custom_details' is not an object"),
        (event(payload={**PAYLOAD, "colour": "red"}), "payload.colour' is not a known property"),
        (event(colour="red"), "'colour' is not a known property"),
    ],
)
def test_events_that_are_refused(bad: object, problem: str) -> None:
    assert problem in " ".join(check_event(bad, KEY))


def test_a_refusal_comes_with_400_and_its_reasons() -> None:
    async def story(desk: Desk) -> None:
        status, answer = await post(desk, event(payload=None))
        assert (status, answer["status"]) == (400, "invalid event")
        assert answer["errors"] == ["'payload' is missing or not an object"]
        assert (await post(desk, "{"))[0] == 400
        assert (await post(desk, event(payload={**PAYLOAD, "component": "x" * 600_000})))[0] == 413
        assert desk.pagerduty_inbox.alerts == {}

    play(story)


def test_an_alert_is_triggered_told_again_resolved_and_opened_anew() -> None:
    async def story(desk: Desk) -> None:
        answer = {"status": "success", "message": "Event processed", "dedup_key": "k"}
        assert await post(desk, event()) == (202, answer)
        alert = desk.pagerduty_inbox.alerts["k"]
        for action, state, pages in (
            ("trigger", AlertState.TRIGGERED, 1),
            ("acknowledge", AlertState.ACKNOWLEDGED, 1),
            ("trigger", AlertState.ACKNOWLEDGED, 1),
            ("resolve", AlertState.RESOLVED, 1),
            ("trigger", AlertState.TRIGGERED, 2),
        ):
            assert (await post(desk, event(action)))[0] == 202
            assert (alert.state, alert.pages) == (state, pages)
        assert [each.action for each in alert.events] == [
            "trigger", "trigger", "acknowledge", "trigger", "resolve", "trigger",
        ]  # fmt: skip

    play(story)


def test_a_resolve_of_nothing_is_taken_and_changes_nothing() -> None:
    async def story(desk: Desk) -> None:
        assert (await post(desk, event("resolve", payload=None)))[0] == 202
        assert desk.pagerduty_inbox.alerts == {}
        assert [key for key, _ in desk.pagerduty_inbox.ignored] == ["k"]

    play(story)


def test_a_trigger_without_a_key_gets_one() -> None:
    async def story(desk: Desk) -> None:
        status, answer = await post(desk, event(dedup_key=None))
        assert status == 202
        assert answer["dedup_key"] in desk.pagerduty_inbox.alerts

    play(story)


def test_throttling() -> None:
    async def story(desk: Desk) -> None:
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Refuse(429), count=1))
        assert (await post(desk, event()))[0] == 429
        assert (await post(desk, event()))[0] == 202

    play(story)


def test_more_than_120_events_a_minute_are_limited_when_switched_on() -> None:
    async def story(desk: Desk) -> None:
        desk.pagerduty_inbox.limits_rate = True
        codes = [(await post(desk, event()))[0] for _ in range(121)]
        assert codes == [202] * 120 + [429]
        assert len(desk.pagerduty_inbox.alerts["k"].events) == 120
        await desk.clock.sleep(60)
        assert (await post(desk, event()))[0] == 202

    play(story)


def test_a_refusal_after_the_effect_took_the_event_all_the_same() -> None:
    async def story(desk: Desk) -> None:
        rule = FaultRule("POST", "enqueue", Refuse(500, after_effect=True), count=1)
        desk.pagerduty_inbox.faults.add(rule)
        assert (await post(desk, event()))[0] == 500
        assert desk.pagerduty_inbox.alerts["k"].pages == 1

    play(story)


def test_a_fault_may_have_its_time() -> None:
    async def story(desk: Desk) -> None:
        until = desk.clock.now() + timedelta(seconds=30)
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Refuse(503), ends_at=until))
        assert (await post(desk, event()))[0] == 503
        await desk.clock.sleep(30)
        assert (await post(desk, event()))[0] == 202

    play(story)
