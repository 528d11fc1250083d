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
from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
)
from responder.sandbox.api.status import ApiError
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
            "sandbox.responder.dev/crash-every": "never",
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


def test_an_outage_may_lose_data_and_prometheus_may_be_slow() -> None:
    async def look(parts: Parts) -> None:
        prometheus = parts.prometheus
        prometheus.scrape()
        assert len(prometheus.tsdb) > 0
        await parts.cluster.clock.sleep(12)
        assert len(prometheus.tsdb) == 0
        await parts.cluster.clock.sleep(10)
        assert prometheus.answers_after_seconds == 8
        await parts.cluster.clock.sleep(10)
        assert prometheus.answers_after_seconds == 0

    watch(
        look,
        {"at": "1s", "outage": {"of": "prometheus", "for": "10s", "losesData": True}},
        {"at": "20s", "outage": {"of": "prometheus", "kind": "slow", "seconds": 8, "for": "10s"}},
    )


@pytest.mark.parametrize(("kind", "meanwhile"), [("down", "refused"), ("unavailable", "503")])
def test_the_api_server_fails_for_a_time(kind: str, meanwhile: str) -> None:
    async def look(parts: Parts) -> None:
        seen: list[str] = []
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                try:
                    async with session.get(f"{parts.cluster.url}/healthz") as response:
                        seen.append(str(response.status))
                except aiohttp.ClientConnectorError:
                    seen.append("refused")
                await parts.cluster.clock.sleep(8)
        assert seen == ["200", meanwhile, "200"]

    watch(look, {"at": "5s", "outage": {"of": "api", "kind": kind, "for": "10s"}})


def test_pods_are_unreachable_for_a_time() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(2)
        assert parts.prometheus.unreachable == "shop/cart-"
        await parts.cluster.clock.sleep(10)
        assert parts.prometheus.unreachable == ""

    watch(look, {"at": "1s", "unreachable": {"pods": "shop/cart-", "for": "10s"}})


@pytest.mark.parametrize(
    ("watches", "disturbance"),
    [
        ({"effect": "expire"}, ExpireWatches),
        ({"effect": "break"}, BreakWatches),
        ({"effect": "hang", "path": "/deployments"}, HangWatches),
        ({"effect": "lag", "seconds": 3, "for": "20s"}, LagWatches),
    ],
)
def test_watches_are_disturbed(watches: dict[str, Any], disturbance: type[Disturbance]) -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(2)
        (befallen,) = parts.cluster.faults.befallen
        assert isinstance(befallen, disturbance)

    watch(look, {"at": "1s", "watches": watches})


def test_a_quota_holds_back_pods_for_a_time() -> None:
    async def look(parts: Parts) -> None:
        await parts.cluster.clock.sleep(20)
        assert count(parts.cluster.deployment("shop", "cart"), "replicas") == 4
        await parts.cluster.clock.sleep(60)
        assert count(parts.cluster.deployment("shop", "cart"), "replicas") == 6

    watch(
        look,
        {"at": "1s", "quota": {"namespace": "shop", "pods": 4, "for": "30s"}},
        {"at": "2s", "scale": {"workload": PLACE, "replicas": 6}},
    )


def test_a_webhook_denies_for_a_time() -> None:
    async def look(parts: Parts) -> None:
        cluster = parts.cluster
        await cluster.clock.sleep(2)
        with pytest.raises(ApiError, match="denied the request: holidays"):
            cluster.release("shop", "cart", image="registry.example/cart:v2")
        await cluster.clock.sleep(10)
        cluster.release("shop", "cart", image="registry.example/cart:v2")

    watch(look, {"at": "1s", "webhook": {"deny": "holidays", "for": "10s"}})


@pytest.mark.parametrize("resource", ["deployments.apps", "pods"])
def test_a_webhook_adds_a_sidecar_and_annotations(resource: str) -> None:
    async def look(parts: Parts) -> None:
        cluster = parts.cluster
        await cluster.clock.sleep(2)
        cluster.release("shop", "cart", image="registry.example/cart:v2")
        await cluster.rollout_complete("shop", "cart")
        for pod in cluster.store.list("pods", "shop"):
            if not is_deleting(pod):
                assert [each["image"] for each in pod["spec"]["containers"]] == [
                    "registry.example/cart:v2",
                    "registry.example/proxy:1",
                ]
                assert annotations_of(pod)["mesh"] == "on"

    adds = {"sidecar": "registry.example/proxy:1", "annotations": {"mesh": "on"}}
    watch(look, {"at": "1s", "webhook": {"resource": resource, **adds}})


def test_a_release_may_crash_and_the_next_one_does_not() -> None:
    async def look(parts: Parts) -> None:
        cluster = parts.cluster
        await cluster.clock.sleep(30)
        reasons = {each["reason"] for each in cluster.store.list("events", "shop")}
        assert "BackOff" in reasons
        await cluster.clock.sleep(10)
        await cluster.rollout_complete("shop", "cart")

    watch(
        look,
        {"at": "1s", "release": {"workload": PLACE, "version": "v2", "crashEvery": "3s"}},
        {"at": "35s", "release": {"workload": PLACE, "version": "v3"}},
    )


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
        {"at": "0s", "outage": {"of": "prometheus", "losesData": True, "for": "5s"}},
        {"at": "0s", "unreachable": {"pods": "shop/", "for": "5s"}},
        {"at": "0s", "watches": {"effect": "break"}},
        {"at": "0s", "watches": {"effect": "lag", "path": "/pods", "for": "5s"}},
        {"at": "0s", "quota": {"namespace": "shop", "pods": 4}},
        {"at": "0s", "webhook": {"name": "no.example.dev", "deny": "no", "for": "5s"}},
        {"at": "0s", "webhook": {"name": "mesh.example.dev", "resource": "pods", "sidecar": "proxy:1"}},
    ).events
    assert [describe(each.action) for each in events] == [
        "API requests PATCH /deployments/: hang",
        "prometheus is unavailable for 1m30s",
        "the kubelet controller stands still for 5m",
        "delete 1 of the pods of shop/cart",
        "release v3 of shop/cart",
        "prometheus is down for 5s, and loses its data",
        "pods shop/ can't be scraped for 5s",
        "watches break",
        "watches of /pods lag by 5 s for 5s",
        "no more than 4 pods in shop",
        "no.example.dev denies deployments.apps for 5s",
        "mesh.example.dev changes pods",
    ]
    assert {each.at for each in events} == {timedelta()}
