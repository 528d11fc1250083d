"""A revision that was rolled back and serves again is told of at once, each time once."""

from __future__ import annotations

from datetime import datetime

import pytest

from responder.pipeline.returns import find_return, tells_of
from responder.workloads.ledger import KnownBad, Ledger, Serving
from tests.unit.pipeline.test_settle import incident
from tests.unit.rules.build import HOUR, MINUTE, NOW, reference, serving

ROLLED_BACK = NOW - HOUR
V1_AGAIN = serving("v1", ROLLED_BACK + MINUTE)
V2_FIRST = serving("v2", ROLLED_BACK - 10 * MINUTE, ROLLED_BACK + MINUTE)
V2_BACK = serving("v2", NOW - MINUTE)


def ledger(*servings: Serving, bad: str = "v2") -> Ledger:
    known = KnownBad(revision=reference(bad), incident="i-1", at=ROLLED_BACK)
    return Ledger(watched_from=NOW - 24 * HOUR, servings=servings, known_bad=(known,))


CASES: dict[str, tuple[Ledger, datetime | None]] = {
    "it serves again": (ledger(V2_FIRST, V1_AGAIN, V2_BACK), NOW - MINUTE),
    "its last pods are still going": (
        ledger(serving("v2", ROLLED_BACK - 10 * MINUTE), serving("v1", ROLLED_BACK + MINUTE)),
        None,
    ),
    "the target serves": (ledger(V2_FIRST, V1_AGAIN), None),
    "it was there and is gone": (
        ledger(V2_FIRST, V1_AGAIN, serving("v2", NOW - 9 * MINUTE, NOW - MINUTE)),
        None,
    ),
    "another is known bad": (ledger(V2_FIRST, V1_AGAIN, V2_BACK, bad="v3"), None),
    # The clock was set back between the release and the rollback.
    "it began after its own rollback": (
        ledger(serving("v1", NOW - 2 * HOUR), serving("v2", ROLLED_BACK + 2 * MINUTE)),
        None,
    ),
    "it never served before its rollback": (ledger(serving("v1", NOW - 2 * HOUR), V2_BACK), NOW - MINUTE),
    # Pods that come and go during the rollback are no release.
    "its last pods flap": (
        ledger(
            serving("v2", ROLLED_BACK - 10 * MINUTE, ROLLED_BACK + MINUTE / 6),
            serving("v2", ROLLED_BACK + MINUTE / 3),
        ),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_serves_again(case: str) -> None:
    found, since = CASES[case]
    seen = find_return(found)
    assert (None if seen is None else seen.at) == since


def test_a_template_released_anew_is_the_same_by_its_hash() -> None:
    anew = reference("v2").model_copy(update={"uid": "uid-v2-made-anew"})
    back = V2_BACK.model_copy(update={"revision": anew})
    assert find_return(ledger(V2_FIRST, V1_AGAIN, back)) is not None


@pytest.mark.parametrize(
    ("reason", "closed_at", "tells"),
    [
        ("RevertedByOwner", None, True),
        ("RevertedByAnother", NOW, True),
        # It began to serve after that incident had closed: another return, and news.
        ("RevertedByAnother", NOW - 2 * MINUTE, False),
        ("EveryGuardPassed", None, False),
        ("EveryGuardPassed", NOW, False),
    ],
)
def test_what_its_incident_tells_of_is_no_news(reason: str, closed_at: datetime | None, tells: bool) -> None:
    found = find_return(ledger(V2_FIRST, V1_AGAIN, V2_BACK))
    assert found is not None
    undone = incident(NOW, firing=True)
    times = undone.status.times.model_copy(update={"closed_at": closed_at})
    status = undone.status.model_copy(update={"reason": reason, "times": times})
    assert tells_of(undone.model_copy(update={"status": status}), found) is tells
    other = find_return(ledger(V2_FIRST, V1_AGAIN, serving("v3", NOW - MINUTE), bad="v3"))
    assert other is not None
    assert not tells_of(undone.model_copy(update={"status": status}), other)
