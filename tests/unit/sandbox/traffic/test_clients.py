"""Clients during a rollout: who answers, who is refused, and what the oracle and the pods count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.oracle import Oracle, Tally
from responder.sandbox.traffic import PodDirectory, PodMetrics, Traffic
from responder.sandbox.traffic.proxy import SLICES, read_slice
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

NAMESPACE, NAME = "default", "payment-service"


@dataclass
class Scene:
    """A Deployment with a Service under traffic."""

    cluster: Cluster
    oracle: Oracle
    pods: PodDirectory
    metrics: PodMetrics
    traffic: Traffic

    def now(self) -> datetime:
        return self.cluster.clock.now()

    async def sleep(self, seconds: float) -> None:
        await self.cluster.clock.sleep(seconds)

    def total(self, since: datetime) -> Tally:
        total = Tally()
        for tally in self.oracle.requests_by_revision(since).values():
            total.add(tally)
        return total


def play(
    story: Callable[[Scene], Awaitable[None]], *, lag_seconds: float = 1.0, replicas: int = 3, **pod: str
) -> None:
    """Run a story on a new scene whose pods have these sandbox annotations (with _ for -)."""
    annotations = {f"sandbox.responder.dev/{name.replace('_', '-')}": value for name, value in pod.items()}

    async def main() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        async with Cluster.start(clock=clock) as cluster:
            cluster.apply(manifests.deployment(NAME, replicas=replicas, pod_annotations=annotations))
            cluster.apply(manifests.service(NAME))
            await cluster.rollout_complete(NAMESPACE, NAME)
            pods, oracle = PodDirectory(cluster.store), Oracle()
            metrics = PodMetrics(pods)
            traffic = Traffic(
                cluster.store,
                clock,
                NAMESPACE,
                NAME,
                100,
                pods=pods,
                metrics=metrics,
                oracle=oracle,
                proxy_lag_seconds=lag_seconds,
            )
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(traffic.run())
                await story(Scene(cluster, oracle, pods, metrics, traffic))
                running.cancel()
            pods.close()

    run_story(main())


def test_every_pod_gets_its_share_and_counts_it() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(10.1)

        by_pod = scene.oracle.requests_by_pod()
        assert len(by_pod) == 3
        assert all(abs(tally.requests - 333) <= 3 for tally in by_pod.values())
        counted = {pod.name: scene.metrics.of(pod).transactions for pod in scene.pods.all()}
        assert counted == {name: tally.requests for name, tally in by_pod.items()}
        assert scene.oracle.refused() == 0

    play(story)


def test_the_rate_can_be_changed_and_is_met() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(10)
        before = scene.now()
        scene.traffic.requests_per_second = 7
        await scene.sleep(10)

        assert abs(scene.total(before).requests - 70) <= 2

    play(story)


def test_errors_follow_the_pods_annotation_and_the_metrics_say_the_same() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(20)

        assert scene.oracle.error_share() == pytest.approx(0.05, abs=0.002)
        errors = sum(scene.metrics.of(pod).errors for pod in scene.pods.all())
        assert errors == scene.total(scene.now() - timedelta(hours=1)).errors

    play(story, error_rate="0.05")


def test_old_pods_get_requests_until_the_slowest_proxy_has_learned() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(5)
        (old,) = scene.oracle.requests_by_revision()
        old_uids = {pod.uid for pod in scene.pods.all()}
        offered: list[tuple[datetime, bool]] = []

        def watch(event: Event) -> None:
            if event.resource.key == SLICES:
                ready = {one.pod_uid for one in read_slice(event.object) if one.ready}
                offered.append((scene.now(), bool(ready & old_uids)))

        unsubscribe = scene.cluster.store.subscribe(watch)
        scene.cluster.release(NAMESPACE, NAME, image="registry.example/payments/payment-service:2")
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        await scene.sleep(10)
        unsubscribe()

        withdrawn_at = next(at for at, old_is_ready in offered if not old_is_ready)
        last_old = scene.oracle.last_request_to(old)
        assert last_old is not None
        # The slowest of three proxies lags by two to three thirds of the span; a tick is a quarter second.
        assert timedelta(seconds=1) <= last_old - withdrawn_at <= timedelta(seconds=2.25)

    # Pods go on serving for a while after they left the slices, as they do with a preStop hook.
    play(story, lag_seconds=2.0, terminate_after="5s")


def test_a_proxy_that_lags_sends_to_pods_that_are_gone_and_the_client_is_refused() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(2)
        before = scene.now()
        scene.cluster.release(NAMESPACE, NAME, image="registry.example/payments/payment-service:2")
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        await scene.sleep(10)

        refused = scene.oracle.refused(before)
        assert refused > 0
        seconds = (scene.now() - before).total_seconds()
        assert abs(scene.total(before).requests + refused - 100 * seconds) <= 30

    play(story, lag_seconds=3.0, terminate_after="0s")


def test_without_a_ready_pod_the_terminating_ones_serve_until_they_are_gone() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(2)
        deployment = scene.cluster.deployment(NAMESPACE, NAME)
        deployment["spec"]["replicas"] = 0
        scene.cluster.store.update("deployments.apps", deployment, manager="test")
        await scene.sleep(4)
        while_terminating = scene.total(scene.now() - timedelta(seconds=2))
        assert while_terminating.requests == pytest.approx(200, abs=30)

        await scene.sleep(10)
        since = scene.now() - timedelta(seconds=2)
        assert scene.total(since).requests == 0
        assert scene.oracle.refused(since) == pytest.approx(200, abs=30)

    play(story, lag_seconds=0.5, terminate_after="6s")


def test_ready_pods_that_lack_the_port_by_its_name_take_no_request() -> None:
    async def story(scene: Scene) -> None:
        store = scene.cluster.store
        service = store.get("services", NAMESPACE, NAME)
        assert service is not None
        service["spec"]["ports"][0]["targetPort"] = "web"
        store.update("services", service, manager="kubectl")
        await scene.sleep(5)

        since = scene.now() - timedelta(seconds=2)
        assert scene.total(since).requests == 0
        assert scene.oracle.refused(since) == pytest.approx(200, abs=30)
        (only,) = store.list(SLICES, NAMESPACE)
        assert all(endpoint.ready for endpoint in read_slice(only))

    play(story)


def test_a_deleted_pods_counters_are_forgotten() -> None:
    async def story(scene: Scene) -> None:
        await scene.sleep(2)
        (pod,) = scene.pods.all()
        scene.cluster.store.delete("pods", NAMESPACE, pod.name)
        await scene.sleep(5)

        assert scene.pods.by_uid(pod.uid) is None
        (successor,) = scene.pods.all()
        assert successor.uid != pod.uid
        assert scene.metrics.of(successor).transactions < 500
        assert scene.pods.deployment_of(successor) == NAME

    play(story, replicas=1)


def test_an_unreadable_annotation_ends_nothing_and_is_told_of() -> None:
    async def story(scene: Scene) -> None:
        store = scene.cluster.store
        (pod,) = store.list("pods", NAMESPACE)
        pod["metadata"]["annotations"]["sandbox.responder.dev/error-rate"] = "lots"
        store.update("pods", pod, manager="kubectl")
        await scene.sleep(5)

        tally = scene.total(scene.now() - timedelta(seconds=2))
        assert (tally.requests > 150, tally.errors) == (True, 0)
        (event,) = [each for each in store.list("events", NAMESPACE) if each["reason"] == "InvalidBehaviour"]
        assert '"lots"' in event["message"]

    play(story, replicas=1, error_rate="1")


def test_the_same_seed_gives_the_same_history() -> None:
    histories = []

    async def story(scene: Scene) -> None:
        await scene.sleep(3)
        scene.cluster.release(NAMESPACE, NAME, image="registry.example/payments/payment-service:2")
        await scene.sleep(10)
        histories.append(scene.oracle.timeline(timedelta(seconds=1)))

    play(story, error_rate="0.03")
    play(story, error_rate="0.03")

    assert histories[0] == histories[1]


def test_a_pod_stays_what_it_was_made_from_whoever_adopts_it() -> None:
    """Relabelled, a pod of the new revision goes over to the old one's ReplicaSet, and still runs the new."""

    async def story(scene: Scene) -> None:
        store = scene.cluster.store
        (good,) = store.list("replicasets.apps", NAMESPACE)
        scene.cluster.release(NAMESPACE, NAME, image="registry.example/payments:2")
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        stray = next(
            pod for pod in store.list("pods", NAMESPACE) if "deletionTimestamp" not in pod["metadata"]
        )
        bad_uid = stray["metadata"]["ownerReferences"][0]["uid"]
        scene.cluster.release(
            NAMESPACE, NAME, image=good["spec"]["template"]["spec"]["containers"][0]["image"]
        )
        stray["metadata"]["labels"]["pod-template-hash"] = good["metadata"]["labels"]["pod-template-hash"]
        store.update("pods", stray, manager="kubectl")
        await scene.sleep(30)
        before = scene.now()
        await scene.sleep(10)

        owners = {pod["metadata"]["ownerReferences"][0]["uid"] for pod in store.list("pods", NAMESPACE)}
        assert owners == {good["metadata"]["uid"]}
        assert set(scene.oracle.requests_by_revision(before)) == {good["metadata"]["uid"], bad_uid}

    play(story)
