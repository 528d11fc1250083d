"""What an undo looks like from outside: the order of states, the numbers, and what can mislead a verifier.

The undo is the raw patch that kubectl sends: the old template and its annotations, nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, wanted_replicas
from responder.sandbox.controllers.revisions import NOT_COPIED, REVISION, REVISION_HISTORY
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


def history(cluster: Cluster) -> dict[str, Object]:
    """The ReplicaSets by revision."""
    found = cluster.store.list("replicasets.apps", NAMESPACE)
    return {annotations_of(each)[REVISION]: each for each in found}


def undo(cluster: Cluster) -> Object:
    """Go back to the second-highest revision, as `kubectl rollout undo` does."""
    target = sorted(history(cluster).items(), key=lambda item: int(item[0]))[-2][1]
    deployment = cluster.deployment(NAMESPACE, NAME)
    template = target["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    kept = {key: value for key, value in annotations_of(deployment).items() if key in NOT_COPIED}
    taken = {key: value for key, value in annotations_of(target).items() if key not in NOT_COPIED}
    deployment["spec"]["template"] = template
    deployment["metadata"]["annotations"] = kept | taken
    return cluster.store.update("deployments.apps", deployment, manager="kubectl")


async def release_and_complete(cluster: Cluster, *images: str) -> None:
    """Roll out the images one after another."""
    for image in images:
        if cluster.store.get("deployments.apps", NAMESPACE, NAME) is None:
            cluster.apply(manifests.deployment(replicas=10, image=image))
        else:
            cluster.release(NAMESPACE, NAME, image=image)
        await cluster.rollout_complete(NAMESPACE, NAME)


def test_the_revision_changes_before_the_generation_is_observed_and_that_before_any_pod() -> None:
    async def story(cluster: Cluster) -> None:
        await release_and_complete(cluster, "payments:1", "payments:2")
        bad = name_of(history(cluster)["2"])
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        patched = undo(cluster)["metadata"]["generation"]
        await cluster.rollout_complete(NAMESPACE, NAME)
        first, second, third = timeline.states[:3]
        assert (first.revision, first.observed_generation < patched, first.counts) == (
            "2",
            True,
            (10, 10, 10),
        )
        assert (second.revision, second.observed_generation < patched, second.counts) == (
            "3",
            True,
            (10, 10, 10),
        )
        # The trap: observed, all available, and a reason that speaks of the bad version.
        assert (third.revision, third.observed_generation, third.counts) == ("3", patched, (10, 0, 10))
        # The controller's own annotation write does not count as a change of intent.
        assert {state.generation for state in timeline.states} == {patched}
        assert third.progressing == "NewReplicaSetAvailable"
        assert bad in third.progressing_message
        assert timeline.states[-1].counts == (10, 10, 10)
        assert bad not in timeline.states[-1].progressing_message

    play(story)


def test_numbers_after_undo_and_redo() -> None:
    async def story(cluster: Cluster) -> None:
        await release_and_complete(cluster, "payments:1", "payments:2", "payments:3")
        second, third = name_of(history(cluster)["2"]), name_of(history(cluster)["3"])
        undo(cluster)
        await cluster.rollout_complete(NAMESPACE, NAME)
        assert {key: name_of(each) for key, each in history(cluster).items() if key != "1"} == {
            "3": third,
            "4": second,
        }
        assert annotations_of(history(cluster)["4"])[REVISION_HISTORY] == "2"
        # Undo is a toggle: the second one brings back what the first has left.
        undo(cluster)
        await cluster.rollout_complete(NAMESPACE, NAME)
        undo(cluster)
        await cluster.rollout_complete(NAMESPACE, NAME)
        found = history(cluster)
        assert {key: name_of(each) for key, each in found.items() if key != "1"} == {"5": third, "6": second}
        assert annotations_of(found["6"])[REVISION_HISTORY] == "2,4"
        assert annotations_of(found["5"])[REVISION_HISTORY] == "3"
        assert annotations_of(cluster.deployment(NAMESPACE, NAME))[REVISION] == "6"

    play(story)


def test_a_second_undo_before_the_controller_has_counted_changes_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await release_and_complete(cluster, "payments:1", "payments:2")
        good = name_of(history(cluster)["1"])
        assert undo(cluster) == undo(cluster)
        await cluster.rollout_complete(NAMESPACE, NAME)
        assert name_of(history(cluster)["3"]) == good
        assert wanted_replicas(history(cluster)["3"]) == 10

    play(story)


def test_annotations_are_copied_to_the_new_replica_set_and_a_tampered_revision_is_restored() -> None:
    async def story(cluster: Cluster) -> None:
        await release_and_complete(cluster, "payments:1")
        deployment = cluster.deployment(NAMESPACE, NAME)
        deployment["metadata"]["annotations"] |= {
            "team": "payments",
            REVISION: "77",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        }
        cluster.store.update("deployments.apps", deployment, manager="test")
        await cluster.clock.sleep(5)
        (only,) = history(cluster).values()
        assert annotations_of(only)["team"] == "payments"
        assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations_of(only)
        assert annotations_of(cluster.deployment(NAMESPACE, NAME))[REVISION] == "1"

    play(story)


def test_undo_of_a_stuck_release_takes_its_unready_pods_at_once_and_never_finds_a_new_replica_set() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(manifests.deployment(replicas=10, progressDeadlineSeconds=30))
        await cluster.rollout_complete(NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2", annotations=NEVER)
        await cluster.clock.sleep(60)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        undo(cluster)
        await cluster.clock.sleep(0.02)
        assert wanted_replicas(history(cluster)["2"]) == 0
        await cluster.rollout_complete(NAMESPACE, NAME)
        assert timeline.reasons() == [
            "ProgressDeadlineExceeded",
            "ReplicaSetUpdated",
            "NewReplicaSetAvailable",
        ]

    play(story)


def test_a_passed_deadline_can_outlive_the_undo_although_the_generation_is_observed() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.apply(
            manifests.deployment(replicas=2, strategy={"type": "Recreate"}, progressDeadlineSeconds=30)
        )
        await cluster.rollout_complete(NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2", annotations=NEVER)
        await cluster.clock.sleep(60)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        patched = undo(cluster)["metadata"]["generation"]
        await cluster.rollout_complete(NAMESPACE, NAME)
        stale = [state for state in timeline.states if state.observed_generation >= patched]
        assert stale[0].progressing == "ProgressDeadlineExceeded"
        assert timeline.states[-1].progressing == "NewReplicaSetAvailable"

    play(story)


def test_an_autoscaler_during_the_undo_shrinks_the_good_replica_set_for_a_while() -> None:
    async def story(cluster: Cluster) -> None:
        limits = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        cluster.apply(manifests.deployment(replicas=10, strategy=limits))
        await cluster.rollout_complete(NAMESPACE, NAME)
        cluster.release(NAMESPACE, NAME, image="payments:2", annotations=NEVER)
        await cluster.clock.sleep(10)
        scale(cluster, 15)
        await cluster.clock.sleep(0.5)
        assert [wanted_replicas(history(cluster)[key]) for key in ("1", "2")] == [11, 7]
        # The undo and the autoscaler's write come in one moment: the controller scales before it rolls.
        undo(cluster)
        scale(cluster, 12)
        timeline = Timeline(cluster.store, NAMESPACE, NAME)
        seen: list[tuple[int, int]] = []

        def note_sizes(_event: Event) -> None:
            found = history(cluster)
            if "3" in found:
                seen.append((wanted_replicas(found["3"]), wanted_replicas(found["2"])))

        cluster.store.subscribe(note_sizes)
        await cluster.rollout_complete(NAMESPACE, NAME)
        assert (9, 6) in seen
        assert not all(state.is_available for state in timeline.states)
        assert [wanted_replicas(history(cluster)[key]) for key in ("3", "2")] == [12, 0]

    play(story)


def scale(cluster: Cluster, replicas: int) -> None:
    """Write spec.replicas, as an autoscaler does."""
    deployment = cluster.deployment(NAMESPACE, NAME)
    deployment["spec"]["replicas"] = replicas
    cluster.store.update("deployments.apps", deployment, manager="horizontal-pod-autoscaler")
