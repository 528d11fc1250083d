"""Whoever else decides what the workload runs does not undo the undo, or a person knows that it may. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.rules.model import GitOps
from responder.verdicts import Verdict, failed, passed, unknown
from responder.workloads.owners import DRIVING, PAUSABLE, Owner, OwnerKind

_CHECK = "OwnerAllows"
# What a person can't overrule: it would be void, or the rule file rules it out.
NEVER_OVERRULED = frozenset({"OwnerDrives", "OwnerRefused"})

_ELSEWHERE = {
    OwnerKind.ARGO_CD: "revert the commit in Git",
    OwnerKind.KUSTOMIZATION: "revert the commit in Git",
    OwnerKind.HELM_RELEASE: "revert the commit in Git",
    OwnerKind.HELM: "use `helm rollback`",
    OwnerKind.FLAGGER: "act on the Canary",
    OwnerKind.ARGO_ROLLOUTS: "use `kubectl argo rollouts abort` or `undo`",
    OwnerKind.CONTROLLER: "act on that object",
}


def owner_allows(facts: Facts) -> Verdict:
    """Nobody else decides what it runs, or the rule file's `gitops` allows to pause the one who does."""
    if not facts.drivers_seen:
        right = "add the component deploy/components/progressive-delivery"
        text = f"Nobody may look whether a Canary or a Rollout drives the {facts.file.workload}: {right}."
        return unknown(_CHECK, "DriversUnseen", text)
    if not facts.owners:
        return passed(_CHECK, "Unmanaged", f"Nobody else decides what the {facts.file.workload} runs.")
    driving = next((owner for owner in facts.owners if owner.kind in DRIVING), None)
    if driving is not None:
        text = f"{_said(driving)} drives the {facts.file.workload}, and an undo underneath it proves nothing"
        return _failed("OwnerDrives", f"{text}: {_ELSEWHERE[driving.kind]}.", facts)
    owner = facts.owners[0]
    if facts.file.rollback.gitops is GitOps.REFUSE:
        text = f"{_said(owner)} deploys the {facts.file.workload}, and the rule file says `gitops: refuse`"
        return _failed("OwnerRefused", f"{text}: {_ELSEWHERE[owner.kind]}.", facts)
    if facts.file.rollback.gitops is GitOps.PAUSE and len(facts.owners) == 1 and owner.kind in PAUSABLE:
        return _pausing(owner, facts)
    several = len(facts.owners) > 1
    who = " and ".join(map(_said, facts.owners))
    text = f"{who} {'deploy' if several else 'deploys'} the {facts.file.workload}"
    return _failed(
        "OwnerAsks", f"{text} and may bring the bad revision back: {_ELSEWHERE[owner.kind]}.", facts
    )


def _pausing(owner: Owner, facts: Facts) -> Verdict:
    """What the look ahead of the pause found."""
    looked = facts.pausing
    if looked is None:
        return unknown(_CHECK, "PauseUntold", f"Whether {owner} can be paused was not looked at.")
    if looked.refusal:
        text = f"{_said(owner)} can't be paused, and may bring the bad revision back: {looked.refusal}"
        return _failed("OwnerNotPausable", text, facts)
    if looked.untold:
        return unknown(_CHECK, "PauseUntold", f"Whether {owner} can be paused can't be told: {looked.untold}")
    if not looked.needed:
        return passed(_CHECK, "OwnerStandsStill", f"{owner} syncs nothing by itself now.", owner=str(owner))
    return passed(_CHECK, "OwnerWillBePaused", f"{owner} is paused before the undo.", owner=str(owner))


def _said(owner: Owner) -> str:
    return f"{owner} (by {owner.evidence})"


def _failed(reason: str, message: str, facts: Facts) -> Verdict:
    return failed(_CHECK, reason, message, owner=", ".join(map(str, facts.owners)))
