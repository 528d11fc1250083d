"""The one Slack message of an incident, rendered anew from its record each time. Pure; used by notify.

The same incident always gives the same message, within Block Kit's limits whatever the record holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from responder.actions.messages import FAILURES, SlackMessage, awaits_answer, headline, late_answers
from responder.actions.messages_blocks import (
    Block,
    button,
    code,
    confirmation,
    context,
    escape,
    header,
    instant,
    section,
)
from responder.incidents.decision import Choice, choices_of, doubts_shown, subject_of
from responder.incidents.evidence import Number, numbers_of, since_of
from responder.incidents.model import AlertEntry, Incident, VerdictEntry
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import Metric, RuleFile, Unit
from responder.rules.quantities import format_duration
from responder.verdicts import Result
from responder.workloads.ledger import RevisionRef

DECIDE_BLOCK = "responder.decide"
ACTION_IDS = {
    Choice.ROLLBACK: "responder.rollback",
    Choice.LEAVE: "responder.leave",
    Choice.DELETE_POD: "responder.delete-pod",
}

# Who decided, where it was a Slack user: interactions.py writes it so.
_SLACK_USER = re.compile(r"slack:([UW][A-Z0-9]+)")
_STEPS = (
    ("began", "onset_at"),
    ("alert", "alerted_at"),
    ("received", "received_at"),
    ("decided", "decided_at"),
    ("patched", "patched_at"),
    ("traffic proven", "traffic_proven_at"),
    ("recovered", "recovered_at"),
    ("closed", "closed_at"),
)


def render_slack(incident: Incident, file: RuleFile | None, page_trouble: str | None = None) -> SlackMessage:
    """The message about an incident as it stands.

    `page_trouble` says why somebody who should have been paged was not.
    """
    top = headline(incident)
    blocks = [header(_mark(incident) + top), *_sections(incident, file, page_trouble)]
    if awaits_answer(incident):
        blocks.append(_buttons(incident))
    blocks.append(context(_details(incident)))
    reason = incident.status.message or incident.status.reason
    # The text becomes a phone's notification; blocks are what Slack shows.
    return SlackMessage(f"{escape(top)}: {escape(reason)}", tuple(blocks))


def _mark(incident: Incident) -> str:
    status = incident.status
    if status.outcome in FAILURES:
        return ":rotating_light: "
    if incident.recovered:
        return ":white_check_mark: "
    return ":warning: " if awaits_answer(incident) or status.outcome is Outcome.EXPIRED else ""


def _sections(incident: Incident, file: RuleFile | None, page_trouble: str | None) -> Iterator[Block]:
    status = incident.status
    titled = (
        ("What happened" if status.outcome else "Now", list(_reason_lines(incident))),
        ("Alerts", list(_alert_lines(incident))),
        ("Measured", list(_measured_lines(incident, file))),
        ("Revisions", list(_revision_lines(incident))),
        ("Checks that did not pass", list(_verdict_lines(incident.status.verdicts))),
        ("Did not pass when it was decided", list(_verdict_lines(incident.status.guards))),
        ("Decision", list(_ask_lines(incident))),
        ("Too late", [f"• {escape(line)}" for line in late_answers(incident)[-5:]]),
        ("Page", list(_page_lines(incident, page_trouble))),
        ("Steps", list(_step_lines(incident))),
    )
    return (section(title, lines) for title, lines in titled if lines)


def _reason_lines(incident: Incident) -> Iterator[str]:
    status = incident.status
    yield f"{code(status.reason)} {escape(status.message)}".rstrip()
    if status.rollback is not None:
        how = "automatically" if status.rollback.automatic else f"decided by {_person(status.rollback.by)}"
        yield f"Attempt {status.rollback.attempt}, {how}: {status.rollback.state.lower()}"
    if status.followed_by is not None:
        yield f"Goes on as {code(status.followed_by)}"


def _person(by: str) -> str:
    user = _SLACK_USER.match(by)
    return f"<@{user[1]}>" if user else escape(by, 100)


def _alert_lines(incident: Incident) -> Iterator[str]:
    def by_age(alert: AlertEntry) -> tuple[bool, datetime, str]:
        return (not alert.firing, alert.starts_at, alert.labels.get("alertname", ""))

    if incident.status.rule:
        yield f"Rule {code(incident.status.rule)}"
    for alert in sorted(incident.spec.alerts.values(), key=by_age):
        name = alert.labels.get("alertname") or "an alert without a name"
        said = alert.annotations.get("summary") or alert.annotations.get("description") or ""
        ended_at = alert.vanished_at or alert.ends_at
        if ended_at is None or alert.firing:
            when = f"fires since {instant(alert.starts_at)}"
        else:
            when = f"fired from {instant(alert.starts_at)} to {instant(ended_at)}"
        yield f"• {code(name)} {when}{': ' if said else ''}{escape(said, 300)}"


def _measured_lines(incident: Incident, file: RuleFile | None) -> Iterator[str]:
    """The numbers against the thresholds, since when that is so, and what was asked: now, and in doubt."""
    metrics = {} if file is None else file.metrics
    for verdict in incident.status.verdicts:
        if verdict.check != "StillTrue" and verdict.result is Result.PASSED:
            continue
        title = "" if verdict.check == "StillTrue" else f"{code(verdict.check)} "
        since = since_of(verdict)
        for number in numbers_of(verdict):
            # A dependency's stands under "<its name>/<metric>".
            metric = metrics.get(number.metric.rpartition("/")[2])
            if metric is not None:
                when = "" if since is None else f", since {instant(since)}"
                yield title + _measured_line(number, metric) + when
                if number.query is not None:
                    yield code(number.query, 500)


def _measured_line(number: Number, metric: Metric) -> str:
    limit = _number(number.threshold, metric.unit)
    value = "unknown" if number.value is None else _number(number.value, metric.unit)
    line = f"{code(number.metric)} {value}, threshold {limit}"
    over = number.range or format_duration(metric.range)
    return line + (f" ({escape(number.samples, 20)} samples in {escape(over, 20)})" if number.samples else "")


def _number(text: str, unit: Unit) -> str:
    try:
        value = float(text)
    except ValueError:
        return escape(text, 30)
    if unit is Unit.RATIO:
        return f"{value * 100:.4g}%"
    return f"{value:.4g} s" if unit is Unit.SECONDS else f"{value:.6g}"


def _revision_lines(incident: Incident) -> Iterator[str]:
    source = incident.status.rollback or incident.status
    if source.bad is not None:
        yield f"From {_revision(source.bad)}"
    if source.target is not None:
        yield f"To {_revision(source.target)}"


def _revision(ref: RevisionRef) -> str:
    number = f"revision {ref.revision}" if ref.revision is not None else "an unnumbered revision"
    images = ", ".join(code(image) for image in ref.images[:3])
    more = f" and {len(ref.images) - 3} more" if len(ref.images) > 3 else ""
    cause = f" ({escape(ref.change_cause, 200)})" if ref.change_cause else ""
    return f"{number} {code(ref.replica_set)} {images}{more}{cause}"


def _verdict_lines(verdicts: Iterable[VerdictEntry]) -> Iterator[str]:
    words = {Result.FAILED: "failed", Result.UNKNOWN: "can't tell"}
    for verdict in verdicts:
        if verdict.result is not Result.PASSED:
            yield f"• {code(verdict.check)} {words[verdict.result]}: {escape(verdict.message)}"


def _details(incident: Incident) -> Iterator[str]:
    """Small print: the rest of the checklist, and where all of it stands with its numbers."""
    status = incident.status
    titled = (
        ("Checks that passed when it was decided", status.guards),
        ("Checks that passed", status.verdicts),
    )
    for title, verdicts in titled:
        passed = [code(verdict.check) for verdict in verdicts if verdict.result is Result.PASSED]
        if passed:
            yield f"{title}: {', '.join(passed)}"
    namespace, name = incident.key.namespace, incident.name
    yield f"`responder explain {namespace}/{name}` or `kubectl -n {namespace} get incident {name} -o yaml`"


def _ask_lines(incident: Incident) -> Iterator[str]:
    ask = incident.status.ask
    if ask is not None and awaits_answer(incident):
        yield f"{code(ask.reason)} Decide until {instant(ask.expires_at)}."
    elif incident.phase is Phase.AWAITING_DECISION and incident.status.outcome is None:
        yield "A rollback is not possible as things stand: see the checks above."


def _page_lines(incident: Incident, page_trouble: str | None) -> Iterator[str]:
    if incident.status.page is not None:
        yield f"{code(incident.status.page.reason)} {escape(incident.status.page.message)}"
    if page_trouble is not None:
        yield f"*Nobody was paged:* {escape(page_trouble)}"


def _step_lines(incident: Incident) -> Iterator[str]:
    for name, field in _STEPS:
        at: datetime | None = getattr(incident.status.times, field)
        if at is not None:
            yield f"{name}: {instant(at)}"


def _buttons(incident: Incident) -> Block:
    leave = button("Leave it", ACTION_IDS[Choice.LEAVE], _value(incident, Choice.LEAVE))
    asked = incident.status.ask is not None and Choice.DELETE_POD in choices_of(incident.status.ask)
    act = _delete_button(incident) if asked else _rollback_button(incident)
    return {"type": "actions", "block_id": DECIDE_BLOCK, "elements": [act, leave]}


def _delete_button(incident: Incident) -> Block:
    question = f"Delete the pod that holds up the rollback of {incident.key}? Its claims stay."
    dialog = confirmation("Delete the pod?", question, "Delete", "Cancel")
    value = _value(incident, Choice.DELETE_POD)
    return button("Delete the pod", ACTION_IDS[Choice.DELETE_POD], value, confirm=dialog)


def _rollback_button(incident: Incident) -> Block:
    target = incident.status.target
    name = "the previous revision" if target is None else ", ".join([target.replica_set, *target.images])
    question = f"Roll {incident.key} back to {name}?"
    dialog = confirmation("Roll back?", question, "Roll back", "Cancel")
    return button("Roll back", ACTION_IDS[Choice.ROLLBACK], _value(incident, Choice.ROLLBACK), confirm=dialog)


def _value(incident: Incident, choice: Choice) -> str:
    """What a click brings back: which question it answers, what was read beside it, and how."""
    ask = incident.status.ask
    assert ask is not None  # buttons are shown only while something is asked
    said = {
        "namespace": incident.metadata.namespace,
        "incident": incident.name,
        "uid": incident.metadata.uid,
        "digest": ask.digest,
        "subject": subject_of(incident),
        "shown": doubts_shown(ask),
        "choice": choice.value,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))
