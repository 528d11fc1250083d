"""deploy/ goes in with kubectl's strict validation, by the README's own lines, and stays as it is."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from responder.clock import SystemClock
from responder.sandbox.cluster import Cluster
from tests.kubectl.running import Kubectl
from tests.kubectl.test_readme import run_shell
from tests.shared import CHECKOUT
from tests.unit.deploy.rendering import render_with

APPLY = ("apply", "--validate=strict", "--filename=-")
OVERLAY = "deploy/overlays/payment-service"


@pytest.fixture
async def bare() -> AsyncIterator[Cluster]:
    """A cluster with the workload's namespace and nothing of ours."""
    async with Cluster.start(clock=SystemClock()) as cluster:
        for name in ("payments", "argocd", "flux-system"):
            cluster.store.create("namespaces", {"metadata": {"name": name}}, manager="tests")
        yield cluster


@pytest.fixture
def admin(binary: Path, bare: Cluster, tmp_path: Path) -> Kubectl:
    """kubectl as the administrator of the bare cluster."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Kubectl(binary, folder, bare.kubeconfig(for_kubectl=True))


async def test_it_goes_in_and_stays_as_it_is(admin: Kubectl) -> None:
    apply = ("apply", "--validate=strict", "--kustomize", str(CHECKOUT / OVERLAY))
    made = (await admin.ok(*apply)).splitlines()
    assert len(made) > 15
    assert all(line.endswith(" created") for line in made)
    generation = (await admin.get("pdb", "responder", "--namespace=responder"))["metadata"]["generation"]
    again = (await admin.ok(*apply)).splitlines()
    # kubectl replaces a budget's selector each time (its patchStrategy), and nothing changes on the server.
    # Source: Kubernetes staging/src/k8s.io/api/policy/v1/types.go PodDisruptionBudgetSpec
    budget = "poddisruptionbudget.policy/responder"
    assert again == [
        f"{budget} configured" if line.startswith(budget) else line.replace(" created", " unchanged")
        for line in made
    ]
    assert (
        generation == (await admin.get("pdb", "responder", "--namespace=responder"))["metadata"]["generation"]
    )


async def test_what_is_opt_in_and_the_examples_go_in(admin: Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    components = ("every-namespace", "secrets", "stuck-pods", "argo-cd", "flux")
    await admin.ok(*APPLY, stdin=render_with(folder, *components))
    for example in ("secret", "ingress"):
        text = (CHECKOUT / "deploy" / f"{example}.example.yaml").read_text(encoding="utf-8")
        await admin.ok(*APPLY, stdin=text)


async def test_a_misspelt_field_is_refused(admin: Kubectl, tmp_path: Path) -> None:
    (deployment,) = [obj for obj in render_with(tmp_path) if obj["kind"] == "Deployment"]
    deployment["metadata"]["namespace"] = "payments"
    deployment["spec"]["replica"] = 2
    refused = await admin.run(*APPLY, stdin=deployment)
    assert refused.exit_code == 1
    assert 'unknown field "spec.replica"' in refused.stderr


async def test_the_readme_leads_to_running_replicas(
    binary: Path, bare: Cluster, admin: Kubectl, tmp_path: Path
) -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"^ +```sh\n((?: +.*\n)*? +kubectl apply -k .*\n(?: +.*\n)*?) +```", readme, re.MULTILINE
    )
    assert found
    for name in ("deploy", "rules"):
        shutil.copytree(CHECKOUT / name, tmp_path / "checkout" / name)
    config = tmp_path / "config"
    config.write_text(yaml.safe_dump(bare.kubeconfig(for_kubectl=True)), encoding="utf-8")
    await run_shell(f"cd {tmp_path / 'checkout'}\n{found[1]}", binary, config)
    status = (await admin.get("deployment", "responder", "--namespace=responder"))["status"]
    assert (status["readyReplicas"], status["updatedReplicas"]) == (2, 2)
    budget = await admin.get("poddisruptionbudget", "responder", "--namespace=responder")
    assert budget["spec"]["minAvailable"] == 1
