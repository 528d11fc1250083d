"""There is a workload, a revision to leave and one to go back to, and the undo would be carried out. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.verdicts import Verdict, failed, passed, unknown
from responder.workloads.workload import StatefulSet


def workload_exists(facts: Facts) -> Verdict:
    """The alert maps to one workload, whose controllers have seen its present template."""
    check = "WorkloadExists"
    if facts.history is None:
        return failed(check, "WorkloadNotFound", f"There is no {facts.file.workload} in the cluster.")
    workload = facts.history.workload
    if workload.terminating:
        return failed(check, "WorkloadTerminating", f"The {facts.file.workload} is being deleted.")
    if not workload.observed or facts.bad is None:
        return unknown(
            check,
            "TemplateNotObserved",
            f"The {facts.file.workload} was changed a moment ago and its controller has not seen it yet.",
            generation=workload.generation,
        )
    return passed(check, "WorkloadFound", f"The {facts.file.workload} runs revision {facts.bad.name}.")


def target_exists(facts: Facts) -> Verdict:
    """There is a revision to go back to, and history can tell that it is the one that served before."""
    check = "TargetExists"
    if facts.bad is None:
        return unknown(
            check, "CurrentRevisionUnknown", "Which revision is the current one can't be told yet."
        )
    if facts.target is None:
        return failed(check, "NoPreviousRevision", "No earlier revision is left that ever served well.")
    target = facts.target.revision
    name = target.name
    if target.uid in facts.blamed:
        text = f"Revision {name} itself was to blame for this incident: it is not brought back."
        return failed(check, "TargetWasBlamed", text, target=name)
    if facts.target.unseen and _measured_before(facts):
        text = (
            f"Nobody saw revision {name} serve, but its pods had requests just before {facts.bad.name} began."
        )
        return passed(check, "TargetMeasured", text, target=name)
    if facts.target.between is not None:
        other, why_not = facts.target.between.revision.replica_set, facts.target.why_not
        text = (
            f"Revision {name} is the likely one to go back to, but {other} served in between"
            f" and can't be gone back to: it {why_not}."
        )
        return unknown(check, "HistoryUncertain", text, target=name)
    if not facts.target.certain:
        unseen = "whether it ever served" if facts.target.unseen else "what served in between"
        return unknown(
            check,
            "HistoryUncertain",
            f"Revision {name} is the likely one to go back to, but nobody saw {unseen}.",
            target=name,
        )
    return passed(check, "TargetFound", f"Revision {name} served before {facts.bad.name}.", target=name)


def _measured_before(facts: Facts) -> bool:
    """True where a metric that splits by revision rests on enough samples of the target's own pods.

    Of one that does not split, what was measured before the bad revision may be any other's.
    """
    return any(
        facts.before[leaf].rests_on(facts.file.metrics[leaf.metric].min_samples)
        for leaf, apart in facts.apart.items()
        if apart.new.measured and leaf in facts.before
    )


def not_paused(facts: Facts) -> Verdict:
    """Its controller would carry out the undo: on all pods, and by itself."""
    check, name = "NotPaused", facts.file.workload
    workload = None if facts.history is None else facts.history.workload
    if workload is not None and workload.paused:
        message = f"The {name} is paused: `kubectl rollout resume` it before it can be rolled back."
        return failed(check, "Paused", message)
    if workload is not None and workload.rolls_on_delete:
        message = f"The {name} has the update strategy OnDelete: its pods stay as they are until deleted."
        return failed(check, "UpdatesOnDelete", message)
    if isinstance(workload, StatefulSet) and facts.target is not None and workload.partition > 0:
        kept, target = workload.current_revision, facts.target.revision.name
        if kept != target:
            message = (
                f"The partition of the {name} keeps {workload.partition} pods at {kept}, not at {target}."
            )
            return failed(check, "PartitionHoldsBack", message, partition=workload.partition)
    return passed(check, "NotPaused", "The rollout is not paused.")
