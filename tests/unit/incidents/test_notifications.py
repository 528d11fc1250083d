"""Two writers of what was told become one record: nothing is set back, and what is unsure is said again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.incidents.notifications import Failing, Notifications, PagerDutyState, SlackState, merge

AT = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Notifications()
FAILING = Failing(began_at=AT, attempts=1, error="gone", retry_at=AT)


def slack(digest: str, ts: str = "1.0") -> SlackState:
    return SlackState(channel="C1", ts=ts, digest=digest)


def paged(action: str, digest: str = "d") -> PagerDutyState:
    return PagerDutyState.model_validate({"action": action, "digest": digest})


A, B, C = (Notifications(slack=slack(digest)) for digest in "abc")
TRIGGERED, RESOLVED = Notifications(pagerduty=paged("trigger")), Notifications(pagerduty=paged("resolve"))


@pytest.mark.parametrize(
    ("read", "told", "stored", "merged"),
    [
        (A, B, A, B),
        # Only the other one spoke.
        (A, A, B, B),
        (NOTHING, NOTHING, A, A),
        (NOTHING, TRIGGERED, A, Notifications(slack=A.slack, pagerduty=TRIGGERED.pagerduty)),
        # Both said the same.
        (A, B, B, B),
        # Both spoke: nobody knows whose message stands in Slack.
        (A, B, C, Notifications(slack=slack(""))),
        (NOTHING, A, Notifications(slack=slack("b", "2.0")), Notifications(slack=slack("", "2.0"))),
        # A trigger of old knowledge doesn't make a resolve undone; what is right is sent once more.
        (NOTHING, TRIGGERED, RESOLVED, Notifications(pagerduty=paged("resolve", ""))),
        (TRIGGERED, RESOLVED, TRIGGERED, RESOLVED),
        (
            Notifications(change_attempt=1),
            Notifications(change_attempt=1, slack_failing=FAILING),
            Notifications(change_attempt=2),
            Notifications(change_attempt=2, slack_failing=FAILING),
        ),
    ],
)
def test_merge(
    read: Notifications, told: Notifications, stored: Notifications, merged: Notifications
) -> None:
    assert merge(read, told, stored) == merged
