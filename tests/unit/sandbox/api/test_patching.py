"""What a patch can not do: make another kind, or an object that was, or take what others own of a scale."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from responder.sandbox.api.store import Object, Store
from tests.shared import run_story
from tests.unit.sandbox.api.client import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, serving

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ONE = f"{DEPLOYMENTS}/payment-service"
ALARMS = "/apis/example.dev/v1/namespaces/default/alarms"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("/kind", "ReplicaSet", "converting (v1.ReplicaSet) to (apps.Deployment): unknown conversion"),
        ("/kind", "Odd", 'no kind "Odd" is registered for version "apps/v1"'),
        ("/apiVersion", "apps/v2", 'no kind "Deployment" is registered for version "apps/v2"'),
    ],
)
def test_it_stays_of_its_kind(
    make_store: MakeStore, make_deployment: MakeObject, path: str, value: str, words: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            patch = [{"op": "replace", "path": path, "value": value}]
            answer = await client.ask("PATCH", ONE, patch, content_type=JSON_PATCH)
            assert answer.status == 422, answer.body
            assert words in answer.body["message"]
            assert [cause["field"] for cause in answer.body["details"]["causes"]] == ["patch"]

    run_story(story())


def test_a_custom_resource_stays_of_its_kind(make_store: MakeStore, definition: Object) -> None:
    async def story() -> None:
        async with serving(make_store(), definition) as client:
            await client.ask("POST", ALARMS, {"metadata": {"name": "a"}, "spec": {"target": "x"}})
            answer = await client.ask("PATCH", f"{ALARMS}/a", {"kind": "Odd"}, content_type=MERGE_PATCH)
            assert answer.status == 422, answer.body
            assert 'kind: Invalid value: "Odd": must be Alarm' in answer.body["message"]

    run_story(story())


def test_an_apply_to_an_object_that_is_gone_makes_no_other_one(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            applied = make_deployment()
            applied["metadata"] |= {"uid": "gone"}
            query = {"content_type": APPLY_PATCH, "fieldManager": "m"}
            answer = await client.ask("PATCH", ONE, applied, **query)
            assert answer.status == 409, answer.body
            assert "uid mismatch: the provided object specified uid gone" in answer.body["message"]
            del applied["metadata"]["uid"]
            assert (await client.ask("PATCH", ONE, applied, **query)).status == 201

    run_story(story())


def test_a_scale_that_is_applied_is_owned_by_its_applier(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment(replicas=2))
            scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 5}}
            query = {"content_type": APPLY_PATCH}
            assert (await client.ask("PATCH", f"{ONE}/scale", scale, **query)).status == 422
            query["fieldManager"] = "scaler"
            refused = await client.ask("PATCH", f"{ONE}/scale", scale, **query)
            assert refused.status == 409, refused.body
            assert ".spec.replicas" in refused.body["message"]
            scaled = await client.ask("PATCH", f"{ONE}/scale", scale, force="true", **query)
            assert (scaled.status, scaled.body["spec"]) == (200, {"replicas": 5})
            deployment = (await client.ask("GET", ONE)).body
            assert deployment["spec"]["replicas"] == 5
            query["fieldManager"] = "other"
            rest = await client.ask("PATCH", f"{ONE}/scale", {**scale, "spec": {}}, **query)
            assert (rest.status, rest.body["spec"]) == (200, {"replicas": 5})
            entries = {each["manager"]: each for each in deployment["metadata"]["managedFields"]}
            owned = entries["scaler"]
            assert (owned["operation"], owned["subresource"]) == ("Apply", "scale")
            assert owned["fieldsV1"] == {"f:spec": {"f:replicas": {}}}

    run_story(story())
