"""DaemonSets as a watcher sees them: one pod a node, node by node, revisions and undo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, is_deleting, labels_of, status_of
from responder.sandbox.controllers.history import CONTROLLER_REVISIONS, REVISION_HASH, template_of
from responder.sandbox.controllers.pods import is_ready, node_of
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

KEY, NAMESPACE, NAME = "daemonsets.apps", "default", "probe"
NEVER = {"sandbox.responder.dev/never-ready": "true"}


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a story on a new cluster in virtual time."""

    async def main() -> None:
        async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
            await story(cluster)

    run_story(main())


def daemon_set(**spec: Any) -> Object:
    """A DaemonSet for every node."""
    template = {
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "app", "image": "probe:1"}]},
    }
    metadata = {"name": NAME, "namespace": NAMESPACE, "annotations": {"kubernetes.io/change-cause": "first"}}
    body = {"selector": {"matchLabels": {"app": NAME}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": body}


def rolling(**limits: int | str) -> dict[str, Any]:
    """A RollingUpdate strategy."""
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": limits}}


def current(cluster: Cluster) -> Object:
    """The DaemonSet as it is."""
    found = cluster.store.get(KEY, NAMESPACE, NAME)
    assert found is not None
    return found


def release(cluster: Cluster, version: int, annotations: dict[str, str] | None = None) -> None:
    """Change the template."""
    changed = current(cluster)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = f"probe:{version}"
    changed["spec"]["template"]["metadata"]["annotations"] = annotations or {}
    cluster.store.update(KEY, changed, manager="test")


def revisions(cluster: Cluster) -> list[Object]:
    """All ControllerRevisions, lowest number first."""
    return sorted(cluster.store.list(CONTROLLER_REVISIONS, NAMESPACE), key=lambda each: each["revision"])


def undo(cluster: Cluster) -> None:
    """Bring back the template of the revision before, as kubectl does."""
    changed = current(cluster)
    changed["spec"]["template"] = template_of(revisions(cluster)[-2])
    cluster.store.update(KEY, changed, manager="test")


def pods(cluster: Cluster) -> list[Object]:
    """The pods that are there to stay."""
    return [pod for pod in cluster.store.list("pods", NAMESPACE) if not is_deleting(pod)]


def images(cluster: Cluster) -> list[str]:
    """Which versions run, sorted."""
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods(cluster))


async def settled(cluster: Cluster) -> None:
    """Wait until every node has an available pod of the template."""

    def complete() -> bool:
        found = current(cluster)
        status = status_of(found)
        numbers = {status.get(key, 0) for key in ("updatedNumberScheduled", "numberAvailable")}
        observed = status.get("observedGeneration") == found["metadata"]["generation"]
        return observed and numbers == {status["desiredNumberScheduled"]}

    await cluster.wait_until(complete, "DaemonSet")
    await cluster.clock.sleep(5)


class Watch:
    """How many nodes had a ready pod, and how many pods one node had, at every write of a pod."""

    def __init__(self, cluster: Cluster) -> None:
        self.fewest_ready = 3
        self.most_on_a_node = 0
        self._cluster = cluster
        cluster.store.subscribe(self._observe)

    def _observe(self, event: Any) -> None:
        if event.resource.key != "pods":
            return
        alive = pods(self._cluster)
        self.fewest_ready = min(self.fewest_ready, len({node_of(pod) for pod in alive if is_ready(pod)}))
        self.most_on_a_node = max([self.most_on_a_node, *Counter(map(node_of, alive)).values()])


def test_every_node_gets_a_pod_that_tells_where_it_comes_from() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set())
        await settled(cluster)
        assert sorted(map(node_of, pods(cluster))) == ["node-1", "node-2", "node-3"]
        (revision,) = revisions(cluster)
        hash_value = labels_of(revision)[REVISION_HASH]
        assert name_of(revision) == f"{NAME}-{hash_value}"
        assert annotations_of(revision)["kubernetes.io/change-cause"] == "first"
        expected = {"app": NAME, REVISION_HASH: hash_value, "pod-template-generation": "1"}
        assert all(labels_of(pod) == expected for pod in pods(cluster))
        keys = [each["key"].partition("/")[2] for each in pods(cluster)[0]["spec"]["tolerations"]]
        assert keys == [
            "not-ready",
            "unreachable",
            "disk-pressure",
            "memory-pressure",
            "pid-pressure",
            "unschedulable",
        ]

    play(story)


def test_a_release_replaces_one_node_after_another() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set())
        await settled(cluster)
        watch = Watch(cluster)
        release(cluster, 2)
        await settled(cluster)
        assert (watch.fewest_ready, watch.most_on_a_node) == (2, 1)
        assert images(cluster) == ["probe:2"] * 3
        assert labels_of(pods(cluster)[0])["pod-template-generation"] == "2"

    play(story)


@pytest.mark.parametrize(("limit", "fewest"), [(2, 1), ("100%", 0), ("34%", 1)])
def test_max_unavailable_bounds_how_many_are_replaced_at_once(limit: int | str, fewest: int) -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set(**rolling(maxUnavailable=limit)))
        await settled(cluster)
        watch = Watch(cluster)
        release(cluster, 2)
        await settled(cluster)
        assert watch.fewest_ready == fewest

    play(story)


def test_a_surge_brings_the_new_pod_before_the_old_one_goes() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set(**rolling(maxSurge=1, maxUnavailable=0)))
        await settled(cluster)
        watch = Watch(cluster)
        release(cluster, 2)
        await settled(cluster)
        assert (watch.fewest_ready, watch.most_on_a_node) == (3, 2)
        assert images(cluster) == ["probe:2"] * 3

    play(story)


def test_a_surge_that_never_becomes_ready_costs_nothing_and_can_be_undone() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set(**rolling(maxSurge=1, maxUnavailable=0)))
        await settled(cluster)
        watch = Watch(cluster)
        release(cluster, 2, NEVER)
        await cluster.clock.sleep(120)
        assert images(cluster) == ["probe:1"] * 3 + ["probe:2"]
        undo(cluster)
        await settled(cluster)
        assert images(cluster) == ["probe:1"] * 3
        assert watch.fewest_ready == 3

    play(story)


def test_a_release_that_never_becomes_ready_stops_at_the_limit_and_undo_frees_it() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set())
        await settled(cluster)
        (first,) = revisions(cluster)
        release(cluster, 2, NEVER)
        await cluster.clock.sleep(120)
        assert images(cluster) == ["probe:1", "probe:1", "probe:2"]
        assert status_of(current(cluster))["numberUnavailable"] == 1
        undo(cluster)
        await settled(cluster)
        assert images(cluster) == ["probe:1"] * 3
        assert [(each["revision"], name_of(each) == name_of(first)) for each in revisions(cluster)] == [
            (2, False),
            (3, True),
        ]

    play(story)


def test_on_delete_changes_only_pods_that_somebody_deletes() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set(updateStrategy={"type": "OnDelete"}))
        await settled(cluster)
        release(cluster, 2)
        await cluster.clock.sleep(30)
        assert images(cluster) == ["probe:1"] * 3
        cluster.store.delete("pods", NAMESPACE, name_of(pods(cluster)[0]))
        await cluster.clock.sleep(30)
        assert images(cluster) == ["probe:1", "probe:1", "probe:2"]

    play(story)


def test_a_node_selector_and_nodes_that_come_and_close() -> None:
    async def story(cluster: Cluster) -> None:
        manifest = daemon_set()
        manifest["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
        cluster.apply(manifest)
        await cluster.clock.sleep(5)
        assert pods(cluster) == []
        for name, closed in (("node-1", False), ("node-2", True)):
            node = cluster.store.get("nodes", "", name)
            assert node is not None
            node["metadata"]["labels"]["disk"] = "fast"
            node["spec"]["unschedulable"] = closed
            cluster.store.update("nodes", node, manager="test")
        await cluster.clock.sleep(5)
        assert sorted(map(node_of, pods(cluster))) == ["node-1", "node-2"]
        assert status_of(current(cluster))["numberAvailable"] == 2

    play(story)


def test_history_is_kept_within_its_limit() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(daemon_set(revisionHistoryLimit=1))
        await settled(cluster)
        for version in (2, 3, 4):
            release(cluster, version)
            await settled(cluster)
        await cluster.clock.sleep(5)
        assert [each["revision"] for each in revisions(cluster)] == [3, 4]

    play(story)
