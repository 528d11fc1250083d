"""What outlives an incident in its workload's record: the undo that was done, the revision left alone.

Each is written before the incident's own next step, and may be repeated after a crash. Called by respond.
"""

from __future__ import annotations

from datetime import datetime

from responder.incidents.model import Incident
from responder.incidents.record import WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.workloads.ledger import KnownBad, LeftAlone, RollbackDone

# A record keeps this many of each; the oldest go.
_MOST_REMEMBERED = 50


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
