"""What wakes an incident is never lost, and costs one look; what is not driven any more is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from responder.actions.notify import LAST_WORDS, Told
from responder.clients.kubernetes import Conflict, NotFound
from responder.incidents.model import OPEN_LABEL, Incident, Times
from responder.incidents.phases import Phase
from responder.pipeline.drive import Drivers
from responder.pipeline.respond import AT_ONCE, Step
from responder.rules.model import RuleFile, RuleSet
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from responder.telemetry import Metrics
from tests.shared import run_story
from tests.unit.actions.build import AT, asking

LONG = timedelta(seconds=15)
ROUND_TRIP_SECONDS = 0.01


def later(incident: Incident) -> Incident:
    """The same with one more alert."""
    (entry, *_) = incident.spec.alerts.values()
    alerts = {**incident.spec.alerts, f"f-{len(incident.spec.alerts)}": entry}
    version = str(int(incident.metadata.resource_version) + 1)
    return incident.model_copy(
        update={
            "spec": incident.spec.model_copy(update={"alerts": alerts}),
            "metadata": incident.metadata.model_copy(update={"resource_version": version}),
        }
    )


@dataclass
class Desk:
    """In the place of the store, the responder and the notifier: one incident, and who looked at it."""

    incident: Incident
    looks: list[int] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    on_read: list[Callable[[], object]] = field(default_factory=list)
    pauses: list[timedelta] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    gone: bool = False
    # So many steps meet another writer.
    crossed: int = 0
    on_step: Callable[[], None] = lambda: None
    tell: Callable[[Incident], Told] = lambda incident: Told(incident.status.notifications, None)
    unmarked: bool = False

    async def get(self, namespace: str, name: str) -> Incident:
        if self.gone:
            raise NotFound(404, "NotFound", "gone", {"name": name})
        found = self.incident
        await LoopClock(AT).sleep(ROUND_TRIP_SECONDS)
        for act in self.on_read:
            act()
        self.on_read.clear()
        return found

    async def step(self, incident: Incident, *, routine: asyncio.Event | None = None) -> Step:
        self.looks.append(len(incident.spec.alerts))
        await LoopClock(AT).sleep(ROUND_TRIP_SECONDS)
        for act in self.meanwhile:
            act()
        self.meanwhile.clear()
        self.on_step()
        if self.crossed:
            self.crossed -= 1
            raise Conflict(409, "Conflict", "changed", {})
        return Step(incident, self.pauses.pop(0) if self.pauses else LONG)

    async def notify(self, incident: Incident, file: RuleFile | None) -> Told:
        return self.tell(incident)

    async def unmark(self, incident: Incident) -> None:
        self.unmarked = True

    def forget(self, incident: Incident) -> None:
        self.forgotten.append(incident.metadata.uid)


def fresh() -> Incident:
    incident = asking()
    metadata = incident.metadata.model_copy(update={"resource_version": "1"})
    return incident.model_copy(update={"metadata": metadata})


@asynccontextmanager
async def driving(desk: Desk) -> AsyncIterator[Drivers]:
    parts: dict[str, Any] = {"responder": desk, "store": desk, "notifier": desk}
    drivers = Drivers(**parts, rules=RuleSet(()), clock=LoopClock(AT), metrics=Metrics())
    async with alongside(drivers.run()):
        drivers.wake(desk.incident)
        yield drivers


def arrives(desk: Desk, drivers: Drivers) -> None:
    """An alert is written to the incident, and told of."""
    desk.incident = later(desk.incident)
    drivers.wake(desk.incident)


def test_what_comes_during_a_step_that_is_followed_at_once_is_looked_at_at_once() -> None:
    async def story() -> None:
        desk = Desk(fresh(), pauses=[AT_ONCE])
        async with driving(desk) as drivers:
            desk.meanwhile.append(lambda: arrives(desk, drivers))
            await LoopClock(AT).sleep(1)
        assert desk.looks == [1, 2]

    run_story(story())


def test_two_writers_that_keep_at_it_meet_more_and_more_seldom() -> None:
    """Each conflict comes with news of what the other one wrote, which must not cut the pause short."""

    async def story() -> None:
        desk = Desk(fresh(), crossed=1000)
        async with driving(desk) as drivers:
            desk.on_step = lambda: arrives(desk, drivers)
            await LoopClock(AT).sleep(2)
        assert 3 < len(desk.looks) < 12

    run_story(story())


def test_what_comes_while_the_incident_is_read_is_looked_at_at_once() -> None:
    async def story() -> None:
        desk = Desk(fresh())
        async with driving(desk) as drivers:
            await LoopClock(AT).sleep(1)
            # The answer was on its way when this was written.
            desk.on_read.append(lambda: arrives(desk, drivers))
            drivers.wake_workload(desk.incident.key)
            await LoopClock(AT).sleep(1)
        assert desk.looks == [1, 1, 2]

    run_story(story())


def test_what_hurries_it_while_it_is_read_is_looked_at_at_once() -> None:
    async def story() -> None:
        desk = Desk(fresh())
        async with driving(desk) as drivers:
            await LoopClock(AT).sleep(1)
            desk.on_read.append(lambda: drivers.wake_named("payments", desk.incident.name))
            drivers.wake_workload(desk.incident.key)
            await LoopClock(AT).sleep(1)
        assert len(desk.looks) == 3

    run_story(story())


def test_news_that_comes_twice_is_looked_at_once() -> None:
    """Intake tells of what it wrote, and the watch of the same a moment later."""

    async def story() -> None:
        desk = Desk(fresh())
        async with driving(desk) as drivers:
            await LoopClock(AT).sleep(1)
            desk.on_read.append(lambda: drivers.wake(desk.incident))
            arrives(desk, drivers)
            await LoopClock(AT).sleep(1)
        assert desk.looks == [1, 2]

    run_story(story())


def test_an_incident_that_somebody_deleted_is_forgotten() -> None:
    async def story() -> None:
        desk = Desk(fresh())
        async with driving(desk) as drivers:
            await LoopClock(AT).sleep(1)
            desk.gone = True
            drivers.wake_workload(desk.incident.key)
            await LoopClock(AT).sleep(1)
            assert drivers.incidents() == []
        assert desk.forgotten == [desk.incident.metadata.uid]

    run_story(story())


def over() -> Incident:
    """Closed, and there is still something to do for it."""
    incident = asking(phase=Phase.CLOSED, times=Times(closed_at=AT), ask=None)
    metadata = incident.metadata.model_copy(update={"resource_version": "1", "labels": {OPEN_LABEL: "true"}})
    return incident.model_copy(update={"metadata": metadata})


def test_how_long_people_are_told_of_a_closed_incident_is_for_the_notifier_to_say() -> None:
    def tell(incident: Incident) -> Told:
        now = LoopClock(AT).now()
        again = None if now >= AT + 3 * LAST_WORDS else now + LONG
        return Told(incident.status.notifications, again)

    async def story() -> None:
        desk = Desk(over(), tell=tell)
        async with driving(desk):
            await LoopClock(AT).sleep(2.5 * LAST_WORDS.total_seconds())
            assert not desk.unmarked
            await LoopClock(AT).sleep(LAST_WORDS.total_seconds())
            assert desk.unmarked

    run_story(story())


def test_a_message_that_breaks_holds_a_closed_incident_no_longer_than_one_that_fails() -> None:
    def tell(incident: Incident) -> Told:
        raise ValueError("a defect")

    async def story() -> None:
        desk = Desk(over(), tell=tell)
        async with driving(desk):
            await LoopClock(AT).sleep(LAST_WORDS.total_seconds() - 60)
            assert not desk.unmarked
            await LoopClock(AT).sleep(120)
            assert desk.unmarked

    run_story(story())
