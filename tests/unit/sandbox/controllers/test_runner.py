"""The controllers' queues and their Events: what fails is tried again, ever more slowly, and not for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.recorder import EventRecorder
from responder.sandbox.controllers.runner import Controllers
from responder.sandbox.virtual_time import LoopClock
from tests.shared import no_failures, run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


class LockedStore(Store):
    """A store that refuses ReplicaSets until it is opened."""

    tries = 0
    is_open = False

    def create(self, key: str, obj: Object, **options: Any) -> Object:
        """Create, or refuse a ReplicaSet."""
        if key == "replicasets.apps" and not self.is_open:
            self.tries += 1
            raise ApiError(403, "Forbidden", "exceeded quota: replicasets")
        return super().create(key, obj, **options)


class FaultyStore(Store):
    """A store at which the controllers trip over one Deployment's ReplicaSet."""

    tries = 0

    def create(self, key: str, obj: Object, **options: Any) -> Object:
        """Create, or break at the odd one."""
        if key == "replicasets.apps" and obj["metadata"]["name"].startswith("odd-"):
            self.tries += 1
            raise ValueError("nobody foresaw this")
        return super().create(key, obj, **options)


async def run_for(store: Store, clock: LoopClock, seconds: float) -> None:
    """Run all controllers for so long."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Controllers(store, clock).run())
        await clock.sleep(seconds)
        running.cancel()


def test_a_refused_replica_set_is_told_and_tried_again_ever_more_slowly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = LockedStore(clock)
        store.create("deployments.apps", manifests.deployment(replicas=1), manager="test")
        await run_for(store, clock, 5)
        assert 5 < store.tries < 15
        found = store.get("deployments.apps", NAMESPACE, NAME)
        assert found is not None
        (progressing,) = found["status"]["conditions"]
        assert (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
        assert "exceeded quota" in progressing["message"]
        assert "deployment controller, default/payment-service, try 1" in caplog.text

    run_story(story())


def test_after_its_last_retry_a_key_waits_for_an_event() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = LockedStore(clock)
        store.create("deployments.apps", manifests.deployment(replicas=1), manager="test")

        async with asyncio.TaskGroup() as group:
            running = group.create_task(Controllers(store, clock).run())
            await clock.sleep(3600)
            tries = store.tries
            await clock.sleep(3600)
            assert store.tries == tries
            store.is_open = True
            found = store.get("deployments.apps", NAMESPACE, NAME)
            assert found is not None
            found["metadata"]["labels"] = {"touched": "yes"}
            store.update("deployments.apps", found, manager="test")
            await clock.sleep(5)
            assert len(store.list("replicasets.apps")) == 1
            running.cancel()

    run_story(story())


def test_one_odd_object_ends_no_controller_and_fails_the_story() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = FaultyStore(clock)
        for name in ("odd", "plain"):
            manifest = manifests.deployment(replicas=1)
            manifest["metadata"]["name"] = name
            store.create("deployments.apps", manifest, manager="test")
        async with no_failures() as told:
            await run_for(store, clock, 5)
            (message,) = told
            assert message.startswith("deployment controller, default/odd: a pass failed: ValueError(")
            told.clear()
        assert 5 < store.tries < 15
        (pod,) = store.list("pods")
        assert pod["metadata"]["name"].startswith("plain-")

    run_story(story())


def test_what_is_there_at_the_start_is_looked_at() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = Store(clock)
        store.create("deployments.apps", manifests.deployment(replicas=2), manager="test")
        store.create("services", manifests.service(), manager="test")
        await run_for(store, clock, 5)
        assert len(store.list("pods")) == 2
        (found,) = store.list("endpointslices.discovery.k8s.io")
        assert len(found["endpoints"]) == 2

    run_story(story())


def test_one_seed_gives_one_history() -> None:
    async def story() -> list[tuple[str, str, str]]:
        clock = LoopClock(START)
        store = Store(clock, seed=7)
        seen: list[tuple[str, str, str]] = []

        def note(event: Event) -> None:
            seen.append((event.type, event.resource.kind, event.object["metadata"]["name"]))

        store.subscribe(note)
        store.create("deployments.apps", manifests.deployment(replicas=3), manager="test")
        await run_for(store, clock, 5)
        return seen

    assert run_story(story()) == run_story(story())


def test_a_cluster_at_rest_is_left_at_rest_even_by_controllers_that_start_anew() -> None:
    async def story() -> int:
        clock = LoopClock(START)
        store = Store(clock)
        store.create("deployments.apps", manifests.deployment(replicas=2), manager="test")
        await run_for(store, clock, 10)
        before = store.resource_version
        await run_for(store, clock, 24 * 3600)
        return store.resource_version - before

    assert run_story(story()) == 0


def test_an_event_that_repeats_is_counted_and_a_flood_is_combined() -> None:
    async def story() -> None:
        clock = LoopClock(START)
        store = Store(clock)
        recorder = EventRecorder(store, clock, "test-controller")
        about = store.create("services", manifests.service(), manager="test")
        recorder.record(about, "Same", "said twice")
        await clock.sleep(60)
        recorder.record(about, "Same", "said twice")
        (same,) = store.list("events", NAMESPACE)
        assert (same["count"], same["firstTimestamp"], same["lastTimestamp"]) == (
            2,
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:01:00Z",
        )
        for number in range(12):
            recorder.record(about, "Many", f"number {number}")
        many = [each for each in store.list("events", NAMESPACE) if each["reason"] == "Many"]
        # Nine as they are; the tenth to twelfth are one.
        assert len(many) == 10
        (combined,) = (each for each in many if each["count"] > 1)
        assert (combined["count"], combined["message"]) == (
            3,
            "(combined from similar events): number 11",
        )

    run_story(story())
