"""A gate sees what a server gets, before and after it is carried out, and can stop it."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from responder.sandbox.cluster import Cluster
from responder.sandbox.gate import Handler
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_a_gate_stops_what_it_does_not_hand_on() -> None:
    async def story() -> None:
        seen: list[str] = []

        async def only_reads(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method != "GET":
                return web.json_response({}, status=418)
            response = await handler(request)
            seen.append(f"{request.path} {response.status}")
            return response

        async with Cluster.start(clock=LoopClock(START)) as cluster, aiohttp.ClientSession() as session:
            headers = {"Authorization": "Bearer admin"}
            url = f"{cluster.url}/api/v1/namespaces"
            made = {"metadata": {"name": "made"}}
            cluster.put_gate(only_reads)
            async with session.post(url, json=made, headers=headers) as answer:
                assert answer.status == 418
            async with session.get(f"{url}/made", headers=headers) as answer:
                assert answer.status == 404
            assert seen == ["/api/v1/namespaces/made 404"]
            cluster.put_gate(None)
            async with session.post(url, json=made, headers=headers) as answer:
                assert answer.status == 201
            assert len(seen) == 1

    run_story(story())
