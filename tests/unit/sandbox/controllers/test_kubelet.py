"""The scheduler and kubelets the sandbox plays: nodes, addresses, readiness and ends as annotations say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.errors import ResponderError
from responder.sandbox import manifests
from responder.sandbox.api.objects import Object
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.addresses import AddressPool
from responder.sandbox.controllers.lifecycle import Lifecycle, parse_lifecycle
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


@pytest.mark.parametrize(
    ("annotations", "wanted"),
    [
        ({}, Lifecycle()),
        ({"sandbox.responder.dev/ready-after": "0s"}, Lifecycle(ready_after=timedelta())),
        ({"sandbox.responder.dev/ready-after": "1500ms"}, Lifecycle(ready_after=timedelta(seconds=1.5))),
        ({"harness/ready-after": "3"}, Lifecycle(ready_after=timedelta(seconds=3))),
        ({"harness/never-ready": "true"}, Lifecycle(never_ready=True)),
        ({"sandbox.responder.dev/terminate-after": "2m"}, Lifecycle(terminate_after=timedelta(minutes=2))),
        ({"sandbox.responder.dev/unready-after": "1h"}, Lifecycle(unready_after=timedelta(hours=1))),
        ({"sandbox.responder.dev/crash-every": "5s"}, Lifecycle(crash_every=timedelta(seconds=5))),
        ({"sandbox.responder.dev/crash-every": "never"}, Lifecycle()),
    ],
)
def test_a_lifecycle_is_read_from_annotations(annotations: dict[str, str], wanted: Lifecycle) -> None:
    assert parse_lifecycle(annotations) == wanted


def test_a_duration_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ResponderError, match='ready-after: "soon"'):
        parse_lifecycle({"sandbox.responder.dev/ready-after": "soon"})


def test_addresses_come_back_only_after_all_others() -> None:
    pool = AddressPool("10.0.0.0/29")
    first = pool.allocate()
    pool.release(first)
    others = [pool.allocate() for _ in range(5)]
    assert first not in others
    assert pool.allocate() == first
    with pytest.raises(ResponderError, match="no address left"):
        pool.allocate()


async def first_pod(cluster: Cluster) -> Object:
    """The first pod once there is one."""
    await cluster.wait_until(lambda: bool(cluster.store.list("pods", NAMESPACE)), "a pod", timeout_seconds=5)
    return cluster.store.list("pods", NAMESPACE)[0]


def test_pods_spread_over_the_nodes_with_addresses_of_the_network() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START), pod_network="127.9.0.0/24") as cluster:
            cluster.apply(manifests.deployment(replicas=3))
            await cluster.rollout_complete(NAMESPACE, NAME)
            pods = cluster.store.list("pods", NAMESPACE)
            assert {each["spec"]["nodeName"] for each in pods} == {"node-1", "node-2", "node-3"}
            assert {each["status"]["podIP"] for each in pods} == {"127.9.0.1", "127.9.0.2", "127.9.0.3"}
            assert all(each["status"]["phase"] == "Running" for each in pods)

    run_story(story())


def test_a_pod_becomes_ready_and_ends_when_its_annotations_say() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            times = {
                "sandbox.responder.dev/ready-after": "10s",
                "sandbox.responder.dev/terminate-after": "5s",
            }
            cluster.apply(manifests.deployment(replicas=1, pod_annotations=times))
            pod = await first_pod(cluster)
            await cluster.clock.sleep(9.5)
            assert not is_ready(await first_pod(cluster))
            await cluster.clock.sleep(1)
            assert is_ready(await first_pod(cluster))
            cluster.store.delete("deployments.apps", NAMESPACE, NAME)
            await cluster.clock.sleep(4.5)
            ending = await first_pod(cluster)
            assert ending["metadata"]["uid"] == pod["metadata"]["uid"]
            assert ending["metadata"]["deletionTimestamp"]
            assert is_ready(ending)
            await cluster.clock.sleep(1)
            assert cluster.store.list("pods", NAMESPACE) == []

    run_story(story())


def test_readiness_follows_an_annotation_that_changes_while_the_pod_runs() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            await cluster.rollout_complete(NAMESPACE, NAME)
            for text, wanted in (("true", False), ("false", True)):
                pod = await first_pod(cluster)
                pod["metadata"]["annotations"] = {"sandbox.responder.dev/never-ready": text}
                cluster.store.update("pods", pod, manager="test")
                await cluster.clock.sleep(1)
                assert is_ready(await first_pod(cluster)) is wanted

    run_story(story())


def test_pods_of_an_external_node_are_left_alone_and_none_is_sent_there() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": "another",
                    "annotations": {"sandbox.responder.dev/external": "true"},
                },
            }
            cluster.apply(node)
            cluster.apply(manifests.deployment(replicas=4))
            await cluster.rollout_complete(NAMESPACE, NAME)
            spec = {"nodeName": "another", "containers": [{"name": "c", "image": "i"}]}
            metadata = {"name": "theirs", "namespace": NAMESPACE}
            cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
            await cluster.clock.sleep(10)
            pods = cluster.store.list("pods", NAMESPACE)
            assert [each["metadata"]["name"] for each in pods if each["spec"]["nodeName"] == "another"] == [
                "theirs"
            ]
            theirs = cluster.store.get("pods", NAMESPACE, "theirs")
            assert theirs is not None
            assert theirs["status"]["phase"] == "Pending"

    run_story(story())


@pytest.mark.parametrize(("name", "value"), [("ready-after", "soon"), ("error-rate", "lots")])
def test_a_pod_whose_behaviour_cannot_be_read_says_so_in_an_event_and_can_be_deleted(
    name: str, value: str
) -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            wrong = {f"sandbox.responder.dev/{name}": value}
            cluster.apply(manifests.deployment(replicas=1, pod_annotations=wrong))
            await cluster.clock.sleep(5)
            pod = await first_pod(cluster)
            assert pod["status"]["phase"] == "Pending"
            events = cluster.store.list("events", NAMESPACE)
            assert [each["type"] for each in events if each["reason"] == "InvalidBehaviour"] == ["Warning"]
            cluster.store.delete("pods", NAMESPACE, pod["metadata"]["name"])
            await cluster.clock.sleep(5)
            assert cluster.store.get("pods", NAMESPACE, pod["metadata"]["name"]) is None

    run_story(story())


def test_a_pod_keeps_its_generation_when_it_is_bound_and_its_kubelet_says_what_it_has_seen() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            await cluster.rollout_complete("default", "payment-service")
            (pod,) = cluster.store.list("pods", "default")
            assert pod["metadata"]["generation"] == pod["status"]["observedGeneration"] == 1
            assert pod["spec"]["nodeName"] == "node-1"

    run_story(story())
