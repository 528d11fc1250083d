"""What the hold window notices, in single events and between two looks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from responder.verification.signature import Kind, sign
from responder.workloads.views import Object
from tests.unit.verification import build
from tests.unit.verification.build import World, claim, endpoint, endpoint_slice, pod

Change = Callable[[Object], Any]


def objects(world: World) -> dict[Kind, Object]:
    return {
        "Workload": world.deployment,
        "Revision": world.replicasets[0],
        "Pod": world.pods[0],
        "Service": world.services[0],
        "EndpointSlice": world.slices[0],
    }


NOTICED: list[tuple[Kind, Change]] = [
    ("Workload", lambda it: it["spec"].update(replicas=4)),
    ("Workload", lambda it: it["spec"].update(paused=True)),
    ("Workload", lambda it: it["status"].update(availableReplicas=2)),
    ("Workload", lambda it: it["status"].update(terminatingReplicas=1)),
    ("Revision", lambda it: it["spec"].update(replicas=2)),
    ("Revision", lambda it: it["status"].update(readyReplicas=2)),
    ("Revision", lambda it: it["metadata"].update(ownerReferences=[])),
    ("Pod", lambda it: it["status"]["conditions"][0].update(status="False")),
    ("Pod", lambda it: it["status"]["conditions"][0].update(lastTransitionTime="2026-03-01T10:00:06Z")),
    ("Pod", lambda it: it["status"].update(containerStatuses=[{"restartCount": 1}])),
    ("Pod", lambda it: it["status"].update(phase="Failed")),
    ("Pod", lambda it: it["metadata"].update(deletionTimestamp="2026-03-01T10:00:06Z")),
    ("Pod", lambda it: it["metadata"].update(uid="uid-reborn")),
    ("Service", lambda it: it["spec"].update(selector={"app": "other"})),
    ("Service", lambda it: it["spec"].update(ipFamilies=["IPv4", "IPv6"])),
    ("Service", lambda it: it["spec"].update(ports=[{**build.HTTP, "targetPort": "web"}])),
    ("EndpointSlice", lambda it: it.update(ports=None)),
    ("EndpointSlice", lambda it: it["ports"][0].update(port=9090)),
    ("EndpointSlice", lambda it: it["endpoints"].append(endpoint("x"))),
    ("EndpointSlice", lambda it: it["endpoints"][0]["conditions"].update(serving=False)),
    ("EndpointSlice", lambda it: it["endpoints"][0]["conditions"].update(terminating=True)),
]


@pytest.mark.parametrize(("kind", "change"), NOTICED)
def test_a_change_is_noticed_in_an_event_and_between_looks(kind: Kind, change: Change) -> None:
    world = World()
    before = sign(copy.deepcopy(world).snapshot(), claim())
    changed = objects(world)[kind]
    change(changed)
    assert before.changed_by(kind, changed, deleted=False)
    assert before != sign(world.snapshot(), claim())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Workload", lambda it: it["metadata"].update(generation=8)),
        ("Workload", lambda it: it["status"].update(observedGeneration=8)),
        ("Pod", lambda it: it["metadata"]["labels"].update(team="payments")),
        ("Pod", lambda it: it["metadata"].update(resourceVersion="999")),
        ("Service", lambda it: it["metadata"].update(resourceVersion="999")),
        ("EndpointSlice", lambda it: it["endpoints"].reverse()),
    ],
)
def test_what_says_nothing_about_serving_is_not_noticed(kind: Kind, change: Change) -> None:
    world = World()
    before = sign(copy.deepcopy(world).snapshot(), claim())
    changed = objects(world)[kind]
    change(changed)
    assert not before.changed_by(kind, changed, deleted=False)
    assert before == sign(world.snapshot(), claim())


@pytest.mark.parametrize("kind", ["Workload", "Revision", "Pod", "Service", "EndpointSlice"])
def test_what_is_deleted_is_noticed(kind: Kind) -> None:
    world = World()
    assert sign(world.snapshot(), claim()).changed_by(kind, objects(world)[kind], deleted=True)


@pytest.mark.parametrize(
    ("kind", "content", "noticed"),
    [
        ("Pod", pod("bad-pod", "bad"), True),
        # Owned by nobody, but a Service selects it.
        ("Pod", pod("bare", ownerReferences=[]), True),
        ("Pod", pod("other", ownerReferences=[], labels={"app": "other"}), False),
        ("Revision", build.replicaset("newer", 4, 1), True),
        ("Service", build.service("second"), True),
        ("Service", build.service("other", selector={"app": "other"}), False),
        ("EndpointSlice", endpoint_slice("slice-3"), True),
        ("EndpointSlice", endpoint_slice("other", of="other"), False),
    ],
)
def test_what_is_new_is_noticed_where_it_bears_on_the_claim(
    kind: Kind, content: Object, noticed: bool
) -> None:
    assert sign(World().snapshot(), claim()).changed_by(kind, content, deleted=False) is noticed


def test_a_named_service_that_comes_into_being_is_noticed() -> None:
    world = World(services=[], slices=[])
    known = sign(world.snapshot(), claim())
    assert known.changed_by("Service", build.service(selector={"app": "other"}), deleted=False)
