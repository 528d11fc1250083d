"""The trouble is there now, and alerted of. Pure."""

from __future__ import annotations

from responder.rules.conditions import Comparison, comparisons, holds
from responder.rules.facts import Facts, values_of
from responder.rules.guards.cause import find_onset
from responder.rules.guards.wording import numbers, said, what_lacks
from responder.verdicts import Verdict, failed, passed, unknown


def still_true(facts: Facts) -> Verdict:
    """The condition holds now, asked of Prometheus, on enough samples, and its alert still fires."""
    check = "StillTrue"
    condition = facts.rule.condition
    onset = find_onset(facts)
    evidence = numbers(facts) | ({} if onset is None else {"since": onset.isoformat()})
    truth = facts.holds_now(condition)
    if truth is None and facts.trouble:
        return unknown(
            check, "PrometheusUnavailable", f"Prometheus did not answer: {facts.trouble}", **evidence
        )
    without = [leaf.metric for leaf in comparisons(condition) if _divides_by_nothing(facts, leaf)]
    if truth is None and without:
        text = f"{without[0]} is no number now, as a ratio is while there is no traffic"
        return unknown(check, "NotANumber", f"{text}: {said(facts)}.", **evidence)
    if truth is None:
        return unknown(
            check, "NoData", f"Prometheus has no value for {condition} now: {said(facts)}.", **evidence
        )
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
    return passed(check, "ConditionTrue", f"{condition} holds: {said(facts)}.", **evidence)


def _divides_by_nothing(facts: Facts, leaf: Comparison) -> bool:
    measured = facts.measurements.get(leaf)
    return measured is not None and measured.value is not None and not measured.measured
