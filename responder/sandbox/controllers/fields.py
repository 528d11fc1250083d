"""Reading what controllers ask of an object most: owners, labels, counts, conditions and times.

Pure, and lenient as Go's zero values are: an absent field reads as empty. Used by every controller here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from responder.sandbox.api.objects import Object, name_of, owner_references


def uid_of(obj: Object) -> str:
    """The object's uid."""
    return str(obj["metadata"].get("uid", ""))


def labels_of(obj: Object) -> dict[str, str]:
    """The object's labels; a template has them as well."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    """The object's annotations."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def status_of(obj: Object) -> Object:
    """The object's status."""
    return obj.get("status") or {}


def is_deleting(obj: Object) -> bool:
    """Whether a deletion has begun that has not ended."""
    return obj["metadata"].get("deletionTimestamp") is not None


def generation_of(obj: Object) -> int:
    """The generation of the object's specification."""
    return int(obj["metadata"].get("generation") or 0)


def observed_generation_of(obj: Object) -> int:
    """The generation that the object's status was computed from."""
    return int(status_of(obj).get("observedGeneration") or 0)


def wanted_replicas(obj: Object) -> int:
    """spec.replicas, which defaults to 1."""
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def count(obj: Object, field: str) -> int:
    """A number in the status, such as availableReplicas; JSON leaves it out when it is 0."""
    return int(status_of(obj).get(field) or 0)


def controller_of(obj: Object) -> Object | None:
    """The owner reference with controller: true, if there is one."""
    for reference in owner_references(obj):
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether owner is the object's controller: by uid alone, for a name can be taken again."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def owner_reference(owner: Object, api_version: str, kind: str) -> Object:
    """The reference a controller puts on what it creates."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def creation_order(obj: Object) -> tuple[str, str]:
    """Sorts the oldest first, and by name within a second."""
    return str(obj["metadata"].get("creationTimestamp", "")), name_of(obj)


def find_condition(obj: Object, kind: str) -> Object | None:
    """The status condition of that type."""
    conditions: Iterable[Object] = status_of(obj).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def parse_time(text: str) -> datetime:
    """The aware UTC instant that a Kubernetes Time or MicroTime tells."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
