"""`responder resume-owner`: by hand, what was paused around an undo does again what it did before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from responder.actions.pause import pause_owner
from responder.actions.pause_plan import PAUSED_BY, PAUSED_FROM
from responder.clients.kubernetes import connect
from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.gitops import ARGO_CD, HELM, KUSTOMIZE, GitOps, Tool
from responder.workloads.ledger import PausedOwner
from responder.workloads.owners import OwnerKind
from tests.unit.cli.commands import NAME, NAMESPACE, RECORDS, Shell

KINDS = {
    ARGO_CD: OwnerKind.ARGO_CD,
    KUSTOMIZE: OwnerKind.KUSTOMIZATION,
    HELM: OwnerKind.HELM_RELEASE,
}
WORKLOAD = f"{NAMESPACE}/{NAME}"
RESUME = ("resume-owner", WORKLOAD)


async def paused(sh: Shell, tool: Tool, *marks: str) -> tuple[GitOps, dict[str, Any]]:
    """An owner that was paused for those undos, recorded so; and what it was before."""
    git = GitOps(sh.cluster, tool, NAMESPACE, NAME)
    git.install()
    before = git.object
    entries = [
        PausedOwner(
            kind=KINDS[tool],
            namespace=tool.namespace,
            name=NAME,
            mark=mark,
            bad_uid="uid-bad",
            at=sh.cluster.clock.now(),
        )
        for mark in marks
    ]
    await sh.ok("incidents")  # writes the kubeconfig
    kubernetes = await connect(sh.folder / "kubeconfig-admin", None)
    for entry in entries:
        await pause_owner(kubernetes, entry.owner, entry.mark)
    await kubernetes.close()
    body = {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "WorkloadRecord",
        "metadata": {"name": f"deployment-{NAME}", "namespace": NAMESPACE},
        "spec": {
            "workload": {"kind": "Deployment", "name": NAME},
            "nextSequence": 7,
            "paused": [each.model_dump(mode="json", by_alias=True) for each in entries],
        },
    }
    sh.cluster.store.create(RECORDS, body, manager="tests")
    assert git.paused
    return git, before


def recorded(sh: Shell) -> list[str]:
    (record,) = sh.cluster.store.list(RECORDS, NAMESPACE)
    assert record["spec"]["nextSequence"] == 7
    return [each["mark"] for each in record["spec"].get("paused", [])]


async def test_for_machines(sh: Shell) -> None:
    await paused(sh, ARGO_CD, "i.1")
    (found,) = json.loads(await sh.ok(*RESUME, "-o", "json"))
    owner = f"{OwnerKind.ARGO_CD} {ARGO_CD.namespace}/{NAME}"
    assert found == {"owner": owner, "message": f"Goes on: {owner}, as before it was paused."}


@pytest.mark.parametrize("tool", KINDS, ids=lambda tool: tool.kind)
async def test_it_does_again_what_it_did(sh: Shell, tool: Tool) -> None:
    git, before = await paused(sh, tool, "i.1")
    said = await sh.ok(*RESUME)
    assert said == f"Goes on: {KINDS[tool]} {tool.namespace}/{NAME}, as before it was paused.\n"
    assert git.object["spec"] == before["spec"]
    assert git.object["metadata"].get("annotations", {}) == before["metadata"].get("annotations", {})
    assert recorded(sh) == []
    # Once more does nothing, and says so.
    version = git.object["metadata"]["resourceVersion"]
    assert f"nothing is paused for {WORKLOAD}" in await sh.refused(*RESUME)
    assert git.object["metadata"]["resourceVersion"] == version


async def test_two_undos_of_one_workload(sh: Shell) -> None:
    git, before = await paused(sh, ARGO_CD, "i.1", "j.1")
    assert (await sh.ok(*RESUME)).count("Goes on:") == 1
    assert git.object["spec"] == before["spec"]
    assert recorded(sh) == []


async def test_what_another_workload_s_undo_holds_stays_paused(sh: Shell) -> None:
    git, _ = await paused(sh, ARGO_CD, "i.1")
    application = git.object
    application["metadata"]["annotations"][PAUSED_BY] = "other.1 i.1"
    sh.cluster.store.update(ARGO_CD.key, application, manager="tests")
    said = await sh.ok(*RESUME)
    assert said.startswith(f"Stays paused: Argo CD Application argocd/{NAME}, for another undo (other.1)")
    assert git.paused
    assert git.object["metadata"]["annotations"][PAUSED_BY] == "other.1"
    assert recorded(sh) == []


async def test_what_somebody_resumed_keeps_its_policy(sh: Shell) -> None:
    git, _ = await paused(sh, ARGO_CD, "i.1")
    application = git.object
    application["spec"]["syncPolicy"]["automated"] = {"prune": False}
    sh.cluster.store.update(ARGO_CD.key, application, manager="tests")
    assert "went on already" in await sh.ok(*RESUME)
    assert git.object["spec"]["syncPolicy"] == {"automated": {"prune": False}}
    assert PAUSED_BY not in git.object["metadata"].get("annotations", {})
    assert recorded(sh) == []


async def test_what_it_did_before_is_not_made_up(sh: Shell) -> None:
    git, _ = await paused(sh, ARGO_CD, "i.1")
    application = git.object
    del application["metadata"]["annotations"][PAUSED_FROM]
    sh.cluster.store.update(ARGO_CD.key, application, manager="tests")
    said = await sh.refused(*RESUME)
    assert PAUSED_FROM in said
    assert "by hand" in said
    assert git.paused
    assert recorded(sh) == ["i.1"]


async def test_an_owner_that_is_gone_is_forgotten(sh: Shell) -> None:
    await paused(sh, ARGO_CD, "i.1")
    sh.cluster.store.delete(ARGO_CD.key, ARGO_CD.namespace, NAME)
    assert "is gone" in await sh.ok(*RESUME)
    assert recorded(sh) == []


async def test_without_the_right_to_nothing_is_forgotten(sh: Shell) -> None:
    git, _ = await paused(sh, ARGO_CD, "i.1")
    sh.cluster.faults.add(FaultRule("PATCH", "/applications/", Refuse(403)))
    assert "403" in await sh.refused(*RESUME)
    assert git.paused
    assert recorded(sh) == ["i.1"]


async def test_what_is_no_workload_is_refused(sh: Shell) -> None:
    assert f"there is no workload {NAMESPACE}/other" in await sh.refused("resume-owner", f"{NAMESPACE}/other")
    assert "NAMESPACE/WORKLOAD" in await sh.refused("resume-owner", NAMESPACE)
    assert f"nothing is paused for {WORKLOAD}" in await sh.refused(*RESUME)
