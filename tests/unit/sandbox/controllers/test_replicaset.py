"""ReplicaSets: which pods go first, what a refused pod does to the status, whom they own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import find_condition
from responder.sandbox.controllers.pods import DELETION_COST, deletion_order
from responder.sandbox.controllers.replicaset import ReplicaSetController
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


def pod(
    uid: str,
    *,
    node: str = "node-1",
    phase: str = "Running",
    ready: str | None = "2026-01-01T00:30:00Z",
    cost: str | None = None,
    restarts: int = 0,
    created: str = "2026-01-01T00:00:00Z",
) -> Object:
    """A pod as far as its rank needs it."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}] if ready else []
    return {
        "metadata": {
            "uid": uid,
            "creationTimestamp": created,
            "annotations": {DELETION_COST: cost} if cost else {},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        (pod("a", node=""), pod("b", phase="Pending", ready=None)),
        (pod("a", phase="Pending", ready=None), pod("b", ready=None)),
        (pod("a", ready=None, cost="100"), pod("b", cost="-100")),
        (pod("a", cost="-1", ready="2026-01-01T00:01:00Z"), pod("b", ready="2026-01-01T00:59:59Z")),
        (pod("a", ready="2026-01-01T00:59:59Z"), pod("b", restarts=9)),
        (pod("a", restarts=2), pod("b", created="2026-01-01T00:20:00Z")),
        (pod("a", created="2026-01-01T00:20:00Z"), pod("b")),
    ],
)
def test_what_goes_first(goes: Object, stays: Object) -> None:
    ordered = deletion_order([stays, goes], [], NOW)
    assert [each["metadata"]["uid"] for each in ordered] == ["a", "b"]


def test_the_most_crowded_node_is_thinned_out_first() -> None:
    alone, crowded = pod("b", node="node-2"), pod("a", node="node-1")
    related = [alone, crowded, pod("c", node="node-1")]
    assert deletion_order([alone, crowded], related, NOW) == [crowded, alone]


class FullStore(Store):
    """A store that admits only so many pods, as a quota does."""

    pods_left = 1

    def create(self, key: str, obj: Object, **options: Any) -> Object:
        """Create, or refuse the pod that is too many."""
        if key == "pods":
            if self.pods_left == 0:
                raise ApiError(403, "Forbidden", "exceeded quota: pods")
            self.pods_left -= 1
        return super().create(key, obj, **options)


def test_a_refused_pod_is_told_in_the_status_until_it_is_let_in() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = FullStore(clock)
        manifest = manifests.deployment(replicas=2) | {"kind": "ReplicaSet"}
        store.create("replicasets.apps", manifest, manager="test")
        controller = ReplicaSetController(store, clock)
        with pytest.raises(ApiError, match="exceeded quota"):
            controller.sync((NAMESPACE, NAME))
        found = store.get("replicasets.apps", NAMESPACE, NAME)
        assert found is not None
        failure = find_condition(found, "ReplicaFailure")
        assert failure is not None
        assert (failure["status"], failure["reason"], failure["message"]) == (
            "True",
            "FailedCreate",
            "exceeded quota: pods",
        )
        # Counted before acting: the pod that was made shows in the next pass.
        assert found["status"]["replicas"] == 0
        store.pods_left = 1
        controller.sync((NAMESPACE, NAME))
        found = store.get("replicasets.apps", NAMESPACE, NAME)
        assert found is not None
        assert (found["status"]["replicas"], find_condition(found, "ReplicaFailure")) == (1, None)

    run_story(story())


def test_a_pod_that_matches_no_more_is_let_go_and_replaced() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            await cluster.rollout_complete(NAMESPACE, NAME)
            (found,) = cluster.store.list("pods", NAMESPACE)
            found["metadata"]["labels"] = {"app": "other"}
            cluster.store.update("pods", found, manager="test")
            await cluster.clock.sleep(5)
            pods = {name_of(each): each for each in cluster.store.list("pods", NAMESPACE)}
            assert len(pods) == 2
            assert "ownerReferences" not in pods[name_of(found)]["metadata"]

    run_story(story())


def test_what_refuses_pods_is_asked_for_few_of_them() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = FullStore(clock)
        store.pods_left = 4
        manifest = manifests.deployment(replicas=100) | {"kind": "ReplicaSet"}
        store.create("replicasets.apps", manifest, manager="test")
        with pytest.raises(ApiError, match="exceeded quota"):
            ReplicaSetController(store, clock).sync((NAMESPACE, NAME))
        # Batches of 1, 2 and 4: in the third one pod is let in and three are refused, and no fourth follows.
        assert len(store.list("pods", NAMESPACE)) == 4
        (failed,) = [each for each in store.list("events", NAMESPACE) if each["reason"] == "FailedCreate"]
        assert failed["count"] == 3

    run_story(story())
