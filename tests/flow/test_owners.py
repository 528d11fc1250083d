"""Workloads that somebody else deploys: asked about, refused, or paused around the undo; never a fight."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.gitops import ARGO_CD, FLAGGER, HELM, KUSTOMIZE, ROLLOUTS, GitOps, Tool, definition
from responder.sandbox.world import HOME
from responder.tasks import alongside
from tests.flow.harness import DEPLOYMENTS, LEAVE, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import CHECKOUT, run_story

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
WARM_UP = timedelta(minutes=3, seconds=30)
TOOLS = pytest.mark.parametrize("tool", [ARGO_CD, KUSTOMIZE, HELM], ids=lambda tool: tool.kind)
# What the issue promises of a template that is put back.
NOTICED_WITHIN = timedelta(seconds=5)


@asynccontextmanager
async def deployed_by(tool: Tool, tmp_path: Path, policy: str) -> AsyncIterator[tuple[Stage, GitOps]]:
    """A stage whose workload that tool deploys every five seconds, and the rule file's policy for it."""
    async with stage(tmp_path, SHORT, {"rollback": {"gitops": policy}}, **QUICK) as here:
        git = GitOps(here.world.cluster, tool, here.world.namespace, here.world.name)
        git.install()
        async with alongside(git.run()):
            await here.rest(WARM_UP)
            yield here, git


def grant(here: Stage, tool: Tool) -> None:
    """Give the responder the component that lets it pause the tool's objects."""
    component = "argo-cd" if tool == ARGO_CD else "flux"
    path = CHECKOUT / "deploy" / "components" / component / "rbac.yaml"
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        here.world.cluster.apply(manifest)


def release_bad(here: Stage, git: GitOps) -> None:
    """A bad version, in Git and in the cluster."""
    here.world.release("v2", error_rate=0.05)
    git.commit()


def release_slowly(here: Stage) -> None:
    """A bad version whose pods are ready long after its template is there."""
    here.world.release("v2", error_rate=0.05, ready_after="20s")


def put_back_at(here: Stage, version: str, after: datetime) -> datetime:
    """When the Deployment's template became that version again, by its managedFields."""
    times = [
        datetime.fromisoformat(entry["time"])
        for entry in here.world.deployment()["metadata"]["managedFields"]
        if "f:template" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert here.world.version == version
    assert max(times) >= after.replace(microsecond=0)
    return max(times)


def line_at(here: Stage, event: str) -> datetime:
    """When the timeline says that it happened."""
    lines = here.status()["timeline"]
    return datetime.fromisoformat(next(line["at"] for line in lines if line["event"] == event))


@TOOLS
def test_asked_and_put_back(tmp_path: Path, tool: Tool) -> None:
    async def story() -> None:
        async with deployed_by(tool, tmp_path, "ask") as (here, git):
            release_bad(here, git)
            await here.phase("AwaitingDecision", 5 * MINUTE)
            await here.rest(timedelta(seconds=5))
            assert here.doubts() == {"OwnerAllows/OwnerAsks"}
            assert here.offers() == [ROLL_BACK, LEAVE]
            assert f"{tool.namespace}/{here.world.name}" in here.status()["message"]
            assert here.writes() == []

            assert (await here.click(ROLL_BACK)).taken
            await here.until(lambda: git.applied, MINUTE, "Git's version put back")
            await here.until(lambda: here.status()["phase"] == "Settling", MINUTE, "noticed")
            status = here.status()
            assert (status["outcome"], status["reason"]) == ("Superseded", "RevertedByOwner")
            put_back = put_back_at(here, "v2", here.at("patchedAt"))
            assert line_at(here, "Superseded") - put_back <= NOTICED_WITHIN
            assert f"Reverted by {tool.manager}" in status["page"]["message"]
            await here.rest(timedelta(seconds=10))
            page = here.page()
            assert page is not None
            assert page.state == "triggered"
            # Nobody fights over it.
            assert len(here.undos()) == 1
            assert git.applied == 1

    run_story(story())


@TOOLS
def test_refused(tmp_path: Path, tool: Tool) -> None:
    async def story() -> None:
        async with deployed_by(tool, tmp_path, "refuse") as (here, git):
            release_bad(here, git)
            await here.phase("AwaitingDecision", 5 * MINUTE)
            await here.rest(timedelta(seconds=20))
            assert here.doubts() == {"OwnerAllows/OwnerRefused"}
            assert here.offers() == []
            page = here.page()
            assert page is not None
            assert page.state == "triggered"
            assert here.writes() == []

    run_story(story())


@TOOLS
def test_paused_undone_and_resumed(tmp_path: Path, tool: Tool) -> None:
    async def story() -> None:
        async with deployed_by(tool, tmp_path, "pause") as (here, git):
            grant(here, tool)
            before = git.object["spec"]
            release_bad(here, git)
            await here.phase("Settling", 6 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            assert status["rollback"]["paused"]["name"] == here.world.name
            assert git.paused
            assert (here.world.version, git.applied) == ("v1", 0)
            assert here.reasons().index("OwnerPaused") < here.reasons().index("Undo")
            assert "responder.dev/resume" in str(status["timeline"])

            # Git still holds the bad version: it stays paused, also beyond the incident.
            await here.phase("Closed", 20 * MINUTE)
            assert git.paused
            git.commit()
            if tool != ARGO_CD:
                # Flux looks at nothing while it is suspended: a person says so.
                await here.rest(MINUTE)
                assert git.paused
                key = (tool.namespace, here.world.name, "responder.dev/resume")
                here.annotate(tool.key, *key, "now")
            await here.until(lambda: not git.paused, 2 * MINUTE, "resumed")
            assert git.object["spec"] == before
            assert git.object["metadata"].get("annotations", {}) == {}
            await here.until(lambda: not here.record()["spec"].get("paused"), MINUTE, "forgotten")
            await here.rest(MINUTE)
            assert here.world.version == "v1"

    run_story(story())


@pytest.mark.parametrize("way", ["flux resume", "not known as bad any more"])
def test_resumed_by_a_person(tmp_path: Path, way: str) -> None:
    async def story() -> None:
        async with deployed_by(KUSTOMIZE, tmp_path, "pause") as (here, git):
            grant(here, KUSTOMIZE)
            release_bad(here, git)
            await here.phase("Settling", 6 * MINUTE)
            await here.rest(MINUTE)
            assert git.paused
            git.commit()
            store = here.world.cluster.store
            if way == "flux resume":
                owner = git.object
                del owner["spec"]["suspend"]
                store.update(KUSTOMIZE.key, owner, manager="flux")
            else:
                record = here.record()
                record["spec"]["knownBad"] = []
                store.update("workloadrecords.responder.dev", record, manager="kubectl")
            await here.until(lambda: not here.record()["spec"].get("paused"), MINUTE, "forgotten")
            assert not git.paused
            assert git.object["metadata"].get("annotations", {}) == {}
            assert here.world.version == "v1"

    run_story(story())


@TOOLS
def test_without_the_right_to_pause_a_person_is_asked(tmp_path: Path, tool: Tool) -> None:
    async def story() -> None:
        async with deployed_by(tool, tmp_path, "pause") as (here, git):
            release_bad(here, git)
            await here.phase("AwaitingDecision", 5 * MINUTE)
            await here.rest(timedelta(seconds=5))
            assert here.doubts() == {"OwnerAllows/OwnerNotPausable"}
            assert "deploy/components/" in here.status()["message"]
            assert here.offers() == [ROLL_BACK, LEAVE]
            assert not git.paused
            assert here.writes() == []

    run_story(story())


@pytest.mark.parametrize("away", [timedelta(seconds=20), timedelta(minutes=3)])
def test_ended_between_the_pause_and_the_undo(tmp_path: Path, away: timedelta) -> None:
    async def story() -> None:
        async with deployed_by(ARGO_CD, tmp_path, "pause") as (here, git):
            grant(here, ARGO_CD)
            before = git.object["spec"]
            faults = here.world.cluster.faults
            faults.add(FaultRule("PATCH", "/deployments/[^?]+$", Refuse(500)))
            release_bad(here, git)
            await here.phase("RollingBack", 5 * MINUTE)
            await here.until(lambda: git.paused, MINUTE, "paused")
            assert here.status()["rollback"]["state"] == "Intended"
            await here.stop()
            faults.clear()
            await here.rest(away)
            assert git.paused

            await here.start()
            await here.phase("Settling", 5 * MINUTE)
            assert here.status()["outcome"] == "RolledBack", here.summary()
            assert len(here.undos()) == 1
            assert git.paused
            (paused,) = here.record()["spec"]["paused"]
            assert git.object["metadata"]["annotations"]["responder.dev/paused-by"] == paused["mark"]
            git.commit()
            await here.until(lambda: not git.paused, 2 * MINUTE, "resumed")
            assert git.object["spec"] == before

    run_story(story())


def test_an_undo_that_is_given_up_lets_the_owner_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed_by(ARGO_CD, tmp_path, "pause") as (here, git):
            grant(here, ARGO_CD)
            faults = here.world.cluster.faults
            faults.add(FaultRule("PATCH", "/deployments/[^?]+$", Refuse(500)))
            release_bad(here, git)
            await here.until(lambda: here.status() and git.paused, 6 * MINUTE, "paused")
            here.annotate_workload("responder.dev/freeze", "stop")
            faults.clear()
            await here.phase("AwaitingDecision", 2 * MINUTE)
            assert here.doubts() == {"NotFrozen/Frozen"}
            assert not git.paused
            assert here.undos() == []

    run_story(story())


@pytest.mark.parametrize("phase", ["TrafficProven", "RolledBack"])
def test_put_back_after_the_proof_of_traffic(tmp_path: Path, phase: str) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            release_slowly(here)
            await here.until(lambda: phase in str(here.status().get("timeline")), 6 * MINUTE, phase)
            at = here.world.clock.now()
            release_slowly(here)
            await here.until(lambda: "Reverted by kubectl" in str(here.status()), NOTICED_WITHIN, "noticed")
            status = here.status()
            assert status["reason"] == "RevertedByAnother"
            # An outcome stands once it is written.
            proven = phase == "RolledBack"
            assert status["outcome"] == ("RolledBack" if proven else "Superseded")
            assert line_at(here, "Reverted" if proven else "Superseded") - at <= NOTICED_WITHIN
            await here.rest(timedelta(seconds=5))
            page = here.page()
            assert page is not None
            assert page.state == "triggered"
            assert len(here.undos()) == 1

    run_story(story())


def test_a_canary_is_told_and_never_driven(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, {"rollback": {"gitops": "pause"}}, **QUICK) as here:
            cluster, deployment = here.world.cluster, here.world.deployment()
            cluster.apply(definition(FLAGGER))
            said = {"apiVersion": FLAGGER.api_version, "kind": FLAGGER.kind}
            place = {"name": here.world.name, "namespace": here.world.namespace}
            canary = cluster.apply({**said, "metadata": place})["metadata"]
            reference = {**said, "name": canary["name"], "uid": canary["uid"], "controller": True}
            deployment["metadata"]["ownerReferences"] = [reference]
            here.world.cluster.store.update(DEPLOYMENTS, deployment, manager="flagger")
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.phase("AwaitingDecision", 5 * MINUTE)
            await here.rest(timedelta(seconds=5))
            assert here.doubts() == {"OwnerAllows/OwnerDrives"}
            assert here.offers() == []
            assert here.writes() == []

    run_story(story())


def grant_looking_for_drivers(here: Stage) -> None:
    """The rights that the component adds, in the workload's namespace."""
    path = CHECKOUT / "deploy" / "components" / "progressive-delivery" / "kustomization.yaml"
    patches = yaml.safe_load(path.read_text(encoding="utf-8"))["patches"]
    rules = [op["value"] for op in yaml.safe_load(patches[0]["patch"])]
    place = {"name": "drivers", "namespace": here.world.namespace}
    rbac = "rbac.authorization.k8s.io"
    here.world.cluster.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": place, "rules": rules})
    here.world.cluster.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "drivers"},
            "subjects": [{"kind": "ServiceAccount", "name": "responder", "namespace": HOME}],
        }
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_a_rollout_that_takes_the_template_is_found(tmp_path: Path, *, allowed: bool) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, settings={"look_for_drivers": True}, **QUICK) as here:
            cluster = here.world.cluster
            cluster.apply(definition(ROLLOUTS))
            if allowed:
                grant_looking_for_drivers(here)
            meant = {"apiVersion": "apps/v1", "kind": "Deployment", "name": here.world.name}
            cluster.apply(
                {
                    "apiVersion": ROLLOUTS.api_version,
                    "kind": ROLLOUTS.kind,
                    "metadata": {"name": "steps", "namespace": here.world.namespace},
                    "spec": {"workloadRef": meant},
                }
            )
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.reason("OwnerDrives" if allowed else "DriversUnseen", 5 * MINUTE)
            await here.rest(timedelta(seconds=5))
            page = here.page()
            assert page is not None
            assert page.state == "triggered"
            assert here.writes() == []

    run_story(story())
