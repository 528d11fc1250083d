"""Alerts move from pending to firing to resolved, and are due to be sent, exactly when Prometheus says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox.prometheus.formatting import to_ms
from responder.sandbox.prometheus.labels import label_value, labels_of
from responder.sandbox.prometheus.promql import parse_query
from responder.sandbox.prometheus.rulefile import RuleFileError, parse_rule_file
from responder.sandbox.prometheus.rules import AlertState, GroupState
from responder.sandbox.prometheus.tsdb import Tsdb

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = """
groups:
- name: payments
  rules:
  - record: pod:load
    expr: load * 2
    labels: {team: payments}
  - alert: TooMuch
    expr: pod:load > 10
    for: 20s
    labels: {severity: page}
    annotations: {summary: "{{ $labels.pod }} has {{ $value }}"}
"""
LOAD = labels_of({"__name__": "load", "pod": "a"})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Stage:
    """A group over one series `load{pod="a"}`."""

    def __init__(self, rules: str = RULES) -> None:
        self.tsdb = Tsdb()
        (group,) = parse_rule_file(rules, "rules.yml")
        self.group = GroupState(group, timedelta(seconds=10))

    def evaluate(self, seconds: float, load: float | None) -> None:
        if load is not None:
            self.tsdb.append(LOAD, to_ms(at(seconds)), load)
        self.group.evaluate(self.tsdb, at(seconds))

    def states(self) -> list[AlertState]:
        return [alert.state for alert in self.group.rules[1].active.values()]

    def query(self, text: str, seconds: float) -> dict[str, float]:
        vector = parse_query(text).vector_at(self.tsdb, to_ms(at(seconds)))
        return {label_value(one.labels, "alertstate") or "-": one.value for one in vector}


def test_fires_when_the_condition_held_for_its_time_and_not_before() -> None:
    stage = Stage()
    seen = []
    for seconds, load in ((0, 1.0), (10, 6.0), (20, 6.0), (30, 7.0), (40, 7.0), (50, 1.0)):
        stage.evaluate(seconds, load)
        seen.append(stage.states())

    pending, firing, over = [AlertState.PENDING], [AlertState.FIRING], [AlertState.INACTIVE]
    assert seen == [[], pending, pending, firing, firing, over]
    (alert,) = stage.group.rules[1].active.values()
    assert (alert.active_at, alert.fired_at, alert.resolved_at) == (at(10), at(30), at(50))
    assert dict(alert.labels) == {"alertname": "TooMuch", "pod": "a", "severity": "page", "team": "payments"}
    assert alert.annotations == {"summary": "a has 14"}


def test_a_gap_while_pending_starts_the_time_anew() -> None:
    stage = Stage()
    for seconds, load in ((0, 6.0), (10, 1.0), (20, 6.0), (30, 6.0)):
        stage.evaluate(seconds, load)

    (alert,) = stage.group.rules[1].active.values()
    assert (alert.state, alert.active_at) == (AlertState.PENDING, at(20))


def test_a_resolved_alert_is_kept_for_a_quarter_of_an_hour() -> None:
    stage = Stage()
    for seconds, load in ((0, 6.0), (20, 6.0), (30, 1.0), (30 + 900, 1.0)):
        stage.evaluate(seconds, load)
    assert stage.states() == [AlertState.INACTIVE]

    stage.evaluate(30 + 901, 1.0)

    assert stage.states() == []


def test_writes_alerts_and_their_onset_as_series() -> None:
    stage = Stage()
    for seconds, load in ((0, 6.0), (10, 6.0)):
        stage.evaluate(seconds, load)
    assert stage.query("ALERTS", 10) == {"pending": 1.0}

    stage.evaluate(20, 6.0)
    assert stage.query("ALERTS", 20) == {"firing": 1.0}
    assert stage.query("ALERTS_FOR_STATE", 20) == {"-": START.timestamp()}

    stage.evaluate(30, 1.0)
    assert stage.query("ALERTS", 30) == {}
    assert stage.query("ALERTS_FOR_STATE", 30) == {}


def test_a_recorded_series_ends_with_its_source() -> None:
    stage = Stage()
    stage.evaluate(0, 6.0)
    assert stage.query('pod:load{team="payments"}', 0) == {"-": 12.0}

    stage.tsdb.mark_stale(LOAD, to_ms(at(10)))
    stage.evaluate(10, None)

    assert stage.query("pod:load", 10) == {}


def test_a_rule_that_can_not_be_evaluated_says_so_and_keeps_its_alerts() -> None:
    stage = Stage(RULES.replace("for: 20s", "for: 0s"))
    stage.evaluate(0, 6.0)
    assert stage.states() == [AlertState.FIRING]

    # Both become the same series once the rule's label replaces the metric's own.
    other = labels_of({"__name__": "load", "pod": "a", "team": "x"})
    stage.tsdb.append(other, to_ms(at(10)), 8.0)
    stage.evaluate(10, 6.0)

    assert "same labelset" in stage.group.rules[0].error
    assert stage.group.rules[1].error == ""
    assert stage.states() == [AlertState.FIRING]


def test_is_due_when_new_when_resolved_and_after_the_resend_delay() -> None:
    stage = Stage(RULES.replace("for: 20s", "for: 10s"))
    delay = timedelta(seconds=60)
    due_at = []
    for seconds in range(0, 300, 10):
        stage.evaluate(seconds, 6.0 if seconds < 100 else 1.0)
        for alert in stage.group.rules[1].active.values():
            if alert.is_due(at(seconds), delay):
                alert.last_sent_at = at(seconds)
                due_at.append(seconds)

    assert due_at == [10, 80, 100, 170, 240]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "groups: [{name: g, rules: [{alert: A, record: b, expr: up}]}]",
            "exactly one of 'record' and 'alert'",
        ),
        ("groups: [{name: g, rules: [{expr: up}]}]", "exactly one of 'record' and 'alert'"),
        ("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]", "rule A: parse error"),
        ("groups: [{name: g, rules: [{alert: A, expr: up, for: 5x}]}]", "not a valid duration"),
        ("groups: [{name: g, ruls: []}]", "Extra inputs are not permitted"),
        ("groups: [", "not YAML"),
    ],
)
def test_refuses_a_file_that_prometheus_would_refuse(text: str, reason: str) -> None:
    with pytest.raises(RuleFileError) as raised:
        parse_rule_file(text, "bad.yml")

    assert str(raised.value).startswith("bad.yml: ")
    assert reason in str(raised.value)
