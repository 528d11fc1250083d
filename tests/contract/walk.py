"""Walks through a recorded rollout on a running sandbox cluster: sends its requests, waits for its states.

What a step or an object differs in is kept for the test to judge. Knows what was done in each scenario before
its recording began.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from responder.clock import Clock
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.objects import Object, copied
from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import count
from tests.contract.agreement import Agreement
from tests.contract.milestones import State, by_object, milestones, parse_line, state_of

Step = dict[str, Any]
Prelude = Callable[[Cluster, str], None]
_QUIET_SECONDS = 5.0
_WAIT_SECONDS = 40.0
_POLL_SECONDS = 0.1
_MOVING = ("half way", "right after")
_LIMITED_TOKEN = "limited"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a transcript does not tell: what was there before, done between, and when a step came.

    until gives the (updatedReplicas, availableReplicas) at which a step was taken in mid-rollout; soon gives
    the seconds that a step left the controllers, where it did not wait until they were done.
    """

    replicas: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    until: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    soon: Mapping[int, float] = field(default_factory=dict)
    preludes: Mapping[int, Prelude] = field(default_factory=dict)
    users: Mapping[int, str] = field(default_factory=dict)
    calm: bool = False


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
            cluster.apply(_service(namespace))
            cluster.apply(_deployment(namespace, scenario))
            await cluster.rollout_complete(namespace, "payment-service")
        walk = Walk(cluster, session, scenario, Agreement(calm=scenario.calm))
        await walk.run(transcript, namespace)
    return walk


@asynccontextmanager
async def _cluster(clock: Clock) -> AsyncIterator[Cluster]:
    tokens = Tokens({ADMIN_TOKEN: ADMIN, _LIMITED_TOKEN: User("limited")})
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


def _service(namespace: str, name: str = "payment-service", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "payment-service"}}
    body = {"selector": {"app": "payment-service"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": body}


def _deployment(namespace: str, scenario: Scenario) -> Object:
    """The Deployment that most recordings find made."""
    name, labels = "payment-service", {"app": "payment-service"}
    container = {
        "name": name,
        "image": "registry.example/payments/payment-service:1.0.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "GATEWAY_TIMEOUT", "value": "5s"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    template = {"metadata": {"labels": {**labels, "version": "1.0.0"}}, "spec": {"containers": [container]}}
    annotations = {"kubernetes.io/change-cause": "release 1.0.0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": scenario.replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            **copied(dict(scenario.spec)),
        },
    }


def _release(cluster: Cluster, namespace: str) -> None:
    """Deliver 1.1.0, as the recorded requests deliver the other versions."""
    cluster.release(
        namespace,
        "payment-service",
        image="registry.example/payments/payment-service:1.1.0",
        labels={"version": "1.1.0"},
        change_cause="release 1.1.0",
    )


def _readers_role(cluster: Cluster, namespace: str) -> None:
    """Let the limited user read workloads."""
    rules = [{"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    metadata = {"name": "readers", "namespace": namespace}
    cluster.apply({**rbac, "kind": "Role", "metadata": metadata, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "readers"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]
    cluster.apply(
        {**rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects}
    )


def _eager_service(cluster: Cluster, namespace: str) -> None:
    headless = {"clusterIP": "None", "publishNotReadyAddresses": True}
    cluster.apply(_service(namespace, "payment-service-eager", **headless))


def _readiness(*, ready: bool) -> Prelude:
    """Have the first pod turn unready, or ready again."""

    def turn(cluster: Cluster, namespace: str) -> None:
        pod = cluster.store.list("pods", namespace)[0]
        if ready:
            del pod["metadata"]["annotations"]["sandbox.responder.dev/unready-after"]
        else:
            pod["metadata"].setdefault("annotations", {})["sandbox.responder.dev/unready-after"] = "0s"
        cluster.store.update("pods", pod, manager="test")

    return turn


SCENARIOS: Mapping[str, Scenario] = {
    "01": Scenario(soon={16: 0.0, 17: 0.0, 18: 0.0}),
    "02": Scenario(replicas=10),
    "03": Scenario(),
    "04": Scenario(
        replicas=2,
        until={20: (2, 2)},
        soon={21: 1.5},
        preludes={2: _release, 20: _readers_role},
        users={20: _LIMITED_TOKEN},
    ),
    "05": Scenario(replicas=10, spec={"progressDeadlineSeconds": 10}),
    "06a": Scenario(replicas=10, until={4: (10, 8)}, soon={8: 0.0}),
    "06b": Scenario(replicas=10),
    "06c": Scenario(replicas=10, until={3: (5, 8)}),
    "06d": Scenario(replicas=10, until={3: (5, 8)}),
    "06e": Scenario(
        replicas=3, spec={"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2}, soon={9: 0.007}
    ),
    "09b": Scenario(
        preludes={3: _eager_service, 9: _readiness(ready=False), 11: _readiness(ready=True)}, calm=True
    ),
    "10a": Scenario(),
    "10b": Scenario(),
}
