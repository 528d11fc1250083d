"""Reading a watch's stream, and the endless list-and-watch loop.

Made so that silence, resets, empty replies and expired versions all end in a Gap and a fresh start, never in
a hot loop or a hang. Knows nothing of what is watched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Protocol, cast

import aiohttp

from responder.clients.kubernetes.errors import ApiError, Expired, Unavailable, parse_status
from responder.clients.kubernetes.model import Changed, Gap, Listed, ObjectList, Observation, WatchEvent
from responder.clock import Clock

# The server ends each watch after this long and we go on from the last version, so that a connection that
# died silently is known after SILENCE_SECONDS at most. Going on loses nothing and is no Gap.
WATCH_SECONDS = 30
SILENCE_SECONDS = 40
TIMEOUT = aiohttp.ClientTimeout(sock_connect=5, sock_read=SILENCE_SECONDS)

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
# A watch that ends sooner than this without an event is answered with a pause, lest it become a busy loop.
_SHORT_WATCH_SECONDS = 1.0
# A version the server will never accept (etcd restored from a backup) shows as errors that don't end.
_FAILURES_BEFORE_RELIST = 3


class ListsAndWatches(Protocol):
    """The two requests that observing is made of."""

    async def list(self, path: str, *, label_selector: str, field_selector: str) -> ObjectList: ...

    def watch(
        self, path: str, *, resource_version: str, label_selector: str, field_selector: str
    ) -> AsyncIterator[WatchEvent]: ...


async def read_events(response: aiohttp.ClientResponse, request: str) -> AsyncIterator[WatchEvent]:
    """Yield the events of an open watch until the server ends it.

    Raises the ApiError that an ERROR event carries, and Unavailable for a line that is no event.
    """
    try:
        async for line in response.content:
            if line.strip():
                yield _parse_event(line, request)
    except ValueError as error:  # from the stream: a line longer than the session's read buffer
        raise Unavailable(
            0, "BrokenStream", f"the stream can't be read: {error}", {}, request=request
        ) from error


def _parse_event(line: bytes, request: str) -> WatchEvent:
    try:
        content = json.loads(line)
        event = WatchEvent(content["type"], content["object"])
    except (ValueError, KeyError, TypeError) as error:
        message = f"the stream broke off within an event ({len(line)} bytes)"
        raise Unavailable(0, "BrokenStream", message, {}, request=request) from error
    if event.type == "ERROR":
        raise parse_status(event.object, request=request, writes=False)
    return event


async def observe(
    api: ListsAndWatches, clock: Clock, path: str, label_selector: str, field_selector: str
) -> AsyncIterator[Observation]:
    """List, watch, and go on for ever; see Kubernetes.list_watch."""
    selectors = {"label_selector": label_selector, "field_selector": field_selector}
    version = ""  # empty: list before the next watch
    failures = 0
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    while True:
        started = loop.time()
        progressed = False
        try:
            if not version:
                listed = await api.list(path, **selectors)
                version = listed.resource_version
                heard_at = loop.time()
                yield Listed(listed.items, version)
                del listed  # whole, with what nobody keeps of it, for as long as the watch goes on
            events = api.watch(path, resource_version=version, **selectors)
            async with aclosing(cast("_Closable", events)):
                async for event in events:
                    progressed = True
                    failures = 0
                    heard_at = loop.time()
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        yield Changed(event.type, event.object)
        except Expired as error:
            version = ""
            yield Gap(error.message)
            if failures:  # a server that takes none of the versions that it lists
                await clock.sleep(_delay_seconds(failures))
            failures += 1
        except ApiError as error:
            failures += 1
            # No healthy watch is silent for so long: going on from where it stood would tell what happened
            # meanwhile as if it happened now.
            silent = loop.time() - heard_at > WATCH_SECONDS
            if silent or failures >= _FAILURES_BEFORE_RELIST:
                version = ""
            yield Gap(str(error))
            await clock.sleep(_delay_seconds(failures))
        else:
            lasted = loop.time() - started
            heard_at = loop.time()
            failures = 0
            if not progressed and lasted < _SHORT_WATCH_SECONDS:
                await clock.sleep(_SHORT_WATCH_SECONDS)


def _delay_seconds(failures: int) -> float:
    return min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** (failures - 1))


class _Closable(Protocol):
    async def aclose(self) -> None: ...
