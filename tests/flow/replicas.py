"""Two responders on one world, behind a Service: who leads, who is killed, who is cut off.

`pair()` is to stories of replicas what harness.stage() is to those of one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from responder.app import App, running
from responder.sandbox.api.faults import DropBefore, Effect, FaultRule
from responder.sandbox.api.request_log import RequestRecord
from tests.flow.harness import Stage, stage

FIRST, SECOND = "first", "second"


class Service:
    """Forwards each request to one backend after the other, to the next when one can't be reached."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._turn = 0
        self.backends: list[str] = []

    async def forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._turn += 1
        for number in range(len(self.backends)):
            backend = self.backends[(self._turn + number) % len(self.backends)]
            try:
                async with self._session.request(
                    request.method, f"{backend}{request.path_qs}", data=body, headers=request.headers
                ) as answer:
                    return web.Response(status=answer.status, body=await answer.read())
            except aiohttp.ClientError:
                continue
        return web.Response(status=503, text="no endpoints")


@dataclass(slots=True)
class Replica:
    """One responder process, as far as the world can tell."""

    name: str
    here: Stage
    service: Service
    app: App = field(init=False)
    _life: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    async def start(self) -> None:
        """Start it and wait until it is ready, leading or not."""
        settings = self.here.settings.model_copy(update={"identity": self.name, "listen": "127.0.0.1:0"})
        self.app = await self._life.enter_async_context(running(settings, self.here.world.clock))
        await self.here.until(lambda: self.app.readiness().ready, timedelta(seconds=30), "ready")
        self.service.backends.append(self.app.url)

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        if self.app.url in self.service.backends:
            self.service.backends.remove(self.app.url)
        await self._life.aclose()

    async def kill(self) -> None:
        """End it so that nothing it does from now on reaches the cluster."""
        self.cut_off(DropBefore())
        await self.stop()

    def cut_off(self, effect: Effect, path: str = ".") -> None:
        """Let every request of this replica to such a path suffer so, and no other's."""
        self.here.world.cluster.faults.add(FaultRule("*", path, effect, client=f" {self.name}$"))


@dataclass(slots=True)
class Pair:
    """A stage with two replicas, of which the first leads at the beginning."""

    here: Stage
    first: Replica
    second: Replica

    @property
    def leaders(self) -> list[str]:
        """Who acts, by their own account."""
        return [each.name for each in (self.first, self.second) if each.app.leading]

    async def until_leads(self, replica: Replica, within: timedelta) -> None:
        await self.here.until(lambda: replica.app.leading, within, f"{replica.name} leads")

    def acts(self) -> list[tuple[str, RequestRecord]]:
        """Every write that only a leader may do, by the server's log, and who did it."""
        return [
            (write.user_agent.rpartition(" ")[2], write)
            for write in self.here.world.cluster.log.writes()
            if "/deployments/" in write.path or write.path.endswith("/status")
        ]

    def actors(self) -> list[str]:
        """Who acted, by the server's log: each change of hands once."""
        found: list[str] = []
        for name, _ in self.acts():
            if found[-1:] != [name]:
                found.append(name)
        return found


@asynccontextmanager
async def pair(
    tmp_path: Path, *changes: dict[str, Any], settings: Mapping[str, Any] | None = None, **plan: Any
) -> AsyncIterator[Pair]:
    """A world with two ready replicas behind a Service, until the context ends; see stage()."""
    async with (
        stage(tmp_path, *changes, settings=settings, alone=False, **plan) as here,
        AsyncExitStack() as stack,
    ):
        session = await stack.enter_async_context(aiohttp.ClientSession())
        service = Service(session)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", service.forward)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", here.settings.listen_port).start()
        found = Pair(here, Replica(FIRST, here, service), Replica(SECOND, here, service))
        for replica in (found.first, found.second):
            await replica.start()
            stack.push_async_callback(replica.stop)
            await found.until_leads(found.first, timedelta(seconds=30))
        yield found
