"""Evaluates rule groups: records series, and moves alerts from pending to firing to resolved.

Keeps ALERTS and ALERTS_FOR_STATE as Prometheus does. Sends nothing itself: the notifier asks what is due.
Source: Prometheus 2.42 rules/alerting.go, rules/manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from responder.sandbox.prometheus.formatting import to_ms
from responder.sandbox.prometheus.labels import METRIC_NAME, Labels, labels_of
from responder.sandbox.prometheus.promql import ExecutionError, PromqlError, Sample, Vector
from responder.sandbox.prometheus.rulefile import AlertingRule, RecordingRule, RuleGroup
from responder.sandbox.prometheus.templates import expand_template
from responder.sandbox.prometheus.tsdb import SeriesLimitError, Tsdb

RESOLVED_RETENTION = timedelta(minutes=15)
"""How long a resolved alert is still sent. Source: Prometheus rules/alerting.go resolvedRetention."""


class AlertState(Enum):
    """The value is the word the HTTP API and ALERTS use."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(slots=True)
class ActiveAlert:
    """One element of an alerting rule; INACTIVE means that it fired and has resolved."""

    labels: Labels
    annotations: dict[str, str]
    value: float
    state: AlertState
    active_at: datetime
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    last_sent_at: datetime | None = None

    def is_due(self, now: datetime, resend_delay: timedelta) -> bool:
        """Whether Alertmanager should hear of it now: new, just resolved, or the resend delay is over."""
        if self.state is AlertState.PENDING:
            return False
        if self.last_sent_at is None:
            return True
        if self.resolved_at is not None and self.resolved_at > self.last_sent_at:
            return True
        return self.last_sent_at + resend_delay < now


@dataclass(slots=True)
class RuleState:
    """A rule with what it remembers between evaluations."""

    rule: RecordingRule | AlertingRule
    active: dict[Labels, ActiveAlert] = field(default_factory=dict)
    stored: set[Labels] = field(default_factory=set)
    evaluated_at: datetime | None = None
    error: str = ""

    def alerts(self) -> list[ActiveAlert]:
        """The pending and firing alerts."""
        return [alert for alert in self.active.values() if alert.state is not AlertState.INACTIVE]


class GroupState:
    """A rule group and its rules' states."""

    def __init__(self, group: RuleGroup, interval: timedelta) -> None:
        self.group = group
        self.interval = group.interval or interval
        self.rules = [RuleState(rule) for rule in group.rules]
        self.evaluated_at: datetime | None = None

    def evaluate(self, tsdb: Tsdb, now: datetime) -> None:
        """Evaluate the rules in order; one that fails keeps its alerts and an error, the others go on."""
        self.evaluated_at = now
        for state in self.rules:
            state.evaluated_at = now
            try:
                samples = list(_evaluate(state, tsdb, now))
                state.error = _store(state, samples, tsdb, to_ms(now))
            except PromqlError as error:
                state.error = str(error)

    def forget(self) -> None:
        """Lose all alerts and errors, as a restart without a disk does."""
        self.rules = [RuleState(rule) for rule in self.group.rules]
        self.evaluated_at = None


def _evaluate(state: RuleState, tsdb: Tsdb, now: datetime) -> Iterable[Sample]:
    vector = state.rule.query.vector_at(tsdb, to_ms(now))
    if isinstance(state.rule, RecordingRule):
        return _recorded(state.rule, vector)
    _update_alerts(state, state.rule, vector, now)
    return _alert_samples(state, state.rule)


def _store(state: RuleState, samples: list[Sample], tsdb: Tsdb, time_ms: int) -> str:
    """Write the samples and end the series that are no longer there; returns why not all could be written."""
    error = ""
    stored = {sample.labels for sample in samples}
    for labels in state.stored - stored:
        tsdb.mark_stale(labels, time_ms)
    for sample in samples:
        try:
            tsdb.append(sample.labels, time_ms, sample.value)
        except SeriesLimitError as limit:
            error = str(limit)
    state.stored = stored
    return error


def _recorded(rule: RecordingRule, vector: Vector) -> list[Sample]:
    samples: dict[Labels, Sample] = {}
    for sample in vector:
        labels = labels_of({**dict(sample.labels), **rule.labels, METRIC_NAME: rule.name})
        if labels in samples:
            raise ExecutionError("vector contains metrics with the same labelset after applying rule labels")
        samples[labels] = Sample(labels, sample.value)
    return list(samples.values())


def _update_alerts(state: RuleState, rule: AlertingRule, vector: Vector, now: datetime) -> None:
    present: set[Labels] = set()
    for sample in vector:
        found = _alert(rule, sample, now)
        if found.labels in present:
            raise ExecutionError("vector contains metrics with the same labelset after applying alert labels")
        present.add(found.labels)
        known = state.active.get(found.labels)
        if known is not None and known.state is not AlertState.INACTIVE:
            known.value, known.annotations = found.value, found.annotations
        else:
            state.active[found.labels] = found
    for labels, alert in list(state.active.items()):
        if labels not in present:
            _resolve(state, alert, now)
        elif alert.state is AlertState.PENDING and now - alert.active_at >= rule.hold:
            alert.state, alert.fired_at = AlertState.FIRING, now


def _alert(rule: AlertingRule, sample: Sample, now: datetime) -> ActiveAlert:
    def expand(texts: dict[str, str]) -> dict[str, str]:
        return {name: expand_template(text, sample.labels, sample.value) for name, text in texts.items()}

    labels = {**dict(sample.labels), **expand(rule.labels), "alertname": rule.name}
    labels.pop(METRIC_NAME, None)
    return ActiveAlert(
        labels_of(labels), expand(rule.annotations), sample.value, AlertState.PENDING, active_at=now
    )


def _resolve(state: RuleState, alert: ActiveAlert, now: datetime) -> None:
    """The expression no longer has the element: a pending alert vanishes, a firing one is kept to be sent."""
    forgotten = alert.resolved_at is not None and now - alert.resolved_at > RESOLVED_RETENTION
    if alert.state is AlertState.PENDING or forgotten:
        del state.active[alert.labels]
    elif alert.state is AlertState.FIRING:
        alert.state, alert.resolved_at = AlertState.INACTIVE, now


def _alert_samples(state: RuleState, rule: AlertingRule) -> list[Sample]:
    samples = []
    for alert in state.alerts():
        labels = dict(alert.labels)
        shown = labels_of({**labels, METRIC_NAME: "ALERTS", "alertstate": alert.state.value})
        since = labels_of({**labels, METRIC_NAME: "ALERTS_FOR_STATE"})
        samples += [Sample(shown, 1.0), Sample(since, float(int(alert.active_at.timestamp())))]
    return samples
