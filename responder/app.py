"""The composition root: every part is made here, once, and taken down in the reverse order.

Nothing else builds a client or wires two rooms together. Called by the command line and by tests.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import structlog
from aiohttp import web

from responder.actions.notify import Notifier, Result
from responder.clients.alertmanager import Alertmanager
from responder.clients.kubernetes import Kubernetes, connect
from responder.clients.pagerduty import PagerDuty
from responder.clients.prometheus import Prometheus
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.store import IncidentStore
from responder.pipeline.active import ActiveAlerts
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
from responder.tasks import alongside
from responder.telemetry import Metrics
from responder.web.app import web_app
from responder.web.ports import Readiness, ReadinessCheck

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5.0


class CanNotListen(ResponderError):
    """The address to listen on can't be had."""

    def __init__(self, listen: str, error: OSError) -> None:
        # A negative number is the resolver's, not the system's.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        super().__init__(f"can't listen on {listen}: {why}; choose another with --listen (RESPONDER_LISTEN)")


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


@dataclass(frozen=True, slots=True)
class Clients:
    """Whoever is spoken to outside."""

    kubernetes: Kubernetes
    prometheus: Prometheus
    alertmanagers: tuple[Alertmanager, ...]
    slack: Slack | None
    pagerduty: PagerDuty | None


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[App]:
    """Run the responder while the context lasts. Raises ResponderError when it can't start."""
    rules = load_rules(settings.rules)
    for warning in (warning for file in rules.files for warning in file.warnings):
        log.warning("rule_file_warning", message=str(warning))
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        clients = await _connect(settings, clock, stack)
        store = IncidentStore(clients.kubernetes)
        active = ActiveAlerts(clients.alertmanagers, settings.receiver)
        gatherer = Gatherer(clients.kubernetes, store, clients.prometheus, active, clock, settings.namespace)
        drivers = _drivers(settings, clock, rules, metrics, clients, store, gatherer)
        refusals = Refusals(clients.slack, clients.pagerduty, settings.slack_channel, clock)
        intake = Intake(
            store, lambda: rules, clock, settings.namespace, drivers.wake, drivers.is_open, refusals
        )
        reconcile = Reconcile(
            kubernetes=clients.kubernetes,
            store=store,
            intake=intake,
            drivers=drivers,
            alertmanagers=clients.alertmanagers,
            receiver=settings.receiver,
            workloads=rules.workloads,
            clock=clock,
            repeat_interval=settings.repeat_interval,
        )
        watch = RevisionWatch(
            clients.kubernetes,
            store,
            gatherer,
            clock,
            rules.files,
            settings.decide_every,
            reconcile.record_changed,
        )
        interactions = Interactions(store=store, rules=lambda: rules, clock=clock, answerer=clients.slack)
        app = App(url="", rules=rules, watch=watch)
        application = web_app(intake, interactions, app.readiness, metrics, settings, clock)
        works = (drivers.run(), watch.run(), _resume(app, store, drivers, reconcile, clock))
        async with alongside(*works):
            app.url = await stack.enter_async_context(_listening(application, settings))
            log.info("listening", url=app.url, rules=len(rules.files))
            yield app


async def _connect(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Clients:
    """Make every client; the stack closes them."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    kubernetes = await connect(settings.kubeconfig, settings.context, clock=clock)
    stack.push_async_callback(kubernetes.close)
    slack = None
    if settings.slack_bot_token is not None:
        slack = Slack(settings.slack_bot_token, settings.slack_api_url)
        stack.push_async_callback(slack.close)
    pagerduty = None
    if settings.pagerduty_routing_key is not None:
        pagerduty = PagerDuty(settings.pagerduty_routing_key, settings.pagerduty_url)
    return Clients(
        kubernetes=kubernetes,
        prometheus=Prometheus(settings.prometheus_url, session),
        alertmanagers=tuple(Alertmanager(url, session) for url in settings.alertmanager_urls),
        slack=slack,
        pagerduty=pagerduty,
    )


def _drivers(
    settings: Settings,
    clock: Clock,
    rules: RuleSet,
    metrics: Metrics,
    clients: Clients,
    store: IncidentStore,
    gatherer: Gatherer,
) -> Drivers:
    """The way of an incident, and those who are told about it."""
    responder = Responder(
        kubernetes=clients.kubernetes,
        prometheus=clients.prometheus,
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
        slack=clients.slack,
        pagerduty=clients.pagerduty,
        store=store,
        clock=clock,
        default_channel=settings.slack_channel or None,
        count=count,
    )
    return Drivers(responder, store, notifier, rules, clock, metrics)


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
        try:
            await site.start()
        except OSError as error:
            raise CanNotListen(settings.listen, error) from error
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


async def serve(settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Run until `stop` is set."""
    async with running(settings, clock):
        # What is there by now stays: without it, a look for garbage takes far less of an undo.
        gc.collect()
        gc.freeze()
        await stop.wait()
        log.info("stopping")
