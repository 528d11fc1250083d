"""The traffic proof on the simulated cluster, in virtual time: what it waits for and what sets it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from responder.clients.kubernetes import Unavailable
from responder.sandbox.cluster import Cluster
from responder.sandbox.virtual_time import LoopClock
from responder.verdicts import Result
from responder.verification.prove_traffic import TrafficProof
from responder.workloads.views import Object
from tests.shared import run_story
from tests.unit.verification.cluster import BAD, NAME, NAMESPACE, START, Rollback, roll_back

Disturbance = Callable[[Rollback], Awaitable[None]]


def play(
    disturb: Disturbance | None = None,
    *,
    services: tuple[str, ...] = (NAME,),
    within_seconds: float = 300,
    hold_seconds: float | None = 10,
) -> tuple[TrafficProof, Rollback]:
    """Roll back, prove, and meanwhile disturb."""

    async def story() -> tuple[TrafficProof, Rollback]:
        async with Cluster.start(clock=LoopClock(START), endpoints_per_slice=2) as cluster:
            rollback = await roll_back(cluster, services=services)
            async with asyncio.TaskGroup() as group:
                if disturb is not None:
                    group.create_task(_run(disturb(rollback)))
                proof = await rollback.prove(within_seconds=within_seconds, hold_seconds=hold_seconds)
            return proof, rollback

    return run_story(story())


async def _run(disturbance: Awaitable[None]) -> None:
    await disturbance


def held_from(proof: TrafficProof, rollback: Rollback) -> float:
    """When the window that proved it began, in seconds since the undo."""
    assert proof.serving_since is not None
    return (proof.serving_since - rollback.undone_at).total_seconds()


def test_a_rollback_is_proven_after_the_rollout_and_its_window() -> None:
    proof, rollback = play()
    assert (proof.result, proof.reason) == (Result.PASSED, "TrafficProven"), proof.message
    # Below, disturbances come later than this, and within the window.
    assert 3 < held_from(proof, rollback) < 8
    assert 10 <= proof.hold_seconds < 11
    assert all(verdict.passed for verdict in proof.verdicts)


def test_nothing_is_proven_before_the_last_bad_pod_is_gone() -> None:
    gone: list[float] = []

    async def watch_bad_pods(rollback: Rollback) -> None:
        def bad_pods() -> bool:
            images = [pod["spec"]["containers"][0]["image"] for pod in rollback.pods()]
            return BAD in images

        await rollback.cluster.wait_until(lambda: not bad_pods(), "bad pods gone")
        gone.append(rollback.seconds())

    proof, rollback = play(watch_bad_pods)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) >= gone[0]


def test_reports_tell_how_it_comes_along() -> None:
    proof, rollback = play()
    assert len(rollback.reports) >= 2
    assert rollback.reports[-1] == proof.verdicts
    assert any(not verdict.passed for verdict in rollback.reports[0])


def test_looks_are_few_however_many_events_there_are() -> None:
    proof, rollback = play()
    assert proof.proven_at is not None
    looks = rollback.kubernetes.lists / 4
    assert looks <= rollback_seconds(proof, rollback) / 0.3 + 1


def rollback_seconds(proof: TrafficProof, rollback: Rollback) -> float:
    assert proof.proven_at is not None
    return (proof.proven_at - rollback.undone_at).total_seconds()


def test_without_a_wish_the_window_follows_from_the_probes() -> None:
    proof, _ = play(hold_seconds=None)
    assert proof.result is Result.PASSED
    assert 31 <= proof.hold_seconds < 32
    assert "NoReadinessProbe" in {verdict.reason for verdict in proof.verdicts}


@pytest.mark.parametrize("set_by", [timedelta(minutes=1), timedelta(minutes=-1)])
def test_a_wall_clock_that_is_set_makes_the_window_neither_shorter_nor_longer(set_by: timedelta) -> None:
    async def step(rollback: Rollback) -> None:
        await rollback.clock.sleep(12)
        rollback.clock.set_by = set_by

    proof, rollback = play(step, hold_seconds=45)
    assert proof.result is Result.PASSED
    assert 45 <= proof.hold_seconds < 46
    assert proof.proven_at is not None
    proven_after = (proof.proven_at - set_by - rollback.undone_at).total_seconds()
    assert 48 < proven_after < 55


async def flap(rollback: Rollback) -> None:
    """One pod turns unready and ready again between two looks."""
    await rollback.clock.sleep(12)
    pod = rollback.pods()[0]
    rollback.set_ready(pod, "False")
    await rollback.clock.sleep(0.001)
    rollback.set_ready(pod, "True")


async def restart_container(rollback: Rollback) -> None:
    await rollback.clock.sleep(12)
    pod = rollback.pods()[0]
    restarted = [{"name": NAME, "restartCount": 1, "ready": True, "image": "", "imageID": ""}]
    rollback.touch("pods", pod, lambda pod: pod["status"].update(containerStatuses=restarted))


async def gap(rollback: Rollback) -> None:
    await rollback.clock.sleep(12)
    rollback.kubernetes.interrupt("endpointslices.discovery.k8s.io")


async def scale(rollback: Rollback) -> None:
    await rollback.clock.sleep(12)
    deployment = rollback.cluster.deployment(NAMESPACE, NAME)
    rollback.touch("deployments.apps", deployment, lambda it: it["spec"].update(replicas=4))


async def unreachable(rollback: Rollback) -> None:
    await rollback.clock.sleep(8)
    rollback.kubernetes.error = Unavailable(0, "NoConnection", "connection refused", {})
    await rollback.clock.sleep(6)
    rollback.kubernetes.error = None


async def foreign_slice(rollback: Rollback) -> None:
    """A second slice, of somebody else's making, sends traffic elsewhere for a while."""
    await rollback.clock.sleep(12)
    store = rollback.cluster.store
    store.create("endpointslices.discovery.k8s.io", FOREIGN_SLICE, manager="somebody")
    await rollback.clock.sleep(0.01)
    store.delete("endpointslices.discovery.k8s.io", NAMESPACE, "by-hand")


FOREIGN_SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "by-hand",
        "namespace": NAMESPACE,
        "labels": {"kubernetes.io/service-name": NAME},
    },
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.9.9.9"], "targetRef": {"kind": "Pod", "name": "x", "uid": "x"}}],
    "ports": [],
}


async def silent_flap(rollback: Rollback) -> None:
    """A pod turns unready and ready between two looks, and no watch tells of it."""
    await rollback.clock.sleep(12)
    rollback.kubernetes.muted = True
    pod = rollback.pods()[0]
    rollback.set_ready(pod, "False")
    await rollback.clock.sleep(0.001)
    rollback.set_ready(pod, "True")
    await rollback.clock.sleep(1)
    rollback.kubernetes.muted = False


async def failed_look(rollback: Rollback) -> None:
    """For a while, a ReplicaSet counts a pod less than it should, which no event tells of."""

    def miscount(key: str, items: list[Object]) -> None:
        for item in items if key == "replicasets.apps" else []:
            item["status"]["fullyLabeledReplicas"] = 0

    await rollback.clock.sleep(8)
    rollback.kubernetes.on_list = miscount
    await rollback.clock.sleep(6)
    rollback.kubernetes.on_list = None


@pytest.mark.parametrize(
    "disturb",
    [flap, restart_container, gap, scale, unreachable, foreign_slice, silent_flap, failed_look],
)
def test_what_restarts_the_window(disturb: Disturbance) -> None:
    proof, rollback = play(disturb)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) >= 12
    assert proof.hold_seconds >= 10


def test_a_look_during_which_something_happened_opens_no_window() -> None:
    happened_at: list[float] = []

    async def disturb(rollback: Rollback) -> None:
        def interrupt(key: str, _: list[Object]) -> None:
            if not happened_at and key == "replicasets.apps":
                rollback.kubernetes.interrupt("pods")
                happened_at.append(rollback.seconds())

        await rollback.clock.sleep(12)
        rollback.kubernetes.on_list = interrupt

    proof, rollback = play(disturb)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) > happened_at[0]


def test_the_window_opens_only_once_everything_is_watched() -> None:
    async def story() -> tuple[TrafficProof, Rollback]:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            rollback = await roll_back(cluster)
            rollback.kubernetes.watch_delay_seconds = 20
            return await rollback.prove(), rollback

    proof, rollback = run_story(story())
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) >= 20


async def annotate(rollback: Rollback) -> None:
    """Somebody's annotation raises the generation and changes nothing else."""
    await rollback.clock.sleep(12)
    deployment = rollback.cluster.deployment(NAMESPACE, NAME)
    rollback.touch(
        "deployments.apps", deployment, lambda it: it["metadata"]["annotations"].update({"x.example/y": "1"})
    )


async def foreign_pod(rollback: Rollback) -> None:
    """A pod of something else in the namespace comes."""
    await rollback.clock.sleep(12)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "other", "namespace": NAMESPACE, "labels": {"app": "other"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    rollback.cluster.store.create("pods", pod, manager="somebody")


@pytest.mark.parametrize("disturb", [annotate, foreign_pod])
def test_what_does_not_restart_the_window(disturb: Disturbance) -> None:
    proof, rollback = play(disturb)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) < 8


async def lagging_slice(rollback: Rollback) -> None:
    """From the beginning, one slice still sends traffic elsewhere."""
    store = rollback.cluster.store
    store.create("endpointslices.discovery.k8s.io", FOREIGN_SLICE, manager="somebody")
    await rollback.clock.sleep(40)
    store.delete("endpointslices.discovery.k8s.io", NAMESPACE, "by-hand")


def test_a_slice_that_lags_is_waited_for() -> None:
    proof, rollback = play(lagging_slice)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) >= 40


def test_a_slice_that_never_follows_ends_at_the_deadline() -> None:
    async def forever(rollback: Rollback) -> None:
        store = rollback.cluster.store
        store.create("endpointslices.discovery.k8s.io", FOREIGN_SLICE, manager="somebody")

    proof, rollback = play(forever, within_seconds=60)
    assert (proof.result, proof.reason) == (Result.FAILED, "TrafficNotProven")
    assert "10.9.9.9" in proof.message
    assert rollback.reports
    assert proof.proven_at is None


def test_a_window_that_does_not_fit_before_the_deadline_proves_nothing() -> None:
    proof, _ = play(within_seconds=30, hold_seconds=60)
    assert (proof.result, proof.reason) == (Result.FAILED, "TrafficNotProven")
    assert "60 s for which that has to hold" in proof.message


@pytest.mark.parametrize("after_seconds", [1.0, 12.0])
def test_a_new_release_supersedes_at_once(after_seconds: float) -> None:
    async def release(rollback: Rollback) -> None:
        await rollback.clock.sleep(after_seconds)
        rollback.cluster.release(NAMESPACE, NAME, image="payment-service:3.0.0")
        released_at.append(rollback.seconds())

    released_at: list[float] = []
    ended_at: list[float] = []

    async def story() -> TrafficProof:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            rollback = await roll_back(cluster)
            async with asyncio.TaskGroup() as group:
                group.create_task(release(rollback))
                proof = await rollback.prove()
                ended_at.append(rollback.seconds())
            return proof

    proof = run_story(story())
    assert (proof.result, proof.reason) == (Result.FAILED, "Superseded")
    assert ended_at[0] - released_at[0] < 1


def test_a_deleted_deployment_supersedes() -> None:
    async def delete(rollback: Rollback) -> None:
        await rollback.clock.sleep(12)
        rollback.cluster.store.delete("deployments.apps", NAMESPACE, NAME)

    proof, _ = play(delete)
    assert (proof.result, proof.reason) == (Result.FAILED, "Superseded")


def test_a_pause_is_waited_out() -> None:
    async def pause(rollback: Rollback) -> None:
        await rollback.clock.sleep(0.1)
        deployment = rollback.cluster.deployment(NAMESPACE, NAME)
        rollback.touch("deployments.apps", deployment, lambda it: it["spec"].update(paused=True))
        await rollback.clock.sleep(60)
        deployment = rollback.cluster.deployment(NAMESPACE, NAME)
        rollback.touch("deployments.apps", deployment, lambda it: it["spec"].update(paused=False))

    proof, rollback = play(pause)
    assert proof.result is Result.PASSED
    assert held_from(proof, rollback) > 60


def test_a_cluster_that_never_answers_is_unknown() -> None:
    async def refuse(rollback: Rollback) -> None:
        rollback.kubernetes.error = Unavailable(0, "NoConnection", "connection refused", {})

    proof, _ = play(refuse, within_seconds=60)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "TrafficUnknown")
    assert "connection refused" in proof.message


def test_zero_replicas_are_unknown_at_the_deadline() -> None:
    async def scale_to_zero(rollback: Rollback) -> None:
        deployment = rollback.cluster.deployment(NAMESPACE, NAME)
        rollback.touch("deployments.apps", deployment, lambda it: it["spec"].update(replicas=0))

    proof, _ = play(scale_to_zero, within_seconds=60)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "TrafficUnknown")
    assert "scaled to zero" in proof.message


def test_a_workload_without_a_service_is_unknown_at_the_deadline() -> None:
    proof, _ = play(services=(), within_seconds=60)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "TrafficUnknown")


def test_a_deadline_in_the_past_ends_at_once() -> None:
    proof, _ = play(within_seconds=-1)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "TrafficUnknown")


def test_cancelling_leaves_nothing_running() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            rollback = await roll_back(cluster)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await rollback.prove()

    run_story(story())
