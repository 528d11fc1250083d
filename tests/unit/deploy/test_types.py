"""Every object has the shape that Kubernetes gives its kind: no field is misspelt or in a wrong place."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient

from tests.unit.deploy.rendering import Manifest, find, load, render_with


async def understood(obj: Manifest) -> Any:
    """What is left of an object after the library's types, which are generated from Kubernetes' own."""
    async with ApiClient() as api:
        model = api.deserialize(SimpleNamespace(data=json.dumps(obj)), f"V1{obj['kind']}")
        return api.sanitize_for_serialization(model)


async def test_every_object_is_understood_whole(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "every-namespace", "secrets", "stuck-pods", "argo-cd", "flux")
    for obj in [*objects, *load("secret.example.yaml"), *load("ingress.example.yaml")]:
        assert await understood(obj) == obj, f"{obj['kind']} {obj['metadata']['name']}"


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("Deployment", lambda spec: spec["template"]["spec"].update(terminationGraceSeconds=5)),
        ("Deployment", lambda spec: spec["template"]["spec"]["containers"][0].update(envfrom=[])),
        ("PodDisruptionBudget", lambda spec: spec.update(minimum=1)),
        ("NetworkPolicy", lambda spec: spec["egress"][0].update(port=53)),
    ],
)
async def test_a_misspelt_field_is_noticed(kind: str, spoil: Callable[[Any], None]) -> None:
    obj = deepcopy(find(kind))
    spoil(obj["spec"])
    assert await understood(obj) != obj
