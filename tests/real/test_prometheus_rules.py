"""Prometheus' and Alertmanager's own tools on the committed configuration: taken, and firing as tested."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from responder.rules.matchers import parse_matchers
from responder.sandbox.binaries import Binary, require_binary


def _run(binary: Binary, *arguments: str | Path) -> str:
    done = subprocess.run(
        [require_binary(binary), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration_and_its_rules(root: Path) -> None:
    said = _run("promtool", "check", "config", root / "prometheus" / "prometheus.yml")

    assert "2 rule files found" in said


def test_every_alert_passes_its_unit_tests(root: Path) -> None:
    said = _run("promtool", "test", "rules", *sorted((root / "prometheus" / "tests").glob("*.yml")))

    assert said.count("SUCCESS") == len(list((root / "prometheus" / "tests").glob("*.yml")))


def test_alertmanager_takes_the_configuration(root: Path) -> None:
    said = _run("amtool", "check-config", root / "alertmanager" / "alertmanager.yml")

    assert "3 receivers" in said


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("responder_rule=payment-service/slow", "severity=warning"), "responder"),
        (("responder_fallback=pagerduty", "severity=critical"), "pagerduty-fallback"),
        (("responder_fallback=pagerduty", "responder_rule=x/y"), "pagerduty-fallback"),
        (("alertname=SomethingElse", "severity=critical"), "nobody"),
    ],
)
def test_alertmanager_routes(root: Path, labels: tuple[str, ...], receiver: str) -> None:
    config = root / "alertmanager" / "alertmanager.yml"

    assert _run("amtool", "config", "routes", "test", f"--config.file={config}", *labels).strip() == receiver


MATCHERS = [
    'alertname="Payment Errors"',
    'severity=~"page|critical"',
    'severity!~"page"',
    'severity!="page"',
    'team=""',
    'team!=""',
    'severity=~"pag"',
    'severity=~"p.*"',
    'severity=~"(?i)PAGE"',
    "alertname=~Payment.*",
    'note="a \\"quoted\\" word"',
]


@pytest.mark.parametrize("text", MATCHERS)
@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "Payment Errors", "severity": "page"},
        {"alertname": "PaymentErrors", "severity": "critical", "team": "pay"},
        {"alertname": "x", "severity": "page\nor not", "note": 'a "quoted" word'},
    ],
    ids=["page", "critical", "odd"],
)
def test_matchers_mean_what_alertmanager_means(text: str, labels: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(
        "route: {receiver: other, routes: [{receiver: matched, matchers: [%s]}]}\n"
        "receivers: [{name: other}, {name: matched}]\n" % ("'" + text.replace("'", "''") + "'")
    )
    given = [f'{name}="{_escape(value)}"' for name, value in labels.items()]
    said = _run("amtool", "config", "routes", "test", f"--config.file={config}", *given).strip()

    (matcher,) = parse_matchers(text)
    assert matcher.matches(labels) is (said == "matched")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
