"""Scrapes the simulated pods in process, under the label contract that the real scrape configuration has too.

Every series carries job, instance, namespace, pod, and where they apply pod_template_hash and the workload:
deployment, statefulset or daemonset.
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.sandbox.exposition import METRICS_PORT
from responder.sandbox.prometheus.labels import METRIC_NAME, Labels, labels_of
from responder.sandbox.prometheus.tsdb import Tsdb
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory, PodFacts


@dataclass(frozen=True, slots=True)
class _Target:
    """A scraped pod: the labels its series were stored under, `up` first."""

    labels: dict[str, str]
    series: list[Labels]


class Scraper:
    """Reads every running pod's counters into the database; a pod that is gone gets staleness markers."""

    def __init__(
        self, tsdb: Tsdb, pods: PodDirectory, metrics: PodMetrics, *, job: str, port: int = METRICS_PORT
    ) -> None:
        self._tsdb = tsdb
        self._pods = pods
        self._metrics = metrics
        self._job = job
        self._port = port
        self._targets: dict[str, _Target] = {}

    def scrape(self, time_ms: int) -> None:
        """One pass over all pods."""
        present = {pod.uid: pod for pod in self._pods.all() if pod.answers}
        for uid in [uid for uid in self._targets if uid not in present]:
            self._retire(self._targets.pop(uid), time_ms)
        for uid, pod in present.items():
            self._read(uid, pod, time_ms)

    def forget(self) -> None:
        """Know no targets, as after a restart."""
        self._targets.clear()

    def target_labels(self, pod: PodFacts) -> dict[str, str]:
        """The labels that scraping adds to everything a pod exposes."""
        labels = {
            "job": self._job,
            "instance": f"{pod.ip}:{self._port}",
            "namespace": pod.namespace,
            "pod": pod.name,
            "deployment": self._pods.deployment_of(pod),
            "statefulset": pod.owner_name if pod.owner_kind == "StatefulSet" else "",
            "daemonset": pod.owner_name if pod.owner_kind == "DaemonSet" else "",
            "pod_template_hash": pod.pod_template_hash,
        }
        return {name: value for name, value in labels.items() if value}

    def _read(self, uid: str, pod: PodFacts, time_ms: int) -> None:
        labels = self.target_labels(pod)
        known = self._targets.get(uid)
        samples = list(self._metrics.of(pod).samples())
        if known is None or known.labels != labels:
            if known is not None:
                self._retire(known, time_ms)
            series = [labels_of({METRIC_NAME: "up", **labels})]
            series += [labels_of({METRIC_NAME: name, **labels, **own}) for name, own, _ in samples]
            known = self._targets[uid] = _Target(labels, series)
        self._tsdb.append(known.series[0], time_ms, 1.0)
        for series_labels, (_, _, value) in zip(known.series[1:], samples, strict=True):
            self._tsdb.append(series_labels, time_ms, value)

    def _retire(self, target: _Target, time_ms: int) -> None:
        for labels in target.series:
            self._tsdb.mark_stale(labels, time_ms)
