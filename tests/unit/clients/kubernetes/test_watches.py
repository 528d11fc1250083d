"""Watches end in many ways; each must end in a Gap or a clean next watch, never in a hang or a hot loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, cast

import pytest
from aiohttp import web

from responder.clients.kubernetes import (
    Changed,
    Expired,
    Gap,
    Kubernetes,
    Listed,
    Observation,
    WatchEvent,
    paths,
)
from tests.shared import run_story

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talking = Callable[[Handler], AbstractAsyncContextManager[Kubernetes]]

PODS = paths.pods("shop")


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def added(name: str, version: str) -> tuple[str, dict[str, Any]]:
    return ("ADDED", pod(name, version))


def bookmark(version: str) -> tuple[str, dict[str, Any]]:
    return ("BOOKMARK", {"metadata": {"resourceVersion": version}})


EXPIRED = (
    "ERROR",
    {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 5 (9)"},
)
FUTURE = (
    "ERROR",
    {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "Too large resource version: 5, current: 1",
    },
)


class Cluster:
    """Lists one pod at version 5; each watch plays the next of `streams`, the last one for ever.

    A stream is a list of events; "end" (implied), "drop", "cut" or "silence" says how it ends.
    """

    def __init__(self, *streams: list[Any], list_status: int = 200) -> None:
        self._streams = list(streams)
        self._list_status = list_status
        self.lists = 0
        self.watched_from: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            body = {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": [pod("first", "3")]}
            return web.json_response(body, status=self._list_status)
        self.watched_from.append(request.query["resourceVersion"])
        assert request.query["allowWatchBookmarks"] == "true"
        stream = self._streams.pop(0) if len(self._streams) > 1 else self._streams[0]
        if stream and isinstance(stream[0], int):
            return web.json_response({"code": stream[0], "message": "no"}, status=stream[0])
        response = web.StreamResponse()
        await response.prepare(request)
        for part in stream:
            await self._play(part, request, response)
        return response

    async def _play(self, part: Any, request: web.Request, response: web.StreamResponse) -> None:
        if part == "silence":
            await asyncio.Event().wait()
        elif part == "cut":
            await response.write(b'{"type": "ADDED", "obj')
        elif part == "drop":
            assert request.transport is not None
            request.transport.abort()
        else:
            kind, content = part
            await response.write(json.dumps({"type": kind, "object": content}).encode() + b"\n")


def observe(talking: Talking, cluster: Cluster, count: int) -> tuple[list[Observation], float]:
    """The first observations, and the virtual seconds they took."""

    async def main() -> tuple[list[Observation], float]:
        seen: list[Observation] = []
        async with talking(cluster.answer) as api:
            started = asyncio.get_running_loop().time()
            async with aclosing(_generator(api.list_watch(PODS))) as observations:
                async for observation in observations:
                    seen.append(observation)
                    if len(seen) == count:
                        break
            return seen, asyncio.get_running_loop().time() - started

    return run_story(main())


def _generator(stream: AsyncIterator[Any]) -> Any:
    return stream


def kinds(seen: list[Observation]) -> list[str]:
    return [type(observation).__name__ for observation in seen]


def test_a_watch_yields_events_and_bookmarks_and_ends_with_the_stream(talking: Talking) -> None:
    async def main() -> list[WatchEvent]:
        async with talking(Cluster([added("a", "6"), bookmark("8")]).answer) as api:
            return [event async for event in api.watch(PODS, resource_version="5")]

    assert run_story(main()) == [
        WatchEvent("ADDED", pod("a", "6")),
        WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "8"}}),
    ]


@pytest.mark.parametrize("stream", [[added("a", "6"), EXPIRED], [410]])
def test_an_expired_version_is_the_same_error_before_and_inside_the_stream(
    talking: Talking, stream: list[Any]
) -> None:
    async def main() -> None:
        async with talking(Cluster(stream).answer) as api:
            async for _ in api.watch(PODS, resource_version="5"):
                pass

    with pytest.raises(Expired):
        run_story(main())


def test_after_a_clean_end_the_watch_goes_on_from_the_bookmark_without_a_gap(talking: Talking) -> None:
    cluster = Cluster([added("a", "6"), bookmark("8")], [added("b", "9"), "silence"])
    seen, _ = observe(talking, cluster, 3)
    assert seen == [
        Listed([{"kind": "Pod", "apiVersion": "", **pod("first", "3")}], "5"),
        Changed("ADDED", pod("a", "6")),
        Changed("ADDED", pod("b", "9")),
    ]
    assert cluster.watched_from == ["5", "8"]
    assert cluster.lists == 1


@pytest.mark.parametrize("expired", [[EXPIRED], [410]])
def test_an_expired_version_is_a_gap_and_a_new_list(talking: Talking, expired: list[Any]) -> None:
    cluster = Cluster(expired, [added("b", "9"), "silence"])
    seen, _ = observe(talking, cluster, 4)
    assert kinds(seen) == ["Listed", "Gap", "Listed", "Changed"]
    assert cluster.lists == 2


@pytest.mark.parametrize("breakage", ["drop", "cut"])
def test_a_broken_stream_is_a_gap_and_what_was_missed_comes_after_it(talking: Talking, breakage: str) -> None:
    cluster = Cluster([added("a", "6"), breakage], [added("b", "7"), "silence"])
    seen, _ = observe(talking, cluster, 4)
    assert kinds(seen) == ["Listed", "Changed", "Gap", "Changed"]
    assert cluster.watched_from == ["5", "6"]
    assert cluster.lists == 1


def test_a_silent_connection_is_a_gap_before_long_and_a_new_list(talking: Talking) -> None:
    """What happened in the silence must not be told as if it happened after it."""
    cluster = Cluster([added("a", "6"), "silence"], [added("b", "7"), "silence"])
    seen, seconds = observe(talking, cluster, 5)
    assert kinds(seen) == ["Listed", "Changed", "Gap", "Listed", "Changed"]
    assert 40 <= seconds < 45


def test_empty_streams_are_no_gap_and_no_hot_loop(talking: Talking) -> None:
    cluster = Cluster(*([[]] * 10), [added("b", "9"), "silence"])
    seen, seconds = observe(talking, cluster, 2)
    assert kinds(seen) == ["Listed", "Changed"]
    assert len(cluster.watched_from) == 11
    assert seconds >= 10


@pytest.mark.parametrize("expired", [[EXPIRED], [410]])
def test_versions_that_expire_as_soon_as_they_are_listed_are_no_hot_loop(
    talking: Talking, expired: list[Any]
) -> None:
    cluster = Cluster(expired)
    seen, seconds = observe(talking, cluster, 12)
    assert kinds(seen) == ["Listed", "Gap"] * 6
    # The first new list is made at once: that is how a gap ordinarily ends.
    assert seconds >= 0.5 + 1 + 2 + 4


def test_errors_are_tried_again_with_growing_delays_and_then_listed_anew(talking: Talking) -> None:
    cluster = Cluster([FUTURE], [FUTURE], [FUTURE], [added("b", "9"), "silence"])
    seen, seconds = observe(talking, cluster, 6)
    assert kinds(seen) == ["Listed", "Gap", "Gap", "Gap", "Listed", "Changed"]
    assert 3 < seconds < 10
    assert "Too large resource version" in cast(Gap, seen[1]).reason


def test_a_cluster_that_refuses_lists_is_asked_at_most_twice_a_minute_in_the_end(talking: Talking) -> None:
    cluster = Cluster([], list_status=403)
    seen, seconds = observe(talking, cluster, 20)
    assert set(kinds(seen)) == {"Gap"}
    assert 300 < seconds < 600
    assert cluster.lists == 20


def test_an_event_of_the_largest_size_etcd_holds_is_read(talking: Talking) -> None:
    large = {"metadata": {"name": "a", "resourceVersion": "6"}, "data": "x" * 2_000_000}
    seen, _ = observe(talking, Cluster([("MODIFIED", large), "silence"]), 2)
    assert seen[1] == Changed("MODIFIED", large)
