"""PagerDuty's Events API v2 through pdpyras: one attempt a call, bounded in time, in a worker thread.

Repeating is the caller's affair; the dedup key makes it safe. The routing key never leaves this file.
Source: https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from responder.errors import Permanent, ResponderError, Temporary
from responder.term import Term

if TYPE_CHECKING:
    from pdpyras import PDClientError, PDSession

EVENTS_URL = "https://events.pagerduty.com"

# To connect, and between two pieces of an answer.
_TIMEOUT_SECONDS = 5.0
# The library always repeats a 429 at least once; the pause before that is spent in the worker thread.
_PAUSE_SECONDS = 0.05
# Two attempts of connecting and reading, with room to spare: only an answer that drips takes longer.
_CALL_SECONDS = 25.0
# After too many events, where PagerDuty does not say how long.
_WAIT_SECONDS = 30.0


class PagerDutyRefused(Permanent):
    """PagerDuty does not accept the event or the routing key."""


class PagerDutyUnavailable(Temporary):
    """PagerDuty could not be reached, or wants us to wait. The event may have been taken all the same."""


class PagerDuty:
    """One PagerDuty integration."""

    def __init__(self, routing_key: SecretStr, url: str = EVENTS_URL) -> None:
        self._routing_key = routing_key
        self._url = url.rstrip("/")
        self._library = _load_library()
        self._term: Term | None = None

    def during(self, term: Term) -> PagerDuty:
        """The same integration, where no event is sent beyond the term: that then raises TermOver."""
        bound = copy(self)
        bound._term = term
        return bound

    async def send(
        self,
        action: Literal["trigger", "resolve"],
        dedup_key: str,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one event about the alert with that dedup key; a trigger needs a payload.

        Safe to repeat. Raises PagerDutyRefused, PagerDutyUnavailable.
        """
        await self._call(action, lambda wait: self._send(action, dedup_key, payload, wait))

    async def send_change(self, payload: Mapping[str, Any]) -> None:
        """Show a change among the service's recent ones; it pages nobody. Repeated, it shows twice.

        Raises PagerDutyRefused, PagerDutyUnavailable.
        """
        await self._call("change event", lambda wait: self._send_change(payload, wait))

    async def _call(self, what: str, send: Callable[[float], None]) -> None:
        wait_seconds = _TIMEOUT_SECONDS
        if self._term is not None:
            self._term.check()
            # A thread can't be cancelled, only bounded: whoever leads next may resolve what it triggers late.
            wait_seconds = min(wait_seconds, self._term.left_seconds)
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await asyncio.to_thread(send, wait_seconds)
        except self._library.PDClientError as error:
            raise self._map(what, error) from None
        except TimeoutError as error:
            raise PagerDutyUnavailable(
                f"PagerDuty: no answer to a {what} within {_CALL_SECONDS:g} s"
            ) from error

    def _send(
        self, action: str, dedup_key: str, payload: Mapping[str, Any] | None, wait_seconds: float
    ) -> None:
        with self._library.EventsAPISession(self._routing_key.get_secret_value()) as session:
            self._restrain(session, wait_seconds)
            properties = {} if payload is None else {"payload": dict(payload)}
            session.send_event(action, dedup_key=dedup_key, **properties)

    def _send_change(self, payload: Mapping[str, Any], wait_seconds: float) -> None:
        key = self._routing_key.get_secret_value()
        with self._library.ChangeEventsAPISession(key) as session:
            self._restrain(session, wait_seconds)
            session.send_change_event(routing_key=key, payload=dict(payload))

    def _restrain(self, session: PDSession, wait_seconds: float) -> None:
        """One attempt, bounded in time."""
        session.url = self._url
        session.timeout = wait_seconds
        session.max_network_attempts = 0
        # Zero would mean for ever.
        session.retry = {429: 1}
        session.sleep_timer = _PAUSE_SECONDS

    def _map(self, what: str, error: PDClientError) -> ResponderError:
        """Our error for the library's, whose text may carry parts of the key and is not shown."""
        response = error.response
        if response is None:
            cause = type(error.__cause__).__name__ if error.__cause__ else "network error"
            return PagerDutyUnavailable(f"PagerDuty: {self._url} could not be reached: {cause}")
        status = response.status_code
        if status == 429:
            asked = response.headers.get("Retry-After", "")
            seconds = float(asked) if asked.isdecimal() else _WAIT_SECONDS
            return PagerDutyUnavailable("PagerDuty: too many events: it asks to wait", seconds)
        if status >= 500 or response.ok:
            return PagerDutyUnavailable(f"PagerDuty: no clear answer to a {what}: HTTP {status}")
        said = response.text[:300].replace(self._routing_key.get_secret_value(), "...")
        return PagerDutyRefused(
            f"PagerDuty: refused a {what} with {status}: {said}; check that the routing key is that of an"
            " Events API v2 integration"
        )


def _load_library() -> Any:
    """The library, imported only for those who use PagerDuty: it takes a tenth of the start."""
    with warnings.catch_warnings():
        # The package announces its successor on import; swapping it means changing this file alone.
        warnings.filterwarnings("ignore", message="The package .pdpyras. is deprecated")
        return import_module("pdpyras")
