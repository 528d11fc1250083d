"""Reading request bodies: media types, JSON and YAML, kinds, fields that nobody knows, times that are none.

Pure. Each refusal has the words of the real server. Called by the verbs.
Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/{create,patch}.go
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from responder.sandbox.api import status
from responder.sandbox.api.call import Call
from responder.sandbox.api.custom import CustomKind
from responder.sandbox.api.kinds import Kind
from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Catalog, Resource
from responder.sandbox.api.status import ApiError, Cause, bad_request

_MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_MICRO_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})")
_MICRO_TIME_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_MICRO_TIMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "leases.coordination.k8s.io": (("spec", "acquireTime"), ("spec", "renewTime")),
    "events": (("eventTime",), ("series", "lastObservedTime")),
    "events.events.k8s.io": (("eventTime",), ("series", "lastObservedTime")),
}
_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


def decode_object(
    call: Call, resource: Resource, kind: Kind, catalog: Catalog
) -> tuple[Object, tuple[str, ...]]:
    """Return the object in the body of a create or update, and warnings about fields that were dropped.

    Raises ApiError 400 for what is no such object, 415 for a media type that is not understood.
    """
    obj = parse_body(call, resource)
    _check_kind(obj, resource, catalog)
    if not isinstance(obj.get("metadata", {}), dict):
        raise bad_request(f"{_cannot(resource, obj)}: json: cannot unmarshal into Go struct field metadata")
    obj["metadata"] = obj.get("metadata") or {}
    fault = type_fault(resource, obj)
    if fault:
        raise bad_request(f"{_cannot(resource, obj)}: {fault}")
    unknown = drop_unknown(kind, obj)
    if unknown and call.field_validation == "Strict":
        raise bad_request(f"{_cannot(resource, obj)}: {strict_words(unknown)}")
    return obj, warnings_about(unknown, call)


def parse_body(call: Call, resource: Resource) -> Object:
    """Return the body as a JSON object."""
    if call.content_type not in ("", *_MEDIA_TYPES[:2]):
        raise status.unsupported_media_type(_MEDIA_TYPES)
    try:
        obj = yaml.safe_load(call.body) if call.content_type == _MEDIA_TYPES[1] else json.loads(call.body)
    except (ValueError, yaml.YAMLError) as error:
        shown = call.body.decode(errors="replace") or "<empty>"
        what = f"the object provided is unrecognized (must be of type {resource.kind})"
        raise bad_request(
            f"{what}: couldn't get version/kind; json parse error: {go_json_error(error)} ({shown})"
        ) from None
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    return obj


def parse_patch(call: Call) -> Any:
    """Return the body of a patch; ApiError 400 when it is malformed."""
    try:
        if call.content_type == "application/apply-patch+yaml":
            return yaml.safe_load(call.body)
        return json.loads(call.body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding patch: {go_json_error(error)}") from None


def check_patched(call: Call, resource: Resource, kind: Kind, obj: Object) -> tuple[str, ...]:
    """Drop unknown fields from a patched object, in place, and return the warnings about them.

    Raises ApiError 422, which carries the whole object in its message as the real one does.
    """
    whole = json.dumps(obj, separators=(",", ":"), ensure_ascii=False)
    fault = type_fault(resource, obj)
    unknown = drop_unknown(kind, obj)
    if not fault and unknown and call.field_validation == "Strict":
        fault = strict_words(unknown)
    if fault:
        text = f"Invalid value: {json.dumps(whole, ensure_ascii=False)}: {fault}"
        details = {"causes": [{"reason": "FieldValueInvalid", "message": text, "field": "patch"}]}
        raise ApiError(422, "Invalid", f' "" is invalid: {Cause("", text, "patch")}', details)
    return warnings_about(unknown, call)


def type_fault(resource: Resource, obj: Object) -> str:
    """Return what is wrong with the types of obj in the words of Go's decoder, "" if nothing."""
    for path in _MICRO_TIMES.get(resource.key, ()):
        value: Any = obj
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and (why := _micro_time_fault(value)):
            return f'parsing time "{value}" as "{_MICRO_TIME_LAYOUT}": cannot parse {why}'
    return ""


def drop_unknown(kind: Kind, obj: Object) -> list[str]:
    """Remove in place the fields that the kind does not know, and return their paths."""
    return kind.prune(obj) if isinstance(kind, CustomKind) else []


def strict_words(unknown: list[str]) -> str:
    """Say which fields are unknown, as an error."""
    return "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)


def warnings_about(unknown: list[str], call: Call) -> tuple[str, ...]:
    """Return a warning for each unknown field, unless the client would not have them."""
    if call.field_validation != "Warn":
        return ()
    return tuple(f'unknown field "{path}"' for path in unknown)


def go_json_error(error: Exception) -> str:
    """Say what Go's JSON parser would say of a malformed document."""
    if isinstance(error, json.JSONDecodeError) and error.pos < len(error.doc):
        return f"invalid character '{error.doc[error.pos]}' looking for beginning of value"
    return "unexpected end of JSON input" if isinstance(error, ValueError) else str(error)


def _check_kind(obj: Object, resource: Resource, catalog: Catalog) -> None:
    api_version, kind = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if (api_version, kind) == (resource.api_version, resource.kind):
        return
    if resource.custom:
        expected = (
            resource.api_version if kind == resource.kind else f"{resource.api_version}, {resource.kind}"
        )
        found = api_version if kind == resource.kind else f"{api_version}, {kind}"
        raise bad_request(
            f"the API version in the data ({found}) does not match the expected API version ({expected})"
        )
    version = api_version.rpartition("/")[2]
    cannot = f'{kind} in version "{version}" cannot be handled as a {resource.kind}'
    if catalog.by_kind(api_version, kind) is None:
        why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"'
    else:
        why = (
            f"converting ({version}.{kind}) to ({resource.group or 'core'}.{resource.kind}):"
            " unknown conversion"
        )
    raise bad_request(f"{cannot}: {why}")


def _cannot(resource: Resource, obj: Object) -> str:
    kind = obj.get("kind") or resource.kind
    return f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}'


def _micro_time_fault(text: str) -> str:
    found = _MICRO_TIME.fullmatch(text)
    if found is None:
        return f'"{text}" as "2006"'
    _, fraction, zone = found.groups()
    if fraction is None or len(fraction) < 7:
        return f'"{fraction or ""}{zone}" as ".000000"'
    return f'"{fraction[7:]}{zone}" as "Z07:00"' if len(fraction) > 7 else ""
