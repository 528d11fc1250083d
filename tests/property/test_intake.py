"""Whatever order alerts come in, whoever is killed meanwhile: none is lost, none opens anything twice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given

from responder.incidents.model import Incident
from responder.incidents.phases import TRANSITIONS, Phase
from responder.incidents.record import WorkloadRecordSpec, is_new_instance
from tests.property.counting import counted, examples
from tests.property.deliveries import Instance, Tale, short_waits, tales
from tests.property.desk import INCIDENTS, KEY, LEADER, RECORDS, START, Desk, creations, desk
from tests.shared import run_story

pytestmark = pytest.mark.slow

# Where one fails, have it shrunk: `shrink=True`.
EXAMPLES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("property")


@given(tale=tales(short_waits))
@examples(EXAMPLES, shrink=False)
def test_in_any_order_of_what_is_nearly_on_time(tale: Tale, folder: Path) -> None:
    with counted("intake, closing and reconcile: deliveries up to a second late"):
        run_story(told(tale, folder))


@given(tale=tales())
@examples(EXAMPLES, shrink=False)
def test_in_any_order_at_all(tale: Tale, folder: Path) -> None:
    with counted("intake, closing and reconcile: deliveries up to two minutes late"):
        run_story(told(tale, folder))


async def told(tale: Tale, folder: Path) -> None:
    async with desk(tale, folder) as here:
        await here.play()
    assert_phases_only_move_along_the_table(here)
    assert_at_most_one_is_open(here)
    assert_every_delivered_alert_was_taken(here)
    assert_what_fires_is_known(here)
    assert_no_release_goes_unjudged(here)
    assert_opened_for_a_new_instance(here)


def versions(here: Desk) -> list[Incident]:
    """Every state that any incident was in, in order."""
    return [
        Incident.model_validate({**each.object, "status": each.object.get("status") or {}})
        for each in here.events
        if each.resource.key == INCIDENTS and each.type != "DELETED"
    ]


def instance_of(tale: Tale, name: str, starts_at: datetime) -> Instance:
    seconds = (starts_at - START).total_seconds()
    mine = (each for each in tale.instances if each.name == name)
    return next(each for each in mine if any(abs(seconds - at) < 0.001 for at in each.starts))


def assert_phases_only_move_along_the_table(here: Desk) -> None:
    last: dict[str, Phase] = {}
    for incident in versions(here):
        before = last.get(incident.name, Phase.OPEN)
        assert incident.phase == before or incident.phase in TRANSITIONS[before]
        last[incident.name] = incident.phase


def assert_at_most_one_is_open(here: Desk) -> None:
    last: dict[str, Phase] = {}
    for incident in versions(here):
        last[incident.name] = incident.phase
        assert sum(phase is not Phase.CLOSED for phase in last.values()) <= 1


def assert_every_delivered_alert_was_taken(here: Desk) -> None:
    """It or a later instance, unless it was known to be over, or no end was known of the one before."""
    taken = taken_instances(here)
    for began, _, delivery in here.acknowledged:
        instance = delivery.instance
        later = {number for name, number in taken if name == instance.name and number >= instance.number}
        if not delivery.firing or later:
            continue
        ends = {
            each.instance.number
            for _, answered, each in here.acknowledged
            if answered <= began and not each.firing and each.instance.name == instance.name
        }
        known_over = any(number >= instance.number for number in ends)
        indistinct = instance.number > 1 and instance.number - 1 not in ends
        assert known_over or indistinct, f"lost: {delivery}"


def taken_instances(here: Desk) -> set[tuple[str, int]]:
    return {each for incident in versions(here) for each in taken_by(here, incident)}


def taken_by(here: Desk, incident: Incident) -> set[tuple[str, int]]:
    """What is written to one that is closed already goes to the next one."""
    if incident.phase is Phase.CLOSED:
        return set()
    alerts = incident.spec.alerts.items()
    return {(name, instance_of(here.tale, name, entry.starts_at).number) for name, entry in alerts}


def assert_what_fires_is_known(here: Desk) -> None:
    """At the end: what an Alertmanager shows is on the open incident, or held from one that took it."""
    records = here.store.list(RECORDS, KEY.namespace)
    held = WorkloadRecordSpec.model_validate(records[0]["spec"]).held if records else {}
    open_now = [each for each in latest(here) if each.phase is not Phase.CLOSED]
    firing = {name for incident in open_now for name in incident.firing}
    for sender in (0, 1):
        for alert in here.active(sender):
            known = alert.fingerprint in firing or not is_new_instance(alert, held.get(alert.fingerprint))
            assert known, f"nobody knows of {alert.fingerprint} of {alert.starts_at}"


def assert_no_release_goes_unjudged(here: Desk) -> None:
    """At the end: an incident is open, or nothing held fires that was judged under another revision."""
    if all(each.phase is Phase.CLOSED for each in latest(here)):
        for record in here.store.list(RECORDS, KEY.namespace):
            assert not WorkloadRecordSpec.model_validate(record["spec"]).outlived()


def latest(here: Desk) -> list[Incident]:
    found = {incident.name: incident for incident in versions(here)}
    return list(found.values())


def assert_opened_for_a_new_instance(here: Desk) -> None:
    """Each incident that an intake opened has an instance that none before it took."""
    taken: set[tuple[str, int]] = set()
    opened = {body["metadata"]["name"]: who for who, body in creations(here)}
    seen: set[str] = set()
    for incident in versions(here):
        mine = taken_by(here, incident)
        if incident.name not in seen and opened[incident.name] != LEADER:
            assert mine - taken, f"{incident.name} opened for {sorted(mine)} alone"
        seen.add(incident.name)
        taken |= mine
