"""Pods as target groups, and the committed Prometheus configuration with the sandbox's addresses in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import yaml

from responder.sandbox.discovery import pod_targets, point_at_sandbox, serve_pod_targets

CHECKOUT = Path(__file__).parents[3]

POD: dict[str, Any] = {
    "metadata": {
        "namespace": "payments",
        "name": "payment-service-5d4f8c7b9-x2x4k",
        "uid": "u-1",
        "labels": {"pod-template-hash": "5d4f8c7b9"},
        "annotations": {"prometheus.io/port": "9102"},
        "ownerReferences": [
            {"kind": "Node", "name": "n", "controller": False},
            {"kind": "ReplicaSet", "name": "payment-service-5d4f8c7b9", "controller": True},
        ],
    },
    "spec": {"nodeName": "node-1"},
    "status": {"podIP": "127.1.2.3", "phase": "Running"},
}


def test_a_pod_becomes_a_target_with_its_meta_labels() -> None:
    assert pod_targets([POD]) == [
        {
            "targets": ["127.1.2.3"],
            "labels": {
                "__meta_kubernetes_namespace": "payments",
                "__meta_kubernetes_pod_name": "payment-service-5d4f8c7b9-x2x4k",
                "__meta_kubernetes_pod_uid": "u-1",
                "__meta_kubernetes_pod_ip": "127.1.2.3",
                "__meta_kubernetes_pod_phase": "Running",
                "__meta_kubernetes_pod_node_name": "node-1",
                "__meta_kubernetes_pod_label_pod_template_hash": "5d4f8c7b9",
                "__meta_kubernetes_pod_labelpresent_pod_template_hash": "true",
                "__meta_kubernetes_pod_annotation_prometheus_io_port": "9102",
                "__meta_kubernetes_pod_annotationpresent_prometheus_io_port": "true",
                "__meta_kubernetes_pod_controller_kind": "ReplicaSet",
                "__meta_kubernetes_pod_controller_name": "payment-service-5d4f8c7b9",
            },
        }
    ]


def test_a_pod_without_an_address_is_no_target() -> None:
    assert pod_targets([{"metadata": POD["metadata"], "status": {"phase": "Pending"}}]) == []


async def test_serves_the_pods_of_the_moment() -> None:
    pods: list[dict[str, Any]] = []
    async with serve_pod_targets(lambda: pods) as url, aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert await response.json() == []
        pods.append(POD)
        async with session.get(url) as response:
            assert await response.json() == pod_targets([POD])
            assert response.content_type == "application/json"


def test_points_the_committed_configuration_at_the_sandbox() -> None:
    committed = yaml.safe_load((CHECKOUT / "prometheus" / "prometheus.yml").read_text())
    relabelling = committed["scrape_configs"][0]["relabel_configs"]

    pointed = point_at_sandbox(
        committed,
        pods_url="http://127.0.0.1:1/pods",
        alertmanager_url="http://127.0.0.1:2",
        responder_url="http://127.0.0.1:3",
        rule_files=[Path("/rules/a.yml")],
        interval="1s",
    )

    alertmanager = {"scheme": "http", "static_configs": [{"targets": ["127.0.0.1:2"]}]}
    assert set(pointed["global"].values()) == {"1s"}
    assert pointed["rule_files"] == ["/rules/a.yml"]
    assert pointed["alerting"] == {"alertmanagers": [alertmanager]}
    pods, responder, own = pointed["scrape_configs"]
    assert pods == {
        "job_name": "pods",
        "http_sd_configs": [{"url": "http://127.0.0.1:1/pods", "refresh_interval": "1s"}],
        "relabel_configs": relabelling,
    }
    assert responder["static_configs"] == [{"targets": ["127.0.0.1:3"]}]
    assert own == {"job_name": "alertmanager", **alertmanager}
    assert "file_sd_configs" in committed["scrape_configs"][0], "what was given stays as it was"
