"""Does what a scenario's events say, at their times, to a running sandbox.

Called by the command's stage; tells each event in words to whom it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from responder.rules.quantities import format_duration
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api import faults
from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
    Restart,
)
from responder.sandbox.api.objects import name_of
from responder.sandbox.cluster import DEPLOYMENTS, Cluster
from responder.sandbox.controllers.fields import is_deleting, labels_of
from responder.sandbox.manifests import deployment, service
from responder.sandbox.outage import Outage as OutageKind
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.scenarios.actions import (
    Action,
    DeletePods,
    Fault,
    Outage,
    Quota,
    Release,
    Scale,
    Stall,
    TrafficChange,
    Unreachable,
    Version,
    Watches,
    Webhook,
)
from responder.sandbox.scenarios.model import Scenario, Workload
from responder.sandbox.scenarios.webhooks import admission_webhook
from responder.sandbox.traffic.behaviour import ERROR_RATE, LATENCY_P95
from responder.sandbox.traffic.clients import Traffic
from responder.tasks import together

_PREFIX = "sandbox.responder.dev/"
READY_AFTER, NEVER_READY = f"{_PREFIX}ready-after", f"{_PREFIX}never-ready"
CRASH_EVERY = f"{_PREFIX}crash-every"
_QUOTAS, _QUOTA = "resourcequotas", "sandbox"


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
            which = "".join(f" {part}" for part in (action.method, action.path) if part not in ("*", "."))
            return f"API requests{which}: {action.effect}"
        case Outage():
            loss = ", and loses its data" if action.loses_data else ""
            return f"{action.of} is {action.kind} for {format_duration(action.lasts)}{loss}"
        case Unreachable():
            return f"pods {action.pods} can't be scraped for {format_duration(action.lasts)}"
        case Watches():
            lag = f" by {action.seconds:g} s{_for(action.lasts)}" if action.effect == "lag" else ""
            which = "" if action.path == "." else f" of {action.path}"
            return f"watches{which} {action.effect}{lag}"
        case Quota():
            return f"no more than {action.pods} pods in {action.namespace}{_for(action.lasts)}"
        case Webhook():
            deed = "denies" if action.deny is not None else "changes"
            return f"{action.name} {deed} {action.resource}{_for(action.lasts)}"
        case Stall():
            return f"the {action.controller} controller stands still for {format_duration(action.lasts)}"
        case DeletePods():
            return f"delete {action.count} of the pods of {action.workload}"
        case _:
            assert_never(action)


def _for(lasts: timedelta | None) -> str:
    return "" if lasts is None else f" for {format_duration(lasts)}"


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
            await _fail(action, parts)
        case Unreachable():
            parts.prometheus.unreachable = action.pods
            await cluster.clock.sleep(action.lasts.total_seconds())
            parts.prometheus.unreachable = ""
        case Watches():
            await cluster.suffer(_disturbance(action, cluster.clock.now()))
        case Quota():
            await _limit(action, cluster)
        case Webhook():
            remove = cluster.admission.add(admission_webhook(action))
            if action.lasts is not None:
                await cluster.clock.sleep(action.lasts.total_seconds())
                remove()
        case Stall():
            cluster.controllers.stall(action.controller)
            await cluster.clock.sleep(action.lasts.total_seconds())
            cluster.controllers.resume(action.controller)
        case DeletePods():
            _delete_pods(action, cluster)
        case _:
            assert_never(action)


async def _fail(outage: Outage, parts: Parts) -> None:
    cluster, seconds = parts.cluster, outage.lasts.total_seconds()
    if outage.of == "api" and outage.kind == "down":
        await cluster.suffer(Restart(cluster.clock.now(), seconds))
        return
    if outage.of == "api":
        ends_at = cluster.clock.now() + outage.lasts
        cluster.faults.add(faults.FaultRule("*", "", faults.Refuse(503), ends_at=ends_at))
        return
    if outage.kind == "slow":
        parts.prometheus.answers_after_seconds = outage.seconds
        await cluster.clock.sleep(seconds)
        parts.prometheus.answers_after_seconds = 0.0
        return
    server = parts.prometheus if outage.of == "prometheus" else parts.alertmanager
    server.outage = OutageKind(outage.kind)
    await cluster.clock.sleep(seconds)
    if outage.loses_data:
        server.restart_empty()
    server.outage = OutageKind.NONE


def _disturbance(watches: Watches, now: datetime) -> Disturbance:
    match watches.effect:
        case "expire":
            return ExpireWatches(now, watches.path)
        case "break":
            return BreakWatches(now, watches.path)
        case "hang":
            return HangWatches(now, watches.path)
        case "lag":
            return LagWatches(now, watches.seconds, watches.lasts.total_seconds(), watches.path)
        case _:
            assert_never(watches.effect)


async def _limit(quota: Quota, cluster: Cluster) -> None:
    metadata = {"name": _QUOTA, "namespace": quota.namespace}
    spec = {"hard": {"pods": str(quota.pods)}}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec})
    if quota.lasts is not None:
        await cluster.clock.sleep(quota.lasts.total_seconds())
        if cluster.store.get(_QUOTAS, quota.namespace, _QUOTA) is not None:
            cluster.store.delete(_QUOTAS, quota.namespace, _QUOTA)


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
        CRASH_EVERY: "never" if version.crash_every is None else format_duration(version.crash_every),
    }
