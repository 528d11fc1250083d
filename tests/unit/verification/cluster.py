"""A rollback on the simulated cluster, read straight from its store: no HTTP, so that faults are exact."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from responder.clients.kubernetes import (
    ApiError,
    Changed,
    Gap,
    Kubernetes,
    Listed,
    NotFound,
    ObjectList,
    Observation,
)
from responder.sandbox import manifests
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.virtual_time import LoopClock
from responder.verdicts import Verdict
from responder.verification.claim import Claim
from responder.verification.prove_traffic import TrafficProof, prove_traffic
from responder.workloads.key import WorkloadKey
from responder.workloads.views import Object

NAMESPACE, NAME = "default", "payment-service"
GOOD, BAD = "payment-service:1.0.0", "payment-service:2.0.0"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)

_PATH = re.compile(
    r"/apis?/(?:(?P<group>[a-z0-9.]+\.?[a-z0-9.]*)/)?v1/namespaces/[^/]+/(?P<plural>[a-z]+)(?:/(?P<name>.+))?"
)


# Gets the resource's key and the items about to be handed out.
ListHook = Callable[[str, list[Object]], None]


class SteppedClock(LoopClock):
    """A wall clock that somebody sets, while the loop's own time goes on as ever."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.set_by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.set_by


class StoreKubernetes(Kubernetes):
    """The reading half of the client, on the store itself.

    While `error` is set, every read raises it; while `muted`, watches tell of nothing; `on_list` may change
    what a list shows. Watches begin after `watch_delay_seconds`.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._queues: dict[str, asyncio.Queue[Observation]] = {}
        self.error: ApiError | None = None
        self.muted = False
        self.on_list: ListHook | None = None
        self.watch_delay_seconds = 0.0
        self.lists = 0

    async def get(self, path: str) -> Object:
        self._raise()
        key, name = _key(path)
        found = self._cluster.store.get(key, NAMESPACE, name)
        if found is None:
            raise NotFound(404, "NotFound", f"{name} not found", {"name": name})
        return found

    async def list(
        self,
        path: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        most: int | None = None,
        metadata_only: bool = False,
    ) -> ObjectList:
        self._raise()
        self.lists += 1
        store, key = self._cluster.store, _key(path)[0]
        items = store.list(key, NAMESPACE)
        if self.on_list is not None:
            self.on_list(key, items)
        return ObjectList(items, str(store.resource_version))

    async def list_watch(
        self, path: str, *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[Observation]:
        key, _ = _key(path)
        queue = self._queues[key] = asyncio.Queue()

        def put(event: Event) -> None:
            if event.resource.key == key and not self.muted:
                queue.put_nowait(Changed(event.type, event.object))

        unsubscribe = self._cluster.store.subscribe(put)
        try:
            await self._cluster.clock.sleep(self.watch_delay_seconds)
            yield Listed([], "0")
            while True:
                yield await queue.get()
        finally:
            unsubscribe()

    def interrupt(self, key: str) -> None:
        """Let one watch tell of a gap."""
        self._queues[key].put_nowait(Gap("the connection was reset"))

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error


def _key(path: str) -> tuple[str, str]:
    match = _PATH.fullmatch(path)
    assert match is not None, path
    key = f"{match['plural']}.{match['group']}" if match["group"] else match["plural"]
    return key, match["name"] or ""


@dataclass
class Rollback:
    """A Deployment that has just been taken back from BAD to GOOD, and what proves it."""

    cluster: Cluster
    kubernetes: StoreKubernetes
    clock: SteppedClock
    claim: Claim
    undone_at: datetime
    reports: list[tuple[Verdict, ...]] = field(default_factory=list)

    def seconds(self) -> float:
        """Since the undo."""
        return (self.clock.now() - self.undone_at).total_seconds()

    async def prove(self, *, within_seconds: float = 300, hold_seconds: float | None = 10) -> TrafficProof:
        return await prove_traffic(
            self.kubernetes,
            self.clock,
            self.claim,
            deadline_at=self.undone_at + timedelta(seconds=within_seconds),
            hold=None if hold_seconds is None else timedelta(seconds=hold_seconds),
            report=self.reports.append,
        )

    def pods(self) -> list[Object]:
        return self.cluster.store.list("pods", NAMESPACE)

    def touch(self, key: str, content: Object, change: Callable[[Object], object]) -> None:
        """Change an object, its status included."""
        change(content)
        self.cluster.store.update(key, content, manager="test")
        fresh = self.cluster.store.get(key, NAMESPACE, content["metadata"]["name"])
        assert fresh is not None
        if "status" in content:
            status = {**fresh, "status": content["status"]}
            self.cluster.store.update(key, status, manager="test", subresource="status")

    def set_ready(self, pod: Object, status: str) -> None:
        """Let the kubelet find a pod ready or not, as of now."""
        fresh = self.cluster.store.get("pods", NAMESPACE, pod["metadata"]["name"])
        assert fresh is not None
        for condition in fresh["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition["status"] = status
                condition["lastTransitionTime"] = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.store.update("pods", fresh, manager="kubelet", subresource="status")


async def roll_back(cluster: Cluster, *, services: tuple[str, ...] = (NAME,)) -> Rollback:
    """Roll out GOOD, then BAD, then put GOOD's template back."""
    for name in services:
        cluster.apply(manifests.service(name, app=NAME))
    cluster.apply(manifests.deployment(NAME, image=GOOD))
    await cluster.rollout_complete(NAMESPACE, NAME)
    good = cluster.store.list("replicasets.apps", NAMESPACE)[0]
    template = cluster.deployment(NAMESPACE, NAME)["spec"]["template"]
    cluster.release(NAMESPACE, NAME, image=BAD)
    await cluster.rollout_complete(NAMESPACE, NAME)
    await cluster.clock.sleep(30)
    undone = cluster.deployment(NAMESPACE, NAME)
    undone["spec"]["template"] = template
    undone = cluster.store.update("deployments.apps", undone, manager="responder")
    clock = SteppedClock(START)
    claim = Claim(
        key=WorkloadKey(NAMESPACE, "Deployment", NAME),
        workload_uid=undone["metadata"]["uid"],
        target_uid=good["metadata"]["uid"],
        template=undone["spec"]["template"],
        generation=undone["metadata"]["generation"],
        services=services,
        stale_progressing_at=None,
    )
    return Rollback(cluster, StoreKubernetes(cluster), clock, claim, clock.now())
