"""What a look at Alertmanager changes in the incidents that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from responder.errors import Temporary
from responder.incidents.model import AlertEntry, Incident
from responder.incidents.record import hold
from responder.incidents.store import IncidentStore
from responder.pipeline.reconcile import Reconcile
from responder.sandbox.virtual_time import LoopClock
from responder.workloads.key import WorkloadKey
from tests.shared import run_story
from tests.unit.deploy.test_applied import AT, KEY, deployed

HOUR = timedelta(hours=1)
BROKEN = replace(KEY, name="broken")
ENTRIES = {"f1": AlertEntry(labels={"alertname": "A"}, starts_at=AT)}


class Store(IncidentStore):
    """Can't write to one workload's incidents."""

    async def write_alerts(
        self, key: WorkloadKey, sequence: int, alerts: Mapping[str, AlertEntry]
    ) -> Incident | None:
        if key == BROKEN:
            raise Temporary("not now")
        return await super().write_alerts(key, sequence, alerts)


class Empty:
    """An Alertmanager without alerts."""

    async def list_alerts(self, _receiver: str) -> list[Any]:
        return []


class Driving:
    """Whoever drives what is open; remembers what it is woken with."""

    def __init__(self, incidents: list[Incident]) -> None:
        self._incidents = incidents
        self.woken: list[Incident] = []

    def incidents(self) -> list[Incident]:
        return self._incidents

    def wake(self, incident: Incident) -> None:
        self.woken.append(incident)


class Unattributed:
    unattributed = replace(KEY, name="unattributed")


def test_an_incident_that_cannot_be_written_to_keeps_no_other_from_hearing_what_vanished(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store = Store(cluster.responder)
            drivers = Driving([await store.open(key, 1, ENTRIES, AT) for key in (BROKEN, KEY)])
            parts: dict[str, Any] = {
                "intake": Unattributed(),
                "drivers": drivers,
                "alertmanagers": (Empty(),),
            }
            reconcile = Reconcile(
                kubernetes=cluster.responder,
                store=store,
                receiver="responder",
                workloads=lambda: (),
                clock=LoopClock(AT),
                repeat_interval=4 * HOUR,
                **parts,
            )
            looking = asyncio.ensure_future(reconcile.run())
            await LoopClock(AT).sleep(90)
            looking.cancel()
            await asyncio.wait([looking])
            # Woken with what stands there now: with what it knows already, a driver goes on waiting.
            assert [(each.key, dict(each.firing)) for each in drivers.woken] == [(KEY, {})]

    run_story(story())


def test_what_is_held_goes_at_no_single_look_however_long_nobody_looked(tmp_path: Path) -> None:
    """It may be the very look at an Alertmanager that has just started."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            await store.update_record(KEY, lambda spec: spec.holding(hold(ENTRIES, "i-1", AT - 5 * HOUR)))
            parts: dict[str, Any] = {
                "intake": Unattributed(),
                "drivers": Driving([]),
                "alertmanagers": (Empty(),),
            }
            reconcile = Reconcile(
                kubernetes=cluster.responder,
                store=store,
                receiver="responder",
                workloads=lambda: (KEY,),
                clock=clock,
                repeat_interval=4 * HOUR,
                **parts,
            )
            looking = asyncio.ensure_future(reconcile.run())
            await clock.sleep(30)
            once = (await store.ensure_record(KEY)).spec.held
            await clock.sleep(60)
            twice = (await store.ensure_record(KEY)).spec.held
            looking.cancel()
            await asyncio.wait([looking])
            assert (set(once), set(twice)) == ({"f1"}, set())

    run_story(story())
