"""The trouble began after the current revision did, soon enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from responder.rules.conditions import comparisons
from responder.rules.facts import Facts, step_of
from responder.rules.guards.demand import doubt_demand
from responder.rules.guards.wording import clock, no_answer, numbers_at, rough
from responder.rules.quantities import format_duration
from responder.rules.runs import Run, find_runs
from responder.verdicts import Verdict, failed, passed, unknown
from responder.workloads.ledger import serving_at
from responder.workloads.revision import Revision


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
    doubt = _doubt_before(facts, facts.bad, began) or _doubt_gap(facts, facts.bad, began)
    if doubt is not None:
        return doubt
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


def _doubt_before(facts: Facts, bad: Revision, began: datetime) -> Verdict | None:
    """Whether the trouble was there before the rollout, or may have been."""
    check, condition = "CausedByRollout", facts.rule.condition
    earlier = {at: truth for at, truth in facts.truths.items() if at < began}
    found = find_runs(condition, earlier, facts.series, facts.counted, facts.file.metrics)
    runs = [run for run in found if run.last >= began - facts.file.rollback.clean_gap]
    sure = [run for run in runs if run.sure]
    doubtful = [run for run in runs if run.sure is None or _goes_on(facts, run)]
    run = next(iter(sure or doubtful), None)
    if run is None:
        return None
    evidence = {"onset": run.first.isoformat(), "began": began.isoformat(), **numbers_at(facts, run.first)}
    when = f"at {clock(run.first)}, before {bad.name} began to serve at {clock(began)}"
    if run.sure:
        return failed(check, "OnsetBeforeRollout", f"{condition} was already true {when}.", **evidence)
    metrics = {leaf.metric: facts.file.metrics[leaf.metric] for leaf in comparisons(condition)}
    needed = ", ".join(
        f"{metric.min_samples} samples of {name}"
        if metric.bad_samples is None
        else f"{metric.min_bad_samples} bad samples of {name}"
        for name, metric in metrics.items()
    )
    text = f"{condition} was true {when}, but what that rests on is not known to be {needed}"
    return unknown(check, "OnsetMayBeBefore", f"{text}: it may be chance.", **evidence)


def _doubt_gap(facts: Facts, bad: Revision, began: datetime) -> Verdict | None:
    """Whether too little is known of the time before the rollout."""
    gap = facts.file.rollback.clean_gap
    if _covered(facts, {at: truth for at, truth in facts.truths.items() if began - gap <= at < began}):
        return None
    if not facts.truths and facts.trouble:
        return no_answer("CausedByRollout", facts, began=began.isoformat())
    text = f"Prometheus has no values, or too few, from the {format_duration(gap)} before {bad.name} began to"
    text = f"{text} serve at {clock(began)}."
    seldom = next((leaf for leaf, measured in facts.before.items() if measured.measured), None)
    if not facts.truths and seldom is not None:
        metric = facts.file.metrics[seldom.metric]
        short = f"onset_range, {format_duration(metric.onset_range)}"
        text = f"{text} Of {metric.name} over {format_duration(facts.before[seldom].range)} it has some:"
        text = f"{text} {short}, has to be at least twice the scrape interval."
    return unknown("CausedByRollout", "NoDataBeforeRollout", text, began=began.isoformat())


def _goes_on(facts: Facts, run: Run) -> bool:
    """True when the condition stays true after a run that ends with the rollout."""
    return next((truth for at, truth in facts.truths.items() if at > run.last), None) is True


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
    return doubt_demand(check, facts, onset) or passed(
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
