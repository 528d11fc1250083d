"""The composition root: every part is made here, once, and taken down in the reverse order.

Nothing else builds a client or wires two rooms together. Called by the command line and by tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import structlog
from aiohttp import web

from responder.actions.notify import Notifier, Result
from responder.clients.alertmanager import Alertmanager
from responder.clients.kubernetes import connect
from responder.clients.pagerduty import PagerDuty
from responder.clients.prometheus import Prometheus
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.store import IncidentStore
from responder.pipeline.drive import Drivers
from responder.pipeline.gather import Gatherer
from responder.pipeline.intake import Intake
from responder.pipeline.interactions import Interactions
from responder.pipeline.reconcile import Reconcile
from responder.pipeline.refusals import Refusals
from responder.pipeline.respond import Responder
from responder.pipeline.watch import RevisionWatch
from responder.rules.load import load_rules
from responder.rules.model import Channel, RuleSet
from responder.settings import Settings
from responder.tasks import together
from responder.telemetry import Metrics
from responder.web.app import web_app
from responder.web.ports import Readiness, ReadinessCheck

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class App:
    """A running responder: where it listens, and whether it could do its work now."""

    url: str
    rules: RuleSet
    watch: RevisionWatch
    incidents: ReadinessCheck = field(
        default=ReadinessCheck("incidents", False, "the open incidents were not read yet")
    )

    def readiness(self) -> Readiness:
        """What /readyz says."""
        watched = self.watch.listed
        return Readiness(
            (
                ReadinessCheck("rules", True, f"{len(self.rules.files)} rule files"),
                self.incidents,
                ReadinessCheck("revisions", watched, "" if watched else "workloads are not watched yet"),
            )
        )


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[App]:
    """Run the responder while the context lasts. Raises ResponderError when it can't start."""
    rules = load_rules(settings.rules)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        kubernetes = await connect(settings.kubeconfig, settings.context, clock=clock)
        stack.push_async_callback(kubernetes.close)
        slack = _slack(settings)
        if slack is not None:
            stack.push_async_callback(slack.close)
        pagerduty = _pagerduty(settings)
        prometheus = Prometheus(settings.prometheus_url, session)

        store = IncidentStore(kubernetes)
        gatherer = Gatherer(kubernetes, store, prometheus, clock, settings.namespace)
        responder = Responder(
            kubernetes=kubernetes,
            prometheus=prometheus,
            store=store,
            gatherer=gatherer,
            rules=rules,
            clock=clock,
            metrics=metrics,
            decide_every=settings.decide_every,
        )

        def count(channel: Channel, result: Result) -> None:
            metrics.notifications.labels(channel.value, result).inc()

        notifier = Notifier(
            slack=slack,
            pagerduty=pagerduty,
            store=store,
            clock=clock,
            default_channel=settings.slack_channel or None,
            count=count,
        )
        drivers = Drivers(responder, store, notifier, rules, clock, metrics)
        intake = Intake(
            store,
            lambda: rules,
            clock,
            settings.namespace,
            drivers.wake,
            drivers.is_open,
            Refusals(slack, pagerduty, settings.slack_channel, clock),
        )
        reconcile = Reconcile(
            kubernetes=kubernetes,
            store=store,
            intake=intake,
            drivers=drivers,
            alertmanagers=tuple(Alertmanager(url, session) for url in settings.alertmanager_urls),
            receiver=settings.receiver,
            workloads=rules.workloads,
            clock=clock,
            repeat_interval=settings.repeat_interval,
        )
        watch = RevisionWatch(
            kubernetes, store, gatherer, clock, rules.files, settings.decide_every, reconcile.record_changed
        )
        interactions = Interactions(store=store, rules=lambda: rules, clock=clock, answerer=slack)
        app = App(url="", rules=rules, watch=watch)
        application = web_app(intake, interactions, app.readiness, metrics, settings, clock)
        async with together() as group:
            running = [
                group.create_task(work)
                for work in (
                    drivers.run(),
                    watch.run(),
                    _resume(app, store, drivers, reconcile, clock),
                )
            ]
            app.url = await stack.enter_async_context(_listening(application, settings))
            log.info("listening", url=app.url, rules=len(rules.files))
            try:
                yield app
            finally:
                for task in running:
                    task.cancel()


async def _resume(
    app: App, store: IncidentStore, drivers: Drivers, reconcile: Reconcile, clock: Clock
) -> None:
    """Take up every open incident, then keep comparing with Alertmanager."""
    while True:
        try:
            found = await store.list_open()
            break
        except ResponderError as error:
            app.incidents = ReadinessCheck("incidents", False, f"are the CRDs applied? {error}")
            log.error("incidents_out_of_reach", error=str(error))
        await clock.sleep(_RETRY_SECONDS)
    for incident in found:
        drivers.wake(incident)
    app.incidents = ReadinessCheck("incidents", True, f"{len(found)} open at start")
    await reconcile.run()


@asynccontextmanager
async def _listening(application: web.Application, settings: Settings) -> AsyncIterator[str]:
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.listen_host or None, settings.listen_port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


def _slack(settings: Settings) -> Slack | None:
    return (
        None if settings.slack_bot_token is None else Slack(settings.slack_bot_token, settings.slack_api_url)
    )


def _pagerduty(settings: Settings) -> PagerDuty | None:
    if settings.pagerduty_routing_key is None:
        return None
    return PagerDuty(settings.pagerduty_routing_key, settings.pagerduty_url)


async def serve(settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Run until `stop` is set."""
    async with running(settings, clock):
        await stop.wait()
        log.info("stopping")
