"""What a look at Alertmanager changes in the incidents that are open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from responder.alerts.model import Alert
from responder.clients.kubernetes import paths
from responder.clock import Clock
from responder.errors import Temporary
from responder.incidents.advance import noted
from responder.incidents.decision import Choice, render_decision
from responder.incidents.model import AlertEntry, Ask, Incident
from responder.incidents.record import Held, hold
from responder.incidents.store import IncidentStore
from responder.pipeline.intake import Receipt
from responder.pipeline.reconcile import Reconcile
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
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

    def wake_named(self, namespace: str, name: str) -> bool:
        return any((each.metadata.namespace, each.name) == (namespace, name) for each in self._incidents)


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
            await LoopClock(AT).sleep(150)
            looking.cancel()
            await asyncio.wait([looking])
            # Woken with what stands there now: with what it knows already, a driver goes on waiting.
            assert [(each.key, dict(each.firing)) for each in drivers.woken] == [(KEY, {})]

    run_story(story())


def test_an_alert_that_is_back_after_two_minutes_never_vanished(tmp_path: Path) -> None:
    """As Prometheus sends it again to an Alertmanager that was restarted."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, listing, clock = IncidentStore(cluster.responder), Listing(firing()), LoopClock(AT)
            drivers = Driving([await store.open(KEY, 1, ENTRIES, AT)])
            async with looking(store, clock, drivers=drivers, alertmanagers=(listing,)):
                await clock.sleep(30)
                listing.alerts = ()
                await clock.sleep(119)
                listing.alerts = (firing(),)
                await clock.sleep(300)
            assert drivers.woken == []

    run_story(story())


@asynccontextmanager
async def looking(store: IncidentStore, clock: Clock, **parts: Any) -> AsyncIterator[Reconcile]:
    """A reconcile that looks every minute, from now on."""
    given = {"intake": Unattributed(), "drivers": Driving([]), "alertmanagers": (Empty(),), **parts}
    reconcile = Reconcile(
        kubernetes=store._kubernetes,
        store=store,
        receiver="responder",
        workloads=lambda: (KEY,),
        clock=clock,
        repeat_interval=4 * HOUR,
        **given,
    )
    async with alongside(reconcile.run()):
        yield reconcile


async def held(store: IncidentStore) -> dict[str, Held]:
    return (await store.ensure_record(KEY)).spec.held


class Listing:
    """An Alertmanager that has these alerts, and may be away."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = alerts
        self.away = False

    async def list_alerts(self, _receiver: str) -> list[Alert]:
        if self.away:
            raise Temporary("out of reach")
        return list(self.alerts)


def firing() -> Alert:
    return Alert("f1", {"alertname": "A"}, {}, AT - 6 * HOUR, None, "")


class Taking(Unattributed):
    """An intake that takes everything in, in the place of one whose record holds it."""

    async def take(self, alerts: list[Alert]) -> Receipt:
        return Receipt(accepted=0, held=len(alerts))


def test_what_is_held_goes_once_it_was_looked_for_and_away_for_as_long_as_it_repeats(tmp_path: Path) -> None:
    """However long nobody looked: it may be the very look at an Alertmanager that has just started."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            await store.update_record(
                KEY, lambda spec: spec.holding(hold(ENTRIES, "i-1", AT - 5 * HOUR, recovered=False))
            )
            async with looking(store, clock):
                await clock.sleep(30)
                assert (await held(store))["f1"].firing
                await clock.sleep(60)
                assert not (await held(store))["f1"].firing
                await clock.sleep(4 * 3600 - 60)
                assert set(await held(store)) == {"f1"}
            # Whoever leads next knows since when it is away.
            async with looking(store, clock):
                await clock.sleep(150)
                assert await held(store) == {}

    run_story(story())


def test_what_one_of_two_has_is_seen_while_the_other_is_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            await store.update_record(
                KEY, lambda spec: spec.holding(hold(ENTRIES, "i-1", AT - 3 * HOUR, recovered=False))
            )
            here, there = Listing(firing()), Listing()
            there.away = True
            async with looking(store, clock, alertmanagers=(here, there), intake=Taking()):
                await clock.sleep(30)
                assert (await held(store))["f1"].last_seen_at >= AT
                # It loses what it had just as the other one comes back, for the two looks that tell.
                await clock.sleep(6 * 3600)
                here.alerts, there.away = (), False
                await clock.sleep(200)
                assert set(await held(store)) == {"f1"}

    run_story(story())


def test_looks_in_a_row_begin_anew_when_one_was_away_in_between(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            incident = await store.open(KEY, 1, ENTRIES, AT)
            await store.update_record(
                KEY, lambda spec: spec.holding(hold(ENTRIES, "i-1", AT, recovered=False))
            )
            drivers, flapping = Driving([incident]), Listing()
            async with looking(store, clock, alertmanagers=(flapping,), drivers=drivers):
                await clock.sleep(30)
                for _ in range(4):
                    flapping.away = not flapping.away
                    await clock.sleep(60)
                assert (await held(store))["f1"].firing
                assert drivers.woken == []
                await clock.sleep(120)
                assert not (await held(store))["f1"].firing
                assert len(drivers.woken) == 1

    run_story(story())


def test_nothing_is_remembered_of_incidents_that_are_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            open_now = [await store.open(KEY, 1, ENTRIES, AT)]
            async with looking(store, clock, drivers=Driving(open_now)) as reconcile:
                await clock.sleep(30)
                assert len(reconcile._absent) == 1
                open_now.clear()
                await clock.sleep(60)
                assert reconcile._absent == {}

    run_story(story())


def test_a_decision_that_answers_nothing_that_is_asked_is_logged(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            opened = await store.open(KEY, 1, ENTRIES, AT)
            ask = Ask(digest="right", action="rollback", reason="RuleAsks", asked_at=AT, expires_at=AT + HOUR)
            asked = await store.record(opened, opened.status.model_copy(update={"ask": ask}))
            with capture_logs() as logs:
                async with looking(store, clock, drivers=Driving([asked])):
                    await clock.sleep(5)
                    for digest in ("wrong", "right"):
                        obj = render_decision(asked, digest, Choice.ROLLBACK, "alex", AT)
                        await cluster.admin.create(paths.decisions(KEY.namespace), obj)
                    await clock.sleep(5)
            (said,) = [line for line in logs if line["event"] == "decision_in_vain"]
            assert (said["log_level"], said["incident"]) == ("warning", f"{KEY.namespace}/{asked.name}")
            assert (said["digest"], said["asked"]) == ("wrong", "right")
            assert "something else is asked now" in said["message"]

    run_story(story())


def test_a_decision_after_which_something_happened_is_not_called_vain(tmp_path: Path) -> None:
    """It may have been carried out: its question is gone with it."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = IncidentStore(cluster.responder), LoopClock(AT)
            opened = await store.open(KEY, 1, ENTRIES, AT)
            done = await store.record(opened, noted(opened.status, AT + HOUR, "Undo", "Undone."))
            with capture_logs() as logs:
                async with looking(store, clock, drivers=Driving([done])):
                    await clock.sleep(5)
                    obj = render_decision(opened, "spent", Choice.ROLLBACK, "alex", AT)
                    await cluster.admin.create(paths.decisions(KEY.namespace), obj)
                    await clock.sleep(5)
            assert "decision_in_vain" not in [line["event"] for line in logs]

    run_story(story())
