"""The watches that are open: writes events out as they were asked for; ends, breaks, hangs or delays.

The server opens one for each watch request.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from responder.clock import Clock
from responder.sandbox.api.answers import json_bytes, refusal_status
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
    exchange: Exchange

    async def run(self) -> web.StreamResponse:
        """Write events until the watch ends."""
        async for event in self.watch.events():
            await self.response.write(json_bytes(self.shown(event)) + b"\n")
        return self.response


@dataclass(frozen=True, slots=True)
class _Lag:
    """How late watches of a pattern tell everything, until when."""

    path: str
    seconds: float
    ends_at: datetime


class Streams:
    """All watches that are open."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: dict[Stream, None] = {}
        self._lags: list[_Lag] = []

    @asynccontextmanager
    async def opened(self, exchange: Exchange, resource: Resource, namespace: str) -> AsyncIterator[Stream]:
        """Begin a watch: its head is sent, its events are not; ApiError when it makes no sense."""
        query = exchange.request.query
        options = parse_watch_options(query, self._store)
        selection = parse_selection(resource, namespace, query)
        shown = self._shown(exchange, resource)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        text = exchange.target_text
        with Watch(self._store, selection, options, lag=lambda: self._lag_seconds(text)) as watch:
            stream = Stream(watch, response, shown, exchange)
            self._open[stream] = None
            try:
                await response.prepare(exchange.request)
                yield stream
            finally:
                del self._open[stream]

    def expire(self, path: str, code: int) -> None:
        """Tell watches whose path with query matches of an error inside their stream, and end them.

        410: their version is too old; 500 and 504: the storage behind them failed.
        """
        for stream in self._matching(path):
            stream.watch.expire(None if code == 410 else refusal_status(code))

    def sever(self, path: str) -> None:
        """Break the connections of watches whose path with query matches."""
        for stream in self._matching(path):
            stream.exchange.break_off()

    def hang(self, path: str) -> None:
        """Let watches whose path with query matches stay open and tell nothing any more."""
        for stream in self._matching(path):
            stream.watch.hang()

    def delay(self, path: str, seconds: float, ends_at: datetime) -> None:
        """Let watches whose path with query matches, those to come as well, lag so far behind until then."""
        now = self._clock.now()
        self._lags = [lag for lag in self._lags if lag.ends_at > now]
        self._lags.append(_Lag(path, seconds, ends_at))

    def _matching(self, path: str) -> Iterator[Stream]:
        return (stream for stream in tuple(self._open) if re.search(path, stream.exchange.target_text))

    def _lag_seconds(self, target_text: str) -> float:
        if not self._lags:
            return 0.0
        now = self._clock.now()
        found = (lag.seconds for lag in self._lags if lag.ends_at > now and re.search(lag.path, target_text))
        return max(found, default=0.0)

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
