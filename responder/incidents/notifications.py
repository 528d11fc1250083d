"""What people were told of an incident, as it says itself, and how two writers' words become one. Pure.

Written by actions/notify alone, which sends whatever differs from what is to be said.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar

from responder.workloads.ledger import Record


class SlackState(Record):
    """The incident's one Slack message, and the digest of what it says now; "" where that can't be told.

    `gist` is the digest of what a person would take for news in it, `said_at` when it was written last.
    """

    channel: str
    ts: str
    digest: str
    gist: str = ""
    said_at: datetime | None = None


class PagerDutyState(Record):
    """What PagerDuty was last told; the digest is "" where that can't be told."""

    action: Literal["trigger", "resolve"]
    digest: str


class Failing(Record):
    """Messages to one channel have failed ever since `began_at`. Not written at every attempt."""

    began_at: datetime
    attempts: int
    error: str
    retry_at: datetime


class Notifications(Record):
    """What was told, so that only changes are told again, and what could not be told so far."""

    slack: SlackState | None = None
    pagerduty: PagerDutyState | None = None
    # The last attempt of which PagerDuty was sent a change event.
    change_attempt: int = 0
    slack_failing: Failing | None = None
    pagerduty_failing: Failing | None = None


State = TypeVar("State", SlackState, PagerDutyState)


def merge(read: Notifications, told: Notifications, stored: Notifications) -> Notifications:
    """What to write where one writer read `read` and then told `told`, while `stored` is there by now.

    Where both spoke, nobody knows who was heard last: the digest is emptied, so that it is said once more.
    """
    if stored == read:
        return told
    return Notifications(
        slack=_merge_state(read.slack, told.slack, stored.slack),
        pagerduty=_merge_state(read.pagerduty, told.pagerduty, stored.pagerduty),
        change_attempt=max(told.change_attempt, stored.change_attempt),
        slack_failing=told.slack_failing,
        pagerduty_failing=told.pagerduty_failing,
    )


def _merge_state(read: State | None, told: State | None, stored: State | None) -> State | None:
    if told == read:
        return stored
    if stored in (read, told):
        return told
    heard = stored or told
    return None if heard is None else heard.model_copy(update={"digest": ""})
