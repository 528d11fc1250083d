"""The questions to Prometheus for one judgement: each metric now, before, at short range. Decides nothing.

Asked by replies.py, all at the same time, and by gather.py. What stays without an answer is unknown, never an
error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from responder.clients.measure import measure
from responder.clients.prometheus import Prometheus, PrometheusUnavailable, QueryRejected
from responder.pipeline.basis import Basis
from responder.rules.conditions import Comparison, comparisons
from responder.rules.facts import Apart, DependencyState, PodCount, Series
from responder.rules.measurement import Measurement
from responder.rules.model import Dependency, Metric, Rule, RuleFile
from responder.rules.promql import render, split_by, workload_labels
from responder.tasks import results_of, together
from responder.workloads.workload import HASH_LABELS

# What our scrape configuration gives every series of a pod, so that metrics split by revision and pod.
HASH_METRIC_LABELS = {kind: label.replace("-", "_") for kind, label in HASH_LABELS.items()}
POD_METRIC_LABEL = "pod"
# Source: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/#inspecting-alerts-during-runtime
PENDING = 'ALERTS{alertstate="pending"}'

# Prometheus refuses more than 11,000 steps; this many show an onset well enough and cost little.
_MOST_STEPS = 1500
_SHORTEST_STEP = timedelta(seconds=1)


class Questions:
    """The questions to Prometheus for one judgement; remembers why one stayed without an answer."""

    def __init__(
        self,
        prometheus: Prometheus,
        file: RuleFile,
        now: datetime,
        basis: Basis,
    ) -> None:
        self._prometheus = prometheus
        self._file = file
        self._now = now
        self._basis = basis
        self._hash_label = HASH_METRIC_LABELS[file.workload.kind]
        self.trouble = ""

    async def measure_now(self, leaves: tuple[Comparison, ...]) -> dict[Comparison, Measurement]:
        """Each comparison's metric now; where samples are too few, once more over twice the range."""
        return await results_of({leaf: self._measure_enough(leaf, self._file.selector) for leaf in leaves})

    async def measure_before(self, leaves: tuple[Comparison, ...]) -> dict[Comparison, Measurement]:
        """Each comparison's metric of the target, just before the bad revision began to serve."""
        began, target = self._basis.began, self._basis.target
        if began is None or target is None:
            return {}
        return await results_of({leaf: self._measure_target(leaf, target, began) for leaf in leaves})

    async def fetch_series(
        self,
        leaves: tuple[Comparison, ...],
        selector: Mapping[str, str] | None = None,
    ) -> dict[str, Series]:
        """Each metric at short range, from the clean gap before the bad revision until now."""
        metrics, instants = self._metrics_of(leaves), self._instants(leaves)
        if instants is None:
            return {}
        labels = selector or self._file.selector
        return await results_of(
            {name: self._fetch_one(each, each.query, labels, instants) for name, each in metrics.items()}
        )

    async def fetch_counts(
        self,
        leaves: tuple[Comparison, ...],
        selector: Mapping[str, str] | None = None,
    ) -> dict[Comparison, Series]:
        """What the series rest on: bad samples, or all samples where a metric counts no bad ones."""
        metrics, instants = self._metrics_of(leaves), self._instants(leaves)
        if instants is None:
            return {}
        labels = selector or self._file.selector
        counted = {leaf: metrics[leaf.metric] for leaf in leaves}
        return await results_of(
            {
                leaf: self._fetch_one(
                    each, each.bad_samples or each.samples, labels, instants, leaf.threshold
                )
                for leaf, each in counted.items()
            }
        )

    async def fetch_loads(self, leaves: tuple[Comparison, ...]) -> dict[str, Series]:
        """How many samples each metric had in each window of the series."""
        metrics, instants = self._metrics_of(leaves), self._instants(leaves)
        if instants is None:
            return {}
        labels = self._file.selector
        return await results_of(
            {name: self._fetch_one(each, each.samples, labels, instants) for name, each in metrics.items()}
        )

    def _metrics_of(self, leaves: tuple[Comparison, ...]) -> dict[str, Metric]:
        return {leaf.metric: self._file.metrics[leaf.metric] for leaf in leaves}

    def _instants(self, leaves: tuple[Comparison, ...]) -> tuple[datetime, timedelta] | None:
        """Where the series start, and their step; None where the beginning is not known."""
        began = self._basis.began
        if began is None or began >= self._now:
            return None
        start = began - self._file.rollback.clean_gap
        shortest = min(metric.onset_range for metric in self._metrics_of(leaves).values())
        step = max(_SHORTEST_STEP, shortest / 4, (self._now - start) / _MOST_STEPS)
        return start, timedelta(seconds=round(step.total_seconds()))

    async def list_pending(self) -> list[Mapping[str, str]] | None:
        """The labels of the alerts whose `for` has not passed yet; None when Prometheus does not say."""
        try:
            found = await self._prometheus.query(PENDING, at=self._now)
        except (PrometheusUnavailable, QueryRejected) as error:
            self.trouble = str(error)
            return None
        return [sample.labels for sample in found]

    async def measure_dependencies(self) -> dict[str, DependencyState]:
        """What the rule file says that the service calls, by its name there: now, and at short range."""
        named = self._file.dependencies
        return await results_of({each.name: self._measure_dependency(each) for each in named})

    async def _measure_dependency(self, dependency: Dependency) -> DependencyState:
        workload = dependency.workload
        selector = self._file.selector if workload is None else workload_labels(workload)
        leaves = tuple(dict.fromkeys(comparisons(dependency.condition)))
        async with together() as group:
            measured = group.create_task(
                results_of({leaf: self._measure_enough(leaf, selector) for leaf in leaves})
            )
            series = group.create_task(self.fetch_series(leaves, selector))
            counted = group.create_task(self.fetch_counts(leaves, selector))
        return DependencyState(measured.result(), series.result(), counted.result())

    async def measure_apart(self, leaves: tuple[Comparison, ...]) -> dict[Comparison, Apart]:
        """Each comparison's metric for new pods and old ones apart."""
        began, bad, target = self._basis.began, self._basis.bad, self._basis.target
        if began is None or bad is None or target is None:
            return {}
        new = self._file.selector | {self._hash_label: bad}
        old = self._file.selector | {self._hash_label: target}
        return await results_of({leaf: self._measure_apart(leaf, new, old, began) for leaf in leaves})

    async def count_by_pod(self, leaves: tuple[Comparison, ...]) -> dict[Comparison, tuple[PodCount, ...]]:
        """How many samples and bad ones each pod had, for each comparison where that can be asked."""
        return await results_of({leaf: self._count_by_pod(leaf) for leaf in leaves})

    async def _measure_apart(
        self, leaf: Comparison, new: Mapping[str, str], old: Mapping[str, str], began: datetime
    ) -> Apart:
        beside_until = self._basis.beside_until
        beside = timedelta() if beside_until is None else beside_until - began
        async with together() as group:
            now = group.create_task(self._measure_enough(leaf, new))
            if beside_until is None or beside < _SHORTEST_STEP:
                return Apart(await now)
            window = min(beside, self._file.metrics[leaf.metric].range)
            new_beside = group.create_task(self._measure(leaf, new, beside_until, window))
            old_beside = group.create_task(self._measure(leaf, old, beside_until, window))
        return Apart(now.result(), new_beside.result(), old_beside.result())

    async def _count_by_pod(self, leaf: Comparison) -> tuple[PodCount, ...]:
        metric = self._file.metrics[leaf.metric]
        async with together() as group:
            samples = group.create_task(self._ask_by_pod(leaf, metric.samples))
            bad = group.create_task(self._ask_by_pod(leaf, metric.bad_samples))
        return tuple(
            PodCount(pod, revision, value, bad.result().get((pod, revision)))
            for (pod, revision), value in samples.result().items()
        )

    async def _ask_by_pod(self, leaf: Comparison, template: str | None) -> dict[tuple[str, str], float]:
        """A count by pod and revision hash. A metric's series need not carry either label."""
        if template is None:
            return {}
        metric = self._file.metrics[leaf.metric]
        query = render(
            template,
            self._file.selector,
            range=metric.range,
            threshold=leaf.threshold,
            quantile=metric.quantile,
        )
        split = split_by(query, (POD_METRIC_LABEL, self._hash_label))
        if split is None:
            return {}
        try:
            found = await self._prometheus.query(split, at=self._now)
        except PrometheusUnavailable as error:
            self.trouble = str(error)
            return {}
        except QueryRejected:
            # Only that it can't be asked apart: the query itself is asked whole beside this.
            return {}
        return {
            (labels[POD_METRIC_LABEL], labels.get(self._hash_label, "")): sample.value
            for sample in found
            if POD_METRIC_LABEL in (labels := sample.labels)
        }

    async def _measure_enough(self, leaf: Comparison, selector: Mapping[str, str]) -> Measurement:
        metric = self._file.metrics[leaf.metric]
        first = await self._measure(leaf, selector, self._now, metric.range)
        if first.rests_on(metric.min_samples):
            return first
        wider = await self._measure(leaf, selector, self._now, metric.range * 2)
        return wider if wider.rests_on(metric.min_samples) else first

    async def _measure_target(self, leaf: Comparison, target: str, began: datetime) -> Measurement:
        """On the target's own pods, or on the whole workload where the metric does not split by revision."""
        metric = self._file.metrics[leaf.metric]
        own = self._file.selector | {self._hash_label: target}
        measured = await self._measure(leaf, own, began, metric.range)
        if measured.measured or self._basis.bad is None:
            return measured
        of_bad = self._file.selector | {self._hash_label: self._basis.bad}
        splits = await self._measure(leaf, of_bad, self._now, metric.range)
        if splits.measured:
            return measured
        return await self._measure(leaf, self._file.selector, began, metric.range)

    async def _measure(
        self, leaf: Comparison, selector: Mapping[str, str], at: datetime, range: timedelta
    ) -> Measurement:
        metric = self._file.metrics[leaf.metric]
        try:
            return await measure(
                self._prometheus, metric, selector, at=at, range=range, threshold=leaf.threshold
            )
        except (PrometheusUnavailable, QueryRejected) as error:
            self.trouble = str(error)
            return Measurement(value=None, samples=None, bad_samples=None, range=range, at=at)

    async def _fetch_one(
        self,
        metric: Metric,
        template: str,
        selector: Mapping[str, str],
        instants: tuple[datetime, timedelta],
        threshold: float | None = None,
    ) -> Series:
        start, step = instants
        query = render(
            template, selector, range=metric.onset_range, threshold=threshold, quantile=metric.quantile
        )
        try:
            found = await self._prometheus.query_range(query, start=start, end=self._now, step=step)
        except (PrometheusUnavailable, QueryRejected) as error:
            self.trouble = str(error)
            return {}
        if len(found) != 1:
            return {}
        return {sample.at: sample.value for sample in found[0].samples}


def comparisons_of(rules: tuple[Rule, ...]) -> tuple[Comparison, ...]:
    """Every comparison of the rules' conditions, each once."""
    return tuple(dict.fromkeys(leaf for rule in rules for leaf in comparisons(rule.condition)))
