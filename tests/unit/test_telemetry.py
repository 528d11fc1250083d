"""Log lines carry no secrets; metrics carry the names that dashboards rely on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from responder.telemetry import Metrics, bind_incident, configure_logging, redact


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
        'responder_step_seconds_bucket{le="0.25",step="intake"} 1.0',
    ):
        assert line in text.splitlines()


def test_two_apps_do_not_meet_in_one_registry() -> None:
    first, second = Metrics(), Metrics()
    first.open_incidents.set(5)
    assert "responder_open_incidents 0.0" in second.render().decode()
