"""The trouble is there now, and alerted of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from responder.rules.conditions import Comparison, comparisons, holds
from responder.rules.facts import Facts, step_of, truths_of, values_of
from responder.rules.guards.cause import find_onset
from responder.rules.guards.wording import no_answer, numbers, said, what_lacks
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, failed, passed, unknown


def still_true(facts: Facts) -> Verdict:
    """The condition holds now and at short range, on enough samples, and its alert still fires."""
    check = "StillTrue"
    condition = facts.rule.condition
    onset = find_onset(facts)
    evidence = numbers(facts) | ({} if onset is None else {"since": onset.isoformat()})
    truth = facts.holds_now(condition)
    if truth is None:
        return _untold(facts, evidence)
    if not truth and not facts.false_now(condition):
        text = f"{condition} does not hold, but on too few samples to mean something"
        return unknown(check, "TooFewSamples", f"{text}: {said(facts)}.", **evidence)
    if not truth:
        return failed(
            check, "ConditionFalse", f"{condition} does not hold any more: {said(facts)}.", **evidence
        )
    lacking = {
        leaf: what_lacks(facts.file.metrics[leaf.metric], facts.measurements[leaf], bad_needed=True)
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
        return unknown(check, "NoAlertFires", f"{text}: {said(facts)}.", **evidence)
    return _holds_lately(facts, evidence) or passed(
        check, "ConditionTrue", f"{condition} holds: {said(facts)}.", **evidence
    )


def _untold(facts: Facts, evidence: Mapping[str, str | float | None]) -> Verdict:
    """Why it can't be told whether the condition holds."""
    check, condition = "StillTrue", facts.rule.condition
    if facts.trouble:
        return no_answer(check, facts, **evidence)
    without = [leaf.metric for leaf in comparisons(condition) if _divides_by_nothing(facts, leaf)]
    if without:
        text = f"{without[0]} is no number now, as a ratio is while there is no traffic"
        return unknown(check, "NotANumber", f"{text}: {said(facts)}.", **evidence)
    return unknown(
        check, "NoData", f"Prometheus has no value for {condition} now: {said(facts)}.", **evidence
    )


def _holds_lately(facts: Facts, evidence: Mapping[str, str | float | None]) -> Verdict | None:
    """None where the trouble goes on: the long range still holds what ended, or went stale, minutes ago."""
    check, condition = "StillTrue", facts.rule.condition
    metrics = {leaf.metric: facts.file.metrics[leaf.metric] for leaf in comparisons(condition)}
    # Where the series goes back for days its steps are longer than the short range.
    step = step_of(facts.truths) or timedelta()
    span = 2 * max(step, *(metric.onset_range for metric in metrics.values()))
    lately = [truth for at, truth in facts.truths.items() if at > facts.now - span]
    if not facts.truths or True in lately:
        return None
    since = format_duration(span)
    if False not in lately and facts.trouble:
        return no_answer(check, facts, **evidence)
    if False not in lately:
        text = f"{condition} holds over the long range, but nothing was measured at short range for {since}"
        return unknown(check, "DataStale", f"{text}: {said(facts)}.", **evidence)
    text = f"{condition} holds over the long range, and at short range not once in the last {since}"
    enough = {
        name: {at: value for at, value in facts.series.get(name, {}).items() if at > facts.now - span}
        for leaf, measured in facts.measurements.items()
        if (name := leaf.metric) in metrics
        and (measured.samples or 0.0) * min(1.0, span / measured.range) >= metrics[name].min_samples
    }
    if False not in truths_of(condition, enough).values():
        return unknown(check, "TooFewSamples", f"{text}, on too few samples: {said(facts)}.", **evidence)
    return failed(check, "OverAtShortRange", f"{text}: it is over. {said(facts)}.", **evidence)


def _divides_by_nothing(facts: Facts, leaf: Comparison) -> bool:
    measured = facts.measurements.get(leaf)
    return measured is not None and measured.value is not None and not measured.measured
