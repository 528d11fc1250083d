"""Workloads for an API server without controllers: what those would have written is written for them.

Many in few namespaces, each with two revisions of which the second is bad. Told by requests alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from responder.sandbox.api.objects import Object
from responder.sandbox.bench.api import MERGE_PATCH, Api
from responder.sandbox.bench.workloads import METRIC, VERSION
from responder.sandbox.manifests import deployment
from responder.tasks import together

# Alerts are grouped by namespace, workload and alert name: these are one group's, one for each pod.
ALERTS_A_GROUP = 10
_WORKLOADS_A_NAMESPACE = 10
_AT_ONCE = 8
_HASHES = ("5d59d67564", "7c9f8b6d4")
_REVISION = "deployment.kubernetes.io/revision"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StillWorkload:
    """A Deployment of one pod."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"

    def replicaset(self, version: int) -> str:
        """The path of the ReplicaSet of a version."""
        name = f"{self.name}-{_HASHES[version - 1]}"
        return f"/apis/apps/v1/namespaces/{self.namespace}/replicasets/{name}"

    def rules(self) -> dict[str, Any]:
        """Its rule file: one alert that would roll back, were it alone."""
        alert = {"if": "error_rate > 1%", "for": "5m", "severity": "critical", "action": "rollback"}
        return {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "RuleFile",
            "service": self.name,
            "workload": {"namespace": self.namespace, "deployment": self.name},
            "metrics": {"error_rate": METRIC},
            "alerts": {"high-error-rate": {**alert, "notify": ["slack", "pagerduty"]}},
            "rollback": {"clean_gap": "30s"},
        }

    def alerts(self, starts_at: datetime) -> list[dict[str, Any]]:
        """A group's alerts as Alertmanager posts them."""
        return [self._alert(number, starts_at) for number in range(ALERTS_A_GROUP)]

    def fingerprints(self) -> frozenset[str]:
        """Of all its alerts."""
        return frozenset(self._fingerprint(number) for number in range(ALERTS_A_GROUP))

    def _fingerprint(self, number: int) -> str:
        return f"{self.name}-{number}"

    def _alert(self, number: int, starts_at: datetime) -> dict[str, Any]:
        labels = {
            "alertname": "HighErrorRate",
            "namespace": self.namespace,
            "deployment": self.name,
            "responder_rule": f"{self.name}/high-error-rate",
            "pod": f"{self.name}-{_HASHES[1]}-{number:05}",
            "instance": f"10.244.0.{number}:8080",
            "severity": "critical",
        }
        annotations = {
            "summary": f"{self.name} answers with errors",
            "description": f"Pod {number} of {self.name} has failed over 1% of its requests for 5 minutes.",
            "runbook_url": f"https://runbooks.example/{self.name}",
        }
        return {
            "status": "firing",
            "labels": labels,
            "annotations": annotations,
            "startsAt": starts_at.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph?g0.expr=up",
            "fingerprint": self._fingerprint(number),
        }

    def delivery(self, starts_at: datetime) -> dict[str, Any]:
        """What Alertmanager posts for the group."""
        alerts = self.alerts(starts_at)
        group = {name: alerts[0]["labels"][name] for name in ("namespace", "deployment", "alertname")}
        return {
            "version": "4",
            "groupKey": f"{{}}:{group}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "responder",
            "groupLabels": group,
            "commonLabels": group,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "alerts": alerts,
        }


def still_workloads(prefix: str, count: int) -> list[StillWorkload]:
    """So many, ten to a namespace."""
    return [
        StillWorkload(f"{prefix}-{number // _WORKLOADS_A_NAMESPACE:03}", f"service-{number:04}")
        for number in range(count)
    ]


def write_still_rules(workloads: Sequence[StillWorkload], folder: Path) -> Path:
    """One rule file for each workload."""
    folder.mkdir(parents=True, exist_ok=True)
    for workload in workloads:
        text = yaml.safe_dump(workload.rules(), sort_keys=False)
        (folder / f"{workload.name}.yaml").write_text(text, encoding="utf-8")
    return folder


async def create_still(api: Api, workloads: Sequence[StillWorkload]) -> None:
    """Create them with their first version serving."""
    for namespace in sorted({workload.namespace for workload in workloads}):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await api.request("POST", "/api/v1/namespaces", body)

    async def one(workload: StillWorkload) -> None:
        manifest = deployment(
            workload.name,
            namespace=workload.namespace,
            replicas=1,
            pod_annotations={VERSION: "v1"},
        )
        manifest["metadata"]["annotations"] = {_REVISION: "1"}
        made = await api.request("POST", _collection(workload.path), manifest)
        await _add_revision(api, workload, made, 1)
        await _set_status(api, workload.path, 1)

    await each_of(workloads, one)


async def release_still(api: Api, workloads: Sequence[StillWorkload]) -> None:
    """Let their second version serve, as after a rollout."""

    async def one(workload: StillWorkload) -> None:
        change = {
            "metadata": {"annotations": {_REVISION: "2"}},
            "spec": {"template": {"metadata": {"annotations": {VERSION: "v2"}}}},
        }
        made = await api.request("PATCH", workload.path, change, content_type=MERGE_PATCH)
        await _add_revision(api, workload, made, 2)
        nothing = {"status": {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0}}
        await _patch(api, f"{workload.replicaset(1)}/status", nothing)
        await _patch(api, workload.replicaset(1), {"spec": {"replicas": 0}})
        await _set_status(api, workload.path, int(made["metadata"]["generation"]))

    await each_of(workloads, one)


async def each_of(items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do it for every one, some at a time."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def limited(item: T) -> None:
        async with limit:
            await work(item)

    async with together() as group:
        for item in items:
            group.create_task(limited(item))


async def _add_revision(api: Api, workload: StillWorkload, made: Object, version: int) -> None:
    """The ReplicaSet that the controller would make of the Deployment's template, with its pod ready."""
    path, label = workload.replicaset(version), {"pod-template-hash": _HASHES[version - 1]}
    template = {**made["spec"]["template"]}
    template["metadata"] = {
        **template["metadata"],
        "labels": template["metadata"]["labels"] | label,
    }
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True, "blockOwnerDeletion": True}
    owner |= {"name": workload.name, "uid": made["metadata"]["uid"]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": path.rpartition("/")[2],
            "namespace": workload.namespace,
            "labels": template["metadata"]["labels"],
            "annotations": {_REVISION: str(version)},
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": made["spec"]["selector"]["matchLabels"] | label},
            "template": template,
        },
    }
    await api.request("POST", _collection(path), body)
    await _set_status(api, path, 1)


async def _set_status(api: Api, path: str, generation: int) -> None:
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), 1)
    if "/deployments/" in path:
        counts["updatedReplicas"] = 1
    await _patch(api, f"{path}/status", {"status": counts | {"observedGeneration": generation}})


async def _patch(api: Api, path: str, body: Object) -> None:
    await api.request("PATCH", path, body, content_type=MERGE_PATCH)


def _collection(path: str) -> str:
    return path.rpartition("/")[0]
