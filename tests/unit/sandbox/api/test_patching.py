"""What a patch can not make of an object: another kind, or one that was somebody else's."""

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
