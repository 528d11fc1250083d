"""A small, fast world with a past, for stories that take seconds of real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from responder.clock import Clock, SystemClock
from responder.incidents.model import WorkloadRef
from responder.incidents.record import WorkloadRecordSpec
from responder.rules.load import load_rules
from responder.rules.model import RuleFile
from responder.rules.quantities import format_duration
from responder.rules.render import render_prometheus_rules
from responder.sandbox.alertmanager.api import alertmanager_app
from responder.sandbox.alertmanager.routing import Receiver, Route
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api.server import run_server
from responder.sandbox.prometheus.api import prometheus_app
from responder.sandbox.prometheus.rulefile import parse_rule_file
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.world import HOME, SIGNING_SECRET, WEBHOOK_TOKEN, Plan, World, start_world
from responder.settings import Settings
from responder.tasks import alongside
from responder.workloads.ledger import RevisionRef, Serving
from tests.flow.harness import Stage, write_rules

REPLICAS = 2
REQUESTS_PER_SECOND = 300.0
SCRAPE_SECONDS = 0.25
GROUP_INTERVAL = timedelta(seconds=1)
DECIDE_EVERY = timedelta(seconds=1)
LEASE = timedelta(seconds=2)
STORM_WAIT = timedelta(milliseconds=500)
# The good version was seen for so long before the story begins.
PAST = timedelta(seconds=100)
POLL_SECONDS = 0.05

_METRIC: dict[str, Any] = {"range": "2s", "onset_range": "1s", "min_samples": 50}
FAST: dict[str, Any] = {
    "metrics": {"error_rate": _METRIC, "latency_p95": _METRIC},
    "alerts": {
        "high-error-rate": {"for": "1s"},
        "slow": {"for": "1h"},
        "very-slow": {"for": "1h"},
    },
    "rollback": {
        "within": "10s",
        "recover_within": "10s",
        "cooldown": "5m",
        "clean_gap": "60s",
        "hold": "1s",
        "settle": "3s",
        "good_windows": 1,
    },
}


@dataclass(slots=True)
class Scene(Stage):
    """A stage whose responder is not in this process; its settings are those of every replica."""

    async def until(self, what: Callable[[], Any], within: timedelta, describe: str) -> Any:
        """Wait until it is true and return it. Raises AssertionError with the description otherwise."""
        deadline = self.world.clock.now() + within
        while not (found := what()):
            if self.world.clock.now() >= deadline:
                raise AssertionError(f"not within {within}: {describe}; incidents: {self.summary()}")
            await self.world.clock.sleep(POLL_SECONDS)
        return found


@asynccontextmanager
async def open_scene(folder: Path, port: int, *changes: dict[str, Any]) -> AsyncIterator[Scene]:
    """A world whose first version has served healthily for a while, and says so; no responder yet.

    Alerts and clicks go to `port`.
    """
    clock = SystemClock()
    rules = write_rules(folder / "rules", FAST, *changes)
    (file,) = load_rules(rules).files
    plan = Plan(
        file,
        replicas=REPLICAS,
        requests_per_second=REQUESTS_PER_SECOND,
        proxy_lag_seconds=0.2,
        tick_seconds=0.1,
        built_in_alerts=False,
        readiness_probe=(1, 1),
    )
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(start_world(clock, plan, port))
        await _start_alerts(stack, world)
        _remember_health(world)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(world.kubeconfig()), encoding="utf-8")
        scene = Scene(world, Settings.model_validate(_settings(world, rules, kubeconfig)), [world.version])
        stack.callback(world.cluster.store.subscribe(scene.note))
        yield scene


def variables(scene: Scene) -> dict[str, str]:
    """The settings of every replica, as an operator gives them."""
    return {f"RESPONDER_{name}".upper(): text for name, text in _texts(scene).items()}


def _texts(scene: Scene) -> Mapping[str, str]:
    world, settings = scene.world, scene.settings
    texts = {
        name: str(value) for name, value in _settings(world, settings.rules, settings.kubeconfig).items()
    }
    texts["alertmanager_urls"] = ",".join(world.alertmanager_urls)
    texts["decide_every"] = format_duration(DECIDE_EVERY)
    texts["lease_duration"] = format_duration(LEASE)
    texts["storm_wait"] = format_duration(STORM_WAIT)
    return texts


def _settings(world: World, rules: Path, kubeconfig: Path | None) -> dict[str, Any]:
    return {
        "rules": rules,
        "kubeconfig": kubeconfig,
        "namespace": HOME,
        "prometheus_url": world.prometheus_url,
        "alertmanager_urls": world.alertmanager_urls,
        "slack_api_url": f"{world.inboxes_url}/api/",
        "slack_bot_token": world.slack.token,
        "slack_signing_secret": SIGNING_SECRET,
        "slack_channel": "payments",
        "pagerduty_url": world.inboxes_url,
        "pagerduty_routing_key": world.pagerduty.routing_key,
        "webhook_token": WEBHOOK_TOKEN,
    }


async def _start_alerts(stack: AsyncExitStack, world: World) -> None:
    """A Prometheus that has scraped the good version for a while, and an Alertmanager."""
    clock, file = world.clock, world.plan.file
    receiver = Receiver("responder", f"{world.responder_url}/webhooks/alertmanager", WEBHOOK_TOKEN)
    route = Route(
        receiver,
        group_by=("namespace", "deployment", "alertname"),
        group_wait=timedelta(0),
        group_interval=GROUP_INTERVAL,
    )
    alertmanager = Alertmanager(clock, route)
    url = await stack.enter_async_context(run_server(alertmanager_app(alertmanager)))
    prometheus = Prometheus(
        clock,
        world.pods,
        world.metrics,
        rules=parse_rule_file(yaml.safe_dump(render_prometheus_rules(file)), file.path),
        alertmanager_urls=[url],
        scrape_interval_seconds=SCRAPE_SECONDS,
        evaluation_interval_seconds=SCRAPE_SECONDS,
    )
    _scrape_past(world, prometheus)
    world.alertmanagers, world.alertmanager_urls = (alertmanager,), (url,)
    world.prometheus = prometheus
    world.prometheus_url = await stack.enter_async_context(run_server(prometheus_app(prometheus)))
    await stack.enter_async_context(alongside(prometheus.run(), alertmanager.run()))


@dataclass(frozen=True, slots=True)
class _Instant(Clock):
    """A clock that stands."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError("time stands still here")


def _scrape_past(world: World, prometheus: Prometheus) -> None:
    """Scrape what the pods would have counted, twice a second: the shortest range needs two samples."""
    now, step = world.clock.now(), timedelta(milliseconds=500)
    share = int(REQUESTS_PER_SECOND / REPLICAS * step.total_seconds())
    for steps_ago in range(PAST // step, 0, -1):
        for pod in world.pods.all():
            world.metrics.of(pod).serve(share, pod.behaviour)
        prometheus.clock = _Instant(now - steps_ago * step)
        prometheus.scrape()
    prometheus.clock = world.clock


def _remember_health(world: World) -> None:
    """The workload's record as a responder leaves it that has watched the good version."""
    now, file = world.clock.now(), world.plan.file
    (rs,) = world.cluster.store.list("replicasets.apps", world.namespace)
    revision = RevisionRef(
        uid=rs["metadata"]["uid"],
        replica_set=rs["metadata"]["name"],
        hash=rs["metadata"]["labels"]["pod-template-hash"],
        revision=1,
    )
    serving = Serving(
        revision=revision,
        seen=True,
        first_serving_at=now - PAST,
        complete_at=now - PAST,
        healthy_from=now - PAST,
        healthy_until=now,
    )
    spec = WorkloadRecordSpec(workload=_reference(file), servings=(serving,), watched_from=now - PAST)
    world.cluster.store.create(
        "workloadrecords.responder.dev",
        {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "WorkloadRecord",
            "metadata": {"name": file.workload.record_name, "namespace": world.namespace},
            "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        },
        manager="responder",
    )


def _reference(file: RuleFile) -> WorkloadRef:
    return WorkloadRef(kind=file.workload.kind, name=file.workload.name)
