"""Manifests of the objects a scenario begins with, as short as they can be.

Pure. Called by the demo and by tests, which change what they need in the dicts they get.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from responder.sandbox.api.objects import Object


def deployment(
    name: str = "payment-service",
    *,
    namespace: str = "default",
    replicas: int = 3,
    image: str = "registry.example/payments/payment-service:1.0.0",
    labels: Mapping[str, str] | None = None,
    pod_annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A Deployment of one container with a port named http; spec members are added as they are given."""
    selector = {"app": name}
    metadata: Object = {"labels": selector | dict(labels or {})}
    if pod_annotations:
        metadata["annotations"] = dict(pod_annotations)
    container = {"name": name, "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(selector)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {"metadata": metadata, "spec": {"containers": [container]}},
            **spec,
        },
    }


def statefulset(name: str, *, replicas: int = 3, **members: Any) -> Object:
    """A StatefulSet as a Deployment of these members would be, with a Service of its name."""
    made = deployment(name, replicas=replicas, **members)
    return {**made, "kind": "StatefulSet", "spec": {**made["spec"], "serviceName": name}}


def daemonset(name: str, **members: Any) -> Object:
    """A DaemonSet as a Deployment of these members would be, with a pod on every node."""
    made = deployment(name, **members)
    spec = {key: value for key, value in made["spec"].items() if key != "replicas"}
    return {**made, "kind": "DaemonSet", "spec": spec}


def service(
    name: str = "payment-service", *, namespace: str = "default", app: str | None = None, **spec: Any
) -> Object:
    """A Service that selects the pods of the Deployment called app, by default its own name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app or name}},
        "spec": {
            "selector": {"app": app or name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            **spec,
        },
    }
