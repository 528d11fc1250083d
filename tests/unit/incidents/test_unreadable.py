"""What this version can't read is an error for a person, with the object's name and the places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.incidents.decision import parse_decision
from responder.incidents.model import Unreadable, parse_incident
from responder.incidents.record import parse_record

METADATA = {
    "name": "x-1",
    "namespace": "payments",
    "uid": "u",
    "resourceVersion": "1",
    "creationTimestamp": "2026-03-02T12:00:00Z",
}


@pytest.mark.parametrize(
    ("parse", "spec", "place"),
    [
        (parse_incident, {"workload": {"kind": "Deployment", "name": "app"}, "sequence": "many"}, "spec.seq"),
        (parse_record, {"workload": {"kind": "Deployment", "name": "app"}, "held": 7}, "spec.held"),
        (parse_decision, {"incident": "x-1", "choice": "perhaps"}, "spec.choice"),
    ],
)
def test_unreadable(parse: Callable[[dict[str, Any]], object], spec: dict[str, Any], place: str) -> None:
    with pytest.raises(Unreadable, match="payments/x-1 can't be read") as error:
        parse({"metadata": METADATA, "spec": spec})
    assert place in str(error.value)
