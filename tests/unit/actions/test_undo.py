"""The undo as a patch: what it changes, what it leaves alone, and what must not have changed before it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from responder.actions.undo import Fence, NothingToUndo, Operation, explain_refusal, plan_undo, undone
from responder.sandbox.api.patches import apply_json_patch
from responder.sandbox.api.status import ApiError
from responder.workloads.revision import ControllerRevision, ReplicaSet
from responder.workloads.views import CHANGE_CAUSE, FENCE, FREEZE, Object
from responder.workloads.workload import Deployment, parse_workload

Change = Callable[[Object], Any]

FIRST = Fence(None, "incident.1")


def template(version: str, **labels: str) -> Object:
    container = {"name": "app", "image": f"app:{version}", "futureField": {"kept": True}}
    return {"metadata": {"labels": {"app": "payment", **labels}}, "spec": {"containers": [container]}}


def deployment(**metadata: Any) -> Object:
    """On the bad version, without marks; metadata fields given as None are absent."""
    fields: Object = {
        "name": "payment",
        "namespace": "payments",
        "uid": "uid-1",
        "labels": {"app": "payment"},
        "annotations": {"deployment.kubernetes.io/revision": "2"},
    }
    fields = {key: value for key, value in (fields | metadata).items() if value is not None}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "payment"}}, "template": template("bad")}
    return {"metadata": fields, "spec": spec}


def target(version: str = "good", **annotations: str) -> ReplicaSet:
    revision = {"deployment.kubernetes.io/revision": "1"}
    metadata = {"name": "payment-good", "uid": "rs-1", "annotations": {**revision, **annotations}}
    return ReplicaSet(
        {"metadata": metadata, "spec": {"template": template(version, **{"pod-template-hash": "good"})}}
    )


def plan(before: Object, *, fence: Fence = FIRST, to: ReplicaSet | None = None) -> list[Operation]:
    return plan_undo(Deployment(before), to or target(), fence)


def refused(document: Object, operations: list[Operation]) -> bool:
    """Whether the server takes the patch as a whole or not at all."""
    try:
        apply_json_patch(document, operations)
    except ApiError as error:
        return error.code == 422
    return False


def test_it_restores_the_template_and_sets_the_fence_and_nothing_else() -> None:
    before = deployment()
    after = apply_json_patch(before, plan(before))
    expected = deepcopy(before)
    expected["spec"]["template"] = template("good")
    expected["metadata"]["labels"][FENCE] = "incident.1"
    assert after == expected


def add_annotation(key: str, value: str) -> Change:
    return lambda it: it["metadata"].setdefault("annotations", {}).update({key: value})


def add_label(key: str, value: str) -> Change:
    return lambda it: it["metadata"].setdefault("labels", {}).update({key: value})


PRECONDITIONS: dict[str, tuple[Object, Change]] = {
    "uid": (deployment(), lambda it: it["metadata"].update(uid="uid-2")),
    "template": (deployment(), lambda it: it["spec"].update(template=template("newer"))),
    "paused": (deployment(), lambda it: it["spec"].update(paused=True)),
    "freeze": (deployment(), add_annotation(FREEZE, "")),
    "freeze, the first annotation": (deployment(annotations=None), add_annotation(FREEZE, "now")),
    "fence": (deployment(), add_label(FENCE, "another.1")),
    "fence, the first label": (deployment(labels=None), add_label(FENCE, "another.1")),
    "fence moved on": (deployment(labels={FENCE: "old.1"}), add_label(FENCE, "another.1")),
    "fence taken away": (
        deployment(labels={FENCE: "old.1", "a": "b"}),
        lambda it: it["metadata"]["labels"].pop(FENCE),
    ),
}


@pytest.mark.parametrize("name", PRECONDITIONS)
def test_a_precondition_that_no_longer_holds_refuses_all_of_it(name: str) -> None:
    before, change = PRECONDITIONS[name]
    operations = plan(before, fence=Fence(Deployment(before).fence, "incident.1"))
    assert not refused(before, operations)
    meanwhile = deepcopy(before)
    change(meanwhile)
    assert refused(meanwhile, operations)


@pytest.mark.parametrize(
    "change",
    [
        add_annotation("example.com/added", "meanwhile"),
        add_annotation("kubectl.kubernetes.io/last-applied-configuration", "{}"),
        add_label("example.com/added", "meanwhile"),
        lambda it: it["spec"].update(replicas=7),
    ],
)
def test_what_others_write_meanwhile_stays(change: Change) -> None:
    before = deployment()
    operations = plan(before)
    meanwhile = deepcopy(before)
    change(meanwhile)
    after = apply_json_patch(meanwhile, operations)
    assert after["spec"]["template"] == template("good")
    expected = deepcopy(meanwhile)
    expected["metadata"]["labels"][FENCE] = "incident.1"
    assert after["metadata"] == expected["metadata"]
    assert after["spec"]["replicas"] == meanwhile["spec"]["replicas"]


def test_a_freeze_that_a_person_overruled_does_not_stop_it() -> None:
    before = deployment(annotations={FREEZE: "release day"})
    assert refused(before, plan(before))
    operations = plan_undo(Deployment(before), target(), FIRST, freeze_overruled=True)
    assert apply_json_patch(before, operations)["metadata"]["annotations"] == {FREEZE: "release day"}
    # Another one, set meanwhile, was not overruled.
    assert refused(deployment(annotations={FREEZE: "migration"}), operations)


@pytest.mark.parametrize("labels", [None, {}])
def test_without_a_label_map_the_fence_makes_one(labels: dict[str, str] | None) -> None:
    before = deployment(labels=labels)
    stored = deployment(labels=None)  # the server never stores an empty map
    assert apply_json_patch(stored, plan(before))["metadata"]["labels"] == {FENCE: "incident.1"}


@pytest.mark.parametrize(
    ("annotations", "cause", "expected"),
    [
        ({CHANGE_CAUSE: "release 2", "x/y": "1"}, "release 1", {CHANGE_CAUSE: "release 1", "x/y": "1"}),
        ({"x/y": "1"}, "release 1", {CHANGE_CAUSE: "release 1", "x/y": "1"}),
        ({CHANGE_CAUSE: "release 2", "x/y": "1"}, None, {"x/y": "1"}),
        ({"x/y": "1"}, None, {"x/y": "1"}),
        (None, "release 1", {CHANGE_CAUSE: "release 1"}),
        (None, None, None),
    ],
)
def test_the_change_cause_moves_with_the_revision(
    annotations: dict[str, str] | None, cause: str | None, expected: dict[str, str] | None
) -> None:
    before = deployment(annotations=annotations)
    to = target(**{} if cause is None else {CHANGE_CAUSE: cause})
    assert apply_json_patch(before, plan(before, to=to))["metadata"].get("annotations") == expected


def test_other_annotations_of_the_target_are_not_brought_back() -> None:
    before = deployment()
    to = target(**{"example.com/owner": "nobody any more"})
    assert (
        apply_json_patch(before, plan(before, to=to))["metadata"]["annotations"]
        == before["metadata"]["annotations"]
    )


@pytest.mark.parametrize("written", ["1000m", "1", "1.0"])
def test_an_equal_template_is_nothing_to_undo(written: str) -> None:
    """Equal as the controller sees it: by value of quantities, without the hash, absent like empty."""
    before, to = deployment(), target("bad")
    before["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": written}}
    to.raw["spec"]["template"]["spec"]["containers"][0] |= {"resources": {"limits": {"cpu": "1"}}, "env": []}
    with pytest.raises(NothingToUndo, match="payments/payment"):
        plan(before, to=to)


@pytest.mark.parametrize(
    ("label", "version", "expected"),
    [
        ("incident.1", "good", True),
        ("incident.1", "bad", False),
        ("incident.1-void", "good", False),
        ("incident.2", "good", False),
        (None, "good", False),
    ],
)
def test_an_attempt_is_recognised_by_fence_and_template(
    label: str | None, version: str, expected: bool
) -> None:
    found = deployment(labels=None if label is None else {FENCE: label})
    found["spec"]["template"] = template(version)
    assert undone(Deployment(found), target().template, "incident.1") is expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: it["spec"].update(template=template("newer")), "TemplateChanged"),
        (lambda it: it["spec"].update(paused=True), "Paused"),
        (add_annotation(FREEZE, ""), "Frozen"),
        (add_label(FENCE, "another.1"), "FencedByAnother"),
        (lambda it: None, "ChangedMeanwhile"),
    ],
)
def test_a_refusal_is_explained_by_what_is_there_now(change: Change, reason: str) -> None:
    found = deployment()
    change(found)
    frozen = FREEZE in found["metadata"].get("annotations", {})
    explained, message = explain_refusal(Deployment(found), template("bad"), FIRST, frozen=frozen)
    assert explained == reason
    assert "payments/payment" in message


def kept(**annotations: str) -> ControllerRevision:
    """The target as a StatefulSet or DaemonSet keeps it."""
    metadata = {"name": "payment-good", "uid": "cr-1", "annotations": annotations}
    data = {"spec": {"template": {"$patch": "replace", **template("good")}}}
    return ControllerRevision({"metadata": metadata, "data": data, "revision": 1})


def other(kind: str, **strategy: str) -> Object:
    before = deployment(annotations={CHANGE_CAUSE: "release 2"})
    before["spec"]["updateStrategy"] = {"type": "RollingUpdate", **strategy}
    return {"kind": kind, **before}


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_of_the_other_kinds_only_the_template_and_the_fence_change(kind: str) -> None:
    before = other(kind)
    operations = plan_undo(parse_workload(before), kept(**{CHANGE_CAUSE: "release 1"}), FIRST)
    after = apply_json_patch(deepcopy(before), operations)
    assert after["spec"]["template"] == template("good")
    assert after["metadata"]["labels"] == {"app": "payment", FENCE: "incident.1"}
    after["spec"]["template"], after["metadata"]["labels"] = template("bad"), {"app": "payment"}
    assert after == before


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: it["spec"]["updateStrategy"].update(type="OnDelete"), "UpdatesOnDelete"),
        (lambda it: it["spec"].update(template=template("other")), "TemplateChanged"),
        (lambda it: it["metadata"]["labels"].update({FENCE: "other.1"}), "FencedByAnother"),
    ],
)
def test_of_the_other_kinds_a_precondition_that_no_longer_holds_refuses_all(
    kind: str, change: Change, reason: str
) -> None:
    before = other(kind)
    operations = plan_undo(parse_workload(deepcopy(before)), kept(), FIRST)
    change(before)
    assert refused(before, operations)
    assert explain_refusal(parse_workload(before), template("bad"), FIRST, frozen=False)[0] == reason
