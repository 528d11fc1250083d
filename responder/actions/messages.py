"""What people are told, as data: the two kinds of message, their digest, and the words both share. Pure.

Rendered by messages_slack and messages_pagerduty, compared and sent by notify.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from responder.incidents.advance import ANSWER_TOO_LATE
from responder.incidents.decision import Choice, choices_of
from responder.incidents.model import Incident
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import Action
from responder.workloads.owners import REVERTED

# The outcomes after which somebody has to look at once, whatever the rule says of paging.
FAILURES = frozenset(
    {
        Outcome.ROLLBACK_FAILED,
        Outcome.TRAFFIC_NOT_PROVEN,
        Outcome.NOT_RECOVERED,
        Outcome.RECOVERY_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """One Slack message: Block Kit blocks, and the text for notifications and screen readers."""

    text: str
    blocks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PagerDutyEvent:
    """One event about the alert that an incident is to PagerDuty.

    `custom_details` hold numbers that change at every look; they alone are no reason to send again.
    """

    action: Literal["trigger", "resolve"]
    dedup_key: str
    payload: Mapping[str, Any] | None = None
    custom_details: Mapping[str, str] = field(default_factory=dict)


def digest(message: SlackMessage | PagerDutyEvent) -> str:
    """A short name for what a message says: the same words, the same digest."""
    match message:
        case SlackMessage():
            said: object = [message.text, message.blocks]
        case PagerDutyEvent():
            said = [message.action, message.dedup_key, message.payload]
        case _:
            assert_never(message)
    return hash_text(json.dumps(said, sort_keys=True, separators=(",", ":")))


def hash_text(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def gist(incident: Incident, page_trouble: str | None) -> str:
    """A short name for what a person would take for news in the Slack message: not the numbers in it."""
    status = incident.status
    verdicts = sorted((each.check, each.result, each.reason) for each in status.verdicts)
    attempt = status.rollback and (status.rollback.attempt, status.rollback.state, status.rollback.by)
    news = [
        *(status.phase, status.outcome, status.reason, status.rule, status.followed_by, verdicts, attempt),
        status.ask and (status.ask.digest, status.ask.expires_at.isoformat()),
        status.page and status.page.reason,
        sorted((fingerprint, alert.firing) for fingerprint, alert in incident.spec.alerts.items()),
        [name for name, at in status.times if at is not None],
        len(late_answers(incident)),
        page_trouble is not None,
    ]
    return hash_text(json.dumps(news, separators=(",", ":")))


def late_answers(incident: Incident) -> list[str]:
    """The answers that people gave and that came too late, as the timeline has them."""
    return [line.message for line in incident.status.timeline if line.event == ANSWER_TOO_LATE]


def awaits_answer(incident: Incident) -> bool:
    """True while people can still decide: something was asked and nothing was begun or ended since."""
    status = incident.status
    if status.ask is None or status.outcome is not None:
        return False
    # Whether to delete a stuck pod is asked while the undo is being proven.
    about_a_pod = status.phase is Phase.VERIFYING and Choice.DELETE_POD in choices_of(status.ask)
    return about_a_pod or status.phase.undecided


def headline(incident: Incident) -> str:
    """The state of the incident in one line."""
    name = f"{incident.key.namespace}/{incident.key.name}"
    if incident.status.reason in REVERTED:
        return f"The rollback of {name} was reverted: it runs the bad revision again"
    if incident.status.outcome is not None:
        return _describe_outcome(incident.status.outcome, name)
    match incident.status.phase:
        case Phase.AWAITING_DECISION if awaits_answer(incident):
            return f"Decision needed: roll back {name}?"
        case Phase.AWAITING_DECISION:
            return f"Somebody has to look at {name}: it can't be rolled back now"
        case Phase.OPEN if awaits_answer(incident) and incident.status.action == Action.ROLLBACK:
            return f"Alert on {name}: not sure enough to roll it back alone"
        case Phase.OPEN if awaits_answer(incident):
            return f"Alert on {name}: nothing is done unless somebody decides"
        case Phase.OPEN | Phase.CLOSED:
            return f"Alert on {name}"
        case Phase.ROLLING_BACK:
            return f"Rolling back {name}"
        case Phase.VERIFYING if awaits_answer(incident):
            return f"Decision needed: delete the pod that holds up the rollback of {name}?"
        case Phase.VERIFYING:
            return f"Rolled back {name}: waiting for the proof"
        case Phase.SETTLING:
            return f"Rolled back {name}: settling"
        case _:
            assert_never(incident.status.phase)


def _describe_outcome(outcome: Outcome, name: str) -> str:
    match outcome:
        case Outcome.ROLLED_BACK:
            return f"Rolled back {name}: traffic and recovery are proven"
        case Outcome.RECOVERY_UNKNOWN:
            return f"Rolled back {name}, but recovery can't be measured"
        case Outcome.NOT_RECOVERED:
            return f"Rolled back {name}, but it has not recovered"
        case Outcome.TRAFFIC_NOT_PROVEN:
            return f"Rolled back {name}, but its traffic is not proven"
        case Outcome.ROLLBACK_FAILED:
            return f"Rollback of {name} failed"
        case Outcome.DECLINED:
            return f"Left as it is: {name}"
        case Outcome.EXPIRED:
            return f"Nobody decided in time about {name}"
        case Outcome.TOLD:
            return f"Over: the alert on {name}"
        case Outcome.RECOVERED:
            return f"Recovered without a rollback: {name}"
        case Outcome.SUPERSEDED:
            return f"Overtaken by another change: {name}"
        case _:
            assert_never(outcome)
