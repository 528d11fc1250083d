"""Requests to the Kubernetes API with plain dicts: one instance a process.

Sends again what is safe to send again and nothing else; every error is one of errors.py's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import structlog

from responder.clients.kubernetes import watching
from responder.clients.kubernetes.errors import (
    ApiError,
    Expired,
    OutcomeUnknown,
    TooManyRequests,
    Unavailable,
    parse_error,
)
from responder.clients.kubernetes.model import Object, ObjectList, Observation, WatchEvent
from responder.clock import Clock

if TYPE_CHECKING:
    # Importing it costs 38 MiB and a third of a second: connection.py does when it must.
    from kubernetes_asyncio.client import ApiClient

log = structlog.get_logger(__name__)

# The library waits for ever by default. A write that took longer than this is judged by reading the object.
_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)

_ATTEMPTS = 4
_FIRST_DELAY_SECONDS = 0.25
# Kubernetes asks for 1 s when busy and 5 s when shutting down; a longer wish is the caller's to weigh.
_LONGEST_RETRY_AFTER_SECONDS = 10.0

_MAX_PAGES = 200
_MAX_LIST_STARTS = 3

_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class _Request:
    """One request; `writes` is False when sending it twice does no harm (reads and dry runs)."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    content_type: str = _JSON
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"?{urlencode(self.query)}" if self.query else "")


class Kubernetes:
    """The Kubernetes API. Paths come from paths.py; objects are JSON as dicts.

    Reads and dry runs are tried up to 4 times on 429, 5xx and broken connections. Writes are sent again only
    after 429, which says that they were not carried out; when their answer is lost they raise OutcomeUnknown.
    """

    def __init__(self, api: ApiClient, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def get(self, path: str) -> Object:
        """Fetch one object. Raises NotFound."""
        return await self._send(_Request("GET", path))

    async def list(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> ObjectList:
        """Fetch a whole collection in pages of `limit`; every item has its kind and apiVersion.

        Starts again when the pages expire half way. Raises ApiError beyond 200 pages.
        """
        query = _selectors(label_selector, field_selector) | {"limit": str(limit)}
        for _ in range(_MAX_LIST_STARTS - 1):
            try:
                return await self._list_pages(path, query)
            except Expired as expired:
                log.info("kubernetes_list_expired", path=path, message=expired.message)
        return await self._list_pages(path, query)

    async def create(self, path: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object in the collection at path. Raises AlreadyExists, Invalid, OutcomeUnknown."""
        return await self._send(_Request("POST", path, _dry(dry_run), body, writes=not dry_run))

    async def json_patch(
        self, path: str, ops: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> Object:
        """Apply a JSON patch (RFC 6902) atomically.

        Raises Invalid (`failed_test` when a test did not hold), Conflict, NotFound, OutcomeUnknown.
        """
        body = [dict(op) for op in ops]
        return await self._send(_Request("PATCH", path, _dry(dry_run), body, _JSON_PATCH, writes=not dry_run))

    async def merge_patch(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Apply a merge patch (RFC 7386); a null removes a key.

        With metadata.resourceVersion in it, raises Conflict when the object has changed since.
        """
        return await self._send(
            _Request("PATCH", path, _dry(dry_run), dict(body), _MERGE_PATCH, writes=not dry_run)
        )

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete an object, only the one with `uid` where given. Raises NotFound, Conflict (another uid).

        NotFound may be our own success: a DELETE on a connection that dropped is sent once more underneath.
        """
        body = None
        if uid is not None:
            body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        await self._send(_Request("DELETE", path, body=body, writes=True))

    def watch(
        self, path: str, *, resource_version: str, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Stream what changes after `resource_version`, bookmarks included, until the server ends the stream.

        Raises Expired (list again) or another ApiError, also for an error inside the stream. Close it with
        contextlib.aclosing when leaving early.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(watching.WATCH_SECONDS),
            "resourceVersion": resource_version,
        }
        return self._watch(_Request("GET", path, tuple(query.items())))

    def list_watch(
        self, path: str, *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[Observation]:
        """Observe a collection for ever: Listed first, then Changed; Gap whenever the view was interrupted.

        After a Gap comes either a new Listed or what was missed, as Changed, from where the view broke off.
        Errors of any kind become Gaps and are tried again with growing delays, at most 30 s apart.
        """
        return watching.observe(self, self._clock, path, label_selector, field_selector)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _list_pages(self, path: str, query: dict[str, str]) -> ObjectList:
        items: list[Object] = []
        token = ""
        for _ in range(_MAX_PAGES):
            parameters = query | {"continue": token} if token else query
            page = await self._send(_Request("GET", path, tuple(parameters.items())))
            kind = str(page.get("kind", "")).removesuffix("List")
            defaults = {"kind": kind, "apiVersion": page.get("apiVersion", "")}
            items.extend(defaults | item for item in page.get("items") or [])
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return ObjectList(items, str(metadata.get("resourceVersion", "")))
        message = f"the list has more than {_MAX_PAGES} pages; select less of it"
        raise ApiError(0, "TooManyPages", message, {}, request=f"GET {path}")

    async def _send(self, request: _Request) -> Object:
        delay = _FIRST_DELAY_SECONDS
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._send_once(request)
            except (TooManyRequests, Unavailable) as error:
                if request.writes and not isinstance(error, TooManyRequests):
                    raise
                wait = max(delay, error.retry_after_seconds or 0.0)
                if wait > _LONGEST_RETRY_AFTER_SECONDS:
                    raise
                log.warning("kubernetes_retry", request=str(request), after_seconds=wait, error=error.message)
            await self._clock.sleep(wait)
            delay *= 2
        return await self._send_once(request)

    async def _send_once(self, request: _Request) -> Object:
        response = await self._open(request, _TIMEOUT)
        async with response:
            try:
                body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _lost(request, error) from error
        if not 200 <= response.status < 300:
            raise _refusal(request, response, body)
        for warning in response.headers.getall("Warning", ()):
            log.warning("kubernetes_warning", request=str(request), warning=warning)
        try:
            content = json.loads(body)
        except ValueError as error:
            raise _lost(request, error) from error
        if not isinstance(content, dict):
            raise _lost(request, ValueError("the answer is not a JSON object"))
        return content

    async def _open(self, request: _Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Send and return as soon as the headers are there; the caller reads and closes."""
        try:
            # Without preloading the library neither decodes the body nor raises for a status: both are ours.
            response: aiohttp.ClientResponse = await self._api.call_api(
                request.path,
                request.method,
                query_params=list(request.query),
                header_params={"Accept": _JSON, "Content-Type": request.content_type},
                body=request.body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            message = f"no connection: {_describe(error)}"
            raise Unavailable(0, "NoConnection", message, {}, request=str(request)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _lost(request, error) from error
        return response

    async def _watch(self, request: _Request) -> AsyncIterator[WatchEvent]:
        response = await self._open(request, watching.TIMEOUT)
        async with response:
            try:
                if response.status != 200:
                    raise _refusal(request, response, await response.read())
                async for event in watching.read_events(response, str(request)):
                    yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _lost(request, error) from error


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in query.items() if value}


def _dry(dry_run: bool) -> tuple[tuple[str, str], ...]:
    return (("dryRun", "All"),) if dry_run else ()


def _refusal(request: _Request, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    header = response.headers.get("Retry-After", "")
    return parse_error(
        response.status,
        body,
        request=str(request),
        writes=request.writes,
        retry_after_seconds=float(header) if header.isdecimal() else None,
    )


def _lost(request: _Request, error: Exception) -> ApiError:
    """The error for an answer that did not come, or did not come whole."""
    kind = OutcomeUnknown if request.writes else Unavailable
    return kind(0, kind.__name__, f"no whole answer: {_describe(error)}", {}, request=str(request))


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__
