"""The EndpointSlice controller: for each Service, slices that list the pods behind it and their conditions.

One group of slices per IP family and set of resolved ports, each slice bounded; endpoints stay in the slice
they are in. Called by the runner.
Source: Kubernetes pkg/controller/endpointslice, staging/src/k8s.io/endpointslice/{utils,reconciler}.go.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.claim import MANAGER
from responder.sandbox.controllers.fields import (
    annotations_of,
    is_deleting,
    labels_of,
    owner_reference,
    status_of,
    uid_of,
)
from responder.sandbox.controllers.pods import has_ended, is_ready, node_of
from responder.sandbox.controllers.trigger_times import LAST_CHANGE_TRIGGER_TIME, TriggerTimes

SERVICES, SLICES, PODS, NODES = "services", "endpointslices.discovery.k8s.io", "pods", "nodes"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
# A Service's annotations go on its slices but for these.
_NOT_TAKEN_OVER = frozenset({LAST_CHANGE_TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"})
ZONE = "topology.kubernetes.io/zone"
Key = tuple[str, str]
# The ports of a group as JSON: two pods share a slice only if a port name resolves to one number on both.
_Ports = str


@dataclass(frozen=True, slots=True)
class _Group:
    """Slices that differ in their endpoints alone."""

    service: Object
    family: str
    ports: _Ports
    triggered_at: str


class EndpointSliceController:
    """Keeps each Service's slices in line with its selector and the pods' state."""

    name = "endpointslice"
    primary = SERVICES
    keys_per_pass = 1

    def __init__(self, store: Store, endpoints_per_slice: int = 100) -> None:
        self._store = store
        self._endpoints_per_slice = endpoints_per_slice
        self._trigger_times = TriggerTimes()

    def keys(self, event: Event) -> Iterable[Key]:
        """The Services that an event may concern."""
        if event.resource.key == SERVICES:
            yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == PODS:
            for pod in (event.object, event.previous):
                if pod is not None:
                    yield from self._services_of(pod)
        elif event.resource.key == SLICES and labels_of(event.object).get(MANAGED_BY) == CONTROLLER:
            yield namespace_of(event.object), labels_of(event.object).get(SERVICE_NAME, "")
        elif event.resource.key == NODES and event.type != "MODIFIED":
            for service in self._store.scan(SERVICES):
                yield namespace_of(service), name_of(service)

    def _services_of(self, pod: Object) -> Iterable[Key]:
        for service in self._store.scan(SERVICES, namespace_of(pod)):
            if _selects(service, pod):
                yield namespace_of(service), name_of(service)

    def sync(self, key: Key) -> float | None:
        """Do one pass; it never wants to be called again without an event."""
        service = self._store.get(SERVICES, *key)
        if service is None:
            self._trigger_times.forget(key)
            return None
        if is_deleting(service) or not service["spec"].get("selector"):
            return None
        if service["spec"].get("type") == "ExternalName":
            return None
        pods = [pod for pod in self._store.scan(PODS, key[0]) if _selects(service, pod)]
        triggered_at = self._trigger_times.latest(key, service, pods)
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        for family in families:
            self._sync_family(service, family, pods, triggered_at)
        for found in self._slices(service):
            if found["addressType"] not in families:
                self._delete(found)
        return None

    def _sync_family(self, service: Object, family: str, pods: Sequence[Object], triggered_at: str) -> None:
        """Bring the slices of one IP family in line; triggered_at goes on those that are written."""
        wanted = self._wanted(service, family, pods)
        existing: dict[_Ports, list[Object]] = {}
        for found in self._slices(service):
            if found["addressType"] != family:
                continue
            existing.setdefault(_ports_key(found.get("ports")), []).append(found)
        if not wanted:
            # A Service without pods keeps one slice that says so.
            wanted = {_ports_key(None): {}}
        for ports in existing.keys() - wanted.keys():
            # A slice emptied by the last pod's end is kept and reused for the new set of ports.
            target = next(iter(wanted.keys() - existing.keys()), None)
            if target is not None:
                existing[target] = existing.pop(ports)
        for ports, endpoints in wanted.items():
            group = _Group(service, family, ports, triggered_at)
            self._sync_group(group, endpoints, existing.pop(ports, []))
        for leftover in (each for group in existing.values() for each in group):
            self._delete(leftover)

    def _wanted(
        self, service: Object, family: str, pods: Sequence[Object]
    ) -> dict[_Ports, dict[str, Object]]:
        """The endpoints by resolved ports and pod uid."""
        eager = bool(service["spec"].get("publishNotReadyAddresses"))
        groups: dict[_Ports, dict[str, Object]] = {}
        for pod in pods:
            node = self._store.get(NODES, "", node_of(pod)) if node_of(pod) else None
            if has_ended(pod) or (not eager and node_of(pod) and node is None):
                continue
            address = _address(pod, family)
            if address is not None:
                group = groups.setdefault(_ports_key(_resolved_ports(service, pod)), {})
                group[uid_of(pod)] = _endpoint(pod, address, node, eager=eager)
        return groups

    def _slices(self, service: Object) -> list[Object]:
        return [
            found
            for found in self._store.list(SLICES, namespace_of(service))
            if labels_of(found).get(SERVICE_NAME) == name_of(service)
            and labels_of(found).get(MANAGED_BY) == CONTROLLER
        ]

    def _sync_group(self, group: _Group, endpoints: dict[str, Object], existing: Sequence[Object]) -> None:
        """Fill the slices of one set of ports: what stays keeps its place, what is new takes what is free."""
        missing = dict(endpoints)
        contents: list[list[Object]] = []
        for found in existing:
            stay = [missing.pop(uid, None) for uid in map(_target_uid, found.get("endpoints") or [])]
            contents.append([each for each in stay if each is not None])
        newcomers = list(missing.values())
        for content in contents:
            while newcomers and len(content) < self._endpoints_per_slice:
                content.append(newcomers.pop(0))
        for found, content in zip(existing, contents, strict=True):
            if content or (not endpoints and found is existing[0]):
                self._update(group, found, content)
            else:
                self._delete(found)
        size = self._endpoints_per_slice
        chunks = [newcomers[start : start + size] for start in range(0, len(newcomers), size)]
        for chunk in chunks or ([] if existing else [[]]):
            self._create(group, chunk)

    def _create(self, group: _Group, endpoints: list[Object]) -> None:
        service = group.service
        self._store.create(
            SLICES,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "generateName": f"{name_of(service)}-",
                    "namespace": namespace_of(service),
                    "labels": _slice_labels(service),
                    "annotations": _slice_annotations(service, group.triggered_at),
                    "ownerReferences": [owner_reference(service, "v1", "Service")],
                },
                "addressType": group.family,
                "endpoints": endpoints or None,
                "ports": json.loads(group.ports),
            },
            manager=MANAGER,
        )

    def _update(self, group: _Group, found: Object, endpoints: list[Object]) -> None:
        """Write what differs; that the trigger time differs is no reason to."""
        labels = _slice_labels(group.service)
        content = {"endpoints": endpoints or None, "ports": json.loads(group.ports)}
        if labels == labels_of(found) and all(found.get(key) == value for key, value in content.items()):
            return
        found["metadata"]["labels"] = labels
        found["metadata"]["annotations"] = _slice_annotations(group.service, group.triggered_at)
        self._store.update(SLICES, found | content, manager=MANAGER)

    def _delete(self, found: Object) -> None:
        self._store.delete(SLICES, namespace_of(found), name_of(found), uid=uid_of(found))


def _selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= labels_of(pod).items()


def _endpoint(pod: Object, address: str, node: Object | None, *, eager: bool) -> Object:
    """One endpoint; with eager (publishNotReadyAddresses) ready is true whatever the pod's state."""
    serving, terminating = is_ready(pod), is_deleting(pod)
    endpoint: Object = {
        "addresses": [address],
        "conditions": {
            "ready": eager or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": namespace_of(pod),
            "name": name_of(pod),
            "uid": uid_of(pod),
        },
    }
    if node_of(pod):
        endpoint["nodeName"] = node_of(pod)
    if node is not None and labels_of(node).get(ZONE):
        endpoint["zone"] = labels_of(node)[ZONE]
    return endpoint


def _target_uid(endpoint: Object) -> str:
    return str((endpoint.get("targetRef") or {}).get("uid", ""))


def _address(pod: Object, family: str) -> str | None:
    version = 6 if family == "IPv6" else 4
    for entry in status_of(pod).get("podIPs") or []:
        if ipaddress.ip_address(entry["ip"]).version == version:
            return str(entry["ip"])
    return None


def _resolved_ports(service: Object, pod: Object) -> list[Object]:
    """The Service's ports as numbers on this pod; a named port that the pod lacks is left out."""
    resolved: list[Object] = []
    for port in service["spec"].get("ports") or []:
        number = _port_number(port, pod)
        if number is None:
            continue
        entry: dict[str, Any] = {
            "name": port.get("name", ""),
            "protocol": port.get("protocol", "TCP"),
            "port": number,
        }
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        resolved.append(entry)
    return resolved


def _port_number(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or []:
        for named in container.get("ports") or []:
            same_protocol = named.get("protocol", "TCP") == port.get("protocol", "TCP")
            if named.get("name") == target and same_protocol:
                return int(named["containerPort"])
    return None


def _ports_key(ports: list[Object] | None) -> _Ports:
    return json.dumps(ports or None, sort_keys=True)


def _slice_labels(service: Object) -> dict[str, str]:
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS}
    labels |= {SERVICE_NAME: name_of(service), MANAGED_BY: CONTROLLER}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return copied(labels)


def _slice_annotations(service: Object, triggered_at: str) -> dict[str, str]:
    annotations = {key: value for key, value in annotations_of(service).items() if key not in _NOT_TAKEN_OVER}
    return annotations | ({LAST_CHANGE_TRIGGER_TIME: triggered_at} if triggered_at else {})
