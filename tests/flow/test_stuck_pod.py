"""A pod that is never ready holds an ordered rollback up: told, and deleted only after a Decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.incidents.decision import Choice, render_decision
from responder.incidents.model import parse_incident
from tests.flow.harness import LEAVE, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.flow.test_other_kinds import check_proof, of_kind
from tests.shared import CHECKOUT, run_story

pytestmark = pytest.mark.slow

DELETE_POD = "responder.delete-pod"
STUCK = "payment-service-0"
NEVER_READY = "sandbox.responder.dev/never-ready"
SOON = timedelta(minutes=5)
COMPONENT = CHECKOUT / "deploy" / "components" / "stuck-pods" / "kustomization.yaml"


def give_right(here: Stage) -> None:
    """Apply the component that lets the responder delete pods."""
    (patch,) = yaml.safe_load(COMPONENT.read_text(encoding="utf-8"))["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    store = here.world.cluster.store
    role = store.get("clusterroles.rbac.authorization.k8s.io", "", patch["target"]["name"])
    assert role is not None
    role["rules"].append(operation["value"])
    store.update("clusterroles.rbac.authorization.k8s.io", role, manager="kubectl")


def pod(here: Stage) -> dict[str, Any] | None:
    return here.world.cluster.store.get("pods", here.world.namespace, STUCK)


def deleted(here: Stage) -> list[Any]:
    """The pods that were deleted over HTTP, which only the responder speaks."""
    return [write for write in here.world.cluster.log.writes("/pods/") if write.method == "DELETE"]


@asynccontextmanager
async def stuck(tmp_path: Path, *, right: bool) -> AsyncIterator[Stage]:
    """A rollback that a person wanted and that waits for a pod of the bad revision, which is not ready."""
    async with stage(tmp_path, SHORT, of_kind("StatefulSet"), **QUICK) as here:
        if right:
            give_right(here)
        await here.rest(timedelta(minutes=4))
        here.world.release("v2", latency_p95="9s")
        await here.reason("RuleAsks", SOON)
        here.annotate("pods", here.world.namespace, STUCK, NEVER_READY, "true")
        await here.rest(timedelta(seconds=10))
        assert (await here.click(ROLL_BACK)).taken
        await here.reason("PodStuck", SOON)
        await here.rest(timedelta(seconds=20))
        yield here


def test_it_is_deleted_once_a_person_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with stuck(tmp_path, right=True) as here:
            status, found = here.status(), pod(here)
            assert found is not None
            assert status["phase"] == "Verifying"
            assert f"kubectl -n payments delete pod {STUCK}" in status["message"]
            page = here.page()
            assert page is not None
            assert STUCK in str(page.events[-1])
            # Nothing is done while nobody decides, for longer than the proof may take otherwise.
            await here.rest(timedelta(minutes=8))
            assert here.status()["phase"] == "Verifying"
            assert deleted(here) == []
            assert here.offers() == [DELETE_POD, LEAVE]
            assert (await here.click(DELETE_POD)).taken
            await here.phase("Settling", timedelta(minutes=10))
            assert here.status()["outcome"] == "RolledBack"
            assert here.reasons().count("PodStuck") == 1
            assert "PodDeleted" in here.reasons()
            (delete,) = deleted(here)
            assert (delete.body or {}).get("preconditions") == {"uid": found["metadata"]["uid"]}
            check_proof(here)
            assert here.offers() == []

    run_story(story())


def test_it_is_left_where_a_person_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with stuck(tmp_path, right=True) as here:
            assert (await here.click(LEAVE)).taken
            await here.phase("Settling", timedelta(minutes=2))
            assert (here.status()["outcome"], here.status()["reason"]) == ("TrafficNotProven", "PodStuck")
            assert deleted(here) == []

    run_story(story())


def test_whoever_may_not_delete_it_says_how_to(tmp_path: Path) -> None:
    """And a person who deletes it by hand lets the proof go on."""

    async def story() -> None:
        async with stuck(tmp_path, right=False) as here:
            assert "deploy/components/stuck-pods" in here.status()["message"]
            assert here.offers() == []
            here.world.cluster.store.delete("pods", here.world.namespace, STUCK)
            await here.phase("Settling", timedelta(minutes=10))
            assert here.status()["outcome"] == "RolledBack"
            assert deleted(here) == []
            check_proof(here)

    run_story(story())


def test_an_answer_about_one_pod_is_none_about_the_next_of_its_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with stuck(tmp_path, right=True) as here:
            obj = here.incident()
            assert obj is not None
            incident = parse_incident(obj)
            assert incident.status.ask is not None
            first = incident.status.ask.digest
            # Somebody deletes it, the answer comes late, and what comes in its place is of the target.
            here.world.cluster.store.delete("pods", here.world.namespace, STUCK)
            body = render_decision(incident, first, Choice.DELETE_POD, "alex", here.world.clock.now())
            here.world.cluster.store.create("decisions.responder.dev", body, manager="kubectl")
            await here.phase("Settling", timedelta(minutes=10))
            assert here.status()["outcome"] == "RolledBack"
            assert deleted(here) == []

    run_story(story())
