"""Incidents, records and decisions as custom resources: the only code that reads and writes them.

Every write is idempotent or carries the resourceVersion it was judged on. Called by pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from responder.clients.kubernetes import AlreadyExists, Conflict, Kubernetes, NotFound, Object, paths
from responder.errors import Temporary
from responder.incidents.decision import Decision, decision_name, parse_decision
from responder.incidents.model import (
    API_VERSION,
    OPEN_LABEL,
    WORKLOAD_LABEL,
    AlertEntry,
    Incident,
    Notifications,
    Status,
    WorkloadRef,
    parse_incident,
)
from responder.incidents.phases import check_transition
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec, parse_record
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

# Writers of one object are few (intake, the driver, the ledger); more races than this mean a defect.
_ATTEMPTS = 12


class IncidentStore:
    """Reads and writes Incidents, WorkloadRecords and Decisions. Raises the Kubernetes client's errors."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes

    async def get(self, namespace: str, name: str) -> Incident:
        """The incident as it is now. Raises NotFound."""
        return parse_incident(await self._kubernetes.get(paths.incident(namespace, name)))

    async def open(
        self, key: WorkloadKey, sequence: int, alerts: Mapping[str, AlertEntry], received_at: datetime
    ) -> Incident:
        """Create the workload's incident of that number with these alerts. Raises AlreadyExists."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "Incident",
            "metadata": {
                "name": key.incident_name(sequence),
                "namespace": key.namespace,
                "labels": {OPEN_LABEL: "true", WORKLOAD_LABEL: key.label_value},
            },
            "spec": {
                "workload": {"kind": key.kind, "name": key.name},
                "sequence": sequence,
                "receivedAt": received_at.isoformat(),
                "alerts": _dump_alerts(alerts),
            },
        }
        return parse_incident(await self._kubernetes.create(paths.incidents(key.namespace), body))

    async def write_alerts(
        self, key: WorkloadKey, sequence: int, alerts: Mapping[str, AlertEntry]
    ) -> Incident | None:
        """Merge alerts into the incident of that number; None when there is no such incident.

        An end is never taken back: an entry without one leaves the end that is stored, see AlertEntry.
        That an alert vanished is: whoever writes of it has just seen it, or says that it is gone.
        """
        path = paths.incident(key.namespace, key.incident_name(sequence))
        dumped = {key: {"vanishedAt": None, **entry} for key, entry in _dump_alerts(alerts).items()}
        try:
            answer = await self._kubernetes.merge_patch(path, {"spec": {"alerts": dumped}})
        except NotFound as error:
            if error.resource_missing:
                raise
            return None
        return parse_incident(answer)

    async def record(self, incident: Incident, status: Status) -> Incident:
        """Write the status judged on exactly this incident. Raises Conflict if it has changed since."""
        check_transition(incident.phase, status.phase)
        body = {
            "metadata": {"resourceVersion": incident.metadata.resource_version},
            "status": status.model_dump(mode="json", by_alias=True, exclude={"notifications"}),
        }
        return parse_incident(await self._kubernetes.merge_patch(paths.status(_path(incident)), body))

    async def record_fact(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        """Write what has happened, whatever changed meanwhile: a fact does not depend on what was read."""
        for _ in range(_ATTEMPTS):
            try:
                return await self.record(incident, change(incident.status))
            except Conflict:
                incident = await self.get(incident.metadata.namespace, incident.name)
        raise Temporary(f"Incident {incident.name} changed {_ATTEMPTS} times while its status was written.")

    async def record_notifications(self, incident: Incident, told: Notifications) -> None:
        """Write what was told. The notifier alone writes this part, so it needs no precondition."""
        body = {"status": {"notifications": told.model_dump(mode="json", by_alias=True)}}
        await self._kubernetes.merge_patch(paths.status(_path(incident)), body)

    async def unmark(self, incident: Incident) -> None:
        """Take the mark of an open incident away: nothing is left to do for it."""
        await self._kubernetes.merge_patch(_path(incident), {"metadata": {"labels": {OPEN_LABEL: None}}})

    async def create_decision(self, obj: Object) -> Decision:
        """Store an answer. Raises AlreadyExists when the question was answered before."""
        namespace = str(obj["metadata"]["namespace"])
        return parse_decision(await self._kubernetes.create(paths.decisions(namespace), obj))

    async def get_decision(self, namespace: str, incident: str, digest: str) -> Decision | None:
        """The answer to a question, if there is one."""
        path = paths.decision(namespace, decision_name(incident, digest))
        try:
            return parse_decision(await self._kubernetes.get(path))
        except NotFound as error:
            if error.resource_missing:
                raise
            return None

    async def ensure_record(self, key: WorkloadKey) -> WorkloadRecord:
        """The workload's record, made now if it has none."""
        path = paths.workloadrecord(key.namespace, key.record_name)
        try:
            return parse_record(await self._kubernetes.get(path))
        except NotFound as error:
            if error.resource_missing:
                raise
        spec = WorkloadRecordSpec(workload=WorkloadRef(kind=key.kind, name=key.name))
        body = {
            "apiVersion": API_VERSION,
            "kind": "WorkloadRecord",
            "metadata": {
                "name": key.record_name,
                "namespace": key.namespace,
                "labels": {WORKLOAD_LABEL: key.label_value},
            },
            "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            return parse_record(await self._kubernetes.create(paths.workloadrecords(key.namespace), body))
        except AlreadyExists:
            return parse_record(await self._kubernetes.get(path))

    async def update_record(
        self, key: WorkloadKey, change: Callable[[WorkloadRecordSpec], WorkloadRecordSpec]
    ) -> WorkloadRecord:
        """Change the record on its newest state; written only when something changed.

        `change` is called again after a conflict, so it must be pure.
        """
        for _ in range(_ATTEMPTS):
            record = await self.ensure_record(key)
            spec = change(record.spec)
            if spec == record.spec:
                return record
            try:
                return parse_record(await self._kubernetes.merge_patch(*_record_patch(record, spec)))
            except Conflict:
                continue
        raise Temporary(f"The record of {key} changed {_ATTEMPTS} times while it was written.")


def _record_patch(record: WorkloadRecord, spec: WorkloadRecordSpec) -> tuple[str, Object]:
    """The merge patch from one state of the record to the next; held instances that went are nulled."""
    dumped = spec.model_dump(mode="json", by_alias=True)
    dumped["held"] |= {fingerprint: None for fingerprint in record.spec.held if fingerprint not in spec.held}
    path = paths.workloadrecord(record.metadata.namespace, record.metadata.name)
    return path, {"metadata": {"resourceVersion": record.metadata.resource_version}, "spec": dumped}


def _path(incident: Incident) -> str:
    return paths.incident(incident.metadata.namespace, incident.name)


def _dump_alerts(alerts: Mapping[str, AlertEntry]) -> dict[str, Object]:
    """Alerts for a merge patch: an absent end is left out rather than null, so that it removes nothing."""
    return {
        fingerprint: entry.model_dump(mode="json", by_alias=True, exclude_none=True)
        for fingerprint, entry in alerts.items()
    }
