"""The rollback that older API versions ask for by an annotation on the Deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from responder.sandbox import manifests
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of
from responder.sandbox.controllers.revisions import REVISION, ROLLBACK_TO
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

NAMESPACE, NAME = "default", "payment-service"


def play(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a story on a new cluster in virtual time."""

    async def main() -> None:
        async with Cluster.start(clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))) as cluster:
            await story(cluster)

    run_story(main())


async def release(cluster: Cluster, *versions: int) -> None:
    """Roll out versions one after another."""
    for version in versions:
        if cluster.store.get("deployments.apps", NAMESPACE, NAME) is None:
            cluster.apply(manifests.deployment(image=f"payments:{version}"))
        else:
            cluster.release(NAMESPACE, NAME, image=f"payments:{version}")
        await cluster.rollout_complete(NAMESPACE, NAME)


def ask(cluster: Cluster, revision: str, *, paused: bool = False) -> None:
    """Annotate the Deployment with the revision that is wanted."""
    deployment = cluster.deployment(NAMESPACE, NAME)
    deployment["metadata"]["annotations"] = annotations_of(deployment) | {ROLLBACK_TO: revision}
    deployment["spec"]["paused"] = paused
    cluster.store.update("deployments.apps", deployment, manager="test")


def reasons(cluster: Cluster) -> dict[str, str]:
    """The messages of the Events about rollbacks by reason."""
    events = cluster.store.list("events", NAMESPACE)
    return {each["reason"]: each["message"] for each in events if "Rollback" in each["reason"]}


@pytest.mark.parametrize(("asked", "version", "told"), [("0", 2, 2), ("1", 1, 1)])
def test_the_controller_takes_the_revision_asked_for(asked: str, version: int, told: int) -> None:
    async def story(cluster: Cluster) -> None:
        await release(cluster, 1, 2, 3)
        ask(cluster, asked)
        await cluster.clock.sleep(1)
        deployment = await cluster.rollout_complete(NAMESPACE, NAME)
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"payments:{version}"
        assert ROLLBACK_TO not in annotations_of(deployment)
        assert annotations_of(deployment)[REVISION] == "4"
        assert reasons(cluster) == {
            "DeploymentRollback": f'Rolled back deployment "{NAME}" to revision {told}'
        }

    play(story)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("7", "DeploymentRollbackRevisionNotFound"),
        ("0", "DeploymentRollbackRevisionNotFound"),
        ("1", "DeploymentRollbackTemplateUnchanged"),
    ],
)
def test_what_cannot_be_done_is_told_and_asked_no_more(asked: str, reason: str) -> None:
    async def story(cluster: Cluster) -> None:
        await release(cluster, 1)
        ask(cluster, asked)
        await cluster.clock.sleep(1)
        deployment = cluster.deployment(NAMESPACE, NAME)
        assert ROLLBACK_TO not in annotations_of(deployment)
        assert list(reasons(cluster)) == [reason]

    play(story)


def test_a_paused_deployment_keeps_the_request_for_later() -> None:
    async def story(cluster: Cluster) -> None:
        await release(cluster, 1, 2)
        ask(cluster, "1", paused=True)
        await cluster.clock.sleep(1)
        assert annotations_of(cluster.deployment(NAMESPACE, NAME))[ROLLBACK_TO] == "1"
        assert reasons(cluster) == {}

    play(story)
