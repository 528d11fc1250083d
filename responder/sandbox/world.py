"""A whole world around a responder: cluster, traffic, oracle, inboxes, and a source of alerts.

The built-in Prometheus and Alertmanager run on the world's clock, or real ones take their
place. Nothing decides here. Started by the demo and by the flow tests.
"""

from __future__ import annotations

import copy
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from responder.clock import Clock
from responder.errors import ResponderError
from responder.rules.model import RuleFile
from responder.rules.render import render_prometheus_rules
from responder.sandbox.alertmanager.api import alertmanager_app
from responder.sandbox.alertmanager.routing import Receiver, Route
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.server import ADMIN_TOKEN, run_server
from responder.sandbox.cluster import Cluster
from responder.sandbox.exposition import METRICS_PORT
from responder.sandbox.inboxes.app import Inboxes, inboxes_app
from responder.sandbox.inboxes.pagerduty import PagerDutyInbox
from responder.sandbox.inboxes.slack import SlackInbox
from responder.sandbox.inboxes.slack_clicks import SlackHands
from responder.sandbox.manifests import daemonset, deployment, service, statefulset
from responder.sandbox.oracle import Oracle
from responder.sandbox.prometheus.api import prometheus_app
from responder.sandbox.prometheus.rulefile import RuleGroup, parse_rule_file
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.traffic.clients import Traffic
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory
from responder.tasks import alongside

# Secrets of a world that exists on this machine only.
WEBHOOK_TOKEN = "sandbox-webhook-token"
SIGNING_SECRET = "sandbox-signing-secret"
# The responder's own account, with the rights that deploy/ gives it and no others.
RESPONDER_TOKEN = "sandbox-responder-token"
HOME = "responder"

ERROR_RATE = "sandbox.responder.dev/error-rate"
LATENCY_P95 = "sandbox.responder.dev/latency-p95"

_DEPLOY = Path(__file__).parents[2] / "deploy"
_BASE = (
    *("crds/incidents.yaml", "crds/workloadrecords.yaml", "crds/decisions.yaml"),
    *("namespace.yaml", "serviceaccount.yaml", "rbac.yaml"),
)
_WORKLOAD_RIGHTS = _DEPLOY / "overlays" / "payment-service" / "rolebinding.yaml"
RESPONDER_ACCOUNT = User(
    f"system:serviceaccount:{HOME}:responder",
    ("system:serviceaccounts", f"system:serviceaccounts:{HOME}", "system:authenticated"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the world holds at the beginning."""

    file: RuleFile
    replicas: int = 10
    requests_per_second: float = 100.0
    scrape_interval_seconds: float = 15.0
    proxy_lag_seconds: float = 1.0
    tick_seconds: float = 0.25
    pod_network: str = "10.244.0.0/16"
    built_in_alerts: bool = True
    alertmanagers: int = 1
    group_interval: timedelta = timedelta(seconds=10)
    readiness_probe: tuple[int, int] = (10, 3)  # period in seconds, failure threshold
    endpoints_per_slice: int = 100
    seed: int = 1
    # Members of the workload's specification beyond the usual ones.
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """The running parts, and where to reach them."""

    plan: Plan
    clock: Clock
    cluster: Cluster
    pods: PodDirectory
    metrics: PodMetrics
    oracle: Oracle
    traffic: Traffic
    inboxes: Inboxes
    inboxes_url: str
    responder_url: str
    prometheus: Prometheus | None = None
    prometheus_url: str = ""
    alertmanagers: tuple[Alertmanager, ...] = ()
    alertmanager_urls: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        return self.plan.file.workload.namespace

    @property
    def name(self) -> str:
        return self.plan.file.workload.name

    @property
    def kind(self) -> str:
        return self.plan.file.workload.kind

    def kubeconfig(self) -> dict[str, Any]:
        """What the responder gets: its own account's token."""
        return self.cluster.kubeconfig(RESPONDER_TOKEN)

    @property
    def slack(self) -> SlackInbox:
        return self.inboxes.slack

    @property
    def pagerduty(self) -> PagerDutyInbox:
        return self.inboxes.pagerduty

    def release(
        self,
        version: str,
        *,
        error_rate: float = 0.0,
        latency_p95: str = "120ms",
        change_cause: str | None = None,
        **annotations: str,
    ) -> None:
        """Deliver a version that behaves so; more pod annotations by their last part, such as ready_after."""
        extra = {
            f"sandbox.responder.dev/{key.replace('_', '-')}": value for key, value in annotations.items()
        }
        self.cluster.release(
            self.namespace,
            self.name,
            image=image(self.name, version),
            annotations={ERROR_RATE: str(error_rate), LATENCY_P95: latency_p95, **extra},
            change_cause=change_cause,
            kind=self.kind,
        )

    def workload(self) -> dict[str, Any]:
        """The workload as the cluster holds it."""
        return self.cluster.workload(self.kind, self.namespace, self.name)

    def deployment(self) -> dict[str, Any]:
        """The workload as the cluster holds it, where it is a Deployment."""
        return self.cluster.deployment(self.namespace, self.name)

    @property
    def version(self) -> str:
        """The version in the workload's template."""
        return str(self.workload()["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2])


def image(name: str, version: str) -> str:
    """The image of a version."""
    return f"registry.example/{name}:{version}"


def free_port() -> int:
    """A port of the loopback interface that is free now, for a server whose address is needed early."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def start_world(clock: Clock, plan: Plan, responder_port: int) -> AsyncIterator[World]:
    """Run a world with the workload's first version complete, until the context ends."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            Cluster.start(
                clock=clock,
                tokens=Tokens({ADMIN_TOKEN: ADMIN, RESPONDER_TOKEN: RESPONDER_ACCOUNT}),
                seed=plan.seed,
                pod_network=plan.pod_network,
                endpoints_per_slice=plan.endpoints_per_slice,
            )
        )
        install_responder(cluster)
        _furnish(cluster, plan)
        pods = PodDirectory(cluster.store)
        stack.callback(pods.close)
        metrics = PodMetrics(pods, seed=plan.seed)
        oracle = Oracle()
        workload = plan.file.workload
        traffic = Traffic(
            cluster.store,
            clock,
            workload.namespace,
            workload.name,
            plan.requests_per_second,
            pods=pods,
            metrics=metrics,
            oracle=oracle,
            tick_seconds=plan.tick_seconds,
            proxy_lag_seconds=plan.proxy_lag_seconds,
            seed=plan.seed,
        )
        responder_url = f"http://127.0.0.1:{responder_port}"
        inboxes = inboxes_for(responder_url, clock)
        inboxes_url = await stack.enter_async_context(run_server(inboxes_app(inboxes)))
        inboxes.slack.public_url = inboxes_url
        world = World(
            plan, clock, cluster, pods, metrics, oracle, traffic, inboxes, inboxes_url, responder_url
        )
        works = [traffic.run()]
        if plan.built_in_alerts:
            works += await _start_alerts(stack, world)
        await stack.enter_async_context(alongside(*works))
        await cluster.rollout_complete(workload.namespace, workload.name, kind=workload.kind)
        yield world


async def _start_alerts(stack: AsyncExitStack, world: World) -> list[Any]:
    """The built-in Prometheus and Alertmanagers, with the rules as they are rendered for real ones."""
    plan, clock = world.plan, world.clock
    route = route_to(world.responder_url, plan.group_interval)
    world.alertmanagers = tuple(
        Alertmanager(clock, route, seed=plan.seed + number) for number in range(plan.alertmanagers)
    )
    urls = [
        await stack.enter_async_context(run_server(alertmanager_app(alertmanager)))
        for alertmanager in world.alertmanagers
    ]
    world.alertmanager_urls = tuple(urls)
    world.prometheus = Prometheus(
        clock,
        world.pods,
        world.metrics,
        rules=alert_rules(plan.file),
        alertmanager_urls=urls,
        scrape_interval_seconds=plan.scrape_interval_seconds,
        evaluation_interval_seconds=plan.scrape_interval_seconds,
    )
    world.prometheus_url = await stack.enter_async_context(run_server(prometheus_app(world.prometheus)))
    return [world.prometheus.run(), *(alertmanager.run() for alertmanager in world.alertmanagers)]


def inboxes_for(responder_url: str, clock: Clock) -> Inboxes:
    """Slack and PagerDuty, whose clicks go to the responder; they do not know their own address yet."""
    inboxes = Inboxes(SlackInbox(clock), PagerDutyInbox(clock))
    inboxes.hands = SlackHands(inboxes.slack, SIGNING_SECRET, f"{responder_url}/slack/interactions")
    return inboxes


def route_to(responder_url: str, group_interval: timedelta) -> Route:
    """How an Alertmanager tells the responder: at once, in groups of one alert of one workload."""
    receiver = Receiver("responder", f"{responder_url}/webhooks/alertmanager", WEBHOOK_TOKEN)
    group_by = ("namespace", "deployment", "alertname")
    return Route(receiver, group_by=group_by, group_wait=timedelta(0), group_interval=group_interval)


def alert_rules(file: RuleFile) -> list[RuleGroup]:
    """The alerting rules of a rule file, as they are rendered for a real Prometheus."""
    return parse_rule_file(yaml.safe_dump(render_prometheus_rules(file)), file.path)


def install_responder(cluster: Cluster) -> None:
    """Apply our resource definitions and rights as deploy/ has them."""
    if not _DEPLOY.is_dir():
        raise ResponderError(f"{_DEPLOY} is missing: the sandbox needs a checkout of the project")
    for manifest in _load_base():
        cluster.apply(copy.deepcopy(manifest))


@cache
def _load_base() -> tuple[dict[str, Any], ...]:
    """The manifests of _BASE, read once: that takes longer than all else that a world begins with."""
    texts = ((_DEPLOY / "base" / name).read_text(encoding="utf-8") for name in _BASE)
    return tuple(manifest for text in texts for manifest in yaml.safe_load_all(text))


def grant_workloads(cluster: Cluster, namespace: str) -> None:
    """Give the responder its rights on the workloads of one namespace, as the overlay does."""
    binding = yaml.safe_load(_WORKLOAD_RIGHTS.read_text(encoding="utf-8"))
    cluster.apply({**binding, "metadata": {**binding["metadata"], "namespace": namespace}})


def _furnish(cluster: Cluster, plan: Plan) -> None:
    """The workload and its Service, in a namespace that the responder may act in."""
    workload = plan.file.workload
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": workload.namespace}})
    grant_workloads(cluster, workload.namespace)
    make = {"Deployment": deployment, "StatefulSet": statefulset, "DaemonSet": daemonset}[workload.kind]
    manifest = make(
        workload.name,
        namespace=workload.namespace,
        replicas=plan.replicas,
        image=image(workload.name, "v1"),
        pod_annotations={
            ERROR_RATE: "0.0",
            LATENCY_P95: "120ms",
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(METRICS_PORT),
        },
        **plan.spec,
    )
    period, failures = plan.readiness_probe
    manifest["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/ready", "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
    }
    cluster.apply(manifest)
    cluster.apply(service(workload.name, namespace=workload.namespace))
