"""Alerts that no rule file speaks of: told to people, closed when they have ended. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from responder.incidents.advance import closed, noted
from responder.incidents.model import Incident, Status
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import Channel

# After a day somebody has seen the message; the instances stay held until they end.
_LONGEST = timedelta(hours=24)
_MOST_NAMES = 10


def judge_unattributed(incident: Incident, now: datetime) -> Status:
    """Tell on Slack; over once every alert has ended, or after a day."""
    names = sorted({alert.labels.get("alertname", fp) for fp, alert in incident.spec.alerts.items()})
    message = (
        f"No rule file speaks of these alerts ({_listed(names)}): their labels have to name"
        " namespace, workload and responder_rule."
    )
    if overflow := len(incident.spec.overflow):
        message += f" {overflow} more had no room here and are only named, in spec.overflow."
    status = incident.status.model_copy(
        update={"reason": "NoRule", "message": message, "action": "none", "notify": (Channel.SLACK.value,)}
    )
    if incident.firing and now < incident.spec.received_at + _LONGEST:
        return status if incident.status.reason == "NoRule" else noted(status, now, "Tell", message)
    over = status.model_copy(update={"phase": Phase.CLOSED, "outcome": Outcome.TOLD})
    return noted(closed(over, now), now, "Closed", "Every alert has ended, or a day has passed.")


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
