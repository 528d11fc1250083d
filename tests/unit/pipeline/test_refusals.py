"""What is wrong with deliveries is told to each channel once an hour, whoever of two replicas finds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from responder.errors import Temporary
from responder.pipeline.refusals import Refusals
from responder.sandbox.api.faults import FaultRule, Refuse
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import Desk, open_desk

BODY, RECEIVER, STRANGER = "BodyTooLarge", "ReceiverMismatch", "Unauthorized"


def open_refusals(desk: Desk) -> Refusals:
    return Refusals(desk.slack, desk.pagerduty, "alerts", desk.clock)


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


def texts(desk: Desk) -> list[str]:
    return [message.current.text for message in desk.slack_inbox.messages]


def test_once_an_hour_by_two_replicas() -> None:
    async def story(desk: Desk) -> None:
        one, other = open_refusals(desk), open_refusals(desk)
        for each in (one, one, other):
            await each.tell(BODY, "too large", "10.0.0.7")
        assert texts(desk) == ["Alerts from 10.0.0.7 were refused (BodyTooLarge): too large"]
        assert desk.pagerduty_inbox.alerts["responder/refused/BodyTooLarge"].pages == 1
        await desk.clock.sleep(timedelta(hours=1, seconds=1).total_seconds())
        await one.tell(BODY, "too large", "10.0.0.7")
        assert len(texts(desk)) == 2

    play(story)


def test_one_channel_that_fails_is_tried_again_alone_and_not_at_every_delivery() -> None:
    async def story(desk: Desk) -> None:
        refusals = open_refusals(desk)
        desk.pagerduty_inbox.faults.add(FaultRule("POST", "enqueue", Refuse(503), count=1))
        with pytest.raises(Temporary):
            await refusals.tell(BODY, "too large", "10.0.0.7")
        for _ in range(5):
            await refusals.tell(BODY, "too large", "10.0.0.7")
        assert (len(texts(desk)), desk.pagerduty_inbox.alerts) == (1, {})
        await desk.clock.sleep(31)
        await refusals.tell(BODY, "too large", "10.0.0.7")
        assert len(texts(desk)) == 1
        assert len(desk.pagerduty_inbox.alerts) == 1

    play(story)


@pytest.mark.parametrize(
    ("reason", "words", "paged"),
    [(STRANGER, "were refused", False), (RECEIVER, "are not set up right", True)],
)
def test_who_is_told_and_in_which_words(reason: str, words: str, paged: bool) -> None:
    async def story(desk: Desk) -> None:
        await open_refusals(desk).tell(reason, "why", "10.0.0.7")
        assert texts(desk) == [f"Alerts from 10.0.0.7 {words} ({reason}): why"]
        assert bool(desk.pagerduty_inbox.alerts) == paged

    play(story)
