"""Which revision to go back to, by who served when; never by number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from responder.workloads.ledger import KnownBad, Ledger, RollbackDone
from responder.workloads.target import select_target
from responder.workloads.views import Object
from tests.unit.rules.build import (
    HOUR,
    MINUTE,
    NOW,
    V1_FROM,
    V2_FROM,
    history,
    ledger,
    reference,
    replicaset,
    serving,
    template,
)

V3_FROM = NOW - 5 * MINUTE
V1, V2, V3 = replicaset("v1", 1), replicaset("v2", 2, V2_FROM), replicaset("v3", 3, V3_FROM)
SERVED = (serving("v1", V1_FROM, V2_FROM), serving("v2", V2_FROM, V3_FROM), serving("v3", V3_FROM))
REUSED: dict[str, Any] = {"annotations": {"deployment.kubernetes.io/revision-history": "2"}}


def bad(version: str) -> KnownBad:
    return KnownBad(revision=reference(version), incident="i-1", at=NOW)


def undone(at: datetime) -> RollbackDone:
    return RollbackDone(
        incident="i-1", from_uid="uid-v2", to_uid="uid-v1", at=at, automatic=True, by="responder"
    )


def duplicate(version: str, like: str) -> Object:
    """A ReplicaSet of another name with the same template as an older one."""
    made = replicaset(version, 2, V2_FROM)
    made["spec"]["template"] = {**template(like), "metadata": {"labels": {"app": "a"}}}
    return made


@pytest.mark.parametrize(
    ("name", "found", "known", "expected"),
    [
        ("the one before", [V1, V2, V3], ledger(*SERVED), ("v2", True)),
        (
            "a known bad one served in between, nobody knows why again: not simply the one before that",
            [V1, V2, V3],
            ledger(*SERVED, known_bad=(bad("v2"),)),
            ("v1", False),
        ),
        (
            "a known bad one was undone, and released again before the present one",
            [V1, V2, V3],
            ledger(*SERVED, known_bad=(bad("v2"),), rollbacks=(undone(V2_FROM - MINUTE),)),
            ("v1", False),
        ),
        (
            "a known bad one was undone before the present one: v1 served in between",
            [V1, V2, V3],
            ledger(*SERVED, known_bad=(bad("v2"),), rollbacks=(undone(V3_FROM - MINUTE),)),
            ("v1", True),
        ),
        (
            "none is left",
            [V1, V2, V3],
            ledger(*SERVED, known_bad=(bad("v1"), bad("v2"))),
            None,
        ),
        ("not one that never served", [V1, V2, V3], ledger(SERVED[0], SERVED[2]), ("v1", True)),
        (
            "numbers say nothing: v1 was gone back to, and has the higher one",
            [replicaset("v1", 4, **REUSED), V2, V3],
            ledger(
                serving("v1", V1_FROM, V2_FROM),
                serving("v2", V2_FROM, V2_FROM + MINUTE),
                serving("v1", V2_FROM + MINUTE, V3_FROM),
                serving("v3", V3_FROM),
            ),
            ("v1", True),
        ),
        (
            "a later release that is scaled down already is not before it",
            [V1, replicaset("v2", 4, NOW - MINUTE), V3],
            ledger(SERVED[0], SERVED[2], serving("v2", NOW - MINUTE, NOW)),
            ("v1", True),
        ),
        (
            "no ledger: the one made last is likely, but it may never have served",
            [V1, V2, V3],
            Ledger(),
            ("v2", False),
        ),
        ("no ledger, and no other was ever there", [V1, V3], Ledger(), ("v1", True)),
        ("no ledger, and others are gone", [V2, V3], Ledger(), ("v2", False)),
        (
            "one was released while nobody watched: it may never have become ready",
            [V1, V2, V3],
            ledger(serving("v1", V1_FROM, V3_FROM), SERVED[2]).model_copy(update={"watched_from": V3_FROM}),
            ("v2", False),
        ),
        (
            "no ledger, and the one before was used twice: likely",
            [V1, replicaset("v2", 2, V1_FROM - HOUR, **REUSED), V3],
            Ledger(),
            ("v2", False),
        ),
        ("nothing but reused ones", [replicaset("v1", 2, **REUSED), V3], Ledger(), ("v1", False)),
        (
            "one being deleted, which may have served since",
            [V1, replicaset("v2", 2, deletionTimestamp="x"), V3],
            Ledger(),
            ("v1", False),
        ),
        (
            "a duplicate the controller would not pick",
            [V1, duplicate("v2", "v1"), V3],
            Ledger(),
            ("v1", True),
        ),
        ("a duplicate of the bad one", [V1, V3, duplicate("v2", "v3")], Ledger(), ("v1", True)),
        ("alone", [V3], Ledger(), None),
        ("the one before is gone: not simply the one before that", [V1, V3], ledger(*SERVED), ("v1", False)),
        (
            "what is gone had ended while the chosen one still served",
            [V1, V3],
            ledger(serving("v1", V1_FROM, V3_FROM), serving("v2", V2_FROM, V2_FROM + MINUTE), SERVED[2]),
            ("v1", True),
        ),
    ],
)
def test_target(name: str, found: list[Object], known: Ledger, expected: Any) -> None:
    whole = history("v3", *found)
    current = whole.by_uid("uid-v3")
    assert current is not None
    target = select_target(whole, known, current)
    assert (None if target is None else (target.revision.uid, target.certain)) == (
        None if expected is None else (f"uid-{expected[0]}", expected[1])
    ), name


def test_whether_it_served_is_told_from_what_served_in_between() -> None:
    whole = history("v3", V1, V2, V3)
    current = whole.by_uid("uid-v3")
    assert current is not None
    unseen = select_target(
        whole, ledger(SERVED[0], SERVED[2]).model_copy(update={"watched_from": V3_FROM}), current
    )
    between = select_target(whole, ledger(*SERVED, known_bad=(bad("v2"),)), current)
    assert unseen is not None
    assert between is not None
    assert (unseen.certain, unseen.unseen) == (False, True)
    assert (between.certain, between.unseen) == (False, False)


@pytest.mark.parametrize(
    ("found", "known", "why_not"),
    [
        ([V1, V2, V3], ledger(*SERVED, known_bad=(bad("v2"),)), "was rolled back as bad"),
        ([V1, V3], ledger(*SERVED), "is gone from the history"),
    ],
)
def test_what_served_in_between_is_known(found: list[Object], known: Ledger, why_not: str) -> None:
    whole = history("v3", *found)
    current = whole.by_uid("uid-v3")
    assert current is not None
    target = select_target(whole, known, current)
    assert target is not None
    assert target.between == SERVED[1]
    assert target.why_not == why_not
