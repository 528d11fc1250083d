"""A Deployment's status: counts over its ReplicaSets, and Available, Progressing and ReplicaFailure.

Pure: the time is an argument. Called by the Deployment controller at the end of every pass.
Source: Kubernetes pkg/controller/deployment/{sync,progress}.go and util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from responder.sandbox.api.objects import Object, name_of, seconds_text
from responder.sandbox.controllers.fields import (
    count,
    find_condition,
    generation_of,
    observed_generation_of,
    parse_time,
    status_of,
    wanted_replicas,
)
from responder.sandbox.controllers.revisions import MAX_INT32
from responder.sandbox.controllers.rolling import max_unavailable, wanted_sum

PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
NEW_REPLICA_SET_AVAILABLE = "NewReplicaSetAvailable"
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A condition that begins now."""
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": seconds_text(now),
        "lastTransitionTime": seconds_text(now),
        "reason": reason,
        "message": message,
    }


def with_condition(status: Object, new: Object) -> Object:
    """The status with a condition at the end of its list; untouched if status and reason are the same."""
    current = find_condition({"status": status}, new["type"])
    if current is not None and current["status"] == new["status"]:
        if current.get("reason") == new["reason"]:
            return status
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    others = [each for each in status.get("conditions") or [] if each["type"] != new["type"]]
    return {**status, "conditions": [*others, new]}


def without_condition(status: Object, kind: str) -> Object:
    """The status without a condition."""
    others = [each for each in status.get("conditions") or [] if each["type"] != kind]
    rest = {key: value for key, value in status.items() if key != "conditions"}
    return {**rest, "conditions": others} if others else rest


def deadline_of(deployment: Object) -> timedelta | None:
    """How long the rollout may stand still; None when it may for ever."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == MAX_INT32 else timedelta(seconds=int(seconds))


def computed_status(
    deployment: Object, replica_sets: Sequence[Object], new: Object | None, now: datetime
) -> Object:
    """The counts over all ReplicaSets, and Available; the other conditions are taken over as they are.

    Numbers that are 0 are left out, as Go's JSON does, but for terminatingReplicas, which is absent only
    while some ReplicaSet that was synced does not report it.
    """
    available = sum(count(each, "availableReplicas") for each in replica_sets)
    counts: dict[str, Any] = {
        "observedGeneration": generation_of(deployment),
        "replicas": sum(count(each, "replicas") for each in replica_sets),
        "updatedReplicas": count(new, "replicas") if new is not None else 0,
        "readyReplicas": sum(count(each, "readyReplicas") for each in replica_sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted_sum(replica_sets) - available),
    }
    status = {key: value for key, value in counts.items() if value}
    terminating = _terminating(replica_sets)
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    old = status_of(deployment)
    status |= {key: old[key] for key in ("conditions", "collisionCount") if key in old}
    if available >= wanted_replicas(deployment) - max_unavailable(deployment):
        truth, reason, verb = "True", "MinimumReplicasAvailable", "has"
    else:
        truth, reason, verb = "False", "MinimumReplicasUnavailable", "does not have"
    message = f"Deployment {verb} minimum availability."
    return with_condition(status, condition(AVAILABLE, truth, reason, message, now))


def with_progress(deployment: Object, status: Object, new: Object | None, now: datetime) -> Object:
    """The status with Progressing judged against the previous one: complete, progressing or timed out."""
    deadline = deadline_of(deployment)
    if deadline is None:
        return without_condition(status, PROGRESSING)
    current = find_condition(deployment, PROGRESSING)
    settled = current is not None and current.get("reason") == NEW_REPLICA_SET_AVAILABLE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return status
    subject = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        found = condition(PROGRESSING, "True", NEW_REPLICA_SET_AVAILABLE, message, now)
        return with_condition(status, found)
    if _has_progressed(status_of(deployment), status):
        found = condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        if current is not None and current["status"] == "True":
            found["lastTransitionTime"] = current["lastTransitionTime"]
        # Set anew each time, and so refreshed: lastUpdateTime is what the deadline counts from.
        return with_condition(without_condition(status, PROGRESSING), found)
    if current is not None and _has_timed_out(current, deadline, now):
        message = f"{subject} has timed out progressing."
        found = condition(PROGRESSING, "False", PROGRESS_DEADLINE_EXCEEDED, message, now)
        return with_condition(status, found)
    return status


def with_replica_failure(status: Object, replica_sets: Sequence[Object], new: Object | None) -> Object:
    """The status with the new ReplicaSet's failure to make pods, else any other's, else none."""
    ordered = ([new] if new is not None else []) + list(replica_sets)
    failure = next(filter(None, (find_condition(each, REPLICA_FAILURE) for each in ordered)), None)
    if failure is None:
        return without_condition(status, REPLICA_FAILURE)
    return with_condition(
        status,
        {
            "type": REPLICA_FAILURE,
            "status": failure["status"],
            "lastUpdateTime": failure["lastTransitionTime"],
            "lastTransitionTime": failure["lastTransitionTime"],
            "reason": failure.get("reason", ""),
            "message": failure.get("message", ""),
        },
    )


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all wanted pods are of the new template and available, and no others are left."""
    wanted = wanted_replicas(deployment)
    counts = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    observed = int(status.get("observedGeneration", 0))
    return observed >= generation_of(deployment) and all(each == wanted for each in counts)


def seconds_to_deadline(deployment: Object, now: datetime) -> float | None:
    """When to look again at a rollout that stands still; None when nothing can time out."""
    deadline, current = deadline_of(deployment), find_condition(deployment, PROGRESSING)
    if deadline is None or current is None or deployment["spec"].get("paused"):
        return None
    if current.get("reason") in (NEW_REPLICA_SET_AVAILABLE, PROGRESS_DEADLINE_EXCEEDED):
        return None
    ends_at = parse_time(current["lastUpdateTime"]) + deadline
    # The second on top stands for the fraction that lastUpdateTime has lost.
    return max(0.0, (ends_at - now).total_seconds()) + 1.0


def _has_progressed(before: Object, after: Object) -> bool:
    def old_pods(status: Object) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    rose = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(after.get(key, 0) > before.get(key, 0) for key in rose) or old_pods(after) < old_pods(before)


def _has_timed_out(current: Object, deadline: timedelta, now: datetime) -> bool:
    reason = current.get("reason")
    if reason == NEW_REPLICA_SET_AVAILABLE:
        return False
    return reason == PROGRESS_DEADLINE_EXCEEDED or parse_time(current["lastUpdateTime"]) + deadline < now


def _terminating(replica_sets: Sequence[Object]) -> int | None:
    synced = [each for each in replica_sets if observed_generation_of(each)]
    if any("terminatingReplicas" not in status_of(each) for each in synced):
        return None
    return sum(count(each, "terminatingReplicas") for each in synced)
