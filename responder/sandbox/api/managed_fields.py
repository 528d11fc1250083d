"""Who owns which fields of an object: the managedFields entries that a real server keeps.

Pure. A field set that stands in an entry is never changed in place.
The store notes every write here; apply.py asks who owns what.
"""

from __future__ import annotations

from typing import Any, Literal

from responder.sandbox.api.field_sets import difference, from_fields, holds_any, to_fields
from responder.sandbox.api.objects import Object
from responder.sandbox.api.structure import Structure

Entry = dict[str, Any]
Entries = list[Entry]
Operation = Literal["Apply", "Update"]
_LIMIT = 50


def new_entry(
    manager: str, operation: Operation, api_version: str, at: str, fields: dict[str, Any], subresource: str
) -> Entry:
    """Return the entry of one manager; at is empty where a manager took fields as they were."""
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "subresource": subresource,
    }
    return {name: value for name, value in entry.items() if value != ""}


def entries_of(obj: Object | None) -> Entries:
    """Return metadata.managedFields, empty if absent."""
    return ((obj or {}).get("metadata") or {}).get("managedFields") or []


def is_by(entry: Entry, manager: str, operation: Operation, subresource: str) -> bool:
    """Tell whether an entry is that of manager, writing in this way."""
    named = (entry["manager"], entry["operation"], entry.get("subresource", ""))
    return named == (manager, operation, subresource)


def in_order(entries: Entries) -> Entries:
    """Return entries as the server lists them: those of Apply first, then by time and name."""
    ordered = sorted(entries, key=lambda entry: (entry["operation"], entry.get("time", ""), entry["manager"]))
    return ordered[-_LIMIT:]


def record_manager(
    new: Object,
    old: Object | None,
    structure: Structure,
    manager: str,
    api_version: str,
    at: str,
    subresource: str = "",
) -> None:
    """Note in new that manager wrote it: what changed is now the manager's and nobody else's."""
    found = difference(structure, old, new)
    entries = []
    owned = set()
    for entry in entries_of(old):
        if is_by(entry, manager, "Update", subresource):
            owned = from_fields(entry["fieldsV1"])
            continue
        entries.extend(without(entry, found.changed | found.removed))
    fields = to_fields((owned - found.removed) | found.changed)
    entries.append(new_entry(manager, "Update", api_version, at, fields, subresource))
    named = in_order([entry for entry in entries if entry["fieldsV1"]])
    new["metadata"]["managedFields"] = named
    if not named:
        del new["metadata"]["managedFields"]


def without(entry: Entry, paths: set[tuple[str, ...]]) -> Entries:
    """Return the entry less the paths; nothing when none are left."""
    if not holds_any(entry["fieldsV1"], paths):
        return [entry]
    left = from_fields(entry["fieldsV1"]) - paths
    return [{**entry, "fieldsV1": to_fields(left)}] if left else []
