"""The Kubernetes API's verbs with plain dicts: one instance a process. Every error is one of errors.py's.

What the objects mean is for the callers, from `incidents` upwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
import structlog

from responder.clients.kubernetes import watching
from responder.clients.kubernetes.errors import ApiError, Expired
from responder.clients.kubernetes.model import Object, ObjectList, Observation, WatchEvent
from responder.clients.kubernetes.session import Session
from responder.clients.kubernetes.transport import JSON, Request, Transport, lost_answer, refusal
from responder.clock import Clock
from responder.term import Term

log = structlog.get_logger(__name__)

_MAX_PAGES = 200
_MAX_LIST_STARTS = 3

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
# Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Kubernetes:
    """The Kubernetes API. Paths come from paths.py; objects are JSON as dicts.

    Reads and dry runs are tried up to 4 times on 429, 5xx and broken connections. Writes are sent again only
    after 429, which says that they were not carried out; when their answer is lost they raise OutcomeUnknown.
    """

    def __init__(self, session: Session, clock: Clock, term: Term | None = None) -> None:
        self._transport = Transport(session, clock, term)
        self._clock = clock

    def during(self, term: Term) -> Kubernetes:
        """The same API, where nothing is written beyond the term: every write then raises TermOver."""
        return Kubernetes(self._transport.session, self._clock, term)

    async def get(self, path: str) -> Object:
        """Fetch one object. Raises NotFound."""
        return await self._transport.send(Request("GET", path))

    async def list(
        self,
        path: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        most: int | None = None,
        metadata_only: bool = False,
    ) -> ObjectList:
        """Fetch a whole collection in pages of `limit`, or its first `most`; items have kind and apiVersion.

        With `metadata_only` nothing else of them is sent. Starts again when the pages expire half way. Raises
        ApiError beyond 200 pages.
        """
        limit = limit if most is None else min(limit, most)
        query = _selectors(label_selector, field_selector) | {"limit": str(limit)}
        accept = _METADATA_ONLY if metadata_only else JSON
        for _ in range(_MAX_LIST_STARTS - 1):
            try:
                return await self._list_pages(path, query, accept, most)
            except Expired as expired:
                log.info("kubernetes_list_expired", path=path, message=expired.message)
        return await self._list_pages(path, query, accept, most)

    async def pages(self, path: str, *, limit: int) -> AsyncIterator[Sequence[Object]]:
        """Fetch a collection page by page, so that it need not fit into memory.

        Raises Expired where whoever reads takes minutes: what was not read yet is left out then.
        """
        token = ""
        while True:
            items, metadata = await self._page(path, {"limit": str(limit)}, token)
            yield items
            token = metadata.get("continue") or ""
            if not token:
                return

    async def create(self, path: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object in the collection at path. Raises AlreadyExists, Invalid, OutcomeUnknown."""
        return await self._transport.send(
            Request("POST", path, query=_dry(dry_run), body=body, writes=not dry_run)
        )

    async def json_patch(
        self, path: str, ops: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> Object:
        """Apply a JSON patch (RFC 6902) atomically.

        Raises Invalid (`failed_test` when a test did not hold), Conflict, NotFound, OutcomeUnknown.
        """
        body = [dict(op) for op in ops]
        return await self._transport.send(
            Request("PATCH", path, _dry(dry_run), body, _JSON_PATCH, writes=not dry_run)
        )

    async def merge_patch(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Apply a merge patch (RFC 7386); a null removes a key.

        With metadata.resourceVersion in it, raises Conflict when the object has changed since.
        """
        return await self._transport.send(
            Request("PATCH", path, _dry(dry_run), dict(body), _MERGE_PATCH, writes=not dry_run)
        )

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete an object, only the one with `uid` where given. Raises NotFound, Conflict (another uid).

        NotFound may be our own success: a DELETE on a connection that dropped is sent once more underneath.
        """
        body = None
        if uid is not None:
            body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        await self._transport.send(Request("DELETE", path, body=body, writes=True))

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
        return self._watch(Request("GET", path, tuple(query.items())))

    def list_watch(
        self, path: str, *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[Observation]:
        """Observe a collection for ever: Listed first, then Changed; Gap whenever the view was interrupted.

        After a Gap comes a new Listed or, where the view broke off a moment ago, what was missed, as Changed.
        Errors of any kind become Gaps and are tried again with growing delays, at most 30 s apart.
        """
        return watching.observe(self, self._clock, path, label_selector, field_selector)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def _list_pages(
        self, path: str, query: dict[str, str], accept: str, most: int | None
    ) -> ObjectList:
        items: list[Object] = []
        token = ""
        for _ in range(_MAX_PAGES):
            found, metadata = await self._page(path, query, token, accept)
            items.extend(found)
            token = metadata.get("continue") or ""
            if not token or (most is not None and len(items) >= most):
                return ObjectList(items[:most], str(metadata.get("resourceVersion", "")))
        message = f"the list has more than {_MAX_PAGES} pages; select less of it"
        raise ApiError(0, "TooManyPages", message, {}, request=f"GET {path}")

    async def _page(
        self, path: str, query: dict[str, str], token: str, accept: str = JSON
    ) -> tuple[Sequence[Object], Object]:
        """One page's items, and the list's metadata."""
        parameters = query | {"continue": token} if token else query
        page = await self._transport.send(Request("GET", path, tuple(parameters.items()), accept=accept))
        kind = str(page.get("kind", "")).removesuffix("List")
        defaults = {"kind": kind, "apiVersion": page.get("apiVersion", "")}
        return [defaults | item for item in page.get("items") or []], page.get("metadata") or {}

    async def _watch(self, request: Request) -> AsyncIterator[WatchEvent]:
        response = await self._transport.open(request, watching.TIMEOUT)
        async with response:
            try:
                if response.status != 200:
                    raise refusal(request, response, await response.read())
                async for event in watching.read_events(response, str(request)):
                    yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                raise lost_answer(request, error) from error


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in query.items() if value}


def _dry(dry_run: bool) -> tuple[tuple[str, str], ...]:
    return (("dryRun", "All"),) if dry_run else ()
