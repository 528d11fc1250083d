"""kubectl's own words and exit codes: recorded commands, said again to the sandbox.

The requests in between are sent as they were. What a rollout prints on its way differs from run to run of the
real thing, so of `rollout status` only the last line counts.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from responder.sandbox.api.objects import Object
from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.cluster import Cluster
from tests.kubectl.conftest import KubectlAs
from tests.kubectl.running import Kubectl, service
from tests.shared import require_transcripts

Step = dict[str, Any]
_WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps")
# What kubectl 1.36 says and 1.32, with which was recorded, did not: the name of a port, and a warning.
_NEWER = (
    re.compile(r"(?<=/TCP) \(http\)$", re.MULTILINE),
    re.compile(r"^Warning: resource \S+ was previously managed with 'kubectl apply'\. .*\n", re.MULTILINE),
)
_PLACEHOLDER = re.compile(r"<(?:hash|rand):\d+>")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a recording does not tell: what was done before some steps, and which user took some."""

    steps: range | None = None
    before: Mapping[int, Callable[[Cluster], object]] = field(default_factory=dict)
    limited: tuple[int, ...] = ()


def recorded_deployment(namespace: str) -> Object:
    """The Deployment of the recordings, with two replicas."""
    (path,) = require_transcripts().glob("07a-*.json")
    body = json.loads(path.read_text(encoding="utf-8"))["steps"][12]["request"]["body"]
    metadata = {**body["metadata"], "name": "payment-service", "namespace": namespace}
    return {**body, "metadata": metadata, "spec": {**body["spec"], "replicas": 2}}


def set_up(cluster: Cluster) -> None:
    """What scenario 04 finds made."""
    cluster.apply(recorded_deployment("rec-04"))
    metadata = {"name": "payment-service", "namespace": "rec-04"}
    cluster.apply({**service("payment-service"), "metadata": metadata})


def release(cluster: Cluster) -> None:
    """The second release of scenario 04, which its recording leaves out."""
    cause = "release 1.1.0"
    image = "registry.example/payments/payment-service:1.1.0"
    cluster.release("rec-04", "payment-service", image=image, change_cause=cause)


def let_read(cluster: Cluster) -> None:
    """Let the user "limited" read, and no more."""
    rules = [{"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    role = {"metadata": {"name": "reader", "namespace": "rec-04"}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}
    cluster.store.create("roles.rbac.authorization.k8s.io", {**role, "rules": rules}, manager="tests")
    binding = {**role, "roleRef": reference, "subjects": [subject]}
    cluster.store.create("rolebindings.rbac.authorization.k8s.io", binding, manager="tests")


SCENES: Mapping[str, Scene] = {
    "03": Scene(),
    "04": Scene(
        before={
            0: set_up,
            2: release,
            20: let_read,
        },
        limited=(20,),
    ),
    "10a": Scene(steps=range(30)),
    "10b": Scene(steps=range(30)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCENES))
async def test_kubectl_says_what_it_said_to_a_real_server(
    name: str, cluster: Cluster, kubectl_as: KubectlAs
) -> None:
    (path,) = require_transcripts().glob(f"{name}-*.json")
    steps: list[Step] = json.loads(path.read_text(encoding="utf-8"))["steps"]
    scene, namespace = SCENES[name], f"rec-{name}"
    cluster.store.create("namespaces", {"metadata": {"name": namespace}}, manager="tests")
    admin, limited = kubectl_as(namespace), kubectl_as(namespace, limited=True)
    said = 0
    for index, step in enumerate(steps):
        if scene.steps is not None and index not in scene.steps:
            continue
        if index in scene.before:
            scene.before[index](cluster)
        if "--timeout" not in step.get("kubectl", "") and index not in scene.limited:
            await cluster.wait_until(
                lambda: is_settled(cluster, namespace), f"step {index}", timeout_seconds=30
            )
        if "kubectl" in step:
            await say(limited if index in scene.limited else admin, index, step)
            said += 1
        elif step.get("request", {}).get("method", "GET") != "GET":
            await send(cluster, step["request"], step["response"]["status"])
    assert said >= 10


async def say(kubectl: Kubectl, index: int, step: Step) -> None:
    """Run a recorded command and compare how it ends and what it prints."""
    words = shlex.split(step["kubectl"])[1:]
    stdin = step.get("stdin")
    found = await kubectl.run(*words, stdin=stdin)
    where = f"step {index}: {step['kubectl']}: {found}"
    assert found.exit_code == step["exit_code"], where
    assert agrees(step["stderr"], found.stderr), where
    wanted, printed = step["stdout"], found.stdout
    if words[:2] == ["rollout", "status"]:
        wanted, printed = wanted.splitlines()[-1], printed.splitlines()[-1]
    assert agrees(wanted, printed), where


def agrees(wanted: str, printed: str) -> bool:
    """Compare texts, in which placeholders stand for what is random."""
    for newer in _NEWER:
        printed = newer.sub("", printed)
    parts = [re.escape(part) for part in _PLACEHOLDER.split(wanted)]
    return re.fullmatch(r"[a-z0-9]+".join(parts), printed) is not None


async def send(cluster: Cluster, request: Step, status: int) -> None:
    """Send a recorded request."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": request["headers"]["content-type"]}
    body = json.dumps(request["body"]).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            request["method"], cluster.url + request["path"], data=body, headers=headers
        ) as answer,
    ):
        assert answer.status == status, await answer.text()


def is_settled(cluster: Cluster, namespace: str) -> bool:
    """Tell whether the controllers have nothing more to do."""
    return all(at_rest(obj) for key in _WORKLOADS for obj in cluster.store.scan(key, namespace))


def at_rest(obj: Object) -> bool:
    """Tell whether a workload has what it wants, or is paused."""
    status, spec = obj.get("status") or {}, obj["spec"]
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return False
    if spec.get("paused"):
        return True
    if obj["kind"] == "DaemonSet":
        numbers = ("updatedNumberScheduled", "numberAvailable", "numberReady")
        return all(status.get(number, 0) == status["desiredNumberScheduled"] for number in numbers)
    numbers = ("replicas", "updatedReplicas", "availableReplicas")
    updated = obj["kind"] == "Deployment" or status.get("currentRevision") == status.get("updateRevision")
    return updated and all(status.get(number, 0) == spec["replicas"] for number in numbers)
