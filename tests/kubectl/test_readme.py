"""The README's shell lines for people on call, run as they stand there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from responder.incidents.decision import Choice, parse_decision
from responder.sandbox.cluster import Cluster
from responder.workloads.views import FREEZE
from tests.kubectl.running import Kubectl, deployment, incident
from tests.shared import CHECKOUT

NAME = "deployment-payment-service-1"
DIGEST = "12e34567"  # as bare YAML it would be a number
STATUS = {
    "phase": "AwaitingDecision",
    "ask": {
        "digest": DIGEST,
        "action": "rollback",
        "reason": "RuleAsks",
        "askedAt": "2026-01-01T00:00:00Z",
        "expiresAt": "2026-01-01T01:00:00Z",
    },
}


def block(heading: str) -> str:
    """The first shell block after a bold heading."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^\*\*{re.escape(heading)}\*\*.*?^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


async def run_shell(lines: str, binary: Path, config: Path) -> str:
    """Run lines as a person does, with the locked kubectl."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-euc",
        lines,
        env={"KUBECONFIG": str(config), "PATH": f"{binary.parent}:/usr/bin:/bin", "USER": "ada", "HOME": "/"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b""), errors.decode()
    return output.decode()


@pytest.fixture
def config(cluster: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig for kubectl, with the namespaces that the README speaks of."""
    for name in ("payments", "responder"):
        cluster.store.create("namespaces", {"metadata": {"name": name}}, manager="tests")
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(cluster.kubeconfig(for_kubectl=True)), encoding="utf-8")
    return path


async def test_a_question_is_answered(binary: Path, cluster: Cluster, config: Path) -> None:
    asked = incident(NAME)
    asked["metadata"]["namespace"] = "payments"
    made = cluster.store.create("incidents.responder.dev", asked, manager="tests")
    cluster.store.update(
        "incidents.responder.dev", {**made, "status": STATUS}, manager="tests", subresource="status"
    )
    said = await run_shell(block("Answer without Slack."), binary, config)
    assert said == f"decision.responder.dev/{NAME}-{DIGEST} created\n"
    (stored,) = cluster.store.list("decisions.responder.dev", "payments")
    answer = parse_decision(stored).spec
    assert (answer.incident, answer.incident_uid, answer.digest) == (NAME, made["metadata"]["uid"], DIGEST)
    assert (answer.choice, answer.by) == (Choice.ROLLBACK, "ada")


async def test_freezes_are_set_and_taken_away(binary: Path, kubectl: Kubectl, config: Path) -> None:
    await kubectl.ok("create", "--namespace=payments", "--filename=-", stdin=deployment("payment-service"))
    *freezes, thaw = block("Stop it at once.").splitlines()
    await run_shell("\n".join(freezes), binary, config)
    places = ("namespace/responder", "namespace/payments", "deployment/payment-service")
    for place in places:
        found = await kubectl.get(place, "--namespace=payments")
        assert found["metadata"]["annotations"][FREEZE] == "why", place
    await run_shell(thaw, binary, config)
    found = await kubectl.get("namespace/responder")
    assert FREEZE not in found["metadata"].get("annotations", {})


async def test_an_incident_is_followed(binary: Path, cluster: Cluster, config: Path) -> None:
    proven = {
        "type": "TrafficProven",
        "status": "True",
        "reason": "TrafficProven",
        "message": "Proven.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    one = incident(NAME)
    one["metadata"]["namespace"] = "payments"
    made = cluster.store.create("incidents.responder.dev", one, manager="tests")
    status = {"phase": "Settling", "outcome": "RolledBack", "conditions": [proven]}
    made["status"] = status
    cluster.store.update("incidents.responder.dev", made, manager="tests", subresource="status")
    record = {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "WorkloadRecord",
        "metadata": {"name": "deployment-payment-service", "namespace": "payments"},
        "spec": {"workload": {"kind": "Deployment", "name": "payment-service"}},
    }
    cluster.store.create("workloadrecords.responder.dev", record, manager="tests")
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Follow an incident\n[^#]*?\n((?:    kubectl .*\n)+)", text, re.MULTILINE)
    assert found
    get, describe, wait, show = found[1].splitlines()
    rows = (await run_shell(get, binary, config)).splitlines()
    assert rows[0].split() == ["NAMESPACE", "NAME", "PHASE", "OUTCOME", "REASON", "WORKLOAD", "AGE"]
    assert NAME in rows[1]
    assert "TrafficProven" in await run_shell(describe, binary, config)
    assert await run_shell(wait, binary, config) == f"incident.responder.dev/{NAME} condition met\n"
    assert "kind: WorkloadRecord" in await run_shell(show, binary, config)
