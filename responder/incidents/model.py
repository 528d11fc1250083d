"""The Incident custom resource as the program reads it. Pure; phases.py says how it may move.

`spec.alerts` is written by intake, by idempotent merge patches; `status` by the one that drives the incident.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from responder.alerts.model import Alert
from responder.errors import Permanent
from responder.incidents.notifications import Notifications
from responder.incidents.phases import Outcome, Phase
from responder.verdicts import Result, Verdict
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import PausedOwner, Record, RevisionRef

API_VERSION = "responder.dev/v1alpha1"
# Marks incidents that are not closed, so that closed ones are never loaded.
OPEN_LABEL = "responder.dev/open"
# The UTC date on which a finished one closed: by it the server tells those that are kept from those to go.
CLOSED_ON_LABEL = "responder.dev/closed-on"
WORKLOAD_LABEL = "responder.dev/workload"

MAX_ALERTS = 64
# Alerts beyond those are only named; what is beyond this many is only counted by the metric.
MAX_OVERFLOW = 1000
MAX_TIMELINE = 64


class WorkloadRef(Record):
    """The workload, in the incident's own namespace."""

    kind: str
    name: str


class AlertEntry(Record):
    """An alert as intake wrote it. It fires unless it ended at or after the start last seen, or vanished.

    Start and end are written by separate deliveries, so a late "firing" of an ended instance changes nothing.
    That it vanished from every Alertmanager is no end: silenced and back, it has its old start.
    """

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: datetime
    ends_at: datetime | None = None
    vanished_at: datetime | None = None
    generator_url: str = ""
    # How many labels and annotations were left out or shortened, see bounds.py.
    dropped: int = 0

    @property
    def firing(self) -> bool:
        return self.vanished_at is None and (self.ends_at is None or self.starts_at > self.ends_at)

    def after(self, news: AlertEntry) -> AlertEntry:
        """The entry when that was heard of it as well; late word of an earlier instance changes nothing."""
        if news.ends_at is not None:
            late = news.ends_at < self.starts_at
        elif news.vanished_at is not None:
            late = news.starts_at < self.starts_at
        else:
            late = self.ends_at is not None and news.starts_at <= self.ends_at
        if late:
            return self
        ends = [at for at in (self.ends_at, news.ends_at) if at is not None]
        starts_at = max(self.starts_at, news.starts_at)
        return news.model_copy(update={"starts_at": starts_at, "ends_at": max(ends, default=None)})


def record_alert(alert: Alert) -> AlertEntry:
    """The alert, as it is recorded."""
    return AlertEntry(
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        generator_url=alert.generator_url,
    )


# What a thousand incidents' verdicts say in the same words is in memory once.
_Shared = Annotated[str, AfterValidator(sys.intern)]


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """A guard's or proof's verdict, as recorded. No Record: there are so many that each has to be small."""

    check: _Shared
    result: Result
    reason: _Shared
    message: _Shared
    evidence: dict[_Shared, _Shared] = field(default_factory=dict)


def record_verdict(verdict: Verdict) -> VerdictEntry:
    """The recorded form: evidence as text, for a schema without surprises."""
    evidence = {key: _text(value) for key, value in verdict.evidence.items()}
    return VerdictEntry(
        check=verdict.check,
        result=verdict.result,
        reason=verdict.reason,
        message=verdict.message,
        evidence=evidence,
    )


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class RollbackState(StrEnum):
    """How far an attempt is. Intended is written before the patch is sent."""

    INTENDED = "Intended"
    APPLIED = "Applied"
    VOIDED = "Voided"


class Rollback(Record):
    """The attempt to undo: from which revision to which, under which fence."""

    attempt: int
    state: RollbackState
    # The workload's, of whatever kind: stored under this name since there were only Deployments.
    deployment_uid: str
    bad: RevisionRef
    target: RevisionRef
    automatic: bool
    by: str
    intended_at: datetime
    deadline_at: datetime
    previous_fence: str | None = None
    # The digests of the freeze marks that a person saw, and decided all the same.
    freezes_overruled: tuple[str, ...] = ()
    applied_at: datetime | None = None
    # The workload's generation when the undo was intended, and from the patch's answer on the one in that;
    # and Progressing's last update before the patch.
    generation: int | None = None
    stale_progressing_at: str | None = None
    # Who is to be paused before the patch is sent, and goes on when the attempt is voided.
    paused: PausedOwner | None = None


class Ask(Record):
    """The question put to people. A Decision must carry this digest."""

    digest: str
    action: str
    reason: str
    overridable: tuple[str, ...] = ()
    asked_at: datetime
    expires_at: datetime


class Page(Record):
    """Why somebody was paged; the last reason stands."""

    reason: str
    message: str
    at: datetime


class Times(Record):
    """When each step happened: onset -> alert -> received -> decided -> patched -> proven -> recovered."""

    onset_at: datetime | None = None
    alerted_at: datetime | None = None
    received_at: datetime | None = None
    decided_at: datetime | None = None
    patched_at: datetime | None = None
    traffic_proven_at: datetime | None = None
    recovered_at: datetime | None = None
    settle_until: datetime | None = None
    closed_at: datetime | None = None


class Condition(Record):
    """A standard condition, for `kubectl wait`."""

    type: Literal["TrafficProven", "Recovered", "Closed", "Told"]
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    last_transition_time: datetime


class TimelineEntry(Record):
    """One line of what happened."""

    at: datetime
    event: str
    message: str


class Dropped(Record):
    """How much had no room in the incident: nothing goes without being counted."""

    timeline_lines: int = 0
    verdicts: int = 0
    alerts: int = 0
    # Also annotations, and those that were only shortened.
    labels: int = 0


class Status(Record):
    """Everything the driver knows of an incident."""

    phase: Phase = Phase.OPEN
    outcome: Outcome | None = None
    # The name of the incident that goes on where this one ended: its condition or alerts outlived it.
    followed_by: str | None = None
    reason: str = "Received"
    message: str = ""
    rule: str | None = None
    action: str | None = None
    notify: tuple[str, ...] = ()
    bad: RevisionRef | None = None
    target: RevisionRef | None = None
    # The UIDs of the revisions that the trouble was put down to: none of them is gone back to.
    blamed: tuple[str, ...] = ()
    # What was found last; once an undo is being proven, what its guards had found moves into `guards`.
    verdicts: tuple[VerdictEntry, ...] = ()
    guards: tuple[VerdictEntry, ...] = ()
    ask: Ask | None = None
    # How many answers came to nothing in their time: the same question put again is another one.
    answers_spent: int = 0
    page: Page | None = None
    rollback: Rollback | None = None
    times: Times = Times()
    conditions: tuple[Condition, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    dropped: Dropped = Dropped()
    notifications: Notifications = Notifications()


class IncidentSpec(Record):
    """What intake wrote."""

    workload: WorkloadRef
    sequence: int
    received_at: datetime
    alerts: dict[str, AlertEntry] = Field(default_factory=dict)
    # The alerts that found no room, by fingerprint: their alertname.
    overflow: dict[str, str] = Field(default_factory=dict)


class Metadata(Record):
    """The metadata we read."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: datetime
    labels: dict[str, str] = Field(default_factory=dict)


class Incident(Record):
    """One incident."""

    metadata: Metadata
    spec: IncidentSpec
    status: Status = Status()

    @property
    def key(self) -> WorkloadKey:
        """Whose incident it is."""
        return WorkloadKey(self.metadata.namespace, self.spec.workload.kind, self.spec.workload.name)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def phase(self) -> Phase:
        return self.status.phase

    @property
    def firing(self) -> dict[str, AlertEntry]:
        """The alerts that have not ended, by fingerprint."""
        return {fp: alert for fp, alert in self.spec.alerts.items() if alert.firing}

    @property
    def recovered(self) -> bool:
        """True once the condition was measured false: not when an alert merely ended, nor on expiry."""
        return self.status.times.recovered_at is not None

    @property
    def next_attempt(self) -> int:
        """The number of the undo that would be tried next."""
        return 1 if self.status.rollback is None else self.status.rollback.attempt + 1

    def fence(self, attempt: int) -> str:
        """The fence label's value for an attempt. At most 36 + 1 + 5 characters, so it fits a label."""
        return f"{self.metadata.uid}.{attempt}"


class Unreadable(Permanent):
    """What the API server holds and this version can't read: a newer version or a person wrote it."""

    def __init__(self, kind: str, obj: dict[str, Any], error: ValidationError) -> None:
        metadata = obj.get("metadata") or {}
        places = ", ".join(".".join(map(str, each["loc"])) for each in error.errors(include_input=False)[:5])
        super().__init__(
            f"{kind} {metadata.get('namespace')}/{metadata.get('name')} can't be read: {places}; correct"
            " it, or run the version that wrote it"
        )


def parse_incident(obj: dict[str, Any]) -> Incident:
    """The incident in an API object. A status that is absent reads as Open: creation is two writes.

    Raises Unreadable.
    """
    try:
        return Incident.model_validate({**obj, "status": obj.get("status") or {}})
    except ValidationError as error:
        raise Unreadable("Incident", obj, error) from None
