"""A responder that ends at any moment and starts again goes on where it was: one undo, nothing forgotten."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.api.faults import Delay, FaultRule, Hang, Refuse
from responder.workloads.views import FENCE
from tests.flow.harness import DEPLOYMENTS, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


def decide_with_kubectl(here: Stage, choice: str) -> None:
    """Create the Decision that answers the incident's question, as its message describes."""
    incident = here.incident()
    assert incident is not None
    digest, name = incident["status"]["ask"]["digest"], incident["metadata"]["name"]
    here.world.cluster.store.create(
        "decisions.responder.dev",
        {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "Decision",
            "metadata": {"name": f"{name}-{digest}", "namespace": here.world.namespace},
            "spec": {
                "incident": name,
                "incidentUid": incident["metadata"]["uid"],
                "digest": digest,
                "choice": choice,
                "by": "kubectl:oncall",
                "at": here.world.clock.now().isoformat(),
            },
        },
        manager="kubectl",
    )


def test_ended_in_every_phase_of_a_rollback(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            faults = here.world.cluster.faults
            await here.rest(4 * MINUTE)
            faults.add(FaultRule("PATCH", "/deployments/[^?]+$", Refuse(500)))
            here.world.release("v2", error_rate=0.05)
            await here.phase("RollingBack", 4 * MINUTE)
            await here.rest(timedelta(seconds=5))
            assert here.status()["rollback"]["state"] == "Intended"
            assert here.writes() == []
            await here.stop()
            faults.clear()
            await here.rest(timedelta(seconds=40))

            await here.start()
            await here.phase("Verifying", timedelta(seconds=30))
            assert here.world.version == "v1"
            await here.stop()
            await here.rest(timedelta(seconds=20))

            await here.start()
            await here.phase("Settling", 4 * MINUTE)
            assert here.status()["outcome"] == "RolledBack", here.status()
            await here.stop()
            await here.rest(MINUTE)

            await here.start()
            await here.phase("Closed", 6 * MINUTE)
            assert here.status()["outcome"] == "RolledBack"
            assert len(here.undos()) == 1
            assert here.status()["rollback"]["attempt"] == 1
            assert len(here.incidents()) == 1, here.summary()
            assert len(here.record()["spec"]["rollbacks"]) == 1
            assert len(here.world.slack.messages) == 1
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, "resolved")

    run_story(story())


def test_a_decision_made_meanwhile_is_honoured(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            await here.stop()
            decide_with_kubectl(here, "rollback")
            await here.rest(timedelta(seconds=30))
            assert here.world.version == "v2"
            await here.start()
            await here.phase("Settling", 4 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["by"]) == ("RolledBack", "kubectl:oncall")
            assert status["rollback"]["automatic"] is False
            assert len(here.undos()) == 1

    run_story(story())


def test_revisions_reused_while_nobody_watched(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            await here.stop()
            # Bad, good again by hand, bad again: the ReplicaSets were reused, and nobody saw when.
            here.world.release("v2", error_rate=0.05)
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            here.world.release("v1")
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            await here.rest(2 * MINUTE)
            here.world.release("v2", error_rate=0.05)
            await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
            await here.start()
            await here.phase("Open", 3 * MINUTE)
            await here.rest(timedelta(seconds=40))
            assert here.status()["phase"] == "Open"
            assert "CausedByRollout/BeginningUnknown" in here.doubts()
            assert here.writes() == []
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, "triggered")

    run_story(story())


@pytest.mark.parametrize("later", [timedelta(seconds=5), 3 * MINUTE], ids=["at once", "later"])
def test_an_undo_put_back_before_anybody_recorded_it_is_not_done_again(
    tmp_path: Path, later: timedelta
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            faults = here.world.cluster.faults
            await here.rest(4 * MINUTE)
            faults.add(FaultRule("PATCH", "/deployments/[^?]+$", Hang(after_effect=True)))
            here.world.release("v2", error_rate=0.05)
            bad = here.world.deployment()["spec"]["template"]
            await here.until(lambda: here.world.version == "v1", 5 * MINUTE, "undone, and not recorded")
            await here.stop()
            faults.clear()
            assert here.status()["rollback"]["state"] == "Intended"
            replace(here, bad)
            await here.rest(later)
            await here.start()
            status = await here.phase("AwaitingDecision", MINUTE)
            assert here.versions == ["v1", "v2", "v1", "v2"]
            assert len(here.undos()) == 1
            assert "NotAgain/LeftAlone" in here.doubts()
            assert any("Reverted or changed by kubectl-replace" in e["message"] for e in status["timeline"])
            assert here.page() is not None
            assert (await here.click(ROLL_BACK)).taken
            await here.until(lambda: here.world.version == "v1", MINUTE, "a person may")
            assert len(here.undos()) == 2

    run_story(story())


def replace(here: Stage, template: dict[str, Any]) -> None:
    """Bring back a manifest from before the undo, as kubectl replace does: whole, so without its fence."""
    found = here.world.deployment()
    found["metadata"]["labels"].pop(FENCE)
    found["spec"]["template"] = template
    here.world.cluster.store.update(DEPLOYMENTS, found, manager="kubectl-replace")


@pytest.mark.parametrize("between", [False, True])
def test_a_record_that_lags_behind_a_release_that_nobody_watched_puts_no_undo_to_people(
    tmp_path: Path, between: bool
) -> None:
    """Whoever leads next judges when it knows what has served, not on what the leader before wrote."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            await here.stop()
            if between:
                here.world.release("v2")
                await here.rest(4 * MINUTE)
            here.world.release("v3", error_rate=0.06)
            await here.rest(MINUTE)
            here.world.cluster.faults.add(FaultRule("PATCH", "/workloadrecords/", Delay(8.0), count=1))
            await here.start()
            await here.phase("Settling", 6 * MINUTE)
            assert here.versions[-1] == ("v2" if between else "v1")
            assert len(here.undos()) == 1
            assert here.status()["rollback"]["automatic"]

    run_story(story())
