"""A checklist of verdicts with everything they rest on, as lines for people and as JSON: for explain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from responder.cli.output import instant, say, style_of
from responder.incidents.evidence import Number, numbers_of, rest_of, since_of
from responder.incidents.model import VerdictEntry, record_verdict
from responder.rules.decide import Judgement
from responder.workloads.ledger import RevisionRef, parse_revision
from responder.workloads.revision import Revision

_INDENT = " " * 9


def print_checklist(verdicts: Iterable[VerdictEntry]) -> None:
    """Each check with its result and sentence, and under it the numbers, since when, and the queries."""
    for verdict in verdicts:
        first = f"{verdict.result.value:<8} {verdict.check} ({verdict.reason}): {verdict.message}"
        say(first, style_of(verdict.result.value))
        for line in _lines(verdict):
            say(_INDENT + line)


def checklist(verdicts: Iterable[VerdictEntry]) -> list[dict[str, Any]]:
    """The same for machines; numbers are text as they were recorded."""
    return [
        {
            "check": verdict.check,
            "result": verdict.result.value,
            "reason": verdict.reason,
            "message": verdict.message,
            "since": since_of(verdict),
            "numbers": [_number(each) for each in numbers_of(verdict)],
            "evidence": rest_of(verdict),
        }
        for verdict in verdicts
    ]


def print_judgement(judgement: Judgement) -> None:
    """What would be done now, why, and on which verdicts."""
    say(f"would       {judgement.course.value}", "bold")
    say(f"because     {judgement.reason}: {judgement.message}")
    say(f"rule        {judgement.rule.id}, action {judgement.rule.action.value}")
    print_revisions(_ref(judgement.bad), _ref(judgement.target))
    say()
    print_checklist(map(record_verdict, judgement.verdicts))


def judged(judgement: Judgement) -> dict[str, Any]:
    """The same for machines."""
    return {
        "course": judgement.course.value,
        "reason": judgement.reason,
        "message": judgement.message,
        "rule": judgement.rule.id,
        "action": judgement.rule.action.value,
        "from": revision(_ref(judgement.bad)),
        "to": revision(_ref(judgement.target)),
        "onsetAt": judgement.onset_at,
        "checklist": checklist(map(record_verdict, judgement.verdicts)),
    }


def print_revisions(bad: RevisionRef | None, target: RevisionRef | None) -> None:
    """From which revision to which, as far as they are known."""
    for title, ref in (("from", bad), ("to", target)):
        if ref is not None:
            cause = f", {ref.change_cause}" if ref.change_cause else ""
            say(f"{title:<11} {ref.replica_set} ({', '.join(ref.images)}{cause})")


def revision(ref: RevisionRef | None) -> dict[str, Any] | None:
    """A revision for machines."""
    return None if ref is None else ref.model_dump(mode="json", by_alias=True)


def _ref(found: Revision | None) -> RevisionRef | None:
    return None if found is None else parse_revision(found)


def _lines(verdict: VerdictEntry) -> Iterator[str]:
    for number in numbers_of(verdict):
        value = "unknown" if number.value is None else number.value
        rests = "" if number.samples is None else f", {number.samples} samples"
        over = "" if number.range is None else f" in {number.range}"
        yield f"{number.metric} {value}, threshold {number.threshold}{rests}{over}"
        if number.query is not None:
            yield f"query: {number.query}"
    since = since_of(verdict)
    if since is not None:
        yield f"since {instant(since)}"
    for key, value in rest_of(verdict).items():
        yield f"{key}: {value}"


def _number(number: Number) -> dict[str, Any]:
    return {
        "metric": number.metric,
        "value": number.value,
        "threshold": number.threshold,
        "samples": number.samples,
        "range": number.range,
        "query": number.query,
    }
