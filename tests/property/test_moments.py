"""Single bad moments, told plainly: those that random orders found, and those that planted defects need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from responder.actions.notify import Notifier, Told
from responder.clients.kubernetes import Conflict
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.advance import closed, noted, settled
from responder.incidents.model import Incident, Status
from responder.incidents.phases import Phase
from responder.pipeline.close import close, finish
from responder.pipeline.drive import Drivers
from responder.pipeline.respond import Responder, Step
from responder.rules.model import RuleFile
from responder.sandbox.api.faults import FaultRule, Refuse
from responder.tasks import alongside
from responder.telemetry import Metrics
from tests.property.deliveries import Instance, Tale
from tests.property.desk import KEY, Desk, alert_of, desk, rules
from tests.shared import run_story

ERRORS = Instance("HighErrorRate", 1, (0.0, 0.0), (60.0, 60.0))
SLOW = Instance("Slow", 1, (0.0, 0.0), None)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Desk]:
    async with desk(Tale((ERRORS, SLOW), (), None, (), (), 0), folder) as here:
        yield here


async def opened(here: Desk) -> Incident:
    await here.replicas[0].intake.take([alert_of(ERRORS, 0, firing=True)])
    return await here.leader.get(KEY.namespace, KEY.incident_name(1))


def test_what_can_not_be_written_is_not_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            here.server.faults.add(FaultRule("POST", "/incidents", Refuse(500)))
            with pytest.raises(ResponderError):
                await here.replicas[0].intake.take([alert_of(ERRORS, 0, firing=True)])

    run_story(story())


def ended(incident: Incident, clock: Clock) -> Status:
    """The status of an incident that nothing follows."""
    return settled(incident.status, clock.now(), None, "over")


def test_an_alert_that_is_written_meanwhile_keeps_its_incident_from_closing(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            judged = await opened(here)
            await here.replicas[1].intake.take([alert_of(SLOW, 0, firing=True)])
            with pytest.raises(Conflict):
                await close(here.leader, judged, ended(judged, here.clock), here.clock.now(), recovered=False)
            found = await here.leader.get(KEY.namespace, judged.name)
            assert found.phase is Phase.OPEN
            assert set(found.firing) == {"HighErrorRate", "Slow"}

    run_story(story())


class Steps:
    """In the place of the responder: remembers what it was given, and closes it."""

    def __init__(self, here: Desk) -> None:
        self._here = here
        self.given: list[Incident] = []

    async def step(self, incident: Incident, *, routine: asyncio.Event | None = None) -> Step:
        self.given.append(incident)
        if incident.phase is Phase.CLOSED:
            return Step(incident, timedelta(), await finish(self._here.leader, self._here.clock, incident))
        status = closed(incident.status.model_copy(update={"phase": Phase.CLOSED}), self._here.clock.now())
        return Step(await self._here.leader.record(incident, status), timedelta())


class Nobody:
    """In the place of Slack and PagerDuty."""

    async def notify(self, incident: Incident, file: RuleFile | None) -> Told:
        return Told(incident.status.notifications, None)

    def forget(self, incident: Incident) -> None:
        """Nothing was remembered."""


@asynccontextmanager
async def driven(here: Desk) -> AsyncIterator[tuple[Drivers, Steps]]:
    steps = Steps(here)
    drivers = Drivers(
        cast(Responder, steps), here.leader, cast(Notifier, Nobody()), rules(), here.clock, Metrics()
    )
    async with alongside(drivers.run()):
        yield drivers, steps


def line(status: Status, here: Desk, event: str) -> Status:
    return noted(status, here.clock.now(), event, event)


def test_what_a_watch_told_late_is_read_before_anything_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            first = await opened(here)
            told = await here.leader.record(first, line(first.status, here, "before"))
            newest = await here.leader.record(told, line(told.status, here, "since"))
            async with driven(here) as (drivers, steps):
                drivers.wake(told)
                await here.clock.sleep(10)
            assert steps.given[0] == newest

    run_story(story())


def test_what_is_finished_by_now_is_not_taken_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            first = await opened(here)
            told = await here.leader.record(first, line(first.status, here, "before"))
            over = await here.leader.record(told, settled(told.status, here.clock.now(), None, "over"))
            await here.leader.unmark(over)
            async with driven(here) as (drivers, steps):
                drivers.wake(told)
                await here.clock.sleep(10)
            assert steps.given == []

    run_story(story())


@pytest.mark.parametrize("firing", [True, False], ids=["start", "end"])
def test_late_news_of_an_earlier_instance_does_not_hide_the_one_that_fires(
    firing: bool, tmp_path: Path
) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            first, second = (replica.intake for replica in here.replicas)
            await opened(here)
            await first.take([alert_of(ERRORS, 0, firing=False)])
            again = Instance("HighErrorRate", 2, (120.0, 120.0), None)
            await first.take([alert_of(again, 0, firing=True)])
            # Another Alertmanager tried for minutes to deliver this.
            await second.take([alert_of(ERRORS, 1, firing=firing)])
            incident = await here.leader.get(KEY.namespace, KEY.incident_name(1))
            assert "HighErrorRate" in incident.firing
            await close(here.leader, incident, ended(incident, here.clock), here.clock.now(), recovered=False)
            receipt = await first.take([alert_of(again, 0, firing=True)])
            assert (receipt.accepted, receipt.held) == (0, 1)

    run_story(story())
