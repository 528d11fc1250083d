"""What a real API server refuses in built-in objects, in its own words, as 422 causes.

Pure. It covers what people commonly get wrong and what the transcripts show, not every rule there is.
Source: Kubernetes pkg/apis/*/validation, apimachinery pkg/api/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from responder.sandbox.api.objects import Object, finalizers
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import (
    Cause,
    forbidden_value,
    invalid_value,
    required_value,
    unsupported_value,
)

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PERCENT = re.compile(r"[0-9]+%")

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and"
    " end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
    " start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
    " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
    " for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_BYTES = 253
_LABEL_BYTES = 63
_ANNOTATIONS_BYTES = 256 * 1024
_STATEFUL_SET_MAY_CHANGE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_NOT_NEGATIVE = "must be greater than or equal to 0"
_NOTE_BYTES = 1024
_IMMUTABLE = "field is immutable"
_NAMES_AS_LABELS = frozenset({"namespaces", "services"})
_FREE_NAMES = frozenset(
    {"roles", "clusterroles", "rolebindings", "clusterrolebindings"}  # path segments, so colons are fine
)


def validate(resource: Resource, obj: Object, old: Object | None, subresource: str) -> list[Cause]:
    """Return what is wrong with a built-in object, in the order the real server reports it."""
    causes = list(metadata_causes(resource, obj, old))
    check = _CHECKS.get(resource.key)
    if check is not None and subresource != "status":
        causes.extend(check(obj, old))
    return causes


def metadata_causes(resource: Resource, obj: Object, old: Object | None) -> Iterator[Cause]:
    """Yield what is wrong with the metadata of any object, built-in or custom."""
    meta = obj["metadata"]
    if old is None:
        yield from _name_causes(resource, str(meta.get("name", "")))
    yield from label_causes(meta.get("labels") or {}, "metadata.labels")
    yield from _annotation_causes(meta.get("annotations") or {})
    for index, owner in enumerate(meta.get("ownerReferences") or []):
        for member in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(member):
                field = f"metadata.ownerReferences[{index}].{member}"
                yield invalid_value(field, owner.get(member) or "", "must not be empty")
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = [name for name in finalizers(obj) if name not in finalizers(old)]
        if added:
            # An object on its way out may lose finalizers, never gain one.
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield forbidden_value("metadata.finalizers", f"{detail} {_go(added)}")


def qualified_name_faults(name: str) -> Iterator[str]:
    """Yield what is wrong with the key of a label or annotation, or a name written alike."""
    prefix, slash, part = name.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or "/" in prefix):
        yield f"prefix part {_SUBDOMAIN_TEXT}" if prefix else "prefix part must be non-empty"
    if not part:
        yield "name part must be non-empty"
    elif len(part.encode()) > _LABEL_BYTES:
        yield f"name part must be no more than {_LABEL_BYTES} bytes"
    if not _QUALIFIED.fullmatch(part):
        yield _QUALIFIED_TEXT


def label_causes(labels: dict[str, Any], field: str) -> Iterator[Cause]:
    """Yield what is wrong with a map of labels."""
    for key, value in sorted(labels.items()):
        for fault in qualified_name_faults(key):
            yield invalid_value(field, key, fault)
        text = str(value)
        if len(text.encode()) > _LABEL_BYTES:
            yield invalid_value(field, text, f"must be no more than {_LABEL_BYTES} bytes")
        elif text and not _QUALIFIED.fullmatch(text):
            yield invalid_value(field, text, _LABEL_VALUE_TEXT)


def _name_causes(resource: Resource, name: str) -> Iterator[Cause]:
    if not name:
        yield required_value("metadata.name", "name or generateName is required")
    elif resource.key in _NAMES_AS_LABELS:
        if len(name) > _LABEL_BYTES:
            yield invalid_value("metadata.name", name, f"must be no more than {_LABEL_BYTES} bytes")
        if not _LABEL.fullmatch(name):
            yield invalid_value("metadata.name", name, _LABEL_TEXT)
    elif resource.plural not in _FREE_NAMES:
        if len(name) > _NAME_BYTES:
            yield invalid_value("metadata.name", name, f"must be no more than {_NAME_BYTES} bytes")
        if not _SUBDOMAIN.fullmatch(name):
            yield invalid_value("metadata.name", name, _SUBDOMAIN_TEXT)


def _annotation_causes(annotations: dict[str, Any]) -> Iterator[Cause]:
    field = "metadata.annotations"
    for key in sorted(annotations):
        for fault in qualified_name_faults(key.lower()):
            yield invalid_value(field, key, fault)
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_BYTES:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes", field)


def _deployment(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        yield invalid_value("spec.selector", spec.get("selector"), _IMMUTABLE)
    yield from _workload(obj, old)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield unsupported_value("spec.strategy", _go_strategy(strategy), ("Recreate", "RollingUpdate"))
    elif strategy["type"] == "RollingUpdate":
        yield from _rolling_update(strategy.get("rollingUpdate") or {})
    elif strategy.get("rollingUpdate"):
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden_value("spec.strategy.rollingUpdate", detail)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if isinstance(deadline, int) and deadline <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _rolling_update(rolling: dict[str, Any]) -> Iterator[Cause]:
    where = "spec.strategy.rollingUpdate"
    for member in ("maxUnavailable", "maxSurge"):
        value = rolling.get(member)
        if isinstance(value, str) and not _PERCENT.fullmatch(value):
            detail = (
                "a valid percent string must be a numeric string followed by an ending '%'"
                " (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            )
            yield invalid_value(f"{where}.{member}", value, detail)
        elif isinstance(value, int) and value < 0:
            yield invalid_value(f"{where}.{member}", value, _NOT_NEGATIVE)
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if unavailable in (0, "0%") and surge in (0, "0%"):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid_value(f"{where}.maxUnavailable", unavailable, detail)
    if isinstance(unavailable, str) and _PERCENT.fullmatch(unavailable) and int(unavailable[:-1]) > 100:
        yield invalid_value(f"{where}.maxUnavailable", unavailable, "must not be greater than 100%")


def _stateful_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    yield from _workload(obj, old)
    if old is not None and _fixed(obj["spec"]) != _fixed(old["spec"]):
        detail = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template',"
            " 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and"
            " 'minReadySeconds' are forbidden"
        )
        yield forbidden_value("spec", detail)


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in spec.items() if member not in _STATEFUL_SET_MAY_CHANGE}


def _selector_stays(obj: Object, old: Object | None) -> Iterator[Cause]:
    selector = (obj.get("spec") or {}).get("selector")
    if old is not None and selector != old["spec"].get("selector"):
        yield invalid_value("spec.selector", selector, _IMMUTABLE)
    yield from _workload(obj, old)


def _workload(obj: Object, _old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    for member in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if isinstance(spec.get(member), int) and spec[member] < 0:
            yield invalid_value(f"spec.{member}", spec[member], _NOT_NEGATIVE)
    selector = spec.get("selector")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is None:
        yield required_value("spec.selector")
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    wanted = (selector or {}).get("matchLabels") or {}
    if selector is None or any(labels.get(key) != value for key, value in wanted.items()):
        detail = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", labels, detail)
    yield from label_causes(labels, "spec.template.labels")
    pod = template.get("spec") or {}
    yield from _containers(pod, "spec.template.spec")
    if pod.get("restartPolicy", "Always") != "Always":
        yield unsupported_value("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))


def _containers(pod: dict[str, Any], where: str) -> Iterator[Cause]:
    containers = pod.get("containers") or []
    if not containers:
        yield required_value(f"{where}.containers")
    for index, container in enumerate(containers):
        field = f"{where}.containers[{index}]"
        name = container.get("name") or ""
        if not name:
            yield required_value(f"{field}.name")
        elif not _LABEL.fullmatch(name) or len(name) > _LABEL_BYTES:
            yield invalid_value(f"{field}.name", name, _LABEL_TEXT)
        elif any(other.get("name") == name for other in containers[:index]):
            yield Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{field}.name")
        if not container.get("image"):
            yield required_value(f"{field}.image")


def _pod(obj: Object, old: Object | None) -> Iterator[Cause]:
    if old is None:
        yield from _containers(obj.get("spec") or {}, "spec")


def _service(obj: Object, _old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield required_value("spec.ports")
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield required_value(f"spec.ports[{index}].name")
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            detail = "must be between 1 and 65535, inclusive"
            yield invalid_value(f"spec.ports[{index}].port", number or 0, detail)


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
        yield invalid_value("message", obj.get("message"), _IMMUTABLE)
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
        yield invalid_value("spec.leaseTransitions", spec["leaseTransitions"], _NOT_NEGATIVE)


_CHECKS: dict[str, Callable[[Object, Object | None], Iterator[Cause]]] = {
    "deployments.apps": _deployment,
    "replicasets.apps": _selector_stays,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _selector_stays,
    "pods": _pod,
    "services": _service,
    "events": _event,
    "leases.coordination.k8s.io": _lease,
}


def _go_strategy(strategy: dict[str, Any]) -> dict[str, Any]:
    # The real server prints its internal struct here, whose members are capitalised.
    rolling = strategy.get("rollingUpdate")
    shown = rolling and {
        "MaxUnavailable": rolling.get("maxUnavailable"),
        "MaxSurge": rolling.get("maxSurge"),
    }
    return {"Type": strategy.get("type"), "RollingUpdate": shown}


def _go(names: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{name}"' for name in names) + "}"
