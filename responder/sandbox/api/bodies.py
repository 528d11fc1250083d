"""Reading request bodies: media types, JSON and YAML, kinds, fields that nobody knows, times that are none.

Pure. Each refusal has the words of the real server. Called by the verbs and subresources.
Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/{create,patch}.go
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from responder.sandbox.api import status
from responder.sandbox.api.call import Call
from responder.sandbox.api.custom import CustomKind
from responder.sandbox.api.kinds import Kind
from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Catalog, Resource
from responder.sandbox.api.status import ApiError, Cause, bad_request, invalid_value
from responder.sandbox.api.typed import UnknownField, WrongType, inspect_types

_MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_TWICE = "\0twice"
_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


def decode_object(
    call: Call, resource: Resource, kind: Kind, catalog: Catalog
) -> tuple[Object, tuple[str, ...]]:
    """Return the object in the body of a create or update, and warnings about fields that were dropped.

    Raises ApiError 400 for what is no such object, 415 for a media type that is not understood.
    """
    obj, duplicates = parse_body(call, resource)
    _check_kind(obj, resource, catalog)
    if not isinstance(obj.get("metadata") or {}, dict):
        why = f"json: cannot unmarshal into Go struct field {resource.kind}.metadata of type v1.ObjectMeta"
        raise bad_request(f"{_cannot(resource, obj)}: {why}")
    obj["metadata"] = obj.get("metadata") or {}
    unknown, fault = _inspect(resource, kind, obj)
    if fault:
        raise bad_request(f"{_cannot(resource, obj)}: {fault}")
    faults = [f'unknown field "{path}"' for path in unknown]
    faults += [f'duplicate field "{path}"' for path in duplicates]
    if faults and call.field_validation == "Strict":
        raise bad_request(f"{_cannot(resource, obj)}: {_strict_words(faults)}")
    return obj, tuple(faults) if call.field_validation == "Warn" else ()


def parse_body(call: Call, resource: Resource) -> tuple[Object, list[str]]:
    """Return the body as an object, and the paths of members that stand in it twice."""
    if call.content_type not in ("", *_MEDIA_TYPES[:2]):
        raise status.unsupported_media_type(_MEDIA_TYPES)
    duplicates: list[str] = []
    try:
        if call.content_type == _MEDIA_TYPES[1]:
            obj = yaml.safe_load(call.body)
        else:
            obj, duplicates = parse_json(call.body)
    except (ValueError, yaml.YAMLError) as error:
        shown = call.body.decode(errors="replace") or "<empty>"
        what = f"the object provided is unrecognized (must be of type {resource.kind})"
        raise bad_request(
            f"{what}: couldn't get version/kind; json parse error: {go_json_error(error)} ({shown})"
        ) from None
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    return obj, duplicates


def json_object(text: bytes) -> Object:
    """Return the JSON object that text is, an empty one for no text; ApiError 400 for anything else."""
    try:
        body = json.loads(text or b"{}")
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal into an object"
        )
    return body


def parse_patch(call: Call) -> Any:
    """Return the body of a patch; ApiError 400 when it is malformed."""
    try:
        if call.content_type == "application/apply-patch+yaml":
            return yaml.safe_load(call.body)
        return json.loads(call.body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding patch: {go_json_error(error)}") from None


def check_patched(
    call: Call, resource: Resource, kind: Kind, obj: Object, catalog: Catalog
) -> tuple[str, ...]:
    """Drop unknown fields from a patched object, in place, and return the warnings about them.

    Raises ApiError 422, which carries the whole object in its message as the real one does.
    """
    strict = call.field_validation == "Strict"
    # As it is before unknown fields are dropped. A custom resource's patch is refused for those alone.
    whole = "" if resource.custom and not strict else _text_of(obj)
    unknown, fault = _inspect(resource, kind, obj)
    if resource.custom:
        _check_custom_kind(call, resource, obj)
    else:
        fault = _kind_fault(obj, resource, catalog) or fault
    faults = tuple(f'unknown field "{path}"' for path in unknown)
    if not fault and faults and strict:
        fault = _strict_words(faults)
    if fault:
        text = f"Invalid value: {json.dumps(whole, ensure_ascii=False)}: {fault}"
        details = {"causes": [{"reason": "FieldValueInvalid", "message": text, "field": "patch"}]}
        raise ApiError(422, "Invalid", f' "" is invalid: {Cause("", text, "patch")}', details)
    return faults if call.field_validation == "Warn" else ()


def _inspect(resource: Resource, kind: Kind, obj: Object) -> tuple[list[str], str]:
    """Remove unknown fields in place; return their paths, and what is wrong with a type ("" if nothing)."""
    if isinstance(kind, CustomKind):
        return kind.prune(obj), ""
    findings = [] if resource.custom else list(inspect_types(resource.kind, obj))
    unknown = [finding.path for finding in findings if isinstance(finding, UnknownField)]
    wrong = next((finding.words for finding in findings if isinstance(finding, WrongType)), "")
    return unknown, wrong


def _text_of(obj: Object) -> str:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False)


def _strict_words(faults: Sequence[str]) -> str:
    return "strict decoding error: " + ", ".join(faults)


def parse_json(text: bytes) -> tuple[Any, list[str]]:
    """Return the JSON document and the paths of members that stand in it twice (the last one counts)."""
    twice = False

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        built = dict(pairs)
        if len(built) < len(pairs):
            twice = True
            names = [name for name, _ in pairs]
            built[_TWICE] = sorted({name for name in names if names.count(name) > 1})
        return built

    document = json.loads(text, object_pairs_hook=build)
    return document, list(_collect_twice(document, "")) if twice else []


def _collect_twice(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{path}{name}" for name in value.pop(_TWICE, ()))
        for name, item in value.items():
            yield from _collect_twice(item, f"{path}{name}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _collect_twice(item, f"{path.rstrip('.')}[{index}].")


def go_json_error(error: Exception) -> str:
    """Say what Go's JSON parser would say of a malformed document."""
    if isinstance(error, json.JSONDecodeError) and error.pos < len(error.doc):
        return f"invalid character '{error.doc[error.pos]}' looking for beginning of value"
    return "unexpected end of JSON input" if isinstance(error, ValueError) else str(error)


def _check_kind(obj: Object, resource: Resource, catalog: Catalog) -> None:
    api_version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if resource.custom and (api_version, kind) != (resource.api_version, resource.kind):
        expected = (
            resource.api_version if kind == resource.kind else f"{resource.api_version}, {resource.kind}"
        )
        found = api_version if kind == resource.kind else f"{api_version}, {kind}"
        raise bad_request(
            f"the API version in the data ({found}) does not match the expected API version ({expected})"
        )
    fault = _kind_fault(obj, resource, catalog)
    if fault:
        cannot = f'{kind} in version "{_version(api_version)}" cannot be handled as a {resource.kind}'
        raise bad_request(f"{cannot}: {fault}")


def _kind_fault(obj: Object, resource: Resource, catalog: Catalog) -> str:
    """Say why what calls itself so can't be read as one of a built-in kind ("" if it can)."""
    api_version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if (api_version, kind) == (resource.api_version, resource.kind):
        return ""
    if catalog.by_kind(api_version, kind) is None:
        return f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"'
    wanted = f"{resource.group or 'core'}.{resource.kind}"
    return f"converting ({_version(api_version)}.{kind}) to ({wanted}): unknown conversion"


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _check_custom_kind(call: Call, resource: Resource, obj: Object) -> None:
    """Source: apiextensions-apiserver pkg/registry/customresource/validator.go, ValidateTypeMeta."""
    wanted = {"kind": resource.kind, "apiVersion": resource.api_version}
    causes = [
        invalid_value(member, obj.get(member) or "", f"must be {value}")
        for member, value in wanted.items()
        if obj.get(member) != value
    ]
    if causes:
        raise status.invalid(resource, call.target.name, causes)


def _cannot(resource: Resource, obj: Object) -> str:
    kind = obj.get("kind") or resource.kind
    return f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
