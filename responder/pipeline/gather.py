"""Reading the world once for a judgement: cluster, record, Prometheus, marks, answers. Decides nothing.

Reads that don't depend on each other run at the same time: first the cluster and
Alertmanager, then Prometheus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.clients.kubernetes import Kubernetes, NotFound, Object, paths
from responder.clients.measure import measure
from responder.clients.prometheus import Prometheus, PrometheusUnavailable, QueryRejected
from responder.clock import Clock
from responder.incidents.model import Incident
from responder.incidents.phases import Phase
from responder.incidents.store import IncidentStore
from responder.pipeline.active import ActiveAlerts
from responder.rules.conditions import Comparison, comparisons
from responder.rules.facts import Answer, Facts, Freeze, Question, Series
from responder.rules.measurement import Measurement
from responder.rules.model import Metric, Rule, RuleFile
from responder.rules.promql import render
from responder.tasks import together
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Ledger
from responder.workloads.target import Target, select_target
from responder.workloads.templates import HASH_LABEL
from responder.workloads.views import FREEZE, ReplicaSet

# The label that our scrape configuration gives every series of a pod, so that metrics split by revision.
HASH_METRIC_LABEL = HASH_LABEL.replace("-", "_")

# Prometheus refuses more than 11,000 steps; this many show an onset well enough and cost little.
_MOST_STEPS = 1500
_SHORTEST_STEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read from Kubernetes for one judgement."""

    history: History | None
    ledger: Ledger
    freezes: tuple[Freeze, ...]
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class SharedFreezes:
    """The freeze marks that no precondition of a patch can hold, and when their reading began.

    `asked_seconds` is on the loop's clock, which nobody sets back.
    """

    marks: tuple[Freeze, ...]
    asked_seconds: float

    def age_seconds(self) -> float:
        """How long ago the marks may have been different."""
        return asyncio.get_running_loop().time() - self.asked_seconds


class Gatherer:
    """Reads facts. `home` is the responder's own namespace, where a freeze is global."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        store: IncidentStore,
        prometheus: Prometheus,
        active: ActiveAlerts,
        clock: Clock,
        home: str,
    ) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._prometheus = prometheus
        self._active = active
        self._clock = clock
        self._home = home

    async def gather(
        self, incident: Incident, file: RuleFile, rules: tuple[Rule, ...], firing: tuple[Rule, ...]
    ) -> Facts:
        """Read everything that judging this incident needs. Raises the Kubernetes client's errors.

        A Prometheus that does not answer is no error here: what it would have said stays unknown.
        """
        async with together() as group:
            silent = group.create_task(self._active.none_of(incident))
            reading = group.create_task(self._read_cluster(incident))
        cluster = reading.result()
        bad = cluster.history.current if cluster.history is not None else None
        target = None
        if cluster.history is not None and bad is not None:
            target = select_target(cluster.history, cluster.ledger, bad)
        now = self._clock.now()
        questions = _Questions(self._prometheus, file, now, bad, target)
        began = None if bad is None else cluster.ledger.served_from(bad)
        leaves = comparisons_of(rules)
        async with together() as group:
            measured = group.create_task(questions.measure_now(leaves))
            before = group.create_task(questions.measure_before(leaves, began))
            series = group.create_task(questions.fetch_series(leaves, began))
        return Facts(
            now=now,
            incident=incident.metadata.uid,
            file=file,
            rules=rules,
            firing=() if silent.result() else firing,
            history=cluster.history,
            ledger=cluster.ledger,
            bad=bad,
            target=target,
            measurements=measured.result(),
            before=before.result(),
            series=series.result(),
            freezes=cluster.freezes,
            protected=self._protection(incident.key),
            question=_question(incident),
            answer=cluster.answer,
            answers_spent=incident.status.answers_spent,
            blamed=incident.status.blamed,
            expired=now >= _expiry(incident, file),
            trouble=questions.trouble,
        )

    async def read_history(self, key: WorkloadKey) -> History | None:
        """The workload with its revisions as they are now; None when it is gone."""
        async with together() as group:
            deployment = group.create_task(self._read_deployment(key))
            replicasets = group.create_task(self._kubernetes.list(paths.replicasets(key.namespace)))
        found = deployment.result()
        return None if found is None else parse_history(found, replicasets.result().items)

    async def measure_rules(self, file: RuleFile, rules: tuple[Rule, ...]) -> dict[Comparison, Measurement]:
        """What the rules' conditions compare, measured now."""
        return await _Questions(self._prometheus, file, self._clock.now(), None, None).measure_now(
            comparisons_of(rules)
        )

    async def read_shared_freezes(self, namespace: str) -> SharedFreezes:
        """The freeze marks of the namespace and of everything, as they are now."""
        asked_seconds = asyncio.get_running_loop().time()
        async with together() as group:
            own = group.create_task(self._kubernetes.get(paths.namespace(namespace)))
            home = group.create_task(self._kubernetes.get(paths.namespace(self._home)))
        marks = (
            *_freeze(own.result(), f"namespace {namespace}"),
            *_freeze(home.result(), "everything"),
        )
        return SharedFreezes(marks, asked_seconds)

    async def _read_cluster(self, incident: Incident) -> Cluster:
        key = incident.key
        async with together() as group:
            history = group.create_task(self.read_history(key))
            record = group.create_task(self._store.ensure_record(key))
            freezes = group.create_task(self.read_shared_freezes(key.namespace))
            answer = group.create_task(self._read_answer(incident))
        found = history.result()
        marks = () if found is None else _freeze(found.deployment.raw, str(key))
        return Cluster(found, record.result().spec, (*marks, *freezes.result().marks), answer.result())

    async def _read_deployment(self, key: WorkloadKey) -> Object | None:
        if key.kind != "Deployment":
            return None
        try:
            return await self._kubernetes.get(paths.deployment(key.namespace, key.name))
        except NotFound:
            return None

    async def _read_answer(self, incident: Incident) -> Answer | None:
        ask = incident.status.ask
        if ask is None:
            return None
        found = await self._store.get_decision(incident.metadata.namespace, incident.name, ask.digest)
        if found is None or found.spec.incident_uid != incident.metadata.uid:
            return None
        # The API server's own time: whoever writes a Decision with kubectl may put any into its spec.
        at = found.metadata.creation_timestamp
        return Answer(found.spec.digest, found.spec.choice == "rollback", found.spec.by, at)

    def _protection(self, key: WorkloadKey) -> str | None:
        if key.namespace == self._home:
            return f"Namespace {key.namespace} is the responder's own: it never rolls itself back."
        if key.namespace.startswith("kube-"):
            return f"Namespace {key.namespace} belongs to the cluster: nothing there is rolled back."
        return None


class _Questions:
    """The questions to Prometheus for one judgement; remembers why one stayed without an answer."""

    def __init__(
        self,
        prometheus: Prometheus,
        file: RuleFile,
        now: datetime,
        bad: ReplicaSet | None,
        target: Target | None,
    ) -> None:
        self._prometheus = prometheus
        self._file = file
        self._now = now
        self._bad = bad
        self._target = target
        self.trouble = ""

    async def measure_now(self, leaves: tuple[Comparison, ...]) -> dict[Comparison, Measurement]:
        """Each comparison's metric now; where samples are too few, once more over twice the range."""
        async with together() as group:
            tasks = {leaf: group.create_task(self._measure_enough(leaf)) for leaf in leaves}
        return {leaf: task.result() for leaf, task in tasks.items()}

    async def measure_before(
        self, leaves: tuple[Comparison, ...], began: datetime | None
    ) -> dict[Comparison, Measurement]:
        """Each comparison's metric of the target, just before the bad revision began to serve."""
        if began is None or self._target is None:
            return {}
        target = self._target.replicaset
        async with together() as group:
            tasks = {leaf: group.create_task(self._measure_target(leaf, target, began)) for leaf in leaves}
        return {leaf: task.result() for leaf, task in tasks.items()}

    async def fetch_series(self, leaves: tuple[Comparison, ...], began: datetime | None) -> dict[str, Series]:
        """Each metric at short range, from the clean gap before the bad revision until now."""
        metrics = {leaf.metric: self._file.metrics[leaf.metric] for leaf in leaves}
        if began is None or began >= self._now:
            return {}
        start = began - self._file.rollback.clean_gap
        shortest = min(metric.onset_range for metric in metrics.values())
        step = max(_SHORTEST_STEP, shortest / 4, (self._now - start) / _MOST_STEPS)
        step = timedelta(seconds=round(step.total_seconds()))
        async with together() as group:
            tasks = {
                name: group.create_task(self._fetch_one(metric, start, step))
                for name, metric in metrics.items()
            }
        return {name: task.result() for name, task in tasks.items()}

    async def _measure_enough(self, leaf: Comparison) -> Measurement:
        metric = self._file.metrics[leaf.metric]
        first = await self._measure(leaf, self._file.selector, self._now, metric.range)
        if first.rests_on(metric.min_samples):
            return first
        wider = await self._measure(leaf, self._file.selector, self._now, metric.range * 2)
        return wider if wider.rests_on(metric.min_samples) else first

    async def _measure_target(self, leaf: Comparison, target: ReplicaSet, began: datetime) -> Measurement:
        """On the target's own pods, or on the whole workload where the metric does not split by revision."""
        metric = self._file.metrics[leaf.metric]
        own = self._file.selector | {HASH_METRIC_LABEL: target.hash}
        measured = await self._measure(leaf, own, began, metric.range)
        if measured.measured or self._bad is None:
            return measured
        of_bad = self._file.selector | {HASH_METRIC_LABEL: self._bad.hash}
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

    async def _fetch_one(self, metric: Metric, start: datetime, step: timedelta) -> Series:
        query = render(metric.query, self._file.selector, range=metric.onset_range, quantile=metric.quantile)
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


def _expiry(incident: Incident, file: RuleFile) -> datetime:
    """When the incident's question, or the incident without one, has waited long enough."""
    ask = incident.status.ask
    return incident.spec.received_at + file.rollback.window if ask is None else ask.expires_at


def _question(incident: Incident) -> Question | None:
    """What people were asked. It is theirs to decide also while there is nothing that they could click on."""
    awaited = incident.phase is Phase.AWAITING_DECISION
    ask = incident.status.ask
    if ask is not None:
        return Question(ask.digest, ask.action, ask.overridable, awaited)
    action = incident.status.action
    return Question("", action, (), awaited) if awaited and action is not None else None


def _freeze(obj: Object, where: str) -> tuple[Freeze, ...]:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return (Freeze(where, str(annotations[FREEZE])),) if FREEZE in annotations else ()
