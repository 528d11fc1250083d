"""Everything that `responder sandbox` runs: cluster, traffic, Prometheus, Alertmanager, inboxes.

On loopback ports of this process, until asked to end. The responder is somebody else's process. Called by the
command.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import yaml
from aiohttp import web

from responder.clock import Clock
from responder.errors import Permanent
from responder.rules.load import load_rules
from responder.sandbox.alertmanager.api import alertmanager_app
from responder.sandbox.alertmanager.server import Alertmanager
from responder.sandbox.api.access import ADMIN, Tokens
from responder.sandbox.api.server import ADMIN_TOKEN, kubeconfig, run_server
from responder.sandbox.cluster import Cluster
from responder.sandbox.inboxes.app import Inboxes, inboxes_app
from responder.sandbox.oracle import Oracle
from responder.sandbox.prometheus.api import prometheus_app
from responder.sandbox.prometheus.rulefile import RuleGroup
from responder.sandbox.prometheus.server import Prometheus
from responder.sandbox.scenarios.model import Scenario
from responder.sandbox.scenarios.play import Parts, furnish, play
from responder.sandbox.traffic.clients import Traffic
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory
from responder.sandbox.world import (
    RESPONDER_ACCOUNT,
    RESPONDER_TOKEN,
    alert_rules,
    grant_workloads,
    inboxes_for,
    install_responder,
    route_to,
)
from responder.tasks import alongside

T = TypeVar("T")

_HOST = "127.0.0.1"
_GROUP_INTERVAL = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: first_port 0 takes free ports, else the four servers get it and those that follow."""

    responder_url: str
    folder: Path
    first_port: int = 0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, and what the inboxes ask for."""

    api: str
    prometheus: str
    alertmanager: str
    inboxes: str
    kubeconfig: Path
    responder_kubeconfig: Path
    responder: str
    slack_token: str = field(repr=False)
    pagerduty_key: str = field(repr=False)


async def run_scenario(
    scenario: Scenario,
    rules: Path | None,
    options: Options,
    clock: Clock,
    stop: asyncio.Event,
    *,
    ready: Callable[[Addresses], None],
    tell: Callable[[str], None],
) -> None:
    """Run until stop is set: call ready once all workloads serve, then tell of each event as it happens."""
    async with AsyncExitStack() as stack:
        parts, addresses = await _start(stack, scenario, rules, options, clock)
        ready(addresses)
        await stack.enter_async_context(_playing(scenario, parts, tell))
        await stop.wait()


@asynccontextmanager
async def _playing(scenario: Scenario, parts: Parts, tell: Callable[[str], None]) -> AsyncIterator[None]:
    async def to_the_end() -> None:
        await play(scenario, parts, tell)
        tell("that was the last event; everything goes on as it is")

    async with alongside(to_the_end()):
        yield


async def _start(
    stack: AsyncExitStack, scenario: Scenario, rules: Path | None, options: Options, clock: Clock
) -> tuple[Parts, Addresses]:
    ports = [options.first_port + index if options.first_port else 0 for index in range(4)]
    tokens = Tokens({ADMIN_TOKEN: ADMIN, RESPONDER_TOKEN: RESPONDER_ACCOUNT})
    starting = Cluster.start(clock=clock, host=_HOST, port=ports[0], tokens=tokens, seed=scenario.seed)
    cluster = await _listen(stack, starting, ports[0])
    install_responder(cluster)
    for workload in scenario.workloads:
        furnish(cluster, workload)
        grant_workloads(cluster, workload.namespace)
    directory = PodDirectory(cluster.store)
    stack.callback(directory.close)
    metrics = PodMetrics(directory, seed=scenario.seed)
    traffic = _traffic(scenario, cluster, directory, metrics)
    alertmanager = Alertmanager(clock, route_to(options.responder_url, _GROUP_INTERVAL), seed=scenario.seed)
    alertmanager_url = await _serve(stack, alertmanager_app(alertmanager), ports[2])
    prometheus = _prometheus(scenario, rules, directory, metrics, clock, alertmanager_url)
    prometheus_url = await _serve(stack, prometheus_app(prometheus), ports[1])
    inboxes = await _open_inboxes(stack, options.responder_url, ports[3], clock)
    works = [prometheus.run(), alertmanager.run(), *(each.run() for each in traffic.values())]
    await stack.enter_async_context(alongside(*works))
    for workload in scenario.workloads:
        if not workload.never_ready:
            await cluster.rollout_complete(workload.namespace, workload.name)
    addresses = Addresses(
        cluster.url,
        prometheus_url,
        alertmanager_url,
        inboxes.slack.public_url,
        *_write_kubeconfigs(cluster, options.folder),
        options.responder_url,
        inboxes.slack.token,
        inboxes.pagerduty.routing_key,
    )
    return Parts(cluster, traffic, prometheus, alertmanager), addresses


def _traffic(
    scenario: Scenario, cluster: Cluster, directory: PodDirectory, metrics: PodMetrics
) -> dict[str, Traffic]:
    """The clients of each workload's Service, not running yet."""
    return {
        each.place: Traffic(
            cluster.store,
            cluster.clock,
            each.namespace,
            each.name,
            each.requests_per_second,
            pods=directory,
            metrics=metrics,
            oracle=Oracle(),
            seed=scenario.seed,
        )
        for each in scenario.workloads
    }


def _prometheus(
    scenario: Scenario,
    rules: Path | None,
    directory: PodDirectory,
    metrics: PodMetrics,
    clock: Clock,
    alertmanager_url: str,
) -> Prometheus:
    """It evaluates the rules as often as it scrapes; not running yet."""
    interval_seconds = scenario.scrape_interval.total_seconds()
    return Prometheus(
        clock,
        directory,
        metrics,
        rules=_rule_groups(rules),
        alertmanager_urls=[alertmanager_url],
        scrape_interval_seconds=interval_seconds,
        evaluation_interval_seconds=interval_seconds,
    )


async def _open_inboxes(stack: AsyncExitStack, responder_url: str, port: int, clock: Clock) -> Inboxes:
    inboxes = inboxes_for(responder_url, clock)
    inboxes.slack.public_url = await _serve(stack, inboxes_app(inboxes), port)
    return inboxes


def _rule_groups(path: Path | None) -> Sequence[RuleGroup]:
    """The alerting rules that the rule files ask for."""
    if path is None:
        return ()
    return [group for file in load_rules(path).files for group in alert_rules(file)]


def _write_kubeconfigs(cluster: Cluster, folder: Path) -> tuple[Path, Path]:
    """Write one kubeconfig for people, who may do everything, and one with the responder's own rights.

    Raises Permanent where nothing can be written.
    """
    contents = {
        "kubeconfig": kubeconfig(cluster.url, ADMIN_TOKEN, for_kubectl=True),
        "responder.kubeconfig": kubeconfig(cluster.url, RESPONDER_TOKEN),
    }
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            path = (folder / name).resolve()
            path.write_text(yaml.safe_dump(content), encoding="utf-8")
            path.chmod(0o600)
            paths.append(path)
    except OSError as error:
        raise Permanent(
            f"can't write {error.filename}: {error.strerror}. Name another folder with --folder"
        ) from None
    return paths[0], paths[1]


async def _serve(stack: AsyncExitStack, app: web.Application, port: int) -> str:
    return await _listen(stack, run_server(app, _HOST, port), port)


async def _listen(stack: AsyncExitStack, starting: AbstractAsyncContextManager[T], port: int) -> T:
    """What is started on the port. Raises Permanent where it can't be listened on."""
    try:
        return await stack.enter_async_context(starting)
    except OSError as error:
        raise Permanent(
            f"can't listen on {_HOST}:{port}: {os.strerror(error.errno or 0)}. Give another --first-port:"
            " it and the three after it are taken; 0 takes free ones"
        ) from None
