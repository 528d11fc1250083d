"""What can go wrong with a request to Kubernetes, one class for each reaction.

Mapped by the Status object's reason first and by the HTTP code where there is none, as two reasons share 409
and several share 500. Callers catch the class, never compare codes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from responder.errors import Permanent, ResponderError, Temporary


class ApiError(ResponderError):
    """Kubernetes refused a request, or its answer never came (then `status` is 0 and `reason` ours).

    `message` and `details` are the server's; `request` is "METHOD path"; str() is the sentence for a person.
    """

    advice: ClassVar[str] = ""

    def __init__(
        self, status: int, reason: str, message: str, details: Mapping[str, Any], *, request: str = ""
    ) -> None:
        answer = f"{status} {reason}".strip() if status else reason
        sentence = f"Kubernetes: {request or 'request'} failed ({answer}): {message}"
        super().__init__(f"{sentence}; {self.advice}" if self.advice else sentence)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details
        self.request = request


class NotFound(ApiError, Permanent):
    """The object, or the whole resource (a CRD not applied yet), does not exist."""

    @property
    def resource_missing(self) -> bool:
        """True when the API does not serve the resource at all, so that it says nothing of the object.

        Source: Kubernetes pkg/api/errors NewNotFound: an object's 404 names the object in its details.
        """
        return not self.details.get("name")


class AlreadyExists(ApiError, Permanent):
    """The name is taken; read it: it may be our own earlier success."""


class Conflict(ApiError, Permanent):
    """The object has changed since it was read: read and decide again, never send the same again."""


class Invalid(ApiError, Permanent):
    """The object or the patch was not accepted (422)."""

    @property
    def failed_test(self) -> bool:
        """True when a JSON patch's test, or its path, did not hold: details are empty then.

        Source: Kubernetes pkg/endpoints/handlers/patch.go (validation errors carry the object's name).
        """
        return not self.details


class TooLarge(ApiError, Permanent):
    """The object does not fit into a request or into etcd; nothing was written."""

    advice = "make the object smaller"


class Unauthorized(ApiError, Permanent):
    """The credentials are not accepted."""

    advice = "check the token of the service account or of the kubeconfig's user"


class Forbidden(ApiError, Permanent):
    """The credentials are good, the right is missing (or a quota or admission plugin said no)."""

    advice = "see `kubectl auth can-i --list` for the user that it names"


class Expired(ApiError, Temporary):
    """The resourceVersion is older than the server's history: list again."""


class TooManyRequests(ApiError, Temporary):
    """The server is busy and did not execute the request."""


class Unavailable(ApiError, Temporary):
    """The server could not be reached or could not answer; nothing was changed."""


class OutcomeUnknown(ApiError):
    """A write was sent and its answer never came: read the object before anything is sent again."""

    advice = "it may or may not have been carried out"


_BY_REASON: Mapping[str, type[ApiError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Invalid": Invalid,
    "RequestEntityTooLarge": TooLarge,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "Expired": Expired,
    "Gone": Expired,
    "TooManyRequests": TooManyRequests,
}

_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
}

# Source: etcd's and gRPC's own words, which the API server passes on as a 500 without a reason.
_TOO_LARGE_MESSAGES = ("etcdserver: request is too large", "trying to send message larger than max")

_MESSAGE_LIMIT = 2000  # characters: an HTML page of a proxy in between must not fill the log


def parse_error(
    status: int, body: bytes, *, request: str, writes: bool, retry_after_seconds: float | None = None
) -> ApiError:
    """The error that an answer with a code of 300 and above stands for.

    `writes` tells whether the request could have changed something: then a 5xx leaves the outcome unknown.
    """
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        content = {"message": body.decode(errors="replace").strip() or "no message"}
    return parse_status(
        content, status=status, request=request, writes=writes, retry_after_seconds=retry_after_seconds
    )


def parse_status(
    content: Mapping[str, Any],
    *,
    status: int | None = None,
    request: str,
    writes: bool,
    retry_after_seconds: float | None = None,
) -> ApiError:
    """The error that a Status object stands for; `status` is None for one that came inside a watch."""
    code = status if status is not None else _as_code(content.get("code"))
    reason = str(content.get("reason") or "")
    message = str(content.get("message") or "no message")[:_MESSAGE_LIMIT]
    details = content.get("details")
    details = details if isinstance(details, dict) else {}
    kind = _kind_of_error(code, reason, message, writes)
    error = kind(code, reason or kind.__name__, message, details, request=request)
    if isinstance(error, Temporary):
        wish = details.get("retryAfterSeconds") if retry_after_seconds is None else retry_after_seconds
        error.retry_after_seconds = float(wish) if isinstance(wish, int | float) else None
    return error


def _kind_of_error(code: int, reason: str, message: str, writes: bool) -> type[ApiError]:
    if any(text in message for text in _TOO_LARGE_MESSAGES):
        return TooLarge
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(code)
    if kind is not None:
        return kind
    if code >= 500:
        return OutcomeUnknown if writes else Unavailable
    return ApiError


def _as_code(value: object) -> int:
    return value if isinstance(value, int) else 500
