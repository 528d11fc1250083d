"""The store keeps objects by a real API server's rules: versions, generations, status, deletion, owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.sandbox.api.store import ApiError, Event, Object, Store
from tests.shared import no_failures, run_story

DEPLOYMENTS = "deployments.apps"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
ALARMS = "alarms.example.dev"

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]
Change = Callable[[Object], Any]


def label(obj: Object) -> None:
    obj["metadata"]["labels"]["extra"] = "x"


def annotate(obj: Object) -> None:
    obj["metadata"].setdefault("annotations", {})["extra"] = "x"


def scale(obj: Object) -> None:
    obj["spec"]["replicas"] = 3


def status_alone(obj: Object) -> None:
    obj["status"] = {"replicas": 3}


@pytest.mark.parametrize(
    ("change", "subresource", "generation"),
    [
        (label, "", 1),
        (annotate, "", 2),
        (scale, "", 2),
        (status_alone, "", 1),
        (status_alone, "status", 1),
        (annotate, "status", 1),
        (scale, "status", 1),
    ],
)
def test_a_deployments_generation_counts_spec_and_annotations(
    make_store: MakeStore, make_deployment: MakeObject, change: Change, subresource: str, generation: int
) -> None:
    async def story() -> None:
        store = make_store()
        obj = store.create(DEPLOYMENTS, make_deployment(), manager="test")
        change(obj)
        changed = store.update(DEPLOYMENTS, obj, manager="test", subresource=subresource)
        assert changed["metadata"]["generation"] == generation

    run_story(story())


def test_the_main_path_keeps_the_status_and_the_status_path_keeps_spec_and_labels(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        obj = store.create(DEPLOYMENTS, make_deployment(replicas=2), manager="test")
        obj["status"] = {"replicas": 2, "readyReplicas": 0, "terminatingReplicas": 0}
        annotate(obj)
        label(obj)
        scale(obj)
        written = store.update(DEPLOYMENTS, obj, manager="test", subresource="status")
        # Zero is absent, but for terminatingReplicas; annotations are taken on this path, labels are not.
        assert written["status"] == {"replicas": 2, "terminatingReplicas": 0}
        assert written["spec"]["replicas"] == 2
        assert written["metadata"]["labels"] == {"app": "payment-service"}
        assert written["metadata"]["annotations"] == {"extra": "x"}
        written["status"] = {"replicas": 9}
        assert store.update(DEPLOYMENTS, written, manager="test")["status"]["replicas"] == 2

    run_story(story())


def test_a_write_that_changes_nothing_keeps_the_version_and_tells_nobody(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        obj = store.create(DEPLOYMENTS, make_deployment(), manager="test")
        heard: list[Event] = []
        store.subscribe(heard.append)
        assert store.update(DEPLOYMENTS, obj, manager="another") == obj
        assert heard == []

    run_story(story())


def test_what_is_handed_out_can_be_changed_without_harm(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        store.create(DEPLOYMENTS, make_deployment(), manager="test")["spec"].clear()
        (listed,) = store.list(DEPLOYMENTS)
        listed["spec"].clear()
        found = store.get(DEPLOYMENTS, "default", "payment-service")
        assert found is not None
        assert found["spec"]["replicas"] == 1

    run_story(story())


@pytest.mark.parametrize(
    ("change", "code", "reason", "words"),
    [
        (lambda o: o["metadata"].update(resourceVersion="1"), 409, "Conflict", "has been modified"),
        (lambda o: o["metadata"].update(uid="other"), 409, "Conflict", "Precondition failed: UID"),
        (lambda o: o["metadata"].update(name="nobody"), 404, "NotFound", '"nobody" not found'),
        (lambda o: o["spec"]["selector"]["matchLabels"].update(a="b"), 422, "Invalid", "field is immutable"),
        (lambda o: o["spec"].update(replicas=-1), 422, "Invalid", "greater than or equal to 0"),
    ],
)
def test_updates_are_refused(
    make_store: MakeStore,
    make_deployment: MakeObject,
    change: Change,
    code: int,
    reason: str,
    words: str,
) -> None:
    async def story() -> None:
        store = make_store()
        obj = store.create(DEPLOYMENTS, make_deployment(), manager="test")
        change(obj)
        with pytest.raises(ApiError, match=words) as refused:
            store.update(DEPLOYMENTS, obj, manager="test")
        assert (refused.value.code, refused.value.reason) == (code, reason)

    run_story(story())


@pytest.mark.parametrize(("key", "taken"), [(DEPLOYMENTS, True), ("leases.coordination.k8s.io", False)])
def test_an_update_without_a_version_is_taken_for_a_deployment_and_refused_for_a_lease(
    make_store: MakeStore, make_deployment: MakeObject, key: str, taken: bool
) -> None:
    async def story() -> None:
        store = make_store()
        obj = make_deployment() if taken else {"metadata": {"name": "a", "namespace": "default"}, "spec": {}}
        created = store.create(key, obj, manager="test")
        del created["metadata"]["resourceVersion"]
        if taken:
            store.update(key, created, manager="test")
            return
        with pytest.raises(ApiError, match="must be specified for an update") as refused:
            store.update(key, created, manager="test")
        assert refused.value.code == 422

    run_story(story())


def test_a_taken_name_a_missing_namespace_and_a_dry_run(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        tried = store.create(DEPLOYMENTS, make_deployment(), manager="test", dry_run=True)
        assert tried["metadata"]["uid"]
        assert "resourceVersion" not in tried["metadata"]
        assert store.list(DEPLOYMENTS) == []
        store.create(DEPLOYMENTS, make_deployment(), manager="test")
        with pytest.raises(ApiError, match="already exists"):
            store.create(DEPLOYMENTS, make_deployment(), manager="test", dry_run=True)
        stray = make_deployment()
        stray["metadata"]["namespace"] = "nowhere"
        with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
            store.create(DEPLOYMENTS, stray, manager="test")

    run_story(story())


def pod(name: str, *, node: str = "", owner: Object | None = None) -> Object:
    metadata: Object = {"name": name, "namespace": "default"}
    if owner is not None:
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner["metadata"]["name"]}
        reference["uid"] = owner["metadata"]["uid"]
        metadata["ownerReferences"] = [{**reference, "controller": True, "blockOwnerDeletion": True}]
    spec: Object = {"containers": [{"name": "app", "image": "app:1"}]}
    return {"metadata": metadata, "spec": {**spec, "nodeName": node} if node else spec}


def test_a_bound_pod_goes_when_its_kubelet_says_so_an_unbound_one_at_once(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        for name, node in (("bound", "node-1"), ("unbound", "")):
            store.create("pods", pod(name, node=node), manager="test")
            store.delete("pods", "default", name)
        assert store.get("pods", "default", "unbound") is None
        bound = store.get("pods", "default", "bound")
        assert bound is not None
        assert bound["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
        assert bound["metadata"]["deletionGracePeriodSeconds"] == 30
        store.delete("pods", "default", "bound", grace_seconds=0)
        assert store.get("pods", "default", "bound") is None

    run_story(story())


@pytest.mark.parametrize(
    ("propagation", "owner_stays", "dependent_stays"),
    [("Background", False, False), ("Orphan", False, True), ("Foreground", True, True)],
)
def test_dependents_follow_their_owner_as_the_propagation_says(
    make_store: MakeStore,
    make_deployment: MakeObject,
    propagation: str,
    owner_stays: bool,
    dependent_stays: bool,
) -> None:
    async def story() -> None:
        store = make_store()
        owner = store.create(DEPLOYMENTS, make_deployment(), manager="test")
        node = "node-1" if propagation == "Foreground" else ""
        store.create("pods", pod("dependent", node=node, owner=owner), manager="test")
        store.delete(DEPLOYMENTS, "default", "payment-service", propagation=propagation)
        assert bool(store.list(DEPLOYMENTS)) == owner_stays
        assert bool(store.list("pods")) == dependent_stays
        if propagation == "Orphan":
            assert "ownerReferences" not in store.list("pods")[0]["metadata"]
        if propagation == "Foreground":
            # The owner waits for the Pod, and the Pod for its kubelet.
            store.delete("pods", "default", "dependent", grace_seconds=0)
            assert store.list(DEPLOYMENTS) == []

    run_story(story())


def test_a_dangling_owner_costs_the_object_its_life(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        nobody = {"metadata": {"name": "gone", "uid": "00000000-0000-4000-8000-000000000000"}}
        store.create("pods", pod("stray", owner=nobody), manager="test")
        assert store.list("pods") == []

    run_story(story())


def test_a_finalizer_holds_an_object_and_no_new_one_may_come(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        manifest = make_deployment()
        manifest["metadata"]["finalizers"] = ["example.dev/hold"]
        store.create(DEPLOYMENTS, manifest, manager="test")
        marked = store.delete(DEPLOYMENTS, "default", "payment-service")
        assert marked["metadata"]["generation"] == 2
        assert store.delete(DEPLOYMENTS, "default", "payment-service") == marked
        with pytest.raises(ApiError, match="object is being deleted"):
            store.create(DEPLOYMENTS, make_deployment(), manager="test")
        marked["metadata"]["finalizers"].append("example.dev/late")
        with pytest.raises(ApiError, match="no new finalizers"):
            store.update(DEPLOYMENTS, marked, manager="test")
        marked["metadata"]["finalizers"] = []
        heard: list[Event] = []
        store.subscribe(heard.append)
        store.update(DEPLOYMENTS, marked, manager="test")
        # The last event shows what was stored, under the version of the end.
        assert [event.type for event in heard] == ["DELETED"]
        assert heard[0].object["metadata"]["finalizers"] == ["example.dev/hold"]
        assert heard[0].object["metadata"]["resourceVersion"] == str(store.resource_version)

    run_story(story())


def test_a_namespace_takes_its_content_with_it(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        store = make_store()
        store.create("namespaces", {"metadata": {"name": "payments"}}, manager="test")
        manifest = make_deployment()
        manifest["metadata"]["namespace"] = "payments"
        store.create(DEPLOYMENTS, manifest, manager="test")
        assert store.delete("namespaces", "", "payments")["status"] == {"phase": "Terminating"}
        with pytest.raises(ApiError, match="because it is being terminated"):
            store.create(DEPLOYMENTS, manifest, manager="test")
        await store.clock.sleep(10)
        assert store.get("namespaces", "", "payments") is None

    run_story(story())


def test_a_listener_that_fails_is_reported_and_troubles_nobody_else(
    make_store: MakeStore,
) -> None:
    async def story() -> None:
        store = make_store()
        heard: list[str] = []

        def stumble(event: Event) -> None:
            raise KeyError("kind")

        store.subscribe(stumble)
        store.subscribe(lambda event: heard.append(event.object["metadata"]["name"]))
        async with no_failures() as told:
            store.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}}, manager="test")
            store.create("configmaps", {"metadata": {"name": "b", "namespace": "default"}}, manager="test")
            assert heard == ["a", "b"]
            assert told == [
                f"a listener failed at ADDED of configmaps default/{name}: KeyError('kind')" for name in "ab"
            ]
            told.clear()

    run_story(story())


def test_events_are_told_in_the_order_of_writes_even_when_listeners_write(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        heard: list[int] = []

        def answer(event: Event) -> None:
            if event.type == "ADDED" and event.resource.key == DEPLOYMENTS:
                store.delete(DEPLOYMENTS, "default", "payment-service")

        store.subscribe(answer)
        store.subscribe(lambda event: heard.append(event.resource_version))
        store.create(DEPLOYMENTS, make_deployment(), manager="test")
        assert heard == sorted(heard)
        assert len(heard) == 2

    run_story(story())


def test_history_goes_back_as_far_as_it_is_kept(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        store = make_store()
        start = store.resource_version
        obj = store.create(DEPLOYMENTS, make_deployment(), manager="test")
        scale(obj)
        store.update(DEPLOYMENTS, obj, manager="test")
        kinds = [event.type for event in store.history.after(start, DEPLOYMENTS)]
        assert kinds == ["ADDED", "MODIFIED"]
        present = store.scan(DEPLOYMENTS)
        (then,) = store.history.objects_at(start + 1, DEPLOYMENTS, present)
        assert then["spec"]["replicas"] == 1
        store.history.compact(store.resource_version)
        with pytest.raises(ApiError, match="too old resource version") as refused:
            store.history.after(start, DEPLOYMENTS)
        assert (refused.value.code, refused.value.reason) == (410, "Expired")

    run_story(story())


def test_a_definition_brings_its_resource_to_life_and_takes_it_away(
    make_store: MakeStore, definition: Object
) -> None:
    async def story() -> None:
        store = make_store()
        store.create(DEFINITIONS, definition, manager="test")
        alarm = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"target": "x", "odd": 1}}
        created = store.create(ALARMS, {**alarm, "status": {"phase": "Open"}}, manager="test")
        assert created["spec"] == {"target": "x", "severity": "low"}
        assert "status" not in created
        created["metadata"]["labels"] = {"a": "b"}
        created["spec"]["attempts"] = 1
        created["status"] = {"phase": "Open"}
        written = store.update(ALARMS, created, manager="test", subresource="status")
        # Nothing but the status is taken there, and it is no change of intent.
        assert written["status"] == {"phase": "Open"}
        assert written["metadata"]["generation"] == 1
        assert "labels" not in written["metadata"]
        assert "attempts" not in written["spec"]
        written["spec"]["attempts"] = 1
        assert store.update(ALARMS, written, manager="test")["metadata"]["generation"] == 2
        store.delete(DEFINITIONS, "", "alarms.example.dev")
        with pytest.raises(ApiError, match="could not find the requested resource"):
            store.create(ALARMS, alarm, manager="test")

    run_story(story())


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({}, "spec.target: Required value"),
        ({"target": ""}, "spec.target in body should be at least 1 chars long"),
        ({"target": 5}, 'spec.target in body must be of type string: "integer"'),
        (
            {"target": "x", "severity": "odd"},
            'spec.severity: Unsupported value: "odd": supported values: "low", "high"',
        ),
        ({"target": "x", "attempts": -1}, "spec.attempts in body should be greater than or equal to 0"),
    ],
)
def test_custom_resources_are_validated_in_the_servers_words(
    make_store: MakeStore, definition: Object, spec: Object, cause: str
) -> None:
    async def story() -> None:
        store = make_store()
        store.create(DEFINITIONS, definition, manager="test")
        metadata = {"name": "a", "namespace": "default"}
        with pytest.raises(ApiError) as refused:
            store.create(ALARMS, {"metadata": metadata, "spec": spec}, manager="test")
        assert refused.value.code == 422
        assert cause in refused.value.message

    run_story(story())


def test_an_immutable_field_of_a_custom_resource_stays(make_store: MakeStore, definition: Object) -> None:
    async def story() -> None:
        store = make_store()
        store.create(DEFINITIONS, definition, manager="test")
        metadata = {"name": "a", "namespace": "default"}
        alarm = store.create(ALARMS, {"metadata": metadata, "spec": {"target": "x"}}, manager="test")
        alarm["spec"]["target"] = "y"
        with pytest.raises(ApiError, match="target is immutable"):
            store.update(ALARMS, alarm, manager="test")

    run_story(story())


def test_a_schema_that_grew_stricter_spares_what_stays_as_it_is(
    make_store: MakeStore, definition: Object
) -> None:
    """Source: Kubernetes KEP-4008, CRDValidationRatcheting."""

    async def story() -> None:
        store = make_store()
        store.create(DEFINITIONS, definition, manager="test")
        metadata = {"name": "a", "namespace": "default"}
        alarm = store.create(ALARMS, {"metadata": metadata, "spec": {"target": "x"}}, manager="test")
        stricter = store.get(DEFINITIONS, "", "alarms.example.dev")
        assert stricter is not None
        schema = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"]["properties"]["target"]["minLength"] = 5
        store.update(DEFINITIONS, stricter, manager="test")
        told = store.update(
            ALARMS, {**alarm, "status": {"phase": "On"}}, manager="test", subresource="status"
        )
        assert told["status"] == {"phase": "On"}
        with pytest.raises(ApiError, match="at least 5 chars"):
            store.create(
                ALARMS, {"metadata": {**metadata, "name": "b"}, "spec": {"target": "x"}}, manager="t"
            )
        with pytest.raises(ApiError, match="phase in body must be of type string"):
            store.update(ALARMS, {**told, "status": {"phase": 1}}, manager="test", subresource="status")

    run_story(story())


def test_what_the_typed_api_holds_as_plain_zeros_is_not_stored(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        manifest = make_deployment()
        manifest["spec"] |= {"paused": False, "minReadySeconds": 0, "replicas": 0, "revisionHistoryLimit": 0}
        spec = store.create(DEPLOYMENTS, manifest, manager="test")["spec"]
        assert spec.keys() & {"paused", "minReadySeconds"} == set()
        # Pointers keep theirs.
        assert (spec["replicas"], spec["revisionHistoryLimit"]) == (0, 0)

    run_story(story())
