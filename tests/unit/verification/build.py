"""A small world around one Deployment that was rolled back and serves well, to be spoilt by each test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from responder.verification.claim import Claim
from responder.verification.snapshot import Snapshot
from responder.workloads.history import parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.views import EndpointSlice, Object, Pod, Service
from responder.workloads.workload import parse_workload

KEY = WorkloadKey("payments", "Deployment", "payment-service")
REPLICAS = 3
HTTP: Object = {"name": "http", "port": 80, "targetPort": "http"}


def template(version: str, pod_hash: str | None = None) -> Object:
    labels = {"app": "payment-service", "version": version}
    if pod_hash is not None:
        labels["pod-template-hash"] = pod_hash
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5, "failureThreshold": 2}
    container = {"name": "app", "image": f"payment-service:{version}", "readinessProbe": probe}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


def meta(name: str, **more: Any) -> Object:
    created = {"creationTimestamp": "2026-03-01T10:00:00Z", "resourceVersion": "100", "generation": 1}
    return {"name": name, "namespace": "payments", "uid": f"uid-{name}", **created, **more}


def owned_by(uid: str) -> list[Object]:
    return [{"apiVersion": "apps/v1", "kind": "Any", "name": "any", "uid": uid, "controller": True}]


def deployment() -> Object:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), REPLICAS)
    return {
        "kind": "Deployment",
        "metadata": meta(
            "payment-service", generation=7, annotations={"deployment.kubernetes.io/revision": "3"}
        ),
        "spec": {"replicas": REPLICAS, "template": template("good")},
        "status": {"observedGeneration": 7, **counts},
    }


def replicaset(version: str, revision: int, replicas: int) -> Object:
    counts = dict.fromkeys(
        ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"), replicas
    )
    return {
        "metadata": meta(
            f"rs-{version}",
            labels={"pod-template-hash": version},
            annotations={"deployment.kubernetes.io/revision": str(revision)},
            ownerReferences=owned_by("uid-payment-service"),
        ),
        "spec": {"replicas": replicas, "template": template(version, version)},
        "status": {"observedGeneration": 1, **{name: count for name, count in counts.items() if count}},
    }


def pod(name: str, version: str = "good", **metadata: Any) -> Object:
    labels = {"app": "payment-service", "version": version, "pod-template-hash": version}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T10:00:05Z"}
    owners = {
        "labels": labels,
        "generateName": f"rs-{version}-",
        "ownerReferences": owned_by(f"uid-rs-{version}"),
    }
    return {
        "metadata": meta(name, **(owners | metadata)),
        "status": {"phase": "Running", "conditions": [ready], "containerStatuses": [{"restartCount": 0}]},
    }


def service(name: str = "payment-service", **spec: Any) -> Object:
    return {
        "metadata": meta(name),
        "spec": {"selector": {"app": "payment-service"}, "ports": [HTTP], "ipFamilies": ["IPv4"]} | spec,
    }


def endpoint(pod_name: str | None, **conditions: bool) -> Object:
    conditions = conditions or {"ready": True, "serving": True, "terminating": False}
    target = {"kind": "Pod", "name": pod_name, "uid": f"uid-{pod_name}"}
    return {
        "addresses": ["10.0.0.1"],
        "conditions": conditions,
        **({} if pod_name is None else {"targetRef": target}),
    }


def endpoint_slice(
    name: str, *endpoints: Object, of: str = "payment-service", family: str = "IPv4"
) -> Object:
    metadata = meta(name, labels={"kubernetes.io/service-name": of})
    ports = [{"name": "http", "protocol": "TCP", "port": 8080}]
    return {"metadata": metadata, "addressType": family, "endpoints": list(endpoints), "ports": ports}


@dataclass
class World:
    """Everything a snapshot is made of, as plain objects."""

    deployment: Object = field(default_factory=deployment)
    replicasets: list[Object] = field(
        default_factory=lambda: [replicaset("good", 3, REPLICAS), replicaset("bad", 2, 0)]
    )
    pods: list[Object] = field(default_factory=lambda: [pod("a"), pod("b"), pod("c")])
    services: list[Object] = field(default_factory=lambda: [service()])
    slices: list[Object] = field(
        default_factory=lambda: [
            endpoint_slice("slice-1", endpoint("a"), endpoint("b")),
            endpoint_slice("slice-2", endpoint("c")),
        ]
    )
    before: Object | None = None

    def snapshot(self) -> Snapshot:
        return Snapshot(
            before=parse_workload(self.before or self.deployment),
            history=parse_history(self.deployment, self.replicasets, self.pods),
            pods=tuple(map(Pod, self.pods)),
            services=tuple(map(Service, self.services)),
            slices=tuple(map(EndpointSlice, self.slices)),
        )


def claim(**changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "key": KEY,
        "workload_uid": "uid-payment-service",
        "target_uid": "uid-rs-good",
        "template": template("good"),
        "generation": 7,
        "services": ("payment-service",),
        "stale_progressing_at": None,
    }
    return Claim(**(fields | changes))
