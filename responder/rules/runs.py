"""For how long a condition was true at short range, and whether that is more than chance. Pure.

With little traffic a single failed request is a large share of a short window. Called by guards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from responder.rules.conditions import Comparison, Condition, combine, holds
from responder.rules.facts import Series, step_of
from responder.rules.model import Metric


@dataclass(frozen=True, slots=True)
class Run:
    """A condition was true at every instant from `first` to `last`.

    `sure` says whether enough was counted for it to mean something: bad samples where the metric counts them,
    and False where too few of these show that it may be chance. None where that can't be told.
    """

    first: datetime
    last: datetime
    sure: bool | None


def find_runs(
    condition: Condition,
    truths: Mapping[datetime, bool | None],
    series: Mapping[str, Series],
    counted: Mapping[Comparison, Series],
    metrics: Mapping[str, Metric],
) -> tuple[Run, ...]:
    """The runs of instants at which the condition was true, oldest first, as `truths` are.

    `counted` are the bad samples, or where a metric does not count those the samples, in each short window.
    """
    step = step_of(truths) or timedelta()
    found = []
    for truth, group in groupby(truths, key=lambda at: truths[at]):
        instants = tuple(group)
        if truth is True:

            def sure_of(leaf: Comparison, instants: tuple[datetime, ...] = instants) -> bool | None:
                values = series.get(leaf.metric, {})
                bad = [at for at in instants if holds(leaf, {leaf.metric: values.get(at)})]
                return _is_sure(metrics[leaf.metric], counted.get(leaf, {}), bad, step)

            found.append(Run(instants[0], instants[-1], combine(condition, sure_of)))
    return tuple(found)


def _is_sure(metric: Metric, counted: Series, instants: list[datetime], step: timedelta) -> bool | None:
    """True when enough was counted over these instants' windows; None where that can't be told."""
    bad_counted = metric.bad_samples is not None
    needed = metric.min_bad_samples if bad_counted else metric.min_samples
    counts = [counted[at] for at in instants if at in counted]
    # Windows overlap: what lies in several of them is counted once.
    together = sum(counts) * min(1.0, step / metric.onset_range)
    if max([together, *counts]) >= needed:
        return True
    return False if bad_counted and len(counts) == len(instants) else None
