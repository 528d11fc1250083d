"""A kubelet's part, played over the API where none runs: binds Pods to a node of its own, makes them ready,
lets deleted ones go. It knows one namespace only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, cast

from responder.clients.kubernetes import (
    Changed,
    Conflict,
    Gap,
    Invalid,
    Kubernetes,
    Listed,
    NotFound,
    Object,
    paths,
)
from responder.clock import Clock
from responder.tasks import alongside, together

_READY_AFTER_SECONDS = 0.5
_TERMINATES_AFTER_SECONDS = 1.0
NODES = "/api/v1/nodes"


class Kubelet:
    """Takes care of every Pod of the namespace."""

    def __init__(self, api: Kubernetes, namespace: str, node: str, clock: Clock) -> None:
        self._api = api
        self._namespace = namespace
        self._node = node
        self._clock = clock
        self._cared_for: set[tuple[str, bool]] = set()
        self._addresses = 0

    async def run(self) -> None:
        """Until cancelled."""
        async with (
            together() as group,
            aclosing(cast("Any", self._api.list_watch(paths.pods(self._namespace)))) as observations,
        ):
            async for seen in observations:
                match seen:
                    case Listed(items):
                        pods = items
                    case Changed(kind, pod):
                        pods = [] if kind == "DELETED" else [pod]
                    case Gap():
                        pods = []
                for pod in pods:
                    leaving = "deletionTimestamp" in pod["metadata"]
                    if (pod["metadata"]["uid"], leaving) not in self._cared_for:
                        self._cared_for.add((pod["metadata"]["uid"], leaving))
                        group.create_task(self._let_go(pod) if leaving else self._start(pod))

    async def _start(self, pod: Object) -> None:
        path, name = self._path(pod), pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": self._node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            try:
                await self._api.create(f"{path}/binding", binding)
            except (NotFound, Conflict):
                return  # gone, or a scheduler was quicker
        self._addresses += 1
        address = f"10.99.{self._addresses // 250}.{self._addresses % 250 + 1}"
        await self._write(path, _status(self._clock.now(), address, ready=False))
        await self._clock.sleep(_READY_AFTER_SECONDS)
        await self._write(path, _status(self._clock.now(), address, ready=True))

    async def _let_go(self, pod: Object) -> None:
        await self._clock.sleep(_TERMINATES_AFTER_SECONDS)
        try:
            found = await self._api.get(self._path(pod))
            if found["metadata"]["uid"] == pod["metadata"]["uid"]:
                # Without a uid in a body, for which the server would forget the query.
                await self._api.delete(f"{self._path(pod)}?gracePeriodSeconds=0")
        except (NotFound, Conflict):
            return

    async def _write(self, path: str, status: Object) -> None:
        try:
            await self._api.merge_patch(paths.status(path), {"status": status})
        except (NotFound, Invalid):
            return  # it was deleted meanwhile

    def _path(self, pod: Object) -> str:
        return paths.named(paths.pods(self._namespace), pod["metadata"]["name"])


@asynccontextmanager
async def playing_kubelet(api: Kubernetes, namespace: str, clock: Clock) -> AsyncIterator[None]:
    """Play the kubelet of the namespace while the context lasts, on a node that goes away afterwards."""
    node = f"{namespace}-node"
    await api.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    try:
        async with alongside(Kubelet(api, namespace, node, clock).run()):
            yield
    finally:
        await api.delete(f"{NODES}/{node}")


async def has_kubelet(api: Kubernetes) -> bool:
    """Whether some node is Ready, which only a kubelet says."""
    for node in (await api.list(NODES)).items:
        conditions = (node.get("status") or {}).get("conditions") or []
        if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            return True
    return False


def _status(now: datetime, address: str, *, ready: bool) -> Object:
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    truth = {True: "True", False: "False"}
    conditions = [
        {
            "type": kind,
            "status": truth[ready or kind in ("PodScheduled", "Initialized")],
            "lastTransitionTime": at,
        }
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return {
        "phase": "Running",
        "hostIP": "10.99.255.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": at,
        "conditions": conditions,
    }
