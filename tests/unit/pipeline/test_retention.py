"""What goes when it is old, and what stays: open incidents, records, answers whose incident is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from responder.clients.kubernetes import Kubernetes, paths
from responder.incidents.decision import Choice, render_decision
from responder.incidents.model import CLOSED_ON_LABEL, OPEN_LABEL, AlertEntry, Incident
from responder.incidents.phases import Phase
from responder.incidents.store import Answer, IncidentStore
from responder.pipeline.retention import Retention
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from tests.shared import run_story
from tests.unit.deploy.test_applied import AT, KEY, deployed

DAY = timedelta(days=1)
KEEP = 30 * DAY
ENTRIES = {"f1": AlertEntry(labels={"alertname": "A"}, starts_at=AT)}


class Shelf:
    """A cluster with incidents on it, and what is left of them."""

    def __init__(self, kubernetes: Kubernetes, clock: LoopClock) -> None:
        self.kubernetes = kubernetes
        self.store = IncidentStore(kubernetes)
        self.clock = clock
        self.retention = Retention(self.store, clock, KEEP)

    async def open(self, sequence: int) -> Incident:
        return await self.store.open(KEY, sequence, ENTRIES, self.clock.now())

    async def close(self, incident: Incident) -> Incident:
        times = incident.status.times.model_copy(update={"closed_at": self.clock.now()})
        status = incident.status.model_copy(update={"phase": Phase.CLOSED, "times": times})
        return await self.store.record(incident, status)

    async def finish(self, sequence: int) -> Incident:
        closed = await self.close(await self.open(sequence))
        await self.store.unmark(closed)
        return closed

    async def answer(self, incident: Incident) -> str:
        obj = render_decision(incident, "d1935", Choice.LEAVE, "alex", self.clock.now())
        return (await self.store.create_decision(obj)).metadata.name

    async def names(self, collection: Callable[[str | None], str] = paths.incidents) -> list[str]:
        return sorted(
            item["metadata"]["name"] for item in (await self.kubernetes.list(collection(None))).items
        )

    async def after(self, duration: timedelta) -> list[str]:
        """The incidents that are left when so much time has passed and it was swept."""
        await self.clock.sleep(duration.total_seconds())
        await self.retention.sweep()
        return await self.names()


def play(tmp_path: Path, story: Callable[[Shelf], Awaitable[None]]) -> None:
    async def main() -> None:
        async with deployed(tmp_path) as cluster:
            await story(Shelf(cluster.admin, LoopClock(AT)))

    run_story(main())


def name(sequence: int) -> str:
    return KEY.incident_name(sequence)


def test_a_closed_incident_goes_after_so_many_whole_days(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        finished = await shelf.finish(1)
        found = await shelf.kubernetes.get(paths.incident(KEY.namespace, finished.name))
        assert found["metadata"]["labels"][CLOSED_ON_LABEL] == "2026-01-01"
        assert OPEN_LABEL not in found["metadata"]["labels"]
        # Closed at half past twelve; the day it goes on begins at midnight.
        assert await shelf.after(KEEP) == [name(1)]
        assert await shelf.after(timedelta(hours=11, minutes=29)) == [name(1)]
        assert await shelf.after(timedelta(minutes=2)) == []
        assert await shelf.after(DAY) == []

    play(tmp_path, story)


def test_only_what_is_finished_and_old_goes(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        await shelf.store.ensure_record(KEY)
        await shelf.open(1)
        await shelf.close(await shelf.open(2))  # but something is left to do for it
        await shelf.finish(3)
        await shelf.clock.sleep((KEEP - DAY).total_seconds())
        await shelf.finish(4)
        assert await shelf.after(3 * DAY) == [name(1), name(2), name(4)]
        assert await shelf.names(paths.workloadrecords) == [KEY.record_name]

    play(tmp_path, story)


@pytest.mark.parametrize("label", ["2027-01-01", "soon", "2026-01-01"])
def test_a_mark_that_somebody_wrote_is_not_believed(tmp_path: Path, label: str) -> None:
    """One that is no date or lies ahead is nothing to go by, and an open incident is never deleted."""

    async def story(shelf: Shelf) -> None:
        incident = await (shelf.open(1) if label == "2026-01-01" else shelf.finish(1))
        labels = {CLOSED_ON_LABEL: label, OPEN_LABEL: None}
        path = paths.incident(KEY.namespace, incident.name)
        await shelf.kubernetes.merge_patch(path, {"metadata": {"labels": labels}})
        assert await shelf.after(2 * KEEP) == [name(1)]

    play(tmp_path, story)


def test_answers_go_with_their_incident(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        kept = await shelf.answer(await shelf.open(1))
        await shelf.answer(await shelf.finish(2))
        third = await shelf.finish(3)
        await shelf.answer(third)
        # Deleted by a person and, by its name, opened again: not the one that was answered.
        await shelf.kubernetes.delete(paths.incident(KEY.namespace, third.name))
        await shelf.open(3)
        assert len(await shelf.names(paths.decisions)) == 3
        assert await shelf.after(KEEP - DAY) == [name(1), name(2), name(3)]
        assert len(await shelf.names(paths.decisions)) == 3
        assert await shelf.after(2 * DAY) == [name(1), name(3)]
        assert await shelf.names(paths.decisions) == [kept]

    play(tmp_path, story)


def test_an_answer_that_fits_no_incident_goes_in_the_end(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        obj = render_decision(await shelf.open(1), "d1", Choice.LEAVE, "alex", AT)
        obj["spec"]["incident"] = "../../etc"
        await shelf.store.create_decision(obj)
        await shelf.after(KEEP + DAY)
        assert await shelf.names(paths.decisions) == []

    play(tmp_path, story)


@pytest.mark.slow
def test_a_round_deletes_only_so_many(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        for sequence in range(507):
            await shelf.finish(sequence)
        assert len(await shelf.after(2 * KEEP)) == 7
        assert await shelf.after(timedelta()) == []

    play(tmp_path, story)


def test_it_looks_again_and_again(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        await shelf.finish(1)
        async with alongside(Retention(shelf.store, shelf.clock, DAY).run()):
            await shelf.clock.sleep((2 * DAY).total_seconds())
            assert await shelf.names() == []

    play(tmp_path, story)


class Noting(IncidentStore):
    """Notes how many answers were read at once."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        super().__init__(kubernetes)
        self.portions: list[int] = []

    async def list_answers(self, portion: int) -> AsyncIterator[list[Answer]]:
        async for answers in super().list_answers(portion):
            self.portions.append(len(answers))
            yield answers


def test_whoever_begins_to_lead_sweeps_later_and_reads_answers_in_portions(tmp_path: Path) -> None:
    async def story(shelf: Shelf) -> None:
        answered = [await shelf.open(sequence) for sequence in range(101)]
        for incident in answered:
            await shelf.answer(incident)
            await shelf.kubernetes.delete(paths.incident(KEY.namespace, incident.name))
        await shelf.clock.sleep((2 * DAY).total_seconds())
        store = Noting(shelf.kubernetes)
        async with alongside(Retention(store, shelf.clock, DAY).run()):
            await shelf.clock.sleep(50)
            assert store.portions == []
            await shelf.clock.sleep(30)
            assert store.portions == [100, 1]
            assert await shelf.names(paths.decisions) == []

    play(tmp_path, story)
