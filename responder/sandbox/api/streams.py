"""The watches that are open: writes their events out as they were asked for, and ends or expires them.

The server opens one for each watch request.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from responder.sandbox.api.answers import json_bytes
from responder.sandbox.api.exchange import Exchange
from responder.sandbox.api.lists import parse_selection
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.store import Store
from responder.sandbox.api.tables import EventTables
from responder.sandbox.api.views import wants_table
from responder.sandbox.api.watches import Watch, WatchEvent, as_partial_event, parse_watch_options


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One watch and the response that it is written to."""

    watch: Watch
    response: web.StreamResponse
    shown: Callable[[WatchEvent], WatchEvent]
    target_text: str

    async def run(self) -> web.StreamResponse:
        """Write events until the watch ends."""
        async for event in self.watch.events():
            await self.response.write(json_bytes(self.shown(event)) + b"\n")
        return self.response


class Streams:
    """All watches that are open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: set[Stream] = set()

    @asynccontextmanager
    async def opened(self, exchange: Exchange, resource: Resource, namespace: str) -> AsyncIterator[Stream]:
        """Begin a watch: its head is sent, its events are not; ApiError when it makes no sense."""
        query = exchange.request.query
        options = parse_watch_options(query, self._store)
        selection = parse_selection(resource, namespace, query)
        shown = self._shown(exchange, resource)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with Watch(self._store, selection, options) as watch:
            stream = Stream(watch, response, shown, exchange.target_text)
            self._open.add(stream)
            try:
                await response.prepare(exchange.request)
                yield stream
            finally:
                self._open.discard(stream)

    def expire(self, path: str) -> None:
        """Tell watches whose path with query matches that their version is too old, and end them."""
        for stream in self._open:
            if re.search(path, stream.target_text):
                stream.watch.expire()

    def end(self) -> None:
        """End all of them after what is waiting."""
        for stream in self._open:
            stream.watch.close()

    def _shown(self, exchange: Exchange, resource: Resource) -> Callable[[WatchEvent], WatchEvent]:
        if wants_table(exchange.accept):
            return EventTables(self._store, resource, exchange.request.query).shown
        if "as=PartialObjectMetadata" in exchange.accept:
            return as_partial_event
        return lambda event: event
