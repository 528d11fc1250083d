"""Admission: webhooks that change and deny, quotas, and what their refusals do to a rollout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from responder.sandbox import manifests
from responder.sandbox.api.admission import Mutating, Validating
from responder.sandbox.api.objects import Object
from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store
from responder.sandbox.cluster import DEPLOYMENTS, Cluster
from responder.sandbox.controllers.fields import find_condition
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

MakeStore = Callable[[], Store]
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
MERGE = {"Content-Type": "application/merge-patch+json"}
TO_V2 = {"spec": {"template": {"spec": {"containers": [{"name": NAME, "image": "registry.example/app:2"}]}}}}


def quota(**hard: str) -> Object:
    """A quota of the default namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tight", "namespace": NAMESPACE},
        "spec": {"hard": {key.replace("_", "/"): value for key, value in hard.items()}},
    }


def with_sidecar(deployment: Object) -> Object:
    """The Deployment with one more container, once."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    if all(each["name"] != "proxy" for each in containers):
        containers.append({"name": "proxy", "image": "registry.example/proxy:1"})
    return deployment


async def patch(cluster: Cluster, body: Object, *, dry_run: bool = False) -> tuple[int, Any]:
    """PATCH the Deployment as a client does."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **MERGE}
    query = "?dryRun=All" if dry_run else ""
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.patch(f"{cluster.url}{PATH}{query}", json=body) as answer,
    ):
        return answer.status, await answer.json()


def container_names(deployment: Object) -> list[str]:
    return [each["name"] for each in deployment["spec"]["template"]["spec"]["containers"]]


def test_pods_beyond_the_quota_are_refused_told_and_tried_again_until_there_is_room() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(quota(pods="2"))
            cluster.apply(manifests.deployment(replicas=3))
            await cluster.clock.sleep(30)
            deployment = cluster.deployment(NAMESPACE, NAME)
            failure = find_condition(deployment, "ReplicaFailure")
            assert failure is not None
            assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
            sums = "exceeded quota: tight, requested: pods=1, used: pods=2, limited: pods=2"
            assert failure["message"].startswith(f'pods "{NAME}-')
            assert failure["message"].endswith(f'" is forbidden: {sums}')
            progressing = find_condition(deployment, "Progressing")
            assert progressing is not None
            assert progressing["status"] == "True"
            told = [each for each in cluster.store.list("events") if each["reason"] == "FailedCreate"]
            assert told[0]["message"] == f"Error creating: {failure['message']}"
            # 5 ms, 10 ms, 20 ms and so on: a dozen tries in half a minute, and not one a pass.
            assert 8 < sum(each["count"] for each in told) < 20
            held = cluster.store.get("resourcequotas", NAMESPACE, "tight")
            assert held is not None
            assert held["status"] == {"hard": {"pods": "2"}, "used": {"pods": "2"}}

            cluster.apply(quota(pods="3"))
            complete = await cluster.rollout_complete(NAMESPACE, NAME)
            assert find_condition(complete, "ReplicaFailure") is None

    run_story(story())


@pytest.mark.parametrize(
    ("hard", "refused"),
    [
        ({"pods": "0"}, "pods"),
        ({"count_pods": "0"}, "pods"),
        ({"count_configmaps": "0"}, "configmaps"),
        ({"requests.cpu": "0"}, None),
    ],
)
def test_what_a_quota_counts(make_store: MakeStore, hard: dict[str, str], refused: str | None) -> None:
    async def story() -> None:
        store = make_store()
        store.create("resourcequotas", quota(**hard), manager="test")
        spec = manifests.deployment()["spec"]["template"]["spec"]
        for key in ("pods", "configmaps"):
            new: Object = {"metadata": {"name": "one", "namespace": NAMESPACE}, "spec": spec}
            if key == refused:
                with pytest.raises(ApiError, match="exceeded quota: tight") as error:
                    store.create(key, new, manager="test", dry_run=True)
                assert (error.value.code, error.value.reason) == (403, "Forbidden")
            else:
                store.create(key, new, manager="test")
            # Another namespace is none of its business.
            new["metadata"]["namespace"] = "kube-system"
            store.create(key, new, manager="test")

    run_story(story())


def test_a_pod_that_ran_to_its_end_counts_no_more(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        store.create("resourcequotas", quota(pods="1"), manager="test")
        spec = manifests.deployment()["spec"]["template"]["spec"]
        pod: Object = {"metadata": {"name": "one", "namespace": NAMESPACE}, "spec": spec}
        first = store.create("pods", pod, manager="test")
        first["status"]["phase"] = "Succeeded"
        store.update("pods", first, manager="test", subresource="status")
        pod["metadata"]["name"] = "two"
        store.create("pods", pod, manager="test")

    run_story(story())


def test_a_mutating_webhook_changes_what_is_written_and_what_a_dry_run_shows() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            await cluster.rollout_complete(NAMESPACE, NAME)
            remove = cluster.admission.add(
                Mutating(name="mesh.example.dev", resource=DEPLOYMENTS, change=with_sidecar)
            )
            status, shown = await patch(cluster, TO_V2, dry_run=True)
            assert (status, container_names(shown)) == (200, [NAME, "proxy"])
            # What it adds gets its defaults as well.
            assert shown["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] == "IfNotPresent"
            assert container_names(cluster.deployment(NAMESPACE, NAME)) == [NAME]
            status, written = await patch(cluster, TO_V2)
            assert (status, container_names(written)) == (200, [NAME, "proxy"])
            await cluster.rollout_complete(NAMESPACE, NAME)
            (pod,) = [
                each for each in cluster.store.list("pods") if not each["metadata"].get("deletionTimestamp")
            ]
            assert [each["name"] for each in pod["spec"]["containers"]] == [NAME, "proxy"]
            remove()
            status, written = await patch(cluster, TO_V2)
            assert (status, container_names(written)) == (200, [NAME])

    run_story(story())


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_validating_webhook_denies_a_patch_in_the_real_words(dry_run: bool) -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            seen: list[tuple[int, int]] = []

            def refuse(new: Object, old: Object | None) -> str:
                assert old is not None
                seen.append((old["metadata"]["generation"], len(container_names(new))))
                return "no changes on holidays"

            webhook = Validating(
                name="freeze.example.dev", resource=DEPLOYMENTS, operations=["UPDATE"], count=1, refuse=refuse
            )
            cluster.admission.add(webhook)
            status, body = await patch(cluster, TO_V2, dry_run=dry_run)
            message = 'admission webhook "freeze.example.dev" denied the request: no changes on holidays'
            assert (status, body["code"], body["reason"]) == (403, 403, "Forbidden")
            assert body["message"] == message
            assert seen == [(1, 1)]
            assert list(cluster.admission.struck) == [
                f"freeze.example.dev denied {DEPLOYMENTS} {NAMESPACE}/{NAME}"
            ]
            # Its count is used up; and the controllers' writes to /status never asked it.
            assert (await patch(cluster, TO_V2))[0] == 200
            await cluster.rollout_complete(NAMESPACE, NAME)

    run_story(story())


@pytest.mark.parametrize(
    ("resource", "namespace", "operations", "denied"),
    [
        ("configmaps", "", ("CREATE",), True),
        ("configmaps", "default", ("CREATE", "UPDATE"), True),
        ("configmaps", "kube-system", ("CREATE",), False),
        ("configmaps", "", ("UPDATE",), False),
        ("configmaps/status", "", ("CREATE",), False),
        ("secrets", "", ("CREATE",), False),
    ],
)
def test_whom_a_webhook_is_asked_about(
    make_store: MakeStore, resource: str, namespace: str, operations: list[Any], denied: bool
) -> None:
    async def story() -> None:
        store = make_store()
        webhook = Validating(
            name="no.example.dev",
            resource=resource,
            namespace=namespace,
            operations=operations,
            refuse=lambda _new, _old: "no",
        )
        remove = store.admission.add(webhook)
        new: Object = {"metadata": {"name": "one", "namespace": NAMESPACE}}
        if denied:
            with pytest.raises(ApiError, match="denied the request: no"):
                store.create("configmaps", new, manager="test")
        else:
            store.create("configmaps", new, manager="test")
        remove()
        remove()

    run_story(story())
