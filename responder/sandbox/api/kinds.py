"""How each kind of object behaves when it is written: status apart from spec, generation, first status.

A Kind is pure and works in place on a copy that the store hands it; custom resources have their own
(custom.py). Source: Kubernetes pkg/registry/*/*/strategy.go.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol

from responder.sandbox.api.addresses import keep_addresses
from responder.sandbox.api.custom import DEFINITIONS, definition_causes
from responder.sandbox.api.defaults import apply_defaults
from responder.sandbox.api.normal_form import normalize_pod_spec
from responder.sandbox.api.objects import Object, pod_specs, without_nulls
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import Cause
from responder.sandbox.api.validation import validate


class Kind(Protocol):
    """The rules of one kind of object, as the store asks for them."""

    def prepare_create(self, obj: Object) -> None:
        """Drop what a create may not set, fill in defaults, give the first status."""
        ...

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        """Keep from old what a write on this path may not change, and fill in defaults."""
        ...

    def raises_generation(self, new: Object, old: Object) -> bool:
        """Tell whether the change from old to new is one of intent."""
        ...

    def validate(self, obj: Object, old: Object | None, subresource: str) -> Sequence[Cause]:
        """Return what is wrong with obj, in the order the real server finds it."""
        ...


class BuiltInKind:
    """A kind that comes with Kubernetes."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def prepare_create(self, obj: Object) -> None:
        """Reset the status and fill in defaults."""
        self._normalize(obj)
        apply_defaults(self._resource.key, obj)
        if self._resource.has_status and self._resource.key != "nodes":
            obj["status"] = first_status(self._resource.key, obj)
        if self._resource.key == "daemonsets.apps":
            obj["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = "1"

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        """Keep the status on the main path, all but status and annotations on /status."""
        if subresource == "status":
            for member in new.keys() | old.keys():
                if member not in ("metadata", "status"):
                    _carry_over(member, old, new)
            _carry_over("labels", old["metadata"], new["metadata"])
        elif self._resource.has_status:
            _carry_over("status", old, new)
        self._normalize(new)
        if self._resource.key == "services":
            keep_addresses(new, old)
        apply_defaults(self._resource.key, new)
        if self._resource.key == "daemonsets.apps":
            _count_template_generation(new, old)

    def raises_generation(self, new: Object, old: Object) -> bool:
        """Spec counts; of a Deployment annotations too, for they reach its ReplicaSets."""
        if self._resource.key == "endpointslices.discovery.k8s.io":
            return _without_metadata(new) != _without_metadata(old) or _labels(new) != _labels(old)
        if self._resource.key == "pods":
            # To be bound is no change of what a Pod is meant to be.
            return _without_node(new) != _without_node(old)
        if new.get("spec") != old.get("spec"):
            return True
        return self._resource.key == "deployments.apps" and _annotations(new) != _annotations(old)

    def validate(self, obj: Object, old: Object | None, subresource: str) -> Sequence[Cause]:
        """Return the commonly made mistakes found in obj."""
        found = validate(self._resource, obj, old, subresource)
        if self._resource.key == DEFINITIONS:
            found.extend(definition_causes(obj))
        return found

    def _normalize(self, obj: Object) -> None:
        obj["apiVersion"], obj["kind"] = self._resource.api_version, self._resource.kind
        for member in ("data", "binaryData"):
            if member in obj and not obj[member]:
                del obj[member]
        if "spec" in obj:
            obj["spec"] = without_nulls(obj["spec"])
            for member in _OMITTED_SPEC_ZEROS.get(self._resource.key, ()):
                if not obj["spec"].get(member):
                    obj["spec"].pop(member, None)
            _drop_empty_maps((obj["spec"].get("template") or {}).get("metadata") or {})
            for spec in pod_specs(obj):
                normalize_pod_spec(spec)
            if self._resource.key == "pods":
                normalize_pod_spec(obj["spec"])
        if self._resource.key == "secrets" and obj.get("stringData"):
            data = obj.setdefault("data", {})
            for name, text in obj.pop("stringData").items():
                data[name] = base64.b64encode(str(text).encode()).decode()
        omitted = _OMITTED_ZEROS.get(self._resource.key, ())
        status = obj.get("status")
        if isinstance(status, dict) and omitted:
            obj["status"] = {
                name: value
                for name, value in status.items()
                if value is not None and not (name in omitted and value == 0) and value != []
            }


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
# Go holds these as plain values that are left out when zero, the others as pointers.
_OMITTED_SPEC_ZEROS: dict[str, tuple[str, ...]] = {
    "deployments.apps": ("paused", "minReadySeconds"),
    "replicasets.apps": ("minReadySeconds",),
    "statefulsets.apps": ("minReadySeconds",),
    "daemonsets.apps": ("minReadySeconds",),
}
_OMITTED_ZEROS: dict[str, tuple[str, ...]] = {
    "deployments.apps": (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ),
    "replicasets.apps": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"),
    "statefulsets.apps": ("observedGeneration", "readyReplicas", "currentReplicas", "updatedReplicas"),
    "daemonsets.apps": (
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ),
}


def first_status(key: str, obj: Object) -> dict[str, Any]:
    """Return the status of an object that was just created."""
    match key:
        case "replicasets.apps":
            return {"replicas": 0}
        case "statefulsets.apps":
            return {"replicas": 0, "availableReplicas": 0}
        case "daemonsets.apps":
            return {
                "currentNumberScheduled": 0,
                "numberMisscheduled": 0,
                "desiredNumberScheduled": 0,
                "numberReady": 0,
            }
        case "pods":
            return {"phase": "Pending", "qosClass": quality_of_service(obj)}
        case "services":
            return {"loadBalancer": {}}
        case "namespaces":
            return {"phase": "Active"}
        case "persistentvolumeclaims":
            return {"phase": "Pending"}
        case "horizontalpodautoscalers.autoscaling":
            return {"desiredReplicas": 0, "currentMetrics": None}
        case "poddisruptionbudgets.policy":
            return {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
        case "customresourcedefinitions.apiextensions.k8s.io":
            versions = obj.get("spec", {}).get("versions") or []
            stored = [str(version.get("name")) for version in versions if version.get("storage")]
            return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
        case _:
            return {}


def quality_of_service(pod: Object) -> str:
    """Return the QoS class that the containers' resources give a pod."""
    spec = pod.get("spec", {})
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    resources = [container.get("resources") or {} for container in containers]
    if not any(item.get("requests") or item.get("limits") for item in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= (item.get("limits") or {}).keys()
        and (item.get("requests") or item["limits"]) == item["limits"]
        for item in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _drop_empty_maps(metadata: dict[str, Any]) -> None:
    for member in ("labels", "annotations"):
        if metadata.get(member) == {}:
            del metadata[member]


def _carry_over(member: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    if member in old:
        new[member] = old[member]
    else:
        new.pop(member, None)


def _count_template_generation(new: Object, old: Object) -> None:
    count = int(_annotations(old).get(_TEMPLATE_GENERATION, "0"))
    if new["spec"].get("template") != old["spec"].get("template"):
        count += 1
    new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = str(count)


def _without_node(pod: Object) -> Object:
    return {member: value for member, value in pod["spec"].items() if member != "nodeName"}


def _without_metadata(obj: Object) -> Object:
    return {member: value for member, value in obj.items() if member != "metadata"}


def _annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}
