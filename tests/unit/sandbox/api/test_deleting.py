"""What a DELETE or an eviction asks for, and what is only asked whether it would be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.sandbox.api.store import Object, Store
from tests.shared import run_story
from tests.unit.sandbox.api.client import serving

MakeStore = Callable[[], Store]

NAMESPACE = "/api/v1/namespaces/default"
MAPS = f"{NAMESPACE}/configmaps"
ONE = f"{MAPS}/one"
POD = f"{NAMESPACE}/pods/p"
ALL = {"dryRun": ["All"]}


def pod() -> Object:
    spec = {"containers": [{"name": "app", "image": "a:1"}]}
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("query", "options", "status", "gone"),
    [
        ({}, ALL, 201, False),
        ({"dryRun": "All"}, None, 201, False),
        ({"dryRun": "All"}, ALL, 201, False),
        ({"dryRun": "All"}, {"dryRun": ["None"]}, 400, False),
        ({}, {"preconditions": {"uid": "another"}}, 409, False),
        ({}, {"preconditions": {"resourceVersion": "1"}}, 409, False),
        ({}, {"dryRun": ["None"]}, 422, False),
        ({}, {"gracePeriodSeconds": 0}, 201, True),
        ({}, None, 201, True),
    ],
)
def test_an_eviction_does_what_its_delete_options_say(
    make_store: MakeStore, query: dict[str, str], options: Object | None, status: int, *, gone: bool
) -> None:
    async def story() -> None:
        store = make_store()
        async with serving(store) as client:
            store.create("pods", pod(), manager="test")
            body = {"metadata": {"name": "p"}}
            if options is not None:
                body["deleteOptions"] = options
            answer = await client.ask("POST", f"{POD}/eviction", body, **query)
            assert answer.status == status, answer.body
            assert (await client.ask("GET", POD)).status == (404 if gone else 200)
            assert len(client.server.log.writes("/eviction")) == gone

    run_story(story())


@pytest.mark.parametrize(
    ("query", "body", "status", "gone"),
    [
        ({"dryRun": "All"}, None, 200, False),
        ({}, ALL, 200, False),
        # With a body the query does not count.
        ({"dryRun": "All"}, {"kind": "DeleteOptions", "apiVersion": "v1"}, 200, True),
        ({"dryRun": "Nope"}, None, 422, False),
        ({}, {"dryRun": ["Nope"]}, 422, False),
        ({}, {"kind": "Pod", "apiVersion": "v1", "dryRun": ["All"]}, 400, False),
        ({}, [1], 400, False),
        ({}, {"gracePeriodSeconds": "abc"}, 400, False),
        ({"gracePeriodSeconds": "abc"}, None, 400, False),
        ({"propagationPolicy": "Never"}, None, 422, False),
        ({}, {"propagationPolicy": "Orphan", "orphanDependents": True}, 422, False),
        ({}, {"preconditions": {"uid": "another"}}, 409, False),
    ],
)
def test_a_delete_does_what_its_options_say(
    make_store: MakeStore, query: dict[str, str], body: Any, status: int, *, gone: bool
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", MAPS, {"metadata": {"name": "one"}})
            answer = await client.ask("DELETE", ONE, body, **query)
            assert answer.status == status, answer.body
            assert (await client.ask("GET", ONE)).status == (404 if gone else 200)
            deletes = [write for write in client.server.log.writes(ONE) if write.method == "DELETE"]
            assert len(deletes) == gone

    run_story(story())


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
def test_a_second_delete_without_a_policy_leaves_the_first_ones(make_store: MakeStore, policy: str) -> None:
    async def story() -> None:
        store = make_store()
        async with serving(store) as client:
            finalizers = ["example.dev/hold"]
            owner = (
                await client.ask("POST", MAPS, {"metadata": {"name": "one", "finalizers": finalizers}})
            ).body
            reference = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": "one",
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": True,
            }
            meta = {"name": "two", "ownerReferences": [reference], "finalizers": finalizers}
            await client.ask("POST", MAPS, {"metadata": meta})
            first = (await client.ask("DELETE", ONE, propagationPolicy=policy)).body
            await client.ask("DELETE", ONE)
            held = (await client.ask("GET", ONE)).body["metadata"]["finalizers"]
            if policy == "Foreground":
                assert held == first["metadata"]["finalizers"] == [*finalizers, "foregroundDeletion"]
            # An orphan was let go at once; nobody deletes it afterwards.
            two = (await client.ask("GET", f"{MAPS}/two")).body["metadata"]
            assert ("deletionTimestamp" in two) is (policy == "Foreground")

    run_story(story())


def test_what_could_not_be_answered_is_not_done(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            answer = await client.ask("POST", MAPS, {"metadata": {"name": "one"}}, accept="text/csv")
            assert answer.status == 406
            assert (await client.ask("GET", ONE)).status == 404
            table = "application/json;as=Table;v=v9;g=meta.k8s.io"
            assert (await client.ask("GET", MAPS, accept=table)).status == 406

    run_story(story())


@pytest.mark.parametrize(
    ("namespace", "change", "gone"),
    [
        ("default", {}, False),
        # An owner that nobody can look up may be there.
        ("default", {"kind": "Mystery"}, False),
        ("kube-public", {}, True),
        ("default", {"name": "other"}, True),
        ("default", {"kind": "Secret"}, True),
        ("default", {"uid": "another"}, True),
    ],
)
def test_an_owner_stands_beside_its_dependent_under_its_name(
    make_store: MakeStore, namespace: str, change: Object, *, gone: bool
) -> None:
    """Source: Kubernetes pkg/controller/garbagecollector/garbagecollector.go, isDangling."""

    async def story() -> None:
        store = make_store()
        meta: Object = {"name": "one", "namespace": "default"}
        owner = store.create("configmaps", {"metadata": meta}, manager="test")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": owner["metadata"]["uid"]}
        meta = {"name": "two", "namespace": namespace, "ownerReferences": [{**reference, **change}]}
        store.create("configmaps", {"metadata": meta}, manager="test")
        assert (store.get("configmaps", namespace, "two") is None) is gone

    run_story(story())
