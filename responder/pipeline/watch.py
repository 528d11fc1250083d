"""Watching the workloads that rule files name, from the start: the ledger is only worth what was seen.

Writes first serving, complete and healthy times into WorkloadRecords, and tells of every change. What breaks
at one workload leaves its facts unknown, is tried again later and later, and holds up no other one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, assert_never

import structlog

from responder.clients.kubernetes import Changed, Gap, Kubernetes, Listed, Object, paths
from responder.clock import Clock
from responder.incidents.store import IncidentStore
from responder.pipeline.basis import Known
from responder.pipeline.gather import Gatherer
from responder.pipeline.turns import Turns
from responder.pipeline.workload_ledger import (
    LONGEST_RETRY_SECONDS,
    RETRY_SECONDS,
    OnChange,
    OnUnexpected,
    WorkloadLedger,
)
from responder.rules.model import RuleFile
from responder.tasks import together
from responder.workloads.history import parse_history
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

# What can't be seen within this is judged as not known: it may be this very API that does not answer.
_CATCH_UP_SECONDS = 5.0
# Shorter than a uid, which no two share.
_SHARED_LENGTH = 32
# Ledgers that are written at once when a watch begins; they don't stand back for anybody.
_CATCHING_UP = 16
# Of the looks at how healthy workloads are: a thousand of them take turns within a minute.
_BETWEEN_LOOKS = timedelta(milliseconds=50)

# Called when somebody wrote a workload's pod template, long before a pod of it serves.
OnTemplate = Callable[[WorkloadKey], object]


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
        self._every = every
        self._late_seconds = asyncio.get_running_loop().time() + _CATCH_UP_SECONDS
        catching_up = asyncio.Semaphore(_CATCHING_UP)
        turns = Turns(quiet, lambda: len(self._ledgers), _BETWEEN_LOOKS)
        self._ledgers = {
            file.workload: WorkloadLedger(
                file, store, gatherer, clock, on_change, turns, catching_up, on_unexpected
            )
            for file in files
        }
        places = sorted({(key.namespace, key.kind) for key in self._ledgers})
        self._scenes = [
            _Scene(kubernetes, clock, *place, self._ledgers_of(*place), on_template, on_unexpected)
            for place in places
        ]

    @property
    def settled(self) -> bool:
        """True once everything was seen whole, or had its time: what can't be seen holds up nothing else."""
        late = asyncio.get_running_loop().time() > self._late_seconds
        return late or all(scene.listed for scene in self._scenes)

    @property
    def problem(self) -> str:
        """What can't be watched, and why, for as long as that is so; empty where everything is."""
        return "; ".join(scene.problem for scene in self._scenes if scene.problem)

    @property
    def unwatched(self) -> int:
        """How many workloads nobody can watch."""
        return sum(len(scene.ledgers) for scene in self._scenes if scene.problem)

    async def caught_up(self, key: WorkloadKey) -> bool:
        """Whether the workload's ledger says what served when this watch began; waited for at first, for 5 s.

        Until then the record speaks for a watch that ended: what began since would pass for never served.
        """
        ledger = self._ledgers.get(key)
        if ledger is None or not ledger.lags:
            return True
        try:
            async with asyncio.timeout_at(self._late_seconds):
                await ledger.caught_up.wait()
        except TimeoutError:
            log.warning("ledger_lags", workload=str(key))
            return False
        return True

    def last_seen(self, key: WorkloadKey) -> Known | None:
        """The workload as it was seen last; None where it was not, or its record can't be read."""
        ledger = self._ledgers.get(key)
        return None if ledger is None else ledger.known

    async def run(self) -> None:
        """Watch until cancelled."""
        async with together() as group:
            for scene in self._scenes:
                for what in scene.watched:
                    group.create_task(scene.watch(what))
            for ledger in self._ledgers.values():
                group.create_task(ledger.run(self._every))

    def _ledgers_of(self, namespace: str, kind: str) -> list[WorkloadLedger]:
        place = (namespace, kind)
        return [ledger for key, ledger in self._ledgers.items() if (key.namespace, key.kind) == place]


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
        ledgers: list[WorkloadLedger],
        on_template: OnTemplate,
        on_unexpected: OnUnexpected,
    ) -> None:
        self._on_template = on_template
        self._on_unexpected = on_unexpected
        self._kubernetes = kubernetes
        self._clock = clock
        self._namespace = namespace
        self.ledgers = ledgers
        # Why it can't be watched, until it was seen whole once.
        self.problem = ""
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
        pause_seconds = RETRY_SECONDS
        while True:
            try:
                await self._follow(what)
            except Exception:  # a defect met in one namespace must not end all the others
                log.exception("watch_broke", namespace=self._namespace, what=what)
                self._on_unexpected("watch")
            self._unseen.add(what)
            for ledger in self.ledgers:
                ledger.lose()
            await self._clock.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_RETRY_SECONDS)

    async def _follow(self, what: str) -> None:
        async for seen in self._kubernetes.list_watch(self.watched[what]):
            match seen:
                case Listed():
                    self._objects[what] = {_uid(item): _kept(item) for item in seen.items}
                    self._unseen.discard(what)
                    if self.listed:
                        self.problem = ""
                    # Between the last event and this list anything can have begun unseen.
                    self._look(self.ledgers, continuous=False)
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
                case Gap() if not self.listed:
                    self.problem = f"{what} in {self._namespace}: {seen.reason}"
                    log.error("workloads_out_of_reach", namespace=self._namespace, what=what, why=seen.reason)
                case Gap():
                    log.info("watch_gap", namespace=self._namespace, what=what, why=seen.reason)
                case _:
                    assert_never(seen)
            del seen  # a list would stay whole, with what is not kept of it, until the next event

    def _concerned(self, *objects: Object | None) -> list[WorkloadLedger]:
        """The ledgers that a change can say anything new to: of the workload itself, or of its owner."""
        uids = {uid for obj in objects if obj is not None for uid in (_uid(obj), *_owners(obj))}
        workloads = self._objects.get("workloads", {})
        names = {workloads[uid]["metadata"]["name"] for uid in uids & workloads.keys()}
        return [ledger for ledger in self.ledgers if ledger.key.name in names]

    def _look(self, ledgers: list[WorkloadLedger], *, continuous: bool) -> None:
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


def _kept(obj: Object) -> Object:
    """Without who wrote which field: that is half of an object, and says nothing about who served."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    kept: Object = _sharing_texts({**obj, "metadata": metadata})
    return kept


def _sharing_texts(value: Any) -> Any:
    """The same value; the names and short texts that stand in nearly every object are in memory once."""
    if isinstance(value, dict):
        return {sys.intern(name): _sharing_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sharing_texts(each) for each in value]
    return sys.intern(value) if isinstance(value, str) and len(value) <= _SHARED_LENGTH else value


def _uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def _owners(obj: Object) -> list[str]:
    return [str(owner["uid"]) for owner in obj["metadata"].get("ownerReferences") or []]


def _template(obj: Object) -> object:
    return (obj.get("spec") or {}).get("template")
