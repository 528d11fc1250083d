"""One workload's ledger under a watch: what was seen of it, written into its record as soon as possible.

What breaks leaves its facts unknown and is tried again later and later. Called by watch.py, which looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

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
from responder.workloads.history import History
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Serving
from responder.workloads.observe import observe

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
# After defects: doubling up to this.
LONGEST_RETRY_SECONDS = 300.0
# A record is not written at every look that finds a revision healthy, only this often.
_HEALTH_WRITES = timedelta(minutes=1)

# Called with the workload's record after a change.
OnChange = Callable[[WorkloadRecord], None]
# Called when something broke that nobody foresaw, with what it was.
OnUnexpected = Callable[[str], None]


class WorkloadLedger:
    """One workload's ledger: looks are queued, because writing one takes a while."""

    def __init__(
        self,
        file: RuleFile,
        store: IncidentStore,
        gatherer: Gatherer,
        clock: Clock,
        on_change: OnChange,
        turns: Turns,
        catching_up: asyncio.Semaphore,
        on_unexpected: OnUnexpected,
    ) -> None:
        self.key: WorkloadKey = file.workload
        self._file = file
        self._store = store
        self._gatherer = gatherer
        self._clock = clock
        self._on_change = on_change
        self._turns = turns
        self._catching_up = catching_up
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
        pause_seconds = RETRY_SECONDS
        while True:
            self._seen.clear()
            try:
                await self._tend()
            except ResponderError as error:
                log.warning("ledger_not_written", workload=str(self.key), error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
                continue
            except Exception:  # a defect met by one workload must not end all the others
                log.exception("ledger_broke", workload=str(self.key))
                self._on_unexpected("ledger")
            else:
                if not self.lost:
                    pause_seconds = RETRY_SECONDS
                    await self._next(every)
                    continue
            await self._clock.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_RETRY_SECONDS)
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
        async with self._catching_up:
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
        # Whatever is judged waits for the first of these.
        async with self._catching_up if self.lags else self._turns.turn(routine=None):
            record = await self._store.update_record(self.key, lambda spec: spec.model_copy(update=seen))
        self._spec = record.spec
        self._on_change(record)

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
        async with self._turns.turn(routine=self._seen):
            measured = await self._gatherer.measure_rules(self._file, self._file.rules)
        return all(
            holds(rule.condition, values_of(rule.condition, measured)) is False for rule in self._file.rules
        ) and all(
            measurement.rests_on(self._file.metrics[leaf.metric].min_samples)
            for leaf, measurement in measured.items()
        )
