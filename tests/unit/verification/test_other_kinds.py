"""Each way in which the rollback of a StatefulSet or DaemonSet can look done without being done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from responder.verdicts import Result, overall
from responder.verification.signature import Kind, sign
from responder.verification.snapshot import Snapshot
from responder.verification.statefulset import find_blocking_pod, not_ready_since
from responder.verification.traffic import assess_traffic
from responder.workloads.history import parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.views import EndpointSlice, Object, Pod, Service
from responder.workloads.workload import parse_workload
from tests.unit.verification import build
from tests.unit.verification.build import REPLICAS, claim, endpoint, endpoint_slice, meta, service

ON_DELETE = {"type": "OnDelete"}
UID, NAME = "uid-payment-service", "payment-service"
STATEFUL_COUNTS = ("replicas", "updatedReplicas", "currentReplicas", "readyReplicas", "availableReplicas")
DAEMON_COUNTS = (
    *("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled"),
    *("numberReady", "numberAvailable"),
)


def workload(kind: str) -> Object:
    """Of three pods, taken back to the revision "good"."""
    status: Object = {"observedGeneration": 7}
    spec: Object = {"template": build.template("good"), "updateStrategy": {"type": "RollingUpdate"}}
    if kind == "StatefulSet":
        spec["replicas"] = REPLICAS
        status |= {**dict.fromkeys(STATEFUL_COUNTS, REPLICAS), "currentRevision": "cr-good"}
        status["updateRevision"] = "cr-good"
    else:
        status |= dict.fromkeys(DAEMON_COUNTS, REPLICAS)
    return {"kind": kind, "metadata": meta(NAME, generation=7), "spec": spec, "status": status}


def revision(kind: str, version: str, number: int) -> Object:
    labels = {"controller-revision-hash": version} if kind == "DaemonSet" else {}
    owners = [{"kind": kind, "name": NAME, "uid": UID, "controller": True}]
    return {
        "metadata": meta(f"cr-{version}", labels=labels, ownerReferences=owners),
        "data": {"spec": {"template": {"$patch": "replace", **build.template(version)}}},
        "revision": number,
    }


def pod(kind: str, name: str, version: str = "good", **metadata: Any) -> Object:
    named = version if kind == "DaemonSet" else f"cr-{version}"
    labels = {"app": NAME, "version": version, "controller-revision-hash": named}
    owners = {"generateName": f"{NAME}-", "ownerReferences": build.owned_by(UID), "labels": labels}
    return build.pod(name, version, **(owners | metadata))


@dataclass
class World:
    """Everything a snapshot is made of, as plain objects."""

    kind: str
    workload: Object = field(init=False)
    revisions: list[Object] = field(init=False)
    pods: list[Object] = field(init=False)
    slices: list[Object] = field(
        default_factory=lambda: [endpoint_slice("slice-1", *(endpoint(name) for name in "abc"))]
    )

    def __post_init__(self) -> None:
        self.workload = workload(self.kind)
        self.revisions = [revision(self.kind, "good", 3), revision(self.kind, "bad", 2)]
        self.pods = [pod(self.kind, name) for name in "abc"]

    def snapshot(self) -> Snapshot:
        return Snapshot(
            before=parse_workload(self.workload),
            history=parse_history(self.workload, self.revisions, self.pods),
            pods=tuple(map(Pod, self.pods)),
            services=(Service(service()),),
            slices=tuple(map(EndpointSlice, self.slices)),
        )

    def claim(self, **changes: Any) -> Any:
        key = WorkloadKey("payments", self.kind, NAME)
        return claim(**({"key": key, "target_uid": "uid-cr-good"} | changes))

    def not_passed(self, **changes: Any) -> dict[str, str]:
        verdicts = assess_traffic(self.snapshot(), self.claim(**changes))
        return {verdict.check: verdict.reason for verdict in verdicts if not verdict.passed}


KINDS = ("StatefulSet", "DaemonSet")
Spoil = Callable[[World], Any]


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_rollback_passes_every_check(kind: str) -> None:
    world = World(kind)
    assert world.not_passed() == {}
    assert overall(assess_traffic(world.snapshot(), world.claim())) is Result.PASSED


def status(**changes: Any) -> Spoil:
    return lambda world: world.workload["status"].update(changes)


def relabel(world: World) -> None:
    world.pods[0]["metadata"]["labels"]["controller-revision-hash"] = "something-else"


def add_bad_pod(world: World, **metadata: Any) -> None:
    world.pods.append(pod(world.kind, "bad-pod", "bad", **metadata))


BOTH: list[tuple[Spoil, str, str]] = [
    (lambda w: w.workload["metadata"].update(uid="other"), "SameWorkload", "Superseded"),
    (lambda w: w.workload["metadata"].update(deletionTimestamp="x"), "SameWorkload", "Superseded"),
    (lambda w: w.workload["spec"].update(template=build.template("x")), "TemplateRestored", "Superseded"),
    (lambda w: w.workload["spec"].update(updateStrategy=ON_DELETE), "NotPaused", "UpdatesOnDelete"),
    (status(observedGeneration=6), "GenerationObserved", "GenerationNotObserved"),
    (lambda w: w.revisions.pop(0), "TargetChosen", "TargetGone"),
    (lambda w: w.revisions[0]["metadata"].update(deletionTimestamp="x"), "TargetChosen", "TargetTerminating"),
    # Right after the undo: the controller has not raised the number of what it is to bring back yet.
    (lambda w: w.revisions[0].update(revision=1), "TargetChosen", "RevisionNotCurrent"),
    (lambda w: w.revisions.append(revision(w.kind, "good", 9) | {"metadata": meta(
        "cr-twin", ownerReferences=build.owned_by(UID))}), "TargetChosen", "TargetNotChosen"),
    (lambda w: w.pods.pop(), "TargetPodsReady", "TargetPodsMissing"),
    (lambda w: w.pods[0]["status"].update(conditions=[]), "TargetPodsReady", "TargetPodsNotReady"),
    (lambda w: w.pods[0]["status"].update(phase="Pending"), "TargetPodsReady", "TargetPodsNotReady"),
    (lambda w: w.pods[0]["metadata"].update(deletionTimestamp="x"), "TargetPodsReady", "TargetPodsNotReady"),
    (relabel, "TargetPodsReady", "TargetPodsMissing"),
    (relabel, "NoOtherPods", "OtherRevisionPods"),
    (add_bad_pod, "NoOtherPods", "OtherRevisionPods"),
    (lambda w: add_bad_pod(w, deletionTimestamp="x"), "NoOtherPods", "OtherRevisionPods"),
    # The right label and another owner: somebody else's pod.
    (lambda w: w.pods[0]["metadata"].update(ownerReferences=[]), "TargetPodsReady", "TargetPodsMissing"),
    (lambda w: w.pods[0]["metadata"].update(ownerReferences=[]), "OnlyTargetSelected", "ForeignPodSelected"),
    (
        lambda w: w.slices[0]["endpoints"].append(endpoint("bad-pod")),
        "Service/payment-service/IPv4",
        "OtherEndpointServing",
    ),
    (lambda w: w.slices[0]["endpoints"].pop(), "Service/payment-service/IPv4", "EndpointsIncomplete"),
]  # fmt: skip

STATEFUL: list[tuple[Spoil, str, str]] = [
    *((status(**{name: 2}), "RolloutComplete", "RolloutIncomplete") for name in STATEFUL_COUNTS),
    (status(replicas=4), "RolloutComplete", "RolloutIncomplete"),
    (status(currentRevision="cr-bad"), "RolloutComplete", "RolloutIncomplete"),
    (status(updateRevision="cr-bad"), "RolloutComplete", "AnotherUpdateRevision"),
]

DAEMON: list[tuple[Spoil, str, str]] = [
    *((status(**{name: 2}), "RolloutComplete", "RolloutIncomplete") for name in DAEMON_COUNTS),
    (status(numberUnavailable=1), "RolloutComplete", "RolloutIncomplete"),
    (status(numberMisscheduled=1), "RolloutComplete", "RolloutIncomplete"),
    (status(desiredNumberScheduled=0), "ReplicasWanted", "ZeroReplicas"),
]


@pytest.mark.parametrize(
    ("kind", "spoil", "check", "reason"),
    [
        *(("StatefulSet", *case) for case in [*BOTH, *STATEFUL]),
        *(("DaemonSet", *case) for case in [*BOTH, *DAEMON]),
    ],
)
def test_the_workload_checks(kind: str, spoil: Spoil, check: str, reason: str) -> None:
    world = World(kind)
    spoil(world)
    assert world.not_passed().get(check) == reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_label_on_a_pod_of_somebody_else_is_not_enough(kind: str) -> None:
    world = World(kind)
    world.pods[0]["metadata"]["ownerReferences"] = build.owned_by("uid-other")
    assert world.not_passed().get("TargetPodsReady") == "TargetPodsMissing"


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_owner_is_not_enough(kind: str) -> None:
    """The workload owns the pods of every revision."""
    world = World(kind)
    world.pods[0] = pod(kind, "a", "bad")
    assert world.not_passed().get("TargetPodsReady") == "TargetPodsMissing"
    assert world.not_passed().get("NoOtherPods") == "OtherRevisionPods"


@pytest.mark.parametrize("kind", KINDS)
def test_an_observed_generation_alone_is_no_completion(kind: str) -> None:
    world = World(kind)
    for name in ("updatedReplicas", "updatedNumberScheduled"):
        world.workload["status"].pop(name, None)
    assert world.not_passed() == {"RolloutComplete": "RolloutIncomplete"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_has_ended_does_not_count(kind: str) -> None:
    world = World(kind)
    add_bad_pod(world)
    world.pods[-1]["status"] = {"phase": "Failed"}
    assert world.not_passed() == {}


CHANGES: list[tuple[Kind, Callable[[World], Object], Callable[[Object], Any]]] = [
    ("Workload", lambda w: w.workload, lambda it: it["status"].update(currentRevision="cr-bad")),
    ("Workload", lambda w: w.workload, lambda it: it["status"].update(numberReady=1)),
    ("Workload", lambda w: w.workload, lambda it: it["spec"].update(updateStrategy={"type": "OnDelete"})),
    ("Revision", lambda w: w.revisions[0], lambda it: it.update(revision=4)),
    ("Revision", lambda w: w.revisions[0], lambda it: it["metadata"].update(ownerReferences=[])),
    ("Pod", lambda w: w.pods[0], lambda it: it["metadata"]["labels"].pop("controller-revision-hash")),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("what", "pick", "change"), CHANGES)
def test_a_change_ends_the_window(
    kind: str, what: Kind, pick: Callable[[World], Object], change: Callable[[Object], Any]
) -> None:
    world = World(kind)
    before = sign(World(kind).snapshot(), world.claim())
    change(pick(world))
    assert before.changed_by(what, pick(world), deleted=False)
    assert before != sign(world.snapshot(), world.claim())


def waiting() -> World:
    """An ordered StatefulSet half way back: the pod a of the bad revision is not ready."""
    world = World("StatefulSet")
    world.pods[0] = pod("StatefulSet", "a", "bad")
    world.pods[0]["status"]["conditions"][0]["status"] = "False"
    return world


def found(world: World) -> str | None:
    blocking = find_blocking_pod(world.snapshot(), world.claim())
    return None if blocking is None else blocking.name


def test_the_pod_that_is_waited_for() -> None:
    world = waiting()
    assert found(world) == "a"
    assert not_ready_since(Pod(world.pods[0])) == datetime.fromisoformat("2026-03-01T10:00:05Z")
    world.pods[0]["status"]["conditions"] = []
    assert not_ready_since(Pod(world.pods[0])) == datetime.fromisoformat("2026-03-01T10:00:00Z")


@pytest.mark.parametrize(
    "change",
    [
        # It is replaced like any other.
        lambda w: w.pods[0]["status"]["conditions"][0].update(status="True"),
        lambda w: w.pods[0]["metadata"].update(deletionTimestamp="x"),
        lambda w: w.workload["spec"].update(podManagementPolicy="Parallel"),
        # It is of the target: it may become ready yet, and deleting it brings the same.
        lambda w: w.pods[0]["metadata"]["labels"].update({"controller-revision-hash": "cr-good"}),
        # The controller has not begun.
        lambda w: w.workload["status"].update(observedGeneration=6),
        lambda w: w.workload["status"].update(updateRevision="cr-bad"),
        lambda w: w.workload["spec"].update(updateStrategy={"type": "OnDelete"}),
    ],
)
def test_nothing_is_stuck_that_may_go_on(change: Spoil) -> None:
    world = waiting()
    change(world)
    assert found(world) is None


Pods = list[tuple[str, str, bool]]


@pytest.mark.parametrize(
    ("pods", "stuck"),
    [
        ([("w-0", "good", True), ("w-2", "bad", False), ("w-10", "bad", False)], "w-2"),
        ([("w-10", "bad", False), ("w-9", "bad", True)], "w-10"),
        # It waits for the target's own pod: without w-1 it would not even make another.
        ([("w-0", "good", False), ("w-1", "bad", False)], None),
        ([("w-0", "bad", False), ("w-1", "good", False)], "w-0"),
    ],
)
def test_it_waits_for_the_lowest_ordinal_of_all(pods: Pods, stuck: str | None) -> None:
    world = World("StatefulSet")
    world.pods = [pod("StatefulSet", name, version) for name, version, _ in pods]
    for made, (_, _, ready) in zip(world.pods, pods, strict=True):
        made["status"]["conditions"][0]["status"] = str(ready)
    assert found(world) == stuck


def test_a_pod_on_its_way_out_is_waited_for_first() -> None:
    world = World("StatefulSet")
    world.pods = [
        pod("StatefulSet", "w-0", "bad", deletionTimestamp="x"),
        pod("StatefulSet", "w-1", "bad"),
    ]
    world.pods[1]["status"]["conditions"][0]["status"] = "False"
    assert found(world) is None
    del world.pods[0]
    assert found(world) == "w-1"


def test_a_daemon_set_waits_for_no_pod() -> None:
    world = World("DaemonSet")
    world.pods[0] = pod("DaemonSet", "a", "bad")
    world.pods[0]["status"]["conditions"] = []
    assert found(world) is None
