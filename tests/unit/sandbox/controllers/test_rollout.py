"""Rollouts of a Deployment as a watcher sees them: steps, revisions, reasons, limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, find_condition, wanted_replicas
from responder.sandbox.controllers.revisions import MAX_REPLICAS, REVISION
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story
from tests.unit.sandbox.controllers.timeline import Timeline

NAMESPACE, NAME = "default", "payment-service"
NEVER = {"sandbox.responder.dev/never-ready": "true"}


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a story on a new cluster in virtual time."""

    async def main() -> None:
        async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
            await story(cluster)

    run_story(main())


def replica_sets(cluster: Cluster) -> list[Object]:
    """All ReplicaSets, lowest revision first."""
    found = cluster.store.list("replicasets.apps", NAMESPACE)
    return sorted(found, key=lambda each: int(annotations_of(each).get(REVISION, "0")))


def sizes(cluster: Cluster) -> list[int]:
    """What the ReplicaSets want, lowest revision first."""
    return [wanted_replicas(each) for each in replica_sets(cluster)]


def messages(cluster: Cluster, reason: str) -> list[str]:
    """The messages of all Events with a reason, oldest first."""
    events = [each for each in cluster.store.list("events", NAMESPACE) if each["reason"] == reason]
    return [
        each["message"] for each in sorted(events, key=lambda each: int(each["metadata"]["resourceVersion"]))
    ]


async def complete(cluster: Cluster) -> Object:
    """Wait for the rollout's end."""
    return await cluster.rollout_complete(NAMESPACE, NAME)


def change(cluster: Cluster, **spec: object) -> None:
    """Write members of the Deployment's spec."""
    deployment = cluster.deployment(NAMESPACE, NAME)
    deployment["spec"] |= spec
    cluster.store.update("deployments.apps", deployment, manager="test")


def test_a_new_deployment_tells_its_revision_before_its_counts() -> None:
    async def story(cluster: Cluster) -> None:
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        cluster.apply(manifests.deployment(replicas=10))
        await complete(cluster)
        seen = [(state.revision, state.observed_generation > 0, state.counts) for state in timeline.states]
        assert seen[:3] == [("", False, (0, 0, 0)), ("1", False, (0, 0, 0)), ("1", True, (0, 0, 0))]
        assert timeline.counts() == [(0, 0, 0), (10, 10, 0), (10, 10, 10)]
        assert timeline.reasons() == [
            "",
            "NewReplicaSetCreated",
            "ReplicaSetUpdated",
            "NewReplicaSetAvailable",
        ]
        (only,) = replica_sets(cluster)
        assert annotations_of(only)[MAX_REPLICAS] == "13"
        assert timeline.states[-1].progressing_message == (
            f'ReplicaSet "{name_of(only)}" has successfully progressed.'
        )
        assert messages(cluster, "ScalingReplicaSet") == [
            f"Scaled up replica set {name_of(only)} from 0 to 10"
        ]

    play(story)


def test_three_replicas_roll_one_by_one() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=3))
        await complete(cluster)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2")
        await complete(cluster)
        # Source: observed on a real control plane with 25%/25%: surge 1, unavailable 0.
        wanted = [(3, 3, 3), (3, 0, 3), (4, 1, 3), (4, 1, 4), (3, 1, 3), (4, 2, 3), (4, 2, 4), (3, 2, 3)]
        assert timeline.counts() == [*wanted, (4, 3, 3), (4, 3, 4), (3, 3, 3)]
        assert all(state.is_available for state in timeline.states)

    play(story)


def test_a_release_that_never_becomes_ready_stops_at_its_limits_and_passes_its_deadline() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=10, progressDeadlineSeconds=60))
        await complete(cluster)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2", annotations=NEVER)
        await cluster.clock.sleep(50)
        assert timeline.states[-1].progressing == "ReplicaSetUpdated"
        assert sizes(cluster) == [8, 5]
        await cluster.clock.sleep(20)
        last = timeline.states[-1]
        assert (last.progressing, last.counts, last.is_available) == (
            "ProgressDeadlineExceeded",
            (13, 5, 8),
            True,
        )
        bad = replica_sets(cluster)[-1]
        assert last.progressing_message == f'ReplicaSet "{name_of(bad)}" has timed out progressing.'
        # Nothing is rolled back by itself, and the reason stays.
        await cluster.clock.sleep(3600)
        assert timeline.states[-1] == last

    play(story)


def test_the_deadline_is_left_again_when_pods_become_ready() -> None:
    async def story(cluster: Cluster) -> None:
        slow = {"sandbox.responder.dev/ready-after": "90s"}
        cluster.apply(manifests.deployment(replicas=2, progressDeadlineSeconds=60, pod_annotations=slow))
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        await complete(cluster)
        assert timeline.reasons() == [
            "NewReplicaSetCreated",
            "ReplicaSetUpdated",
            "ProgressDeadlineExceeded",
            "NewReplicaSetAvailable",
        ]

    play(story)


# Each step: the new spec.replicas, and what the old and the new ReplicaSet get.
@pytest.mark.parametrize(
    ("start", "strategy", "stalled", "steps"),
    [
        # All but the last observed on a real control plane.
        (10, {}, [8, 5], [(20, [15, 10]), (12, [9, 6]), (3, [2, 2])]),
        (10, {"maxSurge": 3, "maxUnavailable": 2}, [8, 5], [(15, [11, 7])]),
        (10, {}, [8, 5], [(0, [0, 0])]),
    ],
)
def test_a_change_of_size_during_a_rollout_is_shared_out_in_proportion(
    start: int,
    strategy: dict[str, int],
    stalled: list[int],
    steps: list[tuple[int, list[int]]],
) -> None:
    async def story(cluster: Cluster) -> None:
        rolling = {"type": "RollingUpdate", "rollingUpdate": strategy}
        cluster.apply(manifests.deployment(replicas=start, strategy=rolling))
        await complete(cluster)
        cluster.release(NAMESPACE, NAME, image="payments:2", annotations=NEVER)
        await cluster.clock.sleep(10)
        assert sizes(cluster) == stalled
        for replicas, wanted in steps:
            change(cluster, replicas=replicas)
            await cluster.clock.sleep(10)
            assert sizes(cluster) == wanted

    play(story)


def test_pause_holds_the_rollout_but_not_the_scaling_and_resume_goes_on() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=10))
        await complete(cluster)
        cluster.release(NAMESPACE, NAME, image="payments:2")
        await cluster.clock.sleep(0.2)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        change(cluster, paused=True)
        await cluster.clock.sleep(10)
        assert sizes(cluster) == [8, 5]
        assert timeline.states[-1].progressing == "DeploymentPaused"
        assert timeline.states[-1].progressing_message == "Deployment is paused"
        change(cluster, replicas=14)
        await cluster.clock.sleep(10)
        assert sizes(cluster) == [11, 7]
        # A template that changes under pause makes no ReplicaSet, yet none counts as updated any more.
        cluster.release(NAMESPACE, NAME, image="payments:3")
        await cluster.clock.sleep(10)
        assert sizes(cluster) == [11, 7]
        assert timeline.states[-1].counts == (18, 0, 18)
        change(cluster, paused=False)
        await complete(cluster)
        assert sizes(cluster) == [0, 0, 14]
        assert timeline.reasons()[-4:] == [
            "DeploymentPaused",
            "DeploymentResumed",
            "ReplicaSetUpdated",
            "NewReplicaSetAvailable",
        ]

    play(story)


def test_recreate_starts_new_pods_only_when_the_old_ones_are_gone() -> None:
    async def story(cluster: Cluster) -> None:
        lingering = {"sandbox.responder.dev/terminate-after": "20s"}
        cluster.apply(
            manifests.deployment(replicas=3, strategy={"type": "Recreate"}, pod_annotations=lingering)
        )
        await complete(cluster)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2")
        await cluster.clock.sleep(15)
        assert sizes(cluster) == [0]
        state = timeline.states[-1]
        assert (state.counts, state.is_available, state.revision) == ((0, 0, 0), False, "1")
        assert state.observed_generation >= 2
        assert len(cluster.store.list("pods", NAMESPACE)) == 3
        await complete(cluster)
        assert sizes(cluster) == [0, 3]
        assert timeline.counts() == [(3, 3, 3), (3, 0, 3), (0, 0, 0), (3, 3, 0), (3, 3, 3)]

    play(story)


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, ["5"]), (2, ["3", "4", "5"]), (10, ["1", "2", "3", "4", "5"])]
)
def test_history_is_cut_to_its_limit_once_the_rollout_is_complete(limit: int, kept: list[str]) -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=1, revisionHistoryLimit=limit))
        await complete(cluster)
        for number in range(2, 6):
            cluster.release(NAMESPACE, NAME, image=f"payments:{number}")
            await complete(cluster)
        await cluster.clock.sleep(5)
        assert [annotations_of(each)[REVISION] for each in replica_sets(cluster)] == kept

    play(story)


def test_min_ready_seconds_hold_a_ready_pod_back_from_being_available() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=2, minReadySeconds=30))
        await cluster.clock.sleep(20)
        status = cluster.deployment(NAMESPACE, NAME)["status"]
        assert (status.get("readyReplicas"), status.get("availableReplicas")) == (2, None)
        await complete(cluster)
        assert 30 <= (cluster.clock.now() - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() <= 32

    play(story)


def test_a_change_that_equals_the_template_makes_no_replica_set() -> None:
    async def story(cluster: Cluster) -> None:
        manifest = manifests.deployment(replicas=1)
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"requests": {"cpu": "1"}}
        cluster.apply(manifest)
        await complete(cluster)
        container["resources"] = {"requests": {"cpu": "1000m"}, "limits": {}}
        container["env"] = []
        cluster.apply(manifest)
        await cluster.clock.sleep(5)
        assert sizes(cluster) == [1]

    play(story)


def test_a_hash_that_is_taken_is_counted_and_the_next_one_differs() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=1))
        await complete(cluster)
        own = name_of(replica_sets(cluster)[0])
        cluster.store.delete("deployments.apps", NAMESPACE, NAME)
        await cluster.clock.sleep(5)
        stranger = manifests.deployment(replicas=0)
        stranger |= {"kind": "ReplicaSet"}
        stranger["metadata"] |= {"name": own, "labels": {"app": "other"}}
        for path in (
            stranger["spec"]["selector"]["matchLabels"],
            stranger["spec"]["template"]["metadata"]["labels"],
        ):
            path["app"] = "other"
        cluster.apply(stranger)
        cluster.apply(manifests.deployment(replicas=1))
        deployment = await complete(cluster)
        assert deployment["status"]["collisionCount"] == 1
        assert {name_of(each) for each in replica_sets(cluster)} > {own}

    play(story)


def test_orphans_that_match_are_adopted_and_reused() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=2))
        await complete(cluster)
        before = {each["metadata"]["uid"] for each in cluster.store.list("pods", NAMESPACE)}
        cluster.store.delete("deployments.apps", NAMESPACE, NAME, propagation="Orphan")
        await cluster.clock.sleep(5)
        (orphan,) = replica_sets(cluster)
        assert "ownerReferences" not in orphan["metadata"]
        cluster.apply(manifests.deployment(replicas=2))
        deployment = await complete(cluster)
        (adopted,) = replica_sets(cluster)
        assert adopted["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
        assert {each["metadata"]["uid"] for each in cluster.store.list("pods", NAMESPACE)} == before
        found = find_condition(deployment, "Progressing")
        assert found is not None
        assert found["reason"] == "NewReplicaSetAvailable"

    play(story)
