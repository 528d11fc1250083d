"""What a look at the ReplicaSets adds to the ledger."""

from __future__ import annotations

from typing import Any

from responder.workloads.history import History, parse_history
from responder.workloads.observe import MAX_SERVINGS, observe
from responder.workloads.workload import Deployment
from tests.unit.rules.build import (
    MINUTE,
    NOW,
    V1_FROM,
    V2_FROM,
    deployment,
    ledger,
    replicaset,
    serving,
)

COMPLETE = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
REUSED = {"annotations": {"deployment.kubernetes.io/revision-history": "1"}}


def history(*, v1: int = 0, v2: int = 0, status: Any = None, **v2_metadata: Any) -> History:
    """v2 is the current revision; the numbers are ready pods."""
    first, second = replicaset("v1", 1), replicaset("v2", 2, V2_FROM, **v2_metadata)
    first["status"], second["status"] = {"readyReplicas": v1}, {"readyReplicas": v2}
    return parse_history({**deployment("v2"), "status": status or {}}, [first, second])


ONLY_V1 = ledger(serving("v1", V1_FROM))
BOTH = ledger(serving("v1", V1_FROM), serving("v2", V2_FROM))


def test_a_beginning_that_was_watched() -> None:
    v1, v2 = observe(ONLY_V1, history(v1=3, v2=1), NOW, continuous=True)
    assert v1.ended_at is None
    assert (v2.revision.uid, v2.seen, v2.first_serving_at) == ("uid-v2", True, NOW)


def test_a_beginning_that_was_missed() -> None:
    """Then its creation counts, if that was its only use."""
    _, first_use = observe(ONLY_V1, history(v1=3, v2=1), NOW, continuous=False)
    assert (first_use.seen, first_use.first_serving_at) == (False, V2_FROM)
    _, reused = observe(ONLY_V1, history(v1=3, v2=1, **REUSED), NOW, continuous=False)
    assert (reused.seen, reused.first_serving_at) == (False, None)


def test_going_on_changes_nothing() -> None:
    assert observe(BOTH, history(v1=1, v2=2), NOW, continuous=False) == BOTH.servings


def test_the_end_and_a_new_period() -> None:
    ended = observe(BOTH, history(v2=3), NOW, continuous=True)
    assert [s.ended_at for s in ended] == [NOW, None]
    again = observe(ledger(*ended), history(v1=1, v2=3), NOW + MINUTE, continuous=True)
    assert [s.revision.uid for s in again] == ["uid-v1", "uid-v2", "uid-v1"]
    assert again[0].ended_at == NOW
    assert again[2].first_serving_at == NOW + MINUTE


def test_a_revision_that_is_gone_has_ended() -> None:
    gone = parse_history(deployment("v2"), [])
    assert {s.ended_at for s in observe(BOTH, gone, NOW, continuous=True)} == {NOW}


def test_complete_is_noted_once_for_the_current_revision() -> None:
    rolled_out = history(v2=3, status=COMPLETE)
    _, v2 = observe(BOTH, rolled_out, NOW, continuous=True)
    assert v2.complete_at == NOW
    (_, later) = observe(ledger(*BOTH.servings[:1], v2), rolled_out, NOW + MINUTE, continuous=True)
    assert later.complete_at == NOW


def test_complete_needs_every_replica_of_an_observed_generation() -> None:
    assert Deployment({**deployment("v2"), "status": COMPLETE}).complete
    for name in COMPLETE:
        assert not Deployment({**deployment("v2"), "status": {**COMPLETE, name: 1}}).complete, name
    # One pod of the old revision is left.
    assert not Deployment({**deployment("v2"), "status": {**COMPLETE, "replicas": 4}}).complete


def test_pods_that_come_and_go_make_no_revision_new() -> None:
    known = BOTH
    for n in range(2 * MAX_SERVINGS):
        for ready in (0, 3):
            seen = observe(known, history(v2=ready), NOW + n * MINUTE, continuous=True)
            known = known.model_copy(update={"servings": seen})
    assert len(known.servings) == MAX_SERVINGS
    assert known.began("uid-v2") == V2_FROM
    assert known.servings[0].revision.uid == "uid-v1"


def test_the_ledger_is_bounded() -> None:
    long = ledger(*(serving(f"v{n}", V1_FROM, V2_FROM) for n in range(MAX_SERVINGS)))
    kept = observe(long, history(v2=1), NOW, continuous=True)
    assert len(kept) == MAX_SERVINGS
    assert kept[-1].revision.uid == "uid-v2"
