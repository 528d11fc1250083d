"""PagerDuty's Events API v2 through pdpyras: one attempt a call, bounded in time, in a worker thread.

Repeating is the caller's affair; the dedup key makes it safe. The routing key never leaves this file.
Source: https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import SecretStr

from responder.errors import Permanent, ResponderError, Temporary

with warnings.catch_warnings():
    # The package announces its successor on import; swapping it means changing this file alone.
    warnings.filterwarnings("ignore", message="The package .pdpyras. is deprecated")
    from pdpyras import EventsAPISession, PDClientError

EVENTS_URL = "https://events.pagerduty.com"

# To connect, and between two pieces of an answer.
_TIMEOUT_SECONDS = 5.0
# The library always repeats a 429 at least once; the pause before that is spent in the worker thread.
_PAUSE_SECONDS = 0.05
# Two attempts of connecting and reading, with room to spare: only an answer that drips takes longer.
_CALL_SECONDS = 25.0


class PagerDutyRefused(Permanent):
    """PagerDuty does not accept the event or the routing key."""


class PagerDutyUnavailable(Temporary):
    """PagerDuty could not be reached, or wants us to wait. The event may have been taken all the same."""


class PagerDuty:
    """One PagerDuty integration."""

    def __init__(self, routing_key: SecretStr, url: str = EVENTS_URL) -> None:
        self._routing_key = routing_key
        self._url = url.rstrip("/")

    async def send(
        self,
        action: Literal["trigger", "resolve"],
        dedup_key: str,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one event about the alert with that dedup key; a trigger needs a payload.

        Safe to repeat. Raises PagerDutyRefused, PagerDutyUnavailable.
        """
        try:
            # A thread can't be cancelled; it ends by its own timeouts, and a late repeat does no harm.
            async with asyncio.timeout(_CALL_SECONDS):
                await asyncio.to_thread(self._send, action, dedup_key, payload)
        except PDClientError as error:
            raise self._map(action, error) from None
        except TimeoutError as error:
            raise PagerDutyUnavailable(
                f"PagerDuty: no answer to a {action} within {_CALL_SECONDS:g} s"
            ) from error

    def _send(self, action: str, dedup_key: str, payload: Mapping[str, Any] | None) -> None:
        with EventsAPISession(self._routing_key.get_secret_value()) as session:
            session.url = self._url
            session.timeout = _TIMEOUT_SECONDS
            session.max_network_attempts = 0
            # Zero would mean for ever.
            session.retry = {429: 1}
            session.sleep_timer = _PAUSE_SECONDS
            properties = {} if payload is None else {"payload": dict(payload)}
            session.send_event(action, dedup_key=dedup_key, **properties)

    def _map(self, action: str, error: PDClientError) -> ResponderError:
        """Our error for the library's, whose text may carry parts of the key and is not shown."""
        response = error.response
        if response is None:
            cause = type(error.__cause__).__name__ if error.__cause__ else "network error"
            return PagerDutyUnavailable(f"PagerDuty: {self._url} could not be reached: {cause}")
        status = response.status_code
        if status == 429:
            return PagerDutyUnavailable("PagerDuty: too many events: it asks to wait", 30.0)
        if status >= 500 or response.ok:
            return PagerDutyUnavailable(f"PagerDuty: no clear answer to a {action}: HTTP {status}")
        said = response.text[:300].replace(self._routing_key.get_secret_value(), "...")
        return PagerDutyRefused(
            f"PagerDuty: refused a {action} with {status}: {said}; check that the routing key is that of an"
            " Events API v2 integration"
        )
