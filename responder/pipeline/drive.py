"""Driving every open incident, each in a task of its own: steps, waiting, trying again, telling people.

A broken incident holds up no other one, a slow one only for the few seconds of its turn (see turns.py).
Telling never holds up a rollback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from responder.actions.notify import LAST_WORDS, Notifier, Told
from responder.clients.kubernetes import Conflict, NotFound
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.advance import NOT_JUDGED, not_judged
from responder.incidents.model import OPEN_LABEL, Incident, Status
from responder.incidents.phases import Phase
from responder.incidents.store import IncidentStore
from responder.pipeline.open_incidents import share_spec
from responder.pipeline.respond import AT_ONCE, Responder
from responder.rules.model import RuleSet
from responder.tasks import together
from responder.telemetry import Metrics, bind_incident
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

_FIRST_BACKOFF = timedelta(seconds=1)
_LAST_BACKOFF = timedelta(seconds=30)
# After a conflict: shorter than anybody notices, at first.
_FIRST_CROSSED = timedelta(milliseconds=20)
_LAST_CROSSED = timedelta(seconds=1)
# An incident that can't be judged for so long is told to people, who may not know of it at all.
_UNJUDGED_FOR = timedelta(minutes=2)

Name = tuple[str, str]


class Drivers:
    """The open incidents of this process. `wake` starts or hurries one."""

    def __init__(
        self,
        responder: Responder,
        store: IncidentStore,
        notifier: Notifier,
        rules: RuleSet,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._responder = responder
        self._store = store
        self._notifier = notifier
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._running: dict[Name, _Drive] = {}
        # By name: whoever waits holds no copy of the incident, of which there may be a thousand.
        self._begun: asyncio.Queue[Name] = asyncio.Queue()

    async def run(self) -> None:
        """Drive what is open, and what opens, until cancelled."""
        async with together() as group:
            while True:
                group.create_task(self._drive(await self._begun.get()))

    def wake(self, incident: Incident) -> None:
        """Look at this incident now if it is new, or has other alerts than were known."""
        name = _name(incident)
        drive = self._running.get(name)
        if drive is not None:
            drive.hear(incident)
            return
        self._running[name] = _Drive(
            incident, self._responder, self._store, self._notifier, self._rules, self._clock, self._metrics
        )
        self._begun.put_nowait(name)

    def wake_workload(self, key: WorkloadKey) -> bool:
        """Hurry the workload's open incident; False when it has none."""
        drives = [drive for drive in self._running.values() if drive.is_open_for(key)]
        for drive in drives:
            drive.hurry()
        return bool(drives)

    def wake_named(self, namespace: str, name: str) -> bool:
        """Hurry the incident of that name; False when it is not open here."""
        drive = self._running.get((namespace, name))
        if drive is not None:
            drive.hurry()
        return drive is not None

    def incidents(self) -> list[Incident]:
        """The open incidents as last known here."""
        return [drive.incident for drive in self._running.values() if not drive.closed]

    async def _drive(self, name: Name) -> None:
        with bind_incident(*name):
            drive = self._running[name]
            try:
                await self._keep_driving(drive)
            finally:
                del self._running[name]
                self._notifier.forget(drive.incident)
        if drive.made_anew is not None and drive.made_anew.metadata.uid != drive.incident.metadata.uid:
            self.wake(drive.made_anew)

    async def _keep_driving(self, drive: _Drive) -> None:
        """Drive it to its end, and again from where it is when a defect was met."""
        while True:
            try:
                await drive.run(self.wake)
                return
            except Exception:  # one incident that can't be driven must not end all the others
                log.exception("drive_broke", phase=drive.incident.phase.value)
                self._metrics.count_unexpected("drive")
            await self._clock.sleep(_LAST_BACKOFF.total_seconds())


class _Drive:
    """One incident: the newest state known here, and what wakes it."""

    def __init__(
        self,
        incident: Incident,
        responder: Responder,
        store: IncidentStore,
        notifier: Notifier,
        rules: RuleSet,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.incident = incident
        self._responder = responder
        self._store = store
        self._notifier = notifier
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._woken = asyncio.Event()
        # While the incident is read: what was heard of it since, which what is read may hold already.
        self._reading = False
        self._heard: Incident | None = None
        self._changed = asyncio.Event()
        self._over = False
        # Another incident of the same name, heard of while this one, deleted by somebody, was still driven.
        self.made_anew: Incident | None = None

    def hear(self, incident: Incident) -> None:
        """Let the present wait end when there is news of the incident."""
        if incident.metadata.uid != self.incident.metadata.uid:
            self.made_anew = incident
        # Its status is written here; what comes back of it by the watch is no news.
        if self._reading:
            self._heard = incident
        elif incident.spec != self.incident.spec:
            self.hurry()
        else:
            # One copy of the alerts is enough, of those that whoever calls keeps as well.
            self.incident = self.incident.model_copy(update={"spec": incident.spec})

    def hurry(self) -> None:
        """Let the present wait end."""
        self._woken.set()

    @property
    def closed(self) -> bool:
        return self.incident.phase is Phase.CLOSED

    def is_open_for(self, key: WorkloadKey) -> bool:
        return self.incident.key == key and not self.closed

    async def run(self, wake: Callable[[Incident], None]) -> None:
        """Step until closed, telling people alongside; then take the open mark away."""
        self._over = False
        if not await self._take_up():
            return
        async with together() as group:
            telling = group.create_task(self._tell())
            deleted = not await self._advance(wake)
            if deleted:  # what was told could only be written into another one of its name
                telling.cancel()
            self._over = True
            self._changed.set()
        if not deleted:
            await self._insist(lambda: self._store.unmark(self.incident))

    async def _take_up(self) -> bool:
        """Read anew what somebody worked on before; False when nothing is left to do for it.

        What a watch tells may be old: acting on it could repeat what was done since.
        """
        if self.incident.status == Status():
            return True
        if not await self._insist(self._read):
            return False
        # Somebody may have taken the mark away by hand; only what is closed as well is done with.
        return not self.closed or OPEN_LABEL in self.incident.metadata.labels

    async def _advance(self, wake: Callable[[Incident], None]) -> bool:
        """Step until the incident is closed and finished; False when somebody deleted it."""
        backoff, crossed, routine = _FIRST_BACKOFF, _FIRST_CROSSED, False
        failing_since: datetime | None = None
        while True:
            closed, looked = self.closed, False
            try:
                step = await self._responder.step(self.incident, routine=self._woken if routine else None)
            except Conflict:
                # Mostly one other writer, once; two that keep at it must not turn as fast as the server can,
                # and news of what the other one wrote must not cut that short.
                await self._clock.sleep(crossed.total_seconds())
                pause, stale, crossed = AT_ONCE, True, min(crossed * 2, _LAST_CROSSED)
            except ResponderError as error:
                log.error("step_failed", phase=self.incident.phase.value, error=str(error))
                failing_since = failing_since or self._clock.now()
                await self._tell_unjudged(failing_since, error)
                pause, stale, backoff = backoff, True, min(backoff * 2, _LAST_BACKOFF)
            except Exception:  # a defect met by one incident must not end all the others
                log.exception("step_broke", phase=self.incident.phase.value)
                self._metrics.count_unexpected("step")
                pause, stale = _LAST_BACKOFF, True
            else:
                pause, stale = step.pause, step.pause > AT_ONCE
                looked = stale
                backoff, crossed, failing_since = _FIRST_BACKOFF, _FIRST_CROSSED, None
                self._know(step.incident)
                if step.following is not None:
                    wake(step.following)
                if closed:
                    return True
                del step  # and with it another copy of the incident, for as long as it waits
            if pause:
                await _wait(self._woken, pause)
            woken = self._woken.is_set()
            routine = looked and not woken
            if (stale or woken) and not await self._insist(self._read):
                return False

    async def _tell_unjudged(self, since: datetime, error: ResponderError) -> None:
        """Page once for what could not be judged since then, if that is long ago."""
        now, message, incident = self._clock.now(), str(error), self.incident
        if (
            now - since < _UNJUDGED_FOR
            or not incident.phase.undecided
            or incident.status.reason == NOT_JUDGED
        ):
            return
        try:
            self._know(
                await self._store.record_fact(incident, lambda status: not_judged(status, message, now))
            )
        except ResponderError as failure:
            log.warning("not_judged_not_noted", error=str(failure))

    async def _tell(self) -> None:
        """Bring Slack and PagerDuty up to date after every change, and again when something failed."""
        while True:
            self._changed.clear()
            incident = self.incident
            try:
                told = await self._notifier.notify(incident, self._rules.file_for(incident.key))
            except Exception:  # a message that can't be made must not end the rollback it tells of
                log.exception("telling_broke", phase=incident.phase.value)
                self._metrics.count_unexpected("telling")
                told = Told(incident.status.notifications, self._tell_again_at(incident))
            if self._over and not self._changed.is_set() and told.retry_at is None:
                return
            wait = None if told.retry_at is None else told.retry_at - self._clock.now()
            del incident, told  # a second copy, for as long as it waits
            await _wait(self._changed, wait)

    def _tell_again_at(self, incident: Incident) -> datetime | None:
        """When to try again after a defect; None once the notifier would have given up as well."""
        now, closed_at = self._clock.now(), incident.status.times.closed_at
        if closed_at is None or now < closed_at + LAST_WORDS:
            return now + _LAST_BACKOFF
        log.error("people_not_told", incident=incident.name, outcome=str(incident.status.outcome))
        return None

    async def _read(self) -> None:
        """Know the incident as it is now: whatever comes after this read began is a reason to look again."""
        self._woken.clear()
        self._reading, self._heard = True, None
        try:
            self._know(await self._store.get(*_name(self.incident)))
        finally:
            self._reading = False
        if self._heard is not None:
            self.hear(self._heard)

    async def _insist(self, attempt: Callable[[], Awaitable[None]]) -> bool:
        """Try until it succeeds; False when the incident itself is gone."""
        backoff = _FIRST_BACKOFF
        while True:
            try:
                await attempt()
                return True
            except ResponderError as error:
                if isinstance(error, NotFound) and not error.resource_missing:
                    log.warning("incident_deleted", error=str(error))
                    return False
                log.warning("incident_out_of_reach", error=str(error))
            await self._clock.sleep(backoff.total_seconds())
            backoff = min(backoff * 2, _LAST_BACKOFF)

    def _know(self, incident: Incident) -> None:
        if incident != self.incident:
            self.incident = share_spec(incident, self.incident)
            self._changed.set()


async def _wait(event: asyncio.Event, at_most: timedelta | None) -> None:
    """Until the event is set, or so long."""
    try:
        async with asyncio.timeout(None if at_most is None else max(0.0, at_most.total_seconds())):
            await event.wait()
    except TimeoutError:
        return


def _name(incident: Incident) -> Name:
    return incident.metadata.namespace, incident.name
