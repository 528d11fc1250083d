"""Every story on virtual time, the responder in the same loop: the judge agrees, and sees what is wrong."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml
from rich.console import Console

from responder.app import running
from responder.sandbox.demo.act import BASELINE, Act, open_act
from responder.sandbox.demo.chronicle import Source, Step, step_times
from responder.sandbox.demo.record import Result, conclude, render_record
from responder.sandbox.demo.rules import write_demo_rules
from responder.sandbox.demo.screen import draw
from responder.sandbox.demo.source import AlertSource
from responder.sandbox.demo.stage import Stage, make_plan, responder_variables
from responder.sandbox.demo.stories import STORIES, Story
from responder.sandbox.demo.view import take_view
from responder.sandbox.virtual_time import LoopClock
from responder.sandbox.world import HOME, World, free_port, start_world
from responder.settings import Settings
from tests.shared import run_story

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BUILT_IN = AlertSource(real=False)


@dataclass(frozen=True, slots=True)
class InProcess:
    """A responder that is no process of its own, or none at all."""

    log: Path = Path("responder.log")

    def check(self) -> None:
        """It ends with the test."""

    def tail(self) -> str:
        return "its last line"


@asynccontextmanager
async def started(story: Story, folder: Path, *, responder: bool = True) -> AsyncIterator[Act]:
    """The story's act, warmed up, with a responder or without."""
    clock = LoopClock(START)
    file = write_demo_rules(folder / "rules")
    port = free_port()
    async with start_world(clock, make_plan(file), port) as world:
        stage = Stage(story, BUILT_IN, folder, file, world, InProcess())
        async with open_act(stage, clock) as act:
            if not responder:
                await act.warm_up()
                yield act
                return
            async with running(settings(world, folder, port), clock):
                await act.warm_up()
                yield act


def settings(world: World, folder: Path, port: int) -> Settings:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(world.kubeconfig()), encoding="utf-8")
    variables = responder_variables(world).items()
    return Settings.model_validate(
        {name.removeprefix("RESPONDER_").lower(): value for name, value in variables}
        | {
            "listen": f"127.0.0.1:{port}",
            "rules": folder / "rules",
            "kubeconfig": kubeconfig,
            "namespace": HOME,
            "prometheus_url": world.prometheus_url,
            "alertmanager_urls": world.alertmanager_urls,
            "slack_api_url": f"{world.inboxes_url}/api/",
            "pagerduty_url": world.inboxes_url,
        }
    )


def failing(result: Result) -> list[str]:
    return [f"{finding.check}: {finding.text}" for finding in result.findings if not finding.passed]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_as_it_should(name: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with started(STORIES[name], tmp_path) as act:
            await act.play()
            result = conclude(act)
            assert failing(result) == []
            assert_in_order(result)
            assert_told(result)
            assert_drawn(act)
            record = render_record(BUILT_IN, (result,), started_at=START, ended_at=act.clock.now())
            assert record["passed"] is True
            assert record["alert_source"] == {"kind": "built-in", "versions": {}}
            assert record["stories"][0]["oracle"]["requests"]["v2"] > 0

    run_story(play())


def assert_in_order(result: Result) -> None:
    """The steps come one after another, and all of them where the release is taken back."""
    times = step_times(result.happenings)
    instants = [times[step] for step in Step if step in times]
    assert instants == sorted(instants)
    if result.story.undone:
        assert set(times) == set(Step)


def assert_told(result: Result) -> None:
    """What a person would otherwise take for something else is said as what it is."""
    texts = {source: [each.text for each in result.happenings if each.source is source] for source in Source}
    posts = [text for text in texts[Source.SLACK] if text.startswith("posts: ")]
    assert len(posts) == 1
    assert all(text.startswith("edits its message") for text in texts[Source.SLACK] if text not in posts)
    assert len([text for text in texts[Source.PAGERDUTY] if text.startswith("pages: ")]) <= 1
    assert all(text.startswith("a simulated person (on-call) clicks") for text in texts[Source.PERSON])
    metric = "error_rate" if result.story.error_rate else "latency_p95"
    waiting = f"recovery: waiting for 3 good windows of {metric} in a row"
    assert (waiting in texts[Source.INCIDENT]) is result.story.undone
    assert not any("payments/payment-service" in text for found in texts.values() for text in found)


def assert_drawn(act: Act) -> None:
    """The screen shows the story's end."""
    console = Console(file=io.StringIO(), width=110, height=40, force_terminal=False, color_system=None)
    view = take_view(act, 1, 4)
    console.print(draw(view, 110, 40))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert act.stage.story.title in shown
    assert f"[{view.phases[-1]}]" in shown


def test_the_guard_that_asks_when_the_release_began_speaks_against_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with started(STORIES["not-the-release"], tmp_path) as act:
            await act.play()
            doubts = [each for each in conclude(act).guards if each["result"] == "Failed"]
            assert ("CausedByRollout", "OnsetBeforeRollout") in [
                (each["check"], each["reason"]) for each in doubts
            ]

    run_story(play())


def test_without_a_responder_the_story_is_overdue(tmp_path: Path) -> None:
    async def play() -> None:
        async with started(STORIES["error-rate"], tmp_path, responder=False) as act:
            await act.play()
            result = conclude(act)
            assert not result.passed
            found = {finding.check: finding for finding in result.findings if not finding.passed}
            assert found["came to its end"].text == "waited 100 s in vain for an incident"
            assert found["undone exactly once"].text == "0 undos in the API server's log"
            assert found["v1 is back"].text == "the Deployment's template is v2"

    run_story(play())


def test_a_second_undo_is_seen_in_the_log_of_the_api_server(tmp_path: Path) -> None:
    """Somebody over HTTP touches the template again: the judge counts it, whatever the incident says."""

    async def play() -> None:
        async with started(STORIES["error-rate"], tmp_path) as act:
            await act.play()
            world = act.stage.world
            await patch_template(world)
            findings = {finding.check: finding for finding in conclude(act).findings}
            assert findings["undone exactly once"].text == "2 undos in the API server's log"
            assert findings["the incident says so"].passed

    run_story(play())


async def patch_template(world: World) -> None:
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/{world.name}"
    body = {"spec": {"template": {"metadata": {"annotations": {"touched": "yes"}}}}}
    user = world.cluster.kubeconfig()["users"][0]["user"]
    headers = {
        "Authorization": f"Bearer {user['token']}",
        "Content-Type": "application/merge-patch+json",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.patch(f"{world.cluster.url}{path}", json=body, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()


def test_the_baseline_is_long_enough_for_the_rules(tmp_path: Path) -> None:
    file = write_demo_rules(tmp_path / "rules")
    assert all(metric.range <= BASELINE for metric in file.metrics.values())
    assert timedelta(minutes=1) <= file.rollback.cooldown
