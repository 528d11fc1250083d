"""Scenarios on virtual time: each kind of event does what it says, when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from responder.sandbox.alertmanager.routing import Receiver, Route
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, count, is_deleting
from responder.sandbox.oracle import Oracle
from responder.sandbox.outage import Outage
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.scenarios.model import Scenario
from responder.sandbox.scenarios.play import Parts, describe, furnish, play
from responder.sandbox.traffic.clients import Traffic
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

PLACE = "shop/cart"


def scenario(*events: dict[str, Any]) -> Scenario:
    """A scenario of one workload."""
    return Scenario.model_validate(
        {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "SandboxScenario",
            "workloads": [{"namespace": "shop", "name": "cart"}],
            "events": events,
        }
    )


def watch(then: Callable[[Parts], Awaitable[None]], *events: dict[str, Any]) -> list[str]:
    """Play the events and look at the parts meanwhile; what was told."""
    told: list[str] = []

    async def story() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        async with Cluster.start(clock=clock) as cluster:
            written = scenario(*events)
            furnish(cluster, written.workloads[0])
            await cluster.rollout_complete("shop", "cart")
            pods = PodDirectory(cluster.store)
            metrics = PodMetrics(pods, seed=1)
            traffic = Traffic(
                cluster.store, clock, "shop", "cart", 50, pods=pods, metrics=metrics, oracle=Oracle()
            )
            alertmanager = Alertmanager(clock, Route(Receiver("responder", "http://127.0.0.1:9")))
            prometheus = Prometheus(clock, pods, metrics)
            parts = Parts(cluster, {PLACE: traffic}, prometheus, alertmanager)
            async with asyncio.TaskGroup() as group:
                group.create_task(play(written, parts, told.append))
                await then(parts)
            pods.close()

    run_story(story())
    return told


def test_events_happen_in_the_order_of_their_times() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(59)
        assert parts.traffic[PLACE].requests_per_second == 50
        await parts.cluster.clock.sleep(2)
        assert parts.traffic[PLACE].requests_per_second == 300
        assert parts.cluster.deployment("shop", "cart")["spec"]["replicas"] == 3
        await parts.cluster.clock.sleep(60)
        assert parts.cluster.deployment("shop", "cart")["spec"]["replicas"] == 5

    told = watch(
        look,
        {"at": "2m", "scale": {"workload": PLACE, "replicas": 5}},
        {"at": "1m", "traffic": {"workload": PLACE, "requestsPerSecond": 300}},
    )
    assert told == ["1m: 300 requests a second to shop/cart", "2m: scale shop/cart to 5"]


def test_a_release_changes_version_and_behaviour() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(60)
        deployment = parts.cluster.deployment("shop", "cart")
        template = deployment["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == "registry.example/cart:v2"
        assert annotations_of(template) == {
            "sandbox.responder.dev/error-rate": "0.5",
            "sandbox.responder.dev/latency-p95": "4s",
            "sandbox.responder.dev/ready-after": "3s",
            "sandbox.responder.dev/never-ready": "false",
        }
        assert annotations_of(deployment)["kubernetes.io/change-cause"] == "release v2"
        assert count(deployment, "updatedReplicas") == 3

    release = {"workload": PLACE, "version": "v2", "errorRate": 0.5, "latencyP95": "4s", "readyAfter": "3s"}
    watch(look, {"at": "1s", "release": {**release, "changeCause": "release v2"}})


def test_a_fault_ends_after_its_time() -> None:
    async def look(parts: Parts) -> None:
        async with aiohttp.ClientSession() as session:
            codes = []
            for _ in range(3):
                async with session.get(f"{parts.cluster.url}/healthz") as response:
                    codes.append(response.status)
                await parts.cluster.clock.sleep(8)
        assert codes == [200, 503, 200]

    watch(look, {"at": "5s", "fault": {"effect": "refuse", "path": "/healthz", "for": "10s"}})


@pytest.mark.parametrize("which", ["prometheus", "alertmanager"])
def test_an_outage_ends_after_its_time(which: str) -> None:
    async def look(parts: Parts) -> None:
        server = parts.prometheus if which == "prometheus" else parts.alertmanager
        seen: list[Outage] = []
        for seconds in (0, 2, 10):
            await parts.cluster.clock.sleep(seconds)
            seen.append(server.outage)
        assert seen == [Outage.NONE, Outage.DOWN, Outage.NONE]

    watch(look, {"at": "1s", "outage": {"of": which, "for": "10s"}})


def test_a_stalled_controller_does_nothing_until_it_goes_on() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(10)
        assert count(parts.cluster.deployment("shop", "cart"), "replicas") == 3
        await parts.cluster.clock.sleep(15)
        assert count(parts.cluster.deployment("shop", "cart"), "replicas") == 1

    watch(
        look,
        {"at": "1s", "stall": {"controller": "deployment", "for": "20s"}},
        {"at": "2s", "scale": {"workload": PLACE, "replicas": 1}},
    )


def test_pods_are_deleted_as_many_as_are_asked_for() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(1.2)
        pods = parts.cluster.store.list("pods", "shop")
        assert sum(map(is_deleting, pods)) == 2
        await parts.cluster.clock.sleep(10)
        assert not any(map(is_deleting, parts.cluster.store.list("pods", "shop")))

    watch(look, {"at": "1s", "deletePods": {"workload": PLACE, "count": 2}})


def test_every_action_has_words() -> None:
    events = scenario(
        {"at": "0s", "fault": {"effect": "hang", "method": "PATCH", "path": "/deployments/"}},
        {"at": "0s", "outage": {"of": "prometheus", "kind": "unavailable", "for": "90s"}},
        {"at": "0s", "stall": {"controller": "kubelet", "for": "5m"}},
        {"at": "0s", "deletePods": {"workload": PLACE}},
        {"at": "0s", "release": {"workload": PLACE, "version": "v3"}},
    ).events
    assert [describe(each.action) for each in events] == [
        "API requests PATCH /deployments/: hang",
        "prometheus is unavailable for 1m30s",
        "the kubelet controller stands still for 5m",
        "delete 1 of the pods of shop/cart",
        "release v3 of shop/cart",
    ]
    assert {each.at for each in events} == {timedelta()}
