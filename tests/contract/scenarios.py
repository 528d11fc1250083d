"""What transcripts do not tell of their scenarios: what was there before, and what was done between steps.

Pure data and small preludes. Read by the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from responder.sandbox.api.objects import Object, copied
from responder.sandbox.cluster import Cluster

LIMITED_TOKEN = "limited"
Prelude = Callable[[Cluster, str], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a transcript does not tell: what was there before, done between, and when a step came.

    until gives the (updatedReplicas, availableReplicas) at which a step was taken in mid-rollout; soon gives
    the seconds that a step left the controllers, where it did not wait until they were done.
    """

    replicas: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    until: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    soon: Mapping[int, float] = field(default_factory=dict)
    preludes: Mapping[int, Prelude] = field(default_factory=dict)
    users: Mapping[int, str] = field(default_factory=dict)
    calm: bool = False


def service(namespace: str, name: str = "payment-service", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "payment-service"}}
    body = {"selector": {"app": "payment-service"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": body}


def deployment(namespace: str, scenario: Scenario) -> Object:
    """The Deployment that most recordings find made."""
    name, labels = "payment-service", {"app": "payment-service"}
    container = {
        "name": name,
        "image": "registry.example/payments/payment-service:1.0.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "GATEWAY_TIMEOUT", "value": "5s"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    template = {"metadata": {"labels": {**labels, "version": "1.0.0"}}, "spec": {"containers": [container]}}
    annotations = {"kubernetes.io/change-cause": "release 1.0.0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": scenario.replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            **copied(dict(scenario.spec)),
        },
    }


def _release(cluster: Cluster, namespace: str) -> None:
    """Deliver 1.1.0, as the recorded requests deliver the other versions."""
    cluster.release(
        namespace,
        "payment-service",
        image="registry.example/payments/payment-service:1.1.0",
        labels={"version": "1.1.0"},
        change_cause="release 1.1.0",
    )


def _readers_role(cluster: Cluster, namespace: str) -> None:
    """Let the limited user read workloads."""
    rules = [{"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    metadata = {"name": "readers", "namespace": namespace}
    cluster.apply({**rbac, "kind": "Role", "metadata": metadata, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "readers"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]
    cluster.apply(
        {**rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects}
    )


def _eager_service(cluster: Cluster, namespace: str) -> None:
    headless = {"clusterIP": "None", "publishNotReadyAddresses": True}
    cluster.apply(service(namespace, "payment-service-eager", **headless))


def _readiness(*, ready: bool) -> Prelude:
    """Have the first pod turn unready, or ready again."""

    def turn(cluster: Cluster, namespace: str) -> None:
        pod = cluster.store.list("pods", namespace)[0]
        if ready:
            del pod["metadata"]["annotations"]["sandbox.responder.dev/unready-after"]
        else:
            pod["metadata"].setdefault("annotations", {})["sandbox.responder.dev/unready-after"] = "0s"
        cluster.store.update("pods", pod, manager="test")

    return turn


SCENARIOS: Mapping[str, Scenario] = {
    "01": Scenario(soon={16: 0.0, 17: 0.0, 18: 0.0}),
    "02": Scenario(replicas=10),
    "03": Scenario(),
    "04": Scenario(
        replicas=2,
        until={20: (2, 2)},
        soon={21: 1.5},
        preludes={2: _release, 20: _readers_role},
        users={20: LIMITED_TOKEN},
    ),
    "05": Scenario(replicas=10, spec={"progressDeadlineSeconds": 10}),
    "06a": Scenario(replicas=10, until={4: (10, 8)}, soon={8: 0.0}),
    "06b": Scenario(replicas=10),
    "06c": Scenario(replicas=10, until={3: (5, 8)}),
    "06d": Scenario(replicas=10, until={3: (5, 8)}),
    "06e": Scenario(
        replicas=3, spec={"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2}, soon={9: 0.007}
    ),
    "09b": Scenario(
        preludes={3: _eager_service, 9: _readiness(ready=False), 11: _readiness(ready=True)}, calm=True
    ),
    "10a": Scenario(),
    "10b": Scenario(),
}
