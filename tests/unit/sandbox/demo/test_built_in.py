"""Without the real Prometheus and Alertmanager: the same demo on the machine's time, on the built-in ones."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from responder.clock import SystemClock
from responder.sandbox.demo.audience import Nobody
from responder.sandbox.demo.record import Result
from responder.sandbox.demo.run import play_stories
from responder.sandbox.demo.source import AlertSource
from responder.sandbox.demo.stage import Stage
from responder.sandbox.demo.stories import STORIES


@pytest.mark.slow
async def test_the_responder_as_its_own_process_on_built_in_alerts(tmp_path: Path) -> None:
    source = AlertSource(real=False)
    stories = (STORIES["slow"], STORIES["error-rate"])
    seen: list[tuple[Result, ...]] = []

    async def close(stage: Stage, results: tuple[Result, ...]) -> None:
        """The last stage still stands: its responder runs, its cluster answers kubectl."""
        stage.responder.check()
        assert (stage.folder / "kubeconfig-kubectl").is_file()
        async with aiohttp.ClientSession() as session, session.get(f"{stage.world.cluster.url}/readyz") as up:
            assert up.status == 200
        seen.append(results)

    results = await play_stories(stories, source, tmp_path, SystemClock(), Nobody(), close)
    assert seen == [results]
    assert [result.story.name for result in results] == ["slow", "error-rate"]
    wrong = [
        f"{each.check}: {each.text}" for result in results for each in result.findings if not each.passed
    ]
    assert wrong == []
    assert not (tmp_path / "slow" / "prometheus.log").exists()
    assert (tmp_path / "slow" / "responder.log").read_text()
