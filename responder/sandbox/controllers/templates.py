"""When two pod templates are the same, and the hash that names a ReplicaSet after its template.

Pure. Equality is semantic, as the API server's Go types have it: a list or map that is empty equals one that
is absent, and quantities compare by value. Called by the Deployment controller.
"""

from __future__ import annotations

import json
from typing import Any

from responder.sandbox.api.normal_form import quantity_value
from responder.sandbox.api.objects import Object

POD_TEMPLATE_HASH = "pod-template-hash"

# Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/rand (letters that spell no words).
_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FNV32_OFFSET, _FNV32_PRIME = 2166136261, 16777619

# Members that Go holds as a map or a plain struct, so that {} and absent are one; elsewhere {} is a pointer
# that is set (emptyDir: {} is a volume, its absence is not).
_EMPTY_EQUALS_ABSENT = frozenset(
    {"metadata", "labels", "annotations", "nodeSelector", "resources", "limits", "requests", "overhead"}
)
_HOLDS_QUANTITIES = frozenset({"limits", "requests", "overhead"})
_IS_QUANTITY = frozenset({"divisor", "sizeLimit"})
_HOLDS_TEXT = frozenset({"labels", "annotations", "nodeSelector", "matchLabels"})


def equal_templates(one: Object, other: Object) -> bool:
    """Whether two pod templates are semantically equal, the pod-template-hash label left aside."""
    return bool(_canonical(one) == _canonical(other))


def template_hash(template: Object, collision_count: int | None) -> str:
    """The hash that ends a ReplicaSet's name and labels its pods.

    Built like the real one (FNV-1a 32, printed in decimal, in the safe letters) but over canonical JSON and
    not over Go's memory layout, so its values differ from a real cluster's.
    Source: Kubernetes pkg/controller/controller_utils.go ComputeHash.
    """
    data = json.dumps(_canonical(template), sort_keys=True, separators=(",", ":")).encode()
    if collision_count is not None:
        data += collision_count.to_bytes(8, "little")
    value = _FNV32_OFFSET
    for byte in data:
        value = ((value ^ byte) * _FNV32_PRIME) & 0xFFFFFFFF
    return "".join(_SAFE_ALPHABET[ord(digit) % len(_SAFE_ALPHABET)] for digit in str(value))


def _canonical(template: Object) -> Any:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != POD_TEMPLATE_HASH}
    bare = {key: value for key, value in metadata.items() if key != "creationTimestamp"}
    return _canonical_value("", "", {**template, "metadata": {**bare, "labels": labels}})


def _canonical_value(parent: str, key: str, value: Any) -> Any:
    if key in _IS_QUANTITY or parent in _HOLDS_QUANTITIES:
        return _canonical_quantity(value)
    if isinstance(value, dict):
        members = {name: _canonical_value(key, name, member) for name, member in value.items()}
        return {
            name: member
            for name, member in members.items()
            if key in _HOLDS_TEXT or not _equals_absent(name, member)
        }
    if isinstance(value, list):
        return [_canonical_value(key, "", item) for item in value]
    return value


def _equals_absent(name: str, value: Any) -> bool:
    if value is None or value == []:
        return True
    if name in _IS_QUANTITY:
        return bool(value == "0")
    return value == {} and name in _EMPTY_EQUALS_ABSENT


def _canonical_quantity(value: Any) -> str:
    """The quantity's exact value in plain digits; what is no quantity stays as it is written."""
    amount = quantity_value(value)
    if amount is None:
        return str(value)
    return format(amount.normalize(), "f") if amount else "0"
