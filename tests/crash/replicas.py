"""Replicas of the real program as processes, and the Service in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from responder.tasks import together
from tests.crash.nursery import fork_replica, kill_replica

_CHUNK = 64 * 1024


@dataclass(slots=True)
class Replica:
    """One replica, which may be killed and started again."""

    name: str
    port: int
    environment: Mapping[str, str]
    log: Path
    _pid: int | None = None

    def start(self) -> None:
        """Start it; it is ready some tenths of a second later."""
        own = {"RESPONDER_LISTEN": f"127.0.0.1:{self.port}"}
        self._pid = fork_replica({**self.environment, **own}, self.log)

    def kill(self) -> None:
        """SIGKILL, and return when it is dead: nothing is left of it then but what it had sent."""
        if self._pid is not None:
            kill_replica(self._pid)
            self._pid = None


@dataclass(slots=True)
class Service:
    """Leads each connection to the first replica that accepts it, as long as there is one."""

    replicas: list[Replica] = field(default_factory=list)

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        with suppress(OSError):
            for replica in self.replicas:
                with suppress(ConnectionRefusedError):
                    there = await asyncio.open_connection("127.0.0.1", replica.port)
                    await _join((reader, writer), there)
                    return
        writer.transport.abort()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: Ends, other: Ends) -> None:
    """Both directions until either ends, and the other with it."""
    try:
        async with together() as group:
            ways = [
                group.create_task(_pump(one[0], other[1])),
                group.create_task(_pump(other[0], one[1])),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
    finally:
        one[1].close()
        other[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Service, int]]:
    """A Service on a loopback port, until the context ends."""
    service = Service()
    server = await asyncio.start_server(service.lead, "127.0.0.1", 0)
    async with server:
        yield service, int(server.sockets[0].getsockname()[1])
