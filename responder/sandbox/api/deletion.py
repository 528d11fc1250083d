"""How an object is deleted: at once, or marked until finalizers, dependents or a kubelet let go.

Pure. Called by the store. Source: Kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from responder.sandbox.api import status
from responder.sandbox.api.objects import Object, finalizers, name_of, seconds_text
from responder.sandbox.api.resources import Resource

_GRACE_SECONDS = 30
# Their deletion is marked by code of their own, which knows no grace and leaves the generation alone.
_ENDED_BY_THEMSELVES = frozenset({"namespaces", "customresourcedefinitions.apiextensions.k8s.io"})


def begin_deletion(
    resource: Resource, obj: Object, grace_seconds: int, held: list[str], now: datetime
) -> None:
    """Mark obj in place as being deleted; a second deletion may only shorten the grace of the first."""
    meta = obj["metadata"]
    if held:
        meta["finalizers"] = held
    first = not meta.get("deletionTimestamp")
    if first or grace_seconds < meta.get("deletionGracePeriodSeconds", 0):
        meta["deletionTimestamp"] = seconds_text(now + timedelta(seconds=grace_seconds))
        if resource.key not in _ENDED_BY_THEMSELVES:
            meta["deletionGracePeriodSeconds"] = grace_seconds
    if first and meta.get("generation") and resource.key not in _ENDED_BY_THEMSELVES:
        meta["generation"] += 1


def check_preconditions(
    resource: Resource, old: Object, uid: str | None, resource_version: str | None
) -> None:
    meta, name = old["metadata"], name_of(old)
    if uid is not None and uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']})."
            " The object might have been deleted and then recreated"
        )
        raise status.precondition_failed(resource, name, why)
    if resource_version is not None and resource_version != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({resource_version}) does not match the ResourceVersion"
            f" in record ({meta['resourceVersion']}). The object might have been modified"
        )
        raise status.precondition_failed(resource, name, why)


def grace_seconds_of(resource: Resource, obj: Object, asked: int | None) -> int:
    if resource.key != "pods":
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    # Nobody would confirm the end of a Pod that no kubelet runs.
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", _GRACE_SECONDS)) if asked is None else asked


def deletion_finalizers(obj: Object, propagation: str | None) -> list[str]:
    if propagation is None:
        return finalizers(obj)
    held = [name for name in finalizers(obj) if name not in ("foregroundDeletion", "orphan")]
    if propagation == "Foreground":
        held.append("foregroundDeletion")
    if propagation == "Orphan":
        held.append("orphan")
    return held


def is_released(resource: Resource, obj: Object) -> bool:
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return resource.key != "namespaces" or not (obj.get("spec") or {}).get("finalizers")
