"""Watching the workloads that rule files name, from the start: the ledger is only worth what was seen.

Writes first serving, complete and healthy times into WorkloadRecords, and tells of every change. What breaks
at one workload leaves its facts unknown, is tried again later and later, and holds up no other one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import structlog

from responder.clients.kubernetes import Changed, Gap, Kubernetes, Listed, Object, paths
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.pipeline.basis import Known
from responder.pipeline.gather import Gatherer
from responder.pipeline.turns import Turns
from responder.rules.conditions import comparisons, holds
from responder.rules.facts import values_of
from responder.rules.model import RuleFile
from responder.tasks import together
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Serving
from responder.workloads.observe import observe

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5.0
# After defects: doubling up to this.
_LONGEST_RETRY_SECONDS = 300.0
# What can't be seen within this is judged all the same: it may be this very API that does not answer.
_CATCH_UP_SECONDS = 5.0
# A record is not written at every look that finds a revision healthy, only this often.
_HEALTH_WRITES = timedelta(minutes=1)
# Of the looks at how healthy workloads are: a thousand of them take turns within a minute.
_BETWEEN_LOOKS = timedelta(milliseconds=50)

# Called with the workload's record after a change, and whether another revision began to serve.
OnChange = Callable[[WorkloadRecord, bool], None]
# Called when somebody wrote a workload's pod template, long before a pod of it serves.
OnTemplate = Callable[[WorkloadKey], object]
# Called when something broke that nobody foresaw, with what it was.
OnUnexpected = Callable[[str], None]


class RevisionWatch:
    """Keeps the ledgers of the given rule files' workloads; watches no kind that none of them names."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        store: IncidentStore,
        gatherer: Gatherer,
        clock: Clock,
        files: Iterable[RuleFile],
        every: timedelta,
        on_change: OnChange,
        on_template: OnTemplate,
        quiet: Callable[[], Awaitable[None]],
        on_unexpected: OnUnexpected,
    ) -> None:
        self._store = store
        self._every = every
        self._clock = clock
        turns = Turns(quiet, lambda: len(self._ledgers), _BETWEEN_LOOKS)
        self._ledgers = [
            _Ledger(file, store, gatherer, clock, on_change, turns, on_unexpected) for file in files
        ]
        places = sorted({(ledger.key.namespace, ledger.key.kind) for ledger in self._ledgers})
        self._scenes = [
            _Scene(kubernetes, clock, *place, self._ledgers_of(*place), on_template, on_unexpected)
            for place in places
        ]

    @property
    def listed(self) -> bool:
        """True once everything was seen whole."""
        return all(scene.listed for scene in self._scenes)

    async def caught_up(self) -> None:
        """Return once every ledger says what was served when this watch began, or after 5 s.

        Until then the records speak for a watch that ended: what began since would pass for never served.
        """
        try:
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                for ledger in self._ledgers:
                    await ledger.caught_up.wait()
        except TimeoutError:
            log.warning("ledgers_lag", workloads=[str(each.key) for each in self._ledgers if each.lags])

    def last_seen(self, key: WorkloadKey) -> Known | None:
        """The workload as it was seen last; None where it was not, or its record can't be read."""
        return next((ledger.known for ledger in self._ledgers if ledger.key == key), None)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with together() as group:
            for scene in self._scenes:
                for what in scene.watched:
                    group.create_task(scene.watch(what))
            for ledger in self._ledgers:
                group.create_task(ledger.run(self._every))

    def _ledgers_of(self, namespace: str, kind: str) -> list[_Ledger]:
        keys = (namespace, kind)
        return [ledger for ledger in self._ledgers if (ledger.key.namespace, ledger.key.kind) == keys]


class _Scene:
    """The workloads of one kind in one namespace as last seen, with their revisions.

    Of those whose revisions don't count their pods, the pods as well.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        clock: Clock,
        namespace: str,
        kind: str,
        ledgers: list[_Ledger],
        on_template: OnTemplate,
        on_unexpected: OnUnexpected,
    ) -> None:
        self._on_template = on_template
        self._on_unexpected = on_unexpected
        self._kubernetes = kubernetes
        self._clock = clock
        self._namespace = namespace
        self._ledgers = ledgers
        for ledger in ledgers:
            ledger.look_anew = partial(self._look, [ledger], continuous=False)
        self.watched = {
            "workloads": paths.workloads(kind, namespace),
            "revisions": paths.revisions(kind, namespace),
        }
        if kind != "Deployment":
            self.watched["pods"] = paths.pods(namespace)
        self._objects: dict[str, dict[str, Object]] = {}
        # Of what is watched, that which has to be listed anew.
        self._unseen: set[str] = set()

    @property
    def listed(self) -> bool:
        return len(self._objects) == len(self.watched)

    async def watch(self, what: str) -> None:
        """Follow them until cancelled; what can't be followed at all is listed anew, later and later."""
        pause_seconds = _RETRY_SECONDS
        while True:
            try:
                await self._follow(what)
            except Exception:  # a defect met in one namespace must not end all the others
                log.exception("watch_broke", namespace=self._namespace, what=what)
                self._on_unexpected("watch")
            self._unseen.add(what)
            for ledger in self._ledgers:
                ledger.lose()
            await self._clock.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_RETRY_SECONDS)

    async def _follow(self, what: str) -> None:
        async for seen in self._kubernetes.list_watch(self.watched[what]):
            match seen:
                case Listed():
                    self._objects[what] = {_uid(item): _kept(item) for item in seen.items}
                    self._unseen.discard(what)
                    # Between the last event and this list anything can have begun unseen.
                    self._look(self._ledgers, continuous=False)
                case Changed():
                    known = self._objects[what]
                    before = known.pop(_uid(seen.object), None)
                    if seen.type != "DELETED":
                        known[_uid(seen.object)] = _kept(seen.object)
                    concerned = self._concerned(before, seen.object)
                    # What broke is looked at again in its own time, not at each of many changes.
                    self._look([each for each in concerned if not each.lost], continuous=True)
                    if before is not None and _template(before) != _template(seen.object):
                        for ledger in concerned:
                            self._on_template(ledger.key)
                case Gap():
                    log.info("watch_gap", namespace=self._namespace, what=what, why=seen.reason)
                case _:
                    assert_never(seen)

    def _concerned(self, *objects: Object | None) -> list[_Ledger]:
        """The ledgers that a change can say anything new to: of the workload itself, or of its owner."""
        uids = {uid for obj in objects if obj is not None for uid in (_uid(obj), *_owners(obj))}
        workloads = self._objects.get("workloads", {})
        names = {workloads[uid]["metadata"]["name"] for uid in uids & workloads.keys()}
        return [ledger for ledger in self._ledgers if ledger.key.name in names]

    def _look(self, ledgers: list[_Ledger], *, continuous: bool) -> None:
        if not self.listed or self._unseen or not ledgers:
            return
        workloads = {item["metadata"]["name"]: item for item in self._objects["workloads"].values()}
        pods = self._objects.get("pods", {})
        for ledger in ledgers:
            found = workloads.get(ledger.key.name)
            if found is None:
                ledger.caught_up.set()
                continue
            try:
                history = parse_history(found, self._objects["revisions"].values(), pods.values())
                ledger.look(history, continuous=continuous)
            except Exception:  # one odd object must not keep the other workloads from being watched
                log.exception("look_broke", workload=str(ledger.key))
                self._on_unexpected("look")
                ledger.lose()


class _Ledger:
    """One workload's ledger: looks are queued, because writing one takes a while."""

    def __init__(
        self,
        file: RuleFile,
        store: IncidentStore,
        gatherer: Gatherer,
        clock: Clock,
        on_change: OnChange,
        turns: Turns,
        on_unexpected: OnUnexpected,
    ) -> None:
        self.key: WorkloadKey = file.workload
        self._file = file
        self._store = store
        self._gatherer = gatherer
        self._clock = clock
        self._on_change = on_change
        self._turns = turns
        self._on_unexpected = on_unexpected
        # Looks at the workload as it was seen last; given by whoever watches it.
        self.look_anew: Callable[[], None] = lambda: None
        # True while what serves can't be told, because looking at it broke.
        self.lost = False
        self._spec: WorkloadRecordSpec | None = None
        # As seen, which the record lags behind while the API is away.
        self._servings: tuple[Serving, ...] | None = None
        self._watched_from: datetime | None = None
        self._seen = asyncio.Event()
        self._looked = False
        self._history: History | None = None
        self.caught_up = asyncio.Event()

    @property
    def lags(self) -> bool:
        """True until the record says what was served at the first look."""
        return not self.caught_up.is_set()

    @property
    def known(self) -> Known | None:
        """The state and the record as they were known last; others write to the record, too."""
        if self._history is None or self._spec is None:
            return None
        return Known(self._history, self._spec)

    def look(self, history: History, *, continuous: bool) -> None:
        """Take note of a state; what it means is worked out at once, written as soon as possible.

        Before the record was read it is left alone: then the state of that time is looked at.
        """
        if self._spec is None or self._servings is None:
            return
        now = self._clock.now()
        if not continuous:
            # Whoever served unseen in a gap must not be taken for one that never served.
            self._watched_from = now
        ledger = self._spec.model_copy(update={"servings": self._servings})
        self._servings = observe(ledger, history, now, continuous=continuous)
        self._history, self._looked, self.lost = history, True, False
        self._seen.set()

    def lose(self) -> None:
        """What serves can't be told: from here on, nothing that is known stands for what is not seen."""
        self.lost, self._watched_from, self._history = True, None, None
        self._seen.set()

    async def run(self, every: timedelta) -> None:
        """Write what was seen, and how healthy it is, until cancelled."""
        pause_seconds = _RETRY_SECONDS
        while True:
            self._seen.clear()
            try:
                await self._tend()
            except ResponderError as error:
                log.warning("ledger_not_written", workload=str(self.key), error=str(error))
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            except Exception:  # a defect met by one workload must not end all the others
                log.exception("ledger_broke", workload=str(self.key))
                self._on_unexpected("ledger")
            else:
                if not self.lost:
                    pause_seconds = _RETRY_SECONDS
                    await self._next(every)
                    continue
            await self._clock.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_RETRY_SECONDS)
            if self.lost:
                self.look_anew()

    async def _tend(self) -> None:
        if self._spec is None:
            await self._begin()
        looked = self._looked
        await self._write()
        if looked:
            self.caught_up.set()
        if not self.lost:
            await self._judge_health()

    async def _next(self, every: timedelta) -> None:
        """Until there is something to write, or so long."""
        try:
            async with asyncio.timeout(self._turns.rest(every).total_seconds()):
                await self._seen.wait()
        except TimeoutError:
            return

    async def _begin(self) -> None:
        """Read the record and note that from now on nothing is missed."""
        async with self._turns.turn(routine=False):
            record = await self._store.update_record(self.key, self._watched_from_now)
        self._spec, self._servings = record.spec, record.spec.servings
        self._watched_from = record.spec.watched_from
        # Nothing before this was seen by this run.
        self.look_anew()

    def _watched_from_now(self, spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        return spec.model_copy(update={"watched_from": self._clock.now()})

    async def _write(self) -> None:
        """Bring the record's servings up to what was seen, and tell who waits for changes."""
        if self._spec is None or self._servings is None:
            return
        seen = {"servings": self._servings, "watched_from": self._watched_from}
        if self._spec.model_copy(update=seen) == self._spec:
            return
        began = len(_running(self._servings) - _running(self._spec.servings)) > 0
        async with self._turns.turn(routine=False):
            record = await self._store.update_record(self.key, lambda spec: spec.model_copy(update=seen))
        self._spec = record.spec
        self._on_change(record, began)

    async def _judge_health(self) -> None:
        """Where every rule's condition is false on enough samples, the serving revision is healthy now."""
        if self._servings is None:
            return
        current = next((s for s in reversed(self._servings) if s.ended_at is None), None)
        if current is None or current.complete_at is None:
            return
        now = self._clock.now()
        often = min(_HEALTH_WRITES, self._file.rollback.clean_gap / 4)
        if current.healthy_until is not None and now - current.healthy_until < often:
            return
        if await self._healthy(current.complete_at, now):
            healthy = current.model_copy(
                update={"healthy_from": current.healthy_from or now, "healthy_until": now}
            )
            self._servings = tuple(healthy if s is current else s for s in self._servings)
            await self._write()

    async def _healthy(self, complete_at: datetime, now: datetime) -> bool:
        """True when the metrics are good and rest wholly on the time since the rollout was over."""
        used = {leaf.metric for rule in self._file.rules for leaf in comparisons(rule.condition)}
        if now - complete_at < max(self._file.metrics[name].range for name in used):
            return False
        async with self._turns.turn(routine=True):
            measured = await self._gatherer.measure_rules(self._file, self._file.rules)
        return all(
            holds(rule.condition, values_of(rule.condition, measured)) is False for rule in self._file.rules
        ) and all(
            measurement.rests_on(self._file.metrics[leaf.metric].min_samples)
            for leaf, measurement in measured.items()
        )


def _running(servings: tuple[Serving, ...]) -> set[tuple[str, datetime | None]]:
    return {(s.revision.uid, s.first_serving_at) for s in servings if s.ended_at is None}


def _kept(obj: Object) -> Object:
    """Without who wrote which field: that is half of an object, and says nothing about who served."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}


def _uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def _owners(obj: Object) -> list[str]:
    return [str(owner["uid"]) for owner in obj["metadata"].get("ownerReferences") or []]


def _template(obj: Object) -> object:
    return (obj.get("spec") or {}).get("template")
