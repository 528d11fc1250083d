"""Which resources the sandbox serves: names, scope and traits of the built-in ones, and a catalog that
custom resource definitions extend while it runs. It holds no objects. The store and the server look here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object under one path.

    field_labels are the field selectors it takes beyond metadata.name and metadata.namespace.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_scale: bool = False
    has_generation: bool = False
    custom: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    deletion_returns_object: bool = False
    field_labels: tuple[str, ...] = ()
    list_kind: str = ""
    verbs: tuple[str, ...] = field(default=ALL_VERBS)
    # Two groups may serve the same objects (Events): this one's live under the other's key.
    stored_as: str = ""

    @property
    def key(self) -> str:
        """The name kubectl writes: pods, deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_key(self) -> str:
        """The key under which the objects are stored."""
        return self.stored_as or self.key

    @property
    def qualified_kind(self) -> str:
        """The kind as error messages write it: Pod, Deployment.apps."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        """apiVersion of the objects: v1, apps/v1."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def collection_kind(self) -> str:
        """The kind of a list."""
        return self.list_kind or f"{self.kind}List"


def _core(plural: str, kind: str, *short: str, namespaced: bool = True, **traits: object) -> Resource:
    return Resource("", "v1", plural, kind, kind.lower(), namespaced, short, **traits)  # type: ignore[arg-type]


def _grouped(group: str, version: str, plural: str, kind: str, *short: str, **traits: object) -> Resource:
    return Resource(group, version, plural, kind, kind.lower(), short_names=short, **traits)  # type: ignore[arg-type]


def _workload(plural: str, kind: str, short: str, *, scale: bool) -> Resource:
    return _grouped(
        "apps",
        "v1",
        plural,
        kind,
        short,
        categories=("all",),
        has_status=True,
        has_scale=scale,
        has_generation=True,
    )


_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_REGARDING_FIELDS = tuple(
    label.replace("involvedObject", "regarding").replace("reportingComponent", "reportingController")
    for label in _EVENT_FIELDS
    if label != "source"
)
_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_RBAC = "rbac.authorization.k8s.io"

BUILT_IN: tuple[Resource, ...] = (
    _core("configmaps", "ConfigMap", "cm"),
    _core("events", "Event", "ev", create_on_update=True, field_labels=_EVENT_FIELDS),
    _core(
        "namespaces",
        "Namespace",
        "ns",
        namespaced=False,
        has_status=True,
        deletion_returns_object=True,
        field_labels=("status.phase",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    ),
    _core("nodes", "Node", "no", namespaced=False, has_status=True, field_labels=("spec.unschedulable",)),
    _core(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "pvc",
        has_status=True,
        deletion_returns_object=True,
    ),
    _core(
        "pods",
        "Pod",
        "po",
        categories=("all",),
        has_status=True,
        has_generation=True,
        deletion_returns_object=True,
        field_labels=_POD_FIELDS,
    ),
    _core("resourcequotas", "ResourceQuota", "quota", has_status=True, deletion_returns_object=True),
    _core("secrets", "Secret", field_labels=("type",)),
    _core("serviceaccounts", "ServiceAccount", "sa", deletion_returns_object=True),
    _core(
        "services",
        "Service",
        "svc",
        categories=("all",),
        has_status=True,
        deletion_returns_object=True,
        field_labels=("spec.clusterIP", "spec.type"),
    ),
    _grouped("apps", "v1", "controllerrevisions", "ControllerRevision"),
    _workload("daemonsets", "DaemonSet", "ds", scale=False),
    _workload("deployments", "Deployment", "deploy", scale=True),
    _workload("replicasets", "ReplicaSet", "rs", scale=True),
    _workload("statefulsets", "StatefulSet", "sts", scale=True),
    _grouped(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "hpa",
        categories=("all",),
        has_status=True,
    ),
    _grouped(
        "coordination.k8s.io", "v1", "leases", "Lease", unconditional_update=False, create_on_update=True
    ),
    _grouped("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", has_generation=True),
    _grouped(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        "ev",
        create_on_update=True,
        field_labels=_REGARDING_FIELDS,
        stored_as="events",
    ),
    _grouped(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        "ing",
        has_status=True,
        has_generation=True,
    ),
    _grouped("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", has_generation=True),
    _grouped(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "pdb",
        has_status=True,
        has_generation=True,
        unconditional_update=False,
    ),
    _grouped(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _grouped(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    _grouped(_RBAC, "v1", "rolebindings", "RoleBinding"),
    _grouped(_RBAC, "v1", "roles", "Role"),
    _grouped(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd",
        "crds",
        categories=("api-extensions",),
        namespaced=False,
        has_status=True,
        has_generation=True,
        unconditional_update=False,
        deletion_returns_object=True,
    ),
)


class Catalog:
    """The resources that are served now; a custom resource may be served under several versions."""

    def __init__(self) -> None:
        self._by_path = {(r.group, r.version, r.plural): r for r in BUILT_IN}
        self._by_key = {r.key: r for r in BUILT_IN}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_path.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource at that path."""
        return self._by_path.get((group, version, plural))

    def by_key(self, key: str) -> Resource | None:
        """Return the resource kubectl would name so, in the version it was served in last."""
        return self._by_key.get(key)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource whose objects bear this apiVersion and kind."""
        # The kind first: it is at hand, while a version has to be put together for each resource.
        return next((r for r in self if r.kind == kind and r.api_version == api_version), None)

    def has_group(self, group: str) -> bool:
        """Tell whether anything is served under the group."""
        return any(resource.group == group for resource in self)

    def serve(self, resource: Resource) -> None:
        """Serve a custom resource from now on, in place of what stood at its path."""
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_key[resource.key] = resource

    def withdraw(self, resource: Resource) -> None:
        """Serve it no more."""
        self._by_path.pop((resource.group, resource.version, resource.plural), None)
        self._by_key.pop(resource.key, None)
