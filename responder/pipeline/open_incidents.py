"""The incidents that are not finished, as this replica knows them: by its own intake, and by a watch.

Runs on every replica, so that whichever leads next knows them already. Judges and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import assert_never

import structlog

from responder.clients.kubernetes import Changed, Gap, Kubernetes, Listed, Object, paths
from responder.incidents.model import OPEN_LABEL, Incident, Status, Unreadable, parse_incident
from responder.incidents.phases import Phase
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

Name = tuple[str, str]
Wake = Callable[[Incident], None]


class OpenIncidents:
    """What is open. Whoever leads is woken with each incident that is new or changed."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._known: dict[Name, Incident] = {}
        self._wake: Wake | None = None
        # How far the watch has told; what an answer says of a time before is no news.
        self._heard = 0
        # Why the incidents can't be read, until they were all read once.
        self.listed = False
        self.problem = "the open incidents were not read yet"

    async def run(self) -> None:
        """Follow the incidents that carry the open mark, until cancelled."""
        path = paths.incidents(None)
        async for seen in self._kubernetes.list_watch(path, label_selector=f"{OPEN_LABEL}=true"):
            match seen:
                case Listed():
                    self._heard = _number(seen.resource_version)
                    self._replace([each for each in map(_readable, seen.items) if each is not None])
                case Changed():
                    self._heard = max(self._heard, _number(seen.object["metadata"]["resourceVersion"]))
                    self._change(seen)
                case Gap():
                    self._note_gap(seen)
                case _:
                    assert_never(seen)

    def note(self, incident: Incident) -> None:
        """Take in what intake just wrote, sooner than the watch tells."""
        version = _number(incident.metadata.resource_version)
        if version > self._heard or not version:
            self._know(incident)
        elif self._wake is not None:
            self._wake(incident)

    def is_open(self, key: WorkloadKey, sequence: int) -> bool:
        """True when that incident is known to be open."""
        incident = self._known.get((key.namespace, key.incident_name(sequence)))
        return incident is not None and incident.key == key and incident.phase is not Phase.CLOSED

    def incidents(self) -> list[Incident]:
        """Those that are not closed."""
        return [incident for incident in self._known.values() if incident.phase is not Phase.CLOSED]

    @contextmanager
    def waking(self, wake: Wake) -> Iterator[None]:
        """While the context lasts, call `wake` with everything that is open, and with every change."""
        self._wake = wake
        try:
            for incident in list(self._known.values()):
                wake(incident)
            yield
        finally:
            self._wake = None

    def _replace(self, incidents: list[Incident]) -> None:
        # What intake wrote since the list was made comes by the watch.
        self._known = {}
        self.listed, self.problem = True, ""
        for incident in incidents:
            self._know(incident)

    def _change(self, seen: Changed) -> None:
        incident = _readable(seen.object)
        if seen.type == "DELETED":
            metadata = seen.object["metadata"]
            self._known.pop((metadata["namespace"], metadata["name"]), None)
        elif incident is not None:
            self._know(incident)

    def _know(self, incident: Incident) -> None:
        known = self._known.get(_name(incident))
        incident = incident if known is None else share_spec(incident, known)
        self._known[_name(incident)] = _outline(incident)
        if self._wake is not None:
            self._wake(incident)

    def _note_gap(self, gap: Gap) -> None:
        if not self.listed:
            self.problem = f"are the CRDs applied? {gap.reason}"
            log.error("incidents_out_of_reach", error=gap.reason)


def share_spec(incident: Incident, known: Incident) -> Incident:
    """The incident with the very spec that is known, where that says the same: one copy of many alerts."""
    return incident.model_copy(update={"spec": known.spec}) if incident.spec == known.spec else incident


def _outline(incident: Incident) -> Incident:
    """Without what only the one that drives it needs, and reads anew before it does: there may be many."""
    left_out = {"verdicts": (), "guards": (), "timeline": (), "conditions": ()}
    status = incident.status.model_copy(update=left_out)
    if status == Status():  # then it would pass for one that nobody has worked on
        return incident
    return incident.model_copy(update={"status": status})


def _readable(obj: Object) -> Incident | None:
    """None for one that this version can't read: it must not keep all the others from being driven."""
    try:
        return parse_incident(obj)
    except Unreadable as error:
        log.error("incident_unreadable", error=str(error))
        return None


def _number(version: str) -> int:
    """A resource version as a number; 0 for one that is none.

    Source: Kubernetes KEP-5504: resource versions of one resource compare as integers.
    """
    return int(version) if version.isdecimal() else 0


def _name(incident: Incident) -> Name:
    return incident.metadata.namespace, incident.name
