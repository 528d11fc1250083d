"""The way of an incident, whole: judged, undone, proven, settled, closed. One step a call.

Each step is recorded before the next begins and may be repeated after a crash: intent before effect, effects
recognised rather than remembered. Called by drive.py, which waits, retries and tells people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from responder.actions.rollback import Applied, Rejected
from responder.clients.kubernetes import Kubernetes
from responder.clients.prometheus import Prometheus
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents import advance
from responder.incidents.bounds import fit_status
from responder.incidents.model import Incident, Rollback, Status
from responder.incidents.phases import Outcome, Phase
from responder.incidents.store import IncidentStore
from responder.pipeline.claims import (
    OUTCOME_OF_RECOVERY,
    bad_template,
    claim_recovery,
    claim_traffic,
    find_news_of_revert,
    recover_within,
    rules_to_recover,
)
from responder.pipeline.close import close, finish
from responder.pipeline.gather import Gatherer, SharedFreezes
from responder.pipeline.owned import plan_to_pause
from responder.pipeline.remember import leave_alone, remember_rollback
from responder.pipeline.settle import Settling, assess_settling, lags_behind, patience_over
from responder.pipeline.stuck import StuckPods
from responder.pipeline.turns import Turns
from responder.pipeline.unattributed import judge_unattributed
from responder.pipeline.undo import RULE_FILE_GONE, Seen, Undoer, without_file
from responder.rules.decide import Course, decide
from responder.rules.model import RollbackPolicy, Rule, RuleSet
from responder.tasks import together
from responder.telemetry import Metrics
from responder.verdicts import Result, Verdict, failed, unknown
from responder.verification.prove_recovery import prove_recovery
from responder.verification.prove_traffic import prove_traffic
from responder.verification.revert import unless_reverted
from responder.verification.traffic import OVERTAKEN
from responder.workloads.key import WorkloadKey
from responder.workloads.owners import REVERTED

log = structlog.get_logger(__name__)

AT_ONCE = timedelta(0)
# An attempt that the world keeps refusing goes back to judging so often; then a person has to look.
_MOST_ATTEMPTS = 5
# By whom a revision that was put back is left alone, as far as anybody knows.
_WHOEVER = "Whoever put it back"
# A proof that a restart interrupted gets so long at least, or what the rule file gives it where that is less.
_LAST_LOOK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step left behind: the incident, and when to look again without a reason to look earlier."""

    incident: Incident
    pause: timedelta
    following: Incident | None = None


class Responder:
    """Takes an incident from one phase to the next."""

    def __init__(
        self,
        *,
        kubernetes: Kubernetes,
        prometheus: Prometheus,
        store: IncidentStore,
        gatherer: Gatherer,
        rules: RuleSet,
        clock: Clock,
        metrics: Metrics,
        decide_every: timedelta,
        on_applied: Callable[[WorkloadKey], None],
        turns: Turns,
    ) -> None:
        self._kubernetes = kubernetes
        self._prometheus = prometheus
        self._store = store
        self._gatherer = gatherer
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._decide_every = decide_every
        self._on_applied = on_applied
        self._undoer = Undoer(kubernetes, gatherer, rules, clock, metrics)
        self._stuck = StuckPods(kubernetes, store, clock)
        self._turns = turns

    async def step(self, incident: Incident, *, routine: asyncio.Event | None = None) -> Step:
        """Do what the incident's phase asks for. Raises Conflict when it changed meanwhile: read it again.

        `routine` is given when nothing is known to have changed since it was judged last, and is set when
        something has after all.
        """
        match incident.phase:
            case Phase.OPEN | Phase.AWAITING_DECISION:
                return await self._judge(incident, routine=routine)
            case Phase.ROLLING_BACK:
                return await self._undo(incident)
            case Phase.VERIFYING:
                return await self._prove(incident)
            case Phase.SETTLING:
                return await self._settle(incident)
            case Phase.CLOSED:
                return Step(incident, AT_ONCE, await finish(self._store, self._clock, incident))
            case _:
                assert_never(incident.phase)

    async def _judge(self, incident: Incident, *, routine: asyncio.Event | None) -> Step:
        """Facts once, a pure decision, its record, and only then the effect."""
        file = self._rules.file_for(incident.key)
        rules, firing = self._matching(incident)
        if file is None or not rules:
            return await self._judge_unattributed(incident)
        async with self._turns.turn(routine=routine):
            asked_at = self._clock.now()
            facts = await self._gatherer.gather(incident, file, rules, firing)
            judgement = decide(facts)
        status = advance.judged(incident, judgement, file, facts.now)
        if judgement.reason != incident.status.reason:
            self._metrics.decisions.labels(judgement.course.value, judgement.reason).inc()
            log.info("judged", course=judgement.course.value, reason=judgement.reason, why=judgement.message)
        if judgement.course is Course.ROLL_BACK and facts.history is not None:
            workload = facts.history.workload
            paused = plan_to_pause(facts, incident)
            status = advance.intended(incident, status, judgement, workload, file, facts.now, paused)
            recorded, freezes = await self._intend(incident, status)
            return await self._undo(recorded, Seen(facts.history, freezes))
        if judgement.course is Course.LEAVE:
            until = facts.now + file.rollback.cooldown
            await leave_alone(self._store, incident, until, judgement.by)
        recovered = judgement.course is Course.RECOVERED
        step = await self._record(incident, status, asked_at, recovered=recovered)
        if judgement.course is Course.WAIT and facts.others is not None:
            left = facts.others.received_at + facts.others.brake.wait - facts.now
            return replace(step, pause=min(step.pause, left))
        return step

    async def _intend(self, incident: Incident, status: Status) -> tuple[Incident, SharedFreezes | None]:
        """Write the intent and, while the server does that, read the freezes: one round trip, not two."""
        async with together() as group:
            recording = group.create_task(self._store.record(incident, status))
            reading = group.create_task(self._undoer.read_freezes(incident))
        return recording.result(), reading.result()

    async def _undo(self, incident: Incident, seen: Seen | None = None) -> Step:
        """Carry out the recorded intent, or recognise that it was; give it up only with its fence voided."""
        rollback = _rollback(incident)
        try:
            result = await self._undoer.undo_or_void(incident, rollback, seen)
            if isinstance(result, Applied):
                await remember_rollback(self._store, incident, self._clock.now())
        except ResponderError as error:
            return await self._note_overdue(incident, rollback, error)
        now = self._clock.now()
        if isinstance(result, Applied):
            self._on_applied(incident.key)
            generation, within = result.generation, self._policy(incident).within
            return await self._fact(incident, lambda status: advance.applied(status, generation, now, within))
        reason, message = result.reason, result.message
        if reason in REVERTED:
            # From now on it is people's to decide.
            await leave_alone(self._store, incident, now + self._policy(incident).cooldown, _WHOEVER)
        if isinstance(result, Rejected) or rollback.attempt >= _MOST_ATTEMPTS:
            status = advance.failed_rollback(incident.status, reason, message, now)
            # What began to serve since then, while nobody could look, is for another incident to judge.
            return await self._record(incident, status, rollback.intended_at)
        return await self._fact(incident, lambda status: advance.voided(status, reason, message, now))

    async def _note_overdue(self, incident: Incident, rollback: Rollback, error: ResponderError) -> Step:
        """Page once for an undo that is late and can't be carried out, kept or given up; else raise."""
        now, message = self._clock.now(), str(error)
        if now <= rollback.deadline_at or incident.status.reason == advance.UNDO_OVERDUE:
            raise error
        return await self._fact(incident, lambda status: advance.overdue(status, message, now))

    async def _prove(self, incident: Incident) -> Step:
        """Traffic first, then recovery; each way of not getting there is its own outcome."""
        if incident.status.times.traffic_proven_at is None:
            return await self._prove_traffic(incident)
        return await self._prove_recovery(incident)

    async def _prove_traffic(self, incident: Incident) -> Step:
        file, rollback = self._rules.file_for(incident.key), _rollback(incident)
        if file is None:
            verdict = unknown("Traffic", RULE_FILE_GONE, without_file(incident))
            return await self._end(incident, Outcome.TRAFFIC_NOT_PROVEN, verdict, ())
        history = await self._gatherer.read_history(incident.key)
        claim = None if history is None else claim_traffic(incident, rollback, file, history)
        if claim is None:
            message = f"{incident.key} or the revision it was rolled back to is gone."
            return await self._end(incident, Outcome.SUPERSEDED, failed("Traffic", "Superseded", message), ())
        # After a restart the deadline may have passed with nobody looking.
        last_look = min(_LAST_LOOK, file.rollback.within)
        deadline_at = max(rollback.deadline_at, self._clock.now() + last_look)
        proof = await prove_traffic(
            self._kubernetes, self._clock, claim, deadline_at=deadline_at, hold=file.rollback.hold
        )
        if proof.result is Result.PASSED:
            now = proof.proven_at or self._clock.now()
            return await self._fact(
                incident,
                lambda status: advance.traffic_proven(status, proof.verdicts, proof.message, now),
            )
        verdict = Verdict("Traffic", proof.result, proof.reason, proof.message)
        if proof.stuck is not None:
            tended = await self._stuck.tend(incident, rollback, proof.stuck, proof.message, file)
            if tended.change is not None:
                incident = await self._store.record_fact(incident, tended.change)
            if not tended.over:
                return Step(incident, self._decide_every)
        outcome = Outcome.SUPERSEDED if proof.reason in OVERTAKEN else Outcome.TRAFFIC_NOT_PROVEN
        return await self._end(incident, outcome, verdict, proof.verdicts)

    async def _prove_recovery(self, incident: Incident) -> Step:
        file, rollback = self._rules.file_for(incident.key), _rollback(incident)
        if file is None:
            verdict = unknown("Recovery", RULE_FILE_GONE, without_file(incident))
            return await self._end(incident, Outcome.RECOVERY_UNKNOWN, verdict, ())
        rules = rules_to_recover(incident, *self._matching(incident))
        proven_at = incident.status.times.traffic_proven_at
        if proven_at is None or not rules:
            verdict = unknown("Recovery", "RuleGone", "The rule that fired is in no rule file any more.")
            return await self._end(incident, Outcome.RECOVERY_UNKNOWN, verdict, ())
        ledger = (await self._store.ensure_record(incident.key)).spec
        claim = claim_recovery(rules, rollback, file, ledger, proven_at)
        allowed = recover_within(file, claim.condition)
        within = max(allowed, self._clock.now() + min(_LAST_LOOK, allowed) - proven_at)
        history = await self._gatherer.read_history(incident.key)
        bad = bad_template(rollback, history)
        proving = prove_recovery(self._prometheus, self._clock, claim, within=within)
        proof = await unless_reverted(self._kubernetes, incident.key, bad, proving)
        if isinstance(proof, Verdict):
            return await self._end(incident, Outcome.SUPERSEDED, proof, ())
        verdict = Verdict("Recovery", proof.result, proof.reason, proof.message)
        return await self._end(incident, OUTCOME_OF_RECOVERY[proof.result], verdict, proof.verdicts)

    async def _settle(self, incident: Incident) -> Step:
        """Wait out the echoes; hand over to a new incident when it was no echo."""
        file, asked_at = self._rules.file_for(incident.key), self._clock.now()
        if file is None:
            status = advance.settled(incident.status, asked_at, None, without_file(incident))
            return await self._record(incident, status, asked_at)
        record = await self._store.ensure_record(incident.key)
        history = await self._gatherer.read_history(incident.key)
        reverted = find_news_of_revert(incident, _rollback(incident), history)
        if reverted is not None:
            now = self._clock.now()
            return await self._fact(incident, lambda status: advance.reverted(status, reverted, now))
        if lags_behind(record.spec, history) and not patience_over(incident, asked_at):
            return Step(incident, self._decide_every)
        rules, _ = self._matching(incident)
        measured = await self._gatherer.measure_rules(file, rules)
        now = self._clock.now()
        verdict = assess_settling(incident, rules, record.spec, measured, now)
        if verdict.settling is Settling.GOES_ON:
            left = (incident.status.times.settle_until or now) - now
            return Step(incident, min(self._decide_every, left) if left > timedelta() else self._decide_every)
        followed_by = (
            incident.key.incident_name(incident.spec.sequence + 1)
            if verdict.settling is Settling.FOLLOWED
            else None
        )
        status = advance.settled(incident.status, now, followed_by, verdict.message)
        return await self._record(incident, status, asked_at, recovered=verdict.recovered)

    async def _judge_unattributed(self, incident: Incident) -> Step:
        """No rule speaks of these alerts: people are told, and nothing is touched."""
        now = self._clock.now()
        return await self._record(incident, judge_unattributed(incident, now), now)

    async def _record(
        self, incident: Incident, status: Status, asked_at: datetime, *, recovered: bool = False
    ) -> Step:
        """Write what was judged on what was read from then on, if it says anything new."""
        if status.phase is Phase.CLOSED:
            closed = await close(self._store, incident, status, asked_at, recovered=recovered)
            self._metrics.incidents.labels(str(status.outcome), status.reason).inc()
            return Step(closed, AT_ONCE)
        if fit_status(incident, status) != incident.status:
            incident = await self._store.record(incident, status)
        ask = incident.status.ask
        left = None if ask is None else ask.expires_at - self._clock.now()
        return Step(incident, self._turns.rest(self._decide_every, left))

    async def _end(
        self, incident: Incident, outcome: Outcome, verdict: Verdict, checks: tuple[Verdict, ...]
    ) -> Step:
        """The proof is over: write its outcome, then settle."""
        now = self._clock.now()
        file = self._rules.file_for(incident.key)
        settle_until = now if file is None else now + file.settle_time
        return await self._fact(
            incident, lambda status: advance.ended(status, outcome, verdict, checks, now, settle_until)
        )

    async def _fact(self, incident: Incident, change: Callable[[Status], Status]) -> Step:
        """Write what has happened, whatever else was written meanwhile."""
        return Step(await self._store.record_fact(incident, change), AT_ONCE)

    def _policy(self, incident: Incident) -> RollbackPolicy:
        file = self._rules.file_for(incident.key)
        return RollbackPolicy() if file is None else file.rollback

    def _matching(self, incident: Incident) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """The rules of all the incident's alerts, and of those that have not ended."""
        every = self._rules.match_any(alert.labels for alert in incident.spec.alerts.values())
        firing = self._rules.match_any(alert.labels for alert in incident.firing.values())
        return every, firing


def _rollback(incident: Incident) -> Rollback:
    if incident.status.rollback is None:
        raise ValueError(f"incident {incident.name} is in phase {incident.phase} without a rollback")
    return incident.status.rollback
