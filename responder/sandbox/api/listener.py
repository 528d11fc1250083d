"""A web application on a socket, which can refuse connections for a while as a server that is down does.

The API server listens through it, and whatever else run_server starts.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Listener:
    """The socket of a running application; url is where it listens, or will again."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        """The runner is set up; port is not 0."""
        self.url = f"http://{host}:{port}"
        self._runner = runner
        self._address = (host, port)
        self._placeholder: socket.socket | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls, app: web.Application, host: str, port: int) -> AsyncIterator[Listener]:
        """Serve app while the block runs; port 0 takes a free one."""
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            listener = cls(runner, host, int(runner.addresses[0][1]))
            try:
                yield listener
            finally:
                listener._let_go()
        finally:
            await runner.cleanup()

    async def close(self) -> None:
        """Refuse new connections from now on; those that are open stay so. The port stays ours."""
        for site in tuple(self._runner.sites):
            await site.stop()
        if self._placeholder is None:
            # Bound but not listening: who connects is refused, and nobody else gets the port.
            self._placeholder = _bound(self._address)

    async def reopen(self) -> None:
        """Listen again, on the same port."""
        if self._placeholder is not None:
            await web.SockSite(self._runner, self._placeholder).start()
            self._placeholder = None

    def _let_go(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None


def _bound(address: tuple[str, int]) -> socket.socket:
    placeholder = socket.socket()
    placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    placeholder.bind(address)
    return placeholder
