"""Two replicas and two Alertmanagers in random weather: what holds in every story."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, note

from responder.incidents.model import Incident
from responder.incidents.phases import TRANSITIONS, Phase
from responder.incidents.record import WorkloadRecordSpec
from tests.flow.harness import QUICK, SHORT
from tests.flow.replicas import pair
from tests.property.counting import counted, examples
from tests.property.stories import Tale, Told, tales
from tests.shared import run_story

pytestmark = pytest.mark.slow

EXAMPLES = 14
ASKS = {"alerts": {"high-error-rate": {"action": "ask"}}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


@given(tale=tales)
@examples(EXAMPLES, shrink=False)
def test_whatever_happens(tale: Tale, folders: pytest.TempPathFactory) -> None:
    note(str(tale))
    with counted("whole stories of two replicas and two Alertmanagers"):
        run_story(told(tale, folders.mktemp("story")))


async def told(tale: Tale, folder: Path) -> None:
    changes = (SHORT, ASKS) if tale.asks else (SHORT,)
    async with pair(folder, *changes, alertmanagers=2, **QUICK) as there:
        story = Told(there)
        unsubscribe = there.here.world.cluster.store.subscribe(story.note)
        try:
            await there.here.rest(timedelta(minutes=3, seconds=50))
            there.here.world.release("v2", error_rate=0.3)
            await there.here.rest(timedelta(seconds=45))
            await story.play(tale.steps)
        finally:
            unsubscribe()
            for replica in (there.first, there.second):
                await replica.stop()
    assert_one_undo(story)
    assert_phases_only_move_along_the_table(story)
    assert_nothing_that_fires_is_lost(story)
    assert_every_incident_has_a_reason(story)
    assert_told_once(story)


def record(story: Told) -> WorkloadRecordSpec:
    return WorkloadRecordSpec.model_validate(story.here.record()["spec"])


def assert_one_undo(story: Told) -> None:
    """One of its own within the cooldown, and each one that the server took is in the record, once."""
    rollbacks = record(story).rollbacks
    assert sum(each.automatic for each in rollbacks) <= 1, rollbacks
    assert len(story.here.undos()) == len(rollbacks), rollbacks
    fences = [op["value"] for undo in story.here.undos() for op in undo.body if op["path"].endswith("fence")]
    assert len(set(fences) - {None}) >= len(story.here.undos())


def assert_phases_only_move_along_the_table(story: Told) -> None:
    last: dict[str, Phase] = {}
    for incident in story.incidents:
        before = last.get(incident.name, Phase.OPEN)
        assert incident.phase == before or incident.phase in TRANSITIONS[before], incident.name
        last[incident.name] = incident.phase
        assert sum(phase is not Phase.CLOSED for phase in last.values()) <= 1
    assert Phase.ROLLING_BACK not in last.values(), last


def assert_nothing_that_fires_is_lost(story: Told) -> None:
    """What an Alertmanager shows is on the open incident, or held from one that took it."""
    last = {incident.name: incident for incident in story.incidents}
    known = {name for each in last.values() if each.phase is not Phase.CLOSED for name in each.firing}
    held = record(story).held
    for manager in story.here.world.alertmanagers:
        for alert in manager.alerts():
            key = alert.fingerprint
            ended = held[key].ended_at if key in held else None
            assert key in known or (key in held and (ended is None or alert.starts_at <= ended)), key


def assert_every_incident_has_a_reason(story: Told) -> None:
    """A new instance of an alert, a revision that began to serve since, or the word of the one before."""
    taken: set[tuple[str, datetime]] = set()
    before: Incident | None = None
    seen: set[str] = set()
    servings = record(story).servings
    last = {incident.name: incident for incident in story.incidents}
    for incident in story.incidents:
        alerts = {} if incident.phase is Phase.CLOSED else incident.spec.alerts
        mine = {(name, entry.starts_at) for name, entry in alerts.items()}
        if incident.name not in seen and before is not None:
            until = incident.metadata.creation_timestamp + timedelta(seconds=1)
            newcomer = any(
                each.first_serving_at is not None
                and before.metadata.creation_timestamp <= each.first_serving_at <= until
                for each in servings
            )
            followed = last[before.name].status.followed_by == incident.name
            assert mine - taken or newcomer or followed, incident.name
        if incident.name not in seen:
            before = incident
        seen.add(incident.name)
        taken |= mine


def assert_told_once(story: Told) -> None:
    for number in range(1, len(story.here.incidents()) + 1):
        story.here.message(number)
        page = story.here.page(number)
        assert page is None or page.pages == 1
