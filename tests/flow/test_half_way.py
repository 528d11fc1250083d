"""What somebody takes away under an incident that is half way: it ends all the same, and people are told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from responder.sandbox.api.faults import FaultRule, Refuse
from tests.flow.harness import INCIDENTS, QUICK, SHORT, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
UNDO = "/deployments/[^?]+$"


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [("RollingBack", None), ("Verifying", "TrafficNotProven"), ("Settling", "RolledBack")],
)
def test_its_rule_file_is_gone(phase: str, outcome: str | None, tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            faults = here.world.cluster.faults
            if phase == "RollingBack":
                faults.add(FaultRule("PATCH", UNDO, Refuse(500)))
            here.world.release("v2", error_rate=0.05)
            await here.phase(phase, 8 * MINUTE)
            await here.stop()
            faults.clear()
            (path,) = (tmp_path / "rules").glob("*.yaml")
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            content["workload"]["deployment"] = content["service"] = "another"
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
            await here.start()
            if outcome is None:
                # The intent is given up with its fence voided, and what fires is told as nobody's.
                await here.phase("Open", MINUTE)
                assert here.undos() == []
                assert "UndoRefused" in here.reasons()
                return
            status = await here.phase("Closed", 5 * MINUTE)
            assert status["outcome"] == outcome
            assert "No rule file" in status["timeline"][-1]["message"]

    run_story(story())


def test_its_open_mark_is_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            here.annotate_workload("responder.dev/freeze", "x")
            here.world.release("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 7 * MINUTE)
            incident = here.incident()
            assert incident is not None
            incident["metadata"]["labels"].pop("responder.dev/open")
            here.world.cluster.store.update(INCIDENTS, incident, manager="kubectl")
            await here.stop()
            await here.start()
            here.world.release("v3")
            await here.phase("Closed", 30 * MINUTE)

    run_story(story())
