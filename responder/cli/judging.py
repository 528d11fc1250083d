"""A responder that only looks: wired from the same parts as app.py does, for one judgement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from responder.cli.cluster import connected, list_incidents
from responder.clients.alertmanager import Alertmanager
from responder.clients.prometheus import Prometheus
from responder.clock import Clock
from responder.pipeline.active import ActiveAlerts
from responder.pipeline.gather import Gatherer
from responder.pipeline.look import Look, ReadingStore, reading_only
from responder.pipeline.others import OtherWorkloads, brake_of
from responder.rules.load import load_rules
from responder.settings import Settings
from responder.workloads.key import WorkloadKey


@asynccontextmanager
async def looking(settings: Settings, clock: Clock) -> AsyncIterator[Look]:
    """What a responder with these settings sees and would decide, while the context lasts. Writes nothing.

    Of storms it knows the incidents that are open now; a responder that has run for longer remembers more.
    """
    rules = load_rules(settings.rules)
    async with (
        aiohttp.ClientSession() as session,
        connected(settings.kubeconfig, settings.context, clock) as cluster,
    ):
        kubernetes = reading_only(cluster)
        store = ReadingStore(kubernetes)
        incidents = await list_incidents(kubernetes, None, every=False)
        alertmanagers = tuple(Alertmanager(url, session) for url in settings.alertmanager_urls)
        gatherer = Gatherer(
            kubernetes,
            store,
            Prometheus(settings.prometheus_url, session),
            ActiveAlerts(alertmanagers, settings.receiver),
            clock,
            settings.namespace,
            others=OtherWorkloads(lambda: incidents, rules, brake_of(settings)),
            protected=settings.protected_namespaces,
            look_at_secrets=settings.look_at_secrets,
            look_for_drivers=settings.look_for_drivers,
            last_seen=lambda key: None,
            caught_up=_caught_up,
        )
        yield Look(store, gatherer, rules, clock, storm_wait=settings.storm_wait)


async def _caught_up(_key: WorkloadKey) -> bool:
    """Whoever leads keeps the ledgers; what they say is all that is known here."""
    return True
