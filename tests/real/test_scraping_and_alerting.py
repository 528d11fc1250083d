"""The committed configuration at work: pods labelled by contract, an alert delivered with its token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from responder.clock import SystemClock
from responder.rules.load import parse_rule_file
from responder.rules.model import RuleFile, RuleSet
from responder.rules.render import Receivers, render_alertmanager, render_prometheus_rules
from responder.sandbox.discovery import point_at_sandbox, serve_pod_targets
from responder.sandbox.process import ProcessError
from responder.sandbox.real import real_alertmanager, real_prometheus

NAMESPACE = "payments"
POD_IP = "127.77.1.2"

QUICK_RULES = """
apiVersion: responder.dev/v1alpha1
kind: RuleFile
service: payment-service
workload: {namespace: payments, deployment: payment-service}
metrics:
  error_rate:
    unit: ratio
    range: 5s
    query: >-
      sum(rate(payment_errors_total{$selector}[$range]))
      / sum(rate(payment_transactions_total{$selector}[$range]))
    samples: sum(increase(payment_transactions_total{$selector}[$range]))
alerts:
  high-error-rate:
    if: error_rate > 1%
    for: 1s
    severity: critical
    action: rollback
    notify: [slack]
"""


class Deliveries:
    """Takes Alertmanager's webhooks and lets a test wait for the first."""

    def __init__(self) -> None:
        self.first: asyncio.Future[tuple[str, dict[str, Any]]] = asyncio.get_running_loop().create_future()

    async def take(self, request: web.Request) -> web.Response:
        if not self.first.done():
            self.first.set_result((request.headers.get("Authorization", ""), await request.json()))
        return web.Response()


class FailingPod:
    """A payment pod of which every second transaction fails."""

    def __init__(self) -> None:
        self.scrapes = 0

    async def metrics(self, _request: web.Request) -> web.Response:
        self.scrapes += 1
        total = 100 * self.scrapes
        return web.Response(text=f"payment_transactions_total {total}\npayment_errors_total {total // 2}\n")


@asynccontextmanager
async def _serve(app: web.Application, host: str, port: int = 0) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _pod(port: int) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": "payment-service-5d4f8c7b9-x2x4k",
            "labels": {"app": "payment-service", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "payment-service-5d4f8c7b9", "controller": True}
            ],
        },
        "status": {"podIP": POD_IP, "phase": "Running"},
    }


@asynccontextmanager
async def _stack(root: Path, directory: Path, file: RuleFile, webhook_url: str) -> AsyncIterator[str]:
    """Pod, Prometheus and Alertmanager on the committed configuration; yields Prometheus' address."""
    (directory / "token").write_text("let-me-in")
    (directory / "key").write_text("k")
    rules = directory / "rules.yml"
    rules.write_text(yaml.safe_dump(render_prometheus_rules(file)))
    routes = render_alertmanager(
        RuleSet((file,)),
        Receivers(
            webhook_url=webhook_url,
            webhook_token_file=str(directory / "token"),
            pagerduty_key_file=str(directory / "key"),
        ),
    )
    pod_app = web.Application()
    pod_app.router.add_get("/metrics", FailingPod().metrics)
    config = yaml.safe_load((root / "prometheus" / "prometheus.yml").read_text())
    async with (
        _serve(pod_app, POD_IP) as pod_url,
        serve_pod_targets(lambda: [_pod(int(pod_url.rsplit(":", 1)[1]))]) as pods_url,
        real_alertmanager(routes, directory) as alertmanager_url,
        real_prometheus(
            point_at_sandbox(
                config,
                pods_url=pods_url,
                alertmanager_url=alertmanager_url,
                responder_url=webhook_url,
                rule_files=[rules],
                interval="1s",
            ),
            directory,
        ) as prometheus_url,
    ):
        yield prometheus_url


async def _series(prometheus_url: str, query: str) -> dict[str, str]:
    """The labels of the only series the query yields, asked for until it is there."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(f"{prometheus_url}/api/v1/query", params={"query": query}) as response:
                result = (await response.json())["data"]["result"]
            if result:
                (series,) = result
                return dict(series["metric"])
            await SystemClock().sleep(0.2)


async def test_from_a_pods_metric_to_the_webhook(root: Path, tmp_path: Path) -> None:
    deliveries = Deliveries()
    app = web.Application()
    app.router.add_post("/webhooks/alertmanager", deliveries.take)
    file = parse_rule_file(QUICK_RULES, "quick.yaml")
    async with (
        _serve(app, "127.0.0.1") as responder_url,
        _stack(root, tmp_path, file, f"{responder_url}/webhooks/alertmanager") as prometheus_url,
    ):
        labels = await _series(prometheus_url, "payment_transactions_total")
        async with asyncio.timeout(30):
            authorization, payload = await deliveries.first

    assert labels.pop("instance").startswith(POD_IP)
    assert labels == {
        "__name__": "payment_transactions_total",
        "job": "pods",
        "namespace": NAMESPACE,
        "deployment": "payment-service",
        "pod": "payment-service-5d4f8c7b9-x2x4k",
        "pod_template_hash": "5d4f8c7b9",
    }
    assert authorization == "Bearer let-me-in"
    assert payload["receiver"] == "responder"
    (alert,) = payload["alerts"]
    assert RuleSet((file,)).match(alert["labels"]) == file.rules
    assert alert["annotations"]["description"].endswith(
        "error_rate is 50%; the rule is error_rate > 1% for 1s."
    )


async def test_a_process_that_ends_early_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="nonsense"):
        async with real_prometheus({"nonsense": True}, tmp_path):
            pytest.fail("it ran on a configuration that is none")
