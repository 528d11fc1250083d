"""What controllers read from a pod, and which pods a ReplicaSet gives up first.

Pure. Called by the workloads' controllers, the EndpointSlice controller and the kubelet.
Source: Kubernetes pkg/controller/controller_utils.go ActivePodsWithRanks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from responder.sandbox.api.objects import Object
from responder.sandbox.controllers.fields import (
    annotations_of,
    find_condition,
    is_deleting,
    parse_time,
    status_of,
    uid_of,
)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def has_ended(pod: Object) -> bool:
    """Whether the pod has run to its end and counts no more."""
    return status_of(pod).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is True."""
    found = find_condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


def ready_since(pod: Object) -> datetime | None:
    """When the pod became ready; None when it is not."""
    found = find_condition(pod, "Ready")
    if found is None or found.get("status") != "True":
        return None
    return parse_time(found["lastTransitionTime"]) if found.get("lastTransitionTime") else None


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for as long as it takes."""
    if not min_ready_seconds:
        return is_ready(pod)
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def seconds_to_available(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """When the next of the pods that are ready and stay becomes available; None when none does."""
    wait = timedelta(seconds=min_ready_seconds)
    moments = (ready_since(pod) for pod in pods if not is_deleting(pod))
    ahead = [at + wait - now for at in moments if at is not None and at + wait > now]
    return min(ahead).total_seconds() if ahead else None


def node_of(pod: Object) -> str:
    """The node the pod is bound to, empty before that."""
    return str(pod["spec"].get("nodeName") or "")


def deletion_order(pods: Sequence[Object], related: Sequence[Object], now: datetime) -> list[Object]:
    """The pods, those to be deleted first at the beginning.

    Unassigned, then pending, not ready, cheap to delete, on a node with many related pods, ready for a
    shorter time (in powers of two), restarted more often, newer.
    """
    crowd = Counter(node_of(pod) for pod in related)

    def rank(pod: Object) -> tuple[bool, int, bool, int, int, int, int, float, str]:
        return (
            node_of(pod) != "",
            _PHASE_RANK.get(str(status_of(pod).get("phase")), 1),
            is_ready(pod),
            _deletion_cost(pod),
            -crowd[node_of(pod)],
            _ready_bucket(pod, now),
            -_restarts(pod),
            -parse_time(pod["metadata"]["creationTimestamp"]).timestamp(),
            uid_of(pod),
        )

    return sorted(pods, key=rank)


def _deletion_cost(pod: Object) -> int:
    text = annotations_of(pod).get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else 0


def _ready_bucket(pod: Object, now: datetime) -> int:
    since = ready_since(pod)
    if since is None:
        return -1
    nanoseconds = int((now - since).total_seconds() * 1e9)
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _restarts(pod: Object) -> int:
    statuses = status_of(pod).get("containerStatuses") or []
    return max((int(each.get("restartCount") or 0) for each in statuses), default=0)
