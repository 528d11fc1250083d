"""Whose revisions and pods are whose, for the kinds whose revisions are ControllerRevisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from responder.workloads.history import History, parse_history
from responder.workloads.ledger import Ledger
from responder.workloads.observe import observe
from responder.workloads.revision import ReplicaSet
from responder.workloads.views import REVISION, REVISION_HISTORY, Object, Pod
from responder.workloads.workload import StatefulSet
from tests.shared import require_transcripts
from tests.unit.rules.build import MINUTE, NOW, V1_FROM, V2_FROM, template

KINDS = ("StatefulSet", "DaemonSet")


def workload(kind: str, version: str = "v2") -> Object:
    metadata = {"name": "db", "namespace": "payments", "uid": "uid-db", "generation": 2}
    return {"kind": kind, "metadata": metadata, "spec": {"replicas": 3, "template": template(version)}}


def revision(kind: str, version: str, number: int, created_at: Any = V1_FROM, of: str = "uid-db") -> Object:
    """Of a StatefulSet without the label that a DaemonSet's has; its template is stored as a patch."""
    labels = {"controller-revision-hash": f"hash-{version}"} if kind == "DaemonSet" else {}
    return {
        "metadata": {
            "name": f"db-{version}",
            "namespace": "payments",
            "uid": f"uid-{version}",
            "creationTimestamp": created_at.isoformat(),
            "labels": labels,
            "annotations": {"kubernetes.io/change-cause": f"release {version}"},
            "ownerReferences": [{"kind": kind, "name": "db", "uid": of, "controller": True}],
        },
        "data": {"spec": {"template": {"$patch": "replace", **template(version)}}},
        "revision": number,
    }


def pod(kind: str, name: str, version: str, *, ready: bool = True, of: str = "uid-db") -> Object:
    named = f"hash-{version}" if kind == "DaemonSet" else f"db-{version}"
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"controller-revision-hash": named},
            "ownerReferences": [{"kind": kind, "name": "db", "uid": of, "controller": True}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def history(kind: str, *pods: Object, current: str = "v2") -> History:
    found = [revision(kind, "v1", 1), revision(kind, "v2", 2, V2_FROM)]
    return parse_history(workload(kind, current), [*found, revision(kind, "x", 1, of="uid-other")], pods)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_revision_says(kind: str) -> None:
    found = history(kind)
    assert {each.uid for each in found.revisions} == {"uid-v1", "uid-v2"}
    v1, current = found.by_uid("uid-v1"), found.current
    assert v1 is not None
    assert current is not None
    assert (current.uid, current.number, current.change_cause) == ("uid-v2", 2, "release v2")
    assert (v1.template, v1.images) == (template("v1"), ("app:v1",))
    assert v1.hash == ("hash-v1" if kind == "DaemonSet" else "db-v1")


@pytest.mark.parametrize("kind", KINDS)
def test_pods_are_counted_by_owner_and_label(kind: str) -> None:
    pods = [
        *(pod(kind, "a", "v1"), pod(kind, "b", "v2"), pod(kind, "c", "v2")),
        *(pod(kind, "d", "v2", ready=False), pod(kind, "e", "v2", of="uid-other")),
    ]
    leaving = pod(kind, "f", "v2")
    leaving["metadata"]["deletionTimestamp"] = NOW.isoformat()
    found = history(kind, *pods, leaving)
    assert {each.uid: each.ready_pods for each in found.revisions} == {"uid-v1": 1, "uid-v2": 2}
    assert [found.owns(Pod(each)) for each in pods] == [True, True, True, True, False]
    made = [found.revision_of(Pod(each)) for each in pods]
    assert [each and each.name for each in made] == ["db-v1", "db-v2", "db-v2", "db-v2", None]


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_with_one_template_the_controller_takes_the_higher_number(kind: str) -> None:
    twin = revision(kind, "v2", 3, V2_FROM)
    twin["metadata"] |= {"name": "db-twin", "uid": "uid-twin"}
    found = parse_history(workload(kind), [revision(kind, "v2", 2), twin])
    assert found.current is not None
    assert found.current.uid == "uid-twin"


@pytest.mark.parametrize(
    ("numbers", "reused"),
    [
        ({"v1": 1, "v2": 2, "v3": 3}, {"v1": False, "v2": False, "v3": False}),
        # v1 was brought back.
        ({"v1": 3, "v2": 2}, {"v1": True, "v2": False}),
        # v1 was brought back, and then v2: in the order in which they were made again.
        ({"v1": 3, "v2": 4}, {"v1": True, "v2": True}),
        # What was there before is gone, so that nobody can tell.
        ({"v1": 5, "v2": 6}, {"v1": True, "v2": True}),
    ],
)
def test_one_that_may_have_been_brought_back(numbers: dict[str, int], reused: dict[str, bool]) -> None:
    """Its creation says nothing then of when it began to serve."""
    made = [
        revision("StatefulSet", version, number, V1_FROM + n * MINUTE)
        for n, (version, number) in enumerate(numbers.items())
    ]
    found = parse_history(workload("StatefulSet"), made)
    assert {each.name.removeprefix("db-"): each.reused for each in found.revisions} == reused
    for each in found.revisions:
        assert Ledger().served_from(each) == (None if each.reused else each.created_at)


def test_a_clock_set_back_brings_no_revision_back() -> None:
    """The numbers are whole from 1 on: none was left for another one, whenever each was made."""
    made = [
        revision("StatefulSet", version, number, V1_FROM - number * MINUTE)
        for number, version in enumerate(("v1", "v2", "v3"), 1)
    ]
    found = parse_history(workload("StatefulSet"), made)
    assert [(each.number, each.reused, each.first_number) for each in found.revisions] == [
        (3, False, 3),
        (2, False, 2),
        (1, False, 1),
    ]


@pytest.mark.parametrize(
    ("annotations", "first"),
    [
        ({REVISION: "5"}, 5),
        ({REVISION: "5", REVISION_HISTORY: "3,1"}, 1),
        ({REVISION_HISTORY: "x,-1"}, None),
        ({}, None),
        ({REVISION: "x", REVISION_HISTORY: "2"}, 2),
    ],
)
def test_the_number_that_a_replicaset_was_made_under(annotations: dict[str, str], first: int | None) -> None:
    assert ReplicaSet({"metadata": {"annotations": annotations}}).first_number == first


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_sees_a_revision_begin_and_end(kind: str) -> None:
    before = history(kind, pod(kind, "a", "v1"), pod(kind, "b", "v1"))
    first = Ledger(servings=observe(Ledger(), before, V2_FROM, continuous=True))
    both = history(kind, pod(kind, "a", "v1"), pod(kind, "b", "v2"))
    second = Ledger(servings=observe(first, both, V2_FROM + MINUTE, continuous=True))
    after = history(kind, pod(kind, "a", "v2"), pod(kind, "b", "v2"))
    v1, v2 = observe(second, after, NOW, continuous=True)
    assert (v1.revision.replica_set, v1.first_serving_at, v1.ended_at) == ("db-v1", V2_FROM, NOW)
    assert (v2.revision.replica_set, v2.first_serving_at, v2.ended_at) == ("db-v2", V2_FROM + MINUTE, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_workload_is_read_as_its_controller_sees_it(kind: str) -> None:
    """What a real API server held before an undo and after it: the templates are the same to us as to it."""
    name = {"StatefulSet": "10a-statefulset.json", "DaemonSet": "10b-daemonset.json"}[kind]
    recorded = json.loads((require_transcripts() / name).read_text(encoding="utf-8"))
    bodies = {step["step"]: step["response"]["body"] for step in recorded["steps"] if "response" in step}
    numbers = []
    for when in ("complete", "release 1.1.0", "undone", "undone to revision 2"):
        found = dated(bodies[f"{when}: the {kind}"])
        kept = [dated(each) for each in bodies[f"{when}: its ControllerRevisions"]["items"]]
        history = parse_history({"kind": kind, **found}, kept)
        current = history.current
        assert current is not None
        assert history.workload.complete
        assert current.number == max(each.number or 0 for each in history.revisions)
        if isinstance(history.workload, StatefulSet):
            assert current.name == history.workload.update_revision
        numbers.append((current.images[0].rpartition(":")[2], current.number))
    assert numbers == [("1.0.0", 1), ("1.1.0", 2), ("1.0.0", 3), ("1.1.0", 4)]
    pods = [dated(each) for each in bodies["complete: its Pods"]["items"]]
    first = [dated(each) for each in bodies["complete: its ControllerRevisions"]["items"]]
    (only,) = parse_history({"kind": kind, **dated(bodies[f"complete: the {kind}"])}, first, pods).revisions
    # Of the three alike the recording keeps one.
    assert (only.ready_pods, only.reused) == (1, False)


def dated(obj: Object) -> Object:
    """With a time of creation, which the recordings leave out."""
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": V1_FROM.isoformat()}}


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-1", -1), ("--5", None), ("²", None), ("9" * 5000, None), ("", None), ("x", None)],
)
def test_a_revision_number_that_anybody_may_have_written(text: str, number: int | None) -> None:
    annotations = {REVISION: text, REVISION_HISTORY: f"1,{text}"}
    replica_set = ReplicaSet({"metadata": {"annotations": annotations}})
    assert replica_set.number == number
    assert replica_set.earlier_numbers == {1} | ({number} if number is not None else set())
