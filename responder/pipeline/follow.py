"""Opening the incident that follows another one, with the alerts that go on.

Each may be repeated after a crash, and meet an incident that intake was first to open. Called by close and
reconcile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.clients.kubernetes import AlreadyExists, Invalid, NotFound, TooLarge
from responder.clock import Clock
from responder.errors import Temporary
from responder.incidents.model import MAX_ALERTS, AlertEntry, Incident
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecord
from responder.incidents.store import IncidentStore
from responder.workloads.key import WorkloadKey

# Incidents that may have closed since the record was read; more mean a defect.
_MOST_CLOSED_MEANWHILE = 6


async def open_for_held(store: IncidentStore, clock: Clock, record: WorkloadRecord) -> Incident | None:
    """Open an incident for what is held, still fires and was judged under no revision that serves now.

    None when there is nothing such. Where an incident is open, it takes these alerts.
    """
    entries = {
        fingerprint: AlertEntry(labels=held.labels, starts_at=held.starts_at, ends_at=held.ends_at)
        for fingerprint, held in record.spec.outlived().items()
    }
    if not entries:
        return None
    first = record.spec.next_sequence
    for sequence in range(first, first + _MOST_CLOSED_MEANWHILE):
        following = await follow(store, record.key, sequence, entries, clock.now())
        # One that intake opened and that closed since takes nothing any more: the next one does.
        if following is not None and following.phase is not Phase.CLOSED:
            return await _with_late_ends(store, following, record)
    raise Temporary(f"The incidents of {record.key} kept closing while held alerts were written.")


async def _with_late_ends(store: IncidentStore, following: Incident, held: WorkloadRecord) -> Incident:
    """With the ends of what was held that intake noted since: it found no incident yet to write them to."""
    noted = (await store.ensure_record(following.key)).spec.held
    ends = {
        name: entry.model_copy(update={"ends_at": noted[name].ends_at})
        for name, entry in following.spec.alerts.items()
        if name in noted and noted[name].ends_at is not None and name in held.spec.held
        if noted[name].incident == held.spec.held[name].incident
    }
    written = await store.write_alerts(following.key, following.spec.sequence, ends) if ends else None
    return written or following


async def follow_on(
    store: IncidentStore, clock: Clock, key: WorkloadKey, sequence: int, entries: dict[str, AlertEntry]
) -> Incident | None:
    """As follow, beyond incidents that closed meanwhile: what they did not take goes to the next one."""
    for number in range(sequence, sequence + _MOST_CLOSED_MEANWHILE):
        following = await follow(store, key, number, entries, clock.now())
        if following is None or following.phase is not Phase.CLOSED:
            return following
        entries = {name: each for name, each in entries.items() if name not in following.spec.alerts}
        if not entries:
            return following
    raise Temporary(f"The incidents of {key} kept closing while alerts that go on were written.")


async def follow(
    store: IncidentStore,
    key: WorkloadKey,
    sequence: int,
    entries: dict[str, AlertEntry],
    received_at: datetime,
) -> Incident | None:
    """Open the incident of that number with these alerts, or add them to it; None when it is gone."""
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
