"""The subjects of the contract: the sandbox, and any cluster that KUBECONFIG names. One namespace a story.

Both are spoken to through the responder's own client and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from responder.clients.kubernetes import AlreadyExists, Kubernetes, NotFound, Object, connect, paths
from responder.clock import Clock, SystemClock
from responder.sandbox.api.server import kubeconfig
from responder.sandbox.cluster import Cluster
from responder.sandbox.manifests import deployment, service
from responder.sandbox.virtual_time import LoopClock
from responder.workloads.key import WorkloadKey
from responder.workloads.workload import Deployment
from tests.contract.kubelet import has_kubelet, playing_kubelet
from tests.shared import CHECKOUT, run_story

NAME = "payment-service"
VERSION = "contract/version"
NAMESPACES = "/api/v1/namespaces"
SETTLED_WITHIN_SECONDS = 180

SANDBOX, WITHOUT_KUBELET, CLUSTER = "sandbox", "sandbox-without-kubelet", "cluster"
SUBJECTS = (SANDBOX, WITHOUT_KUBELET, CLUSTER)

# What a story could not look at on the cluster it ran on, for the last lines of the run.
LEFT_OUT: list[str] = []
# Our definitions that were put into a cluster, to be taken away at the end of the run.
_APPLIED: set[str] = set()


@dataclass(slots=True)
class Subject:
    """A cluster under contract, and an empty namespace in it."""

    name: str
    api: Kubernetes
    clock: Clock
    namespace: str
    kubeconfig: Path
    image: str
    # Makes the server forget what has passed; False where only time does.
    forget_history: Callable[[], bool] = field(default=lambda: False)

    @property
    def key(self) -> WorkloadKey:
        return WorkloadKey(self.namespace, "Deployment", NAME)

    @property
    def path(self) -> str:
        """The Deployment's."""
        return paths.deployment(self.namespace, NAME)

    def leave_out(self, what: str) -> None:
        """Say at the end that this could not be looked at here."""
        LEFT_OUT.append(f"{self.name}: {what}")

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for it; AssertionError when it takes too long."""
        deadline = asyncio.get_running_loop().time() + SETTLED_WITHIN_SECONDS
        while not await condition():
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not within a few minutes"
            await self.clock.sleep(0.2)

    async def deployment(self) -> Deployment:
        return Deployment(await self.api.get(self.path))

    def manifest(self, version: str, replicas: int = 2) -> Object:
        """The Deployment as a delivery would send it."""
        return deployment(
            NAME,
            namespace=self.namespace,
            replicas=replicas,
            image=self.image,
            pod_annotations={VERSION: version},
        )

    async def create(self, version: str = "v1", replicas: int = 2) -> None:
        """Create the Deployment and its Service and wait until it is complete."""
        await self.api.create(paths.services(self.namespace), service(NAME, namespace=self.namespace))
        await self.api.create(paths.deployments(self.namespace), self.manifest(version, replicas))
        await self.complete()

    async def release(self, version: str) -> None:
        """Release a version and wait until it is complete."""
        template = {"metadata": {"annotations": {VERSION: version}}}
        await self.api.merge_patch(self.path, {"spec": {"template": template}})
        await self.complete()

    async def complete(self) -> None:
        """Wait until the rollout is over, no pod of another revision being left."""

        async def over() -> bool:
            found = await self.deployment()
            pods = (await self.api.list(paths.pods(self.namespace))).items
            counts = {found.count(n) for n in ("replicas", "updatedReplicas", "availableReplicas")}
            observed = found.count("observedGeneration") >= found.generation
            return observed and counts == {found.replicas} and len(pods) == found.replicas

        await self.until(over, "the rollout")

    async def replicaset(self, version: str) -> Object:
        """The ReplicaSet of a version."""
        found = (await self.api.list(paths.replicasets(self.namespace))).items
        (only,) = [rs for rs in found if version_of(rs) == version]
        return only

    async def client_with(self, token: str, folder: Path) -> Kubernetes:
        """A client for the bearer of another token; close it."""
        content = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        for user in content["users"]:
            user["user"] = {"token": token}
        path = folder / "other"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return await connect(path, clock=self.clock)


Story = Callable[[Subject], Awaitable[None]]


def version_of(obj: Object) -> str:
    """The version in a template."""
    return str((obj["spec"]["template"]["metadata"].get("annotations") or {}).get(VERSION))


def why_no_cluster() -> str | None:
    """Why the cluster is not looked at; None when it is."""
    if os.environ.get("CONTRACT") != "1":
        return "CONTRACT=1 is not set, so no cluster was touched"
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    return None


def play(name: str, story: Story, folder: Path) -> None:
    """Tell the story on the subject: the sandbox on virtual time, a cluster on real time."""
    if name == CLUSTER:
        asyncio.run(_on_cluster(story))
    else:
        run_story(_on_sandbox(name, story, folder))


async def _on_sandbox(name: str, story: Story, folder: Path) -> None:
    clock = LoopClock(datetime(2026, 3, 1, 10, tzinfo=UTC))
    async with Cluster.start(clock=clock) as cluster:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(cluster.url)), encoding="utf-8")
        if name == WITHOUT_KUBELET:
            cluster.controllers.stall("kubelet")
            for node in cluster.store.list("nodes"):
                cluster.store.delete("nodes", "", node["metadata"]["name"])
        store = cluster.store
        async with _subject(name, path, clock) as subject:

            def forget_history() -> bool:
                store.history.compact(store.resource_version)
                return True

            subject.forget_history = forget_history
            await story(subject)


async def _on_cluster(story: Story) -> None:
    clock = SystemClock()
    async with _subject(CLUSTER, Path(os.environ["KUBECONFIG"]), clock) as subject:
        await story(subject)


@asynccontextmanager
async def _subject(name: str, path: Path, clock: Clock) -> AsyncIterator[Subject]:
    namespace = f"contract-{uuid.uuid4().hex[:8]}"
    image = os.environ.get("CONTRACT_IMAGE", "registry.k8s.io/pause:3.10")
    async with AsyncExitStack() as stack:
        api = await connect(path, clock=clock)
        stack.push_async_callback(api.close)
        applied = await _define(api, clock)
        if name == CLUSTER:
            _APPLIED.update(applied)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await api.create(NAMESPACES, body)
        stack.push_async_callback(_remove, api, namespace)
        if not await has_kubelet(api):
            await stack.enter_async_context(playing_kubelet(api, namespace, clock))
        yield Subject(name, api, clock, namespace, path, image)


async def _remove(api: Kubernetes, namespace: str) -> None:
    """Delete the Deployments first, so that what a played kubelet has to let go is not left hanging."""
    for pod in (await api.list(paths.pods(namespace))).items:
        name = pod["metadata"]["name"]
        if pod["spec"].get("nodeName", "").startswith(namespace):
            await _delete(api, f"{paths.named(paths.pods(namespace), name)}?gracePeriodSeconds=0")
    await _delete(api, paths.namespace(namespace))


async def _delete(api: Kubernetes, path: str) -> None:
    try:
        await api.delete(path)
    except NotFound:
        return


async def _define(api: Kubernetes, clock: Clock) -> list[str]:
    """Apply our definitions where they are missing and wait until they are established; names of those."""
    applied = []
    for file in sorted((CHECKOUT / "deploy" / "base" / "crds").glob("*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        try:
            await api.create(paths.custom_resource_definitions(), definition)
        except AlreadyExists:
            continue
        applied.append(str(definition["metadata"]["name"]))
    while not all(map(established, (await api.list(paths.custom_resource_definitions())).items)):
        await clock.sleep(0.2)
    return applied


def take_definitions_away() -> None:
    """Remove from the cluster the definitions that a story had to apply."""

    async def remove() -> None:
        api = await connect(Path(os.environ["KUBECONFIG"]), clock=SystemClock())
        try:
            for name in sorted(_APPLIED):
                await _delete(api, paths.named(paths.custom_resource_definitions(), name))
        finally:
            await api.close()

    if _APPLIED:
        asyncio.run(remove())


def established(definition: Object) -> bool:
    """Whether the API serves what a definition defines."""
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
