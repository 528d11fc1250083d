"""Ending an incident so that no alert is lost and none opens it twice.

In this order: hold the alert instances it took, write Closed on the state that was judged, open the incident
that follows if one does, raise the sequence number. Each step may be repeated after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.clients.kubernetes import AlreadyExists, Invalid, NotFound, TooLarge
from responder.clock import Clock
from responder.errors import Temporary
from responder.incidents.model import MAX_ALERTS, AlertEntry, Incident, Status
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec, hold
from responder.incidents.store import IncidentStore
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import KnownBad, LeftAlone, RollbackDone

# Incidents that may have closed since the record was read; more mean a defect.
_MOST_CLOSED_MEANWHILE = 6
# A record keeps this many of each; the oldest go.
_MOST_REMEMBERED = 50


async def close(store: IncidentStore, clock: Clock, incident: Incident, status: Status) -> Incident:
    """Write the closing status. Raises Conflict when the incident changed since it was judged."""
    now = clock.now()
    held = hold(incident.spec.alerts, incident.name, now)

    def keep(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        return spec.holding(held)

    await store.update_record(incident.key, keep)
    return await store.record(incident, status)


async def finish(store: IncidentStore, clock: Clock, incident: Incident) -> Incident | None:
    """After Closed: open what follows, if anything does, and move the sequence on. Returns what follows."""
    following = None
    sequence = incident.spec.sequence + 1
    if incident.status.followed_by is not None:
        following = await _follow(store, incident.key, sequence, _going_on(incident), clock.now())

    def raise_sequence(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        return spec.model_copy(update={"next_sequence": max(spec.next_sequence, sequence)})

    await store.update_record(incident.key, raise_sequence)
    return following


def _going_on(incident: Incident) -> dict[str, AlertEntry]:
    """The alerts that the next incident takes over: those that fire, or all where only the metric is bad."""
    return incident.firing or dict(incident.spec.alerts)


async def open_for_held(store: IncidentStore, clock: Clock, record: WorkloadRecord) -> Incident | None:
    """Open an incident for the instances that still fire although theirs has closed; None when none does."""
    entries = {
        fingerprint: AlertEntry(labels=held.labels, starts_at=held.starts_at, ends_at=held.ends_at)
        for fingerprint, held in record.spec.held.items()
        if held.firing
    }
    if not entries:
        return None
    first = record.spec.next_sequence
    for sequence in range(first, first + _MOST_CLOSED_MEANWHILE):
        following = await _follow(store, record.key, sequence, entries, clock.now())
        # One that intake opened and that closed since takes nothing any more: the next one does.
        if following is not None and following.phase is not Phase.CLOSED:
            return following
    raise Temporary(f"The incidents of {record.key} kept closing while held alerts were written.")


async def remember_rollback(store: IncidentStore, incident: Incident, at: datetime) -> None:
    """Write the undo into the workload's record: done, and its revision known bad. Adds nothing twice."""
    rollback = incident.status.rollback
    if rollback is None:
        raise ValueError("the incident has no rollback to remember")
    done = RollbackDone(
        incident=incident.name,
        from_uid=rollback.bad.uid,
        to_uid=rollback.target.uid,
        at=at,
        automatic=rollback.automatic,
        by=rollback.by,
    )
    bad = KnownBad(revision=rollback.bad, incident=incident.name, at=at)
    paused = () if rollback.paused is None else (rollback.paused.model_copy(update={"at": at}),)

    def add(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        if any(old.incident == done.incident and old.from_uid == done.from_uid for old in spec.rollbacks):
            return spec
        return spec.model_copy(
            update={
                "rollbacks": (*spec.rollbacks, done)[-_MOST_REMEMBERED:],
                "known_bad": (*spec.known_bad, bad)[-_MOST_REMEMBERED:],
                "paused": (*spec.paused, *paused)[-_MOST_REMEMBERED:],
            }
        )

    await store.update_record(incident.key, add)


async def leave_alone(store: IncidentStore, incident: Incident, until: datetime, by: str) -> None:
    """Write down that a person decided against rolling this revision back."""
    if incident.status.bad is None:
        return
    left = LeftAlone(uid=incident.status.bad.uid, until=until, by=by)

    def add(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        others = tuple(each for each in spec.left_alone if each.uid != left.uid)
        return spec.model_copy(update={"left_alone": (*others, left)[-_MOST_REMEMBERED:]})

    await store.update_record(incident.key, add)


async def _follow(
    store: IncidentStore,
    key: WorkloadKey,
    sequence: int,
    entries: dict[str, AlertEntry],
    received_at: datetime,
) -> Incident | None:
    first = dict(list(entries.items())[:MAX_ALERTS])
    try:
        incident = await store.open(key, sequence, first, received_at)
    except AlreadyExists:
        # Intake was first, with a new instance; the ones that go on belong to the same incident.
        try:
            return await store.write_alerts(key, sequence, entries)
        except (Invalid, TooLarge):
            return await _write_what_fits(store, key, sequence, entries)
    await store.note_overflow(incident, names_of(entries, beyond=incident))
    return incident


async def _write_what_fits(
    store: IncidentStore, key: WorkloadKey, sequence: int, entries: dict[str, AlertEntry]
) -> Incident | None:
    """Write to an incident without room for all: the rest is named in it. None when it is gone."""
    try:
        found = await store.get(key.namespace, key.incident_name(sequence))
    except NotFound:
        return None
    known = found.spec.alerts
    room = max(0, MAX_ALERTS - len(known))
    new = [fingerprint for fingerprint in entries if fingerprint not in known]
    fitting = {each: entry for each, entry in entries.items() if each not in new[room:]}
    incident = await store.write_alerts(key, sequence, fitting) if fitting else found
    if incident is not None:
        await store.note_overflow(incident, names_of(entries, beyond=incident))
    return incident


def names_of(entries: Mapping[str, AlertEntry], *, beyond: Incident) -> dict[str, str]:
    """The alertname of each alert that is not on that incident, by fingerprint."""
    return {
        fingerprint: entry.labels.get("alertname", "")
        for fingerprint, entry in entries.items()
        if fingerprint not in beyond.spec.alerts
    }
