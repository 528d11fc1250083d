"""The built-in Prometheus: scrapes, evaluates rules, notifies, all on one clock, with faults to switch on.

The scenario runner starts it; prometheus_app (in api) puts its HTTP API on top.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from responder.clock import Clock
from responder.sandbox.outage import Outage
from responder.sandbox.prometheus.formatting import to_ms
from responder.sandbox.prometheus.notifier import Notifier
from responder.sandbox.prometheus.rulefile import RuleGroup
from responder.sandbox.prometheus.rules import GroupState
from responder.sandbox.prometheus.scrape import Scraper
from responder.sandbox.prometheus.tsdb import SeriesLimitError, Tsdb
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory


class Prometheus:
    """One Prometheus server.

    Faults: set `outage`; set `answers_after_seconds` and its queries are slow; set `scraping` to False and
    its data goes stale; set `unreachable`, a pattern found in namespace/pod, and those pods can't be scraped
    (`up` 0); call restart_empty().
    """

    def __init__(
        self,
        clock: Clock,
        pods: PodDirectory,
        metrics: PodMetrics,
        *,
        rules: Sequence[RuleGroup] = (),
        alertmanager_urls: Sequence[str] = (),
        job: str = "pods",
        scrape_interval_seconds: float = 5.0,
        evaluation_interval_seconds: float = 5.0,
        resend_delay_seconds: float = 60.0,
        external_url: str = "http://prometheus.sandbox:9090",
        retention: timedelta = timedelta(hours=6),
    ) -> None:
        self.outage = Outage.NONE
        self.answers_after_seconds = 0.0
        self.scraping = True
        self.clock = clock
        self.tsdb = Tsdb(retention=retention)
        self.groups = [GroupState(group, timedelta(seconds=evaluation_interval_seconds)) for group in rules]
        self.notifier = Notifier(
            alertmanager_urls,
            external_url=external_url,
            resend_delay=timedelta(seconds=resend_delay_seconds),
        )
        self.scrape_error = ""
        self._scrape_interval_seconds = scrape_interval_seconds
        self._scraper = Scraper(self.tsdb, pods, metrics, job=job)

    @property
    def unreachable(self) -> str:
        """Which pods can't be scraped."""
        return self._scraper.unreachable

    @unreachable.setter
    def unreachable(self, pattern: str) -> None:
        self._scraper.unreachable = pattern

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self._scrape_interval_seconds, 0.0, self.scrape))
            for group in self.groups:
                seconds = group.interval.total_seconds()
                # Half an interval off the scrapes, as rule groups have a phase of their own.
                tasks.create_task(self._every(seconds, seconds / 2, partial(self.evaluate, group)))
            tasks.create_task(self.notifier.run())

    def scrape(self) -> None:
        """Scrape every pod once, unless a fault forbids it."""
        if self.outage is Outage.DOWN or not self.scraping:
            return
        now_ms = to_ms(self.clock.now())
        try:
            self._scraper.scrape(now_ms)
            self.scrape_error = ""
        except SeriesLimitError as error:
            self.scrape_error = str(error)
        self.tsdb.expire(now_ms)

    def evaluate(self, group: GroupState) -> None:
        """Evaluate a group once and queue its alerts, unless a fault forbids it."""
        if self.outage is Outage.DOWN:
            return
        now = self.clock.now()
        group.evaluate(self.tsdb, now)
        self.notifier.queue_due(group, now)

    def restart_empty(self) -> None:
        """Lose all data and alert states, as a restart without a persistent volume does."""
        self.tsdb.clear()
        self._scraper.forget()
        self.notifier.forget()
        for group in self.groups:
            group.forget()

    async def _every(self, seconds: float, phase_seconds: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + phase_seconds
        while True:
            await self.clock.sleep(max(0.0, due - loop.time()))
            act()
            # Missed ticks are skipped, not made up for.
            due = max(due + seconds, loop.time())
