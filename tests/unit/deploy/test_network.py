"""The network policies let through what the settings name, and nothing comes in but by the one port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yarl import URL

from responder.settings import Settings
from tests.shared import CHECKOUT
from tests.unit.deploy.rendering import OVERLAY, container, find, load, pod_spec, render

ANYWHERE = "anywhere"


def policies() -> list[dict[str, Any]]:
    return [obj["spec"] for obj in render(OVERLAY) if obj["kind"] == "NetworkPolicy"]


def opened(direction: str, specs: list[dict[str, Any]]) -> set[tuple[str, str, int | str]]:
    """What is let through, one (namespace or anywhere, protocol, port) each."""
    peers_key = {"ingress": "from", "egress": "to"}[direction]
    return {
        (peer, port["protocol"], port["port"])
        for spec in specs
        for rule in spec.get(direction, [])
        for peer in namespaces(rule.get(peers_key))
        for port in rule["ports"]
    }


def namespaces(peers: list[dict[str, Any]] | None) -> Iterator[str]:
    """The names of the namespaces that peers stand for."""
    if peers is None:
        yield ANYWHERE
    for peer in peers or []:
        assert peer.keys() == {"namespaceSelector"}
        (label, name), *more = peer["namespaceSelector"]["matchLabels"].items()
        assert (label, more) == ("kubernetes.io/metadata.name", [])
        yield name


def test_only_monitoring_comes_in_by_the_port_of_the_service() -> None:
    # A direction that is named and has no rule is shut.
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in policies())
    target = find("Service")["spec"]["ports"][0]["targetPort"]
    assert target in {port["name"] for port in container()["ports"]}
    assert opened("ingress", policies()) == {("monitoring", "TCP", target)}


def test_slack_comes_in_where_the_ingress_is_taken_in() -> None:
    _, policy = load("ingress.example.yaml")
    assert opened("ingress", [policy["spec"]]) == {("ingress-nginx", "TCP", "http")}
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_everybody_in_the_settings_is_reached_and_nobody_else() -> None:
    settings = find("ConfigMap", "responder-settings")["data"]
    addresses = [
        URL(settings["RESPONDER_PROMETHEUS_URL"]),
        *map(URL, settings["RESPONDER_ALERTMANAGER_URLS"].split(",")),
    ]
    inside = {(str(url.host).split(".")[1], "TCP", url.port) for url in addresses}
    outside = {
        (ANYWHERE, "TCP", URL(Settings.model_fields[field].default).port)
        for field in ("slack_api_url", "pagerduty_url")
    }
    name_service = {(ANYWHERE, protocol, 53) for protocol in ("TCP", "UDP")}
    api_server = {(ANYWHERE, "TCP", 443), (ANYWHERE, "TCP", 6443)}
    assert opened("egress", policies()) == inside | outside | name_service | api_server


def test_prometheus_finds_every_replica() -> None:
    config = yaml.safe_load((CHECKOUT / "prometheus" / "in-cluster.yml").read_text(encoding="utf-8"))
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "responder"]
    (discovery,) = job["kubernetes_sd_configs"]
    (selector,) = discovery["selectors"]
    labels = find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selector["label"] in {f"{name}={value}" for name, value in labels.items()}
    kept = [rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"]
    assert kept == [port["name"] for port in container()["ports"]]
    # Scraped as a pod of its own label besides, it would be counted twice.
    annotations = find("Deployment")["spec"]["template"]["metadata"].get("annotations", {})
    assert "prometheus.io/scrape" not in annotations
    assert pod_spec().get("hostNetwork") is None
