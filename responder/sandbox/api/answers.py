"""From replies to HTTP responses: the representation that was asked for, media types, headers.

Called by the server, which says what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import yaml
from aiohttp import web

from responder.sandbox.api.call import Reply
from responder.sandbox.api.discovery import is_aggregated
from responder.sandbox.api.objects import Object
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.views import represent

_JSON, _YAML, _TEXT = "application/json", "application/yaml", "text/plain; charset=utf-8"
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_REFUSALS = {
    409: ("Conflict", "the request conflicts with another one"),
    410: ("Expired", "The resourceVersion for the provided list or watch is too old."),
    429: ("TooManyRequests", "the server has received too many requests; try again later"),
    500: ("InternalError", "Internal error occurred: switched on as a fault"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def respond(
    accept: str, reply: Reply, table: Callable[[Object], Object] | None, retry_after_seconds: int | None
) -> web.Response:
    """Return the response to a request with this Accept header; table makes a Table of the body."""
    code, body, media = _represented(accept, reply, table)
    headers = {"Content-Type": media}
    if isinstance(body, dict):
        retry_after_seconds = retry_after_seconds or body.get("details", {}).get("retryAfterSeconds")
    if retry_after_seconds is not None and code >= 400:
        headers["Retry-After"] = str(retry_after_seconds)
    response = web.Response(status=code, body=_encoded(body, media), headers=headers)
    for warning in reply.warnings:
        response.headers.add("Warning", f"299 - {json.dumps(warning)}")
    return response


def refusal(code: int) -> Reply:
    """Return the reply with which a fault refuses a request."""
    return Reply(code, refusal_status(code))


def refusal_status(code: int) -> Object:
    """Return the Status with which a fault refuses a request, or ends a watch from within."""
    reason, message = _REFUSALS.get(code, ("", "the request was refused, as switched on"))
    return ApiError(code, reason, message).status()


def json_bytes(body: Object) -> bytes:
    """Write an object as the server does: without spaces, in UTF-8."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _represented(
    accept: str, reply: Reply, table: Callable[[Object], Object] | None
) -> tuple[int, Object | str, str]:
    if isinstance(reply.body, str):
        return reply.code, reply.body, _TEXT
    if reply.code >= 400:
        return reply.code, reply.body, _JSON
    try:
        body, media = represent(accept, reply.body, table)
    except ApiError as error:
        return error.code, error.status(), _JSON
    if body.get("kind") == "APIGroupDiscoveryList" and is_aggregated(accept):
        media = _AGGREGATED
    return reply.code, body, media


def _encoded(body: Object | str, media: str) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return yaml.safe_dump(body).encode() if media == _YAML else json_bytes(body)
