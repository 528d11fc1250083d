"""Sends firing and resolved alerts to every Alertmanager, and repeats them, as Prometheus does.

A batch that an Alertmanager does not take is dropped for it: the next resend carries the alerts again.
Source: Prometheus 2.42 rules/manager.go (SendAlerts), notifier/notifier.go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp

from responder.sandbox.prometheus.formatting import rfc3339
from responder.sandbox.prometheus.rules import ActiveAlert, GroupState

QUEUE_CAPACITY = 10_000
MAX_BATCH = 64
TIMEOUT_SECONDS = 10.0


class Notifier:
    """A bounded queue of alerts in Alertmanager's JSON form, and its delivery."""

    def __init__(
        self, alertmanager_urls: Sequence[str], *, external_url: str, resend_delay: timedelta
    ) -> None:
        self.alertmanager_urls = list(alertmanager_urls)
        self.failed_sends = 0
        self._external_url = external_url
        self._resend_delay = resend_delay
        self._queue: deque[dict[str, Any]] = deque(maxlen=QUEUE_CAPACITY)
        self._filled = asyncio.Event()

    def queue_due(self, group: GroupState, now: datetime) -> None:
        """Queue what the group's alerting rules owe the Alertmanagers."""
        # Four chances to repeat an alert before Alertmanager takes it for resolved.
        valid_until = now + 4 * max(group.interval, self._resend_delay)
        for state in group.rules:
            for alert in state.active.values():
                if alert.is_due(now, self._resend_delay):
                    alert.last_sent_at = now
                    self._queue.append(self._payload(alert, state.rule.query.text, valid_until))
                    self._filled.set()

    def forget(self) -> None:
        """Drop what is queued."""
        self._queue.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._queue:
                    batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
                    await self._post_all(session, batch)

    async def _post_all(self, session: aiohttp.ClientSession, batch: list[dict[str, Any]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for url in self.alertmanager_urls:
                tasks.create_task(self._post(session, f"{url.rstrip('/')}/api/v2/alerts", batch))

    async def _post(self, session: aiohttp.ClientSession, url: str, batch: list[dict[str, Any]]) -> None:
        try:
            async with session.post(url, json=batch) as response:
                if response.status // 100 != 2:
                    self.failed_sends += 1
        except (aiohttp.ClientError, TimeoutError):
            self.failed_sends += 1

    def _payload(self, alert: ActiveAlert, expression: str, valid_until: datetime) -> dict[str, Any]:
        assert alert.fired_at is not None, "only alerts that fired are due"
        return {
            "annotations": alert.annotations,
            "endsAt": rfc3339(alert.resolved_at or valid_until),
            "startsAt": rfc3339(alert.fired_at),
            "generatorURL": self._generator_url(expression),
            "labels": dict(alert.labels),
        }

    def _generator_url(self, expression: str) -> str:
        return f"{self._external_url}/graph?{urlencode({'g0.expr': expression, 'g0.tab': '1'})}"
