"""The three patch types that change an object in place of replacing it: JSON, merge and strategic merge.

Pure: each takes a document and returns a new one. The server applies them and writes the result.
Source: RFC 6902, RFC 7396, Kubernetes staging/src/k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from responder.sandbox.api.objects import copied
from responder.sandbox.api.status import ApiError, bad_request, unprocessable
from responder.sandbox.api.structure import LIST_KEYS

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_MAX_OPERATIONS = 10_000

# The members that may identify an entry, by the name of the list; other lists are replaced whole.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    **{name: keys[:1] for name, keys in LIST_KEYS.items()},
    "ports": ("containerPort", "port"),
}
_MERGED_SETS = frozenset({"finalizers"})


def apply_json_patch(document: Any, operations: Any) -> Any:
    """Apply an RFC 6902 patch as the API server does: replace of an absent member adds it.

    Raises ApiError 400 for what is no list of operations, 413 above 10,000, and 422 with empty details for
    any step that fails, a test above all.
    """
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else type(operations).__name__
        why = f"json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: {why}")
    if len(operations) > _MAX_OPERATIONS:
        message = (
            f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        )
        raise ApiError(413, "RequestEntityTooLarge", message)
    result = copied(document)
    for operation in operations:
        if not isinstance(operation, dict):
            raise unprocessable()
        _apply_operation(result, operation)
    return result


def _apply_operation(document: Any, operation: dict[str, Any]) -> None:
    path = _pointer(operation.get("path"))
    match operation.get("op"):
        case "add":
            _add(document, path, copied(operation.get("value")))
        case "remove":
            _remove(document, path)
        case "replace":
            parent, last = _parent(document, path)
            if isinstance(parent, list):
                parent[_index(parent, last)] = copied(operation.get("value"))
            else:
                parent[last] = copied(operation.get("value"))
        case "test":
            if not json_equal(_read(document, path), operation.get("value")):
                raise unprocessable()
        case "move":
            source = _pointer(operation.get("from"))
            value = _existing(document, source)
            _remove(document, source)
            _add(document, path, value)
        case "copy":
            _add(document, path, copied(_existing(document, _pointer(operation.get("from")))))
        case _:
            raise unprocessable()


def json_equal(left: Any, right: Any) -> bool:
    """Compare as JSON: types are strict (1 is not true, "1" is not 1), the order of members is not."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(json_equal, left, right))
    return type(left) is type(right) and bool(left == right)


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        raise unprocessable()
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _parent(document: Any, path: list[str]) -> tuple[Any, str]:
    here = document
    for part in path[:-1]:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list):
            here = here[_index(here, part)]
        else:
            raise unprocessable()
    if not isinstance(here, dict | list):
        raise unprocessable()
    return here, path[-1]


def _index(items: list[Any], part: str, *, end: bool = False) -> int:
    if end and part == "-":
        return len(items)
    if not part.isdigit() or int(part) >= len(items) + end:
        raise unprocessable()
    return int(part)


def _add(document: Any, path: list[str], value: Any) -> None:
    parent, last = _parent(document, path)
    if isinstance(parent, list):
        parent.insert(_index(parent, last, end=True), value)
    else:
        parent[last] = value


def _remove(document: Any, path: list[str]) -> None:
    parent, last = _parent(document, path)
    if isinstance(parent, list):
        del parent[_index(parent, last)]
    elif last in parent:
        del parent[last]
    else:
        raise unprocessable()


def _read(document: Any, path: list[str]) -> Any:
    parent, last = _parent(document, path)
    # A member that is absent tests equal to null, as long as what should hold it is there.
    return parent[_index(parent, last)] if isinstance(parent, list) else parent.get(last)


def _existing(document: Any, path: list[str]) -> Any:
    parent, last = _parent(document, path)
    if isinstance(parent, dict) and last not in parent:
        raise unprocessable()
    return _read(document, path)


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """Apply an RFC 7396 patch: null removes a member, a list replaces a list."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


def apply_strategic_merge_patch(document: Any, patch: Any) -> Any:
    """Apply a strategic merge patch to a built-in object: lists with a merge key are merged by it.

    Raises ApiError 500 in the real server's words for an unknown directive or an entry without its key.
    """
    if not isinstance(patch, Mapping):
        return copied(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: copied(value) for name, value in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise ApiError(500, "", f"unknown patch type: {directive} in map: {_go_map(patch)}")
    result = copied(dict(document)) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            target = name.partition("/")[2]
            result[target] = [item for item in result.get(target) or [] if item not in value]
        elif name.startswith("$retainKeys"):
            result = {kept: result[kept] for kept in value if kept in result}
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            merged = _merge_list(name, result.get(name) or [], value)
            result[name] = _ordered(name, merged, patch.get(f"$setElementOrder/{name}"))
        else:
            result[name] = apply_strategic_merge_patch(result.get(name), value)
    return result


def list_merge_keys(name: str) -> tuple[str, ...]:
    """Return the members that may identify the entries of a list of that name, the usual one first."""
    return _MERGE_KEYS.get(name, ())


def merge_key(name: str, entries: list[Any]) -> str | None:
    """Return the member that identifies the entries of a list of that name, None for a plain list."""
    for key in _MERGE_KEYS.get(name, ()):
        if any(isinstance(entry, dict) and key in entry for entry in entries):
            return key
    keys = _MERGE_KEYS.get(name)
    return keys[0] if keys and any(isinstance(entry, dict) for entry in entries) else None


def _merge_list(name: str, present: list[Any], patch: list[Any]) -> list[Any]:
    if name in _MERGED_SETS:
        return [*present, *(item for item in patch if item not in present)]
    key = merge_key(name, [*patch, *present])
    if key is None or {"$patch": "replace"} in patch:
        return [copied(item) for item in patch if item != {"$patch": "replace"}]
    result = list(present)
    for entry in patch:
        if not isinstance(entry, dict) or key not in entry:
            raise ApiError(500, "", f"map: {_go_map(entry)} does not contain declared merge key: {key}")
        place = next((at for at, item in enumerate(result) if item.get(key) == entry[key]), None)
        if entry.get("$patch") == "delete":
            result = [item for item in result if item.get(key) != entry[key]]
        elif place is None:
            result.append(apply_strategic_merge_patch({}, entry))
        else:
            result[place] = apply_strategic_merge_patch(result[place], entry)
    return result


def _ordered(name: str, entries: list[Any], order: Any) -> list[Any]:
    key = merge_key(name, entries)
    if not isinstance(order, list) or key is None:
        return entries
    wanted = [item.get(key) for item in order if isinstance(item, dict)]
    return sorted(
        entries, key=lambda entry: wanted.index(entry[key]) if entry.get(key) in wanted else len(wanted)
    )


def _go_map(value: Any) -> str:
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{name}:{_go_map(item)}" for name, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_go_map, value)) + "]"
    return str(value)
