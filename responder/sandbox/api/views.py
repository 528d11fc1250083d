"""How stored objects look from outside: the version and group they are asked under, lists, metadata alone.

Pure. Called by the verbs and by watches, and for bodies on their way in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from responder.sandbox.api.objects import Object, copied
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError

# What events.k8s.io calls the members of a core Event, besides those that are named alike.
_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {new: old for old, new in _EVENT_NAMES.items()}
_MEDIA_TYPES = ("application/json", "application/yaml", "application/*", "*/*")
_SHAPES = ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_VERSIONS = ("v1", "v1beta1", "v2")
_REPRESENTATIONS = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def outside(resource: Resource, obj: Object) -> Object:
    """Return a stored object as a client of resource sees it."""
    if resource.stored_as:
        obj = {_EVENT_NAMES.get(name, name): value for name, value in obj.items()}
        for name in ("reportingController", "reportingInstance"):
            if not obj.get(name):
                obj.pop(name, None)
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


def inside(resource: Resource, obj: Object) -> Object:
    """Return a client's object as it is stored."""
    if not resource.stored_as:
        return obj
    renamed = {_CORE_NAMES.get(name, name): value for name, value in obj.items()}
    return {**renamed, "apiVersion": "v1", "kind": "Event"}


def as_list(resource: Resource, items: Iterable[Object], metadata: dict[str, Any]) -> Object:
    """Return the list object; items of built-in kinds come without kind and apiVersion."""
    shown = [outside(resource, item) for item in items]
    if resource.custom:
        metadata = {"continue": "", **metadata}
    else:
        for item in shown:
            del item["kind"], item["apiVersion"]
    return {
        "kind": resource.collection_kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "items": shown,
    }


def as_partial(obj: Object) -> Object:
    """Return only the metadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": copied(obj["metadata"]),
    }


def wants_table(accept: str) -> bool:
    """Tell whether a watch asks for rows of a Table."""
    return "as=Table" in accept


def represent(
    accept: str, body: Object, table: Callable[[Object], Object] | None = None
) -> tuple[Object, str]:
    """Return body in the first representation that accept asks for and the server has, and its media type.

    table makes a Table of it, None where there is no such thing. Raises ApiError 406 when nothing suits.
    """
    for media, shape in _asked(accept):
        match shape:
            case "":
                return body, "application/yaml" if media == "application/yaml" else "application/json"
            case "Table" if body.get("kind") == "Status":
                return body, "application/json"
            case "Table" if table is not None:
                return table(body), "application/json"
            case "PartialObjectMetadata" if "items" not in body and body.get("kind") != "Status":
                return as_partial(body), "application/json"
            case "PartialObjectMetadataList" if "items" in body:
                items = [as_partial(item) for item in body["items"]]
                partial: Object = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
                return {**partial, "metadata": body["metadata"], "items": items}, "application/json"
            case _:
                continue
    raise _not_acceptable()


def check_acceptable(accept: str) -> None:
    """Return when there is a representation that accept asks for; ApiError 406 otherwise.

    Asked before anything is written: what could not be answered is not done.
    """
    if not any(shape in _SHAPES for _, shape in _asked(accept)):
        raise _not_acceptable()


def _asked(accept: str) -> Iterator[tuple[str, str]]:
    """Yield the media types that the server has, with what the object shall be shown as ("": as it is)."""
    for media_range in accept.split(",") if accept.strip() else ["*/*"]:
        media, *parameters = (part.strip() for part in media_range.split(";"))
        wanted = dict(part.partition("=")[::2] for part in parameters)
        if media in _MEDIA_TYPES and (not wanted.get("as") or wanted.get("v", "v1") in _VERSIONS):
            yield media, wanted.get("as", "")


def _not_acceptable() -> ApiError:
    message = f"406: Not Acceptable\n\nAvailable representations: {_REPRESENTATIONS}"
    return ApiError(406, "NotAcceptable", message, {})
