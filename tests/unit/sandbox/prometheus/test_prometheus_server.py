"""The built-in Prometheus over HTTP: scraping by the label contract, answers, errors, notifying, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from responder.sandbox import manifests
from responder.sandbox.api.server import run_server
from responder.sandbox.cluster import Cluster
from responder.sandbox.outage import Outage
from responder.sandbox.prometheus.api import prometheus_app
from responder.sandbox.prometheus.rulefile import parse_rule_file
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.scenarios.unheard import served_metrics
from responder.sandbox.traffic import Behaviour, PodDirectory, PodMetrics
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"
RULES = """
groups:
- name: payments
  rules:
  - alert: Errors
    expr: sum by (deployment) (payment_errors_total) > 0
    for: 5s
    annotations: {summary: "{{ $value }} errors"}
"""


@dataclass
class Scene:
    """Two pods, a Prometheus that scrapes them, and an Alertmanager's inbox: (seconds, alert)."""

    cluster: Cluster
    prometheus: Prometheus
    pods: PodDirectory
    metrics: PodMetrics
    session: aiohttp.ClientSession
    url: str
    posts: list[tuple[float, dict[str, Any]]]

    async def sleep_until(self, seconds: float) -> None:
        await self.cluster.clock.sleep(seconds - asyncio.get_running_loop().time())

    async def ask(self, path: str, **parameters: Any) -> tuple[int, Any]:
        async with self.session.get(self.url + path, params=parameters) as response:
            return response.status, await response.json()

    async def query(self, text: str) -> dict[str, str]:
        """Value by pod."""
        status, answer = await self.ask("/api/v1/query", query=text)
        assert status == 200, answer
        return {one["metric"].get("pod", ""): one["value"][1] for one in answer["data"]["result"]}


def play(story: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a story on a new scene, in virtual time."""

    async def main() -> None:
        clock = LoopClock(START)
        posts: list[tuple[float, dict[str, Any]]] = []

        async def inbox(request: web.Request) -> web.Response:
            at = round(asyncio.get_running_loop().time(), 1)
            posts.extend((at, alert) for alert in await request.json())
            return web.Response()

        receiving = web.Application()
        receiving.router.add_post("/api/v2/alerts", inbox)
        async with (
            Cluster.start(clock=clock) as cluster,
            run_server(receiving) as inbox_url,
            aiohttp.ClientSession() as session,
        ):
            pods = PodDirectory(cluster.store)
            metrics = PodMetrics(pods)
            prometheus = Prometheus(
                clock,
                pods,
                metrics,
                rules=parse_rule_file(RULES, "rules.yml"),
                alertmanager_urls=[inbox_url],
            )
            cluster.apply(manifests.deployment(NAME, replicas=2))
            await cluster.rollout_complete(NAMESPACE, NAME)
            async with run_server(prometheus_app(prometheus)) as url, asyncio.TaskGroup() as tasks:
                running = tasks.create_task(prometheus.run())
                await story(Scene(cluster, prometheus, pods, metrics, session, url, posts))
                running.cancel()
            pods.close()

    run_story(main())


def test_every_series_says_whose_it_is() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(6)
        pod, _ = scene.pods.all()

        _, answer = await scene.ask("/api/v1/query", query=f'payment_transactions_total{{pod="{pod.name}"}}')

        (element,) = answer["data"]["result"]
        assert element["metric"] == {
            "__name__": "payment_transactions_total",
            "job": "pods",
            "instance": f"{pod.ip}:9102",
            "namespace": NAMESPACE,
            "deployment": NAME,
            "pod": pod.name,
            "pod_template_hash": pod.pod_template_hash,
        }

    play(story)


def test_a_pod_that_is_gone_leaves_instant_queries_at_once() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(6)
        first, second = scene.pods.all()
        assert await scene.query("up") == {first.name: "1", second.name: "1"}

        scene.cluster.store.delete("pods", NAMESPACE, first.name)
        await scene.sleep_until(20)

        found = await scene.query("up")
        assert first.name not in found
        assert second.name in found
        assert first.name in await scene.query("last_over_time(up[1m])")

    play(story)


def test_a_target_that_cannot_be_scraped_is_down_and_what_it_exposed_is_stale() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(6)
        first, second = scene.pods.all()
        scene.prometheus.unreachable = f"^{NAMESPACE}/{first.name}$"
        await scene.sleep_until(21)
        assert await scene.query("up") == {first.name: "0", second.name: "1"}
        assert list(await scene.query("payment_transactions_total")) == [second.name]
        assert first.name in await scene.query("last_over_time(payment_transactions_total[1m])")
        tries = await scene.query("count_over_time(up[1m])")
        assert tries[first.name] == tries[second.name]

        scene.prometheus.unreachable = ""
        await scene.sleep_until(31)
        assert await scene.query("up") == {first.name: "1", second.name: "1"}
        samples = await scene.query("count_over_time(payment_transactions_total[1m])")
        assert int(samples[first.name]) == int(samples[second.name]) - 3

    play(story)


def test_a_target_that_was_down_from_its_beginning_and_goes_leaves_nothing() -> None:
    async def story(scene: Scene) -> None:
        scene.prometheus.unreachable = "."
        await scene.sleep_until(6)
        first, second = scene.pods.all()
        scene.prometheus.restart_empty()
        assert await scene.query("up") == {}
        await scene.sleep_until(11)
        assert await scene.query("up") == {first.name: "0", second.name: "0"}
        scene.cluster.store.delete("pods", NAMESPACE, first.name)
        await scene.sleep_until(21)
        assert first.name not in await scene.query("up")

    play(story)


def test_slow_answers_come_late_and_health_at_once() -> None:
    async def story(scene: Scene) -> None:
        scene.prometheus.answers_after_seconds = 12.0
        began = asyncio.get_running_loop().time()
        await scene.query("up")
        assert asyncio.get_running_loop().time() - began >= 12
        began = asyncio.get_running_loop().time()
        async with scene.session.get(f"{scene.url}/-/healthy") as response:
            assert response.status == 200
        assert asyncio.get_running_loop().time() - began < 1

    play(story)


def test_answers_of_every_type() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(6)

        assert await scene.ask("/api/v1/query", query="1/3", time=START.timestamp() + 5.5) == (
            200,
            {
                "status": "success",
                "data": {"resultType": "scalar", "result": [1767225605.5, "0.3333333333333333"]},
            },
        )
        _, over = await scene.ask(
            "/api/v1/query_range",
            query="sum(up)",
            start="2026-01-01T00:00:04Z",
            end=START.timestamp() + 6,
            step="1s",
        )
        (series,) = over["data"]["result"]
        assert series == {"metric": {}, "values": [[1767225604, "2"], [1767225605, "2"], [1767225606, "2"]]}
        async with scene.session.post(f"{scene.url}/api/v1/query", data={"query": "up[5s]"}) as response:
            matrix = await response.json()
        assert matrix["data"]["resultType"] == "matrix"
        assert len(matrix["data"]["result"]) == 2

    play(story)


@pytest.mark.parametrize(
    ("path", "parameters", "status", "error_type", "text"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {}, 400, "bad_data", "no expression found"),
        (
            "query",
            {"query": "up", "time": "noon"},
            400,
            "bad_data",
            'cannot parse "noon" to a valid timestamp',
        ),
        ("query", {"query": "up", "time": "nan"}, 400, "bad_data", 'cannot parse "nan" to a valid timestamp'),
        ("query", {"query": "up * on (job) up"}, 422, "execution", "many-to-many matching not allowed"),
        ("query", {"query": "stddev(up)"}, 422, "execution", "does not implement the aggregation"),
        (
            "query_range",
            {"query": "up", "start": 5, "end": 4, "step": 1},
            400,
            "bad_data",
            "must not be before",
        ),
        (
            "query_range",
            {"query": "up", "start": 4, "end": 5, "step": 0},
            400,
            "bad_data",
            "zero or negative",
        ),
        (
            "query_range",
            {"query": "up", "start": 4, "end": 5, "step": "x"},
            400,
            "bad_data",
            "valid duration",
        ),
        (
            "query_range",
            {"query": "up", "start": 0, "end": 11001, "step": 1},
            400,
            "bad_data",
            "11,000 points",
        ),
        (
            "query_range",
            {"query": "up[1m]", "start": 4, "end": 5, "step": 1},
            400,
            "bad_data",
            "Scalar or instant",
        ),
    ],
)
def test_errors(path: str, parameters: dict[str, Any], status: int, error_type: str, text: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(6)

        got, answer = await scene.ask(f"/api/v1/{path}", **parameters)

        assert (got, answer["status"], answer["errorType"]) == (status, "error", error_type)
        assert text in answer["error"]

    play(story)


def test_alerts_reach_alertmanager_are_repeated_and_resolved() -> None:
    async def story(scene: Scene) -> None:
        pod, _ = scene.pods.all()
        await scene.sleep_until(10)
        scene.metrics.of(pod).serve(3, Behaviour(error_rate=1.0))
        await scene.sleep_until(100)
        _, alerts = await scene.ask("/api/v1/alerts")
        (alert,) = alerts["data"]["alerts"]
        assert (alert["state"], alert["value"], alert["annotations"]) == (
            "firing",
            "3e+00",
            {"summary": "3 errors"},
        )
        _, names = await scene.ask("/api/v1/label/__name__/values")
        assert set(names["data"]) == {*served_metrics(), "ALERTS", "ALERTS_FOR_STATE"}
        _, rules = await scene.ask("/api/v1/rules")
        (rule,) = rules["data"]["groups"][0]["rules"]
        assert (rule["state"], rule["health"], rule["duration"]) == ("firing", "ok", 5)

        scene.cluster.store.delete("pods", NAMESPACE, pod.name)
        await scene.sleep_until(125)
        first, repeated, resolved = scene.posts
        assert repeated[0] - first[0] == 65
        assert first[1]["labels"] == {"alertname": "Errors", "deployment": NAME}
        assert first[1]["startsAt"] == repeated[1]["startsAt"] == resolved[1]["startsAt"]
        ends = [datetime.fromisoformat(alert["endsAt"]) for _, alert in scene.posts]
        # A firing alert stays valid for four resends; a resolved one has ended.
        assert (ends[0] - datetime.fromisoformat(first[1]["startsAt"])).total_seconds() == 240
        assert abs((ends[2] - START).total_seconds() - resolved[0]) < 1

    play(story)


def test_stale_data_is_found_for_five_minutes_and_then_no_more() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(12)
        scene.prometheus.scraping = False
        await scene.sleep_until(250)
        assert len(await scene.query("up")) == 2
        await scene.sleep_until(320)
        assert await scene.query("up") == {}

    play(story)


def test_a_restart_without_a_disk_loses_data_and_alerts() -> None:
    async def story(scene: Scene) -> None:
        pod, _ = scene.pods.all()
        scene.metrics.of(pod).serve(3, Behaviour(error_rate=1.0))
        await scene.sleep_until(30)
        before = scene.posts[0][1]["startsAt"]
        assert await scene.query("rate(payment_transactions_total[1m])") != {}

        scene.prometheus.restart_empty()

        assert await scene.query("rate(payment_transactions_total[1m])") == {}
        assert (await scene.ask("/api/v1/alerts"))[1]["data"]["alerts"] == []
        await scene.sleep_until(60)
        assert len(await scene.query("up")) == 2
        assert scene.posts[-1][1]["startsAt"] > before, "the same condition is a new instance"

    play(story)


def test_outages() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep_until(12)
        scene.prometheus.outage = Outage.UNAVAILABLE
        async with scene.session.get(f"{scene.url}/-/ready") as response:
            assert response.status == 503
        scene.prometheus.outage = Outage.DOWN
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await scene.ask("/api/v1/query", query="up")
        await scene.sleep_until(60)
        scene.prometheus.outage = Outage.NONE
        assert await scene.query("count_over_time(up[40s])") == {}, "a dead process scrapes nothing"
        await scene.sleep_until(70)
        assert len(await scene.query("count_over_time(up[10s])")) == 2

    play(story)


def test_an_alertmanager_that_is_away_hears_at_the_next_resend() -> None:
    async def story(scene: Scene) -> None:
        url = scene.prometheus.notifier.alertmanager_urls[0]
        scene.prometheus.notifier.alertmanager_urls[0] = "http://127.0.0.1:9"
        pod, _ = scene.pods.all()
        scene.metrics.of(pod).serve(3, Behaviour(error_rate=1.0))
        await scene.sleep_until(30)
        assert scene.prometheus.notifier.failed_sends == 1
        assert scene.posts == []

        scene.prometheus.notifier.alertmanager_urls[0] = url
        await scene.sleep_until(90)
        assert len(scene.posts) == 1

    play(story)
