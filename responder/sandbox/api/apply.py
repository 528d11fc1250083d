"""Server-side apply: what is applied is merged in and owned by its applier; what others own is a conflict.

Pure. Called by the verbs and subresources.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.call import Call
from responder.sandbox.api.field_sets import (
    Fields,
    Path,
    difference,
    fields_of,
    from_fields,
    path_text,
    to_fields,
)
from responder.sandbox.api.managed_fields import (
    Entries,
    Entry,
    entries_of,
    in_order,
    is_by,
    new_entry,
    without,
)
from responder.sandbox.api.objects import Object, copied, seconds_text
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError, bad_request, required_value
from responder.sandbox.api.structure import Structure, elements
from responder.sandbox.api.target import is_true


@dataclass(frozen=True, slots=True)
class Applier:
    """Who applies to which path, when, and whether what others own is taken from them."""

    manager: str
    api_version: str
    subresource: str
    force: bool
    at: str


def applier_of(call: Call, resource: Resource, now: datetime) -> Applier:
    """Return who applies to an object of resource by this call."""
    return Applier(
        manager=call.manager,
        api_version=resource.api_version,
        subresource=call.target.subresource,
        force=is_true(call.query.get("force")),
        at=seconds_text(now),
    )


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


def owned_part(resource: Resource, applied: Object, subresource: str) -> Object:
    """Return the part of a configuration that a write on this path can set, and so own."""
    if not resource.has_status:
        return applied
    if subresource == "status":
        meta = {} if resource.custom else {"annotations": applied["metadata"].get("annotations") or {}}
        kept = {"metadata": {name: value for name, value in meta.items() if value}}
        return {**kept, "status": applied["status"]} if "status" in applied else dict(kept)
    return {name: value for name, value in applied.items() if name != "status"}


def apply_new(structure: Structure, applied: Object, applier: Applier) -> Entries:
    """Return the managedFields of an object that an apply creates."""
    return [_entry_of(applier, to_fields(fields_of(structure, applied)), applier.at)]


def apply_to(
    structure: Structure, current: Object, applied: Object, owned: Object, applier: Applier
) -> tuple[Object, Entries]:
    """Return current with the configuration applied, and its managedFields after that.

    owned is the part of the configuration that this path can set. What the applier applied before and leaves
    out now goes, unless somebody else owns it too. Raises ApiError 409 naming every field that others own
    and that would change, unless the applier forces it.
    """
    mine, others = _parted(entries_of(current), applier)
    wanted = to_fields(fields_of(structure, owned))
    merged = merge(structure, current, applied)
    if mine is not None:
        theirs = to_fields(path for entry in others for path in from_fields(entry["fieldsV1"]))
        _give_up(structure, merged, mine["fieldsV1"], wanted, theirs)
    found = difference(structure, current, merged)
    conflicts = [(entry, path) for entry in others for path in _shared(entry, found.changed)]
    if conflicts and not applier.force:
        raise _conflict(conflicts)
    unchanged = not found.changed and not found.removed
    if unchanged and mine is not None and mine["fieldsV1"] == wanted:
        return merged, entries_of(current)
    at = str((mine or {}).get("time", "")) if unchanged else applier.at
    kept = [left for entry in others for left in without(entry, found.changed | found.removed)]
    return merged, in_order([*kept, _entry_of(applier, wanted, at)])


def merge(structure: Structure, current: Any, applied: Any) -> Any:
    """Return current with applied merged in: maps by member, lists by their keys, all else replaced."""
    present, given = elements(structure, current), elements(structure, applied)
    if given is None or type(current) is not type(applied) or present is None:
        return copied(applied)
    if isinstance(applied, dict):
        result = dict(current)
        for name, value in applied.items():
            if value is not None:
                result[name] = merge(structure.member(name), current.get(name), value)
        return result
    merged = {element: item for element, (_, item) in present.items()}
    for element, (inner, item) in given.items():
        merged[element] = merge(inner, merged.get(element), item)
    return list(merged.values())


def _give_up(structure: Structure, value: Any, last: Fields, wanted: Fields, theirs: Fields) -> None:
    """Remove from value, in place, what last has and neither wanted nor theirs."""
    parts = elements(structure, value)
    for element, below in last.items():
        if parts is None or element not in parts:
            continue
        inner, item = parts[element]
        if element in wanted or element in theirs:
            fresh = copied(item)
            _give_up(inner, fresh, below, wanted.get(element, {}), theirs.get(element, {}))
            _replace(value, element, item, fresh)
        else:
            _replace(value, element, item, None)


def _replace(value: Any, element: str, item: Any, fresh: Any) -> None:
    if isinstance(value, list):
        at = next(index for index, entry in enumerate(value) if entry is item)
        value[at : at + 1] = [] if fresh is None else [fresh]
    elif fresh is None or (fresh in ({}, []) and item not in ({}, [])):
        del value[element[2:]]
    else:
        value[element[2:]] = fresh


def _parted(entries: Entries, applier: Applier) -> tuple[Entry | None, Entries]:
    mine: Entry | None = None
    others = []
    for entry in entries:
        if is_by(entry, applier.manager, "Apply", applier.subresource):
            mine = entry
        else:
            others.append(entry)
    return mine, others


def _shared(entry: Entry, changed: set[Path]) -> list[Path]:
    return sorted(from_fields(entry["fieldsV1"]) & changed)


def _entry_of(applier: Applier, fields: Fields, at: str) -> Entry:
    return new_entry(applier.manager, "Apply", applier.api_version, at, fields, applier.subresource)


def _conflict(conflicts: Iterable[tuple[Entry, Path]]) -> ApiError:
    named = [(_manager_text(entry), path_text(path)) for entry, path in conflicts]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in named
    ]
    if len(named) == 1:
        ((manager, path),) = named
        words = f"1 conflict: conflict with {manager}: {path}"
    else:
        lines = []
        for manager in sorted({manager for manager, _ in named}):
            lines.append(f"conflicts with {manager}:")
            lines.extend(f"- {path}" for whose, path in named if whose == manager)
        words = f"{len(named)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", f"Apply failed with {words}", {"causes": causes})


def _manager_text(entry: Entry) -> str:
    name = f'"{entry["manager"]}"'
    if entry.get("subresource"):
        name += f' with subresource "{entry["subresource"]}"'
    return name if entry["operation"] == "Apply" else f"{name} using {entry['apiVersion']}"
