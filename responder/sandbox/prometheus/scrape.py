"""Scrapes the simulated pods in process, under the label contract that the real scrape configuration has too.

Every series carries job, instance, namespace, pod, and where they apply the revision (pod_template_hash or
controller_revision_hash) and the workload: deployment, statefulset or daemonset.
"""

from __future__ import annotations

import re
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
    """Reads every running pod's counters into the database; a pod that is gone gets staleness markers.

    A pod that can't be scraped keeps its `up`, which is 0, and what it exposed goes stale. unreachable is
    searched for in namespace/pod ("": every pod can be reached).
    """

    def __init__(
        self, tsdb: Tsdb, pods: PodDirectory, metrics: PodMetrics, *, job: str, port: int = METRICS_PORT
    ) -> None:
        self._tsdb = tsdb
        self._pods = pods
        self._metrics = metrics
        self._job = job
        self._port = port
        self._targets: dict[str, _Target] = {}
        self.unreachable = ""

    def scrape(self, time_ms: int) -> None:
        """One pass over all pods."""
        present = {pod.uid: pod for pod in self._pods.all() if pod.running and pod.ip}
        for uid in [uid for uid in self._targets if uid not in present]:
            self._retire(self._targets.pop(uid), time_ms)
        for uid, pod in present.items():
            if pod.answers and not self._is_unreachable(pod):
                self._read(uid, pod, time_ms)
            else:
                self._miss(uid, pod, time_ms)

    def _is_unreachable(self, pod: PodFacts) -> bool:
        place = f"{pod.namespace}/{pod.name}"
        return bool(self.unreachable) and re.search(self.unreachable, place) is not None

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
            "controller_revision_hash": pod.controller_revision_hash,
        }
        return {name: value for name, value in labels.items() if value}

    def _read(self, uid: str, pod: PodFacts, time_ms: int) -> None:
        labels = self.target_labels(pod)
        known = self._targets.get(uid)
        samples = list(self._metrics.of(pod).samples())
        if known is None or known.labels != labels or len(known.series) != len(samples) + 1:
            if known is not None and known.labels != labels:
                self._retire(known, time_ms)
            series = [labels_of({METRIC_NAME: "up", **labels})]
            series += [labels_of({METRIC_NAME: name, **labels, **own}) for name, own, _ in samples]
            known = self._targets[uid] = _Target(labels, series)
        self._tsdb.append(known.series[0], time_ms, 1.0)
        for series_labels, (_, _, value) in zip(known.series[1:], samples, strict=True):
            self._tsdb.append(series_labels, time_ms, value)

    def _miss(self, uid: str, pod: PodFacts, time_ms: int) -> None:
        labels = self.target_labels(pod)
        up = labels_of({METRIC_NAME: "up", **labels})
        known = self._targets.get(uid)
        if known is not None:
            gone = known.series[1:] if known.labels == labels else known.series
            self._retire(_Target(known.labels, gone), time_ms)
        self._targets[uid] = _Target(labels, [up])
        self._tsdb.append(up, time_ms, 0.0)

    def _retire(self, target: _Target, time_ms: int) -> None:
        for labels in target.series:
            self._tsdb.mark_stale(labels, time_ms)
