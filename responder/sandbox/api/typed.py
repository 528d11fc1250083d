"""The shapes of built-in kinds: which fields there are and of which types, as Go's decoder would know them.

Pure. From these come warnings about unknown fields and refusals of wrong types. A kind that is not described
here is taken as it comes. Source: Kubernetes staging/src/k8s.io/api/{core,apps,...}/v1/types.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api.normal_form import quantity_value
from responder.sandbox.api.schema import is_date_time

_MICRO_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})")
_TIME_LAYOUT = "2006-01-02T15:04:05Z07:00"
_QUANTITY_PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_MICRO_TIME_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that the type does not have."""

    path: str


@dataclass(frozen=True, slots=True)
class WrongType:
    """A value that the field cannot hold, in the words of Go's decoder."""

    words: str


Finding = UnknownField | WrongType


def inspect_types(kind: str, obj: dict[str, Any]) -> Iterator[Finding]:
    """Yield what does not fit the kind, in the order of the document, removing unknown fields in place."""
    if kind in _STRUCTS:
        yield from _struct(kind, obj, "")


def _struct(name: str, value: dict[str, Any], path: str) -> Iterator[Finding]:
    fields = _fields(name)
    for member in list(value):
        where = f"{path}.{member}" if path else member
        if member not in fields:
            del value[member]
            yield UnknownField(where)
        elif value[member] is not None:
            yield from _value(fields[member], value[member], where, name, _without_indexes(where))


def _value(kind: str, value: Any, where: str, owner: str, go_path: str) -> Iterator[Finding]:
    place = f"Go struct field {owner}.{go_path} of type {_go_type(kind)}"
    wrong = WrongType(f"json: cannot unmarshal {_go_kind(value)} into {place}")
    if kind.startswith("[]"):
        if not isinstance(value, list):
            yield wrong
            return
        for index, item in enumerate(value):
            yield from _value(kind[2:], item, f"{where}[{index}]", owner, go_path)
    elif kind.startswith("map:"):
        if not isinstance(value, dict):
            yield wrong
            return
        for key, item in value.items():
            yield from _value(kind[4:], item, f"{where}.{key}", owner, go_path)
    elif kind in _STRUCTS:
        if isinstance(value, dict):
            yield from _struct(kind, value, where)
        else:
            yield wrong
    elif kind == "microtime":
        why = _micro_time_fault(value) if isinstance(value, str) else ""
        if why:
            yield WrongType(f'parsing time "{value}" as "{_MICRO_TIME_LAYOUT}": cannot parse {why}')
    elif kind == "time":
        if not isinstance(value, str):
            yield wrong
        elif not is_date_time(value):
            why = f'cannot parse "{value}" as "2006"'
            yield WrongType(f'parsing time "{value}" as "{_TIME_LAYOUT}": {why}')
    elif not _holds(kind, value):
        yield wrong
    elif kind == "quantity" and quantity_value(value) is None:
        yield WrongType(f"quantities must match the regular expression '{_QUANTITY_PATTERN}'")


def _holds(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int32":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT32_MAX
        case "int64":
            return isinstance(value, int) and not isinstance(value, bool)
        case "intstr":
            return isinstance(value, int | str) and not isinstance(value, bool)
        case "quantity":
            return isinstance(value, int | float | str) and not isinstance(value, bool)
        case _:
            return True


def _go_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _go_type(kind: str) -> str:
    if kind.startswith("[]"):
        return f"[]{_go_type(kind[2:])}"
    if kind.startswith("map:"):
        return f"map[string]{_go_type(kind[4:])}"
    if kind in ("string", "bool", "int32", "int64"):
        return kind
    return f"v1.{kind}"


def _without_indexes(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _micro_time_fault(text: str) -> str:
    found = _MICRO_TIME.fullmatch(text)
    if found is None:
        return f'"{text}" as "2006"'
    _, fraction, zone = found.groups()
    if fraction is None or len(fraction) < 7:
        return f'"{fraction or ""}{zone}" as ".000000"'
    return f'"{fraction[7:]}{zone}" as "Z07:00"' if len(fraction) > 7 else ""


def struct_fields(name: str) -> dict[str, str] | None:
    """Return the fields of a struct with their types, None for one that is not described here."""
    return _fields(name) if name in _STRUCTS else None


def _fields(name: str) -> dict[str, str]:
    found = _PARSED.get(name)
    if found is None:
        # One line of the table: groups "type: field field ...", separated by semicolons.
        groups = (group.partition(": ") for group in _STRUCTS[name].split("; "))
        found = _PARSED[name] = {
            field: kind.strip() for kind, _, fields in groups for field in fields.split()
        }
    return found


_PARSED: dict[str, dict[str, str]] = {}
_OBJECT = "string: apiVersion kind; ObjectMeta: metadata"
_STRUCTS: dict[str, str] = {
    "ObjectMeta": (
        "string: name generateName namespace selfLink uid resourceVersion; time: creationTimestamp"
        " deletionTimestamp; int64: generation deletionGracePeriodSeconds; map:string: labels annotations;"
        " []OwnerReference: ownerReferences; []string: finalizers; any: managedFields"
    ),
    "OwnerReference": "string: apiVersion kind name uid; bool: controller blockOwnerDeletion",
    "LabelSelector": "map:string: matchLabels; []LabelSelectorRequirement: matchExpressions",
    "LabelSelectorRequirement": "string: key operator; []string: values",
    "Deployment": f"{_OBJECT}; DeploymentSpec: spec; DeploymentStatus: status",
    "DeploymentSpec": (
        "int32: replicas minReadySeconds revisionHistoryLimit progressDeadlineSeconds; LabelSelector:"
        " selector; PodTemplateSpec: template; DeploymentStrategy: strategy; bool: paused"
    ),
    "DeploymentStrategy": "string: type; RollingUpdateDeployment: rollingUpdate",
    "RollingUpdateDeployment": "intstr: maxUnavailable maxSurge",
    "ReplicaSet": f"{_OBJECT}; ReplicaSetSpec: spec; ReplicaSetStatus: status",
    "ReplicaSetSpec": "int32: replicas minReadySeconds; LabelSelector: selector; PodTemplateSpec: template",
    "StatefulSet": f"{_OBJECT}; StatefulSetSpec: spec; StatefulSetStatus: status",
    "StatefulSetSpec": (
        "int32: replicas revisionHistoryLimit minReadySeconds; LabelSelector: selector; string: serviceName"
        " podManagementPolicy; PodTemplateSpec: template; StatefulSetUpdateStrategy: updateStrategy; any:"
        " volumeClaimTemplates"
        " persistentVolumeClaimRetentionPolicy ordinals"
    ),
    "DaemonSet": f"{_OBJECT}; DaemonSetSpec: spec; DaemonSetStatus: status",
    "DaemonSetSpec": (
        "int32: minReadySeconds revisionHistoryLimit; LabelSelector: selector; PodTemplateSpec: template;"
        " DaemonSetUpdateStrategy: updateStrategy"
    ),
    "StatefulSetUpdateStrategy": "string: type; RollingUpdateStatefulSet: rollingUpdate",
    "RollingUpdateStatefulSet": "int32: partition; intstr: maxUnavailable",
    "DaemonSetUpdateStrategy": "string: type; RollingUpdateDeployment: rollingUpdate",
    "Condition": (
        "string: type status reason message; int64: observedGeneration; time: lastTransitionTime"
        " lastUpdateTime lastProbeTime"
    ),
    "DeploymentStatus": (
        "int64: observedGeneration; int32: replicas updatedReplicas readyReplicas availableReplicas"
        " unavailableReplicas terminatingReplicas collisionCount; []Condition: conditions"
    ),
    "ReplicaSetStatus": (
        "int64: observedGeneration; int32: replicas fullyLabeledReplicas readyReplicas availableReplicas"
        " terminatingReplicas; []Condition: conditions"
    ),
    "StatefulSetStatus": (
        "int64: observedGeneration; int32: replicas readyReplicas currentReplicas updatedReplicas"
        " availableReplicas collisionCount; string: currentRevision updateRevision; []Condition: conditions"
    ),
    "DaemonSetStatus": (
        "int64: observedGeneration; int32: currentNumberScheduled numberMisscheduled desiredNumberScheduled"
        " numberReady updatedNumberScheduled numberAvailable numberUnavailable collisionCount; []Condition:"
        " conditions"
    ),
    "PodTemplateSpec": "ObjectMeta: metadata; PodSpec: spec",
    "Pod": f"{_OBJECT}; PodSpec: spec; PodStatus: status",
    "PodStatus": (
        "string: phase message reason nominatedNodeName hostIP podIP qosClass resize; []Condition:"
        " conditions; []PodIP: podIPs hostIPs; time: startTime; int64: observedGeneration; any:"
        " initContainerStatuses containerStatuses ephemeralContainerStatuses resourceClaimStatuses"
        " extendedResourceClaimStatus allocatedResources resources"
    ),
    "PodIP": "string: ip",
    "PodSpec": (
        "[]Container: containers initContainers; any: ephemeralContainers volumes securityContext affinity"
        " tolerations hostAliases dnsConfig readinessGates overhead topologySpreadConstraints schedulingGates"
        " resourceClaims resources os imagePullSecrets workloadRef schedulingGroup; string: restartPolicy"
        " dnsPolicy serviceAccountName serviceAccount nodeName hostname subdomain schedulerName"
        " priorityClassName runtimeClassName preemptionPolicy hostnameOverride; int64:"
        " terminationGracePeriodSeconds activeDeadlineSeconds; int32: priority; map:string: nodeSelector;"
        " bool: automountServiceAccountToken hostNetwork hostPID hostIPC shareProcessNamespace"
        " enableServiceLinks setHostnameAsFQDN hostUsers"
    ),
    "Container": (
        "string: name image workingDir terminationMessagePath terminationMessagePolicy imagePullPolicy"
        " restartPolicy; []string: command args; []ContainerPort: ports; []EnvVar: env; any: envFrom"
        " volumeMounts volumeDevices lifecycle securityContext resizePolicy restartPolicyRules;"
        " ResourceRequirements: resources; Probe: livenessProbe readinessProbe startupProbe; bool: stdin"
        " stdinOnce tty"
    ),
    "ContainerPort": "string: name protocol hostIP; int32: containerPort hostPort",
    "EnvVar": "string: name value; any: valueFrom",
    "ResourceRequirements": "map:quantity: limits requests; any: claims",
    "Probe": (
        "any: exec grpc; HTTPGetAction: httpGet; TCPSocketAction: tcpSocket; int32: initialDelaySeconds"
        " timeoutSeconds periodSeconds successThreshold failureThreshold; int64:"
        " terminationGracePeriodSeconds"
    ),
    "HTTPGetAction": "string: path host scheme; intstr: port; any: httpHeaders",
    "TCPSocketAction": "string: host; intstr: port",
    "Service": f"{_OBJECT}; ServiceSpec: spec; any: status",
    "ServiceSpec": (
        "[]ServicePort: ports; map:string: selector; string: clusterIP type sessionAffinity loadBalancerIP"
        " externalName externalTrafficPolicy internalTrafficPolicy ipFamilyPolicy loadBalancerClass"
        " trafficDistribution; []string: clusterIPs externalIPs loadBalancerSourceRanges ipFamilies; bool:"
        " publishNotReadyAddresses allocateLoadBalancerNodePorts; int32: healthCheckNodePort; any:"
        " sessionAffinityConfig"
    ),
    "ServicePort": "string: name protocol appProtocol; int32: port nodePort; intstr: targetPort",
    "ConfigMap": f"{_OBJECT}; map:string: data binaryData; bool: immutable",
    "Secret": f"{_OBJECT}; map:string: data stringData; string: type; bool: immutable",
    "Lease": f"{_OBJECT}; LeaseSpec: spec",
    "LeaseSpec": (
        "string: holderIdentity strategy preferredHolder; int32: leaseDurationSeconds leaseTransitions;"
        " microtime: acquireTime renewTime"
    ),
    "Event": (
        f"{_OBJECT}; any: involvedObject regarding source deprecatedSource related firstTimestamp"
        " lastTimestamp deprecatedFirstTimestamp deprecatedLastTimestamp; string: reason message note type"
        " action reportingComponent reportingController reportingInstance; int32: count deprecatedCount;"
        " microtime: eventTime; EventSeries: series"
    ),
    "EventSeries": "int32: count; microtime: lastObservedTime",
}
