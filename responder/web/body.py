"""Reading a request's body within limits of size and time."""

from __future__ import annotations

import asyncio

from aiohttp import web

# A sender within the cluster needs milliseconds; a connection that trickles must not hold memory for long.
_READ_SECONDS = 10


async def read_body(request: web.Request, max_bytes: int) -> bytes | None:
    """Read the body; None as soon as it proves larger than max_bytes, announced or not.

    Raises web.HTTPRequestTimeout for a sender that takes more than 10 s.
    """
    if request.content_length is not None and request.content_length > max_bytes:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    return None
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text=f"the body did not arrive within {_READ_SECONDS} s") from error
    return bytes(body)
