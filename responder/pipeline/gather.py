"""Reading the world once for a judgement: cluster, record, Prometheus, marks, answers. Decides nothing.

Reads that don't depend on each other run at the same time: first the cluster and
Alertmanager, then Prometheus.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from responder.actions.pause import look_at_owner
from responder.actions.rollback import read_history
from responder.actions.undo import Fence
from responder.clients.kubernetes import Forbidden, Kubernetes, NotFound, Object, paths
from responder.clients.prometheus import Prometheus
from responder.clock import Clock
from responder.incidents.decision import choices_of
from responder.incidents.model import Incident
from responder.incidents.phases import Phase
from responder.incidents.store import IncidentStore
from responder.pipeline.active import ActiveAlerts
from responder.pipeline.others import OtherWorkloads
from responder.pipeline.preflight import look_ahead
from responder.pipeline.questions import Questions, comparisons_of
from responder.rules.conditions import Comparison
from responder.rules.facts import Answer, Facts, Freeze, Pausing, Preflight, Question
from responder.rules.measurement import Measurement
from responder.rules.model import GitOps, Rule, RuleFile
from responder.tasks import together
from responder.workloads.freeze import frozen
from responder.workloads.history import History
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Ledger
from responder.workloads.owners import PAUSABLE, Owner, find_owners
from responder.workloads.revision import Revision
from responder.workloads.target import Target, select_target
from responder.workloads.views import Pod


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read from Kubernetes for one judgement."""

    history: History | None
    ledger: Ledger
    freezes: tuple[Freeze, ...]
    answer: Answer | None
    # Canaries and Rollouts of the namespace; None where they were to be looked at and may not be.
    drivers: tuple[Object, ...] | None = ()

    @property
    def bad(self) -> Revision | None:
        """The current revision."""
        return None if self.history is None else self.history.current

    @property
    def target(self) -> Target | None:
        """The one to go back to."""
        if self.history is None or self.bad is None:
            return None
        return select_target(self.history, self.ledger, self.bad)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """Whoever else decides what the workload runs."""
        return () if self.history is None else find_owners(self.history.workload.raw, self.drivers or ())


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
    """Reads facts. `home` is the responder's own namespace, where a freeze is global.

    Nothing in namespaces that a pattern of `protected` matches, or in `home`, is ever rolled back.

    Secrets are looked at only on demand: whoever may read that one exists may read what it says.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        store: IncidentStore,
        prometheus: Prometheus,
        active: ActiveAlerts,
        clock: Clock,
        home: str,
        *,
        others: OtherWorkloads,
        protected: tuple[str, ...],
        look_at_secrets: bool,
        look_for_drivers: bool,
    ) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._prometheus = prometheus
        self._active = active
        self._clock = clock
        self._home = home
        self._others = others
        self._protected = protected
        self._look_at_secrets = look_at_secrets
        self._look_for_drivers = look_for_drivers

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
        bad, target, owners = cluster.bad, cluster.target, cluster.owners
        now = self._clock.now()
        questions = Questions(self._prometheus, file, now, bad, target)
        began = None if bad is None else cluster.ledger.served_from(bad)
        leaves = comparisons_of(rules)
        async with together() as group:
            measured = group.create_task(questions.measure_now(leaves))
            before = group.create_task(questions.measure_before(leaves, began))
            series = group.create_task(questions.fetch_series(leaves, began))
            beside_until = _beside_until(cluster.ledger, target, now)
            apart = group.create_task(questions.measure_apart(leaves, began, beside_until))
            by_pod = group.create_task(questions.count_by_pod(leaves))
            dependencies = group.create_task(questions.measure_dependencies(began))
            preflight = group.create_task(self._look_ahead(incident, cluster.history, target))
            pausing = group.create_task(self._look_at_owners(incident, file, owners))
            pending = group.create_task(questions.list_pending())
            nodes = group.create_task(self._read_nodes(cluster.history))
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
            apart=apart.result(),
            by_pod=by_pod.result(),
            nodes=nodes.result(),
            preflight=preflight.result(),
            owners=owners,
            drivers_seen=cluster.drivers is not None,
            pausing=pausing.result(),
            others=self._others.beside(incident, pending.result(), now),
            dependencies=dependencies.result(),
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
        return await read_history(self._kubernetes, key)

    async def measure_rules(self, file: RuleFile, rules: tuple[Rule, ...]) -> dict[Comparison, Measurement]:
        """What the rules' conditions compare, measured now."""
        return await Questions(self._prometheus, file, self._clock.now(), None, None).measure_now(
            comparisons_of(rules)
        )

    async def read_shared_freezes(self, namespace: str) -> SharedFreezes:
        """The freeze marks of the namespace and of everything, as they are now."""
        asked_seconds = asyncio.get_running_loop().time()
        async with together() as group:
            own = group.create_task(self._kubernetes.get(paths.namespace(namespace)))
            home = group.create_task(self._kubernetes.get(paths.namespace(self._home)))
        now = self._clock.now()
        marks = (
            *_freeze(own.result(), f"namespace {namespace}", now),
            *_freeze(home.result(), "everything", now),
        )
        return SharedFreezes(marks, asked_seconds)

    async def _read_cluster(self, incident: Incident) -> Cluster:
        key = incident.key
        async with together() as group:
            history = group.create_task(self.read_history(key))
            record = group.create_task(self._store.ensure_record(key))
            freezes = group.create_task(self.read_shared_freezes(key.namespace))
            answer = group.create_task(self._read_answer(incident))
            drivers = group.create_task(self._read_drivers(key.namespace))
        found = history.result()
        marks = () if found is None else _freeze(found.workload.raw, str(key), self._clock.now())
        return Cluster(
            found, record.result().spec, (*marks, *freezes.result().marks), answer.result(), drivers.result()
        )

    async def _look_ahead(
        self, incident: Incident, history: History | None, target: Target | None
    ) -> Preflight | None:
        if history is None or target is None:
            return None
        rollback = incident.status.rollback
        attempt = 1 if rollback is None else rollback.attempt + 1
        fence = Fence(history.workload.fence, incident.fence(attempt))
        return await look_ahead(
            self._kubernetes, history, target.revision, fence, secrets=self._look_at_secrets
        )

    async def _look_at_owners(
        self, incident: Incident, file: RuleFile, owners: tuple[Owner, ...]
    ) -> Pausing | None:
        """What a pause of the owner would meet; None where the rule file has none, or who is not one."""
        if file.rollback.gitops is not GitOps.PAUSE or len(owners) != 1 or owners[0].kind not in PAUSABLE:
            return None
        return await look_at_owner(self._kubernetes, owners[0], incident.metadata.uid)

    async def _read_drivers(self, namespace: str) -> tuple[Object, ...] | None:
        """The Canaries and Rollouts there, where they are to be looked at; None for want of a right."""
        found: list[Object] = []
        for path in (paths.canaries(namespace), paths.rollouts(namespace)) if self._look_for_drivers else ():
            try:
                found += (await self._kubernetes.list(path)).items
            except NotFound:
                continue  # that tool is not installed
            except Forbidden:
                return None
        return tuple(found)

    async def _read_nodes(self, history: History | None) -> dict[str, str] | None:
        """The node of each pod of the current revision; None where nobody may or can look."""
        bad = None if history is None else history.current
        if history is None or bad is None or not bad.hash:
            return None
        selector = f"{history.workload.hash_label}={bad.hash}"
        try:
            listed = await self._kubernetes.list(
                paths.pods(history.workload.namespace), label_selector=selector
            )
        except Forbidden:
            return None
        pods = (pod for pod in map(Pod, listed.items) if history.revision_of(pod) == bad)
        return {pod.name: pod.node for pod in pods if pod.node}

    async def _read_answer(self, incident: Incident) -> Answer | None:
        ask = incident.status.ask
        if ask is None:
            return None
        found = await self._store.get_decision(incident.metadata.namespace, incident.name, ask.digest)
        if found is None or found.spec.incident_uid != incident.metadata.uid:
            return None
        if found.spec.choice not in choices_of(ask):
            return None  # written by hand, and no answer to this question
        # The API server's own time: whoever writes a Decision with kubectl may put any into its spec.
        at = found.metadata.creation_timestamp
        return Answer(found.spec.digest, found.spec.choice == "rollback", found.spec.by, at)

    def _protection(self, key: WorkloadKey) -> str | None:
        if key.namespace == self._home:
            return f"Namespace {key.namespace} is the responder's own: it never rolls itself back."
        pattern = next((each for each in self._protected if fnmatchcase(key.namespace, each)), None)
        if pattern is not None:
            return f"Namespace {key.namespace} is protected ({pattern}): nothing there is rolled back."
        return None


def _beside_until(ledger: Ledger, target: Target | None, now: datetime) -> datetime | None:
    """Until when the target's pods served beside the new ones; None where nobody saw them serve."""
    serving = None if target is None else ledger.latest_serving(target.revision.uid)
    return None if serving is None else serving.ended_at or now


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


def _freeze(obj: Object, where: str, now: datetime) -> tuple[Freeze, ...]:
    value = frozen(obj, now)
    return () if value is None else (Freeze(where, value),)
