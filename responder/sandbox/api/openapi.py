"""The OpenAPI v3 documents that kubectl reads before it applies: which paths take patches, how lists merge.

Pure. They name each kind, the parameters of its PATCH and the merge keys of its lists; prose is left out.
Called by the server. Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from responder.sandbox.api.custom import CustomKind
from responder.sandbox.api.kinds import Kind
from responder.sandbox.api.objects import Object
from responder.sandbox.api.patches import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, list_merge_keys
from responder.sandbox.api.resources import Catalog, Resource
from responder.sandbox.api.typed import struct_fields

_ROOT = "/openapi/v3"
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
_APPLY_PATCH = "application/apply-patch+yaml"
# Lists whose entries keep no member that a patch does not name, and a struct of that sort.
_RETAIN_KEYS = {"volumes": "merge,retainKeys", "strategy": "retainKeys"}
# Never part of what is applied.
_OPAQUE = ("status", "managedFields")
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "intstr": {"type": "string", "format": "int-or-string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
}


def answer_openapi(path: str, catalog: Catalog, kind_of: Callable[[Resource], Kind]) -> Object | str | None:
    """Return the index (as text, as the real server does) or a group version's document, None elsewhere."""
    documents = _group_versions(catalog)
    if path == _ROOT:
        index = {
            where: {"serverRelativeURL": f"{_ROOT}/{where}?hash={_digest(resources)}"}
            for where, resources in sorted(documents.items())
        }
        return json.dumps({"paths": index})
    resources = documents.get(path.removeprefix(f"{_ROOT}/"))
    return None if resources is None else _document(resources, kind_of)


def _group_versions(catalog: Catalog) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for resource in catalog:
        where = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
        found.setdefault(where, []).append(resource)
    return found


def _digest(resources: list[Resource]) -> str:
    return hashlib.sha512(repr(resources).encode()).hexdigest().upper()


def _document(resources: list[Resource], kind_of: Callable[[Resource], Kind]) -> Object:
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for resource in resources:
        paths.update(_path(resource))
        kind = kind_of(resource)
        name = f"{resource.api_version}.{resource.kind}".replace("/", ".")
        schema = dict(kind.schema) if isinstance(kind, CustomKind) else _struct(resource.kind, schemas)
        schemas[name] = {**schema, "x-kubernetes-group-version-kind": [_identity(resource)]}
    info = {"title": "Kubernetes", "version": "v1.36.2"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _path(resource: Resource) -> dict[str, Any]:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    namespace = "/namespaces/{namespace}" if resource.namespaced else ""
    media = [JSON_PATCH, MERGE_PATCH, _APPLY_PATCH]
    if not resource.custom and _is_described(resource.kind, frozenset()):
        # Only where every field can be looked up: else kubectl complains and goes by its own knowledge.
        media.append(STRATEGIC_MERGE_PATCH)
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _PARAMETERS]
    named = {"x-kubernetes-group-version-kind": _identity(resource)}
    patch = {
        **named,
        "x-kubernetes-action": "patch",
        "parameters": parameters,
        "requestBody": {"content": {kind: {"schema": {"type": "object"}} for kind in media}},
        "responses": {"200": {"description": "OK"}},
    }
    create = {**named, "x-kubernetes-action": "post", "parameters": parameters}
    create["responses"] = {"201": {"description": "Created"}}
    collection = f"{root}{namespace}/{resource.plural}"
    return {collection: {"post": create}, f"{collection}/{{name}}": {"patch": patch}}


def _is_described(name: str, seen: frozenset[str]) -> bool:
    fields = struct_fields(name)
    if fields is None:
        return False
    kinds = {
        kind.removeprefix("[]").removeprefix("map:") for field, kind in fields.items() if field not in _OPAQUE
    }
    structs = kinds - _SCALARS.keys() - seen
    return all(_is_described(kind, seen | structs) for kind in structs)


def _identity(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _struct(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    fields = struct_fields(name)
    if fields is None:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "type": "object",
        "properties": {field: _property(field, kind, schemas) for field, kind in fields.items()},
    }


def _property(name: str, kind: str, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = _typed(kind, schemas)
    keys = list_merge_keys(name)
    if keys:
        schema = {"type": "array", "items": schema.get("items", {"type": "object"})}
        schema["x-kubernetes-patch-strategy"] = "merge"
        schema["x-kubernetes-patch-merge-key"] = keys[1] if kind == "[]ServicePort" else keys[0]
    if name in _RETAIN_KEYS:
        schema["x-kubernetes-patch-strategy"] = _RETAIN_KEYS[name]
    return schema


def _typed(kind: str, schemas: dict[str, Any]) -> dict[str, Any]:
    if kind.startswith("[]"):
        return {"type": "array", "items": _typed(kind[2:], schemas)}
    if kind.startswith("map:"):
        return {"type": "object", "additionalProperties": _typed(kind[4:], schemas)}
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if kind == "any":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if kind not in schemas:
        schemas[kind] = {}
        schemas[kind] = _struct(kind, schemas)
    return {"allOf": [{"$ref": f"#/components/schemas/{kind}"}], "default": {}}
