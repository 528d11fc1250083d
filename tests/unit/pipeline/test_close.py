"""What ends with an incident, and what opens the next one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from responder.incidents.model import AlertEntry
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
