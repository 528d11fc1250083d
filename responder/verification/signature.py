"""What must not change while the traffic claim is held: a mark for each object that bears on it. Pure.

Taken of whole snapshots, and compared with single watch events, so that a change between two looks is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from responder.verification.claim import Claim
from responder.verification.services import relevant_services, workload_label_sets
from responder.verification.snapshot import Snapshot
from responder.workloads.revision import ControllerRevision, ReplicaSet
from responder.workloads.views import EndpointSlice, Object, Pod, Service
from responder.workloads.workload import HASH_LABELS, Workload, parse_workload

Kind = Literal["Workload", "Revision", "Pod", "Service", "EndpointSlice"]
Mark = tuple[object, ...]

_UNHEEDED = frozenset({"observedGeneration", "collisionCount"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of the namespace bear on the claim."""

    claim: Claim
    owner_uids: frozenset[str]
    selecting: tuple[Service, ...]
    label_sets: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """The marks of all objects in scope, by kind and UID. Two are equal when nothing relevant differs."""

    marks: Mapping[tuple[Kind, str], Mark]
    scope: Scope = field(compare=False, repr=False)

    def changed_by(self, kind: Kind, content: Object, *, deleted: bool) -> bool:
        """True when this object, as an event shows it, is not what the signature says of it."""
        uid = str((content.get("metadata") or {}).get("uid", ""))
        mark = None if deleted else _mark(kind, content, self.scope)
        return self.marks.get((kind, uid)) != mark


def sign(snapshot: Snapshot, claim: Claim) -> Signature:
    """The signature of everything in the snapshot that bears on the claim."""
    scope = Scope(
        claim=claim,
        owner_uids=frozenset({claim.workload_uid, *(each.uid for each in snapshot.history.revisions)}),
        selecting=relevant_services(snapshot, claim),
        label_sets=workload_label_sets(snapshot, claim),
    )
    objects: list[tuple[Kind, Object]] = [
        ("Workload", snapshot.workload.raw),
        *(("Revision", each.raw) for each in snapshot.history.revisions),
        *(("Pod", pod.raw) for pod in snapshot.pods),
        *(("Service", service.raw) for service in snapshot.services),
        *(("EndpointSlice", each.raw) for each in snapshot.slices),
    ]
    marks = {
        (kind, str(content["metadata"]["uid"])): mark
        for kind, content in objects
        if (mark := _mark(kind, content, scope)) is not None
    }
    return Signature(marks, scope)


def _mark(kind: Kind, content: Object, scope: Scope) -> Mark | None:
    """What must not change of one object; None when the object is out of scope."""
    match kind:
        case "Workload":
            return _mark_workload(parse_workload(content), scope)
        case "Revision" if scope.claim.key.kind == "Deployment":
            return _mark_replicaset(ReplicaSet(content), scope)
        case "Revision":
            return _mark_controller_revision(ControllerRevision(content), scope)
        case "Pod":
            return _mark_pod(Pod(content), scope)
        case "Service":
            return _mark_service(Service(content), scope)
        case "EndpointSlice":
            return _mark_slice(EndpointSlice(content), scope)
        case _:
            assert_never(kind)


def _mark_workload(workload: Workload, scope: Scope) -> Mark | None:
    if workload.uid != scope.claim.workload_uid:
        return None
    # Not the generation, nor its observation: any annotator raises them without touching a pod.
    said = {name: value for name, value in workload.status.items() if value and name not in _UNHEEDED}
    counts = frozenset((name, value) for name, value in said.items() if isinstance(value, int | str))
    return (workload.replicas, workload.paused, workload.rolls_on_delete, workload.terminating, counts)


def _mark_replicaset(rs: ReplicaSet, scope: Scope) -> Mark | None:
    if rs.controller_uid != scope.claim.workload_uid:
        return None
    fields = ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
    return (rs.replicas, rs.terminating, *(rs.count(field) for field in fields))


def _mark_controller_revision(revision: ControllerRevision, scope: Scope) -> Mark | None:
    if revision.controller_uid != scope.claim.workload_uid:
        return None
    return (revision.number, revision.terminating)


def _mark_pod(pod: Pod, scope: Scope) -> Mark | None:
    owned = pod.controller_uid in scope.owner_uids
    if not owned and not any(service.selects(pod.labels) for service in scope.selecting):
        return None
    phase, named = pod.status.get("phase"), pod.labels.get(HASH_LABELS[scope.claim.key.kind])
    return (pod.controller_uid, named, phase, pod.ready, pod.ready_since, pod.restarts, pod.terminating)


def _mark_service(service: Service, scope: Scope) -> Mark | None:
    named = service.name in scope.claim.services
    if not named and not any(map(service.selects, scope.label_sets)):
        return None
    selector, ports = frozenset(service.selector.items()), frozenset(service.ports.items())
    kind = service.spec.get("type")
    return (service.name, selector, ports, service.ip_families, kind, service.terminating)


def _mark_slice(each: EndpointSlice, scope: Scope) -> Mark | None:
    if each.service not in {service.name for service in scope.selecting}:
        return None
    return (each.service, each.address_type, each.ports, frozenset(each.endpoints))
