"""Single requests and answers of a real API server, replayed on the sandbox field by field.

What differs is listed with its reason; a listed step that no longer differs fails as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.server import ADMIN_TOKEN, ApiServer, run_server
from responder.sandbox.api.store import Object, Store
from responder.sandbox.cluster import Cluster
from responder.sandbox.virtual_time import LoopClock
from tests.contract.replay import TRANSCRIPTS, Replay, load_steps, namespaces_of
from tests.shared import run_story

HEALTH_CHECKS = "the sandbox is healthy as a whole, it has no list of checks"
OPENAPI = "the index's text differs by what is served and by its hashes; tests/kubectl reads it for good"
NO_BATCH = "batch/v1 is not served"
WRONG_VERSION_WARNING = "the real server warns of the fields of a body whose version it then refuses"

KNOWN_DIFFERENCES: dict[str, dict[int, str]] = {
    "07a": {},
    "07b": {},
    "07c": {},
    "07d": {},
    "07e": {},
    "07f": {3: "how many bookmarks come before the end is up to the server's timers"},
    "07g": {13: NO_BATCH, 21: OPENAPI, 22: HEALTH_CHECKS},
    "08": {45: WRONG_VERSION_WARNING},
    "09a": {},
}

# They ask for /version, where a recorded build has fields of its own.
NOT_COMPARED: dict[str, set[int]] = {"07b": {3}, "07g": {0, 23, 24}}

# Of a server as a whole, where other things were written in between; here nothing is.
KNOWN_CONFUSIONS: dict[str, set[frozenset[str]]] = {
    "07e": {frozenset({"<rv:10>", "<rv:11>"})},
    "07f": {frozenset({"<rv:4>", "<rv:5>", "<rv:6>"})},
}

UNBOUNDED = aiohttp.ClientTimeout(total=None)
Preludes = Mapping[int, Callable[[Store], None]]


def deployment(namespace: str, name: str, **labels: str) -> Object:
    """The Deployment with which the recordings were made."""
    (body,) = [load_steps("07a")[12]["request"]["body"]]
    assert isinstance(body, dict)
    metadata = {**body["metadata"], "name": name, "namespace": namespace}
    return {**body, "metadata": {**metadata, "labels": {**metadata["labels"], **labels}}}


def create(key: str, *objects: Object) -> Callable[[Store], None]:
    """A prelude that creates objects the recording found made."""

    def prelude(store: Store) -> None:
        for obj in objects:
            store.create(key, obj, manager="responder")

    return prelude


def preludes_of(scenario: str) -> Preludes:
    """What was done between the recorded steps, by scenario and step."""
    match scenario:
        case "07b":
            return {0: create("deployments.apps", deployment("rec-07b", "payment-service"))}
        case "07c":
            return {2: create("deployments.apps", deployment("rec-07c", "payment-service"))}
        case "07e":
            first = [
                deployment("rec-07e", name, tier=tier, **more)
                for name, tier, more in (
                    ("alpha", "front", {}),
                    ("beta", "front", {}),
                    ("delta", "back", {"canary": "yes"}),
                    ("epsilon", "back", {}),
                    ("gamma", "back", {}),
                )
            ]
            events = [event(name) for name in ("one", "three", "two")]
            return {
                0: create("deployments.apps", *first),
                3: create("deployments.apps", deployment("rec-07e", "zeta")),
                56: create("events", *events),
                57: write_and_compact,
            }
        case "07f":
            return {
                0: create("configmaps", config_map("one", "prod"), config_map("two", "test")),
                30: write_and_forget_events,
            }
        case "08":
            return {76: release_nulls}
        case _:
            return {}


def authorizations_of(scenario: str) -> Mapping[int, str]:
    """With which token each step was made, where it was not an administrator's; recordings keep none."""
    if scenario != "07b":
        return {}
    anonymous = dict.fromkeys((0, 3, 4, 5, 6, 7, 8), "")
    limited = dict.fromkeys(set(range(9, 44)) - {10, 11, 32, 36, 37}, "Bearer limited")
    account = dict.fromkeys((38, 39), "Bearer <jwt:1>")
    return {**anonymous, 1: "Bearer nobody's", 2: "Basic bGltaXRlZDo=", **limited, **account}


def event(name: str) -> Object:
    metadata = {"name": name, "namespace": "rec-07e", "labels": {"of": "lists"}}
    return {"metadata": metadata, "involvedObject": {"namespace": "rec-07e"}, "reason": "Test"}


def config_map(name: str, env: str, namespace: str = "rec-07f") -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"env": env}}, "data": {"v": "1"}}


def write_and_compact(store: Store) -> None:
    store.create("configmaps", config_map("later", "prod", "rec-07e"), manager="responder")
    store.history.compact(store.resource_version)


def write_and_forget_events(store: Store) -> None:
    changed = {**config_map("one", "test"), "data": {"v": "3"}}
    store.update("configmaps", changed, manager="responder")
    store.history.begin("events", store.resource_version)


def release_nulls(store: Store) -> None:
    incident = store.get("incidents.responder.example", "rec-08", "nulls")
    assert incident is not None
    incident["metadata"]["finalizers"] = []
    store.update("incidents.responder.example", incident, manager="responder")


async def replayed(scenario: str, steps: list[dict[str, Any]]) -> Replay:
    """Replay a scenario on a new cluster and return what differed."""
    clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
    headers = {"User-Agent": "responder/1.0"}
    async with Cluster.start(clock=clock) as cluster:
        for namespace in sorted(namespaces_of(steps)):
            cluster.store.create("namespaces", {"metadata": {"name": namespace}}, manager="responder")
        server = ApiServer(cluster.store, Tokens({ADMIN_TOKEN: ADMIN, "limited": User("limited", uid="3")}))
        async with (
            run_server(server.app()) as url,
            aiohttp.ClientSession(headers=headers, timeout=UNBOUNDED) as session,
        ):
            replay = Replay(
                session,
                url,
                cluster.store,
                preludes_of(scenario),
                authorizations_of(scenario),
                abridged=scenario == "07g",
            )
            await replay.run(steps)
    return replay


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason=f"no recorded transcripts at {TRANSCRIPTS}")
@pytest.mark.parametrize("scenario", sorted(KNOWN_DIFFERENCES))
def test_the_sandbox_answers_as_the_real_server_did(scenario: str) -> None:
    steps = load_steps(scenario)
    replay = run_story(replayed(scenario, steps))
    known = KNOWN_DIFFERENCES[scenario]
    unexpected = {
        f"{index} {steps[index]['step']}": text
        for index, text in replay.differences.items()
        if index not in known
    }
    assert not unexpected
    assert sorted(replay.differences) == sorted(known), "a listed difference is gone: take it off the list"
    assert replay.confused() == KNOWN_CONFUSIONS.get(scenario, set())
    assert set(range(len(steps))) - replay.compared == NOT_COMPARED.get(scenario, set())
