"""The loop itself: a bad release is noticed, rolled back once, proven, remembered and told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.inboxes.pagerduty import AlertState
from responder.workloads.views import CHANGE_CAUSE, FENCE
from tests.flow.harness import SHORT, Stage, stage
from tests.shared import run_story

STEPS = (
    "onsetAt",
    "alertedAt",
    "receivedAt",
    "decidedAt",
    "patchedAt",
    "trafficProvenAt",
    "recoveredAt",
    "closedAt",
)


def check_steps(here: Stage) -> None:
    """Each step happened, in the order in which they have to."""
    at = [here.at(step) for step in STEPS]
    assert at == sorted(at), dict(zip(STEPS, at, strict=True))
    assert at[0] < at[1] < at[5] < at[6] < at[7]
    assert here.at("patchedAt") - here.at("receivedAt") < timedelta(seconds=5)
    assert here.at("trafficProvenAt") - here.at("patchedAt") < timedelta(minutes=5)


def check_traffic(here: Stage) -> None:
    """The oracle's word: v2 had traffic, and none any more once that was said to be proven."""
    v1, v2 = here.rs_uid("v1"), here.rs_uid("v2")
    proven_at = here.at("trafficProvenAt")
    last = here.world.oracle.last_request_to(v2)
    assert last is not None
    assert here.at("patchedAt") < last < proven_at
    assert set(here.world.oracle.requests_by_revision(since=proven_at)) == {v1}
    assert here.world.oracle.error_share(since=proven_at) == 0.0


def check_undo(here: Stage) -> None:
    """One patch, by its preconditions the one that was decided; its fence stands on the Deployment."""
    (undo,) = here.undos()
    tested = {op["path"] for op in undo.body if op["op"] == "test"}
    assert {"/metadata/uid", "/spec/template", "/spec/paused"} <= tested
    incident = here.incident()
    assert incident is not None
    deployment = here.world.deployment()
    assert deployment["metadata"]["labels"][FENCE] == f"{incident['metadata']['uid']}.1"
    assert here.world.version == "v1"


def check_record(here: Stage) -> None:
    """What outlives the incident: the bad revision, the undo, and who served when."""
    spec = here.record()["spec"]
    assert [bad["revision"]["uid"] for bad in spec["knownBad"]] == [here.rs_uid("v2")]
    assert [(done["fromUid"], done["toUid"], done["automatic"]) for done in spec["rollbacks"]] == [
        (here.rs_uid("v2"), here.rs_uid("v1"), True)
    ]
    v1, v2, again = spec["servings"]
    assert [s["revision"]["uid"] for s in (v1, v2, again)] == [
        here.rs_uid(version) for version in ("v1", "v2", "v1")
    ]
    assert v1["healthyUntil"] is not None
    assert v2.get("healthyUntil") is None
    assert v1["endedAt"] is not None
    assert v2["endedAt"] is not None
    assert again.get("endedAt") is None
    assert spec["nextSequence"] == 2


def check_people(here: Stage) -> None:
    """One message that was updated as it went, one page that was resolved."""
    message = here.message()
    assert len(here.world.slack.messages) == 1
    said = [content.text for content in message.versions]
    assert len(said) >= 3
    assert "proven" in said[-1]
    assert here.offers() == []
    (page,) = here.world.pagerduty.alerts.values()
    assert (page.pages, page.state) == (1, AlertState.RESOLVED)
    assert [event.action for event in page.events].count("resolve") == 1


def test_error_rate_is_rolled_back_and_proven(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, scrape_interval_seconds=5.0) as here:
            here.annotate_workload("example.org/owner", "team-a")
            here.annotate_workload(CHANGE_CAUSE, "release v1")
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05, change_cause="release v2")
            here.annotate_workload("example.org/ticket", "T-1")
            await here.phase("Settling", timedelta(minutes=6))
            status = here.status()
            assert (status["outcome"], status["rule"]) == ("RolledBack", "payment-service/high-error-rate")
            conditions = {c["type"]: c["status"] for c in status["conditions"]}
            assert conditions == {"TrafficProven": "True", "Recovered": "True"}
            await here.phase("Closed", timedelta(minutes=6))
            check_steps(here)
            check_traffic(here)
            check_undo(here)
            check_record(here)
            check_people(here)
            annotations = here.world.deployment()["metadata"]["annotations"]
            assert annotations[CHANGE_CAUSE] == "release v1"
            assert annotations["example.org/owner"] == "team-a"
            assert annotations["example.org/ticket"] == "T-1"
            assert len(here.incidents()) == 1

    run_story(story())


@pytest.mark.slow
def test_reference_file_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, tick_seconds=2.0, replicas=4, requests_per_second=40.0) as here:
            await here.rest(timedelta(minutes=21))
            here.world.release("v2", error_rate=0.04)
            await here.phase("Settling", timedelta(minutes=20))
            assert here.status()["outcome"] == "RolledBack", here.status()
            await here.phase("Closed", timedelta(minutes=20))
            check_steps(here)
            check_traffic(here)
            check_undo(here)
            check_record(here)
            check_people(here)
            assert len(here.incidents()) == 1

    run_story(story())
