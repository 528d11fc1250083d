"""The simulated cluster in one piece: reached over HTTP, set up in a line, honest about what fails."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp
import pytest

from responder.errors import ResponderError
from responder.sandbox import manifests
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import annotations_of, labels_of
from responder.sandbox.controllers.revisions import REVISION
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"


def test_a_patch_over_http_rolls_out_and_the_log_has_it() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=2))
            await cluster.rollout_complete(NAMESPACE, NAME)
            user = cluster.kubeconfig()["users"][0]["user"]
            headers = {
                "Authorization": f"Bearer {user['token']}",
                "Content-Type": "application/merge-patch+json",
            }
            body = b'{"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}}'
            async with (
                aiohttp.ClientSession(cluster.url, headers=headers) as session,
                session.patch(PATH, data=body) as response,
            ):
                assert response.status == 200
            rolled_out = await cluster.rollout_complete(NAMESPACE, NAME)
            assert annotations_of(rolled_out)[REVISION] == "2"
            assert {labels_of(pod).get("version") for pod in cluster.store.list("pods", NAMESPACE)} >= {"2"}
            assert [(each.method, each.path, each.status) for each in cluster.log] == [("PATCH", PATH, 200)]

    run_story(story())


def test_apply_creates_and_then_changes_keeping_what_others_added() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            await cluster.rollout_complete(NAMESPACE, NAME)
            applied = cluster.apply(manifests.deployment(replicas=2))
            assert applied["spec"]["replicas"] == 2
            assert annotations_of(applied)[REVISION] == "1"
            with pytest.raises(ResponderError, match=r"serves no example\.com/v1 Unknown"):
                cluster.apply({"apiVersion": "example.com/v1", "kind": "Unknown", "metadata": {"name": "a"}})

    run_story(story())


def test_a_release_changes_the_template_and_tells_its_cause() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(manifests.deployment(replicas=1))
            cluster.release(
                NAMESPACE,
                NAME,
                image="payments:2",
                labels={"version": "2"},
                annotations={"sandbox.responder.dev/never-ready": "true"},
                change_cause="release 2",
            )
            deployment = cluster.deployment(NAMESPACE, NAME)
            template = deployment["spec"]["template"]
            assert template["spec"]["containers"][0]["image"] == "payments:2"
            assert labels_of(template) == {"app": NAME, "version": "2"}
            assert annotations_of(template) == {"sandbox.responder.dev/never-ready": "true"}
            assert annotations_of(deployment)["kubernetes.io/change-cause"] == "release 2"

    run_story(story())


def test_waiting_too_long_names_what_was_waited_for() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            never = {"sandbox.responder.dev/never-ready": "true"}
            cluster.apply(manifests.deployment(pod_annotations=never))
            with pytest.raises(ResponderError, match="rollout of default/payment-service: not within 30 s"):
                await cluster.rollout_complete(NAMESPACE, NAME, timeout_seconds=30)

    run_story(story())


def test_an_error_in_the_scene_leaves_the_cluster_as_it_is() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.deployment(NAMESPACE, "nobody")

    with pytest.raises(ResponderError, match="no Deployment default/nobody"):
        run_story(story())
