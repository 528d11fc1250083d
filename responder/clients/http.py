"""One bounded GET, shared by the clients of plain HTTP APIs. Knows no API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    body: bytes


class AnswerTooLargeError(ValueError):
    """The other side sends more than we are ready to hold."""


async def fetch(
    session: aiohttp.ClientSession,
    url: URL,
    parameters: Mapping[str, str],
    *,
    timeout: aiohttp.ClientTimeout,
    max_bytes: int,
) -> Answer:
    """GET an URL and read at most max_bytes of its answer, whatever its status.

    Raises aiohttp.ClientError, TimeoutError, AnswerTooLargeError.
    """
    async with session.get(url, params=parameters, timeout=timeout) as response:
        body = bytearray()
        while not response.content.at_eof():
            body += await response.content.readany()
            if len(body) > max_bytes:
                raise AnswerTooLargeError(f"the answer is larger than {max_bytes} bytes")
        return Answer(response.status, bytes(body))


def shown(url: URL) -> str:
    """An URL as it may be logged: without the user and password it may carry."""
    return str(url.with_user(None))


def describe(error: Exception) -> str:
    """What an exception says, or its name where it says nothing (a timeout)."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port}: {_plain_reason(error.os_error)}"
    return str(error) or type(error).__name__


def _plain_reason(error: OSError) -> str:
    """Why a connection failed, in the system's own words: asyncio's repeat the address."""
    if isinstance(error, ConnectionError | TimeoutError) and error.errno:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
