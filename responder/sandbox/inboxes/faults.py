"""Puts the sandbox's faults in front of an inbox: refusals, delays, dropped and silent connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_never

from aiohttp import web

from responder.clock import Clock
from responder.sandbox.api.faults import Delay, DropAfter, DropBefore, Faults, Hang, Late, Refuse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Call = Callable[[], Awaitable[web.StreamResponse]]

# Longer than any client of ours waits.
_HANG_SECONDS = 600.0


async def with_faults(
    faults: Faults, clock: Clock, request: web.Request, call: Call, refusal: Callable[[int], Any]
) -> web.StreamResponse:
    """Answer a request through the fault that hits it, if any; `refusal` is the body for a status code."""
    effect = faults.take(request.method, request.path_qs, clock.now())
    match effect:
        case None:
            return await call()
        case Refuse(code, retry_after_seconds, after_effect):
            if after_effect:
                await call()
            headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
            return web.json_response(refusal(code), status=code, headers=headers)
        case Delay(seconds):
            await clock.sleep(seconds)
            return await call()
        case DropBefore():
            return _drop(request)
        case DropAfter():
            await call()
            return _drop(request)
        case Hang(after_effect):
            if after_effect:
                await call()
            await clock.sleep(_HANG_SECONDS)
            return _drop(request)
        case Late(seconds):
            await clock.sleep(seconds)
            await call()
            return _drop(request)
        case _:
            assert_never(effect)


def _drop(request: web.Request) -> web.Response:
    """Break the connection; the response returned is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
