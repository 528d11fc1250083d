"""The built-in Alertmanager: alerts in, grouped notifications out, with faults to switch on.

The scenario runner starts it; alertmanager_app (in api) puts its HTTP API on top.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import aiohttp

from responder.clock import Clock
from responder.sandbox.alertmanager.alerts import Alert, merge, show_labels
from responder.sandbox.alertmanager.groups import Group
from responder.sandbox.alertmanager.notifications import Notified, is_due
from responder.sandbox.alertmanager.routing import Route
from responder.sandbox.alertmanager.silences import Silences
from responder.sandbox.alertmanager.webhook import post_until_taken, render_payload
from responder.sandbox.outage import Outage
from responder.sandbox.prometheus.labels import Labels

DEFAULT_RECEIVER = "default"
"""Where alerts go that the route does not want; it tells nobody."""

MAINTENANCE_SECONDS = 30.0
"""How often empty groups are removed. Source: Alertmanager 0.25 dispatch/dispatch.go."""

RESOLVED_KEPT = timedelta(minutes=30)
"""How long a resolved alert is remembered. Source: Alertmanager --alerts.gc-interval."""

MAX_ALERTS = 10_000
MAX_GROUPS = 1_000


class CapacityError(Exception):
    """More alerts or groups than it may hold."""


class Alertmanager:
    """One Alertmanager. Faults: set `outage`; call restart_empty()."""

    def __init__(
        self,
        clock: Clock,
        route: Route,
        *,
        external_url: str = "http://alertmanager.sandbox:9093",
        seed: int = 0,
    ) -> None:
        self.outage = Outage.NONE
        self.clock = clock
        self.route = route
        self.silences = Silences(seed)
        self.notifications_sent = 0
        self.notifications_failed = 0
        self._external_url = external_url
        self._alerts: dict[str, Alert] = {}
        self._groups: dict[Labels, Group] = {}
        self._log: dict[str, Notified] = {}
        self._unstarted: list[Group] = []
        self._wanted = asyncio.Event()
        self._runs: dict[Labels, asyncio.Task[None]] = {}

    def receive(self, alerts: Iterable[Alert]) -> None:
        """Take alerts in, new or repeated. Raises CapacityError."""
        now = self.clock.now()
        for received in alerts:
            alert = merge(self._alerts.get(received.fingerprint), received, now)
            if alert.fingerprint not in self._alerts and len(self._alerts) >= MAX_ALERTS:
                raise CapacityError(f"the built-in Alertmanager holds its limit of {MAX_ALERTS} alerts")
            self._alerts[alert.fingerprint] = alert
            if self.route.matches(alert.labels):
                self._group_of(alert).insert(alert)

    def receiver_of(self, alert: Alert) -> str:
        """The name of the receiver that the alert is routed to."""
        return self.route.receiver.name if self.route.matches(alert.labels) else DEFAULT_RECEIVER

    def alerts(self) -> list[Alert]:
        """The alerts whose end has not come, by fingerprint."""
        now = self.clock.now()
        return sorted(
            (alert for alert in self._alerts.values() if not alert.resolved_at(now)),
            key=lambda alert: alert.fingerprint,
        )

    def restart_empty(self) -> None:
        """Lose alerts, groups, silences and the notification log."""
        for task in self._runs.values():
            task.cancel()
        self._runs.clear()
        self._unstarted.clear()
        self._groups.clear()
        self._alerts.clear()
        self._log.clear()
        self.silences.clear()

    async def run(self) -> None:
        """Notify until cancelled."""
        # No timeout of its own: the flush sets the limit.
        endless = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=endless) as session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._maintain())
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                for group in self._unstarted:
                    self._runs[group.labels] = tasks.create_task(self._run_group(group, session))
                self._unstarted.clear()

    async def _run_group(self, group: Group, session: aiohttp.ClientSession) -> None:
        async def notify(group: Group, alerts: list[Alert]) -> bool:
            return await self._notify(session, group, alerts)

        await group.run(notify)

    def _group_of(self, alert: Alert) -> Group:
        labels = self.route.group_labels(alert.labels)
        group = self._groups.get(labels)
        if group is None:
            if len(self._groups) >= MAX_GROUPS:
                raise CapacityError(f"the built-in Alertmanager holds its limit of {MAX_GROUPS} groups")
            group = Group(self.clock, self.route, labels, f"{self.route.key}:{show_labels(labels)}")
            self._groups[labels] = group
            self._unstarted.append(group)
            self._wanted.set()
        return group

    async def _notify(self, session: aiohttp.ClientSession, group: Group, alerts: list[Alert]) -> bool:
        if self.outage is Outage.DOWN:
            return False
        now, receiver = self.clock.now(), self.route.receiver
        audible = [alert for alert in alerts if not self.silences.muting(alert.labels, now)]
        if not audible:
            return True
        firing = frozenset(alert.fingerprint for alert in audible if not alert.resolved_at(now))
        resolved = frozenset(alert.fingerprint for alert in audible if alert.resolved_at(now))
        if not is_due(self._log.get(group.key), self.route, firing=firing, resolved=resolved, now=now):
            return True
        told = [alert for alert in audible if receiver.send_resolved or alert.fingerprint in firing]
        if told:
            payload = render_payload(
                receiver,
                group_key=group.key,
                group_labels=group.labels,
                alerts=told,
                external_url=self._external_url,
                now=now,
            )
            if not await self._deliver(session, payload):
                return False
        self._log[group.key] = Notified(now, firing, resolved)
        return True

    async def _deliver(self, session: aiohttp.ClientSession, payload: dict[str, object]) -> bool:
        taken = False
        try:
            taken = await post_until_taken(session, self.clock, self.route.receiver, payload)
        finally:
            # Also when the flush's time is over: that is a failed notification.
            self.notifications_sent += taken
            self.notifications_failed += not taken
        return taken

    async def _maintain(self) -> None:
        """Remove empty groups and alerts and log entries that are long over, every now and then."""
        while True:
            await self.clock.sleep(MAINTENANCE_SECONDS)
            for labels in [labels for labels, group in self._groups.items() if not group.fingerprints]:
                del self._groups[labels]
                if task := self._runs.pop(labels, None):
                    task.cancel()
            now = self.clock.now()
            self._alerts = {
                fingerprint: alert
                for fingerprint, alert in self._alerts.items()
                if not alert.resolved_at(now - RESOLVED_KEPT)
            }
            forgotten = now - 2 * self.route.repeat_interval
            self._log = {key: entry for key, entry in self._log.items() if entry.at >= forgotten}
