"""What ends with an incident, and what opens the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.clients.kubernetes import Conflict
from responder.incidents.advance import settled
from responder.incidents.model import MAX_ALERTS, AlertEntry
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecordSpec, hold
from responder.pipeline.close import close, finish
from responder.pipeline.follow import open_for_held
from responder.sandbox.virtual_time import LoopClock
from responder.workloads.ledger import RevisionRef, Serving
from tests.shared import run_story
from tests.unit.deploy.test_applied import KEY, deployed

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENTRIES = {"f1": AlertEntry(labels={"alertname": "A"}, starts_at=AT)}
V3 = RevisionRef(uid="uid-v3", replica_set="v3", hash="3")
MINUTE = timedelta(minutes=1)


def holding(entries: dict[str, AlertEntry], serves_from: datetime) -> Callable[..., WorkloadRecordSpec]:
    """A record that holds these since AT, and a revision that was found to serve at that instant."""
    servings = (Serving(revision=V3, seen=True, first_serving_at=serves_from, noticed_at=serves_from),)
    return lambda spec: spec.holding(hold(entries, "i-0", AT, recovered=False)).model_copy(
        update={"servings": servings}
    )


def test_what_is_held_goes_to_no_incident_that_closed_meanwhile(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = cluster.store, LoopClock(AT)
            await store.ensure_record(KEY)
            record = await store.update_record(KEY, holding(ENTRIES, AT + MINUTE))
            # Intake opened the next one since, and it is over already.
            opened = await store.open(KEY, record.spec.next_sequence, ENTRIES, AT)
            closed = await store.record(opened, opened.status.model_copy(update={"phase": Phase.CLOSED}))
            following = await open_for_held(store, clock, record)
            assert following is not None
            assert following.phase is Phase.OPEN
            assert following.spec.sequence == closed.spec.sequence + 1
            assert following.firing == ENTRIES
            # Once more, as after a crash: the same.
            again = await open_for_held(store, clock, record)
            assert again is not None
            assert again.name == following.name

    run_story(story())


def test_only_a_revision_that_came_later_makes_what_is_held_matter(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store = cluster.store
            await store.ensure_record(KEY)
            record = await store.update_record(KEY, holding(ENTRIES, AT))
            assert await open_for_held(store, LoopClock(AT), record) is None

    run_story(story())


def test_what_goes_on_is_in_no_incident_that_closed_without_it(tmp_path: Path) -> None:
    """A new alert opened the one that follows, which is over before the first one's is seen to."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = cluster.store, LoopClock(AT)
            opened = await store.open(KEY, 1, ENTRIES, AT)
            over = settled(opened.status, AT, KEY.incident_name(2), "goes on")
            first = await close(store, opened, over, AT, recovered=False)
            opened = await store.open(KEY, 2, {"f2": ENTRIES["f1"]}, AT)
            second = await close(store, opened, settled(opened.status, AT, None, "over"), AT, recovered=False)
            await finish(store, clock, second)
            following = await finish(store, clock, first)
            assert following is not None
            assert (following.phase, following.spec.sequence) == (Phase.OPEN, 3)
            assert following.firing == ENTRIES
            # Once more, as after a crash: the same.
            again = await finish(store, clock, first)
            assert again is not None
            assert again.name == following.name

    run_story(story())


def test_an_incident_that_was_over_meanwhile_holds_nothing_anew(tmp_path: Path) -> None:
    """A judgement on what is long stale gets its 409, and what was noted since stays."""

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = cluster.store, LoopClock(AT)
            opened = await store.open(KEY, 1, ENTRIES, AT)
            over = settled(opened.status, AT, None, "over")
            closed = await close(store, opened, over, AT, recovered=False)
            end = AT + MINUTE

            def note_end(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
                held = {name: each.model_copy(update={"ends_at": end}) for name, each in spec.held.items()}
                return spec.model_copy(update={"held": held})

            await store.update_record(KEY, note_end)
            for _ in range(2):
                with pytest.raises(Conflict):
                    await close(store, opened, over, AT, recovered=False)
                held = (await store.ensure_record(KEY)).spec.held
                assert [each.ended_at for each in held.values()] == [end]
                await finish(store, clock, closed)

    run_story(story())


def test_an_end_that_came_while_an_incident_was_followed_reaches_the_one_that_follows(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = cluster.store, LoopClock(AT)
            opened = await store.open(KEY, 1, many(2, "f"), AT)
            over = settled(opened.status, AT, KEY.incident_name(2), "goes on")
            closed = await close(store, opened, over, AT, recovered=False)

            def note_end(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
                ended = spec.held["f1"].model_copy(update={"ends_at": AT + MINUTE})
                return spec.model_copy(update={"held": {**spec.held, "f1": ended}})

            await store.update_record(KEY, note_end)
            following = await finish(store, clock, closed)
            assert following is not None
            assert following.firing.keys() == {"f0"}
            # Once more, as after a crash, with another end that was noted meanwhile.
            await store.update_record(
                KEY,
                lambda spec: spec.model_copy(
                    update={
                        "held": {
                            name: each.model_copy(update={"ends_at": AT + MINUTE})
                            for name, each in spec.held.items()
                        }
                    }
                ),
            )
            following = await finish(store, clock, closed)
            assert following is not None
            assert not following.firing

    run_story(story())


def many(count: int, prefix: str) -> dict[str, AlertEntry]:
    return {f"{prefix}{n}": AlertEntry(labels={"alertname": f"A{n}"}, starts_at=AT) for n in range(count)}


@pytest.mark.parametrize("taken", [0, 40, MAX_ALERTS])
def test_more_held_alerts_than_an_incident_holds_are_named_in_it(tmp_path: Path, taken: int) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store = cluster.store
            await store.ensure_record(KEY)
            record = await store.update_record(KEY, holding(many(100, "h"), AT + MINUTE))
            if taken:
                await store.open(KEY, record.spec.next_sequence, many(taken, "n"), AT)
            following = await open_for_held(store, LoopClock(AT), record)
            assert following is not None
            kept = await store.get(KEY.namespace, following.name)
            assert len(kept.spec.alerts) == MAX_ALERTS
            assert many(taken, "n").keys() <= kept.spec.alerts.keys()
            assert kept.spec.overflow.keys() == many(100, "h").keys() - kept.spec.alerts.keys()
            assert kept.spec.overflow["h99"] == "A99"

    run_story(story())
