"""There is not far more to do than before the trouble began. Pure; a part of the cause.

Clients that try again after an error add bad requests, never good ones: where the good ones alone are so many
more, there is more demand.
"""

from __future__ import annotations

from datetime import datetime
from statistics import median

from responder.rules.conditions import Comparison
from responder.rules.facts import Facts
from responder.rules.guards.wording import clock, no_answer
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, unknown

# Twice the load is another load; less is an ordinary hour.
_FAR_MORE = 2.0


def doubt_demand(check: str, facts: Facts, onset: datetime) -> Verdict | None:
    """Whether the demand, not the release, may be the cause; None where nothing speaks for that."""
    for leaf in facts.holding:
        load = facts.loads.get(leaf.metric, {})
        if not load and facts.trouble:
            return no_answer(check, facts)
        verdict = _compare(check, facts, leaf, onset)
        if verdict is not None:
            return verdict
    return None


def _compare(check: str, facts: Facts, leaf: Comparison, onset: datetime) -> Verdict | None:
    metric, load = facts.file.metrics[leaf.metric], facts.loads.get(leaf.metric, {})
    bad = {} if metric.bad_samples is None else facts.counted.get(leaf, {})
    # A window that ends just before the onset may hold the beginning of what caused it.
    until = onset - metric.onset_range
    since = until - facts.file.rollback.clean_gap
    before = [count for at, count in load.items() if since <= at <= until]
    lately = facts.now - metric.onset_range
    good = [max(0.0, count - bad.get(at, 0.0)) for at, count in load.items() if at > lately]
    if not before or not good:
        return None
    usual, now = median(before), median(good)
    if now < _FAR_MORE * usual or not now:
        return None
    over = format_duration(metric.onset_range)
    what = "good samples" if metric.bad_samples is not None else "samples"
    text = f"There are far more {what} of {metric.name} than before {clock(onset)}, when it began:"
    return unknown(
        check,
        "LoadChanged",
        f"{text} {now:.0f} in {over}, where {usual:.0f} were all. The load may be the cause.",
        onset=onset.isoformat(),
        before=usual,
        now=now,
    )
