"""One request to the API server: headers, timeouts, what is sent again, and what each answer means.

Knows neither objects nor watches. Called by client.py only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import structlog

from responder.clients.http import describe
from responder.clients.kubernetes.errors import (
    ApiError,
    OutcomeUnknown,
    TooManyRequests,
    Unavailable,
    parse_error,
)
from responder.clients.kubernetes.model import Object
from responder.clients.kubernetes.session import Session
from responder.clock import Clock
from responder.term import Term

log = structlog.get_logger(__name__)

# The library waits for ever by default. A write that took longer than this is judged by reading the object.
_WAIT_SECONDS = 20.0
_TIMEOUT = aiohttp.ClientTimeout(total=_WAIT_SECONDS, sock_connect=5)

_ATTEMPTS = 4
_FIRST_DELAY_SECONDS = 0.25
# Kubernetes asks for 1 s when busy and 5 s when shutting down; a longer wish is the caller's to weigh.
_LONGEST_RETRY_AFTER_SECONDS = 10.0

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `writes` is False when sending it twice does no harm (reads and dry runs)."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"?{urlencode(self.query)}" if self.query else "")


class Transport:
    """Sends requests through a session, which has the address, the TLS set-up and the token."""

    def __init__(self, session: Session, clock: Clock, term: Term | None = None) -> None:
        self.session = session
        self._clock = clock
        self._term = term
        self._connected = True

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    async def send(self, request: Request) -> Object:
        """Send, again where that does no harm, and return the answer's object. Raises ApiError."""
        delay = _FIRST_DELAY_SECONDS
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._send_once(request)
            except (TooManyRequests, Unavailable) as error:
                if request.writes and not isinstance(error, TooManyRequests):
                    raise
                wait = max(delay, error.retry_after_seconds or 0.0)
                if wait > _LONGEST_RETRY_AFTER_SECONDS:
                    raise
                # Without the request: when all fail alike, one line is enough.
                log.warning("kubernetes_retry", error=error.message)
            await self._clock.sleep(wait)
            delay *= 2
        return await self._send_once(request)

    async def _send_once(self, request: Request) -> Object:
        response = await self.open(request, self._timeout(request))
        async with response:
            try:
                body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise lost_answer(request, error) from error
        if not 200 <= response.status < 300:
            raise refusal(request, response, body)
        for warning in response.headers.getall("Warning", ()):
            log.warning("kubernetes_warning", request=str(request), warning=warning)
        try:
            content = json.loads(body)
        except ValueError as error:
            raise lost_answer(request, error) from error
        if not isinstance(content, dict):
            raise lost_answer(request, ValueError("the answer is not a JSON object"))
        return content

    def _timeout(self, request: Request) -> aiohttp.ClientTimeout:
        """How long to wait; a write is neither sent nor waited for beyond the term. Raises TermOver."""
        if self._term is None or not request.writes:
            return _TIMEOUT
        self._term.check()
        return aiohttp.ClientTimeout(total=min(_WAIT_SECONDS, self._term.left_seconds), sock_connect=5)

    async def open(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Send once and return as soon as the headers are there; the caller reads and closes.

        Raises Unavailable when nothing was sent, and what lost_answer makes of a broken connection.
        """
        try:
            response = await self.session.request(
                request.method,
                request.path + (f"?{urlencode(request.query)}" if request.query else ""),
                headers={"Accept": request.accept, "Content-Type": request.content_type},
                data=None if request.body is None else json.dumps(request.body),
                timeout=timeout,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._connected = False
            message = f"no connection: {describe(error)}"
            raise Unavailable(0, "NoConnection", message, {}, request=str(request)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise lost_answer(request, error) from error
        if not self._connected:
            self._connected = True
            log.info("kubernetes_reached_again")
        return response


def refusal(request: Request, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    """The error for an answer with a code of 300 and above."""
    header = response.headers.get("Retry-After", "")
    return parse_error(
        response.status,
        body,
        request=str(request),
        writes=request.writes,
        retry_after_seconds=float(header) if header.isdecimal() else None,
    )


def lost_answer(request: Request, error: Exception) -> ApiError:
    """The error for an answer that did not come, or did not come whole."""
    kind = OutcomeUnknown if request.writes else Unavailable
    return kind(0, kind.__name__, f"no whole answer: {describe(error)}", {}, request=str(request))
