"""A Deployment's status and conditions by themselves: when they change, and when they seem to have to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object
from responder.sandbox.api.store import Store
from responder.sandbox.controllers.conditions import (
    PROGRESSING,
    computed_status,
    condition,
    seconds_to_deadline,
    with_condition,
    with_progress,
    with_replica_failure,
)
from responder.sandbox.controllers.deployment import DeploymentController
from responder.sandbox.controllers.fields import find_condition
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

EARLIER, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


def deployment(reason: str, *, updated_at: datetime = EARLIER, deadline: int = 600, **counts: int) -> Object:
    """A Deployment of 3 whose status says so much."""
    status: dict[str, Any] = dict(counts)
    status["conditions"] = [condition(PROGRESSING, "True", reason, "as it was", updated_at)]
    spec = {"replicas": 3, "progressDeadlineSeconds": deadline}
    return {"metadata": {"name": NAME, "generation": 2}, "spec": spec, "status": status}


def progressed(before: Object, **counts: int) -> Object:
    """The Progressing condition after the counts have become these."""
    status = {"observedGeneration": 2, "conditions": before["status"]["conditions"], **counts}
    found = find_condition({"status": with_progress(before, status, None, NOW)}, PROGRESSING)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("before", "counts", "reason"),
    [
        # More updated, ready or available pods, or fewer old ones.
        (
            deployment("NewReplicaSetCreated", replicas=3),
            {"replicas": 4, "updatedReplicas": 1},
            "ReplicaSetUpdated",
        ),
        (deployment("NewReplicaSetCreated", replicas=3), {"replicas": 2}, "ReplicaSetUpdated"),
        (
            deployment("NewReplicaSetCreated", replicas=3),
            {"replicas": 3, "readyReplicas": 1},
            "ReplicaSetUpdated",
        ),
        # Fewer of anything else is none.
        (
            deployment("NewReplicaSetCreated", replicas=3, readyReplicas=3),
            {"replicas": 3, "readyReplicas": 1},
            "NewReplicaSetCreated",
        ),
        (
            deployment("ReplicaSetUpdated", replicas=3),
            {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
            "NewReplicaSetAvailable",
        ),
        # Settled stays settled while no other version has a pod, even if pods come and go.
        (
            deployment("NewReplicaSetAvailable", replicas=3, updatedReplicas=3),
            {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 2},
            "NewReplicaSetAvailable",
        ),
        (
            deployment("NewReplicaSetAvailable", replicas=3),
            {"replicas": 4, "updatedReplicas": 1},
            "ReplicaSetUpdated",
        ),
        # The deadline counts from the last update, and not at all from a settled state.
        (
            deployment("ReplicaSetUpdated", deadline=59, replicas=3),
            {"replicas": 3},
            "ProgressDeadlineExceeded",
        ),
        (deployment("ReplicaSetUpdated", deadline=60, replicas=3), {"replicas": 3}, "ReplicaSetUpdated"),
        (
            deployment("NewReplicaSetAvailable", deadline=1, replicas=3),
            {"replicas": 3},
            "NewReplicaSetAvailable",
        ),
    ],
)
def test_progressing_is_judged_against_the_previous_status(
    before: Object, counts: dict[str, int], reason: str
) -> None:
    assert progressed(before, **counts)["reason"] == reason


def test_progress_refreshes_the_update_and_keeps_the_transition() -> None:
    found = progressed(deployment("ReplicaSetUpdated", replicas=3), replicas=3, readyReplicas=1)
    assert found["lastUpdateTime"] == "2026-01-01T00:01:00Z"
    assert found["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert found["message"] == f'Deployment "{NAME}" is progressing.'


def test_without_a_deadline_there_is_no_progressing() -> None:
    before = deployment("ReplicaSetUpdated", deadline=2**31 - 1, replicas=3)
    assert with_progress(before, before["status"], None, NOW) == {"replicas": 3}
    assert seconds_to_deadline(before, NOW) is None


def test_a_paused_rollout_has_no_deadline_to_wake_for() -> None:
    paused = deployment("DeploymentPaused", replicas=3)
    assert seconds_to_deadline(paused, NOW + timedelta(days=1)) == 1.0
    paused["spec"]["paused"] = True
    assert seconds_to_deadline(paused, NOW + timedelta(days=1)) is None


def test_a_condition_of_the_same_status_and_reason_is_left_as_it_is() -> None:
    status = {
        "conditions": [condition("A", "True", "R", "old", EARLIER), condition("B", "True", "R", "", NOW)]
    }
    assert with_condition(status, condition("A", "True", "R", "new", NOW)) is status
    changed = with_condition(status, condition("A", "False", "R", "new", NOW))
    assert [each["type"] for each in changed["conditions"]] == ["B", "A"]
    assert changed["conditions"][-1]["lastTransitionTime"] == "2026-01-01T00:01:00Z"


def test_unavailable_counts_what_is_wanted_and_terminating_is_absent_when_unknown() -> None:
    def replica_set(wants: int, **status: int) -> Object:
        return {"metadata": {"name": "r", "uid": "r"}, "spec": {"replicas": wants}, "status": status}

    one = replica_set(8, replicas=10, availableReplicas=10, observedGeneration=1, terminatingReplicas=0)
    two = replica_set(5, replicas=0)
    found = deployment("ReplicaSetUpdated")
    status = computed_status(found, [one, two], two, NOW)
    assert (status["replicas"], status["unavailableReplicas"], status["terminatingReplicas"]) == (10, 3, 0)
    assert "updatedReplicas" not in status
    two["status"]["observedGeneration"] = 1
    assert "terminatingReplicas" not in computed_status(found, [one, two], two, NOW)


def test_a_replica_sets_failure_is_the_deployments_until_it_is_over() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "FailedCreate",
        "message": "exceeded quota",
    }
    failing: Object = {"metadata": {"name": "r"}, "status": {"conditions": [failure]}}
    status = with_replica_failure({}, [failing], None)
    assert status["conditions"] == [failure | {"lastUpdateTime": "2026-01-01T00:00:00Z"}]
    assert with_replica_failure(status, [], None) == {}


def test_recreate_waits_for_the_old_status_as_well_as_for_the_old_pods() -> None:
    async def story() -> None:
        clock = LoopClock(EARLIER)
        store = Store(clock)
        controller = DeploymentController(store, clock)
        manifest = manifests.deployment(replicas=1, strategy={"type": "Recreate"})
        store.create("deployments.apps", manifest, manager="test")
        controller.sync((NAMESPACE, NAME))
        (old,) = store.list("replicasets.apps")
        store.update(
            "replicasets.apps", old | {"status": {"replicas": 1}}, manager="test", subresource="status"
        )
        found = store.get("deployments.apps", NAMESPACE, NAME)
        assert found is not None
        found["spec"]["template"]["spec"]["containers"][0]["image"] = "payments:2"
        store.update("deployments.apps", found, manager="test")
        for _ in range(3):
            controller.sync((NAMESPACE, NAME))
        (old,) = store.list("replicasets.apps")
        assert old["spec"]["replicas"] == 0
        store.update(
            "replicasets.apps", old | {"status": {"replicas": 0}}, manager="test", subresource="status"
        )
        controller.sync((NAMESPACE, NAME))
        assert len(store.list("replicasets.apps")) == 2

    run_story(story())
