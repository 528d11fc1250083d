"""A story's stage: the sandbox in this process; Prometheus, Alertmanager, the responder as child processes.

Starts and ends them, and decides nothing. The responder gets addresses and secrets as an operator would give
them, and nothing else.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import yaml

from responder.clock import Clock
from responder.errors import ResponderError
from responder.rules.model import Metric, Rule, RuleFile, RuleSet
from responder.rules.quantities import format_duration
from responder.rules.render import Receivers, render_alertmanager, render_prometheus_rules
from responder.sandbox.demo.rules import CHECKOUT, write_demo_rules
from responder.sandbox.demo.source import AlertSource
from responder.sandbox.demo.stories import Story
from responder.sandbox.discovery import point_at_sandbox, serve_pod_targets
from responder.sandbox.exposition import METRICS_PORT, MetricsListeners
from responder.sandbox.process import Child, child_process
from responder.sandbox.real import real_alertmanager, real_prometheus
from responder.sandbox.traffic.pods import PODS
from responder.sandbox.world import (
    HOME,
    SIGNING_SECRET,
    WEBHOOK_TOKEN,
    Plan,
    World,
    start_world,
)
from responder.tasks import together

_SCRAPE_INTERVAL = timedelta(seconds=1)
_GROUP_INTERVAL = timedelta(seconds=2)
_DECIDE_EVERY = timedelta(seconds=2)
_STORM_WAIT = timedelta(seconds=1)
_SLACK_CHANNEL = "payments"
# What a person's shell may hold for a responder of their own.
_NOT_INHERITED = ("RESPONDER_", "KUBECONFIG", "POD_NAMESPACE")
_KUBECTL_CONFIG = "kubeconfig-kubectl"
# The second numbers of the loopback networks 127.N.0.0/16 that pods can get.
_POD_NETWORKS = range(16, 200)


class Responder(Protocol):
    """The responder under judgement, as far as the demo knows it."""

    @property
    def log(self) -> Path:
        """The file it logs to."""
        ...

    def check(self) -> None:
        """Raise ProcessError when it has ended."""
        ...

    def tail(self) -> str:
        """The end of its log."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a story happens on."""

    story: Story
    source: AlertSource
    folder: Path
    file: RuleFile
    world: World
    responder: Responder

    @property
    def rule(self) -> Rule:
        """The rule that the story is about."""
        return next(rule for rule in self.file.rules if rule.name == self.story.rule)

    @property
    def metric(self) -> Metric:
        """What that rule measures."""
        return next(metric for name, metric in self.file.metrics.items() if name in str(self.rule.condition))

    @property
    def kubectl(self) -> str:
        """The shell line that shows the incidents, as long as the story's cluster runs."""
        path = (self.folder / _KUBECTL_CONFIG).resolve()
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        return f"kubectl --kubeconfig {shlex.quote(str(shown))} get incidents -A"


@asynccontextmanager
async def start_stage(story: Story, source: AlertSource, folder: Path, clock: Clock) -> AsyncIterator[Stage]:
    """Run the stage with v1 serving and a responder that is ready; `folder` takes logs and configuration.

    Raises ProcessError, with the end of its log, when a child process does not start.
    """
    _empty(folder)
    file = write_demo_rules(folder / "rules")
    plan = make_plan(file)
    async with AsyncExitStack() as stack:
        if source.real:
            network = stack.enter_context(_pod_network())
            plan = replace(plan, built_in_alerts=False, pod_network=network)
        port = stack.enter_context(reserve_port())
        world = await stack.enter_async_context(start_world(clock, plan, port))
        _write_kubeconfig(folder / _KUBECTL_CONFIG, world.cluster.kubeconfig(for_kubectl=True))
        if source.real:
            await stack.enter_async_context(_real_alerts(world, folder))
        child = await stack.enter_async_context(_responder(world, folder))
        yield Stage(story, source, folder, file, world, child)


def make_plan(file: RuleFile) -> Plan:
    """The world of every story, with the built-in Prometheus and Alertmanager."""
    return Plan(
        file,
        scrape_interval_seconds=_SCRAPE_INTERVAL.total_seconds(),
        group_interval=_GROUP_INTERVAL,
        readiness_probe=(1, 3),
    )


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@contextmanager
def reserve_port() -> Iterator[int]:
    """A port of the loopback interface for the responder, which listens much later than it is promised.

    As long as it is bound here, the kernel gives it to nobody who asks for any port. Who asks for this one
    gets it: SO_REUSEADDR on both sides allows that, as nobody listens here.
    Source: https://man7.org/linux/man-pages/man7/socket.7.html
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield int(reservation.getsockname()[1])


@contextmanager
def _pod_network() -> Iterator[str]:
    """A loopback network that no other stage has; it is this one's until the context ends."""
    with socket.socket() as reservation:
        for number in _POD_NETWORKS:
            try:
                # An address that no pod gets: as long as it is bound, the network is taken.
                reservation.bind((f"127.{number}.255.254", METRICS_PORT))
            except OSError:
                continue
            yield f"127.{number}.0.0/16"
            return
    tried = f"127.{_POD_NETWORKS[0]}.0.0/16 to 127.{_POD_NETWORKS[-1]}.0.0/16"
    raise ResponderError(
        f"port {METRICS_PORT} can be used on none of {tried}, where the sandbox's pods would serve their"
        " metrics: this needs Linux"
    )


@asynccontextmanager
async def _real_alerts(world: World, folder: Path) -> AsyncIterator[None]:
    """The real Prometheus and Alertmanager on the project's own configuration, pointed at the sandbox."""
    clock = world.clock
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_serving_metrics(world))
        pods_url = await stack.enter_async_context(
            serve_pod_targets(lambda: world.cluster.store.list(PODS, world.namespace))
        )
        routes = render_alertmanager(RuleSet((world.plan.file,)), _receivers(world, folder))
        alertmanager_url = await stack.enter_async_context(real_alertmanager(routes, folder, clock=clock))
        rules = folder / "prometheus-rules.yml"
        rules.write_text(yaml.safe_dump(render_prometheus_rules(world.plan.file)), encoding="utf-8")
        config = point_at_sandbox(
            yaml.safe_load((CHECKOUT / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")),
            pods_url=pods_url,
            alertmanager_url=alertmanager_url,
            responder_url=world.responder_url,
            rule_files=[rules, CHECKOUT / "prometheus" / "rules" / "responder.yml"],
            interval=format_duration(_SCRAPE_INTERVAL),
        )
        world.prometheus_url = await stack.enter_async_context(real_prometheus(config, folder, clock=clock))
        world.alertmanager_urls = (alertmanager_url,)
        yield


@asynccontextmanager
async def _serving_metrics(world: World) -> AsyncIterator[None]:
    async with together() as group:
        listeners = group.create_task(MetricsListeners(world.pods, world.metrics).run())
        try:
            yield
        finally:
            listeners.cancel()


def _receivers(world: World, folder: Path) -> Receivers:
    return Receivers(
        webhook_url=f"{world.responder_url}/webhooks/alertmanager",
        webhook_token_file=str(_write_secret(folder / "webhook-token", WEBHOOK_TOKEN)),
        pagerduty_key_file=str(_write_secret(folder / "pagerduty-key", world.pagerduty.routing_key)),
        pagerduty_url=f"{world.inboxes_url}/v2/enqueue",
        group_interval=_GROUP_INTERVAL,
    )


def _write_secret(path: Path, secret: str) -> Path:
    path.write_text(secret, encoding="utf-8")
    return path.resolve()


def _write_kubeconfig(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


@asynccontextmanager
async def _responder(world: World, folder: Path) -> AsyncIterator[Child]:
    """`responder serve` as a process of its own."""
    kubeconfig = folder / "kubeconfig"
    _write_kubeconfig(kubeconfig, world.kubeconfig())
    async with child_process(
        _serve_command(world, kubeconfig, folder / "rules"),
        name="the responder",
        ready_url=f"{world.responder_url}/readyz",
        log=folder / "responder.log",
        clock=world.clock,
        cwd=CHECKOUT,
        environment=_environment(world),
    ) as child:
        yield child


def _serve_command(world: World, kubeconfig: Path, rules: Path) -> Sequence[str]:
    flags = {
        "--listen": world.responder_url.removeprefix("http://"),
        "--rules": str(rules.resolve()),
        "--kubeconfig": str(kubeconfig.resolve()),
        "--namespace": HOME,
        "--prometheus-url": world.prometheus_url,
        "--slack-api-url": f"{world.inboxes_url}/api/",
        "--pagerduty-url": world.inboxes_url,
    }
    command = [sys.executable, "-m", "responder", "serve"]
    for flag, value in flags.items():
        command += [flag, value]
    for url in world.alertmanager_urls:
        command += ["--alertmanager-url", url]
    return command


def _environment(world: World) -> dict[str, str]:
    """This process's variables without another responder's, and this one's."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)}
    return inherited | responder_variables(world)


def responder_variables(world: World) -> dict[str, str]:
    """What the responder is told by variables: secrets, which no command line shows, and short intervals."""
    return {
        "RESPONDER_WEBHOOK_TOKEN": WEBHOOK_TOKEN,
        "RESPONDER_SLACK_BOT_TOKEN": world.slack.token,
        "RESPONDER_SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "RESPONDER_SLACK_CHANNEL": _SLACK_CHANNEL,
        "RESPONDER_PAGERDUTY_ROUTING_KEY": world.pagerduty.routing_key,
        "RESPONDER_DECIDE_EVERY": format_duration(_DECIDE_EVERY),
        "RESPONDER_STORM_WAIT": format_duration(_STORM_WAIT),
    }
