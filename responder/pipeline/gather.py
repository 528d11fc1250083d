"""Reading the world once for a judgement: cluster, record, Prometheus, marks, answers. Decides nothing.

All of it runs at the same time. What depends on the revisions is asked about those that the watch saw last,
and asked again where others are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import structlog

from responder.actions.pause import look_at_owner
from responder.actions.rollback import read_history
from responder.clients.kubernetes import Forbidden, Kubernetes, NotFound, Object, paths
from responder.clients.prometheus import Prometheus
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.decision import choices_of
from responder.incidents.model import Incident
from responder.incidents.phases import Phase
from responder.incidents.store import IncidentStore
from responder.pipeline.active import ActiveAlerts
from responder.pipeline.basis import Basis, Known, find_basis
from responder.pipeline.others import OtherWorkloads
from responder.pipeline.questions import Questions, comparisons_of
from responder.pipeline.replies import Asker, Replies
from responder.rules.conditions import Comparison
from responder.rules.facts import Answer, Facts, Freeze, Pausing, Question
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
from responder.workloads.views import Pod, parse_time

log = structlog.get_logger(__name__)

# What was asked longer than this before the revisions had been read is asked again.
_EARLY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read from Kubernetes for one judgement."""

    history: History | None
    ledger: Ledger
    freezes: tuple[Freeze, ...]
    answer: Answer | None
    # Canaries and Rollouts of the namespace; None where they were to be looked at and may not be.
    drivers: tuple[Object, ...] | None
    read_at: datetime

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
    `last_seen` is asked what a watch saw of a workload, `caught_up` whether its ledger says so by now.
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
        last_seen: Callable[[WorkloadKey], Known | None],
        caught_up: Callable[[WorkloadKey], Awaitable[bool]],
    ) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._prometheus = prometheus
        self._active = active
        self._clock = clock
        self._home = home
        self._others = others
        self._protected = protected
        self._asker = Asker(kubernetes, prometheus, secrets=look_at_secrets)
        self._last_seen = last_seen
        self._caught_up = caught_up
        self._look_for_drivers = look_for_drivers

    async def gather(
        self, incident: Incident, file: RuleFile, rules: tuple[Rule, ...], firing: tuple[Rule, ...]
    ) -> Facts:
        """Read everything that judging this incident needs. Raises the Kubernetes client's errors.

        A Prometheus that does not answer is no error here: what it would have said stays unknown.
        """
        leaves, watched = comparisons_of(rules), await self._caught_up(incident.key)
        async with together() as group:
            early = group.create_task(self._ask_early(incident, file, leaves))
            reading = group.create_task(self._read_cluster(incident))
            silent = group.create_task(self._active.none_of(incident))
        cluster = reading.result()
        owners = cluster.owners
        async with together() as group:
            asking = group.create_task(self._ask(incident, file, leaves, cluster, early.result()))
            pausing = group.create_task(self._look_at_owners(incident, file, owners))
        replies = asking.result()
        return Facts(
            now=replies.now,
            incident=incident.metadata.uid,
            file=file,
            rules=rules,
            # Who has answered decides; a silence beside it is only that person's peace.
            firing=() if silent.result() and cluster.answer is None else firing,
            history=cluster.history,
            ledger=cluster.ledger,
            watched=watched,
            bad=cluster.bad,
            target=cluster.target,
            measurements=replies.measurements,
            before=replies.before,
            series=replies.series,
            counted=replies.counted,
            loads=replies.loads,
            apart=replies.apart,
            by_pod=replies.by_pod,
            nodes=_nodes(cluster.history, replies.pods),
            bad_ready_by=_ready_by(cluster.history, replies.pods),
            preflight=replies.preflight,
            owners=owners,
            drivers_seen=cluster.drivers is not None,
            pausing=pausing.result(),
            others=self._others.beside(incident, replies.pending, replies.now),
            dependencies=replies.dependencies,
            freezes=cluster.freezes,
            protected=self._protection(incident.key),
            question=_question(incident),
            answer=cluster.answer,
            answers_spent=incident.status.answers_spent,
            blamed=incident.status.blamed,
            expired=replies.now >= _expiry(incident, file),
            trouble=replies.trouble,
        )

    async def _ask_early(
        self, incident: Incident, file: RuleFile, leaves: tuple[Comparison, ...]
    ) -> Replies | None:
        """Ask about the revisions that the watch saw last; None where that can't be, or fails.

        An error must not cut off the reads beside it: those may show that something else is to be asked.
        """
        known, now = self._last_seen(incident.key), self._clock.now()
        if known is None:
            return None
        basis = find_basis(incident, known.history, known.ledger, now)
        try:
            return await self._asker.ask(file, leaves, basis, now)
        except ResponderError as error:
            log.info("asked_too_early", error=str(error))
            return None

    async def _ask(
        self,
        incident: Incident,
        file: RuleFile,
        leaves: tuple[Comparison, ...],
        cluster: Cluster,
        early: Replies | None,
    ) -> Replies:
        """What was answered early, where it was asked about these very revisions; else ask now."""

        def basis_at(instant: datetime) -> Basis:
            return find_basis(incident, cluster.history, cluster.ledger, instant)

        now = cluster.read_at
        if early is not None and now - early.now <= _EARLY and early.basis == basis_at(early.now):
            return early
        return await self._asker.ask(file, leaves, basis_at(now), now)

    async def read_history(self, key: WorkloadKey) -> History | None:
        """The workload with its revisions as they are now; None when it is gone."""
        return await read_history(self._kubernetes, key)

    async def measure_rules(self, file: RuleFile, rules: tuple[Rule, ...]) -> dict[Comparison, Measurement]:
        """What the rules' conditions compare, measured now."""
        return await Questions(self._prometheus, file, self._clock.now(), Basis()).measure_now(
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
        found, now = history.result(), self._clock.now()
        marks = () if found is None else _freeze(found.workload.raw, str(key), now)
        return Cluster(
            history=found,
            ledger=record.result().spec,
            freezes=(*marks, *freezes.result().marks),
            answer=answer.result(),
            drivers=drivers.result(),
            read_at=now,
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


def _nodes(history: History | None, pods: list[Object] | None) -> dict[str, str] | None:
    """The node of each pod of the current revision; None where nobody may or can look."""
    if history is None or pods is None:
        return None
    return {pod.name: pod.node for pod in _of_current(history, pods) if pod.node}


def _ready_by(history: History | None, pods: list[Object] | None) -> datetime | None:
    """Since when the first of the current revision's pods has been ready; None where that can't be told."""
    if history is None or pods is None:
        return None
    since = (pod.ready_since for pod in _of_current(history, pods) if pod.ready)
    return min((parse_time(at) for at in since if at), default=None)


def _of_current(history: History, pods: list[Object]) -> list[Pod]:
    current = history.current
    return [pod for pod in map(Pod, pods) if history.revision_of(pod) == current]


def _expiry(incident: Incident, file: RuleFile) -> datetime:
    """When the incident's question, or the incident without one, has waited long enough."""
    ask = incident.status.ask
    return incident.spec.received_at + file.rollback.window if ask is None else ask.expires_at


def _question(incident: Incident) -> Question | None:
    """What people were asked. It is theirs to decide also while there is nothing that they could click on."""
    awaited = incident.phase is Phase.AWAITING_DECISION
    ask, status = incident.status.ask, incident.status
    bad, target = (None if each is None else each.uid for each in (status.bad, status.target))
    if ask is not None:
        return Question(ask.digest, ask.action, ask.overridable, awaited, bad, target)
    action = status.action
    return Question("", action, (), awaited, bad, target) if awaited and action is not None else None


def _freeze(obj: Object, where: str, now: datetime) -> tuple[Freeze, ...]:
    value = frozen(obj, now)
    return () if value is None else (Freeze(where, value),)
