"""What is done about a GitOps object that deploys the workload: paused before an undo, resumed later.

The pause is recorded in the incident before it is made, and in the workload's record once the undo is done:
an incident closes long before Git is put right. Called by respond.py and undo.py, by the app while it leads,
and by `responder resume-owner`.
"""

from __future__ import annotations

import structlog

from responder.actions.pause import pause_owner, read_owner, resume_owner
from responder.actions.pause_plan import CanNotPause, why_resume
from responder.actions.rollback import Refused, read_history
from responder.clients.kubernetes import Kubernetes, NotFound
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.model import Incident, Rollback
from responder.incidents.record import WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.rules.facts import Facts
from responder.rules.model import RuleSet
from responder.workloads.history import History
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import PausedOwner

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 15.0


def plan_to_pause(facts: Facts, incident: Incident) -> PausedOwner | None:
    """Who is to be paused for the undo that was decided, under the mark of that attempt."""
    owner, bad = facts.to_pause, facts.bad
    if owner is None or bad is None:
        return None
    return PausedOwner(
        kind=owner.kind,
        namespace=owner.namespace,
        name=owner.name,
        mark=incident.fence(incident.next_attempt),
        bad_uid=bad.uid,
        at=facts.now,
    )


async def pause_for(kubernetes: Kubernetes, rollback: Rollback) -> Refused | None:
    """Pause whoever the intent names. Refused says why that can't be: then nothing may be undone."""
    if rollback.paused is None:
        return None
    try:
        await pause_owner(kubernetes, rollback.paused.owner, rollback.paused.mark)
    except CanNotPause as error:
        return Refused("OwnerNotPaused", f"{rollback.paused.owner} could not be paused: {error}")
    return None


async def let_go_on(kubernetes: Kubernetes, rollback: Rollback) -> None:
    """Take the pause of an attempt back that had no effect."""
    if rollback.paused is not None:
        await resume_owner(kubernetes, rollback.paused.owner, rollback.paused.mark)


async def resume(kubernetes: Kubernetes, store: IncidentStore, key: WorkloadKey, paused: PausedOwner) -> None:
    """Let it go on as before, and forget the pause; may be called again. Raises ApiError and CanNotResume."""
    await resume_owner(kubernetes, paused.owner, paused.mark)

    def forget(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        rest = tuple(each for each in spec.paused if each.mark != paused.mark)
        return spec.model_copy(update={"paused": rest})

    await store.update_record(key, forget)


class Resuming:
    """Lets paused owners go on when Git no longer holds the bad revision, or when a person says so."""

    def __init__(self, kubernetes: Kubernetes, store: IncidentStore, rules: RuleSet, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._rules = rules
        self._clock = clock
        self._tended: set[WorkloadKey] = set()

    def note(self, key: WorkloadKey) -> None:
        """An owner of that workload was paused."""
        self._tended.add(key)

    async def run(self) -> None:
        """Look at every pause again and again, also at those of a leader before, until cancelled."""
        self._tended.update(self._rules.workloads())
        while True:
            for key in tuple(self._tended):
                try:
                    await self._tend(key)
                except ResponderError as error:
                    log.warning("pause_not_tended", workload=str(key), error=str(error))
            await self._clock.sleep(_EVERY_SECONDS)

    async def _tend(self, key: WorkloadKey) -> None:
        spec = (await self._store.ensure_record(key)).spec
        if not spec.paused:
            self._tended.discard(key)
            return
        history = await read_history(self._kubernetes, key)
        for paused in spec.paused:
            owner = str(paused.owner)
            try:
                why = await self._why(spec, paused, history)
                if why is not None:
                    await resume(self._kubernetes, self._store, key, paused)
                    log.info("owner_resumed", workload=str(key), owner=owner, why=why)
            except ResponderError as error:
                # One that can't go on by itself must not keep the others paused.
                log.warning("pause_not_tended", workload=str(key), owner=owner, error=str(error))

    async def _why(
        self, spec: WorkloadRecordSpec, paused: PausedOwner, history: History | None
    ) -> str | None:
        """Why it may go on; None while it may not."""
        if history is None:
            return "the workload is gone"
        if all(bad.revision.uid != paused.bad_uid for bad in spec.known_bad):
            return "its revision is not known as bad any more"
        try:
            owner = await read_owner(self._kubernetes, paused.owner)
        except NotFound as error:
            if error.resource_missing:
                raise
            return "it is gone"
        current = history.current
        good = current is not None and current.uid != paused.bad_uid
        return why_resume(paused, owner, history.workload if good else None)
