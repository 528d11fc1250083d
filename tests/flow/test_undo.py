"""Undo in the whole loop where the world is not as it should be: half way, unobserved, changed, forbidden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.api.disturbances import SkewClock
from responder.sandbox.api.faults import Delay, DropBefore, FaultRule
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.workloads.views import CHANGE_CAUSE, FENCE
from tests.flow.harness import DEPLOYMENTS, SHORT, Stage, stage
from tests.shared import run_story

Story = Callable[[Stage], Awaitable[None]]

SOON = timedelta(minutes=3)


def play(tmp_path: Path, story: Story, *changes: dict[str, Any]) -> None:
    """Run the story on a small world whose first version has served healthily for a while."""

    async def main() -> None:
        async with stage(tmp_path, SHORT, *changes, replicas=3, scrape_interval_seconds=10.0) as here:
            await here.rest(timedelta(minutes=3))
            await story(here)

    run_story(main())


def replicas(here: Stage, version: str) -> int:
    """How many pods a version's ReplicaSet wants."""
    uid = here.rs_uid(version)
    found = here.world.cluster.store.list("replicasets.apps", here.world.namespace)
    return int(next(rs["spec"]["replicas"] for rs in found if rs["metadata"]["uid"] == uid))


async def rolled_back(here: Stage, *versions: str) -> None:
    """Wait for the outcome; the store saw these versions and no other."""
    status = await here.phase("Settling", timedelta(minutes=10))
    assert status["outcome"] == "RolledBack", here.summary()
    assert here.versions == list(versions)
    assert len(here.undos()) == 1


def test_a_rollout_half_way_is_undone_and_proven(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.6, ready_after="90s")
        await here.phase("Verifying", timedelta(minutes=6))
        held = here.status()["rollback"]["bad"]["uid"]
        assert held == here.rs_uid("v2")
        served = here.world.oracle.requests_by_revision(since=here.at("decidedAt") - timedelta(seconds=10))
        assert set(served) == {here.rs_uid("v1"), here.rs_uid("v2")}
        await rolled_back(here, "v1", "v2", "v1")
        assert (replicas(here, "v1"), replicas(here, "v2")) == (3, 0)

    play(tmp_path, story)


def test_a_template_its_controller_has_not_seen_is_waited_for(tmp_path: Path) -> None:
    """With the controllers stalled nothing can be said of the rollout: held, paged once, then undone."""

    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
        here.world.cluster.controllers.stall("deployment")
        here.annotate_workload("example.com/touched", "1")
        await here.reason("TemplateNotObserved", SOON)
        await here.rest(timedelta(minutes=1))
        assert here.status()["phase"] == "Open"
        assert here.undos() == []
        page = here.page()
        assert page is not None
        assert page.pages == 1
        here.world.cluster.controllers.resume("deployment")
        await rolled_back(here, "v1", "v2", "v1")
        assert page.pages == 1

    play(tmp_path, story)


def test_a_release_that_never_served_is_not_the_one_to_go_back_to(tmp_path: Path) -> None:
    """v2 never became ready, so v1 served before v3, whatever the revision numbers say."""

    async def story(here: Stage) -> None:
        here.world.release("v2", never_ready="true")
        await here.rest(timedelta(seconds=40))
        here.world.release("v3", error_rate=0.1, never_ready="false")
        await rolled_back(here, "v1", "v2", "v3", "v1")
        assert here.world.oracle.first_request_to(here.rs_uid("v2")) is None

    play(tmp_path, story)


def test_a_release_that_served_while_nobody_watched_is_the_one_to_go_back_to(tmp_path: Path) -> None:
    """v2 came, served well and went while no workload could be read, yet the Lease was kept: it did serve."""

    async def story(here: Stage) -> None:
        here.world.cluster.faults.add(FaultRule("*", "/apis/apps/", DropBefore()))
        await here.rest(timedelta(seconds=45))  # the watches that are open go on until the server ends them
        here.world.release("v2")
        await here.rest(timedelta(minutes=3))
        here.world.release("v3", error_rate=0.1)
        await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
        here.world.cluster.faults.clear()
        await rolled_back(here, "v1", "v2", "v3", "v2")

    play(tmp_path, story)


def test_a_release_that_looks_older_as_the_clock_was_set_back_is_undone_like_any_other(
    tmp_path: Path,
) -> None:
    """By an hour, the API server's: revisions are told old from new by their numbers."""

    async def story(here: Stage) -> None:
        await here.world.cluster.suffer(SkewClock(here.world.clock.now(), -3600))
        here.world.release("v2", error_rate=0.1)
        await rolled_back(here, "v1", "v2", "v1")

    play(tmp_path, story)


def test_what_others_write_between_decision_and_patch_stays(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await while_the_patch_is_on_its_way(
            here, lambda: here.annotate_workload("example.com/added", "meanwhile")
        )
        await rolled_back(here, "v1", "v2", "v1")
        deployment = here.world.deployment()
        assert deployment["metadata"]["annotations"]["example.com/added"] == "meanwhile"
        assert CHANGE_CAUSE not in deployment["metadata"]["annotations"]

    play(tmp_path, story)


async def while_the_patch_is_on_its_way(here: Stage, change: Callable[[], object]) -> None:
    """Release v2, bad, and do something after the undo was decided and before the server sees it."""
    rule = FaultRule("PATCH", f"/deployments/{here.world.name}$", Delay(3.0), count=1)
    here.world.cluster.faults.add(rule)
    here.world.release("v2", error_rate=0.1, change_cause="release v2")
    await here.until(lambda: here.world.cluster.faults.taken, SOON, "the undo is on its way")
    assert here.status()["phase"] == "RollingBack"
    change()


def test_a_release_between_decision_and_patch_is_not_undone(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await while_the_patch_is_on_its_way(here, lambda: here.world.release("v3"))
        status = await here.phase("Closed", timedelta(minutes=10))
        assert status["outcome"] == "Recovered"
        assert status["rollback"]["state"] == "Voided"
        assert "UndoRefused" in here.reasons()
        assert here.versions == ["v1", "v2", "v3"]
        assert here.undos() == []

    play(tmp_path, story)


def test_a_deployment_made_anew_between_decision_and_patch_is_not_undone(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        old = here.world.deployment()

        def recreate() -> None:
            here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)
            metadata = {"name": here.world.name, "namespace": here.world.namespace}
            here.world.cluster.apply({**old, "metadata": metadata, "status": {}})

        await while_the_patch_is_on_its_way(here, recreate)
        await here.until(lambda: "UndoRefused" in here.reasons(), SOON, "refused")
        await here.rest(timedelta(minutes=1))
        assert FENCE not in here.world.deployment()["metadata"].get("labels", {})
        assert here.undos() == []
        assert here.writes() == []

    play(tmp_path, story)


def test_a_deployment_deleted_between_decision_and_patch_is_for_people(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        def delete() -> None:
            here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)

        await while_the_patch_is_on_its_way(here, delete)
        await here.reason("WorkloadNotFound", SOON)
        assert here.undos() == []
        assert here.offers() == []
        page = await here.until(here.page, SOON, "a page")
        assert page.state is AlertState.TRIGGERED

    play(tmp_path, story)


def test_without_the_right_to_patch_people_are_paged_before_anything_is_tried(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        forbid_patching(here)
        here.world.release("v2", error_rate=0.1)
        status = await here.phase("AwaitingDecision", timedelta(minutes=6))
        assert status["reason"] == "DryRunRefused"
        assert "cannot patch" in status["message"]
        page = await here.until(here.page, SOON, "a page")
        assert page.state is AlertState.TRIGGERED
        await here.rest(timedelta(minutes=1))
        assert here.offers() == []
        assert here.versions == ["v1", "v2"]

    # Of its own the rule would page nobody.
    play(tmp_path, story, {"alerts": {"high-error-rate": {"notify": ["slack"]}}})


def test_when_the_right_to_patch_goes_last_the_rollback_fails_and_pages(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        slow = FaultRule("PATCH", "/incidents/.*/status", Delay(3.0), count=1)
        here.world.cluster.faults.add(slow)
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.world.cluster.faults.taken, SOON, "an intent under way")
        forbid_patching(here)
        status = await here.phase("Closed", timedelta(minutes=6))
        assert (status["outcome"], status["reason"]) == ("RollbackFailed", "Forbidden")
        assert "cannot patch" in status["message"]
        page = await here.until(here.page, SOON, "a page")
        await here.rest(timedelta(minutes=2))
        assert page.state is AlertState.TRIGGERED
        assert "failed" in page.summary
        assert page.events[-1].payload["severity"] == "critical"
        assert here.versions == ["v1", "v2"]
        assert "failed" in here.message().current.text

    # Of its own the rule would page nobody.
    play(tmp_path, story, {"alerts": {"high-error-rate": {"notify": ["slack"]}}})


def forbid_patching(here: Stage) -> None:
    """Take the right to patch Deployments from every role."""
    key = "clusterroles.rbac.authorization.k8s.io"
    for role in here.world.cluster.store.list(key):
        for rule in role["rules"]:
            if "deployments" in rule["resources"]:
                rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]
        here.world.cluster.store.update(key, role, manager="kubectl")


@pytest.mark.parametrize("strategy", [{"type": "Recreate"}, {"rollingUpdate": {"maxSurge": "100%"}}])
def test_other_strategies_are_undone_as_well(tmp_path: Path, strategy: dict[str, Any]) -> None:
    async def story(here: Stage) -> None:
        deployment = here.world.deployment()
        deployment["spec"]["strategy"] = strategy
        here.world.cluster.store.update(DEPLOYMENTS, deployment, manager="kubectl")
        here.world.release("v2", error_rate=0.1)
        await rolled_back(here, "v1", "v2", "v1")

    play(tmp_path, story)
