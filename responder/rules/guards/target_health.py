"""The revision to go back to was good. Pure."""

from __future__ import annotations

from responder.rules.conditions import comparisons, holds
from responder.rules.facts import Facts, values_of
from responder.rules.guards.wording import clock, evidence_of, no_answer, what_lacks
from responder.verdicts import Verdict, failed, passed, unknown


def target_was_good(facts: Facts) -> Verdict:
    """The target was seen to serve healthily, or the metric was good on enough samples just before."""
    check = "TargetWasGood"
    began = facts.bad_from
    if facts.target is None or began is None:
        return unknown(check, "TargetUnknown", "Which revision served before, and until when, is not known.")
    name = facts.target.revision.name
    seen = facts.ledger.latest_serving(facts.target.revision.uid)
    if seen is not None and seen.healthy_until is not None:
        stale = began - seen.healthy_until > facts.file.rollback.clean_gap
        if not stale:
            return passed(
                check,
                "TargetSeenHealthy",
                f"Revision {name} was seen healthy until {clock(seen.healthy_until)}.",
                healthy_until=seen.healthy_until.isoformat(),
                **({} if seen.healthy_from is None else {"since": seen.healthy_from.isoformat()}),
            )
    condition = facts.rule.condition
    measured = evidence_of(facts.file, condition, facts.before, facts.file.selector)
    # It may have been asked of the target's pods alone.
    evidence = {key: value for key, value in measured.items() if not key.endswith("_query")}
    truth = holds(condition, values_of(condition, facts.before))
    if truth is None and facts.trouble:
        return no_answer(check, facts, **evidence)
    if truth is None:
        text = f"Prometheus has no value for {name} from before the rollout."
        return unknown(check, "TargetHealthUnknown", text, **evidence)
    if truth:
        return failed(check, "TargetWasBad", f"{condition} was already true of {name}.", **evidence)
    for leaf in comparisons(condition):
        lacking = what_lacks(facts.file.metrics[leaf.metric], facts.before[leaf], bad_needed=False)
        if lacking:
            return unknown(
                check, "TargetTooFewSamples", f"Of {name} before the rollout {lacking}.", **evidence
            )
    text = f"{condition} was false of {name} just before the rollout."
    return passed(check, "TargetWasGood", text, **evidence)
