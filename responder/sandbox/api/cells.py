"""What stands in the cells of the tables of built-in kinds, Pods apart.

Pure: each takes a stored object and the time. kind_columns.py says which column shows what.
Source: Kubernetes pkg/printers/internalversion/printers.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from responder.sandbox.api.columns import NONE, UNSET, Cell, field, labels_text
from responder.sandbox.api.durations import UNKNOWN, age_text
from responder.sandbox.api.objects import Object
from responder.sandbox.api.selectors import selector_text

_SHOWN_ENDPOINTS = 3
_ROLE_LABEL = "node-role.kubernetes.io/"


def _template_containers(obj: Object) -> list[Object]:
    containers = ((obj.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or []
    return list(containers)


def container_names(obj: Object, _now: datetime) -> str:
    """The names of the containers in a template."""
    return ",".join(container["name"] for container in _template_containers(obj))


def container_images(obj: Object, _now: datetime) -> str:
    """Their images."""
    return ",".join(container["image"] for container in _template_containers(obj))


def selector(obj: Object, _now: datetime) -> str:
    """The label selector."""
    return selector_text(obj["spec"].get("selector")) or NONE


def ready_of_wanted(obj: Object, _now: datetime) -> str:
    """Ready replicas of wanted ones."""
    return f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"


def count(*members: str) -> Cell:
    """Make a cell that counts the entries of some members."""

    def cell(obj: Object, _now: datetime) -> int:
        return sum(len(obj.get(member) or {}) for member in members)

    return cell


def quota_use(obj: Object, _now: datetime) -> str:
    """What a quota's status says is used of what it allows: pods: 3/5."""
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return ", ".join(f"{item}: {used.get(item, 0)}/{limit}" for item, limit in hard.items())


def external_address(obj: Object, _now: datetime) -> str:
    """Where a Service is reached from outside."""
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    given = list(spec.get("externalIPs") or [])
    if spec.get("type") == "LoadBalancer":
        ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        given = [*(at.get("ip") or at.get("hostname") or "" for at in ingress), *given]
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def cluster_address(obj: Object, _now: datetime) -> str:
    """Where it is reached from inside."""
    addresses = obj["spec"].get("clusterIPs") or [obj["spec"].get("clusterIP") or NONE]
    return str(addresses[0])


def service_ports(obj: Object, _now: datetime) -> str:
    """Its ports."""

    def shown(port: Object) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"

    return ",".join(shown(port) for port in obj["spec"].get("ports") or []) or NONE


def slice_ports(obj: Object, _now: datetime) -> str:
    """The ports of an EndpointSlice."""

    def shown(port: Object) -> str:
        return "*" if port.get("port") is None else str(port["port"])

    return _shortened([shown(port) for port in obj.get("ports") or []])


def slice_endpoints(obj: Object, _now: datetime) -> str:
    """The first few addresses in it."""
    endpoints = obj.get("endpoints") or []
    return _shortened([address for endpoint in endpoints for address in endpoint.get("addresses") or []])


def _shortened(items: list[str]) -> str:
    left = len(items) - _SHOWN_ENDPOINTS
    text = ",".join(items[:_SHOWN_ENDPOINTS])
    return f"{text} + {left} more..." if left > 0 else text or UNSET


def node_status(obj: Object, _now: datetime) -> str:
    """Whether a Node is ready, and takes pods."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    ready = next((condition for condition in conditions if condition.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else word


def node_roles(obj: Object, _now: datetime) -> str:
    """The roles that its labels give it."""
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(label.removeprefix(_ROLE_LABEL) for label in labels if label.startswith(_ROLE_LABEL))
    return ",".join(roles) or NONE


def node_address(kind: str) -> Cell:
    """Make a cell with a Node's first address of a kind."""

    def cell(obj: Object, _now: datetime) -> str:
        addresses = (obj.get("status") or {}).get("addresses") or []
        return next((str(at["address"]) for at in addresses if at.get("type") == kind), NONE)

    return cell


def first_seen(obj: Object, now: datetime) -> str:
    """How long ago an Event was first seen."""
    return age_text(obj.get("firstTimestamp") or obj.get("eventTime"), now)


def last_seen(obj: Object, now: datetime) -> str:
    """How long ago it was last seen."""
    series = obj.get("series") or {}
    last = age_text(series.get("lastObservedTime") or obj.get("lastTimestamp"), now)
    return first_seen(obj, now) if last == UNKNOWN else last


def event_count(obj: Object, _now: datetime) -> int:
    """How often."""
    return (obj.get("series") or {}).get("count") or obj.get("count") or 1


def event_object(obj: Object, _now: datetime) -> str:
    """What it is about."""
    about = obj.get("involvedObject") or {}
    kind = str(about.get("kind", "")).lower()
    return f"{kind}/{about['name']}" if about.get("name") else kind


def event_source(obj: Object, _now: datetime) -> str:
    """Who told it."""
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or ("" if source.get("component") else obj.get("reportingInstance") or "")
    return f"{component}, {host}" if host else str(component)


def scale_reference(obj: Object, _now: datetime) -> str:
    """What an autoscaler scales."""
    target = obj["spec"].get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def metric_targets(obj: Object, _now: datetime) -> str:
    """What it measures, and wants."""
    return ", ".join(_metric_texts(obj)) or NONE


def _metric_texts(obj: Object) -> Iterator[str]:
    current = (obj.get("status") or {}).get("currentMetrics") or []
    for index, metric in enumerate(obj["spec"].get("metrics") or []):
        if metric.get("type") != "Resource":
            yield f"<{str(metric.get('type', '')).lower()}>"
            continue
        wanted = metric["resource"]["target"]
        measured = (current[index].get("resource") or {}).get("current", {}) if index < len(current) else {}
        if wanted.get("averageUtilization") is not None:
            now = measured.get("averageUtilization")
            shown = UNKNOWN if now is None else f"{now}%"
            yield f"{metric['resource']['name']}: {shown}/{wanted['averageUtilization']}%"
        else:
            shown = measured.get("averageValue", UNKNOWN)
            yield f"{metric['resource']['name']}: {shown}/{wanted.get('averageValue', '')}"


def controller_of(obj: Object, _now: datetime) -> str:
    """The controller that owns a ControllerRevision."""
    owners = obj["metadata"].get("ownerReferences") or []
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return NONE
    group = str(owner["apiVersion"]).rpartition("/")[0]
    kind = str(owner["kind"]).lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


def role_of(obj: Object, _now: datetime) -> str:
    """The role that a binding gives."""
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def subjects(kind: str) -> Cell:
    """Make a cell with those of a kind to whom it gives it."""

    def cell(obj: Object, _now: datetime) -> str:
        subjects = [one for one in obj.get("subjects") or [] if one.get("kind") == kind]
        with_space = kind == "ServiceAccount"
        return ", ".join(
            f"{s.get('namespace', '')}/{s['name']}" if with_space else s["name"] for s in subjects
        )

    return cell


def text(path: str, absent: str = "") -> Cell:
    """Make a cell that shows a value as text, also a number."""
    value = field(path, absent)
    return lambda obj, now: str(value(obj, now))


def labels(path: str) -> Cell:
    """Make a cell that shows a map of labels."""
    value = field(path, {})
    return lambda obj, now: labels_text(value(obj, now))
