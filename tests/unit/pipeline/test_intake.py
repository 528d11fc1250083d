"""What a delivery costs in a storm: one request where nothing is new, none of which is lost for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from responder.alerts.model import Alert
from responder.incidents.advance import settled
from responder.incidents.model import MAX_ALERTS, Incident
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.pipeline.close import close, finish
from responder.pipeline.follow import follow, open_for_held
from responder.pipeline.intake import IntakeUnavailable, Receipt
from responder.sandbox.api.faults import Delay, FaultRule
from responder.tasks import together
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import RevisionRef, Serving
from tests.property.deliveries import Instance, Tale
from tests.property.desk import KEY, Desk, alert_of, desk
from tests.shared import run_story

FIRST = Instance("HighErrorRate", 1, (0.0, 0.0), None)
SECOND = Instance("Slow", 1, (0.0, 0.0), None)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Desk]:
    async with desk(Tale((FIRST, SECOND), (), None, (), (), 0), folder) as here:
        yield here


async def deliver(here: Desk, *instances: Instance) -> Receipt:
    return await here.replicas[0].intake.take([alert_of(each, 0, firing=True) for each in instances])


async def requests_of(here: Desk, *instances: Instance) -> list[str]:
    """The methods of the requests that a delivery takes."""
    here.server.log.clear()
    await deliver(here, *instances)
    return [each.method for each in here.server.log if "watch" not in each.query]


async def only_incident(here: Desk, number: int = 1) -> Incident:
    return await here.leader.get(KEY.namespace, KEY.incident_name(number))


def test_a_delivery_that_comes_again_is_one_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            before = await only_incident(here)
            assert await requests_of(here, FIRST) == ["GET"]
            assert await only_incident(here) == before

    run_story(story())


def test_what_is_new_in_it_is_written_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            assert await requests_of(here, FIRST, SECOND) == ["GET", "PATCH"]
            assert set((await only_incident(here)).firing) == {FIRST.name, SECOND.name}

    run_story(story())


def test_an_incident_that_closed_unseen_takes_no_more(tmp_path: Path) -> None:
    """Nobody has told this replica: what its incident took is held, what is new opens the next one."""

    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            here.replicas[0].following.cancel()
            incident = await only_incident(here)
            status = settled(incident.status, here.clock.now(), None, "over")
            closed = await close(here.leader, incident, status, here.clock.now(), recovered=False)
            await finish(here.leader, here.clock, closed)
            assert await deliver(here, FIRST) == Receipt(accepted=0, held=1)
            assert await deliver(here, SECOND) == Receipt(accepted=1, held=0)
            assert set((await only_incident(here)).spec.alerts) == {FIRST.name}
            assert set((await only_incident(here, 2)).firing) == {SECOND.name}

    run_story(story())


class Interrupted(IncidentStore):
    """Somebody else does something just before a record is written."""

    before_update: Callable[[], Awaitable[object]]

    async def update_record(
        self, key: WorkloadKey, change: Callable[[WorkloadRecordSpec], WorkloadRecordSpec]
    ) -> WorkloadRecord:
        await self.before_update()
        return await super().update_record(key, change)


def test_what_no_rule_speaks_of_leaves_room_for_what_one_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            here.server.faults.add(FaultRule("*", "/(incidents|workloadrecords)", Delay(0.05)))
            intake, known = here.replicas[0].intake, alert_of(FIRST, 0, firing=True)

            async def foreign(number: int) -> bool:
                labels = {"alertname": f"Foreign{number}"}
                try:
                    await intake.take([replace(known, fingerprint=f"{number:016x}", labels=labels)])
                except IntakeUnavailable:
                    return False
                return True

            async with together() as group:
                noise = [group.create_task(foreign(number)) for number in range(100)]
                await here.clock.sleep(0.01)
                intake.check_room()
                assert await deliver(here, FIRST) == Receipt(accepted=1, held=0)
            assert 0 < sum(each.result() for each in noise) < 100

    run_story(story())


async def close_first(here: Desk, *, followed: bool = False) -> Incident:
    """End the first incident, up to the writing of what follows."""
    incident = await only_incident(here)
    status = settled(incident.status, here.clock.now(), KEY.incident_name(2) if followed else None, "over")
    return await close(here.leader, incident, status, here.clock.now(), recovered=False)


def end_of(instance: Instance, here: Desk) -> Alert:
    return replace(alert_of(instance, 0, firing=True), ends_at=here.clock.now() + timedelta(seconds=30))


def test_an_end_reaches_the_incident_that_follows_before_the_sequence_moves_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            closed = await close_first(here, followed=True)
            # The leader dies having opened what follows.
            await follow(here.leader, KEY, 2, dict(closed.firing), here.clock.now())
            await here.replicas[0].intake.take([end_of(FIRST, here)])
            assert not (await only_incident(here, 2)).firing
            await finish(here.leader, here.clock, closed)
            assert not (await only_incident(here, 2)).firing

    run_story(story())


def test_an_end_that_meets_the_opening_of_what_follows_reaches_it(tmp_path: Path) -> None:
    """Looked for before it was opened, and noted after the sequence moved on."""

    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            closed = await close_first(here, followed=True)
            store = Interrupted(here.replicas[0].kubernetes)
            store.before_update = lambda: finish(here.leader, here.clock, closed)
            here.replicas[0].intake._store = store
            await here.replicas[0].intake.take([end_of(FIRST, here)])
            assert not (await only_incident(here, 2)).firing

    run_story(story())


@pytest.mark.parametrize("noted_first", [True, False])
def test_an_end_reaches_the_incident_that_opens_for_what_is_held(tmp_path: Path, noted_first: bool) -> None:
    """Noted after the record was read by which it opens, or looked for just before it opens."""

    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            await finish(here.leader, here.clock, await close_first(here))
            at = here.clock.now() + timedelta(seconds=1)
            newcomer = Serving(
                revision=RevisionRef(uid="v3", replica_set="v3", hash="3"), seen=True, noticed_at=at
            )
            record = await here.leader.update_record(
                KEY, lambda spec: spec.model_copy(update={"servings": (newcomer,)})
            )
            intake = here.replicas[0].intake
            if noted_first:
                await intake.take([end_of(FIRST, here)])
                await open_for_held(here.leader, here.clock, record)
            else:
                store = Interrupted(here.replicas[0].kubernetes)
                store.before_update = lambda: open_for_held(here.leader, here.clock, record)
                intake._store = store
                await intake.take([end_of(FIRST, here)])
            assert not (await only_incident(here, 2)).firing

    run_story(story())


@pytest.mark.parametrize("last", [Phase.OPEN, Phase.CLOSED])
def test_a_record_that_somebody_deleted_is_made_anew_beyond_its_incidents(
    tmp_path: Path, last: Phase
) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            for number in range(1, 10):
                opened = await here.leader.open(KEY, number, {}, here.clock.now())
                phase = Phase.CLOSED if number < 9 else last
                await here.leader.record(opened, opened.status.model_copy(update={"phase": phase}))
            assert await deliver(here, FIRST) == Receipt(accepted=1, held=0)
            taken = await only_incident(here, 9 if last is Phase.OPEN else 10)
            assert set(taken.firing) == {FIRST.name}

    run_story(story())


def test_the_end_of_what_is_held_is_noted_also_while_the_open_incident_is_full(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            await finish(here.leader, here.clock, await close_first(here))
            intake, one = here.replicas[0].intake, alert_of(SECOND, 0, firing=True)
            await intake.take([replace(one, fingerprint=f"{n:016x}") for n in range(MAX_ALERTS)])
            assert len((await only_incident(here, 2)).spec.alerts) == MAX_ALERTS
            receipt = await intake.take([end_of(FIRST, here)])
            assert receipt == Receipt(accepted=0, held=1)
            record = await here.leader.find_record(KEY)
            assert record is not None
            assert not record.spec.held[FIRST.name].firing

    run_story(story())


def test_an_incident_that_somebody_deleted_unseen_is_opened_anew(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            here.replicas[0].following.cancel()
            here.store.delete("incidents.responder.dev", KEY.namespace, KEY.incident_name(1))
            assert await deliver(here, FIRST) == Receipt(accepted=1, held=0)
            assert set((await only_incident(here)).firing) == {FIRST.name}

    run_story(story())


def test_it_is_quiet_while_few_deliveries_are_under_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            await deliver(here, FIRST)
            intake, loop = here.replicas[0].intake, asyncio.get_running_loop()
            await intake.quiet()
            here.server.faults.add(FaultRule("GET", "/incidents/", Delay(5)))
            began = loop.time()
            async with asyncio.TaskGroup() as group:
                for _ in range(6):
                    group.create_task(deliver(here, FIRST))
                await here.clock.sleep(0)
                await intake.quiet()
                # One workload's are taken in one after the other: two are left when four are done.
                assert loop.time() - began > 20

    run_story(story())


def test_what_it_has_no_room_for_has_to_come_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with staged(tmp_path) as here:
            intake = here.replicas[0].intake
            here.server.faults.add(FaultRule("GET", "/workloadrecords/", Delay(5)))
            async with asyncio.TaskGroup() as group:
                for _ in range(64):
                    group.create_task(deliver(here, FIRST))
                await here.clock.sleep(1)
                with pytest.raises(IntakeUnavailable, match="64 deliveries"):
                    intake.check_room()
                with pytest.raises(IntakeUnavailable, match="64 deliveries"):
                    await deliver(here, SECOND)
            intake.check_room()

    run_story(story())
