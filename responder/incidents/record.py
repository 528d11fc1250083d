"""The WorkloadRecord custom resource: what outlives incidents, and which alert instances they took. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError

from responder.alerts.model import Alert
from responder.incidents.bounds import json_size
from responder.incidents.model import AlertEntry, Metadata, Unreadable, WorkloadRef
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Ledger, Record

# Without an Alertmanager to ask, nobody says which are gone for good; a record has to fit into etcd.
MAX_HELD = 500
# What they all may take as JSON; sane ones take a third of it.
MAX_HELD_BYTES = 384 * 1024


class Held(Record):
    """The latest instance of an alert that an incident took; its end once one was seen.

    `vanished_at` is set while every Alertmanager is without it, and it may have ended with nobody told.
    `taken_at` is the instant as of which its incident was judged to be over: a revision that is found to
    serve only after it makes an instance that still fires matter again. `recovered_at` is set where that was
    judged by a condition measured to be false: what begins to fire after it is another instance.
    """

    starts_at: datetime
    ends_at: datetime | None = None
    vanished_at: datetime | None = None
    incident: str
    labels: dict[str, str] = Field(default_factory=dict)
    taken_at: datetime | None = None
    recovered_at: datetime | None = None
    last_seen_at: datetime

    @property
    def ended_at(self) -> datetime | None:
        """Its end if one was seen, else when it vanished; None while it fires."""
        if self.ends_at is not None and self.ends_at >= self.starts_at:
            return self.ends_at
        return self.vanished_at

    @property
    def firing(self) -> bool:
        return self.ended_at is None

    def after(self, known: Held | None) -> Held:
        """This, with what was noted before of what the same incident took: it may be known better there."""
        if known is None or known.incident != self.incident:
            return self
        ends = [at for at in (known.ends_at, self.ends_at) if at is not None]
        taken = [at for at in (known.taken_at, self.taken_at) if at is not None]
        latest = {"ends_at": max(ends, default=None), "taken_at": max(taken, default=None)}
        return self.model_copy(update=latest)


class WorkloadRecordSpec(Ledger):
    """Everything remembered of one workload."""

    workload: WorkloadRef
    next_sequence: int = 1
    held: dict[str, Held] = Field(default_factory=dict)
    # How many instances had no room any more and were forgotten.
    held_dropped: int = 0

    def holding(self, more: dict[str, Held]) -> WorkloadRecordSpec:
        """With these instances held as well, as far as there is room for all."""
        every = {**self.held, **{name: each.after(self.held.get(name)) for name, each in more.items()}}
        kept = bounded(every)
        forgotten = self.held_dropped + len(every) - len(kept)
        return self.model_copy(update={"held": kept, "held_dropped": forgotten})

    def outlived(self) -> dict[str, Held]:
        """What still fires although a revision began to serve that its incident knew nothing of."""
        return {
            fingerprint: held
            for fingerprint, held in self.held.items()
            # An older version of this program wrote no such instant.
            if held.firing and self.newcomer_since(held.taken_at or held.last_seen_at)
        }


class WorkloadRecord(Record):
    """One workload's record. It never expires."""

    metadata: Metadata
    spec: WorkloadRecordSpec

    @property
    def key(self) -> WorkloadKey:
        return WorkloadKey(self.metadata.namespace, self.spec.workload.kind, self.spec.workload.name)


def parse_record(obj: dict[str, Any]) -> WorkloadRecord:
    """The record in an API object. Raises Unreadable."""
    try:
        return WorkloadRecord.model_validate(obj)
    except ValidationError as error:
        raise Unreadable("WorkloadRecord", obj, error) from None


def is_new_instance(alert: Alert, held: Held | None) -> bool:
    """True for a firing alert that no incident took yet.

    startsAt differs between two Prometheus servers and after a restart, so a different one alone, without an
    end in between, is still the same instance. An end from before the held start is that of an earlier one.
    One that vanished may be back, from a silence, with its old start; with a later one it is another. So is
    one that began after the condition was false: its end may have come while nobody could be told.
    """
    if not alert.firing:
        return False
    if held is None:
        return True
    if held.recovered_at is not None and alert.starts_at > max(held.starts_at, held.recovered_at):
        return True
    return held.ended_at is not None and alert.starts_at > held.ended_at


def hold(entries: dict[str, AlertEntry], incident: str, at: datetime, *, recovered: bool) -> dict[str, Held]:
    """The instances of an incident that was judged to be over at that instant, as they are held.

    `recovered` says that it was judged so because its condition was measured to be false.
    """
    return {
        fingerprint: Held(
            starts_at=entry.starts_at,
            ends_at=entry.ends_at,
            vanished_at=entry.vanished_at,
            incident=incident,
            labels=entry.labels,
            taken_at=at,
            recovered_at=at if recovered else None,
            last_seen_at=at,
        )
        for fingerprint, entry in entries.items()
    }


def bounded(held: dict[str, Held]) -> dict[str, Held]:
    """At most so many, and so many bytes: what ended or vanished goes first, then the least lately seen."""
    ranked = sorted(held, key=lambda key: (held[key].firing, held[key].last_seen_at))[-MAX_HELD:]
    size, kept = 0, []
    for key in reversed(ranked):
        size += json_size({key: held[key].model_dump(mode="json", by_alias=True)})
        if size > MAX_HELD_BYTES:
            break
        kept.append(key)
    return {key: held[key] for key in sorted(kept)}
