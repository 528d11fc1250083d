"""Gives Services their cluster addresses, as the API server's allocator does.

Pure but for the scan it is given. Called by the store when it creates a Service, and when one is replaced.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Resource

_RANGES: dict[str, Any] = {
    "IPv4": ipaddress.ip_network("10.96.0.0/16"),
    "IPv6": ipaddress.ip_network("fd00:10:96::/112"),
}
_FIRST_NODE_PORT = 30_000


def assign_addresses(resource: Resource, obj: Object, scan: Callable[[str], Iterator[Object]]) -> None:
    """Give a new Service an address for each of its families, and node ports where its type wants them."""
    if resource.key != "services" or obj["spec"].get("type") == "ExternalName":
        return
    spec = obj["spec"]
    taken = {address for other in scan("services") for address in other["spec"].get("clusterIPs") or []}
    if spec.get("clusterIP") == "None":
        spec["clusterIPs"] = ["None"]
    elif spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    else:
        spec["clusterIPs"] = [_free_address(family, taken) for family in spec["ipFamilies"]]
        spec["clusterIP"] = spec["clusterIPs"][0]
    if spec["type"] in ("NodePort", "LoadBalancer"):
        used = {
            port.get("nodePort") for other in scan("services") for port in other["spec"].get("ports") or []
        }
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = next(n for n in range(_FIRST_NODE_PORT, 32_768) if n not in used)
            used.add(port["nodePort"])


def keep_addresses(new: Object, old: Object) -> None:
    """Let a Service that is replaced by one without addresses and node ports keep its own, in place."""
    spec, kept = new.get("spec") or {}, old.get("spec") or {}
    if spec.get("type") == "ExternalName" or kept.get("type") == "ExternalName":
        return
    for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if member in kept:
            spec.setdefault(member, kept[member])
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        ports = {
            (port.get("port"), port.get("protocol")): port.get("nodePort") for port in kept.get("ports") or []
        }
        for port in spec.get("ports") or []:
            node_port = ports.get((port.get("port"), port.get("protocol", "TCP")))
            if node_port:
                port.setdefault("nodePort", node_port)


def _free_address(family: str, taken: set[str]) -> str:
    hosts = _RANGES[family].hosts()
    return next(text for text in map(str, hosts) if text not in taken)
