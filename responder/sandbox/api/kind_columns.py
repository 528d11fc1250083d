"""The columns of every built-in kind: a table of tables.

Pure, and nothing but data. Source: Kubernetes pkg/printers/internalversion/printers.go
"""

from __future__ import annotations

from responder.sandbox.api import cells
from responder.sandbox.api.columns import AGE, CREATED_AT, NAME, UNSET, Column, field
from responder.sandbox.api.durations import UNKNOWN
from responder.sandbox.api.pod_columns import POD_COLUMNS


def _number(name: str, path: str, description: str = "") -> Column:
    return Column(name, "integer", field(path, 0), description=description)


_CONTAINERS = Column(
    "Containers", "string", cells.container_names, 1, "", "Names of each container in the template."
)
_IMAGES = Column(
    "Images", "string", cells.container_images, 1, "", "Images referenced by each container in the template."
)
_SELECTOR = Column("Selector", "string", cells.selector, 1, "", "Label selector for pods.")
_BINDING = (
    NAME,
    Column("Role", "string", cells.role_of),
    AGE,
    Column("Users", "string", cells.subjects("User"), 1),
    Column("Groups", "string", cells.subjects("Group"), 1),
    Column("ServiceAccounts", "string", cells.subjects("ServiceAccount"), 1),
)
_ROLE = (NAME, CREATED_AT)

KIND_COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": POD_COLUMNS,
    "deployments.apps": (
        NAME,
        Column("Ready", "string", cells.ready_of_wanted, description="Number of the pod with ready state"),
        Column(
            "Up-to-date",
            "string",
            field("status.updatedReplicas", 0),
            description="Total number of non-terminating pods targeted by this deployment that have the"
            " desired template spec.",
        ),
        Column(
            "Available",
            "string",
            field("status.availableReplicas", 0),
            description="Total number of available non-terminating pods (ready for at least minReadySeconds)"
            " targeted by this deployment.",
        ),
        AGE,
        _CONTAINERS,
        _IMAGES,
        Column(
            "Selector",
            "string",
            cells.selector,
            1,
            description="Label selector for pods. Existing ReplicaSets whose pods are selected by this will"
            " be the ones affected by this deployment. It must match the pod template's labels.",
        ),
    ),
    "replicasets.apps": (
        NAME,
        _number("Desired", "spec.replicas", "How many pods are wanted."),
        _number("Current", "status.replicas", "How many pods there are."),
        _number("Ready", "status.readyReplicas", "How many of them are ready."),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "statefulsets.apps": (
        NAME,
        Column("Ready", "string", cells.ready_of_wanted, description="Number of the pod with ready state"),
        AGE,
        _CONTAINERS,
        _IMAGES,
    ),
    "daemonsets.apps": (
        NAME,
        _number("Desired", "status.desiredNumberScheduled", "How many nodes should run a pod."),
        _number("Current", "status.currentNumberScheduled", "How many of those nodes run one."),
        _number("Ready", "status.numberReady", "How many of those pods are ready."),
        _number("Up-to-date", "status.updatedNumberScheduled", "How many of them have the present template."),
        _number("Available", "status.numberAvailable", "How many of them are available."),
        Column("Node Selector", "string", cells.labels("spec.template.spec.nodeSelector")),
        AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    "controllerrevisions.apps": (
        NAME,
        Column("Controller", "string", cells.controller_of, description="Controller of the object"),
        Column("Revision", "string", field("revision", 0)),
        AGE,
    ),
    "services": (
        NAME,
        Column("Type", "string", field("spec.type")),
        Column("Cluster-IP", "string", cells.cluster_address),
        Column("External-IP", "string", cells.external_address),
        Column("Port(s)", "string", cells.service_ports),
        AGE,
        Column("Selector", "string", cells.labels("spec.selector"), 1),
    ),
    "endpointslices.discovery.k8s.io": (
        NAME,
        Column("AddressType", "string", field("addressType")),
        Column("Ports", "string", cells.slice_ports),
        Column("Endpoints", "string", cells.slice_endpoints),
        AGE,
    ),
    "configmaps": (
        NAME,
        Column(
            "Data",
            "string",
            cells.count("data", "binaryData"),
            description="Data contains the configuration data. Each key must consist of alphanumeric"
            " characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData"
            " field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is"
            " enforced during validation process.",
        ),
        AGE,
    ),
    "resourcequotas": (
        NAME,
        Column("Request", "string", cells.quota_use, description="What is used, and how much may be."),
        Column("Limit", "string", field("status.limits")),
        AGE,
    ),
    "secrets": (
        NAME,
        Column("Type", "string", field("type")),
        Column("Data", "string", cells.count("data")),
        AGE,
    ),
    "serviceaccounts": (NAME, Column("Secrets", "string", cells.count("secrets")), AGE),
    "namespaces": (
        NAME,
        Column("Status", "string", field("status.phase"), description="The status of the namespace"),
        AGE,
    ),
    "nodes": (
        NAME,
        Column("Status", "string", cells.node_status, description="The status of the node"),
        Column("Roles", "string", cells.node_roles, description="The roles of the node"),
        AGE,
        Column("Version", "string", field("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", "string", cells.node_address("InternalIP"), 1),
        Column("External-IP", "string", cells.node_address("ExternalIP"), 1),
        Column("OS-Image", "string", field("status.nodeInfo.osImage", UNKNOWN), 1),
        Column("Kernel-Version", "string", field("status.nodeInfo.kernelVersion", UNKNOWN), 1),
        Column("Container-Runtime", "string", field("status.nodeInfo.containerRuntimeVersion", UNKNOWN), 1),
    ),
    "events": (
        Column("Last Seen", "string", cells.last_seen),
        Column("Type", "string", field("type")),
        Column("Reason", "string", field("reason")),
        Column("Object", "string", cells.event_object),
        Column("Subobject", "string", field("involvedObject.fieldPath"), 1),
        Column("Source", "string", cells.event_source, 1),
        Column("Message", "string", field("message")),
        Column("First Seen", "string", cells.first_seen, 1),
        Column("Count", "string", cells.event_count, 1),
        Column("Name", "string", field("metadata.name"), 1, "name", NAME.description),
    ),
    "leases.coordination.k8s.io": (
        NAME,
        Column("Holder", "string", field("spec.holderIdentity"), description="The holder of the lease"),
        AGE,
    ),
    "horizontalpodautoscalers.autoscaling": (
        NAME,
        Column("Reference", "string", cells.scale_reference),
        Column("Targets", "string", cells.metric_targets),
        Column("MinPods", "string", cells.text("spec.minReplicas", UNSET)),
        Column("MaxPods", "string", field("spec.maxReplicas", 0)),
        Column("Replicas", "string", field("status.currentReplicas", 0)),
        AGE,
    ),
    "poddisruptionbudgets.policy": (
        NAME,
        Column("Min Available", "string", cells.text("spec.minAvailable", "N/A")),
        Column("Max Unavailable", "string", cells.text("spec.maxUnavailable", "N/A")),
        _number("Allowed Disruptions", "status.disruptionsAllowed"),
        AGE,
    ),
    "roles.rbac.authorization.k8s.io": _ROLE,
    "clusterroles.rbac.authorization.k8s.io": _ROLE,
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
}
