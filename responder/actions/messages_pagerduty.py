"""What PagerDuty is told of an incident, rendered from its record. Pure; used by notify.

Source: https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from collections.abc import Mapping

from responder.actions.messages import FAILURES, PagerDutyEvent, headline
from responder.actions.messages_blocks import cut
from responder.incidents.model import Incident
from responder.rules.model import RuleFile
from responder.verdicts import Result

_SUMMARY_CHARACTERS = 1024
_DETAIL_CHARACTERS = 1000
_MAX_DETAILS = 30

# PagerDuty knows these four; an alert without one of them is taken to be the worst.
_SEVERITIES = ("critical", "error", "warning", "info")
_SYNONYMS = {"page": "critical", "high": "error", "medium": "warning", "low": "info", "none": "info"}


def render_pagerduty(incident: Incident, file: RuleFile | None) -> PagerDutyEvent | None:
    """What PagerDuty should know now, or None where it is not concerned.

    A trigger while somebody is to look; a resolve once the metric was seen back, also where no page is known
    to have arrived: PagerDuty may have taken one whose answer was lost, and ignores a resolve without one.
    """
    if not incident.recovered:
        return _trigger(incident, file) if wants_page(incident) else None
    paged = incident.status.page is not None or incident.status.notifications.pagerduty is not None
    return PagerDutyEvent("resolve", incident.metadata.uid) if paged else None


def wants_page(incident: Incident) -> bool:
    """Whether somebody is to be paged: by the rule's wish, or because what it wants was not done."""
    return incident.status.page is not None and not incident.recovered


def _trigger(incident: Incident, file: RuleFile | None) -> PagerDutyEvent:
    status = incident.status
    said = status.page.message if status.page is not None else status.message
    payload = {
        "summary": cut(f"{headline(incident)} - {said}", _SUMMARY_CHARACTERS),
        "source": str(incident.key),
        "severity": _severity(incident),
        "component": incident.key.name,
        "group": incident.key.namespace,
        "class": cut(status.page.reason if status.page is not None else status.reason, 200),
    }
    return PagerDutyEvent("trigger", incident.metadata.uid, payload, _details(incident, file))


def _severity(incident: Incident) -> str:
    if incident.status.outcome in FAILURES:
        return "critical"
    said = [alert.labels.get("severity", "critical").lower() for alert in incident.spec.alerts.values()]
    known = [_SYNONYMS.get(word, word if word in _SEVERITIES else "critical") for word in said]
    return min(known, key=_SEVERITIES.index, default="critical")


def _details(incident: Incident, file: RuleFile | None) -> Mapping[str, str]:
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
