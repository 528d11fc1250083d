"""The whole loop on real parts: metric, Prometheus, Alertmanager, responder, rollback, proof, people."""

from __future__ import annotations

import json
from pathlib import Path

from responder.clock import SystemClock
from responder.sandbox.demo.audience import Nobody
from responder.sandbox.demo.chronicle import Step
from responder.sandbox.demo.record import write_record
from responder.sandbox.demo.run import play_stories
from responder.sandbox.demo.source import find_source
from responder.sandbox.demo.stories import STORIES


async def test_a_bad_release_is_rolled_back_and_proven(tmp_path: Path) -> None:
    clock = SystemClock()
    source = find_source(require_real=True)
    started_at = clock.now()
    (result,) = await play_stories((STORIES["error-rate"],), source, tmp_path, clock, Nobody())

    wrong = [f"{each.check}: {each.text}" for each in result.findings if not each.passed]
    assert wrong == [], result.log_tail
    assert all(result.seconds_to(step) is not None for step in Step)

    write_record(tmp_path / "demo.json", source, (result,), started_at=started_at, ended_at=clock.now())
    record = json.loads((tmp_path / "demo.json").read_text())
    assert record["passed"] is True
    assert record["alert_source"]["kind"] == "real"
    assert set(record["alert_source"]["versions"]) == {"prometheus", "alertmanager"}
    (story,) = record["stories"]
    assert story["name"] == "error-rate"
    assert len(story["undos"]) == 1
    assert story["oracle"]["bad_after_traffic_proof"] == 0
    assert {guard["result"] for guard in story["incident"]["guards"]} == {"Passed"}
