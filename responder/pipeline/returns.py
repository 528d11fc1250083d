"""Telling people at once that a revision which was rolled back serves again. Undoes nothing.

Whoever brings it back may have a reason; an alert, if it is still bad, is judged as any other. Where the
incident that rolled it back tells of it already, that is enough. Called by the watch at each change of a
ledger. What was told is found again in Slack, and by PagerDuty's key.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import structlog

from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.model import Incident
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecord
from responder.incidents.store import IncidentStore
from responder.rules.model import RuleSet
from responder.tasks import together
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import KnownBad, Ledger, RevisionRef
from responder.workloads.owners import REVERTED

log = structlog.get_logger(__name__)

_AGAIN_AFTER_SECONDS = 30.0
# A return from before that, met after a restart, was told by whoever led then; later it is no news.
_NEWS = timedelta(minutes=10)
_TRIED_FOR = timedelta(hours=1)
# So far a clock of ours may be off.
_CLOCKS_APART = timedelta(minutes=5)
# An undo that was undone is noticed by its incident within seconds; what it misses is told after all.
_NOTICED_WITHIN = timedelta(minutes=1)
_LOOK_EVERY_SECONDS = 3.0
# Slack counts by its own clock.
_CLOCK_SKEW = timedelta(minutes=1)

Tell: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Return:
    """A known-bad revision that serves again, and since when."""

    bad: KnownBad
    at: datetime


def find_return(ledger: Ledger) -> Return | None:
    """The revision that began to serve last and still does, if it was rolled back before that.

    Its only period, begun hardly later than the rollback, is the one that was rolled back: clocks can be set
    back, and differ between replicas.
    """
    for n, serving in reversed(tuple(enumerate(ledger.servings))):
        if serving.ended_at is not None:
            continue
        began = ledger.began(serving.revision.uid)
        again = any(_same(earlier.revision, serving.revision) for earlier in ledger.servings[:n])
        apart = timedelta() if again else _CLOCKS_APART
        for bad in reversed(ledger.known_bad):
            if _same(bad.revision, serving.revision) and began is not None and began > bad.at + apart:
                return Return(bad, began)
    return None


def tells_of(incident: Incident, found: Return) -> bool:
    """Whether the incident told people that its undo of that revision was undone, when it began to serve."""
    status = incident.status
    closed_at = status.times.closed_at
    return (
        status.reason in REVERTED
        and status.rollback is not None
        and _same(status.rollback.bad, found.bad.revision)
        and (closed_at is None or found.at <= closed_at)
    )


def _same(one: RevisionRef, other: RevisionRef) -> bool:
    return one.uid == other.uid or one.hash == other.hash


class Returns:
    """Announces each return once, to Slack and to PagerDuty."""

    def __init__(
        self,
        slack: Slack | None,
        pagerduty: PagerDuty | None,
        channel: str,
        store: IncidentStore,
        rules: RuleSet,
        clock: Clock,
    ) -> None:
        self._slack = slack
        self._pagerduty = pagerduty
        self._channel = channel
        self._store = store
        self._rules = rules
        self._clock = clock
        self._seen: asyncio.Queue[WorkloadRecord] = asyncio.Queue()
        # By workload, the event that PagerDuty was told of.
        self._told: dict[str, str] = {}

    def record_changed(self, record: WorkloadRecord) -> None:
        """A ledger changed: tell if what serves now was rolled back before."""
        if record.spec.known_bad:
            self._seen.put_nowait(record)

    async def run(self) -> None:
        """Tell of every return, also of one that began just before this run, until cancelled."""
        async with together() as group:
            group.create_task(self._look_back())
            while True:
                record = await self._seen.get()
                # One channel that is away holds up neither the other one nor the next return.
                tell = self._due(record)
                if tell is not None:
                    group.create_task(self._insist(tell))

    async def _look_back(self) -> None:
        for key in self._rules.workloads():
            try:
                self.record_changed(await self._store.ensure_record(key))
            except ResponderError as error:
                log.warning("record_out_of_reach", workload=str(key), error=str(error))

    def _due(self, record: WorkloadRecord) -> Tell | None:
        """What is to be said about the workload now, and was not."""
        name, found = str(record.key), find_return(record.spec)
        told = self._told.get(name)
        if found is None:
            self._told.pop(name, None)
            return None if told is None else partial(self._resolve, told)
        parts = (name, found.bad.revision.uid, found.at.isoformat())
        event = f"responder/returned/{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:16]}"
        self._told[name] = event
        # What is no news was told by the leader before; who leads now says when it is over.
        if told == event or self._clock.now() - found.at > _NEWS:
            return None
        return partial(self._announce, record, found, event)

    async def _announce(self, record: WorkloadRecord, found: Return, event: str) -> None:
        """Tell of it everywhere, unless its incident does."""
        if await self._incident_tells(record.key, found):
            return
        name, text = str(record.key), _say(record, found)
        log.warning("known_bad_revision_serves", workload=name, revision=found.bad.revision.replica_set)
        async with together() as group:
            group.create_task(self._insist(partial(self._page, name, event, text)))
            group.create_task(self._insist(partial(self._post, record, event, text, found.at)))

    async def _incident_tells(self, key: WorkloadKey, found: Return) -> bool:
        """Whether the incident that rolled it back tells of it; waited for while that one is open."""
        until = self._clock.now() + _NOTICED_WITHIN
        while True:
            try:
                incident = await self._store.get(key.namespace, found.bad.incident)
            except ResponderError as error:
                # Better told twice than not at all.
                log.info("incident_of_return_not_read", workload=str(key), error=str(error))
                return False
            if tells_of(incident, found):
                return True
            if incident.phase is Phase.CLOSED or self._clock.now() >= until:
                return False
            await self._clock.sleep(_LOOK_EVERY_SECONDS)

    async def _insist(self, tell: Tell) -> None:
        """Try until it is told, or no news any more."""
        until = self._clock.now() + _TRIED_FOR
        while True:
            try:
                await tell()
            except ResponderError as error:
                log.error("return_not_told", error=str(error))
                if self._clock.now() < until:
                    await self._clock.sleep(_AGAIN_AFTER_SECONDS)
                    continue
            return

    async def _page(self, name: str, event: str, text: str) -> None:
        if self._pagerduty is not None and self._told.get(name) == event:
            payload = {"summary": text[:1024], "source": name, "severity": "error"}
            await self._pagerduty.send("trigger", event, payload)

    async def _resolve(self, event: str) -> None:
        if self._pagerduty is not None:
            await self._pagerduty.send("resolve", event)

    async def _post(self, record: WorkloadRecord, event: str, text: str, since: datetime) -> None:
        file = self._rules.file_for(record.key)
        channel = (None if file is None else file.slack_channel) or self._channel
        if self._slack is None or not channel:
            return
        if await self._slack.find_by_metadata(channel, event, since - _CLOCK_SKEW) is None:
            await self._slack.post(channel, [], text, incident_uid=event)


def _say(record: WorkloadRecord, found: Return) -> str:
    revision, bad = found.bad.revision, found.bad
    images = f" ({', '.join(revision.images)})" if revision.images else ""
    return (
        f"Revision {revision.replica_set}{images} of {record.key} serves again since {found.at:%H:%M:%S} UTC:"
        f" it was rolled back in {bad.incident} at {bad.at:%Y-%m-%d %H:%M:%S} UTC. Nothing is undone."
    )
