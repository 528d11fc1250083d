"""Small tools for API objects as plain dicts: copying, metadata, times as the API writes them.

Everything here is pure. The whole sandbox uses it.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeVar, cast

Object = dict[str, Any]
T = TypeVar("T")
# The last version in which what stands at two places is not one and the same in the copy as well.
_MARSHAL = 2


def copied(value: T) -> T:
    """Return a deep copy of a JSON value.

    By way of bytes, which is faster than a recursion, and far faster than copy.deepcopy. Raises ValueError
    for what is no JSON value.
    """
    return cast(T, marshal.loads(marshal.dumps(cast(Any, value), _MARSHAL)))


def metadata(obj: Object) -> dict[str, Any]:
    """Return the object's metadata, made if absent."""
    found = obj.setdefault("metadata", {})
    assert isinstance(found, dict)
    return found


def name_of(obj: Object) -> str:
    """Return metadata.name, empty if absent."""
    return str(obj.get("metadata", {}).get("name") or "")


def namespace_of(obj: Object) -> str:
    """Return metadata.namespace, empty if absent."""
    return str(obj.get("metadata", {}).get("namespace") or "")


def owner_references(obj: Object) -> list[dict[str, Any]]:
    """Return metadata.ownerReferences, empty if absent."""
    return obj.get("metadata", {}).get("ownerReferences") or []


def finalizers(obj: Object) -> list[str]:
    """Return metadata.finalizers, empty if absent."""
    return obj.get("metadata", {}).get("finalizers") or []


def seconds_text(instant: datetime) -> str:
    """Write an aware UTC instant as metav1.Time does: whole seconds, Z."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def without_nulls(value: Any) -> Any:
    """Return value without members that are null, at any depth: to a typed API null means absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def pod_specs(obj: Object) -> Iterator[dict[str, Any]]:
    """Yield the pod spec of a workload's template, if it has one."""
    template = (obj.get("spec") or {}).get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        yield template["spec"]
