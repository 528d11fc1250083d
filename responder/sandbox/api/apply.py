"""Server-side apply in its simple form: what is applied is merged in, and the applier is remembered.

Pure. Ownership of single fields is not kept, so there are no conflicts and nothing is given up.
"""

from __future__ import annotations

from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.call import Call
from responder.sandbox.api.objects import Object, copied
from responder.sandbox.api.patches import apply_strategic_merge_patch
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import bad_request, required_value


def read_applied(call: Call, resource: Resource, body: Any) -> Object:
    """Return the configuration that is applied; ApiError 400 or 422 when it is none."""
    if not call.query.get("fieldManager"):
        cause = required_value("fieldManager", "is required for apply patch")
        raise status.invalid_options("PatchOptions", [cause])
    applied = body if isinstance(body, dict) else {}
    if not applied.get("apiVersion") or not applied.get("kind"):
        group, _, version = str(applied.get("apiVersion") or "/").rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={applied.get('kind') or ''}")
    if (applied["apiVersion"], applied["kind"]) != (resource.api_version, resource.kind):
        raise bad_request(f"invalid object type: {applied['apiVersion']}, Kind={applied['kind']}")
    applied["metadata"] = applied.get("metadata") or {}
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return applied


def merge_applied(current: Object, applied: Object) -> Object:
    """Return current with the applied configuration merged in, lists with known keys by their keys."""
    merged = apply_strategic_merge_patch(current, copied(applied))
    assert isinstance(merged, dict)
    return merged
