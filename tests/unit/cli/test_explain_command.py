"""`responder explain`: the recorded checklist with its numbers, and whose alerts a payload holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from responder.cli.main import cli
from tests.shared import CHECKOUT
from tests.unit.cli.commands import INCIDENT, NAMESPACE, Shell

QUERY = 'sum(rate(payment_errors_total{namespace="payments"}[5m]))'
STATUS = {
    "phase": "AwaitingDecision",
    "reason": "OnsetBeforeRollout",
    "message": "It was true before.",
    "rule": "payment-service/high-error-rate",
    "action": "rollback",
    "bad": {"uid": "u2", "replicaSet": "payment-service-222", "hash": "222", "images": ["app:v2"]},
    "target": {"uid": "u1", "replicaSet": "payment-service-111", "hash": "111", "images": ["app:v1"]},
    "verdicts": [
        {
            "check": "StillTrue",
            "result": "Passed",
            "reason": "ConditionTrue",
            "message": "error_rate > 1% holds: error_rate is 0.05.",
            "evidence": {
                "error_rate": "0.05",
                "error_rate_threshold": "0.01",
                "error_rate_samples": "1200",
                "error_rate_range": "5m",
                "error_rate_query": QUERY,
                "since": "2026-03-02T08:55:00+00:00",
            },
        },
        {
            "check": "CausedByRollout",
            "result": "Failed",
            "reason": "OnsetBeforeRollout",
            "message": "It was true before.",
            "evidence": {"began": "2026-03-02T08:54:00+00:00"},
        },
        {
            "check": "TargetWasGood",
            "result": "Unknown",
            "reason": "TargetHealthUnknown",
            "message": "No value.",
            "evidence": {"error_rate": "None", "error_rate_threshold": "0.01"},
        },
    ],
}


async def test_what_was_recorded(sh: Shell) -> None:
    sh.put_incident(STATUS)
    lines = (await sh.ok("explain", f"{NAMESPACE}/{INCIDENT}")).splitlines()
    assert lines == [
        f"incident    {NAMESPACE}/{INCIDENT}, AwaitingDecision",
        "workload    deployment payments/payment-service",
        "because     OnsetBeforeRollout: It was true before.",
        "rule        payment-service/high-error-rate, action rollback",
        "from        payment-service-222 (app:v2)",
        "to          payment-service-111 (app:v1)",
        "",
        "Passed   StillTrue (ConditionTrue): error_rate > 1% holds: error_rate is 0.05.",
        "         error_rate 0.05, threshold 0.01, 1200 samples in 5m",
        f"         query: {QUERY}",
        "         since 2026-03-02 08:55:00Z",
        "Failed   CausedByRollout (OnsetBeforeRollout): It was true before.",
        "         began: 2026-03-02T08:54:00+00:00",
        "Unknown  TargetWasGood (TargetHealthUnknown): No value.",
        "         error_rate unknown, threshold 0.01",
    ]
    assert (await sh.ok("explain", INCIDENT, "-n", NAMESPACE)).splitlines() == lines


async def test_for_machines(sh: Shell) -> None:
    sh.put_incident(STATUS)
    found = json.loads(await sh.ok("explain", f"{NAMESPACE}/{INCIDENT}", "-o", "json"))
    assert (found["namespace"], found["incident"]) == (NAMESPACE, INCIDENT)
    assert "now" not in found
    assert found["recorded"]["from"]["hash"] == "222"
    still, caused, good = found["recorded"]["checklist"]
    assert still["numbers"] == [
        {
            "metric": "error_rate",
            "value": "0.05",
            "threshold": "0.01",
            "samples": "1200",
            "range": "5m",
            "query": QUERY,
        }
    ]
    assert (still["since"], still["evidence"]) == ("2026-03-02T08:55:00+00:00", {})
    assert (caused["numbers"], caused["evidence"]) == ([], {"began": "2026-03-02T08:54:00+00:00"})
    assert good["numbers"][0]["value"] is None


async def test_what_was_decided_on_stands_before_its_proof(sh: Shell) -> None:
    proof = {"check": "Endpoints", "result": "Passed", "reason": "Proven", "message": "All are its."}
    guards = [{"check": "NotFrozen", "result": "Failed", "reason": "Frozen", "message": "It was frozen."}]
    sh.put_incident({**STATUS, "verdicts": [proof], "guards": guards})
    lines = (await sh.ok("explain", f"{NAMESPACE}/{INCIDENT}")).splitlines()
    assert lines[-5:] == [
        "When the rollback was decided:",
        "Failed   NotFrozen (Frozen): It was frozen.",
        "",
        "Its proof:",
        "Passed   Endpoints (Proven): All are its.",
    ]
    found = json.loads(await sh.ok("explain", f"{NAMESPACE}/{INCIDENT}", "-o", "json"))["recorded"]
    assert [each["check"] for each in found["guards"]] == ["NotFrozen"]
    assert [each["check"] for each in found["checklist"]] == ["Endpoints"]


async def test_an_incident_that_was_not_judged_yet(sh: Shell) -> None:
    sh.put_incident({})
    assert "It was not judged yet" in await sh.ok("explain", f"{NAMESPACE}/{INCIDENT}")


async def test_what_is_not_there_or_not_clear(sh: Shell) -> None:
    said = await sh.refused("explain", f"{NAMESPACE}/{INCIDENT}")
    assert said == f"there is no incident {NAMESPACE}/{INCIDENT}: see `responder incidents --all`"
    for wrong in (INCIDENT, "a/b/c", "", "/x", "x/"):
        said = " ".join((await sh.refused("explain", wrong)).split())
        assert "payments/deployment-payment-service-1" in said, wrong
        assert "payload.json" in said, wrong
    said = " ".join((await sh.refused("explain", INCIDENT)).replace("│", "").split())
    assert f"{INCIDENT} is no file. Write an incident as NAMESPACE/NAME (`responder incidents` lists" in said
    assert "or add -n NAMESPACE; or name a file with what Alertmanager sends" in said
    assert "payments/deployment-payment-service-1" in await sh.refused("explain")
    assert "is a folder" in await sh.refused("explain", str(sh.folder))
    assert "is not in namespace" in await sh.refused("explain", f"{NAMESPACE}/{INCIDENT}", "-n", "shop")
    assert "can't be read" in await sh.refused("explain", "nowhere.json")
    sh.put_incident(STATUS)
    said = await sh.refused("explain", f"{NAMESPACE}/{INCIDENT}", "--now")
    assert said == "to judge takes Prometheus: name it with --prometheus-url"


def delivery(*alerts: dict[str, str]) -> str:
    return json.dumps(
        {
            "version": "4",
            "alerts": [
                {
                    "status": "firing",
                    "labels": labels,
                    "startsAt": "2026-03-02T09:00:00Z",
                    "fingerprint": f"f{number}",
                }
                for number, labels in enumerate(alerts)
            ],
        }
    )


OURS = {
    "alertname": "HighErrorRate",
    "namespace": "payments",
    "deployment": "payment-service",
    "responder_rule": "payment-service/high-error-rate",
}


def explain(*arguments: str, stdin: str | None = None) -> str:
    words = ["explain", *arguments, "--rules", str(CHECKOUT / "rules")]
    env = {"KUBECONFIG": None, "RESPONDER_KUBECONFIG": None, "RESPONDER_PROMETHEUS_URL": None}
    done = CliRunner(env=env).invoke(cli, words, input=stdin)
    assert done.exit_code == 0, f"{done.output} {done.exception!r}"
    return done.stdout


def test_a_payload_without_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    path.write_text(delivery(OURS, {"alertname": "DiskFull"}), encoding="utf-8")
    lines = explain(str(path)).splitlines()
    assert lines == [
        "alert       HighErrorRate, fires since 2026-03-02 09:00:00Z",
        "workload    deployment payments/payment-service",
        "rules       payment-service/high-error-rate (rollback): its label responder_rule names the rule",
        "alert       DiskFull, fires since 2026-03-02 09:00:00Z",
        "workload    none: it carries no label namespace",
        "",
        "Alerts of no workload are told in Slack, as an incident in the responder's own namespace.",
        "",
        "Not looked at: Prometheus: no --prometheus-url, so nothing is judged.",
    ]
    assert explain("-", stdin=path.read_text(encoding="utf-8")).splitlines() == lines


def test_a_payload_for_machines_and_no_cluster() -> None:
    found = json.loads(
        explain("-", "-o", "json", "--prometheus-url", "http://127.0.0.1:1", stdin=delivery(OURS))
    )
    (alert,) = found["alerts"]
    assert alert["rules"] == [{"rule": "payment-service/high-error-rate", "action": "rollback"}]
    assert found["judged"] == []
    (missing,) = found["notLookedAt"]
    assert missing.startswith("the cluster: no kubeconfig is given")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "the body is not JSON"),
        ('{"version": "3"}', "webhook version '3' is not known"),
        ("", "standard input is empty"),
        (" \n", "standard input is empty"),
        ("[]", "the body must be a JSON object"),
    ],
)
def test_what_the_webhook_would_refuse(body: str, said: str) -> None:
    done = CliRunner().invoke(cli, ["explain", "-", "--rules", str(CHECKOUT / "rules")], input=body)
    assert done.exit_code == 1
    assert said in str(done.exception)
    # What is shown as an example is one.
    _, example = str(done.exception).split("such as\n")
    assert "alert       HighErrorRate, fires since" in explain("-", stdin=example)
