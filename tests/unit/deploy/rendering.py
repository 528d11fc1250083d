"""What kustomize makes of deploy/, by the locked kubectl; tests that need it are skipped without it."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubectl.running import find_kubectl
from tests.shared import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
BASE = DEPLOY / "base"
OVERLAY = DEPLOY / "overlays" / "payment-service"
COMPONENTS = DEPLOY / "components"

Manifest = dict[str, Any]


@cache
def _render(folder: Path) -> str:
    kubectl = find_kubectl()
    if kubectl is None:
        reason = "kubectl is missing beside the interpreter: `make venv` installs it where there is one"
        if os.environ.get("RESPONDER_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def render(folder: Path) -> list[Manifest]:
    """Every object of a kustomization, in the order in which they are applied."""
    return list(yaml.safe_load_all(_render(folder)))


def render_with(folder: Path, *components: str) -> list[Manifest]:
    """Every object of the overlay with components taken in; folder is an empty one that the test has."""
    taken = [os.path.relpath(COMPONENTS / name, folder.resolve()) for name in components]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(OVERLAY, folder.resolve())],
        "components": taken,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return render(folder)


def load(name: str) -> list[Manifest]:
    """The documents of a file of deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def find(kind: str, name: str = "responder", among: list[Manifest] | None = None) -> Manifest:
    """The one object of a kind and name; a ConfigMap's name without the hash at its end."""
    objects = render(OVERLAY) if among is None else among
    (found,) = [each for each in objects if each["kind"] == kind and _plain_name(each) == name]
    return found


def _plain_name(obj: Manifest) -> str:
    name: str = obj["metadata"]["name"]
    return name.rpartition("-")[0] if obj["kind"] == "ConfigMap" else name


def pod_spec() -> dict[str, Any]:
    """The responder's pod."""
    return dict(find("Deployment")["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    """The pod's one container."""
    (only,) = pod_spec()["containers"]
    return dict(only)


Grant = tuple[str, str, str]


def grants(role: Manifest) -> set[Grant]:
    """Everything a role allows, one (verb, group, resource) each."""
    return {
        (verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
