"""A proxy before the API server that writes down what the responder asks, and what it asks side by side.

It holds each request back for a moment, so that those sent at once are seen to overlap. Used for one incident
only: what is timed does not pass through it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from responder.clock import Clock
from responder.sandbox.api.objects import Object
from responder.sandbox.api.server import kubeconfig, run_server
from responder.sandbox.bench.api import Api

_LARGEST_BODY = 2**24
_HELD_BACK_SECONDS = 0.1
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; the instants are the loop's."""

    method: str
    path: str
    content_type: str
    body: str
    answer: Object
    status: int
    started: float
    ended: float


class Recorder:
    """Passes everything on, and keeps all but watches, in the order of their ends."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self.exchanges: list[Exchange] = []
        self._api = api
        self._clock = clock

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Send a request on to the API server and its answer back."""
        started, body = asyncio.get_running_loop().time(), await request.read()
        await self._clock.sleep(_HELD_BACK_SECONDS)
        async with self._api.session.request(
            request.method,
            self._api.url + request.raw_path,
            data=body or None,
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
            timeout=_NO_LIMIT,
        ) as answer:
            if "watch" in request.query:
                return await _stream(request, answer)
            content = await answer.read()
        response = web.Response(body=content, status=answer.status, content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=request.raw_path,
                content_type=request.content_type,
                body=body.decode(),
                answer=json.loads(content),
                status=answer.status,
                started=started,
                ended=asyncio.get_running_loop().time(),
            )
        )
        return response


async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    return response


@asynccontextmanager
async def recording(api: Api, folder: Path, clock: Clock) -> AsyncIterator[tuple[Recorder, Path]]:
    """Serve a recording proxy; yields it and the path of the kubeconfig that leads through it."""
    recorder = Recorder(api, clock)
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_route("*", "/{path:.*}", recorder.pass_on)
    async with run_server(app) as url:
        path = folder / "kubeconfig-recorded"
        path.write_text(yaml.safe_dump(kubeconfig(url)), encoding="utf-8")
        yield recorder, path
