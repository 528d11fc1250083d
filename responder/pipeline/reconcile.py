"""What no webhook brings: lost alerts, vanished alerts, alerts that outlive a release, people's decisions.

A vanished alert is only a reason to look again: an alert also vanishes when Prometheus or Alertmanager dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from responder.alerts.model import Alert
from responder.clients.alertmanager import Alertmanager
from responder.clients.kubernetes import Changed, Kubernetes, Object, paths
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.decision import parse_decision, why_in_vain
from responder.incidents.model import Incident
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec, is_new_instance
from responder.incidents.store import IncidentStore
from responder.pipeline.drive import Drivers
from responder.pipeline.follow import open_for_held
from responder.pipeline.intake import Intake
from responder.tasks import together
from responder.workloads.key import WorkloadKey

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 60.0
# After an Alertmanager's restart an alert may take two minutes to return: Prometheus sends it again at the
# first evaluation a minute after it did last.
# Source: https://prometheus.io/docs/prometheus/latest/command-line/prometheus/ (rules.alert.resend-delay)
_LOOKS_UNTIL_VANISHED = 3


class Reconcile:
    """Compares every Alertmanager with the incidents, and follows up on new revisions."""

    def __init__(
        self,
        *,
        kubernetes: Kubernetes,
        store: IncidentStore,
        intake: Intake,
        drivers: Drivers,
        alertmanagers: tuple[Alertmanager, ...],
        receiver: str,
        workloads: Callable[[], Iterable[WorkloadKey]],
        clock: Clock,
        repeat_interval: timedelta,
    ) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._intake = intake
        self._drivers = drivers
        self._alertmanagers = alertmanagers
        self._receiver = receiver
        self._workloads = workloads
        self._clock = clock
        self._repeat_interval = repeat_interval
        # Of what fires in an open incident: how many looks in a row no Alertmanager had it.
        self._absent: dict[tuple[str, str], int] = {}
        # Of what is held, that which no Alertmanager had at the last look.
        self._missing: dict[WorkloadKey, frozenset[str]] = {}
        # Workloads whose held alerts are to be looked at. A leader before may have died at it: at first all,
        # which the first look at Alertmanager does anyway.
        self._due = dict.fromkeys(() if alertmanagers else workloads())
        self._news = asyncio.Event()

    def record_changed(self, record: WorkloadRecord) -> None:
        """A ledger changed: look at the workload's incident, or open one for what still fires."""
        if not self._drivers.wake_workload(record.key) and record.spec.outlived():
            self._due[record.key] = None
            self._news.set()

    async def run(self) -> None:
        """Look every minute, at every revision that begins and every decision, until cancelled."""
        async with together() as group:
            group.create_task(self._follow_decisions())
            group.create_task(self._follow_held())
            if self._alertmanagers:
                group.create_task(self._look_regularly())
            else:
                log.warning("alertmanager_unknown", message="No --alertmanager-url: lost alerts stay lost.")

    async def _follow_held(self) -> None:
        """Open an incident for what still fires under a new revision; what fails waits for the next turn."""
        while True:
            self._news.clear()
            for key in list(self._due):
                del self._due[key]
                try:
                    await self._follow(await self._store.ensure_record(key))
                except ResponderError as error:
                    log.error("not_followed", workload=str(key), error=str(error))
                    self._due[key] = None
            if self._due:
                await self._clock.sleep(_EVERY_SECONDS / 10)
            else:
                await self._news.wait()

    async def _follow(self, record: WorkloadRecord) -> None:
        """Open one for what is held, unless one is open: when that closes, this is looked at as well."""
        if any(incident.key == record.key for incident in self._drivers.incidents()):
            return
        following = await open_for_held(self._store, self._clock, record)
        if following is not None:
            log.info("held_alerts_outlived_release", incident=following.name)
            self._drivers.wake(following)

    async def _follow_decisions(self) -> None:
        """Hurry the incident that somebody decided about, through Slack or with kubectl."""
        async for seen in self._kubernetes.list_watch(paths.decisions(None)):
            if isinstance(seen, Changed) and seen.type == "ADDED":
                namespace = str(seen.object["metadata"]["namespace"])
                incident = str((seen.object.get("spec") or {}).get("incident", ""))
                if self._drivers.wake_named(namespace, incident):
                    await self._warn_if_in_vain(namespace, incident, seen.object)

    async def _warn_if_in_vain(self, namespace: str, name: str, obj: Object) -> None:
        """Say so when a decision about an open incident decides nothing: whoever wrote it waits for it."""
        try:
            decision = parse_decision(obj)
            # As it stands: what is known here may be from before the question.
            incident = await self._store.get(namespace, name)
        except ResponderError as error:
            log.warning("decision_not_looked_at", incident=f"{namespace}/{name}", error=str(error))
            return
        why = why_in_vain(incident, decision)
        # What happened since it was made may well be what it decided.
        created_at, last = decision.metadata.creation_timestamp, incident.status.timeline[-1:]
        if why is None or any(line.at >= created_at for line in last):
            return
        ask = incident.status.ask
        log.warning(
            "decision_in_vain",
            incident=f"{namespace}/{name}",
            decision=decision.metadata.name,
            digest=decision.spec.digest,
            asked=None if ask is None else ask.digest,
            message=f"It decides nothing: {why}. Answer the incident's status.ask with a new Decision.",
        )

    async def _look_regularly(self) -> None:
        while True:
            try:
                await self._look()
            except ResponderError as error:
                log.warning("reconcile_failed", error=str(error))
            await self._clock.sleep(_EVERY_SECONDS)

    async def _list_active(self) -> tuple[dict[str, Alert], bool]:
        """What any Alertmanager has, and whether all of them told."""
        active: dict[str, Alert] = {}
        complete = True
        for alertmanager in self._alertmanagers:
            try:
                listed = await alertmanager.list_alerts(self._receiver)
            except ResponderError as error:
                log.warning("alertmanager_out_of_reach", error=str(error))
                complete = False
                continue
            active |= {alert.fingerprint: alert for alert in listed}
        return active, complete

    async def _look(self) -> None:
        active, complete = await self._list_active()
        incidents = self._drivers.incidents()
        # What had no room in an open incident has none now: it is taken in when that one has closed.
        known = {
            fingerprint
            for incident in incidents
            for fingerprint in (*incident.firing, *incident.spec.overflow)
        }
        lost = [alert for fingerprint, alert in active.items() if fingerprint not in known]
        if lost:
            await self._take_lost(lost)
        # Whoever is away may have what the others lack: then nothing is missing, and looks begin anew.
        absent, self._absent = self._absent if complete else {}, {}
        if complete:
            for incident in incidents:
                try:
                    await self._end_vanished(incident, active, absent)
                except ResponderError as error:
                    # One that can't be written to must not keep the others from ending.
                    log.warning("vanished_not_written", incident=incident.name, error=str(error))
        await self._tend_held(active, complete=complete)

    async def _take_lost(self, lost: list[Alert]) -> None:
        """Take in what no delivery brought; what can't be taken now is found again at the next look."""
        try:
            receipt = await self._intake.take(lost)
            for reason in sorted({alert.reason for alert in receipt.refused}):
                count = sum(alert.reason == reason for alert in receipt.refused)
                log.warning("alerts_refused", reason=reason, count=count, peer="Alertmanager's list")
                message = f"{count} alerts were found in Alertmanager's list and not written down."
                await self._intake.refused(reason, message, "Alertmanager's list")
        except ResponderError as error:
            # Incidents whose alerts are gone have to close all the same.
            log.warning("lost_alerts_not_taken", count=len(lost), error=str(error))

    async def _end_vanished(
        self, incident: Incident, active: Mapping[str, Alert], absent: Mapping[tuple[str, str], int]
    ) -> None:
        """An alert that every Alertmanager is without fires no more, until one has it again."""
        gone = {}
        for fingerprint, entry in incident.firing.items():
            if fingerprint in active:
                continue
            name = (incident.metadata.uid, fingerprint)
            self._absent[name] = absent.get(name, 0) + 1
            if self._absent[name] >= _LOOKS_UNTIL_VANISHED:
                gone[fingerprint] = entry.model_copy(update={"vanished_at": self._clock.now()})
        if gone:
            log.info("alerts_vanished", incident=incident.name, count=len(gone))
            written = await self._store.write_alerts(incident.key, incident.spec.sequence, gone)
            if written is not None:
                self._drivers.wake(written)

    async def _tend_held(self, active: Mapping[str, Alert], *, complete: bool) -> None:
        """Held instances vanish as others do, and go when they were away for longer than they repeat.

        What one Alertmanager has is there, whoever else is away.
        """
        now = self._clock.now()
        missing, self._missing = self._missing if complete else {}, {}
        for key in (*self._workloads(), self._intake.unattributed):
            gone = missing.get(key, frozenset()) - active.keys()
            tend = partial(_tended, active=active, gone=gone, now=now, repeat_interval=self._repeat_interval)
            try:
                record = await self._store.update_record(key, tend)
                await self._follow(record)
            except ResponderError as error:
                # One namespace that is gone must not keep the others' records from being tended.
                log.warning("held_not_tended", workload=str(key), error=str(error))
                continue
            if complete:
                self._missing[key] = frozenset(record.spec.held.keys() - active.keys())


def _tended(
    spec: WorkloadRecordSpec,
    *,
    active: Mapping[str, Alert],
    gone: frozenset[str],
    now: datetime,
    repeat_interval: timedelta,
) -> WorkloadRecordSpec:
    held = {}
    for fingerprint, entry in spec.held.items():
        seen = active.get(fingerprint)
        if seen is not None:
            if not is_new_instance(seen, entry):
                entry = entry.model_copy(update={"vanished_at": None})
            # Written seldom: what matters is hours.
            if now - entry.last_seen_at > repeat_interval / 4:
                entry = entry.model_copy(update={"last_seen_at": now})
        elif fingerprint in gone:
            # Counted from here: before, it may have been there with nobody to look.
            since = entry.vanished_at or now
            if now - max(entry.last_seen_at, since) > repeat_interval:
                continue
            entry = entry.model_copy(update={"vanished_at": since})
        held[fingerprint] = entry
    return spec if held == spec.held else spec.model_copy(update={"held": held})
