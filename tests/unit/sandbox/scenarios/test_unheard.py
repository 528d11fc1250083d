"""Rule files that a scenario leaves silent are told of, those that it plays are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.rules.load import load_rules
from responder.sandbox.scenarios.load import EXAMPLE, load_scenario
from responder.sandbox.scenarios.unheard import find_unheard, served_metrics
from tests.shared import CHECKOUT

QUICK = EXAMPLE.with_name("quick-rules.yaml")


@pytest.mark.parametrize("rules", [QUICK, CHECKOUT / "rules"])
def test_what_is_played_is_not_warned_of(rules: Path) -> None:
    assert list(find_unheard(load_rules(rules), load_scenario(EXAMPLE))) == []


def test_metrics_that_no_pod_has_are_named_beside_those_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(QUICK.read_text().replace("payment_errors_total", "http_errors_total"))
    (said,) = find_unheard(load_rules(path), load_scenario(EXAMPLE))
    assert said.startswith(f"{path}: asks for http_errors_total, which no simulated pod has")
    assert said.endswith(f"They have {', '.join(served_metrics())}")


def test_a_workload_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(QUICK.read_text().replace("namespace: payments", "namespace: pay"))
    (said,) = find_unheard(load_rules(path), load_scenario(EXAMPLE))
    assert "no workload pay/payment-service, but payments/ledger, payments/payment-service" in said
