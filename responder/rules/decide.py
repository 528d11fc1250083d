"""The judgement: what to do about an incident now, why, and on which verdicts. Pure.

Called again whenever alerts or the workload change and at every tick; it remembers nothing itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.rules.facts import Facts
from responder.rules.guards.cause import find_onset
from responder.rules.guards.checklist import GUARDS, overridable
from responder.rules.guards.storm import WAITING
from responder.rules.model import Action, Mode, OnExpiry, Rule, strongest
from responder.verdicts import Result, Verdict
from responder.workloads.revision import Revision


class Course(StrEnum):
    """What to do now."""

    ROLL_BACK = "RollBack"
    ASK = "Ask"
    HOLD = "Hold"
    WAIT = "Wait"
    TELL = "Tell"
    LEAVE = "Leave"
    RECOVERED = "Recovered"
    EXPIRE = "Expire"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The course with its reason, and everything it rests on."""

    course: Course
    reason: str
    message: str
    rule: Rule
    verdicts: tuple[Verdict, ...]
    bad: Revision | None
    target: Revision | None
    onset_at: datetime | None
    digest: str
    page: bool
    by: str = "responder"
    spends_answer: bool = False

    @property
    def overridable(self) -> tuple[str, ...]:
        """The verdicts that a person may overrule, as "check/reason": exactly these, as they were shown."""
        return tuple(_shown(v) for v in _doubts(self.verdicts) if overridable(v))

    @property
    def possible(self) -> bool:
        """True when a person could have this rolled back now."""
        return self.target is not None and all(v.passed or overridable(v) for v in self.verdicts)


def decide(facts: Facts) -> Judgement:
    """What to do about the incident now."""
    verdicts = tuple(guard(facts) for guard in GUARDS)
    # Mode observe never acts, not even for a person whose question is from before it.
    if facts.answer is not None and (facts.file.mode is Mode.ACT or not facts.answer.rollback):
        return _answered(facts, verdicts)
    if not facts.firing and all(facts.false_now(rule.condition) for rule in facts.rules):
        return _judge(
            facts,
            verdicts,
            Course.RECOVERED,
            "Recovered",
            "Every alert ended and its condition is false now.",
        )
    if facts.expired:
        return _expired(facts, verdicts)
    if facts.rule.action is Action.NONE:
        return _judge(facts, verdicts, Course.TELL, "ToldOnly", f"The rule {facts.rule.id} only tells.")
    if facts.file.mode is Mode.OBSERVE:
        return _observed(facts, verdicts)
    return _wanted(facts, verdicts)


def _wanted(facts: Facts, verdicts: tuple[Verdict, ...]) -> Judgement:
    """The course for a rule that wants a rollback or a decision."""
    rule = facts.rule
    doubt = _first_doubt(verdicts)
    waiting = next((v for v in verdicts if v.reason == WAITING), None)
    if rule.action is Action.ASK:
        return _judge(
            facts,
            verdicts,
            Course.ASK,
            "RuleAsks",
            f"The rule {rule.id} leaves the decision to a person.",
            page=True,
        )
    if doubt is None and waiting is not None and not _awaited(facts):
        return _judge(facts, verdicts, Course.WAIT, waiting.reason, waiting.message)
    if doubt is None:
        asked = facts.question
        if asked is None or not asked.awaited or Action(asked.action) is not rule.action:
            return _judge(facts, verdicts, Course.ROLL_BACK, "EveryGuardPassed", "Every guard passed.")
        # What was put to people stays theirs to decide: guards that pass later don't take it back.
        return _judge(
            facts,
            verdicts,
            Course.ASK,
            "AwaitingDecision",
            "A person was asked and has not decided.",
            page=True,
        )
    course = Course.ASK if doubt.result is Result.FAILED or _awaited(facts) else Course.HOLD
    return _judge(facts, verdicts, course, doubt.reason, doubt.message, page=True)


def _awaited(facts: Facts) -> bool:
    return facts.question is not None and facts.question.awaited


def _observed(facts: Facts, verdicts: tuple[Verdict, ...]) -> Judgement:
    doubt = _first_doubt(verdicts)
    would = "would roll back" if doubt is None and facts.rule.action is Action.ROLLBACK else "would ask"
    return _judge(facts, verdicts, Course.TELL, "ObserveMode", f"In mode observe: {facts.rule.id} {would}.")


def _answered(facts: Facts, verdicts: tuple[Verdict, ...]) -> Judgement:
    """A person answered. It overrules exactly what was shown, and counts for as long as an undo may take."""
    answer, question = facts.answer, facts.question
    assert answer is not None
    since = _released_since(facts)
    if since is not None:
        chose = "roll back" if answer.rollback else "leave it"
        message = f"{answer.by} chose to {chose}, but since then {since}."
        return _judge(facts, verdicts, Course.ASK, "SituationChanged", message, page=True)
    if not answer.rollback and not _grown(facts):
        return _judge(
            facts, verdicts, Course.LEAVE, "Declined", f"{answer.by} decided to leave it.", by=answer.by
        )
    if not answer.rollback:
        message = f"{answer.by} chose to leave it, but since then the rule {facts.rule.id} fires."
        return _judge(facts, verdicts, Course.ASK, "SituationChanged", message, page=True)
    if facts.now - answer.at > facts.file.rollback.within:
        # What stood in its way may go hours later, when nobody thinks of that click any more.
        message = f"{answer.by} chose to roll back, which could not be done in time: decide again."
        return _judge(facts, verdicts, Course.ASK, "AnswerTooOld", message, page=True, spends_answer=True)
    shown = () if question is None else question.overridable
    fresh = [v for v in _doubts(verdicts) if not (overridable(v) and _shown(v) in shown)]
    if question is None or question.digest != answer.digest or fresh:
        why = fresh[0].message if fresh else "The question had changed."
        return _judge(
            facts,
            verdicts,
            Course.ASK,
            "SituationChanged",
            f"{answer.by} chose to roll back, but: {why}",
            page=True,
        )
    return _judge(
        facts,
        verdicts,
        Course.ROLL_BACK,
        "DecidedByPerson",
        f"{answer.by} decided to roll back.",
        by=answer.by,
    )


def _released_since(facts: Facts) -> str | None:
    """What is another revision now than the question was about, as a clause; None where it is about these.

    Whoever leaves it need not care what it would have been rolled back to.
    """
    asked, answer = facts.question, facts.answer
    if asked is None or answer is None:
        return None
    if facts.bad is not None and facts.bad.uid != asked.bad:
        return f"{facts.bad.name} is the current revision"
    if answer.rollback and facts.target is not None and facts.target.revision.uid != asked.target:
        return f"{facts.target.revision.name} is the one to go back to"
    return None


def _grown(facts: Facts) -> bool:
    """True when a rule of a stronger action fires than the one that the question was about."""
    if facts.question is None:
        return True
    asked = Action(facts.question.action)
    return strongest([asked, facts.rule.action]) is not asked


def _shown(verdict: Verdict) -> str:
    """What a person overrules: "check/reason", of a freeze with the very marks that they were shown."""
    shown = f"{verdict.check}/{verdict.reason}"
    marks = verdict.evidence.get("marks")
    if marks is None:
        return shown
    return f"{shown}/{hashlib.sha256(str(marks).encode()).hexdigest()[:10]}"


def _expired(facts: Facts, verdicts: tuple[Verdict, ...]) -> Judgement:
    """Nobody decided in time. The rule may want an undo then, but never one that a guard speaks against."""
    rule = facts.rule
    doubt = _first_doubt(verdicts)
    if rule.on_expiry is OnExpiry.ROLLBACK and _awaited(facts) and facts.file.mode is Mode.ACT:
        if doubt is None:
            message = f"Nobody decided in time, and the rule {rule.id} then rolls back."
            return _judge(facts, verdicts, Course.ROLL_BACK, "ExpiredIntoRollback", message)
        message = f"Nobody decided in time, and it can't be rolled back automatically: {doubt.message}"
        return _judge(facts, verdicts, Course.EXPIRE, doubt.reason, message, page=True)
    page = rule.on_expiry is not OnExpiry.NOTHING and rule.action is not Action.NONE
    return _judge(facts, verdicts, Course.EXPIRE, "NobodyDecided", "Nobody decided in time.", page=page)


def _first_doubt(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    """The verdict that stands in the way: the first failed one, else the first unknown one."""
    doubts = _doubts(verdicts)
    return next((v for v in doubts if v.result is Result.FAILED), doubts[0] if doubts else None)


def _doubts(verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """What did not pass. That it is only too early is no doubt: no person need overrule it."""
    return [v for v in verdicts if not v.passed and v.reason != WAITING]


def _judge(
    facts: Facts,
    verdicts: tuple[Verdict, ...],
    course: Course,
    reason: str,
    message: str,
    *,
    page: bool = False,
    by: str = "responder",
    spends_answer: bool = False,
) -> Judgement:
    target = None if facts.target is None else facts.target.revision
    return Judgement(
        course=course,
        reason=reason,
        message=message,
        rule=facts.rule,
        verdicts=verdicts,
        bad=facts.bad,
        target=target,
        onset_at=find_onset(facts),
        digest=_digest(facts, verdicts, facts.answers_spent + spends_answer),
        page=page,
        by=by,
        spends_answer=spends_answer,
    )


def _digest(facts: Facts, verdicts: tuple[Verdict, ...], answers_spent: int) -> str:
    """What a question is about, in ten characters: how grave, which revisions, which checks in the way."""
    parts = [
        facts.incident,
        str(answers_spent),
        facts.rule.action.value,
        facts.bad.uid if facts.bad else "",
        facts.target.revision.uid if facts.target else "",
        *sorted(_shown(verdict) for verdict in _doubts(verdicts)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
