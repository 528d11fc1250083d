"""What befalls the whole API server, and that a run with faults can be run again; on virtual time."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
    LoseHistory,
    Restart,
    SkewClock,
)
from responder.sandbox.api.fault_plan import draw_plan
from responder.sandbox.api.server import ADMIN_TOKEN, ApiServer
from responder.sandbox.api.store import Object, Store
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

MakeStore = Callable[[], Store]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass
class Scene:
    """A server and a client of it."""

    server: ApiServer
    session: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask once and return status and body."""
        async with self.session.request(method, self.url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def make(self, name: str) -> Any:
        """Create a ConfigMap and return it."""
        status, made = await self.ask("POST", MAPS, config_map(name))
        assert status == 201
        return made


def config_map(name: str) -> Object:
    return {"metadata": {"name": name}, "data": {"a": "b"}}


@asynccontextmanager
async def scene(store: Store) -> AsyncIterator[Scene]:
    server = ApiServer(store)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        server.listening() as url,
        aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
    ):
        yield Scene(server, session, url)


def is_connected(session: aiohttp.ClientSession) -> bool:
    """Whether the session keeps an open connection for its next request."""
    assert session.connector is not None
    kept = session.connector._conns.values()  # the library has no word for it
    return any(protocol.is_connected() for connections in kept for protocol, *_ in connections)


async def events(response: aiohttp.ClientResponse) -> list[Any]:
    """Every event of a watch, to its end."""
    return [json.loads(line) async for line in response.content]


@pytest.mark.parametrize(
    ("path", "expired"),
    [("", True), ("/configmaps", True), ("/pods", False)],
)
def test_watches_expire_by_pattern(make_store: MakeStore, path: str, expired: bool) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            async with here.session.get(f"{here.url}{MAPS}?watch=1&timeoutSeconds=5") as response:
                await here.server.suffer(ExpireWatches(BEGIN, path))
                told = await events(response)
            codes = [event["object"]["code"] for event in told if event["type"] == "ERROR"]
            assert codes == ([410] if expired else [])

    run_story(story())


@pytest.mark.parametrize(("code", "reason"), [(410, "Expired"), (500, "InternalError"), (504, "Timeout")])
def test_an_error_can_come_inside_a_stream_that_began_well(
    make_store: MakeStore, code: int, reason: str
) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            async with here.session.get(f"{here.url}{MAPS}?watch=1&timeoutSeconds=5") as response:
                await here.server.suffer(ExpireWatches(BEGIN, code=code))
                (told,) = await events(response)
            assert response.status == 200
            assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", code, reason)

    run_story(story())


@pytest.mark.parametrize(("path", "broken"), [("", True), ("watch=1", True), ("/pods", False)])
def test_watches_break_by_pattern(make_store: MakeStore, path: str, broken: bool) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            async with here.session.get(f"{here.url}{MAPS}?watch=1&timeoutSeconds=5") as response:
                await here.server.suffer(BreakWatches(BEGIN, path))
                if broken:
                    with pytest.raises(aiohttp.ClientError):
                        await events(response)
                else:
                    assert await events(response) == []
            assert "BreakWatches" in here.server.faults.record()[0]

    run_story(story())


def test_a_watch_that_hangs_stays_open_and_tells_nothing_and_the_next_one_works(
    make_store: MakeStore,
) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            query = f"{here.url}{MAPS}?watch=1&timeoutSeconds=60&allowWatchBookmarks=true"
            async with here.session.get(query) as hanging:
                await here.server.suffer(HangWatches(BEGIN, "/configmaps"))
                await here.make("one")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(20):
                        await hanging.content.readline()
                async with here.session.get(query) as response:
                    told = json.loads(await response.content.readline())
            assert (told["type"], told["object"]["metadata"]["name"]) == ("ADDED", "one")

    run_story(story())


def test_watches_lag_for_a_while_and_keep_the_order(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        came: list[tuple[str, float]] = []
        async with scene(store) as here:

            async def follow() -> None:
                async with here.session.get(f"{here.url}{MAPS}?watch=1&timeoutSeconds=25") as response:
                    async for line in response.content:
                        name = json.loads(line)["object"]["metadata"]["name"]
                        came.append((name, round((store.clock.now() - BEGIN).total_seconds())))

            async def write() -> None:
                await here.make("before")
                await store.clock.sleep(1)
                await here.server.suffer(LagWatches(BEGIN, 5.0, 10.0, "/configmaps"))
                await here.make("at-1")
                await store.clock.sleep(9)
                await here.make("at-10")
                await store.clock.sleep(2)
                await here.make("at-12")
                await store.clock.sleep(8)
                await here.make("at-20")

            await _both(follow(), write())
        # What comes after the lag does not overtake what it holds back.
        assert came == [("before", 0), ("at-1", 6), ("at-10", 15), ("at-12", 15), ("at-20", 20)]

    run_story(story())


def test_a_watch_that_begins_in_a_lag_is_told_late_what_there_is(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        async with scene(store) as here:
            await here.make("one")
            await here.server.suffer(LagWatches(BEGIN, 5.0, 10.0))
            async with here.session.get(f"{here.url}{MAPS}?watch=1") as response:
                await here.make("two")
                first = json.loads(await response.content.readline())
            assert first["object"]["metadata"]["name"] == "one"
            assert (store.clock.now() - BEGIN).total_seconds() >= 5

    run_story(story())


def test_a_restarted_server_listens_where_it_did(make_store: MakeStore) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            for _ in range(3):
                await here.server.suffer(Restart(BEGIN, 1.0))
                assert (await here.ask("GET", MAPS))[0] == 200

    run_story(story())


@pytest.mark.parametrize("disturbance", [LoseHistory(BEGIN), Restart(BEGIN, 0.0)])
def test_the_past_is_gone_with_the_history(make_store: MakeStore, disturbance: Disturbance) -> None:
    async def story() -> None:
        async with scene(make_store()) as here:
            version = (await here.make("one"))["metadata"]["resourceVersion"]
            await here.make("two")
            await here.server.suffer(disturbance)
            query = f"watch=1&timeoutSeconds=1&resourceVersion={version}"
            async with here.session.get(f"{here.url}{MAPS}?{query}") as response:
                (error,) = await events(response)
            assert (error["type"], error["object"]["code"]) == ("ERROR", 410)
            status, listed = await here.ask("GET", MAPS)
            assert (status, len(listed["items"])) == (200, 2)

    run_story(story())


def test_a_restart_breaks_connections_that_wait_for_their_next_request(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        async with scene(store) as here:
            await here.make("one")
            assert is_connected(here.session)
            await here.server.suffer(Restart(BEGIN, 0.0))
            await store.clock.sleep(1)
            assert not is_connected(here.session)

    run_story(story())


def test_a_restart_breaks_connections_and_refuses_new_ones_for_a_while(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        async with scene(store) as here:
            async with here.session.get(f"{here.url}{MAPS}?watch=1") as response:
                play = here.server.suffer(Restart(BEGIN, 10.0))
                refused_at: list[float] = []

                async def ask_meanwhile() -> None:
                    await store.clock.sleep(5)
                    with pytest.raises(aiohttp.ClientConnectorError) as refused:
                        await here.ask("GET", MAPS)
                    assert refused.value.os_error.errno == errno.ECONNREFUSED
                    refused_at.append((store.clock.now() - BEGIN).total_seconds())

                await _both(play, ask_meanwhile())
                with pytest.raises(aiohttp.ClientError):
                    await response.content.read()
            assert len(refused_at) == 1
            assert (await here.ask("GET", MAPS))[0] == 200

    run_story(story())


async def _both(first: Any, second: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(first)
        group.create_task(second)


def test_a_skewed_clock_stamps_objects_but_moves_neither_log_nor_faults(make_store: MakeStore) -> None:
    async def story() -> None:
        store = make_store()
        async with scene(store) as here:
            await here.server.suffer(SkewClock(BEGIN, 3600.0))
            made = await here.make("one")
            stamped = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
            assert stamped - BEGIN >= timedelta(hours=1)
            (record,) = here.server.log
            assert record.at - BEGIN < timedelta(minutes=1)

    run_story(story())


def faulty_run(seed: int) -> tuple[list[str], list[str]]:
    """A client that asks once a second for two minutes of faults; what hit it, and what it saw."""

    async def story() -> tuple[list[str], list[str]]:
        seen: list[str] = []
        store = Store(LoopClock(BEGIN))
        async with scene(store) as here:
            plan = draw_plan(seed, BEGIN, timedelta(seconds=60), rules=12, disturbances=3)

            async def client() -> None:
                for index in range(60):
                    await store.clock.sleep(1)
                    try:
                        status, _ = await here.ask("POST", MAPS, config_map(f"map-{index}"))
                        seen.append(str(status))
                    except (aiohttp.ClientError, TimeoutError) as error:
                        seen.append(type(error).__name__)

            await _both(here.server.play(plan), client())
            return here.server.faults.record(), seen

    return run_story(story())


def test_a_run_with_faults_can_be_run_again_from_its_seed() -> None:
    runs = {seed: faulty_run(seed) for seed in (1, 2, 3)}
    for seed, run in runs.items():
        assert faulty_run(seed) == run
        assert len(set(run[1])) > 1, "no fault was felt"
    assert len({tuple(seen) for _, seen in runs.values()}) == len(runs)
