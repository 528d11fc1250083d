"""A gate in front of a simulated server: sees each request before it is carried out and after, or stops it.

Faults match requests by their address; a gate may look at what they say, and act at the very moment. Tests
put one up; without one every request just passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Gate = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
"""Calls the handler to have the request carried out, and returns the answer."""


def gate_middleware(current: Callable[[], Gate | None]) -> Middleware:
    """Let requests pass through the gate that `current()` gives, if any."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate = current()
        return await handler(request) if gate is None else await gate(request, handler)

    return middleware
