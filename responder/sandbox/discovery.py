"""How a Prometheus without Kubernetes discovery finds the sandbox's pods: the same labels, over HTTP.

Debian's Prometheus is built without it. Called by the demo and by tests/real.
Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod
"""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from yarl import URL

Pod = Mapping[str, Any]

_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def pod_targets(pods: Iterable[Pod]) -> list[dict[str, Any]]:
    """Target groups for pods as the Kubernetes API gives them: one a pod, none before it has an address."""
    groups = []
    for pod in pods:
        address = pod.get("status", {}).get("podIP")
        if address:
            groups.append({"targets": [address], "labels": _meta_labels(pod, address)})
    return groups


def _meta_labels(pod: Pod, address: str) -> dict[str, str]:
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = {
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        "pod_uid": metadata.get("uid", ""),
        "pod_ip": address,
        "pod_phase": status.get("phase", ""),
        "pod_node_name": pod.get("spec", {}).get("nodeName", ""),
    }
    for kind in ("label", "annotation"):
        for name, value in (metadata.get(f"{kind}s") or {}).items():
            safe = _NOT_LABEL.sub("_", name)
            labels[f"pod_{kind}_{safe}"] = value
            labels[f"pod_{kind}present_{safe}"] = "true"
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            labels["pod_controller_kind"] = owner["kind"]
            labels["pod_controller_name"] = owner["name"]
    return {f"__meta_kubernetes_{name}": value for name, value in labels.items()}


@asynccontextmanager
async def serve_pod_targets(list_pods: Callable[[], Iterable[Pod]]) -> AsyncIterator[str]:
    """Serve what `list_pods` yields at each request for Prometheus' HTTP discovery; yields the address."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(pod_targets(list_pods()))

    app = web.Application()
    app.router.add_get("/pods", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/pods"
    finally:
        await runner.cleanup()


def point_at_sandbox(
    config: Mapping[str, Any],
    *,
    pods_url: str,
    alertmanager_url: str,
    responder_url: str,
    rule_files: Sequence[Path],
    interval: str,
) -> dict[str, Any]:
    """prometheus/prometheus.yml with the sandbox's addresses in it; jobs and relabelling stay as they are.

    `interval` is the scrape and evaluation interval as Prometheus writes it, such as "1s".
    """
    pointed: dict[str, Any] = copy.deepcopy(dict(config))
    pointed["global"] = {
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "evaluation_interval": interval,
    }
    pointed["rule_files"] = [str(path.resolve()) for path in rule_files]
    alertmanager, responder = _targets(alertmanager_url), _targets(responder_url)
    pointed["alerting"] = {"alertmanagers": [alertmanager]}
    for job in pointed["scrape_configs"]:
        if job["job_name"] == "pods":
            del job["file_sd_configs"]
            job["http_sd_configs"] = [{"url": pods_url, "refresh_interval": "1s"}]
        else:
            job |= alertmanager if job["job_name"] == "alertmanager" else responder
    return pointed


def _targets(url: str) -> dict[str, Any]:
    parsed = URL(url)
    return {"scheme": parsed.scheme, "static_configs": [{"targets": [f"{parsed.host}:{parsed.port}"]}]}
