"""How a simulated server can be out of order, and the middleware that makes its HTTP API behave so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

from aiohttp import web
from aiohttp.typedefs import Middleware


class Outage(Enum):
    """The fault that is switched on."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    """The API answers 503; what the server does on its own goes on."""
    DOWN = "down"
    """The process is as dead: connections break, and it does nothing on its own."""


def outage_middleware(current: Callable[[], Outage]) -> Middleware:
    """Answer 503 or break the connection while `current()` says so."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        outage = current()
        if outage is Outage.NONE:
            return await handler(request)
        if outage is Outage.DOWN and request.transport is not None:
            request.transport.abort()
        return web.Response(status=503, text="Service Unavailable")

    return middleware
