"""An incident that this version can't read ends neither the process nor any other incident."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.workloads.views import FREEZE
from tests.flow.harness import INCIDENTS, QUICK, SHORT, Stage, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def write_newer(here: Stage) -> None:
    """Write what only a newer version knows, which has applied its own definitions."""
    store = here.world.cluster.store
    crd = store.get(CRDS, "", INCIDENTS)
    assert crd is not None
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["status"]["properties"]["outcome"]["enum"].append("FromANewerVersion")
    store.update(CRDS, crd, manager="kubectl")
    incident = here.incident()
    assert incident is not None
    incident["status"]["outcome"] = "FromANewerVersion"
    store.update(INCIDENTS, incident, manager="newer", subresource="status")


@pytest.mark.parametrize("restarted", [False, True])
def test_an_incident_of_a_newer_version(tmp_path: Path, *, restarted: bool) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.annotate_workload(FREEZE, "audit")
            here.world.release("v2", error_rate=0.3)
            await here.reason("Frozen", 4 * MINUTE)
            if restarted:
                await here.stop()
            write_newer(here)
            if restarted:
                await here.start()
            await here.rest(2 * MINUTE)
            assert here.app.readiness().ready
            assert here.undos() == []

    run_story(story())
