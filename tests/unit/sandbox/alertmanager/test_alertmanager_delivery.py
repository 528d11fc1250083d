"""The built-in Alertmanager notifies when the real one does: grouped, once, again, retried, resolved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from responder.sandbox.alertmanager.api import alertmanager_app
from responder.sandbox.alertmanager.routing import Receiver, Route
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api.server import run_server
from responder.sandbox.outage import Outage
from responder.sandbox.prometheus.formatting import rfc3339
from responder.sandbox.prometheus.labels import parse_matcher
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Hook:
    """Plays the receiver: answers as told, remembers (seconds, statuses by pod)."""

    answers: list[int] = field(default_factory=list)
    calls: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        payload = await request.json()
        self.payloads.append(payload)
        self.tokens.append(request.headers.get("Authorization", ""))
        statuses = {alert["labels"]["pod"]: alert["status"] for alert in payload["alerts"]}
        self.calls.append((round(asyncio.get_running_loop().time(), 1), statuses))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@dataclass
class Scene:
    """An Alertmanager with its API and its receiver."""

    alertmanager: Alertmanager
    hook: Hook
    url: str
    session: aiohttp.ClientSession

    async def sleep_until(self, seconds: float) -> None:
        await self.alertmanager.clock.sleep(seconds - asyncio.get_running_loop().time())

    async def post(self, pod: str, *, starts: float, ends: float | None = None, **labels: str) -> int:
        alert: dict[str, Any] = {
            "labels": {"alertname": "Errors", "deployment": "pay", "pod": pod, **labels},
            "startsAt": rfc3339(START + timedelta(seconds=starts)),
        }
        if ends is not None:
            alert["endsAt"] = rfc3339(START + timedelta(seconds=ends))
        async with self.session.post(f"{self.url}/api/v2/alerts", json=[alert]) as response:
            return response.status

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as response:
            return await response.json() if response.status == 200 else response.status

    async def silence(self, pod: str, *, ends: float) -> str:
        body = {
            "matchers": [{"name": "pod", "value": pod, "isRegex": False}],
            "startsAt": rfc3339(self.alertmanager.clock.now()),
            "endsAt": rfc3339(START + timedelta(seconds=ends)),
            "createdBy": "test",
            "comment": "planned",
        }
        async with self.session.post(f"{self.url}/api/v2/silences", json=body) as response:
            answer: dict[str, str] = await response.json()
            return answer["silenceID"]


def play(
    story: Callable[[Scene], Awaitable[None]],
    *,
    group_wait: float = 0,
    group_interval: float = 10,
    repeat_interval: float = 60,
    send_resolved: bool = True,
) -> None:
    """Run a story with one route for alerts that name a deployment, grouped by it and the alertname."""

    async def main() -> None:
        clock, hook = LoopClock(START), Hook()
        receiving = web.Application()
        receiving.router.add_post("/hook", hook.receive)
        async with run_server(receiving) as hook_url, aiohttp.ClientSession() as session:
            route = Route(
                Receiver("responder", f"{hook_url}/hook", token="secret", send_resolved=send_resolved),
                matchers=(parse_matcher('deployment!=""'),),
                group_by=("deployment", "alertname"),
                group_wait=timedelta(seconds=group_wait),
                group_interval=timedelta(seconds=group_interval),
                repeat_interval=timedelta(seconds=repeat_interval),
            )
            alertmanager = Alertmanager(clock, route)
            async with run_server(alertmanager_app(alertmanager)) as url, asyncio.TaskGroup() as tasks:
                running = tasks.create_task(alertmanager.run())
                await story(Scene(alertmanager, hook, url, session))
                running.cancel()

    run_story(main())


def test_tells_the_first_alert_after_group_wait_and_more_at_the_interval() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.sleep_until(5)
        await scene.post("b", starts=5)
        await scene.sleep_until(40)

        assert scene.hook.calls == [
            (3.0, {"a": "firing"}),
            (13.0, {"a": "firing", "b": "firing"}),
        ]
        assert scene.hook.tokens == ["Bearer secret"] * 2
        assert "secret" not in repr(scene.alertmanager.route)

    play(story, group_wait=3)


def test_an_alert_that_fires_for_long_does_not_wait() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(100)
        await scene.post("a", starts=10)
        await scene.sleep_until(105)

        assert scene.hook.calls == [(100.0, {"a": "firing"})]

    play(story, group_wait=30)


def test_repeats_after_repeat_interval_and_not_before() -> None:
    async def story(scene: Scene) -> None:
        for seconds in range(0, 150, 30):
            await scene.sleep_until(seconds)
            await scene.post("a", starts=0, ends=seconds + 240)
        await scene.sleep_until(150)

        # The first flush that is later than the interval, not merely as late.
        assert [at for at, _ in scene.hook.calls] == [0.0, 70.0, 140.0]

    play(story)


def test_tells_the_end_once_and_forgets() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.post("b", starts=0)
        await scene.sleep_until(12)
        await scene.post("a", starts=0, ends=12)
        await scene.sleep_until(32)
        await scene.post("b", starts=0, ends=32)
        await scene.sleep_until(200)

        assert scene.hook.calls[-2:] == [
            (20.0, {"a": "resolved", "b": "firing"}),
            (40.0, {"b": "resolved"}),
        ]
        payload = scene.hook.payloads[-1]
        assert payload["status"] == "resolved"
        assert payload["alerts"][0]["endsAt"] == "2026-01-01T00:00:32Z"
        assert scene.hook.payloads[-2]["alerts"][1]["endsAt"] == "0001-01-01T00:00:00Z"

    play(story)


def test_an_alert_nobody_repeats_ends_by_itself() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.sleep_until(320)

        assert scene.hook.calls[-1] == (300.0, {"a": "resolved"})

    play(story, repeat_interval=1000)


def test_without_send_resolved_the_end_is_not_told_but_a_new_start_is() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.sleep_until(5)
        await scene.post("a", starts=0, ends=5)
        await scene.sleep_until(15)
        await scene.post("a", starts=15)
        await scene.sleep_until(40)

        assert scene.hook.calls == [(0.0, {"a": "firing"}), (20.0, {"a": "firing"})]

    play(story, send_resolved=False)


def test_a_server_error_is_retried_within_the_flush() -> None:
    async def story(scene: Scene) -> None:
        scene.hook.answers = [503, 500, 200]
        await scene.post("a", starts=0)
        await scene.sleep_until(60)

        assert [at for at, _ in scene.hook.calls] == [0.0, 0.5, 1.2]
        assert (scene.alertmanager.notifications_sent, scene.alertmanager.notifications_failed) == (1, 0)

    play(story)


def test_a_client_error_waits_for_the_next_flush_and_what_resolves_meanwhile_is_never_told() -> None:
    async def story(scene: Scene) -> None:
        scene.hook.answers = [400, 400]
        await scene.post("a", starts=0)
        await scene.sleep_until(15)
        await scene.post("a", starts=0, ends=15)
        await scene.sleep_until(60)

        assert [at for at, _ in scene.hook.calls] == [0.0, 10.0]
        assert scene.alertmanager.notifications_failed == 2

    play(story)


def test_retries_end_with_the_flush_and_the_next_one_begins_anew() -> None:
    async def story(scene: Scene) -> None:
        scene.hook.answers = [503] * 9
        await scene.post("a", starts=0)
        await scene.sleep_until(25)

        assert scene.alertmanager.notifications_failed == 1
        assert scene.alertmanager.notifications_sent == 1

    play(story)


def test_a_silenced_alert_is_not_told_and_is_told_when_the_silence_ends() -> None:
    async def story(scene: Scene) -> None:
        await scene.silence("a", ends=25)
        await scene.post("a", starts=0)
        await scene.post("b", starts=0)
        await scene.sleep_until(22)
        (silenced,) = await scene.get("/api/v2/alerts?active=false")
        assert silenced["labels"]["pod"] == "a"
        assert silenced["status"]["state"] == "suppressed"
        assert [one["labels"]["pod"] for one in await scene.get("/api/v2/alerts?silenced=false")] == ["b"]
        await scene.sleep_until(40)

        assert scene.hook.calls == [(10.0, {"b": "firing"}), (30.0, {"a": "firing", "b": "firing"})]

    play(story)


def test_lists_alerts_by_matcher_and_receiver() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0, severity="page")
        await scene.post("b", starts=0)
        await scene.post("c", starts=0, deployment="")
        await scene.post("d", starts=-20, ends=-10)

        async def pods(query: str) -> Any:
            found = await scene.get(f"/api/v2/alerts{query}")
            return sorted(one["labels"]["pod"] for one in found) if isinstance(found, list) else found

        assert await pods("") == ["a", "b", "c"]
        assert await pods('?filter=severity="page"') == ["a"]
        assert await pods('?filter=pod=~"a|b"&filter=severity!="page"') == ["b"]
        assert await pods("?receiver=responder") == ["a", "b"]
        assert await pods("?receiver=respond") == []
        assert await pods("?receiver=default") == ["c"]
        assert await pods("?active=maybe") == 400
        assert await pods("?filter={") == 400

    play(story)


def test_a_restart_without_a_disk_tells_again_what_still_fires() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.sleep_until(5)
        scene.alertmanager.restart_empty()
        assert await scene.get("/api/v2/alerts") == []
        await scene.sleep_until(20)
        await scene.post("a", starts=0)
        await scene.sleep_until(25)

        assert scene.hook.calls == [(0.0, {"a": "firing"}), (20.0, {"a": "firing"})]

    play(story)


def test_outages() -> None:
    async def story(scene: Scene) -> None:
        scene.alertmanager.outage = Outage.UNAVAILABLE
        assert await scene.post("a", starts=0) == 503
        scene.alertmanager.outage = Outage.NONE
        assert await scene.post("a", starts=0) == 200
        scene.alertmanager.outage = Outage.DOWN
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await scene.post("b", starts=0)
        await scene.sleep_until(5)
        assert scene.hook.calls == []

        scene.alertmanager.outage = Outage.NONE
        await scene.sleep_until(12)
        assert scene.hook.calls == [(10.0, {"a": "firing"})]

    play(story)


def test_the_payload_is_the_real_ones() -> None:
    async def story(scene: Scene) -> None:
        await scene.post("a", starts=0)
        await scene.sleep_until(1)

        # As Alertmanager 0.25 sent it for the same alert and route.
        assert json.dumps(scene.hook.payloads[0]) == json.dumps(
            {
                "receiver": "responder",
                "status": "firing",
                "alerts": [
                    {
                        "status": "firing",
                        "labels": {"alertname": "Errors", "deployment": "pay", "pod": "a"},
                        "annotations": {},
                        "startsAt": "2026-01-01T00:00:00Z",
                        "endsAt": "0001-01-01T00:00:00Z",
                        "generatorURL": "",
                        "fingerprint": "7eee5980e4e24e28",
                    }
                ],
                "groupLabels": {"alertname": "Errors", "deployment": "pay"},
                "commonLabels": {"alertname": "Errors", "deployment": "pay", "pod": "a"},
                "commonAnnotations": {},
                "externalURL": "http://alertmanager.sandbox:9093",
                "version": "4",
                "groupKey": '{}/{deployment!=""}:{alertname="Errors", deployment="pay"}',
                "truncatedAlerts": 0,
            }
        )

    play(story)
