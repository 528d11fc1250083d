"""What Alertmanager sends, what it might send one day, and what nobody should send."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.alerts.model import Alert, AlertGroup
from responder.alerts.parse import Refusal, WebhookError, parse_api_alerts, parse_webhook

# The same examples each time, however busy the machine is.
steady = settings(derandomize=True, deadline=None)

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "HighErrorRate", "namespace": "shop", "deployment": "payment"},
    "annotations": {"summary": "errors"},
    "startsAt": "2026-01-01T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "a1b2c3",
}


def delivery(*alerts: Any, **fields: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "responder",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
        **fields,
    }


def parse(content: Any, max_alerts: int = 3) -> AlertGroup:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse_webhook(body, max_alerts=max_alerts)


def test_a_delivery_is_taken_in_whole() -> None:
    assert parse(delivery(ALERT)) == AlertGroup(
        receiver="responder",
        group_key='{}:{alertname="HighErrorRate"}',
        external_url="http://alertmanager",
        truncated_alerts=0,
        alerts=(
            Alert(
                fingerprint="a1b2c3",
                labels=ALERT["labels"],
                annotations={"summary": "errors"},
                starts_at=datetime(2026, 1, 1, 12, 0, 0, 123456, UTC),
                ends_at=None,
                generator_url="http://prometheus/graph",
            ),
        ),
    )


def test_fields_of_a_later_version_are_passed_over() -> None:
    group = parse(delivery(ALERT | {"mutedBy": [1]}, notificationReason="new", truncatedAlerts=2))
    assert len(group.alerts) == 1
    assert group.truncated_alerts == 2


def test_what_nothing_rests_on_may_be_missing() -> None:
    alert = {key: ALERT[key] for key in ("status", "labels", "startsAt", "fingerprint")}
    assert parse({"version": "4", "alerts": [alert]}).alerts[0].firing


@pytest.mark.parametrize(
    ("fields", "ends_at"),
    [
        ({"status": "firing", "endsAt": "2030-01-01T00:00:00Z"}, None),
        ({"status": "firing", "endsAt": "0001-01-01T00:00:00Z"}, None),
        (
            {"status": "resolved", "endsAt": "2026-01-01T14:30:00+02:00"},
            datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        ),
        ({"status": "resolved", "endsAt": "2026-01-01t12:30:00z"}, datetime(2026, 1, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_only_a_resolved_alert_has_an_end(fields: dict[str, str], ends_at: datetime | None) -> None:
    assert parse(delivery(ALERT | fields)).alerts[0].ends_at == ends_at


def test_no_labels_at_all_is_for_the_intake_to_refuse_not_for_the_parser() -> None:
    assert parse(delivery(ALERT | {"labels": {}})).alerts[0].name == "a1b2c3"


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ALERT.items() if name != key}


@pytest.mark.parametrize(
    ("content", "status", "reason", "message"),
    [
        (b"", 400, Refusal.MALFORMED_JSON, "not JSON"),
        (b'{"version": "4"', 400, Refusal.MALFORMED_JSON, "not JSON"),
        (b"\xff\xfe", 400, Refusal.MALFORMED_JSON, "not JSON"),
        (b"[" * 50_000, 400, Refusal.MALFORMED_JSON, "recursion"),
        (b'{"version": NaN}', 400, Refusal.MALFORMED_JSON, "not JSON"),
        (b'"\\ud800"', 400, Refusal.MALFORMED_JSON, "not JSON"),
        ([], 422, Refusal.WRONG_TYPE, "must be a JSON object"),
        ({}, 422, Refusal.UNKNOWN_VERSION, "None is not known"),
        (delivery(version="5"), 422, Refusal.UNKNOWN_VERSION, "'5' is not known"),
        (delivery(version=4), 422, Refusal.UNKNOWN_VERSION, "takes the string '4'"),
        ({"version": "4"}, 422, Refusal.MISSING_FIELD, "alerts:"),
        (delivery(alerts={}), 422, Refusal.WRONG_TYPE, "alerts:"),
        (delivery(ALERT, 1), 422, Refusal.WRONG_TYPE, "alerts[1]: must be a JSON object"),
        (delivery(truncatedAlerts="1"), 422, Refusal.WRONG_TYPE, "truncatedAlerts:"),
        (delivery(truncatedAlerts=-1), 422, Refusal.INVALID_VALUE, "truncatedAlerts:"),
        (delivery(without("labels")), 422, Refusal.MISSING_FIELD, "alerts[0].labels:"),
        (delivery(ALERT | {"labels": None}), 422, Refusal.WRONG_TYPE, "alerts[0].labels: must be"),
        (delivery(ALERT | {"labels": {"a": 1}}), 422, Refusal.WRONG_TYPE, "alerts[0].labels.a:"),
        (delivery(without("status")), 422, Refusal.MISSING_FIELD, "alerts[0].status:"),
        (delivery(ALERT | {"status": "pending"}), 422, Refusal.INVALID_VALUE, "alerts[0].status:"),
        (delivery(without("startsAt")), 422, Refusal.MISSING_FIELD, "alerts[0].startsAt:"),
        (delivery(ALERT | {"startsAt": 1767225600}), 422, Refusal.INVALID_VALUE, "startsAt: must be a time"),
        (
            delivery(ALERT | {"startsAt": "2026-01-01"}),
            422,
            Refusal.INVALID_VALUE,
            "startsAt: must be a time",
        ),
        (delivery(ALERT | {"startsAt": "2026-01-01T00:00:00"}), 422, Refusal.INVALID_VALUE, "must be a time"),
        (
            delivery(ALERT | {"startsAt": "2026-13-01T00:00:00Z"}),
            422,
            Refusal.INVALID_VALUE,
            "startsAt: month",
        ),
        (delivery(without("fingerprint")), 422, Refusal.MISSING_FIELD, "alerts[0].fingerprint:"),
        (delivery(ALERT | {"fingerprint": ""}), 422, Refusal.INVALID_VALUE, "alerts[0].fingerprint:"),
        (delivery(ALERT | {"status": "resolved"}), 422, Refusal.INVALID_VALUE, "must say when it ended"),
        (delivery(*[ALERT] * 4), 413, Refusal.TOO_MANY_ALERTS, "4 alerts in one delivery, 3 are allowed"),
    ],
)
def test_what_is_refused_says_why(content: Any, status: int, reason: Refusal, message: str) -> None:
    with pytest.raises(WebhookError) as raised:
        parse(content)
    assert (raised.value.http_status, raised.value.reason) == (status, reason)
    assert message in str(raised.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def parse_status(content: Any) -> int:
    """The HTTP status a delivery gets."""
    try:
        parse(content)
    except WebhookError as error:
        return error.http_status
    return 200


@steady
@given(st.sampled_from(sorted(ALERT)), _JSON)
def test_no_value_of_any_field_raises_anything_else(field: str, value: Any) -> None:
    assert parse_status(delivery(ALERT | {field: value})) in (200, 400, 422)


@steady
@given(
    # Naive, as the zone is drawn apart.
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
def test_an_instant_is_the_same_in_every_zone(local: datetime, offset: timedelta) -> None:
    sign = "-" if offset < timedelta(0) else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    text = f"{local.isoformat(timespec='microseconds')}789{sign}{hours:02}:{minutes:02}"
    alert = parse(delivery(ALERT | {"startsAt": text})).alerts[0]
    assert alert.starts_at == (local - offset).replace(tzinfo=UTC)


def test_the_apis_alerts_all_fire() -> None:
    body = json.dumps([without("status") | {"endsAt": "2026-01-01T12:05:00Z", "status": {"state": "active"}}])
    (alert,) = parse_api_alerts(body.encode())
    assert alert.firing


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]", b"<html>"])
def test_the_apis_answer_is_checked_as_well(body: bytes) -> None:
    with pytest.raises(WebhookError):
        parse_api_alerts(body)
