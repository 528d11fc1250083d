"""Carrying out an undo on the simulated cluster, over HTTP: what each state of the world makes of it.

The judge is the server's store: which templates the Deployment had, one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.actions.rollback import Applied, Refused, Rejected, roll_back
from responder.actions.undo import Fence
from responder.clients.kubernetes import connect
from responder.sandbox.cluster import DEPLOYMENTS
from responder.workloads.ledger import KnownBad, Ledger, parse_revision
from responder.workloads.target import select_target
from responder.workloads.views import CHANGE_CAUSE, FENCE, FREEZE
from tests.unit.actions.undoing import (
    NAME,
    NAMESPACE,
    NEVER_READY,
    REPLICASETS,
    START,
    Scene,
    play,
    recreate,
    version_of,
)


def test_an_undo_reuses_the_target_and_moves_only_the_change_cause(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.edit(lambda it: it["metadata"]["annotations"].update({"example.com/team": "payments"}))
        uid = scene.uid("v1")
        result = await scene.undo(scene.attempt())
        assert isinstance(result, Applied)
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        found = scene.history()
        assert found.current is not None
        assert found.current.uid == uid
        assert len(found.revisions) == 2
        assert found.workload.annotations["example.com/team"] == "payments"
        assert CHANGE_CAUSE not in found.workload.annotations  # v1 was released without one
        assert found.workload.fence == "incident.1"
        assert result.generation <= found.workload.generation
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


def test_the_cause_of_the_target_comes_back(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        assert isinstance(await scene.undo(scene.attempt("v3", "v2")), Applied)
        assert scene.history().workload.annotations[CHANGE_CAUSE] == "release v2"

    play(tmp_path, story, "v1", "v2", "v3")


# What the world did between the decision and the patch, and why the undo then had no effect.
MEANWHILE: dict[str, tuple[Callable[[Scene], Any], str]] = {
    "deleted": (lambda scene: scene.cluster.store.delete(DEPLOYMENTS, NAMESPACE, NAME), "WorkloadNotFound"),
    "made anew": (lambda scene: recreate(scene, orphan=False), "WorkloadRecreated"),
    "made anew around its ReplicaSets": (lambda scene: recreate(scene, orphan=True), "WorkloadRecreated"),
    "another release": (lambda scene: scene.release_at_once("v3"), "TemplateChanged"),
    "rolled back by hand": (lambda scene: scene.release_at_once("v1"), "TemplateChanged"),
    "paused": (lambda scene: scene.edit(lambda it: it["spec"].update(paused=True)), "Paused"),
    "frozen": (
        lambda scene: scene.edit(lambda it: it["metadata"]["annotations"].update({FREEZE: "now"})),
        "Frozen",
    ),
    "fenced by another": (
        lambda scene: scene.edit(lambda it: it["metadata"]["labels"].update({FENCE: "other.1"})),
        "FencedByAnother",
    ),
    "change-cause taken away": (
        lambda scene: scene.edit(lambda it: it["metadata"]["annotations"].pop(CHANGE_CAUSE)),
        "ChangedMeanwhile",
    ),
}


@pytest.mark.parametrize("name", MEANWHILE)
def test_a_world_that_changed_since_the_decision_refuses_the_undo(tmp_path: Path, name: str) -> None:
    change, reason = MEANWHILE[name]

    async def story(scene: Scene) -> None:
        result = await scene.undo(scene.attempt(), lambda: change(scene))
        assert isinstance(result, Refused)
        assert result.reason == reason
        assert "payment-service" in result.message
        fences = [
            d["metadata"]["labels"].get(FENCE) for d in scene.cluster.store.list(DEPLOYMENTS, NAMESPACE)
        ]
        assert "incident.1" not in fences

    play(tmp_path, story)


@pytest.mark.parametrize("name", [name for name in MEANWHILE if name != "change-cause taken away"])
def test_a_restarted_responder_finds_the_same_change_by_itself(tmp_path: Path, name: str) -> None:
    """Without the history of the decision, the attempt alone has to tell that the world moved on."""
    change, reason = MEANWHILE[name]

    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        change(scene)
        result = await roll_back(scene.api, attempt)
        assert isinstance(result, Refused)
        assert result.reason == reason

    play(tmp_path, story)


def test_a_target_that_history_lost_refuses_the_undo(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        name = next(rs["metadata"]["name"] for rs in scene.replicasets() if version_of(rs) == "v1")
        scene.cluster.store.delete(REPLICASETS, NAMESPACE, name)
        result = await roll_back(scene.api, attempt)
        assert isinstance(result, Refused)
        assert result.reason == "TargetGone"

    play(tmp_path, story)


def test_a_target_with_the_current_template_is_nothing_to_undo(tmp_path: Path) -> None:
    """A second ReplicaSet of the same template: the controller uses the older one, nothing would change."""

    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        twin = next(rs for rs in scene.replicasets() if version_of(rs) == "v2")
        twin["metadata"] |= {"name": f"{NAME}-twin", "uid": ""}
        twin["spec"]["replicas"] = 0
        made = scene.cluster.store.create(REPLICASETS, twin, manager="somebody")
        result = await scene.undo(replace(attempt, target_uid=made["metadata"]["uid"]))
        assert isinstance(result, Refused)
        assert result.reason == "NothingToUndo"

    play(tmp_path, story)


def test_half_way_through_the_rollout_the_bad_pods_go_at_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.release_at_once("v2", **NEVER_READY)
        await scene.cluster.clock.sleep(5)
        counts = {version_of(rs): rs["spec"]["replicas"] for rs in scene.replicasets()}
        assert counts == {"v1": 3, "v2": 1}
        assert isinstance(await scene.undo(scene.attempt()), Applied)
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        counts = {version_of(rs): rs["spec"]["replicas"] for rs in scene.replicasets()}
        assert counts == {"v1": 3, "v2": 0}

    play(tmp_path, story, "v1")


def test_two_undos_never_bring_the_bad_version_back(tmp_path: Path) -> None:
    """kubectl's undo toggles. Here the second is recognised as done, and a newer attempt is refused."""

    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        history = scene.history()
        assert isinstance(await roll_back(scene.api, attempt, history), Applied)
        assert isinstance(await roll_back(scene.api, attempt, history), Applied)
        await scene.cluster.rollout_complete(NAMESPACE, NAME)
        assert isinstance(await roll_back(scene.api, attempt), Applied)
        again = await roll_back(scene.api, replace(attempt, fence=Fence("incident.1", "incident.2")))
        assert isinstance(again, Refused)
        assert again.reason == "TemplateChanged"
        assert scene.versions == ["v1", "v2", "v1"]
        ledger = Ledger(known_bad=(_known_bad(scene, "v2"),))
        found = scene.history()
        assert found.current is not None
        assert select_target(found, ledger, found.current) is None

    play(tmp_path, story)


def _known_bad(scene: Scene, version: str) -> KnownBad:
    found = scene.history().by_uid(scene.uid(version))
    assert found is not None
    return KnownBad(revision=parse_revision(found), incident="incident", at=START)


def test_without_the_right_to_patch_it_is_rejected(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        scene.cluster.apply({**role, "metadata": {"name": "read"}, "rules": rules})
        subject = {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"kind": "ClusterRole", "name": "read", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "read"}, "subjects": [subject], "roleRef": reference}
        scene.cluster.apply({**role, "kind": "ClusterRoleBinding", **binding})
        file = tmp_path / "reader"
        file.write_text(yaml.safe_dump(scene.cluster.kubeconfig("reader")))
        api = await connect(file, clock=scene.cluster.clock)
        try:
            result = await roll_back(api, scene.attempt())
        finally:
            await api.close()
        assert isinstance(result, Rejected)
        assert result.reason == "Forbidden"
        assert "cannot patch resource" in result.message
        assert scene.versions == ["v1", "v2"]

    play(tmp_path, story)


def test_a_template_the_server_does_not_take_is_rejected(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        broken = scene.history()
        rs = broken.by_uid(attempt.target_uid)
        assert rs is not None
        rs.raw["spec"]["template"]["metadata"]["labels"] = {"app": "does not match the selector"}
        result = await roll_back(scene.api, attempt, broken)
        assert isinstance(result, Rejected)
        assert result.reason == "PatchNotAccepted"
        assert scene.versions == ["v1", "v2"]

    play(tmp_path, story)
