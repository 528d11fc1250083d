"""The pod that holds an ordered rollout up: people are told, and it is deleted only once one of them said so.

Called by respond.py for each look of the traffic proof that meets such a pod. Safe to repeat: a question is
about one pod's UID, and only that pod is deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.clients.kubernetes import Conflict, Forbidden, Kubernetes, NotFound, paths
from responder.clock import Clock
from responder.incidents.advance import noted
from responder.incidents.decision import Choice, Decision
from responder.incidents.model import Ask, Incident, Page, Rollback, Status
from responder.incidents.store import IncidentStore
from responder.rules.model import RuleFile
from responder.verification.prove_traffic import POD_STUCK, StuckPod

_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_NO_RIGHT = " The responder may not delete pods here: deploy/components/stuck-pods gives it that right."

Change = Callable[[Status], Status]


@dataclass(frozen=True, slots=True)
class Tended:
    """What a look at a stuck pod changes in the incident; `over` when it is waited for no more."""

    change: Change | None = None
    over: bool = False


class StuckPods:
    """Asks about stuck pods, and deletes those that somebody decided to delete."""

    def __init__(self, kubernetes: Kubernetes, store: IncidentStore, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._store = store
        self._clock = clock

    async def tend(
        self, incident: Incident, rollback: Rollback, pod: StuckPod, message: str, file: RuleFile
    ) -> Tended:
        """Ask about the pod, or act on the answer. Raises the Kubernetes client's errors: call again."""
        status, now = incident.status, self._clock.now()
        digest = _digest(incident, pod)
        if status.ask is None or status.ask.digest != digest:
            if status.reason == POD_STUCK and status.message.startswith(message):
                return Tended(over=now >= rollback.deadline_at)
            return await self._ask(incident, message, digest, now + _patience(incident, file))
        answer = await self._store.get_decision(incident.metadata.namespace, incident.name, digest)
        if answer is None or answer.spec.incident_uid != incident.metadata.uid:
            return Tended(over=now >= max(rollback.deadline_at, status.ask.expires_at))
        if answer.spec.choice is Choice.DELETE_POD:
            return await self._delete(incident, pod, answer, now, file.rollback.within)
        left = f"{answer.spec.by} decided to leave pod {pod.name}."
        return Tended(lambda found: _unasked(found, now, "PodLeft", left), over=True)

    async def _ask(self, incident: Incident, message: str, digest: str, expires_at: datetime) -> Tended:
        now = self._clock.now()
        if await self._may_delete(incident.metadata.namespace):
            action = Choice.DELETE_POD.value
            ask = Ask(digest=digest, action=action, reason=POD_STUCK, asked_at=now, expires_at=expires_at)
            return Tended(lambda status: _told(status, now, message, ask))
        return Tended(lambda status: _told(status, now, message + _NO_RIGHT, None))

    async def _may_delete(self, namespace: str) -> bool:
        """Whether the API server would let this account delete pods there."""
        wanted = {"namespace": namespace, "verb": "delete", "group": "", "resource": "pods"}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        try:
            answer = await self._kubernetes.create(_ACCESS_REVIEWS, body)
        except Forbidden:
            return False
        return bool((answer.get("status") or {}).get("allowed"))

    async def _delete(
        self, incident: Incident, pod: StuckPod, answer: Decision, now: datetime, within: timedelta
    ) -> Tended:
        by = answer.spec.by
        try:
            await self._kubernetes.delete(paths.pod(incident.metadata.namespace, pod.name), uid=pod.uid)
        except (NotFound, Conflict):
            pass  # gone by itself, or replaced by another of its name: the next look tells
        except Forbidden as error:
            text = f"{by} decided to delete pod {pod.name}, which is forbidden: {error}"
            return Tended(lambda status: _refused(status, now, text))
        text = f"{by} decided to delete pod {pod.name}, which held the rollout up; proving goes on."
        return Tended(lambda status: _deleted(status, now, text, now + within))


def _digest(incident: Incident, pod: StuckPod) -> str:
    """What the question is about, in ten characters: this very pod, and no answer that came to nothing."""
    parts = (incident.metadata.uid, str(incident.status.answers_spent), pod.uid)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]


def _patience(incident: Incident, file: RuleFile) -> timedelta:
    """How long people have to decide: as long as the rule gives them for a rollback."""
    rules = (rule.decide_within for rule in file.rules if rule.id == incident.status.rule)
    return next(rules, file.rollback.within)


def _told(status: Status, now: datetime, message: str, ask: Ask | None) -> Status:
    page = Page(reason=POD_STUCK, message=message, at=now)
    update = {"reason": POD_STUCK, "message": message, "ask": ask, "page": page}
    return noted(status.model_copy(update=update), now, POD_STUCK, message)


def _unasked(status: Status, now: datetime, event: str, message: str) -> Status:
    return noted(status.model_copy(update={"ask": None}), now, event, message)


def _refused(status: Status, now: datetime, message: str) -> Status:
    """The same question can't be answered again, and another one would serve nobody."""
    page = Page(reason="PodNotDeleted", message=message, at=now)
    return _unasked(status.model_copy(update={"page": page}), now, "PodNotDeleted", message)


def _deleted(status: Status, now: datetime, message: str, deadline_at: datetime) -> Status:
    assert status.rollback is not None  # a proof is of one
    rollback = status.rollback.model_copy(update={"deadline_at": deadline_at})
    update = {"reason": "PodDeleted", "message": message, "rollback": rollback}
    return _unasked(status.model_copy(update=update), now, "PodDeleted", message)
