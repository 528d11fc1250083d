"""Telling people what is wrong with what Alertmanager delivers: once a reason and hour, whatever is repeated.

Every replica takes deliveries in: one that finds another's message in Slack adds none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack, SlackRefused
from responder.clock import Clock
from responder.errors import ResponderError

log = structlog.get_logger(__name__)

_ONCE_A = timedelta(hours=1)
# After a failure: whoever delivers waits for the attempt, so there must be few.
_AGAIN_AFTER = timedelta(seconds=30)
# Strangers must not be able to page anybody: a delivery without a good token is for Slack only.
_NEVER_PAGED = frozenset({"Unauthorized"})
# What was taken in all the same.
_TAKEN_IN = frozenset({"ReceiverMismatch"})

Send: TypeAlias = Callable[[str, str], Awaitable[None]]


class Refusals:
    """Remembers what was told to whom. Without Slack and PagerDuty the log and the metrics say it."""

    def __init__(self, slack: Slack | None, pagerduty: PagerDuty | None, channel: str, clock: Clock) -> None:
        self._slack = slack
        self._pagerduty = pagerduty
        self._channel = channel
        self._clock = clock
        self._due_at: dict[tuple[str, str], datetime] = {}
        self._lock = asyncio.Lock()

    async def tell(self, reason: str, message: str, peer: str) -> None:
        """Tell Slack, and PagerDuty where alerts may be lost or left alone; each of them once.

        Raises ResponderError when one of them could not be told; it is tried again half a minute later.
        """
        what = "are not set up right" if reason in _TAKEN_IN else "were refused"
        text = f"Alerts from {peer} {what} ({reason}): {message}"
        failures: list[ResponderError] = []
        async with self._lock:
            for channel, send in self._channels(reason):
                now = self._clock.now()
                if now < self._due_at.get((reason, channel), now):
                    continue
                try:
                    await send(reason, text)
                except ResponderError as error:
                    failures.append(error)
                    self._due_at[reason, channel] = self._clock.now() + _AGAIN_AFTER
                else:
                    self._due_at[reason, channel] = now + _ONCE_A
        if failures:
            raise failures[0]

    def _channels(self, reason: str) -> list[tuple[str, Send]]:
        channels: list[tuple[str, Send]] = []
        if self._pagerduty is not None and reason not in _NEVER_PAGED:
            channels.append(("pagerduty", self._page))
        if self._slack is not None and self._channel:
            channels.append(("slack", self._post))
        return channels

    async def _page(self, reason: str, text: str) -> None:
        assert self._pagerduty is not None  # only channels that are there are told
        payload = {"summary": text[:1024], "source": "responder", "severity": "error"}
        await self._pagerduty.send("trigger", f"responder/refused/{reason}", payload)

    async def _post(self, reason: str, text: str) -> None:
        assert self._slack is not None  # only channels that are there are told
        uid = f"refused/{reason}"
        try:
            found = await self._slack.find_by_metadata(self._channel, uid, self._clock.now() - _ONCE_A)
        except SlackRefused as error:
            # A second message is the lesser evil than none.
            log.warning("slack_search_refused", reason=reason, error=str(error))
            found = None
        if found is None:
            await self._slack.post(self._channel, [], text, incident_uid=uid)
