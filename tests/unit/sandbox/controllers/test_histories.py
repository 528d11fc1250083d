"""Random rollout histories: whatever comes in between, every state holds what the limits promise.

hypothesis makes the histories, the judge looks at every write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, status_of, wanted_replicas
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.controllers.revisions import NOT_COPIED, REVISION, revision_of
from responder.sandbox.controllers.templates import equal_templates
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story
from tests.unit.sandbox.controllers.invariants import Judge

NAMESPACE, NAME = "default", "payment-service"
NEVER, UNREADY = "sandbox.responder.dev/never-ready", "sandbox.responder.dev/unready-after"
Step = tuple[str, int]

limits = st.sampled_from([0, 1, 2, "25%", "50%", "100%"])
steps = st.one_of(
    st.tuples(st.just("release"), st.integers(1, 4)),
    st.tuples(st.just("break"), st.integers(5, 6)),
    st.tuples(st.just("undo"), st.just(0)),
    st.tuples(st.just("scale"), st.integers(0, 7)),
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(0)),
    st.tuples(st.sampled_from(["delete", "kill", "evict", "sicken"]), st.integers(0, 9)),
)
# The longest is longer than any deadline below.
waits = st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.2, 5.0, 15.0])


@dataclass(frozen=True, slots=True)
class History:
    """A Deployment's settings, and what happens to it: steps, each followed by a wait in seconds."""

    strategy: dict[str, Any]
    history_limit: int
    deadline_seconds: int
    min_ready_seconds: int
    steps: list[tuple[Step, float]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any history; in one of five the strategy is Recreate."""
    strategy: dict[str, Any] = {"type": "Recreate"}
    if draw(st.integers(1, 5)) > 1:
        surge, unavailable = draw(limits), draw(limits)
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable if surge or unavailable else 1}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return History(
        strategy,
        draw(st.integers(0, 3)),
        draw(st.sampled_from([8, 600])),
        draw(st.sampled_from([0, 0, 2])),
        draw(st.lists(st.tuples(steps, waits), min_size=2, max_size=8)),
    )


def replica_sets(cluster: Cluster) -> list[Object]:
    """All ReplicaSets, lowest revision first."""
    found = cluster.store.list("replicasets.apps", NAMESPACE)
    return sorted(found, key=lambda each: revision_of(each) or 0)


def take(cluster: Cluster, step: Step) -> None:
    """Do what a person, a delivery, an autoscaler or a failing node does."""
    verb, value = step
    match verb:
        case "release" | "break":
            never = "true" if verb == "break" else "false"
            cluster.release(NAMESPACE, NAME, image=f"payments:{value}", annotations={NEVER: never})
        case "delete" | "kill" | "evict" | "sicken":
            harm(cluster, verb, value)
        case "undo":
            undo(cluster)
        case "scale":
            write(cluster, replicas=value)
        case _:
            write(cluster, paused=verb == "pause")


def write(cluster: Cluster, **spec: Any) -> None:
    """Change members of the Deployment's spec."""
    deployment = cluster.deployment(NAMESPACE, NAME)
    deployment["spec"] |= spec
    cluster.store.update("deployments.apps", deployment, manager="test")


def undo(cluster: Cluster) -> None:
    """Go back to the second-highest revision as kubectl does, if there is one and it may."""
    deployment, known = cluster.deployment(NAMESPACE, NAME), replica_sets(cluster)
    if len(known) < 2 or deployment["spec"].get("paused"):
        return
    target = known[-2]
    del target["spec"]["template"]["metadata"]["labels"]["pod-template-hash"]
    deployment["spec"]["template"] = target["spec"]["template"]
    kept = {key: text for key, text in annotations_of(deployment).items() if key in NOT_COPIED}
    taken = {key: text for key, text in annotations_of(target).items() if key not in NOT_COPIED}
    deployment["metadata"]["annotations"] = kept | taken
    cluster.store.update("deployments.apps", deployment, manager="test")


def harm(cluster: Cluster, verb: str, number: int) -> None:
    """Delete a pod, end it at once, have it evicted, or let it become unready for good."""
    pods = cluster.store.list("pods", NAMESPACE)
    if not pods:
        return
    pod = pods[number % len(pods)]
    match verb:
        case "delete":
            cluster.store.delete("pods", NAMESPACE, name_of(pod))
        case "kill":
            cluster.store.delete("pods", NAMESPACE, name_of(pod), grace_seconds=0)
        case "evict":
            pod["status"] = status_of(pod) | {"phase": "Failed", "reason": "Evicted"}
            cluster.store.update("pods", pod, manager="test", subresource="status")
        case _:
            pod["metadata"]["annotations"] = annotations_of(pod) | {UNREADY: "0s"}
            cluster.store.update("pods", pod, manager="test")


async def check_end(cluster: Cluster, history: History) -> None:
    """After a last good release all is of it, and the numbers say so."""
    take(cluster, ("resume", 0))
    take(cluster, ("release", 9))
    await cluster.rollout_complete(NAMESPACE, NAME, timeout_seconds=300)
    await cluster.clock.sleep(10)
    deployment = cluster.deployment(NAMESPACE, NAME)
    sets = replica_sets(cluster)
    newest = sets[-1]
    assert equal_templates(newest["spec"]["template"], deployment["spec"]["template"])
    assert [wanted_replicas(each) for each in sets[:-1]] == [0] * (len(sets) - 1)
    assert len(sets) - 1 <= history.history_limit
    assert annotations_of(deployment)[REVISION] == annotations_of(newest)[REVISION]
    pods = [pod for pod in cluster.store.list("pods", NAMESPACE) if status_of(pod)["phase"] == "Running"]
    assert len(pods) == wanted_replicas(newest) == wanted_replicas(deployment)
    assert all(is_ready(each) for each in pods)
    (only,) = cluster.store.list("endpointslices.discovery.k8s.io", NAMESPACE)
    assert len(only["endpoints"] or []) == len(pods)


async def play(history: History) -> int:
    """Live through a history; how many states the judge has seen."""
    async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
        judge = Judge(cluster, NAMESPACE, NAME)
        cluster.apply(manifests.service())
        cluster.apply(
            manifests.deployment(
                replicas=4,
                strategy=history.strategy,
                revisionHistoryLimit=history.history_limit,
                progressDeadlineSeconds=history.deadline_seconds,
                minReadySeconds=history.min_ready_seconds,
            )
        )
        await cluster.rollout_complete(NAMESPACE, NAME)
        for step, wait_seconds in history.steps:
            judge.disturbed |= step[0] in ("scale", "pause")
            take(cluster, step)
            await cluster.clock.sleep(wait_seconds)
        await check_end(cluster, history)
        return judge.states


@pytest.mark.parametrize("examples", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_no_history_breaks_a_promise(examples: int, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        # Not shrunk, which would take many minutes: a history that breaks a promise is short as it is.
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(history=histories())
    def live(history: History) -> None:
        seen.append(run_story(play(history)))

    live()
    with capsys.disabled():
        print(f"\n{len(seen)} rollout histories, {sum(seen)} states, every one within the limits")
    assert len(seen) >= examples
    assert min(seen) > 0
