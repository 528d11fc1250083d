"""What kubectl reads before it writes: the OpenAPI index and documents, and the bearer in the path."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.custom import served_kinds
from responder.sandbox.api.openapi import answer_openapi
from responder.sandbox.api.server import ApiServer, kubeconfig, run_server
from responder.sandbox.api.store import Object, Store
from tests.shared import run_story
from tests.unit.sandbox.api.conftest import MakeStore

STRATEGIC = "application/strategic-merge-patch+json"


def document(store: Store, path: str) -> Any:
    found = answer_openapi(path, store.catalog, store.kind)
    return json.loads(found) if isinstance(found, str) else found


def test_the_index_leads_to_a_document_for_every_group_version(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        index = document(store, "/openapi/v3")["paths"]
        assert {"api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"} <= index.keys()
        for place in index.values():
            path, _, query = place["serverRelativeURL"].partition("?")
            assert query.startswith("hash=")
            assert document(store, path)["paths"]
        assert answer_openapi("/openapi/v3/apis/nowhere/v1", store.catalog, store.kind) is None

    run_story(story())


def test_a_document_says_which_patches_there_are_and_how_lists_merge(make_store: MakeStore) -> None:
    async def story() -> None:
        apps = document(make_store(), "/openapi/v3/apis/apps/v1")
        patch = apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
        assert patch["x-kubernetes-group-version-kind"] == {
            "group": "apps",
            "version": "v1",
            "kind": "Deployment",
        }
        assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}
        # kubectl merges a pod template by its own knowledge: the document does not describe all of it.
        assert STRATEGIC not in patch["requestBody"]["content"]
        schemas = apps["components"]["schemas"]
        for schema, field, key in (
            ("PodSpec", "containers", "name"),
            ("PodSpec", "volumes", "name"),
            ("Container", "env", "name"),
            ("Container", "ports", "containerPort"),
            ("Container", "volumeMounts", "mountPath"),
        ):
            assert schemas[schema]["properties"][field]["x-kubernetes-patch-merge-key"] == key
        document_of_core = document(make_store(), "/openapi/v3/api/v1")
        patch = document_of_core["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
        assert STRATEGIC in patch["requestBody"]["content"]
        core = document_of_core["components"]["schemas"]
        assert core["ServiceSpec"]["properties"]["ports"]["x-kubernetes-patch-merge-key"] == "port"

    run_story(story())


def test_every_reference_leads_somewhere(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        for place in document(store, "/openapi/v3")["paths"]:
            found = document(store, f"/openapi/v3/{place}")
            names = found["components"]["schemas"]
            for reference in json.dumps(found).split('"#/components/schemas/')[1:]:
                assert names[reference.partition('"')[0]]

    run_story(story())


def test_a_custom_kind_brings_its_own_schema(make_store: MakeStore, definition: Object) -> None:
    async def story() -> None:
        store = make_store()
        store.create("customresourcedefinitions.apiextensions.k8s.io", definition, manager="test")
        ((resource, _),) = served_kinds(definition)
        found = document(store, f"/openapi/v3/apis/{resource.api_version}")
        schema = found["components"]["schemas"]["example.dev.v1.Alarm"]
        assert "target" in schema["properties"]["spec"]["properties"]
        (patch,) = [path["patch"] for path in found["paths"].values() if "patch" in path]
        assert STRATEGIC not in patch["requestBody"]["content"]

    run_story(story())


@pytest.mark.parametrize(("token", "status"), [("admin", 200), ("limited", 403), ("nobody's", 401)])
def test_the_path_may_name_the_bearer(make_store: MakeStore, token: str, status: int) -> None:
    async def story() -> None:
        server = ApiServer(make_store(), Tokens({"admin": ADMIN, "limited": User("limited")}))
        async with run_server(server.app()) as url, aiohttp.ClientSession() as session:
            config = kubeconfig(url, token, for_kubectl=True)
            address = config["clusters"][0]["cluster"]["server"]
            async with session.get(f"{address}/api/v1/namespaces/default?pretty=1") as answer:
                assert answer.status == status
        (record,) = server.log
        assert (record.path, record.query) == ("/api/v1/namespaces/default", {"pretty": "1"})

    run_story(story())
