"""The alerts about the responder itself: who is paged, and reasons that the program really gives."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from responder.alerts.parse import Refusal
from responder.rules.model import Channel
from responder.sandbox.prometheus.rulefile import parse_rule_file
from responder.telemetry import Metrics
from tests.shared import CHECKOUT

RULES = CHECKOUT / "prometheus" / "rules" / "responder.yml"
TESTS = CHECKOUT / "prometheus" / "tests" / "responder_test.yml"


def alerts() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_all_page_past_the_responder_but_the_one_that_strangers_can_cause() -> None:
    paging = {"severity": "critical", "responder_fallback": "pagerduty"}
    told = {name: rule["labels"] for name, rule in alerts().items() if rule["labels"] != paging}
    assert told == {"ResponderRefusesStrangers": {"severity": "warning"}}
    assert len(alerts()) == 10


@pytest.mark.parametrize("metric", ["responder_webhooks_total", "responder_alerts_refused_total"])
def test_the_tests_use_reasons_that_there_are(metric: str) -> None:
    known = {
        "responder_webhooks_total": {*Refusal, "IntakeUnavailable", ""},
        "responder_alerts_refused_total": {"Truncated", "IncidentFull"},
    }
    content = TESTS.read_text(encoding="utf-8")
    used = set(re.findall(metric + r'\{.*?reason="(\w*)"', content))
    assert used
    assert used <= known[metric]


def test_one_alert_for_each_reason_leaves_out_only_the_missing_token() -> None:
    excluded = set(re.findall(r'reason!="(\w+)"', alerts()["ResponderRefusesWebhooks"]["expr"]))
    alone = set(re.findall(r'reason="(\w+)"', alerts()["ResponderRefusesStrangers"]["expr"]))
    assert excluded == alone == {Refusal.UNAUTHORIZED}


def test_the_sandbox_reads_them_and_every_metric_exists() -> None:
    (group,) = parse_rule_file(RULES.read_text(encoding="utf-8"), str(RULES))
    assert [rule.name for rule in group.rules] == list(alerts())
    known = set(re.findall(r"^# TYPE (\w+)", Metrics().render().decode(), re.MULTILINE))
    named = {name for rule in alerts().values() for name in re.findall(r"responder_\w+(?=\{)", rule["expr"])}
    assert len(named) == 7
    assert named <= known


def test_what_is_given_up_is_counted_where_the_rule_looks() -> None:
    metrics = Metrics()
    metrics.count_notification(Channel.SLACK.value, "given_up")
    (series,) = set(re.findall(r"responder_\w+(?=\{)", alerts()["ResponderGaveUpTelling"]["expr"]))
    assert f'{series}{{channel="slack"}} 1.0' in metrics.render().decode()
