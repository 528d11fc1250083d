"""Whose alert it is and why: the same answer as intake's, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from responder.cli.attribution import attribute
from responder.rules.load import load_rules
from responder.rules.model import RuleSet
from responder.workloads.key import WorkloadKey
from tests.shared import CHECKOUT

OURS = {"namespace": "payments", "deployment": "payment-service"}
RULE = "payment-service/high-error-rate"


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    """The reference file, and one of another service whose rule has a matcher."""
    content = yaml.safe_load((CHECKOUT / "rules" / "payment-service.yaml").read_text(encoding="utf-8"))
    (tmp_path / "payment-service.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    content["service"] = "checkout"
    content["workload"] = {"namespace": "shop", "deployment": "checkout"}
    content["alerts"]["high-error-rate"]["match"] = ['alertname="CheckoutErrors"']
    (tmp_path / "checkout.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_rules(tmp_path)


def test_by_its_rule_label(rules: RuleSet) -> None:
    found = attribute({**OURS, "responder_rule": RULE}, rules)
    assert found.workload == WorkloadKey("payments", "Deployment", "payment-service")
    assert [rule.id for rule in found.rules] == [RULE]
    assert found.why == "its label responder_rule names the rule"


def test_by_matchers(rules: RuleSet) -> None:
    labels = {"namespace": "shop", "deployment": "checkout", "alertname": "CheckoutErrors"}
    found = attribute(labels, rules)
    assert [rule.id for rule in found.rules] == ["checkout/high-error-rate"]
    assert "matchers" in found.why


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"deployment": "payment-service"}, "it carries no label namespace"),
        ({"namespace": "payments"}, "it carries none of the labels deployment, statefulset, daemonset"),
        ({**OURS, "daemonset": "agent"}, "it names more than one workload, by deployment and daemonset"),
        (
            {"namespace": "payments", "deployment": "other", "responder_rule": RULE},
            "no rule file speaks of deployment payments/other; rule files speak of deployment shop/checkout,"
            " deployment payments/payment-service",
        ),
        (OURS, "it carries no label responder_rule, and no rule of"),
        ({**OURS, "responder_rule": "gone/x"}, "names 'gone/x', which is in no rule file"),
        (
            {**OURS, "responder_rule": "checkout/high-error-rate"},
            "names checkout/high-error-rate, a rule about deployment shop/checkout and not about deployment"
            " payments/payment-service",
        ),
        (
            {"namespace": "shop", "deployment": "checkout", "alertname": "Other"},
            'rule checkout/high-error-rate wants alertname="CheckoutErrors"',
        ),
    ],
)
def test_why_not(rules: RuleSet, labels: dict[str, str], why: str) -> None:
    found = attribute(labels, rules)
    assert (found.workload, found.rules) == (None, ())
    assert rules.match(labels) == ()
    assert why in found.why
