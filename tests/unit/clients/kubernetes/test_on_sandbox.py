"""The client against an API server that follows the real one's rules: one and the other must agree."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder.clients.kubernetes import (
    AlreadyExists,
    ApiError,
    Changed,
    Conflict,
    Forbidden,
    Gap,
    Invalid,
    Kubernetes,
    Listed,
    NotFound,
    Observation,
    OutcomeUnknown,
    Unauthorized,
    connect,
    paths,
)
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.faults import DropAfter, FaultRule, Hang, Refuse
from responder.sandbox.api.server import ApiServer, kubeconfig, run_server
from responder.sandbox.api.store import Store
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

SERVICES = paths.services("default")
SERVICE = paths.named(SERVICES, "payment")


def service(name: str = "payment") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


@asynccontextmanager
async def cluster(tmp_path: Path, token: str = "admin") -> AsyncIterator[tuple[ApiServer, Kubernetes]]:
    clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
    server = ApiServer(Store(clock), Tokens({"admin": ADMIN, "nobody": User("nobody")}))
    async with run_server(server.app()) as url:
        (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig(url, token)))
        api = await connect(tmp_path / "kubeconfig", clock=clock)
        try:
            yield server, api
        finally:
            await api.close()


async def error_of(request: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await request
    return raised.value


def test_an_objects_life(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (_, api):
            made = await api.create(SERVICES, service())
            assert isinstance(await error_of(api.create(SERVICES, service())), AlreadyExists)
            assert await api.get(SERVICE) == made

            patched = await api.merge_patch(SERVICE, {"metadata": {"labels": {"app": None, "tier": "back"}}})
            assert patched["metadata"]["labels"] == {"tier": "back"}
            stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "labels": {}}}
            assert isinstance(await error_of(api.merge_patch(SERVICE, stale)), Conflict)

            wrong_test = [{"op": "test", "path": "/metadata/uid", "value": "another"}]
            refused = await error_of(api.json_patch(SERVICE, wrong_test))
            assert isinstance(refused, Invalid)
            assert refused.failed_test
            no_service = await error_of(api.merge_patch(SERVICE, {"spec": {"ports": []}}))
            assert isinstance(no_service, Invalid)
            assert not no_service.failed_test

            assert isinstance(await error_of(api.delete(SERVICE, uid="another")), Conflict)
            await api.delete(SERVICE, uid=made["metadata"]["uid"])
            gone = await error_of(api.get(SERVICE))
            assert isinstance(gone, NotFound)
            assert not gone.resource_missing

    run_story(story())


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (_, api):
            assert (await api.create(SERVICES, service(), dry_run=True))["metadata"]["name"] == "payment"
            assert isinstance(await error_of(api.get(SERVICE)), NotFound)

    run_story(story())


def test_a_resource_whose_crd_is_not_applied_is_missing_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (_, api):
            missing = await error_of(api.get(paths.incident("default", "i-1")))
            assert isinstance(missing, NotFound)
            assert missing.resource_missing

    run_story(story())


@pytest.mark.parametrize(("token", "kind"), [("nobody", Forbidden), ("stale", Unauthorized)])
def test_who_may_not_is_told_so(tmp_path: Path, token: str, kind: type[ApiError]) -> None:
    async def story() -> None:
        async with cluster(tmp_path, token) as (_, api):
            assert type(await error_of(api.list(SERVICES))) is kind

    run_story(story())


def test_a_list_is_whole_whatever_its_pages(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (server, api):
            for number in range(5):
                await api.create(SERVICES, service(f"s{number}"))
            listed = await api.list(SERVICES, limit=2)
            assert [item["metadata"]["name"] for item in listed.items] == ["s0", "s1", "s2", "s3", "s4"]
            assert {(item["kind"], item["apiVersion"]) for item in listed.items} == {("Service", "v1")}
            assert listed.resource_version == str(server.store.resource_version)
            for most in (1, 2, 3):
                first = await api.list(SERVICES, limit=2, most=most)
                assert [item["metadata"]["name"] for item in first.items] == ["s0", "s1", "s2"][:most]
            chosen = await api.list(SERVICES, label_selector="app in (s1,s3)")
            assert [item["metadata"]["name"] for item in chosen.items] == ["s1", "s3"]
            light = await api.list(SERVICES, limit=2, metadata_only=True)
            assert [item["metadata"]["name"] for item in light.items] == ["s0", "s1", "s2", "s3", "s4"]
            assert not any("spec" in item for item in light.items)

    run_story(story())


def test_a_write_whose_answer_is_dropped_may_have_happened(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (server, api):
            server.faults.add(FaultRule("POST", "/services", DropAfter(), count=1))
            assert isinstance(await error_of(api.create(SERVICES, service())), OutcomeUnknown)
            assert (await api.get(SERVICE))["metadata"]["name"] == "payment"
            assert len([record for record in server.log if record.method == "POST"]) == 1

    run_story(story())


def test_a_busy_server_is_asked_again_when_it_wishes(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as (server, api):
            server.faults.add(FaultRule("*", "/services", Refuse(429, retry_after_seconds=2), count=2))
            started = asyncio.get_running_loop().time()
            await api.create(SERVICES, service())
            assert 4 <= asyncio.get_running_loop().time() - started < 6

    run_story(story())


def test_observing_survives_ends_silence_and_compaction(tmp_path: Path) -> None:
    seen: list[Observation] = []

    async def collect(api: Kubernetes) -> None:
        async for observation in api.list_watch(SERVICES):
            seen.append(observation)

    async def story() -> None:
        async with cluster(tmp_path) as (server, api), asyncio.TaskGroup() as group:
            clock = server.store.clock
            await api.create(SERVICES, service("first"))
            collecting = group.create_task(collect(api))
            await clock.sleep(100)
            await api.create(SERVICES, service("second"))
            await clock.sleep(1)
            assert [_shown(observation) for observation in seen] == ["first", "ADDED second"]

            server.faults.add(FaultRule("GET", "watch=1", Hang(), count=1))
            await clock.sleep(35)  # the watch under way ends, the next one is silent
            await api.create(SERVICES, service("third"))
            server.store.history.compact(server.store.resource_version)
            await clock.sleep(60)
            collecting.cancel()

    run_story(story())
    # Nobody knows when, in the silence, what is new began: it is told by a list and not as a change of now.
    assert [_shown(observation) for observation in seen[2:]] == ["Gap", "first second third"]


def _shown(observation: Observation) -> str:
    match observation:
        case Listed(items):
            return " ".join(item["metadata"]["name"] for item in items)
        case Changed(kind, item):
            return f"{kind} {item['metadata']['name']}"
        case Gap():
            return "Gap"


def test_however_many_watches_are_open_a_request_gets_through(tmp_path: Path) -> None:
    """Rule files of many namespaces take two watches each, for ever."""

    async def watch(api: Kubernetes, listed: asyncio.Semaphore) -> None:
        async for observation in api.list_watch(SERVICES):
            if isinstance(observation, Listed):
                listed.release()

    async def story() -> None:
        async with cluster(tmp_path) as (_, api), asyncio.TaskGroup() as group:
            listed = asyncio.Semaphore(0)
            watches = [group.create_task(watch(api, listed)) for _ in range(120)]
            for _ in watches:
                await listed.acquire()
            await asyncio.wait_for(api.create(SERVICES, service()), 5)
            for each in watches:
                each.cancel()

    run_story(story())
