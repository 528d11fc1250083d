"""What the tests of the API server share: manifests, and a store on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from responder.sandbox.api.store import Object, Store
from responder.sandbox.virtual_time import LoopClock

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]


@pytest.fixture
def make_store() -> MakeStore:
    """Make a store; to be called on the loop."""
    return lambda: Store(LoopClock(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.fixture
def make_deployment() -> MakeObject:
    """Make a minimal Deployment manifest."""

    def make(name: str = "payment-service", **spec: object) -> Object:
        labels = {"app": "payment-service"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
        }

    return make


@pytest.fixture
def definition() -> Object:
    """A definition of a custom resource with a schema and a status subresource."""
    spec = {
        "type": "object",
        "required": ["target"],
        "properties": {
            "target": {
                "type": "string",
                "minLength": 1,
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "target is immutable"}],
            },
            "severity": {"type": "string", "enum": ["low", "high"], "default": "low"},
            "attempts": {"type": "integer", "minimum": 0},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    status = {"type": "object", "properties": {"phase": {"type": "string"}}}
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": spec, "status": status}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".spec.severity"}],
    }
    return {
        "metadata": {"name": "alarms.example.dev"},
        "spec": {
            "group": "example.dev",
            "scope": "Namespaced",
            "names": {"plural": "alarms", "kind": "Alarm"},
            "versions": [version],
        },
    }
