"""One node's service proxy: its own, lagging copy of a Service's EndpointSlices, and where it sends requests.

Behaves as kube-proxy with cluster policy, for one port of the Service.
Source: Kubernetes pkg/proxy/topology.go, pkg/proxy/endpointslicecache.go.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
IGNORED_BY_PROXIES = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")

MAX_PENDING = 10_000
"""Updates a proxy can be behind; past that the oldest are applied early, or memory would have no bound."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address a proxy may send requests to; `pod_uid` is "" when the slice names no pod."""

    address: str
    pod_uid: str
    ready: bool
    serving: bool
    terminating: bool


@dataclass(frozen=True, slots=True)
class _Update:
    due_at: float
    name: str
    endpoints: tuple[Endpoint, ...] | None


class NodeProxy:
    """Learns each slice update `lag_seconds` after the store had it. Times are the event loop's."""

    def __init__(self, lag_seconds: float, first: int = 0) -> None:
        self.lag_seconds = lag_seconds
        self._pending: deque[_Update] = deque()
        self._slices: dict[str, tuple[Endpoint, ...]] = {}
        self._usable: list[Endpoint] | None = None
        self._next = first

    def learn(
        self, name: str, endpoints: tuple[Endpoint, ...] | None, at: float, *, at_once: bool = False
    ) -> None:
        """The slice changed at this time; None means that it is gone."""
        self._pending.append(_Update(at if at_once else at + self.lag_seconds, name, endpoints))
        if len(self._pending) > MAX_PENDING:
            self._apply(self._pending.popleft())

    def route(self, requests: int, at: float) -> Counter[Endpoint]:
        """Where so many requests at this time go; fewer than asked when the proxy knows no endpoint."""
        while self._pending and self._pending[0].due_at <= at:
            self._apply(self._pending.popleft())
        if self._usable is None:
            self._usable = usable_endpoints(endpoint for one in self._slices.values() for endpoint in one)
        if not self._usable or requests <= 0:
            return Counter()
        each, rest = divmod(requests, len(self._usable))
        routed: Counter[Endpoint] = Counter(dict.fromkeys(self._usable, each)) if each else Counter()
        for _ in range(rest):
            routed[self._usable[self._next % len(self._usable)]] += 1
            self._next += 1
        return routed

    def _apply(self, update: _Update) -> None:
        if update.endpoints is None:
            self._slices.pop(update.name, None)
        else:
            self._slices[update.name] = update.endpoints
        self._usable = None


def usable_endpoints(endpoints: Any) -> list[Endpoint]:
    """The ready endpoints; when there is none, those that still serve while they terminate."""
    by_address: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        known = by_address.get(endpoint.address)
        # An address can be in two slices for a moment: the one that does not terminate is the newer pod.
        if known is None or (known.terminating and not endpoint.terminating):
            by_address[endpoint.address] = endpoint
    known_endpoints = sorted(by_address.values(), key=lambda endpoint: endpoint.address)
    ready = [endpoint for endpoint in known_endpoints if endpoint.ready]
    return ready or [one for one in known_endpoints if one.serving and one.terminating]


def read_slice(obj: dict[str, Any]) -> tuple[Endpoint, ...]:
    """The endpoints of an EndpointSlice; absent conditions count as ready, serving and not terminating."""
    found = []
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint.get("conditions") or {}
        target = endpoint.get("targetRef") or {}
        found.append(
            Endpoint(
                address=endpoint["addresses"][0],
                pod_uid=target.get("uid", "") if target.get("kind") == "Pod" else "",
                ready=conditions.get("ready") is not False,
                serving=conditions.get("serving") is not False,
                terminating=conditions.get("terminating") is True,
            )
        )
    return tuple(found)


def lists_port(obj: dict[str, Any], port: str) -> bool:
    """Whether an EndpointSlice offers the Service's port of that name: without it, it leads nowhere there.

    Source: Kubernetes pkg/proxy/endpointslicecache.go (addEndpoints), which skips ports without a number.
    """
    return any(each.get("name") == port and each.get("port") is not None for each in obj.get("ports") or [])


def concerns(obj: dict[str, Any], namespace: str, service: str) -> bool:
    """Whether a proxy uses this EndpointSlice for the Service."""
    labels = obj["metadata"].get("labels") or {}
    return (
        obj["metadata"]["namespace"] == namespace
        and labels.get(SERVICE_NAME) == service
        and not any(name in labels for name in IGNORED_BY_PROXIES)
    )
