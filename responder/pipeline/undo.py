"""The undo of a recorded intent: tried, or recognised, or else voided, so that it can't come later.

Records nothing of the incident: that is for respond.py, which calls this and writes what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from responder.actions.put_back import find_put_back
from responder.actions.rollback import Applied, Attempt, Refused, Rejected, attempt_of, roll_back, void
from responder.clients.kubernetes import Forbidden, Invalid, Kubernetes
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.model import Incident, Rollback
from responder.pipeline.gather import Gatherer, SharedFreezes
from responder.pipeline.owned import let_go_on, pause_for
from responder.rules.model import RuleSet
from responder.telemetry import Metrics
from responder.workloads.history import History

log = structlog.get_logger(__name__)

RULE_FILE_GONE = "RuleFileGone"
_TOO_LATE = "UndoTooLate"
# What was decided longer ago than this, before a restart or an outage, is judged anew instead of tried.
_INTENT_STALE = timedelta(minutes=1)
# Freezes read longer ago than this are read again before the patch.
_FREEZES_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What an undo's first try may rest on; every later one reads for itself."""

    history: History
    freezes: SharedFreezes | None


class Undoer:
    """Tries undos. Safe to call again for the same attempt, by whichever replica leads."""

    def __init__(
        self, kubernetes: Kubernetes, gatherer: Gatherer, rules: RuleSet, clock: Clock, metrics: Metrics
    ) -> None:
        self._kubernetes = kubernetes
        self._gatherer = gatherer
        self._rules = rules
        self._clock = clock
        self._metrics = metrics

    async def read_freezes(self, incident: Incident) -> SharedFreezes | None:
        """Those that no precondition of the patch can hold; None when they can't be read now.

        That must not cut off the writing of the intent beside it.
        """
        try:
            return await self._gatherer.read_shared_freezes(incident.key.namespace)
        except ResponderError as error:
            log.warning("freezes_out_of_reach", error=str(error))
            return None

    async def undo_or_void(
        self, incident: Incident, rollback: Rollback, seen: Seen | None
    ) -> Applied | Refused | Rejected:
        """What became of the attempt; whatever is not Applied can't have an effect any more.

        Without what its judgement has seen, it may have been tried before. Raises what keeps it from being
        carried out or voided now: call again.
        """
        attempt = attempt_of(incident, rollback, self._clock.now())
        result = await self._try_undo(attempt, incident, rollback, seen)
        self._metrics.rollbacks.labels(type(result).__name__).inc()
        if not isinstance(result, Applied):
            log.warning("undo_without_effect", reason=result.reason, why=result.message)
            try:
                voided = await void(self._kubernetes, attempt)
                if voided is not None:
                    return voided
            except (Forbidden, Invalid):
                # A server that forbids the undo forbids the voiding too. That answers a first try's patch;
                # of an earlier one, which may still be under way, it says nothing.
                if seen is None or not isinstance(result, Rejected):
                    raise
            await let_go_on(self._kubernetes, rollback)
        return result

    async def _try_undo(
        self, attempt: Attempt, incident: Incident, rollback: Rollback, seen: Seen | None
    ) -> Applied | Refused | Rejected:
        """One try. The freezes that no precondition of the patch can hold are read last, or a moment ago."""
        if self._rules.file_for(incident.key) is None:
            return Refused(RULE_FILE_GONE, without_file(incident))
        if seen is None:
            put_back = find_put_back(await self._gatherer.read_history(incident.key), attempt)
            if put_back is not None:
                return put_back
        if self._clock.now() > rollback.deadline_at:
            late = f"The undo could not be carried out before {rollback.deadline_at:%H:%M:%S} UTC."
            return Rejected(_TOO_LATE, late)
        if seen is None and self._clock.now() - rollback.intended_at > _INTENT_STALE:
            stale = f"What was intended at {rollback.intended_at:%H:%M:%S} UTC has to be judged again."
            return Refused("IntentStale", stale)
        unpaused = await pause_for(self._kubernetes, rollback)
        if unpaused is not None:
            return unpaused
        freezes = None if seen is None else seen.freezes
        if freezes is None or freezes.age_seconds() > _FREEZES_FRESH_SECONDS:
            freezes = await self._gatherer.read_shared_freezes(incident.key.namespace)
        fresh = [mark for mark in freezes.marks if mark.digest not in rollback.freezes_overruled]
        if fresh:
            return Refused("Frozen", f"Rollbacks were frozen just before the undo ({fresh[0].where}).")
        return await roll_back(self._kubernetes, attempt, None if seen is None else seen.history)


def without_file(incident: Incident) -> str:
    """Why an incident that is half way is ended as far as it can be."""
    return f"No rule file speaks of {incident.key} any more: what was under way can't be proven."
