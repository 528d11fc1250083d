"""The paths of the API resources the responder touches. Names are checked: they come from alerts, too."""

from __future__ import annotations

import re

from responder.errors import Permanent

# Source: Kubernetes pkg/apis/core/validation, RFC 1123 subdomain. Also keeps "..", "/" and "?" out of a path.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

_RESPONDER = "/apis/responder.dev/v1alpha1"

_WORKLOADS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
_REVISIONS = {
    "Deployment": "replicasets",
    "StatefulSet": "controllerrevisions",
    "DaemonSet": "controllerrevisions",
}


class InvalidName(Permanent):
    """A name that no Kubernetes object can have."""


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name[:80]!r} can't be the name of a Kubernetes object: it takes 1 to 253 lower-case letters,"
            " digits, '-' and '.'; look at the label or the rule that carries it"
        )
    return name


def _collection(prefix: str, plural: str, namespace: str | None) -> str:
    """The path of a resource in one namespace, or of all of them for None."""
    return (
        f"{prefix}/{plural}" if namespace is None else f"{prefix}/namespaces/{_checked(namespace)}/{plural}"
    )


def named(collection: str, name: str) -> str:
    """The path of one object in a collection."""
    return f"{collection}/{_checked(name)}"


def status(object_path: str) -> str:
    """The path of an object's status subresource."""
    return f"{object_path}/status"


def namespaces() -> str:
    """Namespaces."""
    return "/api/v1/namespaces"


def namespace(name: str) -> str:
    """One namespace."""
    return named(namespaces(), name)


def pods(namespace: str | None) -> str:
    """Pods of a namespace, or of all for None; so for each collection below."""
    return _collection("/api/v1", "pods", namespace)


def services(namespace: str | None) -> str:
    """Services."""
    return _collection("/api/v1", "services", namespace)


def endpointslices(namespace: str | None) -> str:
    """EndpointSlices."""
    return _collection("/apis/discovery.k8s.io/v1", "endpointslices", namespace)


def deployments(namespace: str | None) -> str:
    """Deployments."""
    return _collection("/apis/apps/v1", "deployments", namespace)


def deployment(namespace: str, name: str) -> str:
    """One Deployment."""
    return named(deployments(namespace), name)


def replicasets(namespace: str | None) -> str:
    """ReplicaSets."""
    return _collection("/apis/apps/v1", "replicasets", namespace)


def workloads(kind: str, namespace: str | None) -> str:
    """Deployments, StatefulSets or DaemonSets. A KeyError for another kind."""
    return _collection("/apis/apps/v1", _WORKLOADS[kind], namespace)


def workload(kind: str, namespace: str, name: str) -> str:
    """One Deployment, StatefulSet or DaemonSet."""
    return named(workloads(kind, namespace), name)


def revisions(kind: str, namespace: str | None) -> str:
    """What keeps the revisions of workloads of that kind."""
    return _collection("/apis/apps/v1", _REVISIONS[kind], namespace)


def pod(namespace: str, name: str) -> str:
    """One Pod."""
    return named(pods(namespace), name)


def configmap(namespace: str, name: str) -> str:
    """One ConfigMap."""
    return named(_collection("/api/v1", "configmaps", namespace), name)


def secret(namespace: str, name: str) -> str:
    """One Secret."""
    return named(_collection("/api/v1", "secrets", namespace), name)


def persistentvolumeclaim(namespace: str, name: str) -> str:
    """One PersistentVolumeClaim."""
    return named(_collection("/api/v1", "persistentvolumeclaims", namespace), name)


def serviceaccount(namespace: str, name: str) -> str:
    """One ServiceAccount."""
    return named(_collection("/api/v1", "serviceaccounts", namespace), name)


def incidents(namespace: str | None) -> str:
    """Incidents."""
    return _collection(_RESPONDER, "incidents", namespace)


def incident(namespace: str, name: str) -> str:
    """One Incident."""
    return named(incidents(namespace), name)


def workloadrecords(namespace: str | None) -> str:
    """WorkloadRecords."""
    return _collection(_RESPONDER, "workloadrecords", namespace)


def workloadrecord(namespace: str, name: str) -> str:
    """One WorkloadRecord."""
    return named(workloadrecords(namespace), name)


def decisions(namespace: str | None) -> str:
    """Decisions."""
    return _collection(_RESPONDER, "decisions", namespace)


def decision(namespace: str, name: str) -> str:
    """One Decision."""
    return named(decisions(namespace), name)


def canaries(namespace: str | None) -> str:
    """Flagger's Canaries."""
    return _collection("/apis/flagger.app/v1beta1", "canaries", namespace)


def rollouts(namespace: str | None) -> str:
    """Argo Rollouts."""
    return _collection("/apis/argoproj.io/v1alpha1", "rollouts", namespace)


def application(namespace: str, name: str) -> str:
    """One Argo CD Application."""
    return named(_collection("/apis/argoproj.io/v1alpha1", "applications", namespace), name)


def kustomization(namespace: str, name: str) -> str:
    """One Flux Kustomization."""
    return named(_collection("/apis/kustomize.toolkit.fluxcd.io/v1", "kustomizations", namespace), name)


def helmrelease(namespace: str, name: str) -> str:
    """One Flux HelmRelease."""
    return named(_collection("/apis/helm.toolkit.fluxcd.io/v2", "helmreleases", namespace), name)


def custom_resource_definitions() -> str:
    """CustomResourceDefinitions."""
    return "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def leases(namespace: str) -> str:
    """Leases of a namespace."""
    return _collection("/apis/coordination.k8s.io/v1", "leases", namespace)
