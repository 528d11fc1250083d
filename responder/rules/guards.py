"""The guards: what has to be true before a rollback may be automatic. The list reads as a checklist. Pure.

Each guard is one small function over the facts. All are evaluated and recorded, whatever the others say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from responder.rules.conditions import comparisons, holds
from responder.rules.facts import Facts, values_of
from responder.rules.measurement import Measurement
from responder.rules.model import Metric
from responder.rules.quantities import format_duration
from responder.verdicts import Result, Verdict, failed, passed, unknown
from responder.workloads.ledger import serving_at

Guard = Callable[[Facts], Verdict]


def workload_exists(facts: Facts) -> Verdict:
    """The alert maps to one workload, whose controllers have seen its present template."""
    check = "WorkloadExists"
    if facts.file.workload.kind != "Deployment":
        message = f"The {facts.file.workload} is no Deployment: people are told, it is not rolled back."
        return failed(check, "KindNotRolledBack", message)
    if facts.history is None:
        return failed(check, "WorkloadNotFound", f"There is no {facts.file.workload} in the cluster.")
    deployment = facts.history.deployment
    if deployment.terminating:
        return failed(check, "WorkloadTerminating", f"The {facts.file.workload} is being deleted.")
    if not deployment.observed or facts.bad is None:
        return unknown(
            check,
            "TemplateNotObserved",
            f"The {facts.file.workload} was changed a moment ago and its controller has not seen it yet.",
            generation=deployment.generation,
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
    target = facts.target.replicaset
    name = target.name
    if target.uid in facts.blamed:
        text = f"Revision {name} itself was to blame for this incident: it is not brought back."
        return failed(check, "TargetWasBlamed", text, target=name)
    if facts.bad.created_at < target.created_at:
        # Whoever went back to an older revision had a reason, which no metric of ours need show.
        text = f"Somebody went back from {name} to the older {facts.bad.name}: it is not brought back."
        return failed(check, "TargetWasBlamed", text, target=name)
    if not facts.target.certain:
        return unknown(
            check,
            "HistoryUncertain",
            f"Revision {name} is the likely one to go back to, but nobody saw what served in between.",
            target=name,
        )
    return passed(check, "TargetFound", f"Revision {name} served before {facts.bad.name}.", target=name)


def not_paused(facts: Facts) -> Verdict:
    """The Deployment is not paused: its controller would not carry out the undo."""
    check = "NotPaused"
    if facts.history is not None and facts.history.deployment.paused:
        return failed(
            check,
            "Paused",
            f"The {facts.file.workload} is paused: `kubectl rollout resume` it before it can be rolled back.",
        )
    return passed(check, "NotPaused", "The rollout is not paused.")


def not_protected(facts: Facts) -> Verdict:
    """The workload is none that nothing automatic may touch."""
    if facts.protected is not None:
        return failed("NotProtected", "Protected", facts.protected)
    return passed("NotProtected", "NotProtected", "The workload is not protected.")


def still_true(facts: Facts) -> Verdict:
    """The condition holds now, asked of Prometheus, on enough samples, and its alert still fires."""
    check = "StillTrue"
    condition = facts.rule.condition
    evidence = _numbers(facts)
    truth = facts.holds_now(condition)
    if truth is None and facts.trouble:
        return unknown(
            check, "PrometheusUnavailable", f"Prometheus did not answer: {facts.trouble}", **evidence
        )
    if truth is None:
        return unknown(
            check, "NoData", f"Prometheus has no value for {condition} now: {_said(facts)}.", **evidence
        )
    if not truth and not facts.false_now(condition):
        text = f"{condition} does not hold, but on too few samples to mean something"
        return unknown(check, "TooFewSamples", f"{text}: {_said(facts)}.", **evidence)
    if not truth:
        return failed(
            check, "ConditionFalse", f"{condition} does not hold any more: {_said(facts)}.", **evidence
        )
    lacking = {
        leaf: _lacking(facts.file.metrics[leaf.metric], facts.measurements[leaf], bad_needed=True)
        for leaf in comparisons(condition)
    }
    # One side of an OR suffices: what lacks samples counts as not measured.
    sound = {leaf: facts.measurements[leaf] for leaf, why in lacking.items() if not why}
    if holds(condition, values_of(condition, sound)) is not True:
        why = next(why for why in lacking.values() if why)
        return unknown(check, "TooFewSamples", f"{condition} holds, but {why}.", **evidence)
    if not facts.firing:
        # Somebody may have silenced it: nothing is done by itself about what nobody is alerted of any more.
        text = f"{condition} holds, but every alert has ended, vanished or been silenced"
        return unknown(check, "NoAlertFires", f"{text}: {_said(facts)}.", **evidence)
    return passed(check, "ConditionTrue", f"{condition} holds: {_said(facts)}.", **evidence)


def inside_window(facts: Facts) -> Verdict:
    """The bad revision began to serve less than `window` ago."""
    check = "InsideRollbackWindow"
    window = facts.file.rollback.window
    if facts.bad is not None and facts.ledger.never_served(facts.bad):
        return failed(
            check, "RevisionNeverServed", f"Revision {facts.bad.name} never served: it can't be the cause."
        )
    began = facts.bad_from
    if facts.bad is None or began is None:
        return unknown(
            check, "BeginningUnknown", "When the current revision began to serve was not seen by anybody."
        )
    age = facts.now - began
    evidence = {"began": began.isoformat(), "window": format_duration(window)}
    if age >= window:
        text = f"Revision {facts.bad.name} has served for {_rough(age)}, longer than the rollback window"
        return failed(check, "OutsideRollbackWindow", f"{text} of {format_duration(window)}.", **evidence)
    return passed(
        check,
        "InsideRollbackWindow",
        f"Revision {facts.bad.name} began to serve {_rough(age)} ago.",
        **evidence,
    )


def caused_by_rollout(facts: Facts) -> Verdict:
    """The trouble began after the current revision began to serve, soon enough, after a clean gap."""
    check = "CausedByRollout"
    began = facts.bad_from
    if facts.bad is None or began is None:
        return unknown(check, "BeginningUnknown", "When the current revision began to serve is not known.")
    truths = facts.truths
    gap_from = began - facts.file.rollback.clean_gap
    before = {at: truth for at, truth in truths.items() if gap_from <= at < began}
    if any(truth is True for truth in before.values()):
        first = min(at for at, truth in before.items() if truth)
        return failed(
            check,
            "OnsetBeforeRollout",
            f"{facts.rule.condition} was already true at {_clock(first)}, before {facts.bad.name} began to"
            f" serve at {_clock(began)}.",
            onset=first.isoformat(),
            began=began.isoformat(),
        )
    if not _covered(facts, before):
        return unknown(
            check,
            "NoDataBeforeRollout",
            f"Prometheus has no values, or too few, from the {format_duration(facts.file.rollback.clean_gap)}"
            f" before {facts.bad.name} began to serve at {_clock(began)}.",
            began=began.isoformat(),
        )
    onset = find_onset(facts)
    if onset is None:
        return unknown(
            check,
            "OnsetNotFound",
            "At short range the condition was not true since the rollout.",
            began=began.isoformat(),
        )
    return _attribute(facts, began, onset)


def _covered(facts: Facts, before: Mapping[datetime, bool | None]) -> bool:
    """True when at least half of the clean gap's steps can be told: one good sample is no clean gap."""
    instants = list(facts.truths)
    # Prometheus leaves out what it has no value for; the shortest distance is the step.
    step = min((later - at for at, later in pairwise(instants)), default=None)
    told = sum(truth is not None for truth in before.values())
    return step is not None and told > 0 and 2 * told * step >= facts.file.rollback.clean_gap


def _attribute(facts: Facts, began: datetime, onset: datetime) -> Verdict:
    """Whether an onset that lies after the rollout is the rollout's doing."""
    check = "CausedByRollout"
    assert facts.bad is not None
    evidence = {"onset": onset.isoformat(), "began": began.isoformat()}
    within = facts.file.rollback.caused_within
    if onset - began > within:
        text = f"It began {_rough(onset - began)} after {facts.bad.name} began to serve"
        return failed(
            check,
            "OnsetTooLate",
            f"{text}: longer than caused_within, {format_duration(within)}.",
            **evidence,
        )
    serving = None if facts.history is None else serving_at(facts.history, facts.ledger, onset)
    if serving is None or serving.uid != facts.bad.uid:
        name = "an unknown revision" if serving is None else serving.name
        return failed(
            check,
            "AnotherRevisionServed",
            f"When it began, {name} was the newest to serve, not {facts.bad.name}.",
            **evidence,
        )
    return passed(
        check,
        "OnsetAfterRollout",
        f"It began {_rough(onset - began)} after {facts.bad.name} began to serve, and not before.",
        **evidence,
    )


def target_was_good(facts: Facts) -> Verdict:
    """The target was seen to serve healthily, or the metric was good on enough samples just before."""
    check = "TargetWasGood"
    began = facts.bad_from
    if facts.target is None or began is None:
        return unknown(check, "TargetUnknown", "Which revision served before, and until when, is not known.")
    name = facts.target.replicaset.name
    seen = facts.ledger.latest_serving(facts.target.replicaset.uid)
    if seen is not None and seen.healthy_until is not None:
        stale = began - seen.healthy_until > facts.file.rollback.clean_gap
        if not stale:
            return passed(
                check,
                "TargetSeenHealthy",
                f"Revision {name} was seen healthy until {_clock(seen.healthy_until)}.",
                healthy_until=seen.healthy_until.isoformat(),
            )
    condition = facts.rule.condition
    truth = holds(condition, values_of(condition, facts.before))
    if truth is None:
        return unknown(
            check, "TargetHealthUnknown", f"Prometheus has no value for {name} from before the rollout."
        )
    if truth:
        return failed(check, "TargetWasBad", f"{condition} was already true of {name}.")
    for leaf in comparisons(condition):
        lacking = _lacking(facts.file.metrics[leaf.metric], facts.before[leaf], bad_needed=False)
        if lacking:
            return unknown(check, "TargetTooFewSamples", f"Of {name} before the rollout {lacking}.")
    return passed(check, "TargetWasGood", f"{condition} was false of {name} just before the rollout.")


def not_again(facts: Facts) -> Verdict:
    """No automatic rollback in the cooldown, no undo of an undo, nothing that a person left alone."""
    check = "NotAgain"
    ledger = facts.ledger
    if ledger.rollbacks and facts.bad is not None and ledger.rollbacks[-1].to_uid == facts.bad.uid:
        done = ledger.rollbacks[-1]
        return failed(
            check,
            "UndoOfUndo",
            f"The current revision is itself the result of the rollback in {done.incident}.",
            incident=done.incident,
        )
    left = next(
        (a for a in ledger.left_alone if facts.bad and a.uid == facts.bad.uid and facts.now < a.until), None
    )
    if left is not None:
        return failed(
            check, "LeftAlone", f"{left.by} decided to leave this revision alone until {_clock(left.until)}."
        )
    cooldown = facts.file.rollback.cooldown
    recent = [done for done in ledger.rollbacks if done.automatic and facts.now - done.at < cooldown]
    if recent:
        return failed(
            check,
            "CooldownActive",
            f"{recent[-1].incident} rolled this workload back {_rough(facts.now - recent[-1].at)} ago,"
            f" inside the cooldown of {format_duration(cooldown)}.",
            incident=recent[-1].incident,
        )
    return passed(check, "FirstInCooldown", f"No automatic rollback in the last {format_duration(cooldown)}.")


def not_frozen(facts: Facts) -> Verdict:
    """Nobody froze the workload, its namespace, or everything."""
    if facts.freezes:
        marks = "; ".join(f"{freeze.where}: {freeze.reason or 'no reason given'}" for freeze in facts.freezes)
        digests = " ".join(sorted(freeze.digest for freeze in facts.freezes))
        return failed("NotFrozen", "Frozen", f"Rollbacks are frozen ({marks}).", marks=digests)
    return passed("NotFrozen", "NotFrozen", "Nothing is frozen.")


# The checklist, in the order people read it.
GUARDS: tuple[Guard, ...] = (
    workload_exists,
    target_exists,
    not_paused,
    not_protected,
    still_true,
    inside_window,
    caused_by_rollout,
    target_was_good,
    not_again,
    not_frozen,
)


def overridable(verdict: Verdict) -> bool:
    """Whether a person may overrule this verdict.

    Not whether workload and target exist (but a likely target may be confirmed), not paused, not protected.
    """
    if verdict.check == "TargetExists":
        return verdict.result is Result.UNKNOWN and verdict.reason == "HistoryUncertain"
    return verdict.check not in ("WorkloadExists", "NotPaused", "NotProtected")


def find_onset(facts: Facts) -> datetime | None:
    """When the trouble of now began at short range, since the current revision began to serve.

    What was over for a clean gap is another trouble: a hiccup right after a rollout puts nothing down to it
    that begins hours later.
    """
    began = facts.bad_from
    if began is None:
        return None
    onset = None
    for at in sorted((at for at, truth in facts.truths.items() if truth and at >= began), reverse=True):
        if onset is not None and onset - at > facts.file.rollback.clean_gap:
            break
        onset = at
    return onset


def _lacking(metric: Metric, measured: Measurement, *, bad_needed: bool) -> str:
    """What is missing for the value to mean something, as a clause; empty when nothing is."""
    samples = measured.samples or 0.0
    if samples < metric.min_samples:
        return (
            f"there were {samples:.0f} samples of {metric.name} in {format_duration(measured.range)},"
            f" of {metric.min_samples} needed"
        )
    if bad_needed and metric.bad_samples is not None:
        bad = measured.bad_samples or 0.0
        if bad < metric.min_bad_samples:
            return f"only {bad:.0f} of them were bad, of {metric.min_bad_samples} needed ({metric.name})"
    return ""


def _numbers(facts: Facts) -> dict[str, str | float | None]:
    """The measured numbers of the leading condition, as evidence."""
    numbers: dict[str, str | float | None] = {}
    for leaf in comparisons(facts.rule.condition):
        measured = facts.measurements.get(leaf)
        if measured is None:
            continue
        numbers[leaf.metric] = measured.value
        numbers[f"{leaf.metric}_threshold"] = leaf.threshold
        numbers[f"{leaf.metric}_samples"] = measured.samples
        numbers[f"{leaf.metric}_range"] = format_duration(measured.range)
    return numbers


def _said(facts: Facts) -> str:
    """The measured values, for a sentence."""
    parts = []
    for leaf in comparisons(facts.rule.condition):
        measured = facts.measurements.get(leaf)
        value = "unknown" if measured is None or measured.value is None else f"{measured.value:.4g}"
        parts.append(f"{leaf.metric} is {value}")
    return ", ".join(parts)


def _rough(duration: timedelta) -> str:
    """A duration for a sentence, to the second."""
    return format_duration(timedelta(seconds=max(0, round(duration.total_seconds()))))


def _clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S UTC")
