"""Does the target revision serve all traffic, as one Snapshot shows it? Pure; one small function a check.

Every check says passed, failed or unknown with names and numbers. Called by the traffic proof.
Source: Kubernetes pkg/controller/deployment/util DeploymentComplete, and stricter.
"""

from __future__ import annotations

from responder.verdicts import Verdict, failed, passed, unknown
from responder.verification.claim import Claim
from responder.verification.services import assess_services
from responder.verification.snapshot import Snapshot
from responder.verification.wording import join_some
from responder.workloads.history import History
from responder.workloads.templates import same_template
from responder.workloads.views import REVISION, Deployment, Pod, ReplicaSet

SUPERSEDED = "Superseded"

# Of a look that lacks no more than these nothing follows, good or bad: an annotator that touches the
# Deployment causes them, and no pod has moved.
INCONCLUSIVE = frozenset({"Settled", "GenerationObserved"})


def assess_traffic(snapshot: Snapshot, claim: Claim) -> tuple[Verdict, ...]:
    """Judge every part of the claim; it holds only when all of these verdicts passed."""
    deployment, history = snapshot.deployment, snapshot.history
    return (
        check_identity(deployment, claim),
        check_template(deployment, claim),
        check_settled(snapshot),
        check_paused(deployment),
        check_replicas(deployment),
        check_observed(deployment, claim),
        check_complete(deployment),
        check_progressing(deployment, claim),
        check_target(history, claim),
        check_target_counts(history, claim),
        check_other_replicasets(history, claim),
        check_target_pods(snapshot, claim),
        check_other_pods(snapshot, claim),
        *assess_services(snapshot, claim),
    )


def check_identity(deployment: Deployment, claim: Claim) -> Verdict:
    """It is still the Deployment that was rolled back, not one deleted or made anew."""
    if deployment.uid != claim.deployment_uid:
        message = f"The {claim.key} was deleted and made anew since the rollback."
        return failed(
            "SameDeployment", SUPERSEDED, message, uid=deployment.uid, expected=claim.deployment_uid
        )
    if deployment.terminating:
        return failed("SameDeployment", SUPERSEDED, f"The {claim.key} is being deleted.", uid=deployment.uid)
    return passed(
        "SameDeployment", "SameDeployment", f"The {claim.key} is the one rolled back.", uid=deployment.uid
    )


def check_template(deployment: Deployment, claim: Claim) -> Verdict:
    """Its template is still the one that was restored. Generations don't tell: autoscalers raise them."""
    if not same_template(deployment.template, claim.template):
        message = f"Somebody changed the pod template of {claim.key} after the rollback."
        return failed("TemplateRestored", SUPERSEDED, message, generation=deployment.generation)
    return passed("TemplateRestored", "TemplateRestored", "The pod template is the restored one.")


def check_settled(snapshot: Snapshot) -> Verdict:
    """The Deployment did not change while everything else was read."""
    before, after = snapshot.before.resource_version, snapshot.after.resource_version
    if not snapshot.settled:
        message = "The Deployment changed while it was looked at."
        return unknown("Settled", "Unsettled", message, before=before, after=after)
    return passed("Settled", "Settled", "The Deployment stood still during the look.", version=after)


def check_paused(deployment: Deployment) -> Verdict:
    """A paused Deployment does not roll out, whatever its counts say."""
    if deployment.paused:
        message = f"Deployment {deployment.name} is paused, so its rollout stands still: resume it."
        return failed("NotPaused", "Paused", message)
    return passed("NotPaused", "NotPaused", "The Deployment is not paused.")


def check_replicas(deployment: Deployment) -> Verdict:
    """Some replicas are wanted: with none, every count is right and nothing serves."""
    if deployment.replicas == 0:
        message = f"Deployment {deployment.name} is scaled to zero: nothing serves, so nothing is proven."
        return unknown("ReplicasWanted", "ZeroReplicas", message, replicas=0)
    return passed(
        "ReplicasWanted",
        "ReplicasWanted",
        f"{deployment.replicas} replicas are wanted.",
        replicas=deployment.replicas,
    )


def check_observed(deployment: Deployment, claim: Claim) -> Verdict:
    """The counts were computed from the restored template; this alone says nothing of progress."""
    observed, wanted = deployment.count("observedGeneration"), max(deployment.generation, claim.generation)
    if observed < wanted:
        message = f"The Deployment controller has seen generation {observed}, not yet {wanted}."
        return failed(
            "GenerationObserved", "GenerationNotObserved", message, observed=observed, generation=wanted
        )
    message = f"The Deployment controller has seen generation {observed}."
    return passed("GenerationObserved", "GenerationObserved", message, observed=observed, generation=wanted)


def check_complete(deployment: Deployment) -> Verdict:
    """All replicas are updated, ready and available, none is left over and none is on its way out."""
    wanted = deployment.replicas
    fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    counts = {field: deployment.count(field) for field in fields}
    leaving = deployment.count("terminatingReplicas")
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


def check_progressing(deployment: Deployment, claim: Claim) -> Verdict:
    """The undo has not missed the progress deadline.

    The bad rollout's ProgressDeadlineExceeded can outlive the undo; its time is unchanged then.
    """
    condition = deployment.condition("Progressing") or {}
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


def check_target(history: History, claim: Claim) -> Verdict:
    """The target is the ReplicaSet that the controller uses for the restored template."""
    target, current = history.by_uid(claim.target_uid), history.current
    if target is None:
        message = f"The {claim.key} no longer owns the target ReplicaSet."
        return failed("TargetChosen", "TargetGone", message, uid=claim.target_uid)
    if target.terminating:
        return failed("TargetChosen", "TargetTerminating", f"ReplicaSet {target.name} is being deleted.")
    if current is None or current.uid != target.uid:
        used = "none" if current is None else current.name
        message = f"The controller uses ReplicaSet {used} for this template, not {target.name}."
        return failed("TargetChosen", "TargetNotChosen", message, target=target.name, chosen=used)
    numbers = [rs.revision for rs in history.replicasets if rs.revision is not None]
    announced = history.deployment.annotations.get(REVISION)
    if target.revision != max(numbers, default=None) or announced != str(target.revision):
        message = (
            f"Revision {target.revision} of ReplicaSet {target.name} is not yet the Deployment's current one."
        )
        return failed(
            "TargetChosen", "RevisionNotCurrent", message, revision=target.revision, announced=announced
        )
    message = f"ReplicaSet {target.name} is revision {target.revision}, the current one."
    return passed("TargetChosen", "TargetChosen", message, target=target.name, revision=target.revision)


def check_target_counts(history: History, claim: Claim) -> Verdict:
    """The target's own counts, from a status that has seen its latest spec, are all the wanted number."""
    target, wanted = history.by_uid(claim.target_uid), history.deployment.replicas
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


def check_other_replicasets(history: History, claim: Claim) -> Verdict:
    """Every other ReplicaSet of the Deployment wants no pod and has none."""
    others = [rs for rs in history.replicasets if rs.uid != claim.target_uid]
    holding = [rs for rs in others if not _empty(rs)]
    if holding:
        message = f"Other ReplicaSets still hold pods: {join_some(map(_describe_counts, holding))}."
        return failed("OtherReplicaSetsEmpty", "OtherReplicaSetsActive", message, holding=len(holding))
    message = f"{len(others)} other ReplicaSets, all empty."
    return passed("OtherReplicaSetsEmpty", "OtherReplicaSetsEmpty", message, others=len(others))


def check_target_pods(snapshot: Snapshot, claim: Claim) -> Verdict:
    """The target has exactly the wanted pods by owner UID, each running, ready and staying."""
    target, wanted = snapshot.history.by_uid(claim.target_uid), snapshot.deployment.replicas
    pods = snapshot.live_pods(frozenset({claim.target_uid}))
    wrong = [f"{pod.name} {why}" for pod in pods if (why := _why_not_serving(pod, target))]
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
    others = frozenset(rs.uid for rs in snapshot.history.replicasets) - {claim.target_uid}
    pods = snapshot.live_pods(others)
    if pods:
        described = (f"{pod.name}{' (terminating)' if pod.terminating else ''}" for pod in pods)
        message = f"Pods of other revisions are still there: {join_some(described)}."
        leaving = sum(pod.terminating for pod in pods)
        return failed("NoOtherPods", "OtherRevisionPods", message, pods=len(pods), terminating=leaving)
    return passed("NoOtherPods", "NoOtherRevisionPods", "No other revision has a pod.")


def _why_not_serving(pod: Pod, target: ReplicaSet | None) -> str:
    if pod.terminating:
        return "is terminating"
    if not pod.running:
        return f"is {pod.status.get('phase', 'without a phase')}"
    if not pod.ready:
        return "is not ready"
    if target is not None and pod.hash != target.hash:
        return f"carries the hash label {pod.hash!r} instead of {target.hash!r}"
    if target is not None and not pod.made_by(target.name):
        # A relabelled pod is adopted, owner and all, and goes on running what it was made from.
        return "was made by another ReplicaSet and adopted"
    return ""


def _empty(rs: ReplicaSet) -> bool:
    return rs.observed and not (rs.replicas or rs.count("replicas") or rs.count("terminatingReplicas"))


def _describe_counts(rs: ReplicaSet) -> str:
    return (
        f"{rs.name} (wants {rs.replicas}, has {rs.count('replicas')},"
        f" terminating {rs.count('terminatingReplicas')})"
    )
