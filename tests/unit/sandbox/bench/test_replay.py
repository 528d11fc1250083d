"""A replay sends what was recorded, in its order and side by side, about another workload."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from responder.sandbox.api.server import run_server
from responder.sandbox.bench.api import Api, BenchError
from responder.sandbox.bench.recording import Exchange
from responder.sandbox.bench.replay import OPEN_LABEL, Replay, critical_path, sequential_round_trips
from tests.shared import run_story

OLD, NEW = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
OLDER, NEWER = "33333333-3333-3333-3333-333333333333", "44444444-4444-4444-4444-444444444444"


def exchange(path: str, started: float, ended: float, **more: Any) -> Exchange:
    fields = {"method": "GET", "content_type": "application/json", "body": "", "answer": {}, "status": 200}
    return Exchange(path=path, started=started, ended=ended, **{**fields, **more})


MARKED = {"labels": {OPEN_LABEL: "true"}, "in": "old"}
RECORDED = (
    exchange(
        "/old/a",
        1,
        2,
        method="POST",
        body=json.dumps(MARKED),
        answer={"metadata": {"uid": OLD, "resourceVersion": "7"}},
    ),
    exchange("/old/b", 2, 4, answer={"metadata": {"uid": OLDER, "resourceVersion": "3"}}),
    exchange("/old/c", 2, 3),
    exchange("/home/leases/responder", 2, 3),
    exchange("/old/deployments/d?dryRun=All", 2, 3, method="PATCH"),
    exchange(
        "/old/deployments/d",
        4,
        5,
        method="PATCH",
        body=json.dumps({"metadata": {"uid": OLD, "resourceVersion": "7"}, "of": OLDER, "in": "old"}),
    ),
    exchange("/old/e", 5, 6),
)


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[Api]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with run_server(app) as url, aiohttp.ClientSession() as session:
        yield Api(session, url)


def test_the_critical_path_ends_with_the_undo() -> None:
    found = critical_path(RECORDED, 1.5)
    assert [each.path for each in found] == [
        "/old/b",
        "/old/c",
        "/old/deployments/d?dryRun=All",
        "/old/deployments/d",
    ]
    assert sequential_round_trips(found) == 2
    assert sequential_round_trips(RECORDED) == 4


def test_a_replay_keeps_the_order_and_speaks_of_the_other_workload() -> None:
    rehearsed: list[str] = []
    sent: list[tuple[str, str]] = []
    side_by_side = asyncio.Barrier(2)
    on_the_clock = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if not on_the_clock.is_set():
            rehearsed.append(f"{request.method} {request.path}")
            return web.json_response({"metadata": {"uid": NEWER, "resourceVersion": "8"}})
        if request.path in ("/new/b", "/new/c"):
            await side_by_side.wait()
        sent.append((request.path_qs, await request.text()))
        return web.json_response({"metadata": {"uid": NEW, "resourceVersion": "31"}})

    async def story() -> None:
        found = critical_path(RECORDED, 0)
        async with serving(answer) as api:
            replay = Replay(api, found, "old", "new")
            await replay.rehearse()
            on_the_clock.set()
            await replay.run()

    run_story(story())
    assert rehearsed == ["GET /new/b", "GET /new/c"]
    assert [path for path, _ in sent[:1]] == ["/new/a"]
    assert json.loads(sent[0][1]) == {"labels": {OPEN_LABEL: "none"}, "in": "new"}
    assert {path for path, _ in sent[1:4]} == {"/new/b", "/new/c", "/new/deployments/d?dryRun=All"}
    assert sent[4][0] == "/new/deployments/d"
    assert json.loads(sent[4][1]) == {
        "metadata": {"uid": NEW, "resourceVersion": "31"},
        "of": NEWER,
        "in": "new",
    }
    assert len(sent) == 5


def test_an_answer_that_differs_ends_the_replay() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({}, status=409)

    async def story() -> None:
        async with serving(refuse) as api:
            await Replay(api, RECORDED[:1], "old", "new").run()

    with pytest.raises(BenchError, match="was answered 409, not 200"):
        run_story(story())
