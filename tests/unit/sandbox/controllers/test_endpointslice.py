"""EndpointSlices: what they say of ready, unready and terminating pods, and how endpoints are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import labels_of
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

NAMESPACE, NAME = "default", "payment-service"
SERVICE_NAME = "kubernetes.io/service-name"
LINGERING = {"sandbox.responder.dev/terminate-after": "20s"}


def play(story: Callable[[Cluster], Awaitable[None]], endpoints_per_slice: int = 100) -> None:
    """Run a story on a new cluster in virtual time."""

    async def main() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        async with Cluster.start(clock=clock, endpoints_per_slice=endpoints_per_slice) as cluster:
            await story(cluster)

    run_story(main())


def slices(cluster: Cluster, service: str = NAME) -> list[Object]:
    """The Service's slices."""
    found = cluster.store.list("endpointslices.discovery.k8s.io", NAMESPACE)
    return [each for each in found if labels_of(each)[SERVICE_NAME] == service]


def conditions(cluster: Cluster, service: str = NAME) -> Counter[tuple[bool, bool, bool]]:
    """How many endpoints are (ready, serving, terminating), over all slices of the Service."""
    return Counter(
        (each["conditions"]["ready"], each["conditions"]["serving"], each["conditions"]["terminating"])
        for found in slices(cluster, service)
        for each in found["endpoints"] or []
    )


def test_a_service_without_pods_has_one_slice_of_null() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        await cluster.clock.sleep(1)
        (only,) = slices(cluster)
        assert (only["endpoints"], only["ports"], only["addressType"]) == (None, None, "IPv4")
        assert labels_of(only) == {
            "app": NAME,
            SERVICE_NAME: NAME,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert only["metadata"]["ownerReferences"][0]["kind"] == "Service"

    play(story)


def test_an_endpoint_names_its_pod_and_node() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        cluster.apply(manifests.deployment(replicas=1))
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        (only,) = slices(cluster)
        (pod,) = cluster.store.list("pods", NAMESPACE)
        (endpoint,) = only["endpoints"]
        assert endpoint == {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {
                "kind": "Pod",
                "namespace": NAMESPACE,
                "name": name_of(pod),
                "uid": pod["metadata"]["uid"],
            },
            "nodeName": pod["spec"]["nodeName"],
        }
        assert only["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]

    play(story)


def test_a_deleted_pod_stays_serving_and_terminating_until_it_is_gone() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        eager: dict[str, Any] = {"clusterIP": "None", "publishNotReadyAddresses": True}
        cluster.apply(manifests.service("eager", app=NAME, **eager))
        cluster.apply(manifests.deployment(replicas=2, pod_annotations=LINGERING))
        await cluster.clock.sleep(0.5)
        assert conditions(cluster) == {(False, False, False): 2}
        assert conditions(cluster, "eager") == {(True, False, False): 2}
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        pod = cluster.store.list("pods", NAMESPACE)[0]
        cluster.store.delete("pods", NAMESPACE, name_of(pod))
        await cluster.clock.sleep(5)
        assert conditions(cluster) == {(True, True, False): 2, (False, True, True): 1}
        assert conditions(cluster, "eager") == {(True, True, False): 2, (True, True, True): 1}
        assert all("service.kubernetes.io/headless" in labels_of(each) for each in slices(cluster, "eager"))
        await cluster.clock.sleep(20)
        assert conditions(cluster) == {(True, True, False): 2}

    play(story)


def test_a_pod_turns_unready_once_when_told_so() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        cluster.apply(
            manifests.deployment(replicas=1, pod_annotations={"sandbox.responder.dev/unready-after": "30s"})
        )
        await cluster.clock.sleep(20)
        assert conditions(cluster) == {(True, True, False): 1}
        await cluster.clock.sleep(20)
        assert conditions(cluster) == {(False, False, False): 1}

    play(story)


def test_slices_are_bounded_and_endpoints_keep_their_place() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        cluster.apply(manifests.deployment(replicas=5))
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        assert sorted(len(each["endpoints"]) for each in slices(cluster)) == [1, 2, 2]
        assert len({uid for each in slices(cluster) for uid in target_uids(each)}) == 5
        before = {name_of(each): target_uids(each) for each in slices(cluster)}
        pod = cluster.store.list("pods", NAMESPACE)[0]
        cluster.store.delete("pods", NAMESPACE, name_of(pod))
        await cluster.clock.sleep(10)
        after = {name_of(each): target_uids(each) for each in slices(cluster)}
        assert len({uid for uids in after.values() for uid in uids}) == 5
        assert len(after) == 3
        assert all(uids - {pod["metadata"]["uid"]} <= after[name] for name, uids in before.items())
        deployment = cluster.deployment(NAMESPACE, NAME)
        deployment["spec"]["replicas"] = 0
        cluster.store.update("deployments.apps", deployment, manager="test")
        await cluster.clock.sleep(10)
        (only,) = slices(cluster)
        assert (only["endpoints"], only["ports"]) == (None, None)

    play(story, endpoints_per_slice=2)


def test_a_named_port_that_differs_between_versions_makes_separate_slices() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service())
        cluster.apply(manifests.deployment(replicas=2))
        await cluster.rollout_complete(NAMESPACE, NAME)
        deployment = cluster.deployment(NAMESPACE, NAME)
        template = deployment["spec"]["template"]
        template["spec"]["containers"][0]["ports"][0]["containerPort"] = 9090
        template["metadata"]["annotations"] = {"sandbox.responder.dev/never-ready": "true"}
        cluster.store.update("deployments.apps", deployment, manager="test")
        await cluster.clock.sleep(5)
        assert {each["ports"][0]["port"] for each in slices(cluster)} == {8080, 9090}

    play(story)


def test_services_without_selector_get_none_and_a_new_selector_empties_them() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.service("by-hand", selector=None))
        cluster.apply(manifests.service())
        cluster.apply(manifests.deployment(replicas=1))
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        assert slices(cluster, "by-hand") == []
        assert conditions(cluster) == {(True, True, False): 1}
        service = cluster.store.get("services", NAMESPACE, NAME)
        assert service is not None
        service["spec"]["selector"] = {"app": "other"}
        cluster.store.update("services", service, manager="test")
        await cluster.clock.sleep(1)
        assert conditions(cluster) == {}
        cluster.store.delete("services", NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        assert slices(cluster) == []

    play(story)


def target_uids(found: Object) -> set[str]:
    """The pods a slice lists."""
    return {each["targetRef"]["uid"] for each in found["endpoints"] or []}


def test_a_dual_stack_service_has_slices_of_both_families_and_loses_one_with_its_family() -> None:
    async def main() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        network = "10.244.0.0/16,fd00:10:244::/64"
        async with Cluster.start(clock=clock, pod_network=network) as cluster:
            cluster.apply(manifests.service(ipFamilyPolicy="PreferDualStack"))
            cluster.apply(manifests.deployment())
            await cluster.rollout_complete(NAMESPACE, NAME)
            await clock.sleep(1)
            found = {each["addressType"]: each["endpoints"] for each in slices(cluster)}
            assert {family: len(endpoints) for family, endpoints in found.items()} == {"IPv4": 3, "IPv6": 3}
            assert found["IPv6"][0]["addresses"][0].startswith("fd00:10:244::")
            uids = [{each["targetRef"]["uid"] for each in endpoints} for endpoints in found.values()]
            assert uids[0] == uids[1]
            service = cluster.store.get("services", NAMESPACE, NAME)
            assert service is not None
            assert [len(service["spec"][key]) for key in ("ipFamilies", "clusterIPs")] == [2, 2]
            service["spec"] |= {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
            cluster.store.update("services", service, manager="test")
            await clock.sleep(1)
            assert [each["addressType"] for each in slices(cluster)] == ["IPv4"]

    run_story(main())


def test_an_endpoint_has_the_zone_of_its_node() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.clock.sleep(1)
        node = cluster.store.get("nodes", "", "node-1")
        assert node is not None
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = "north"
        cluster.store.update("nodes", node, manager="test")
        cluster.apply(manifests.service())
        cluster.apply(manifests.deployment())
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        (only,) = slices(cluster)
        zones = {each["nodeName"]: each.get("zone") for each in only["endpoints"]}
        assert zones == {"node-1": "north", "node-2": None, "node-3": None}

    play(story)


def test_the_trigger_time_is_that_of_the_readiness_and_absent_when_a_pod_only_ends() -> None:
    async def story(cluster: Cluster) -> None:
        key = "endpoints.kubernetes.io/last-change-trigger-time"
        cluster.apply(manifests.service())
        await cluster.clock.sleep(1)
        assert slices(cluster)[0]["metadata"]["annotations"][key] == "2026-01-01T00:00:00Z"
        await cluster.clock.sleep(60)
        cluster.apply(manifests.deployment(replicas=1, pod_annotations=LINGERING))
        await cluster.rollout_complete(NAMESPACE, NAME)
        await cluster.clock.sleep(1)
        assert slices(cluster)[0]["metadata"]["annotations"][key] == "2026-01-01T00:01:02Z"
        (pod,) = cluster.store.list("pods", NAMESPACE)
        cluster.store.delete("pods", NAMESPACE, name_of(pod))
        cluster.controllers.stall("replicaset")
        await cluster.clock.sleep(1)
        assert "annotations" not in slices(cluster)[0]["metadata"]
        cluster.controllers.resume("replicaset")

    play(story)
