"""What a Deployment and its ReplicaSets say of the rollout that an undo began. Pure; called by rollout.py.

Source: Kubernetes pkg/controller/deployment/util DeploymentComplete, and stricter.
"""

from __future__ import annotations

from collections.abc import Sequence

from responder.verdicts import Verdict, failed, passed, unknown
from responder.verification.claim import Claim
from responder.verification.wording import join_some
from responder.workloads.history import History
from responder.workloads.revision import ReplicaSet
from responder.workloads.workload import Workload


def assess_deployment(history: History, claim: Claim, target: Verdict) -> tuple[Verdict, ...]:
    """The rollout is over, in time, and every pod is counted by the target alone."""
    workload = history.workload
    replicasets = [each for each in history.revisions if isinstance(each, ReplicaSet)]
    return (
        check_complete(workload),
        check_progressing(workload, claim),
        target,
        check_target_counts(replicasets, workload.replicas, claim),
        check_other_replicasets(replicasets, claim),
    )


def check_complete(workload: Workload) -> Verdict:
    """All replicas are updated, ready and available, none is left over and none is on its way out."""
    wanted = workload.replicas
    fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    counts = {field: workload.count(field) for field in fields}
    leaving = workload.count("terminatingReplicas")
    text = ", ".join(f"{field} {count}" for field, count in counts.items())
    if any(count != wanted for count in counts.values()):
        message = f"The rollout is not complete: of {wanted} wanted, {text}."
        return failed("RolloutComplete", "RolloutIncomplete", message, wanted=wanted, **counts)
    if leaving:
        message = f"{leaving} pods of the Deployment are still terminating."
        return failed("RolloutComplete", "PodsTerminating", message, terminatingReplicas=leaving)
    return passed(
        "RolloutComplete", "RolloutComplete", f"Of {wanted} wanted, {text}.", wanted=wanted, **counts
    )


def check_progressing(workload: Workload, claim: Claim) -> Verdict:
    """The undo has not missed the progress deadline.

    The bad rollout's ProgressDeadlineExceeded can outlive the undo; its time is unchanged then.
    """
    condition = workload.condition("Progressing") or {}
    since = condition.get("lastUpdateTime")
    if condition.get("reason") != "ProgressDeadlineExceeded":
        return passed(
            "WithinProgressDeadline", "WithinProgressDeadline", "The progress deadline is not exceeded."
        )
    if since == claim.stale_progressing_at:
        message = "The exceeded progress deadline is that of the rollout before the rollback."
        return passed("WithinProgressDeadline", "StaleProgressDeadline", message, since=since)
    message = f"The rollback itself exceeded the progress deadline: {condition.get('message', '')}"
    return failed("WithinProgressDeadline", "ProgressDeadlineExceeded", message, since=since)


def check_target_counts(replicasets: Sequence[ReplicaSet], wanted: int, claim: Claim) -> Verdict:
    """The target's own counts, from a status that has seen its latest spec, are all the wanted number."""
    target = next((rs for rs in replicasets if rs.uid == claim.target_uid), None)
    if target is None:
        return unknown("TargetComplete", "TargetGone", "The target ReplicaSet is gone.")
    fields = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    counts = {field: target.count(field) for field in fields}
    text = ", ".join(f"{field} {count}" for field, count in counts.items())
    complete = target.replicas == wanted and all(count == wanted for count in counts.values())
    if not target.observed or not complete:
        message = f"ReplicaSet {target.name} is not complete: of {wanted} wanted, {text}."
        evidence = {"wanted": wanted, "specReplicas": target.replicas, "observed": target.observed}
        return failed("TargetComplete", "TargetIncomplete", message, **evidence, **counts)
    message = f"ReplicaSet {target.name}: of {wanted} wanted, {text}."
    return passed("TargetComplete", "TargetComplete", message, wanted=wanted, **counts)


def check_other_replicasets(replicasets: Sequence[ReplicaSet], claim: Claim) -> Verdict:
    """Every other ReplicaSet of the Deployment wants no pod and has none."""
    others = [rs for rs in replicasets if rs.uid != claim.target_uid]
    holding = [rs for rs in others if not _empty(rs)]
    if holding:
        message = f"Other ReplicaSets still hold pods: {join_some(map(_describe_counts, holding))}."
        return failed("OtherReplicaSetsEmpty", "OtherReplicaSetsActive", message, holding=len(holding))
    message = f"{len(others)} other ReplicaSets, all empty."
    return passed("OtherReplicaSetsEmpty", "OtherReplicaSetsEmpty", message, others=len(others))


def _empty(rs: ReplicaSet) -> bool:
    return rs.observed and not (rs.replicas or rs.count("replicas") or rs.count("terminatingReplicas"))


def _describe_counts(rs: ReplicaSet) -> str:
    return (
        f"{rs.name} (wants {rs.replicas}, has {rs.count('replicas')},"
        f" terminating {rs.count('terminatingReplicas')})"
    )
