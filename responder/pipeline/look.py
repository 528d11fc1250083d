"""Judging an incident, or alerts that were never delivered, as it would be judged now. Writes nothing.

The cluster is asked with a client that writes nothing (the undo's dry run apart, which changes nothing), and
a record that is missing is not made. Called by the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from responder.alerts.model import Alert
from responder.clients.kubernetes import Kubernetes, NotFound
from responder.clock import Clock
from responder.incidents.model import (
    AlertEntry,
    Incident,
    IncidentSpec,
    Metadata,
    WorkloadRef,
    record_alert,
)
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec, is_new_instance
from responder.incidents.store import IncidentStore
from responder.pipeline.gather import Gatherer
from responder.rules.decide import Judgement, decide
from responder.rules.model import RuleSet
from responder.term import Term
from responder.workloads.key import WorkloadKey

# No name of a real one; it has to fit into the fence that the dry run sets.
_IMAGINED = "imagined"


def reading_only(kubernetes: Kubernetes) -> Kubernetes:
    """The same API, where every write raises TermOver: a term that is over from the beginning."""
    return kubernetes.during(Term(0.0))


class ReadingStore(IncidentStore):
    """The store of somebody who only looks: a record that is missing is an empty one."""

    async def ensure_record(self, key: WorkloadKey) -> WorkloadRecord:
        """The workload's record, or what it would be if it were made now; nothing is written."""
        found = await self.find_record(key)
        return found or _empty_record(key)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What alerts would do: the incident they would be on, and which of them some incident took before.

    `incident` is None where they need none. `opens` says that it would be a new one.
    """

    incident: Incident | None
    opens: bool
    held: tuple[Alert, ...]


class Look:
    """Judges as the leader does, and leaves no trace.

    An incident that is only imagined counts as received `storm_wait` ago: it waits for no others any more.
    """

    def __init__(
        self,
        store: ReadingStore,
        gatherer: Gatherer,
        rules: RuleSet,
        clock: Clock,
        *,
        storm_wait: timedelta,
    ) -> None:
        self._store = store
        self._gatherer = gatherer
        self._rules = rules
        self._clock = clock
        self._storm_wait = storm_wait

    async def judge(self, incident: Incident) -> Judgement | None:
        """What would be decided about it now; None where nothing is: why_not_judged says why."""
        file = self._rules.file_for(incident.key)
        rules = self._rules.match_any(alert.labels for alert in incident.spec.alerts.values())
        if file is None or not rules or not incident.phase.undecided:
            return None
        firing = self._rules.match_any(alert.labels for alert in incident.firing.values())
        return decide(await self._gatherer.gather(incident, file, rules, firing))

    async def deliver(self, key: WorkloadKey, alerts: Sequence[Alert]) -> Delivered:
        """What taking these alerts of one workload in would do, as intake does it."""
        record = await self._store.ensure_record(key)
        sequence = record.spec.next_sequence
        entries = {alert.fingerprint: record_alert(alert) for alert in alerts}
        held = tuple(a for a in alerts if not is_new_instance(a, record.spec.held.get(a.fingerprint)))
        try:
            there = await self._store.get(key.namespace, key.incident_name(sequence))
        except NotFound:
            there = None
        if there is not None and there.phase is not Phase.CLOSED:
            spec = there.spec.model_copy(update={"alerts": {**there.spec.alerts, **entries}})
            return Delivered(there.model_copy(update={"spec": spec}), opens=False, held=held)
        if there is not None:
            sequence += 1
        fresh = {alert.fingerprint: entries[alert.fingerprint] for alert in alerts if alert not in held}
        incident = self._imagine(key, sequence, fresh) if fresh else None
        return Delivered(incident, opens=incident is not None, held=held)

    def _imagine(self, key: WorkloadKey, sequence: int, alerts: dict[str, AlertEntry]) -> Incident:
        now = self._clock.now()
        spec = IncidentSpec(
            workload=WorkloadRef(kind=key.kind, name=key.name),
            sequence=sequence,
            received_at=now - self._storm_wait,
            alerts=alerts,
        )
        metadata = Metadata(
            name=key.incident_name(sequence),
            namespace=key.namespace,
            uid=_IMAGINED,
            resource_version="",
            creation_timestamp=now,
        )
        return Incident(metadata=metadata, spec=spec)


def why_not_judged(incident: Incident) -> str:
    """Why nothing is decided about an incident that Look.judge does not judge, as a sentence."""
    if incident.phase.undecided:
        return "No rule speaks of its alerts."
    return f"Nothing is left to decide: the incident is {incident.phase}."


def _empty_record(key: WorkloadKey) -> WorkloadRecord:
    # Nothing reads the metadata of a record that is only judged by.
    metadata = {
        "name": key.record_name,
        "namespace": key.namespace,
        "uid": _IMAGINED,
        "resourceVersion": "",
        "creationTimestamp": "1970-01-01T00:00:00Z",
    }
    spec = WorkloadRecordSpec(workload=WorkloadRef(kind=key.kind, name=key.name))
    return WorkloadRecord(metadata=Metadata.model_validate(metadata), spec=spec)
