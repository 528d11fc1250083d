"""A Deployment on the simulated cluster, to be undone over HTTP: the scene of the undo tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from responder.actions.rollback import Attempt, Result, roll_back
from responder.actions.undo import Fence
from responder.clients.kubernetes import Kubernetes, connect
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.faults import Effect, FaultRule
from responder.sandbox.api.objects import Object
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import DEPLOYMENTS, Cluster
from responder.sandbox.manifests import deployment
from responder.sandbox.virtual_time import LoopClock
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from tests.shared import run_story

NAMESPACE, NAME = "payments", "payment-service"
KEY = WorkloadKey(NAMESPACE, "Deployment", NAME)
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
REPLICASETS = "replicasets.apps"
NEVER_READY = {"sandbox.responder.dev/never-ready": "true"}

Edit = Callable[[Object], Any]


@dataclass
class Scene:
    """A cluster with the workload, a client of its API, and the templates that the workload had so far."""

    cluster: Cluster
    api: Kubernetes
    versions: list[str] = field(default_factory=list)

    async def release(self, *versions: str, **annotations: str) -> None:
        """Release the versions, each complete before the next."""
        for version in versions:
            self.release_at_once(version, **annotations)
            await self.cluster.rollout_complete(NAMESPACE, NAME)

    def release_at_once(self, version: str, **annotations: str) -> None:
        self.cluster.release(
            NAMESPACE,
            NAME,
            image=f"app:{version}",
            annotations=annotations,
            change_cause=f"release {version}",
        )

    def edit(self, change: Edit) -> None:
        """Change the Deployment as somebody else does."""
        found = self.deployment()
        change(found)
        self.cluster.store.update(DEPLOYMENTS, found, manager="somebody")

    def deployment(self) -> Object:
        return self.cluster.deployment(NAMESPACE, NAME)

    def replicasets(self) -> list[Object]:
        return self.cluster.store.list(REPLICASETS, NAMESPACE)

    def history(self) -> History:
        return parse_history(self.deployment(), self.replicasets())

    def uid(self, version: str) -> str:
        """The ReplicaSet of a version."""
        (found,) = [rs for rs in self.replicasets() if version_of(rs) == version]
        return str(found["metadata"]["uid"])

    def attempt(self, bad: str = "v2", target: str = "v1", fence: str = "incident.1") -> Attempt:
        """An undo as it is decided now."""
        found, of_bad = self.history().workload, self.history().by_uid(self.uid(bad))
        return Attempt(
            key=KEY,
            workload_uid=found.uid,
            bad_uid=self.uid(bad),
            target_uid=self.uid(target),
            fence=Fence(found.fence, fence),
            freezes_overruled=(),
            tried_at=self.cluster.clock.now(),
            generation=found.generation,
            bad_number=None if of_bad is None else of_bad.number,
            intended_at=self.cluster.clock.now(),
        )

    async def undo(self, attempt: Attempt, meanwhile: Callable[[], Any] | None = None) -> Result:
        """Carry it out on a history that was read before `meanwhile` happened."""
        history = self.history()
        if meanwhile is not None:
            meanwhile()
        return await roll_back(self.api, attempt, history)

    def strike(self, effect: Effect, count: int = 1) -> None:
        """Let the effect hit the next patches of the Deployment."""
        self.cluster.faults.add(FaultRule("PATCH", f"/deployments/{NAME}", effect, count))

    def note(self, event: Event) -> None:
        if event.resource.key == DEPLOYMENTS and self.versions[-1:] != [version_of(event.object)]:
            self.versions.append(version_of(event.object))


def version_of(obj: Object) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"]).removeprefix("app:")


@asynccontextmanager
async def staged(tmp_path: Path, *versions: str) -> AsyncIterator[Scene]:
    """A scene with the versions released, each complete."""
    clock = LoopClock(START)
    tokens = Tokens({"admin": ADMIN, "reader": User("reader", ("readers",))})
    async with Cluster.start(clock=clock, tokens=tokens) as cluster:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(cluster.kubeconfig()))
        api = await connect(tmp_path / "kubeconfig", clock=clock)
        scene = Scene(cluster, api)
        unsubscribe = cluster.store.subscribe(scene.note)
        try:
            first, *others = versions or ("v1", "v2")
            cluster.apply(deployment(NAME, namespace=NAMESPACE, image=f"app:{first}"))
            await cluster.rollout_complete(NAMESPACE, NAME)
            await scene.release(*others)
            yield scene
        finally:
            unsubscribe()
            await api.close()


def play(tmp_path: Path, story: Callable[[Scene], Awaitable[None]], *versions: str) -> None:
    async def main() -> None:
        async with staged(tmp_path, *versions) as scene:
            await story(scene)

    run_story(main())


def recreate(scene: Scene, *, orphan: bool) -> None:
    """Delete the Deployment and make it anew; orphaned ReplicaSets are adopted by the new one."""
    old = scene.deployment()
    scene.cluster.store.delete(DEPLOYMENTS, NAMESPACE, NAME)
    if orphan:
        for rs in scene.replicasets():
            del rs["metadata"]["ownerReferences"]
            scene.cluster.store.update(REPLICASETS, rs, manager="garbage-collector")
    spec = old["spec"]
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": old["metadata"]["labels"]}
    scene.cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
