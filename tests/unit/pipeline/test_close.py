"""What ends with an incident, and what opens the next one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.incidents.model import MAX_ALERTS, AlertEntry
from responder.incidents.phases import Phase
from responder.incidents.record import hold
from responder.pipeline.close import open_for_held
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story
from tests.unit.deploy.test_applied import KEY, deployed

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENTRIES = {"f1": AlertEntry(labels={"alertname": "A"}, starts_at=AT)}


def test_what_is_held_goes_to_no_incident_that_closed_meanwhile(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store, clock = cluster.store, LoopClock(AT)
            await store.ensure_record(KEY)
            record = await store.update_record(
                KEY, lambda spec: spec.model_copy(update={"held": hold(ENTRIES, "i-0", AT)})
            )
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


def many(count: int, prefix: str) -> dict[str, AlertEntry]:
    return {f"{prefix}{n}": AlertEntry(labels={"alertname": f"A{n}"}, starts_at=AT) for n in range(count)}


@pytest.mark.parametrize("taken", [0, 40, MAX_ALERTS])
def test_more_held_alerts_than_an_incident_holds_are_named_in_it(tmp_path: Path, taken: int) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store = cluster.store
            await store.ensure_record(KEY)
            record = await store.update_record(
                KEY, lambda spec: spec.holding(hold(many(100, "h"), "i-0", AT))
            )
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
