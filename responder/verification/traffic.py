"""Does the target revision serve all traffic, as one Snapshot shows it? Pure; one small function a check.

Every check says passed, failed or unknown with names and numbers. Called by the traffic proof; what each kind
of workload says of its rollout is for rollout.py.
"""

from __future__ import annotations

from responder.verdicts import Verdict, failed, passed, unknown
from responder.verification.claim import Claim
from responder.verification.revert import find_revert
from responder.verification.rollout import assess_rollout
from responder.verification.services import assess_services
from responder.verification.snapshot import Snapshot
from responder.verification.wording import join_some
from responder.workloads.owners import OUR_MANAGER, REVERTED, last_writer
from responder.workloads.revision import Revision
from responder.workloads.templates import same_template
from responder.workloads.views import Pod
from responder.workloads.workload import Workload

SUPERSEDED = "Superseded"
# With these the proof is over: the world has moved on.
OVERTAKEN = frozenset({SUPERSEDED, *REVERTED})

# Of a look that lacks no more than these nothing follows, good or bad: an annotator that touches the
# workload causes them, and no pod has moved.
INCONCLUSIVE = frozenset({"Settled", "GenerationObserved"})


def assess_traffic(snapshot: Snapshot, claim: Claim) -> tuple[Verdict, ...]:
    """Judge every part of the claim; it holds only when all of these verdicts passed."""
    workload = snapshot.workload
    return (
        check_identity(workload, claim),
        check_template(workload, claim),
        check_settled(snapshot),
        check_rolls_out(workload),
        check_replicas(workload),
        check_observed(workload, claim),
        *assess_rollout(snapshot.history, claim),
        check_target_pods(snapshot, claim),
        check_other_pods(snapshot, claim),
        *assess_services(snapshot, claim),
    )


def check_identity(workload: Workload, claim: Claim) -> Verdict:
    """It is still the workload that was rolled back, not one deleted or made anew."""
    if workload.uid != claim.workload_uid:
        message = f"The {claim.key} was deleted and made anew since the rollback."
        return failed("SameWorkload", SUPERSEDED, message, uid=workload.uid, expected=claim.workload_uid)
    if workload.terminating:
        return failed("SameWorkload", SUPERSEDED, f"The {claim.key} is being deleted.", uid=workload.uid)
    return passed(
        "SameWorkload", "SameWorkload", f"The {claim.key} is the one rolled back.", uid=workload.uid
    )


def check_template(workload: Workload, claim: Claim) -> Verdict:
    """Its template is still the one that was restored. Generations don't tell: autoscalers raise them.

    Where nobody has written it since, it was never stored as it was sent.
    """
    reverted = find_revert(workload, claim.bad)
    if reverted is not None:
        return reverted
    if not same_template(workload.template, claim.template):
        writer = last_writer(workload.raw)
        if writer is not None and writer.manager == OUR_MANAGER:
            message = (
                f"The pod template of {claim.key} is not the target's, and nobody has written it since the"
                " rollback: something changes it on its way, such as a mutating webhook."
            )
            return failed("TemplateRestored", "AdmissionChangedTemplate", message, at=writer.at)
        message = f"Somebody changed the pod template of {claim.key} after the rollback."
        return failed("TemplateRestored", SUPERSEDED, message, generation=workload.generation)
    return passed("TemplateRestored", "TemplateRestored", "The pod template is the restored one.")


def check_settled(snapshot: Snapshot) -> Verdict:
    """The workload did not change while everything else was read."""
    before, after = snapshot.before.resource_version, snapshot.workload.resource_version
    if not snapshot.settled:
        message = f"The {snapshot.workload.kind} changed while it was looked at."
        return unknown("Settled", "Unsettled", message, before=before, after=after)
    return passed(
        "Settled", "Settled", f"The {snapshot.workload.kind} stood still during the look.", version=after
    )


def check_rolls_out(workload: Workload) -> Verdict:
    """Its controller carries changes out by itself, whatever its counts say."""
    if workload.paused:
        message = f"{workload.kind} {workload.name} is paused, so its rollout stands still: resume it."
        return failed("NotPaused", "Paused", message)
    if workload.rolls_on_delete:
        message = f"{workload.kind} {workload.name} replaces pods only when they are deleted: delete them."
        return failed("NotPaused", "UpdatesOnDelete", message)
    return passed("NotPaused", "NotPaused", f"The {workload.kind} rolls out by itself.")


def check_replicas(workload: Workload) -> Verdict:
    """Some replicas are wanted: with none, every count is right and nothing serves."""
    if workload.replicas == 0:
        why = "belongs on no node" if workload.kind == "DaemonSet" else "is scaled to zero"
        message = f"{workload.kind} {workload.name} {why}: nothing serves, so nothing is proven."
        return unknown("ReplicasWanted", "ZeroReplicas", message, replicas=0)
    return passed(
        "ReplicasWanted",
        "ReplicasWanted",
        f"{workload.replicas} replicas are wanted.",
        replicas=workload.replicas,
    )


def check_observed(workload: Workload, claim: Claim) -> Verdict:
    """The counts were computed from the restored template; this alone says nothing of progress."""
    observed, wanted = workload.count("observedGeneration"), max(workload.generation, claim.generation)
    if observed < wanted:
        message = f"The {workload.kind} controller has seen generation {observed}, not yet {wanted}."
        return failed(
            "GenerationObserved", "GenerationNotObserved", message, observed=observed, generation=wanted
        )
    message = f"The {workload.kind} controller has seen generation {observed}."
    return passed("GenerationObserved", "GenerationObserved", message, observed=observed, generation=wanted)


def check_target_pods(snapshot: Snapshot, claim: Claim) -> Verdict:
    """The target has exactly the wanted pods, each running, ready and staying."""
    target, wanted = snapshot.history.by_uid(claim.target_uid), snapshot.workload.replicas
    pods = snapshot.pods_of(claim.target_uid)
    wrong = [f"{pod.name} {why}" for pod in pods if (why := _why_not_serving(pod, snapshot.workload, target))]
    if wrong:
        message = f"Pods of the target are not all serving: {join_some(wrong)}."
        return failed("TargetPodsReady", "TargetPodsNotReady", message, pods=len(pods), wrong=len(wrong))
    if len(pods) != wanted:
        message = f"The target has {len(pods)} pods where {wanted} are wanted."
        return failed("TargetPodsReady", "TargetPodsMissing", message, pods=len(pods), wanted=wanted)
    message = f"All {wanted} pods of the target are ready."
    return passed("TargetPodsReady", "TargetPodsReady", message, pods=len(pods), wanted=wanted)


def check_other_pods(snapshot: Snapshot, claim: Claim) -> Verdict:
    """No other revision has a pod, by owner UID: a label can be edited, and terminating pods still serve."""
    pods = snapshot.pods_beside(claim.target_uid)
    if pods:
        described = (f"{pod.name}{' (terminating)' if pod.terminating else ''}" for pod in pods)
        message = f"Pods of other revisions are still there: {join_some(described)}."
        leaving = sum(pod.terminating for pod in pods)
        return failed("NoOtherPods", "OtherRevisionPods", message, pods=len(pods), terminating=leaving)
    return passed("NoOtherPods", "NoOtherRevisionPods", "No other revision has a pod.")


def _why_not_serving(pod: Pod, workload: Workload, target: Revision | None) -> str:
    if pod.terminating:
        return "is terminating"
    if not pod.running:
        return f"is {pod.status.get('phase', 'without a phase')}"
    if not pod.ready:
        return "is not ready"
    if target is None:
        return ""
    named = pod.labels.get(workload.hash_label, "")
    if named != target.hash:
        return f"carries the hash label {named!r} instead of {target.hash!r}"
    if not pod.made_by(target.name if workload.kind == "Deployment" else workload.name):
        # A relabelled pod is adopted, owner and all, and goes on running what it was made from.
        return "was made by another controller and adopted"
    return ""
