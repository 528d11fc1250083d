"""Ending an incident so that no alert is lost and none opens it twice.

In this order: hold the alert instances it took, write Closed on the state that was judged, open the incident
that follows if one does, raise the sequence number, and look once more at what is held: a revision may have
begun to serve meanwhile. Each step may be repeated after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.clock import Clock
from responder.incidents.model import AlertEntry, Incident, Status
from responder.incidents.record import Held, WorkloadRecordSpec, hold
from responder.incidents.store import IncidentStore
from responder.pipeline.follow import follow_on, open_for_held


async def close(
    store: IncidentStore, incident: Incident, status: Status, judged_at: datetime, *, recovered: bool
) -> Incident:
    """Write the closing status. Raises Conflict when the incident changed since it was judged.

    `judged_at` is an instant before anything was read of what the judgement rests on; `recovered` says that
    this was a condition measured to be false.
    """
    held = hold(incident.spec.alerts, incident.name, judged_at, recovered=recovered)

    def keep(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        if spec.next_sequence > incident.spec.sequence:
            return spec  # it is over already, and what is held may be of a later one
        return spec.holding(held)

    await store.update_record(incident.key, keep)
    return await store.record(incident, status)


async def finish(store: IncidentStore, clock: Clock, incident: Incident) -> Incident | None:
    """After Closed: open what follows, if anything does, and move the sequence on. Returns what follows."""
    following = None
    sequence = incident.spec.sequence + 1
    if incident.status.followed_by is not None:
        record = await store.ensure_record(incident.key)
        going_on = _with_ends(_going_on(incident), record.spec.held, incident)
        following = await follow_on(store, clock, incident.key, sequence, going_on)

    def raise_sequence(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        return spec.model_copy(update={"next_sequence": max(spec.next_sequence, sequence)})

    record = await store.update_record(incident.key, raise_sequence)
    if following is None:
        return await open_for_held(store, clock, record)
    # An end that was noted since the record was read: intake looks there at the number that was just raised.
    ends = _with_ends(following.spec.alerts, record.spec.held, incident)
    if ends != following.spec.alerts:
        return await store.write_alerts(incident.key, following.spec.sequence, ends) or following
    return following


def _going_on(incident: Incident) -> dict[str, AlertEntry]:
    """The alerts that the next incident takes over: those that fire, or all where only the metric is bad."""
    return incident.firing or dict(incident.spec.alerts)


def _with_ends(
    entries: Mapping[str, AlertEntry], held: Mapping[str, Held], incident: Incident
) -> dict[str, AlertEntry]:
    """With the ends that were noted since the incident closed."""
    changed = dict(entries)
    for fingerprint, entry in entries.items():
        noted = held.get(fingerprint)
        if noted is not None and noted.incident == incident.name and noted.ends_at is not None:
            changed[fingerprint] = entry.after(entry.model_copy(update={"ends_at": noted.ends_at}))
    return changed
