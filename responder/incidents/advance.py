"""The next status of an incident: what each thing that happened adds to it. Pure.

Every exit has an outcome and a reason; every change that a person would ask about is a line of the timeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from responder.incidents.model import (
    MAX_TIMELINE,
    Ask,
    Condition,
    Incident,
    Page,
    Rollback,
    RollbackState,
    Status,
    TimelineEntry,
    record_verdict,
)
from responder.incidents.phases import Outcome, Phase
from responder.rules.decide import Course, Judgement
from responder.rules.model import Action, Channel, Mode, RuleFile, strongest
from responder.verdicts import Result, Verdict
from responder.workloads.ledger import PausedOwner, parse_revision
from responder.workloads.owners import how_to_resume
from responder.workloads.workload import Workload

_PHASE = {
    Course.ROLL_BACK: Phase.ROLLING_BACK,
    Course.ASK: Phase.AWAITING_DECISION,
    Course.HOLD: Phase.OPEN,
    Course.WAIT: Phase.OPEN,
    Course.TELL: Phase.OPEN,
    Course.LEAVE: Phase.CLOSED,
    Course.RECOVERED: Phase.CLOSED,
    Course.EXPIRE: Phase.CLOSED,
}
UNDO_OVERDUE = "UndoOverdue"
NOT_JUDGED = "NotJudged"
ANSWER_TOO_LATE = "AnswerTooLate"
# The checks that, both passed, put the trouble down to the current revision.
_BLAME = {"StillTrue", "CausedByRollout"}
_MOST_BLAMED = 32


def noted(status: Status, at: datetime, event: str, message: str) -> Status:
    """The status with one more line in the timeline; of too many, the oldest after the first go, counted."""
    lines = [*status.timeline, TimelineEntry(at=at, event=event, message=message)]
    beyond = max(0, len(lines) - MAX_TIMELINE)
    if beyond:
        lines = [lines[0], *lines[-(MAX_TIMELINE - 1) :]]
    gone = status.dropped.timeline_lines + beyond
    dropped = status.dropped.model_copy(update={"timeline_lines": gone})
    return status.model_copy(update={"timeline": tuple(lines), "dropped": dropped})


def answered_too_late(status: Status, at: datetime, message: str) -> Status:
    """The status with a line about an answer that decided nothing; the same answer again adds none."""
    if any(line.event == ANSWER_TOO_LATE and line.message == message for line in status.timeline):
        return status
    return noted(status, at, ANSWER_TOO_LATE, message)


def judged(incident: Incident, judgement: Judgement, file: RuleFile, now: datetime) -> Status:
    """The status after a judgement, before anything is done about it."""
    status = incident.status
    before = status.reason
    phase = _PHASE[judgement.course]
    if phase is Phase.OPEN and incident.phase is Phase.AWAITING_DECISION:
        phase = Phase.AWAITING_DECISION
    times = status.times.model_copy(
        update={
            "onset_at": status.times.onset_at or judgement.onset_at,
            "alerted_at": status.times.alerted_at or _first_start(incident),
            "received_at": incident.spec.received_at,
            "decided_at": now if judgement.course is Course.ROLL_BACK else status.times.decided_at,
            "recovered_at": now if judgement.course is Course.RECOVERED else None,
        }
    )
    status = status.model_copy(
        update={
            "phase": phase,
            "outcome": _outcome(judgement),
            "reason": judgement.reason,
            "message": judgement.message,
            "rule": judgement.rule.id,
            "action": judgement.rule.action.value,
            "notify": _notify(status, judgement),
            "bad": None if judgement.bad is None else parse_revision(judgement.bad),
            "target": None if judgement.target is None else parse_revision(judgement.target),
            "blamed": _blamed(status, judgement),
            "verdicts": tuple(record_verdict(verdict) for verdict in judgement.verdicts),
            "ask": _ask(incident, judgement, file, now),
            "answers_spent": status.answers_spent + judgement.spends_answer,
            "page": _page(status.page, judgement, now),
            "times": times,
        }
    )
    if judgement.course is Course.RECOVERED:
        status = with_condition(status, "Recovered", "True", status.reason, status.message, now)
    if phase is Phase.CLOSED:
        status = closed(status, now)
    if judgement.reason == before:
        return status
    return noted(status, now, judgement.course.value, judgement.message)


def intended(
    incident: Incident,
    status: Status,
    judgement: Judgement,
    workload: Workload,
    file: RuleFile,
    now: datetime,
    paused: PausedOwner | None = None,
) -> Status:
    """The status with the intent to undo, and to pause before that: written before either is done."""
    if judgement.bad is None or judgement.target is None:
        raise ValueError("a rollback needs a revision to leave and one to go back to")
    progressing = workload.condition("Progressing")
    rollback = Rollback(
        attempt=incident.next_attempt,
        state=RollbackState.INTENDED,
        deployment_uid=workload.uid,
        bad=parse_revision(judgement.bad),
        target=parse_revision(judgement.target),
        automatic=judgement.by == "responder",
        by=judgement.by,
        intended_at=now,
        deadline_at=now + file.rollback.within,
        previous_fence=workload.fence,
        generation=workload.generation,
        freezes_overruled=_freezes(judgement),
        stale_progressing_at=None if progressing is None else progressing.get("lastUpdateTime"),
        paused=paused,
    )
    return status.model_copy(update={"rollback": rollback})


def _freezes(judgement: Judgement) -> tuple[str, ...]:
    """The digests of the freeze marks that stood when it was decided: whoever decided had seen them."""
    marks = next((v.evidence.get("marks") for v in judgement.verdicts if v.check == "NotFrozen"), None)
    return () if marks is None else tuple(str(marks).split())


def applied(status: Status, generation: int, now: datetime, within: timedelta) -> Status:
    """The undo took effect: its proof begins."""
    rollback = _rollback(status)
    done = rollback.model_copy(
        update={
            "state": RollbackState.APPLIED,
            "applied_at": now,
            "generation": generation,
            "deadline_at": now + within,
        }
    )
    status = status.model_copy(
        update={
            "phase": Phase.VERIFYING,
            "rollback": done,
            "reason": "UndoApplied",
            "message": f"Rolled back from {done.bad.replica_set} to {done.target.replica_set}; proving it.",
            "times": status.times.model_copy(update={"patched_at": now}),
        }
    )
    if done.paused is not None:
        owner = done.paused.owner
        text = f"{owner} is paused; to let it go on: {how_to_resume(owner)}"
        status = noted(status, now, "OwnerPaused", text)
    return noted(status, now, "Undo", status.message)


def voided(status: Status, reason: str, message: str, now: datetime) -> Status:
    """The attempt had no effect and can't have one any more: back to judging."""
    rollback = _rollback(status).model_copy(update={"state": RollbackState.VOIDED})
    update = {"phase": Phase.OPEN, "rollback": rollback, "reason": reason, "message": message, "ask": None}
    return noted(status.model_copy(update=update), now, "UndoRefused", message)


def overdue(status: Status, message: str, now: datetime) -> Status:
    """The time for the undo is over, and what became of it can't be told or kept: people have to know."""
    text = f"The rollback is overdue, and what became of it can't be told or written down: {message}"
    return _paged(status, UNDO_OVERDUE, text, now)


def not_judged(status: Status, message: str, now: datetime) -> Status:
    """Nobody knows what to do about it, as what that rests on can't be read: people have to look."""
    text = f"It can't be judged, so nothing is done about it: {message}"
    return _paged(status, NOT_JUDGED, text, now)


def _paged(status: Status, reason: str, text: str, now: datetime) -> Status:
    page = Page(reason=reason, message=text, at=now)
    status = status.model_copy(update={"reason": reason, "message": text, "page": page})
    return noted(status, now, reason, text)


def failed_rollback(status: Status, reason: str, message: str, now: datetime) -> Status:
    """The undo can't be carried out: that always pages."""
    rollback = _rollback(status).model_copy(update={"state": RollbackState.VOIDED})
    text = f"Rollback failed: {message}"
    status = status.model_copy(
        update={
            "phase": Phase.CLOSED,
            "rollback": rollback,
            "outcome": Outcome.ROLLBACK_FAILED,
            "reason": reason,
            "message": text,
            "page": Page(reason=reason, message=text, at=now),
        }
    )
    return noted(closed(status, now), now, "RollbackFailed", text)


def traffic_proven(status: Status, verdicts: Iterable[Verdict], message: str, now: datetime) -> Status:
    """The previous revision serves everything; recovery is proven next."""
    status = _beside_guards(status, verdicts).model_copy(
        update={
            "reason": "TrafficProven",
            "message": message,
            "ask": None,
            "times": status.times.model_copy(update={"traffic_proven_at": now}),
        }
    )
    status = with_condition(status, "TrafficProven", "True", "TrafficProven", message, now)
    return noted(status, now, "TrafficProven", message)


def ended(
    status: Status,
    outcome: Outcome,
    verdict: Verdict,
    checks: Iterable[Verdict],
    now: datetime,
    settle_until: datetime,
) -> Status:
    """The proof is over, one way or the other: the outcome stands, and echoes are waited out.

    `checks` are what `verdict` sums up; without any, those recorded before stay.
    """
    message = verdict.message
    good = outcome is Outcome.ROLLED_BACK
    status = _beside_guards(status, checks).model_copy(
        update={
            "phase": Phase.SETTLING,
            "outcome": outcome,
            "reason": verdict.reason,
            "message": message,
            "page": status.page if good else Page(reason=verdict.reason, message=message, at=now),
            "times": status.times.model_copy(
                update={"recovered_at": now if good else None, "settle_until": settle_until}
            ),
        }
    )
    if status.times.traffic_proven_at is None:
        status = with_condition(status, "TrafficProven", _truth(verdict.result), verdict.reason, message, now)
    else:
        status = with_condition(status, "Recovered", _truth(verdict.result), verdict.reason, message, now)
    return noted(status, now, outcome.value, message)


def reverted(status: Status, verdict: Verdict, now: datetime) -> Status:
    """The bad template is back after an outcome was written, which stands: people have to know."""
    update = {
        "reason": verdict.reason,
        "message": verdict.message,
        "page": Page(reason=verdict.reason, message=verdict.message, at=now),
        "times": status.times.model_copy(update={"recovered_at": None}),
    }
    return noted(status.model_copy(update=update), now, "Reverted", verdict.message)


def settled(status: Status, now: datetime, followed_by: str | None, message: str) -> Status:
    """The echoes are over, or something new began that another incident takes up."""
    status = status.model_copy(update={"phase": Phase.CLOSED, "followed_by": followed_by})
    return noted(closed(status, now), now, "Closed", message)


def closed(status: Status, now: datetime) -> Status:
    """The status of an incident that is over."""
    times = status.times.model_copy(update={"closed_at": now})
    status = status.model_copy(update={"times": times, "ask": None})
    return with_condition(status, "Closed", "True", status.reason, status.message, now)


def with_condition(
    status: Status,
    kind: Literal["TrafficProven", "Recovered", "Closed", "Told"],
    truth: Literal["True", "False", "Unknown"],
    reason: str,
    message: str,
    now: datetime,
) -> Status:
    """The status with that condition set; the transition time moves only with the condition's status."""
    old = next((c for c in status.conditions if c.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == truth else now
    new = Condition(type=kind, status=truth, reason=reason, message=message, last_transition_time=since)
    others = tuple(c for c in status.conditions if c.type != kind)
    return status.model_copy(update={"conditions": (*others, new)})


def _beside_guards(status: Status, checks: Iterable[Verdict]) -> Status:
    """The status with a proof's checks, if there are any; what the undo was decided on stays beside it."""
    verdicts = tuple(record_verdict(check) for check in checks)
    if not verdicts:
        return status
    # Later checks of the proof take the place of its first ones.
    first = not status.guards and status.times.traffic_proven_at is None
    guards = status.verdicts if first else status.guards
    return status.model_copy(update={"verdicts": verdicts, "guards": guards})


def _outcome(judgement: Judgement) -> Outcome | None:
    match judgement.course:
        case Course.LEAVE:
            return Outcome.DECLINED
        case Course.RECOVERED:
            return Outcome.TOLD if judgement.rule.action is Action.NONE else Outcome.RECOVERED
        case Course.EXPIRE:
            return Outcome.TOLD if judgement.rule.action is Action.NONE else Outcome.EXPIRED
        case _:
            return None


def _blamed(status: Status, judgement: Judgement) -> tuple[str, ...]:
    """The revisions to blame so far. An echo after a person's undo puts nothing down to the good one."""
    shown = {verdict.check for verdict in judgement.verdicts if verdict.passed}
    if judgement.bad is None or judgement.bad.uid in status.blamed or not shown >= _BLAME:
        return status.blamed
    return (*status.blamed, judgement.bad.uid)[-_MOST_BLAMED:]


def _notify(status: Status, judgement: Judgement) -> tuple[str, ...]:
    """The union of everybody any firing rule wanted told."""
    return tuple(sorted({*status.notify, *(channel.value for channel in judgement.rule.notify)}))


def _ask(incident: Incident, judgement: Judgement, file: RuleFile, now: datetime) -> Ask | None:
    """The question that stands beside this course. One that is awaited keeps its clock when it changes."""
    if judgement.course not in (Course.ASK, Course.HOLD, Course.TELL) or not judgement.possible:
        return None
    if file.mode is Mode.OBSERVE:
        return None
    old = incident.status.ask
    awaited = old if incident.phase is Phase.AWAITING_DECISION else None
    # An offer beside an alert has a day; what is put to people from now on has as long as the rule says.
    kept = awaited if judgement.course is Course.ASK else old
    within = judgement.rule.decide_within if judgement.course is Course.ASK else file.rollback.window
    return Ask(
        digest=judgement.digest,
        action=_action_asked(awaited, judgement).value,
        reason=judgement.reason,
        overridable=judgement.overridable,
        asked_at=now if kept is None else kept.asked_at,
        expires_at=now + within if kept is None else kept.expires_at,
    )


def _action_asked(awaited: Ask | None, judgement: Judgement) -> Action:
    """The strongest action that is people's to decide, which a guard that passes later doesn't take back.

    A stronger rule whose guards only can't tell yet is not put to them: it may still become automatic.
    """
    action = judgement.rule.action
    if awaited is None:
        return action
    refused = action is not Action.ROLLBACK or any(v.result is Result.FAILED for v in judgement.verdicts)
    return strongest([Action(awaited.action), action]) if refused else Action(awaited.action)


def _page(old: Page | None, judgement: Judgement, now: datetime) -> Page | None:
    """Somebody is paged once a reason: by the rule's wish, or because what the rule wants was not done."""
    wanted = judgement.page or Channel.PAGERDUTY in judgement.rule.notify
    if (
        not wanted
        or judgement.course in (Course.RECOVERED, Course.WAIT)
        or (old is not None and old.reason == judgement.reason)
    ):
        return old
    return Page(reason=judgement.reason, message=judgement.message, at=now)


def _first_start(incident: Incident) -> datetime | None:
    return min((alert.starts_at for alert in incident.spec.alerts.values()), default=None)


def _rollback(status: Status) -> Rollback:
    if status.rollback is None:
        raise ValueError("the incident has no rollback")
    return status.rollback


def _truth(result: Result) -> Literal["True", "False", "Unknown"]:
    return {Result.PASSED: "True", Result.FAILED: "False", Result.UNKNOWN: "Unknown"}[result]  # type: ignore[return-value]
