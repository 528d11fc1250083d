"""What deploys from Git: it brings its template back under its tool's name, unless it is paused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.sandbox import manifests
from responder.sandbox.cluster import Cluster
from responder.sandbox.gitops import ARGO_CD, HELM, KUSTOMIZE, GitOps, Tool
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


def pause(cluster: Cluster, git: GitOps) -> None:
    """As a person does with the tool's own command."""
    owner = git.object
    if git.tool == ARGO_CD:
        owner["spec"]["syncPolicy"] = {}
    else:
        owner["spec"]["suspend"] = True
    cluster.store.update(git.tool.key, owner, manager="kubectl")


def image(cluster: Cluster) -> str:
    """What the Deployment's first container runs."""
    containers = cluster.deployment(NAMESPACE, NAME)["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])


@pytest.mark.parametrize("tool", [ARGO_CD, KUSTOMIZE, HELM], ids=lambda tool: tool.kind)
def test_it_brings_back_what_git_holds_unless_it_is_paused(tool: Tool) -> None:
    async def story() -> None:
        clock = LoopClock(START)
        async with Cluster.start(clock=clock) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            git = GitOps(cluster, tool, NAMESPACE, NAME, every_seconds=5.0)
            git.install()
            held = image(cluster)
            async with alongside(git.run()):
                await clock.sleep(20)
                assert git.applied == 0, "nothing to do is no write"
                cluster.release(NAMESPACE, NAME, image="registry.example/other:v9")
                await clock.sleep(6)
                assert (image(cluster), git.applied) == (held, 1)
                entries = cluster.deployment(NAMESPACE, NAME)["metadata"]["managedFields"]
                assert (tool.manager, "Apply") in {(e["manager"], e["operation"]) for e in entries}

                pause(cluster, git)
                assert git.paused
                cluster.release(NAMESPACE, NAME, image="registry.example/other:v9")
                await clock.sleep(60)
                assert (image(cluster), git.applied) == ("registry.example/other:v9", 1)

    run_story(story())


def test_argo_cd_goes_on_comparing_while_it_is_paused() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        async with Cluster.start(clock=clock) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            git = GitOps(cluster, ARGO_CD, NAMESPACE, NAME, every_seconds=5.0)
            git.install()
            pause(cluster, git)
            async with alongside(git.run()):
                cluster.release(NAMESPACE, NAME, image="registry.example/other:v9")
                await clock.sleep(6)
                assert git.object["status"]["resources"][0]["status"] == "OutOfSync"
                git.commit()
                await clock.sleep(6)
                assert git.object["status"]["resources"][0]["status"] == "Synced"

    run_story(story())
