"""What PagerDuty is told of an incident, rendered from its record. Pure; used by notify.

Source: https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from responder.actions.messages import FAILURES, PagerDutyEvent, headline
from responder.actions.messages_blocks import cut
from responder.incidents.decision import choices_of, decision_name
from responder.incidents.model import API_VERSION, Incident, RollbackState
from responder.rules.model import RuleFile
from responder.verdicts import Result

_SUMMARY_CHARACTERS = 1024
_DETAIL_CHARACTERS = 1000
_MAX_DETAILS = 30

# PagerDuty knows these four; an alert without one of them is taken to be the worst.
_SEVERITIES = ("critical", "error", "warning", "info")
_SYNONYMS = {"page": "critical", "high": "error", "medium": "warning", "low": "info", "none": "info"}


def render_pagerduty(
    incident: Incident, file: RuleFile | None, slack_trouble: str | None = None
) -> PagerDutyEvent | None:
    """What PagerDuty should know now, or None where it is not concerned.

    A trigger while somebody is to look, or can't be asked on Slack (`slack_trouble` says why); a resolve once
    the metric was seen back, also where no page is known to have arrived: PagerDuty may have taken one whose
    answer was lost, and ignores a resolve without one.
    """
    if not incident.recovered:
        due = wants_page(incident) or slack_trouble is not None
        return _trigger(incident, file, slack_trouble) if due else None
    paged = incident.status.page is not None or incident.status.notifications.pagerduty is not None
    return PagerDutyEvent("resolve", incident.metadata.uid) if paged else None


def render_change(incident: Incident) -> Mapping[str, Any] | None:
    """The payload of the change event that shows a rollback among the recent changes; None without one.

    Source: https://developer.pagerduty.com/docs/send-change-event
    """
    rollback = incident.status.rollback
    if rollback is None or rollback.state is not RollbackState.APPLIED or rollback.applied_at is None:
        return None
    told = {"incident": f"{incident.metadata.namespace}/{incident.name}", "by": rollback.by}
    revisions = {"from": rollback.bad.replica_set, "to": rollback.target.replica_set}
    text = f"Rolled back {incident.key} from {revisions['from']} to {revisions['to']}"
    return {
        "summary": cut(text, _SUMMARY_CHARACTERS),
        "source": "responder",
        "timestamp": rollback.applied_at.isoformat(),
        "custom_details": {**told, **revisions},
    }


def wants_page(incident: Incident) -> bool:
    """Whether somebody is to be paged: by the rule's wish, or because what it wants was not done."""
    return incident.status.page is not None and not incident.recovered


def _trigger(incident: Incident, file: RuleFile | None, slack_trouble: str | None) -> PagerDutyEvent:
    status = incident.status
    said = status.page.message if status.page is not None else status.message
    how = "" if slack_trouble is None else " Slack can't be reached: answer with kubectl, see the details."
    payload = {
        "summary": cut(f"{headline(incident)} -{how} {said}", _SUMMARY_CHARACTERS),
        "source": str(incident.key),
        "severity": _severity(incident),
        "component": incident.key.name,
        "group": incident.key.namespace,
        "class": cut(status.page.reason if status.page is not None else status.reason, 200),
    }
    details = _details(incident, file)
    if slack_trouble is not None:
        details |= {"slack trouble": cut(slack_trouble, _DETAIL_CHARACTERS), **_commands(incident)}
    return PagerDutyEvent("trigger", incident.metadata.uid, payload, details)


def _commands(incident: Incident) -> dict[str, str]:
    """How to answer without Slack: one line for a shell for each choice. Never cut, so never half."""
    ask = incident.status.ask
    if ask is None:
        return {}
    place = f"namespace: {incident.metadata.namespace}, name: {decision_name(incident.name, ask.digest)}"
    said = f"incident: {incident.name}, incidentUid: '{incident.metadata.uid}', digest: '{ask.digest}'"
    return {
        f"kubectl: {choice.value}": (
            f'echo "{{apiVersion: {API_VERSION}, kind: Decision, metadata: {{{place}}}, spec: {{{said},'
            f" choice: {choice.value}, by: '$USER', at: '$(date -u +%FT%TZ)'}}}}\" | kubectl create -f -"
        )
        for choice in choices_of(ask)
    }


def _severity(incident: Incident) -> str:
    if incident.status.outcome in FAILURES:
        return "critical"
    said = [alert.labels.get("severity", "critical").lower() for alert in incident.spec.alerts.values()]
    known = [_SYNONYMS.get(word, word if word in _SEVERITIES else "critical") for word in said]
    return min(known, key=_SEVERITIES.index, default="critical")


def _details(incident: Incident, file: RuleFile | None) -> dict[str, str]:
    """What helps the one who was woken, bounded in number and length."""
    status = incident.status
    rollback = status.rollback or status
    details = {"incident": f"{incident.metadata.namespace}/{incident.name}", "reason": status.reason}
    if status.rule is not None:
        details["rule"] = status.rule
    for name, revision in (("from", rollback.bad), ("to", rollback.target)):
        if revision is not None:
            details[name] = f"{revision.replica_set} {', '.join(revision.images)}"
    for alert in sorted(incident.firing.values(), key=lambda each: each.starts_at)[:5]:
        name = alert.labels.get("alertname") or "alert"
        details[f"alert {name}"] = alert.annotations.get("description") or alert.generator_url or "fires"
    for verdict in status.verdicts:
        if verdict.result is not Result.PASSED:
            details[verdict.check] = f"{verdict.result.lower()}: {verdict.message}"
    if file is not None and file.slack_channel is not None:
        details["slack"] = file.slack_channel
    bounded = list(details.items())[:_MAX_DETAILS]
    return {cut(name, 100): cut(value, _DETAIL_CHARACTERS) for name, value in bounded}
