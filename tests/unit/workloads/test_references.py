"""What a pod template needs to exist beside it."""

from __future__ import annotations

from typing import Any

import pytest

from responder.workloads.references import Reference, find_references


def spec(**members: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app"}], **members}}


def container(**members: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", **members}]}}


def variable(**source: Any) -> dict[str, Any]:
    return container(env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": source}])


@pytest.mark.parametrize(
    ("template", "needed"),
    [
        ({}, ()),
        (spec(serviceAccountName="runner"), (Reference("ServiceAccount", "runner"),)),
        (
            spec(volumes=[{"persistentVolumeClaim": {"claimName": "data"}}]),
            (Reference("PersistentVolumeClaim", "data"),),
        ),
        (spec(volumes=[{"configMap": {"name": "app"}}]), (Reference("ConfigMap", "app"),)),
        (spec(volumes=[{"configMap": {"name": "app", "optional": True}}]), ()),
        (
            spec(volumes=[{"configMap": {"name": "app", "items": [{"key": "b"}, {"key": "a"}]}}]),
            (Reference("ConfigMap", "app", ("a", "b")),),
        ),
        (spec(volumes=[{"secret": {"secretName": "tls"}}]), (Reference("Secret", "tls"),)),
        (
            spec(
                volumes=[
                    {"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "b"}}]}}
                ]
            ),
            (Reference("ConfigMap", "a"), Reference("Secret", "b")),
        ),
        (container(envFrom=[{"configMapRef": {"name": "app"}}]), (Reference("ConfigMap", "app"),)),
        (container(envFrom=[{"secretRef": {"name": "app", "optional": True}}]), ()),
        (variable(configMapKeyRef={"name": "app", "key": "url"}), (Reference("ConfigMap", "app", ("url",)),)),
        (variable(secretKeyRef={"name": "app", "key": "url"}), (Reference("Secret", "app", ("url",)),)),
        (variable(configMapKeyRef={"name": "app", "key": "url", "optional": True}), ()),
        (variable(fieldRef={"fieldPath": "metadata.name"}), ()),
        (spec(volumes=[{"emptyDir": {}}]), ()),
        (
            spec(initContainers=[{"envFrom": [{"configMapRef": {"name": "first"}}]}]),
            (Reference("ConfigMap", "first"),),
        ),
    ],
)
def test_what_a_template_needs(template: dict[str, Any], needed: tuple[Reference, ...]) -> None:
    assert find_references(template) == needed


def test_an_object_named_twice_is_looked_at_once() -> None:
    template = variable(configMapKeyRef={"name": "app", "key": "url"})
    template["spec"]["volumes"] = [{"configMap": {"name": "app", "items": [{"key": "log.yaml"}]}}]
    assert find_references(template) == (Reference("ConfigMap", "app", ("log.yaml", "url")),)
