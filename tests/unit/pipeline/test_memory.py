"""What a thousand incidents and workloads would have many times over is in memory once."""

from __future__ import annotations

import json
from pathlib import Path

from responder.pipeline.watch import _kept
from tests.property.deliveries import Instance, Tale
from tests.property.desk import KEY, alert_of, desk
from tests.shared import run_story

FIRST = Instance("HighErrorRate", 1, (0.0, 0.0), None)


def test_word_of_an_incident_that_says_the_same_brings_no_second_copy_of_its_alerts(tmp_path: Path) -> None:
    async def story() -> None:
        async with desk(Tale((FIRST,), (), None, (), (), 0), tmp_path) as here:
            replica = here.replicas[0]
            await replica.intake.take([alert_of(FIRST, 0, firing=True)])
            (known,) = replica.incidents.incidents()
            incident = await here.leader.get(KEY.namespace, KEY.incident_name(1))
            await here.leader.record(incident, incident.status.model_copy(update={"message": "looked"}))
            await here.clock.sleep(1)
            (now,) = replica.incidents.incidents()
            assert now.status.message == "looked"
            assert now.spec is known.spec

    run_story(story())


def test_workloads_share_the_texts_that_all_have() -> None:
    text = json.dumps(
        {"metadata": {"name": "checkout", "managedFields": [1]}, "spec": {"policy": "Always it"}}
    )
    first, second = _kept(json.loads(text)), _kept(json.loads(text))
    assert first == second == {"metadata": {"name": "checkout"}, "spec": {"policy": "Always it"}}
    assert first["spec"]["policy"] is second["spec"]["policy"]
    assert next(iter(first)) is next(iter(second))
