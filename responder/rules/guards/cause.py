"""The trouble began after the current revision did, soon enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.rules.facts import Facts, step_of
from responder.rules.guards.wording import clock, numbers_at, rough
from responder.rules.quantities import format_duration
from responder.rules.runs import Run, find_runs
from responder.verdicts import Verdict, failed, passed, unknown
from responder.workloads.ledger import serving_at


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
        text = f"Revision {facts.bad.name} has served for {rough(age)}, longer than the rollback window"
        return failed(check, "OutsideRollbackWindow", f"{text} of {format_duration(window)}.", **evidence)
    return passed(
        check,
        "InsideRollbackWindow",
        f"Revision {facts.bad.name} began to serve {rough(age)} ago.",
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
    runs = find_runs(facts.rule.condition, facts.series, facts.counted, facts.file.metrics, until=began)
    runs = tuple(run for run in runs if run.last >= gap_from)
    first = next((run.first for run in runs if run.sure), None)
    if first is not None:
        return failed(
            check,
            "OnsetBeforeRollout",
            f"{facts.rule.condition} was already true at {clock(first)}, before {facts.bad.name} began to"
            f" serve at {clock(began)}.",
            onset=first.isoformat(),
            began=began.isoformat(),
            **numbers_at(facts, first),
        )
    doubtful = next((run.first for run in runs if run.sure is None or _goes_on(facts, run, began)), None)
    if doubtful is not None:
        text = f"{facts.rule.condition} was true at {clock(doubtful)}, before {facts.bad.name} began to serve"
        return unknown(
            check,
            "OnsetMayBeBefore",
            f"{text} at {clock(began)}, but by too few events, or uncounted ones, to tell it from chance.",
            onset=doubtful.isoformat(),
            began=began.isoformat(),
            **numbers_at(facts, doubtful),
        )
    if not _covered(facts, before):
        return unknown(
            check,
            "NoDataBeforeRollout",
            f"Prometheus has no values, or too few, from the {format_duration(facts.file.rollback.clean_gap)}"
            f" before {facts.bad.name} began to serve at {clock(began)}.",
            began=began.isoformat(),
        )
    doubt = _doubt_beginning(facts, began)
    if doubt is not None:
        return doubt
    onset = find_onset(facts)
    if onset is None:
        return unknown(
            check,
            "OnsetNotFound",
            "At short range the condition was not true since the rollout.",
            began=began.isoformat(),
        )
    return _attribute(facts, began, onset)


def _goes_on(facts: Facts, run: Run, began: datetime) -> bool:
    """True when the condition has been true from the run on without a break until after `began`."""
    later = [truth for at, truth in facts.truths.items() if at > run.last]
    return bool(later) and later[0] is True and run.last < began


def _doubt_beginning(facts: Facts, began: datetime) -> Verdict | None:
    """Where the beginning was not seen: whether the trouble may have begun between creation and serving.

    A revision is made some time before it serves, and of that only its pods tell afterwards.
    """
    assert facts.bad is not None
    if facts.ledger.saw_begin(facts.bad.uid):
        return None
    check, name, ready_by = "CausedByRollout", facts.bad.name, facts.bad_ready_by
    if ready_by is None:
        text = f"When {name} began to serve was not seen by anybody, and none of its pods is ready to tell."
        return unknown(check, "BeginningUnknown", text, made=began.isoformat())
    gap_from = max(began, ready_by - facts.file.rollback.clean_gap)
    early = min(
        (at for at, truth in facts.truths.items() if truth and gap_from <= at < ready_by), default=None
    )
    if early is None:
        return None
    return unknown(
        check,
        "BeginningUnknown",
        f"{facts.rule.condition} was true at {clock(early)}. {name} was made before, at {clock(began)}, but"
        f" nobody saw it begin to serve, and its pods have been ready only since {clock(ready_by)}.",
        onset=early.isoformat(),
        made=began.isoformat(),
        ready=ready_by.isoformat(),
        **numbers_at(facts, early),
    )


def _covered(facts: Facts, before: Mapping[datetime, bool | None]) -> bool:
    """True when at least half of the clean gap's steps can be told: one good sample is no clean gap."""
    step = step_of(facts.truths)
    told = sum(truth is not None for truth in before.values())
    return step is not None and told > 0 and 2 * told * step >= facts.file.rollback.clean_gap


def _attribute(facts: Facts, began: datetime, onset: datetime) -> Verdict:
    """Whether an onset that lies after the rollout is the rollout's doing."""
    check = "CausedByRollout"
    assert facts.bad is not None
    evidence = {"onset": onset.isoformat(), "began": began.isoformat(), **numbers_at(facts, onset)}
    within = facts.file.rollback.caused_within
    if onset - began > within:
        text = f"It began {rough(onset - began)} after {facts.bad.name} began to serve"
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
        f"It began {rough(onset - began)} after {facts.bad.name} began to serve, and not before.",
        **evidence,
    )


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
