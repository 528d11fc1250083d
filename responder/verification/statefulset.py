"""What a StatefulSet says of the rollout that an undo began, and the pod that holds it up. Pure.

Called by rollout.py, and by the traffic proof for the pod.
Source: Kubernetes pkg/controller/statefulset/stateful_set_control.go.
"""

from __future__ import annotations

from datetime import datetime

from responder.verdicts import Verdict, failed, passed
from responder.verification.claim import Claim
from responder.verification.snapshot import Snapshot
from responder.workloads.history import History
from responder.workloads.views import Pod, parse_time
from responder.workloads.workload import StatefulSet

_COUNTS = ("replicas", "updatedReplicas", "currentReplicas", "readyReplicas", "availableReplicas")


def check_stateful_complete(workload: StatefulSet, history: History, claim: Claim) -> Verdict:
    """All pods are of the target, ready and available; the set rolls neither to nor from another revision."""
    wanted, target = workload.replicas, history.by_uid(claim.target_uid)
    counts = {field: workload.count(field) for field in _COUNTS}
    text = ", ".join(f"{field} {count}" for field, count in counts.items())
    if target is None or workload.update_revision != target.name:
        message = f"The StatefulSet brings its pods to {workload.update_revision or 'no revision yet'}."
        return failed("RolloutComplete", "AnotherUpdateRevision", message, update=workload.update_revision)
    if workload.current_revision != target.name or any(count != wanted for count in counts.values()):
        message = (
            f"The rollout is not complete: of {wanted} wanted, {text};"
            f" it comes from {workload.current_revision or 'no revision'}."
        )
        return failed("RolloutComplete", "RolloutIncomplete", message, wanted=wanted, **counts)
    return passed(
        "RolloutComplete", "RolloutComplete", f"Of {wanted} wanted, {text}.", wanted=wanted, **counts
    )


def find_blocking_pod(snapshot: Snapshot, claim: Claim) -> Pod | None:
    """The pod of another revision for which an ordered rollout waits, as it is not ready; None without one.

    The controller replaces no pod while one is not ready, and so not that one either: whoever is never ready
    is never replaced. It waits for the lowest ordinal: where that is a pod of the target, or one on its way
    out, nothing is gained by deleting another, which would not even come back.
    Source: https://github.com/kubernetes/kubernetes/issues/67250
    """
    workload, target = snapshot.workload, snapshot.history.by_uid(claim.target_uid)
    if not isinstance(workload, StatefulSet) or not workload.ordered or workload.rolls_on_delete:
        return None
    seen = workload.count("observedGeneration") >= claim.generation
    if not seen or target is None or workload.update_revision != target.name:
        return None
    unready = (pod for pod in snapshot.owned_pods if not pod.ready or pod.terminating)
    waited_for = min(unready, key=_ordinal, default=None)
    if waited_for is None or waited_for.terminating:
        return None
    beside = {pod.uid for pod in snapshot.pods_beside(claim.target_uid)}
    return waited_for if waited_for.uid in beside else None


def _ordinal(pod: Pod) -> tuple[int, str]:
    """Its place in the set. Source: Kubernetes pkg/controller/statefulset/stateful_set_utils.go."""
    number = pod.name.rpartition("-")[2]
    return (int(number) if number.isascii() and number.isdigit() else 0, pod.name)


def not_ready_since(pod: Pod) -> datetime:
    """Since when it is not ready: it never was, or it has stopped being so."""
    changed = pod.ready_since
    return pod.created_at if changed is None else parse_time(changed)
