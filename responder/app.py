"""The composition root: every part is made here, once, and taken down in the reverse order.

Beside it only commands that look for themselves (cli/) build clients and wire rooms together. Called by the
command line and by tests.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import aiohttp
import structlog
from aiohttp import web

from responder.actions.notify import Notifier
from responder.clients.alertmanager import Alertmanager
from responder.clients.kubernetes import Kubernetes, connect
from responder.clients.pagerduty import PagerDuty
from responder.clients.prometheus import Prometheus
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.record import WorkloadRecord
from responder.incidents.store import IncidentStore
from responder.pipeline.active import ActiveAlerts
from responder.pipeline.drive import Drivers
from responder.pipeline.elect import Elector
from responder.pipeline.gather import Gatherer
from responder.pipeline.intake import Intake
from responder.pipeline.interactions import Interactions
from responder.pipeline.open_incidents import OpenIncidents
from responder.pipeline.others import OtherWorkloads, brake_of
from responder.pipeline.owned import Resuming
from responder.pipeline.reconcile import Reconcile
from responder.pipeline.refusals import Refusals
from responder.pipeline.respond import Responder
from responder.pipeline.retention import Retention
from responder.pipeline.returns import Returns
from responder.pipeline.turns import Turns
from responder.pipeline.watch import RevisionWatch
from responder.rules.load import load_rules
from responder.rules.model import RuleSet
from responder.settings import Settings
from responder.tasks import alongside, together
from responder.telemetry import Metrics
from responder.term import Term
from responder.web.app import web_app
from responder.web.ports import Readiness, ReadinessCheck

log = structlog.get_logger(__name__)

# What deliveries under way get when the process stops; the pod's grace period is longer.
_LAST_ANSWERS_SECONDS = 15.0
# Connections to Prometheus and Alertmanager outlast the pause between two judgements, where the library's own
# 15 s would close each just before it is used again.
_KEEP_ALIVE_SECONDS = 60.0
# More new objects than an undo makes: with Python's own 700, several looks for garbage fall into each.
_GARBAGE_AT = 10_000
# What broke beside the driving of incidents is begun again after so long, doubled each time.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 300.0


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
    incidents: OpenIncidents
    elector: Elector
    # Made anew for each term of leadership.
    watch: RevisionWatch | None = None

    @property
    def leading(self) -> bool:
        """Whether this replica acts; the others only take in."""
        return self.watch is not None

    def readiness(self) -> Readiness:
        """What /readyz says: whether alerts could be taken in, and worked on by some replica."""
        opened, elector = self.incidents, self.elector
        found = f"{len(opened.incidents())} open" if opened.listed else opened.problem
        watched = self.watch is None or self.watch.settled
        unseen = "" if self.watch is None else self.watch.problem
        return Readiness(
            (
                ReadinessCheck("rules", True, f"{len(self.rules.files)} rule files"),
                ReadinessCheck("incidents", opened.listed, found),
                # Without a leader alerts are taken in all the same; responder_leading tells who watches it.
                ReadinessCheck("leader", True, elector.problem or _who_leads(elector)),
                # What of some namespace can't be seen must not keep the others' alerts from being taken in.
                ReadinessCheck("revisions", watched, unseen if watched else "workloads are not watched yet"),
            )
        )


class _Lasting(Protocol):
    """Work that never ends by itself."""

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Clients:
    """Whoever is spoken to outside."""

    kubernetes: Kubernetes
    prometheus: Prometheus
    alertmanagers: tuple[Alertmanager, ...]
    slack: Slack | None
    pagerduty: PagerDuty | None

    def during(self, term: Term) -> Clients:
        """The same, where nothing is written or said beyond the term."""
        return replace(
            self,
            kubernetes=self.kubernetes.during(term),
            slack=None if self.slack is None else self.slack.during(term),
            pagerduty=None if self.pagerduty is None else self.pagerduty.during(term),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """What every term of leadership works with, and replicas that don't lead as well."""

    settings: Settings
    clock: Clock
    rules: RuleSet
    metrics: Metrics
    clients: Clients
    incidents: OpenIncidents
    intake: Intake


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[App]:
    """Run the responder while the context lasts. Raises ResponderError when it can't start.

    Every replica takes alerts and clicks in; the one that holds the Lease works on them.
    """
    rules = load_rules(settings.rules)
    for warning in (warning for file in rules.files for warning in file.warnings):
        log.warning("rule_file_warning", message=str(warning))
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        clients = await _connect(settings, clock, stack)
        store = IncidentStore(clients.kubernetes, metrics.count_dropped)
        incidents = OpenIncidents(clients.kubernetes)
        metrics.open_incidents.set_function(lambda: len(incidents.incidents()))
        refusals = Refusals(clients.slack, clients.pagerduty, settings.slack_channel, clock)
        intake = Intake(
            store,
            lambda: rules,
            clock,
            settings.namespace,
            incidents.note,
            incidents.is_open,
            refusals,
            count_open=lambda: len(incidents.incidents()),
            max_open=settings.max_open_incidents,
        )
        interactions = Interactions(store=store, rules=lambda: rules, clock=clock, answerer=clients.slack)
        elector = Elector(
            clients.kubernetes, clock, settings.namespace, _candidate(settings), settings.lease_duration
        )
        app = App("", rules, incidents, elector)
        metrics.unwatched.set_function(lambda: 0 if app.watch is None else app.watch.unwatched)
        parts = Parts(settings, clock, rules, metrics, clients, incidents, intake)
        application = web_app(intake, interactions, app.readiness, metrics, settings, clock)
        async with alongside(incidents.run(), elector.run(lambda term: _lead(app, parts, term))):
            app.url = await stack.enter_async_context(_listening(application, settings))
            log.info(
                "listening",
                url=app.url,
                rules=len(rules.files),
                identity=elector.identity,
                leader=elector.leader,
            )
            yield app


def _who_leads(elector: Elector) -> str:
    if elector.leader == elector.identity:
        return f"{elector.identity} leads (this replica)"
    return f"{elector.leader or 'nobody'} leads; this replica is {elector.identity}"


def _candidate(settings: Settings) -> str:
    """This process's name in the Lease: two lives of one pod, or two of one name, are two candidates."""
    return f"{settings.identity}_{secrets.token_hex(4)}"


async def _lead(app: App, parts: Parts, term: Term) -> None:
    """Drive every open incident and watch the workloads, until cancelled: all that acts is made here."""
    parts = replace(parts, clients=parts.clients.during(term))
    settings, clock, rules, clients = parts.settings, parts.clock, parts.rules, parts.clients
    kubernetes = clients.kubernetes
    store = IncidentStore(kubernetes, parts.metrics.count_dropped)
    # The watch measures how healthy revisions are, and judging asks what it saw: each needs the other.
    gatherer = _gatherer(parts, store, lambda: watch)
    resuming = Resuming(kubernetes, store, rules, clock)
    drivers = _drivers(parts, kubernetes, store, gatherer, term, resuming)
    reconcile = _reconcile(parts, store, drivers)
    retention = Retention(store, clock, settings.retention)
    returns = Returns(clients.slack, clients.pagerduty, settings.slack_channel, store, rules, clock)

    def record_changed(record: WorkloadRecord) -> None:
        returns.record_changed(record)
        reconcile.record_changed(record)

    app.watch = watch = RevisionWatch(
        kubernetes,
        store,
        gatherer,
        clock,
        rules.files,
        settings.decide_every,
        record_changed,
        on_template=drivers.wake_workload,
        on_unexpected=parts.metrics.count_unexpected,
        quiet=parts.intake.quiet,
    )
    parts.metrics.leading.set(1)
    try:
        with parts.incidents.waking(drivers.wake):
            async with together() as group:
                group.create_task(watch.run())
                group.create_task(drivers.run())
                _begin_beside(group, parts, reconcile, retention, returns, resuming)
    finally:
        parts.metrics.leading.set(0)
        app.watch = None


def _gatherer(parts: Parts, store: IncidentStore, watch: Callable[[], RevisionWatch]) -> Gatherer:
    settings, clients = parts.settings, parts.clients
    return Gatherer(
        clients.kubernetes,
        store,
        clients.prometheus,
        ActiveAlerts(clients.alertmanagers, settings.receiver),
        parts.clock,
        settings.namespace,
        others=OtherWorkloads(parts.incidents.incidents, parts.rules, brake_of(settings)),
        protected=settings.protected_namespaces,
        look_at_secrets=settings.look_at_secrets,
        look_for_drivers=settings.look_for_drivers,
        last_seen=lambda key: watch().last_seen(key),
        caught_up=lambda key: watch().caught_up(key),
    )


def _begin_beside(group: asyncio.TaskGroup, parts: Parts, *works: _Lasting) -> None:
    for work in works:
        group.create_task(_keep_running(work, parts.clock, parts.metrics))


def _reconcile(parts: Parts, store: IncidentStore, drivers: Drivers) -> Reconcile:
    return Reconcile(
        kubernetes=parts.clients.kubernetes,
        store=store,
        intake=parts.intake,
        drivers=drivers,
        alertmanagers=parts.clients.alertmanagers,
        receiver=parts.settings.receiver,
        workloads=parts.rules.workloads,
        clock=parts.clock,
        repeat_interval=parts.settings.repeat_interval,
    )


async def _keep_running(work: _Lasting, clock: Clock, metrics: Metrics) -> None:
    """Run it until cancelled. A defect met there ends neither the driving of incidents nor this replica."""
    name, pause_seconds = type(work).__name__.lower(), _FIRST_PAUSE_SECONDS
    while True:
        try:
            await work.run()
        except Exception as error:
            log.exception("work_broke", work=name, error=str(error))
            metrics.count_unexpected(name)
        await clock.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)


async def _connect(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Clients:
    """Make every client; the stack closes them."""
    session = await stack.enter_async_context(
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=_KEEP_ALIVE_SECONDS))
    )
    kubernetes = await connect(settings.kubeconfig, settings.context, clock=clock, identity=settings.identity)
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
    parts: Parts,
    kubernetes: Kubernetes,
    store: IncidentStore,
    gatherer: Gatherer,
    term: Term,
    resuming: Resuming,
) -> Drivers:
    """The way of an incident, and those who are told about it."""
    settings, clock, metrics, clients = parts.settings, parts.clock, parts.metrics, parts.clients
    responder = Responder(
        kubernetes=kubernetes,
        prometheus=clients.prometheus,
        store=store,
        gatherer=gatherer,
        rules=parts.rules,
        clock=clock,
        metrics=metrics,
        decide_every=settings.decide_every,
        on_applied=resuming.note,
        turns=Turns(parts.intake.quiet, lambda: len(parts.incidents.incidents())),
    )

    notifier = Notifier(
        slack=clients.slack,
        pagerduty=clients.pagerduty,
        store=store,
        clock=clock,
        default_channel=settings.slack_channel or None,
        count=lambda channel, result: metrics.count_notification(channel.value, result),
        term=term,
    )
    return Drivers(responder, store, notifier, parts.rules, clock, metrics)


@asynccontextmanager
async def _listening(application: web.Application, settings: Settings) -> AsyncIterator[str]:
    runner = web.AppRunner(
        application, access_log=None, handle_signals=False, shutdown_timeout=_LAST_ANSWERS_SECONDS
    )
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
        gc.set_threshold(_GARBAGE_AT)
        await stop.wait()
        log.info("stopping")
