"""Has the rollout come to the target, by what the workload's own status says? Pure; a way for each kind.

Called by traffic.py, which asks the pods and the Services as well: a status alone proves nothing.
"""

from __future__ import annotations

from responder.verdicts import Verdict, failed, passed
from responder.verification.claim import Claim
from responder.verification.daemonset import check_daemon_complete
from responder.verification.deployment import assess_deployment
from responder.verification.statefulset import check_stateful_complete
from responder.workloads.history import History
from responder.workloads.views import REVISION
from responder.workloads.workload import StatefulSet


def assess_rollout(history: History, claim: Claim) -> tuple[Verdict, ...]:
    """The verdicts on the rollout, in the words of the workload's kind."""
    workload, target = history.workload, check_target(history, claim)
    if workload.kind == "Deployment":
        return assess_deployment(history, claim, target)
    if isinstance(workload, StatefulSet):
        return (check_stateful_complete(workload, history, claim), target)
    return (check_daemon_complete(workload), target)


def check_target(history: History, claim: Claim) -> Verdict:
    """The target is the revision that the controller uses for the restored template."""
    target, current = history.by_uid(claim.target_uid), history.current
    if target is None:
        message = f"The {claim.key} no longer owns the target revision."
        return failed("TargetChosen", "TargetGone", message, uid=claim.target_uid)
    if target.terminating:
        return failed("TargetChosen", "TargetTerminating", f"Revision {target.name} is being deleted.")
    if current is None or current.uid != target.uid:
        used = "none" if current is None else current.name
        message = f"The controller uses revision {used} for this template, not {target.name}."
        return failed("TargetChosen", "TargetNotChosen", message, target=target.name, chosen=used)
    numbers = [each.number for each in history.revisions if each.number is not None]
    number = str(target.number)
    # Only a Deployment says which number is its current one.
    kind, told = history.workload.kind, history.workload.annotations.get(REVISION)
    announced = told if kind == "Deployment" else number
    if target.number != max(numbers, default=None) or announced != number:
        message = f"Revision {target.name}, number {number}, is not yet the current one of the {kind}."
        return failed("TargetChosen", "RevisionNotCurrent", message, revision=number, announced=announced)
    message = f"Revision {target.name}, number {number}, is the current one."
    return passed("TargetChosen", "TargetChosen", message, target=target.name, revision=target.number)
