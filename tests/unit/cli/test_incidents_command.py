"""`responder incidents`: the open ones, or all; as columns and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from responder.sandbox.api.server import kubeconfig
from tests.unit.cli.commands import INCIDENT, INCIDENTS, NAMESPACE, Shell

CRDS = "customresourcedefinitions.apiextensions.k8s.io"

ASKED = {
    "phase": "AwaitingDecision",
    "reason": "OnsetBeforeRollout",
    "message": "It was true before.",
    "rule": "payment-service/high-error-rate",
}


async def test_the_open_ones_are_listed(sh: Shell) -> None:
    assert await sh.ok("incidents") == "No open incidents.\n"
    sh.put_incident(ASKED)
    sh.put_incident(
        {"phase": "Closed", "outcome": "Told", "reason": "ToldOnly"}, f"{INCIDENT[:-1]}2", closed=True
    )
    head, *rows = (await sh.ok("incidents")).splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PHASE", "OUTCOME", "REASON", "WORKLOAD", "RULE", "AGE"]
    assert [row.split() for row in rows] == [
        [
            *(NAMESPACE, INCIDENT, "AwaitingDecision", "-", "OnsetBeforeRollout"),
            *("deployment/payment-service", "payment-service/high-error-rate", rows[0].split()[-1]),
        ]
    ]
    assert rows[0].split()[-1].startswith("5m")
    assert len((await sh.ok("incidents", "--all")).splitlines()) == 3
    assert await sh.ok("incidents", "-n", "default", "--all") == "No incidents.\n"


async def test_for_machines(sh: Shell) -> None:
    sh.put_incident(ASKED)
    (found,) = json.loads(await sh.ok("incidents", "-o", "json"))
    assert (found["namespace"], found["name"], found["phase"]) == (NAMESPACE, INCIDENT, "AwaitingDecision")
    assert found["workload"] == {"kind": "Deployment", "name": "payment-service"}
    assert (found["message"], found["outcome"], found["closedAt"]) == ("It was true before.", None, None)
    assert json.loads(await sh.ok("incidents", "-n", "default", "-o", "json")) == []


async def test_control_characters_do_not_reach_the_terminal(sh: Shell) -> None:
    sh.put_incident({**ASKED, "rule": "\x1b[2Jgone"})
    assert "\x1b" not in await sh.ok("incidents")


async def test_one_that_can_not_be_read_hides_no_other(sh: Shell) -> None:
    sh.put_incident(ASKED)
    made = sh.put_incident(ASKED, f"{INCIDENT[:-1]}2")
    crd = sh.cluster.store.get(CRDS, "", INCIDENTS)
    assert crd is not None
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    del schema["outcome"]["enum"]
    sh.cluster.store.update(CRDS, crd, manager="tests")
    made["status"]["outcome"] = "FromANewerVersion"
    sh.cluster.store.update(INCIDENTS, made, manager="tests", subresource="status")
    done = await sh.run("incidents")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    assert "deployment-payment-service-2 can't be read: status.outcome" in done.stderr


def test_only_the_result_is_on_stdout(tmp_path: Path) -> None:
    """Retries are logged, which no program that reads the result must stumble over."""
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1", "admin", "default")), encoding="utf-8")
    command = [sys.executable, "-m", "responder", "incidents", "-o", "json", "--kubeconfig", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "kubernetes_retry" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("responder: ")


@pytest.mark.parametrize("command", ["incidents", f"explain {NAMESPACE}/{INCIDENT}"])
async def test_a_cluster_that_is_not_reached_is_named(sh: Shell, tmp_path: Path, command: str) -> None:
    path = tmp_path / "nobody-listens"
    path.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), encoding="utf-8")
    said = await sh.refused(*command.split(), "--kubeconfig", str(path))
    assert f"That is the cluster of {path}: is it up, and is it the one you mean?" in said
