"""A click in Slack becomes a Decision: checked against what stands now, stored once, and answered.

Only signed clicks get here (web checks the signature). Deciding changes nothing by itself: whoever drives the
incident finds the Decision and judges it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import structlog
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from responder.actions.messages import awaits_answer
from responder.actions.messages_blocks import escape
from responder.actions.messages_slack import ACTION_IDS
from responder.clients.kubernetes import AlreadyExists, NotFound
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.advance import answered_too_late, noted
from responder.incidents.decision import (
    Choice,
    Decision,
    choices_of,
    doubts_shown,
    render_decision,
    subject_of,
)
from responder.incidents.model import Ask, Incident, Status
from responder.incidents.phases import Outcome, Phase
from responder.rules.model import RuleFile, RuleSet

log = structlog.get_logger(__name__)

# The whole click has 2.5 s; the Decision is stored by then, and the message in the channel will change too.
_ANSWER_SECONDS = 1.0
_NOTE_SECONDS = 0.7
# What a person meant to decide, and came too late for.
_TOO_LATE = frozenset({"NothingAsked", "Expired"})
_NAME = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"


class DecisionStore(Protocol):
    """Where incidents and the answers to their questions are kept."""

    async def get(self, namespace: str, name: str) -> Incident:
        """The incident as it is now. Raises NotFound."""
        ...

    async def create_decision(self, obj: dict[str, Any]) -> Decision:
        """Store an answer. Raises AlreadyExists when the question was answered before."""
        ...

    async def get_decision(self, namespace: str, incident: str, digest: str) -> Decision | None:
        """The answer to a question, if there is one."""
        ...

    async def record_fact(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        """Write what has happened, whatever changed meanwhile."""
        ...


class Answerer(Protocol):
    """Tells the one who clicked what became of it."""

    async def answer_click(self, response_url: str, text: str) -> None:
        """May raise ResponderError."""
        ...

    async def reply(self, channel: str, ts: str, text: str) -> None:
        """Say it in the thread of a message, for everybody. May raise ResponderError."""
        ...


class _Part(BaseModel):
    """Slack adds fields as it likes; the ones we read are exact."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _User(_Part):
    id: str = Field(pattern=r"^[UW][A-Z0-9]{1,30}$")
    username: str = Field(default="", max_length=100)


class _Question(_Part):
    """A button's value, as messages_slack wrote it."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(pattern=rf"^{_NAME}$", max_length=63)
    incident: str = Field(pattern=rf"^{_NAME}$")
    uid: str = Field(min_length=1, max_length=100)
    digest: str = Field(pattern=r"^[a-z0-9]{1,64}$")
    subject: str = Field(default="", max_length=64)
    shown: list[str] = Field(default=[], max_length=100)
    choice: Literal["rollback", "leave", "delete-pod"]

    def answers(self, incident: Incident, ask: Ask) -> bool:
        """Whether the click says what to do about what is asked now.

        Also on an earlier question about the same, unless something speaks against rolling back that was not
        read: doubts come and go with each look.
        """
        choice = Choice(self.choice)
        if choice not in choices_of(ask):
            return False
        if self.digest == ask.digest:
            return True
        if self.subject != subject_of(incident) or Choice.DELETE_POD in choices_of(ask):
            return False
        return choice is Choice.LEAVE or set(doubts_shown(ask)) <= set(self.shown)


class _Action(_Part):
    action_id: str = Field(max_length=255)
    value: str = Field(default="", max_length=2000)


class _Payload(_Part):
    type: Literal["block_actions"]
    user: _User
    actions: list[_Action] = Field(min_length=1, max_length=1)
    response_url: str = Field(default="", max_length=3000)


class _Value(BaseModel):
    value: Json[_Question]


@dataclass(frozen=True, slots=True)
class InteractionAnswer:
    """What became of a click: the reason, and a sentence for the one who clicked.

    `late` is the incident that it would have decided about, had it come in time.
    """

    accepted: bool
    reason: str
    text: str
    late: Incident | None = None


class Interactions:
    """Takes clicks on the buttons of incident messages."""

    def __init__(
        self, *, store: DecisionStore, rules: Callable[[], RuleSet], clock: Clock, answerer: Answerer | None
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._answerer = answerer

    async def receive(self, payload: Mapping[str, Any]) -> None:
        """Store what a click decides and tell the one who clicked.

        Raises the store's errors while nothing is stored: Slack then shows an error, and clicking again is
        safe. A click that decides nothing is answered and logged, never raised.
        """
        try:
            click = _Payload.model_validate(payload)
        except ValidationError as error:
            log.warning("click_not_understood", problems=_problems(error))
            return
        (action,) = click.actions
        if action.action_id not in ACTION_IDS.values():
            log.info("click_ignored", action_id=action.action_id)
            return
        answer = await self._judge(click.user, action)
        log.info("click", accepted=answer.accepted, reason=answer.reason, by=click.user.id)
        await self._answer(click.response_url, answer.text)
        if answer.late is not None:
            choice = next(choice for choice, known in ACTION_IDS.items() if known == action.action_id)
            await self._note_late(answer.late, f"{_by(click.user)} wanted to {_words(choice)}: {answer.text}")

    async def _judge(self, user: _User, action: _Action) -> InteractionAnswer:
        try:
            question = _Value.model_validate({"value": action.value}).value
        except ValidationError as error:
            log.warning("click_not_understood", problems=_problems(error))
            return _refused("MalformedValue", "This button is broken: decide with kubectl instead.")
        choice = Choice(question.choice)
        if ACTION_IDS[choice] != action.action_id:
            return _refused("MalformedValue", "This button is broken: decide with kubectl instead.")
        try:
            incident = await self._store.get(question.namespace, question.incident)
        except NotFound as error:
            if error.resource_missing:
                raise
            return _refused("IncidentGone", f"The incident {question.incident} does not exist any more.")
        refusal = self._refuse(incident, question, user)
        if refusal is not None and refusal.reason in _TOO_LATE:
            may_decide = _refuse_user(self._rules().file_for(incident.key), incident, user) is None
            return replace(refusal, late=incident) if may_decide else refusal
        if refusal is not None:
            return refusal
        ask = incident.status.ask
        assert ask is not None  # else it was refused
        return await self._store_decision(incident, ask.digest, choice, user)

    def _refuse(self, incident: Incident, question: _Question, user: _User) -> InteractionAnswer | None:
        """Why this click decides nothing, or None."""
        if incident.metadata.uid != question.uid:
            return _refused("IncidentGone", f"The incident {incident.name} is a new one of the same name.")
        ask = incident.status.ask
        if ask is None or not awaits_answer(incident):
            outcome = incident.status.outcome or incident.phase
            return _refused(
                "NothingAsked", f"There is nothing to decide any more: {incident.name} is {outcome}."
            )
        if not question.answers(incident, ask):
            return _refused(
                "QuestionChanged", "The situation has changed since: look at the message again, then decide."
            )
        if self._clock.now() >= ask.expires_at:
            return _refused("Expired", f"The time to decide was over at {ask.expires_at:%H:%M:%S} UTC.")
        return _refuse_user(self._rules().file_for(incident.key), incident, user)

    async def _store_decision(
        self, incident: Incident, digest: str, choice: Choice, user: _User
    ) -> InteractionAnswer:
        by = _by(user)
        try:
            await self._store.create_decision(
                render_decision(incident, digest, choice, by, self._clock.now())
            )
        except AlreadyExists:
            first = await self._store.get_decision(incident.metadata.namespace, incident.name, digest)
            return _tell_first(first, by, choice)
        return await self._note_answer(incident, digest, choice, by)

    async def _note_answer(
        self, incident: Incident, digest: str, choice: Choice, by: str
    ) -> InteractionAnswer:
        """Write the answer into the incident: what was judged without it conflicts, and is judged anew."""
        now, text = self._clock.now(), f"{by} decided to {_words(choice)}."

        def answer(status: Status) -> Status:
            if status.ask is None or status.ask.digest != digest or status.outcome is not None:
                return status
            return noted(status, now, "Answered", text)

        try:
            found = await self._store.record_fact(incident, answer)
        except ResponderError as error:
            # The Decision stands, and is found by whoever drives the incident.
            log.warning("answer_not_noted", incident=incident.name, error=str(error))
            return InteractionAnswer(True, "Decided", f"Recorded: {_words(choice)}.")
        noticed = any((line.at, line.message) == (now, text) for line in found.status.timeline)
        if not noticed and not _carried_out(found, choice, by):
            return replace(
                _refused("Overtaken", f"The incident moved on meanwhile: it is {found.phase} by now."),
                late=found,
            )
        return InteractionAnswer(True, "Decided", f"Recorded: {_words(choice)}.")

    async def _note_late(self, incident: Incident, text: str) -> None:
        """Keep for everybody what only the one who clicked was told; a closed incident's message stands."""
        now, posted = self._clock.now(), incident.status.notifications.slack
        try:
            async with asyncio.timeout(_NOTE_SECONDS):
                known = answered_too_late(incident.status, now, text) == incident.status
                await self._store.record_fact(incident, lambda status: answered_too_late(status, now, text))
                if self._answerer is not None and incident.phase is Phase.CLOSED and posted and not known:
                    await self._answerer.reply(posted.channel, posted.ts, escape(text))
        except (ResponderError, TimeoutError) as error:
            log.warning("late_click_not_noted", text=text, error=str(error) or type(error).__name__)

    async def _answer(self, response_url: str, text: str) -> None:
        if self._answerer is None or not response_url:
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._answerer.answer_click(response_url, text)
        except (ResponderError, TimeoutError) as error:
            log.warning("click_not_answered", error=str(error) or type(error).__name__)


def _carried_out(incident: Incident, choice: Choice, by: str) -> bool:
    """Whether the answer was found and followed before it could be noted."""
    status = incident.status
    if choice is Choice.LEAVE:
        return status.outcome is Outcome.DECLINED
    return status.rollback is not None and status.rollback.by == by


def _by(user: _User) -> str:
    return f"slack:{user.id} ({user.username})" if user.username else f"slack:{user.id}"


def _refused(reason: str, text: str) -> InteractionAnswer:
    return InteractionAnswer(False, reason, text)


def _refuse_user(file: RuleFile | None, incident: Incident, user: _User) -> InteractionAnswer | None:
    """Without a rule file nobody can be asked who may decide, so nobody may."""
    if file is None:
        return _refused(
            "NoRuleFile", f"No rule file speaks of {incident.key} any more: decide with kubectl instead."
        )
    if file.deciders and user.id not in file.deciders:
        names = ", ".join(f"<@{decider}>" for decider in file.deciders[:20])
        return _refused("NotADecider", f"You may not decide about {file.service}. These may: {names}.")
    return None


def _tell_first(first: Decision | None, by: str, choice: Choice) -> InteractionAnswer:
    """The answer to one who comes second, or who clicked twice."""
    if first is None:
        return _refused("AlreadyDecided", "Somebody else decided a moment ago.")
    if first.spec.by == by and first.spec.choice == choice:
        return InteractionAnswer(True, "Decided", f"Recorded: {_words(choice)}.")
    who, at = escape(first.spec.by, 100), f"{first.spec.at:%H:%M:%S} UTC"
    return _refused("AlreadyDecided", f"{who} decided first, at {at}: {_words(first.spec.choice)}.")


def _words(choice: Choice) -> str:
    return {
        Choice.ROLLBACK: "roll back",
        Choice.LEAVE: "leave it",
        Choice.DELETE_POD: "delete the pod",
    }[choice]


def _problems(error: ValidationError) -> list[str]:
    """Where the payload is wrong, without its contents."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in details[:5]]
