"""Incidents in every state, as their records would read, and the reference rule file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from responder.incidents.model import (
    AlertEntry,
    Ask,
    Incident,
    IncidentSpec,
    Metadata,
    Page,
    Rollback,
    RollbackState,
    Status,
    Times,
    VerdictEntry,
    WorkloadRef,
)
from responder.incidents.phases import Phase
from responder.rules.load import load_rules
from responder.rules.model import RuleFile
from responder.verdicts import Result
from responder.workloads.ledger import RevisionRef
from tests.shared import CHECKOUT

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
UID = "0b0f5ac1-2f5e-4e3f-9d3b-0a4f8f1c7d11"

BAD = RevisionRef(
    uid="rs-7",
    replica_set="payment-service-7bad",
    hash="7bad",
    revision=7,
    images=("registry.example/payment:2.0.0",),
    change_cause="release 2.0.0",
)
TARGET = RevisionRef(
    uid="rs-6",
    replica_set="payment-service-6good",
    hash="6good",
    revision=6,
    images=("registry.example/payment:1.9.3",),
)
STILL_TRUE = VerdictEntry(
    check="StillTrue",
    result=Result.PASSED,
    reason="ConditionTrue",
    message="error_rate > 1% holds: error_rate is 0.041.",
    evidence={
        "error_rate": "0.041",
        "error_rate_threshold": "0.01",
        "error_rate_samples": "5120",
        "error_rate_range": "5m",
        "error_rate_query": "sum(rate(payment_errors_total[5m])) > 0",
        "since": (AT - timedelta(minutes=6)).isoformat(),
    },
)
COOLDOWN = VerdictEntry(
    check="NotAgain",
    result=Result.FAILED,
    reason="CooldownActive",
    message="It was rolled back 10m ago, inside the cooldown of 1h.",
)
PAUSED = VerdictEntry(
    check="NotPaused", result=Result.FAILED, reason="Paused", message="The deployment is paused."
)
ASK = Ask(
    digest="abc123",
    action="rollback",
    reason="CooldownActive",
    overridable=("NotAgain/CooldownActive",),
    asked_at=AT,
    expires_at=AT + timedelta(minutes=30),
)


def alert(name: str = "PaymentServiceHighErrorRate", **changes: Any) -> AlertEntry:
    """A firing alert, critical, with a summary."""
    entry = AlertEntry(
        labels={"alertname": name, "severity": "critical", "namespace": "payments"},
        annotations={"summary": "payment-service: error_rate > 1%"},
        starts_at=AT - timedelta(minutes=1),
    )
    return entry.model_copy(update=changes)


def incident(alerts: dict[str, AlertEntry] | None = None, **status: Any) -> Incident:
    """An incident of payment-service with that status; by default told on both channels."""
    defaults: dict[str, Any] = {
        "notify": ("pagerduty", "slack"),
        "rule": "payment-service/high-error-rate",
        "reason": "EveryGuardPassed",
        "message": "Every guard passed.",
        "bad": BAD,
        "target": TARGET,
        "verdicts": (STILL_TRUE,),
        "times": Times(alerted_at=AT - timedelta(minutes=1), received_at=AT),
    }
    return Incident(
        metadata=Metadata(
            name="deployment-payment-service-3",
            namespace="payments",
            uid=UID,
            resource_version="77",
            creation_timestamp=AT,
        ),
        spec=IncidentSpec(
            workload=WorkloadRef(kind="Deployment", name="payment-service"),
            sequence=3,
            received_at=AT,
            alerts={"f1": alert()} if alerts is None else alerts,
        ),
        status=Status(**{**defaults, **status}),
    )


def asking(**status: Any) -> Incident:
    """An incident that waits for a person's decision, and pages for it."""
    defaults: dict[str, Any] = {
        "phase": Phase.AWAITING_DECISION,
        "action": "rollback",
        "verdicts": (STILL_TRUE, COOLDOWN),
        "ask": ASK,
        "page": Page(reason="CooldownActive", message="Somebody has to decide.", at=AT),
    }
    return incident(**{**defaults, **status})


def rollback(**changes: Any) -> Rollback:
    """An automatic attempt that was applied."""
    attempt = Rollback(
        attempt=1,
        state=RollbackState.APPLIED,
        deployment_uid="deployment-1",
        bad=BAD,
        target=TARGET,
        automatic=True,
        by="responder",
        intended_at=AT,
        deadline_at=AT + timedelta(minutes=5),
    )
    return attempt.model_copy(update=changes)


def rule_file(**changes: Any) -> RuleFile:
    """The reference rule file, with these fields changed."""
    (file,) = load_rules(CHECKOUT / "rules").files
    return replace(file, **{"slack_channel": "#payments", **changes})
