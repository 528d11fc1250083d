"""Walks through a recorded rollout on a running sandbox cluster: sends its requests, waits for its states.

What a step or an object differs in is kept for the test to judge.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from responder.clock import Clock
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import count
from tests.contract.agreement import Agreement
from tests.contract.milestones import State, by_object, milestones, parse_line, state_of
from tests.contract.scenarios import LIMITED_TOKEN, SCENARIOS, Scenario, deployment, service

Step = dict[str, Any]
_QUIET_SECONDS = 5.0
_WAIT_SECONDS = 40.0
_POLL_SECONDS = 0.1
_MOVING = ("half way", "right after")


@dataclass(slots=True)
class Walk:
    """One walk: what was compared, and what differed, by step number or object."""

    cluster: Cluster
    session: aiohttp.ClientSession
    scenario: Scenario
    agreement: Agreement
    compared: set[int | str] = field(default_factory=set)
    differences: dict[int | str, list[str]] = field(default_factory=dict)
    seen: list[State] = field(default_factory=list)

    async def run(self, transcript: Step, namespace: str) -> None:
        """Take every step, then compare the milestones of every object that the timeline follows."""
        unsubscribe: Callable[[], None] | None = None
        watched_until = _latest(json.dumps(transcript["timeline"]))
        for index, step in enumerate(transcript["steps"]):
            if index in self.scenario.preludes:
                self.scenario.preludes[index](self.cluster, namespace)
            if "watch" in step:
                if unsubscribe is None:
                    await self._quiet()
                    unsubscribe = self.cluster.store.subscribe(self._observe)
                continue
            if unsubscribe is not None and _is_beyond(step, watched_until):
                await self._quiet()
                unsubscribe()
                unsubscribe = None
            await self._take(index, step)
        await self._quiet()
        if unsubscribe is not None:
            unsubscribe()
        self._compare_milestones(transcript["timeline"])

    def _observe(self, event: Event) -> None:
        state = state_of(event)
        if state is not None:
            self.seen.append(state)

    async def _take(self, index: int, step: Step) -> None:
        exchanges = [step] if "request" in step else step.get("requests", [])
        exchanges = [each for each in exchanges if _is_comparable(each)]
        if index in self.scenario.until:
            await self._reached(*self.scenario.until[index])
        elif index in self.scenario.soon:
            await self.cluster.clock.sleep(self.scenario.soon[index])
        elif any(map(_writes, exchanges)):
            await self._quiet()
        moving = "kubectl" in step or any(word in step["step"] for word in _MOVING)
        for exchange in exchanges:
            differences = await self._exchange(index, exchange, moving=moving)
            self.compared.add(index)
            if differences:
                self.differences.setdefault(index, []).extend(differences[:5])

    async def _exchange(self, index: int, exchange: Step, *, moving: bool) -> list[str]:
        """Send a request and compare the answer; a GET again and again until it agrees or time is up."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _WAIT_SECONDS
        while True:
            answer = await self._send(index, exchange["request"])
            expected = {"code": exchange["response"]["status"], "body": exchange["response"]["body"]}
            if expected["code"] != answer["code"]:
                differences = [f"answered {answer['code']}, should be {expected['code']}: {answer['body']}"]
            else:
                differences = self.agreement.differences(expected["body"], answer["body"], moving=moving)
            if not differences or exchange["request"]["method"] != "GET" or loop.time() > ends_at:
                return differences
            await self.cluster.clock.sleep(_POLL_SECONDS)

    async def _send(self, index: int, request: Step) -> Step:
        body = request.get("body")
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        query = {key: value for key, value in (request.get("query") or {}).items() if "<rv" not in value}
        headers = {name.title(): value for name, value in request["headers"].items() if name != "accept"}
        headers["Authorization"] = f"Bearer {self.scenario.users.get(index, ADMIN_TOKEN)}"
        async with self.session.request(
            request["method"],
            self.cluster.url + self.agreement.filled(request["path"]),
            params=query,
            headers=headers,
            data=None if text is None else _instants(self.agreement.filled(text)).encode(),
        ) as response:
            return {"code": response.status, "body": await response.json(content_type=None)}

    async def _reached(self, updated: int, available: int) -> None:
        def there() -> bool:
            (deployment,) = self.cluster.store.scan("deployments.apps")
            numbers = count(deployment, "updatedReplicas"), count(deployment, "availableReplicas")
            return numbers == (updated, available)

        await self.cluster.wait_until(there, f"{updated} updated and {available} available")

    async def _quiet(self) -> None:
        """Wait until nothing has been written for a while."""
        version = -1
        while version != self.cluster.store.resource_version:
            version = self.cluster.store.resource_version
            await self.cluster.clock.sleep(_QUIET_SECONDS)

    def _compare_milestones(self, timeline: list[str]) -> None:
        recorded = by_object(map(parse_line, timeline))
        seen = by_object(self.seen)
        for (kind, name), states in recorded.items():
            key = f"{kind} {name}"
            self.compared.add(key)
            # A slice's name ends at random: the one of the same Service is meant.
            found = seen.get((kind, self.agreement.filled(name)))
            if found is None and kind == "EndpointSlice":
                prefix = name.partition("<")[0]
                names = [each for each in seen if each[0] == kind and each[1][:-5] == prefix]
                found = seen[names[0]] if len(names) == 1 else None
            if found is None:
                self.differences[key] = ["was never seen"]
                continue
            expected, actual = milestones(states), milestones(found)
            filled = json.loads(self.agreement.filled(json.dumps(expected)))
            as_json = json.loads(json.dumps(actual))
            differing = [
                f"{what}: {as_json[what]}, should be {filled[what]}"
                for what in filled
                if as_json[what] != filled[what]
            ]
            if differing:
                self.differences[key] = differing


async def walked(name: str, transcript: Step, clock: Clock) -> Walk:
    """Walk through one scenario on a new cluster."""
    scenario = SCENARIOS[name]
    namespace = f"rec-{name}"
    async with (
        _cluster(clock) as cluster,
        aiohttp.ClientSession(headers={"User-Agent": "kubectl/1"}) as session,
    ):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        if scenario.replicas:
            cluster.apply(service(namespace))
            cluster.apply(deployment(namespace, scenario))
            await cluster.rollout_complete(namespace, "payment-service")
        walk = Walk(cluster, session, scenario, Agreement(calm=scenario.calm))
        await walk.run(transcript, namespace)
    return walk


@asynccontextmanager
async def _cluster(clock: Clock) -> AsyncIterator[Cluster]:
    tokens = Tokens({ADMIN_TOKEN: ADMIN, LIMITED_TOKEN: User("limited")})
    async with Cluster.start(clock=clock, tokens=tokens) as cluster:
        yield cluster


def _writes(exchange: Step) -> bool:
    return bool(exchange["request"]["method"] != "GET")


def _is_beyond(step: Step, version: int) -> bool:
    """Whether the step wrote a version that the recorded timeline has not seen."""
    written = [each for each in step.get("requests", [step]) if _writes(each)]
    named = [each["response"]["body"].get("metadata", {}).get("resourceVersion", "") for each in written]
    return bool(version) and _latest(" ".join(named)) > version


def _latest(text: str) -> int:
    """The highest version that the text names."""
    return max(map(int, re.findall(r"<rv:(\d+)>", text)), default=0)


def _is_comparable(exchange: Step) -> bool:
    """Whether an exchange is part of the rollout: no watch, no discovery, and recorded in full."""
    request, body = exchange["request"], exchange["response"]["body"]
    if (request.get("query") or {}).get("watch") == "true" or request["path"].startswith("/openapi"):
        return False
    is_discovery = request["path"] in ("/version", "/api", "/apis")
    return not is_discovery and not (isinstance(body, str) and body.startswith("<see "))


def _instants(text: str) -> str:
    return text.replace("<time>", "2026-01-01T00:00:00Z")
