"""The Decision custom resource: a person's answer to what an incident asked. Pure.

Its name is made of the incident and the digest of what was shown, so one question has one answer, whoever
answers first and through whichever replica.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationError

from responder.incidents.model import API_VERSION, Ask, Incident, Metadata, Unreadable
from responder.workloads.ledger import Record


class Choice(StrEnum):
    """What a person may choose."""

    ROLLBACK = "rollback"
    LEAVE = "leave"
    # Only where an incident asks about the pod that holds a rollout up.
    DELETE_POD = "delete-pod"


def choices_of(ask: Ask) -> tuple[Choice, Choice]:
    """What a question lets people choose between: to act, or to leave it."""
    act = Choice.DELETE_POD if ask.action == Choice.DELETE_POD else Choice.ROLLBACK
    return act, Choice.LEAVE


def _somebody(by: str) -> str:
    return by if by.strip() else "somebody"


class DecisionSpec(Record):
    """The answer, bound to the incident's UID and to the digest of what was shown."""

    incident: str
    incident_uid: str
    digest: str
    choice: Choice
    # In a container $USER, by which people sign on a command line, is mostly empty.
    by: Annotated[str, AfterValidator(_somebody)]
    at: datetime


class Decision(Record):
    """One answer."""

    metadata: Metadata
    spec: DecisionSpec


def subject_of(incident: Incident) -> str:
    """What is asked about, whatever speaks against it: how grave, which revisions; in ten characters."""
    status = incident.status
    uids = ("" if each is None else each.uid for each in (status.bad, status.target))
    action = "" if status.ask is None else status.ask.action
    return _short(incident.metadata.uid, str(status.answers_spent), action, *uids)


def doubts_shown(ask: Ask) -> tuple[str, ...]:
    """What speaks against rolling back, as it was put to people: ten characters each."""
    return tuple(map(_short, ask.overridable))


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]


def decision_name(incident: str, digest: str) -> str:
    """The name under which the one answer to a question is stored."""
    return f"{incident}-{digest}"


def why_in_vain(incident: Incident, decision: Decision) -> str | None:
    """Why the decision is no answer to what the incident asks now; None for one that is."""
    spec, ask = decision.spec, incident.status.ask
    if spec.incident_uid != incident.metadata.uid:
        return "its incidentUid is not this incident's"
    if ask is None:
        return "nothing is asked now"
    if spec.digest != ask.digest:
        return "something else is asked now"
    name = decision_name(incident.name, ask.digest)
    if decision.metadata.name != name:
        return f"the answer is looked for by the name {name}"
    choices = choices_of(ask)
    return None if spec.choice in choices else f"the choice is between {choices[0]} and {choices[1]}"


def parse_decision(obj: dict[str, Any]) -> Decision:
    """The decision in an API object. Raises Unreadable."""
    try:
        return Decision.model_validate(obj)
    except ValidationError as error:
        raise Unreadable("Decision", obj, error) from None


def render_decision(incident: Incident, digest: str, choice: Choice, by: str, at: datetime) -> dict[str, Any]:
    """The object to create for an answer."""
    spec = DecisionSpec(
        incident=incident.name, incident_uid=incident.metadata.uid, digest=digest, choice=choice, by=by, at=at
    )
    return {
        "apiVersion": API_VERSION,
        "kind": "Decision",
        "metadata": {
            "name": decision_name(incident.name, digest),
            "namespace": incident.metadata.namespace,
        },
        "spec": spec.model_dump(mode="json", by_alias=True),
    }
