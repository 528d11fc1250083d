"""What has no room goes by rank and is counted; the rest stays as it was written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.incidents.advance import noted
from responder.incidents.bounds import (
    MAX_ALERT_BYTES,
    MAX_ENTRIES,
    MAX_EVIDENCE,
    MAX_EVIDENCE_TEXT,
    MAX_EVIDENCE_VALUE,
    MAX_LINE,
    MAX_MESSAGE,
    MAX_VALUE,
    MAX_VERDICTS,
    cut,
    fit_alert,
    fit_status,
    json_size,
)
from responder.incidents.model import (
    MAX_TIMELINE,
    AlertEntry,
    Dropped,
    Incident,
    IncidentSpec,
    Metadata,
    Page,
    Status,
    VerdictEntry,
    WorkloadRef,
)
from responder.verdicts import Result

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NAMES = {
    "responder_rule": "payment-service/high-error-rate",
    "namespace": "payments",
    "deployment": "payment-service",
    "alertname": "PaymentServiceHighErrorRate",
    "severity": "critical",
}


def entry(labels: dict[str, str], annotations: dict[str, str] | None = None) -> AlertEntry:
    return AlertEntry(labels=labels, annotations=annotations or {}, starts_at=AT)


def incident(status: Status | None = None, **spec: object) -> Incident:
    return Incident(
        metadata=Metadata(
            name="i-1", namespace="payments", uid="u", resource_version="1", creation_timestamp=AT
        ),
        spec=IncidentSpec.model_validate(
            {"workload": WorkloadRef(kind="Deployment", name="app"), "sequence": 1, "received_at": AT, **spec}
        ),
        status=status or Status(),
    )


def verdict(check: str, result: Result = Result.PASSED, **changes: Any) -> VerdictEntry:
    return replace(VerdictEntry(check=check, result=result, reason="R", message="m"), **changes)


def test_a_sane_alert_stays_as_it_is() -> None:
    sane = entry(NAMES, {"summary": "5% of requests fail", "runbook_url": "https://runbooks.example/errors"})
    assert fit_alert(sane) == sane


def test_a_long_value_is_shortened_and_counted() -> None:
    fitted = fit_alert(entry({**NAMES, "query": "x" * (MAX_VALUE + 1)}, {"text": "y" * MAX_VALUE}))
    assert fitted.labels["query"] == "x" * MAX_VALUE
    assert fitted.annotations["text"] == "y" * MAX_VALUE
    assert fitted.dropped == 1


def test_what_rules_are_matched_by_has_room_before_all_else() -> None:
    crowd = {f"label{n:03}": "x" * 100 for n in range(200)}
    fitted = fit_alert(entry({**crowd, **NAMES}, {"summary": "s" * 500}))
    assert NAMES.items() <= fitted.labels.items()
    assert next(iter(fitted.labels)) == "label000"
    assert 0 < len(fitted.labels) < len(crowd)
    assert fitted.dropped == len(crowd) + len(NAMES) + 1 - len(fitted.labels) - len(fitted.annotations)


def test_fitting_twice_counts_once() -> None:
    fitted = fit_alert(entry({f"label{n}": "x" * 1000 for n in range(50)}))
    assert fitted.dropped
    assert fit_alert(fitted) == fitted


@pytest.mark.parametrize("character", ["x", "<", "&", "é", "語", "😀", "\x00", '"', "\\", "\n"])
def test_an_alert_is_never_larger_than_its_bound(character: str) -> None:
    texts = {f"{character}{n}": character * MAX_VALUE for n in range(300)}
    fitted = fit_alert(entry(texts, texts))
    written = json.dumps([fitted.labels, fitted.annotations], ensure_ascii=False)
    for escaped in "<>&":
        written = written.replace(escaped, "\\u0000")
    assert 0 < len(written.encode()) <= MAX_ALERT_BYTES
    assert fitted.dropped >= 600 - len(fitted.labels) - len(fitted.annotations)


@pytest.mark.parametrize("character", ["x", "<", "é", "語", "😀", "\x00", '"'])
def test_what_is_left_as_it_is_without_being_measured_fits(character: str) -> None:
    texts = {"a": ""}
    while fit_alert(unmeasured := entry(texts, texts)) is unmeasured:
        assert json_size(texts) * 2 <= MAX_ALERT_BYTES
        texts = {"a": texts["a"] + character}
    assert len(texts["a"]) > 100


def test_there_are_only_so_many_labels() -> None:
    fitted = fit_alert(entry({str(n): "" for n in range(MAX_ENTRIES + 7)}))
    assert (len(fitted.labels), fitted.dropped) == (MAX_ENTRIES, 7)


def test_the_size_is_never_told_too_small() -> None:
    assert json_size({"a": "<b>"}) == len('{"a": "\\u003cb\\u003e"}')


@pytest.mark.parametrize(("text", "most", "shown"), [("abc", 3, "abc"), ("abcdef", 5, "ab..."), ("", 3, "")])
def test_cut(text: str, most: int, shown: str) -> None:
    assert cut(text, most) == shown


def test_lines_of_the_timeline_that_go_are_counted() -> None:
    status = Status()
    for n in range(MAX_TIMELINE + 5):
        status = noted(status, AT + timedelta(seconds=n), "Tell", str(n))
    assert len(status.timeline) == MAX_TIMELINE
    assert [line.message for line in status.timeline[:2]] == ["0", "6"]
    assert status.timeline[-1].message == str(MAX_TIMELINE + 4)
    assert status.dropped == Dropped(timeline_lines=5)


def test_verdicts_that_passed_give_way_to_those_that_did_not() -> None:
    verdicts = (
        *(verdict(f"passed-{n}") for n in range(MAX_VERDICTS)),
        verdict("failed", Result.FAILED),
        verdict("unknown", Result.UNKNOWN),
    )
    kept = fit_status(incident(), Status(verdicts=verdicts))
    checks = [each.check for each in kept.verdicts]
    assert checks == [f"passed-{n}" for n in range(MAX_VERDICTS - 2)] + ["failed", "unknown"]
    assert kept.dropped.verdicts == 2
    # Written again with something else changed, they are still the two.
    assert fit_status(incident(kept), kept.model_copy(update={"reason": "Other"})).dropped.verdicts == 2
    assert fit_status(incident(kept), kept.model_copy(update={"verdicts": ()})).dropped.verdicts == 0


def test_what_the_guards_had_no_room_for_stays_counted_beside_the_proof() -> None:
    judged = fit_status(incident(), Status(verdicts=(verdict("guard"),) * (MAX_VERDICTS + 3)))
    proof = (verdict("proof"),) * (MAX_VERDICTS + 2)
    proven = judged.model_copy(update={"guards": judged.verdicts, "verdicts": proof})
    kept = fit_status(incident(judged), proven)
    assert (len(kept.guards), len(kept.verdicts)) == (MAX_VERDICTS, MAX_VERDICTS)
    assert kept.dropped.verdicts == 5
    assert fit_status(incident(kept), kept).dropped.verdicts == 5


def test_texts_of_the_status_are_bounded() -> None:
    long = "x" * 100_000
    evidence = {f"n{n}": long for n in range(100)}
    status = Status(
        message=long,
        page=Page(reason="R", message=long, at=AT),
        verdicts=(verdict("c", message=long, evidence=evidence),),
    )
    fitted = fit_status(incident(), noted(status, AT, "Tell", long))
    assert fitted.page is not None
    (kept,) = fitted.verdicts
    assert {len(fitted.message), len(fitted.page.message)} == {MAX_MESSAGE}
    assert {len(kept.message), len(fitted.timeline[0].message)} == {MAX_LINE}
    assert (len(kept.evidence), len(kept.evidence["n0"])) == (MAX_EVIDENCE, MAX_EVIDENCE_VALUE)
    assert fit_status(incident(fitted), fitted) == fitted


def test_a_long_query_has_the_room_that_short_values_leave() -> None:
    evidence = {"error_rate": "0.05", "error_rate_query": "q" * 600, "error_rate_samples": "1200"}
    status = fit_status(incident(), Status(verdicts=(verdict("c", evidence=evidence),)))
    assert status.verdicts[0].evidence == evidence
    many = {f"n{n}": "x" * 700 for n in range(10)}
    status = fit_status(incident(), Status(verdicts=(verdict("c", evidence=many),)))
    sizes = [len(value) for value in status.verdicts[0].evidence.values()]
    assert sizes == [700] * 4 + [160 + 80] + [160] * 5
    assert sum(sizes) == MAX_EVIDENCE * MAX_EVIDENCE_VALUE
    assert fit_status(incident(status), status) == status
    endless = {"n0": "x" * 5000}
    status = fit_status(incident(), Status(verdicts=(verdict("c", evidence=endless),)))
    assert len(status.verdicts[0].evidence["n0"]) == MAX_EVIDENCE_TEXT


def test_the_status_says_what_the_incident_lacks() -> None:
    alerts = {"f1": entry(NAMES).model_copy(update={"dropped": 3}), "f2": entry(NAMES)}
    lacking = incident(alerts=alerts, overflow={"f3": "A", "f4": "B"})
    assert fit_status(lacking, Status()).dropped == Dropped(alerts=2, labels=3)
