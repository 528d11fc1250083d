"""kubectl and a sandbox to drive with it; without kubectl these tests say so and are skipped."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from responder.clock import SystemClock
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.cluster import Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, find_kubectl
from tests.shared import CHECKOUT

LIMITED_TOKEN = "of-limited"


class KubectlAs(Protocol):
    """Makes a kubectl for a namespace and a user."""

    def __call__(self, namespace: str, *, limited: bool = False) -> Kubectl: ...


@pytest.fixture(scope="session")
def binary() -> Path:
    """The locked kubectl; skips without it, or fails when RESPONDER_REQUIRE_REAL=1 (as CI sets)."""
    found = find_kubectl()
    if found is not None:
        return found
    reason = "kubectl is missing beside the interpreter: `make venv` installs it where there is one"
    if os.environ.get("RESPONDER_REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A sandbox in real time with a namespace of the test's own and our definitions."""
    tokens = Tokens({ADMIN_TOKEN: ADMIN, LIMITED_TOKEN: User("limited")})
    async with Cluster.start(clock=SystemClock(), tokens=tokens) as cluster:
        cluster.store.create("namespaces", {"metadata": {"name": NAMESPACE}}, manager="tests")
        for path in sorted((CHECKOUT / "deploy" / "base" / "crds").glob("*.yaml")):
            cluster.apply(yaml.safe_load(path.read_text(encoding="utf-8")))
        yield cluster


@pytest.fixture
def kubectl_as(binary: Path, cluster: Cluster, tmp_path: Path) -> KubectlAs:
    """Make a kubectl for a namespace: as the administrator, or as "limited", who may do what roles allow."""

    def make(namespace: str, *, limited: bool = False) -> Kubectl:
        token = LIMITED_TOKEN if limited else ADMIN_TOKEN
        return Kubectl(binary, tmp_path, cluster.kubeconfig(token, namespace, for_kubectl=True))

    return make


@pytest.fixture
def kubectl(kubectl_as: KubectlAs) -> Kubectl:
    """kubectl as the sandbox's administrator."""
    return kubectl_as(NAMESPACE)


@pytest.fixture
def limited(kubectl_as: KubectlAs) -> Kubectl:
    """kubectl as the user "limited"."""
    return kubectl_as(NAMESPACE, limited=True)
