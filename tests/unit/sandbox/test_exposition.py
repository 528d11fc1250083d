"""Pods' metrics are served on their own addresses, while they run, in the format that Prometheus reads."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from responder.sandbox import manifests
from responder.sandbox.cluster import Cluster
from responder.sandbox.exposition import ListenerError, MetricsListeners, render_metrics
from responder.sandbox.traffic import Behaviour, PodCounters, PodDirectory, PodMetrics
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

NAMESPACE, NAME = "default", "payment-service"


def test_the_text_is_read_back_as_it_was_counted() -> None:
    counters = PodCounters.seeded("x")
    counters.serve(1000, Behaviour(0.05, 4.0))

    families = {one.name: one for one in text_string_to_metric_families(render_metrics(counters))}

    assert {name: one.type for name, one in families.items()} == {
        "payment_transactions": "counter",
        "payment_errors": "counter",
        "payment_processing_duration_seconds": "histogram",
    }
    read = [(sample.name, sample.labels, sample.value) for one in families.values() for sample in one.samples]
    assert read == list(counters.samples())
    bounds = [labels["le"] for name, labels, _ in read if name.endswith("_bucket")]
    assert bounds == ["0.1", "0.25", "0.5", "1", "2", "3", "5", "10", "+Inf"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def fetch(session: aiohttp.ClientSession, ip: str, port: int) -> str | None:
    """The body, or None when nobody listens."""
    try:
        async with session.get(f"http://{ip}:{port}/metrics") as response:
            return await response.text()
    except aiohttp.ClientConnectorError:
        return None


def test_a_socket_opens_and_closes_with_each_pod() -> None:
    async def main() -> None:
        port = free_port()
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        async with Cluster.start(clock=clock, pod_network="127.83.0.0/16") as cluster:
            pods = PodDirectory(cluster.store)
            metrics = PodMetrics(pods)
            async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession() as session:
                running = tasks.create_task(MetricsListeners(pods, metrics, port).run())
                cluster.apply(manifests.deployment(NAME, replicas=2))
                await cluster.rollout_complete(NAMESPACE, NAME)
                await clock.sleep(1)
                first, second = pods.all()
                metrics.of(first).serve(3, Behaviour())

                bodies = [await fetch(session, pod.ip, port) for pod in (first, second)]
                assert bodies[0] is not None
                assert "payment_transactions_total 3\n" in bodies[0]
                assert bodies[1] is not None
                assert "payment_transactions_total 0\n" in bodies[1]

                cluster.store.delete("pods", NAMESPACE, first.name)
                await clock.sleep(10)
                assert await fetch(session, first.ip, port) is None
                assert all([await fetch(session, pod.ip, port) for pod in pods.all()])
                running.cancel()
            pods.close()

    run_story(main())


def test_says_when_a_pods_address_can_not_be_served() -> None:
    async def main() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        async with Cluster.start(clock=clock) as cluster:
            cluster.apply(manifests.deployment(NAME, replicas=1))
            await cluster.rollout_complete(NAMESPACE, NAME)
            pods = PodDirectory(cluster.store)
            with pytest.raises(ListenerError, match="loopback addresses"):
                await MetricsListeners(pods, PodMetrics(pods)).run()
            pods.close()

    run_story(main())
