"""Random rollout histories never cross the limits of a Deployment, whatever comes in between.

A judge looks at every write; hypothesis makes the histories.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import (
    annotations_of,
    count,
    generation_of,
    observed_generation_of,
    wanted_replicas,
)
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.controllers.revisions import (
    DESIRED_REPLICAS,
    NOT_COPIED,
    REVISION,
    integer_annotation,
    revision_of,
)
from responder.sandbox.controllers.rolling import max_surge, max_unavailable
from responder.sandbox.controllers.templates import equal_templates
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

NAMESPACE, NAME = "default", "payment-service"
NEVER = "sandbox.responder.dev/never-ready"
HISTORY_LIMIT = 3

limits = st.sampled_from([0, 1, 2, "25%", "50%", "100%"])
steps = st.one_of(
    st.tuples(st.just("release"), st.integers(1, 4)),
    st.tuples(st.just("break"), st.integers(5, 6)),
    st.tuples(st.just("undo"), st.just(0)),
    st.tuples(st.just("scale"), st.integers(0, 7)),
    st.tuples(st.just("pause"), st.booleans()),
)
waits = st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.2, 5.0])


class Judge:
    """Asserts at every write what the rollout's arithmetic promises."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.writes = 0
        cluster.store.subscribe(self._observe)

    def _observe(self, event: Event) -> None:
        deployment = self._cluster.store.get("deployments.apps", NAMESPACE, NAME)
        if deployment is None or event.type == "DELETED":
            return
        if event.resource.kind == "Deployment":
            self._check_status(event.object)
        elif event.resource.kind == "ReplicaSet":
            self.writes += 1
            self._check_sizes(deployment, event)

    def _check_status(self, deployment: Object) -> None:
        assert observed_generation_of(deployment) <= generation_of(deployment)
        replicas, ready = count(deployment, "replicas"), count(deployment, "readyReplicas")
        assert count(deployment, "updatedReplicas") <= replicas
        assert count(deployment, "availableReplicas") <= ready <= replicas

    def _check_sizes(self, deployment: Object, event: Event) -> None:
        sets = replica_sets(self._cluster)
        revisions = [revision_of(each) for each in sets]
        assert len(set(revisions)) == len(revisions)
        before = wanted_replicas(event.previous) if event.previous is not None else 0
        after, size = wanted_replicas(event.object), wanted_replicas(deployment)
        if after > before:
            # Surge: whatever grows, all together want no more than allowed.
            assert sum(map(wanted_replicas, sets)) <= size + max_surge(deployment)
        if after < before and event.previous is not None:
            if integer_annotation(event.previous, DESIRED_REPLICAS) != size:
                return  # the size itself has changed: shared out in proportion, without regard to this limit
            others = sum(
                serving(each, wanted_replicas(each))
                for each in sets
                if name_of(each) != name_of(event.object)
            )
            least = size - max_unavailable(deployment)
            left = others + serving(event.object, after)
            # Unavailability: either enough are left, or nothing that served was taken.
            assert left >= least or left == others + serving(event.object, before)


def serving(replica_set: Object, wanted: int) -> int:
    """How many available pods the ReplicaSet keeps when it wants so many."""
    return min(wanted, count(replica_set, "availableReplicas"))


def replica_sets(cluster: Cluster) -> list[Object]:
    """All ReplicaSets, lowest revision first."""
    found = cluster.store.list("replicasets.apps", NAMESPACE)
    return sorted(found, key=lambda each: revision_of(each) or 0)


def take(cluster: Cluster, step: tuple[str, int | bool]) -> None:
    """Do what a person, a delivery or an autoscaler does."""
    verb, value = step
    if verb in ("release", "break"):
        never = "true" if verb == "break" else "false"
        cluster.release(NAMESPACE, NAME, image=f"payments:{value}", annotations={NEVER: never})
        return
    deployment = cluster.deployment(NAMESPACE, NAME)
    if verb == "scale":
        deployment["spec"]["replicas"] = value
    elif verb == "pause":
        deployment["spec"]["paused"] = value
    else:
        known = replica_sets(cluster)
        if len(known) < 2 or deployment["spec"].get("paused"):
            return
        target = known[-2]
        del target["spec"]["template"]["metadata"]["labels"]["pod-template-hash"]
        deployment["spec"]["template"] = target["spec"]["template"]
        kept = {key: text for key, text in annotations_of(deployment).items() if key in NOT_COPIED}
        taken = {key: text for key, text in annotations_of(target).items() if key not in NOT_COPIED}
        deployment["metadata"]["annotations"] = kept | taken
    cluster.store.update("deployments.apps", deployment, manager="test")


async def check_end(cluster: Cluster) -> None:
    """After a last good release all is of it, and the numbers say so."""
    take(cluster, ("pause", False))
    take(cluster, ("release", 9))
    deployment = await cluster.rollout_complete(NAMESPACE, NAME, timeout_seconds=300)
    await cluster.clock.sleep(10)
    sets = replica_sets(cluster)
    newest = sets[-1]
    assert equal_templates(newest["spec"]["template"], deployment["spec"]["template"])
    assert [
        name_of(each)
        for each in sets
        if equal_templates(each["spec"]["template"], newest["spec"]["template"])
    ] == [name_of(newest)]
    assert [wanted_replicas(each) for each in sets[:-1]] == [0] * (len(sets) - 1)
    assert len(sets) - 1 <= HISTORY_LIMIT
    assert annotations_of(deployment)[REVISION] == annotations_of(newest)[REVISION]
    pods = cluster.store.list("pods", NAMESPACE)
    assert len(pods) == wanted_replicas(newest) == wanted_replicas(deployment)
    assert all(is_ready(each) for each in pods)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    surge=limits,
    unavailable=limits,
    history=st.lists(st.tuples(steps, waits), min_size=2, max_size=7),
)
def test_no_history_crosses_the_limits(
    surge: int | str,
    unavailable: int | str,
    history: list[tuple[tuple[str, int | bool], float]],
) -> None:
    if surge == 0 and unavailable == 0:
        unavailable = 1

    async def story() -> None:
        async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
            judge = Judge(cluster)
            rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
            cluster.apply(
                manifests.deployment(
                    replicas=4,
                    revisionHistoryLimit=HISTORY_LIMIT,
                    strategy={"type": "RollingUpdate", "rollingUpdate": rolling},
                )
            )
            await cluster.rollout_complete(NAMESPACE, NAME)
            for step, wait_seconds in history:
                take(cluster, step)
                await cluster.clock.sleep(wait_seconds)
            await check_end(cluster)
            assert judge.writes > 0

    run_story(story())
