"""What the ledger knows of revisions: since when each serves, who served at an instant, who is bad."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from responder.workloads.ledger import KnownBad, Serving, serving_at
from responder.workloads.revision import ReplicaSet
from tests.unit.rules.build import HOUR, MINUTE, NOW, V1_FROM, V2_FROM, history, ledger, reference, serving
from tests.unit.rules.build import replicaset as build

REUSED = {"deployment.kubernetes.io/revision-history": "1"}
V1, V2 = serving("v1", V1_FROM, V2_FROM), serving("v2", V2_FROM)
BACK = V2_FROM + 5 * MINUTE
SECOND = MINUTE / 60
HALF_WAY = (serving("v1", V1_FROM, V2_FROM + MINUTE), serving("v2", V2_FROM, V2_FROM + MINUTE))
BLIP = V2_FROM + MINUTE + 15 * SECOND


def replicaset(version: str, created_at: datetime = V1_FROM, **metadata: Any) -> ReplicaSet:
    return ReplicaSet(build(version, 1, created_at, **metadata))


@pytest.mark.parametrize(
    ("servings", "began"),
    [
        ((V1, V2), V2_FROM),
        # Its pods were away in between, but nothing else was released.
        ((V1, serving("v2", V2_FROM, V2_FROM + MINUTE), serving("v2", BACK)), V2_FROM),
        # Another revision came in between: that is a new beginning.
        ((serving("v2", V1_FROM, V2_FROM), serving("v1", V2_FROM, BACK), serving("v2", BACK)), BACK),
        # Half way through a rollout both went for a moment, and came back.
        ((*HALF_WAY, serving("v1", BLIP), serving("v2", BLIP + SECOND)), V2_FROM),
        ((*HALF_WAY, serving("v2", BLIP), serving("v1", BLIP)), V2_FROM),
        # They were away for long, or the other one had taken over in between.
        ((*HALF_WAY, serving("v1", BACK), serving("v2", BACK)), BACK),
        ((*HALF_WAY, serving("v1", BLIP, BLIP, complete_at=BLIP), serving("v2", BLIP)), BLIP),
        ((V1, serving("v2", None)), None),
        ((V1, serving("v2", None, V2_FROM), serving("v2", BACK)), None),
    ],
)
def test_since_when_it_serves(servings: tuple[Serving, ...], began: datetime | None) -> None:
    assert ledger(*servings).served_from(replicaset("v2")) == began


def test_without_the_ledger_only_a_first_use_tells() -> None:
    assert ledger(V1).served_from(replicaset("v3", V2_FROM)) == V2_FROM
    assert ledger(V1).served_from(replicaset("v3", V2_FROM, annotations=REUSED)) is None


@pytest.mark.parametrize(
    ("created_at", "never"),
    [
        (NOW, True),
        (V1_FROM - HOUR, True),
        # Before anybody watched it may well have served.
        (V1_FROM - 2 * HOUR, False),
    ],
)
def test_never_served(created_at: datetime, never: bool) -> None:
    assert ledger(V1).never_served(replicaset("v3", created_at)) is never
    assert not ledger(V1, serving("v3", None)).never_served(replicaset("v3", created_at))


@pytest.mark.parametrize(
    ("instant", "version"),
    [
        (V1_FROM - MINUTE, None),
        (V1_FROM, "v1"),
        (V2_FROM - MINUTE, "v1"),
        (V2_FROM, "v2"),
        (NOW, "v2"),
    ],
)
def test_who_served_at(instant: datetime, version: str | None) -> None:
    found = serving_at(history(), ledger(V1, V2), instant)
    assert (None if found is None else found.uid) == (None if version is None else f"uid-{version}")


def test_a_revision_that_is_gone_served_all_the_same() -> None:
    known = ledger(serving("v1", V1_FROM), serving("v3", V2_FROM, BACK))
    assert serving_at(history(), known, V2_FROM + MINUTE) is None
    after = serving_at(history(), ledger(V1, V2, serving("v3", V1_FROM, V2_FROM)), NOW)
    assert after is not None
    assert after.uid == "uid-v2"


def test_a_bad_revision_is_known_also_when_made_anew() -> None:
    known = ledger(known_bad=(KnownBad(revision=reference("v2"), incident="i-1", at=NOW),))
    assert known.is_known_bad(replicaset("v2"))
    assert known.is_known_bad(replicaset("v2", NOW, uid="uid-made-anew"))
    assert not known.is_known_bad(replicaset("v1"))
