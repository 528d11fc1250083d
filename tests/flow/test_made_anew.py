"""Somebody deletes an open incident, and its alerts open another one of the same name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.api.faults import DropBefore, FaultRule
from tests.flow.harness import INCIDENTS, QUICK, SHORT, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("after_seconds", [0, 40])
def test_another_incident_of_the_same_name_is_judged_and_told_for_itself(
    tmp_path: Path, after_seconds: int
) -> None:
    """Whether or not it was noticed that the first one is gone, and while Slack is out of reach."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, settings={"alertmanager_urls": ()}, **QUICK) as here:
            await here.rest(4 * MINUTE)
            here.world.slack.faults.add(FaultRule("*", "/api/", DropBefore()))
            here.annotate_workload("responder.dev/freeze", "until we know more")
            here.world.release("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 7 * MINUTE)
            first = here.incident()
            assert first is not None
            metadata = {key: first["metadata"][key] for key in ("namespace", "name", "labels")}
            await here.rest(MINUTE)
            store = here.world.cluster.store
            store.delete(INCIDENTS, metadata["namespace"], metadata["name"])
            await here.rest(timedelta(seconds=after_seconds))
            spec = {**first["spec"], "receivedAt": here.world.clock.now().isoformat()}
            anew = {key: first[key] for key in ("apiVersion", "kind")} | {"metadata": metadata, "spec": spec}
            began_at = here.world.clock.now()
            store.create(INCIDENTS, anew, manager="responder")
            status = await here.phase("AwaitingDecision", MINUTE)
            await here.until(lambda: here.page() is not None, MINUTE, "paged for itself")
            await here.rest(MINUTE)
            failing = here.status()["notifications"]["slackFailing"]
            assert failing["beganAt"] >= f"{began_at:%Y-%m-%dT%H:%M:%S}"
            assert status["reason"] == "Frozen", status["reason"]

    run_story(story())
