"""Which parts of an object are owned and merged as one, and what identifies the entries of its lists.

Pure. Server-side apply and the ownership of fields go by it: custom resources by their schemas, built-in
kinds by the names of their fields.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from responder.sandbox.api.schema import Schema

# What identifies the entries of a built-in kind's list, by its name; ports go by where they stand.
LIST_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "addresses": ("type",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_ATOMIC_MAPS = frozenset(
    {
        "selector",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "involvedObject",
        "regarding",
        "related",
        "targetRef",
        "scaleTargetRef",
        "roleRef",
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
    }
)
# What is no pointer in Go is there, if empty, in an object that is yet to be filled.
_EVER_PRESENT = frozenset(
    {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "containers", "resources"}
)
_KEY_DEFAULTS = {"protocol": "TCP"}
_NO_KEYS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """What is known of one place in an object; schema is a custom resource's, None for built-in kinds."""

    schema: Schema | None = field(default=None, repr=False)
    path: tuple[str, ...] = ()

    def member(self, name: str) -> Structure:
        """Return the structure of a map's member."""
        if self.schema is None or (not self.path and name == "metadata"):
            return Structure(None, (*self.path, name))
        properties, more = self.schema.get("properties") or {}, self.schema.get("additionalProperties")
        found = properties.get(name, more if isinstance(more, dict) else {})
        return Structure(found, (*self.path, name))

    def item(self) -> Structure:
        """Return the structure of a list's entries."""
        if self.schema is None:
            return Structure(None, (*self.path, "[]"))
        return Structure(self.schema.get("items") or {}, (*self.path, "[]"))

    def is_atomic_map(self) -> bool:
        """Tell whether a map here is owned as a whole."""
        if self.schema is not None:
            return self.schema.get("x-kubernetes-map-type") == "atomic"
        return bool(self.path) and self.path[-1] in _ATOMIC_MAPS

    def is_set(self) -> bool:
        """Tell whether a list here is a set of plain values."""
        if self.schema is not None:
            return self.schema.get("x-kubernetes-list-type") == "set"
        return self.path == ("metadata", "finalizers")

    def list_keys(self) -> tuple[str, ...]:
        """Return the members that identify the entries of a list here; none where it is owned as a whole."""
        if self.schema is not None:
            keyed = self.schema.get("x-kubernetes-list-type") == "map"
            return tuple(self.schema.get("x-kubernetes-list-map-keys") or ()) if keyed else _NO_KEYS
        name = self.path[-1] if self.path else ""
        if name == "ports":
            # Of an EndpointSlice, where they stand at the top, they are one value.
            in_service = self.path == ("spec", "ports")
            in_container = self.path[-2:-1] == ("[]",)
            return ("port", "protocol") if in_service else ("containerPort", "protocol") * in_container
        return LIST_KEYS.get(name, _NO_KEYS)

    def present_when_empty(self, name: str) -> bool:
        """Tell whether a member is there in an object that nobody has filled yet."""
        if self.schema is None:
            return name in _EVER_PRESENT
        return not self.path and name == "metadata"


def key_element(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """Return the path element that names an entry by its keys: k:{"name":"app"}."""
    named = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    shown = {key: value for key, value in named.items() if value is not None}
    return "k:" + json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def value_element(value: Any) -> str:
    """Return the path element that names a member of a set: v:"x"."""
    return "v:" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def elements(structure: Structure, value: Any) -> dict[str, tuple[Structure, Any]] | None:
    """Return the parts of value that can be owned apart, by path element; None for what is one whole."""
    if isinstance(value, dict):
        if structure.is_atomic_map():
            return None
        return {f"f:{name}": (structure.member(name), item) for name, item in value.items()}
    if not isinstance(value, list):
        return None
    if structure.is_set():
        return {value_element(item): (structure.item(), item) for item in value}
    keys = structure.list_keys()
    if not keys or not all(isinstance(item, dict) for item in value):
        return None
    return {key_element(item, keys): (structure.item(), item) for item in value}
