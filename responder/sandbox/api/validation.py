"""What a real API server refuses in built-in objects, in its own words, as 422 causes.

Pure. It covers what people commonly get wrong and what the transcripts show, not every rule there is.
Source: Kubernetes pkg/apis/*/validation, apimachinery pkg/api/validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from responder.sandbox.api.names import (
    is_odd_finalizer,
    label_causes,
    name_causes,
    qualified_name_faults,
    selector_causes,
)
from responder.sandbox.api.objects import Object, finalizers
from responder.sandbox.api.pod_rules import (
    NOT_NEGATIVE,
    PORT_RANGE,
    address_causes,
    is_address,
    pod_change_causes,
    pod_spec_causes,
    pod_status_causes,
)
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import (
    Cause,
    forbidden_value,
    immutable_value,
    invalid_value,
    required_value,
    unsupported_value,
)
from responder.sandbox.api.workload_rules import WORKLOAD_CHECKS

_ANNOTATIONS_BYTES = 256 * 1024
_NOTE_BYTES = 1024
_FAMILIES = ("IPv4", "IPv6")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ADDRESSES, _MOST_ENDPOINTS = 100, 1000


def validate(resource: Resource, obj: Object, old: Object | None, subresource: str) -> list[Cause]:
    """Return what is wrong with a built-in object, in the order the real server reports it."""
    causes = list(metadata_causes(resource, obj, old))
    if resource.key == "pods":
        causes.extend(_pod(obj, old, subresource))
    check = _CHECKS.get(resource.key)
    if check is not None and subresource != "status":
        causes.extend(check(obj, old))
    return causes


def metadata_causes(resource: Resource, obj: Object, old: Object | None) -> Iterator[Cause]:
    """Yield what is wrong with the metadata of any object, built-in or custom."""
    meta = obj["metadata"]
    if old is None:
        yield from name_causes(resource, str(meta.get("name", "")))
    yield from label_causes(meta.get("labels") or {}, "metadata.labels")
    yield from _annotation_causes(meta.get("annotations") or {})
    for index, owner in enumerate(meta.get("ownerReferences") or []):
        for member in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(member):
                field = f"metadata.ownerReferences[{index}].{member}"
                yield invalid_value(field, owner.get(member) or "", "must not be empty")
    yield from _controller_causes(meta.get("ownerReferences") or [])
    yield from _finalizer_causes(resource, finalizers(obj))
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = [name for name in finalizers(obj) if name not in finalizers(old)]
        if added:
            # An object on its way out may lose finalizers, never gain one.
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield forbidden_value("metadata.finalizers", f"{detail} {_go(added)}")


def _controller_causes(owners: list[dict[str, Any]]) -> Iterator[Cause]:
    controllers = [f"{owner.get('kind')}/{owner.get('name')}" for owner in owners if owner.get("controller")]
    for other in controllers[1:]:
        detail = (
            'Only one reference can have Controller set to true. Found "true" in references for'
            f" {controllers[0]} and {other}"
        )
        yield invalid_value("metadata.ownerReferences", owners, detail)


def _finalizer_causes(resource: Resource, names: list[str]) -> Iterator[Cause]:
    for name in names:
        for fault in qualified_name_faults(name):
            yield invalid_value("metadata.finalizers", name, fault)
    if resource.custom or resource.group == "apiextensions.k8s.io":
        # These are only warned of.
        return
    for index, name in enumerate(names):
        if is_odd_finalizer(name):
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"metadata.finalizers[{index}]", name, detail)


def _annotation_causes(annotations: dict[str, Any]) -> Iterator[Cause]:
    field = "metadata.annotations"
    for key in sorted(annotations):
        for fault in qualified_name_faults(key.lower()):
            yield invalid_value(field, key, fault)
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_BYTES:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes", field)


def _pod(obj: Object, old: Object | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        yield from pod_status_causes(obj.get("status") or {})
    elif old is None:
        yield from pod_spec_causes(obj.get("spec") or {}, "spec")
    else:
        yield from pod_change_causes(obj, old, binds=subresource == "binding")


def _service(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield required_value("spec.ports")
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield required_value(f"spec.ports[{index}].name")
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            yield invalid_value(f"spec.ports[{index}].port", number or 0, PORT_RANGE)
    for index, family in enumerate(spec.get("ipFamilies") or []):
        if family not in _FAMILIES:
            yield unsupported_value(f"spec.ipFamilies[{index}]", family, _FAMILIES)
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    for index, address in enumerate(addresses):
        if address != "None":
            yield from address_causes(str(address), f"spec.clusterIPs[{index}]")
    yield from label_causes(spec.get("selector") or {}, "spec.selector")
    former = old["spec"] if old is not None else {}
    if "ExternalName" not in (spec.get("type"), former.get("type", "ExternalName")):
        kept = former.get("clusterIPs") or []
        asked = [spec.get("clusterIP"), *addresses[1:]] if kept else []
        if asked and asked[:1] != kept[:1]:
            yield invalid_value("spec.clusterIPs[0]", asked, "may not change once set")


def _endpoint_slice(obj: Object, old: Object | None) -> Iterator[Cause]:
    kind = obj.get("addressType")
    if kind not in _ADDRESS_TYPES:
        yield unsupported_value("addressType", kind or "", _ADDRESS_TYPES)
    if old is not None and kind != old.get("addressType"):
        yield immutable_value("addressType", kind)
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > _MOST_ENDPOINTS:
        text = f"Too many: {len(endpoints)}: must have at most {_MOST_ENDPOINTS} items"
        yield Cause("FieldValueTooMany", text, "endpoints")
    for index, endpoint in enumerate(endpoints):
        addresses, field = endpoint.get("addresses") or [], f"endpoints[{index}].addresses"
        if not addresses:
            yield required_value(field, "must contain at least 1 address")
        elif len(addresses) > _MOST_ADDRESSES:
            text = f"Too many: {len(addresses)}: must have at most {_MOST_ADDRESSES} items"
            yield Cause("FieldValueTooMany", text, field)
        for place, address in enumerate(addresses):
            if kind in _FAMILIES and not is_address(str(address), int(kind[-1])):
                yield invalid_value(f"{field}[{place}]", address, f"must be an {kind} address")


def _binding(obj: Object, old: Object | None) -> Iterator[Cause]:
    if old is not None and obj.get("roleRef") != old.get("roleRef"):
        yield invalid_value("roleRef", obj.get("roleRef"), "cannot change roleRef")


def _disruption_budget(obj: Object, _old: Object | None) -> Iterator[Cause]:
    yield from selector_causes((obj.get("spec") or {}).get("selector") or {}, "spec.selector")


def newer_event_causes(obj: Object, controller: str, kind_field: str) -> Iterator[Cause]:
    """Yield what the rules of events.k8s.io find wrong; they hold for a core Event with an eventTime too.

    controller is what the group calls the reporting controller; kind_field is empty where any type is taken.
    """
    if not obj.get("eventTime"):
        yield required_value("eventTime")
    name = str(obj.get(controller) or "")
    if not name:
        yield required_value(controller)
    for fault in qualified_name_faults(name):
        yield invalid_value(controller, name, fault)
    for member in ("reportingInstance", "action", "reason"):
        if not obj.get(member):
            yield required_value(member)
    if len(str(obj.get("note") or obj.get("message") or "").encode()) > _NOTE_BYTES:
        yield invalid_value("message", "", f"can have at most {_NOTE_BYTES} characters")
    kind = str(obj.get("type") or "")
    if kind_field and kind not in ("Normal", "Warning"):
        yield invalid_value(kind_field, "", f"has invalid value: {kind}")


def _event(obj: Object, old: Object | None) -> Iterator[Cause]:
    if old is None and obj.get("eventTime") and "reportingComponent" in obj:
        yield from newer_event_causes(obj, "reportingComponent", "type")
    if old is not None and obj.get("message") != old.get("message") and old.get("eventTime"):
        yield immutable_value("message", obj.get("message"))
    namespace = obj["metadata"].get("namespace", "")
    involved = (obj.get("involvedObject") or {}).get("namespace") or ""
    if involved != namespace and not (not involved and namespace == "default"):
        yield invalid_value("involvedObject.namespace", involved, "does not match event.namespace")


def _lease(obj: Object, _old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if isinstance(spec.get("leaseDurationSeconds"), int) and spec["leaseDurationSeconds"] <= 0:
        detail = "must be greater than 0"
        yield invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], detail)
    if isinstance(spec.get("leaseTransitions"), int) and spec["leaseTransitions"] < 0:
        yield invalid_value("spec.leaseTransitions", spec["leaseTransitions"], NOT_NEGATIVE)


_CHECKS: dict[str, Callable[[Object, Object | None], Iterator[Cause]]] = {
    **WORKLOAD_CHECKS,
    "services": _service,
    "endpointslices.discovery.k8s.io": _endpoint_slice,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "poddisruptionbudgets.policy": _disruption_budget,
    "events": _event,
    "leases.coordination.k8s.io": _lease,
}


def _go(names: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{name}"' for name in names) + "}"
