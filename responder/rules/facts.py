"""Everything a judgement rests on, read once by the pipeline and handed to `decide`. Pure data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

from responder.rules.conditions import Comparison, Condition, comparisons, holds
from responder.rules.measurement import Measurement
from responder.rules.model import Action, Rule, RuleFile, strongest
from responder.rules.storm import StormBrake, Wish
from responder.workloads.history import History
from responder.workloads.ledger import Ledger
from responder.workloads.owners import Owner
from responder.workloads.revision import Revision
from responder.workloads.target import Target

# A metric's values at short range, by instant; all metrics of one judgement share the instants.
Series = Mapping[datetime, float]


@dataclass(frozen=True, slots=True)
class Question:
    """What people were asked: the digest an answer must carry, and the verdicts it may overrule.

    `awaited` is False for a question that is only on offer, beside an incident that holds or tells. `bad` and
    `target` are the UIDs of the revisions that it was about; None where it was about none.
    """

    digest: str
    action: str
    overridable: tuple[str, ...]
    awaited: bool
    bad: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said to a question."""

    digest: str
    rollback: bool
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """A mark that forbids automatic rollbacks: where it stands and the reason somebody gave."""

    where: str
    reason: str

    @property
    def digest(self) -> str:
        """This mark in sixteen characters: another place or another reason is another mark."""
        return hashlib.sha256(f"{self.where}\n{self.reason}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Apart:
    """One comparison's metric for the current revision's pods alone, and for the target's.

    `new` is of now. `new_beside` and `old_beside` are from while both served, in the same window; None where
    they never did. All are without a value where the metric does not split by revision.
    """

    new: Measurement
    new_beside: Measurement | None = None
    old_beside: Measurement | None = None


@dataclass(frozen=True, slots=True)
class PodCount:
    """How many samples one pod had in a metric's window, and how many bad ones; `hash` is its revision's."""

    pod: str
    hash: str
    samples: float
    bad: float | None


@dataclass(frozen=True, slots=True)
class DependencyState:
    """What was measured of something the service calls: now, and at short range as the service itself."""

    measurements: Mapping[Comparison, Measurement] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    counted: Mapping[Comparison, Series] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a look ahead of the undo found. `unseen` are Secrets that nobody is to look at.

    `unread` is what could not be looked at although it had to be, for want of a right or as it is too much.

    Of the patch's dry run: `refusal` is the server's no, `untold` why there is no answer, `changed` that the
    template did not come back as it was sent.
    """

    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    tried: bool = True
    refusal: str = ""
    untold: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Pausing:
    """What a look ahead of pausing the workload's owner found: not `needed` where it syncs nothing by itself.

    `refusal` says why it can't be paused, `untold` why that can't be told.
    """

    needed: bool = True
    refusal: str = ""
    untold: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """What workloads want of late, this incident's among them, and what would be a storm.

    `received_at` is when this incident's first alert came; `asked` False says that Prometheus told no alerts.
    """

    brake: StormBrake
    received_at: datetime
    wishes: tuple[Wish, ...]
    asked: bool = True


@dataclass(frozen=True)
class Facts:
    """The world as it was read for one judgement.

    `rules` are those of the incident's alerts, `firing` those whose alert has not ended. `history` is None
    when the workload is gone. `bad` is the current revision, `target` the one to go back to.
    `watched` False says that the ledger lags behind: what it lacks may have served all the same.
    `measurements` are taken now, `before` just before `bad` began to serve (on the target's pods where the
    metric splits by pod), `series` at short range from before that until now. `counted` are the bad samples
    in each window of those, or all samples where a metric does not count the bad ones; `loads` are all
    samples, by metric. `answers_spent` counts people's answers that came to nothing in their time: no later
    question is taken for the one they were given to.
    `blamed` are the UIDs of the revisions that this incident was put down to before.
    `apart` and `by_pod` have the comparisons' metrics by revision and by pod, `nodes` the node of each pod of
    `bad` by the pod's name; None where the pods could not be read. `bad_ready_by` is since when the first of
    them has been ready: by then `bad` had begun to serve. `dependencies` go by their names in the rule file.
    `owners` are whoever else decides what the workload runs, not
    all of them where `drivers_seen` is False.
    """

    now: datetime
    incident: str
    file: RuleFile
    rules: tuple[Rule, ...]
    firing: tuple[Rule, ...]
    history: History | None
    ledger: Ledger
    bad: Revision | None
    target: Target | None
    measurements: Mapping[Comparison, Measurement]
    before: Mapping[Comparison, Measurement]
    series: Mapping[str, Series]
    counted: Mapping[Comparison, Series] = field(default_factory=dict)
    loads: Mapping[str, Series] = field(default_factory=dict)
    apart: Mapping[Comparison, Apart] = field(default_factory=dict)
    by_pod: Mapping[Comparison, tuple[PodCount, ...]] = field(default_factory=dict)
    nodes: Mapping[str, str] | None = None
    bad_ready_by: datetime | None = None
    watched: bool = True
    dependencies: Mapping[str, DependencyState] = field(default_factory=dict)
    preflight: Preflight | None = None
    owners: tuple[Owner, ...] = ()
    drivers_seen: bool = True
    pausing: Pausing | None = None
    others: Others | None = None
    freezes: tuple[Freeze, ...] = ()
    protected: str | None = None
    question: Question | None = None
    answer: Answer | None = None
    answers_spent: int = 0
    blamed: tuple[str, ...] = ()
    expired: bool = False
    trouble: str = ""

    @cached_property
    def rule(self) -> Rule:
        """The rule that leads: of the strongest action, rather one whose condition is true now.

        What is measured to be over leaves the lead to a weaker rule, but to none that only tells.
        """
        rules = self.firing or self.rules
        wanting = [rule for rule in rules if rule.action is not Action.NONE]
        rules = tuple(rule for rule in wanting if not self.false_now(rule.condition)) or rules
        wanted = strongest(rule.action for rule in rules)
        leading = [rule for rule in rules if rule.action is wanted]
        return next((rule for rule in leading if self.holds_now(rule.condition)), leading[0])

    @cached_property
    def truths(self) -> Mapping[datetime, bool | None]:
        """The leading condition at each instant of the short-range series, oldest first."""
        return truths_of(self.rule.condition, self.series)

    @cached_property
    def holding(self) -> tuple[Comparison, ...]:
        """The comparisons of the leading condition that are true now."""
        values = values_of(self.rule.condition, self.measurements)
        return tuple(leaf for leaf in comparisons(self.rule.condition) if holds(leaf, values))

    @property
    def to_pause(self) -> Owner | None:
        """The owner that is to be paused around an undo; None where none is, or can be."""
        looked = self.pausing
        if looked is None or not looked.needed or looked.refusal or looked.untold:
            return None
        return self.owners[0]

    @property
    def bad_from(self) -> datetime | None:
        """When the current revision began to serve, where known."""
        return None if self.bad is None else self.ledger.served_from(self.bad)

    def holds_now(self, condition: Condition) -> bool | None:
        """The condition on the values measured now."""
        return holds(condition, values_of(condition, self.measurements))

    def false_now(self, condition: Condition) -> bool:
        """True when the values measured now, on enough samples, make the condition false."""
        return holds(condition, values_of(condition, enough_of(self.file, self.measurements))) is False


def truths_of(condition: Condition, series: Mapping[str, Series]) -> dict[datetime, bool | None]:
    """The condition at each instant of its metrics' series, oldest first."""
    found = {leaf.metric: series.get(leaf.metric, {}) for leaf in comparisons(condition)}
    instants = sorted({at for values in found.values() for at in values})
    return {at: holds(condition, {name: values.get(at) for name, values in found.items()}) for at in instants}


def step_of(instants: Iterable[datetime]) -> timedelta | None:
    """The distance of a series' instants, oldest first; None of fewer than two.

    Prometheus leaves out what it has no value for; the shortest distance is the step.
    """
    return min((later - at for at, later in pairwise(instants)), default=None)


def enough_of(
    file: RuleFile, measurements: Mapping[Comparison, Measurement]
) -> dict[Comparison, Measurement]:
    """Those of the measurements that rest on enough samples for what they show to mean something."""
    return {
        leaf: measured
        for leaf, measured in measurements.items()
        if measured.rests_on(file.metrics[leaf.metric].min_samples)
    }


def values_of(
    condition: Condition, measurements: Mapping[Comparison, Measurement]
) -> dict[str, float | None]:
    """The measured value of each metric in the condition."""
    return {leaf.metric: measurements[leaf].value for leaf in comparisons(condition) if leaf in measurements}
