"""What has to hold before an object is written: its namespace, its locks, the rules of its kind.

Pure. Called by the store; each refusal has the real server's words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from responder.sandbox.api import status
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError, Cause

# Source: etcd server/embed/config.go DefaultMaxRequestBytes.
_LARGEST_OBJECT_BYTES = 1536 * 1024


def check_namespace(resource: Resource, new: Object, namespaces: Resource, namespace: Object | None) -> None:
    """Return when new may be created in namespace (None: there is none); ApiError 404 or 403 otherwise."""
    name = namespace_of(new)
    if namespace is None:
        raise status.not_found(namespaces, name)
    if namespace["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {name} because it is being terminated"
        cause = Cause("NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace")
        raise status.forbidden(resource, name_of(new), why, cause)


def check_locks(resource: Resource, new: Object, old: Object) -> None:
    """Return when uid and resourceVersion of new are those of old, or left out; ApiError 409 otherwise.

    422 where a resource must name the version that it replaces.
    """
    meta, kept, name = new["metadata"], old["metadata"], name_of(old)
    if meta.get("uid") and meta["uid"] != kept["uid"]:
        group = f"{resource.group}/" if resource.custom else ""
        path = f"/registry/{group}{resource.plural}/{namespace_of(old)}/{name}"
        why = (
            f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg:"
            f" Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {kept['uid']}"
        )
        raise status.conflict(resource, name, why)
    version = str(meta.get("resourceVersion") or "")
    if not version:
        if not resource.unconditional_update:
            cause = status.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise status.invalid(resource, name, [cause], by_resource=True)
    elif not version.isdigit():
        raise ApiError(500, "", f'strconv.ParseUint: parsing "{version}": invalid syntax')
    elif version != kept["resourceVersion"]:
        raise status.conflict(resource, name)


def check_size(obj: Object) -> None:
    """Return when etcd takes an object so large; ApiError 500 otherwise, as little as the real server says.

    Measured is the JSON: the protobuf of built-in objects is somewhat shorter.
    """
    if len(json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()) > _LARGEST_OBJECT_BYTES:
        raise ApiError(500, "", "etcdserver: request is too large")


def refuse_invalid(resource: Resource, obj: Object, causes: Sequence[Cause]) -> None:
    """Return when there are no causes; ApiError 422 with them otherwise."""
    if causes:
        raise status.invalid(resource, name_of(obj), causes)
