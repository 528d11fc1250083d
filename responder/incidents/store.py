"""Incidents, records and decisions as custom resources: the only code that writes them.

Every write is idempotent or carries the resourceVersion it was judged on. Called by pipeline and
cli.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog

from responder.clients.kubernetes import AlreadyExists, Conflict, Kubernetes, NotFound, Object, paths
from responder.errors import Temporary
from responder.incidents.bounds import cut, fit_alert, fit_status
from responder.incidents.decision import Decision, decision_name, parse_decision
from responder.incidents.model import (
    API_VERSION,
    CLOSED_ON_LABEL,
    MAX_OVERFLOW,
    OPEN_LABEL,
    WORKLOAD_LABEL,
    AlertEntry,
    Incident,
    Metadata,
    Status,
    WorkloadRef,
    parse_incident,
)
from responder.incidents.phases import Phase, check_transition
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec, parse_record
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

# Writers of one object are few (intake, the driver, the ledger); more races than this mean a defect.
_ATTEMPTS = 12


# The longest name of an alert that is only named.
_MOST_NAME = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """One object in the API, this one and no later one of its name."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A Decision in the API, and the incident it answers."""

    decision: Stored
    created_at: datetime
    incident: str
    incident_uid: str


class IncidentStore:
    """Reads and writes Incidents, WorkloadRecords and Decisions. Raises the Kubernetes client's errors.

    `count_dropped` is told what had no room in an object: of what kind, and how many.
    """

    def __init__(
        self, kubernetes: Kubernetes, count_dropped: Callable[[str, int], None] | None = None
    ) -> None:
        self._kubernetes = kubernetes
        self._count_dropped = count_dropped

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
                "alerts": self._dump_alerts(alerts),
            },
        }
        return parse_incident(await self._kubernetes.create(paths.incidents(key.namespace), body))

    async def write_alerts(
        self, key: WorkloadKey, sequence: int, alerts: Mapping[str, AlertEntry]
    ) -> Incident | None:
        """Merge alerts into the incident of that number; None when there is no such incident.

        Only news is written, see AlertEntry.after, whatever else is written meanwhile; a closed incident
        takes none. That an alert vanished is taken back by whoever has seen it again.
        """
        for _ in range(_ATTEMPTS):
            try:
                incident = await self.get(key.namespace, key.incident_name(sequence))
                news = _news(incident, alerts)
                if not news or incident.phase is Phase.CLOSED:
                    return incident
                dumped = {
                    name: {"vanishedAt": None, **each} for name, each in self._dump_alerts(news).items()
                }
                version = {"resourceVersion": incident.metadata.resource_version}
                body = {"metadata": version, "spec": {"alerts": dumped}}
                return parse_incident(await self._kubernetes.merge_patch(_path(incident), body))
            except Conflict:
                continue
            except NotFound as error:
                if error.resource_missing:
                    raise
                return None
        name = key.incident_name(sequence)
        raise Temporary(f"Incident {name} changed {_ATTEMPTS} times while alerts were written to it.")

    async def note_overflow(self, incident: Incident, alerts: Mapping[str, str]) -> None:
        """Name the alerts (fingerprint to alertname) that found no room in the incident, each once."""
        new = {
            key: cut(name, _MOST_NAME) for key, name in alerts.items() if key not in incident.spec.overflow
        }
        room = MAX_OVERFLOW - len(incident.spec.overflow)
        fitting = dict(list(new.items())[: max(0, room)])
        if fitting:
            await self._kubernetes.merge_patch(_path(incident), {"spec": {"overflow": fitting}})
        self._count("alert", len(new))

    async def record(self, incident: Incident, status: Status) -> Incident:
        """Write the status judged on exactly this incident. Raises Conflict if it has changed since.

        Each new line of the timeline is logged as soon as it stands.
        """
        check_transition(incident.phase, status.phase)
        status = fit_status(incident, status)
        body = {
            "metadata": {"resourceVersion": incident.metadata.resource_version},
            "status": status.model_dump(mode="json", by_alias=True, exclude={"notifications"}),
        }
        recorded = parse_incident(await self._kubernetes.merge_patch(paths.status(_path(incident)), body))
        before = incident.status.dropped
        self._count("timeline_line", status.dropped.timeline_lines - before.timeline_lines)
        self._count("verdict", status.dropped.verdicts - before.verdicts)
        # Whoever takes a click writes as well, and has no incident bound to what it logs.
        name = f"{incident.metadata.namespace}/{incident.name}"
        for line in status.timeline:
            if line not in incident.status.timeline:
                log.info("incident_step", incident=name, step=line.event, message=line.message)
        return recorded

    async def record_fact(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        """Write what has happened, whatever changed meanwhile: a fact does not depend on what was read."""
        for _ in range(_ATTEMPTS):
            try:
                return await self.record(incident, change(incident.status))
            except Conflict as conflict:
                incident = await self._newest(incident, conflict)
        raise Temporary(f"Incident {incident.name} changed {_ATTEMPTS} times while its status was written.")

    async def _newest(self, incident: Incident, conflict: Conflict) -> Incident:
        """The incident as it is now. Raises the conflict where another one has its name by now."""
        newest = await self.get(incident.metadata.namespace, incident.name)
        if newest.metadata.uid != incident.metadata.uid:
            raise conflict
        return newest

    async def record_told(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        """Write the notifications and conditions that `change` makes of the newest status, nothing else.

        It is called again after a conflict, so it must be pure: what another one told is never overwritten.
        """
        for _ in range(_ATTEMPTS):
            status = change(incident.status).model_dump(
                mode="json", by_alias=True, include={"notifications", "conditions"}
            )
            body = {"metadata": {"resourceVersion": incident.metadata.resource_version}, "status": status}
            try:
                return parse_incident(await self._kubernetes.merge_patch(paths.status(_path(incident)), body))
            except Conflict as conflict:
                incident = await self._newest(incident, conflict)
        raise Temporary(
            f"Incident {incident.name} changed {_ATTEMPTS} times while what was told was written."
        )

    async def unmark(self, incident: Incident) -> None:
        """Take the mark of an open incident away, as nothing is left to do for it, and say when it closed."""
        closed_at = incident.status.times.closed_at or incident.metadata.creation_timestamp
        labels = {OPEN_LABEL: None, CLOSED_ON_LABEL: closed_at.astimezone(UTC).date().isoformat()}
        await self._kubernetes.merge_patch(_path(incident), {"metadata": {"labels": labels}})

    async def list_closed_before(self, day: date, today: date, most: int) -> list[Stored]:
        """At most so many finished incidents, of all namespaces, that closed before that day.

        The server leaves out those that closed since, however many there are: no label can be compared with
        "less than", so every later day is named.
        """
        kept = [(day + timedelta(days=n)).isoformat() for n in range((today - day).days + 2)]
        selector = f"{CLOSED_ON_LABEL},{CLOSED_ON_LABEL} notin ({','.join(kept)}),!{OPEN_LABEL}"
        listed = await self._kubernetes.list(paths.incidents(None), label_selector=selector, most=most)
        return [_stored(item) for item in listed.items if _closed_before(item, day)]

    async def delete_incident(self, incident: Stored) -> None:
        """Delete it. Raises NotFound when it is gone, Conflict when another one has its name."""
        await self._kubernetes.delete(paths.incident(incident.namespace, incident.name), uid=incident.uid)

    async def list_answers(self, portion: int) -> AsyncIterator[list[Answer]]:
        """Every Decision, of all namespaces, also those that can't be read as one; so many at a time."""
        async for items in self._kubernetes.pages(paths.decisions(None), limit=portion):
            yield [_answer(item) for item in items]

    async def has_incident(self, answer: Answer) -> bool:
        """Whether the incident that was answered is there, and is not being deleted."""
        try:
            found = await self._kubernetes.get(paths.incident(answer.decision.namespace, answer.incident))
        except paths.InvalidName:
            return False
        except NotFound as error:
            if error.resource_missing:
                raise
            return False
        metadata = found["metadata"]
        return metadata["uid"] == answer.incident_uid and "deletionTimestamp" not in metadata

    async def delete_answer(self, answer: Answer) -> None:
        """Delete the Decision. Raises NotFound when it is gone, Conflict when another one has its name."""
        decision = answer.decision
        await self._kubernetes.delete(paths.decision(decision.namespace, decision.name), uid=decision.uid)

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

    async def find_record(self, key: WorkloadKey) -> WorkloadRecord | None:
        """The workload's record, None when it has none yet."""
        try:
            return parse_record(await self._kubernetes.get(_record_path(key)))
        except NotFound as error:
            if error.resource_missing:
                raise
            return None

    async def ensure_record(self, key: WorkloadKey) -> WorkloadRecord:
        """The workload's record, made now if it has none."""
        found = await self.find_record(key)
        if found is not None:
            return found
        spec = WorkloadRecordSpec(
            workload=WorkloadRef(kind=key.kind, name=key.name), next_sequence=await self._find_next(key)
        )
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
            return parse_record(await self._kubernetes.get(_record_path(key)))

    async def _find_next(self, key: WorkloadKey) -> int:
        """The number of the workload's last incident while that is open, else the next one.

        Incidents outlive a record that somebody deleted, and none of them is opened again.
        """
        listed = await self._kubernetes.list(
            paths.incidents(key.namespace),
            label_selector=f"{WORKLOAD_LABEL}={key.label_value}",
            metadata_only=True,
        )
        following = 1
        for item in listed.items:
            metadata = Metadata.model_validate(item["metadata"])
            number = metadata.name.rpartition("-")[2]
            if number.isdecimal():  # somebody may have made one by another name
                following = max(following, int(number) + (OPEN_LABEL not in metadata.labels))
        return following

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
                written = parse_record(await self._kubernetes.merge_patch(*_record_patch(record, spec)))
            except Conflict:
                continue
            self._count("held", spec.held_dropped - record.spec.held_dropped)
            return written
        raise Temporary(f"The record of {key} changed {_ATTEMPTS} times while it was written.")

    def _dump_alerts(self, alerts: Mapping[str, AlertEntry]) -> dict[str, Object]:
        """Alerts for a merge patch: an absent end is left out, not null, so that it removes nothing."""
        fitted = {fingerprint: fit_alert(entry) for fingerprint, entry in alerts.items()}
        self._count("label", sum(each.dropped - alerts[key].dropped for key, each in fitted.items()))
        return {
            fingerprint: entry.model_dump(mode="json", by_alias=True, exclude_none=True)
            for fingerprint, entry in fitted.items()
        }

    def _count(self, what: str, number: int) -> None:
        if self._count_dropped is not None and number > 0:
            self._count_dropped(what, number)


def _record_patch(record: WorkloadRecord, spec: WorkloadRecordSpec) -> tuple[str, Object]:
    """The merge patch from one state of the record to the next; held instances that went are nulled."""
    dumped = spec.model_dump(mode="json", by_alias=True)
    dumped["held"] |= {fingerprint: None for fingerprint in record.spec.held if fingerprint not in spec.held}
    path = paths.workloadrecord(record.metadata.namespace, record.metadata.name)
    return path, {"metadata": {"resourceVersion": record.metadata.resource_version}, "spec": dumped}


def _record_path(key: WorkloadKey) -> str:
    return paths.workloadrecord(key.namespace, key.record_name)


def _news(incident: Incident, alerts: Mapping[str, AlertEntry]) -> dict[str, AlertEntry]:
    """What the incident says of these alerts from now on, of those of which it says something else."""
    known = incident.spec.alerts
    found = {
        name: known[name].after(fit_alert(entry)) if name in known else entry
        for name, entry in alerts.items()
    }
    return {name: entry for name, entry in found.items() if entry != known.get(name)}


def _path(incident: Incident) -> str:
    return paths.incident(incident.metadata.namespace, incident.name)


def _stored(obj: Object) -> Stored:
    metadata = obj["metadata"]
    return Stored(str(metadata["namespace"]), str(metadata["name"]), str(metadata["uid"]))


def _closed_before(obj: Object, day: date) -> bool:
    """By the mark, which a person may have written: what is no date, or is not closed, stays."""
    try:
        closed_on = date.fromisoformat(obj["metadata"]["labels"][CLOSED_ON_LABEL])
    except ValueError:
        return False
    return closed_on < day and (obj.get("status") or {}).get("phase") == Phase.CLOSED


def _answer(obj: Object) -> Answer:
    spec = obj.get("spec") or {}
    created_at = datetime.fromisoformat(str(obj["metadata"]["creationTimestamp"]))
    return Answer(_stored(obj), created_at, str(spec.get("incident")), str(spec.get("incidentUid")))
