"""What a rule file says, once it is read and found right. Pure data, built by the loader, read by all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from responder.alerts.model import RULE_LABEL
from responder.rules.conditions import AllOf, AnyOf, Comparison, Condition, comparisons
from responder.rules.findings import Location, RuleWarning
from responder.rules.matchers import Matcher
from responder.rules.promql import workload_labels
from responder.rules.quantities import Unit
from responder.workloads.key import WorkloadKey, parse_workload_labels

__all__ = [
    "Action",
    "AllOf",
    "AnyOf",
    "Channel",
    "Comparison",
    "Condition",
    "Dependency",
    "GitOps",
    "Metric",
    "Mode",
    "OnExpiry",
    "RollbackPolicy",
    "Rule",
    "RuleFile",
    "RuleSet",
    "Unit",
    "strongest",
]

# How often Alertmanager tells of changes in a group; the rendered route says the same.
GROUP_INTERVAL = timedelta(seconds=10)
# One scrape and one evaluation of prometheus/prometheus.yml, by which an alert can lag behind its metric.
SCRAPE_AND_EVALUATION = timedelta(seconds=30)

# Below 300 requests one unlucky error more or less moves a ratio by a third of a percent.
MIN_SAMPLES = 300
# Fewer bad events than five are as likely chance as fault.
MIN_BAD_SAMPLES = 5


class Action(StrEnum):
    """What a firing rule asks for, from the weakest to the strongest."""

    NONE = "none"
    ASK = "ask"
    ROLLBACK = "rollback"


def strongest(actions: Iterable[Action]) -> Action:
    """The action that wins when several rules fire; none when none does."""
    return max(actions, key=list(Action).index, default=Action.NONE)


class Channel(StrEnum):
    """Who is told."""

    SLACK = "slack"
    PAGERDUTY = "pagerduty"


class OnExpiry(StrEnum):
    """What happens when nobody decides in time."""

    PAGE = "page"
    ROLLBACK = "rollback"
    NOTHING = "nothing"


class Mode(StrEnum):
    """Whether the file's decisions are carried out or only told."""

    ACT = "act"
    OBSERVE = "observe"


class GitOps(StrEnum):
    """What happens where somebody else decides what the workload runs: Argo CD, Flux, Helm, an operator."""

    REFUSE = "refuse"
    ASK = "ask"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Metric:
    """A named PromQL template with its unit.

    `query`, `samples` and `bad_samples` hold $selector, $range, $threshold and $quantile. `samples` counts
    what the value rests on in the range, `bad_samples` the bad ones among them (None: not countable).
    `onset_range` is the short range that finds when it began. With fewer than `min_samples`, or fewer bad
    ones than `min_bad_samples`, a value proves nothing bad.
    """

    name: str
    unit: Unit
    range: timedelta
    query: str
    samples: str
    bad_samples: str | None
    quantile: float | None
    onset_range: timedelta
    min_samples: int = MIN_SAMPLES
    min_bad_samples: int = MIN_BAD_SAMPLES


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert of a rule file. `matchers` are set where somebody else's Prometheus rule fires it."""

    id: str
    service: str
    name: str
    condition: Condition
    for_: timedelta
    severity: str
    action: Action
    notify: frozenset[Channel]
    on_expiry: OnExpiry
    decide_within: timedelta
    matchers: tuple[Matcher, ...]
    location: Location

    @property
    def alert_name(self) -> str:
        """The alertname of the rendered Prometheus rule: PaymentServiceHighErrorRate."""
        words = f"{self.service}-{self.name}".replace(".", "-").split("-")
        return "".join(word.capitalize() for word in words)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something the service calls, and the condition under which it is bad.

    `workload` says whose series `$selector` stands for: None is the service's own, of calls that it counts.
    """

    name: str
    condition: Condition
    workload: WorkloadKey | None


@dataclass(frozen=True, slots=True)
class RollbackPolicy:
    """When a rollback may happen, and when it counts as done.

    `hold` None: derived from the readiness probe. `settle` None: see RuleFile.settle_time. `recover_within`
    None: the metric's range, `good_windows` and a margin.
    """

    # A day later too much else has changed for "back to the previous revision" to be a safe answer.
    window: timedelta = timedelta(hours=24)
    # Errors that begin over an hour after the rollout more often have another cause.
    caused_within: timedelta = timedelta(hours=1)
    # The promise to users: the previous version serves everything within five minutes of the patch.
    within: timedelta = timedelta(minutes=5)
    recover_within: timedelta | None = None
    # A second automatic rollback so soon means that the first did not help: a person has to look.
    cooldown: timedelta = timedelta(hours=1)
    # How long the metric must have been good before the onset: an old fault isn't put down to a new rollout.
    clean_gap: timedelta = timedelta(minutes=10)
    hold: timedelta | None = None
    settle: timedelta | None = None
    # One good window may be luck, three in a row hardly ever.
    good_windows: int = 3
    # Whoever deploys it would bring the bad revision back: a person should know, and change Git as well.
    gitops: GitOps = GitOps.ASK


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One service's rules. `deciders` are the Slack user ids who may decide; empty restricts nobody.

    `warnings` say what in the file is allowed but hardly meant.
    """

    path: str
    service: str
    workload: WorkloadKey
    services: tuple[str, ...]
    mode: Mode
    metrics: Mapping[str, Metric]
    rules: tuple[Rule, ...]
    rollback: RollbackPolicy
    slack_channel: str | None
    deciders: tuple[str, ...]
    warnings: tuple[RuleWarning, ...] = ()
    dependencies: tuple[Dependency, ...] = ()

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select this workload's series, for $selector."""
        return workload_labels(self.workload)

    @property
    def settle_time(self) -> timedelta:
        """How long after the proof alerts can still be echoes of what was rolled back.

        Derived from the slowest rule: its range still holds old errors, then `for` passes, then it tells.
        """
        if self.rollback.settle is not None:
            return self.rollback.settle
        slowest = max(
            (
                rule.for_ + max(self.metrics[leaf.metric].range for leaf in comparisons(rule.condition))
                for rule in self.rules
            ),
            default=timedelta(),
        )
        return slowest + GROUP_INTERVAL + SCRAPE_AND_EVALUATION


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rule files of a directory: at most one a workload, and rule ids unique among them."""

    files: tuple[RuleFile, ...]
    _by_rule: Mapping[str, tuple[Rule, RuleFile]] = field(init=False, repr=False, compare=False)
    _by_workload: Mapping[WorkloadKey, RuleFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_rule = {rule.id: (rule, file) for file in self.files for rule in file.rules}
        object.__setattr__(self, "_by_rule", by_rule)
        object.__setattr__(self, "_by_workload", {file.workload: file for file in self.files})

    def match(self, labels: Mapping[str, str]) -> tuple[Rule, ...]:
        """The rules that an alert with these labels stands for; none unless they name the rules' workload.

        The responder_rule label decides where it names a rule; otherwise every rule whose matchers all match.
        """
        workload = parse_workload_labels(labels)
        file = self._by_workload.get(workload) if workload is not None else None
        if file is None:
            return ()
        rule, owner = self._by_rule.get(labels.get(RULE_LABEL, ""), (None, None))
        if rule is not None:
            return (rule,) if owner is file else ()
        return tuple(
            rule
            for rule in file.rules
            if rule.matchers and all(matcher.matches(labels) for matcher in rule.matchers)
        )

    def match_any(self, labels: Iterable[Mapping[str, str]]) -> tuple[Rule, ...]:
        """The rules that any of these alerts stands for, each once."""
        return tuple(dict.fromkeys(rule for each in labels for rule in self.match(each)))

    def file_of(self, rule: Rule) -> RuleFile:
        """The file a rule of this set stands in. A KeyError for a rule of another set."""
        return self._by_rule[rule.id][1]

    def file_for(self, workload: WorkloadKey) -> RuleFile | None:
        """The file that speaks of this workload, or None."""
        return self._by_workload.get(workload)

    def workloads(self) -> tuple[WorkloadKey, ...]:
        """Every workload some file speaks of."""
        return tuple(self._by_workload)
