"""The bodies of the Prometheus HTTP API's answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

from responder.sandbox.prometheus.formatting import format_number, format_scientific, rfc3339
from responder.sandbox.prometheus.promql import Matrix, RangeSeries, Value
from responder.sandbox.prometheus.rulefile import AlertingRule, RecordingRule
from responder.sandbox.prometheus.rules import ActiveAlert, AlertState, GroupState, RuleState

Json = dict[str, Any]

NEVER = "0001-01-01T00:00:00Z"
"""How Go writes the zero time."""


def value_answer(value: Value, time_ms: int) -> Json:
    """The data of an instant query."""
    if isinstance(value, float):
        return {"resultType": "scalar", "result": _point(time_ms, value)}
    if isinstance(value, str):
        return {"resultType": "string", "result": [_seconds(time_ms), value]}
    if isinstance(value, Matrix):
        return matrix_answer(value.series)
    if isinstance(value, list):
        elements = [{"metric": dict(one.labels), "value": _point(time_ms, one.value)} for one in value]
        return {"resultType": "vector", "result": elements}
    assert_never(value)


def matrix_answer(series: Iterable[RangeSeries]) -> Json:
    """The data of a range query: series sorted by their labels."""
    result = [
        {
            "metric": dict(one.labels),
            "values": [_point(*point) for point in zip(one.times, one.values, strict=True)],
        }
        for one in sorted(series, key=lambda one: one.labels)
    ]
    return {"resultType": "matrix", "result": result}


def _point(time_ms: int, value: float) -> list[Any]:
    return [_seconds(time_ms), format_number(value)]


def _seconds(time_ms: int) -> int | float:
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def alerts_answer(groups: Iterable[GroupState]) -> Json:
    """The data of /api/v1/alerts: what is pending or firing."""
    alerts = [alert for group in groups for state in group.rules for alert in state.alerts()]
    return {"alerts": [_alert(alert) for alert in alerts]}


def rules_answer(groups: Iterable[GroupState]) -> Json:
    """The data of /api/v1/rules."""
    return {
        "groups": [
            {
                "name": state.group.name,
                "file": state.group.file,
                "rules": [_rule(rule) for rule in state.rules],
                "interval": state.interval.total_seconds(),
                "limit": 0,
                "evaluationTime": 0,
                "lastEvaluation": _instant(state.evaluated_at),
            }
            for state in groups
        ]
    }


def _rule(state: RuleState) -> Json:
    health = "err" if state.error else "unknown" if state.evaluated_at is None else "ok"
    common: Json = {
        "name": state.rule.name,
        "query": state.rule.query.text,
        "labels": state.rule.labels,
        "health": health,
        "evaluationTime": 0,
        "lastEvaluation": _instant(state.evaluated_at),
    }
    if state.error:
        common["lastError"] = state.error
    if isinstance(state.rule, RecordingRule):
        return {**common, "type": "recording"}
    if isinstance(state.rule, AlertingRule):
        return {**common, **_alerting(state, state.rule), "type": "alerting"}
    assert_never(state.rule)


def _alerting(state: RuleState, rule: AlertingRule) -> Json:
    alerts = state.alerts()
    states = {alert.state for alert in alerts}
    worst = next(
        (one for one in (AlertState.FIRING, AlertState.PENDING) if one in states), AlertState.INACTIVE
    )
    return {
        "state": worst.value,
        "duration": rule.hold.total_seconds(),
        "keepFiringFor": 0,
        "annotations": rule.annotations,
        "alerts": [_alert(alert) for alert in alerts],
    }


def _alert(alert: ActiveAlert) -> Json:
    return {
        "labels": dict(alert.labels),
        "annotations": alert.annotations,
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_at),
        "value": format_scientific(alert.value),
    }


def _instant(at: datetime | None) -> str:
    return NEVER if at is None else rfc3339(at)
