"""Taking alerts in: each is on an incident, durably, before the sender hears yes. Judges nothing.

Called by web for each delivery and by reconcile for what a delivery did not bring.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from responder.alerts.model import Alert, AlertGroup
from responder.clients.kubernetes import AlreadyExists, Invalid, NotFound, TooLarge
from responder.clock import Clock
from responder.errors import ResponderError, Temporary
from responder.incidents.model import MAX_ALERTS, AlertEntry, Incident, record_alert
from responder.incidents.phases import Phase
from responder.incidents.record import Held, WorkloadRecordSpec, is_new_instance
from responder.incidents.store import IncidentStore
from responder.pipeline.refusals import Refusals
from responder.rules.model import RuleSet
from responder.tasks import together
from responder.workloads.key import WorkloadKey, parse_workload_labels

log = structlog.get_logger(__name__)

# The pseudo workload, in the responder's own namespace, of alerts that no rule file covers.
UNATTRIBUTED = "Unattributed"

_ATTEMPTS = 6
# Deliveries under way at once; one beyond is answered 503 and comes again.
_MOST_DELIVERIES = 64
# Of these, those with alerts that no rule file speaks of: one incident takes them all, one after the other.
_MOST_UNATTRIBUTED = 8
# Two senders': with more of them under way, a storm has begun.
_FEW_DELIVERIES = 2
# People are told of alerts that wait beside the answer to the sender, which must not hang on it for long.
_TELL_SECONDS = 10


class IntakeUnavailable(Temporary):
    """The alerts could not be written down: the sender has to try again."""


class TooManyIncidents(IntakeUnavailable):
    """The alerts need another incident, and as many are open as may be: the sender has to try again."""


@dataclass(frozen=True, slots=True)
class RefusedAlert:
    """An alert that could not be written, and why trying again would not help."""

    fingerprint: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of alerts: written to an incident, or instances an incident took before, or refused."""

    accepted: int
    held: int
    refused: tuple[RefusedAlert, ...] = ()


class Intake:
    """Writes alerts to incidents. `wake` is called with every incident that was written to.

    Beyond `max_open` incidents (`count_open` says how many there are) it opens none, as far as this replica
    knows: alerts for those that are open still go in, all others have to come again.
    """

    def __init__(
        self,
        store: IncidentStore,
        rules: Callable[[], RuleSet],
        clock: Clock,
        home: str,
        wake: Callable[[Incident], None],
        is_open: Callable[[WorkloadKey, int], bool],
        refusals: Refusals,
        count_open: Callable[[], int],
        max_open: int,
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self.unattributed = WorkloadKey(home, UNATTRIBUTED, "alerts")
        self._wake = wake
        self._is_open = is_open
        self._refusals = refusals
        self._count_open = count_open
        self._max_open = max_open
        self._opening = 0
        self._telling = False
        self._locks: defaultdict[WorkloadKey, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way = 0
        self._unattributed_under_way = 0
        self._eased = asyncio.Event()
        # The incident of each workload that was written to last: mostly the one that is still open.
        self._latest: dict[WorkloadKey, int] = {}

    def check_room(self) -> None:
        """Raise IntakeUnavailable when as many deliveries are under way as may be."""
        if self._under_way >= _MOST_DELIVERIES:
            raise IntakeUnavailable(f"{_MOST_DELIVERIES} deliveries are being written already.", 5)

    async def receive(self, group: AlertGroup) -> Receipt:
        """Take a delivery in. Raises ResponderError when it can't be written and has to come again."""
        return await self.take(group.alerts)

    async def refused(self, reason: str, message: str, peer: str) -> None:
        """Tell people that a delivery was refused."""
        await self._refusals.tell(reason, message, peer)

    async def quiet(self) -> None:
        """Return once only a few deliveries are under way: what is less urgent than them may go on."""
        while self._under_way > _FEW_DELIVERIES:
            self._eased.clear()
            await self._eased.wait()

    async def take(self, alerts: Iterable[Alert]) -> Receipt:
        """Return once every alert is on an incident or named in a full one, held, or refused for good.

        Raises IntakeUnavailable at once when too much is under way; another ResponderError when an alert
        could not be written, after all that could be were: they may all come again.
        """
        self.check_room()
        self._under_way += 1
        try:
            by_workload: defaultdict[WorkloadKey, list[Alert]] = defaultdict(list)
            for alert in alerts:
                by_workload[self.attribute(alert)].append(alert)
            async with together() as group:
                tasks = [group.create_task(self._try(key, found)) for key, found in by_workload.items()]
            results = [task.result() for task in tasks]
        finally:
            self._under_way -= 1
            if self._under_way <= _FEW_DELIVERIES:
                self._eased.set()
        receipts = [result for result in results if isinstance(result, Receipt)]
        for result in results:
            if isinstance(result, ResponderError):
                raise result
        refused = tuple(alert for receipt in receipts for alert in receipt.refused)
        return Receipt(sum(r.accepted for r in receipts), sum(r.held for r in receipts), refused)

    def attribute(self, alert: Alert) -> WorkloadKey:
        """The workload an alert is about, or the pseudo workload where no rule speaks of it."""
        key = parse_workload_labels(alert.labels)
        if key is not None and self._rules().match(alert.labels):
            return key
        return self.unattributed

    async def _try(self, key: WorkloadKey, alerts: list[Alert]) -> Receipt | ResponderError:
        """An error of one workload is told to the sender only when the others' alerts are written down."""
        try:
            if key == self.unattributed:
                return await self._take_unattributed(alerts)
            return await self._take(key, alerts)
        except ResponderError as error:
            return error

    async def _take_unattributed(self, alerts: list[Alert]) -> Receipt:
        """Take them in beside few others of their kind: noise must leave room for what a rule speaks of."""
        if self._unattributed_under_way >= _MOST_UNATTRIBUTED:
            raise IntakeUnavailable("Too many alerts that no rule speaks of are being written already.", 5)
        self._unattributed_under_way += 1
        try:
            return await self._take(self.unattributed, alerts)
        finally:
            self._unattributed_under_way -= 1

    async def _take(self, key: WorkloadKey, alerts: list[Alert]) -> Receipt:
        async with self._locks[key]:
            try:
                if await self._write_again(key, alerts):
                    return Receipt(accepted=len(alerts), held=0)
                return await self._write(key, alerts)
            except (Invalid, TooLarge) as error:
                log.warning("incident_full", workload=str(key), alerts=len(alerts), error=str(error))
                return await self._write_what_fits(key, alerts)
            except NotFound as error:
                # A rule may name a namespace that is gone: then nobody but a person can tell what to do.
                if error.resource_missing or key.kind == UNATTRIBUTED:
                    raise IntakeUnavailable(str(error)) from error
                log.warning("namespace_missing", workload=str(key), error=str(error))
        return await self._take(self.unattributed, alerts)

    async def _write_again(self, key: WorkloadKey, alerts: list[Alert]) -> bool:
        """Write to the incident that was written to before; False when that is not open any more.

        Most deliveries of a storm are others' copies or come again: one read tells that nothing is new.
        """
        latest = self._latest.get(key)
        if latest is None or not self._is_open(key, latest):
            return False
        incident = await self._store.write_alerts(key, latest, _entries(alerts))
        if incident is None or incident.phase is Phase.CLOSED:
            return False
        self._wake(incident)
        return True

    async def _write(self, key: WorkloadKey, alerts: list[Alert]) -> Receipt:
        """Write to the workload's open incident, or open one for instances that none took yet."""
        record = (await self._store.ensure_record(key)).spec
        sequence = record.next_sequence
        held: list[Alert] = []
        for _ in range(_ATTEMPTS):
            fresh, old = _split(alerts, record)
            # Opening is the shorter way for alerts that are all new, unless an incident is known to be open.
            incident = None
            if old or self._is_open(key, sequence):
                incident = await self._store.write_alerts(key, sequence, _entries(alerts))
            if incident is None:
                alerts, held = fresh, [*held, *old]
                if not alerts:
                    break
                incident = await self._open(key, sequence, alerts)
                if incident is None:
                    continue
            if incident.phase is not Phase.CLOSED:
                self._latest[key] = incident.spec.sequence
                self._wake(incident)
                break
            # It closed while this was on its way: what it did not take belongs to the next one, which may be
            # there already, with alerts that have ended since.
            record = (await self._store.ensure_record(key)).spec
            sequence = max(incident.spec.sequence + 1, record.next_sequence)
        else:
            raise IntakeUnavailable(f"The incidents of {key} kept changing while alerts were written.")
        await self._note(key, held, record)
        return Receipt(accepted=len(alerts), held=len(held))

    async def _write_what_fits(self, key: WorkloadKey, alerts: list[Alert]) -> Receipt:
        """Write to an incident without room for all: what it knows already, and more up to its limit."""
        incident = await self._fetch_open(key)
        known = frozenset[str]() if incident is None else incident.spec.alerts.keys()
        room = max(0, MAX_ALERTS - len(known))
        # The end of an alert that is not known there needs no room; it may be held.
        ended = [alert for alert in alerts if not alert.firing and alert.fingerprint not in known]
        new = [alert for alert in alerts if alert.firing and alert.fingerprint not in known]
        refused = new[room:]
        receipt = Receipt(accepted=0, held=0)
        fitting = [alert for alert in alerts if alert.fingerprint in known] + new[:room]
        if len(fitting) == len(alerts):
            refused = alerts  # few enough, and yet not taken: too large
        elif fitting:
            try:
                receipt = await self._write(key, fitting)
            except (Invalid, TooLarge):
                refused = alerts
        if ended:
            record = (await self._store.ensure_record(key)).spec
            await self._note(key, ended, record)
        incident = await self._fetch_open(key)
        if incident is not None:
            names = {alert.fingerprint: alert.labels.get("alertname", "") for alert in refused}
            await self._store.note_overflow(incident, names)
        return replace(
            receipt,
            held=receipt.held + len(ended),
            refused=tuple(RefusedAlert(alert.fingerprint, "IncidentFull") for alert in refused),
        )

    async def _fetch_open(self, key: WorkloadKey) -> Incident | None:
        """The workload's open incident, if it has one."""
        record = (await self._store.ensure_record(key)).spec
        try:
            incident = await self._store.get(key.namespace, key.incident_name(record.next_sequence))
        except NotFound:
            return None
        return None if incident.phase is Phase.CLOSED else incident

    async def _open(self, key: WorkloadKey, sequence: int, alerts: list[Alert]) -> Incident | None:
        """Open the incident of that number, or write to the one that is there; None when it has gone.

        Raises TooManyIncidents when it would be one more than may be open.
        """
        entries = _entries(alerts)
        if self._count_open() + self._opening >= self._max_open:
            # Another replica may have opened it a moment ago.
            known = await self._store.write_alerts(key, sequence, entries)
            return known if known is not None else await self._put_off(key)
        self._opening += 1
        try:
            incident = await self._store.open(key, sequence, entries, self._clock.now())
        except AlreadyExists:
            return await self._store.write_alerts(key, sequence, entries)
        finally:
            # The caller makes it known before anybody else can count.
            self._opening -= 1
        log.info("incident_opened", incident=incident.name, workload=str(key), alerts=len(alerts))
        return incident

    async def _put_off(self, key: WorkloadKey) -> NoReturn:
        message = (
            f"{self._max_open} incidents are open, and {key} needs another one: its alerts wait until one"
            " closes. Look why so many are open, or raise RESPONDER_MAX_OPEN_INCIDENTS."
        )
        log.error("too_many_incidents", workload=str(key), max_open=self._max_open)
        if not self._telling:
            self._telling = True
            try:
                async with asyncio.timeout(_TELL_SECONDS):
                    await self._refusals.tell("TooManyIncidents", message, "Alertmanager")
            except (ResponderError, TimeoutError) as error:
                log.error("too_many_incidents_not_told", error=str(error) or type(error).__name__)
            finally:
                self._telling = False
        raise TooManyIncidents(message)

    async def _note(self, key: WorkloadKey, held: list[Alert], record: WorkloadRecordSpec) -> None:
        """Remember the end of an instance that is held, so that the next firing counts as a new one."""
        ended = {alert.fingerprint: alert for alert in held if not alert.firing}
        if not ended.keys() & record.held.keys():
            return
        await self._store.update_record(key, lambda spec: _with_ends(spec, ended))
        # An incident may have been opened with it since one was looked for.
        incident = await self._fetch_open(key)
        taken = (
            [] if incident is None else [ended[name] for name in ended.keys() & incident.spec.alerts.keys()]
        )
        if incident is not None and taken:
            written = await self._store.write_alerts(key, incident.spec.sequence, _entries(taken))
            if written is not None and written.phase is not Phase.CLOSED:
                self._wake(written)


def _with_ends(spec: WorkloadRecordSpec, ended: Mapping[str, Alert]) -> WorkloadRecordSpec:
    held = {
        fingerprint: _ended(entry, ended[fingerprint]) if fingerprint in ended else entry
        for fingerprint, entry in spec.held.items()
    }
    return spec.model_copy(update={"held": held})


def _ended(entry: Held, alert: Alert) -> Held:
    """With the alert's end, unless a later one was seen: ends are delivered late and more than once."""
    ends = [at for at in (entry.ends_at, alert.ends_at) if at is not None]
    return entry.model_copy(update={"ends_at": max(ends, default=None)})


def _split(alerts: list[Alert], record: WorkloadRecordSpec) -> tuple[list[Alert], list[Alert]]:
    """Instances that need an incident, and those that an earlier one took or that have ended."""
    fresh = [alert for alert in alerts if is_new_instance(alert, record.held.get(alert.fingerprint))]
    return fresh, [alert for alert in alerts if alert not in fresh]


def _entries(alerts: list[Alert]) -> dict[str, AlertEntry]:
    return {alert.fingerprint: record_alert(alert) for alert in alerts}
