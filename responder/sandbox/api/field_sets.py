"""Sets of fields: which fields an object has, which differ between two, and how managedFields write them.

Pure. A path is a tuple of elements as FieldsV1 writes them: f:spec, k:{"name":"app"}, v:"x".
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (FieldsV1),
sigs.k8s.io/structured-merge-diff
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from responder.sandbox.api.objects import Object
from responder.sandbox.api.structure import Structure, elements

Path = tuple[str, ...]
Fields = dict[str, Any]
_ITSELF = "."
# The server's own, which nobody manages.
_UNMANAGED = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    }
)


@dataclass(slots=True)
class Difference:
    """The fields that are new or changed, and those that are gone."""

    changed: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def manageable(obj: Object) -> Object:
    """Return obj without what nobody manages: its identity and the server's metadata. Nothing is copied."""
    meta = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _UNMANAGED}
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {**rest, "metadata": meta} if meta else rest


def fields_of(structure: Structure, obj: Object) -> set[Path]:
    """Return the fields that obj sets, as server-side apply counts them."""
    return set(_collect(structure, manageable(obj), ()))


def _collect(structure: Structure, value: Any, path: Path) -> Iterator[Path]:
    parts = elements(structure, value)
    if not parts:
        yield path
        return
    for element, (inner, item) in parts.items():
        where = (*path, element)
        if element[0] != "f":
            yield where
        yield from _collect(inner, item, where)


def difference(structure: Structure, old: Object | None, new: Object) -> Difference:
    """Return how new differs from old; old None is an object that is yet to be filled."""
    found = Difference()
    _compare(structure, manageable(old or {}), manageable(new), (), found)
    return found


def _compare(structure: Structure, old: Any, new: Any, path: Path, found: Difference) -> None:
    if old == new:
        return
    before, after = elements(structure, old), elements(structure, new)
    if before is None and after is None:
        (found.removed if new is None else found.changed).add(path)
        return
    if path and new is None:
        found.removed.add(path)
    elif path and old is None:
        found.changed.add(path)
    before, after = before or {}, after or {}
    for element in before.keys() | after.keys():
        inner, was = before.get(element) or (after[element][0], None)
        _, now = after.get(element) or (inner, None)
        if was is None and old is not None and structure.present_when_empty(element[2:]):
            was = type(now)() if isinstance(now, dict | list) else None
        _compare(inner, was, now, (*path, element), found)


def to_fields(paths: Iterable[Path]) -> Fields:
    """Write a set of paths as FieldsV1."""
    tree: Fields = {}
    for path in sorted(paths):
        here = tree
        for element in path:
            here = here.setdefault(element, {})
        here[_ITSELF] = {}
    return _without_lone_marks(tree)


def _without_lone_marks(tree: Fields) -> Fields:
    if tree.keys() == {_ITSELF}:
        return {}
    return {element: _without_lone_marks(below) for element, below in tree.items()}


def from_fields(tree: Fields) -> set[Path]:
    """Read FieldsV1."""
    return set(_paths(tree, ()))


def _paths(tree: Fields, path: Path) -> Iterator[Path]:
    for element, below in tree.items():
        if element == _ITSELF:
            yield path
        elif below:
            yield from _paths(below, (*path, element))
        else:
            yield (*path, element)


def holds_any(tree: Fields, paths: Iterable[Path]) -> bool:
    """Tell whether FieldsV1 has any of the paths."""
    return any(_holds(tree, path) for path in paths)


def _holds(tree: Fields, path: Path) -> bool:
    here = tree
    for element in path:
        if element not in here:
            return False
        here = here[element]
    return not here or _ITSELF in here


def path_text(path: Path) -> str:
    """Write a path as conflicts name it: .spec.containers[name="app"].image."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, rest = element[0], element[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    keys = json.loads(rest)
    return (
        "[" + ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()) + "]"
    )
