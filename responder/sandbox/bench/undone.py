"""When each workload went back to its good version, by the API server's own watch.

The same stopwatch for every contestant: it stops when the server tells of the change.
"""

from __future__ import annotations

import asyncio

from responder.sandbox.bench.api import Api
from responder.sandbox.bench.workloads import MARK, Workload, version_of

_WITHIN_SECONDS = 30.0


class UndoneWatch:
    """Watches every marked Deployment of the cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._awaited: dict[str, asyncio.Future[float]] = {}

    def expect(self, workload: Workload) -> asyncio.Future[float]:
        """The instant (of the loop's clock) at which the workload will be at its good version again."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited[workload.namespace] = future
        return future

    async def within(self, future: asyncio.Future[float]) -> float:
        """Wait for an expected instant. Raises TimeoutError after half a minute."""
        async with asyncio.timeout(_WITHIN_SECONDS):
            return await future

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            async for event in self._api.watch("/apis/apps/v1/deployments", {"labelSelector": f"{MARK}=yes"}):
                now, found = loop.time(), event["object"]
                namespace = found.get("metadata", {}).get("namespace", "")
                if namespace in self._awaited and version_of(found) == "v1":
                    self._awaited.pop(namespace).set_result(now)
