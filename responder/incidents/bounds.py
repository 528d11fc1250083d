"""How large the parts of our objects may be, so that none comes near etcd's limit of 1.5 MiB. Pure.

The store puts everything it writes through here; what is left out is counted in the object. The schemas of
the custom resources hold similar bounds, for whoever writes without us.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from responder.incidents.model import AlertEntry, Incident, Status, VerdictEntry
from responder.workloads.key import KIND_BY_LABEL

# What one alert's labels and annotations take as JSON; sane ones take a tenth of it.
MAX_ALERT_BYTES = 6 * 1024
MAX_ENTRIES = 256
MAX_VALUE = 1024
MAX_URL = 1024
MAX_MESSAGE = 2048
MAX_LINE = 512
MAX_VERDICTS = 32
MAX_EVIDENCE = 24
MAX_EVIDENCE_VALUE = 160
# As much as a query may take, where the verdict's other values leave it room.
MAX_EVIDENCE_TEXT = 800

# What rules are mostly matched by goes in first, whatever else an alert carries.
_FIRST = ("responder_rule", "namespace", *KIND_BY_LABEL, "alertname", "severity")
# The server writes these as \\u003c and the like. Source: Go encoding/json, HTMLEscape.
_ESCAPED = "<>&"
# What JSON has around a single text and its name.
_AROUND_BYTES = len('{"": ""}')


def cut(text: str, most: int) -> str:
    """The text, or so much of it as fits into `most` characters, with a mark that more was there."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def fit_alert(entry: AlertEntry) -> AlertEntry:
    """The alert within its bounds: labels before annotations, what rules are matched by first."""
    if _fits_however_escaped(entry):
        return entry
    room = MAX_ALERT_BYTES
    labels, room, cut_labels = _fit(sorted(entry.labels.items(), key=_order), room)
    annotations, _, cut_annotations = _fit(entry.annotations.items(), room)
    return entry.model_copy(
        update={
            "labels": _as_before(entry.labels, labels),
            "annotations": annotations,
            "generator_url": entry.generator_url[:MAX_URL],
            "dropped": entry.dropped + cut_labels + cut_annotations,
        }
    )


def fit_status(incident: Incident, status: Status) -> Status:
    """The status within its bounds, and how much of the incident was left out so far."""
    alerts = incident.spec.alerts.values()
    verdicts, guards = _fit_verdicts(status.verdicts), _fit_verdicts(status.guards)
    page = status.page
    return status.model_copy(
        update={
            "message": cut(status.message, MAX_MESSAGE),
            "verdicts": verdicts,
            "guards": guards,
            "page": page and page.model_copy(update={"message": cut(page.message, MAX_MESSAGE)}),
            "conditions": tuple(
                each.model_copy(update={"message": cut(each.message, MAX_MESSAGE)})
                for each in status.conditions
            ),
            "timeline": tuple(
                line.model_copy(update={"message": cut(line.message, MAX_LINE)}) for line in status.timeline
            ),
            "dropped": status.dropped.model_copy(
                update={
                    "verdicts": _verdicts_dropped(incident, status, len(status.verdicts) - len(verdicts)),
                    "alerts": len(incident.spec.overflow),
                    "labels": sum(alert.dropped for alert in alerts),
                }
            ),
        }
    )


def json_size(value: object) -> int:
    """At most so many bytes the value takes as JSON, however the server escapes it."""
    text = json.dumps(value)
    return len(text) + 5 * sum(text.count(each) for each in _ESCAPED)


def _verdicts_dropped(incident: Incident, status: Status, beyond: int) -> int:
    """Of the verdicts as they stand; those fitted before have their count already, as the guards have."""
    before = status.dropped.verdicts
    if status.verdicts == incident.status.verdicts:
        return before
    return before + beyond if status.guards else beyond


def _fit_verdicts(verdicts: tuple[VerdictEntry, ...]) -> tuple[VerdictEntry, ...]:
    """So many verdicts, in their order; those that passed give way."""
    ranked = sorted(range(len(verdicts)), key=lambda n: (verdicts[n].result == "Passed", n))
    return tuple(_fit_verdict(verdicts[n]) for n in sorted(ranked[:MAX_VERDICTS]))


def _fit_verdict(verdict: VerdictEntry) -> VerdictEntry:
    if len(verdict.message) <= MAX_LINE and _are_short(verdict.evidence):
        return verdict  # as most are: a copy of each costs as much as all else that is done to a status
    evidence = dict(list(verdict.evidence.items())[:MAX_EVIDENCE])
    return replace(verdict, message=cut(verdict.message, MAX_LINE), evidence=_fit_evidence(evidence))


def _are_short(evidence: Mapping[str, str]) -> bool:
    return len(evidence) <= MAX_EVIDENCE and all(
        len(value) <= MAX_EVIDENCE_VALUE for value in evidence.values()
    )


def _fit_evidence(evidence: dict[str, str]) -> dict[str, str]:
    """Each value to its bound, and what short ones leave of it to the long ones, in their order."""
    sizes = {key: min(len(value), MAX_EVIDENCE_VALUE) for key, value in evidence.items()}
    room = MAX_EVIDENCE * MAX_EVIDENCE_VALUE - sum(sizes.values())
    for key, value in evidence.items():
        more = min(min(len(value), MAX_EVIDENCE_TEXT) - sizes[key], room)
        sizes[key] += more
        room -= more
    return {key: cut(value, sizes[key]) for key, value in evidence.items()}


def _fits_however_escaped(entry: AlertEntry) -> bool:
    """Whether it is so small that nothing of it has to be measured as JSON, as most alerts are."""
    texts = [*entry.labels.items(), *entry.annotations.items()]
    text = "".join(key + value for key, value in texts)
    # A character may be written as \u003c; one beyond the first 65,536 as two of these.
    most = (6 if text.isascii() else 12) * len(text) + _AROUND_BYTES * len(texts)
    return most <= MAX_ALERT_BYTES and len(texts) <= MAX_ENTRIES and len(entry.generator_url) <= MAX_URL


def _fit(texts: Iterable[tuple[str, str]], room: int) -> tuple[dict[str, str], int, int]:
    """What fits into so many bytes, how many are left, and how many texts were left out or shortened."""
    kept: dict[str, str] = {}
    dropped = 0
    for key, value in texts:
        short = value[:MAX_VALUE]
        size = json_size({key: short})
        if size > room or len(kept) >= MAX_ENTRIES:
            dropped += 1
            continue
        dropped += short != value
        kept[key] = short
        room -= size
    return kept, room, dropped


def _order(label: tuple[str, str]) -> int:
    return _FIRST.index(label[0]) if label[0] in _FIRST else len(_FIRST)


def _as_before(texts: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    return {key: kept[key] for key in texts if key in kept}
