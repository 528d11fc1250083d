"""The refusals of a Kubernetes API server: an exception that carries a Status, and the usual ones by name.

Texts are those a real server sends, because clients match on them. Nothing here decides; the store, the
kinds and the HTTP layer raise these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from responder.errors import ResponderError

if TYPE_CHECKING:
    from responder.sandbox.api.resources import Resource


class ApiError(ResponderError):
    """A refusal with its HTTP code; reason is absent where the real server gives none."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        continue_token: str = "",
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.continue_token = continue_token
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> dict[str, Any]:
        """Return the Status object that a client receives."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        details = dict(self.details) if self.details is not None else None
        if self.retry_after_seconds:
            details = {**(details or {}), "retryAfterSeconds": self.retry_after_seconds}
        if details is not None:
            body["details"] = details
        body["code"] = self.code
        return body


@dataclass(frozen=True, slots=True)
class Cause:
    """One field's share in a 422; str() is how it stands in the message."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def invalid_value(field: str, value: object, detail: str) -> Cause:
    """Say that value is not one that field may have."""
    return Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}", field)


def required_value(field: str, detail: str = "") -> Cause:
    """Say that field has to be given."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def unsupported_value(field: str, value: object, supported: Iterable[str]) -> Cause:
    """Say which values field may have, in the order given."""
    options = ", ".join(json.dumps(option) for option in supported)
    return Cause(
        "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {options}", field
    )


def forbidden_value(field: str, detail: str) -> Cause:
    """Say that field may not be set or changed like this."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def immutable_value(field: str, value: object) -> Cause:
    """Say that field has to stay as it was made."""
    return invalid_value(field, value, "field is immutable")


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def bad_request(message: str) -> ApiError:
    """400: the request itself makes no sense."""
    return ApiError(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no object of that name."""
    return ApiError(404, "NotFound", f'{resource.key} "{name}" not found', _details(resource, name))


def no_such_resource() -> ApiError:
    """404: the group is known, the resource or version in it is not."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str, *, being_deleted: bool = False) -> ApiError:
    """409: the name is taken, perhaps by an object that is on its way out."""
    prefix = "object is being deleted: " if being_deleted else ""
    message = f'{prefix}{resource.key} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """409: the object changed since the caller read it."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.key} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def precondition_failed(resource: Resource, name: str, why: str) -> ApiError:
    """409 of a delete whose precondition does not hold; it names the kind, not the resource."""
    message = f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": {why}'
    return ApiError(409, "Conflict", message, {**_details(resource, name), "kind": resource.kind})


def invalid(resource: Resource, name: str, causes: Sequence[Cause], *, by_resource: bool = False) -> ApiError:
    """422: the object breaks the rules of its kind; causes name the fields.

    by_resource: the real server writes the resource where it otherwise writes the kind.
    """
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    subject = resource.key if by_resource else resource.qualified_kind
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        **_details(resource, name),
        "kind": resource.plural if by_resource else resource.kind,
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes],
    }
    return ApiError(422, "Invalid", f'{subject} "{name}" is invalid: {joined}', details)


def invalid_options(kind: str, causes: Sequence[Cause]) -> ApiError:
    """422: the query asks for what there is not; kind is the options' kind, such as PatchOptions."""
    texts = list(dict.fromkeys(str(cause) for cause in causes))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    details = {"group": "meta.k8s.io", "kind": kind, "causes": listed}
    return ApiError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {joined}', details)


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    """415: the body is in none of the accepted media types."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return ApiError(415, "UnsupportedMediaType", message)


def too_large_version(version: int, current: int) -> ApiError:
    """504: the version asked for is yet to come."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, "Timeout", message, {"causes": causes}, retry_after_seconds=1)


def unprocessable() -> ApiError:
    """422 with empty details: what every failed step of a JSON patch looks like."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def method_not_allowed() -> ApiError:
    """405: the path exists, the verb on it does not."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def forbidden(resource: Resource, name: str, why: str, cause: Cause | None = None) -> ApiError:
    """403: an admission rule refuses the object."""
    details = _details(resource, name)
    if cause is not None:
        details["causes"] = [{"reason": cause.reason, "message": cause.message, "field": cause.field}]
    return ApiError(403, "Forbidden", f'{resource.key} "{name}" is forbidden: {why}', details)


def expired(message: str, continue_token: str = "") -> ApiError:
    """410: the history that the request needs is gone; relist."""
    return ApiError(410, "Expired", message, continue_token=continue_token)


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}
