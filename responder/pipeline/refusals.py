"""Telling people that alerts could not be taken in: once a reason and hour, whatever the sender repeats."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError

log = structlog.get_logger(__name__)

_ONCE_A = timedelta(hours=1)
# Strangers must not be able to page anybody: a delivery without a good token is for Slack only.
_NEVER_PAGED = frozenset({"Unauthorized"})


class Refusals:
    """Remembers what was told. Without Slack and PagerDuty the log and the metrics say it."""

    def __init__(self, slack: Slack | None, pagerduty: PagerDuty | None, channel: str, clock: Clock) -> None:
        self._slack = slack
        self._pagerduty = pagerduty
        self._channel = channel
        self._clock = clock
        self._told_at: dict[str, datetime] = {}
        self._lock = asyncio.Lock()

    async def tell(self, reason: str, message: str, peer: str) -> None:
        """Tell Slack, and PagerDuty where alerts may be lost. Raises ResponderError when nobody was told."""
        async with self._lock:
            now = self._clock.now()
            told_at = self._told_at.get(reason)
            if told_at is not None and now - told_at < _ONCE_A:
                return
            await self._send(reason, f"Alerts from {peer} were refused ({reason}): {message}")
            self._told_at[reason] = now

    async def _send(self, reason: str, text: str) -> None:
        failures: list[ResponderError] = []
        if self._pagerduty is not None and reason not in _NEVER_PAGED:
            payload = {"summary": text[:1024], "source": "responder", "severity": "error"}
            try:
                await self._pagerduty.send("trigger", f"responder/refused/{reason}", payload)
            except ResponderError as error:
                failures.append(error)
        if self._slack is not None and self._channel:
            try:
                await self._slack.post(self._channel, [], text, incident_uid=f"refused/{reason}")
            except ResponderError as error:
                failures.append(error)
        if failures:
            raise failures[0]
