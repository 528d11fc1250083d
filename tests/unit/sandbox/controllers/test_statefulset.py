"""StatefulSets as a watcher sees them: order, revisions, undo, partitions, pods that are stuck."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from responder.sandbox.api.objects import Object, copied, name_of
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import is_deleting, labels_of, status_of
from responder.sandbox.controllers.history import CONTROLLER_REVISIONS, REVISION_HASH, template_of
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

KEY, NAMESPACE, NAME = "statefulsets.apps", "default", "ledger"
NEVER = {"sandbox.responder.dev/never-ready": "true"}
NUMBERS = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a story on a new cluster in virtual time."""

    async def main() -> None:
        async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
            await story(cluster)

    run_story(main())


def stateful_set(**spec: Any) -> Object:
    """A StatefulSet of three."""
    template = {
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [{"name": "app", "image": "ledger:1"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 3,
            "serviceName": NAME,
            "selector": {"matchLabels": {"app": NAME}},
            "template": template,
            **spec,
        },
    }


def current(cluster: Cluster) -> Object:
    """The StatefulSet as it is."""
    found = cluster.store.get(KEY, NAMESPACE, NAME)
    assert found is not None
    return found


def release(cluster: Cluster, version: int, annotations: dict[str, str] | None = None) -> None:
    """Change the template."""
    changed = current(cluster)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = f"ledger:{version}"
    changed["spec"]["template"]["metadata"]["annotations"] = annotations or {}
    cluster.store.update(KEY, changed, manager="test")


def undo(cluster: Cluster) -> None:
    """Bring back the template of the revision before, as kubectl does."""
    changed = current(cluster)
    changed["spec"]["template"] = template_of(revisions(cluster)[-2])
    cluster.store.update(KEY, changed, manager="test")


def revisions(cluster: Cluster) -> list[Object]:
    """All ControllerRevisions, lowest number first."""
    return sorted(cluster.store.list(CONTROLLER_REVISIONS, NAMESPACE), key=lambda each: each["revision"])


def images(cluster: Cluster) -> dict[str, str]:
    """Which version each pod runs that is not about to end."""
    pods = cluster.store.list("pods", NAMESPACE)
    return {name_of(pod): pod["spec"]["containers"][0]["image"] for pod in pods if not is_deleting(pod)}


async def settled(cluster: Cluster) -> None:
    """Wait until all pods are of the update revision and ready."""

    def complete() -> bool:
        found = current(cluster)
        status, size = status_of(found), found["spec"]["replicas"]
        numbers = [status.get(key, 0) for key in ("replicas", "readyReplicas", "updatedReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and numbers == [size] * 3

    await cluster.wait_until(complete, "StatefulSet")
    await cluster.clock.sleep(5)


def watched(cluster: Cluster) -> list[tuple[int, ...]]:
    """The successive status numbers from now on, without repetitions."""
    seen: list[tuple[int, ...]] = []

    def observe(event: Any) -> None:
        if event.resource.key == KEY:
            numbers = tuple(status_of(event.object).get(key, 0) for key in NUMBERS)
            if seen[-1:] != [numbers]:
                seen.append(numbers)

    cluster.store.subscribe(observe)
    return seen


def test_pods_come_one_after_another_with_names_that_last() -> None:
    async def story(cluster: Cluster) -> None:
        seen = watched(cluster)
        cluster.apply(stateful_set())
        await settled(cluster)
        assert seen == [
            (0, 0, 0, 0),
            (1, 0, 1, 1),
            (1, 1, 1, 1),
            (2, 1, 2, 2),
            (2, 2, 2, 2),
            (3, 2, 3, 3),
            (3, 3, 3, 3),
        ]
        first = cluster.store.list("pods", NAMESPACE)[0]
        (revision,) = revisions(cluster)
        assert labels_of(first) == {
            "app": NAME,
            "statefulset.kubernetes.io/pod-name": "ledger-0",
            "apps.kubernetes.io/pod-index": "0",
            REVISION_HASH: name_of(revision),
        }
        assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("ledger-0", NAME)
        status = status_of(current(cluster))
        assert status["currentRevision"] == status["updateRevision"] == name_of(revision)

    play(story)


def test_a_release_goes_from_the_highest_ordinal_down() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set())
        await settled(cluster)
        seen = watched(cluster)
        release(cluster, 2)
        await settled(cluster)
        assert seen == [
            (3, 3, 3, 3),
            (3, 3, 2, 0),
            (2, 2, 2, 0),
            (3, 2, 2, 1),
            (3, 3, 1, 1),
            (2, 2, 1, 1),
            (3, 2, 1, 2),
            (3, 3, 0, 2),
            (2, 2, 0, 2),
            (3, 2, 0, 3),
            (3, 3, 3, 3),
        ]
        assert [each["revision"] for each in revisions(cluster)] == [1, 2]

    play(story)


def test_an_undo_gives_the_old_revision_a_new_number() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set())
        await settled(cluster)
        (first,) = revisions(cluster)
        release(cluster, 2)
        await settled(cluster)
        undo(cluster)
        await settled(cluster)
        found = revisions(cluster)
        assert [each["revision"] for each in found] == [2, 3]
        assert name_of(found[-1]) == name_of(first)
        assert set(images(cluster).values()) == {"ledger:1"}
        assert status_of(current(cluster))["currentRevision"] == name_of(first)

    play(story)


def test_an_undo_does_not_free_a_stuck_pod_until_somebody_deletes_it() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set())
        await settled(cluster)
        release(cluster, 2, NEVER)
        await cluster.clock.sleep(60)
        assert images(cluster) == {"ledger-0": "ledger:1", "ledger-1": "ledger:1", "ledger-2": "ledger:2"}
        undo(cluster)
        await cluster.clock.sleep(600)
        assert images(cluster)["ledger-2"] == "ledger:2"
        assert status_of(current(cluster))["readyReplicas"] == 2
        cluster.store.delete("pods", NAMESPACE, "ledger-2")
        await settled(cluster)
        assert set(images(cluster).values()) == {"ledger:1"}

    play(story)


def test_under_parallel_all_come_at_once_and_a_stuck_pod_is_replaced() -> None:
    async def story(cluster: Cluster) -> None:
        seen = watched(cluster)
        cluster.apply(stateful_set(podManagementPolicy="Parallel"))
        await settled(cluster)
        assert (1, 0, 1, 1) not in seen
        assert (3, 0, 3, 3) in seen
        release(cluster, 2, NEVER)
        await cluster.clock.sleep(60)
        assert images(cluster)["ledger-2"] == "ledger:2"
        undo(cluster)
        await settled(cluster)
        assert set(images(cluster).values()) == {"ledger:1"}

    play(story)


def test_a_partition_keeps_lower_ordinals_at_the_current_revision() -> None:
    async def story(cluster: Cluster) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        cluster.apply(stateful_set(updateStrategy=strategy))
        await settled(cluster)
        release(cluster, 2)
        await cluster.clock.sleep(30)
        expected = {"ledger-0": "ledger:1", "ledger-1": "ledger:1", "ledger-2": "ledger:2"}
        assert images(cluster) == expected
        status = status_of(current(cluster))
        assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
        assert status["currentRevision"] != status["updateRevision"]
        cluster.store.delete("pods", NAMESPACE, "ledger-0")
        await cluster.clock.sleep(30)
        assert images(cluster) == expected

    play(story)


def test_on_delete_changes_only_pods_that_somebody_deletes() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set(updateStrategy={"type": "OnDelete"}))
        await cluster.clock.sleep(30)
        release(cluster, 2)
        await cluster.clock.sleep(30)
        assert set(images(cluster).values()) == {"ledger:1"}
        cluster.store.delete("pods", NAMESPACE, "ledger-1")
        await cluster.clock.sleep(30)
        assert images(cluster)["ledger-1"] == "ledger:2"
        assert images(cluster)["ledger-0"] == "ledger:1"

    play(story)


def test_scaling_down_takes_the_highest_ordinals_one_by_one() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set())
        await settled(cluster)
        seen = watched(cluster)
        changed = current(cluster)
        changed["spec"]["replicas"] = 1
        cluster.store.update(KEY, changed, manager="test")
        await settled(cluster)
        assert sorted(images(cluster)) == ["ledger-0"]
        assert [numbers[0] for numbers in seen if numbers[0] == numbers[2]] == [3, 2, 1]

    play(story)


def test_min_ready_seconds_hold_back_the_next_pod() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set(minReadySeconds=20))
        await cluster.clock.sleep(15)
        assert sorted(images(cluster)) == ["ledger-0"]
        await cluster.clock.sleep(10)
        assert sorted(images(cluster)) == ["ledger-0", "ledger-1"]

    play(story)


def test_history_is_kept_within_its_limit_and_what_runs_is_never_forgotten() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set(revisionHistoryLimit=1))
        await settled(cluster)
        for version in (2, 3, 4):
            release(cluster, version)
            await settled(cluster)
        assert [each["revision"] for each in revisions(cluster)] == [3, 4]
        named = {labels_of(pod)[REVISION_HASH] for pod in cluster.store.list("pods", NAMESPACE)}
        assert named == {name_of(revisions(cluster)[-1])}

    play(story)


def test_each_pod_gets_the_claims_of_the_templates_and_keeps_them() -> None:
    async def story(cluster: Cluster) -> None:
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        cluster.apply(stateful_set(replicas=1, volumeClaimTemplates=[claim]))
        await settled(cluster)
        before = cluster.store.get("persistentvolumeclaims", NAMESPACE, "data-ledger-0")
        assert before is not None
        (pod,) = cluster.store.list("pods", NAMESPACE)
        assert pod["spec"]["volumes"] == [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-ledger-0"}}
        ]
        cluster.store.delete("pods", NAMESPACE, "ledger-0")
        await settled(cluster)
        assert cluster.store.get("persistentvolumeclaims", NAMESPACE, "data-ledger-0") == before
        assert is_ready(cluster.store.list("pods", NAMESPACE)[0])

    play(story)


def test_a_name_that_another_template_has_is_counted_and_passed_over() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(stateful_set())
        await settled(cluster)
        cluster.controllers.stall("statefulset")
        release(cluster, 2)
        changed = copied(current(cluster))
        cluster.controllers.resume("statefulset")
        await settled(cluster)
        taken = revisions(cluster)[-1]
        assert template_of(taken)["spec"] == changed["spec"]["template"]["spec"]
        undo(cluster)
        await settled(cluster)
        stolen = {**taken, "data": revisions(cluster)[-1]["data"]}
        stolen["metadata"] = {**taken["metadata"], "ownerReferences": [], "labels": {}}
        cluster.store.delete(CONTROLLER_REVISIONS, NAMESPACE, name_of(taken))
        cluster.store.create(CONTROLLER_REVISIONS, stolen, manager="test")
        release(cluster, 2)
        await settled(cluster)
        assert status_of(current(cluster))["collisionCount"] == 1
        assert set(images(cluster).values()) == {"ledger:2"}

    play(story)
