"""Does what a scenario's events say, at their times, to a running sandbox.

Called by the command's stage; tells each event in words to whom it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from responder.rules.quantities import format_duration
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api import faults
from responder.sandbox.api.objects import name_of
from responder.sandbox.cluster import DEPLOYMENTS, Cluster
from responder.sandbox.controllers.fields import is_deleting, labels_of
from responder.sandbox.manifests import deployment, service
from responder.sandbox.outage import Outage as OutageKind
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.scenarios.model import (
    Action,
    DeletePods,
    Fault,
    Outage,
    Release,
    Scale,
    Scenario,
    Stall,
    TrafficChange,
    Version,
    Workload,
)
from responder.sandbox.traffic.behaviour import ERROR_RATE, LATENCY_P95
from responder.sandbox.traffic.clients import Traffic
from responder.tasks import together

READY_AFTER, NEVER_READY = "sandbox.responder.dev/ready-after", "sandbox.responder.dev/never-ready"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running sandbox that events act on; traffic by namespace/name."""

    cluster: Cluster
    traffic: dict[str, Traffic]
    prometheus: Prometheus
    alertmanager: Alertmanager


def furnish(cluster: Cluster, workload: Workload) -> None:
    """Apply a workload's namespace, Deployment and Service."""
    metadata = {"name": workload.namespace}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    manifest = deployment(
        workload.name,
        namespace=workload.namespace,
        replicas=workload.replicas,
        image=_image(workload.name, workload),
        pod_annotations=_annotations(workload),
    )
    cluster.apply(manifest)
    cluster.apply(service(workload.name, namespace=workload.namespace))


async def play(scenario: Scenario, parts: Parts, tell: Callable[[str], None]) -> None:
    """Do everything in the order of its times, and return when all of it has come to its end."""
    clock = parts.cluster.clock
    began_at = clock.now()
    async with together() as group:
        for event in sorted(scenario.events, key=lambda each: each.at):
            await clock.sleep(max(0.0, (began_at + event.at - clock.now()).total_seconds()))
            tell(f"{format_duration(event.at)}: {describe(event.action)}")
            group.create_task(_do(event.action, parts))


def describe(action: Action) -> str:
    """The action in words."""
    match action:
        case Release():
            return f"release {action.version} of {action.workload}"
        case Scale():
            return f"scale {action.workload} to {action.replicas}"
        case TrafficChange():
            return f"{action.requests_per_second:g} requests a second to {action.workload}"
        case Fault():
            return f"API requests {action.method} {action.path}: {action.effect}"
        case Outage():
            return f"{action.of} is {action.kind} for {format_duration(action.lasts)}"
        case Stall():
            return f"the {action.controller} controller stands still for {format_duration(action.lasts)}"
        case DeletePods():
            return f"delete {action.count} of the pods of {action.workload}"
        case _:
            assert_never(action)


async def _do(action: Action, parts: Parts) -> None:
    cluster = parts.cluster
    match action:
        case Release():
            namespace, name = action.workload.split("/")
            cluster.release(
                namespace,
                name,
                image=_image(name, action),
                annotations=_annotations(action),
                change_cause=action.change_cause,
            )
        case Scale():
            found = cluster.deployment(*action.workload.split("/"))
            found["spec"]["replicas"] = action.replicas
            cluster.store.update(DEPLOYMENTS, found, manager="kubectl")
        case TrafficChange():
            parts.traffic[action.workload].requests_per_second = action.requests_per_second
        case Fault():
            cluster.faults.add(_rule(action, cluster.clock.now()))
        case Outage():
            server = parts.prometheus if action.of == "prometheus" else parts.alertmanager
            server.outage = OutageKind(action.kind)
            await cluster.clock.sleep(action.lasts.total_seconds())
            server.outage = OutageKind.NONE
        case Stall():
            cluster.controllers.stall(action.controller)
            await cluster.clock.sleep(action.lasts.total_seconds())
            cluster.controllers.resume(action.controller)
        case DeletePods():
            _delete_pods(action, cluster)
        case _:
            assert_never(action)


def _delete_pods(action: DeletePods, cluster: Cluster) -> None:
    namespace, name = action.workload.split("/")
    pods = [pod for pod in cluster.store.list("pods", namespace) if labels_of(pod).get("app") == name]
    for pod in [pod for pod in pods if not is_deleting(pod)][: action.count]:
        cluster.store.delete("pods", namespace, name_of(pod))


def _rule(fault: Fault, now: datetime) -> faults.FaultRule:
    effects: dict[str, faults.Effect] = {
        "refuse": faults.Refuse(fault.code, fault.retry_after_seconds),
        "delay": faults.Delay(fault.seconds),
        "drop-before": faults.DropBefore(),
        "drop-after": faults.DropAfter(),
        "hang": faults.Hang(),
    }
    ends_at = None if fault.lasts is None else now + fault.lasts
    return faults.FaultRule(fault.method, fault.path, effects[fault.effect], fault.count, ends_at=ends_at)


def _image(name: str, version: Version) -> str:
    return f"registry.example/{name}:{version.version}"


def _annotations(version: Version) -> dict[str, str]:
    """The pods' behaviour; every member is written, so that a release replaces what the last one said."""
    ready_after = "1s" if version.ready_after is None else format_duration(version.ready_after)
    return {
        ERROR_RATE: str(version.error_rate),
        LATENCY_P95: version.latency_p95,
        READY_AFTER: ready_after,
        NEVER_READY: str(version.never_ready).lower(),
    }
