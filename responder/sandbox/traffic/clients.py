"""The clients of one Service: so many requests a second, through several lagging node proxies.

Requests are counted in aggregate, tick by tick: hundreds a second stay cheap over hours of driven time.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from responder.clock import Clock
from responder.sandbox.api.store import Event, Store
from responder.sandbox.oracle import Oracle, Recipient, Tally, Tick
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory, PodFacts
from responder.sandbox.traffic.proxy import SLICES, Endpoint, NodeProxy, concerns, lists_port, read_slice

MAX_CATCH_UP_SECONDS = 5.0
"""After a stall (a suspended laptop) the requests of at most so many seconds are made up for."""


class Traffic:
    """Clients that send `requests_per_second` (changeable while running) to a Service's port of that name."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        namespace: str,
        service: str,
        requests_per_second: float,
        *,
        pods: PodDirectory,
        metrics: PodMetrics,
        oracle: Oracle,
        port: str = "http",
        tick_seconds: float = 0.25,
        proxies: int = 3,
        proxy_lag_seconds: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.requests_per_second = requests_per_second
        self._store = store
        self._clock = clock
        self._namespace = namespace
        self._service = service
        self._port = port
        self._pods = pods
        self._metrics = metrics
        self._oracle = oracle
        self._tick_seconds = tick_seconds
        self._owed = 0.0
        self._proxies = _proxies(proxies, proxy_lag_seconds, random.Random(f"{seed}/{namespace}/{service}"))

    async def run(self) -> None:
        """Send requests until cancelled."""
        loop = asyncio.get_running_loop()
        for obj in self._store.list(SLICES, self._namespace):
            self._learn(obj, loop.time(), at_once=True)
        unsubscribe = self._store.subscribe(self._on_event)
        try:
            before = loop.time()
            while True:
                await self._clock.sleep(self._tick_seconds)
                elapsed, before = loop.time() - before, loop.time()
                self._tick(min(elapsed, MAX_CATCH_UP_SECONDS), before)
        finally:
            unsubscribe()

    def _on_event(self, event: Event) -> None:
        if event.resource.key == SLICES:
            self._learn(event.object, asyncio.get_running_loop().time(), gone=event.type == "DELETED")

    def _learn(self, obj: dict[str, Any], at: float, *, gone: bool = False, at_once: bool = False) -> None:
        name = obj["metadata"]["name"]
        if obj["metadata"]["namespace"] != self._namespace:
            return
        used = not gone and concerns(obj, self._namespace, self._service) and lists_port(obj, self._port)
        for proxy in self._proxies:
            proxy.learn(name, read_slice(obj) if used else None, at, at_once=at_once)

    def _tick(self, elapsed_seconds: float, at: float) -> None:
        self._owed += self.requests_per_second * elapsed_seconds
        requests = int(self._owed)
        self._owed -= requests
        each, rest = divmod(requests, len(self._proxies))
        sent: Counter[Endpoint] = Counter()
        for index, proxy in enumerate(self._proxies):
            sent.update(proxy.route(each + (1 if index < rest else 0), at))
        # The proxy that takes the remainder changes, or a slow one would always see less than its share.
        self._proxies = self._proxies[1:] + self._proxies[:1]
        self._answer(sent, requests)

    def _answer(self, sent: Counter[Endpoint], requests: int) -> None:
        answered: dict[Recipient, Tally] = {}
        for endpoint, count in sent.items():
            pod = self._listening(endpoint)
            if pod is not None:
                errors = self._metrics.of(pod).serve(count, pod.behaviour)
                answered.setdefault(_recipient(pod), Tally()).add(Tally(count, errors))
        refused = requests - sum(tally.requests for tally in answered.values())
        self._oracle.record(Tick(self._clock.now(), answered, refused))

    def _listening(self, endpoint: Endpoint) -> PodFacts | None:
        """The pod that takes the connection: whoever has the address now, perhaps not the slice's pod."""
        pod = self._pods.by_ip(endpoint.address)
        return pod if pod is not None and pod.answers else None


def _recipient(pod: PodFacts) -> Recipient:
    origin = pod.origin
    return Recipient(origin.owner_uid, origin.owner_name, origin.pod_template_hash, pod.uid, pod.name)


def _proxies(count: int, lag_seconds: float, draw: random.Random) -> list[NodeProxy]:
    """Lags spread over the whole span up to the maximum, so that there is always a fast and a slow proxy."""
    lags = [lag_seconds * (index + draw.random()) / count for index in range(count)]
    return [NodeProxy(lag, first=draw.randrange(1_000)) for lag in lags]
