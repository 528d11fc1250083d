"""One group of alerts: when it is flushed, and what a flush sends.

Source: Alertmanager 0.25 dispatch/dispatch.go (aggrGroup), notify/notify.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from responder.clock import Clock
from responder.sandbox.alertmanager.alerts import Alert
from responder.sandbox.alertmanager.routing import Route
from responder.sandbox.prometheus.labels import Labels, label_value

FlushOrder = tuple[bool, str, bool, str, int, Labels]

MIN_FLUSH_SECONDS = 10.0
"""A flush may take a group_interval, and never less than this. Source: Alertmanager notify.MinTimeout."""

Notify = Callable[["Group", list[Alert]], Awaitable[bool]]
"""Tells the receiver about the group's alerts; whether the log may forget the resolved ones."""


class Group:
    """Alerts with the same group labels; flushed after group_wait, then every group_interval."""

    def __init__(self, clock: Clock, route: Route, labels: Labels, key: str) -> None:
        self.labels = labels
        self.key = key
        self._clock = clock
        self._route = route
        self._alerts: dict[str, Alert] = {}
        self._flushed_once = False
        self._hurry = asyncio.Event()

    @property
    def fingerprints(self) -> set[str]:
        """The alerts in it."""
        return set(self._alerts)

    def insert(self, alert: Alert) -> None:
        """Take an alert in; when it already fires for longer than group_wait, the first flush is now."""
        self._alerts[alert.fingerprint] = alert
        if not self._flushed_once and alert.starts_at + self._route.group_wait < self._clock.now():
            self._hurry.set()

    async def run(self, notify: Notify) -> None:
        """Flush until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._route.group_wait.total_seconds()
        interval = self._route.group_interval.total_seconds()
        while True:
            await self._wait_until(due)
            self._hurry.clear()
            due = loop.time() + interval
            self._flushed_once = True
            try:
                async with asyncio.timeout(max(interval, MIN_FLUSH_SECONDS)):
                    await self._flush(notify)
            except TimeoutError:
                # What was not delivered in its time is judged anew in the next flush, as in Alertmanager.
                continue

    async def _wait_until(self, due: float) -> None:
        """Wait for the due time; an alert that already fires for long cuts the first wait short."""
        try:
            async with asyncio.timeout_at(due):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _flush(self, notify: Notify) -> None:
        if not self._alerts:
            return
        now = self._clock.now()
        alerts = sorted(self._alerts.values(), key=_order)
        if await notify(self, alerts):
            self._forget(alerts, now)

    def _forget(self, alerts: list[Alert], now: datetime) -> None:
        """Drop the resolved alerts that were told, unless they changed meanwhile."""
        for alert in alerts:
            current = self._alerts.get(alert.fingerprint)
            if alert.resolved_at(now) and current is not None and current.updated_at == alert.updated_at:
                del self._alerts[alert.fingerprint]


def _order(alert: Alert) -> FlushOrder:
    """By job, by instance, those without last, then the smaller label set. Source: types.AlertSlice."""
    job, instance = label_value(alert.labels, "job"), label_value(alert.labels, "instance")
    return (not job, job, not instance, instance, len(alert.labels), alert.labels)
