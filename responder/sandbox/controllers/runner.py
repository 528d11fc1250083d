"""Runs the controllers: a work queue each, fed by the store's events, one pass an interval.

The interval keeps every intermediate state visible to watchers and the loop from spinning. Keys coalesce
while they wait, so a queue is never longer than there are objects. Called by the cluster.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable
from typing import Protocol

from responder.clock import Clock
from responder.sandbox.api.objects import name_of, namespace_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store, report_failure
from responder.sandbox.controllers.daemonset import DaemonSetController
from responder.sandbox.controllers.deployment import DeploymentController
from responder.sandbox.controllers.endpointslice import EndpointSliceController
from responder.sandbox.controllers.kubelet import Kubelet
from responder.sandbox.controllers.replicaset import ReplicaSetController
from responder.sandbox.controllers.statefulset import StatefulSetController

Key = tuple[str, str]
_LOG = logging.getLogger(__name__)
# Source: Kubernetes maxRetries in pkg/controller/{deployment,endpointslice}; the others go on for ever.
_MAX_RETRIES = {"deployment": 15, "endpointslice": 15}
# Source: client-go util/workqueue/default_rate_limiters.go.
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.005, 1000.0


class Controller(Protocol):
    """What the runner needs of a controller; primary is the resource whose objects its keys name."""

    @property
    def name(self) -> str:
        """Names it in logs."""
        ...

    @property
    def primary(self) -> str:
        """The store's key of the resource it looks after."""
        ...

    @property
    def keys_per_pass(self) -> int:
        """How many keys it takes in one pass: with 1, what it does to two objects shows as two steps."""
        ...

    def keys(self, event: Event) -> Iterable[Key]:
        """The objects (namespace, name) to look at after an event."""
        ...

    def sync(self, key: Key) -> float | None:
        """Do one pass over one object; the seconds until the next one without an event, if any."""
        ...


class Controllers:
    """All controllers of the simulated cluster."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        pod_network: str = "10.244.0.0/16",
        endpoints_per_slice: int = 100,
        pass_interval_seconds: float = 0.015,
    ) -> None:
        """Pods get addresses of pod_network (two with a comma between make the cluster dual-stack).

        A controller passes over its queue once an interval.
        """
        self._store = store
        self._kubelet = Kubelet(store, clock, pod_network)
        # Three times as often, so that it sees one by one what two ReplicaSets report after each other.
        deployments = _Worker(DeploymentController(store, clock), clock, pass_interval_seconds / 3)
        others: tuple[Controller, ...] = (
            ReplicaSetController(store, clock),
            StatefulSetController(store, clock),
            DaemonSetController(store, clock),
            self._kubelet,
            EndpointSliceController(store, endpoints_per_slice),
        )
        self._workers = [deployments, *(_Worker(each, clock, pass_interval_seconds) for each in others)]

    async def run(self) -> None:
        """Register the nodes, look at all there is, then follow the store's events until cancelled."""
        unsubscribe = self._store.subscribe(self._observe)
        try:
            self._kubelet.register_nodes()
            for worker in self._workers:
                for found in self._store.list(worker.controller.primary):
                    worker.add((namespace_of(found), name_of(found)))
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(worker.run(), name=f"{worker.controller.name} controller")
        finally:
            unsubscribe()

    def stall(self, name: str) -> None:
        """Let a controller stand still, as one that hangs does; what happens meanwhile waits for it."""
        self._worker(name).running.clear()

    def resume(self, name: str) -> None:
        """Let a stalled controller go on."""
        self._worker(name).running.set()

    def _worker(self, name: str) -> _Worker:
        return next(worker for worker in self._workers if worker.controller.name == name)

    def _observe(self, event: Event) -> None:
        for worker in self._workers:
            for key in worker.controller.keys(event):
                worker.add(key)


class _Worker:
    """One controller's queue: keys that are due, in order, and timers for those that will be."""

    def __init__(self, controller: Controller, clock: Clock, pass_interval_seconds: float) -> None:
        self.controller = controller
        self._clock = clock
        self._pass_interval_seconds = pass_interval_seconds
        self._due: dict[Key, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self.running = asyncio.Event()
        self.running.set()

    def add(self, key: Key) -> None:
        """Have the key looked at, after those that changed before it did.

        In the order of their last change, for a ReplicaSet that was scaled down first is to give up its pods
        before another makes any, however long that other has been waiting.
        """
        self._due.pop(key, None)
        self._due[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Pass over what is due, an interval apart, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                await self.running.wait()
                await self._clock.sleep(self._pass_interval_seconds)
                self._wake.clear()
                for key in tuple(itertools.islice(self._due, self.controller.keys_per_pass)):
                    del self._due[key]
                    self._pass(key)
                if self._due:
                    self._wake.set()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _pass(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        try:
            wait_seconds = self.controller.sync(key)
        except ApiError as error:
            wait_seconds = self._backoff_seconds(key, error)
        except Exception as error:  # noqa: BLE001 - one odd object must not end the cluster of all others
            if key not in self._failures:
                what = f"{self.controller.name} controller, {'/'.join(key)}: a pass failed"
                report_failure(what, error)
            wait_seconds = self._backoff_seconds(key, error)
        else:
            self._failures.pop(key, None)
        if wait_seconds is not None:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(wait_seconds, self.add, key)

    def _backoff_seconds(self, key: Key, error: Exception) -> float | None:
        """Twice as long after each failure; after the last retry, if any, the key waits for an event."""
        failures = self._failures.pop(key, 0)
        where = "/".join(key)
        # Said aloud once: what follows is the same, and Events tell it.
        level = logging.INFO if failures else logging.WARNING
        _LOG.log(level, "%s controller, %s, try %d: %s", self.controller.name, where, failures + 1, error)
        if failures == _MAX_RETRIES.get(self.controller.name):
            return None
        self._failures[key] = failures + 1
        return min(_FIRST_RETRY_SECONDS * 2.0 ** min(failures, 30), _LONGEST_RETRY_SECONDS)
