"""Workloads to roll back: each in a namespace of its own, with a good first and a bad second version.

They stand on the simulated cluster or on a real one; both are spoken to over the API alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import yaml

from responder.clock import Clock
from responder.sandbox.api.objects import Object
from responder.sandbox.bench.api import MERGE_PATCH, Api, BenchError
from responder.sandbox.manifests import deployment, service

NAME = "bench"
MARK = "bench"
VERSION = "bench/version"
_IMAGE = "registry.k8s.io/pause:3.10"
_AT_ONCE = 8
_POLL_SECONDS = 0.25
_WITHIN_SECONDS = 120.0

# Every guard passes with these: a clean gap, samples enough, and nothing that has to be waited for.
METRIC = {
    "unit": "ratio",
    "range": "1s",
    "query": "sum(rate(bench_share{$selector}[$range]))",
    "samples": "sum(increase(bench_requests_total{$selector}[$range]))",
    "bad_samples": "sum(increase(bench_errors_total{$selector}[$range]))",
}
_ROLLBACK = {"clean_gap": "30s", "hold": "1s", "settle": "0s", "good_windows": 1}


class Named(Protocol):
    """What a workload is found by."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment called NAME in the namespace."""

    namespace: str

    @property
    def name(self) -> str:
        return NAME

    @property
    def deployments(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments"

    @property
    def path(self) -> str:
        return f"{self.deployments}/{NAME}"

    @property
    def record(self) -> str:
        """Where the responder remembers what served when."""
        records = f"/apis/responder.dev/v1alpha1/namespaces/{self.namespace}/workloadrecords"
        return f"{records}/deployment-{NAME}"

    def rules(self) -> dict[str, Any]:
        """Its rule file: one alert, rolled back at once."""
        alert = {"if": "error_rate > 1%", "for": "0s", "severity": "critical", "action": "rollback"}
        return {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "RuleFile",
            "service": self.namespace,
            "workload": {"namespace": self.namespace, "deployment": NAME},
            "metrics": {"error_rate": METRIC},
            "alerts": {"high-error-rate": {**alert, "notify": ["slack"]}},
            "rollback": _ROLLBACK,
        }

    def delivery(self, starts_at: datetime) -> dict[str, Any]:
        """What Alertmanager posts when the alert fires."""
        labels = {
            "alertname": "HighErrorRate",
            "namespace": self.namespace,
            "deployment": NAME,
            "responder_rule": f"{self.namespace}/high-error-rate",
        }
        alert = {
            "status": "firing",
            "labels": labels,
            "annotations": {},
            "startsAt": starts_at.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{crc32(self.namespace.encode()):016x}",
        }
        return {
            "version": "4",
            "groupKey": f"{{}}:{{namespace={self.namespace!r}}}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "responder",
            "groupLabels": {},
            "commonLabels": labels,
            "commonAnnotations": {},
            "externalURL": "",
            "alerts": [alert],
        }


def write_rules(workloads: Sequence[Workload], folder: Path) -> Path:
    """One rule file for each workload."""
    folder.mkdir(parents=True, exist_ok=True)
    for workload in workloads:
        text = yaml.safe_dump(workload.rules(), sort_keys=False)
        (folder / f"{workload.namespace}.yaml").write_text(text, encoding="utf-8")
    return folder


def version_of(obj: Object) -> str:
    """The version that a Deployment's template names."""
    annotations = obj["spec"]["template"]["metadata"].get("annotations") or {}
    return str(annotations.get(VERSION, ""))


async def create(api: Api, workloads: Sequence[Workload], clock: Clock) -> None:
    """Create the workloads and wait until their first version is complete."""

    async def one(workload: Workload) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": workload.namespace}}
        await api.request("POST", "/api/v1/namespaces", namespace)
        manifest = deployment(
            NAME, namespace=workload.namespace, replicas=1, image=_IMAGE, pod_annotations={VERSION: "v1"}
        )
        manifest["metadata"]["labels"][MARK] = "yes"
        await api.request("POST", workload.deployments, manifest)
        services = f"/api/v1/namespaces/{workload.namespace}/services"
        await api.request("POST", services, service(NAME, namespace=workload.namespace))

    await _each(workloads, one)
    await complete(api, workloads, clock)


async def release_bad(api: Api, workloads: Sequence[Workload], clock: Clock) -> None:
    """Release the second version everywhere and wait until it is complete."""

    async def one(workload: Workload) -> None:
        template = {"metadata": {"annotations": {VERSION: "v2"}}}
        await api.request("PATCH", workload.path, {"spec": {"template": template}}, content_type=MERGE_PATCH)

    await _each(workloads, one)
    await complete(api, workloads, clock)


async def complete(api: Api, workloads: Sequence[Workload], clock: Clock) -> None:
    """Wait until the workloads' rollouts are over."""
    wanted = {workload.namespace for workload in workloads}

    async def over() -> bool:
        found = await api.items(f"/apis/apps/v1/deployments?labelSelector={MARK}%3Dyes")
        return wanted <= {obj["metadata"]["namespace"] for obj in found if _complete(obj)}

    await until(over, f"the rollouts of {len(workloads)} workloads", clock)


async def remembered(
    api: Api,
    workloads: Sequence[Named],
    revisions: int,
    clock: Clock,
    *,
    every_seconds: float = _POLL_SECONDS,
    within_seconds: float = _WITHIN_SECONDS,
) -> None:
    """Wait until the responder has seen that many revisions of each workload complete."""

    async def seen() -> bool:
        found = await api.items("/apis/responder.dev/v1alpha1/workloadrecords")
        servings = {
            (obj["metadata"]["namespace"], obj["spec"]["workload"]["name"]): obj["spec"].get("servings") or []
            for obj in found
        }
        known = [servings.get((each.namespace, each.name), []) for each in workloads]
        return all(len(each) >= revisions and each[-1].get("completeAt") for each in known)

    what = f"the ledgers of {len(workloads)} workloads"
    await until(seen, what, clock, every_seconds=every_seconds, within_seconds=within_seconds)


async def until(
    condition: Callable[[], Awaitable[bool]],
    what: str,
    clock: Clock,
    *,
    every_seconds: float = _POLL_SECONDS,
    within_seconds: float = _WITHIN_SECONDS,
) -> None:
    """Ask until it is true. Raises BenchError when that takes too long."""
    deadline = asyncio.get_running_loop().time() + within_seconds
    while not await condition():
        if asyncio.get_running_loop().time() > deadline:
            raise BenchError(f"bench: {what}: not within {within_seconds:g} s")
        await clock.sleep(every_seconds)


async def _each(workloads: Sequence[Workload], work: Callable[[Workload], Awaitable[None]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def limited(workload: Workload) -> None:
        async with limit:
            await work(workload)

    async with asyncio.TaskGroup() as group:
        for workload in workloads:
            group.create_task(limited(workload))


def _complete(obj: Object) -> bool:
    status, replicas = obj.get("status") or {}, obj["spec"]["replicas"]
    observed = int(status.get("observedGeneration", 0)) >= int(obj["metadata"]["generation"])
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return observed and counts == [replicas] * len(counts)
