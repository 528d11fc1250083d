"""A newer version's definitions and fields: this version drives the incident to its end and keeps them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.flow.harness import INCIDENTS, QUICK, SHORT, Stage, stage
from tests.flow.test_unreadable import CRDS
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
RECORDS = "workloadrecords.responder.dev"
FUTURE = {"since": "v1beta1", "numbers": [1, 2]}
SCHEMA = {
    "type": "object",
    "properties": {"since": {"type": "string"}, "numbers": {"type": "array", "items": {"type": "integer"}}},
}


def properties(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    """The properties of an object within a schema; "*" leads to the values of a map."""
    for name in path:
        schema = schema["additionalProperties"] if name == "*" else schema["properties"][name]
    found: dict[str, Any] = schema["properties"]
    return found


def define_more(here: Stage) -> None:
    """Apply the definitions of a version that knows one more field in each part."""
    more = {
        INCIDENTS: (("spec",), ("spec", "alerts", "*"), ("status",), ("status", "times")),
        RECORDS: (("spec",), ("spec", "held", "*")),
    }
    store = here.world.cluster.store
    for name, places in more.items():
        crd = store.get(CRDS, "", name)
        assert crd is not None
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for place in places:
            properties(schema, *place)["future"] = SCHEMA
        store.update(CRDS, crd, manager="kubectl")


def write_more(here: Stage) -> None:
    """Fill the new fields in, as a replica of the newer version does."""
    store = here.world.cluster.store
    incident = here.incident()
    assert incident is not None
    incident["spec"]["future"] = FUTURE
    for entry in incident["spec"]["alerts"].values():
        entry["future"] = FUTURE
    incident = store.update(INCIDENTS, incident, manager="newer")
    incident["status"]["future"] = FUTURE
    incident["status"]["times"]["future"] = FUTURE
    store.update(INCIDENTS, incident, manager="newer", subresource="status")
    record = here.record()
    record["spec"]["future"] = FUTURE
    store.update(RECORDS, record, manager="newer")


def test_a_story_with_fields_of_a_newer_version(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            define_more(here)
            await here.rest(timedelta(minutes=3, seconds=30))
            here.world.release("v2", error_rate=0.3)
            await here.phase("Verifying", 4 * MINUTE)
            write_more(here)
            status = await here.phase("Closed", 15 * MINUTE)
            assert status["outcome"] == "RolledBack"
            assert len(here.undos()) == 1
            incident = here.incident()
            assert incident is not None
            assert incident["spec"]["future"] == FUTURE
            assert [alert["future"] for alert in incident["spec"]["alerts"].values()][:1] == [FUTURE]
            assert incident["status"]["future"] == incident["status"]["times"]["future"] == FUTURE
            record = here.record()
            assert record["spec"]["future"] == FUTURE
            # The record was written since: the incident closed, and the next one has the next number.
            assert record["spec"]["nextSequence"] == 2
            # An ordinary story's objects are far from the bounds.
            assert max(len(json.dumps(obj)) for obj in (incident, record)) < 100_000

    run_story(story())
