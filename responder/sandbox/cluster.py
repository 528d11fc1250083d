"""The simulated cluster in one piece: store, controllers, API server, and what a scenario does to them.

Started by the demo, the sandbox command and tests. What it offers beyond the API is for setting scenes and
for waiting; a judge reads the store and the request log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from responder.clock import Clock
from responder.errors import ResponderError
from responder.sandbox.api.access import Tokens
from responder.sandbox.api.admission import Admission
from responder.sandbox.api.disturbances import Disturbance
from responder.sandbox.api.fault_plan import FaultPlan
from responder.sandbox.api.faults import Faults
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.request_log import RequestLog
from responder.sandbox.api.server import ADMIN_TOKEN, ApiServer, kubeconfig
from responder.sandbox.api.store import Store
from responder.sandbox.controllers.conditions import is_complete
from responder.sandbox.controllers.fields import annotations_of, labels_of, status_of
from responder.sandbox.controllers.runner import Controllers
from responder.sandbox.gate import Gate

DEPLOYMENTS = "deployments.apps"
WORKLOADS = {"Deployment": DEPLOYMENTS, "StatefulSet": "statefulsets.apps", "DaemonSet": "daemonsets.apps"}
_MANAGER = "kubectl"


class Cluster:
    """A running simulated cluster: url is its API server's, store what it holds, clock its time."""

    def __init__(self, server: ApiServer, controllers: Controllers, url: str, clock: Clock) -> None:
        self.store = server.store
        self.controllers = controllers
        self.url = url
        self.clock = clock
        self._server = server

    @property
    def log(self) -> RequestLog:
        """Every request that came in over HTTP."""
        return self._server.log

    @property
    def faults(self) -> Faults:
        """Switches for what shall go wrong between clients and the API server."""
        return self._server.faults

    def put_gate(self, gate: Gate | None) -> None:
        """Let every request to the API server pass through the gate."""
        self._server.gate = gate

    @property
    def admission(self) -> Admission:
        """Webhooks that shall change or deny what is written."""
        return self.store.admission

    async def play(self, plan: FaultPlan) -> None:
        """Put a plan's fault rules in force and let befall the API server what the plan says, in its time."""
        await self._server.play(plan)

    async def suffer(self, disturbance: Disturbance) -> None:
        """Let it befall the API server now, and return when it is over; its own time is not looked at."""
        await self._server.suffer(disturbance)

    def kubeconfig(
        self, token: str = ADMIN_TOKEN, namespace: str = "default", *, for_kubectl: bool = False
    ) -> dict[str, Any]:
        """A kubeconfig as the bearer of token; for_kubectl: one that names the bearer in the server's URL."""
        return kubeconfig(self.url, token, namespace, for_kubectl=for_kubectl)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        *,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Tokens | None = None,
        seed: int = 0,
        pod_network: str = "10.244.0.0/16",
        endpoints_per_slice: int = 100,
        pass_interval_seconds: float = 0.015,
    ) -> AsyncIterator[Cluster]:
        """Run a new cluster while the context lasts.

        port 0 takes a free one; tokens tells who may come in (None: only the bearer of "admin"); seed fixes
        uids and the random ends of names.
        """
        store = Store(clock, seed=seed)
        controllers = Controllers(
            store,
            clock,
            pod_network=pod_network,
            endpoints_per_slice=endpoints_per_slice,
            pass_interval_seconds=pass_interval_seconds,
        )
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            running = group.create_task(controllers.run(), name="controllers")
            try:
                server = ApiServer(store, tokens)
                async with server.listening(host, port) as url:
                    yield cls(server, controllers, url, clock)
            except Exception as error:  # noqa: BLE001 - raised below as it is, not wrapped in a group
                failure = error
            finally:
                running.cancel()
        if failure is not None:
            raise failure

    def apply(self, manifest: Object) -> Object:
        """Create the object, or give the one there the manifest's spec and add its labels and annotations."""
        resource = self.store.catalog.by_kind(manifest["apiVersion"], manifest["kind"])
        if resource is None:
            kind = f"{manifest['apiVersion']} {manifest['kind']}"
            raise ResponderError(f"the sandbox serves no {kind}: apply its definition first")
        current = self.store.get(resource.key, namespace_of(manifest), name_of(manifest))
        if current is None:
            return self.store.create(resource.key, manifest, manager=_MANAGER)
        metadata = current["metadata"]
        metadata["labels"] = labels_of(current) | labels_of(manifest)
        metadata["annotations"] = annotations_of(current) | annotations_of(manifest)
        body = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
        return self.store.update(resource.key, {**current, **body}, manager=_MANAGER)

    def release(
        self,
        namespace: str,
        name: str,
        *,
        image: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        change_cause: str | None = None,
        kind: str = "Deployment",
    ) -> Object:
        """Change a workload's template as a delivery does: first container's image, labels, annotations."""
        workload = self.workload(kind, namespace, name)
        template = workload["spec"]["template"]
        metadata = template.setdefault("metadata", {})
        if image is not None:
            template["spec"]["containers"][0]["image"] = image
        metadata["labels"] = labels_of(template) | dict(labels or {})
        metadata["annotations"] = annotations_of(template) | dict(annotations or {})
        if change_cause is not None:
            cause = {"kubernetes.io/change-cause": change_cause}
            workload["metadata"]["annotations"] = annotations_of(workload) | cause
        return self.store.update(WORKLOADS[kind], workload, manager=_MANAGER)

    def deployment(self, namespace: str, name: str) -> Object:
        """The Deployment as it is now; ResponderError when there is none."""
        return self.workload("Deployment", namespace, name)

    def workload(self, kind: str, namespace: str, name: str) -> Object:
        """The workload as it is now; ResponderError when there is none."""
        found = self.store.get(WORKLOADS[kind], namespace, name)
        if found is None:
            raise ResponderError(f"the sandbox has no {kind} {namespace}/{name}: apply it first")
        return found

    async def rollout_complete(
        self, namespace: str, name: str, *, timeout_seconds: float = 600, kind: str = "Deployment"
    ) -> Object:
        """Wait until all pods run the workload's template and are available; the workload then."""
        await self.wait_until(
            lambda: _is_rolled_out(self.workload(kind, namespace, name)),
            f"rollout of {namespace}/{name}",
            timeout_seconds=timeout_seconds,
        )
        return self.workload(kind, namespace, name)

    async def wait_until(
        self, condition: Callable[[], bool], what: str, *, timeout_seconds: float = 600
    ) -> None:
        """Wait until condition holds after some write; ResponderError naming what when it takes too long."""
        changed = asyncio.Event()
        unsubscribe = self.store.subscribe(lambda _event: changed.set())
        try:
            async with asyncio.timeout(timeout_seconds):
                while not condition():
                    changed.clear()
                    await changed.wait()
        except TimeoutError as error:
            raise ResponderError(
                f"{what}: not within {timeout_seconds:g} s in the sandbox; read its store for what hinders it"
            ) from error
        finally:
            unsubscribe()


def _is_rolled_out(workload: Object) -> bool:
    """Source: kubectl pkg/polymorphichelpers/rollout_status.go, for StatefulSets and DaemonSets."""
    status = status_of(workload)
    if workload["kind"] == "Deployment":
        return is_complete(workload, status)
    if int(status.get("observedGeneration") or 0) < int(workload["metadata"]["generation"]):
        return False
    if workload["kind"] == "StatefulSet":
        updated, available = status.get("updatedReplicas"), status.get("availableReplicas")
        return bool(updated == available == workload["spec"]["replicas"])
    updated, available = status.get("updatedNumberScheduled"), status.get("numberAvailable")
    return bool(updated == available == status.get("desiredNumberScheduled"))
