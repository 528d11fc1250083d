"""What a real API server refuses in a pod spec, in a Pod or in a template, and what a Pod may not change.

Pure. It covers what people commonly get wrong, not every rule there is. Called by the rules of the kinds.
Source: Kubernetes pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from responder.sandbox.api.names import LABEL, LABEL_BYTES, LABEL_TEXT
from responder.sandbox.api.normal_form import quantity_value
from responder.sandbox.api.objects import Object, copied
from responder.sandbox.api.status import (
    Cause,
    forbidden_value,
    invalid_value,
    required_value,
    unsupported_value,
)

NOT_NEGATIVE = "must be greater than or equal to 0"
PORT_RANGE = "must be between 1 and 65535, inclusive"
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_spec_causes(pod: dict[str, Any], where: str) -> Iterator[Cause]:
    """Yield what is wrong with a pod spec that stands at the field where."""
    containers = pod.get("containers") or []
    if not containers:
        yield required_value(f"{where}.containers")
    volumes = {volume.get("name") for volume in pod.get("volumes") or []}
    grace = pod.get("terminationGracePeriodSeconds")
    for member in ("initContainers", "containers"):
        parts = pod.get(member) or []
        for index, container in enumerate(parts):
            field = f"{where}.{member}[{index}]"
            yield from _name_causes(container, parts[:index], field)
            yield from _container_causes(container, volumes, field)
    if isinstance(grace, int) and grace < 0:
        yield invalid_value(f"{where}.terminationGracePeriodSeconds", grace, NOT_NEGATIVE)


def pod_change_causes(obj: Object, old: Object, *, binds: bool) -> Iterator[Cause]:
    """Yield what is wrong with changing a Pod; binds: to give it a node is what this write is for."""
    new_spec, old_spec = _fixed_part(obj["spec"]), _fixed_part(old["spec"])
    if binds:
        old_spec["nodeName"] = new_spec.get("nodeName")
    if new_spec != old_spec:
        yield forbidden_value("spec", _MAY_CHANGE)
    kept = old["spec"].get("tolerations") or []
    if any(toleration not in (obj["spec"].get("tolerations") or []) for toleration in kept):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden_value("spec.tolerations", detail)


def pod_status_causes(status: dict[str, Any]) -> Iterator[Cause]:
    """Yield what is wrong with the addresses in a Pod's status."""
    for index, entry in enumerate(status.get("podIPs") or []):
        yield from address_causes(str(entry.get("ip") or ""), f"status.podIPs[{index}]")


def address_causes(address: str, field: str) -> Iterator[Cause]:
    """Yield what is wrong with what is to be an IP address of either version."""
    if not is_address(address):
        detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield invalid_value(field, address, detail)


def is_address(text: str, version: int | None = None) -> bool:
    """Tell whether text is an IP address, of that version if one is given."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return version in (None, address.version)


def _fixed_part(spec: dict[str, Any]) -> dict[str, Any]:
    fixed: dict[str, Any] = copied(spec)
    for member in ("activeDeadlineSeconds", "tolerations"):
        fixed.pop(member, None)
    for container in [*(fixed.get("containers") or []), *(fixed.get("initContainers") or [])]:
        container.pop("image", None)
    return fixed


def _name_causes(container: dict[str, Any], others: list[dict[str, Any]], field: str) -> Iterator[Cause]:
    name = container.get("name") or ""
    if not name:
        yield required_value(f"{field}.name")
    elif not LABEL.fullmatch(name) or len(name) > LABEL_BYTES:
        yield invalid_value(f"{field}.name", name, LABEL_TEXT)
    elif any(other.get("name") == name for other in others):
        yield Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{field}.name")


def _container_causes(container: dict[str, Any], volumes: set[Any], field: str) -> Iterator[Cause]:
    if not container.get("image"):
        yield required_value(f"{field}.image")
    for index, port in enumerate(container.get("ports") or []):
        yield from _port_causes(port, f"{field}.ports[{index}]")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        name = mount.get("name") or ""
        if not name:
            yield required_value(f"{field}.volumeMounts[{index}].name")
        elif name not in volumes:
            place = f"{field}.volumeMounts[{index}].name"
            yield Cause("FieldValueNotFound", f'Not found: "{name}"', place)
        if not mount.get("mountPath"):
            yield required_value(f"{field}.volumeMounts[{index}].mountPath")
    for name in _PROBES:
        probe = container.get(name) or {}
        for member in _PROBE_COUNTS:
            if isinstance(probe.get(member), int) and probe[member] < 0:
                yield invalid_value(f"{field}.{name}.{member}", probe[member], NOT_NEGATIVE)
        if name != "readinessProbe" and probe.get("successThreshold", 1) > 1:
            yield invalid_value(f"{field}.{name}.successThreshold", probe["successThreshold"], "must be 1")
    policy = container.get("imagePullPolicy")
    if policy not in (None, *_PULL_POLICIES):
        yield unsupported_value(f"{field}.imagePullPolicy", policy, _PULL_POLICIES)
    yield from _resource_causes(container.get("resources") or {}, f"{field}.resources")


def _port_causes(port: dict[str, Any], field: str) -> Iterator[Cause]:
    number, host = port.get("containerPort") or 0, port.get("hostPort") or 0
    if not number:
        yield required_value(f"{field}.containerPort")
    elif not 0 < number < 65536:
        yield invalid_value(f"{field}.containerPort", number, PORT_RANGE)
    if host and not 0 < host < 65536:
        yield invalid_value(f"{field}.hostPort", host, PORT_RANGE)
    if port.get("protocol", "TCP") not in _PROTOCOLS:
        yield unsupported_value(f"{field}.protocol", port["protocol"], _PROTOCOLS)


def _resource_causes(resources: dict[str, Any], field: str) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            value = quantity_value(amount)
            if value is not None and value < 0:
                yield invalid_value(f"{field}.{member}[{name}]", str(amount), NOT_NEGATIVE)
    for name, amount in requests.items():
        wanted, limit = quantity_value(amount), quantity_value(limits.get(name))
        if wanted is not None and limit is not None and wanted > limit:
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{field}.requests", str(amount), detail)
