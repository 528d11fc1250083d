"""Whether trouble began after a revision did, where nobody saw that revision begin to serve."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from responder.rules.facts import Facts
from responder.rules.guards.cause import caused_by_rollout
from responder.verdicts import Result
from responder.workloads.ledger import Ledger
from tests.unit.rules.build import HOUR, MINUTE, V1_FROM, V2_FROM, facts, ledger, series, serving

ONSET = V2_FROM + MINUTE


def unseen(ready_by: datetime | None, onset: datetime = ONSET) -> Facts:
    """v2 was made while nobody watched; since when its pods have been ready is all that is known."""
    made = serving("v2", V2_FROM).model_copy(update={"seen": False})
    known = ledger(serving("v1", V1_FROM), made)
    values = {"error_rate": series(0.0, onset), "latency_p95": series(0.2, None)}
    return facts(ledger=known, bad_ready_by=ready_by, series=values)


@pytest.mark.parametrize(
    ("ready_by", "onset", "result", "reason"),
    [
        (V2_FROM + MINUTE / 2, ONSET, Result.PASSED, "OnsetAfterRollout"),
        (ONSET, ONSET, Result.PASSED, "OnsetAfterRollout"),
        (ONSET + MINUTE / 2, ONSET, Result.UNKNOWN, "BeginningUnknown"),
        (None, ONSET, Result.UNKNOWN, "BeginningUnknown"),
        # Before it was even made: that needs no pod to tell.
        (ONSET, V2_FROM - MINUTE, Result.FAILED, "OnsetBeforeRollout"),
        (None, V2_FROM - MINUTE, Result.FAILED, "OnsetBeforeRollout"),
    ],
)
def test_trouble_after_it_was_made_may_be_older_than_its_serving(
    ready_by: datetime | None, onset: datetime, result: Result, reason: str
) -> None:
    verdict = caused_by_rollout(unseen(ready_by, onset))
    assert (verdict.result, verdict.reason) == (result, reason), verdict.message


def test_without_a_ledger_its_creation_is_no_beginning() -> None:
    assert caused_by_rollout(facts(ledger=Ledger())).reason == "BeginningUnknown"
    ready_by = V2_FROM + MINUTE / 2
    assert caused_by_rollout(facts(ledger=Ledger(), bad_ready_by=ready_by)).reason == "OnsetAfterRollout"


def test_what_was_seen_needs_no_pod() -> None:
    assert caused_by_rollout(facts(bad_ready_by=None)).reason == "OnsetAfterRollout"
    assert caused_by_rollout(facts(bad_ready_by=ONSET + MINUTE)).reason == "OnsetAfterRollout"


def test_trouble_that_was_over_long_before_its_pods_became_ready_is_another() -> None:
    """They may have been replaced since: an old hiccup says nothing."""
    late = unseen(ONSET + HOUR)
    hiccup = {**dict.fromkeys(late.truths, 0.0), ONSET: 0.05, ONSET + HOUR + MINUTE: 0.05}
    moved = replace(late, series={"error_rate": hiccup, "latency_p95": dict.fromkeys(hiccup, 0.2)})
    assert caused_by_rollout(moved).reason == "OnsetAfterRollout"
