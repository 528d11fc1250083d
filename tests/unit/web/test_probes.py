"""Health is the process, readiness is what it needs, metrics are in the format they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_aiohttp import AiohttpClient

from responder.web import ReadinessCheck

Opened = Callable[..., Any]


async def test_health_and_readiness_differ(aiohttp_client: AiohttpClient, opened: Opened) -> None:
    door = opened()
    door.checks = (
        ReadinessCheck("rules", True),
        ReadinessCheck("cluster", False, "the CRDs are not applied"),
    )
    client = await aiohttp_client(door.app())
    health, ready = await client.get("/healthz"), await client.get("/readyz")
    assert (health.status, ready.status) == (200, 503)
    assert await ready.json() == {
        "ready": False,
        "checks": {
            "rules": {"ok": True, "message": ""},
            "cluster": {"ok": False, "message": "the CRDs are not applied"},
        },
    }
    door.checks = (ReadinessCheck("rules", True),)
    assert (await client.get("/readyz")).status == 200


async def test_metrics_are_readable_and_fresh(aiohttp_client: AiohttpClient, opened: Opened) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    assert families["responder_ready"].samples[0].value == 1
    door.checks = (ReadinessCheck("rules", False),)
    assert "responder_ready 0.0" in await (await client.get("/metrics")).text()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/webhooks/alertmanager", 405),
        ("POST", "/healthz", 405),
        ("PUT", "/slack/interactions", 405),
    ],
)
async def test_other_paths_and_methods(
    aiohttp_client: AiohttpClient, opened: Opened, method: str, path: str, status: int
) -> None:
    client = await aiohttp_client(opened().app())
    assert (await client.request(method, path)).status == status
