"""The arithmetic of sizes by itself, where a whole rollout would hide the case."""

from __future__ import annotations

import pytest

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.controllers.revisions import DESIRED_REPLICAS, MAX_REPLICAS
from responder.sandbox.controllers.rolling import (
    Scale,
    max_surge,
    max_unavailable,
    new_size,
    plan_old,
    plan_scale,
    resolve,
)


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Object:
    """A Deployment as far as sizes go."""
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"metadata": {"name": "d"}, "spec": {"replicas": replicas, "strategy": strategy}, "status": {}}


def replica_set(name: str, wants: int, available: int, *, last_told: int = 10, most: int = 10) -> Object:
    """A ReplicaSet; its name tells its age as well, and last_told what size of the Deployment it knows."""
    annotations = {DESIRED_REPLICAS: str(last_told), MAX_REPLICAS: str(most)}
    metadata = {"name": name, "uid": name, "creationTimestamp": name, "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": wants}, "status": {"availableReplicas": available}}


def sizes(steps: list[Scale]) -> list[tuple[str, int]]:
    """The steps by name."""
    return [(name_of(step.replica_set), step.replicas) for step in steps]


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [
        ("25%", 10, 3, 2),
        ("25%", 3, 1, 0),
        ("100%", 7, 7, 7),
        ("0%", 9, 0, 0),
        (2, 1, 2, 2),
        ("10%", 10, 1, 1),
    ],
)
def test_limits_resolve_up_for_surge_and_down_for_unavailable(
    value: int | str, total: int, up: int, down: int
) -> None:
    assert (resolve(value, total, round_up=True), resolve(value, total, round_up=False)) == (up, down)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "wanted"),
    [
        (10, "25%", "25%", (3, 2)),
        (3, "25%", "25%", (1, 0)),
        (3, "0%", "25%", (0, 1)),  # both come to 0, so one may be missing
        (1, 0, 5, (0, 1)),  # never more than there are
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_fenceposts(replicas: int, surge: int | str, unavailable: int | str, wanted: tuple[int, int]) -> None:
    found = deployment(replicas, surge, unavailable)
    assert (max_surge(found), max_unavailable(found)) == wanted


@pytest.mark.parametrize(
    ("old", "current", "wanted"), [(10, 0, 3), (8, 3, 5), (8, 5, 5), (0, 5, 10), (10, 12, 10), (20, 4, 4)]
)
def test_the_new_one_grows_into_what_room_there_is(old: int, current: int, wanted: int) -> None:
    others = [replica_set("1", old, old)]
    assert new_size(deployment(10), others, replica_set("2", current, 0)) == wanted


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        # Unavailable pods go first and all at once, oldest set first.
        ([("1", 4, 0), ("2", 4, 4)], ("3", 5, 5), [("1", 0), ("2", 3)]),
        # What the new one has not made available yet is taken off.
        ([("1", 8, 8)], ("3", 5, 0), []),
        ([("1", 8, 8)], ("3", 5, 2), [("1", 6)]),
        # A set can lose both kinds, one step each.
        ([("1", 6, 4)], ("3", 7, 7), [("1", 4), ("1", 1)]),
        # A status older than the size says more than is wanted: nothing is built on it.
        ([("1", 8, 10)], ("3", 3, 3), []),
        ([("1", 0, 0)], ("3", 10, 10), []),
        # What is still told of a set that wants none is nothing to spare. Source: Kubernetes
        # pkg/controller/deployment/rolling.go, rolloutRolling: only active old sets go into the count.
        ([("1", 0, 3), ("2", 5, 5)], ("3", 8, 6), [("2", 2)]),
    ],
)
def test_old_ones_shrink_within_the_budget(
    old: list[tuple[str, int, int]], new: tuple[str, int, int], wanted: list[tuple[str, int]]
) -> None:
    assert sizes(plan_old(deployment(10), [replica_set(*each) for each in old], replica_set(*new))) == wanted


def test_among_equals_the_newer_grows_first_and_the_older_shrinks_first() -> None:
    old, new = replica_set("1", 5, 5), replica_set("2", 5, 0)
    assert dict(sizes(plan_scale(deployment(11, 0, 1), [old], new))) == {"2": 6, "1": 5}
    assert dict(sizes(plan_scale(deployment(9, 0, 1), [old], new))) == {"1": 4, "2": 5}


def test_a_new_one_that_has_it_all_leaves_nothing_to_the_others() -> None:
    old, new = replica_set("1", 2, 2, last_told=8), replica_set("2", 10, 10)
    assert sizes(plan_scale(deployment(10), [old], new)) == [("1", 0)]


def test_the_only_active_one_follows_the_size_be_it_old() -> None:
    old, new = replica_set("1", 10, 10), replica_set("2", 0, 0)
    assert sizes(plan_scale(deployment(4), [old], new)) == [("1", 4)]
    assert sizes(plan_scale(deployment(10), [old], new)) == []
    assert sizes(plan_scale(deployment(4), [replica_set("1", 0, 0)], None)) == [("1", 4)]
    assert sizes(plan_scale(deployment(4), [], None)) == []


def test_without_a_known_maximum_the_status_stands_in() -> None:
    found = deployment(20, 5, 5) | {"status": {"replicas": 10}}
    old, new = replica_set("1", 6, 6, most=0), replica_set("2", 4, 0, most=0)
    assert dict(sizes(plan_scale(found, [old], new))) == {"1": 15, "2": 10}
