"""The loop for StatefulSets and DaemonSets: undone from a ControllerRevision, proven by their own signs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.inboxes.pagerduty import AlertState
from responder.workloads.views import CHANGE_CAUSE, FENCE
from tests.flow.harness import QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story

KINDS = ("StatefulSet", "DaemonSet")


def of_kind(kind: str) -> dict[str, Any]:
    """The change of the reference rule file that makes its workload one of this kind."""
    return {"workload": {"deployment": None, kind.lower(): "payment-service"}}


def made_from(here: Stage, version: str) -> str:
    """What the oracle calls the pods made from a version: the owner's UID and the hash in their label."""
    revision, uid = here.revision(version), here.world.workload()["metadata"]["uid"]
    name = revision["metadata"]["name"]
    labels = revision["metadata"]["labels"]
    return f"{uid}/{labels.get('controller-revision-hash', name)}"


def check_proof(here: Stage) -> None:
    """The oracle's word: v2 had traffic, and none any more once that was said to be proven."""
    proven_at = here.at("trafficProvenAt")
    last = here.world.oracle.last_request_to(made_from(here, "v2"))
    assert last is not None
    assert here.at("patchedAt") < last < proven_at
    assert set(here.world.oracle.requests_by_revision(since=proven_at)) == {made_from(here, "v1")}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_rolled_back_and_proven(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, of_kind(kind), **QUICK) as here:
            here.annotate_workload(CHANGE_CAUSE, "release v1")
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.3, change_cause="release v2")
            await here.phase("Closed", timedelta(minutes=15))
            assert here.status()["outcome"] == "RolledBack"
            assert here.status()["rollback"]["automatic"]
            check_proof(here)
            (undo,) = here.undos()
            tested = {op["path"] for op in undo.body if op["op"] == "test"}
            assert {"/metadata/uid", "/spec/template", "/spec/updateStrategy/type"} <= tested
            assert {op["path"] for op in undo.body if op["op"] != "test"} == {
                "/spec/template",
                "/metadata/labels/responder.dev~1fence",
            }
            workload = here.world.workload()
            assert here.versions == ["v1", "v2", "v1"]
            assert FENCE in workload["metadata"]["labels"]
            # As kubectl: the revisions keep the cause, nothing brings it back.
            assert workload["metadata"]["annotations"][CHANGE_CAUSE] == "release v2"
            v1, v2, again = here.record()["spec"]["servings"]
            assert v1["revision"]["uid"] == again["revision"]["uid"] == here.rs_uid("v1")
            assert v2["revision"]["uid"] == here.rs_uid("v2")
            (page,) = here.world.pagerduty.alerts.values()
            assert (page.pages, page.state) == (1, AlertState.RESOLVED)

    run_story(story())


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_asked_and_lets_it_roll_back(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, of_kind(kind), **QUICK) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", latency_p95="9s")
            await here.reason("RuleAsks", timedelta(minutes=5))
            assert here.undos() == []
            await here.rest(timedelta(seconds=10))
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", timedelta(minutes=10))
            assert here.status()["outcome"] == "RolledBack"
            assert not here.status()["rollback"]["automatic"]
            check_proof(here)

    run_story(story())


@pytest.mark.parametrize("kind", KINDS)
def test_one_whose_pods_wait_to_be_deleted_is_told(tmp_path: Path, kind: str) -> None:
    async def story() -> None:
        on_delete = {"updateStrategy": {"type": "OnDelete"}}
        async with stage(tmp_path, SHORT, of_kind(kind), spec=on_delete, **QUICK) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.3)
            for pod in here.world.cluster.store.list("pods", here.world.namespace):
                here.world.cluster.store.delete("pods", here.world.namespace, pod["metadata"]["name"])
            await here.reason("UpdatesOnDelete", timedelta(minutes=5))
            assert "NotPaused/UpdatesOnDelete" in here.doubts()
            await here.rest(timedelta(minutes=2))
            assert here.status()["phase"] == "AwaitingDecision"
            assert here.offers() == []
            page = here.page()
            assert page is not None
            assert "OnDelete" in str(page.events[-1])
            assert here.undos() == []

    run_story(story())
