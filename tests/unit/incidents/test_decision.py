"""Which decision answers what an incident asks, and who signed it."""

from __future__ import annotations

from typing import Any

import pytest

from responder.incidents.decision import Choice, Decision, parse_decision, render_decision, why_in_vain
from responder.incidents.model import Incident
from tests.unit.actions.build import AT, asking


def decision(incident: Incident, digest: str | None = None, name: str | None = None, **spec: Any) -> Decision:
    """The answer to roll back, but for what is said."""
    assert incident.status.ask is not None
    obj = render_decision(incident, digest or incident.status.ask.digest, Choice.ROLLBACK, "alex", AT)
    given = {"uid": "d", "resourceVersion": "1", "creationTimestamp": AT.isoformat()}
    metadata = {**obj["metadata"], **given}
    if name is not None:
        metadata["name"] = name
    return parse_decision({**obj, "metadata": metadata, "spec": {**obj["spec"], **spec}})


def test_the_answer_to_what_is_asked_is_not_in_vain() -> None:
    incident = asking()
    assert why_in_vain(incident, decision(incident)) is None
    assert why_in_vain(incident, decision(incident, choice="leave")) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"digest": "0123456789"}, "something else is asked now"),
        ({"name": "mine"}, "looked for by the name"),
        ({"incidentUid": "another"}, "not this incident's"),
        ({"choice": "delete-pod"}, "between rollback and leave"),
    ],
)
def test_any_other_decision_is_in_vain_and_it_is_said_why(changed: dict[str, Any], why: str) -> None:
    incident = asking()
    assert why in str(why_in_vain(incident, decision(incident, **changed)))


def test_while_nothing_is_asked_every_decision_is_in_vain() -> None:
    incident = asking()
    unasked = incident.model_copy(update={"status": incident.status.model_copy(update={"ask": None})})
    assert why_in_vain(unasked, decision(incident)) == "nothing is asked now"


@pytest.mark.parametrize(("by", "read"), [("", "somebody"), ("  ", "somebody"), ("alex", "alex")])
def test_a_decision_without_a_name_is_somebodys(by: str, read: str) -> None:
    """As $USER is empty in most containers."""
    assert decision(asking(), by=by).spec.by == read
