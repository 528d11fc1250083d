"""Watches: the stream of changes a client follows, from any version that is still remembered.

A Watch gathers events as the store tells them and hands them on in order; the server writes them out.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.lists import Selection
from responder.sandbox.api.objects import Object, namespace_of
from responder.sandbox.api.status import ApiError, Cause, forbidden_value, unsupported_value
from responder.sandbox.api.store import Event, Store
from responder.sandbox.api.target import is_true, whole_number
from responder.sandbox.api.views import as_partial, outside

_FORBIDDEN = "resourceVersionMatch"
# A client this far behind is cut off, as the real server does, so that it cannot eat the memory.
_BACKLOG = 20_000
_BOOKMARK_SECONDS = 60.0
_LAST_BOOKMARK_SECONDS = 2.0
_MIN_LIFE_SECONDS = 1800.0

WatchEvent = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch asks for; version None means: begin with what exists."""

    version: int | None
    bookmarks: bool
    initial_events: bool
    end_bookmark: bool
    timeout_seconds: float


def parse_watch_options(query: Mapping[str, str], store: Store) -> WatchOptions:
    """Read the parameters of a watch.

    Raises ApiError 400 for a timeout of letters, 422 when they do not fit, 500 for a version of letters.
    """
    cause = _options_cause(query)
    if cause is not None:
        raise status.invalid_options("ListOptions", [cause])
    text = query.get("resourceVersion", "")
    if text and not text.isdigit():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')
    wants_initial = is_true(query.get("sendInitialEvents"))
    version = int(text) if text and text != "0" and not wants_initial else None
    if query.get("sendInitialEvents") and not wants_initial:
        version = int(text) if text else store.resource_version
    life = _MIN_LIFE_SECONDS * (1 + store.random.random())
    return WatchOptions(
        version=version,
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        initial_events=version is None,
        end_bookmark=wants_initial and is_true(query.get("allowWatchBookmarks")),
        timeout_seconds=whole_number(query, "timeoutSeconds") or life,
    )


def _options_cause(query: Mapping[str, str]) -> Cause | None:
    match, initial = query.get("resourceVersionMatch", ""), query.get("sendInitialEvents", "")
    if match and not initial:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        return forbidden_value(_FORBIDDEN, detail)
    if initial and not match:
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        return forbidden_value(_FORBIDDEN, detail)
    if match and match != "NotOlderThan":
        return unsupported_value(_FORBIDDEN, match, ("NotOlderThan",))
    return None


def as_partial_event(event: WatchEvent) -> WatchEvent:
    """Return an event with only the metadata of its object."""
    told = event["type"] in ("ERROR", "BOOKMARK")
    return event if told else {**event, "object": as_partial(event["object"])}


class Watch:
    """One client's stream. Use it as a context manager, so that the store forgets it in the end."""

    def __init__(
        self, store: Store, selection: Selection, options: WatchOptions, *, lag: Callable[[], float]
    ) -> None:
        """lag is how many seconds late what happens now shall be told."""
        self._store = store
        self._selection = selection
        self._options = options
        self._lag = lag
        # Each with the time, as the loop counts it, from which on it may be told.
        self._waiting: deque[tuple[float, Event]] = deque()
        self._woken = asyncio.Event()
        self._closed = False
        self._error: Callable[[], Object] | None = None
        self._hung = False
        self._seen = options.version or 0

    def __enter__(self) -> Watch:
        self._unsubscribe = self._store.subscribe(self._observe)
        return self

    def __exit__(self, *_: object) -> None:
        self._unsubscribe()

    def close(self) -> None:
        """End the stream after what is waiting."""
        self._closed = True
        self._woken.set()

    def expire(self, error: Object | None = None) -> None:
        """End the stream with a Status inside it; without one, with that its version is too old."""
        self._error = self._too_old if error is None else lambda: error
        self.close()

    def _too_old(self) -> Object:
        text = f"too old resource version: {self._seen} ({self._store.resource_version})"
        return status.expired(text).status()

    def hang(self) -> None:
        """Tell nothing any more, and do not end."""
        self._hung = True
        self._waiting.clear()
        self._woken.set()

    async def events(self) -> AsyncIterator[WatchEvent]:
        """Yield events until the timeout, the end of the server or an error, which is the last event."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._options.timeout_seconds
        try:
            beginning = self._beginning()
        except ApiError as error:
            yield {"type": "ERROR", "object": error.status()}
            return
        told_at = loop.time() + self._lag()
        while loop.time() < told_at and not (self._closed or self._hung):
            await self._wait_until(told_at)
        for event in () if self._hung else beginning:
            yield event
        bookmark_at = self._next_bookmark(loop.time(), ends_at)
        while self._hung or (not self._closed and loop.time() < ends_at):
            if self._hung:
                # Ends when the client gives up or the server stops: both cancel this.
                await loop.create_future()
            while self._waiting and self._waiting[0][0] <= loop.time():
                for event in self._translated(self._waiting.popleft()[1]):
                    yield event
            if not self._waiting and loop.time() >= bookmark_at:
                yield self._bookmark({})
                bookmark_at = self._next_bookmark(loop.time(), ends_at)
            due = self._waiting[0][0] if self._waiting else bookmark_at
            await self._wait_until(min(ends_at, due))
        if self._error is not None:
            yield {"type": "ERROR", "object": self._error()}

    async def _wait_until(self, instant: float) -> None:
        """Return then, or when the end has come, or when something new may already be told."""
        self._woken.clear()
        if self._closed or self._hung or instant <= asyncio.get_running_loop().time():
            return
        try:
            async with asyncio.timeout_at(instant):
                await self._woken.wait()
        except TimeoutError:
            return

    def _observe(self, event: Event) -> None:
        selection = self._selection
        if event.resource.key != selection.resource.storage_key or self._hung:
            return
        if selection.namespace is not None and namespace_of(event.object) != selection.namespace:
            return
        if len(self._waiting) >= _BACKLOG:
            self._closed = True
        due = asyncio.get_running_loop().time() + self._lag()
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, event))
        self._woken.set()

    def _beginning(self) -> Sequence[WatchEvent]:
        # A list, not a generator: what happens while it is sent must wait, neither lost nor sent twice.
        store, resource = self._store, self._selection.resource
        self._waiting.clear()
        if not self._options.initial_events:
            since = min(self._seen, store.resource_version)
            past = store.history.after(since, resource.storage_key)
            return [told for event in past for told in self._translated(event)]
        self._seen = store.resource_version
        present = filter(
            self._selection.includes, store.scan(resource.storage_key, self._selection.namespace)
        )
        events = [{"type": "ADDED", "object": outside(resource, obj)} for obj in present]
        if self._options.end_bookmark:
            events.append(self._bookmark({"annotations": {"k8s.io/initial-events-end": "true"}}))
        return events

    def _translated(self, event: Event) -> Iterator[WatchEvent]:
        # An object that comes to match is ADDED to this watch, one that ceases to match is DELETED from it.
        if event.resource_version <= self._seen:
            return
        self._seen = event.resource_version
        before = event.previous is not None and self._selection.includes(event.previous)
        after = event.type != "DELETED" and self._selection.includes(event.object)
        if after:
            kind = "MODIFIED" if before else "ADDED"
            yield {"type": kind, "object": outside(self._selection.resource, event.object)}
        elif before and event.previous is not None:
            version = {"resourceVersion": str(event.resource_version)}
            last = {**event.previous, "metadata": {**event.previous["metadata"], **version}}
            yield {"type": "DELETED", "object": outside(self._selection.resource, last)}

    def _bookmark(self, more: dict[str, Any]) -> WatchEvent:
        resource = self._selection.resource
        self._seen = max(self._seen, self._store.resource_version)
        body: Object = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(self._store.resource_version), **more},
        }
        return {"type": "BOOKMARK", "object": body}

    def _next_bookmark(self, now: float, ends_at: float) -> float:
        if not self._options.bookmarks:
            return ends_at + 1
        last = ends_at - _LAST_BOOKMARK_SECONDS
        due = now + _BOOKMARK_SECONDS
        if now < last <= due:
            return last
        return due
