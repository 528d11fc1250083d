"""Asking all that depends on which revisions there are: Prometheus, the pods, the server about the undo.

Called by gather.py, before it has read the revisions where they can be foreseen. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from responder.clients.kubernetes import Forbidden, Kubernetes, Object, paths
from responder.clients.prometheus import Prometheus
from responder.pipeline.basis import Basis
from responder.pipeline.preflight import look_ahead
from responder.pipeline.questions import Questions
from responder.rules.conditions import Comparison
from responder.rules.facts import Apart, DependencyState, PodCount, Preflight, Series
from responder.rules.measurement import Measurement
from responder.rules.model import RuleFile
from responder.tasks import together
from responder.workloads.workload import HASH_LABELS


@dataclass(frozen=True, slots=True)
class Replies:
    """What was answered, to questions on which basis, and when they were asked.

    `pods` are those that carry the current revision's label; None where nobody may look. `pending` are the
    labels of alerts that are about to fire; None where Prometheus did not tell.
    """

    basis: Basis
    now: datetime
    measurements: Mapping[Comparison, Measurement]
    before: Mapping[Comparison, Measurement]
    series: Mapping[str, Series]
    counted: Mapping[Comparison, Series]
    loads: Mapping[str, Series]
    apart: Mapping[Comparison, Apart]
    by_pod: Mapping[Comparison, tuple[PodCount, ...]]
    dependencies: Mapping[str, DependencyState]
    pending: list[Mapping[str, str]] | None
    preflight: Preflight | None
    pods: list[Object] | None
    trouble: str


class Asker:
    """Asks everything at the same time. Secrets are looked at only where `secrets` says so."""

    def __init__(self, kubernetes: Kubernetes, prometheus: Prometheus, *, secrets: bool) -> None:
        self._kubernetes = kubernetes
        self._prometheus = prometheus
        self._secrets = secrets

    async def ask(
        self, file: RuleFile, leaves: tuple[Comparison, ...], basis: Basis, now: datetime
    ) -> Replies:
        """What is answered now. Raises the Kubernetes client's errors, none of Prometheus."""
        questions = Questions(self._prometheus, file, now, basis)
        async with together() as group:
            # First what the API server answers, as the undo waits for that the longest.
            preflight = group.create_task(self._look_ahead(basis))
            pods = group.create_task(self._list_pods(file, basis))
            measured = group.create_task(questions.measure_now(leaves))
            before = group.create_task(questions.measure_before(leaves))
            series = group.create_task(questions.fetch_series(leaves))
            counted = group.create_task(questions.fetch_counts(leaves))
            loads = group.create_task(questions.fetch_loads(leaves))
            apart = group.create_task(questions.measure_apart(leaves))
            by_pod = group.create_task(questions.count_by_pod(leaves))
            dependencies = group.create_task(questions.measure_dependencies())
            pending = group.create_task(questions.list_pending())
        return Replies(
            basis=basis,
            now=now,
            measurements=measured.result(),
            before=before.result(),
            series=series.result(),
            counted=counted.result(),
            loads=loads.result(),
            apart=apart.result(),
            by_pod=by_pod.result(),
            dependencies=dependencies.result(),
            pending=pending.result(),
            preflight=preflight.result(),
            pods=pods.result(),
            trouble=questions.trouble,
        )

    async def _look_ahead(self, basis: Basis) -> Preflight | None:
        if basis.trial is None:
            return None
        return await look_ahead(self._kubernetes, basis.trial, secrets=self._secrets)

    async def _list_pods(self, file: RuleFile, basis: Basis) -> list[Object] | None:
        """The pods of the current revision, by its label; None where nobody may or can look."""
        if not basis.bad:
            return None
        key = file.workload
        selector = f"{HASH_LABELS[key.kind]}={basis.bad}"
        try:
            return (await self._kubernetes.list(paths.pods(key.namespace), label_selector=selector)).items
        except Forbidden:
            return None
