"""Log lines carry no secrets; metrics carry the names that dashboards rely on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from responder.telemetry import Metrics, Repeats, bind_incident, configure_logging, redact


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the process's logging back afterwards."""
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    before = root.handlers, root.level, access.level
    yield
    root.handlers, root.level, access.level = before
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_are_json_stamped_by_our_clock_and_bound_to_their_incident(
    capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    configure_logging("json", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    log = structlog.get_logger("responder.test")
    with bind_incident("shop", "deployment-payment-1"):
        log.info("decided", action="rollback")
    logging.getLogger("aiohttp.server").warning("from %s", "a library")
    ours, theirs = lines(capsys)
    assert ours == {
        "event": "decided",
        "action": "rollback",
        "incident": "shop/deployment-payment-1",
        "logger": "responder.test",
        "level": "info",
        "at": "2026-01-01T00:00:00+00:00",
    }
    assert (theirs["event"], theirs["at"]) == ("from a library", "2026-01-01T00:00:00+00:00")
    assert "incident" not in theirs


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"slack_bot_token": "x"}, {"slack_bot_token": "[redacted]"}),
        (
            {"headers": {"Authorization": "x", "Accept": "y"}},
            {"headers": {"Authorization": "[redacted]", "Accept": "y"}},
        ),
        ({"calls": [{"routing_key": "x"}]}, {"calls": [{"routing_key": "[redacted]"}]}),
        ({"key": "fine", "count": 3}, {"key": "fine", "count": 3}),
    ],
)
def test_secrets_are_blanked_wherever_they_hide(event: dict[str, Any], expected: dict[str, Any]) -> None:
    assert redact(None, "info", event) == expected


def test_what_lies_too_deep_to_look_through_is_not_shown() -> None:
    nested: Any = {"token": "hunter2"}
    for _ in range(20):
        nested = {"inner": [nested]}
    assert "hunter2" not in json.dumps(redact(None, "info", {"event": "x", "payload": nested}))


def test_the_metrics_have_the_names_that_are_relied_on() -> None:
    metrics = Metrics()
    metrics.webhooks.labels("refused", "MalformedJSON").inc()
    metrics.alerts.labels("firing").inc()
    metrics.alerts_refused.labels("NoWorkload").inc()
    metrics.incidents.labels("RolledBack", "Recovered").inc()
    metrics.decisions.labels("rollback", "AllGuardsPassed").inc()
    metrics.rollbacks.labels("applied").inc()
    metrics.notifications.labels("slack", "sent").inc()
    metrics.open_incidents.set(1)
    metrics.ready.set(True)
    metrics.step_seconds.labels("intake").observe(0.2)
    text = metrics.render().decode()
    for line in (
        'responder_webhooks_total{reason="MalformedJSON",result="refused"} 1.0',
        'responder_alerts_total{status="firing"} 1.0',
        'responder_alerts_refused_total{reason="NoWorkload"} 1.0',
        'responder_incidents_total{outcome="RolledBack",reason="Recovered"} 1.0',
        'responder_decisions_total{action="rollback",reason="AllGuardsPassed"} 1.0',
        'responder_rollbacks_total{result="applied"} 1.0',
        'responder_notifications_total{channel="slack",result="sent"} 1.0',
        "responder_open_incidents 1.0",
        "responder_ready 1.0",
        "responder_leading 0.0",
        'responder_step_seconds_bucket{le="0.25",step="intake"} 1.0',
    ):
        assert line in text.splitlines()


def test_two_apps_do_not_meet_in_one_registry() -> None:
    first, second = Metrics(), Metrics()
    first.open_incidents.set(5)
    assert "responder_open_incidents 0.0" in second.render().decode()


def test_a_line_that_repeats_is_written_every_30_seconds_and_says_how_often(
    capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    configure_logging("json", lambda: at)
    log = structlog.get_logger("responder.test")
    for second in range(61):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        log.warning("kubernetes_retry", error="no connection")
    log.warning("kubernetes_retry", error="another error")
    shown = [(line["at"][17:19], line["error"], line.get("repeated")) for line in lines(capsys)]
    assert shown == [
        ("00", "no connection", None),
        ("30", "no connection", 29),
        ("00", "no connection", 29),
        ("00", "another error", None),
    ]


def test_lines_of_two_incidents_and_tracebacks_are_no_repeats(
    capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    configure_logging("json", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    log = structlog.get_logger("responder.test")
    for name in ("first", "second"):
        with bind_incident("shop", name):
            log.error("step_failed")
    for _ in range(2):
        log.error("broken", exc_info=ValueError("why"))
    assert [line["event"] for line in lines(capsys)] == ["step_failed", "step_failed", "broken", "broken"]


def test_what_is_remembered_of_written_lines_is_bounded() -> None:
    repeats = Repeats(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(257):
        repeats(None, "info", {"event": "x", "number": number})
    assert repeats(None, "info", {"event": "x", "number": 0}) == {"event": "x", "number": 0}
    with pytest.raises(structlog.DropEvent):
        repeats(None, "info", {"event": "x", "number": 256})
